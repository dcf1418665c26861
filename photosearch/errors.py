"""The errors that photosearch raises on purpose. Each message is a sentence for the user.

Anything else that is raised is a bug: it propagates and is logged with its traceback.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from photosearch.domain import display_path


class PhotosearchError(Exception):
    """Base of all errors that a user can understand and act on."""


class UsageError(PhotosearchError):
    """What was asked for makes no sense as it stands (exit code 2)."""


class FolderError(UsageError):
    """A folder can't be added: it is no folder, can't be read, or is already covered."""


class FolderOfflineError(PhotosearchError):
    """An added folder is not there now, as an unplugged drive; nothing of it may be forgotten."""


class UnavailableError(PhotosearchError):
    """The surroundings stand in the way: lock, disk, model, damaged database (exit code 3)."""


class LibraryLockedError(UnavailableError):
    """Another process writes to this library."""


class LibraryTooNewError(UnavailableError):
    """The library's database was written by a newer photosearch."""


class LibraryDamagedError(UnavailableError):
    """The library's database can't be read."""


class DiskFullError(UnavailableError):
    """A write failed for want of space."""


class ModelError(UnavailableError):
    """A model is missing, is no model, or does not fit its projector."""


class CaptionerOfflineError(UnavailableError):
    """Who captions can't be reached now; says nothing of the photos, which wait."""


class DownloadError(UnavailableError):
    """A file can't be fetched: no network, a server that refuses, or another file than expected."""


class CancelledError(PhotosearchError):
    """The user stopped what was asked for; what is done of it is kept."""


class DecodeError(PhotosearchError):
    """One file can't be read as a picture; fails that photo and nothing else."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{display_path(path)}: {reason}")
        self.path = path
        self.reason = reason

    def __reduce__(self) -> tuple[type[DecodeError], tuple[Path, str]]:
        # Exceptions pickle by their args, which hold the joined message here.
        return DecodeError, (self.path, self.reason)


class FileUnreachableError(DecodeError):
    """The file is gone, or its drive is; says nothing of the photo, which may be elsewhere."""

    def __reduce__(self) -> tuple[type[DecodeError], tuple[Path, str]]:
        return FileUnreachableError, (self.path, self.reason)


class CaptionError(PhotosearchError):
    """The captioner could not caption one photo; fails that job and nothing else."""


class StaleCaptionsError(CaptionError):
    """The model says the same of different photos: it may not have looked at them.

    `said` is what it says; `suspects` are the photos' keys and the names of their views.
    """

    def __init__(self, said: str, suspects: tuple[tuple[int, str], ...]) -> None:
        count = len({key for key, _ in suspects})
        what = f"the same of {count} different photos in a row: “{said[:80]}”"
        nothing = f"nothing of {count} different photos in a row"
        super().__init__(f"the model says {what if said else nothing}")
        self.said = said
        self.suspects = suspects

    def __reduce__(self) -> tuple[Any, ...]:
        # Exceptions pickle by their args, which hold the sentence here.
        return StaleCaptionsError, (self.said, self.suspects)
