"""The commands that choose who captions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from photosearch import console
from photosearch.captioning.models import KnownModel, LocalModel
from photosearch.cli.common import EXIT_DONE, EXIT_NOTHING, JSON_OPTION, print_json
from photosearch.domain import display_path
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
@click.pass_obj
def models_use(paths: AppPaths, model: Path, mmproj: Path | None, name: str | None) -> int:
    """Caption with MODEL: a GGUF file with its --mmproj, or the name of a model added before."""
    with PhotoLibrary(paths) as library:
        known = {} if mmproj is not None else {m.name: m for m in library.models.list()}
        again = known.get(str(model))
        if isinstance(again, LocalModel):
            # A file or folder of the same name may happen to be here.
            model, mmproj, name = again.model, again.mmproj, again.name
        chosen = library.use_model(model, mmproj, name)
    click.echo(f"{chosen.name} captions from now on; captions by other models are kept.")
    return EXIT_DONE


@models.command("remove")
@click.argument("name")
@click.pass_obj
def models_remove(paths: AppPaths, name: str) -> int:
    """Forget the model NAME. Its files and its captions are kept."""
    with PhotoLibrary(paths) as library:
        library.remove_model(name)
    click.echo(f"{display_path(name)} is forgotten; its files are still there.")
    return EXIT_DONE


def _where(known: KnownModel) -> dict[str, Any]:
    if isinstance(known, LocalModel):
        return {"model": str(known.model), "mmproj": str(known.mmproj)}
    return {"servers": [endpoint.url for endpoint in known.endpoints]}


def _shown(known: KnownModel) -> str:
    if isinstance(known, LocalModel):
        return display_path(known.model)
    return ", ".join(display_path(endpoint.url) for endpoint in known.endpoints)


COMMANDS = (models,)
