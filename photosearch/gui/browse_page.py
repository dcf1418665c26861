"""Searching: the bar, the words that narrow, the grid, and what stands in for an empty grid."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QSize, Qt, QTimer, Signal
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QScrollArea,
    QStackedWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from photosearch.domain import (
    Clause,
    Field,
    Hit,
    Query,
    SearchResults,
    Status,
    TermCount,
    display_path,
)
from photosearch.gui import icons, text
from photosearch.gui.background import Background, Lane
from photosearch.gui.empty_pages import EmptyPages
from photosearch.gui.hit_tips import HitTips
from photosearch.gui.query_help import QueryHelp
from photosearch.gui.refine_row import RefineRow
from photosearch.gui.results_model import ResultsModel
from photosearch.gui.results_view import ResultsView
from photosearch.gui.search_bar import SearchBar
from photosearch.gui.search_history import SearchHistory
from photosearch.gui.source import Answer
from photosearch.gui.suggestion_line import SuggestionLine
from photosearch.gui.thumbnails import Thumbnails
from photosearch.gui.words_panel import WordsPanel
from photosearch.search.help import QUERY_HELP

if TYPE_CHECKING:
    from photosearch.library import PhotoLibrary

_WORDS_PX = 352
_WORDS_LIMIT = 100
_PATIENCE_MS = 1000
_SETTLED_MS = 1500
_NEARLY_FOUND = 50


class BrowsePage(QWidget):
    """Wires the search bar to the model and the model to the grid."""

    opened = Signal(int)
    add_folder_wanted = Signal()
    sidebar_wanted = Signal()

    def __init__(self, library: PhotoLibrary, background: Background) -> None:
        super().__init__()
        self._library = library
        self._background = background
        self._history = SearchHistory()
        self._status: Status | None = None
        self._answered = False
        self._completed = ""
        self.model = ResultsModel(library, background, self)
        self.thumbnails = Thumbnails(library, background, self)
        self.bar = SearchBar()
        self.refine = RefineRow()
        self.suggestions = SuggestionLine()
        self.summary = QLabel()
        self.summary.setTextFormat(Qt.TextFormat.PlainText)
        self.summary.setProperty("role", "quiet")
        self.view = ResultsView(self.model, self.thumbnails)
        self._tips = HitTips(library, background, self.model, self.view)
        self.empty = EmptyPages(self)
        self.stack = QStackedWidget()
        for page in (self.view, *self.empty.all()):
            self.stack.addWidget(page)
        self._patience = QTimer(self)
        self._patience.setSingleShot(True)
        self._patience.setInterval(_PATIENCE_MS)
        self._patience.timeout.connect(self._say_waiting)
        self._settled = QTimer(self)
        self._settled.setSingleShot(True)
        self._settled.setInterval(_SETTLED_MS)
        self._settled.timeout.connect(self._note_nearly_found)
        self.words = WordsPanel(background, cloud_px=264)
        self.words_area = self._make_words_area()
        self.sidebar_button = self._button("sidebar", self.tr("Show or hide the folders (F9)"))
        self.sidebar_button.clicked.connect(self.sidebar_wanted)
        self.words_button = self._button("cloud", self.tr("Words of this result (F8)"))
        self.words_button.setCheckable(True)
        self.words_button.toggled.connect(self._show_words)
        self._lay_out()
        self._connect()

    def _button(self, icon: str, name: str) -> QToolButton:
        button = QToolButton()
        button.setIcon(icons.icon(icon))
        button.setIconSize(QSize(20, 20))
        button.setToolTip(name)
        button.setAccessibleName(name)
        button.setFixedSize(44, 44)
        return button

    def _make_words_area(self) -> QScrollArea:
        area = QScrollArea()
        area.setObjectName("sidePanel")
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setWidgetResizable(True)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setFixedWidth(_WORDS_PX)
        area.setAccessibleName(self.tr("Words of this result"))
        page = QWidget()
        page.setAutoFillBackground(False)
        column = QVBoxLayout(page)
        column.setContentsMargins(16, 16, 16, 16)
        heading = QLabel(self.tr("Words of this result"))
        heading.setProperty("role", "heading")
        column.addWidget(heading)
        column.addWidget(self.words)
        column.addStretch(1)
        area.setWidget(page)
        area.viewport().setAutoFillBackground(False)
        page.setAutoFillBackground(False)
        area.hide()
        return area

    def _lay_out(self) -> None:
        search_line = QHBoxLayout()
        search_line.setSpacing(4)
        top = Qt.AlignmentFlag.AlignTop
        search_line.addWidget(self.sidebar_button, 0, top)
        search_line.addWidget(self.bar, 1)
        search_line.addWidget(self.words_button, 0, top)
        head = QVBoxLayout()
        head.setContentsMargins(16, 16, 16, 8)
        head.setSpacing(12)
        head.addLayout(search_line)
        head.addWidget(self.refine)
        head.addWidget(self.suggestions)
        head.addWidget(self.summary)
        body = QHBoxLayout()
        body.setContentsMargins(0, 0, 0, 0)
        body.setSpacing(0)
        body.addWidget(self.stack, 1)
        body.addWidget(self.words_area)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addLayout(head)
        column.addLayout(body, 1)
        self.setTabOrder(self.bar, self.view)

    def _connect(self) -> None:
        self.bar.changed.connect(self._on_changed)
        self.bar.entered.connect(self._on_entered)
        self.bar.completion_wanted.connect(
            lambda word, pair: self.model.complete(word, pair, self.bar.offer)
        )
        self.bar.left.connect(self._to_grid)
        self.empty.add_folder_wanted.connect(self.add_folder_wanted)
        self.empty.dropped.connect(self._drop)
        self.bar.help_wanted.connect(self.show_help)
        self.bar.name_wanted.connect(self._look_up_name)
        self.suggestions.chosen.connect(self._ask_instead)
        self.refine.chosen.connect(self.choose)
        self.words.chosen.connect(self.choose)
        self.model.answered.connect(self._on_answer)
        self.model.refreshed.connect(self._show_result)
        self.view.opened.connect(self.opened)
        self.view.typed.connect(self.bar.type_ahead)
        self.view.escaped.connect(self._on_escape)

    # The query

    def search_all(self) -> None:
        """Show every photo."""
        self._patience.start()
        self.model.search(())

    def choose(self, clause: Clause, _exclude: bool = False) -> None:
        """Add a clause to the query."""
        self.bar.add([clause])

    def show_help(self) -> None:
        """Tell what can be typed into the search."""
        dialog = QueryHelp(QUERY_HELP, self)
        dialog.chosen.connect(self.bar.put)
        dialog.open()

    def find_like(self, hit: Hit) -> None:
        """Look for photos like this one."""
        if hit.path is not None:
            self.bar.set_name(hit.photo_id, display_path(hit.path.name))
        self.bar.set_clauses([Clause(str(hit.photo_id), field=Field.LIKE)])

    def _ask_instead(self, query: Query) -> None:
        # The way back leads to what was asked, typed or not.
        self._history.note(self.model.query.clauses)
        self.bar.set_clauses(query.clauses)
        self.bar.setFocus()

    def _look_up_name(self, photo_id: int) -> None:
        library = self._library

        def name() -> str:
            paths = library.photo(photo_id).photo.paths
            return display_path(paths[0].name) if paths else ""

        # Without a name the chip shows the number.
        self._background.submit(
            name,
            lambda found: self.bar.set_name(photo_id, found),
            on_error=lambda _error: None,
        )

    def go_back(self) -> None:
        """Return to the search before this one."""
        self._travel(-1)

    def go_forward(self) -> None:
        """Undo `go_back`."""
        self._travel(1)

    def _travel(self, steps: int) -> None:
        clauses = self._history.step(steps)
        if clauses is not None:
            self.bar.set_clauses(clauses)

    def _on_changed(self, chips_changed: bool) -> None:
        self._settled.stop()
        if chips_changed:
            self._history.note(self.bar.clauses())
        self.model.search(self.bar.clauses(), self.bar.draft(), at_once=chips_changed)

    def _on_entered(self, typed: str) -> None:
        self.model.read(typed, lambda clauses: self.bar.add(clauses, typed))

    def _drop(self, clause: Clause) -> None:
        chips = self.bar.clauses()
        drafted = [c for c in self.model.query.clauses if c not in chips and c != clause]
        kept = [c for c in chips if c != clause]
        self.bar.set_clauses(kept, " ".join(str(c) for c in drafted))
        self.bar.setFocus()

    def _to_grid(self) -> None:
        if self.model.rowCount() and self.stack.currentWidget() is self.view:
            self.view.setFocus()
            if not self.view.currentIndex().isValid():
                self.view.go_to(0)

    def _on_escape(self) -> None:
        self.bar.setFocus()
        self.bar.step_back()

    # The result

    def _on_answer(self, answer: Answer) -> None:
        self._answered = True
        self._completed = answer.completed
        self._show_result(answer.results)
        if answer.results.partial_total:
            self._settled.start()

    def _note_nearly_found(self) -> None:
        """Let what almost matches be captioned first: it may be what is looked for."""
        library, query, total = self._library, self.model.query, self.model.total

        def note() -> None:
            nearly = library.search(query, limit=_NEARLY_FOUND, offset=total)
            if photo_ids := [hit.photo_id for hit in nearly.hits if hit.partial]:
                library.nearly_found(photo_ids)

        self._background.submit(
            note, channel="nearly-found", lane=Lane.CHORE, on_error=lambda _error: None
        )

    def _show_result(self, results: SearchResults) -> None:
        self.refine.show_words(results)
        self.suggestions.offer(results.suggestions)
        self.summary.setText(self._summary(results))
        self._choose_page()
        self._ask_words()

    def _summary(self, results: SearchResults) -> str:
        if not results.query:
            words = self.tr("%Ln photo(s)", None, results.total)
        elif self.model.is_fused:
            words = self.tr("%Ln photo(s), best first by words and looks", None, results.total)
        elif results.total and sum(not clause.field for clause in results.query.clauses) < 2:
            words = self.tr("%Ln photo(s) match", None, results.total)
        elif results.total:
            words = self.tr("%Ln photo(s) match all words", None, results.total)
        elif results.partial_total:
            words = self.tr("No photo matches all of these words")
        else:
            words = self.tr("No photo matches")
        parts = [words, text.took_text(results.took_ms)]
        if self._completed:
            parts.insert(1, self.tr("shown for “%1”").replace("%1", self._completed))
        return " · ".join(parts)

    def show_status(self, status: Status) -> None:
        """Take the state of the library into account."""
        self._status = status
        self._choose_page()

    def _choose_page(self) -> None:
        status, model = self._status, self.model
        if status is None or not self._answered:
            return
        page: QWidget = self.view
        if model.rowCount() == 0:
            page = self.empty.page_for(status, model.query, self.bar.names)
        self.stack.setCurrentWidget(page)
        searching = page in (self.view, self.empty.nothing)
        self.summary.setVisible(searching)
        suggesting = bool(self.suggestions.links)
        self.suggestions.setVisible(searching and suggesting)
        # The row keeps its place while one types, unless the suggestions can have it.
        keeps = bool(self.bar.draft()) and not suggesting
        self.refine.setVisible(searching and (bool(self.refine.words) or keeps))
        if self.bar.isEnabled() != bool(status.folders):
            for widget in (self.bar, self.sidebar_button, self.words_button):
                widget.setEnabled(bool(status.folders))
            self.bar.setFocus()

    def _say_waiting(self) -> None:
        if not self._answered:
            self.stack.setCurrentWidget(self.empty.page_while_waiting())

    # The words of the result

    def _show_words(self, shown: bool) -> None:
        self.words_area.setVisible(shown)
        self._ask_words()

    def _ask_words(self) -> None:
        if self.words_area.isHidden():
            return
        library, query = self._library, self.model.query

        def take(words: list[TermCount]) -> None:
            self.words.set_words(words)

        self._background.submit(
            lambda: library.words(query, limit=_WORDS_LIMIT), take, channel="words"
        )
