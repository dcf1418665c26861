"""The LLaVA captioner: any vision language model that llama.cpp runs from a GGUF pair.

It goes through libmtmd's own functions, not through llama-cpp-python's chat handlers: their LLaVA
prompt loses its newlines, and they take pictures as data URIs only.
"""

from __future__ import annotations

import ctypes
import os
import unicodedata
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from typing import Any

import jinja2
import numpy as np
import numpy.typing as npt
import psutil
from jinja2.sandbox import ImmutableSandboxedEnvironment
from PIL import Image

from photosearch.captioning.models import CaptionerConfig, ModelFacts, check_gguf
from photosearch.domain import View, ViewCaption, display_path
from photosearch.errors import CaptionError, ModelError, UsageError
from photosearch.imaging.crops import crop

# An abort in llama.cpp would start a debugger where one is installed, and wait for it.
os.environ.setdefault("GGML_NO_BACKTRACE", "1")

import llama_cpp
from llama_cpp import mtmd_cpp

Embeddings = npt.NDArray[np.float32]

LLAVA_PROMPT = (
    "A chat between a curious human and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the human's questions. "
    "USER: {image}\n{prompt} ASSISTANT:"
)
"""What LLaVA-1.5 was trained on: conversation `vicuna_v1` of haotian-liu/LLaVA."""

# Where the model takes any size, the tokens of a picture and so its time grow with its area.
_LONGEST_SIDE = 1024
# Vision towers refuse or end the process on slivers; the rest is filled with LLaVA's padding.
_MOST_ASPECT = 20
_PADDING = (122, 116, 104)
_BATCH = 512
# ggml.h: enum ggml_log_level (llama-cpp-python lists an older numbering).
_ERROR_LEVEL, _CONTINUED_LEVEL = 4, 5


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
_LOG = _Log()


