"""Captions by models on servers: any that speak OpenAI's chat completions and take pictures.

Only the servers that the user entered are contacted. What they get is a scaled-down JPEG of each
view without metadata, and the prompt.
"""

from __future__ import annotations

import asyncio
import base64
import queue
import threading
from collections.abc import Coroutine, Iterable, Iterator
from dataclasses import dataclass, field
from threading import Event
from typing import Any, TypeVar

from photosearch.captioning.captioner import PhotoAnswer, PhotoViews
from photosearch.captioning.cleaning import clean
from photosearch.captioning.models import Endpoint
from photosearch.captioning.recipes import Recipe
from photosearch.captioning.remote.client import Client
from photosearch.captioning.remote.pictures import jpeg
from photosearch.captioning.remote.pool import EndpointPool, Station
from photosearch.domain import ViewCaption
from photosearch.errors import PhotosearchError
from photosearch.imaging.crops import crop

_ANSWER_S = 300.0
_REST_S = 0.5
_POLL_S = 0.05
_CANCEL_S = 0.2
# A server may send far more than it was asked for; cleaning looks at no more than this.
_LONGEST_RAW = 40_000

_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True)
class RemoteConfig:
    """A model on servers and how to ask it; plain data that travels to a worker process.

    Captions are stored under `name` and the recipe's question. A server has `timeout_s` seconds
    for an answer, and is left alone for about `rest_s` after its first failure.
    """

    name: str
    endpoints: tuple[Endpoint, ...]
    recipe: Recipe = field(default_factory=Recipe)
    timeout_s: float = _ANSWER_S
    rest_s: float = _REST_S


@dataclass(slots=True, eq=False)
class _ViewRequest:
    """A view, and the answers about it so far: what was written, and whether it was ended."""

    key: int
    view: str
    picture: str
    answers: list[tuple[str, bool]] = field(default_factory=list)


@dataclass(slots=True)
class _OpenPhoto:
    views_left: int
    error: PhotosearchError | None = None


_Event = tuple[_ViewRequest, PhotosearchError | None] | Exception | None
"""A view that is settled, an error that ends it all, or a sign of life."""


class RemoteCaptioner:
    """Captions views on one or more servers, as many at once as they take together.

    A server that fails is left alone for a growing time, and the others do its work.
    """

    def __init__(self, config: RemoteConfig) -> None:
        self._config = config
        self._stations = [Station(endpoint, config.rest_s) for endpoint in config.endpoints]
        self._clients: dict[Endpoint, Client] = {}
        recipe = config.recipe
        self._questions = tuple(filter(None, (recipe.question, recipe.follow_up)))
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True, name="servers")
        self._thread.start()
        self._closed = False

    @property
    def model(self) -> str:
        """Name under which captions are stored."""
        return self._config.name

    @property
    def prompt(self) -> str:
        """What the model is asked."""
        return self._config.recipe.question

    def caption(self, photos: Iterable[PhotoViews], left: Event) -> Iterator[PhotoAnswer]:
        """Yield captions of all views of all `photos` as servers answer; see Captioner.

        Raises CaptionerOfflineError, after what has come was yielded, when no server is left that
        works: the photos that were not answered can wait.
        """
        events: queue.SimpleQueue[_Event] = queue.SimpleQueue()
        pool = self._in_loop(self._open(events))
        # So many that no server waits for the next one to be decoded.
        enough = 2 * sum(endpoint.concurrency for endpoint in self._config.endpoints)
        source = iter(photos)
        more = True
        under_way: dict[int, _OpenPhoto] = {}
        try:
            while not left.is_set():
                waiting = sum(photo.views_left for photo in under_way.values())
                if more and waiting < enough and events.empty():
                    photo = next(source, None)
                    more = photo is not None
                    if photo is not None and not photo.views:
                        yield PhotoAnswer(photo.key, finished=True)
                    elif photo is not None:
                        under_way[photo.key] = _OpenPhoto(len(photo.views))
                        self._send(photo, pool, left)
                    continue
                if not more and not under_way:
                    return
                try:
                    event = events.get(timeout=_POLL_S)
                except queue.Empty:
                    continue
                if isinstance(event, Exception):
                    raise event
                if event is not None:
                    yield self._answer(*event, under_way)
                elif under_way:
                    yield PhotoAnswer(next(iter(under_way)))
        finally:
            self._drop(pool)

    def close(self) -> None:
        """Close the connections; may be called twice."""
        if self._closed:
            return
        self._closed = True
        self._in_loop(self._hang_up())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    # In the thread of the caller

    def _send(self, photo: PhotoViews, pool: EndpointPool[_ViewRequest], left: Event) -> None:
        for view in photo.views:
            if left.is_set():
                return
            picture = base64.b64encode(jpeg(crop(photo.image, view))).decode("ascii")
            request = _ViewRequest(photo.key, view.name, f"data:image/jpeg;base64,{picture}")
            self._loop.call_soon_threadsafe(pool.add, request)

    def _answer(
        self,
        request: _ViewRequest,
        error: PhotosearchError | None,
        under_way: dict[int, _OpenPhoto],
    ) -> PhotoAnswer:
        photo = under_way[request.key]
        photo.views_left -= 1
        photo.error = photo.error or error
        captions = tuple(self._captions(request))
        if photo.views_left:
            return PhotoAnswer(request.key, captions)
        del under_way[request.key]
        finished = photo.error is None
        return PhotoAnswer(request.key, captions, finished=finished, error=photo.error)

    def _captions(self, request: _ViewRequest) -> Iterator[ViewCaption]:
        for number, (sent, ended) in enumerate(request.answers):
            question = self._questions[number]
            raw = sent[:_LONGEST_RAW]
            text = clean(raw, ended=ended, question=question)
            yield ViewCaption(
                request.view,
                text,
                raw="" if raw == text else raw,
                prompt=question if number else "",
            )

    def _drop(self, pool: EndpointPool[_ViewRequest]) -> None:
        dropped = asyncio.run_coroutine_threadsafe(pool.cancel(), self._loop)
        try:
            dropped.result(_CANCEL_S)
        except TimeoutError:
            # It is still being broken off; nobody listens to its events any more.
            return

    def _in_loop(self, work: Coroutine[Any, Any, _Answer]) -> _Answer:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    # In the thread of the loop

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop):
            self._loop.run_forever()

    async def _open(self, events: queue.SimpleQueue[_Event]) -> EndpointPool[_ViewRequest]:
        return EndpointPool(
            self._stations,
            ask=self._ask,
            settled=lambda request, error: events.put((request, error)),
            tried=lambda: events.put(None),
            ended=events.put,
        )

    async def _hang_up(self) -> None:
        for client in self._clients.values():
            await client.close()

    async def _ask(self, endpoint: Endpoint, request: _ViewRequest) -> None:
        """Get the answers about a view that it lacks; those that it has are kept if this fails."""
        if endpoint not in self._clients:
            self._clients[endpoint] = Client(endpoint, self._config.timeout_s)
        client = self._clients[endpoint]
        budget = self._config.recipe.budget(request.view)
        while len(request.answers) < len(self._questions):
            turns = [
                (question, request.answers[number][0] if number < len(request.answers) else "")
                for number, question in enumerate(self._questions[: len(request.answers) + 1])
            ]
            request.answers.append(await client.say(turns, request.picture, budget))
            if not request.answers[0][0]:
                # There is nothing that a follow-up could add to.
                return
