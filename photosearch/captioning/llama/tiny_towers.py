"""Tiny vision towers of known weights, and what should come out of them, in NumPy.

CLIP (Radford et al. 2021) with LLaVA-1.5's projector, and InternViT with InternVL's, both with a
class token. They see nothing; they tell how llama.cpp computes.
"""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
import numpy.typing as npt

from photosearch.captioning.mending import Defect, Family

Array = npt.NDArray[np.float32]

SIDE = 56
"""Width and height in pixels of the picture that a tower looks at."""

_PATCH, _WIDTH, _HEADS, _FEED_FORWARD, _LAYERS = 14, 32, 2, 64, 2
_PATCHES = (SIDE // _PATCH) ** 2
_EPSILON = 1e-5


class TinyTower:
    """A tower and projector of `family`; always the same.

    `defects` are the combinations by which a program may run it wrongly.
    """

    def __init__(self, family: Family) -> None:
        self._llava = family is Family.LLAVA
        none, class_token, layer = Defect.NONE, Defect.CLASS_TOKEN, Defect.LAYER
        both = (layer, class_token | layer) if self._llava else ()
        self.defects = (none, class_token, *both)
        self._rng = np.random.default_rng(0)
        self._weights: dict[str, Array] = {
            "v.patch_embd.weight": self._random(0.05, _WIDTH, 3, _PATCH, _PATCH),
            "v.class_embd": self._random(1.0, _WIDTH),
            "v.position_embd.weight": self._random(1.0, _PATCHES + 1, _WIDTH),
        }
        for block in (f"v.blk.{i}" for i in range(_LAYERS)):
            self._add_norms(f"{block}.ln1", f"{block}.ln2")
            for name in ("attn_q", "attn_k", "attn_v", "attn_out"):
                self._add_linear(f"{block}.{name}", _WIDTH, _WIDTH)
            self._add_linear(f"{block}.ffn_up", _FEED_FORWARD, _WIDTH)
            self._add_linear(f"{block}.ffn_down", _WIDTH, _FEED_FORWARD)
        if self._llava:
            self._add_norms("v.pre_ln")
            self._projector = ("mm.0", "mm.2")
        else:
            self._add_norms("mm.model.mlp.0")
            self._projector = ("mm.model.mlp.1", "mm.model.mlp.3")
        for name in self._projector:
            self._add_linear(name, _WIDTH, _WIDTH)

    def vectors(self, pixels: npt.NDArray[np.uint8], defects: Defect) -> Array:
        """Return what a program with `defects` makes of RGB `pixels`: (patches, width)."""
        last = Defect.CLASS_TOKEN in defects
        token, patches = self._weights["v.class_embd"][None], self._patches(pixels)
        x: Array = np.concatenate((patches, token) if last else (token, patches))
        x = x + self._weights["v.position_embd.weight"]
        if self._llava:
            x = self._norm(x, "v.pre_ln")
        for i in range(_LAYERS - (Defect.LAYER in defects)):
            x = self._block(x, f"v.blk.{i}")
        # LLaVA's graph counts the class token as the first even where it put it last.
        y = x[:-1] if last and not self._llava else x[1:]
        if not self._llava:
            y = self._norm(y, "mm.model.mlp.0")
        first, second = self._projector
        return self._linear(_gelu(self._linear(y, first)), second)

    def write(self, path: Path) -> None:
        """Write it as an mmproj file."""
        writer = gguf.GGUFWriter(path, "clip")
        writer.add_bool("clip.has_vision_encoder", True)
        writer.add_string("clip.projector_type", "mlp" if self._llava else "internvl")
        writer.add_bool("clip.use_gelu", not self._llava)
        sizes = {
            "image_size": SIDE,
            "patch_size": _PATCH,
            "embedding_length": _WIDTH,
            "feed_forward_length": _FEED_FORWARD,
            "block_count": _LAYERS,
            "projection_dim": _WIDTH,
            "attention.head_count": _HEADS,
        }
        if not self._llava:
            sizes["projector.scale_factor"] = 1
        for key, value in sizes.items():
            writer.add_uint32(f"clip.vision.{key}", value)
        writer.add_float32("clip.vision.attention.layer_norm_epsilon", _EPSILON)
        writer.add_array("clip.vision.image_mean", [0.5, 0.5, 0.5])
        writer.add_array("clip.vision.image_std", [0.5, 0.5, 0.5])
        for name, array in self._weights.items():
            writer.add_tensor(name, array)
        _finish(writer)

    def _random(self, scale: float, *shape: int) -> Array:
        return (self._rng.standard_normal(shape) * scale).astype(np.float32)

    def _add_linear(self, name: str, out: int, into: int) -> None:
        self._weights[f"{name}.weight"] = self._random(1.5 / into**0.5, out, into)
        self._weights[f"{name}.bias"] = self._random(0.1, out)

    def _add_norms(self, *names: str) -> None:
        for name in names:
            self._weights[f"{name}.weight"] = np.ones(_WIDTH, np.float32)
            self._weights[f"{name}.bias"] = self._random(0.1, _WIDTH)

    def _patches(self, pixels: npt.NDArray[np.uint8]) -> Array:
        normal: Array = ((pixels / 255.0 - 0.5) / 0.5).astype(np.float32)
        count = SIDE // _PATCH
        cut = normal.reshape(count, _PATCH, count, _PATCH, 3).transpose(0, 2, 4, 1, 3)
        kernel = self._weights["v.patch_embd.weight"].reshape(_WIDTH, -1)
        patches: Array = cut.reshape(_PATCHES, -1) @ kernel.T
        return patches

    def _block(self, x: Array, block: str) -> Array:
        y = self._norm(x, f"{block}.ln1")
        q, k, v = (
            self._linear(y, f"{block}.attn_{name}").reshape(len(y), _HEADS, -1).swapaxes(0, 1)
            for name in "qkv"
        )
        scores = q @ k.swapaxes(1, 2) / np.sqrt(q.shape[2], dtype=np.float32)
        shares = np.exp(scores - scores.max(2, keepdims=True))
        shares /= shares.sum(2, keepdims=True)
        seen = (shares @ v).swapaxes(0, 1).reshape(x.shape)
        x = x + self._linear(seen, f"{block}.attn_out")
        y = self._linear(self._norm(x, f"{block}.ln2"), f"{block}.ffn_up")
        y = y / (1 + np.exp(-1.702 * y)) if self._llava else _gelu(y)
        return x + self._linear(y, f"{block}.ffn_down")

    def _linear(self, x: Array, name: str) -> Array:
        return x @ self._weights[f"{name}.weight"].T + self._weights[f"{name}.bias"]

    def _norm(self, x: Array, name: str) -> Array:
        centred = x - x.mean(1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(1, keepdims=True) + _EPSILON)
        normed: Array = scaled * self._weights[f"{name}.weight"] + self._weights[f"{name}.bias"]
        return normed


def write_text_model(path: Path) -> None:
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
    shapes: dict[str, tuple[int, ...]] = {
        "token_embd": (len(tokens), _WIDTH),
        "output_norm": (_WIDTH,),
        "output": (len(tokens), _WIDTH),
        "blk.0.attn_norm": (_WIDTH,),
        "blk.0.ffn_norm": (_WIDTH,),
        "blk.0.ffn_gate": (_FEED_FORWARD, _WIDTH),
        "blk.0.ffn_up": (_FEED_FORWARD, _WIDTH),
        "blk.0.ffn_down": (_WIDTH, _FEED_FORWARD),
    }
    shapes |= {f"blk.0.attn_{name}": (_WIDTH, _WIDTH) for name in ("q", "k", "v", "output")}
    for name, shape in shapes.items():
        writer.add_tensor(f"{name}.weight", np.zeros(shape, np.float32))
    _finish(writer)


def _gelu(x: Array) -> Array:
    """Return GELU by its tanh approximation, as ggml computes it."""
    activated: Array = 0.5 * x * (1 + np.tanh(0.7978845608 * (x + 0.044715 * x**3)))
    return activated


def _finish(writer: gguf.GGUFWriter) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
