"""Words that would narrow a result, with the number of photos that they leave.

Offered are the words that split a result best. A word of a share p of the photos is worth about
-p log p: what a person who looks for one of them learns on average by choosing it. Words that
photos have for which others are offered already are worth less, so that few words serve all.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import tantivy
from tantivy import Occur

from photosearch.domain import Clause, Query, TermCount
from photosearch.search import analysis
from photosearch.search.conditions import conditions
from photosearch.search.index_document import SAMPLE_LEVELS, key_id
from photosearch.search.index_query import Compiled, compile_query, no_evidence
from photosearch.search.lexicon import lexicon
from photosearch.search.snapshot import Snapshot, boolean

SAMPLE_PHOTOS = 1000
"""Up to so many hits are counted exactly; of more, half to all of so many."""

# tests/benchmarks/chips_quality.py measures what these are good for.
_CANDIDATES = 160
_POOL = 80
_SPLIT = 0.85
"""Of p in -p log p; less than 1 favours the rarer of two words."""
_TELLING = 0.25
"""How much it counts that a word is more frequent here than in the library."""
_FEW_PHOTOS = 4
"""Of so many and more a word that only one has is not offered: that one is on screen."""
_REPEATED = 0.3
"""What a photo counts for each further word of its own that is offered."""
_MOST_REPEATS = 4
_PAIR_PHOTOS = 128
_PAIR_WORDS = 10_000
"""Up to so many photos, and words of theirs, tell which words go together."""
_MOST_WORDS = 1000  # of one photo
_COUNTED_WELL = 500_000
"""In a library of so many photos a word counts by those that say it unless it finds three times as
many: to count what it finds takes half a millisecond there."""


@dataclass(frozen=True, slots=True)
class WordCounts:
    """How many photos of a result, or of a sample of it, have each content word, by its number.

    `size` photos were looked at, each of which stands for `scale` photos of the result; they have
    `words` words in all.
    """

    counts: Mapping[int, int]
    size: int
    scale: float
    words: int = 0


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A word that may be offered: `photos` are those of the sample that have it, one a bit."""

    word: analysis.Word
    count: int
    weight: float
    photos: int = 0


def count_words(snapshot: Snapshot, compiled: Compiled, total: int, limit: int) -> WordCounts:
    """Count the `limit` most frequent content words of the `total` photos that match."""
    query, is_sample = _sample(snapshot, compiled, total, SAMPLE_PHOTOS)
    found = snapshot.searcher.aggregate(
        query,
        {
            # All of a segment's words, else those that are rare in one would be counted short.
            "words": {"terms": {"field": "key_ids", "size": limit, "segment_size": 65_000}},
            "photos": {"value_count": {"field": "photo_id"}},
            "all_words": {"value_count": {"field": "key_ids"}},
        },
    )
    size = int(found["photos"]["value"])
    counts = {int(bucket["key"]): bucket["doc_count"] for bucket in found["words"]["buckets"]}
    scale = total / size if is_sample and size else 1.0
    return WordCounts(counts, size, scale, int(found["all_words"]["value"]))


