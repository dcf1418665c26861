"""The captioner on servers, against real servers on this computer that behave and misbehave."""

import importlib
import io
import json
import pickle
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from openai_server import Asked, OpenAIServer, Reply, completion
from PIL import Image, PngImagePlugin

from photosearch.captioning.captioner import PhotoAnswer, PhotoViews
from photosearch.captioning.models import Endpoint
from photosearch.captioning.recipes import Recipe
from photosearch.captioning.remote.addresses import base_url, is_this_computer
from photosearch.captioning.remote.captioner import RemoteCaptioner, RemoteConfig
from photosearch.captioning.remote.client import list_models
from photosearch.captioning.remote.pictures import jpeg
from photosearch.domain import Stage, View
from photosearch.errors import CaptionerOfflineError, CaptionError, ModelError, UsageError
from photosearch.imaging.crops import ALL_VIEWS, WHOLE, crop, views

RECIPE = Recipe("What is in this picture?", max_tokens={"whole": 77})
NEVER = threading.Event()


def say(asked: Asked) -> str:
    """Names a photo by its colour, and the view of it by its size."""
    red = asked.image.resize((1, 1)).getpixel((0, 0))[0]
    return f"Photo {round(red / 8)}, {asked.image.width} by {asked.image.height}."


def photo(number: int, chosen: tuple[View, ...] = (WHOLE,)) -> PhotoViews:
    return PhotoViews(number, Image.new("RGB", (320, 240), (number * 8, 100, 100)), chosen)


def caption_of(number: int, view: View = WHOLE) -> str:
    part = crop(photo(number).image, view)
    return f"Photo {number}, {part.width} by {part.height}."


@pytest.fixture
def serve() -> Iterator[Callable[..., OpenAIServer]]:
    servers: list[OpenAIServer] = []

    def serve(**settings: object) -> OpenAIServer:
        servers.append(OpenAIServer(settings.pop("say", say), **settings))
        return servers[-1]

    yield serve
    for server in servers:
        server.close()


@pytest.fixture
def ask() -> Iterator[Callable[..., RemoteCaptioner]]:
    captioners: list[RemoteCaptioner] = []

    def ask(*servers: OpenAIServer | Endpoint, concurrency: int = 2, **settings: object):
        endpoints = tuple(
            server
            if isinstance(server, Endpoint)
            else Endpoint(server.url, "tiny", concurrency=concurrency)
            for server in servers
        )
        settings = {"recipe": RECIPE, "rest_s": 0.02, **settings}
        captioners.append(RemoteCaptioner(RemoteConfig("tiny", endpoints, **settings)))
        return captioners[-1]

    yield ask
    for captioner in captioners:
        captioner.close()
        captioner.close()


def texts(answers: list[PhotoAnswer]) -> dict[tuple[int, str], str]:
    found = [(answer.key, caption) for answer in answers for caption in answer.captions]
    said = {(key, caption.view): caption.text for key, caption in found}
    assert len(said) == len(found), "a view was captioned twice"
    return said


def finished(answers: list[PhotoAnswer]) -> list[int]:
    return sorted(answer.key for answer in answers if answer.finished)


def error_of(captioner: RemoteCaptioner) -> str:
    """The one photo that is asked about fails; returns why."""
    answers = [a for a in captioner.caption([photo(1)], NEVER) if a.error or a.captions]
    assert [a.key for a in answers] == [1]
    assert not answers[0].captions and not answers[0].finished
    assert isinstance(answers[0].error, CaptionError)
    return str(answers[0].error)


def offline(captioner: RemoteCaptioner) -> str:
    """No photo is answered, as there is no server that works; returns why."""
    answers = []
    with pytest.raises(CaptionerOfflineError) as raised:
        answers.extend(captioner.caption([photo(1), photo(2), photo(3)], NEVER))
    assert not any(a.captions or a.finished or a.error for a in answers)
    assert str(pickle.loads(pickle.dumps(raised.value))) == str(raised.value)
    return str(raised.value)


