"""From text to terms: one way for indexing, queries, chips, clouds and marked words alike.

A *surface* is a word as written, its *term* what the index holds for it: folded (case, accents,
compatibility forms), without possessive, inflections removed. Scripts that are written without
spaces give one term a character; a word of them is found as a phrase of its characters.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache

import snowballstemmer

VERSION = 2
"""Raise it with every change that gives some text other terms: indexes are then rebuilt."""

SPACE = "\x1d"
"""Stands for the spaces inside a `Word` of several parts."""

MAX_WORD = 64
"""Characters of a word that count; what is longer is no word of any language people search in."""

_STOP_WORDS = frozenset(
    """
a about above across after again against all along also although am among an and any anybody
anyone anything are around as at away be because been before behind being below beneath beside
besides between beyond both but by can cannot could did do does doing done down during each either
else etc even ever every everyone everything for from further get gets getting had has have having
he her here hers herself him himself his how however i if in inside into is it its itself just let
may me might mine more most much must my myself near neither next no nobody none nor not nothing of
off on onto or other others ought our ours ourselves out outside over own per perhaps quite rather
same shall she should since so some somebody someone something such than that the their theirs them
themselves then there these they this those though through throughout thus to too toward towards
under until unto up upon us very via was we were what when where whether which while who whom whose
why will with within without would yes yet you your yours yourself yourselves
arent cant couldnt didnt doesnt dont hadnt hasnt havent hes im isnt itll ive lets shes shouldnt
thats theres theyre theyve wasnt werent weve whats wont wouldnt youre youve s t re ve ll d m
""".split()  # noqa: SIM905 - a word list reads best as words
)

_BOILERPLATE = """
image picture photo photograph photography scene view viewer feature show showcase depict display
capture contain include visible visibly see seen present presence presented appear appearance seem
look likely possibly probably perhaps maybe suggest suggesting indicate imply various several
numerous multiple many few lot lots variety number couple total different additional additionally
addition add overall atmosphere ambiance ambience sense touch charm feel feeling vibe environment
setting create provide make give given position positioned place placed locate located situate
situated arrange arranged occupy portion part area space side left right center centre middle
corner top bottom edge front back background foreground close closer closely nearby far distance
distant main focus focused focal prominent prominently significant significantly noticeable
noticeably clearly visually detail detailed element aspect moment time way one two three four five
six seven eight nine ten another first second third well least take taken taking use used using
have engage engaged involve enjoy enjoying description describe example kind type thing item object
surround surrounded surrounding surroundings together slightly spread scatter scattered partially
group filled covered equipped belonging size piece progress skillfully actively
""".split()  # noqa: SIM905

# What the stemmer does not join: irregular forms of words that people look for in photos.
_IRREGULAR = {
    form: line.split()[0]
    for line in """
man men
woman women
child children
person people persons
foot feet
tooth teeth
goose geese
mouse mice
ox oxen
wolf wolves
knife knives
leaf leaves
loaf loaves
calf calves
half halves
shelf shelves
scarf scarves
wife wives
life lives
thief thieves
elf elves
hoof hooves
bus buses busses
gas gases
lens lenses
cactus cacti
run ran
sit sat
stand stood
hold held
wear wore worn
eat ate eaten
ride rode ridden
drive drove driven
swim swam swum
fly flies flew flown
lie lying lain
sleep slept
catch caught
throw threw thrown
drink drank drunk
write wrote written
break broke broken
build built
sing sang sung
""".strip().splitlines()
    for form in line.split()[1:]
}

# What the stemmer joins, though nobody who looks for the one means the other: a personal computer
# is no person.
_APART = {
    form: line.split()[0]
    for line in """
