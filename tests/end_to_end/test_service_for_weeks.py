"""What bites only after weeks: disks kept awake, wishes lost in trouble, answers thrown away."""

import os
import threading
import time
from collections import Counter
from dataclasses import replace
from functools import partial

import pytest
import scripted
from running_service import running, wait_for
from scripted import paint, pattern

from photosearch import absence, dispatch
from photosearch.captioning.captioner import PhotoAnswer
from photosearch.domain import Stage, ViewCaption
from photosearch.errors import CaptionError, DiskFullError
from photosearch.library import PhotoLibrary
from photosearch.service import IndexService
from photosearch.service_control import STATE_SPEEDS
from photosearch.storage.database import Database
from photosearch.storage.job_queue import JobQueue
from photosearch.storage.photo_store import PhotoStore

RED, GREEN, BLUE, WHITE, HOSTILE = scripted.COLOURS


@pytest.fixture
def library(paths):
    with PhotoLibrary(paths) as library:
        yield library


def watching(paths, *specs, find=None):
    """Return a watching service at work."""
    return running(IndexService(paths, find_captioners=find or (lambda _: list(specs)), watch=True))


def said(library):
    return [c for _, c in library.captions() if c.model == "scripted"]


def test_nothing_is_written_while_nothing_happens(paths, library, tmp_path, monkeypatch):
    monkeypatch.setattr("photosearch.service._SPEEDS_EVERY_S", 0.0)
    for n in range(5):
        pattern(tmp_path / "pictures" / f"{n}.png", RED, n)
    library.add_folder(tmp_path / "pictures")
    with watching(paths, scripted.spec()) as service, Database(paths.database) as database:
        photos = PhotoStore(database)
        wait_for(lambda: len(said(library)) == 5)
        wait_for(lambda: "full scripted Describe." in (photos.state(STATE_SPEEDS) or {}))
        wait_for(lambda: library.status().activity == "" and not photos.unindexed(1))
        before = database.data_version()
        reported_s = service._reported_s
        wait_for(lambda: service._reported_s > reported_s + 2)
        assert database.data_version() == before


class HalfBlind(scripted.ScriptedCaptioner):
    """Fails on one view of each photo and ends with the caption of another, as servers may."""

    def caption(self, photos, left):
        for photo in photos:
            *first, last = [ViewCaption(view.name, "A red barn.") for view in photo.views[1:]]
            yield PhotoAnswer(photo.key, tuple(first))
            yield PhotoAnswer(photo.key, (last,), error=CaptionError("it fails on one view"))


def test_captions_that_come_with_a_photos_error_are_kept(paths, library, tmp_path):
    paint(tmp_path / "pictures" / "a.png", RED)
    library.add_folder(tmp_path / "pictures")
    with IndexService(
        paths,
        find_captioners=lambda _: [scripted.spec(make=HalfBlind, stages=(Stage.QUARTERS,))],
    ) as service:
        service.run(minutes=1)
    assert len(said(library)) == 3
    (failure,) = library.failures()
    assert failure.reason == "it fails on one view"


def test_answers_from_elsewhere_are_taken_without_standing_still(
    paths, library, tmp_path, monkeypatch
):
    for n in range(30):
        pattern(tmp_path / "pictures" / f"{n}.png", RED, n)
    library.add_folder(tmp_path / "pictures")
    spec = scripted.spec(stages=(Stage.FULL,))
    with IndexService(paths, find_captioners=lambda _: [spec]) as service:
        service.run(minutes=1)
    with Database(paths.database) as database:
        JobQueue(database).redo(Stage.FULL)
    monkeypatch.setattr(dispatch, "_LEASE_S", 0.0)
    with IndexService(paths, find_captioners=lambda _: [spec]) as service:
        leases = Counter()
        lease = service._dispatcher._lease

        def counted(runner):
            leases[runner.kind.stage] += 1
            return lease(runner)

        monkeypatch.setattr(service._dispatcher, "_lease", counted)
        service.run(minutes=1)
        (runner,) = [r for r in service._dispatcher.runners if r.kind.stage is Stage.FULL]
        # Each came back to the loop, and none counts as work, of which speeds are measured.
        assert leases[Stage.FULL] >= 30
        assert runner.pace.per_second() is None
    assert len(said(library)) == 30


