"""What Tantivy raises, turned into our errors."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from photosearch.domain import display_path
from photosearch.errors import DiskFullError, UnavailableError
from photosearch.search.index_folder import IndexDamagedError

HEAP_BYTES = 60_000_000
"""Memory that the writer fills before it writes a segment."""

_NEEDED_BYTES = 2 * HEAP_BYTES


@contextmanager
def tantivy_errors(folder: Path) -> Iterator[None]:
    """Turn what Tantivy raises (ValueError for everything, panics too) into our errors."""
    try:
        yield
    except (UnavailableError, KeyboardInterrupt):
        raise
    except BaseException as error:
        if not isinstance(error, (ValueError, OSError)) and (
            type(error).__name__ != "PanicException"
        ):
            raise
        if _disk_is_full(error, folder):
            raise DiskFullError(
                "The disk is full: the search index can't be written. Please free some space."
            ) from error
        if isinstance(error, PermissionError) or "Permission denied" in str(error):
            raise UnavailableError(
                f"There is no permission to use the search index in {display_path(folder)}."
            ) from error
        raise IndexDamagedError(f"The search index is damaged ({error}).") from error


def _disk_is_full(error: BaseException, folder: Path) -> bool:
    if getattr(error, "errno", 0) in (errno.ENOSPC, errno.EDQUOT):
        return True
    text = str(error)
    if "No space left" in text or "os error 28" in text or "StorageFull" in text:
        return True
    # A writer whose thread met the error only says that it was killed.
    return "writer was killed" in text and shutil.disk_usage(folder).free < _NEEDED_BYTES
