"""Many views at once in one llama.cpp context: the same captions as one by one, and failures."""

import gc
import weakref
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from threading import Event

import llama_cpp
import numpy as np
import other_models
import psutil
import pytest
from asking import CONFIG, FOLLOW_UP, answers, captions, open_captioner
from gguf_files import TEXT, rewritten
from PIL import Image
from shapes import random_scene

from photosearch.captioning.captioner import PhotoViews
from photosearch.captioning.llama import captioner as captioner_module
from photosearch.captioning.llama import loading
from photosearch.captioning.llama.captioner import LlamaCaptioner
from photosearch.captioning.llama.loading import LoadedModel
from photosearch.captioning.models import CaptionerConfig
from photosearch.captioning.recipes import Recipe
from photosearch.domain import Stage
from photosearch.errors import CaptionError, ModelError
from photosearch.imaging.crops import WHOLE, views

FIRST_SEED = 71_000_000
SCENES = [random_scene(FIRST_SEED + n, named=n % 4, size=(300 + n, 240)) for n in range(24)]
IMAGES = [scene.draw() for scene in SCENES]
QUARTERS = (WHOLE, *views(Stage.QUARTERS))
TWICE = replace(CONFIG, recipe=Recipe(follow_up=FOLLOW_UP))

# Two models that bring a template: the first tells what was said as it was; the other begins an
# answer with a word that it leaves out later, so that the conversation must be told anew.
GOES_ON = (
    "{% for m in messages %}{% if m['role'] == 'user' %}USER: {{ m['content'] }} ASSISTANT:"
    "{% else %} {{ m['content'] }}{{ eos_token }}{% endif %}{% endfor %}"
)
TELLS_ANEW = (
    "{% for m in messages %}{% if m['role'] == 'user' %}USER: {{ m['content'] }} ASSISTANT:"
    "{% if loop.last %}{{ '' if messages|length == 3 else '\\n' }}{% endif %}"
    "{% else %} {{ m['content'] }}{{ eos_token }}{% endif %}{% endfor %}"
)


@pytest.fixture(scope="module")
def captioner() -> Iterator[LlamaCaptioner]:
    with closing(open_captioner()) as captioner:
        yield captioner


class SetAfter(Event):
    """Is set once it has been looked at so many times."""

    def __init__(self, looks: int) -> None:
        super().__init__()
        self.looks = looks

    def is_set(self) -> bool:
        self.looks -= 1
        return self.looks < 0


@pytest.mark.parametrize("config", [CONFIG, TWICE], ids=["one question", "follow-up"])
def test_the_same_captions_as_one_by_one(config: CaptionerConfig) -> None:
    found = []
    for sequences in (1, 2, 4, 9):
        with closing(open_captioner(replace(config, sequences=sequences))) as captioner:
            assert captioner.sequences == sequences
            found.append(captions(captioner, IMAGES, QUARTERS))
    assert found[1:] == found[:1] * 3
    texts = [caption.text for said in found[0] for caption in said]
    assert len(texts) == len(IMAGES) * 5 * (2 if config is TWICE else 1)
    assert len(set(texts)) > 50


def test_a_caption_does_not_depend_on_what_else_is_written(captioner: LlamaCaptioner) -> None:
    together = captions(captioner, IMAGES)
    assert captions(captioner, IMAGES[::-1])[::-1] == together
    assert [captions(captioner, [image])[0] for image in IMAGES] == together


def test_captions_come_as_they_are_written(captioner: LlamaCaptioner) -> None:
    photos = [PhotoViews(key, image, QUARTERS) for key, image in enumerate(IMAGES[:7])]
    photos.insert(3, PhotoViews(99, IMAGES[0], ()))
    found = answers(captioner, photos)
    finished = [answer.key for answer in found if answer.finished]
    assert sorted(finished) == [*range(7), 99]
    for key in range(7):
        mine = [answer for answer in found if answer.key == key]
        assert mine[-1].finished
        assert all(len(answer.captions) <= 1 for answer in mine)
        names = [caption.view for answer in mine for caption in answer.captions]
        assert sorted(names) == sorted(view.name for view in QUARTERS)
    # The first photo is done long before the last is begun.
    keys = [answer.key for answer in found]
    assert found.index(next(a for a in found if a.key == 0 and a.finished)) < keys.index(6)


