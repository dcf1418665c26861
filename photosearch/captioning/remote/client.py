"""Asks a server by OpenAI's protocol, through OpenAI's client; trusts nothing that comes back.

Only the address that was entered is contacted, and redirects are not followed. Proxies are those
of the environment (HTTPS_PROXY, NO_PROXY), and none for this computer itself.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Sequence
from email.utils import parsedate_to_datetime
from time import time
from typing import TypeVar

import msgspec

from photosearch.captioning.models import Endpoint
from photosearch.captioning.remote.addresses import is_this_computer
from photosearch.captioning.remote.pool import EndpointFailedError, RequestRefusedError
from photosearch.domain import display_path
from photosearch.errors import CaptionerOfflineError, ModelError

try:
    import httpx2
    import openai
    from openai.types.chat import ChatCompletionContentPartParam, ChatCompletionMessageParam
    from openai.types.chat.completion_create_params import CompletionCreateParamsNonStreaming
except ModuleNotFoundError as missing:
    raise ModelError(
        "To have servers caption, photosearch needs a package that is not installed: "
        "pip install 'photosearch[remote]'"
    ) from missing

_CONNECT_S = 10.0
_PROBE_S = 10.0
# Far more than an answer of 2,000 tokens takes.
_MOST_ANSWER_BYTES = 1 << 20
# The client adds what tells servers about this computer; these are all that they need.
_HEADERS = frozenset(
    {"host", "accept", "authorization", "connection", "content-length", "content-type"}
)
_AGENT = "photosearch"
# Request timeout, too early, too many requests, and what stands between says of the server.
_BUSY = frozenset({408, 425, 429, 502, 503, 504, 529})
_LONGEST_REASON = 200
_CHECK = "`photosearch servers check` tells how servers fare."

_Answer = TypeVar("_Answer")


class _Message(msgspec.Struct):
    content: str | None = None
    refusal: str | None = None


class _Choice(msgspec.Struct):
    message: _Message
    finish_reason: str | None = None


class _Completion(msgspec.Struct):
    choices: list[_Choice]


class _Model(msgspec.Struct):
    id: str


class _Models(msgspec.Struct):
    data: list[_Model]


class _StrangeAnswerError(Exception):
    """What a server sent is not read any further. Not openai's: its client would try again."""


class Client:
    """Asks one server, in one event loop. Every method raises EndpointFailedError.

    A server has `timeout_s` seconds for an answer.
    """

    def __init__(self, endpoint: Endpoint, timeout_s: float) -> None:
        self._endpoint = endpoint
        self._timeout_s = timeout_s
        self._client = _client(endpoint, timeout_s)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def models(self) -> list[str]:
        """Return the names of the models that it has."""
        answer = self._client.get("/models", cast_to=httpx2.Response)
        models = await _call(self._endpoint, answer, _Models, self._timeout_s)
        return [model.id for model in models.data]

    async def say(
        self, turns: Sequence[tuple[str, str]], picture: str, max_tokens: int
    ) -> tuple[str, bool]:
        """Return what the model answers, and whether it came to an end by itself.

        `turns` are questions and their answers, the last of them empty; `picture` is a data URI
        that goes with the first question. A refusal is an empty answer. Raises also
        RequestRefusedError.
        """
        question: CompletionCreateParamsNonStreaming = {
            "model": self._endpoint.model,
            "messages": _conversation(turns, picture),
            "max_tokens": max_tokens,
            "temperature": 0,
        }
        # As it came: the client believes any JSON to be what it expects.
        answer = self._client.post("/chat/completions", cast_to=httpx2.Response, body={**question})
        completion = await _call(self._endpoint, answer, _Completion, self._timeout_s)
        return _said(self._endpoint, completion)


def list_models(endpoint: Endpoint, timeout_s: float = _PROBE_S) -> list[str]:
    """Return the names of the models that a server has; no picture is sent.

    Raises CaptionerOfflineError, with a sentence, when it does not answer as it should.
    """

    async def ask() -> list[str]:
        client = Client(endpoint, timeout_s)
        try:
            return await client.models()
        finally:
            await client.close()

    try:
        return asyncio.run(ask())
    except (EndpointFailedError, RequestRefusedError) as error:
        raise CaptionerOfflineError(str(error)) from error


