"""What the commands share: exit codes, and how JSON is asked for and printed."""

from __future__ import annotations

import json

import click

EXIT_DONE, EXIT_NOTHING, EXIT_USAGE, EXIT_UNAVAILABLE, EXIT_STOPPED = 0, 1, 2, 3, 130

JSON_OPTION = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")


def print_json(value: object) -> None:
    """Print a value as JSON that any terminal can show."""
    click.echo(json.dumps(value, ensure_ascii=True, indent=2))
