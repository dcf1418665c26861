"""Any query as chips and as text; other spellings; related photos; why; help."""

import html
import threading

import pytest
from gui_library import HOSTILE, PHOTOS, fill
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication, QHelpEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLabel, QToolTip

from photosearch.domain import Clause, Field, Match, Query, Through
from photosearch.gui.chip import Chip
from photosearch.gui.clause_text import completion_clause, pieces, said, shown
from photosearch.gui.draft import completed, read_draft, without_open_field
from photosearch.gui.query_help import QueryHelp
from photosearch.gui.why_text import why_text, why_texts

SHIFT = Qt.KeyboardModifier.ShiftModifier
CONTROL = Qt.KeyboardModifier.ControlModifier
ALT = Qt.KeyboardModifier.AltModifier
DOG, CAT = Query((Clause("dog"),)), Query((Clause("cat"),))


@pytest.mark.parametrize(
    ("clause", "words", "quiet"),
    [
        (Clause("dog"), "dog", ""),
        (Clause("dog", negated=True), "without dog", ""),
        (Clause("red car"), "red car", ""),
        (Clause("dog", phrase=True), "“dog”", ""),
        (Clause("bicy", prefix=True), "bicy*", ""),
        (Clause("Norway", field=Field.IN), "in Norway", "in"),
        (Clause("2019-05..2019-08", field=Field.DATE), "date 2019-05 – 2019-08", "date"),
        (Clause(">=3", field=Field.STARS), "stars ≥ 3", "stars"),
        (Clause("42", field=Field.LIKE), "like IMG_4711.JPG", "like"),
        (Clause("43", field=Field.LIKE), "like photo 43", "like"),
        (Clause(any_of=(DOG, CAT)), "dog or cat", "or"),
        (Clause(any_of=(DOG, Query((Clause("red car"),)))), "dog or “red car”", "or"),
        (Clause(any_of=(DOG, Query((Clause("cat"), Clause("sea", negated=True))))),
         "dog or (cat − sea)", "or"),
        (Clause(any_of=(Query((Clause("dog"), Clause("cat"))),), negated=True),
         "without (dog cat)", ""),
    ],
)  # fmt: skip
def test_every_clause_is_said_for_people(dressed, clause, words, quiet):
    names = {"42": "IMG_4711.JPG"}
    assert said(clause, names) == words
    assert " ".join(piece.words for piece in pieces(clause, names) if piece.quiet) == quiet


@pytest.mark.parametrize(
    ("typed", "word", "is_open"),
    [
        ("dog fr", "fr", False), ("-fr", "fr", False), ("(cat OR do", "do", True),
        ('"white bo', "bo", True), ('in:"New Y', "in:New Y", True), ("-in:No", "in:No", False),
        ('"a b" c', "c", False), ("a(b)c", "c", False), ("x)) y", "y", False), ("", "", False),
        ('"a (b" c', "c", False),
    ],
)  # fmt: skip
def test_the_word_at_the_cursor_heeds_quotes_and_parentheses(typed, word, is_open):
    draft = read_draft(typed)
    assert (draft.word, draft.is_open) == (word, is_open)


@pytest.mark.parametrize(
    ("typed", "searched"),
    [("dog in:", "dog "), ("-date:", ""), ('(cat in:"', "(cat "), ("main:", "main:"),
     ("in:x", "in:x"), ("dog", "dog")],
)  # fmt: skip
def test_a_field_without_a_value_is_not_searched_for(typed, searched):
    assert without_open_field(typed) == searched


