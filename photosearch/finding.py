"""Finds photos and words in a library: the search index, asked and repaired, with its files."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Mapping
from typing import TypeVar

from photosearch.domain import Hit, PhotoDetails, Query, SearchResults, TermCount
from photosearch.errors import LibraryLockedError, UnavailableError, UsageError
from photosearch.hybrid import HybridSearch
from photosearch.indexing import is_ours, rebuild_index, update_index
from photosearch.paths import AppPaths
from photosearch.search.caption_index import CaptionIndex, IndexDamagedError, IndexResults
from photosearch.search.conditions import conditions
from photosearch.search.evidence import evidence
from photosearch.search.explain import count_words, explain
from photosearch.search.photo_document import photo_text
from photosearch.service_control import ServiceLock
from photosearch.storage.caption_store import CaptionStore
from photosearch.storage.database import Database
from photosearch.storage.photo_store import PhotoStore

_Answer = TypeVar("_Answer")


class Finder:
    """Answers queries from the index and the database. Safe to use from any thread."""

    def __init__(self, paths: AppPaths, database: Database) -> None:
        self._paths = paths
        self._database = database
        self._photos = PhotoStore(database)
        self._captions = CaptionStore(database)
        self._hybrid = HybridSearch(paths, database)
        self._index: CaptionIndex | None = None
        self._index_lock = threading.Lock()
        self.notices: list[str] = []
        """Says when the index had to be rebuilt, and why."""

    def close(self) -> None:
        """Stop what runs for descriptions; may be called twice."""
        self._hybrid.close()

    def search(
        self, query: Query, *, limit: int, offset: int = 0, refine: int = 0, related: int = 0
    ) -> SearchResults:
        """Return a page of hits by words; see `PhotoLibrary.search`."""
        started = time.perf_counter()
        found = self.ask(
            lambda index: index.search(
                query,
                limit=limit,
                offset=offset,
                refine=refine,
                related=related,
                evidence_of=self._evidence_of,
            )
        )
        hits = self._hits(found)
        return SearchResults(
            query,
            hits,
            total=found.total,
            partial_total=found.partial_total,
            related_total=found.related_total,
            took_ms=(time.perf_counter() - started) * 1000,
            refine=found.refine,
            refine_is_estimate=found.refine_is_estimate,
            suggestions=(
                self.ask(lambda index: index.suggest(query)) if not (found.total or offset) else ()
            ),
        )

    def search_hybrid(
        self, query: Query, *, limit: int, offset: int = 0, refine: int = 0
    ) -> SearchResults | None:
        """Return a page by words and vectors; see `PhotoLibrary.search_hybrid`."""
        return self._hybrid.search(
            query,
            by_words=lambda asked, count: self.search(asked, limit=count, refine=refine),
            matching=self._matching,
            limit=limit,
            offset=offset,
        )

    def photo(self, photo_id: int, query: Query | None = None) -> PhotoDetails:
        """Return all that is known of a photo, and why `query` finds it.

        Raises UsageError if there is no such photo.
        """
        photo = self._photos.photo(photo_id)
        if photo is None:
            raise UsageError(f"There is no photo {photo_id} in the library.")
        captions = self._captions.of(photo_id)
        facts = self._photos.facts([photo_id]).get(photo_id)
        matches = explain(photo_text(captions, facts), conditions(query)) if query and facts else ()
        return PhotoDetails(photo, tuple(captions), tuple(count_words(captions)), matches)

    def words(self, query: Query, limit: int) -> list[TermCount]:
        """Return the most frequent words of a result."""
        return self.ask(lambda index: index.words(query, limit))

    def complete(self, beginning: str, query: Query, limit: int) -> list[TermCount]:
        """Return what may stand for `beginning` in a result."""
        return self.ask(lambda index: index.complete(beginning, query, limit))

    def ask(self, question: Callable[[CaptionIndex], _Answer]) -> _Answer:
        """Return the index's answer; one that proves damaged is rebuilt, and asked again."""
        try:
            return question(self._open_index())
        except IndexDamagedError as error:
            with self._index_lock:
                self._index = None
                self._repair(str(error))
            return question(self._open_index())

    def reindex(self) -> int:
        """Build the index anew; return the number of photos. LibraryLockedError with a service."""
        with contextlib.closing(ServiceLock(self._paths)):
            count = rebuild_index(self._database, self._paths.index)
        with self._index_lock:
            self._index = None
        return count

    def index_unless_served(self) -> None:
        """Bring the index up to date; a service that runs does that by itself."""
        with contextlib.suppress(LibraryLockedError), contextlib.closing(ServiceLock(self._paths)):
            update_index(self._database, self._paths.index)

    def _hits(self, found: IndexResults) -> tuple[Hit, ...]:
        files = self._photos.files_of(found.photo_ids)
        hits = []
        for rank, (photo_id, score) in enumerate(zip(found.photo_ids, found.scores, strict=True)):
            # A photo whose file went after the index was written has no file for a moment.
            file = files.get(photo_id)
            hits.append(
                Hit(
                    photo_id,
                    score,
                    partial=found.full <= rank < found.full + found.partial,
                    related=rank >= found.full + found.partial,
                    path=file.path if file else None,
                    sha256=file.sha256 if file else b"",
                )
            )
        return tuple(hits)

    def _evidence_of(self, photo_id: int) -> Mapping[str, int]:
        facts = self._photos.facts([photo_id]).get(photo_id)
        if facts is None:
            return {}
        return evidence(photo_text(self._captions.of(photo_id), facts)).sure

    def _matching(self, filters: Query) -> tuple[int, ...]:
        return self.ask(lambda index: index.search(filters, limit=index.photo_count).photo_ids)

    def _open_index(self) -> CaptionIndex:
        with self._index_lock:
            if self._index is None:
                self._index = CaptionIndex.open(self._paths.index)
            self._index.reload()
            if not is_ours(self._index, self._photos):
                # A service that runs puts it right by itself; until then it may be empty.
                with contextlib.suppress(UnavailableError):
                    self._repair("" if not self._photos.index_generation() else "It was exchanged.")
                    self._index.reload()
            return self._index

    def _repair(self, reason: str) -> None:
        try:
            with contextlib.closing(ServiceLock(self._paths)):
                rebuild_index(self._database, self._paths.index)
        except LibraryLockedError:
            raise UnavailableError(
                "The search index is being rebuilt. Try again in a moment."
            ) from None
        if reason:
            self.notices.append(f"The search index has been rebuilt: {reason}")
