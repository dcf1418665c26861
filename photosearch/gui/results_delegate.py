"""Paints one cell of the grid."""

from __future__ import annotations

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRect, QRectF, Qt
from PySide6.QtGui import QPainter, QPalette, QPen
from PySide6.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem

from photosearch.domain import Hit
from photosearch.gui import icons
from photosearch.gui.results_model import HIT_ROLE
from photosearch.gui.thumbnails import RADIUS_PX, Look, Thumbnails


class ResultsDelegate(QStyledItemDelegate):
    """A square picture, its name below where names are shown, a ring where selected.

    Pictures that were missing while painting are collected in `misses`, for the view to order.
    """

    def __init__(self, thumbnails: Thumbnails) -> None:
        super().__init__()
        self._thumbnails = thumbnails
        self.look = Look(1, 1.0)
        self.caption_px = 0
        self.misses: list[bytes] = []

    def paint(
        self,
        painter: QPainter,
        option: QStyleOptionViewItem,
        index: QModelIndex | QPersistentModelIndex,
    ) -> None:
        area: QRect = option.rect
        colours: QPalette = option.palette
        state = option.state
        square = QRect(area.left(), area.top(), area.width(), area.height() - self.caption_px)
        hit: Hit | None = index.data(HIT_ROLE)
        self._paint_picture(painter, square, hit, colours)
        if self.caption_px and hit is not None:
            below = area.adjusted(2, square.height(), -2, 0)
            painter.setPen(colours.color(QPalette.ColorRole.PlaceholderText))
            metrics = option.fontMetrics
            name = metrics.elidedText(
                index.data() or "", Qt.TextElideMode.ElideMiddle, below.width()
            )
            painter.drawText(below, Qt.AlignmentFlag.AlignCenter, name)
        selected = bool(state & QStyle.StateFlag.State_Selected)
        focused = bool(state & QStyle.StateFlag.State_HasFocus)
        if selected or focused:
            self._paint_ring(painter, square, colours, selected=selected)
        elif state & QStyle.StateFlag.State_MouseOver:
            wash = colours.color(QPalette.ColorRole.WindowText)
            wash.setAlphaF(0.08)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(wash)
            painter.drawRoundedRect(square, RADIUS_PX, RADIUS_PX)

    def _paint_picture(
        self, painter: QPainter, square: QRect, hit: Hit | None, colours: QPalette
    ) -> None:
        kept = self._thumbnails.picture(hit.sha256) if hit is not None else None
        if hit is not None and (kept is None or kept[0] != self.look):
            self.misses.append(hit.sha256)
        if kept is None or not kept[0].fill:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(colours.color(QPalette.ColorRole.AlternateBase))
            painter.drawRoundedRect(square, RADIUS_PX, RADIUS_PX)
        if kept is not None:
            # A picture of another size shows for a moment only: the fast way will do.
            smooth = QPainter.RenderHint.SmoothPixmapTransform
            painter.setRenderHint(smooth, kept[0].side == self.look.side)
            painter.drawImage(square, kept[1])
        elif hit is not None and self._thumbnails.is_missing(hit.sha256):
            side = min(40, square.width() // 2)
            place = QRectF(0, 0, side, side)
            place.moveCenter(QRectF(square).center())
            icons.paint(painter, "photo", place, colours.color(QPalette.ColorRole.Dark))

    @staticmethod
    def _paint_ring(painter: QPainter, square: QRect, colours: QPalette, *, selected: bool) -> None:
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(colours.color(QPalette.ColorRole.Accent), 3 if selected else 2))
        painter.drawRoundedRect(QRectF(square).adjusted(1, 1, -1, -1), RADIUS_PX, RADIUS_PX)
        if selected:
            painter.setPen(QPen(colours.color(QPalette.ColorRole.Window), 1.5))
            painter.drawRoundedRect(QRectF(square).adjusted(3.2, 3.2, -3.2, -3.2), 4, 4)
