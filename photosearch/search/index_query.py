"""From conditions to Tantivy queries."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import tantivy
from tantivy import FieldType, Occur

from photosearch.domain import Field
from photosearch.search import analysis
from photosearch.search.conditions import Condition, Kind
from photosearch.search.index_document import fact_term, newest_key
from photosearch.search.snapshot import Snapshot, boolean, constant

EvidenceOf = Callable[[int], Mapping[str, int]]
"""Returns the terms of a photo and their strengths; empty for one that is not there."""


def no_evidence(_photo_id: int) -> Mapping[str, int]:
    """Know no photo: for what asks for none to be like it."""
    return {}


LIKE_TERMS = 25
"""So many of a photo's words tell what is like it."""

ENOUGH_PHOTOS = 1000
"""Where so many photos have a word, nobody looks through those that have a broader one instead."""

# Weights of a description's words; by tests/benchmarks/evidence_quality.py.
_FUNCTION_WORD = 0.5
_PAIR = 0.15
_BY_EVIDENCE = 0.5
_BY_BEING_THERE = 0.7
_LEAST_SHARE = 0.2
_LIKE_SHARE = 0.15

_SYNONYM = 0.5
_DOUBTFUL = 0.1
_FALLBACK = 0.1
_K1 = 1.2  # of Tantivy's BM25


@dataclass(frozen=True, slots=True)
class Compiled:
    """A query in Tantivy's terms.

    `wanted` are its words, `possible` the same where they may be doubtful, too; `is_doubtful`
    says whether they are anywhere. Any of `alternatives` matches what has any word, perhaps.
    `filters` and `unwanted` hold for partial matches as well. `own` are the keys of its words.
    `is_ranked` is False where nothing tells a better hit.
    """

    wanted: tuple[tantivy.Query, ...] = ()
    possible: tuple[tantivy.Query, ...] = ()
    filters: tuple[tantivy.Query, ...] = ()
    unwanted: tuple[tantivy.Query, ...] = ()
    alternatives: tuple[tantivy.Query, ...] = ()
    is_doubtful: bool = False
    term_count: int = 0
    own: frozenset[str] = field(default_factory=frozenset)

    @property
    def is_ranked(self) -> bool:
        """Whether some hits are better than others."""
        return bool(self.wanted)

    @property
    def is_everything(self) -> bool:
        """Whether all photos match."""
        return not (self.wanted or self.filters or self.unwanted)

    def all_of(self, *more: tantivy.Query) -> tantivy.Query:
        """Match what fits the whole query and `more`."""
        wanted = (*self.wanted, *self.filters, *more) or (tantivy.Query.all_query(),)
        return boolean(Occur.Must, wanted, self.unwanted)

    def within(self, query: tantivy.Query, unwanted: Sequence[tantivy.Query] = ()) -> tantivy.Query:
        """Match what fits `query`, the filters and no unwanted condition."""
        return boolean(Occur.Must, (query, *self.filters), (*unwanted, *self.unwanted))


def compile_query(
    snapshot: Snapshot, conditions: Sequence[Condition], evidence_of: EvidenceOf
) -> Compiled:
    """Return the conditions in Tantivy's terms."""
    compiler = _Compiler(snapshot, evidence_of)
    wanted = [c for c in conditions if not c.negated and not c.is_filter]
    own = {
        key
        for condition in conditions
        for leaf in condition.leaves()
        if leaf.kind is not Kind.FACT
        for key in (
            *leaf.terms,
            *leaf.synonyms,
            "".join(leaf.terms),
            analysis.SPACE.join(leaf.terms),
        )
    }
    return Compiled(
        tuple(compiler.sure(c) for c in wanted),
        tuple(compiler.possible(c) for c in wanted),
        tuple(constant(compiler.sure(c)) for c in conditions if not c.negated and c.is_filter),
        tuple(compiler.sure(c) for c in conditions if c.negated),
        tuple(query for c in wanted for query in compiler.alternatives(c)),
        any(compiler.is_doubtful(c) for c in wanted),
        sum(_most_terms(leaf) for c in wanted for leaf in c.leaves()),
        frozenset(own),
    )


