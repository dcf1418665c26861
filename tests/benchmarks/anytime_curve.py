"""The anytime curve: how well photos are found after so many minutes of the model.

    python tests/benchmarks/anytime_curve.py [--photos 300] [--view-s 7.5] [--svg FILE]

Pictures of large and small shapes, with many a crop empty, are captioned by the tiny trained LLaVA
in two orders: the paper's, all 18 views photo by photo, and that of photosearch's service, stage by
stage, crops that show nothing skipped, the stage first that gives most new words. Both begin with
the newest photo and ask the same question (the paper's second one is left out: the tiny model was
not trained to answer it). After every so many views the captions so far are indexed, and each kind
of shape, as "red circle", is searched for: PR-AUC (Eq. 5 and 6 of the paper) as a share of that of
the perfect ranking.

A minute is that of a real model, `--view-s` seconds a view: what the order is worth, without what
writing many views at once, and ending answers early, are worth besides. The third column charges
for skipped crops as if they had been looked at, as far more of them are empty than in photos.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from threading import Event

from photosearch.captioners import find_captioners
from photosearch.captioning.captioner import PhotoViews
from photosearch.domain import CAPTION_STAGES, Caption, Clause, Query, Stage
from photosearch.evaluation.metrics import measure
from photosearch.imaging.crops import views
from photosearch.imaging.decode import decode
from photosearch.library import PhotoLibrary
from photosearch.paths import AppPaths
from photosearch.search.caption_index import CaptionIndex
from photosearch.search.photo_document import photo_document
from photosearch.service import IndexService
from photosearch.storage.photo_store import PhotoFacts

TINY = Path(__file__).resolve().parents[1] / "tiny_llava"
sys.path.append(str(TINY))

from shapes import (  # type: ignore[import-not-found]  # noqa: E402
    COLOURS,
    KINDS,
    Scene,
    Shape,
    random_scene,
)

TEXT, MMPROJ = (TINY / f"tiny-llava-{part}-f16.gguf" for part in ("text", "mmproj"))

SIZE_PX = (720, 540)
# Fractions of the longer side. The smallest are named in a ninth only, others in a quarter, too.
SMALL_SIDES = (0.0385, 0.075)
_GAP = 0.02
_NEWEST_S = 1_700_000_000
_STAGE_OF = {view.name: stage for stage in CAPTION_STAGES for view in views(stage)}
_SHARES = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)


@dataclass(frozen=True, slots=True)
class Look:
    """What was said of a view of a photo, by its number; `skipped` if it was not looked at."""

    photo: int
    view: str
    text: str
    skipped: bool


@dataclass(frozen=True, slots=True)
class Curve:
    """(minutes of the model, share of the perfect ranking), in order."""

    name: str
    points: tuple[tuple[float, float], ...]

    def minutes_to(self, share: float) -> float | None:
        """Return after how many minutes the share is reached; None where it never is."""
        for (start, low), (end, high) in pairwise(((0.0, 0.0), *self.points)):
            if high >= share:
                return start + (end - start) * (share - low) / (high - low)
        return None

    def share_at(self, minutes: float) -> float:
        """Return the share that was reached by then."""
        return max((share for at, share in self.points if at <= minutes + 1e-9), default=0.0)


def make_scene(seed: int) -> Scene:
    """Return a picture of one or two large shapes and up to six small ones."""
    rng = random.Random(seed)
    scene = random_scene(rng, named=rng.randint(1, 2), tiny=0, size=SIZE_PX)
    width, height = SIZE_PX
    shapes = list(scene.shapes)
    free = {(c, k) for c in COLOURS for k in KINDS} - {(s.colour, s.kind) for s in shapes}
    kinds = rng.sample(sorted(free), rng.randint(0, 6))
    for colour, kind in kinds:
        side = round(width * rng.uniform(*SMALL_SIDES))
        for _ in range(50):
            left, top = rng.randint(0, width - side), rng.randint(0, height - side)
            new = Shape(colour, kind, left, top, side)
            if not any(_touch(new, other) for other in shapes):
                shapes.append(new)
                break
    return Scene(scene.background, tuple(shapes), width, height)


def _touch(a: Shape, b: Shape) -> bool:
    gap = _GAP * SIZE_PX[0]
    return bool(
        a.left < b.left + b.side + gap
        and b.left < a.left + a.side + gap
        and a.top < b.top + b.side + gap
        and b.top < a.top + a.side + gap
    )


def draw(scenes: Sequence[Scene], folder: Path) -> list[Path]:
    """Write the pictures, the first the newest, and return them."""
    paths = []
    for number, scene in enumerate(scenes):
        path = folder / f"{number}.png"
        scene.draw(random.Random(number)).save(path)
        os.utime(path, (_NEWEST_S - number, _NEWEST_S - number))
        paths.append(path)
    return paths


def photo_by_photo(library: PhotoLibrary, pictures: Sequence[Path]) -> list[Look]:
    """Return what the model says of all views, in the paper's order."""
    (spec,) = find_captioners(library.paths)[1:]
    captioner = spec.make()
    wanted = tuple(view for stage in CAPTION_STAGES for view in views(stage))
    try:
        photos = (PhotoViews(n, decode(path), wanted) for n, path in enumerate(pictures))
        said = {
            (answer.key, caption.view): caption.text
            for answer in captioner.caption(photos, Event())
            for caption in answer.captions
        }
    finally:
        captioner.close()
    return [
        Look(number, view.name, said[number, view.name], skipped=False)
        for number in range(len(pictures))
        for view in wanted
    ]


