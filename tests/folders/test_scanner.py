import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from photosearch.domain import FileChange
from photosearch.errors import FolderOfflineError
from photosearch.folders.scanner import (
    BATCH_SIZE,
    ScanBatch,
    is_candidate,
    is_excluded_below,
    reason_not_to_add,
    scan,
)

DIFFICULT = Path(__file__).resolve().parents[3] / "shared" / "photos" / "difficult"


def make(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


class Collected:
    """All that a scan said, by paths relative to the folder."""

    def __init__(self, folder: Path, batches: list[ScanBatch]) -> None:
        events = [event for batch in batches for event in batch.events]
        self.found = sorted(
            os.fspath(e.path.relative_to(folder)) for e in events if e.change is FileChange.FOUND
        )
        self.gone = sorted(
            os.fspath(e.path.relative_to(folder)) for e in events if e.change is FileChange.GONE
        )
        self.known = {
            os.fsencode(e.path): (e.file.size, e.file.mtime_ns)
            for e in events
            if e.file is not None
        }
        self.unreadable = {
            os.fspath(u.path.relative_to(folder)): u.reason for b in batches for u in b.unreadable
        }
        self.unsettled = sorted(
            os.fspath(path.relative_to(folder)) for b in batches for path in b.unsettled
        )
        self.seen = sum(batch.seen for batch in batches)


def collect(
    folder: Path,
    known: Mapping[bytes, tuple[int, int]] | None = None,
    *,
    below: Path | None = None,
    settle_s: float = 0.0,
) -> Collected:
    return Collected(folder, list(scan(folder, known or {}, below=below, settle_s=settle_s)))


def test_new_changed_and_gone_files(tmp_path):
    make(tmp_path, "a.jpg", "b/c.HEIC", "b/d.Png", "b/notes.txt")
    first = collect(tmp_path)
    assert first.found == ["a.jpg", "b/c.HEIC", "b/d.Png"]
    assert first.seen == 3

    again = collect(tmp_path, first.known)
    assert (again.found, again.gone, again.seen) == ([], [], 3)

    (tmp_path / "a.jpg").write_bytes(b"longer")
    os.utime(tmp_path / "b" / "d.Png", ns=(1, 1))
    (tmp_path / "b" / "c.HEIC").rename(tmp_path / "b" / "moved.heic")
    after = collect(tmp_path, first.known)
    assert after.found == ["a.jpg", "b/d.Png", "b/moved.heic"]
    assert after.gone == ["b/c.HEIC"]
    assert after.known[os.fsencode(tmp_path / "a.jpg")][0] == 6


def test_only_what_can_be_a_photo_is_a_candidate(tmp_path):
    make(tmp_path, "a.jpg", "a.jpg.xmp", "a.json", "b.jpg.crdownload", "c.part", "Thumbs.db")
    make(tmp_path, "movie.mp4", "raw.CR2", "noextension", "jpg", ".jpg", ".hidden.jpg", "._a.jpg")
    make(tmp_path, ".thumbnails/a.jpg", "@eaDir/a.jpg", "$RECYCLE.BIN/a.jpg", ".Trash-1000/a.jpg")
    make(tmp_path, "lost+found/a.jpg", "__MACOSX/a.jpg", "x/System Volume Information/a.jpg")
    make(tmp_path, "x/node_modules/logo.png", "Catalog Previews.lrdata/a.jpg", "folder.jpg/b.avif")
    assert collect(tmp_path).found == ["a.jpg", "folder.jpg/b.avif"]
    assert is_candidate("IMG_1.JPEG")
    assert not is_candidate("._IMG_1.JPEG")
    assert is_excluded_below(tmp_path, tmp_path / "x" / "@eaDir" / "y.jpg")
    assert not is_excluded_below(tmp_path / ".photos", tmp_path / ".photos" / "y.jpg")


@pytest.mark.skipif(sys.platform != "linux", reason="names like these exist on Linux only")
def test_every_name_that_linux_allows(tmp_path):
    names = [
        b"new\nline.jpg",
        b"invalid \xff\xfe utf-8.jpg",
        b"x" * 251 + b".jpg",
        "emoji 👩‍👩‍👧.jpg".encode(),
        "bidi \u202egpj.exe.jpg".encode(),
        b"quotes ' \" ` $(rm).jpg",
        b" leading and trailing .jpg",
        b"back\\slash.jpg",
        b"-rf.jpg",
    ]
    for name in names:
        (tmp_path / os.fsdecode(name)).write_bytes(b"x")
    first = collect(tmp_path)
    assert sorted(os.fsencode(name) for name in first.found) == sorted(names)
    again = collect(tmp_path, first.known)
    assert (again.found, again.gone) == ([], [])


def test_links_in_circles_and_to_the_same_place_are_walked_once(tmp_path):
    folder = tmp_path / "photos"
    make(folder, "real/a.jpg", "real/deep/b.jpg")
    make(tmp_path, "elsewhere/c.jpg", "elsewhere/d.jpg")
    (folder / "again").symlink_to(folder / "real")
    (folder / "0-sorts-first").symlink_to(folder / "real" / "deep")
    (folder / "real" / "up").symlink_to(folder)
    (folder / "real" / "self").symlink_to("self")
    (folder / "outside").symlink_to(tmp_path / "elsewhere")
    (folder / "outside-too").symlink_to(tmp_path / "elsewhere")
    (folder / "above").symlink_to(tmp_path)
    (folder / "disk").symlink_to("/")
    (folder / "broken").symlink_to("nowhere")
    (folder / "broken.jpg").symlink_to("nowhere.jpg")
    (folder / "loop.jpg").symlink_to("loop.jpg")
    (folder / "linked.jpg").symlink_to(folder / "real" / "a.jpg")
    found = collect(folder).found
    assert [name for name in found if not name.startswith("outside")] == [
        "linked.jpg",
        "real/a.jpg",
        "real/deep/b.jpg",
    ]
    assert sorted(Path(name).name for name in found if name.startswith("outside")) == [
        "c.jpg",
        "d.jpg",
    ]
    assert collect(folder).unreadable == {}


def test_a_folder_that_is_a_link_itself(tmp_path):
    make(tmp_path, "real/a.jpg")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert collect(tmp_path / "link").found == ["a.jpg"]


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that other users may enter, unlike those of pytest."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@contextmanager
def without_privileges() -> Iterator[None]:
    """Root may read anything, so it steps down for a moment."""
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)


