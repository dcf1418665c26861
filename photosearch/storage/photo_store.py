"""Folders, files and photos."""

from __future__ import annotations

import calendar
import json
import operator
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from sqlite3 import Row
from typing import Any

from photosearch.domain import (
    FileChange,
    FileEvent,
    Folder,
    Job,
    JobKind,
    JobState,
    Photo,
    PictureInfo,
    Stage,
)
from photosearch.storage.database import Database, Transaction
from photosearch.storage.job_queue import NORMAL, SIMILAR, settle

_MAX_PARAMETERS = 500
_BURST_S = 10.0
_INDEX_GENERATION = "index generation"


@dataclass(frozen=True, slots=True)
class PhotoFile:
    """A file of a photo, and the content hash that names its thumbnail."""

    path: Path
    sha256: bytes


@dataclass(frozen=True, slots=True)
class PhotoFacts:
    """What a search can ask of a photo besides its captions; see `domain.Photo`.

    `paths` are its files, each from the name of the added folder on; `folders` the absolute
    folders that they lie in.
    """

    taken_at: float
    taken_by_camera: bool
    camera: str
    format: str
    stars: int
    place: str
    paths: tuple[Path, ...]
    folders: tuple[Path, ...]


class PhotoStore:
    """Reads and writes folders, files and photos."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # Folders

    def folders(self) -> list[Folder]:
        """Return the added folders by path, with how many photos each holds."""
        rows = self._database.query(
            "SELECT folder.id, folder.path, online, problem,"
            " count(DISTINCT file.photo_id) AS photos"
            " FROM folder LEFT JOIN file ON file.folder_id = folder.id"
            " GROUP BY folder.id ORDER BY folder.path"
        )
        return [
            Folder(r["id"], _path(r["path"]), r["photos"], bool(r["online"]), r["problem"])
            for r in rows
        ]

    def add_folder(self, path: Path) -> Folder:
        """Add a folder; folders inside it that were added before become part of it."""
        key = os.fsencode(path)
        with self._database.transaction() as write:
            cursor = write.execute(
                "INSERT INTO folder (path) VALUES (?) ON CONFLICT (path) DO UPDATE SET path = path"
                " RETURNING id",
                (key,),
            )
            folder_id = int(cursor.fetchone()[0])
            low, high = _below(key)
            # Their paths begin with another folder now.
            _mark_unindexed(
                write,
                "SELECT photo_id FROM file WHERE path >= ? AND path < ? AND folder_id <> ?"
                " AND photo_id IS NOT NULL",
                (low, high, folder_id),
            )
            write.execute(
                "UPDATE file SET folder_id = ? WHERE path >= ? AND path < ?", (folder_id, low, high)
            )
            write.execute(
                "DELETE FROM folder WHERE path >= ? AND path < ? AND id <> ?",
                (low, high, folder_id),
            )
        return next(folder for folder in self.folders() if folder.id == folder_id)

    def remove_folder(self, folder_id: int) -> bool:
        """Forget a folder and its files; photos keep their captions. False if there was none."""
        with self._database.transaction() as write:
            _mark_unindexed(
                write,
                "SELECT photo_id FROM file WHERE folder_id = ? AND photo_id IS NOT NULL",
                (folder_id,),
            )
            return write.execute("DELETE FROM folder WHERE id = ?", (folder_id,)).rowcount > 0

    def set_problem(self, folder_id: int, problem: str, *, online: bool) -> None:
        """Note whether a folder can be reached, and what of it can't be read; empty for nothing."""
        with self._database.transaction() as write:
            write.execute(
                "UPDATE folder SET problem = ?, online = ?"
                " WHERE id = ? AND (problem <> ? OR online <> ?)",
                (problem, online, folder_id, problem, online),
            )

    # Files

    def known_files(self, below: Path) -> dict[bytes, tuple[int, int]]:
        """Return size and mtime_ns of the file `below`, or of all files below that folder.

        Keys are encoded paths.
        """
        key = os.fsencode(below)
        rows = self._database.query(
            "SELECT path, size, mtime_ns FROM file WHERE path = ? OR (path >= ? AND path < ?)",
            (key, *_below(key)),
        )
        return {path: (size, mtime_ns) for path, size, mtime_ns in rows}

    def apply(self, folder_id: int, events: Iterable[FileEvent]) -> None:
        """Record what the scanner found: found files wait for the scan stage, gone ones go."""
        now = time.time()
        with self._database.transaction() as write:
            # The folder may have been removed while it was walked.
            if not write.execute("SELECT 1 FROM folder WHERE id = ?", (folder_id,)).fetchone():
                return
            for event in events:
                if event.change is FileChange.GONE:
                    _forget(write, os.fsencode(event.path))
                elif event.file is not None:
                    file = event.file
                    (file_id,) = write.execute(
                        "INSERT INTO file (folder_id, path, size, mtime_ns) VALUES (?, ?, ?, ?)"
                        " ON CONFLICT (path) DO UPDATE SET folder_id = excluded.folder_id,"
                        " size = excluded.size, mtime_ns = excluded.mtime_ns RETURNING id",
                        (folder_id, os.fsencode(file.path), file.size, file.mtime_ns),
                    ).fetchone()
                    write.execute(
                        "INSERT INTO job (stage, file_id, recency, changed_at) VALUES (?, ?, ?, ?)"
                        " ON CONFLICT (file_id, stage) WHERE file_id IS NOT NULL DO UPDATE SET"
                        " state = 'waiting', strikes = 0, reason = '', recency = excluded.recency,"
                        " changed_at = excluded.changed_at",
                        (Stage.SCAN, file_id, file.mtime_ns / 1e9, now),
                    )

    # Photos

    def record_scan(
        self,
        job: Job,
        info: PictureInfo,
        later: Iterable[JobKind],
        is_similar: Callable[[int, int], bool] = operator.eq,
    ) -> int | None:
        """Join a scanned file to its photo, and queue jobs of the kinds `later` for it.

        `is_similar` compares the difference hashes of photos taken within seconds of each other:
        one that is much like another gets its words after all others. Returns the photo's id, or
        None if the file was changed or forgotten meanwhile. One transaction.
        """
        with self._database.transaction() as write:
            if not settle(write, job, JobState.DONE):
                return None
            row = write.execute(
                "SELECT photo_id, mtime_ns FROM file WHERE id = ?", (job.file_id,)
            ).fetchone()
            if row is None:
                return None
            taken_at = _epoch(info.taken)
            is_dated = taken_at is not None
            if taken_at is None:
                taken_at = _local_clock(row["mtime_ns"] / 1e9)
            write.execute(
                "INSERT INTO photo (sha256, width, height, format, taken_at, camera, dhash, stars,"
                " place, dated) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (sha256) DO UPDATE SET dhash = excluded.dhash,"
                " stars = excluded.stars, place = excluded.place, dated = excluded.dated",
                (
                    info.sha256, info.width, info.height, info.format, taken_at, info.camera,
                    info.dhash, info.stars, info.place, is_dated,
                ),
            )  # fmt: skip
            photo_id, taken_at = write.execute(
                "SELECT id, taken_at FROM photo WHERE sha256 = ?", (info.sha256,)
            ).fetchone()
            write.execute("UPDATE file SET photo_id = ? WHERE id = ?", (photo_id, job.file_id))
            similar = info.dhash is not None and _has_like(
                write, photo_id, taken_at, info.dhash, is_similar
            )
            priority = SIMILAR if similar else NORMAL
            now = time.time()
            write.execute_many(
                "INSERT INTO job (stage, photo_id, model, prompt, priority, recency, changed_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (photo_id, stage, model, prompt) WHERE photo_id IS NOT NULL"
                " DO NOTHING",
                [
                    (kind.stage, photo_id, kind.model, kind.prompt, priority, taken_at, now)
                    for kind in later
                ],
            )
            mark_unindexed(write, [photo_id, *([row["photo_id"]] if row["photo_id"] else [])])
            return int(photo_id)

    def record_unreadable(self, job: Job) -> None:
        """Part a file that can't be read any more from the photo that it held before."""
        with self._database.transaction() as write:
            _mark_unindexed(
                write,
                "SELECT photo_id FROM file WHERE id = ? AND photo_id IS NOT NULL",
                (job.file_id,),
            )
            write.execute("UPDATE file SET photo_id = NULL WHERE id = ?", (job.file_id,))

    def photo(self, photo_id: int) -> Photo | None:
        """Return a photo with its files, or None."""
        row = self._database.first("SELECT * FROM photo WHERE id = ?", (photo_id,))
        return None if row is None else self._photo(row)

    def find(self, wanted: str) -> int | None:
        """Return the photo named by an id, a file's path, or at least 6 digits of its hash."""
        row = None
        if wanted.isdecimal() and len(wanted) < 16:
            row = self._database.first("SELECT id FROM photo WHERE id = ?", (int(wanted),))
        if row is None and len(wanted) >= 6:
            row = (
                self._database.first(
                    "SELECT id FROM photo WHERE hex(sha256) LIKE ? || '%'",
                    (wanted.upper(),),
                )
                if all(ch in "0123456789abcdefABCDEF" for ch in wanted)
                else None
            )
        if row is None:
            path = os.fsencode(os.path.abspath(os.path.expanduser(wanted)))  # noqa: PTH100, PTH111
            row = self._database.first("SELECT photo_id FROM file WHERE path = ?", (path,))
        return None if row is None or row[0] is None else int(row[0])

    def files_of(self, photo_ids: Sequence[int]) -> dict[int, PhotoFile]:
        """Return the first file of each photo that has any, by photo id."""
        files: dict[int, PhotoFile] = {}
        for chunk in _chunks(photo_ids):
            rows = self._database.query(
                "SELECT photo.id, photo.sha256, min(file.path) AS path FROM photo"
                f" JOIN file ON file.photo_id = photo.id WHERE photo.id IN ({_marks(chunk)})"
                " GROUP BY photo.id",
                chunk,
            )
            files |= {r["id"]: PhotoFile(_path(r["path"]), r["sha256"]) for r in rows}
        return files

    def counts(self) -> tuple[int, int]:
        """Return the numbers of photos that have a file, and of files."""
        row = self._database.first("SELECT count(DISTINCT photo_id), count(*) FROM file")
        assert row is not None
        return int(row[0]), int(row[1])

    # What the index does not know yet

    def unindexed(self, limit: int) -> list[tuple[int, int]]:
        """Return up to `limit` (revision, photo id) of photos whose index document is stale."""
        rows = self._database.query(
            "SELECT revision, photo_id FROM unindexed ORDER BY revision LIMIT ?", (limit,)
        )
        return [(int(r["revision"]), int(r["photo_id"])) for r in rows]

    def mark_indexed(self, revisions: Iterable[int]) -> None:
        """Note that the index was committed with these; a photo changed since has a newer one."""
        with self._database.transaction() as write:
            write.execute_many(
                "DELETE FROM unindexed WHERE revision = ?", [(revision,) for revision in revisions]
            )

    def index_generation(self) -> Any:
        """Return which generation of the search index was begun for this database, if any."""
        return self.state(_INDEX_GENERATION)

    def begin_index(self, generation: str) -> None:
        """Note that the index was begun anew as `generation`, so that it lacks every photo."""
        with self._database.transaction() as write:
            self.set_state({_INDEX_GENERATION: generation})
            _mark_unindexed(write, "SELECT id FROM photo", ())

    def facts(self, photo_ids: Sequence[int]) -> dict[int, PhotoFacts]:
        """Return what the index is to know of those photos that have a file, besides captions."""
        found: dict[int, PhotoFacts] = {}
        for chunk in _chunks(photo_ids):
            rows = self._database.query(
                "SELECT photo.*, file.path AS path, folder.path AS folder FROM photo"
                " JOIN file ON file.photo_id = photo.id JOIN folder ON folder.id = file.folder_id"
                f" WHERE photo.id IN ({_marks(chunk)}) ORDER BY photo.id, file.path",
                chunk,
            )
            for photo_id, files in groupby(rows, key=operator.itemgetter("id")):
                found[photo_id] = _facts(list(files))
        return found

    # What processes tell each other

    def state(self, key: str) -> Any:
        """Return the JSON value under `key`, or None."""
        row = self._database.first("SELECT value FROM state WHERE key = ?", (key,))
        return None if row is None else json.loads(row["value"])

    def states(self, *keys: str) -> tuple[Any, ...]:
        """Return the JSON values under several keys, as of one moment."""
        rows = self._database.query(
            f"SELECT key, value FROM state WHERE key IN ({_marks(keys)})", keys
        )
        found = {row["key"]: json.loads(row["value"]) for row in rows}
        return tuple(found.get(key) for key in keys)

    def set_state(self, values: Mapping[str, Any]) -> None:
        """Store JSON values, in one transaction."""
        with self._database.transaction() as write:
            write.execute_many(
                "INSERT INTO state (key, value) VALUES (?, ?)"
                " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                [(key, json.dumps(value)) for key, value in values.items()],
            )

    def _photo(self, row: Row) -> Photo:
        files = self._database.query(
            "SELECT path FROM file WHERE photo_id = ? ORDER BY path", (row["id"],)
        )
        return Photo(
            row["id"],
            row["sha256"],
            row["width"],
            row["height"],
            row["format"],
            row["taken_at"],
            row["camera"],
            tuple(_path(file["path"]) for file in files),
            row["stars"],
            row["place"],
        )


