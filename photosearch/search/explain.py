"""Why a query finds a photo, which words of a text it finds, and which words a photo has most.

It reads the same mentions, with the same relations between words, as the index was filled from.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from photosearch.domain import Caption, Field, Match, Query, TermCount, Through
from photosearch.search import analysis
from photosearch.search.claims import Certainty, claims
from photosearch.search.conditions import Condition, Kind, conditions
from photosearch.search.evidence import (
    WHOLE,
    Mention,
    PhotoText,
    entailed,
    evidence,
    is_doing,
    mentions,
    neighbours_of,
    shown_words,
    sure_tags,
)

_rank = list(Through).index


def explain(photo: PhotoText, wanted: Sequence[Condition]) -> tuple[Match, ...]:
    """Return why the photo meets each of the conditions that it meets, the strongest reason first.

    Negated conditions, facts that no words tell (dates, formats) and likeness have no match.
    """
    reader = _Reader(photo)
    found: dict[Match, None] = {}
    for condition in wanted:
        for leaf in condition.leaves():
            if not condition.negated and not leaf.negated:
                found.update(dict.fromkeys(_merged(leaf.clause, reader.reasons(leaf))))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _Reason:
    through: Through
    found: str
    view: str = ""
    doubtful: bool = False


class _Reader:
    """What one photo has to say to conditions."""

    def __init__(self, photo: PhotoText) -> None:
        self._photo = photo
        self._mentions = list(mentions(photo))
        self._neighbours = neighbours_of(self._mentions)

    def reasons(self, condition: Condition) -> list[_Reason]:
        """Return by which words the photo meets the condition; none if it doesn't."""
        match condition.kind:
            case Kind.WORD:
                return self._word(condition)
            case Kind.PHRASE:
                return [
                    *self._side_by_side(condition.terms, condition.clause),
                    *self._named(condition),
                ]
            case Kind.PREFIX:
                return self._beginning(condition.value)
            case Kind.ABOUT:
                return self._about(condition)
            case Kind.FACT:
                return list(self._fact(condition))
            case Kind.LIKE | Kind.GROUP:
                return []

    def _word(self, condition: Condition) -> list[_Reason]:
        found = self._evidence(condition.terms[0].__eq__, condition.clause)
        found += [
            replace(reason, through=Through.SYNONYM)
            if reason.through in (Through.WORD, Through.FORM)
            else reason
            for other in condition.synonyms
            for reason in self._evidence(other.__eq__, other)
        ]
        if condition.parts and all(reason.doubtful for reason in found):
            parts = [
                [r for r in self._evidence(part.__eq__, part) if not r.doubtful]
                for part in condition.parts
            ]
            if all(parts):
                return [reason for part in parts for reason in part]
        return found or [
            _Reason(
                Through.BROADER,
                analysis.spaced(word.shown),
                caption.view,
                doubtful=True,
            )
            for caption in self._photo.captions
            for word in shown_words(caption)
            if word.key in condition.fallback
        ]

    def _evidence(self, is_wanted: Callable[[str], bool], asked: str) -> list[_Reason]:
        """Return the mentions of a term that `is_wanted`, and those that entail one."""
        found = []
        for mention in self._mentions:
            if is_wanted(mention.term):
                found.append(_said(mention, asked))
            elif mention.entails:
                for relation in entailed(mention.term, self._neighbours):
                    is_loose = relation.steps and (mention.doubtful or mention.doing)
                    if is_wanted(relation.term) and not is_loose:
                        through = Through.TAG if _is_other_name(mention) else relation.through
                        found.append(
                            _Reason(through, mention.surface, mention.view, mention.doubtful)
                        )
                        break
        return found

    def _beginning(self, folded: str) -> list[_Reason]:
        """Return the words that are shown and begin so, then terms that do."""
        found = []
        for caption in self._photo.captions:
            through = Through.TAG if caption.tags else Through.WORD
            for word in shown_words(caption):
                if analysis.fold(word.shown).startswith(folded):
                    found.append(_Reason(through, analysis.spaced(word.shown), caption.view))
        known = {reason.found for reason in found}
        return found + [
            reason
            for reason in self._evidence(lambda term: term.startswith(folded), folded)
            if reason.found.lower() not in known and not reason.doubtful
        ]

    def _about(self, condition: Condition) -> list[_Reason]:
        # An idiom's words count by themselves, too, as one photo may call it otherwise.
        terms = dict.fromkeys((*condition.terms, *analysis.terms(condition.value)))
        return [
            reason
            for term in terms
            for reason in self._evidence(term.__eq__, term)
            if not reason.doubtful
        ]

    def _named(self, condition: Condition) -> Iterator[_Reason]:
        for path in self._photo.paths:
            if len(condition.terms) > 1 and occurrences(path.name, condition.terms):
                yield _Reason(Through.NAME, path.name)

    def _side_by_side(self, terms: Sequence[str], asked: str) -> Iterator[_Reason]:
        for caption in self._photo.captions:
            if not caption.tags:
                for start, end in occurrences(caption.text, terms):
                    surface = caption.text[start:end]
                    yield _Reason(_word_or_form(surface, asked), surface, caption.view)
            for tag in sure_tags(caption):
                if any(occurrences(name, terms) for name in (tag.word, *tag.synonyms)):
                    yield _Reason(Through.TAG, tag.word, caption.view)

    def _fact(self, condition: Condition) -> Iterator[_Reason]:
        photo = self._photo
        match condition.field:
            case Field.VIEW:
                yield from self._in_crops(condition)
            case Field.TEXT:
                yield from _holding(condition, Through.TEXT, evidence(photo).written)
            case Field.PLACE:
                yield from _holding(condition, Through.PLACE, photo.place.split(","))
            case Field.NAME:
                yield from _holding(condition, Through.NAME, (path.name for path in photo.paths))
            case Field.IN:
                folders = (os.fspath(path.parent) for path in photo.paths)
                yield from _holding(condition, Through.NAME, folders)
            case Field.TAG:
                for caption in photo.captions:
                    for tag in sure_tags(caption):
                        names = (tag.word, *tag.synonyms)
                        for reason in _holding(condition, Through.TAG, names):
                            yield _Reason(reason.through, tag.word, caption.view)

    def _in_crops(self, condition: Condition) -> Iterator[_Reason]:
        small = evidence(self._photo).crop_only

        def is_wanted(term: str) -> bool:
            if condition.value:
                return term.startswith(condition.value)
            return (term,) == condition.terms

        asked = condition.clause.partition(":")[2]
        for reason in self._evidence(lambda term: term in small and is_wanted(term), asked):
            if reason.view and reason.view != WHOLE:
                yield reason


