"""The full-text index of all captions, as it is read.

The index is a cache: SQLite holds the truth, and a damaged or outdated index is begun anew. One
document is one photo; all its terms come from `analysis`, so that Tantivy only splits at spaces.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

import tantivy
import tantivy.tantivy as native
from tantivy import Occur

from photosearch.domain import Query, TermCount
from photosearch.search import analysis, evidence
from photosearch.search.completion import completions
from photosearch.search.conditions import conditions
from photosearch.search.index_document import SCHEMA_VERSION, key_id, make_schema
from photosearch.search.index_errors import tantivy_errors
from photosearch.search.index_folder import IndexDamagedError, IndexFolder
from photosearch.search.index_query import Compiled, EvidenceOf, compile_query, no_evidence
from photosearch.search.index_writer import IndexWriter
from photosearch.search.refine import refinements
from photosearch.search.related import associates, search_related
from photosearch.search.snapshot import Scored, Snapshot, boolean
from photosearch.search.spelling import respelt

__all__ = ["CaptionIndex", "IndexDamagedError", "IndexResults", "IndexWriter"]

MAX_LEVELS = 4
"""Up to so many words, partial matches are found by intersections, level by level: three times
faster than in one pass over all that any word has, but the intersections double with each word."""

# "tantivy v0.27.0, index_format v7": other releases of one format read each other's files.
_FORMAT = native.__version__.rpartition(", ")[2]
_VERSION = f"{SCHEMA_VERSION}.{analysis.VERSION}.{evidence.VERSION} {_FORMAT}"
# BM25 of one term is at most ln(1 + photos) * (k1 + 1): 30 for a million photos.
_MAX_TERM_SCORE = 32.0


@dataclass(frozen=True, slots=True)
class IndexResults:
    """One page of photos, best first: `full` ones that match all of the query, `partial` ones that
    match a part or perhaps, related ones. `photo_ids` and `scores` run in parallel.

    The totals count the matches of each kind; `refine` as in `domain.SearchResults`.
    """

    photo_ids: tuple[int, ...]
    scores: tuple[float, ...]
    full: int
    partial: int
    total: int
    partial_total: int = 0
    related_total: int = 0
    refine: tuple[TermCount, ...] = ()
    refine_is_estimate: bool = False


class CaptionIndex:
    """The index in one folder, read at one commit until `reload`. Safe to use from any thread."""

    def __init__(self, folder: IndexFolder, snapshot: Snapshot) -> None:
        self._folder = folder
        self._snapshot = snapshot
        self._reloading = threading.Lock()

    @classmethod
    def open(cls, path: Path) -> CaptionIndex:
        """Open the index in the folder `path`, or make an empty one where there is none yet.

        Raises IndexDamagedError for one that is damaged or of another version, and DiskFullError.
        """
        folder = IndexFolder(path, _VERSION)
        with tantivy_errors(path):
            folder.ensure(_create)
            return cls(folder, _open(folder))

    @classmethod
    def create(cls, path: Path) -> CaptionIndex:
        """Begin the index in `path` anew, whatever was there. No writer may be open on it."""
        folder = IndexFolder(path, _VERSION)
        with tantivy_errors(path):
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
        with self._reloading, tantivy_errors(self._folder.path):
            now = self._snapshot
            stamp = self._folder.stamp(now.generation)
            if stamp and stamp == now.stamp:
                return False
            if self._folder.generation() != now.generation:
                self._snapshot = _open(self._folder)
            else:
                now.index.reload()
                self._snapshot = replace(now, stamp=stamp, searcher=now.index.searcher(), words={})
            return True

    def search(
        self,
        query: Query,
        *,
        limit: int = 200,
        offset: int = 0,
        refine: int = 0,
        related: int = 0,
        evidence_of: EvidenceOf = no_evidence,
    ) -> IndexResults:
        """Return the photos that match all of `query`, best first, then those that match a part.

        A photo of which a word is doubtful is a partial match, too; among these those of more
        words come first. Behind them come up to `related` photos that have none of the words but
        such as go with them. Without any word to find, photos come newest first. `refine` is the
        number of refinement words wanted; `evidence_of` tells the words of a photo that others
        are to be like.
        """
        snapshot = self._snapshot
        limit, offset = max(0, limit), max(0, offset)
        wanted = conditions(query)
        with tantivy_errors(self._folder.path):
            compiled = compile_query(snapshot, wanted, evidence_of)
            total, full = snapshot.search(
                compiled.all_of(), limit, offset, newest_first=not compiled.is_ranked
            )
            partial: list[Scored] = []
            partial_total = 0
            if len(compiled.wanted) > 1 or compiled.is_doubtful:
                any_word = compiled.within(boolean(Occur.Should, compiled.alternatives))
                partial_total = snapshot.count(any_word) - total
                if partial_total and len(full) < limit:
                    room = limit - len(full)
                    partial = (
                        _search_partial(snapshot, compiled, room, max(0, offset - total))
                        if offset
                        else _first_partial(snapshot, compiled, room, full)
                    )
            tail: list[Scored] = []
            related_total = 0
            if related > 0 and compiled.is_ranked:
                before = total + partial_total
                room = min(limit - len(full) - len(partial), related - max(0, offset - before))
                words = associates(snapshot, compiled, total)
                related_total, tail = search_related(
                    snapshot, compiled, words, max(0, room), max(0, offset - before)
                )
            hits = full + partial + tail
            words_to_add, is_estimate = (
                refinements(snapshot, compiled, total, refine) if refine > 0 else ((), False)
            )
            return IndexResults(
                photo_ids=snapshot.photo_ids(hits),
                scores=tuple(hit[0] for hit in hits),
                full=len(full),
                partial=len(partial),
                total=total,
                partial_total=partial_total,
                related_total=min(related, related_total),
                refine=words_to_add,
                refine_is_estimate=is_estimate,
            )

    def words(self, query: Query, limit: int = 100) -> list[TermCount]:
        """Count, exactly, the photos that match all of `query` by content word."""
        snapshot = self._snapshot
        wanted = conditions(query)
        with tantivy_errors(self._folder.path):
            compiled = compile_query(snapshot, wanted, no_evidence)
            found = snapshot.searcher.terms_with_prefix("keys", "", compiled.all_of(), limit)
            return [TermCount(snapshot.word(key_id(key)).shown, count) for key, count in found]

    def complete(self, beginning: str, query: Query, limit: int = 8) -> list[TermCount]:
        """Return what may stand for `beginning`, by what the photos have that match all of `query`.

        It may be some words, or a field and the beginning of a value (see `completions`).
        """
        snapshot = self._snapshot
        wanted = conditions(query)
        with tantivy_errors(self._folder.path):
            compiled = compile_query(snapshot, wanted, no_evidence)
            return completions(snapshot, compiled, beginning, limit)

    def suggest(self, query: Query, limit: int = 3) -> tuple[Query, ...]:
        """Return queries that find something, with other spellings of words that no photo has."""
        snapshot = self._snapshot
        with tantivy_errors(self._folder.path):
            return respelt(
                query,
                snapshot,
                lambda other: snapshot.count(
                    compile_query(snapshot, conditions(other), no_evidence).all_of()
                ),
                limit,
            )


def _search_partial(
    snapshot: Snapshot, compiled: Compiled, limit: int, offset: int
) -> list[Scored]:
    """Find what matches in part or perhaps: more words first, then by score."""
    possible = compiled.possible
    full = boolean(Occur.Must, compiled.wanted)
    if len(possible) > MAX_LEVELS:
        # A constant a word, greater than all of BM25 can give, ranks by the number of words.
        step = _MAX_TERM_SCORE * compiled.term_count
        constants = [tantivy.Query.const_score_query(query, step) for query in possible]
        query = compiled.within(boolean(Occur.Should, (*possible, *constants)), [full])
        hits = snapshot.searcher.search(query, limit, count=False, offset=offset).hits
        return [(score % step, at) for score, at in hits]
    found: list[Scored] = []
    above = [full]
    for level in _levels(compiled):
        query = compiled.within(boolean(Occur.Should, level), above)
        total, page = snapshot.search(query, limit - len(found), offset)
        found += page
        if len(found) >= limit:
            break
        offset = max(0, offset - total)
        above = level
    return found


def _first_partial(
    snapshot: Snapshot, compiled: Compiled, limit: int, full: Sequence[Scored]
) -> list[Scored]:
    """Find the first of `_search_partial`, given all full matches.

    What stands above a level is known here: it is faster to leave that out by name.
    """
    if len(compiled.possible) > MAX_LEVELS:
        return _search_partial(snapshot, compiled, limit, 0)
    known = {(at.segment_ord, at.doc) for _, at in full}
    found: list[Scored] = []
    for level in _levels(compiled):
        query = compiled.within(boolean(Occur.Should, level))
        wanted = limit - len(found) + len(known)
        hits = snapshot.searcher.search(query, wanted, count=False).hits
        page = [(score, at) for score, at in hits if (at.segment_ord, at.doc) not in known]
        found += page[: limit - len(found)]
        if len(found) >= limit:
            break
        known.update((at.segment_ord, at.doc) for _, at in page)
    return found


def _levels(compiled: Compiled) -> Iterator[list[tantivy.Query]]:
    """Yield, most words first, queries of which any matches what has so many of the words."""
    # Where no word is doubtful, all of them make a full match.
    for size in range(len(compiled.possible) - (not compiled.is_doubtful), 0, -1):
        yield [boolean(Occur.Must, chosen) for chosen in combinations(compiled.possible, size)]


def _create(generation: Path) -> None:
    tantivy.Index(make_schema(), path=os.fspath(generation), reuse=False)


def _open(folder: IndexFolder) -> Snapshot:
    generation = folder.generation()
    stamp = folder.stamp(generation)
    index = tantivy.Index.open(os.fspath(generation))
    # Else a thread would watch the folder and change the searcher at any time.
    index.config_reader("manual")
    index.reload()
    snapshot = Snapshot(generation, stamp, index, index.searcher())
    # Touch every kind of file now: some damage only shows when they are read.
    snapshot.search(tantivy.Query.all_query(), 1, newest_first=True)
    snapshot.count(snapshot.term("text", "a"))
    refinements(snapshot, Compiled(), snapshot.photo_count, 1)
    return snapshot
