"""Whether the installed llama.cpp shows pictures to LLaVA as it should: tried, not looked up.

A tiny LLaVA of known weights is run through llama.cpp, and what comes out is compared with what
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

import gguf
import numpy as np
import numpy.typing as npt

from photosearch.captioning.gguf_header import GgufHeader
from photosearch.captioning.mending import Defect, may_need_mending, mended_copy, needed_mends
from photosearch.errors import ModelError, UnavailableError

# An abort in llama.cpp would start a debugger where one is installed, and wait for it.
os.environ.setdefault("GGML_NO_BACKTRACE", "1")

import llama_cpp
from llama_cpp import mtmd_cpp

Array = npt.NDArray[np.float32]

_SIDE, _PATCH, _WIDTH, _HEADS, _FEED_FORWARD = 56, 14, 32, 2, 64
_PATCHES = (_SIDE // _PATCH) ** 2
_STORED_LAYERS = 2
_EPSILON = 1e-5
# llama.cpp computes in half precision in places; the defects cost far more.
_SAME = 0.995
_DEADLINE_S = 60.0
_SILENCE = llama_cpp.llama_log_callback(lambda _level, _text, _data: None)
_KNOWN = (Defect.NONE, Defect.CLASS_TOKEN, Defect.LAYER, Defect.CLASS_TOKEN | Defect.LAYER)


@dataclass(frozen=True, slots=True)
class SelfTest:
    """What the installed llama.cpp does with a CLIP tower that has a class token.

    `cosine` is the mean over all patches between its vectors and the right ones. `defects` is None
    where its vectors are neither right nor wrong in a known way.
    """

    cosine: float
    defects: Defect | None

    @property
    def class_token_ok(self) -> bool:
        """Whether the class token stands first."""
        return self.defects is not None and Defect.CLASS_TOKEN not in self.defects

    @property
    def layer_count_ok(self) -> bool:
        """Whether all layers that the file holds are run."""
        return self.defects is not None and Defect.LAYER not in self.defects

    def sentence(self) -> str:
        """Return what this means, for the user."""
        which = f"The installed llama.cpp (llama-cpp-python {version('llama-cpp-python')})"
        measured = f"cosine {self.cosine:.2f} to the reference instead of 1.00"
        if self.defects is None:
            return (
                f"{which} gives LLaVA's pictures in a way that is neither right nor known "
                f"({measured}): nothing is mended, and captions by LLaVA may be poor."
            )
        if not self.defects:
            return f"{which} shows pictures to LLaVA as it should (cosine {self.cosine:.3f})."
        faults = {
            Defect.CLASS_TOKEN: "with each part of the picture in its neighbour's place",
            Defect.LAYER: "one layer too early",
        }
        what = " and ".join(text for defect, text in faults.items() if defect in self.defects)
        return (
            f"{which} shows pictures to LLaVA {what} ({measured}; llama.cpp issues 25814 and "
            "25817). Photosearch makes up for it with a mended copy of the model's projector."
        )


def self_test() -> SelfTest:
    """Try llama.cpp in this process, in about a tenth of a second.

    Belongs in a worker or child process: llama.cpp may abort. Leaves llama.cpp's log as it is set.
    Raises ModelError when llama.cpp can't even load the tiny model.
    """
    weights = _weights()
    pixels = np.random.default_rng(1).integers(0, 256, (_SIDE, _SIDE, 3), np.uint8)
    try:
        with tempfile.TemporaryDirectory(prefix="photosearch-") as folder:
            model, mmproj = Path(folder) / "text.gguf", Path(folder) / "mmproj.gguf"
            _write_text(model)
            _write_vision(mmproj, weights)
            vectors = encode(model, mmproj, pixels)[0]
    except OSError as error:
        raise UnavailableError(
            f"llama.cpp can't be tried: the folder for temporary files is unusable: "
            f"{error.strerror}."
        ) from error
    cosines = {known: _cosine(vectors, _expected(weights, pixels, known)) for known in _KNOWN}
    nearest = max(_KNOWN, key=cosines.__getitem__)
    return SelfTest(cosines[Defect.NONE], nearest if cosines[nearest] >= _SAME else None)


def self_test_apart() -> SelfTest:
    """Try llama.cpp in a child process, which may end in any way.

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
    if isinstance(answer, SelfTest):
        return answer
    raise UnavailableError(
        f"The installed llama.cpp (llama-cpp-python {version('llama-cpp-python')}) failed on a "
        "tiny model: install it anew."
    )