personal personally
animate animated animation
memorial memorials
publication publications
maine
dungeness
orangutan orang orangutans
universal
generator generators
""".strip().splitlines()
    for form in line.split()
}

_LETTERS_TO_FOLD = str.maketrans(
    {
        "ø": "o",
        "đ": "d",
        "ł": "l",
        "æ": "ae",
        "œ": "oe",
        "ı": "i",
        "ð": "d",
        "þ": "th",
        "ħ": "h",
        "\u0640": "",
    }
)
_JOINERS = "\u00ad\u200c\u200d\u2060"
_APOSTROPHES = "'\u2019\u02bc\uff07"
_HAN = "\u2e80-\u2fdf\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_HIRAGANA = "\u3041-\u3096\u309d-\u309f"
_KATAKANA = "\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\uff66-\uff9d"
_HANGUL = "\u1100-\u11ff\u3131-\u318e\ua960-\ua97f\uac00-\ud7ff"
_OTHER_SPACELESS = "\u0e01-\u0eff\u1000-\u109f\u1780-\u17ff"
_SPACELESS = _HAN + _HIRAGANA + _KATAKANA + _HANGUL + _OTHER_SPACELESS
_CONTRACTION = rf"(?:[{_APOSTROPHES}](?:s|t|re|ve|ll|d|m)(?![^\W_]))?"

_ASCII_WORD = re.compile(r"[A-Za-z0-9]+" + _CONTRACTION, re.IGNORECASE)
# Latin, Greek, Cyrillic, Hebrew, Arabic; elsewhere marks are vowels or change the consonant.
_ACCENTS = re.compile(
    "([A-Za-z\u00c0-\u024f\u0370-\u052f\u0590-\u06ff\u1e00-\u1fff])"
    "[\u0300-\u036f\u0483-\u0487\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed"
    "\u1ab0-\u1aff\u1dc0-\u1dff]+"
)
# Runs that stand for words in chips: Japanese hiragana is mostly endings and particles.
_SPACELESS_WORD = re.compile(f"[{_HAN}]+|[{_KATAKANA}]+|[{_HANGUL}]+|[{_OTHER_SPACELESS}]+")
_SPACELESS_LETTER = re.compile(f"[{_SPACELESS}]")


@dataclass(frozen=True, slots=True)
class Token:
    """A word in a text: as written, its index term, and its place in the original text."""

    surface: str
    term: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Word:
    """A content word: its key (equal for all forms of a word) and how to show it."""

    key: str
    shown: str


def tokenize(text: str) -> list[Token]:
    """Split `text` into its words in order; `start` and `end` are offsets in `text` itself."""
    tokens = []
    for match in _words_in(text):
        surface = match.group()
        if term := _analyse(surface[:MAX_WORD]).term:
            tokens.append(Token(surface, term, match.start(), match.end()))
    return tokens


def terms(text: str) -> list[str]:
    """Return the index terms of `text` in order; the same as those of `tokenize`, but faster."""
    return analyse(text)[0]


def content_words(text: str) -> list[Word]:
    """Return the words of `text` worth showing as chips and in clouds, in order, with repeats.

    Left out are stop words, boilerplate of captioners, numbers and single letters.
    """
    return analyse(text)[1]


def word_keys(text: str) -> frozenset[str]:
    """Return which content words `text` has, each by the key that all its forms share."""
    return frozenset(word.key for word in content_words(text))


def label_words(label: str) -> list[Word]:
    """Return what to show of a tagger's word: one that has several parts is shown whole."""
    parts = terms(label)
    if len(parts) < 2:
        return content_words(label)
    # The index splits at spaces.
    return [Word(SPACE.join(parts), SPACE.join(label.split()))]


def analyse(text: str) -> tuple[list[str], list[Word]]:
    """Return `terms` and `content_words` of `text` in one pass."""
    found = [_analyse(match.group()[:MAX_WORD]) for match in _words_in(text)]
    words = [word.word for word in found if word.word is not None]
    if not text.isascii():
        for run in _SPACELESS_WORD.findall(unicodedata.normalize("NFKC", text)):
            if 2 <= len(run) <= 12 and run == "".join(_analyse(c[0]).term for c in _words_in(run)):
                words.append(Word(run, run))
    return [word.term for word in found if word.term], words


