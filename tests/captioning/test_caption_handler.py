from threading import Event

import pytest
import scripted
from PIL import Image

from photosearch.captioning import captioner
from photosearch.captioning.captioner import CaptionHandler, CaptionTask, PhotoTask
from photosearch.domain import Stage
from photosearch.errors import FileUnreachableError
from photosearch.imaging.crops import WHOLE, views


@pytest.fixture
def red_photo(tmp_path):
    path = tmp_path / "red.png"
    Image.new("RGB", (64, 48), (200, 30, 30)).save(path)
    return path


def task(*paths):
    photos = []
    for key, path in enumerate(paths):
        status = path.stat()
        photos.append(PhotoTask(key, path, (WHOLE,), status.st_size, status.st_mtime_ns))
    return CaptionTask(tuple(photos))


def answers(a_task, **spec):
    return list(CaptionHandler(scripted.spec(**spec))(a_task, Event()))


def test_the_words_of_a_photo(red_photo):
    (answer,) = answers(task(red_photo))
    assert answer.finished
    (said,) = answer.captions
    assert (said.view, said.text) == ("whole", "A red barn beside two dogs on a meadow.")


def test_a_drive_that_goes_while_its_photo_is_decoded_is_unreachable(red_photo, monkeypatch):
    decode = captioner.decode

    def unplug_after(path, **options):
        image = decode(path, **options)
        path.unlink()
        return image

    monkeypatch.setattr(captioner, "decode", unplug_after)
    (answer,) = answers(task(red_photo))
    assert isinstance(answer.error, FileUnreachableError)


def test_a_file_that_changed_since_its_scan_is_unreachable(red_photo):
    old = task(red_photo)
    Image.new("RGB", (640, 48), (200, 30, 30)).save(red_photo)
    (answer,) = answers(old)
    assert isinstance(answer.error, FileUnreachableError)
    assert "has changed" in str(answer.error)


def test_views_that_show_nothing_come_before_the_last_answer(tmp_path):
    path = tmp_path / "sky.png"
    image = Image.new("RGB", (96, 64), (30, 30, 200))
    scripted.pattern(path, (200, 30, 30), 1)
    with Image.open(path) as town:
        image.paste(town.resize((48, 32)), (48, 32))
    image.save(path)
    status = path.stat()
    quarters = views(Stage.QUARTERS)
    photo = PhotoTask(7, path, quarters, status.st_size, status.st_mtime_ns)
    found = answers(CaptionTask((photo,)), skip_flat=True, stages=(Stage.QUARTERS,))
    # After the last one nothing of the photo is taken any more.
    assert [answer.finished for answer in found] == [False] * (len(found) - 1) + [True]
    captions = [caption for answer in found for caption in answer.captions]
    assert {caption.view for caption in captions} == {view.name for view in quarters}
    assert sum(caption.skipped == "flat" for caption in captions) == 3


def test_a_photo_whose_captions_came_from_elsewhere_is_finished(red_photo):
    status = red_photo.stat()
    photo = PhotoTask(7, red_photo, (), status.st_size, status.st_mtime_ns)
    (answer,) = answers(CaptionTask((photo,)))
    assert (answer.key, answer.captions, answer.finished, answer.error) == (7, (), True, None)
