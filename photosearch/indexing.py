"""Carries what SQLite holds into the search index: the photos that changed, or all of them anew."""

from __future__ import annotations

import logging
from collections import Counter
from pathlib import Path

from photosearch.errors import UnavailableError
from photosearch.search import analysis
from photosearch.search.caption_index import CaptionIndex, IndexDamagedError
from photosearch.search.index_document import PhotoDocument
from photosearch.search.tag_weight import term_repeats
from photosearch.storage.caption_store import CaptionStore
from photosearch.storage.database import Database
from photosearch.storage.photo_store import PhotoStore

_log = logging.getLogger(__name__)

_BATCH = 1000
"""Photos between two commits: what a kill costs at most."""


class Indexer:
    """Writes index documents from the library's rows; the one writer of the index.

    A photo is marked as indexed only after Tantivy's commit, so that a kill between the two
    writes its document once more, which changes nothing.
    """

    def __init__(self, database: Database, folder: Path) -> None:
        """Open the index in `folder`; one that is damaged or not ours is begun anew."""
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
        taken_at = self._photos.taken_at([photo_id for _, photo_id in batch])
        for _, photo_id in batch:
            if photo_id in taken_at:
                self._put(photo_id, taken_at[photo_id])
            else:
                self._writer.remove(photo_id)
        self._writer.commit()
        self._photos.mark_indexed([revision for revision, _ in batch])
        return len(batch) == _BATCH

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

    def _put(self, photo_id: int, taken_at: float) -> None:
        captions = self._captions.of(photo_id)
        # How often a tag's word stands in the document says how sure the tagger is of it.
        repeats = term_repeats(captions)
        texts = [caption.text for caption in captions if caption.text and not caption.tags]
        # What a tagger's text leaves out is found by its word, but not shown in chips and clouds.
        shown = {word for c in captions if c.tags for word in c.text.split(", ") if word}
        sure = {
            word
            for caption in captions
            for tag in caption.tags
            if tag.word in shown
            for word in (tag.word, *tag.synonyms)
        }
        strengths: Counter[str] = Counter()
        doubtful: set[str] = set()
        words: set[analysis.Word] = set()
        for text in texts:
            terms, content = analysis.analyse(text)
            for term in terms:
                strengths[term] += 3
            words.update(content)
        for word, count in repeats.items():
            for term in analysis.terms(word):
                if word in sure:
                    strengths[term] += count
                else:
                    doubtful.add(term)
            if word in shown:
                words.update(analysis.label_words(word))
        self._writer.put(
            PhotoDocument(photo_id, taken_at, strengths, doubtful - strengths.keys(), texts, words)
        )


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
