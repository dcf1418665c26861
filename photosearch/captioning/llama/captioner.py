"""The captioner: any vision language model that llama.cpp runs from a GGUF pair."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from threading import Event

import llama_cpp
import psutil
from PIL import Image

from photosearch.captioning.captioner import PhotoAnswer, PhotoViews
from photosearch.captioning.llama.devices import can_use_gpu, free_gpu_mb
from photosearch.captioning.llama.loading import Interrupted, LoadedModel, TokenizedPrompt
from photosearch.captioning.llama.prompt import Prompt
from photosearch.captioning.llama.slots import SlotContext
from photosearch.captioning.llama.writing import LEAST_ANSWER, Writing
from photosearch.captioning.memory import memory_shape
from photosearch.captioning.models import CaptionerConfig, check_gguf
from photosearch.captioning.recipes import DEFAULT_MAX_TOKENS
from photosearch.captioning.stopping import Words
from photosearch.domain import display_path
from photosearch.errors import CaptionError, ModelError, UsageError

# Where the model takes any size, the tokens of a picture and so its time grow with its area.
_LONGEST_SIDE = 1024
# llama.cpp multiplies by four rows at once on a CPU: three views or five are slower than four.
# Sixteen gain no more, and more half-written views are lost when it must stop.
_CPU_SEQUENCES, _GPU_SEQUENCES = 4, 16
_SHARE_OF_FREE_MEMORY = 0.6
# All tokens of a picture at once where they are not too many: two batches for 576 are slower.
_MIN_BATCH, _MAX_BATCH = 512, 1024


class LlamaCaptioner:
    """Captions views with a vision language model: greedy, several views at once.

    `words` returns the content words of a text. Loads both files at once, without the GPU where
    that fails with it. Raises ModelError, with llama.cpp's reason, where they can't work, and
    UsageError for a question that can't be asked. Belongs in a worker process: llama.cpp may end
    the process on a damaged file.
    """

    def __init__(self, config: CaptionerConfig, words: Words) -> None:
        self._config, self._words = config, words
        self._facts = check_gguf(config.model, config.mmproj)
        if not (self._facts.speaks_llava or self._facts.chat_template):
            raise ModelError(
                f"{display_path(config.model)} has no chat template, so it can't be asked."
            )
        self._model: LoadedModel | None = None
        self._context: SlotContext | None = None
        self.notice = ""
        """What the user should know of how it runs; empty where all is as asked."""
        self.on_gpu = config.gpu_layers != 0 and can_use_gpu()
        """Whether a GPU takes part."""
        try:
            self._open()
        except ModelError as error:
            if not self.on_gpu:
                raise
            self.on_gpu = False
            self.notice = f"{config.name} runs without the GPU, which failed: {error}"
            self._open()

    @property
    def model(self) -> str:
        """Name under which captions are stored."""
        return self._config.name

    @property
    def prompt(self) -> str:
        """The question captions are stored under."""
        return self._config.recipe.question

    @property
    def sequences(self) -> int:
        """How many views it captions at once."""
        return self._context.count if self._context else 0

    def caption(self, photos: Iterable[PhotoViews], left: Event) -> Iterator[PhotoAnswer]:
        """Yield captions of all views as they are written; see Captioner.

        A photo on which the model fails is answered with its CaptionError. Ends some tenths of a
        second after `left` is set, wherever it is; what is half written is lost.
        """
        if self._model is None or self._context is None:
            raise RuntimeError("the captioner is closed")
        self._context.clear_all()
        writing = Writing(
            self._model,
            self._context,
            self._prompt,
            self._config.recipe,
            self._words,
            self._tokens_for,
            self._enlarge,
            side=self._facts.image_side,
            longest=_LONGEST_SIDE,
        )
        with closing(writing), self._model.interrupt.watching(left):
            try:
                for answer in writing.run(photos):
                    yield replace(answer, notice=self.notice)
            except Interrupted:
                return

    def close(self) -> None:
        """Free model and projector; may be called twice."""
        if self._context:
            self._context.close()
            self._context = None
        if self._model:
            self._model.close()
            self._model = None

    def _open(self) -> None:
        config = self._config
        try:
            self._model = model = LoadedModel(
                config.model,
                config.mmproj,
                threads=config.threads,
                gpu_layers=config.gpu_layers if self.on_gpu else 0,
                cache=config.cache,
            )
            bos, eos = model.special_texts()
            self._prompt = Prompt(
                self._facts,
                config.recipe,
                config.model,
                marker=model.marker,
                bos=bos,
                eos=eos,
                adds_bos=model.adds_bos,
            )
            self._tokens_after = self._count_tokens_after(model)
            self._make_first_context(model)
        except BaseException:
            self.close()
            raise

    def _make_first_context(self, model: LoadedModel) -> None:
        """Make room for large pictures now, so that what can't work fails before any photo."""
        side = self._facts.image_side or _LONGEST_SIDE
        try:
            prompt = model.tokenized(self._prompt.first, Image.new("RGB", (side, side)))
        except CaptionError as error:
            raise ModelError(f"{self._config.name} can't be used: {error}") from error
        with closing(prompt):
            try:
                tokens = self._tokens_for(prompt)
            except CaptionError as error:
                raise UsageError(f"{error} Shorten the prompt.") from error
            self._make_context(model, prompt, self._wanted_sequences(model, tokens), tokens)

    def _tokens_for(self, prompt: TokenizedPrompt) -> int:
        """Return how many tokens a conversation that begins with `prompt` may take."""
        assert self._model is not None
        most = self._model.trained_tokens
        if prompt.size + LEAST_ANSWER > most:
            raise CaptionError(
                f"Picture and prompt take {prompt.size} tokens, and {self._config.name} was "
                f"trained for {most}."
            )
        return min(prompt.size + self._tokens_after, most)

    def _count_tokens_after(self, model: LoadedModel) -> int:
        """Return how many tokens may follow the first prompt."""
        recipe = self._config.recipe
        answer = max(DEFAULT_MAX_TOKENS, *recipe.max_tokens.values(), 1)
        if not recipe.follow_up:
            return answer
        # Told anew, a conversation may have a few more between the answers.
        between = model.tokens_of(self._prompt.bridge or recipe.follow_up)
        return 2 * answer + len(between) + 32

    def _wanted_sequences(self, model: LoadedModel, tokens: int) -> int:
        if not model.keeps_past:
            return 1
        if self._config.sequences:
            return min(self._config.sequences, int(llama_cpp.llama_max_parallel_sequences()))
        most = _GPU_SEQUENCES if self.on_gpu else _CPU_SEQUENCES
        free = free_gpu_mb() << 20 if self.on_gpu else psutil.virtual_memory().available
        if not free:
            # Not every driver says; what does not fit is halved later.
            return most
        shape = memory_shape(self._config.model, self._config.mmproj)
        fitting = int(free * _SHARE_OF_FREE_MEMORY / (tokens * max(1, shape.bytes_per_token())))
        return max(1, min(fitting, most))

    def _enlarge(self, prompt: TokenizedPrompt) -> SlotContext:
        assert self._model is not None and self._context is not None
        wanted = self._context.count
        tokens = self._tokens_for(prompt)
        self._context.close()
        try:
            self._make_context(self._model, prompt, wanted, tokens)
        except ModelError:
            # Other pictures need less.
            self._make_first_context(self._model)
        return self._context

    def _make_context(
        self, model: LoadedModel, prompt: TokenizedPrompt, wanted: int, tokens: int
    ) -> SlotContext:
        batch = max(chunk.size for chunk in prompt.chunks)
        if not model.needs_whole_picture:
            batch = min(batch, _MAX_BATCH)
        while True:
            try:
                self._context = SlotContext(model, wanted, tokens, max(batch, _MIN_BATCH))
            except MemoryError as error:
                if wanted == 1:
                    self._context = None
                    raise ModelError(
                        f"There is not enough memory to run {self._config.name} "
                        f"with {tokens} tokens.{error}"
                    ) from error
                wanted //= 2
            else:
                return self._context
