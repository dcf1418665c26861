"""From text to terms: one way for indexing, queries, chips, clouds and marked words alike.

A *surface* is a word as written, its *term* what the index holds for it: folded (case, accents,
compatibility forms), without possessive, inflections removed. Scripts that are written without
spaces give one term a character; a word of them is found as a phrase of its characters. A compound
of the lexicon is one *unit* beside its words: "cell phone", "hot dog".
"""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

from photosearch.search.folding import (
    JOINERS,
    SPACELESS_LETTER,
    SPACELESS_WORD,
    fold,
    without_possessive,
    words_in,
)
from photosearch.search.function_words import BOILERPLATE, PHRASES, STOP_WORDS
from photosearch.search.lexicon import SPACE, lexicon

__all__ = ["SPACE", "fold"]

VERSION = 3
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


@dataclass(frozen=True, slots=True)
class Unit:
    """A word or compound to find a photo by: its index term, as written, its place in the text."""

    term: str
    surface: str
    start: int
    end: int


def tokenize(text: str) -> list[Token]:
    """Split `text` into its words in order; `start` and `end` are offsets in `text` itself."""
    tokens = []
    for match in words_in(text):
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
    found = []
    spans = []
    for match in words_in(text):
        word = _analyse(match.group()[:MAX_WORD])
        if word.term:
            found.append(word)
            spans.append(match.span())
    words: list[Word] = []
    until = 0  # where the last compound or phrase ended
    for at, word in enumerate(found):
        if at < until:
            continue
        if word.phrases and (length := _length(word.phrases, text, found, spans, at)):
            until = at + length
        elif word.opens and (length := _length(word.opens, text, found, spans, at)):
            until = at + length
            parts = found[at:until]
            if any(part.word is not None for part in parts):
                key = sys.intern(SPACE.join([part.term for part in parts]))
                words.append(Word(key, SPACE.join([part.shown for part in parts])))
        elif word.word is not None:
            words.append(word.word)
    if not text.isascii():
        for run in SPACELESS_WORD.findall(unicodedata.normalize("NFKC", text)):
            if 2 <= len(run) <= 12 and run == "".join(_analyse(c[0]).term for c in words_in(run)):
                words.append(Word(run, run))
    return [word.term for word in found], words


def units(text: str) -> list[Unit]:
    """Return what `text` can be found by, in order: each compound as one, then its words.

    The words of an idiom are left out, since a hot dog is no dog; so are stop words.
    """
    found = []
    spans = []
    for match in words_in(text):
        word = _analyse(match.group()[:MAX_WORD])
        if word.term:
            found.append(word)
            spans.append(match.span())
    result: list[Unit] = []
    until = idiom_until = 0
    for at, (word, (start, end)) in enumerate(zip(found, spans, strict=True)):
        if at >= until and word.opens and (length := _length(word.opens, text, found, spans, at)):
            until = at + length
            term = sys.intern(SPACE.join([part.term for part in found[at:until]]))
            last = spans[until - 1][1]
            result.append(Unit(term, text[start:last], start, last))
            if lexicon().is_idiom(term):
                idiom_until = until
        if at >= idiom_until and not word.is_stop_word:
            result.append(Unit(word.term, text[start:end], start, end))
    return result


def is_stop_word(surface: str) -> bool:
    """Return whether `surface` is a function word, which queries and chips ignore."""
    return _analyse(surface[:MAX_WORD]).is_stop_word


def display_form(surfaces: Mapping[str, int]) -> str:
    """Return the form to show for a word from its surfaces' frequencies; ties: shortest, first."""
    return min(surfaces, key=lambda surface: (-surfaces[surface], len(surface), surface))


_Openings = Mapping[str, tuple[tuple[str, ...], ...]]
"""By the term of the second word: the terms of the words that follow it, longest first."""


@dataclass(frozen=True, slots=True)
class _Analysed:
    folded: str
    term: str
    shown: str
    is_stop_word: bool
    word: Word | None
    """None where it is not worth showing."""
    opens: _Openings | None
    """The compounds that begin with it."""
    phrases: _Openings | None
    """The phrases without content that begin with it."""


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
        Word(term, sys.intern(shown)) if worth_showing else None,
        None if is_stop_word else (lexicon().compounds_from(term) or None),
        _phrases().get(term),
    )


def _length(
    openings: _Openings,
    text: str,
    found: Sequence[_Analysed],
    spans: Sequence[tuple[int, int]],
    at: int,
) -> int:
    """Return of how many words that stand side by side what opens with word `at` is; 0 if none."""
    second = at + 1
    if second == len(found) or not (rests := openings.get(found[second].term)):
        return 0
    for rest in rests:
        end = second + 1 + len(rest)
        if (
            end <= len(found)
            and all(found[second + 1 + i].term == term for i, term in enumerate(rest))
            and all(_is_gap(text[spans[i - 1][1] : spans[i][0]]) for i in range(second, end))
        ):
            return end - at
    return 0


def _is_gap(between: str) -> bool:
    """Return whether words with this between them may be one compound."""
    return between in (" ", "-") or (
        len(between) <= MAX_GAP and all(ch.isspace() or ch in "-_\u2010\u2011" for ch in between)
    )


@cache
def _boilerplate_terms() -> frozenset[str]:
    return frozenset(lexicon().base_form(word) for word in BOILERPLATE)


@cache
def _phrases() -> Mapping[str, _Openings]:
    found: dict[str, dict[str, list[tuple[str, ...]]]] = {}
    for phrase in PHRASES:
        first, second, *rest = (
            lexicon().base_form(fold(without_possessive(match.group())))
            for match in words_in(phrase)
        )
        found.setdefault(first, {}).setdefault(second, []).append(tuple(rest))
    return {
        first: {
            second: tuple(sorted(rests, key=len, reverse=True)) for second, rests in after.items()
        }
        for first, after in found.items()
    }
