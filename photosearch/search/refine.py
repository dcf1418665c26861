"""Words that would narrow a result, with the number of photos that have them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from photosearch.domain import TermCount
from photosearch.search.index_document import SAMPLE_LEVELS, key_id
from photosearch.search.index_query import Compiled
from photosearch.search.snapshot import Snapshot

SAMPLE_PHOTOS = 1000
"""Up to so many hits are counted exactly; of more, half to all of so many."""


@dataclass(frozen=True, slots=True)
class WordCounts:
    """How many photos of a result, or of a sample of it, have each content word, by its number.

    `size` photos were looked at, each of which stands for `scale` photos of the result.
    """

    counts: Mapping[int, int]
    size: int
    scale: float


def count_words(snapshot: Snapshot, compiled: Compiled, total: int, limit: int) -> WordCounts:
    """Count the `limit` most frequent content words of the `total` photos that match."""
    level = 0
    while total >> level > SAMPLE_PHOTOS and level < SAMPLE_LEVELS:
        level += 1
    sample = compiled.all_of(snapshot.term("sample", f"s{level}")) if level else compiled.all_of()
    found = snapshot.searcher.aggregate(
        sample,
        {
            # All of a segment's words, else those that are rare in one would be counted short.
            "words": {"terms": {"field": "key_ids", "size": limit, "segment_size": 65_000}},
            "photos": {"value_count": {"field": "photo_id"}},
        },
    )
    size = int(found["photos"]["value"])
    counts = {int(bucket["key"]): bucket["doc_count"] for bucket in found["words"]["buckets"]}
    return WordCounts(counts, size, total / size if level and size else 1.0)


def refinements(
    snapshot: Snapshot, compiled: Compiled, total: int, limit: int
) -> tuple[tuple[TermCount, ...], bool]:
    """Return up to `limit` words that narrow a result of `total` photos; True if estimated."""
    found = count_words(snapshot, compiled, total, 2 * limit + len(compiled.own))
    own = {key_id(key) for key in compiled.own}
    words: list[TermCount] = []
    for number, count in found.counts.items():
        if number not in own and count < found.size and len(words) < limit:
            words.append(TermCount(snapshot.word(number).shown, round(count * found.scale)))
    return tuple(words), found.scale > 1
