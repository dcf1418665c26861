"""Photos a second of the scan and tags stages, and the peak memory of each process.

    python tests/benchmarks/index_speed.py [FOLDER] [--runs 1]

Runs the service on a library of its own in a temporary folder. Without FOLDER: the 300 photos of
../shared/photos/coco.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil

from photosearch.domain import Stage
from photosearch.library import PhotoLibrary
from photosearch.paths import AppPaths
from photosearch.service import IndexService

COCO = Path(__file__).resolve().parents[3] / "shared" / "photos" / "coco"
STAGES = (Stage.SCAN, Stage.TAGS)


@dataclass
class Run:
    photos: int = 0
    failures: int = 0
    photos_per_s: dict[str, float] = field(default_factory=dict)
    peak_memory_mb: dict[str, int] = field(default_factory=dict)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=COCO)
    parser.add_argument("--runs", type=int, default=1)
    arguments = parser.parse_args()
    runs = [measure(arguments.folder) for _ in range(arguments.runs)]
    for run in runs:
        print(json.dumps(asdict(run)))
    for stage in STAGES:
        speeds = [run.photos_per_s[stage] for run in runs]
        print(f"{stage}: median {statistics.median(speeds):.2f} photos a second")


def measure(folder: Path) -> Run:
    run = Run()
    with tempfile.TemporaryDirectory() as home, PhotoLibrary(AppPaths(Path(home))) as library:
        library.add_folder(folder)
        for stage in STAGES:
            with (
                IndexService(library.paths, stages=[stage]) as service,
                looking(run.peak_memory_mb, stage, service),
            ):
                started_s = time.perf_counter()
                service.run()
                seconds = time.perf_counter() - started_s
            (progress,) = [s for s in library.status().stages if s.stage is stage]
            run.photos_per_s[stage] = round(progress.done / seconds, 2)
        run.photos = library.status().photo_count
        run.failures = len(library.failures())
    return run


@contextmanager
def looking(peaks: dict[str, int], stage: Stage, service: IndexService) -> Iterator[None]:
    """Note each process's peak resident memory, as the system keeps it, while the block runs."""
    finished = threading.Event()

    def look() -> None:
        while not finished.wait(0.05):
            numbered = {"service": psutil.Process().pid}
            numbered |= {f"{stage} worker {n + 1}": p for n, p in enumerate(service.worker_pids)}
            for name, pid in numbered.items():
                with suppress(OSError):
                    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
                    kilobytes = [int(x.split()[1]) for x in lines if x.startswith("VmHWM")]
                    peaks[name] = max([peaks.get(name, 0), *(k // 1024 for k in kilobytes)])

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield
    finally:
        finished.set()
        thread.join()


if __name__ == "__main__":
    main()