def test_photos_are_read_only_when_needed() -> None:
    seen: list[weakref.ref[Image.Image]] = []
    most = 0

    def alive() -> int:
        return sum(image() is not None for image in seen)

    def photos() -> Iterator[PhotoViews]:
        nonlocal most
        for key in range(12):
            gc.collect()
            most = max(most, alive())
            image = IMAGES[key].copy()
            seen.append(weakref.ref(image))
            yield PhotoViews(key, image, QUARTERS)
            del image

    with closing(open_captioner(replace(CONFIG, sequences=4))) as captioner:
        iterator = captioner.caption(photos(), Event())
        next(iterator)
        assert alive() == 1
        assert len(list(iterator)) > 12
    assert most <= 1


def test_it_ends_soon_wherever_it_is_told_to(captioner: LlamaCaptioner) -> None:
    whole = captions(captioner, IMAGES[:6])
    photos = [PhotoViews(key, image, (WHOLE,)) for key, image in enumerate(IMAGES[:6])]
    done = set()
    for looks in (0, 1, 2, 3, 5, 10, 20, 40, 60, 80, 100, 150, 250, 400, 800, 1200, 1600, 2500):
        left = SetAfter(looks)
        said = [c for answer in answers(captioner, photos, left) for c in answer.captions]
        # llama.cpp may look once more before it hears of it.
        assert left.looks > -20 or len(said) == 6
        assert all([caption] in whole for caption in said)
        done.add(len(said))
    assert min(done) == 0
    assert len(done) > 2
    assert captions(captioner, IMAGES[:6]) == whole


def test_the_vision_encoder_is_interrupted_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "_OPERATIONS_A_LOOK", 1)
    with closing(open_captioner()) as captioner:
        looks = {}
        for number in (0, 1, 10):
            left = SetAfter(10**9)
            photos = [PhotoViews(0, IMAGES[0], (WHOLE,) * number)]
            answers(captioner, photos, left)
            looks[number] = 10**9 - left.looks
        in_tower = 60
        assert looks[1] > in_tower
        left = SetAfter(in_tower)
        assert answers(captioner, [PhotoViews(0, IMAGES[0], (WHOLE,))], left) == []
        assert left.looks > -5


def test_a_generator_that_is_dropped_leaves_nothing_behind(captioner: LlamaCaptioner) -> None:
    whole = captions(captioner, IMAGES[:4])
    for _ in range(5):
        photos = (PhotoViews(key, image, QUARTERS) for key, image in enumerate(IMAGES))
        iterator = captioner.caption(photos, Event())
        for _ in range(7):
            next(iterator)
        iterator.close()
    assert captions(captioner, IMAGES[:4]) == whole