@pytest.mark.skipif(sys.platform == "win32", reason="permissions of POSIX")
def test_what_cannot_be_read_is_reported_and_nothing_below_is_gone(open_folder):
    make(open_folder, "a.jpg", "locked/b.jpg", "locked/deep/c.jpg", "listed/d.jpg", "z/e.jpg")
    first = collect(open_folder)
    (open_folder / "a.jpg").unlink()
    (open_folder / "locked").chmod(0)
    (open_folder / "listed").chmod(0o444)
    try:
        with without_privileges():
            after = collect(open_folder, first.known)
    finally:
        (open_folder / "locked").chmod(0o755)
        (open_folder / "listed").chmod(0o755)
    assert after.unreadable == {
        "locked": "no permission to read it",
        "listed": "no permission to read it",
    }
    assert after.gone == ["a.jpg"]
    assert after.found == []


@pytest.mark.skipif(sys.platform == "win32", reason="permissions of POSIX")
def test_an_unreadable_root_is_offline(open_folder):
    make(open_folder, "photos/a.jpg")
    first = collect(open_folder / "photos")
    (open_folder / "photos").chmod(0)
    try:
        with without_privileges():
            assert reason_not_to_add(open_folder / "photos") == "no permission to read it"
            with pytest.raises(FolderOfflineError, match="no permission"):
                collect(open_folder / "photos", first.known)
    finally:
        (open_folder / "photos").chmod(0o755)


def test_a_missing_or_empty_folder_is_offline_and_deletes_nothing(tmp_path):
    folder = tmp_path / "photos"
    make(folder, "a.jpg", ".directory")
    known = collect(folder).known
    (folder / "a.jpg").unlink()
    with pytest.raises(FolderOfflineError, match="empty"):
        collect(folder, known)
    assert collect(folder).found == []
    shutil.rmtree(folder)
    with pytest.raises(FolderOfflineError, match="not there"):
        collect(folder, known)
    folder.write_bytes(b"")
    with pytest.raises(FolderOfflineError, match="not a folder"):
        collect(folder, known)


def test_a_drive_that_goes_while_it_is_walked_deletes_nothing(tmp_path):
    folder = tmp_path / "photos"
    make(folder, *(f"{number:04}.jpg" for number in range(2 * BATCH_SIZE)))
    known = collect(folder).known
    batches = scan(folder, known)
    next(batches)
    folder.rename(tmp_path / "unplugged")
    folder.mkdir()
    make(folder, "another.jpg")
    with pytest.raises(FolderOfflineError):
        for batch in batches:
            assert not batch.events


