"""The header of a GGUF file: its metadata and the shapes of its tensors, without the weights.

`gguf.GGUFReader` makes NumPy arrays of every token of the vocabulary: 40 s and 0.7 GB for 150,000
of them. This reads what photosearch asks for and steps over the rest, in a tenth of a second.
"""

from __future__ import annotations

import mmap
import re
import struct
from math import prod
from pathlib import Path
from typing import IO

from gguf import GGML_QUANT_SIZES, GGUF_DEFAULT_ALIGNMENT, GGMLQuantizationType, GGUFValueType

from photosearch.domain import display_path
from photosearch.errors import ModelError

Value = str | int | float | bool

_FORMATS = {
    GGUFValueType.UINT8: "<B",
    GGUFValueType.INT8: "<b",
    GGUFValueType.UINT16: "<H",
    GGUFValueType.INT16: "<h",
    GGUFValueType.UINT32: "<I",
    GGUFValueType.INT32: "<i",
    GGUFValueType.FLOAT32: "<f",
    GGUFValueType.BOOL: "<?",
    GGUFValueType.UINT64: "<Q",
    GGUFValueType.INT64: "<q",
    GGUFValueType.FLOAT64: "<d",
}
# Far above any vocabulary; a damaged count beyond it would keep us reading for minutes.
_MOST_ITEMS = 1 << 24
_VERSIONS = (2, 3)
_PART_NAME = re.compile(r"-\d{5}-of-(\d{5})\.gguf$")


class GgufHeader:
    """Metadata and tensor shapes (innermost first, as the file has them) of the file at `path`.

    Arrays of the metadata are known by their keys only. Raises ModelError, with the reason, for a
    file that is absent, no GGUF file, damaged, or shorter than its tensors need.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.shown = display_path(path)
        self.keys: set[str] = set()
        self.shapes: dict[str, tuple[int, ...]] = {}
        self._values: dict[str, Value] = {}
        try:
            with path.open("rb") as file:
                self._read(file)
        except FileNotFoundError:
            raise ModelError(f"There is no model file {self.shown}.") from None
        except IsADirectoryError:
            raise ModelError(f"{self.shown} is a folder, not a GGUF file.") from None
        except OSError as error:
            raise ModelError(f"{self.shown} can't be read: {error.strerror}.") from error
        except (struct.error, ValueError, OverflowError) as error:
            raise ModelError(
                f"{self.shown} is cut short or damaged: copy or download it again."
            ) from error
        self.architecture = self.string("general.architecture")

    def string(self, key: str) -> str:
        """Return a string of the metadata, or "" where there is none."""
        value = self._values.get(key)
        return value if isinstance(value, str) else ""

    def number(self, key: str) -> int | None:
        """Return a whole number of the metadata, or None where there is none."""
        value = self._values.get(key)
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    def flag(self, key: str) -> bool | None:
        """Return a truth value of the metadata, or None where there is none."""
        value = self._values.get(key)
        return value if isinstance(value, bool) else None

    def _read(self, file: IO[bytes]) -> None:
        magic = file.read(4)
        if not magic:
            raise ModelError(f"{self.shown} is empty.")
        if magic != b"GGUF":
            raise ModelError(f"{self.shown} is not a GGUF file.")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            reader = _Reader(data)
            version = reader.scalar("<I")
            if version not in _VERSIONS:
                raise ModelError(f"{self.shown} is of a GGUF version that is not supported.")
            tensors, values = reader.scalar("<Q"), reader.scalar("<Q")
            for _ in range(reader.count(values)):
                key = reader.string()
                value = reader.value(GGUFValueType(reader.scalar("<I")))
                self.keys.add(key)
                if value is not None:
                    self._values[key] = value
            end = 0
            for _ in range(reader.count(tensors)):
                name, shape, last = reader.tensor()
                self.shapes[name] = shape
                end = max(end, last)
            alignment = self.number("general.alignment") or GGUF_DEFAULT_ALIGNMENT
            if self.shapes and -(-reader.offset // alignment) * alignment + end > len(data):
                raise ValueError("tensors reach beyond the end of the file")


def parts_of(header: GgufHeader) -> list[Path]:
    """Return the files of a model that may be split, this one among them, there or not."""
    count = header.number("split.count") or 1
    if count < 2 or not _PART_NAME.search(header.path.name):
        return [header.path]
    return [
        header.path.with_name(_PART_NAME.sub(f"-{part:05}-of-{count:05}.gguf", header.path.name))
        for part in range(1, count + 1)
    ]


class _Reader:
    """Walks through a header.

    Raises struct.error, ValueError or OverflowError where it makes no sense.
    """

    def __init__(self, data: mmap.mmap) -> None:
        self._data = data
        self.offset = 4

    def scalar(self, form: str) -> int:
        """Return the next number."""
        (value,) = struct.unpack_from(form, self._data, self.offset)
        self.offset += struct.calcsize(form)
        return value  # type: ignore[no-any-return]

    def count(self, number: int) -> int:
        """Return `number` if so many things may follow."""
        if number > _MOST_ITEMS:
            raise ValueError("an impossible count")
        return number

    def string(self) -> str:
        """Return the next string."""
        length = self.scalar("<Q")
        start, self.offset = self.offset, self.offset + length
        if self.offset > len(self._data):
            raise ValueError("a string reaches beyond the end of the file")
        return self._data[start : self.offset].decode("utf-8", "replace")

    def value(self, kind: GGUFValueType) -> Value | None:
        """Return the next value, or None for an array, which is stepped over."""
        if kind == GGUFValueType.STRING:
            return self.string()
        if kind != GGUFValueType.ARRAY:
            return self.scalar(_FORMATS[kind])
        item = GGUFValueType(self.scalar("<I"))
        count = self.count(self.scalar("<Q"))
        if item == GGUFValueType.STRING:
            self._skip_strings(count)
        elif item == GGUFValueType.ARRAY:
            for _ in range(count):
                self.value(item)
        else:
            self.offset += count * struct.calcsize(_FORMATS[item])
        return None

    def tensor(self) -> tuple[str, tuple[int, ...], int]:
        """Return name and shape of the next tensor, and where its data ends, in bytes."""
        name = self.string()
        dimensions = self.scalar("<I")
        if dimensions > 8:
            raise ValueError("a tensor of too many dimensions")
        shape = tuple(self.scalar("<Q") for _ in range(dimensions))
        kind, start = self.scalar("<I"), self.scalar("<Q")
        try:
            block, size = GGML_QUANT_SIZES[GGMLQuantizationType(kind)]
        except ValueError:
            # A newer quantisation than the gguf package knows: its size can't be checked.
            return name, shape, start
        return name, shape, start + prod(shape) // block * size

    def _skip_strings(self, count: int) -> None:
        unpack = struct.Struct("<Q").unpack_from
        offset = self.offset
        for _ in range(count):
            offset += 8 + unpack(self._data, offset)[0]
        self.offset = offset
