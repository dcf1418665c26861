"""Did you mean: queries that would find something where a word of this one finds nothing."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QWidget

from photosearch.domain import Query
from photosearch.gui import text
from photosearch.gui.flow_box import FlowBox

_SHOWN = 3
_MAX_TEXT_PX = 360


class SuggestionLine(QWidget):
    """A quiet line with a link for each query; hidden without any."""

    chosen = Signal(object)
    """A `Query` to ask instead."""

    def __init__(self) -> None:
        super().__init__()
        self._queries: tuple[Query, ...] = ()
        self.links: list[QPushButton] = []
        self._flow = FlowBox(spacing=4)
        self._flow.add(self._lead())
        line = QHBoxLayout(self)
        line.setContentsMargins(0, 0, 0, 0)
        line.addWidget(self._flow)
        self.hide()

    def _lead(self) -> QLabel:
        label = QLabel(self.tr("Did you mean"))
        label.setProperty("role", "quiet")
        label.setContentsMargins(0, 5, 4, 5)
        return label

    def offer(self, queries: Sequence[Query]) -> None:
        """Replace the links."""
        queries = tuple(queries)[:_SHOWN]
        if queries != self._queries:
            self._queries = queries
            for link in self.links:
                self._flow.remove(link)
            self.links = [self._link(query) for query in queries]
            for link in self.links:
                self._flow.add(link)
        self.setVisible(bool(queries))

    def _link(self, query: Query) -> QPushButton:
        words = str(query)
        link = QPushButton()
        link.setProperty("link", True)
        link.setLayoutDirection(Qt.LayoutDirection.LeftToRight)
        link.setCursor(Qt.CursorShape.PointingHandCursor)
        elide = Qt.TextElideMode.ElideRight
        link.setText(text.plain_label(link.fontMetrics().elidedText(words, elide, _MAX_TEXT_PX)))
        link.setAccessibleName(self.tr("Search for %1 instead").replace("%1", words))
        link.setToolTip(text.plain_tooltip(words))
        link.clicked.connect(lambda: self.chosen.emit(query))
        return link
