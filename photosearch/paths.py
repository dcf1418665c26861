"""Where a library keeps its files. Everything is derived from one folder that is passed in."""

from __future__ import annotations

import contextlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from photosearch.domain import display_path
from photosearch.errors import UnavailableError

HOME_VARIABLE = "PHOTOSEARCH_HOME"


@dataclass(frozen=True, slots=True)
class AppPaths:
    """The files of one library, all below `home`."""

    home: Path

    @classmethod
    def default(cls) -> AppPaths:
        """Return `$PHOTOSEARCH_HOME`, or the user data folder of this system."""
        chosen = os.environ.get(HOME_VARIABLE)
        if not chosen:
            return cls(platformdirs.user_data_path("photosearch", False))
        # Path.expanduser() raises where there is no such user.
        return cls(Path(os.path.abspath(os.path.expanduser(chosen))))  # noqa: PTH100, PTH111

    @property
    def database(self) -> Path:
        """The SQLite file: the truth."""
        return self.home / "library.sqlite3"

    @property
    def index(self) -> Path:
        """The Tantivy index: a cache that can be rebuilt."""
        return self.home / "index"

    @property
    def thumbnails(self) -> Path:
        """Thumbnails, by content hash."""
        # Hidden, so that no scanner, ours neither, takes them for photos.
        return self.home / ".thumbnails"

    @property
    def previews(self) -> Path:
        """Screen-size copies for the viewer, by content hash; trimmed by age."""
        return self.home / ".previews"

    @property
    def models(self) -> Path:
        """Which vision language models were added, and which is in use."""
        return self.home / "models.json"

    @property
    def model_files(self) -> Path:
        """Where downloaded models lie, a folder each."""
        return self.home / "models"

    @property
    def catalogue(self) -> Path:
        """The user's own additions to the models that can be downloaded."""
        return self.home / "models.toml"

    @property
    def prompts(self) -> Path:
        """The user's own prompts."""
        return self.home / "prompts.toml"

    @property
    def settings(self) -> Path:
        """What the user has set; see photosearch.settings."""
        return self.home / "settings.toml"

    @property
    def window(self) -> Path:
        """The window's own settings: its place, its theme."""
        return self.home / "window.ini"

    @property
    def lock(self) -> Path:
        """Held by the one process that writes to the library."""
        return self.home / "service.lock"

    @property
    def log(self) -> Path:
        """The service's log."""
        return self.home / "photosearch.log"

    def make(self) -> None:
        """Create the folders; raises UnavailableError where that is not possible."""
        try:
            os.fspath(self.home).encode("utf-8")
            # What a library knows of its owner's photos is for the owner only.
            self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
            for folder in (self.index, self.thumbnails, self.previews):
                folder.mkdir(exist_ok=True)
        except UnicodeEncodeError:
            raise UnavailableError(
                f"The library folder {display_path(self.home)} has a name that is no Unicode."
            ) from None
        except OSError as error:
            raise UnavailableError(
                f"The library folder {display_path(self.home)} can't be used: {error.strerror}."
            ) from error

    def thumbnail(self, sha256: bytes) -> Path:
        """Return where the thumbnail of the photo with this content hash lies."""
        name = sha256.hex()
        return self.thumbnails / name[:2] / f"{name}.jpg"

    def preview(self, sha256: bytes) -> Path:
        """Return where the viewer's copy of the photo with this content hash lies."""
        return self.previews / f"{sha256.hex()}.jpg"


def resource(*parts: str) -> Path:
    """Return a file that comes with photosearch: in the wheel, or beside the checkout's code."""
    package = Path(__file__).parent
    installed = package / "resources"
    return (installed if installed.is_dir() else package.parent / "resources").joinpath(*parts)


def write_at_once(path: Path, text: str) -> None:
    """Make `text` the content of the file, all of it or, where OSError is raised, nothing."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".new")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
