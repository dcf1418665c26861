"""settings.toml: what is read, refused, saved, and kept of what a user wrote in it."""

import dataclasses
import re
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from photosearch.errors import UnavailableError, UsageError
from photosearch.paths import resource
from photosearch.settings import SETTINGS, Settings, SettingsFile, sample


@pytest.fixture
def file(paths):
    return SettingsFile(paths.settings)


def test_defaults_where_nothing_is_set(file):
    settings = file.load()
    assert settings == Settings()
    assert settings.schedule.mains_only
    assert not file.path.exists()
    assert {s.key: settings[s.key] for s in SETTINGS} == {s.key: s.default for s in SETTINGS}


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("captions.threads", "4", 4),
        ("captions.gpu_layers", "-1", -1),
        ("captions.language", "Schwäbisch", "Schwäbisch"),
        ("schedule.mains_only", "false", False),
        ("schedule.pause_for_full_screen", "True", True),
        ("schedule.hours", "22:00-07:00", "22:00-07:00"),
        ("schedule.hours", "22-7, 12:30 – 13:00", "22-7, 12:30 – 13:00"),
        ("schedule.hours", "20:00-24:00", "20:00-24:00"),
        ("schedule.hours", "", ""),
    ],
)
def test_what_is_set_is_there_afterwards(file, key, text, value):
    assert file.set(key, text)[key] == value
    assert SettingsFile(file.path).load()[key] == value


@pytest.mark.parametrize(
    ("key", "text", "says"),
    [
        ("captions.threads", "four", "captions.threads can't be four: it takes a whole number"),
        ("captions.threads", "", "captions.threads can't be empty"),
        ("captions.threads", "-1", "from 0 to 1024"),
        ("captions.threads", "2.5", "a whole number"),
        ("captions.language", "a\nb", "one line of text"),
        ("schedule.mains_only", "maybe", "true or false"),
        ("schedule.hours", "22:00", "hours such as 22:00-07:00"),
        ("schedule.hours", "22:00-25:00", "hours such as"),
        ("schedule.hours", "22:60-23:00", "hours such as"),
        ("schedule.hours", "22:00-07:00\n", "hours such as"),
        ("schedule.hour", "22:00-07:00", "There is no setting schedule.hour; did you mean"),
        ("threads", "4", "did you mean captions.threads?"),
        ("nonsense", "4", "`photosearch settings` lists them all"),
        ("\x1b[31m", "4", "\\x1b"),
    ],
)
def test_what_makes_no_sense_is_refused_and_nothing_saved(file, key, text, says):
    file.set("captions.threads", "3")
    before = file.path.read_bytes()
    with pytest.raises(UsageError) as refused:
        file.set(key, text)
    assert says in str(refused.value)
    assert file.path.read_bytes() == before


@pytest.mark.parametrize(
    ("content", "key"),
    [
        ("[captions]\nthreads = '4'\n", "captions.threads"),
        ("[captions]\nthreads = true\n", "captions.threads"),
        ("[captions]\nthreads = 4.5\n", "captions.threads"),
        ("[captions]\nthread = 4\n", "captions.thread"),
        ("[captions]\nthreads = {a = 1}\n", "captions.threads"),
        ("[schedule]\nhours = 22:00:00\n", "schedule.hours"),
        ("[schedule]\nhours = 'always'\n", "schedule.hours"),
        ("[sometimes]\n", "sometimes"),
        ("captions = 4\n", "captions"),
        ("[[captions]]\nthreads = 4\n", "captions"),
        ("'captions.threads' = 4\n", "captions.threads"),
    ],
)
def test_a_wrong_file_names_the_key_and_what_it_says_mends_it(file, content, key):
    file.path.write_text(content)
    with pytest.raises(UsageError) as refused:
        file.load()
    assert str(file.path) in str(refused.value)
    assert f"`photosearch settings {key} --default`" in str(refused.value)
    file.unset(key)
    assert file.load() == Settings()


