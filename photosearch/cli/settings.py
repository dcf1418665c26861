"""The commands that say when and how photos are captioned."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import click

from photosearch import console
from photosearch.captioners import chosen_plan, chosen_recipe, clip_set
from photosearch.captioning.recipes import plans, prompts
from photosearch.captioning.schedule import parse_hours
from photosearch.cli.common import EXIT_DONE, JSON_OPTION, print_json
from photosearch.domain import Status, display_path
from photosearch.errors import UsageError
from photosearch.library import PhotoLibrary
from photosearch.paths import AppPaths
from photosearch.settings import SETTINGS, Setting, Settings, as_toml, setting

_CLIP_KEYS = ("search.clip_checkpoint", "search.clip_model")


# A value may be a negative number.
@click.command("settings", context_settings={"ignore_unknown_options": True})
@click.argument("key", default="")
@click.argument("value", required=False)
@click.option("--default", is_flag=True, help="Set KEY to its default again.")
@JSON_OPTION
@click.pass_context
def settings_command(
    context: click.Context, key: str, value: str | None, default: bool, as_json: bool
) -> int:
    """List what can be set, show what is set for KEY, or set KEY to VALUE."""
    paths: AppPaths = context.obj
    for argument in (key, value or ""):
        if argument.startswith("--"):
            raise click.NoSuchOption(argument, ctx=context)
    if default and (not key or value is not None):
        raise UsageError("Name what to set back: photosearch settings KEY --default")

    def check(settings: Settings) -> None:
        chosen_recipe(paths, settings.captions, chosen_plan(settings.captions))
        if key in _CLIP_KEYS:
            clip_set(settings.search)

    if key == "search.clip_checkpoint" and value:
        # The service may have been started in another folder.
        value = os.path.abspath(os.path.expanduser(value))  # noqa: PTH100, PTH111
    with PhotoLibrary(paths) as library:
        if default:
            library.settings.unset(key)
        elif value is not None:
            library.settings.set(key, value, check)
        settings = library.settings.load()
        if default or value is not None:
            library.settings_changed()
    # A key, or a whole section; what was no setting is taken out of the file, and not there.
    shown = [s for s in SETTINGS if not key or f"{s.key}.".startswith(f"{key}.")]
    if not shown and not default:
        setting(key)
    if as_json:
        print_json([_as_json(each, settings, _choices(each, paths)) for each in shown])
    else:
        for each in shown:
            _print(each, settings, _choices(each, paths))
    return EXIT_DONE


def _choices(each: Setting, paths: AppPaths) -> list[str]:
    """Return the names that there are now, where a setting takes a name."""
    if each.key == "captions.plan":
        return list(plans())
    return list(prompts(paths.prompts)) if each.key == "captions.prompts" else []


def _as_json(each: Setting, settings: Settings, choices: Sequence[str]) -> dict[str, Any]:
    row = {
        "key": each.key,
        "value": settings[each.key],
        "default": each.default,
        "description": each.description,
    }
    return {**row, "choices": choices} if choices else row


def _print(each: Setting, settings: Settings, choices: Sequence[str]) -> None:
    value = settings[each.key]
    changed = "" if value == each.default else f"  (default: {as_toml(each.default)})"
    click.echo(f"{each.key} = {display_path(as_toml(value))}{changed}")
    click.echo(f"    {each.description}")
    if choices:
        click.echo(f"    There are: {', '.join(map(display_path, choices))}.")


@click.command("run-now")
@click.option("--hours", default="2", show_default=True, help="How long: 2, 0.5 or 1:30.")
@click.pass_obj
def run_now(paths: AppPaths, hours: str) -> int:
    """Caption now for some hours, whatever the schedule says."""
    duration = parse_hours(hours)
    with PhotoLibrary(paths) as library:
        library.run_now(duration)
        status = library.status()
    minutes = round(duration * 60)
    click.echo(f"The schedule is set aside for {minutes // 60}:{minutes % 60:02} hours.")
    _say_if_idle(status)
    return EXIT_DONE


@click.command()
@click.pass_obj
def pause(paths: AppPaths) -> int:
    """Let `photosearch watch` and the window's indexing rest until `photosearch resume`."""
    with PhotoLibrary(paths) as library:
        library.set_paused(True)
    click.echo("Paused; go on with: photosearch resume")
    return EXIT_DONE


@click.command()
@click.pass_obj
def resume(paths: AppPaths) -> int:
    """Let indexing go on after `photosearch pause`."""
    with PhotoLibrary(paths) as library:
        library.set_paused(False)
        status = library.status()
    click.echo("Indexing is paused no more.")
    _say_if_idle(status)
    return EXIT_DONE


def _say_if_idle(status: Status) -> None:
    if status.service_pid is None:
        click.echo("Nothing is indexing now (`photosearch watch` does).")


@click.command("plans")
@JSON_OPTION
@click.pass_obj
def list_plans(paths: AppPaths, as_json: bool) -> int:
    """List the plans of captioning, and how long each would still take for this library."""
    with PhotoLibrary(paths) as library:
        costs = library.plan_costs()
    if as_json:
        print_json([asdict(cost) for cost in costs])
    else:
        console.print_plans(costs)
        click.echo("To choose one: photosearch settings captions.plan NAME")
    return EXIT_DONE


COMMANDS = (list_plans, settings_command, run_now, pause, resume)
