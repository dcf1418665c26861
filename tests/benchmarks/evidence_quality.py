"""Measures what each idea of the evidence brings: `python tests/benchmarks/evidence_quality.py`.

Ranks by the terms and strengths of `evidence` as the index does (BM25, constant length, photos that
match more words first), without an index, so that a variant takes seconds. Labels as queries on
captions by LLaVA-1.5: share of the perfect ranking's PR-AUC, on the first caption of each photo,
and on photos with several ("views": the others as if of crops). Human captions as queries: R@1.
`--cues` prints how often words that captions deny, doubt or hedge are true labels; `--denials` what
they deny.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from photosearch.domain import Caption
from photosearch.evaluation.metrics import IntArray, quality
from photosearch.imaging.crops import ALL_VIEWS
from photosearch.search import analysis, evidence
from photosearch.search.claims import Certainty, Claim, claims
from photosearch.search.conditions import Kind, conditions
from photosearch.search.evidence import MEASURED, PhotoText, Weights
from photosearch.search.lexicon import Relation, lexicon
from photosearch.search.query import parse

EVAL = Path(__file__).resolve().parents[3] / "shared" / "eval"
K1 = 1.2
LEVEL = 1000.0
"""More than any score: photos that match more words come first."""

Strengths = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Photos:
    """Photos by their captions, with true labels where they are known."""

    captions: list[list[Caption]]
    labels: list[list[str]]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cues", action="store_true", help="how true doubted and denied words are")
    parser.add_argument("--denials", action="store_true", help="print all that captions deny")
    parser.add_argument("--half", type=int, choices=(0, 1), help="every other photo only")
    options = parser.parse_args()
    if not EVAL.is_dir():
        sys.exit(f"{EVAL}: the captions to measure with are not there")
    first, several = model_photos()
    if options.half is not None:
        first, several = half(first, options.half), half(several, options.half)
    if options.cues or options.denials:
        (print_denials if options.denials else print_cues)(first, several)
        return
    people = [human_captions(name) for name in ("flickr30k_test1k_captions", "coco_val2017")]
    people[1] = people[1][:1000]
    print(f"{'':34}{'labels':>8}{'views':>8}{'flickr':>8}{'coco':>8}")
    for name, make in variants().items():
        with make as strengths:
            shares = [label_share(photos, strengths) for photos in (first, several)]
            recalls = [caption_recall(captions, strengths) for captions in people]
        print(f"{name:34}" + "".join(f"{value:8.4f}" for value in shares + recalls), flush=True)


def variants() -> dict[str, Any]:
    """Return the ways to weigh evidence, by name: as shipped, then less or other than that."""

    def weights(**changes: float) -> Any:
        return patched(weights=replace(MEASURED, **changes))

    return {
        "as shipped": patched(),
        "no lexicon": patched(use_lexicon=False),
        "senses without neighbours": patched(relations=_without_neighbours),
        "no claims: all is seen": patched(read=_all_seen),
        "denied words left in": patched(read=_keeping(Certainty.DENIED)),
        "doubtful words as seen": patched(read=_keeping(Certainty.DOUBTFUL)),
        "hedged as seen": weights(hedged=1.0),
        "hedged as doubtful": patched(read=_hedged_as_doubtful),
        "writing as seen": weights(written=1.0),
        "repeats count nothing": weights(repeated=0.0),
        "late words count fully": weights(late=1.0),
        "parts of compounds entail": patched(every_part=True),
        "views add up (growth 1)": weights(growth=1.0),
        "views hardly add up (growth 0.25)": weights(growth=0.25),
        "crops count fully": weights(crop=1.0),
        "crops count half": weights(crop=0.4),
        "synonyms as the word": weights(synonym=1.0),
        "synonyms less": weights(synonym=0.1),
        "broader words more": weights(broader=0.2),
        "broader words as synonyms": weights(broader=MEASURED.synonym),
        "broader words less": weights(broader=0.03),
        "mentions weigh 3": weights(mention=3.0),
        "mentions weigh 8": weights(mention=8.0),
    }


@contextmanager
def patched(
    *,
    weights: Weights = MEASURED,
    use_lexicon: bool = True,
    read: Callable[[str], list[Claim]] = claims,
    relations: Callable[[str, Any], tuple[Relation, ...]] | None = None,
    every_part: bool = False,
) -> Iterator[Callable[[Sequence[Caption]], Strengths]]:
    """Yield a function from a photo's captions to its strengths; parts are exchanged meanwhile."""
    module = vars(evidence)
    shipped = {name: module[name] for name in ("claims", "entailed", "_entailing", "_read")}
    module.update(
        claims=read,
        entailed=relations or shipped["entailed"],
        _entailing=_all_terms if every_part else shipped["_entailing"],
        _read=_remembering(read, every_part),
    )
    try:
        yield (
            lambda captions: (
                evidence.evidence(PhotoText(captions), lexicon=use_lexicon, weights=weights).sure
            )
        )
    finally:
        module.update(shipped)