@pytest.mark.parametrize(
    "content", [b"captions = ", b"\xff\xfe[", b"a = 1\na = 2", b"x = " + b"[" * 5000, b"\0"]
)
def test_what_is_no_toml_is_a_sentence_and_stays_as_it_is(file, content):
    file.path.write_bytes(content)
    for act in (
        file.load,
        lambda: file.set("captions.threads", "4"),
        lambda: file.unset("captions.threads"),
    ):
        with pytest.raises(UsageError, match=r"settings\.toml"):
            act()
    assert file.path.read_bytes() == content


def test_a_good_value_mends_a_wrong_one_but_does_not_hide_another(file):
    file.path.write_text("[captions]\nthreads = 'x'\n")
    with pytest.raises(UsageError, match=r"captions\.threads"):
        file.set("captions.language", "German")
    assert file.set("captions.threads", "2").captions.threads == 2


def test_what_others_refuse_is_not_saved(file):
    def check(settings):
        raise UsageError(f"There is no plan {settings.captions.plan}.")

    with pytest.raises(UsageError, match="There is no plan x"):
        file.set("captions.plan", "x", check)
    assert file.load() == Settings()


def test_comments_and_line_ends_of_the_user_survive(file):
    written = (
        "# mine\r\n[schedule]   # nights\r\nhours = '22:00-06:00' # while I sleep\r\n"
        "\r\n[captions]\r\nthreads=2\r\n# the end\r\n"
    )
    file.path.write_bytes(written.encode())
    file.set("captions.threads", "3")
    assert file.path.read_bytes().decode() == written.replace("threads=2", "threads=3")
    file.unset("captions.threads")
    assert file.path.read_bytes().decode() == written.replace("threads=2\r\n", "")


@pytest.mark.parametrize(
    "written",
    [
        "captions.threads = 2\n",
        "captions = { threads = 2, language = 'German' }\n",
        "[captions]\nthreads = 2\n[schedule]\n",
        "\ufeff[captions]\nthreads = 2\n",
        "",
    ],
)
def test_every_way_of_writing_it_can_be_changed(file, written):
    file.path.write_text(written, encoding="utf-8")
    file.set("captions.threads", "3")
    file.set("schedule.idle_minutes", "5")
    settings = file.load()
    assert (settings.captions.threads, settings.schedule.idle_minutes) == (3, 5)
    file.unset("captions.threads")
    file.unset("schedule")
    left = file.load()
    assert dataclasses.replace(left.captions, language="") == Settings().captions
    assert left.schedule == Settings().schedule


def test_unsetting_what_is_not_set_does_nothing_and_what_is_nothing_is_refused(file):
    file.unset("captions.threads")
    file.unset("captions")
    assert not file.path.exists()
    with pytest.raises(UsageError, match="There is no setting"):
        file.unset("captions.nothing")


def test_a_link_to_the_settings_stays_one(file, tmp_path):
    kept = tmp_path / "dotfiles.toml"
    kept.write_text("# mine\n")
    file.path.symlink_to(kept)
    file.set("captions.threads", "3")
    assert file.path.is_symlink()
    assert kept.read_text().startswith("# mine\n")


def test_what_stands_in_the_way_of_the_file_is_a_sentence(file):
    file.path.mkdir()
    with pytest.raises(UnavailableError, match="can't be read"):
        file.load()
    file.path.rmdir()
    file.path.symlink_to("/proc/none/settings.toml")
    with pytest.raises(UnavailableError, match="can't be written"):
        file.set("captions.threads", "3")


def test_nothing_is_left_beside_the_file(file):
    before = set(file.path.parent.iterdir())
    file.set("captions.threads", "3")
    assert set(file.path.parent.iterdir()) - before == {file.path}


def test_the_sample_is_the_one_shipped_and_explains_every_setting():
    assert resource("settings-sample.toml").read_text(encoding="utf-8") == sample()
    assert SettingsFile(resource("settings-sample.toml")).load() == Settings()
    set_to_defaults = re.sub(r"(?m)^# (\w+ = )", r"\1", sample())
    assert tomllib.loads(set_to_defaults) == dataclasses.asdict(Settings())


@given(st.text(max_size=60))
def test_any_text_is_a_value_or_a_usage_error(text):
    for each in SETTINGS:
        try:
            value = each.parse(text)
        except UsageError:
            continue
        assert each.check(value) == value
