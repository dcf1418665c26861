"""The experiments: each takes a data set and rankers, and gives a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random

import numpy as np

from photosearch.domain import Caption
from photosearch.errors import UsageError
from photosearch.evaluation.datasets import EvaluationSet, human_documents
from photosearch.evaluation.metrics import IntArray, depths, positions, quality, recall_at
from photosearch.evaluation.rankers import AppRanker, Ranker
from photosearch.evaluation.report import Line, Report, Row

_RECALLS = (1, 5, 10)
_PRECISIONS = (1, 16)


def documents(data: EvaluationSet, *, without: int | None = None) -> list[tuple[Caption, ...]]:
    """Return what is to be searched: models' captions, else those of people, less one of these.

    `without` is the place of the one that is left out.
    """
    if any(item.documents for item in data.items):
        return [item.documents for item in data.items]
    return [
        human_documents([text for at, text in enumerate(item.captions) if at != without])
        for item in data.items
    ]


def labels(
    data: EvaluationSet, rankers: Sequence[Ranker], *, names: Mapping[str, str] | None = None
) -> Report:
    """Measure each label as a query: PR-AUC, beside that of the perfect ranking (Table 1, Fig. 4).

    `names` says what is typed for a label, where that is not the label itself.
    """
    relevant = _relevant(data)
    queries = [(names or {}).get(label, label) for label in relevant]
    return _ranking_report(
        f"Labels as queries: {data.name}, {len(data)} photos, {len(queries)} labels",
        queries,
        list(relevant.values()),
        rankers,
        len(data),
    )


def categories(
    data: EvaluationSet, rankers: Sequence[Ranker], *, names: Mapping[str, str] | None = None
) -> Report:
    """Measure each label by itself: PR-AUC as a share of the perfect ranking's (Fig. 8)."""
    relevant = _relevant(data)
    shares = {
        ranker.name: [
            quality(
                [ranker.rank((names or {}).get(label, label), len(data))], [numbers], len(data)
            ).share
            for label, numbers in relevant.items()
        ]
        for ranker in rankers
    }
    found = list(relevant)
    # The commonest first: what is rare is judged by few photos.
    order = sorted(range(len(found)), key=lambda at: (-len(relevant[found[at]]), found[at]))
    return Report(
        f"Labels one by one, share of the perfect ranking: {data.name}, {len(data)} photos",
        ("label", "photos", *shares),
        tuple(
            (found[at], len(relevant[found[at]]), *(values[at] for values in shares.values()))
            for at in order
        ),
        tuple(
            Line(name, tuple(range(1, len(order) + 1)), tuple(values[at] for at in order))
            for name, values in shares.items()
        ),
        ("labels, commonest first", "share of the perfect ranking"),
    )


def joined(
    data: EvaluationSet, rankers: Sequence[Ranker], *, count: int | None = None, seed: int = 0
) -> Report:
    """Measure the labels of a photo as one query: all of them, or `count` drawn at random.

    Relevant are the photos that have all of these; R@k asks for the photo itself, PR-AUC takes
    each set of labels once.
    """
    random = Random(seed)
    relevant = _relevant(data)
    sets: list[tuple[str, ...]] = []
    targets: list[int] = []
    for number, item in enumerate(data.items):
        if item.labels and len(item.labels) >= (count or 2):
            chosen = random.sample(item.labels, count) if count else item.labels
            sets.append(tuple(sorted(chosen)))
            targets.append(number)
    if not sets:
        raise UsageError(f"No photo of {data.name} has {count or 2} labels or more.")
    distinct = sorted(set(sets))
    both = [_having_all(relevant, chosen) for chosen in distinct]
    rows: list[Row] = []
    lines = []
    ideal = None
    for ranker in rankers:
        rankings = {chosen: ranker.rank(" ".join(chosen), len(data)) for chosen in distinct}
        found = quality([rankings[chosen] for chosen in distinct], both, len(data))
        ideal = found.ideal
        places = positions([rankings[chosen] for chosen in sets], targets)
        rows.append(
            (
                ranker.name,
                found.pr_auc,
                found.perfect,
                found.share,
                *(recall_at(places, depth) for depth in _RECALLS),
            )
        )
        lines.append(Line(ranker.name, found.curve.recall, found.curve.precision))
    if ideal is not None:
        lines.append(Line("perfect", ideal.recall, ideal.precision))
    what = f"{count} labels of a photo" if count else "All labels of a photo (2 and more)"
    return Report(
        f"{what} as one query: {data.name}, {len(sets)} queries, {len(distinct)} different ones",
        ("ranking", "PR-AUC", "perfect", "share", *(f"R@{depth}" for depth in _RECALLS)),
        tuple(rows),
        tuple(lines),
        ("recall", "precision"),
    )


