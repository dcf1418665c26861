"""The one protocol behind which every captioner stands, and the task its worker does."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Protocol

from PIL import Image

from photosearch.captioning.stale import StaleWatch
from photosearch.domain import Stage, View, ViewCaption
from photosearch.errors import DecodeError, FileUnreachableError, PhotosearchError
from photosearch.imaging.crops import WHOLE, crop
from photosearch.imaging.decode import decode
from photosearch.imaging.flatness import is_flat
from photosearch.imaging.similarity import dhash, is_similar

FLAT = "flat"
"""Why a view was skipped that shows nothing."""


@dataclass(frozen=True, slots=True)
class PhotoViews:
    """An upright RGB photo and the views of it to caption.

    `key` names it in the answers. `known` are the content words that the photo has already.
    """

    key: int
    image: Image.Image
    views: tuple[View, ...]
    known: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class PhotoAnswer:
    """Captions of some views of the photo `key`, as they come; `finished` with its last view.

    `error` says that this photo can't be captioned, which says nothing of the others. `notice` is
    what the user should know of how the captioner runs. An answer with nothing in it is a sign of
    life.
    """

    key: int
    captions: tuple[ViewCaption, ...] = ()
    finished: bool = False
    error: PhotosearchError | None = None
    notice: str = ""


class Captioner(Protocol):
    """Turns views of photos into words. Lives in a worker process, never in the service's own."""

    @property
    def model(self) -> str:
        """Name under which captions are stored; another model adds rows and destroys none."""

    @property
    def prompt(self) -> str:
        """The prompt captions are stored under, empty where there is none."""

    def caption(self, photos: Iterable[PhotoViews], left: Event) -> Iterator[PhotoAnswer]:
        """Yield captions of all views of all `photos`, in any order, as soon as they are written.

        `photos` is read as far as is needed: each is decoded only then. The result of a photo does
        not depend on the others. A view of which there is nothing to say is answered by an empty
        text; a tagger leaves it out. Ends soon after `left` is set, without the rest.
        Raises CaptionError or ModelError when the model itself fails.
        """

    def close(self) -> None:
        """Free the model; may be called twice."""


@dataclass(frozen=True, slots=True)
class CaptionerSpec:
    """What the service must know of a captioner to run it in worker processes.

    `make` is called in the worker, so it must be picklable. `views` are those of each stage that
    the captioner serves. `view_px` is the shorter side in pixels up to which the model can make
    use of a view. `batch` is how many views a task should hold. `skip_flat` leaves out crops that
    show nothing; `watch_stale` distrusts a model that says the same of different photos.
    `uses_known` says that it makes use of the words that a photo has already. `scheduled` work
    waits for its hours. `processes` is how many workers it may have, None for one a core. Memory
    in MiB, `growth_mb` on top of what the first task took. After `silence_s` seconds without an
    answer or sign of life, or `start_s` of loading, it counts as hung.
    """

    model: str
    prompt: str
    make: Callable[[], Captioner]
    views: Mapping[Stage, tuple[View, ...]]
    view_px: int
    batch: int = 1
    skip_flat: bool = False
    watch_stale: bool = False
    uses_known: bool = False
    scheduled: bool = False
    processes: int | None = None
    silence_s: float = 60.0
    start_s: float = 120.0
    memory_mb: int = 3000
    growth_mb: int | None = None
    enforce_memory: bool = True


@dataclass(frozen=True, slots=True)
class PhotoTask:
    """Caption these views of the photo in this file, if it still has this size and mtime_ns."""

    key: int
    path: Path
    views: tuple[View, ...]
    size: int
    mtime_ns: int
    known: frozenset[str] = field(default=frozenset())


@dataclass(frozen=True, slots=True)
class CaptionTask:
    """The photos that a worker gets at a time.

    `confirmed` are captions that many photos may share, as a fresh process repeated them.
    """

    photos: tuple[PhotoTask, ...]
    confirmed: frozenset[str] = frozenset()


class CaptionHandler:
    """The worker's half: decodes photos as large as their smallest view needs; captions them."""

    def __init__(self, spec: CaptionerSpec) -> None:
        self._spec = spec
        self._captioner = spec.make()
        self._stale = StaleWatch(is_similar)

    def __call__(self, task: CaptionTask, left: Event) -> Iterator[PhotoAnswer]:
        """Yield answers to every photo of the task, unless `left` is set meanwhile.

        A file that can't be read is answered with its error: DecodeError, or FileUnreachableError
        also for a file that is not the one that was scanned. Raises StaleCaptionsError when the
        model seems not to look, and what the captioner raises.
        """
        # What is known without the captioner: photos that can't be read, views that show nothing.
        at_once: list[PhotoAnswer] = []
        hashes: dict[tuple[int, str], int] = {}

        def decoded() -> Iterator[PhotoViews]:
            for photo in task.photos:
                if not photo.views:
                    # Its captions came from elsewhere after it was leased.
                    at_once.append(PhotoAnswer(photo.key, finished=True))
                    continue
                try:
                    image = self._decode(photo)
                except DecodeError as error:
                    at_once.append(PhotoAnswer(photo.key, error=error))
                    continue
                views = self._worth_a_look(image, photo.views)
                skipped = tuple(
                    ViewCaption(view.name, "", skipped=FLAT)
                    for view in photo.views
                    if view not in views
                )
                if skipped:
                    at_once.append(PhotoAnswer(photo.key, skipped, finished=not views))
                if self._spec.watch_stale:
                    hashes.update({(photo.key, v.name): dhash(crop(image, v)) for v in views})
                if views:
                    yield PhotoViews(photo.key, image, views, photo.known)

        for answer in self._captioner.caption(decoded(), left):
            # First: the answer may be its photo's last, after which nothing is taken.
            yield from at_once
            at_once.clear()
            for caption in answer.captions:
                picture = hashes.get((answer.key, caption.view))
                if picture is not None and not caption.prompt:
                    said = caption.text
                    self._stale.look(answer.key, caption.view, picture, said, task.confirmed)
            yield answer
        yield from at_once

    def _worth_a_look(self, image: Image.Image, views: tuple[View, ...]) -> tuple[View, ...]:
        if not self._spec.skip_flat:
            return views
        return tuple(view for view in views if view == WHOLE or not is_flat(crop(image, view)))

    def _decode(self, photo: PhotoTask) -> Image.Image:
        extent = min(min(v.box[2] - v.box[0], v.box[3] - v.box[1]) for v in photo.views)
        image = decode(photo.path, min_side=round(self._spec.view_px / extent))
        try:
            status = photo.path.stat()
        except OSError as error:
            # Between decoding and here its drive may go.
            raise FileUnreachableError(photo.path, "the file is gone") from error
        if (status.st_size, status.st_mtime_ns) != (photo.size, photo.mtime_ns):
            raise FileUnreachableError(photo.path, "the file has changed")
        return image
