"""Data sets: photos with what is known of them, read from the files that the user has."""

from __future__ import annotations

import gzip
import hashlib
import xml.etree.ElementTree as ET
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import msgspec
import numpy as np

from photosearch.caption_lines import parse_line
from photosearch.domain import Caption, display_path
from photosearch.errors import UsageError
from photosearch.evaluation.metrics import IntArray
from photosearch.imaging.crops import WHOLE

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Item:
    """A photo: its true labels, what people wrote of it, and what models wrote, by view.

    `difficult` are labels that hold only for objects which are hard to make out (PASCAL VOC).
    """

    name: str
    labels: tuple[str, ...] = ()
    captions: tuple[str, ...] = ()
    documents: tuple[Caption, ...] = ()
    picture: Path | None = None
    difficult: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EvaluationSet:
    """Photos to be searched; a photo's number is its place in `items`."""

    name: str
    items: tuple[Item, ...]

    def __len__(self) -> int:
        return len(self.items)

    def relevant(self) -> dict[str, IntArray]:
        """Return for each label, in alphabetical order, the numbers of the photos that have it."""
        found: dict[str, list[int]] = {}
        for number, item in enumerate(self.items):
            for label in item.labels:
                found.setdefault(label, []).append(number)
        return {label: np.array(found[label], dtype=np.int64) for label in sorted(found)}

    def half(self, which: int) -> EvaluationSet:
        """Return every other photo: those with even numbers for 0, with odd ones for 1."""
        return replace(self, items=self.items[which::2])

    def with_difficult(self) -> EvaluationSet:
        """Return this set with difficult objects counted as any others."""
        items = (
            replace(item, labels=item.labels + item.difficult, difficult=()) for item in self.items
        )
        return replace(self, items=tuple(items))


def read(path: Path, *, split: str = "", human: Path | None = None) -> EvaluationSet:
    """Read a data set, whose format shows in what is there.

    A folder is PASCAL VOC's (it holds Annotations) or NUS-WIDE's; files end in .json (COCO's
    instances, with its captions in `human`, or Karpathy's lists), .token (Flickr30k), or
    .jsonl and .jsonl.gz (a line a photo, or a caption). `split` is a part of sets that have parts.
    Raises UsageError, with file and line, for what can't be read.
    """
    if path.is_dir():
        return read_voc(path, split) if (path / "Annotations").is_dir() else read_nus(path, split)
    if path.name.endswith((".jsonl", ".jsonl.gz")):
        return read_jsonl(path)
    if path.name.endswith((".token", ".token.gz")):
        return read_flickr30k(path)
    if path.name.endswith((".json", ".json.gz")):
        return read_coco(path, human, split)
    raise UsageError(
        f"{display_path(path)} is no data set that photosearch knows: it reads folders of PASCAL "
        "VOC and NUS-WIDE, and files that end in .json (COCO), .token (Flickr30k), .jsonl or "
        ".jsonl.gz."
    )


class _CocoImage(msgspec.Struct):
    file_name: str = ""
    id: int = -1
    filename: str = ""
    split: str = ""
    sentences: list[_Sentence] = []


class _Sentence(msgspec.Struct):
    raw: str


class _CocoCategory(msgspec.Struct):
    id: int
    name: str


class _CocoAnnotation(msgspec.Struct):
    image_id: int
    category_id: int = -1
    caption: str = ""


class _Coco(msgspec.Struct):
    images: list[_CocoImage]
    annotations: list[_CocoAnnotation] = []
    categories: list[_CocoCategory] = []


def read_coco(path: Path, captions: Path | None = None, split: str = "") -> EvaluationSet:
    """Read COCO's instances, and captions of people; or Karpathy's list of a data set.

    Of the latter the `split` is taken, "test" unless another is given.
    """
    found = _json(path, _Coco)
    if any(image.sentences for image in found.images):
        wanted = split or "test"
        kept = [image for image in found.images if image.split == wanted]
        return _set(
            path,
            (
                Item(image.filename, captions=tuple(s.raw.strip() for s in image.sentences))
                for image in kept
            ),
        )
    names = {category.id: category.name for category in found.categories}
    labels: dict[int, dict[str, None]] = {}
    said: dict[int, list[str]] = {}
    written = _json(captions, _Coco).annotations if captions else []
    for annotation in [*found.annotations, *written]:
        if annotation.caption:
            said.setdefault(annotation.image_id, []).append(annotation.caption.strip())
        elif annotation.category_id in names:
            labels.setdefault(annotation.image_id, {})[names[annotation.category_id]] = None
        else:
            raise UsageError(
                f"{display_path(path)}: an annotation of image {annotation.image_id} names the "
                f"category {annotation.category_id}, which the file does not list."
            )
    return _set(
        path,
        (
            Item(image.file_name, tuple(labels.get(image.id, ())), tuple(said.get(image.id, ())))
            for image in found.images
        ),
    )


