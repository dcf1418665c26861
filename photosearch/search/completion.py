"""What the word at the cursor may become, by what the photos of a result have."""

from __future__ import annotations

import re
from collections import defaultdict

import tantivy

from photosearch.domain import Clause, Field, TermCount, Through
from photosearch.search import analysis
from photosearch.search.folding import fold
from photosearch.search.index_document import SEPARATOR, fact_beginning, key_id
from photosearch.search.index_query import Compiled
from photosearch.search.lexicon import lexicon
from photosearch.search.snapshot import Snapshot

_FIELD = re.compile(rf"(?P<field>{'|'.join(Field)}):\s*", re.IGNORECASE)


def completions(
    snapshot: Snapshot, compiled: Compiled, beginning: str, limit: int
) -> list[TermCount]:
    """Return what may stand in place of `beginning` in a query, most photos of the result first.

    It may hold several words, of which the photos have a compound, or a field with the beginning
    of a value, which is completed as people write it: `in:"album 12"`. Of a word that no photo
    has, other words for it are returned. Case and accents don't matter.
    """
    match = _FIELD.match(beginning)
    if match:
        field = Field(match["field"].lower())
        return _values(snapshot, compiled, field, beginning[match.end() :], limit)
    folded = fold(beginning[: analysis.MAX_WORD])
    if not folded:
        return []
    return _words(snapshot, compiled, folded, limit) or _others(
        snapshot, compiled, beginning, limit
    )


def _words(snapshot: Snapshot, compiled: Compiled, folded: str, limit: int) -> list[TermCount]:
    """Return words that begin so, each once for all its forms, with the photos of all of them."""
    found = _beginning(snapshot, compiled, folded, 4 * limit + len(compiled.own))
    surfaces: dict[str, dict[str, int]] = defaultdict(dict)
    for form, count in found:
        _, key, shown = form.split(SEPARATOR)
        if key not in compiled.own:
            surfaces[key][analysis.spaced(shown)] = count
    words = [
        TermCount(analysis.display_form(forms), _having(snapshot, compiled, key))
        for key, forms in list(surfaces.items())[:limit]
    ]
    return _most_first(words)


def _others(snapshot: Snapshot, compiled: Compiled, beginning: str, limit: int) -> list[TermCount]:
    """Return words of the result that mean what `beginning` does."""
    key = analysis.SPACE.join(analysis.terms(beginning))
    others = (r.term for r in lexicon().relations(key) if r.through is Through.SYNONYM)
    words = [
        TermCount(snapshot.word(key_id(other)).shown, count)
        for other in others
        if other not in compiled.own
        and snapshot.frequency("keys", other)
        and (count := _having(snapshot, compiled, other))
    ]
    return _most_first(words)[:limit]


def _values(
    snapshot: Snapshot, compiled: Compiled, field: Field, beginning: str, limit: int
) -> list[TermCount]:
    """Return the field with its values of which a word begins so."""
    counts: dict[str, int] = {}
    if field is Field.VIEW:
        folded = fold(beginning[: analysis.MAX_WORD])
        words = _words(snapshot, compiled, folded, limit) if folded else []
        counts = {word.word: word.count for word in words}
    else:
        known = Field.HAS if field is Field.NO else field
        for form, count in _beginning(
            snapshot, compiled, fact_beginning(known, beginning), 4 * limit
        ):
            value = analysis.spaced(form.rpartition(SEPARATOR)[2])
            counts[value] = min(max(count, counts.get(value, 0)), snapshot.photo_count)
        if field is Field.NO:
            total = snapshot.count(compiled.all_of())
            counts = {value: total - having for value, having in counts.items()}
    words = [TermCount(str(Clause(value, field=field)), count) for value, count in counts.items()]
    return _most_first([word for word in words if word.count > 0])[:limit]


def _beginning(
    snapshot: Snapshot, compiled: Compiled, beginning: str, limit: int
) -> list[tuple[str, int]]:
    """Return the most frequent forms in the result that begin so, and in how many photos."""
    # Without a filter, photos that were written anew count twice for a while; it is faster by far.
    within = None if compiled.is_everything else compiled.all_of()
    return list(snapshot.searcher.terms_with_prefix("forms", beginning, within, limit))


def _having(snapshot: Snapshot, compiled: Compiled, key: str) -> int:
    has_key: tantivy.Query = snapshot.term("keys", key)
    return snapshot.count(compiled.all_of(has_key))


def _most_first(words: list[TermCount]) -> list[TermCount]:
    return sorted(words, key=lambda word: (-word.count, word.word))
