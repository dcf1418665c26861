"""The commands that look after a library: reindex, doctor."""

from __future__ import annotations

import click

from photosearch import console
from photosearch.cli.common import EXIT_DONE, EXIT_UNAVAILABLE, JSON_OPTION, print_json
from photosearch.library import PhotoLibrary
from photosearch.paths import AppPaths


@click.command()
@click.pass_obj
def reindex(paths: AppPaths) -> int:
    """Build the search index anew from the database."""
    with PhotoLibrary(paths) as library:
        count = library.reindex()
    click.echo(f"The index holds {count} photos.")
    return EXIT_DONE


@click.command()
@JSON_OPTION
@click.pass_obj
def doctor(paths: AppPaths, as_json: bool) -> int:
    """Check the library, the models and what photosearch needs of this system."""
    from photosearch.doctor import examine  # noqa: PLC0415 - loads every library

    findings = examine(paths)
    if as_json:
        print_json([finding.__dict__ for finding in findings])
    else:
        console.print_findings(findings)
    return EXIT_DONE if all(finding.ok for finding in findings) else EXIT_UNAVAILABLE


COMMANDS = (reindex, doctor)
