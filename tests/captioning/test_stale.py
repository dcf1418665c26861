import pytest

from photosearch.captioning.stale import HOPELESS_AFTER, SUSPECT_AFTER, StaleWatch
from photosearch.errors import StaleCaptionsError


@pytest.fixture
def watch():
    return StaleWatch(lambda a, b: a == b)


def test_different_captions_are_no_fault(watch):
    for key in range(100):
        watch.look(key, "whole", key, f"Photo {key % 7}.", set())


def test_the_same_of_different_photos_is(watch):
    for key in range(SUSPECT_AFTER - 1):
        watch.look(key, "whole", key, "A dog.", set())
    with pytest.raises(StaleCaptionsError) as caught:
        watch.look(99, "ninth-1-1", 99, "A dog.", set())
    assert caught.value.said == "A dog."
    assert caught.value.suspects == (*((key, "whole") for key in range(4)), (99, "ninth-1-1"))


def test_like_pictures_and_views_of_a_photo_may_be_described_alike(watch):
    for number in range(100):
        watch.look(number, "whole", 5, "A beach.", set())
    for number in range(100):
        watch.look(7, f"ninth-{number}", number, "The sea.", set())


def test_saying_nothing_is_saying_the_same(watch):
    for key in range(SUSPECT_AFTER - 1):
        watch.look(key, "whole", key, "", set())
    with pytest.raises(StaleCaptionsError, match="says nothing of 5 different photos in a row"):
        watch.look(99, "whole", 99, "", set())


def test_what_is_confirmed_is_believed_of_a_process_that_says_other_things_too(watch):
    watch.look(0, "whole", 0, "A red barn.", {"A white page."})
    for key in range(1, 1000):
        watch.look(key, "whole", key, "A white page.", {"A white page."})


def test_what_is_confirmed_is_believed_for_longer(watch):
    for key in range(HOPELESS_AFTER - 1):
        watch.look(key, "whole", key, "A white page.", {"A white page."})
    with pytest.raises(StaleCaptionsError, match="25 different photos"):
        watch.look(99, "whole", 99, "A white page.", {"A white page."})
