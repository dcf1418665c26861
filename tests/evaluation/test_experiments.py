import numpy as np
import pytest

from photosearch.domain import Caption
from photosearch.errors import UsageError
from photosearch.evaluation import experiment, rankers
from photosearch.evaluation.datasets import EvaluationSet, Item, human_documents
from photosearch.evaluation.rankers import AppRanker, PlainBm25, ScratchLibrary, WholeRanking


def item(name, labels, text):
    return Item(name, tuple(labels), documents=(Caption(0, "whole", "m", "", text),))


DATA = EvaluationSet(
    "six",
    (
        item("0.jpg", ["dog", "ball"], "A dog with a ball."),
        item("1.jpg", ["dog"], "A dog sleeps in a basket."),
        item("2.jpg", ["cat"], "A cat on a carpet."),
        item("3.jpg", ["cat", "ball"], "A cat plays with a ball."),
        item("4.jpg", ["car"], "A red car in the rain."),
        item("5.jpg", [], "An empty street."),
    ),
)


@pytest.fixture(scope="module")
def scratch():
    with ScratchLibrary(experiment.documents(DATA)) as scratch:
        yield scratch


class Fixed:
    """A ranking that is given."""

    name = "fixed"

    def __init__(self, rankings):
        self.rankings = rankings

    def rank(self, query, depth):
        return np.array(self.rankings.get(query, []), dtype=np.int64)[:depth]


def rows(report):
    return {row[0]: dict(zip(report.columns[1:], row[1:], strict=True)) for row in report.rows}


def test_plain_words_are_ranked_perfectly_by_all(scratch):
    ranked = [PlainBm25(experiment.documents(DATA)), AppRanker(scratch)]
    found = rows(experiment.labels(DATA, ranked))
    assert set(found) == {"bm25s", "photosearch"}
    for row in found.values():
        assert row["share"] == pytest.approx(1)
        assert row["recall"] == 1
        # Four labels, of which each has a photo first.
        assert row["P@1"] == 1


def test_labels_measured_by_hand():
    fixed = Fixed({"dog": [0, 1], "cat": [2], "ball": [0, 3], "car": [5]})
    found = rows(experiment.labels(DATA, [fixed]))["fixed"]
    # Depths 1, 2, 4, 6: three, five, five, five of seven relevant photos.
    recall = np.array([0, 3, 5, 5, 5]) / 7
    precision = np.array([3 / 4, 3 / 4, 5 / 8, 5 / 16, 5 / 24])
    area = np.sum(np.diff(recall) * (precision[1:] + precision[:-1]) / 2)
    assert found["PR-AUC"] == pytest.approx(area)
    assert found["recall"] == pytest.approx(5 / 7)
    assert found["P@1"] == pytest.approx(3 / 4)


def test_names_say_what_is_typed_for_a_label():
    fixed = Fixed({"hound": [0, 1]})
    report = experiment.categories(DATA, [fixed], names={"dog": "hound"})
    found = rows(report)
    assert found["dog"] == {"photos": 2, "fixed": pytest.approx(1)}
    assert found["cat"]["fixed"] == 0
    assert [row[0] for row in report.rows] == ["ball", "cat", "dog", "car"]


def test_joined_labels_by_hand_and_by_ranking(scratch):
    fixed = Fixed({"ball dog": [1, 0], "ball cat": [3]})
    ranked = [fixed, PlainBm25(experiment.documents(DATA)), AppRanker(scratch)]
    found = rows(experiment.joined(DATA, ranked))
    assert (found["fixed"]["R@1"], found["fixed"]["R@5"]) == (0.5, 1)
    for name in ("bm25s", "photosearch"):
        assert found[name]["R@1"] == 1
        assert found[name]["share"] == pytest.approx(1)
    with pytest.raises(UsageError, match="has 3 labels or more"):
        experiment.joined(DATA, [fixed], count=3)


def test_random_labels_are_drawn_by_the_seed():
    asked = []

    class Asked(Fixed):
        def rank(self, query, depth):
            asked.append(query)
            return super().rank(query, depth)

    def queries(seed):
        asked.clear()
        experiment.joined(DATA, [Asked({})], count=1, seed=seed)
        return list(asked)

    assert queries(1) == queries(1)
    assert len({tuple(queries(seed)) for seed in range(8)}) > 1


def test_captions_find_their_photos_by_the_other_captions():
    data = EvaluationSet(
        "said",
        (
            Item("0", captions=("A brown dog runs", "a dog running", "brown dog")),
            Item("1", captions=("Two cats", "cats sleep")),
            Item("2", captions=("A lonely one",)),
        ),
    )
    data = experiment.captioned(data)
    assert [item.name for item in data.items] == ["0", "1"]
    documents = experiment.documents(data, without=0)
    assert documents == [
        human_documents(["a dog running", "brown dog"]),
        human_documents(["cats sleep"]),
    ]
    with ScratchLibrary(documents) as scratch:
        ranked = [PlainBm25(documents), AppRanker(scratch), Fixed({"A brown dog runs": [1, 0]})]
        found = rows(experiment.captions(data, ranked))
    assert found["bm25s"]["R@1"] == found["photosearch"]["R@1"] == 1
    assert found["fixed"] == {"R@1": 0, "R@5": 0.5, "R@10": 0.5}
    with pytest.raises(UsageError, match="no photo with 4 captions"):
        experiment.captioned(data, 3)