def _said(mention: Mention, asked: str) -> _Reason:
    through = mention.through
    if through is Through.WORD:
        through = _word_or_form(mention.surface, asked)
    return _Reason(through, mention.surface, mention.view, mention.doubtful)


def _is_other_name(mention: Mention) -> bool:
    return mention.through is Through.TAG and all(
        unit.term != mention.term for unit in analysis.units(mention.surface)
    )


def _word_or_form(surface: str, asked: str) -> Through:
    return Through.WORD if analysis.fold(surface) == analysis.fold(asked) else Through.FORM


def _holding(condition: Condition, through: Through, texts: Iterable[str]) -> Iterator[_Reason]:
    """Yield the texts that hold the condition's terms side by side, then its beginning."""
    for text in texts:
        tokens = analysis.tokenize(text)
        terms = [token.term for token in tokens]
        length = len(condition.terms)
        for at in range(len(terms) - length + 1):
            if tuple(terms[at : at + length]) == condition.terms and (
                not condition.value
                or (at + length < len(tokens) and terms[at + length].startswith(condition.value))
            ):
                yield _Reason(through, text.strip())
                break


def _merged(clause: str, reasons: Collection[_Reason]) -> list[Match]:
    """Return one match for each word that was found, by its strongest reason, with its views.

    Sure ones where there are.
    """
    is_sure = any(not reason.doubtful for reason in reasons)
    reasons = [reason for reason in reasons if reason.doubtful != is_sure]
    through: dict[str, Through] = {}
    for reason in reasons:
        found = reason.found.lower()
        through[found] = min(reason.through, through.get(found, reason.through), key=_rank)
    views: dict[tuple[Through, Sequence[str]], dict[str, None]] = defaultdict(dict)
    shown: dict[tuple[Through, Sequence[str]], str] = {}
    for reason in reasons:
        found = reason.found.lower()
        strongest = through[found]
        # Forms of the word that is asked for are told apart, those of others are not.
        is_asked = strongest in (Through.WORD, Through.FORM)
        key = strongest, (found,) if is_asked else tuple(analysis.terms(found))
        shown.setdefault(key, reason.found)
        views[key].update(dict.fromkeys([reason.view] if reason.view else []))
    return [
        Match(clause, key[0], shown[key], tuple(views[key]), doubtful=not is_sure)
        for key in sorted(views, key=lambda key: _rank(key[0]))
    ]


