"""The jobs: which stage of which photo is next, and what became of it."""

from __future__ import annotations

import os
import time
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from photosearch.domain import Failure, Job, JobKind, JobState, Stage, StageProgress
from photosearch.storage.database import Database, Transaction

MAX_STRIKES = 3
"""How often a photo may kill its worker before it is set aside."""

_ENSURED_AT_ONCE = 20_000
_LONG_SEARCH_S = 0.05
_REMEMBERED = 200

SIMILAR, NORMAL, NEARLY_FOUND, LOOKED_AT = -1, 0, 1, 2
"""Priorities of jobs: much like another photo; any; almost found by a search; looked at."""


def settle(
    write: Transaction, job: Job, state: JobState, *, strikes: int | None = None, reason: str = ""
) -> bool:
    """Note what became of a leased job; False if the lease is out of date, so nothing counts.

    It is when the file changed meanwhile, which makes its scan wait again.
    """
    cursor = write.execute(
        "UPDATE job SET state = ?, strikes = ?, reason = ?, changed_at = ?"
        " WHERE id = ? AND lease = ? AND state = 'running'",
        (
            state, job.strikes if strikes is None else strikes, reason, time.time(), job.id,
            job.lease,
        ),
    )  # fmt: skip
    return cursor.rowcount > 0


def is_leased(read: Transaction, job: Job) -> bool:
    """Return whether a job's lease still counts."""
    sql = "SELECT 1 FROM job WHERE id = ? AND lease = ? AND state = 'running'"
    return read.execute(sql, (job.id, job.lease)).fetchone() is not None


