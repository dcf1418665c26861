"""A folder through all stages with a real LLaVA in a real llama.cpp, by the command line."""

import json
from pathlib import Path

import pytest
from shapes import scene_with_hidden_shape

from photosearch.cli import run

TINY = Path(__file__).resolve().parents[1] / "tiny_llava"
SEEDS = (3, 4, 5, 11)
"""Of pictures that the tiny model captions without a fault."""


def phrase(shape):
    return f'"{shape.colour} {shape.kind}"'


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """Pictures of two large shapes, and of one that only its ninth of the picture shows well."""
    folder = tmp_path_factory.mktemp("shapes")
    found = {}
    for seed in SEEDS:
        row, column = 1 + seed % 3, 1 + seed // 3 % 3
        scene, hidden = scene_with_hidden_shape(seed, (row, column))
        scene.draw().save(folder / f"{seed}.png")
        large = [phrase(shape) for shape in scene.shapes if shape != hidden]
        found[f"{seed}.png"] = large, phrase(hidden), f"ninth-{row}-{column}"
    return folder, found


@pytest.fixture(scope="module")
def library(tmp_path_factory, scenes):
    home = tmp_path_factory.mktemp("library")

    def call(*arguments):
        def no_window(paths, folder):
            raise AssertionError("no window is wanted here")

        return run(no_window, ["--library", str(home), *map(str, arguments)])

    files = [TINY / "tiny-llava-text-f16.gguf", "--mmproj", TINY / "tiny-llava-mmproj-f16.gguf"]
    assert call("models", "use", *files, "--name", "tiny") == 0
    assert call("index", "--stage", "scan", scenes[0]) == 0
    return call


def hits(library, capsys, *words):
    capsys.readouterr()
    library("search", *words, "--json")
    found = json.loads(capsys.readouterr().out)["hits"]
    return {Path(h["path"]).name: h["matched"] for h in found if not h["partial"]}


def test_words_come_out_and_small_shapes_only_by_the_crop_stages(library, scenes, capsys):
    _, pictures = scenes
    assert library("index", "--stage", "full") == 0
    for name, (large, hidden, _) in pictures.items():
        for words in large:
            assert hits(library, capsys, words)[name] == {words.strip('"'): ["whole"]}
        assert name not in hits(library, capsys, hidden), "too small for the whole picture"
    assert library("index") == 0
    for name, (_, hidden, ninth) in pictures.items():
        assert hits(library, capsys, hidden)[name] == {hidden.strip('"'): [ninth]}


def test_every_view_was_captioned_once(library, scenes, capsys):
    library("index")
    capsys.readouterr()
    assert library("status", "--json") == 0
    status = json.loads(capsys.readouterr().out)
    assert status["captioner"] == "tiny"
    done = {stage["stage"]: stage["done"] for stage in status["stages"]}
    assert done == dict.fromkeys(
        ["scan", "tags", "full", "halves", "quarters", "ninths"], len(SEEDS)
    )
    library("captions", "export")
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    written = [(row["sha256"], row["view"]) for row in rows if row["model"] == "tiny"]
    assert len(written) == len(set(written)) == len(SEEDS) * 18


def test_a_model_whose_files_went_stops_only_its_stages(library, scenes, tmp_path, capsys):
    copies = [tmp_path / "text.gguf", tmp_path / "mmproj.gguf"]
    for copy, original in zip(copies, sorted(TINY.glob("*.gguf"), reverse=True), strict=True):
        copy.write_bytes(original.read_bytes())
    assert library("models", "use", copies[0], "--mmproj", copies[1], "--name", "lost") == 0
    copies[1].unlink()
    try:
        capsys.readouterr()
        assert library("index") == 3
        assert "mmproj.gguf" in capsys.readouterr().err
        assert library("doctor") == 3
        assert "PROBLEM  captioner" in capsys.readouterr().out
    finally:
        assert library("models", "use", "tiny") == 0
        assert library("models", "remove", "lost") == 0
