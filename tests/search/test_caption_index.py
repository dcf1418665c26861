import pytest
from indexed_photos import indexed, known, put

from photosearch.domain import TermCount
from photosearch.search.query import parse


@pytest.fixture
def make_index(tmp_path):
    """Returns a function that indexes photos given as {id: text, texts or KnownPhoto}."""
    return lambda photos: indexed(tmp_path / "index", photos)


def ids(index, text, **options):
    return list(index.search(parse(text), **options).photo_ids)


def full(index, text):
    found = index.search(parse(text), limit=1000)
    return set(found.photo_ids[: found.full])


def full_and_partial(index, text):
    found = index.search(parse(text))
    assert (found.full, found.partial) == (found.total, found.partial_total)
    return list(found.photo_ids[: found.full]), list(found.photo_ids[found.full :])


@pytest.mark.parametrize(
    ("written", "asked"),
    [
        ("Two dogs in the snow.", "dog"),
        ("A dog’s ball", "DOGS"),
        ("He is running.", "run"),
        ("Men on a bench", "man"),
        ("Ein Hund vor dem Café in der Straße", "hund cafe strasse"),
        ("Ein Hund vor dem Café", "CAFÉ"),
        ("東京タワーと犬", "東京 犬"),
        ("강아지가 공원에서 놀고 있다", "강아지"),
        ("الكلب يلعب في الحديقة", "الحديقة"),
        ("Собака бежит по пляжу", "собака"),
        ("Ёлка", "елка"),
        ("कुत्ता दौड़ता है", "कुत्ता"),
        ("สุนัขบนชายหาด", "สุนัข"),
        ("a red T-shirt", "t-shirt"),
        ("O'Brien's pub", "o'brien"),
    ],
)
def test_words_are_found_in_their_forms_and_scripts(make_index, written, asked):
    index = make_index({1: written, 2: "nothing of that"})
    assert full(index, asked) == {1}


def test_all_words_must_match_and_the_better_comes_first(make_index):
    index = make_index(
        {
            1: "a cat on a sofa with a dog and a lot of other things in a large room",
            2: "dog cat dog cat",
            3: "dog",
            4: "cat",
            5: "horse",
        }
    )
    found = index.search(parse("dog cat"))
    assert found.photo_ids[:2] == (2, 1)
    assert set(found.photo_ids[2:]) == {3, 4}
    assert (found.full, found.partial) == (found.total, found.partial_total) == (2, 2)
    assert found.scores[0] > found.scores[1] > 0


@pytest.mark.parametrize(
    "words", ["a1 b2 c3", "a1 b2 c3 d4", "a1 b2 c3 d4 e5", "a1 b2 c3 d4 e5 f6 g7"]
)
def test_partial_matches_of_more_words_come_first(make_index, words):
    # Rare words score far higher: the number of words must win nevertheless.
    parts = words.split()
    photos = {n: " ".join(parts[:n]) for n in range(1, len(parts) + 1)}
    photos |= {100 + n: f"{parts[0]} {parts[1]}" for n in range(50)}
    photos |= {200: f"{parts[-1]} " * 40}
    index = make_index(photos)
    found = index.search(parse(words), limit=1000)
    counts = [
        sum(part in photos[photo_id].split() for part in parts) for photo_id in found.photo_ids
    ]
    assert counts == sorted(counts, reverse=True)
    assert found.full == counts.count(len(parts))
    assert (found.total, found.partial_total) == (1, len(photos) - 1)
    assert sorted(found.photo_ids) == sorted(photos)
    paged = [i for at in range(0, len(photos), 7) for i in ids(index, words, limit=7, offset=at)]
    assert paged == list(found.photo_ids)


def test_the_score_is_that_of_the_words_alone(make_index):
    index = make_index({1: "dog cat", 2: "dog", 3: "cat mouse", 4: "horse"})
    alone = index.search(parse("dog"))
    many = index.search(parse("dog zebra1 zebra2 zebra3 zebra4 zebra5"))
    by_id = dict(zip(many.photo_ids, many.scores, strict=True))
    assert by_id == pytest.approx(dict(zip(alone.photo_ids, alone.scores, strict=True)), abs=1e-3)


