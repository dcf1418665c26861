"""What a result is asked of: by words, or fused with CLIP's ranking. Asked in threads only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from photosearch.domain import Clause, Hit, Query, SearchResults
from photosearch.gui.background import Lane
from photosearch.gui.clause_text import completion_clause
from photosearch.gui.draft import without_open_field

if TYPE_CHECKING:
    from photosearch.library import PhotoLibrary

PAGE_HITS = 200
_HEAD_HITS = 2000
_REFINE_WORDS = 24
_RELATED_HITS = 60

Pages = dict[int, tuple[Hit, ...]]
"""Hits that match, by the number of their page."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A result, and the word that stands in for the unfinished last one if it does."""

    results: SearchResults
    completed: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """The ranking that a query's hits come from; a `fused` one may take seconds to ask."""

    library: PhotoLibrary
    query: Query
    fused: bool = False

    @property
    def lane(self) -> Lane:
        """Where to wait for it."""
        return Lane.DESCRIPTIONS if self.fused else Lane.QUERY

    def first(self) -> SearchResults | None:
        """Return the first hits, with counts; None where words alone decide but should not.

        The first page by words has all related photos behind it where it holds all that match.
        """
        return self._fused_head() if self.fused else _search(self.library, self.query)

    def pages(self, numbers: Iterable[int]) -> Pages:
        """Return pages, those that follow each other in one go."""
        found: Pages = {}
        for run in _runs(numbers):
            offset, limit = run.start * PAGE_HITS, len(run) * PAGE_HITS
            results = None
            if self.fused:
                results = self.library.search_hybrid(self.query, limit=limit, offset=offset)
            if results is None:
                results = self.library.search(self.query, limit=limit, offset=offset)
            found |= paged(results.hits, run)
        return found

    def _fused_head(self) -> SearchResults | None:
        found = self.library.search_hybrid(self.query, limit=_HEAD_HITS, refine=_REFINE_WORDS)
        if found is None:
            return None
        # Its one order has no part that matches less.
        return replace(found, total=found.total + found.partial_total, partial_total=0)


def paged(hits: Sequence[Hit], numbers: range | None = None) -> Pages:
    """Cut `hits` that match into pages, from number 0 on or as `numbers` says."""
    hits = [hit for hit in hits if not hit.related]
    if numbers is None:
        numbers = range(max(1, -(-len(hits) // PAGE_HITS)))
    starts = range(0, len(numbers) * PAGE_HITS, PAGE_HITS)
    return {
        number: tuple(hits[start : start + PAGE_HITS])
        for number, start in zip(numbers, starts, strict=True)
    }


def ask(library: PhotoLibrary, clauses: Sequence[Clause], draft: str) -> Answer:
    """Return the first hits by words for `clauses` and what `draft` says."""
    draft = without_open_field(draft)
    drafted = library.parse(draft).clauses if draft.strip() else ()
    query = Query(tuple(clauses))
    for clause in drafted:
        query = query.adding(clause)
    last = drafted[-1] if drafted and not draft[-1:].isspace() else None
    results = _search(library, query)
    if results.total or last is None or last != Clause(last.text) or last.phrase:
        return Answer(results)
    # The last word may be half typed: show what it is about to become.
    rest = query.without(last)
    completions = library.complete(last.text, rest, limit=1)
    if not completions or not completions[0].count:
        return Answer(results)
    word = completions[0].word
    finished = _search(library, rest.adding(completion_clause(word)))
    return Answer(finished, word) if finished.total else Answer(results)


def _search(library: PhotoLibrary, query: Query) -> SearchResults:
    results = library.search(query, limit=PAGE_HITS, refine=_REFINE_WORDS)
    found = results.total + results.partial_total
    if not query or not 0 < found <= PAGE_HITS:
        return results
    behind = library.search(query, limit=_RELATED_HITS, offset=found, related=_RELATED_HITS)
    known = {hit.photo_id for hit in results.hits}
    related = tuple(hit for hit in behind.hits if hit.related and hit.photo_id not in known)
    return replace(
        results,
        hits=results.hits + related,
        related_total=len(related),
        took_ms=results.took_ms + behind.took_ms,
    )


def _runs(numbers: Iterable[int]) -> list[range]:
    runs: list[range] = []
    for number in sorted(set(numbers)):
        if runs and runs[-1].stop == number:
            runs[-1] = range(runs[-1].start, number + 1)
        else:
            runs.append(range(number, number + 1))
    return runs
