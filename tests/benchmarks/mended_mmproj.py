"""Compares llama.cpp's picture vectors with torch's: `python tests/benchmarks/mended_mmproj.py`.

    python tests/benchmarks/mended_mmproj.py [--json FILE]
    python tests/benchmarks/mended_mmproj.py --write-fixture | --verify     (these need torch)

A CLIP tower with class token and LLaVA-1.5's projector, with random weights, stands in torch as
LLaVA defines it: class token first, output of the last layer but one, class token dropped. Its
GGUF file, as the usual converter writes it, and torch's vectors of some pictures are in
tests/captioning/data. Printed is the mean cosine over all patches and pictures between those and
what the installed llama.cpp gives: from the file as converted, with each mend, with both, and with
both and the vectors put in their places. `--verify` computes torch's vectors anew.
"""

# mypy: allow-subclassing-any
from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import numpy.typing as npt

from photosearch.captioning.gguf_header import GgufHeader
from photosearch.captioning.llama.selftest import encode, explain
from photosearch.captioning.mending import Mends, in_place, mend

Array = npt.NDArray[np.float32]

TESTS = Path(__file__).resolve().parents[1]
MMPROJ = TESTS / "captioning" / "data" / "random-clip-mmproj-f16.gguf"
REFERENCE = MMPROJ.with_name("random-clip-reference.npz")
# Only its width matters here.
TEXT = TESTS / "tiny_llava" / "tiny-llava-text-f16.gguf"

SIDE, PATCH, WIDTH, HEADS, FEED_FORWARD, TEXT_WIDTH = 84, 14, 64, 4, 128, 96
LAYERS = 4
EPSILON = 1e-5
MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)
PICTURES = 4


def cosine(a: Array, b: Array) -> float:
    """Return the mean cosine between the rows of `a` and `b`."""
    lengths = np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1)
    return float(((a * b).sum(-1) / lengths).mean())


