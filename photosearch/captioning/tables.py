"""TOML files of named tables: those that come with photosearch, and the user's additions."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from photosearch.domain import display_path
from photosearch.errors import UnavailableError, UsageError

_Table = TypeVar("_Table", bound=msgspec.Struct)
_NAME = "abcdefghijklmnopqrstuvwxyz0123456789.-_"


def read_tables(kind: type[_Table], *files: Path | None) -> dict[str, _Table]:
    """Return the tables of `files` by name, each as a `kind` with its `name`; later ones replace.

    Files that are None or not there hold none. Raises UsageError, with file, table and key, for
    mistakes, UnavailableError for a file that can't be read.
    """
    tables: dict[str, _Table] = {}
    for file in files:
        for name, table in (_load(file) if file is not None else {}).items():
            tables[name] = _converted(kind, file, name, table)
    return tables


def _load(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise UnavailableError(f"{display_path(file)} can't be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{display_path(file)} is no TOML: {error}.") from error


def _converted(kind: type[_Table], file: Path | None, name: str, table: Any) -> _Table:
    try:
        if not name or not set(name) <= set(_NAME):
            raise ValueError("a name is made of small letters, digits, dots and dashes")
        if not isinstance(table, dict) or "name" in table:
            raise ValueError("keys stand below a name in brackets, as [name]")
        return msgspec.convert({"name": name, **table}, kind)
    except (ValueError, msgspec.ValidationError) as error:
        # msgspec says where as "- at `$.key`".
        reason = str(error).replace("`$.", "`").replace(" - at `$`", "")
        where = f"{display_path(file or '')}, [{display_path(name)}]"
        raise UsageError(f"{where}: {reason}.") from error
