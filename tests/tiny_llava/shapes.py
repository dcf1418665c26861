"""Pictures of coloured shapes with the captions that the tiny LLaVA was trained to give.

Everything is drawn from a seeded `random.Random`, so a seed names a picture. Sizes are fractions of
the longer side of the view they are seen in: a shape is named from `NAMED_SIDE` on, called small
below `SMALL_SIDE`, and left out below `TINY_SIDE`. In the gaps between, and wherever else the right
caption would be a matter of taste, there is none (`Scene.caption` returns None).
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from itertools import pairwise

from PIL import Image, ImageDraw

Box = tuple[float, float, float, float]
Colour = tuple[int, int, int]

COLOURS: dict[str, Colour] = {
    "red": (214, 32, 34),
    "orange": (250, 140, 16),
    "yellow": (246, 226, 30),
    "green": (30, 150, 54),
    "blue": (30, 72, 214),
    "purple": (128, 36, 164),
    "pink": (250, 140, 196),
    "brown": (116, 68, 32),
}
KINDS = ("circle", "square", "triangle")
BACKGROUNDS: dict[str, Colour] = {
    "white": (250, 250, 250),
    "grey": (176, 178, 182),
    "black": (12, 12, 14),
    "beige": (226, 208, 170),
}

WHOLE: Box = (0.0, 0.0, 1.0, 1.0)
TINY_SIDE = 0.04
NAMED_SIDE = 0.09
SMALL_SIDE = 0.20
NORMAL_SIDE = 0.24
MOST_NAMED = 3
# Below this a visible sliver is less than a pixel wide where the model looks.
_SLIVER = 0.008
_SHARE_TO_NAME = 0.4
_ORDER_GAP = 0.06


@dataclass(frozen=True)
class Shape:
    """A shape of `side` and place (`left`, `top`), all in pixels; it may reach over the edge."""

    colour: str
    kind: str
    left: float
    top: float
    side: float


@dataclass(frozen=True)
class Seen:
    """A shape as one view shows it: visible part in pixels of the view, and whether it is small."""

    shape: Shape
    box: Box
    small: bool

    @property
    def words(self) -> str:
        return f"{'small ' if self.small else ''}{self.shape.colour} {self.shape.kind}"


@dataclass(frozen=True)
class Scene:
    """A picture of `width` × `height` pixels: plain background, shapes that don't overlap."""

    background: str
    shapes: tuple[Shape, ...]
    width: int
    height: int

    def draw(self, jitter: random.Random | None = None) -> Image.Image:
        """Return the RGB picture; with `jitter` each colour is off by a little."""

        def shade(colour: Colour) -> Colour:
            if jitter is None:
                return colour
            red, green, blue = (max(0, min(255, round(c + jitter.uniform(-9, 9)))) for c in colour)
            return red, green, blue

        image = Image.new("RGB", (self.width, self.height), shade(BACKGROUNDS[self.background]))
        pen = ImageDraw.Draw(image)
        for shape in self.shapes:
            left, top = shape.left, shape.top
            right, bottom = left + shape.side - 1, top + shape.side - 1
            fill = shade(COLOURS[shape.colour])
            if shape.kind == "circle":
                pen.ellipse((left, top, right, bottom), fill)
            elif shape.kind == "square":
                pen.rectangle((left, top, right, bottom), fill)
            else:
                pen.polygon([((left + right) / 2, top), (right, bottom), (left, bottom)], fill)
        return image

    def seen(self, box: Box = WHOLE) -> list[Seen] | None:
        """Return the shapes to name in the view `box`, left to right; None if disputable."""
        x0, y0 = box[0] * self.width, box[1] * self.height
        width, height = (box[2] - box[0]) * self.width, (box[3] - box[1]) * self.height
        longer = max(width, height)
        found: list[Seen] = []
        for shape in self.shapes:
            left, top = max(0.0, shape.left - x0), max(0.0, shape.top - y0)
            right = min(width, shape.left - x0 + shape.side)
            bottom = min(height, shape.top - y0 + shape.side)
            if min(right - left, bottom - top) < min(_SLIVER * longer, shape.side * 0.9):
                continue
            side = max(right - left, bottom - top) / longer
            if side < TINY_SIDE:
                continue
            share = (right - left) * (bottom - top) / shape.side**2
            if share < _SHARE_TO_NAME or side < NAMED_SIDE or SMALL_SIDE < side < NORMAL_SIDE:
                return None
            found.append(Seen(shape, (left, top, right, bottom), side <= SMALL_SIDE))
        found.sort(key=lambda seen: seen.box[0] + seen.box[2])
        centres = [(seen.box[0] + seen.box[2]) / 2 for seen in found]
        gaps = [right - left for left, right in pairwise(centres)]
        if len(found) > MOST_NAMED or any(gap < _ORDER_GAP * longer for gap in gaps):
            return None
        return found

    def caption(self, box: Box = WHOLE) -> str | None:
        """Return the right caption of the view `box`, or None where there is no single one."""
        found = self.seen(box)
        return None if found is None else caption_of([s.words for s in found], self.background)


