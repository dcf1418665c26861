"""How views are asked about: prompts and plans, which are data (resources/captioning)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import msgspec

from photosearch.captioning.tables import read_tables
from photosearch.domain import CAPTION_STAGES, Stage
from photosearch.errors import UsageError
from photosearch.imaging.crops import views
from photosearch.paths import resource

DEFAULT_PROMPT = "Describe this image in detail."
"""Asks for a full description, as LLaVA's own training data does (Liu et al., Visual Instruction
Tuning, table of instructions for detailed descriptions)."""

DEFAULT_MAX_TOKENS = 200
"""LLaVA-1.5 describes a photo in about 100 tokens."""

DEFAULT_PLAN = "standard"

_IN_LANGUAGE = " Answer in {language}."
# What stands for the picture in llama.cpp, LLaVA, Gemma, Pixtral and Qwen.
_IMAGE_MARKERS = (
    "<__media__>", "<__image__>", "<image>", "<|image|>", "<image_soft_token>", "<start_of_image>",
    "[img]", "<|vision_start|>", "<|image_pad|>",
)  # fmt: skip
_LONGEST_PROMPT = 2000
_LONGEST_LANGUAGE = 40

_Budget = Annotated[int, msgspec.Meta(ge=8, le=2000)]
_Sentence = Annotated[str, msgspec.Meta(min_length=1, max_length=_LONGEST_PROMPT)]


@dataclass(frozen=True, slots=True)
class Recipe:
    """How views are asked about; plain data that travels to any captioner.

    Captions are stored under `question`. `follow_up` is asked after the answer, in the same
    conversation; empty for none. `max_tokens` bounds an answer by the view's name, and is
    DEFAULT_MAX_TOKENS where it does not say. `stop_early` ends an answer whose last sentences add
    no content word that is not known yet.
    """

    question: str = DEFAULT_PROMPT
    follow_up: str = ""
    # A dict has no hash; recipes that differ in it only are rare enough to share one.
    max_tokens: Mapping[str, int] = field(default_factory=dict, hash=False)
    stop_early: bool = True

    def budget(self, view: str) -> int:
        """Return how many tokens an answer about the view of this name may have."""
        return self.max_tokens.get(view, DEFAULT_MAX_TOKENS)


class PromptSet(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a model is asked, by its name; `in_language` is added for captions in a language.

    Texts with a model's marker for the picture in them are refused: they would ask for a second
    picture.
    """

    name: str
    about: _Sentence
    question: _Sentence
    follow_up: str = ""
    in_language: str = _IN_LANGUAGE

    def __post_init__(self) -> None:
        check_prompt(self.question)
        check_prompt(self.follow_up)
        check_prompt(self.in_language)
        if self.follow_up == self.question:
            # Captions are stored under what they answer: the second would replace the first.
            raise ValueError("follow_up must ask something else than question")
        if "{language}" not in self.in_language:
            raise ValueError("in_language needs {language}, where the language's name goes")


class Plan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many views are looked at, and how long; see resources/captioning/plans.toml."""

    name: str
    about: _Sentence
    prompt: str
    stages: tuple[Stage, ...]
    max_tokens: dict[Stage, _Budget]
    skip_flat: bool
    stop_early: bool
    follow_up: bool

    def __post_init__(self) -> None:
        if not self.stages or not {*self.stages, *self.max_tokens} <= {*CAPTION_STAGES}:
            raise ValueError("stages are full, halves, quarters and ninths")
        if list(self.stages) != sorted(set(self.stages), key=lambda stage: stage.rank):
            raise ValueError("stages stand in their order, each once")


def prompts(own: Path | None = None) -> dict[str, PromptSet]:
    """Return the prompts by name: photosearch's, and those of the user's file `own` if it is there.

    Raises UsageError that names the file and the key for a mistake in it.
    """
    return read_tables(PromptSet, resource("captioning", "prompts.toml"), own)


def plans() -> dict[str, Plan]:
    """Return the plans by name."""
    return read_tables(Plan, resource("captioning", "plans.toml"))


def recipe(plan: Plan, prompt_set: PromptSet, language: str = "") -> Recipe:
    """Return how to ask about views by this plan and prompt, for answers in `language`.

    `language` is its English name, or empty for English. Raises UsageError if it is no name.
    """
    ending = ""
    if language := language.strip():
        named = len(language) <= _LONGEST_LANGUAGE and all(
            ch.isalpha() or ch in " -'()" for ch in language
        )
        if not named:
            raise UsageError(f"{language[:_LONGEST_LANGUAGE]!r} is no language; one is: German")
        ending = prompt_set.in_language.replace("{language}", language)
    follow_up = prompt_set.follow_up if plan.follow_up else ""
    return Recipe(
        prompt_set.question + ending,
        follow_up + ending if follow_up else "",
        {
            view.name: plan.max_tokens.get(stage, DEFAULT_MAX_TOKENS)
            for stage in plan.stages
            for view in views(stage)
        },
        plan.stop_early,
    )


def check_prompt(prompt: str) -> None:
    """Raise ValueError, with the reason, for a prompt that can't be asked."""
    lowered = prompt.lower()
    for marker in _IMAGE_MARKERS:
        if marker in lowered:
            raise ValueError(f"a prompt may not hold {marker}, which stands for the picture")
    if not all(ch.isprintable() or ch == "\n" for ch in prompt):
        raise ValueError("a prompt may not hold control characters")
