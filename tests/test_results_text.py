import pytest

from photosearch.domain import Match, Through
from photosearch.results_text import misread, why
from photosearch.search.query import parse

PARTS = ("quarter-top-left", "quarter-top-right", "quarter-bottom-left")


def test_a_reason_names_few_views_and_counts_many():
    assert why([Match("dog", Through.WORD, "dog", ("whole",))]) == "dog: whole"
    assert why([Match("dog", Through.TAG, "dog", PARTS)]) == f"dog: (a tag) {', '.join(PARTS)}"
    assert why([Match("dog", Through.WORD, "dog", ("whole", *PARTS))]) == "dog: whole and 3 parts"


def test_reasons_of_one_clause_stand_together():
    matches = [
        Match("sofa", Through.SYNONYM, "couch", ("whole",)),
        Match("sofa", Through.TAG, "studio couch", ("whole",), doubtful=True),
        Match("place:rome", Through.PLACE, "Rome"),
    ]
    assert why(matches) == (
        "sofa: (couch, a synonym) whole; (studio couch, a tag, perhaps) whole; "
        "place:rome: (Rome, the place)"
    )


def test_a_description_is_not_repeated_for_each_photo():
    asked = 'about:"a dog lies next to the sofa while a giraffe looks"'
    assert why([Match(asked, Through.WORD, "dog", ("whole",))]) == "about: (dog) whole"


@pytest.mark.parametrize(
    ("typed", "example"),
    [
        ("date:today", "date:2019 (taken"),
        ("Stars:many dog", "stars:>=3 (the rating"),
        ("has:foo", "has:place (that it is known"),
        ("no:foo", "no:captions (that it is known"),
        ("-type:foo", "type:heic (the kind"),
        ("like:abc", "like:42 (photos like"),
    ],
)
def test_a_field_with_a_value_that_makes_no_sense_is_told(typed, example):
    (sentence,) = misread(parse(typed))
    assert example in sentence


def test_what_is_read_as_it_was_meant_needs_no_word():
    assert misread(parse('dog date:2019 http://a.b 12:30 in: has:place "red: car"')) == []