def test_phrases_match_side_by_side_in_one_view(make_index):
    index = make_index(
        {
            1: "a red ball",
            2: "a ball, red",
            3: ["something red", "ball of wool"],
            4: "balls, and a big red ball",
        }
    )
    assert full(index, '"red ball"') == {1, 4}
    assert full(index, '"red balls"') == {1, 4}
    assert full(index, "red ball") == {1, 2, 3, 4}
    assert full(index, 'red -"red ball"') == {2, 3}
    assert full(index, '"a red ball"') == {1}, "stop words count in phrases"


def test_negated_words_exclude_from_full_and_partial_matches(make_index):
    index = make_index({1: "dog cat", 2: "dog cat horse", 3: "dog", 4: "dog horse"})
    found = index.search(parse("dog cat -horse"))
    assert found.photo_ids == (1, 3)
    assert (found.total, found.partial_total) == (1, 1)
    assert ids(index, "-cat") == [4, 3], "newest first"
    assert ids(index, "-horse -cat") == [3]


def test_without_words_photos_come_newest_first(make_index):
    taken_at = {1: 50.0, 2: -1e9, 3: 50.0, 4: 50.5, 5: 4e9, 6: 0.0}
    index = make_index({n: known("dog", taken_at=at) for n, at in taken_at.items()})
    assert ids(index, "") == [5, 4, 3, 1, 6, 2]
    assert ids(index, "!!!") == [5, 4, 3, 1, 6, 2]
    assert ids(index, "", limit=2, offset=2) == [3, 1]
    assert ids(index, "", offset=6) == []
    assert index.search(parse(""), limit=0).total == 6


@pytest.mark.parametrize("taken_at", [0.0, -1e300, 1e300, -62135596800.0, 253402300799.0])
def test_any_date_can_be_indexed(make_index, taken_at):
    index = make_index({n: known("dog", taken_at=taken_at) for n in (1, 2)})
    assert ids(index, "") == [2, 1]


def test_stop_words_are_ignored_unless_alone(make_index):
    index = make_index({1: "dog", 2: "the cat"})
    assert full(index, "the dog") == {1}
    assert full(index, "the") == {2}


def test_surer_tags_rank_first_and_other_names_of_a_tag_are_found_but_not_shown(make_index):
    index = make_index(
        {
            1: known(tags=[("dog", 0.4)]),
            2: known(tags=[("dog", 0.9)]),
            3: known(tags=[("zorb", 0.9, ["sports ball"])]),
        }
    )
    assert ids(index, "dog") == [2, 1]
    assert full(index, '"sports ball"') == {3}
    assert index.words(parse("sports ball")) == [TermCount("zorb", 1)]


def test_putting_again_replaces_and_removing_removes(make_index):
    index = make_index({1: "dog", 2: "cat"})
    put(index, {1: "horse"})
    with index.writer() as writer:
        writer.put(known("zebra").document(1))
        writer.remove(2)
        writer.remove(77)
        writer.commit()
    index.reload()
    assert ids(index, "") == [1]
    assert (full(index, "zebra"), full(index, "horse"), full(index, "dog")) == ({1}, set(), set())
    assert index.photo_count == 1
    assert index.words(parse("")) == [TermCount("zebra", 1)]
    assert index.complete("do", parse("")) == []


