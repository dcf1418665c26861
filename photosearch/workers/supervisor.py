"""The parent's side of workers: starts them, gives them tasks, and survives whatever they do."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import pickle
import signal
import threading
import time
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass
from multiprocessing import connection as mp_connection
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import psutil

from photosearch.errors import PhotosearchError
from photosearch.workers.worker import (
    BUG,
    DONE,
    LEAVE,
    LEFT,
    PART,
    READY,
    REFUSED,
    TASK,
    Handler,
    run_worker,
)

_log = logging.getLogger(__name__)

_MEGABYTE = 1 << 20
_LOOK_EVERY_S = 0.2
_JOIN_S = 5.0
_LEAVE_S = 0.5
# Nobody looked for so long: the computer slept, or this process was kept from running.
_SLEPT_S = 30.0
_FAILED_STARTS = 3
# There is a worker a core: where NumPy's matrices took every core, too, two workers on two cores
# were slower than one.
_THREAD_LIMITS = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
_ONE_THREAD = dict.fromkeys(_THREAD_LIMITS, "1")


@dataclass(frozen=True, slots=True)
class WorkerLimits:
    """What a worker may take. Times in seconds, memory in MiB of resident size.

    Above `recycle_mb`, or `growth_mb` above what it took after its first task, or after
    `max_tasks`, a worker is replaced once it has answered; above `memory_mb` it is killed at once.
    """

    start_s: float = 120.0
    memory_mb: int = 3000
    recycle_mb: int = 1500
    growth_mb: int | None = None
    max_tasks: int = 2000
    enforce_memory: bool = True
    """Have the system refuse memory over the cap; off for models, which map their files."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the answer to a task that goes on."""

    key: Hashable
    value: Any


@dataclass(frozen=True, slots=True)
class Left:
    """A task that was left when `leave` asked for it."""

    key: Hashable


@dataclass(frozen=True, slots=True)
class Done:
    """A task's answer, or its end if the answer came in parts."""

    key: Hashable
    value: Any


@dataclass(frozen=True, slots=True)
class Refused:
    """A task that the handler refused for a reason that the user can understand."""

    key: Hashable
    error: PhotosearchError


@dataclass(frozen=True, slots=True)
class Broken:
    """A task that hit a bug; `trace` is its traceback."""

    key: Hashable
    trace: str


@dataclass(frozen=True, slots=True)
class Died:
    """A task whose worker crashed, hung or took too much memory."""

    key: Hashable
    reason: str


Outcome = Part | Left | Done | Refused | Broken | Died


class WorkerPool:
    """A few like worker processes, each with at most one task. Not safe for several threads.

    Processes start with the first task they get and are replaced when they die. A pool whose
    processes die before they are ready, three times in a row, or refuse to start, is `broken`:
    the reason is kept, its tasks come back by `abandoned`, and no more are taken.
    """

    def __init__(
        self,
        name: str,
        make_handler: Callable[[], Handler],
        *,
        size: int = 1,
        limits: WorkerLimits | None = None,
        log: Path | None = None,
    ) -> None:
        limits = limits or WorkerLimits()
        self._workers = [_Worker(f"{name}-{n + 1}", make_handler, limits, log) for n in range(size)]
        self._failed_starts = 0
        self._abandoned: list[Hashable] = []
        self.broken = ""
        """Why the pool takes no more tasks, a sentence; empty while it does."""

    @property
    def idle(self) -> int:
        """How many more tasks the pool takes now."""
        return 0 if self.broken else sum(worker.key is None for worker in self._workers)

    @property
    def busy(self) -> int:
        """How many tasks are being worked on."""
        return sum(worker.key is not None for worker in self._workers)

    @property
    def pids(self) -> list[int]:
        """The ids of the live worker processes."""
        return [pid for worker in self._workers if (pid := worker.pid) is not None]

    def submit(self, key: Hashable, task: Any, limit_s: float = 60.0) -> None:
        """Give a task to an idle worker; its outcome comes back under `key`.

        A worker that takes longer than `limit_s` seconds for it, or for a part of its answer, is
        killed.
        """
        next(worker for worker in self._workers if worker.key is None).submit(key, task, limit_s)

    def wait_handles(self) -> list[Connection]:
        """Return what becomes readable when an outcome may be there."""
        return [w.connection for w in self._workers if w.connection is not None]

    def outcomes(self) -> Iterator[Outcome]:
        """Yield what has come in; enforces times and memory as it looks. Never blocks."""
        for worker in self._workers:
            while (outcome := worker.poll()) is not None:
                if isinstance(outcome, _StartFailed):
                    self._failed_starts += 1
                    if outcome.final or self._failed_starts >= _FAILED_STARTS:
                        self.broken = outcome.reason
                    self._abandoned.append(outcome.key)
                else:
                    if not isinstance(outcome, Left):
                        self._failed_starts = 0
                    yield outcome

    def abandoned(self) -> list[Hashable]:
        """Return the keys of tasks that no worker could be started for, each once."""
        keys, self._abandoned = self._abandoned, []
        return keys

    def revive(self) -> None:
        """Let a broken pool try again."""
        self.broken = ""
        self._failed_starts = 0

    def leave(self) -> None:
        """Ask the workers to leave their tasks, which come back as Left, by force if need be.

        A worker that does it by itself keeps its model loaded.
        """
        for worker in self._workers:
            worker.leave()

    def cancel(self) -> list[Hashable]:
        """Kill the workers; return the keys of all tasks, abandoned ones too.

        The pool stays usable.
        """
        keys = [worker.key for worker in self._workers if worker.key is not None]
        keys += self.abandoned()
        for worker in self._workers:
            worker.stop()
        return keys

    def close(self) -> None:
        """Stop all workers; may be called twice."""
        self.cancel()


