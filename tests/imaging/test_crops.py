import numpy as np
import pytest
from PIL import Image

from photosearch.domain import CAPTION_STAGES, Stage
from photosearch.imaging.crops import ALL_VIEWS, WHOLE, crop, view_named, views


def test_the_crops_are_the_papers_seventeen():
    assert [len(views(stage)) for stage in CAPTION_STAGES] == [1, 4, 4, 9]
    assert len({view.name for view in ALL_VIEWS}) == 18
    assert view_named("quarter-bottom-left").box == (0.0, 0.5, 0.5, 1.0)
    assert view_named("ninth-1-3").box == pytest.approx((2 / 3, 0, 1, 1 / 3))
    assert all(view_named(view.name) is view for view in ALL_VIEWS)
    with pytest.raises(KeyError):
        views(Stage.SCAN)


@pytest.mark.parametrize("size", [(300, 200), (301, 199), (1000, 7), (2, 2), (1, 1), (1, 50)])
@pytest.mark.parametrize("stage", CAPTION_STAGES)
def test_the_views_of_a_stage_cover_every_pixel(size, stage):
    numbers = np.arange(size[0] * size[1], dtype=np.int32).reshape(size[1], size[0])
    picture = Image.fromarray(numbers)
    seen = set()
    for view in views(stage):
        part = crop(picture, view)
        assert part.width >= 1
        assert part.height >= 1
        seen |= set(np.asarray(part).ravel().tolist())
    assert seen == set(range(size[0] * size[1]))


def test_a_crop_shows_its_corner_at_its_size():
    picture = Image.new("RGB", (300, 150), "black")
    picture.paste("red", (200, 100, 300, 150))
    corner = crop(picture, view_named("ninth-3-3"))
    assert corner.size == (100, 50)
    assert corner.getcolors() == [(5000, (255, 0, 0))]
    assert crop(picture, view_named("ninth-1-2")).getcolors() == [(5000, (0, 0, 0))]
    assert crop(picture, WHOLE).size == (300, 150)
