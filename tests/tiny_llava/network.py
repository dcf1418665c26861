"""The network of the tiny LLaVA in torch, and its export as the two GGUF files llama.cpp reads."""

# mypy: allow-subclassing-any
from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
import sentencepiece
import shapes
import torch
from sizes import (
    CONTEXT,
    FEED_FORWARD,
    GRID,
    HEADS,
    IMAGE,
    LAYER_EPS,
    LAYERS,
    MEAN,
    MMPROJ_FILE,
    PATCH,
    PIECES,
    RMS_EPS,
    ROPE_BASE,
    STD,
    TEXT_FILE,
    WIDTH,
)
from torch import nn
from torch.nn import functional


class VisionBlock(nn.Module):
    """A CLIP transformer block: pre-norm, quick GELU."""

    def __init__(self) -> None:
        super().__init__()
        self.ln1, self.ln2 = nn.LayerNorm(WIDTH, LAYER_EPS), nn.LayerNorm(WIDTH, LAYER_EPS)
        self.q, self.k, self.v, self.out = (nn.Linear(WIDTH, WIDTH) for _ in range(4))
        self.up, self.down = nn.Linear(WIDTH, FEED_FORWARD), nn.Linear(FEED_FORWARD, WIDTH)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n, t, _ = x.shape
        y = self.ln1(x)
        q, k, v = (f(y).view(n, t, HEADS, -1).transpose(1, 2) for f in (self.q, self.k, self.v))
        y = functional.scaled_dot_product_attention(q, k, v)
        x = x + self.out(y.transpose(1, 2).reshape(n, t, WIDTH))
        y = self.up(self.ln2(x))
        return x + self.down(y * torch.sigmoid(1.702 * y))


class Vision(nn.Module):
    """Vision tower and projector; the heads on the patches serve training only."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, WIDTH, PATCH, PATCH, bias=False)
        self.position = nn.Parameter(torch.randn(GRID * GRID, WIDTH) * 0.02)
        self.pre = nn.LayerNorm(WIDTH, LAYER_EPS)
        self.blocks = nn.ModuleList(VisionBlock() for _ in range(LAYERS))
        self.mm0, self.mm2 = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        sizes = (
            len(shapes.COLOURS) + 1,
            len(shapes.KINDS) + 1,
            3,
            shapes.MOST_NAMED + 1,
            len(shapes.BACKGROUNDS),
        )
        self.heads = nn.ModuleList(nn.Linear(WIDTH, size) for size in sizes)

    def look(self, pixels: torch.Tensor) -> torch.Tensor:
        x = self.patch(pixels).flatten(2).transpose(1, 2) + self.position
        x = self.pre(x)
        for block in self.blocks:
            x = block(x)
        return x

    def project(self, x: torch.Tensor) -> torch.Tensor:
        return self.mm2(functional.gelu(self.mm0(x), approximate="tanh"))

    def patch_loss(self, x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        losses = []
        for i, head in enumerate(self.heads):
            weight = None
            if i < 4:
                # Most patches show plain background.
                weight = torch.ones(head.out_features)
                weight[0] = 0.3
            losses.append(
                functional.cross_entropy(head(x).flatten(0, 1), labels[..., i].flatten(), weight)
            )
        return torch.stack(losses).sum()


def rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Rotary embedding of neighbouring pairs, as llama-architecture GGUF files want it."""
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), -1).flatten(-2)


class TextBlock(nn.Module):
    """A LLaMA block."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.RMSNorm(WIDTH, RMS_EPS), nn.RMSNorm(WIDTH, RMS_EPS)
        self.q, self.k, self.v, self.out = (nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(4))
        self.gate, self.up = (nn.Linear(WIDTH, FEED_FORWARD, bias=False) for _ in range(2))
        self.down = nn.Linear(FEED_FORWARD, WIDTH, bias=False)

    def forward(self, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
        n, t, _ = x.shape
        y = self.norm1(x)
        q, k, v = (f(y).view(n, t, HEADS, -1).transpose(1, 2) for f in (self.q, self.k, self.v))
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        y = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(y.transpose(1, 2).reshape(n, t, WIDTH))
        y = self.norm2(x)
        return x + self.down(functional.silu(self.gate(y)) * self.up(y))


class Text(nn.Module):
    """A LLaMA language model."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(PIECES, WIDTH)
        nn.init.normal_(self.embed.weight, std=0.3)
        self.blocks = nn.ModuleList(TextBlock() for _ in range(LAYERS))
        self.norm = nn.RMSNorm(WIDTH, RMS_EPS)
        self.out = nn.Linear(WIDTH, PIECES, bias=False)

    def forward(self, x: torch.Tensor, keep: int) -> torch.Tensor:
        """Return logits of the last `keep` positions of `x` (n, t, width)."""
        half = WIDTH // HEADS // 2
        rate = ROPE_BASE ** (-torch.arange(half) / half)
        angle = torch.arange(x.shape[1])[:, None] * rate
        cos, sin = angle.cos(), angle.sin()
        for block in self.blocks:
            x = block(x, cos, sin)
        return self.out(self.norm(x[:, -keep:]))


