"""What the window has to do with indexing: pausing, captioning now, and the dialogs about it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QWidget

from photosearch.domain import Status
from photosearch.errors import PhotosearchError
from photosearch.gui import desktop
from photosearch.gui.background import Background, Lane
from photosearch.gui.caption_now import CaptionNowButton
from photosearch.gui.failures_dialog import FailuresDialog
from photosearch.gui.indexing_dialog import IndexingDialog
from photosearch.gui.status_panel import StatusPanel

if TYPE_CHECKING:
    from photosearch.library import PhotoLibrary


class Indexing(QObject):
    """Does what the status panel and its dialogs are asked for, and keeps them up to date."""

    changed = Signal()
    """The library heard of a wish: its status is another."""
    failed = Signal(str)
    """Why a wish could not be noted, for people."""

    def __init__(
        self, library: PhotoLibrary, background: Background, panel: StatusPanel, window: QWidget
    ) -> None:
        super().__init__(window)
        self._library = library
        self._background = background
        self._panel = panel
        self._window = window
        self._status: Status | None = None
        self.progress: IndexingDialog | None = None
        self.failures: FailuresDialog | None = None
        panel.pause_wanted.connect(self.set_paused)
        panel.start_wanted.connect(self.start_service)
        panel.details_wanted.connect(self.show_progress)
        panel.failures_wanted.connect(self.show_failures)
        self._connect(panel.caption_button)

    def show_status(self, status: Status) -> None:
        """Show `status` in the panel and in what is open."""
        self._status = status
        self._show()
        self._ask_failures()

    def set_paused(self, paused: bool) -> None:
        """Pause or resume indexing."""
        self._do(lambda: self._library.set_paused(paused))

    def start_service(self) -> None:
        """Start the indexer unless it runs."""
        self._do(self._library.start_service)

    def caption_now(self, hours: float) -> None:
        """Have captions written for so many hours, whatever the schedule says."""

        def refused(error: PhotosearchError) -> None:
            self._panel.run_now.end()
            self._show()
            self.failed.emit(str(error))

        self._panel.run_now.ask(hours, self._status)
        self._show()
        self._do(lambda: self._library.run_now(hours), refused)

    def follow_schedule(self) -> None:
        """Leave it to the schedule again when captions are written."""
        self._panel.run_now.end()
        self._show()
        self.set_paused(False)

    def show_progress(self) -> None:
        """Open the dialog that shows indexing stage by stage."""
        if self.progress is None:
            self.progress = IndexingDialog(self._panel, self._window)
            self._connect(self.progress.caption_button)
        if self._status is not None:
            self.progress.show_status(self._status)
        self.progress.show()
        self.progress.raise_()

    def show_failures(self) -> None:
        """Open the list of what could not be processed."""
        if self.failures is None:
            self.failures = FailuresDialog(self._window)
            self.failures.retry_wanted.connect(self._retry)
            self.failures.show_wanted.connect(
                lambda path: desktop.show_in_folder(path, self._window)
            )
        self.failures.show()
        self.failures.raise_()
        self._ask_failures()

    def _connect(self, button: CaptionNowButton) -> None:
        button.wanted.connect(self.caption_now)
        button.schedule_wanted.connect(self.follow_schedule)

    def _show(self) -> None:
        if self._status is None:
            return
        self._panel.show_status(self._status)
        if self.progress is not None and self.progress.isVisible():
            self.progress.show_status(self._status)

    def _ask_failures(self) -> None:
        dialog = self.failures
        if dialog is not None and dialog.isVisible():
            self._background.submit(
                self._library.failures, dialog.show_failures, channel="failures"
            )

    def _retry(self, job_ids: list[int] | None) -> None:
        self._do(lambda: self._library.retry(job_ids))
        self.start_service()

    def _do(
        self,
        chore: Callable[[], object],
        on_error: Callable[[PhotosearchError], None] | None = None,
    ) -> None:
        self._background.submit(
            chore, lambda _: self.changed.emit(), lane=Lane.CHORE, on_error=on_error
        )
