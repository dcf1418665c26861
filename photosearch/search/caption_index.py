"""The full-text index of all captions, and the only door to Tantivy.

The index is a cache: SQLite holds the truth, and a damaged or outdated index is begun anew. One
document is one photo; all its terms come from `analysis`, so that Tantivy only splits at spaces.
"""

from __future__ import annotations

import errno
import os
import shutil
import threading
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path
from types import TracebackType

import tantivy
import tantivy.tantivy as native
from tantivy import Occur

from photosearch.domain import Query, TermCount, display_path
from photosearch.errors import DiskFullError, LibraryLockedError, UnavailableError
from photosearch.search import analysis
from photosearch.search.index_document import (
    SAMPLE_LEVELS,
    SCHEMA_VERSION,
    SEPARATOR,
    id_text,
    key_id,
    make_document,
    make_schema,
    spaced,
)
from photosearch.search.index_folder import IndexDamagedError, IndexFolder
from photosearch.search.query import Condition, conditions

__all__ = ["CaptionIndex", "IndexDamagedError", "IndexResults", "IndexWriter"]

HEAP_BYTES = 60_000_000
"""Memory that the writer fills before it writes a segment."""
EXACT_REFINE = 1000
"""Up to so many hits refinement words are counted exactly; of more, half to all of so many."""
MAX_LEVELS = 4
"""Up to so many words, partial matches are found by intersections, level by level: three times
faster than in one pass over all that any word has, but the intersections double with each word."""

# "tantivy v0.27.0, index_format v7": other releases of one format read each other's files.
_VERSION = f"{SCHEMA_VERSION}.{analysis.VERSION} {native.__version__.rpartition(', ')[2]}"
_NEEDED_BYTES = 2 * HEAP_BYTES
# BM25 of one term is at most ln(1 + photos) * (k1 + 1): 30 for a million photos.
_MAX_TERM_SCORE = 32.0


