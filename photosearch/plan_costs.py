"""What the plans of captioning would take, so that one can be chosen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from photosearch.captioners import chosen_recipe
from photosearch.captioning.model_store import ModelStore
from photosearch.captioning.recipes import plans
from photosearch.domain import PlanCost, Stage
from photosearch.imaging.crops import views
from photosearch.paths import AppPaths
from photosearch.settings import SettingsFile
from photosearch.storage.caption_store import CaptionStore


def plan_costs(
    paths: AppPaths, captions: CaptionStore, *, photo_count: int, speeds: Mapping[str, float]
) -> list[PlanCost]:
    """Return each plan's cost with the model in use; `speeds` are photos a second by kind of job.

    A stage that was not measured is taken to be as slow a view as the slowest that was.
    """
    settings = SettingsFile(paths.settings).load().captions
    model = ModelStore(paths.models).in_use()
    measured_s = _seconds_a_view(speeds, model.name) if model else {}
    answered = captions.count_views(model.name) if model else Counter[tuple[str, str]]()
    costs = []
    for plan in plans().values():
        asked = chosen_recipe(paths, replace(settings, plan=plan.name), plan)
        views_a_photo = views_left = 0
        seconds_left: float | None = 0.0
        for stage in plan.stages:
            names = [view.name for view in views(stage)]
            views_a_photo += len(names)
            left = sum(max(0, photo_count - answered[asked.question, name]) for name in names)
            views_left += left
            view_s = measured_s.get(stage, max(measured_s.values(), default=None))
            if seconds_left is not None and left:
                seconds_left = None if view_s is None else seconds_left + left * view_s
        costs.append(
            PlanCost(
                plan.name,
                plan.about,
                views_a_photo,
                views_left,
                seconds_left,
                plan.name == settings.plan,
            )
        )
    return costs


def _seconds_a_view(speeds: Mapping[str, float], model: str) -> dict[Stage, float]:
    """Return what a view of each stage took the model, where that was measured."""
    found = {}
    for kind, per_second in speeds.items():
        stage, _, rest = kind.partition(" ")
        if rest.startswith(f"{model} ") and per_second > 0:
            found[Stage(stage)] = 1 / per_second / len(views(Stage(stage)))
    return found
