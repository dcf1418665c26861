"""Train the tiny LLaVA of the tests from scratch and export its two GGUF files; see README.md.

python tests/tiny_llava/train.py [--out FOLDER] [--threads N]
python tests/tiny_llava/train.py --evaluate
"""

from __future__ import annotations

import argparse
import io
import math
import multiprocessing
import random
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.pool import Pool
from pathlib import Path

import network
import numpy as np
import sentencepiece
import shapes
import torch
from PIL import Image
from sizes import (
    GRID,
    IMAGE,
    MEAN,
    MMPROJ_FILE,
    PADDING,
    PATCH,
    PIECES,
    STD,
    TEXT_FILE,
)
from texts import FILLER, FORMS, PROMPTS
from torch import nn
from torch.nn import functional

from photosearch.captioning.captioner import PhotoViews
from photosearch.captioning.llama.captioner import LlamaCaptioner
from photosearch.captioning.models import CaptionerConfig
from photosearch.domain import View
from photosearch.search.analysis import word_keys

HERE = Path(__file__).resolve().parent

SEED = 20_260_801
# Pictures for measuring; training stays below.
FRESH = 90_000_000
LOOK_STEPS, LOOK_BATCH = 2800, 48
SPEAK_STEPS, SPEAK_BATCH = 1700, 48
PEAK_RATE = 2e-3


@dataclass
class Views:
    """A batch: pixels (n, 3, 96, 96) uint8, captions, and what each patch shows (n, 64, 5)."""

    pixels: np.ndarray
    captions: list[str]
    patches: np.ndarray


def fit(image: Image.Image, rng: random.Random) -> tuple[Image.Image, float, int, int]:
    """Return the padded square the vision tower sees, and the scale and offset that led there."""
    scale = IMAGE / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    how = rng.choice(
        (
            Image.Resampling.BICUBIC,
            Image.Resampling.BICUBIC,
            Image.Resampling.BILINEAR,
            Image.Resampling.LANCZOS,
        )
    )
    dx, dy = (IMAGE - size[0]) // 2, (IMAGE - size[1]) // 2
    if rng.random() < 0.2:
        dx = dy = 0
    square = Image.new("RGB", (IMAGE, IMAGE), PADDING)
    square.paste(image.resize(size, how), (dx, dy))
    return square, scale, dx, dy


def patch_labels(found: list[shapes.Seen], scale: float, dx: int, dy: int) -> np.ndarray:
    """Return (64, 4) labels colour, kind, small, rank of each patch; 0 where it shows nothing."""
    labels = np.zeros((GRID, GRID, 4), np.int64)
    most = np.full((GRID, GRID), 0.12 * PATCH**2)
    edges = np.arange(GRID) * PATCH
    for rank, seen in enumerate(found):
        left, top, right, bottom = (value * scale for value in seen.box)
        across = np.minimum(right + dx, edges + PATCH) - np.maximum(left + dx, edges)
        down = np.minimum(bottom + dy, edges + PATCH) - np.maximum(top + dy, edges)
        cover = np.clip(down, 0, None)[:, None] * np.clip(across, 0, None)[None, :]
        here = cover > most
        most[here] = cover[here]
        labels[here] = (
            1 + list(shapes.COLOURS).index(seen.shape.colour),
            1 + shapes.KINDS.index(seen.shape.kind),
            1 + int(seen.small),
            1 + rank,
        )
    return labels.reshape(-1, 4)


def make_views(task: tuple[int, int]) -> Views:
    """Return a batch of (seed, size): the same for the same task in whatever process."""
    seed, size = task
    rng = random.Random(seed)
    noise = np.random.default_rng(seed)
    pixels = np.empty((size, IMAGE, IMAGE, 3), np.float32)
    captions, patches = [], np.zeros((size, GRID * GRID, 5), np.int64)
    for i in range(size):
        scene = shapes.random_scene(rng, cut=rng.random() < 0.5)
        found = scene.seen()
        assert found is not None
        square, scale, dx, dy = fit(scene.draw(rng if rng.random() < 0.7 else None), rng)
        pixels[i] = np.asarray(square, np.float32)
        patches[i, :, :4] = patch_labels(found, scale, dx, dy)
        patches[i, :, 4] = list(shapes.BACKGROUNDS).index(scene.background)
        captions.append(shapes.caption_of([seen.words for seen in found], scene.background))
    strength = noise.uniform(0, 5, (size, 1, 1, 1)).astype(np.float32)
    pixels += strength * noise.standard_normal(pixels.shape, np.float32)
    return Views(
        np.clip(np.rint(pixels), 0, 255).astype(np.uint8).transpose(0, 3, 1, 2), captions, patches
    )