def test_every_view_gets_what_the_server_says(serve, ask):
    server = serve()
    captioner = ask(server)
    answers = list(captioner.caption([photo(n, ALL_VIEWS) for n in range(1, 4)], NEVER))
    assert texts(answers) == {
        (n, view.name): caption_of(n, view) for n in range(1, 4) for view in ALL_VIEWS
    }
    assert finished(answers) == [1, 2, 3]
    assert len(server.asked) == 3 * 18
    assert (captioner.model, captioner.prompt) == ("tiny", RECIPE.question)
    assert list(captioner.caption([], NEVER)) == []
    assert list(captioner.caption([photo(9, ())], NEVER)) == [PhotoAnswer(9, finished=True)]


def test_what_is_asked_and_nothing_else(serve, ask, monkeypatch):
    for name in ("OPENAI_API_KEY", "OPENAI_ADMIN_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"):
        monkeypatch.setenv(name, "secret-of-another-server")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Secret: secret-of-another-server")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    server = serve()
    list(ask(server).caption([photo(1)], NEVER))
    (asked,) = server.asked
    assert set(asked.headers) <= {
        "host", "accept", "connection", "content-length", "content-type", "user-agent"
    }  # fmt: skip
    assert asked.headers["user-agent"] == "photosearch"
    assert "secret" not in json.dumps([asked.headers, asked.body])
    assert asked.body.keys() == {"model", "messages", "max_tokens", "temperature"}
    assert (asked.body["model"], asked.body["max_tokens"], asked.body["temperature"]) == (
        "tiny", 77, 0,
    )  # fmt: skip
    (message,) = asked.body["messages"]
    assert [part["type"] for part in message["content"]] == ["image_url", "text"]
    assert asked.questions == (RECIPE.question,)
    assert server.paths == ["/v1/chat/completions"]


def test_the_key_goes_to_its_server_only(serve, ask, monkeypatch):
    monkeypatch.setenv("GPU_BOX_KEY", "abc123")
    one, other, third = serve(), serve(), serve()
    endpoints = [
        Endpoint(one.url, "tiny", 1, key_env="GPU_BOX_KEY"),
        Endpoint(other.url, "tiny", 1),
        Endpoint(third.url, "tiny", 1, key="xyz"),
    ]
    list(ask(*endpoints).caption([photo(n) for n in range(1, 12)], NEVER))
    keys = [{asked.headers.get("authorization") for asked in s.asked} for s in (one, other, third)]
    assert keys == [{"Bearer abc123"}, {None}, {"Bearer xyz"}]


def test_no_metadata_leaves_this_computer(serve, ask):
    image = Image.new("RGB", (1600, 900), (8, 100, 100))
    exif = Image.Exif()
    exif[0x010E] = "SECRET description"
    exif.get_ifd(0x8825)[1] = "SECRET north"
    notes = PngImagePlugin.PngInfo()
    notes.add_text("Comment", "SECRET")
    image.info.update(
        exif=exif.tobytes(), icc_profile=b"SECRET profile", xmp=b"<SECRET/>", comment=b"SECRET",
        photoshop={1: b"SECRET"}, dpi=(300, 300),
    )  # fmt: skip
    server = serve()
    list(ask(server).caption([PhotoViews(1, image, ALL_VIEWS)], NEVER))
    assert len(server.asked) == 18
    for asked in server.asked:
        assert b"SECRET" not in asked.jpeg
        # Start, JFIF, tables, frame, scan: no application segment but the first, no comment.
        assert not [m for m in range(0xE1, 0xF0) if bytes([0xFF, m]) in asked.jpeg[:600]]
        assert asked.image.info.keys() <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
        assert max(asked.image.size) <= 672
        assert asked.image.format == "JPEG"


@pytest.mark.parametrize(
    ("size", "sent"),
    [((1, 1), (28, 28)), ((30_000, 20), (672, 34)), ((20, 3000), (34, 672)), ((300, 200),) * 2,
     ((4000, 3000), (672, 504))],
)  # fmt: skip
def test_any_picture_becomes_one_that_models_take(size, sent):
    image = Image.open(io.BytesIO(jpeg(Image.new("L", size))))
    assert (image.size, image.mode) == (sent, "RGB")


