"""Hints of changes from the operating system. The only door to watchdog.

Hints may be late, doubled or missing: the queue of the system overflows, watches run out, network
drives tell nothing. The scanner is the truth, and `overflowed` and `problem` say when to ask it.
"""

from __future__ import annotations

import ctypes
import errno
import logging
import os
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil
from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver, ObservedWatch

from photosearch.folders.scanner import is_candidate, is_excluded_below

MAX_HINTS = 10_000
"""Above this many changed paths, walking the folder costs less than looking at each."""

# Without the events of reading, or every photo that we open would be a hint.
_EVENTS: list[type[FileSystemEvent]] = [
    FileCreatedEvent,
    FileModifiedEvent,
    FileClosedEvent,
    FileMovedEvent,
    FileDeletedEvent,
    DirCreatedEvent,
    DirMovedEvent,
    DirDeletedEvent,
]
_NETWORK_FILE_SYSTEMS = frozenset(
    {"nfs", "nfs4", "cifs", "smb", "smb2", "smb3", "smbfs", "afs", "afpfs", "ncpfs", "webdav"}
    | {"davfs", "9p", "ceph", "glusterfs", "lustre"}
    | {"fuse.sshfs", "fuse.davfs", "fuse.rclone", "fuse.gvfsd-fuse", "fuse.glusterfs", "fuse.s3fs"}
)
_WATCH_LIMIT = "the system's limit for watched folders is reached (fs.inotify.max_user_watches)"
_IN_DELETE_SELF = 0x400
_OVERFLOW_LOGGER = "watchdog.observers.inotify_c"


@dataclass(slots=True)
class _Watched:
    """A folder under watch. `real` has no links in it, for watches do not follow them."""

    real: Path
    identity: tuple[int, int]
    watch: ObservedWatch
    drive_problem: str
    limit_reached: bool = False


class Watcher:
    """Collects hints for several folders on watchdog's threads, to be drained by one thread.

    Hidden and system folders give no hints, though watchdog spends watches on them: it can't be
    told which subfolders to leave out. Folders behind symbolic links inside a watched folder are
    not watched; the scanner finds changes there.
    """

    def __init__(self, *, max_hints: int = MAX_HINTS) -> None:
        self._max_hints = max_hints
        self._observer: BaseObserver | None = None
        self._watched: dict[Path, _Watched] = {}
        self._problems: dict[Path, str] = {}
        self._lock = threading.Lock()
        self._hinted = threading.Event()
        self._hints: dict[Path, set[Path]] = {}
        self._overflowed: set[Path] = set()
        self._log_listener = _OverflowListener(self._on_lost_events)
        logging.getLogger(_OVERFLOW_LOGGER).addHandler(self._log_listener)

    def add(self, folder: Path) -> str:
        """Watch `folder` and all below; return the `problem`, if any, without raising.

        On a folder that is watched already it only repairs what is broken, so call it again
        after a problem. What changed before it returns is for the scanner to find.
        """
        if folder in self._watched:
            if not self._loss(folder) and not self._watched[folder].limit_reached:
                return self.problem(folder)
            self.remove(folder)
        try:
            status = folder.stat()
            real = folder.resolve()
            watch = self._running_observer().schedule(
                _Handler(self, folder, real), str(real), recursive=True, event_filter=_EVENTS
            )
        except OSError as error:
            self._problems[folder] = _reason(error)
            return self._problems[folder]
        self._problems.pop(folder, None)
        watched = _Watched(real, (status.st_dev, status.st_ino), watch, _drive_problem(real))
        with self._lock:
            self._watched[folder] = watched
        return self.problem(folder)

    def remove(self, folder: Path) -> None:
        """Stop watching `folder` and drop its hints; nothing happens if it is not watched."""
        self._problems.pop(folder, None)
        with self._lock:
            watched = self._watched.pop(folder, None)
        if watched is not None and self._observer is not None:
            self._observer.unschedule(watched.watch)
        with self._lock:
            self._hints.pop(folder, None)
            self._overflowed.discard(folder)

    def problem(self, folder: Path) -> str:
        """Return why changes in `folder` may go unnoticed, so that it must be polled; or nothing.

        Cheap; call it now and then, for drives go and limits are reached later, too.
        """
        watched = self._watched.get(folder)
        if watched is None:
            return self._problems.get(folder, "it is not watched")
        if loss := self._loss(folder):
            return loss
        watched.limit_reached = watched.limit_reached or _is_watch_limit_reached(watched.real)
        if watched.limit_reached:
            return _WATCH_LIMIT
        return watched.drive_problem

    def wait(self, timeout_s: float) -> bool:
        """Wait until there is something to drain; return whether there is."""
        return self._hinted.wait(timeout_s)

    def drain(self) -> set[Path]:
        """Return the files and folders that may have changed since the last call."""
        with self._lock:
            self._hinted.clear()
            hints = set[Path]().union(*self._hints.values())
            self._hints.clear()
            return hints

    def overflowed(self) -> set[Path]:
        """Return the folders for which hints were lost since the last call: scan them whole."""
        with self._lock:
            overflowed, self._overflowed = self._overflowed, set()
            return overflowed

    def close(self, timeout_s: float = 5.0) -> None:
        """Stop all watching within about `timeout_s`; may be called twice."""
        logging.getLogger(_OVERFLOW_LOGGER).removeHandler(self._log_listener)
        observer, self._observer = self._observer, None
        with self._lock:
            self._watched.clear()
        if observer is not None:
            observer.stop()
            observer.join(timeout_s)

    def __enter__(self) -> Watcher:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def hint(self, folder: Path, path: Path) -> None:
        """Note that `path` in the watched `folder` may have changed; from any thread."""
        with self._lock:
            hints = self._hints.setdefault(folder, set())
            if folder not in self._overflowed:
                hints.add(path)
                if len(hints) > self._max_hints:
                    self._overflowed.add(folder)
                    hints.clear()
            self._hinted.set()

    def _on_lost_events(self) -> None:
        with self._lock:
            self._overflowed.update(self._watched)
            self._hinted.set()

    def _running_observer(self) -> BaseObserver:
        if self._observer is None:
            observer = Observer()
            observer.start()
            self._observer = observer
        return self._observer

    def _loss(self, folder: Path) -> str:
        """Return why the watch on `folder` sees nothing any more, or nothing."""
        watched = self._watched[folder]
        try:
            status = folder.stat()
        except OSError as error:
            return _reason(error)
        if (status.st_dev, status.st_ino) != watched.identity:
            return "another folder has taken its place"
        emitters = self._observer.emitters if self._observer else set()
        if not any(e.watch == watched.watch and e.is_alive() for e in list(emitters)):
            return "the system has stopped watching it"
        return ""


