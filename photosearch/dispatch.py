"""Hands jobs to workers, several at once where the captioner likes that, and brings them home."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

from photosearch.absence import Absences
from photosearch.captioning.captioner import CaptionerSpec, PhotoAnswer
from photosearch.domain import CAPTION_STAGES, Job, JobKind, JobState, Stage, display_path
from photosearch.errors import (
    CaptionerOfflineError,
    DecodeError,
    FileUnreachableError,
    ModelError,
    PhotosearchError,
    StaleCaptionsError,
    UnavailableError,
)
from photosearch.paths import AppPaths
from photosearch.stages import (
    CaptionRunner,
    ScanRunner,
    StageRunner,
    caption_runners,
    in_order,
    pools_of,
)
from photosearch.storage.caption_store import CaptionStore
from photosearch.storage.database import Database
from photosearch.storage.job_queue import JobQueue
from photosearch.storage.photo_store import PhotoStore
from photosearch.storage.vector_store import VectorStore
from photosearch.workers.supervisor import (
    Broken,
    Died,
    Done,
    Left,
    Outcome,
    Part,
    Refused,
    WorkerPool,
    wait_for,
)

_log = logging.getLogger(__name__)

_IDLE_POOL_S = 30.0
_LEASE_S = 0.1
_REVIVE_S = 600.0
_REACH_AGAIN_S = 60.0


@dataclass(slots=True)
class _Task:
    """What a worker is at: the jobs that it has not finished, by their ids."""

    runner: StageRunner
    jobs: dict[int, Job]


class Dispatcher:
    """The jobs between queue and workers. Owns the workers; one thread uses it."""

    def __init__(
        self,
        paths: AppPaths,
        database: Database,
        *,
        stages: Collection[Stage],
        processes: int,
        on_unreachable: Callable[[Path], None],
    ) -> None:
        """`stages` limits what is run; `on_unreachable` hears of files that can't be got at."""
        self._paths = paths
        self._database = database
        self._photos = PhotoStore(database)
        self._jobs = JobQueue(database)
        self._captions = CaptionStore(database)
        self._vectors = VectorStore(database)
        self._stages = stages
        self._processes = processes
        self._on_unreachable = on_unreachable
        self._specs: list[CaptionerSpec] = []
        self._runners: list[StageRunner] = []
        self._running: dict[int, _Task] = {}
        self._numbers = count()
        self._absences = Absences()
        self._notices: dict[str, str] = {}
        self._logged: set[str] = set()
        self._revive_at_s: dict[int, float] = {}
        self._idle_since_s: dict[int, float] = {}
        self.activity = ""
        """What was begun last: a stage and a file."""

    # Who does what

    def set_captioners(self, specs: Sequence[CaptionerSpec]) -> None:
        """Have the stages after `scan` served by these, unless they are the ones of before."""
        if self._runners and list(specs) == self._specs:
            return
        self.release_all()
        self.close()
        kinds = [JobKind(stage, s.model, s.prompt) for s in specs for stage in s.views]
        # First: should this fail, as on a full disk, it is to be tried again.
        self._jobs.ensure(kinds)
        for spec in specs:
            if not spec.skip_flat:
                self._captions.ask_again_of_skipped(spec.model, spec.prompt)
        self._specs = list(specs)
        runners: list[StageRunner] = [ScanRunner(self._paths, self._photos, kinds, self._processes)]
        for spec in specs:
            runners += caption_runners(
                spec, self._paths, self._captions, self._vectors, self._processes
            )
        self._runners = [r for r in runners if r.kind.stage in self._stages]
        self._revive_at_s.clear()
        self._idle_since_s.clear()

    @property
    def runners(self) -> Sequence[StageRunner]:
        """The stages that are run, and their pace."""
        return self._runners

    @property
    def pools(self) -> list[WorkerPool]:
        """The workers, by captioner."""
        return pools_of(self._runners)

    @property
    def broken(self) -> list[str]:
        """Which stages can't run, and why: a sentence for each captioner."""
        found = []
        for pool in self.pools:
            if pool.broken:
                stages = [r.kind.stage for r in self._runners if r.pool is pool]
                if set(stages) <= set(CAPTION_STAGES):
                    found.append(f"No captions can be written: {pool.broken}")
                else:
                    found.append(f"Nothing can be done for {', '.join(stages)}: {pool.broken}")
        return found

    @property
    def notices(self) -> list[str]:
        """What captioners say of how they run, as that they do without the graphics card."""
        running = {spec.model for spec in self._specs}
        return [notice for model, notice in self._notices.items() if model in running]

    @property
    def busy(self) -> bool:
        """Whether jobs are at work, or wait to be decided on soon."""
        return bool(self._running) or self._absences.is_pressing

    @property
    def is_exhausted(self) -> bool:
        """Whether nothing is left to do for any stage that can run."""
        return not self.busy and all(r.exhausted or r.pool.broken for r in self._runners)

    def wake(self, after: Stage | None = None) -> None:
        """Look for jobs again, in all stages or in those after one."""
        for runner in self._runners:
            if after is None or runner.kind.stage.rank > after.rank:
                runner.exhausted = False

    def revive(self) -> None:
        """Let all broken captioners try again."""
        for pool in self.pools:
            pool.revive()

    # Out

    def dispatch(self, *, held: bool = False) -> bool:
        """Give jobs to idle workers, those that are worth most first; True if there may be more.

        While they are `held`, scheduled stages get none.
        """
        self._revive_in_time()
        runners = [r for r in in_order(self._runners) if not (held and r.scheduled)]
        given = self._dispatch_preferred(runners)
        for runner in runners:
            while not runner.exhausted and self._has_room(runner):
                jobs = self._lease(runner)
                if not jobs:
                    given = given or not runner.exhausted
                    break
                self._submit(runner, jobs)
                given = True
            if not runner.exhausted and not runner.pool.broken:
                break  # All photos pass a stage before any starts the next.
        return given

    def _has_room(self, runner: StageRunner) -> bool:
        # More tasks than cores would only make each of them slower.
        return bool(runner.pool.idle) and len(self._running) < self._processes

    def _dispatch_preferred(self, runners: Sequence[StageRunner]) -> bool:
        """Give a task of photos that somebody waits for, of the earliest stage that they lack."""
        ready = {r.kind: r for r in runners if not r.exhausted and self._has_room(r)}
        kinds = [kind for kind in ready if kind.stage is not Stage.SCAN]
        job = self._jobs.lease_preferred(kinds) if kinds else None
        if job is None:
            return False
        runner = ready[job.kind]
        jobs: list[Job] = []
        views = 0
        while job is not None:
            if self._has_views_left(runner, job):
                jobs.append(job)
                views += runner.views_left(job)
            job = self._jobs.lease_preferred([runner.kind]) if views < runner.batch else None
        if jobs:
            self._submit(runner, jobs)
        return True

    def _lease(self, runner: StageRunner) -> list[Job]:
        """Return jobs for one task.

        None if there is nothing left, which is noted, or if it takes long to find any.
        """
        jobs: list[Job] = []
        views = 0
        began_s = time.monotonic()
        while views < runner.batch:
            job = self._jobs.lease(runner.kind)
            if job is None:
                runner.exhausted = not jobs
                break
            if job.strikes and jobs:
                self._jobs.release(job)
                break
            if not self._has_views_left(runner, job):
                # After an import that may be so for all of them; wishes are to be heard meanwhile.
                if time.monotonic() - began_s > _LEASE_S:
                    break
                continue
            jobs.append(job)
            views += runner.views_left(job)
            if job.strikes:
                break  # Alone, so that it is known who is to blame.
        return jobs

    def _has_views_left(self, runner: StageRunner, job: Job) -> bool:
        if runner.views_left(job):
            return True
        # It was stopped after its last answer, or its captions came from another computer.
        runner.save(job, PhotoAnswer(job.id, finished=True))
        return False

    def _submit(self, runner: StageRunner, jobs: Sequence[Job]) -> None:
        for job in jobs:
            # Logged first: whatever the file does to its worker, its name is known.
            self.activity = f"{job.stage} {display_path(job.path)}"
            _log.info(self.activity)
        number = next(self._numbers)
        self._running[number] = _Task(runner, {job.id: job for job in jobs})
        runner.pace.begin()
        runner.pool.submit(number, runner.task(jobs), runner.limit_s)

    # Home

    def collect(self, timeout_s: float) -> None:
        """Wait for outcomes, at most so many seconds, and save what came."""
        pools = self.pools
        wait_for(pools, timeout_s)
        for pool in pools:
            for outcome in pool.outcomes():
                self._settle(outcome)
            for number in pool.abandoned():
                assert isinstance(number, int)
                self._release(number)
        for reason in set(self.broken) - self._logged:
            _log.error("%s", reason)
        self._logged = set(self.broken)
        self._close_idle_pools()

    def leave(self, *, everything: bool = False) -> None:
        """Have scheduled work, or all, stopped within a second; what has its answer is kept."""
        for pool in pools_of(r for r in self._runners if everything or r.scheduled):
            pool.leave()

    def release_all(self) -> None:
        """Stop all work at once; what has its answer is kept."""
        for pool in self.pools:
            pool.cancel()
        for number in list(self._running):
            self._release(number)
        for job in self._absences.clear():
            self._jobs.release(job)

    def start_over(self) -> None:
        """After trouble: forget what was under way, so that it is leased again."""
        for pool in self.pools:
            pool.cancel()
        for task in self._running.values():
            task.runner.pace.end()
        self._running.clear()
        self._absences.clear()
        self.wake()

    def close(self) -> None:
        """Stop the workers; may be called twice."""
        for pool in self.pools:
            pool.close()

    def decide_on_absent(self) -> None:
        """Let jobs wait whose file is gone, or offline, as is known by now; others are struck."""
        due = self._absences.due()
        for absence in due:
            # Forgotten one by one: should this fail, the others' turn comes.
            self._absences.decided(absence)
            if absence.is_over():
                self._jobs.strike(absence.job, absence.reason)
            else:
                self._jobs.release(absence.job)
        if due:
            self.wake()

    def _release(self, number: int) -> None:
        task = self._running[number]
        for job in task.jobs.values():
            self._jobs.release(job)
            task.runner.forget(job)
        self._end(number)
        task.runner.exhausted = False

    def _end(self, number: int) -> None:
        self._running.pop(number).runner.pace.end()

    def _settle(self, outcome: Outcome) -> None:
        # Forgotten only once its outcome is saved: a full disk must not lose track of it.
        assert isinstance(outcome.key, int)
        number = outcome.key
        task = self._running[number]
        match outcome:
            case Part(value=PhotoAnswer() as answer):
                self._take(task, answer)
                return
            case Done(value=None):
                self._strike_all(task, "the captioner left it out")
            case Done(value=value):
                (job,) = task.jobs.values()
                self._saved(task, job, value)
            case Left():
                self._release(number)
                return
            case Refused(error=error):
                self._refused(number, task, error)
                return
            case Broken(trace=trace):
                self._log_fault(task, trace)
                reason = f"a fault in photosearch: {trace.strip().splitlines()[-1]}"
                self._blame(task, reason)
            case Died(reason=reason):
                self._strike_all(task, reason)
        self._end(number)

    def _take(self, task: _Task, answer: PhotoAnswer) -> None:
        if answer.notice:
            self._notices[task.runner.kind.model] = answer.notice
        job = task.jobs.get(answer.key)
        if job is None:
            return
        if answer.error is None:
            self._saved(task, job, answer)
            return
        # What was said of its other views counts.
        task.runner.save(job, replace(answer, finished=False, error=None))
        self._failed(task, job, answer.error)
        del task.jobs[job.id]

    def _saved(self, task: _Task, job: Job, answer: object) -> None:
        if task.runner.save(job, answer):
            task.jobs.pop(job.id, None)
            self._absences.forget(job)
            self.wake(after=job.stage)

    def _refused(self, number: int, task: _Task, error: PhotosearchError) -> None:
        """See to a whole task that was refused."""
        pool = task.runner.pool
        if isinstance(error, StaleCaptionsError):
            _log.warning("%s: %s", task.runner.kind.model, error)
            self._captions.withdraw(error.suspects)
            if task.runner.health.is_hopeless(error.said):
                self._break(pool, f"{task.runner.kind.model} can't be used: {error}.", _REVIVE_S)
            for other in pool.cancel():
                assert isinstance(other, int)
                self._release(other)
            self._release(number)
            self.wake()
        elif isinstance(error, (ModelError, CaptionerOfflineError)):
            wait_s = _REVIVE_S
            if isinstance(error, CaptionerOfflineError):
                # Less and less often: trying writes, and a disk may want to sleep.
                tries = task.runner.health.unreachable()
                wait_s = min(_REVIVE_S, _REACH_AGAIN_S * 2.0 ** min(tries - 1, 10))
            self._break(pool, str(error), wait_s)
            self._release(number)
        elif isinstance(error, UnavailableError):
            # The disk is full, say: not this photo's fault.
            raise error
        else:
            jobs = list(task.jobs.values())
            if len(jobs) == 1:
                self._failed(task, jobs[0], error)
            else:
                self._strike_all(task, str(error))
            self._end(number)

    def _failed(self, task: _Task, job: Job, error: PhotosearchError) -> None:
        if isinstance(error, FileUnreachableError):
            self._absences.note(job, error.reason)
            self._on_unreachable(job.path)
        elif isinstance(error, DecodeError):
            self._fail(job, error.reason)
        else:
            self._fail(job, str(error))
            self._look_at_health(task, [job], str(error))
        task.runner.forget(job)

    def _fail(self, job: Job, reason: str) -> None:
        with self._database.transaction():
            self._jobs.fail(job, reason)
            if job.stage is Stage.SCAN:
                self._photos.record_unreadable(job)

    def _blame(self, task: _Task, reason: str) -> None:
        """Fail a task's only job; of several, each is tried alone."""
        if len(task.jobs) > 1:
            self._strike_all(task, reason)
            return
        for job in task.jobs.values():
            self._fail(job, reason)
            self._look_at_health(task, [job], reason)
            task.runner.forget(job)

    def _strike_all(self, task: _Task, reason: str) -> None:
        for job in task.jobs.values():
            with self._database.transaction():
                if self._jobs.strike(job, reason) is JobState.WAITING:
                    task.runner.exhausted = False
                elif job.stage is Stage.SCAN:
                    self._photos.record_unreadable(job)
            task.runner.forget(job)
        self._look_at_health(task, list(task.jobs.values()), reason)

    def _look_at_health(self, task: _Task, jobs: Sequence[Job], reason: str) -> None:
        """Stop a captioner that fails on every photo, with one message instead of thousands."""
        if not isinstance(task.runner, CaptionRunner) or not jobs:
            return
        innocent = task.runner.health.failed([job.id for job in jobs])
        if innocent:
            self._jobs.absolve(innocent)
            self.wake()
            self._break(
                task.runner.pool,
                f"{task.runner.kind.model} failed on every one of the last photos, at last "
                f"because {reason.rstrip('.')}. They wait until it works again.",
                _REVIVE_S,
            )

    def _break(self, pool: WorkerPool, reason: str, seconds: float) -> None:
        pool.broken = reason
        self._revive_at_s[id(pool)] = time.monotonic() + seconds

    def _revive_in_time(self) -> None:
        now = time.monotonic()
        for pool in self.pools:
            if not pool.broken:
                self._revive_at_s.pop(id(pool), None)
            elif now > self._revive_at_s.setdefault(id(pool), now + _REVIVE_S):
                pool.revive()

    def _close_idle_pools(self) -> None:
        # Models take memory that nobody needs while there is nothing to do.
        now = time.monotonic()
        for pool in self.pools:
            if pool.busy or not pool.pids:
                self._idle_since_s.pop(id(pool), None)
            elif now - self._idle_since_s.setdefault(id(pool), now) > _IDLE_POOL_S:
                pool.close()

    @staticmethod
    def _log_fault(task: _Task, trace: str) -> None:
        for job in task.jobs.values():
            _log.error("%s %s\n%s", job.stage, display_path(job.path), trace)
