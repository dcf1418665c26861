import multiprocessing
import os
import signal
import sqlite3
import threading

import pytest

from photosearch.domain import JobKind, PictureInfo, Stage
from photosearch.errors import LibraryDamagedError, LibraryTooNewError
from photosearch.storage import database as database_module
from photosearch.storage.caption_store import CaptionStore
from photosearch.storage.database import Database
from photosearch.storage.job_queue import JobQueue
from photosearch.storage.photo_store import PhotoStore


def test_a_new_library_has_the_current_version(paths):
    with Database(paths.database) as database:
        version = database.first("PRAGMA user_version")[0]
        assert version == len(database_module._migrations()) >= 1
        assert database.check() == []


def test_opening_again_keeps_what_is_there(paths):
    with Database(paths.database) as database, database.transaction() as write:
        write.execute("INSERT INTO state VALUES ('a', '1')")
    with Database(paths.database) as database:
        assert database.first("SELECT value FROM state")["value"] == "1"


def test_a_library_of_a_newer_version_is_refused_and_left_alone(paths):
    Database(paths.database).close()
    with sqlite3.connect(paths.database) as connection:
        connection.execute("PRAGMA user_version = 999")
    connection.close()
    with pytest.raises(LibraryTooNewError, match=r"newer photosearch.*999"):
        Database(paths.database)
    connection = sqlite3.connect(paths.database)
    assert connection.execute("PRAGMA user_version").fetchone() == (999,)
    connection.close()


def test_a_failed_migration_leaves_the_old_version(paths, monkeypatch):
    Database(paths.database).close()
    scripts = database_module._migrations()
    monkeypatch.setattr(
        database_module,
        "_migrations",
        lambda: [*scripts, "CREATE TABLE half (a);\nINSERT INTO nowhere VALUES (1);"],
    )
    with pytest.raises(sqlite3.OperationalError):
        Database(paths.database)
    monkeypatch.undo()
    with Database(paths.database) as database:
        assert database.first("SELECT name FROM sqlite_master WHERE name = 'half'") is None


@pytest.mark.parametrize("damage", [b"no database at all, just words " * 99, None])
def test_a_damaged_library_says_so_and_what_to_do(paths, damage):
    with Database(paths.database) as database, database.transaction() as write:
        write.execute_many(
            "INSERT INTO state VALUES (?, ?)", [(f"key {n}", "x" * 500) for n in range(500)]
        )
    content = paths.database.read_bytes()
    broken = damage or content[:6000] + os.urandom(len(content) - 6000)
    paths.database.write_bytes(broken)
    with (
        pytest.raises(LibraryDamagedError, match="photos are not affected"),
        Database(paths.database) as database,
    ):
        database.query("SELECT * FROM state ORDER BY value")


def test_a_transaction_is_all_or_nothing(database):
    with pytest.raises(RuntimeError, match="stop"), database.transaction() as write:
        write.execute("INSERT INTO state VALUES ('a', '1')")
        with database.transaction() as inner:
            inner.execute("INSERT INTO state VALUES ('b', '1')")
        raise RuntimeError("stop")
    assert database.query("SELECT * FROM state") == []


def test_data_version_tells_of_every_commit(database):
    before = database.data_version()
    assert database.data_version() == before
    with database.transaction() as write:
        write.execute("INSERT INTO state VALUES ('a', '1')")
    assert database.data_version() != before


def test_threads_write_side_by_side(database):
    def add(name):
        for n in range(50):
            with database.transaction() as write:
                write.execute("INSERT INTO state VALUES (?, '1')", (f"{name} {n}",))

    threads = [threading.Thread(target=add, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert database.first("SELECT count(*) FROM state")[0] == 150


def _write_for_ever(path, ready):
    database = Database(path)
    n = 0
    while True:
        with database.transaction() as write:
            write.execute("INSERT INTO state VALUES (?, ?)", (f"a {n}", "1"))
            write.execute("INSERT INTO state VALUES (?, ?)", (f"b {n}", "1"))
        n += 1
        if n == 20:
            ready.set()


def test_a_killed_writer_leaves_whole_transactions(paths):
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    process = context.Process(target=_write_for_ever, args=(paths.database, ready))
    process.start()
    assert ready.wait(30)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    with Database(paths.database) as database:
        counts = database.query("SELECT substr(key, 1, 1) AS k, count(*) FROM state GROUP BY k")
        assert counts[0][1] == counts[1][1] >= 20
        assert database.check() == []


def test_a_library_of_the_first_version_goes_on(paths, monkeypatch):
    scripts = database_module._migrations()
    with monkeypatch.context() as patch:
        patch.setattr(database_module, "_migrations", lambda: scripts[:1])
        with Database(paths.database) as old, old.transaction() as write:
            write.execute(
                "INSERT INTO photo (id, sha256, width, height, format, taken_at, camera)"
                " VALUES (1, x'aa', 4, 3, 'JPEG', 7.5, '')"
            )
            write.execute(
                "INSERT INTO caption (photo_id, view, model, prompt, text, created_at)"
                " VALUES (1, 'whole', 'llava', 'Describe this image in detail.', 'a dog', 1)"
            )
            for stage, model in (("tags", "instant-1"), ("full", "llava"), ("ninths", "llava")):
                write.execute(
                    "INSERT INTO job (stage, photo_id, model, state, recency, changed_at)"
                    " VALUES (?, 1, ?, 'done', 7.5, 1)",
                    (stage, model),
                )
    with Database(paths.database) as database:
        asked = JobKind(Stage.FULL, "llava", "Describe this image in detail.")
        kinds = [JobKind(Stage.TAGS, "instant-1"), asked]
        jobs = JobQueue(database)
        jobs.ensure(kinds)
        # Nothing is done again.
        assert [jobs.lease(kind) for kind in kinds] == [None, None]
        (caption,) = CaptionStore(database).of(1)
        assert (caption.text, caption.raw, caption.skipped) == ("a dog", "", "")


def test_an_old_librarys_files_are_scanned_again_for_ratings_and_places(paths, monkeypatch):
    scripts = database_module._migrations()
    with monkeypatch.context() as patch:
        patch.setattr(database_module, "_migrations", lambda: scripts[:2])
        with Database(paths.database) as old, old.transaction() as write:
            write.execute("INSERT INTO folder (path) VALUES (x'2f70')")
            write.execute(
                "INSERT INTO photo (id, sha256, width, height, format, taken_at, camera)"
                " VALUES (1, x'aa', 4, 3, 'JPEG', 7.5, '')"
            )
            for file_id, path, state in ((1, b"/p/a", "done"), (2, b"/p/b", "failed")):
                write.execute(
                    "INSERT INTO file (id, folder_id, path, size, mtime_ns, photo_id)"
                    " VALUES (?, 1, ?, 1, 1, 1)",
                    (file_id, path),
                )
                write.execute(
                    "INSERT INTO job (stage, file_id, state, strikes, recency, changed_at)"
                    " VALUES ('scan', ?, ?, 2, 7.5, 1)",
                    (file_id, state),
                )
    with Database(paths.database) as database:
        jobs, photos = JobQueue(database), PhotoStore(database)
        assert photos.photo(1).stars == 0
        job = jobs.lease(JobKind(Stage.SCAN))
        assert (job.path.name, job.strikes) == ("a", 0)
        # What could not be read then can't be read now.
        assert jobs.lease(JobKind(Stage.SCAN)) is None
        photos.record_scan(job, PictureInfo(b"\xaa", 4, 3, "JPEG", stars=3, place="Rome"), [])
        assert (photos.photo(1).stars, photos.photo(1).place) == (3, "Rome")
