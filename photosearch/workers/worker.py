"""The child's side of a worker: one process that turns tasks into answers until it is told to stop.

Whatever can crash, leak or hang in native code runs here, never in the service.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Generator, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Event
from typing import Any

from photosearch.errors import CaptionError, PhotosearchError

Handler = Callable[[Any, Event], Any]
"""What a worker does with a task. Tasks and answers are pickled.

It may be a generator, whose values are sent as they come. The event is set when nobody wants the
rest any more: it should end soon, and is killed if it does not.
"""

TASK = "task"
LEAVE = "leave"

READY = "ready"
PART = "part"
DONE = "done"
LEFT = "left"
REFUSED = "refused"
BUG = "bug"

_NICENESS = 10
_PR_SET_PDEATHSIG = 1


def run_worker(
    connection: Connection,
    make_handler: Callable[[], Handler],
    memory_limit: int | None,
    log: Path | None,
) -> None:
    """Answer tasks from `connection` with the handler that `make_handler` returns.

    `memory_limit` in bytes bounds what the process may allocate where the system enforces it.
    What native code prints goes to the file `log`.
    """
    _print_to(log)
    # Ctrl-C goes to the whole process group; the parent decides what becomes of its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _die_with_parent()
    _be_modest(memory_limit)
    inbox = _Inbox(connection)
    try:
        handler = make_handler()
    except PhotosearchError as error:
        connection.send((REFUSED, 0, error))
        return
    except Exception:
        connection.send((BUG, 0, traceback.format_exc()))
        return
    connection.send((READY, 0, None))
    while True:
        number, task, left = inbox.next_task()
        for kind, value in _answers(handler, task, left):
            connection.send((kind, number, value))


class _Inbox:
    """Reads the pipe in a thread of its own: a wish to leave is heard while a task is at work."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._tasks: queue.SimpleQueue[tuple[int, Any, Event]] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True, name="inbox").start()

    def next_task(self) -> tuple[int, Any, Event]:
        """Wait for a task and return its number, itself, and the event that ends it."""
        return self._tasks.get()

    def _read(self) -> None:
        left: dict[int, Event] = {}
        while True:
            try:
                kind, number, task = self._connection.recv()
            except (EOFError, OSError):
                # Nobody is there any more to whom an answer would matter.
                os._exit(0)
            if kind == TASK:
                left = {number: Event()}
                self._tasks.put((number, task, left[number]))
            elif number in left:
                left[number].set()


def _answers(handler: Handler, task: Any, left: Event) -> Iterator[tuple[str, Any]]:
    try:
        answer = handler(task, left)
        if isinstance(answer, Generator):
            for part in answer:
                yield PART, part
            answer = None
        yield (LEFT if left.is_set() else DONE), answer
    except PhotosearchError as error:
        yield REFUSED, error
    except MemoryError:
        yield REFUSED, CaptionError("it takes more memory than a worker may have")
    except Exception:
        yield BUG, traceback.format_exc()


def _print_to(log: Path | None) -> None:
    # Native code writes to the file descriptors themselves, past sys.stdout.
    target = os.open(log or os.devnull, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.dup2(target, 1)
    os.dup2(target, 2)
    os.close(target)


def _die_with_parent() -> None:
    # A killed service must not leave a model of gigabytes at work, not even while native code
    # keeps Python from noticing the closed pipe.
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _be_modest(memory_limit: int | None) -> None:
    with contextlib.suppress(OSError, AttributeError):
        os.nice(_NICENESS)
    if memory_limit is not None and sys.platform == "linux":
        import resource  # noqa: PLC0415 - there is none on Windows

        # RLIMIT_DATA counts what is allocated, not files that are mapped, as models are.
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_DATA, (memory_limit, memory_limit))
