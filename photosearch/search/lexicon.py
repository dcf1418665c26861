"""What words mean to one another: base forms, compounds, synonyms, broader words (WordNet 3.1).

A table that `packaging/make_lexicon.py` makes is mapped into memory and read in place: the terms in
order, and lists of what belongs to each. A *term* is the folded base form of a word; a compound's
is the base forms of its words, joined by `SPACE`.
"""

from __future__ import annotations

import json
import math
import mmap
import re
import struct
from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

import snowballstemmer

from photosearch import paths
from photosearch.domain import Through, display_path
from photosearch.errors import UnavailableError

SPACE = "\x1d"
"""Joins the words of a compound in its term. It sorts before all letters and digits."""

MAGIC = b"LEXICON1"
NOUN, VERB, ADJECTIVE, ADVERB, IDIOM = 1, 2, 4, 8, 16
FORM_SHIFT, PLACES = 5, 3
"""Above the flags of a compound: which of its first words are inflected in it (dining table)."""
STEPS_SHIFT = 24
"""A relation is packed into 32 bits: the term's number, above it the steps to it; so is a sense,
with its share in the uses of the word."""
LOW_BITS = (1 << STEPS_SHIFT) - 1

# What inflections end in, and the base form instead, by the part of speech that it must have:
# the rules of detachment of WordNet's own Morphy, then doubled consonants.
_ENDINGS = (
    ("s", "", NOUN),
    ("es", "", NOUN),
    ("ies", "y", NOUN),
    ("men", "man", NOUN),
    ("s", "", VERB),
    ("es", "", VERB),
    ("ies", "y", VERB),
    ("ed", "e", VERB),
    ("ed", "", VERB),
    ("ied", "y", VERB),
    ("ing", "e", VERB),
    ("ing", "", VERB),
    ("er", "", ADJECTIVE),
    ("er", "e", ADJECTIVE),
    ("ier", "y", ADJECTIVE),
    ("est", "", ADJECTIVE),
    ("est", "e", ADJECTIVE),
    ("iest", "y", ADJECTIVE),
)
_DOUBLED = re.compile(r"(.+([bdfgklmnprtvz]))\2(?:ed|ing|er|est)")
_INITIALS = re.compile(r"[^aeiouy]{2}s")
_ES = re.compile(r".+(?:[sxz]|[cs]h)es")
_NO_PLURAL = re.compile(r".*(?:ss|us|is|[^a-z]s)|.{1,3}|.*[^a-z].*")
_INFLECTED_VERB = re.compile(r"[a-z]*[aeiouy][a-z]*[a-z](?:ing|ed)")

Openings = Mapping[str, tuple[tuple[tuple[str, ...], int], ...]]
"""What opens with a word, by the base form of the second word: those of the words that follow,
longest first, and as bits, the first word's lowest, which words are inflected in it."""

_SOME = 0.5
"""Evidence for a sense that is worth heeding: about one rare word of its signature."""
_SECOND_HAND = 0.4
"""What a word counts that a neighbour only brings along."""
_MARGIN, _MARGIN_OF_RARE = 1.2, 1.5
"""How much more evidence a sense must have than the next one."""


Senses = tuple[tuple[int, int, Mapping[str, float]], ...]
"""A word's senses: the number of each, its share of the uses in percent, its signature."""


@dataclass(frozen=True, slots=True)
class Relation:
    """A term that another one entails: a synonym, or a broader word so many steps up.

    `steps` is 0 for synonyms and for words derived from one another (ski, skier).
    """

    term: str
    through: Through
    steps: int


def detached(word: str) -> Iterator[tuple[str, int]]:
    """Yield what `word` may be an inflection of, regularly, with the part of speech it needs."""
    for ending, instead, part_of_speech in _ENDINGS:
        if word.endswith(ending) and (
            len(word) - len(ending) + len(instead) > 2 or _INITIALS.fullmatch(word)
        ):
            if ending == "s" and word.endswith("ss"):
                continue
            if ending == "es" and not _ES.fullmatch(word) and not word.endswith("oes"):
                continue
            yield word[: len(word) - len(ending)] + instead, part_of_speech
    if doubled := _DOUBLED.fullmatch(word):
        yield doubled[1], ADJECTIVE if word.endswith(("er", "est")) else VERB


