"""`photosearch servers` against real servers on this computer."""

import io
import json

import pytest
from openai_server import OpenAIServer

from photosearch.cli import run
from photosearch.library import PhotoLibrary


@pytest.fixture
def photosearch(paths, capfd):
    """Run a command in this process; return its exit code, output and errors."""

    def call(*arguments):
        code = run(lambda *_: 99, ["--library", str(paths.home), *arguments])
        out, err = capfd.readouterr()
        assert "Traceback" not in out + err
        return code, out, err

    return call


@pytest.fixture
def server():
    server = OpenAIServer(lambda asked: "A dog.", models=("/models/llava-1.6.Q4_K_M.gguf",))
    yield server
    server.close()


@pytest.fixture
def other():
    server = OpenAIServer(lambda asked: "A dog.", models=("llava", "text-only"))
    yield server
    server.close()


def test_a_server_is_added_checked_and_removed(photosearch, server, paths):
    code, out, _ = photosearch("servers", "list")
    assert code == 1 and "servers add" in out
    entered = server.url.removesuffix("/v1")
    code, out, _ = photosearch("servers", "add", entered, "--yes", "--concurrency", "2")
    assert code == 0
    assert "is on this computer: the photos stay here" in out
    assert "llava-1.6.Q4_K_M captions from now on; captions by other models are kept." in out
    code, out, _ = photosearch("servers", "list", "--json")
    assert code == 0
    assert json.loads(out) == [
        {"name": "llava-1.6.Q4_K_M", "url": server.url, "model": "/models/llava-1.6.Q4_K_M.gguf",
         "concurrency": 2, "key_env": "", "in_use": True}
    ]  # fmt: skip
    code, out, _ = photosearch("servers", "list")
    assert code == 0 and out.startswith("* llava-1.6.Q4_K_M") and "2 at once" in out
    code, out, _ = photosearch("servers", "check")
    assert code == 0 and out.startswith(f"+ {server.url}  ")
    server.models = ("another",)
    code, out, _ = photosearch("servers", "check")
    assert code == 1 and "has another, and not /models/llava" in out
    server.vanish()
    code, out, _ = photosearch("servers", "check")
    assert code == 1 and "can't be reached" in out
    code, out, _ = photosearch("servers", "remove", entered)
    assert code == 0
    code, _, err = photosearch("servers", "remove", entered)
    assert code == 2 and "There is no server" in err
    with PhotoLibrary(paths) as library:
        assert library.models.list() == []
        assert library.models.in_use() is None
    assert set(server.paths) == {"/v1/models"}, "no photo was sent"
    server.come_back()


def test_servers_of_one_name_share_the_work(photosearch, server, other, paths):
    assert photosearch("servers", "add", server.url, "--yes", "--name", "pool")[0] == 0
    code, _, err = photosearch("servers", "add", other.url, "--yes", "--name", "pool")
    assert code == 2 and "--model; it has: llava, text-only" in err
    add = ("servers", "add", other.url, "--yes", "--name", "pool", "--model")
    code, _, err = photosearch(*add, "gpt")
    assert code == 2 and "has no model gpt; it has: llava, text-only" in err
    code, out, _ = photosearch(*add, "llava")
    assert code == 0 and "on 2 servers" in out
    assert photosearch(*add, "text-only")[0] == 0, "again, with another model"
    with PhotoLibrary(paths) as library:
        (pool,) = library.models.list()
        assert [(e.url, e.model) for e in pool.endpoints] == [
            (server.url, "/models/llava-1.6.Q4_K_M.gguf"),
            (other.url, "text-only"),
        ]
    assert photosearch("servers", "remove", server.url)[0] == 0
    with PhotoLibrary(paths) as library:
        assert [e.url for e in library.models.in_use().endpoints] == [other.url]
    assert photosearch("servers", "remove", "pool")[0] == 0
    assert photosearch("servers", "list")[0] == 1


def test_it_says_what_leaves_and_asks_first(photosearch, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://user:secret@proxy.example:3128")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    # Nobody is at the keyboard, so that the answer is no; the address is never contacted.
    monkeypatch.setattr("sys.stdin", io.StringIO())
    code, out, err = photosearch("servers", "add", "http://192.0.2.7:8080")
    assert code == 130
    assert "will leave this computer: of every photo" in out and "without place" in out
    assert "They go to 192.0.2.7:8080, and nowhere else." in out
    assert "not encrypted" in out
    assert "pass the proxy proxy.example" in out and "secret" not in out + err
    assert photosearch("servers", "list")[0] == 1


def test_what_can_not_be_added(photosearch, server):
    assert photosearch("servers", "add", "ftp://host")[0] == 2
    server.vanish()
    code, _, err = photosearch("servers", "add", server.url, "--yes")
    assert code == 3 and "can't be reached" in err
    code, _, err = photosearch("servers", "add", server.url, "--yes", "--model", "llava")
    assert code == 0 and "Added all the same" in err
    server.come_back()


def test_a_key_in_place_of_its_variable_is_refused_and_not_shown(photosearch, server):
    key = "sk-SECRET123"
    code, out, err = photosearch("servers", "add", server.url, "--yes", "--key-env", key)
    assert code == 2
    assert "takes the name of an environment variable" in err
    assert "SECRET" not in out + err
    assert server.asked == []
