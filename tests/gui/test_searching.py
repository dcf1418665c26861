"""What a person does to find a photo: typing, chips, refinement words, the grid."""

import contextlib
import threading

import pytest
from gui_library import HOSTILE, PHOTOS, fill
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QContextMenuEvent, QGuiApplication, QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QMenu

from photosearch.domain import JobKind, Query, Stage
from photosearch.gui.desktop import leave_clipboard
from photosearch.service_control import ServiceLock
from photosearch.storage.database import Database
from photosearch.storage.job_queue import JobQueue

SHIFT = Qt.KeyboardModifier.ShiftModifier
CONTROL = Qt.KeyboardModifier.ControlModifier
ALT = Qt.KeyboardModifier.AltModifier


def test_an_empty_search_shows_all_photos_newest_first(person):
    assert person.names() == [
        "frisbee.jpg", "beach.jpg", "boat.jpg", "cat.jpg", HOSTILE, "untold.jpg",
    ]  # fmt: skip
    assert person.browse.summary.text().startswith("6 photos · ")


def test_results_follow_the_typing(person):
    person.type("cat")
    person.wait(lambda: person.names() == ["cat.jpg"])
    assert person.browse.summary.text().startswith("1 photo matches · ")
    assert person.browse.summary.text().endswith(" ms")


def test_an_unfinished_word_shows_what_it_will_become(person, qtbot):
    person.type("fris")
    person.wait(lambda: person.names() == ["frisbee.jpg"])
    assert "shown for “frisbee”" in person.browse.summary.text()
    with qtbot.waitSignal(person.browse.model.refreshed):
        person.library.set_paused(True)
    assert "shown for “frisbee”" in person.browse.summary.text()


@pytest.fixture
def told(person, monkeypatch):
    """Names of the photos that the library was told of as nearly found, call by call."""
    calls = []
    real = person.library.nearly_found

    def note(photo_ids):
        calls.append({person.library.photo(n).photo.paths[0].name for n in photo_ids})
        real(photo_ids)

    monkeypatch.setattr(person.library, "nearly_found", note)
    return calls


def test_photos_that_a_settled_search_almost_found_are_captioned_first(person, told, qtbot):
    with Database(person.library.paths.database) as database:
        JobQueue(database).ensure([JobKind(Stage.HALVES, "llava")])
    person.search("cat")
    assert not person.browse._settled.isActive(), "there is nothing in part"
    person.key(Qt.Key.Key_L, CONTROL)
    person.wait(lambda: not person.chips())
    person.type("dog sea")
    with qtbot.waitSignal(person.browse.model.refreshed):
        person.wait(lambda: told)
    assert told == [{"frisbee.jpg", "boat.jpg", HOSTILE}]
    assert not person.browse._settled.isActive(), "the news of it is no new search"


def test_a_search_that_goes_on_is_not_settled(person, told):
    person.search("dog sea")
    assert person.browse._settled.isActive()
    person.type(" cou")
    person.wait(lambda: told)
    assert len(told) == 1
    assert "beach.jpg" in told[0], "it has dog and sea, but no couch"


def test_enter_finishes_the_unfinished_word(person):
    person.search("dog fris")
    assert person.chips() == ["dog", "frisbee"]
    assert person.names() == ["frisbee.jpg"]


def test_a_late_answer_never_overwrites_a_newer_one(person):
    released, asked = threading.Event(), threading.Event()
    real = person.library.search

    def slow_for_cats(query, **options):
        if "cat" in str(query):
            asked.set()
            released.wait(10)
        return real(query, **options)

    person.library.search = slow_for_cats
    person.type("cat")
    person.wait(asked.is_set)
    person.field.selectAll()
    person.type("boat")
    person.wait(lambda: person.names() == ["boat.jpg"])
    released.set()
    QTest.qWait(100)
    assert person.names() == ["boat.jpg"]


def test_enter_turns_words_into_chips_and_the_cross_takes_them_away(person):
    person.search('dog -beach "white boat"')
    assert person.chips() == ["dog", "-beach", '"white boat"']
    assert person.field.text() == ""
    chip = person.browse.bar._chips[1]
    assert chip.accessibleName() == "without beach"
    person.click(chip, chip.cross_rect().center().toPoint())
    assert person.chips() == ["dog", '"white boat"']
    chip = person.browse.bar._chips[1]
    person.wait(lambda: chip.width() == chip.sizeHint().width())
    person.click(chip, chip.cross_rect().center().toPoint())
    person.settle()
    assert set(person.names()) == {"frisbee.jpg", "beach.jpg", HOSTILE}


