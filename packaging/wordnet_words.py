"""Reads WordNet's files, and from them the words of the lexicon, for make_lexicon.py."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from photosearch.search import lexicon as lx
from photosearch.search.folding import fold, words_in
from photosearch.search.function_words import STOP_WORDS

PARTS = {"noun": lx.NOUN, "verb": lx.VERB, "adj": lx.ADJECTIVE, "adv": lx.ADVERB}
BY_SENSE_KEY = {1: lx.NOUN, 2: lx.VERB, 3: lx.ADJECTIVE, 4: lx.ADVERB, 5: lx.ADJECTIVE}
BY_LETTER = {"n": lx.NOUN, "v": lx.VERB, "a": lx.ADJECTIVE, "s": lx.ADJECTIVE, "r": lx.ADVERB}

# WordNet's lexicographer files of what photos show: animals, artifacts, bodies, food, objects,
# people, plants, substances; and of what is called by a noun in -ing: events, groups, places.
ANIMAL, ARTIFACT, BODY, COMMUNICATION, EVENT, FOOD, GROUP, LOCATION = 5, 6, 8, 10, 11, 13, 14, 15
ACT, OBJECT, PERSON, PLANT, SUBSTANCE, TIME = 4, 17, 18, 20, 27, 28
TOPS = 3
CONCRETE = {ANIMAL, ARTIFACT, BODY, FOOD, OBJECT, PERSON, PLANT, SUBSTANCE, TOPS}
THINGS = CONCRETE | {EVENT, GROUP, LOCATION, TIME}
# Compounds of other files (attributes, cognition, feelings, motives, processes, quantities,
# relations, states) are seldom what a caption means by two words side by side.
NO_COMPOUNDS = {7, 9, 12, 16, 22, 23, 24, 26}
# Plurals that WordNet holds to be words of their own.
PLURALS = {"people": "person", "persons": "person", "grownups": "grownup"}
MAX_WORDS = 5
"""Of a compound."""

Synset = tuple[int, int]  # part of speech, offset


@dataclass
class Entry:
    """A synset of WordNet."""

    lemmas: list[str]
    file: int
    gloss: str
    pointers: list[tuple[str, Synset, int, int]]
    broader: list[Synset] = field(default_factory=list)
    is_instance: bool = False


class WordNet:
    """WordNet's files, read."""

    def __init__(self, folder: Path) -> None:
        self.synsets: dict[Synset, Entry] = {}
        for name, part in PARTS.items():
            for line in (folder / f"data.{name}").read_text("utf-8").splitlines():
                if not line.startswith(" "):
                    self._add(line, part)
        self.senses: dict[tuple[str, int], list[tuple[int, Synset, int]]] = defaultdict(list)
        for line in (folder / "index.sense").read_text("utf-8").splitlines():
            key, offset, number, count = line.split()
            lemma, rest = key.split("%")
            part = BY_SENSE_KEY[int(rest[0])]
            self.senses[lemma, part].append((int(number), (part, int(offset)), int(count)))
        self.count: Counter[tuple[str, Synset]] = Counter()
        for (lemma, _), senses in self.senses.items():
            senses.sort()
            for _, synset, count in senses:
                self.count[lemma, synset] += count
        self.kinds: Counter[Synset] = Counter()
        for synset in self.synsets:
            self.kinds.update(self.above(synset).keys())

    def _add(self, line: str, part: int) -> None:
        head, _, gloss = line.partition(" | ")
        fields = head.split()
        count = int(fields[3], 16)
        lemmas = [re.sub(r"\(.*\)$", "", word) for word in fields[4 : 4 + 2 * count : 2]]
        at = 4 + 2 * count
        entry = Entry(lemmas, int(fields[1]), gloss.strip(), [])
        for i in range(at + 1, at + 1 + 4 * int(fields[at]), 4):
            symbol, offset, letter, ends = fields[i : i + 4]
            target = (BY_LETTER[letter], int(offset))
            entry.pointers.append((symbol, target, int(ends[:2], 16), int(ends[2:], 16)))
            if symbol in ("@", "@i") and part == lx.NOUN:
                entry.broader.append(target)
                entry.is_instance |= symbol == "@i"
        self.synsets[part, int(fields[0])] = entry

    def above(self, synset: Synset) -> dict[Synset, int]:
        """Return all hypernyms of a synset with the least steps to each."""
        found: dict[Synset, int] = {}
        waiting = [(synset, 0)]
        for at, steps in waiting:
            for parent in self.synsets[at].broader:
                if parent not in found:
                    found[parent] = steps + 1
                    waiting.append((parent, steps + 1))
        return found


def folded_words(lemma: str) -> tuple[str, ...]:
    """Return the folded words of a lemma."""
    words = (fold(match.group()) for match in words_in(re.sub(r"['’]s\b", "", lemma)))
    return tuple(word for word in words if word)


