"""Vision language models: what they are made of, and whether a pair of GGUF files fits.

Nothing here loads a model: llama.cpp ends the process on some bad files, so they are refused first.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from photosearch.captioning.recipes import Recipe
from photosearch.domain import display_path
from photosearch.errors import ModelError

if TYPE_CHECKING:
    from photosearch.captioning.gguf_header import GgufHeader

_LLAVA_PROJECTORS = frozenset({"mlp", "mlp_norm", "ldp", "ldpv2"})
# Projectors that always look at one square of `image_size`; the others take in larger pictures.
_SQUARE_PROJECTORS = _LLAVA_PROJECTORS | {"gemma3"}
# Each projector's last matrix, and which of its sides is the width that the language model takes:
# clip_n_mmproj_embd in llama.cpp's tools/mtmd/clip.cpp.
_LAST_MATRIX = {
    "mlp": ("mm.2.weight", 1),
    "pixtral": ("mm.2.weight", 1),
    "qwen2vl_merger": ("mm.2.weight", 1),
    "qwen2.5vl_merger": ("mm.2.weight", 1),
    "idefics3": ("mm.model.fc.weight", 1),
    "internvl": ("mm.model.mlp.3.weight", 1),
    "gemma3": ("mm.input_projection.weight", 0),
}
_VISION_BLOCK = ("attn_out", "ffn_down", "ffn_up", "ln1", "ln2")
_LLAMA_BLOCK = ("attn_norm", "attn_output", "ffn_norm")


@dataclass(frozen=True, slots=True)
class CaptionerConfig:
    """A local model and how to run it; plain data that travels to a worker process.

    Captions are stored under `name` and the recipe's question. `threads` None means one a physical
    core. `gpu_layers` counts the layers that a GPU takes, where llama.cpp was built for one; -1 is
    all. `sequences` is how many views are written at once, 0 for as many as memory allows. `cache`
    is the folder for mended copies of mmproj files, None for a temporary one.
    """

    name: str
    model: Path
    mmproj: Path
    recipe: Recipe = field(default_factory=Recipe)
    threads: int | None = None
    gpu_layers: int = -1
    sequences: int = 0
    cache: Path | None = None


@dataclass(frozen=True, slots=True)
class LocalModel:
    """A language model and its image projector, two GGUF files on this computer."""

    name: str
    model: Path
    mmproj: Path

    def config(
        self,
        recipe: Recipe,
        *,
        threads: int | None = None,
        gpu_layers: int = -1,
        sequences: int = 0,
        cache: Path | None = None,
    ) -> CaptionerConfig:
        """Return what a worker needs to run this model."""
        return CaptionerConfig(
            self.name, self.model, self.mmproj, recipe, threads, gpu_layers, sequences, cache
        )


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An OpenAI-compatible server that the user entered, and the model to ask there.

    `url` is the base that `/chat/completions` is added to, as `http://gpu-box:8080/v1`.
    `concurrency` is how many requests it takes at once. The key is that in the environment
    variable `key_env` if one is named, else `key`; most local servers need none.
    """

    url: str
    model: str = ""
    concurrency: int = 4
    key_env: str = ""
    key: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class ServerModel:
    """A model that runs on one or more servers, which share the work."""

    name: str
    endpoints: tuple[Endpoint, ...]


KnownModel = LocalModel | ServerModel


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
    if (text.number("split.count") or 1) > 1:
        _check_parts(text)
        return
    _need(text, ["token_embd.weight"])
    if text.architecture == "llama":
        blocks = text.number("llama.block_count") or 0
        _need(text, (f"blk.{i}.{name}.weight" for i in range(blocks) for name in _LLAMA_BLOCK))


def _check_parts(text: GgufHeader) -> None:
    if text.number("split.no"):
        raise ModelError(f"{text.shown} is a later part of a split model: name the first part.")
    from photosearch.captioning.gguf_header import parts_of  # noqa: PLC0415

    for part in parts_of(text):
        if not part.exists():
            raise ModelError(f"A part of the split model is missing: {display_path(part.name)}.")


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
    name, side = _LAST_MATRIX.get(_projector(vision), ("", 0))
    shape = vision.shapes.get(name, ())
    if wanted is not None and len(shape) == 2 and shape[side] != wanted:
        raise ModelError(
            f"{vision.shown} does not belong to {text.shown}: it gives vectors of {shape[side]} "
            f"numbers, and the model takes {wanted}."
        )
