"""What the schedule must know of this computer and its user, read in the background.

A reading is a value or None: unknown here, so that no rule can hang on it.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Collection
from typing import Generic

import psutil

from photosearch.captioning.presence import (
    FunctionProbe,
    Probe,
    T,
    full_screen_probe,
    idle_probe,
)

_log = logging.getLogger(__name__)

_UNKNOWN_PERIOD_S = 5.0
_STALE_S = 15.0
_LOAD_WINDOW_S = 10.0
_IDLE_AWAY_S = 20.0

_PROCESSOR_CHIPS = ("coretemp", "k8temp", "k10temp", "zenpower", "cpu", "soc")
_GRAPHICS_CHIPS = ("gpu", "nouveau", "radeon", "i915", "xe")
_PROCESSOR_LABELS = ("cpu", "gpu", "core", "package", "tctl", "tdie")


class Sensors:
    """The latest known readings; asking costs microseconds. Each is watched once it is asked for.

    `own_pids` are the processes whose load is ours; it is called from another thread.
    `patience_s` is how long the very first answer of each kind is waited for.
    """

    def __init__(self, own_pids: Callable[[], Collection[int]], *, patience_s: float = 0.1) -> None:
        self._idle = _Watch("idle", idle_probe(), _idle_period_s, patience_s)
        self._full_screen = _Watch("full screen", full_screen_probe(), lambda _: 1.0, patience_s)
        self._mains = _Watch("mains", FunctionProbe(_on_mains), lambda _: 5.0, patience_s)
        self._celsius = _Watch("celsius", FunctionProbe(_celsius), lambda _: 5.0, patience_s)
        self._load = _Watch("load", _OthersLoad(own_pids), lambda _: 2.0, patience_s)

    def idle_s(self) -> float | None:
        """Seconds since keyboard or mouse was touched last; not more than a second old."""
        return self._idle.latest()

    def full_screen(self) -> bool | None:
        """Whether a program fills the screen."""
        return self._full_screen.latest()

    def on_mains(self) -> bool | None:
        """Whether the computer runs on mains power; so does one without a battery."""
        return self._mains.latest()

    def celsius(self) -> float | None:
        """The hottest temperature of processor and graphics card."""
        return self._celsius.latest()

    def others_cpu_percent(self) -> float | None:
        """The share of the whole processor that others used in the last ten seconds."""
        return self._load.latest()

    def close(self) -> None:
        """Stop watching; may be called twice."""
        for watch in (self._idle, self._full_screen, self._mains, self._celsius, self._load):
            watch.close()


def _idle_period_s(idle_s: float | None) -> float:
    # Only somebody who was away can come back.
    return 0.2 if idle_s is not None and idle_s > _IDLE_AWAY_S else 1.0


class _Watch(Generic[T]):
    """Reads a probe again and again on a thread of its own: what is asked may hang."""

    def __init__(
        self,
        name: str,
        probe: Probe[T],
        period_s: Callable[[T | None], float],
        patience_s: float,
    ) -> None:
        self._probe = probe
        self._period_s = period_s
        self._patience_s = patience_s
        self._thread = threading.Thread(target=self._run, name=f"sensor: {name}", daemon=True)
        self._start = threading.Lock()
        self._stop = threading.Event()
        self._answered = threading.Event()
        self._reading: tuple[T | None, float] = None, 0.0
        self._failed = False

    def latest(self) -> T | None:
        """Return the latest reading, or None if that is long ago: the system does not answer."""
        with self._start:
            if not self._thread.ident and not self._stop.is_set():
                self._thread.start()
                self._answered.wait(self._patience_s)
        value, read_at = self._reading
        return value if time.monotonic() - read_at < _STALE_S else None

    def close(self) -> None:
        """End the thread; one that hangs in the system is left behind."""
        self._stop.set()
        with self._start:
            if self._thread.ident:
                self._thread.join(1.0)

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                value = self._read()
                self._reading = value, time.monotonic()
                self._answered.set()
                self._stop.wait(_UNKNOWN_PERIOD_S if value is None else self._period_s(value))
        finally:
            self._probe.close()

    def _read(self) -> T | None:
        try:
            return self._probe.read()
        except Exception:
            # Without this thread, its rule would hold nothing back for as long as the service runs.
            if not self._failed:
                _log.exception("%s can't be read; it is tried again", self._thread.name)
                self._failed = True
            return None


def _on_mains() -> bool | None:
    if not hasattr(psutil, "sensors_battery"):
        return None
    battery = psutil.sensors_battery()
    return True if battery is None else battery.power_plugged


def _celsius() -> float | None:
    # Of all systems, psutil knows Linux' and FreeBSD's.
    if sys.platform in ("win32", "darwin") or not hasattr(psutil, "sensors_temperatures"):
        return None
    hottest = None
    for chip, entries in psutil.sensors_temperatures().items():
        for entry in entries:
            if not _tells_load(chip.lower(), entry.label.lower()):
                continue
            # A sensor that is off or broken reads 0, or what nothing survives.
            if 0 < entry.current < 150:
                hottest = max(hottest or 0.0, entry.current)
    return hottest


def _tells_load(chip: str, label: str) -> bool:
    return any(name in chip for name in _PROCESSOR_CHIPS + _GRAPHICS_CHIPS) or any(
        name in label for name in _PROCESSOR_LABELS
    )


class _OthersLoad:
    """Processor time of all that is not ours, in percent of what there is."""

    def __init__(self, own_pids: Callable[[], Collection[int]]) -> None:
        self._own_pids = own_pids
        self._own: dict[int, float] = {}
        self._own_s = 0.0
        # All that was used and available, and what was ours of it, in processor seconds.
        self._samples: deque[tuple[float, float, float, float]] = deque()

    def read(self) -> float | None:
        """Return the percent of the last seconds, None until some have passed."""
        times = psutil.cpu_times()
        idle_s = times.idle + getattr(times, "iowait", 0.0)
        # What guests use is in `user` already; what was stolen was never here.
        elsewhere = ("guest", "guest_nice", "steal")
        total_s = sum(times) - sum(getattr(times, name, 0.0) for name in elsewhere)
        self._count_own()
        now = time.monotonic()
        self._samples.append((now, total_s - idle_s, total_s, self._own_s))
        while len(self._samples) > 2 and self._samples[1][0] <= now - _LOAD_WINDOW_S:
            self._samples.popleft()
        _, busy_before_s, total_before_s, own_before_s = self._samples[0]
        passed_s = total_s - total_before_s
        if passed_s <= 0:
            return None
        others_s = total_s - idle_s - busy_before_s - (self._own_s - own_before_s)
        return min(100.0, max(0.0, 100 * others_s / passed_s))

    def _count_own(self) -> None:
        before, self._own = self._own, {}
        for pid in self._own_pids():
            try:
                times = psutil.Process(pid).cpu_times()
            except psutil.Error:
                continue  # ended, or not ours to look at
            self._own[pid] = times.user + times.system
            self._own_s += max(0.0, self._own[pid] - before.get(pid, 0.0))

    def close(self) -> None:
        """Nothing is held."""
