"""CLIP rankings and CLIPScore with a tiny open_clip model of random weights."""

import json

import numpy as np
import pytest
from PIL import Image
from tiny_clip import write_tiny_clip

from photosearch.captioning.clip import ClipModel, choose_clip
from photosearch.cli import run
from photosearch.domain import View
from photosearch.errors import UsageError
from photosearch.evaluation.clip import ClipRanker, clip_scores
from photosearch.evaluation.datasets import human_documents
from photosearch.evaluation.rankers import AppRanker, ScratchLibrary
from photosearch.imaging.crops import WHOLE

pytestmark = pytest.mark.slow

LEFT = View("half-left", (0.0, 0.0, 0.5, 1.0))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return write_tiny_clip(tmp_path_factory.mktemp("clip") / "tiny")


@pytest.fixture(scope="module")
def clip(checkpoint):
    return ClipModel.load("", checkpoint)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(1)
    for n in range(5):
        pixels = random.integers(0, 256, (4, 6, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((96, 64)).save(folder / f"{n}.png")
    return sorted(folder.iterdir())


def test_photos_are_ranked_by_cosine(clip, photos):
    ranker = ClipRanker(clip, photos)
    cosines = clip.image_vectors(photos) @ clip.text_vectors(["a dog"])[0]
    ranking = ranker.rank("a dog", 5)
    assert sorted(ranking) == [0, 1, 2, 3, 4]
    assert np.all(np.diff(cosines[ranking]) <= 0)
    assert ranker.rank("a dog", 2).tolist() == ranking[:2].tolist()
    with pytest.raises(UsageError, match="1 of 2 are not there"):
        ClipRanker(clip, [photos[0], None])


def test_clip_score_compares_a_caption_with_its_view_and_the_whole(clip, photos):
    said = [
        (photos[0], [(WHOLE, "a dog"), (LEFT, "a cat")]),
        (photos[1], []),
        (photos[2], [(LEFT, "a kite")]),
    ]
    scores = clip_scores(clip, said)
    texts = clip.text_vectors(["a dog", "a cat", "a kite"])
    wholes = clip.image_vectors([photos[0], photos[0], photos[2]])
    lefts = clip.image_vectors(
        Image.open(path).convert("RGB").crop((0, 0, 48, 64)) for path in (photos[0], photos[2])
    )
    cosines = np.sum(texts * wholes, axis=1)
    np.testing.assert_allclose(scores.of_whole, 2.5 * np.maximum(cosines, 0), atol=1e-5)
    np.testing.assert_allclose(
        scores.of_view[1:], 2.5 * np.maximum(np.sum(texts[1:] * lefts, axis=1), 0), atol=1e-5
    )
    assert scores.of_view[0] == pytest.approx(scores.of_whole[0], abs=1e-5)


def test_the_commands_take_clip(checkpoint, photos, tmp_path, capsys):
    lines = [
        {
            "file_name": path.name,
            "labels": ["dog" if n % 2 else "cat"],
            "view": view,
            "caption": text,
        }
        for n, path in enumerate(photos)
        for view, text in (("whole", "A dog."), ("half-left", "Left."), ("half-right", "Right."))
    ]
    data = photos[0].parent / "set.jsonl"
    data.write_text("\n".join(map(json.dumps, lines)))
    clip = ["--clip-checkpoint", str(checkpoint)]
    assert run(None, ["eval", "labels", str(data), "--ranking", "clip", *clip]) == 0
    assert capsys.readouterr().out.splitlines()[2].startswith("CLIP ")
    figures = tmp_path / "figures.json"
    assert run(None, ["eval", "plans", str(data), *clip, "--json", str(figures)]) == 0
    rows = json.loads(figures.read_text())["rows"]
    assert [row["views"] for row in rows] == ["1", "3"]
    # Of one view the caption's own, the mean and the best are the same.
    first = rows[0]
    assert first["CLIPScore, view"] == pytest.approx(first["CLIPScore, whole"], abs=1e-5)
    assert first["CLIPScore, best"] == pytest.approx(first["CLIPScore, whole"])
    assert rows[1]["CLIPScore, best"] >= rows[1]["CLIPScore, whole"]
    assert run(None, ["eval", "labels", str(data), "--ranking", "clip"]) == 2
    assert "--clip-checkpoint" in capsys.readouterr().err


def test_hybrid_search_is_measured_as_shipped(checkpoint, clip, photos):
    documents = [human_documents([f"xyzzy{n}"]) for n in range(len(photos))]
    choice = choose_clip("", checkpoint)
    with ScratchLibrary(documents, clip=choice, pictures=photos) as scratch:
        about = "There is a dog in the middle of the road and it looks at a red car near a tree"
        found = AppRanker(scratch).rank(about, 5)
    # No caption has a word of it: the vectors decide, which are stored as half floats.
    assert sorted(found) == [0, 1, 2, 3, 4]
    cosines = clip.image_vectors(photos) @ clip.text_vectors([about])[0]
    assert np.all(np.diff(cosines[found]) <= 1e-3)
    assert np.ptp(cosines) > 5e-3
