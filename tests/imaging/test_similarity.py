import io
import random
import sqlite3

import pytest
from PIL import Image, ImageEnhance
from shapes import random_scene

from photosearch.imaging.decode import decode
from photosearch.imaging.similarity import SIMILAR_BITS, dhash, distance, is_similar


def photo():
    """Return a picture with soft light and dark all over, as photos have."""
    rng = random.Random(4)
    coarse = Image.new("RGB", (7, 5))
    coarse.putdata([tuple(rng.randrange(256) for _ in range(3)) for _ in range(35)])
    return coarse.resize((640, 480), Image.Resampling.BICUBIC)


def recompressed(image):
    file = io.BytesIO()
    image.save(file, "JPEG", quality=40)
    return Image.open(file)


@pytest.mark.parametrize(
    "alter",
    [
        lambda image: image.resize((160, 120)),
        recompressed,
        lambda image: image.crop((6, 5, 634, 475)),
        lambda image: ImageEnhance.Brightness(image).enhance(1.1),
        lambda image: image.convert("L"),
    ],
)
def test_an_altered_copy_is_similar(alter):
    assert is_similar(dhash(photo()), dhash(alter(photo())))


def test_a_mirrored_or_turned_photo_is_another():
    for method in (Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.ROTATE_90):
        assert distance(dhash(photo()), dhash(photo().transpose(method))) > 2 * SIMILAR_BITS


def test_hashes_fit_into_sqlite_and_come_back_with_either_sign():
    darker = Image.linear_gradient("L").rotate(90)
    brighter = darker.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    hashes = [dhash(darker), dhash(brighter)]
    assert sorted(hashes) == [-1, 0], "each pixel brighter than its left one, and none"
    with sqlite3.connect(":memory:") as database:
        stored = [database.execute("SELECT ?", (number,)).fetchone()[0] for number in hashes]
    database.close()
    assert stored == hashes
    assert distance(*stored) == 64
    assert distance(-1 << 63, 0) == 1


def test_any_picture_has_a_hash():
    for image in (Image.new("RGB", (1, 1)), Image.new("L", (30_000, 2)), Image.new("1", (9, 9))):
        assert dhash(image) == 0


def test_scenes_are_told_apart():
    hashes = [dhash(random_scene(seed, named=3).draw()) for seed in range(40)]
    pairs = [(a, b) for number, a in enumerate(hashes) for b in hashes[:number]]
    assert sum(is_similar(a, b) for a, b in pairs) < len(pairs) * 0.05


def test_photos_are_told_apart(coco):
    hashes = [dhash(decode(path, min_side=128)) for path in sorted(coco.glob("*.jpg"))[:80]]
    assert not [1 for n, a in enumerate(hashes) for b in hashes[:n] if is_similar(a, b)]
