import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from photosearch.search.dense import fuse, nearest, widened


def blocks_of(ids, vectors, size):
    for first in range(0, len(ids), size):
        part = slice(first, first + size)
        yield ids[part], vectors[part].astype("<f2").tobytes()


@given(
    count=st.integers(0, 60),
    size=st.integers(1, 20),
    limit=st.integers(1, 30),
    spread=st.integers(1, 3),
    chosen=st.none() | st.lists(st.integers(1, 60), unique=True),
    seed=st.integers(0, 1000),
)
def test_the_nearest_are_those_of_sorting_everything(count, size, limit, spread, chosen, seed):
    random = np.random.default_rng(seed)
    # Of few different numbers, so that many products are equal.
    vectors = random.integers(-spread, spread + 1, (count, 4)).astype(np.float32)
    query = random.integers(-spread, spread + 1, 4).astype(np.float32)
    ids = list(range(1, count + 1))
    among = None if chosen is None else np.sort(np.asarray(chosen, np.int64))
    found = nearest(query, blocks_of(ids, vectors, size), limit, among)
    allowed = [i for i in ids if chosen is None or i in chosen]
    assert found == sorted(allowed, key=lambda i: (-float(vectors[i - 1] @ query), i))[:limit]


def test_every_finite_half_is_widened_exactly():
    bits = np.arange(1 << 16, dtype=np.uint16)
    halves = bits.view(np.float16)
    finite = np.isfinite(halves)
    expected = halves[finite].astype(np.float32)
    found = widened(bits.view(np.int16)[finite])
    assert found.tobytes() == expected.tobytes()


rankings = st.lists(st.lists(st.integers(1, 40), unique=True), min_size=1, max_size=3)


@given(rankings)
def test_fusion_drops_nothing_and_adds_nothing(given_rankings):
    fused = [photo_id for photo_id, _ in fuse(given_rankings)]
    assert len(fused) == len(set(fused))
    assert set(fused) == {photo_id for ranking in given_rankings for photo_id in ranking}


@given(st.lists(st.integers(1, 40), unique=True))
def test_fusing_a_ranking_with_itself_or_with_nothing_keeps_it(ranking):
    assert [photo_id for photo_id, _ in fuse([ranking, ranking])] == ranking
    assert [photo_id for photo_id, _ in fuse([ranking, []])] == ranking


def test_what_both_find_comes_before_what_one_finds_as_high():
    assert fuse([[1, 2, 3], [4, 3, 5]])[0][0] == 3
