"""The service with real folders, processes, SQLite and Tantivy; only the captioner is scripted."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import scripted
from running_service import running, wait_for
from scripted import paint

from photosearch import service as service_module
from photosearch.captioners import find_captioners
from photosearch.captioning.model_store import ModelStore
from photosearch.domain import Query, Stage
from photosearch.errors import (
    DiskFullError,
    FolderError,
    LibraryLockedError,
    UnavailableError,
)
from photosearch.library import PhotoLibrary
from photosearch.paths import AppPaths
from photosearch.service import IndexService

RED, GREEN, BLUE, WHITE, HOSTILE = scripted.COLOURS


@pytest.fixture
def library(paths):
    with PhotoLibrary(paths) as library:
        yield library


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "pictures"
    paint(folder / "red.jpg", RED)
    paint(folder / "2019" / "green.png", GREEN)
    paint(folder / "2019" / "blue.webp", BLUE)
    return folder


def captioners(*specs):
    return lambda paths: list(specs or (scripted.tagger_spec(), scripted.spec()))


def run(paths, *specs, **options):
    minutes = options.pop("minutes", 2)
    with IndexService(paths, find_captioners=captioners(*specs), **options) as service:
        service.run(minutes=minutes)
        return service.notices


def watching(paths, *specs):
    """Return a watching service at work."""
    return running(IndexService(paths, find_captioners=captioners(*specs), watch=True))


def found(library, text):
    results = library.search(library.parse(text), limit=1000)
    return sorted(hit.path.name for hit in results.hits if hit.path and not hit.partial)


def test_a_folder_goes_in_and_words_come_out(paths, library, pictures):
    library.add_folder(pictures)
    run(paths)
    assert found(library, "dog") == ["green.png", "red.jpg"]
    assert found(library, "dogs running") == ["green.png"]
    assert found(library, "dog -beach") == ["red.jpg"]
    assert found(library, "") == ["blue.webp", "green.png", "red.jpg"]
    status = library.status()
    assert status.photo_count == 3
    assert library.failures() == []
    for hit in library.search(Query()).hits:
        assert library.thumbnail_path(hit.sha256).is_file()


def test_a_second_run_has_nothing_to_do(paths, library, pictures):
    library.add_folder(pictures)
    run(paths)
    before = {c.created_at for _, c in library.captions()}
    assert run(paths) == []
    assert {c.created_at for _, c in library.captions()} == before


def test_stages_can_be_run_one_by_one(paths, library, pictures):
    library.add_folder(pictures)
    run(paths, stages=[Stage.SCAN])
    assert library.status().photo_count == 3
    assert list(library.captions()) == []
    run(paths, stages=[Stage.TAGS])
    assert {c.model for _, c in library.captions()} == {"scripted-tags"}


def test_all_photos_pass_a_stage_before_any_starts_the_next(paths, library, pictures):
    library.add_folder(pictures)
    spec = scripted.spec(stages=[Stage.FULL, Stage.HALVES], processes=1)
    # A photo whose scan takes longer than all the rest would come late.
    run(paths, spec, stages=[Stage.SCAN])
    run(paths, spec)
    views = [c.view for _, c in sorted(library.captions(), key=lambda row: row[1].created_at)]
    assert views[:3] == ["whole"] * 3
    assert all(view.startswith("half-") for view in views[3:])


def test_what_a_photo_does_to_its_worker_costs_only_that_photo(paths, library, pictures):
    for name in ("crash", "hang", "leak", "refuse", "bug"):
        paint(pictures / f"{name}.png", getattr(scripted, name.upper()))
    library.add_folder(pictures)
    run(paths, scripted.spec(silence_s=2.0))
    assert found(library, "dog") == ["green.png", "red.jpg"]
    reasons = {failure.path.name: failure.reason for failure in library.failures()}
    assert set(reasons) == {"crash.png", "hang.png", "leak.png", "refuse.png", "bug.png"}
    assert "three" in reasons["crash.png"] or "3 tries" in reasons["crash.png"]
    assert "SIGSEGV" in reasons["crash.png"]
    assert "longer than 2 s" in reasons["hang.png"]
    assert "emory" in reasons["leak.png"]
    assert reasons["refuse.png"] == "the model has no words for this"
    assert "KeyError" in reasons["bug.png"]
    assert len(found(library, "")) == 8, "they are found by everything else"
    assert library.retry() == 5
    assert library.failures() == []


def test_a_model_that_can_not_be_loaded_stops_its_stage_with_one_message(paths, library, pictures):
    library.add_folder(pictures)
    notices = run(paths, scripted.tagger_spec(), scripted.spec(make=scripted.refuse_to_start))
    assert notices == ["No captions can be written: the scripted model can't be loaded"]
    assert library.failures() == []
    assert found(library, "dog") == ["green.png", "red.jpg"]
    run(paths)
    assert found(library, "barn") == ["red.jpg"]


def test_hostile_captions_are_stored_and_found_as_they_are(paths, library, tmp_path):
    paint(tmp_path / "pictures" / "evil.png", HOSTILE)
    library.add_folder(tmp_path / "pictures")
    run(paths)
    assert found(library, "bold quotes") == ["evil.png"]
    details = library.photo(library.find_photo(str(tmp_path / "pictures" / "evil.png")))
    assert details.captions[0].text == scripted.COLOURS[HOSTILE]


def test_copies_moves_and_returns_keep_captions_without_captioning_again(paths, library, pictures):
    library.add_folder(pictures)
    run(paths)
    before = list(library.captions())
    shutil.copy(pictures / "red.jpg", pictures / "copy.jpg")
    (pictures / "2019" / "green.png").rename(pictures / "moved.png")
    kept = (pictures / "2019" / "blue.webp").read_bytes()
    (pictures / "2019" / "blue.webp").unlink()
    run(paths)
    assert found(library, "dog") in (["copy.jpg", "moved.png"], ["moved.png", "red.jpg"])
    assert found(library, "boat") == []
    (pictures / "back.webp").write_bytes(kept)
    run(paths)
    assert found(library, "boat") == ["back.webp"]
    assert list(library.captions()) == before


def test_a_changed_file_is_read_again(paths, library, pictures):
    library.add_folder(pictures)
    run(paths)
    paint(pictures / "red.jpg", WHITE, size=(120, 80))
    run(paths)
    assert found(library, "barn") == []
    assert found(library, "cat") == ["red.jpg"]


def test_a_file_that_became_unreadable_is_a_failure_and_no_hit(paths, library, pictures):
    library.add_folder(pictures)
    run(paths)
    (pictures / "red.jpg").write_bytes((pictures / "red.jpg").read_bytes()[:300])
    run(paths)
    assert found(library, "barn") == []
    (failure,) = library.failures()
    assert failure.path.name == "red.jpg"
    assert failure.stage is Stage.SCAN


def test_a_folder_that_is_gone_is_offline_and_stays_findable(paths, library, pictures, tmp_path):
    library.add_folder(pictures)
    run(paths)
    pictures.rename(tmp_path / "elsewhere")
    run(paths)
    (folder,) = library.folders()
    assert not folder.online
    assert "not there" in folder.problem
    assert found(library, "barn") == ["red.jpg"]
    pictures.mkdir()
    run(paths)
    assert found(library, "barn") == ["red.jpg"], "an empty mount point deletes nothing"
    pictures.rmdir()
    (tmp_path / "elsewhere").rename(pictures)
    run(paths)
    (folder,) = library.folders()
    assert folder.online
    assert folder.problem == ""


def test_removing_a_folder_takes_its_photos_out_of_the_answers(paths, library, pictures):
    folder = library.add_folder(pictures)
    run(paths)
    library.remove_folder(folder.id)
    run(paths)
    assert found(library, "") == []
    library.add_folder(pictures)
    run(paths, stages=[Stage.SCAN])
    assert found(library, "barn") == ["red.jpg"], "captions were kept"


def test_a_watching_service_follows_the_folders(paths, library, pictures):
    library.add_folder(pictures)
    with watching(paths):
        wait_for(lambda: found(library, "dog") == ["green.png", "red.jpg"])
        paint(pictures / "new" / "cat.png", WHITE)
        wait_for(lambda: found(library, "cat") == ["cat.png"])
        (pictures / "new" / "cat.png").rename(pictures / "renamed.png")
        wait_for(lambda: found(library, "cat") == ["renamed.png"])
        (pictures / "red.jpg").unlink()
        wait_for(lambda: found(library, "barn") == [])
        shutil.rmtree(pictures / "2019")
        wait_for(lambda: found(library, "dog") == [])


def test_a_file_that_still_grows_is_waited_for(paths, library, pictures, tmp_path, caplog):
    caplog.set_level("INFO", "photosearch")
    library.add_folder(pictures)
    content = paint(tmp_path / "slow.png", WHITE, size=(600, 400)).read_bytes()
    with watching(paths):
        wait_for(lambda: found(library, "dog"))
        with (pictures / "slow.png").open("wb") as file:
            for n in range(15):
                file.write(content[n * len(content) // 15 : (n + 1) * len(content) // 15])
                file.flush()
                time.sleep(0.2)
        wait_for(lambda: found(library, "cat") == ["slow.png"])
        assert library.failures() == []
    # A scan before its end would have failed, and been mended by the next.
    scans = [m for m in caplog.messages if m.startswith("scan ") and m.endswith("slow.png")]
    assert len(scans) == 1


def test_a_running_service_takes_new_folders_pause_and_stop(paths, library, pictures, tmp_path):
    library.add_folder(pictures)
    with watching(paths) as service:
        wait_for(lambda: found(library, "dog"))
        assert wait_for(lambda: library.status().service_pid) == os.getpid()
        library.set_paused(True)
        wait_for(lambda: service._paused)
        paint(tmp_path / "more" / "cat.png", WHITE)
        library.add_folder(tmp_path / "more")
        wait_for(lambda: library.status().file_count == 4)
        assert found(library, "cat") == []
        assert library.status().paused
        library.set_paused(False)
        wait_for(lambda: found(library, "cat") == ["cat.png"])


def test_a_second_service_is_refused_with_a_clear_message(paths, library):
    with (
        IndexService(paths, find_captioners=captioners()),
        pytest.raises(LibraryLockedError, match="Another photosearch"),
    ):
        IndexService(paths, find_captioners=captioners())
    IndexService(paths, find_captioners=captioners()).close()


def test_a_broken_index_is_rebuilt_and_said_so(paths, library, pictures):
    library.add_folder(pictures)
    run(paths)
    for file in paths.index.rglob("*"):
        if file.is_file():
            file.write_bytes(b"rubbish")
    with PhotoLibrary(paths) as again:
        assert found(again, "dog") == ["green.png", "red.jpg"]
        assert any("rebuilt" in notice for notice in again.status().notices)
    shutil.rmtree(paths.index)
    run(paths)
    with PhotoLibrary(paths) as again:
        assert found(again, "dog") == ["green.png", "red.jpg"]


def test_reindex_gives_the_same_answers(paths, library, pictures):
    library.add_folder(pictures)
    run(paths)
    queries = ["", "dog", "dog beach", '"blue boat"', "man woman"]
    before = [library.search(library.parse(q), refine=100) for q in queries]
    assert library.reindex() == 3
    for query, old in zip(queries, before, strict=True):
        new = library.search(library.parse(query), refine=100)
        # Equally good hits may change places.
        assert sorted((h.partial, h.photo_id) for h in new.hits) == sorted(
            (h.partial, h.photo_id) for h in old.hits
        )
        # Until segments merge, documents that were replaced still count in how rare a word is.
        assert set(new.refine) == set(old.refine)
        assert (new.total, new.partial_total) == (old.total, old.partial_total)


def test_originals_are_never_written_to(paths, library, pictures):
    def state():
        return {
            p: (p.read_bytes(), p.stat().st_mtime_ns) for p in pictures.rglob("*") if p.is_file()
        }

    before = state()
    library.add_folder(pictures)
    run(paths)
    library.preview(library.find_photo(str(pictures / "red.jpg")))
    library.reindex()
    assert state() == before


SERVICE = """
import sys
from pathlib import Path
import scripted
from photosearch.paths import AppPaths
from photosearch.service import IndexService
from photosearch.captioners import find_captioners

