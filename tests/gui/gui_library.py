"""Brings painted photos into a real library, as the service would, only without its processes."""

import os

from scripted import paint

from photosearch.domain import FileChange, FileEvent, FoundFile, JobKind, Stage, Tag, ViewCaption
from photosearch.imaging.thumbnails import scan_picture
from photosearch.indexing import Indexer
from photosearch.storage.caption_store import CaptionStore
from photosearch.storage.database import Database
from photosearch.storage.job_queue import JobQueue
from photosearch.storage.photo_store import PhotoStore

HOSTILE = "<b>bold & <img src=x> dog.jpg"
# Name, colour, words of the tagger, captions by view; the newest photo comes first in the list.
PHOTOS = (
    ("frisbee.jpg", (30, 160, 30), ("dog", "frisbee"), {
        "whole": "A brown dog jumps for a frisbee on the grass.",
        "quarter-top-left": "A frisbee in the sky.",
    }),
    ("beach.jpg", (30, 30, 200), ("dog", "seashore"), {
        "whole": "Two dogs run along a beach beside the sea.",
        "half-bottom": "A dog on wet sand.",
    }),
    ("boat.jpg", (20, 60, 120), ("boat",), {"whole": "A white boat on a calm sea."}),
    ("cat.jpg", (240, 240, 240), ("cat",), {"whole": "A white cat sleeps on a red couch."}),
    (HOSTILE, (200, 30, 30), ("dog",), {"whole": "A dog & <b>bold</b> <script>words</script>."}),
    ("untold.jpg", (90, 90, 90), (), {}),
)  # fmt: skip


def fill(paths, folder, photos=PHOTOS, *, broken=()):
    """Paint `photos` in `folder` and bring them through all that the service would do."""
    with Database(paths.database) as database:
        store, jobs, captions = PhotoStore(database), JobQueue(database), CaptionStore(database)
        added = store.add_folder(folder)
        events = []
        said = {}
        for age, (name, colour, tags, texts) in enumerate(photos):
            path = folder / name
            paint(path, colour, size=(96, 64), format="JPEG")
            os.utime(path, (1_600_000_000 - 86_400 * age,) * 2)
            said[path] = (tags, texts)
            events.append(_found(path))
        for name in broken:
            (folder / name).write_bytes(b"no picture")
            events.append(_found(folder / name))
        store.apply(added.id, events)
        later = [JobKind(Stage.TAGS, "instant"), JobKind(Stage.FULL, "llava", "Describe.")]
        while job := jobs.lease(JobKind(Stage.SCAN)):
            if job.path.name in broken:
                jobs.fail(job, "It is no picture.")
            else:
                store.record_scan(job, scan_picture(job.path, paths.thumbnail), later)
        while job := jobs.lease(later[0]):
            tags = tuple(Tag(word, 0.9 - 0.1 * n) for n, word in enumerate(said[job.path][0]))
            text = ", ".join(tag.word for tag in tags)
            captions.save(job, [ViewCaption("whole", text, tags)] if tags else [])
        while job := jobs.lease(later[1]):
            views = [ViewCaption(view, text) for view, text in said[job.path][1].items()]
            captions.save(job, views)
        with Indexer(database, paths.index) as indexer:
            indexer.commit_all()


def _found(path):
    facts = path.stat()
    return FileEvent(FileChange.FOUND, path, FoundFile(path, facts.st_size, facts.st_mtime_ns))
