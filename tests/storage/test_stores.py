import os
from dataclasses import replace
from pathlib import Path

import pytest

from photosearch.domain import (
    FileChange,
    FileEvent,
    FoundFile,
    JobKind,
    JobState,
    PictureInfo,
    Stage,
    Tag,
    ViewCaption,
)
from photosearch.storage import job_queue
from photosearch.storage.caption_store import CaptionStore
from photosearch.storage.job_queue import LOOKED_AT, MAX_STRIKES, NEARLY_FOUND, JobQueue
from photosearch.storage.photo_store import PhotoFacts, PhotoStore

SCAN = JobKind(Stage.SCAN)
TAGS = JobKind(Stage.TAGS, "instant-1")
FULL = JobKind(Stage.FULL, "llava", "Describe")
OTHER = JobKind(Stage.FULL, "other", "Describe")
LATER = [TAGS, FULL]


def info(content, taken="2019-07-01T12:00:00", camera="Canon"):
    return PictureInfo(content.ljust(32, b"\0"), 640, 480, "JPEG", taken, camera)


def found(path, mtime_s=1_000_000_000, size=10):
    return FileEvent(FileChange.FOUND, Path(path), FoundFile(Path(path), size, mtime_s * 10**9))


@pytest.fixture
def photos(database):
    return PhotoStore(database)


@pytest.fixture
def jobs(database):
    return JobQueue(database)


@pytest.fixture
def captions(database):
    return CaptionStore(database)


@pytest.fixture
def folder(photos):
    return photos.add_folder(Path("/pictures"))


def scan_all(photos, jobs, contents):
    """Run the scan stage as the service does; `contents` maps file names to bytes."""
    ids = {}
    while job := jobs.lease(SCAN):
        content = contents.get(job.path.name, os.fsencode(job.path.name))
        ids[job.path.name] = photos.record_scan(job, info(content), LATER)
    return ids


def test_the_newest_file_is_scanned_first(photos, jobs, folder):
    photos.apply(folder.id, [found("/pictures/old", 1), found("/pictures/new", 3),
                             found("/pictures/mid", 2)])  # fmt: skip
    assert [jobs.lease(SCAN).path.name for _ in range(3)] == ["new", "mid", "old"]
    assert jobs.lease(SCAN) is None


def test_copies_of_a_file_are_one_photo_with_one_job(photos, jobs, folder):
    photos.apply(folder.id, [found("/pictures/a.jpg"), found("/pictures/b.jpg")])
    ids = scan_all(photos, jobs, {"a.jpg": b"same", "b.jpg": b"same"})
    assert ids["a.jpg"] == ids["b.jpg"]
    assert photos.photo(ids["a.jpg"]).paths == (Path("/pictures/a.jpg"), Path("/pictures/b.jpg"))
    assert photos.counts() == (1, 2)
    (tags,) = jobs.progress([TAGS])
    assert tags.waiting == 1


def test_a_moved_file_keeps_its_captions(photos, jobs, captions, folder):
    photos.apply(folder.id, [found("/pictures/a.jpg")])
    (before,) = scan_all(photos, jobs, {"a.jpg": b"content"}).values()
    captions.save(jobs.lease(TAGS), [ViewCaption("whole", "dog")])
    gone = FileEvent(FileChange.GONE, Path("/pictures/a.jpg"))
    photos.apply(folder.id, [gone, found("/pictures/deep/b.jpg")])
    assert photos.photo(before).paths == ()
    (after,) = scan_all(photos, jobs, {"b.jpg": b"content"}).values()
    assert after == before
    assert [caption.text for caption in captions.of(after)] == ["dog"]
    assert jobs.lease(TAGS) is None


