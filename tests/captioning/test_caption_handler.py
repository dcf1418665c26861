import pytest
import scripted
from PIL import Image

from photosearch.captioning import captioner
from photosearch.captioning.captioner import CaptionHandler, CaptionTask
from photosearch.errors import FileUnreachableError
from photosearch.imaging.crops import WHOLE


@pytest.fixture
def red_photo(tmp_path):
    path = tmp_path / "red.png"
    Image.new("RGB", (64, 48), (200, 30, 30)).save(path)
    return path


def task(path):
    status = path.stat()
    return CaptionTask(path, (WHOLE,), status.st_size, status.st_mtime_ns)


def test_the_words_of_a_photo(red_photo):
    (said,) = CaptionHandler(scripted.spec())(task(red_photo))
    assert (said.view, said.text) == ("whole", "A red barn beside two dogs on a meadow.")


def test_a_drive_that_goes_while_its_photo_is_decoded_is_unreachable(red_photo, monkeypatch):
    decode = captioner.decode

    def unplug_after(path, **options):
        image = decode(path, **options)
        path.unlink()
        return image

    monkeypatch.setattr(captioner, "decode", unplug_after)
    with pytest.raises(FileUnreachableError):
        CaptionHandler(scripted.spec())(task(red_photo))


def test_a_file_that_changed_since_its_scan_is_unreachable(red_photo):
    old = task(red_photo)
    Image.new("RGB", (640, 48), (200, 30, 30)).save(red_photo)
    with pytest.raises(FileUnreachableError, match="has changed"):
        CaptionHandler(scripted.spec())(old)
