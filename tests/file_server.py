"""A real HTTP server on this computer that gives files, and misbehaves on demand."""

from __future__ import annotations

import hashlib
import re
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

Trouble = Callable[["Handler"], None]


@dataclass
class FileServer:
    """`files` by path; each of `troubles` answers one request in the files' stead.

    `asked` lists path and headers of the requests so far.
    """

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    troubles: list[Trouble] = field(default_factory=list)
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    ranges: bool = True
    etags: bool = True

    def etag(self, path: str) -> str:
        return f'"{hashlib.md5(self.files[path]).hexdigest()}"'

    def ranges_asked(self) -> list[str | None]:
        return [headers.get("Range") for _, headers in self.asked]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def shared(self) -> FileServer:
        return self.server.shared

    def do_GET(self) -> None:
        shared = self.shared
        shared.asked.append((self.path, dict(self.headers)))
        if shared.troubles:
            shared.troubles.pop(0)(self)
        else:
            self.give()

    def give(self, stop_after: int | None = None, **headers: str) -> None:
        """Send the file as it should be, but end the connection after so many bytes of it."""
        shared, path = self.shared, self.path.partition("?")[0]
        body = shared.files.get(path)
        if body is None:
            self.answer(404, b"no such file")
            return
        start = 0
        ranged = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if ranged and shared.ranges and self.headers.get("If-Range") in (None, shared.etag(path)):
            start = int(ranged[1])
            if start >= len(body):
                self.answer(416, b"", Content_Range=f"bytes */{len(body)}")
                return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        if shared.etags:
            self.send_header("ETag", shared.etag(path))
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(len(body) - start))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body[start:][:stop_after])
        self.close_connection = stop_after is not None

    def answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Tests' output is for tests."""


def cut_after(size: int) -> Trouble:
    """The connection ends after so many bytes of the file."""
    return lambda handler: handler.give(stop_after=size)


def error(status: int, **headers: str) -> Trouble:
    return lambda handler: handler.answer(status, b"trouble", **headers)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that go are what is tested; all else is shown."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


@contextmanager
def serving(
    handler: type[Handler] = Handler, certificate: Path | None = None
) -> Iterator[FileServer]:
    """Serve until the end of the block; by https with a certificate (and its key)."""
    shared = FileServer()
    with _Server(("127.0.0.1", 0), handler) as server:
        server.shared = shared
        shared.url = f"{'https' if certificate else 'http'}://127.0.0.1:{server.server_port}"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield shared
        finally:
            server.shutdown()
            thread.join()