@dataclass(frozen=True, slots=True)
class _StartFailed:
    key: Hashable
    reason: str
    final: bool


class _Worker:
    """One process at a time; owns it, its pipe and its task."""

    def __init__(
        self,
        name: str,
        make_handler: Callable[[], Handler],
        limits: WorkerLimits,
        log: Path | None,
    ) -> None:
        self._name = name
        self._log_path = log
        self._make_handler = make_handler
        self._limits = limits
        self._process: Any = None
        # Kept apart, for threads that ask while the process is being replaced.
        self._pid: int | None = None
        self._usage: psutil.Process | None = None
        self._ready = False
        self._limit_s = 0.0
        self._tasks_done = 0
        self._first_mb = 0
        self._number = 0
        self._since = 0.0
        self._looked = 0.0
        self._leave_at: float | None = None
        self._start_error = ""
        self.connection: Connection | None = None
        self.key: Hashable | None = None

    @property
    def pid(self) -> int | None:
        return self._pid

    def submit(self, key: Hashable, task: Any, limit_s: float) -> None:
        self._limit_s = limit_s
        if self._process is not None and not self._process.is_alive():
            # It died between two tasks, so neither of them is to blame.
            self.stop()
        self.key = key
        self._number += 1
        self._since = self._looked = time.monotonic()
        if self._process is None:
            try:
                self._start()
            except OSError as error:
                # No memory, or too many processes or files: poll() tells.
                self._start_error = f"no process can be started: {error.strerror or error}"
                return
        assert self.connection is not None
        # A dead child is noticed at the next poll. Tasks are far smaller than a pipe's buffer,
        # so that sending to a child that is still starting does not block.
        with contextlib.suppress(OSError):
            self.connection.send((TASK, self._number, task))

    def leave(self) -> None:
        """Have the task left; nothing happens where there is none."""
        if self.key is None or self._leave_at is not None or self.connection is None:
            return
        # One that is still loading its model hears nothing.
        self._leave_at = time.monotonic() + (_LEAVE_S if self._ready else 0)
        with contextlib.suppress(OSError):
            self.connection.send((LEAVE, self._number, None))

    def poll(self) -> Outcome | _StartFailed | None:
        if self.connection is None:
            return self._start_failed(self._start_error, final=False)
        try:
            while self.connection.poll():
                kind, number, value = self.connection.recv()
                if kind == READY:
                    self._ready = True
                    self._since = time.monotonic()
                elif kind == PART and number == self._number:
                    self._since = time.monotonic()
                    return Part(self.key, value)
                else:
                    return self._answered(kind, value)
        except (EOFError, OSError, pickle.UnpicklingError, ValueError, TypeError):
            return self._died(f"the worker {self._exit_reason()}")
        return self._look()

    def stop(self) -> None:
        """Kill the process, join it, and forget its task."""
        if self._process is not None:
            if self.connection is not None:
                self.connection.close()
            self._process.kill()
            self._process.join(_JOIN_S)
            with contextlib.suppress(ValueError):
                self._process.close()
        self._process = self.connection = self._usage = self.key = self._leave_at = None
        self._pid = None
        self._ready = False
        self._tasks_done = self._first_mb = 0

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        parent_end, child_end = context.Pipe()
        limit = self._limits.memory_mb * _MEGABYTE if self._limits.enforce_memory else None
        process = context.Process(
            target=run_worker,
            args=(child_end, self._make_handler, limit, self._log_path),
            name=f"photosearch-{self._name}",
            daemon=True,
        )
        # Children inherit this while they start; Ctrl-C in the terminal is the parent's alone.
        try:
            with _ctrl_c_ignored(), _environment(_ONE_THREAD):
                process.start()
        except OSError:
            parent_end.close()
            raise
        finally:
            child_end.close()
        self._process = process
        self._pid = process.pid
        self.connection = parent_end
        with contextlib.suppress(psutil.Error):
            self._usage = psutil.Process(self._process.pid)

    def _answered(self, kind: str, value: Any) -> Outcome | _StartFailed | None:
        if not self._ready:
            reason = str(value) if kind == REFUSED else "its model could not be loaded"
            if kind == BUG:
                _log.error("%s failed to start:\n%s", self._name, value)
            return self._start_failed(reason, final=kind == REFUSED)
        key, self.key = self.key, None
        self._leave_at = None
        self._tasks_done += 1
        if self._is_worn():
            self.stop()
        if kind == DONE:
            return Done(key, value)
        if kind == LEFT:
            return Left(key)
        if kind == REFUSED:
            return Refused(key, value)
        return Broken(key, str(value))

    def _is_worn(self) -> bool:
        """Return whether the process should be replaced before its next task."""
        memory_mb = self._memory_mb()
        if not self._first_mb:
            self._first_mb = memory_mb
        limits = self._limits
        worn = memory_mb > limits.recycle_mb or self._tasks_done >= limits.max_tasks
        if limits.growth_mb is not None:
            worn = worn or memory_mb > self._first_mb + limits.growth_mb
        if worn:
            _log.info("%s is replaced: %d tasks, %d MB", self._name, self._tasks_done, memory_mb)
        return worn

    def _look(self) -> Outcome | _StartFailed | None:
        now = time.monotonic()
        if self._leave_at is not None and now >= self._leave_at:
            key = self.key
            self.stop()
            return None if key is None else Left(key)
        if now - self._looked < _LOOK_EVERY_S:
            return None
        if now - self._looked > _SLEPT_S:
            # Some clocks go on while a computer sleeps, and its workers don't.
            self._since += now - self._looked
        self._looked = now
        limit_s = self._limit_s if self._ready else self._limits.start_s
        if self.key is not None and now - self._since > limit_s:
            return self._died(f"took longer than {limit_s:.0f} s")
        if self._memory_mb() > self._limits.memory_mb:
            return self._died(f"took more than {self._limits.memory_mb} MB of memory")
        # A process that is gone has closed its pipe, which poll() notices.
        return None

    def _died(self, reason: str) -> Outcome | _StartFailed | None:
        _log.warning("%s (process %s): %s", self._name, self.pid, reason)
        if not self._ready and self.key is not None:
            return self._start_failed(reason, final=False)
        key = self.key
        self.stop()
        return None if key is None else Died(key, reason)

    def _start_failed(self, reason: str, *, final: bool) -> _StartFailed | None:
        key = self.key
        self.stop()
        return None if key is None else _StartFailed(key, reason, final)

    def _memory_mb(self) -> int:
        if self._usage is None:
            return 0
        try:
            return int(self._usage.memory_info().rss // _MEGABYTE)
        except psutil.Error:
            return 0

    def _exit_reason(self) -> str:
        self._process.join(_JOIN_S)
        code = self._process.exitcode
        if code is None:
            return "sent something that makes no sense"
        if code < 0:
            with contextlib.suppress(ValueError):
                return f"crashed ({signal.Signals(-code).name})"
        return f"ended unexpectedly (exit code {code})"


@contextlib.contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Let processes that are started here have `values` in their environment."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _ctrl_c_ignored() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # Only the main thread may change it.
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def wait_for(pools: list[WorkerPool], timeout_s: float) -> None:
    """Return as soon as one of the pools may have an outcome, at the latest after `timeout_s`."""
    handles: list[Any] = [handle for pool in pools for handle in pool.wait_handles()]
    if handles:
        mp_connection.wait(handles, min(timeout_s, _LOOK_EVERY_S))
    else:
        time.sleep(timeout_s)
