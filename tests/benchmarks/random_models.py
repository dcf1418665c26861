"""GGUF pairs with random weights, of the shapes of real models: as fast and as large as those.

    python tests/benchmarks/random_models.py FOLDER --shape 1b

`1b` is LLaVA-1.5's vision tower beside a language model for two cores, `7b` LLaVA-1.5-7B, `tiny`
runs in no time. The language model is Q4_0, the rest f16.

They babble, and never end by themselves: every answer is as long as its budget. Of 32,000 words
the two likeliest are nearly equally so. Computed for many views at once, the numbers behind them
differ by 1.6 % of their spread from those computed for one, so that in each answer some word sooner
or later is another; trained models are surer. The vision tower has no class token and one layer
that llama.cpp leaves out, so it does what a mended LLaVA does, and nothing is left to mend.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path

import gguf
import numpy as np
import numpy.typing as npt

TOKENIZER = Path(__file__).resolve().parents[1] / "tiny_llava" / "tiny-llava-text-f16.gguf"
PIECES = 32_000
CONTEXT = 4096
# Q4_0: 32 weights as a half-precision scale and 16 bytes of two 4-bit numbers each, less 8.
_BLOCK, _BLOCK_BYTES = 32, 18
_FOUR_BIT_SPREAD = (sum((n - 8) ** 2 for n in range(16)) / 16) ** 0.5
# <unk>, <s>, </s> and the 256 bytes: never the likeliest, so that answers go on and are text.
_SILENT = 259
# So that prompts take about as many tokens as they do with Llama's pieces.
_PROMPT_WORDS = """
A chat between a curious human and an artificial intelligence assistant. The assistant gives
helpful, detailed, and polite answers to the human's questions. USER: Describe this image in
detail. ASSISTANT: If there are any additional features of this image that are not expressed in
the generated captions, please generate additional captions to explain them.
"""


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes of a language model and its vision tower; `image` and `patch` in pixels."""

    width: int
    layers: int
    feed_forward: int
    heads: int
    image: int
    patch: int
    vision_width: int
    vision_layers: int
    vision_feed_forward: int
    vision_heads: int


SHAPES = {
    "tiny": Shape(64, 2, 128, 2, 56, 14, 64, 2, 128, 2),
    "1b": Shape(2048, 16, 5632, 32, 336, 14, 1024, 24, 4096, 16),
    "7b": Shape(4096, 32, 11_008, 32, 336, 14, 1024, 24, 4096, 16),
}

_Tensors = Iterator[tuple[str, tuple[int, ...], gguf.GGMLQuantizationType]]
_Q4_0, _F16, _F32 = (gguf.GGMLQuantizationType[name] for name in ("Q4_0", "F16", "F32"))


def random_models(folder: Path, shape: str) -> tuple[Path, Path]:
    """Return model and mmproj of one of SHAPES in `folder`; written there unless they are."""
    model, mmproj = folder / f"random-{shape}.gguf", folder / f"random-{shape}-mmproj.gguf"
    folder.mkdir(parents=True, exist_ok=True)
    if not model.exists():
        writer = gguf.GGUFWriter(model.with_suffix(".part"), "llama")
        _describe_text(writer, SHAPES[shape])
        _write(writer, model, list(_text_tensors(SHAPES[shape])))
    if not mmproj.exists():
        writer = gguf.GGUFWriter(mmproj.with_suffix(".part"), "clip")
        _describe_vision(writer, SHAPES[shape])
        _write(writer, mmproj, list(_vision_tensors(SHAPES[shape])))
    return model, mmproj


def _describe_text(writer: gguf.GGUFWriter, shape: Shape) -> None:
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.feed_forward)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(shape.width // shape.heads)
    writer.add_rope_freq_base(10_000.0)
    writer.add_vocab_size(PIECES)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q4_0)
    padded = ("tokens", "scores", "token_type")
    fields = gguf.GGUFReader(TOKENIZER).fields
    for key, field in fields.items():
        if key.startswith("tokenizer.ggml.") and not key.endswith(padded):
            writer.add_key_value(key, field.contents(), field.types[0])
    tokens, scores, types = (fields[f"tokenizer.ggml.{name}"].contents() for name in padded)
    words = [f"▁{word}" for word in dict.fromkeys(_PROMPT_WORDS.split())]
    # Words are put together from left to right, so each beginning must be a piece, and come first.
    starts = dict.fromkeys(word[:end] for word in words for end in range(2, len(word) + 1))
    found = {token: number for number, token in enumerate(tokens)}
    for start in starts:
        if start in found:
            scores[found[start]] = 1.0
        else:
            tokens.append(start)
            scores.append(1.0)
    missing = range(PIECES - len(tokens))
    tokens += [f"▁w{number}" for number in missing]
    scores += [-1000.0 - number for number in missing]
    writer.add_token_list(tokens)
    writer.add_token_scores(scores)
    writer.add_token_types(types + [gguf.TokenType.NORMAL] * (PIECES - len(types)))


