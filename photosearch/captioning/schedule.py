"""When captions may be written: what must hold, and why it does not now."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

from photosearch.domain import Hold, display_path
from photosearch.errors import UsageError
from photosearch.settings import ScheduleSettings

RUN_NOW = "photosearch run-now --hours 2"
"""The command that sets every rule aside for a while."""

_COOLER_CELSIUS = 5.0
_CALMER = 0.8
_MAX_HOURS = 24 * 366.0


class Readings(Protocol):
    """What is known of the computer and its user; None is unknown and holds nothing back."""

    def idle_s(self) -> float | None:
        """Seconds since somebody touched keyboard or mouse."""

    def full_screen(self) -> bool | None:
        """Whether a program fills the screen."""

    def on_mains(self) -> bool | None:
        """Whether the computer runs on mains power."""

    def celsius(self) -> float | None:
        """The hottest temperature of processor and graphics card."""

    def others_cpu_percent(self) -> float | None:
        """The share of the processor that others use, averaged over some seconds."""


class Schedule:
    """Decides whether captions may be written now. Only what a rule needs is read.

    Keeps what a rule last said where its value flutters, so one schedule serves one captioner.
    """

    def __init__(self, settings: ScheduleSettings, readings: Readings) -> None:
        self._settings = settings
        self._readings = readings
        self._hours = _spans(settings.hours)
        self._celsius = _Limit(settings.max_celsius, settings.max_celsius - _COOLER_CELSIUS)
        self._load = _Limit(settings.max_cpu_percent, settings.max_cpu_percent * _CALMER)

    def holds(self, now: datetime) -> tuple[Hold, ...]:
        """Return every reason to wait at `now`, as the clock on the wall shows it; none means go.

        Cheap enough to be asked several times a second.
        """
        said = (
            self._outside_hours(now),
            self._in_use(),
            self._on_battery(),
            self._behind_full_screen(),
            self._hot(),
            self._busy(),
        )
        return tuple(Hold(reason, RUN_NOW) for reason in said if reason)

    def _outside_hours(self, now: datetime) -> str:
        minute = now.hour * 60 + now.minute
        if not self._hours or any(_within(minute, span) for span in self._hours):
            return ""
        return f"It is outside the hours {self._settings.hours}."

    def _in_use(self) -> str:
        minutes = self._settings.idle_minutes
        idle_s = self._readings.idle_s() if minutes else None
        if idle_s is None or idle_s >= minutes * 60:
            return ""
        return (
            f"The computer was in use in the last {'minute' if minutes == 1 else f'{minutes} min'}."
        )

    def _on_battery(self) -> str:
        if self._settings.mains_only and self._readings.on_mains() is False:
            return "The computer runs on battery."
        return ""

    def _behind_full_screen(self) -> str:
        if self._settings.pause_for_full_screen and self._readings.full_screen():
            return "A program fills the screen."
        return ""

    def _hot(self) -> str:
        if self._celsius.exceeded(self._readings.celsius):
            return (
                f"The processor or graphics card is hotter than {self._settings.max_celsius} °C; "
                f"it may go on at {self._celsius.resume:.0f} °C."
            )
        return ""

    def _busy(self) -> str:
        if self._load.exceeded(self._readings.others_cpu_percent):
            return (
                f"Other programs use more than {self._settings.max_cpu_percent} % of the processor."
            )
        return ""


class _Limit:
    """Exceeded above `limit`, until the value is down to `resume`. A limit of 0 is none."""

    def __init__(self, limit: float, resume: float) -> None:
        self._limit = limit
        self.resume = resume
        self._exceeded = False

    def exceeded(self, read: Callable[[], float | None]) -> bool:
        value = read() if self._limit else None
        bound = self.resume if self._exceeded else self._limit
        self._exceeded = value is not None and value > bound
        return self._exceeded


def local_now() -> datetime:
    """Return the time of this place, also after a laptop was carried to another time zone."""
    if hasattr(time, "tzset"):
        # Else the time zone is the one in which the process was started.
        time.tzset()
    return datetime.now()


def parse_hours(text: str) -> float:
    """Return a duration in hours from "2", "0.5" or "1:30"; raises UsageError where it is none."""
    if clock := re.fullmatch(r"(\d{1,4}):([0-5]\d)", text.strip(), re.ASCII):
        hours = int(clock[1]) + int(clock[2]) / 60
    else:
        try:
            hours = float(text)
        except ValueError:
            hours = math.nan
    if 0 < hours <= _MAX_HOURS:
        return hours
    raise UsageError(
        f"{display_path(text)[:40] or 'Nothing'} is no number of hours: use 2, 0.5 or 1:30."
    )


_Span = tuple[int, int]
"""First minute of the day, and the one after the last."""


def _spans(hours: str) -> Sequence[_Span]:
    clock = r"(\d+)(?::(\d+))?"
    return [
        (
            int(begin_hour) * 60 + int(begin_minute or 0),
            int(end_hour) * 60 + int(end_minute or 0),
        )
        for begin_hour, begin_minute, end_hour, end_minute in re.findall(
            rf"{clock} ?[-–] ?{clock}", hours
        )
    ]


def _within(minute: int, span: _Span) -> bool:
    begin, end = span
    if begin < end:
        return begin <= minute < end
    # Past midnight; the whole day where both are the same.
    return minute >= begin or minute < end