def test_the_follow_up_goes_on_in_the_conversation(serve, ask):
    def two(asked: Asked) -> str:
        return "**A dog.**" if len(asked.questions) == 1 else "Sure! Here are the captions: A cat."

    recipe = Recipe("What is it?", "What else?")
    server = serve(say=two)
    answers = list(ask(server, recipe=recipe).caption([photo(1)], NEVER))
    first, second = (caption for answer in answers for caption in answer.captions)
    assert (first.text, first.raw, first.prompt) == ("A dog.", "**A dog.**", "")
    assert (second.text, second.prompt) == ("A cat.", "What else?")
    assert second.raw == "Sure! Here are the captions: A cat."
    assert finished(answers) == [1]
    messages = server.asked[1].body["messages"]
    assert [m["role"] for m in messages] == ["user", "assistant", "user"]
    assert messages[0] == server.asked[0].body["messages"][0]
    assert (messages[1]["content"], messages[2]["content"]) == ("**A dog.**", "What else?")


def test_a_failed_follow_up_does_not_cost_the_first_answer(serve, ask):
    server = serve(say=lambda asked: "A dog.")
    recipe = Recipe("What is it?", "What else?")
    server.replies.extend([Reply(body=completion("A cat.")), Reply(status=500), Reply(status=503)])
    answers = list(ask(server, recipe=recipe).caption([photo(1)], NEVER))
    assert [c.text for a in answers for c in a.captions] == ["A cat.", "A dog."]
    assert [len(asked.questions) for asked in server.asked] == [1, 2, 2, 2]
    server.replies.extend([Reply(body=completion("A cow.")), Reply(status=400)])
    answers = list(ask(server, recipe=recipe).caption([photo(1)], NEVER))
    assert [c.text for a in answers for c in a.captions] == ["A cow."]
    assert [type(a.error) for a in answers if a.error] == [CaptionError]


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (completion("A dog. A cat on a ro", "length"), "A dog."),
        (completion("A dog. A cat on a roof", "stop"), "A dog. A cat on a roof"),
        (completion(None), ""),
        (completion(""), ""),
        (completion("I'm sorry, I can't help with that."), ""),
        (completion(None, refusal="I can't."), ""),
        (completion("A dog", "content_filter"), ""),
        (completion("A dog", None), "A dog"),
        (completion("A \x1b[31mdog\u202e <b>runs</b>.</s>"), "A dog runs."),
    ],
)
def test_answers_are_cleaned_and_none_is_made_up(serve, ask, body, text):
    server = serve()
    server.replies.append(Reply(body=body))
    answers = list(ask(server).caption([photo(1)], NEVER))
    assert [c.text for a in answers for c in a.captions] == [text]
    assert finished(answers) == [1]


def test_a_server_that_sends_too_much_does_not_fill_the_library(serve, ask):
    server = serve()
    server.replies.append(Reply(body=completion("A dog on a couch. " * 50_000)))
    answers = list(ask(server).caption([photo(1)], NEVER))
    (caption,) = [caption for answer in answers for caption in answer.captions]
    assert caption.text.startswith("A dog on a couch.")
    assert len(caption.raw) == 40_000


def test_no_server_gets_more_than_it_takes_at_once(serve, ask):
    small, big = serve(), serve()
    small.hold = big.hold = threading.Event()
    captioner = ask(Endpoint(small.url, "tiny", 1), Endpoint(big.url, "tiny", 5))
    answers: list[PhotoAnswer] = []
    photos = (photo(n, views(Stage.QUARTERS)) for n in range(1, 20))
    thread = threading.Thread(target=lambda: answers.extend(captioner.caption(photos, NEVER)))
    thread.start()
    small.wait_for(lambda: small.at_once == 1)
    big.wait_for(lambda: big.at_once == 5)
    small.hold.set()
    thread.join(20)
    assert len(texts(answers)) == 19 * 4
    assert (small.most_at_once, big.most_at_once) == (1, 5)
    assert len(small.asked) + len(big.asked) == 19 * 4


