"""Counts right captions with and without mending: `python tests/benchmarks/mended_captions.py`.

    python tests/benchmarks/mended_captions.py [--pictures 300] [--json FILE]
    python tests/benchmarks/mended_captions.py --train     (needs torch, minutes)

The tiny LLaVA of the tests has no class token, so llama.cpp runs it rightly. `--train` makes its
vision tower into one that has, as CLIP does: started from the same weights, it learns in torch to
give the language model the same vectors. Its projector file is in tests/captioning/data, as
converters write it. Printed is the share of captions of fresh pictures that are right word by word,
through the captioner as the app runs it: of the tiny LLaVA itself, of the tower with class token in
the file as converted, and in the mended copy.
"""

from __future__ import annotations

import argparse
import copy
import importlib
import json
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import gguf
import numpy as np

from photosearch.captioning.captioner import PhotoViews
from photosearch.captioning.llama.captioner import LlamaCaptioner
from photosearch.captioning.mending import Mends, mend
from photosearch.captioning.models import CaptionerConfig
from photosearch.domain import View
from photosearch.search.analysis import word_keys

TESTS = Path(__file__).resolve().parents[1]
TINY = TESTS / "tiny_llava"
TEXT = TINY / "tiny-llava-text-f16.gguf"
WITHOUT_CLASS_TOKEN = TINY / "tiny-llava-mmproj-f16.gguf"
WITH_CLASS_TOKEN = TESTS / "captioning" / "data" / "tiny-llava-class-token-mmproj-f16.gguf"
FRESH = 95_000_000
STEPS, BATCH, RATE = 600, 32, 1e-3
SEED = 20_261_123

sys.path.insert(0, str(TINY))
# What the tests share is no package.
shapes = importlib.import_module("shapes")


def share_right(mmproj: Path, pictures: int) -> float:
    """Return the share of right captions of pictures with none to three shapes."""
    scenes = [shapes.random_scene(FRESH + i, named=i % 4, size=(600, 450)) for i in range(pictures)]
    photos = (
        PhotoViews(i, scene.draw(), (View("full", (0, 0, 1, 1)),)) for i, scene in enumerate(scenes)
    )
    with tempfile.TemporaryDirectory() as folder:
        config = CaptionerConfig("tiny", TEXT, mmproj, threads=1, cache=Path(folder))
        captioner = LlamaCaptioner(config, word_keys)
        try:
            answers = captioner.caption(photos, threading.Event())
            said = {answer.key: caption.text for answer in answers for caption in answer.captions}
        finally:
            captioner.close()
    right: int = sum(said.get(i) == scene.caption() for i, scene in enumerate(scenes))
    return right / pictures


def measure(pictures: int) -> dict[str, float]:
    """Return the share of right captions of each form."""
    with tempfile.TemporaryDirectory() as folder:
        # Marked as mended, but with nothing changed, so that it is run as it is.
        converted = Path(folder) / "converted.gguf"
        mend(WITH_CLASS_TOKEN, converted, Mends())
        return {
            "without class token": share_right(WITHOUT_CLASS_TOKEN, pictures),
            "with class token, as converted": share_right(converted, pictures),
            "with class token, mended": share_right(WITH_CLASS_TOKEN, pictures),
        }


def train() -> None:
    """Train the tower with class token and write its projector file."""
    import torch  # noqa: PLC0415

    network, training = importlib.import_module("network"), importlib.import_module("train")
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    teacher = _stored_tower(torch, network)
    tower = copy.deepcopy(teacher)
    spread = teacher.position.std()
    token = torch.nn.Parameter(torch.randn(1, 1, teacher.position.shape[1]) * spread)

    def vectors(pixels: Any) -> Any:
        patches = tower.patch(pixels).flatten(2).transpose(1, 2) + tower.position
        x = tower.pre(torch.cat((token.expand(len(patches), 1, -1), patches), 1))
        for block in tower.blocks:
            x = block(x)
        return tower.project(x[:, 1:])

    parameters = [token, *(p for n, p in tower.named_parameters() if not n.startswith("heads"))]
    best = torch.optim.AdamW(parameters, RATE, weight_decay=0)
    plan = torch.optim.lr_scheduler.LambdaLR(best, lambda step: training.rate_at(step, STEPS))
    for step in range(STEPS):
        pixels = training.normalised(training.make_views((SEED + step, BATCH)).pixels)
        with torch.no_grad():
            wanted = teacher.project(teacher.look(pixels))
        loss = ((vectors(pixels) - wanted) ** 2).mean() / (wanted**2).mean()
        best.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        best.step()
        plan.step()
        if step % 50 == 0:
            print(f"step {step}: {loss.item():.1e} of the vectors' power is wrong", flush=True)
    _write(tower, token)


def _stored_tower(torch: Any, network: Any) -> Any:
    tower = network.Vision()
    stored = {tensor.name: tensor.data for tensor in gguf.GGUFReader(WITHOUT_CLASS_TOKEN).tensors}

    def load(parameter: Any, name: str) -> None:
        parameter.copy_(torch.from_numpy(stored[name].astype(np.float32)))

    with torch.no_grad():
        load(tower.patch.weight, "v.patch_embd.weight")
        load(tower.position, "v.position_embd.weight")
        for name, module in _modules(tower).items():
            load(module.weight, f"{name}.weight")
            load(module.bias, f"{name}.bias")
    return tower


def _modules(tower: Any) -> dict[str, Any]:
    modules = {"v.pre_ln": tower.pre, "mm.0": tower.mm0, "mm.2": tower.mm2}
    for i, block in enumerate(tower.blocks):
        parts = {"ln1": block.ln1, "ln2": block.ln2, "ffn_up": block.up, "ffn_down": block.down}
        parts |= {"attn_q": block.q, "attn_k": block.k, "attn_v": block.v, "attn_out": block.out}
        modules |= {f"v.blk.{i}.{name}": module for name, module in parts.items()}
    return modules


def _write(tower: Any, token: Any) -> None:
    """Write what the tower without class token has, without its empty last layer."""
    writer = gguf.GGUFWriter(WITH_CLASS_TOKEN, "clip")
    for key, field in gguf.GGUFReader(WITHOUT_CLASS_TOKEN).fields.items():
        if key.startswith("GGUF.") or key == "general.architecture":
            continue
        value = len(tower.blocks) if key == "clip.vision.block_count" else field.contents()
        writer.add_key_value(key, value, field.types[0], field.types[-1])

    def add(name: str, array: Any, half: bool) -> None:
        writer.add_tensor(name, array.astype(np.float16 if half else np.float32))

    # What was learned is the sum of class token and its position, which CLIP has apart.
    positions, total = tower.position.detach().numpy(), token.detach().numpy().ravel()
    own = np.random.default_rng(SEED).standard_normal(len(total)) * positions.std()
    add("v.class_embd", total - own, False)
    add("v.position_embd.weight", np.concatenate((own[None], positions)), False)
    add("v.patch_embd.weight", tower.patch.weight.detach().numpy(), True)
    for name, module in _modules(tower).items():
        matrix = module.weight.detach().numpy()
        add(f"{name}.weight", matrix, matrix.ndim > 1)
        add(f"{name}.bias", module.bias.detach().numpy(), False)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main() -> int:
    """Print the shares, or train what is measured."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--pictures", type=int, default=300)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--train", action="store_true")
    arguments = parser.parse_args()
    if arguments.train:
        train()
        return 0
    shares = measure(arguments.pictures)
    for name, share in shares.items():
        print(f"{name + ':':32} {share:.3f} of {arguments.pictures} captions are right")
    if arguments.json:
        arguments.json.write_text(json.dumps(shares, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
