"""The lines between the parts of a result, which say what follows them."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication, QObject, Qt
from PySide6.QtGui import QFontMetrics, QPainter, QPalette

from photosearch.gui.grid_geometry import GridGeometry


class _Texts(QObject):
    """Brings `tr` with plural forms."""


def paint_dividers(
    painter: QPainter,
    geometry: GridGeometry,
    counts: tuple[int, int, int],
    offset: int,
    colours: QPalette,
) -> None:
    """Paint those on screen, where the grid of `counts` is scrolled down by `offset` pixels."""
    font = painter.font()
    font.setWeight(font.Weight.DemiBold)
    painter.setFont(font)
    metrics = QFontMetrics(font)
    for number, words in enumerate(_words(counts), 1):
        area = geometry.divider(number).translated(0, -offset)
        if area.isEmpty() or not area.intersects(painter.viewport()):
            continue
        painter.setPen(colours.color(QPalette.ColorRole.PlaceholderText))
        place = area.adjusted(0, 12, 0, 0)
        shown = metrics.elidedText(words, Qt.TextElideMode.ElideRight, place.width())
        painter.drawText(
            place, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeading, shown
        )
        if geometry.rect(0).top() < geometry.divider(number).top():
            painter.setPen(colours.color(QPalette.ColorRole.Mid))
            painter.drawLine(area.left(), area.top() + 8, area.right(), area.top() + 8)


def _words(counts: tuple[int, int, int]) -> tuple[str, str]:
    full, partial, _ = counts
    tr = _Texts().tr
    count = (
        tr("%Ln more match(es) in part, or perhaps", None, partial)
        if full
        else tr("%Ln photo(s) match in part, or perhaps", None, partial)
    )
    related = "Related: without these words, but like photos that have them"
    return count, QCoreApplication.translate("grid_dividers", related)
