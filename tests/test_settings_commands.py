"""`photosearch settings`, `run-now`, `pause` and `resume`, as a person or a script uses them."""

import json
import shutil
import time
from pathlib import Path

import pytest
from tiny_clip import write_tiny_clip

from photosearch.captioners import find_captioners
from photosearch.captioning.clip import choose_clip
from photosearch.cli import run
from photosearch.library import PhotoLibrary
from photosearch.service_control import STATE_ASKED, STATE_PAUSED, STATE_RUN_UNTIL
from photosearch.settings import SETTINGS, SettingsFile
from photosearch.storage.photo_store import PhotoStore


def no_window(paths, folder):
    raise AssertionError("no window is wanted here")


@pytest.fixture
def photosearch(paths, capfd):
    """Run a command in this process; return its exit code, output and errors."""

    def call(*arguments):
        code = run(no_window, ["--library", str(paths.home), *arguments])
        out, err = capfd.readouterr()
        assert "Traceback" not in out + err
        return code, out, err

    return call


@pytest.fixture
def state(paths, database):
    return lambda name: PhotoStore(database).state(name)


def test_settings_are_listed_with_meaning_and_default(photosearch):
    code, out, _ = photosearch("settings")
    assert code == 0
    for setting in SETTINGS:
        assert f"{setting.key} = " in out
        assert setting.description in out
    code, out, _ = photosearch("settings", "--json")
    assert code == 0
    assert [row["key"] for row in json.loads(out)] == [setting.key for setting in SETTINGS]
    assert all(row["value"] == row["default"] and row["description"] for row in json.loads(out))


def test_plans_and_prompts_are_named_own_ones_among_them(photosearch, paths):
    paths.prompts.write_text('[mine]\nabout = "Birds."\nquestion = "Which birds are there?"\n')
    _, out, _ = photosearch("settings")
    assert "There are: standard, paper, thrifty" in out
    assert ", mine." in out
    _, out, _ = photosearch("settings", "captions.prompts", "--json")
    (row,) = json.loads(out)
    assert {"detailed", "mine"} <= set(row["choices"])
    assert all(photosearch("settings", row["key"], name)[0] == 0 for name in row["choices"])


def test_a_setting_is_saved_shown_and_set_back(photosearch, paths, state):
    code, out, _ = photosearch("settings", "schedule.hours", "22:00-07:00")
    assert (code, out.splitlines()[0]) == (0, 'schedule.hours = "22:00-07:00"  (default: "")')
    asked = state(STATE_ASKED)
    assert asked  # a running service reads it anew
    assert SettingsFile(paths.settings).load().schedule.hours == "22:00-07:00"
    code, out, _ = photosearch("settings", "schedule.hours", "--json")
    assert (code, json.loads(out)[0]["value"]) == (0, "22:00-07:00")
    assert state(STATE_ASKED) == asked
    code, out, _ = photosearch("settings", "schedule", "--default")
    assert code == 0
    assert 'schedule.hours = ""\n' in out
    assert "captions." not in out
    assert SettingsFile(paths.settings).load().schedule.hours == ""
    assert state(STATE_ASKED) != asked


@pytest.mark.parametrize("value", ["-1", "0", "33"])
def test_negative_numbers_are_values(photosearch, value):
    code, out, _ = photosearch("settings", "captions.gpu_layers", value)
    assert (code, out.splitlines()[0].split("  ")[0]) == (0, f"captions.gpu_layers = {value}")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("captions.threads", "many"), "captions.threads can't be many"),
        (("captions.thread", "4"), "did you mean captions.threads?"),
        (("captions.thread",), "did you mean captions.threads?"),
        (("captions.plan", "nonsense"), "There is no plan nonsense; plans are standard"),
        (("captions.prompts", "nonsense"), "There are no prompts nonsense"),
        (("captions.language", "7"), "is no language"),
        (("captions.language", "--defualt"), "No such option"),
        (("captions.language", "German", "French"), "unexpected extra argument"),
        (("--default",), "settings KEY --default"),
        (("captions.threads", "4", "--default"), "settings KEY --default"),
        (("nonsense", "--default"), "There is no setting nonsense"),
    ],
)
def test_what_can_not_be_set_is_usage(photosearch, paths, arguments, says):
    code, out, err = photosearch("settings", *arguments)
    assert (code, out) == (2, "")
    assert says in err
    assert not paths.settings.exists()


def test_a_fault_in_the_file_is_taken_out_as_the_message_says(photosearch, paths):
    paths.settings.write_text("[captions]\nthread = 4\n")
    code, _, err = photosearch("settings")
    assert code == 2
    assert "`photosearch settings captions.thread --default`" in err
    assert photosearch("settings", "captions.thread", "--default")[0] == 0
    assert photosearch("settings")[0] == 0


def test_a_checkpoint_of_clip_is_looked_at_before_it_is_set(
    photosearch, paths, tmp_path, monkeypatch
):
    write_tiny_clip(tmp_path / "tiny")
    monkeypatch.chdir(tmp_path)
    code, out, _ = photosearch("settings", "search.clip_checkpoint", "tiny")
    assert code == 0
    # The service may be started in another folder.
    assert str(tmp_path / "tiny") in out
    assert [spec.model for spec in find_captioners(paths)][1:] == [
        choose_clip("", Path("tiny")).model
    ]
    code, _, err = photosearch("settings", "search.clip_checkpoint", "elsewhere")
    assert code == 3
    assert "elsewhere" in err
    shutil.rmtree(tmp_path / "tiny")
    # Other settings can be changed while its drive is away, and it can be set back.
    assert photosearch("settings", "captions.threads", "2")[0] == 0
    assert photosearch("settings", "search.clip_checkpoint", "")[0] == 0


def test_run_now_sets_the_schedule_aside_for_a_while(photosearch, state):
    before = time.time()
    code, out, _ = photosearch("run-now", "--hours", "1:30")
    assert (code, out.splitlines()[0]) == (0, "The schedule is set aside for 1:30 hours.")
    assert "Nothing is indexing now" in out
    assert before + 5400 <= state(STATE_RUN_UNTIL) <= time.time() + 5400
    assert photosearch("run-now")[0] == 0
    assert before + 7200 <= state(STATE_RUN_UNTIL) <= time.time() + 7200


@pytest.mark.parametrize("hours", ["0", "-2", "soon", "nan", ""])
def test_run_now_wants_a_number_of_hours(photosearch, state, hours):
    code, _, err = photosearch("run-now", "--hours", hours)
    assert code == 2
    assert "is no number of hours: use 2, 0.5 or 1:30." in err
    assert state(STATE_RUN_UNTIL) is None


def test_pause_and_resume(photosearch, paths, state):
    code, out, _ = photosearch("pause")
    assert (code, out) == (0, "Paused; go on with: photosearch resume\n")
    with PhotoLibrary(paths) as library:
        assert library.status().paused
    code, out, _ = photosearch("resume")
    assert (code, out.splitlines()[0]) == (0, "Indexing is paused no more.")
    assert not state(STATE_PAUSED)
