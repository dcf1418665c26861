"""Folders come and go; the status line tells the truth; failures can be tried again."""

from pathlib import Path

import pytest
from gui_library import PHOTOS, fill
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QFileDialog, QMessageBox, QPushButton
from scripted import paint

from photosearch.domain import Folder, JobKind, Stage, StageProgress, Status
from photosearch.gui.folders_panel import trouble
from photosearch.gui.status_panel import StatusPanel
from photosearch.storage.database import Database
from photosearch.storage.job_queue import JobQueue


@pytest.fixture
def no_service(monkeypatch):
    """Folders are added, but nothing is indexed: for tests of what the window says."""
    monkeypatch.setattr("photosearch.library.PhotoLibrary.start_service", lambda self: None)


def answer(monkeypatch, folder):
    # The system's own dialog cannot be driven from here.
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(folder))


def test_an_empty_library_invites_and_a_folder_becomes_photos(
    open_window, folder, paths, monkeypatch
):
    paint(folder / "red.jpg", (200, 30, 30))
    paint(folder / "green.jpg", (30, 200, 30))
    person = open_window()
    page = person.browse.empty.no_folder
    assert person.browse.stack.currentWidget() is page
    assert page.title.text() == "Find any photo by what is in it"
    assert person.window.folders.isHidden()
    answer(monkeypatch, folder)
    button = page.buttons[0]
    assert isinstance(button, QPushButton)
    person.click(button)
    person.wait(lambda: person.browse.model.total == 2, 60_000)
    assert person.browse.stack.currentWidget() is person.browse.view
    assert [f.path for f in person.window.folders.folders()] == [folder]
    assert person.window.folders.isVisible()


def test_a_folder_without_photos_says_so(open_window, folder, no_service):
    person = open_window()
    person.window.add_folders([folder])
    person.wait(lambda: person.browse.empty.no_folder.title.text() == "No photos here yet")
    assert str(folder) in person.browse.empty.no_folder.body.text()


# PySide 6.12 deprecates the one constructor that 6.11 has.
@pytest.mark.filterwarnings("ignore:.*QDragEnterEvent:DeprecationWarning")
def test_folders_are_added_by_dropping_them(open_window, folder, no_service):
    person = open_window()
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(folder))])
    copy = Qt.DropAction.CopyAction
    left, none = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    enter = QDragEnterEvent(QPoint(50, 50), copy, mime, left, none)
    person.window.dragEnterEvent(enter)
    assert enter.isAccepted()
    assert person.window._overlay.isVisible()
    person.window.dropEvent(QDropEvent(QPointF(50, 50), copy, mime, left, none))
    assert not person.window._overlay.isVisible()
    person.wait(lambda: [f.path for f in person.window.folders.folders()] == [folder])


def test_what_is_no_folder_is_refused_with_a_reason(open_window, folder, no_service):
    person = open_window()
    person.window.add_folders([folder / "<i>nowhere</i>"])
    messages = person.window.messages
    person.wait(messages.isVisible)
    assert "<i>nowhere</i>" in messages.label.text()
    assert messages.label.textFormat() == Qt.TextFormat.PlainText
    person.click(messages.close_button)
    assert messages.isHidden()


def test_removing_a_folder_asks_and_leaves_the_files(person, folder):
    panel = person.window.folders
    panel.list.setFocus()
    panel.list.setCurrentIndex(panel.list.model().index(0, 0))
    person.key(Qt.Key.Key_Delete, widget=panel.list)
    box = person.window.findChild(QMessageBox)
    assert "are not touched" in box.informativeText()
    assert str(folder) in box.text()
    remove = next(b for b in box.buttons() if b.text() == "Remove")
    person.click(remove)
    person.wait(lambda: not person.window.folders.folders())
    assert len(list(folder.iterdir())) == len(PHOTOS)


def test_folders_show_counts_and_trouble(person):
    index = person.window.folders.list.model().index(0, 0)
    assert index.data(Qt.ItemDataRole.AccessibleDescriptionRole) == "6 photos"
    away = Folder(1, Path("/media/stick"), 3, online=False)
    assert trouble(away).startswith("Not connected")
    assert trouble(Folder(1, Path("/x"), 3, problem="No permission")) == "No permission"


def status(**changed):
    stages = (
        StageProgress(Stage.SCAN, done=300),
        StageProgress(Stage.TAGS, 120, 178, 2, per_second=3.4, seconds_left=52.4),
    )
    facts = {
        "folders": (Folder(1, Path("/p"), 300),), "photo_count": 300, "file_count": 300,
        "stages": stages, "failure_count": 2, "service_pid": 1,
    }  # fmt: skip
    return Status(**(facts | changed))


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({}, "First words: 122 of 300 · 3.4 a second · 52 s left"),
        ({"paused": True}, "Paused · First words: 122 of 300"),
        ({"service_pid": None}, "Indexing is not running · First words: 122 of 300"),
        ({"stages": ()}, "All photos are up to date"),
        ({"folders": ()}, "No folders yet"),
    ],
)
def test_the_status_line_says_what_is_going_on(qtbot, dressed, changed, line):
    panel = StatusPanel()
    qtbot.addWidget(panel)
    panel.show_status(status(**changed))
    assert panel.label.text() == line
    assert panel.failures_button.text() == "2 problems"
    assert panel.count.text() == "300 photos"


def test_pausing_is_kept_in_the_library(person, paths):
    with Database(paths.database) as database:
        JobQueue(database).ensure([JobKind(Stage.HALVES, "llava")])
    person.window.indexing.set_paused(True)
    person.wait(lambda: person.window._status.paused)
    button = person.window.status_panel.pause_button
    person.wait(button.isVisible)
    assert button.accessibleName() == "Resume indexing"
    person.click(button)
    person.wait(lambda: not person.window._status.paused)
    assert not person.library.status().paused


def test_failures_are_listed_with_reasons_and_tried_again(paths, folder, open_window, no_service):
    fill(paths, folder, broken=("<b>odd.jpg",))
    person = open_window()
    button = person.window.status_panel.failures_button
    person.wait(button.isVisible)
    assert button.text() == "1 problem"
    person.click(button)
    dialog = person.window.indexing.failures
    person.wait(lambda: len(dialog.failures()) == 1)
    assert dialog.heading.text() == "1 file could not be read"
    cells = [dialog._model.index(0, column).data() for column in range(3)]
    assert cells == ["<b>odd.jpg", "Reading photos", "It is no picture."]
    tip = dialog._model.index(0, 0).data(Qt.ItemDataRole.ToolTipRole)
    assert "&lt;b&gt;odd.jpg" in tip
    assert not dialog.retry_button.isEnabled()
    dialog.table.selectRow(0)
    person.click(dialog.retry_button)
    person.wait(lambda: not dialog.failures())
    assert person.library.failures() == []


def test_indexing_is_told_stage_by_stage(person):
    person.click(person.window.status_panel.label)
    dialog = person.window.indexing.progress
    assert dialog.isVisible()
    assert dialog.rows[Stage.SCAN][0].text() == "Reading photos"
    assert dialog.rows[Stage.SCAN][2].text() == "6 of 6"
