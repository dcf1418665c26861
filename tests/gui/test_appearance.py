"""How the window looks at several sizes, light and dark; what screen readers are told."""

import re
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QAbstractButton, QLabel, QLineEdit, QWidget

import photosearch.gui
from photosearch.gui import text, theme
from photosearch.gui.theme import Appearance


def luminance(colour):
    def part(value):
        return value / 12.92 if value <= 0.03928 else ((value + 0.055) / 1.055) ** 2.4

    red, green, blue, _ = QColor(colour).getRgbF()
    return 0.2126 * part(red) + 0.7152 * part(green) + 0.0722 * part(blue)


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("colours", [theme.LIGHT, theme.DARK], ids=["light", "dark"])
def test_text_is_readable(colours):
    for paper in (colours.window, colours.surface, colours.raised):
        for ink in (colours.text, colours.quiet, colours.warning):
            assert contrast(ink, paper) >= 4.5, (ink, paper)
    assert contrast(colours.on_accent, colours.accent) >= 4.5
    assert contrast(colours.accent, colours.surface) >= 4.5


@pytest.mark.parametrize("choice", [Appearance.LIGHT, Appearance.DARK])
def test_the_appearance_is_chosen_and_kept(person, open_window, dressed, choice):
    try:
        person.window.choose_theme(choice)
        dark = choice == Appearance.DARK
        assert theme.is_dark(person.window.palette()) == dark
        shot = person.browse.view.viewport().grab().toImage()
        corner = shot.pixelColor(shot.width() - 3, shot.height() - 3)
        assert (corner.lightness() < 128) == dark
        assert person.window._settings.value("appearance") == choice.value
    finally:
        dressed.choose(Appearance.LIGHT)


def overlapping(widgets):
    pairs = [(a, b) for n, a in enumerate(widgets) for b in widgets[n + 1 :]]
    return [(a, b) for a, b in pairs if a.geometry().intersects(b.geometry())]


@pytest.mark.parametrize("size", [(1024, 640), (1920, 1080), (640, 480)])
def test_nothing_is_cut_off_and_nothing_overlaps(person, size):
    person.window.resize(*size)
    person.search("dog sea")
    window = person.window
    assert (window.width(), window.height()) == size
    for label in window.findChildren(QLabel):
        if label.isVisible() and label.text() and not label.wordWrap():
            fits = label.fontMetrics().horizontalAdvance(label.text()) <= label.width() + 1
            assert fits or label is window.status_panel.label, label.text()
    for button in window.findChildren(QAbstractButton):
        if button.isVisible():
            place = button.rect().translated(button.mapTo(window, button.rect().topLeft()))
            assert window.rect().contains(place), button.accessibleName()
    browse = window.browse
    rows = [browse.bar, browse.refine, browse.summary, browse.stack]
    assert not overlapping([row for row in rows if row.isVisible()])
    chips = [*browse.bar._chips, browse.bar._field]
    assert not overlapping(chips)
    view, geometry = browse.view, browse.view._geometry
    right = [geometry.rect(row).right() for row in view.visible_rows()]
    assert max(right) < view.viewport().width()


def test_many_chips_wrap_within_the_bar(person):
    person.window.resize(700, 600)
    person.search(" ".join(f"word{n}" for n in range(12)))
    bar = person.browse.bar
    person.wait(lambda: bar.height() > 60)
    person.wait(lambda: all(bar.rect().contains(chip.geometry()) for chip in bar._chips))
    assert not overlapping([*bar._chips, bar._field])


def test_what_can_be_clicked_has_a_name(person):
    person.search("dog")
    for widget in person.window.findChildren(QWidget):
        if isinstance(widget, QAbstractButton | QLineEdit) and widget.isVisible():
            name = widget.accessibleName() or (
                widget.text() if isinstance(widget, QAbstractButton) else ""
            )
            assert name, widget


def test_tab_reaches_search_and_photos(person):
    person.field.setFocus()
    seen = set()
    for _ in range(60):
        seen.add(person.window.focusWidget())
        person.key(Qt.Key.Key_Tab)
    assert {person.field, person.browse.view, person.window.folders.list} <= seen


def test_plural_forms(person):
    label = person.window.status_panel
    assert label.tr("%Ln photo(s)", None, 1) == "1 photo"
    assert label.tr("%Ln photo(s)", None, 2) == "2 photos"


def test_every_counting_text_has_plural_forms():
    folder = Path(photosearch.gui.__file__).parent
    found = set()
    for file in folder.glob("*.py"):
        found |= set(re.findall(r'tr\(\s*"([^"]*%Ln[^"]*)"', file.read_text()))
    assert found == set(text.ENGLISH_PLURALS)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(5, "5 s"), (59.6, "1 min"), (60, "1 min"), (3580, "1 h"), (5400, "1 h 30 min"), (7200, "2 h"),
     (11 * 3600 + 1500, "11 h"), (86400, "24 h"), (86400 * 3 + 7200, "3 days")],
)  # fmt: skip
def test_durations_are_short_and_no_more_exact_than_known(dressed, seconds, words):
    assert text.duration_text(seconds) == words


@pytest.mark.parametrize(
    ("per_second", "words"),
    [(305.2, "305 a second"), (3.4, "3.4 a second"), (0.5, "30 a minute"), (0.02, "1.2 a minute"),
     (0.004, "14 an hour"), (0.0001, "0.4 an hour")],
)  # fmt: skip
def test_speeds_are_told_by_the_unit_that_fits(dressed, per_second, words):
    assert text.speed_text(per_second) == words


def test_marked_text_is_escaped():
    words = text.marked_html("a <b>dog</b> & co", [(5, 8)], "#000000", "#ffff00")
    assert words.startswith("a &lt;b&gt;<span")
    assert words.endswith("dog</span>&lt;/b&gt; &amp; co")


def test_strange_text_is_shown_plainly(dressed):
    words = text.marked_html("dog\x00\x1b[31m\u202egnp\n" + "x" * 100, [(0, 3)], "#000", "#fff")
    assert words.startswith('<span style="color:#000; background-color:#fff">dog</span>[31mgnp<br>')
    label = QLabel()
    label.setTextFormat(Qt.TextFormat.RichText)
    label.setWordWrap(True)
    label.setText(words)
    narrow = label.fontMetrics().horizontalAdvance("x" * 45)
    assert label.minimumSizeHint().width() <= narrow
    assert not text.is_visible("\u200b \n\x00")
    assert text.is_visible("\u200b.")


def test_the_window_is_as_it_was_left(person, open_window):
    person.window.resize(900, 700)
    person.browse.view.set_zoom(1)
    person.window.menus.names.setChecked(True)
    person.click(person.browse.sidebar_button)
    assert person.window.folders.isHidden()
    person.window.close()
    again = open_window(size=(1200, 800))
    assert again.browse.view.zoom == 1
    assert again.window.menus.names.isChecked()
    assert again.window.folders.isHidden()
