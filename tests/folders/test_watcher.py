"""Watching with the real watchdog: what happens on disk arrives, late maybe, but it arrives."""

import logging
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from photosearch.folders.watcher import Watcher

LIMIT_S = 20.0


@pytest.fixture
def watcher():
    with Watcher() as watcher:
        yield watcher


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    return folder


def hints_until(watcher: Watcher, *wanted: Path) -> set[Path]:
    """Collect hints until all of `wanted` are there."""
    got: set[Path] = set()
    deadline = time.monotonic() + LIMIT_S
    while not got >= set(wanted):
        left_s = deadline - time.monotonic()
        assert left_s > 0, f"no hint of {set(wanted) - got}, only {got}"
        watcher.wait(min(left_s, 1.0))
        got |= watcher.drain()
    return got


def test_new_changed_moved_and_deleted_files(watcher, folder):
    assert watcher.add(folder) == ""
    photo = folder / "a.jpg"
    photo.write_bytes(b"1")
    hints_until(watcher, photo)
    with photo.open("ab") as file:
        file.write(b"2")
    hints_until(watcher, photo)
    moved = folder / "b.jpg"
    photo.rename(moved)
    hints_until(watcher, photo, moved)
    moved.unlink()
    hints_until(watcher, moved)


def test_folders_that_appear_move_and_go(watcher, folder, tmp_path):
    (tmp_path / "card" / "DCIM").mkdir(parents=True)
    (tmp_path / "card" / "DCIM" / "1.jpg").write_bytes(b"1")
    assert watcher.add(folder) == ""
    (tmp_path / "card").rename(folder / "card")
    hints_until(watcher, folder / "card")
    late = folder / "card" / "DCIM" / "2.jpg"
    late.write_bytes(b"2")
    hints_until(watcher, late)
    (folder / "card").rename(folder / "trip")
    hints_until(watcher, folder / "card", folder / "trip")
    shutil.rmtree(folder / "trip")
    hints_until(watcher, folder / "trip")


def test_a_finished_download_counts_and_rubbish_does_not(watcher, folder):
    (folder / ".cache").mkdir()
    assert watcher.add(folder) == ""
    (folder / ".cache" / "x.jpg").write_bytes(b"1")
    (folder / "notes.txt").write_bytes(b"1")
    (folder / "a.jpg.part").write_bytes(b"1")
    (folder / "@eaDir").mkdir()
    (folder / "a.jpg.part").rename(folder / "a.jpg")
    assert hints_until(watcher, folder / "a.jpg") == {folder / "a.jpg"}


def test_reading_a_photo_is_no_change(watcher, folder):
    (folder / "a.jpg").write_bytes(b"1")
    assert watcher.add(folder) == ""
    (folder / "a.jpg").read_bytes()
    (folder / "b.jpg").write_bytes(b"1")
    assert hints_until(watcher, folder / "b.jpg") == {folder / "b.jpg"}


def test_several_folders_one_of_them_a_link(watcher, folder, tmp_path):
    (tmp_path / "real").mkdir()
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "real")
    assert watcher.add(folder) == watcher.add(link) == ""
    (folder / "a.jpg").write_bytes(b"1")
    (tmp_path / "real" / "b.jpg").write_bytes(b"1")
    hints_until(watcher, folder / "a.jpg", link / "b.jpg")
    watcher.remove(link)
    (tmp_path / "real" / "c.jpg").write_bytes(b"1")
    (folder / "c.jpg").write_bytes(b"1")
    assert link / "c.jpg" not in hints_until(watcher, folder / "c.jpg")
    assert watcher.problem(link) == "it is not watched"


@pytest.mark.skipif(sys.platform != "linux", reason="names like this exist on Linux only")
def test_names_that_are_no_text(watcher, folder):
    assert watcher.add(folder) == ""
    photo = folder / os.fsdecode(b"\xff\n.jpg")
    photo.write_bytes(b"1")
    hints_until(watcher, photo)


