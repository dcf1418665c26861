"""Opens any picture file as an upright RGB image; every failure is a DecodeError."""

from __future__ import annotations

import errno
import io
import math
import re
import stat
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO

import numpy as np
import pillow_heif
from PIL import ExifTags, Image, ImageCms, ImageFile, UnidentifiedImageError

from photosearch.errors import DecodeError, FileUnreachableError
from photosearch.imaging.formats import PICTURE_FORMATS
from photosearch.imaging.metadata import read_iptc, read_xmp

MAX_PIXELS = 300_000_000
"""Above the 200 megapixels of today's phones. Pillow takes 4 bytes a pixel: 1.2 GB at the limit."""

# Pillow's limit is one for the process; its own checks (frames, icons, tiles) need to know ours.
Image.MAX_IMAGE_PIXELS = MAX_PIXELS
pillow_heif.register_heif_opener()

Shrink = Callable[[int, int], float]
"""From the width and height of a picture: how many times smaller it may be decoded."""

_TRANSPOSE_BY_ORIENTATION = MappingProxyType(
    {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }
)
_ICC_SPACE_BY_MODE = MappingProxyType({"RGB": "RGB", "L": "GRAY", "CMYK": "CMYK"})
_FULL_SCALES = (255, 1023, 4095, 16383, 65535)
_REASONS = (
    (MemoryError, "there is not enough memory to open it"),
    (FileNotFoundError, "the file is gone"),
    (PermissionError, "no permission to read the file"),
    (UnidentifiedImageError, "not a picture that can be read"),
)
# What an unplugged drive or a lost network share answers with.
_UNREACHABLE = frozenset(
    getattr(errno, name)
    for name in (
        "ENOENT",
        "ENOTDIR",
        "EIO",
        "ENODEV",
        "ENXIO",
        "ESTALE",
        "ENOTCONN",
        "EHOSTDOWN",
        "ETIMEDOUT",
    )
    if hasattr(errno, name)
)
_SIGNATURE = re.compile(
    rb"\xff\xd8\xff|\x89PNG|GIF8|RIFF....WEBP|II\*\0|MM\0\*|....ftyp(?:hei|mif1|avi)|"
    rb"\0\0\0\x0cjP|\xff\x4f\xff\x51|8BPS|qoif",
    re.DOTALL,
)
_CUT_OFF = re.compile(r"truncat|unexpected end|end of file|premature|not enough|eof\b", re.I)


@dataclass(frozen=True, slots=True)
class Decoded:
    """An upright RGB `image`, maybe smaller than the picture, whose upright size is given."""

    image: Image.Image
    width: int
    height: int
    format: str
    exif: Image.Exif
    iptc: Mapping[tuple[int, int], object]
    xmp: Mapping[str, str]


def decode(path: Path, *, min_side: int | None = None) -> Image.Image:
    """Return the picture at `path` as it is meant to be seen: upright, sRGB, first frame.

    Transparent parts become white. With `min_side` the result may be smaller than the picture,
    but its shorter side is at least `min_side` pixels where the picture's own is: much faster and
    leaner for large files. Raises DecodeError, whatever is wrong with the file, of the kind
    FileUnreachableError if it can't be got at.
    """
    with open_picture(path) as file:
        return decode_file(file, shrink_to_short_side(min_side)).image


def shrink_to_short_side(min_side: int | None) -> Shrink:
    """Return a rule that keeps the shorter side at `min_side` pixels or more; None: full size."""
    return lambda width, height: min(width, height) / min_side if min_side else 1.0


