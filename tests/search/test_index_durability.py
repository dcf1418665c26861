import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest
from indexed_photos import known, put

from photosearch.errors import DiskFullError, LibraryLockedError
from photosearch.search.caption_index import CaptionIndex, IndexDamagedError
from photosearch.search.query import parse

ROOT = Path(__file__).resolve().parents[2]


def run_script(script, *arguments):
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


def segments(folder):
    """The files of the index proper, without locks."""
    return sorted(p for p in folder.rglob("*") if p.is_file() and not p.name.endswith(".lock"))


WRITE_FOR_EVER = """
    import sys
    from pathlib import Path
    from photosearch.search.caption_index import CaptionIndex
    from photosearch.search.index_document import PhotoDocument

    with CaptionIndex.open(Path(sys.argv[1])).writer() as writer:
        photo_id = 0
        while True:
            for _ in range(20):
                photo_id += 1
                words = {"dog": 3, f"number{photo_id}": 3} | {f"filler{n}": 1 for n in range(50)}
                writer.put(PhotoDocument(photo_id, sure=words))
            writer.commit()
            print(photo_id, flush=True)
"""


@pytest.mark.parametrize("batches", [1, 4, 11])
def test_a_killed_writer_leaves_its_last_commit_and_no_lock(tmp_path, batches):
    process = run_script(WRITE_FOR_EVER, tmp_path)
    for _ in range(batches):
        process.stdout.readline()
    time.sleep(0.003 * batches)  # somewhere inside a batch, a commit or a merge
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    committed = max([20 * batches, *map(int, process.stdout.read().split())])
    process.stdout.close()

    index = CaptionIndex.open(tmp_path)
    assert committed <= index.photo_count <= committed + 20
    assert index.search(parse("dog")).total == index.photo_count
    assert index.search(parse(f"number{committed}")).total == 1
    put(index, {1: "dog number1 again"})
    index.reload()
    assert index.search(parse("again")).photo_ids == (1,)


def test_readers_in_other_processes_see_commits_when_they_reload(tmp_path):
    reading = """
        import sys
        from pathlib import Path
        from photosearch.search.caption_index import CaptionIndex
        from photosearch.search.query import parse

        index = CaptionIndex.open(Path(sys.argv[1]))
        print(index.search(parse("dog")).total, flush=True)
        sys.stdin.readline()
        print(index.search(parse("dog")).total, index.reload(), index.reload(),
              index.search(parse("dog")).total, flush=True)
    """
    here = CaptionIndex.open(tmp_path)
    put(here, {1: "dog"})
    there = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(reading), str(tmp_path)],
        cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert there.stdout and there.stdout.readline() == "1\n"
    put(here, {2: "dog", 3: "dog"})
    assert here.search(parse("dog")).total == 0, "a snapshot stays as it is"
    assert here.reload()
    assert not here.reload()
    assert here.search(parse("dog")).total == 3
    output, _ = there.communicate("\n", timeout=30)
    assert output == "1 True False 3\n"


def test_only_one_writer_at_a_time(tmp_path):
    index = CaptionIndex.open(tmp_path)
    with index.writer():
        with pytest.raises(LibraryLockedError):
            index.writer()
        process = run_script(
            """
            import sys
            from pathlib import Path
            from photosearch.errors import LibraryLockedError
            from photosearch.search.caption_index import CaptionIndex
            try:
                CaptionIndex.open(Path(sys.argv[1])).writer()
            except LibraryLockedError as error:
                print(error)
            """,
            tmp_path,
        )
        assert "Another process" in process.communicate(timeout=30)[0]
    index.writer().close()


def test_threads_may_search_and_reload_while_a_writer_commits(tmp_path):
    index = CaptionIndex.open(tmp_path)
    done = threading.Event()
    results = []

    def read():
        while not done.is_set():
            index.reload()
            found = index.search(parse("dog"), limit=1000, refine=5)
            results.append(len(found.photo_ids) == found.total and found.total % 20 == 0)

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    with index.writer() as writer:
        for batch in range(15):
            for photo_id in range(20 * batch, 20 * batch + 20):
                writer.put(known("A dog and a cat.", "A dog and a ball.").document(photo_id))
            writer.commit()
    done.set()
    for reader in readers:
        reader.join()
    assert results and all(results)
    index.reload()
    assert index.search(parse("dog")).total == 300


def test_what_is_not_committed_is_dropped(tmp_path):
    index = CaptionIndex.open(tmp_path)
    with index.writer() as writer:
        writer.put(known("A dog.").document(1))
    index.reload()
    assert index.photo_count == 0


