"""Is somebody at this Wayland desktop? The compositor tells, as in ext-idle-notify-v1.

Plasma and the compositors built on wlroots speak it, or its forerunner org_kde_kwin_idle; GNOME
does not. https://wayland.app/protocols/ext-idle-notify-v1
"""

from __future__ import annotations

import select
import socket
import struct
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

_AWAY_MS = 10_000
_ANSWER_S = 0.5

_DISPLAY_ID, _REGISTRY_ID, _SYNC_ID, _NOTIFIER_ID, _FIRST_FREE_ID = 1, 2, 3, 4, 5
_DISPLAY_SYNC, _DISPLAY_GET_REGISTRY, _REGISTRY_BIND = 0, 1, 0
_DISPLAY_ERROR, _REGISTRY_GLOBAL, _IDLED, _RESUMED = 0, 0, 0, 1

_Event = tuple[int, int, bytes]
"""Object, opcode, arguments."""


class WaylandIdle:
    """Seconds since the last input on any seat; 0 in the first ten. Programs may inhibit it."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._path = Path(env.get("XDG_RUNTIME_DIR", ""), env.get("WAYLAND_DISPLAY", "wayland-0"))
        self._socket: socket.socket | None = None
        self._received = b""
        self._away_since: dict[int, float | None] = {}

    def read(self) -> float | None:
        """Return the seconds, or None where the compositor is not there or does not tell."""
        try:
            if self._socket is None:
                self._open()
            for event in self._events(0.0):
                self._take(event)
        except (OSError, ValueError, struct.error):
            self.close()
            return None
        away_since = list(self._away_since.values())
        if not away_since:
            return None
        # Somebody is here as long as one seat is in use.
        last = 0.0
        for since in away_since:
            if since is None:
                return 0.0
            last = max(last, since)
        return time.monotonic() - last + _AWAY_MS / 1000

    def close(self) -> None:
        """Close the connection to the compositor."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self._received = b""
        self._away_since.clear()

    def _open(self) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(_ANSWER_S)
        self._socket.connect(str(self._path))
        self._send(_DISPLAY_ID, _DISPLAY_GET_REGISTRY, struct.pack("=I", _REGISTRY_ID))
        self._send(_DISPLAY_ID, _DISPLAY_SYNC, struct.pack("=I", _SYNC_ID))
        notifiers: dict[str, int] = {}
        seats: list[int] = []
        for object_id, opcode, body in self._events_until_answered():
            if (object_id, opcode) == (_REGISTRY_ID, _REGISTRY_GLOBAL):
                name, length = struct.unpack_from("=II", body)
                interface = body[8 : 8 + length - 1].decode("ascii")
                if interface == "wl_seat":
                    seats.append(name)
                elif interface in ("ext_idle_notifier_v1", "org_kde_kwin_idle"):
                    notifiers[interface] = name
        if not notifiers or not seats:
            return
        interface = min(notifiers)  # the standard one before its forerunner
        self._bind(notifiers[interface], interface, _NOTIFIER_ID)
        for index, name in enumerate(seats):
            seat_id = _FIRST_FREE_ID + 2 * index
            notification_id = seat_id + 1
            self._bind(name, "wl_seat", seat_id)
            if interface == "ext_idle_notifier_v1":
                opcode, arguments = 1, (notification_id, _AWAY_MS, seat_id)
            else:
                opcode, arguments = 0, (notification_id, seat_id, _AWAY_MS)
            self._send(_NOTIFIER_ID, opcode, struct.pack("=III", *arguments))
            self._away_since[notification_id] = None

    def _events_until_answered(self) -> Iterator[_Event]:
        deadline = time.monotonic() + _ANSWER_S
        while (left_s := deadline - time.monotonic()) > 0:
            for event in self._events(left_s):
                if event[0] == _SYNC_ID:
                    return
                yield event
        raise TimeoutError

    def _take(self, event: _Event) -> None:
        object_id, opcode, _ = event
        if (object_id, opcode) == (_DISPLAY_ID, _DISPLAY_ERROR):
            raise ConnectionError("the compositor refuses")
        if object_id in self._away_since:
            if opcode == _IDLED:
                self._away_since[object_id] = time.monotonic()
            elif opcode == _RESUMED:
                self._away_since[object_id] = None

    def _bind(self, name: int, interface: str, new_id: int) -> None:
        text = interface.encode("ascii") + b"\0"
        body = struct.pack("=II", name, len(text)) + text + b"\0" * (-len(text) % 4)
        self._send(_REGISTRY_ID, _REGISTRY_BIND, body + struct.pack("=II", 1, new_id))

    def _send(self, object_id: int, opcode: int, body: bytes) -> None:
        assert self._socket is not None
        self._socket.sendall(struct.pack("=II", object_id, (8 + len(body)) << 16 | opcode) + body)

    def _events(self, wait_s: float) -> Iterator[_Event]:
        """Yield the events that are there, after waiting for some to come."""
        assert self._socket is not None
        while select.select([self._socket], [], [], wait_s)[0]:
            chunk = self._socket.recv(65536)
            if not chunk:
                raise ConnectionResetError
            self._received += chunk
            wait_s = 0.0
        while len(self._received) >= 8:
            object_id, size_and_opcode = struct.unpack_from("=II", self._received)
            size = size_and_opcode >> 16
            if size < 8:
                raise ValueError("not Wayland")
            if len(self._received) < size:
                return
            body, self._received = self._received[8:size], self._received[size:]
            yield object_id, size_and_opcode & 0xFFFF, body
