"""When captions may be written, and what is said where they may not."""

import datetime
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from photosearch.captioning.schedule import RUN_NOW, Schedule, local_now, parse_hours
from photosearch.errors import UsageError
from photosearch.settings import ScheduleSettings, setting

NOON = datetime.datetime(2026, 3, 1, 12, 0)


@dataclass
class Computer:
    """Readings that a test sets; only what a rule needs may be asked for."""

    idle: float | None = None
    filled: bool | None = None
    mains: bool | None = None
    heat: float | None = None
    load: float | None = None
    asked: int = 0

    def idle_s(self):
        self.asked += 1
        return self.idle

    def full_screen(self):
        self.asked += 1
        return self.filled

    def on_mains(self):
        self.asked += 1
        return self.mains

    def celsius(self):
        self.asked += 1
        return self.heat

    def others_cpu_percent(self):
        self.asked += 1
        return self.load


def reasons(schedule, now=NOON):
    return [hold.reason for hold in schedule.holds(now)]


def at(clock):
    hour, minute = clock.split(":")
    return NOON.replace(hour=int(hour), minute=int(minute), second=59)


@pytest.mark.parametrize(
    ("hours", "runs", "waits"),
    [
        ("22:00-07:00", ["22:00", "23:59", "00:00", "06:59"], ["07:00", "12:00", "21:59"]),
        ("22-7", ["22:00", "06:59"], ["07:00", "21:59"]),
        ("09:30-11:00", ["09:30", "10:59"], ["09:29", "11:00", "23:00"]),
        ("12:00-13:00, 22:00 – 23:00", ["12:30", "22:59"], ["13:00", "23:00", "03:00"]),
        ("20:00-24:00", ["20:00", "23:59"], ["00:00", "19:59"]),
        ("00:00-00:00", ["00:00", "12:00", "23:59"], []),
        ("", ["00:00", "12:00"], []),
    ],
)
def test_hours(hours, runs, waits):
    assert setting("schedule.hours").parse(hours) == hours
    schedule = Schedule(ScheduleSettings(hours=hours), Computer())
    assert [clock for clock in runs + waits if not schedule.holds(at(clock))] == runs
    for clock in waits:
        (hold,) = schedule.holds(at(clock))
        assert hold.reason == f"It is outside the hours {hours}."
        assert hold.command == RUN_NOW


