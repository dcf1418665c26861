from pathlib import Path

import numpy as np
import pytest

from photosearch.domain import FileChange, FileEvent, FoundFile, JobKind, PictureInfo, Stage
from photosearch.storage import vector_store
from photosearch.storage.job_queue import JobQueue
from photosearch.storage.photo_store import PhotoStore
from photosearch.storage.vector_store import VectorStore

KIND = JobKind(Stage.VECTORS, "ViT-B-32/0123")
OTHER = JobKind(Stage.VECTORS, "ViT-L-14/4567")


@pytest.fixture
def jobs(database):
    """Five photos, each with a job for a vector of two models."""
    photos, jobs = PhotoStore(database), JobQueue(database)
    folder = photos.add_folder(Path("/pictures"))
    files = [Path(f"/pictures/{n}.jpg") for n in range(5)]
    photos.apply(
        folder.id,
        [FileEvent(FileChange.FOUND, p, FoundFile(p, 10, n)) for n, p in enumerate(files)],
    )
    while job := jobs.lease(JobKind(Stage.SCAN)):
        content = job.path.name.encode().ljust(32, b"\0")
        photos.record_scan(job, PictureInfo(content, 640, 480, "JPEG"), [KIND, OTHER])
    return jobs


def vector(number):
    return np.full(3, number, "<f2").tobytes()


def save_all(database, jobs, kind):
    vectors = VectorStore(database)
    while job := jobs.lease(kind):
        assert vectors.save(job, vector(job.photo_id))
    return vectors


def test_vectors_come_back_in_blocks_by_photo(database, jobs, monkeypatch):
    monkeypatch.setattr(vector_store, "_BLOCK", 2)
    vectors = save_all(database, jobs, KIND)
    blocks = list(vectors.blocks(KIND.model))
    assert [len(ids) for ids, _ in blocks] == [2, 2, 1]
    ids = [photo_id for ids, _ in blocks for photo_id in ids]
    assert ids == sorted(ids)
    assert b"".join(data for _, data in blocks) == b"".join(map(vector, ids))
    assert vectors.count(KIND.model) == 5
    (progress,) = jobs.progress([KIND])
    assert (progress.done, progress.waiting) == (5, 0)


def test_each_model_has_its_own(database, jobs):
    vectors = save_all(database, jobs, KIND)
    assert vectors.count(OTHER.model) == 0
    assert not list(vectors.blocks(OTHER.model))
    save_all(database, jobs, OTHER)
    assert vectors.count(KIND.model) == vectors.count(OTHER.model) == 5


def test_a_late_answer_counts_for_nothing(database, jobs):
    job = jobs.lease(KIND)
    jobs.release(job)
    vectors = VectorStore(database)
    assert not vectors.save(job, vector(1))
    assert vectors.count(KIND.model) == 0


def test_vectors_go_with_their_photo(database, jobs):
    vectors = save_all(database, jobs, KIND)
    with database.transaction() as write:
        write.execute("UPDATE file SET photo_id = NULL WHERE photo_id = 1")
        write.execute("DELETE FROM photo WHERE id = 1")
    assert [ids for ids, _ in vectors.blocks(KIND.model)] == [[2, 3, 4, 5]]