@pytest.mark.parametrize(
    ("typed", "cursor", "word", "expected"),
    [
        ("dog fr", 6, "frisbee", "dog frisbee"),
        ("fr dog", 2, "frisbee", "frisbee dog"),
        ("-fr", 3, "frisbee", "-frisbee"),
        ('x in:"New Y" z', 11, 'in:"New York"', 'x in:"New York" z'),
        ("(cat OR do", 10, "dog", "(cat OR dog"),
        ("a Hot d", 7, '"hot dog"', 'a "hot dog"'),
        ("hot d", 5, "dog", "hot dog"),
        ("(hot d", 6, '"hot dog"', '("hot dog"'),
        ('"hot d', 6, "dog", '"hot dog'),
    ],
)
def test_completing_replaces_the_word_at_the_cursor(typed, cursor, word, expected):
    text, at = completed(typed, cursor, word)
    assert text == expected
    assert text[:at].endswith(word)


@pytest.mark.parametrize(
    ("completion", "clause"),
    [
        ("dog", Clause("dog")), ("hot dog", Clause("hot dog", True)),
        ("in:Norway", Clause("Norway", field=Field.IN)),
        ('in:"album 12"', Clause("album 12", field=Field.IN)),
    ],
)  # fmt: skip
def test_a_completion_is_one_clause(completion, clause):
    assert completion_clause(completion) == clause


EVERYTHING = (
    'dog -cat "white boat" "sea" (dog OR "red couch") fris* in:pictures -date:2019 no:captions '
    "like:1 -(dog cat)"
)


def test_a_query_is_chips_or_text_as_one_likes(person):
    person.search(EVERYTHING)
    clauses = person.browse.bar.clauses()
    assert str(Query(clauses)) == EVERYTHING
    person.key(Qt.Key.Key_E, CONTROL, person.window)
    assert person.chips() == []
    assert person.field.text() == EVERYTHING
    person.key(Qt.Key.Key_Return, widget=person.field)
    person.wait(lambda: not person.field.text())
    assert person.browse.bar.clauses() == clauses
    while person.chips():
        person.key(Qt.Key.Key_Backspace, widget=person.field)
        assert person.field.text().endswith(str(clauses[len(person.chips())]))
        person.field.clear()


def test_a_chip_is_edited_by_a_double_click_and_left_alone_by_one_click(person):
    person.search("in:pictures dog")
    chip = person.browse.bar._chips[0]
    assert chip.text() == "in pictures"
    person.click(chip)
    assert person.chips() == ["in:pictures", "dog"]
    QTest.mouseDClick(chip, Qt.MouseButton.LeftButton)
    assert person.chips() == ["dog"]
    assert person.field.text() == "in:pictures"
    assert person.field.hasFocus()


def test_what_is_edited_does_not_fall_into_quotes_that_are_open(person):
    person.search("dog")
    person.type('"white boat')
    person.key(Qt.Key.Key_Home, widget=person.field)
    person.key(Qt.Key.Key_Left, widget=person.field)
    person.key(Qt.Key.Key_F2, widget=person.browse.bar._chips[0])
    assert person.field.text() == '"white boat" dog'


@pytest.mark.parametrize("way", ["shift", "minus"])
def test_any_chip_is_turned_round_in_its_place(person, way):
    person.search("(cat OR boat) in:pictures sea")
    chip = person.browse.bar._chips[0]
    if way == "shift":
        person.click(chip, modifiers=SHIFT)
    else:
        person.key(Qt.Key.Key_Minus, widget=chip)
    assert person.chips() == ["-(cat OR boat)", "in:pictures", "sea"]
    assert person.browse.bar._chips[0].accessibleName() == "without cat or boat"
    person.settle()
    assert person.names() == ["beach.jpg"]


def test_adding_a_clause_takes_the_place_of_its_opposite(person):
    person.search("-(cat OR boat) dog")
    person.browse.bar.add([Clause(any_of=(CAT, Query((Clause("boat"),))))])
    assert person.chips() == ["dog", "(cat OR boat)"]


def test_commas_and_spaces_inside_quotes_make_no_chip(person):
    person.type('"a white boat,')
    assert person.field.text() == '"a white boat,'
    person.type('",')
    person.wait(lambda: not person.field.text())
    assert len(person.chips()) == 1
    person.type("(cat,")
    assert person.field.text() == "(cat,"


