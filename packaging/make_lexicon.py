"""Writes resources/lexicon/wordnet.lex from WordNet: what resources/lexicon/README.md describes.

Run by hand: `python packaging/make_lexicon.py DICT EXCEPTIONS`, where DICT is the folder of
WordNet 3.1's data.noun, index.sense … and EXCEPTIONS the one of WordNet's noun.exc, verb.exc and
adj.exc (README.md beside the table says where to get both).
"""

from __future__ import annotations

import json
import re
import struct
import sys
import tempfile
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from wordnet_words import (
    ANIMAL,
    ARTIFACT,
    BODY,
    CONCRETE,
    FOOD,
    GROUP,
    OBJECT,
    PERSON,
    PLANT,
    SUBSTANCE,
    THINGS,
    Synset,
    Vocabulary,
    WordNet,
)

from photosearch.search import lexicon as lx
from photosearch.search.folding import fold, words_in
from photosearch.search.function_words import BOILERPLATE, STOP_WORDS

TARGET = Path(__file__).resolve().parent.parent / "resources/lexicon/wordnet.lex"

# A compound that misses these through its head is an idiom; other heads mislead nobody.
BODIES = {ANIMAL, BODY, FOOD, PERSON, PLANT}
THINGS_SEEN = {ANIMAL, ARTIFACT, FOOD, PLANT}
MATTER = {ARTIFACT, FOOD, OBJECT, PLANT, SUBSTANCE, 19}  # 19: weather and other phenomena
DOINGS = {29, 33, 35, 36, 38}  # what bodies do, competition, contact, creation, motion
# What the eye tells of a thing: compounds that begin with an adjective of these (old man, yellow
# jacket) mostly mean no more than their words.
VISIBLE = ("color", "colour", "age", "size", "length", "height", "stature", "width", "magnitude")


MAX_SENSES = 3
HEAD_SENSES = 3
MAX_DERIVED = 3
MAX_CHOICES = 9
"""Senses that the neighbours of a word may speak for."""
MAX_SIGNATURE = 18
COMMON_SHARE = 0.15
FEW, RARE = 8, 100
LARGE, TOO_LARGE = 700, 150
"""A class with more than `LARGE` kinds is worth naming if people name it: once for each 150."""


def csr(rows: Iterable[Sequence[int]]) -> tuple[array[int], array[int]]:
    """Return rows end to end, and where each ends."""
    values, ends = array("I"), array("I", [0])
    for row in rows:
        values.extend(row)
        ends.append(len(values))
    return values, ends


def write(target: Path, terms: Sequence[str], arrays: dict[str, array[int]]) -> None:
    """Write the table: the magic bytes, the header's length, the header as JSON, the arrays."""
    encoded = [term.encode() for term in terms]
    ends = array("I", [0])
    for word in encoded:
        ends.append(ends[-1] + len(word))
    arrays = {"blob": array("B", b"".join(encoded)), "ends": ends, **arrays}
    header, body = {}, b""
    for name, values in arrays.items():
        body += b"\0" * (-len(body) % 4)
        if sys.byteorder == "big":
            values.byteswap()
        header[name] = (values.typecode, len(body), len(values) * values.itemsize)
        body += values.tobytes()
    text = json.dumps(header).encode()
    text += b" " * (-(len(lx.MAGIC) + 4 + len(text)) % 4)
    scratch = target.with_suffix(".new")
    scratch.write_bytes(lx.MAGIC + struct.pack("<I", len(text)) + text + body)
    scratch.replace(target)  # Programs that run have the old one mapped.


