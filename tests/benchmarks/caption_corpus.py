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
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from photosearch.domain import Caption
from photosearch.search.index_document import PhotoDocument
from photosearch.search.photo_document import photo_document
from photosearch.storage.photo_store import PhotoFacts

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


def document(photo_id: int, texts: Sequence[str]) -> PhotoDocument:
    """Return what the index holds of a made-up photo with these captions of its views."""
    views = ("whole", *(f"crop {number}" for number in range(1, len(texts))))
    captions = [
        Caption(photo_id, view, "model", "", text) for view, text in zip(views, texts, strict=True)
    ]
    album = photo_id // 250
    folder = Path(str(2004 + album // 180), f"album {album}")
    facts = PhotoFacts(
        taken_at=1.5e9 + photo_id * 61.7 % 1e8,
        taken_by_camera=True,
        camera=_CAMERAS[photo_id // 400 % len(_CAMERAS)],
        format="JPEG",
        stars=0,
        place="",
        paths=(Path("Pictures") / folder / f"IMG_{photo_id % 10_000:04}.JPG",),
        folders=(Path("/home/anna/Pictures") / folder,),
    )
    return photo_document(photo_id, captions, facts)


def _rows(name: str) -> Iterator[dict[str, Any]]:
    with gzip.open(EVAL / name, "rt", encoding="utf-8") as file:
        yield from map(json.loads, file)
