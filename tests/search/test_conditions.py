import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from photosearch.domain import Clause, Field, Query
from photosearch.search import analysis
from photosearch.search.conditions import MAX_PHRASE_WORDS, Kind, conditions
from photosearch.search.query import MAX_CLAUSES, parse


def only(text):
    (condition,) = conditions(parse(text))
    return condition


def asked(text):
    return [(condition.kind, condition.terms) for condition in conditions(parse(text))]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the dog", [(Kind.WORD, ("dog",))]),
        ("the", [(Kind.PHRASE, ("the",))]),
        ("the of", [(Kind.PHRASE, ("the",)), (Kind.PHRASE, ("of",))]),
        ("dog -the", [(Kind.WORD, ("dog",))]),
        ('the "of"', [(Kind.PHRASE, ("of",))]),
        ("the stars:3", [(Kind.FACT, ())]),
    ],
)
def test_stop_words_count_only_where_there_is_nothing_else(text, expected):
    assert asked(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Dogs", [(Kind.WORD, ("dog",))]),
        ('"dogs"', [(Kind.PHRASE, ("dog",))]),
        ('"the dogs"', [(Kind.PHRASE, ("the", "dog"))]),
        ("t-shirt", [(Kind.PHRASE, ("t", "shirt"))]),
        ("東京", [(Kind.PHRASE, ("東", "京"))]),
        ("Hunde* Café*", [(Kind.PREFIX, ()), (Kind.PREFIX, ())]),
        ("cat OR bird", [(Kind.GROUP, ())]),
        ("hot dogs", [(Kind.WORD, (analysis.SPACE.join(("hot", "dog")),))]),
        ("like:7", [(Kind.LIKE, ())]),
    ],
)
def test_what_words_ask_for(text, expected):
    if text == "t-shirt":  # as a compound of the lexicon or word by word
        assert len(conditions(parse(text))) == 1
        return
    assert asked(text) == expected


def test_beginnings_are_folded():
    assert [condition.value for condition in conditions(parse("Hunde* CAFÉ*"))] == ["hunde", "cafe"]


def test_only_compounds_of_the_kind_of_their_last_word_have_parts():
    assert only("dining table").parts == ("dine", "table")
    assert only("hot dog").parts == ()


def test_a_description_asks_for_all_its_telling_words():
    condition = only("two dogs are playing with a ball on the beach in the evening")
    assert condition.kind is Kind.ABOUT
    assert {"dog", "ball", "beach", "evening"} <= set(condition.terms)
    assert not {"the", "with", "on"} & set(condition.terms)


@pytest.mark.parametrize(
    ("text", "field", "terms", "value", "between"),
    [
        ('in:"My Photos"', Field.IN, ("my", "photo"), "", None),
        ("in:~/Pictures/2019", Field.IN, ("picture", "2019"), "", None),
        ("name:IMG*", Field.NAME, (), "img", None),
        ('place:"New Yo"*', Field.PLACE, ("new",), "yo", None),
        ("stars:>=3", Field.STARS, (), "", (3, 5)),
        ("date:1970-01-02", Field.DATE, (), "", (86400.0, 172800.0)),
        ("date:..1970", Field.DATE, (), "", (-math.inf, 365 * 86400.0)),
        ("has:rating", Field.HAS, ("star",), "", None),
        ("no:captions", Field.NO, ("caption",), "", None),
        ("type:png", Field.TYPE, ("png",), "", None),
    ],
)
def test_fields_are_filters(text, field, terms, value, between):
    condition = only(text)
    assert condition.is_filter
    assert (condition.field, condition.terms, condition.value, condition.between) == (
        field, terms, value, between,
    )  # fmt: skip


def test_a_group_with_a_filter_is_one():
    assert only("cat OR stars:3").is_filter
    assert not only("cat OR bird").is_filter
    assert only("cat OR (bird (cow OR stars:3))").is_filter


def test_the_clause_is_named_as_it_is_written_without_its_sign():
    named = [c.clause for c in conditions(parse('Dogs -cat "red ball" -tag:kite ball*'))]
    assert named == ["Dogs", "cat", "red ball", "tag:kite", "ball*"]


def test_what_is_asked_is_bounded():
    words = Query(tuple(Clause(f"word{n}") for n in range(10 * MAX_CLAUSES)))
    assert len(conditions(words)) == MAX_CLAUSES
    (phrase,) = conditions(Query((Clause("a b " * 50_000),)))
    assert len(phrase.terms) == MAX_PHRASE_WORDS
    (beginning,) = conditions(Query((Clause("x" * 100_000, prefix=True),)))
    assert len(beginning.value) <= analysis.MAX_WORD


CLAUSES = st.recursive(
    st.builds(
        Clause,
        st.text() | st.sampled_from(["dog", "the", "2019", ">=3", "jpg", "captions", "7", "²"]),
        phrase=st.booleans(),
        negated=st.booleans(),
        field=st.none() | st.sampled_from(Field),
        prefix=st.booleans(),
    ),
    lambda inner: st.builds(
        Clause,
        negated=st.booleans(),
        any_of=st.lists(st.lists(inner, max_size=3).map(tuple).map(Query), max_size=3).map(tuple),
    ),
    max_leaves=6,
)


@given(st.lists(CLAUSES, max_size=5).map(tuple).map(Query))
def test_queries_made_by_hand_never_raise(query):
    for condition in conditions(query):
        assert condition.kind in Kind
        assert all(condition.terms)
        list(condition.leaves())
    str(query)


def test_a_description_of_function_words_is_a_phrase():
    (condition,) = conditions(parse('about:"to be or not to be"'))
    assert condition.kind is Kind.PHRASE
    assert len(condition.terms) == 6


def test_many_words_added_one_by_one_do_not_read_back_as_a_description():
    query = Query()
    for word in ["dog", "the", "beach", "in", "a", "ball", "on", "the", "sand", "with", "man"]:
        query = query.adding(Clause(word))
    assert parse(str(query)) == query
