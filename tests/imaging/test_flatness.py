import io
import random

import pytest
from PIL import Image, ImageDraw, ImageFilter
from shapes import BACKGROUNDS, COLOURS, KINDS, Scene, Shape, scene_with_hidden_shape

from photosearch.domain import View
from photosearch.imaging.crops import crop
from photosearch.imaging.decode import decode
from photosearch.imaging.flatness import is_flat

SKY = (122, 168, 214)


def grainy(image, seed=0, spread=12):
    """Return `image` as a small sensor sees it, and a JPEG file keeps it."""
    noise = Image.merge("RGB", [Image.effect_noise(image.size, spread) for _ in range(3)])
    mixed = Image.blend(image, noise, 0.5).point(
        [max(0, min(255, 2 * v - 128)) for v in range(256)] * 3
    )
    file = io.BytesIO()
    mixed.save(file, "JPEG", quality=75)
    return Image.open(file).convert("RGB")


def sky(size=(672, 504), top=(70, 120, 200), bottom=(190, 214, 236)):
    upper, lower = Image.new("RGB", size, top), Image.new("RGB", size, bottom)
    return Image.composite(lower, upper, Image.linear_gradient("L").resize(size))


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (128, 60, 30), SKY])
def test_one_colour_is_flat_with_and_without_grain(colour):
    plain = Image.new("RGB", (672, 504), colour)
    assert is_flat(plain)
    assert is_flat(grainy(plain))


def test_a_gradient_is_flat():
    assert is_flat(sky())
    assert is_flat(grainy(sky()))


def test_what_is_far_out_of_focus_is_flat():
    drawn = ImageDraw.Draw(picture := Image.new("RGB", (672, 504), (90, 110, 80)))
    drawn.ellipse((200, 120, 500, 420), (150, 120, 90))
    assert not is_flat(picture)
    assert is_flat(picture.filter(ImageFilter.GaussianBlur(80)))


@pytest.mark.parametrize("grain", [False, True])
def test_a_bird_in_the_sky_is_not_flat(grain):
    rng = random.Random(1)
    for _ in range(20):
        picture = sky()
        left, top = rng.randrange(650), rng.randrange(490)
        ImageDraw.Draw(picture).ellipse((left, top, left + 16, top + 12), (60, 62, 66))
        assert not is_flat(grainy(picture) if grain else picture), (left, top)


@pytest.mark.parametrize("background", BACKGROUNDS)
@pytest.mark.parametrize("colour", COLOURS)
def test_a_shape_of_an_eighth_of_the_side_is_not_flat(background, colour):
    for kind in KINDS:
        scene = Scene(background, (Shape(colour, kind, 31, 203, 36),), 300, 300)
        assert not is_flat(scene.draw(random.Random(2))), kind


def test_only_the_ninth_with_the_hidden_shape_is_not_flat():
    scene, hidden = scene_with_hidden_shape(3, (1, 3))
    image = scene.draw()
    corner = View("corner", (2 / 3, 0, 1, 1 / 3))
    assert not is_flat(crop(image, corner))
    alone = Scene(scene.background, (hidden,), scene.width, scene.height).draw()
    assert is_flat(crop(alone, View("other", (0, 1 / 3, 1 / 3, 2 / 3))))


def test_shade_hides_nothing():
    # A lamp that is off in a dark room: 20 levels that are easily seen.
    picture = Image.new("RGB", (400, 300), (8, 8, 8))
    ImageDraw.Draw(picture).rectangle((180, 100, 220, 180), (28, 28, 26))
    assert not is_flat(picture)


def test_any_size_will_do():
    assert is_flat(Image.new("RGB", (1, 1)))
    assert is_flat(Image.new("RGB", (30_000, 2)))


def test_whole_photos_are_not_flat(coco):
    flat = [p.name for p in sorted(coco.glob("*.jpg"))[:100] if is_flat(decode(p, min_side=300))]
    assert flat == []
