"""Tiny models of other families, with random weights: they babble, but take the same paths.

Qwen2-VL gives the picture's tokens positions in two dimensions (M-RoPE) and takes any size; in
Gemma 3 the tokens of a picture see each other, also those to come.
"""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
from gguf_files import TEXT

WIDTH, FEED_FORWARD, HEADS, LAYERS, PIECES = 96, 256, 3, 2, 640
SIDE, PATCH = 112, 14
CHAT = "{% for m in messages %}user: {{ m['content'] }}\n{% endfor %}assistant:"


class _Weights:
    """Random weights, the same for the same model."""

    def __init__(self, writer: gguf.GGUFWriter) -> None:
        self._writer = writer
        self._rng = np.random.default_rng(0)

    def matrix(self, name: str, *shape: int) -> None:
        numbers = self._rng.standard_normal(shape) * 0.1
        self._writer.add_tensor(f"{name}.weight", numbers.astype(np.float16))

    def vector(self, name: str, size: int) -> None:
        numbers = self._rng.standard_normal(size) * 0.1
        self._writer.add_tensor(name, numbers.astype(np.float32))

    def ones(self, name: str, size: int) -> None:
        self._writer.add_tensor(f"{name}.weight", np.ones(size, np.float32))

    def norm(self, name: str) -> None:
        self.ones(name, WIDTH)
        self.vector(f"{name}.bias", WIDTH)

    def linear(self, name: str, out: int, into: int) -> None:
        self.matrix(name, out, into)
        self.vector(f"{name}.bias", out)


def qwen2vl(folder: Path) -> tuple[Path, Path]:
    """Write a Qwen2-VL of random weights and return its model and mmproj."""
    return _text(folder / "qwen2vl.gguf", "qwen2vl"), _vision(
        folder / "qwen2vl-mmproj.gguf", "qwen2vl_merger"
    )


def gemma3(folder: Path) -> tuple[Path, Path]:
    """Write a Gemma 3 of random weights and return its model and mmproj."""
    return _text(folder / "gemma3.gguf", "gemma3"), _vision(folder / "gemma3-mmproj.gguf", "gemma3")


def _text(path: Path, architecture: str) -> Path:
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_context_length(4096)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10_000.0)
    writer.add_vocab_size(PIECES)
    writer.add_chat_template(CHAT)
    for key, field in gguf.GGUFReader(TEXT).fields.items():
        if key.startswith("tokenizer."):
            item = field.types[1] if len(field.types) > 1 else None
            writer.add_key_value(key, field.contents(), field.types[0], item)
    weights = _Weights(writer)
    weights.matrix("token_embd", PIECES, WIDTH)
    weights.ones("output_norm", WIDTH)
    weights.matrix("output", PIECES, WIDTH)
    gemma = architecture == "gemma3"
    if gemma:
        writer.add_sliding_window(512)
        writer.add_key_length(WIDTH // HEADS)
        writer.add_value_length(WIDTH // HEADS)
    else:
        writer.add_rope_dimension_sections([4, 6, 6, 0])
    for block in (f"blk.{i}" for i in range(LAYERS)):
        for name in ("attn_norm", "ffn_norm"):
            weights.ones(f"{block}.{name}", WIDTH)
        for name in ("attn_q", "attn_k", "attn_v"):
            weights.matrix(f"{block}.{name}", WIDTH, WIDTH)
            if not gemma:
                weights.vector(f"{block}.{name}.bias", WIDTH)
        weights.matrix(f"{block}.attn_output", WIDTH, WIDTH)
        weights.matrix(f"{block}.ffn_gate", FEED_FORWARD, WIDTH)
        weights.matrix(f"{block}.ffn_up", FEED_FORWARD, WIDTH)
        weights.matrix(f"{block}.ffn_down", WIDTH, FEED_FORWARD)
        if gemma:
            weights.ones(f"{block}.attn_q_norm", WIDTH // HEADS)
            weights.ones(f"{block}.attn_k_norm", WIDTH // HEADS)
            weights.ones(f"{block}.post_attention_norm", WIDTH)
            weights.ones(f"{block}.post_ffw_norm", WIDTH)
    return _finished(writer, path)


def _vision(path: Path, projector: str) -> Path:
    writer = gguf.GGUFWriter(path, "clip")
    writer.add_bool("clip.has_vision_encoder", True)
    writer.add_string("clip.projector_type", projector)
    writer.add_bool("clip.use_gelu", True)
    for key, value in {
        "image_size": SIDE,
        "patch_size": PATCH,
        "embedding_length": WIDTH,
        "feed_forward_length": FEED_FORWARD,
        "block_count": LAYERS,
        "projection_dim": WIDTH,
        "attention.head_count": HEADS,
    }.items():
        writer.add_uint32(f"clip.vision.{key}", value)
    writer.add_float32("clip.vision.attention.layer_norm_epsilon", 1e-5)
    writer.add_array("clip.vision.image_mean", [0.5, 0.5, 0.5])
    writer.add_array("clip.vision.image_std", [0.5, 0.5, 0.5])
    weights = _Weights(writer)
    weights.matrix("v.patch_embd", WIDTH, 3, PATCH, PATCH)
    weights.norm("v.post_ln")
    if projector == "gemma3":
        weights.vector("v.patch_embd.bias", WIDTH)
        writer.add_tensor(
            "v.position_embd.weight", np.zeros(((SIDE // PATCH) ** 2, WIDTH), np.float32)
        )
        weights.matrix("mm.input_projection", WIDTH, WIDTH)
        weights.ones("mm.soft_emb_norm", WIDTH)
    else:
        writer.add_tensor("v.patch_embd.weight.1", np.zeros((WIDTH, 3, PATCH, PATCH), np.float16))
        weights.linear("mm.0", 4 * WIDTH, 4 * WIDTH)
        weights.linear("mm.2", WIDTH, 4 * WIDTH)
    for block in (f"v.blk.{i}" for i in range(LAYERS)):
        weights.norm(f"{block}.ln1")
        weights.norm(f"{block}.ln2")
        for name in ("attn_q", "attn_k", "attn_v", "attn_out"):
            weights.linear(f"{block}.{name}", WIDTH, WIDTH)
        weights.linear(f"{block}.ffn_up", FEED_FORWARD, WIDTH)
        weights.linear(f"{block}.ffn_down", WIDTH, FEED_FORWARD)
    return _finished(writer, path)


def _finished(writer: gguf.GGUFWriter, path: Path) -> Path:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
