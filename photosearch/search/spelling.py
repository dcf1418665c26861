"""Other spellings of words that no photo has: "did you mean"."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, replace

import tantivy

from photosearch.domain import Clause, Query
from photosearch.search import analysis
from photosearch.search.folding import fold
from photosearch.search.index_document import SEPARATOR
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
    proposals = dict.fromkeys(_joined(snapshot, clauses, unknown.keys()), 1)
    spellings = {at: _spellings(snapshot, clauses[at], words) for at, words in unknown.items()}
    for rank in range(max(map(len, spellings.values()))):
        chosen = {at: found[min(rank, len(found) - 1)] for at, found in spellings.items() if found}
        other = [
            replace(clause, text=chosen[at].text) if at in chosen else clause
            for at, clause in enumerate(clauses)
        ]
        proposals.setdefault(Query(tuple(other)), sum(one.slips for one in chosen.values()))
    found = {other: photos for other in proposals if (photos := count(other))}
    likeliest = sorted(found, key=lambda other: _cost(found[other], proposals[other]))
    # Beside others a known word finds partial matches; alone it has just found nothing.
    in_part = list(proposals)[:1] if len(clauses) > 1 else []
    return tuple((likeliest or in_part)[:limit])


def _unknown_words(snapshot: Snapshot, clause: Clause) -> list[str]:
    """Return the words of the clause, as written, that no photo has and that may be misspelt."""
    if clause.negated or clause.prefix or clause.field is not None or clause.any_of:
        return []
    if ":" in clause.text:
        # A field whose value makes no sense, an address, a time.
        return []
    return [
        token.surface
        for token in analysis.tokenize(clause.text)
        if _MIN_LETTERS <= len(fold(token.surface)) <= analysis.MAX_WORD
        and fold(token.surface).isalpha()
        and not _is_known(snapshot, token.term)
    ]


def _is_known(snapshot: Snapshot, term: str) -> bool:
    return any(snapshot.frequency(name, term) for name in ("evidence", "doubtful", "text", "keys"))


def _joined(snapshot: Snapshot, clauses: Sequence[Clause], unknown: Set[int]) -> list[Query]:
    """Return the query with two of its words written as one that photos have: surf board."""
    proposals = []
    for start in range(len(clauses)):
        # Two words side by side may have been read as one phrase.
        end = start + (1 if clauses[start].phrase else 2)
        some = clauses[start:end]
        together = "".join(clause.text for clause in some).replace(" ", "")
        terms = analysis.terms(together)
        if (
            not unknown.isdisjoint(range(start, end))
            and all(clause in (Clause(clause.text), Clause(clause.text, True)) for clause in some)
            and len(terms) == 1
            and _is_known(snapshot, terms[0])
        ):
            proposals.append(Query((*clauses[:start], Clause(together), *clauses[end:])))
    return proposals


def _spellings(snapshot: Snapshot, clause: Clause, words: Sequence[str]) -> list[_Spelling]:
    """Return what the clause, in which `words` are unknown, may be meant as, likeliest first."""
    compounds = _alike(snapshot, clause.text) if clause.phrase else []
    found = [spelling for spelling in compounds if " " in spelling.text]
    by_word = {word: _parted(snapshot, word) + _alike(snapshot, word) for word in words}
    for rank in range(min(map(len, by_word.values()))):
        text, end, slips = "", 0, 0
        for token in analysis.tokenize(clause.text):
            text += clause.text[end : token.start]
            if token.surface in by_word:
                spelling = by_word[token.surface][rank]
                text, slips = text + spelling.text, slips + spelling.slips
            else:
                text += token.surface
            end = token.end
        found.append(_Spelling(text + clause.text[end:], slips))
    return found[:_SPELLINGS]


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
    folded = fold(word)
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
            close.append((_cost(count, slips), analysis.spaced(shown), slips, key))
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
