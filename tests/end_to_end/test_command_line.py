"""The command line as a person or a script uses it, with the real instant tagger on real photos."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
import scripted
import skimage
from PIL import Image

from photosearch.cli import run
from photosearch.library import PhotoLibrary
from photosearch.paths import AppPaths
from photosearch.service_control import ServiceLock

SAMPLES = Path(skimage.__file__).parent / "data"
TINY = Path(__file__).resolve().parents[1] / "tiny_llava"
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


def test_an_excluded_word_is_no_bundle_of_options(indexed, photosearch):
    for word in ("-horse", "-beach", "-the", "--"):
        code, out, _ = photosearch("search", "cat", word, library=indexed / "library")
        assert (code, "chelsea.png" in out) == (0, True), word
    code, out, _ = photosearch("words", "-cat", "--limit=50", library=indexed / "library")
    assert (code, "espresso" in out, "domestic cat" in out) == (0, True, False)
    _, out, _ = photosearch("search", "--", "-h", "--limit", library=indexed / "library")
    assert "Usage" not in out


@pytest.mark.parametrize("command", ["search", "words"])
def test_options_stand_anywhere_among_the_words_and_are_known_by_full_name(
    indexed, photosearch, command
):
    code, out, _ = photosearch(command, "cat", "--json", "-zeppelin", library=indexed / "library")
    assert code == 0
    assert json.loads(out)
    for mistyped in ("--limi", "--foo", "--foo=1"):
        code, _, err = photosearch(command, "cat", mistyped, library=indexed / "library")
        assert (code, f"'{mistyped.partition('=')[0]}'" in err) == (2, True)
    code, _, err = photosearch(command, "cat", "--limit", library=indexed / "library")
    assert (code, "requires an argument" in err) == (2, True)
    for limit in ("0", "x", "4294967296", "9" * 40):
        code, _, err = photosearch(command, "--limit", limit, library=indexed / "library")
        assert (code, "--limit" in err) == (2, True)
    assert photosearch(command, "--limit", "1000000", library=indexed / "library")[0] == 0


@pytest.mark.parametrize("arguments", [["-h"], ["search", "-h"], ["words", "cat", "--help"]])
def test_help_is_for_h_alone(photosearch, arguments):
    code, out, _ = photosearch(*arguments)
    assert (code, "Usage: photosearch" in out) == (0, True)


@pytest.mark.parametrize("command", ["search", "words"])
def test_a_query_without_a_word_is_refused(indexed, photosearch, command):
    for query in ("😀", "*", "-", '""'):
        code, _, err = photosearch(command, query, library=indexed / "library")
        assert (code, f"Nothing to search for in {query}" in err) == (2, True)
    assert photosearch(command, " ", library=indexed / "library")[0] == 0


def test_an_empty_query_lists_all_photos(indexed, photosearch):
    for arguments in (["search"], ["search", ""]):
        code, out, _ = photosearch(*arguments, library=indexed / "library")
        assert code == 0
        assert "2 photos in all" in out


def test_nothing_found_is_exit_code_1(indexed, photosearch):
    code, out, _ = photosearch("search", "zeppelin", library=indexed / "library")
    assert code == 1
    assert "Nothing found" in out


def test_ratings_and_places_that_others_wrote_are_told(photosearch, tmp_path):
    pictures = tmp_path / "My Photos"
    pictures.mkdir()
    exif = Image.Exif()
    exif[0x4746] = 4
    xmp = (
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
        'xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/" photoshop:City="Lisboa"/></rdf:RDF>'
    )
    with Image.open(SAMPLES / "chelsea.png") as cat:
        cat.save(pictures / "cat.jpg", exif=exif, xmp=xmp.encode())
    assert photosearch("index", pictures)[0] == 0
    code, out, _ = photosearch("show", pictures / "cat.jpg")
    assert (code, "\nLisboa\n★★★★\n" in out) == (0, True)
    details = json.loads(photosearch("show", pictures / "cat.jpg", "--json")[1])
    assert (details["stars"], details["place"]) == (4, "Lisboa")
    (hit,) = json.loads(photosearch("search", "cat", "--json")[1])["hits"]
    assert (hit["stars"], hit["place"]) == (4, "Lisboa")


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
    assert (code, "x.png can't be written: No such file" in err) == (3, True)
    assert "Errno" not in err
    code, _, err = photosearch(
        "words", "--png", tmp_path / "cloud.jpg", library=indexed / "library"
    )
    assert (code, "ends in .png" in err) == (2, True)
    assert not (tmp_path / "cloud.jpg").exists()


def test_where_no_words_are_it_is_said(indexed, photosearch):
    code, out, _ = photosearch("words")
    assert (code, out) == (1, "No words yet.\n")
    code, out, _ = photosearch("words", "zeppelin", library=indexed / "library")
    assert (code, out) == (1, "Nothing found.\n")
    assert json.loads(photosearch("words", "--json")[1]) == {"words": []}


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
    code, out, err = photosearch("doctor", library=indexed / "library")
    assert code == 0
    assert "PROBLEM" not in out
    assert "tantivy" in out
    assert err == "", "the tagger's libraries keep silent"


def test_a_damaged_list_of_models_stops_neither_search_nor_doctor(indexed, photosearch, tmp_path):
    home = tmp_path / "copy"
    shutil.copytree(indexed / "library", home)
    AppPaths(home).models.write_text('{"models": [')
    code, out, _ = photosearch("search", "cat", library=home)
    assert (code, "chelsea.png" in out) == (0, True)
    code, out, _ = photosearch("doctor", library=home)
    assert (code, "PROBLEM  captioner: The list of models" in out) == (3, True)
    assert "ok       library" in out
    code, _, err = photosearch("status", library=home)
    assert (code, "is damaged" in err) == (3, True)


def test_doctor_goes_on_past_damaged_pages(indexed, photosearch, tmp_path):
    home = tmp_path / "copy"
    shutil.copytree(indexed / "library", home)
    database = AppPaths(home).database
    connection = sqlite3.connect(database)
    page_bytes = connection.execute("PRAGMA page_size").fetchone()[0]
    page = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'folder'")
    offset = (page.fetchone()[0] - 1) * page_bytes
    connection.close()
    with database.open("r+b") as file:
        file.seek(offset)
        file.write(b"\xff" * page_bytes)
    code, out, _ = photosearch("doctor", library=home)
    assert code == 3
    for line in ("PROBLEM  library: The", "PROBLEM  folders: The", "ok       disk: "):
        assert line in out
    assert "ok       captioner" in out


def test_a_failed_photo_is_named_with_its_reason_and_exit_code_1(photosearch, tmp_path):
    scripted.paint(tmp_path / "in" / "good.png", (1, 2, 3))
    (tmp_path / "in" / "cut.jpg").write_bytes(b"\xff\xd8\xff\xe0 no picture")
    code, out, _ = photosearch("index", "--stage", "scan", tmp_path / "in")
    assert code == 1
    assert "1 file could not be read" in out
    assert "could not be captioned" not in out
    _, out, _ = photosearch("status")
    assert "cut.jpg: " in out


def test_a_photo_that_could_be_read_but_not_captioned(photosearch, tmp_path):
    photo = tmp_path / "in" / "a.png"
    scripted.paint(photo, (1, 2, 3))
    assert photosearch("index", "--stage", "scan", tmp_path / "in")[0] == 0
    before = photo.stat()
    photo.write_bytes(bytes(before.st_size))
    os.utime(photo, ns=(before.st_atime_ns, before.st_mtime_ns))
    code, out, _ = photosearch("index", "--stage", "tags")
    assert (code, "1 photo could not be captioned" in out) == (1, True)
    assert "could not be read" not in out


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


@pytest.mark.parametrize("command", [["index"], ["folders", "remove"], ["show"]])
def test_a_home_of_nobody_is_a_name_like_others(photosearch, tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    code, _, err = photosearch(*command, "~nosuchuser/x")
    assert code == (1 if command == ["show"] else 2)
    assert "~nosuchuser/x" in err


def test_an_empty_name_is_no_folder(photosearch):
    for arguments in (["index", ""], ["folders", "remove", ""], ["--library", "", "status"]):
        code, _, err = photosearch(*arguments)
        assert (code, "can't be empty" in err) == (2, True)


def test_the_library_may_lie_below_the_home_of_the_user(tmp_path):
    environment = {**ENVIRONMENT, "HOME": str(tmp_path), "PHOTOSEARCH_HOME": "~/mine"}
    command = [sys.executable, "-m", "photosearch", "status"]
    subprocess.run(command, env=environment, cwd=tmp_path, check=True, capture_output=True)
    assert (tmp_path / "mine" / "library.sqlite3").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="permissions of POSIX")
def test_a_folder_that_can_no_longer_be_read_is_listed_and_removed(photosearch):
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o777)
        home, folder = Path(name, "library"), Path(name, "photos")
        is_root = os.getuid() == 0
        if is_root:
            os.setresuid(65534, 65534, 0)  # root may read anything
        try:
            folder.mkdir()
            with PhotoLibrary(AppPaths(home)) as library:
                library.add_folder(folder)
            folder.chmod(0)
            code, _, err = photosearch("index", folder, library=home)
            assert (code, "can't be added: no permission" in err) == (2, True)
            assert str(folder) in photosearch("folders", "list", library=home)[1]
            code, out, _ = photosearch("folders", "remove", folder, library=home)
            assert (code, "no longer indexed" in out) == (0, True)
            folder.chmod(0o700)
        finally:
            if is_root:
                os.setresuid(0, 0, 0)


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


def test_a_stage_of_a_new_folder_is_run_after_its_scan(photosearch, tmp_path):
    scripted.paint(tmp_path / "in" / "a.png", (1, 2, 3))
    code, out, _ = photosearch("index", tmp_path / "in", "--stage", "tags")
    assert (code, "1 photo in 1 folder" in out) == (0, True)
    status = json.loads(photosearch("status", "--json")[1])
    assert [(s["stage"], s["done"]) for s in status["stages"]] == [("scan", 1), ("tags", 1)]


def test_the_doctor_looks_at_the_settings(photosearch, tmp_path, paths):
    paths.settings.write_text("[schedule\n")
    code, out, _ = photosearch("doctor")
    assert code == 3
    assert "PROBLEM  settings" in out and "no valid TOML" in out


def test_a_folder_that_was_not_looked_through_is_not_called_empty(photosearch, tmp_path):
    scripted.paint(tmp_path / "in" / "a.png", (1, 2, 3))
    code, out, _ = photosearch("index", tmp_path / "in", "--minutes", "0")
    assert (code, "not looked through yet" in out) == (1, True)
    assert "no pictures found" not in out


def test_an_offline_folder_is_exit_code_1(photosearch, tmp_path):
    for name in ("a", "b"):
        scripted.paint(tmp_path / name / "x.png", (1, 2, len(name)))
    assert photosearch("index", "--stage", "scan", tmp_path / "a", tmp_path / "b")[0] == 0
    (tmp_path / "b").rename(tmp_path / "unplugged")
    code, out, _ = photosearch("index", "--stage", "scan")
    assert (code, str(tmp_path / "b") in out) == (1, True)


@pytest.mark.parametrize("stage", ["full", "halves", "quarters", "ninths"])
def test_a_stage_without_a_model_says_how_to_add_one(photosearch, tmp_path, stage):
    (tmp_path / "in").mkdir()
    code, _, err = photosearch("index", "--stage", stage, tmp_path / "in")
    assert (code, "models use MODEL.gguf" in err) == (3, True)
    assert photosearch("folders", "list")[0] == 1, "nothing was done"
    assert photosearch("index", "--stage", stage, "--no-captions", tmp_path / "in")[0] == 2


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
    PhotoLibrary(newer).close()
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


def test_a_log_that_cannot_be_written_is_exit_code_3(photosearch, paths, tmp_path):
    scripted.paint(tmp_path / "in" / "a.png", (1, 2, 3))
    paths.log.mkdir()
    code, _, err = photosearch("index", tmp_path / "in")
    assert (code, f"The log {paths.log} can't be written" in err) == (3, True)


def test_output_that_cannot_be_written_is_exit_code_3(indexed, photosearch, tmp_path):
    for file in (tmp_path / "no" / "x", tmp_path, "/dev/full"):
        code, _, err = photosearch("captions", "export", file, library=indexed / "library")
        assert (code, f"{file} can't be written: " in err) == (3, True)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's device that is full")
@pytest.mark.parametrize("command", [["search"], ["captions", "export"], ["-h"], ["search", "-h"]])
def test_a_full_output_is_exit_code_3(indexed, command):
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "photosearch", "--library", indexed / "library", *command],
            env=ENVIRONMENT, stdout=full, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    message = "photosearch: The output can't be written: No space left on device.\n"
    assert (ended.returncode, ended.stderr) == (3, message)


@pytest.mark.skipif(sys.platform == "win32", reason="a folder in use can't be deleted")
def test_a_working_folder_that_is_gone_is_exit_code_3(indexed, photosearch, tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    code, _, err = photosearch("index", "pictures", library=indexed / "library")
    assert (code, "The folder that you are in is gone" in err) == (3, True)


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


def test_a_very_long_path_is_cut_in_its_middle_for_reading_only(photosearch, tmp_path):
    folder = tmp_path.joinpath("in", *["d" * 200] * 5)
    folder.mkdir(parents=True)
    _, out, _ = photosearch("index", "--stage", "scan", folder)
    assert str(folder) not in out
    for command in (["status"], ["folders", "list"]):
        out = photosearch(*command)[1]
        assert max(map(len, out.splitlines())) < 350
        assert "d…d" in out
    shown = json.loads(photosearch("status", "--json")[1])
    assert [f["path"] for f in shown["folders"]] == [str(folder)]


def test_a_known_model_is_used_by_name_whatever_lies_in_the_folder(
    photosearch, tmp_path, monkeypatch
):
    files = [TINY / "tiny-llava-text-f16.gguf", "--mmproj", TINY / "tiny-llava-mmproj-f16.gguf"]
    for name in ("tiny", "other"):
        assert photosearch("models", "use", *files, "--name", name)[0] == 0
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny").write_text("of the same name")
    code, out, _ = photosearch("models", "use", "tiny")
    assert (code, "tiny captions from now on" in out) == (0, True)
    assert "* tiny" in photosearch("models", "list")[1]
    code, _, err = photosearch("models", "use", *files, "--name", "instant-1")
    assert (code, "instant tagger's name" in err) == (2, True)


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


@pytest.mark.parametrize("command", [["captions", "export"], ["status", "--json"], ["-h"]])
def test_a_reader_that_closes_the_pipe_is_no_error(indexed, command):
    with start("--library", indexed / "library", *command) as process:
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 0


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("module", ["multiprocessing", "platformdirs", "click", "tantivy", "rich"])
def test_ctrl_c_while_the_program_still_loads_is_silent(tmp_path, module):
    # Found before the real one, it presses Ctrl-C just when that would be loaded.
    press = "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n"
    (tmp_path / f"{module}.py").write_text(press)
    environment = {**ENVIRONMENT, "PYTHONPATH": f"{tmp_path}:{ENVIRONMENT['PYTHONPATH']}"}
    ended = subprocess.run(
        [sys.executable, "-m", "photosearch", "--library", tmp_path / "library", "status"],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "")


def test_without_a_command_the_window_opens_on_this_library(tmp_path):
    opened = []

    def window(paths, folder):
        opened.append((paths.home, folder))
        return 0

    code = run(window, ["--library", str(tmp_path), "--folder", "pictures"])
    assert (code, opened) == (0, [(tmp_path, Path("pictures").absolute())])


def test_help_names_every_command(photosearch):
    code, out, _ = photosearch("--help")
    assert code == 0
    for command in ("index", "watch", "search", "show", "words", "status", "models", "captions",
                    "reindex", "doctor"):  # fmt: skip
        assert f"\n  {command} " in out
