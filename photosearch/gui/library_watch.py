"""Notices from a distance that the library changed: asks it every second, in the background."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer, Signal

from photosearch.domain import Status
from photosearch.gui.background import Background

if TYPE_CHECKING:
    from photosearch.library import PhotoLibrary

_POLL_MS = 1000
_STATUS_AT_LEAST_S = 5.0


class LibraryWatch(QObject):
    """Says `changed` once for all that was committed since, and `status` then and now and again."""

    changed = Signal()
    status = Signal(object)

    def __init__(
        self, library: PhotoLibrary, background: Background, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._library = library
        self._background = background
        self._version: int | None = None
        self._status_at = 0.0
        self._timer = QTimer(self)
        self._timer.setInterval(_POLL_MS)
        self._timer.timeout.connect(self.look)

    def start(self) -> None:
        """Begin to look."""
        self._timer.start()
        self.look()

    def stop(self) -> None:
        """Look no more."""
        self._timer.stop()

    def look(self) -> None:
        """Look now."""
        library, known = self._library, self._version
        overdue = time.monotonic() - self._status_at > _STATUS_AT_LEAST_S

        def ask() -> tuple[int, Status | None]:
            version = library.data_version()
            fresh = version != known or overdue
            return version, library.status() if fresh else None

        self._background.submit(ask, self._take, channel="watch")

    def _take(self, seen: tuple[int, Status | None]) -> None:
        version, status = seen
        if status is not None:
            self._status_at = time.monotonic()
            self.status.emit(status)
        if version != self._version:
            first, self._version = self._version is None, version
            if not first:
                self.changed.emit()