def test_beginning_anew_takes_readers_along(tmp_path):
    index = CaptionIndex.open(tmp_path)
    put(index, {1: "dog"})
    index.reload()
    fresh = CaptionIndex.create(tmp_path)
    assert fresh.generation != index.generation
    assert index.search(parse("dog")).total == 1, "the old one answers until the reload"
    put(fresh, {2: "cat"})
    assert index.reload()
    assert index.generation == fresh.generation
    assert index.search(parse("")).photo_ids == (2,)
    assert len([p for p in tmp_path.iterdir() if p.is_dir()]) == 1


def test_opening_again_keeps_everything(tmp_path):
    index = CaptionIndex.open(tmp_path)
    put(index, {1: "dog"})
    again = CaptionIndex.open(tmp_path)
    assert again.generation == index.generation
    assert again.search(parse("dog")).photo_ids == (1,)


def test_many_open_an_index_that_is_not_there_yet(tmp_path):
    opened = []
    threads = [
        threading.Thread(target=lambda: opened.append(CaptionIndex.open(tmp_path / "new")))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({index.generation for index in opened}) == 1
    assert len(opened) == 8


def test_every_missing_or_broken_file_is_noticed(tmp_path):
    index = CaptionIndex.open(tmp_path)
    put(index, {n: f"dog number{n}" for n in range(300)})
    files = segments(tmp_path)
    assert len(files) > 5
    for path in files:
        if path.name == ".managed.json" or path.suffix == ".store":
            continue  # Tantivy makes do without the first, and we never read the second
        content = path.read_bytes()
        for broken in (None, b"", content[: len(content) // 2], b"\xff" * len(content)):
            if broken is None:
                path.unlink()
            else:
                path.write_bytes(broken)
            with pytest.raises(IndexDamagedError):
                CaptionIndex.open(tmp_path)
                pytest.fail(f"{path.name} with {broken and len(broken)} bytes was not noticed")
            path.write_bytes(content)
    assert CaptionIndex.open(tmp_path).search(parse("dog")).total == 300


@pytest.mark.parametrize(
    "written",
    ["", "{", "[]", "null", '{"version": "0"}', '{"version": 7, "generation": "x"}', "\xff"],
)
def test_another_format_is_refused_and_can_be_begun_anew(tmp_path, written):
    put(CaptionIndex.open(tmp_path), {1: "dog"})
    (tmp_path / "format.json").write_text(written, encoding="latin-1")
    with pytest.raises(IndexDamagedError):
        CaptionIndex.open(tmp_path)
    index = CaptionIndex.create(tmp_path)
    put(index, {2: "cat"})
    index.reload()
    assert index.search(parse("")).photo_ids == (2,)
    assert CaptionIndex.open(tmp_path).photo_count == 1


def test_an_index_of_another_version_says_so(tmp_path):
    CaptionIndex.open(tmp_path)
    found = json.loads((tmp_path / "format.json").read_text())
    (tmp_path / "format.json").write_text(json.dumps(found | {"version": "0.0 index_format v1"}))
    with pytest.raises(IndexDamagedError, match="another version"):
        CaptionIndex.open(tmp_path)


def test_an_index_whose_format_file_is_lost_is_damaged_not_empty(tmp_path):
    put(CaptionIndex.open(tmp_path), {1: "dog"})
    (tmp_path / "format.json").unlink()
    with pytest.raises(IndexDamagedError):
        CaptionIndex.open(tmp_path)


def test_a_reader_whose_index_vanishes_says_so(tmp_path):
    index = CaptionIndex.open(tmp_path)
    (tmp_path / "format.json").unlink()
    with pytest.raises(IndexDamagedError):
        index.reload()


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = os.geteuid() == 0 and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder], check=False, capture_output=True
    )
    if not mounted or mounted.returncode:
        pytest.skip("needs the right to mount a small file system")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk_is_named_and_costs_nothing_committed(small_disk):
    index = CaptionIndex.open(small_disk / "index")
    put(index, {1: "dog"})
    filler = small_disk / "filler"
    with pytest.raises(DiskFullError):
        for photo_id in range(2, 400):
            put(index, {photo_id: " ".join(f"word{photo_id}x{n}" for n in range(2000))})
    filler.unlink(missing_ok=True)
    again = CaptionIndex.open(small_disk / "index")
    assert again.search(parse("dog")).photo_ids == (1,)
