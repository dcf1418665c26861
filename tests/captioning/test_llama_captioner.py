"""The captioner on a tiny LLaVA that was trained for it, through the real llama.cpp."""

import json
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event

import gguf
import numpy as np
import other_models
import psutil
import pytest
from asking import CONFIG, FOLLOW_UP, answers, captions, open_captioner, say
from gguf_files import MMPROJ, TEXT, rewritten
from PIL import Image
from shapes import random_scene, scene_with_hidden_shape

from photosearch.captioning.captioner import PhotoViews
from photosearch.captioning.llama.captioner import LlamaCaptioner
from photosearch.captioning.models import CaptionerConfig
from photosearch.captioning.recipes import Recipe
from photosearch.domain import ViewCaption
from photosearch.errors import CaptionError, ModelError, UsageError
from photosearch.imaging.crops import WHOLE, view_named

FIRST_SEED = 70_000_000


@pytest.fixture(scope="module")
def captioner() -> Iterator[LlamaCaptioner]:
    captioner = open_captioner()
    yield captioner
    captioner.close()


@pytest.fixture
def opened() -> Iterator[Callable[[CaptionerConfig], LlamaCaptioner]]:
    """Opens captioners and closes them after the test."""
    captioners: list[LlamaCaptioner] = []

    def opened(config: CaptionerConfig) -> LlamaCaptioner:
        captioners.append(open_captioner(config))
        return captioners[-1]

    yield opened
    for captioner in captioners:
        captioner.close()


def in_a_process_of_its_own(code: str) -> subprocess.CompletedProcess[str]:
    """Run Python that llama.cpp may end."""
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )


def test_fresh_pictures_get_right_captions(captioner: LlamaCaptioner) -> None:
    right = 0
    for number in range(60):
        scene = random_scene(FIRST_SEED + number, named=number % 3, size=(600, 450))
        right += say(captioner, scene.draw()) == scene.caption()
    assert right >= 0.85 * 60


@pytest.mark.parametrize("size", [(640, 480), (300, 500), (96, 96), (40, 40), (1600, 1600)])
def test_pictures_of_any_common_size(size: tuple[int, int], captioner: LlamaCaptioner) -> None:
    right = 0
    for number in range(10):
        scene = random_scene(FIRST_SEED + 500 + number, named=1, tiny=0, size=(480, 480))
        scaled = scene.draw().resize(size if size[0] == size[1] else (min(size), min(size)))
        image = Image.new("RGB", size, scaled.getpixel((0, 0)))
        image.paste(scaled)
        said = say(captioner, image)
        right += scene.shapes[0].colour in said and scene.shapes[0].kind in said
    assert right >= 8


