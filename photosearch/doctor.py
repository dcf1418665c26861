"""Checks the library, its models and the system, and says what to do about what is wrong."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

from photosearch.captioners import chosen_plan, chosen_recipe
from photosearch.captioning.instant import InstantTagger
from photosearch.captioning.models import ServerModel, check_gguf
from photosearch.captioning.sensors import Sensors
from photosearch.domain import display_path
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
    "httpx": "httpx",
    "msgspec": "msgspec",
    "tomlkit": "tomlkit",
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
    return [*_system(), *_modules(), *_tagger(), *_llama(), *_sensors(), *_library(paths)]


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
        with _native_stderr_silenced():
            InstantTagger().close()
        yield Finding("instant tagger", True, "its models load")
    except PhotosearchError as error:
        yield Finding("instant tagger", False, str(error))


def _llama() -> Iterator[Finding]:
    try:
        # They load llama.cpp, which the check of the packages may have found missing.
        from photosearch.captioning.llama.devices import describe_devices  # noqa: PLC0415
        from photosearch.captioning.llama.selftest import explain  # noqa: PLC0415
    except (ImportError, OSError, RuntimeError):
        return
    devices = "; ".join(
        f"{device.name} ({device.description}, {device.free_mb} MB free)"
        for device in describe_devices()
    )
    yield Finding("llama.cpp runs on", True, devices or "no device that it knows")
    yield Finding("llama.cpp and LLaVA", *explain())


def _sensors() -> Iterator[Finding]:
    with closing(Sensors(lambda: (os.getpid(),), patience_s=2.0)) as sensors:
        told = {
            "idle time": sensors.idle_s() is not None,
            "full screen": sensors.full_screen() is not None,
            "temperature": sensors.celsius() is not None,
        }
    for what, known in told.items():
        unknown = "can't be told here: a schedule that needs it holds nothing back"
        yield Finding(what, True, "can be told" if known else unknown)


@contextmanager
def _native_stderr_silenced() -> Iterator[None]:
    # TensorFlow Lite tells the file descriptor, past sys.stderr, how it will compute.
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _library(paths: AppPaths) -> Iterator[Finding]:
    try:
        library = PhotoLibrary(paths)
    except PhotosearchError as error:
        yield Finding("library", False, str(error))
        return
    looks = {
        "library": _contents,
        "folders": _folders,
        "disk": _disk,
        "settings": _settings,
        "captioner": _captioner,
    }
    with library:
        for what, look in looks.items():
            # What one of them can't read must not hide what the others find.
            try:
                yield from look(library)
            except PhotosearchError as error:
                yield Finding(what, False, str(error))


def _contents(library: PhotoLibrary) -> Iterator[Finding]:
    problems = library.check()
    home = display_path(library.paths.home)
    yield Finding("library", not problems, " ".join(problems) or home)


def _folders(library: PhotoLibrary) -> Iterator[Finding]:
    for folder in library.folders():
        what = f"folder {display_path(folder.path)}"
        yield Finding(what, not folder.problem, folder.problem or f"{folder.photo_count} photos")


def _disk(library: PhotoLibrary) -> Iterator[Finding]:
    home = library.paths.home
    free = shutil.disk_usage(home).free
    yield Finding("disk", free > _MIN_FREE_BYTES, f"{free >> 20} MB free at {display_path(home)}")


def _settings(library: PhotoLibrary) -> Iterator[Finding]:
    captions = library.settings.load().captions
    plan = chosen_plan(captions)
    chosen_recipe(library.paths, captions, plan)
    yield Finding("settings", True, f"captions by the plan {plan.name}")


def _captioner(library: PhotoLibrary) -> Iterator[Finding]:
    model = library.models.in_use()
    if model is None:
        yield Finding("captioner", True, "none; see `photosearch models list`")
        return
    if isinstance(model, ServerModel):
        servers = ", ".join(display_path(endpoint.url) for endpoint in model.endpoints)
        yield Finding("captioner", True, f"{model.name} on {servers}")
        return
    check_gguf(model.model, model.mmproj)
    yield Finding("captioner", True, f"{model.name} ({display_path(model.model)})")