def _describe_vision(writer: gguf.GGUFWriter, shape: Shape) -> None:
    writer.add_bool("clip.has_vision_encoder", True)
    writer.add_string("clip.projector_type", "mlp")
    writer.add_bool("clip.use_gelu", False)
    for key, value in {
        "image_size": shape.image,
        "patch_size": shape.patch,
        "embedding_length": shape.vision_width,
        "feed_forward_length": shape.vision_feed_forward,
        "block_count": shape.vision_layers,
        "projection_dim": shape.width,
        "attention.head_count": shape.vision_heads,
    }.items():
        writer.add_uint32(f"clip.vision.{key}", value)
    writer.add_float32("clip.vision.attention.layer_norm_epsilon", 1e-5)
    writer.add_array("clip.vision.image_mean", [0.48145466, 0.4578275, 0.40821073])
    writer.add_array("clip.vision.image_std", [0.26862954, 0.26130258, 0.27577711])


def _text_tensors(shape: Shape) -> _Tensors:
    """Yield name, shape (outermost first) and type of each tensor."""
    width, inner = shape.width, shape.feed_forward
    yield "token_embd.weight", (PIECES, width), _Q4_0
    yield "output_norm.weight", (width,), _F32
    yield "output.weight", (PIECES, width), _Q4_0
    for block in (f"blk.{number}" for number in range(shape.layers)):
        for name in ("attn_norm", "ffn_norm"):
            yield f"{block}.{name}.weight", (width,), _F32
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            yield f"{block}.{name}.weight", (width, width), _Q4_0
        for name in ("ffn_gate", "ffn_up"):
            yield f"{block}.{name}.weight", (inner, width), _Q4_0
        yield f"{block}.ffn_down.weight", (width, inner), _Q4_0


def _vision_tensors(shape: Shape) -> _Tensors:
    """Yield name, shape (outermost first) and type of each tensor."""
    width, inner = shape.vision_width, shape.vision_feed_forward

    def linear(name: str, out: int, into: int) -> _Tensors:
        yield f"{name}.weight", (out, into), _F16
        yield f"{name}.bias", (out,), _F32

    def norm(name: str) -> _Tensors:
        yield f"{name}.weight", (width,), _F32
        yield f"{name}.bias", (width,), _F32

    yield "v.patch_embd.weight", (width, 3, shape.patch, shape.patch), _F16
    yield "v.position_embd.weight", ((shape.image // shape.patch) ** 2, width), _F32
    yield from norm("v.pre_ln")
    for block in (f"v.blk.{number}" for number in range(shape.vision_layers)):
        yield from norm(f"{block}.ln1")
        yield from norm(f"{block}.ln2")
        for name in ("attn_q", "attn_k", "attn_v", "attn_out"):
            yield from linear(f"{block}.{name}", width, width)
        yield from linear(f"{block}.ffn_up", inner, width)
        yield from linear(f"{block}.ffn_down", width, inner)
    yield from linear("mm.0", shape.width, width)
    yield from linear("mm.2", shape.width, shape.width)


def _write(
    writer: gguf.GGUFWriter,
    path: Path,
    tensors: list[tuple[str, tuple[int, ...], gguf.GGMLQuantizationType]],
) -> None:
    """Write one tensor after the other, so that the file may be larger than memory."""
    for name, shape, kind in tensors:
        block, size = gguf.GGML_QUANT_SIZES[kind]
        stored = (*shape[:-1], shape[-1] // block * size)
        item = np.dtype({_Q4_0: np.uint8, _F16: np.float16, _F32: np.float32}[kind])
        # A quantised tensor is told by the shape of its bytes, the others by that of their numbers.
        writer.add_tensor_info(
            name,
            stored if kind == _Q4_0 else shape,
            item,
            prod(stored),
            raw_dtype=kind,
        )
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    rng = np.random.default_rng(0)
    for name, shape, kind in tensors:
        if kind == _F32:
            silent = name.endswith("bias") or name == "v.position_embd.weight"
            writer.write_tensor_data(np.full(shape, 0 if silent else 1, np.float32))
            continue
        # With it the numbers stay of one size through all layers.
        spread = 1 / prod(shape[1:]) ** 0.5
        if kind == _F16:
            normal = rng.standard_normal(shape, np.float32) * np.float32(spread)
            writer.write_tensor_data(normal.astype(np.float16))
            continue
        # Loud enough for a word to decide on the next one: else it is the same for ever.
        numbers = _four_bit(rng, shape, 1.0 if name == "token_embd.weight" else spread)
        if name == "output.weight":
            numbers[:_SILENT] = 0
        writer.write_tensor_data(numbers)
    writer.close()
    path.with_suffix(".part").replace(path)


def _four_bit(
    rng: np.random.Generator, shape: tuple[int, ...], spread: float
) -> npt.NDArray[np.uint8]:
    """Return random weights as Q4_0: (rows, bytes of a row)."""
    rows, columns = shape
    blocks = rng.integers(0, 256, (rows * columns // _BLOCK, _BLOCK_BYTES), np.uint8)
    # The 4-bit numbers' mean is not 0: with scales of both signs the weights' is.
    signs = rng.integers(0, 2, len(blocks)) * 2 - 1
    scales = (signs * (spread / _FOUR_BIT_SPREAD)).astype(np.float16)
    blocks[:, :2] = scales[:, None].view(np.uint8)
    return blocks.reshape(rows, columns // _BLOCK * _BLOCK_BYTES)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--shape", choices=SHAPES, default="1b")
    arguments = parser.parse_args()
    for path in random_models(arguments.folder, arguments.shape):
        print(f"{path}  {path.stat().st_size / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
