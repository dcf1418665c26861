"""Sentences in the window: found by words at once, by pictures too when CLIP is there."""

import subprocess
import sys
import threading

import pytest
from gui_library import PHOTOS, fill
from PySide6.QtCore import QCoreApplication, Qt
from PySide6.QtGui import QHelpEvent
from PySide6.QtWidgets import QToolTip
from tiny_clip import write_tiny_clip

from photosearch.domain import Stage
from photosearch.errors import UnavailableError
from photosearch.gui.draft import is_brief
from photosearch.gui.source import PAGE_HITS, Source, paged
from photosearch.library import PhotoLibrary
from photosearch.service import IndexService

SENTENCE = "there is a brown dog that jumps for a frisbee on the grass of a very large meadow"
OTHER = "there are two dogs that run along a beach beside the sea in the light of the evening"


@pytest.mark.parametrize(
    ("text", "brief"),
    [
        ("dog", True), ("a red car", True), ("two people are riding", False), ("", True),
        ('dog "a white boat on the sea"', True), ('in:"New York City Park" dog cat', True),
        ('"open quotes are one', True), ('-"a b c d" "e f"g h i', False),
        ("two people  ride ", True),
    ],
)  # fmt: skip
def test_few_words_are_brief(text, brief):
    assert is_brief(text) == brief


def test_a_comma_in_a_sentence_is_a_comma(person):
    sentence = "a brown dog jumps, on the green grass of a meadow, for a small frisbee"
    person.search(sentence)
    assert person.chips() == [f'about:"{sentence}"']
    person.key(Qt.Key.Key_Escape, widget=person.field)
    person.type("white boat,")
    person.wait(lambda: person.chips() == ["white", "boat"])
    assert not person.field.text()


class Dreamer:
    """A library whose pictures say the opposite of its words, or what `fails` says."""

    def __init__(self, library):
        self._library = library
        self.asked = []
        self.fails = ""
        self.may_answer = threading.Event()
        self.may_answer.set()

    def __getattr__(self, name):
        return getattr(self._library, name)

    def search_hybrid(self, query, *, limit=200, offset=0, refine=0):
        self.asked.append(query)
        assert self.may_answer.wait(10)
        if self.fails:
            raise UnavailableError(self.fails)
        found = self._library.search(query, limit=10_000, refine=refine)
        turned = found.hits[::-1][offset : offset + limit]
        return type(found)(query, turned, total=len(found.hits), refine=found.refine)


@pytest.fixture
def dreaming(person):
    """Someone at the window of a library whose fused order is that of words turned round."""
    model = person.browse.model
    model._library = Dreamer(person.library)
    return person


def order(person):
    model = person.browse.model
    return [model.hit(row).path.name for row in range(model.rowCount())]


def test_words_answer_first_and_pictures_join_them(dreaming):
    model, library = dreaming.browse.model, dreaming.browse.model._library
    library.may_answer.clear()
    dreaming.search(SENTENCE)
    by_words = order(dreaming)
    assert by_words[0] == "frisbee.jpg"
    assert not model.is_fused
    dreaming.browse.view.go_to(0)
    dreaming.wait(lambda: library.asked)
    assert order(dreaming) == by_words
    library.may_answer.set()
    dreaming.wait(lambda: model.is_fused)
    matching = len(by_words) - model.counts[2]
    assert order(dreaming) == by_words[:matching][::-1]
    assert "best first by words and looks" in dreaming.browse.summary.text()
    # What was selected is, wherever it is now.
    (row,) = dreaming.browse.view.selected_rows()
    assert model.hit(row).path.name == "frisbee.jpg"


def test_a_tooltip_goes_when_another_photo_comes_in_its_place(dreaming):
    library, view = dreaming.browse.model._library, dreaming.browse.view
    library.may_answer.clear()
    dreaming.search(SENTENCE)
    place = view.visualRect(view.model().index(0, 0)).center()
    tip = QHelpEvent(QHelpEvent.Type.ToolTip, place, view.viewport().mapToGlobal(place))
    QCoreApplication.sendEvent(view.viewport(), tip)
    dreaming.wait(lambda: "frisbee.jpg" in QToolTip.text() and QToolTip.isVisible())
    library.may_answer.set()
    dreaming.wait(lambda: dreaming.browse.model.is_fused)
    # It may take a moment to fade.
    dreaming.wait(lambda: not QToolTip.isVisible())


def test_words_that_are_no_description_are_not_looked_for_in_pictures(dreaming, qtbot):
    dreaming.search("dog")
    qtbot.wait(600)
    assert not dreaming.browse.model._library.asked


