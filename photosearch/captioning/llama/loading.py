"""A language model and its image projector, loaded into llama.cpp and libmtmd."""

from __future__ import annotations

import ctypes
import os
import tempfile
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import numpy.typing as npt
import psutil
from PIL import Image

from photosearch.captioning.gguf_header import GgufHeader
from photosearch.captioning.llama.bfloat16 import fastest_mmproj
from photosearch.captioning.llama.selftest import usable_mmproj
from photosearch.captioning.mending import in_place, lacks_first_patch
from photosearch.domain import display_path
from photosearch.errors import CaptionError, ModelError

# An abort in llama.cpp would start a debugger where one is installed, and wait for it.
os.environ.setdefault("GGML_NO_BACKTRACE", "1")

import llama_cpp
from llama_cpp import mtmd_cpp

Embeddings = npt.NDArray[np.float32]
"""What the vision tower sees in a picture: (tokens, width of the language model)."""

# ggml.h: enum ggml_log_level (llama-cpp-python lists an older numbering).
_ERROR_LEVEL, _CONTINUED_LEVEL = 4, 5
# The vision tower computes so many operations between two looks at the interrupt: 50 ms or so.
_OPERATIONS_A_LOOK = 12


class Interrupted(Exception):  # noqa: N818 - no error, somebody asked for it
    """llama.cpp was told to stop; what it computed last is incomplete."""


class Interrupt:
    """Stops llama.cpp from within when the event that it watches is set."""

    def __init__(self) -> None:
        self._event: Event | None = None
        self._operations = 0
        # llama.cpp keeps bare pointers to these.
        self.abort = llama_cpp.ggml_abort_callback(lambda _data: self.is_set())
        self.after_operation = llama_cpp.ggml_backend_sched_eval_callback(self._look)

    @contextmanager
    def watching(self, event: Event) -> Iterator[None]:
        """Stop computing when `event` is set, as long as the context lasts."""
        self._event = event
        try:
            yield
        finally:
            self._event = None

    def is_set(self) -> bool:
        """Return whether to stop."""
        return self._event is not None and self._event.is_set()

    def check(self) -> None:
        """Raise Interrupted if it is time to stop."""
        if self.is_set():
            raise Interrupted

    def _look(self, _tensor: object, asks: bool, _data: object) -> bool:
        # Asked: whether to call again once this operation is done. Else: whether to go on.
        if not asks:
            return not self.is_set()
        self._operations += 1
        return self._operations % _OPERATIONS_A_LOOK == 0


class _Log:
    """Keeps the last error lines of llama.cpp: the reason of a failure stands only there."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=4)
        self._level = 0
        self.callback = llama_cpp.llama_log_callback(self._hear)

    def _hear(self, level: int, text: bytes, _data: object) -> None:
        if level != _CONTINUED_LEVEL:
            self._level = level
        line = text.decode("utf-8", "replace").strip()
        if self._level == _ERROR_LEVEL and line and line not in self._lines:
            self._lines.append(line)

    def clear(self) -> None:
        """Forget what was said so far."""
        self._lines.clear()

    def reason(self) -> str:
        """Return what was said as the end of a sentence."""
        return f" llama.cpp says: {'; '.join(self._lines)}" if self._lines else ""


# llama.cpp has one log for the whole process, which may speak until the process ends.
LOG = _Log()


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a prompt: tokens of text, or a picture of `size` tokens (then `tokens` is empty).

    `handle` is libmtmd's, valid as long as the TokenizedPrompt.
    """

    handle: Any
    size: int
    tokens: tuple[int, ...]


