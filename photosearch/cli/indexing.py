"""The commands that fill a library: index, watch, status, folders."""

from __future__ import annotations

from pathlib import Path

import click

from photosearch import console
from photosearch.arguments import FolderPath
from photosearch.cli.common import (
    EXIT_DONE,
    EXIT_NOTHING,
    EXIT_STOPPED,
    EXIT_UNAVAILABLE,
    JSON_OPTION,
    print_json,
)
from photosearch.domain import CAPTION_STAGES, Stage, display_path
from photosearch.errors import LibraryLockedError, ModelError, UsageError
from photosearch.foreground import run_service
from photosearch.library import PhotoLibrary
from photosearch.paths import AppPaths

_FOLDER = FolderPath()


@click.command()
@click.argument("folders", nargs=-1, type=_FOLDER)
@click.option(
    "--stage",
    type=click.Choice([s.value for s in Stage]),
    help="Run only this stage (and scan new FOLDERS).",
)
@click.option("--minutes", type=click.FloatRange(min=0), help="Stop after so many minutes.")
@click.option("--no-captions", is_flag=True, help="Leave the slow language model out.")
@click.option("--retry", is_flag=True, help="Try again what has failed before.")
@click.pass_obj
def index(
    paths: AppPaths,
    folders: tuple[Path, ...],
    stage: str | None,
    minutes: float | None,
    no_captions: bool,
    retry: bool,
) -> int:
    """Add FOLDERS and index them until nothing is left to do. Ctrl-C stops; run again to go on."""
    stages = [s for s in Stage if not stage or s == stage]
    if no_captions:
        stages = [s for s in stages if s not in CAPTION_STAGES]
    if not stages:
        raise click.UsageError(f"--no-captions leaves nothing of --stage {stage}.")
    with PhotoLibrary(paths) as library:
        if set(stages) <= set(CAPTION_STAGES) and library.models.in_use() is None:
            raise ModelError(console.NO_MODEL)
        if folders and Stage.SCAN not in stages:
            # Of new folders nothing can be captioned before it was scanned.
            stages.insert(0, Stage.SCAN)
        for folder in folders:
            library.add_folder(folder)
        if not library.folders():
            raise UsageError("There are no folders yet. Name one: photosearch index ~/Pictures")
        if retry:
            library.retry()
        try:
            ran = run_service(library, stages=stages, watch=False, minutes=minutes)
        except LibraryLockedError as error:
            if folders:
                raise LibraryLockedError(f"{error} The folders were added to it.") from None
            raise
        status = library.status()
        looked_through = ran.to_the_end and Stage.SCAN in stages
        console.print_outcome(status, library.failures(), looked_through=looked_through)
    if ran.stopped:
        click.echo("Stopped. The same command goes on from here.")
        return EXIT_STOPPED
    if ran.broken:
        return EXIT_UNAVAILABLE
    offline = any(not folder.online for folder in status.folders)
    return EXIT_NOTHING if status.failure_count or offline or not status.photo_count else EXIT_DONE


@click.command()
@click.option("--wait", "wait_s", type=float, default=0, help="Seconds to wait for another one.")
@click.pass_obj
def watch(paths: AppPaths, wait_s: float) -> int:
    """Index, and follow the folders as they change, until Ctrl-C."""
    with PhotoLibrary(paths) as library:
        run_service(library, stages=list(Stage), watch=True, minutes=None, wait_s=wait_s)
    return EXIT_DONE


@click.command()
@JSON_OPTION
@click.pass_obj
def status(paths: AppPaths, as_json: bool) -> int:
    """Show folders, photos by stage, failures with reasons, speed and time left."""
    with PhotoLibrary(paths) as library:
        found, failures = library.status(), library.failures()
    if as_json:
        print_json(console.status_json(found, failures))
    else:
        console.print_status(found, failures)
    return EXIT_DONE


@click.group()
def folders() -> None:
    """List or remove the folders that are indexed (`index` adds them)."""


@folders.command("list")
@click.pass_obj
def folders_list(paths: AppPaths) -> int:
    """List the folders that are indexed."""
    with PhotoLibrary(paths) as library:
        found = library.folders()
    for folder in found:
        problem = f"  ({folder.problem})" if folder.problem else ""
        click.echo(f"{folder.photo_count:8}  {console.short_path(folder.path)}{problem}")
    return EXIT_DONE if found else EXIT_NOTHING


@folders.command("remove")
@click.argument("folder", type=_FOLDER)
@click.pass_obj
def folders_remove(paths: AppPaths, folder: Path) -> int:
    """Stop indexing FOLDER. Its photos are not touched."""
    with PhotoLibrary(paths) as library:
        for known in library.folders():
            if known.path == folder:
                library.remove_folder(known.id)
                click.echo(f"{display_path(folder)} is no longer indexed.")
                return EXIT_DONE
    raise UsageError(f"{display_path(folder)} is not indexed. See: photosearch folders list")


COMMANDS = (index, watch, status, folders)
