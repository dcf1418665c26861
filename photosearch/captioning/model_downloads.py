"""Fetching the models of the catalogue: two files each, into a folder each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Event

from photosearch.captioning.catalogue import CatalogueModel
from photosearch.captioning.downloads import Tell, check_disk, download, part_of
from photosearch.captioning.models import check_gguf
from photosearch.domain import display_path
from photosearch.errors import UsageError


def download_model(
    model: CatalogueModel,
    models: Path,
    base: str,
    *,
    progress: Callable[[str, int, int | None], None] | None = None,
    tell: Tell | None = None,
    cancelled: Event | None = None,
) -> tuple[Path, Path]:
    """Fetch a model's two files into its folder in `models`, and return them; those there are kept.

    `progress` gets the file's name first. Raises what `download` does, ModelError if the two do
    not belong together, UsageError if another file is in the way.
    """
    if found := model.find_files(models):
        check_gguf(*found)
        return found
    folder = model.folder(models)
    missing = [file for file in model.files if not _is_there(folder / file.name, file.size)]
    parts = sum(_part_bytes(folder / file.name) for file in missing)
    check_disk(folder, sum(file.bytes for file in missing) - parts)
    for file in missing:
        name = file.name

        def told(done: int, total: int | None, name: str = name) -> None:
            if progress is not None:
                progress(name, done, total)

        download(
            model.url(file, base),
            folder / name,
            sha256=file.sha256,
            size=file.size,
            progress=told,
            tell=tell,
            cancelled=cancelled,
        )
    found = folder / model.model.name, folder / model.mmproj.name
    check_gguf(*found)
    return found


def _is_there(target: Path, size: int | None) -> bool:
    if not target.exists():
        return False
    if size is not None and target.stat().st_size != size:
        raise UsageError(
            f"{display_path(target)} is in the way: it is another file than the catalogue's."
        )
    return True


def _part_bytes(target: Path) -> int:
    part = part_of(target)
    return part.stat().st_size if part.exists() else 0
