"""Word clouds: deterministic, within their bounds, without overlap."""

import pytest
from PIL import Image

from photosearch.clouds import font_path, layout, write_png
from photosearch.domain import TermCount

SAID = "dog frisbee grass sea sky Straße Ёлка θάλασσα jumping catch sand tree"
COUNTS = (30, 22, 18, 11, 9, 8, 6, 5, 3, 2, 1, 1)
WORDS = [TermCount(*pair) for pair in zip(SAID.split(), COUNTS, strict=True)]


@pytest.mark.parametrize(("width", "height"), [(320, 208), (1200, 800), (160, 400)])
def test_words_are_within_the_picture_and_apart(width, height):
    placed = layout(WORDS, width, height)
    assert placed[0].word == "dog" and placed[0].rank == 0
    assert len(placed) >= len(WORDS) - 2
    for one in placed:
        assert one.x >= 0 and one.x + one.width <= width
        assert one.y >= 0 and one.y + one.height <= height
    sizes = [one.size for one in placed]
    assert sizes == sorted(sizes, reverse=True)


def test_the_same_words_give_the_same_cloud():
    assert layout(WORDS, 300, 200) == layout(list(reversed(WORDS)), 300, 200)
    assert layout(WORDS, 300, 200) != layout(WORDS, 300, 200, seed=1)


@pytest.mark.parametrize("words", [[], [TermCount(" ", 3)], [TermCount("dog", 0)]])
def test_without_words_there_is_no_cloud(words):
    assert layout(words, 300, 200) == []


@pytest.mark.parametrize("size", [(0, 0), (10, 10), (40, 20), (20, 300)])
def test_tiny_pictures_do_not_fail(size):
    for one in layout(WORDS, *size):
        assert one.x + one.width <= size[0]


def test_a_very_long_word_does_not_fail():
    assert layout([TermCount("x" * 5000, 2), TermCount("dog", 1)], 300, 200) is not None


@pytest.mark.parametrize("dark", [False, True])
def test_a_png_is_written(tmp_path, dark):
    path = tmp_path / "cloud.png"
    write_png(WORDS, path, width=300, height=200, dark=dark)
    with Image.open(path) as picture:
        assert picture.size == (300, 200)
        assert len(picture.getcolors(100_000)) > 10
        assert (sum(picture.getpixel((0, 0))) < 200) == dark


def test_no_words_still_make_a_png(tmp_path):
    write_png([], tmp_path / "empty.png")
    assert (tmp_path / "empty.png").stat().st_size > 0


def test_the_font_is_there():
    assert font_path().name == "DejaVuSans.ttf"
