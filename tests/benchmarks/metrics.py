"""Retrieval measures of Nakata et al., "Rethinking Sparse Lexical Representations …", section 4."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class RankingQuality:
    """PR-AUC of a ranking and of the perfect one on the same photos, and the points behind it.

    `points` are (k, R@k, P@k), micro-averaged over all queries.
    """

    pr_auc: float
    perfect: float
    points: tuple[tuple[int, float, float], ...]

    @property
    def share(self) -> float:
        """PR-AUC as a share of the perfect ranking's."""
        return self.pr_auc / self.perfect


def measure(
    rank: Callable[[str], Sequence[str]], labels: Mapping[str, Sequence[str]]
) -> RankingQuality:
    """Return the quality of `rank`, which maps a query to photo names, best first.

    `labels` maps each photo's name to its true labels; every label that occurs is a query.
    A ranking may leave photos out. Source: equations 5 and 6, k in powers of two up to the
    number of photos, trapezoid rule.
    """
    relevant: dict[str, set[str]] = {}
    for name, words in labels.items():
        for word in words:
            relevant.setdefault(word, set()).add(name)
    found = {query: [name in names for name in rank(query)] for query, names in relevant.items()}
    ideal = {query: [True] * len(names) for query, names in relevant.items()}
    relevant_count = sum(len(names) for names in relevant.values())
    points = _points(found, relevant_count, len(labels))
    return RankingQuality(
        pr_auc=_area(points),
        perfect=_area(_points(ideal, relevant_count, len(labels))),
        points=tuple(points),
    )


def _points(
    found: Mapping[str, Sequence[bool]], relevant_count: int, photo_count: int
) -> list[tuple[int, float, float]]:
    depths = [1]
    while depths[-1] * 2 < photo_count:
        depths.append(depths[-1] * 2)
    if depths[-1] != photo_count:
        depths.append(photo_count)
    points = []
    for k in depths:
        hits = sum(sum(flags[:k]) for flags in found.values())
        points.append((k, hits / relevant_count, hits / (k * len(found))))
    return points


def _area(points: Sequence[tuple[int, float, float]]) -> float:
    # From recall 0 at the first point's precision: else a perfect start would earn nothing.
    area = points[0][1] * points[0][2]
    for (_, recall, precision), (_, next_recall, next_precision) in pairwise(points):
        area += (next_recall - recall) * (precision + next_precision) / 2
    return area
