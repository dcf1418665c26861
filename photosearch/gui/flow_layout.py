"""A layout that wraps its items like words on a page."""

from __future__ import annotations

from PySide6.QtCore import QMargins, QPoint, QRect, QSize, Qt
from PySide6.QtWidgets import QLayout, QLayoutItem, QWidget


class FlowLayout(QLayout):
    """Puts items in lines from left to right; an item that wants to expand fills its line."""

    def __init__(self, parent: QWidget | None = None, spacing: int = 8) -> None:
        super().__init__(parent)
        self._items: list[QLayoutItem] = []
        self.setSpacing(spacing)
        self.setContentsMargins(QMargins())

    def addItem(self, item: QLayoutItem) -> None:
        self._items.append(item)

    def insertWidget(self, index: int, widget: QWidget) -> None:
        """Add `widget` before the item at `index`."""
        self.addWidget(widget)
        self._items.insert(index, self._items.pop())
        self.invalidate()

    def count(self) -> int:
        return len(self._items)

    def itemAt(self, index: int) -> QLayoutItem | None:
        return self._items[index] if 0 <= index < len(self._items) else None

    def takeAt(self, index: int) -> QLayoutItem | None:
        return self._items.pop(index) if 0 <= index < len(self._items) else None

    def expandingDirections(self) -> Qt.Orientation:
        return Qt.Orientation(0)

    def hasHeightForWidth(self) -> bool:
        return True

    def heightForWidth(self, width: int) -> int:
        return self._place(QRect(0, 0, width, 0), apply=False)

    def setGeometry(self, rect: QRect) -> None:
        super().setGeometry(rect)
        self._place(rect, apply=True)

    def sizeHint(self) -> QSize:
        return self.minimumSize()

    def minimumSize(self) -> QSize:
        size = QSize()
        for item in self._items:
            size = size.expandedTo(item.minimumSize())
        margins = self.contentsMargins()
        return size + QSize(margins.left() + margins.right(), margins.top() + margins.bottom())

    def _place(self, rect: QRect, *, apply: bool) -> int:
        area = rect.marginsRemoved(self.contentsMargins())
        right_to_left = False
        parent = self.parentWidget()
        if parent is not None:
            right_to_left = parent.layoutDirection() == Qt.LayoutDirection.RightToLeft
        lines: list[list[tuple[QLayoutItem, int]]] = [[]]
        used = 0
        for item in self._items:
            if item.isEmpty():
                continue
            wanted = min(item.sizeHint().width(), max(area.width(), 1))
            if lines[-1] and used + self.spacing() + wanted > area.width():
                lines.append([])
                used = 0
            used += wanted + (self.spacing() if lines[-1] else 0)
            lines[-1].append((item, wanted))
        y = area.y()
        for line in lines:
            height = max((item.sizeHint().height() for item, _ in line), default=0)
            if apply:
                self._place_line(line, area, y, height, right_to_left)
            y += height + (self.spacing() if line is not lines[-1] else 0)
        return y - rect.y() + self.contentsMargins().bottom()

    def _place_line(
        self,
        line: list[tuple[QLayoutItem, int]],
        area: QRect,
        y: int,
        height: int,
        right_to_left: bool,
    ) -> None:
        used = sum(width for _, width in line) + self.spacing() * (len(line) - 1)
        x = area.x()
        for item, natural in line:
            width = natural
            if item.expandingDirections() & Qt.Orientation.Horizontal:
                width += max(0, area.width() - used)
            place = QRect(QPoint(x, y), QSize(width, height))
            if right_to_left:
                place.moveRight(area.right() - (x - area.x()))
            item.setGeometry(place)
            x += width + self.spacing()