@contextmanager
def open_picture(path: Path) -> Iterator[io.BufferedReader]:
    """Open `path` to be decoded in the `with` block; all that goes wrong there is a DecodeError.

    Not for several threads at once: warnings are held back for the whole process.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            status = path.stat()
            # Opening a pipe or a device could wait for ever.
            if not stat.S_ISREG(status.st_mode):
                raise DecodeError(path, "not a regular file")
            if status.st_size == 0:
                raise DecodeError(path, "the file is empty (0 bytes)")
            with path.open("rb") as file:
                yield file
        except DecodeError:
            raise
        # Decoders raise whatever their parsers stumble over, from struct.error to KeyError.
        except Exception as error:
            if isinstance(error, OSError) and error.errno in _UNREACHABLE:
                raise FileUnreachableError(path, _reason(error)) from error
            raise DecodeError(path, _reason(error)) from error


def decode_file(file: BinaryIO, shrink: Shrink) -> Decoded:
    """Decode an open file from its start; use inside `open_picture`, which names its errors."""
    opened = _open(file)
    width, height = opened.size
    factor = max(1.0, shrink(width, height))
    if opened.format in ("JPEG", "MPO", "HEIF"):
        # HEIF has an embedded thumbnail for this; it must not hide that the rest is missing.
        if opened.format == "HEIF" and _is_cut_off(file):
            raise OSError("truncated")
        # Rounded, for a quotient may miss its whole number by a hair.
        needed = (math.ceil(round(width / factor, 6)), math.ceil(round(height / factor, 6)))
        opened.draft(None, needed)
    elif opened.format == "JPEG2000":
        opened = _loaded_at_lower_resolution(file, opened, int(factor))
    # Read before the pixels, for TIFF forgets its EXIF then; but PNG may keep it behind them.
    if opened.format == "PNG":
        opened.load()
    exif, iptc, xmp = _read_exif(opened), read_iptc(opened), read_xmp(opened.info.get("xmp"))
    header_size = opened.size
    opened.load()
    if opened.size != header_size:
        # HEIF headers may lie; the decoder has the last word.
        width, height = opened.size
    orientation = _orientation(opened, exif)
    image = _to_rgb(opened, shrink)
    if orientation in _TRANSPOSE_BY_ORIENTATION:
        image = image.transpose(_TRANSPOSE_BY_ORIENTATION[orientation])
    if orientation >= 5:
        width, height = height, width
    if image is opened:
        # File classes keep decoder state and methods of their own; callers get a plain image.
        image = opened.copy()
    # Or a copy that is saved would name a colour profile that its pixels no longer have.
    image.info.clear()
    return Decoded(image, width, height, opened.format or "", exif, iptc, xmp)


def _open(file: BinaryIO) -> ImageFile.ImageFile:
    file.seek(0)
    try:
        return Image.open(file, formats=PICTURE_FORMATS)
    except UnidentifiedImageError as error:
        file.seek(0)
        if _SIGNATURE.match(file.read(16)):
            raise ValueError("starts like a picture") from error
        raise


def _is_cut_off(file: BinaryIO) -> bool:
    """Return whether the boxes of an ISO media file (ISO 14496-12) reach beyond its end."""
    end = file.seek(0, io.SEEK_END)
    position = 0
    while position + 8 <= end:
        file.seek(position)
        header = file.read(16)
        size = int.from_bytes(header[:4], "big")
        if size == 1:
            size = int.from_bytes(header[8:16], "big")
        if size < 8:
            # 0 means "up to the end of the file"; all else is no box, maybe data of an editor.
            return False
        position += size
    return position > end


def _loaded_at_lower_resolution(
    file: BinaryIO, opened: ImageFile.ImageFile, factor: int
) -> ImageFile.ImageFile:
    # The file need not hold as many resolutions as we would like.
    for power in range(factor.bit_length() - 1, 0, -1):
        try:
            opened.reduce = power  # type: ignore[method-assign, assignment]
            opened.load()
        except OSError:
            opened = _open(file)
        else:
            return opened
    return opened


def _read_exif(image: Image.Image) -> Image.Exif:
    try:
        return image.getexif()
    except MemoryError:
        raise
    # Broken metadata must not cost the picture.
    except Exception:
        return Image.Exif()


def _orientation(image: ImageFile.ImageFile, exif: Image.Exif) -> int:
    # Pillow turns TIFF itself. AVIF and HEIF are turned by their container alone, which Pillow
    # writes into the EXIF (pillow-heif applies it); an XMP orientation there means nothing.
    if image.format == "TIFF" or (image.format in ("AVIF", "HEIF") and "exif" not in image.info):
        return 1
    orientation = exif.get(ExifTags.Base.Orientation)
    return orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else 1


def _to_rgb(image: Image.Image, shrink: Shrink) -> Image.Image:
    """Return `image` as sRGB on white, made smaller by `shrink` before the costly steps."""
    icc_profile = image.info.get("icc_profile")
    if image.mode.startswith(("I", "F")):
        image = _to_eight_bits(image)
    elif image.has_transparency_data:
        image = image.convert("RGBA")
    elif image.mode == "1":
        image = image.convert("L")
    elif image.mode not in ("L", "RGB", "CMYK", "YCbCr", "LAB", "HSV"):
        image = image.convert("RGB")
    factor = int(shrink(*image.size))
    if factor > 1:
        # JPEG 2000 images hide the method behind a property.
        image = Image.Image.reduce(image, factor)
    if image.mode == "RGBA":
        image = _on_white(image)
    if image.mode == "LAB":
        lab = ImageCms.createProfile("LAB")
        srgb = ImageCms.createProfile("sRGB")
        return ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB") or image
    if isinstance(icc_profile, bytes):
        image = _to_srgb(image, icc_profile)
    return image if image.mode == "RGB" else image.convert("RGB")


def _to_eight_bits(image: Image.Image) -> Image.Image:
    """Scale 16-bit, 32-bit and floating-point gray to the 0 to 255 of mode L.

    Files of 10, 12 or 14 significant bits do not say so to Pillow: white is the smallest usual
    full scale that holds the brightest pixel.
    """
    if image.mode != "F":
        image = image.convert("I")
        low, high = image.getextrema()
        if isinstance(low, int) and isinstance(high, int) and low >= 0 and high <= 65535:
            white = next(scale for scale in _FULL_SCALES if scale >= high)
            return image.point([min(255, v * 255 // white) for v in range(65536)], "L")
    values = np.nan_to_num(np.asarray(image, dtype=np.float32), posinf=0.0, neginf=0.0)
    black, brightest = min(0.0, float(values.min())), float(values.max())
    full_scale = next((float(s) for s in (1, *_FULL_SCALES) if s >= brightest), brightest)
    span = (brightest if black < 0.0 else full_scale) - black
    if span > 0.0:
        values = (values - black) * (255.0 / span)
    return Image.fromarray(values.clip(0.0, 255.0).astype(np.uint8))


def _on_white(image: Image.Image) -> Image.Image:
    alpha = image.getchannel("A")
    colours = image.convert("RGB")
    if alpha.getextrema() == (0, 0):
        # 32-bit BMP often has an alpha channel that nobody filled in.
        return colours
    white = Image.new("RGB", image.size, "white")
    white.paste(colours, mask=alpha)
    return white


def _to_srgb(image: Image.Image, icc_profile: bytes) -> Image.Image:
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc_profile))
        space = profile.profile.xcolor_space.strip()
        if _ICC_SPACE_BY_MODE.get(image.mode) != space:
            return image
        if space == "RGB" and "sRGB" in (profile.profile.profile_description or ""):
            return image
        srgb = ImageCms.createProfile("sRGB")
        return ImageCms.profileToProfile(image, profile, srgb, outputMode="RGB") or image
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        # A broken profile: the colours as they are come close.
        return image


def _reason(error: Exception) -> str:
    """Return in plain words, without capital and full stop, what a decoder's exception means."""
    text = str(error)
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        pixels = re.search(r"(\d+) pixels", text)
        size = f"{int(pixels[1]) // 1_000_000} megapixels, " if pixels else ""
        return f"too large: {size}the limit is {MAX_PIXELS // 1_000_000}"
    for kind, reason in _REASONS:
        if isinstance(error, kind):
            return reason
    if isinstance(error, OSError) and error.errno is not None:
        return f"the file can't be read: {error.strerror}"
    return "the file is cut off" if _CUT_OFF.search(text) else "the file is damaged or incomplete"
