"""Shares requests out among servers: as many at once as each takes, away from those that fail."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from photosearch.captioning.models import Endpoint
from photosearch.errors import CaptionerOfflineError, CaptionError, PhotosearchError

_LONGEST_REST_S = 60.0
# A wrong key or model does not mend itself; nobody waits for it.
_LASTING_REST_S = 300.0
_LONGEST_ASKED_REST_S = 3600.0
# Failures in a row, each after a rest, until a server counts as gone.
_GONE_AFTER = 3
# So often may a request be what an answering server fails on.
_BLAME = 3


class EndpointFailedError(Exception):
    """A server did not answer, or not as it should; says nothing of the request for sure.

    `rest_s` is how long it asks to be left alone. It is `lasting` when somebody has to mend it.
    `blames_request` when it was reached, so that the request may be why.
    """

    def __init__(
        self,
        reason: str,
        *,
        rest_s: float | None = None,
        lasting: bool = False,
        blames_request: bool = False,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.rest_s = rest_s
        self.lasting = lasting
        self.blames_request = blames_request


class RequestRefusedError(Exception):
    """A server that works refuses this request, and would again."""


@dataclass(slots=True, eq=False)
class Station:
    """A server and how it fares. Times are those of the event loop's clock."""

    endpoint: Endpoint
    first_rest_s: float
    in_flight: int = 0
    failures: int = 0
    failed_at: float = -1.0
    rest_until: float = 0.0
    reason: str = ""

    def is_free(self, now: float) -> bool:
        """Whether it may get a request: after a failure one at a time."""
        most = 1 if self.failures else self.endpoint.concurrency
        return now >= self.rest_until and self.in_flight < most

    def is_gone(self, now: float) -> bool:
        """Whether waiting for it makes no sense."""
        return self.failures >= _GONE_AFTER or self.rest_until - now > _LONGEST_REST_S * 1.5

    def worked(self) -> None:
        """Note that it answered."""
        self.failures = 0
        self.rest_until = 0.0
        self.reason = ""

    def failed(self, error: EndpointFailedError, started: float, now: float) -> None:
        """Note that a request which was `started` then failed, and let it rest."""
        self.reason = error.reason
        if error.lasting:
            self.failures = _GONE_AFTER
        elif started >= self.failed_at:
            # Requests that were under way when it failed tell nothing new.
            self.failures += 1
        else:
            return
        self.failed_at = now
        if error.lasting:
            rest_s = _LASTING_REST_S
        elif error.rest_s is not None:
            rest_s = min(error.rest_s, _LONGEST_ASKED_REST_S)
        else:
            # Half to one and a half of it: many clients shall not come back at one moment.
            doubled_s = min(_LONGEST_REST_S, self.first_rest_s * 2 ** min(self.failures - 1, 10))
            rest_s = doubled_s * random.uniform(0.5, 1.5)
        self.rest_until = max(self.rest_until, now + rest_s)

    def try_again(self) -> None:
        """End its rest for one request; if that fails, it is gone as before."""
        self.rest_until = 0.0
        self.failures = min(self.failures, _GONE_AFTER - 1)


_Request = TypeVar("_Request")


@dataclass(slots=True, eq=False)
class _Ticket(Generic[_Request]):
    request: _Request
    blamed: int = 0
    failed_at: set[Station] = field(default_factory=set)
    refused_by: set[Station] = field(default_factory=set)
    refusal: str = ""


