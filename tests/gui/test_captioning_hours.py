"""Captions that wait for their hours: the window says why, and has them written now."""

import datetime
import os
import time
from pathlib import Path

import psutil
import pytest
from gui_library import PHOTOS, fill
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel

from photosearch.captioners import find_captioners
from photosearch.domain import Folder, Hold, JobKind, Stage, StageProgress, Status
from photosearch.errors import DiskFullError
from photosearch.gui import caption_now
from photosearch.gui.caption_now import RunNow, hours_until_morning
from photosearch.gui.status_panel import StatusPanel
from photosearch.library import PhotoLibrary
from photosearch.service_control import STATE_RUN_UNTIL, STATE_SERVICE
from photosearch.storage.database import Database
from photosearch.storage.job_queue import JobQueue
from photosearch.storage.photo_store import PhotoStore

TINY = Path(__file__).resolve().parents[1] / "tiny_llava"
BATTERY = Hold("The computer runs on battery.", "photosearch run-now --hours 2")
FULL_SCREEN = Hold("A program fills the screen.", "photosearch run-now --hours 2")


def status(**changed):
    stages = (
        StageProgress(Stage.TAGS, 300),
        StageProgress(Stage.FULL, 120, 180, 0, per_second=0.05, seconds_left=3600.0),
        StageProgress(Stage.NINTHS, 0, 300, 0, per_second=0.004, seconds_left=75_000.0),
    )
    facts = {
        "folders": (Folder(1, Path("/p"), 300),), "photo_count": 300, "file_count": 300,
        "stages": stages, "failure_count": 0, "service_pid": 1, "captioner": "llava",
    }  # fmt: skip
    return Status(**(facts | changed))


@pytest.fixture
def panel(qtbot, dressed):
    panel = StatusPanel()
    qtbot.addWidget(panel)
    panel.resize(1000, 40)
    panel.show()
    return panel


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({}, "Captions of whole photos: 120 of 300 · 3.0 a minute · 1 h of work left"),
        ({"holds": (BATTERY,)}, "Captions wait · The computer runs on battery"),
        (
            {"holds": (BATTERY, FULL_SCREEN)},
            "Captions wait · The computer runs on battery · 1 more reason",
        ),
        (
            {"paused": True, "holds": (Hold("Indexing is paused.", ""), BATTERY)},
            "Paused · Captions of whole photos: 120 of 300",
        ),
        # Servers caption whatever the hours are.
        (
            {"holds": (BATTERY,), "activity": "full /p/1.jpg"},
            "Captions of whole photos: 120 of 300 · 3.0 a minute · 1 h of work left",
        ),
        (
            {"holds": (BATTERY,), "stages": (StageProgress(Stage.TAGS, 120, 180),)},
            "First words: 120 of 300",
        ),
        ({"holds": (BATTERY,), "stages": ()}, "All photos are up to date"),
    ],
)
def test_the_status_line_says_why_captions_wait(panel, changed, line):
    panel.show_status(status(**changed))
    assert panel.label.text() == line
    assert panel.caption_button.isVisible() == ("Captions wait" in line)


def test_the_tooltip_has_all_reasons(panel):
    panel.show_status(status(holds=(BATTERY, FULL_SCREEN)))
    assert panel.label.toolTip() == (
        "<qt>Captions wait:<br>The computer runs on battery.<br>A program fills the screen.<br>"
        "Captions of whole photos: 120 of 300</qt>"
    )


def test_of_the_crops_the_stage_is_told_that_is_worked_on(panel):
    crops = (StageProgress(Stage.HALVES, 1, 2), StageProgress(Stage.NINTHS, 2, 1))
    panel.show_status(status(stages=crops, activity="ninths /p/1.jpg"))
    assert panel.label.text() == "Captions of ninths: 2 of 3"
    panel.show_status(status(stages=crops, activity="looking through folders"))
    assert panel.label.text() == "Captions of halves: 1 of 3"


