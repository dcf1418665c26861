import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from photosearch.domain import Caption, Clause, Query, Tag, TermCount
from photosearch.search.query import (
    MAX_CLAUSES,
    conditions,
    count_words,
    highlight,
    matched,
    parse,
)


def caption(view, text, tags=(), model="llava"):
    return Caption(photo_id=1, view=view, model=model, prompt="", text=text, tags=tuple(tags))


@pytest.mark.parametrize(
    ("text", "clauses"),
    [
        ("", []),
        ("  dog   beach ", [Clause("dog"), Clause("beach")]),
        ("dog -cat", [Clause("dog"), Clause("cat", negated=True)]),
        ('"red ball"', [Clause("red ball", phrase=True)]),
        ('-"red ball"', [Clause("red ball", phrase=True, negated=True)]),
        ('dog "red  ball', [Clause("dog"), Clause("red ball", phrase=True)]),
        ("“red ball”", [Clause("red ball", phrase=True)]),
        ('foo"bar baz"qux', [Clause("foo"), Clause("bar baz", phrase=True), Clause("qux")]),
        ("- dog -", [Clause("dog")]),
        ("--dog –cat", [Clause("dog", negated=True), Clause("cat", negated=True)]),
        ('"" -"" !!! 🐶', []),
        ("(dog), t-shirt.", [Clause("dog"), Clause("t-shirt")]),
        ("dog dog", [Clause("dog")]),
        ("Dog DOG", [Clause("Dog"), Clause("DOG")]),
        ("a\x00b", [Clause("a"), Clause("b")]),
        ("dog\udcff", [Clause("dog")]),
    ],
)
def test_parse(text, clauses):
    assert parse(text) == Query(tuple(clauses))


QUERY_LIKE = st.text(alphabet=st.sampled_from("ab ' \"-“–\t\x00é東ー🐶\u0301\u200d"), max_size=60)


@given(st.text() | QUERY_LIKE)
@example('-"')
@example('a"-b"-')
def test_any_text_is_a_query_that_can_be_written_down(text):
    query = parse(text)
    assert parse(str(query)) == query
    conditions(query)
    highlight(text, query)


@given(st.lists(st.builds(Clause, st.text(), st.booleans(), st.booleans()), max_size=5))
def test_queries_made_by_hand_never_raise(clauses):
    conditions(Query(tuple(clauses)))


@pytest.mark.parametrize(
    "text",
    ["a" * 100_000, "ab " * 33_000, '"' * 100_000, "-" * 100_000, '-"' * 50_000, "\x00" * 100_000],
)
def test_huge_garbage_takes_no_time(text):
    started = time.perf_counter()
    query = parse(text + " dog")
    assert parse(str(query)) == query
    assert time.perf_counter() - started < 5


def test_what_is_pasted_is_cut():
    assert len(parse(" ".join(f"word{n}" for n in range(1000))).clauses) == MAX_CLAUSES


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("the dog", [("dog",)]),
        ("the", [("the",)]),
        ("the of", [("the",), ("of",)]),
        ('"the dog"', [("the", "dog")]),
        ("t-shirt", [("t", "shirt")]),
        ("東京", [("東", "京")]),
        ("dog -the", [("dog",)]),
    ],
)
def test_stop_words_count_only_where_there_is_nothing_else(text, terms):
    assert [condition.terms for condition in conditions(parse(text))] == terms


def test_matched_names_the_views_of_each_word():
    captions = [
        caption("whole", "A man with two dogs."),
        caption("half-left", "A dog. Red ball."),
        caption("half-right", "A ball, red."),
        caption("quarter-top-left", "sofa", [Tag("sofa", 0.9, ("couch", "lounge chair"))], "ssd"),
    ]
    query = parse('dog "red ball" couch the zebra -man "lounge chair"')
    assert matched(captions, query) == {
        "dog": ("whole", "half-left"),
        "red ball": ("half-left",),
        "couch": ("quarter-top-left",),
        "lounge chair": ("quarter-top-left",),
    }


def test_highlight_marks_forms_phrases_and_folded_words():
    text = "Dogs near a Café: the dog’s red ball, a red car."
    spans = highlight(text, parse('dog cafe "red ball" the -car'))
    assert [text[a:b] for a, b in spans] == ["Dogs", "Café", "dog’s", "red ball"]
    assert highlight("red red red", parse('"red red"')) == [(0, 11)]
    assert highlight("", parse("dog")) == []


def test_count_words_joins_forms_and_counts_tags_by_their_shown_word():
    captions = [
        caption("whole", "The image features two dogs. A dog and a red ball."),
        caption("half-left", "dogs, dogs"),
        caption("whole", "dog, sports ball", [Tag("dog", 0.9), Tag("sports ball", 0.8)], "ssd"),
    ]
    assert count_words(captions) == [
        TermCount("dogs", 5),
        TermCount("ball", 1),
        TermCount("red", 1),
        TermCount("sports ball", 1),
    ]
    assert count_words([]) == []
