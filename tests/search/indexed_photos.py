"""Photos to search for in tests: what is known of them, and a small index of them."""

from dataclasses import dataclass
from pathlib import Path

from photosearch.domain import Caption, Tag
from photosearch.imaging.crops import ALL_VIEWS
from photosearch.search.caption_index import CaptionIndex
from photosearch.search.evidence import evidence
from photosearch.search.photo_document import photo_document, photo_text
from photosearch.storage.photo_store import PhotoFacts

SURE = 0.3
"""What the instant tagger is less sure of it does not show."""


@dataclass(frozen=True)
class KnownPhoto:
    captions: tuple[Caption, ...]
    facts: PhotoFacts

    @property
    def text(self):
        """All that words can find it by."""
        return photo_text(self.captions, self.facts)

    def document(self, photo_id):
        return photo_document(photo_id, self.captions, self.facts)


def known(
    *texts,
    tags=(),
    path="",
    place="",
    stars=0,
    taken_at=0.0,
    by_camera=True,
    camera="",
    format="JPEG",
):
    """A photo of which these `texts` tell the whole and its crops, in the order of the views.

    `tags` are (word, score) or (word, score, synonyms), `path` is in a folder that was added.
    """
    captions = [
        Caption(0, view.name, "llava", "", text)
        for view, text in zip(ALL_VIEWS, texts, strict=False)
    ]
    if tags:
        found = tuple(Tag(word, score, *map(tuple, other)) for word, score, *other in tags)
        shown = ", ".join(tag.word for tag in found if tag.score >= SURE)
        captions.append(Caption(0, "whole", "instant", "", shown, found))
    paths = (Path(path),) if path else ()
    folders = tuple(Path("/pictures") / each.parent for each in paths)
    return KnownPhoto(
        tuple(captions),
        PhotoFacts(taken_at, by_camera, camera, format, stars, place, paths, folders),
    )


def put(index, photos):
    """Writes {id: text, texts or KnownPhoto} to the index; texts have the id as their time."""
    with index.writer() as writer:
        for photo_id, photo in photos.items():
            if not isinstance(photo, KnownPhoto):
                texts = [photo] if isinstance(photo, str) else photo
                photo = known(*texts, taken_at=float(photo_id))  # noqa: PLW2901
            writer.put(photo.document(photo_id))
        writer.commit()


def indexed(folder, photos):
    """Returns an index of these photos in a folder."""
    index = CaptionIndex.open(folder)
    put(index, photos)
    index.reload()
    return index


def evidence_in(photos):
    """Returns what the index asks to find photos like another."""
    return lambda photo_id: evidence(photos[photo_id].text).sure if photo_id in photos else {}
