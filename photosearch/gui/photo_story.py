"""What the side panel tells of a photo, gathered from the library in one go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from photosearch.domain import Box, Caption, Clause, PhotoDetails, Query
from photosearch.gui.text import is_visible
from photosearch.gui.why_text import why_texts

if TYPE_CHECKING:
    from photosearch.library import PhotoLibrary

_PLACES = ("whole", "half", "quarter", "ninth")
_LOCATED_WORDS = 60


@dataclass(frozen=True, slots=True)
class MarkedCaption:
    """A caption and the spans of its text that match the query."""

    caption: Caption
    spans: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class PhotoTag:
    """A word of the instant tagger, the best score it got, the views it was seen in."""

    word: str
    score: float
    views: tuple[str, ...]
    matches: bool


@dataclass(frozen=True, slots=True)
class PhotoStory:
    """Details of a photo with what matches marked; `boxes_of` says where words were seen.

    `why` says line by line why it was found, if it was searched for; `related` that it has none
    of the words.

    `captions` are those that say something: answers about one view stand together, in the order
    in which they were given.
    """

    details: PhotoDetails
    related: bool
    why: tuple[str, ...]
    captions: tuple[MarkedCaption, ...]
    tags: tuple[PhotoTag, ...]
    boxes_of: Mapping[str, tuple[Box, ...]]


def _place(caption: Caption) -> tuple[int, str]:
    kind = caption.view.split("-")[0]
    return (_PLACES.index(kind) if kind in _PLACES else len(_PLACES), caption.view)


def gather(
    library: PhotoLibrary, photo_id: int, query: Query, *, related: bool = False
) -> PhotoStory:
    """Ask the library all that the panel shows; blocking, some milliseconds."""
    details = library.photo(photo_id, query)
    wanted = Query(tuple(clause for clause in query.clauses if not clause.negated))
    captions = sorted(details.captions, key=_place)
    marked = tuple(
        MarkedCaption(caption, tuple(library.highlight(caption.text, wanted) if wanted else ()))
        for caption in captions
        if not caption.tags and not caption.skipped and is_visible(caption.text)
    )
    seen: dict[str, tuple[float, list[str]]] = {}
    for caption in captions:
        for tag in caption.tags:
            score, views = seen.get(tag.word, (0.0, []))
            seen[tag.word] = (max(score, tag.score), [*views, caption.view])
    matched = {word for word in seen if wanted and library.highlight(word, wanted)}
    for caption in captions:
        for tag in caption.tags:
            if wanted and any(library.highlight(name, wanted) for name in tag.synonyms):
                matched.add(tag.word)
    tags = tuple(
        PhotoTag(word, score, tuple(views), word in matched)
        for word, (score, views) in sorted(seen.items(), key=lambda item: -item[1][0])
    )
    why = tuple(why_texts(details.matches))
    return PhotoStory(details, related, why, marked, tags, _locate(library, details, captions))


def _locate(
    library: PhotoLibrary, details: PhotoDetails, captions: list[Caption]
) -> dict[str, tuple[Box, ...]]:
    from photosearch.imaging.crops import ALL_VIEWS  # noqa: PLC0415 - brings Pillow

    boxes = {view.name: view.box for view in ALL_VIEWS}
    boxes_of = {}
    for term in details.words[:_LOCATED_WORDS]:
        query = Query((Clause(term.word),))
        views = [c.view for c in captions if library.highlight(c.text, query)]
        boxes_of[term.word] = tuple(boxes[view] for view in dict.fromkeys(views) if view in boxes)
    return boxes_of
