"""How the service captions for weeks: in batches, in its hours, and whatever the model does."""

import random
from collections import Counter
from dataclasses import dataclass, replace
from functools import partial

import psutil
import pytest
import scripted
from running_service import running, wait_for
from scripted import paint, pattern

from photosearch.domain import Stage
from photosearch.library import PhotoLibrary
from photosearch.service import IndexService

RED, GREEN, BLUE, WHITE, HOSTILE = scripted.COLOURS
CROPS = (Stage.FULL, Stage.HALVES, Stage.QUARTERS, Stage.NINTHS)


@pytest.fixture
def library(paths):
    with PhotoLibrary(paths) as library:
        yield library


@dataclass
class Desk:
    """What the sensors would tell."""

    idle: float | None = 10_000.0

    def idle_s(self):
        return self.idle

    def full_screen(self):
        return False

    def on_mains(self):
        return True

    def celsius(self):
        return None

    def others_cpu_percent(self):
        return None


def run(paths, *specs, **options):
    with IndexService(paths, find_captioners=lambda _: list(specs), **options) as service:
        service.run(minutes=2)
        return service.notices


def watching(paths, *specs, readings=None):
    """Return a watching service at work."""
    return running(
        IndexService(
            paths, find_captioners=lambda _: list(specs), watch=True, readings=readings or Desk()
        )
    )


def captioned(library):
    """Return the captions by (file name, view, prompt)."""
    names = {}
    for hit in library.search(library.parse(""), limit=10_000).hits:
        names[hit.sha256] = hit.path.name
    return {(names[sha], c.view, c.prompt): c for sha, c in library.captions()}


def done(library):
    return sum(caption.model == "scripted" for _, caption in library.captions())


def captions_of(library, path):
    return library.photo(library.find_photo(str(path))).captions


def test_many_photos_are_one_task(paths, library, tmp_path):
    for n in range(20):
        paint(tmp_path / "pictures" / f"{n}.png", [RED, GREEN, BLUE, WHITE][n % 4])
    library.add_folder(tmp_path / "pictures")
    log = tmp_path / "log"
    spec = scripted.spec(make=partial(scripted.LoggingCaptioner, log), batch=8, stages=CROPS)
    run(paths, spec)
    assert len(captioned(library)) == 20 * 18
    for name, view, _ in captioned(library):
        said = captioned(library)[name, view, "Describe."].text
        assert said == scripted.COLOURS[[RED, GREEN, BLUE, WHITE][int(name[:-4]) % 4]]
        break
    assert library.failures() == []


def test_the_view_where_it_stopped_is_the_next_one(paths, library, tmp_path):
    for n in range(3):
        paint(tmp_path / "pictures" / f"{n}.png", [RED, GREEN, BLUE][n])
    library.add_folder(tmp_path / "pictures")
    log = tmp_path / "log"
    slow = partial(scripted.LoggingCaptioner, log, 0.05)
    spec = scripted.spec(make=slow, batch=4, stages=(Stage.NINTHS,))
    while True:
        seen = len(list(library.captions()))
        if seen == 27:
            break
        with watching(paths, spec):
            wait_for(lambda seen=seen: len(list(library.captions())) >= min(27, seen + 5))
    views = Counter(line for line in log.read_text().splitlines() if "begin" not in line)
    # An answer that was on its way when the service stopped may be asked for once more.
    assert len(views) == 27
    assert sum(views.values()) <= 27 + 4 * 3
    assert len(log.read_text().splitlines()) < 27 * 2


def test_captions_wait_while_the_user_is_there(paths, library, tmp_path):
    for n in range(30):
        paint(tmp_path / "pictures" / f"{n}.png", [RED, GREEN, BLUE, WHITE][n % 4])
    library.add_folder(tmp_path / "pictures")
    library.settings.set("schedule.idle_minutes", "5")
    desk = Desk(idle=1.0)
    spec = scripted.spec(slow_s=0.1, scheduled=True, processes=1)
    with watching(paths, scripted.tagger_spec(), spec, readings=desk) as service:
        wait_for(lambda: len(list(library.captions())) == 30)
        (hold,) = wait_for(lambda: library.status().holds)
        assert hold.command.startswith("photosearch run-now")
        assert done(library) == 0
        desk.idle = 301.0
        wait_for(lambda: done(library) >= 3)
        wait_for(lambda: library.status().holds == ())
        desk.idle = 0.0
        wait_for(lambda: library.status().holds)
        wait_for(lambda: not service._dispatcher.busy, within_s=2)
        before = done(library)
        assert before < 30
        library.run_now(hours=1)
        wait_for(lambda: done(library) == 30)
    assert library.failures() == []


