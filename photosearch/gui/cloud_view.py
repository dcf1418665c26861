"""A word cloud that can be clicked; laid out in the background, painted with the same font."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, QTimer, Signal
from PySide6.QtGui import (
    QColor,
    QFont,
    QFontDatabase,
    QMouseEvent,
    QPainter,
    QPainterPath,
    QPaintEvent,
    QPalette,
    QResizeEvent,
    QShowEvent,
    QTransform,
)
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from photosearch.clouds import DARK_INKS, LIGHT_INKS, PlacedWord, font_path, layout
from photosearch.domain import Clause, TermCount
from photosearch.gui import text
from photosearch.gui.background import Background, Lane
from photosearch.gui.theme import is_dark

_names = itertools.count()


@functools.cache
def _cloud_family() -> str:
    number = QFontDatabase.addApplicationFont(str(font_path()))
    return QFontDatabase.applicationFontFamilies(number)[0]


def word_path(placed: PlacedWord) -> QPainterPath:
    """Return the outline of a word where the layout put it."""
    font = QFont(_cloud_family())
    font.setPixelSize(placed.size)
    font.setHintingPreference(QFont.HintingPreference.PreferNoHinting)
    path = QPainterPath()
    path.addText(QPointF(), font, placed.word)
    # As Pillow does it: across the line the ink counts, along it the pen's way.
    if placed.vertical:
        path = QTransform().rotate(-90).map(path)
        ink = path.boundingRect()
        bottom = placed.y + placed.height
        return path.translated(placed.x - ink.left(), bottom - max(0.0, ink.bottom()))
    ink = path.boundingRect()
    return path.translated(placed.x - min(0.0, ink.left()), placed.y - ink.top())


class CloudView(QWidget):
    """Words in sizes by their counts."""

    chosen = Signal(object, bool)
    """A clause, and whether it is to be excluded (Shift)."""
    hovered = Signal(str)
    """The word under the mouse, or nothing."""

    def __init__(self, background: Background, height_px: int = 208) -> None:
        super().__init__()
        self._background = background
        self._channel = f"cloud-{next(_names)}"
        self._height = height_px
        self._words: tuple[TermCount, ...] = ()
        self._placed: list[tuple[PlacedWord, QPainterPath]] = []
        self._over: PlacedWord | None = None
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.setInterval(60)
        self._later.timeout.connect(self._lay_out)
        self.setMouseTracking(True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(self.tr("Word cloud"))

    def sizeHint(self) -> QSize:
        return QSize(320, self._height)

    def minimumSizeHint(self) -> QSize:
        return QSize(160, self._height)

    def words_placed(self) -> list[PlacedWord]:
        """Return the words on screen."""
        return [placed for placed, _ in self._placed]

    def set_words(self, words: Sequence[TermCount]) -> None:
        """Show `words`; the picture follows when it is laid out."""
        if tuple(words) == self._words:
            return
        self._words = tuple(words)
        self._placed = []
        # While it is hidden nothing else takes the place of what is under way.
        self._background.cancel(self._channel)
        self.setAccessibleDescription(", ".join(term.word for term in self._words[:15]))
        self._lay_out()

    def _lay_out(self) -> None:
        if not self.isVisible():
            return
        words, size = self._words, self.size()

        def take(placed: list[PlacedWord]) -> None:
            if size == self.size():
                self._take(placed)

        self._background.submit(
            lambda: layout(words, size.width(), size.height()),
            take,
            channel=self._channel,
            lane=Lane.CHORE,
        )

    def _take(self, placed: list[PlacedWord]) -> None:
        self._over = None
        self._placed = [(word, word_path(word)) for word in placed]
        self.update()

    def resizeEvent(self, event: QResizeEvent) -> None:
        if self._words:
            self._placed = []
            self._later.start()
        super().resizeEvent(event)

    def showEvent(self, event: QShowEvent) -> None:
        self._later.start()
        super().showEvent(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        inks = DARK_INKS if is_dark(self.palette()) else LIGHT_INKS
        painter.setPen(Qt.PenStyle.NoPen)
        for placed, path in self._placed:
            if placed is self._over:
                painter.setBrush(self.palette().color(QPalette.ColorRole.AlternateBase))
                painter.drawRoundedRect(self._rect(placed).adjusted(-4, -3, 4, 3), 4, 4)
            painter.setBrush(QColor(inks[placed.rank % len(inks)]))
            painter.drawPath(path)
        painter.end()

    @staticmethod
    def _rect(placed: PlacedWord) -> QRectF:
        return QRectF(placed.x, placed.y, placed.width, placed.height)

    def _word_at(self, point: QPointF) -> PlacedWord | None:
        for placed, _ in self._placed:
            if self._rect(placed).adjusted(-3, -3, 3, 3).contains(point):
                return placed
        return None

    def _hover(self, placed: PlacedWord | None) -> None:
        if placed is self._over:
            return
        self._over = placed
        self.setCursor(Qt.CursorShape.PointingHandCursor if placed else Qt.CursorShape.ArrowCursor)
        self.hovered.emit(placed.word if placed else "")
        self.update()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self._hover(self._word_at(event.position()))

    def leaveEvent(self, event: QEvent) -> None:
        self._hover(None)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        placed = self._word_at(event.position())
        if placed is not None and event.button() == Qt.MouseButton.LeftButton:
            exclude = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
            self.chosen.emit(Clause(placed.word, negated=exclude), exclude)

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ToolTip and self._over is not None:
            words = f"{self._over.word}: {text.count_text(self._over.count)}"
            QToolTip.showText(self.cursor().pos(), text.plain_tooltip(words), self)
            return True
        return super().event(event)