def test_changed_content_is_another_photo_and_both_are_indexed_anew(photos, jobs, folder):
    photos.apply(folder.id, [found("/pictures/a.jpg")])
    (old,) = scan_all(photos, jobs, {"a.jpg": b"before"}).values()
    photos.mark_indexed(revision for revision, _ in photos.unindexed(10))
    photos.apply(folder.id, [found("/pictures/a.jpg", size=11)])
    assert photos.photo(old).paths, "it stays findable until it has been read again"
    (new,) = scan_all(photos, jobs, {"a.jpg": b"after"}).values()
    assert new != old
    assert {photo_id for _, photo_id in photos.unindexed(10)} == {old, new}
    assert set(photos.facts([old, new])) == {new}


def test_names_that_are_no_unicode_survive(photos, jobs, folder):
    name = os.fsdecode(b"bad \xff\xfe name\n.jpg")
    photos.apply(folder.id, [found(f"/pictures/{name}")])
    ids = scan_all(photos, jobs, {})
    assert photos.photo(ids[name]).paths == (Path("/pictures") / name,)
    assert os.fsencode(f"/pictures/{name}") in photos.known_files(folder.path)


def test_date_falls_back_to_the_files_time(photos, jobs, folder):
    photos.apply(folder.id, [found("/pictures/a.jpg", 1_000_000_000)])
    photo_id = photos.record_scan(jobs.lease(SCAN), info(b"x", taken=""), [])
    assert abs(photos.photo(photo_id).taken_at - 1_000_000_000) <= 14 * 3600


def test_a_parent_folder_takes_over_the_folders_inside(photos, jobs):
    inner = photos.add_folder(Path("/pictures/2019"))
    other = photos.add_folder(Path("/pictures-2"))
    photos.apply(inner.id, [found("/pictures/2019/a.jpg")])
    scan_all(photos, jobs, {})
    outer = photos.add_folder(Path("/pictures"))
    assert [f.id for f in photos.folders()] == [outer.id, other.id]
    assert photos.folders()[0].photo_count == 1


def test_removing_a_folder_unindexes_its_photos_and_keeps_captions(photos, jobs, captions, folder):
    photos.apply(folder.id, [found("/pictures/a.jpg")])
    (photo_id,) = scan_all(photos, jobs, {}).values()
    captions.save(jobs.lease(TAGS), [ViewCaption("whole", "dog")])
    photos.mark_indexed(revision for revision, _ in photos.unindexed(10))
    assert photos.remove_folder(folder.id)
    assert not photos.remove_folder(folder.id)
    assert [photo_id] == [p for _, p in photos.unindexed(10)]
    assert photos.facts([photo_id]) == {}
    assert captions.of(photo_id)
    assert photos.counts() == (0, 0)


def test_events_for_a_removed_folder_are_dropped(photos, folder):
    photos.remove_folder(folder.id)
    photos.apply(folder.id, [found("/pictures/a.jpg")])
    assert photos.counts() == (0, 0)


def test_three_strikes_set_a_job_aside_and_retry_brings_it_back(photos, jobs, folder):
    photos.apply(folder.id, [found("/pictures/bad.jpg", 9), found("/pictures/good.jpg", 1)])
    bad = jobs.lease(SCAN)
    assert jobs.strike(bad, "crashed (SIGSEGV)") is JobState.WAITING
    good = jobs.lease(SCAN)
    assert good.path.name == "good.jpg", "the one that kills workers comes last"
    for _ in range(MAX_STRIKES - 1):
        bad = jobs.lease(SCAN)
        jobs.strike(bad, "crashed (SIGSEGV)")
    assert jobs.lease(SCAN) is None
    (failure,) = jobs.failures()
    assert failure.path == Path("/pictures/bad.jpg")
    assert "crashed (SIGSEGV)" in failure.reason
    assert jobs.retry([failure.job_id]) == 1
    assert jobs.lease(SCAN).strikes == 0


def test_a_changed_file_gets_a_new_chance_whatever_the_running_job_says(photos, jobs, folder):
    photos.apply(folder.id, [found("/pictures/a.jpg")])
    job = jobs.lease(SCAN)
    photos.apply(folder.id, [found("/pictures/a.jpg", size=99)])
    jobs.fail(job, "the file is cut off")
    assert jobs.failures() == []
    assert jobs.lease(SCAN) is not None


