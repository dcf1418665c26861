"""The types that travel through photosearch, in the field's own terms. No behaviour beyond them."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

_SENTENCE_WORDS = 8

Box = tuple[float, float, float, float]
"""Left, top, right, bottom as fractions of the upright photo, 0 to 1."""


def display_path(path: Path | str) -> str:
    """Return `path` as one printable line: undecodable bytes and control or bidi marks escaped."""
    text = os.fspath(path)
    return "".join(
        ch
        if unicodedata.category(ch) not in ("Cc", "Cf", "Cs", "Zl", "Zp")
        # U+200D joins emoji; it neither breaks lines nor reorders text.
        or ch == "\u200d"
        else ch.encode("unicode_escape").decode("ascii")
        for ch in text
    )


class Stage(StrEnum):
    """The stages a photo passes, in order; all photos pass one before any starts the next."""

    SCAN = "scan"
    TAGS = "tags"
    VECTORS = "vectors"
    FULL = "full"
    HALVES = "halves"
    QUARTERS = "quarters"
    NINTHS = "ninths"

    @property
    def rank(self) -> int:
        """Position in the order of stages, 0 for `scan`."""
        return list(Stage).index(self)


CAPTION_STAGES = (Stage.FULL, Stage.HALVES, Stage.QUARTERS, Stage.NINTHS)
"""The stages that need a vision language model."""


@dataclass(frozen=True, slots=True)
class View:
    """The whole photo or a crop of it, by its name in the crop plan and its box."""

    name: str
    box: Box


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A picture file as the file system showed it; `size` in bytes."""

    path: Path
    size: int
    mtime_ns: int


class FileChange(StrEnum):
    """What happened to a file."""

    FOUND = "found"
    """New, or its size or time differ from what is known."""
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class FileEvent:
    """A change that the scanner decided on. `file` is None when the file is gone."""

    change: FileChange
    path: Path
    file: FoundFile | None = None


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder that the user added.

    `online` is False while it can't be reached; `problem` says what of it can't be read, and why.
    """

    id: int
    path: Path
    photo_count: int = 0
    online: bool = True
    problem: str = ""


@dataclass(frozen=True, slots=True)
class PictureInfo:
    """What the scan stage learns of a file's content. Sizes in pixels of the upright photo.

    `sha256` is the identity of the photo. `taken` is the local time as the camera wrote it,
    ISO 8601 without offset, or empty. `dhash` is a 64-bit difference hash of the picture.
    `stars` is what somebody rated it (1 to 5, 0 for not rated), `place` the names of where it was
    taken as other programs wrote them, narrowest first, separated by commas.
    """

    sha256: bytes
    width: int
    height: int
    format: str
    taken: str = ""
    camera: str = ""
    dhash: int | None = None
    stars: int = 0
    place: str = ""


@dataclass(frozen=True, slots=True)
class Photo:
    """A photo, identified by its content. `paths` are the files that hold it now.

    `taken_at` is seconds since 1970 of the camera's local clock, read as if it were UTC, so that
    it sorts and prints the same everywhere; the file's time where the camera wrote none.
    """

    id: int
    sha256: bytes
    width: int
    height: int
    format: str
    taken_at: float
    camera: str
    paths: tuple[Path, ...]
    stars: int = 0
    place: str = ""


@dataclass(frozen=True, slots=True)
class Tag:
    """A word of the instant tagger: what is shown, how sure it is (0 to 1), other names for it."""

    word: str
    score: float
    synonyms: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ViewCaption:
    """What a captioner says of one view. A tagger fills `tags` and writes `text` from them.

    `raw` is what the model wrote where `text` is a cleaned copy of it, else empty. `prompt` is
    what this text answers, where that is not the captioner's own. `skipped` says why a view was
    not looked at.
    """

    view: str
    text: str
    tags: tuple[Tag, ...] = ()
    raw: str = ""
    prompt: str = ""
    skipped: str = ""


@dataclass(frozen=True, slots=True)
class Caption:
    """A stored caption, one for each photo, view, model and prompt; times in Unix seconds.

    `raw` is what the model wrote where `text` is a cleaned copy of it, else empty; `skipped` says
    why a view was not looked at.
    """

    photo_id: int
    view: str
    model: str
    prompt: str
    text: str
    tags: tuple[Tag, ...] = ()
    created_at: float = 0.0
    raw: str = ""
    skipped: str = ""


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of captions from elsewhere: new here, here before, or of photos not here.

    `faults` are the numbers of lines that are no captions, and why.
    """

    added: int = 0
    known: int = 0
    foreign: int = 0
    faults: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True, slots=True)