def test_a_tiny_shape_is_named_in_its_crop_only(captioner: LlamaCaptioner) -> None:
    named = 0
    for number in range(9):
        place = (1 + number // 3, 1 + number % 3)
        scene, hidden = scene_with_hidden_shape(FIRST_SEED + number, place)
        image = scene.draw()
        views = [WHOLE, view_named(f"ninth-{place[0]}-{place[1]}")]
        ((whole, ninth),) = captions(captioner, [image], views)
        assert hidden.colour not in whole.text.split()
        named += f"{hidden.colour} {hidden.kind}" in ninth.text
    assert named >= 8


def test_pictures_in_a_row_do_not_colour_each_other(
    captioner: LlamaCaptioner, opened: Callable[[CaptionerConfig], LlamaCaptioner]
) -> None:
    images = [random_scene(FIRST_SEED + 100 + n, named=2, size=(500, 500)).draw() for n in range(6)]
    in_a_row = [say(captioner, image) for image in images]
    assert len(set(in_a_row)) == len(images)
    assert [say(captioner, image) for image in reversed(images)] == in_a_row[::-1]
    assert [say(opened(CONFIG), image) for image in images] == in_a_row


def test_each_view_is_answered_by_what_it_shows(captioner: LlamaCaptioner) -> None:
    image = Image.new("RGB", (400, 400), (250, 250, 250))
    image.paste((12, 12, 14), (200, 0, 400, 400))
    left, right = view_named("half-left"), view_named("half-right")
    ((of_right, of_left),) = captions(captioner, [image], [right, left])
    assert of_right.text == "A plain black background."
    assert of_left.text == "A plain white background."


def test_unusual_pictures_do_not_end_the_process() -> None:
    code = f"""
import json, sys
sys.path += {[str(TEXT.parent), str(Path(__file__).parent)]!r}
from asking import captions, open_captioner
from PIL import Image
from photosearch.imaging.crops import WHOLE, view_named
views = [WHOLE, view_named("half-left"), view_named("ninth-3-3")]
captioner = open_captioner()
sizes = ((1, 1), (2, 1), (3000, 2), (2, 3000), (30000, 20), (20, 30000), (8000, 6000))
pictures = (Image.new("RGB", size, (214, 32, 34)) for size in sizes)
said = [len(found) for found in captions(captioner, pictures, views)]
pictures = (Image.new(mode, (50, 50)) for mode in ("L", "RGBA", "CMYK", "P", "1", "F"))
said += [len(found) for found in captions(captioner, pictures, views[:1])]
captioner.close()
print(json.dumps(said))
"""
    done = in_a_process_of_its_own(code)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [3] * 7 + [1] * 6


def test_other_prompts_are_asked_and_named(
    opened: Callable[[CaptionerConfig], LlamaCaptioner],
) -> None:
    prompt = "What is in this picture? {} {{ }} %s \N{CAMERA}"
    captioner = opened(replace(CONFIG, recipe=Recipe(prompt)))
    assert (captioner.model, captioner.prompt) == ("tiny", prompt)
    scene = random_scene(FIRST_SEED + 200, named=1, tiny=0, size=(500, 500))
    assert scene.background in say(captioner, scene.draw())


def test_a_prompt_may_not_hold_the_marker_of_the_picture() -> None:
    with pytest.raises(UsageError, match="<__media__>"):
        open_captioner(replace(CONFIG, recipe=Recipe("What is <__media__>?")))


def test_a_prompt_may_not_be_longer_than_the_model_was_trained_for() -> None:
    with pytest.raises(UsageError, match=r"tiny was trained for 2048\. Shorten the prompt"):
        open_captioner(replace(CONFIG, recipe=Recipe("Describe it. " * 500)))


TEMPLATES = {
    "text": "{{ bos_token }}{% for m in messages %}### Human: {{ m['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}### Assistant:{% endif %}",
    "parts": "{% for m in messages %}### Human: {% for part in m['content'] %}"
    "{% if part['type'] == 'text' %}{{ part['text'] }}{% endif %}{% endfor %}\n{% endfor %}"
    "### Assistant:",
}


@pytest.mark.parametrize("kind", TEMPLATES)
def test_a_model_with_a_chat_template_is_asked_by_it(
    kind: str, tmp_path: Path, opened: Callable[[CaptionerConfig], LlamaCaptioner]
) -> None:
    text = rewritten(
        TEXT, tmp_path / "chat.gguf", metadata={"tokenizer.chat_template": TEMPLATES[kind]}
    )
    captioner = opened(replace(CONFIG, model=text))
    right = 0
    for number in range(20):
        scene = random_scene(FIRST_SEED + 300 + number, named=1, size=(500, 500))
        right += say(captioner, scene.draw()) == scene.caption()
    assert right >= 17


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{% for", "can't be used"),
        ("nothing of it", "does not repeat the question"),
        ("{{ raise_exception('pictures only on Sundays') }}", "pictures only on Sundays"),
        ("{{ messages.__class__.__mro__[1].__subclasses__() }}", "can't be used"),
        ("{% for m in messages %}{{ 1 // 0 }}{% endfor %}", "can't be used"),
        ("{% for i in range(10 ** 9) %}{{ i }}{% endfor %}", "can't be used"),
    ],
)
def test_a_chat_template_that_does_not_work(template: str, reason: str, tmp_path: Path) -> None:
    text = rewritten(TEXT, tmp_path / "chat.gguf", metadata={"tokenizer.chat_template": template})
    with pytest.raises(ModelError, match=reason):
        open_captioner(replace(CONFIG, model=text))


def test_a_model_that_is_neither_llava_nor_brings_a_template(tmp_path: Path) -> None:
    other = rewritten(
        MMPROJ, tmp_path / "other.gguf", metadata={"clip.projector_type": "holographic"}
    )
    with pytest.raises(ModelError, match="has no chat template"):
        open_captioner(replace(CONFIG, mmproj=other))


def with_words(target: Path, replaced: dict[str, str]) -> Path:
    """Write the text model with other words for its tokens; bytes such as <0xC3> change places."""
    reader = gguf.GGUFReader(TEXT)
    tokens = reader.get_field("tokenizer.ggml.tokens").contents()
    types = reader.get_field("tokenizer.ggml.token_type").contents()
    for old, new in replaced.items():
        place = tokens.index(old)
        if new in tokens:
            other = tokens.index(new)
            tokens[other], types[other], types[place] = old, types[place], types[other]
        tokens[place] = new
    return rewritten(
        TEXT,
        target,
        metadata={"tokenizer.ggml.tokens": tokens, "tokenizer.ggml.token_type": types},
    )