def test_a_sentence_is_one_chip_that_is_cut_where_it_is_too_long(person):
    sentence = "there is a brown dog that jumps for a frisbee on the grass of a very large meadow"
    person.search(sentence)
    assert person.chips() == [f'about:"{sentence}"']
    (chip,) = person.browse.bar._chips
    assert chip.text() == f"about {sentence}"
    assert chip._pieces[-1].words.endswith("…")
    assert chip.width() < 340
    assert sentence in chip.toolTip()
    assert person.names()[0] == "frisbee.jpg"


def test_a_long_chip_gives_way_to_its_cross_in_a_narrow_window(paths, folder, open_window):
    fill(paths, folder)
    person = open_window((660, 500))
    person.search("there is a brown dog that jumps for a frisbee on the grass of a meadow")
    (chip,) = person.browse.bar._chips
    person.wait(lambda: chip.width() < chip.sizeHint().width())
    words = " ".join(piece.words for piece in chip._fitting())
    assert words.endswith("…")
    assert chip.fontMetrics().horizontalAdvance(words) < chip.cross_rect().left()


def test_the_field_takes_a_line_of_its_own_only_for_a_long_text(paths, folder, open_window):
    fill(paths, folder)
    person = open_window((740, 500))
    person.search("dog cat")
    (dog, _) = person.browse.bar._chips
    person.wait(lambda: person.field.y() == dog.y())
    low = person.browse.bar.height()
    person.type("beside the wide blue sea")
    person.wait(lambda: person.field.y() > dog.y() and person.browse.bar.height() > low)
    text_px = person.field.fontMetrics().horizontalAdvance(person.field.text())
    assert person.field.width() > text_px
    while person.field.text():
        person.key(Qt.Key.Key_Escape, widget=person.field)
    person.wait(lambda: person.browse.bar.height() == low)


def test_a_chip_has_no_mnemonic(dressed, qtbot):
    chip = Chip(Clause("R&B"))
    qtbot.addWidget(chip)
    assert chip.shortcut().isEmpty()
    assert chip.text() == "R&B"


def completions(person):
    return person.browse.bar._completions


def test_a_completed_field_is_kept_whole(person):
    person.type("dog in:pict")
    person.wait(lambda: completions(person) is not None)
    person.wait(lambda: completions(person).words() == ["in:pictures"])
    person.key(Qt.Key.Key_Tab, widget=person.field)
    person.wait(lambda: person.chips() == ["dog", "in:pictures"])


def test_a_field_that_waits_for_its_value_finds_all_the_rest_does(person):
    person.search("dog")
    person.type("in:")
    person.wait(lambda: completions(person) is not None)
    person.wait(lambda: "in:pictures" in completions(person).words())
    assert len(person.names()) == 3


def test_completing_inside_parentheses_goes_on_typing(person):
    person.type("(boat OR fr")
    person.wait(lambda: completions(person) is not None)
    person.wait(lambda: "frisbee" in completions(person).words())
    person.key(Qt.Key.Key_Down, widget=person.field)
    person.key(Qt.Key.Key_Return, widget=person.field)
    assert person.field.text() == "(boat OR frisbee"
    person.type(")")
    person.key(Qt.Key.Key_Return, widget=person.field)
    person.wait(lambda: person.chips() == ["(boat OR frisbee)"])
    person.settle()
    assert set(person.names()) == {"boat.jpg", "frisbee.jpg"}


def refine_chip(person):
    person.wait(lambda: any(c.text() == "frisbee" for c in person.browse.refine.chips()))
    return next(c for c in person.browse.refine.chips() if c.text() == "frisbee")


@pytest.mark.parametrize("way", ["minus", "key"])
def test_the_minus_of_a_suggested_word_excludes_it(person, way):
    person.search("dog")
    chip = refine_chip(person)
    assert chip.accessibleName() == "frisbee: add, or exclude with minus"
    assert chip.accessibleDescription().endswith("1")
    if way == "minus":
        person.click(chip, chip.minus_rect().center().toPoint())
    else:
        person.key(Qt.Key.Key_Minus, widget=chip)
    assert person.chips() == ["dog", "-frisbee"]