def test_pausing_and_running_now(paths, library, tmp_path):
    for n in range(10):
        paint(tmp_path / "pictures" / f"{n}.png", RED)
    library.add_folder(tmp_path / "pictures")
    library.set_paused(True)
    with watching(paths, scripted.spec()):
        (hold,) = wait_for(lambda: library.status().holds)
        assert hold.reason == "Indexing is paused."
        assert hold.command == "photosearch resume"
        library.run_now(hours=0.5)
        wait_for(lambda: done(library) == 10)


def test_settings_that_make_no_sense_are_said_and_stop_nothing(paths, library, tmp_path):
    paint(tmp_path / "pictures" / "a.png", RED)
    library.add_folder(tmp_path / "pictures")
    with watching(paths, scripted.spec()):
        wait_for(lambda: done(library) == 1)
        paths.settings.write_text("[schedule]\nhours = 7\n")
        library.settings_changed()
        (notice,) = wait_for(lambda: library.status().notices)
        assert "schedule.hours" in notice
        paint(tmp_path / "pictures" / "b.png", GREEN)
        wait_for(lambda: done(library) == 2)
        paths.settings.unlink()
        library.settings_changed()
        wait_for(lambda: not library.status().notices)


def test_one_photo_of_a_batch_that_kills_its_worker_is_found_out(paths, library, tmp_path):
    for n in range(12):
        paint(tmp_path / "pictures" / f"{n}.png", [RED, GREEN][n % 2])
    bad = paint(tmp_path / "pictures" / "bad.png", scripted.CRASH)
    library.add_folder(tmp_path / "pictures")
    run(paths, scripted.spec(batch=6))
    (failure,) = library.failures()
    assert failure.path == bad
    assert "set aside after 3 tries" in failure.reason
    assert len(captioned(library)) == 12


def test_photos_of_a_batch_fail_one_by_one(paths, library, tmp_path):
    for n in range(6):
        paint(tmp_path / "pictures" / f"{n}.png", [RED, GREEN][n % 2])
    paint(tmp_path / "pictures" / "refused.png", scripted.REFUSE)
    bug = paint(tmp_path / "pictures" / "bug.png", scripted.BUG)
    library.add_folder(tmp_path / "pictures")
    run(paths, scripted.spec(batch=20))
    reasons = {f.path.name: f.reason for f in library.failures()}
    assert reasons["refused.png"] == "the model has no words for this"
    assert "a bug in the captioner" in reasons[bug.name]
    assert len(captioned(library)) == 6


def test_a_captioner_that_fails_on_every_photo_is_stopped_with_one_message(
    paths, library, tmp_path
):
    for n in range(40):
        paint(tmp_path / "pictures" / f"{n}.png", scripted.REFUSE)
    library.add_folder(tmp_path / "pictures")
    (notice,) = run(paths, scripted.spec(batch=3))
    assert "failed on every one of the last photos" in notice
    assert "the model has no words for this" in notice
    assert len(library.failures()) < 40
    for path in (tmp_path / "pictures").iterdir():
        paint(path, RED)
    run(paths, scripted.spec(batch=3))
    assert len(captioned(library)) == 40
    assert library.failures() == []


def test_a_captioner_that_always_crashes_is_stopped_too(paths, library, tmp_path):
    for n in range(40):
        paint(tmp_path / "pictures" / f"{n}.png", scripted.CRASH)
    library.add_folder(tmp_path / "pictures")
    (notice,) = run(paths, scripted.spec(batch=4))
    assert "failed on every one of the last photos" in notice
    assert library.failures() == []


