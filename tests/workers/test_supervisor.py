import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from photosearch.errors import CaptionError, ModelError
from photosearch.workers import supervisor
from photosearch.workers.supervisor import (
    Broken,
    Died,
    Done,
    Left,
    Part,
    Refused,
    WorkerLimits,
    WorkerPool,
    wait_for,
)

HERE = str(Path(__file__).parent)


def make_handler():
    memory = []

    def handle(task, left):
        kind, *rest = task
        if kind == "add":
            return sum(rest)
        if kind == "pid":
            return os.getpid()
        if kind == "refuse":
            raise CaptionError("no words for that")
        if kind == "bug":
            return 1 / 0
        if kind == "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        if kind == "exit":
            os._exit(7)
        if kind == "hang":
            time.sleep(600)
        if kind == "grow":
            memory.append(b"x" * (rest[0] << 20))
        if kind == "leak and hang":
            while True:
                memory.append(b"x" * (20 << 20))
                time.sleep(0.01)
        if kind == "print":
            print("noise on stdout", flush=True)
            os.write(2, b"noise on stderr\n")
        return None

    return handle


def make_nothing():
    raise ModelError("the model is no model")


def crash_at_start():
    os._exit(3)


@pytest.fixture
def make_pool(tmp_path):
    pools = []

    def make(make_handler=make_handler, size=1, **limits):
        limits = {"enforce_memory": False, **limits}
        pool = WorkerPool(
            "test", make_handler, size=size, limits=WorkerLimits(**limits), log=tmp_path / "log"
        )
        pools.append(pool)
        return pool

    yield make
    for pool in pools:
        pool.close()
        assert pool.pids == []


def run(pool, *task, key="key", within_s=30):
    pool.submit(key, task)
    return collect(pool, within_s)


def collect(pool, within_s=30):
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        wait_for([pool], 0.1)
        for outcome in pool.outcomes():
            return outcome
        if pool.broken:
            return None
    raise AssertionError("no outcome in time")


def wait_until_dead(pid):
    deadline = time.monotonic() + 10
    # Not by its state: that is a zombie's already while some of its threads end.
    with contextlib.suppress(ChildProcessError):
        while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
            assert time.monotonic() < deadline, "the worker lives on"
            time.sleep(0.02)


def test_an_answer_comes_back_under_its_key(make_pool):
    assert run(make_pool(), "add", 1, 2) == Done("key", 3)


def test_one_process_serves_many_tasks(make_pool):
    pool = make_pool()
    assert len({run(pool, "pid").value for _ in range(5)}) == 1


def test_a_refusal_is_an_error_for_the_user(make_pool):
    outcome = run(make_pool(), "refuse")
    assert isinstance(outcome, Refused)
    assert str(outcome.error) == "no words for that"
    assert isinstance(outcome.error, CaptionError)


def test_a_bug_brings_its_traceback_and_the_worker_lives_on(make_pool):
    pool = make_pool()
    pid = run(pool, "pid").value
    outcome = run(pool, "bug")
    assert isinstance(outcome, Broken)
    assert "ZeroDivisionError" in outcome.trace
    assert run(pool, "pid").value == pid


@pytest.mark.parametrize(
    ("task", "reason"), [("crash", "crashed (SIGSEGV)"), ("exit", "exit code 7")]
)
def test_a_crash_is_told_and_survived(make_pool, task, reason):
    pool = make_pool()
    outcome = run(pool, task)
    assert isinstance(outcome, Died)
    assert reason in outcome.reason
    assert run(pool, "add", 1, 1) == Done("key", 2)


def test_a_hang_is_ended(make_pool):
    pool = make_pool()
    pool.submit("key", ("hang",), 1)
    outcome = collect(pool)
    assert isinstance(outcome, Died)
    assert "longer than 1 s" in outcome.reason
    assert run(pool, "add", 1, 1) == Done("key", 2)


