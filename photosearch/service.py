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
from collections.abc import Callable, Collection, Sequence
from contextlib import closing
from typing import Any

import psutil

from photosearch.captioners import clip_trouble, find_captioners
from photosearch.captioning.captioner import CaptionerSpec
from photosearch.captioning.schedule import Readings, Schedule, local_now
from photosearch.captioning.sensors import Sensors
from photosearch.dispatch import Dispatcher
from photosearch.domain import Hold, Stage
from photosearch.errors import UnavailableError, UsageError
from photosearch.folders.sync import FolderSync
from photosearch.indexing import Indexer
from photosearch.paths import AppPaths
from photosearch.service_control import (
    STATE_ASKED,
    STATE_LAST,
    STATE_PAUSED,
    STATE_RUN_UNTIL,
    STATE_SERVICE,
    STATE_SPEEDS,
    STATE_STOP,
    ServiceLock,
)
from photosearch.settings import ScheduleSettings, SettingsFile
from photosearch.storage.database import Database
from photosearch.storage.job_queue import JobQueue
from photosearch.storage.photo_store import PhotoStore

_log = logging.getLogger(__name__)

_TICK_S = 0.2
_COMMIT_EVERY_S = 2.0
_REPORT_EVERY_S = 1.0
_SPEEDS_EVERY_S = 5.0
_TROUBLE_S = 30.0
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
        readings: Readings | None = None,
    ) -> None:
        """Take the library's lock and open it for writing.

        `find_captioners` says who serves the stages after `scan`, and is asked again when models
        change; `stages` limits what is run; `watch` follows the folders as they change;
        `processes` is the number of workers, one a core by default; `wait_s` is how many seconds
        to wait for the lock; `readings` tell of the computer and its user, by default the system's.
        Raises LibraryLockedError, or another UnavailableError when the library can't be opened.
        """
        self._paths = paths
        self._find_captioners = find_captioners
        self._watch = watch
        self._stop = threading.Event()
        self._schedule: Schedule | None = None
        self._schedule_settings: ScheduleSettings | None = None
        self._holds: tuple[Hold, ...] = ()
        self._run_until = 0.0
        self._seen: tuple[Any, ...] = ()
        self._seen_version = -1
        self._paused = False
        self._trouble = ""
        self._settings_trouble = ""
        self._index_trouble = ""
        self._lost_track = False
        self._committed_s = self._reported_s = self._worked_s = time.monotonic()
        self._speeds_s = 0.0
        self._closing = contextlib.ExitStack()
        try:
            paths.make()
            self._closing.callback(ServiceLock(paths, wait_s).close)
            self._database = self._closing.enter_context(Database(paths.database))
            self._photos = PhotoStore(self._database)
            self._jobs = JobQueue(self._database)
            self._indexer = self._closing.enter_context(Indexer(self._database, paths.index))
            self._folders = self._closing.enter_context(FolderSync(self._photos, watch=watch))
            self._dispatcher = Dispatcher(
                paths,
                self._database,
                stages=stages,
                processes=processes or _core_count(),
                on_unreachable=self._folders.look_at,
            )
            self._closing.callback(self._dispatcher.close)
            self._readings = readings or self._closing.enter_context(
                closing(Sensors(lambda: [os.getpid(), *self.worker_pids]))
            )
            self._jobs.release_all()
            # A wish of the past, for a process that was killed.
            self._photos.set_state({STATE_STOP: None})
            if self._photos.counts()[0] and not any(paths.thumbnails.iterdir()):
                # The scan stage makes them, too.
                self._jobs.redo(Stage.SCAN)
            self._read_settings()
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
                    self._dispatcher.start_over()
                    self._lost_track = True
                    # It may have come while a wish was seen to.
                    self._seen, self._seen_version = (), -1
                    continue
                self._trouble = ""
                if not self._watch and not busy and self._is_finished():
                    break
            self._dispatcher.release_all()
            if not self._watch:
                self._indexer.commit_all()
            elif not self._index_trouble:
                # What is left is marked, and written at the next start.
                self._indexer.commit()
        finally:
            # Where even this can't be written, the next start does it.
            with contextlib.suppress(UnavailableError):
                self._dispatcher.release_all()
                self._report_speeds()
                self._photos.set_state(
                    {STATE_SERVICE: None, STATE_STOP: None, STATE_LAST: self.broken}
                )

    def stop(self) -> None:
        """Make `run` return soon; may be called from a signal handler or another thread."""
        self._stop.set()

    @property
    def notices(self) -> list[str]:
        """What the user should know: an index rebuilt, stages and folders that stand still."""
        notices = (self._trouble, self._settings_trouble, self._index_trouble, self._indexer.notice)
        found = [text for text in notices if text]
        return found + self._dispatcher.notices + self._dispatcher.broken + self._folders.notices

    @property
    def broken(self) -> list[str]:
        """Which stages can't run, and why: a sentence for each captioner."""
        return self._dispatcher.broken

    @property
    def worker_pids(self) -> list[int]:
        """The process ids of the workers that are alive now."""
        return [pid for pool in self._dispatcher.pools for pid in pool.pids]

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
        if not self._folders.walking:
            self._dispatcher.decide_on_absent()
        if self._folders.take_changed():
            self._dispatcher.wake()
        self._look_at_schedule()
        if not self._paused:
            busy = self._dispatcher.dispatch(held=bool(self._holds)) or busy
        self._dispatcher.collect(0.0 if busy else _TICK_S)
        if self._dispatcher.busy:
            self._worked_s = time.monotonic()
        self._commit_if_due()
        self._report_if_due(on_tick)
        return busy

    # Jobs

    def _read_settings(self) -> None:
        """Follow the model in use and the settings; what can't be followed is said."""
        try:
            captioners = self._find_captioners(self._paths)
            trouble = clip_trouble(self._paths)
            settings = SettingsFile(self._paths.settings).load().schedule
        except (UsageError, UnavailableError) as error:
            if not self._watch:
                raise
            self._settings_trouble = str(error)
            if not self._dispatcher.runners:
                # Photos can be scanned all the same.
                self._dispatcher.set_captioners([])
            return
        self._dispatcher.set_captioners(captioners)
        if settings != self._schedule_settings:
            self._schedule_settings = settings
            self._schedule = Schedule(settings, self._readings)
        self._settings_trouble = trouble

    def _look_at_schedule(self) -> None:
        """Find out whether anything speaks against captioning now, and leave it if so."""
        self._holds = ()
        scheduled = any(runner.scheduled for runner in self._dispatcher.runners)
        if self._watch and scheduled and self._schedule and self._run_until <= time.time():
            self._holds = self._schedule.holds(local_now())
        if self._holds:
            self._dispatcher.leave()

    def _is_finished(self) -> bool:
        if not self._dispatcher.is_exhausted:
            return False
        if self._folders.unsettled and time.monotonic() - self._worked_s > _SETTLE_LIMIT_S:
            self._trouble = (
                "Some files are still being written; index again when they are complete."
            )
            return True
        return not self._folders.unsettled

    # What others wish, and are told

    def _look_at_wishes(self) -> None:
        version = self._database.data_version()
        if version == self._seen_version:
            return
        self._seen_version = version
        asked, paused, run_until, stop = self._photos.states(
            STATE_ASKED, STATE_PAUSED, STATE_RUN_UNTIL, STATE_STOP
        )
        if stop == os.getpid():
            self._stop.set()
        self._run_until = float(run_until or 0)
        if (asked, paused) == self._seen:
            return
        self._seen = (asked, paused)
        self._paused = bool(paused) and self._watch
        if self._paused:
            self._dispatcher.leave(everything=True)
        self._read_settings()
        self._dispatcher.revive()
        self._folders.look_for_new()
        self._dispatcher.wake()

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
        activity = self._dispatcher.activity
        if not self._dispatcher.busy:
            activity = "looking through folders" if self._folders.walking else ""
        report = {
            "pid": os.getpid(),
            "since": psutil.Process().create_time(),
            "activity": activity,
            "notices": self.notices,
            "holds": [[hold.reason, hold.command] for hold in self._holds],
        }
        if report != self._photos.state(STATE_SERVICE):
            # Nothing is written while nothing happens, so that disks can sleep.
            self._photos.set_state({STATE_SERVICE: report})
        if time.monotonic() - self._speeds_s > _SPEEDS_EVERY_S:
            self._speeds_s = time.monotonic()
            self._report_speeds()
        if on_tick is not None:
            on_tick(activity)

    def _report_speeds(self) -> None:
        """Keep the measured speeds for when the service does not run."""
        speeds = {
            str(runner.kind): speed
            for runner in self._dispatcher.runners
            if (speed := runner.pace.per_second()) is not None
        }
        known = self._photos.state(STATE_SPEEDS) or {}
        if known | speeds != known:
            self._photos.set_state({STATE_SPEEDS: known | speeds})


def _core_count() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
