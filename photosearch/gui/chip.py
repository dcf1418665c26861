"""A word as a pill: with a count, a minus sign when it excludes, an × when it can go."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QContextMenuEvent, QKeyEvent, QMouseEvent, QPainter, QPalette
from PySide6.QtWidgets import QAbstractButton, QApplication, QMenu, QSizePolicy, QWidget

from photosearch.domain import Clause
from photosearch.gui import icons, text

HEIGHT_PX = 28
_MAX_TEXT_PX = 260
_PAD_PX = 12
_CROSS_PX = 24


class Chip(QAbstractButton):
    """Shows `clause`. A click says `chosen(clause, exclude)`: Shift or the menu excludes."""

    chosen = Signal(object, bool)
    removed = Signal(object)
    edit_wanted = Signal(object)

    def __init__(
        self,
        clause: Clause,
        *,
        count_text: str = "",
        removable: bool = False,
        strong: bool = False,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.clause = clause
        self._count_text = count_text
        self._removable = removable
        self._strong = strong
        self._over_cross = False
        self.setText(clause.text)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.setMouseTracking(removable)
        self.setAttribute(Qt.WidgetAttribute.WA_Hover)
        self.setAccessibleName(
            self.tr("without %1").replace("%1", clause.text) if clause.negated else clause.text
        )
        self.setAccessibleDescription(count_text)
        if self.fontMetrics().horizontalAdvance(self.text()) > _MAX_TEXT_PX:
            self.setToolTip(text.plain_tooltip(self.text()))
        elif not removable:
            self.setToolTip(self.tr("Click to add, Shift+click to exclude"))
        self.clicked.connect(self._choose)

    def sizeHint(self) -> QSize:
        metrics = self.fontMetrics()
        width = 2 * _PAD_PX + min(_MAX_TEXT_PX, metrics.horizontalAdvance(self.text()) + 1)
        if self.clause.negated:
            width += metrics.horizontalAdvance("− ")
        if self._count_text:
            width += 8 + metrics.horizontalAdvance(self._count_text)
        if self._removable:
            width += _CROSS_PX - _PAD_PX // 2
        return QSize(width, max(HEIGHT_PX, metrics.height() + 10))

    def cross_rect(self) -> QRectF:
        """Return where the × is."""
        if not self._removable:
            return QRectF()
        x = 4 if self._right_to_left() else self.width() - _CROSS_PX - 4
        return QRectF(x, (self.height() - _CROSS_PX) / 2, _CROSS_PX, _CROSS_PX)

    def _right_to_left(self) -> bool:
        return self.layoutDirection() == Qt.LayoutDirection.RightToLeft

    def _choose(self) -> None:
        shift = QApplication.keyboardModifiers() & Qt.KeyboardModifier.ShiftModifier
        self.chosen.emit(self.clause, bool(shift))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        inside = self.cross_rect().contains(event.position())
        if event.button() == Qt.MouseButton.LeftButton and inside:
            self.setDown(False)
            event.accept()
            self.removed.emit(self.clause)
            return
        super().mouseReleaseEvent(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        over = self.cross_rect().contains(event.position())
        if over != self._over_cross:
            self._over_cross = over
            self.update()
        super().mouseMoveEvent(event)

    def leaveEvent(self, event: QEvent) -> None:
        self._over_cross = False
        super().leaveEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if self._removable and event.key() in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace):
            self.removed.emit(self.clause)
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            shift = event.modifiers() & Qt.KeyboardModifier.ShiftModifier
            self.chosen.emit(self.clause, bool(shift))
        else:
            super().keyPressEvent(event)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        menu = QMenu(self)
        if self._removable:
            turned = self.tr("Include") if self.clause.negated else self.tr("Exclude")
            menu.addAction(turned, lambda: self.chosen.emit(self.clause, True))
            menu.addAction(self.tr("Edit"), lambda: self.edit_wanted.emit(self.clause))
            menu.addAction(self.tr("Remove"), lambda: self.removed.emit(self.clause))
        else:
            menu.addAction(self.tr("Add to search"), lambda: self.chosen.emit(self.clause, False))
            menu.addAction(self.tr("Exclude"), lambda: self.chosen.emit(self.clause, True))
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.popup(event.globalPos())

    def paintEvent(self, event: object) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        colours = self.palette()
        role = QPalette.ColorRole
        accent = colours.color(role.Accent)
        ink = colours.color(role.WindowText)
        hovered = self.underMouse() or self.isDown()
        paper = colours.color(role.Midlight if hovered else role.AlternateBase)
        if self._removable or self._strong:
            ink = colours.color(role.BrightText) if self.clause.negated else accent
            paper = QColor(ink)
            paper.setAlphaF(0.24 if hovered else 0.14)
        outline = QRectF(self.rect()).adjusted(0.75, 0.75, -0.75, -0.75)
        painter.setPen(ink if self.hasFocus() else Qt.PenStyle.NoPen)
        painter.setBrush(paper)
        painter.drawRoundedRect(outline, outline.height() / 2, outline.height() / 2)
        self._paint_words(painter, ink, colours.color(role.PlaceholderText))
        if self._removable:
            cross = self.cross_rect()
            if self._over_cross:
                painter.setPen(Qt.PenStyle.NoPen)
                painter.setBrush(paper)
                painter.drawEllipse(cross.center(), 10, 10)
            icons.paint(painter, "close", cross.adjusted(5, 5, -5, -5), ink)
        painter.end()

    def _paint_words(self, painter: QPainter, ink: QColor, quiet: QColor) -> None:
        metrics = self.fontMetrics()
        sign = "− " if self.clause.negated else ""
        words = sign + metrics.elidedText(self.text(), Qt.TextElideMode.ElideRight, _MAX_TEXT_PX)
        width = metrics.horizontalAdvance(words)
        baseline = (self.height() + metrics.ascent() - metrics.descent()) / 2
        from_right = self._right_to_left()
        x = self.width() - _PAD_PX - width if from_right else _PAD_PX
        painter.setPen(ink)
        painter.drawText(QPointF(x, baseline), words)
        if self._count_text:
            painter.setPen(quiet)
            step = -8 - metrics.horizontalAdvance(self._count_text) if from_right else width + 8
            painter.drawText(QPointF(x + step, baseline), self._count_text)
