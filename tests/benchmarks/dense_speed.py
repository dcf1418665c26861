"""Milliseconds of an exact search by vectors, and what CLIP itself takes.

    python tests/benchmarks/dense_speed.py [--photos 1000000] [--dimensions 512] [--runs 5]
    python tests/benchmarks/dense_speed.py --clip ViT-B-32

The first measures random vectors: a search as it is shipped, from the library's database, and for
comparison the same with the vectors in one file beside it. The second measures CLIP with random
weights, on the photos of ../shared/photos/coco: loading, texts and photos a second.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from photosearch.captioning.clip import ClipModel, import_torchvision
from photosearch.search.dense import nearest
from photosearch.storage.database import Database
from photosearch.storage.vector_store import VectorStore

COCO = Path(__file__).resolve().parents[3] / "shared" / "photos" / "coco"
MODEL = "random/1"
DEPTH = 1000
BLOCK = 4096


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=100_000)
    parser.add_argument("--dimensions", type=int, default=512)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--clip", help="an architecture that open_clip knows")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if arguments.clip:
            measure_clip(arguments.clip, Path(folder), arguments.runs)
        else:
            measure_search(Path(folder), arguments.photos, arguments.dimensions, arguments.runs)


def measure_search(folder: Path, count: int, dimensions: int, runs: int) -> None:
    random = np.random.default_rng(0)
    file = folder / "vectors.f16"
    query = random.standard_normal(dimensions, np.float32)
    with Database(folder / "library.sqlite") as database:
        write_vectors(database, file, count, dimensions, random)
        store = VectorStore(database)
        every_tenth = np.arange(1, count + 1, 10)
        from_database = [
            timed(lambda: nearest(query, store.blocks(MODEL), DEPTH), runs),
            timed(lambda: nearest(query, store.blocks(MODEL), DEPTH, every_tenth), runs),
        ]
        from_file = timed(lambda: nearest(query, file_blocks(file, dimensions), DEPTH), runs)
        size_mb = (folder / "library.sqlite").stat().st_size >> 20
    print(f"{count} photos, {dimensions} numbers each: {size_mb} MB")
    print(f"database: median {from_database[0]:.0f} ms; filtered to a tenth {from_database[1]:.0f}")
    print(f"file:     median {from_file:.0f} ms")
    print(f"peak memory {peak_mb()} MB")


def write_vectors(
    database: Database, file: Path, count: int, dimensions: int, random: np.random.Generator
) -> None:
    with database.transaction() as write, file.open("wb") as out:
        write.execute_many(
            "INSERT INTO photo (sha256, width, height, format, taken_at, camera)"
            " VALUES (?, 1, 1, '', 0, '')",
            ((number.to_bytes(32, "big"),) for number in range(count)),
        )
        for first in range(0, count, BLOCK):
            vectors = random.standard_normal((min(BLOCK, count - first), dimensions), np.float32)
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
            stored = vectors.astype("<f2")
            stored.tofile(out)
            # Newest first, as photos are embedded.
            write.execute_many(
                "INSERT INTO vector (photo_id, model, vector) VALUES (?, ?, ?)",
                ((count - first - n, MODEL, row.tobytes()) for n, row in enumerate(stored)),
            )


def file_blocks(file: Path, dimensions: int) -> Iterator[tuple[Sequence[int], bytes]]:
    first = 1
    with file.open("rb", buffering=0) as stored:
        while data := stored.read(BLOCK * dimensions * 2):
            ids = range(first, first + len(data) // (dimensions * 2))
            yield ids, data
            first = ids.stop


def measure_clip(architecture: str, folder: Path, runs: int) -> None:
    import_torchvision()
    import open_clip  # noqa: PLC0415
    import torch  # noqa: PLC0415

    weights = folder / "random.pt"
    torch.save(open_clip.create_model(architecture).state_dict(), weights)
    began_s = time.perf_counter()
    clip = ClipModel.load(architecture, weights)
    print(f"{architecture}: {weights.stat().st_size >> 20} MB, loaded in", end=" ")
    print(f"{time.perf_counter() - began_s:.1f} s (torch itself was loaded before)")
    text = "two dogs are running over a wet beach while the sun goes down behind a pier"
    clip.text_vectors([text])
    print(f"a text: median {timed(lambda: clip.text_vectors([text]), runs):.0f} ms")
    files = sorted(COCO.glob("*.jpg"))[:64]
    began_s = time.perf_counter()
    clip.image_vectors(files)
    print(f"{len(files) / (time.perf_counter() - began_s):.1f} photos a second, decoding included")
    print(f"peak memory {peak_mb()} MB")


def timed(act: Callable[[], object], runs: int) -> float:
    """Return the median of some runs in milliseconds."""
    took = []
    for _ in range(runs):
        began_s = time.perf_counter()
        act()
        took.append((time.perf_counter() - began_s) * 1000)
    return statistics.median(took)


def peak_mb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


if __name__ == "__main__":
    main()
