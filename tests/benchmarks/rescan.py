"""How long the second scan of many unchanged files takes.

    python tests/benchmarks/rescan.py [--files 100000] [--folder DIR]

Makes tiny files in nested folders (none of them a real picture: a scan does not open them).
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import tempfile
import time
from pathlib import Path

from photosearch.folders.scanner import scan

FILES_PER_FOLDER = 250
FOLDERS_PER_YEAR = 12


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, help="where to make the files (a temporary folder)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as root:
        folder = Path(root)
        make_files(folder, arguments.files)
        started_s = time.perf_counter()
        known = {
            os.fsencode(event.path): (event.file.size, event.file.mtime_ns)
            for batch in scan(folder, {})
            for event in batch.events
            if event.file is not None
        }
        first_s = time.perf_counter() - started_s
        slices_ms = []
        started_s = step_s = time.perf_counter()
        for batch in scan(folder, known):
            assert not batch.events, "an unchanged file was taken for a changed one"
            slices_ms.append((time.perf_counter() - step_s) * 1000)
            step_s = time.perf_counter()
        second_s = time.perf_counter() - started_s
    assert len(known) == arguments.files
    print(
        json.dumps(
            {
                "files": arguments.files,
                "first_scan_s": round(first_s, 3),
                "second_scan_s": round(second_s, 3),
                "longest_slice_ms": round(max(slices_ms), 1),
                "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            }
        )
    )


def make_files(folder: Path, count: int) -> None:
    """Make `count` files as a photo collection has them: year, month, some hundred a folder."""
    for start in range(0, count, FILES_PER_FOLDER):
        number = start // FILES_PER_FOLDER
        month = folder / f"{1990 + number // FOLDERS_PER_YEAR}" / f"{number % FOLDERS_PER_YEAR:02}"
        month.mkdir(parents=True)
        for index in range(start, min(count, start + FILES_PER_FOLDER)):
            (month / f"IMG_{index:06}.JPG").write_bytes(b"x")


if __name__ == "__main__":
    main()