def mark_unindexed(write: Transaction, photo_ids: Iterable[int]) -> None:
    """Note within a transaction that these photos' index documents are stale."""
    write.execute_many(
        "INSERT OR REPLACE INTO unindexed (photo_id) VALUES (?)", [(i,) for i in photo_ids]
    )


def _mark_unindexed(write: Transaction, select: str, parameters: Sequence[Any]) -> None:
    write.execute(f"INSERT OR REPLACE INTO unindexed (photo_id) {select}", parameters)


def _forget(write: Transaction, path: bytes) -> None:
    _mark_unindexed(
        write, "SELECT photo_id FROM file WHERE path = ? AND photo_id IS NOT NULL", (path,)
    )
    write.execute("DELETE FROM file WHERE path = ?", (path,))


def _has_like(
    read: Transaction,
    photo_id: int,
    taken_at: float,
    dhash: int,
    is_similar: Callable[[int, int], bool],
) -> bool:
    """Return whether another photo looks the same, or was taken in the same burst and is like."""
    others = read.execute(
        "SELECT dhash FROM photo WHERE id <> ? AND dhash = ? UNION ALL"
        " SELECT dhash FROM photo WHERE id <> ? AND dhash IS NOT NULL"
        " AND taken_at BETWEEN ? AND ? LIMIT 100",
        (photo_id, dhash, photo_id, taken_at - _BURST_S, taken_at + _BURST_S),
    )
    return any(is_similar(dhash, row["dhash"]) for row in others)


