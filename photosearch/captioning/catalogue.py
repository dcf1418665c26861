"""The models that photosearch can download: data (resources/captioning/models.toml), and where."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import quote, urlsplit

import msgspec

from photosearch.captioning.memory import Memory, MemoryShape, gigabytes
from photosearch.captioning.tables import read_tables
from photosearch.errors import UsageError
from photosearch.paths import resource

BASE_VARIABLE = "HF_ENDPOINT"
"""The environment variable that names a mirror of huggingface.co, as its own tools do."""

DEFAULT_BASE = "https://huggingface.co"

_Name = Annotated[str, msgspec.Meta(pattern=r"^[^/\\:\x00-\x1f.][^/\\:\x00-\x1f]*\.gguf$")]
_Sha256 = Annotated[str, msgspec.Meta(pattern=r"^([0-9a-f]{64})?$")]
_Count = Annotated[int, msgspec.Meta(ge=1, le=1 << 20)]
_Text = Annotated[str, msgspec.Meta(min_length=1)]


class ModelFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file to download: `size` in bytes where it is known exactly, else `about_mb`."""

    name: _Name
    size: Annotated[int, msgspec.Meta(ge=1)] | None = None
    about_mb: Annotated[int, msgspec.Meta(ge=1)] | None = None
    sha256: _Sha256 = ""

    def __post_init__(self) -> None:
        if (self.size is None) == (self.about_mb is None):
            raise ValueError("a file has either size or about_mb")

    @property
    def bytes(self) -> int:
        """The size in bytes, as well as it is known."""
        return self.size if self.size is not None else (self.about_mb or 0) * 1_000_000


class Licence(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Under what a model may be used; `note` says what it restricts."""

    name: _Text
    url: _Text
    note: str = ""


class Shape(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The KV cache: `kv_heads` × `head_width` numbers a layer and token, keys as many as values."""

    layers: _Count
    kv_heads: _Count
    head_width: _Count
    view_tokens: _Count


class CatalogueModel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model that can be downloaded; see resources/captioning/models.toml for the fields."""

    name: str
    title: _Text
    about: _Text
    repo: Annotated[str, msgspec.Meta(pattern=r"^[\w.-]+/[\w.-]+$")]
    model: ModelFile
    mmproj: ModelFile
    licence: Licence
    shape: Shape
    chat: Literal["llava-1.5", "template"]
    projector: _Text
    revision: Annotated[str, msgspec.Meta(pattern=r"^[\w.-]+$")] = "main"

    @property
    def files(self) -> tuple[ModelFile, ModelFile]:
        """The language model and its image projector."""
        return self.model, self.mmproj

    @property
    def download_bytes(self) -> int:
        """The size of both files; about, where one is only known about."""
        return sum(file.bytes for file in self.files)

    def need_bytes(self, sequences: int = 1) -> int:
        """Return about how much memory it takes to caption `sequences` views at once."""
        width = self.shape.kv_heads * self.shape.head_width
        shape = MemoryShape(self.download_bytes, self.shape.layers, width, width)
        return shape.need_bytes(self.shape.view_tokens, sequences)

    def url(self, file: ModelFile, base: str) -> str:
        """Return where a file is on the server `base`."""
        return f"{base}/{self.repo}/resolve/{self.revision}/{quote(file.name)}"

    def folder(self, models: Path) -> Path:
        """Return this model's own folder in `models`: many models' files have the same names."""
        return models / self.name

    def find_files(self, models: Path) -> tuple[Path, Path] | None:
        """Return model and mmproj where both are in the model's folder, or in `models` itself.

        They may have been put there by hand; a file of another size is another file.
        """
        found = []
        for file in self.files:
            for path in (self.folder(models) / file.name, models / file.name):
                if path.is_file() and _is_about(path.stat().st_size, file):
                    found.append(path)
                    break
        return (found[0], found[1]) if len(found) == 2 else None


def catalogue(own: Path | None = None) -> dict[str, CatalogueModel]:
    """Return the models by name: photosearch's, and those of the user's file `own` if it is there.

    Raises UsageError that names the file and the key for a mistake in it.
    """
    return read_tables(CatalogueModel, resource("captioning", "models.toml"), own)


def download_base() -> str:
    """Return the server that models come from: $HF_ENDPOINT, or huggingface.co."""
    base = os.environ.get(BASE_VARIABLE, "").strip().rstrip("/") or DEFAULT_BASE
    if urlsplit(base).scheme not in ("http", "https") or not urlsplit(base).netloc:
        raise UsageError(f"${BASE_VARIABLE} is {base!r}, which is no address of a server.")
    return base


def smaller_models(models: Iterable[CatalogueModel], need_bytes: int, available_bytes: int) -> str:
    """Return which of `models` fit into memory and need less than `need_bytes`, as a list."""
    fitting = [m for m in models if m.need_bytes() <= min(available_bytes, need_bytes - 1)]
    fitting.sort(key=CatalogueModel.need_bytes, reverse=True)
    return ", ".join(f"{m.name} (about {gigabytes(m.need_bytes())})" for m in fitting[:2])


def fit(model: CatalogueModel, memory: Memory) -> Literal["fits", "tight", "too large"]:
    """Return whether a model fits into main memory, now or with other programs closed."""
    need = model.need_bytes()
    if need <= memory.available:
        return "fits"
    return "tight" if need <= memory.total else "too large"


def _is_about(size: int, file: ModelFile) -> bool:
    if file.size is not None:
        return size == file.size
    return abs(size - file.bytes) <= 0.05 * file.bytes
