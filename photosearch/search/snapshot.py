"""The search index as of one commit: what everything that reads it asks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import tantivy
from tantivy import Occur

from photosearch.search import analysis
from photosearch.search.index_document import SEPARATOR, id_text

Scored = tuple[float, tantivy.DocAddress]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The index as of one commit. `words` remembers the words asked for so far, by number."""

    generation: Path
    stamp: tuple[int, ...]
    index: tantivy.Index
    searcher: tantivy.Searcher
    words: dict[int, analysis.Word] = field(default_factory=dict)

    @property
    def schema(self) -> tantivy.Schema:
        """The fields of the index."""
        return self.index.schema

    @property
    def photo_count(self) -> int:
        """Number of photos in the index."""
        return int(self.searcher.num_docs)

    def search(
        self, query: tantivy.Query, limit: int, offset: int = 0, *, newest_first: bool = False
    ) -> tuple[int, list[Scored]]:
        """Return how many photos match, and a page of them with their scores, best first."""
        result = self.searcher.search(
            query, max(1, limit), offset=offset, order_by_field="newest" if newest_first else None
        )
        hits = result.hits[:limit]
        total = int(result.count)  # type: ignore[attr-defined]  # forgotten in Tantivy's stubs
        return total, [(0.0, at) for _, at in hits] if newest_first else hits

    def count(self, query: tantivy.Query) -> int:
        """Return how many photos match; faster than a search, which scores them."""
        found = self.searcher.aggregate(query, {"all": {"value_count": {"field": "photo_id"}}})
        return int(found["all"]["value"])

    def photo_ids(self, hits: Sequence[Scored]) -> tuple[int, ...]:
        """Return the photos of these hits."""
        ids = self.searcher.fast_field_values("photo_id", [hit[1] for hit in hits])
        return tuple(int(photo_id) for photo_id in ids if photo_id is not None)

    def term(self, name: str, term: str, option: str = "basic") -> tantivy.Query:
        """Match photos that have `term` in the field `name`."""
        return tantivy.Query.term_query(self.schema, name, term, option)

    def frequency(self, name: str, term: str) -> int:
        """Return how many photos have `term` in the field `name`."""
        return int(self.searcher.doc_freq(name, term))

    def word(self, number: int) -> analysis.Word:
        """Return the content word of this number (see `index_document.key_id`)."""
        word = self.words.get(number)
        if word is None:
            found = self.searcher.terms_with_prefix("shown", id_text(number))
            parts = [form.split(SEPARATOR) for form, _ in found]
            forms = {shown: count for (_, _, shown), (_, count) in zip(parts, found, strict=True)}
            # Two words may share a number: the commonest gives its key, too.
            shown = analysis.display_form(forms)
            key = next(key for _, key, form in parts if form == shown)
            word = self.words[number] = analysis.Word(key, analysis.spaced(shown))
        return word


def boolean(
    occur: Occur,
    wanted: Sequence[tantivy.Query],
    unwanted: Sequence[tantivy.Query] = (),
    at_least: int | None = None,
) -> tantivy.Query:
    """Match all or any (`occur`) of `wanted`, or any `at_least` so many, and none of `unwanted`."""
    if len(wanted) == 1 and not unwanted:
        return wanted[0]
    return tantivy.Query.boolean_query(
        [(occur, query) for query in wanted] + [(Occur.MustNot, query) for query in unwanted],
        minimum_number_should_match=at_least,
    )


def constant(query: tantivy.Query, score: float = 0.0) -> tantivy.Query:
    """Match as `query` does, with the same score for all."""
    return tantivy.Query.const_score_query(query, score)
