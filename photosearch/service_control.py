"""How the processes of a library agree on which of them writes, and tell it what they wish."""

from __future__ import annotations

from filelock import FileLock, Timeout

from photosearch.domain import display_path
from photosearch.errors import LibraryLockedError, UnavailableError
from photosearch.paths import AppPaths

STATE_SERVICE = "service"
"""Key of the row in which the service says who it is and what it is at."""
STATE_ASKED = "asked"
"""Key of the row that others change when the service should look at folders and jobs anew."""
STATE_PAUSED = "paused"
STATE_RUN_UNTIL = "run until"
"""Key of the row with the time, in Unix seconds, up to which captioning heeds no schedule."""
STATE_SPEEDS = "speeds"
"""Key of the row with photos a second by kind of job, as last measured."""
STATE_LAST = "last"
"""Key of the row with what the service had to say when it ended."""
STATE_STOP = "stop"
"""Key of the row that asks the service with this process id to stop."""


class ServiceLock:
    """Makes sure that one process writes to a library; the system frees it when that one dies."""

    def __init__(self, paths: AppPaths, wait_s: float = 0) -> None:
        """Take the lock; raises LibraryLockedError if another process holds it for `wait_s`."""
        self._lock = FileLock(paths.lock)
        try:
            self._lock.acquire(timeout=wait_s)
        except Timeout:
            raise LibraryLockedError(
                f"Another photosearch is indexing this library ({paths.home}). It goes on by "
                "itself; use its window, or stop it first."
            ) from None
        except OSError as error:
            raise UnavailableError(
                f"The lock {display_path(paths.lock)} can't be taken: {error.strerror}."
            ) from error

    def close(self) -> None:
        """Give the lock back; may be called twice."""
        self._lock.release()
