"""What stands in place of the grid when there is nothing to show: why, and what to do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from PySide6.QtCore import QEvent, QSize, Qt
from PySide6.QtGui import QPalette, QResizeEvent
from PySide6.QtWidgets import (
    QFrame,
    QLabel,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from photosearch.domain import Clause
from photosearch.gui import icons, text
from photosearch.gui.chip import Chip
from photosearch.gui.clause_text import NO_NAMES, said
from photosearch.gui.flow_box import FlowBox

_ICON_PX = 56
_TEXT_PX = 440
_MARGIN_PX = 24


class StatePage(QScrollArea):
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
        self.progress = QProgressBar()
        self.progress.setRange(0, 0)
        self.progress.setTextVisible(False)
        self.progress.setFixedWidth(240)
        self.progress.hide()
        self._buttons = FlowBox(centred=True)
        self._buttons.hide()
        self.buttons: list[QWidget] = []
        page = QWidget()
        column = QVBoxLayout(page)
        column.setContentsMargins(_MARGIN_PX, _MARGIN_PX, _MARGIN_PX, _MARGIN_PX)
        column.setSpacing(8)
        column.addStretch(2)
        for widget in (self._picture, self.title, self.body):
            column.addWidget(widget, 0, Qt.AlignmentFlag.AlignHCenter)
        column.addSpacing(8)
        column.addWidget(self.progress, 0, Qt.AlignmentFlag.AlignHCenter)
        column.addWidget(self._buttons)
        column.addStretch(3)
        # Many words to drop must not take the room of the search bar.
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Ignored)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setWidget(page)
        for plain in (page, self.viewport()):
            plain.setAutoFillBackground(False)
        self._paint_icon()

    def say(self, title: str, body: str) -> None:
        """Set the texts."""
        self.title.setText(title)
        self.body.setText(body)
        self.body.setVisible(bool(body))
        self.setAccessibleName(title)
        self.setAccessibleDescription(body)
        self._fit()

    def _fit(self) -> None:
        width = max(1, min(_TEXT_PX, self.viewport().width() - 2 * _MARGIN_PX))
        for label in (self.title, self.body):
            label.setFixedWidth(width)
            label.setMinimumHeight(max(0, label.heightForWidth(width)))

    def resizeEvent(self, event: QResizeEvent) -> None:
        self._fit()
        super().resizeEvent(event)

    def offer(self, actions: Sequence[tuple[str, Callable[[], object]]]) -> None:
        """Replace the buttons; the first is what most people want."""
        widgets: list[QWidget] = []
        for number, (name, act) in enumerate(actions):
            button = QPushButton(name)
            button.setProperty("primary", number == 0)
            button.clicked.connect(act)
            widgets.append(button)
        self._set_buttons(widgets)

    def offer_chips(
        self,
        clauses: Sequence[Clause],
        without: Callable[[Clause], object],
        names: Mapping[str, str] = NO_NAMES,
    ) -> None:
        """Replace the buttons by chips whose × or click drops a clause."""
        widgets: list[QWidget] = []
        for clause in clauses:
            chip = Chip(clause, removable=True, names=names)
            name = self.tr("Search without %1").replace("%1", said(clause, names))
            chip.setAccessibleName(name)
            chip.setAccessibleDescription("")
            chip.setToolTip(text.plain_tooltip(name))
            for asked in (chip.removed, chip.edit_wanted):
                asked.connect(without)
            chip.clicked.connect(lambda _checked=False, clause=clause: without(clause))
            widgets.append(chip)
        self._set_buttons(widgets)

    def _set_buttons(self, widgets: list[QWidget]) -> None:
        for old in self.buttons:
            self._buttons.remove(old)
        for widget in widgets:
            self._buttons.add(widget)
        self._buttons.setVisible(bool(widgets))
        self.buttons = widgets

    def _paint_icon(self) -> None:
        ink = self.palette().color(QPalette.ColorRole.Dark)
        size = QSize(_ICON_PX, _ICON_PX)
        self._picture.setPixmap(icons.pixmap(self._icon, size, ink, self.devicePixelRatioF()))

    def changeEvent(self, event: QEvent) -> None:
        if event.type() == QEvent.Type.PaletteChange:
            self._paint_icon()
        super().changeEvent(event)
