"""The captions: by photo, view, model and prompt."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from sqlite3 import Row

from photosearch.domain import Caption, Job, JobState, Tag, ViewCaption
from photosearch.storage.database import Database
from photosearch.storage.job_queue import is_leased, settle
from photosearch.storage.photo_store import mark_unindexed


class CaptionStore:
    """Keeps every caption that any model wrote; another model adds rows, it destroys none."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save(self, job: Job, captions: Sequence[ViewCaption], *, finished: bool = True) -> bool:
        """Save captions of a job, marking it done if it is `finished`, in one transaction.

        Returns False, and saves nothing, where the job's lease is out of date.
        """
        now = time.time()
        with self._database.transaction() as write:
            if not (settle(write, job, JobState.DONE) if finished else is_leased(write, job)):
                return False
            write.execute_many(
                "INSERT OR REPLACE INTO caption"
                " (photo_id, view, model, prompt, text, tags, raw, skipped, created_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (
                        job.photo_id, c.view, job.kind.model, c.prompt or job.kind.prompt, c.text,
                        _dump(c.tags), c.raw, c.skipped, now,
                    )
                    for c in captions
                ],
            )  # fmt: skip
            assert job.photo_id is not None
            if captions or finished:
                mark_unindexed(write, [job.photo_id])
            return True

    def answered(self, job: Job) -> set[str]:
        """Return the views of a job's photo that its model was asked this prompt of already."""
        rows = self._database.query(
            "SELECT view FROM caption WHERE photo_id = ? AND model = ? AND prompt = ?",
            (job.photo_id, job.kind.model, job.kind.prompt),
        )
        return {row["view"] for row in rows}

    def ask_again_of_skipped(self, model: str, prompt: str) -> None:
        """Let views that were passed over be looked at, as a plan wants that skips none."""
        skipped = "model = ? AND prompt = ? AND skipped <> ''"
        with self._database.transaction() as write:
            write.execute(
                "UPDATE job SET state = 'waiting' WHERE model = ? AND prompt = ?"
                " AND state = 'done' AND photo_id IN"
                f" (SELECT photo_id FROM caption WHERE {skipped})",
                (model, prompt, model, prompt),
            )
            write.execute(f"DELETE FROM caption WHERE {skipped}", (model, prompt))

    def withdraw(self, answers: Iterable[tuple[int, str]]) -> None:
        """Delete what was said in jobs, by id, of views, by name; they are asked for again."""
        with self._database.transaction() as write:
            for job_id, view in answers:
                write.execute(
                    "DELETE FROM caption WHERE view = ? AND (photo_id, model, prompt) ="
                    " (SELECT photo_id, model, prompt FROM job WHERE id = ?)",
                    (view, job_id),
                )
                write.execute(
                    "UPDATE job SET state = 'waiting' WHERE id = ? AND state = 'done'", (job_id,)
                )
                write.execute(
                    "INSERT OR REPLACE INTO unindexed (photo_id)"
                    " SELECT photo_id FROM job WHERE id = ?",
                    (job_id,),
                )

    def add(self, captions: Sequence[tuple[bytes, Caption]]) -> tuple[int, int, int]:
        """Add captions to the photos with these content hashes, in one transaction.

        Returns how many are new, how many were known (the later one stays), and how many are of
        photos that are not here.
        """
        added = known = foreign = 0
        with self._database.transaction() as write:
            for sha256, c in captions:
                photo = write.execute("SELECT id FROM photo WHERE sha256 = ?", (sha256,)).fetchone()
                if photo is None:
                    foreign += 1
                    continue
                key = (photo["id"], c.view, c.model, c.prompt)
                before = write.execute(
                    "SELECT created_at FROM caption"
                    " WHERE photo_id = ? AND view = ? AND model = ? AND prompt = ?",
                    key,
                ).fetchone()
                known += before is not None
                added += before is None
                if before is not None and before["created_at"] >= c.created_at:
                    continue
                write.execute(
                    "INSERT OR REPLACE INTO caption (photo_id, view, model, prompt, text, tags,"
                    " raw, skipped, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (*key, c.text, _dump(c.tags), c.raw, c.skipped, c.created_at),
                )
                mark_unindexed(write, [photo["id"]])
        return added, known, foreign

    def count_views(self, model: str) -> Counter[tuple[str, str]]:
        """Return of how many photos a model has answered a prompt about a view, by both.

        Reads through all captions once, which takes seconds in a very large library.
        """
        rows = self._database.query(
            "SELECT prompt, view, count(*) AS photos FROM caption WHERE model = ?"
            " GROUP BY prompt, view",
            (model,),
        )
        return Counter({(row["prompt"], row["view"]): int(row["photos"]) for row in rows})

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
        _load(row["tags"]), row["created_at"], row["raw"], row["skipped"],
    )  # fmt: skip


def _dump(tags: Sequence[Tag]) -> str:
    rows = [[tag.word, round(tag.score, 4), *tag.synonyms] for tag in tags]
    return json.dumps(rows, ensure_ascii=False) if rows else ""


def _load(text: str) -> tuple[Tag, ...]:
    if not text:
        return ()
    return tuple(Tag(word, score, tuple(names)) for word, score, *names in json.loads(text))
