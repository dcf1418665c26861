"""Fetching model files by HTTP: resumed, checked, and cancelled at any moment.

A server is contacted only by `download`, which only the user's wish to download calls. Nothing is
sent but the request for the file.
"""

from __future__ import annotations

import asyncio
import contextlib
import email.utils
import errno
import hashlib
import os
import re
import shutil
import ssl
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from threading import Event
from typing import Any

import certifi
import filelock
import httpx
import msgspec

from photosearch.captioning.memory import gigabytes
from photosearch.domain import display_path
from photosearch.errors import CancelledError, DiskFullError, DownloadError

Progress = Callable[[int, int | None], None]
"""Gets the bytes that are there, and of how many, or None while that is not known."""

Tell = Callable[[str], None]
"""Gets a sentence on what is waited for."""

_MAGIC = b"GGUF"
_CHUNK = 1 << 20
_SPARE_BYTES = 64 << 20  # left free on the disk, for the library itself
_TRIES = 6
_TRIES_TO_REACH = 2
_LONGEST_WAIT_S = 60.0
_LONGEST_RETRY_AFTER_S = 600.0
_CANCEL_EVERY_S = 0.1
_TIMEOUT = httpx.Timeout(30.0, connect=20.0)
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524})
_SHA256 = re.compile(r"^[0-9a-f]{64}$")
_CONTENT_RANGE = re.compile(r"^bytes (\d+)-\d+/(\d+)$")


def download(
    url: str,
    target: Path,
    *,
    sha256: str = "",
    size: int | None = None,
    progress: Progress | None = None,
    tell: Tell | None = None,
    cancelled: Event | None = None,
    first_wait_s: float = 1.0,
) -> None:
    """Fetch the GGUF file at `url` as `target`, which is there only once it is whole and checked.

    Until then it is `target` with `.part`, from which a later call goes on. It is checked against
    `sha256` and `size`, or else what the server says of it (Hugging Face's X-Linked-ETag).
    Connections that break are tried again after `first_wait_s` seconds, doubled each time.

    Raises CancelledError soon after `cancelled` is set, DiskFullError before anything is written
    where there is not enough room, DownloadError for all else; each keeps the part, unless it is
    of no use.
    """
    lock = filelock.FileLock(f"{part_of(target)}.lock")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with lock.acquire(timeout=0):
            try:
                fetch = _Download(url, target, sha256, size, progress, tell, first_wait_s)
                asyncio.run(_unless(cancelled or Event(), fetch.run()))
            finally:
                # Still held: who waits for this file has not waited, but given up.
                with contextlib.suppress(OSError):
                    Path(lock.lock_file).unlink()
    except filelock.Timeout:
        raise DownloadError(
            f"{display_path(target.name)} is being downloaded already, by another photosearch."
        ) from None
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise DiskFullError(
                f"The disk became full: make room at {display_path(target.parent)}, and download "
                "again; what is there is kept."
            ) from error
        raise DownloadError(
            f"{display_path(target)} can't be written: {error.strerror or error}."
        ) from error


async def _unless(cancelled: Event, work: Coroutine[Any, Any, None]) -> None:
    """Do `work`; raise CancelledError soon after `cancelled` is set."""
    task = asyncio.ensure_future(work)
    while not task.done():
        if cancelled.is_set():
            task.cancel()
        await asyncio.wait({task}, timeout=_CANCEL_EVERY_S)
    if task.cancelled():
        raise CancelledError("The download was stopped; what is there is kept.")
    task.result()


class _Note(msgspec.Struct):
    """What is known of the file that a part is of; lies beside the part."""

    sha256: str = ""
    etag: str = ""
    size: int | None = None


class _AgainError(Exception):
    """This attempt failed, another may not; `wait_s` None leaves the time to the back-off."""

    def __init__(self, reason: str, wait_s: float | None = None) -> None:
        super().__init__(reason)
        self.wait_s = wait_s