@pytest.mark.parametrize(
    ("plain", "white", "expected"),
    [
        ("\u2581pla\x07in", "\u2581wh\x1b[31mi\tte\n\u2028", "A plain whi te. background."),
        # The first byte of a character, alone: invalid UTF-8.
        ("<0xC3>", "\u2581white", "A white background."),
        # Both bytes of one character, in tokens of their own.
        ("<0xC3>", "<0xA9>", "A\u00e9 background."),
    ],
)
def test_a_caption_is_clean_text_whatever_the_model_says(
    plain: str,
    white: str,
    expected: str,
    tmp_path: Path,
    opened: Callable[[CaptionerConfig], LlamaCaptioner],
) -> None:
    model = with_words(tmp_path / "rude.gguf", {"\u2581plain": plain, "\u2581white": white})
    image = Image.new("RGB", (99, 99), (250, 250, 250))
    assert say(opened(replace(CONFIG, model=model)), image) == expected


def test_markup_is_left_out(
    tmp_path: Path, opened: Callable[[CaptionerConfig], LlamaCaptioner]
) -> None:
    model = with_words(
        tmp_path / "html.gguf", {"\u2581plain": "\u2581<b>plain</b>", "\u2581A": "\u2581<p>A"}
    )
    image = Image.new("RGB", (99, 99), (250, 250, 250))
    (((caption),),) = captions(opened(replace(CONFIG, model=model)), [image])
    assert caption.text == "A plain white background."
    assert caption.raw.strip() == "<p>A <b>plain</b> white background."


def test_a_model_that_says_one_word_for_ever_is_stopped(
    tmp_path: Path, opened: Callable[[CaptionerConfig], LlamaCaptioner]
) -> None:
    # With all words as likely, the first of the vocabulary is taken.
    words = with_words(tmp_path / "words.gguf", {"<unk>": "\u2581red"})
    silent = {"output_norm.weight": np.zeros(96, np.float32)}
    model = rewritten(words, tmp_path / "flood.gguf", change=silent)
    recipe = Recipe(max_tokens={"whole": 10_000})
    captioner = opened(replace(CONFIG, model=model, recipe=recipe))
    (((caption),),) = captions(captioner, [Image.new("RGB", (50, 50))])
    assert caption.text.rstrip("….") == "red"
    assert 4 <= len(caption.raw.split()) < 20


@pytest.mark.parametrize("follow_up", ["", FOLLOW_UP])
def test_a_model_that_says_nothing_answers_each_view_by_nothing(
    follow_up: str, tmp_path: Path, opened: Callable[[CaptionerConfig], LlamaCaptioner]
) -> None:
    model = rewritten(
        TEXT,
        tmp_path / "mute.gguf",
        change={"output_norm.weight": np.zeros(96, np.float32)},
        metadata={"tokenizer.ggml.eos_token_id": 0},
    )
    captioner = opened(replace(CONFIG, model=model, recipe=Recipe(follow_up=follow_up)))
    views = (WHOLE, view_named("half-left"))
    found = captions(captioner, [Image.new("RGB", (50, 50))] * 9, views)
    assert found == [[ViewCaption("whole", ""), ViewCaption("half-left", "")]] * 9


def test_a_caption_longer_than_the_budget_ends_with_a_whole_word(
    captioner: LlamaCaptioner, opened: Callable[[CaptionerConfig], LlamaCaptioner]
) -> None:
    image = random_scene(FIRST_SEED + 400, named=2, tiny=0, size=(500, 500)).draw()
    whole = say(captioner, image).split()
    for budget in (2, 3, 5, 8):
        recipe = Recipe(max_tokens={"whole": budget})
        cut = say(opened(replace(CONFIG, recipe=recipe)), image).rstrip("…").split()
        assert 1 <= len(cut) <= budget
        assert cut == whole[: len(cut)]


