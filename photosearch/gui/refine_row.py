"""The row of words that would narrow the result."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from photosearch.domain import Clause, SearchResults
from photosearch.gui import text
from photosearch.gui.chip import HEIGHT_PX, Chip

_GAP_PX = 8


class RefineRow(QWidget):
    """Chips with counts on one line; those that find no room are hidden."""

    chosen = Signal(object, bool)
    """A clause, and whether it is to be excluded."""

    def __init__(self) -> None:
        super().__init__()
        self._chips: list[Chip] = []
        self._shown: tuple[object, ...] = ()
        self.setAccessibleName(self.tr("Words that narrow the result"))
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:
        return QSize(200, HEIGHT_PX)

    def minimumSizeHint(self) -> QSize:
        return QSize(0, HEIGHT_PX)

    @property
    def words(self) -> list[str]:
        """The words on offer, on screen or not."""
        return [chip.text() for chip in self._chips]

    def chips(self) -> list[Chip]:
        """Return the chips that are on screen."""
        return [chip for chip in self._chips if not chip.isHidden()]

    def show_words(self, results: SearchResults) -> None:
        """Offer the refinement words of `results`."""
        shown = (results.refine, results.refine_is_estimate)
        if shown == self._shown:
            return
        self._shown = shown
        for chip in self._chips:
            chip.hide()
            chip.deleteLater()
        self._chips = []
        for term in results.refine:
            count = text.about_count_text(term.count, results.refine_is_estimate)
            chip = Chip(Clause(term.word), count_text=count, parent=self)
            chip.chosen.connect(self._choose)
            self._chips.append(chip)
        self._place()

    def _choose(self, clause: Clause, exclude: bool) -> None:
        self.chosen.emit(clause.opposite() if exclude else clause, exclude)

    def _place(self) -> None:
        x = 0
        from_right = self.layoutDirection() == Qt.LayoutDirection.RightToLeft
        for chip in self._chips:
            size = chip.sizeHint()
            fits = x + size.width() <= self.width()
            chip.setVisible(fits)
            if fits:
                left = self.width() - x - size.width() if from_right else x
                chip.setGeometry(left, 0, size.width(), size.height())
            x += size.width() + _GAP_PX

    def resizeEvent(self, event: QResizeEvent) -> None:
        self._place()