def test_photos_are_decoded_only_as_they_are_needed(serve, ask):
    server = serve()
    server.hold = threading.Event()
    taken = 0

    def photos() -> Iterator[PhotoViews]:
        nonlocal taken
        for number in range(1, 31):
            taken += 1
            yield photo(number)

    stream = ask(server, concurrency=2).caption(photos(), NEVER)
    answers: list[PhotoAnswer] = []
    thread = threading.Thread(target=lambda: answers.extend(stream))
    thread.start()
    server.wait_for(lambda: server.at_once == 2)
    assert taken <= 4
    server.hold.set()
    thread.join(20)
    assert finished(answers) == list(range(1, 31))


def test_another_server_takes_over(serve, ask):
    broken, works = serve(), serve()
    broken.always = Reply(status=500, body='{"error": {"message": "out of memory"}}')
    captioner = ask(broken, works, rest_s=0.5)
    answers = list(captioner.caption([photo(n) for n in range(1, 21)], NEVER))
    assert texts(answers) == {(n, "whole"): caption_of(n) for n in range(1, 21)}
    assert finished(answers) == list(range(1, 21))
    # It rests for longer and longer.
    assert len(broken.asked) <= 8


def test_a_server_that_vanishes_in_the_middle_loses_no_photo(serve, ask):
    fleeting, stays = serve(), serve()
    fleeting.hold = stays.hold = threading.Event()
    captioner = ask(fleeting, stays, concurrency=3)
    answers: list[PhotoAnswer] = []
    photos = (photo(n, views(Stage.HALVES)) for n in range(1, 16))
    thread = threading.Thread(target=lambda: answers.extend(captioner.caption(photos, NEVER)))
    thread.start()
    fleeting.wait_for(lambda: fleeting.at_once == 3)
    fleeting.vanish()
    stays.hold.set()
    thread.join(20)
    assert texts(answers) == {
        (n, view.name): caption_of(n, view) for n in range(1, 16) for view in views(Stage.HALVES)
    }
    assert finished(answers) == list(range(1, 16))


def test_a_server_that_comes_back_is_used_again(serve, ask):
    server = serve()
    captioner = ask(server)
    assert finished(list(captioner.caption([photo(1)], NEVER))) == [1]
    server.vanish()
    reason = offline(captioner)
    assert server.url in reason and "is it running?" in reason and "servers check" in reason
    started = time.monotonic()
    offline(captioner)
    assert time.monotonic() - started < 0.5, "one attempt tells that it is still gone"
    server.come_back()
    assert finished(list(captioner.caption([photo(2)], NEVER))) == [2]


def test_captions_that_came_before_the_end_are_kept(serve, ask):
    server = serve()
    server.replies.extend(Reply(body=completion("A dog.")) for _ in range(2))
    captioner = ask(server, concurrency=1)
    answers = []
    with pytest.raises(CaptionerOfflineError):
        for answer in captioner.caption([photo(n) for n in range(1, 6)], NEVER):
            answers.append(answer)
            if len(finished(answers)) == 2 and server.always is None:
                server.always = Reply(status=503)
    assert finished(answers) == [a.key for a in answers if a.captions]
    assert 2 <= len(finished(answers)) <= 4


@pytest.mark.parametrize("wait", ["1", "date"])
def test_a_busy_server_is_left_alone_as_long_as_it_asks(serve, ask, wait):
    if wait == "date":
        wait = format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)
    server = serve()
    server.replies.append(Reply(status=429, headers={"Retry-After": wait}))
    started = time.monotonic()
    answers = list(ask(server, concurrency=1).caption([photo(1)], NEVER))
    took_s = time.monotonic() - started
    assert finished(answers) == [1]
    assert len(server.asked) == 2
    assert 0.9 < took_s < 4


def test_a_server_that_asks_for_an_hour_is_not_waited_for(serve, ask):
    server = serve()
    server.always = Reply(status=429, headers={"Retry-After": "3600"})
    started = time.monotonic()
    assert "busy" in offline(ask(server, concurrency=1))
    assert time.monotonic() - started < 2
    assert len(server.asked) == 1


