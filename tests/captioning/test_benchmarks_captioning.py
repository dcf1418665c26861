"""The benchmarks of captioning run, at their smallest, and print what they promise."""

import importlib
import json
import sys
from pathlib import Path

import pytest
from gguf_files import MMPROJ, TEXT
from PIL import Image
from shapes import random_scene

from photosearch.captioning.models import check_gguf
from photosearch.domain import CAPTION_STAGES
from photosearch.imaging.crops import views

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture
def run(monkeypatch, capsys):
    """Run a benchmark by its name as from the command line; returns what it prints."""
    monkeypatch.syspath_prepend(BENCHMARKS)

    def run(name, *arguments):
        monkeypatch.setattr(sys, "argv", [f"{name}.py", *map(str, arguments)])
        importlib.import_module(name).main()
        return capsys.readouterr().out

    return run


@pytest.fixture
def photos(tmp_path):
    """Two pictures, one of a shape and one plain, with labels as the COCO photos have."""
    folder = tmp_path / "photos"
    folder.mkdir()
    rows = []
    for number in range(2):
        file = folder / f"{number}.jpg"
        picture = random_scene(number, named=3).draw() if number else Image.new("RGB", (96, 64))
        picture.save(file)
        rows.append(json.dumps({"file": file.name, "labels": ["sports ball"]}))
    (folder / "labels.jsonl").write_text("\n".join(rows))
    return folder


def test_random_models_fit_each_other(run, tmp_path):
    printed = run("random_models", tmp_path, "--shape", "tiny")
    model, mmproj = sorted(tmp_path.iterdir(), key=lambda path: "mmproj" in path.name)
    assert str(model) in printed and str(mmproj) in printed
    facts = check_gguf(model, mmproj)
    assert (facts.architecture, facts.projector, facts.image_side) == ("llama", "mlp", 56)


def test_batched(run, tmp_path):
    printed = run(
        *("batched", "--model", TEXT, "--mmproj", MMPROJ, "--sequences", 1, 2),
        *("--views", 3, "--tokens", 24, "--turns", 1, "--threads", 1),
        *("--json", tmp_path / "figures.json"),
    )
    figures = json.loads((tmp_path / "figures.json").read_text())
    names = ["Llava15ChatHandler", "photosearch, 1 at once", "photosearch, 2 at once"]
    assert [row["name"] for row in figures] == names
    assert all(row["views_a_minute"] > 0 and row["ratio"] > 0 for row in figures)
    assert [row["equal"] for row in figures] == [None, 1.0, 1.0]
    assert all(name in printed for name in names)


def test_stop_latency(run, tmp_path):
    files = ("--folder", tmp_path, "--json", tmp_path / "figures.json")
    printed = run("stop_latency", "--shape", "tiny", "--samples", 1, "--within", 0.01, *files)
    rows = json.loads((tmp_path / "figures.json").read_text())
    assert sum(row["stops"] for row in rows) == 4
    assert all(0 <= row["median_ms"] <= row["worst_ms"] < 5000 for row in rows)
    assert all(row["phase"] in printed for row in rows)


def test_anytime_curve(run, tmp_path):
    files = ("--json", tmp_path / "figures.json", "--svg", tmp_path / "curves.svg")
    printed = run("anytime_curve", "--photos", 2, *files)
    curves = json.loads((tmp_path / "figures.json").read_text())["curves"]
    minutes = 7.5 / 60 * 2 * sum(len(views(stage)) for stage in CAPTION_STAGES)
    assert curves["paper"][-1][0] == pytest.approx(minutes)
    assert curves["ours"][-1][0] < minutes, "some crops of these pictures are empty"
    assert curves["ours"][-1][1] == pytest.approx(curves["nothing skipped"][-1][1])
    assert "our order, in photos: full 2, quarters 2, ninths 2, halves 2" in printed
    assert (tmp_path / "curves.svg").stat().st_size > 1000


def test_flatness_quality(run, tmp_path, photos):
    printed = run("flatness_quality", "--photos", photos, "--sheet", tmp_path / "sheet.png")
    assert "34 crops" in printed
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width > 0


def test_similarity_quality(run, photos):
    assert "1 pairs of different photos" in run("similarity_quality", "--photos", photos)