def test_the_minus_covers_neither_word_nor_count(dressed, qtbot):
    chip = Chip(Clause("frisbee"), count_text="≈\u202f1,200")
    qtbot.addWidget(chip)
    chip.resize(chip.sizeHint())
    chip.show()

    def left_of_minus():
        end = chip.minus_rect().center().x() - 7.5
        shot = chip.grab(chip.rect().adjusted(12, 8, round(end) - chip.width(), -8)).toImage()
        return {
            (x, y) for x in range(shot.width()) for y in range(shot.height())
            if shot.pixelColor(x, y).lightness() < 150
        }  # fmt: skip

    plain = left_of_minus()
    chip.setFocus()
    assert plain == left_of_minus()


def test_another_spelling_is_offered_and_can_be_undone(person):
    person.search("frisbie")
    line = person.browse.suggestions
    person.wait(line.isVisible)
    assert [link.text() for link in line.links] == ["frisbee"]
    assert person.browse.stack.currentWidget() is person.browse.empty.nothing
    person.click(line.links[0])
    person.wait(lambda: person.names() == ["frisbee.jpg"])
    assert person.chips() == ["frisbee"]
    assert line.isHidden()
    person.key(Qt.Key.Key_Left, ALT, person.window)
    assert person.chips() == ["frisbie"]


def test_a_typed_word_that_was_replaced_comes_back(person):
    person.type("frisbie ")
    line = person.browse.suggestions
    person.wait(line.isVisible)
    person.click(line.links[0])
    assert person.chips() == ["frisbee"]
    assert person.field.text() == ""
    person.key(Qt.Key.Key_Left, ALT, person.window)
    assert person.chips() == ["frisbie"]


KITES = tuple(
    (f"kite-{n}.jpg", (n, 90, 200), ("kite",), {"whole": "A kite over a windy dune with reeds."})
    for n in range(5)
)
DUNES = tuple(
    (f"dune-{n}.jpg", (200, 180, n), (), {"whole": "A windy dune with reeds."}) for n in range(4)
)


@pytest.fixture
def beach(paths, folder, open_window):
    """Someone at a window with photos of kites over dunes, and some of dunes alone."""
    fill(paths, folder, (*KITES, *DUNES, *PHOTOS))
    return open_window()


def test_related_photos_come_last_and_are_no_hits(beach):
    person, model, view = beach, beach.browse.model, beach.browse.view
    person.search("kite")
    assert model.counts == (5, 0, 4)
    assert person.browse.summary.text().startswith("5 photos match · ")
    assert {model.hit(row).path.name for row in range(5, 9)} == {f"dune-{n}.jpg" for n in range(4)}
    divider = view._geometry.divider(2)
    assert view._geometry.rect(4).bottom() < divider.top()
    assert divider.bottom() < view._geometry.rect(5).top()
    described = model.index(5, 0).data(Qt.ItemDataRole.AccessibleDescriptionRole)
    assert described == "related"
    person.key(Qt.Key.Key_Down, widget=person.field)
    person.key(Qt.Key.Key_A, CONTROL, view)
    assert view.selected_rows() == list(range(5))
    person.key(Qt.Key.Key_End, widget=view)
    assert view.currentIndex().row() == 8
    person.key(Qt.Key.Key_Return, widget=view)
    viewer = person.window.viewer
    assert viewer._position.text() == "related, 4 of 4"
    person.wait(lambda: viewer.story is not None)
    person.wait(lambda: "Without these words, but like photos that have them." in labels(person))
    person.key(Qt.Key.Key_Home)
    assert viewer._position.text() == "1 of 5"
    told = []
    model.fetch([0, 8], told.append)
    person.wait(lambda: told)
    assert [hit.related for hit in told[0]] == [False, True]


