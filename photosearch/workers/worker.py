"""The child's side of a worker: one process that turns tasks into answers until it is told to stop.

Whatever can crash, leak or hang in native code runs here, never in the service.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from photosearch.errors import CaptionError, PhotosearchError

Handler = Callable[[Any], Any]
"""What a worker does with a task. Tasks and answers are pickled."""

READY = "ready"
DONE = "done"
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
    try:
        handler = make_handler()
    except PhotosearchError as error:
        connection.send((REFUSED, error))
        return
    except Exception:
        connection.send((BUG, traceback.format_exc()))
        return
    connection.send((READY, None))
    while True:
        try:
            task = connection.recv()
        except EOFError:
            return
        connection.send(_answer(handler, task))


def _answer(handler: Handler, task: Any) -> tuple[str, Any]:
    try:
        return DONE, handler(task)
    except PhotosearchError as error:
        return REFUSED, error
    except MemoryError:
        return REFUSED, CaptionError("it takes more memory than a worker may have")
    except Exception:
        return BUG, traceback.format_exc()


def _print_to(log: Path | None) -> None:
    # Native code writes to the file descriptors themselves, past sys.stdout.
    target = os.open(log or os.devnull, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.dup2(target, 1)
    os.dup2(target, 2)
    os.close(target)


def _die_with_parent() -> None:
    # A killed service must not leave a model of gigabytes at work. Elsewhere than on Linux the
    # worker ends when it next reads the closed pipe.
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