def explain() -> tuple[bool, str]:
    """Return whether LLaVA's pictures are shown rightly, if need be by mending, and a sentence."""
    try:
        result = self_test_apart()
    except UnavailableError as error:
        return False, str(error)
    return result.defects is not None, result.sentence()


def usable_mmproj(mmproj: Path, cache: Path) -> Path:
    """Return `mmproj` itself, or its mended copy in `cache` where llama.cpp needs one.

    Tries llama.cpp, so it belongs in a worker process. Raises ModelError for a damaged file,
    DiskFullError and UnavailableError where a copy is needed and can't be made.
    """
    header = GgufHeader(mmproj)
    if not may_need_mending(header):
        return mmproj
    defects = self_test().defects
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
    theirs.send(self_test())


# --- the tiny model and what it should say ------------------------------------------------------


def _weights() -> dict[str, Array]:
    """Return the tensors of a CLIP tower and LLaVA's projector, innermost dimension last."""
    rng = np.random.default_rng(0)

    def spread(scale: float, *shape: int) -> Array:
        return (rng.standard_normal(shape) * scale).astype(np.float32)

    weights = {
        "v.patch_embd.weight": spread(0.05, _WIDTH, 3, _PATCH, _PATCH),
        "v.class_embd": spread(1.0, _WIDTH),
        "v.position_embd.weight": spread(1.0, _PATCHES + 1, _WIDTH),
        "v.pre_ln.weight": np.ones(_WIDTH, np.float32),
        "v.pre_ln.bias": spread(0.1, _WIDTH),
    }
    square = (_WIDTH, _WIDTH)
    linear = dict.fromkeys(("attn_q", "attn_k", "attn_v", "attn_out"), square)
    linear |= {"ffn_up": (_FEED_FORWARD, _WIDTH), "ffn_down": (_WIDTH, _FEED_FORWARD)}
    names = {"mm.0": square, "mm.2": square}
    for i in range(_STORED_LAYERS):
        names |= {f"v.blk.{i}.{name}": shape for name, shape in linear.items()}
    for name, (out, into) in names.items():
        weights[f"{name}.weight"] = spread(1.5 / into**0.5, out, into)
        weights[f"{name}.bias"] = spread(0.1, out)
    for i in range(_STORED_LAYERS):
        for name in ("ln1", "ln2"):
            weights[f"v.blk.{i}.{name}.weight"] = np.ones(_WIDTH, np.float32)
            weights[f"v.blk.{i}.{name}.bias"] = spread(0.1, _WIDTH)
    return weights


def _expected(weights: dict[str, Array], pixels: npt.NDArray[np.uint8], defects: Defect) -> Array:
    """Return the vectors that a llama.cpp with `defects` makes: CLIP (Radford et al. 2021) with
    quick GELU, LLaVA-1.5's projector."""
    normal = (pixels.astype(np.float32) / 255.0 - 0.5) / 0.5
    count = _SIDE // _PATCH
    cut = normal.reshape(count, _PATCH, count, _PATCH, 3).transpose(0, 2, 4, 1, 3)
    patches = cut.reshape(_PATCHES, -1) @ weights["v.patch_embd.weight"].reshape(_WIDTH, -1).T
    token = weights["v.class_embd"][None]
    order = (patches, token) if Defect.CLASS_TOKEN in defects else (token, patches)
    tokens: Array = np.concatenate(order)
    x = _norm(tokens + weights["v.position_embd.weight"], weights, "v.pre_ln")
    for i in range(_STORED_LAYERS - (Defect.LAYER in defects)):
        block = f"v.blk.{i}"
        y = _norm(x, weights, f"{block}.ln1")
        q, k, v = (
            _linear(y, weights, f"{block}.attn_{name}").reshape(len(y), _HEADS, -1).swapaxes(0, 1)
            for name in "qkv"
        )
        scores = q @ k.swapaxes(1, 2) / np.sqrt(q.shape[2], dtype=np.float32)
        shares = np.exp(scores - scores.max(2, keepdims=True))
        shares /= shares.sum(2, keepdims=True)
        x = x + _linear((shares @ v).swapaxes(0, 1).reshape(x.shape), weights, f"{block}.attn_out")
        y = _linear(_norm(x, weights, f"{block}.ln2"), weights, f"{block}.ffn_up")
        x = x + _linear(y / (1 + np.exp(-1.702 * y)), weights, f"{block}.ffn_down")
    y = _linear(x[1:], weights, "mm.0")
    y = 0.5 * y * (1 + np.tanh(np.sqrt(2 / np.pi) * (y + 0.044715 * y**3)))
    return _linear(y.astype(np.float32), weights, "mm.2")


