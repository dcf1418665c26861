"""A clause as a pill: with a count, a minus sign when it excludes, an × when it can go."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QContextMenuEvent,
    QKeyEvent,
    QKeySequence,
    QMouseEvent,
    QPainter,
    QPalette,
    QResizeEvent,
)
from PySide6.QtWidgets import QAbstractButton, QApplication, QMenu, QSizePolicy, QWidget

from photosearch.domain import Clause
from photosearch.gui import icons, text
from photosearch.gui.clause_text import NO_NAMES, Piece, pieces, said, shown

HEIGHT_PX = 28
_MAX_TEXT_PX = 260
_PAD_PX = 12
_PART_PX = 24
_MINUS_PX = 15
_GAP_PX = 8


class Chip(QAbstractButton):
    """Shows `clause`: one of the query (`removable`), or one that may be added or excluded.

    A click says `chosen(clause, exclude)`; its minus, Shift or the menu exclude. A clause of the
    query is edited by a double click; Shift says `chosen(clause, True)` to turn it round.
    """

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
        names: Mapping[str, str] = NO_NAMES,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.clause = clause
        self._count_text = count_text
        self._removable = removable
        self._strong = strong
        self._over_part = False
        self._full: tuple[Piece, ...] = ()
        self._pieces: tuple[Piece, ...] = ()
        self._words = self._hint = ""
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.setMouseTracking(True)
        self.setAttribute(Qt.WidgetAttribute.WA_Hover)
        self.set_names(names)
        self.clicked.connect(self._choose)

    def set_names(self, names: Mapping[str, str]) -> None:
        """Show photos by their names, which `names` gives by id."""
        self._full = pieces(self.clause, names)
        self._words = words = said(self.clause, names)
        self.setText(shown(self.clause, names))
        # An & is no mnemonic here.
        self.setShortcut(QKeySequence())
        self._pieces = self._elided(_MAX_TEXT_PX)
        if self._removable:
            self.setAccessibleName(words)
            self._hint = self.tr("Double-click to edit, Shift+click to exclude or include")
            self.setAccessibleDescription(
                self.tr("Enter edits it, minus excludes or includes it, Delete removes it")
            )
        else:
            self._hint = self.tr("Click to add, − to exclude")
            name = self.tr("%1: add, or exclude with minus").replace("%1", words)
            self.setAccessibleName(name)
            self.setAccessibleDescription(self._count_text)
        self._set_tip()
        self.updateGeometry()
        self.update()

    def _set_tip(self) -> None:
        cut = self._fitting() != self._full
        self.setToolTip(text.plain_tooltip(f"{self._words}\n{self._hint}" if cut else self._hint))

    def resizeEvent(self, event: QResizeEvent) -> None:
        self._set_tip()
        super().resizeEvent(event)

    def _fitting(self) -> tuple[Piece, ...]:
        """Return the pieces as they fit where the chip got less room than it wants."""
        lacking = self.sizeHint().width() - self.width()
        if lacking <= 0 or not self.isVisible():
            return self._pieces
        sign = ["−"] if self.clause.negated else []
        return self._elided(self._words_px() - lacking - self._px(sign))

    def _elided(self, room: int) -> tuple[Piece, ...]:
        """Cut the pieces where they become wider than `room`."""
        metrics = self.fontMetrics()
        space = metrics.horizontalAdvance(" ")
        kept: list[Piece] = []
        for piece in self._full:
            words = piece.words.replace("\n", " ")
            words = metrics.elidedText(words, Qt.TextElideMode.ElideRight, max(room, 0))
            kept.append(Piece(words, piece.quiet))
            room -= metrics.horizontalAdvance(words) + space
            if words != piece.words:
                break
        return tuple(piece for piece in kept if piece.words)

    def _words_px(self) -> int:
        shown = ["−"] * self.clause.negated + [piece.words for piece in self._pieces]
        return self._px(shown) - self.fontMetrics().horizontalAdvance(" ") + 1

    def _px(self, words: Iterable[str]) -> int:
        """Return the room of `words` and the space behind each."""
        return sum(self.fontMetrics().horizontalAdvance(f"{word} ") for word in words)

    def sizeHint(self) -> QSize:
        metrics = self.fontMetrics()
        width = _PAD_PX + self._words_px()
        if self._count_text:
            width += _GAP_PX + metrics.horizontalAdvance(self._count_text)
        # The minus covers nothing: the end is wide enough for it.
        width += _PART_PX + 4 if self._removable else _MINUS_PX + 7
        return QSize(width, max(HEIGHT_PX, metrics.height() + 10))

    def cross_rect(self) -> QRectF:
        """Return where the × is."""
        return self._end_rect(4) if self._removable else QRectF()

    def minus_rect(self) -> QRectF:
        """Return where the − is, which shows under the mouse and with the focus."""
        return QRectF() if self._removable else self._end_rect(0)

    def _end_rect(self, inset: int) -> QRectF:
        x = inset if self._right_to_left() else self.width() - _PART_PX - inset
        return QRectF(x, (self.height() - _PART_PX) / 2, _PART_PX, _PART_PX)

    def _right_to_left(self) -> bool:
        return self.layoutDirection() == Qt.LayoutDirection.RightToLeft

    def _choose(self) -> None:
        shift = bool(QApplication.keyboardModifiers() & Qt.KeyboardModifier.ShiftModifier)
        # The first click of a double click must not change anything.
        if shift or not self._removable:
            self.chosen.emit(self.clause, shift)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        place = event.position()
        if event.button() == Qt.MouseButton.LeftButton and self.isDown():
            if self.cross_rect().contains(place):
                self.setDown(False)
                self.removed.emit(self.clause)
                return
            if self.minus_rect().contains(place):
                self.setDown(False)
                self.chosen.emit(self.clause, True)
                return
        super().mouseReleaseEvent(event)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        on_cross = self.cross_rect().contains(event.position())
        if self._removable and event.button() == Qt.MouseButton.LeftButton and not on_cross:
            self.edit_wanted.emit(self.clause)
        else:
            super().mouseDoubleClickEvent(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        part = self.cross_rect() if self._removable else self.minus_rect()
        over = part.contains(event.position())
        if over != self._over_part:
            self._over_part = over
            self.update()
        super().mouseMoveEvent(event)

    def leaveEvent(self, event: QEvent) -> None:
        self._over_part = False
        super().leaveEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        key = event.key()
        enter = key in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space)
        shift = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        if key == Qt.Key.Key_Minus or (enter and shift):
            self.chosen.emit(self.clause, True)
        elif not self._removable and enter:
            self.chosen.emit(self.clause, False)
        elif self._removable and key == Qt.Key.Key_Delete:
            self.removed.emit(self.clause)
        elif self._removable and (enter or key in (Qt.Key.Key_Backspace, Qt.Key.Key_F2)):
            self.edit_wanted.emit(self.clause)
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
            self._paint_part(painter, "close", self.cross_rect(), ink, paper)
        elif self.underMouse() or self.hasFocus():
            self._paint_part(painter, "minus", self.minus_rect(), ink, colours.color(role.Mid))
        painter.end()

    def _paint_part(
        self, painter: QPainter, icon: str, place: QRectF, ink: QColor, paper: QColor
    ) -> None:
        if self._over_part or icon == "minus":
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(ink if self._over_part and icon == "minus" else paper)
            radius = 10 if icon == "close" else _MINUS_PX / 2
            painter.drawEllipse(place.center(), radius, radius)
        if self._over_part and icon == "minus":
            ink = self.palette().color(QPalette.ColorRole.Window)
        icons.paint(painter, icon, place.adjusted(5, 5, -5, -5), ink)

    def _paint_words(self, painter: QPainter, ink: QColor, quiet: QColor) -> None:
        metrics = self.fontMetrics()
        baseline = (self.height() + metrics.ascent() - metrics.descent()) / 2
        from_right = self._right_to_left()
        x: float = self.width() - _PAD_PX if from_right else _PAD_PX

        # Each piece is read in its own direction, whatever that of the window is.
        painter.setLayoutDirection(Qt.LayoutDirection.LayoutDirectionAuto)

        def paint(words: str, colour: QColor, gap: int) -> None:
            nonlocal x
            width = metrics.horizontalAdvance(words)
            painter.setPen(colour)
            painter.drawText(QPointF(x - width if from_right else x, baseline), words)
            x += -(width + gap) if from_right else width + gap

        space = metrics.horizontalAdvance(" ")
        if self.clause.negated:
            paint("−", ink, space)
        for piece in self._fitting():
            paint(piece.words, quiet if piece.quiet else ink, space)
        if self._count_text:
            x += space - _GAP_PX if from_right else _GAP_PX - space
            paint(self._count_text, quiet, 0)