class Vocabulary:
    """Single words and compounds, their base forms, senses and counts."""

    def __init__(self, wordnet: WordNet, exceptions: Path) -> None:
        self.wordnet = wordnet
        self.counts: dict[str, Counter[int]] = defaultdict(Counter)
        self.file: dict[tuple[str, int], list[int]] = defaultdict(list)
        self.lemmas: dict[str, list[tuple[str, int]]] = defaultdict(list)
        self.compounds: dict[tuple[str, ...], list[tuple[str, int]]] = defaultdict(list)
        self.names: set[str] = set()
        self._read()
        self.irregular: dict[str, list[tuple[str, int]]] = defaultdict(list)
        for name in ("noun", "verb", "adj"):
            for line in (exceptions / f"{name}.exc").read_text("utf-8").splitlines():
                form, *bases = (folded_words(word) for word in line.split())
                for base in bases:
                    if len(form) == len(base) == 1 and self.has(base[0], PARTS[name]):
                        self.irregular[form[0]].append((base[0], PARTS[name]))
        self.bases = {word: self._base(word) for word in {*self.counts, *self.irregular}}
        for form, base in PLURALS.items():
            self.bases[form] = base
        for word in self.bases:
            while self.bases.get(base := self.bases[word], base) != base:
                self.bases[word] = self.bases[base]

    def has(self, word: str, part: int) -> bool:
        """Return whether WordNet has a word as that part of speech."""
        return part in self.counts.get(word, ())

    def _read(self) -> None:
        written: dict[tuple[tuple[str, ...], int], set[tuple[str, Synset]]] = defaultdict(set)
        for synset, entry in self.wordnet.synsets.items():
            for lemma in entry.lemmas:
                words = folded_words(lemma)
                if len(words) == 1 and lemma[0].isupper() and words[0].endswith("s"):
                    self.names.add(words[0])
                if words and not entry.is_instance and self._is_english(lemma, words):
                    written[words, synset[0]].add((lemma, synset))
        for (words, part), found in sorted(written.items()):
            if len(words) == 1:
                self._add_word(words[0], part, found)
            elif part == lx.NOUN and self._is_good_compound(words, found):
                self.compounds[words] += [
                    (lemma, part) for lemma in sorted({lemma.lower() for lemma, _ in found})
                ]
        for name in self.names - STOP_WORDS:
            if not self.counts[name]:
                self.counts[name][lx.NOUN] = 0  # no plural: Christmas
        self.counts = {word: parts for word, parts in self.counts.items() if parts}

    def _is_english(self, lemma: str, words: Sequence[str]) -> bool:
        """Return whether a lemma is no compound that is a name: New York, Ursus americanus."""
        last = lemma.replace("-", "_").rpartition("_")[2]
        return all(word.isascii() for word in words) and (
            len(words) == 1
            or (last.islower() and (lemma[0].islower() or (last, lx.NOUN) in self.wordnet.senses))
        )

    def _add_word(self, word: str, part: int, found: set[tuple[str, Synset]]) -> None:
        lemmas = {lemma for lemma, _ in found if lemma.islower()}
        if not lemmas:
            if word in STOP_WORDS or len(word) < 2 or self.counts[word]:
                return
            named = CONCRETE | {COMMUNICATION}
            lemmas = {lemma for lemma, s in found if self.wordnet.synsets[s].file in named}
        for lemma in sorted({lemma.lower() for lemma in lemmas}):
            self.lemmas[word].append((lemma, part))
            for _, synset, count in self.wordnet.senses[lemma, part]:
                self.counts[word][part] += count
                self.file[word, part].append(self.wordnet.synsets[synset].file)

    def _is_good_compound(self, words: Sequence[str], found: set[tuple[str, Synset]]) -> bool:
        if (
            len(words) > MAX_WORDS
            or (words[0] in STOP_WORDS and words[0] != "t")
            or words[-1] in STOP_WORDS
        ):
            return False
        if max(map(len, words)) < 2:
            return False
        return any(self.wordnet.synsets[synset].file not in NO_COMPOUNDS for _, synset in found)

    def _base(self, word: str) -> str:
        own = self.counts.get(word, Counter())
        files = self.file.get((word, lx.NOUN), [])
        for part in (lx.NOUN, lx.VERB, lx.ADJECTIVE):
            forms = [base for base, of in self.irregular.get(word, ()) if of == part]
            if forms:
                base = max(forms, key=lambda form: self.counts[form][part])
                if not own or (part == lx.NOUN and self.counts[base][part] >= own[lx.NOUN]):
                    return base
                if base == word or (part == lx.NOUN and own):
                    return word
                noun = own[lx.NOUN] if files and files[0] in THINGS else 0
                kept = noun > 0 or own[lx.ADJECTIVE] > self.counts[base][part]
                return word if kept else base
        if not own:
            raise AssertionError(word)
        for base, part in lx.detached(word):
            if base in STOP_WORDS or not self.has(base, part):
                continue
            if self._is_inflection(word, base, part):
                return base
        return word

    def _is_inflection(self, word: str, base: str, part: int) -> bool:
        """Return whether a word that WordNet has itself is rather looked for by its base form."""
        own, of = self.counts[word], self.counts[base]
        files = self.file.get((word, lx.NOUN), [])
        if part == lx.ADJECTIVE:
            return lx.NOUN not in own and own[lx.VERB] == 0
        if word.endswith("s"):
            if part == lx.VERB:
                return lx.NOUN not in own and lx.ADJECTIVE not in own
            if lx.NOUN not in own:
                return False
            mine = {
                s for lemma, p in self.lemmas[word] for _, s, _ in self.wordnet.senses[lemma, p]
            }
            base_senses = {
                s for lemma, p in self.lemmas[base] for _, s, _ in self.wordnet.senses[lemma, p]
            }
            if mine & base_senses:
                return True
            chiefly_noun = 2 * of[lx.NOUN] >= of.total()
            return of[lx.NOUN] > own[lx.NOUN] and chiefly_noun
        if word.endswith("men"):
            return True
        if own[lx.ADJECTIVE] > of[lx.VERB] or lx.ADVERB in own or own[lx.VERB] > of[lx.VERB]:
            return False
        if word.endswith("ing") and files:
            if files[0] in THINGS or (of[lx.VERB] < 10 and set(files[:2]) & THINGS):
                return False
            if own[lx.NOUN] > of[lx.VERB]:
                return False
            # Boxing has little to do with boxes.
            return not (of[lx.NOUN] > 5 and of[lx.NOUN] > 5 * of[lx.VERB])
        return not (files and files[0] in CONCRETE)
