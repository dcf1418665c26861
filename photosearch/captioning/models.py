"""Vision language models as files: whether a pair of GGUF files fits, and which pair is in use.

Nothing here loads a model: llama.cpp ends the process on some bad files, so they are refused first.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import tempfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from photosearch.captioning.instant import MODEL as INSTANT_TAGGER
from photosearch.domain import display_path
from photosearch.errors import DiskFullError, ModelError, UnavailableError, UsageError

if TYPE_CHECKING:
    from photosearch.captioning.gguf_header import GgufHeader

DEFAULT_PROMPT = "Describe this image in detail."
"""Asks for a full description, as LLaVA's own training data does (Liu et al., Visual Instruction
Tuning, table of instructions for detailed descriptions)."""

DEFAULT_MAX_TOKENS = 200
"""LLaVA-1.5 describes a photo in about 100 tokens."""

_LLAVA_PROJECTORS = frozenset({"mlp", "mlp_norm", "ldp", "ldpv2"})
# Projectors that always look at one square of `image_size`; the others take in larger pictures.
_SQUARE_PROJECTORS = _LLAVA_PROJECTORS | {"gemma3"}
# Projectors whose last matrix gives the width that the language model takes.
_LAST_MATRIX = {
    "mlp": "mm.2.weight",
    "pixtral": "mm.2.weight",
    "qwen2vl_merger": "mm.2.weight",
    "qwen2.5vl_merger": "mm.2.weight",
}
_VISION_BLOCK = ("attn_out", "ffn_down", "ffn_up", "ln1", "ln2")
_LLAMA_BLOCK = ("attn_norm", "attn_output", "ffn_norm")
_SPLIT_NAME = re.compile(r"-(\d{5})-of-(\d{5})\.gguf$")


@dataclass(frozen=True, slots=True)
class CaptionerConfig:
    """A model and how to ask it; plain data that travels to a worker process.

    Captions are stored under `name` and `prompt`. `threads` None means one a physical core.
    `gpu_layers` counts the layers that a GPU takes, where llama.cpp was built for one; -1 is all.
    `max_tokens` bounds a caption.
    """

    name: str
    model: Path
    mmproj: Path
    prompt: str = DEFAULT_PROMPT
    max_tokens: int = DEFAULT_MAX_TOKENS
    threads: int | None = None
    gpu_layers: int = -1


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What the headers of a model and its mmproj tell.

    `image_side` is the side in pixels of the one square that the vision tower looks at, or None
    where it takes pictures of any size. `chat_template` is Jinja, or empty.
    """

    architecture: str
    projector: str
    image_side: int | None
    chat_template: str

    @property
    def speaks_llava(self) -> bool:
        """Whether the model was trained on LLaVA-1.5's prompt and brings no template of its own."""
        return self.projector in _LLAVA_PROJECTORS and not self.chat_template


def check_gguf(model: Path, mmproj: Path) -> ModelFacts:
    """Return what the headers of both files tell; reads no weights.

    Raises ModelError for files that are absent, unreadable, cut short, swapped, of other kinds, or
    that do not belong together. What is unknown here is left to llama.cpp.
    """
    # It brings NumPy, which a command that only lists models need not wait for.
    from photosearch.captioning.gguf_header import GgufHeader  # noqa: PLC0415

    text = GgufHeader(model)
    vision = GgufHeader(mmproj)
    if text.architecture == "clip" and vision.architecture != "clip":
        raise ModelError(
            f"{text.shown} is an image projector (mmproj) and {vision.shown} a language model: "
            "they are swapped."
        )
    _check_text(text)
    _check_vision(vision)
    _check_widths(text, vision)
    projector = _projector(vision)
    side = vision.number("clip.vision.image_size")
    # LLaVA-1.6 has LLaVA's projector and cuts larger pictures into several squares.
    one_square = (
        projector in _SQUARE_PROJECTORS and "clip.vision.image_grid_pinpoints" not in vision.keys
    )
    return ModelFacts(
        text.architecture,
        projector,
        side if one_square else None,
        text.string("tokenizer.chat_template"),
    )


