"""The stages at work: how jobs of each become a task for a worker, and where its answers go."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from threading import Event

from photosearch.captioning.captioner import (
    CaptionerSpec,
    CaptionHandler,
    CaptionTask,
    PhotoAnswer,
    PhotoTask,
)
from photosearch.captioning.clip import VectorAnswer
from photosearch.domain import Job, JobKind, PictureInfo, Stage, View
from photosearch.imaging.similarity import is_similar
from photosearch.imaging.thumbnails import scan_picture
from photosearch.paths import AppPaths
from photosearch.search.analysis import word_keys
from photosearch.storage.caption_store import CaptionStore
from photosearch.storage.photo_store import PhotoStore
from photosearch.storage.vector_store import VectorStore
from photosearch.workers.supervisor import WorkerLimits, WorkerPool
from photosearch.workers.worker import Handler

_WINDOW = 100
_TRIED = 20
_SCAN_S = 60.0
_HOPELESS = 8
# In this order crops' stages are tried on the same photos, so what one adds to those before it is
# what counts: halves show little that the whole photo does not.
_CROPS = (Stage.QUARTERS, Stage.NINTHS, Stage.HALVES)
_MAX_CONFIRMED = 20


class Pace:
    """How fast photos pass a stage, and how many new words they get: over the last of them."""

    def __init__(self) -> None:
        self._busy = 0
        self._since_s = 0.0
        self._worked_s = 0.0
        self._finished: deque[tuple[float, int]] = deque(maxlen=_WINDOW)

    def begin(self) -> None:
        """Note that a task of the stage begins."""
        if not self._busy:
            self._since_s = time.monotonic()
        self._busy += 1

    def end(self) -> None:
        """Note that a task ends, however it did."""
        self._busy -= 1
        if not self._busy:
            self._worked_s += time.monotonic() - self._since_s

    def finish(self, new_words: int = 0) -> None:
        """Note that a photo has passed the stage."""
        now_s = time.monotonic() - self._since_s if self._busy else 0.0
        self._finished.append((self._worked_s + now_s, new_words))

    def per_second(self) -> float | None:
        """Return photos a second while the stage was at work; None where too little is known."""
        if len(self._finished) < 3:
            return None
        span_s = self._finished[-1][0] - self._finished[0][0]
        return (len(self._finished) - 1) / span_s if span_s > 0 else None

    def words_per_second(self) -> float | None:
        """Return how many new words a second the stage gives; None before it was well tried."""
        speed = self.per_second()
        if speed is None or len(self._finished) < _TRIED:
            return None
        return speed * sum(words for _, words in self._finished) / len(self._finished)


class Health:
    """Whether a captioner works at all, by what became of its last photos."""

    def __init__(self) -> None:
        self._failures = 0
        self._failed: set[int] = set()
        self._unreachable = 0
        self.confirmed: set[str] = set()
        """Captions that a fresh process repeated, and which different photos may share."""
        self._suspect: str | None = None

    def worked(self) -> None:
        """Note that a photo was captioned."""
        self._unreachable = 0
        self._failures = 0
        self._failed.clear()

    def failed(self, job_ids: Sequence[int]) -> list[int]:
        """Note that a task failed; returns the jobs of all that did in a row if they are too many.

        One photo that kills its worker again and again says nothing of the captioner.
        """
        self._failures += 1
        self._failed.update(job_ids)
        if min(self._failures, len(self._failed)) < _HOPELESS:
            return []
        failed = list(self._failed)
        self.worked()
        return failed

    def unreachable(self) -> int:
        """Note that the captioner can't be reached; returns how often now, with nothing between."""
        self._unreachable += 1
        return self._unreachable

    def is_hopeless(self, said: str) -> bool:
        """Note that the captioner repeats itself; returns whether a fresh process would, too.

        The first time it does, a fresh process is to decide; what that repeats is believed, but
        not for ever. That there is nothing to say of different photos is never believed.
        """
        if said in self.confirmed or (not said and said == self._suspect):
            return True
        if said == self._suspect:
            if len(self.confirmed) >= _MAX_CONFIRMED:
                self.confirmed.clear()
            self.confirmed.add(said)
        self._suspect = said
        return False