class _Table:
    """The mapped file: its terms, and arrays by name."""

    def __init__(self, path: Path) -> None:
        try:
            self._open(path)
        # Tables that are cut off or none at all raise KeyError, TypeError, struct.error, …
        except (OSError, ValueError, LookupError, TypeError, AttributeError, struct.error) as error:
            raise UnavailableError(
                f"The dictionary {display_path(path)} is missing or damaged ({error}). "
                "Please install photosearch anew."
            ) from error

    def _open(self, path: Path) -> None:
        with path.open("rb") as file:
            mapped = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        if mapped[: len(MAGIC)] != MAGIC:
            raise ValueError("it is no lexicon")
        (size,) = struct.unpack_from("<I", mapped, len(MAGIC))
        start = len(MAGIC) + 4 + size
        header = json.loads(bytes(mapped[len(MAGIC) + 4 : start]))
        if start + max(at + length for _, at, length in header.values()) > len(mapped):
            raise ValueError("it is cut off")
        self._arrays = {
            name: mapped[start + at : start + at + length].cast(code)
            for name, (code, at, length) in header.items()
        }
        self._blob = self._arrays["blob"]
        self._ends = self._arrays["ends"]
        self.size = len(self._ends) - 1

    def __getitem__(self, name: str) -> memoryview:
        return self._arrays[name]

    def row(self, name: str, number: int) -> memoryview:
        """Return row `number` of the lists called `name`."""
        ends = self._arrays[name + "_ends"]
        return self._arrays[name][ends[number] : ends[number + 1]]

    def term(self, number: int) -> str:
        return str(self._blob[self._ends[number] : self._ends[number + 1]], "utf-8")

    def at_or_after(self, key: bytes) -> int:
        """Return the number of the first term that does not sort before `key`."""
        blob, ends = self._blob, self._ends
        return bisect_left(
            range(self.size), key, key=lambda number: bytes(blob[ends[number] : ends[number + 1]])
        )

    def find(self, term: str) -> int:
        """Return the number of `term`, or -1."""
        key = term.encode("utf-8", "replace")
        number = self.at_or_after(key)
        if number < self.size and self._blob[self._ends[number] : self._ends[number + 1]] == key:
            return number
        return -1


