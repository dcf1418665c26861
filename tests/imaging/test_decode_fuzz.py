"""Files with flipped bits: each opens or is a DecodeError, and nothing else ever."""

import random

import numpy as np
import pytest
from PIL import ExifTags, Image

from photosearch.errors import DecodeError
from photosearch.imaging.thumbnails import scan_picture

SEED = 20240611
ROUNDS = 60


SUFFIXES = """
    jpg png webp tif gif bmp heic avif jp2 ico qoi ppm tga pcx sgi mpo dib
"""


@pytest.mark.parametrize("suffix", SUFFIXES.split())
def test_flipped_bits(tmp_path, suffix):
    chance = random.Random(f"{SEED} {suffix}")
    noise = np.random.default_rng(SEED).integers(0, 255, (3, 4, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Maker"
    exif[ExifTags.Base.Orientation] = 6
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = "2020:02:03 04:05:06"
    path = tmp_path / f"photo.{suffix}"
    Image.fromarray(noise).resize((40, 30)).save(path, exif=exif)
    content = path.read_bytes()
    outcomes = set()
    for _ in range(ROUNDS):
        damaged = bytearray(content)
        # Headers break more than pixels do.
        reach = chance.choice([min(64, len(damaged)), min(600, len(damaged)), len(damaged)])
        for _ in range(chance.choice([1, 2, 8])):
            damaged[chance.randrange(reach)] ^= 1 << chance.randrange(8)
        path.write_bytes(damaged)
        try:
            info = scan_picture(path, lambda sha256: tmp_path / sha256.hex())
            outcomes.add(info.format)
        except DecodeError as error:
            assert error.reason
            outcomes.add(error.reason)
    assert len(outcomes) > 1, "nothing was damaged, or nothing survived"
