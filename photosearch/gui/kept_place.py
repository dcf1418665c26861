"""What is selected and looked at, kept by photo while the rows below it change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtCore import QItemSelection, QItemSelectionModel

from photosearch.gui.results_model import ResultsModel

if TYPE_CHECKING:
    from photosearch.gui.results_view import ResultsView

_Flag = QItemSelectionModel.SelectionFlag


@dataclass(frozen=True, slots=True)
class Place:
    """Photo ids, -1 for none. `offset` is where the first photo on screen begins, in pixels."""

    selected: frozenset[int]
    everything: bool
    current: int
    first: int
    offset: int

    @classmethod
    def of(cls, view: ResultsView, model: ResultsModel) -> Place:
        """Return the place of `view`. At the very top nothing is held on to: the top stays."""
        rows = view.selected_rows() if view.selectionModel().hasSelection() else []
        hits = [model.hit(row) for row in rows]
        visible = view.visible_rows()
        first = model.hit(visible.start) if visible and view.verticalOffset() > 0 else None
        current = model.hit(view.currentIndex().row())
        return cls(
            selected=frozenset(hit.photo_id for hit in hits if hit is not None),
            everything=len(rows) == model.found_total and rows[-1:] == [model.found_total - 1],
            current=current.photo_id if current is not None else -1,
            first=first.photo_id if first is not None else -1,
            offset=view.visualRect(model.index(visible.start, 0)).top() if visible else 0,
        )

    def restore(self, view: ResultsView, model: ResultsModel, anchor: int) -> int:
        """Bring `view` back there; return the row from which Shift selects, `anchor` if unknown."""
        selection = QItemSelection()
        if self.everything:
            selection.select(model.index(0, 0), model.index(model.found_total - 1, 0))
        else:
            for row in map(model.row_of, self.selected):
                if row >= 0:
                    selection.select(model.index(row, 0), model.index(row, 0))
        view.selectionModel().select(selection, _Flag.ClearAndSelect)
        row = model.row_of(self.current) if self.current >= 0 else -1
        if row >= 0:
            view.selectionModel().setCurrentIndex(model.index(row, 0), _Flag.NoUpdate)
            anchor = row
        row = model.row_of(self.first) if self.first >= 0 else -1
        if row >= 0:
            moved = view.visualRect(model.index(row, 0)).top() - self.offset
            view.verticalScrollBar().setValue(view.verticalOffset() + moved)
        return anchor
