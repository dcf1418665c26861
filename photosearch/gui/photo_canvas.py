"""One photo as large as fits, or zoomed and dragged."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QHideEvent,
    QImage,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPalette,
    QPen,
    QResizeEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QSizePolicy, QWidget

from photosearch.domain import Box
from photosearch.gui.background import Background, Lane

_MAX_ZOOM = 16.0
_STEP = 1.25


class PhotoCanvas(QWidget):
    """Zoom 1 fits the photo into the widget; a better picture may replace the shown one."""

    zoom_changed = Signal(float)

    def __init__(self, background: Background) -> None:
        super().__init__()
        self._background = background
        self._picture = QImage()
        self._fitted = QImage()
        self._photo = QSize()
        self._message = ""
        self._zoom = 1.0
        self._center = QPointF(0.5, 0.5)
        self._drag: QPointF | None = None
        self._was_pressed = False
        self._outlines: tuple[Box, ...] = ()
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setAccessibleName(self.tr("Photo"))

    @property
    def zoom(self) -> float:
        """How many times larger than fitting."""
        return self._zoom

    @property
    def picture(self) -> QImage:
        """The picture shown, null if none."""
        return self._picture

    @property
    def message(self) -> str:
        """What stands in place of the photo."""
        return self._message

    def clear(self) -> None:
        """Show nothing, fitting, until a picture comes."""
        self._picture = self._fitted = QImage()
        self._photo = QSize()
        self._message = ""
        self._outlines = ()
        self.set_zoom(1.0)
        self.update()

    def set_picture(self, picture: QImage, photo: QSize) -> None:
        """Show `picture` of a photo of `photo` pixels; zoom and position stay."""
        self._picture = picture
        self._photo = photo if photo.isValid() else picture.size()
        self._message = ""
        self._refit()
        self.update()

    def set_message(self, message: str) -> None:
        """Say why there is no photo."""
        self._message = message
        self.update()

    def outline(self, boxes: Sequence[Box]) -> None:
        """Outline parts of the photo, as fractions of it."""
        self._outlines = tuple(boxes)
        self.update()

    def set_zoom(self, zoom: float, around: QPointF | None = None) -> None:
        """Zoom, keeping the point `around` of the widget where it is."""
        zoom = max(1.0, min(zoom, _MAX_ZOOM))
        if zoom == self._zoom:
            return
        before = self.photo_rect()
        point = around if around is not None else QRectF(self.rect()).center()
        part = QPointF(
            (point.x() - before.left()) / max(before.width(), 1),
            (point.y() - before.top()) / max(before.height(), 1),
        )
        self._zoom = zoom
        size = self._size_shown()
        middle = QRectF(self.rect()).center()
        self._center = QPointF(
            part.x() - (point.x() - middle.x()) / max(size[0], 1),
            part.y() - (point.y() - middle.y()) / max(size[1], 1),
        )
        self._keep_inside()
        self.zoom_changed.emit(self._zoom)
        self.update()

    def actual_pixels_zoom(self) -> float:
        """Return the zoom at which a pixel of the photo is a pixel of the screen."""
        fit = self._fit_scale()
        return 1.0 / (fit * self.devicePixelRatioF()) if fit else 1.0

    def photo_rect(self) -> QRectF:
        """Return where the photo is in the widget."""
        width, height = self._size_shown()
        middle = QRectF(self.rect()).center()
        return QRectF(
            middle.x() - self._center.x() * width,
            middle.y() - self._center.y() * height,
            width,
            height,
        )

    def _fit_scale(self) -> float:
        if not self._photo.isValid() or self._photo.isEmpty():
            return 0.0
        ratio = self.devicePixelRatioF()
        fit = min(self.width() / self._photo.width(), self.height() / self._photo.height())
        # Small photos are enlarged at most twice: more would only show their pixels.
        return min(fit, 2.0 / ratio)

    def _size_shown(self) -> tuple[float, float]:
        scale = self._fit_scale() * self._zoom
        return self._photo.width() * scale, self._photo.height() * scale

    def _keep_inside(self) -> None:
        width, height = self._size_shown()
        half_x = min(0.5, self.width() / 2 / max(width, 1))
        half_y = min(0.5, self.height() / 2 / max(height, 1))
        self._center = QPointF(
            max(half_x, min(self._center.x(), 1 - half_x)),
            max(half_y, min(self._center.y(), 1 - half_y)),
        )

    def _refit(self) -> None:
        """Scale the picture well in the background; the fast way shows meanwhile."""
        ratio = self.devicePixelRatioF()
        scale = self._fit_scale() * ratio
        size = QSize(round(self._photo.width() * scale), round(self._photo.height() * scale))
        self._fitted = QImage()
        if self._picture.isNull() or size.isEmpty() or size.width() >= self._picture.width():
            self._background.cancel("fit")
            return
        picture = self._picture
        self._background.submit(
            lambda: picture.scaled(
                size,
                Qt.AspectRatioMode.IgnoreAspectRatio,
                Qt.TransformationMode.SmoothTransformation,
            ),
            self._take_fitted,
            channel="fit",
            lane=Lane.PICTURES,
        )

    def _take_fitted(self, fitted: QImage) -> None:
        self._fitted = fitted
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        colours = self.palette()
        painter.fillRect(self.rect(), colours.color(QPalette.ColorRole.Window))
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        if self._message:
            painter.setPen(colours.color(QPalette.ColorRole.PlaceholderText))
            flags = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
            painter.drawText(self.rect().adjusted(48, 48, -48, -48), flags, self._message)
        elif not self._picture.isNull():
            whole = self._zoom == 1.0 and not self._fitted.isNull()
            painter.drawImage(self.photo_rect(), self._fitted if whole else self._picture)
            self._paint_outlines(painter)
        painter.end()

    def _paint_outlines(self, painter: QPainter) -> None:
        photo = self.photo_rect()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for left, top, right, bottom in self._outlines:
            place = QRectF(
                photo.left() + left * photo.width(),
                photo.top() + top * photo.height(),
                (right - left) * photo.width(),
                (bottom - top) * photo.height(),
            ).adjusted(2, 2, -2, -2)
            painter.setPen(QPen(QColor(0, 0, 0, 140), 4))
            painter.drawRoundedRect(place, 3, 3)
            painter.setPen(QPen(QColor(255, 255, 255), 2))
            painter.drawRoundedRect(place, 3, 3)

    def resizeEvent(self, event: QResizeEvent) -> None:
        self._keep_inside()
        self._refit()
        super().resizeEvent(event)

    def wheelEvent(self, event: QWheelEvent) -> None:
        self.set_zoom(self._zoom * _STEP ** (event.angleDelta().y() / 120), event.position())
        event.accept()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self._was_pressed = True
        self.setFocus()
        if event.button() == Qt.MouseButton.LeftButton and self._zoom > 1.0:
            self._drag = event.position()
            self.setCursor(Qt.CursorShape.ClosedHandCursor)
        else:
            super().mousePressEvent(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self._drag is None:
            return
        width, height = self._size_shown()
        moved = event.position() - self._drag
        self._drag = event.position()
        self._center -= QPointF(moved.x() / max(width, 1), moved.y() / max(height, 1))
        self._keep_inside()
        self.update()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        self._drag = None
        self.unsetCursor()

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        if not self._was_pressed:
            return  # Its first click was in the grid, where it opened this photo.
        if self._zoom > 1.0:
            self.set_zoom(1.0)
        else:
            self.set_zoom(max(2.0, self.actual_pixels_zoom()), event.position())

    def hideEvent(self, event: QHideEvent) -> None:
        self._was_pressed = False
        super().hideEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Plus, Qt.Key.Key_Equal):
            self.set_zoom(self._zoom * _STEP)
        elif event.key() == Qt.Key.Key_Minus:
            self.set_zoom(self._zoom / _STEP)
        elif event.key() == Qt.Key.Key_0:
            self.set_zoom(1.0)
        elif event.key() == Qt.Key.Key_1:
            self.set_zoom(self.actual_pixels_zoom())
        else:
            event.ignore()
