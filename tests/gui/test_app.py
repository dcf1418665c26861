"""The program as a whole: a process with a window, from start to end."""

import os
import signal
import subprocess
import sys
import textwrap

from gui_library import fill

from photosearch.gui.app import Session, window_settings
from photosearch.storage.database import Database

DRIVER = """
import sys
from pathlib import Path
from PySide6.QtCore import QTimer
from photosearch.gui import app
from photosearch.paths import AppPaths

start = app.Session.start

def start_and_watch(self):
    start(self)
    def look():
        window = self.window
        if hasattr(window, "browse") and window.browse.model.total == 6:
            print("photos shown", flush=True)
            if sys.argv[2] == "close":
                window.close()
    timer = QTimer(self.window)
    timer.timeout.connect(look)
    timer.start(50)

app.Session.start = start_and_watch
sys.exit(app.run(AppPaths(Path(sys.argv[1]))))
"""


def drive(paths, how):
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(DRIVER), str(paths.home), how],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip


def test_the_window_opens_on_a_library_and_closing_ends_the_program(paths, folder):
    fill(paths, folder)
    with drive(paths, "close") as process:
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "photos shown" in out
    assert "Traceback" not in err
    assert window_settings(paths).contains("window/geometry")


def test_ctrl_c_ends_the_program(paths, folder):
    fill(paths, folder)
    with drive(paths, "stay") as process:
        assert process.stdout.readline().startswith("photos shown")
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "Traceback" not in err


def test_a_library_that_is_too_new_is_refused_in_the_window(qtbot, qapp, paths):
    with Database(paths.database) as database, database.transaction() as write:
        write.execute("PRAGMA user_version = 9999")
    session = Session(qapp, paths, None)
    try:
        session.start()
        page = session.window.opening_page
        qtbot.waitUntil(lambda: page.title.text() == "The library can't be opened", timeout=20_000)
        assert page.body.text()
        assert page.buttons
        session.window.close()
    finally:
        session.close()
        session.window.deleteLater()


def test_qt_leaves_none_alone(qapp):
    # PySide 6.12.0 takes a reference to None with every call on Python before 3.12, until
    # Python ends with "deallocating None".
    before = sys.getrefcount(None)
    for _ in range(1000):
        qapp.processEvents()
    assert sys.getrefcount(None) > before - 500
