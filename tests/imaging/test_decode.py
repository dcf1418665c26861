import io
import os
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms

from photosearch.errors import DecodeError
from photosearch.imaging.decode import MAX_PIXELS, decode

UPRIGHT_TO_STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def four_colours(width: int = 96, height: int = 64) -> Image.Image:
    """Red, green / blue, white quarters: every way of turning it looks different."""
    picture = Image.new("RGB", (width, height), "red")
    picture.paste((0, 255, 0), (width // 2, 0, width, height // 2))
    picture.paste((0, 0, 255), (0, height // 2, width // 2, height))
    picture.paste("white", (width // 2, height // 2, width, height))
    return picture


def corners(image: Image.Image) -> list[tuple[int, ...]]:
    quarter = image.width // 4, image.height // 4
    points = [(x, y) for y in (1, 3) for x in (1, 3)]
    pixels = [rgb(image, x * quarter[0], y * quarter[1]) for x, y in points]
    return [tuple(round(value / 255) for value in pixel) for pixel in pixels]


def rgb(image: Image.Image, x: int, y: int) -> tuple[int, int, int]:
    pixel = image.getpixel((x, y))
    assert isinstance(pixel, tuple)
    red, green, blue = pixel
    return red, green, blue


UPRIGHT = [(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 1)]


@pytest.mark.parametrize("orientation", UPRIGHT_TO_STORED)
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif", "avif", "heic"])
def test_all_orientations_come_out_upright(tmp_path, suffix, orientation):
    picture = four_colours()
    transpose = UPRIGHT_TO_STORED[orientation]
    if transpose is not None:
        picture = picture.transpose(transpose)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    path = tmp_path / f"photo.{suffix}"
    if suffix == "heic":
        # Handed over this way, pillow-heif turns the orientation into the container's rotation.
        picture.info["exif"] = exif.tobytes()
        picture.save(path)
    else:
        picture.save(path, exif=exif)
    decoded = decode(path)
    assert decoded.mode == "RGB"
    assert decoded.size == (96, 64)
    assert corners(decoded) == UPRIGHT
    assert corners(decode(path, min_side=16)) == UPRIGHT


def save_16_bit(path: Path, high: int) -> None:
    ramp = np.linspace(0, high, 256).astype(np.uint16)
    Image.fromarray(np.tile(ramp, (8, 1))).save(path)


@pytest.mark.parametrize("name", ["gray.png", "gray.tif", "gray.jp2"])
@pytest.mark.parametrize("high", [65535, 4095])
def test_16_bit_gray_keeps_its_tones(tmp_path, name, high):
    save_16_bit(tmp_path / name, high=high)
    tones = np.asarray(decode(tmp_path / name))[4, :, 0].astype(int)
    assert np.abs(tones - np.arange(256)).max() <= 3


@pytest.mark.parametrize(
    ("low", "high"), [(0.0, 1.0), (0.0, 255.0), (-3.0, 7.0), (0.0, 1e9), (0.0, 0.0)]
)
def test_floating_point_is_scaled_to_tones(tmp_path, low, high):
    values = np.tile(np.linspace(low, high, 256, dtype=np.float32), (4, 1))
    values[0, 0] = np.nan
    Image.fromarray(values).save(tmp_path / "depth.tif")
    tones = np.asarray(decode(tmp_path / "depth.tif"))[2, :, 0].astype(int)
    expected = np.arange(256) if high > low else np.zeros(256)
    assert np.abs(tones - expected).max() <= 1


def test_transparent_parts_are_white(tmp_path):
    picture = Image.new("RGBA", (4, 4), (255, 0, 0, 255))
    picture.paste((0, 0, 0, 0), (2, 0, 4, 4))
    picture.save(tmp_path / "logo.png")
    picture.quantize(4).save(tmp_path / "palette.png")
    picture.convert("LA").save(tmp_path / "gray.png")
    for name in ("logo.png", "palette.png", "gray.png"):
        assert decode(tmp_path / name).getpixel((3, 1)) == (255, 255, 255)
    assert decode(tmp_path / "logo.png").getpixel((0, 1)) == (255, 0, 0)


def test_an_alpha_channel_that_nobody_filled_in_hides_nothing(tmp_path):
    Image.new("RGBA", (4, 4), (0, 0, 255, 0)).save(tmp_path / "scan.tif")
    assert decode(tmp_path / "scan.tif").getpixel((1, 1)) == (0, 0, 255)


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "LAB", "YCbCr"])
def test_every_mode_becomes_rgb_of_the_same_picture(tmp_path, mode):
    if mode == "LAB":
        srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
        stored = four_colours()
        stored = ImageCms.profileToProfile(stored, srgb, lab, outputMode="LAB") or stored
    else:
        stored = four_colours().convert(mode)
    stored.save(tmp_path / "photo.tif")
    decoded = decode(tmp_path / "photo.tif")
    assert decoded.mode == "RGB"
    if mode in ("1", "L"):
        assert decoded.getpixel((90, 60)) == (255, 255, 255)
    else:
        assert corners(decoded) == UPRIGHT


def test_colours_become_srgb_and_the_profile_goes(tmp_path):
    # A profile whose red and green are exchanged could not be missed.
    swapped = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    swapped = swapped.replace(b"rXYZ", b"tmp!").replace(b"gXYZ", b"rXYZ").replace(b"tmp!", b"gXYZ")
    swapped = swapped.replace("sRGB".encode("utf-16-be"), "odd!".encode("utf-16-be"))
    Image.new("RGB", (4, 4), "red").save(tmp_path / "odd.png", icc_profile=bytes(swapped))
    decoded = decode(tmp_path / "odd.png")
    red, green, _ = rgb(decoded, 1, 1)
    assert green > 200 > 100 > red
    assert "icc_profile" not in decoded.info


def test_a_broken_profile_costs_nothing(tmp_path):
    for number, profile in enumerate((b"no profile", b"\0" * 200, os.urandom(500))):
        path = tmp_path / f"{number}.jpg"
        four_colours().save(path, quality=95, icc_profile=profile)
        assert corners(decode(path)) == UPRIGHT


@pytest.mark.parametrize("suffix", ["jpg", "jp2", "png", "tif", "webp"])
@pytest.mark.parametrize("min_side", [20, 100, 150, 399, 400, 401, 5000])
def test_min_side_is_kept(tmp_path, suffix, min_side):
    path = tmp_path / f"photo.{suffix}"
    four_colours(600, 400).save(path)
    decoded = decode(path, min_side=min_side)
    assert min(min_side, 400) <= min(decoded.size) <= 400
    assert min(decoded.size) < 2 * min_side
    assert decoded.width / decoded.height == pytest.approx(1.5, rel=0.1)


def test_animations_show_their_first_frame(tmp_path):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue", "white")]
    for name in ("a.gif", "a.webp", "a.png", "a.tif", "a.mpo"):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
        red, green, blue = rgb(decode(tmp_path / name), 4, 4)
        assert red > 240
        assert max(green, blue) < 15


@pytest.mark.parametrize("fraction", [0.2, 0.6, 0.95])
@pytest.mark.parametrize(
    "suffix", ["jpg", "png", "webp", "tif", "gif", "bmp", "heic", "avif", "jp2", "qoi", "tga"]
)
@pytest.mark.parametrize("min_side", [None, 16])
def test_half_a_file_is_an_error_and_not_half_a_picture(tmp_path, suffix, fraction, min_side):
    noise = np.random.default_rng(7).integers(0, 255, (64, 96, 3), dtype=np.uint8)
    path = tmp_path / f"photo.{suffix}"
    Image.fromarray(noise).save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * fraction)])
    with pytest.raises(DecodeError, match=r"cut off|incomplete"):
        decode(path, min_side=min_side)


def test_each_failure_says_what_is_wrong(tmp_path):
    def reason(name: str, content: bytes | None = None) -> str:
        if content is not None:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(DecodeError) as caught:
            decode(tmp_path / name)
        assert caught.value.path == tmp_path / name
        return caught.value.reason

    assert reason("empty.jpg", b"") == "the file is empty (0 bytes)"
    assert reason("page.jpg", b"<html><body>404</body></html>") == "not a picture that can be read"
    assert reason("missing.jpg") == "the file is gone"
    (tmp_path / "folder.jpg").mkdir()
    assert reason("folder.jpg") == "not a regular file"
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.jpg")
        assert reason("pipe.jpg") == "not a regular file"
    huge = b"P5 40000 40000 255\n" + b"\0" * 100
    assert reason("bomb.pgm", huge) == (
        f"too large: 1600 megapixels, the limit is {MAX_PIXELS // 1_000_000}"
    )


def test_nothing_is_printed_and_warnings_stay_inside(tmp_path, capfd):
    stored = io.BytesIO()
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "A camera with a long name"
    four_colours().save(stored, "JPEG", exif=exif)
    path = tmp_path / "photo.jpg"
    path.write_bytes(stored.getvalue().replace(b"\x01\x0f\x00\x02", b"\x01\x0f\xff\xff"))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert decode(path).size == (96, 64)
    assert caught == []
    assert capfd.readouterr() == ("", "")


def test_what_is_in_the_file_counts_and_not_its_name(tmp_path):
    four_colours().save(tmp_path / "photo.heic")
    (tmp_path / "photo.heic").rename(tmp_path / "photo.jpg")
    assert corners(decode(tmp_path / "photo.jpg")) == UPRIGHT


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif", "gif", "bmp", "jp2", "avif"])
@pytest.mark.parametrize("size", [(1, 1), (1, 2000), (2000, 1)])
def test_extreme_shapes_open(tmp_path, suffix, size):
    path = tmp_path / f"line.{suffix}"
    Image.new("RGB", size, "red").save(path)
    assert decode(path).size == size
    assert decode(path, min_side=64).size == size
