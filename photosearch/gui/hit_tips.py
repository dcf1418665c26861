"""What the grid says of the photo under the mouse: its name, and why it was found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QPoint
from PySide6.QtWidgets import QToolTip

from photosearch.domain import Hit, Query, display_path
from photosearch.gui import text
from photosearch.gui.background import Background
from photosearch.gui.results_model import ResultsModel
from photosearch.gui.results_view import ResultsView
from photosearch.gui.why_text import why_texts

if TYPE_CHECKING:
    from photosearch.library import PhotoLibrary

_CHANNEL = "hit-tip"
_SHOWN_LINES = 12


class HitTips(QObject):
    """Asks in the background; says nothing of a photo that the mouse has left meanwhile."""

    def __init__(
        self,
        library: PhotoLibrary,
        background: Background,
        model: ResultsModel,
        view: ResultsView,
    ) -> None:
        super().__init__(view)
        self._library = library
        self._background = background
        self._model = model
        self._view = view
        self._shown: tuple[int, int] | None = None
        view.tip_wanted.connect(self._ask)
        model.modelReset.connect(self._withdraw)
        model.refreshed.connect(self._withdraw_moved)

    def _withdraw_moved(self) -> None:
        """Say nothing more of a photo in whose place another is now."""
        if self._shown is not None:
            row, photo_id = self._shown
            hit = self._model.hit(row)
            if hit is None or hit.photo_id != photo_id:
                self._withdraw()

    def _withdraw(self) -> None:
        self._shown = None
        self._background.cancel(_CHANNEL)
        QToolTip.hideText()

    def _ask(self, row: int, place: QPoint) -> None:
        hit, query = self._model.hit(row), self._model.query
        if hit is None:
            return
        library, photo_id = self._library, hit.photo_id

        def why() -> list[str]:
            return why_texts(library.photo(photo_id, query).matches) if query else []

        self._background.submit(
            why,
            lambda lines: self._show(row, hit, query, place, lines),
            channel=_CHANNEL,
            # Of a photo that has just gone there is nothing to say.
            on_error=lambda _error: None,
        )

    def _show(self, row: int, hit: Hit, query: Query, place: QPoint, lines: list[str]) -> None:
        view, viewport = self._view, self._view.viewport()
        area = view.visualRect(self._model.index(row, 0))
        gone = self._model.hit(row) != hit or self._model.query != query
        if gone or not view.isVisible() or not area.contains(viewport.mapFromGlobal(place)):
            return
        name = display_path(hit.path.name) if hit.path is not None else self.tr("No file left")
        if hit.related:
            name = self.tr("%1 (related)").replace("%1", name)
        words = text.plain_tooltip("\n".join([name, *lines[:_SHOWN_LINES]]))
        self._shown = (row, hit.photo_id)
        QToolTip.showText(place, words, viewport, area)
