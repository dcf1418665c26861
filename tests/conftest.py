"""Fixtures that every room's tests share: real parts in a temporary folder."""

import threading
from pathlib import Path

import pytest

from photosearch.paths import AppPaths
from photosearch.storage.database import Database

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture
def paths(tmp_path):
    paths = AppPaths(tmp_path / "library")
    paths.make()
    return paths


@pytest.fixture
def database(paths):
    with Database(paths.database) as database:
        yield database


@pytest.fixture
def coco():
    """300 real photos with labels; they may not be published, so they lie beside the repo."""
    folder = SHARED / "photos" / "coco"
    if not folder.is_dir():
        pytest.skip(f"needs the photos in {folder}")
    return folder


@pytest.fixture(autouse=True)
def no_threads_left():
    before = set(threading.enumerate())
    yield
    # Qt's own threads show up as dummies once they have called Python.
    left = [
        t
        for t in threading.enumerate()
        if t not in before and not isinstance(t, threading._DummyThread)
    ]
    for thread in left:
        thread.join(5)
    assert not [t for t in left if t.is_alive()], f"threads left alive: {left}"