def test_a_long_line_ends_in_an_ellipsis(panel):
    panel.show_status(status(holds=(Hold("It is outside the hours 22:00-07:00." * 9, ""),)))
    shown = panel.label.grab().toImage()
    edge = shown.pixelColor(shown.width() - 1, shown.height() // 2)
    assert all(shown.pixelColor(shown.width() - 1, y) == edge for y in range(shown.height())), (
        "no letter is cut in two"
    )


@pytest.mark.parametrize(
    ("now", "hours"), [((23, 30), 7.5), ((6, 30), 0.5), ((7, 0), 24.0), ((12, 0), 19.0)]
)
def test_the_morning_is_the_next_one(now, hours):
    # In a month in which clocks change nowhere.
    assert hours_until_morning(datetime.datetime(2024, 7, 10, *now)) == hours


# With a library


def report(paths, *holds):
    """Report as the service does, in this process' name."""
    with Database(paths.database) as database:
        row = {
            "pid": os.getpid(), "since": psutil.Process().create_time(), "activity": "",
            "notices": [], "holds": [[hold.reason, hold.command] for hold in holds],
        }  # fmt: skip
        PhotoStore(database).set_state({STATE_SERVICE: row})


def run_until(paths):
    with Database(paths.database) as database:
        return PhotoStore(database).state(STATE_RUN_UNTIL)


@pytest.fixture
def waiting(paths, folder, open_window):
    """Someone at a window whose service has captions to write, but waits for two reasons."""
    fill(paths, folder, PHOTOS[:2])
    use_tiny_model(paths)
    with Database(paths.database) as database:
        for spec in find_captioners(paths):
            if spec.model == "tiny":
                kinds = [JobKind(stage, spec.model, spec.prompt) for stage in spec.views]
                JobQueue(database).ensure(kinds)
    report(paths, BATTERY, FULL_SCREEN)
    person = open_window()
    person.wait(person.window.status_panel.caption_button.isVisible)
    yield person
    # Whoever closes the window stops its service: this process.
    with Database(paths.database) as database:
        PhotoStore(database).set_state({STATE_SERVICE: None})


def use_tiny_model(paths):
    model, mmproj = (TINY / f"tiny-llava-{part}-f16.gguf" for part in ("text", "mmproj"))
    with PhotoLibrary(paths) as library:
        library.use_model(model, mmproj, "tiny")


def choose(person, button, number):
    """Open the menu of a button with the mouse, click on one of its actions, return its name."""
    menu = button.choices
    person.click(button)
    person.wait(menu.isVisible)
    action = menu.actions()[number]
    person.click(menu, menu.actionGeometry(action).center())
    return action.text()


def test_captions_are_begun_by_a_click_and_go_back_to_the_schedule(waiting, paths):
    panel = waiting.window.status_panel
    button = panel.caption_button
    assert panel.label.text() == "Captions wait · The computer runs on battery · 1 more reason"
    assert button.text() == "Caption now"
    assert not waiting.window.messages.isVisible(), "it is no error"
    assert panel.failures_button.isHidden()
    assert choose(waiting, button, 1) == "For 2 hours"
    waiting.wait(lambda: run_until(paths))
    assert run_until(paths) == pytest.approx(time.time() + 7200, abs=60)
    assert panel.label.text() == "Captioning begins · Captions of whole photos: 0 of 2"
    report(paths)
    waiting.wait(lambda: panel.label.text() == "Captions of whole photos: 0 of 2")
    assert button.text().startswith("Captioning until ")
    assert choose(waiting, button, -1) == "Follow the schedule again"
    waiting.wait(lambda: run_until(paths) is None)
    report(paths, BATTERY)
    waiting.wait(lambda: panel.label.text() == "Captions wait · The computer runs on battery")
    assert button.text() == "Caption now"


def test_captions_are_begun_with_the_keys(waiting, paths):
    button = waiting.window.status_panel.caption_button
    button.setFocus()
    waiting.key(Qt.Key.Key_Space, widget=button)
    waiting.wait(button.choices.isVisible)
    waiting.key(Qt.Key.Key_Down, widget=button.choices)
    waiting.key(Qt.Key.Key_Return, widget=button.choices)
    waiting.wait(lambda: run_until(paths))
    assert run_until(paths) == pytest.approx(time.time() + 3600, abs=60)


def test_the_dialog_tells_all_reasons_and_begins_too(waiting, paths):
    panel = waiting.window.status_panel
    waiting.click(panel.label)
    dialog = waiting.window.indexing.progress
    assert dialog._summary.text() == "Captions wait"
    assert dialog.reasons.text().splitlines() == [
        "• The computer runs on battery.", "• A program fills the screen.",
    ]  # fmt: skip
    for label in dialog.findChildren(QLabel):
        assert "run-now" not in label.text()
    chosen = choose(waiting, dialog.caption_button, 3)
    assert chosen.startswith("Until ")
    waiting.wait(lambda: run_until(paths))
    ends = datetime.datetime.fromtimestamp(round(run_until(paths)))
    assert (ends.hour, ends.minute) == (7, 0)
    assert dialog.reasons.isHidden()
    report(paths)
    waiting.wait(lambda: dialog.caption_button.text().startswith("Captioning until "))


def test_a_pause_ends_it_and_is_told_once(waiting, paths):
    panel = waiting.window.status_panel
    choose(waiting, panel.caption_button, 0)
    report(paths)
    waiting.wait(lambda: panel.caption_button.text().startswith("Captioning until "))
    waiting.click(panel.pause_button)
    report(paths, BATTERY)
    waiting.wait(lambda: panel.label.text() == "Paused · Captions of whole photos: 0 of 2")
    assert panel.caption_button.isHidden()
    waiting.click(panel.pause_button)
    waiting.wait(lambda: panel.label.text() == "Captions wait · The computer runs on battery")


def test_a_service_that_does_not_begin_is_not_said_to(waiting, paths, monkeypatch):
    monkeypatch.setattr(caption_now, "_STARTS_WITHIN_S", 0.0)
    panel = waiting.window.status_panel
    choose(waiting, panel.caption_button, 0)
    waiting.wait(lambda: run_until(paths))
    waiting.wait(lambda: panel.label.text().startswith("Captions wait"))
    assert panel.caption_button.text() == "Caption now"


def test_what_could_not_be_asked_for_is_said(waiting, monkeypatch):
    def refuse(_hours):
        raise DiskFullError("The disk is full.")

    monkeypatch.setattr(waiting.library, "run_now", refuse)
    panel = waiting.window.status_panel
    choose(waiting, panel.caption_button, 0)
    waiting.wait(waiting.window.messages.isVisible)
    assert waiting.window.messages.label.text() == "The disk is full."
    assert panel.label.text().startswith("Captions wait")


@pytest.mark.slow
def test_a_real_service_waits_for_its_hours_until_it_is_told_to_caption_now(
    paths, folder, open_window
):
    fill(paths, folder, PHOTOS[:2])
    use_tiny_model(paths)
    later = [datetime.datetime.now() + datetime.timedelta(hours=n) for n in (3, 4)]
    hours = "-".join(f"{moment:%H:00}" for moment in later)
    with PhotoLibrary(paths) as library:
        library.settings.set("schedule.hours", hours)
    person = open_window()
    panel = person.window.status_panel
    person.window.indexing.start_service()
    line = f"Captions wait · It is outside the hours {hours}"
    person.wait(lambda: panel.label.text() == line, 60_000)
    choose(person, panel.caption_button, 0)
    person.wait(lambda: panel.label.text() == "All photos are up to date", 60_000)
    assert {c.view for _, c in person.library.captions() if c.model == "tiny"} >= {"whole"}


def test_what_was_asked_for_elsewhere_is_shown_too():
    run = RunNow()
    until = time.time() + 3600
    run.follow(status(run_until=time.time() - 5))
    assert run.until is None
    run.follow(status(run_until=until))
    assert run.until == until
    run.follow(status(paused=True))
    assert run.until is None
