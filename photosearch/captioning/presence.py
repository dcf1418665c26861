"""Is somebody at this computer? Asked of the system in the way that this system has."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Probe(Protocol[T_co]):
    """One way to ask the system something. Used by one thread; may block, so never the service's.

    `read` may be called for weeks; it returns None where there is no answer, or none any more.
    """

    def read(self) -> T_co | None:
        """Return the value now, or None where it can't be told in this way."""

    def close(self) -> None:
        """Free what the probe holds; may be called twice."""


class FunctionProbe(Generic[T]):
    """A way to ask that holds nothing between two questions."""

    def __init__(self, read: Callable[[], T | None]) -> None:
        self._read = read

    def read(self) -> T | None:
        """Return what the function does, None where the system fails it."""
        try:
            return self._read()
        except OSError:
            return None

    def close(self) -> None:
        """Nothing is held."""


class FirstKnown(Generic[T]):
    """Asks in several ways, the best first, and stays with the first that has an answer."""

    def __init__(self, ways: Sequence[Callable[[], Probe[T]]]) -> None:
        self._ways = ways
        self._chosen: Probe[T] | None = None

    def read(self) -> T | None:
        """Return the answer of the way chosen before, or else of the first that has one."""
        if self._chosen is not None:
            value = self._chosen.read()
            if value is not None:
                return value
            # Its connection may have been lost: all ways are tried anew.
            self.close()
        for way in self._ways:
            probe = way()
            value = probe.read()
            if value is not None:
                self._chosen = probe
                return value
            probe.close()
        return None

    def close(self) -> None:
        """Close the way chosen."""
        if self._chosen is not None:
            self._chosen.close()
            self._chosen = None


def idle_probe() -> Probe[float]:
    """Return what tells for how many seconds nobody has touched keyboard or mouse."""
    if sys.platform == "linux":
        from photosearch.captioning import presence_linux  # noqa: PLC0415 - no Xlib elsewhere

        return FirstKnown(presence_linux.idle_ways())
    return FunctionProbe(_idle_s)


def full_screen_probe() -> Probe[bool]:
    """Return what tells whether a program fills the screen."""
    if sys.platform == "linux":
        from photosearch.captioning import presence_linux  # noqa: PLC0415 - no Xlib elsewhere

        return FirstKnown(presence_linux.full_screen_ways())
    return FunctionProbe(_full_screen)


if sys.platform == "win32":
    import ctypes

    class _LastInput(ctypes.Structure):
        _fields_ = (("size", ctypes.c_uint), ("tick_ms", ctypes.c_uint))

    # Of QUERY_USER_NOTIFICATION_STATE: a full-screen program, one in Direct3D, a presentation.
    _FILLED = (2, 3, 4)

    def _idle_s() -> float | None:
        last = _LastInput(ctypes.sizeof(_LastInput), 0)
        if not ctypes.windll.user32.GetLastInputInfo(ctypes.byref(last)):
            return None
        ticks_ms = ctypes.windll.kernel32.GetTickCount()
        # Both are 32 bits wide and start anew after 49 days.
        return float((ticks_ms - last.tick_ms) & 0xFFFFFFFF) / 1000

    def _full_screen() -> bool | None:
        state = ctypes.c_int()
        failed = ctypes.windll.shell32.SHQueryUserNotificationState(ctypes.byref(state))
        return None if failed else state.value in _FILLED

elif sys.platform == "darwin":
    import ctypes

    _SERVICES = "/System/Library/Frameworks/ApplicationServices.framework/ApplicationServices"
    _HID_SYSTEM_STATE = 1
    _ANY_INPUT = 0xFFFFFFFF

    def _idle_s() -> float | None:
        seconds = ctypes.CDLL(_SERVICES).CGEventSourceSecondsSinceLastEventType
        seconds.restype = ctypes.c_double
        seconds.argtypes = (ctypes.c_int32, ctypes.c_uint32)
        return float(seconds(_HID_SYSTEM_STATE, _ANY_INPUT))

    def _full_screen() -> bool | None:
        return None

else:

    def _idle_s() -> float | None:
        return None

    def _full_screen() -> bool | None:
        return None
