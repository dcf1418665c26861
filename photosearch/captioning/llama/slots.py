"""A llama.cpp context in which several conversations go on at once, each in a slot of its own."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import llama_cpp
import numpy as np
from llama_cpp import mtmd_cpp

from photosearch.captioning.llama.loading import (
    LOG,
    Chunk,
    Embeddings,
    LoadedModel,
    TokenizedPrompt,
    not_finite,
)
from photosearch.errors import CaptionError, PhotosearchError

Encode = Callable[[int, Chunk], Embeddings]
"""Returns what is seen in the picture of this number of a prompt."""


@dataclass(frozen=True, slots=True)
class _Prefix:
    """What a context remembers of the tokens that every prompt begins with."""

    tokens: tuple[int, ...]
    state: Any


@dataclass(slots=True)
class _Slot:
    position: int = 0
    """Where its next token stands. With M-RoPE, a picture of many tokens has few positions."""
    used: int = 0
    """How many tokens it holds."""


class SlotContext:
    """A context of `slots` conversations of at most `tokens` tokens each; to be closed.

    Their caches are apart: what one says does not depend on the others. Methods raise Interrupted,
    or CaptionError when llama.cpp fails or its numbers are not finite; the slots concerned then
    have to be cleared. The constructor raises MemoryError.
    """

    def __init__(self, model: LoadedModel, slots: int, tokens: int, batch: int) -> None:
        self._model = model
        self.tokens = -(-tokens // 256) * 256
        self.count = slots
        parameters = llama_cpp.llama_context_default_params()
        parameters.n_ctx = self.tokens * slots
        parameters.n_seq_max = slots
        parameters.kv_unified = False
        # A window of attention is longer than our contexts, or nearly so; this way, the end of a
        # conversation can be taken back in each model.
        parameters.swa_full = True
        parameters.n_batch = parameters.n_ubatch = batch
        parameters.n_threads = parameters.n_threads_batch = model.threads
        parameters.no_perf = True
        self._context = llama_cpp.llama_init_from_model(model.model, parameters)
        if not self._context:
            raise MemoryError(LOG.reason())
        llama_cpp.llama_set_abort_callback(self._context, model.interrupt.abort, ctypes.c_void_p(0))
        self._memory = llama_cpp.llama_get_memory(self._context)
        self._room = max(batch, slots)
        self._batch = llama_cpp.llama_batch_init(self._room, 0, 1)
        self._slots = [_Slot() for _ in range(slots)]
        self._prefix: _Prefix | None = None
        # Numbers that are not finite spoil what comes after them in a slot, though it is emptied.
        self._spoiled: set[int] = set()

    def close(self) -> None:
        """Free the context; may be called twice."""
        if self._context:
            llama_cpp.llama_batch_free(self._batch)
            llama_cpp.llama_free(self._context)
            self._context = None

    def room(self, slot: int) -> int:
        """Return how many more tokens the slot can take."""
        return self.tokens - self._slots[slot].used

    def position(self, slot: int) -> int:
        """Return where the slot's next token stands."""
        return self._slots[slot].position

    def clear(self, slot: int) -> None:
        """Empty a slot."""
        llama_cpp.llama_memory_seq_rm(self._memory, slot, -1, -1)
        self._slots[slot] = _Slot()

    def clear_all(self) -> None:
        """Empty all slots, which makes each usable."""
        llama_cpp.llama_memory_clear(self._memory, bool(self._spoiled))
        self._slots = [_Slot() for _ in self._slots]
        self._spoiled.clear()

    def usable_slots(self) -> list[int]:
        """Return the slots in which a conversation may begin; the others wait for `clear_all`."""
        return [slot for slot in range(self.count) if slot not in self._spoiled]

    def begin(self, slot: int, prompt: TokenizedPrompt, encode: Encode) -> int:
        """Empty the slot, take in a prompt, and return the first token of the answer."""
        self.clear(slot)
        token = -1
        pictures = 0
        for number, chunk in enumerate(prompt.chunks):
            last = number == len(prompt.chunks) - 1
            if not chunk.tokens:
                embeddings = encode(pictures, chunk)
                pictures += 1
                self._take_in_picture(slot, chunk, embeddings)
            elif number or last or not self._recall(slot, chunk.tokens):
                token = self._take_in(slot, chunk.tokens, answers=last)
                if not number and not last:
                    self._remember(slot, chunk.tokens)
        return token

    def go_on(self, slot: int, tokens: Sequence[int]) -> int:
        """Add tokens to a conversation and return the one that answers them."""
        return self._take_in(slot, tokens, answers=True)

    def step(self, tokens: Mapping[int, int]) -> dict[int, int | PhotosearchError]:
        """Add one token to each of the slots, and return what follows, or why nothing does."""
        # llama.cpp computes runs of neighbouring slots at once.
        slots = sorted(tokens)
        if len(slots) > 1:
            try:
                self._decode([tokens[slot] for slot in slots], slots, answers=len(slots))
            except CaptionError:
                # It takes back what it could not do. One conversation must not fail another.
                return {slot: self._single_step(slot, tokens[slot]) for slot in slots}
            found: dict[int, int | PhotosearchError] = {}
            for row, slot in enumerate(slots):
                found[slot] = self._caught(row, slot)
            return found
        return {slot: self._single_step(slot, tokens[slot]) for slot in slots}

    def take_back(self, slot: int, position: int) -> bool:
        """Forget the text of a slot from `position` on; return False where the model can't."""
        state = self._slots[slot]
        if position < state.position:
            if not llama_cpp.llama_memory_seq_rm(self._memory, slot, position, -1):
                return False
            state.used -= state.position - position
            state.position = position
        return True

    def _single_step(self, slot: int, token: int) -> int | PhotosearchError:
        try:
            self._decode([token], [slot], answers=1)
        except CaptionError as error:
            return error
        return self._caught(0, slot)

    def _caught(self, row: int, slot: int) -> int | PhotosearchError:
        try:
            return self._likeliest(row, slot)
        except CaptionError as error:
            return error

    def _take_in(self, slot: int, tokens: Sequence[int], *, answers: bool) -> int:
        size = self._room
        for start in range(0, len(tokens), size):
            part = tokens[start : start + size]
            last = answers and start + size >= len(tokens)
            self._decode(part, [slot] * len(part), answers=int(last))
        return self._likeliest(-1, slot) if answers else -1

    def _take_in_picture(self, slot: int, chunk: Chunk, embeddings: Embeddings) -> None:
        state = self._slots[slot]
        position = llama_cpp.llama_pos(state.position)
        failed = mtmd_cpp.mtmd_helper_decode_image_chunk(
            self._model.mtmd,
            self._context,
            chunk.handle,
            embeddings.ctypes.data_as(ctypes.POINTER(ctypes.c_float)),
            position,
            slot,
            llama_cpp.llama_n_batch(self._context),
            ctypes.byref(position),
            mtmd_cpp.mtmd_helper_post_decode_callback(0),
            None,
        )
        self._model.interrupt.check()
        if failed:
            raise CaptionError(f"The model failed on this picture.{LOG.reason()}")
        state.position = int(position.value)
        state.used += chunk.size

    def _decode(self, tokens: Sequence[int], slots: Sequence[int], *, answers: int) -> None:
        """Compute one token of each of `slots`, of which the last `answers` are to be answered."""
        batch = self._batch
        batch.n_tokens = count = len(tokens)
        ahead: dict[int, int] = {}
        for row, (token, slot) in enumerate(zip(tokens, slots, strict=True)):
            batch.token[row] = token
            batch.pos[row] = self._slots[slot].position + ahead.get(slot, 0)
            batch.n_seq_id[row] = 1
            batch.seq_id[row][0] = slot
            batch.logits[row] = row >= count - answers
            ahead[slot] = ahead.get(slot, 0) + 1
        failed = llama_cpp.llama_decode(self._context, batch)
        self._model.interrupt.check()
        if failed:
            raise CaptionError(f"The model failed on this picture.{LOG.reason()}")
        for slot, number in ahead.items():
            self._slots[slot].position += number
            self._slots[slot].used += number

    def _likeliest(self, row: int, slot: int) -> int:
        logits = llama_cpp.llama_get_logits_ith(self._context, row)
        numbers = np.ctypeslib.as_array(logits, (self._model.token_count,))
        token = int(numbers.argmax())
        # One that is no number counts as the largest.
        if not np.isfinite(numbers[token]):
            self._spoiled.add(slot)
            raise not_finite("language model")
        return token

    def _recall(self, slot: int, tokens: tuple[int, ...]) -> bool:
        """Put what is remembered of `tokens` into an empty slot, if it is."""
        prefix = self._prefix
        if prefix is None or prefix.tokens != tokens:
            return False
        size = len(prefix.state)
        if not llama_cpp.llama_state_seq_set_data(self._context, prefix.state, size, slot):
            self.clear(slot)
            return False
        self._slots[slot] = _Slot(len(tokens), len(tokens))
        return True

    def _remember(self, slot: int, tokens: tuple[int, ...]) -> None:
        size = llama_cpp.llama_state_seq_get_size(self._context, slot)
        state = (ctypes.c_uint8 * size)()
        if llama_cpp.llama_state_seq_get_data(self._context, state, size, slot) == size:
            self._prefix = _Prefix(tokens, state)
