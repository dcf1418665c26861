"""How long the second scan of many unchanged files takes.

    python tests/benchmarks/rescan.py [--files 100000] [--folder DIR]

Makes tiny files in nested folders (none of them a real picture: looking through folders opens
none), and looks through them as the service does, with its rows in SQLite.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from pathlib import Path

from photosearch.folders.settling import QUIET_S
from photosearch.folders.sync import FolderSync
from photosearch.paths import AppPaths
from photosearch.storage.database import Database
from photosearch.storage.photo_store import PhotoStore

FILES_PER_FOLDER = 250
FOLDERS_PER_YEAR = 12


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, help="where to make the files (a temporary folder)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as root:
        folder = Path(root)
        paths = AppPaths(folder / "library")
        paths.make()
        pictures = make_files(folder / "pictures", arguments.files)
        with Database(paths.database) as database:
            photos = PhotoStore(database)
            photos.add_folder(pictures)
            first_s, _ = reconcile(photos)
            second_s, longest_s = reconcile(photos)
            _, file_count = photos.counts()
    assert file_count == arguments.files
    print(
        json.dumps(
            {
                "files": arguments.files,
                "first_scan_s": round(first_s, 3),
                "second_scan_s": round(second_s, 3),
                "longest_step_ms": round(longest_s * 1000, 1),
                "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            }
        )
    )


def reconcile(photos: PhotoStore) -> tuple[float, float]:
    """Look through all folders as the service does; return the seconds of all and of a step."""
    longest_s = 0.0
    with FolderSync(photos, watch=False) as folders:
        started_s = step_s = time.perf_counter()
        folders.reconcile()
        while folders.step():
            now_s = time.perf_counter()
            longest_s, step_s = max(longest_s, now_s - step_s), now_s
        return time.perf_counter() - started_s, longest_s


def make_files(folder: Path, count: int) -> Path:
    """Make `count` files as a photo collection has them: year, month, some hundred a folder."""
    for start in range(0, count, FILES_PER_FOLDER):
        number = start // FILES_PER_FOLDER
        month = folder / f"{1990 + number // FOLDERS_PER_YEAR}" / f"{number % FOLDERS_PER_YEAR:02}"
        month.mkdir(parents=True)
        for index in range(start, min(count, start + FILES_PER_FOLDER)):
            (month / f"IMG_{index:06}.JPG").write_bytes(b"x")
    # Files of this very moment are looked at twice, as they may still be written to.
    time.sleep(2 * QUIET_S)
    return folder


if __name__ == "__main__":
    main()