def test_related_photos_stay_when_the_library_changes(beach, qtbot):
    model = beach.browse.model
    beach.search("kite")
    beach.browse.view.go_to(7)
    name = model.hit(7).path.name
    with qtbot.waitSignal(model.refreshed):
        beach.library.set_paused(True)
    assert model.counts == (5, 0, 4)
    assert model.hit(beach.browse.view.currentIndex().row()).path.name == name


def test_a_query_without_words_has_nothing_related(beach):
    beach.search("in:pictures")
    assert beach.browse.model.counts == (15, 0, 0)
    assert beach.browse.summary.text().startswith("15 photos match · ")


def test_more_like_this_photo(beach):
    person = beach
    row = person.names().index("dune-0.jpg")
    photo_id = person.browse.model.hit(row).photo_id
    menu = person.window.photo_menu.menu([row])
    next(a for a in menu.actions() if a.text() == "More like this photo").trigger()
    menu.close()
    assert person.chips() == [f"like:{photo_id}"]
    assert person.browse.bar._chips[0].text() == "like dune-0.jpg"
    person.settle()
    assert person.names()[0].startswith("dune-")
    assert "dune-0.jpg" not in person.names()


def test_the_viewer_leads_to_more_like_its_photo(beach):
    beach.open_photo(0)
    photo_id = beach.window.viewer.hit.photo_id
    beach.click(beach.window.viewer.like_button)
    assert beach.window.stack.currentWidget() is beach.browse
    assert beach.chips() == [f"like:{photo_id}"]


def test_the_name_of_a_typed_photo_is_looked_up(person):
    person.search("(like:1 OR like:999)")
    (chip,) = person.browse.bar._chips
    name = person.library.photo(1).photo.paths[0].name
    person.wait(lambda: chip.text() == f"like {name} or like photo 999")
    assert chip.width() >= chip.sizeHint().width()


@pytest.mark.parametrize(
    ("match", "words"),
    [
        (Match("dog", Through.WORD, "dog", ("whole",)), "dog: in the whole photo"),
        (Match("dog", Through.FORM, "dogs", ("half-left",)), "dog: through dogs, in the left half"),
        (Match("couch", Through.SYNONYM, "sofa", ("whole", "half-left")),
         "couch: through sofa, a synonym, in the whole photo and the left half"),
        (Match("animal", Through.BROADER, "giraffe"), "animal: through giraffe"),
        (Match("dog", Through.WORD, "dog", ("quarter-top-left",), True),
         "dog: perhaps, in the upper left quarter"),
        (Match("dog", Through.WORD, "dog", ("whole", "a", "b", "c", "d")),
         "dog: in the whole photo and 4 parts of it"),
        (Match("dog", Through.WORD, "dog", ("a", "b", "c", "d")), "dog: in 4 parts of the photo"),
        (Match("stop", Through.TEXT, "STOP"), "stop: through STOP, written in the photo"),
        (Match("bed", Through.NAME, "a\u202e\nbed"), "bed: through the name a\\u202e bed"),
        (Match("dog", Through.WORD, "dog"), "dog"),
        (Match("Dog", Through.TAG, "dog", ("whole",)), "Dog: as a tag, in the whole photo"),
        (Match("dog", Through.TAG, "dog house"), "dog: through the tag dog house"),
        (Match("dog", Through.SYNONYM, "dog", ("whole",)), "dog: in the whole photo"),
        (Match('about:"a man on a horse"', Through.FORM, "horses", ("whole",)),
         "horses: in the whole photo"),
        (Match("pet", Through.BROADER, "قطة"), "pet: through \u2068قطة\u2069"),
    ],
)  # fmt: skip
def test_why_is_said_in_words(dressed, match, words):
    assert why_text(match) == words


