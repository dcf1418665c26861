"""The commands that show which models there are, and fetch them."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from photosearch.captioning.catalogue import (
    CatalogueModel,
    catalogue,
    download_base,
    fit,
    smaller_models,
)
from photosearch.captioning.memory import Memory, gigabytes, memory_warning
from photosearch.captioning.models import KnownModel, LocalModel
from photosearch.cli.common import EXIT_DONE, JSON_OPTION, print_json
from photosearch.domain import display_path
from photosearch.errors import ModelError, UsageError
from photosearch.library import PhotoLibrary
from photosearch.paths import AppPaths

_PLAIN_EVERY_S = 5.0
_FIT = {"fits": "", "tight": ", close programs first", "too large": ", too much for this computer"}


@click.command("catalogue")
@JSON_OPTION
@click.pass_obj
def list_catalogue(paths: AppPaths, as_json: bool) -> int:
    """List models that can be downloaded: sizes, licences, and whether they fit. Offline."""
    memory = Memory.now()
    entries = catalogue(paths.catalogue).values()
    if as_json:
        print_json([_as_json(entry, paths, memory) for entry in entries])
        return EXIT_DONE
    for entry in entries:
        here = "  (on this computer)" if entry.find_files(paths.model_files) else ""
        click.echo(f"{entry.name}{here}")
        click.echo(f"    {entry.title}: {entry.about}")
        click.echo(
            f"    Download {gigabytes(entry.download_bytes)}, memory about "
            f"{gigabytes(entry.need_bytes())}{_FIT[fit(entry, memory)]}"
        )
        click.echo(f"    {_licence(entry)}")
    click.echo("To fetch one and caption with it: photosearch models download NAME --use")
    return EXIT_DONE


@click.command("download")
@click.argument("name")
@click.option(
    "--to",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    help='Make its folder there; else in the library\'s folder "models".',
)
@click.option("--use", is_flag=True, help="Caption with it from then on.")
@click.option("--force", is_flag=True, help="Even if it needs more memory than there is.")
@click.pass_obj
def download(paths: AppPaths, name: str, folder: Path | None, use: bool, force: bool) -> int:
    """Fetch the model NAME of the catalogue.

    Only this command contacts huggingface.co, or the mirror in $HF_ENDPOINT. When it was stopped,
    the same command goes on where it was.
    """
    # It brings an HTTP client, which no other command needs.
    from photosearch.captioning.model_downloads import download_model  # noqa: PLC0415

    entries = catalogue(paths.catalogue)
    if name not in entries:
        raise UsageError(f"The catalogue has no {display_path(name)}; it has {', '.join(entries)}.")
    entry = entries[name]
    base = download_base()
    warn_of_memory(name, entry.need_bytes(), entries.values(), force)
    click.echo(f"{entry.title} from {base}/{entry.repo}, {gigabytes(entry.download_bytes)}.")
    click.echo(_licence(entry))
    try:
        with _Bars() as bars:
            model, mmproj = download_model(
                entry,
                paths.model_files if folder is None else folder,
                base,
                progress=bars.show,
                tell=bars.tell,
            )
    except KeyboardInterrupt:
        click.echo("Stopped; what is there is kept: the same command goes on.", err=True)
        raise
    if use:
        with PhotoLibrary(paths) as library:
            library.use_model(model, mmproj, name)
        click.echo(f"{name} captions from now on; captions by other models are kept.")
    elif folder is None:
        click.echo(f"To caption with it: photosearch models use {name}")
    else:
        click.echo(
            f"To caption with it: photosearch models use {display_path(model)} "
            f"--mmproj {display_path(mmproj)} --name {name}"
        )
    return EXIT_DONE


def remove_files(
    paths: AppPaths, name: str, known: KnownModel | None, others: Iterable[KnownModel]
) -> int:
    """Delete a model's files below photosearch's own folder, and return how many bytes they had.

    Files that one of `others` uses are kept.
    """
    ours = paths.model_files.resolve()
    files: list[Path] = []
    if entry := catalogue(paths.catalogue).get(name):
        for file in entry.files:
            target = entry.folder(paths.model_files) / file.name
            files += [target.with_name(target.name + end) for end in ("", ".part", ".part.json")]
    if isinstance(known, LocalModel):
        files += [known.model, known.mmproj]
    used = {f for m in others if isinstance(m, LocalModel) for f in (m.model, m.mmproj)}
    freed = 0
    for path in files:
        folder = path.parent.resolve()
        if path.is_file() and path not in used and folder.is_relative_to(ours):
            # Of a link, it is the link that is ours.
            freed += path.lstat().st_size
            path.unlink()
            if folder != ours and not any(folder.iterdir()):
                folder.rmdir()
    return freed


def warn_of_memory(
    name: str, need_bytes: int, entries: Iterable[CatalogueModel], force: bool
) -> None:
    """Say so if memory is short for a model; ModelError if there is never enough, and no force."""
    memory = Memory.now()
    smaller = smaller_models(entries, need_bytes, memory.available)
    try:
        warning = memory_warning(name, need_bytes, memory, smaller)
    except ModelError as error:
        if not force:
            raise ModelError(f"{error} To take it nevertheless, as with a GPU: --force") from error
        warning = str(error)
    if warning:
        click.echo(f"Note: {warning}", err=True)


def _licence(entry: CatalogueModel) -> str:
    note = f": {entry.licence.note}" if entry.licence.note else ""
    return f"Licence: {entry.licence.name}{note} ({entry.licence.url})"


def _as_json(entry: CatalogueModel, paths: AppPaths, memory: Memory) -> dict[str, object]:
    fields: dict[str, object] = msgspec.to_builtins(entry)
    return {
        **fields,
        "download_bytes": entry.download_bytes,
        "memory_bytes": entry.need_bytes(),
        "fit": fit(entry, memory),
        "here": entry.find_files(paths.model_files) is not None,
    }


class _Bars:
    """Shows downloads: a bar each on a terminal, else a line every few seconds."""

    def __init__(self) -> None:
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=Console(file=sys.stderr),
        )
        self._terminal = sys.stderr.isatty()
        self._tasks: dict[str, TaskID] = {}
        self._next_s = time.monotonic() + _PLAIN_EVERY_S

    def __enter__(self) -> _Bars:
        if self._terminal:
            self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._terminal:
            self._bars.stop()

    def show(self, name: str, done: int, total: int | None) -> None:
        """Show how much of a file is there."""
        if self._terminal:
            if name not in self._tasks:
                self._tasks[name] = self._bars.add_task(display_path(name), total=total)
            self._bars.update(self._tasks[name], completed=done, total=total)
        elif time.monotonic() >= self._next_s or done == total:
            self._next_s = time.monotonic() + _PLAIN_EVERY_S
            of = f" of {gigabytes(total)}" if total else ""
            click.echo(f"{display_path(name)}: {gigabytes(done)}{of}", err=True)

    def tell(self, sentence: str) -> None:
        """Show what is waited for."""
        if self._terminal:
            self._bars.console.print(sentence, markup=False, highlight=False)
        else:
            click.echo(sentence, err=True)