def _need(header: GgufHeader, names: Iterable[str]) -> None:
    for name in names:
        if name not in header.shapes:
            raise ModelError(f"{header.shown} is incomplete: it lacks the tensor {name}.")


def _projector(vision: GgufHeader) -> str:
    return vision.string("clip.projector_type") or vision.string("clip.vision.projector_type")


def _check_text(text: GgufHeader) -> None:
    if text.architecture == "clip":
        raise ModelError(f"{text.shown} is an image projector (mmproj), not a language model.")
    if not text.architecture:
        raise ModelError(f"{text.shown} does not say what kind of model it is.")
    if text.string("general.type") == "adapter":
        raise ModelError(f"{text.shown} is a LoRA adapter, not a whole language model.")
    parts = text.number("split.count") or 1
    if parts > 1:
        _check_parts(text, parts)
        return
    _need(text, ["token_embd.weight"])
    if text.architecture == "llama":
        blocks = text.number("llama.block_count") or 0
        _need(text, (f"blk.{i}.{name}.weight" for i in range(blocks) for name in _LLAMA_BLOCK))


def _check_parts(text: GgufHeader, parts: int) -> None:
    if text.number("split.no"):
        raise ModelError(f"{text.shown} is a later part of a split model: name the first part.")
    found = _SPLIT_NAME.search(text.path.name)
    for part in range(1, parts + 1) if found else ():
        name = _SPLIT_NAME.sub(f"-{part:05}-of-{parts:05}.gguf", text.path.name)
        if not text.path.with_name(name).exists():
            raise ModelError(f"A part of the split model is missing: {display_path(name)}.")


def _check_vision(vision: GgufHeader) -> None:
    if vision.architecture != "clip":
        raise ModelError(f"{vision.shown} is no image projector (mmproj).")
    tower = any(name.startswith("v.") for name in vision.shapes)
    if vision.flag("clip.has_vision_encoder") is False or not tower:
        raise ModelError(f"{vision.shown} has no vision encoder: the model can't see pictures.")
    if _projector(vision) != "mlp":
        return
    # llama.cpp ends the process on the following, for which LLaVA's layout is known.
    blocks = vision.number("clip.vision.block_count") or 0
    _need(vision, ["v.patch_embd.weight", "v.position_embd.weight", "mm.0.weight", "mm.2.weight"])
    _need(vision, (f"v.blk.{i}.{name}.weight" for i in range(blocks) for name in _VISION_BLOCK))
    for i in range(blocks):
        if f"v.blk.{i}.attn_qkv.weight" not in vision.shapes:
            _need(vision, (f"v.blk.{i}.attn_{name}.weight" for name in "qkv"))
    _check_sizes(vision)


