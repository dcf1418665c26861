"""The command line: the same core as the window, for terminals, scripts and servers.

Exit codes: 0 done, 1 nothing found or some photos failed, 2 usage, 3 the surroundings stand in the
way (no model, locked, disk full, damaged library), 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import click

from photosearch import console
from photosearch.arguments import FolderPath, QueryCommand
from photosearch.domain import CAPTION_STAGES, Query, Stage, display_path
from photosearch.errors import (
    LibraryLockedError,
    ModelError,
    PhotosearchError,
    UnavailableError,
    UsageError,
)
from photosearch.foreground import run_service
from photosearch.library import PhotoLibrary
from photosearch.paths import HOME_VARIABLE, AppPaths

OpenWindow = Callable[[AppPaths, Path | None], int]

EXIT_DONE, EXIT_NOTHING, EXIT_USAGE, EXIT_UNAVAILABLE, EXIT_STOPPED = 0, 1, 2, 3, 130

_MAX_LIMIT = 1_000_000
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
_FOLDER = FolderPath()
_LIMIT = click.IntRange(min=1, max=_MAX_LIMIT)


def run(open_window: OpenWindow, arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code; `open_window` is for one without a command."""
    # A file name or caption that the terminal's encoding lacks must not end the program.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    code = _run(open_window, arguments)
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        # It would be tried again, and fail again, when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code


def _run(open_window: OpenWindow, arguments: Sequence[str] | None) -> int:
    try:
        _check_current_folder()
        with console.checked_output():
            code = main.main(arguments, "photosearch", standalone_mode=False, obj=open_window)
        return int(code or 0)
    except click.Abort:
        return EXIT_STOPPED
    except console.ReaderGoneError:
        return EXIT_DONE
    except (click.ClickException, PhotosearchError) as error:
        with suppress(OSError):
            if isinstance(error, click.ClickException):
                error.show()
            else:
                click.echo(f"photosearch: {error}", err=True)
        return _exit_code(error)


def _check_current_folder() -> None:
    try:
        Path.cwd()
    except OSError as error:
        raise UnavailableError(
            "The folder that you are in is gone or can't be read; change to another one."
        ) from error


def _exit_code(error: Exception) -> int:
    if isinstance(error, (click.ClickException, UsageError)):
        return EXIT_USAGE
    return EXIT_UNAVAILABLE if isinstance(error, UnavailableError) else EXIT_NOTHING


