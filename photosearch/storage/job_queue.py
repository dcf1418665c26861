"""The jobs: which stage of which photo is next, and what became of it."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from photosearch.domain import Failure, Job, JobState, Stage, StageProgress
from photosearch.storage.database import Database, Transaction

MAX_STRIKES = 3
"""How often a photo may kill its worker before it is set aside."""


def speed_key(stage: Stage, model: str) -> str:
    """Return the key under which the speed of a stage and model is reported."""
    return f"{stage} {model}"


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


class JobQueue:
    """Hands out jobs, newest photo first within a stage, and keeps their states."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def ensure(self, stages: Iterable[tuple[Stage, str]]) -> None:
        """Queue (stage, model) jobs for every photo that has none of that kind yet."""
        now = time.time()
        with self._database.transaction() as write:
            for stage, model in stages:
                write.execute(
                    "INSERT INTO job (stage, photo_id, model, recency, changed_at)"
                    " SELECT ?, id, ?, taken_at, ? FROM photo WHERE true"
                    " ON CONFLICT (photo_id, stage, model) WHERE photo_id IS NOT NULL DO NOTHING",
                    (stage, model, now),
                )

    def lease(self, stage: Stage, model: str) -> Job | None:
        """Return the next job of a stage, now marked as running, or None.

        Photos that killed a worker come after all others. Files in folders that can't be read
        now are passed over and keep waiting.
        """
        if stage is Stage.SCAN:
            condition = "file.id = job.file_id"
        else:
            # A file that is to be scanned anew may hold another photo by now.
            condition = (
                "file.photo_id = job.photo_id AND EXISTS (SELECT 1 FROM job AS scan"
                " WHERE scan.file_id = file.id AND scan.stage = 'scan' AND scan.state = 'done')"
            )
        with self._database.transaction() as write:
            row = write.execute(
                "SELECT job.*, (SELECT file.id FROM file JOIN folder"
                " ON folder.id = file.folder_id"
                f" WHERE folder.online AND {condition} LIMIT 1) AS readable FROM job"
                " WHERE state = 'waiting' AND stage = ? AND model = ? AND readable IS NOT NULL"
                " ORDER BY strikes, recency DESC LIMIT 1",
                (stage, model),
            ).fetchone()
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
            row["id"], row["lease"] + 1, stage, Path(os.fsdecode(file["path"])), file["size"],
            file["mtime_ns"], row["file_id"], row["photo_id"], model, row["strikes"],
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
        self, stages: Iterable[tuple[Stage, str]], per_second: Mapping[str, float] | None = None
    ) -> list[StageProgress]:
        """Return how many jobs of each (stage, model) are done, waiting and failed.

        Jobs of photos whose last file is gone are not counted. `per_second` holds measured
        speeds by `speed_key`.
        """
        speeds = per_second or {}
        counts: Counter[tuple[str, str, str]] = Counter()
        # Counting in the index alone is several times faster than asking each job for its photo.
        everything = "SELECT stage, model, state, count(*) AS jobs FROM job"
        orphans = (
            f"{everything} WHERE photo_id IN (SELECT id FROM photo WHERE NOT EXISTS"
            " (SELECT 1 FROM file WHERE file.photo_id = photo.id))"
        )
        for sign, sql in ((1, everything), (-1, orphans)):
            for row in self._database.query(f"{sql} GROUP BY state, stage, model"):
                counts[row["stage"], row["model"], row["state"]] += sign * row["jobs"]
        found = []
        for stage, model in stages:
            waiting = sum(
                counts[stage, model, state] for state in (JobState.WAITING, JobState.RUNNING)
            )
            speed = speeds.get(speed_key(stage, model))
            found.append(
                StageProgress(
                    stage,
                    done=counts[stage, model, JobState.DONE],
                    waiting=waiting,
                    failed=counts[stage, model, JobState.FAILED],
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
