"""From a `Query` to conditions on terms: what the index asks for, and what explains its hits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum, auto

from photosearch.domain import Clause, Field, Query, Through
from photosearch.search import analysis
from photosearch.search.lexicon import lexicon
from photosearch.search.query import MAX_CLAUSES, with_compounds
from photosearch.search.values import date_range, file_formats, knowable, stars_range

MAX_PHRASE_WORDS = 64


class Kind(Enum):
    """How a condition is met."""

    WORD = auto()
    """By evidence of its one term: the word, its forms, synonyms and narrower words."""
    PHRASE = auto()
    """By its terms side by side in a caption, as written."""
    PREFIX = auto()
    """By words that begin so."""
    FACT = auto()
    """By what is known of the file: a filter, which partial matches meet, too."""
    ABOUT = auto()
    """By any of its terms: the more of them the better."""
    LIKE = auto()
    """By the words of another photo."""
    GROUP = auto()
    """By all conditions of any one of its alternatives."""


@dataclass(frozen=True, slots=True)
class Condition:
    """What a photo must, or `negated` must not, show; `clause` is its text in the query.

    `terms` are index terms; of a type of file, its formats. `parts` are the words of a compound
    that is of the kind of its last one: "blue sky" is met by a sky that is blue. `synonyms` mean
    the same, but photos that have them are not known by this rarer word for it: aeroplane.
    `fallback` are broader terms of a word that a photo may have instead, doubtful as that is.
    `value` is a folded beginning (PREFIX, FACT), a description or a photo's id. `between` is the
    half-open range of a date (seconds) or the closed one of stars.
    """

    clause: str
    kind: Kind
    terms: tuple[str, ...] = ()
    negated: bool = False
    field: Field | None = None
    parts: tuple[str, ...] = ()
    synonyms: tuple[str, ...] = ()
    fallback: tuple[str, ...] = ()
    value: str = ""
    between: tuple[float, float] | None = None
    any_of: tuple[tuple[Condition, ...], ...] = ()

    @property
    def is_filter(self) -> bool:
        """Whether a photo that does not meet it is no partial match either."""
        if self.kind is Kind.GROUP:
            return any(condition.is_filter for group in self.any_of for condition in group)
        return self.kind is Kind.FACT

    def leaves(self) -> Iterator[Condition]:
        """Yield the conditions that are no groups, this one or those inside."""
        if self.kind is not Kind.GROUP:
            yield self
        for group in self.any_of:
            for condition in group:
                yield from condition.leaves()


def conditions(query: Query) -> list[Condition]:
    """Return what a photo must (or, negated, must not) hold to match all of `query`.

    Stop words that stand alone count only where there is nothing else. Adjacent words that are a
    compound are one condition.
    """
    found = [
        (_is_ignorable(clause), condition)
        for clause in with_compounds(query.clauses[:MAX_CLAUSES])
        for condition in [_condition(clause)]
        if condition is not None
    ]
    telling = [condition for ignorable, condition in found if not ignorable]
    return telling or [condition for _, condition in found]


def _condition(clause: Clause) -> Condition | None:
    """Return what `clause` asks for; None if it holds no word."""
    text = str(replace(clause, negated=False)) if clause.field or clause.any_of else clause.text
    if clause.any_of:
        groups = tuple(tuple(conditions(query)) for query in clause.any_of)
        groups = tuple(group for group in groups if group)
        if not groups:
            return None
        return Condition(text, Kind.GROUP, negated=clause.negated, any_of=groups)
    if clause.field is not None:
        return _fact(clause, clause.field, text)
    tokens = analysis.tokenize(clause.text)[:MAX_PHRASE_WORDS]
    terms = tuple(token.term for token in tokens)
    if clause.prefix:
        folded = analysis.fold(clause.text[: analysis.MAX_WORD])
        return (
            Condition(clause.text + "*", Kind.PREFIX, negated=clause.negated, value=folded)
            if folded
            else None
        )
    if not terms:
        return None
    compound = _compound(clause.text) if len(terms) > 1 else ""
    # Of function words there is no evidence.
    is_plain = len(terms) == 1 and not clause.phrase and not analysis.is_stop_word(clause.text)
    if compound or is_plain:
        term = compound or terms[0]
        return Condition(
            text,
            Kind.WORD,
            (term,),
            clause.negated,
            parts=terms if compound and not lexicon().is_idiom(compound) else (),
            synonyms=_unentailed(term),
            fallback=lexicon().kinds(term),
        )
    return Condition(text, Kind.PHRASE, terms, clause.negated)


def _unentailed(term: str) -> tuple[str, ...]:
    """Return the synonyms of a word that do not entail it: evidence of them is none of it."""
    known = lexicon().relations
    return tuple(
        other.term
        for other in known(term)
        if other.through is Through.SYNONYM and all(back.term != term for back in known(other.term))
    )


def _fact(clause: Clause, field: Field, text: str) -> Condition | None:
    """Return the condition of a clause with a field; None for a value that says nothing."""
    fact = Condition(text, Kind.FACT, negated=clause.negated, field=field)
    terms = tuple(analysis.terms(clause.text)[:MAX_PHRASE_WORDS])
    if field is Field.DATE:
        dates = date_range(clause.text)
        return replace(fact, between=dates) if dates else None
    if field is Field.STARS:
        stars = stars_range(clause.text)
        return replace(fact, between=stars) if stars else None
    if field is Field.TYPE:
        formats = [term for name in file_formats(clause.text) for term in analysis.terms(name)]
        return replace(fact, terms=tuple(sorted(formats))) if formats else None
    if field in (Field.HAS, Field.NO):
        terms = tuple(analysis.terms(knowable(clause.text)))
        return replace(fact, terms=terms) if terms else None
    if field is Field.LIKE:
        return replace(fact, kind=Kind.LIKE, value=clause.text) if clause.text.isdecimal() else None
    if field is Field.ABOUT:
        telling = dict.fromkeys(unit.term for unit in analysis.units(clause.text))
        if telling:
            return replace(fact, kind=Kind.ABOUT, terms=tuple(telling), value=clause.text)
        return Condition(text, Kind.PHRASE, terms, clause.negated) if terms else None
    if field is Field.VIEW and (compound := _compound(clause.text)):
        terms = (compound,)
    if clause.prefix:
        # The last word is the one that only begins so.
        return replace(fact, terms=terms[:-1], value=_last_folded(clause.text)) if terms else None
    return replace(fact, terms=terms) if terms else None


def _last_folded(text: str) -> str:
    return analysis.fold(analysis.tokenize(text)[-1].surface)


def _compound(text: str) -> str:
    """Return the term of the compound that `text` is, or nothing."""
    words = [token.surface for token in analysis.tokenize(text)]
    length, term = analysis.first_compound(words)
    return term if length == len(words) else ""


def _is_ignorable(clause: Clause) -> bool:
    plain = clause.field is None and not (clause.phrase or clause.prefix or clause.any_of)
    return plain and analysis.is_stop_word(clause.text) and len(analysis.terms(clause.text)) == 1
