"""The models that a library knows, local ones and those on servers, and which of them is in use."""

from __future__ import annotations

import errno
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from photosearch.captioning.instant import MODEL as INSTANT_TAGGER
from photosearch.captioning.models import (
    Endpoint,
    KnownModel,
    LocalModel,
    ServerModel,
    check_gguf,
)
from photosearch.domain import display_path
from photosearch.errors import DiskFullError, UnavailableError, UsageError
from photosearch.paths import write_at_once

_MOST_CONCURRENCY = 256


class _Stored(msgspec.Struct, kw_only=True):
    """The file's layout; older ones hold no servers, and settings that are now kept elsewhere."""

    in_use: str
    models: tuple[LocalModel, ...]
    servers: tuple[ServerModel, ...] = ()


class ModelStore:
    """The models that a library knows, and the one in use; kept in the JSON file `path`.

    The file is readable for its owner only, as it may hold servers' keys. Forgetting a model never
    touches its files. Every method reads the file anew; the file is replaced in one step. Raises
    UnavailableError where it is damaged or can't be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def list(self) -> list[KnownModel]:
        """Return the known models by name."""
        return sorted(self._load()[0].values(), key=lambda known: known.name)

    def in_use(self) -> KnownModel | None:
        """Return the model in use, or None. Its files may have gone since."""
        models, chosen = self._load()
        return models.get(chosen)

    def use(self, model: Path, mmproj: Path, name: str | None = None) -> LocalModel:
        """Check two GGUF files, remember them as `name` (by default the model's), use them.

        Raises ModelError for files that won't do, UsageError when another model has this name.
        """
        # Links stay: download caches keep the file's name in the link only.
        local = LocalModel(
            _checked_name(model.stem if name is None else name), model.absolute(), mmproj.absolute()
        )
        check_gguf(local.model, local.mmproj)
        models, _ = self._load()
        if models.get(local.name, local) != local:
            raise UsageError(
                f"Another model is called {local.name}: remove it, or give this one a name."
            )
        self._save({**models, local.name: local}, local.name)
        return local

    def use_server(self, server: ServerModel) -> ServerModel:
        """Remember a model on servers and use it; a known one of this name gets new endpoints.

        Nothing is contacted. Raises UsageError for addresses that are none, or when a local model
        has this name.
        """
        if not server.endpoints:
            raise UsageError("A model on servers needs the address of at least one server.")
        server = ServerModel(
            _checked_name(server.name), tuple(_checked_endpoint(e) for e in server.endpoints)
        )
        models, _ = self._load()
        if isinstance(models.get(server.name), LocalModel):
            raise UsageError(
                f"A model on this computer is called {server.name}: remove it, or give this one "
                "another name."
            )
        self._save({**models, server.name: server}, server.name)
        return server

    def select(self, name: str) -> KnownModel:
        """Use a known model again; UsageError if there is none of this name, ModelError if bad."""
        models, _ = self._load()
        known = self._known(models, name)
        if isinstance(known, LocalModel):
            check_gguf(known.model, known.mmproj)
        self._save(models, name)
        return known

    def remove(self, name: str) -> KnownModel:
        """Forget a model and return it; UsageError if there is none of this name."""
        models, chosen = self._load()
        known = self._known(models, name)
        del models[name]
        self._save(models, "" if chosen == name else chosen)
        return known

    def remove_server(self, url: str) -> None:
        """Forget a server, and models that are left without any; which is in use stays.

        Raises UsageError if there is none of this address.
        """
        models, chosen = self._load()
        kept: dict[str, KnownModel] = {}
        for name, known in models.items():
            left = known
            if isinstance(known, ServerModel):
                left = replace(known, endpoints=tuple(e for e in known.endpoints if e.url != url))
            if isinstance(left, LocalModel) or left.endpoints:
                kept[name] = left
        if kept == models:
            raise UsageError(
                f"There is no server {display_path(url)}; see `photosearch servers list`."
            )
        self._save(kept, chosen if chosen in kept else "")

    @staticmethod
    def _known(models: Mapping[str, KnownModel], name: str) -> KnownModel:
        if name not in models:
            known = ", ".join(sorted(models)) or "none yet"
            raise UsageError(
                f"There is no model called {display_path(name)}; known models: {known}."
            )
        return models[name]

    def _load(self) -> tuple[dict[str, KnownModel], str]:
        try:
            # json and not msgspec: the names of files may hold bytes that are no Unicode.
            stored = msgspec.convert(
                json.loads(self._path.read_text(encoding="utf-8")), _Stored, dec_hook=_path
            )
        except FileNotFoundError:
            return {}, ""
        except OSError as error:
            raise UnavailableError(
                f"{display_path(self._path)} can't be read: {error.strerror}."
            ) from error
        except (ValueError, msgspec.ValidationError) as error:
            raise UnavailableError(
                f"The list of models, {display_path(self._path)}, is damaged: delete it and add "
                "your models again (the model files are not affected)."
            ) from error
        known: tuple[KnownModel, ...] = (*stored.models, *stored.servers)
        return {model.name: model for model in known}, stored.in_use

    def _save(self, models: Mapping[str, KnownModel], chosen: str) -> None:
        stored = _Stored(
            in_use=chosen,
            models=tuple(m for m in models.values() if isinstance(m, LocalModel)),
            servers=tuple(m for m in models.values() if isinstance(m, ServerModel)),
        )
        text = json.dumps(msgspec.to_builtins(stored, enc_hook=str), indent=2) + "\n"
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            # The temporary file that it makes, and so this one, is its owner's alone.
            write_at_once(self._path, text)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise DiskFullError(
                    "The disk is full: the list of models was not saved."
                ) from error
            raise UnavailableError(
                f"{display_path(self._path)} can't be written: {error.strerror}."
            ) from error


def _checked_name(name: str) -> str:
    name = name.strip()
    if not name or not name.isprintable():
        raise UsageError("A model's name needs at least one letter, and no special characters.")
    if name == INSTANT_TAGGER:
        # Captions are told apart by who wrote them.
        raise UsageError(f"{INSTANT_TAGGER} is the instant tagger's name: give this model another.")
    return name


def check_key_env(name: str) -> None:
    """Raise UsageError for what is no name of an environment variable."""
    if name and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        # It may be the key itself, which is not to be shown.
        raise UsageError("--key-env takes the name of an environment variable, not the key.")


def _checked_endpoint(endpoint: Endpoint) -> Endpoint:
    address = endpoint.url.strip()
    try:
        url = urlsplit(address)
        port_is_number = url.port is None or url.port > 0
    except ValueError:
        port_is_number = False
    if not port_is_number or url.scheme not in ("http", "https") or not url.hostname:
        raise UsageError(
            f"{display_path(address)} is no address of a server; one looks like "
            "http://192.168.1.20:8080/v1"
        )
    if url.username or url.password:
        raise UsageError(
            f"Give the key of {url.hostname} by the name of an environment variable, not in its "
            "address."
        )
    check_key_env(endpoint.key_env)
    if not 1 <= endpoint.concurrency <= _MOST_CONCURRENCY:
        raise UsageError(f"A server takes 1 to {_MOST_CONCURRENCY} requests at once.")
    return replace(endpoint, url=address.rstrip("/"))


def _path(kind: type, value: Any) -> Path:
    if kind is not Path or not isinstance(value, str):
        raise TypeError("no path")
    return Path(value)