class JobQueue:
    """Hands out jobs, newest photo first within a stage, and keeps their states."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._next_ids: dict[JobKind, deque[int]] = {}

    def ensure(self, kinds: Iterable[JobKind]) -> None:
        """Queue jobs for every photo that has none of these kinds yet."""
        now = time.time()
        row = self._database.first("SELECT max(id) FROM photo")
        last = 0 if row is None or row[0] is None else int(row[0])
        for kind in kinds:
            values = _values(kind)
            # In a very large library it takes a while, in which others must be able to write.
            for before in range(0, last, _ENSURED_AT_ONCE):
                with self._database.transaction() as write:
                    write.execute(
                        "INSERT INTO job"
                        " (stage, model, prompt, photo_id, priority, recency, changed_at)"
                        # Whether it is much like another photo was found out by its scan.
                        " SELECT ?, ?, ?, id, coalesce((SELECT min(priority) FROM job AS known"
                        " WHERE known.photo_id = photo.id AND priority < 0), 0), taken_at, ?"
                        " FROM photo WHERE id > ? AND id <= ? AND NOT EXISTS (SELECT 1 FROM job"
                        " AS known WHERE known.photo_id = photo.id AND known.stage = ?"
                        " AND known.model = ? AND known.prompt = ?)",
                        (*values, now, before, before + _ENSURED_AT_ONCE, *values),
                    )

    def lease(self, kind: JobKind) -> Job | None:
        """Return the next job of a kind, now marked as running, or None.

        Photos that killed a worker come after all others, then priority counts, then how new a
        photo is. Files in folders that can't be read now are passed over and keep waiting; where
        they are so many that it takes long, the next jobs are remembered, and what comes up
        meanwhile comes after these.
        """
        remembered = self._next_ids.get(kind, deque())
        while remembered:
            if job := self._lease("job.id = ?", (remembered.popleft(),), kind.stage):
                return job
        began_s = time.monotonic()
        job = self._lease("stage = ? AND model = ? AND prompt = ?", _values(kind), kind.stage)
        if job is not None and time.monotonic() - began_s > _LONG_SEARCH_S:
            rows = self._database.query(
                _next_jobs("stage = ? AND model = ? AND prompt = ?", kind.stage, _REMEMBERED),
                _values(kind),
            )
            self._next_ids[kind] = deque(row["id"] for row in rows)
        return job

    def lease_preferred(self, kinds: Sequence[JobKind]) -> Job | None:
        """Return a job of one of `kinds` that somebody waits for, the earliest stage first."""
        for kind in kinds:
            job = self._lease(
                "stage = ? AND model = ? AND prompt = ? AND priority > 0 AND strikes = 0",
                _values(kind),
                kind.stage,
            )
            if job is not None:
                return job
        return None

    def prefer(self, photo_ids: Sequence[int], priority: int) -> None:
        """Let the waiting jobs of these photos come before those of lower priority."""
        with self._database.transaction() as write:
            write.execute_many(
                "UPDATE job SET priority = ? WHERE photo_id = ? AND state = 'waiting'"
                " AND priority < ?",
                [(priority, photo_id, priority) for photo_id in photo_ids],
            )

    def _lease(self, which: str, values: Sequence[str | int], stage: Stage) -> Job | None:
        with self._database.transaction() as write:
            row = write.execute(_next_jobs(which, stage, 1), values).fetchone()
            if row is None:
                return None
            write.execute(
                "UPDATE job SET state = 'running', lease = lease + 1, changed_at = ? WHERE id = ?",
                (time.time(), row["id"]),
            )
            file = write.execute(
                "SELECT path, size, mtime_ns FROM file WHERE id = ?", (row["readable"],)
            ).fetchone()
        return Job(
            row["id"], row["lease"] + 1, JobKind(stage, row["model"], row["prompt"]),
            Path(os.fsdecode(file["path"])), file["size"], file["mtime_ns"], row["file_id"],
            row["photo_id"], row["strikes"],
        )  # fmt: skip

    def release(self, job: Job) -> None:
        """Put a running job back as it was: whoever worked on it was stopped."""
        self._set(job, JobState.WAITING, job.strikes, "")

    def release_all(self) -> int:
        """Put back what a killed service left running; return how many jobs that were."""
        with self._database.transaction() as write:
            return write.execute(
                "UPDATE job SET state = 'waiting' WHERE state = 'running'"
            ).rowcount

    def fail(self, job: Job, reason: str) -> None:
        """Note that a job failed for a reason that trying again would not change by itself."""
        self._set(job, JobState.FAILED, job.strikes, reason)

    def strike(self, job: Job, reason: str) -> JobState:
        """Note that a job killed its worker; the third time sets it aside as failed."""
        strikes = job.strikes + 1
        state = JobState.FAILED if strikes >= MAX_STRIKES else JobState.WAITING
        if state is JobState.FAILED:
            reason = f"set aside after {strikes} tries: {reason}"
        self._set(job, state, strikes, reason)
        return state

    def retry(self, job_ids: Sequence[int] | None = None) -> int:
        """Let failed jobs (all, or these) wait again; return how many."""
        sql = "UPDATE job SET state = 'waiting', strikes = 0, reason = '', changed_at = ?"
        now = time.time()
        with self._database.transaction() as write:
            if job_ids is None:
                return write.execute(f"{sql} WHERE state = 'failed'", (now,)).rowcount
            return sum(
                write.execute(f"{sql} WHERE state = 'failed' AND id = ?", (now, job_id)).rowcount
                for job_id in job_ids
            )

    def absolve(self, job_ids: Sequence[int]) -> None:
        """Let jobs wait as if nothing had happened: who worked on them was to blame."""
        with self._database.transaction() as write:
            write.execute_many(
                "UPDATE job SET state = 'waiting', strikes = 0, reason = ''"
                " WHERE id = ? AND state IN ('waiting', 'failed')",
                [(job_id,) for job_id in job_ids],
            )

    def failures(self) -> list[Failure]:
        """Return the failed jobs of photos that are still there, latest first."""
        rows = self._database.query(
            "SELECT job.id, job.stage, job.reason, job.changed_at, coalesce("
            " (SELECT path FROM file WHERE file.id = job.file_id),"
            " (SELECT min(path) FROM file WHERE file.photo_id = job.photo_id)) AS path"
            " FROM job WHERE state = 'failed' AND path IS NOT NULL ORDER BY changed_at DESC, job.id"
        )
        return [
            Failure(r["id"], Path(os.fsdecode(r["path"])), Stage(r["stage"]), r["reason"],
                    r["changed_at"])
            for r in rows
        ]  # fmt: skip

    def progress(
        self, kinds: Iterable[JobKind], per_second: Mapping[str, float] | None = None
    ) -> list[StageProgress]:
        """Return how many jobs of each kind are done, waiting and failed.

        Jobs of photos whose last file is gone are not counted. `per_second` holds measured
        speeds by the kind's name.
        """
        speeds = per_second or {}
        counts: Counter[tuple[str, str, str, str]] = Counter()
        # Counting in the index alone is several times faster than asking each job for its photo.
        everything = "SELECT stage, model, prompt, state, count(*) AS jobs FROM job"
        orphans = (
            f"{everything} WHERE photo_id IN (SELECT id FROM photo WHERE NOT EXISTS"
            " (SELECT 1 FROM file WHERE file.photo_id = photo.id))"
        )
        for sign, sql in ((1, everything), (-1, orphans)):
            for row in self._database.query(f"{sql} GROUP BY state, stage, model, prompt"):
                key = row["stage"], row["model"], row["prompt"], row["state"]
                counts[key] += sign * row["jobs"]
        found = []
        for kind in kinds:
            values = _values(kind)
            waiting = sum(
                counts[(*values, state)] for state in (JobState.WAITING, JobState.RUNNING)
            )
            speed = speeds.get(str(kind))
            found.append(
                StageProgress(
                    kind.stage,
                    done=counts[(*values, JobState.DONE)],
                    waiting=waiting,
                    failed=counts[(*values, JobState.FAILED)],
                    per_second=speed,
                    seconds_left=waiting / speed if speed else None,
                )
            )
        return found

    def failure_count(self) -> int:
        """Return how many failures there are."""
        row = self._database.first("SELECT count(*) FROM job WHERE state = 'failed'")
        return 0 if row is None else int(row[0])

    def redo(self, stage: Stage) -> None:
        """Run a stage again for everything that it was done for."""
        with self._database.transaction() as write:
            write.execute(
                "UPDATE job SET state = 'waiting' WHERE state = 'done' AND stage = ?", (stage,)
            )

    def _set(self, job: Job, state: JobState, strikes: int, reason: str) -> None:
        with self._database.transaction() as write:
            settle(write, job, state, strikes=strikes, reason=reason)


def _next_jobs(which: str, stage: Stage, limit: int) -> str:
    """Return what selects the next jobs that can be done now, with a file of each."""
    if stage is Stage.SCAN:
        condition = "file.id = job.file_id"
    else:
        # A file that is to be scanned anew may hold another photo by now.
        condition = (
            "file.photo_id = job.photo_id AND EXISTS (SELECT 1 FROM job AS scan"
            " WHERE scan.file_id = file.id AND scan.stage = 'scan' AND scan.state = 'done')"
        )
    return (
        "SELECT job.*, (SELECT file.id FROM file JOIN folder ON folder.id = file.folder_id"
        f" WHERE folder.online AND {condition} LIMIT 1) AS readable FROM job"
        f" WHERE state = 'waiting' AND {which} AND readable IS NOT NULL"
        f" ORDER BY strikes, priority DESC, recency DESC LIMIT {limit}"
    )


def _values(kind: JobKind) -> tuple[str, str, str]:
    return kind.stage, kind.model, kind.prompt
