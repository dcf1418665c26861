import threading
import time
from pathlib import Path

from photosearch.folders.settling import Settling, look


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_path_is_released_after_two_equal_looks(tmp_path):
    clock, path = Clock(), tmp_path / "a.jpg"
    path.write_bytes(b"1")
    settling = Settling(2.0, clock=clock)
    settling.hold([path])
    assert settling.released() == []
    clock.now += 2.0
    assert settling.released() == [path]
    assert settling.released() == []
    assert len(settling) == 0


def test_growth_starts_the_wait_anew(tmp_path):
    clock, path = Clock(), tmp_path / "a.jpg"
    path.write_bytes(b"1")
    settling = Settling(2.0, clock=clock)
    settling.hold([path])
    for size in (2, 3, 4):
        clock.now += 2.0
        path.write_bytes(b"1" * size)
        assert settling.released() == []
    clock.now += 1.9
    settling.hold([path])  # Another hint changes nothing.
    assert settling.released() == []
    clock.now += 0.1
    assert settling.released() == [path]


def test_deleted_files_folders_and_moves_settle_too(tmp_path):
    clock = Clock()
    settling = Settling(1.0, clock=clock)
    gone, back, folder = tmp_path / "gone.jpg", tmp_path / "back.jpg", tmp_path / "folder"
    folder.mkdir()
    settling.hold([gone, back, folder])
    clock.now += 1.0
    back.write_bytes(b"1")
    (folder / "child.jpg").write_bytes(b"1")
    assert settling.released() == [gone, folder]
    clock.now += 1.0
    assert settling.released() == [back]


def test_a_file_that_a_thread_keeps_writing_is_held_until_it_is_whole(tmp_path):
    path = tmp_path / "copy.jpg"
    chunk, chunks = b"x" * 1000, 25
    path.write_bytes(b"")
    settling = Settling(0.25)
    go_on = threading.Event()

    def copy():
        with path.open("ab", buffering=0) as file:
            for _ in range(chunks):
                file.write(chunk)
                go_on.wait(0.02)

    writer = threading.Thread(target=copy)
    settling.hold([path])
    writer.start()
    try:
        deadline = time.monotonic() + 20
        released: list[Path] = []
        while not released and time.monotonic() < deadline:
            released = settling.released()
            go_on.wait(0.01)
    finally:
        writer.join()
    assert released == [path]
    assert look(path) is not None
    assert path.stat().st_size == chunks * len(chunk)
