"""A local server that speaks OpenAI's chat completions, and misbehaves as it is told to."""

import base64
import io
import json
import socket
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from PIL import Image

PATIENCE_S = 30


@dataclass
class Asked:
    """A request as it came: headers in lower case, the picture as bytes and decoded."""

    headers: dict[str, str]
    body: dict
    jpeg: bytes = b""
    image: Image.Image | None = None
    questions: tuple[str, ...] = ()


@dataclass
class Reply:
    """What is sent instead of an answer. `hold` is waited for first; `cut` ends the connection
    after so many bytes."""

    status: int = 200
    body: bytes | str = b""
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    hold: threading.Event | None = None
    cut: int | None = None


def completion(content: object, finish_reason: str | None = "stop", **message: object) -> bytes:
    """A chat completion with this content."""
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": content, **message},
        "finish_reason": finish_reason,
    }
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    return json.dumps(
        {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice],
         "usage": usage}
    ).encode()  # fmt: skip


class OpenAIServer:
    """Serves `models`; `say` writes the answers. Counts what it is asked and how much at once.

    `replies` are sent instead of the next answers, `always` instead of all of them.
    """

    def __init__(self, say: Callable[[Asked], str], models: tuple[str, ...] = ("tiny",)) -> None:
        self.say = say
        self.models = models
        self.replies: deque[Reply] = deque()
        self.always: Reply | None = None
        self.hold: threading.Event | None = None
        """Every answer waits for it."""
        self.asked: list[Asked] = []
        self.paths: list[str] = []
        self.at_once = 0
        self.most_at_once = 0
        self.broken_off = 0
        self.came = threading.Condition()
        self._connections: set[socket.socket] = set()
        self._port = 0
        self._start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/v1"

    def vanish(self) -> None:
        """Cut all connections and refuse new ones, as a machine that is switched off."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        for connection in list(self._connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    def come_back(self) -> None:
        """Serve again at the same address."""
        self._start()

    def close(self) -> None:
        if self.hold is not None:
            self.hold.set()
        self.vanish()

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Wait until the condition on this server's counts holds."""
        with self.came:
            assert self.came.wait_for(condition, PATIENCE_S)

    def _start(self) -> None:
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                owner._connections.add(self.connection)

            def finish(self) -> None:
                owner._connections.discard(self.connection)
                super().finish()

            def handle(self) -> None:
                try:
                    super().handle()
                except OSError:
                    owner._note_broken()

            def do_GET(self) -> None:
                owner.paths.append(self.path)
                models = [{"id": name, "object": "model"} for name in owner.models]
                body = json.dumps({"object": "list", "data": models}).encode()
                owner._send(self, owner.always or Reply(body=body))

            def do_POST(self) -> None:
                owner.paths.append(self.path)
                owner._chat(self)

            def log_message(self, *_: object) -> None:
                return

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            # Its threads are joined: none outlives its test.
            block_on_close = False
            allow_reuse_address = True
            request_queue_size = 128

        self._server = Server(("127.0.0.1", self._port), Handler)
        self._port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def _chat(self, handler: BaseHTTPRequestHandler) -> None:
        body = json.loads(handler.rfile.read(int(handler.headers["content-length"])))
        asked = _asked({k.lower(): v for k, v in handler.headers.items()}, body)
        with self.came:
            self.asked.append(asked)
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            reply = self.always or (self.replies.popleft() if self.replies else None)
            self.came.notify_all()
        try:
            if reply is None:
                if self.hold is not None:
                    self.hold.wait(PATIENCE_S)
                reply = Reply(body=completion(self.say(asked)))
        finally:
            # Before it is sent: the client asks anew as soon as it has it.
            with self.came:
                self.at_once -= 1
        self._send(handler, reply)

    def _send(self, handler: BaseHTTPRequestHandler, reply: Reply) -> None:
        if reply.hold is not None:
            reply.hold.wait(PATIENCE_S)
        body = reply.body.encode() if isinstance(reply.body, str) else reply.body
        try:
            handler.send_response(reply.status)
            for name, value in reply.headers.items():
                handler.send_header(name, value)
            handler.send_header("Content-Type", reply.content_type)
            handler.send_header("Content-Length", str(len(body)))
            handler.end_headers()
            handler.wfile.write(body if reply.cut is None else body[: reply.cut])
            handler.wfile.flush()
        except OSError:
            self._note_broken()
            handler.close_connection = True
        if reply.cut is not None:
            handler.close_connection = True

    def _note_broken(self) -> None:
        with self.came:
            self.broken_off += 1
            self.came.notify_all()


def _asked(headers: dict[str, str], body: dict) -> Asked:
    asked = Asked(headers, body)
    questions = []
    for message in body["messages"]:
        if message["role"] != "user":
            continue
        content = message["content"]
        for part in [{"type": "text", "text": content}] if isinstance(content, str) else content:
            if part["type"] == "text":
                questions.append(part["text"])
            else:
                head, data = part["image_url"]["url"].split(",", 1)
                assert head == "data:image/jpeg;base64"
                asked.jpeg = base64.b64decode(data)
                asked.image = Image.open(io.BytesIO(asked.jpeg))
                asked.image.load()
    asked.questions = tuple(questions)
    return asked
