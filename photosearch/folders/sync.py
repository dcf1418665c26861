"""Keeps what is known of the folders equal to what is on disk, in slices that never take long."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from photosearch.domain import Folder, display_path
from photosearch.errors import FolderOfflineError
from photosearch.folders.scanner import ScanBatch, Unreadable, scan
from photosearch.folders.settling import QUIET_S, Settling
from photosearch.folders.watcher import Watcher
from photosearch.storage.photo_store import PhotoStore

_log = logging.getLogger(__name__)

_SLICE_S = 0.05
_CHECK_WATCHES_EVERY_S = 5.0
_RECONCILE_EVERY_S = 600.0
# Where the system tells of no changes, looking is all there is.
_POLL_EVERY_S = 60.0
_MANY_HINTS = 100
_NAMED_UNREADABLE = 3


@dataclass(slots=True)
class _Walk:
    """A scan on its way: of a whole folder, or of what lies `below` in it."""

    folder: Folder
    batches: Iterator[ScanBatch]
    is_whole: bool
    unreadable: list[Unreadable] = field(default_factory=list)


class FolderSync:
    """Scans all folders when asked and from time to time; with `watch` also what changes, at once.

    The scanner decides, the watcher only hints: a periodic reconcile finds what no hint told of.
    Files that were changed a moment ago are looked at again until they have settled.
    """

    def __init__(self, photos: PhotoStore, *, watch: bool) -> None:
        self._photos = photos
        self._watcher = Watcher() if watch else None
        self._folders: dict[int, Folder] = {}
        self._queue: deque[tuple[int, Path]] = deque()
        self._walk: _Walk | None = None
        self._settling = Settling()
        self._reconciled_s = time.monotonic()
        self._polled_s = time.monotonic()
        self._checked_s = -_CHECK_WATCHES_EVERY_S
        self._repaired_s = time.monotonic()
        self._problems: dict[Path, str] = {}
        self.notices: list[str] = []
        """Which folders can't be watched, and are looked through from time to time instead."""
        self._changed = False

    @property
    def walking(self) -> bool:
        """Whether folders are being looked through now."""
        return self._walk is not None or bool(self._queue)

    @property
    def unsettled(self) -> int:
        """How many places will be looked at again, as files there were just being written."""
        return len(self._settling)

    def reconcile(self) -> None:
        """Scan every folder anew."""
        self._look_for_folders()
        self._walk = None
        self._queue.clear()
        self._queue.extend((folder.id, folder.path) for folder in self._folders.values())
        self._reconciled_s = time.monotonic()

    def look_for_new(self) -> None:
        """Scan folders that were added since, and forget removed ones."""
        known = set(self._folders)
        self._look_for_folders()
        for folder_id in self._folders.keys() - known:
            self._queue.append((folder_id, self._folders[folder_id].path))

    def look_at(self, path: Path) -> None:
        """Look at a file that could not be reached, and so at whether its folder can be."""
        for folder in self._folders.values():
            if path.is_relative_to(folder.path):
                self._queue.append((folder.id, path))

    def step(self) -> bool:
        """Work for a slice of time; True if there is more to do at once."""
        now = time.monotonic()
        self._check_watches(now)
        self._take_hints()
        self._queue_what_has_settled()
        if now - self._reconciled_s > _RECONCILE_EVERY_S:
            self.reconcile()
        if now - self._polled_s > _POLL_EVERY_S:
            self._polled_s = now
            self._queue.extend(
                (folder.id, folder.path)
                for folder in self._folders.values()
                if not folder.online or self._problems.get(folder.path)
            )
        while time.monotonic() - now < _SLICE_S:
            if self._walk is None and not self._begin_next():
                return False
            self._go_on()
        return self.walking

    def take_changed(self) -> bool:
        """Return whether files or folders changed since the last call."""
        changed, self._changed = self._changed, False
        return changed

    def close(self) -> None:
        """Stop watching; may be called twice."""
        if self._watcher is not None:
            self._watcher.close()

    def __enter__(self) -> FolderSync:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _look_for_folders(self) -> None:
        now = {folder.id: folder for folder in self._photos.folders()}
        if self._watcher is not None:
            for folder_id in self._folders.keys() - now.keys():
                self._watcher.remove(self._folders[folder_id].path)
            for folder_id in now.keys() - self._folders.keys():
                self._watcher.add(now[folder_id].path)
        self._folders = now

    # Scans

    def _begin_next(self) -> bool:
        while self._queue:
            folder_id, below = self._queue.popleft()
            folder = self._folders.get(folder_id)
            if folder is not None:
                known = self._photos.known_files(below)
                batches = scan(folder.path, known, below=below, settle_s=QUIET_S)
                self._walk = _Walk(folder, batches, is_whole=below == folder.path)
                return True
        return False

    def _go_on(self) -> None:
        walk = self._walk
        assert walk is not None
        try:
            batch = next(walk.batches)
        except StopIteration:
            self._walk = None
            if walk.is_whole:
                self._found_online(walk)
            elif not walk.folder.online:
                self._queue.append((walk.folder.id, walk.folder.path))
            return
        except FolderOfflineError as error:
            self._walk = None
            _log.warning("%s", error)
            self._set_problem(walk.folder, str(error), online=False)
            return
        if batch.events:
            self._photos.apply(walk.folder.id, batch.events)
            self._changed = True
        walk.unreadable.extend(batch.unreadable)
        self._settling.hold(batch.unsettled)

    def _found_online(self, walk: _Walk) -> None:
        named = [f"{display_path(u.path)}: {u.reason}" for u in walk.unreadable[:_NAMED_UNREADABLE]]
        if len(walk.unreadable) > _NAMED_UNREADABLE:
            named.append(f"and {len(walk.unreadable) - _NAMED_UNREADABLE} more")
        self._set_problem(walk.folder, "; ".join(named), online=True)

    def _set_problem(self, folder: Folder, problem: str, *, online: bool) -> None:
        known = self._folders.get(folder.id, folder)
        if (known.problem, known.online) != (problem, online):
            self._photos.set_problem(folder.id, problem, online=online)
            self._changed = True
            self._look_for_folders()

    # Hints

    def _check_watches(self, now_s: float) -> None:
        if self._watcher is None or now_s - self._checked_s < _CHECK_WATCHES_EVERY_S:
            return
        self._checked_s = now_s
        repair = now_s - self._repaired_s > _RECONCILE_EVERY_S
        if repair:
            self._repaired_s = now_s
        for folder in self._folders.values():
            before = self._problems.get(folder.path, "")
            problem = lost = self._watcher.problem(folder.path)
            if problem and (repair or problem != before or not folder.online):
                # Repairs a watch that was lost, as when a drive goes or comes back.
                problem = self._watcher.add(folder.path)
            if lost != before or problem != before or (not problem and not folder.online):
                self._queue.append((folder.id, folder.path))
            self._problems[folder.path] = problem
        self.notices = [
            f"{display_path(folder.path)} can't be watched ({self._problems[folder.path]}); it is "
            f"looked through every {_POLL_EVERY_S:.0f} s instead."
            for folder in self._folders.values()
            if folder.online and self._problems[folder.path]
        ]

    def _take_hints(self) -> None:
        if self._watcher is None:
            return
        overflowed = self._watcher.overflowed()
        for folder in self._folders.values():
            if folder.path in overflowed:
                self._queue.append((folder.id, folder.path))
        self._settling.hold(self._watcher.drain())

    def _queue_what_has_settled(self) -> None:
        settled = set(self._settling.released())
        if len(settled) > _MANY_HINTS:
            settled = {path.parent for path in settled}
        for path in settled:
            # What lies inside another of them is scanned with it.
            if any(parent in settled for parent in path.parents):
                continue
            for folder in self._folders.values():
                if path.is_relative_to(folder.path):
                    self._queue.append((folder.id, path))
                elif folder.path.is_relative_to(path):
                    self._queue.append((folder.id, folder.path))
