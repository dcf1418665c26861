"""From text to terms: one way for indexing, queries, chips, clouds and marked words alike.

A *surface* is a word as written, its *term* what the index holds for it: folded (case, accents,
compatibility forms), without possessive, inflections removed. Scripts that are written without
spaces give one term a character; a word of them is found as a phrase of its characters. A compound
of the lexicon is one *unit* beside its words: "cell phone", "hot dog".
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import NamedTuple

from photosearch.search.folding import (
    JOINERS,
    SPACELESS_LETTER,
    SPACELESS_WORD,
    fold,
    without_possessive,
    words_in,
)
from photosearch.search.function_words import BOILERPLATE, PHRASES, STOP_WORDS
from photosearch.search.lexicon import PLACES, SPACE, Openings, lexicon

__all__ = ["SPACE", "fold"]

VERSION = 4
"""Raise it with every change that gives some text other terms: indexes are then rebuilt."""

MAX_WORD = 64
"""Characters of a word that count; what is longer is no word of any language people search in."""

MAX_GAP = 3
"""Characters between two words of one compound: a space, a hyphen, a line's end."""


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


class Unit(NamedTuple):
    """A word or compound to find a photo by: its index term, as written, its place in the text."""

    term: str
    surface: str
    start: int
    end: int


def tokenize(text: str) -> list[Token]:
    """Split `text` into its words in order; `start` and `end` are offsets in `text` itself."""
    return [
        Token(match.group(), word.term, match.start(), match.end())
        for match in words_in(text)
        if (word := _analyse(match.group()[:MAX_WORD])).term
    ]


def terms(text: str) -> list[str]:
    """Return the index terms of `text` in order; the same as those of `tokenize`, but faster."""
    found = [_analyse(match.group()[:MAX_WORD]).term for match in words_in(text)]
    return found if all(found) else [term for term in found if term]


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
    matches = list(words_in(text))
    found = [_analyse(match.group()[:MAX_WORD]) for match in matches]
    words: list[Word] = []
    until = 0  # where the last compound or phrase ended
    for at, word in enumerate(found):
        if at < until:
            continue
        if word.opens is not None and (length := _length(word.opens, text, found, matches, at)):
            until = at + length
            parts = found[at:until]
            key = SPACE.join([part.term for part in parts])
            if key not in _phrase_keys() and any(part.word is not None for part in parts):
                words.append(Word(sys.intern(key), SPACE.join([part.shown for part in parts])))
        elif word.word is not None:
            words.append(word.word)
    if not text.isascii():
        for run in SPACELESS_WORD.findall(unicodedata.normalize("NFKC", text)):
            if 2 <= len(run) <= 12 and run == "".join(_analyse(c[0]).term for c in words_in(run)):
                words.append(Word(run, run))
    return [word.term for word in found if word.term], words


def units(text: str) -> list[Unit]:
    """Return what `text` can be found by, in order: each compound as one, then its words.

    The words of an idiom are left out, since a hot dog is no dog; so are stop words.
    """
    matches = list(words_in(text))
    found = [_analyse(match.group()[:MAX_WORD]) for match in matches]
    result: list[Unit] = []
    until = idiom_until = 0
    for at, word in enumerate(found):
        if (
            word.opens is not None
            and at >= until
            and (length := _length(word.opens, text, found, matches, at))
        ):
            term = SPACE.join([part.term for part in found[at : at + length]])
            if term not in _phrase_keys():
                until = at + length
                start, end = matches[at].start(), matches[until - 1].end()
                result.append(Unit(sys.intern(term), text[start:end], start, end))
                if lexicon().is_idiom(term):
                    idiom_until = until
        if not word.is_stop_word and at >= idiom_until and word.term:
            match = matches[at]
            result.append(Unit(word.term, match.group(), *match.span()))
    return result


def first_compound(words: Sequence[str]) -> tuple[int, str]:
    """Return how many of the first of `words` are one compound, and its term; (0, "") if none."""
    found = units(" ".join(words))[:1]
    if not found or found[0].start or SPACE not in found[0].term:
        return 0, ""
    return found[0].term.count(SPACE) + 1, found[0].term


def spaced(word: str) -> str:
    """Return a word of several parts as people write it."""
    return word.replace(SPACE, " ")


def is_stop_word(surface: str) -> bool:
    """Return whether `surface` is a function word, which queries and chips ignore."""
    return _analyse(surface[:MAX_WORD]).is_stop_word