def refinements(
    snapshot: Snapshot, compiled: Compiled, total: int, limit: int
) -> tuple[tuple[TermCount, ...], bool]:
    """Return up to `limit` words that split a result of `total` photos; True if estimated.

    Neither the words of the query nor what goes without saying with them, nor two words side by
    side of which one stands for the other.
    """
    found = count_words(snapshot, compiled, total, _CANDIDATES + len(compiled.own))
    candidates = _candidates(snapshot, compiled, found)
    mean_words = max(1, found.words // max(1, found.size))
    photos = _photos_of_words(
        snapshot, compiled, total, max(16, min(_PAIR_PHOTOS, _PAIR_WORDS // mean_words))
    )
    chosen = _choose(
        [
            _Candidate(c.word, c.count, c.weight, photos.get(key_id(c.word.key), 0))
            for c in candidates
        ],
        limit,
        found.size,
        lambda candidate: _finding(snapshot, compiled, total, candidate),
    )
    words = tuple(TermCount(c.word.shown, round(c.count * found.scale)) for c in chosen)
    return words, found.scale > 1


def _sample(
    snapshot: Snapshot, compiled: Compiled, total: int, most: int
) -> tuple[tantivy.Query, bool]:
    """Match all photos of the result, or so many of them at random; True for a sample."""
    level = 0
    while total >> level > most and level < SAMPLE_LEVELS:
        level += 1
    if not level:
        return compiled.all_of(), False
    return compiled.all_of(snapshot.term("sample", f"s{level}")), True


def _candidates(snapshot: Snapshot, compiled: Compiled, found: WordCounts) -> list[_Candidate]:
    """Return the words that split the result best, each taken for itself."""
    own = {key_id(key) for key in _said(compiled.own)}
    least = 2 if found.size >= _FEW_PHOTOS else 1
    library = snapshot.photo_count
    candidates = []
    for number, count in found.counts.items():
        if number in own or not least <= count < found.size:
            continue
        word = snapshot.word(number)
        share = count / found.size
        at_least = max(count - math.sqrt(count), 0.5) / found.size  # few may be chance
        everywhere = max(snapshot.frequency("keys", word.key), 1) / max(library, 1)
        telling = 1 + _TELLING * math.log(at_least / everywhere)
        weight = share**_SPLIT * -math.log(share) * max(0.1, min(telling, 2.0))
        candidates.append(_Candidate(word, count, weight))
    candidates.sort(key=lambda c: (-c.weight, c.word.key))
    return candidates[:_POOL]


def _photos_of_words(
    snapshot: Snapshot, compiled: Compiled, total: int, most: int
) -> dict[int, int]:
    """Return which photos of a sample have each word, by its number, one a bit."""
    query, _ = _sample(snapshot, compiled, total, most)
    words = {"terms": {"field": "key_ids", "size": _MOST_WORDS}}
    found = snapshot.searcher.aggregate(
        query, {"photos": {"terms": {"field": "photo_id", "size": most}, "aggs": {"words": words}}}
    )
    photos: dict[int, int] = {}
    for at, photo in enumerate(found["photos"]["buckets"]):
        for bucket in photo["words"]["buckets"]:
            number = int(bucket["key"])
            photos[number] = photos.get(number, 0) | 1 << at
    return photos


def _finding(snapshot: Snapshot, compiled: Compiled, total: int, candidate: _Candidate) -> int:
    """Return how many photos of the result, or of its sample, a word finds: by synonyms, too."""
    word = candidate.word
    saying, finding = (snapshot.frequency(name, word.key) for name in ("keys", "evidence"))
    is_large = snapshot.photo_count >= _COUNTED_WELL
    by_parts = analysis.SPACE in word.key and not is_large  # may be found by them
    if not by_parts and finding <= saying * (3 if is_large else 1):
        return candidate.count
    query, _ = _sample(snapshot, compiled, total, SAMPLE_PHOTOS)
    asked = compile_query(snapshot, conditions(Query((Clause(word.shown),))), no_evidence)
    return snapshot.count(boolean(Occur.Must, (query, asked.all_of())))


def _choose(
    candidates: Sequence[_Candidate],
    limit: int,
    size: int,
    finding: Callable[[_Candidate], int],
) -> list[_Candidate]:
    """Return the words that serve as many of `size` photos as possible, best first.

    Each with the number of those that it finds, for these are left when it is added.
    """
    chosen: list[_Candidate] = []
    # Photos by the number of words that they have among the chosen: all have none.
    reached = [-1] + [0] * _MOST_REPEATS
    # What a word is worth only falls with those chosen before it: the best of old values that
    # still holds is the best.
    heap = [(-c.weight, at) for at, c in enumerate(candidates)]
    heapq.heapify(heap)
    while heap and len(chosen) < limit:
        old, at = heapq.heappop(heap)
        candidate = candidates[at]
        value = candidate.weight * _novelty(candidate.photos, reached)
        if value < -old - 1e-9:
            heapq.heappush(heap, (-value, at))
            continue
        if any(_stand_for_each_other(candidate.word.key, other.word.key) for other in chosen):
            continue
        count = finding(candidate)
        if not 0 < count < size:  # "animal", where all have a cat or a dog
            continue
        chosen.append(replace(candidate, count=count))
        for repeats in range(_MOST_REPEATS, 0, -1):
            more = reached[repeats - 1] & candidate.photos
            reached[repeats - 1] &= ~more
            reached[repeats] |= more
    return chosen


def _novelty(photos: int, reached: Sequence[int]) -> float:
    count = photos.bit_count()
    if not count:
        return 1.0
    counted = ((photos & having).bit_count() * _REPEATED**n for n, having in enumerate(reached))
    return sum(counted) / count


def _said(own: Iterable[str]) -> set[str]:
    """Return the words of a query, their parts, other words for them, and what they are."""
    said: set[str] = set()
    for key in own:
        said.update((key, *key.split(analysis.SPACE)), _names(key))
    return said


def _stand_for_each_other(key: str, other: str) -> bool:
    parts, others = set(key.split(analysis.SPACE)), set(other.split(analysis.SPACE))
    return parts <= others or others <= parts or key in _names(other) or other in _names(key)


@lru_cache(maxsize=1 << 14)
def _names(key: str) -> frozenset[str]:
    """Return other words for a word, and broader ones."""
    return frozenset(relation.term for relation in lexicon().relations(key))
