"""The window: puts the rooms together, holds the menus, remembers how it was left."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QPoint, QSettings, QSize, QStandardPaths, Qt, Signal
from PySide6.QtGui import (
    QCloseEvent,
    QDragEnterEvent,
    QDragLeaveEvent,
    QDropEvent,
    QResizeEvent,
)
from PySide6.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QMainWindow,
    QMessageBox,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from photosearch.domain import Clause, Folder, Hit, Status
from photosearch.gui import desktop, text
from photosearch.gui.background import Background, Lane
from photosearch.gui.browse_page import BrowsePage
from photosearch.gui.drop_overlay import DropOverlay
from photosearch.gui.folders_panel import FoldersPanel
from photosearch.gui.indexing import Indexing
from photosearch.gui.library_watch import LibraryWatch
from photosearch.gui.menus import Menus
from photosearch.gui.message_bar import MessageBar
from photosearch.gui.photo_menu import PhotoMenu
from photosearch.gui.states import StatePage
from photosearch.gui.status_panel import StatusPanel
from photosearch.gui.theme import Appearance, Theme
from photosearch.gui.viewer import Viewer

if TYPE_CHECKING:
    from photosearch.library import PhotoLibrary


class MainWindow(QMainWindow):
    """Shows itself at once; `attach` gives it the library when that is open."""

    closing = Signal()

    def __init__(self, background: Background, theme: Theme, settings: QSettings) -> None:
        super().__init__()
        self._background = background
        self._theme = theme
        self._settings = settings
        self._library: PhotoLibrary | None = None
        self._status: Status | None = None
        self._said_notices: set[str] = set()
        self.setWindowTitle("photosearch")
        self.setMinimumSize(QSize(640, 480))
        self.setAcceptDrops(True)
        self.messages = MessageBar()
        self.opening_page = StatePage("photo")
        self.opening_page.progress.show()
        self.opening_page.say(self.tr("Opening your library"), "")
        self.stack = QStackedWidget()
        self.stack.addWidget(self.opening_page)
        self.folders = FoldersPanel()
        self.folders.hide()
        self.status_panel = StatusPanel()
        self.status_panel.hide()
        middle = QHBoxLayout()
        middle.setContentsMargins(0, 0, 0, 0)
        middle.setSpacing(0)
        middle.addWidget(self.folders)
        middle.addWidget(self.stack, 1)
        central = QWidget()
        column = QVBoxLayout(central)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.messages)
        column.addLayout(middle, 1)
        column.addWidget(self.status_panel)
        self.setCentralWidget(central)
        self._overlay = DropOverlay(central)
        background.failed.connect(self.messages.say)
        self._restore_geometry()

    # The library comes

    def attach(self, library: PhotoLibrary) -> None:
        """Begin to work with `library`; whoever opened it closes it."""
        self._library = library
        self.browse = BrowsePage(library, self._background)
        self.viewer = Viewer(library, self._background, self.browse.model)
        self.photo_menu = PhotoMenu(library, self._background, self.browse.model, self)
        self.watch = LibraryWatch(library, self._background, self)
        self.indexing = Indexing(library, self._background, self.status_panel, self)
        for page in (self.browse, self.viewer):
            self.stack.addWidget(page)
        self.stack.setCurrentWidget(self.browse)
        self.status_panel.show()
        self._connect()
        self.menus = Menus(self)
        self._restore_choices()
        self.setTabOrder(self.browse.view, self.folders.list)
        self.browse.search_all()
        self.browse.bar.setFocus()
        self.watch.start()

    def fail(self, message: str) -> None:
        """Say that the library can't be opened."""
        self.opening_page.progress.hide()
        self.opening_page.say(self.tr("The library can't be opened"), message)
        self.opening_page.offer([(self.tr("Quit"), self.close)])

    def _connect(self) -> None:
        browse, viewer = self.browse, self.viewer
        browse.opened.connect(self.open_photo)
        browse.add_folder_wanted.connect(self.ask_for_folder)
        browse.sidebar_wanted.connect(lambda: self._show_sidebar(self.folders.isHidden()))
        browse.view.menu_wanted.connect(
            lambda place: self.photo_menu.menu(browse.view.selected_rows()).popup(place)
        )
        browse.view.zoomed.connect(lambda step: self._settings.setValue("grid/zoom", step))
        viewer.closed.connect(self._on_viewer_closed)
        viewer.chosen.connect(self._on_viewer_word)
        viewer.like_wanted.connect(self._find_like)
        self.photo_menu.like_wanted.connect(self._find_like)
        viewer.menu_wanted.connect(self._open_viewer_menu)
        viewer.panel_toggled.connect(lambda on: self._settings.setValue("viewer/panel", on))
        self.indexing.changed.connect(self.watch.look)
        self.indexing.failed.connect(self.messages.say)
        browse.model.failed.connect(self.messages.say)
        self.photo_menu.open_wanted.connect(self.open_photo)
        self.photo_menu.failed.connect(self.messages.say)
        self.folders.add_wanted.connect(self.ask_for_folder)
        self.folders.remove_wanted.connect(self.ask_to_remove)
        self.folders.show_wanted.connect(lambda folder: desktop.open_with_default(folder.path))
        self.watch.changed.connect(browse.model.refresh)
        self.watch.changed.connect(browse.thumbnails.try_missing_again)
        self.watch.status.connect(self._on_status)

    # Photos

    def open_photo(self, row: int) -> None:
        """Show a row in the viewer."""
        if self.stack.currentWidget() is not self.viewer:
            self.stack.setCurrentWidget(self.viewer)
            self.folders.hide()
            self.viewer.setFocus()
        self.viewer.open(row)

    def _on_viewer_closed(self, row: int) -> None:
        self.stack.setCurrentWidget(self.browse)
        self.folders.setVisible(self._wants_sidebar())
        self.browse.view.setFocus()
        self.browse.view.go_to(row)

    def _on_viewer_word(self, clause: Clause, exclude: bool) -> None:
        self.viewer.close_viewer()
        self.browse.choose(clause, exclude)

    def _find_like(self, hit: Hit) -> None:
        if self.stack.currentWidget() is self.viewer:
            self.viewer.close_viewer()
        self.browse.find_like(hit)

    def _open_viewer_menu(self, place: QPoint) -> None:
        menu = self.photo_menu.menu([self.viewer.row])
        menu.removeAction(menu.actions()[0])
        menu.popup(place)

    # Folders

    def ask_for_folder(self) -> None:
        """Let the user choose a folder to add."""
        pictures = QStandardPaths.StandardLocation.PicturesLocation
        chosen = QFileDialog.getExistingDirectory(
            self,
            self.tr("Add a folder with photos"),
            QStandardPaths.writableLocation(pictures),
        )
        if chosen:
            self.add_folders([Path(chosen)])

    def add_folders(self, paths: Sequence[Path]) -> None:
        """Add folders to the library, and see to it that they are indexed."""
        library = self._library
        if library is None:
            return
        for path in paths:
            self._do(partial(library.add_folder, path))
        self.indexing.start_service()

    def ask_to_remove(self, folder: Folder) -> None:
        """Remove a folder from the library if the user means it."""
        box = QMessageBox(self)
        box.setIcon(QMessageBox.Icon.Question)
        box.setTextFormat(Qt.TextFormat.PlainText)
        box.setWindowTitle(self.tr("Remove folder"))
        name = text.folder_text(folder.path)
        box.setText(self.tr("Remove %1 from photosearch?").replace("%1", name))
        box.setInformativeText(
            self.tr(
                "Its photos are no longer found here. The files on disk are not touched, and their "
                "words are kept in case you add the folder again."
            )
        )
        remove = box.addButton(self.tr("Remove"), QMessageBox.ButtonRole.DestructiveRole)
        box.addButton(QMessageBox.StandardButton.Cancel)
        box.setDefaultButton(QMessageBox.StandardButton.Cancel)
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        remove.clicked.connect(lambda: self.remove_folder(folder))
        box.open()

    def remove_folder(self, folder: Folder) -> None:
        """Remove a folder from the library."""
        library = self._library
        if library is not None:
            self._do(lambda: library.remove_folder(folder.id))

    def _do(self, chore: Callable[[], object]) -> None:
        self._background.submit(chore, lambda _: self.watch.look(), lane=Lane.CHORE)

    def _on_status(self, status: Status) -> None:
        first = self._status is None
        self._status = status
        self.indexing.show_status(status)
        self.folders.show_folders(status.folders)
        self.browse.show_status(status)
        if first or status.folders:
            self.folders.setVisible(
                self._wants_sidebar() and self.stack.currentWidget() is self.browse
            )
        for notice in status.notices:
            if notice not in self._said_notices:
                self._said_notices.add(notice)
                self.messages.say(notice)

    # What the menus do

    def to_search(self) -> None:
        """Go to the search field."""
        if self.stack.currentWidget() is self.viewer:
            self.viewer.close_viewer()
        self.browse.bar.setFocus()

    def go_back(self) -> None:
        """Return from the photo to the result, or to the search before this one."""
        if self.stack.currentWidget() is self.viewer:
            self.viewer.close_viewer()
        else:
            self.browse.go_back()

    def go_forward(self) -> None:
        """Undo `go_back` of a search."""
        if self.stack.currentWidget() is self.browse:
            self.browse.go_forward()

    def set_fill(self, fill: bool) -> None:
        """Crop photos to squares, or show them whole."""
        self.browse.view.set_fill(fill)
        self._settings.setValue("grid/fill", fill)

    def set_names(self, names: bool) -> None:
        """Show file names, or none."""
        self.browse.view.set_names(names)
        self._settings.setValue("grid/names", names)

    @property
    def appearance(self) -> Appearance:
        """What was chosen last."""
        return self._theme.appearance

    def _rows(self) -> list[int]:
        if self.stack.currentWidget() is self.viewer:
            return [self.viewer.row]
        return self.browse.view.selected_rows()

    def open_outside(self) -> None:
        """Open the chosen photos with their default program."""
        self.photo_menu.open_outside(self._rows())

    def show_in_folder(self) -> None:
        """Show the chosen photo in the file manager."""
        self.photo_menu.show_in_folder(self._rows())

    def find_like(self) -> None:
        """Look for photos like the chosen one."""
        self.photo_menu.find_like(self._rows())

    def copy_photos(self) -> None:
        """Copy the chosen photos."""
        self.photo_menu.copy_photos(self._rows())

    def copy_paths(self) -> None:
        """Copy the chosen photos' paths."""
        self.photo_menu.copy_paths(self._rows())

    def zoom(self, steps: int) -> None:
        """Make the photos larger or smaller."""
        if self.stack.currentWidget() is self.viewer:
            canvas = self.viewer.canvas
            canvas.set_zoom(canvas.zoom * 1.25**steps)
        else:
            self.browse.view.set_zoom(self.browse.view.zoom + steps)

    def choose_theme(self, appearance: Appearance) -> None:
        """Follow the system, or be light or dark, from now on."""
        self._theme.choose(appearance)
        self._settings.setValue("appearance", appearance.value)

    def toggle_full_screen(self) -> None:
        """Fill the screen, or stop to."""
        if self.isFullScreen():
            self.showNormal()
        else:
            self.showFullScreen()

    # How it was left

    def _wants_sidebar(self) -> bool:
        has_folders = self._status is not None and bool(self._status.folders)
        return has_folders and self._settings.value("window/sidebar", True, bool) is True

    def _show_sidebar(self, shown: bool) -> None:
        self._settings.setValue("window/sidebar", shown)
        self.folders.setVisible(shown)

    def _restore_geometry(self) -> None:
        self.resize(QSize(1200, 800).boundedTo(self.screen().availableSize()))
        geometry = self._settings.value("window/geometry")
        if geometry is not None:
            self.restoreGeometry(geometry)

    def _restore_choices(self) -> None:
        settings = self._settings
        zoom = settings.value("grid/zoom", self.browse.view.zoom, int)
        self.browse.view.set_zoom(int(str(zoom)))
        self.menus.fill.setChecked(settings.value("grid/fill", True, bool) is True)
        self.menus.names.setChecked(settings.value("grid/names", False, bool) is True)
        self.viewer.panel_button.setChecked(settings.value("viewer/panel", True, bool) is True)
        self.browse.words_button.setChecked(settings.value("window/words", False, bool) is True)
        self.browse.words_button.toggled.connect(lambda on: settings.setValue("window/words", on))

    def closeEvent(self, event: QCloseEvent) -> None:
        self._settings.setValue("window/geometry", self.saveGeometry())
        self._settings.sync()
        if self._library is not None:
            self.watch.stop()
        self.closing.emit()
        super().closeEvent(event)

    # Folders dropped on the window

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        local = any(url.isLocalFile() for url in event.mimeData().urls())
        if self._library is not None and event.source() is None and local:
            event.acceptProposedAction()
            self._overlay.appear()

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:
        self._overlay.hide()

    def dropEvent(self, event: QDropEvent) -> None:
        self._overlay.hide()
        urls = event.mimeData().urls()
        self.add_folders([Path(url.toLocalFile()) for url in urls if url.isLocalFile()])
        event.acceptProposedAction()

    def resizeEvent(self, event: QResizeEvent) -> None:
        if self._overlay.isVisible():
            self._overlay.appear()
        super().resizeEvent(event)