class Maker:
    """From the vocabulary to the table's rows."""

    def __init__(self, wordnet: WordNet, words: Vocabulary) -> None:
        self.wordnet, self.words = wordnet, words
        with tempfile.TemporaryDirectory() as folder:
            first = Path(folder) / "words.lex"
            self._write_words(first)
            self.base_form = lx.Lexicon(first).base_form
        self.shallow = {self.base_form(word) for word in BOILERPLATE}
        self.forms: dict[str, set[tuple[bool, ...]]] = defaultdict(set)
        self.opened: dict[str, list[tuple[str, int]]] = {}
        self.lemmas: dict[str, list[tuple[str, int]]] = defaultdict(list)
        for word, lemmas in words.lemmas.items():
            self.lemmas[words.bases[word]] += lemmas
        for parts, lemmas in sorted(words.compounds.items()):
            compound = lx.SPACE.join(map(self.base_form, parts))
            if not self._says_no_more(compound.split(lx.SPACE), lemmas) and not self._is_clause(
                parts
            ):
                self.forms[compound].add(self._form(parts))
                self.lemmas[compound] += [
                    lemma for lemma in lemmas if lemma not in self.lemmas[compound]
                ]
        self._add_open_compounds()
        self.terms = sorted({*self.lemmas, *words.bases}, key=str.encode)
        self.number = {term: number for number, term in enumerate(self.terms)}
        self.term_of = {
            lemma: term
            for term, lemmas in self.lemmas.items()
            if term not in self.opened
            for lemma in sorted(lemmas)
        }
        self.open_form = {nouns[0]: compound for compound, nouns in self.opened.items()}
        self.choices = {term: self._senses(lemmas) for term, lemmas in self.lemmas.items()}
        self.common: dict[str, set[Synset]] = {
            term: {s for s, share in senses if share} for term, senses in self.choices.items()
        }

    def _add_open_compounds(self) -> None:
        """Let "cell phone" be the same as "cellphone", whose head is among its broader words."""
        words = self.words
        for word in sorted(words.counts):
            if not words.has(word, lx.NOUN) or words.bases[word] != word:
                continue
            nouns = [lemma for lemma in self.lemmas[word] if lemma[1] == lx.NOUN]
            above = {
                s
                for lemma in nouns
                for _, sense, _ in self.wordnet.senses[lemma][:1]
                for s in self.wordnet.above(sense)
            }
            for at in range(3, len(word) - 2):
                first, head = word[:at], word[at:]
                if self._is_visible(first) or first in self.shallow:
                    continue
                if words.has(first, lx.NOUN) and words.has(head, lx.NOUN):
                    compound = lx.SPACE.join((self.base_form(first), self.base_form(head)))
                    if compound not in self.lemmas and above & self._head_senses(head):
                        self.opened[compound] = nouns
                        self.forms[compound] = {(False, False)}
        for compound, nouns in self.opened.items():
            self.lemmas[compound] = nouns

    def _flags(self, terms: Sequence[str]) -> array[int]:
        return array("B", [sum(self.words.counts.get(term, ())) for term in terms])

    def _counts(self, terms: Sequence[str]) -> array[int]:
        counts = self.words.counts
        return array("H", [min(65535, counts[t].total() if t in counts else 0) for t in terms])

    def _write_words(self, target: Path) -> None:
        terms = sorted(self.words.bases, key=str.encode)
        number = {term: i for i, term in enumerate(terms)}
        base = array("I", [number[self.words.bases[term]] for term in terms])
        flags, counts = self._flags(terms), self._counts(terms)
        write(target, terms, {"base": base, "counts": counts, "flags": flags})

    def _form(self, parts: Sequence[str]) -> tuple[bool, ...]:
        """Return which words of a compound are inflected in it: dining table."""
        return tuple(self.base_form(word) != word for word in parts)

    def _is_clause(self, parts: Sequence[str]) -> bool:
        """Return whether words side by side rather say what someone does: a baby sitting."""
        if not parts[-1].endswith("ing") or self.base_form(parts[-1]) == parts[-1]:
            return False
        files = self.words.file.get((parts[0], lx.NOUN), [])
        return bool(set(files[:2]) & {PERSON, ANIMAL})

    def _says_no_more(self, parts: list[str], lemmas: list[tuple[str, int]]) -> bool:
        """Return whether a compound is rather its words: a jacket that is yellow, a young man."""
        senses = [s for lemma, part in lemmas for _, s, _ in self.wordnet.senses[lemma, part]]
        files = {self.wordnet.synsets[synset].file for synset in senses}
        if set(parts) & STOP_WORDS:
            synonyms = {word.lower() for s in senses for word in self.wordnet.synsets[s].lemmas}
            return not files & THINGS or parts[-1] in synonyms
        if parts[0] in self.shallow or self._is_visible(parts[0]):
            return self._is_exocentric(parts, senses) or not files & {ANIMAL, FOOD, PLANT}
        return False

    def _is_visible(self, word: str) -> bool:
        if not self.words.counts.get(word, Counter())[lx.ADJECTIVE]:
            return False
        for _, synset, _ in self.wordnet.senses.get((word, lx.NOUN), ())[:3]:
            if any("color" in self.wordnet.synsets[s].lemmas for s in self.wordnet.above(synset)):
                return True
        for _, synset, _ in self.wordnet.senses.get((word, lx.ADJECTIVE), ())[:3]:
            near = [synset, *(t for s, t, *_ in self.wordnet.synsets[synset].pointers if s == "&")]
            for at in near:
                entry = self.wordnet.synsets[at]
                named = {
                    lemma.lower()
                    for symbol, target, *_ in entry.pointers
                    if symbol == "="
                    for lemma in self.wordnet.synsets[target].lemmas
                }
                if named & set(VISIBLE) or {"chromatic", "achromatic"} & set(entry.lemmas):
                    return True
        return False

    def _is_colour(self, synset: Synset) -> bool:
        return any("color" in self.wordnet.synsets[s].lemmas for s in self.wordnet.above(synset))

    def _is_idiom(self, parts: list[str], senses: list[Synset]) -> bool:
        """Return whether the head of a compound misleads who looks for it: a hot dog."""
        head = self.wordnet.senses.get((parts[-1], lx.NOUN), ())
        named = {self.wordnet.synsets[s].file for _, s, _ in head[:2]}
        if set(parts) & STOP_WORDS or not named & BODIES:
            return False
        if any(self.wordnet.synsets[s].file == PERSON for s in senses[:1]) and PERSON in named:
            return False
        return self._is_exocentric(parts, senses)

    def _is_exocentric(self, parts: list[str], senses: list[Synset]) -> bool:
        """Return whether a compound is not what its head commonly means."""
        head = lx.head_of(lx.SPACE.join(parts))
        of_head = self._head_senses(head)
        kin = {s for sense in of_head for s in self.wordnet.synsets[sense].broader}
        for synset in senses[:2]:
            entry = self.wordnet.synsets[synset]
            if of_head & {synset, *self.wordnet.above(synset)} or head in self._genus(synset):
                return False
            if any(s in kin and self.wordnet.kinds[s] < LARGE for s in entry.broader):
                return False
        return True

    def _head_senses(self, head: str) -> set[Synset]:
        """Return what people mean by the head of a compound; all it can where nobody counted."""
        found: set[Synset] = set()
        for lemma, part in self.lemmas.get(head, ()):
            if part == lx.NOUN:
                senses = self.wordnet.senses[lemma, part]
                total = sum(count for *_, count in senses)
                for number, synset, count in senses:
                    few = total < FEW and number <= MAX_CHOICES
                    if number <= HEAD_SENSES or few or count >= COMMON_SHARE * total:
                        found.add(synset)
        return found

    def _genus(self, synset: Synset) -> set[str]:
        """Return the words with which a definition begins: what it says the thing is."""
        found: set[str] = set()
        for match in words_in(re.sub(r"\(.*?\)", "", self.wordnet.synsets[synset].gloss)):
            word = fold(match.group())
            base = self.base_form(word)
            if word not in ("a", "an", "the"):
                if word in STOP_WORDS or (base != word and word.endswith(("ing", "ed"))):
                    break
                found.add(base)
        return found

    def _senses(self, lemmas: list[tuple[str, int]]) -> list[tuple[Synset, int]]:
        """Return noun senses with shares of use in percent, commonest first; 0 for the rare."""
        total = 0
        shares: Counter[Synset] = Counter()
        order: dict[Synset, int] = {}
        by_part: Counter[int] = Counter()
        nouns = [lemma for lemma, part in lemmas if part == lx.NOUN]
        if any(not lemma.endswith("ing") for lemma in nouns):
            # A pet is nothing that is petted.
            lemmas = [(w, part) for w, part in lemmas if part != lx.NOUN or not w.endswith("ing")]
        for lemma, part in lemmas:
            for number, synset, count in self.wordnet.senses[lemma, part]:
                total += count
                by_part[part] += count
                if part == lx.NOUN and not self.wordnet.synsets[synset].is_instance:
                    shares[synset] += count
                    order[synset] = min(number, order.get(synset, 99))
        if len(order) > 1 and "_" in lemmas[0][0] and not sum(shares.values()):
            # Slang calls people after things: the thing is meant (hot dog).
            things = [s for s in order if self.wordnet.synsets[s].file in CONCRETE - {PERSON}]
            if things:
                best = min(things, key=lambda s: (order[s], s))
                shares, order = Counter({best: 0}), {best: 1}
        if not shares:
            return []
        by_order = sorted(order, key=lambda s: (order[s], s))
        colour = next(filter(self._is_colour, by_order), None)
        is_other = self.wordnet.synsets[by_order[0]].file in {ANIMAL, FOOD, PLANT}
        if colour and by_part.keys() >= {lx.NOUN, lx.ADJECTIVE} and not is_other:
            return [(colour, 100)]  # purple is no robe
        noun = by_part[lx.NOUN]
        files = {synset: self.wordnet.synsets[synset].file for synset in shares}
        # Where nobody counted, what a photo can show is meant: the toy kite, not the cheque.
        ranked = sorted(
            shares,
            key=lambda s: (noun < 3 and files[s] not in CONCRETE, -shares[s], order[s], s),
        )
        # What mostly is a verb or an adjective (play, short) is left alone.
        named = {self.wordnet.synsets[s].file for s in ranked[:2]}
        if noun < 0.3 * total and not (total < RARE and named & THINGS_SEEN):
            return []
        found = []
        for rank, synset in enumerate(ranked):
            entry = self.wordnet.synsets[synset]
            share = shares[synset] / noun if noun else (rank == 0) * 1.0
            uncounted = (
                noun < 3
                and len(found) == 1
                and entry.file in CONCRETE
                and entry.file in THINGS_SEEN
            )
            counted = noun >= 3 and share >= COMMON_SHARE and len(found) < MAX_SENSES
            if rank == 0 or uncounted or counted:
                found.append((synset, max(1, round(100 * share))))
            elif entry.file in CONCRETE and len(found) < MAX_CHOICES:
                kin = len(entry.lemmas) == 1 and any(
                    share and set(entry.broader) & set(self.wordnet.synsets[other].broader)
                    for other, share in found
                )
                found.append((synset, int(kin)))
        return found

    def _usual(self, synset: Synset, *, opened: bool = False) -> list[tuple[str, int]]:
        """Return the terms that a synset is really called by, commonest first, and how often."""
        named: dict[str, int] = {}
        for lemma in self.wordnet.synsets[synset].lemmas:
            term = self.term_of.get((lemma.lower(), synset[0]))
            if term is not None and synset in self.common[term]:
                count = self.wordnet.count[lemma.lower(), synset]
                named[term] = named.get(term, 0) + count
                apart = self.open_form.get((lemma.lower(), synset[0]))
                if opened and apart is not None:
                    named[apart] = count
        most = max(named.values(), default=0)
        return [(t, c) for t, c in sorted(named.items(), key=lambda x: -x[1]) if 25 * c >= most]

    def relations(self, synset: Synset) -> list[int]:
        """Return the packed relations of a synset, nearest first."""
        found = {term: 0 for term, _ in self._usual(synset, opened=True)[:5]}
        for broader, steps in self.wordnet.above(synset).items():
            usual = self._usual(broader)[:2]
            usual = [named for named in usual if 4 * named[1] >= usual[0][1]]
            if steps > 1 and usual and not usual[0][1]:
                usual = usual[:1]
            if usual and self._is_worth_naming(broader, usual[0][1], steps):
                for term, _ in usual:
                    found.setdefault(term, steps)
        if self._are_people(synset):
            found.setdefault("person", 2)
        return [self.number[term] | steps << lx.STEPS_SHIFT for term, steps in found.items()]

    def _is_worth_naming(self, synset: Synset, count: int, steps: int) -> bool:
        kinds = self.wordnet.kinds[synset]
        if kinds > LARGE:
            return count * TOO_LARGE >= kinds and self._is_physical(synset)
        return steps <= 2 or count > 1

    def _is_physical(self, synset: Synset) -> bool:
        return self.wordnet.synsets[synset].file in CONCRETE and any(
            "physical_entity" in self.wordnet.synsets[s].lemmas for s in self.wordnet.above(synset)
        )

    def _are_people(self, synset: Synset) -> bool:
        """Return whether a group's definition says that people form it: audience, crowd, crew."""
        entry = self.wordnet.synsets[synset]
        if entry.file != GROUP or synset[0] != lx.NOUN:
            return False
        definition = re.sub(r"\(.*?\)", "", entry.gloss.split(";")[0])
        for match in words_in(definition):
            senses = self.choices.get(self.base_form(fold(match.group())), ())
            if senses and self.wordnet.synsets[senses[0][0]].lemmas[0] != "group":
                above = [senses[0][0], *self.wordnet.above(senses[0][0])]
                if any(self.wordnet.synsets[s].lemmas[0] == "person" for s in above):
                    return True
        return False

    def signature(self, synset: Synset) -> dict[int, int]:
        """Return the words that go with a sense, and how far from it they were found.

        They are those of its gloss, its kind's, its parts and sisters.
        """
        found: dict[int, int] = {}
        texts: list[tuple[int, str]] = []
        for at in [synset, *self.wordnet.synsets[synset].broader]:
            entry = self.wordnet.synsets[at]
            distance = int(at != synset)
            names = " ".join(entry.lemmas).replace("_", " ")
            texts.append((distance, f"{names} {entry.gloss}"))
            for symbol, target, *_ in entry.pointers:
                near = self.wordnet.synsets[target]
                if symbol[0] in "%#;-~":
                    texts.append((1 + distance, " ".join(near.lemmas[:2]).replace("_", " ")))
                if symbol in ("#p", "%p") and at == synset:
                    texts.append((1, near.gloss.split(";")[0]))
        for distance, text in texts:
            for match in words_in(text):
                base = self.base_form(fold(match.group()))
                known = self.words.counts.get(base)
                if known and 2 * known[lx.NOUN] > known.total() and base not in STOP_WORDS:
                    number = self.number[base]
                    found[number] = min(distance, found.get(number, distance))
        return found

    def derived(self, term: str) -> list[int]:
        """Return terms that share a stem and a picture: skier and ski, wooden and wood."""
        found: dict[str, int] = {}
        for lemma, part in self.lemmas.get(term, ()):
            for _, synset, _ in self.wordnet.senses[lemma, part][:1]:
                entry = self.wordnet.synsets[synset]
                mine = {i + 1 for i, word in enumerate(entry.lemmas) if word.lower() == lemma}
                for symbol, target, source_word, target_word in entry.pointers:
                    if symbol not in ("+", "\\") or source_word not in mine or not target_word:
                        continue
                    other = self.wordnet.synsets[target].lemmas[target_word - 1].lower()
                    named = self.term_of.get((other, target[0]), term)
                    count = self.wordnet.count[other, target]
                    first = self.wordnet.senses[other, target[0]][0][1] == target
                    if named != term and first and self._go_together(synset, target, count):
                        found[named] = max(found.get(named, 0), count)
        ranked = sorted(found, key=lambda t: (-found[t], t))
        return [self.number[t] for t in ranked[:MAX_DERIVED]]

    def _go_together(self, one: Synset, other: Synset, count: int) -> bool:
        """Return whether what one word names is seen where another, `count` times used, is."""
        from_file, to_file = self.wordnet.synsets[one].file, self.wordnet.synsets[other].file
        match one[0], other[0]:
            case lx.NOUN, lx.VERB:
                return from_file == PERSON and to_file in DOINGS
            case lx.VERB, lx.NOUN:
                return from_file in DOINGS and to_file == PERSON
            case lx.ADJECTIVE, lx.NOUN:
                return to_file in MATTER
            case lx.NOUN, lx.ADJECTIVE:
                return from_file in MATTER and count > 1
            case _:
                return False

    def write(self, target: Path) -> None:
        """Write the table."""
        chosen = sorted({s for senses in self.choices.values() for s, _ in senses})
        of_sense = {synset: number for number, synset in enumerate(chosen)}
        ambiguous = {s for senses in self.choices.values() if len(senses) > 1 for s, _ in senses}
        flags = self._flags(self.terms)
        for number, term in enumerate(self.terms):
            parts = term.split(lx.SPACE)
            if len(parts) > 1:
                senses = [s for s, share in self.choices[term] if share]
                flags[number] = lx.NOUN | (lx.IDIOM if self._is_idiom(parts, senses) else 0)
                # Where the dictionary has both (swim suit, swimming suit), the inflected one.
                for place, inflected in enumerate(max(self.forms[term])[: lx.PLACES]):
                    flags[number] |= inflected << (lx.FORM_SHIFT + place)
        senses = [
            [of_sense[s] | share << lx.STEPS_SHIFT for s, share in self.choices.get(t, ())]
            for t in self.terms
        ]
        signatures = [self.signature(s) if s in ambiguous else {} for s in chosen]
        spread = Counter(word for row in signatures for word in row)
        counts = self._counts(self.terms)
        signatures = [
            sorted(sorted(row, key=lambda word: (row[word], -counts[word]))[:MAX_SIGNATURE])
            for row in signatures
        ]
        lists = {
            "senses": senses,
            "relations": [self.relations(s) for s in chosen],
            "signatures": signatures,
            "derived": [self.derived(t) for t in self.terms],
        }
        arrays = {
            "base": array("I", [self.number[self.words.bases.get(t, t)] for t in self.terms]),
            "flags": flags,
            "counts": counts,
            "spread": array("H", [min(65535, spread[i]) for i in range(len(self.terms))]),
        }
        for name, rows in lists.items():
            arrays[name], arrays[name + "_ends"] = csr(rows)
        write(target, self.terms, arrays)


def main(wordnet: str, exceptions: str) -> None:
    """Write the table and say what is in it."""
    read = WordNet(Path(wordnet))
    Maker(read, Vocabulary(read, Path(exceptions))).write(TARGET)


if __name__ == "__main__":
    main(*sys.argv[1:])
