"""How much speaks for each term in a photo: from captions, tags and names to term frequencies.

Each text that names a thing is a *mention* of so much weight; a term's weights add up, and its
strength in the index grows with a root of the sum, so that the eighteenth view that says "dog" adds
little. A mention speaks for what its term entails, too, with a smaller share: always more for
the word itself than for a synonym, for a synonym more than for a broader word.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from photosearch.domain import Caption, Tag, Through
from photosearch.search import analysis
from photosearch.search.claims import Certainty, claims, written
from photosearch.search.lexicon import Relation
from photosearch.search.lexicon import lexicon as shipped_lexicon

VERSION = 4
"""Raise it with every change of what speaks for a term, or how much: indexes are then rebuilt."""

WHOLE = "whole"
"""The view that shows all of a photo; what its crops alone show is small."""


@dataclass(frozen=True, slots=True)
class Weights:
    """How much a mention counts; a plain one, seen once in the whole photo, is 1.

    Strengths are term frequencies: one of s scores s / (s + 1.2) in the index.
    """

    mention: float = 4.0
    """Strength of a plain mention, `growth` the power by which strength grows with weight: the
    mentions of 18 views make 23."""
    growth: float = 0.6
    hedged: float = 0.4
    written: float = 0.04
    repeated: float = 0.7
    """Where the same caption mentions a term again."""
    fading: float = 200.0
    """Characters into a caption where a mention counts half: models make up more the longer they
    write (Zhou et al. 2024, "Analyzing and Mitigating Object Hallucination in Large Vision-Language
    Models"), and name first what matters most."""
    late: float = 0.3
    """What a mention counts at least, however late it comes."""
    crop: float = 0.7
    """Where the caption is one of a crop."""
    synonym: float = 0.35
    broader: float = 0.085
    tag: float = 20.0
    """The strength of a tag that is certain: about as much as the captions of all views bring."""
    tag_synonym: float = 0.25
    """Of a tag's strength, for other names of it: more would drown the words in other names."""
    place: float = 3.0
    name: float = 2.0

    def strength(self, weight: float) -> int:
        """Return the term frequency of mentions of so much weight together."""
        return max(1, round(self.mention * math.pow(weight, self.growth)))

    def weight(self, strength: float) -> float:
        """Return the weight that makes a term so strong by itself."""
        return math.pow(strength / self.mention, 1 / self.growth)


MEASURED = Weights()
"""What tests/benchmarks/evidence_quality.py found best."""


@dataclass(frozen=True, slots=True)
class PhotoText:
    """All of a photo that words can find: `paths` as its library's folders hold them."""

    captions: Sequence[Caption]
    paths: Sequence[Path] = ()
    place: str = ""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What words find a photo by.

    `sure` and `doubtful` map terms to strengths from 1 on and share no term. `words` are to be
    shown: what captions say and tags are, nothing that is only entailed. `crop_only` are terms
    of `sure` that crops show and the whole photo does not; `written` is writing inside the photo.
    """

    sure: Mapping[str, int]
    doubtful: Mapping[str, int]
    words: frozenset[analysis.Word]
    crop_only: frozenset[str]
    written: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Mention:
    """A term that one text of a photo brings up. Its `weight` is in units of a plain mention.

    `entails` is False where nothing follows for synonyms and broader words. A `doing` is a word in
    a verb's form: flying shows no fly, so that no broader words follow.
    """

    term: str
    surface: str
    weight: float
    through: Through
    view: str = ""
    doubtful: bool = False
    entails: bool = True
    doing: bool = False


def evidence(photo: PhotoText, *, lexicon: bool = True, weights: Weights = MEASURED) -> Evidence:
    """Return what speaks for which term; without `lexicon` each word only for itself."""
    found = list(mentions(photo, weights))
    sure: dict[str, float] = defaultdict(float)
    doubtful: dict[str, float] = defaultdict(float)
    entailing: dict[tuple[bool, bool, str], float] = defaultdict(float)
    in_whole: set[str] = set()
    in_crops: set[str] = set()
    for mention in _independent(found):
        (doubtful if mention.doubtful else sure)[mention.term] += mention.weight
        if mention.entails:
            entailing[mention.doubtful, mention.doing, mention.term] += mention.weight
    for mention in found:
        if mention.view:
            (in_whole if mention.view == WHOLE else in_crops).add(mention.term)
    if lexicon:
        neighbours = neighbours_of(found)
        related = {term: entailed(term, neighbours) for *_, term in entailing}
        for (is_doubtful, is_doing, term), weight in entailing.items():
            gained = doubtful if is_doubtful else sure
            by_synonym, by_broader = weight * weights.synonym, weight * weights.broader
            for relation in related[term]:
                if (is_doubtful or is_doing) and relation.steps:
                    continue  # what may be a kite makes no photo one of toys
                gained[relation.term] += by_broader if relation.steps else by_synonym
        for terms in (in_whole, in_crops):
            terms.update([r.term for term in terms for r in related.get(term, ())])
    return Evidence(
        sure={term: weights.strength(weight) for term, weight in sure.items()},
        doubtful={
            term: weights.strength(weight) for term, weight in doubtful.items() if term not in sure
        },
        words=frozenset(word for caption in photo.captions for word in shown_words(caption)),
        crop_only=frozenset(in_crops & sure.keys() - in_whole) if in_whole else frozenset(),
        written=tuple(
            dict.fromkeys(
                quoted
                for caption in photo.captions
                if not caption.tags
                for quoted in _read(caption.text).written
            )
        ),
    )


def _independent(found: Sequence[Mention]) -> Iterator[Mention]:
    """Yield the mentions whose weights add up: of tags and names of one term the surest alone."""
    # Measured: to add up the views of a tagger ranks photos worse than its surest view does.
    surest: dict[tuple[str, Through, bool], Mention] = {}
    for mention in found:
        if mention.through is Through.WORD:
            yield mention
        else:
            key = mention.term, mention.through, mention.doubtful
            if key not in surest or mention.weight > surest[key].weight:
                surest[key] = mention
    yield from surest.values()


def neighbours_of(found: Sequence[Mention]) -> frozenset[str]:
    """Return the terms that tell in what sense a photo's words are meant."""
    return frozenset(mention.term for mention in found)


def entailed(term: str, neighbours: Collection[str]) -> tuple[Relation, ...]:
    """Return what a mention of `term` speaks for besides, in a photo that mentions `neighbours`."""
    return shipped_lexicon().relations(term, neighbours)


def is_doing(surface: str, term: str) -> bool:
    """Return whether a word as written is a verb's form of its term: flying, crowded."""
    return surface.lower().endswith(("ing", "ed")) and not term.endswith(("ing", "ed"))


def mentions(photo: PhotoText, weights: Weights = MEASURED) -> Iterator[Mention]:
    """Yield all that brings up a term in a photo, synonyms and broader words aside."""
    for caption in photo.captions:
        yield from (
            _tag_mentions(caption, weights) if caption.tags else _caption_mentions(caption, weights)
        )
    for unit in analysis.units(photo.place):
        weight = weights.weight(weights.place)
        yield Mention(unit.term, unit.surface, weight, Through.PLACE, entails=False)
    names = {part: None for path in photo.paths for part in (*path.parts[:-1], path.stem)}
    for name in names:
        # What a folder is named after is seldom seen in it: Turkey, Rose, May.
        for unit in analysis.units(name):
            weight = weights.weight(weights.name)
            yield Mention(unit.term, unit.surface, weight, Through.NAME, entails=False)


def shown_words(caption: Caption) -> list[analysis.Word]:
    """Return the words of a caption to be shown, with repeats: tags whole, nothing denied."""
    if caption.tags:
        return [word for tag in sure_tags(caption) for word in analysis.label_words(tag.word)]
    return list(_read(caption.text).words)


# -- One text


@dataclass(frozen=True, slots=True)
class _Reading:
    """What a text says: by term its claims, surest first, each with its place, and a surface.

    Then terms that entail others, words to show, and writing.
    """

    said: Mapping[str, tuple[tuple[tuple[Certainty, int], ...], str]]
    entailing: frozenset[str]
    words: tuple[analysis.Word, ...]
    written: tuple[str, ...]


# A photo's texts are read when it is shown, again when words in it are marked and counted.
@lru_cache(maxsize=512)
def _read(text: str) -> _Reading:
    places: dict[str, list[tuple[Certainty, int]]] = {}
    surfaces: dict[str, str] = {}
    found = claims(text)
    for claim in found:
        if claim.certainty is not Certainty.DENIED:
            unit = claim.unit
            places.setdefault(unit.term, []).append((claim.certainty, unit.start))
            if is_doing(surfaces.setdefault(unit.term, unit.surface), unit.term):
                surfaces[unit.term] = unit.surface
    said = {
        term: (tuple(_surest_first(claimed)), surfaces[term]) for term, claimed in places.items()
    }
    seen = {term for term, (claimed, _) in said.items() if claimed[0][0] >= Certainty.HEDGED}
    return _Reading(
        said,
        _entailing([c.unit for c in found if c.certainty is not Certainty.WRITTEN]),
        tuple(word for word in analysis.content_words(text) if word.key in seen),
        tuple(written(text)),
    )


def _entailing(units: Sequence[analysis.Unit]) -> frozenset[str]:
    """Return the terms that stand by themselves: the cell of a cell phone is no room."""
    found = set()
    until = 0
    for unit in units:
        if analysis.SPACE in unit.term:
            found.add(unit.term)
            until = unit.end
        elif unit.end > until:
            found.add(unit.term)
    return frozenset(found)


def _surest_first(claimed: list[tuple[Certainty, int]]) -> list[tuple[Certainty, int]]:
    if len(claimed) > 1:
        claimed.sort(key=lambda each: (-each[0], each[1]))
    return claimed


def _caption_mentions(caption: Caption, weights: Weights) -> Iterator[Mention]:
    whole = 1.0 if caption.view == WHOLE else weights.crop
    worth = {
        Certainty.SEEN: 1.0,
        Certainty.HEDGED: weights.hedged,
        Certainty.WRITTEN: weights.written,
    }
    reading = _read(caption.text)
    for term, (places, surface) in reading.said.items():
        surest = places[0][0]
        if surest is Certainty.DOUBTFUL:
            yield Mention(
                term,
                surface,
                whole,
                Through.WORD,
                caption.view,
                doubtful=True,
                entails=term in reading.entailing,
                doing=is_doing(surface, term),
            )
            continue
        first, *others = (
            worth.get(certainty, 0.0) * max(weights.late, 1 / (1 + place / weights.fading))
            for certainty, place in places
        )
        weight = first + weights.repeated * sum(others)
        yield Mention(
            term,
            surface,
            weight * whole,
            Through.WORD,
            caption.view,
            entails=term in reading.entailing,
            doing=is_doing(surface, term),
        )


def sure_tags(caption: Caption) -> tuple[Tag, ...]:
    """Return the tags that a tagger is sure enough of to show."""
    shown = frozenset(caption.text.split(", "))
    return tuple(tag for tag in caption.tags if tag.word in shown)


def _tag_mentions(caption: Caption, weights: Weights) -> Iterator[Mention]:
    sure = sure_tags(caption)
    for tag in caption.tags:
        is_doubtful = tag not in sure
        names = [(tag.word, 1.0), *((other, weights.tag_synonym) for other in tag.synonyms)]
        for name, part in names:
            weight = weights.weight(max(1.0, weights.tag * tag.score * part))
            units = analysis.units(name)
            # A baby bed is a bed, and no baby.
            entailing = _entailing([unit for unit in units if unit.end == units[-1].end])
            for unit in units:
                yield Mention(
                    unit.term,
                    tag.word,
                    weight,
                    Through.TAG,
                    caption.view,
                    is_doubtful,
                    unit.term in entailing,
                )