def by_the_service(library: PhotoLibrary, folder: Path) -> list[Look]:
    """Return what the model says when the service asks it, in that order."""
    library.add_folder(folder)
    with IndexService(library.paths, stages=(Stage.SCAN, *CAPTION_STAGES)) as service:
        service.run()
        if service.broken:
            sys.exit(" ".join(service.broken))
    numbers: dict[int, int] = {}
    captions = [caption for _, caption in library.captions()]
    for caption in captions:
        if caption.photo_id not in numbers:
            (path, *_) = library.photo(caption.photo_id).photo.paths
            numbers[caption.photo_id] = int(path.stem)
    captions.sort(key=lambda caption: caption.created_at)
    return [Look(numbers[c.photo_id], c.view, c.text, bool(c.skipped)) for c in captions]


def curve(
    name: str, looks: Sequence[Look], scenes: Sequence[Scene], every: int, *, charge_skipped: bool
) -> Curve:
    """Return the curve of these looks over the number of views; one point every so many."""
    labels = {
        str(number): sorted({f"{shape.colour} {shape.kind}" for shape in scene.shapes})
        for number, scene in enumerate(scenes)
    }
    points = []
    with tempfile.TemporaryDirectory() as folder:
        index = CaptionIndex.open(Path(folder))
        captions: dict[int, list[Caption]] = {}

        def rank(query: str) -> list[str]:
            found = index.search(Query((Clause(query, phrase=True),)), limit=len(scenes))
            return [str(photo_id - 1) for photo_id in found.photo_ids]

        with index.writer() as writer:
            for cost, part in _parts(looks, every, charge_skipped=charge_skipped):
                for look in part:
                    said = Caption(look.photo + 1, look.view, "tiny", "", look.text)
                    captions.setdefault(look.photo, []).append(said)
                for number in {look.photo for look in part}:
                    facts = PhotoFacts(_NEWEST_S - number, False, "", "PNG", 0, "", (), ())
                    writer.put(photo_document(number + 1, captions[number], facts))
                writer.commit()
                index.reload()
                points.append((float(cost), measure(rank, labels).share))
    return Curve(name, tuple(points))


def _parts(
    looks: Sequence[Look], every: int, *, charge_skipped: bool
) -> Iterator[tuple[int, list[Look]]]:
    part: list[Look] = []
    cost = 0
    for look in looks:
        part.append(look)
        if look.skipped and not charge_skipped:
            continue
        cost += 1
        if cost % every == 0:
            yield cost, part
            part = []
    if part:
        yield cost, part


