"""What is known of a photo, made into its index document."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence

from photosearch.domain import Caption, Field
from photosearch.search.evidence import Evidence, PhotoText, evidence, sure_tags
from photosearch.search.index_document import PhotoDocument
from photosearch.storage.photo_store import PhotoFacts


def photo_text(captions: Sequence[Caption], facts: PhotoFacts) -> PhotoText:
    """Return all of a photo that words can find."""
    return PhotoText(captions, facts.paths, facts.place)


def photo_document(
    photo_id: int, captions: Sequence[Caption], facts: PhotoFacts, *, lexicon: bool = True
) -> PhotoDocument:
    """Return a photo's index document; without `lexicon`, words stand for themselves only."""
    found = evidence(photo_text(captions, facts), lexicon=lexicon)
    return PhotoDocument(
        photo_id,
        facts.taken_at,
        sure=found.sure,
        doubtful=found.doubtful,
        texts=[
            *(caption.text for caption in captions if caption.text and not caption.tags),
            *_tag_names(captions),
        ],
        words=found.words,
        facts=_fields(captions, facts, found),
        crop_only=found.crop_only,
        stars=facts.stars,
    )


def _fields(
    captions: Sequence[Caption], facts: PhotoFacts, found: Evidence
) -> dict[Field, Collection[str]]:
    tags = set(_tag_names(captions))
    has = {
        "captions": any(caption.text and not caption.tags for caption in captions),
        "tags": bool(tags),
        "words": bool(found.words),
        "place": bool(facts.place),
        "text": bool(found.written),
        "stars": facts.stars > 0,
        "camera": bool(facts.camera),
        "date": facts.taken_by_camera,
    }
    return {
        Field.IN: {os.fspath(folder) for folder in facts.folders},
        Field.NAME: {path.name for path in facts.paths},
        Field.CAMERA: {facts.camera},
        Field.PLACE: set(facts.place.split(",")),
        Field.TYPE: {facts.format},
        Field.TAG: tags,
        Field.TEXT: set(found.written),
        Field.HAS: {name for name, known in has.items() if known},
    }


def _tag_names(captions: Sequence[Caption]) -> Iterator[str]:
    for caption in captions:
        for tag in sure_tags(caption):
            yield from (tag.word, *tag.synonyms)