@given(st.integers(0, 1439), st.integers(0, 1439), st.integers(0, 1439))
def test_hours_run_from_begin_to_end_and_only_then(begin, end, minute):
    hours = f"{begin // 60}:{begin % 60:02}-{end // 60:02}:{end % 60:02}"
    assert setting("schedule.hours").parse(hours) == hours
    holds = Schedule(ScheduleSettings(hours=hours), Computer()).holds(
        NOON.replace(hour=minute // 60, minute=minute % 60)
    )
    length = (end - begin) % 1440 or 1440
    assert bool(holds) == ((minute - begin) % 1440 >= length)


def test_hours_follow_the_clock_on_the_wall_when_it_is_put_forward_and_back():
    berlin = ZoneInfo("Europe/Berlin")
    schedule = Schedule(ScheduleSettings(hours="22:00-07:00"), Computer())

    def minutes_run(day):
        noon = datetime.datetime.combine(day, datetime.time(12), berlin).astimezone(datetime.UTC)
        minutes = (noon + datetime.timedelta(minutes=m) for m in range(24 * 60))
        return sum(not schedule.holds(minute.astimezone(berlin)) for minute in minutes)

    assert minutes_run(datetime.date(2026, 3, 27)) == 9 * 60
    assert minutes_run(datetime.date(2026, 3, 28)) == 8 * 60
    assert minutes_run(datetime.date(2026, 10, 24)) == 10 * 60


def test_local_time_follows_the_time_zone(monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    tokyo = local_now()
    monkeypatch.setenv("TZ", "America/New_York")
    new_york = local_now()
    monkeypatch.undo()
    local_now()
    assert 12.5 < (tokyo - new_york) / datetime.timedelta(hours=1) < 14.5


def test_captioning_waits_until_the_user_is_away_and_as_soon_as_they_return():
    computer = Computer(idle=0.0)
    schedule = Schedule(ScheduleSettings(idle_minutes=10), computer)
    assert reasons(schedule) == ["The computer was in use in the last 10 min."]
    computer.idle = 599.9
    assert schedule.holds(NOON)
    computer.idle = 600.0
    assert not schedule.holds(NOON)
    computer.idle = 0.1
    assert schedule.holds(NOON)


def test_idle_time_is_no_matter_of_the_clock():
    computer = Computer(idle=700.0)
    schedule = Schedule(ScheduleSettings(idle_minutes=10), computer)
    assert not schedule.holds(NOON)
    assert not schedule.holds(NOON - datetime.timedelta(days=400))
    assert not schedule.holds(NOON + datetime.timedelta(hours=1))


def test_battery_and_full_screen():
    computer = Computer(mains=False, filled=True)
    schedule = Schedule(ScheduleSettings(), computer)
    assert reasons(schedule) == ["The computer runs on battery.", "A program fills the screen."]
    computer.mains, computer.filled = True, False
    assert not schedule.holds(NOON)
    computer.mains, computer.filled = False, True
    off = ScheduleSettings(mains_only=False, pause_for_full_screen=False)
    assert not Schedule(off, computer).holds(NOON)


def test_heat_holds_until_it_is_five_degrees_cooler():
    computer = Computer(heat=85.0)
    schedule = Schedule(ScheduleSettings(max_celsius=85), computer)
    said = []
    for heat in (85.0, 85.5, 84.0, 80.1, 80.0, 84.9, 85.1, None, 84.0):
        computer.heat = heat
        said.append(bool(schedule.holds(NOON)))
    assert said == [False, True, True, True, False, False, True, False, False]
    computer.heat = 90.0
    assert reasons(schedule) == [
        "The processor or graphics card is hotter than 85 °C; it may go on at 80 °C."
    ]


def test_others_load_holds_until_it_is_clearly_lower():
    computer = Computer()
    schedule = Schedule(ScheduleSettings(max_cpu_percent=50), computer)
    said = []
    for load in (50.0, 50.1, 45.0, 40.1, 40.0, 49.0, 60.0):
        computer.load = load
        said.append(bool(schedule.holds(NOON)))
    assert said == [False, True, True, True, False, False, True]
    assert reasons(schedule) == ["Other programs use more than 50 % of the processor."]


def test_all_rules_hold_at_once_and_each_says_so():
    computer = Computer(idle=0.0, filled=True, mains=False, heat=99.0, load=99.0)
    strict = ScheduleSettings(
        hours="22:00-07:00", idle_minutes=1, max_celsius=70, max_cpu_percent=20
    )
    holds = Schedule(strict, computer).holds(NOON)
    assert len({hold.reason for hold in holds}) == 6
    assert all(hold.reason.endswith(".") for hold in holds)


def test_what_is_unknown_holds_nothing_back_and_what_no_rule_needs_is_not_read():
    strict = ScheduleSettings(idle_minutes=1, max_celsius=70, max_cpu_percent=20)
    unknown = Computer()
    assert not Schedule(strict, unknown).holds(NOON)
    assert unknown.asked == 5
    unasked = Computer(idle=0.0, filled=True, mains=False, heat=99.0, load=99.0)
    lax = ScheduleSettings(mains_only=False, pause_for_full_screen=False)
    assert not Schedule(lax, unasked).holds(NOON)
    assert unasked.asked == 0


@pytest.mark.parametrize(
    ("text", "hours"), [("2", 2), ("0.5", 0.5), ("1:30", 1.5), ("0:01", 1 / 60), (" 8 ", 8)]
)
def test_hours_to_run_now(text, hours):
    assert parse_hours(text) == pytest.approx(hours)


@pytest.mark.parametrize(
    "text", ["", "0", "-1", "two", "nan", "inf", "1:75", "1e9", "0:00", "٢:٠٠"]
)
def test_what_is_no_number_of_hours(text):
    with pytest.raises(UsageError, match="is no number of hours: use 2,"):
        parse_hours(text)
