"""From what people type to a `Query`, and what of a text a query matches.

The language: words, `-word`, `"a phrase"`, `-"a phrase"`. Any text at all is a query.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from photosearch.domain import Caption, Clause, Query, TermCount
from photosearch.search import analysis

MAX_CLAUSES = 64
"""More than anybody means; pasted books are cut here, so that no query takes seconds."""
MAX_PHRASE_WORDS = 64

_CONTROLS = (*range(0x20), *range(0x7F, 0xA0))
_CLEAN = str.maketrans(dict.fromkeys("“”„‟«»＂", '"') | {chr(c): " " for c in _CONTROLS})
_SURROGATES = re.compile("[\ud800-\udfff]")
_CLAUSE = re.compile(r'(?P<minus>[-−–—]*)(?:"(?P<phrase>[^"]*)"?|(?P<word>[^\s"]+))')


@dataclass(frozen=True, slots=True)
class Condition:
    """A clause as the index sees it: terms that stand side by side, one of them for a word."""

    text: str
    terms: tuple[str, ...]
    negated: bool


def parse(text: str) -> Query:
    """Read a query; never raises, and `parse(str(query)) == query`.

    What holds no word is left out, as is what follows the first `MAX_CLAUSES` clauses.
    """
    clauses: dict[Clause, None] = {}
    for match in _CLAUSE.finditer(_SURROGATES.sub("\ufffd", text).translate(_CLEAN)):
        phrase = match["phrase"]
        words = match["word"] if phrase is None else " ".join(phrase.split())
        if tokens := analysis.tokenize(words):
            shown = words[tokens[0].start : tokens[-1].end]
            clauses[Clause(shown, phrase is not None, bool(match["minus"]))] = None
            if len(clauses) == MAX_CLAUSES:
                break
    return Query(tuple(clauses))


def conditions(query: Query) -> list[Condition]:
    """Return what a photo must (or, negated, must not) hold to match all of `query`.

    Stop words that stand alone count only where there is nothing else.
    """
    found = []
    for clause in query.clauses[:MAX_CLAUSES]:
        tokens = analysis.tokenize(clause.text)[:MAX_PHRASE_WORDS]
        if tokens:
            ignorable = (
                not clause.phrase and len(tokens) == 1 and analysis.is_stop_word(tokens[0].surface)
            )
            condition = Condition(clause.text, tuple(t.term for t in tokens), clause.negated)
            found.append((ignorable, condition))
    telling = [condition for ignorable, condition in found if not ignorable]
    return telling or [condition for _, condition in found]


def matched(captions: Sequence[Caption], query: Query) -> dict[str, tuple[str, ...]]:
    """Return for each word or phrase of `query` that a photo's captions hold: in which views."""
    wanted = [condition for condition in conditions(query) if not condition.negated]
    views: dict[str, dict[str, None]] = defaultdict(dict)
    for caption in captions:
        texts = [caption.text]
        for tag in caption.tags:
            texts += [tag.word, *tag.synonyms]
        for terms in map(analysis.terms, texts):
            for condition in wanted:
                if next(_occurrences(terms, condition.terms), None) is not None:
                    views[condition.text][caption.view] = None
    return {c.text: tuple(views[c.text]) for c in wanted if c.text in views}


def highlight(text: str, query: Query) -> list[tuple[int, int]]:
    """Return the spans of `text` that match a word or phrase of `query`, in order, disjoint."""
    tokens = analysis.tokenize(text)
    terms = [token.term for token in tokens]
    spans = sorted(
        (tokens[at].start, tokens[at + len(condition.terms) - 1].end)
        for condition in conditions(query)
        if not condition.negated
        for at in _occurrences(terms, condition.terms)
    )
    merged: list[tuple[int, int]] = []
    for start, end in spans:
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def count_words(captions: Sequence[Caption]) -> list[TermCount]:
    """Count how often each content word occurs in a photo's captions, most frequent first.

    Forms of a word count together under the commonest. Of tags those count that the caption's
    text shows, each whole.
    """
    surfaces: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for caption in captions:
        if caption.tags:
            shown = set(caption.text.split(", "))
            for tag in caption.tags:
                if tag.word in shown and (terms := analysis.terms(tag.word)):
                    surfaces[" ".join(terms)][tag.word.lower()] += 1
        else:
            for word in analysis.content_words(caption.text):
                surfaces[word.key][word.shown] += 1
    counts = [
        TermCount(analysis.display_form(forms), sum(forms.values())) for forms in surfaces.values()
    ]
    return sorted(counts, key=lambda count: (-count.count, count.word))


def _occurrences(terms: Sequence[str], wanted: Sequence[str]) -> Iterator[int]:
    """Yield where the terms `wanted` stand side by side in `terms`."""
    first, length = wanted[0], len(wanted)
    at = -1
    while True:
        try:
            at = terms.index(first, at + 1)
        except ValueError:
            return
        if length == 1 or tuple(terms[at : at + length]) == tuple(wanted):
            yield at
