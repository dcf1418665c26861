"""Captions written on a strong machine, searched at home: export, import, and what plans cost."""

import json
import shutil
from pathlib import Path

import pytest
import scripted
from scripted import paint

from photosearch.cli import run
from photosearch.domain import Stage
from photosearch.library import PhotoLibrary
from photosearch.paths import AppPaths
from photosearch.service import IndexService

RED, GREEN, BLUE, WHITE, HOSTILE = scripted.COLOURS
TINY = Path(__file__).resolve().parents[1] / "tiny_llava"


@pytest.fixture
def photosearch(capfd):
    """Runs a command on a library and returns its exit code and what it printed."""

    def call(home, *arguments):
        code = run(lambda *_: 0, ["--library", str(home), *map(str, arguments)])
        printed = capfd.readouterr()
        return code, printed.out, printed.err

    return call


@pytest.fixture
def strong(tmp_path):
    """A library with captions, as on a strong machine."""
    for name, colour in (("red", RED), ("green", GREEN), ("blue", BLUE)):
        paint(tmp_path / "strong" / f"{name}.png", colour)
    return indexed(tmp_path / "strong-library", tmp_path / "strong", scripted.spec(), tagger=True)


def indexed(home, folder, *specs, tagger=False):
    paths = AppPaths(home)
    with PhotoLibrary(paths) as library:
        library.add_folder(folder)
    found = [scripted.tagger_spec(), *specs] if tagger else list(specs)
    with IndexService(paths, find_captioners=lambda _: found) as service:
        service.run(minutes=1)
    return home


def names(home, words):
    with PhotoLibrary(AppPaths(home)) as library:
        return sorted(hit.path.name for hit in library.search(library.parse(words)).hits)


def test_captions_are_found_at_home(photosearch, strong, tmp_path):
    file = tmp_path / "captions.jsonl"
    assert photosearch(strong, "captions", "export", file)[0] == 0
    # Other names, another folder, the same content.
    (tmp_path / "home" / "2020").mkdir(parents=True)
    shutil.copy(tmp_path / "strong" / "red.png", tmp_path / "home" / "2020" / "one.png")
    shutil.copy(tmp_path / "strong" / "blue.png", tmp_path / "home" / "sea.png")
    home = indexed(tmp_path / "home-library", tmp_path / "home")
    assert names(home, "barn") == []
    code, out, _ = photosearch(home, "captions", "import", file)
    assert code == 0
    assert "4 captions added, 0 known before." in out
    assert "2 are of photos that are not in this library" in out
    assert names(home, "barn") == ["one.png"]
    assert names(home, "frisbee") == ["sea.png"]
    code, out, _ = photosearch(home, "captions", "import", file)
    assert code == 0
    assert "0 captions added, 4 known before." in out
    ours, theirs = (photosearch(at, "captions", "export")[1] for at in (home, strong))
    assert set(ours.splitlines()) < set(theirs.splitlines())


def test_imported_captions_are_not_written_again(photosearch, strong, tmp_path):
    file = tmp_path / "captions.jsonl"
    photosearch(strong, "captions", "export", file)
    home = indexed(tmp_path / "home-library", tmp_path / "strong")
    photosearch(home, "captions", "import", file)
    before = photosearch(home, "captions", "export")[1]
    indexed(home, tmp_path / "strong", scripted.spec(make=fail_if_asked))
    assert photosearch(home, "captions", "export")[1] == before


def fail_if_asked():
    raise AssertionError("there was nothing to caption")