def captions(data: EvaluationSet, rankers: Sequence[Ranker], *, which: int = 0) -> Report:
    """Measure a caption of a person as the query for its photo (Table 2)."""
    queries = [item.captions[which] for item in data.items]
    rows: list[Row] = []
    lines = []
    for ranker in rankers:
        rankings = [ranker.rank(query, _RECALLS[-1]) for query in queries]
        places = positions(rankings, range(len(queries)))
        recalls = tuple(recall_at(places, depth) for depth in _RECALLS)
        rows.append((ranker.name, *recalls))
        lines.append(Line(ranker.name, _RECALLS, recalls))
    return Report(
        f"Caption {which + 1} as the query: {data.name}, {len(queries)} photos",
        ("ranking", *(f"R@{depth}" for depth in _RECALLS)),
        tuple(rows),
        tuple(lines),
        ("photos looked at", "recall"),
    )


def captioned(data: EvaluationSet, which: int = 0) -> EvaluationSet:
    """Return the photos with a caption number `which` of a person, and something to be found by."""
    items = tuple(
        item
        for item in data.items
        if len(item.captions) > which and (item.documents or len(item.captions) > 1)
    )
    if not items:
        raise UsageError(
            f"{data.name} holds no photo with {max(which + 1, 2)} captions of people: one is the "
            "query, the others are searched, unless captions of a model are."
        )
    return EvaluationSet(data.name, items)


def feedback(
    data: EvaluationSet, rankers: Sequence[Ranker], *, steps: int = 5, seed: int = 0
) -> Report:
    """Measure R@1 as the labels of a photo are added to the query one by one (Fig. 6).

    Labels come in random order; a photo that has fewer of them keeps its last query. For
    photosearch also with the words that it offers: somebody types the first label and adds, step by
    step, the first offered word that the first human caption or the labels of the photo hold.
    """
    random = Random(seed)
    chosen = {
        number: random.sample(item.labels, len(item.labels))
        for number, item in enumerate(data.items)
        if item.labels
    }
    if not chosen:
        raise UsageError(f"{data.name} has no labels.")
    targets = list(chosen)
    found: dict[str, list[float]] = {}
    for ranker in rankers:
        ranked: dict[str, IntArray] = {}
        for step in range(1, steps + 1):
            queries = [" ".join(words[:step]) for words in chosen.values()]
            for query in queries:
                if query not in ranked:
                    ranked[query] = ranker.rank(query, 1)
            places = positions([ranked[query] for query in queries], targets)
            found.setdefault(ranker.name, []).append(recall_at(places, 1))
        if isinstance(ranker, AppRanker):
            found[f"{ranker.name}, offered words"] = _with_chips(data, ranker, chosen, steps)
    at = tuple(range(1, steps + 1))
    return Report(
        f"Labels added one by one, R@1: {data.name}, {len(targets)} photos with labels",
        ("ranking", *(f"{step} label{'s' if step > 1 else ''}" for step in at)),
        tuple((name, *recalls) for name, recalls in found.items()),
        tuple(Line(name, at, tuple(recalls)) for name, recalls in found.items()),
        ("words in the query", "R@1"),
    )


def _with_chips(
    data: EvaluationSet, ranker: AppRanker, chosen: Mapping[int, Sequence[str]], steps: int
) -> list[float]:
    found = np.zeros(steps)
    for number, words in chosen.items():
        item = data.items[number]
        known = ranker.terms(" ".join((*item.labels, *item.captions[:1])))
        query = words[0]
        for step in range(steps):
            if step:
                held = ranker.terms(query)
                for word in ranker.chips(query):
                    terms = ranker.terms(word)
                    if terms <= known and not terms <= held:
                        query += f' "{word}"' if " " in word else f" {word}"
                        break
            found[step] += number in ranker.rank(query, 1)
    return list(found / len(chosen))


def _relevant(data: EvaluationSet) -> dict[str, IntArray]:
    relevant = data.relevant()
    if not relevant:
        raise UsageError(f"{data.name} has no labels to ask for.")
    return relevant


def _having_all(relevant: Mapping[str, IntArray], wanted: Sequence[str]) -> IntArray:
    numbers = relevant[wanted[0]]
    for label in wanted[1:]:
        numbers = np.intersect1d(numbers, relevant[label], assume_unique=True)
    return numbers


def _ranking_report(
    title: str,
    queries: Sequence[str],
    relevant: Sequence[IntArray],
    rankers: Sequence[Ranker],
    photo_count: int,
) -> Report:
    rows: list[Row] = []
    lines = []
    ideal = None
    for ranker in rankers:
        found = quality(
            (ranker.rank(query, photo_count) for query in queries), relevant, photo_count
        )
        ideal = found.ideal
        at = dict(zip(found.curve.depths, found.curve.precision, strict=True))
        first = [at[depth] for depth in _PRECISIONS if depth in at]
        rows.append(
            (ranker.name, found.pr_auc, found.perfect, found.share, found.curve.recall[-1], *first)
        )
        lines.append(Line(ranker.name, found.curve.recall, found.curve.precision))
    if ideal is not None:
        lines.append(Line("perfect", ideal.recall, ideal.precision))
    shown = [f"P@{depth}" for depth in depths(photo_count).tolist() if depth in _PRECISIONS]
    return Report(
        title,
        ("ranking", "PR-AUC", "perfect", "share", "recall", *shown),
        tuple(rows),
        tuple(lines),
        ("recall", "precision"),
    )