def test_jobs_of_folders_that_are_offline_wait(photos, jobs, folder):
    photos.apply(folder.id, [found("/pictures/a.jpg"), found("/pictures/b.jpg")])
    photos.record_scan(jobs.lease(SCAN), info(b"a"), LATER)
    photos.set_problem(folder.id, "not connected", online=False)
    assert jobs.lease(SCAN) is None
    assert jobs.lease(TAGS) is None
    photos.set_problem(folder.id, "", online=True)
    assert jobs.lease(SCAN) is not None
    assert jobs.lease(TAGS) is not None


def test_what_a_killed_service_left_running_waits_again(photos, jobs, folder):
    photos.apply(folder.id, [found("/pictures/a.jpg")])
    assert jobs.lease(SCAN)
    assert jobs.lease(SCAN) is None
    assert jobs.release_all() == 1
    assert jobs.lease(SCAN).strikes == 0


def test_another_model_gets_its_own_jobs_and_destroys_no_captions(photos, jobs, captions, folder):
    photos.apply(folder.id, [found("/pictures/a.jpg")])
    (photo_id,) = scan_all(photos, jobs, {}).values()
    captions.save(jobs.lease(FULL), [ViewCaption("whole", "a dog")])
    jobs.ensure([OTHER, FULL])
    assert jobs.lease(FULL) is None
    captions.save(jobs.lease(OTHER), [ViewCaption("whole", "a cat")])
    assert [c.text for c in captions.of(photo_id)] == ["a dog", "a cat"]
    exported = list(captions.all())
    assert [c.model for _, c in exported] == ["llava", "other"]
    assert exported[0][0] == b"a.jpg".ljust(32, b"\0")


def test_tags_come_back_as_they_were_saved(photos, jobs, captions, folder):
    photos.apply(folder.id, [found("/pictures/a.jpg")])
    (photo_id,) = scan_all(photos, jobs, {}).values()
    tags = (Tag("dog", 0.75), Tag("tabby", 0.5, ("tabby cat", "猫")))
    captions.save(jobs.lease(TAGS), [ViewCaption("whole", "dog, tabby", tags)])
    assert captions.of(photo_id)[0].tags == tags


def test_progress_counts_what_is_there(photos, jobs, captions, folder):
    photos.apply(folder.id, [found(f"/pictures/{n}.jpg") for n in range(4)])
    jobs.fail(jobs.lease(SCAN), "cut off")
    scan_all(photos, jobs, {})
    captions.save(jobs.lease(TAGS), [])
    jobs.lease(TAGS)
    scan, tags = jobs.progress([SCAN, TAGS])
    assert (scan.done, scan.waiting, scan.failed) == (3, 0, 1)
    assert (tags.done, tags.waiting, tags.failed) == (1, 2, 0)
    photos.remove_folder(folder.id)
    scan, tags = jobs.progress([SCAN, TAGS])
    assert (tags.done, tags.waiting) == (0, 0)


def test_a_photo_is_found_by_id_path_and_hash(photos, jobs, folder):
    photos.apply(folder.id, [found("/pictures/a.jpg")])
    (photo_id,) = scan_all(photos, jobs, {"a.jpg": b"\xab\xcd\xef\x12"}).values()
    assert photos.find(str(photo_id)) == photo_id
    assert photos.find("/pictures/a.jpg") == photo_id
    assert photos.find("ABCDEF12") == photo_id
    assert photos.find("/pictures/b.jpg") is None
    assert photos.find("'; DROP TABLE photo; --") is None


def test_a_photo_marked_again_during_indexing_stays_marked(photos, jobs, folder):
    photos.apply(folder.id, [found("/pictures/a.jpg")])
    scan_all(photos, jobs, {})
    ((revision, photo_id),) = photos.unindexed(10)
    photos.begin_index("another")
    photos.mark_indexed([revision])
    assert [p for _, p in photos.unindexed(10)] == [photo_id]


