"""Is somebody at this Linux computer? X11, Wayland, GNOME, logind, or the terminals of a server."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jeepney
from jeepney.io.blocking import DBusConnection, open_dbus_connection
from Xlib import X, Xatom
from Xlib import error as x_error
from Xlib.display import Display

from photosearch.captioning.presence import Probe
from photosearch.captioning.presence_wayland import WaylandIdle

_DBUS_TIMEOUT_S = 0.5
_X_ERRORS = (x_error.DisplayError, x_error.XError, x_error.ConnectionClosedError, OSError)


def idle_ways(environment: Mapping[str, str] | None = None) -> Sequence[Callable[[], Probe[float]]]:
    """Return the ways to learn for how many seconds nobody has typed, the best for here first.

    org.freedesktop.ScreenSaver.GetSessionIdleTime is none of them: Plasma answers it with 0 under
    Wayland, others don't agree on its unit, and under X11 the server itself is better.
    """
    env = os.environ if environment is None else environment
    ways: list[Callable[[], Probe[float]]] = []
    if env.get("DISPLAY") and not _is_wayland(env):
        # Under Wayland, X only hears of input to its own windows.
        ways.append(lambda: X11Idle(env["DISPLAY"]))
    ways.append(lambda: MutterIdle(session_bus(env)))
    if _is_wayland(env):
        ways.append(lambda: WaylandIdle(env))
    ways.append(lambda: LogindIdle("SYSTEM"))
    if not env.get("DISPLAY") and not _is_wayland(env):
        ways.append(TerminalIdle)
    return ways


def full_screen_ways(
    environment: Mapping[str, str] | None = None,
) -> Sequence[Callable[[], Probe[bool]]]:
    """Return the ways to learn whether a program fills the screen."""
    env = os.environ if environment is None else environment
    if not env.get("DISPLAY"):
        return ()
    return (lambda: X11FullScreen(env["DISPLAY"], sees_all=not _is_wayland(env)),)


def session_bus(env: Mapping[str, str]) -> str:
    """Return the address of the user's bus, empty where there is none."""
    if address := env.get("DBUS_SESSION_BUS_ADDRESS"):
        return address
    path = Path(env.get("XDG_RUNTIME_DIR", "")) / "bus"
    return f"unix:path={path}" if path.is_absolute() and path.exists() else ""


def _is_wayland(env: Mapping[str, str]) -> bool:
    return bool(env.get("WAYLAND_DISPLAY")) or env.get("XDG_SESSION_TYPE") == "wayland"


class _X11:
    def __init__(self, name: str) -> None:
        self._name = name
        self._display: Any = None

    def _opened(self) -> Any:
        if self._display is None:
            self._display = Display(self._name)
        return self._display

    def close(self) -> None:
        """Close the connection to the X server."""
        display, self._display = self._display, None
        if display is not None:
            try:
                display.close()
            except _X_ERRORS:
                # The server is gone: what is left is the socket.
                display.display.socket.close()


class X11Idle(_X11):
    """Seconds since the last input, from the X server's screen saver extension."""

    def read(self) -> float | None:
        """Return the seconds, or None where the server or its extension is not there."""
        try:
            display = self._opened()
            if not display.has_extension("MIT-SCREEN-SAVER"):
                return None
            info = display.screen().root.screensaver_query_info()
        except _X_ERRORS:
            self.close()
            return None
        return int(info.idle) / 1000


class X11FullScreen(_X11):
    """Whether the active window fills the screen, as the window manager says (EWMH)."""

    def __init__(self, name: str, *, sees_all: bool) -> None:
        super().__init__(name)
        self._sees_all = sees_all

    def read(self) -> bool | None:
        """Return it, or None where it can't be told: no window manager, or Wayland programs."""
        try:
            filled = self._read(self._opened())
        except _X_ERRORS:
            self.close()
            return None
        return filled if filled or self._sees_all else None

    def _read(self, display: Any) -> bool | None:
        root = display.screen().root
        active = root.get_full_property(display.intern_atom("_NET_ACTIVE_WINDOW"), Xatom.WINDOW)
        if active is None:
            return None
        if not len(active.value) or active.value[0] == X.NONE:
            return False
        window = display.create_resource_object("window", active.value[0])
        try:
            state = window.get_full_property(display.intern_atom("_NET_WM_STATE"), Xatom.ATOM)
        except x_error.BadWindow:
            # It was closed just now.
            return False
        return state is not None and (
            display.intern_atom("_NET_WM_STATE_FULLSCREEN") in state.value
        )


