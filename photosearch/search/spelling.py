"""Other spellings of words that no photo has: "did you mean"."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import tantivy

from photosearch.domain import Clause, Query
from photosearch.search import analysis
from photosearch.search.index_document import SEPARATOR, despaced, spaced
from photosearch.search.lexicon import lexicon
from photosearch.search.snapshot import Snapshot

SHORT_WORD = 5
"""Letters; in a word up to so long one letter may be wrong, in a longer one two."""

_MIN_LETTERS = 3
_MAX_WRONG = 4
"""Words of one query; of a text in which more are unknown, spelling is not what is wrong."""
_SPELLINGS = 3  # of each word
# A word that is so many times as frequent may be one letter further off.
_SLIP = math.log(20)


@dataclass(frozen=True, slots=True)
class _Spelling:
    """A word, or two, that photos have, and how many slips of the hand make it what was typed."""

    text: str
    slips: int


def respelt(
    query: Query, snapshot: Snapshot, count: Callable[[Query], int], limit: int
) -> tuple[Query, ...]:
    """Return up to `limit` queries like `query` but with words that photos have, likeliest first.

    `count` tells how many photos match all of a query; where any does, only such are returned.
    Nothing is returned where photos have all words. What is to be excluded stays as it is, and
    so do fields.
    """
    clauses = query.clauses
    unknown = {
        at: words
        for at, clause in enumerate(clauses)
        if (words := _unknown_words(snapshot, clause))
    }
    if not unknown or sum(map(len, unknown.values())) > _MAX_WRONG:
        return ()
    proposals = dict.fromkeys(_joined(snapshot, clauses, unknown.keys()), 0)
    spellings = {word: _spellings(snapshot, word) for words in unknown.values() for word in words}
    for rank in range(max(map(len, spellings.values()))):
        spelt = {
            word: found[min(rank, len(found) - 1)] for word, found in spellings.items() if found
        }
        other = Query(
            tuple(
                _spelt(clause, spelt) if at in unknown else clause
                for at, clause in enumerate(clauses)
            )
        )
        proposals.setdefault(other, sum(spelling.slips for spelling in spelt.values()))
    found = {other: photos for other in proposals if (photos := count(other))}
    likeliest = sorted(found, key=lambda other: _cost(found[other], proposals[other]))
    return tuple((likeliest or list(proposals)[:1])[:limit])


def _unknown_words(snapshot: Snapshot, clause: Clause) -> list[str]:
    """Return the words of the clause, as written, that no photo has and that may be misspelt."""
    if clause.negated or clause.prefix or clause.field is not None or clause.any_of:
        return []
    return [
        token.surface
        for token in analysis.tokenize(clause.text)
        if len(analysis.fold(token.surface)) >= _MIN_LETTERS
        and analysis.fold(token.surface).isalpha()
        and not _is_known(snapshot, token.term)
    ]


def _is_known(snapshot: Snapshot, term: str) -> bool:
    return any(snapshot.frequency(name, term) for name in ("evidence", "doubtful", "text", "keys"))


def _spelt(clause: Clause, spelt: dict[str, _Spelling]) -> Clause:
    """Return the clause with its words replaced."""
    text, end = "", 0
    for token in analysis.tokenize(clause.text):
        word = spelt[token.surface].text if token.surface in spelt else token.surface
        text += clause.text[end : token.start] + word
        end = token.end
    return replace(clause, text=text + clause.text[end:])


def _joined(snapshot: Snapshot, clauses: Sequence[Clause], unknown: Collection[int]) -> list[Query]:
    """Return the query with two of its words written as one that photos have: surf board."""
    proposals = []
    for at, (first, second) in enumerate(pairwise(clauses)):
        plain = first == Clause(first.text) and second == Clause(second.text)
        if plain and (at in unknown or at + 1 in unknown):
            together = first.text + second.text
            terms = analysis.terms(together)
            if len(terms) == 1 and _is_known(snapshot, terms[0]):
                proposals.append(Query((*clauses[:at], Clause(together), *clauses[at + 2 :])))
    return proposals


def _spellings(snapshot: Snapshot, word: str) -> list[_Spelling]:
    """Return words that photos have and that `word` may be meant as, likeliest first."""
    return (_parted(snapshot, word) + _alike(snapshot, word))[:_SPELLINGS]


def _parted(snapshot: Snapshot, word: str) -> list[_Spelling]:
    """Return `word` as two words that stand side by side in captions: teddybear."""
    counts: dict[str, int] = {}
    for at in range(2, len(word) - 1):
        terms = [analysis.terms(part) for part in (word[:at], word[at:])]
        if all(len(found) == 1 and snapshot.frequency("text", found[0]) for found in terms):
            pair: list[str | tuple[int, str]] = [found[0] for found in terms]
            side_by_side = tantivy.Query.phrase_query(snapshot.schema, "text", pair)
            counts[f"{word[:at]} {word[at:]}"] = snapshot.count(side_by_side)
    best = max(counts, key=lambda two: counts[two], default="")
    return [_Spelling(best, 1)] if counts.get(best) else []


def _alike(snapshot: Snapshot, word: str) -> list[_Spelling]:
    """Return words of the library that differ from `word` in a letter or two, likeliest first.

    The first letter counts as right, unless it is one too many or the first two are exchanged.
    """
    folded = despaced(analysis.fold(word))
    is_word = analysis.terms(word)[0] in lexicon()
    reach = 1 if len(folded) <= SHORT_WORD or is_word else 2
    counts: dict[str, int] = {}
    for beginning in {folded[0], folded[1:3], folded[1] + folded[0]}:
        counts.update(snapshot.searcher.terms_with_prefix("forms", beginning))
    forms = [form.split(SEPARATOR) for form in counts]
    wrong = letters_wrong(folded, [form[0] for form in forms])
    close = []
    for (form, key, shown), count, letters in zip(forms, counts.values(), wrong, strict=True):
        if letters <= reach:
            slips = letters + (form[0] != folded[0])
            close.append((_cost(count, slips), spaced(shown), slips, key))
    words: dict[str, _Spelling] = {}
    for _, shown, slips, key in sorted(close):
        words.setdefault(key, _Spelling(shown, slips))
    return list(words.values())


def _cost(photos: int, slips: int) -> float:
    return slips * _SLIP - math.log(photos)


def letters_wrong(word: str, others: Sequence[str]) -> list[int]:
    """Return by how many letters `word` differs from each of `others`.

    Counted are letters too many, missing, wrong, and neighbours exchanged, each of which is
    touched once (optimal string alignment: Damerau 1964).
    """
    # Half of a tenth of a second, which most searches can do without.
    import numpy as np  # noqa: PLC0415

    if not others:
        return []
    lengths = np.fromiter(map(len, others), np.intp, len(others))
    width = int(lengths.max())
    letters = np.array(others, dtype=f"U{width}").view(np.uint32).reshape(len(others), width)
    steps = np.arange(width + 1)
    before = row = np.tile(steps, (len(others), 1))
    code, last = 0, 0
    for at, letter in enumerate(word, 1):
        last, code = code, ord(letter)
        now = np.empty_like(row)
        now[:, 0] = at
        now[:, 1:] = np.minimum(row[:, :-1] + (letters != code), row[:, 1:] + 1)
        if at > 1:
            exchanged = (letters[:, :-1] == code) & (letters[:, 1:] == last)
            swapped = np.where(exchanged, before[:, :-2] + 1, width + len(word))
            now[:, 2:] = np.minimum(now[:, 2:], swapped)
        # A letter too many, wherever it stands.
        now = np.minimum.accumulate(now - steps, axis=1) + steps
        before, row = row, now
    found: list[int] = row[np.arange(len(others)), lengths].tolist()
    return found