class PlanCost:
    """A plan of captioning: how many views a photo, and what that takes for this library.

    `views_left` are those that no model in use has answered; `seconds_left` is None where nothing
    was measured.
    """

    name: str
    about: str
    views: int
    views_left: int
    seconds_left: float | None
    in_use: bool


class JobState(StrEnum):
    """Where a job stands. `failed` jobs are shown with their reason and run again on retry."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class JobKind:
    """A stage, and for those after `scan` who does it: a model, and what it is asked."""

    stage: Stage
    model: str = ""
    prompt: str = ""

    def __str__(self) -> str:
        return " ".join(part for part in (self.stage, self.model, self.prompt) if part)


@dataclass(frozen=True, slots=True)
class Job:
    """One stage of one file (`scan`) or photo (all others), leased to be worked on.

    `size` and `mtime_ns` are those of the file at `path` when it was scanned.
    """

    id: int
    lease: int
    kind: JobKind
    path: Path
    size: int
    mtime_ns: int
    file_id: int | None
    photo_id: int | None
    strikes: int

    @property
    def stage(self) -> Stage:
        """The stage of the photo that this is."""
        return self.kind.stage


@dataclass(frozen=True, slots=True)
class Hold:
    """Why captioning waits now, as a sentence, and the command that changes it."""

    reason: str
    command: str


@dataclass(frozen=True, slots=True)
class Failure:
    """A file that could not be processed: at which stage, why, and when (Unix seconds)."""

    job_id: int
    path: Path
    stage: Stage
    reason: str
    at: float


class Field(StrEnum):
    """What a clause looks at, where it is not a word to be found in a photo."""

    IN = "in"
    """Folders of the file."""
    NAME = "name"
    """The file's name."""
    DATE = "date"
    """When it was taken: a year, month or day, or from .. to."""
    CAMERA = "camera"
    PLACE = "place"
    TAG = "tag"
    TEXT = "text"
    """Writing inside the photo."""
    STARS = "stars"
    TYPE = "type"
    """The file's format."""
    HAS = "has"
    """That something is known of the photo: captions, tags, place, stars, text, camera, date."""
    NO = "no"
    VIEW = "view"
    """A word that crops of the photo show and the whole does not: something small."""
    ABOUT = "about"
    """A description of a sentence or more, matched as a whole: best first, no word is a must."""
    LIKE = "like"
    """The id of a photo that others are to be like."""


_NEEDS_QUOTES = re.compile(r'[\s"()|]|\*$')
_READS_AS_MORE = re.compile(
    rf"(?-i:OR|NOT)$|[-−–—]|(?:{'|'.join(Field)}):", re.IGNORECASE | re.ASCII
)


@dataclass(frozen=True, slots=True)
class Clause:
    """One condition of a query; `negated` excludes what it matches.

    Without `field` it is a word, the beginning of one (`prefix`), or words as a `phrase`; with
    `any_of` a group, which matches what any of its queries matches, and `text` is empty.
    """

    text: str = ""
    phrase: bool = False
    negated: bool = False
    field: Field | None = None
    prefix: bool = False
    any_of: tuple[Query, ...] = ()

    def __post_init__(self) -> None:
        if " " in self.text:
            object.__setattr__(self, "phrase", True)

    def __str__(self) -> str:
        if self.any_of:
            # OR binds tighter than what stands side by side.
            several = len(self.any_of) > 1
            queries = (f"({q})" if several and len(q.clauses) != 1 else str(q) for q in self.any_of)
            shown = f"({' OR '.join(queries)})"
        else:
            quoted = self.phrase or _NEEDS_QUOTES.search(self.text)
            if self.field is None:
                quoted = quoted or _READS_AS_MORE.match(self.text)
            # A query has no way to write a quotation mark inside quotes.
            shown = f'"{self.text.replace(chr(34), " ")}"' if quoted else self.text
            shown += "*" * self.prefix
        return "-" * self.negated + (f"{self.field}:" if self.field else "") + shown

    def opposite(self) -> Clause:
        """Return the clause that excludes what this one wants, or the other way round."""
        return replace(self, negated=not self.negated)


