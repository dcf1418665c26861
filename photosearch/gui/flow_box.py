"""A box that wraps its widgets like words on a page."""

from __future__ import annotations

from PySide6.QtCore import QRect, QSize, Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QSizePolicy, QWidget


class FlowBox(QWidget):
    """Puts widgets in lines from the leading edge, or centred; expanding ones fill their line."""

    def __init__(self, spacing: int = 8, *, centred: bool = False) -> None:
        super().__init__()
        self._spacing = spacing
        self._centred = centred
        self._widgets: list[QWidget] = []
        policy = QSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Minimum)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)

    def insert(self, index: int, widget: QWidget) -> None:
        """Add `widget` before the one at `index`."""
        self._widgets.insert(index, widget)
        widget.setParent(self)
        widget.show()
        self._changed()

    def add(self, widget: QWidget) -> None:
        """Add `widget` at the end."""
        self.insert(len(self._widgets), widget)

    def remove(self, widget: QWidget) -> None:
        """Take `widget` away and delete it."""
        self._widgets.remove(widget)
        widget.hide()
        widget.deleteLater()
        self._changed()

    def refresh(self) -> None:
        """Lay out again: a widget wants another size."""
        self._changed()

    def hasHeightForWidth(self) -> bool:
        return True

    def heightForWidth(self, width: int) -> int:
        return self._place(width, apply=False)

    def sizeHint(self) -> QSize:
        width = max(self.width(), self.minimumSizeHint().width())
        return QSize(width, self.heightForWidth(width))

    def minimumSizeHint(self) -> QSize:
        sizes = [widget.minimumSizeHint() for widget in self._widgets]
        return QSize(
            max((size.width() for size in sizes), default=0),
            max((size.height() for size in sizes), default=0),
        )

    def resizeEvent(self, event: QResizeEvent) -> None:
        self._place(self.width(), apply=True)

    def _changed(self) -> None:
        self.updateGeometry()
        self._place(self.width(), apply=True)

    def _place(self, room: int, *, apply: bool) -> int:
        lines: list[list[tuple[QWidget, int]]] = [[]]
        used = 0
        for widget in self._widgets:
            wanted = min(widget.sizeHint().width(), max(room, 1))
            if lines[-1] and used + self._spacing + wanted > room:
                lines.append([])
                used = 0
            used += wanted + (self._spacing if lines[-1] else 0)
            lines[-1].append((widget, wanted))
        y = 0
        for line in lines:
            height = max((widget.sizeHint().height() for widget, _ in line), default=0)
            if apply:
                self._place_line(line, room, y, height)
            y += height + self._spacing
        return y - self._spacing

    def _place_line(self, line: list[tuple[QWidget, int]], room: int, y: int, height: int) -> None:
        spare = room - sum(width for _, width in line) - self._spacing * (len(line) - 1)
        from_right = self.layoutDirection() == Qt.LayoutDirection.RightToLeft
        x = max(0, spare) // 2 if self._centred else 0
        for widget, natural in line:
            expands = widget.sizePolicy().horizontalPolicy() == QSizePolicy.Policy.Expanding
            width = natural + (max(0, spare) if expands else 0)
            widget.setGeometry(QRect(room - x - width if from_right else x, y, width, height))
            x += width + self._spacing