class LlavaCaptioner:
    """Captions views with a vision language model: greedy, each view by itself.

    Loads both files at once and raises ModelError, with llama.cpp's reason, when that fails.
    Belongs in a worker process: llama.cpp may end the process on a damaged file.
    """

    def __init__(self, config: CaptionerConfig) -> None:
        self._config = config
        self._facts = check_gguf(config.model, config.mmproj)
        if not (self._facts.speaks_llava or self._facts.chat_template):
            raise ModelError(
                f"{display_path(config.model)} has no chat template, so it can't be asked."
            )
        self._stack = ExitStack()
        self._llama: Any = None
        self._context_size = 0
        self._closed = False
        try:
            self._load()
            self._text = self._prompt_text()
            self._make_first_context()
        except BaseException:
            self.close()
            raise

    @property
    def model(self) -> str:
        """Name under which captions are stored."""
        return self._config.name

    @property
    def prompt(self) -> str:
        """What the model is asked."""
        return self._config.recipe.question

    def caption(self, image: Image.Image, views: Sequence[View]) -> list[ViewCaption]:
        """Return a caption of each of `views` of the upright `image`, in their order.

        Views that the model says nothing of are left out. Raises CaptionError when llama.cpp
        fails on this photo or the model's numbers are not finite.
        """
        if self._closed:
            raise RuntimeError("the captioner is closed")
        captions = []
        for view in views:
            text = self._describe(self._fitted(crop(image, view)))
            if text:
                captions.append(ViewCaption(view.name, text))
        return captions

    def close(self) -> None:
        """Free model and projector; may be called twice."""
        self._closed = True
        self._free_context()
        self._stack.close()

    # --- loading --------------------------------------------------------------------------------

    def _load(self) -> None:
        llama_cpp.llama_log_set(_LOG.callback, ctypes.c_void_p(0))
        mtmd_cpp.mtmd_helper_log_set(_LOG.callback, ctypes.c_void_p(0))
        _LOG.clear()
        config = self._config
        self._threads = config.threads or _physical_cores()
        llama_cpp.llama_backend_init()
        parameters = llama_cpp.llama_model_default_params()
        parameters.n_gpu_layers = config.gpu_layers
        self._model = llama_cpp.llama_model_load_from_file(os.fsencode(config.model), parameters)
        if not self._model:
            raise ModelError(f"{display_path(config.model)} can't be loaded.{_LOG.reason()}")
        self._stack.callback(llama_cpp.llama_model_free, self._model)
        self._vocabulary = llama_cpp.llama_model_get_vocab(self._model)
        self._token_count = llama_cpp.llama_vocab_n_tokens(self._vocabulary)
        self._vector_width = llama_cpp.llama_model_n_embd_inp(self._model)

        options = mtmd_cpp.mtmd_context_params_default()
        options.use_gpu = config.gpu_layers != 0
        options.print_timings = False
        options.n_threads = self._threads
        self._mtmd = mtmd_cpp.mtmd_init_from_file(os.fsencode(config.mmproj), self._model, options)
        if not self._mtmd:
            raise ModelError(f"{display_path(config.mmproj)} can't be loaded.{_LOG.reason()}")
        self._stack.callback(mtmd_cpp.mtmd_free, self._mtmd)
        if not mtmd_cpp.mtmd_support_vision(self._mtmd):
            raise ModelError(f"{display_path(config.mmproj)} has no vision encoder.")

    def _prompt_text(self) -> str:
        """Return the text that frames the picture, with mtmd's marker in the picture's place."""
        marker = mtmd_cpp.mtmd_get_marker(self._mtmd).decode()
        if marker in self._config.recipe.question:
            raise UsageError(f"The prompt may not hold {marker}, which stands for the picture.")
        if self._facts.speaks_llava:
            return LLAVA_PROMPT.format(image=marker, prompt=self._config.recipe.question)
        return self._rendered(marker)

    def _rendered(self, marker: str) -> str:
        bos = self._special(llama_cpp.llama_vocab_bos(self._vocabulary))
        question = f"{marker}\n{self._config.recipe.question}"
        # Most templates take a text; some only parts, and then say nothing of a text.
        contents: tuple[object, ...] = (question, [{"type": "text", "text": question}])
        for content in contents:
            try:
                text = render_chat(
                    self._facts,
                    content,
                    bos=bos,
                    eos=self._special(llama_cpp.llama_vocab_eos(self._vocabulary)),
                )
            except Exception as error:
                # A template is a program of unknown origin: it can fail in any way.
                problem = str(error) or type(error).__name__
                continue
            if text.count(marker) == 1:
                # llama.cpp sets the first token itself, once.
                adds_bos = llama_cpp.llama_vocab_get_add_bos(self._vocabulary)
                return text.removeprefix(bos) if adds_bos else text
            problem = "it does not repeat the question"
        raise ModelError(
            f"The chat template in {display_path(self._config.model)} can't be used: {problem}."
        )

    def _special(self, token: int) -> str:
        text = llama_cpp.llama_vocab_get_text(self._vocabulary, token) if token >= 0 else b""
        return (text or b"").decode("utf-8", "replace")

    # --- one view -------------------------------------------------------------------------------

    def _fitted(self, view: Image.Image) -> Image.Image:
        """Return the RGB picture to show: as large as the vision tower looks, never a sliver."""
        width, height = view.size
        longer = max(width, height)
        side = self._facts.image_side or min(longer, _LONGEST_SIDE)
        # Pillow smooths what it makes smaller, as the models were trained; llama.cpp does not.
        size = (max(1, round(width * side / longer)), max(1, round(height * side / longer)))
        rgb = view if view.mode == "RGB" else view.convert("RGB")
        fitted = rgb.resize(size, Image.Resampling.BICUBIC, reducing_gap=3.0)
        least = -(-side // _MOST_ASPECT)
        if min(size) >= least:
            return fitted
        padded = Image.new("RGB", (max(size[0], least), max(size[1], least)), _PADDING)
        padded.paste(fitted, ((padded.width - size[0]) // 2, (padded.height - size[1]) // 2))
        return padded

    def _describe(self, picture: Image.Image) -> str:
        _LOG.clear()
        with self._tokenized(picture) as chunks:
            self._make_context(self._tokens_needed(chunks), _chunk_list(chunks))
            position = self._prefill(_chunk_list(chunks))
        words, ended = self._generate(position)
        return _cleaned(words, ended)

    @contextmanager
    def _tokenized(self, picture: Image.Image) -> Iterator[Any]:
        """Yield the chunks, text and picture, that the prompt consists of."""
        pixels = picture.tobytes()
        data = (ctypes.c_uint8 * len(pixels)).from_buffer_copy(pixels)
        text = self._text.encode("utf-8", "replace")
        prompt = mtmd_cpp.mtmd_input_text(text, len(text), True, True)
        with ExitStack() as stack:
            bitmap = mtmd_cpp.mtmd_bitmap_init(picture.width, picture.height, data)
            stack.callback(mtmd_cpp.mtmd_bitmap_free, bitmap)
            chunks = mtmd_cpp.mtmd_input_chunks_init()
            stack.callback(mtmd_cpp.mtmd_input_chunks_free, chunks)
            bitmaps = (mtmd_cpp.mtmd_bitmap_p_ctypes * 1)(bitmap)
            if mtmd_cpp.mtmd_tokenize(self._mtmd, chunks, ctypes.byref(prompt), bitmaps, 1):
                raise CaptionError(f"The model can't take in this picture.{_LOG.reason()}")
            yield chunks

    def _make_first_context(self) -> None:
        """Make room for a large picture now, so that what can't work fails before any photo."""
        side = self._facts.image_side or _LONGEST_SIDE
        try:
            with self._tokenized(Image.new("RGB", (side, side))) as chunks:
                tokens = self._tokens_needed(chunks)
                most = llama_cpp.llama_model_n_ctx_train(self._model)
                if tokens > most:
                    raise UsageError(
                        f"Picture, prompt and caption would take {tokens} tokens, and "
                        f"{self._config.name} was trained for {most}: shorten the prompt."
                    )
                self._make_context(tokens, _chunk_list(chunks))
        except CaptionError as error:
            raise ModelError(f"{self._config.name} can't be used: {error}") from error

    def _tokens_needed(self, chunks: Any) -> int:
        return int(mtmd_cpp.mtmd_helper_get_n_tokens(chunks)) + self._config.recipe.budget("whole")

    def _make_context(self, tokens: int, chunks: Sequence[Any]) -> None:
        """Make sure that the context is empty and holds `tokens`."""
        if self._llama and tokens <= self._context_size:
            memory = llama_cpp.llama_get_memory(self._llama)
            llama_cpp.llama_memory_clear(memory, True)
            return
        self._free_context()
        size = -(-tokens // 256) * 256
        batch = _BATCH
        if mtmd_cpp.mtmd_decode_use_non_causal(self._mtmd, None):
            # Tokens of a picture that see each other must be computed together.
            batch = max(batch, *map(mtmd_cpp.mtmd_input_chunk_get_n_tokens, chunks))
        parameters = llama_cpp.llama_context_default_params()
        parameters.n_ctx = size
        parameters.n_batch = parameters.n_ubatch = batch
        parameters.n_threads = parameters.n_threads_batch = self._threads
        self._llama = llama_cpp.llama_init_from_model(self._model, parameters)
        if not self._llama:
            raise ModelError(
                f"There is not enough memory to run {self._config.name} "
                f"with {size} tokens.{_LOG.reason()}"
            )
        self._context_size, self._batch_size = size, batch

    def _free_context(self) -> None:
        if self._llama:
            llama_cpp.llama_free(self._llama)
            self._llama = None

    def _prefill(self, chunks: Sequence[Any]) -> int:
        """Feed `chunks` to the language model and return the position after them."""
        position = llama_cpp.llama_pos(0)
        for number, chunk in enumerate(chunks):
            last = number == len(chunks) - 1
            if mtmd_cpp.mtmd_input_chunk_get_type(chunk) == mtmd_cpp.MTMD_INPUT_CHUNK_TYPE_TEXT:
                failed = mtmd_cpp.mtmd_helper_eval_chunk_single(
                    self._mtmd,
                    self._llama,
                    chunk,
                    position,
                    0,
                    self._batch_size,
                    last,
                    ctypes.byref(position),
                )
            else:
                embeddings = self._encode(chunk)
                failed = mtmd_cpp.mtmd_helper_decode_image_chunk(
                    self._mtmd,
                    self._llama,
                    chunk,
                    embeddings.ctypes.data_as(ctypes.POINTER(ctypes.c_float)),
                    position,
                    0,
                    self._batch_size,
                    ctypes.byref(position),
                    mtmd_cpp.mtmd_helper_post_decode_callback(0),
                    None,
                )
            if failed:
                raise CaptionError(f"The model failed on this picture.{_LOG.reason()}")
        return int(position.value)

    def _encode(self, chunk: Any) -> Embeddings:
        """Return what the vision tower sees in a picture: (tokens, width of the model)."""
        if mtmd_cpp.mtmd_encode_chunk(self._mtmd, chunk):
            raise CaptionError(f"The vision encoder failed on this picture.{_LOG.reason()}")
        shape = (mtmd_cpp.mtmd_input_chunk_get_n_tokens(chunk), self._vector_width)
        output = mtmd_cpp.mtmd_get_output_embd(self._mtmd)
        embeddings: Embeddings = np.ctypeslib.as_array(output, shape).copy()
        _check_finite(embeddings, "vision encoder")
        return embeddings

    def _generate(self, position: int) -> tuple[bytes, bool]:
        """Return the model's answer, and whether it ended by itself before the budget did."""
        words = bytearray()
        batch = llama_cpp.llama_batch_init(1, 0, 1)
        try:
            for done in range(self._config.recipe.budget("whole")):
                logits = np.ctypeslib.as_array(
                    llama_cpp.llama_get_logits_ith(self._llama, -1), (self._token_count,)
                )
                _check_finite(logits, "language model")
                token = int(logits.argmax())
                if llama_cpp.llama_vocab_is_eog(self._vocabulary, token):
                    return bytes(words), True
                words += self._piece(token)
                if done == self._config.recipe.budget("whole") - 1:
                    break
                batch.n_tokens = 1
                batch.token[0] = token
                batch.pos[0] = position + done
                batch.n_seq_id[0] = 1
                batch.seq_id[0][0] = 0
                batch.logits[0] = True
                if llama_cpp.llama_decode(self._llama, batch):
                    raise CaptionError(f"The model failed on this picture.{_LOG.reason()}")
        finally:
            llama_cpp.llama_batch_free(batch)
        return bytes(words), False

    def _piece(self, token: int) -> bytes:
        """Return the bytes of a token, which need not be whole characters."""
        room = 64
        while True:
            buffer = ctypes.create_string_buffer(room)
            size = llama_cpp.llama_token_to_piece(self._vocabulary, token, buffer, room, 0, False)
            if size >= 0:
                return buffer.raw[:size]
            room = -size


def render_chat(facts: ModelFacts, content: object, *, bos: str, eos: str) -> str:
    """Return the model's own chat template filled in with one user message.

    `content` is a text or a list of parts. The template comes from a file of unknown origin, hence
    the sandbox. Raises whatever the template's mistakes lead to.
    """

    def raise_exception(message: str) -> None:
        raise jinja2.TemplateError(message)

    # The settings that chat templates are written for (transformers, apply_chat_template).
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    environment.globals["raise_exception"] = raise_exception
    environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
    return environment.from_string(facts.chat_template).render(
        messages=[{"role": "user", "content": content}],
        add_generation_prompt=True,
        enable_thinking=False,
        bos_token=bos,
        eos_token=eos,
    )


def _chunk_list(chunks: Any) -> list[Any]:
    count = mtmd_cpp.mtmd_input_chunks_size(chunks)
    return [mtmd_cpp.mtmd_input_chunks_get(chunks, number) for number in range(count)]


def _check_finite(numbers: npt.NDArray[np.float32], part: str) -> None:
    if not np.isfinite(numbers).all():
        raise CaptionError(f"The {part} gave numbers that are not finite: its file may be damaged.")


def _cleaned(words: bytes, ended: bool) -> str:
    """Return an answer as one line of text; a word that the budget cut short is dropped."""
    text = words.decode("utf-8", "replace")
    text = "".join(
        " " if unicodedata.category(ch) in ("Cc", "Zl", "Zp") else ch
        for ch in text
        if ch != "\ufffd"
    )
    text = " ".join(text.split())
    return text if ended else text.rpartition(" ")[0] or text


def _physical_cores() -> int:
    """Return how many physical cores there are, or fewer where this process may use only those."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min(psutil.cpu_count(logical=False) or 1, allowed or 1))