def train_tokenizer() -> bytes:
    """Return a SentencePiece BPE model of 640 pieces with byte fallback."""
    rng = random.Random(SEED)
    captions = [shapes.random_scene(rng).caption() or "" for _ in range(1500)]
    text = [before.strip() for before, _ in FORMS] * 20 + list(PROMPTS) * 20
    text += ["USER: ASSISTANT: ### Human: ### Assistant:"] * 20
    text += [" ".join(rng.sample(FILLER, 8)) for _ in range(400)]
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(captions + text),
        model_writer=out,
        vocab_size=PIECES,
        model_type="bpe",
        byte_fallback=True,
        character_coverage=1.0,
        split_digits=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        add_dummy_prefix=True,
        unk_id=0,
        bos_id=1,
        eos_id=2,
        pad_id=-1,
        num_threads=1,
        minloglevel=2,
    )
    return out.getvalue()


def normalised(pixels: np.ndarray) -> torch.Tensor:
    mean, std = torch.tensor(MEAN).view(3, 1, 1), torch.tensor(STD).view(3, 1, 1)
    return (torch.from_numpy(pixels).float() / 255 - mean) / std


def random_prompt(rng: random.Random) -> str:
    if rng.random() < 0.8:
        return rng.choice(PROMPTS)
    return " ".join(rng.sample(FILLER, rng.randint(2, 7))).capitalize() + rng.choice(".?!")


def rate_at(step: int, steps: int) -> float:
    return min(1, (step + 1) / 100) * (0.02 + 0.98 * (0.5 + 0.5 * math.cos(math.pi * step / steps)))


def train(out: Path, threads: int) -> None:
    torch.manual_seed(SEED)
    torch.set_num_threads(threads)
    started = time.monotonic()
    pieces = sentencepiece.SentencePieceProcessor(model_proto=train_tokenizer())
    vision, text = network.Vision(), network.Text()
    count = sum(p.numel() for m in (vision, text) for p in m.parameters())
    print(f"{count:,} parameters, heads included", flush=True)

    def note(phase: str, step: int, **values: float) -> None:
        shown = " ".join(f"{key} {value:.3f}" for key, value in values.items())
        print(f"{time.monotonic() - started:6.0f} s {phase} {step} {shown}", flush=True)

    with multiprocessing.get_context("spawn").Pool(1) as pool:
        tasks = ((SEED + i, LOOK_BATCH) for i in range(LOOK_STEPS))
        best = torch.optim.AdamW(vision.parameters(), PEAK_RATE, weight_decay=0.01)
        plan = torch.optim.lr_scheduler.LambdaLR(best, lambda i: rate_at(i, LOOK_STEPS))
        for step, views in enumerate(_ahead(pool, tasks)):
            labels = torch.from_numpy(views.patches)
            loss = vision.patch_loss(vision.look(normalised(views.pixels)), labels)
            _update(best, plan, loss, vision)
            if step % 50 == 0:
                note("look", step, loss=loss.item())

        rng = random.Random(SEED)
        both = nn.ModuleList((vision, text))
        best = torch.optim.AdamW(
            [
                {"params": vision.parameters(), "lr": PEAK_RATE / 2},
                {"params": text.parameters(), "lr": PEAK_RATE},
            ],
            weight_decay=0.01,
        )
        plan = torch.optim.lr_scheduler.LambdaLR(best, lambda i: rate_at(i, SPEAK_STEPS))
        tasks = ((SEED + LOOK_STEPS + i, SPEAK_BATCH) for i in range(SPEAK_STEPS))
        for step, views in enumerate(_ahead(pool, tasks)):
            before, after = rng.choice(FORMS)
            head = [pieces.bos_id(), *(pieces.encode(before) if before else [])]
            tail = pieces.encode(after.format(random_prompt(rng)))
            answers = [[*pieces.encode(c), pieces.eos_id()] for c in views.captions]
            longest = max(map(len, answers))
            target = torch.full((len(answers), longest), -100)
            for i, answer in enumerate(answers):
                target[i, : len(answer)] = torch.tensor(answer)
            seen = vision.look(normalised(views.pixels))
            n = len(answers)
            parts = [
                text.embed(torch.tensor(head)).expand(n, -1, -1),
                vision.project(seen),
                text.embed(torch.tensor(tail)).expand(n, -1, -1),
                text.embed(target[:, :-1].clamp(min=0)),
            ]
            logits = text(torch.cat(parts, 1), longest)
            spoken = functional.cross_entropy(logits.flatten(0, 1), target.flatten())
            loss = spoken + 0.2 * vision.patch_loss(seen, torch.from_numpy(views.patches))
            _update(best, plan, loss, both)
            if step % 50 == 0:
                right = ((logits.argmax(-1) == target) | (target < 0)).all(1).float().mean()
                note("speak", step, loss=loss.item(), spoken=spoken.item(), exact=right.item())
            if step % 200 == 199:
                network.export(out, pieces, vision, text)
    network.export(out, pieces, vision, text)
    note("done", LOOK_STEPS + SPEAK_STEPS)


