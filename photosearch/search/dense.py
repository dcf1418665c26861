"""Search by vectors: the nearest of all, exactly, and two rankings made one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

PhotoIds = npt.NDArray[np.int64]

_BITS = np.dtype("<i2")
_SIGN_AND_REST = np.int32(-0x70002000)
_REBIAS = np.float32(2.0**112)
_K = 60


def nearest(
    query: npt.NDArray[np.float32],
    blocks: Iterable[tuple[Sequence[int], bytes]],
    limit: int,
    among: PhotoIds | None = None,
) -> list[int]:
    """Return the photos whose vectors have the largest dot product with `query`, best first.

    `query` is [d]. Each of the `blocks` holds photo ids and their vectors, half floats end to end;
    it is looked at once, and no more than one is held. `among` (sorted) leaves out all others.
    Equal products are ordered by id. Vectors of another width than d are a ValueError.
    """
    best_ids = np.empty(0, np.int64)
    best = np.empty(0, np.float32)
    for block_ids, data in blocks:
        ids = np.asarray(block_ids, np.int64)
        vectors = np.frombuffer(data, _BITS).reshape(len(ids), len(query))
        if among is not None:
            kept = np.isin(ids, among, assume_unique=True)
            ids, vectors = ids[kept], vectors[kept]
        # Not `@`, which shares each block among all cores: where others keep these busy, waiting
        # for them takes twenty times as long as the products.
        scores = np.einsum("ij,j->i", widened(vectors), query)
        ids, scores = np.concatenate((best_ids, ids)), np.concatenate((best, scores))
        if len(ids) > limit:
            # All that equal the last one stay, so that how blocks are cut changes nothing.
            last = np.partition(scores, len(scores) - limit)[len(scores) - limit]
            near = scores >= last
            ids, scores = ids[near], scores[near]
        best_ids, best = ids, scores
    order = np.lexsort((best_ids, -best))[:limit]
    return [int(photo_id) for photo_id in best_ids[order]]


def widened(halves: npt.NDArray[np.int16]) -> npt.NDArray[np.float32]:
    """Return finite half floats, given by their bits, as floats.

    NumPy converts one by one, which takes nine times as long and would be most of a search.
    """
    bits = halves.astype(np.int32)
    bits <<= 13  # Sign, exponent and mantissa are where they belong, but for copies of the sign.
    bits &= _SIGN_AND_REST
    floats = bits.view(np.float32)
    floats *= _REBIAS  # Exponents count from -127, not from -15.
    return floats


def fuse(rankings: Iterable[Sequence[int]]) -> list[tuple[int, float]]:
    """Return all photos of the rankings with their fused scores, best first.

    Reciprocal rank fusion: Cormack, Clarke and Büttcher, SIGIR 2009, k = 60. Of equals, what comes
    first in an earlier ranking stays first.
    """
    scores: dict[int, float] = {}
    for ranking in rankings:
        for rank, photo_id in enumerate(ranking, 1):
            scores[photo_id] = scores.get(photo_id, 0.0) + 1 / (_K + rank)
    return sorted(scores.items(), key=lambda found: -found[1])
