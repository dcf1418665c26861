"""Mended copies of projector files, for a llama.cpp that shows pictures wrongly to the model.

Two defects of llama.cpp hit vision towers whose first token stands for the whole picture (the class
token). Both can be made up for in the file. The class token is put after the patches, but positions
are counted as if it came first, so each patch gets its neighbour's position: LLaVA, BakLLaVA,
Yi-VL, MobileVLM (llama.cpp issue 25814, where the first patch is lost as well) and InternVL. And
LLaVA and its kin are run with one layer too few, because both converter and llama.cpp leave out the
last one (issue 25817).
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import shutil
import struct
import tempfile
from dataclasses import dataclass
from enum import Flag, StrEnum, auto
from io import BufferedReader
from pathlib import Path
from typing import IO

import filelock
import gguf
import numpy as np
import numpy.typing as npt

from photosearch.captioning.gguf_header import GgufHeader
from photosearch.domain import display_path
from photosearch.errors import DiskFullError, ModelError, UnavailableError

Embeddings = npt.NDArray[np.float32]

_BY, _SOURCE, _ROTATED = "photosearch.mended", "photosearch.mended.source", "photosearch.rotated"
_FEATURE_LAYER = "clip.vision.feature_layer"
_POSITIONS = "v.position_embd.weight"
# Projectors that keep one vector a patch, in the order of the patches.
_ROW_A_PATCH = frozenset({"mlp", "mlp_norm"})
# Layers of OpenAI's and OpenCLIP's towers (B, L, H, g, bigG) by width.
_CLIP_LAYERS = {768: 12, 1024: 24, 1280: 32, 1408: 40, 1664: 48}
_MIB = 1 << 20
# Copying takes seconds, or minutes on a slow drive.
_PATIENCE_S = 600
# For what else is written meanwhile: a disk filled to the last byte harms other programs.
_SPARE_BYTES = 16 * _MIB


class Family(StrEnum):
    """Models that llama.cpp runs by the same graph, by the best known of them."""

    LLAVA = "LLaVA"
    INTERNVL = "InternVL"


# GLM-Edge runs by LLaVA's graph as well, but without class token and with all its layers. CogVLM's
# graph seems to have InternVL's defect: untried, so left alone.
_FAMILIES = {
    "mlp": Family.LLAVA,
    "mlp_norm": Family.LLAVA,
    "ldp": Family.LLAVA,
    "ldpv2": Family.LLAVA,
    "internvl": Family.INTERNVL,
}


class Defect(Flag):
    """What a llama.cpp does wrong with towers that have a class token."""

    NONE = 0
    CLASS_TOKEN = auto()
    LAYER = auto()


@dataclass(frozen=True, slots=True)
class Mends:
    """What to change in a projector file.

    `rotate` moves the class token's position to the end. `feature_layer` is the layer whose output
    is to be taken, None to leave that to llama.cpp.
    """

    rotate: bool = False
    feature_layer: int | None = None

    def __bool__(self) -> bool:
        return self.rotate or self.feature_layer is not None


def family_at_risk(projector: GgufHeader) -> Family | None:
    """Return the family whose defects can hit `projector`; None without class token, if mended."""
    columns, rows, *others = (*projector.shapes.get(_POSITIONS, ()), 0, 0)
    at_risk = (
        projector.architecture == "clip"
        and "v.class_embd" in projector.shapes
        and columns * rows > 0
        and set(others) <= {0, 1}
        and _BY not in projector.keys
    )
    return _FAMILIES.get(_projector_type(projector)) if at_risk else None


def needed_mends(projector: GgufHeader, defects: Defect) -> Mends:
    """Return what to change in `projector` for a llama.cpp that runs its family with `defects`."""
    family = family_at_risk(projector)
    if family is None:
        return Mends()
    stored = projector.number("clip.vision.block_count") or 0
    layer = None
    if family is Family.LLAVA and stored and _FEATURE_LAYER not in projector.keys:
        # LLaVA takes the last but one layer's output. Converters drop the last layer, but a file
        # may hold the whole tower.
        width = projector.number("clip.vision.embedding_length") or 0
        wanted = min(stored, _CLIP_LAYERS.get(width, stored + 1) - 1)
        run = stored - 1 if Defect.LAYER in defects else stored
        layer = wanted if wanted != run else None
    return Mends(Defect.CLASS_TOKEN in defects, layer)


def mend(mmproj: Path, target: Path, mends: Mends) -> None:
    """Write a copy of `mmproj` with `mends` to `target`, which appears only when it is whole.

    Everything else is kept byte by byte; the metadata then tell who changed what, and the size and
    SHA-256 of the original. Raises ModelError for a damaged file, DiskFullError, and
    UnavailableError where the copy can't be written or the original changes meanwhile.
    """
    if family_at_risk(GgufHeader(mmproj)) is None:
        raise ModelError(f"{display_path(mmproj)} holds nothing that could be mended.")
    temporary: Path | None = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _check_space(mmproj, target.parent)
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=target.name, suffix=".new")
        temporary = Path(name)
        with os.fdopen(handle, "w+b") as copy, mmproj.open("rb") as original:
            before = mmproj.stat()
            _write(original, copy, mends)
            after = mmproj.stat()
            if (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
                raise UnavailableError(
                    f"{display_path(mmproj)} is being written just now: try again afterwards."
                )
            copy.flush()
            os.fsync(copy.fileno())
        temporary.replace(target)
    except OSError as error:
        raise _explained(error, mmproj, target.parent) from error
    except (ValueError, IndexError, KeyError) as error:
        # A quantisation that the gguf package does not know, for one.
        raise ModelError(
            f"{display_path(mmproj)} is written in a way that photosearch can't mend ({error}): "
            "take another file of this model's projector."
        ) from error
    finally:
        # After the last step there is nothing of this name.
        if temporary is not None:
            with contextlib.suppress(OSError):
                temporary.unlink()


def mended_copy(mmproj: Path, cache: Path, mends: Mends) -> Path:
    """Return the copy of `mmproj` with `mends` in the folder `cache`, made if need be.

    Processes that ask at once get the same copy, made by one of them. Copies of what `mmproj` was
    before are deleted. Raises as `mend` does.
    """
    try:
        status = mmproj.stat()
        # Half of all projector files are called mmproj-model-f16.gguf.
        place = hashlib.sha256(os.fsencode(mmproj.absolute())).hexdigest()[:12]
        shown = re.sub(r"[^\w.-]", "_", mmproj.stem, flags=re.ASCII)[:60]
        stem = f"{shown}-{place}"
        what = f"{'r' if mends.rotate else ''}{'' if mends.feature_layer is None else 'l'}"
        target = cache / f"{stem}-{status.st_size}-{status.st_mtime_ns}-{what}.gguf"
        if _is_whole(target):
            return target
        cache.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(cache / f"{stem}.lock", timeout=_PATIENCE_S):
            if not _is_whole(target):
                for old in cache.glob(f"{stem}-*"):
                    # Where it is still open it may refuse, and goes the next time.
                    with contextlib.suppress(OSError):
                        old.unlink()
                mend(mmproj, target, mends)
    except FileNotFoundError:
        raise ModelError(f"There is no model file {display_path(mmproj)}.") from None
    except OSError as error:
        raise _explained(error, mmproj, cache) from error
    return target


def remove_copies(mmproj: Path, cache: Path) -> int:
    """Delete all copies of a projector that were made in `cache`; return their size in bytes.

    A copy may itself have been copied, for a faster kind of numbers.
    """
    freed = 0
    place = hashlib.sha256(os.fsencode(mmproj.absolute())).hexdigest()[:12]
    for copy in cache.glob(f"*-{place}*") if cache.is_dir() else ():
        if copy.suffix == ".gguf":
            freed += remove_copies(copy, cache)
        with contextlib.suppress(OSError):
            size = copy.stat().st_size
            copy.unlink()
            freed += size
    return freed


def lacks_first_patch(projector: GgufHeader) -> bool:
    """Return whether llama.cpp gives this mended copy's vectors as `in_place` wants them."""
    return bool(projector.flag(_ROTATED)) and _projector_type(projector) in _ROW_A_PATCH


