"""The current result: asks the library in the background, keeps the pages that are looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import (
    QAbstractListModel,
    QMimeData,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    Qt,
    QTimer,
    Signal,
)

from photosearch.domain import Clause, Hit, Query, SearchResults, TermCount, display_path
from photosearch.errors import PhotosearchError
from photosearch.gui.background import Background
from photosearch.gui.clause_text import completion_clause
from photosearch.gui.desktop import file_url
from photosearch.gui.draft import without_open_field

if TYPE_CHECKING:
    from photosearch.library import PhotoLibrary

PAGE_HITS = 200
_KEPT_PAGES = 40
_REFINE_WORDS = 24
_RELATED_HITS = 60
_DEBOUNCE_MS = 15

HIT_ROLE = Qt.ItemDataRole.UserRole
_Index = QModelIndex | QPersistentModelIndex


@dataclass(frozen=True, slots=True)
class Answer:
    """A result, and the word that stands in for the unfinished last one if it does."""

    results: SearchResults
    completed: str = ""


def _search(library: PhotoLibrary, query: Query) -> SearchResults:
    """Return the first page, with all related photos behind it where it holds all that match."""
    results = library.search(query, limit=PAGE_HITS, refine=_REFINE_WORDS)
    found = results.total + results.partial_total
    if not query or not 0 < found <= PAGE_HITS:
        return results
    behind = library.search(query, limit=_RELATED_HITS, offset=found, related=_RELATED_HITS)
    known = {hit.photo_id for hit in results.hits}
    related = tuple(hit for hit in behind.hits if hit.related and hit.photo_id not in known)
    return replace(
        results,
        hits=results.hits + related,
        related_total=len(related),
        took_ms=results.took_ms + behind.took_ms,
    )


def _ask(library: PhotoLibrary, clauses: Sequence[Clause], draft: str) -> Answer:
    draft = without_open_field(draft)
    drafted = library.parse(draft).clauses if draft.strip() else ()
    query = Query(tuple(clauses))
    for clause in drafted:
        query = query.adding(clause)
    last = drafted[-1] if drafted and not draft[-1:].isspace() else None
    results = _search(library, query)
    if results.total or last is None or last != Clause(last.text) or last.phrase:
        return Answer(results)
    # The last word may be half typed: show what it is about to become.
    rest = query.without(last)
    completions = library.complete(last.text, rest, limit=1)
    if not completions or not completions[0].count:
        return Answer(results)
    word = completions[0].word
    finished = _search(library, rest.adding(completion_clause(word)))
    return Answer(finished, word) if finished.total else Answer(results)


def _matching(results: SearchResults) -> tuple[Hit, ...]:
    return tuple(hit for hit in results.hits if not hit.related)


class ResultsModel(QAbstractListModel):
    """Rows are hits: full matches first, related photos last. Those not loaded yet have no hit.

    `query` is what the rows answer. All answers are those of the newest search: late ones
    never get in.
    """

    answered = Signal(object)
    """An `Answer` to a new search: the rows are others now."""
    about_to_refresh = Signal()
    failed = Signal(str)
    """Why there is no answer, for people. It is asked again when the library changes."""
    refreshed = Signal(object)
    """`SearchResults` of the same query after the library changed."""

    def __init__(
        self, library: PhotoLibrary, background: Background, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._library = library
        self._background = background
        self._serial = 0
        self._pages: dict[int, tuple[Hit, ...]] = {}
        self._loading = False
        self._wanted = range(0)
        self._busy = False
        self._ask_again = False
        self._asked: tuple[tuple[Clause, ...], str] = ((), "")
        self._debounce = QTimer(self)
        self._debounce.setSingleShot(True)
        self._debounce.setInterval(_DEBOUNCE_MS)
        self._debounce.timeout.connect(self._search_now)
        self.query = Query()
        self.total = 0
        self.partial_total = 0
        self._related: tuple[Hit, ...] = ()

    @property
    def is_busy(self) -> bool:
        """Whether a search is under way."""
        return self._busy

    @property
    def found_total(self) -> int:
        """Number of photos that match, in whole or in part."""
        return self.total + self.partial_total

    @property
    def counts(self) -> tuple[int, int, int]:
        """Numbers of full matches, partial ones and related photos, as they follow each other."""
        return self.total, self.partial_total, len(self._related)

    def search(self, clauses: Sequence[Clause], draft: str = "", *, at_once: bool = True) -> None:
        """Search for `clauses` and what `draft` says."""
        self._asked = (tuple(clauses), draft)
        self._busy = True
        self._background.cancel("search")
        if at_once:
            self._search_now()
        else:
            self._debounce.start()

    def _search_now(self) -> None:
        self._debounce.stop()
        clauses, draft = self._asked
        self._ask_again = False
        self._background.submit(
            lambda: _ask(self._library, clauses, draft),
            self._take_answer,
            channel="search",
            on_error=self._take_error,
        )

    def _take_error(self, error: PhotosearchError) -> None:
        self._busy = False
        self._ask_again = True
        self.failed.emit(str(error))

    def _take_page_error(self, error: PhotosearchError) -> None:
        # Asked for again when the page comes into view again.
        self._loading = False
        self.failed.emit(str(error))

    def _take_answer(self, answer: Answer) -> None:
        self._busy = False
        self._background.cancel("refresh")
        results = answer.results
        self.beginResetModel()
        self._serial += 1
        self._loading = False
        self._wanted = range(0)
        self._pages = {0: _matching(results)}
        self.query = results.query
        self._take_counts(results)
        self.endResetModel()
        self.answered.emit(answer)

    def _take_counts(self, results: SearchResults) -> None:
        self.total, self.partial_total = results.total, results.partial_total
        self._related = tuple(hit for hit in results.hits if hit.related)

    def refresh(self) -> None:
        """Ask again, because the library changed, without moving what is looked at."""
        if self._ask_again:
            self.search(*self._asked)
        if self._busy:
            return
        query = self.query
        first = (self._wanted.start // PAGE_HITS) if self._wanted else 0
        last = ((self._wanted.stop - 1) // PAGE_HITS) if self._wanted else 0

        def ask() -> tuple[SearchResults, dict[int, tuple[Hit, ...]]]:
            results = _search(self._library, query)
            pages = {0: _matching(results)}
            for page in range(max(1, first), last + 1):
                start = page * PAGE_HITS
                pages[page] = self._library.search(query, limit=PAGE_HITS, offset=start).hits
            return results, pages

        self._background.submit(ask, self._take_refresh, channel="refresh")

    def _take_refresh(self, news: tuple[SearchResults, dict[int, tuple[Hit, ...]]]) -> None:
        results, pages = news
        related = tuple(hit for hit in results.hits if hit.related)
        counts = (results.total, results.partial_total, len(related))
        same = counts == self.counts and related == self._related
        if not same or any(self._pages.get(page) != hits for page, hits in pages.items()):
            self.about_to_refresh.emit()
            self._serial += 1
            self._loading = False
            before, after = self.rowCount(), sum(counts)
            if after > before:
                self.beginInsertRows(QModelIndex(), before, after - 1)
            elif after < before:
                self.beginRemoveRows(QModelIndex(), after, before - 1)
            self._pages = pages
            self._take_counts(results)
            if after > before:
                self.endInsertRows()
            elif after < before:
                self.endRemoveRows()
            if after:
                self.dataChanged.emit(self.index(0, 0), self.index(after - 1, 0))
        self.refreshed.emit(results)

    def ensure(self, rows: range) -> None:
        """Load the pages of `rows`: what is on screen."""
        rows = range(rows.start, min(rows.stop, self.found_total))
        self._wanted = rows
        if self._loading or not rows:
            return
        for page in range(rows.start // PAGE_HITS, (rows.stop - 1) // PAGE_HITS + 1):
            if page not in self._pages:
                self._load(page)
                return

    def _load(self, page: int) -> None:
        self._loading = True
        serial, query = self._serial, self.query

        def take(results: SearchResults) -> None:
            if serial != self._serial:
                return
            self._loading = False
            self._pages[page] = results.hits
            while len(self._pages) > _KEPT_PAGES:
                at = self._wanted.start // PAGE_HITS if self._wanted else page
                del self._pages[max(self._pages, key=lambda number: abs(number - at))]
            first = self.index(page * PAGE_HITS, 0)
            last = self.index(min(self.found_total, (page + 1) * PAGE_HITS) - 1, 0)
            self.dataChanged.emit(first, last)
            self.ensure(self._wanted)

        self._background.submit(
            lambda: self._library.search(query, limit=PAGE_HITS, offset=page * PAGE_HITS),
            take,
            on_error=self._take_page_error,
        )

    def hit(self, row: int) -> Hit | None:
        """Return the hit at `row` if it is loaded."""
        if self.found_total <= row < self.rowCount():
            return self._related[row - self.found_total]
        page = self._pages.get(row // PAGE_HITS, ()) if row >= 0 else ()
        within = row % PAGE_HITS
        return page[within] if within < len(page) else None

    def row_of(self, photo_id: int) -> int:
        """Return the row of a photo among the loaded rows, or -1."""
        for page, hits in self._pages.items():
            for within, hit in enumerate(hits):
                if hit.photo_id == photo_id:
                    return page * PAGE_HITS + within
        for within, hit in enumerate(self._related):
            if hit.photo_id == photo_id:
                return self.found_total + within
        return -1

    def fetch(self, rows: Sequence[int], on_done: Callable[[list[Hit]], None]) -> None:
        """Call `on_done` with the hits at `rows`, loaded or not."""
        loaded = [self.hit(row) for row in rows]
        if all(loaded):
            on_done([hit for hit in loaded if hit is not None])
            return
        query, pages = self.query, dict(self._pages)
        related, found_total = self._related, self.found_total

        def ask() -> list[Hit]:
            found: list[Hit] = []
            for row in rows:
                if row >= found_total:
                    found += related[row - found_total :][:1]
                    continue
                page = row // PAGE_HITS
                if page not in pages:
                    start = page * PAGE_HITS
                    pages[page] = self._library.search(query, limit=PAGE_HITS, offset=start).hits
                if row % PAGE_HITS < len(pages[page]):
                    found.append(pages[page][row % PAGE_HITS])
            return found

        self._background.submit(ask, on_done, channel="fetch")

    def complete(self, word: str, on_done: Callable[[list[TermCount]], None]) -> None:
        """Call `on_done` with completions of `word` within the chips' result."""
        if not word:
            self._background.cancel("complete")
            on_done([])
            return
        query = Query(self._asked[0])
        self._background.submit(
            lambda: self._library.complete(word, query), on_done, channel="complete"
        )

    def read(self, draft: str, on_done: Callable[[list[Clause]], None]) -> None:
        """Call `on_done` with the clauses that `draft` means, its last word completed as shown."""
        held = self._asked[0]

        def ask() -> list[Clause]:
            clauses = _ask(self._library, held, draft).results.query.clauses
            return [clause for clause in clauses if clause not in held]

        self._background.submit(ask, on_done)

    def rowCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: B008 - Qt's signature
        return 0 if parent.isValid() else self.found_total + len(self._related)

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        hit = self.hit(index.row()) if index.isValid() else None
        if hit is None:
            return None
        if role == HIT_ROLE:
            return hit
        name = display_path(hit.path.name) if hit.path is not None else self.tr("No file left")
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole):
            return name
        if role == Qt.ItemDataRole.AccessibleDescriptionRole:
            return self._standing(hit)
        return None

    def _standing(self, hit: Hit) -> str:
        if hit.related:
            return self.tr("related")
        return self.tr("matches in part, or perhaps") if hit.partial else ""

    def flags(self, index: _Index) -> Qt.ItemFlag:
        flag = Qt.ItemFlag
        return flag.ItemIsEnabled | flag.ItemIsSelectable | flag.ItemIsDragEnabled

    def mimeTypes(self) -> list[str]:
        return ["text/uri-list"]

    def mimeData(self, indexes: Iterable[QModelIndex]) -> QMimeData:
        mime = QMimeData()
        hits = [self.hit(index.row()) for index in indexes]
        mime.setUrls([file_url(hit.path) for hit in hits if hit is not None and hit.path])
        return mime