def _linear(x: Array, weights: dict[str, Array], name: str) -> Array:
    return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]


def _norm(x: Array, weights: dict[str, Array], name: str) -> Array:
    centred = x - x.mean(1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(1, keepdims=True) + _EPSILON)
    normed: Array = scaled * weights[f"{name}.weight"] + weights[f"{name}.bias"]
    return normed


def _cosine(a: Array, b: Array) -> float:
    if a.shape != b.shape or not np.isfinite(a).all():
        return 0.0
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return float(np.mean((a * b).sum(1) / np.maximum(lengths, 1e-12)))


def _write_vision(path: Path, weights: dict[str, Array]) -> None:
    writer = gguf.GGUFWriter(path, "clip")
    writer.add_bool("clip.has_vision_encoder", True)
    writer.add_string("clip.projector_type", "mlp")
    writer.add_bool("clip.use_gelu", False)
    sizes = {
        "image_size": _SIDE,
        "patch_size": _PATCH,
        "embedding_length": _WIDTH,
        "feed_forward_length": _FEED_FORWARD,
        "block_count": _STORED_LAYERS,
        "projection_dim": _WIDTH,
        "attention.head_count": _HEADS,
    }
    for key, value in sizes.items():
        writer.add_uint32(f"clip.vision.{key}", value)
    writer.add_float32("clip.vision.attention.layer_norm_epsilon", _EPSILON)
    writer.add_array("clip.vision.image_mean", [0.5, 0.5, 0.5])
    writer.add_array("clip.vision.image_std", [0.5, 0.5, 0.5])
    for name, array in weights.items():
        writer.add_tensor(name, array)
    _finish(writer)


def _write_text(path: Path) -> None:
    """Write a language model of one layer that knows single bytes; only its width matters."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(64)
    writer.add_embedding_length(_WIDTH)
    writer.add_block_count(1)
    writer.add_feed_forward_length(_FEED_FORWARD)
    writer.add_head_count(_HEADS)
    writer.add_head_count_kv(_HEADS)
    writer.add_layer_norm_rms_eps(_EPSILON)
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    kinds = gguf.TokenType
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores([0.0] * len(tokens))
    writer.add_token_types([kinds.UNKNOWN, kinds.CONTROL, kinds.CONTROL, *[kinds.BYTE] * 256])
    writer.add_vocab_size(len(tokens))
    square, wide = (_WIDTH, _WIDTH), (_FEED_FORWARD, _WIDTH)
    shapes = {"token_embd": (len(tokens), _WIDTH), "output_norm": (_WIDTH,)}
    shapes |= {"output": (len(tokens), _WIDTH)}
    shapes |= {f"blk.0.{name}": (_WIDTH,) for name in ("attn_norm", "ffn_norm")}
    shapes |= {f"blk.0.attn_{name}": square for name in ("q", "k", "v", "output")}
    shapes |= {"blk.0.ffn_gate": wide, "blk.0.ffn_up": wide, "blk.0.ffn_down": wide[::-1]}
    for name, shape in shapes.items():
        writer.add_tensor(f"{name}.weight", np.zeros(shape, np.float32))
    _finish(writer)


def _finish(writer: gguf.GGUFWriter) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
