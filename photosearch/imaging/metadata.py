"""Reads what cameras and programs wrote into a picture: when, with what, where, how good."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from xml.etree.ElementTree import Element

from defusedxml import ElementTree
from PIL import ExifTags, Image, ImageFile, IptcImagePlugin

_FIRST_PHOTOGRAPH = 1826
_MAX_CAMERA_LENGTH = 100
_MAX_PLACE_LENGTH = 200
_MAX_STARS = 5
_RATING = 0x4746
# Longer ones carry pictures, and parsing takes a quarter of a second for each megabyte.
_MAX_XMP_BYTES = 1 << 20
_RDF_DESCRIPTION = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}Description"
_XMP_RATING = "{http://ns.adobe.com/xap/1.0/}Rating"
_XMP_CORE = "{http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/}"
_XMP_PHOTOSHOP = "{http://ns.adobe.com/photoshop/1.0/}"
# Narrowest first: in record 2 of IPTC IIM 4.2, and in XMP the same by the IPTC Photo Metadata
# Standard; some programs write the country's name in the schema that holds its code.
_PLACE_NAMES = MappingProxyType(
    {
        (2, 92): (f"{_XMP_CORE}Location",),
        (2, 90): (f"{_XMP_PHOTOSHOP}City",),
        (2, 95): (f"{_XMP_PHOTOSHOP}State",),
        (2, 101): (f"{_XMP_PHOTOSHOP}Country", f"{_XMP_CORE}CountryName"),
    }
)
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


def read_iptc(image: ImageFile.ImageFile) -> Mapping[tuple[int, int], object]:
    """Return the IPTC fields of an opened picture by record and number; none if they are broken."""
    try:
        return IptcImagePlugin.getiptcinfo(image) or {}
    except MemoryError:
        raise
    # Broken metadata raises anything and must not cost the picture.
    except Exception:
        return {}


def read_xmp(packet: object) -> Mapping[str, str]:
    """Return the simple properties of an XMP packet by "{namespace}name"; none if it is broken."""
    if not isinstance(packet, bytes) or len(packet) > _MAX_XMP_BYTES:
        return {}
    try:
        root: Element = ElementTree.fromstring(packet.strip(b"\0 \t\r\n"))
    except MemoryError:
        raise
    except Exception:
        return {}
    found: dict[str, str] = {}
    for description in root.iter(_RDF_DESCRIPTION):
        for name, value in (
            *description.items(),
            *((child.tag, "".join(child.itertext())) for child in description),
        ):
            # An outer description comes before those in it, which tell of other things.
            if printable := _printable(value):
                found.setdefault(name, printable)
    return found


def stars(exif: Image.Exif, xmp: Mapping[str, str]) -> int:
    """Return the rating, 1 to 5; 0 for none and for pictures marked as rejected."""
    if _XMP_RATING in xmp:
        try:
            rating = round(float(xmp[_XMP_RATING]))
        except (ValueError, OverflowError):
            return 0
    else:
        written = _ifd(exif, None).get(_RATING)
        rating = written if isinstance(written, int) else 0
    return rating if 1 <= rating <= _MAX_STARS else 0


def place_names(iptc: Mapping[tuple[int, int], object], xmp: Mapping[str, str]) -> str:
    """Return sublocation, city, state and country as far as known, separated by commas."""
    names: dict[str, str] = {}
    for number, properties in _PLACE_NAMES.items():
        written = iptc.get(number)
        if isinstance(written, list):
            written = written[0]
        name = next((xmp[key] for key in properties if key in xmp), "") or _text(written)
        if name:
            names.setdefault(name.casefold(), name)
    return ", ".join(names.values())[:_MAX_PLACE_LENGTH]


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
    return _printable(text)


def _printable(text: str) -> str:
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