def test_too_much_memory_is_ended(make_pool):
    pool = make_pool(memory_mb=300)
    outcome = run(pool, "leak and hang")
    assert isinstance(outcome, Died)
    assert "300 MB" in outcome.reason


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux enforces it")
def test_the_system_refuses_memory_over_the_cap(make_pool):
    pool = make_pool(memory_mb=400, recycle_mb=400, enforce_memory=True)
    outcome = run(pool, "grow", 2000)
    assert isinstance(outcome, Refused)
    assert "memory" in str(outcome.error)


def test_a_worker_that_grew_is_replaced_after_its_answer(make_pool):
    pool = make_pool(recycle_mb=200)
    pid = run(pool, "pid").value
    assert run(pool, "grow", 300) == Done("key", None)
    assert run(pool, "pid").value != pid


def test_a_worker_is_replaced_after_so_many_tasks(make_pool):
    pool = make_pool(max_tasks=2)
    assert len({run(pool, "pid").value for _ in range(6)}) == 3


def test_a_worker_killed_between_two_tasks_costs_neither(make_pool):
    pool = make_pool()
    pid = run(pool, "pid").value
    os.kill(pid, signal.SIGKILL)
    wait_until_dead(pid)
    assert run(pool, "add", 2, 2) == Done("key", 4)


def test_a_pool_that_can_not_start_says_why_and_gives_its_task_back(make_pool):
    pool = make_pool(make_nothing)
    assert run(pool, "add", 1, 2) is None
    assert pool.broken == "the model is no model"
    assert pool.idle == 0
    assert pool.abandoned() == ["key"]
    assert pool.abandoned() == []


def test_a_pool_that_crashes_at_every_start_breaks_after_three(make_pool):
    pool = make_pool(crash_at_start)
    deadline = time.monotonic() + 60
    starts = 0
    while not pool.broken and time.monotonic() < deadline:
        if pool.idle:
            pool.submit("key", ("add", 1))
            starts += 1
        wait_for([pool], 0.1)
        assert list(pool.outcomes()) == []
    assert starts == 3
    assert "exit code 3" in pool.broken


def test_two_workers_work_at_once(make_pool):
    pool = make_pool(size=2)
    pool.submit("a", ("pid",))
    pool.submit("b", ("pid",))
    assert (pool.idle, pool.busy) == (0, 2)
    found = {}
    while len(found) < 2:
        outcome = collect(pool)
        found[outcome.key] = outcome.value
    assert len(set(found.values())) == 2


def test_cancelled_tasks_are_named_and_the_pool_stays_usable(make_pool):
    pool = make_pool()
    run(pool, "pid")
    pool.submit("long", ("hang",))
    assert pool.cancel() == ["long"]
    assert run(pool, "add", 1, 1) == Done("key", 2)


def test_noise_goes_to_the_log(make_pool, tmp_path, capfd):
    run(make_pool(), "print")
    assert (tmp_path / "log").read_text() == "noise on stdout\nnoise on stderr\n"
    assert capfd.readouterr() == ("", "")


def test_a_worker_does_not_outlive_its_parent(make_pool, tmp_path):
    script = (
        "import sys, time; sys.path.insert(0, sys.argv[1]); import test_supervisor as t\n"
        "if __name__ == '__main__':\n"
        "    pool = t.WorkerPool('orphan', t.make_handler)\n"
        "    print(t.run(pool, 'pid').value, flush=True)\n"
        "    pool.submit('k', ('hang',)); time.sleep(600)\n"
    )
    (tmp_path / "parent.py").write_text(script)
    parent = subprocess.Popen(
        [sys.executable, tmp_path / "parent.py", HERE],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([*sys.path, HERE])},
    )
    with parent:
        pid = int(parent.stdout.readline())
        parent.kill()
    wait_until_dead(pid)


def make_streamer():
    def handle(task, left):
        kind, count = task
        yield from range(count)
        if kind == "until left":
            left.wait(60)
        if kind == "deaf":
            time.sleep(60)
        if kind == "refuse":
            raise CaptionError("no words for the rest")

    return handle