class Lexicon:
    """Read-only; safe to share among threads."""

    def __init__(self, path: Path) -> None:
        """Map the table at `path`; it stays open. UnavailableError if it is no whole one."""
        self._table = _Table(path)
        self._find = lru_cache(maxsize=1 << 16)(self._table.find)
        self._senses = lru_cache(maxsize=1 << 14)(self._load_senses)
        self._by_senses = lru_cache(maxsize=1 << 14)(self._load_relations)
        self._of_unknown = lru_cache(maxsize=1 << 14)(self._of_head)
        self._context = lru_cache(maxsize=1 << 14)(self._load_context)
        # Asked for each word of a photo with the same neighbours.
        self._contexts = lru_cache(maxsize=8)(self._count_contexts)
        self._compounds: dict[str, Openings] = {}

    def __contains__(self, term: object) -> bool:
        return isinstance(term, str) and self._find(term) >= 0

    def __len__(self) -> int:
        return self._table.size

    def base_form(self, folded: str) -> str:
        """Return the singular, infinitive or positive form of a folded word, else itself.

        Only inflections go: painters paint, but a painting is one thing. Words that the lexicon
        does not know lose the endings of regular plurals and English verbs.
        """
        number = self._find(folded)
        if number >= 0:
            base = self._table["base"][number]
            return folded if base == number else self._table.term(base)
        if not folded.isascii() or not folded.isalpha():
            return folded
        best, best_count = "", -1
        for form, part_of_speech in detached(folded):
            number = self._find(form)
            if number >= 0 and self._table["flags"][number] & part_of_speech:
                count = self._table["counts"][number]
                if count > best_count:
                    best, best_count = self._table.term(self._table["base"][number]), count
        return best or self._unknown(folded)

    def _unknown(self, folded: str) -> str:
        if _INFLECTED_VERB.fullmatch(folded):
            stem = str(snowballstemmer.stemmer("english").stemWord(folded))
            return stem + "e" if stem not in self and stem + "e" in self else stem
        if not folded.endswith("s") or _NO_PLURAL.fullmatch(folded):
            return folded
        if folded.endswith("ies") and len(folded) > 5 and folded[:-1] not in self:
            return folded[:-3] + ("ie" if folded.endswith(("kies", "fies")) else "y")
        return folded[: -2 if _ES.fullmatch(folded) else -1]

    def compounds_from(self, first: str) -> Openings:
        """Return the compounds that begin with the base form `first`."""
        known = self._compounds.get(first)
        if known is None:
            known = self._compounds[first] = self._load_compounds(first)
        return known

    def is_idiom(self, compound: str) -> bool:
        """Return whether a compound is not what its head says: a hot dog is no dog."""
        number = self._find(compound)
        return number >= 0 and bool(self._table["flags"][number] & IDIOM)

    def relations(self, term: str, neighbours: Collection[str] = ()) -> tuple[Relation, ...]:
        """Return what `term` entails, nearest first, each term once.

        Of an ambiguous word the commonest senses count, or the one that `neighbours`, the other
        terms of the same photo, speak for (simplified Lesk: Kilgarriff & Rosenzweig 2000, with the
        extended glosses of Banerjee & Pedersen 2002).
        """
        number = self._find(term)
        if number < 0:
            return self._of_unknown(term)
        senses = self._senses(number)
        if len(senses) > 1 and neighbours:
            meant = self._meant(term, senses, neighbours)
            if meant is not None:
                return self._by_senses(number, (meant,))
        return self._by_senses(number, tuple(sense for sense, share, _ in senses if share))

    def kinds(self, term: str) -> tuple[str, ...]:
        """Return the words that say less than `term`, but nearest to it: phone for cell phone."""
        head = head_of(term)
        broader = [r for r in self.relations(term) if r.through is Through.BROADER]
        steps = 1
        if head != term and term in self and not self.is_idiom(term):
            steps = next((r.steps for r in broader if r.term == head), 0)
            if not steps:
                return (head,)
        nearest = [r.term for r in broader if r.steps == steps and SPACE not in r.term]
        return tuple(sorted(nearest, key=lambda kind: kind != head))

    def _load_compounds(self, first: str) -> Openings:
        found: dict[str, list[tuple[tuple[str, ...], int]]] = {}
        prefix = (first + SPACE).encode("utf-8", "replace")
        for number in range(self._table.at_or_after(prefix), self._table.size):
            words = self._table.term(number).split(SPACE)
            if words[0] != first or len(words) < 2:
                break
            form = self._table["flags"][number] >> FORM_SHIFT
            found.setdefault(words[1], []).append((tuple(words[2:]), form))
        return {
            second: tuple(sorted(rests, key=lambda rest: len(rest[0]), reverse=True))
            for second, rests in found.items()
        }

    def _of_head(self, term: str) -> tuple[Relation, ...]:
        """Return the relations of a word that WordNet lacks by its last part: smartphone."""
        if term.isascii() and term.isalpha():
            for at in range(3, len(term) - 3):
                head = self._find(term[at:])
                if head >= 0 and self._find(term[:at]) >= 0 and self._senses(head):
                    above = (
                        Relation(relation.term, Through.BROADER, relation.steps + 1)
                        for relation in self.relations(term[at:])
                    )
                    return (Relation(term[at:], Through.BROADER, 1), *above)
        return ()

    def _load_senses(self, number: int) -> Senses:
        """Return the senses of a term: the number, its share of uses in percent, its signature.

        Signatures are there only where there is a choice: terms and the weight of meeting them.
        """
        row = self._table.row("senses", number)
        senses = []
        for packed in row:
            sense, share = packed & LOW_BITS, packed >> STEPS_SHIFT
            signature = {}
            if len(row) > 1:
                for other in self._table.row("signatures", sense):
                    if other != number:
                        rarity = math.log(20_000 / (1 + self._table["spread"][other]))
                        signature[self._table.term(other)] = max(0.2, rarity) / 5
            senses.append((sense, share, signature))
        return tuple(senses)

    def _meant(self, term: str, senses: Senses, neighbours: Collection[str]) -> int | None:
        """Return the sense that `neighbours` speak for, if any."""
        evidence = [
            sum(signature[near] for near in signature.keys() & neighbours)
            for _, _, signature in senses
        ]
        if max(evidence) < _SOME:
            context = self._contexts(frozenset(neighbours))
            own = self._context(term) if term in neighbours else ()
            evidence = [
                value
                + sum(
                    _SECOND_HAND * weight * (context[word] - (word in own))
                    for word, weight in signature.items()
                    if word in context
                )
                for value, (_, _, signature) in zip(evidence, senses, strict=True)
            ]
        ranked = sorted(
            range(len(senses)), key=lambda at: (evidence[at], senses[at][1]), reverse=True
        )
        best, second = ranked[:2]
        margin = _MARGIN if senses[best][1] else _MARGIN_OF_RARE
        if evidence[best] < _SOME or evidence[best] < margin * evidence[second]:
            return None
        return senses[best][0]

    def _count_contexts(self, neighbours: frozenset[str]) -> Counter[str]:
        """Return by how many of the neighbours each word is brought along."""
        return Counter(word for near in neighbours for word in self._context(near))

    def _load_context(self, term: str) -> frozenset[str]:
        """Return what a word brings along: the signature of its commonest sense, its kinds."""
        number = self._find(term)
        senses = self._senses(number) if number >= 0 else ()
        signature = max(senses, key=lambda sense: sense[1])[2].keys() if senses else ()
        return frozenset((*signature, *(relation.term for relation in self.relations(term))))

    def _load_relations(self, number: int, senses: tuple[int, ...]) -> tuple[Relation, ...]:
        nearest: dict[int, int] = dict.fromkeys(self._table.row("derived", number), 0)
        for sense in senses:
            for packed in self._table.row("relations", sense):
                other, steps = packed & LOW_BITS, packed >> STEPS_SHIFT
                if other != number:
                    nearest[other] = min(steps, nearest.get(other, steps))
        return tuple(
            Relation(self._table.term(other), Through.BROADER if steps else Through.SYNONYM, steps)
            for other, steps in sorted(nearest.items(), key=lambda item: item[1])
        )


@cache
def lexicon() -> Lexicon:
    """Return the lexicon that comes with photosearch."""
    return Lexicon(paths.resource("lexicon", "wordnet.lex"))


def head_of(compound: str) -> str:
    """Return the word that says what a compound is: its last, or the one before "of"."""
    words = compound.split(SPACE)
    for preposition in ("of", "in", "on"):
        if preposition in words[1:]:
            return words[words.index(preposition) - 1]
    return words[-1]
