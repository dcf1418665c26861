"""The commands that have servers caption."""

from __future__ import annotations

import time
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import PurePosixPath
from urllib.parse import urlsplit

import click

from photosearch.captioning.model_store import check_key_env
from photosearch.captioning.models import Endpoint, ServerModel
from photosearch.captioning.remote.addresses import base_url, is_this_computer
from photosearch.cli.common import EXIT_DONE, EXIT_NOTHING, JSON_OPTION, print_json
from photosearch.domain import display_path
from photosearch.errors import UnavailableError, UsageError
from photosearch.library import PhotoLibrary
from photosearch.paths import AppPaths

_CONCURRENCY = 4
_NO_SERVERS = (
    "No server captions for this library. To add one that runs llama-server, vLLM, Ollama or LM "
    "Studio with a model that sees pictures: photosearch servers add URL"
)


@click.group()
def servers() -> None:
    """Have servers caption: llama-server, vLLM, Ollama, LM Studio and their like."""


@servers.command("add")
@click.argument("url")
@click.option("--model", help="Which of its models; not needed where it has only one.")
@click.option(
    "--concurrency",
    type=click.IntRange(1, 256),
    default=_CONCURRENCY,
    show_default=True,
    help="Requests at once: as many as it has slots.",
)
@click.option("--key-env", default="", help="The environment variable that holds its key.")
@click.option("--name", help="A name of your own; servers of one name share the work.")
@click.option("--yes", is_flag=True, help="Don't ask.")
@click.pass_obj
def servers_add(
    paths: AppPaths,
    url: str,
    model: str | None,
    concurrency: int,
    key_env: str,
    name: str | None,
    yes: bool,
) -> int:
    """Caption by the server at URL, as http://192.168.1.20:8080; says first what it gets."""
    check_key_env(key_env)
    endpoint = Endpoint(base_url(url), "", concurrency, key_env)
    for line in _what_leaves(endpoint):
        click.echo(line)
    if not yes:
        click.confirm("Send them there?", abort=True)
    endpoint = replace(endpoint, model=_model(endpoint, model))
    with PhotoLibrary(paths) as library:
        called = name or PurePosixPath(endpoint.model).name.removesuffix(".gguf")
        known = {server.name: server for server in _known(library)}.get(called)
        others = [e for e in known.endpoints if e.url != endpoint.url] if known else []
        chosen = library.use_server(ServerModel(called, (*others, endpoint)))
    shared = f", on {len(chosen.endpoints)} servers" if others else ""
    click.echo(
        f"{display_path(chosen.name)} captions from now on{shared}; captions by other models are "
        "kept."
    )
    return EXIT_DONE


@servers.command("list")
@JSON_OPTION
@click.pass_obj
def servers_list(paths: AppPaths, as_json: bool) -> int:
    """List the servers that were added; that of the model in use is marked. Contacts none."""
    with PhotoLibrary(paths) as library:
        known, in_use = _known(library), library.models.in_use()
    if as_json:
        print_json(
            [
                {"name": server.name, "url": e.url, "model": e.model, "concurrency": e.concurrency,
                 "key_env": e.key_env, "in_use": server == in_use}
                for server, e in _endpoints(known)
            ]
        )  # fmt: skip
    else:
        for server, e in _endpoints(known):
            mark = "*" if server == in_use else " "
            click.echo(
                f"{mark} {display_path(server.name)}  {display_path(e.url)}  "
                f"{display_path(e.model)}  {e.concurrency} at once"
            )
        if not known:
            click.echo(_NO_SERVERS)
    return EXIT_DONE if known else EXIT_NOTHING


@servers.command("remove")
@click.argument("server", metavar="URL|NAME")
@click.pass_obj
def servers_remove(paths: AppPaths, server: str) -> int:
    """Forget a server, or all those of a name. Captions are kept."""
    with PhotoLibrary(paths) as library:
        if server in {known.name for known in _known(library)}:
            library.remove_model(server)
        else:
            library.models.remove_server(base_url(server))
            # The service reads the models with them.
            library.settings_changed()
    click.echo(f"{display_path(server)} is forgotten; nothing is sent there any more.")
    return EXIT_DONE


@servers.command("check")
@click.pass_obj
def servers_check(paths: AppPaths) -> int:
    """Ask every server for its models, and print how long it took. No photo is sent."""
    with PhotoLibrary(paths) as library:
        known = _known(library)
    good = True
    for _, endpoint in _endpoints(known):
        shown = display_path(endpoint.url)
        started = time.monotonic()
        try:
            models = _ask_models(endpoint)
        except UnavailableError as error:
            good = False
            click.echo(f"- {error}")
            continue
        took_ms = 1000 * (time.monotonic() - started)
        found = ", ".join(map(display_path, models)) or "no model"
        if endpoint.model in models:
            click.echo(f"+ {shown}  {took_ms:.0f} ms  {found}")
        else:
            good = False
            click.echo(
                f"- {shown}  {took_ms:.0f} ms  has {found}, and not {display_path(endpoint.model)}"
            )
    if not known:
        click.echo(_NO_SERVERS)
    return EXIT_DONE if known and good else EXIT_NOTHING


def _what_leaves(endpoint: Endpoint) -> Iterator[str]:
    url = urlsplit(endpoint.url)
    host = display_path(url.netloc)
    if is_this_computer(endpoint.url):
        yield f"{host} is on this computer: the photos stay here, unless that server sends them on."
        return
    yield (
        "This will leave this computer: of every photo in this library, scaled-down copies of the "
        "whole and of its parts (at most 672 pixels, without place, time, names or other metadata)."
    )
    yield f"They go to {host}, and nowhere else. Whoever runs it can see and keep them."
    if url.scheme == "http":
        yield "The way there is not encrypted (http): who is in the same network can see them, too."
    proxies = urllib.request.getproxies()
    proxy = proxies.get(url.scheme) or proxies.get("all")
    if proxy and not urllib.request.proxy_bypass(url.hostname or ""):
        shown = display_path(urlsplit(proxy).hostname or proxy)
        yield f"They pass the proxy {shown}, which this computer is set to use."


def _model(endpoint: Endpoint, wanted: str | None) -> str:
    try:
        models = _ask_models(endpoint)
    except UnavailableError as error:
        if wanted is None:
            raise
        # It may be switched off now, or may not tell.
        click.echo(f"Added all the same, though: {error}", err=True)
        return wanted
    shown = ", ".join(map(display_path, models)) or "none"
    if wanted is None:
        if len(models) != 1:
            raise UsageError(f"Say which of its models to use, with --model; it has: {shown}.")
        return models[0]
    if wanted not in models:
        raise UsageError(
            f"{display_path(endpoint.url)} has no model {display_path(wanted)}; it has: {shown}."
        )
    return wanted


def _ask_models(endpoint: Endpoint) -> list[str]:
    # The client library takes half a second to load, and may not be installed.
    from photosearch.captioning.remote.client import list_models  # noqa: PLC0415

    return list_models(endpoint)


def _known(library: PhotoLibrary) -> list[ServerModel]:
    return [known for known in library.models.list() if isinstance(known, ServerModel)]


def _endpoints(known: list[ServerModel]) -> Iterator[tuple[ServerModel, Endpoint]]:
    return ((server, endpoint) for server in known for endpoint in server.endpoints)


COMMANDS = (servers,)
