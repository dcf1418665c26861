"""The indexer: the one writer of a library. Follows folders, hands out jobs, keeps the index.

One thread does it all; what takes long or may crash is done by workers. Each step leaves the
library so that a kill at any moment loses nothing that was saved and does nothing twice.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable, Collection, Hashable, Sequence
from typing import Any

import psutil

from photosearch.captioning.captioner import CaptionerSpec
from photosearch.domain import Job, JobState, Stage, display_path
from photosearch.errors import (
    DecodeError,
    FileUnreachableError,
    UnavailableError,
)
from photosearch.folders.sync import FolderSync
from photosearch.indexing import Indexer
from photosearch.paths import AppPaths
from photosearch.service_control import (
    STATE_ASKED,
    STATE_PAUSED,
    STATE_SERVICE,
    STATE_STOP,
    ServiceLock,
)
from photosearch.stages import (
    StageRunner,
    caption_runners,
    find_captioners,
    pools_of,
    scan_runner,
)
from photosearch.storage.caption_store import CaptionStore
from photosearch.storage.database import Database
from photosearch.storage.job_queue import JobQueue, speed_key
from photosearch.storage.photo_store import PhotoStore
from photosearch.workers.supervisor import Broken, Died, Done, Outcome, Refused, wait_for

_log = logging.getLogger(__name__)

_TICK_S = 0.2
_COMMIT_EVERY_S = 2.0
_REPORT_EVERY_S = 1.0
_IDLE_POOL_S = 30.0
_TROUBLE_S = 30.0
_REVIVE_S = 600.0
_SETTLE_LIMIT_S = 20.0


class IndexService:
    """Runs the stages over a library until it is told to stop, or until nothing is left."""

    def __init__(
        self,
        paths: AppPaths,
        *,
        find_captioners: Callable[[AppPaths], Sequence[CaptionerSpec]] = find_captioners,
        stages: Collection[Stage] = tuple(Stage),
        watch: bool = False,
        processes: int | None = None,
        wait_s: float = 0,
    ) -> None:
        """Take the library's lock and open it for writing.

        `find_captioners` says who serves the stages after `scan`, and is asked again when models
        change; `stages` limits what is run; `watch` follows the folders as they change;
        `processes` is the number of workers, one a core by default; `wait_s` is how many seconds
        to wait for the lock.
        Raises LibraryLockedError, or another UnavailableError when the library can't be opened.
        """
        self._paths = paths
        self._find_captioners = find_captioners
        self._stages = stages
        self._watch = watch
        self._processes = processes or _core_count()
        self._stop = threading.Event()
        self._specs: list[CaptionerSpec] = []
        self._runners: list[StageRunner] = []
        self._running: dict[Hashable, tuple[StageRunner, Job]] = {}
        self._absent: list[tuple[Job, str]] = []
        self._broken_s: dict[int, float] = {}
        self._seen: tuple[Any, ...] = ()
        self._seen_version = -1
        self._paused = False
        self._activity = ""
        self._trouble = ""
        self._index_trouble = ""
        self._lost_track = False
        self._committed_s = self._reported_s = self._worked_s = time.monotonic()
        self._closing = contextlib.ExitStack()
        try:
            paths.make()
            self._closing.callback(ServiceLock(paths, wait_s).close)
            self._database = self._closing.enter_context(Database(paths.database))
            self._photos = PhotoStore(self._database)
            self._jobs = JobQueue(self._database)
            self._captions = CaptionStore(self._database)
            self._indexer = self._closing.enter_context(Indexer(self._database, paths.index))
            self._folders = self._closing.enter_context(FolderSync(self._photos, watch=watch))
            self._closing.callback(self._close_pools)
            self._jobs.release_all()
            # A wish of the past, for a process that was killed.
            self._photos.set_state({STATE_STOP: None})
            if self._photos.counts()[0] and not any(paths.thumbnails.iterdir()):
                # The scan stage makes them, too.
                self._jobs.redo(Stage.SCAN)
            self._set_captioners()
        except BaseException:
            self._closing.close()
            raise

    def run(
        self, *, minutes: float | None = None, on_tick: Callable[[str], None] | None = None
    ) -> None:
        """Work until `stop` is called or `minutes` are over; without watching, until all is done.

        `on_tick` is called about every second with what is being done.
        """
        end_s = None if minutes is None else time.monotonic() + minutes * 60
        self._folders.reconcile()
        try:
            while not self._stop.is_set() and (end_s is None or time.monotonic() < end_s):
                try:
                    busy = self._step(on_tick)
                except UnavailableError as error:
                    if not self._watch:
                        raise
                    # A full disk or a database in use need not end the night's work.
                    _log.error("%s", error)
                    self._trouble = str(error)
                    self._stop.wait(_TROUBLE_S)
                    self._start_over()
                    continue
                self._trouble = ""
                if not self._watch and not busy and self._is_finished():
                    break
            self._release_running()
            if not self._watch:
                self._indexer.commit_all()
            elif not self._index_trouble:
                # What is left is marked, and written at the next start.
                self._indexer.commit()
        finally:
            # Where even this can't be written, the next start does it.
            with contextlib.suppress(UnavailableError):
                self._release_running()
                self._photos.set_state({STATE_SERVICE: None, STATE_STOP: None})

    def stop(self) -> None:
        """Make `run` return soon; may be called from a signal handler or another thread."""
        self._stop.set()

    @property
    def notices(self) -> list[str]:
        """What the user should know: an index rebuilt, stages and folders that stand still."""
        notices = (self._trouble, self._index_trouble, self._indexer.notice)
        found = [text for text in notices if text]
        return found + self.broken + self._folders.notices

    @property
    def broken(self) -> list[str]:
        """Which stages can't run, and why: a sentence for each model."""
        found = []
        for pool in pools_of(self._runners):
            if pool.broken:
                stages = ", ".join(r.stage for r in self._runners if r.pool is pool)
                found.append(f"Nothing can be done for {stages}: {pool.broken}")
        return found

    @property
    def worker_pids(self) -> list[int]:
        """The process ids of the workers that are alive now."""
        return [pid for pool in pools_of(self._runners) for pid in pool.pids]

    def close(self) -> None:
        """Stop the workers, close the library and free its lock; may be called twice."""
        self._closing.close()

    def __enter__(self) -> IndexService:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _step(self, on_tick: Callable[[str], None] | None) -> bool:
        """Do a little of everything; True if there is more to do at once."""
        if self._lost_track:
            self._jobs.release_all()
            self._folders.reconcile()
            self._lost_track = False
        self._look_at_wishes()
        busy = self._folders.step()
        if self._absent and not self._folders.walking:
            self._decide_on_absent()
        if self._folders.take_changed():
            self._wake()
        self._revive_pools()
        if not self._paused:
            busy = self._dispatch() or busy
        self._collect(0.0 if busy else _TICK_S)
        self._commit_if_due()
        self._report_if_due(on_tick)
        return busy

    # Jobs

    def _set_captioners(self) -> None:
        """Make the runners for the captioners of now, unless they are the ones of before."""
        specs = list(self._find_captioners(self._paths))
        if self._runners and specs == self._specs:
            return
        self._release_running()
        self._close_pools()
        self._specs = specs
        later = [(stage, spec.model) for spec in specs for stage in spec.views]
        runners = [scan_runner(self._paths, self._photos, later, self._processes)]
        for spec in specs:
            runners += caption_runners(spec, self._paths, self._captions, self._processes)
        self._runners = sorted(
            (r for r in runners if r.stage in self._stages), key=lambda r: r.stage.rank
        )
        self._jobs.ensure(later)

    def _dispatch(self) -> bool:
        """Give jobs to idle workers, earlier stages first; True if any was given."""
        given = False
        for runner in self._runners:
            # More tasks than cores would only make each of them slower.
            while (
                not runner.exhausted and runner.pool.idle and len(self._running) < self._processes
            ):
                job = self._jobs.lease(runner.stage, runner.model)
                if job is None:
                    runner.exhausted = True
                    break
                # Logged first: whatever the file does to its worker, its name is known.
                self._activity = f"{job.stage} {display_path(job.path)}"
                _log.info(self._activity)
                # Named by its lease: a file that changes is leased again before it is answered.
                self._running[job.id, job.lease] = runner, job
                runner.pool.submit((job.id, job.lease), runner.task(job), runner.limit_s)
                given = True
            if not runner.exhausted and not runner.pool.broken:
                break  # All photos pass a stage before any starts the next.
        return given

    def _collect(self, timeout_s: float) -> None:
        pools = pools_of(self._runners)
        wait_for(pools, timeout_s)
        for pool in pools:
            for outcome in pool.outcomes():
                self._settle(outcome)
            for key in pool.abandoned():
                self._jobs.release(self._running.pop(key)[1])
        now = time.monotonic()
        if self._running:
            self._worked_s = now
        elif now - self._worked_s > _IDLE_POOL_S:
            # Models take memory that nobody needs while there is nothing to do.
            self._close_pools()

    def _settle(self, outcome: Outcome) -> None:
        # Forgotten only once its outcome is saved: a full disk must not lose track of it.
        self._save_outcome(outcome, *self._running[outcome.key])
        del self._running[outcome.key]

    def _save_outcome(self, outcome: Outcome, runner: StageRunner, job: Job) -> None:
        match outcome:
            case Done(value=value):
                runner.save(job, value)
                runner.count()
                self._wake(after=job.stage)
            case Refused(error=UnavailableError() as error):
                # The disk is full, say: not this photo's fault.
                raise error
            case Refused(error=FileUnreachableError() as error):
                self._absent.append((job, error.reason))
                self._folders.look_at(job.path)
            case Refused(error=error):
                self._fail(job, error.reason if isinstance(error, DecodeError) else str(error))
            case Broken(trace=trace):
                _log.error("%s %s\n%s", job.stage, display_path(job.path), trace)
                self._fail(job, f"a fault in photosearch: {trace.strip().splitlines()[-1]}")
            case Died(reason=reason):
                with self._database.transaction():
                    if self._jobs.strike(job, reason) is JobState.WAITING:
                        runner.exhausted = False
                    elif job.stage is Stage.SCAN:
                        self._photos.record_unreadable(job)

    def _decide_on_absent(self) -> None:
        """Let jobs wait whose file is gone, or offline, as is known by now; others are struck."""
        absent, self._absent = self._absent, []
        for job, reason in absent:
            try:
                status = job.path.stat()
                unchanged = (status.st_size, status.st_mtime_ns) == (job.size, job.mtime_ns)
            except OSError:
                unchanged = False
            if unchanged:
                self._jobs.strike(job, reason)
            else:
                self._jobs.release(job)
        self._wake()

    def _revive_pools(self) -> None:
        now = time.monotonic()
        for pool in pools_of(self._runners):
            if not pool.broken:
                self._broken_s.pop(id(pool), None)
            elif now - self._broken_s.setdefault(id(pool), now) > _REVIVE_S:
                pool.revive()

    def _start_over(self) -> None:
        """After trouble: forget what was under way, so that it is leased again."""
        for pool in pools_of(self._runners):
            pool.cancel()
        self._running.clear()
        self._absent.clear()
        self._lost_track = True
        self._wake()

    def _fail(self, job: Job, reason: str) -> None:
        with self._database.transaction():
            self._jobs.fail(job, reason)
            if job.stage is Stage.SCAN:
                self._photos.record_unreadable(job)

    def _release_running(self) -> None:
        for pool in pools_of(self._runners):
            pool.cancel()
        for job in [job for _, job in self._running.values()] + [job for job, _ in self._absent]:
            self._jobs.release(job)
        self._running.clear()
        self._absent.clear()

    def _wake(self, after: Stage | None = None) -> None:
        """Look for jobs again, in all stages or in those after one."""
        for runner in self._runners:
            if after is None or runner.stage.rank > after.rank:
                runner.exhausted = False

    def _is_finished(self) -> bool:
        if (
            self._running
            or self._absent
            or not all(r.exhausted or r.pool.broken for r in self._runners)
        ):
            return False
        if self._folders.unsettled and time.monotonic() - self._worked_s > _SETTLE_LIMIT_S:
            self._trouble = (
                "Some files are still being written; index again when they are complete."
            )
            return True
        return not self._folders.unsettled

    def _close_pools(self) -> None:
        for pool in pools_of(self._runners):
            pool.close()

    # What others wish, and are told

    def _look_at_wishes(self) -> None:
        version = self._database.data_version()
        if version == self._seen_version:
            return
        self._seen_version = version
        asked, paused, stop = self._photos.states(STATE_ASKED, STATE_PAUSED, STATE_STOP)
        if stop == os.getpid():
            self._stop.set()
        if (asked, paused) == self._seen:
            return
        self._seen = (asked, paused)
        self._paused = bool(paused) and self._watch
        if self._paused:
            self._release_running()
        self._set_captioners()
        for pool in pools_of(self._runners):
            pool.revive()
        self._folders.look_for_new()
        self._wake()

    def _commit_if_due(self) -> None:
        due = time.monotonic() - self._committed_s >= _COMMIT_EVERY_S
        if not due:
            return
        try:
            if not self._indexer.commit():
                self._committed_s = time.monotonic()
            self._index_trouble = ""
        except UnavailableError as error:
            if not self._watch:
                raise
            # Captions can be written all the same, and are indexed later.
            self._index_trouble = str(error)
            self._committed_s = time.monotonic() + _TROUBLE_S

    def _report_if_due(self, on_tick: Callable[[str], None] | None) -> None:
        if time.monotonic() - self._reported_s < _REPORT_EVERY_S:
            return
        self._reported_s = time.monotonic()
        if not self._running:
            self._activity = "looking through folders" if self._folders.walking else ""
        report = {
            "pid": os.getpid(),
            "since": psutil.Process().create_time(),
            "activity": self._activity,
            "notices": self.notices,
            "per_second": {
                speed_key(runner.stage, runner.model): speed
                for runner in self._runners
                if (speed := runner.per_second()) is not None
            },
        }
        if report != self._photos.state(STATE_SERVICE):
            # Nothing is written while nothing happens, so that disks can sleep.
            self._photos.set_state({STATE_SERVICE: report})
        if on_tick is not None:
            on_tick(self._activity)


def _core_count() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
