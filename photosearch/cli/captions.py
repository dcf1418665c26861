"""The commands that take captions from one library to another."""

from __future__ import annotations

import click

from photosearch import console
from photosearch.caption_lines import caption_line
from photosearch.cli.common import EXIT_DONE, EXIT_NOTHING
from photosearch.domain import display_path
from photosearch.errors import UsageError
from photosearch.library import PhotoLibrary
from photosearch.paths import AppPaths

_SHOWN_FAULTS = 10


@click.group()
def captions() -> None:
    """Take captions from one library to another."""


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
            lines.write(caption_line(sha256, caption) + "\n")
            count += 1
    if file != "-":
        click.echo(f"{count} captions written.", err=True)
    return EXIT_DONE if count else EXIT_NOTHING


@captions.command("import")
@click.argument("file", type=click.Path(allow_dash=True), default="-")
@click.pass_obj
def captions_import(paths: AppPaths, file: str) -> int:
    """Add the captions that `captions export` wrote to FILE, to photos of the same content."""
    try:
        lines = click.open_file(file, "rb")
    except OSError as error:
        raise UsageError(f"{display_path(file)} can't be read: {error.strerror}.") from error
    with PhotoLibrary(paths) as library, lines:
        taken = library.import_captions(lines)
    click.echo(f"{taken.added} captions added, {taken.known} known before.")
    if taken.foreign:
        click.echo(
            f"{taken.foreign} are of photos that are not in this library: index their folders, "
            "then import again."
        )
    for number, reason in taken.faults[:_SHOWN_FAULTS]:
        click.echo(f"Line {number}: {reason}.", err=True)
    if len(taken.faults) > _SHOWN_FAULTS:
        click.echo(f"… and {len(taken.faults) - _SHOWN_FAULTS} more such lines.", err=True)
    return EXIT_NOTHING if taken.faults or not taken.added + taken.known else EXIT_DONE


COMMANDS = (captions,)
