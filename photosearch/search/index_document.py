"""What the search index holds of a photo: its fields, and how they are filled."""

from __future__ import annotations

import re
import zlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import tantivy

from photosearch.domain import Field
from photosearch.search import analysis
from photosearch.search.folding import fold

SCHEMA_VERSION = 5
"""Raise it with every change of the fields or of what they hold: indexes are then rebuilt."""

SEPARATOR = "\x1f"
"""Stands between the parts of a term; in no word."""

SAMPLE_LEVELS = 24
"""Halvings of the library of which random samples are at hand."""

# BM25 takes a short document to be more to the point, but one with few captions is just poor: up
# to here all count as equally long. Photos with captions of all 18 views are about as long.
_LEAST_STRENGTH = 2048
_LEAST_DOUBT = 256
_FILLER = "\x1e"  # no term of any text

# Of these, nearly each photo has its own, or the words to complete by are those of all captions.
_NOT_COMPLETED = frozenset({Field.NAME, Field.TEXT, Field.VIEW})
_WORDS_OF_VALUE = 8


@dataclass(frozen=True, slots=True)
class PhotoDocument:
    """A photo as the index takes it.

    `sure` and `doubtful` map terms to their strength, `texts` are captions as written, `words`
    those to show. `crop_only` are terms that crops of it say and the whole does not. `facts` are
    the values of other fields, by name; `taken_at` is in seconds.
    """

    photo_id: int
    taken_at: float = 0.0
    sure: Mapping[str, int] = field(default_factory=dict)
    doubtful: Mapping[str, int] = field(default_factory=dict)
    texts: Sequence[str] = ()
    words: Collection[analysis.Word] = ()
    crop_only: Collection[str] = ()
    facts: Mapping[Field, Collection[str]] = field(default_factory=dict)
    stars: int = 0


def make_document(photo: PhotoDocument) -> tantivy.Document:
    """Return the index document of a photo."""
    document = tantivy.Document()
    document.add_integer("photo_id", photo.photo_id)
    document.add_unsigned("newest", newest_key(photo.taken_at, photo.photo_id))
    document.add_unsigned("stars", photo.stars)
    for text in photo.texts:
        # Tantivy leaves a gap between the values of a field, which no phrase spans.
        document.add_text("text", " ".join(analysis.terms(text)))
    document.add_text("evidence", _repeated(photo.sure, _LEAST_STRENGTH))
    document.add_text("doubtful", _repeated(photo.doubtful, _LEAST_DOUBT))
    keys = {word.key for word in photo.words}
    document.add_text("keys", " ".join(keys))
    for key in keys:
        document.add_unsigned("key_ids", key_id(key))
    document.add_text(
        "shown",
        " ".join(
            id_text(key_id(word.key)) + SEPARATOR.join((word.key, word.shown))
            for word in photo.words
        ),
    )
    document.add_text(
        "forms",
        " ".join(SEPARATOR.join((fold(word.shown), word.key, word.shown)) for word in photo.words),
    )
    for name, values in photo.facts.items():
        for value in values:
            terms = [fact_term(name, term) for term in analysis.terms(value)]
            document.add_text("facts", " ".join(terms))
            document.add_text("forms", " ".join(_value_forms(name, value)))
    for term in photo.crop_only:
        document.add_text("facts", fact_term(Field.VIEW, term))
    level = _level(photo.photo_id)
    document.add_text("sample", " ".join(f"s{number}" for number in range(1, level + 1)))
    return document


def _repeated(strengths: Mapping[str, int], least: int) -> str:
    """Return each term as often as it is strong, and fillers up to the `least` length."""
    if not strengths:
        return ""
    filler = max(0, least - sum(strengths.values()))
    terms = (" ".join([term] * strength) for term, strength in strengths.items())
    return " ".join((*terms, *[_FILLER] * filler))


def fact_term(name: Field, term: str) -> str:
    """Return how a term of a fact stands in the index; for a beginning, how such terms begin."""
    return f"{name}{SEPARATOR}{term}"


def fact_beginning(name: Field, beginning: str) -> str:
    """Return what the forms of such values of a field begin with of which a word begins so."""
    return f"{SEPARATOR}{name}{SEPARATOR}{fold(beginning)[: analysis.MAX_WORD]}"


def _value_forms(name: Field, value: str) -> list[str]:
    if name in _NOT_COMPLETED:
        return []
    forms = []
    # People know a folder by its name, not by its path.
    for part in re.split(r"[/\\]+", value) if name is Field.IN else [value]:
        # The names of files are bytes; some are no text.
        shown = " ".join(part.encode(errors="replace").decode().split())
        for token in analysis.tokenize(shown)[:_WORDS_OF_VALUE]:
            beginning = fact_beginning(name, shown[token.start :])
            forms.append(f"{beginning}{SEPARATOR}{shown.replace(' ', analysis.SPACE)}")
    return forms


def newest_key(taken_at: float, photo_id: int = 0) -> int:
    """Return what sorts by time, to a sixteenth of a second, then by the id's low 21 bits."""
    ticks = int(max(-1e11, min(taken_at, 1e11)) * 16) + (1 << 42)
    return ticks << 21 | photo_id & 0x1FFFFF


def key_id(key: str) -> int:
    """Return the number under which a word's key is counted."""
    # 32 bits: of 20,000 words two share a number in one library of twenty, which costs a wrong
    # count of the rarer one.
    return zlib.crc32(key.encode())


def id_text(number: int) -> str:
    """Return what the terms that show the key of this number begin with."""
    return f"{number:08x}{SEPARATOR}"


def _level(photo_id: int) -> int:
    """Return a level that half of the photos reach from 1 on, a quarter from 2 on, and so on."""
    mixed = (photo_id * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF) >> 32 | 1 << SAMPLE_LEVELS
    return (mixed & -mixed).bit_length() - 1


def make_schema() -> tantivy.Schema:
    """Return the fields of the index."""
    build = tantivy.SchemaBuilder()
    # Signed: the binding deletes by signed terms only, and silently nothing in unsigned fields.
    build.add_integer_field("photo_id", indexed=True, fast=True)
    build.add_unsigned_field("newest", fast=True)
    build.add_unsigned_field("stars", fast=True)
    # Captions word by word, for phrases and descriptions.
    build.add_text_field("text", tokenizer_name="whitespace", index_option="position")
    # What photos are found by: a term's frequency is how much speaks for it.
    build.add_text_field("evidence", tokenizer_name="whitespace", index_option="freq")
    build.add_text_field("doubtful", tokenizer_name="whitespace", index_option="freq")
    # Content words by key, twice: the numbers are counted up to five times faster in a result,
    # the terms in a whole library. Then their forms, to complete by and to show a key by.
    build.add_text_field("keys", tokenizer_name="whitespace", index_option="basic")
    build.add_unsigned_field("key_ids", fast=True)
    build.add_text_field("forms", tokenizer_name="whitespace", index_option="basic")
    build.add_text_field("shown", tokenizer_name="whitespace", index_option="basic")
    build.add_text_field("facts", tokenizer_name="whitespace", index_option="position")
    build.add_text_field("sample", tokenizer_name="whitespace", index_option="basic")
    return build.build()