def _client(endpoint: Endpoint, timeout_s: float) -> openai.AsyncOpenAI:
    key = _key(endpoint)

    async def bare(request: httpx2.Request) -> None:
        for name in set(request.headers) - _HEADERS:
            del request.headers[name]
        # The environment may name other keys, which are not for this server.
        request.headers.pop("authorization", None)
        if key:
            request.headers["authorization"] = f"Bearer {key}"
        request.headers["user-agent"] = _AGENT

    async def bounded(response: httpx2.Response) -> None:
        if response.headers.get("content-encoding", "identity") != "identity":
            # A little of it may become very much.
            raise _StrangeAnswerError("sends compressed data, which was not asked for")
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        response.stream = _BoundedStream(response.stream)

    try:
        http_client = openai.DefaultAsyncHttpxClient(
            timeout=openai.Timeout(timeout_s, connect=min(timeout_s, _CONNECT_S)),
            follow_redirects=False,
            trust_env=not is_this_computer(endpoint.url),
            event_hooks={"request": [bare], "response": [bounded]},
        )
    except (ValueError, ImportError) as error:
        raise EndpointFailedError(
            f"{_shown(endpoint)} can't be asked: the proxy that the environment names can't be "
            f"used ({display_path(str(error))[:200]}).",
            lasting=True,
        ) from error
    return openai.AsyncOpenAI(
        base_url=endpoint.url, api_key=key or "none", max_retries=0, http_client=http_client
    )


class _BoundedStream(httpx2.AsyncByteStream):
    """A response's bytes, up to what an answer can have."""

    def __init__(self, stream: httpx2.AsyncByteStream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for chunk in self._stream:
            size += len(chunk)
            if size > _MOST_ANSWER_BYTES:
                raise _StrangeAnswerError(f"sends more than {_MOST_ANSWER_BYTES >> 20} MiB")
            yield chunk

    async def aclose(self) -> None:
        """Close the connection, or give it back."""
        await self._stream.aclose()


def _key(endpoint: Endpoint) -> str:
    if endpoint.key_env and endpoint.key_env not in os.environ:
        raise EndpointFailedError(
            f"The key of {_shown(endpoint)} is not there: the environment variable "
            f"{display_path(endpoint.key_env)} is not set where photosearch runs.",
            lasting=True,
        )
    key = (os.environ[endpoint.key_env] if endpoint.key_env else endpoint.key).strip()
    if not (key.isascii() and key.isprintable()):
        raise EndpointFailedError(
            f"The key of {_shown(endpoint)} holds characters that no key has.", lasting=True
        )
    return key


def _without_key(endpoint: Endpoint, text: str) -> str:
    """Return what a server says, which may repeat the key that it was sent."""
    key = _key(endpoint)
    return text.replace(key, "***") if key else text


async def _call(
    endpoint: Endpoint, request: Awaitable[httpx2.Response], kind: type[_Answer], timeout_s: float
) -> _Answer:
    """Return what a server answers; raises EndpointFailedError or RequestRefusedError."""
    shown = _shown(endpoint)
    try:
        # The client's own limit is for each piece of an answer, and they may come in drops.
        async with asyncio.timeout(timeout_s):
            response = await request
    except (TimeoutError, openai.APITimeoutError) as error:
        raise EndpointFailedError(
            f"{shown} gave no answer within {timeout_s:g} seconds. {_CHECK}",
            blames_request=not _in_vain(error),
        ) from error
    except openai.APIStatusError as error:
        raise _failure(endpoint, error) from error
    except openai.APIConnectionError as error:
        reason = display_path(str(error.__cause__ or error))[:_LONGEST_REASON]
        raise EndpointFailedError(
            f"{shown} can't be reached ({reason}): is it running? {_CHECK}"
            if _in_vain(error)
            else f"{shown} broke the connection off ({reason}). {_CHECK}",
            blames_request=not _in_vain(error),
        ) from error
    except _StrangeAnswerError as error:
        raise EndpointFailedError(
            f"{shown} {error}: it is no OpenAI-compatible server, or something is in between. "
            f"{_CHECK}",
            blames_request=True,
        ) from error
    return _decoded(endpoint, response.content, kind)


def _in_vain(error: BaseException) -> bool:
    """Whether the server was not even reached."""
    return isinstance(
        error.__cause__, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.ProxyError
    )


def _failure(
    endpoint: Endpoint, error: openai.APIStatusError
) -> EndpointFailedError | RequestRefusedError:
    shown, status = _shown(endpoint), error.status_code
    reason = _without_key(endpoint, _reason(error.response.content))
    says = f"{status}: {reason}" if reason else f"status {status}"
    if status < 400:
        target = display_path(error.response.headers.get("location", ""))[:_LONGEST_REASON]
        target = _without_key(endpoint, target)
        return EndpointFailedError(
            f"{shown} sends on to {target or 'another address'}. Photos go only to addresses that "
            "you entered: if you trust that one, `photosearch servers add` it.",
            lasting=True,
        )
    if status in (401, 403, 407):
        return EndpointFailedError(
            f"{shown} refuses the key, or asks for one ({says}): name the environment variable "
            "that holds it with `photosearch servers add "
            f"{display_path(endpoint.url)} --key-env NAME`.",
            lasting=True,
        )
    if status in (404, 405):
        return EndpointFailedError(
            f"{shown} has no model {display_path(endpoint.model)}, or is no OpenAI-compatible "
            f"server ({says}): compare `photosearch servers list` with `servers check`.",
            lasting=True,
        )
    if status in _BUSY:
        return EndpointFailedError(
            f"{shown} is busy or not ready ({says}). {_CHECK}", rest_s=_retry_after(error)
        )
    if status >= 500:
        return EndpointFailedError(
            f"{shown} failed ({says}). {_CHECK}", rest_s=_retry_after(error), blames_request=True
        )
    return RequestRefusedError(f"{shown} refuses the picture or the question ({says}).")


def _retry_after(error: openai.APIStatusError) -> float | None:
    value = error.response.headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time())
    except (ValueError, OverflowError):
        return None