class EndpointPool(Generic[_Request]):
    """Has every request answered by one of the stations, each of which keeps to its limit.

    `ask` gets a request answered by an endpoint; it raises EndpointFailedError, and the request
    goes to another one, or RequestRefusedError. `settled` gets every request once, with None or
    why it failed. `tried` is called after an attempt in vain, and `ended` with the error for which
    the pool gave up: CaptionerOfflineError when every station is gone, anything else is a bug.
    All in one event loop: no method may be called from another thread.
    """

    def __init__(
        self,
        stations: Sequence[Station],
        *,
        ask: Callable[[Endpoint, _Request], Awaitable[None]],
        settled: Callable[[_Request, PhotosearchError | None], None],
        tried: Callable[[], None],
        ended: Callable[[Exception], None],
    ) -> None:
        self._stations = stations
        self._ask = ask
        self._settled = settled
        self._tried = tried
        self._ended = ended
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[_Ticket[_Request]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._alarm: asyncio.TimerHandle | None = None
        self._cancelled = False
        now = self._loop.time()
        if all(station.is_gone(now) for station in stations):
            for station in stations:
                station.try_again()

    def add(self, request: _Request) -> None:
        """Have a request answered."""
        self._waiting.append(_Ticket(request))
        self._share_out()

    async def cancel(self) -> None:
        """Drop all requests, for ever; those at work are broken off."""
        self._cancelled = True
        self._waiting.clear()
        self._set_alarm()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _share_out(self) -> None:
        if self._cancelled:
            return
        self._give_up_refused()
        while (pair := self._next_pair()) is not None:
            station, ticket = pair
            self._waiting.remove(ticket)
            station.in_flight += 1
            task = self._loop.create_task(self._work(station, ticket))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        now = self._loop.time()
        if (
            self._waiting
            and not any(station.in_flight for station in self._stations)
            and all(station.is_gone(now) for station in self._stations)
        ):
            self._waiting.clear()
            reasons = dict.fromkeys(station.reason for station in self._stations)
            self._ended(CaptionerOfflineError(" ".join(reasons)))
        self._set_alarm()

    def _give_up_refused(self) -> None:
        """Settle requests that were refused, where nobody is left who might take them."""
        now = self._loop.time()
        hopeful = {station for station in self._stations if not station.is_gone(now)}
        for ticket in [t for t in self._waiting if t.refused_by and hopeful <= t.refused_by]:
            self._waiting.remove(ticket)
            self._settled(ticket.request, CaptionError(ticket.refusal))

    def _next_pair(self) -> tuple[Station, _Ticket[_Request]] | None:
        now = self._loop.time()
        free = [station for station in self._stations if station.is_free(now)]
        for station in sorted(free, key=lambda s: s.in_flight / s.endpoint.concurrency):
            for ticket in self._waiting:
                if station not in ticket.refused_by and not self._better_elsewhere(ticket, station):
                    return station, ticket
        return None

    def _better_elsewhere(self, ticket: _Ticket[_Request], station: Station) -> bool:
        return station in ticket.failed_at and any(
            not other.failures and other not in ticket.failed_at | ticket.refused_by
            for other in self._stations
        )

    def _set_alarm(self) -> None:
        """Look again when the next rest ends."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        now = self._loop.time()
        ends = [s.rest_until for s in self._stations if s.rest_until > now]
        if self._waiting and ends:
            self._alarm = self._loop.call_at(min(ends), self._share_out)

    async def _work(self, station: Station, ticket: _Ticket[_Request]) -> None:
        started = self._loop.time()
        try:
            await self._ask(station.endpoint, ticket.request)
        except EndpointFailedError as error:
            station.in_flight -= 1
            station.failed(error, started, self._loop.time())
            ticket.failed_at.add(station)
            ticket.blamed += error.blames_request
            if ticket.blamed >= _BLAME:
                self._settled(ticket.request, CaptionError(error.reason))
            else:
                self._wait_again(ticket)
        except RequestRefusedError as error:
            station.in_flight -= 1
            station.worked()
            ticket.refused_by.add(station)
            ticket.refusal = str(error)
            self._wait_again(ticket)
        except asyncio.CancelledError:
            station.in_flight -= 1
            raise
        except Exception as error:
            station.in_flight -= 1
            self._ended(error)
            return
        else:
            station.in_flight -= 1
            station.worked()
            self._settled(ticket.request, None)
        self._share_out()

    def _wait_again(self, ticket: _Ticket[_Request]) -> None:
        # At the end: where a server fails on everything, no request shall be blamed for it.
        self._waiting.append(ticket)
        self._tried()
