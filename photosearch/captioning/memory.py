"""How much memory a model needs, against what this computer has."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import psutil

from photosearch.errors import ModelError

CONTEXT_TOKENS = 1024
"""What a view takes of most models' context: LLaVA-1.5's 576 image tokens, prompt, answer."""

# llama.cpp's compute buffers, Python, and the picture itself: 0.65 GB were measured with LLaVA's
# vision tower beside a language model of 0.9 B parameters, for one view as for four at once.
_ROOM_BYTES = 700_000_000
_KV_BYTES = 2  # float16, llama.cpp's default


@dataclass(frozen=True, slots=True)
class MemoryShape:
    """What a model's need of memory follows from: its files, and the shape of its KV cache.

    `key_width` and `value_width` are numbers a token in each layer, over all KV heads.
    """

    file_bytes: int
    layers: int
    key_width: int
    value_width: int

    def bytes_per_token(self) -> int:
        """Return what a token takes in the KV cache."""
        return self.layers * (self.key_width + self.value_width) * _KV_BYTES

    def need_bytes(self, context_tokens: int = CONTEXT_TOKENS, sequences: int = 1) -> int:
        """Return the need of `sequences` views at once, each with `context_tokens`."""
        cache = sequences * context_tokens * self.bytes_per_token()
        return self.file_bytes + cache + _ROOM_BYTES


@dataclass(frozen=True, slots=True)
class Memory:
    """Main memory of this computer in bytes: all of it, and what can be had now."""

    total: int
    available: int

    @classmethod
    def now(cls) -> Memory:
        """Return what the system says at this moment."""
        memory = psutil.virtual_memory()
        return cls(memory.total, memory.available)


def memory_shape(model: Path, mmproj: Path) -> MemoryShape:
    """Return what the headers of both files say; ModelError where they can't be read."""
    # It brings NumPy, which a command that only lists models need not wait for.
    from photosearch.captioning.gguf_header import GgufHeader, parts_of  # noqa: PLC0415

    header = GgufHeader(model)
    files = [*parts_of(header), mmproj]
    key = header.architecture + "."
    heads = header.number(key + "attention.head_count") or 1
    # Models of mixed layers have a list here; then all heads are the safe guess.
    kv_heads = header.number(key + "attention.head_count_kv") or heads
    head_width = (header.number(key + "embedding_length") or 0) // heads
    return MemoryShape(
        sum(file.stat().st_size for file in files if file.exists()),
        header.number(key + "block_count") or 0,
        kv_heads * (header.number(key + "attention.key_length") or head_width),
        kv_heads * (header.number(key + "attention.value_length") or head_width),
    )


def memory_warning(name: str, need_bytes: int, memory: Memory, smaller: str = "") -> str:
    """Return a sentence if the model `name` may run short of memory, else "".

    `smaller` names models that need less. Raises ModelError if it needs more than there is at all.
    A GPU's own memory is not counted.
    """
    if need_bytes <= memory.available:
        return ""
    choose = f"choose a smaller model: {smaller}" if smaller else "choose a smaller model"
    if need_bytes > memory.total:
        raise ModelError(
            f"{name} needs about {gigabytes(need_bytes)}, and this computer has "
            f"{gigabytes(memory.total)} of memory: {choose}."
        )
    return (
        f"{name} needs about {gigabytes(need_bytes)}, and {gigabytes(memory.available)} are free: "
        f"close programs, or {choose}."
    )


def gigabytes(size: int) -> str:
    """Return `size` bytes for reading, in decimal units as disks and downloads are given."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"