def test_a_fused_answer_to_an_older_query_is_dropped(dreaming):
    model, library = dreaming.browse.model, dreaming.browse.model._library
    library.may_answer.clear()
    dreaming.search(SENTENCE)
    dreaming.wait(lambda: library.asked)
    dreaming.browse.bar.clear()
    dreaming.search(OTHER)
    library.may_answer.set()
    dreaming.wait(lambda: model.is_fused)
    assert [query.clauses[0].text for query in library.asked] == [SENTENCE, OTHER]
    assert model.query.clauses[0].text == OTHER


def test_a_change_of_the_library_is_asked_of_the_fused_ranking(dreaming):
    model, library = dreaming.browse.model, dreaming.browse.model._library
    dreaming.search(SENTENCE)
    dreaming.wait(lambda: model.is_fused)
    fused = order(dreaming)
    # One that comes while another is under way is not forgotten.
    library.may_answer.clear()
    model.refresh()
    model.refresh()
    library.may_answer.set()
    dreaming.wait(lambda: len(library.asked) == 3 and not model._reloading)
    assert model.is_fused
    assert order(dreaming) == fused


def test_why_pictures_do_not_help_is_said_once(dreaming):
    model, library = dreaming.browse.model, dreaming.browse.model._library
    messages = dreaming.window.messages
    library.fails = "The description can't be used: its worker did not start."
    dreaming.search(SENTENCE)
    by_words = order(dreaming)
    dreaming.wait(messages.isVisible)
    assert messages.label.text() == library.fails
    assert order(dreaming) == by_words
    messages.hide()
    dreaming.browse.bar.clear()
    dreaming.search(OTHER)
    dreaming.wait(lambda: len(library.asked) == 2 and not model._reloading)
    assert not messages.isVisible()
    assert model.total
    # A ranking that was fused and can't be asked again gives way to that by words.
    library.fails = ""
    dreaming.browse.bar.clear()
    dreaming.search(SENTENCE)
    dreaming.wait(lambda: model.is_fused)
    library.fails = "Gone."
    model.refresh()
    dreaming.wait(lambda: not model.is_fused and not model._reloading)
    assert order(dreaming) == by_words


def test_pages_of_a_fused_ranking_follow_each_other(paths, folder):
    colours = [(n % 250, 90, 60) for n in range(2 * PAGE_HITS + 20)]
    photos = [
        (f"{n}.jpg", colour, (), {"whole": f"A dog on grass, number {n}."})
        for n, colour in enumerate(colours)
    ]
    fill(paths, folder, photos)
    with PhotoLibrary(paths) as library:
        query = library.parse("dog")
        source = Source(Dreamer(library), query, fused=True)
        whole = paged(source.first().hits)
        assert [len(page) for page in whole.values()] == [PAGE_HITS, PAGE_HITS, 20]
        assert source.pages([2, 0, 1]) == whole
        assert source.pages([0, 2]) == {0: whole[0], 2: whole[2]}
        assert Source(library, query).pages([1, 2])[1] != whole[1]


@pytest.mark.slow
def test_a_description_is_looked_for_in_pictures_by_clip(paths, folder, open_window, tmp_path):
    fill(paths, folder)
    with PhotoLibrary(paths) as library:
        library.settings.set("search.clip_checkpoint", str(write_tiny_clip(tmp_path / "tiny")))
    with IndexService(paths, stages=(Stage.SCAN, Stage.VECTORS), processes=1) as service:
        service.run()
    person = open_window()
    model = person.browse.model
    person.search(SENTENCE)
    assert person.names()[0] == "frisbee.jpg"
    person.wait(lambda: model.is_fused, 60_000)
    fused = person.library.search_hybrid(model.query, limit=100)
    assert order(person) == [hit.path.name for hit in fused.hits]
    # Photos without any of the words are found by their looks.
    assert len(order(person)) == model.total == len(PHOTOS)
    # The window's own process never loads what describes pictures.
    script = (
        "import sys\n"
        "from photosearch.gui import app\n"
        "from photosearch.library import PhotoLibrary\n"
        "from photosearch.paths import AppPaths\n"
        "from pathlib import Path\n"
        "if __name__ == '__main__':\n"
        "    with PhotoLibrary(AppPaths(Path(sys.argv[1]))) as library:\n"
        "        found = library.search_hybrid(library.parse(sys.argv[2]))\n"
        "    print(len(found.hits), 'torch' in sys.modules, 'open_clip' in sys.modules)\n"
    )
    (tmp_path / "asks.py").write_text(script)
    said = subprocess.run(
        [sys.executable, str(tmp_path / "asks.py"), str(paths.home), SENTENCE],
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    assert said.stdout.split() == [str(len(PHOTOS)), "False", "False"]
