"""The list of completions below the search field. The field keeps the focus."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRect, QSize, Qt, Signal
from PySide6.QtGui import QPainter, QPalette, QStandardItem, QStandardItemModel
from PySide6.QtWidgets import (
    QFrame,
    QListView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QWidget,
)

from photosearch.domain import TermCount
from photosearch.gui import text

_LINE_PX = 32
_WIDTH_PX = 320
_COUNT_ROLE = Qt.ItemDataRole.UserRole


class _Line(QStyledItemDelegate):
    """A word at the left, its count at the right."""

    def sizeHint(
        self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> QSize:
        return QSize(0, _LINE_PX)

    def paint(
        self,
        painter: QPainter,
        option: QStyleOptionViewItem,
        index: QModelIndex | QPersistentModelIndex,
    ) -> None:
        painter.save()
        colours = option.palette
        area: QRect = option.rect
        state = option.state
        if state & (QStyle.StateFlag.State_Selected | QStyle.StateFlag.State_MouseOver):
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(colours.color(QPalette.ColorRole.Midlight))
            painter.drawRoundedRect(area, 5, 5)
        inner = area.adjusted(12, 0, -12, 0)
        count = text.count_text(index.data(_COUNT_ROLE))
        metrics = option.fontMetrics
        painter.setPen(colours.color(QPalette.ColorRole.PlaceholderText))
        right = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight
        painter.drawText(inner, right, count)
        inner.setRight(inner.right() - metrics.horizontalAdvance(count) - 12)
        painter.setPen(colours.color(QPalette.ColorRole.Text))
        word = metrics.elidedText(index.data(), Qt.TextElideMode.ElideRight, inner.width())
        painter.drawText(inner, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, word)
        painter.restore()


class Completions(QListView):
    """Shows words over the rest of the window; the search field steers it with its keys."""

    chosen = Signal(str)

    def __init__(self, window: QWidget) -> None:
        super().__init__(window)
        self._window = window
        self.setObjectName("completions")
        self.setAccessibleName(self.tr("Completions"))
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setEditTriggers(QListView.EditTrigger.NoEditTriggers)
        self.setMouseTracking(True)
        self.setItemDelegate(_Line(self))
        self.setModel(QStandardItemModel(self))
        self.clicked.connect(lambda index: self.chosen.emit(index.data()))
        self.hide()

    def words(self) -> list[str]:
        """Return the words shown."""
        return [str(self.model().index(row, 0).data()) for row in range(self.model().rowCount())]

    def offer(self, terms: Sequence[TermCount], below: QWidget) -> None:
        """Show `terms` under the widget `below`, or nothing."""
        model = QStandardItemModel(self)
        for term in terms:
            item = QStandardItem(term.word)
            item.setData(term.count, _COUNT_ROLE)
            item.setAccessibleDescription(text.count_text(term.count))
            model.appendRow(item)
        old = self.model()
        self.setModel(model)
        old.deleteLater()
        self.setVisible(bool(terms))
        corner = below.mapTo(self._window, below.rect().bottomLeft())
        height = len(terms) * _LINE_PX + 10
        width = min(_WIDTH_PX, below.window().width())
        x = corner.x()
        if self.layoutDirection() == Qt.LayoutDirection.RightToLeft:
            x += below.width() - width
        self.setGeometry(x, corner.y() + 6, width, height)
        self.raise_()

    def current_word(self) -> str:
        """Return the marked word, or nothing."""
        index = self.currentIndex()
        return str(index.data()) if self.isVisible() and index.isValid() else ""

    def step(self, lines: int) -> None:
        """Move the mark; stepping above the first line takes it away."""
        count = self.model().rowCount()
        row = self.currentIndex().row()
        row = row + lines if self.currentIndex().isValid() else (0 if lines > 0 else count - 1)
        if 0 <= row < count:
            self.setCurrentIndex(self.model().index(row, 0))
        elif row < 0:
            self.setCurrentIndex(QModelIndex())
            self.clearSelection()
