import calendar
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from photosearch.imaging.formats import PICTURE_FORMATS
from photosearch.search.values import date_range, file_formats, knowable, stars_range


def at(year, month=1, day=1):
    return float(calendar.timegm((year, month, day, 0, 0, 0)))


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("2019", at(2019), at(2020)),
        ("2019-05", at(2019, 5), at(2019, 6)),
        ("2019-12", at(2019, 12), at(2020)),
        ("2020-02-29", at(2020, 2, 29), at(2020, 3)),
        ("2019-5-3", at(2019, 5, 3), at(2019, 5, 4)),
        ("2019/05/03", at(2019, 5, 3), at(2019, 5, 4)),
        ("2019-12-31", at(2019, 12, 31), at(2020)),
        ("1912", at(1912), at(1913)),
        ("2019..2021", at(2019), at(2022)),
        ("2021..2019", at(2019), at(2022)),
        ("2019-05..2019-08", at(2019, 5), at(2019, 9)),
        ("2019-05-03 .. 2020", at(2019, 5, 3), at(2021)),
        ("2019…2021", at(2019), at(2022)),
        ("2019..", at(2019), math.inf),
        ("..2019-05", -math.inf, at(2019, 6)),
    ],
)
def test_dates(text, start, end):
    assert date_range(text) == (start, end)


@pytest.mark.parametrize(
    "text",
    ["", "..", "blah", "19", "2019-13", "2019-02-30", "2019-05-03-01", "2019..x", "9999", "0000",
     "٢٠١٩", "1..2..3", "may"],
)  # fmt: skip
def test_what_is_no_date(text):
    assert date_range(text) is None


@given(st.text(alphabet="0129-/. …x", max_size=25) | st.text())
def test_any_text_is_a_date_or_none(text):
    found = date_range(text)
    assert found is None or found[0] < found[1]


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("3", 3, 3),
        ("=3", 3, 3),
        ("0", 0, 0),
        (">=3", 3, 5),
        ("≥ 3", 3, 5),
        ("3+", 3, 5),
        (">3", 4, 5),
        ("<=2", 0, 2),
        ("<2", 0, 1),
        ("2..4", 2, 4),
        ("4..2", 2, 4),
        ("3..", 3, 5),
        ("..3", 0, 3),
    ],
)
def test_stars(text, low, high):
    assert stars_range(text) == (low, high)


@pytest.mark.parametrize(
    "text", ["", "6", "many", ">5", "<0", "..", "<", ">3+", "1..9", "٣", "***"]
)
def test_what_is_no_number_of_stars(text):
    assert stars_range(text) is None


@given(st.text(alphabet="0356<>=+. ", max_size=8) | st.text())
def test_any_text_is_a_number_of_stars_or_none(text):
    found = stars_range(text)
    assert found is None or 0 <= found[0] <= found[1] <= 5


@pytest.mark.parametrize(
    ("text", "formats"),
    [
        ("jpg", {"JPEG", "MPO"}),
        (".JPEG", {"JPEG", "MPO"}),
        ("mpo", {"MPO"}),
        ("heic", {"HEIF"}),
        ("heif", {"HEIF"}),
        ("tif", {"TIFF"}),
        ("jpeg2000", {"JPEG2000"}),
        ("raw", set()),
        ("", set()),
        (".", set()),
    ],
)
def test_kinds_of_files(text, formats):
    assert file_formats(text) == formats


@pytest.mark.parametrize("name", PICTURE_FORMATS)
def test_every_format_goes_by_its_own_name(name):
    assert name in file_formats(name)


def test_what_may_be_known():
    assert [knowable(text) for text in ("Caption", "captions", " rating ", "Location")] == [
        "captions",
        "captions",
        "stars",
        "place",
    ]
    assert knowable("dog") == knowable("") == ""
