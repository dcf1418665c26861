"""Where the arrow keys and their kin lead in the grid."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeyEvent

from photosearch.gui.grid_geometry import GridGeometry


def target_row(
    event: QKeyEvent, grid: GridGeometry, row: int, visible: range, page_lines: int
) -> int | None:
    """Return the row that a key leads to from `row` (-1 for none), or None for other keys."""
    if event.modifiers() & Qt.KeyboardModifier.AltModifier:
        return None
    ahead = -1 if grid.mirrored else 1
    moves: dict[int, Callable[[], int]] = {
        Qt.Key.Key_Right: lambda: row + ahead,
        Qt.Key.Key_Left: lambda: row - ahead,
        Qt.Key.Key_Down: lambda: grid.next_row(row, 1),
        Qt.Key.Key_Up: lambda: grid.next_row(row, -1),
        Qt.Key.Key_PageDown: lambda: grid.next_row(row, page_lines),
        Qt.Key.Key_PageUp: lambda: grid.next_row(row, -page_lines),
        Qt.Key.Key_Home: lambda: 0,
        Qt.Key.Key_End: lambda: grid.count - 1,
    }
    move = moves.get(event.key())
    if move is None or not grid.count:
        return None
    if row < 0 and event.key() != Qt.Key.Key_End:
        return visible.start
    return max(0, min(move(), grid.count - 1))
