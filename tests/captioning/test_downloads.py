"""Downloads from a real server that breaks off, refuses, lies, and changes its mind."""

import email.utils
import errno
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from file_server import FileServer, Handler, cut_after, error, serving
from gguf_files import MMPROJ, TEXT

from photosearch.captioning import downloads
from photosearch.captioning.catalogue import CatalogueModel, Licence, ModelFile, Shape
from photosearch.captioning.downloads import download
from photosearch.captioning.model_downloads import download_model
from photosearch.errors import (
    CancelledError,
    DiskFullError,
    DownloadError,
    ModelError,
    UsageError,
)

BODY = b"GGUF" + bytes(range(256)) * 20_000
SHA256 = hashlib.sha256(BODY).hexdigest()
PATH = "/m/model.gguf"


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def server() -> Iterator[FileServer]:
    with serving() as server:
        server.files[PATH] = BODY
        yield server


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "models" / "model.gguf"


def fetch(server: FileServer, target: Path, **options: object) -> None:
    download(server.url + PATH, target, **{"first_wait_s": 0.01, **options})


def names(target: Path) -> list[str]:
    return sorted(path.name for path in target.parent.iterdir())


def test_a_file_arrives_whole_and_alone(server: FileServer, target: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    fetch(server, target, sha256=SHA256, size=len(BODY), progress=lambda *step: seen.append(step))
    assert target.read_bytes() == BODY
    assert names(target) == ["model.gguf"]
    assert seen[0] == (0, len(BODY)) and seen[-1] == (len(BODY), len(BODY))
    assert seen == sorted(seen)
    ((_, headers),) = server.asked
    assert "Authorization" not in headers and "Cookie" not in headers


@pytest.mark.parametrize("checksum", ["", SHA256])
def test_broken_connections_are_taken_up_where_they_broke(
    checksum: str, server: FileServer, target: Path
) -> None:
    server.troubles = [cut_after(1_000_000), cut_after(2_000_000), error(503)]
    fetch(server, target, sha256=checksum)
    assert target.read_bytes() == BODY
    first, second, third, fourth = server.ranges_asked()
    assert first is None
    assert second is not None and 0 < int(second[6:-1]) <= 1_000_000
    assert third == fourth
    assert third is not None and 1_000_000 < int(third[6:-1]) <= 3_000_000
    assert ("If-Range" in server.asked[1][1]) == (not checksum)


def test_more_breaks_than_tries_are_survived_while_it_gets_on(
    server: FileServer, target: Path
) -> None:
    server.troubles = [cut_after(300_000)] * 12
    fetch(server, target, sha256=SHA256)
    assert target.read_bytes() == BODY
    assert len(server.asked) == 13


def test_a_server_without_ranges_begins_anew(server: FileServer, target: Path) -> None:
    server.ranges = False
    server.troubles = [cut_after(1_000_000)]
    fetch(server, target, sha256=SHA256)
    assert target.read_bytes() == BODY
    assert server.ranges_asked()[1] is not None


def test_a_server_that_never_gets_further_is_left(server: FileServer, target: Path) -> None:
    server.ranges = False
    server.troubles = [cut_after(1_000_000)] * 50
    with pytest.raises(DownloadError, match="What is there is kept"):
        fetch(server, target, sha256=SHA256)
    assert len(server.asked) < 10
    assert not target.exists()


def test_without_etag_and_checksum_nothing_is_glued_together(
    server: FileServer, target: Path
) -> None:
    server.etags = False
    server.troubles = [cut_after(1_000_000)]
    fetch(server, target)
    assert target.read_bytes() == BODY
    assert server.ranges_asked() == [None, None]


def test_a_file_that_changes_meanwhile_is_fetched_anew(server: FileServer, target: Path) -> None:
    other = b"GGUF" + bytes(len(BODY) - 4)

    def cut_and_change(handler: Handler) -> None:
        handler.give(stop_after=1_000_000)
        server.files[PATH] = other

    server.troubles = [cut_and_change]
    fetch(server, target)
    assert target.read_bytes() == other


def test_a_part_of_another_file_is_not_used(server: FileServer, target: Path) -> None:
    server.troubles = [cut_after(1_000_000), error(404)]
    with pytest.raises(DownloadError, match="nothing at"):
        fetch(server, target, sha256=SHA256)
    assert names(target) == ["model.gguf.part", "model.gguf.part.json"]
    other = b"GGUF" + bytes(len(BODY))
    server.files[PATH] = other
    fetch(server, target, sha256=hashlib.sha256(other).hexdigest())
    assert target.read_bytes() == other
    assert server.ranges_asked()[-1] is None


@pytest.mark.parametrize("rest", [b"", b"x" * 100])
def test_a_part_as_long_as_the_file_or_longer(
    rest: bytes, server: FileServer, target: Path
) -> None:
    server.troubles = [cut_after(1_000_000), error(404)]
    with pytest.raises(DownloadError):
        fetch(server, target, sha256=SHA256)
    target.with_name("model.gguf.part").write_bytes(BODY + rest)
    asked = len(server.asked)
    fetch(server, target, sha256=SHA256)
    assert target.read_bytes() == BODY
    assert len(server.asked) - asked == (1 if rest else 0)


def test_a_damaged_file_is_deleted(server: FileServer, target: Path) -> None:
    server.files[PATH] = BODY[:-1] + b"!"
    with pytest.raises(DownloadError, match="its checksum is wrong"):
        fetch(server, target, sha256=SHA256)
    assert names(target) == []


def test_a_file_of_another_size_is_refused_before_it_is_fetched(
    server: FileServer, target: Path
) -> None:
    with pytest.raises(DownloadError, match=f"has {len(BODY)} bytes and not 17"):
        fetch(server, target, size=17)
    assert names(target) == []


def test_it_waits_as_long_as_a_busy_server_asks_for(server: FileServer, target: Path) -> None:
    said: list[str] = []
    server.troubles = [error(429, Retry_After="1")]
    started = time.monotonic()
    fetch(server, target, sha256=SHA256, tell=said.append)
    assert time.monotonic() - started >= 1.0
    assert said == ["127.0.0.1: it is busy; trying again in 1 s."]


def test_retry_after_may_be_a_date(server: FileServer, target: Path) -> None:
    server.troubles = [error(503, Retry_After=email.utils.formatdate(time.time() - 5, usegmt=True))]
    fetch(server, target, sha256=SHA256)
    assert len(server.asked) == 2


def test_a_server_that_wants_hours_is_left_at_once(server: FileServer, target: Path) -> None:
    server.troubles = [error(429, Retry_After="7200")]
    with pytest.raises(DownloadError, match="for 120 minutes"):
        fetch(server, target)


def test_a_server_that_stays_broken_is_left(server: FileServer, target: Path) -> None:
    server.troubles = [error(500)] * 50
    with pytest.raises(DownloadError, match=r"its error 500\. What is there is kept"):
        fetch(server, target)
    assert len(server.asked) < 10


@pytest.mark.parametrize(
    ("status", "reason"),
    [(401, "known users only"), (403, "known users only"), (404, "nothing at"), (418, "error 418")],
)
def test_a_refusal_is_final(status: int, reason: str, server: FileServer, target: Path) -> None:
    server.troubles = [error(status)]
    with pytest.raises(DownloadError, match=reason):
        fetch(server, target)
    assert len(server.asked) == 1


def test_a_web_page_is_no_model(server: FileServer, target: Path) -> None:
    server.troubles = [
        lambda handler: handler.answer(200, b"<html>Log in</html>", Content_Type="text/html")
    ]
    with pytest.raises(DownloadError, match="web page instead of the model"):
        fetch(server, target)
    server.files[PATH] = b"<!DOCTYPE html><title>Log in</title>"
    with pytest.raises(DownloadError, match="is no GGUF file"):
        fetch(server, target)
    assert names(target) == []


def test_a_server_that_is_not_there(target: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}{PATH}"
        with pytest.raises(DownloadError, match="can't be downloaded"):
            download(url, target, first_wait_s=0.01)


def redirect(server: FileServer, **headers: str) -> Callable[[Handler], None]:
    server.files["/cdn"] = server.files[PATH]
    return error(302, Location=f"{server.url}/cdn?signature=x", **headers)


def test_what_hugging_face_says_where_it_redirects(server: FileServer, target: Path) -> None:
    linked = {"X_Linked_ETag": f'"{SHA256}"', "X_Linked_Size": str(len(BODY))}
    server.troubles = [redirect(server, **linked), cut_after(1_000_000), redirect(server, **linked)]
    fetch(server, target)
    assert target.read_bytes() == BODY
    assert [path for path, _ in server.asked] == [PATH, "/cdn?signature=x"] * 2
    assert server.ranges_asked()[3] is not None

    target.unlink()
    server.files["/cdn"] = BODY[:-1] + b"!"
    server.troubles = [error(302, Location=f"{server.url}/cdn", **linked)]
    with pytest.raises(DownloadError, match="its checksum is wrong"):
        fetch(server, target)


def test_a_file_that_was_replaced_is_noticed_before_it_is_fetched(
    server: FileServer, target: Path
) -> None:
    server.troubles = [redirect(server, X_Linked_ETag=f'"{"0" * 64}"')]
    with pytest.raises(DownloadError, match="its checksum is another"):
        fetch(server, target, sha256=SHA256)
    assert names(target) == []


def test_redirects_without_end(server: FileServer, target: Path) -> None:
    server.troubles = [error(302, Location=server.url + PATH)] * 50
    with pytest.raises(DownloadError, match="can't be understood"):
        fetch(server, target)


@pytest.fixture
def slow(server: FileServer) -> Iterator[threading.Event]:
    """Has the server send the first half, and the rest only after the test."""
    half, over = threading.Event(), threading.Event()

    def stall(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(BODY)))
        handler.send_header("ETag", server.etag(PATH))
        handler.end_headers()
        handler.wfile.write(BODY[: len(BODY) // 2])
        handler.wfile.flush()
        half.set()
        over.wait(60)

    server.troubles = [stall]
    yield half
    over.set()


def test_a_slow_download_is_cancelled_at_once_and_goes_on_later(
    server: FileServer, target: Path, slow: threading.Event
) -> None:
    cancelled = threading.Event()
    stopped_s: list[float] = []

    def cancel() -> None:
        slow.wait(30)
        stopped_s.append(time.monotonic())
        cancelled.set()

    canceller = threading.Thread(target=cancel)
    canceller.start()
    with pytest.raises(CancelledError, match="what is there is kept"):
        fetch(server, target, sha256=SHA256, cancelled=cancelled)
    canceller.join()
    assert time.monotonic() - stopped_s[0] < 1.0
    assert names(target) == ["model.gguf.part", "model.gguf.part.json"]
    fetch(server, target, sha256=SHA256)
    assert target.read_bytes() == BODY
    assert server.ranges_asked()[1] is not None


def test_waiting_for_a_busy_server_is_cancelled_too(server: FileServer, target: Path) -> None:
    server.troubles = [error(429, Retry_After="500")]
    cancelled = threading.Event()
    with pytest.raises(CancelledError):
        fetch(server, target, cancelled=cancelled, tell=lambda _: cancelled.set())


def test_two_downloads_of_one_file(server: FileServer, target: Path, slow: threading.Event) -> None:
    cancelled = threading.Event()

    def first() -> None:
        with pytest.raises(CancelledError):
            fetch(server, target, sha256=SHA256, cancelled=cancelled)

    other = threading.Thread(target=first)
    other.start()
    slow.wait(30)
    with pytest.raises(DownloadError, match="is being downloaded already"):
        fetch(server, target, sha256=SHA256)
    cancelled.set()
    other.join()
    fetch(server, target, sha256=SHA256)
    assert target.read_bytes() == BODY


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_a_killed_download_goes_on_in_another_process(
    server: FileServer, target: Path, slow: threading.Event
) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from photosearch.captioning.downloads import download\n"
        "download(sys.argv[1], Path(sys.argv[2]), sha256=sys.argv[3],\n"
        "         progress=lambda done, total: print(done, flush=True))"
    )
    arguments = [sys.executable, "-c", code, server.url + PATH, str(target), SHA256]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) > 1_000_000:
                break
        process.send_signal(signal.SIGKILL)
    assert slow.is_set()
    assert "model.gguf.part" in names(target) and not target.exists()
    subprocess.run(arguments, check=True, timeout=60, stdout=subprocess.DEVNULL)
    assert target.read_bytes() == BODY
    assert server.ranges_asked()[1] is not None
    assert names(target) == ["model.gguf"]