def export(
    out: Path, pieces: sentencepiece.SentencePieceProcessor, vision: Vision, text: Text
) -> None:
    """Write both GGUF files: matrices in half precision, vectors and positions in single."""
    out.mkdir(parents=True, exist_ok=True)
    _export_text(out / TEXT_FILE, pieces, text)
    _export_vision(out / MMPROJ_FILE, vision)


def _export_text(path: Path, pieces: sentencepiece.SentencePieceProcessor, text: Text) -> None:
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("tiny-llava")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(RMS_EPS)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_rope_freq_base(ROPE_BASE)
    writer.add_vocab_size(PIECES)
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list([pieces.id_to_piece(i) for i in range(PIECES)])
    writer.add_token_scores([pieces.get_score(i) for i in range(PIECES)])
    kinds = gguf.TokenType
    writer.add_token_types(
        [
            kinds.UNKNOWN
            if pieces.is_unknown(i)
            else kinds.CONTROL
            if pieces.is_control(i)
            else kinds.BYTE
            if pieces.is_byte(i)
            else kinds.NORMAL
            for i in range(PIECES)
        ]
    )
    writer.add_bos_token_id(pieces.bos_id())
    writer.add_eos_token_id(pieces.eos_id())
    writer.add_unk_token_id(pieces.unk_id())
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(False)
    writer.add_add_space_prefix(True)
    _add(writer, "token_embd.weight", text.embed.weight)
    _add(writer, "output_norm.weight", text.norm.weight)
    _add(writer, "output.weight", text.out.weight)
    for i, block in enumerate(text.blocks):
        names = {
            "attn_norm": block.norm1,
            "ffn_norm": block.norm2,
            "attn_q": block.q,
            "attn_k": block.k,
            "attn_v": block.v,
            "attn_output": block.out,
            "ffn_gate": block.gate,
            "ffn_up": block.up,
            "ffn_down": block.down,
        }
        for name, module in names.items():
            _add(writer, f"blk.{i}.{name}.weight", module.weight)
    _finish(writer)


def _export_vision(path: Path, vision: Vision) -> None:
    writer = gguf.GGUFWriter(path, "clip")
    writer.add_name("tiny-llava")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    writer.add_bool("clip.has_vision_encoder", True)
    writer.add_string("clip.projector_type", "mlp")
    writer.add_bool("clip.use_gelu", False)
    for key, value in {
        "image_size": IMAGE,
        "patch_size": PATCH,
        "embedding_length": WIDTH,
        "feed_forward_length": FEED_FORWARD,
        "block_count": LAYERS + 1,
        "projection_dim": WIDTH,
        "attention.head_count": HEADS,
    }.items():
        writer.add_uint32(f"clip.vision.{key}", value)
    writer.add_float32("clip.vision.attention.layer_norm_epsilon", LAYER_EPS)
    writer.add_array("clip.vision.image_mean", list(MEAN))
    writer.add_array("clip.vision.image_std", list(STD))
    _add(writer, "v.patch_embd.weight", vision.patch.weight)
    _add(writer, "v.position_embd.weight", vision.position, single=True)
    _add_linear(writer, "v.pre_ln", vision.pre)
    # The last layer is zero, hence does nothing: llama.cpp versions differ in whether they run it.
    empty = VisionBlock()
    for parameter in empty.parameters():
        nn.init.zeros_(parameter)
    for i, block in enumerate([*vision.blocks, empty]):
        names = {
            "ln1": block.ln1,
            "ln2": block.ln2,
            "attn_q": block.q,
            "attn_k": block.k,
            "attn_v": block.v,
            "attn_out": block.out,
            "ffn_up": block.up,
            "ffn_down": block.down,
        }
        for name, module in names.items():
            _add_linear(writer, f"v.blk.{i}.{name}", module)
    _add_linear(writer, "mm.0", vision.mm0)
    _add_linear(writer, "mm.2", vision.mm2)
    _finish(writer)


def _add_linear(writer: gguf.GGUFWriter, name: str, module: nn.Module) -> None:
    _add(writer, f"{name}.weight", module.weight)
    _add(writer, f"{name}.bias", module.bias)


def _add(writer: gguf.GGUFWriter, name: str, tensor: torch.Tensor, single: bool = False) -> None:
    array = tensor.detach().float().numpy()
    half = array.ndim > 1 and not single
    writer.add_tensor(name, np.ascontiguousarray(array.astype(np.float16 if half else np.float32)))


def _finish(writer: gguf.GGUFWriter) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
