"""The window as a program: from the first paint to the last thread."""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Sequence
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from PySide6.QtCore import QLibraryInfo, QLocale, QSettings, Qt, QTimer, QTranslator
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QApplication

from photosearch.domain import display_path
from photosearch.errors import PhotosearchError
from photosearch.gui import icons
from photosearch.gui.background import Background, Lane
from photosearch.gui.desktop import leave_clipboard
from photosearch.gui.main_window import MainWindow
from photosearch.gui.text import install_plurals
from photosearch.gui.theme import Appearance, Theme
from photosearch.paths import AppPaths

if TYPE_CHECKING:
    from photosearch.library import PhotoLibrary

_log = logging.getLogger(__name__)


def window_settings(paths: AppPaths) -> QSettings:
    """Return the settings of the window, in a file of the library's own."""
    return QSettings(str(paths.window), QSettings.Format.IniFormat)


def make_application(argv: Sequence[str]) -> QApplication:
    """Make the application with its texts and icon."""
    QGuiApplication.setHighDpiScaleFactorRoundingPolicy(
        Qt.HighDpiScaleFactorRoundingPolicy.PassThrough
    )
    app = QApplication(["photosearch", *argv])
    app.setApplicationName("photosearch")
    app.setApplicationDisplayName("photosearch")
    app.setDesktopFileName("photosearch")
    app.setWindowIcon(icons.app_icon())
    install_plurals(app)
    translator = QTranslator(app)
    folder = QLibraryInfo.path(QLibraryInfo.LibraryPath.TranslationsPath)
    if translator.load(QLocale(), "qtbase", "_", folder):
        app.installTranslator(translator)
    return app


class Session:
    """The library, its service and the window, from opening to closing."""

    def __init__(self, app: QApplication, paths: AppPaths, folder: Path | None) -> None:
        self._paths = paths
        self._folder = folder
        self._library: PhotoLibrary | None = None
        self._started_service = False
        settings = window_settings(paths)
        chosen = str(settings.value("appearance", Appearance.SYSTEM.value))
        known = chosen in list(Appearance)
        self.theme = Theme(app, Appearance(chosen) if known else Appearance.SYSTEM)
        self.background = Background()
        self.window = MainWindow(self.background, self.theme, settings)

    def start(self) -> None:
        """Show the window, then open the library behind it."""
        self.window.show()
        self.background.submit(
            self._open, self._take, lane=Lane.CHORE, on_error=lambda e: self.window.fail(str(e))
        )

    def _open(self) -> tuple[PhotoLibrary, bool]:
        # Imported here: it brings the search engine, which the first paint need not wait for.
        from photosearch.library import PhotoLibrary  # noqa: PLC0415

        library = PhotoLibrary(self._paths)
        self._library = library
        runs = library.status().service_pid is not None
        return library, runs

    def _take(self, opened: tuple[PhotoLibrary, bool]) -> None:
        library, service_runs = opened
        self._started_service = not service_runs
        self.window.attach(library)
        if self._folder is not None:
            self.window.add_folders([self._folder])
        elif not service_runs:
            self.window.indexing.start_service()

    def close(self) -> None:
        """Stop the threads, the service if it was started here, and close the library."""
        if not self.background.close():
            _log.warning("A background thread did not end in time.")
        if self._library is None:
            return
        if self._started_service:
            try:
                self._library.stop_service()
            except PhotosearchError as error:
                _log.warning("%s", error)
        self._library.close()


def _show_bugs(window: MainWindow, log: Path) -> None:
    """Write bugs into the file `log` and tell of them in `window`, instead of ending silently."""

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            window.close()
            return
        _log.error("A bug", exc_info=(kind, error, trace))
        sys.__excepthook__(kind, error, trace)
        message = window.tr("Something went wrong inside photosearch (%1). Details are in %2.")
        window.messages.say(message.replace("%1", kind.__name__).replace("%2", display_path(log)))

    sys.excepthook = hook


def run(paths: AppPaths, folder: Path | None = None, argv: Sequence[str] = ()) -> int:
    """Open the window on the library at `paths`, adding `folder`; return the exit code."""
    app = make_application(argv)
    session = Session(app, paths, folder)
    previous_hook = sys.excepthook
    log = paths.home / "window.log"
    # The file is made when there is something to write: most days there is not.
    log_handler = RotatingFileHandler(log, maxBytes=1 << 20, backupCount=1, delay=True)
    log_handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.getLogger("photosearch").addHandler(log_handler)
    _show_bugs(session.window, log)
    # Python runs signal handlers between its own instructions only: the timer gives it some.
    heartbeat = QTimer()
    heartbeat.start(250)
    heartbeat.timeout.connect(lambda: None)
    handlers = {
        number: signal.signal(number, lambda *_: session.window.close())
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        session.start()
        return int(app.exec())
    finally:
        heartbeat.stop()
        session.close()
        leave_clipboard()
        sys.excepthook = previous_hook
        logging.getLogger("photosearch").removeHandler(log_handler)
        log_handler.close()
        for number, handler in handlers.items():
            signal.signal(number, handler)
