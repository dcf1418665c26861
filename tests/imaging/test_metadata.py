from pathlib import Path

import pytest
from PIL import ExifTags, Image

from photosearch.imaging.metadata import camera_name, date_taken
from photosearch.imaging.thumbnails import scan_picture


def taken_in(path: Path, exif: Image.Exif) -> str:
    Image.new("RGB", (8, 8)).save(path, exif=exif.tobytes())
    return scan_picture(path, lambda sha256: path.with_suffix(".thumbnail")).taken


def exif_with(
    taken: str | None = None, digitized: str | None = None, changed: str | None = None
) -> Image.Exif:
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Maker"
    dates = {ExifTags.Base.DateTimeOriginal: taken, ExifTags.Base.DateTimeDigitized: digitized}
    sub_ifd = exif.get_ifd(ExifTags.IFD.Exif)
    sub_ifd.update({tag: date for tag, date in dates.items() if date is not None})
    if changed is not None:
        exif[ExifTags.Base.DateTime] = changed
    return exif


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("2008:05:30 15:56:01", "2008-05-30T15:56:01"),
        ("2008-05-30 15:56:01", "2008-05-30T15:56:01"),
        ("2008/05/30 15:56", "2008-05-30T15:56:00"),
        ("2008:05:30", "2008-05-30T00:00:00"),
        ("2008:05:30T15:56:01.123+02:00", "2008-05-30T15:56:01"),
        ("1901:01:02 03:04:05", "1901-01-02T03:04:05"),
        ("0000:00:00 00:00:00", ""),
        ("    :  :     :  :  ", ""),
        ("2021:13:45 25:61:61", ""),
        ("0001:01:01 00:00:00", ""),
        ("yesterday", ""),
        ("", ""),
    ],
)
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
def test_the_date_as_the_camera_wrote_it(tmp_path, suffix, written, read):
    assert taken_in(tmp_path / f"a.{suffix}", exif_with(taken=written)) == read


def test_the_first_date_that_makes_sense_wins(tmp_path):
    zeros, first, second = "0000:00:00 00:00:00", "2001:01:01 01:01:01", "2002:02:02 02:02:02"
    path = tmp_path / "a.jpg"
    assert taken_in(path, exif_with(first, second, second)).startswith("2001")
    assert taken_in(path, exif_with(zeros, first, second)).startswith("2001")
    assert taken_in(path, exif_with(zeros, zeros, second)).startswith("2002")
    assert date_taken(Image.Exif()) == ""


@pytest.mark.parametrize(
    ("make", "model", "name"),
    [
        ("Canon", "Canon EOS 40D", "Canon EOS 40D"),
        ("NIKON CORPORATION", "NIKON D70", "NIKON D70"),
        ("OLYMPUS CORPORATION", "C8080WZ", "OLYMPUS C8080WZ"),
        ("EASTMAN KODAK COMPANY", "KODAK CX7530", "KODAK CX7530"),
        ("SAMSUNG TECHWIN CO., LTD.", "S850", "SAMSUNG TECHWIN S850"),
        ("Apple", "iPhone 13 Pro", "Apple iPhone 13 Pro"),
        ("Hewlett-Packard  ", "  HP PhotoSmart\n", "Hewlett-Packard HP PhotoSmart"),
        ("", "DSC-1", "DSC-1"),
        ("Jolla", "", "Jolla"),
        ("", "", ""),
        ("Maker\0rubbish", "Model\0\x07", "Maker Model"),
        (b"Ko\xf1ica", b"\xe5\xb0\x8f\xe7\xb1\xb3", "Koñica 小米"),
    ],
)
def test_the_camera_as_people_say_it(tmp_path, make, model, name):
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = make
    exif[ExifTags.Base.Model] = model
    assert camera_name(exif) == name


def test_a_name_without_end_is_cut():
    exif = Image.Exif()
    exif[ExifTags.Base.Model] = "x" * 5000
    assert len(camera_name(exif)) == 100


def test_values_of_the_wrong_type_are_ignored():
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = 7
    exif[ExifTags.Base.Model] = (1, 2)
    exif[ExifTags.Base.DateTime] = 20200102
    assert camera_name(exif) == ""
    assert date_taken(exif) == ""
