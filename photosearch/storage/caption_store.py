"""The captions: by photo, view, model and prompt."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from sqlite3 import Row

from photosearch.domain import Caption, Job, JobState, Tag, ViewCaption
from photosearch.storage.database import Database
from photosearch.storage.job_queue import settle
from photosearch.storage.photo_store import mark_unindexed


class CaptionStore:
    """Keeps every caption that any model wrote; another model adds rows, it destroys none."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save(self, job: Job, prompt: str, captions: Sequence[ViewCaption]) -> None:
        """Save a job's captions and mark it done, in one transaction; unless its lease is out."""
        now = time.time()
        with self._database.transaction() as write:
            if not settle(write, job, JobState.DONE):
                return
            write.execute_many(
                "INSERT OR REPLACE INTO caption"
                " (photo_id, view, model, prompt, text, tags, created_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                [
                    (job.photo_id, c.view, job.model, prompt, c.text, _dump(c.tags), now)
                    for c in captions
                ],
            )
            assert job.photo_id is not None
            mark_unindexed(write, [job.photo_id])

    def of(self, photo_id: int) -> list[Caption]:
        """Return a photo's captions in the order in which they were written."""
        rows = self._database.query(
            "SELECT * FROM caption WHERE photo_id = ? ORDER BY id", (photo_id,)
        )
        return [_caption(row) for row in rows]

    def all(self) -> Iterator[tuple[bytes, Caption]]:
        """Yield every caption with its photo's content hash, photo by photo."""
        last = 0
        while ids := [
            row["id"]
            for row in self._database.query(
                "SELECT id FROM photo WHERE id > ? ORDER BY id LIMIT 500", (last,)
            )
        ]:
            rows = self._database.query(
                "SELECT caption.*, photo.sha256 FROM caption JOIN photo ON photo.id = photo_id"
                " WHERE photo_id BETWEEN ? AND ? ORDER BY photo_id, caption.id",
                (ids[0], ids[-1]),
            )
            for row in rows:
                yield row["sha256"], _caption(row)
            last = ids[-1]


def _caption(row: Row) -> Caption:
    return Caption(
        row["photo_id"], row["view"], row["model"], row["prompt"], row["text"],
        _load(row["tags"]), row["created_at"],
    )  # fmt: skip


def _dump(tags: Sequence[Tag]) -> str:
    rows = [[tag.word, round(tag.score, 4), *tag.synonyms] for tag in tags]
    return json.dumps(rows, ensure_ascii=False) if rows else ""


def _load(text: str) -> tuple[Tag, ...]:
    if not text:
        return ()
    return tuple(Tag(word, score, tuple(names)) for word, score, *names in json.loads(text))
