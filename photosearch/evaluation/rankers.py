"""What ranks photos by a query: photosearch as shipped, and plain BM25 beside it."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import numpy as np
import snowballstemmer

from photosearch.captioning.clip import STORED, ClipChoice, ClipModel
from photosearch.domain import (
    Caption,
    FileChange,
    FileEvent,
    FoundFile,
    JobKind,
    PictureInfo,
    Stage,
)
from photosearch.errors import UnavailableError
from photosearch.evaluation.metrics import IntArray
from photosearch.indexing import Indexer
from photosearch.library import PhotoLibrary
from photosearch.paths import AppPaths
from photosearch.search import analysis
from photosearch.settings import SettingsFile
from photosearch.storage.caption_store import CaptionStore
from photosearch.storage.database import Database
from photosearch.storage.job_queue import JobQueue
from photosearch.storage.photo_store import PhotoStore
from photosearch.storage.vector_store import VectorStore

_PAGE = 1000


class Ranker(Protocol):
    """Ranks photos, which it knows by their numbers."""

    @property
    def name(self) -> str:
        """What tables and plots call it."""

    def rank(self, query: str, depth: int) -> IntArray:
        """Return the numbers of at most `depth` photos, best first; it may leave photos out."""


class ScratchLibrary:
    """A `PhotoLibrary` in a scratch folder, filled through storage and the indexer.

    Photos have numbers for names, so that nothing but their captions is found.
    """

    def __init__(
        self,
        documents: Sequence[Sequence[Caption]],
        *,
        lexicon: bool = True,
        clip: ClipChoice | None = None,
        pictures: Sequence[Path] = (),
    ) -> None:
        """Index `documents`: the captions of each photo. Without `lexicon` words are only words.

        With `clip` descriptions are also found by the vectors of `pictures`, one a photo.
        """
        with ExitStack() as stack:
            home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="photosearch-")))
            paths = AppPaths(home)
            self.library = stack.enter_context(PhotoLibrary(paths))
            with Database(paths.database) as database:
                self.numbers = _put(database, home, documents)
                self.has_vectors = clip is not None
                if clip is not None:
                    settings = SettingsFile(paths.settings)
                    settings.set("search.clip_checkpoint", str(clip.checkpoint.absolute()))
                    settings.set("search.clip_model", clip.architecture)
                    _put_vectors(database, clip, pictures)
                with Indexer(database, paths.index, lexicon=lexicon) as indexer:
                    indexer.commit_all()
            self._stack = stack.pop_all()

    def close(self) -> None:
        """Delete the scratch folder; may be called twice."""
        self._stack.close()

    def __enter__(self) -> ScratchLibrary:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AppRanker:
    """photosearch as shipped: `PhotoLibrary.search`, asked page by page, as a window asks."""

    def __init__(
        self, scratch: ScratchLibrary, *, related: bool = False, name: str = "photosearch"
    ) -> None:
        """Rank with a library that is open; `related` adds related photos behind what matches."""
        self.name = name
        self._library = scratch.library
        self._numbers = scratch.numbers
        self._related = related
        self._hybrid = scratch.has_vectors

    def rank(self, query: str, depth: int) -> IntArray:
        """Return the numbers of the photos found: those that match, then related ones."""
        parsed = self._library.parse(query)
        related = depth if self._related else 0
        numbers: list[int] = []
        while len(numbers) < depth:
            limit, offset = min(_PAGE, depth - len(numbers)), len(numbers)
            page = None
            if self._hybrid:
                page = self._library.search_hybrid(parsed, limit=limit, offset=offset)
            if page is None:
                page = self._library.search(parsed, limit=limit, offset=offset, related=related)
            numbers += [self._numbers[hit.photo_id] for hit in page.hits]
            if len(page.hits) < limit:
                break
        if len(set(numbers)) != len(numbers):
            raise AssertionError(f"a photo is on two pages of {query!r}")
        return np.array(numbers, dtype=np.int64)

    def chips(self, query: str, limit: int = 12) -> list[str]:
        """Return the words that the window offers to narrow the result of a query."""
        found = self._library.search(self._library.parse(query), limit=1, refine=limit)
        return [term.word for term in found.refine]

    def terms(self, text: str) -> frozenset[str]:
        """Return the terms that the index makes of a text."""
        return frozenset(analysis.terms(text))


class PlainBm25:
    """BM25 by bm25s: Lucene's form, k1 = 0.9, b = 0.4, English stop words, Snowball's stemmer."""

    name = "bm25s"

    def __init__(self, documents: Sequence[Sequence[Caption]]) -> None:
        """Index the captions of each photo as one text. UnavailableError without bm25s."""
        try:
            import bm25s  # noqa: PLC0415 - in the extra `eval` only
        except ImportError as error:
            raise UnavailableError(
                "Plain BM25, to compare with, needs bm25s: pip install 'photosearch[eval]'"
            ) from error
        self._tokenize = bm25s.tokenize
        self._stem = snowballstemmer.stemmer("english").stemWords
        self._index = bm25s.BM25(k1=0.9, b=0.4, method="lucene")
        texts = ["\n".join(caption.text for caption in captions) for captions in documents]
        self._index.index(self._tokens(texts), show_progress=False)

    def rank(self, query: str, depth: int) -> IntArray:
        """Return the photos that hold any word of the query."""
        (tokens,) = self._tokens([query])
        known = [token for token in tokens if token in self._index.vocab_dict]
        if not known:
            return np.empty(0, dtype=np.int64)
        scores = np.asarray(self._index.get_scores(known))
        best = np.argsort(-scores, kind="stable")[:depth]
        return best[scores[best] > 0]

    def _tokens(self, texts: list[str]) -> list[list[str]]:
        tokens: list[list[str]] = self._tokenize(
            texts, stopwords="en", stemmer=self._stem, return_ids=False, show_progress=False
        )
        return tokens


class WholeRanking:
    """Another ranking, and behind it all photos that it leaves out, in the data set's order.

    PR-AUC rewards even that: the last photos come at the precision of chance instead of never. So
    beside a ranking that goes on with related photos, one must stand that goes on with any.
    """

    def __init__(self, ranker: Ranker, photo_count: int) -> None:
        self.name = f"{ranker.name}, then the rest"
        self._ranker = ranker
        self._all = np.arange(photo_count)

    def rank(self, query: str, depth: int) -> IntArray:
        """Return the other ranking's photos, then the rest."""
        first = self._ranker.rank(query, depth)
        return np.concatenate((first, np.setdiff1d(self._all, first)))[:depth]


