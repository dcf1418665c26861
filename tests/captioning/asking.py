"""Asks captioners in the tests."""

from collections.abc import Callable, Iterable
from threading import Event

from gguf_files import MMPROJ, TEXT
from PIL import Image

from photosearch.captioning.captioner import PhotoAnswer, PhotoViews
from photosearch.captioning.llama.captioner import LlamaCaptioner
from photosearch.captioning.models import CaptionerConfig
from photosearch.domain import View, ViewCaption
from photosearch.imaging.crops import WHOLE
from photosearch.search.analysis import word_keys

CONFIG = CaptionerConfig("tiny", TEXT, MMPROJ, threads=1)
"""The tiny trained LLaVA."""

FOLLOW_UP = (
    "If there are any additional features of this image that are not expressed in the generated "
    "captions, please generate additional captions to explain them."
)

Open = Callable[..., LlamaCaptioner]


def open_captioner(config: CaptionerConfig = CONFIG) -> LlamaCaptioner:
    return LlamaCaptioner(config, word_keys)


def answers(
    captioner: LlamaCaptioner, photos: Iterable[PhotoViews], left: Event | None = None
) -> list[PhotoAnswer]:
    return list(captioner.caption(photos, left or Event()))


def captions(
    captioner: LlamaCaptioner, images: Iterable[Image.Image], views: Iterable[View] = (WHOLE,)
) -> list[list[ViewCaption]]:
    """Return the captions of each image, in the order of `views`; fails if the model does."""
    views = tuple(views)
    names = [view.name for view in views]
    photos = (PhotoViews(key, image, views) for key, image in enumerate(images))
    found: dict[int, list[ViewCaption]] = {}
    for answer in captioner.caption(photos, Event()):
        if answer.error:
            raise answer.error
        found.setdefault(answer.key, []).extend(answer.captions)
    for said in found.values():
        said.sort(key=lambda caption: names.index(caption.view))
    return [found[key] for key in sorted(found)]


def say(captioner: LlamaCaptioner, image: Image.Image, view: View = WHOLE) -> str:
    """Return what is said of one view."""
    (((caption),),) = captions(captioner, [image], [view])
    assert caption.view == view.name
    return caption.text