def stage_order(looks: Sequence[Look]) -> str:
    """Return which stages ran in which order, as "full 300, halves 20, …", in photos."""
    runs: list[tuple[Stage, set[int]]] = []
    for look in looks:
        stage = _STAGE_OF[look.view]
        if not runs or runs[-1][0] is not stage:
            runs.append((stage, set()))
        runs[-1][1].add(look.photo)
    return ", ".join(f"{stage} {len(photos)}" for stage, photos in runs)


def measure_orders(photo_count: int, points: int = 40) -> tuple[list[Curve], list[Look]]:
    """Return the paper's curve and ours, over views, and what was looked at in our order."""
    scenes = [make_scene(seed) for seed in range(photo_count)]
    every = max(1, photo_count * len(_STAGE_OF) // points)
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home) / "pictures"
        folder.mkdir()
        pictures = draw(scenes, folder)
        with PhotoLibrary(AppPaths(Path(home) / "library")) as library:
            library.use_model(TEXT, MMPROJ, "tiny")
            # Threads wait for each other after every operation, and these take microseconds.
            library.settings.set("captions.threads", "1")
            ours = by_the_service(library, folder)
            papers = photo_by_photo(library, pictures)
    return [
        curve("paper", papers, scenes, every, charge_skipped=True),
        curve("ours", ours, scenes, every, charge_skipped=False),
        curve("nothing skipped", ours, scenes, every, charge_skipped=True),
    ], ours


def draw_curves(curves: Sequence[Curve], path: Path) -> None:
    """Write the curves as a picture."""
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.subplots()
    for found in curves:
        minutes, shares = zip((0.0, 0.0), *found.points, strict=True)
        axes.plot(minutes, [100 * share for share in shares], label=found.name)
    axes.set(xlabel="minutes of the model", ylabel="% of the perfect ranking", ylim=(0, 100))
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=int, default=300)
    parser.add_argument("--view-s", type=float, default=7.5, help="seconds a view costs")
    parser.add_argument("--svg", type=Path, help="file to draw the curves in")
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    arguments = parser.parse_args()
    over_views, looks = measure_orders(arguments.photos)
    curves = [
        replace(c, points=tuple((v * arguments.view_s / 60, s) for v, s in c.points))
        for c in over_views
    ]
    skipped = Counter(_STAGE_OF[look.view] for look in looks if look.skipped)
    total = Counter(_STAGE_OF[look.view] for look in looks)
    print("our order, in photos:", stage_order(looks))
    print("skipped:", ", ".join(f"{s} {skipped[s] / total[s]:.0%}" for s in total))
    print(f"{'minutes':>10}" + "".join(f"{c.name:>18}" for c in curves))
    longest = curves[0].points[-1][0]
    for percent in (2, 5, *range(10, 101, 10)):
        minutes = longest * percent / 100
        print(f"{minutes:10.0f}" + "".join(f"{c.share_at(minutes):18.1%}" for c in curves))
    print(f"\n{'share':>10}{'paper min':>12}{'our min':>12}{'ratio':>8}{'nothing skipped':>18}")
    rows = []
    for share in _SHARES:
        goal = share * curves[0].points[-1][1]
        paper, ours, unskipped = (c.minutes_to(goal) for c in curves)
        if paper is None or ours is None or unskipped is None:
            continue
        print(f"{goal:10.1%}{paper:12.0f}{ours:12.0f}{ours / paper:8.2f}{unskipped / paper:18.2f}")
        rows.append({"share": goal, "paper_min": paper, "our_min": ours, "ratio": ours / paper})
    if arguments.svg:
        draw_curves(curves, arguments.svg)
    if arguments.json:
        points = {c.name: c.points for c in curves}
        arguments.json.write_text(json.dumps({"to_reach": rows, "curves": points}, indent=1))


if __name__ == "__main__":
    main()
