"""What could not be processed: file, stage and reason, with another try."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PySide6.QtCore import (
    QAbstractTableModel,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QPushButton,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from photosearch.domain import Failure, display_path
from photosearch.gui import text

_Index = QModelIndex | QPersistentModelIndex


class _Failures(QAbstractTableModel):
    """File, stage, reason."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self.failures: tuple[Failure, ...] = ()

    def show(self, failures: Sequence[Failure]) -> None:
        """Replace the rows."""
        self.beginResetModel()
        self.failures = tuple(failures)
        self.endResetModel()

    def rowCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: B008 - Qt's signature
        return 0 if parent.isValid() else len(self.failures)

    def columnCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: B008
        return 3

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        failure = self.failures[index.row()]
        texts = (display_path(failure.path.name), text.stage_text(failure.stage), failure.reason)
        if role == Qt.ItemDataRole.DisplayRole:
            return texts[index.column()].replace("\n", " ")
        if role == Qt.ItemDataRole.ToolTipRole:
            tip = display_path(failure.path) if index.column() == 0 else texts[index.column()]
            return text.plain_tooltip(tip)
        return None

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        if role == Qt.ItemDataRole.DisplayRole and orientation == Qt.Orientation.Horizontal:
            return (self.tr("File"), self.tr("Stage"), self.tr("Reason"))[section]
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return Qt.AlignmentFlag.AlignLeading | Qt.AlignmentFlag.AlignVCenter
        return None


class FailuresDialog(QDialog):
    """Lists failures; retrying and showing are asked of the window."""

    retry_wanted = Signal(object)
    """Job ids, or None for all."""
    show_wanted = Signal(Path)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Problems"))
        self.resize(QSize(760, 440))
        self._model = _Failures(self)
        self.heading = QLabel()
        self.heading.setProperty("role", "heading")
        self.table = QTableView()
        self.table.setAccessibleName(self.tr("Files that could not be processed"))
        self.table.setModel(self._model)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setShowGrid(False)
        self.table.setWordWrap(False)
        self.table.setTabKeyNavigation(False)
        self.table.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.table.verticalHeader().hide()
        self.table.verticalHeader().setDefaultSectionSize(32)
        header = self.table.horizontalHeader()
        header.setHighlightSections(False)
        header.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        header.setStretchLastSection(True)
        header.resizeSection(0, 240)
        header.resizeSection(1, 160)
        self.show_button = QPushButton(self.tr("Show in folder"))
        self.retry_button = QPushButton(self.tr("Try again"))
        self.retry_all_button = QPushButton(self.tr("Try all again"))
        close = QPushButton(self.tr("Close"))
        close.setDefault(True)
        self.show_button.clicked.connect(self._show_file)
        self.retry_button.clicked.connect(
            lambda: self.retry_wanted.emit([failure.job_id for failure in self.selected()])
        )
        self.retry_all_button.clicked.connect(lambda: self.retry_wanted.emit(None))
        close.clicked.connect(self.close)
        buttons = QHBoxLayout()
        buttons.setSpacing(8)
        buttons.addWidget(self.show_button)
        buttons.addStretch(1)
        buttons.addWidget(self.retry_button)
        buttons.addWidget(self.retry_all_button)
        buttons.addWidget(close)
        column = QVBoxLayout(self)
        column.setContentsMargins(24, 24, 24, 16)
        column.setSpacing(16)
        column.addWidget(self.heading)
        column.addWidget(self.table, 1)
        column.addLayout(buttons)
        self.table.selectionModel().selectionChanged.connect(self._update_buttons)
        self._update_buttons()

    def failures(self) -> tuple[Failure, ...]:
        """Return the failures listed."""
        return self._model.failures

    def show_failures(self, failures: Sequence[Failure]) -> None:
        """List `failures`, keeping what is selected."""
        if tuple(failures) == self._model.failures:
            return
        selected = {failure.job_id for failure in self.selected()}
        self._model.show(failures)
        self.heading.setText(self.tr("%Ln file(s) could not be read", None, len(failures)))
        for row, failure in enumerate(failures):
            if failure.job_id in selected:
                self.table.selectionModel().select(
                    self._model.index(row, 0),
                    self.table.selectionModel().SelectionFlag.Select
                    | self.table.selectionModel().SelectionFlag.Rows,
                )
        self._update_buttons()

    def selected(self) -> list[Failure]:
        """Return the selected failures."""
        rows = self.table.selectionModel().selectedRows()
        return [self._model.failures[index.row()] for index in rows]

    def _show_file(self) -> None:
        for failure in self.selected()[:1]:
            self.show_wanted.emit(failure.path)

    def _update_buttons(self) -> None:
        chosen = bool(self.table.selectionModel().selectedRows())
        self.show_button.setEnabled(chosen)
        self.retry_button.setEnabled(chosen)
        self.retry_all_button.setEnabled(bool(self._model.failures))
