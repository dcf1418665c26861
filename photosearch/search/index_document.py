"""What the search index holds of a photo: its fields, and how they are filled from words."""

from __future__ import annotations

import zlib
from collections.abc import Collection, Mapping, Sequence

import tantivy

from photosearch.search import analysis

SCHEMA_VERSION = 3
"""Raise it with every change of the fields or of what they hold: indexes are then rebuilt."""

SEPARATOR = "\x1f"
"""Stands between the parts of a term; in no word."""

SAMPLE_LEVELS = 24
"""Halvings of the library of which random samples are at hand."""

# BM25 takes a short document to be more to the point, but one with few tags is just poor: up to
# here all count as equally long. Nearly all photos that have tags alone are below.
_LEAST_TERMS = 250
_FILLER = "\x1e"  # no term of any text


def make_document(
    photo_id: int,
    taken_at: float,
    texts: Sequence[str],
    labels: Sequence[str],
    weighted: Mapping[str, int],
    doubtful: Collection[str],
) -> tantivy.Document:
    """Return the index document of a photo; arguments as in `IndexWriter.put`."""
    document = tantivy.Document()
    document.add_integer("photo_id", photo_id)
    document.add_unsigned("newest", _newest_key(taken_at, photo_id))
    words: set[analysis.Word] = set()
    length = 0
    whole = set(labels)
    sure: set[str] = set()
    unsure: set[str] = set()
    for text in (*texts, *labels):
        # Tantivy leaves a gap between the values of a field, which no phrase spans.
        terms, shown = analysis.analyse(text)
        length += len(terms)
        sure.update(terms)
        document.add_text("text", " ".join(terms))
        words.update(analysis.label_words(text) if text in whole else shown)
    keys = {word.key for word in words}
    for text, repeats in weighted.items():
        if repeats > 0:
            terms, unshown = analysis.analyse(text)
            length += len(terms) * repeats
            if text in doubtful:
                unsure.update(terms)
            else:
                sure.update(terms)
                words.update(unshown)
            for _ in range(repeats):
                document.add_text("text", " ".join(terms))
    document.add_text("doubtful", " ".join(unsure - sure))
    if length < _LEAST_TERMS:
        document.add_text("text", " ".join([_FILLER] * (_LEAST_TERMS - length)))
    document.add_text("words", " ".join(keys))
    for key in keys:
        document.add_unsigned("key_ids", key_id(key))
    document.add_text("shown", " ".join(id_text(key_id(word.key)) + word.shown for word in words))
    document.add_text(
        "forms",
        " ".join(
            SEPARATOR.join((_despaced(analysis.fold(spaced(word.shown))), word.key, word.shown))
            for word in words
        ),
    )
    document.add_text("sample", " ".join(f"s{level}" for level in range(1, _level(photo_id) + 1)))
    return document


def spaced(word: str) -> str:
    """Return a word of several parts as people write it."""
    return word.replace(analysis.SPACE, " ")


def _despaced(word: str) -> str:
    return word.replace(" ", analysis.SPACE)


def _newest_key(taken_at: float, photo_id: int) -> int:
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
    build.add_text_field("text", tokenizer_name="whitespace", index_option="position")
    # Content words by key, twice: the numbers are counted up to five times faster in a result,
    # the terms in a whole library. Then their forms, to complete by and to show a key by.
    build.add_text_field("words", tokenizer_name="whitespace", index_option="basic")
    build.add_unsigned_field("key_ids", fast=True)
    build.add_text_field("forms", tokenizer_name="whitespace", index_option="basic")
    build.add_text_field("shown", tokenizer_name="whitespace", index_option="basic")
    build.add_text_field("doubtful", tokenizer_name="whitespace", index_option="basic")
    build.add_text_field("sample", tokenizer_name="whitespace", index_option="basic")
    return build.build()