def with_free(bytes_free: int, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage("/")._replace(free=bytes_free)
    monkeypatch.setattr(downloads.shutil, "disk_usage", lambda path: usage)


def test_a_disk_that_is_too_small(
    server: FileServer, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_free(downloads._SPARE_BYTES + 2_000_000, monkeypatch)
    with pytest.raises(DiskFullError, match=r"needs 5 MB at .*models, and 3 MB are missing"):
        fetch(server, target)
    assert names(target) == []


def test_a_disk_that_becomes_full(
    server: FileServer, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch, pytest.raises(DiskFullError, match="became full"):
        patch.setattr(os, "fsync", full)
        fetch(server, target, sha256=SHA256)
    assert "model.gguf.part" in names(target)
    fetch(server, target, sha256=SHA256)
    assert target.read_bytes() == BODY


def test_a_folder_that_can_not_be_written(server: FileServer, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    with pytest.raises(DownloadError, match="can't be written"):
        fetch(server, blocked / "model.gguf")


class Proxy(Handler):
    """A proxy for plain HTTP: fetches what it is asked for by its whole address."""

    def give(self, stop_after: int | None = None, **headers: str) -> None:
        assert self.path.startswith("http://models.invalid/")
        self.path = self.path.removeprefix("http://models.invalid")
        super().give(stop_after, **headers)


def test_a_proxy_of_the_environment_is_used(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(Proxy) as proxy:
        proxy.files[PATH] = BODY
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        download(f"http://models.invalid{PATH}", target, sha256=SHA256)
    assert target.read_bytes() == BODY
    assert [path for path, _ in proxy.asked] == [f"http://models.invalid{PATH}"]


def test_a_proxy_that_makes_no_sense(
    server: FileServer, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", "gopher://old.example")
    with pytest.raises(DownloadError, match="The proxy named in the environment"):
        fetch(server, target)


CERTIFICATE = Path(__file__).with_name("data") / "self-signed.pem"


def test_a_server_that_can_not_prove_who_it_is(target: Path) -> None:
    with serving(certificate=CERTIFICATE) as server:
        server.files[PATH] = BODY
        with pytest.raises(DownloadError, match="does not prove who it is"):
            fetch(server, target)
        assert server.asked == []
    assert not target.exists()


def test_an_authority_that_the_system_trusts_is_trusted(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    with serving(certificate=CERTIFICATE) as server:
        server.files[PATH] = BODY
        fetch(server, target, sha256=SHA256)
    assert target.read_bytes() == BODY


def test_a_way_that_ends_unencrypted_is_not_gone(
    server: FileServer, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    with serving(certificate=CERTIFICATE) as first:
        first.troubles = [error(302, Location=server.url + PATH)]
        with pytest.raises(DownloadError, match="not encrypted"):
            fetch(first, target)
    assert not target.exists()


@pytest.fixture
def tiny() -> CatalogueModel:
    def file(path: Path) -> ModelFile:
        data = path.read_bytes()
        return ModelFile(name=path.name, size=len(data), sha256=hashlib.sha256(data).hexdigest())

    return CatalogueModel(
        name="tiny",
        title="Tiny",
        about="Shapes.",
        repo="photosearch/tiny",
        model=file(TEXT),
        mmproj=file(MMPROJ),
        licence=Licence(name="Apache-2.0", url="https://example.org"),
        shape=Shape(layers=3, kv_heads=4, head_width=24, view_tokens=256),
        chat="llava-1.5",
        projector="mlp",
    )


def offer(server: FileServer, model: Path = TEXT, mmproj: Path = MMPROJ) -> None:
    base = "/photosearch/tiny/resolve/main/"
    server.files = {
        base + TEXT.name: model.read_bytes(),
        base + MMPROJ.name: mmproj.read_bytes(),
    }


def test_a_model_of_two_files(server: FileServer, tmp_path: Path, tiny: CatalogueModel) -> None:
    offer(server)
    seen: list[str] = []
    found = download_model(
        tiny, tmp_path, server.url, progress=lambda name, done, total: seen.append(name)
    )
    assert [path.read_bytes() for path in found] == [TEXT.read_bytes(), MMPROJ.read_bytes()]
    assert set(seen) == {TEXT.name, MMPROJ.name}
    assert tiny.find_files(tmp_path) == found
    assert download_model(tiny, tmp_path, server.url) == found
    assert len(server.asked) == 2


def test_what_is_there_is_not_fetched_again(
    server: FileServer, tmp_path: Path, tiny: CatalogueModel
) -> None:
    offer(server)
    (tmp_path / "tiny").mkdir()
    shutil.copy(TEXT, tmp_path / "tiny")
    download_model(tiny, tmp_path, server.url)
    assert [Path(path).name for path, _ in server.asked] == [MMPROJ.name]


def test_files_put_there_by_hand_are_found(tmp_path: Path, tiny: CatalogueModel) -> None:
    for path in (TEXT, MMPROJ):
        shutil.copy(path, tmp_path)
    # Nothing is contacted.
    assert download_model(tiny, tmp_path, "http://127.0.0.1:9") == (
        tmp_path / TEXT.name,
        tmp_path / MMPROJ.name,
    )


def test_another_file_in_the_way(tmp_path: Path, tiny: CatalogueModel) -> None:
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / TEXT.name).write_bytes(b"GGUF")
    with pytest.raises(UsageError, match="is in the way"):
        download_model(tiny, tmp_path, "http://127.0.0.1:9")


def test_room_for_both_files_is_looked_for_first(
    server: FileServer, tmp_path: Path, tiny: CatalogueModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(server)
    with_free(downloads._SPARE_BYTES + tiny.model.bytes + 1000, monkeypatch)
    with pytest.raises(DiskFullError):
        download_model(tiny, tmp_path, server.url)
    assert server.asked == []


def test_two_files_that_do_not_belong_together(
    server: FileServer, tmp_path: Path, tiny: CatalogueModel
) -> None:
    offer(server, MMPROJ, TEXT)
    plain = ModelFile(name=TEXT.name, about_mb=1), ModelFile(name=MMPROJ.name, about_mb=1)
    swapped = CatalogueModel(
        **{name: getattr(tiny, name) for name in tiny.__struct_fields__}
        | {"model": plain[0], "mmproj": plain[1]}
    )
    with pytest.raises(ModelError, match="swapped"):
        download_model(swapped, tmp_path, server.url)