def test_a_slow_server_does_not_keep_the_others_waiting(serve, ask):
    slow, quick = serve(), serve()
    slow.hold = threading.Event()
    captioner = ask(slow, quick, concurrency=1, timeout_s=1)
    answers = list(captioner.caption([photo(n) for n in range(1, 13)], NEVER))
    assert texts(answers) == {(n, "whole"): caption_of(n) for n in range(1, 13)}
    assert len(slow.asked) <= 3


def test_an_answer_in_drops_is_too_slow_as_well(ask):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        done = threading.Event()

        def drip() -> None:
            connections = []
            listener.settimeout(0.05)
            while not done.is_set():
                try:
                    connections.append(listener.accept()[0])
                except TimeoutError:
                    for connection in connections:
                        try:
                            connection.send(b"H")
                        except OSError:
                            continue
            for connection in connections:
                connection.close()

        thread = threading.Thread(target=drip)
        thread.start()
        endpoint = Endpoint(f"http://127.0.0.1:{listener.getsockname()[1]}/v1", "tiny", 1)
        try:
            captioner = ask(endpoint, timeout_s=0.3)
            errors = [a.error for a in captioner.caption([photo(1)], NEVER) if a.error]
        finally:
            done.set()
            thread.join()
        assert errors


LIES = {
    "HTML": (Reply(body="<!doctype html><title>Log in</title>", content_type="text/html"), "a web"),
    "HTML that says it is JSON": (Reply(body=" <html></html>"), "a web page"),
    "no JSON": (Reply(body="{oops"), "malformed"),
    "empty": (Reply(body=""), "truncated"),
    "no UTF-8": (Reply(body=b'{"choices": [{"message": {"content": "\xff\xfe"}}]}'), "utf-8"),
    "half a surrogate": (
        Reply(body=b'{"choices": [{"message": {"content": "\\ud800"}}]}'), "truncated",
    ),
    "no choices": (Reply(body="{}"), "choices"),
    "none of the choices": (Reply(body='{"choices": []}'), "without an answer"),
    "choices of nothing": (Reply(body='{"choices": [{}]}'), "message"),
    "a number": (Reply(body=completion(17)), "Expected"),
    "parts": (Reply(body=completion([{"type": "text", "text": "A dog."}])), "Expected"),
    "an error that is none": (Reply(body='{"error": {"message": "out of\\nmemory"}}'), "out of"),
    "nested without end": (Reply(body="[" * 100_000), "Expected"),
    "10 MB": (Reply(body=b" " * 10_000_000 + completion("A dog.")), "more than 1 MiB"),
    "compressed": (
        Reply(body=completion("A dog."), headers={"Content-Encoding": "gzip"}), "compressed",
    ),
    "cut short": (Reply(body=completion("A dog."), cut=40), "broke the connection off"),
    "crash": (Reply(status=500, body="<html>oh no"), "failed (status 500)"),
}  # fmt: skip


@pytest.mark.parametrize("lie", LIES)
def test_a_server_that_lies_makes_no_caption(serve, ask, lie):
    reply, reason = LIES[lie]
    server = serve()
    server.replies.append(reply)
    captioner = ask(server, concurrency=1)
    answers = list(captioner.caption([photo(1)], NEVER))
    assert texts(answers) == {(1, "whole"): caption_of(1)}, "it told the truth the second time"
    server.always = reply
    captioner = ask(server, concurrency=1)
    said = offline(captioner)
    assert reason in said and server.url in said
    assert said.isprintable() and len(said) < 600


def test_a_photo_on_which_servers_fail_fails_alone(serve, ask):
    def choosy(asked: Asked) -> str:
        if say(asked).startswith("Photo 7,"):
            raise ConnectionAbortedError
        return say(asked)

    server = serve(say=choosy)
    answers = list(ask(server, concurrency=3).caption([photo(n) for n in range(1, 13)], NEVER))
    assert finished(answers) == [n for n in range(1, 13) if n != 7]
    (failed,) = (answer for answer in answers if answer.error)
    assert failed.key == 7
    assert isinstance(failed.error, CaptionError)
    counts = Counter(say(asked) for asked in server.asked)
    assert counts[caption_of(7)] == 3


