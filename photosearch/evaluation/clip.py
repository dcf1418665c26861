"""What CLIP says: rankings of photos by text, and how well captions fit what they are of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from photosearch.captioning.clip import ClipModel, Vectors
from photosearch.domain import View
from photosearch.errors import UsageError
from photosearch.evaluation.metrics import FloatArray, IntArray
from photosearch.imaging.crops import crop
from photosearch.imaging.decode import decode

_WEIGHT = 2.5


class ClipRanker:
    """Ranks photos by the cosine of their vectors with the query's: all of them."""

    name = "CLIP"

    def __init__(self, clip: ClipModel, pictures: Sequence[Path | None]) -> None:
        """Look at the pictures. UsageError where one is missing, DecodeError for a damaged one."""
        self._clip = clip
        self._vectors = clip.image_vectors(all_there(pictures))

    def rank(self, query: str, depth: int) -> IntArray:
        """Return the photos, nearest first."""
        scores = self._vectors @ self._clip.text_vectors([query])[0]
        return np.argsort(-scores, kind="stable")[:depth]


def all_there(pictures: Sequence[Path | None]) -> list[Path]:
    """Return `pictures`; UsageError where one is missing."""
    found = [path for path in pictures if path is not None]
    if len(found) < len(pictures):
        raise UsageError(
            f"CLIP looks at the photos, and {len(pictures) - len(found)} of {len(pictures)} "
            "are not there: give the folder that holds them (--photos)."
        )
    return found


class ClipScores(NamedTuple):
    """CLIPScores of captions: with the view that each is of, and with the whole photo."""

    of_view: FloatArray
    of_whole: FloatArray


def clip_scores(
    clip: ClipModel, said: Sequence[tuple[Path, Sequence[tuple[View, str]]]]
) -> ClipScores:
    """Return the CLIPScores, 2.5 max(cosine, 0), of captions, photo by photo, in their order.

    Source: Hessel et al. 2021, "CLIPScore: A Reference-free Evaluation Metric for Image
    Captioning". Of a caption counts what fits the model: CLIP reads 77 tokens.
    """
    texts = clip.text_vectors(text for _, views in said for _, text in views)
    pictures = clip.image_vectors(_shown(said))
    wholes = clip.image_vectors(path for path, _ in said)
    photo_of = np.repeat(np.arange(len(said)), [len(views) for _, views in said])
    return ClipScores(_scores(pictures, texts), _scores(wholes[photo_of], texts))


def _shown(said: Iterable[tuple[Path, Sequence[tuple[View, str]]]]) -> Iterator[Image.Image]:
    for path, views in said:
        picture = decode(path)
        for view, _ in views:
            yield crop(picture, view)


def _scores(pictures: Vectors, texts: Vectors) -> FloatArray:
    cosines = np.sum(pictures * texts, axis=1, dtype=np.float64)
    return _WEIGHT * np.maximum(cosines, 0)
