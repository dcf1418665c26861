"""How many refinement words it takes from one word of a photo to the photo itself.

    python tests/benchmarks/chips_quality.py [--targets 300] [--shown 24] [--json FILE]

As in Fig. 6 of the paper, but with the words that photosearch offers: a search begins with one
label of a photo, then the first word offered that its caption has is added, until the photo is
among the first ten hits, or the first. Whoever is offered no word of the photo is stuck. Compared
are the words as shipped, the most frequent ones of the result, and the most significant ones.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import random
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from caption_corpus import EVAL, document

from photosearch.domain import Clause, Query
from photosearch.search import analysis
from photosearch.search.caption_index import CaptionIndex
from photosearch.search.conditions import conditions
from photosearch.search.index_document import key_id
from photosearch.search.index_query import Compiled, compile_query
from photosearch.search.refine import count_words, refinements
from photosearch.search.snapshot import Snapshot

MAX_CLICKS = 8
FIRST_HITS = 10

Offer = Callable[[Snapshot, Compiled, int, int], list[str]]


@dataclass(frozen=True)
class Photo:
    id: int
    texts: list[str]
    labels: list[str]

    def says(self, word: str) -> bool:
        """Whether a caption has this word."""
        return bool(analysis.word_keys(word) & self.keys())

    def keys(self) -> frozenset[str]:
        return frozenset(key for text in self.texts for key in analysis.word_keys(text))


@dataclass
class Search:
    """After how many clicks the photo was among the first ten, and first; and on what it ended."""

    in_ten: int | None = None
    first: int | None = None
    offers: int = 0
    stuck: bool = False


def shipped(snapshot: Snapshot, compiled: Compiled, total: int, shown: int) -> list[str]:
    """The words of the app."""
    return [word.word for word in refinements(snapshot, compiled, total, shown)[0]]


def frequent(snapshot: Snapshot, compiled: Compiled, total: int, shown: int) -> list[str]:
    """The most frequent words that not all photos of the result have."""
    return _best(snapshot, compiled, total, shown, lambda count, _size, _elsewhere: count)


def significant(snapshot: Snapshot, compiled: Compiled, total: int, shown: int) -> list[str]:
    """The words that tell the result best from the library."""
    return _best(
        snapshot,
        compiled,
        total,
        shown,
        lambda count, size, share: count * math.log(count / size / share),
    )


def _best(
    snapshot: Snapshot,
    compiled: Compiled,
    total: int,
    shown: int,
    value: Callable[[int, int, float], float],
) -> list[str]:
    found = count_words(snapshot, compiled, total, 400)
    own = {key_id(key) for key in compiled.own}
    values = {
        word.shown: value(count, found.size, everywhere)
        for number, count in found.counts.items()
        if number not in own and count < found.size
        for word in [snapshot.word(number)]
        for everywhere in [snapshot.frequency("keys", word.key) / snapshot.photo_count]
    }
    return sorted(values, key=lambda word: (-values[word], word))[:shown]


OFFERS: dict[str, Offer] = {
    "as shipped": shipped,
    "frequent": frequent,
    "significant": significant,
}


def search(index: CaptionIndex, photo: Photo, start: str, offer: Offer, shown: int) -> Search:
    """Look for `photo` as a person does who knows what it shows."""
    snapshot = index._snapshot
    query, keys, found = Query((Clause(start),)), photo.keys(), Search()
    for clicks in range(MAX_CLICKS + 1):
        result = index.search(query, limit=FIRST_HITS)
        hits = result.photo_ids[: result.full]
        if photo.id in hits and found.in_ten is None:
            found.in_ten = clicks
        if hits[:1] == (photo.id,):
            found.first = clicks
            break
        compiled = compile_query(snapshot, conditions(query), lambda _: {})
        found.offers += 1
        chosen = next(
            (
                word
                for word in offer(snapshot, compiled, result.total, shown)
                if analysis.word_keys(word) & keys and Clause(word) not in query.clauses
            ),
            None,
        )
        if chosen is None:
            found.stuck = True
            break
        query = query.adding(Clause(chosen))
    return found


def summary(searches: Sequence[Search]) -> dict[str, float]:
    def share(clicks: Sequence[int | None], most: int) -> float:
        return round(sum(c is not None and c <= most for c in clicks) / len(clicks), 3)

    in_ten, first = [s.in_ten for s in searches], [s.first for s in searches]
    offers = sum(s.offers for s in searches)
    never = MAX_CLICKS + 1
    return {
        "mean clicks to ten": round(
            sum(never if c is None else c for c in in_ten) / len(searches), 2
        ),
        **{f"ten in {n}": share(in_ten, n) for n in (0, 1, 2, 3, MAX_CLICKS)},
        **{f"first in {n}": share(first, n) for n in (2, 4, MAX_CLICKS)},
        "offers with a word": round(1 - sum(s.stuck for s in searches) / max(1, offers), 3),
    }


def coco() -> list[Photo]:
    """The photos of COCO val2017: the captions that people wrote."""
    rows = [row for row in _rows("coco_val2017.jsonl.gz") if row["labels"]]
    return [Photo(n, row["captions"], row["labels"]) for n, row in enumerate(rows, 1)]


def llava() -> list[Photo]:
    """The photos of LLaVA's captions: the first caption of each."""
    rows = {row["image_id"]: row for row in reversed(_rows("llava15_coco_dev.jsonl.gz"))}
    return [Photo(n, [row["caption"]], row["labels"]) for n, row in enumerate(rows.values(), 1)]


def _rows(name: str) -> list[dict[str, Any]]:
    with gzip.open(EVAL / name, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def measure(photos: Sequence[Photo], targets: int, shown: int) -> dict[str, dict[str, float]]:
    pick = random.Random(1)
    chosen = [
        (photo, pick.choice(starts))
        for photo in pick.sample(photos, len(photos))
        if (
            starts := [
                word for word in photo.labels if len(analysis.terms(word)) == 1 and photo.says(word)
            ]
        )
    ][:targets]
    with tempfile.TemporaryDirectory() as folder:
        index = CaptionIndex.open(Path(folder))
        with index.writer() as writer:
            for photo in photos:
                writer.put(document(photo.id, photo.texts))
            writer.commit()
        index.reload()
        return {
            name: summary([search(index, photo, start, offer, shown) for photo, start in chosen])
            for name, offer in OFFERS.items()
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--targets", type=int, default=300, help="photos that are looked for")
    parser.add_argument("--shown", type=int, default=24, help="words that are offered at a time")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    chosen = parser.parse_args()
    report = {
        name: measure(photos, chosen.targets, chosen.shown)
        for name, photos in (("COCO val2017", coco()), ("LLaVA-1.5 captions", llava()))
    }
    for name, rows in report.items():
        print(f"{name}: {chosen.targets} photos, {chosen.shown} words offered")
        columns = list(next(iter(rows.values())))
        print(f"{'':12}" + "".join(f"{column:>20}" for column in columns))
        for offer, row in rows.items():
            print(f"{offer:12}" + "".join(f"{row[column]:20}" for column in columns))
    if chosen.json:
        chosen.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