class TokenizedPrompt:
    """A prompt with its picture in the form that the model takes in; to be closed."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle
        count = mtmd_cpp.mtmd_input_chunks_size(handle)
        chunks = [_chunk(mtmd_cpp.mtmd_input_chunks_get(handle, i)) for i in range(count)]
        self.chunks = [chunk for chunk in chunks if chunk.size]
        self.size = sum(chunk.size for chunk in self.chunks)
        """How many tokens it has in all."""

    def close(self) -> None:
        """Free the picture; may be called twice."""
        if self._handle:
            mtmd_cpp.mtmd_input_chunks_free(self._handle)
            self._handle, self.chunks = None, []


class LoadedModel:
    """A pair of GGUF files in memory; to be closed.

    `threads`, `gpu_layers` and `cache` as in CaptionerConfig. Where llama.cpp shows pictures
    wrongly to such a model, a mended copy of the projector is loaded. Raises ModelError, with
    llama.cpp's reason, when loading fails. llama.cpp may end the process on a damaged file.
    """

    def __init__(
        self,
        model: Path,
        mmproj: Path,
        *,
        threads: int | None,
        gpu_layers: int,
        cache: Path | None,
    ) -> None:
        self.interrupt = Interrupt()
        self.threads = threads or _physical_cores()
        self._pieces: dict[int, bytes] = {}
        self._stack = ExitStack()
        llama_cpp.llama_log_set(LOG.callback, ctypes.c_void_p(0))
        mtmd_cpp.mtmd_helper_log_set(LOG.callback, ctypes.c_void_p(0))
        LOG.clear()
        llama_cpp.llama_backend_init()
        try:
            self._load_model(model, gpu_layers)
            self._load_projector(mmproj, gpu_layers, cache)
        except BaseException:
            self.close()
            raise

    def _load_model(self, path: Path, gpu_layers: int) -> None:
        parameters = llama_cpp.llama_model_default_params()
        parameters.n_gpu_layers = gpu_layers
        self.model = llama_cpp.llama_model_load_from_file(os.fsencode(path), parameters)
        if not self.model:
            raise ModelError(f"{display_path(path)} can't be loaded.{LOG.reason()}")
        self._stack.callback(llama_cpp.llama_model_free, self.model)
        if not llama_cpp.llama_model_has_decoder(self.model) or llama_cpp.llama_model_has_encoder(
            self.model
        ):
            raise ModelError(f"{display_path(path)} is no model that writes text on its own.")
        self.vocabulary = llama_cpp.llama_model_get_vocab(self.model)
        self.token_count = int(llama_cpp.llama_vocab_n_tokens(self.vocabulary))
        self._vector_width = int(llama_cpp.llama_model_n_embd_inp(self.model))

    def _load_projector(self, path: Path, gpu_layers: int, cache: Path | None) -> None:
        options = mtmd_cpp.mtmd_context_params_default()
        options.use_gpu = gpu_layers != 0
        options.print_timings = False
        options.n_threads = self.threads
        if not options.use_gpu:
            # A GPU is done too soon to be stopped, and would wait for each look.
            options.cb_eval = self.interrupt.after_operation
        folder = cache
        if folder is None:
            temporary = tempfile.TemporaryDirectory(prefix="photosearch-")
            folder = Path(self._stack.enter_context(temporary))
        usable = usable_mmproj(path, folder)
        # For one time it is not worth a copy, in what may be main memory.
        if cache is not None and not options.use_gpu:
            usable = fastest_mmproj(usable, cache)
        LOG.clear()
        header = GgufHeader(usable)
        self._shifted = lacks_first_patch(header)
        self._patches = (
            (header.number("clip.vision.image_size") or 0)
            // (header.number("clip.vision.patch_size") or 1)
        ) ** 2
        self.mtmd = mtmd_cpp.mtmd_init_from_file(os.fsencode(usable), self.model, options)
        if not self.mtmd:
            raise ModelError(f"{display_path(path)} can't be loaded.{LOG.reason()}")
        self._stack.callback(mtmd_cpp.mtmd_free, self.mtmd)
        if not mtmd_cpp.mtmd_support_vision(self.mtmd):
            raise ModelError(f"{display_path(path)} has no vision encoder.")

    def close(self) -> None:
        """Free both; may be called twice."""
        self._stack.close()

    @property
    def marker(self) -> str:
        """What stands for the picture in a prompt."""
        return (mtmd_cpp.mtmd_get_marker(self.mtmd) or b"").decode()

    @property
    def trained_tokens(self) -> int:
        """The longest context that the language model was trained for."""
        return int(llama_cpp.llama_model_n_ctx_train(self.model))

    @property
    def keeps_past(self) -> bool:
        """Whether the model remembers each token by itself, so that the last can be taken back."""
        return not (
            llama_cpp.llama_model_is_recurrent(self.model)
            or llama_cpp.llama_model_is_hybrid(self.model)
        )

    @property
    def needs_whole_picture(self) -> bool:
        """Whether the tokens of a picture see each other, and so must be computed together."""
        return bool(mtmd_cpp.mtmd_decode_use_non_causal(self.mtmd, None))

    @property
    def adds_bos(self) -> bool:
        """Whether llama.cpp begins a prompt with the model's first token by itself."""
        return bool(llama_cpp.llama_vocab_get_add_bos(self.vocabulary))

    def special_texts(self) -> tuple[str, str]:
        """Return the texts of the tokens that begin and end a text, empty where there is none."""
        bos = llama_cpp.llama_vocab_bos(self.vocabulary)
        eos = llama_cpp.llama_vocab_eos(self.vocabulary)
        first, last = (
            llama_cpp.llama_vocab_get_text(self.vocabulary, token) if token >= 0 else b""
            for token in (bos, eos)
        )
        return (first or b"").decode("utf-8", "replace"), (last or b"").decode("utf-8", "replace")

    def is_end(self, token: int) -> bool:
        """Return whether the model ends its answer with this token."""
        return bool(llama_cpp.llama_vocab_is_eog(self.vocabulary, token))

    def piece(self, token: int) -> bytes:
        """Return the bytes of a token, which need not be whole characters."""
        if token not in self._pieces:
            room = 64
            while True:
                buffer = ctypes.create_string_buffer(room)
                size = llama_cpp.llama_token_to_piece(
                    self.vocabulary, token, buffer, room, 0, False
                )
                if size >= 0:
                    break
                room = -size
            self._pieces[token] = buffer.raw[:size]
        return self._pieces[token]

    def tokens_of(self, text: str) -> list[int]:
        """Return the tokens of a text that goes on where another stops."""
        data = text.encode("utf-8", "replace")
        room = len(data) + 8
        tokens = (llama_cpp.llama_token * room)()
        count = llama_cpp.llama_tokenize(
            self.vocabulary, data, len(data), tokens, room, False, True
        )
        return list(tokens[: max(0, count)])

    def tokenized(self, text: str, picture: Image.Image) -> TokenizedPrompt:
        """Return `text` with the RGB `picture` in the place of its marker."""
        data = text.encode("utf-8", "replace")
        prompt = mtmd_cpp.mtmd_input_text(data, len(data), True, True)
        with _bitmap(picture) as bitmap:
            chunks = mtmd_cpp.mtmd_input_chunks_init()
            bitmaps = (mtmd_cpp.mtmd_bitmap_p_ctypes * 1)(bitmap)
            if mtmd_cpp.mtmd_tokenize(self.mtmd, chunks, ctypes.byref(prompt), bitmaps, 1):
                mtmd_cpp.mtmd_input_chunks_free(chunks)
                raise CaptionError(f"The model can't take in this picture.{LOG.reason()}")
            return TokenizedPrompt(chunks)

    def encode(self, chunk: Chunk) -> Embeddings:
        """Return what the vision tower sees in a picture.

        Raises Interrupted, and CaptionError where it fails or its numbers are not finite.
        """
        failed = mtmd_cpp.mtmd_encode_chunk(self.mtmd, chunk.handle)
        self.interrupt.check()
        if failed:
            raise CaptionError(f"The vision encoder failed on this picture.{LOG.reason()}")
        shape = (chunk.size, self._vector_width)
        output = mtmd_cpp.mtmd_get_output_embd(self.mtmd)
        embeddings: Embeddings = np.ctypeslib.as_array(output, shape).copy()
        if not np.isfinite(embeddings).all():
            raise not_finite("vision encoder")
        if self._shifted and chunk.size % self._patches == 0:
            # A picture that is cut into several squares has the vectors of each in turn.
            squares = embeddings.reshape(-1, self._patches, self._vector_width)
            embeddings = np.concatenate([in_place(square) for square in squares])
        return embeddings


