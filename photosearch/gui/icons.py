"""Our icons: strokes on a 24-pixel grid, painted in the colour of the text beside them."""

from __future__ import annotations

from PySide6.QtCore import QByteArray, QPointF, QRect, QRectF, QSize, QSizeF, Qt
from PySide6.QtGui import QColor, QIcon, QIconEngine, QImage, QPainter, QPalette, QPixmap
from PySide6.QtSvg import QSvgRenderer
from PySide6.QtWidgets import QApplication

_SHAPES = {
    "add": '<path d="M12 5v14M5 12h14"/>',
    "back": '<path d="M15 5l-7 7 7 7"/>',
    "chart": '<path d="M5 5v14M9 7h10M9 12h7M9 17h4"/>',
    "close": '<path d="M6.5 6.5l11 11M17.5 6.5l-11 11"/>',
    "cloud": '<path d="M7 18.5a4 4 0 0 1-.6-7.95 5.5 5.5 0 0 1 10.7-1A4.5 4.5 0 0 1 17 18.5z"/>',
    "down": '<path d="M7 10l5 5 5-5"/>',
    "folder": '<path d="M3.5 7a1.5 1.5 0 0 1 1.5-1.5h4l2 2.5h8A1.5 1.5 0 0 1 20.5 9.5V17a1.5 '
    '1.5 0 0 1-1.5 1.5H5A1.5 1.5 0 0 1 3.5 17z"/>',
    "forward": '<path d="M9 5l7 7-7 7"/>',
    "grid": '<rect x="4.5" y="4.5" width="6" height="6" rx="1"/><rect x="13.5" y="4.5" width="6" '
    'height="6" rx="1"/><rect x="4.5" y="13.5" width="6" height="6" rx="1"/><rect x="13.5" '
    'y="13.5" width="6" height="6" rx="1"/>',
    "help": '<circle cx="12" cy="12" r="8"/><path d="M9.7 9.8a2.4 2.4 0 1 1 3.5 2.2c-.9.4'
    '-1.2.8-1.2 1.6M12 15.9v.2"/>',
    "info": '<circle cx="12" cy="12" r="8"/><path d="M12 11v5M12 8v.2"/>',
    "like": '<rect x="3.5" y="7.5" width="12" height="12" rx="2"/><path d="M8 4.5h10a2 2 0 0 1 2 '
    '2V16"/>',
    "menu": '<path d="M4.5 7h15M4.5 12h15M4.5 17h15"/>',
    "minus": '<path d="M6 12h12"/>',
    "pause": '<path d="M9 6v12M15 6v12"/>',
    "photo": '<rect x="3.5" y="5" width="17" height="14" rx="2"/><circle cx="9" cy="10" r="1.6"/>'
    '<path d="M4 17l5-4.5 3.5 3L16 12l4.5 4"/>',
    "play": '<path d="M8 5.5v13l10.5-6.5z"/>',
    "search": '<circle cx="10.5" cy="10.5" r="6"/><path d="M15 15l5 5"/>',
    "sidebar": '<rect x="3.5" y="5" width="17" height="14" rx="2"/><path d="M9.5 5v14"/>',
    "warning": '<path d="M12 4.5l8.5 15h-17z"/><path d="M12 10.5v4M12 17v.2"/>',
}
_SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" fill="none" stroke="{ink}" '
    'stroke-width="1.6" stroke-linecap="round" stroke-linejoin="round">{shape}</svg>'
)


def paint(painter: QPainter, name: str, where: QRectF, ink: QColor) -> None:
    """Paint the icon `name` into `where`."""
    svg = _SVG.format(ink=ink.name(), shape=_SHAPES[name])
    QSvgRenderer(QByteArray(svg.encode())).render(painter, where)


def pixmap(name: str, size: QSize, ink: QColor, ratio: float = 1.0) -> QPixmap:
    """Return the icon `name` as a picture of logical `size` for a screen of density `ratio`."""
    picture = QPixmap(size * ratio)
    picture.setDevicePixelRatio(ratio)
    picture.fill(Qt.GlobalColor.transparent)
    painter = QPainter(picture)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    paint(painter, name, QRectF(QPointF(), QSizeF(size)), ink)
    painter.end()
    return picture


class _Engine(QIconEngine):
    """Paints in the palette's colour of the moment, so that a theme change needs no new icons."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    def paint(self, painter: QPainter, rect: QRect, mode: QIcon.Mode, state: QIcon.State) -> None:
        palette = QApplication.palette()
        disabled = mode == QIcon.Mode.Disabled
        group = QPalette.ColorGroup.Disabled if disabled else QPalette.ColorGroup.Active
        paint(
            painter, self._name, QRectF(rect), palette.color(group, QPalette.ColorRole.WindowText)
        )

    def pixmap(self, size: QSize, mode: QIcon.Mode, state: QIcon.State) -> QPixmap:
        picture = QImage(size, QImage.Format.Format_ARGB32_Premultiplied)
        picture.fill(Qt.GlobalColor.transparent)
        painter = QPainter(picture)
        self.paint(painter, picture.rect(), mode, state)
        painter.end()
        return QPixmap.fromImage(picture)

    def scaledPixmap(
        self, size: QSize, mode: QIcon.Mode, state: QIcon.State, scale: float
    ) -> QPixmap:
        return self.pixmap(size, mode, state)

    def clone(self) -> QIconEngine:
        return _Engine(self._name)


def icon(name: str) -> QIcon:
    """Return the icon `name`."""
    return QIcon(_Engine(name))


def app_icon() -> QIcon:
    """Return the icon of the program itself."""
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64">'
        '<rect x="4" y="4" width="56" height="56" rx="13" fill="#3565d6"/>'
        '<path d="M12 46l12-13 9 9 6-6 13 12v0a4 4 0 0 1-4 4H16a4 4 0 0 1-4-4z" fill="#fff" '
        'opacity=".55"/><circle cx="33" cy="25" r="10" fill="none" stroke="#fff" '
        'stroke-width="4.5"/><path d="M40.5 32.5l10 10" stroke="#fff" stroke-width="5" '
        'stroke-linecap="round"/></svg>'
    )
    result = QIcon()
    renderer = QSvgRenderer(QByteArray(svg.encode()))
    for side in (16, 32, 48, 64, 128, 256):
        picture = QImage(side, side, QImage.Format.Format_ARGB32_Premultiplied)
        picture.fill(Qt.GlobalColor.transparent)
        painter = QPainter(picture)
        renderer.render(painter)
        painter.end()
        result.addPixmap(QPixmap.fromImage(picture))
    return result