def test_words_counts_photos_by_content_word(make_index):
    index = make_index(
        {1: ["dogs, dogs", "dog"], 2: "the dogs of the image", 3: "dog beach", 4: "caf\u00e9"}
    )
    counts = [TermCount("dog", 3), TermCount("beach", 1), TermCount("café", 1)]
    assert index.words(parse("")) == counts
    assert index.words(parse(""), 1) == counts[:1]
    assert index.words(parse("beach")) == [TermCount("beach", 1), TermCount("dog", 1)]
    assert index.words(parse("zebra")) == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "\x00\x01\x1f\x1f",
        "<script>alert('dog')</script>",
        "dog " * 50_000,
        "x" * 1_000_000,
        " ".join(f"w{n}" for n in range(5000)),
        "\u202e\u2066 dog \u0301",
        "dog\ud800",
    ],
)
def test_hostile_captions_are_indexed(make_index, text):
    index = make_index({1: known(text, "zebra", tags=[(text[:1000], 0.9)]), 2: "zebra"})
    assert full(index, "zebra") == {1, 2}
    assert ("dog" in text) == (full(index, "dog") == {1})
    index.search(parse(""), refine=10)
    index.words(parse(""))


def test_more_words_than_anybody_types(make_index):
    index = make_index({1: "dog", 2: "word1 dog"})
    found = index.search(parse(" ".join(f"word{n} dog" for n in range(5000))), refine=5)
    assert found.photo_ids == (2, 1)
    assert index.search(parse('"' + "dog " * 50_000 + '"')).total == 0


def test_doubtful_words_make_partial_matches_and_do_not_exclude(make_index):
    index = make_index(
        {
            1: known("A dog.", tags=[("dog", 0.9), ("tabby cat", 0.1), ("wolf", 0.35)]),
            2: known("A cat on a mat.", tags=[("cat", 0.1)]),
            3: "Possibly a cat.",
        }
    )
    assert full_and_partial(index, "cat") == ([2], [3, 1])
    assert full_and_partial(index, "cat dog") == ([], [1, 2, 3])
    assert full_and_partial(index, "-cat") == ([3, 1], [])
    assert full_and_partial(index, '-"tabby cat"') == ([3, 2, 1], [])
    assert full_and_partial(index, "-wolf") == ([3, 2], [])
    assert full_and_partial(index, "dog -cat") == ([1], [])


def test_labels_of_several_words_are_shown_and_counted_whole(make_index):
    index = make_index(
        {
            1: known(tags=[("dining table", 0.9), ("Egyptian cat", 0.8), ("cup", 0.7)]),
            2: known(tags=[("dining table", 0.9), ("cup", 0.7)]),
            3: known("A table for dining.", tags=[("dog", 0.9)]),
        }
    )
    words = {term.word: term.count for term in index.words(parse(""), 50)}
    assert words == {
        "dining table": 2, "cup": 2, "Egyptian cat": 1, "dog": 1, "table": 1, "dining": 1,
    }  # fmt: skip
    assert TermCount("dining table", 2) in index.complete("din", parse(""))
    assert TermCount("Egyptian cat", 1) in index.complete("egy", parse(""))
    assert full(index, '"egyptian cat"') == {1}
    assert full(index, "table") == {1, 2, 3}


def test_the_word_itself_ranks_before_a_synonym_and_this_before_a_broader_word(make_index):
    index = make_index(
        {1: "A chair and a bed.", 2: "A settee.", 3: "A sofa.", 4: "A dog.", 5: "Furniture."}
    )
    assert ids(index, "sofa")[:2] == [3, 2]
    assert ids(index, "furniture")[0] == 5
    assert full(index, "furniture") == {1, 2, 3, 5}


def test_more_views_and_several_mentions_rank_higher(make_index):
    index = make_index(
        {1: ["A cat.", "A dog."], 2: ["A dog.", "A cat."], 3: ["A dog.", "A dog.", "A dog."]}
    )
    assert ids(index, "dog") == [3, 2, 1], "the whole photo says more than a crop"


def test_an_idiom_is_none_of_its_words(make_index):
    index = make_index({1: "A man eats a hot dog.", 2: "A dog.", 3: "A hot day and a dog."})
    assert full(index, "dog") == {2, 3}
    assert full(index, "hot dog") == full(index, '"hot dogs"') == {1}
    assert full(index, "hot -dog") == set()
    assert full(index, "food") == {1}


