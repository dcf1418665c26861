"""CLIP by open_clip, with a tiny model of random weights that lies in a local folder."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_clip import write_tiny_clip

from photosearch.captioning.clip import ClipModel, choose_clip
from photosearch.errors import DecodeError, ModelError


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return write_tiny_clip(tmp_path_factory.mktemp("clip") / "tiny")


@pytest.fixture(scope="module")
def clip(tiny):
    return ClipModel.load("", tiny, threads=1)


def test_vectors_are_of_unit_length_and_of_their_picture_alone(clip, coco):
    files = sorted(coco.glob("*.jpg"))[:10]
    vectors = clip.image_vectors(files)
    assert vectors.shape == (10, 32)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    # Whatever else was in its batch.
    assert np.allclose(clip.image_vectors(iter(files[7:8])), vectors[7:8], atol=1e-5)
    assert np.linalg.matrix_rank(vectors) == 10


def test_texts_and_pictures_share_a_space(clip):
    texts = clip.text_vectors(["a dog on a beach", "two cats " * 200])
    picture = clip.image_vectors([Image.new("RGB", (90, 40), "red")])
    assert texts.shape == (2, 32)
    assert picture.shape == (1, 32)
    assert not np.allclose(texts[0], texts[1])


def test_of_nothing_comes_nothing(clip):
    assert len(clip.image_vectors([])) == len(clip.text_vectors([])) == 0


def test_a_file_that_is_no_picture_is_refused(clip, tmp_path):
    (tmp_path / "no.jpg").write_bytes(b"no picture")
    with pytest.raises(DecodeError):
        clip.image_vectors([tmp_path / "no.jpg"])


def test_a_file_of_weights_needs_the_name_of_its_model(clip, tiny, tmp_path):
    config = tmp_path / "tiny-clip.json"
    shutil.copy(tiny / "open_clip_config.json", config)
    config.write_text(config.read_text()[len('{"model_cfg": ') : -len(', "preprocess_cfg": {}}')])
    weights = tiny / "open_clip_model.bin"
    same = ClipModel.load(str(config), weights, threads=1)
    said = ["a boat"]
    assert np.allclose(same.text_vectors(said), clip.text_vectors(said), atol=1e-6)
    with pytest.raises(ModelError, match="can't be loaded"):
        ClipModel.load("ViT-B-32", weights, threads=1)
    with pytest.raises(ModelError, match="no-such-model"):
        ClipModel.load("no-such-model", weights, threads=1)


def test_other_weights_are_another_model_wherever_they_lie(tiny, tmp_path):
    moved = shutil.copytree(tiny, tmp_path / "moved")
    other = write_tiny_clip(tmp_path / "other", seed=1)
    chosen = choose_clip("", tiny)
    assert choose_clip("", moved).model == chosen.model
    assert choose_clip("", other).model != chosen.model
    assert choose_clip("ViT-B-32", tiny / "open_clip_model.bin").model.startswith("ViT-B-32/")


def test_a_checkpoint_that_is_none_is_named(tiny, tmp_path):
    with pytest.raises(ModelError, match="gone"):
        choose_clip("ViT-B-32", tmp_path / "gone.pt")
    with pytest.raises(ModelError, match="names no model"):
        choose_clip("hf-hub:laion/some-model", tiny / "open_clip_model.bin")
    with pytest.raises(ModelError, match="open_clip_config"):
        choose_clip("ViT-B-32", tmp_path)
    (tmp_path / "open_clip_config.json").write_text("{}")
    with pytest.raises(ModelError, match="no weights"):
        choose_clip("ViT-B-32", tmp_path)
    (tmp_path / "open_clip_model.bin").write_bytes(b"cut off")
    with pytest.raises(ModelError, match="can't be loaded"):
        ClipModel.load("", tmp_path, threads=1)


def test_a_file_that_holds_no_weights_says_so_and_nothing_of_torch(clip, tmp_path):
    weights = tmp_path / "weights.pt"
    weights.write_text("x\n")
    with pytest.raises(ModelError, match="holds no weights that can be loaded") as caught:
        ClipModel.load("ViT-B-32", weights, threads=1)
    assert "torch" not in str(caught.value)


def test_a_file_named_like_weights_of_the_net_is_still_a_file(clip, tmp_path, monkeypatch):
    del clip  # It has imported open_clip.
    (tmp_path / "openai").write_bytes(b"no weights")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError) as raised:
        ClipModel.load("RN50", Path("openai"), threads=1)
    assert "download" not in str(raised.value).lower()