def not_finite(part: str) -> CaptionError:
    """Return the error to raise when a part of the model computes nonsense."""
    return CaptionError(
        f"The {part} gave numbers that are not finite: its file may be damaged. Download it again."
    )


def _chunk(handle: Any) -> Chunk:
    size = int(mtmd_cpp.mtmd_input_chunk_get_n_tokens(handle))
    tokens: Sequence[int] = ()
    if mtmd_cpp.mtmd_input_chunk_get_type(handle) == mtmd_cpp.MTMD_INPUT_CHUNK_TYPE_TEXT:
        count = ctypes.c_size_t()
        texts = mtmd_cpp.mtmd_input_chunk_get_tokens_text(handle, ctypes.byref(count))
        tokens = texts[: count.value]
    return Chunk(handle, size, tuple(tokens))


@contextmanager
def _bitmap(picture: Image.Image) -> Iterator[Any]:
    pixels = picture.tobytes()
    data = (ctypes.c_uint8 * len(pixels)).from_buffer_copy(pixels)
    bitmap = mtmd_cpp.mtmd_bitmap_init(picture.width, picture.height, data)
    try:
        yield bitmap
    finally:
        mtmd_cpp.mtmd_bitmap_free(bitmap)


def _physical_cores() -> int:
    """Return how many physical cores there are, or fewer where this process may use only those."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min(psutil.cpu_count(logical=False) or 1, allowed or 1))
