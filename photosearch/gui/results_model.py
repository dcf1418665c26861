"""The current result: asks the library in the background, keeps the pages that are looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
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

from photosearch.domain import Clause, Field, Hit, Query, SearchResults, TermCount, display_path
from photosearch.errors import PhotosearchError
from photosearch.gui.background import Background
from photosearch.gui.desktop import file_url
from photosearch.gui.source import PAGE_HITS, Answer, Pages, Source, ask, paged

if TYPE_CHECKING:
    from photosearch.library import PhotoLibrary

_KEPT_PAGES = 40
_DEBOUNCE_MS = 15
_SETTLED_MS = 400
_COMPLETIONS = 8
_COMPOUNDS = 3

HIT_ROLE = Qt.ItemDataRole.UserRole
_Index = QModelIndex | QPersistentModelIndex


class ResultsModel(QAbstractListModel):
    """Rows are hits: full matches first, related photos last. Those not loaded yet have no hit.

    `query` is what the rows answer. All answers are those of the newest search: late ones
    never get in. Descriptions are found by words at once, and a moment later by pictures, too.
    """

    answered = Signal(object)
    """An `Answer` to a new search: the rows are others now."""
    about_to_refresh = Signal()
    failed = Signal(str)
    """Why there is no answer, for people. It is asked again when the library changes."""
    refreshed = Signal(object)
    """`SearchResults` of the same query: the library changed, or pictures were searched, too."""

    def __init__(
        self, library: PhotoLibrary, background: Background, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._library = library
        self._background = background
        self._serial = 0
        self._pages: Pages = {}
        self._loading = False
        self._wanted = range(0)
        self._busy = False
        self._ask_again = False
        self._asked: tuple[tuple[Clause, ...], str] = ((), "")
        self._debounce = QTimer(self)
        self._debounce.setSingleShot(True)
        self._debounce.setInterval(_DEBOUNCE_MS)
        self._debounce.timeout.connect(self._search_now)
        self._source = Source(library, Query())
        self._reloading = False
        self._reload_again = False
        self._settled = QTimer(self)
        self._settled.setSingleShot(True)
        self._settled.setInterval(_SETTLED_MS)
        self._settled.timeout.connect(self._fuse)
        self._told: set[str] = set()
        self.total = 0
        self.partial_total = 0
        self._related: tuple[Hit, ...] = ()

    @property
    def query(self) -> Query:
        """What the rows answer."""
        return self._source.query

    @property
    def is_fused(self) -> bool:
        """Whether the rows are ranked by words and pictures together."""
        return self._source.fused

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
        self._background.cancel("reload")
        self._reloading = self._reload_again = False
        self._settled.stop()
        if at_once:
            self._search_now()
        else:
            self._debounce.start()

    def _search_now(self) -> None:
        self._debounce.stop()
        clauses, draft = self._asked
        self._ask_again = False
        self._background.submit(
            lambda: ask(self._library, clauses, draft),
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
        results = answer.results
        self.beginResetModel()
        self._serial += 1
        self._loading = False
        self._wanted = range(0)
        self._pages = paged(results.hits)
        self._source = Source(self._library, results.query)
        self._take_counts(results)
        self.endResetModel()
        self.answered.emit(answer)
        if any(clause.field is Field.ABOUT for clause in results.query.clauses):
            self._settled.start()

    def _take_counts(self, results: SearchResults) -> None:
        self.total, self.partial_total = results.total, results.partial_total
        self._related = tuple(hit for hit in results.hits if hit.related)

    # The same query again

    def refresh(self) -> None:
        """Ask again, because the library changed, without moving what is looked at."""
        if self._ask_again:
            self.search(*self._asked)
        if not self._busy:
            self._reload(self._source)

    def _fuse(self) -> None:
        if self._reloading:
            self._settled.start()
        else:
            self._reload(replace(self._source, fused=True))

    def _reload(self, source: Source) -> None:
        if self._reloading:
            # Not in its place: answers that take long would never come while the library changes.
            self._reload_again = True
            return
        self._reloading = True
        wanted = self._wanted
        shown = range(wanted.start // PAGE_HITS, -(-wanted.stop // PAGE_HITS))

        def news() -> tuple[SearchResults | None, Pages]:
            results = source.first()
            pages = paged(results.hits) if results is not None else {}
            if pages:
                pages |= source.pages(number for number in shown if number not in pages)
            return results, pages

        self._background.submit(
            news,
            lambda found: self._take_reload(source, *found),
            channel="reload",
            lane=source.lane,
            on_error=lambda error: self._take_reload_error(source, error),
        )

    def _take_reload(self, source: Source, results: SearchResults | None, pages: Pages) -> None:
        self._reloading = False
        if results is not None:
            self._replace(source, results, pages)
        else:
            self._by_words()
        self._reload_if_asked()

    def _take_reload_error(self, source: Source, error: PhotosearchError) -> None:
        self._reloading = False
        if not source.fused:
            self.failed.emit(str(error))
        else:
            if str(error) not in self._told:
                self._told.add(str(error))
                self.failed.emit(str(error))
            self._by_words()
        self._reload_if_asked()

    def _by_words(self) -> None:
        self._reload_again = self._reload_again or self.is_fused
        self._source = replace(self._source, fused=False)

    def _reload_if_asked(self) -> None:
        if self._reload_again:
            self._reload_again = False
            self.refresh()

    def _replace(self, source: Source, results: SearchResults, pages: Pages) -> None:
        self._source = source
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

    # Rows

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
        serial, source = self._serial, self._source

        def take(pages: Pages) -> None:
            if serial != self._serial:
                return
            self._loading = False
            self._pages |= pages
            while len(self._pages) > _KEPT_PAGES:
                at = self._wanted.start // PAGE_HITS if self._wanted else page
                del self._pages[max(self._pages, key=lambda number: abs(number - at))]
            first = self.index(page * PAGE_HITS, 0)
            last = self.index(min(self.found_total, (page + 1) * PAGE_HITS) - 1, 0)
            self.dataChanged.emit(first, last)
            self.ensure(self._wanted)

        self._background.submit(
            lambda: source.pages([page]), take, lane=source.lane, on_error=self._take_page_error
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
        source, pages = self._source, dict(self._pages)
        related, found_total = self._related, self.found_total

        def find() -> list[Hit]:
            numbers = {row // PAGE_HITS for row in rows if row < found_total}
            known = pages | source.pages(numbers - pages.keys())
            found: list[Hit] = []
            for row in rows:
                if row >= found_total:
                    found += related[row - found_total :][:1]
                else:
                    found += known[row // PAGE_HITS][row % PAGE_HITS :][:1]
            return found

        self._background.submit(find, on_done, channel="fetch", lane=source.lane)

    def complete(self, word: str, pair: str, on_done: Callable[[list[TermCount]], None]) -> None:
        """Call `on_done` with completions of `word` within the chips' result.

        Before them come those of `pair`, the last two words, which may be a compound.
        """
        if not word:
            self._background.cancel("complete")
            on_done([])
            return
        query = Query(self._asked[0])

        def find() -> list[TermCount]:
            compounds = self._library.complete(pair, query, limit=_COMPOUNDS) if pair else []
            return (compounds + self._library.complete(word, query))[:_COMPLETIONS]

        self._background.submit(find, on_done, channel="complete")

    def read(self, draft: str, on_done: Callable[[list[Clause]], None]) -> None:
        """Call `on_done` with the clauses that `draft` means, its last word completed as shown."""
        held = self._asked[0]

        def meant() -> list[Clause]:
            clauses = ask(self._library, held, draft).results.query.clauses
            return [clause for clause in clauses if clause not in held]

        self._background.submit(meant, on_done)

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
