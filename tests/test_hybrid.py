"""Hybrid search, end to end: a tiny CLIP of random weights embeds real photos and descriptions."""

import shutil

import numpy as np
import psutil
import pytest
from tiny_clip import write_tiny_clip

from photosearch.captioning.clip import ClipModel, choose_clip
from photosearch.domain import Clause, Field, Hit, Query, SearchResults, Stage
from photosearch.errors import UnavailableError
from photosearch.hybrid import HybridSearch, described
from photosearch.library import PhotoLibrary
from photosearch.service import IndexService
from photosearch.storage.database import Database
from photosearch.storage.photo_store import PhotoStore
from photosearch.storage.vector_store import VectorStore

TEXT = "two dogs are running over a wet beach while the sun goes down"
ABOUT = Query((Clause(TEXT, field=Field.ABOUT),))
SOME = Query((*ABOUT.clauses, Clause("some", field=Field.IN)))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return write_tiny_clip(tmp_path_factory.mktemp("clip") / "tiny")


@pytest.fixture
def photos(coco, tmp_path):
    """Twelve photos, and a file that is none."""
    folder = tmp_path / "pictures"
    for number, file in enumerate(sorted(coco.glob("*.jpg"))[:12]):
        target = folder / ("some" if number % 3 == 0 else "others") / file.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target)
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff broken")
    return folder


def index(library, stages=(Stage.SCAN, Stage.VECTORS)):
    with IndexService(library.paths, stages=stages, processes=2) as service:
        service.run()
        return service.notices


@pytest.fixture
def library(paths, tiny, photos):
    with PhotoLibrary(paths) as library:
        library.settings.set("search.clip_checkpoint", str(tiny))
        library.add_folder(photos)
        yield library


@pytest.fixture
def hybrid(paths):
    with Database(paths.database) as database:
        hybrid = HybridSearch(paths, database)
        yield hybrid
        hybrid.close()


def by_words(*photo_ids):
    def search(query, limit):
        hits = tuple(Hit(photo_id, 1.0) for photo_id in photo_ids)[:limit]
        return SearchResults(query, hits, total=len(photo_ids))

    return search


def test_photos_are_embedded_and_found_by_descriptions(library, hybrid, tiny, photos):
    index(library)
    progress = {stage.stage: stage for stage in library.status().stages}
    assert (progress[Stage.VECTORS].done, progress[Stage.VECTORS].waiting) == (12, 0)
    assert [failure.path.name for failure in library.failures()] == ["broken.jpg"]

    everything = library.search(Query(), limit=100).hits
    clip = ClipModel.load("", tiny, threads=1)
    vectors = clip.image_vectors(hit.path for hit in everything)
    scores = vectors @ clip.text_vectors([TEXT])[0]
    nearest = [everything[n].photo_id for n in np.argsort(-scores)]

    found = hybrid.search(ABOUT, by_words=by_words(), matching=lambda _: [], limit=100)
    assert [hit.photo_id for hit in found.hits] == nearest
    assert all(hit.path.is_file() for hit in found.hits)
    assert found.total == 12

    # Reciprocal ranks: first by words and tenth by vectors beats any other but what is near.
    words = by_words(nearest[9], nearest[0])
    found = hybrid.search(ABOUT, by_words=words, matching=lambda _: [], limit=100)
    assert [hit.photo_id for hit in found.hits][:2] == [nearest[0], nearest[9]]
    assert len(found.hits) == 12

    # Filters apply to what only vectors find, too.
    some = [hit.photo_id for hit in everything if hit.path.parent.name == "some"]
    asked = []
    found = hybrid.search(
        SOME, by_words=by_words(), matching=lambda query: asked.append(query) or some, limit=100
    )
    assert asked == [Query((Clause("some", field=Field.IN),))]
    assert [hit.photo_id for hit in found.hits] == [i for i in nearest if i in some]

    # Pages are cut from one ranking.
    pages = [
        hybrid.search(ABOUT, by_words=words, matching=lambda _: [], limit=5, offset=offset).hits
        for offset in (0, 5, 10)
    ]
    whole = hybrid.search(ABOUT, by_words=words, matching=lambda _: [], limit=100).hits
    assert tuple(hit for page in pages for hit in page) == whole

    # No hit by words is lost, however many there are.
    many = by_words(*range(1, 1501))
    found = hybrid.search(ABOUT, by_words=many, matching=lambda _: [], limit=2000)
    assert {hit.photo_id for hit in found.hits} == set(range(1, 1501))
    assert len(found.hits) == found.total == 1500
    assert found.hits[-1].photo_id == 1500

    # Files that are gone are not found.
    shutil.rmtree(photos / "some")
    index(library)
    found = hybrid.search(ABOUT, by_words=by_words(), matching=lambda _: [], limit=100)
    assert [hit.photo_id for hit in found.hits] == [i for i in nearest if i not in some]


