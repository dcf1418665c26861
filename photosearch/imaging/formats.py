"""Which picture formats photosearch reads: the one list for the decoder and for the scanner."""

from __future__ import annotations

from types import MappingProxyType

_SUFFIXES_BY_FORMAT = MappingProxyType(
    {
        # MPO, several JPEGs in a file, is opened by Pillow's JPEG reader.
        "JPEG": ("jpg", "jpeg", "jpe", "jfif", "jif", "pjpeg", "pjp", "mpo"),
        "PNG": ("png", "apng"),
        "WEBP": ("webp",),
        "TIFF": ("tif", "tiff"),
        "GIF": ("gif",),
        "HEIF": ("heic", "heics", "heif", "heifs", "hif"),
        "AVIF": ("avif", "avifs"),
        "JPEG2000": ("jp2", "j2k", "j2c", "jpc", "jpf", "jpx"),
        "BMP": ("bmp",),
        "DIB": ("dib",),
        "PSD": ("psd",),
        "ICO": ("ico",),
        "QOI": ("qoi",),
        "PPM": ("ppm", "pgm", "pbm", "pnm", "pfm"),
        "TGA": ("tga",),
        "PCX": ("pcx",),
        "SGI": ("sgi", "rgb"),
    }
)
# WMF and EPS are left out on purpose: Pillow hands them to external programs.

PICTURE_FORMATS = tuple(_SUFFIXES_BY_FORMAT)
"""The formats that may be opened, by Pillow's names."""

PICTURE_SUFFIXES = frozenset(
    f".{suffix}" for suffixes in _SUFFIXES_BY_FORMAT.values() for suffix in suffixes
)
"""The file name suffixes that make a file a candidate, in lower case with their dot."""


def formats_of_suffix(name: str) -> frozenset[str]:
    """Return the formats, by Pillow's names, that a file name's end or a format's name stands for.

    Case and a leading dot do not matter; none for anything else.
    """
    wanted = name.strip().lower().removeprefix(".")
    if wanted == "mpo":
        return frozenset({"MPO"})
    found = {
        format_name
        for format_name, suffixes in _SUFFIXES_BY_FORMAT.items()
        if wanted in suffixes or wanted == format_name.lower()
    }
    return frozenset(found | {"MPO"} if "JPEG" in found else found)
