"""Writes resources/tagger/imagenet.tsv: ImageNet's 1,000 classes and what they are.

Run by hand: `python packaging/make_imagenet_table.py LABELS WORDNET_DICT`, where LABELS is the
classifier's label file (one class a line, its names separated by commas) and WORDNET_DICT the
folder of WordNet 3.0's data.noun (in Debian's package wordnet-base: /usr/share/wordnet).
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

TARGET = Path(__file__).resolve().parent.parent / "resources/tagger/imagenet.tsv"

# Classes whose names alone, with their place in the ordered list, leave several synsets open:
# the ones that ImageNet means, where it is not the first.
LATER_SYNSETS = frozenset(
    {1872401, 2815834, 2834397, 2879718, 2950826, 3045698, 3291819, 3478589, 3661043, 3782006}
    | {3956157, 4111531, 4270147, 4275548, 10148035, 12144580}
)

# Kinds that nobody looks for by name, or that would say no more than "thing".
TOO_ABSTRACT = frozenset(
    """
    entity/physical entity/object/whole/artifact/organism/living thing/instrumentality/vertebrate/
    chordate/placental/device/container/covering/commodity/consumer goods/structure/matter/
    equipment/implement/protective covering/substance/solid/furnishing/natural object/
    reproductive structure/plant organ/plant part/conveyance/craft/causal agent/abstraction/
    mechanism/durables/obstruction/restraint/establishment/place of business/
    mercantile establishment/geological formation/mechanical device/foodstuff/nutriment/
    self-propelled vehicle/game equipment/diapsid/oscine/even-toed ungulate/bony fish/
    colubrid snake/musteline mammal/instrument/game/thing/part/group/psychological feature/
    attribute/communication/event/act/activity/cognition/content/social group/organization/
    measure/definite quantity/fundamental quantity/area/surface/way/support/means/
    supporting structure/excavation/extremity/facility/natural depression/geological phenomenon/
    natural elevation/body part/piece/unit/system/creation/representation/assets/possession/
    relation/barrier/indication/evidence/written communication/writing/auditory communication/
    visual communication/signal/sign/shape/form/round shape/line/opening/connection/
    passage/aquatic vertebrate/ware/article/rod/bar/strip/elongation/sheet/strand/
    physical property/arrangement/position/location/region/point/boundary/vascular plant/
    sealing material/padding/paper/stick/surface area/plaything
    """.replace("\n", "")
    .replace("    ", "")
    .split("/")
)


def synsets(data_noun: Path) -> Iterator[tuple[int, list[str], list[int]]]:
    """Yield offset, words and hypernyms' offsets of each noun synset."""
    for line in data_noun.read_text("latin-1").splitlines():
        if line.startswith(" "):
            continue  # the licence
        fields = line.split(" | ")[0].split()
        word_count = int(fields[3], 16)
        words = [word.replace("_", " ") for word in fields[4 : 4 + 2 * word_count : 2]]
        pointers = fields[5 + 2 * word_count :]
        parents = [
            int(pointers[i + 1])
            for i in range(0, 4 * int(fields[4 + 2 * word_count]), 4)
            if pointers[i] in ("@", "@i")
        ]
        yield int(fields[0]), words, parents


def match_classes(labels: list[str], words: dict[int, list[str]]) -> list[int]:
    """Return each class's synset: the one with its names; classes ascend by offset."""
    by_names = defaultdict(list)
    for offset, names in words.items():
        by_names[frozenset(name.lower() for name in names)].append(offset)
    candidates = [
        sorted(by_names[frozenset(name.strip().lower() for name in label.split(","))])
        for label in labels
    ]
    sure = {i: found[0] for i, found in enumerate(candidates) if len(found) == 1}
    classes = []
    for i, found in enumerate(candidates):
        low = max((offset for j, offset in sure.items() if j < i), default=0)
        high = min((offset for j, offset in sure.items() if j > i), default=1 << 40)
        fitting = [o for o in found if o == sure.get(i) or (i not in sure and low < o < high)]
        classes.append(next((o for o in fitting if o in LATER_SYNSETS), fitting[0]))
    if classes != sorted(set(classes)):
        raise SystemExit("the classes are not in the order of their synsets")
    return classes


def main(labels_path: str, wordnet: str) -> None:
    """Write the table."""
    words: dict[int, list[str]] = {}
    parents: dict[int, list[int]] = {}
    for offset, names, above in synsets(Path(wordnet) / "data.noun"):
        words[offset], parents[offset] = names, above
    labels = Path(labels_path).read_text("utf-8").splitlines()
    classes = match_classes(labels, words)

    def kept_above(offset: int) -> list[int]:
        """Return the nearest ancestors that are not too abstract, each once."""
        found: list[int] = []
        for parent in parents[offset]:
            abstract = words[parent][0] in TOO_ABSTRACT
            for kept in kept_above(parent) if abstract else [parent]:
                if kept not in found:
                    found.append(kept)
        return found

    rows: dict[int, list[int]] = {offset: kept_above(offset) for offset in classes}
    waiting = [parent for above in rows.values() for parent in above]
    while waiting:
        offset = waiting.pop(0)
        if offset not in rows:
            rows[offset] = kept_above(offset)
            waiting += rows[offset]
    with TARGET.open("w", encoding="utf-8", newline="\n") as table:
        table.write(
            "# The 1,000 classes of ImageNet (ILSVRC 2012) in the classifier's order, then the\n"
            "# kinds they belong to: synset, synsets above it, names. Made by\n"
            "# packaging/make_imagenet_table.py from WordNet 3.0, Copyright 2006 by Princeton\n"
            "# University, all rights reserved; its licence: WORDNET-LICENSE beside this file.\n"
        )
        for offset, above in rows.items():
            above_ids = ",".join(f"n{parent:08d}" for parent in above)
            table.write(f"n{offset:08d}\t{above_ids}\t{', '.join(words[offset])}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