def test_a_new_model_whose_jobs_found_no_room_is_not_forgotten(
    paths, library, tmp_path, monkeypatch
):
    monkeypatch.setattr("photosearch.service._TROUBLE_S", 0.2)
    paint(tmp_path / "pictures" / "a.png", RED)
    library.add_folder(tmp_path / "pictures")
    specs = [scripted.spec()]
    with watching(paths, find=lambda _: list(specs)):
        wait_for(lambda: len(said(library)) == 1)
        room, failed = threading.Event(), threading.Event()
        ensure = JobQueue.ensure

        def when_there_is_room(self, kinds):
            if not room.is_set():
                failed.set()
                raise DiskFullError("The disk is full.")
            ensure(self, kinds)

        monkeypatch.setattr(JobQueue, "ensure", when_there_is_room)
        specs[:] = [replace(scripted.spec(), prompt="List the words.")]
        library.settings_changed()
        assert failed.wait(20)
        room.set()
        wait_for(lambda: len(said(library)) == 2)


def test_photos_are_scanned_though_settings_make_no_sense_from_the_start(paths, library, tmp_path):
    paint(tmp_path / "pictures" / "a.png", RED)
    library.add_folder(tmp_path / "pictures")
    paths.settings.write_text("[schedule]\nhours = 7\n")
    with watching(paths, scripted.spec()):
        wait_for(lambda: library.status().photo_count == 1)
        (notice,) = wait_for(lambda: library.notices)
        assert "schedule.hours" in notice
        assert said(library) == []
        paths.settings.unlink()
        library.settings_changed()
        wait_for(lambda: len(said(library)) == 1)


def test_photos_that_bear_no_blame_are_tried_again_by_themselves(
    paths, library, tmp_path, monkeypatch
):
    monkeypatch.setattr(dispatch, "_REVIVE_S", 2.5)
    broken = tmp_path / "broken"
    broken.touch()
    for n in range(8):
        paint(tmp_path / "pictures" / f"{n}.png", RED)
    library.add_folder(tmp_path / "pictures")
    make = partial(RefusesWhile, broken)
    with watching(paths, scripted.spec(make=make, processes=2)):
        wait_for(lambda: any("failed on every one" in n for n in library.notices))
        broken.unlink()
        wait_for(lambda: len(said(library)) == 8)
    assert library.failures() == []


class RefusesWhile(scripted.ScriptedCaptioner):
    """Refuses every photo as long as a file is there."""

    def __init__(self, file):
        super().__init__()
        self._file = file

    def describe(self, image, views, left):
        left.wait(0.1)
        if self._file.exists():
            raise CaptionError("the model has no words for this")
        return super().describe(image, views, left)


def test_a_file_that_changes_all_the_time_keeps_nobody_busy(paths, library, tmp_path, monkeypatch):
    monkeypatch.setattr(absence, "_LOOK_AGAIN_S", 0.5)
    path = paint(tmp_path / "pictures" / "webcam.png", RED)
    library.add_folder(tmp_path / "pictures")
    with IndexService(paths, find_captioners=lambda _: [], stages=[Stage.SCAN]) as service:
        service.run(minutes=1)
    calm = threading.Event()

    def touch():
        while not calm.wait(0.05):
            os.utime(path)

    toucher = threading.Thread(target=touch)
    toucher.start()
    try:
        with watching(paths, scripted.spec()) as service:
            tries = service._dispatcher._absences._times
            wait_for(lambda: tries.total() >= 1)
            first_s = time.monotonic()
            wait_for(lambda: tries.total() >= 4)
            # At once, after half a second, after a second.
            assert time.monotonic() - first_s > 1.2
            calm.set()
            wait_for(lambda: len(said(library)) == 1)
    finally:
        calm.set()
        toucher.join()
    assert library.failures() == []
