"""How long from words to the first 200 hits with refinement words, beside SQLite FTS5.

    python tests/benchmarks/search_speed.py [--photos 1000000] [--keep FOLDER] [--json FILE]

Both engines hold the same text and answer the same queries, in turns, in one run: all words must
match, the first 200 by BM25. CaptionIndex also finds what the words entail (its documents are those
of the app, with the lexicon), counts the matches, ranks partial matches behind them and names 24
refinement words with their counts; FTS5 does none of that. Each query counts with the best of its
runs, on both sides, so that other work on the machine matters less.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import sqlite3
import statistics
import tempfile
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
from caption_corpus import CaptionCorpus, document

from photosearch.search import analysis
from photosearch.search.caption_index import CaptionIndex
from photosearch.search.index_document import PhotoDocument
from photosearch.search.query import parse

HITS = 200
MIN_GROUP = 5
REFINE = 24
RELATED = 200
CHUNK = 2000
"""Photos that are prepared at a time."""

Prepared = list[tuple[PhotoDocument, str]]


def prepare(seed: int, first_id: int, count: int, views: int) -> Prepared:
    """Return photos as the index takes them, and their text."""
    corpus = CaptionCorpus(seed * 1_000_003 + first_id)
    prepared = []
    for photo_id, texts in enumerate(corpus.photos(count, views), first_id):
        prepared.append((document(photo_id, texts), "\n".join(texts)))
    return prepared


def build(folder: Path, seed: int, photos: int, views: int, distinct: int) -> dict[str, float]:
    """Write both indexes; return seconds and megabytes."""
    index = CaptionIndex.open(folder / "tantivy")
    fts = sqlite3.connect(folder / "fts5.sqlite3")
    fts.execute(
        "CREATE VIRTUAL TABLE caption USING fts5(text, tokenize='porter unicode61', detail=full)"
    )
    seconds = {"tantivy": 0.0, "fts5": 0.0}
    distinct = min(distinct, photos)
    with (
        index.writer() as writer,
        ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool,
    ):
        waiting: deque[Future[Prepared]] = deque()
        for first in (*range(1, distinct + 1, CHUNK), None, None):
            if first is not None:
                count = min(CHUNK, distinct + 1 - first)
                waiting.append(pool.submit(prepare, seed, first, count, views))
            # One chunk is prepared while another is written; more would only fill the memory.
            if not waiting or (first is not None and len(waiting) < 3):
                continue
            chunk = waiting.popleft().result()
            for again in range(0, photos, distinct):
                some = [
                    (replace(photo, photo_id=photo.photo_id + again), text)
                    for photo, text in chunk
                    if photo.photo_id + again <= photos
                ]
                started = time.perf_counter()
                for photo, _ in some:
                    writer.put(photo)
                writer.commit()
                between = time.perf_counter()
                fts.executemany(
                    "INSERT INTO caption(rowid, text) VALUES (?, ?)",
                    ((photo.photo_id, text) for photo, text in some),
                )
                seconds["fts5"] += time.perf_counter() - between
                seconds["tantivy"] += between - started
    started = time.perf_counter()
    fts.execute("INSERT INTO caption(caption) VALUES ('optimize')")
    fts.commit()
    fts.close()
    seconds["fts5"] += time.perf_counter() - started
    return {
        "tantivy_build_s": round(seconds["tantivy"], 1),
        "fts5_build_s": round(seconds["fts5"], 1),
        "tantivy_mb": round(_size(folder / "tantivy") / 1e6, 1),
        "fts5_mb": round((folder / "fts5.sqlite3").stat().st_size / 1e6, 1),
    }


def make_queries(corpus: CaptionCorpus, count: int, seed: int) -> list[list[str]]:
    """Draw 1 to 4 content words of one sentence a query: frequent words come up often."""
    pick = random.Random(seed)
    sentences = [sentence for photo in corpus.model_photos for sentence in photo]
    sentences += corpus.human_sentences
    queries: list[list[str]] = []
    while len(queries) < count:
        found = analysis.content_words(pick.choice(sentences))
        words = [word.shown for word in {word.key: word for word in found}.values()]
        wanted = 1 + len(queries) % 4
        # FTS5 has no name for "t-shirt" or accents as we fold them: plain words for both.
        words = [word for word in words if word.isascii() and word.isalpha()]
        if len(words) >= wanted:
            queries.append(pick.sample(words, wanted))
    return queries


def measure(folder: Path, queries: list[list[str]], repeats: int) -> dict[str, object]:
    """Answer all queries with both engines in turns; milliseconds, each query's best run.

    The memory is what the searcher adds to this process by answering all of them, in megabytes.
    """
    before = psutil.Process().memory_full_info()
    index = CaptionIndex.open(folder / "tantivy")

    def ours(words: list[str]) -> int:
        return len(index.search(parse(" ".join(words)), limit=HITS, refine=REFINE).photo_ids)

    def full_only(words: list[str]) -> int:
        return index.search(parse(" ".join(words)), limit=HITS, refine=0).total

    def with_related(words: list[str]) -> int:
        query = parse(" ".join(words))
        found = index.search(query, limit=HITS, refine=REFINE, related=RELATED)
        return len(found.photo_ids)

    for words in queries:
        with_related(words)
    after = psutil.Process().memory_full_info()
    fts = sqlite3.connect(folder / "fts5.sqlite3")
    fts.execute("PRAGMA mmap_size = 4000000000")

    def fts5(words: list[str]) -> int:
        found = fts.execute(
            "SELECT rowid, bm25(caption) AS score FROM caption WHERE caption MATCH ?"
            " ORDER BY score LIMIT ?",
            (" ".join(f'"{word}"' for word in words), HITS),
        ).fetchall()
        return len(found)

    engines: dict[str, Callable[[list[str]], int]] = {
        "ours with refinement": ours,
        "ours, related, too": with_related,
        "ours, hits only": full_only,
        "FTS5, hits only": fts5,
    }
    for words in queries[:50]:
        for engine in engines.values():
            engine(words)
    best = {name: [float("inf")] * len(queries) for name in engines}
    for _ in range(repeats):
        for number, words in enumerate(queries):
            for name, engine in engines.items():
                started = time.perf_counter()
                engine(words)
                elapsed = 1e3 * (time.perf_counter() - started)
                best[name][number] = min(best[name][number], elapsed)
    totals = [full_only(words) for words in queries]
    groups = {
        **{f"{n} words": [len(words) == n for words in queries] for n in range(1, 5)},
        "all": [True] * len(queries),
        **{
            f"{low}+ hits": [low <= total < high for total in totals]
            for low, high in zip((0, 100, 1000, 10_000), (100, 1000, 10_000, 10**9), strict=True)
        },
    }
    return {
        "rss_mb": round((after.rss - before.rss) / 1e6),
        "uss_mb": round((after.uss - before.uss) / 1e6),
        "groups": {group: sum(members) for group, members in groups.items()},
        "times": {
            name: {
                group: _summary([ms for ms, member in zip(found, members, strict=True) if member])
                for group, members in groups.items()
                if sum(members) >= MIN_GROUP
            }
            for name, found in best.items()
        },
    }


def other_times(folder: Path, queries: list[list[str]]) -> dict[str, dict[str, float]]:
    """Time what else the window asks for: all photos, a deep page, completion, the cloud."""
    index = CaptionIndex.open(folder / "tantivy")
    count = index.photo_count

    def half_typed(words: list[str]) -> object:
        """What the window does while a word is being typed."""
        *rest, last = words
        begun = last[: 1 + len(last) // 2]
        found = index.search(parse(" ".join((*rest, begun))), limit=HITS, refine=REFINE)
        if not found.total and (ends := index.complete(begun, parse(" ".join(rest)))):
            whole = " ".join((*rest, ends[0].word))
            found = index.search(parse(whole), limit=HITS, refine=REFINE)
        return found

    jobs: dict[str, Callable[[list[str]], object]] = {
        "half a word: complete it, search": half_typed,
        "misspelt word: other spellings": lambda w: index.suggest(parse(w[0][:2] + "x" + w[0][2:])),
        "all photos, refinement words": lambda _: index.search(parse(""), refine=REFINE),
        "all photos, last page": lambda _: index.search(parse(""), offset=max(0, count - HITS)),
        "one word, last page": lambda w: index.search(parse(w[0]), offset=max(0, count - HITS)),
        "complete 2 letters in a result": lambda w: index.complete(w[-1][:2], parse(w[0])),
        "complete 1 letter, library": lambda w: index.complete(w[-1][:1], parse("")),
        "words of a result (exact)": lambda w: index.words(parse(w[0])),
        "words of the library (exact)": lambda _: index.words(parse("")),
        "reload, nothing new": lambda _: index.reload(),
    }
    found: dict[str, list[float]] = {name: [] for name in jobs}
    for words in queries[:60]:
        for name, job in jobs.items():
            started = time.perf_counter()
            job(words)
            found[name].append(1e3 * (time.perf_counter() - started))
    return {name: _summary(times) for name, times in found.items()}


def _summary(times: list[float]) -> dict[str, float]:
    return {
        "median_ms": round(statistics.median(times), 3),
        "p95_ms": round(statistics.quantiles(times, n=20)[-1], 3),
    }


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _print(report: dict[str, Any]) -> None:
    print(
        f"{report['photos']} photos, {report['views']} captions each, {report['queries']} queries"
    )
    print("  ".join(f"{name} {value}" for name, value in report["build"].items()))
    names = list(report["times"])
    print(f"\n{'ms: median / 95th percentile':29}" + "".join(f"{name:>24}" for name in names))
    for group, members in report["groups"].items():
        rows = [report["times"][name].get(group) for name in names]
        cells = "".join(f"{r['median_ms']:15.2f} /{r['p95_ms']:7.2f}" for r in rows if r)
        print(f"{group:12}{members:5} queries    {cells or '(too few)'}")
    print(
        f"FTS5 / ours with refinement: median {report['ratio_median']}, p95 {report['ratio_p95']}"
    )
    print("FTS5 names no refinement words, counts no matches and ranks no partial ones.\n")
    for name, row in report["other"].items():
        print(f"{name:34}{row['median_ms']:9.2f}/{row['p95_ms']:7.2f}")
    print(
        f"memory of the searcher: {report['uss_mb']} MB, with pages of files {report['rss_mb']} MB"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=int, default=100_000)
    parser.add_argument("--views", type=int, default=1)
    parser.add_argument("--queries", type=int, default=400)
    parser.add_argument("--repeats", type=int, default=5, help="runs; a query counts with its best")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument(
        "--distinct", type=int, default=200_000, help="photos from here on say the same again"
    )
    parser.add_argument("--keep", type=Path, help="keep the indexes in this folder, or use those")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    chosen = parser.parse_args()
    corpus = CaptionCorpus(chosen.seed)
    with tempfile.TemporaryDirectory() as scratch:
        folder = chosen.keep or Path(scratch)
        figures = folder / "build.json"
        if not figures.exists():
            folder.mkdir(parents=True, exist_ok=True)
            built = build(folder, chosen.seed, chosen.photos, chosen.views, chosen.distinct)
            figures.write_text(json.dumps(built))
        queries = make_queries(corpus, chosen.queries, chosen.seed)
        report: dict[str, Any] = {
            "photos": chosen.photos,
            "views": chosen.views,
            "queries": len(queries),
            "build": json.loads(figures.read_text()),
            **measure(folder, queries, chosen.repeats),
            "other": other_times(folder, queries),
        }
    ours = report["times"]["ours with refinement"]["all"]
    theirs = report["times"]["FTS5, hits only"]["all"]
    report["ratio_median"] = round(theirs["median_ms"] / ours["median_ms"], 1)
    report["ratio_p95"] = round(theirs["p95_ms"] / ours["p95_ms"], 1)
    _print(report)
    if chosen.json:
        chosen.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
