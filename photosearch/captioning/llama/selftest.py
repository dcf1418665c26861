"""Whether the installed llama.cpp shows pictures to models as it should: tried, not looked up.

A tiny tower of known weights is run through llama.cpp, and what comes out is compared with what
sound, and what known defective, programs would give.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from photosearch.captioning.gguf_header import GgufHeader
from photosearch.captioning.llama.tiny_towers import SIDE, Array, TinyTower, write_text_model
from photosearch.captioning.mending import (
    Defect,
    Family,
    family_at_risk,
    mended_copy,
    needed_mends,
)
from photosearch.errors import ModelError, UnavailableError

# An abort in llama.cpp would start a debugger where one is installed, and wait for it.
os.environ.setdefault("GGML_NO_BACKTRACE", "1")

import llama_cpp
from llama_cpp import mtmd_cpp

# llama.cpp computes in half precision in places; the defects cost far more.
_SAME = 0.995
_DEADLINE_S = 60.0
_SILENCE = llama_cpp.llama_log_callback(lambda _level, _text, _data: None)


@dataclass(frozen=True, slots=True)
class SelfTest:
    """What the installed llama.cpp does with a tower of `family`.

    `cosine` is the mean over all patches between its vectors and the right ones. `defects` is None
    where its vectors are neither right nor wrong in a known way.
    """

    family: Family
    cosine: float
    defects: Defect | None

    @property
    def class_token_ok(self) -> bool:
        """Whether each patch has its own position."""
        return self.defects is not None and Defect.CLASS_TOKEN not in self.defects

    @property
    def layer_count_ok(self) -> bool:
        """Whether all layers that the file holds are run."""
        return self.defects is not None and Defect.LAYER not in self.defects

    def finding(self) -> str:
        """Return what this means, as the end of a sentence about llama.cpp."""
        if self.defects is None:
            return (
                f"shows pictures to {self.family} in a way that is neither right nor known "
                f"(cosine {self.cosine:.2f}), which can't be mended: its captions may be poor"
            )
        if not self.defects:
            return f"shows pictures to {self.family} as it should (cosine {self.cosine:.3f})"
        faults = {
            Defect.CLASS_TOKEN: "with each part in its neighbour's place",
            Defect.LAYER: "one layer too early",
        }
        what = " and ".join(text for defect, text in faults.items() if defect in self.defects)
        return (
            f"shows pictures to {self.family} {what} (cosine {self.cosine:.2f} to what they should "
            "be), for which a mended copy of the model's projector makes up"
        )


def self_test(family: Family = Family.LLAVA) -> SelfTest:
    """Try llama.cpp in this process, in some hundredths of a second.

    Belongs in a worker or child process: llama.cpp may abort. Leaves llama.cpp's log as it is set.
    Raises ModelError when llama.cpp can't even load the tiny model, UnavailableError where there
    is no room for temporary files.
    """
    tower = TinyTower(family)
    pixels = np.random.default_rng(1).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    try:
        with tempfile.TemporaryDirectory(prefix="photosearch-") as folder:
            model, mmproj = Path(folder) / "text.gguf", Path(folder) / "mmproj.gguf"
            write_text_model(model)
            tower.write(mmproj)
            vectors = encode(model, mmproj, pixels)[0]
    except OSError as error:
        raise UnavailableError(
            "llama.cpp can't be tried, for the folder for temporary files is unusable: "
            f"{error.strerror}."
        ) from error
    cosines = {known: _cosine(vectors, tower.vectors(pixels, known)) for known in tower.defects}
    nearest = max(cosines, key=cosines.__getitem__)
    return SelfTest(family, cosines[Defect.NONE], nearest if cosines[nearest] >= _SAME else None)


def self_test_apart() -> list[SelfTest]:
    """Try llama.cpp with each family in a child process, which may end in any way.

    Raises UnavailableError when it does not end in time or without an answer.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(target=_answer, args=(theirs,), daemon=True)
    try:
        child.start()
        theirs.close()
        answer = ours.recv() if ours.poll(_DEADLINE_S) else None
    except EOFError:
        answer = None
    finally:
        child.kill()
        child.join()
        child.close()
        ours.close()
    if isinstance(answer, list):
        return answer
    raise UnavailableError(f"{_which()} failed on a tiny model: install it anew.")


def explain() -> tuple[bool, str]:
    """Return whether pictures are shown rightly, if need be by mending, and sentences on it."""
    try:
        results = self_test_apart()
    except UnavailableError as error:
        return False, str(error)
    known = all(result.defects is not None for result in results)
    return known, f"{_which()} {'; it '.join(result.finding() for result in results)}."