class _Download:
    """One download of one file, over as many connections as it takes."""

    def __init__(
        self,
        url: str,
        target: Path,
        sha256: str,
        size: int | None,
        progress: Progress | None,
        tell: Tell | None,
        first_wait_s: float,
    ) -> None:
        self._url = url
        self._host = httpx.URL(url).host
        self._target = target
        self._part = part_of(target)
        self._note_path = self._part.with_name(f"{self._part.name}.json")
        self._sha256 = sha256
        self._size = size
        self._progress = progress or (lambda done, total: None)
        self._tell = tell or (lambda sentence: None)
        self._first_wait_s = first_wait_s
        self._digest = hashlib.sha256()
        self._done = 0

    async def run(self) -> None:
        """Fetch, check and rename."""
        note = await self._take_up()
        if note.size is None or self._done != note.size:
            async with _client() as client:
                note = await self._fetch(client, note)
        self._finish(note)

    async def _fetch(self, client: httpx.AsyncClient, note: _Note) -> _Note:
        tries, wait_s, furthest = _TRIES, self._first_wait_s, self._done
        while True:
            try:
                return await self._attempt(client, note)
            except _AgainError as error:
                again = error
            except httpx.TransportError as error:
                if _is_untrusted(error):
                    raise DownloadError(
                        f"{self._host} does not prove who it is ({_reason(error)}): the clock of "
                        "this computer may be wrong, or its network reads along."
                    ) from error
                again = _AgainError(_reason(error))
                if isinstance(error, httpx.ConnectError) and not self._done:
                    # Nobody was ever reached: no network, or it is blocked.
                    tries = min(tries, _TRIES_TO_REACH)
            except (httpx.InvalidURL, httpx.TooManyRedirects, httpx.DecodingError) as error:
                raise DownloadError(f"{self._host} can't be understood: {error}.") from error
            if self._done > furthest:
                tries, wait_s, furthest = _TRIES, self._first_wait_s, self._done
            tries -= 1
            if not tries:
                raise DownloadError(
                    f"{self._url} can't be downloaded: {again}. What is there is kept: "
                    "download it again to go on."
                )
            pause_s = wait_s if again.wait_s is None else again.wait_s
            if pause_s >= 1.0:
                self._tell(f"{self._host}: {again}; trying again in {pause_s:.0f} s.")
            await asyncio.sleep(pause_s)
            if again.wait_s is None:
                wait_s = min(_LONGEST_WAIT_S, 2 * wait_s)
            note = await self._take_up()

    async def _take_up(self) -> _Note:
        """Return what is known of the part that is there; begin anew where it can't be used."""
        try:
            note = msgspec.json.decode(self._note_path.read_bytes(), type=_Note)
        except (OSError, msgspec.DecodeError):
            note = _Note()
        same_file = not (self._sha256 and note.sha256) or note.sha256 == self._sha256
        there = _size(self._part)
        whole = note.size is None or there <= note.size
        if not there or not same_file or not whole or not (note.sha256 or note.etag):
            self._discard()
            return _Note()
        if there != self._done:
            self._digest, self._done = hashlib.sha256(), 0
            with self._part.open("rb") as file:
                while chunk := file.read(_CHUNK):
                    self._digest.update(chunk)
                    self._done += len(chunk)
                    # Gigabytes take seconds, in which the user may cancel.
                    await asyncio.sleep(0)
        return note

    def _discard(self) -> None:
        self._part.unlink(missing_ok=True)
        self._note_path.unlink(missing_ok=True)
        self._digest, self._done = hashlib.sha256(), 0

    async def _attempt(self, client: httpx.AsyncClient, note: _Note) -> _Note:
        """Fetch what is missing, on one connection."""
        headers = {}
        if self._done:
            headers["Range"] = f"bytes={self._done}-"
            if not note.sha256:
                # With a checksum, the end tells whether both halves are of the same file.
                headers["If-Range"] = note.etag
        async with client.stream("GET", self._url, headers=headers) as response:
            self._check_answer(response)
            told = self._told(response)
            if self._done and response.status_code == httpx.codes.OK:
                # No ranges here, or another file than last time.
                self._discard()
            elif self._done and not self._goes_on(response, note, told):
                self._discard()
                raise _AgainError("the file has changed", wait_s=0.0)
            self._check_file(told)
            check_disk(self._target.parent, (told.size or 0) - self._done)
            self._note_path.write_bytes(msgspec.json.encode(told))
            await self._receive(response, told)
        if told.size is not None and self._done != told.size:
            raise _AgainError("the connection ended early")
        return told

    async def _receive(self, response: httpx.Response, told: _Note) -> None:
        head = b"" if self._done == 0 else _MAGIC
        with self._part.open("ab") as file:
            self._progress(self._done, told.size)
            # Not in chunks of a size: what such a chunk lacks to be full when a connection breaks
            # would be lost.
            async for chunk in response.aiter_raw():
                head += chunk[: len(_MAGIC) - len(head)]
                if not _MAGIC.startswith(head[: len(_MAGIC)]):
                    self._discard()
                    raise DownloadError(f"What {self._host} sent for {self._url} is no GGUF file.")
                file.write(chunk)
                self._digest.update(chunk)
                self._done += len(chunk)
                self._progress(self._done, told.size)
            file.flush()
            os.fsync(file.fileno())

    def _check_answer(self, response: httpx.Response) -> None:
        hops = [*response.history, response]
        if hops[0].url.scheme == "https" and any(hop.url.scheme != "https" for hop in hops):
            raise DownloadError(f"{self._host} leads to a connection that is not encrypted.")
        code = response.status_code
        if code in _PASSING:
            wait_s = _retry_after_s(response.headers.get("Retry-After", ""))
            busy = "it is busy" if code == httpx.codes.TOO_MANY_REQUESTS else f"its error {code}"
            if wait_s is not None and wait_s > _LONGEST_RETRY_AFTER_S:
                raise DownloadError(
                    f"{self._host} wants no more requests for {wait_s / 60:.0f} minutes: download "
                    "it later; what is there is kept."
                )
            raise _AgainError(busy, wait_s)
        if code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
            self._discard()
            raise _AgainError("the file has changed", wait_s=0.0)
        if code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            raise DownloadError(
                f"{self._host} gives {self._url} to known users only (its error {code}): download "
                f"it with a browser, and put it into {display_path(self._target.parent)}"
            )
        if code in (httpx.codes.NOT_FOUND, httpx.codes.GONE):
            raise DownloadError(f"There is nothing at {self._url} (any more).")
        if code not in (httpx.codes.OK, httpx.codes.PARTIAL_CONTENT):
            raise DownloadError(f"{self._host} does not give {self._url}: its error {code}.")
        if response.headers.get("Content-Type", "").lower().startswith("text/html"):
            raise DownloadError(
                f"{self._host} sent a web page instead of the model: a network's login page, "
                "perhaps. Open a browser and look, then download again."
            )
        if response.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise DownloadError(f"{self._host} sent {self._url} compressed, unasked.")

    def _told(self, response: httpx.Response) -> _Note:
        """Return what the server says of the whole file."""
        size = sha256 = None
        for hop in [*response.history, response]:
            # Hugging Face says this of files that its storage network holds, where it redirects.
            tag = hop.headers.get("X-Linked-ETag", "").strip('"')
            sha256 = sha256 or (tag if _SHA256.match(tag) else None)
            size = size or _number(hop.headers.get("X-Linked-Size", ""))
        if response.status_code == httpx.codes.PARTIAL_CONTENT:
            ranged = _CONTENT_RANGE.match(response.headers.get("Content-Range", ""))
            size = size or (int(ranged[2]) if ranged else None)
        else:
            size = size or _number(response.headers.get("Content-Length", ""))
        if self._sha256 and sha256 and sha256 != self._sha256:
            raise DownloadError(
                f"{self._url} is not the file that photosearch knows: its checksum is another. It "
                "was replaced, perhaps for a better one; to use it, download it with a browser."
            )
        etag = response.headers.get("ETag", "")
        # A weak one, which begins with W/, does not promise the same bytes.
        return _Note(self._sha256 or sha256 or "", etag if etag.startswith('"') else "", size)

    def _goes_on(self, response: httpx.Response, note: _Note, told: _Note) -> bool:
        """Return whether an answer holds the rest of the part."""
        ranged = _CONTENT_RANGE.match(response.headers.get("Content-Range", ""))
        return (
            ranged is not None
            and int(ranged[1]) == self._done
            and (not note.sha256 or note.sha256 == told.sha256)
            and (note.size is None or note.size == told.size)
        )

    def _check_file(self, told: _Note) -> None:
        if self._size is not None and told.size is not None and told.size != self._size:
            raise DownloadError(
                f"{self._url} is not the file that photosearch knows: it has {told.size} bytes "
                f"and not {self._size}."
            )

    def _finish(self, note: _Note) -> None:
        wanted = self._sha256 or note.sha256
        if wanted and self._digest.hexdigest() != wanted:
            self._discard()
            raise DownloadError(
                f"{display_path(self._target.name)} arrived damaged (its checksum is wrong) and "
                "was deleted: download it again."
            )
        if self._size is not None and self._done != self._size:
            self._discard()
            raise DownloadError(
                f"{self._url} is not the file that photosearch knows: it has {self._done} bytes "
                f"and not {self._size}."
            )
        self._part.replace(self._target)
        self._note_path.unlink(missing_ok=True)