def read_voc(folder: Path, split: str = "") -> EvaluationSet:
    """Read a folder of PASCAL VOC: the photos of `split` ("test" if there is such a list)."""
    lists = folder / "ImageSets" / "Main"
    names = None
    if split or (lists / "test.txt").is_file():
        names = [line.split()[0] for _, line in _lines(lists / f"{split or 'test'}.txt") if line]
    else:
        names = sorted(path.stem for path in (folder / "Annotations").glob("*.xml"))
    return _set(folder, (_voc_item(folder, name) for name in names))


def _voc_item(folder: Path, name: str) -> Item:
    path = folder / "Annotations" / f"{name}.xml"
    try:
        tree = ET.parse(path).getroot()
    except OSError as error:
        raise _unreadable(path, error) from error
    except ET.ParseError as error:
        raise UsageError(f"{display_path(path)}, line {error.position[0]}: no XML.") from error
    clear: dict[str, None] = {}
    difficult: dict[str, None] = {}
    for thing in tree.iterfind("object"):
        label = (thing.findtext("name") or "").strip()
        if not label:
            raise UsageError(f"{display_path(path)}: an object has no name.")
        (difficult if (thing.findtext("difficult") or "").strip() == "1" else clear)[label] = None
    file_name = (tree.findtext("filename") or f"{name}.jpg").strip()
    picture = folder / "JPEGImages" / file_name
    return Item(
        file_name,
        tuple(clear),
        picture=picture if picture.is_file() else None,
        difficult=tuple(label for label in difficult if label not in clear),
    )


def read_nus(folder: Path, split: str = "") -> EvaluationSet:
    """Read a folder of NUS-WIDE: lists of photos, and a file Labels_NAME.txt for each concept.

    The concepts are those whose files the folder holds, so 21 files make NUS-WIDE's 21 concepts.
    `split` is Train or Test where the files' names end so, else empty. Photos that have none of the
    concepts are left out, as is usual with 21 of them.
    """
    ending = f"_{split}" if split else ""
    files = {
        path.stem.removeprefix("Labels_").removesuffix(ending): path
        for path in sorted(folder.rglob(f"Labels_*{ending}.txt"))
        if split or not path.stem.endswith(("_Train", "_Test"))
    }
    wanted = f"{split}imagelist.txt".lower()
    lists = [path for path in sorted(folder.rglob("*.txt")) if path.name.lower() == wanted]
    if not files or not lists:
        raise UsageError(
            f"{display_path(folder)} is no folder of PASCAL VOC (it has no Annotations) nor of "
            f"NUS-WIDE (it has no {'Labels_NAME' + ending + '.txt' if lists else wanted}). For a "
            "part of NUS-WIDE give --split Train or Test."
        )
    names = [line.replace("\\", "/") for _, line in _lines(lists[0]) if line]
    labels: list[list[str]] = [[] for _ in names]
    for concept, path in files.items():
        count = 0
        for number, line in _lines(path):
            if not line:
                continue
            if line not in ("0", "1") or count == len(names):
                what = "neither 0 nor 1" if line not in ("0", "1") else "more lines than photos"
                raise UsageError(f"{display_path(path)}, line {number}: {what}.")
            if line == "1":
                labels[count].append(concept)
            count += 1
        if count != len(names):
            raise UsageError(
                f"{display_path(path)} has {count} lines, but {display_path(lists[0])} lists "
                f"{len(names)} photos."
            )
    return _set(
        folder,
        (Item(name, tuple(has)) for name, has in zip(names, labels, strict=True) if has),
    )


def read_flickr30k(path: Path) -> EvaluationSet:
    """Read captions of people in Flickr30k's form: `name.jpg#0`, a tab, the caption."""
    captions: dict[str, list[str]] = {}
    for number, line in _lines(path):
        if not line:
            continue
        name, hash_mark, rest = line.partition("#")
        _, tab, caption = rest.partition("\t")
        if not hash_mark or not tab:
            raise UsageError(
                f"{display_path(path)}, line {number}: it should read NAME#NUMBER, a tab, CAPTION."
            )
        captions.setdefault(name, []).append(caption.strip())
    return _set(path, (Item(name, captions=tuple(said)) for name, said in captions.items()))


class _Row(msgspec.Struct):
    file_name: str = ""
    file: str = ""
    image_id: int | str = ""
    id: int | str = ""
    labels: list[str] | None = None
    captions: list[str] | None = None
    caption: str = ""
    view: str = WHOLE.name
    model: str = ""


