import pytest

from photosearch.domain import Field, Query, TermCount
from photosearch.search import analysis
from photosearch.search.caption_index import CaptionIndex
from photosearch.search.index_document import PhotoDocument
from photosearch.search.query import parse


@pytest.fixture
def make_index(tmp_path):
    """Returns a function that indexes photos given as (caption, facts), numbered from 1."""

    def make(photos):
        index = CaptionIndex.open(tmp_path / "index")
        with index.writer() as writer:
            for photo_id, (text, facts) in enumerate(photos, 1):
                strengths = {unit.term: 3 for unit in analysis.units(text)}
                words = analysis.content_words(text)
                writer.put(
                    PhotoDocument(photo_id, sure=strengths, texts=[text], words=words, facts=facts)
                )
            writer.commit()
        index.reload()
        return index

    return make


def completed(index, beginning, within="", **options):
    return [(word.word, word.count) for word in index.complete(beginning, parse(within), **options)]


def test_words_come_by_how_many_photos_of_the_result_have_them(make_index):
    index = make_index([("dog bench", {})] * 3 + [("dog bear", {})] * 2 + [("cat beach", {})] * 9)
    assert completed(index, "be") == [("beach", 9), ("bench", 3), ("bear", 2)]
    assert completed(index, "be", "dog") == [("bench", 3), ("bear", 2)]
    assert completed(index, "BE", "dog", limit=1) == [("bench", 3)]


def test_forms_of_a_word_come_once_with_the_photos_of_all(make_index):
    index = make_index([("dogs", {})] * 2 + [("dog", {})] + [("door", {})])
    assert completed(index, "do") == [("dogs", 3), ("door", 1)]


def test_a_photo_that_is_written_anew_counts_once(make_index):
    index = make_index([("dog", {}), ("dog", {})])
    with index.writer() as writer:
        writer.put(PhotoDocument(1, texts=["dog"], words=analysis.content_words("dog")))
        writer.commit()
    index.reload()
    assert completed(index, "d") == [("dog", 2)]


def test_a_value_is_never_counted_in_more_photos_than_there_are(make_index):
    index = make_index([("dog", {Field.IN: ["/home/2019"]})] * 2)
    with index.writer() as writer:
        writer.put(PhotoDocument(1, texts=["dog"], facts={Field.IN: ["/home/2019"]}))
        writer.commit()
    index.reload()
    assert completed(index, "in:2") == [("in:2019", 2)]


def test_the_words_of_the_query_are_not_offered_again(make_index):
    index = make_index([("dog door", {})])
    assert completed(index, "do", "dog") == [("door", 1)]


def test_compounds_are_completed_from_their_first_letters_and_words(make_index):
    index = make_index([("a traffic light", {})] * 2 + [("traffic", {})])
    assert ("traffic light", 2) in completed(index, "traf")
    assert completed(index, "traffic l") == [("traffic light", 2)]


def test_other_words_stand_in_for_one_that_no_photo_has(make_index):
    index = make_index([("a couch", {})] * 2)
    assert completed(index, "sofa") == [("couch", 2)]


def test_values_of_fields_are_completed_as_people_write_them(make_index):
    index = make_index(
        [
            ("dog", {Field.CAMERA: ["NIKON D750"], Field.IN: ["/home/anna/2019 Rome"]}),
            ("cat", {Field.CAMERA: ["NIKON D750"], Field.IN: ["/home/anna/2018"]}),
            ("cat", {Field.CAMERA: ["Canon EOS 600D"], Field.IN: ["/home/anna/2018"]}),
        ]
    )
    assert completed(index, "camera:nik") == [('camera:"NIKON D750"', 2)]
    assert completed(index, "camera:d7", "dog") == [('camera:"NIKON D750"', 1)]
    assert completed(index, "Camera: eos") == [('camera:"Canon EOS 600D"', 1)]
    assert completed(index, "in:rom") == [('in:"2019 Rome"', 1)]
    assert completed(index, "in:2") == [("in:2018", 2), ('in:"2019 Rome"', 1)]
    assert completed(index, "camera:zz") == []


def test_all_values_of_a_field_are_offered_where_none_is_begun(make_index):
    index = make_index([("dog", {Field.TYPE: ["JPEG"]})] * 2 + [("dog", {Field.TYPE: ["HEIC"]})])
    assert completed(index, "type:") == [("type:JPEG", 2), ("type:HEIC", 1)]


def test_a_completed_value_finds_as_many_photos_as_it_says(make_index):
    index = make_index([("dog", {Field.IN: ["/a/b c"]})] * 2 + [("dog", {Field.IN: ["/a/d"]})])
    for word in index.complete("in:", Query()):
        assert index.search(parse(word.word)).total == word.count


def test_what_is_not_known_is_completed_by_what_is(make_index):
    index = make_index([("dog", {Field.HAS: ["camera"]})] * 2 + [("dog", {Field.HAS: []})] * 5)
    assert completed(index, "has:c") == [("has:camera", 2)]
    assert completed(index, "no:c") == [("no:camera", 5)]


def test_values_are_no_words(make_index):
    index = make_index([("dog", {Field.CAMERA: ["Canon"]})])
    assert completed(index, "can") == []
    assert index.complete("", Query()) == []
    assert index.search(parse("camera*")).total == 0


def test_words_for_crops_are_completed_by_all_words(make_index):
    index = make_index([("dog", {})])
    assert index.complete("view:d", Query()) == [TermCount("view:dog", 1)]