@dataclass(frozen=True, slots=True)
class Query:
    """What to look for; no clauses at all means every photo."""

    clauses: tuple[Clause, ...] = ()

    def __str__(self) -> str:
        written = " ".join(str(clause) for clause in self.clauses)
        plain = all(clause == Clause(clause.text) for clause in self.clauses)
        # So many words side by side may read like a sentence, which would be one description.
        return f"({written})" if plain and len(self.clauses) >= _SENTENCE_WORDS else written

    def __bool__(self) -> bool:
        return bool(self.clauses)

    def adding(self, clause: Clause) -> Query:
        """Return this query with `clause` at its end, or unchanged if it holds it already."""
        return self if clause in self.clauses else Query((*self.clauses, clause))

    def without(self, clause: Clause) -> Query:
        """Return this query less `clause`."""
        return Query(tuple(c for c in self.clauses if c != clause))


class Through(StrEnum):
    """Through what a word was found in a photo, strongest first."""

    WORD = "word"
    """The word itself."""
    FORM = "form"
    """Another form of it: plural, tense."""
    SYNONYM = "synonym"
    BROADER = "broader"
    """A word of its kind: `animal` through giraffe."""
    TAG = "tag"
    TEXT = "text"
    """Writing inside the photo."""
    PLACE = "place"
    NAME = "name"
    """Names of the file and its folders."""
    RELATED = "related"
    """Words that go with it in this library."""


@dataclass(frozen=True, slots=True)
class Match:
    """Why a photo was found: the clause as written, through what, by which words, in which views.

    `doubtful` where the words do not say that it is there: "perhaps a dog".
    """

    clause: str
    through: Through
    found: str
    views: tuple[str, ...] = ()
    doubtful: bool = False


@dataclass(frozen=True, slots=True)
class TermCount:
    """A word and the number of photos that hold it."""

    word: str
    count: int


@dataclass(frozen=True, slots=True)
class Hit:
    """A photo found; `partial` if it lacks a word of the query or has one that is doubtful.

    A `related` one has none of the words, but such as go with them in this library. `path` is
    None if no file is left.
    """

    photo_id: int
    score: float
    partial: bool = False
    related: bool = False
    path: Path | None = None
    sha256: bytes = b""


@dataclass(frozen=True, slots=True)
class SearchResults:
    """One page of hits, best first: full matches, then partial ones, then related ones.

    `total` counts photos that match all words, `partial_total` those that match some, or perhaps,
    `related_total` those that only have related words.
    `refine` are words that would narrow the result, with their number of photos in it;
    `refine_is_estimate` says that they were counted on a sample and scaled. `suggestions` are
    queries that would find something where a word of this one finds nothing.
    """

    query: Query
    hits: tuple[Hit, ...]
    total: int
    partial_total: int = 0
    related_total: int = 0
    took_ms: float = 0.0
    refine: tuple[TermCount, ...] = ()
    refine_is_estimate: bool = False
    suggestions: tuple[Query, ...] = ()


@dataclass(frozen=True, slots=True)
class PhotoDetails:
    """All that is known of one photo: `matches` says why a query found it."""

    photo: Photo
    captions: tuple[Caption, ...]
    words: tuple[TermCount, ...]
    matches: tuple[Match, ...] = ()

    @property
    def matched(self) -> Mapping[str, tuple[str, ...]]:
        """The views in which each clause was found."""
        views: dict[str, dict[str, None]] = {}
        for match in self.matches:
            views.setdefault(match.clause, {}).update(dict.fromkeys(match.views))
        return {clause: tuple(found) for clause, found in views.items()}


@dataclass(frozen=True, slots=True)
class StageProgress:
    """Photos by state in one stage. `per_second` and `seconds_left` are None when not measured."""

    stage: Stage
    done: int = 0
    waiting: int = 0
    failed: int = 0
    per_second: float | None = None
    seconds_left: float | None = None


@dataclass(frozen=True, slots=True)
class Status:
    """The state of a library at a glance."""

    folders: tuple[Folder, ...]
    photo_count: int
    file_count: int
    stages: tuple[StageProgress, ...]
    failure_count: int
    service_pid: int | None = None
    activity: str = ""
    paused: bool = False
    captioner: str = ""
    """Name of the vision language model in use, or empty."""
    holds: tuple[Hold, ...] = ()
    """Why nothing is captioned now though a service runs; empty if nothing speaks against it."""
    run_until: float | None = None
    """Up to when captions heed no schedule, in Unix seconds; None if they heed it."""
    notices: tuple[str, ...] = ()