def read_jsonl(path: Path) -> EvaluationSet:
    """Read JSON lines: a photo each, or a model's caption each; gzipped or not.

    Keys: a name (`file_name`, `file`, `image_id` or `id`), `labels`, `captions` (of people),
    `caption` (of a model) with `view` and `model`. Of several captions of one view the first
    counts. Pictures are found beside the file.
    """
    items: dict[str, Item] = {}
    decoder = msgspec.json.Decoder(_Row)
    for number, line in _lines(path):
        if not line:
            continue
        try:
            row = decoder.decode(line)
        except (msgspec.DecodeError, RecursionError) as error:
            raise UsageError(f"{display_path(path)}, line {number}: {error}.") from None
        name = row.file_name or row.file or str(row.image_id) or str(row.id)
        if not name:
            raise UsageError(f"{display_path(path)}, line {number}: it names no photo.")
        item = items.get(name)
        if item is None:
            picture = path.parent / name
            item = Item(
                name,
                tuple(dict.fromkeys(row.labels or ())),
                tuple(caption.strip() for caption in row.captions or ()),
                picture=picture if picture.is_file() else None,
            )
        if row.caption and all(known.view != row.view for known in item.documents):
            said = Caption(0, row.view, row.model or "model", "", row.caption)
            item = replace(item, documents=(*item.documents, said))
        items[name] = item
    return _set(path, items.values())


class _NamedLine(msgspec.Struct):
    sha256: str = ""
    file_name: str = ""
    text: str = ""
    view: str = WHOLE.name
    model: str = "model"
    prompt: str = ""


def join_captions(data: EvaluationSet, path: Path, photos: Path | None = None) -> EvaluationSet:
    """Return `data` with the captions of a file of JSON lines, and only the photos that have any.

    Lines are those of `photosearch captions export`, joined by content to the pictures of `data`
    or those of its names in the folder `photos`; or they hold a `file_name` instead of the hash.
    """
    data = with_pictures(data, photos) if photos else data
    said: dict[str, list[Caption]] = {}
    by_hash: dict[bytes, str] | None = None
    decoder = msgspec.json.Decoder(_NamedLine)
    for number, line in _lines(path):
        if not line:
            continue
        try:
            row = decoder.decode(line)
            if not row.sha256:
                caption = Caption(0, row.view, row.model, row.prompt, row.text)
                said.setdefault(Path(row.file_name).name, []).append(caption)
                continue
            sha256, caption = parse_line(line.encode())
        except (msgspec.DecodeError, RecursionError, UsageError) as error:
            raise UsageError(f"{display_path(path)}, line {number}: {error}.") from None
        if by_hash is None:
            by_hash = _by_hash(data)
        if sha256 in by_hash:
            said.setdefault(by_hash[sha256], []).append(caption)
    items = tuple(
        replace(item, documents=tuple(said[name]))
        for item in data.items
        if (name := Path(item.name).name) in said
    )
    if not items:
        raise UsageError(
            f"None of the captions in {display_path(path)} is of a photo of {data.name}."
        )
    return replace(data, items=items)


def with_pictures(data: EvaluationSet, photos: Path) -> EvaluationSet:
    """Return `data` with the pictures of its names in the folder `photos`, as far as there."""
    items = []
    for item in data.items:
        paths = (photos / item.name, photos / Path(item.name).name)
        picture = next((path for path in paths if path.is_file()), item.picture)
        items.append(replace(item, picture=picture))
    if not any(item.picture for item in items):
        raise UsageError(f"{display_path(photos)} holds none of the photos of {data.name}.")
    return replace(data, items=tuple(items))


def _by_hash(data: EvaluationSet) -> dict[bytes, str]:
    found = {}
    for item in data.items:
        if item.picture is not None:
            with item.picture.open("rb") as file:
                found[hashlib.file_digest(file, "sha256").digest()] = Path(item.name).name
    if not found:
        raise UsageError(
            "The captions name photos by their content: give the folder of the photos, too "
            "(--photos)."
        )
    return found


def _set(path: Path, items: Iterable[Item]) -> EvaluationSet:
    found = tuple(items)
    if not found:
        raise UsageError(f"{display_path(path)} holds no photos.")
    return EvaluationSet(path.name.split(".")[0], found)


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines of a text file, gzipped or not, with their numbers, without white space."""
    number = 0
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                yield number, line.strip()
    except (OSError, EOFError, zlib.error) as error:
        raise _unreadable(path, error) from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{display_path(path)}, after line {number}: no UTF-8 text.") from error


def _json(path: Path, kind: type[_T]) -> _T:
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        return msgspec.json.decode(data, type=kind)
    except (OSError, EOFError, zlib.error) as error:
        raise _unreadable(path, error) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"{display_path(path)} is not in COCO's form: {error}.") from None


def _unreadable(path: Path, error: Exception) -> UsageError:
    reason = getattr(error, "strerror", None) or "it is damaged"
    return UsageError(f"{display_path(path)} can't be read: {reason}.")


def human_documents(captions: Sequence[str]) -> tuple[Caption, ...]:
    """Return captions of people as if as many models had written them of the whole photo."""
    return tuple(
        Caption(0, WHOLE.name, f"person {number}", "", text)
        for number, text in enumerate(captions, 1)
    )
