"""Where the cells of the grid are: arithmetic only, so that a million cells cost nothing."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate

from PySide6.QtCore import QRect

MARGIN_PX = 16
GAP_PX = 8
DIVIDER_PX = 56


@dataclass(frozen=True, slots=True)
class _Section:
    """Cells from `first` on, `count` of them, whose lines begin at `top`."""

    first: int
    count: int
    top: int


@dataclass(frozen=True, slots=True)
class GridGeometry:
    """Sections of `counts` cells, each but the first below a divider; empty ones take no room.

    All in logical pixels of a content that starts at 0, 0 and is `width` wide; cells are square
    and as near to `target` as fills the width, plus `caption` pixels of text below.
    """

    width: int
    counts: tuple[int, ...]
    target: int
    caption: int = 0
    mirrored: bool = False

    @property
    def count(self) -> int:
        """Number of cells."""
        return sum(self.counts)

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

    def _lines(self, cells: int) -> int:
        return -(-cells // self.columns)

    def _sections(self) -> list[_Section]:
        """Return the sections that have cells, at least the first."""
        sections: list[_Section] = []
        top = MARGIN_PX // 2
        for number, (count, end) in enumerate(
            zip(self.counts, accumulate(self.counts), strict=True)
        ):
            if number and not count:
                continue
            top += DIVIDER_PX if number else 0
            sections.append(_Section(end - count, count, top))
            top += self._lines(count) * self.pitch
        return sections

    @property
    def height(self) -> int:
        """Height of the whole content."""
        last = self._sections()[-1]
        return last.top + self._lines(last.count) * self.pitch + MARGIN_PX // 2

    def divider(self, number: int) -> QRect:
        """Return where the heading of a section goes; empty for the first and for empty ones."""
        if not number or not self.counts[number]:
            return QRect()
        first = sum(self.counts[:number])
        section = next(s for s in self._sections() if s.count and s.first == first)
        return QRect(MARGIN_PX, section.top - DIVIDER_PX, self._usable, DIVIDER_PX)

    def rect(self, row: int) -> QRect:
        """Return the place of cell `row`."""
        if not 0 <= row < self.count:
            return QRect()
        section = self._section_of(row)
        line, column = divmod(row - section.first, self.columns)
        if self.mirrored:
            column = self.columns - 1 - column
        # The pixels that do not divide evenly go into the gaps, so that both edges are flush.
        spare = self._usable - self.columns * self.side
        left = MARGIN_PX + column * self.side
        if self.columns > 1:
            left += column * spare // (self.columns - 1)
        return QRect(left, section.top + line * self.pitch, self.side, self.side + self.caption)

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
        for _ in range(abs(lines)):
            following = self._below(row) if lines > 0 else self._above(row)
            if not 0 <= following < self.count:
                break
            row = following
        return row

    def _section_of(self, row: int) -> _Section:
        return next(s for s in self._sections() if row < s.first + s.count)

    def _below(self, row: int) -> int:
        section = self._section_of(row)
        end = section.first + section.count
        if row + self.columns < end:
            return row + self.columns
        line, column = divmod(row - section.first, self.columns)
        if line + 1 < self._lines(section.count):
            return end - 1
        if end == self.count:
            return end
        return min(end + column, end + self._section_of(end).count - 1)

    def _above(self, row: int) -> int:
        section = self._section_of(row)
        if row - self.columns >= section.first:
            return row - self.columns
        if not section.first:
            return -1
        column = (row - section.first) % self.columns
        before = self._section_of(section.first - 1)
        last_line = (self._lines(before.count) - 1) * self.columns
        return before.first + min(last_line + column, before.count - 1)

    def _line_rows(self, y: int) -> range:
        sections = self._sections()
        section = next((s for s in reversed(sections) if y >= s.top), sections[0])
        line = min(max(0, (y - section.top) // self.pitch), self._lines(section.count))
        first = section.first + line * self.columns
        end = section.first + section.count
        return range(min(first, end), min(first + self.columns, end))
