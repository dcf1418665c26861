"""What people can type into the search, told once for window, command line and README."""

from __future__ import annotations

QUERY_HELP: tuple[tuple[str, str], ...] = (
    ("dog beach", "photos with both words; below them those with one, or where a word is doubtful"),
    ("-person", "… without that word (also NOT person, in capitals)"),
    (
        '"red car"',
        "… with these words side by side, but by any name if they are one thing (hot dog); "
        "one word in quotes: no synonyms",
    ),
    ("cat OR dog", "… with one of the two (also cat|dog); OR in capitals"),
    ("(cat OR dog) -(snow ice)", "parentheses keep together; here: not both snow and ice"),
    ("bicy*", "… with words that begin so"),
    ("two dogs are playing with a ball on the beach", "a whole sentence: what fits it best first"),
    ("in:Holidays", "in a folder of that name, or in:/home/me/Pictures/2019"),
    ("name:IMG_12*", "the file's name"),
    ("date:2019", "taken then; also 2019-05, 2019-05-03, 2019-05..2019-08, 2019.., ..2018"),
    ("camera:canon", "the camera"),
    ("place:Lisbon", "the place, where another program wrote it into the photo"),
    ("tag:dog", "what the instant tagger sees"),
    ("text:stop", "writing inside the photo"),
    ("stars:>=3", "the rating in the photo; also 3, <2, 2..4"),
    ("type:heic", "the kind of file"),
    ("has:place", "that it is known: captions, tags, words, place, text, stars, camera, date"),
    ("no:captions", "… that it is not"),
    ("view:bird", "seen in a part of the photo only: something small"),
    ('about:"a quiet street"', "a description; no word of it is a must"),
    ("like:42", "photos like that one"),
    ('-camera:"Canon EOS"', "every field can be excluded; quotes hold several words together"),
)
"""Examples of the query language, and what each finds. Parts that start with … go on from above."""