def test_state_is_shared(photos):
    assert photos.state("paused") is None
    photos.set_state({"paused": True, "speed": {"tags": 3.5}})
    assert photos.state("paused") is True
    assert photos.state("speed") == {"tags": 3.5}


def test_captions_come_one_by_one_and_the_last_finishes_the_job(photos, jobs, captions, folder):
    photos.apply(folder.id, [found("/pictures/a.jpg")])
    scan_all(photos, jobs, {})
    job = jobs.lease(FULL)
    assert captions.answered(job) == set()
    assert captions.save(job, [ViewCaption("half-left", "a dog", raw="a dog\n")], finished=False)
    assert jobs.lease(FULL) is None
    skipped = ViewCaption("half-right", "", skipped="flat")
    follow_up = ViewCaption("half-left", "its bone", prompt="What else?")
    assert captions.save(job, [skipped, follow_up], finished=False)
    assert captions.answered(job) == {"half-left", "half-right"}
    jobs.release(job)
    again = jobs.lease(FULL)
    # The answer of a worker that was given up comes late.
    assert not captions.save(job, [ViewCaption("half-top", "late")], finished=False)
    assert captions.save(again, [], finished=True)
    said = {(c.view, c.prompt): (c.text, c.raw, c.skipped) for c in captions.of(job.photo_id)}
    assert said == {
        ("half-left", "Describe"): ("a dog", "a dog\n", ""),
        ("half-right", "Describe"): ("", "", "flat"),
        ("half-left", "What else?"): ("its bone", "", ""),
    }
    assert jobs.lease(FULL) is None


def test_captions_that_proved_wrong_are_asked_for_again(photos, jobs, captions, folder):
    photos.apply(folder.id, [found("/pictures/a.jpg")])
    scan_all(photos, jobs, {})
    job = jobs.lease(FULL)
    captions.save(job, [ViewCaption("whole", "a dog"), ViewCaption("half-left", "a cat")])
    captions.withdraw([(job.id, "whole")])
    assert [caption.text for caption in captions.of(job.photo_id)] == ["a cat"]
    assert captions.answered(jobs.lease(FULL)) == {"half-left"}


def test_priority_comes_before_time(photos, jobs, folder):
    photos.apply(folder.id, [found(f"/pictures/{n}", n) for n in range(1, 6)])
    ids = {}
    while job := jobs.lease(SCAN):
        content = info(os.fsencode(job.path.name), taken="")
        ids[job.path.name] = photos.record_scan(job, content, LATER)
    jobs.prefer([ids["2"]], LOOKED_AT)
    jobs.prefer([ids["1"], ids["2"]], NEARLY_FOUND)
    assert jobs.lease_preferred([TAGS, FULL]).photo_id == ids["2"]
    order = [jobs.lease(TAGS).photo_id for _ in range(4)]
    assert order == [ids["1"], ids["5"], ids["4"], ids["3"]]
    assert [jobs.lease_preferred([TAGS, FULL]).photo_id for _ in range(2)] == [ids["2"], ids["1"]]
    assert jobs.lease_preferred([TAGS, FULL]) is None


def test_photos_like_another_come_last(photos, jobs, folder):
    photos.apply(folder.id, [found(f"/pictures/{n}", 100 + n) for n in range(4)])

    def is_similar(a, b):
        return abs(a - b) < 3

    # Newest first: 3 is a photo of its own, 2 and 1 a burst of 10 s, 0 the copy of 3 from long ago.
    times = {"3": "2020-01-01T12:00:00", "2": "2019-01-01T12:00:08", "1": "2019-01-01T12:00:00",
             "0": "2000-01-01T12:00:00"}  # fmt: skip
    hashes = {"3": 500, "2": 10, "1": 12, "0": 500}
    ids = {}
    while job := jobs.lease(SCAN):
        name = job.path.name
        told = replace(info(name.encode(), taken=times[name]), dhash=hashes[name])
        ids[photos.record_scan(job, told, [FULL], is_similar)] = name
    assert [ids[jobs.lease(FULL).photo_id] for _ in range(4)] == ["3", "2", "1", "0"]
    jobs.ensure([OTHER])
    assert [ids[jobs.lease(OTHER).photo_id] for _ in range(4)] == ["3", "2", "1", "0"]


