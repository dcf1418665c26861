"""Any script, any length: nothing that is typed raises, and nothing that is read takes forever."""

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from indexed_photos import indexed, known

from photosearch.search.claims import Certainty, claims
from photosearch.search.query import parse

PHOTOS = {
    1: known("हिन्दी में एक कुत्ता", path="हिमालय/कु.jpg", camera="Canon"),
    2: known("ภาพ น้ำตก สวย"),
    3: known("A dog on a beach."),
}


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    return indexed(tmp_path_factory.mktemp("hostile"), PHOTOS)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("हि*", {1}),
        ("हिन्दी*", {1}),
        ("कुत्*", {1}),
        ("name:कु*", {1}),
        ("in:हिम*", {1}),
        ("तु*", set()),
    ],
)
def test_words_whose_letters_have_marks_can_be_begun(index, asked, found):
    assert set(index.search(parse(asked)).photo_ids) == found


@given(
    st.text(st.characters(categories=("L", "M", "N", "P", "S", "Z")), max_size=6),
    st.sampled_from(["", "in:", "name:", "view:", "tag:", "text:", "-"]),
)
@example("हि", "")
@example("\u0e33", "tag:")
def test_no_beginning_of_a_word_raises(index, text, field):
    query = parse(f'{field}{text}* {field}"{text}"')
    index.search(query, refine=3, related=3)
    index.complete(field + text, query)
    index.suggest(query)


@pytest.mark.parametrize(
    ("said", "certainty"),
    [
        ("no dog ", Certainty.DENIED),
        ("perhaps a dog ", Certainty.DOUBTFUL),
        ("dog not visible ", Certainty.DENIED),
    ],
)
def test_a_model_that_rambles_is_read_in_a_moment(said, certainty):
    text = said * (100_000 // len(said))
    started = time.monotonic()
    found = claims(text)
    assert time.monotonic() - started < 10  # in quadratic time it is minutes
    assert {claim.certainty for claim in found if claim.unit.term == "dog"} == {certainty}
