"""Which rows of the grid are chosen, and from where Shift goes on."""

from __future__ import annotations

from collections.abc import Iterable

from PySide6.QtCore import QItemSelection, QItemSelectionModel, QModelIndex

_Flag = QItemSelectionModel.SelectionFlag


class GridSelection:
    """Selects rows in `selection`; `anchor` is the row that Shift selects from."""

    def __init__(self, selection: QItemSelectionModel) -> None:
        self._selection = selection
        self.anchor = 0

    def rows(self) -> list[int]:
        """Return the selected rows in order; the current row if none is selected."""
        selection = self._selection.selection()
        ranges = [selection.at(number) for number in range(selection.size())]
        rows = sorted({row for r in ranges for row in range(r.top(), r.bottom() + 1)})
        current = self._selection.currentIndex().row()
        return rows or ([current] if current >= 0 else [])

    def only(self, row: int) -> None:
        """Select `row` alone."""
        self.anchor = row
        self._selection.setCurrentIndex(self._index(row), _Flag.ClearAndSelect)

    def toggle(self, row: int) -> None:
        """Select `row` beside the others, or no longer."""
        self.anchor = row
        self._selection.setCurrentIndex(self._index(row), _Flag.Toggle)

    def up_to(self, row: int) -> None:
        """Select all from the anchor to `row`."""
        first, last = sorted((self.anchor, row))
        self.these(range(max(0, first), last + 1))
        self._selection.setCurrentIndex(self._index(row), _Flag.NoUpdate)

    def these(self, rows: Iterable[int]) -> None:
        """Select `rows` and no others."""
        chosen = QItemSelection()
        if isinstance(rows, range):
            # One range, however many rows.
            if rows:
                chosen.select(self._index(rows[0]), self._index(rows[-1]))
        else:
            for row in rows:
                chosen.select(self._index(row), self._index(row))
        self._selection.select(chosen, _Flag.ClearAndSelect)

    def _index(self, row: int) -> QModelIndex:
        return self._selection.model().index(row, 0)
