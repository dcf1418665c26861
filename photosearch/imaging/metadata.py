"""Reads from a picture's EXIF when and with what it was taken."""

from __future__ import annotations

import re
from datetime import datetime

from PIL import ExifTags, Image

_FIRST_PHOTOGRAPH = 1826
_MAX_CAMERA_LENGTH = 100
_DATE = re.compile(
    r"(\d{4})[:/.-](\d{1,2})[:/.-](\d{1,2})(?:[ T]+(\d{1,2}):(\d{1,2})(?::(\d{1,2}))?)?"
)
_COMPANY = re.compile(r"[\s,]+(?:corporation|company|co\.?|corp\.?|ltd\.?|inc\.?)(?=[\s,]|$)", re.I)


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
