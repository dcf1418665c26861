"""Carries what SQLite holds into the search index: the photos that changed, or all of them anew."""

from __future__ import annotations

import logging
import time
from pathlib import Path

from photosearch.errors import UnavailableError
from photosearch.search.caption_index import CaptionIndex, IndexDamagedError
from photosearch.search.photo_document import photo_document
from photosearch.storage.caption_store import CaptionStore
from photosearch.storage.database import Database
from photosearch.storage.photo_store import PhotoStore

_log = logging.getLogger(__name__)

_BATCH = 1000
"""Photos between two commits: what a kill costs at most."""
_BATCH_S = 2.0
"""And so many seconds: who makes the batches has other things to do between them."""


class Indexer:
    """Writes index documents from the library's rows; the one writer of the index.

    A photo is marked as indexed only after Tantivy's commit, so that a kill between the two
    writes its document once more, which changes nothing.
    """

    def __init__(self, database: Database, folder: Path, *, lexicon: bool = True) -> None:
        """Open the index in `folder`; one that is damaged or not ours is begun anew.

        Without `lexicon` words stand for themselves only, to measure what it brings.
        """
        self._lexicon = lexicon
        self._folder = folder
        self._photos = PhotoStore(database)
        self._captions = CaptionStore(database)
        self.notice = ""
        """Says that the index had to be begun anew, and why; else empty."""
        try:
            self._index = CaptionIndex.open(folder)
            if not is_ours(self._index, self._photos):
                # Of another database, or begun by a reader that found none.
                self._begin_anew()
        except IndexDamagedError as error:
            self._say_why(error)
            self._begin_anew()
        self._writer = self._index.writer()

    def commit(self) -> bool:
        """Write up to a batch of photos that the index does not know yet; True if more are left."""
        try:
            self._index.reload()
            if not is_ours(self._index, self._photos):
                raise IndexDamagedError("It was exchanged while it was in use.")
            return self._commit_batch()
        except IndexDamagedError as error:
            self._say_why(error)
            self._writer.close()
            self._begin_anew()
            self._writer = self._index.writer()
            return True
        except UnavailableError:
            # After a failed write, as on a full disk, Tantivy's writer takes nothing any more.
            self._writer.close()
            self._writer = self._index.writer()
            raise

    def _commit_batch(self) -> bool:
        batch = self._photos.unindexed(_BATCH)
        if not batch:
            return False
        facts = self._photos.facts([photo_id for _, photo_id in batch])
        until = time.monotonic() + _BATCH_S
        done: list[int] = []
        for revision, photo_id in batch:
            if done and time.monotonic() > until:
                break
            done.append(revision)
            if photo_id in facts:
                captions = self._captions.of(photo_id)
                self._writer.put(
                    photo_document(photo_id, captions, facts[photo_id], lexicon=self._lexicon)
                )
            else:
                self._writer.remove(photo_id)
        self._writer.commit()
        self._photos.mark_indexed(done)
        return len(done) < len(batch) or len(batch) == _BATCH

    def commit_all(self) -> None:
        """Bring the index up to date."""
        while self.commit():
            pass

    def close(self) -> None:
        """Let the next writer in; what was not committed is written next time."""
        self._writer.close()

    def __enter__(self) -> Indexer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _begin_anew(self) -> None:
        self._index = CaptionIndex.create(self._folder)
        self._photos.begin_index(self._index.generation)

    def _say_why(self, error: IndexDamagedError) -> None:
        self.notice = f"The search index is rebuilt: {error}"
        _log.warning(self.notice)


def is_ours(index: CaptionIndex, photos: PhotoStore) -> bool:
    """Return whether the index was begun for this database and has not been begun anew since."""
    return bool(photos.index_generation() == index.generation)


def rebuild_index(database: Database, folder: Path) -> int:
    """Make the index anew from the database and return the number of photos in it.

    The caller holds the service's lock. Readers go over to the new index when they next reload.
    """
    photos = PhotoStore(database)
    photos.begin_index("")
    with Indexer(database, folder) as indexer:
        indexer.commit_all()
    return photos.counts()[0]


def update_index(database: Database, folder: Path) -> None:
    """Bring the index up to date. The caller holds the service's lock."""
    with Indexer(database, folder) as indexer:
        indexer.commit_all()
