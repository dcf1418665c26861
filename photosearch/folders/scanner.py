"""Walks a folder and decides what changed. The watcher only hints; this is the truth."""

# Paths are bytes here, as the system gives them: names need not be text, and 100,000 Path objects
# would take longer than the system calls.
# ruff: noqa: PTH116, PTH118

from __future__ import annotations

import errno
import os
import stat
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from photosearch.domain import FileChange, FileEvent, FoundFile, display_path
from photosearch.errors import FolderOfflineError
from photosearch.imaging.formats import PICTURE_SUFFIXES

BATCH_SIZE = 500
"""Entries looked at (not only pictures) after which a batch is handed out."""

# Other programs' copies, caches and rubbish; names that start with a dot are out anyway.
_SYSTEM_NAMES = frozenset(
    {
        "@eadir",  # Synology's thumbnails
        "#recycle",  # Synology's and QNAP's bin
        "@recycle",
        "#snapshot",
        "$recycle.bin",  # Windows' bin on any drive
        "recycler",
        "system volume information",
        "lost+found",
        "__macosx",  # resource forks of unpacked archives: ._photo.jpg, no pictures
        "node_modules",  # icons of programs in development, by the ten thousand
    }
)
_SYSTEM_SUFFIXES = (".lrdata",)  # Lightroom's previews

_SUFFIXES = frozenset(suffix.encode() for suffix in PICTURE_SUFFIXES)
_FLAGS_HIDE = sys.platform in ("win32", "darwin")
_WINDOWS_HIDDEN = 0x2 | 0x4  # FILE_ATTRIBUTE_HIDDEN | FILE_ATTRIBUTE_SYSTEM


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A folder or file that could not be looked at, and why."""

    path: Path
    reason: str


@dataclass(frozen=True, slots=True)
class ScanBatch:
    """A slice of a scan. `seen` counts the picture files in it, changed or not.

    `unsettled` files were changed a moment ago, so may still be written to; no event tells of them.
    """

    events: tuple[FileEvent, ...] = ()
    unreadable: tuple[Unreadable, ...] = ()
    unsettled: tuple[Path, ...] = ()
    seen: int = 0


def scan(
    folder: Path,
    known: Mapping[bytes, tuple[int, int]],
    *,
    below: Path | None = None,
    settle_s: float = 0.0,
) -> Iterator[ScanBatch]:
    """Compare `folder` with what is `known` of it; yield batches that each take milliseconds.

    `known` maps `os.fsencode(path)` to (size in bytes, mtime_ns) and is not to be changed while
    the scan runs. FOUND events tell of new and changed files; GONE events, in the last batches,
    of known files that are not there, but for those below what can't be read. `below` limits the
    scan to one folder or file inside `folder`, and `known` to what lies there. With `settle_s`,
    files changed within that many seconds are handed out as `unsettled` instead.

    Raises FolderOfflineError, at the first or the last step, if `folder` is missing, unreadable
    or suddenly empty: an unplugged drive or an empty mount point deletes nothing.
    """
    return _Scan(folder, known, below, settle_s).batches()


def reason_not_to_add(folder: Path) -> str:
    """Return why `folder` can't be scanned, in plain words, or nothing."""
    try:
        with os.scandir(folder):
            return ""
    except OSError as error:
        return _reason(error)


def is_candidate(name: str) -> bool:
    """Return whether a file of this name may be a picture that can be read."""
    return not is_excluded(name) and _has_picture_suffix(os.fsencode(name))


def is_excluded(name: str) -> bool:
    """Return whether a file or folder of this name is hidden, or the system's own."""
    lower = name.lower()
    return name.startswith(".") or lower in _SYSTEM_NAMES or lower.endswith(_SYSTEM_SUFFIXES)


def is_excluded_below(folder: Path, path: Path) -> bool:
    """Return whether `path` lies in, or is, an excluded part of `folder`."""
    return any(is_excluded(part) for part in path.relative_to(folder).parts)


@dataclass(slots=True)
class _Pending:
    """What the next batch will hold."""

    events: list[FileEvent] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)
    unsettled: list[Path] = field(default_factory=list)
    seen: int = 0
    looked_at: int = 0

    def taken(self) -> ScanBatch:
        batch = ScanBatch(
            tuple(self.events), tuple(self.unreadable), tuple(self.unsettled), self.seen
        )
        self.events, self.unreadable, self.unsettled = [], [], []
        self.seen = self.looked_at = 0
        return batch


