"""Which stage is worth its time, and when a captioner is given up."""

import pytest

from photosearch import stages
from photosearch.domain import JobKind, Stage
from photosearch.stages import Health, Pace, StageRunner, in_order


@pytest.fixture
def clock(monkeypatch):
    """A clock that goes on only when it is told to."""

    class Clock:
        now = 1000.0

        def monotonic(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr(stages, "time", clock)
    return clock


def work(clock, pace, photos, *, seconds, words=0):
    for _ in range(photos):
        pace.begin()
        clock.now += seconds
        pace.finish(words)
        pace.end()


def test_the_pace_leaves_out_the_time_without_work(clock):
    pace = Pace()
    assert pace.per_second() is None
    work(clock, pace, 10, seconds=2)
    clock.now += 3600
    work(clock, pace, 10, seconds=2)
    assert pace.per_second() == pytest.approx(0.5)


def test_the_pace_of_two_workers_is_that_of_both(clock):
    pace = Pace()
    for _ in range(10):
        pace.begin()
        pace.begin()
        clock.now += 1
        pace.finish()
        pace.end()
        pace.finish()
        pace.end()
    assert pace.per_second() == pytest.approx(19 / 9)


def test_the_pace_forgets_what_was_long_ago(clock):
    pace = Pace()
    work(clock, pace, 500, seconds=1, words=10)
    work(clock, pace, 100, seconds=5, words=2)
    assert pace.per_second() == pytest.approx(0.2)
    assert pace.words_per_second() == pytest.approx(0.4)


class Runner(StageRunner):
    def __init__(self, stage):
        super().__init__(JobKind(stage, "model"), pool=None, limit_s=1)

    def views_left(self, job):
        return 1

    def task(self, jobs):
        return None

    def save(self, job, answer):
        return True

    def forget(self, job):
        pass


def order(runners):
    return [runner.kind.stage for runner in in_order(runners)]


def test_each_stage_is_tried_and_then_the_most_rewarding_comes_first(clock):
    runners = {stage: Runner(stage) for stage in reversed(Stage)}
    crops = [Stage.QUARTERS, Stage.NINTHS, Stage.HALVES]
    assert order(runners.values()) == [Stage.SCAN, Stage.TAGS, Stage.VECTORS, Stage.FULL, *crops]
    # Words for every photo come first, however few new ones `full` gives.
    work(clock, runners[Stage.TAGS].pace, 30, seconds=1, words=1)
    work(clock, runners[Stage.FULL].pace, 30, seconds=100, words=1)
    assert order(runners.values())[:4] == [Stage.SCAN, Stage.TAGS, Stage.VECTORS, Stage.FULL]
    work(clock, runners[Stage.QUARTERS].pace, 30, seconds=4, words=12)
    assert order(runners.values())[4:] == [Stage.NINTHS, Stage.HALVES, Stage.QUARTERS]
    work(clock, runners[Stage.HALVES].pace, 30, seconds=4, words=4)
    work(clock, runners[Stage.NINTHS].pace, 30, seconds=9, words=18)
    assert order(runners.values())[4:] == [Stage.QUARTERS, Stage.NINTHS, Stage.HALVES]
    # It has given most of what it has.
    work(clock, runners[Stage.QUARTERS].pace, 100, seconds=4, words=2)
    assert order(runners.values())[4:] == [Stage.NINTHS, Stage.HALVES, Stage.QUARTERS]


def test_one_bad_photo_is_no_sign_of_a_bad_captioner():
    health = Health()
    for _ in range(100):
        assert health.failed([7]) == []
    # All at once are one failure.
    assert Health().failed(list(range(100))) == []


def test_failures_in_a_row_are_and_success_ends_the_row():
    health = Health()
    found = [health.failed([job]) for job in range(8)]
    assert sorted(found.pop()) == list(range(8))
    assert not any(found)
    for job in range(100):
        assert health.failed([job]) == []
        if job % 5 == 0:
            health.worked()


def test_what_a_fresh_process_repeats_is_believed_until_it_says_nothing_else():
    health = Health()
    assert not health.is_hopeless("A white page.")
    assert health.confirmed == set()
    assert not health.is_hopeless("A white page.")
    assert health.confirmed == {"A white page."}
    assert health.is_hopeless("A white page.")
    assert not health.is_hopeless("A red barn.")


def test_a_captioner_out_of_reach_is_counted_until_it_works():
    health = Health()
    assert [health.unreachable() for _ in range(3)] == [1, 2, 3]
    health.worked()
    assert health.unreachable() == 1
