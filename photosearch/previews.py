"""Screen-size copies of photos for the viewer: made when needed by a worker process, and cached."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path

from photosearch.domain import Photo
from photosearch.errors import DecodeError, PhotosearchError, UnavailableError
from photosearch.imaging.thumbnails import write_preview
from photosearch.paths import AppPaths
from photosearch.workers.supervisor import Broken, Died, Done, Refused, WorkerPool, wait_for
from photosearch.workers.worker import Handler

_CACHE_BYTES = 500 << 20


class Previews:
    """The previews of a library. `get` may be called from any thread; one is made at a time."""

    def __init__(self, paths: AppPaths) -> None:
        self._paths = paths
        self._pool = WorkerPool("preview", _make_handler, log=paths.log)
        self._lock = threading.Lock()
        self._closing = threading.Event()

    def get(self, photo: Photo) -> Path:
        """Return a JPEG of the photo, upright and large enough for a screen. Blocks.

        Raises DecodeError when no file of the photo can be read, or UnavailableError.
        """
        target = self._paths.preview(photo.sha256)
        if target.exists() and target.stat().st_size:
            target.touch()  # The oldest are trimmed first.
            return target
        failure: PhotosearchError = UnavailableError("No file of this photo is left.")
        for path in photo.paths:
            try:
                with self._lock:
                    self._make(path, target)
            except PhotosearchError as error:
                failure = error
            else:
                self._trim()
                return target
        raise failure

    def close(self) -> None:
        """Stop the worker, whatever it is at; may be called twice."""
        self._closing.set()
        with self._lock:
            self._pool.close()

    def _make(self, path: Path, target: Path) -> None:
        self._pool.submit(path, (path, target))
        while not self._closing.is_set():
            wait_for([self._pool], 0.2)
            for outcome in self._pool.outcomes():
                match outcome:
                    case Done():
                        return
                    case Refused(error=error):
                        raise error
                    case Died(reason=reason):
                        raise DecodeError(path, reason)
                    case Broken(trace=trace):
                        raise RuntimeError(trace)
            if self._pool.abandoned():
                reason = self._pool.broken or "its worker did not start"
                self._pool.revive()
                raise UnavailableError(f"The picture can't be shown: {reason}.")
        raise UnavailableError("The library is being closed.")

    def _trim(self) -> None:
        files = []
        for file in self._paths.previews.iterdir():
            with contextlib.suppress(FileNotFoundError):  # Another process trims, too.
                status = file.stat()
                files.append((status.st_mtime, status.st_size, file))
        total = sum(size for _, size, _ in files)
        for _, size, file in sorted(files):
            if total <= _CACHE_BYTES:
                break
            file.unlink(missing_ok=True)
            total -= size


def _make_handler() -> Handler:
    return _write


def _write(task: tuple[Path, Path], _left: threading.Event) -> None:
    write_preview(*task)
