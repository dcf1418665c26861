"""From "stop" to an idle computer: milliseconds, median and worst, by what the model was doing.

    python tests/benchmarks/stop_latency.py [--shape 1b] [--samples 8]

Captions pictures with a model of random weights in the worker that the service has, asks it to
leave at random moments, and looks when the worker's CPU time stops to grow, or the worker is gone.
"Killed" counts those that did not leave by themselves, which have to load the model again.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import IntEnum
from functools import partial
from pathlib import Path
from typing import Any

import psutil
from PIL import Image
from random_models import SHAPES, random_models

from photosearch.captioners import find_captioners
from photosearch.captioning.captioner import CaptionerSpec, CaptionHandler, CaptionTask, PhotoTask
from photosearch.captioning.model_store import ModelStore
from photosearch.domain import Stage, View
from photosearch.imaging.crops import views
from photosearch.paths import AppPaths
from photosearch.workers.supervisor import WorkerLimits, WorkerPool, wait_for

_LOOK_S = 0.005
# After so long without a tick of its clock, of 10 ms mostly, a process is idle.
_IDLE_S = 0.6
_LIMIT_S = 600.0
# A batch of more tokens is a prompt; of fewer, the next token of each view at work.
_MOST_SEQUENCES = 18


class Phase(IntEnum):
    """What llama.cpp was last called for."""

    STARTING = 0
    LOADING = 1
    ENCODING = 2
    PREFILLING = 3
    DECODING = 4


PHASES = (Phase.LOADING, Phase.ENCODING, Phase.PREFILLING, Phase.DECODING)


@dataclass(frozen=True, slots=True)
class Stop:
    """One stop: in which phase it came, how long it took, and whether the worker was killed."""

    phase: Phase
    milliseconds: float
    killed: bool


def make_watched(spec: CaptionerSpec, board: Any) -> CaptionHandler:
    """Return the service's handler; what llama.cpp is called for shows on `board`."""
    import llama_cpp  # noqa: PLC0415
    from llama_cpp import mtmd_cpp  # noqa: PLC0415

    def watched(function: Callable[..., Any], phase: Callable[..., Phase]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            board.value = phase(*arguments)
            return function(*arguments)

        return call

    def of_batch(_context: Any, batch: Any) -> Phase:
        return Phase.PREFILLING if batch.n_tokens > _MOST_SEQUENCES else Phase.DECODING

    for module, name, phase in (
        (llama_cpp, "llama_model_load_from_file", Phase.LOADING),
        (llama_cpp, "llama_init_from_model", Phase.LOADING),
        (mtmd_cpp, "mtmd_init_from_file", Phase.LOADING),
        (mtmd_cpp, "mtmd_encode_chunk", Phase.ENCODING),
        (mtmd_cpp, "mtmd_helper_decode_image_chunk", Phase.PREFILLING),
    ):
        setattr(module, name, watched(getattr(module, name), lambda *_, phase=phase: phase))
    llama_cpp.llama_decode = watched(llama_cpp.llama_decode, of_batch)
    return CaptionHandler(spec)


class Bench:
    """A worker with the model, and pictures for it. Owns the worker; close() it."""

    def __init__(self, spec: CaptionerSpec, folder: Path) -> None:
        self._board = multiprocessing.get_context("spawn").RawValue("i", 0)
        limits = WorkerLimits(
            start_s=spec.start_s,
            memory_mb=spec.memory_mb,
            recycle_mb=spec.memory_mb,
            enforce_memory=spec.enforce_memory,
        )
        self._pool = WorkerPool("stop", partial(make_watched, spec, self._board), limits=limits)
        self._picture = folder / "picture.jpg"
        Image.effect_noise((2016, 1512), 60).convert("RGB").save(self._picture)
        self._number = 0

    def close(self) -> None:
        """End the worker."""
        self._pool.close()

    def stop_in(self, target: Phase, delay_s: float) -> Stop:
        """Begin a task, ask to leave it so long after `target` has begun, and watch."""
        if target is Phase.LOADING:
            self._pool.cancel()
        # Four views are written together, as is usual without a GPU.
        count = 4 if target is Phase.DECODING else 1
        self._submit(views(Stage.NINTHS)[:count])
        begun_s = time.monotonic()
        while self._board.value != target:
            self._look()
            if time.monotonic() - begun_s > _LIMIT_S or not self._pool.busy:
                break  # What it does now is measured just as well.
        until_s = time.monotonic() + delay_s
        while time.monotonic() < until_s and self._pool.busy:
            self._look()
        return self._stop()

    def _submit(self, wanted: Sequence[View]) -> None:
        status = self._picture.stat()
        photo = PhotoTask(1, self._picture, tuple(wanted), status.st_size, status.st_mtime_ns)
        self._number += 1
        self._board.value = Phase.STARTING
        self._pool.submit(self._number, CaptionTask((photo,)), _LIMIT_S)

    def _look(self) -> None:
        wait_for([self._pool], _LOOK_S)
        for _ in self._pool.outcomes():
            pass
        if self._pool.abandoned():
            raise RuntimeError(self._pool.broken or "the worker does not start")

    def _stop(self) -> Stop:
        (pid,) = self._pool.pids
        worker = psutil.Process(pid)
        phase = Phase(self._board.value)
        asked_s = grown_s = time.perf_counter()
        self._pool.leave()
        spent_s = _cpu_s(worker)
        while time.perf_counter() - max(asked_s, grown_s) < _IDLE_S:
            self._look()
            now_s = time.perf_counter()
            if pid not in self._pool.pids:
                return Stop(phase, 1e3 * (now_s - asked_s), killed=True)
            if _cpu_s(worker) > spent_s:
                grown_s, spent_s = now_s, _cpu_s(worker)
        return Stop(phase, 1e3 * (grown_s - asked_s), killed=False)


def _cpu_s(process: psutil.Process) -> float:
    with suppress(psutil.NoSuchProcess):
        times = process.cpu_times()
        return float(times.user + times.system)
    return 0.0


def measure(shape: str, folder: Path, samples: int, within_s: float, seed: int = 0) -> list[Stop]:
    """Return what the stops took, `samples` aimed at each phase, so soon after it began."""
    rng = random.Random(seed)
    stops = []
    with tempfile.TemporaryDirectory() as home:
        paths = AppPaths(Path(home))
        paths.make()
        ModelStore(paths.models).use(*random_models(folder, shape), shape)
        spec = replace(find_captioners(paths)[-1], skip_flat=False)
        bench = Bench(spec, Path(home))
        try:
            for _ in range(samples):
                for phase in PHASES:
                    stops.append(bench.stop_in(phase, rng.uniform(0.0, within_s)))
        finally:
            bench.close()
    return stops


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shape", choices=SHAPES, default="1b")
    parser.add_argument(
        "--folder", type=Path, default=Path(tempfile.gettempdir()) / "random-models"
    )
    parser.add_argument("--samples", type=int, default=8, help="stops in each phase")
    parser.add_argument(
        "--within", type=float, default=1.5, help="seconds after a phase began to stop at most"
    )
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    arguments = parser.parse_args()
    stops = measure(arguments.shape, arguments.folder, arguments.samples, arguments.within)
    print(f"{'':12}{'stops':>8}{'median ms':>12}{'worst ms':>12}{'killed':>8}")
    rows = []
    for phase in Phase:
        found = [stop for stop in stops if stop.phase is phase]
        if not found:
            continue
        taken_ms = [stop.milliseconds for stop in found]
        killed = sum(stop.killed for stop in found)
        middle_ms, worst_ms = statistics.median(taken_ms), max(taken_ms)
        name = phase.name.lower()
        print(f"{name:12}{len(found):8}{middle_ms:12.0f}{worst_ms:12.0f}{killed:8}")
        rows.append(
            {"phase": name, "stops": len(found), "median_ms": middle_ms, "worst_ms": worst_ms}
        )
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