def _client() -> httpx.AsyncClient:
    """Return a client that goes through the proxies of the environment and trusts the system."""
    trust = ssl.create_default_context(cafile=certifi.where())
    # Networks that look into connections have added their own authority to the system.
    trust.load_default_certs()
    try:
        return httpx.AsyncClient(
            verify=trust,
            timeout=_TIMEOUT,
            follow_redirects=True,
            headers={"User-Agent": "photosearch", "Accept-Encoding": "identity"},
        )
    except (ValueError, ImportError, httpx.InvalidURL) as error:
        raise DownloadError(
            f"The proxy named in the environment (HTTPS_PROXY, ALL_PROXY …) can't be used: {error}."
        ) from error


def check_disk(folder: Path, needed_bytes: int) -> None:
    """Raise DiskFullError if `folder`, which may not be there yet, lacks room for so much more."""
    existing = folder
    while not existing.exists():
        existing = existing.parent
    missing = needed_bytes + _SPARE_BYTES - shutil.disk_usage(existing).free
    if needed_bytes > 0 and missing > 0:
        raise DiskFullError(
            f"The download needs {gigabytes(needed_bytes)} at {display_path(folder)}, and "
            f"{gigabytes(missing)} are missing: make room, or choose another folder."
        )


def part_of(target: Path) -> Path:
    """Return where a file lies until it is whole."""
    return target.with_name(f"{target.name}.part")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _number(text: str) -> int | None:
    return int(text) if text.isdecimal() else None


def _retry_after_s(text: str) -> float | None:
    """Return the seconds that a Retry-After header asks for: a number, or a date."""
    if text.strip().isdecimal():
        return float(text)
    date = email.utils.parsedate_tz(text)
    if date is None:
        return None
    return max(0.0, email.utils.mktime_tz(date) - time.time())


def _reason(error: Exception) -> str:
    if str(error):
        return str(error)
    if isinstance(error, httpx.TimeoutException):
        return "it did not answer in time"
    return "the connection broke"


def _is_untrusted(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False
