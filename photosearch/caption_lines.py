"""Captions as JSON lines, to be taken from one library to another (the paper's appendix F)."""

from __future__ import annotations

import codecs
import datetime
import json
import math
from collections.abc import Iterable
from itertools import islice
from typing import Annotated, Any

import msgspec

from photosearch.captioning.cleaning import clean
from photosearch.domain import Caption, Imported, Tag
from photosearch.errors import UsageError
from photosearch.imaging.crops import view_named
from photosearch.storage.caption_store import CaptionStore

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
_Text = Annotated[str, msgspec.Meta(max_length=100_000)]
_Hash = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-fA-F]{64}\Z")]


class _TagLine(msgspec.Struct):
    word: _Name
    score: Annotated[float, msgspec.Meta(ge=0, le=1)]
    synonyms: list[_Name] = []


class _Line(msgspec.Struct):
    sha256: _Hash
    view: _Name
    model: _Name
    prompt: _Text
    text: _Text
    created_at: datetime.datetime
    tags: list[_TagLine] = []
    raw: _Text = ""
    skipped: Annotated[str, msgspec.Meta(max_length=200)] = ""


_BATCH = 1000
_DECODER = msgspec.json.Decoder(_Line)


def caption_json(sha256: bytes, caption: Caption) -> dict[str, Any]:
    """Return a caption, and the content hash of its photo, as a JSON object."""
    created_at = datetime.datetime.fromtimestamp(caption.created_at, datetime.UTC)
    row: dict[str, Any] = {
        "sha256": sha256.hex(),
        "view": caption.view,
        "model": caption.model,
        "prompt": caption.prompt,
        "text": caption.text,
        "created_at": created_at.isoformat(timespec="milliseconds"),
    }
    if caption.tags:
        row["tags"] = [
            {"word": t.word, "score": t.score, "synonyms": list(t.synonyms)} for t in caption.tags
        ]
    if caption.raw:
        row["raw"] = caption.raw
    if caption.skipped:
        row["skipped"] = caption.skipped
    return row


def caption_line(sha256: bytes, caption: Caption) -> str:
    """Return a caption as one line of JSON."""
    return json.dumps(caption_json(sha256, caption), ensure_ascii=False)


def parse_line(line: bytes) -> tuple[bytes, Caption]:
    """Return the content hash and the caption that `caption_line` wrote, of photo 0.

    Raises UsageError for anything else, with the reason.
    """
    try:
        row = _DECODER.decode(line)
        view_named(row.view)
        created_at = row.created_at.timestamp()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"it is no caption: {str(error)[:200]}") from None
    except KeyError:
        raise UsageError("it names a view that photosearch does not know") from None
    except (OverflowError, ValueError, OSError):
        created_at = math.nan
    if not math.isfinite(created_at):
        raise UsageError("its created_at is no time")
    tags = tuple(Tag(tag.word, tag.score, tuple(tag.synonyms)) for tag in row.tags)
    # A file from elsewhere may hold what no captioner here would have stored.
    text = row.text if tags else clean(row.text, ended=True, question="")
    return bytes.fromhex(row.sha256), Caption(
        0, row.view, row.model, row.prompt, text, tags, created_at, row.raw, row.skipped
    )


def add_lines(store: CaptionStore, lines: Iterable[bytes]) -> Imported:
    """Add captions from JSON lines to the photos of the same content, but for faulty lines."""
    added = known = foreign = 0
    faults: list[tuple[int, str]] = []
    numbered = iter(enumerate(lines, 1))
    while some := list(islice(numbered, _BATCH)):
        captions = []
        for number, line in some:
            if not line.strip():
                continue
            try:
                captions.append(parse_line(line.removeprefix(codecs.BOM_UTF8)))
            except UsageError as error:
                faults.append((number, str(error)))
        counts = store.add(captions)
        added, known, foreign = added + counts[0], known + counts[1], foreign + counts[2]
    return Imported(added, known, foreign, tuple(faults))
