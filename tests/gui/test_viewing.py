"""The viewer: the photo, what is known of it, and the way through the result."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from gui_library import HOSTILE, PHOTOS, fill
from PySide6.QtCore import QEvent, QPoint, QPointF, QRectF, Qt
from PySide6.QtGui import QMouseEvent, QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLabel

from photosearch.clouds import layout
from photosearch.domain import JobKind, Stage, TermCount, ViewCaption
from photosearch.gui.chip import Chip
from photosearch.gui.cloud_view import word_path
from photosearch.storage.caption_store import CaptionStore
from photosearch.storage.database import Database
from photosearch.storage.job_queue import LOOKED_AT, NORMAL, JobQueue

CONTROL = Qt.KeyboardModifier.ControlModifier
SHIFT = Qt.KeyboardModifier.ShiftModifier


def labels(person):
    panel = person.window.viewer.panel
    return [label.text() for label in panel.findChildren(QLabel) if label.isVisible()]


def scroll_to(person, bars, line):
    """Bring a bar into view, once the panel has its final layout."""
    panel, place = person.window.viewer.panel, bars.bar_rect(line)

    def visible():
        y = bars.mapTo(panel.widget(), place.center()).y()
        panel.verticalScrollBar().setValue(y - panel.height() // 2)
        return bars.visibleRegion().contains(place.center())

    person.wait(visible)


def test_a_click_opens_the_photo_and_escape_goes_back(person):
    person.open_photo(1)
    viewer = person.window.viewer
    assert person.window.stack.currentWidget() is viewer
    assert viewer._name.text() == "beach.jpg"
    assert viewer._position.text() == "2 of 6"
    person.wait(lambda: viewer.canvas.picture.width() == 96, 30_000)
    person.key(Qt.Key.Key_Escape)
    assert person.window.stack.currentWidget() is person.browse
    assert person.browse.view.currentIndex().row() == 1
    assert person.browse.view.hasFocus()


def test_alt_left_goes_back_from_the_photo(person):
    person.search("dog")
    person.open_photo(0)
    person.key(Qt.Key.Key_Left, Qt.KeyboardModifier.AltModifier)
    assert person.window.stack.currentWidget() is person.browse
    assert person.chips() == ["dog"]


def test_enter_opens_the_current_photo(person):
    person.key(Qt.Key.Key_Down, widget=person.field)
    person.key(Qt.Key.Key_Right)
    person.key(Qt.Key.Key_Return)
    assert person.window.viewer.hit.path.name == "beach.jpg"


def test_the_arrow_keys_walk_through_the_result(person):
    person.open_photo(0)
    viewer = person.window.viewer
    assert not viewer.previous_button.isEnabled()
    person.key(Qt.Key.Key_Right)
    assert viewer.hit.path.name == "beach.jpg"
    person.key(Qt.Key.Key_Left)
    assert viewer.hit.path.name == "frisbee.jpg"
    person.key(Qt.Key.Key_End)
    assert viewer.hit.path.name == "untold.jpg"
    assert not viewer.next_button.isEnabled()
    person.wait(lambda: "No words yet: this photo waits to be looked at." in labels(person))
    person.click(viewer.previous_button)
    assert viewer.hit.path.name == HOSTILE


def test_captions_stand_by_view_with_the_matched_words_marked(person):
    person.search("dogs")
    person.window.open_photo(next(r for r, n in enumerate(person.names()) if n == "beach.jpg"))
    person.wait(lambda: person.window.viewer.story is not None)
    person.wait(lambda: "Whole photo" in labels(person) and "Lower half" in labels(person))
    story = person.window.viewer.story
    marked = {m.caption.view: [m.caption.text[a:b] for a, b in m.spans] for m in story.captions}
    assert marked == {"whole": ["dogs"], "half-bottom": ["dog"]}
    whole = next(words for words in labels(person) if "dogs</span>" in words)
    assert whole.startswith("Two <span style=")
    chips = {c.text(): c for c in person.window.viewer.panel.findChildren(Chip)}
    assert chips["dog"]._strong
    assert not chips["seashore"]._strong


@pytest.fixture
def two_answers(paths, folder, open_window):
    """Someone at a window with a photo that was asked about twice, and partly not looked at."""
    fill(paths, folder, PHOTOS[:1])
    with Database(paths.database) as database:
        jobs, captions = JobQueue(database), CaptionStore(database)
        kind = JobKind(Stage.HALVES, "llava", "Describe.")
        jobs.ensure([kind])
        said = [
            ViewCaption("half-left", "A meadow."),
            ViewCaption("half-left", "Clover & <i>daisies</i>.", prompt="What else?"),
            ViewCaption("half-right", "", skipped="flat"),
            ViewCaption("half-top", " \u200b\n"),
            ViewCaption("half-bottom", "Grass \x00\u202e" + "longword" * 40),
        ]
        captions.save(jobs.lease(kind), said)
    return open_window()


def test_answers_about_one_view_stand_under_one_heading(two_answers):
    person = two_answers
    person.open_photo(0)
    person.wait(lambda: "Left half" in labels(person))
    shown = labels(person)
    at = shown.index("Left half")
    assert shown[at + 1 : at + 3] == ["A meadow.", "Clover &amp; &lt;i&gt;daisies&lt;/i&gt;."]
    assert shown.count("Left half") == 1
    strange = shown[shown.index("Lower half") + 1]
    assert strange.startswith("Grass longword")
    assert "\u202e" not in strange
    assert not {"Right half", "Upper half"} & set(shown)
    panel = person.window.viewer.panel
    assert panel.widget().width() <= panel.viewport().width()


def test_a_photo_in_which_nothing_was_made_out_says_so(paths, folder, open_window):
    fill(paths, folder, [("fog.jpg", (200, 200, 200), (), {})])
    with Database(paths.database) as database:
        jobs = JobQueue(database)
        kind = JobKind(Stage.HALVES, "llava", "Describe.")
        jobs.ensure([kind])
        said = [ViewCaption("half-left", "", skipped="flat")]
        CaptionStore(database).save(jobs.lease(kind), said)
    person = open_window()
    person.open_photo(0)
    person.wait(lambda: "No words: nothing was made out in this photo." in labels(person))


def priorities(paths):
    """Return by file name the priority of what waits."""
    sql = (
        "SELECT path, priority FROM job JOIN file ON file.photo_id = job.photo_id"
        " WHERE state = 'waiting'"
    )
    with Database(paths.database) as database:
        return {Path(os.fsdecode(r["path"])).name: r["priority"] for r in database.query(sql)}


def test_photos_looked_at_are_captioned_first_but_not_those_flicked_past(person, paths):
    with Database(paths.database) as database:
        JobQueue(database).ensure([JobKind(Stage.HALVES, "llava", "Describe.")])
    person.open_photo(0)
    person.key(Qt.Key.Key_Right)
    person.key(Qt.Key.Key_Escape)
    person.open_photo(2)
    person.key(Qt.Key.Key_Right)
    person.wait(lambda: priorities(paths)["cat.jpg"] == LOOKED_AT)
    others = {name: rank for name, rank in priorities(paths).items() if name != "cat.jpg"}
    assert max(others.values()) == NORMAL
    assert len(others) == 5


def test_captions_and_file_names_are_never_html(person):
    person.search("bold")
    person.open_photo(0)
    viewer = person.window.viewer
    person.wait(lambda: any("script" in words for words in labels(person)))
    caption = next(words for words in labels(person) if "script" in words)
    assert "&lt;script&gt;" in caption
    assert "<script" not in caption
    assert viewer._name.textFormat() == Qt.TextFormat.PlainText
    assert viewer._name.text() == HOSTILE
    assert "<img" not in viewer._name.toolTip().removeprefix("<qt>")
    file_label = next(
        label for label in viewer.panel.findChildren(QLabel) if "img src" in label.text()
    )
    assert file_label.textFormat() == Qt.TextFormat.PlainText


def test_details_name_file_date_and_size(person, folder):
    person.open_photo(0)
    person.wait(lambda: "96 × 64 · JPEG" in labels(person))
    assert str(folder / "frisbee.jpg") in [words.replace("\u200b", "") for words in labels(person)]
    assert any("2020" in words for words in labels(person))


def test_a_bar_becomes_a_chip_and_shift_excludes(person):
    person.open_photo(0)
    bars = person.window.viewer.panel.words.bars
    person.wait(lambda: len(bars.terms()) > 3)
    counts = [term.count for term in bars.terms()]
    assert counts == sorted(counts, reverse=True)
    assert len(counts) <= 15
    line = [term.word for term in bars.terms()].index("frisbee")
    scroll_to(person, bars, line)
    person.click(bars, bars.bar_rect(line).center())
    assert person.window.stack.currentWidget() is person.browse
    assert person.chips() == ["frisbee"]
    person.settle()
    person.open_photo(0)
    person.wait(lambda: len(bars.terms()) > 3)
    line = [term.word for term in bars.terms()].index("sky")
    scroll_to(person, bars, line)
    person.click(bars, bars.bar_rect(line).center(), SHIFT)
    assert person.chips() == ["frisbee", "-sky"]


def test_bars_are_chosen_with_the_keys(person):
    person.open_photo(0)
    bars = person.window.viewer.panel.words.bars
    person.wait(lambda: len(bars.terms()) > 3)
    bars.setFocus()
    person.key(Qt.Key.Key_Down)
    person.key(Qt.Key.Key_Return)
    assert person.chips() == [bars.terms()[0].word]


def test_a_word_of_the_cloud_becomes_a_chip(person):
    person.open_photo(0)
    cloud = person.window.viewer.panel.words.cloud
    person.wait(lambda: any(p.word == "frisbee" for p in cloud.words_placed()))
    placed = next(p for p in cloud.words_placed() if p.word == "frisbee")
    assert placed.x >= 0 and placed.x + placed.width <= cloud.width()
    person.click(cloud, QPoint(placed.x + placed.width // 2, placed.y + placed.height // 2))
    assert person.chips() == ["frisbee"]


def test_a_word_under_the_mouse_shows_where_it_was_seen(person):
    person.open_photo(0)
    viewer = person.window.viewer
    assert viewer.story.boxes_of["sky"] == ((0.0, 0.0, 0.5, 0.5),)
    bars = viewer.panel.words.bars
    person.wait(lambda: len(bars.terms()) > 3)
    # What comes later would move the words under the mouse.
    person.wait(viewer.panel.words.cloud.words_placed)
    person.wait(lambda: viewer.canvas.picture.width() == 96, 30_000)
    line = [term.word for term in bars.terms()].index("sky")
    scroll_to(person, bars, line)
    QTest.mouseMove(bars, bars.bar_rect(line).center())
    person.wait(lambda: viewer.canvas._outlines == ((0.0, 0.0, 0.5, 0.5),))


@pytest.mark.parametrize("vertical", [False, True])
def test_the_painted_cloud_is_where_the_layout_put_it(dressed, vertical):
    words = [
        TermCount(word, n) for n, word in enumerate(["aegypt", "Sky", "jumping", "dog", "tree"], 1)
    ]
    placed = layout(words, 300, 200)
    assert placed == layout(words, 300, 200)
    for word in placed:
        if word.vertical != vertical:
            sizes = (word.height, word.width)
            word = replace(word, vertical=vertical, width=sizes[0], height=sizes[1])  # noqa: PLW2901
        ink = word_path(word).boundingRect()
        place = QRectF(word.x, word.y, word.width, word.height)
        assert place.adjusted(-2, -2, 2, 2).contains(ink)
        assert ink.width() * ink.height() > 0.8 * word.width * word.height


def test_zoom_and_pan(person):
    person.open_photo(0)
    canvas = person.window.viewer.canvas
    person.wait(lambda: canvas.picture.width() == 96, 30_000)
    fitting = canvas.photo_rect()
    point = QPointF(fitting.left() + 10, fitting.top() + 10)
    event = QWheelEvent(
        point, canvas.mapToGlobal(point), QPoint(), QPoint(0, 240), Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    QApplication.sendEvent(canvas, event)
    assert canvas.zoom > 1
    person.key(Qt.Key.Key_0)
    assert canvas.photo_rect() == fitting
    for _ in range(12):
        person.key(Qt.Key.Key_Plus)
    before = canvas.photo_rect()
    assert before.width() > canvas.width()
    middle = canvas.rect().center()
    QTest.mousePress(canvas, Qt.MouseButton.LeftButton, pos=middle)
    QTest.mouseMove(canvas, middle + QPoint(40, 0))
    QTest.mouseRelease(canvas, Qt.MouseButton.LeftButton, pos=middle + QPoint(40, 0))
    assert canvas.photo_rect().left() == pytest.approx(before.left() + 40, abs=1)


def test_the_second_click_of_a_double_click_in_the_grid_does_not_zoom(person):
    person.open_photo(1)
    canvas = person.window.viewer.canvas
    middle = QPointF(canvas.rect().center())
    left = Qt.MouseButton.LeftButton
    second = QMouseEvent(
        QEvent.Type.MouseButtonDblClick, middle, canvas.mapToGlobal(middle), left, left,
        Qt.KeyboardModifier.NoModifier,
    )  # fmt: skip
    QApplication.sendEvent(canvas, second)
    assert canvas.zoom == 1.0
    QTest.mouseClick(canvas, left)
    QTest.mouseDClick(canvas, left)
    assert canvas.zoom > 1.0


def test_a_photo_whose_file_is_gone_says_so(person, folder):
    for file in folder.iterdir():
        file.unlink()
    for thumbnail in (person.library.paths.thumbnails).rglob("*.jpg"):
        thumbnail.unlink()
    person.open_photo(0)
    person.wait(lambda: person.window.viewer.canvas.message != "", 20_000)
    assert "frisbee" in person.window.viewer.canvas.message


def test_the_side_panel_can_be_hidden_and_stays_so(person, open_window):
    person.open_photo(0)
    person.key(Qt.Key.Key_I)
    assert person.window.viewer.panel.isHidden()
    person.window.close()
    again = open_window()
    assert not again.window.viewer.panel_button.isChecked()
