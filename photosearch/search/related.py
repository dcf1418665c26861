"""Words that go with a result, and the photos that have them instead of the words asked for.

Which words tell a result from the rest of the library is read off the captions themselves
(pseudo-relevance feedback: Croft and Harper 1979; the weights are those of a naive Bayes
classifier). A photo with plates, a table and food may well show a fork that no caption names.
"""

from __future__ import annotations

import math

from tantivy import Occur

from photosearch.search.index_query import Compiled
from photosearch.search.refine import count_words
from photosearch.search.snapshot import Scored, Snapshot, boolean, constant

ASSOCIATES = 50
"""So many words tell what goes with a result."""
MOST_POSTINGS = 250_000
"""Photos of all these words together: what is looked through in some milliseconds. It only counts
in large libraries, where the rarer words then tell."""
LEAST_EXAMPLES = 3
"""Fewer hits are no ground to learn from."""

_CANDIDATES = 400
_SMOOTHING = 0.1


def associates(snapshot: Snapshot, compiled: Compiled, total: int) -> dict[str, float]:
    """Return the keys of words that tell the `total` matches from other photos, with weights.

    A weight is the logarithm of how much more frequent the word is there. Empty where there are
    too few matches to tell.
    """
    if total < LEAST_EXAMPLES or total >= snapshot.photo_count:
        return {}
    found = count_words(snapshot, compiled, total, _CANDIDATES)
    scale = total / found.size
    gains: dict[str, tuple[float, float]] = {}
    for number, count in found.counts.items():
        key = snapshot.word(number).key
        elsewhere = snapshot.frequency("keys", key) - count * scale
        there = (count + _SMOOTHING) / (found.size + 2 * _SMOOTHING)
        rest = snapshot.photo_count - total
        weight = math.log(there * (rest + 2 * _SMOOTHING) / (max(0, elsewhere) + _SMOOTHING))
        if weight > 0 and key not in compiled.own:
            gains[key] = (count * weight, weight)
    best: dict[str, float] = {}
    left = MOST_POSTINGS
    for key in sorted(gains, key=lambda key: (-gains[key][0], key)):
        having = snapshot.frequency("keys", key)
        if having <= left and len(best) < ASSOCIATES:
            best[key] = gains[key][1]
            left -= having
    return best


def search_related(
    snapshot: Snapshot, compiled: Compiled, words: dict[str, float], limit: int, offset: int
) -> tuple[int, list[Scored]]:
    """Return how many photos have any of `words` and match no word of the query, and a page."""
    if not words:
        return 0, []
    likes = [constant(snapshot.term("keys", key), weight) for key, weight in words.items()]
    query = compiled.within(boolean(Occur.Should, likes), compiled.possible)
    return snapshot.search(query, limit, offset)
