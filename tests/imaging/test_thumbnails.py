import errno
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from photosearch.errors import DecodeError, DiskFullError, UnavailableError
from photosearch.imaging.decode import decode
from photosearch.imaging.thumbnails import (
    THUMBNAIL_SIDE,
    scan_picture,
    write_preview,
    write_thumbnail,
)


@pytest.fixture
def photo(tmp_path):
    """A photo of 1200 × 800 that was taken with the camera turned, so stored lying."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    exif[ExifTags.Base.Make] = "Canon"
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = "2019:07:01 12:30:00"
    picture = Image.new("RGB", (1200, 800), "red")
    picture.paste("blue", (0, 0, 600, 800))
    path = tmp_path / "IMG_1.JPG"
    picture.save(path, exif=exif)
    return path


def is_blue(image: Image.Image, x: int, y: int) -> bool:
    pixel = image.getpixel((x, y))
    assert isinstance(pixel, tuple)
    return pixel[2] > 200 > 100 > pixel[0]


def test_a_scan_tells_what_the_file_holds(photo, paths):
    info = scan_picture(photo, paths.thumbnail)
    assert info.sha256 == hashlib.sha256(photo.read_bytes()).digest()
    assert (info.width, info.height, info.format) == (800, 1200, "JPEG")
    assert (info.taken, info.camera) == ("2019-07-01T12:30:00", "Canon")
    with Image.open(paths.thumbnail(info.sha256)) as thumbnail:
        assert thumbnail.size == (213, THUMBNAIL_SIDE)
        assert not thumbnail.getexif()
        assert is_blue(thumbnail, 100, 50)


def test_a_thumbnail_that_is_there_is_left_alone(photo, paths):
    target = paths.thumbnail(hashlib.sha256(photo.read_bytes()).digest())
    target.parent.mkdir(parents=True)
    target.write_bytes(b"there")
    scan_picture(photo, paths.thumbnail)
    assert target.read_bytes() == b"there"
    target.write_bytes(b"")
    scan_picture(photo, paths.thumbnail)
    assert target.stat().st_size > 500


def test_the_thumbnail_of_a_panorama_shows_its_middle(tmp_path):
    panorama = Image.new("RGB", (8000, 300), "red")
    panorama.paste("blue", (3600, 0, 4400, 300))
    path = tmp_path / "pano.jpg"
    panorama.save(path)
    info = scan_picture(path, lambda sha256: tmp_path / "thumbnail")
    assert (info.width, info.height) == (8000, 300)
    with Image.open(tmp_path / "thumbnail") as thumbnail:
        assert thumbnail.size == (THUMBNAIL_SIDE, THUMBNAIL_SIDE // 4)
        assert is_blue(thumbnail, 160, 40)
        assert not is_blue(thumbnail, 20, 40)


def test_small_pictures_are_not_blown_up(tmp_path):
    write_thumbnail(Image.new("RGB", (1, 1)), tmp_path / "a" / "b.jpg")
    with Image.open(tmp_path / "a" / "b.jpg") as thumbnail:
        assert thumbnail.size == (1, 1)


def test_a_preview_is_upright_and_fits(photo, tmp_path):
    write_preview(photo, tmp_path / "previews" / "p.jpg", max_side=600)
    with Image.open(tmp_path / "previews" / "p.jpg") as preview:
        assert preview.size == (400, 600)
        assert is_blue(preview, 200, 50)
    with pytest.raises(DecodeError, match="gone"):
        write_preview(tmp_path / "missing.jpg", tmp_path / "previews" / "q.jpg")
    write_preview(tmp_path / "missing.jpg", tmp_path / "previews" / "p.jpg")


def test_nobody_sees_half_a_thumbnail(tmp_path, monkeypatch):
    seen = []

    def replace(source, target):
        with Image.open(source) as unfinished:
            unfinished.load()
        seen.append(Path(target).exists())
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "replace", replace)
    with pytest.raises(DiskFullError, match="no space"):
        write_thumbnail(Image.new("RGB", (50, 50)), tmp_path / "t.jpg")
    assert seen == [False]
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_told_from_other_failures(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UnavailableError) as caught:
        write_thumbnail(Image.new("RGB", (50, 50)), tmp_path / "file" / "t.jpg")
    assert not isinstance(caught.value, DiskFullError)


@pytest.mark.skipif(sys.platform == "win32", reason="permissions of POSIX")
def test_a_photo_without_permission(photo, paths):
    photo.chmod(0)
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)  # Root may read anything, so it steps down for a moment.
    try:
        with pytest.raises(DecodeError, match="no permission"):
            scan_picture(photo, paths.thumbnail)
    finally:
        if is_root:
            os.seteuid(0)


def test_a_file_that_has_gone(tmp_path, paths):
    with pytest.raises(DecodeError, match="gone"):
        scan_picture(tmp_path / "x.jpg", paths.thumbnail)


PEAK = """
import resource, sys
from pathlib import Path
from photosearch.imaging.decode import decode
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(decode(Path(sys.argv[1]), min_side=300).size)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def test_a_huge_picture_takes_little_more_than_its_pixels(tmp_path):
    path = tmp_path / "huge.png"
    Image.fromarray(np.zeros((8000, 10000), dtype=np.uint8)).save(path, compress_level=1)
    size, peak_mb = (
        subprocess.run(
            [sys.executable, "-c", PEAK, path], check=True, capture_output=True, text=True
        )
        .stdout.strip()
        .split("\n")
    )
    assert size == str(decode(path, min_side=300).size)
    assert int(peak_mb) < 150
