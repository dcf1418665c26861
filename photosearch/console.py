"""What the command line prints: progress, results and status, as text and as JSON."""

from __future__ import annotations

import datetime
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, TextIO, cast

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn
from rich.progress import Progress as RichProgress

from photosearch.doctor import Finding
from photosearch.domain import (
    CAPTION_STAGES,
    Caption,
    Failure,
    PhotoDetails,
    PlanCost,
    Stage,
    StageProgress,
    Status,
    display_path,
)
from photosearch.errors import UnavailableError

NO_MODEL = (
    "No vision language model yet: photos are found by the instant tagger's words only. With LLaVA "
    "(or another model in GGUF) photosearch also writes sentences about each photo and 17 parts "
    "of it:\n  photosearch models use MODEL.gguf --mmproj MMPROJ.gguf\n"
    "`photosearch models catalogue` lists models that can be downloaded."
)

_PLAIN_EVERY_S = 5.0
_SHOWN_FAILURES = 20
_SHOWN_CHARACTERS = 300


class ReaderGoneError(Exception):
    """Whoever read the output has seen enough, as in `photosearch search dog | head`."""


@contextmanager
def writing(target: str) -> Iterator[None]:
    """Raise UnavailableError instead of OSError, saying that `target` can't be written.

    Raises ReaderGoneError where `target` is a pipe that nobody reads any more.
    """
    try:
        yield
    except BrokenPipeError as error:
        raise ReaderGoneError from error
    except OSError as error:
        raise UnavailableError(f"{target} can't be written: {error.strerror or error}.") from error


@contextmanager
def checked_output() -> Iterator[None]:
    """Have all that is printed raise as `writing` does; Click's and Python's own ways differ."""
    with ExitStack() as stack:
        if sys.stdout is not None:
            stack.enter_context(redirect_stdout(cast(TextIO, _Checked(sys.stdout))))
        if sys.stderr is not None:
            stack.enter_context(redirect_stderr(cast(TextIO, _Checked(sys.stderr))))
        yield
        if sys.stdout is not None:
            sys.stdout.flush()