class _Handler(FileSystemEventHandler):
    """Turns watchdog's events in one folder into hints; runs on the observer's thread."""

    def __init__(self, watcher: Watcher, folder: Path, real: Path) -> None:
        self._watcher = watcher
        self._folder = folder
        self._real = real

    def dispatch(self, event: FileSystemEvent) -> None:
        for raw in (event.src_path, event.dest_path):
            path = Path(os.fsdecode(raw))
            if not raw or not path.is_relative_to(self._real):
                continue
            if not event.is_directory and not is_candidate(path.name):
                continue
            path = self._folder / path.relative_to(self._real)
            if not is_excluded_below(self._folder, path):
                self._watcher.hint(self._folder, path)


class _OverflowListener(logging.Handler):
    """Hears of lost events where watchdog tells of them: in its log, and nowhere else."""

    def __init__(self, on_overflow: Callable[[], None]) -> None:
        super().__init__(logging.WARNING)
        self._on_overflow = on_overflow

    def emit(self, record: logging.LogRecord) -> None:
        if "overflow" in record.getMessage():
            self._on_overflow()


def _drive_problem(real: Path) -> str:
    mounts = (
        part for part in psutil.disk_partitions(all=True) if real.is_relative_to(part.mountpoint)
    )
    mount = max(mounts, key=lambda part: len(part.mountpoint), default=None)
    if mount is None or mount.fstype.lower() not in _NETWORK_FILE_SYSTEMS:
        return ""
    return f"on network drives ({mount.fstype}) the system does not tell of all changes"


def _is_watch_limit_reached(folder: Path) -> bool:
    """Try one more watch: watchdog keeps silent when there are none left for subfolders."""
    if sys.platform != "linux":
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = libc.inotify_init1(os.O_CLOEXEC)
    if descriptor < 0:
        return False
    try:
        watch = libc.inotify_add_watch(descriptor, os.fsencode(folder), _IN_DELETE_SELF)
        return watch < 0 and ctypes.get_errno() == errno.ENOSPC
    finally:
        os.close(descriptor)


def _reason(error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        return _WATCH_LIMIT
    if error.errno == errno.EMFILE:
        return "the system's limit for watching programs is reached (fs.inotify.max_user_instances)"
    return f"it can't be watched ({error.strerror or error})"
