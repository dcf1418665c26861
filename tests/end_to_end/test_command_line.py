"""The command line as a person or a script uses it, with the real instant tagger on real photos."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
import scripted
import skimage

from photosearch.cli import run
from photosearch.paths import AppPaths
from photosearch.service import ServiceLock

SAMPLES = Path(skimage.__file__).parent / "data"
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


def no_window(paths, folder):
    raise AssertionError("no window is wanted here")


@pytest.fixture
def photosearch(paths, capfd):
    """Run a command in this process; return its exit code, output and errors."""

    def call(*arguments, library=paths.home):
        code = run(no_window, ["--library", str(library), *map(str, arguments)])
        out, err = capfd.readouterr()
        assert "Traceback" not in out + err
        return code, out, err

    return call


@pytest.fixture(scope="module")
def indexed(tmp_path_factory):
    """A library of two real photos, through scan and tags."""
    home = tmp_path_factory.mktemp("samples")
    pictures = home / "pictures"
    pictures.mkdir()
    for name in ("chelsea.png", "coffee.png"):
        (pictures / name).write_bytes((SAMPLES / name).read_bytes())
    code = run(no_window, ["--library", str(home / "library"), "index", str(pictures)])
    assert code == 0
    return home


def test_a_cat_is_found_by_its_word(indexed, photosearch):
    code, out, _ = photosearch("search", "cat", "--json", library=indexed / "library")
    found = json.loads(out)
    assert code == 0
    assert Path(found["hits"][0]["path"]).name == "chelsea.png"
    assert "whole" in found["hits"][0]["matched"]["cat"]
    assert set(found) >= {"query", "total", "took_ms", "hits", "refine"}


def test_plurals_and_exclusion(indexed, photosearch):
    code, out, _ = photosearch("search", "cats", library=indexed / "library")
    assert (code, "chelsea.png" in out) == (0, True)
    _, out, _ = photosearch("search", "-cat", library=indexed / "library")
    assert "chelsea.png" not in out
    assert "coffee.png" in out


def test_an_empty_query_lists_all_photos(indexed, photosearch):
    for arguments in (["search"], ["search", ""]):
        code, out, _ = photosearch(*arguments, library=indexed / "library")
        assert code == 0
        assert "2 photos in all" in out


def test_nothing_found_is_exit_code_1(indexed, photosearch):
    code, out, _ = photosearch("search", "zeppelin", library=indexed / "library")
    assert code == 1
    assert "Nothing found" in out


def test_show_tells_all_of_a_photo(indexed, photosearch):
    photo = indexed / "pictures" / "coffee.png"
    code, out, _ = photosearch("show", photo, library=indexed / "library")
    assert code == 0
    assert "600 × 400 PNG" in out
    assert "whole (instant-1)" in out
    _, out, _ = photosearch("show", photo, "--json", library=indexed / "library")
    shown = json.loads(out)
    assert shown["paths"] == [str(photo)]
    _, by_hash, _ = photosearch("show", shown["sha256"][:12], "--json", library=indexed / "library")
    assert json.loads(by_hash) == shown
    code, _, err = photosearch("show", "nowhere.jpg", library=indexed / "library")
    assert (code, "no photo nowhere.jpg" in err) == (1, True)


def test_words_are_counted_and_drawn(indexed, photosearch, tmp_path):
    code, out, _ = photosearch(
        "words", "--png", tmp_path / "cloud.png", library=indexed / "library"
    )
    assert code == 0
    assert "cat" in out
    assert (tmp_path / "cloud.png").read_bytes().startswith(b"\x89PNG")
    _, out, _ = photosearch("words", "cat", "--json", library=indexed / "library")
    assert all(word["count"] == 1 for word in json.loads(out)["words"])
    photo = indexed / "pictures" / "chelsea.png"
    code, out, _ = photosearch("words", "--photo", photo, library=indexed / "library")
    assert (code, "cat" in out) == (0, True)
    code, _, err = photosearch(
        "words", "--png", tmp_path / "no" / "x.png", library=indexed / "library"
    )
    assert (code, "can't be written" in err) == (3, True)


def test_status_as_text_and_json(indexed, photosearch):
    code, out, _ = photosearch("status", library=indexed / "library")
    assert code == 0
    assert "2 photos in 2 files" in out
    assert "models use MODEL.gguf" in out
    _, out, _ = photosearch("status", "--json", library=indexed / "library")
    status = json.loads(out)
    assert [(s["stage"], s["done"]) for s in status["stages"]] == [("scan", 2), ("tags", 2)]
    assert status["missing_stages"] == ["full", "halves", "quarters", "ninths"]


def test_captions_are_exported_as_json_lines(indexed, photosearch, tmp_path):
    code, out, _ = photosearch("captions", "export", library=indexed / "library")
    rows = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert {row["model"] for row in rows} == {"instant-1"}
    assert all(len(row["sha256"]) == 64 and row["tags"] for row in rows)
    photosearch("captions", "export", tmp_path / "out.jsonl", library=indexed / "library")
    assert (tmp_path / "out.jsonl").read_text().splitlines() == out.splitlines()


def test_reindex_and_doctor(indexed, photosearch):
    code, out, _ = photosearch("reindex", library=indexed / "library")
    assert (code, "holds 2 photos" in out) == (0, True)
    code, out, _ = photosearch("doctor", library=indexed / "library")
    assert code == 0
    assert "PROBLEM" not in out
    assert "tantivy" in out


def test_a_failed_photo_is_named_with_its_reason_and_exit_code_1(photosearch, tmp_path):
    scripted.paint(tmp_path / "in" / "good.png", (1, 2, 3))
    (tmp_path / "in" / "cut.jpg").write_bytes(b"\xff\xd8\xff\xe0 no picture")
    code, out, _ = photosearch("index", "--stage", "scan", tmp_path / "in")
    assert code == 1
    assert "1 file could not be read" in out
    _, out, _ = photosearch("status")
    assert "cut.jpg: " in out


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (lambda p: None, "not there"),
        (lambda p: p.write_text("a file"), "not a folder"),
    ],
)
def test_what_is_no_folder_is_refused(photosearch, tmp_path, prepare, message):
    prepare(tmp_path / "x")
    code, _, err = photosearch("index", tmp_path / "x")
    assert code == 2
    assert message in err


def test_a_folder_inside_an_added_one_is_refused_with_the_reason(photosearch, tmp_path):
    scripted.paint(tmp_path / "in" / "deep" / "a.png", (1, 2, 3))
    assert photosearch("index", "--stage", "scan", tmp_path / "in")[0] == 0
    code, _, err = photosearch("index", "--stage", "scan", tmp_path / "in" / "deep")
    assert code == 2
    assert "indexed already, as part of" in err
    assert photosearch("index", "--stage", "scan", tmp_path / "in")[0] == 0


def test_an_empty_folder_says_that_nothing_was_found(photosearch, tmp_path):
    (tmp_path / "empty").mkdir()
    code, out, _ = photosearch("index", tmp_path / "empty")
    assert code == 1
    assert "no pictures found" in out


def test_without_folders_index_says_what_to_do(photosearch):
    code, _, err = photosearch("index")
    assert code == 2
    assert "photosearch index ~/Pictures" in err


def test_folders_are_listed_and_removed(photosearch, tmp_path):
    scripted.paint(tmp_path / "in" / "a.png", (1, 2, 3))
    photosearch("index", "--stage", "scan", tmp_path / "in")
    assert str(tmp_path / "in") in photosearch("folders", "list")[1]
    assert photosearch("folders", "remove", tmp_path / "in")[0] == 0
    assert photosearch("folders", "list")[0] == 1
    code, _, err = photosearch("folders", "remove", tmp_path / "in")
    assert (code, "is not indexed" in err) == (2, True)


def test_a_locked_library_is_exit_code_3_and_keeps_the_folder(photosearch, paths, tmp_path):
    scripted.paint(tmp_path / "in" / "a.png", (1, 2, 3))
    lock = ServiceLock(paths)
    try:
        code, _, err = photosearch("index", tmp_path / "in")
    finally:
        lock.close()
    assert code == 3
    assert "Another photosearch is indexing this library" in err
    assert str(tmp_path / "in") in photosearch("folders", "list")[1]


def test_a_newer_or_damaged_database_is_exit_code_3_with_a_clear_message(photosearch, tmp_path):
    newer = AppPaths(tmp_path / "newer")
    newer.make()
    connection = sqlite3.connect(newer.database)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    code, _, err = photosearch("search", "dog", library=newer.home)
    assert (code, "newer photosearch" in err) == (3, True)
    damaged = AppPaths(tmp_path / "damaged")
    damaged.make()
    damaged.database.write_bytes(b"not a database " * 1000)
    code, _, err = photosearch("status", library=damaged.home)
    assert (code, "is damaged" in err) == (3, True)
    code, out, _ = photosearch("doctor", library=damaged.home)
    assert (code, "PROBLEM  library" in out) == (3, True)


def test_a_library_where_nothing_can_be_written(photosearch, tmp_path):
    (tmp_path / "file").write_text("in the way")
    code, _, err = photosearch("status", library=tmp_path / "file" / "library")
    assert code == 3
    assert "can't be used" in err


def test_usage_errors_are_exit_code_2(photosearch):
    assert photosearch("index", "--stage", "nonsense")[0] == 2
    assert photosearch("nonsense")[0] == 2
    assert photosearch("--folder", "x", "status")[0] == 2
    assert photosearch("words", "dog", "--photo", "1")[0] == 2


def test_odd_file_names_are_indexed_and_printed_on_one_line(photosearch, tmp_path):
    folder = tmp_path / "odd"
    names = [
        b"new\nline.png", b"quote'\".png", b"bad \xff\xfe.png", b"x" * 251 + b".png",
        "😀 smile.png".encode(), "\u202egnp.evil.png".encode(), b"tab\t.png", b"-rf.png",
        b" leading space.png", b"%s%n.png", "日本語.png".encode(),
    ]  # fmt: skip
    for number, name in enumerate(names):
        scripted.paint(folder / os.fsdecode(name), (number * 20, 9, 9))
    code, _, _ = photosearch("index", "--stage", "scan", folder)
    assert code == 0
    code, out, _ = photosearch("search", "--limit", "50")
    assert code == 0
    assert len(out.splitlines()) == 1 + len(names)
    assert "\u202e" not in out
    _, out, _ = photosearch("search", "--json", "--limit", "50")
    paths = {os.fsencode(hit["path"]) for hit in json.loads(out)["hits"]}
    assert paths == {os.fsencode(folder) + b"/" + name for name in names}


def test_models_without_a_model_say_what_one_would_do(photosearch, tmp_path):
    code, out, _ = photosearch("models", "list")
    assert (code, "models use MODEL.gguf" in out) == (1, True)
    fake = tmp_path / "fake.gguf"
    fake.write_bytes(b"this is no model")
    code, _, err = photosearch("models", "use", fake, "--mmproj", fake)
    assert (code, "fake.gguf" in err) == (3, True)
    code, _, err = photosearch("models", "use", fake)
    assert (code, "--mmproj" in err) == (2, True)
    assert photosearch("models", "remove", "unknown")[0] == 2


def start(*arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "photosearch", *map(str, arguments)],
        env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_ctrl_c_stops_soon_and_the_same_command_goes_on(paths, tmp_path, photosearch):
    for number in range(60):
        scripted.paint(tmp_path / "in" / f"{number}.png", (number, 9, 9), size=(900, 700))
    with start("--library", paths.home, "index", tmp_path / "in") as process:
        deadline = time.monotonic() + 60
        while photosearch("status")[1].splitlines()[1].startswith("0 photos"):
            assert time.monotonic() < deadline
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "goes on from here" in out
    assert "Traceback" not in err
    code, _, _ = photosearch("index", "--stage", "scan")
    assert code == 0
    assert photosearch("status")[1].splitlines()[1] == "60 photos in 60 files"


def test_a_reader_that_closes_the_pipe_is_no_error(indexed):
    with start("--library", indexed / "library", "captions", "export") as process:
        process.stdout.close()
        assert "Traceback" not in process.stderr.read()


def test_without_a_command_the_window_opens_on_this_library(tmp_path):
    opened = []

    def window(paths, folder):
        opened.append((paths.home, folder))
        return 0

    code = run(window, ["--library", str(tmp_path), "--folder", "pictures"])
    assert (code, opened) == (0, [(tmp_path, Path("pictures"))])


def test_help_names_every_command(photosearch):
    code, out, _ = photosearch("--help")
    assert code == 0
    for command in ("index", "watch", "search", "show", "words", "status", "models", "captions",
                    "reindex", "doctor"):  # fmt: skip
        assert f"\n  {command} " in out