def test_who_was_not_to_blame_is_absolved(photos, jobs, folder):
    photos.apply(folder.id, [found("/pictures/a.jpg")])
    scan_all(photos, jobs, {})
    job = jobs.lease(FULL)
    jobs.strike(job, "crashed")
    jobs.fail(jobs.lease(FULL), "refused")
    jobs.absolve([job.id])
    assert jobs.failures() == []
    assert jobs.lease(FULL).strikes == 0


def test_jobs_of_a_new_kind_are_queued_in_small_steps(photos, jobs, folder, monkeypatch):
    monkeypatch.setattr(job_queue, "_ENSURED_AT_ONCE", 2)
    photos.apply(folder.id, [found(f"/pictures/{n}.jpg") for n in range(5)])
    scan_all(photos, jobs, {})
    jobs.ensure([FULL, OTHER])
    jobs.ensure([FULL, OTHER])
    assert [stage.waiting for stage in jobs.progress([FULL, OTHER])] == [5, 5]


def test_jobs_are_remembered_where_finding_them_takes_long(photos, jobs, folder, monkeypatch):
    away = photos.add_folder(Path("/away"))
    photos.apply(folder.id, [found(f"/pictures/{n}", 10 + n) for n in range(5)])
    photos.apply(away.id, [found(f"/away/{n}", 90 + n) for n in range(5)])
    photos.set_problem(away.id, "gone", online=False)
    monkeypatch.setattr(job_queue, "_LONG_SEARCH_S", -1.0)
    monkeypatch.setattr(job_queue, "_REMEMBERED", 3)
    first = jobs.lease(SCAN)
    assert first.path == Path("/pictures/4")
    # What is remembered is looked at again: this one is gone meanwhile.
    photos.apply(folder.id, [FileEvent(FileChange.GONE, Path("/pictures/2"))])
    jobs.release(first)
    leased = [jobs.lease(SCAN).path for _ in range(4)]
    assert leased == [Path(f"/pictures/{n}") for n in (3, 1, 4, 0)]
    assert jobs.lease(SCAN) is None
    photos.set_problem(away.id, "", online=True)
    assert jobs.lease(SCAN).path == Path("/away/4")


def indexed(photos):
    photos.mark_indexed(revision for revision, _ in photos.unindexed(100))


def stale(photos):
    return {photo_id for _, photo_id in photos.unindexed(100)}


def test_facts_of_a_photo(photos, jobs, folder):
    other = photos.add_folder(Path("/disk/Old Photos"))
    photos.apply(folder.id, [found("/pictures/2019/a.jpg"), found("/pictures/2019/b.jpg")])
    photos.apply(other.id, [found("/disk/Old Photos/a.jpg")])
    rated = replace(info(b"a"), stars=4, place="Lisbon, Portugal")
    while job := jobs.lease(SCAN):
        photo_id = photos.record_scan(job, rated, LATER)
    facts = photos.facts([photo_id, photo_id + 1])
    assert facts == {
        photo_id: PhotoFacts(
            taken_at=photos.photo(photo_id).taken_at,
            taken_by_camera=True,
            camera="Canon",
            format="JPEG",
            stars=4,
            place="Lisbon, Portugal",
            paths=(
                Path("Old Photos/a.jpg"),
                Path("pictures/2019/a.jpg"),
                Path("pictures/2019/b.jpg"),
            ),
            folders=(Path("/disk/Old Photos"), Path("/pictures/2019")),
        )
    }
    photo = photos.photo(photo_id)
    assert (photo.stars, photo.place) == (4, "Lisbon, Portugal")


