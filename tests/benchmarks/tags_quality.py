"""Measures the instant tagger: `python tests/benchmarks/tags_quality.py [--photos DIR]`.

Prints the PR-AUC of the category names as queries, with and without crops, beside that of a
perfect ranking of the same photos, and the seconds a photo takes on one core.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from metrics import RankingQuality, measure

from photosearch.captioning.instant import MODEL, VIEW_PX, VIEWS, InstantTagger
from photosearch.domain import Caption, View, ViewCaption
from photosearch.imaging.crops import WHOLE
from photosearch.imaging.decode import decode
from photosearch.search.caption_index import CaptionIndex
from photosearch.search.query import parse
from photosearch.search.tag_weight import term_repeats

REPOSITORY = Path(__file__).resolve().parents[2]
PHOTOS = REPOSITORY.parent / "shared/photos/coco"


def tag(
    tagger: InstantTagger, photos: Sequence[Path], views: Sequence[View]
) -> tuple[dict[str, list[ViewCaption]], float]:
    """Return the captions of each photo by name, and the processor seconds of one photo."""
    start = time.process_time()
    captions = {
        path.name: tagger.caption(decode(path, min_side=2 * VIEW_PX), views) for path in photos
    }
    return captions, (time.process_time() - start) / len(photos)


def quality(
    captions: Mapping[str, Sequence[ViewCaption]], labels: Mapping[str, Sequence[str]]
) -> RankingQuality:
    """Return how well a search index of `captions` finds the photos that have a label."""
    names = list(captions)
    with tempfile.TemporaryDirectory() as folder:
        index = CaptionIndex.create(Path(folder))
        with index.writer() as writer:
            for number, name in enumerate(names):
                stored = [
                    Caption(number, c.view, MODEL, "", c.text, c.tags) for c in captions[name]
                ]
                writer.put(number, 0.0, [], term_repeats(stored))
            writer.commit()
        index.reload()

        def rank(query: str) -> list[str]:
            found = index.search(parse(query), limit=len(names))
            return [names[number] for number in found.photo_ids]

        return measure(rank, labels)


def report(what: str, result: RankingQuality, seconds: float | None = None) -> None:
    """Print one line of figures."""
    took = f"{seconds:8.3f}" if seconds is not None else ""
    print(f"{what:28}{result.pr_auc:8.4f}{result.perfect:9.4f}{result.share:8.1%}{took}")


def main() -> None:
    """Tag, index, search, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=Path, default=PHOTOS, help="folder with labels.jsonl")
    folder: Path = parser.parse_args().photos
    if not (folder / "labels.jsonl").exists():
        sys.exit(f"{folder}: no labelled photos there")
    rows = [json.loads(line) for line in (folder / "labels.jsonl").read_text().splitlines()]
    labels = {row["file"]: row["labels"] for row in rows}
    photos = [folder / name for name in labels]
    tagger = InstantTagger()
    print(f"{len(photos)} photos{'':18}PR-AUC  perfect   share s/photo")
    for what, views in (("whole photo and quarters", VIEWS), ("whole photo only", (WHOLE,))):
        captions, seconds = tag(tagger, photos, views)
        report(what, quality(captions, labels), seconds)
        for half in (0, 1):
            names = list(labels)[half::2]
            part = {name: captions[name] for name in names}
            report(
                f"  {'odd' if half else 'even'} half of the photos",
                quality(part, {name: labels[name] for name in names}),
            )


if __name__ == "__main__":
    main()
