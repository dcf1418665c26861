"""Writes the small copies of a photo: thumbnails for the grid, previews for the viewer."""

from __future__ import annotations

import errno
import io
import os
from pathlib import Path

from PIL import Image

from photosearch.errors import DiskFullError, UnavailableError
from photosearch.imaging.decode import decode_file, open_picture

THUMBNAIL_SIDE = 320
"""Longest side in pixels: sharp in cells of 160 on a screen of double density, some 15 kB each."""

PREVIEW_SIDE = 2560

_THUMBNAIL_QUALITY = 85
_PREVIEW_QUALITY = 90
# Of a panorama the middle is shown; whole, it would be a line.
_MAX_ASPECT = 4


def shrink_to_thumbnail(width: int, height: int) -> float:
    """Return how many times smaller a picture may be decoded and still make a good thumbnail."""
    long_side, short_side = max(width, height), min(width, height)
    return min(long_side / THUMBNAIL_SIDE, short_side / (THUMBNAIL_SIDE / _MAX_ASPECT))


def write_thumbnail(image: Image.Image, target: Path) -> None:
    """Write `image` (upright RGB) as a small JPEG, unless `target` is there.

    Raises DiskFullError or UnavailableError. A reader sees all of the file or none of it.
    """
    if _is_there(target):
        return
    width, height = image.size
    trim_x = max(0, width - _MAX_ASPECT * height) // 2
    trim_y = max(0, height - _MAX_ASPECT * width) // 2
    thumbnail = image.crop((trim_x, trim_y, width - trim_x, height - trim_y))
    thumbnail.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.LANCZOS)
    _write_jpeg(thumbnail, target, _THUMBNAIL_QUALITY)


def write_preview(path: Path, target: Path, max_side: int = PREVIEW_SIDE) -> None:
    """Write the picture at `path` as an upright JPEG of at most `max_side` pixels, unless there.

    Raises DecodeError for the picture, DiskFullError or UnavailableError for `target`.
    """
    if _is_there(target):
        return
    with open_picture(path) as file:
        image = decode_file(file, lambda width, height: max(width, height) / max_side).image
        image.thumbnail((max_side, max_side), Image.Resampling.LANCZOS)
    _write_jpeg(image, target, _PREVIEW_QUALITY)


def _is_there(target: Path) -> bool:
    try:
        # A crash of the whole computer may leave an empty file behind.
        return target.stat().st_size > 0
    except OSError:
        return False


def _write_jpeg(image: Image.Image, target: Path, quality: int) -> None:
    encoded = io.BytesIO()
    image.save(encoded, "JPEG", quality=quality)
    unfinished = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            unfinished.write_bytes(encoded.getbuffer())
            unfinished.replace(target)
        except OSError:
            unfinished.unlink(missing_ok=True)
            raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFullError(f"There is no space left for {target.parent}.") from error
        raise UnavailableError(f"{target} can't be written: {error.strerror}.") from error
