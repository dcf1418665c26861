"""Makes up as many captions as wanted from sentences that models and people really wrote.

A photo gets sentences of one real caption and of its neighbours', so that words go together as
they do in photos, at the length of a whole-photo LLaVA-1.5 caption: 70 to 90 words. One photo in
eight shows a sign with a made-up name, so that the vocabulary grows with the library as real ones
do: half of its words are in one photo.
"""

from __future__ import annotations

import gzip
import json
import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from photosearch.domain import Field
from photosearch.search import analysis
from photosearch.search.index_document import PhotoDocument

EVAL = Path(__file__).resolve().parents[3] / "shared" / "eval"
LENGTH_WORDS = (70, 90)
SIGNS = 1 / 8

_CAMERAS = tuple(
    f"{maker} {model}"
    for maker, models in {
        "Apple": ("iPhone 8", "iPhone 11", "iPhone 13 Pro"),
        "Canon": ("EOS 5D Mark II", "EOS 600D", "PowerShot G7 X"),
        "FUJIFILM": ("X100F", "X-T2"),
        "NIKON CORPORATION": ("D90", "D750"),
        "Panasonic": ("DMC-TZ10",),
        "samsung": ("SM-G960F", "SM-A515F"),
        "SONY": ("ILCE-6000", "DSC-RX100M3"),
    }.items()
    for model in models
)


class CaptionCorpus:
    """Sentences by photo; `photos` yields the views' texts of made-up photos, same seed, same."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        by_photo: dict[object, list[str]] = defaultdict(list)
        for row in _rows("llava15_coco_dev.jsonl.gz"):
            sentences = re.findall(r"[^.!?]+[.!?]", " ".join(row["caption"].split()))
            by_photo["llava", row["image_id"]] += [sentence.strip() for sentence in sentences]
        self.model_photos = [list(dict.fromkeys(found)) for found in by_photo.values() if found]
        self.human_sentences = [
            caption.strip()
            for name in ("coco_val2017.jsonl.gz", "flickr30k_test1k_captions.jsonl.gz")
            for row in _rows(name)
            for caption in row["captions"]
        ]

    def photos(self, count: int, views: int) -> Iterator[list[str]]:
        """Yield `count` photos of `views` texts each."""
        for _ in range(count):
            sources = self._random.sample(self.model_photos, 2)
            yield [self._caption(sources) for _ in range(views)]

    def _caption(self, sources: list[list[str]]) -> str:
        pick = self._random
        wanted = pick.randint(*LENGTH_WORDS)
        pool = [sentence for source in sources for sentence in source]
        pick.shuffle(pool)
        chosen = [pick.choice(self.human_sentences)]
        length = len(chosen[0].split())
        while length < wanted:
            sentence = pool.pop() if pool else pick.choice(pick.choice(self.model_photos))
            chosen.append(sentence)
            length += len(sentence.split())
        pick.shuffle(chosen)
        if pick.random() < SIGNS:
            chosen.insert(0, f'A sign reads "{self._name()}".')
        return " ".join(" ".join(chosen).split()[: LENGTH_WORDS[1]])

    def _name(self) -> str:
        pick = self._random
        return "".join(
            pick.choice("bdfgklmnprstvz") + pick.choice(("a", "e", "i", "o", "u", "er", "an"))
            for _ in range(pick.randint(2, 4))
        )


def document(photo_id: int, texts: list[str]) -> PhotoDocument:
    """Return what the index holds of a photo with these captions."""
    strengths: Counter[str] = Counter()
    words: set[analysis.Word] = set()
    for text in texts:
        terms, content = analysis.analyse(text)
        for term in terms:
            strengths[term] += 3
        words.update(content)
    *folders, name = path(photo_id)
    facts = {
        Field.IN: folders,
        Field.NAME: [name],
        Field.CAMERA: [camera(photo_id)],
        Field.TYPE: ["jpeg"],
        Field.HAS: ["captions", "camera", "date"],
    }
    taken_at = 1.5e9 + photo_id * 61.7 % 1e8
    return PhotoDocument(photo_id, taken_at, strengths, (), texts, words, facts)


def camera(photo_id: int) -> str:
    """Return with which camera a made-up photo was taken."""
    return _CAMERAS[photo_id // 400 % len(_CAMERAS)]


def path(photo_id: int) -> tuple[str, ...]:
    """Return the folders of a made-up photo, and its file's name."""
    folder = photo_id // 250
    return str(2004 + folder // 180), f"album {folder}", f"IMG_{photo_id % 10_000:04}.JPG"


def _rows(name: str) -> Iterator[dict[str, Any]]:
    with gzip.open(EVAL / name, "rt", encoding="utf-8") as file:
        yield from map(json.loads, file)
