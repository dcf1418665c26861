"""Where the cells of the grid are: arithmetic only, so that a million cells cost nothing."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QRect

MARGIN_PX = 16
GAP_PX = 8
DIVIDER_PX = 56


@dataclass(frozen=True, slots=True)
class GridGeometry:
    """`total` full matches, then a divider if there are any partial ones, then `partial` of those.

    All in logical pixels of a content that starts at 0, 0 and is `width` wide; cells are square
    and as near to `target` as fills the width, plus `caption` pixels of text below.
    """

    width: int
    total: int
    partial: int
    target: int
    caption: int = 0
    mirrored: bool = False

    @property
    def count(self) -> int:
        """Number of cells."""
        return self.total + self.partial

    @property
    def columns(self) -> int:
        """Cells in a line."""
        return max(1, round((self._usable + GAP_PX) / (self.target + GAP_PX)))

    @property
    def side(self) -> int:
        """Width of a cell, and the height of its picture."""
        return max(1, (self._usable + GAP_PX) // self.columns - GAP_PX)

    @property
    def pitch(self) -> int:
        """Distance from one line of cells to the next."""
        return self.side + self.caption + GAP_PX

    @property
    def _usable(self) -> int:
        return max(1, self.width - 2 * MARGIN_PX)

    @property
    def _full_lines(self) -> int:
        return -(-self.total // self.columns)

    @property
    def _partial_top(self) -> int:
        lines = self._full_lines * self.pitch
        return (MARGIN_PX // 2) + lines + (DIVIDER_PX if self.partial else 0)

    @property
    def height(self) -> int:
        """Height of the whole content."""
        partial_lines = -(-self.partial // self.columns)
        return self._partial_top + partial_lines * self.pitch + MARGIN_PX // 2

    def divider(self) -> QRect:
        """Return where the heading of the partial matches goes; empty if there are none."""
        if not self.partial:
            return QRect()
        return QRect(MARGIN_PX, self._partial_top - DIVIDER_PX, self._usable, DIVIDER_PX)

    def rect(self, row: int) -> QRect:
        """Return the place of cell `row`."""
        if not 0 <= row < self.count:
            return QRect()
        if row < self.total:
            line, column = divmod(row, self.columns)
            top = MARGIN_PX // 2 + line * self.pitch
        else:
            line, column = divmod(row - self.total, self.columns)
            top = self._partial_top + line * self.pitch
        if self.mirrored:
            column = self.columns - 1 - column
        # The pixels that do not divide evenly go into the gaps, so that both edges are flush.
        spare = self._usable - self.columns * self.side
        left = MARGIN_PX + column * self.side
        if self.columns > 1:
            left += column * spare // (self.columns - 1)
        return QRect(left, top, self.side, self.side + self.caption)

    def row_at(self, x: int, y: int) -> int:
        """Return the cell that holds the point, or -1."""
        for row in self._line_rows(y):
            if self.rect(row).contains(x, y):
                return row
        return -1

    def rows_between(self, top: int, bottom: int) -> range:
        """Return the cells of all lines that touch the pixels from `top` to `bottom`."""
        first = self._line_rows(top).start
        last = self._line_rows(bottom).stop
        return range(max(0, first), min(self.count, max(first, last)))

    def next_row(self, row: int, lines: int) -> int:
        """Return the cell `lines` below (above if negative), staying within the content."""
        columns = self.columns
        for _ in range(abs(lines)):
            following = row + (columns if lines > 0 else -columns)
            if row < self.total <= following and lines > 0:
                following = self._cross_down(row)
            elif row >= self.total > following and lines < 0:
                following = self._cross_up(row)
            if not 0 <= following < self.count:
                break
            row = following
        return row

    def _cross_down(self, row: int) -> int:
        line, column = divmod(row, self.columns)
        if line + 1 < self._full_lines:
            return self.total - 1
        return min(self.total + column, self.count - 1) if self.partial else self.count

    def _cross_up(self, row: int) -> int:
        if not self.total:
            return -1
        column = (row - self.total) % self.columns
        return min((self._full_lines - 1) * self.columns + column, self.total - 1)

    def _line_rows(self, y: int) -> range:
        if y < self._partial_top or not self.partial:
            line = max(0, (y - MARGIN_PX // 2) // self.pitch)
            line = min(line, self._full_lines)
            first = line * self.columns
            return range(min(first, self.total), min(first + self.columns, self.total))
        line = (y - self._partial_top) // self.pitch
        first = self.total + line * self.columns
        return range(min(first, self.count), min(first + self.columns, self.count))
