"""What an experiment gives: a table, and lines to be drawn; as text, as JSON, as a picture."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from photosearch.errors import UnavailableError

Cell = str | int | float
Row = tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a plot."""

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """The figures of an experiment: `rows` under `columns`, and `lines` with the axes' names."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    lines: tuple[Line, ...] = ()
    axes: tuple[str, str] = ("", "")
    bars: bool = False
    """Whether the lines are to be drawn as bars: `x` counts, the rows' first cells name them."""

    def text(self) -> Iterator[str]:
        """Yield the table's lines, as for a terminal."""
        table = [self.columns, *(tuple(map(_shown, row)) for row in self.rows)]
        widths = [max(len(row[at]) for row in table) for at in range(len(self.columns))]
        yield self.title
        for row in table:
            cells = (
                cell.ljust(width) if at == 0 else cell.rjust(width)
                for at, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
            yield "  ".join(cells).rstrip()

    def json(self) -> dict[str, Any]:
        """Return the report as a JSON object."""
        return {
            "title": self.title,
            "rows": [dict(zip(self.columns, row, strict=True)) for row in self.rows],
            "lines": [{"name": line.name, "x": line.x, "y": line.y} for line in self.lines],
        }

    def draw(self, path: Path) -> None:
        """Draw the lines into a file: PNG, SVG or PDF, by its name's ending.

        Raises UnavailableError without Matplotlib, OSError if the file can't be written.
        """
        try:
            from matplotlib.figure import Figure  # noqa: PLC0415 - in the extra `eval` only
        except ImportError as error:
            raise UnavailableError(
                "Plots need Matplotlib: pip install 'photosearch[eval]'"
            ) from error
        figure = Figure(figsize=(7, 4.5), layout="constrained")
        axes = figure.subplots()
        for line in self.lines:
            if self.bars:
                axes.barh([str(row[0]) for row in self.rows], line.x, label=line.name)
            else:
                axes.plot(line.x, line.y, marker="o", markersize=3, label=line.name)
        if self.bars:
            axes.invert_yaxis()
        axes.set_xlabel(self.axes[0])
        axes.set_ylabel(self.axes[1])
        axes.set_title(self.title, fontsize="small")
        if len(self.lines) > 1:
            axes.legend()
        axes.grid(alpha=0.3)
        figure.savefig(path, dpi=150)


def _shown(cell: Cell) -> str:
    if isinstance(cell, float):
        return f"{cell:.4f}"
    return f"{cell:,}" if isinstance(cell, int) else cell
