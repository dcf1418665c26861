"""Measures the instant tagger: `python tests/benchmarks/tags_quality.py [--photos DIR]`.

Indexes labelled photos as shipped (service, SQLite, Tantivy) and prints the PR-AUC of the category
names as queries (Eq. 5 and 6 of the paper), with and without crops, beside that of a perfect
ranking of the same photos, for all of them and for each half.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from photosearch.captioners import find_captioners
from photosearch.captioning.captioner import CaptionerSpec
from photosearch.domain import Stage, View
from photosearch.evaluation.metrics import RankingQuality, measure
from photosearch.imaging.crops import WHOLE
from photosearch.library import PhotoLibrary
from photosearch.paths import AppPaths
from photosearch.service import IndexService

COCO = Path(__file__).resolve().parents[3] / "shared" / "photos" / "coco"


def index(folder: Path, library: PhotoLibrary, views: Sequence[View] | None) -> None:
    """Run scan and tags over a folder; `views` instead of those that the tagger asks for."""

    def captioners(paths: AppPaths) -> list[CaptionerSpec]:
        (tagger,) = find_captioners(paths)
        return [tagger if views is None else replace(tagger, views={Stage.TAGS: tuple(views)})]

    library.add_folder(folder)
    with IndexService(library.paths, find_captioners=captioners) as service:
        service.run()


def quality(library: PhotoLibrary, labels: Mapping[str, Sequence[str]]) -> RankingQuality:
    """Return how well the library finds those of the photos in `labels` that have a label."""

    def rank(query: str) -> list[str]:
        hits = library.search(library.parse(query), limit=10_000).hits
        return [hit.path.name for hit in hits if hit.path and hit.path.name in labels]

    return measure(rank, labels)


def main() -> None:
    """Index, search, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=Path, default=COCO, help="folder with labels.jsonl")
    folder: Path = parser.parse_args().photos
    if not (folder / "labels.jsonl").exists():
        sys.exit(f"{folder}: no labelled photos there")
    rows = [json.loads(line) for line in (folder / "labels.jsonl").read_text().splitlines()]
    labels = {row["file"]: row["labels"] for row in rows}
    print(f"{len(labels)} photos{'':18}PR-AUC  perfect   share")
    for what, views in (("whole photo and quarters", None), ("whole photo only", [WHOLE])):
        with tempfile.TemporaryDirectory() as home, PhotoLibrary(AppPaths(Path(home))) as library:
            index(folder, library, views)
            for part, names in (
                (what, list(labels)),
                ("  even half", list(labels)[::2]),
                ("  odd half", list(labels)[1::2]),
            ):
                found = quality(library, {name: labels[name] for name in names})
                print(f"{part:28}{found.pr_auc:8.4f}{found.perfect:9.4f}{found.share:8.1%}")


if __name__ == "__main__":
    main()
