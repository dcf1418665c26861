"""Jobs whose file could not be got at: whether it is gone, offline, or changing all the time."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass

from photosearch.domain import Job

# First looked at again at once, then so late, then twice as late each time.
_LOOK_AGAIN_S = 2.0
_LONGEST_LOOK_AGAIN_S = 3600.0


@dataclass(frozen=True, slots=True)
class Absence:
    """A job whose file could not be got at, why, and when to decide on it."""

    job: Job
    reason: str
    decide_at_s: float
    is_first: bool

    def is_over(self) -> bool:
        """Return whether the file is there after all, as it was when it was scanned."""
        try:
            status = self.job.path.stat()
        except OSError:
            return False
        return (status.st_size, status.st_mtime_ns) == (self.job.size, self.job.mtime_ns)


class Absences:
    """The jobs that wait to be decided on; files that stay so are looked at less and less often."""

    def __init__(self) -> None:
        self._waiting: list[Absence] = []
        self._times: Counter[int] = Counter()

    @property
    def is_pressing(self) -> bool:
        """Whether one is to be decided on soon."""
        return any(absence.is_first for absence in self._waiting)

    def note(self, job: Job, reason: str) -> None:
        """Note that a job's file could not be got at."""
        # It may be so for weeks, as with a file that is written to all the time.
        self._times[job.id] += 1
        times = self._times[job.id]
        wait_s = min(_LONGEST_LOOK_AGAIN_S, _LOOK_AGAIN_S * 2.0 ** min(times - 2, 20))
        decide_at_s = time.monotonic() + (wait_s if times > 1 else 0.0)
        self._waiting.append(Absence(job, reason, decide_at_s, times == 1))

    def due(self) -> list[Absence]:
        """Return those to decide on now; `decided` takes each away."""
        now_s = time.monotonic()
        return [absence for absence in self._waiting if absence.decide_at_s <= now_s]

    def decided(self, absence: Absence) -> None:
        """Note that one was decided on."""
        self._waiting.remove(absence)

    def forget(self, job: Job) -> None:
        """Note that a job was done, so that its file could be got at."""
        self._times.pop(job.id, None)

    def clear(self) -> list[Job]:
        """Return the jobs that wait, which wait no more."""
        jobs = [absence.job for absence in self._waiting]
        self._waiting.clear()
        return jobs
