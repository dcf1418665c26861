"""The command line: the same core as the window, for terminals, scripts and servers.

Exit codes: 0 done, 1 nothing found or some photos failed, 2 usage, 3 the surroundings stand in the
way (no model, locked, disk full, damaged library), 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import click

from photosearch import console
from photosearch.arguments import FolderPath
from photosearch.cli import captions, care, evaluation, finding, indexing, models, servers, settings
from photosearch.cli.common import (
    EXIT_DONE,
    EXIT_NOTHING,
    EXIT_STOPPED,
    EXIT_UNAVAILABLE,
    EXIT_USAGE,
)
from photosearch.errors import PhotosearchError, UnavailableError, UsageError
from photosearch.paths import HOME_VARIABLE, AppPaths

OpenWindow = Callable[[AppPaths, Path | None], int]

_FOLDER = FolderPath()


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


for _module in (indexing, finding, models, servers, captions, settings, care, evaluation):
    for _command in _module.COMMANDS:
        main.add_command(_command)
