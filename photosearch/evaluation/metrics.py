"""Retrieval measures of Nakata et al., "Rethinking Sparse Lexical Representations …", section 4."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Curve:
    """Precision and recall at depths of the ranking, micro-averaged over queries (Eq. 5, 6).

    P@k divides by k even where fewer photos are relevant, so a perfect ranking has no area of 1.
    """

    depths: tuple[int, ...]
    recall: tuple[float, ...]
    precision: tuple[float, ...]

    @property
    def area(self) -> float:
        """PR-AUC by the trapezoid rule, from recall 0 at the first depth's precision."""
        # Without that first part a perfect start would earn nothing.
        recall = np.concatenate(([0.0], self.recall))
        precision = np.concatenate((self.precision[:1], self.precision))
        return float(np.trapezoid(precision, recall))


@dataclass(frozen=True, slots=True)
class RankingQuality:
    """The curve of a ranking beside that of the perfect one for the same queries and photos."""

    curve: Curve
    ideal: Curve

    @property
    def pr_auc(self) -> float:
        """PR-AUC of the ranking."""
        return self.curve.area

    @property
    def perfect(self) -> float:
        """PR-AUC of the perfect ranking."""
        return self.ideal.area

    @property
    def share(self) -> float:
        """PR-AUC as a share of the perfect ranking's."""
        return self.pr_auc / self.perfect


def depths(photo_count: int) -> IntArray:
    """Return the powers of two below the number of photos, and that number."""
    powers = 2 ** np.arange(max(photo_count, 1).bit_length())
    return np.append(powers[powers < photo_count], photo_count)


def quality(
    rankings: Iterable[IntArray], relevant: Sequence[IntArray], photo_count: int
) -> RankingQuality:
    """Return the quality of `rankings`, which hold photo numbers, best first, query by query.

    `relevant` holds the numbers of each query's relevant photos, none twice. A ranking may leave
    photos out: they count as not found. ValueError where no photo is relevant to any query.
    """
    at = depths(photo_count)
    wanted = sum(len(numbers) for numbers in relevant)
    if not wanted:
        raise ValueError("no photo is relevant to any query")
    found = np.zeros(len(at), dtype=np.int64)
    ideal = np.zeros(len(at), dtype=np.int64)
    is_relevant = np.zeros(photo_count, dtype=bool)
    for ranking, numbers in zip(rankings, relevant, strict=True):
        is_relevant[numbers] = True
        hits = np.concatenate(([0], np.cumsum(is_relevant[ranking])))
        found += hits[np.minimum(at, len(ranking))]
        ideal += np.minimum(at, len(numbers))
        is_relevant[numbers] = False
    return RankingQuality(
        *(
            Curve(
                tuple(at.tolist()),
                tuple((hits / wanted).tolist()),
                tuple((hits / (at * len(relevant))).tolist()),
            )
            for hits in (found, ideal)
        )
    )


def measure(
    rank: Callable[[str], Sequence[str]], labels: Mapping[str, Sequence[str]]
) -> RankingQuality:
    """Return the quality of `rank`, which maps a query to photo names, best first.

    `labels` maps each photo's name to its true labels; every label that occurs is a query.
    """
    numbers = {name: number for number, name in enumerate(labels)}
    relevant: dict[str, list[int]] = {}
    for name, words in labels.items():
        for word in dict.fromkeys(words):
            relevant.setdefault(word, []).append(numbers[name])
    rankings = (
        np.array([numbers[name] for name in rank(query)], dtype=np.int64) for query in relevant
    )
    return quality(
        rankings, [np.array(found, dtype=np.int64) for found in relevant.values()], len(labels)
    )


def positions(rankings: Iterable[IntArray], targets: Sequence[int]) -> FloatArray:
    """Return at which place, from 1, each ranking has its target; infinity where it lacks it."""
    places = np.full(len(targets), np.inf)
    for query, (ranking, target) in enumerate(zip(rankings, targets, strict=True)):
        at = np.flatnonzero(ranking == target)
        if len(at):
            places[query] = at[0] + 1
    return places


def recall_at(places: FloatArray, depth: int) -> float:
    """Return R@`depth`: the share of queries whose target is among the first `depth` photos."""
    return float(np.mean(places <= depth))
