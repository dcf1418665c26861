"""What stands in place of the grid when there is nothing to show: why, and what to do."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import QEvent, QSize, Qt
from PySide6.QtGui import QPalette
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from photosearch.domain import Clause
from photosearch.gui import icons
from photosearch.gui.chip import Chip

_ICON_PX = 56
_TEXT_PX = 440


class StatePage(QWidget):
    """An icon, a title, a sentence, and buttons for what can be done now."""

    def __init__(self, icon: str) -> None:
        super().__init__()
        self._icon = icon
        self._picture = QLabel()
        self._picture.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.title = QLabel()
        self.title.setProperty("role", "title")
        self.body = QLabel()
        self.body.setProperty("role", "quiet")
        for label in (self.title, self.body):
            label.setTextFormat(Qt.TextFormat.PlainText)
            label.setAlignment(Qt.AlignmentFlag.AlignCenter)
            label.setWordWrap(True)
            label.setFixedWidth(_TEXT_PX)
        self.progress = QProgressBar()
        self.progress.setRange(0, 0)
        self.progress.setTextVisible(False)
        self.progress.setFixedWidth(240)
        self.progress.hide()
        self._buttons = QHBoxLayout()
        self._buttons.setSpacing(8)
        self.buttons: list[QWidget] = []
        column = QVBoxLayout(self)
        column.setContentsMargins(24, 24, 24, 24)
        column.setSpacing(8)
        column.addStretch(2)
        for widget in (self._picture, self.title, self.body):
            column.addWidget(widget, 0, Qt.AlignmentFlag.AlignHCenter)
        column.addSpacing(8)
        column.addWidget(self.progress, 0, Qt.AlignmentFlag.AlignHCenter)
        column.addLayout(self._buttons)
        column.addStretch(3)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Ignored)
        self._paint_icon()

    def say(self, title: str, body: str) -> None:
        """Set the texts."""
        self.title.setText(title)
        self.body.setText(body)
        self.body.setVisible(bool(body))
        for label in (self.title, self.body):
            label.setMinimumHeight(max(0, label.heightForWidth(_TEXT_PX)))
        self.setAccessibleName(title)
        self.setAccessibleDescription(body)

    def offer(self, actions: Sequence[tuple[str, Callable[[], object]]]) -> None:
        """Replace the buttons; the first is what most people want."""
        widgets: list[QWidget] = []
        for number, (name, act) in enumerate(actions):
            button = QPushButton(name)
            button.setProperty("primary", number == 0)
            button.clicked.connect(act)
            widgets.append(button)
        self._set_buttons(widgets)

    def offer_chips(self, clauses: Sequence[Clause], without: Callable[[Clause], object]) -> None:
        """Replace the buttons by chips whose × or click drops a word."""
        widgets: list[QWidget] = []
        for clause in clauses:
            chip = Chip(clause, removable=True)
            chip.setAccessibleName(self.tr("Search without %1").replace("%1", clause.text))
            chip.removed.connect(without)
            chip.chosen.connect(lambda dropped, _exclude: without(dropped))
            widgets.append(chip)
        self._set_buttons(widgets)

    def _set_buttons(self, widgets: list[QWidget]) -> None:
        while self._buttons.count():
            item = self._buttons.takeAt(0)
            if item is not None and (old := item.widget()) is not None:
                old.hide()
                old.deleteLater()
        self._buttons.addStretch(1)
        for widget in widgets:
            self._buttons.addWidget(widget)
        self._buttons.addStretch(1)
        self.buttons = widgets

    def _paint_icon(self) -> None:
        ink = self.palette().color(QPalette.ColorRole.Dark)
        size = QSize(_ICON_PX, _ICON_PX)
        self._picture.setPixmap(icons.pixmap(self._icon, size, ink, self.devicePixelRatioF()))

    def changeEvent(self, event: QEvent) -> None:
        if event.type() == QEvent.Type.PaletteChange:
            self._paint_icon()
        super().changeEvent(event)