@pytest.mark.parametrize("part", ["vision encoder", "language model"])
def test_numbers_that_are_not_finite_fail_the_photo(
    part: str, tmp_path: Path, opened: Callable[[CaptionerConfig], LlamaCaptioner]
) -> None:
    hole = np.full(96, np.nan, np.float32)
    if part == "vision encoder":
        torn = rewritten(MMPROJ, tmp_path / "torn.gguf", change={"mm.2.bias": hole})
        captioner = opened(replace(CONFIG, mmproj=torn))
    else:
        torn = rewritten(TEXT, tmp_path / "torn.gguf", change={"output_norm.weight": hole})
        captioner = opened(replace(CONFIG, model=torn))
    photos = [PhotoViews(key, Image.new("RGB", (50, 50)), (WHOLE, WHOLE)) for key in range(3)]
    failed = [answer for answer in answers(captioner, photos) if answer.error]
    assert [answer.key for answer in failed] == [0, 1, 2]
    for answer in failed:
        assert isinstance(answer.error, CaptionError)
        assert f"The {part} gave numbers that are not finite" in str(answer.error)


def test_llama_cpps_reason_is_quoted(tmp_path: Path) -> None:
    strange = rewritten(TEXT, tmp_path / "strange.gguf", metadata={"general.architecture": "nova"})
    code = f"""
import sys
sys.path += {[str(TEXT.parent), str(Path(__file__).parent)]!r}
from pathlib import Path
from asking import open_captioner
from photosearch.captioning.models import CaptionerConfig
from photosearch.errors import ModelError
try:
    open_captioner(CaptionerConfig("strange", Path({str(strange)!r}), Path({str(MMPROJ)!r})))
except ModelError as error:
    print(error)
"""
    done = in_a_process_of_its_own(code)
    assert done.returncode == 0, done.stderr
    assert "strange.gguf can't be loaded. llama.cpp says: " in done.stdout
    assert "unknown model architecture: 'nova'" in done.stdout
    assert done.stderr == ""


def test_bad_files_are_refused_before_llama_cpp_sees_them(tmp_path: Path) -> None:
    torn = rewritten(MMPROJ, tmp_path / "torn.gguf", keep="v.blk.1.attn_k.weight".__ne__)
    with pytest.raises(ModelError, match="lacks the tensor"):
        open_captioner(replace(CONFIG, mmproj=torn))
    with pytest.raises(ModelError, match="swapped"):
        open_captioner(replace(CONFIG, model=MMPROJ, mmproj=TEXT))


def test_close_twice_and_nothing_after() -> None:
    captioner = open_captioner()
    captioner.close()
    captioner.close()
    with pytest.raises(RuntimeError, match="closed"):
        next(captioner.caption([], Event()))


def test_settings_travel_to_a_worker() -> None:
    assert pickle.loads(pickle.dumps(CONFIG)) == CONFIG


def test_many_captions_take_no_more_memory(captioner: LlamaCaptioner) -> None:
    image = Image.new("RGB", (400, 300), (214, 32, 34))
    process = psutil.Process()
    for _ in range(20):
        say(captioner, image)
    before = process.memory_info().rss
    for _ in range(100):
        say(captioner, image)
    # A picture that stays behind is 96 × 72 × 3 bytes, and its vectors 64 × 96 × 4 more.
    assert process.memory_info().rss - before < 100 * 15_000


@pytest.mark.parametrize("write", [other_models.qwen2vl, other_models.gemma3])
def test_other_families_run_too(write: Callable[[Path], tuple[Path, Path]], tmp_path: Path) -> None:
    model, mmproj = write(tmp_path)
    code = f"""
import json, sys
sys.path += {[str(TEXT.parent), str(Path(__file__).parent)]!r}
from pathlib import Path
from asking import FOLLOW_UP, captions, open_captioner
from PIL import Image
from photosearch.captioning.models import CaptionerConfig
from photosearch.captioning.recipes import Recipe
said = []
for sequences in (1, 4, 1):
    captioner = open_captioner(CaptionerConfig(
        "other", Path({str(model)!r}), Path({str(mmproj)!r}),
        Recipe(max_tokens=dict(whole=12), follow_up=FOLLOW_UP), threads=1, sequences=sequences))
    sizes = ((600, 450), (100, 100), (1, 1), (3000, 2), (20, 30000), (2000, 3000))
    pictures = (Image.linear_gradient("L").convert("RGB").resize(size) for size in sizes)
    said.append([[c.raw or c.text for c in found] for found in captions(captioner, pictures)])
    captioner.close()
print(json.dumps(said))
"""
    done = in_a_process_of_its_own(code)
    assert done.returncode == 0, done.stderr
    first, together, again = json.loads(done.stdout)
    assert first == together == again
    assert [len(found) for found in first] == [2] * 6