def test_without_a_checkpoint_or_vectors_words_decide(paths, hybrid, tiny):
    def ask(query=ABOUT):
        return hybrid.search(query, by_words=by_words(1), matching=lambda _: [])

    assert ask() is None
    with PhotoLibrary(paths) as library:
        library.settings.set("search.clip_checkpoint", str(tiny))
        assert ask() is None
        library.settings.set("search.clip_checkpoint", str(tiny / "gone"))
        assert ask() is None


@pytest.mark.parametrize(
    ("clauses", "is_hybrid"),
    [
        ((Clause("dog"),), False),
        ((), False),
        ((Clause(TEXT, field=Field.ABOUT),) * 2, False),
        ((Clause(TEXT, field=Field.ABOUT, negated=True),), False),
        ((*ABOUT.clauses, Clause("dog")), False),
        ((*ABOUT.clauses, Clause("7", field=Field.LIKE)), False),
        ((*ABOUT.clauses, Clause(any_of=(Query((Clause("a"),)),))), False),
        ((*ABOUT.clauses, Clause("dog", negated=True)), True),
        ((*ABOUT.clauses, Clause("2019", field=Field.DATE)), True),
    ],
)
def test_only_a_description_and_filters_are_searched_by_vectors(clauses, is_hybrid):
    assert (described(Query(clauses)) is not None) == is_hybrid


@pytest.mark.slow
def test_a_description_that_can_not_be_embedded_is_said(library, hybrid, tiny, paths):
    index(library)
    broken = shutil.copytree(tiny, paths.home / "broken")
    weights = broken / "open_clip_model.bin"
    weights.write_bytes(weights.read_bytes()[:-100_000])
    library.settings.set("search.clip_checkpoint", str(broken))
    model = choose_clip("", broken).model
    with Database(paths.database) as database:
        with database.transaction() as write:
            write.execute("UPDATE vector SET model = ?", (model,))
        assert VectorStore(database).count(model) == 12
    with pytest.raises(UnavailableError, match="can't be loaded"):
        hybrid.search(ABOUT, by_words=by_words(1), matching=lambda _: [])
    # It is tried again, and works once the checkpoint does.
    library.settings.set("search.clip_checkpoint", str(tiny))
    with Database(paths.database) as database, database.transaction() as write:
        write.execute("UPDATE vector SET model = ?", (choose_clip("", tiny).model,))
    assert hybrid.search(ABOUT, by_words=by_words(1), matching=lambda _: []).hits


@pytest.mark.slow
def test_a_checkpoint_that_fails_stops_its_stage_only(library, paths, tiny):
    broken = shutil.copytree(tiny, paths.home / "broken")
    (broken / "open_clip_model.bin").write_bytes(b"nothing")
    library.settings.set("search.clip_checkpoint", str(broken))
    notices = index(library, (Stage.SCAN, Stage.VECTORS))
    assert any("vectors" in notice and "holds no weights" in notice for notice in notices)
    progress = {stage.stage: stage for stage in library.status().stages}
    assert (progress[Stage.SCAN].done, progress[Stage.VECTORS].waiting) == (12, 12)

    # One that is gone is said; nothing waits for it.
    shutil.rmtree(broken)
    notices = index(library, (Stage.SCAN, Stage.VECTORS))
    assert any("can't be read" in notice for notice in notices)
    assert Stage.VECTORS not in {stage.stage for stage in library.status().stages}


@pytest.mark.slow
def test_new_weights_make_new_vectors_beside_the_old(library, paths, tiny, tmp_path):
    index(library)
    other = write_tiny_clip(tmp_path / "other", seed=1)
    library.settings.set("search.clip_checkpoint", str(other))
    index(library)
    with Database(paths.database) as database:
        counts = [VectorStore(database).count(choose_clip("", f).model) for f in (tiny, other)]
        assert counts == [12, 12]
        assert PhotoStore(database).counts()[0] == 12


@pytest.mark.slow
def test_the_worker_ends_when_it_is_not_needed(library, hybrid, monkeypatch):
    index(library)
    before = set(psutil.Process().children())
    monkeypatch.setattr("photosearch.hybrid._IDLE_S", 2.0)
    for text in ("a dog", "a cat"):
        query = Query((Clause(text, field=Field.ABOUT),))
        assert hybrid.search(query, by_words=by_words(), matching=lambda _: [])
        (worker,) = set(psutil.Process().children()) - before
    worker.wait(timeout=10)
    assert hybrid.search(ABOUT, by_words=by_words(), matching=lambda _: [])
