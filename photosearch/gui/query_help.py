"""What can be typed into the search: examples to try, and what each finds."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QCoreApplication, QSize, Qt, Signal
from PySide6.QtWidgets import (
    QDialog,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from photosearch.gui import text

_SIZE = QSize(640, 640)
_EXAMPLE_PX = 200


class QueryHelp(QDialog):
    """Lists `examples` of (query, meaning); a click on one says `chosen(query)`."""

    chosen = Signal(str)

    def __init__(self, examples: Sequence[tuple[str, str]], parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("What you can type"))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.examples: list[QPushButton] = []
        lead = QLabel(
            self.tr(
                "Just type what is in the photo. All of this can be combined; click an example to "
                "put it into the search."
            )
        )
        lead.setWordWrap(True)
        lead.setProperty("role", "quiet")
        close = QPushButton(self.tr("Close"))
        close.clicked.connect(self.close)
        end = QHBoxLayout()
        end.addStretch(1)
        end.addWidget(close)
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 16, 16, 16)
        column.setSpacing(12)
        column.addWidget(lead)
        column.addWidget(self._table(examples), 1)
        column.addLayout(end)
        self.resize(_SIZE.boundedTo(parent.window().size() - QSize(20, 20)))

    def _table(self, examples: Sequence[tuple[str, str]]) -> QScrollArea:
        page = QWidget()
        page.setAutoFillBackground(False)
        grid = QGridLayout(page)
        grid.setContentsMargins(0, 0, 8, 0)
        grid.setHorizontalSpacing(12)
        grid.setVerticalSpacing(2)
        grid.setColumnStretch(1, 1)
        for line, (query, meaning) in enumerate(examples):
            meaning = QCoreApplication.translate("query_help", meaning)  # noqa: PLW2901
            top = Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft
            grid.addWidget(self._example(query, meaning), line, 0, top)
            grid.addWidget(self._meaning(meaning), line, 1)
        grid.setRowStretch(len(examples), 1)
        area = QScrollArea()
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setWidgetResizable(True)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(page)
        area.viewport().setAutoFillBackground(False)
        page.setAutoFillBackground(False)
        return area

    def _example(self, query: str, meaning: str) -> QPushButton:
        button = QPushButton()
        metrics, elide = button.fontMetrics(), Qt.TextElideMode.ElideRight
        button.setText(text.plain_label(metrics.elidedText(query, elide, _EXAMPLE_PX)))
        button.setProperty("link", True)
        # The language reads from left to right, its signs before what they belong to.
        button.setLayoutDirection(Qt.LayoutDirection.LeftToRight)
        button.setCursor(Qt.CursorShape.PointingHandCursor)
        button.setAccessibleName(query)
        button.setAccessibleDescription(meaning)
        button.setToolTip(text.plain_tooltip(query))
        button.setAutoDefault(False)
        button.clicked.connect(lambda: self._choose(query))
        self.examples.append(button)
        return button

    def _meaning(self, meaning: str) -> QLabel:
        label = QLabel(meaning)
        label.setTextFormat(Qt.TextFormat.PlainText)
        label.setWordWrap(True)
        label.setContentsMargins(0, 5, 0, 5)
        return label

    def _choose(self, query: str) -> None:
        self.close()
        self.chosen.emit(query)