def fold(text: str) -> str:
    """Return `text` as words are compared: without case, accents and compatibility forms."""
    if text.isascii():
        return "".join(ch for ch in text.lower() if ch.isalnum())
    compatible = unicodedata.normalize("NFKC", text).casefold()
    letters = unicodedata.normalize("NFKD", compatible).translate(_LETTERS_TO_FOLD)
    letters = "".join(ch for ch in letters if ch.isalnum() or _mark().match(ch))
    # Accents are dropped where they modify a letter, kept where they are part of the writing.
    bare = unicodedata.normalize("NFC", _ACCENTS.sub(r"\1", letters))
    while bare and not bare[0].isalnum():
        bare = bare[1:]  # a mark that stood alone
    return bare


def is_stop_word(surface: str) -> bool:
    """Return whether `surface` is a function word, which queries and chips ignore."""
    return _analyse(surface[:MAX_WORD]).folded in _STOP_WORDS


def display_form(surfaces: Mapping[str, int]) -> str:
    """Return the form to show for a word from its surfaces' frequencies; ties: shortest, first."""
    return min(surfaces, key=lambda surface: (-surfaces[surface], len(surface), surface))


@dataclass(frozen=True, slots=True)
class _Analysed:
    folded: str
    term: str
    word: Word | None
    """None where it is not worth showing."""


@lru_cache(maxsize=1 << 16)
def _analyse(surface: str) -> _Analysed:
    folded = fold(_without_possessive(surface))
    term = sys.intern(_term(folded))
    shown = surface
    if not surface.isascii():
        shown = unicodedata.normalize("NFKC", shown).translate(dict.fromkeys(map(ord, _JOINERS)))
    shown = _without_possessive(shown.lower())
    if not shown.isalnum() or fold(shown) != folded:
        shown = folded
    worth_showing = (
        len(folded) > 1
        and not _SPACELESS_LETTER.match(folded)
        and folded not in _STOP_WORDS
        and term not in _boilerplate_terms()
        and any(ch.isalpha() for ch in folded)
    )
    return _Analysed(folded, term, Word(term, sys.intern(shown)) if worth_showing else None)


def _term(folded: str) -> str:
    if folded in _APART:
        return _APART[folded]
    if folded in _IRREGULAR:
        folded = _IRREGULAR[folded]
    elif len(folded) > 5 and folded.endswith("men"):
        folded = folded[:-2] + "an"  # fishermen, policewomen; what it harms has no word beside it
    return str(_stemmer().stemWord(folded)) if folded.isascii() else folded


def _without_possessive(surface: str) -> str:
    if len(surface) > 2 and surface[-1] in "sS" and surface[-2] in _APOSTROPHES:
        return surface[:-2]
    return surface


def _words_in(text: str) -> Iterator[re.Match[str]]:
    return (_ASCII_WORD if text.isascii() else _any_word()).finditer(text)


@cache
def _stemmer() -> snowballstemmer.stemmer:
    return snowballstemmer.stemmer("english")


@cache
def _boilerplate_terms() -> frozenset[str]:
    return frozenset(_term(word) for word in _BOILERPLATE)


@cache
def _mark_ranges() -> str:
    """All combining marks, as the inside of a regex class: `re` has no name for them."""
    codes = [c for c in range(0x300, 0x1F000) if unicodedata.category(chr(c))[0] == "M"]
    starts = [c for i, c in enumerate(codes) if not i or codes[i - 1] != c - 1]
    ends = [c for i, c in enumerate(codes) if i + 1 == len(codes) or codes[i + 1] != c + 1]
    return "".join(f"{chr(a)}-{chr(b)}" for a, b in zip(starts, ends, strict=True))


@cache
def _any_word() -> re.Pattern[str]:
    extend = _mark_ranges() + _JOINERS
    letter = rf"(?![{_SPACELESS}])[^\W_]"
    return re.compile(
        rf"[{_SPACELESS}][{_mark_ranges()}\uff9e\uff9f]*|{letter}(?:{letter}|[{extend}])*"
        + _CONTRACTION,
        re.IGNORECASE,
    )


@cache
def _mark() -> re.Pattern[str]:
    return re.compile(f"[{_mark_ranges()}]")