@pytest.mark.parametrize("template", ["", GOES_ON, TELLS_ANEW], ids=["llava", "on", "anew"])
def test_the_follow_up_sees_the_same_picture_without_encoding_it_again(
    template: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded = 0
    encode = LoadedModel.encode

    def counted(self: LoadedModel, chunk: loading.Chunk) -> loading.Embeddings:
        nonlocal encoded
        encoded += 1
        return encode(self, chunk)

    monkeypatch.setattr(LoadedModel, "encode", counted)
    config = TWICE
    if template:
        text = tmp_path / "chat.gguf"
        rewritten(TEXT, text, metadata={"tokenizer.chat_template": template})
        config = replace(TWICE, model=text)
    with closing(open_captioner(config)) as captioner:
        found = captions(captioner, IMAGES)
        assert encoded == len(IMAGES)
    right = 0
    for scene, (first, second) in zip(SCENES, found, strict=True):
        assert (first.prompt, second.prompt) == ("", FOLLOW_UP)
        assert first.view == second.view == "whole"
        right += first.text == scene.caption() and scene.background in second.text.split()
    assert right >= 18


def test_a_template_that_forgets_answers_is_refused_for_follow_ups(tmp_path: Path) -> None:
    forgets = "USER: {{ messages[0]['content'] }} ASSISTANT:"
    text = rewritten(TEXT, tmp_path / "chat.gguf", metadata={"tokenizer.chat_template": forgets})
    with pytest.raises(ModelError, match="can't ask a second question"):
        open_captioner(replace(TWICE, model=text))
    open_captioner(replace(CONFIG, model=text)).close()


def test_a_model_that_fails_on_some_photos_captions_the_others(tmp_path: Path) -> None:
    # Whoever writes this word gets numbers that are not finite for the next.
    pieces = other_models.gguf.GGUFReader(TEXT).get_field("tokenizer.ggml.tokens").contents()
    reader = {t.name: t for t in other_models.gguf.GGUFReader(TEXT).tensors}
    rows = np.array(reader["token_embd.weight"].data)
    rows[pieces.index("\u2581black")] = np.nan
    torn = rewritten(TEXT, tmp_path / "torn.gguf", change={"token_embd.weight": rows})
    photos = [PhotoViews(key, image, (WHOLE, WHOLE)) for key, image in enumerate(IMAGES)]
    with closing(open_captioner()) as captioner:
        said = captions(captioner, IMAGES)
    wrong = {key for key, (caption,) in enumerate(said) if "black" in caption.text.split()}
    assert 2 < len(wrong) < len(IMAGES) - 2
    for sequences in (1, 4, 9):
        with closing(open_captioner(replace(CONFIG, model=torn, sequences=sequences))) as captioner:
            found = answers(captioner, photos)
        failed = {answer.key for answer in found if answer.error}
        finished = {answer.key for answer in found if answer.finished}
        assert failed == wrong
        assert finished == set(range(len(SCENES))) - wrong
        assert sum(isinstance(answer.error, CaptionError) for answer in found) == len(wrong)


def test_a_larger_picture_gets_a_larger_context(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, mmproj = other_models.qwen2vl(tmp_path)
    recipe = Recipe(max_tokens={"whole": 12})
    config = CaptionerConfig("other", model, mmproj, recipe, threads=1, sequences=3)
    sides = (100, 900, 100, 100, 1000, 100)
    images = [Image.linear_gradient("L").convert("RGB").resize((side, side)) for side in sides]
    with closing(open_captioner(config)) as captioner:
        expected = captions(captioner, images)
    monkeypatch.setattr(captioner_module, "_LONGEST_SIDE", 112)
    with closing(open_captioner(config)) as captioner:
        monkeypatch.undo()
        assert captions(captioner, images) == expected
        assert captioner.sequences == 3


def test_with_too_little_memory_it_writes_about_fewer_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    init, fitting = llama_cpp.llama_init_from_model, 2

    def limited(model: object, parameters: llama_cpp.llama_context_params) -> object:
        return init(model, parameters) if parameters.n_seq_max <= fitting else None

    monkeypatch.setattr(llama_cpp, "llama_init_from_model", limited)
    with closing(open_captioner(replace(CONFIG, sequences=9))) as captioner:
        assert captioner.sequences == 2
        assert len(captions(captioner, IMAGES)) == len(IMAGES)
    fitting = 0
    with pytest.raises(ModelError, match="not enough memory to run tiny"):
        open_captioner(replace(CONFIG, sequences=9))


def test_without_a_working_gpu_it_runs_on_the_processor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    load = llama_cpp.llama_model_load_from_file

    def failing(path: bytes, parameters: llama_cpp.llama_model_params) -> object:
        return None if parameters.n_gpu_layers else load(path, parameters)

    monkeypatch.setattr(llama_cpp, "llama_model_load_from_file", failing)
    monkeypatch.setattr(captioner_module, "can_use_gpu", lambda: True)
    with closing(open_captioner()) as captioner:
        assert not captioner.on_gpu
        assert "tiny runs without the GPU" in captioner.notice
        assert len(captions(captioner, IMAGES[:3])) == 3
    with closing(open_captioner(replace(CONFIG, gpu_layers=0))) as captioner:
        assert captioner.notice == ""


def test_how_many_at_once_is_chosen(captioner: LlamaCaptioner) -> None:
    assert captioner.sequences == 4
    assert captioner.notice == ""


def test_many_captions_take_no_more_memory() -> None:
    process = psutil.Process()
    with closing(open_captioner(TWICE)) as captioner:
        captions(captioner, IMAGES, QUARTERS)
        before = process.memory_info().rss
        for _ in range(3):
            captions(captioner, IMAGES, QUARTERS)
        # A picture that stays behind is 96 × 72 × 3 bytes, and its vectors 64 × 96 × 4 more.
        assert process.memory_info().rss - before < 360 * 10_000