@click.group(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--library", type=_FOLDER, help=f"The library's folder; else ${HOME_VARIABLE}.")
@click.option("--folder", type=_FOLDER, help="Open the window and add this folder to it.")
@click.version_option(package_name="photosearch")
@click.pass_context
def main(context: click.Context, library: Path | None, folder: Path | None) -> int:
    """Find any photo in your own folders by typing words. Without a command: the window."""
    open_window: OpenWindow = context.obj
    context.obj = paths = AppPaths(library) if library else AppPaths.default()
    if context.invoked_subcommand is None:
        return open_window(paths, folder)
    if folder is not None:
        raise click.UsageError("--folder belongs to the window; use: photosearch index FOLDER")
    return EXIT_DONE


# Indexing


@main.command()
@click.argument("folders", nargs=-1, type=_FOLDER)
@click.option("--stage", type=click.Choice([s.value for s in Stage]), help="Run only this stage.")
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
    stages = [Stage(stage)] if stage else list(Stage)
    if no_captions:
        stages = [s for s in stages if s not in CAPTION_STAGES]
    if not stages:
        raise click.UsageError(f"--no-captions leaves nothing of --stage {stage}.")
    with PhotoLibrary(paths) as library:
        if set(stages) <= set(CAPTION_STAGES) and library.models.in_use() is None:
            raise ModelError(console.NO_MODEL)
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


@main.command()
@click.option("--wait", "wait_s", type=float, default=0, help="Seconds to wait for another one.")
@click.pass_obj
def watch(paths: AppPaths, wait_s: float) -> int:
    """Index, and follow the folders as they change, until Ctrl-C."""
    with PhotoLibrary(paths) as library:
        run_service(library, stages=list(Stage), watch=True, minutes=None, wait_s=wait_s)
    return EXIT_DONE


@main.command()
@_JSON
@click.pass_obj
def status(paths: AppPaths, as_json: bool) -> int:
    """Show folders, photos by stage, failures with reasons, speed and time left."""
    with PhotoLibrary(paths) as library:
        found, failures = library.status(), library.failures()
    if as_json:
        _print_json(console.status_json(found, failures))
    else:
        console.print_status(found, failures)
    return EXIT_DONE


@main.group()
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


# Finding


@main.command(cls=QueryCommand)
@click.argument("words", nargs=-1)
@click.option("--limit", type=_LIMIT, default=20, show_default=True)
@click.option("--explain", is_flag=True, help="Say which words matched in which views.")
@_JSON
@click.pass_obj
def search(
    paths: AppPaths, words: tuple[str, ...], limit: int, explain: bool, as_json: bool
) -> int:
    """Find photos by WORDS: all must match, -word excludes, "two words" are a phrase.

    Without words: all photos, newest first.
    """
    with PhotoLibrary(paths) as library:
        query = _parse(library, words)
        results = library.search(query, limit=limit, refine=12)
        matched = (
            {hit.photo_id: library.photo(hit.photo_id, query).matched for hit in results.hits}
            if query and (explain or as_json)
            else {}
        )
        notices = library.notices
    for notice in notices:
        click.echo(f"Note: {notice}", err=True)
    if as_json:
        _print_json(console.results_json(results, matched))
    else:
        console.print_results(results, matched)
    return EXIT_DONE if results.hits else EXIT_NOTHING


def _parse(library: PhotoLibrary, words: Sequence[str]) -> Query:
    # The shell has taken the quotes of "two words" away, but kept them together.
    query = library.parse(" ".join(_requoted(word) for word in words))
    if not query and any(word.strip() for word in words):
        raise UsageError(f"Nothing to search for in {display_path(' '.join(words))}")
    return query


def _requoted(word: str) -> str:
    if " " not in word or '"' in word:
        return word
    return f'-"{word[1:]}"' if word.startswith("-") else f'"{word}"'


@main.command()
@click.argument("photo")
@_JSON
@click.pass_obj
def show(paths: AppPaths, photo: str, as_json: bool) -> int:
    """Show the captions, words and metadata of PHOTO: a file, an id, or its hash's beginning."""
    with PhotoLibrary(paths) as library:
        details = library.photo(_find_photo(library, photo))
    if as_json:
        _print_json(console.photo_json(details))
    else:
        console.print_photo(details)
    return EXIT_DONE


@main.command(cls=QueryCommand)
@click.argument("words", nargs=-1)
@click.option("--photo", help="Words of this photo: a file, an id, or its hash's beginning.")
@click.option("--limit", type=_LIMIT, default=50, show_default=True)
@click.option("--png", type=click.Path(path_type=Path, dir_okay=False), help="Draw the cloud.")
@_JSON
@click.pass_obj
def words(
    paths: AppPaths,
    words: tuple[str, ...],
    photo: str | None,
    limit: int,
    png: Path | None,
    as_json: bool,
) -> int:
    """Count the words of a photo, of the result of WORDS, or of the library."""
    if photo is not None and words:
        raise click.UsageError("Give either words or --photo.")
    if png is not None and png.suffix.lower() != ".png":
        raise click.UsageError("--png writes a PNG picture: give it a name that ends in .png")
    with PhotoLibrary(paths) as library:
        if photo is not None:
            found = list(library.photo(_find_photo(library, photo)).words[:limit])
        else:
            found = library.words(_parse(library, words), limit=limit)
    if png is not None and found:
        from photosearch.clouds import write_png  # noqa: PLC0415 - loads Matplotlib

        with console.writing(display_path(png)):
            write_png(found, png)
    if as_json:
        _print_json({"words": [{"word": w.word, "count": w.count} for w in found]})
    else:
        for word in found:
            click.echo(f"{word.count:8}  {word.word}")
        if not found:
            click.echo("Nothing found." if words else "No words yet.")
    return EXIT_DONE if found else EXIT_NOTHING


def _find_photo(library: PhotoLibrary, wanted: str) -> int:
    photo_id = library.find_photo(wanted)
    if photo_id is None:
        raise PhotosearchError(f"There is no photo {display_path(wanted)} in the library.")
    return photo_id


# Models, captions, care


@main.group()
def models() -> None:
    """Choose the vision language model that captions the photos."""


@models.command("list")
@_JSON
@click.pass_obj
def models_list(paths: AppPaths, as_json: bool) -> int:
    """List the models that were added; the one in use is marked."""
    with PhotoLibrary(paths) as library:
        known, in_use = library.models.list(), library.models.in_use()
    if as_json:
        _print_json(
            [
                {"name": m.name, "model": str(m.model), "mmproj": str(m.mmproj),
                 "in_use": m == in_use}
                for m in known
            ]
        )  # fmt: skip
    else:
        for model in known:
            click.echo(
                f"{'*' if model == in_use else ' '} {model.name}  {display_path(model.model)}"
            )
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
        if again := known.get(str(model)):
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


@main.group()
def captions() -> None:
    """Take captions out of the library."""


@captions.command("export")
@click.argument("file", type=click.Path(allow_dash=True), default="-")
@click.pass_obj
def captions_export(paths: AppPaths, file: str) -> int:
    """Write every caption to FILE (or the terminal) as JSON lines."""
    count = 0
    with (
        PhotoLibrary(paths) as library,
        console.writing("The output" if file == "-" else display_path(file)),
        click.open_file(file, "w", encoding="utf-8") as lines,
    ):
        for sha256, caption in library.captions():
            row = console.caption_json(sha256, caption)
            lines.write(json.dumps(row, ensure_ascii=False) + "\n")
            count += 1
    if file != "-":
        click.echo(f"{count} captions written.", err=True)
    return EXIT_DONE if count else EXIT_NOTHING


@main.command()
@click.pass_obj
def reindex(paths: AppPaths) -> int:
    """Build the search index anew from the database."""
    with PhotoLibrary(paths) as library:
        count = library.reindex()
    click.echo(f"The index holds {count} photos.")
    return EXIT_DONE


@main.command()
@_JSON
@click.pass_obj
def doctor(paths: AppPaths, as_json: bool) -> int:
    """Check the library, the models and what photosearch needs of this system."""
    from photosearch.doctor import examine  # noqa: PLC0415 - loads every library

    findings = examine(paths)
    if as_json:
        _print_json([finding.__dict__ for finding in findings])
    else:
        console.print_findings(findings)
    return EXIT_DONE if all(finding.ok for finding in findings) else EXIT_UNAVAILABLE


def _print_json(value: object) -> None:
    click.echo(json.dumps(value, ensure_ascii=True, indent=2))
