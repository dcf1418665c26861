"""The fixed views of a photo: the whole, and the paper's 17 crops in three stages."""

from __future__ import annotations

import math
from types import MappingProxyType

from PIL import Image

from photosearch.domain import Stage, View

WHOLE = View("whole", (0.0, 0.0, 1.0, 1.0))

# Section 3.2 of Nakata et al.: 2 vertical and 2 horizontal halves, 4 quarters, 9 ninths.
_HALVES = (
    View("half-left", (0.0, 0.0, 0.5, 1.0)),
    View("half-right", (0.5, 0.0, 1.0, 1.0)),
    View("half-top", (0.0, 0.0, 1.0, 0.5)),
    View("half-bottom", (0.0, 0.5, 1.0, 1.0)),
)
_QUARTERS = (
    View("quarter-top-left", (0.0, 0.0, 0.5, 0.5)),
    View("quarter-top-right", (0.5, 0.0, 1.0, 0.5)),
    View("quarter-bottom-left", (0.0, 0.5, 0.5, 1.0)),
    View("quarter-bottom-right", (0.5, 0.5, 1.0, 1.0)),
)
_NINTHS = tuple(
    View(f"ninth-{row + 1}-{column + 1}", (column / 3, row / 3, (column + 1) / 3, (row + 1) / 3))
    for row in range(3)
    for column in range(3)
)
_BY_STAGE = MappingProxyType(
    {
        Stage.FULL: (WHOLE,),
        Stage.HALVES: _HALVES,
        Stage.QUARTERS: _QUARTERS,
        Stage.NINTHS: _NINTHS,
    }
)
ALL_VIEWS = tuple(view for stage_views in _BY_STAGE.values() for view in stage_views)
"""The whole photo and the 17 crops, in the order of the stages."""

_BY_NAME = MappingProxyType({view.name: view for view in ALL_VIEWS})


def views(stage: Stage) -> tuple[View, ...]:
    """Return the views that a caption stage looks at; KeyError for `scan` and `tags`."""
    return _BY_STAGE[stage]


def view_named(name: str) -> View:
    """Return the view of this name; KeyError if there is none."""
    return _BY_NAME[name]


def crop(image: Image.Image, view: View) -> Image.Image:
    """Return the part of the upright `image` that `view` shows, at least 1 × 1 pixels.

    The views of one stage cover every pixel; they may share one where a side does not divide.
    """
    left, right = _span(view.box[0], view.box[2], image.width)
    top, bottom = _span(view.box[1], view.box[3], image.height)
    return image.crop((left, top, right, bottom))


def _span(low: float, high: float, size: int) -> tuple[int, int]:
    # Thirds are not exact in binary: without rounding, ceil(2/3 * 300) would be 201.
    first = min(math.floor(round(low * size, 6)), size - 1)
    return first, max(math.ceil(round(high * size, 6)), first + 1)