def usable_mmproj(mmproj: Path, cache: Path) -> Path:
    """Return `mmproj` itself, or its mended copy in `cache` where llama.cpp needs one.

    Tries llama.cpp, so it belongs in a worker process. Raises ModelError for a damaged file,
    DiskFullError and UnavailableError where a copy is needed and can't be made.
    """
    header = GgufHeader(mmproj)
    family = family_at_risk(header)
    defects = self_test(family).defects if family is not None else None
    mends = needed_mends(header, defects) if defects is not None else None
    return mended_copy(mmproj, cache, mends) if mends else mmproj


def encode(model: Path, mmproj: Path, pixels: npt.NDArray[np.uint8]) -> list[Array]:
    """Return the vectors, (tokens, width), that llama.cpp makes of RGB `pixels` (h, w, 3).

    More than one where it cuts the picture into several. Raises ModelError where it fails.
    """
    with ExitStack() as stack:
        llama_cpp.llama_backend_init()
        parameters = llama_cpp.llama_model_default_params()
        parameters.n_gpu_layers = 0
        loaded = llama_cpp.llama_model_load_from_file(os.fsencode(model), parameters)
        if not loaded:
            raise ModelError("llama.cpp can't load a tiny language model: install it anew.")
        stack.callback(llama_cpp.llama_model_free, loaded)
        options = mtmd_cpp.mtmd_context_params_default()
        options.use_gpu, options.print_timings, options.warmup = False, False, False
        options.n_threads = 1
        projector = mtmd_cpp.mtmd_init_from_file(os.fsencode(mmproj), loaded, options)
        if not projector:
            raise ModelError("llama.cpp can't load a tiny image projector: install it anew.")
        stack.callback(mtmd_cpp.mtmd_free, projector)
        width = llama_cpp.llama_model_n_embd_inp(loaded)
        return [
            _encoded(projector, chunk, width)
            for chunk in stack.enter_context(_picture_chunks(projector, pixels))
        ]


def _encoded(projector: Any, chunk: Any, width: int) -> Array:
    if mtmd_cpp.mtmd_encode_chunk(projector, chunk):
        raise ModelError("llama.cpp can't encode a picture: install it anew.")
    shape = (mtmd_cpp.mtmd_input_chunk_get_n_tokens(chunk), width)
    output = mtmd_cpp.mtmd_get_output_embd(projector)
    return np.ctypeslib.as_array(output, shape).astype(np.float32)


@contextmanager
def _picture_chunks(projector: Any, pixels: npt.NDArray[np.uint8]) -> Iterator[list[Any]]:
    data = (ctypes.c_uint8 * pixels.size).from_buffer_copy(pixels.tobytes())
    marker = mtmd_cpp.mtmd_get_marker(projector)
    text = mtmd_cpp.mtmd_input_text(marker, len(marker), False, True)
    with ExitStack() as stack:
        bitmap = mtmd_cpp.mtmd_bitmap_init(pixels.shape[1], pixels.shape[0], data)
        stack.callback(mtmd_cpp.mtmd_bitmap_free, bitmap)
        chunks = mtmd_cpp.mtmd_input_chunks_init()
        stack.callback(mtmd_cpp.mtmd_input_chunks_free, chunks)
        bitmaps = (mtmd_cpp.mtmd_bitmap_p_ctypes * 1)(bitmap)
        if mtmd_cpp.mtmd_tokenize(projector, chunks, ctypes.byref(text), bitmaps, 1):
            raise ModelError("llama.cpp can't take in a picture: install it anew.")
        count = mtmd_cpp.mtmd_input_chunks_size(chunks)
        every = [mtmd_cpp.mtmd_input_chunks_get(chunks, number) for number in range(count)]
        kind = mtmd_cpp.mtmd_input_chunk_get_type
        found = [chunk for chunk in every if kind(chunk) == mtmd_cpp.MTMD_INPUT_CHUNK_TYPE_IMAGE]
        if not found:
            raise ModelError("llama.cpp makes nothing of a picture: install it anew.")
        yield found


def _answer(theirs: Connection) -> None:
    llama_cpp.llama_log_set(_SILENCE, ctypes.c_void_p(0))
    mtmd_cpp.mtmd_helper_log_set(_SILENCE, ctypes.c_void_p(0))
    theirs.send([self_test(family) for family in Family])


def _which() -> str:
    return f"The installed llama.cpp (llama-cpp-python {version('llama-cpp-python')})"


def _cosine(a: Array, b: Array) -> float:
    if a.shape != b.shape or not np.isfinite(a).all():
        return 0.0
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return float(np.mean((a * b).sum(1) / np.maximum(lengths, 1e-12)))