def _decoded(endpoint: Endpoint, content: bytes, kind: type[_Answer]) -> _Answer:
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        is_page = content.lstrip()[:1] == b"<"
        reason = _without_key(endpoint, _reason(content))
        reason = reason or ("a web page" if is_page else str(error))
        raise EndpointFailedError(
            f"{_shown(endpoint)} does not answer as an OpenAI-compatible server does ({reason}): "
            f"check its address. {_CHECK}",
            blames_request=not is_page,
        ) from error


def _said(endpoint: Endpoint, completion: _Completion) -> tuple[str, bool]:
    """Return what the model wrote, empty where it refused, and whether it came to an end."""
    if not completion.choices:
        raise EndpointFailedError(
            f"{_shown(endpoint)} answered without an answer. {_CHECK}", blames_request=True
        )
    choice = completion.choices[0]
    content = choice.message.content or ""
    ended = choice.finish_reason != "length"
    if choice.message.refusal or choice.finish_reason == "content_filter":
        return "", True
    if not content.strip() and not ended:
        raise RequestRefusedError(
            f"{_shown(endpoint)} used up its tokens without an answer: if the model thinks before "
            "it answers, turn that off on the server."
        )
    return content, ended


def _conversation(
    turns: Sequence[tuple[str, str]], picture: str
) -> list[ChatCompletionMessageParam]:
    messages: list[ChatCompletionMessageParam] = []
    for number, (question, answer) in enumerate(turns):
        if number:
            messages.append({"role": "user", "content": question})
        else:
            # LLaVA saw the picture first when it was trained.
            content: list[ChatCompletionContentPartParam] = [
                {"type": "image_url", "image_url": {"url": picture}},
                {"type": "text", "text": question},
            ]
            messages.append({"role": "user", "content": content})
        if answer:
            messages.append({"role": "assistant", "content": answer})
    return messages


def _reason(content: bytes) -> str:
    """Return what a server says is wrong, as one short line; empty if it does not say it."""
    try:
        body = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    for name in ("error", "detail", "message"):
        if isinstance(body, dict) and name in body:
            body = body[name]
    return " ".join(display_path(body).split())[:_LONGEST_REASON] if isinstance(body, str) else ""


def _shown(endpoint: Endpoint) -> str:
    return display_path(endpoint.url)
