import pytest
from indexed_photos import indexed

from photosearch.domain import Query, TermCount
from photosearch.search import analysis
from photosearch.search.caption_index import CaptionIndex
from photosearch.search.index_document import PhotoDocument
from photosearch.search.query import parse


@pytest.fixture
def make_index(tmp_path):
    """Returns a function that indexes photos with these captions, numbered from 1."""

    def make(captions):
        index = CaptionIndex.open(tmp_path / "index")
        with index.writer() as writer:
            for photo_id, text in enumerate(captions, 1):
                strengths = {unit.term: 3 for unit in analysis.units(text)}
                words = analysis.content_words(text)
                writer.put(PhotoDocument(photo_id, sure=strengths, texts=[text], words=words))
            writer.commit()
        index.reload()
        return index

    return make


def offered(index, text, limit=12):
    return [word.word for word in index.search(parse(text), refine=limit).refine]


def test_words_come_with_the_number_of_photos_that_have_them(make_index):
    index = make_index(["dog beach"] * 6 + ["dog snow"] * 4 + ["cat"] * 10)
    found = index.search(parse("dog"), refine=12)
    assert set(found.refine) == {TermCount("beach", 6), TermCount("snow", 4)}
    assert not found.refine_is_estimate


def test_what_all_photos_of_the_result_have_is_not_offered(make_index):
    index = make_index(["dog grass ball"] * 5 + ["dog grass"] * 5 + ["cat"])
    assert offered(index, "dog") == ["ball"]


def test_what_one_photo_of_many_has_is_not_offered(make_index):
    index = make_index(["dog ball"] * 5 + ["dog"] * 14 + ["dog umbrella"])
    assert offered(index, "dog") == ["ball"]


def test_neither_the_words_of_the_query_nor_others_for_them_are_offered(make_index):
    index = make_index(
        ["giraffe couch sofa"] * 5 + ["giraffe couch animal"] * 5 + ["giraffe couch ball"] * 5
    )
    assert offered(index, "giraffe couch") == ["ball"]


def test_two_words_for_one_thing_are_not_offered_side_by_side(make_index):
    index = make_index(["man couch"] * 8 + ["man sofa"] * 7 + ["man ball"] * 5 + ["man"] * 5)
    assert set(offered(index, "man")) == {"couch", "ball"}


def test_a_word_and_a_compound_that_holds_it_are_not_offered_side_by_side(make_index):
    index = make_index(
        ["man traffic light"] * 8 + ["man light"] * 4 + ["man ball"] * 5 + ["man"] * 5
    )
    words = offered(index, "man")
    assert sum("light" in word for word in words) == 1
    assert "ball" in words


def test_few_words_serve_as_many_photos_as_possible(make_index):
    # Of 24 photos, 12 have two frequent words each, 10 one that is rarer.
    index = make_index(
        ["man tree road"] * 12 + ["man ball"] * 5 + ["man umbrella"] * 5 + ["man"] * 2
    )
    first_three = offered(index, "man", limit=3)
    assert {"ball", "umbrella"} < set(first_three)
    assert offered(index, "man")[-1] in ("tree", "road")


def test_words_that_tell_the_result_from_the_library_come_first(make_index):
    index = make_index(
        ["man surfboard"] * 10 + ["man tree"] * 10 + ["man"] * 10 + ["dog tree"] * 300
    )
    assert offered(index, "man") == ["surfboard", "tree"]


def test_a_large_result_is_counted_on_a_sample_and_said_to_be(make_index):
    texts = [f"dog {('ball', 'stick', 'beach', 'snow')[n % 4]}" for n in range(4000)]
    found = make_index(texts).search(parse("dog"), refine=4)
    assert found.refine_is_estimate
    assert {word.word for word in found.refine} == {"ball", "stick", "beach", "snow"}
    assert all(700 < word.count < 1300 for word in found.refine)


def test_the_whole_library_has_words_to_begin_with(make_index):
    index = make_index(["dog ball"] * 5 + ["cat sofa"] * 5)
    found = index.search(Query(), refine=4)
    assert {word.word for word in found.refine} == {"dog", "ball", "cat", "sofa"}


def test_nothing_found_offers_nothing(make_index):
    assert offered(make_index(["dog ball"] * 5), "zebra") == []


def test_a_word_counts_all_photos_that_it_finds(tmp_path):
    field = ["A dog in a field.", "A cow in a field. The animal eats."] * 3 + ["A field."] * 4
    index = indexed(tmp_path, dict(enumerate([*field, *["A kitchen."] * 9], 1)))
    found = index.search(parse("field"), refine=12)
    counts = {word.word: word.count for word in found.refine}
    assert counts["animal"] == index.search(parse("field animal")).total == 6


def test_a_word_that_finds_all_of_the_result_is_not_offered(tmp_path):
    field = ["A dog in a field.", "A giraffe in a field. The animal eats."] * 3
    index = indexed(tmp_path, dict(enumerate([*field, *["A kitchen."] * 9], 1)))
    assert index.search(parse("field animal")).total == 6
    assert set(offered(index, "field")) >= {"dog", "giraffe"}
    assert "animal" not in offered(index, "field")