def test_slices_are_small_however_the_files_lie(tmp_path):
    make(tmp_path, *(f"flat/{number}.jpg" for number in range(2 * BATCH_SIZE)))
    make(tmp_path, *(f"deep/{number}/a.txt" for number in range(BATCH_SIZE)))
    batches = list(scan(tmp_path, {}))
    assert len(batches) >= 5
    assert max(len(batch.events) for batch in batches) <= BATCH_SIZE
    known = Collected(tmp_path, batches).known
    shutil.rmtree(tmp_path / "flat")
    gone = [len(batch.events) for batch in scan(tmp_path, known)]
    assert sum(gone) == 2 * BATCH_SIZE
    assert max(gone) <= BATCH_SIZE


def test_a_part_of_the_folder(tmp_path):
    make(tmp_path, "a.jpg", "b/c.jpg", "b/d.jpg", "bb/e.jpg", ".hidden/f.jpg")
    known = collect(tmp_path).known
    make(tmp_path, "new.jpg", "b/new.jpg", ".hidden/new.jpg")
    (tmp_path / "b" / "c.jpg").unlink()
    (tmp_path / "bb" / "e.jpg").unlink()
    part = collect(tmp_path, known, below=tmp_path / "b")
    assert (part.found, part.gone) == (["b/new.jpg"], ["b/c.jpg"])
    one = collect(tmp_path, known, below=tmp_path / "new.jpg")
    assert (one.found, one.gone) == (["new.jpg"], [])
    missing = collect(tmp_path, known, below=tmp_path / "bb" / "e.jpg")
    assert (missing.found, missing.gone) == ([], ["bb/e.jpg"])
    shutil.rmtree(tmp_path / "bb")
    assert collect(tmp_path, known, below=tmp_path / "bb").gone == ["bb/e.jpg"]
    assert collect(tmp_path, {}, below=tmp_path / ".hidden" / "new.jpg").found == []
    (tmp_path / "b" / "link").symlink_to(tmp_path)
    (tmp_path / "b" / "sibling").symlink_to(tmp_path / "bb")
    make(tmp_path, "bb/g.jpg")
    assert collect(tmp_path, {}, below=tmp_path / "b").found == ["b/d.jpg", "b/new.jpg"]


def test_files_that_may_still_grow_are_set_apart(tmp_path):
    make(tmp_path, "fresh.jpg", "old.jpg", "future.jpg")
    now_ns = time.time_ns()
    os.utime(tmp_path / "old.jpg", ns=(now_ns - 10**12, now_ns - 10**12))
    os.utime(tmp_path / "future.jpg", ns=(now_ns + 10**15, now_ns + 10**15))
    part = collect(tmp_path, settle_s=100.0)
    assert (part.found, part.unsettled) == (["future.jpg", "old.jpg"], ["fresh.jpg"])
    known = collect(tmp_path).known
    assert collect(tmp_path, known, settle_s=100.0).unsettled == []
    assert collect(tmp_path, known, settle_s=100.0).gone == []


def test_pipes_and_sockets_are_no_photos(tmp_path):
    if not hasattr(os, "mkfifo"):
        pytest.skip("needs named pipes")
    os.mkfifo(tmp_path / "pipe.jpg")
    make(tmp_path, "a.jpg")
    assert collect(tmp_path).found == ["a.jpg"]


def test_reasons_not_to_add(tmp_path):
    assert reason_not_to_add(tmp_path) == ""
    assert reason_not_to_add(tmp_path / "missing") == "it is not there"
    (tmp_path / "file").write_bytes(b"")
    assert reason_not_to_add(tmp_path / "file") == "it is not a folder"


@pytest.mark.skipif(not DIFFICULT.exists(), reason=f"needs the files in {DIFFICULT}")
def test_the_difficult_folder():
    entries = [
        json.loads(line) for line in (DIFFICULT / "manifest.jsonl").read_text("utf-8").splitlines()
    ]
    found = set(collect(DIFFICULT).found)
    assert {entry["file"] for entry in entries if entry["expect"] == "opens"} <= found
    assert not found & {entry["file"] for entry in entries if entry["expect"] == "not a picture"}


def test_the_benchmark_runs():
    script = Path(__file__).parents[1] / "benchmarks" / "rescan.py"
    answer = subprocess.run(
        [sys.executable, script, "--files", "2000"], check=True, capture_output=True, text=True
    )
    assert json.loads(answer.stdout)["second_scan_s"] < 5
