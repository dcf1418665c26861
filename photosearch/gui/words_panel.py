"""The words of a photo or a result: the cloud above, the bars below."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QLabel, QVBoxLayout, QWidget

from photosearch.domain import TermCount
from photosearch.gui.background import Background
from photosearch.gui.bar_chart import BarChart
from photosearch.gui.cloud_view import CloudView


class WordsPanel(QWidget):
    """Each word can be clicked: it becomes a chip, with Shift an excluding one."""

    chosen = Signal(object, bool)
    hovered = Signal(str)

    def __init__(self, background: Background, cloud_px: int = 208) -> None:
        super().__init__()
        self.cloud = CloudView(background, cloud_px)
        self.bars = BarChart()
        heading = QLabel(self.tr("Most frequent words"))
        heading.setProperty("role", "heading")
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        column.addWidget(self.cloud)
        column.addSpacing(8)
        column.addWidget(heading)
        column.addWidget(self.bars)
        for view in (self.cloud, self.bars):
            view.chosen.connect(self.chosen)
            view.hovered.connect(self.hovered)

    def set_words(self, words: Sequence[TermCount]) -> None:
        """Show `words`; without any there is nothing to see."""
        self.cloud.set_words(words)
        self.bars.set_words(words)
        self.setVisible(bool(words))
