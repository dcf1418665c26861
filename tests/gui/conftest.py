"""A window on a real library: pictures on disk, rows in SQLite, documents in Tantivy."""

import os
import threading

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import pytest
from gui_library import fill
from PySide6.QtCore import QPoint, QSettings, Qt
from PySide6.QtTest import QTest

from photosearch.gui.background import Background
from photosearch.gui.main_window import MainWindow
from photosearch.gui.text import install_plurals
from photosearch.gui.theme import Appearance, Theme
from photosearch.library import PhotoLibrary


class OffMainThread:
    """The real library; calling it on the main thread, where it could block, is an error."""

    def __init__(self, library):
        self._library = library

    def __getattr__(self, name):
        attribute = getattr(self._library, name)

        def call(*args, **kwargs):
            assert threading.current_thread() is not threading.main_thread(), name
            return attribute(*args, **kwargs)

        return call


class Person:
    """Someone at the window, with a keyboard and a mouse."""

    def __init__(self, qtbot, window, library):
        self.qtbot = qtbot
        self.window = window
        self.library = library

    @property
    def browse(self):
        return self.window.browse

    @property
    def field(self):
        return self.browse.bar.focusProxy()

    def wait(self, condition, timeout_ms=8000):
        self.qtbot.waitUntil(lambda: bool(condition()), timeout=timeout_ms)

    def type(self, words):
        self.field.setFocus()
        QTest.keyClicks(self.field, words)

    def key(self, key, modifiers=Qt.KeyboardModifier.NoModifier, widget=None):
        QTest.keyClick(widget or self.window.focusWidget() or self.window, key, modifiers)

    def search(self, words):
        self.type(words)
        self.key(Qt.Key.Key_Return, widget=self.field)
        self.wait(lambda: not self.field.text())
        self.settle()

    def settle(self):
        self.wait(lambda: not self.browse.model.is_busy)

    def names(self):
        """Names of the photos in the grid that match all words."""
        model = self.browse.model
        return [model.hit(row).path.name for row in range(model.total)]

    def chips(self):
        return [str(clause) for clause in self.browse.bar.clauses()]

    def click_cell(self, row, modifiers=Qt.KeyboardModifier.NoModifier):
        view = self.browse.view
        place = view.visualRect(view.model().index(row, 0)).center()
        self.click(view.viewport(), place, modifiers)

    def click(self, widget, place=None, modifiers=Qt.KeyboardModifier.NoModifier):
        place = widget.rect().center() if place is None else place
        QTest.mouseMove(widget, QPoint(place))
        QTest.mouseClick(widget, Qt.MouseButton.LeftButton, modifiers, QPoint(place))

    def open_photo(self, row):
        self.click_cell(row)
        self.wait(lambda: self.window.viewer.story is not None)


@pytest.fixture(scope="session")
def dressed(qapp):
    install_plurals(qapp)
    return Theme(qapp, Appearance.LIGHT)


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    return folder


@pytest.fixture
def open_window(qtbot, paths, dressed):
    """Return a function that opens a window on the library at `paths`."""
    opened = []

    def open_it(size=(1200, 800), *, answered=True):
        library = PhotoLibrary(paths)
        background = Background()
        settings = QSettings(str(paths.home / "window.ini"), QSettings.Format.IniFormat)
        window = MainWindow(background, dressed, settings)
        opened.append((window, background, library))
        window.resize(*size)
        window.show()
        window.attach(OffMainThread(library))
        person = Person(qtbot, window, library)
        person.wait(lambda: window.browse._answered or not answered)
        person.wait(lambda: window._status is not None)
        return person

    yield open_it
    for window, background, library in opened:
        window.close()
        in_time = background.close()
        library.stop_service()
        library.close()
        window.deleteLater()
        assert in_time


@pytest.fixture
def person(paths, folder, open_window):
    """Someone at a window with the six `PHOTOS`."""
    fill(paths, folder)
    return open_window()


@pytest.fixture(autouse=True)
def no_gui_threads_left():
    yield
    left = [thread for thread in threading.enumerate() if thread.name.startswith("gui-")]
    assert not left