def _check_sizes(vision: GgufHeader) -> None:
    width = vision.number("clip.vision.embedding_length")
    side = vision.number("clip.vision.image_size")
    patch = vision.number("clip.vision.patch_size")
    heads = vision.number("clip.vision.attention.head_count")
    if not (width and side and patch and heads):
        raise ModelError(f"{vision.shown} does not give the sizes of its vision encoder.")
    patches = (side // patch) ** 2 + ("v.class_embd" in vision.shapes)
    agree = (
        vision.shapes["v.patch_embd.weight"] == (patch, patch, 3, width)
        and vision.shapes["v.position_embd.weight"] == (width, patches)
        and width % heads == 0
    )
    if not agree:
        raise ModelError(f"{vision.shown} is damaged: its sizes contradict each other.")


def _check_widths(text: GgufHeader, vision: GgufHeader) -> None:
    wanted = text.number(f"{text.architecture}.embedding_length")
    shape = vision.shapes.get(_LAST_MATRIX.get(_projector(vision), ""), ())
    if wanted is not None and len(shape) == 2 and shape[1] != wanted:
        raise ModelError(
            f"{vision.shown} does not belong to {text.shown}: it gives vectors of {shape[1]} "
            f"numbers, and the model takes {wanted}."
        )


class ModelStore:
    """The models that a library knows, and the one in use; kept in the JSON file `path`.

    Forgetting a model never touches its files. Every method reads the file anew; the file is
    replaced in one step. Raises UnavailableError where it is damaged or can't be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def list(self) -> list[CaptionerConfig]:
        """Return the known models by name."""
        return sorted(self._load()[0].values(), key=lambda config: config.name)

    def in_use(self) -> CaptionerConfig | None:
        """Return the model in use, or None. Its files may have gone since."""
        models, chosen = self._load()
        return models.get(chosen)

    def use(self, model: Path, mmproj: Path, name: str | None = None) -> CaptionerConfig:
        """Check two GGUF files, remember them as `name` (by default the model's), use them.

        Raises ModelError for files that won't do, UsageError when other files have this name.
        """
        # Links stay: download caches keep the file's name in the link only.
        config = CaptionerConfig(
            model.stem if name is None else name.strip(), model.absolute(), mmproj.absolute()
        )
        if not config.name or not config.name.isprintable():
            raise UsageError("A model's name needs at least one letter, and no special characters.")
        if config.name == INSTANT_TAGGER:
            # Captions are told apart by who wrote them.
            raise UsageError(
                f"{INSTANT_TAGGER} is the instant tagger's name: give this model another."
            )
        check_gguf(config.model, config.mmproj)
        models, _ = self._load()
        known = models.get(config.name)
        if known is not None:
            if (known.model, known.mmproj) != (config.model, config.mmproj):
                raise UsageError(
                    f"Another model is called {config.name}: remove it, or give this one a name."
                )
            config = known
        self._save({**models, config.name: config}, config.name)
        return config

    def select(self, name: str) -> CaptionerConfig:
        """Use a known model again; UsageError if there is none of this name, ModelError if bad."""
        models, _ = self._load()
        config = self._known(models, name)
        check_gguf(config.model, config.mmproj)
        self._save(models, name)
        return config

    def remove(self, name: str) -> CaptionerConfig:
        """Forget a model and return it; UsageError if there is none of this name."""
        models, chosen = self._load()
        config = self._known(models, name)
        del models[name]
        self._save(models, "" if chosen == name else chosen)
        return config

    @staticmethod
    def _known(models: dict[str, CaptionerConfig], name: str) -> CaptionerConfig:
        if name not in models:
            known = ", ".join(sorted(models)) or "none yet"
            raise UsageError(
                f"There is no model called {display_path(name)}; known models: {known}."
            )
        return models[name]

    def _load(self) -> tuple[dict[str, CaptionerConfig], str]:
        try:
            stored = json.loads(self._path.read_text(encoding="utf-8"))
            models = [_config(entry) for entry in stored["models"]]
            chosen = stored["in_use"]
            if not isinstance(chosen, str):
                raise TypeError("in_use is no string")
        except FileNotFoundError:
            return {}, ""
        except OSError as error:
            raise UnavailableError(
                f"{display_path(self._path)} can't be read: {error.strerror}."
            ) from error
        except (ValueError, KeyError, TypeError) as error:
            raise UnavailableError(
                f"The list of models, {display_path(self._path)}, is damaged: delete it and add "
                "your models again (the model files are not affected)."
            ) from error
        return {config.name: config for config in models}, chosen

    def _save(self, models: dict[str, CaptionerConfig], chosen: str) -> None:
        entries = [
            {**asdict(config), "model": str(config.model), "mmproj": str(config.mmproj)}
            for config in models.values()
        ]
        text = json.dumps({"in_use": chosen, "models": entries}, indent=2) + "\n"
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            _write_at_once(self._path, text)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise DiskFullError(
                    "The disk is full: the list of models was not saved."
                ) from error
            raise UnavailableError(
                f"{display_path(self._path)} can't be written: {error.strerror}."
            ) from error


def _config(entry: dict[str, Any]) -> CaptionerConfig:
    config = CaptionerConfig(**entry)
    numbers = (config.max_tokens, config.gpu_layers, config.threads or 1)
    if not all(isinstance(number, int) for number in numbers):
        raise TypeError("a setting is no whole number")
    if not (isinstance(config.name, str) and isinstance(config.prompt, str)):
        raise TypeError("a setting is no text")
    return replace(config, model=Path(config.model), mmproj=Path(config.mmproj))


def _write_at_once(path: Path, text: str) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".new")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