def test_facts_of_thousands_and_of_none(photos, jobs, folder):
    photos.apply(folder.id, [found(f"/pictures/{n}.jpg") for n in range(1200)])
    ids = scan_all(photos, jobs, {})
    assert photos.facts([]) == {}
    facts = photos.facts(list(ids.values()))
    assert {name: facts[photo_id].paths for name, photo_id in ids.items()} == {
        name: (Path("pictures") / name,) for name in ids
    }


def test_a_date_of_the_file_is_not_the_cameras(photos, jobs, folder):
    photos.apply(folder.id, [found("/pictures/a.jpg")])
    photo_id = photos.record_scan(jobs.lease(SCAN), info(b"a", taken=""), LATER)
    assert not photos.facts([photo_id])[photo_id].taken_by_camera


def test_a_photo_that_is_scanned_again_learns_what_is_new(photos, jobs, folder):
    photos.apply(folder.id, [found("/pictures/a.jpg")])
    photo_id = photos.record_scan(jobs.lease(SCAN), info(b"a"), LATER)
    photos.apply(folder.id, [found("/pictures/a.jpg")])
    indexed(photos)
    photos.record_scan(jobs.lease(SCAN), replace(info(b"a"), stars=2, place="Rome"), LATER)
    facts = photos.facts([photo_id])[photo_id]
    assert (facts.stars, facts.place) == (2, "Rome")
    assert stale(photos) == {photo_id}


def test_every_change_of_a_photos_paths_makes_its_document_stale(photos, jobs, folder):
    inner = photos.add_folder(Path("/disk/2019"))
    photos.apply(folder.id, [found("/pictures/a.jpg"), found("/pictures/b.jpg")])
    photos.apply(inner.id, [found("/disk/2019/c.jpg")])
    ids = scan_all(photos, jobs, {})
    indexed(photos)

    # A copy, a file that goes, one that is renamed, one that can't be read any more.
    photos.apply(folder.id, [found("/pictures/copy.jpg")])
    assert scan_all(photos, jobs, {"copy.jpg": b"a.jpg"}) == {"copy.jpg": ids["a.jpg"]}
    assert stale(photos) == {ids["a.jpg"]}
    indexed(photos)
    photos.apply(folder.id, [FileEvent(FileChange.GONE, Path("/pictures/copy.jpg"))])
    assert stale(photos) == {ids["a.jpg"]}
    indexed(photos)
    gone = FileEvent(FileChange.GONE, Path("/pictures/b.jpg"))
    photos.apply(folder.id, [gone, found("/pictures/B.jpg")])
    scan_all(photos, jobs, {"B.jpg": b"b.jpg"})
    assert stale(photos) == {ids["b.jpg"]}
    assert photos.facts([ids["b.jpg"]])[ids["b.jpg"]].paths == (Path("pictures/B.jpg"),)
    indexed(photos)
    photos.apply(folder.id, [found("/pictures/B.jpg", size=11)])
    photos.record_unreadable(jobs.lease(SCAN))
    assert stale(photos) == {ids["b.jpg"]}
    indexed(photos)

    # Folders: a parent that takes another over, one that goes.
    assert photos.facts([ids["c.jpg"]])[ids["c.jpg"]].paths == (Path("2019/c.jpg"),)
    outer = photos.add_folder(Path("/disk"))
    assert photos.facts([ids["c.jpg"]])[ids["c.jpg"]].paths == (Path("disk/2019/c.jpg"),)
    assert stale(photos) == {ids["c.jpg"]}
    indexed(photos)
    photos.add_folder(Path("/disk"))
    assert stale(photos) == set()
    photos.remove_folder(outer.id)
    assert stale(photos) == {ids["c.jpg"]}
    assert photos.facts([ids["c.jpg"]]) == {}