def _put(database: Database, home: Path, documents: Sequence[Sequence[Caption]]) -> dict[int, int]:
    """Bring photos and their captions into a library; return photo numbers by photo id."""
    photos, jobs, captions = PhotoStore(database), JobQueue(database), CaptionStore(database)
    folder = photos.add_folder(home / "0")
    paths = [folder.path / f"{number:08}.jpg" for number in range(len(documents))]
    photos.apply(
        folder.id,
        (FileEvent(FileChange.FOUND, path, FoundFile(path, 1, 0)) for path in paths),
    )
    numbers: dict[int, int] = {}
    scan = JobKind(Stage.SCAN)
    with database.transaction():
        while job := jobs.lease(scan):
            number = int(job.path.stem)
            photo_id = photos.record_scan(job, PictureInfo(_hash(number), 640, 480, "JPEG"), [])
            assert photo_id is not None
            numbers[photo_id] = number
        captions.add(
            [
                (_hash(number), said)
                for number, all_said in enumerate(documents)
                for said in all_said
            ]
        )
    return numbers


def _put_vectors(database: Database, clip: ClipChoice, pictures: Sequence[Path]) -> None:
    """Store the vectors of photos, as the service would."""
    jobs, vectors = JobQueue(database), VectorStore(database)
    found = ClipModel.load(clip.architecture, clip.checkpoint).image_vectors(pictures)
    kind = JobKind(Stage.VECTORS, clip.model)
    jobs.ensure([kind])
    with database.transaction():
        while job := jobs.lease(kind):
            vectors.save(job, found[int(job.path.stem)].astype(STORED).tobytes())


def _hash(number: int) -> bytes:
    return hashlib.sha256(str(number).encode()).digest()