if __name__ == "__main__":
    def captioners(paths):
        return [scripted.tagger_spec(), scripted.spec(slow_s=0.02)]
    with IndexService(AppPaths(Path(sys.argv[1])), find_captioners=captioners) as service:
        service.run()
        print("finished", flush=True)
"""


def start_service(paths, tmp_path):
    script = tmp_path / "run_service.py"
    script.write_text(SERVICE)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(
        [sys.executable, script, paths.home], env=environment, stdout=subprocess.PIPE
    )


def test_kills_at_any_moment_lose_nothing_and_double_nothing(paths, library, tmp_path):
    pictures = tmp_path / "pictures"
    for n in range(60):
        paint(pictures / f"{n}.png", [RED, GREEN, BLUE, WHITE][n % 4])
    library.add_folder(pictures)
    moments = [
        lambda: library.status().file_count == 60,
        lambda: library.status().photo_count >= 5,
        lambda: library.status().photo_count >= 30,
        lambda: len(saved_captions(library)) >= 10,
        lambda: len(saved_captions(library)) >= 40,
        lambda: len(saved_captions(library)) >= 70,
        lambda: len(saved_captions(library)) >= 100,
    ]
    saved = set()
    for number, is_time in enumerate(moments):
        with start_service(paths, tmp_path) as process:
            wait_for(is_time)
            assert process.poll() is None, "it was killed at work"
            if number % 2:
                for child in psutil.Process(process.pid).children():
                    child.kill()
                time.sleep(0.1)
            process.kill()
        now = saved_captions(library)
        assert saved <= now, "what was saved is still there"
        saved = now
    with start_service(paths, tmp_path) as process:
        assert process.stdout.read().strip() == b"finished"
    rows = [(sha, c.view, c.model) for sha, c in library.captions()]
    assert len(rows) == len(set(rows)) == 60 + 60
    assert found(library, "barn") == sorted(f"{n}.png" for n in range(0, 60, 4))
    assert library.failures() == []
    before = found(library, "dog")
    library.reindex()
    assert found(library, "dog") == before


def saved_captions(library):
    return {(sha, c.view, c.model, c.text) for sha, c in library.captions()}


def test_a_drive_that_goes_while_jobs_wait_fails_nothing(paths, library, tmp_path):
    pictures = tmp_path / "pictures"
    for n in range(30):
        paint(pictures / f"{n}.png", [RED, GREEN, BLUE, WHITE][n % 4])
    library.add_folder(pictures)
    slow = scripted.spec(slow_s=0.05)
    with watching(paths, slow):
        wait_for(lambda: len(saved_captions(library)) >= 5)
        pictures.rename(tmp_path / "unplugged")
        wait_for(lambda: not library.folders()[0].online)
        assert library.failures() == []
        wait_for(lambda: len(found(library, "")) == 30)
        (tmp_path / "unplugged").rename(pictures)
        wait_for(lambda: library.folders()[0].online)
        wait_for(lambda: len(saved_captions(library)) == 30)
    assert library.failures() == []


def test_a_copy_elsewhere_serves_for_a_file_that_went(paths, library, tmp_path):
    for n in range(10):
        paint(tmp_path / "one" / f"{n}.png", RED)
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    library.add_folder(tmp_path / "one")
    library.add_folder(tmp_path / "two")
    run(paths, stages=[Stage.SCAN])
    (tmp_path / "one").rename(tmp_path / "away")
    run(paths)
    assert library.failures() == []
    assert len(found(library, "barn")) == 10


def test_a_file_that_changes_while_it_is_scanned_is_scanned_again(paths, library, tmp_path):
    picture = paint(tmp_path / "pictures" / "a.png", RED)
    library.add_folder(tmp_path / "pictures")
    with IndexService(paths, find_captioners=captioners()) as service:
        service._folders.reconcile()
        while service._folders.step():
            pass
        service._dispatcher.dispatch()
        paint(picture, WHITE, size=(50, 40))
        service._folders.reconcile()
        while service._folders.step():
            pass
        service._dispatcher.wake()
        service.run(minutes=1)
    details = library.photo(library.find_photo(str(picture)))
    assert (details.photo.width, details.photo.height) == (50, 40)
    assert found(library, "cat") == ["a.png"]


def test_a_copy_is_not_captioned_by_what_its_twin_has_become(paths, library, tmp_path):
    twin = paint(tmp_path / "pictures" / "a.png", RED)
    shutil.copy(twin, tmp_path / "pictures" / "z.png")
    library.add_folder(tmp_path / "pictures")
    run(paths, stages=[Stage.SCAN])
    paint(twin, WHITE, size=(50, 40))
    with IndexService(paths, find_captioners=captioners()) as service:
        # Captioning before the folder is looked through, as in a large library.
        service._look_at_wishes()
        service._dispatcher.dispatch()
        service.run(minutes=1)
    assert found(library, "barn") == ["z.png"]
    assert found(library, "cat") == ["a.png"]


def test_ids_of_removed_files_are_not_used_again(paths, library, tmp_path):
    for name in ("one", "two"):
        paint(tmp_path / name / "a.png", RED)
        folder = library.add_folder(tmp_path / name)
        run(paths, stages=[Stage.SCAN])
        library.remove_folder(folder.id)
    assert library.add_folder(tmp_path / "one").id == folder.id + 1


def test_wishes_do_not_stop_what_a_captioner_is_at(paths, library, pictures):
    tiny = Path(__file__).resolve().parents[1] / "tiny_llava"
    ModelStore(paths.models).use(*sorted(tiny.glob("*.gguf"), reverse=True))
    assert find_captioners(paths) == find_captioners(paths)
    with IndexService(paths) as service:
        runners = service._dispatcher.runners
        library.add_folder(pictures)
        service._look_at_wishes()
        assert service._dispatcher.runners is runners


def test_an_index_that_breaks_under_a_running_service_is_rebuilt(paths, library, pictures):
    library.add_folder(pictures)
    with watching(paths):
        wait_for(lambda: found(library, "dog") == ["green.png", "red.jpg"])
        shutil.rmtree(paths.index)
        wait_for(lambda: quietly_found(library, "dog") == ["green.png", "red.jpg"])
        for file in paths.index.glob("*/*"):
            os.truncate(file, 10)
        wait_for(lambda: quietly_found(library, "dog") == ["green.png", "red.jpg"])
        paint(pictures / "cat.png", WHITE)
        wait_for(lambda: quietly_found(library, "cat") == ["cat.png"])
        assert any("rebuilt" in notice for notice in library.notices)


def quietly_found(library, text):
    try:
        return found(library, text)
    except UnavailableError:
        return None


def test_a_lost_index_is_rebuilt_by_an_open_library(paths, library, pictures):
    library.add_folder(pictures)
    run(paths)
    assert found(library, "dog") == ["green.png", "red.jpg"]
    shutil.rmtree(paths.index)
    assert found(library, "dog") == ["green.png", "red.jpg"]
    for file in paths.index.glob("*/*.idx"):
        file.write_bytes(os.urandom(file.stat().st_size))
    with PhotoLibrary(paths) as again:
        assert found(again, "dog") == ["green.png", "red.jpg"]


def test_the_index_of_another_database_is_not_believed(paths, library, pictures):
    library.add_folder(pictures)
    run(paths)
    library.close()
    for file in paths.home.glob("library.sqlite3*"):
        file.unlink()
    with PhotoLibrary(paths) as again:
        assert again.search(Query()).total == 0


def test_a_library_inside_an_indexed_folder_does_not_index_itself(pictures):
    paths = AppPaths(pictures / "photosearch library")
    with PhotoLibrary(paths) as library:
        library.add_folder(pictures)
        run(paths)
        library.preview(library.find_photo(str(pictures / "red.jpg")))
        run(paths)
        assert library.status().file_count == 3


def test_thumbnails_that_were_deleted_come_back(paths, library, pictures):
    library.add_folder(pictures)
    run(paths)
    shutil.rmtree(paths.thumbnails)
    run(paths)
    assert all(library.thumbnail_path(h.sha256).is_file() for h in library.search(Query()).hits)


def test_the_whole_file_system_is_refused_and_nothing_is_lost(library, pictures):
    library.add_folder(pictures)
    with pytest.raises(FolderError, match="whole file system"):
        library.add_folder(Path("/"))
    assert [folder.path for folder in library.folders()] == [pictures]


def test_a_link_to_an_added_folder_is_refused(library, pictures, tmp_path):
    library.add_folder(pictures)
    (tmp_path / "link").symlink_to(pictures)
    with pytest.raises(FolderError, match="indexed already"):
        library.add_folder(tmp_path / "link")


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 3 MB, where this user may mount one."""
    mount = tmp_path / "small"
    mount.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(mount)]
    if (
        shutil.which("mount") is None
        or subprocess.run(command, capture_output=True, check=False).returncode
    ):
        pytest.skip("needs the right to mount a small file system")
    yield mount
    subprocess.run(["umount", "-l", mount], check=True)