def test_a_comma_makes_a_chip_too(person):
    person.type("dog,")
    person.wait(lambda: person.chips() == ["dog"])
    assert person.field.text() == ""


def test_backspace_takes_the_last_chip_back_to_text(person):
    person.search("dog beach")
    person.key(Qt.Key.Key_Backspace, widget=person.field)
    assert person.chips() == ["dog"]
    assert person.field.text() == "beach"


def test_escape_clears_step_by_step(person):
    person.search("dog beach")
    person.type("sa")
    person.wait(lambda: person.browse.bar._completions is not None)
    person.wait(person.browse.bar._completions.isVisible)
    person.key(Qt.Key.Key_Escape, widget=person.field)
    assert not person.browse.bar._completions.isVisible()
    assert person.field.text() == "sa"
    person.key(Qt.Key.Key_Escape, widget=person.field)
    assert person.field.text() == ""
    person.key(Qt.Key.Key_Escape, widget=person.field)
    assert person.chips() == ["dog"]
    person.key(Qt.Key.Key_Escape, widget=person.field)
    assert person.chips() == []


def test_completions_are_chosen_with_the_keys(person):
    person.type("fr")
    person.wait(lambda: person.browse.bar._completions is not None)
    person.wait(lambda: "frisbee" in person.browse.bar._completions.words())
    person.key(Qt.Key.Key_Down, widget=person.field)
    person.key(Qt.Key.Key_Return, widget=person.field)
    person.wait(lambda: person.chips() == ["frisbee"])
    assert not person.browse.bar._completions.isVisible()


def test_completions_are_chosen_with_the_mouse(person):
    person.type("dog fr")
    person.wait(lambda: person.browse.bar._completions is not None)
    person.wait(lambda: "frisbee" in person.browse.bar._completions.words())
    listed = person.browse.bar._completions
    person.click(listed.viewport(), listed.visualRect(listed.model().index(0, 0)).center())
    person.wait(lambda: person.chips() == ["dog", "frisbee"])


def refine_chip(person, word):
    person.wait(lambda: any(c.text() == word for c in person.browse.refine.chips()))
    return next(c for c in person.browse.refine.chips() if c.text() == word)


def test_a_click_on_a_suggested_word_narrows_the_result(person):
    person.search("dog")
    chip = refine_chip(person, "frisbee")
    assert chip._count_text.endswith("1")
    person.click(chip)
    assert person.chips() == ["dog", "frisbee"]
    person.settle()
    assert person.names() == ["frisbee.jpg"]


def test_shift_click_on_a_suggested_word_excludes_it(person):
    person.search("dog")
    chip = refine_chip(person, "frisbee")
    person.click(chip, modifiers=SHIFT)
    person.settle()
    assert person.chips() == ["dog", "-frisbee"]
    assert set(person.names()) == {"beach.jpg", HOSTILE}


def test_the_menu_of_a_suggested_word_excludes_it(person, qtbot):
    person.search("dog")
    chip = refine_chip(person, "frisbee")
    QTest.mouseClick(chip, Qt.MouseButton.RightButton)

    event = QContextMenuEvent(
        QContextMenuEvent.Reason.Mouse, QPoint(3, 3), chip.mapToGlobal(QPoint(3, 3))
    )
    chip.contextMenuEvent(event)
    menu = chip.findChild(QMenu)
    next(a for a in menu.actions() if a.text() == "Exclude").trigger()
    menu.close()
    assert person.chips() == ["dog", "-frisbee"]


def test_alt_left_and_right_walk_through_the_searches(person):
    person.search("dog")
    person.search("frisbee")
    person.key(Qt.Key.Key_Left, ALT, person.window)
    assert person.chips() == ["dog"]
    person.key(Qt.Key.Key_Left, ALT, person.window)
    assert person.chips() == []
    person.key(Qt.Key.Key_Right, ALT, person.window)
    assert person.chips() == ["dog"]


def test_partial_matches_come_after_a_heading(person):
    person.search("dog boat")
    model = person.browse.model
    assert (model.total, model.partial_total) == (0, 4)
    person.search("sea")
    assert model.total == 0
    person.browse.bar.clear()
    person.search("dog frisbee")
    assert (model.total, model.partial_total) == (1, 2)
    view = person.browse.view
    divider = view._geometry.divider(1)
    assert view._geometry.rect(0).bottom() < divider.top()
    assert divider.bottom() < view._geometry.rect(1).top()


