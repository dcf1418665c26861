"""Checks the library, its models and the system, and says what to do about what is wrong."""

from __future__ import annotations

import importlib
import importlib.metadata
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from photosearch.captioning.instant import InstantTagger
from photosearch.captioning.models import check_gguf
from photosearch.errors import PhotosearchError
from photosearch.library import PhotoLibrary
from photosearch.paths import AppPaths

_MODULES = {
    "Pillow": "PIL",
    "pillow-heif": "pillow_heif",
    "tantivy": "tantivy",
    "watchdog": "watchdog",
    "llama-cpp-python": "llama_cpp",
    "opencv-python-headless": "cv2",
    "ai-edge-litert": "ai_edge_litert",
    "PySide6-Essentials": "PySide6",
}
_MIN_FREE_BYTES = 1 << 30


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: is it well, and if not, what to do."""

    what: str
    ok: bool
    detail: str


def examine(paths: AppPaths) -> list[Finding]:
    """Return what was found, in a fixed order; looks, and changes nothing but an empty library."""
    return [*_system(), *_modules(), *_tagger(), *_library(paths)]


def _system() -> Iterator[Finding]:
    version = platform.python_version()
    yield Finding("Python", sys.version_info >= (3, 11), f"{version} on {platform.platform()}")


def _modules() -> Iterator[Finding]:
    for package, module in _MODULES.items():
        try:
            importlib.import_module(module)
            yield Finding(package, True, importlib.metadata.version(package))
        except (ImportError, OSError, RuntimeError) as error:
            yield Finding(package, False, f"{error}. Install it again: pip install {package}")


def _tagger() -> Iterator[Finding]:
    try:
        InstantTagger().close()
        yield Finding("instant tagger", True, "its models load")
    except PhotosearchError as error:
        yield Finding("instant tagger", False, str(error))


def _library(paths: AppPaths) -> Iterator[Finding]:
    try:
        library = PhotoLibrary(paths)
    except PhotosearchError as error:
        yield Finding("library", False, str(error))
        return
    with library:
        problems = library.check()
        status = library.status()
        yield Finding(
            "library", not problems, " ".join(problems) or f"{paths.home}: {status.photo_count} "
            "photos",
        )  # fmt: skip
        for folder in status.folders:
            yield Finding(
                f"folder {folder.path}", not folder.problem,
                folder.problem or f"{folder.photo_count} photos",
            )  # fmt: skip
        free = shutil.disk_usage(paths.home).free
        yield Finding("disk", free > _MIN_FREE_BYTES, f"{free >> 20} MB free at {paths.home}")
        model = library.models.in_use()
        if model is None:
            yield Finding("captioner", True, "none; see `photosearch models list`")
        else:
            try:
                check_gguf(model.model, model.mmproj)
                yield Finding("captioner", True, f"{model.name} ({model.model})")
            except PhotosearchError as error:
                yield Finding("captioner", False, str(error))
