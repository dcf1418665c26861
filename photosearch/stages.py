"""The stages at work: how a job of each becomes a task for a worker, and where its answer goes."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from photosearch.captioning import instant
from photosearch.captioning.captioner import Captioner, CaptionerSpec, CaptionHandler, CaptionTask
from photosearch.captioning.model_store import ModelStore
from photosearch.captioning.models import CaptionerConfig, LocalModel
from photosearch.captioning.recipes import Recipe
from photosearch.domain import CAPTION_STAGES, Job, PictureInfo, Stage
from photosearch.imaging.crops import views
from photosearch.imaging.thumbnails import scan_picture
from photosearch.paths import AppPaths
from photosearch.storage.caption_store import CaptionStore
from photosearch.storage.photo_store import PhotoStore
from photosearch.workers.supervisor import WorkerLimits, WorkerPool

_SPEED_WINDOW = 200
_LLAVA_VIEW_PX = 672
_LLAVA_VIEW_S = 600.0
_LLAVA_START_S = 900.0
_SCAN_S = 60.0
_PAUSE_S = 10.0


class StageRunner:
    """One stage of one model: its workers (which stages of a model share) and its speed."""

    def __init__(
        self,
        stage: Stage,
        model: str,
        pool: WorkerPool,
        task: Callable[[Job], object],
        save: Callable[[Job, object], object],
        limit_s: float,
    ) -> None:
        """`task` makes what the worker gets of a job, `save` stores the worker's answer.

        A task that takes longer than `limit_s` seconds counts as hung.
        """
        self.stage = stage
        self.model = model
        self.pool = pool
        self.task = task
        self.save = save
        self.limit_s = limit_s
        self.exhausted = False
        """Nothing was left to lease, and nothing has changed since."""
        self._finished_s: deque[float] = deque(maxlen=_SPEED_WINDOW)

    def count(self) -> None:
        """Note that a job of this stage was finished now."""
        now = time.monotonic()
        if self._finished_s and now - self._finished_s[-1] > _PAUSE_S + self.limit_s:
            # There was nothing to do in between, which says nothing of the speed.
            self._finished_s.clear()
        self._finished_s.append(now)

    def per_second(self) -> float | None:
        """Return photos a second over the last of them, or None where too little is known."""
        if len(self._finished_s) < 3:
            return None
        span_s = self._finished_s[-1] - self._finished_s[0]
        return (len(self._finished_s) - 1) / span_s if span_s > 0 else None


def scan_runner(
    paths: AppPaths, photos: PhotoStore, later: Sequence[tuple[Stage, str]], processes: int
) -> StageRunner:
    """Return the runner of `scan`, which queues the (stage, model) jobs `later` for new photos."""

    def save(job: Job, info: object) -> None:
        assert isinstance(info, PictureInfo)
        photos.record_scan(job, info, later)

    # Called in the worker, the outer partial makes the inner one: what the worker does with a path.
    make_handler = partial(partial, scan_picture, thumbnails=paths.thumbnail)
    pool = WorkerPool("scan", make_handler, size=processes, log=paths.log)
    return StageRunner(Stage.SCAN, "", pool, lambda job: job.path, save, _SCAN_S)


def caption_runners(
    spec: CaptionerSpec, paths: AppPaths, captions: CaptionStore, processes: int
) -> list[StageRunner]:
    """Return a runner for each stage that a captioner serves, all with the same workers."""
    pool = WorkerPool(
        spec.model,
        partial(CaptionHandler, spec),
        size=spec.processes or processes,
        limits=WorkerLimits(
            start_s=spec.start_s,
            memory_mb=spec.memory_mb,
            recycle_mb=spec.memory_mb * 3 // 4,
            enforce_memory=spec.enforce_memory,
        ),
        log=paths.log,
    )

    def save(job: Job, answer: object) -> None:
        assert isinstance(answer, list)
        captions.save(job, spec.prompt, answer)

    def task(job: Job) -> CaptionTask:
        return CaptionTask(job.path, spec.views[job.stage], job.size, job.mtime_ns)

    return [
        StageRunner(stage, spec.model, pool, task, save, spec.view_s * len(views))
        for stage, views in spec.views.items()
    ]


def find_captioners(paths: AppPaths) -> list[CaptionerSpec]:
    """Return the captioners of a library: the instant tagger, and the model in use if any."""
    specs = [
        CaptionerSpec(
            instant.MODEL,
            prompt="",
            make=instant.InstantTagger,
            views={Stage.TAGS: instant.VIEWS},
            view_px=instant.VIEW_PX,
            view_s=12.0,
            memory_mb=1500,
        )
    ]
    known = ModelStore(paths.models).in_use()
    if isinstance(known, LocalModel):
        config = known.config(Recipe())
        specs.append(
            CaptionerSpec(
                config.name,
                config.recipe.question,
                make=_LlavaMaker(config),
                views={stage: views(stage) for stage in CAPTION_STAGES},
                view_px=_LLAVA_VIEW_PX,
                # It keeps every core busy by itself.
                processes=1,
                view_s=_LLAVA_VIEW_S,
                start_s=_LLAVA_START_S,
                memory_mb=_model_memory_mb(config),
                enforce_memory=False,
            )
        )
    return specs


@dataclass(frozen=True)
class _LlavaMaker:
    """Makes the captioner in its worker. Two of the same config are equal, unlike partials."""

    config: CaptionerConfig

    def __call__(self) -> Captioner:
        # llama.cpp is loaded in the worker only.
        from photosearch.captioning.llava import LlavaCaptioner  # noqa: PLC0415

        return LlavaCaptioner(self.config)


def _model_memory_mb(config: CaptionerConfig) -> int:
    """Return what a worker may take: both files, as much again for caches, and room to work."""
    files = [config.model, config.mmproj]
    size = sum(file.stat().st_size for file in files if file.exists())
    return 2 * (size >> 20) + 4000


def pools_of(runners: Iterable[StageRunner]) -> list[WorkerPool]:
    """Return the runners' worker pools, each once."""
    return list({id(runner.pool): runner.pool for runner in runners}.values())