def test_lines_that_are_no_captions_are_named_and_the_rest_is_taken(photosearch, strong, tmp_path):
    photosearch(strong, "captions", "export", tmp_path / "captions.jsonl")
    good = (tmp_path / "captions.jsonl").read_text().splitlines()
    row = json.loads(good[0])
    bad = [
        "{",
        "[1, 2]",
        '"text"',
        json.dumps(row | {"sha256": "xyz"}),
        json.dumps(row | {"view": "ninth-9-9"}),
        json.dumps(row | {"view": 3}),
        json.dumps(row | {"created_at": "yesterday"}),
        json.dumps({key: value for key, value in row.items() if key != "text"}),
        "[" * 100_000,
    ]
    file = tmp_path / "mixed.jsonl"
    file.write_bytes("\n".join([*bad, "", *good]).encode() + b"\n\xff\xfe\n")
    home = indexed(tmp_path / "home-library", tmp_path / "strong")
    code, out, err = photosearch(home, "captions", "import", file)
    assert code == 1
    assert f"{len(good)} captions added" in out
    for number in range(1, len(bad) + 1):
        assert f"Line {number}: it " in err
    assert f"Line {len(bad) + len(good) + 2}: it is no caption" in err
    assert photosearch(home, "captions", "import", tmp_path / "none.jsonl")[0] == 2


def test_hostile_captions_are_cleaned_on_import(photosearch, strong, tmp_path):
    photosearch(strong, "captions", "export", tmp_path / "captions.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "captions.jsonl").read_text().splitlines()]
    row = next(row for row in rows if row["prompt"])
    row["text"] = "A <b>zebra</b>\x1b[31m\u202e at\nthe fence."
    row["created_at"] = "2100-01-01T00:00:00+00:00"
    (tmp_path / "hostile.jsonl").write_text(json.dumps(row))
    assert photosearch(strong, "captions", "import", tmp_path / "hostile.jsonl")[0] == 0
    with PhotoLibrary(AppPaths(strong)) as library:
        (said,) = (c.text for _, c in library.captions() if "zebra" in c.text)
    assert said == "A zebra at the fence."
    assert len(names(strong, "zebra fence")) == 1


def test_plans_say_what_they_cost(photosearch, tmp_path):
    for n in range(4):
        paint(tmp_path / "pictures" / f"{n}.png", [RED, GREEN, BLUE, WHITE][n])
    home = tmp_path / "library"
    text, mmproj = TINY / "tiny-llava-text-f16.gguf", TINY / "tiny-llava-mmproj-f16.gguf"
    assert photosearch(home, "models", "use", text, "--mmproj", mmproj)[0] == 0
    code, out, _ = photosearch(home, "plans", "--json")
    assert code == 0
    plans = {plan["name"]: plan for plan in json.loads(out)}
    assert plans["paper"]["views"] == 18
    assert plans["thrifty"]["views"] == 5
    assert plans["standard"]["in_use"]
    assert plans["standard"]["views_left"] == 0
    assert photosearch(home, "index", tmp_path / "pictures", "--stage", "scan")[0] == 0
    plans = {plan["name"]: plan for plan in json.loads(photosearch(home, "plans", "--json")[1])}
    assert plans["standard"]["views_left"] == 4 * 18
    assert plans["standard"]["seconds_left"] is None
    assert photosearch(home, "index")[0] == 0
    plans = {plan["name"]: plan for plan in json.loads(photosearch(home, "plans", "--json")[1])}
    assert plans["standard"]["views_left"] == 0
    assert plans["standard"]["seconds_left"] == 0
    # It asks another question, so nothing is done for it yet.
    assert plans["thrifty"]["views_left"] == 4 * 5
    assert plans["thrifty"]["seconds_left"] > 0
    out = photosearch(home, "plans")[1]
    assert "* standard: 18 views a photo; 0 views left" in out


def test_stages_of_a_plan_that_are_left_out_do_not_wait(photosearch, tmp_path):
    paint(tmp_path / "pictures" / "a.png", RED)
    home = tmp_path / "library"
    text, mmproj = TINY / "tiny-llava-text-f16.gguf", TINY / "tiny-llava-mmproj-f16.gguf"
    photosearch(home, "models", "use", text, "--mmproj", mmproj)
    assert photosearch(home, "settings", "captions.plan", "thrifty")[0] == 0
    assert photosearch(home, "index", tmp_path / "pictures")[0] == 0
    with PhotoLibrary(AppPaths(home)) as library:
        stages = {stage.stage: (stage.done, stage.waiting) for stage in library.status().stages}
    assert stages[Stage.QUARTERS] == (1, 0)
    assert Stage.NINTHS not in stages
    assert photosearch(home, "settings", "captions.plan", "none")[0] == 2