def test_what_one_server_refuses_another_may_take(serve, ask):
    strict, kind = serve(), serve()
    strict.always = Reply(status=400, body='{"error": {"message": "image is too small"}}')
    assert "400: image is too small" in error_of(ask(strict))
    assert len(strict.asked) == 1, "asking again makes no sense"
    answers = list(ask(strict, kind).caption([photo(n) for n in range(1, 9)], NEVER))
    assert finished(answers) == list(range(1, 9))
    kind.vanish()
    assert "image is too small" in error_of(ask(strict, kind))


def test_a_photo_is_answered_once_though_one_of_its_views_fails(serve, ask):
    server = serve()
    server.replies.append(Reply(status=422))
    answers = list(ask(server).caption([photo(1, views(Stage.QUARTERS)), photo(2)], NEVER))
    assert len(texts(answers)) == 4
    assert [a.key for a in answers if a.error] == [1]
    assert [a.key for a in answers][-1] in (1, 2)
    assert finished(answers) == [2]


def test_an_answer_of_thoughts_only(serve, ask):
    server = serve()
    server.always = Reply(body=completion("", "length"))
    assert "used up its tokens" in error_of(ask(server))


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply(status=401, body='{"error": {"message": "no key"}}'), "--key-env"),
        (Reply(status=403), "refuses the key"),
        (Reply(status=404, body='{"error": "model not found"}'), "has no model tiny"),
        (
            Reply(status=307, headers={"Location": "http://127.0.0.1:9/v1"}),
            "sends on to http://127",
        ),
    ],
)
def test_what_somebody_has_to_mend_is_said_at_once(serve, ask, reply, reason):
    server = serve()
    server.always = reply
    started = time.monotonic()
    said = offline(ask(server, concurrency=1))
    assert reason in said and server.url in said
    assert len(server.asked) == 1
    assert time.monotonic() - started < 2


def test_no_redirect_is_followed(serve, ask):
    elsewhere, server = serve(), serve()
    for status in (301, 302, 303, 307, 308):
        url = f"{elsewhere.url}/chat/completions"
        server.always = Reply(status=status, headers={"Location": url})
        assert url in offline(ask(server, concurrency=1))
    assert elsewhere.paths == []


@pytest.mark.parametrize("status", [200, 401, 500])
def test_a_key_that_the_server_repeats_is_not_shown(serve, ask, monkeypatch, status):
    monkeypatch.setenv("GPU_BOX_KEY", "sk-SECRET123")
    server = serve()
    body = '{"error": {"message": "bad key sk-SECRET123"}}'
    server.always = Reply(status=status, body=body)
    captioner = ask(Endpoint(server.url, "tiny", key_env="GPU_BOX_KEY"))
    said = error_of(captioner) if status != 401 else offline(captioner)
    assert "bad key ***" in said
    assert "SECRET" not in said


def test_a_key_that_is_not_there(serve, ask, monkeypatch):
    monkeypatch.delenv("GPU_BOX_KEY", raising=False)
    server = serve()
    endpoint = Endpoint(server.url, "tiny", key_env="GPU_BOX_KEY")
    assert "GPU_BOX_KEY is not set" in offline(ask(endpoint))
    monkeypatch.setenv("GPU_BOX_KEY", "schlüssel")
    assert "characters that no key has" in offline(ask(endpoint))
    assert server.paths == []


