"""Puts photos into the search index."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from types import TracebackType

import tantivy

from photosearch.errors import LibraryLockedError
from photosearch.search.index_document import PhotoDocument, make_document
from photosearch.search.index_errors import HEAP_BYTES, tantivy_errors


class IndexWriter:
    """Puts photos into the index; nothing counts, or outlives a crash, before `commit`."""

    def __init__(self, folder: Path, index: tantivy.Index) -> None:
        self._folder = folder
        try:
            self._writer = index.writer(HEAP_BYTES, num_threads=1)
        except ValueError as error:
            if "LockBusy" in str(error):
                raise LibraryLockedError(
                    "Another process is writing to the search index."
                ) from error
            with tantivy_errors(folder):
                raise

    def __enter__(self) -> IndexWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def put(self, photo: PhotoDocument) -> None:
        """Add a photo, in place of what the index has of it."""
        document = make_document(photo)
        with tantivy_errors(self._folder):
            self._writer.delete_documents_by_term("photo_id", photo.photo_id)
            self._writer.add_document(document)

    def remove(self, photo_id: int) -> None:
        """Take a photo out of the index; none there is fine."""
        with tantivy_errors(self._folder):
            self._writer.delete_documents_by_term("photo_id", photo_id)

    def commit(self) -> None:
        """Make all of it durable and visible to readers that `reload`. Raises DiskFullError."""
        with tantivy_errors(self._folder):
            self._writer.commit()

    def close(self) -> None:
        """Finish merging, drop what was not committed and let the next writer in."""
        with suppress(ValueError):  # a writer that failed has no threads left to wait for
            self._writer.wait_merging_threads()
