"""Copies of projectors in bfloat16: the same words, made once, done without where they can't be."""

import os
import shutil
from collections import namedtuple
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import gguf
import other_models
import pytest
from asking import CONFIG, captions, open_captioner
from gguf_files import MMPROJ
from PIL import Image
from shapes import random_scene

from photosearch.captioning.llama import bfloat16
from photosearch.captioning.llama.bfloat16 import bfloat16_copy, fastest_mmproj
from photosearch.captioning.models import CaptionerConfig
from photosearch.captioning.recipes import Recipe

Usage = namedtuple("Usage", "total used free")


def kinds(path: Path) -> dict[str, str]:
    return {tensor.name: tensor.tensor_type.name for tensor in gguf.GGUFReader(path).tensors}


def test_the_copy_says_the_same(tmp_path: Path) -> None:
    copy = bfloat16_copy(MMPROJ, tmp_path)
    before, after = kinds(MMPROJ), kinds(copy)
    changed = {name for name in before if before[name] != after[name]}
    assert {after[name] for name in changed} == {"BF16"}
    assert {"v.blk.0.attn_q.weight", "v.blk.1.ffn_down.weight", "mm.0.weight"} <= changed
    assert "v.patch_embd.weight" not in changed
    images = [random_scene(72_000_000 + n, named=n % 3, size=(600, 450)).draw() for n in range(40)]
    with closing(open_captioner()) as captioner:
        expected = captions(captioner, images)
    with closing(open_captioner(replace(CONFIG, mmproj=copy))) as captioner:
        said = captions(captioner, images)
    assert sum(a == b for a, b in zip(said, expected, strict=True)) >= 39


def test_it_is_made_once_and_anew_when_the_file_changes(tmp_path: Path) -> None:
    cache, mmproj = tmp_path / "cache", tmp_path / "mmproj.gguf"
    shutil.copy(MMPROJ, mmproj)
    original = mmproj.read_bytes()
    first = bfloat16_copy(mmproj, cache)
    made = first.stat().st_mtime_ns
    assert bfloat16_copy(mmproj, cache) == first
    assert first.stat().st_mtime_ns == made
    assert mmproj.read_bytes() == original
    os.utime(mmproj, (1, 1))
    second = bfloat16_copy(mmproj, cache)
    assert second != first
    assert list(cache.glob("*.gguf*")) == [second]


def test_a_file_without_float16_is_used_as_it_is(tmp_path: Path) -> None:
    copy = bfloat16_copy(MMPROJ, tmp_path)
    assert bfloat16_copy(copy, tmp_path) == copy


def test_where_no_copy_can_be_made_it_does_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        bfloat16.llama_cpp, "llama_print_system_info", lambda: b"CPU : AVX512_BF16 = 1 | "
    )
    assert fastest_mmproj(MMPROJ, tmp_path / "small") == MMPROJ
    monkeypatch.setattr(bfloat16, "_WORTH_BYTES", 0)
    (tmp_path / "file").touch()
    assert fastest_mmproj(MMPROJ, tmp_path / "file") == MMPROJ
    assert fastest_mmproj(MMPROJ, tmp_path / "cache") != MMPROJ
    monkeypatch.setattr(bfloat16.shutil, "disk_usage", lambda _path: Usage(10, 10, 0))
    assert fastest_mmproj(MMPROJ, tmp_path / "full") == MMPROJ
    monkeypatch.setattr(bfloat16.llama_cpp, "llama_print_system_info", lambda: b"CPU : AVX2 = 1")
    assert fastest_mmproj(MMPROJ, tmp_path / "cache") == MMPROJ


@pytest.mark.parametrize("write", [other_models.qwen2vl, other_models.gemma3])
def test_other_families_run_with_it(write: object, tmp_path: Path) -> None:
    model, mmproj = write(tmp_path)
    copy = bfloat16_copy(mmproj, tmp_path / "cache")
    assert copy != mmproj
    recipe = Recipe(max_tokens={"whole": 8})
    with closing(
        open_captioner(CaptionerConfig("other", model, copy, recipe, threads=1))
    ) as captioner:
        image = Image.linear_gradient("L").convert("RGB")
        ((caption,),) = captions(captioner, [image])
    assert caption.raw