def test_a_captioner_that_does_not_look_is_started_anew(paths, library, tmp_path):
    colours = random.Random(0)
    for n in range(40):
        pattern(
            tmp_path / "pictures" / f"{n}.png", colours.choice([RED, GREEN, BLUE, (150, 60, 30)]), n
        )
    library.add_folder(tmp_path / "pictures")
    stuck = partial(scripted.StuckCaptioner, 12)
    notices = run(paths, scripted.spec(make=stuck, batch=6, watch_stale=True))
    assert notices == []
    said = Counter(c.text for c in captioned(library).values())
    assert sum(said.values()) == 40
    # What was said without looking was taken back, but for the last few.
    assert max(said.values()) < 5
    assert library.failures() == []


def test_a_captioner_that_never_looks_is_given_up(paths, library, tmp_path):
    for n in range(60):
        pattern(tmp_path / "pictures" / f"{n}.png", [RED, GREEN][n % 2], n)
    library.add_folder(tmp_path / "pictures")
    (notice,) = run(paths, scripted.spec(make=AlwaysTheSame, batch=6, watch_stale=True))
    assert "scripted can't be used: the model says the same of 25 different photos" in notice
    assert library.failures() == []
    assert len(captioned(library)) < 30


class AlwaysTheSame(scripted.ScriptedCaptioner):
    def describe(self, image, views, left):
        captions = super().describe(image, views, left)
        return [replace(caption, text="I see a picture.") for caption in captions]


def test_a_photo_that_is_looked_at_comes_first(paths, library, tmp_path):
    for n in range(30):
        pattern(tmp_path / "pictures" / f"{n}.png", [RED, GREEN, BLUE, WHITE][n % 4], n)
    library.add_folder(tmp_path / "pictures")
    log = tmp_path / "log"
    spec = scripted.spec(make=partial(scripted.LoggingCaptioner, log), stages=CROPS, processes=1)
    run(paths, spec, stages=[Stage.SCAN])
    wanted, nearly = tmp_path / "pictures" / "23.png", tmp_path / "pictures" / "27.png"
    library.nearly_found([library.find_photo(str(nearly))])
    library.look_at(library.find_photo(str(wanted)))
    run(paths, spec)
    created = {key[:2]: caption.created_at for key, caption in captioned(library).items()}
    of_the_wanted = [at for (name, _), at in created.items() if name == "23.png"]
    of_the_nearly = [at for (name, _), at in created.items() if name == "27.png"]
    others = [at for (name, _), at in created.items() if name not in ("23.png", "27.png")]
    assert len(of_the_wanted) == 18
    # All its stages are done before any other photo's second.
    assert max(of_the_wanted) < sorted(others)[2]
    assert max(of_the_nearly) < sorted(others)[4]


def test_bursts_and_copies_come_last(paths, library, tmp_path):
    for n in range(10):
        pattern(tmp_path / "pictures" / f"{n}.png", [RED, GREEN, BLUE, WHITE][n % 4], n)
    source = tmp_path / "pictures" / "3.png"
    copy = tmp_path / "pictures" / "newest.png"
    copy.write_bytes(source.read_bytes() + b"\0")
    library.add_folder(tmp_path / "pictures")
    log = tmp_path / "log"
    spec = scripted.spec(make=partial(scripted.LoggingCaptioner, log), processes=1)
    run(paths, spec, stages=[Stage.SCAN])
    run(paths, spec)
    by_time = sorted(captioned(library).values(), key=lambda caption: caption.created_at)
    alike = {library.find_photo(str(path)) for path in (source, copy)}
    assert by_time[-1].photo_id in alike


def test_another_prompt_adds_captions_and_takes_none(paths, library, tmp_path):
    for n in range(3):
        paint(tmp_path / "pictures" / f"{n}.png", RED)
    library.add_folder(tmp_path / "pictures")
    run(paths, scripted.spec())
    run(paths, replace(scripted.spec(), prompt="List the words."))
    prompts = Counter(prompt for _, _, prompt in captioned(library))
    assert prompts == {"Describe.": 3, "List the words.": 3}


