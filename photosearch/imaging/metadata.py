"""What a picture file says of itself: identity, size, date taken, camera."""

from __future__ import annotations

import hashlib
import io
import os
import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from PIL import ExifTags, Image

from photosearch.domain import PictureInfo
from photosearch.imaging.decode import decode_file, open_picture
from photosearch.imaging.thumbnails import shrink_to_thumbnail, write_thumbnail

# Larger files are read twice rather than held in memory.
_MAX_BYTES_IN_MEMORY = 256 * 2**20
_FIRST_PHOTOGRAPH = 1826
_MAX_CAMERA_LENGTH = 100
_DATE = re.compile(
    r"(\d{4})[:/.-](\d{1,2})[:/.-](\d{1,2})(?:[ T]+(\d{1,2}):(\d{1,2})(?::(\d{1,2}))?)?"
)
_COMPANY = re.compile(r"[\s,]+(?:corporation|company|co\.?|corp\.?|ltd\.?|inc\.?)(?=[\s,]|$)", re.I)


def scan_picture(path: Path, thumbnails: Callable[[bytes], Path]) -> PictureInfo:
    """Return what the scan stage learns of `path`, and write its thumbnail if there is none.

    `thumbnails` maps the SHA-256 of the file's bytes to the thumbnail's path. Raises DecodeError
    for the picture, DiskFullError or UnavailableError where the thumbnail can't be written.
    """
    with open_picture(path) as file:
        source, sha256 = _read(file)
        decoded = decode_file(source, shrink_to_thumbnail)
        taken, camera = date_taken(decoded.exif), camera_name(decoded.exif)
    write_thumbnail(decoded.image, thumbnails(sha256))
    return PictureInfo(sha256, decoded.width, decoded.height, decoded.format, taken, camera)


def date_taken(exif: Image.Exif) -> str:
    """Return the camera's local time as ISO 8601 without offset; empty where it wrote none."""
    sub_ifd = _ifd(exif, ExifTags.IFD.Exif)
    for value in (
        sub_ifd.get(ExifTags.Base.DateTimeOriginal),
        sub_ifd.get(ExifTags.Base.DateTimeDigitized),
        _ifd(exif, None).get(ExifTags.Base.DateTime),
    ):
        taken = _parse_date(_text(value))
        if taken:
            return taken
    return ""


def camera_name(exif: Image.Exif) -> str:
    """Return make and model as people say it ("Canon EOS 40D"); empty where there is neither."""
    tags = _ifd(exif, None)
    make = _COMPANY.sub("", _text(tags.get(ExifTags.Base.Make))).rstrip(" ,.")
    model = _text(tags.get(ExifTags.Base.Model))
    first_word = model.casefold().split(" ")[0]
    if not make or first_word in make.casefold().split(" "):
        return (model or make)[:_MAX_CAMERA_LENGTH]
    return f"{make} {model}".strip()[:_MAX_CAMERA_LENGTH]


def _read(file: io.BufferedReader) -> tuple[BinaryIO, bytes]:
    """Return the content to decode and its SHA-256, of the same moment where memory allows."""
    if os.fstat(file.fileno()).st_size > _MAX_BYTES_IN_MEMORY:
        return file, hashlib.file_digest(file, "sha256").digest()
    content = file.read()
    return io.BytesIO(content), hashlib.sha256(content).digest()


def _ifd(exif: Image.Exif, ifd: int | None) -> dict[int, object]:
    try:
        return dict(exif if ifd is None else exif.get_ifd(ifd))
    except MemoryError:
        raise
    # Broken metadata raises anything and must not cost the picture.
    except Exception:
        return {}


def _text(value: object) -> str:
    """Return an EXIF string without padding and control characters, whatever its encoding."""
    if isinstance(value, str):
        # Pillow reads ASCII fields as Latin-1; phones write UTF-8 into them.
        value = value.encode("latin-1", "replace")
    if not isinstance(value, bytes):
        return ""
    value = value.partition(b"\0")[0]
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        text = value.decode("latin-1")
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _parse_date(text: str) -> str:
    match = _DATE.match(text)
    if match is None:
        return ""
    try:
        moment = datetime(*(int(part or 0) for part in match.groups()))  # type: ignore[arg-type]
    except ValueError:
        return ""
    return moment.isoformat() if moment.year >= _FIRST_PHOTOGRAPH else ""
