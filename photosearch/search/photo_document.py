"""What is known of a photo, made into its index document."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence

from photosearch.domain import Caption, Field
from photosearch.search import analysis
from photosearch.search.evidence import Evidence, PhotoText, evidence
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
        doubtful=found.doubtful.keys(),
        texts=[caption.text for caption in captions if caption.text and not caption.tags],
        words=found.words,
        facts=_fields(captions, facts, found),
        crop_only=found.crop_only,
        stars=facts.stars,
    )


def _fields(
    captions: Sequence[Caption], facts: PhotoFacts, found: Evidence
) -> dict[Field, Collection[str]]:
    tags = {
        name
        for caption in captions
        for tag in caption.tags
        for name in (tag.word, *tag.synonyms)
        if not found.doubtful.keys() & analysis.terms(name)
    }
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