def _facts(files: Sequence[Row]) -> PhotoFacts:
    photo = files[0]
    paths = [_path(file["path"]) for file in files]
    added = [_path(file["folder"]) for file in files]
    return PhotoFacts(
        taken_at=photo["taken_at"],
        taken_by_camera=bool(photo["dated"]),
        camera=photo["camera"],
        format=photo["format"],
        stars=photo["stars"],
        place=photo["place"],
        paths=tuple(path.relative_to(top.parent) for path, top in zip(paths, added, strict=True)),
        folders=tuple(dict.fromkeys(path.parent for path in paths)),
    )


def _path(encoded: bytes) -> Path:
    return Path(os.fsdecode(encoded))


def _below(path: bytes) -> tuple[bytes, bytes]:
    """Return the half-open range of the encoded paths below a folder."""
    separator = os.fsencode(os.sep)
    prefix = path.rstrip(separator) + separator
    return prefix, prefix[:-1] + bytes([prefix[-1] + 1])


def _chunks(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(ids), _MAX_PARAMETERS):
        yield ids[start : start + _MAX_PARAMETERS]


def _marks(values: Sequence[object]) -> str:
    return ",".join("?" * len(values))


def _epoch(taken: str) -> float | None:
    """Return an ISO time without offset as if it were UTC: the camera's clock, kept as it is."""
    if not taken:
        return None
    try:
        return float(calendar.timegm(time.strptime(taken[:19], "%Y-%m-%dT%H:%M:%S")))
    except ValueError:
        return None


def _local_clock(timestamp: float) -> float:
    """Return what a camera's clock would have shown here at `timestamp`, in the same form."""
    try:
        return float(calendar.timegm(time.localtime(timestamp)))
    except (OverflowError, ValueError, OSError):
        return timestamp
