"""The bridge to threads: order, staleness, errors, and an end in time."""

import threading

import pytest

from photosearch.errors import FolderError
from photosearch.gui.background import Background, Lane


@pytest.fixture
def background(qtbot):
    background = Background()
    yield background
    assert background.close()


def test_answers_come_on_the_thread_that_asked(background, qtbot):
    told = []
    background.submit(
        threading.current_thread, lambda worker: told.append((worker, threading.current_thread()))
    )
    qtbot.waitUntil(lambda: bool(told))
    worker, here = told[0]
    assert worker is not here is threading.main_thread()


def test_a_later_question_on_a_channel_replaces_the_earlier(background, qtbot):
    go = threading.Event()
    told = []
    background.submit(lambda: go.wait(5) and "old", told.append, channel="c")
    background.submit(lambda: "new", told.append, channel="c")
    qtbot.waitUntil(lambda: told == ["new"])
    go.set()
    background.submit(lambda: "end", told.append)
    qtbot.waitUntil(lambda: "end" in told)
    assert "old" not in told


def test_work_that_nobody_waits_for_is_skipped(background, qtbot):
    go, ran, told = threading.Event(), [], []
    background.submit(lambda: go.wait(5), lane=Lane.CHORE)
    background.submit(lambda: ran.append(1), channel="c", lane=Lane.CHORE)
    background.cancel("c")
    background.submit(lambda: None, told.append, lane=Lane.CHORE)
    go.set()
    qtbot.waitUntil(lambda: bool(told))
    assert not ran


def test_errors_for_people_are_told_and_bugs_are_raised(background, qtbot):
    said = []
    background.failed.connect(said.append)

    def refuse():
        raise FolderError("No such folder.")

    background.submit(refuse)
    qtbot.waitUntil(lambda: said == ["No such folder."])
    with qtbot.captureExceptions() as bugs:
        background.submit(lambda: 1 / 0)
        qtbot.waitUntil(lambda: bool(bugs))
    assert bugs[0][0] is ZeroDivisionError


def test_closing_drops_what_waits_and_calls_nobody(qtbot):
    background = Background()
    go, told = threading.Event(), []
    background.submit(lambda: go.wait(5), told.append, lane=Lane.CHORE)
    background.submit(lambda: told.append("ran"), lane=Lane.CHORE)
    threading.Timer(0.2, go.set).start()
    assert background.close()
    qtbot.wait(50)
    assert told == []


def test_closing_does_not_wait_for_ever(qtbot):
    background = Background()
    go, began = threading.Event(), threading.Event()
    background.submit(lambda: began.set() or go.wait(20), lane=Lane.CHORE)
    assert began.wait(5)
    assert not background.close(timeout_s=0.3)
    go.set()
    assert background.close()
