"""The commands that take captions out of a library."""

from __future__ import annotations

import json

import click

from photosearch import console
from photosearch.cli.common import EXIT_DONE, EXIT_NOTHING
from photosearch.domain import display_path
from photosearch.library import PhotoLibrary
from photosearch.paths import AppPaths


@click.group()
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


COMMANDS = (captions,)