# -- Marking and counting


def highlight(text: str, query: Query) -> list[tuple[int, int]]:
    """Return the spans of `text` that match a word or phrase of `query`, in order, disjoint.

    Synonyms and words of a kind that is asked for match, too; what the text denies does not.
    """
    leaves = [leaf for c in conditions(query) if not c.negated for leaf in c.leaves()]
    leaves = [leaf for leaf in leaves if not leaf.negated]
    terms = {
        term
        for leaf in leaves
        if leaf.kind in (Kind.WORD, Kind.ABOUT)
        for term in (*leaf.terms, *leaf.parts, *leaf.synonyms)
    }
    beginnings = tuple(leaf.value for leaf in leaves if leaf.kind is Kind.PREFIX)
    spans = [
        span
        for leaf in leaves
        if leaf.kind is Kind.PHRASE
        for span in occurrences(text, leaf.terms)
    ]
    if terms or beginnings:
        said = [claim for claim in claims(text) if claim.certainty is not Certainty.DENIED]
        neighbours = frozenset(claim.unit.term for claim in said)
        for claim in said:
            unit = claim.unit
            if (
                unit.term in terms
                or unit.term.startswith(beginnings)
                or analysis.fold(unit.surface).startswith(beginnings)
                or any(
                    relation.term in terms
                    for relation in entailed(unit.term, neighbours)
                    if not (relation.steps and is_doing(unit.surface, unit.term))
                )
            ):
                spans.append((unit.start, unit.end))
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def occurrences(text: str, terms: Sequence[str]) -> list[tuple[int, int]]:
    """Return the spans of `text` where words of these terms stand side by side."""
    tokens = analysis.tokenize(text)
    length = len(terms)
    return [
        (tokens[at].start, tokens[at + length - 1].end)
        for at in range(len(tokens) - length + 1)
        if all(tokens[at + i].term == term for i, term in enumerate(terms))
    ]


def count_words(captions: Sequence[Caption]) -> list[TermCount]:
    """Count how often each content word occurs in a photo's captions, most frequent first.

    Forms of a word count together under the commonest, compounds and tags whole; what is denied
    does not count, nor do tags that the tagger is not sure of.
    """
    surfaces: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for caption in captions:
        for word in shown_words(caption):
            surfaces[word.key][analysis.spaced(word.shown).lower()] += 1
    counts = [
        TermCount(analysis.display_form(forms), sum(forms.values())) for forms in surfaces.values()
    ]
    return sorted(counts, key=lambda count: (-count.count, count.word))
