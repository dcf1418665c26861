"""How many crops the test for flatness skips, and how many of those had something to show.

    python tests/benchmarks/flatness_quality.py [--photos DIR] [--sheet FILE.png]

The photos are labelled, but not where in them the things are. So a crop is taken to show a thing if
the instant tagger, looking at this crop alone, names one that is among its photo's labels. --sheet
draws the flat crops, and as many that are nearly so, to judge for oneself.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw

from photosearch.captioning.instant import SHOWN_SCORE, InstantTagger
from photosearch.domain import Stage
from photosearch.imaging.crops import WHOLE, crop, views
from photosearch.imaging.decode import decode
from photosearch.imaging.flatness import contrast, is_flat

COCO = Path(__file__).resolve().parents[3] / "shared" / "photos" / "coco"
STAGES = (Stage.HALVES, Stage.QUARTERS, Stage.NINTHS)
_CELL_PX = 120
_COLUMNS = 12


@dataclass(frozen=True, slots=True)
class Look:
    """A crop: its stage, how much stands out, and the labelled things that are seen in it."""

    stage: Stage
    picture: Image.Image
    contrast: float
    flat: bool
    seen: tuple[str, ...]


def look(folder: Path) -> tuple[list[Look], float]:
    """Return all crops of all photos, and the seconds that a test took on average."""
    rows = [json.loads(line) for line in (folder / "labels.jsonl").read_text().splitlines()]
    looks: list[Look] = []
    spent_s = 0.0
    tagger = InstantTagger()
    for row in rows:
        image = decode(folder / row["file"])
        for stage in STAGES:
            for view in views(stage):
                picture = crop(image, view)
                started_s = time.perf_counter()
                flat = is_flat(picture)
                spent_s += time.perf_counter() - started_s
                tagged = tagger.tag(picture, [WHOLE])
                named = {tag.word for t in tagged for tag in t.tags if tag.score >= SHOWN_SCORE}
                seen = tuple(sorted(named & set(row["labels"])))
                thumbnail = picture.copy()
                thumbnail.thumbnail((_CELL_PX, _CELL_PX))
                looks.append(Look(stage, thumbnail, contrast(picture), flat, seen))
    tagger.close()
    return looks, spent_s / len(looks)


def sheet(looks: list[Look]) -> Image.Image:
    """Return a contact sheet of the crops in which the least stands out."""
    ranked = sorted(looks, key=lambda look: look.contrast)
    shown = ranked[: 2 * sum(look.flat for look in looks)]
    rows = -(-len(shown) // _COLUMNS)
    drawn = Image.new("RGB", (_COLUMNS * _CELL_PX, rows * (_CELL_PX + 12)))
    pen = ImageDraw.Draw(drawn)
    for number, look in enumerate(shown):
        place = (number % _COLUMNS * _CELL_PX, number // _COLUMNS * (_CELL_PX + 12))
        drawn.paste(look.picture, place)
        label = f"{look.contrast:.1f} {'flat' if look.flat else ''} {' '.join(look.seen)}"
        pen.text((place[0], place[1] + _CELL_PX), label, "red" if look.seen else "white")
    return drawn


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=Path, default=COCO, help="folder with labels.jsonl")
    parser.add_argument("--sheet", type=Path, help="picture to draw the flat crops in")
    arguments = parser.parse_args()
    if not (arguments.photos / "labels.jsonl").exists():
        sys.exit(f"{arguments.photos}: no labelled photos there")
    looks, test_s = look(arguments.photos)
    print(f"{len(looks)} crops, {test_s * 1e3:.2f} ms each")
    print(f"{'':10}{'crops':>8}{'flat':>8}{'':8}{'with a thing':>14}{'of these flat':>15}")
    for stage in (*STAGES, None):
        part = [look for look in looks if stage in (look.stage, None)]
        showing = [look for look in part if look.seen]
        flat, wrong = sum(look.flat for look in part), sum(look.flat for look in showing)
        print(
            f"{stage or 'all':10}{len(part):8}{flat:8}{flat / len(part):8.2%}"
            f"{len(showing):14}{wrong:15}{wrong / max(1, len(showing)):8.2%}"
        )
    things = Counter(word for look in looks if look.flat for word in look.seen)
    print(
        "seen in flat crops:", ", ".join(f"{w} {n}" for w, n in things.most_common()) or "nothing"
    )
    if arguments.sheet:
        sheet(looks).save(arguments.sheet)


if __name__ == "__main__":
    main()
