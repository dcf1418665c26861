"""The one protocol behind which every captioner stands, and the task its worker does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from PIL import Image

from photosearch.domain import Stage, View, ViewCaption
from photosearch.errors import FileUnreachableError
from photosearch.imaging.decode import decode


class Captioner(Protocol):
    """Turns views of a photo into words. Lives in a worker process, never in the service's own."""

    @property
    def model(self) -> str:
        """Name under which captions are stored; another model adds rows and destroys none."""

    @property
    def prompt(self) -> str:
        """The prompt captions are stored under, empty where there is none."""

    def caption(self, image: Image.Image, views: Sequence[View]) -> list[ViewCaption]:
        """Return captions of `views` of the upright RGB `image`, in the order of `views`.

        A view of which there is nothing to say is left out. Raises CaptionError when the model
        can't caption this photo.
        """

    def close(self) -> None:
        """Free the model; may be called twice."""


@dataclass(frozen=True, slots=True)
class CaptionerSpec:
    """What the service must know of a captioner to run it in worker processes.

    `make` is called in the worker, so it must be picklable. `views` are those of each stage that
    the captioner serves. `view_px` is the shorter side in pixels up to which the model can make
    use of a view. `processes` is how many workers it may have, None for one a core. Memory in
    MiB; `view_s` and `start_s` are the seconds after which a view, or loading, counts as hung.
    """

    model: str
    prompt: str
    make: Callable[[], Captioner]
    views: dict[Stage, tuple[View, ...]]
    view_px: int
    processes: int | None = None
    view_s: float = 60.0
    start_s: float = 120.0
    memory_mb: int = 3000
    enforce_memory: bool = True


@dataclass(frozen=True, slots=True)
class CaptionTask:
    """Caption these views of the photo in this file, if it still has this size and mtime_ns."""

    path: Path
    views: tuple[View, ...]
    size: int
    mtime_ns: int


class CaptionHandler:
    """The worker's half: decodes a photo as large as its smallest view needs, and captions it."""

    def __init__(self, spec: CaptionerSpec) -> None:
        self._view_px = spec.view_px
        self._captioner = spec.make()

    def __call__(self, task: CaptionTask) -> list[ViewCaption]:
        """Return the captions; raises DecodeError or CaptionError.

        FileUnreachableError also tells of a file that is not the one that was scanned.
        """
        extent = min(min(v.box[2] - v.box[0], v.box[3] - v.box[1]) for v in task.views)
        image = decode(task.path, min_side=round(self._view_px / extent))
        try:
            status = task.path.stat()
        except OSError as error:
            # Between decoding and here its drive may go.
            raise FileUnreachableError(task.path, "the file is gone") from error
        if (status.st_size, status.st_mtime_ns) != (task.size, task.mtime_ns):
            raise FileUnreachableError(task.path, "the file has changed")
        return self._captioner.caption(image, task.views)