def test_a_compound_of_a_kind_is_found_by_its_parts(make_index):
    index = make_index(
        {1: "A dining table.", 2: "A table, people dining.", 3: "Two tables.", 4: "Dining people."}
    )
    assert ids(index, "dining table")[:2] == [1, 2]
    assert full(index, "dining table") == full(index, '"dining table"') == {1, 2}
    assert full(index, "table") == {1, 2, 3}


@pytest.mark.parametrize(
    "text",
    [
        "No people are visible.",
        "There are no people in the photo.",
        "A street without people.",
        "There don't appear to be any people.",
    ],
)
def test_what_is_denied_does_not_match(make_index, text):
    index = make_index({1: text, 2: "People on a street."})
    assert full_and_partial(index, "people") == ([2], [])
    assert ids(index, "-people") == [1]
    assert "people" not in {word.word for word in index.words(parse("-people"))}


def test_a_man_without_a_hat_is_a_man(make_index):
    index = make_index({1: "A man without a hat.", 2: "A man with a hat."})
    assert full_and_partial(index, "hat") == ([2], [])
    assert full(index, "man") == {1, 2}


def test_a_quoted_word_is_literal(make_index):
    index = make_index({1: "Two sofas.", 2: "A couch.", 3: known(tags=[("sofa", 0.9)])})
    assert full(index, "sofa") == {1, 2, 3}
    assert full(index, '"sofa"') == {1, 3}
    assert ids(index, '-"sofa"') == [2]


def test_beginnings_of_words(make_index):
    index = make_index({1: "A surfer.", 2: "Two surfboards.", 3: "The sun.", 4: "東京タワー"})
    assert full(index, "surf*") == {1, 2}
    assert full(index, "SURFBO*") == {1, 2}
    assert full(index, "su* -surf*") == {3}
    assert full(index, "東*") == {4}


def test_groups(make_index):
    index = make_index(
        {1: "A cat.", 2: "A bird.", 3: "A cat and a bird.", 4: "A tree.", 5: "A cat by a tree."}
    )
    assert full(index, "cat OR tree") == {1, 3, 4, 5}
    assert full(index, "(cat bird) OR tree") == {3, 4, 5}
    assert full(index, "-(cat OR tree)") == {2}
    assert full(index, "-(cat tree)") == {1, 2, 3, 4}
    assert full(index, "cat -(bird OR tree)") == {1}
    assert full(index, "tree OR -cat") == {2, 4, 5}
    assert full(index, "cat tree OR bird") == {3, 5}
    assert set(full_and_partial(index, "cat tree OR bird")[1]) == {1, 2, 4}


@pytest.mark.parametrize(
    ("said", "asked"),
    [("gray", "grey"), ("grey", "gray"), ("airplane", "aeroplane"), ("aeroplane", "airplane"),
     ("television", "tv"), ("tv", "television"), ("sofa", "couch"), ("couch", "sofa")],
)  # fmt: skip
def test_synonyms_find_each_other(make_index, said, asked):
    index = make_index({1: f"There is a {said}.", 2: "There is a lamp."})
    assert full(index, asked) == {1}


@pytest.mark.parametrize(
    ("said", "asked"),
    [("A bird flying over people.", "insect"), ("A crowded street.", "person"),
     ("A purple robe.", "ecclesiastical"), ("She is petting it.", "animal")],
)  # fmt: skip
def test_forms_of_verbs_and_colours_are_no_things(make_index, said, asked):
    assert full(make_index({1: said}), asked) == set()


@pytest.mark.parametrize(
    ("name", "asked"),
    [("собака на пляже.jpg", "собака"), ("東京タワー.jpg", "東京"), ("الكلب.jpg", "الكلب"),
     ("Bäume.jpg", "baume"), ("東京タワー.jpg", "タワー")],
)  # fmt: skip
def test_names_of_files_are_found_by_their_words_in_any_script(make_index, name, asked):
    index = make_index({1: known("A lamp.", path=f"Bilder/{name}"), 2: "A lamp."})
    assert full(index, asked) == {1}