class _DBus:
    def __init__(self, bus: str) -> None:
        self._bus = bus
        self._connection: DBusConnection | None = None

    def _ask(self, message: Any) -> Any:
        """Return the reply's first value, or None where there is no bus, service, or answer."""
        if not self._bus:
            return None
        # A question about the user must not start a service.
        message.header.flags |= jeepney.MessageFlag.no_auto_start
        try:
            if self._connection is None:
                self._connection = open_dbus_connection(self._bus, auth_timeout=_DBUS_TIMEOUT_S)
            reply = self._connection.send_and_get_reply(message, timeout=_DBUS_TIMEOUT_S)
        except (OSError, RuntimeError, ValueError, jeepney.DBusErrorResponse):
            # TimeoutError is an OSError; the others mean an address or a bus that is none.
            self.close()
            return None
        if reply.header.message_type != jeepney.MessageType.method_return or not reply.body:
            return None
        return reply.body[0]

    def close(self) -> None:
        """Close the connection to the bus."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class MutterIdle(_DBus):
    """Seconds since the last input, from GNOME's compositor."""

    _ADDRESS = jeepney.DBusAddress(
        "/org/gnome/Mutter/IdleMonitor/Core",
        bus_name="org.gnome.Mutter.IdleMonitor",
        interface="org.gnome.Mutter.IdleMonitor",
    )

    def read(self) -> float | None:
        """Return the seconds, or None where GNOME does not run."""
        idle_ms = self._ask(jeepney.new_method_call(self._ADDRESS, "GetIdletime"))
        return idle_ms / 1000 if isinstance(idle_ms, int) else None


class LogindIdle(_DBus):
    """Seconds since a graphical session told logind that it is idle; some desktops never do."""

    _ADDRESS = jeepney.DBusAddress(
        "/org/freedesktop/login1/session/auto",
        bus_name="org.freedesktop.login1",
        interface="org.freedesktop.login1.Session",
    )

    def read(self) -> float | None:
        """Return the seconds, 0 while not idle, or None where the session never told."""
        found = self._ask(jeepney.Properties(self._ADDRESS).get_all())
        if not isinstance(found, dict):
            return None
        values = {name: value for name, (_, value) in found.items()}
        told_us = values.get("IdleSinceHintMonotonic", 0)
        # logind stamps both turns of the hint; without any it was never set.
        if values.get("Type") not in ("x11", "wayland", "mir") or not told_us:
            return None
        return max(0.0, time.monotonic() - told_us / 1e6) if values.get("IdleHint") else 0.0


class TerminalIdle:
    """Seconds since somebody typed into a terminal; for a server, where nobody sits at a screen.

    The kernel notes it to within 8 seconds.
    """

    def __init__(self, devices: Path = Path("/dev")) -> None:
        self._devices = devices
        self._typed_ns = -1
        self._typed_at = 0.0

    def read(self) -> float | None:
        """Return the seconds, or None where there is no terminal to look at."""
        typed_ns = max(self._times_ns(), default=-1)
        if typed_ns < 0:
            return None
        if typed_ns != self._typed_ns:
            # From here on the monotonic clock counts: the other one may be set.
            ago_s = max(0.0, (time.time_ns() - typed_ns) / 1e9)
            self._typed_ns, self._typed_at = typed_ns, time.monotonic() - ago_s
        return max(0.0, time.monotonic() - self._typed_at)

    def _times_ns(self) -> list[int]:
        times_ns = []
        for pattern in ("pts/[0-9]*", "tty[0-9]*"):
            for terminal in self._devices.glob(pattern):
                try:
                    # Input is read, which changes the access time; output changes another.
                    times_ns.append(terminal.stat().st_atime_ns)
                except OSError:
                    continue
        return times_ns

    def close(self) -> None:
        """Nothing is held."""