def _ahead(pool: Pool, tasks: Iterable[tuple[int, int]]) -> Iterator[Views]:
    """Yield batches in order, at most a few made ahead."""
    waiting = []
    for task in tasks:
        waiting.append(pool.apply_async(make_views, (task,)))
        if len(waiting) > 8:
            yield waiting.pop(0).get()
    for result in waiting:
        yield result.get()


def _update(
    best: torch.optim.Optimizer,
    plan: torch.optim.lr_scheduler.LRScheduler,
    loss: torch.Tensor,
    module: nn.Module,
) -> None:
    best.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(module.parameters(), 1.0)
    best.step()
    plan.step()


def evaluate(folder: Path) -> None:
    """Print how many captions of fresh views are right, through llama.cpp as the app runs it."""
    captioner = LlamaCaptioner(
        CaptionerConfig("tiny", folder / TEXT_FILE, folder / MMPROJ_FILE, threads=1), word_keys
    )

    def say(image: Image.Image, box: shapes.Box = shapes.WHOLE) -> str:
        photo = PhotoViews(0, image, (View("view", box),))
        answers = captioner.caption([photo], threading.Event())
        return next(caption.text for answer in answers for caption in answer.captions)

    started = time.monotonic()
    print("right captions of fresh pictures, 600 × 450 pixels:")
    for named in range(shapes.MOST_NAMED + 1):
        scenes = [
            shapes.random_scene(FRESH + 10_000 * named + i, named=named, size=(600, 450))
            for i in range(300)
        ]
        right = sum(say(scene.draw()) == scene.caption() for scene in scenes)
        print(f"  {named} shapes: {right / len(scenes):.3f} of {len(scenes)}")

    counts: Counter[str] = Counter()
    for i in range(200):
        row, column = 1 + i % 3, 1 + i // 3 % 3
        scene, hidden = shapes.scene_with_hidden_shape(FRESH + i, (row, column))
        box = shapes.ninth_box(row, column)
        image = scene.draw()
        counts["whole"] += hidden.colour in say(image).split()
        closer = say(image, box)
        counts["ninth"] += f"{hidden.colour} {hidden.kind}" in closer
        counts["exact"] += closer == scene.caption(box)
    print("shapes too tiny for the whole picture, of 200:")
    print(f"  named there {counts['whole']} times, in their ninth {counts['ninth']} times")
    print(f"  ({counts['exact']} of these captions wholly right)")
    print(f"{(time.monotonic() - started) / 1600 * 1000:.1f} ms a caption")
    captioner.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=HERE)
    # More threads are slower for matrices this small, unless the machine is otherwise idle.
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--evaluate", action="store_true", help="only measure the files in --out")
    options = parser.parse_args()
    if options.evaluate:
        evaluate(options.out)
    else:
        train(options.out, options.threads)


if __name__ == "__main__":
    main()
