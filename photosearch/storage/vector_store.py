"""The vectors: what an embedding model makes of a photo, by photo and model."""

from __future__ import annotations

from collections.abc import Iterator

from photosearch.domain import Job, JobState
from photosearch.storage.database import Database
from photosearch.storage.job_queue import settle

_BLOCK = 4096


class VectorStore:
    """Keeps one vector a photo and model: unit vectors of half floats, little-endian."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save(self, job: Job, vector: bytes) -> bool:
        """Save the vector that a job was for and mark it done, in one transaction.

        Returns False, and saves nothing, where the job's lease is out of date.
        """
        with self._database.transaction() as write:
            if not settle(write, job, JobState.DONE):
                return False
            write.execute(
                "INSERT OR REPLACE INTO vector (photo_id, model, vector) VALUES (?, ?, ?)",
                (job.photo_id, job.kind.model, vector),
            )
            return True

    def count(self, model: str) -> int:
        """Return how many photos have a vector of a model."""
        row = self._database.first("SELECT count(*) FROM vector WHERE model = ?", (model,))
        return 0 if row is None else int(row[0])

    def blocks(self, model: str) -> Iterator[tuple[list[int], bytes]]:
        """Yield all vectors of a model in blocks: the photos' ids, ascending, and the vectors.

        Vectors lie end to end in the order of the ids. What is saved meanwhile may be left out.
        """
        last = 0
        while rows := self._database.query(
            "SELECT photo_id, vector FROM vector WHERE model = ? AND photo_id > ?"
            " ORDER BY photo_id LIMIT ?",
            (model, last, _BLOCK),
        ):
            ids = [row[0] for row in rows]
            yield ids, b"".join([row[1] for row in rows])
            last = ids[-1]
