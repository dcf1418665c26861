"""What the installed llama.cpp can compute on."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import llama_cpp
from llama_cpp import _ggml

# ggml-backend.h: enum ggml_backend_dev_type. An accelerator, as BLAS, computes in main memory.
_CPU, _GPU, _INTEGRATED_GPU = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Device:
    """A processor that llama.cpp can use; memory in MiB, 0 where the driver does not say."""

    name: str
    description: str
    is_gpu: bool
    free_mb: int
    total_mb: int


def describe_devices() -> list[Device]:
    """Return what the installed build of llama.cpp can compute on here, GPUs first."""
    llama_cpp.llama_backend_init()
    count = _function("ggml_backend_dev_count", ctypes.c_size_t)
    get = _function("ggml_backend_dev_get", ctypes.c_void_p, ctypes.c_size_t)
    found = [_device(get(number)) for number in range(count())]
    return sorted(found, key=lambda device: not device.is_gpu)


def free_gpu_mb() -> int:
    """Return how many MiB are free on all GPUs together; 0 where llama.cpp can't use one."""
    return sum(device.free_mb for device in describe_devices() if device.is_gpu)


def can_use_gpu() -> bool:
    """Return whether llama.cpp was built for a GPU, and finds one."""
    return any(device.is_gpu for device in describe_devices())


def _device(handle: int) -> Device:
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    size_pointer = ctypes.POINTER(ctypes.c_size_t)
    memory = _function("ggml_backend_dev_memory", None, ctypes.c_void_p, size_pointer, size_pointer)
    memory(handle, ctypes.byref(free), ctypes.byref(total))
    name = _function("ggml_backend_dev_name", ctypes.c_char_p, ctypes.c_void_p)(handle)
    description = _function("ggml_backend_dev_description", ctypes.c_char_p, ctypes.c_void_p)
    kind = _function("ggml_backend_dev_type", ctypes.c_int, ctypes.c_void_p)(handle)
    return Device(
        name.decode("utf-8", "replace"),
        description(handle).decode("utf-8", "replace").strip(),
        kind in (_GPU, _INTEGRATED_GPU),
        free.value >> 20,
        total.value >> 20,
    )


def _function(name: str, result: Any, *arguments: Any) -> Callable[..., Any]:
    """Return a function of ggml, which llama-cpp-python loads but does not describe."""
    library = _ggml.libggml
    if not hasattr(library, name):
        # Where a library does not find those it was linked to by itself (Windows).
        library = ctypes.CDLL(str(_ggml.libggml_base_path / "ggml-base.dll"))
    function: Any = library[name]
    function.restype, function.argtypes = result, arguments
    return function  # type: ignore[no-any-return]