def test_a_full_disk_is_told_and_the_next_run_goes_on(small_disk, pictures):
    paths = AppPaths(small_disk / "library")
    with PhotoLibrary(paths) as library:
        library.add_folder(pictures)
        ballast = small_disk / "ballast"
        with pytest.raises(OSError, match="No space"), ballast.open("wb", buffering=0) as file:
            while True:
                file.write(b"x" * 4096)
        with pytest.raises(DiskFullError, match="full"):
            run(paths)
        ballast.unlink()
        run(paths)
        assert found(library, "dog") == ["green.png", "red.jpg"]
        assert library.failures() == []


def test_a_disk_that_fills_up_while_watching_loses_nothing(small_disk, pictures, monkeypatch):
    monkeypatch.setattr(service_module, "_TROUBLE_S", 1.0)
    paths = AppPaths(small_disk / "library")
    with PhotoLibrary(paths) as library:
        library.add_folder(pictures)
        with watching(paths):
            wait_for(lambda: found(library, "dog") == ["green.png", "red.jpg"])
            ballast = small_disk / "ballast"
            with pytest.raises(OSError, match="No space"), ballast.open("wb", buffering=0) as file:
                while True:
                    file.write(b"x" * 4096)
            for n in range(5):
                paint(pictures / f"{n}.png", WHITE)
            time.sleep(4)
            assert found(library, "cat") == []
            ballast.unlink()
            wait_for(lambda: len(quietly_found(library, "cat") or []) == 5)
            wait_for(lambda: all(not stage.waiting for stage in library.status().stages))
        assert library.failures() == []