@pytest.mark.parametrize("phase", ["asking", "resting", "many"])
def test_it_leaves_at_once(serve, ask, phase):
    server = serve()
    left = threading.Event()
    server.hold = threading.Event()
    if phase == "resting":
        server.always = Reply(status=429, headers={"Retry-After": "30"})
    number = 400 if phase == "many" else 6
    captioner = ask(server, concurrency=32 if phase == "many" else 2)
    answers: list[PhotoAnswer] = []
    photos = (photo(n % 31) for n in range(number))
    photos = (replace(p, key=key) for key, p in enumerate(photos))
    thread = threading.Thread(target=lambda: answers.extend(captioner.caption(photos, left)))
    thread.start()
    server.wait_for(lambda: len(server.asked) >= (32 if phase == "many" else 2))
    started = time.monotonic()
    left.set()
    thread.join(10)
    assert time.monotonic() - started < 0.5
    assert not texts(answers)
    server.hold.set()
    if phase != "resting":
        server.wait_for(lambda: server.broken_off > 0)
    # It can go on afterwards.
    server.always = None
    captioner._stations[0].worked()
    assert finished(list(captioner.caption([photo(1)], NEVER))) == [1]


def test_a_caller_that_stops_listening_breaks_off_the_rest(serve, ask):
    server = serve()
    captioner = ask(server)
    stream = captioner.caption([photo(n) for n in range(1, 9)], NEVER)
    first = next(stream)
    assert first.captions
    stream.close()
    assert finished(list(captioner.caption([photo(3)], NEVER))) == [3]


def test_a_fault_in_the_photos_is_not_swallowed(serve, ask):
    def photos() -> Iterator[PhotoViews]:
        yield photo(1)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(ask(serve()).caption(photos(), NEVER))


def test_it_travels_to_a_worker(serve):
    config = RemoteConfig("tiny", (Endpoint("http://127.0.0.1:9/v1", "m"),), RECIPE)
    assert pickle.loads(pickle.dumps(config)) == config


def test_the_models_of_a_server(serve):
    server = serve(models=("a", "b"))
    assert list_models(Endpoint(server.url)) == ["a", "b"]
    assert server.paths == ["/v1/models"]
    server.always = Reply(body="<html>", content_type="text/html")
    with pytest.raises(CaptionerOfflineError, match="a web page"):
        list_models(Endpoint(server.url))
    server.vanish()
    with pytest.raises(CaptionerOfflineError, match="can't be reached"):
        list_models(Endpoint(server.url))


@pytest.mark.parametrize(
    ("entered", "url"),
    [
        ("http://host:8080", "http://host:8080/v1"),
        ("host:8080", "http://host:8080/v1"),
        ("localhost:11434/", "http://localhost:11434/v1"),
        (" https://host/v1/ ", "https://host/v1"),
        ("https://host/api/v3/chat/completions", "https://host/api/v3"),
        ("http://[::1]:80/v1/models?x=1#y", "http://[::1]:80/v1"),
    ],
)
def test_addresses_as_people_enter_them(entered, url):
    assert base_url(entered) == url
    assert base_url(url) == url


@pytest.mark.parametrize(
    "entered", ["", " ", "ftp://host", "http://", "http://host:99999", "http://ho st", "file:///x",
                "http://[::1", "http://host\n.com", "http://host:port"],
)  # fmt: skip
def test_what_is_no_address(entered):
    with pytest.raises(UsageError, match="is no address of a server"):
        base_url(entered)


def test_a_key_does_not_belong_into_an_address():
    with pytest.raises(UsageError, match="--key-env") as raised:
        base_url("http://me:secret@host:8080")
    assert "secret" not in str(raised.value)


def test_the_client_library_may_be_missing(monkeypatch):
    name = "photosearch.captioning.remote.client"
    monkeypatch.setitem(sys.modules, "openai", None)
    monkeypatch.delitem(sys.modules, name)
    with pytest.raises(ModelError, match=r"pip install 'photosearch\[remote\]'"):
        importlib.import_module(name)


def test_which_addresses_are_this_computer():
    here = [
        "http://localhost/v1",
        "http://127.0.0.1:8080/v1",
        "http://[::1]/v1",
        "http://a.localhost",
    ]
    away = ["http://localhost.example.com/v1", "http://192.168.1.4/v1", "http://0x7f.1/v1"]
    assert [is_this_computer(url) for url in [*here, *away]] == [True] * 4 + [False] * 3