def caption_of(words: list[str], background: str) -> str:
    """Return the sentence that names `words`, each such as "small red circle"."""
    if not words:
        return f"A plain {background} background."
    named = [f"{'an' if word.startswith('orange') else 'a'} {word}" for word in words]
    listed = named[0] if len(named) == 1 else f"{', '.join(named[:-1])} and {named[-1]}"
    return f"{listed[0].upper()}{listed[1:]} on a {background} background."


def random_scene(
    seed: random.Random | int,
    *,
    named: int | None = None,
    tiny: int | None = None,
    size: tuple[int, int] | None = None,
    cut: bool = False,
) -> Scene:
    """Return a picture whose whole view has a right caption, with `named` shapes in it.

    `tiny` shapes are too small to be named; with `cut`, shapes may reach over the edge. What is
    not given is drawn by chance. `size` is (width, height) in pixels.
    """
    rng = seed if isinstance(seed, random.Random) else random.Random(seed)
    while True:
        scene = _attempt(rng, named, tiny, size, cut)
        if scene is not None:
            return scene


def scene_with_hidden_shape(
    seed: int, ninth: tuple[int, int] = (1, 1), *, size: int = 900
) -> tuple[Scene, Shape]:
    """Return a square picture of two shapes and a third that can be named only in its ninth.

    `ninth` is (row, column) of the crop that holds the hidden shape whole, each 1 to 3; nothing
    else lies in it. Both the whole view and that ninth have a right caption.
    """
    rng = random.Random(seed)
    row, column = ninth
    box = ninth_box(row, column)
    while True:
        scene = random_scene(rng, named=2, tiny=0, size=(size, size))
        used = {(shape.colour, shape.kind) for shape in scene.shapes}
        colour = rng.choice([c for c in COLOURS if all(c != other for other, _ in used)])
        side = round(size * rng.uniform(0.0385, 0.0396))
        third = size / 3
        margin = third * 0.15
        left = round((column - 1) * third + rng.uniform(margin, third - margin - side))
        top = round((row - 1) * third + rng.uniform(margin, third - margin - side))
        hidden = Shape(colour, rng.choice(KINDS), left, top, side)
        together = Scene(scene.background, (*scene.shapes, hidden), size, size)
        closer = together.seen(box)
        if closer is not None and [seen.shape for seen in closer] == [hidden]:
            return together, hidden


def ninth_box(row: int, column: int) -> Box:
    """Return the box of one of the nine crops, counted from 1."""
    return ((column - 1) / 3, (row - 1) / 3, column / 3, row / 3)


def _attempt(
    rng: random.Random,
    named: int | None,
    tiny: int | None,
    size: tuple[int, int] | None,
    cut: bool,
) -> Scene | None:
    if size is None:
        longer = rng.randint(150, 420)
        shorter = longer if rng.random() < 0.4 else round(longer * rng.uniform(0.5, 1.0))
        size = (longer, shorter) if rng.random() < 0.5 else (shorter, longer)
    width, height = size
    longer = max(size)
    if named is None:
        named = rng.choices((0, 1, 2, 3), (1, 3, 5, 4))[0]
    if tiny is None:
        tiny = rng.choices((0, 1, 2), (6, 3, 1))[0]
    background = rng.choice(list(BACKGROUNDS))
    pairs = rng.sample([(c, k) for c in COLOURS for k in KINDS], named + tiny)
    shapes: list[Shape] = []
    for number, (colour, kind) in enumerate(pairs):
        if number >= named:
            side = longer * rng.uniform(0.012, TINY_SIDE)
        elif rng.random() < 0.5:
            # More of the smallest, which are the hardest to tell apart.
            side = longer * (NAMED_SIDE + (SMALL_SIDE - NAMED_SIDE) * rng.random() ** 1.5)
        else:
            side = longer * rng.uniform(NORMAL_SIDE, 0.5)
        side = round(side)
        over = side * 0.5 if cut and number < named and rng.random() < 0.4 else 0.0
        if side > min(size) and not over:
            return None
        for _ in range(12):
            left = round(rng.uniform(-over, width - side + over))
            top = round(rng.uniform(-over, height - side + over))
            shape = Shape(colour, kind, left, top, side)
            if not any(_touch(shape, other, longer * 0.02) for other in shapes):
                shapes.append(shape)
                break
        else:
            return None
    scene = Scene(background, tuple(shapes), width, height)
    found = scene.seen()
    return scene if found is not None and len(found) == named else None


def _touch(a: Shape, b: Shape, gap: float) -> bool:
    return (
        a.left < b.left + b.side + gap
        and b.left < a.left + a.side + gap
        and a.top < b.top + b.side + gap
        and b.top < a.top + a.side + gap
    )
