"""What the values of a query's fields mean: dates, stars, kinds of files, what can be known."""

from __future__ import annotations

import calendar
import math
import re
from datetime import date
from types import MappingProxyType

from photosearch.imaging.formats import formats_of_suffix

MAX_STARS = 5

_DATE = re.compile(r"(\d{4})(?:[-/](\d{1,2})(?:[-/](\d{1,2}))?)?", re.ASCII)
_RANGE = re.compile(r"(.*?)\.\.+(.*)")
_STARS = re.compile(
    r"(?P<low>[0-5])?\.\.+(?P<high>[0-5])?|(?P<sign>[<>]?=?)(?P<n>[0-5])(?P<up>\+?)"
)
_TYPOGRAPHY = str.maketrans({"…": "..", "≥": ">=", "≤": "<="})

_KNOWABLE = MappingProxyType(
    {
        name: names.split()[0]
        for names in (
            "captions caption",
            "tags tag",
            "words word",
            "place places location",
            "text texts writing",
            "stars star rating rated",
            "camera",
            "date",
        )
        for name in names.split()
    }
)


def date_range(text: str) -> tuple[float, float] | None:
    """Return from when up to before when `text` means; None where it is no date.

    A year, month or day (2019, 2019-05, 2019-05-03), or two with `..` between, of which one may
    be missing. Seconds as in `domain.Photo.taken_at`; an open end is infinite.
    """
    text = "".join(text.translate(_TYPOGRAPHY).split())
    if match := _RANGE.fullmatch(text):
        if not any(match.groups()):
            return None
        first = _span(match[1]) if match[1] else (-math.inf, -math.inf)
        second = _span(match[2]) if match[2] else (math.inf, math.inf)
        if first is None or second is None:
            return None
        first, second = sorted((first, second))
        return first[0], second[1]
    return _span(text)


def stars_range(text: str) -> tuple[int, int] | None:
    """Return the least and the greatest number of stars that `text` means, 0 for not rated.

    A number, one after `>`, `>=`, `<`, `<=` or before `+`, or two with `..` between, of which one
    may be missing; None for anything else and where no number of stars fits.
    """
    match = _STARS.fullmatch("".join(text.translate(_TYPOGRAPHY).split()))
    if match is None:
        return None
    if match["n"] is None:
        if match["low"] is None and match["high"] is None:
            return None
        low, high = sorted((int(match["low"] or 0), int(match["high"] or MAX_STARS)))
        return low, high
    number, sign = int(match["n"]), match["sign"]
    low, high = number, number
    if match["up"] and not sign:
        high = MAX_STARS
    elif match["up"]:
        return None
    elif sign.startswith(">"):
        low, high = number + (sign == ">"), MAX_STARS
    elif sign.startswith("<"):
        low, high = 0, number - (sign == "<")
    return (low, high) if low <= high else None


def file_formats(text: str) -> frozenset[str]:
    """Return the formats, as in `domain.Photo.format`, that `text` names; none for anything else.

    Names are those that file names end with, with or without a dot, and the formats' own.
    """
    return formats_of_suffix(text)


def knowable(text: str) -> str:
    """Return in its one form what `text` says may be known of a photo; empty for anything else.

    One of captions, tags, words, place, text, stars, camera, date.
    """
    return _KNOWABLE.get(text.strip().lower(), "")


def _span(text: str) -> tuple[float, float] | None:
    match = _DATE.fullmatch(text)
    if match is None:
        return None
    year, month, day = (int(part) if part else 0 for part in match.groups())
    try:
        start = date(year, month or 1, day or 1)
        if day:
            end = date.fromordinal(start.toordinal() + 1)
        else:
            end = date(year + (month in (0, 12)), month % 12 + 1 if month else 1, 1)
    except (ValueError, OverflowError):
        return None
    return _seconds(start), _seconds(end)


def _seconds(day: date) -> float:
    return float(calendar.timegm(day.timetuple()))
