"""Runs the indexer in this process, as a command does: with its progress, a log, and Ctrl-C."""

from __future__ import annotations

import logging
import logging.handlers
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click

from photosearch import console
from photosearch.domain import Stage, display_path
from photosearch.library import PhotoLibrary

_LOG_BYTES = 2 << 20


@dataclass(frozen=True)
class Ran:
    """How an indexing run ended: by a signal, or with nothing left to do, or neither in its time.

    `broken` says of each model that could not run why.
    """

    stopped: bool
    to_the_end: bool
    broken: tuple[str, ...]


def run_service(
    library: PhotoLibrary,
    *,
    stages: Sequence[Stage],
    watch: bool,
    minutes: float | None,
    wait_s: float = 0,
) -> Ran:
    """Run the indexer in this process, showing progress; wait for the lock for `wait_s`."""
    from photosearch.service import IndexService  # noqa: PLC0415 - search needs no watchdog

    _log_to(library.paths.log)
    stopped = False
    with IndexService(library.paths, stages=stages, watch=watch, wait_s=wait_s) as service:

        def stop(*_: object) -> None:
            nonlocal stopped
            stopped = True
            service.stop()

        started_s = time.monotonic()
        with _signals(stop), console.Progress(library.status, stages) as progress:
            service.run(minutes=minutes, on_tick=progress.update)
        in_time = minutes is None or time.monotonic() - started_s < minutes * 60
        for notice in service.notices:
            click.echo(f"Note: {notice}", err=True)
        return Ran(stopped, in_time and not stopped, tuple(service.broken))


@contextmanager
def _signals(stop: Callable[..., None]) -> Iterator[None]:
    numbers = [signal.SIGINT, signal.SIGTERM]
    before = [signal.signal(number, stop) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


class _LogFile(logging.handlers.RotatingFileHandler):
    def handleError(self, record: logging.LogRecord) -> None:
        """Lose the line: a full disk must neither end the work nor fill the terminal."""


def _log_to(file: Path) -> None:
    # The workers write to it, too, and could not start without.
    with console.writing(f"The log {display_path(file)}"):
        handler = _LogFile(
            file, maxBytes=_LOG_BYTES, backupCount=1, encoding="utf-8", errors="backslashreplace"
        )
    handler.setFormatter(logging.Formatter("%(asctime)s %(process)d %(levelname)s %(message)s"))
    logger = logging.getLogger("photosearch")
    for old in logger.handlers[:]:
        logger.removeHandler(old)
        old.close()
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
