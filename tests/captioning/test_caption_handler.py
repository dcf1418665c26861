from threading import Event

import pytest
import scripted
from PIL import Image

from photosearch.captioning import captioner
from photosearch.captioning.captioner import CaptionHandler, CaptionTask, PhotoTask
from photosearch.errors import FileUnreachableError
from photosearch.imaging.crops import WHOLE


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
