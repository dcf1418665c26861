import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from photosearch.evaluation.metrics import depths, measure, positions, quality, recall_at


def arrays(*rows):
    return [np.array(row, dtype=np.int64) for row in rows]


def test_precision_and_recall_are_those_of_the_paper_by_hand():
    found = quality(arrays([0, 3, 1], [1, 2]), arrays([0, 1], [2]), 4)
    assert found.curve.depths == (1, 2, 4)
    # One, two and three of three relevant photos, of two, four and eight places.
    assert found.curve.recall == pytest.approx((1 / 3, 2 / 3, 1))
    assert found.curve.precision == pytest.approx((1 / 2, 2 / 4, 3 / 8))
    assert found.pr_auc == pytest.approx(1 / 6 + 1 / 6 + 7 / 48)
    assert found.ideal.recall == pytest.approx((2 / 3, 1, 1))
    assert found.ideal.precision == pytest.approx((1, 3 / 4, 3 / 8))
    assert found.perfect == pytest.approx(23 / 24)
    assert found.share == pytest.approx(1 / 2)


@pytest.mark.parametrize(
    ("count", "expected"),
    [(1, [1]), (2, [1, 2]), (4, [1, 2, 4]), (5, [1, 2, 4, 5]), (9, [1, 2, 4, 8, 9])],
)
def test_depths_are_powers_of_two_and_all_photos(count, expected):
    assert depths(count).tolist() == expected


def test_a_ranking_that_finds_nothing_has_no_area():
    found = quality(arrays([], [1]), arrays([0], [2]), 3)
    assert (found.pr_auc, found.share) == (0, 0)
    assert found.perfect > 0.9


def test_nothing_relevant_is_no_question():
    with pytest.raises(ValueError, match="no photo is relevant"):
        quality(arrays([0]), arrays([]), 3)


def naive_hits(ranking, relevant, depth):
    return len(set(ranking[:depth]) & set(relevant))


@given(
    st.integers(1, 40).flatmap(
        lambda count: st.tuples(
            st.just(count),
            st.lists(
                st.tuples(
                    st.lists(st.integers(0, count - 1), unique=True),
                    st.sets(st.integers(0, count - 1), min_size=1),
                ),
                min_size=1,
                max_size=5,
            ),
        )
    )
)
def test_curves_equal_counting_one_by_one(case):
    count, queries = case
    rankings = arrays(*(ranking for ranking, _ in queries))
    relevant = arrays(*(sorted(wanted) for _, wanted in queries))
    found = quality(rankings, relevant, count)
    total = sum(len(wanted) for _, wanted in queries)
    for at, depth in enumerate(found.curve.depths):
        hits = sum(naive_hits(ranking, wanted, depth) for ranking, wanted in queries)
        assert found.curve.recall[at] == pytest.approx(hits / total)
        assert found.curve.precision[at] == pytest.approx(hits / (depth * len(queries)))
    assert quality(relevant, relevant, count).share == pytest.approx(1)


def test_measuring_by_names_equals_measuring_by_numbers():
    labels = {"a.jpg": ["dog", "dog"], "b.jpg": ["dog"], "c.jpg": ["cat"], "d.jpg": []}
    rankings = {"dog": ["a.jpg", "d.jpg", "b.jpg"], "cat": ["b.jpg", "c.jpg"]}
    assert measure(rankings.__getitem__, labels).pr_auc == pytest.approx(23 / 48)


def test_recall_of_one_target_a_query():
    places = positions(arrays([4, 2], [1, 0, 3], [2], []), [2, 1, 0, 0])
    assert places.tolist() == [2, 1, np.inf, np.inf]
    assert [recall_at(places, depth) for depth in (1, 5)] == [0.25, 0.5]
