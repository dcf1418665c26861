"""The files of a real folder: every one opens or says why not, as its manifest tells."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from photosearch.errors import DecodeError
from photosearch.imaging.decode import decode
from photosearch.imaging.thumbnails import scan_picture

DIFFICULT = Path(__file__).resolve().parents[3] / "shared" / "photos" / "difficult"
MANIFEST = DIFFICULT / "manifest.jsonl"
ENTRIES = (
    [json.loads(line) for line in MANIFEST.read_text("utf-8").splitlines()]
    if MANIFEST.exists()
    else []
)


def entries(opens: bool) -> list[Any]:
    if not ENTRIES:
        return [pytest.param(None, marks=pytest.mark.skip(f"needs the files in {DIFFICULT}"))]
    return [pytest.param(e, id=e["file"]) for e in ENTRIES if (e["expect"] == "opens") == opens]


@pytest.mark.parametrize("entry", entries(True))
def test_opens_at_its_upright_size(entry, tmp_path):
    info = scan_picture(DIFFICULT / entry["file"], lambda sha256: tmp_path / sha256.hex())
    found = entry["pillow"]
    width, height = found["size"]
    # Pillow gives the size of TIFF already turned.
    if (found["orientation"] or 1) >= 5 and found["format"] != "TIFF":
        width, height = height, width
    assert (info.width, info.height, info.format) == (width, height, found["format"])
    assert (tmp_path / info.sha256.hex()).stat().st_size > 0


@pytest.mark.parametrize("entry", entries(False))
def test_says_why_not(entry, tmp_path):
    with pytest.raises(DecodeError) as caught:
        scan_picture(DIFFICULT / entry["file"], lambda sha256: tmp_path / "thumbnail")
    assert caught.value.reason
    assert not (tmp_path / "thumbnail").exists()


@pytest.mark.skipif(not ENTRIES, reason=f"needs the files in {DIFFICULT}")
@pytest.mark.parametrize("shape", ["landscape", "portrait"])
@pytest.mark.parametrize("orientation", range(2, 9))
def test_all_orientations_show_the_same_photo(shape, orientation):
    folder = DIFFICULT / "orientation"
    wanted = np.asarray(decode(folder / f"jpg_orientation_{shape}_1.jpg"), dtype=np.int16)
    found = np.asarray(decode(folder / f"jpg_orientation_{shape}_{orientation}.jpg"))
    # Each was compressed anew, so pixels differ a little; turned wrongly, by 67 on average.
    assert np.abs(wanted - found).mean() < 8


@pytest.mark.skipif(not ENTRIES, reason=f"needs the files in {DIFFICULT}")
@pytest.mark.parametrize(
    "name",
    [
        "gen_16bit_gray.png",
        "16bit.deflate.tif",
        "16bit.cropped.jp2",
        "hopper_16bit.pgm",
        "gen_cmyk.jpg",
        "hopper.Lab.tif",
        "transparent.webp",
        "gen_palette_transparent.png",
        "gen_1bit.png",
    ],
)
def test_odd_pixels_become_a_picture_and_not_a_blank(name):
    tones = np.asarray(decode(DIFFICULT / "formats" / name).convert("L"))
    assert 20 < tones.mean() < 250
    assert tones.std() > 8