def test_a_folder_that_goes_and_returns(watcher, folder, tmp_path):
    assert watcher.add(folder) == ""
    folder.rename(tmp_path / "unplugged")
    assert "No such file" in watcher.problem(folder)
    assert "No such file" in watcher.add(folder)
    folder.mkdir()
    assert watcher.problem(folder)
    assert watcher.add(folder) == ""
    (folder / "a.jpg").write_bytes(b"1")
    hints_until(watcher, folder / "a.jpg")
    (tmp_path / "unplugged").rename(tmp_path / "moved")
    shutil.rmtree(folder)
    folder.mkdir()
    # The new folder may have the old one's number; that the watch has ended shows a moment later.
    deadline = time.monotonic() + LIMIT_S
    while not watcher.problem(folder):
        assert time.monotonic() < deadline, "nobody noticed that the watch has ended"
        time.sleep(0.01)
    assert watcher.add(folder) == ""


def test_a_flood_becomes_one_scan(folder):
    with Watcher(max_hints=20) as watcher:
        assert watcher.add(folder) == ""
        for number in range(40):
            (folder / f"{number}.jpg").write_bytes(b"1")
        deadline = time.monotonic() + LIMIT_S
        overflowed: set[Path] = set()
        while not overflowed and time.monotonic() < deadline:
            assert watcher.wait(LIMIT_S)
            overflowed = watcher.overflowed()
        assert overflowed == {folder}
        watcher.drain()
        (folder / "after.jpg").write_bytes(b"1")
        hints_until(watcher, folder / "after.jpg")


def test_events_that_the_system_lost_are_told(watcher, folder):
    assert watcher.add(folder) == ""
    logging.getLogger("watchdog.observers.inotify_c").warning("Inotify queue overflowed; ...")
    assert watcher.wait(0)
    assert watcher.overflowed() == {folder}
    assert watcher.overflowed() == set()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")
def test_a_real_overflow_is_told(watcher, folder):
    queue = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    if queue > 50_000:
        pytest.skip(f"the queue of this system holds {queue} events")
    assert watcher.add(folder) == ""
    make_files = (
        "import sys, pathlib\n"
        "for number in range(int(sys.argv[2])): pathlib.Path(sys.argv[1], f'{number}.jpg').touch()"
    )
    writer = subprocess.Popen([sys.executable, "-c", make_files, folder, str(queue)])
    while writer.poll() is None:
        # One long calculation in C keeps watchdog's threads from emptying the queue.
        pow(3, 5_000_000)
    deadline = time.monotonic() + LIMIT_S
    while folder not in watcher.overflowed():
        assert time.monotonic() < deadline
        watcher.wait(1.0)
        watcher.drain()


LIMITED = """
import sys
from pathlib import Path
from photosearch.folders.watcher import Watcher
with Watcher() as watcher:
    print(watcher.add(Path(sys.argv[1])))
    print(watcher.problem(Path(sys.argv[1])))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")
@pytest.mark.parametrize("limit", [0, 5])
def test_watches_that_ran_out_are_told(folder, limit):
    for number in range(10):
        (folder / str(number)).mkdir()
    unshare = ["unshare", "--user", "--map-root-user", "sh", "-c"]
    set_limit = f"echo {limit} > /proc/sys/user/max_inotify_watches"
    try:
        subprocess.run([*unshare, set_limit], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"needs user namespaces: {error}")
    run = f'{set_limit} && exec "$0" -c "$1" "$2"'
    answer = subprocess.run(
        [*unshare, run, sys.executable, LIMITED, folder],
        check=True,
        capture_output=True,
        text=True,
    )
    added, later = answer.stdout.splitlines()
    assert "max_user_watches" in added
    assert "max_user_watches" in later


def test_closing_twice_leaves_no_thread(folder):
    before = set(threading.enumerate())
    watcher = Watcher()
    assert watcher.add(folder) == ""
    assert set(threading.enumerate()) > before
    watcher.close()
    watcher.close()
    assert set(threading.enumerate()) <= before
    assert watcher.problem(folder)
