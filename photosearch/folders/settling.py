"""Holds changed paths back until whoever writes to them seems to be done."""

from __future__ import annotations

import stat
import time
from collections.abc import Callable, Iterable
from pathlib import Path

QUIET_S = 1.0

Fingerprint = tuple[int, int] | None
"""Size and mtime_ns of a file; None where there is nothing."""

_FOLDER = (-1, -1)


def look(path: Path) -> Fingerprint:
    """Return what changes about a file while it is written. A folder always looks the same."""
    try:
        status = path.stat()
    except OSError:
        return None
    return _FOLDER if stat.S_ISDIR(status.st_mode) else (status.st_size, status.st_mtime_ns)


class Settling:
    """Releases a path when two looks, `quiet_s` seconds apart, found the same size and time.

    Deleted files settle like others. A file that never rests is never released.
    """

    def __init__(
        self,
        quiet_s: float = QUIET_S,
        *,
        clock: Callable[[], float] = time.monotonic,
        look: Callable[[Path], Fingerprint] = look,
    ) -> None:
        self._quiet_s = quiet_s
        self._clock = clock
        self._look = look
        self._held: dict[Path, tuple[Fingerprint, float]] = {}

    def hold(self, paths: Iterable[Path]) -> None:
        """Begin to watch `paths`; those held already go on as they were."""
        for path in paths:
            if path not in self._held:
                self._held[path] = self._look(path), self._clock() + self._quiet_s

    def released(self) -> list[Path]:
        """Return the paths that have settled, each once; looks only at those whose time is up."""
        now = self._clock()
        settled = []
        for path, (before, due) in list(self._held.items()):
            if due > now:
                continue
            found = self._look(path)
            if found == before:
                del self._held[path]
                settled.append(path)
            else:
                self._held[path] = found, now + self._quiet_s
        return settled

    def __len__(self) -> int:
        return len(self._held)