def test_a_word_is_said_once_for_all_ways_to_it(dressed):
    found = (
        ("dog", Through.WORD, "dog", ("whole",)),
        ("dog", Through.SYNONYM, "dog", ("half-left",)),
    )
    poodle = ("dog", Through.SYNONYM, "poodle", ("whole",)), ("dog", Through.BROADER, "poodle")
    assert why_texts(Match(*args) for args in (*found, *poodle)) == [
        "dog: in the whole photo and the left half", "dog: through poodle, in the whole photo",
    ]  # fmt: skip
    said_by_all = Match("dog", Through.TAG, "dog", ("whole", "half-left"))
    assert len(why_texts([*(Match(*args) for args in found), said_by_all])) == 1
    says_more = Match("dog", Through.TAG, "dog", ("whole", "half-right"))
    assert why_texts([*(Match(*args) for args in found), says_more])[-1] == (
        "dog: as a tag, in the whole photo and the right half"
    )
    doubted = Match("dog", Through.WORD, "dog", ("half-top",), doubtful=True)
    assert len(why_texts([*(Match(*args) for args in found), doubted])) == 2


def labels(person):
    panel = person.window.viewer.panel
    return [label.text() for label in panel.findChildren(QLabel) if label.isVisible()]


def test_the_panel_says_why_a_photo_was_found(person):
    person.search("sofa")
    assert person.names() == ["cat.jpg"]
    person.open_photo(0)
    person.wait(lambda: "Why it was found" in labels(person))
    assert "sofa: through couch, a synonym, in the whole photo" in labels(person)


def test_the_panel_has_no_reason_where_nothing_was_asked(person):
    person.open_photo(0)
    person.wait(lambda: "Whole photo" in labels(person))
    assert "Why it was found" not in labels(person)


def rest_mouse_on(person, row):
    view = person.browse.view
    place = view.visualRect(view.model().index(row, 0)).center()
    event = QHelpEvent(QHelpEvent.Type.ToolTip, place, view.viewport().mapToGlobal(place))
    QGuiApplication.sendEvent(view.viewport(), event)


def test_the_tooltip_of_a_photo_says_why_it_was_found(person):
    person.search("bold")
    rest_mouse_on(person, person.names().index(HOSTILE))
    person.wait(QToolTip.isVisible)
    words = QToolTip.text()
    assert html.escape(HOSTILE) in words
    assert "<b>" not in words
    assert "bold: in the whole photo" in words
    QToolTip.hideText()


def test_a_tooltip_goes_with_the_result(person):
    rest_mouse_on(person, 0)
    person.wait(QToolTip.isVisible)
    person.type("cat")
    person.wait(lambda: person.names() == ["cat.jpg"])
    person.wait(lambda: not QToolTip.isVisible())


def test_a_tooltip_that_comes_late_is_not_shown(person):
    asked, released = threading.Event(), threading.Event()
    real = person.library.photo

    def slow(*args):
        asked.set()
        released.wait(10)
        return real(*args)

    person.library.photo = slow
    person.search("dog")
    rest_mouse_on(person, 0)
    person.wait(asked.is_set)
    person.search("frisbee")
    released.set()
    QTest.qWait(100)
    assert not QToolTip.isVisible()


def test_help_puts_examples_into_the_search(person):
    person.search("dog")
    person.key(Qt.Key.Key_F1, widget=person.window)
    (dialog,) = person.window.findChildren(QueryHelp)
    person.wait(dialog.isVisible)
    example = next(b for b in dialog.examples if b.accessibleName() == "bicy*")
    assert example.accessibleDescription()
    person.click(example)
    assert person.field.text() == "bicy*"
    assert person.window.focusWidget() is person.field
    assert person.chips() == ["dog"]
    person.wait(lambda: not person.window.findChildren(QueryHelp))


def test_the_question_mark_opens_the_help(person):
    person.click(person.browse.bar.help_button)
    assert person.window.findChildren(QueryHelp)


def test_every_example_of_the_help_is_a_query_of_its_own(person):
    person.browse.show_help()
    (dialog,) = person.window.findChildren(QueryHelp)
    for example in dialog.examples:
        query = person.library.parse(example.accessibleName())
        assert query
        assert all(shown(clause) for clause in query.clauses)
    assert len(dialog.examples) > 10
