"""Thumbnails for the grid: decoded and fitted in threads, kept in a cache bounded in bytes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QBrush, QImage, QImageReader, QPainter, QTransform

from photosearch.gui.background import Background, Lane

if TYPE_CHECKING:
    from photosearch.library import PhotoLibrary

CACHE_BYTES = 64 * 2**20
RADIUS_PX = 6
_BATCH = 4
_BATCHES_AT_ONCE = 2


@dataclass(frozen=True, slots=True)
class Look:
    """How pictures are fitted: `side` in device pixels, cropped to fill the square or whole."""

    side: int
    radius: float
    fill: bool = True


def load_fitted(path: Path, look: Look) -> QImage | None:
    """Return the picture at `path` in a square of `look.side`, or None if it can't be read."""
    reader = QImageReader(str(path))
    picture = reader.read()
    if picture.isNull():
        return None
    size = (
        QSizeFit.covering(picture.size(), look.side)
        if look.fill
        else QSizeFit.within(picture.size(), look.side)
    )
    scaled = picture.scaled(
        size, Qt.AspectRatioMode.IgnoreAspectRatio, Qt.TransformationMode.SmoothTransformation
    )
    shown = QSize(min(size.width(), look.side), min(size.height(), look.side))
    result = QImage(look.side, look.side, QImage.Format.Format_ARGB32_Premultiplied)
    result.fill(Qt.GlobalColor.transparent)
    painter = QPainter(result)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    place = QRectF(
        (look.side - shown.width()) / 2,
        (look.side - shown.height()) / 2,
        shown.width(),
        shown.height(),
    )
    corner = QPointF((look.side - size.width()) / 2, (look.side - size.height()) / 2)
    brush = QBrush(scaled)
    brush.setTransform(QTransform.fromTranslate(round(corner.x()), round(corner.y())))
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(brush)
    painter.drawRoundedRect(place.toRect(), look.radius, look.radius)
    painter.end()
    return result


class QSizeFit:
    """Sizes with the proportions of a picture."""

    @staticmethod
    def covering(size: QSize, side: int) -> QSize:
        """Return the smallest size that covers a square."""
        return size.scaled(side, side, Qt.AspectRatioMode.KeepAspectRatioByExpanding)

    @staticmethod
    def within(size: QSize, side: int) -> QSize:
        """Return the largest size within a square."""
        fitted = size.scaled(side, side, Qt.AspectRatioMode.KeepAspectRatio)
        return fitted.expandedTo(QSize(1, 1))


class Thumbnails(QObject):
    """The pictures of photos by content hash; those that are wanted come later by `arrived`."""

    arrived = Signal()

    def __init__(
        self,
        library: PhotoLibrary,
        background: Background,
        parent: QObject | None = None,
        *,
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        super().__init__(parent)
        self._library = library
        self._background = background
        self._limit = cache_bytes
        self._kept: OrderedDict[bytes, tuple[Look, QImage]] = OrderedDict()
        self._bytes = 0
        self._missing: set[bytes] = set()
        self._wanted: list[tuple[bytes, Look]] = []
        self._running: set[tuple[bytes, Look]] = set()
        self._batches = 0

    @property
    def bytes_used(self) -> int:
        """Size of all pictures kept."""
        return self._bytes

    def picture(self, sha256: bytes) -> tuple[Look, QImage] | None:
        """Return what is kept of a photo, perhaps fitted for another size."""
        kept = self._kept.get(sha256)
        if kept is not None:
            self._kept.move_to_end(sha256)
        return kept

    def is_missing(self, sha256: bytes) -> bool:
        """Return whether there was no readable thumbnail when it was last tried."""
        return sha256 in self._missing

    def want(self, hashes: Sequence[bytes], look: Look) -> None:
        """Load these, which are on screen; what was wanted before and has not begun is dropped."""
        self._wanted = [
            (sha256, look)
            for sha256 in hashes
            if sha256 not in self._missing and (sha256, look) not in self._running
        ]
        self._pump()

    def try_missing_again(self) -> None:
        """Forget which thumbnails were missing: the library changed."""
        self._missing.clear()

    def _pump(self) -> None:
        while self._wanted and self._batches < _BATCHES_AT_ONCE:
            batch, self._wanted = self._wanted[:_BATCH], self._wanted[_BATCH:]
            self._batches += 1
            self._running.update(batch)
            self._background.submit(partial(self._load, batch), self._take, lane=Lane.PICTURES)

    def _load(self, batch: Sequence[tuple[bytes, Look]]) -> list[tuple[bytes, Look, QImage | None]]:
        return [
            (sha256, look, load_fitted(self._library.thumbnail_path(sha256), look))
            for sha256, look in batch
        ]

    def _take(self, loaded: list[tuple[bytes, Look, QImage | None]]) -> None:
        self._batches -= 1
        for sha256, look, picture in loaded:
            self._running.discard((sha256, look))
            if picture is None:
                self._missing.add(sha256)
                continue
            old = self._kept.pop(sha256, None)
            if old is not None:
                self._bytes -= old[1].sizeInBytes()
            self._kept[sha256] = (look, picture)
            self._bytes += picture.sizeInBytes()
        while self._bytes > self._limit and len(self._kept) > 1:
            _, (_, dropped) = self._kept.popitem(last=False)
            self._bytes -= dropped.sizeInBytes()
        self.arrived.emit()
        self._pump()
