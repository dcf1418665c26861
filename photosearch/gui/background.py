"""The only bridge between the window and threads: work goes out, answers come back in order."""

from __future__ import annotations

import itertools
import logging
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from PySide6.QtCore import QObject, Qt, Signal, Slot

from photosearch.errors import PhotosearchError

_log = logging.getLogger(__name__)


class Lane(Enum):
    """Who waits behind whom: the number of threads, and whether the newest goes first."""

    QUERY = (2, False)
    """Milliseconds: searches, words, details, status."""
    PICTURES = (2, True)
    """Thumbnails; what was asked for last is what the user looks at."""
    PREVIEW = (1, True)
    """Screen-size photos: up to seconds each."""
    DESCRIPTIONS = (1, True)
    """What a model has to read first: seconds, longer while it is loaded."""
    CHORE = (1, False)
    """Whatever may take long and must happen: adding folders, starting the service, clouds."""


@dataclass
class _Work:
    run: Callable[[], Any]
    on_done: Callable[[Any], None] | None
    on_error: Callable[[PhotosearchError], None] | None
    channel: str | None
    generation: int
    answer: Any = None
    error: BaseException | None = None


class Background(QObject):
    """Runs callables in threads and calls back on the thread that made it.

    Work submitted to a channel replaces what that channel waited for: an answer that is late is
    dropped, work that has not begun is skipped.
    """

    failed = Signal(str)
    """A sentence for the user, of work whose submitter gave no `on_error`."""
    _finished = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._generations: dict[str, int] = {}
        self._closed = False
        self._numbers = itertools.count()
        self._queues: dict[Lane, queue.PriorityQueue[tuple[int, _Work | None]]] = {}
        self._threads: list[threading.Thread] = []
        self._finished.connect(self._deliver, Qt.ConnectionType.QueuedConnection)
        for lane in Lane:
            self._queues[lane] = queue.PriorityQueue()
            for number in range(lane.value[0]):
                thread = threading.Thread(
                    target=self._work_off,
                    args=(self._queues[lane],),
                    name=f"gui-{lane.name.lower()}-{number}",
                    daemon=True,
                )
                self._threads.append(thread)
                thread.start()

    def submit(
        self,
        run: Callable[[], Any],
        on_done: Callable[[Any], None] | None = None,
        *,
        channel: str | None = None,
        lane: Lane = Lane.QUERY,
        on_error: Callable[[PhotosearchError], None] | None = None,
    ) -> None:
        """Call `run` in a thread, then `on_done` with its answer here."""
        if self._closed:
            return
        generation = self.cancel(channel) if channel is not None else 0
        number = next(self._numbers)
        work = _Work(run, on_done, on_error, channel, generation)
        self._queues[lane].put((-number if lane.value[1] else number, work))

    def cancel(self, channel: str) -> int:
        """Forget what `channel` waits for; return its new generation."""
        generation = self._generations.get(channel, 0) + 1
        self._generations[channel] = generation
        return generation

    def close(self, timeout_s: float = 5.0) -> bool:
        """Drop waiting work and wait for running work; return whether all threads ended in time."""
        self._closed = True
        for lane in Lane:
            waiting = self._queues[lane]
            with waiting.mutex:
                waiting.queue.clear()
            for _ in range(lane.value[0]):
                waiting.put((0, None))
        deadline = time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _is_stale(self, work: _Work) -> bool:
        return work.channel is not None and self._generations[work.channel] != work.generation

    def _work_off(self, waiting: queue.PriorityQueue[tuple[int, _Work | None]]) -> None:
        while (work := waiting.get()[1]) is not None:
            if self._closed or self._is_stale(work):
                continue
            try:
                work.answer = work.run()
            except BaseException as error:  # handed to the main thread, which raises it
                work.error = error
            if not self._closed:
                self._finished.emit(work)

    @Slot(object)
    def _deliver(self, work: _Work) -> None:
        if self._closed or self._is_stale(work):
            return
        if work.error is None:
            if work.on_done is not None:
                work.on_done(work.answer)
        elif isinstance(work.error, PhotosearchError):
            if work.on_error is not None:
                work.on_error(work.error)
            else:
                _log.warning("%s", work.error)
                self.failed.emit(str(work.error))
        else:
            raise work.error
