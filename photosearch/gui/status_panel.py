"""The line at the bottom: what is being indexed, how fast, how long still, what waits or failed."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QMouseEvent, QPainter, QPaintEvent, QPalette, QResizeEvent
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QToolButton,
)

from photosearch.domain import CAPTION_STAGES, StageProgress, Status
from photosearch.gui import icons, text
from photosearch.gui.caption_now import CaptionNowButton, RunNow, current_stage, holds_shown

_BAR_FROM_PX = 900


def stage_total(stage: StageProgress) -> int:
    """Return the number of photos of a stage, in any state."""
    return stage.done + stage.waiting + stage.failed


class _Line(QLabel):
    """A line that ends in an ellipsis where it is too long."""

    def paintEvent(self, _event: QPaintEvent) -> None:
        room = self.contentsRect()
        words = self.fontMetrics().elidedText(
            self.text(), Qt.TextElideMode.ElideRight, room.width()
        )
        side = Qt.AlignmentFlag.AlignLeading | Qt.AlignmentFlag.AlignVCenter
        painter = QPainter(self)
        self.style().drawItemText(
            painter, room, self.style().visualAlignment(self.layoutDirection(), side).value,
            self.palette(), self.isEnabled(), words, QPalette.ColorRole.WindowText,
        )  # fmt: skip
        painter.end()


class StatusPanel(QFrame):
    """One line that is true; a click on it tells more."""

    pause_wanted = Signal(bool)
    start_wanted = Signal()
    details_wanted = Signal()
    failures_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("statusPanel")
        self._status: Status | None = None
        self.run_now = RunNow()
        self.pause_button = QToolButton()
        self.pause_button.setIconSize(QSize(16, 16))
        self.pause_button.clicked.connect(self._on_pause)
        self.label = _Line()
        self.label.setTextFormat(Qt.TextFormat.PlainText)
        self.label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.label.setCursor(Qt.CursorShape.PointingHandCursor)
        self.progress = QProgressBar()
        self.progress.setTextVisible(False)
        self.progress.setFixedWidth(144)
        self.progress.setAccessibleName(self.tr("Progress of this stage"))
        self.caption_button = CaptionNowButton()
        self.caption_button.setProperty("quiet", True)
        self.failures_button = QPushButton()
        self.failures_button.setProperty("quiet", True)
        self.failures_button.setIcon(icons.icon("warning"))
        self.failures_button.clicked.connect(self.failures_wanted)
        self.count = QLabel()
        self.count.setProperty("role", "quiet")
        line = QHBoxLayout(self)
        line.setContentsMargins(8, 4, 16, 4)
        line.setSpacing(8)
        line.addWidget(self.pause_button)
        line.addWidget(self.progress)
        line.addSpacing(4)
        line.addWidget(self.label, 1)
        line.addWidget(self.caption_button)
        line.addWidget(self.failures_button)
        line.addWidget(self.count)
        self.setMinimumHeight(40)
        self.progress.hide()
        self.pause_button.hide()
        self.failures_button.hide()

    def show_status(self, status: Status) -> None:
        """Show `status`."""
        self._status = status
        self.run_now.follow(status)
        stage = current_stage(status)
        words = self.summary(status)
        self.label.setText(words)
        self.label.setToolTip(text.plain_tooltip(self._more(status)))
        self.setAccessibleName(words)
        self._show_bar()
        self.caption_button.show_state(status, self.run_now)
        if stage is not None:
            self.progress.setRange(0, max(1, stage_total(stage)))
            self.progress.setValue(stage.done + stage.failed)
        self._show_button(status, stage is not None)
        self.failures_button.setVisible(status.failure_count > 0)
        self.failures_button.setText(self.tr("%Ln problem(s)", None, status.failure_count))
        self.count.setText(self.tr("%Ln photo(s)", None, status.photo_count))

    def _show_button(self, status: Status, working: bool) -> None:
        resume = status.paused or status.service_pid is None
        name = self.tr("Resume indexing") if resume else self.tr("Pause indexing")
        self.pause_button.setIcon(icons.icon("play" if resume else "pause"))
        self.pause_button.setToolTip(name)
        self.pause_button.setAccessibleName(name)
        self.pause_button.setVisible(bool(status.folders) and (working or status.paused))

    def _show_bar(self) -> None:
        stage = current_stage(self._status) if self._status is not None else None
        self.progress.setVisible(stage is not None and self.width() >= _BAR_FROM_PX)

    def _more(self, status: Status) -> str:
        """Return what the line has no room for."""
        holds = holds_shown(status)
        if self.run_now.is_starting or not holds:
            return status.activity
        stage = current_stage(status)
        reasons = [hold.reason for hold in holds]
        return "\n".join([self.tr("Captions wait:"), *reasons, *self._numbers(stage)])

    def _numbers(self, stage: StageProgress | None) -> list[str]:
        if stage is None:
            return []
        numbers = (
            self.tr("%1 of %2")
            .replace("%1", text.count_text(stage.done + stage.failed))
            .replace("%2", text.count_text(stage_total(stage)))
        )
        return [f"{text.stage_text(stage.stage)}: {numbers}"]

    def summary(self, status: Status) -> str:
        """Return what is going on, in a line."""
        if not status.folders:
            return self.tr("No folders yet")
        stage = current_stage(status)
        if stage is None:
            if status.paused:
                return self.tr("Paused")
            if status.service_pid is not None and status.activity:
                return status.activity
            return self.tr("All photos are up to date")
        parts = self._numbers(stage)
        holds = holds_shown(status) if stage.stage in CAPTION_STAGES else ()
        if status.paused:
            parts.insert(0, self.tr("Paused"))
        elif status.service_pid is None:
            parts.insert(0, self.tr("Indexing is not running"))
        elif self.run_now.is_starting:
            parts.insert(0, self.tr("Captioning begins"))
        elif holds:
            parts = [self.tr("Captions wait"), holds[0].reason.removesuffix(".")]
            if len(holds) > 1:
                parts.append(self.tr("%Ln more reason(s)", None, len(holds) - 1))
        else:
            parts += text.pace_texts(stage)
        return " · ".join(parts)

    def _on_pause(self) -> None:
        status = self._status
        if status is None:
            return
        if status.paused:
            self.pause_wanted.emit(False)
        elif status.service_pid is None:
            self.start_wanted.emit()
        else:
            self.pause_wanted.emit(True)

    def resizeEvent(self, event: QResizeEvent) -> None:
        self._show_bar()
        super().resizeEvent(event)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            self.details_wanted.emit()