def test_crops_that_show_nothing_are_passed_over(paths, library, tmp_path):
    paint(tmp_path / "pictures" / "sky.png", BLUE, size=(900, 600))
    pattern(tmp_path / "pictures" / "town.png", RED, 1)
    library.add_folder(tmp_path / "pictures")
    run(paths, scripted.spec(stages=CROPS, skip_flat=True, batch=5))
    found = captioned(library)
    skipped = {(name, view) for (name, view, _), c in found.items() if c.skipped == "flat"}
    assert len(found) == 36
    assert {name for name, _ in skipped} == {"sky.png"}
    # The whole photo is always looked at.
    assert len(skipped) == 17 - len({v for n, v in skipped if v == "whole"})
    assert ("sky.png", "whole") not in skipped
    assert library.words(library.parse("boat"))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_night_in_fast_motion(paths, library, tmp_path):
    """2,000 photos, a worker that crashes, hangs and leaks by chance."""
    photos = 2000
    for n in range(photos):
        paint(tmp_path / "pictures" / f"{n}.png", [RED, GREEN, BLUE, WHITE][n % 4], size=(32, 24))
    library.add_folder(tmp_path / "pictures")
    moody = partial(scripted.MoodyCaptioner, 0.01)
    spec = scripted.spec(make=moody, batch=8, silence_s=0.8, growth_mb=150, processes=2)
    memory = []
    with IndexService(paths, find_captioners=lambda _: [spec]) as service:
        me = psutil.Process()
        service.run(minutes=9, on_tick=lambda _: memory.append(me.memory_info().rss >> 20))
        assert service.notices == []
    failures = library.failures()
    assert all("set aside after 3 tries" in failure.reason for failure in failures)
    assert len(failures) < photos // 100
    rows = [(sha, caption.view) for sha, caption in library.captions()]
    assert len(rows) == len(set(rows)) == photos - len(failures)
    half = len(memory) // 2
    assert max(memory[half:]) < max(memory[:half]) + 40


def test_a_plan_that_skips_nothing_looks_at_what_another_skipped(paths, library, tmp_path):
    paint(tmp_path / "pictures" / "sky.png", BLUE, size=(900, 600))
    library.add_folder(tmp_path / "pictures")
    run(paths, scripted.spec(stages=CROPS, skip_flat=True))
    assert sum(bool(c.skipped) for c in captioned(library).values()) == 17
    run(paths, scripted.spec(stages=CROPS, skip_flat=False))
    found = captioned(library)
    assert len(found) == 18
    assert not any(c.skipped for c in found.values())


def test_what_a_captioner_says_of_how_it_runs_is_told(paths, library, tmp_path):
    paint(tmp_path / "pictures" / "a.png", RED)
    library.add_folder(tmp_path / "pictures")
    notices = run(paths, scripted.spec(make=SlowlyToday))
    assert notices == ["It runs without the GPU."]


class SlowlyToday(scripted.ScriptedCaptioner):
    def caption(self, photos, left):
        for answer in super().caption(photos, left):
            yield replace(answer, notice="It runs without the GPU.")


def test_a_captioner_that_says_nothing_is_given_up_and_its_photos_wait(paths, library, tmp_path):
    for n in range(20):
        pattern(tmp_path / "pictures" / f"{n}.png", [RED, GREEN][n % 2], n)
    library.add_folder(tmp_path / "pictures")
    mute = scripted.spec(make=Mute, batch=6, watch_stale=True)
    (notice,) = run(paths, mute)
    assert "No captions can be written: scripted can't be used: the model says nothing" in notice
    assert len(captioned(library)) < 6
    # Said also when the process is gone, and until it works again.
    assert library.status().notices == (notice,)
    assert run(paths, scripted.spec(batch=6, watch_stale=True)) == []
    assert library.status().notices == ()
    texts = [caption.text for caption in captioned(library).values()]
    assert len(texts) == 20
    assert texts.count("") < 6


class Mute(scripted.ScriptedCaptioner):
    def describe(self, image, views, left):
        return [replace(said, text="") for said in super().describe(image, views, left)]