def test_nothing_found_offers_to_drop_words(person):
    person.search("zeppelin")
    page = person.browse.empty.nothing
    assert person.browse.stack.currentWidget() is page
    assert page.title.text() == "Nothing found"
    assert [chip.text() for chip in page.buttons] == ["zeppelin"]
    person.click(page.buttons[0])
    person.settle()
    assert person.chips() == []
    assert person.browse.stack.currentWidget() is person.browse.view


def test_room_for_narrowing_words_is_kept_only_while_one_types(person):
    person.search("dog")
    assert person.browse.refine.isVisible()
    person.type("zebraqqq ")
    person.settle()
    assert not person.browse.refine.words
    assert person.browse.refine.isVisible()
    person.key(Qt.Key.Key_Return, widget=person.field)
    person.wait(lambda: not person.browse.refine.isVisible())


def test_what_is_said_of_nothing_fits_a_narrow_window(paths, folder, open_window):
    fill(paths, folder)
    person = open_window((640, 480))
    person.search("zebraqqq")
    page = person.browse.empty.nothing
    person.wait(lambda: person.browse.stack.currentWidget() is page)
    viewport = page.viewport()
    for label in (page.title, page.body):
        place = label.rect().translated(label.mapTo(viewport, label.rect().topLeft()))
        assert 0 <= place.left() <= place.right() < viewport.width()


def test_the_words_of_the_result_are_shown_on_demand_and_can_be_chosen(person):
    person.search("dog")
    person.click(person.browse.words_button)
    bars = person.browse.words.bars
    person.wait(lambda: bool(bars.terms()))
    assert bars.terms()[0].word == "dog"
    person.wait(lambda: bool(person.browse.words.cloud.words_placed()))
    line = [term.word for term in bars.terms()].index("frisbee")
    person.wait(bars.isVisible)
    person.click(bars, bars.bar_rect(line).center())
    assert person.chips() == ["dog", "frisbee"]


def test_the_keyboard_walks_through_the_grid(person):
    person.key(Qt.Key.Key_Down, widget=person.field)
    view = person.browse.view
    assert view.hasFocus()
    assert view.currentIndex().row() == 0
    for key, row in (
        (Qt.Key.Key_Right, 1), (Qt.Key.Key_End, 5), (Qt.Key.Key_Left, 4), (Qt.Key.Key_Home, 0),
        (Qt.Key.Key_Down, 5 if view._geometry.columns < 6 else 0),
    ):  # fmt: skip
        person.key(key)
        if key != Qt.Key.Key_Down:
            assert view.currentIndex().row() == row


def test_typing_over_the_grid_goes_into_the_search_field(person):
    person.key(Qt.Key.Key_Down, widget=person.field)
    QTest.keyClicks(person.browse.view, "c")
    assert person.field.hasFocus()
    QTest.keyClicks(person.field, "at")
    person.wait(lambda: person.names() == ["cat.jpg"])


def test_several_photos_are_selected_with_keys_and_mouse(person):
    view = person.browse.view
    person.click_cell(0, CONTROL)
    person.click_cell(2, CONTROL)
    assert view.selected_rows() == [0, 2]
    person.click_cell(4, SHIFT)
    assert view.selected_rows() == [2, 3, 4]
    person.key(Qt.Key.Key_Left, SHIFT, view)
    assert view.selected_rows() == [2, 3]
    person.key(Qt.Key.Key_A, CONTROL, view)
    assert view.selected_rows() == list(range(6))
    person.key(Qt.Key.Key_Escape, widget=view)
    assert not view.selectionModel().hasSelection()


