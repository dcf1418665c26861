"""A line at the top of the window: what went wrong, and what to do next."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QEvent, QSize, Qt
from PySide6.QtGui import QPalette
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QToolButton

from photosearch.gui import icons


class MessageBar(QFrame):
    """Shows the latest message until it is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("messageBar")
        self._act: Callable[[], object] | None = None
        self._sign = QLabel()
        self._sign.setFixedSize(20, 20)
        self.label = QLabel()
        self.label.setTextFormat(Qt.TextFormat.PlainText)
        self.label.setWordWrap(True)
        self.button = QPushButton()
        self.button.clicked.connect(self._on_button)
        self.close_button = QToolButton()
        self.close_button.setIcon(icons.icon("close"))
        self.close_button.setIconSize(QSize(16, 16))
        self.close_button.setAccessibleName(self.tr("Close this message"))
        self.close_button.setToolTip(self.tr("Close this message"))
        self.close_button.clicked.connect(self.hide)
        line = QHBoxLayout(self)
        line.setContentsMargins(16, 8, 8, 8)
        line.setSpacing(12)
        line.addWidget(self._sign)
        line.addWidget(self.label, 1)
        line.addWidget(self.button)
        line.addWidget(self.close_button)
        self.hide()
        self._paint_sign()

    def say(self, message: str, action: str = "", act: Callable[[], object] | None = None) -> None:
        """Show `message`, with a button `action` that calls `act`."""
        self.label.setText(message)
        self.setAccessibleName(message)
        self._act = act
        self.button.setText(action)
        self.button.setVisible(bool(action))
        self.show()

    def _on_button(self) -> None:
        self.hide()
        if self._act is not None:
            self._act()

    def _paint_sign(self) -> None:
        ink = self.palette().color(QPalette.ColorRole.BrightText)
        self._sign.setPixmap(icons.pixmap("warning", QSize(20, 20), ink, self.devicePixelRatioF()))

    def changeEvent(self, event: QEvent) -> None:
        if event.type() == QEvent.Type.PaletteChange:
            self._paint_sign()
        super().changeEvent(event)
