"""How views are asked about: prompts and plans, which are data (resources/captioning)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

DEFAULT_PROMPT = "Describe this image in detail."
"""Asks for a full description, as LLaVA's own training data does (Liu et al., Visual Instruction
Tuning, table of instructions for detailed descriptions)."""

DEFAULT_MAX_TOKENS = 200
"""LLaVA-1.5 describes a photo in about 100 tokens."""


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