class _Checked:
    """A stream whose failures can be told from all other OSErrors."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with writing("The output"):
            return self._stream.write(text)

    def flush(self) -> None:
        with writing("The output"):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class Progress:
    """Shows the stages' progress: bars on a terminal, else a line every few seconds."""

    def __init__(self, get_status: Callable[[], Status], stages: Iterable[Stage]) -> None:
        self._get_status = get_status
        self._stages = frozenset(stages)
        self._terminal = sys.stderr.isatty()
        self._next_s = 0.0 if self._terminal else time.monotonic() + _PLAIN_EVERY_S
        self._lines: dict[Stage, str] = {}
        self._tasks: dict[Stage, TaskID] = {}
        self._bars = RichProgress(
            TextColumn("{task.description:9}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            console=Console(file=sys.stderr),
            transient=True,
        )

    def __enter__(self) -> Progress:
        if self._terminal:
            self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._terminal:
            self._bars.stop()

    def update(self, activity: str) -> None:
        """Show the state of now."""
        asked_s = time.monotonic()
        if asked_s < self._next_s:
            return
        stages = self._get_status().stages
        shown_s = time.monotonic()
        # In a very large library the counting takes long, and the indexing waits for it.
        pause_s = 0.0 if self._terminal else _PLAIN_EVERY_S
        self._next_s = shown_s + max(pause_s, 20 * (shown_s - asked_s))
        for stage in stages:
            if stage.stage not in self._stages or not stage.done + stage.waiting:
                continue
            if self._terminal:
                task = self._tasks.get(stage.stage)
                if task is None:
                    task = self._bars.add_task(stage.stage, total=None, note="")
                    self._tasks[stage.stage] = task
                total = stage.done + stage.waiting
                self._bars.update(task, completed=stage.done, total=total, note=_pace(stage))
            elif stage.waiting:
                line = f"{stage.stage}: {stage.done} of {stage.done + stage.waiting}"
                if line != self._lines.get(stage.stage):
                    self._lines[stage.stage] = line
                    click.echo(f"{line}  {_pace(stage)}", err=True)


def print_outcome(status: Status, failures: Sequence[Failure], *, looked_through: bool) -> None:
    """Print what an indexing run left behind; `looked_through` if it saw all of the folders."""
    click.echo(
        f"{count_text(status.photo_count, 'photo')} in {count_text(len(status.folders), 'folder')}."
    )
    for folder in status.folders:
        if folder.problem:
            click.echo(f"  {short_path(folder.path)}: {folder.problem}")
        elif not folder.photo_count:
            found = "no pictures found" if looked_through else "not looked through yet"
            click.echo(f"  {short_path(folder.path)}: {found}")
    unread = {f.path for f in failures if f.stage is Stage.SCAN}
    uncaptioned = {f.path for f in failures if f.stage is not Stage.SCAN}
    if unread:
        click.echo(f"{count_text(len(unread), 'file')} could not be read.")
    if uncaptioned:
        click.echo(f"{count_text(len(uncaptioned), 'photo')} could not be captioned.")
    if failures:
        click.echo("`photosearch status` says which and why.")
    if not status.captioner:
        click.echo(NO_MODEL)


def print_status(status: Status, failures: Sequence[Failure]) -> None:
    """Print the state of the library."""
    if status.service_pid is None:
        click.echo("Nothing is indexing now (`photosearch index` or `watch` does).")
    else:
        # That it is paused is among the reasons why nothing is captioned.
        state = short_path(status.activity) or "waiting"
        click.echo(f"Indexing (process {status.service_pid}): {state}")
    _print_hours(status)
    for notice in status.notices:
        click.echo(f"Note: {notice}")
    click.echo(
        f"{count_text(status.photo_count, 'photo')} in {count_text(status.file_count, 'file')}"
    )
    for folder in status.folders:
        problem = f"  ({folder.problem})" if folder.problem else ""
        click.echo(f"  {folder.photo_count:8}  {short_path(folder.path)}{problem}")
    if not status.folders:
        click.echo("  no folders yet: photosearch index ~/Pictures")
    click.echo("Stage          done  waiting  failed")
    for stage in status.stages:
        click.echo(
            f"  {stage.stage:9} {stage.done:7}  {stage.waiting:7}  {stage.failed:6}  {_pace(stage)}"
        )
    if not status.captioner:
        click.echo(NO_MODEL)
    else:
        click.echo(f"Captions are written by {status.captioner}.")
    if failures:
        click.echo(f"Failed ({len(failures)}); try again with: photosearch index --retry")
        for failure in failures[:_SHOWN_FAILURES]:
            click.echo(f"  {failure.stage}  {short_path(failure.path)}: {failure.reason}")
        if len(failures) > _SHOWN_FAILURES:
            click.echo(f"  … and {len(failures) - _SHOWN_FAILURES} more (--json lists all)")


def _print_hours(status: Status) -> None:
    for hold in status.holds:
        click.echo(f"Nothing is captioned now: {hold.reason} To change that: {hold.command}")
    if status.run_until and status.run_until > time.time():
        until = datetime.datetime.fromtimestamp(status.run_until).isoformat(" ", "minutes")
        click.echo(f"Captions heed no schedule until {until}; `photosearch resume` ends that.")


def print_photo(details: PhotoDetails) -> None:
    """Print what is known of one photo."""
    photo = details.photo
    for path in photo.paths:
        click.echo(display_path(path))
    click.echo(f"{photo.width} × {photo.height} {photo.format}, {_time(photo.taken_at)}")
    for known in (photo.camera, photo.place, "★" * photo.stars):
        if known:
            click.echo(display_path(known))
    click.echo(f"SHA-256 {photo.sha256.hex()}")
    for caption in details.captions:
        if not caption.text:
            continue  # Nothing was to be seen there.
        click.echo(f"{caption.view} ({caption.model}): {display_path(caption.text)}")
    if details.words:
        click.echo("Words: " + ", ".join(f"{w.word} ({w.count})" for w in details.words[:30]))
    else:
        click.echo("No words yet.")


def short_path(path: Path | str) -> str:
    """Return `path` for reading, not for copying: printable, and cut in its middle if very long."""
    shown = display_path(path)
    if len(shown) <= _SHOWN_CHARACTERS:
        return shown
    half = _SHOWN_CHARACTERS // 2
    return f"{shown[:half]}…{shown[1 - half :]}"


def print_plans(costs: Iterable[PlanCost]) -> None:
    """Print the plans of captioning, and what each would take for this library."""
    for cost in costs:
        left = count_text(cost.views_left, "view") + " left"
        if cost.seconds_left is not None:
            left += f", about {_duration(cost.seconds_left)}"
        click.echo(f"{'*' if cost.in_use else ' '} {cost.name}: {cost.views} views a photo; {left}")
        click.echo(f"    {cost.about}")


def print_findings(findings: Iterable[Finding]) -> None:
    """Print what the doctor found."""
    for finding in findings:
        click.echo(f"{'ok     ' if finding.ok else 'PROBLEM'}  {finding.what}: {finding.detail}")


def photo_json(details: PhotoDetails) -> dict[str, Any]:
    """Return a photo's details as a JSON object."""
    photo = details.photo
    return {
        "photo_id": photo.id,
        "sha256": photo.sha256.hex(),
        "paths": [str(path) for path in photo.paths],
        "width": photo.width,
        "height": photo.height,
        "format": photo.format,
        "taken": _time(photo.taken_at),
        "camera": photo.camera,
        "stars": photo.stars,
        "place": photo.place,
        "captions": [
            {
                "view": c.view, "model": c.model, "prompt": c.prompt, "text": c.text,
                "tags": _tags(c),
            }
            for c in details.captions
        ],
        "words": [{"word": w.word, "count": w.count} for w in details.words],
    }  # fmt: skip


def _tags(caption: Caption) -> list[dict[str, Any]]:
    return [{"word": t.word, "score": t.score, "synonyms": list(t.synonyms)} for t in caption.tags]


def status_json(status: Status, failures: Sequence[Failure]) -> dict[str, Any]:
    """Return the state of the library as a JSON object."""
    return {
        "photos": status.photo_count,
        "files": status.file_count,
        "service_pid": status.service_pid,
        "activity": status.activity,
        "paused": status.paused,
        "captioner": status.captioner,
        "run_until": status.run_until,
        "holds": [{"reason": hold.reason, "command": hold.command} for hold in status.holds],
        "notices": list(status.notices),
        "folders": [
            {"path": str(f.path), "photos": f.photo_count, "problem": f.problem}
            for f in status.folders
        ],
        "stages": [
            {
                "stage": s.stage, "done": s.done, "waiting": s.waiting, "failed": s.failed,
                "per_second": s.per_second, "seconds_left": s.seconds_left,
            }
            for s in status.stages
        ],
        "missing_stages": [] if status.captioner else [str(stage) for stage in CAPTION_STAGES],
        "failures": [
            {"path": str(f.path), "stage": f.stage, "reason": f.reason} for f in failures
        ],
    }  # fmt: skip


def _pace(stage: StageProgress) -> str:
    if stage.per_second is None or not stage.waiting:
        return ""
    pace = _rate(stage.per_second)
    if stage.seconds_left is None:
        return pace
    return f"{pace}, {_duration(stage.seconds_left)} left"


def _rate(per_second: float) -> str:
    if per_second >= 1:
        return f"{per_second:.1f} a second"
    if per_second * 60 >= 1:
        return f"{per_second * 60:.1f} a minute"
    return f"{per_second * 3600:.1f} an hour"


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 1:
        return f"{seconds:.0f} s"
    if minutes < 120:
        return f"{minutes} min"
    hours = round(minutes / 60)
    return f"{hours} h" if hours < 48 else f"{round(hours / 24)} days"


def _time(taken_at: float) -> str:
    try:
        moment = datetime.datetime.fromtimestamp(taken_at, datetime.UTC)
    except (OverflowError, ValueError, OSError):
        return ""
    return moment.replace(tzinfo=None).isoformat(" ", "seconds")


def count_text(number: int, noun: str) -> str:
    """Return a number of things in words: "1 photo", "1,200 photos"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