@dataclass(frozen=True, slots=True)
class IndexResults:
    """One page of photos, best first; the three tuples run in parallel.

    `partial` photos lack a word of the query; `total` counts those that match all of it,
    `partial_total` the others. `refine` as in `domain.SearchResults`.
    """

    photo_ids: tuple[int, ...]
    scores: tuple[float, ...]
    partial: tuple[bool, ...]
    total: int
    partial_total: int = 0
    refine: tuple[TermCount, ...] = ()
    refine_is_estimate: bool = False


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """The index as of one commit. `shown` remembers how to show the words asked for so far."""

    generation: Path
    stamp: tuple[int, ...]
    index: tantivy.Index
    searcher: tantivy.Searcher
    shown: dict[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Compiled:
    """A query in Tantivy's terms. `own` are the keys of its words.

    `possible` are the words of `wanted` where they may be doubtful, too; `is_doubtful` says
    whether they are anywhere.
    """

    wanted: tuple[tantivy.Query, ...]
    possible: tuple[tantivy.Query, ...]
    unwanted: tuple[tantivy.Query, ...]
    is_doubtful: bool
    term_count: int
    own: frozenset[str]

    def all_of(self, *more: tantivy.Query) -> tantivy.Query:
        """Match what fits the whole query and `more`."""
        wanted = (*self.wanted, *more) or (tantivy.Query.all_query(),)
        return _boolean(Occur.Must, wanted, self.unwanted)


class CaptionIndex:
    """The index in one folder, read at one commit until `reload`. Safe to use from any thread."""

    def __init__(self, folder: IndexFolder, snapshot: _Snapshot) -> None:
        self._folder = folder
        self._snapshot = snapshot
        self._reloading = threading.Lock()

    @classmethod
    def open(cls, path: Path) -> CaptionIndex:
        """Open the index in the folder `path`, or make an empty one where there is none yet.

        Raises IndexDamagedError for one that is damaged or of another version, and DiskFullError.
        """
        folder = IndexFolder(path, _VERSION)
        with _tantivy_errors(path):
            folder.ensure(_create)
            return cls(folder, _open(folder))

    @classmethod
    def create(cls, path: Path) -> CaptionIndex:
        """Begin the index in `path` anew, whatever was there. No writer may be open on it."""
        folder = IndexFolder(path, _VERSION)
        with _tantivy_errors(path):
            folder.begin(_create)
            return cls(folder, _open(folder))

    @property
    def generation(self) -> str:
        """Changes when the index was begun anew, and so lost all photos; else never."""
        return self._snapshot.generation.name

    @property
    def photo_count(self) -> int:
        """Number of photos in the index."""
        return int(self._snapshot.searcher.num_docs)

    def writer(self) -> IndexWriter:
        """Return the writer; LibraryLockedError if there is another one, in any process."""
        return IndexWriter(self._folder.path, self._snapshot.index)

    def reload(self) -> bool:
        """Go on to the last commit of any process; return whether there was a newer one."""
        with self._reloading, _tantivy_errors(self._folder.path):
            now = self._snapshot
            stamp = self._folder.stamp(now.generation)
            if stamp and stamp == now.stamp:
                return False
            if self._folder.generation() != now.generation:
                self._snapshot = _open(self._folder)
            else:
                now.index.reload()
                self._snapshot = replace(now, stamp=stamp, searcher=now.index.searcher(), shown={})
            return True

    def search(
        self, query: Query, *, limit: int = 200, offset: int = 0, refine: int = 0
    ) -> IndexResults:
        """Return the photos that match all of `query`, best first, then those that match a part.

        A photo of which a word is doubtful is a partial match, too; among these those of more
        words come first. Without any word to find, photos come newest first. `refine` is the
        number of refinement words wanted.
        """
        snapshot = self._snapshot
        limit, offset = max(0, limit), max(0, offset)
        with _tantivy_errors(self._folder.path):
            compiled = _compile(snapshot, conditions(query))
            everything = compiled.all_of()
            total, full = _search(
                snapshot, everything, limit, offset, newest_first=not compiled.wanted
            )
            partial: list[tuple[float, tantivy.DocAddress]] = []
            partial_total = 0
            if len(compiled.wanted) > 1 or compiled.is_doubtful:
                any_word = _boolean(Occur.Should, compiled.possible, compiled.unwanted)
                partial_total = _count(snapshot, any_word) - total
                if partial_total and len(full) < limit:
                    partial = _search_partial(
                        snapshot, compiled, limit - len(full), max(0, offset - total)
                    )
            words, is_estimate = (
                _refinements(snapshot, compiled, total, refine) if refine > 0 else ((), False)
            )
            hits = full + partial
            ids = snapshot.searcher.fast_field_values("photo_id", [hit[1] for hit in hits])
        return IndexResults(
            photo_ids=tuple(int(photo_id) for photo_id in ids if photo_id is not None),
            scores=tuple(hit[0] for hit in hits),
            partial=(False,) * len(full) + (True,) * len(partial),
            total=total,
            partial_total=partial_total,
            refine=words,
            refine_is_estimate=is_estimate,
        )

    def words(self, query: Query, limit: int = 100) -> list[TermCount]:
        """Count, exactly, the photos that match all of `query` by content word."""
        snapshot = self._snapshot
        with _tantivy_errors(self._folder.path):
            compiled = _compile(snapshot, conditions(query))
            found = snapshot.searcher.terms_with_prefix("words", "", compiled.all_of(), limit)
            return [TermCount(_shown(snapshot, key_id(key)), count) for key, count in found]

    def complete(self, prefix: str, query: Query, limit: int = 8) -> list[TermCount]:
        """Return words that begin with `prefix` in the photos that match all of `query`.

        Case and accents don't matter. Forms of a word come once, with the photos of all of them.
        """
        snapshot = self._snapshot
        folded = analysis.fold(prefix[: analysis.MAX_WORD])
        if not folded:
            return []
        schema = snapshot.index.schema
        with _tantivy_errors(self._folder.path):
            compiled = _compile(snapshot, conditions(query))
            found = snapshot.searcher.terms_with_prefix(
                "forms", folded, compiled.all_of(), 4 * limit + len(compiled.own)
            )
            surfaces: dict[str, dict[str, int]] = defaultdict(dict)
            for form, count in found:
                _, key, shown = form.split(SEPARATOR)
                if key not in compiled.own:
                    surfaces[key][spaced(shown)] = count
            completions = []
            for forms in list(surfaces.values())[:limit]:
                shown = analysis.display_form(forms)
                either = compiled.all_of(_side_by_side(schema, analysis.terms(shown)))
                count = forms[shown] if len(forms) == 1 else _count(snapshot, either)
                completions.append(TermCount(shown, count))
        return sorted(completions, key=lambda completion: (-completion.count, completion.word))


class IndexWriter:
    """Puts photos into the index; nothing counts, or outlives a crash, before `commit`."""

    def __init__(self, folder: Path, index: tantivy.Index) -> None:
        self._folder = folder
        try:
            self._writer = index.writer(HEAP_BYTES, num_threads=1)
        except ValueError as error:
            if "LockBusy" in str(error):
                raise LibraryLockedError(
                    "Another process is writing to the search index."
                ) from error
            with _tantivy_errors(folder):
                raise

    def __enter__(self) -> IndexWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def put(
        self,
        photo_id: int,
        taken_at: float,
        texts: Sequence[str],
        *,
        labels: Sequence[str] = (),
        weighted: Mapping[str, int] | None = None,
        doubtful: Collection[str] = (),
    ) -> None:
        """Add a photo, in place of what the index has of it.

        `texts` are its views' captions; phrases match within one of them. `labels` are the words
        of a tagger, each shown whole ("dining table"). `weighted` are words to be found besides,
        each counted so many times; they are completed but not shown. Those of them that are
        `doubtful` make it a partial match, and do not exclude it.
        """
        document = make_document(photo_id, taken_at, texts, labels, weighted or {}, doubtful)
        with _tantivy_errors(self._folder):
            self._writer.delete_documents_by_term("photo_id", photo_id)
            self._writer.add_document(document)

    def remove(self, photo_id: int) -> None:
        """Take a photo out of the index; none there is fine."""
        with _tantivy_errors(self._folder):
            self._writer.delete_documents_by_term("photo_id", photo_id)

    def commit(self) -> None:
        """Make all of it durable and visible to readers that `reload`. Raises DiskFullError."""
        with _tantivy_errors(self._folder):
            self._writer.commit()

    def close(self) -> None:
        """Finish merging, drop what was not committed and let the next writer in."""
        with suppress(ValueError):  # a writer that failed has no threads left to wait for
            self._writer.wait_merging_threads()


def _compile(snapshot: _Snapshot, wanted: Sequence[Condition]) -> _Compiled:
    schema = snapshot.index.schema
    own = {key for condition in wanted for key in _keys(condition.terms)}
    return _Compiled(
        tuple(_surely(snapshot, c.terms) for c in wanted if not c.negated),
        tuple(_side_by_side(schema, c.terms) for c in wanted if not c.negated),
        tuple(_surely(snapshot, c.terms) for c in wanted if c.negated),
        any(_doubtful(snapshot, c.terms) for c in wanted if not c.negated),
        sum(len(condition.terms) for condition in wanted),
        frozenset(own),
    )


def _keys(terms: Sequence[str]) -> set[str]:
    """Return the keys that words of these terms side by side may have."""
    return {*terms, "".join(terms), analysis.SPACE.join(terms)}


def _surely(snapshot: _Snapshot, terms: Sequence[str]) -> tantivy.Query:
    """Match what holds the terms side by side, unless one of them is doubtful there."""
    schema = snapshot.index.schema
    doubts = [
        tantivy.Query.term_query(schema, "doubtful", term, "basic")
        for term in _doubtful(snapshot, terms)
    ]
    return _boolean(Occur.Must, [_side_by_side(schema, terms)], doubts)


def _doubtful(snapshot: _Snapshot, terms: Sequence[str]) -> list[str]:
    """Return those of the terms that are doubtful in any photo."""
    return [term for term in terms if snapshot.searcher.doc_freq("doubtful", term)]


def _side_by_side(schema: tantivy.Schema, terms: Sequence[str]) -> tantivy.Query:
    if len(terms) == 1:
        return tantivy.Query.term_query(schema, "text", terms[0], "freq")
    return tantivy.Query.phrase_query(schema, "text", list(terms))


def _count(snapshot: _Snapshot, query: tantivy.Query) -> int:
    return _search(snapshot, query, 1, 0)[0]


def _search(
    snapshot: _Snapshot,
    query: tantivy.Query,
    limit: int,
    offset: int,
    newest_first: bool = False,
) -> tuple[int, list[tuple[float, tantivy.DocAddress]]]:
    result = snapshot.searcher.search(
        query, max(1, limit), offset=offset, order_by_field="newest" if newest_first else None
    )
    hits = result.hits[:limit]
    total = int(result.count)  # type: ignore[attr-defined]  # forgotten in Tantivy's stubs
    return total, [(0.0, at) for _, at in hits] if newest_first else hits


def _search_partial(
    snapshot: _Snapshot, compiled: _Compiled, limit: int, offset: int
) -> list[tuple[float, tantivy.DocAddress]]:
    """Find what matches in part or perhaps: more words first, then by score."""
    possible = compiled.possible
    if len(possible) > MAX_LEVELS:
        return _search_partial_at_once(snapshot, compiled, limit, offset)
    hits: list[tuple[float, tantivy.DocAddress]] = []
    above = [_boolean(Occur.Must, compiled.wanted)]
    for size in range(len(possible), 0, -1):
        level = [_boolean(Occur.Must, chosen) for chosen in combinations(possible, size)]
        query = _boolean(Occur.Should, level, (*above, *compiled.unwanted))
        total, found = _search(snapshot, query, limit - len(hits), offset)
        hits += found
        if len(hits) >= limit:
            break
        offset = max(0, offset - total)
        above = level
    return hits


def _search_partial_at_once(
    snapshot: _Snapshot, compiled: _Compiled, limit: int, offset: int
) -> list[tuple[float, tantivy.DocAddress]]:
    # A constant a word, greater than all of BM25 can give, ranks by the number of words.
    step = _MAX_TERM_SCORE * compiled.term_count
    possible = compiled.possible
    constants = [tantivy.Query.const_score_query(query, step) for query in possible]
    unwanted = (_boolean(Occur.Must, compiled.wanted), *compiled.unwanted)
    query = _boolean(Occur.Should, (*possible, *constants), unwanted)
    hits = snapshot.searcher.search(query, limit, count=False, offset=offset).hits
    return [(score % step, at) for score, at in hits]


def _boolean(
    occur: Occur, wanted: Sequence[tantivy.Query], unwanted: Sequence[tantivy.Query] = ()
) -> tantivy.Query:
    if len(wanted) == 1 and not unwanted:
        return wanted[0]
    return tantivy.Query.boolean_query(
        [(occur, query) for query in wanted] + [(Occur.MustNot, query) for query in unwanted]
    )


def _refinements(
    snapshot: _Snapshot, compiled: _Compiled, total: int, limit: int
) -> tuple[tuple[TermCount, ...], bool]:
    level = 0
    while total >> level > EXACT_REFINE and level < SAMPLE_LEVELS:
        level += 1
    sample = compiled.all_of()
    if level:
        sample = compiled.all_of(
            tantivy.Query.term_query(snapshot.index.schema, "sample", f"s{level}", "basic")
        )
    wanted = 2 * limit + len(compiled.own)
    found = snapshot.searcher.aggregate(
        sample,
        {
            # All of a segment's words, else those that are rare in one would be counted short.
            "words": {"terms": {"field": "key_ids", "size": wanted, "segment_size": 65_000}},
            "photos": {"value_count": {"field": "photo_id"}},
        },
    )
    size = int(found["photos"]["value"])
    scale = total / size if level and size else 1
    own = {key_id(key) for key in compiled.own}
    words: list[TermCount] = []
    for bucket in found["words"]["buckets"]:
        number, count = int(bucket["key"]), bucket["doc_count"]
        if number not in own and count < size and len(words) < limit:
            words.append(TermCount(_shown(snapshot, number), round(count * scale)))
    return tuple(words), level > 0


def _shown(snapshot: _Snapshot, number: int) -> str:
    shown = snapshot.shown.get(number)
    if shown is None:
        found = snapshot.searcher.terms_with_prefix("shown", id_text(number))
        forms = {form.partition(SEPARATOR)[2]: count for form, count in found}
        shown = snapshot.shown[number] = spaced(analysis.display_form(forms))
    return shown


def _create(generation: Path) -> None:
    tantivy.Index(make_schema(), path=os.fspath(generation), reuse=False)


def _open(folder: IndexFolder) -> _Snapshot:
    generation = folder.generation()
    stamp = folder.stamp(generation)
    index = tantivy.Index.open(os.fspath(generation))
    # Else a thread would watch the folder and change the searcher at any time.
    index.config_reader("manual")
    index.reload()
    snapshot = _Snapshot(generation, stamp, index, index.searcher())
    # Touch every kind of file now: some damage only shows when they are read.
    _search(snapshot, tantivy.Query.all_query(), 1, 0, newest_first=True)
    _refinements(snapshot, _Compiled((), (), (), False, 0, frozenset()), 1, 1)
    return snapshot


@contextmanager
def _tantivy_errors(folder: Path) -> Iterator[None]:
    """Turn what Tantivy raises (ValueError for everything, panics too) into our errors."""
    try:
        yield
    except (UnavailableError, KeyboardInterrupt):
        raise
    except BaseException as error:
        if not isinstance(error, (ValueError, OSError)) and (
            type(error).__name__ != "PanicException"
        ):
            raise
        if _disk_is_full(error, folder):
            raise DiskFullError(
                "The disk is full: the search index can't be written. Please free some space."
            ) from error
        if isinstance(error, PermissionError) or "Permission denied" in str(error):
            raise UnavailableError(
                f"There is no permission to use the search index in {display_path(folder)}."
            ) from error
        raise IndexDamagedError(f"The search index is damaged ({error}).") from error


def _disk_is_full(error: BaseException, folder: Path) -> bool:
    if getattr(error, "errno", 0) in (errno.ENOSPC, errno.EDQUOT):
        return True
    text = str(error)
    if "No space left" in text or "os error 28" in text or "StorageFull" in text:
        return True
    # A writer whose thread met the error only says that it was killed.
    return "writer was killed" in text and shutil.disk_usage(folder).free < _NEEDED_BYTES
