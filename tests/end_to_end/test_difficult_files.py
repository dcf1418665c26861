"""Every file of a folder as bad as real ones: indexed, or listed with a reason; nothing is lost."""

import json

import pytest
from conftest import SHARED

from photosearch.domain import Query, Stage
from photosearch.folders.scanner import is_candidate
from photosearch.library import PhotoLibrary
from photosearch.service import IndexService

DIFFICULT = SHARED / "photos" / "difficult"


@pytest.fixture
def manifest():
    if not DIFFICULT.is_dir():
        pytest.skip(f"needs the files in {DIFFICULT}")
    lines = (DIFFICULT / "manifest.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def index(paths, stages):
    with PhotoLibrary(paths) as library:
        library.add_folder(DIFFICULT)
        with IndexService(paths, stages=stages) as service:
            service.run(minutes=10)
        hits = library.search(Query(), limit=1000).hits
        indexed = {
            str(path.relative_to(DIFFICULT))
            for hit in hits
            for path in library.photo(hit.photo_id).photo.paths
        }
        failed = {str(f.path.relative_to(DIFFICULT)): f for f in library.failures()}
        for hit in hits:
            assert library.thumbnail_path(hit.sha256).stat().st_size > 0
        return indexed, failed


def test_every_file_is_indexed_or_listed_with_a_reason(paths, manifest):
    indexed, failed = index(paths, [Stage.SCAN])
    wanted = {r["file"]: r["expect"] for r in manifest if is_candidate(r["file"].split("/")[-1])}
    assert indexed | failed.keys() == wanted.keys()
    assert indexed == {file for file, expect in wanted.items() if expect == "opens"}
    assert all(failure.reason for failure in failed.values())
    assert not any("fault in photosearch" in failure.reason for failure in failed.values())


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_every_picture_that_opens_gets_through_the_tagger(paths, manifest):
    indexed, failed = index(paths, [Stage.SCAN, Stage.TAGS])
    assert len(indexed) > 150
    assert {failure.stage for failure in failed.values()} == {Stage.SCAN}