def everything_of(pool, within_s=30):
    """Return the outcomes up to the task's end."""
    found = []
    while not found or isinstance(found[-1], Part):
        found.append(collect(pool, within_s))
    return found


def test_an_answer_in_parts_comes_as_it_is_made(make_pool):
    pool = make_pool(make_streamer)
    pool.submit("a", ("go on", 3))
    assert everything_of(pool) == [Part("a", 0), Part("a", 1), Part("a", 2), Done("a", None)]
    pool.submit("b", ("refuse", 1))
    part, refused = everything_of(pool)
    assert part == Part("b", 0)
    assert isinstance(refused, Refused)


def test_each_part_is_a_sign_of_life(make_pool):
    pool = make_pool(make_slow_streamer)
    pool.submit("a", None, limit_s=1.0)
    assert everything_of(pool)[-1] == Done("a", None)


def make_slow_streamer():
    def handle(task, left):
        for number in range(5):
            time.sleep(0.4)
            yield number

    return handle


def test_a_task_is_left_at_once_and_its_worker_goes_on(make_pool):
    pool = make_pool(make_streamer)
    pool.submit("a", ("until left", 1))
    assert collect(pool) == Part("a", 0)
    (pid,) = pool.pids
    pool.leave()
    assert collect(pool) == Left("a")
    pool.submit("b", ("go on", 1))
    assert everything_of(pool) == [Part("b", 0), Done("b", None)]
    assert pool.pids == [pid]


def test_a_worker_that_does_not_hear_is_killed(make_pool):
    pool = make_pool(make_streamer)
    pool.submit("a", ("deaf", 1))
    assert collect(pool) == Part("a", 0)
    started = time.monotonic()
    pool.leave()
    pool.leave()
    assert collect(pool) == Left("a")
    assert time.monotonic() - started < 5
    assert pool.pids == []


def make_late():
    time.sleep(60)


def test_a_worker_that_is_still_loading_is_left_too(make_pool):
    pool = make_pool(make_late)
    pool.submit("a", None)
    pool.leave()
    assert collect(pool) == Left("a")
    assert not pool.broken
    pool.leave()
    assert list(pool.outcomes()) == []


def test_a_worker_that_grows_is_replaced(make_pool):
    pool = make_pool(growth_mb=100)
    pids = set()
    for _ in range(4):
        assert run(pool, "grow", 60) == Done("key", None)
        pids |= set(pool.pids)
    # Its second growth is over the limit.
    assert len(pids) == 2


def test_abandoned_tasks_are_among_the_cancelled(make_pool):
    pool = make_pool(make_nothing)
    assert run(pool, "add", 1, key="it") is None
    # Whatever comes between, as a full disk, no task may be lost or be told of later.
    assert pool.cancel() == ["it"]
    assert pool.abandoned() == []


def test_a_system_without_room_for_a_process_is_no_crash(make_pool):
    resource = pytest.importorskip("resource")
    pool = make_pool()
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, before[1]))
    try:
        pool.submit("it", ("add", 1, 2))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert list(pool.outcomes()) == []
    assert pool.abandoned() == ["it"]
    assert pool.pids == []
    # The next one may have it.
    assert run(pool, "add", 1, 2) == Done("key", 3)


def make_sleeper():
    def handle(seconds, left):
        time.sleep(seconds)
        return "awake"

    return handle


def test_the_time_that_a_computer_slept_is_no_ones_fault(make_pool, monkeypatch):
    monkeypatch.setattr(supervisor, "_SLEPT_S", 1.0)
    pool = make_pool(make_sleeper)
    pool.submit("first", 0)
    assert collect(pool) == Done("first", "awake")
    pool.submit("a", 2.5, limit_s=1.5)
    # Nobody looks meanwhile, as while the computer sleeps.
    time.sleep(2.0)
    assert collect(pool) == Done("a", "awake")