class _Compiler:
    def __init__(self, snapshot: Snapshot, evidence_of: EvidenceOf) -> None:
        self._snapshot = snapshot
        self._schema = snapshot.schema
        self._evidence_of = evidence_of

    def sure(self, condition: Condition) -> tantivy.Query:
        """Match photos that surely meet the condition, negated or not."""
        match condition.kind:
            case Kind.GROUP:
                return self._any_of(condition, self.sure)
            case Kind.PREFIX:
                return self._beginning(condition.value)
            case Kind.FACT:
                return self._fact(condition)
            case Kind.PHRASE:
                said = self._side_by_side("text", condition.terms)
                if len(condition.terms) == 1:
                    return said
                # Words of scripts without spaces are phrases, in the names of files, too.
                named = self._side_by_side("facts", _facts(Field.NAME, condition.terms))
                return boolean(Occur.Should, (said, named))
            case Kind.ABOUT:
                return self._about(condition)
            case Kind.LIKE:
                return self._like(int(condition.value))
            case Kind.WORD:
                term = self._snapshot.term
                found = [term("evidence", condition.terms[0], "freq")]
                found += [
                    tantivy.Query.boost_query(term("evidence", other, "freq"), _SYNONYM)
                    for other in condition.synonyms
                ]
                if condition.parts:
                    parts = [term("evidence", part, "freq") for part in condition.parts]
                    found.append(boolean(Occur.Must, parts))
                return boolean(Occur.Should, found)

    def possible(self, condition: Condition) -> tantivy.Query:
        """Match photos that surely or perhaps meet the condition."""
        if condition.kind is Kind.GROUP:
            return self._any_of(condition, self.possible)
        doubtful = [
            tantivy.Query.boost_query(self._snapshot.term(name, term, "freq"), weight)
            for name, term, weight in self._doubtful(condition)
        ]
        return boolean(Occur.Should, (self.sure(condition), *doubtful))

    def alternatives(self, condition: Condition) -> list[tantivy.Query]:
        """Return queries of which any matches what surely or perhaps meets the condition."""
        if condition.kind is Kind.GROUP:
            return [self.possible(condition)]
        doubtful = [self._snapshot.term(name, term) for name, term, _ in self._doubtful(condition)]
        return [self.sure(condition), *doubtful]

    def is_doubtful(self, condition: Condition) -> bool:
        """Return whether any photo meets the condition only perhaps."""
        return any(self._doubtful(leaf) for leaf in condition.leaves() if not leaf.negated)

    def _doubtful(self, condition: Condition) -> list[tuple[str, str, float]]:
        """Return fields and terms of them that perhaps meet the condition, each with a weight."""
        if condition.kind is not Kind.WORD:
            return []
        terms = [("doubtful", term, _DOUBTFUL) for term in (*condition.terms, *condition.synonyms)]
        # As written: what a broader word stands for elsewhere is of many kinds.
        if self._snapshot.frequency("evidence", condition.terms[0]) < ENOUGH_PHOTOS:
            terms += [("keys", term, _FALLBACK) for term in condition.fallback]
        return [found for found in terms if self._snapshot.frequency(found[0], found[1])]

    def _any_of(
        self, condition: Condition, match: Callable[[Condition], tantivy.Query]
    ) -> tantivy.Query:
        groups = []
        for group in condition.any_of:
            wanted = [match(c) for c in group if not c.negated] or [tantivy.Query.all_query()]
            groups.append(boolean(Occur.Must, wanted, [self.sure(c) for c in group if c.negated]))
        return boolean(Occur.Should, groups)

    def _beginning(self, folded: str) -> tantivy.Query:
        pattern = folded + ".*"  # folded words hold nothing that a regular expression heeds
        regex = tantivy.Query.regex_query
        fields = [regex(self._schema, name, pattern) for name in ("forms", "evidence")]
        return constant(boolean(Occur.Should, fields), 1.0)

    def _side_by_side(self, name: str, terms: Sequence[str]) -> tantivy.Query:
        if len(terms) == 1:
            return self._snapshot.term(name, terms[0], "freq")
        return tantivy.Query.phrase_query(self._schema, name, list(terms))

    def _fact(self, condition: Condition) -> tantivy.Query:
        name = condition.field
        assert name is not None
        if condition.between is not None and name is Field.DATE:
            low, high = (newest_key(seconds) for seconds in condition.between)
            return tantivy.Query.range_query(
                self._schema, "newest", FieldType.Unsigned, low, high, include_upper=False
            )
        if condition.between is not None:
            low, high = (int(stars) for stars in condition.between)
            return tantivy.Query.range_query(self._schema, "stars", FieldType.Unsigned, low, high)
        terms = _facts(Field.HAS if name is Field.NO else name, condition.terms)
        if name is Field.NO:
            everything = tantivy.Query.all_query()
            return boolean(Occur.Must, [everything], [self._side_by_side("facts", terms)])
        if name is Field.TYPE:
            return boolean(Occur.Should, [self._snapshot.term("facts", term) for term in terms])
        if not condition.value:
            return self._side_by_side("facts", terms)
        beginning = fact_term(name, condition.value)
        if terms:
            return tantivy.Query.phrase_prefix_query(self._schema, "facts", [*terms, beginning])
        return tantivy.Query.regex_query(self._schema, "facts", beginning + ".*")

    def _about(self, condition: Condition) -> tantivy.Query:
        """Match what has some of a description's words: as written, in pairs, and by evidence."""
        tokens = analysis.tokenize(condition.value)
        telling = [t.term for t in tokens if not analysis.is_stop_word(t.surface)]
        if condition.negated:
            return boolean(Occur.Must, [self._snapshot.term("text", term) for term in telling])
        query, term = tantivy.Query, self._snapshot.term
        scored = [
            query.boost_query(term("text", function_word, "freq"), _FUNCTION_WORD)
            for function_word in {t.term for t in tokens} - set(telling)
        ]
        for word in dict.fromkeys(telling):
            by_evidence = query.boost_query(term("evidence", word, "freq"), _BY_EVIDENCE)
            # As written or by evidence, whichever says more: both would count the same twice.
            scored.append(query.disjunction_max_query([term("text", word, "freq"), by_evidence]))
            scored.append(constant(term("evidence", word), _BY_BEING_THERE))
        scored += [
            query.boost_query(query.phrase_query(self._schema, "text", list(pair), slop=1), _PAIR)
            for pair in dict.fromkeys(pairwise(telling))
        ]
        words = dict.fromkeys(telling)
        enough = boolean(
            Occur.Should,
            [constant(term("evidence", word)) for word in words],
            at_least=max(1, round(_LEAST_SHARE * len(words))),
        )
        return query.boolean_query(
            [(Occur.Must, enough), *((Occur.Should, score) for score in scored)]
        )

    def _like(self, photo_id: int) -> tantivy.Query:
        """Match what has any of the most telling words of a photo, but not the photo itself."""
        snapshot = self._snapshot
        weights = {
            term: strength / (strength + _K1) * self._rarity(term)
            for term, strength in self._evidence_of(photo_id).items()
            if snapshot.frequency("evidence", term) > 1
        }
        telling = sorted(weights, key=lambda term: (-weights[term], term))[:LIKE_TERMS]
        if not telling:
            return tantivy.Query.empty_query()
        itself = tantivy.Query.term_query(self._schema, "photo_id", photo_id)
        return boolean(
            Occur.Should,
            [snapshot.term("evidence", term, "freq") for term in telling],
            [itself],
            at_least=max(1, round(_LIKE_SHARE * len(telling))),
        )

    def _rarity(self, term: str) -> float:
        """Return the inverse document frequency of BM25."""
        having = self._snapshot.frequency("evidence", term)
        return math.log(1 + (self._snapshot.photo_count - having + 0.5) / (having + 0.5))


def _most_terms(condition: Condition) -> int:
    """Return as many terms as the score of a match may be added up from."""
    match condition.kind:
        case Kind.LIKE:
            return LIKE_TERMS
        case Kind.ABOUT:
            return 2 * len(analysis.terms(condition.value))  # as words, and as pairs
        case _:
            return max(1, len((*condition.terms, *condition.parts, *condition.synonyms)))


def _facts(name: Field, terms: Sequence[str]) -> list[str]:
    return [fact_term(name, term) for term in terms]
