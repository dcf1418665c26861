"""CLIP by open_clip, from a file of weights: rankings of photos by text, and CLIPScore."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from photosearch.domain import View, display_path
from photosearch.errors import UnavailableError, UsageError
from photosearch.evaluation.metrics import FloatArray, IntArray
from photosearch.imaging.crops import crop
from photosearch.imaging.decode import decode

Vectors = NDArray[np.float32]
"""Unit vectors, a row each."""

_T = TypeVar("_T")

_BATCH = 32
_WEIGHT = 2.5
_SIDE = 512
"""Pixels of the shorter side: no CLIP of today takes more."""


class Clip:
    """A CLIP model of open_clip; on a GPU where torch sees one."""

    def __init__(self, model: str, checkpoint: Path) -> None:
        """Load `model`, by open_clip's name or a JSON file in open_clip's form, and its weights.

        Raises UnavailableError without open_clip, UsageError for a model or file that won't do.
        """
        try:
            import open_clip  # noqa: PLC0415 - with torch it takes seconds and gigabytes
            import torch  # noqa: PLC0415
        except ImportError as error:
            raise UnavailableError(
                f"CLIP needs open_clip and torch ({error}): pip install 'photosearch[clip]'"
            ) from error
        if model.endswith(".json"):
            open_clip.add_model_config(model)
            model = Path(model).stem
        if model not in open_clip.list_models():
            raise UsageError(f"open_clip knows no model {display_path(model)}.")
        self._torch = torch
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        try:
            self._model, _, self._prepare = open_clip.create_model_and_transforms(
                model, pretrained=str(checkpoint), device=self._device
            )
        except (RuntimeError, OSError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise UsageError(
                f"{display_path(checkpoint)} holds no weights of {model}: {reason}"
            ) from error
        self._model.eval()
        self._tokenize = open_clip.get_tokenizer(model)

    def of_pictures(self, pictures: Iterable[Image.Image]) -> Vectors:
        """Return the vectors of pictures; only a batch of these is held at a time."""
        return self._encode(
            (
                self._torch.stack([self._prepare(picture) for picture in batch])
                for batch in _batches(pictures)
            ),
            self._model.encode_image,
        )

    def of_texts(self, texts: Iterable[str]) -> Vectors:
        """Return the vectors of texts, of each what fits the model: CLIP reads 77 tokens."""
        return self._encode(
            (self._tokenize(batch) for batch in _batches(texts)), self._model.encode_text
        )

    def _encode(self, batches: Iterable[Any], encode: Any) -> Vectors:
        found = []
        with self._torch.inference_mode():
            for batch in batches:
                vectors = encode(batch.to(self._device), normalize=True)
                found.append(vectors.float().cpu().numpy())
        return np.concatenate(found)


class ClipRanker:
    """Ranks photos by the cosine of their vectors with the query's: all of them."""

    name = "CLIP"

    def __init__(self, clip: Clip, pictures: Sequence[Path | None]) -> None:
        """Look at the pictures. UsageError where one is missing, DecodeError for a damaged one."""
        if None in pictures:
            raise UsageError(
                "CLIP looks at the photos: give the folder that holds them (--photos)."
            )
        self._clip = clip
        self._vectors = clip.of_pictures(
            decode(path, min_side=_SIDE) for path in pictures if path is not None
        )

    def rank(self, query: str, depth: int) -> IntArray:
        """Return the photos, nearest first."""
        scores = self._vectors @ self._clip.of_texts([query])[0]
        return np.argsort(-scores, kind="stable")[:depth]


class Looks(NamedTuple):
    """CLIPScores of captions: with the view that each is of, and with the whole photo."""

    of_view: FloatArray
    of_whole: FloatArray


def clip_scores(clip: Clip, said: Iterable[tuple[Path, Sequence[tuple[View, str]]]]) -> Looks:
    """Return the CLIPScores, 2.5 max(cosine, 0), of captions, photo by photo, in their order.

    Source: Hessel et al. 2021, "CLIPScore: A Reference-free Evaluation Metric for Image
    Captioning". Of a caption counts what fits the model: CLIP reads 77 tokens.
    """
    photos = list(said)
    texts = clip.of_texts(text for _, views in photos for _, text in views)
    pictures = clip.of_pictures(
        shown for path, views in photos for shown in _shown(path, [view for view, _ in views])
    )
    wholes = clip.of_pictures(decode(path, min_side=_SIDE) for path, _ in photos)
    photo_of = np.repeat(np.arange(len(photos)), [len(views) for _, views in photos])
    return Looks(_scores(pictures, texts), _scores(wholes[photo_of], texts))


def _shown(path: Path, views: Sequence[View]) -> Iterator[Image.Image]:
    picture = decode(path)
    for view in views:
        yield crop(picture, view)


def _scores(pictures: Vectors, texts: Vectors) -> FloatArray:
    cosines = np.sum(pictures * texts, axis=1, dtype=np.float64)
    return _WEIGHT * np.maximum(cosines, 0)


def _batches(things: Iterable[_T]) -> Iterator[list[_T]]:
    rest = iter(things)
    while batch := list(islice(rest, _BATCH)):
        yield batch
