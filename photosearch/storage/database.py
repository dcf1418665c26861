"""Connections to the library's SQLite file, its migrations, and what its errors mean."""

from __future__ import annotations

import shutil
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any

from photosearch.errors import (
    DiskFullError,
    LibraryDamagedError,
    LibraryTooNewError,
    UnavailableError,
)

_BUSY_TIMEOUT_S = 30.0
_APPLICATION = 0x70686F73
"""Says in the file's header whose it is ("phos")."""
_SCARCE_BYTES = 1 << 20


class Database:
    """One SQLite file in WAL mode, with a connection for each thread that uses it.

    Raises LibraryDamagedError, LibraryTooNewError, DiskFullError or UnavailableError instead of
    SQLite's own errors wherever the surroundings, not our code, are at fault.
    """

    def __init__(self, path: Path) -> None:
        """Open or create the database at `path` and bring it to the current version."""
        self._path = path
        self._local = threading.local()
        self._lock = threading.Lock()
        self._connections: list[sqlite3.Connection] = []
        self._closed = False
        try:
            with self._translated():
                self._migrate()
                # It must never write: data_version tells a connection of others' commits only.
                self._listener = self._connect()
        except BaseException:
            self.close()
            raise

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> list[sqlite3.Row]:
        """Return the rows of a read."""
        with self._translated():
            return self._connection().execute(sql, parameters).fetchall()

    def first(self, sql: str, parameters: Sequence[Any] = ()) -> sqlite3.Row | None:
        """Return the first row of a read, or None."""
        with self._translated():
            row: sqlite3.Row | None = self._connection().execute(sql, parameters).fetchone()
            return row

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Run a block as one write: all of it is kept, or nothing. Nested blocks join the outer."""
        connection = self._connection()
        if connection.in_transaction:
            yield Transaction(connection)
            return
        with self._translated():
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield Transaction(connection)
                connection.execute("COMMIT")
            except BaseException:
                # A full disk makes SQLite roll back by itself.
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def data_version(self) -> int:
        """Return a number that differs after any commit by anybody."""
        with self._lock, self._translated():
            return int(self._listener.execute("PRAGMA data_version").fetchone()[0])

    def check(self) -> list[str]:
        """Return what SQLite's own integrity check finds wrong; empty when all is well."""
        rows = [str(row[0]) for row in self.query("PRAGMA quick_check")]
        return [] if rows == ["ok"] else rows

    def close(self) -> None:
        """Close every connection; may be called twice and from any thread."""
        with self._lock:
            self._closed = True
            connections, self._connections = self._connections, []
        for connection in connections:
            connection.close()

    def __enter__(self) -> Database:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self._connect()
        return connection

    def _connect(self) -> sqlite3.Connection:
        # close() may come from another thread than the one that opened the connection.
        connection = sqlite3.connect(
            self._path, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )
        with self._lock:
            if self._closed:
                connection.close()
                raise sqlite3.ProgrammingError("the library is closed")
            self._connections.append(connection)
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA journal_mode = WAL")
        # In WAL mode NORMAL can lose the last commits at a power cut, never the file.
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")
        return connection

    def _migrate(self) -> None:
        connection = self._connection()
        scripts = _migrations()
        version = _user_version(connection)
        if version and connection.execute("PRAGMA application_id").fetchone()[0] != _APPLICATION:
            raise LibraryDamagedError(
                f"{self._path} is a database of another program, not a photosearch library."
            )
        if version > len(scripts):
            raise LibraryTooNewError(
                f"The library at {self._path} was written by a newer photosearch (its format is "
                f"{version}, this one knows up to {len(scripts)}). Please update photosearch."
            )
        if version == len(scripts):
            return
        connection.execute("BEGIN EXCLUSIVE")
        try:
            # Another process may have migrated while this one waited.
            for number in range(_user_version(connection), len(scripts)):
                for statement in _statements(scripts[number]):
                    connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {_APPLICATION}")
            connection.execute(f"PRAGMA user_version = {len(scripts)}")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            raise self._meaning(error) from error

    def _meaning(self, error: sqlite3.DatabaseError) -> Exception:
        code = getattr(error, "sqlite_errorcode", None)
        primary = None if code is None else code & 0xFF
        if primary in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            return LibraryDamagedError(
                f"The library's database {self._path} is damaged ({error}). Your photos are not "
                "affected. Restore the file from a backup, or move it away: photosearch then "
                "starts a new library and indexes your folders again."
            )
        # Some calls that want a little room fail with less telling codes.
        vague = primary in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN)
        if primary == sqlite3.SQLITE_FULL or (vague and self._is_disk_full()):
            return DiskFullError(
                f"The disk that holds {self._path} is full. Free some space; photosearch goes on "
                "where it stopped."
            )
        if primary in (
            sqlite3.SQLITE_CANTOPEN,
            sqlite3.SQLITE_READONLY,
            sqlite3.SQLITE_IOERR,
            sqlite3.SQLITE_BUSY,
            sqlite3.SQLITE_PERM,
        ):
            return UnavailableError(f"The library's database {self._path}: {error}.")
        return error

    def _is_disk_full(self) -> bool:
        try:
            return shutil.disk_usage(self._path.parent).free < _SCARCE_BYTES
        except OSError:
            return False


class Transaction:
    """The write half of a connection, inside `Database.transaction`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> sqlite3.Cursor:
        """Run one statement."""
        return self._connection.execute(sql, parameters)

    def execute_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run one statement for each row."""
        self._connection.executemany(sql, rows)


def _user_version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _migrations() -> list[str]:
    """Return the numbered scripts in order: number N brings version N - 1 to N."""
    folder = resources.files("photosearch.storage") / "migrations"
    files = sorted(
        (file for file in folder.iterdir() if file.name.endswith(".sql")),
        key=lambda file: file.name,
    )
    return [file.read_text(encoding="utf-8") for file in files]


def _statements(script: str) -> Iterator[str]:
    # executescript() would commit the transaction that all migrations share.
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
