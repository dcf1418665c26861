"""Photos dragged out of the grid, as files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QMimeData, QSize, Qt
from PySide6.QtGui import QDrag, QPixmap

from photosearch.gui.results_model import ResultsModel
from photosearch.gui.thumbnails import Thumbnails

if TYPE_CHECKING:
    from photosearch.gui.results_view import ResultsView

_SIZE = QSize(96, 96)


def drag_photos(view: ResultsView, model: ResultsModel, thumbnails: Thumbnails) -> None:
    """Drag what is selected in `view`, with a picture of the current row; ends when dropped."""
    mime: QMimeData = model.mimeData([model.index(row, 0) for row in view.selected_rows()])
    if not mime.urls():
        return
    drag = QDrag(view)
    drag.setMimeData(mime)
    hit = model.hit(view.currentIndex().row())
    kept = thumbnails.picture(hit.sha256) if hit is not None else None
    if kept is not None:
        small = kept[1].scaled(
            _SIZE, Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode.SmoothTransformation
        )
        drag.setPixmap(QPixmap.fromImage(small))
    drag.exec(Qt.DropAction.CopyAction)
