"""Hybrid search: for descriptions of a sentence, the ranking by words fused with CLIP's."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import numpy.typing as npt

from photosearch.captioners import clip_in_use
from photosearch.captioning.clip import ClipChoice, TextEmbedder
from photosearch.domain import Clause, Field, Hit, Query, SearchResults
from photosearch.errors import ModelError, PhotosearchError, UnavailableError
from photosearch.paths import AppPaths
from photosearch.search.dense import fuse, nearest
from photosearch.storage.database import Database
from photosearch.storage.photo_store import PhotoStore
from photosearch.storage.vector_store import VectorStore
from photosearch.workers.supervisor import (
    Broken,
    Died,
    Done,
    Refused,
    WorkerLimits,
    WorkerPool,
    wait_for,
)

_DEPTH = 1000
"""How many hits of each ranking are fused; those by words that come later stay behind them."""

_ANSWER_S = 10.0
_START_S = 120.0
_IDLE_S = 300.0
_REMEMBERED = 32
_ROOM_MB = 3000


class HybridSearch:
    """Searches a library by words and vectors. May be called from any thread; one at a time.

    Texts are embedded by a worker process, which ends when it was not needed for some minutes.
    """

    def __init__(self, paths: AppPaths, database: Database) -> None:
        self._paths = paths
        self._vectors = VectorStore(database)
        self._photos = PhotoStore(database)
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._choice: ClipChoice | None = None
        self._pool: WorkerPool | None = None
        self._idle: threading.Timer | None = None
        self._texts: dict[str, npt.NDArray[np.float32]] = {}

    def search(
        self,
        query: Query,
        *,
        by_words: Callable[[Query, int], SearchResults],
        matching: Callable[[Query], Sequence[int]],
        limit: int = 200,
        offset: int = 0,
    ) -> SearchResults | None:
        """Return a page of the fused ranking; None where words alone decide. Blocks for seconds.

        That is so unless the query is one description and filters, and a CLIP checkpoint is set
        that has seen some photos. `by_words` returns the first hits by words, so many; `matching`
        the ids of all photos that match a query of filters. No hit by words is left out. Raises
        UnavailableError where the description can't be embedded.
        """
        started = time.perf_counter()
        parts = described(query)
        try:
            choice = clip_in_use(self._paths) if parts else None
        except ModelError:
            return None  # The service says what is wrong with it.
        if parts is None or choice is None or not self._vectors.count(choice.model):
            return None
        text, filters = parts
        vector = self._embed(choice, text)
        among = np.sort(np.asarray(matching(filters), np.int64)) if filters else None
        dense = nearest(vector, self._vectors.blocks(choice.model), _DEPTH, among)
        found = by_words(query, max(_DEPTH, offset + limit))
        lexical = [hit.photo_id for hit in found.hits]
        ranking = fuse([lexical[:_DEPTH], dense])
        in_front = {photo_id for photo_id, _ in ranking}
        ranking += [(photo_id, 0.0) for photo_id in lexical[_DEPTH:] if photo_id not in in_front]
        known = {hit.photo_id: hit for hit in found.hits}
        files = self._photos.files_of([i for i in dense if i not in known])
        hits = []
        for photo_id, score in ranking:
            if photo_id in known:
                hits.append(replace(known[photo_id], score=score))
            elif file := files.get(photo_id):
                hits.append(Hit(photo_id, score, path=file.path, sha256=file.sha256))
        return replace(
            found,
            hits=tuple(hits[offset : offset + limit]),
            total=max(found.total, len(hits) - found.partial_total - found.related_total),
            took_ms=(time.perf_counter() - started) * 1000,
        )

    def close(self) -> None:
        """Stop the worker, whatever it is at; may be called twice."""
        self._closing.set()
        with self._lock:
            self._stop()

    def _embed(self, choice: ClipChoice, text: str) -> npt.NDArray[np.float32]:
        with self._lock:
            if self._closing.is_set():
                raise UnavailableError("The library is being closed.")
            if choice != self._choice:
                self._stop()
                self._choice = choice
                self._texts.clear()
            if text not in self._texts:
                if len(self._texts) >= _REMEMBERED:
                    del self._texts[next(iter(self._texts))]
                self._texts[text] = self._asked(choice, text)
            return self._texts[text]

    def _asked(self, choice: ClipChoice, text: str) -> npt.NDArray[np.float32]:
        if self._pool is None:
            memory_mb = 3 * choice.size_mb + _ROOM_MB
            limits = WorkerLimits(
                start_s=_START_S,
                memory_mb=memory_mb,
                recycle_mb=memory_mb,
                enforce_memory=False,
            )
            make = partial(TextEmbedder, choice)
            self._pool = WorkerPool("describe", make, limits=limits, log=self._paths.log)
        pool = self._pool
        if self._idle is not None:
            self._idle.cancel()
        pool.submit(text, text, _ANSWER_S)
        try:
            while not self._closing.is_set():
                wait_for([pool], 0.2)
                for outcome in pool.outcomes():
                    match outcome:
                        case Done(value=vector):
                            return np.asarray(vector, np.float32)
                        case Refused(error=error):
                            raise error
                        case Died(reason=reason):
                            raise UnavailableError(f"The description can't be used: {reason}.")
                        case Broken(trace=trace):
                            raise RuntimeError(trace)
                if pool.abandoned():
                    reason = pool.broken or "its worker did not start"
                    raise UnavailableError(f"The description can't be used: {reason}")
            raise UnavailableError("The library is being closed.")
        except (PhotosearchError, RuntimeError):
            self._stop()
            raise
        finally:
            if self._pool is not None:
                self._idle = threading.Timer(_IDLE_S, self._stop_idle)
                self._idle.daemon = True
                self._idle.start()

    def _stop_idle(self) -> None:
        with self._lock:
            if self._idle is threading.current_thread():
                self._stop()

    def _stop(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        if self._pool is not None:
            self._pool.close()
            self._pool = None


def described(query: Query) -> tuple[str, Query] | None:
    """Return a query's only description and its filters, or None if it is not of these alone."""
    about = [clause for clause in query.clauses if clause.field is Field.ABOUT]
    filters = tuple(clause for clause in query.clauses if clause not in about)
    if len(about) != 1 or about[0].negated or not all(map(_is_filter, filters)):
        return None
    return about[0].text, Query(filters)


def _is_filter(clause: Clause) -> bool:
    return clause.negated or clause.field not in (None, Field.LIKE, Field.VIEW)
