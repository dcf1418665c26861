"""Who captions a library, and how: from the model in use and the settings to what workers get."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

from photosearch.captioning import instant
from photosearch.captioning.captioner import Captioner, CaptionerSpec
from photosearch.captioning.clip import ClipChoice, choose_clip, photo_embedder
from photosearch.captioning.memory import CONTEXT_TOKENS, memory_shape
from photosearch.captioning.model_store import ModelStore
from photosearch.captioning.models import CaptionerConfig, LocalModel, ServerModel
from photosearch.captioning.recipes import Plan, Recipe, plans, prompts, recipe
from photosearch.domain import Stage, display_path
from photosearch.errors import ModelError, UsageError
from photosearch.imaging.crops import views
from photosearch.paths import AppPaths
from photosearch.search.analysis import word_keys
from photosearch.settings import CaptionSettings, SearchSettings, SettingsFile

# Up to this size of a crop's shorter side a model can make use of it.
_VIEW_PX = 672
_REMOTE_SILENCE_S = 900.0
_SILENCE_S = 600.0
_START_S = 900.0
_GROWTH_MB = 1500
# As many as a task should hold so that the last of its sequences does not run alone for long, and
# so few that a worker that dies takes little with it.
_LOCAL_BATCH = 24
_ROOM_MB = 4000


def find_captioners(paths: AppPaths) -> list[CaptionerSpec]:
    """Return the captioners of a library: the instant tagger, CLIP and the model in use if any.

    A CLIP checkpoint that can't be used is left out: `clip_trouble` says why.
    Raises UsageError or UnavailableError where settings or the list of models are damaged.
    """
    tagger = CaptionerSpec(
        instant.MODEL,
        prompt="",
        make=instant.InstantTagger,
        views={Stage.TAGS: instant.VIEWS},
        view_px=instant.VIEW_PX,
        memory_mb=1500,
    )
    found = [tagger]
    settings = SettingsFile(paths.settings).load().captions
    with contextlib.suppress(ModelError):
        clip = clip_in_use(paths)
        if clip is not None:
            found.append(photo_embedder(clip, settings.threads))
    known = ModelStore(paths.models).in_use()
    if known is None:
        return found
    plan = chosen_plan(settings)
    asked = chosen_recipe(paths, settings, plan)
    if isinstance(known, LocalModel):
        return [*found, _local(known, paths, settings, plan, asked)]
    return [*found, _remote(known, plan, asked)]


def clip_in_use(paths: AppPaths) -> ClipChoice | None:
    """Return the CLIP checkpoint that is set, or None; ModelError where it can't be used.

    Raises UsageError or UnavailableError where the settings are damaged.
    """
    return clip_set(SettingsFile(paths.settings).load().search)


def clip_set(settings: SearchSettings) -> ClipChoice | None:
    """Return the CLIP checkpoint of these settings, or None; ModelError where it can't be used."""
    if not settings.clip_checkpoint:
        return None
    return choose_clip(settings.clip_model, Path(settings.clip_checkpoint).expanduser())


def clip_trouble(paths: AppPaths) -> str:
    """Return why photos get no vectors though a CLIP checkpoint is set, a sentence, or nothing."""
    try:
        clip_in_use(paths)
    except ModelError as error:
        return f"Photos can't be found by descriptions: {error}"
    return ""


def chosen_plan(settings: CaptionSettings) -> Plan:
    """Return the plan that is set; UsageError if there is none of this name."""
    known = plans()
    if settings.plan not in known:
        raise UsageError(
            f"There is no plan {display_path(settings.plan)}; plans are {', '.join(known)}. "
            "To choose one: photosearch settings captions.plan standard"
        )
    return known[settings.plan]


def chosen_recipe(paths: AppPaths, settings: CaptionSettings, plan: Plan) -> Recipe:
    """Return how views are asked about; UsageError if there is no prompt of the set name."""
    known = prompts(paths.prompts)
    name = settings.prompts or plan.prompt
    if name not in known:
        raise UsageError(
            f"There are no prompts {display_path(name)}; there are {', '.join(known)}. "
            f"To choose some: photosearch settings captions.prompts {plan.prompt}"
        )
    return recipe(plan, known[name], settings.language)


def _local(
    model: LocalModel, paths: AppPaths, settings: CaptionSettings, plan: Plan, asked: Recipe
) -> CaptionerSpec:
    config = model.config(
        asked,
        threads=settings.threads or None,
        gpu_layers=settings.gpu_layers,
        sequences=settings.sequences,
        cache=paths.model_files,
    )
    return CaptionerSpec(
        model.name,
        asked.question,
        make=_LlamaMaker(config),
        views={stage: views(stage) for stage in plan.stages},
        view_px=_VIEW_PX,
        batch=_LOCAL_BATCH,
        skip_flat=plan.skip_flat,
        watch_stale=True,
        uses_known=plan.stop_early,
        scheduled=True,
        # It keeps every core busy by itself.
        processes=1,
        silence_s=_SILENCE_S,
        start_s=_START_S,
        memory_mb=settings.memory_mb or _need_mb(model, settings.sequences),
        growth_mb=_GROWTH_MB,
        enforce_memory=False,
    )


def _need_mb(model: LocalModel, sequences: int) -> int:
    """Return what a worker may take: the files, as much again for caches, and room to work.

    More where the user set so many `sequences` that their caches take more.
    """
    try:
        shape = memory_shape(model.model, model.mmproj)
    except ModelError:
        return _ROOM_MB  # The worker says what is wrong with them.
    # Twice what most views take: the paper's second answer, and models of more tokens a picture.
    caches = shape.bytes_per_token() * 2 * CONTEXT_TOKENS * sequences
    return ((shape.file_bytes + max(shape.file_bytes, caches)) >> 20) + _ROOM_MB


def _remote(model: ServerModel, plan: Plan, asked: Recipe) -> CaptionerSpec:
    # Several rounds, as towards a task's end not every slot is busy.
    batch = max(_LOCAL_BATCH, 4 * sum(endpoint.concurrency for endpoint in model.endpoints))
    return CaptionerSpec(
        model.name,
        asked.question,
        make=_RemoteMaker(model, asked),
        views={stage: views(stage) for stage in plan.stages},
        view_px=_VIEW_PX,
        batch=batch,
        skip_flat=plan.skip_flat,
        watch_stale=True,
        processes=1,
        # It gives its servers up by itself long before.
        silence_s=_REMOTE_SILENCE_S,
        memory_mb=2000,
    )


@dataclass(frozen=True)
class _LlamaMaker:
    """Makes the captioner in its worker. Two of the same config are equal, unlike partials."""

    config: CaptionerConfig

    def __call__(self) -> Captioner:
        # llama.cpp is loaded in the worker only.
        from photosearch.captioning.llama.captioner import LlamaCaptioner  # noqa: PLC0415

        return LlamaCaptioner(self.config, word_keys)


@dataclass(frozen=True)
class _RemoteMaker:
    model: ServerModel
    recipe: Recipe

    def __call__(self) -> Captioner:
        from photosearch.captioning.remote.captioner import (  # noqa: PLC0415
            RemoteCaptioner,
            RemoteConfig,
        )

        return RemoteCaptioner(RemoteConfig(self.model.name, self.model.endpoints, self.recipe))