class _Scan:
    def __init__(
        self,
        folder: Path,
        known: Mapping[bytes, tuple[int, int]],
        below: Path | None,
        settle_s: float,
    ) -> None:
        self._folder = folder
        self._root = os.fsencode(folder)
        self._known = known
        self._below = below or folder
        self._settle_ns = int(settle_s * 1e9)
        self._pending = _Pending()
        self._seen: set[bytes] = set()
        self._walked: set[tuple[int, int]] = set()
        self._links: list[bytes] = []
        self._unreadable: set[bytes] = set()

    def batches(self) -> Iterator[ScanBatch]:
        identity = self._check_online()
        start = os.fsencode(self._below)
        if not is_excluded_below(self._folder, self._below):
            yield from self._start(start)
        # Links come last: a folder that is also in the tree itself keeps its real path.
        while self._links:
            link = self._links.pop()
            if self._leads_elsewhere(link):
                yield from self._walk(link)
        # Offline, not deleted: the drive may have gone while it was walked.
        if self._check_online() != identity:
            raise FolderOfflineError(f"{display_path(self._folder)} was exchanged for another.")
        yield from self._gone(start)

    def _check_online(self) -> tuple[int, int]:
        """Return what identifies the root; raises FolderOfflineError."""
        try:
            status = os.stat(self._root)
            with os.scandir(self._root) as entries:
                is_empty = all(is_excluded(os.fsdecode(entry.name)) for entry in entries)
        except OSError as error:
            reason = _reason(error)
            raise FolderOfflineError(f"{display_path(self._folder)}: {reason}.") from error
        if is_empty and self._known:
            raise FolderOfflineError(
                f"{display_path(self._folder)} is empty, as if its drive were not connected."
            )
        return status.st_dev, status.st_ino

    def _start(self, start: bytes) -> Iterator[ScanBatch]:
        try:
            status = os.stat(start)
        except OSError as error:
            if not isinstance(error, FileNotFoundError | NotADirectoryError):
                self._report(start, error)
            return
        if stat.S_ISDIR(status.st_mode):
            yield from self._walk(start)
        elif _has_picture_suffix(start):
            self._look_at(start, status)

    def _walk(self, start: bytes) -> Iterator[ScanBatch]:
        stack = [start]
        pending = self._pending
        while stack:
            directory = stack.pop()
            try:
                status = os.stat(directory)
                identity = status.st_dev, status.st_ino
                if identity in self._walked or (directory != start and _is_hidden(status)):
                    continue
                self._walked.add(identity)
                pending.looked_at += 1
                with os.scandir(directory) as entries:
                    for entry in entries:
                        self._sort(entry, stack)
                        pending.looked_at += 1
                        if pending.looked_at >= BATCH_SIZE:
                            yield pending.taken()
            except FileNotFoundError:
                continue
            except OSError as error:
                self._report(directory, error)
        if pending.looked_at:
            yield pending.taken()

    def _sort(self, entry: os.DirEntry[bytes], stack: list[bytes]) -> None:
        name = entry.name
        if name.startswith(b"."):
            return
        if entry.is_dir(follow_symlinks=False):
            if not is_excluded(os.fsdecode(name)):
                stack.append(entry.path)
            return
        is_link = entry.is_symlink()
        if not is_link and not _has_picture_suffix(name):
            return
        try:
            status = entry.stat()
        except OSError as error:
            # Gone since, or a link to nowhere or to itself.
            if isinstance(error, FileNotFoundError) or error.errno == errno.ELOOP:
                return
            if not is_link:
                raise  # It is the folder that does not let us look at its files.
            self._report(entry.path, error)
            return
        if stat.S_ISDIR(status.st_mode):
            if not is_excluded(os.fsdecode(name)):
                self._links.append(entry.path)
        elif _has_picture_suffix(name):
            self._look_at(entry.path, status)

    def _look_at(self, path: bytes, status: os.stat_result) -> None:
        if not stat.S_ISREG(status.st_mode) or _is_hidden(status):
            return
        self._seen.add(path)
        self._pending.seen += 1
        if self._known.get(path) == (status.st_size, status.st_mtime_ns):
            return
        decoded = Path(os.fsdecode(path))
        if 0 <= time.time_ns() - status.st_mtime_ns < self._settle_ns:
            self._pending.unsettled.append(decoded)
            return
        file = FoundFile(decoded, status.st_size, status.st_mtime_ns)
        self._pending.events.append(FileEvent(FileChange.FOUND, decoded, file))

    def _leads_elsewhere(self, link: bytes) -> bool:
        """Return whether a link to a folder shows pictures that the walk would miss.

        One that leads above the root would bring in the rest of the disk, so it is left alone.
        """
        target, root = (
            Path(os.path.realpath(os.fsdecode(link))),
            Path(os.path.realpath(self._folder)),
        )
        if root.is_relative_to(target):
            return False
        return not target.is_relative_to(root) or is_excluded_below(root, target)

    def _report(self, path: bytes, error: OSError) -> None:
        self._unreadable.add(path)
        self._pending.unreadable.append(Unreadable(Path(os.fsdecode(path)), _reason(error)))

    def _gone(self, start: bytes) -> Iterator[ScanBatch]:
        pending = self._pending
        inside = os.path.join(start, b"")
        kept = tuple(os.path.join(path, b"") for path in self._unreadable)
        for path in self._known:
            if path in self._seen or path in self._unreadable:
                continue
            if (path == start or path.startswith(inside)) and not path.startswith(kept):
                gone = FileEvent(FileChange.GONE, Path(os.fsdecode(path)))
                pending.events.append(gone)
                if len(pending.events) >= BATCH_SIZE:
                    yield pending.taken()
        yield pending.taken()


def _has_picture_suffix(name: bytes) -> bool:
    dot = name.rfind(b".")
    return dot > 0 and name[dot:].lower() in _SUFFIXES


def _is_hidden(status: os.stat_result) -> bool:
    if not _FLAGS_HIDE:
        return False
    attributes = getattr(status, "st_file_attributes", 0)
    return bool(attributes & _WINDOWS_HIDDEN or getattr(status, "st_flags", 0) & stat.UF_HIDDEN)


def _reason(error: OSError) -> str:
    if isinstance(error, PermissionError):
        return "no permission to read it"
    if isinstance(error, FileNotFoundError):
        return "it is not there"
    if isinstance(error, NotADirectoryError):
        return "it is not a folder"
    return f"it can't be read ({error.strerror or error})"
