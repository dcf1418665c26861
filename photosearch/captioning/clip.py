"""CLIP: photos and texts as vectors of one space, by open_clip. Only workers load it."""

from __future__ import annotations

import hashlib
import os
import pickle
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from photosearch.captioning.captioner import Captioner, CaptionerSpec, PhotoAnswer, PhotoViews
from photosearch.domain import Stage, display_path
from photosearch.errors import CaptionError, ModelError
from photosearch.imaging.crops import WHOLE
from photosearch.imaging.decode import decode

Vectors = npt.NDArray[np.float32]
"""Unit vectors, a row each."""

STORED = np.dtype("<f2")
"""How vectors are stored. Halves rank like floats do; a million of 512 numbers take 1 GB."""

# What the towers look at is 224 to 448 pixels wide.
_VIEW_PX = 448
# Small on a processor, so that a worker can leave its task soon; it gains nothing by more.
_BATCH = {"cpu": 8, "cuda": 64}
_TASK = 32
_SILENCE_S = 600.0
_START_S = 300.0
_ROOM_MB = 4000
_WEIGHTS = (".safetensors", ".bin", ".pt", ".pth")
_SAMPLES, _SAMPLE_BYTES = 64, 4096
_MISSING_OPERATOR = re.compile(r"operator torchvision::(\w+) does not exist")


@dataclass(frozen=True, slots=True)
class ClipChoice:
    """A checkpoint to use: `checkpoint` is a file of weights for `architecture`, or a folder.

    `model` is the name under which vectors are stored: other weights are another model.
    """

    architecture: str
    checkpoint: Path
    model: str
    size_mb: int


@dataclass(frozen=True, slots=True)
class VectorAnswer(PhotoAnswer):
    """The answer of an embedder: the vector of a photo, as it is stored."""

    vector: bytes = b""


def choose_clip(architecture: str, checkpoint: Path) -> ClipChoice:
    """Return what is to be used, without loading it.

    `checkpoint` is a file of weights, or a folder with open_clip_config.json beside them, as models
    for open_clip are published. Raises ModelError where it can't be read, or open_clip is missing.
    """
    if find_spec("open_clip") is None or find_spec("torch") is None:
        raise ModelError(
            "CLIP needs open_clip, which is not installed: pip install open_clip_torch"
        )
    shown = display_path(checkpoint)
    try:
        weights = checkpoint
        if checkpoint.is_dir():
            architecture = "clip"
            if not (checkpoint / "open_clip_config.json").is_file():
                raise ModelError(f"{shown} holds no open_clip_config.json.")
            files = [file for file in checkpoint.iterdir() if file.suffix in _WEIGHTS]
            if not files:
                raise ModelError(f"{shown} holds no weights, such as open_clip_model.safetensors.")
            weights = max(files, key=lambda file: file.stat().st_size)
        elif architecture.startswith(("hf-hub:", "local-dir:")):
            # By such a name open_clip loads other weights than these, and says nothing.
            raise ModelError(
                f"{architecture} names no model that {shown} holds the weights of: give a name "
                "such as ViT-B-32, or a folder with open_clip_config.json."
            )
        size = weights.stat().st_size
        model = f"{architecture}/{_fingerprint(weights, size)}"
    except OSError as error:
        raise ModelError(f"The CLIP checkpoint {shown} can't be read: {error.strerror}.") from error
    return ClipChoice(architecture, checkpoint, model, size >> 20)


def photo_embedder(choice: ClipChoice, threads: int = 0) -> CaptionerSpec:
    """Return what the service must know to have every photo embedded; 0 threads for one a core."""
    return CaptionerSpec(
        choice.model,
        prompt="",
        make=_EmbedderMaker(choice, threads),
        views={Stage.VECTORS: (WHOLE,)},
        view_px=_VIEW_PX,
        batch=_TASK,
        # It keeps every core busy by itself.
        processes=1,
        silence_s=_SILENCE_S,
        start_s=_START_S,
        memory_mb=3 * choice.size_mb + _ROOM_MB,
        growth_mb=_ROOM_MB // 2,
        enforce_memory=False,
    )


