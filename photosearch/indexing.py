"""Carries what SQLite holds into the search index: the photos that changed, or all of them anew."""

from __future__ import annotations

import logging
from pathlib import Path

from photosearch.search.caption_index import CaptionIndex, IndexDamagedError
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
        """Open the index in `folder`; one that is damaged or lost is begun anew from the rows."""
        self._photos = PhotoStore(database)
        self._captions = CaptionStore(database)
        self.notice = ""
        """Says that the index had to be begun anew, and why; else empty."""
        try:
            index = CaptionIndex.open(folder)
            lost = index.photo_count == 0 and self._photos.counts()[0] > 0
        except IndexDamagedError as error:
            self.notice = f"The search index is rebuilt: {error}"
            _log.warning(self.notice)
            index = CaptionIndex.create(folder)
            lost = True
        if lost:
            self._photos.mark_all_unindexed()
        self._writer = index.writer()

    def commit(self) -> bool:
        """Write up to a batch of photos that the index does not know yet; True if more are left."""
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

    def _put(self, photo_id: int, taken_at: float) -> None:
        captions = self._captions.of(photo_id)
        # How often a tag's word stands in the document says how sure the tagger is of it.
        repeats = term_repeats(captions)
        texts = [caption.text for caption in captions if not caption.tags]
        # What a tagger's text leaves out is found by its word, but not shown in chips and clouds.
        shown = {word for c in captions if c.tags for word in c.text.split(", ") if word}
        sure = {
            word
            for caption in captions
            for tag in caption.tags
            if tag.word in shown
            for word in (tag.word, *tag.synonyms)
        }
        doubtful = repeats.keys() - sure
        labels = sorted(shown & repeats.keys())
        for word in labels:
            repeats[word] -= 1
        self._writer.put(
            photo_id, taken_at, texts, labels=labels, weighted=repeats, doubtful=doubtful
        )


def rebuild_index(database: Database, folder: Path) -> int:
    """Make the index anew from the database and return the number of photos in it.

    The caller holds the service's lock. Readers go over to the new index when they next reload.
    """
    CaptionIndex.create(folder)
    PhotoStore(database).mark_all_unindexed()
    with Indexer(database, folder) as indexer:
        indexer.commit_all()
    return PhotoStore(database).counts()[0]
