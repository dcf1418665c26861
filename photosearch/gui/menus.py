"""The menu bar: every action with its name and shortcut."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject
from PySide6.QtGui import QAction, QActionGroup, QKeySequence
from PySide6.QtWidgets import QMenu

from photosearch.gui.theme import Appearance

if TYPE_CHECKING:
    from photosearch.gui.main_window import MainWindow


class Menus(QObject):
    """Fills the menu bar of a window; `fill` and `names` are the actions that have a state."""

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self._window = window
        bar = window.menuBar()
        self._make_file(bar.addMenu(self.tr("&File")))
        self._make_search(bar.addMenu(self.tr("&Search")))
        self._make_photo(bar.addMenu(self.tr("&Photo")))
        self._make_view(bar.addMenu(self.tr("&View")))
        self._make_indexing(bar.addMenu(self.tr("&Indexing")))

    def _make_file(self, menu: QMenu) -> None:
        self._add(menu, self.tr("&Add a folder…"), self._window.ask_for_folder, "Ctrl+O")
        menu.addSeparator()
        self._add(menu, self.tr("&Quit"), self._window.close, QKeySequence.StandardKey.Quit)

    def _make_search(self, menu: QMenu) -> None:
        window = self._window
        self._add(menu, self.tr("&Find"), window.to_search, QKeySequence.StandardKey.Find)
        self._add(menu, self.tr("&Back"), window.go_back, "Alt+Left")
        self._add(menu, self.tr("F&orward"), window.go_forward, "Alt+Right")
        menu.addSeparator()
        self._add(menu, self.tr("&Clear"), window.browse.bar.clear, "Ctrl+L")
        self._add(menu, self.tr("&Edit as text"), window.browse.bar.edit_all, "Ctrl+E")
        menu.addSeparator()
        self._add(menu, self.tr("&What you can type…"), window.browse.show_help, "F1")

    def _make_photo(self, menu: QMenu) -> None:
        window = self._window
        self._add(menu, self.tr("&Open with default program"), window.open_outside, "Ctrl+Return")
        self._add(menu, self.tr("&Show in folder"), window.show_in_folder, "Ctrl+Shift+F")
        self._add(menu, self.tr("&More like this photo"), window.find_like, "Ctrl+M")
        menu.addSeparator()
        self._add(menu, self.tr("Copy &photo"), window.copy_photos, "Ctrl+Shift+C")
        self._add(menu, self.tr("Copy pa&th"), window.copy_paths, "Ctrl+Alt+C")

    def _make_view(self, menu: QMenu) -> None:
        window, browse = self._window, self._window.browse
        self._add(menu, self.tr("&Folders"), browse.sidebar_wanted.emit, "F9")
        self._add(menu, self.tr("&Words of this result"), browse.words_button.toggle, "F8")
        menu.addSeparator()
        larger = self._add(menu, self.tr("&Larger"), lambda: window.zoom(1))
        standard = QKeySequence.keyBindings(QKeySequence.StandardKey.ZoomIn)
        # On many keyboards + needs Shift.
        larger.setShortcuts([*standard, QKeySequence("Ctrl+=")])
        self._add(menu, self.tr("&Smaller"), lambda: window.zoom(-1), "Ctrl+-")
        self.fill = self._add_state(menu, self.tr("&Crop to squares"), window.set_fill)
        self.names = self._add_state(menu, self.tr("File &names"), window.set_names)
        menu.addSeparator()
        self._make_appearance(menu.addMenu(self.tr("&Appearance")))
        self._add(menu, self.tr("F&ull screen"), window.toggle_full_screen, "F11")

    def _make_appearance(self, menu: QMenu) -> None:
        group = QActionGroup(self)
        for choice, name in (
            (Appearance.SYSTEM, self.tr("&System")),
            (Appearance.LIGHT, self.tr("&Light")),
            (Appearance.DARK, self.tr("&Dark")),
        ):
            action = menu.addAction(name)
            action.setCheckable(True)
            action.setChecked(choice == self._window.appearance)
            action.triggered.connect(
                lambda _checked=False, choice=choice: self._window.choose_theme(choice)
            )
            group.addAction(action)

    def _make_indexing(self, menu: QMenu) -> None:
        self._add(menu, self.tr("&Progress…"), self._window.indexing.show_progress)
        self._add(menu, self.tr("P&roblems…"), self._window.indexing.show_failures)

    def _add(
        self,
        menu: QMenu,
        name: str,
        act: Callable[[], object],
        shortcut: str | QKeySequence.StandardKey | None = None,
    ) -> QAction:
        action = menu.addAction(name)
        action.triggered.connect(lambda _checked=False: act())
        if shortcut is not None:
            action.setShortcut(QKeySequence(shortcut))
        return action

    def _add_state(self, menu: QMenu, name: str, choose: Callable[[bool], object]) -> QAction:
        action = menu.addAction(name)
        action.setCheckable(True)
        action.toggled.connect(choose)
        return action