class ClipModel:
    """Both towers of a CLIP model, on the graphics card where torch finds one."""

    def __init__(self, network: Any, preprocess: Any, tokenize: Any, device: str) -> None:
        self._network = network
        self._preprocess = preprocess
        self._tokenize = tokenize
        self._device = device
        self.batch = _BATCH[device]
        """How many pictures or texts are looked at together."""

    @classmethod
    def load(cls, architecture: str, checkpoint: Path, threads: int = 0) -> ClipModel:
        """Load a checkpoint: a file of weights for an `architecture`, or a folder.

        The architecture is open_clip's name, as ViT-B-32, or a JSON file in open_clip's form; a
        folder says itself what it holds. 0 threads means one a core. Raises ModelError.
        """
        os.environ["HF_HUB_OFFLINE"] = "1"  # Whatever a checkpoint asks for: nothing is fetched.
        try:
            import_torchvision()
            import open_clip  # noqa: PLC0415
            import torch  # noqa: PLC0415
        except (ImportError, OSError) as error:
            raise ModelError(f"open_clip can't be used: {_first_line(error)}") from error
        if threads:
            torch.set_num_threads(threads)
        device = "cuda" if torch.cuda.is_available() else "cpu"
        checkpoint = checkpoint.absolute()  # Else a file's name may be that of weights to fetch.
        folder = checkpoint.is_dir()
        try:
            if architecture.endswith(".json"):
                open_clip.add_model_config(architecture)
                architecture = Path(architecture).stem
            name = f"local-dir:{checkpoint}" if folder else architecture
            network = open_clip.create_model(
                name,
                pretrained=None if folder else str(checkpoint),
                require_pretrained=True,
                device=device,
            ).eval()
            settings = open_clip.transform.PreprocessCfg(**network.visual.preprocess_cfg)
            preprocess = open_clip.transform.image_transform_v2(settings, is_train=False)
            tokenize = open_clip.get_tokenizer(name)
        except pickle.UnpicklingError as error:
            # torch would have people read such a file in a way that runs what is in it.
            raise ModelError(
                f"The CLIP checkpoint {display_path(checkpoint)} holds no weights that can be "
                "loaded. Take another file, or a folder as open_clip saves it."
            ) from error
        # Damaged weights raise nearly anything.
        except Exception as error:
            raise ModelError(
                f"The CLIP checkpoint {display_path(checkpoint)} can't be loaded: "
                f"{_first_line(error)}"
            ) from error
        return cls(network, preprocess, tokenize, device)

    def image_vectors(self, pictures: Iterable[Image.Image | Path]) -> Vectors:
        """Return unit vectors [n, d] of upright RGB pictures or files, a batch of which is held.

        Raises DecodeError for files that are no pictures.
        """
        return self._in_batches(pictures, self._image_batch)

    def text_vectors(self, texts: Iterable[str]) -> Vectors:
        """Return unit vectors [n, d] of texts; what exceeds the model's context is cut off."""
        return self._in_batches(texts, self._text_batch)

    def _image_batch(self, pictures: Sequence[Image.Image | Path]) -> Any:
        import torch  # noqa: PLC0415

        images = [
            decode(picture, min_side=_VIEW_PX) if isinstance(picture, Path) else picture
            for picture in pictures
        ]
        batch = torch.stack([self._preprocess(image) for image in images])
        return self._network.encode_image(batch.to(self._device))

    def _text_batch(self, texts: Sequence[str]) -> Any:
        return self._network.encode_text(self._tokenize(list(texts)).to(self._device))

    def _in_batches(self, items: Iterable[Any], encode: Callable[[list[Any]], Any]) -> Vectors:
        import torch  # noqa: PLC0415

        found = []
        rest = iter(items)
        with torch.inference_mode():
            while batch := list(islice(rest, self.batch)):
                vectors = encode(batch).float()
                found.append(torch.nn.functional.normalize(vectors, dim=-1).cpu().numpy())
        return np.concatenate(found) if found else np.empty((0, 0), np.float32)


class ClipEmbedder:
    """A captioner whose answers are vectors of whole photos."""

    prompt = ""

    def __init__(self, choice: ClipChoice, threads: int) -> None:
        self.model = choice.model
        self._clip = ClipModel.load(choice.architecture, choice.checkpoint, threads)

    def caption(self, photos: Iterable[PhotoViews], left: Event) -> Iterator[PhotoAnswer]:
        """Yield a VectorAnswer for every photo, unless `left` is set meanwhile."""
        rest = iter(photos)
        while not left.is_set() and (batch := list(islice(rest, self._clip.batch))):
            vectors = self._clip.image_vectors([photo.image for photo in batch]).astype(STORED)
            for photo, vector in zip(batch, vectors, strict=True):
                if np.isfinite(vector).all():
                    yield VectorAnswer(photo.key, finished=True, vector=vector.tobytes())
                else:
                    error = CaptionError("CLIP answers with numbers that are none")
                    yield PhotoAnswer(photo.key, error=error)

    def close(self) -> None:
        """Do nothing: its process ends with it."""


@dataclass(frozen=True)
class _EmbedderMaker:
    """Makes the embedder in its worker. Two of the same choice are equal, unlike partials."""

    choice: ClipChoice
    threads: int

    def __call__(self) -> Captioner:
        return ClipEmbedder(self.choice, self.threads)


class TextEmbedder:
    """A worker's handler: a text goes in, its vector comes out."""

    def __init__(self, choice: ClipChoice) -> None:
        self._clip = ClipModel.load(choice.architecture, choice.checkpoint)

    def __call__(self, text: str, _left: Event) -> npt.NDArray[np.float32]:
        """Return the unit vector [d] of a text."""
        return self._clip.text_vectors([text]).reshape(-1)


def _fingerprint(weights: Path, size: int) -> str:
    """Return digits that tell weights apart, from samples: to read it all would take seconds."""
    digest = hashlib.sha256(size.to_bytes(8, "big"))
    with weights.open("rb") as file:
        for sample in range(_SAMPLES):
            file.seek(size * sample // _SAMPLES)
            digest.update(file.read(_SAMPLE_BYTES))
    return digest.hexdigest()[:12]


def import_torchvision() -> None:
    """Import torchvision, which open_clip needs for its transforms only.

    PyPI's torchvision is built for CUDA. Beside a torch for the CPU its operators don't load, and
    its import fails for want of their names, which are declared then; nothing here calls them.
    """
    import torch  # noqa: PLC0415

    declared = torch.library.Library("torchvision", "FRAGMENT")
    while True:
        try:
            import torchvision  # noqa: F401, PLC0415
        except RuntimeError as error:
            missing = _MISSING_OPERATOR.search(str(error))
            if missing is None:
                raise ImportError(str(error)) from error
            # Declared twice, it would raise.
            declared.define(f"{missing[1]}(Tensor tensor) -> Tensor")
        else:
            return


def _first_line(error: Exception) -> str:
    text = display_path((str(error).strip() or type(error).__name__).splitlines()[0])
    return text[:300].rstrip(".") + "."