def in_place(vectors: Embeddings) -> Embeddings:
    """Return the vectors of one picture, (patches, width), each at its patch's place.

    From a mended copy llama.cpp gives the second to the last patch and then the class token, which
    LLaVA never shows to the language model. The first patch's vector is lost: its neighbour's
    stands in for it.
    """
    return np.concatenate((vectors[:1], vectors[:-1]))


def _projector_type(projector: GgufHeader) -> str:
    kind = projector.string("clip.projector_type")
    return kind or projector.string("clip.vision.projector_type")


def _check_space(mmproj: Path, folder: Path) -> None:
    needed = mmproj.stat().st_size + _SPARE_BYTES
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise DiskFullError(
            f"A mended copy of {display_path(mmproj)} needs {needed // _MIB} MiB in "
            f"{display_path(folder)}, where {free // _MIB} MiB are free: make room there."
        )


def _write(original: BufferedReader, copy: IO[bytes], mends: Mends) -> None:
    """Copy `original` with more metadata and other positions.

    A GGUF file is: magic, version, count of tensors, count of values; values; descriptions of
    tensors, with offsets from where the weights start; padding; weights.
    """
    reader = gguf.GGUFReader(original.name)
    first = reader.tensors[0].field.offset
    last = reader.tensors[-1].field
    descriptions_end = last.offset + sum(int(part.nbytes) for part in last.parts)
    digest = hashlib.file_digest(original, "sha256").hexdigest()
    size = original.seek(0, os.SEEK_END)
    values = [
        _string(_BY, f"by photosearch, for a llama.cpp that puts the class token last: {mends}"),
        _string(_SOURCE, f"{size} bytes, SHA-256 {digest}"),
        _key(_ROTATED, gguf.GGUFValueType.BOOL) + struct.pack("<?", mends.rotate),
    ]
    if mends.feature_layer is not None:
        head = _key(_FEATURE_LAYER, gguf.GGUFValueType.ARRAY)
        kind = gguf.GGUFValueType.INT32
        values.append(head + struct.pack("<IQi", kind, 1, mends.feature_layer))

    original.seek(0)
    start = original.read(16)
    (count,) = struct.unpack("<Q", original.read(8))
    copy.write(start + struct.pack("<Q", count + len(values)))
    copy.write(original.read(first - original.tell()))
    copy.write(b"".join(values))
    copy.write(original.read(descriptions_end - first))
    copy.write(bytes(-copy.tell() % int(reader.alignment)))
    moved = copy.tell() - reader.data_offset
    original.seek(reader.data_offset)
    shutil.copyfileobj(original, copy, _MIB)
    if mends.rotate:
        positions = next(tensor for tensor in reader.tensors if tensor.name == _POSITIONS)
        copy.seek(int(positions.data_offset) + moved)
        # Rows of patches, then the class token's: quantised rows are whole as well.
        copy.write(np.roll(positions.data, -1, axis=-2).tobytes())


def _key(name: str, kind: gguf.GGUFValueType) -> bytes:
    return struct.pack("<Q", len(name)) + name.encode() + struct.pack("<I", kind)


def _string(name: str, text: str) -> bytes:
    data = text.encode()
    return _key(name, gguf.GGUFValueType.STRING) + struct.pack("<Q", len(data)) + data


def _is_whole(target: Path) -> bool:
    try:
        return _BY in GgufHeader(target).keys
    except ModelError:
        return False


def _explained(error: OSError, mmproj: Path, folder: Path) -> UnavailableError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFullError(
            f"The disk is full: no mended copy of {display_path(mmproj)} could be made in "
            f"{display_path(folder)}. Make room there."
        )
    return UnavailableError(
        f"No mended copy of {display_path(mmproj)} could be made in {display_path(folder)}: "
        f"{error.strerror or error}."
    )
