"""The one fake of the tests: a captioner that says, or does, what a picture's colour tells it to.

It runs inside the real worker, in place of a model that would behave as badly only at times.
"""

import os
import random
import signal
import time
import zlib
from functools import partial
from pathlib import Path

from PIL import Image

from photosearch.captioning.captioner import CaptionerSpec, PhotoAnswer
from photosearch.domain import Stage, Tag, ViewCaption
from photosearch.errors import CaptionError, ModelError
from photosearch.imaging.crops import WHOLE, views

COLOURS = {
    (200, 30, 30): "A red barn beside two dogs on a meadow.",
    (30, 160, 30): "A man is running with his dog on the beach.",
    (30, 30, 200): "A blue boat on the sea, and a woman with a frisbee.",
    (240, 240, 240): "A white cat sleeps on a couch.",
    (10, 10, 10): '<b>bold</b> \x00\x1b[31m "quotes" \u202egnp.exe\u202c ' + "word " * 2000,
}
CRASH = (255, 0, 255)
HANG = (0, 255, 255)
LEAK = (255, 255, 0)
REFUSE = (128, 128, 0)
BUG = (0, 128, 128)


class ScriptedCaptioner:
    prompt = "Describe."

    def __init__(self, model="scripted", slow_s=0.0):
        self.model = model
        self._slow_s = slow_s

    def caption(self, photos, left):
        for photo in photos:
            try:
                captions = self.describe(photo.image, photo.views, left)
            except CaptionError as error:
                yield PhotoAnswer(photo.key, error=error)
                continue
            for number, caption in enumerate(captions, 1):
                yield PhotoAnswer(photo.key, (caption,), finished=number == len(captions))
            if not captions:
                yield PhotoAnswer(photo.key, finished=True)
            if left.is_set():
                return

    def describe(self, image, views, left):
        colour = image.resize((1, 1)).getpixel((0, 0))
        behaviour = _nearest(colour, [*COLOURS, CRASH, HANG, LEAK, REFUSE, BUG])
        left.wait(self._slow_s)
        if behaviour == CRASH:
            os.kill(os.getpid(), signal.SIGSEGV)
        if behaviour == HANG:
            time.sleep(600)
        if behaviour == LEAK:
            held = []
            while True:
                held.append(b"x" * (100 << 20))
        if behaviour == REFUSE:
            raise CaptionError("the model has no words for this")
        if behaviour == BUG:
            raise KeyError("a bug in the captioner")
        return [ViewCaption(view.name, COLOURS[behaviour]) for view in views]

    def close(self):
        pass


class ScriptedTagger(ScriptedCaptioner):
    prompt = ""

    def describe(self, image, views, left):
        (said,) = super().describe(image, views, left)
        words = [word for word in ("dog", "cat", "boat") if word in said.text]
        tags = tuple(Tag(word, 0.9) for word in words)
        return [ViewCaption("whole", ", ".join(words), tags)] if tags else []


class LoggingCaptioner(ScriptedCaptioner):
    """Writes down each view that it is asked for, to see that none is asked for twice."""

    def __init__(self, log, slow_s=0.0):
        super().__init__(slow_s=slow_s)
        self._log = log

    def caption(self, photos, left):
        for answer in super().caption(self._logged(photos), left):
            for caption in answer.captions:
                with self._log.open("a") as log:
                    log.write(f"{answer.key} {caption.view}\n")
            yield answer
            if left.wait(self._slow_s):
                return

    def _logged(self, photos):
        for photo in photos:
            with self._log.open("a") as log:
                log.write(f"begin {photo.key}\n")
            yield photo


class StuckCaptioner(ScriptedCaptioner):
    """Describes the same picture again and again once it has seen a few, as llama.cpp has done."""

    def __init__(self, after):
        super().__init__()
        self._good_for = after
        self._said = ""

    def describe(self, image, views, left):
        captions = super().describe(image, views, left)
        self._good_for -= 1
        if self._good_for >= 0:
            self._said = f"{captions[0].text} {image.getpixel((0, 0))}"
        return [ViewCaption(view.name, self._said) for view in views]


class MoodyCaptioner(ScriptedCaptioner):
    """Crashes, hangs and leaks by chance, whatever it is shown."""

    def __init__(self, chance):
        super().__init__()
        self._chance = chance
        self._random = random.Random()
        self._held = []

    def describe(self, image, views, left):
        mood = self._random.random() / self._chance
        if mood < 1:
            os.kill(os.getpid(), signal.SIGSEGV)
        if mood < 1.3:
            time.sleep(600)
        if mood < 3:
            self._held.append(b"x" * (40 << 20))
        return super().describe(image, views, left)


def refuse_to_start():
    raise ModelError("the scripted model can't be loaded")


def _nearest(colour, choices):
    return min(choices, key=lambda c: sum((a - b) ** 2 for a, b in zip(c, colour, strict=True)))


def spec(model="scripted", *, make=None, stages=(Stage.FULL,), slow_s=0.0, **limits):
    """Return the spec of a scripted captioner, with limits that tests can wait for."""
    limits = {"silence_s": 3.0, "memory_mb": 400, **limits}
    return CaptionerSpec(
        model,
        prompt=ScriptedCaptioner.prompt,
        make=make or partial(ScriptedCaptioner, model, slow_s),
        views={stage: views(stage) for stage in stages},
        view_px=64,
        **limits,
    )


def tagger_spec():
    return CaptionerSpec(
        "scripted-tags",
        prompt="",
        make=partial(ScriptedTagger, "scripted-tags"),
        views={Stage.TAGS: (WHOLE,)},
        view_px=64,
    )


def pattern(path: Path, colour, seed):
    """Write a picture of one mean colour that looks like no other."""
    rng = random.Random(seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("RGB", (96, 64))
    for left in range(0, 96, 8):
        for top in range(0, 64, 8):
            shade = rng.uniform(0.7, 1.3)
            block = tuple(min(255, round(part * shade)) for part in colour)
            image.paste(block, (left, top, left + 8, top + 8))
    image.save(path)
    an_hour_ago = time.time() - 3600 - seed
    os.utime(path, (an_hour_ago, an_hour_ago))
    return path


def paint(path: Path, colour, size=(96, 64), **save):
    """Write a picture of one colour; a pixel of its own makes each path another photo."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("RGB", size, colour)
    mark = zlib.crc32(os.fsencode(path))
    image.putpixel((0, 0), (mark % 256, mark // 256 % 256, mark // 65536 % 256))
    image.save(path, **({"quality": 95} | save))
    # As if it had been there for a while: files of this very moment are waited for.
    an_hour_ago = time.time() - 3600
    os.utime(path, (an_hour_ago, an_hour_ago))
    return path
