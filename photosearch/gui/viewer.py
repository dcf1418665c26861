"""One photo of the result, large, with what is known of it beside it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QPoint, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QContextMenuEvent, QImage, QImageReader, QKeyEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QToolButton, QVBoxLayout, QWidget

from photosearch.domain import Hit, display_path
from photosearch.errors import PhotosearchError
from photosearch.gui import icons, text
from photosearch.gui.background import Background, Lane
from photosearch.gui.photo_canvas import PhotoCanvas
from photosearch.gui.photo_panel import PhotoPanel
from photosearch.gui.photo_story import PhotoStory, gather
from photosearch.gui.results_model import ResultsModel

if TYPE_CHECKING:
    from photosearch.library import PhotoLibrary

_LOOKED_MS = 1000
_CHANNELS = ("viewer-thumbnail", "viewer-preview", "viewer-story", "viewer-next")


def _read(path: Path) -> QImage:
    return QImageReader(str(path)).read()


class Viewer(QWidget):
    """Walks through the rows of the model. All reading happens in the background."""

    closed = Signal(int)
    """Back to the grid, from this row."""
    chosen = Signal(object, bool)
    menu_wanted = Signal(QPoint)
    like_wanted = Signal(object)
    """A `Hit` that others are to be like."""
    panel_toggled = Signal(bool)

    def __init__(self, library: PhotoLibrary, background: Background, model: ResultsModel) -> None:
        super().__init__()
        self._library = library
        self._background = background
        self._model = model
        self._row = -1
        self._hit: Hit | None = None
        self._photo_size = QSize()
        self._story: PhotoStory | None = None
        self.canvas = PhotoCanvas(background)
        self.panel = PhotoPanel(background)
        self.panel.chosen.connect(self.chosen)
        self.panel.hovered.connect(self._outline)
        self._name, self._position = QLabel(), QLabel()
        self._name.setTextFormat(Qt.TextFormat.PlainText)
        self._name.setProperty("role", "heading")
        self._position.setProperty("role", "quiet")
        self.back_button = self._button(
            "grid", self.tr("Back to the photos (Esc)"), self.close_viewer
        )
        self.previous_button = self._button("back", self.tr("Previous photo"), self.show_previous)
        self.next_button = self._button("forward", self.tr("Next photo"), self.show_next)
        self.like_button = self._button(
            "like", self.tr("More like this photo (Ctrl+M)"), self._ask_for_like
        )
        self.panel_button = self._button("info", self.tr("About this photo (I)"), None)
        self.panel_button.setCheckable(True)
        self.panel_button.setChecked(True)
        self.panel_button.toggled.connect(self._show_panel)
        self._lay_out()
        self.setFocusProxy(self.canvas)
        self._looking = self._make_timer()
        model.dataChanged.connect(self._on_rows_loaded)
        model.refreshed.connect(self._on_refreshed)

    def _lay_out(self) -> None:
        bar = QFrame()
        bar.setObjectName("viewerBar")
        line = QHBoxLayout(bar)
        line.setContentsMargins(8, 8, 8, 8)
        line.setSpacing(8)
        line.addWidget(self.back_button)
        line.addSpacing(8)
        line.addWidget(self._name, 1)
        line.addWidget(self._position)
        line.addWidget(self.previous_button)
        line.addWidget(self.next_button)
        line.addSpacing(8)
        line.addWidget(self.like_button)
        line.addWidget(self.panel_button)
        middle = QHBoxLayout()
        middle.setContentsMargins(0, 0, 0, 0)
        middle.setSpacing(0)
        middle.addWidget(self.canvas, 1)
        middle.addWidget(self.panel)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(bar)
        column.addLayout(middle, 1)

    def _button(self, icon: str, name: str, action: object) -> QToolButton:
        button = QToolButton()
        button.setIcon(icons.icon(icon))
        button.setIconSize(QSize(20, 20))
        button.setToolTip(name)
        button.setAccessibleName(name)
        if action is not None:
            button.clicked.connect(action)
        return button

    def _make_timer(self) -> QTimer:
        # Whoever flicks through photos does not look at them.
        timer = QTimer(self)
        timer.setSingleShot(True)
        timer.setInterval(_LOOKED_MS)
        timer.timeout.connect(self._note_looked_at)
        return timer

    @property
    def row(self) -> int:
        """The row shown, -1 if none."""
        return self._row

    @property
    def hit(self) -> Hit | None:
        """The photo shown."""
        return self._hit

    @property
    def story(self) -> PhotoStory | None:
        """What the panel shows."""
        return self._story

    def open(self, row: int) -> None:
        """Show the photo of `row`."""
        if not 0 <= row < self._model.rowCount():
            return
        self._row = row
        self._hit = None
        self._story = None
        self._looking.stop()
        self.canvas.clear()
        for channel in _CHANNELS:
            self._background.cancel(channel)
        self._show_position()
        hit = self._model.hit(row)
        if hit is None:
            self._name.setText("")
            self.panel.clear()
            self._model.ensure(range(row, row + 1))
        else:
            self._show(hit)

    def show_next(self) -> None:
        """Go one photo on."""
        self.open(self._row + 1)

    def show_previous(self) -> None:
        """Go one photo back."""
        self.open(self._row - 1)

    def _ask_for_like(self) -> None:
        if self._hit is not None:
            self.like_wanted.emit(self._hit)

    def close_viewer(self) -> None:
        """Go back to the grid."""
        row, self._row, self._hit = self._row, -1, None
        self._looking.stop()
        for channel in _CHANNELS:
            self._background.cancel(channel)
        self.canvas.clear()
        self.closed.emit(row)

    def _show_position(self) -> None:
        count, found = self._model.rowCount(), self._model.found_total
        related = self._row >= found
        words = self.tr("related, %1 of %2") if related else self.tr("%1 of %2")
        number, total = (self._row - found, count - found) if related else (self._row, found)
        self._position.setText(
            words.replace("%1", text.count_text(number + 1)).replace("%2", text.count_text(total))
        )
        self.previous_button.setEnabled(self._row > 0)
        self.next_button.setEnabled(self._row + 1 < count)

    def _show(self, hit: Hit) -> None:
        self._hit = hit
        name = display_path(hit.path.name) if hit.path else self.tr("No file left")
        self._name.setText(name)
        self._name.setToolTip(text.plain_tooltip(display_path(hit.path)) if hit.path else "")
        self.canvas.setAccessibleDescription(name)
        library, photo_id, sha256 = self._library, hit.photo_id, hit.sha256
        self._photo_size = QSize()
        self._background.submit(
            lambda: _read(library.thumbnail_path(sha256)),
            self._take_thumbnail,
            channel="viewer-thumbnail",
            lane=Lane.PICTURES,
        )
        self._background.submit(
            lambda: _read(library.preview(photo_id)),
            self._take_preview,
            channel="viewer-preview",
            lane=Lane.PREVIEW,
            on_error=self._take_error,
        )
        self._ask_story()
        self._looking.start()

    def _note_looked_at(self) -> None:
        if self._hit is None:
            return
        library, photo_id = self._library, self._hit.photo_id
        # Only a wish: whoever looks at a photo need not hear that it could not be noted.
        self._background.submit(
            lambda: library.look_at(photo_id), lane=Lane.CHORE, on_error=lambda _error: None
        )

    def _ask_story(self) -> None:
        if self._hit is None:
            return
        library, hit, query = self._library, self._hit, self._model.query
        self._background.submit(
            lambda: gather(library, hit.photo_id, query, related=hit.related),
            self._take_story,
            channel="viewer-story",
        )

    def _take_thumbnail(self, picture: QImage) -> None:
        if self.canvas.picture.isNull() and not picture.isNull():
            # As large as the photo will be: the preview replaces it without a jump.
            enlarged = self._photo_size
            if not enlarged.isValid():
                enlarged = picture.size().scaled(2560, 2560, Qt.AspectRatioMode.KeepAspectRatio)
            self.canvas.set_picture(picture, enlarged)

    def _take_preview(self, picture: QImage) -> None:
        if picture.isNull():
            self.canvas.set_message(self.tr("This photo can't be shown. Is its file still there?"))
            return
        size = self._photo_size if self._photo_size.isValid() else picture.size()
        self.canvas.set_picture(picture, size)
        hits = (self._model.hit(self._row + 1), self._model.hit(self._row - 1))
        ahead = [hit.photo_id for hit in hits if hit is not None]
        library = self._library

        def prepare() -> None:
            for photo_id in ahead:
                library.preview(photo_id)

        self._background.submit(
            prepare, channel="viewer-next", lane=Lane.PREVIEW, on_error=lambda _error: None
        )

    def _take_error(self, error: PhotosearchError) -> None:
        if self.canvas.picture.isNull():
            self.canvas.set_message(str(error))

    def _take_story(self, story: PhotoStory) -> None:
        if self._story == story:
            return
        self._story = story
        self._photo_size = QSize(story.details.photo.width, story.details.photo.height)
        if not self.canvas.picture.isNull():
            self.canvas.set_picture(self.canvas.picture, self._photo_size)
        self.panel.show_story(story)

    def _on_rows_loaded(self) -> None:
        if self._row >= 0 and self._hit is None:
            hit = self._model.hit(self._row)
            if hit is not None:
                self._show(hit)

    def _on_refreshed(self) -> None:
        if self._hit is None:
            return
        row = self._model.row_of(self._hit.photo_id)
        self._row = row if row >= 0 else min(self._row, self._model.rowCount() - 1)
        self._show_position()
        self._ask_story()

    def _show_panel(self, shown: bool) -> None:
        self.panel.setVisible(shown)
        self.panel_toggled.emit(shown)

    def _outline(self, word: str) -> None:
        if self._story is None:
            return
        self.canvas.outline(self._story.boxes_of.get(word, ()))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        actions = {
            Qt.Key.Key_Right: self.show_next,
            Qt.Key.Key_Down: self.show_next,
            Qt.Key.Key_Space: self.show_next,
            Qt.Key.Key_PageDown: self.show_next,
            Qt.Key.Key_Left: self.show_previous,
            Qt.Key.Key_Up: self.show_previous,
            Qt.Key.Key_Backspace: self.show_previous,
            Qt.Key.Key_PageUp: self.show_previous,
            Qt.Key.Key_Home: lambda: self.open(0),
            Qt.Key.Key_End: lambda: self.open(self._model.rowCount() - 1),
            Qt.Key.Key_Escape: self.close_viewer,
            Qt.Key.Key_I: self.panel_button.toggle,
        }
        action = actions.get(Qt.Key(event.key()))
        if action is None or event.modifiers() & Qt.KeyboardModifier.AltModifier:
            event.ignore()
        else:
            action()

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        if self._hit is not None and not self.panel.underMouse():
            self.menu_wanted.emit(event.globalPos())
