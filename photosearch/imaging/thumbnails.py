"""The scan of a picture file, and the small copies: thumbnails and the viewer's previews."""

from __future__ import annotations

import errno
import hashlib
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from photosearch.domain import PictureInfo
from photosearch.errors import DiskFullError, UnavailableError
from photosearch.imaging.decode import decode_file, open_picture
from photosearch.imaging.metadata import camera_name, date_taken, place_names, stars
from photosearch.imaging.similarity import dhash

THUMBNAIL_SIDE = 320
"""Longest side in pixels: sharp in cells of 160 on a screen of double density, some 15 kB each."""

PREVIEW_SIDE = 2560

_THUMBNAIL_QUALITY = 85
_PREVIEW_QUALITY = 90
# Of a panorama the middle is shown; whole, it would be a line.
_MAX_ASPECT = 4
# Larger files are read twice rather than held in memory.
_MAX_BYTES_IN_MEMORY = 256 * 2**20


def scan_picture(path: Path, thumbnails: Callable[[bytes], Path]) -> PictureInfo:
    """Return what the scan stage learns of `path`, and write its thumbnail if there is none.

    `thumbnails` maps the SHA-256 of the file's bytes to the thumbnail's path. Raises DecodeError
    for the picture, DiskFullError or UnavailableError where the thumbnail can't be written.
    """
    with open_picture(path) as file:
        source, sha256 = _read(file)
        decoded = decode_file(source, _shrink_to_thumbnail)
        taken, camera = date_taken(decoded.exif), camera_name(decoded.exif)
        rating = stars(decoded.exif, decoded.xmp)
        place = place_names(decoded.iptc, decoded.xmp)
    write_thumbnail(decoded.image, thumbnails(sha256))
    return PictureInfo(
        sha256, decoded.width, decoded.height, decoded.format, taken, camera, dhash(decoded.image),
        rating, place,
    )  # fmt: skip


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


def _read(file: io.BufferedReader) -> tuple[BinaryIO, bytes]:
    """Return the content to decode and its SHA-256, of the same moment where memory allows."""
    if os.fstat(file.fileno()).st_size > _MAX_BYTES_IN_MEMORY:
        return file, hashlib.file_digest(file, "sha256").digest()
    content = file.read()
    return io.BytesIO(content), hashlib.sha256(content).digest()


def _shrink_to_thumbnail(width: int, height: int) -> float:
    """Return how many times smaller a picture may be decoded and still make a good thumbnail."""
    long_side, short_side = max(width, height), min(width, height)
    return min(long_side / THUMBNAIL_SIDE, short_side / (THUMBNAIL_SIDE / _MAX_ASPECT))


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