def display_form(surfaces: Mapping[str, int]) -> str:
    """Return the form to show for a word from its surfaces' frequencies; ties: shortest, first."""
    return min(surfaces, key=lambda surface: (-surfaces[surface], len(surface), surface))


@dataclass(frozen=True, slots=True)
class _Analysed:
    folded: str
    term: str
    shown: str
    is_stop_word: bool
    is_inflected: bool
    is_plural: bool
    word: Word | None
    """None where it is not worth showing."""
    opens: Openings | None
    """The compounds and the phrases without content that begin with it."""


@lru_cache(maxsize=1 << 16)
def _analyse(surface: str) -> _Analysed:
    folded = fold(without_possessive(surface))
    term = sys.intern(lexicon().base_form(folded))
    shown = surface
    if not surface.isascii():
        shown = unicodedata.normalize("NFKC", shown).translate(dict.fromkeys(map(ord, JOINERS)))
    shown = without_possessive(shown.lower())
    if not shown.isalnum() or fold(shown) != folded:
        shown = folded
    is_stop_word = folded in STOP_WORDS
    worth_showing = (
        len(folded) > 1
        and not SPACELESS_LETTER.match(folded)
        and not is_stop_word
        and term not in _boilerplate_terms()
        and any(ch.isalpha() for ch in folded)
    )
    return _Analysed(
        folded,
        term,
        sys.intern(shown),
        is_stop_word,
        term != folded,
        term != folded and not folded.endswith(("ed", "ing")),
        Word(term, sys.intern(shown)) if worth_showing else None,
        _openings(term, is_stop_word=is_stop_word and folded != "t"),
    )


def _openings(term: str, *, is_stop_word: bool) -> Openings | None:
    openings = dict(_phrases().get(term, {}))
    if not is_stop_word:
        for second, rests in lexicon().compounds_from(term).items():
            openings[second] = (*openings.get(second, ()), *rests)
    return openings or None


def _length(
    openings: Openings,
    text: str,
    found: Sequence[_Analysed],
    matches: Sequence[re.Match[str]],
    at: int,
) -> int:
    """Return of how many words that stand side by side what opens with word `at` is; 0 if none."""
    second = at + 1
    if second == len(found) or not (rests := openings.get(found[second].term)):
        return 0
    for rest, form in rests:
        end = second + 1 + len(rest)
        if (
            end <= len(found)
            and _has_form(found, at, end, form)
            and all(found[second + 1 + i].term == term for i, term in enumerate(rest))
            and all(
                _is_gap(text[matches[i - 1].end() : matches[i].start()]) for i in range(second, end)
            )
        ):
            return end - at
    return 0


def _has_form(found: Sequence[_Analysed], at: int, end: int, form: int) -> bool:
    """Return whether words are inflected where a compound has them so; its head may be a plural.

    So a dining table is one, but cars parked are no car park.
    """
    for place in range(min(PLACES, end - at)):
        word = found[at + place]
        if word.is_inflected != bool(form >> place & 1):
            is_head = at + place + 1 == end or found[at + place + 1].is_stop_word
            if not (is_head and word.is_plural):
                return False
    return True


def _is_gap(between: str) -> bool:
    """Return whether words with this between them may be one compound."""
    return between in (" ", "-") or (
        len(between) <= MAX_GAP and all(ch.isspace() or ch in "-_\u2010\u2011" for ch in between)
    )


@cache
def _boilerplate_terms() -> frozenset[str]:
    return frozenset(lexicon().base_form(word) for word in BOILERPLATE)


@cache
def _phrases() -> Mapping[str, Openings]:
    found: dict[str, dict[str, tuple[tuple[tuple[str, ...], int], ...]]] = {}
    for phrase in sorted(PHRASES, key=len, reverse=True):
        folded = [fold(without_possessive(match.group())) for match in words_in(phrase)]
        first, second, *rest = (lexicon().base_form(word) for word in folded)
        form = sum(
            (word != lexicon().base_form(word)) << place
            for place, word in enumerate(folded[:PLACES])
        )
        openings = found.setdefault(first, {})
        openings[second] = (*openings.get(second, ()), (tuple(rest), form))
    return found


@cache
def _phrase_keys() -> frozenset[str]:
    return frozenset(
        SPACE.join((first, second, *rest))
        for first, openings in _phrases().items()
        for second, rests in openings.items()
        for rest, _ in rests
    )