def test_feedback_finds_a_photo_once_all_its_labels_are_there(scratch):
    two = [
        item if len(item.labels) == 2 else Item(item.name, documents=item.documents)
        for item in DATA.items
    ]
    data = EvaluationSet("two", tuple(two))
    ranked = [PlainBm25(experiment.documents(data)), AppRanker(scratch)]
    report = experiment.feedback(data, ranked, steps=3)
    found = rows(report)
    assert list(found) == [
        "bm25s",
        "photosearch",
        "photosearch, offered words",
        "photosearch, photos that still had one",
    ]
    assert found["photosearch, photos that still had one"]["1 label"] == 1
    for name in ("bm25s", "photosearch"):
        assert found[name]["2 labels"] == found[name]["3 labels"] == 1
    offered = found["photosearch, offered words"]
    assert offered["1 label"] == found["photosearch"]["1 label"]
    assert report.lines[0].x == (1, 2, 3)


def test_offered_words_are_taken_only_if_they_are_true():
    colours = ("red", "blue", "green", "black")
    texts = [f"A dog with a {colour} ball." for colour in colours for _ in range(3)]
    texts += ["A cat.", "A house.", "A tree."] * 4
    target = Item("0", ("dog",), ("The ball of this dog is red.",))
    data = EvaluationSet("dogs", (target, *(Item(str(n)) for n in range(1, len(texts)))))
    with ScratchLibrary([human_documents([text]) for text in texts]) as scratch:
        app = AppRanker(scratch)
        offered = app.chips("dog")
        assert {"red", "blue"} <= set(offered)
        asked = []

        class Listening(AppRanker):
            def rank(self, query, depth):
                asked.append(query)
                return super().rank(query, depth)

        report = experiment.feedback(data, [Listening(scratch)], steps=4)
    assert "dog red" in asked
    # All that are red have a ball, so that it would change nothing.
    assert report.rows[-1][1:] == (1, 1, 0, 0)
    assert not any(word in query for query in asked for word in ("blue", "green", "black"))


def test_pages_make_one_ranking(scratch, monkeypatch):
    app = AppRanker(scratch, related=True)
    whole = app.rank("dog OR cat OR car", 6).tolist()
    monkeypatch.setattr(rankers, "_PAGE", 2)
    assert app.rank("dog OR cat OR car", 6).tolist() == whole
    assert sorted(whole)[:5] == [0, 1, 2, 3, 4]
    assert app.rank("dog OR cat OR car", 3).tolist() == whole[:3]


def test_the_rest_comes_behind_a_ranking():
    whole = WholeRanking(Fixed({"dog": [3, 1]}), 5)
    assert whole.rank("dog", 5).tolist() == [3, 1, 0, 2, 4]
    assert whole.rank("dog", 3).tolist() == [3, 1, 0]
    assert whole.rank("nothing", 5).tolist() == [0, 1, 2, 3, 4]


def test_plain_bm25_knows_forms_and_ignores_stop_words():
    plain = PlainBm25(
        [human_documents([text]) for text in ("Dogs run", "the cat", "a dog and a dog")]
    )
    assert plain.rank("the dog", 3).tolist() == [2, 0]
    assert plain.rank("the", 3).tolist() == []
    assert plain.rank("zebra", 3).tolist() == []


def test_plans_find_more_by_more_views():
    views = ("whole", "half-left", "half-right", "half-top", "half-bottom")

    def photo(name, labels, texts):
        said = (Caption(0, view, "m", "", text) for view, text in zip(views, texts, strict=True))
        return Item(name, labels, documents=tuple(said))

    data = EvaluationSet(
        "plans",
        (
            photo("0", ("dog", "kite"), ("A dog.", "Grass.", "A kite.", "", "Grass.")),
            photo("1", ("spoon",), ("A table.", "A table.", "A table.", "", "A spoon.")),
        ),
    )

    class Rankers:
        def __init__(self, documents):
            self.ranked = [PlainBm25(documents)]

        def __enter__(self):
            return self.ranked

        def __exit__(self, *_):
            pass

    report = experiment.plans(data, Rankers)
    areas = [row[1] for row in report.rows]
    assert [row[0] for row in report.rows] == ["1", "3", "5"]
    assert areas == sorted(areas)
    assert len(set(areas)) == 3
    with pytest.raises(UsageError, match="no captions of whole photos"):
        experiment.plans(EvaluationSet("none", (Item("0", ("dog",)),)), Rankers)


def test_words_are_counted_by_photos(scratch):
    report, cloud = experiment.words(DATA, scratch, limit=3)
    assert [row for row in report.rows if row[1] == 2] == [("ball", 2), ("cat", 2), ("dog", 2)]
    assert len(cloud) > 3
    report, _ = experiment.words(DATA, scratch, query="dog")
    assert "cat" not in [row[0] for row in report.rows]
    with pytest.raises(UsageError, match="No photo matches"):
        experiment.words(DATA, scratch, query="zebra")