class StageRunner(ABC):
    """One kind of job: its workers (which stages of a captioner share), its tasks, its pace.

    `batch` is how many views a task should hold; one that gives no sign of life for `limit_s`
    seconds counts as hung. `scheduled` work waits for the hours that the user set. While it is
    `exhausted`, nothing was left to lease, and nothing has changed since.
    """

    def __init__(
        self,
        kind: JobKind,
        pool: WorkerPool,
        *,
        limit_s: float,
        batch: int = 1,
        scheduled: bool = False,
        health: Health | None = None,
    ) -> None:
        self.kind = kind
        self.pool = pool
        self.limit_s = limit_s
        self.batch = batch
        self.scheduled = scheduled
        self.health = health or Health()
        self.pace = Pace()
        self.exhausted = False

    @abstractmethod
    def views_left(self, job: Job) -> int:
        """Return how much of a job is to be done."""

    @abstractmethod
    def task(self, jobs: Sequence[Job]) -> object:
        """Return what the worker gets of these jobs, each of which has something left."""

    @abstractmethod
    def save(self, job: Job, answer: object) -> bool:
        """Save what came of a job; True if that was the last of it."""

    @abstractmethod
    def forget(self, job: Job) -> None:
        """Note that a job is not worked on any more."""


class ScanRunner(StageRunner):
    """Scans files, and queues jobs of the kinds `later` for new photos."""

    def __init__(
        self, paths: AppPaths, photos: PhotoStore, later: Sequence[JobKind], processes: int
    ) -> None:
        pool = WorkerPool("scan", partial(_make_scanner, paths), size=processes, log=paths.log)
        super().__init__(JobKind(Stage.SCAN), pool, limit_s=_SCAN_S)
        self._photos = photos
        self._later = later

    def views_left(self, job: Job) -> int:
        """Return 1: a file is scanned at once."""
        del job
        return 1

    def task(self, jobs: Sequence[Job]) -> object:
        """Return the file's path."""
        (job,) = jobs
        return job.path

    def save(self, job: Job, answer: object) -> bool:
        """Join the file to its photo."""
        assert isinstance(answer, PictureInfo)
        self._photos.record_scan(job, answer, self._later, is_similar)
        self.pace.finish()
        return True

    def forget(self, job: Job) -> None:
        """Do nothing: nothing is kept of jobs."""


def _make_scanner(paths: AppPaths) -> Handler:
    return partial(_scan, paths)


def _scan(paths: AppPaths, file: Path, _left: Event) -> PictureInfo:
    return scan_picture(file, thumbnails=paths.thumbnail)


