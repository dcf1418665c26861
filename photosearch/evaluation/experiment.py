"""The experiments: each takes a data set and rankers, and gives a report."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cache
from random import Random

import numpy as np

from photosearch.captioning.clip import ClipModel
from photosearch.clouds import MAX_WORDS as CLOUD_WORDS
from photosearch.domain import Caption, TermCount
from photosearch.errors import UsageError
from photosearch.evaluation.clip import clip_scores
from photosearch.evaluation.datasets import EvaluationSet, human_documents
from photosearch.evaluation.metrics import IntArray, depths, positions, quality, recall_at
from photosearch.evaluation.rankers import AppRanker, Ranker, ScratchLibrary
from photosearch.evaluation.report import Line, Report, Row
from photosearch.imaging.crops import ALL_VIEWS, WHOLE

_RECALLS = (1, 5, 10)
_PRECISIONS = (1, 16)

PLAN_SIZES = (1, 3, 5, 9, 18)
"""Views a photo: the whole, with vertical halves, all halves, quarters, ninths."""


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
    """Measure each label as a query: PR-AUC, beside that of the perfect ranking.

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
    """Measure a caption of a person as the query for its photo."""
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
    step, the first offered word that the first human caption or the labels of the photo hold. The
    last rows say for how many photos such a word was offered, at each step and all before it.
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
    rest: list[Row] = []
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
            recalls, taken = _with_chips(data, ranker, chosen, steps)
            found[f"{ranker.name}, offered words"] = recalls
            rest.append((f"{ranker.name}, photos that still had one", *taken))
    at = tuple(range(1, steps + 1))
    rows: list[Row] = [(name, *recalls) for name, recalls in found.items()]
    return Report(
        f"Labels added one by one, R@1: {data.name}, {len(targets)} photos with labels",
        ("ranking", *(f"{step} label{'s' if step > 1 else ''}" for step in at)),
        (*rows, *rest),
        tuple(Line(name, at, tuple(recalls)) for name, recalls in found.items()),
        ("words in the query", "R@1"),
    )


def _with_chips(
    data: EvaluationSet, ranker: AppRanker, chosen: Mapping[int, Sequence[str]], steps: int
) -> tuple[list[float], list[float]]:
    # Many photos begin with the same label.
    chips, first = cache(ranker.chips), cache(lambda query: ranker.rank(query, 1).tolist())
    found, taken = np.zeros(steps), np.zeros(steps)
    for number, words in chosen.items():
        item = data.items[number]
        known = ranker.terms(" ".join((*item.labels, *item.captions[:1])))
        query = words[0]
        word_count = 1
        for step in range(steps):
            if step and word_count == step:
                held = ranker.terms(query)
                for word in chips(query):
                    terms = ranker.terms(word)
                    if terms <= known and not terms <= held:
                        query += f' "{word}"' if " " in word else f" {word}"
                        word_count += 1
                        break
            found[step] += number in first(query)
            taken[step] += word_count > step
    return (found / len(chosen)).tolist(), (taken / len(chosen)).tolist()


def plans(
    data: EvaluationSet,
    make_rankers: Callable[[list[tuple[Caption, ...]]], AbstractContextManager[Sequence[Ranker]]],
    clip: ClipModel | None = None,
) -> Report:
    """Measure plans of captioning, by their number of views (Fig. 3).

    PR-AUC of labels as queries, of the captions of so many views, for all that `make_rankers`
    makes of them; with `clip` the mean CLIPScore of these captions with their view and with the
    whole photo, and the mean of each photo's best.
    """
    views = {caption.view: None for item in data.items for caption in item.documents}
    known = [view.name for view in ALL_VIEWS]
    order = [name for name in known if name in views] + [v for v in views if v not in known]
    sizes = [size for size in PLAN_SIZES if size <= len(order)]
    if sizes and sizes[-1] != len(order) and len(order) > len(known):
        sizes.append(len(order))
    if not sizes or order[0] != WHOLE.name:
        raise UsageError(f"{data.name} holds no captions of whole photos.")
    scores = _scores_by_view(data, clip) if clip else {}
    found: dict[str, list[float]] = {}
    for size in sizes:
        chosen = set(order[:size])
        with make_rankers(
            [tuple(c for c in item.documents if c.view in chosen) for item in data.items]
        ) as rankers:
            relevant = _relevant(data)
            for ranker in rankers:
                rankings = (ranker.rank(label, len(data)) for label in relevant)
                area = quality(rankings, list(relevant.values()), len(data)).pr_auc
                found.setdefault(f"PR-AUC {ranker.name}", []).append(area)
        for name, score in _score_of_plan(scores, chosen).items():
            found.setdefault(name, []).append(score)
    return Report(
        f"Plans of captioning, by views a photo: {data.name}, {len(data)} photos",
        ("views", *found),
        tuple(
            (str(size), *(values[at] for values in found.values())) for at, size in enumerate(sizes)
        ),
        tuple(Line(name, tuple(sizes), tuple(values)) for name, values in found.items()),
        ("views a photo", "PR-AUC" if clip is None else "PR-AUC, CLIPScore"),
    )


def _scores_by_view(
    data: EvaluationSet, clip: ClipModel
) -> dict[int, dict[str, tuple[float, float]]]:
    """Return for each photo's number, by view, the CLIPScores with the view and the whole."""
    known = {view.name: view for view in ALL_VIEWS}
    said = []
    for number, item in enumerate(data.items):
        if item.picture is None:
            raise UsageError(
                f"CLIPScore looks at the photos, and {item.name} is not there: give the folder "
                "that holds them (--photos)."
            )
        captions_ = [c for c in item.documents if c.text and c.view in known]
        said.append((number, item.picture, captions_))
    scores = clip_scores(
        clip, [(path, [(known[c.view], c.text) for c in found]) for _, path, found in said]
    )
    pairs = zip(scores.of_view.tolist(), scores.of_whole.tolist(), strict=True)
    return {number: {c.view: next(pairs) for c in found} for number, _, found in said}


def _score_of_plan(
    scores: Mapping[int, Mapping[str, tuple[float, float]]], views: Collection[str]
) -> dict[str, float]:
    kept = [
        [pair for view, pair in by_view.items() if view in views] for by_view in scores.values()
    ]
    kept = [pairs for pairs in kept if pairs]
    if not kept:
        return {}
    return {
        "CLIPScore, view": float(np.mean([np.mean([own for own, _ in p]) for p in kept])),
        "CLIPScore, whole": float(np.mean([np.mean([whole for _, whole in p]) for p in kept])),
        "CLIPScore, best": float(np.mean([max(whole for _, whole in p) for p in kept])),
    }


def words(
    data: EvaluationSet, scratch: ScratchLibrary, *, query: str = "", limit: int = 15
) -> tuple[Report, list[TermCount]]:
    """Count words by the photos that have them, of all or of a result (Fig. 10).

    Returns the histogram of the `limit` most frequent, and as many as a word cloud takes.
    """
    found = scratch.library.words(scratch.library.parse(query), limit=max(limit, CLOUD_WORDS))
    if not found:
        raise UsageError("No photo matches, so there are no words.")
    shown = found[:limit]
    return (
        Report(
            f"The most frequent words{' of ' + query if query else ''}: {data.name}",
            ("word", "photos"),
            tuple((word.word, word.count) for word in shown),
            (Line("photos", tuple(float(word.count) for word in shown), ()),),
            ("photos", ""),
            bars=True,
        ),
        found,
    )


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
