"""The text around a picture: what a model is asked, in the form that it was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

from photosearch.captioning.models import ModelFacts
from photosearch.captioning.recipes import Recipe
from photosearch.domain import display_path
from photosearch.errors import ModelError, UsageError

LLAVA_PROMPT = (
    "A chat between a curious human and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the human's questions. "
    "USER: {image}\n{prompt} ASSISTANT:"
)
"""What LLaVA-1.5 was trained on: conversation `vicuna_v1` of haotian-liu/LLaVA."""

# Stands for the answer while the text around it is looked for; no template changes such a word.
_ANSWER = "Qzanswerzq"


class Prompt:
    """The text of a conversation about one picture.

    `first` asks the recipe's question; `marker` stands in it where the picture goes. `bridge` is
    what to add after the answer to ask the follow-up, empty where there is none, and None where
    the conversation must be told anew by `second`.

    `bos` and `eos` are the texts of the model's first and last token; `adds_bos` says that
    llama.cpp sets the first by itself. Raises UsageError for a question that holds the marker, and
    ModelError for a chat template that does not work.
    """

    def __init__(
        self,
        facts: ModelFacts,
        recipe: Recipe,
        model: Path,
        *,
        marker: str,
        bos: str = "",
        eos: str = "",
        adds_bos: bool = True,
    ) -> None:
        for text in (recipe.question, recipe.follow_up):
            if marker in text:
                raise UsageError(f"The prompt may not hold {marker}, which stands for the picture.")
        self._facts, self._model = facts, model
        self._bos, self._eos, self._adds_bos = bos, eos, adds_bos
        self.bridge: str | None = ""
        self._second = ""
        if facts.speaks_llava:
            self.first = LLAVA_PROMPT.format(image=marker, prompt=recipe.question)
            if recipe.follow_up:
                self.bridge = f"{eos}USER: {recipe.follow_up} ASSISTANT:"
                self._second = f"{self.first} {_ANSWER}{self.bridge}"
            return
        self._as_parts = False
        question = f"{marker}\n{recipe.question}"
        self.first = self._asked(marker, question)
        if recipe.follow_up:
            self._add_follow_up(question, recipe.follow_up)

    def second(self, answer: str) -> str:
        """Return the conversation with the first `answer` and the follow-up."""
        return self._second.replace(_ANSWER, answer)

    def _asked(self, marker: str, question: str) -> str:
        problem = ""
        # Most templates take a text; some only parts, and then say nothing of a text.
        for self._as_parts in (False, True):
            try:
                text = self._rendered([question])
            except Exception as error:
                # A template is a program of unknown origin: it can fail in any way.
                problem = str(error) or type(error).__name__
                continue
            if text.count(marker) == 1:
                return text
            problem = "it does not repeat the question"
        raise ModelError(
            f"The chat template in {display_path(self._model)} can't be used: {problem}."
        )

    def _add_follow_up(self, question: str, follow_up: str) -> None:
        try:
            self._second = self._rendered([question, _ANSWER, follow_up])
            problem = "it does not repeat the answer"
        except Exception as error:
            problem = str(error) or type(error).__name__
        before, found, after = self._second.partition(_ANSWER)
        if not found:
            raise ModelError(
                f"The chat template in {display_path(self._model)} can't ask a second question: "
                f"{problem}. Choose a recipe without a follow-up question."
            )
        # The space before an answer is part of it: the model writes it itself.
        goes_on = before.startswith(self.first) and not before[len(self.first) :].strip()
        self.bridge = after if goes_on else None

    def _rendered(self, turns: Sequence[str]) -> str:
        roles = ("user", "assistant", "user")
        messages = [
            {
                "role": role,
                "content": [{"type": "text", "text": turn}] if self._as_parts else turn,
            }
            for role, turn in zip(roles, turns, strict=False)
        ]
        text = render_chat(self._facts.chat_template, messages, bos=self._bos, eos=self._eos)
        # llama.cpp sets the first token itself, once.
        return text.removeprefix(self._bos) if self._adds_bos else text


def render_chat(template: str, messages: Sequence[object], *, bos: str, eos: str) -> str:
    """Return a model's own chat template filled in with `messages`, the last of them a user's.

    The template comes from a file of unknown origin, hence the sandbox. Raises whatever the
    template's mistakes lead to.
    """

    def raise_exception(message: str) -> None:
        raise jinja2.TemplateError(message)

    # The settings that chat templates are written for (transformers, apply_chat_template).
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    environment.globals["raise_exception"] = raise_exception
    environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
    return environment.from_string(template).render(
        messages=messages,
        add_generation_prompt=True,
        enable_thinking=False,
        bos_token=bos,
        eos_token=eos,
    )