def pictures() -> npt.NDArray[np.uint8]:
    """Return pictures (n, height, width, RGB) of overlapping rectangles, the same every time."""
    rng = np.random.default_rng(7)
    drawn = np.empty((PICTURES, SIDE, SIDE, 3), np.uint8)
    for picture in drawn:
        picture[:] = rng.integers(0, 256, 3)
        for _ in range(30):
            left, top = rng.integers(0, SIDE - 8, 2)
            width, height = rng.integers(6, SIDE // 2, 2)
            picture[top : top + height, left : left + width] = rng.integers(0, 256, 3)
    return drawn


def make_tower() -> Any:
    """Return the tower and projector in torch; half-precision weights, as in the file."""
    import torch  # noqa: PLC0415
    from torch import nn  # noqa: PLC0415

    class Layer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.ln1, self.ln2 = nn.LayerNorm(WIDTH, EPSILON), nn.LayerNorm(WIDTH, EPSILON)
            self.attention = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)
            self.up, self.down = nn.Linear(WIDTH, FEED_FORWARD), nn.Linear(FEED_FORWARD, WIDTH)

        def forward(self, x: Any) -> Any:
            y = self.ln1(x)
            x = x + self.attention(y, y, y, need_weights=False)[0]
            y = self.up(self.ln2(x))
            return x + self.down(y * torch.sigmoid(1.702 * y))

    class Tower(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.patch = nn.Conv2d(3, WIDTH, PATCH, PATCH, bias=False)
            self.class_token = nn.Parameter(torch.zeros(WIDTH))
            self.position = nn.Parameter(torch.zeros((SIDE // PATCH) ** 2 + 1, WIDTH))
            self.pre = nn.LayerNorm(WIDTH, EPSILON)
            self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))
            self.projector = nn.Sequential(
                nn.Linear(WIDTH, TEXT_WIDTH), nn.GELU(), nn.Linear(TEXT_WIDTH, TEXT_WIDTH)
            )

        def forward(self, pixels: Any) -> Any:
            patches = self.patch(pixels).flatten(2).transpose(1, 2)
            token = self.class_token.expand(len(patches), 1, WIDTH)
            hidden = [self.pre(torch.cat((token, patches), 1) + self.position)]
            for layer in self.layers:
                hidden.append(layer(hidden[-1]))
            # LLaVA: mm_vision_select_layer = -2, mm_vision_select_feature = "patch".
            return self.projector(hidden[-2][:, 1:])

    torch.manual_seed(0)
    tower = Tower()
    with torch.no_grad():
        for name, parameter in tower.named_parameters():
            if parameter.ndim > 1:
                # Positions and class token as strong as what they are added to.
                fan = 1 if name == "position" else parameter[0].numel()
                parameter.normal_(std=fan**-0.5)
                if name != "position":
                    parameter.copy_(parameter.half().float())
            elif name == "class_token":
                parameter.normal_()
            elif "bias" in name:
                parameter.normal_(std=0.1)
    return tower.eval()


def torch_vectors(tower: Any, drawn: npt.NDArray[np.uint8]) -> Array:
    """Return what the language model should get: (pictures, patches, width)."""
    import torch  # noqa: PLC0415

    pixels = ((drawn / 255 - MEAN) / STD).astype(np.float32)
    with torch.no_grad():
        vectors = tower(torch.from_numpy(pixels.transpose(0, 3, 1, 2).copy()))
    return np.asarray(vectors.numpy(), np.float32)


def write_mmproj(tower: Any, path: Path) -> None:
    """Write the projector file as llama.cpp's convert_image_encoder_to_gguf.py does."""
    writer = gguf.GGUFWriter(path, "clip")
    writer.add_bool("clip.has_text_encoder", False)
    writer.add_bool("clip.has_vision_encoder", True)
    writer.add_bool("clip.has_llava_projector", True)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    writer.add_name("random CLIP tower")
    writer.add_description("image encoder for LLaVA")
    writer.add_string("clip.projector_type", "mlp")
    sizes = {
        "image_size": SIDE,
        "patch_size": PATCH,
        "embedding_length": WIDTH,
        "feed_forward_length": FEED_FORWARD,
        "projection_dim": WIDTH,
        "attention.head_count": HEADS,
        "block_count": LAYERS - 1,
    }
    for key, value in sizes.items():
        writer.add_uint32(f"clip.vision.{key}", value)
    writer.add_float32("clip.vision.attention.layer_norm_epsilon", EPSILON)
    writer.add_array("clip.vision.image_mean", list(MEAN))
    writer.add_array("clip.vision.image_std", list(STD))
    writer.add_bool("clip.use_gelu", False)

    def add(name: str, parameter: Any, single: bool = False) -> None:
        array = parameter.detach().numpy()
        half = array.ndim > 1 and not single
        writer.add_tensor(name, array.astype(np.float16 if half else np.float32))

    def add_linear(name: str, module: Any) -> None:
        add(f"{name}.weight", module.weight)
        add(f"{name}.bias", module.bias)

    add("v.class_embd", tower.class_token)
    add("v.patch_embd.weight", tower.patch.weight)
    add("v.position_embd.weight", tower.position, single=True)
    add_linear("v.pre_ln", tower.pre)
    for i, layer in enumerate(tower.layers[:-1]):
        block = f"v.blk.{i}"
        for j, name in enumerate(("attn_q", "attn_k", "attn_v")):
            rows = slice(j * WIDTH, (j + 1) * WIDTH)
            add(f"{block}.{name}.weight", layer.attention.in_proj_weight[rows])
            add(f"{block}.{name}.bias", layer.attention.in_proj_bias[rows])
        add_linear(f"{block}.attn_out", layer.attention.out_proj)
        add_linear(f"{block}.ln1", layer.ln1)
        add_linear(f"{block}.ln2", layer.ln2)
        add_linear(f"{block}.ffn_up", layer.up)
        add_linear(f"{block}.ffn_down", layer.down)
    add_linear("mm.0", tower.projector[0])
    add_linear("mm.2", tower.projector[2])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def llama_vectors(mmproj: Path, drawn: npt.NDArray[np.uint8]) -> Array:
    """Return what llama.cpp makes of the pictures with this projector file."""
    return np.stack([encode(TEXT, mmproj, picture)[0] for picture in drawn])


def measure() -> dict[str, dict[str, float]]:
    """Return the mean cosines of each form of the file: row by row, and one row shifted."""
    stored = np.load(REFERENCE)
    drawn, reference = stored["pictures"], stored["vectors"]
    layers = GgufHeader(MMPROJ).number("clip.vision.block_count")
    forms = {
        "as converted": Mends(),
        "feature_layer": Mends(False, layers),
        "positions rotated": Mends(True),
        "both: the mended copy": Mends(True, layers),
    }
    table = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, mends in forms.items():
            path = MMPROJ
            if mends:
                path = Path(folder) / "mended.gguf"
                mend(MMPROJ, path, mends)
            vectors = llama_vectors(path, drawn)
            table[name] = {
                "same row": cosine(vectors, reference),
                "one row shifted": cosine(vectors[:, :-1], reference[:, 1:]),
            }
    placed = np.stack([in_place(picture) for picture in vectors])
    table["both, each vector in its place"] = {
        "same row": cosine(placed, reference),
        "same row, but the first": cosine(placed[:, 1:], reference[:, 1:]),
    }
    return table


def main() -> int:
    """Print the table, or write or verify what is measured against."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--write-fixture", action="store_true")
    parser.add_argument("--verify", action="store_true")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    if arguments.write_fixture:
        MMPROJ.parent.mkdir(exist_ok=True)
        tower = make_tower()
        write_mmproj(tower, MMPROJ)
        drawn = pictures()
        np.savez_compressed(REFERENCE, pictures=drawn, vectors=torch_vectors(tower, drawn))
        return 0
    if arguments.verify:
        stored = np.load(REFERENCE)
        anew = torch_vectors(make_tower(), stored["pictures"])
        difference = float(np.abs(anew - stored["vectors"]).max())
        print(f"largest difference from torch's vectors computed anew: {difference:.1e}")
        return int(difference > 1e-3)
    table = measure()
    for name, figures in table.items():
        shown = ", ".join(f"{what} {value:.4f}" for what, value in figures.items())
        print(f"{name + ':':32} {shown}")
    print(explain()[1])
    if arguments.json:
        arguments.json.write_text(json.dumps(table, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
