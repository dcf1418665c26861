"""Indexing stage by stage: how far, how fast, how long still."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QDialog,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from photosearch.domain import CAPTION_STAGES, StageProgress, Status
from photosearch.gui import text
from photosearch.gui.caption_now import CaptionNowButton, current_stage, holds_shown
from photosearch.gui.status_panel import StatusPanel, stage_total


class IndexingDialog(QDialog):
    """Follows the status while it is open."""

    def __init__(self, panel: StatusPanel, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Indexing"))
        self.setMinimumWidth(600)
        self._panel = panel
        self._summary = QLabel()
        self._summary.setProperty("role", "heading")
        self._hint = QLabel()
        self._hint.setProperty("role", "quiet")
        self.reasons = QLabel()
        self.reasons.setAlignment(Qt.AlignmentFlag.AlignLeading | Qt.AlignmentFlag.AlignTop)
        self.caption_button = CaptionNowButton()
        for label in (self._summary, self._hint, self.reasons):
            label.setTextFormat(Qt.TextFormat.PlainText)
            label.setWordWrap(True)
        self._grid = QGridLayout()
        self._grid.setHorizontalSpacing(16)
        self._grid.setVerticalSpacing(12)
        self._grid.setColumnStretch(1, 1)
        self.rows: dict[str, tuple[QLabel, QProgressBar, QLabel]] = {}
        close = QPushButton(self.tr("Close"))
        close.clicked.connect(self.close)
        close.setDefault(True)
        close.setFocus()
        column = QVBoxLayout(self)
        column.setContentsMargins(24, 24, 24, 16)
        column.setSpacing(16)
        column.addLayout(self._make_head())
        column.addLayout(self._grid)
        column.addWidget(self._hint)
        column.addStretch(1)
        column.addWidget(close, 0, Qt.AlignmentFlag.AlignRight)

    def _make_head(self) -> QHBoxLayout:
        words = QVBoxLayout()
        words.setSpacing(8)
        words.addWidget(self._summary)
        words.addWidget(self.reasons)
        words.addStretch(1)
        head = QHBoxLayout()
        head.setSpacing(16)
        head.addLayout(words, 1)
        head.addWidget(self.caption_button, 0, Qt.AlignmentFlag.AlignTop)
        return head

    def show_status(self, status: Status) -> None:
        """Show `status`."""
        self._show_state(status)
        for stage in status.stages:
            name, bar, numbers = self._row(stage)
            name.setText(text.stage_text(stage.stage))
            bar.setRange(0, max(1, stage_total(stage)))
            bar.setValue(stage.done + stage.failed)
            numbers.setText(self._numbers(stage))
        captioned = any(stage.stage in CAPTION_STAGES for stage in status.stages)
        if captioned or status.captioner:
            hint = self.tr("Captions are written by %1.").replace("%1", status.captioner)
        else:
            hint = self.tr(
                "With a vision language model photosearch also writes captions of each photo and "
                "of parts of it, which makes small things findable. Add one with: "
                "photosearch models use MODEL.gguf --mmproj MMPROJ.gguf"
            )
        hints = [hint]
        if any(s.waiting and s.seconds_left for s in status.stages if s.stage in CAPTION_STAGES):
            hints.append(self.tr("Work left is counted without the time in which captions wait."))
        self._hint.setText("\n".join([*hints, *status.notices]))

    def _show_state(self, status: Status) -> None:
        run, stage = self._panel.run_now, current_stage(status)
        holds = () if run.is_starting else holds_shown(status)
        lines = [f"• {hold.reason}" for hold in holds]
        if holds and stage is not None and stage.stage in CAPTION_STAGES:
            self._summary.setText(self.tr("Captions wait"))
        else:
            self._summary.setText(self._panel.summary(status))
            lines.insert(0, self.tr("Captions wait:"))
        self.reasons.setText("\n".join(lines))
        self.reasons.setVisible(bool(holds))
        self.caption_button.show_state(status, run)

    def _row(self, stage: StageProgress) -> tuple[QLabel, QProgressBar, QLabel]:
        if stage.stage not in self.rows:
            bar = QProgressBar()
            bar.setTextVisible(False)
            row = (QLabel(), bar, QLabel())
            row[2].setProperty("role", "quiet")
            line = len(self.rows)
            for at, widget in enumerate(row):
                self._grid.addWidget(widget, line, at, Qt.AlignmentFlag.AlignVCenter)
            self.rows[stage.stage] = row
        return self.rows[stage.stage]

    def _numbers(self, stage: StageProgress) -> str:
        parts = [
            self.tr("%1 of %2")
            .replace("%1", text.count_text(stage.done))
            .replace("%2", text.count_text(stage_total(stage)))
        ]
        if stage.failed:
            parts.append(self.tr("%Ln failed", None, stage.failed))
        return " · ".join(parts + text.pace_texts(stage))