class CaptionRunner(StageRunner):
    """Captions the views of one stage with one captioner."""

    def __init__(
        self,
        spec: CaptionerSpec,
        stage: Stage,
        captions: CaptionStore,
        pool: WorkerPool,
        health: Health,
    ) -> None:
        views = spec.views[stage]
        super().__init__(
            JobKind(stage, spec.model, spec.prompt),
            pool,
            limit_s=spec.silence_s,
            batch=spec.batch,
            scheduled=spec.scheduled,
            health=health,
        )
        self._views = views
        self._tells_known = spec.uses_known
        self._captions = captions
        # Of the jobs at work: the words that the photo had, and those that came.
        self._known: dict[int, frozenset[str]] = {}
        self._found: dict[int, frozenset[str]] = {}

    def views_left(self, job: Job) -> int:
        """Return how many views of the stage have no answer yet."""
        return len(self._left(job))

    def task(self, jobs: Sequence[Job]) -> object:
        """Return the views to caption, and the words that each photo has."""
        photos = []
        for job in jobs:
            known = self._known[job.id] = self._words_of(job)
            left = self._left(job)
            told = known if self._tells_known else frozenset()
            photos.append(PhotoTask(job.id, job.path, left, job.size, job.mtime_ns, told))
        return CaptionTask(tuple(photos), frozenset(self.health.confirmed))

    def save(self, job: Job, answer: object) -> bool:
        """Save captions as they come; a view that has its answer is not asked for again."""
        assert isinstance(answer, PhotoAnswer)
        if answer.captions or answer.finished:
            self._captions.save(job, answer.captions, finished=answer.finished)
        found = (word_keys(caption.text) for caption in answer.captions)
        self._found[job.id] = self._found.get(job.id, frozenset()).union(*found)
        if answer.finished:
            # Where the answers were there already, nobody has worked.
            if job.id in self._known:
                self.health.worked()
                self.pace.finish(len(self._found[job.id] - self._known[job.id]))
            self.forget(job)
        return answer.finished

    def forget(self, job: Job) -> None:
        """Note that a job is not worked on any more."""
        self._found.pop(job.id, None)
        self._known.pop(job.id, None)

    def _left(self, job: Job) -> tuple[View, ...]:
        answered = self._captions.answered(job)
        return tuple(view for view in self._views if view.name not in answered)

    def _words_of(self, job: Job) -> frozenset[str]:
        assert job.photo_id is not None
        captions = self._captions.of(job.photo_id)
        return frozenset().union(*(word_keys(caption.text) for caption in captions))


class VectorRunner(CaptionRunner):
    """Embeds photos: the same tasks and failures as captions, but a vector comes of each."""

    def __init__(
        self,
        spec: CaptionerSpec,
        captions: CaptionStore,
        vectors: VectorStore,
        pool: WorkerPool,
        health: Health,
    ) -> None:
        super().__init__(spec, Stage.VECTORS, captions, pool, health)
        self._vectors = vectors

    def save(self, job: Job, answer: object) -> bool:
        """Save the photo's vector."""
        if not isinstance(answer, VectorAnswer):
            return False
        self._vectors.save(job, answer.vector)
        self.health.worked()
        self.pace.finish()
        self.forget(job)
        return True


def caption_runners(
    spec: CaptionerSpec,
    paths: AppPaths,
    captions: CaptionStore,
    vectors: VectorStore,
    processes: int,
) -> list[CaptionRunner]:
    """Return a runner for each stage that a captioner serves, all with the same workers."""
    pool = WorkerPool(
        spec.model,
        partial(CaptionHandler, spec),
        size=spec.processes or processes,
        limits=WorkerLimits(
            start_s=spec.start_s,
            memory_mb=spec.memory_mb,
            recycle_mb=spec.memory_mb * 3 // 4,
            growth_mb=spec.growth_mb,
            enforce_memory=spec.enforce_memory,
        ),
        log=paths.log,
    )
    health = Health()
    return [
        VectorRunner(spec, captions, vectors, pool, health)
        if stage is Stage.VECTORS
        else CaptionRunner(spec, stage, captions, pool, health)
        for stage in spec.views
    ]


def in_order(runners: Iterable[StageRunner]) -> list[StageRunner]:
    """Return runners in the order in which their jobs are worth doing.

    All photos pass the stages up to `full` one after the other: words for every photo come first.
    Of the crops' stages each is tried, the likeliest first, and then that is first which gives most
    new words a second.
    """

    def worth(runner: StageRunner) -> tuple[int, float]:
        stage = runner.kind.stage
        if stage not in _CROPS:
            return stage.rank, 0.0
        words = runner.pace.words_per_second()
        if words is None:
            return Stage.FULL.rank + 1, _CROPS.index(stage)
        return len(Stage), -words

    return sorted(runners, key=worth)


def pools_of(runners: Iterable[StageRunner]) -> list[WorkerPool]:
    """Return the runners' worker pools, each once."""
    return list({id(runner.pool): runner.pool for runner in runners}.values())