def _all_terms(units: Sequence[analysis.Unit]) -> frozenset[str]:
    return frozenset(unit.term for unit in units)


@cache
def _remembering(*key: object) -> Any:
    """Return what reads each text once for all variants that share `key`."""
    return cache(evidence._read.__wrapped__)


def _without_neighbours(term: str, _: object) -> tuple[Relation, ...]:
    return lexicon().relations(term)


def _all_seen(text: str) -> list[Claim]:
    return [Claim(unit, Certainty.SEEN) for unit in analysis.units(text)]


def _keeping(kept: Certainty) -> Callable[[str], list[Claim]]:
    def read(text: str) -> list[Claim]:
        return [
            Claim(claim.unit, Certainty.SEEN) if claim.certainty is kept else claim
            for claim in claims(text)
        ]

    return read


def _hedged_as_doubtful(text: str) -> list[Claim]:
    return [
        Claim(claim.unit, Certainty.DOUBTFUL) if claim.certainty is Certainty.HEDGED else claim
        for claim in claims(text)
    ]


# -- Ranking


class Ranking:
    """BM25 over strengths, where all documents are equally long."""

    def __init__(self, photos: Sequence[Strengths]) -> None:
        self._count = len(photos)
        postings: dict[str, tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
        for number, strengths in enumerate(photos):
            for term, strength in strengths.items():
                postings[term][0].append(number)
                postings[term][1].append(strength)
        self._scores = {
            term: (np.array(numbers), self._idf(len(numbers)) * _saturated(np.array(strengths)))
            for term, (numbers, strengths) in postings.items()
        }

    def _idf(self, having: int) -> float:
        return math.log(1 + (self._count - having + 0.5) / (having + 0.5))

    def words(self, query: str) -> IntArray:
        """Rank by a few words: more of them first."""
        total = np.zeros(self._count)
        for condition in conditions(parse(query)):
            score = self._any(condition.terms) if condition.kind is Kind.WORD else None
            if score is None or condition.parts:
                parts = [self._any((term,)) for term in condition.parts or condition.terms]
                every = np.sum(parts, axis=0) * np.all([part > 0 for part in parts], axis=0)
                score = every if score is None else score + every
            total += score + LEVEL * (score > 0)
        return _order(total)

    def description(self, text: str) -> IntArray:
        """Rank by the sum over all words of a sentence."""
        return _order(self._any(tuple({unit.term for unit in analysis.units(text)})))

    def _any(self, terms: Sequence[str]) -> np.ndarray[Any, np.dtype[np.float64]]:
        total = np.zeros(self._count)
        for term in terms:
            if term in self._scores:
                numbers, scores = self._scores[term]
                total[numbers] += scores
        return total


def _saturated(strengths: IntArray) -> Any:
    return strengths / (strengths + K1)


def _order(scores: Any) -> IntArray:
    order = np.argsort(-scores, kind="stable")
    found: IntArray = order[scores[order] > 0]
    return found


def label_share(photos: Photos, strengths: Callable[[Sequence[Caption]], Strengths]) -> float:
    """Return the share of the perfect PR-AUC of the labels as queries."""
    ranking = Ranking([strengths(captions) for captions in photos.captions])
    relevant: dict[str, list[int]] = defaultdict(list)
    for number, labels in enumerate(photos.labels):
        for label in labels:
            relevant[label].append(number)
    return quality(
        [ranking.words(label) for label in relevant],
        [np.array(numbers) for numbers in relevant.values()],
        len(photos.captions),
    ).share


def caption_recall(
    photos: Sequence[Sequence[str]], strengths: Callable[[Sequence[Caption]], Strengths]
) -> float:
    """Return R@1 of the first caption of people as the query for the photo with the others."""
    ranking = Ranking([strengths([_caption(text) for text in texts[1:]]) for texts in photos])
    found = [ranking.description(texts[0])[:1] for texts in photos]
    return float(np.mean([number in first for number, first in enumerate(found)]))


# -- Data


def _rows(name: str) -> Iterator[dict[str, Any]]:
    with gzip.open(EVAL / f"{name}.jsonl.gz", "rt", encoding="utf-8") as file:
        yield from map(json.loads, file)


def _caption(text: str, view: str = "whole") -> Caption:
    return Caption(0, view, "model", "", text)


def model_photos() -> tuple[Photos, Photos]:
    """Return the photos by their first caption, and those that have several by all of these."""
    texts: dict[int, dict[str, None]] = defaultdict(dict)
    labels: dict[int, list[str]] = {}
    for row in _rows("llava15_coco_dev"):
        texts[row["image_id"]][row["caption"]] = None
        labels[row["image_id"]] = row["labels"]
    views = [view.name for view in ALL_VIEWS]
    all_views = [
        [_caption(text, view) for text, view in zip(found, views, strict=False)]
        for found in texts.values()
    ]
    first = Photos([captions[:1] for captions in all_views], list(labels.values()))
    several = [n for n, captions in enumerate(all_views) if len(captions) > 1]
    return first, Photos([all_views[n] for n in several], [first.labels[n] for n in several])


def half(photos: Photos, which: int) -> Photos:
    """Return every other photo."""
    return Photos(photos.captions[which::2], photos.labels[which::2])


def human_captions(name: str) -> list[list[str]]:
    """Return the captions of people, photo by photo."""
    return [row["captions"] for row in _rows(name) if len(row["captions"]) > 1]


# -- Claims


def print_cues(*data: Photos) -> None:
    """Print how often labels are true that a caption at best hedges, doubts or denies."""
    known = {label for photos in data for labels in photos.labels for label in labels}
    term_of = {label: analysis.SPACE.join(analysis.terms(label)) for label in known}
    counts: dict[str, Counter[bool]] = defaultdict(Counter)
    for photos in data:
        for captions, labels in zip(photos.captions, photos.labels, strict=True):
            for caption in captions:
                surest: dict[str, Certainty] = {}
                for claim in claims(caption.text):
                    term = claim.unit.term
                    surest[term] = max(claim.certainty, surest.get(term, claim.certainty))
                for label in known:
                    if (certainty := surest.get(term_of[label])) is not None:
                        counts[certainty.name][label in labels] += 1
    print(f"{'label is at best':20}{'true':>8}{'false':>8}{'share':>8}")
    for name, found in sorted(counts.items()):
        share = found[True] / found.total()
        print(f"{name.lower():20}{found[True]:8}{found[False]:8}{share:8.1%}")


def print_denials(*data: Photos) -> None:
    """Print the denied words of each caption, with what is around them."""
    texts = {c.text: None for photos in data for captions in photos.captions for c in captions}
    for name in ("flickr30k_test1k_captions", "coco_val2017"):
        texts.update(dict.fromkeys(text for texts in human_captions(name) for text in texts))
    count = 0
    for text in texts:
        denied = [c.unit for c in claims(text) if c.certainty is Certainty.DENIED]
        count += bool(denied)
        if denied:
            around = text[max(0, denied[0].start - 60) : denied[-1].end + 30].replace("\n", " ")
            print(f"{', '.join(unit.surface for unit in denied):40} | {around}")
    print(f"{count} of {len(texts)} captions deny something")


if __name__ == "__main__":
    main()
