"""The most frequent words as horizontal bars."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPalette
from PySide6.QtWidgets import QSizePolicy, QWidget

from photosearch.domain import Clause, TermCount
from photosearch.gui import text

BARS = 15
_LINE_PX = 24


class BarChart(QWidget):
    """Up to 15 words, longest bar first; mouse or keys choose one."""

    chosen = Signal(object, bool)
    hovered = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self._terms: tuple[TermCount, ...] = ()
        self._over = -1
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(self.tr("Most frequent words"))

    def terms(self) -> tuple[TermCount, ...]:
        """Return the words shown."""
        return self._terms

    def set_words(self, words: Sequence[TermCount]) -> None:
        """Show the most frequent of `words`."""
        self._terms = tuple(sorted(words, key=lambda term: -term.count)[:BARS])
        self._over = -1
        self.setAccessibleDescription(
            ", ".join(f"{term.word} {term.count}" for term in self._terms)
        )
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(240, _LINE_PX * len(self._terms))

    def minimumSizeHint(self) -> QSize:
        return QSize(160, _LINE_PX * len(self._terms))

    def bar_rect(self, line: int) -> QRect:
        """Return the place of a line: word, bar and number."""
        return QRect(0, line * _LINE_PX, self.width(), _LINE_PX)

    def paintEvent(self, event: QPaintEvent) -> None:
        if not self._terms:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        colours, metrics = self.palette(), self.fontMetrics()
        role = QPalette.ColorRole
        most = self._terms[0].count
        words_px = min(
            max(metrics.horizontalAdvance(term.word) for term in self._terms) + 2,
            self.width() * 2 // 5,
        )
        counts = [text.count_text(term.count) for term in self._terms]
        counts_px = max(metrics.horizontalAdvance(count) for count in counts) + 2
        room = max(8, self.width() - words_px - counts_px - 24)
        mirrored = self.layoutDirection() == Qt.LayoutDirection.RightToLeft
        if mirrored:
            painter.translate(self.width(), 0)
        for line, term in enumerate(self._terms):
            area = self.bar_rect(line)
            if line == self._over:
                painter.setPen(Qt.PenStyle.NoPen)
                painter.setBrush(colours.color(role.AlternateBase))
                back = area.translated(-self.width() if mirrored else 0, 0)
                painter.drawRoundedRect(back, 4, 4)
            bar_px = max(3.0, room * term.count / most)
            word = metrics.elidedText(term.word, Qt.TextElideMode.ElideRight, words_px)
            bar = QRectF(words_px + 12, area.top() + 8, bar_px, _LINE_PX - 16)
            word_area = QRectF(4, area.top(), words_px, _LINE_PX)
            count_area = QRectF(bar.right() + 8, area.top(), counts_px, _LINE_PX)
            if mirrored:
                bar, word_area, count_area = (
                    QRectF(-r.right(), r.top(), r.width(), r.height())
                    for r in (bar, word_area, count_area)
                )
            align = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeading
            painter.setPen(colours.color(role.Text))
            painter.drawText(word_area, align, word)
            painter.setPen(colours.color(role.PlaceholderText))
            painter.drawText(count_area, align, counts[line])
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(colours.color(role.Accent))
            painter.drawRoundedRect(bar, 3, 3)
        painter.end()

    def _mark(self, line: int) -> None:
        if line == self._over:
            return
        self._over = line
        self.hovered.emit(self._terms[line].word if 0 <= line < len(self._terms) else "")
        self.update()

    def _choose(self, line: int, modifiers: Qt.KeyboardModifier) -> None:
        if 0 <= line < len(self._terms):
            exclude = bool(modifiers & Qt.KeyboardModifier.ShiftModifier)
            self.chosen.emit(Clause(self._terms[line].word, negated=exclude), exclude)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        line = int(event.position().y()) // _LINE_PX
        self._mark(line if line < len(self._terms) else -1)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            self._choose(int(event.position().y()) // _LINE_PX, event.modifiers())

    def leaveEvent(self, event: QEvent) -> None:
        self._mark(-1)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        last = len(self._terms) - 1
        if event.key() == Qt.Key.Key_Down and self._over < last:
            self._mark(self._over + 1)
        elif event.key() == Qt.Key.Key_Up and self._over > 0:
            self._mark(self._over - 1)
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space):
            self._choose(self._over, event.modifiers())
        else:
            event.ignore()
