"""What can be done with photos: the context menu of the grid and of the viewer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QImage, QImageReader
from PySide6.QtWidgets import QMenu, QWidget

from photosearch.domain import Hit
from photosearch.gui import desktop
from photosearch.gui.background import Background, Lane
from photosearch.gui.results_model import ResultsModel

if TYPE_CHECKING:
    from photosearch.library import PhotoLibrary

_OPENED_AT_ONCE = 10


class PhotoMenu(QObject):
    """Acts on rows of the model, loaded or not."""

    open_wanted = Signal(int)
    like_wanted = Signal(object)
    """A `Hit` that others are to be like."""
    failed = Signal(str)

    def __init__(
        self,
        library: PhotoLibrary,
        background: Background,
        model: ResultsModel,
        parent: QWidget,
    ) -> None:
        super().__init__(parent)
        self._library = library
        self._background = background
        self._model = model
        self._parent = parent

    def menu(self, rows: Sequence[int]) -> QMenu:
        """Return a menu for `rows`; it deletes itself when closed."""
        menu = QMenu(self._parent)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        if len(rows) == 1:
            menu.addAction(self.tr("Open"), lambda: self.open_wanted.emit(rows[0]))
            menu.addAction(self.tr("More like this photo"), lambda: self.find_like(rows))
        else:
            count = self.tr("%Ln selected", None, len(rows))
            menu.addAction(count).setEnabled(False)
        menu.addAction(self.tr("Open with default program"), lambda: self.open_outside(rows))
        menu.addAction(self.tr("Show in folder"), lambda: self.show_in_folder(rows))
        menu.addSeparator()
        menu.addAction(self.tr("Copy photo"), lambda: self.copy_photos(rows))
        menu.addAction(self.tr("Copy path"), lambda: self.copy_paths(rows))
        return menu

    def _with_paths(self, hits: list[Hit]) -> list[Path]:
        paths = [hit.path for hit in hits if hit.path is not None]
        if not paths:
            self.failed.emit(self.tr("No file of this photo is left. Was it moved or deleted?"))
        return paths

    def find_like(self, rows: Sequence[int]) -> None:
        """Look for photos like the first one."""

        def act(hits: list[Hit]) -> None:
            for hit in hits:
                self.like_wanted.emit(hit)

        self._model.fetch(rows[:1], act)

    def open_outside(self, rows: Sequence[int]) -> None:
        """Open photos with the desktop's default program."""

        def act(hits: list[Hit]) -> None:
            for path in self._with_paths(hits):
                if not desktop.open_with_default(path):
                    self.failed.emit(
                        self.tr("No program opens this file. Show it in its folder instead.")
                    )
                    return

        self._model.fetch(rows[:_OPENED_AT_ONCE], act)

    def show_in_folder(self, rows: Sequence[int]) -> None:
        """Show the first photo in the file manager."""

        def act(hits: list[Hit]) -> None:
            for path in self._with_paths(hits)[:1]:
                desktop.show_in_folder(path, self)

        self._model.fetch(rows[:1], act)

    def copy_paths(self, rows: Sequence[int]) -> None:
        """Copy the files' paths."""
        self._model.fetch(rows, lambda hits: desktop.copy_paths(self._with_paths(hits)))

    def copy_photos(self, rows: Sequence[int]) -> None:
        """Copy the photos as files; a single one as a picture, too."""

        def act(hits: list[Hit]) -> None:
            paths = self._with_paths(hits)
            if len(hits) != 1 or not paths:
                desktop.copy_photos(paths)
                return
            photo_id = hits[0].photo_id
            self._background.submit(
                lambda: QImageReader(str(self._library.preview(photo_id))).read(),
                lambda picture: desktop.copy_photos(paths, picture),
                lane=Lane.PREVIEW,
                on_error=lambda _error: desktop.copy_photos(paths, QImage()),
            )

        self._model.fetch(rows, act)
