"""The folder that holds the search index: which generation is in force, and how one is begun.

`format.json` names the version of what is inside and the generation, a sub-folder. An index that
is begun anew takes the place of the old one at once; readers that have the old one open notice.
"""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from photosearch.errors import UnavailableError


class IndexDamagedError(UnavailableError):
    """The search index can't be used as it is and has to be made anew from the database."""


class IndexFolder:
    """One index folder, as a program of `version` reads and writes it."""

    def __init__(self, path: Path, version: str) -> None:
        self.path = path
        self._version = version
        self._format_file = path / "format.json"

    def generation(self) -> Path:
        """Return the folder of the generation in force. Raises IndexDamagedError."""
        try:
            found = json.loads(self._format_file.read_text("utf-8"))
            version, generation = found["version"], str(found["generation"])
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise IndexDamagedError("The search index is damaged.") from error
        if version != self._version:
            raise IndexDamagedError("The search index was made by another version of photosearch.")
        return self.path / generation

    def ensure(self, create: Callable[[Path], None]) -> None:
        """Begin an index where there is none yet, in a folder that `create` fills."""
        if not self._format_file.exists():
            with self._alone():
                if not any(path.is_dir() for path in self.path.iterdir()):
                    self._begin(create)

    def begin(self, create: Callable[[Path], None]) -> None:
        """Begin the index anew in a folder that `create` fills, and drop the old one."""
        with self._alone():
            self._begin(create)

    def stamp(self, generation: Path) -> tuple[int, ...]:
        """Return what changes with every commit, and with every index begun anew."""
        try:
            found = [path.stat() for path in (self._format_file, generation / "meta.json")]
        except FileNotFoundError:
            return ()
        return tuple(part for f in found for part in (f.st_ino, f.st_mtime_ns, f.st_size))

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Let one process at a time begin an index, so that all of them open the same one."""
        self.path.mkdir(parents=True, exist_ok=True)
        with FileLock(self.path / "create.lock", timeout=60):
            yield

    def _begin(self, create: Callable[[Path], None]) -> None:
        generation = self.path / uuid.uuid4().hex
        generation.mkdir()
        create(generation)
        scratch = self._format_file.with_suffix(".new")
        scratch.write_text(json.dumps({"version": self._version, "generation": generation.name}))
        scratch.replace(self._format_file)
        for old in self.path.iterdir():
            if old.is_dir() and old != generation:
                shutil.rmtree(old, ignore_errors=True)  # may be open in a reader on Windows
