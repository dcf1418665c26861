"""The commands that choose who captions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from photosearch import console
from photosearch.captioning.catalogue import catalogue
from photosearch.captioning.memory import CONTEXT_TOKENS, gigabytes, memory_shape
from photosearch.captioning.models import KnownModel, LocalModel, check_gguf
from photosearch.cli.common import EXIT_DONE, EXIT_NOTHING, JSON_OPTION, print_json
from photosearch.cli.downloads import download, list_catalogue, remove_files, warn_of_memory
from photosearch.domain import display_path
from photosearch.errors import UsageError
from photosearch.library import PhotoLibrary
from photosearch.paths import AppPaths


@click.group()
def models() -> None:
    """Choose the vision language model that captions the photos."""


@models.command("list")
@JSON_OPTION
@click.pass_obj
def models_list(paths: AppPaths, as_json: bool) -> int:
    """List the models that were added; the one in use is marked."""
    with PhotoLibrary(paths) as library:
        known, in_use = library.models.list(), library.models.in_use()
    if as_json:
        print_json([{"name": m.name, **_where(m), "in_use": m == in_use} for m in known])
    else:
        for model in known:
            click.echo(f"{'*' if model == in_use else ' '} {model.name}  {_shown(model)}")
        if not known:
            click.echo(console.NO_MODEL)
    return EXIT_DONE if known else EXIT_NOTHING


@models.command("use")
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--mmproj", type=click.Path(path_type=Path), help="The projector's GGUF file.")
@click.option("--name", help="A name of your own for it.")
@click.option("--force", is_flag=True, help="Use it with too little memory, as with a GPU.")
@click.pass_obj
def models_use(
    paths: AppPaths, model: Path, mmproj: Path | None, name: str | None, force: bool
) -> int:
    """Caption with MODEL.

    MODEL is a GGUF file with its --mmproj, the name of a model added before, or one of the
    catalogue that was downloaded, or whose files you put into the library's folder "models".
    """
    with PhotoLibrary(paths) as library:
        if mmproj is None:
            known = {m.name: m for m in library.models.list()}.get(str(model))
            if known is not None:
                # A file or folder of the same name may happen to be here.
                name = known.name
                if isinstance(known, LocalModel):
                    model, mmproj = known.model, known.mmproj
            elif found := _downloaded(paths, str(model)):
                name, (model, mmproj) = name or str(model), found
        if mmproj is not None:
            check_gguf(model, mmproj)
            _check_memory(paths, name or model.stem, model, mmproj, force)
        chosen = library.use_model(model, mmproj, name)
    click.echo(f"{chosen.name} captions from now on; captions by other models are kept.")
    return EXIT_DONE


@models.command("remove")
@click.argument("name")
@click.option("--files", is_flag=True, help="Delete its files, too, if photosearch fetched them.")
@click.pass_obj
def models_remove(paths: AppPaths, name: str, files: bool) -> int:
    """Forget the model NAME. Its captions are kept, and its files, unless you say --files."""
    with PhotoLibrary(paths) as library:
        known = {m.name: m for m in library.models.list()}
        if name in known or not files or name not in catalogue(paths.catalogue):
            library.remove_model(name)
        forgotten = known.pop(name, None)
        if isinstance(forgotten, LocalModel):
            from photosearch.captioning.mending import remove_copies  # noqa: PLC0415 - slow

            remove_copies(forgotten.mmproj, paths.model_files)
        freed = remove_files(paths, name, forgotten, known.values()) if files else 0
    if freed:
        click.echo(f"{display_path(name)} is forgotten; {gigabytes(freed)} were deleted.")
    elif files:
        click.echo(f"{display_path(name)} is forgotten; it has no files in photosearch's folder.")
    else:
        click.echo(f"{display_path(name)} is forgotten; its files are still there.")
    return EXIT_DONE


def _downloaded(paths: AppPaths, name: str) -> tuple[Path, Path] | None:
    """Return the files of a catalogue's model; UsageError if they are not there."""
    entry = catalogue(paths.catalogue).get(name)
    if entry is None:
        return None
    found = entry.find_files(paths.model_files)
    if found is None:
        raise UsageError(
            f"{entry.title} is not on this computer ({gigabytes(entry.download_bytes)}): "
            f"photosearch models download {name} --use"
        )
    return found


def _check_memory(paths: AppPaths, name: str, model: Path, mmproj: Path, force: bool) -> None:
    entries = catalogue(paths.catalogue)
    tokens = entries[name].shape.view_tokens if name in entries else CONTEXT_TOKENS
    warn_of_memory(name, memory_shape(model, mmproj).need_bytes(tokens), entries.values(), force)


def _where(known: KnownModel) -> dict[str, Any]:
    if isinstance(known, LocalModel):
        return {"model": str(known.model), "mmproj": str(known.mmproj)}
    return {"servers": [{"url": e.url, "model": e.model} for e in known.endpoints]}


def _shown(known: KnownModel) -> str:
    if isinstance(known, LocalModel):
        return display_path(known.model)
    return ", ".join(display_path(endpoint.url) for endpoint in known.endpoints)


models.add_command(list_catalogue)
models.add_command(download)

COMMANDS = (models,)