def test_control_wheel_and_keys_zoom(person):

    view = person.browse.view
    before = view.visualRect(view.model().index(0, 0)).width()
    center = QPointF(view.viewport().rect().center())
    event = QWheelEvent(
        center, view.viewport().mapToGlobal(center), QPoint(), QPoint(0, 120),
        Qt.MouseButton.NoButton, CONTROL, Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    QGuiApplication.sendEvent(view.viewport(), event)
    larger = view.visualRect(view.model().index(0, 0)).width()
    assert larger > before
    person.key(Qt.Key.Key_Minus, CONTROL, person.window)
    assert view.visualRect(view.model().index(0, 0)).width() == before


def test_thumbnails_appear_in_their_cells(person):
    person.wait(lambda: person.browse.thumbnails.bytes_used > 0)
    view = person.browse.view
    person.wait(lambda: not person.browse.thumbnails._wanted)
    shot = view.viewport().grab().toImage()
    ratio = shot.devicePixelRatio()
    center = view.visualRect(view.model().index(0, 0)).center()

    def green():
        colour = view.viewport().grab().toImage().pixelColor(center * ratio)
        return colour.green() > 120 and colour.red() < 80

    person.wait(green)


@pytest.mark.parametrize("several", [False, True])
def test_photos_are_copied_as_paths_and_as_files(person, folder, several):
    person.click_cell(0, CONTROL)
    if several:
        person.click_cell(4, CONTROL)
    names = ["frisbee.jpg", HOSTILE] if several else ["frisbee.jpg"]
    person.key(Qt.Key.Key_C, CONTROL | ALT, person.window)
    clipboard = QGuiApplication.clipboard()
    wanted = "\n".join(str(folder / name) for name in names)
    person.wait(lambda: clipboard.text() == wanted)
    person.key(Qt.Key.Key_C, CONTROL | SHIFT, person.window)
    urls = [str(folder / name) for name in names]
    person.wait(lambda: [url.toLocalFile() for url in clipboard.mimeData().urls()] == urls, 20_000)
    assert clipboard.mimeData().hasImage() != several
    # What Python has made must not be there when Python ends.
    leave_clipboard()
    assert not clipboard.mimeData().hasImage()
    assert "frisbee.jpg" in clipboard.text()


def test_photos_are_dragged_out_as_files(person, folder):
    model = person.browse.model
    mime = model.mimeData([model.index(0, 0), model.index(4, 0)])
    assert [url.toLocalFile() for url in mime.urls()] == [
        str(folder / "frisbee.jpg"), str(folder / HOSTILE),
    ]  # fmt: skip


def test_the_menu_of_photos_offers_what_can_be_done(person):
    menu = person.window.photo_menu.menu([0])
    assert [action.text() for action in menu.actions() if action.text()] == [
        "Open", "More like this photo", "Open with default program", "Show in folder", "Copy photo",
        "Copy path",
    ]  # fmt: skip
    menu.actions()[0].trigger()
    menu.close()
    assert person.window.stack.currentWidget() is person.window.viewer


def test_a_change_of_the_library_refreshes_without_jumping(person, paths, folder):

    view = person.browse.view
    person.click_cell(2, CONTROL)
    new = tuple((f"new-{n}.jpg", (n * 9 % 255, 99, 9), ("kite",), {}) for n in range(4))
    fill(paths, folder, (*new, *PHOTOS))
    person.wait(lambda: person.browse.model.rowCount() == 10)
    selected = [person.browse.model.hit(row).path.name for row in view.selected_rows()]
    assert selected == ["boat.jpg"]
    person.search("kite")
    assert len(person.names()) == 4


def test_a_refresh_keeps_what_is_at_the_top_in_place(paths, folder, open_window):

    old = tuple((f"old-{n}.jpg", (n % 255, 50, 50), ("kite",), {}) for n in range(120))
    fill(paths, folder, old)
    person = open_window()
    view, model = person.browse.view, person.browse.model
    view.verticalScrollBar().setValue(1000)
    QTest.qWait(50)
    first = view.visible_rows().start
    name, top = model.hit(first).path.name, view.visualRect(model.index(first, 0)).top()
    new = tuple((f"new-{n}.jpg", (n % 255, 50, 150), ("kite",), {}) for n in range(7))
    fill(paths, folder, (*new, *old))
    person.wait(lambda: model.rowCount() == 127)
    row = next(r for r in range(127) if model.hit(r).path.name == name)
    assert view.visualRect(model.index(row, 0)).top() == top


def test_query_texts_reach_the_library_unharmed(person):
    person.search("<b>bold</b>")
    assert person.names() == [HOSTILE]
    assert person.browse.model.query != Query()


def test_a_search_that_fails_says_why_and_is_asked_again(paths, folder, open_window):
    fill(paths, folder)
    for file in paths.index.iterdir():
        if file.is_file():
            file.write_bytes(b"damaged")
    with contextlib.closing(ServiceLock(paths)):
        person = open_window(answered=False)
        messages = person.window.messages
        person.wait(messages.isVisible)
        assert "being rebuilt" in messages.label.text()
        browse = person.browse
        person.wait(lambda: browse.stack.currentWidget() is browse.empty.waiting)
    person.library.set_paused(True)
    person.wait(lambda: len(person.names()) == 6, 20_000)
    assert browse.stack.currentWidget() is browse.view
