"""Models by command: the tiny LLaVA, downloaded from a server on this computer."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from file_server import FileServer, Handler, cut_after, serving

from photosearch.captioning import memory
from photosearch.cli import run

TINY = Path(__file__).resolve().parents[1] / "tiny_llava"
TEXT, MMPROJ = TINY / "tiny-llava-text-f16.gguf", TINY / "tiny-llava-mmproj-f16.gguf"


@pytest.fixture
def photosearch(paths, capfd):
    """Run a command in this process; return its exit code, output and errors."""

    def call(*arguments):
        code = run(None, ["--library", str(paths.home), *map(str, arguments)])
        out, err = capfd.readouterr()
        assert "Traceback" not in out + err
        return code, out, err

    return call


@pytest.fixture
def server(paths, monkeypatch):
    """A server that has the tiny LLaVA, and a library whose catalogue knows it."""
    for name in ("HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    with serving() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        lines = ["[tiny]", 'title = "Tiny LLaVA"', 'about = "Shapes."', 'repo = "tests/tiny"']
        for kind, path in (("model", TEXT), ("mmproj", MMPROJ)):
            data = path.read_bytes()
            server.files[f"/tests/tiny/resolve/main/{path.name}"] = data
            checksum = hashlib.sha256(data).hexdigest()
            lines.append(
                f'{kind} = {{ name = "{path.name}", size = {len(data)}, sha256 = "{checksum}" }}'
            )
        lines += [
            'licence = { name = "Apache-2.0", url = "https://example.org", note = "be nice" }',
            "shape = { layers = 3, kv_heads = 4, head_width = 24, view_tokens = 256 }",
            'chat = "llava-1.5"',
            'projector = "mlp"',
        ]
        paths.home.mkdir(parents=True, exist_ok=True)
        paths.catalogue.write_text("\n".join(lines))
        yield server


def test_from_the_catalogue_to_the_model_in_use(server: FileServer, photosearch, paths):
    code, out, _ = photosearch("models", "catalogue")
    assert (code, "tiny\n" in out, "Licence: Apache-2.0: be nice" in out) == (0, True, True)
    code, _, err = photosearch("models", "use", "tiny")
    assert (code, "photosearch models download tiny --use" in err) == (2, True)
    assert server.asked == []

    server.troubles = [cut_after(100_000)]
    code, out, err = photosearch("models", "download", "tiny")
    assert (code, "photosearch models use tiny" in out) == (0, True)
    assert f"from {server.url}/tests/tiny, 2 MB" in out
    assert TEXT.name in err and MMPROJ.name in err
    assert sorted(path.name for path in (paths.model_files / "tiny").iterdir()) == sorted(
        (TEXT.name, MMPROJ.name)
    )

    code, out, _ = photosearch("models", "use", "tiny")
    assert (code, "tiny captions from now on" in out) == (0, True)
    asked = len(server.asked)
    assert photosearch("models", "download", "tiny", "--use")[0] == 0
    assert len(server.asked) == asked
    (known,) = json.loads(photosearch("models", "list", "--json")[1])
    assert (known["name"], known["in_use"]) == ("tiny", True)
    listed = {m["name"]: m for m in json.loads(photosearch("models", "catalogue", "--json")[1])}
    assert listed["tiny"]["here"] and not listed["llava-1.5-7b"]["here"]
    assert listed["tiny"]["fit"] == "fits"


def test_removed_with_its_files_or_without(server: FileServer, photosearch, paths):
    photosearch("models", "download", "tiny", "--use")
    folder = paths.model_files / "tiny"
    code, out, _ = photosearch("models", "remove", "tiny")
    assert (code, "its files are still there" in out, folder.is_dir()) == (0, True, True)
    # A second name for the same files keeps them.
    photosearch("models", "use", folder / TEXT.name, "--mmproj", folder / MMPROJ.name, "--name=b")
    assert (
        "no files in photosearch's folder" in photosearch("models", "remove", "tiny", "--files")[1]
    )
    code, out, _ = photosearch("models", "remove", "b", "--files")
    assert (code, "2 MB were deleted" in out, folder.exists()) == (0, True, False)
    assert photosearch("models", "remove", "tiny")[0] == 2


def test_files_elsewhere_are_never_deleted(server: FileServer, photosearch, paths, tmp_path):
    elsewhere = tmp_path / "disk"
    code, out, _ = photosearch("models", "download", "tiny", "--to", elsewhere)
    files = elsewhere / "tiny" / TEXT.name, elsewhere / "tiny" / MMPROJ.name
    assert (code, f"models use {files[0]} --mmproj {files[1]} --name tiny" in out) == (0, True)
    assert photosearch("models", "use", files[0], "--mmproj", files[1], "--name", "tiny")[0] == 0
    assert (
        "no files in photosearch's folder" in photosearch("models", "remove", "tiny", "--files")[1]
    )
    assert all(file.exists() for file in files)


def test_a_download_that_was_given_up_leaves_nothing_when_removed(
    server: FileServer, photosearch, paths
):
    server.troubles = [cut_after(100_000)]
    server.files.pop(f"/tests/tiny/resolve/main/{MMPROJ.name}")
    code, _, err = photosearch("models", "download", "tiny")
    assert (code, "There is nothing at" in err) == (3, True)
    assert photosearch("models", "remove", "tiny", "--files")[0] == 0
    assert list(paths.model_files.iterdir()) == []


def test_a_model_put_there_by_hand_is_used_without_a_server(server, photosearch, paths):
    paths.model_files.mkdir()
    for path in (TEXT, MMPROJ):
        (paths.model_files / path.name).write_bytes(path.read_bytes())
    assert photosearch("models", "use", "tiny")[0] == 0
    assert server.asked == []


def test_names_that_the_catalogue_does_not_have(server: FileServer, photosearch, paths):
    code, _, err = photosearch("models", "download", "llava")
    assert (code, "it has llava-1.5-7b" in err) == (2, True)
    paths.catalogue.write_text("[tiny]\ntitle = 3")
    code, _, err = photosearch("models", "catalogue")
    assert (code, f"{paths.catalogue}, [tiny]: " in err) == (2, True)


def test_a_model_that_is_too_large_is_not_even_fetched(
    server: FileServer, photosearch, paths, monkeypatch
):
    small = memory.Memory(total=10_000_000, available=5_000_000)
    monkeypatch.setattr(memory.Memory, "now", lambda: small)
    code, _, err = photosearch("models", "download", "tiny")
    assert (code, "this computer has 10 MB" in err, "--force" in err) == (3, True, True)
    assert server.asked == []
    code, _, err = photosearch("models", "download", "tiny", "--force")
    assert (code, "Note: tiny needs about" in err) == (0, True)
    assert photosearch("models", "use", "tiny")[0] == 3
    assert photosearch("models", "use", "tiny", "--force")[0] == 0


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C can't be sent to one process there")
def test_ctrl_c_keeps_what_is_there(server: FileServer, photosearch, paths):
    came, over = threading.Event(), threading.Event()

    def stall(handler: Handler) -> None:
        body = TEXT.read_bytes()
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.send_header("ETag", server.etag(handler.path))
        handler.end_headers()
        handler.wfile.write(body[:500_000])
        handler.wfile.flush()
        came.set()
        over.wait(60)

    server.troubles = [stall]
    part = paths.model_files / "tiny" / f"{TEXT.name}.part"
    command = [sys.executable, "-m", "photosearch", "--library", str(paths.home)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [*command, "models", "download", "tiny"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        try:
            assert came.wait(60)
            # Python's own handler may not have run yet when the server has sent the bytes.
            deadline = time.monotonic() + 60
            while not (part.exists() and part.stat().st_size) and time.monotonic() < deadline:
                threading.Event().wait(0.02)
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=60)
        finally:
            over.set()
            process.kill()
    assert (process.returncode, "what is there is kept" in err) == (130, True)
    assert "Traceback" not in err
    assert photosearch("models", "download", "tiny")[0] == 0
    assert "Range" in server.asked[1][1]
