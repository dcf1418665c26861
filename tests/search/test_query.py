import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from photosearch.domain import Clause, Field, Query
from photosearch.search.query import (
    MAX_CLAUSES,
    MAX_DESCRIPTION_WORDS,
    MAX_NESTING,
    parse,
    requoted,
)


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


def words(text):
    return tuple(Clause(word) for word in text.split())


def either(*queries, negated=False):
    return Clause(any_of=tuple(Query(words(query)) for query in queries), negated=negated)


@pytest.mark.parametrize(
    ("text", "clauses"),
    [
        ("cat OR bird", [either("cat", "bird")]),
        ("cat|bird | cow", [either("cat", "bird", "cow")]),
        ("tree cat OR bird sky", [Clause("tree"), either("cat", "bird"), Clause("sky")]),
        ("a OR b c OR d", [either("a", "b"), either("c", "d")]),
        ("cat or bird", [Clause("cat"), Clause("or"), Clause("bird")]),
        ("cat NOT bird sky", [Clause("cat"), Clause("bird", negated=True), Clause("sky")]),
        ("NOT (cat OR bird)", [either("cat", "bird", negated=True)]),
        ("NOT -cat NOT", words("cat")),
        ("cat not", words("cat not")),
        ("(cat OR bird) sky", [either("cat", "bird"), Clause("sky")]),
        ("(cat cow) sky", words("cat cow sky")),
        ("(cat sky) OR (bird tree)", [either("cat sky", "bird tree")]),
        ("cat OR cat", words("cat")),
        ("-(cat OR bird)", [either("cat", "bird", negated=True)]),
        ("-(cat cow)", [either("cat cow", negated=True)]),
        ("-(cat)", [Clause("cat", negated=True)]),
        ("-(-cat)", words("cat")),
        ("-(-(cat cow))", words("cat cow")),
        ('cat OR -"red ball"', [Clause(any_of=(Query(words("cat")), Query((
            Clause("red ball", phrase=True, negated=True),))))]),
        # Whatever is missing is left out.
        ("OR cat OR", words("cat")),
        ("OR", []),
        ("cat OR OR bird", [either("cat", "bird")]),
        ("() OR cat (", words("cat")),
        (") cat :)", words("cat")),
        ("((cat) OR (((bird)", [either("cat", "bird")]),
        ("red*", [Clause("red", prefix=True)]),
        ("-red*, ball", [Clause("red", negated=True, prefix=True), Clause("ball")]),
        ('"red bal"*', [Clause("red bal", prefix=True)]),
        ("*red*ball * ", [Clause("red*ball")]),
        ("（cat｜bird）－cow", [either("cat", "bird"), Clause("cow", negated=True)]),
    ],
)  # fmt: skip
def test_groups_and_beginnings(text, clauses):
    assert parse(text) == Query(tuple(clauses))
    assert parse(str(parse(text))) == parse(text)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("hot dog", '"hot dog"'),
        ("two Hot  Dogs beach", 'two "Hot Dogs" beach'),
        ("cat OR hot dog beach", '(cat OR "hot dog") beach'),
        ("hot OR dog", "(hot OR dog)"),
        ("(a hot) dog", 'a "hot dog"'),
        ("-hot dog", "-hot dog"),
        ("hot -dog", "hot -dog"),
        ("hot dog*", "hot dog*"),
        ("hot beach hot dog", 'hot beach "hot dog"'),
        ("red dog", "red dog"),
    ],
)
def test_words_that_are_one_thing_are_one_phrase(text, written):
    assert str(parse(text)) == written
    assert parse(written) == parse(text)


@pytest.mark.parametrize(
    ("text", "clause"),
    [
        ("in:Holidays", Clause("Holidays", field=Field.IN)),
        ("in:~/Pictures/2019", Clause("~/Pictures/2019", field=Field.IN)),
        ('in:"/home/me/My Photos"', Clause("/home/me/My Photos", field=Field.IN)),
        ("IN:x", Clause("x", field=Field.IN)),
        ("name:IMG*", Clause("IMG", field=Field.NAME, prefix=True)),
        ("name:IMG_1(2).jpg", Clause("IMG_1(2).jpg", field=Field.NAME)),
        ("name:*.heic", Clause("*.heic", field=Field.NAME)),
        ("(name:IMG)", Clause("IMG", field=Field.NAME)),
        ("-date:2019", Clause("2019", field=Field.DATE, negated=True)),
        ("date:2019-05..2019-08,", Clause("2019-05..2019-08", field=Field.DATE)),
        ("date:2019..", Clause("2019..", field=Field.DATE)),
        ('date:"2019 .. 2021"', Clause("2019..2021", field=Field.DATE)),
        ("date：2019", Clause("2019", field=Field.DATE)),
        ('camera: "Canon EOS"', Clause("Canon EOS", field=Field.CAMERA)),
        ("camera: canon", Clause("canon", field=Field.CAMERA)),
        ("place:Saint-Malo.", Clause("Saint-Malo", field=Field.PLACE)),
        ('tag:"dog"', Clause("dog", phrase=True, field=Field.TAG)),
        ("tag:dog", Clause("dog", field=Field.TAG)),
        ("text:stop", Clause("stop", field=Field.TEXT)),
        ("stars:>=3", Clause(">=3", field=Field.STARS)),
        ("type:.HEIC", Clause("heic", field=Field.TYPE)),
        ("has:Rating", Clause("stars", field=Field.HAS)),
        ("no:caption", Clause("captions", field=Field.NO)),
        ("view:bird", Clause("bird", field=Field.VIEW)),
        ("like:0042", Clause("42", field=Field.LIKE)),
        ('about:"a dog (brown) runs"', Clause("a dog (brown) runs", field=Field.ABOUT)),
    ],
)
def test_fields(text, clause):
    assert parse(text) == Query((clause,))
    assert parse(str(parse(text))) == parse(text)


@pytest.mark.parametrize(
    ("text", "clauses"),
    [
        ("foo:bar", [Clause("foo:bar")]),
        ("date:blah", [Clause("date:blah", phrase=True)]),
        ("stars: many", words("stars many")),
        ('type:"a b"', [Clause("type"), Clause("a b", phrase=True)]),
        ("tag: -dog", [Clause("tag"), Clause("dog", negated=True)]),
        ("tag: in:home", [Clause("tag"), Clause("home", field=Field.IN)]),
        ("place:", words("place")),
        ("no:dog like:me", [Clause("no:dog", phrase=True), Clause("like:me", phrase=True)]),
        ("has: OR cat", [either("has", "cat")]),
        ("date:9999", [Clause("date:9999", phrase=True)]),
    ],
)
def test_fields_that_make_no_sense_are_words(text, clauses):
    assert parse(text) == Query(tuple(clauses))


@pytest.mark.parametrize(
    "text",
    [
        "two dogs are playing with a ball on the beach in the evening",
        "A man in a red shirt rides his bicycle down a street.",
        "a woman with an umbrella - a black one - walks over the bridge of a city",
    ],
)
def test_a_sentence_is_one_description(text):
    (clause,) = parse(text).clauses
    assert clause == Clause(text.rstrip("."), field=Field.ABOUT)
    assert parse(str(parse(text))) == parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "red car beach sunset dog ball kid",
        "a dog on the beach",
        "dog with a ball",
        "two dogs are playing with a ball on the beach in the evening -cat",
        'two dogs are playing with a "ball" on the beach in the evening',
        "two dogs are playing with a ball on the beach in the evening date:2019",
        "red car with dog beach sunset ball kid mountain in snow the house tree bird boat lake",
    ],
)
def test_keywords_stay_words(text):
    assert all(clause.field is not Field.ABOUT for clause in parse(text).clauses)


@pytest.mark.parametrize(
    ("argument", "query"),
    [
        ("dog", "dog"),
        ("red ball", '"red ball"'),
        ("-red ball", '-"red ball"'),
        ("in:My Photos", 'in:"My Photos"'),
        ("-camera:Canon EOS", '-camera:"Canon EOS"'),
        ("date:2019", "date:2019"),
        ("cat OR dog", "cat OR dog"),
        ("NOT dog", "NOT dog"),
        ("dog -cat", "dog -cat"),
        ("dog date:2019", "dog date:2019"),
        ('a "red ball"', 'a "red ball"'),
        ("(cat dog)", "(cat dog)"),
        (" ", " "),
        *[2 * ("a dog is playing with a ball on the beach near some children",)],
    ],
)
def test_the_quotes_that_a_shell_took_are_back(argument, query):
    assert requoted(argument) == query


def test_a_pasted_book_is_a_short_description():
    (clause,) = parse("In the beginning was a dog who had the blue ball. " * 1000).clauses
    assert clause.field is Field.ABOUT
    assert len(clause.text.split()) == MAX_DESCRIPTION_WORDS


def depth(query):
    return max((1 + max(map(depth, c.any_of)) for c in query.clauses if c.any_of), default=0)


def test_groups_too_deep_are_left_out():
    text = "dog"
    for n in range(3 * MAX_NESTING):
        text = f"({text} OR b{n}) c{n}"
        query = parse(text)
        assert query
        assert depth(query) <= MAX_NESTING
        assert parse(str(query)) == query
    assert parse("(" * 5000 + "dog" + ")" * 5000 + " cat") == Query(words("dog cat"))


LANGUAGE = st.sampled_from(
    [
        "a",
        "b",
        "dog",
        "hot",
        "OR",
        "NOT",
        "or",
        "|",
        "(",
        ")",
        "-",
        "--",
        '"',
        "*",
        ",",
        ".",
        "/",
        "~",
        "\u3000",
        "\xa0",
        "in:",
        "name:",
        "Tag:",
        "date:",
        "stars:",
        "type:",
        "has:",
        "no:",
        "view:",
        "about:",
        "like:",
        "foo:",
        "2019",
        "..",
        "-05",
        ">=3",
        "3",
        "jpg",
        "the",
        "on",
        "with",
        "captions",
        "́",
        "東",
        "ー",
        "'s",
        "'",
        "�",
        "\x00",
        "ſ",
        "K",
        "IMG(1)",
        "t-shirt",
        "🐶",
        "\u200d",
        "\t",
        "é",
        "“",
        "–",
    ]
)
QUERY_LIKE = st.lists(LANGUAGE, max_size=25)


@given(st.text() | QUERY_LIKE.map("".join) | QUERY_LIKE.map(" ".join))
@example('-"')
@example('a"-b"-')
@example("x'tag:a")
@example("date:2019..!")
@example('in:"a*"*')
@example("-OR OR OR*")
@example("a the of on dog: cat(1) (bird) cow")
def test_any_text_is_a_query_that_can_be_written_down(text):
    query = parse(text)
    assert parse(str(query)) == query


@given(QUERY_LIKE.map(" ".join))
def test_every_clause_can_stand_alone_and_be_turned(text):
    for clause in parse(text).clauses:
        assert parse(str(clause)) == Query((clause,))
        turned = parse(str(clause.opposite()))
        assert parse(str(turned)) == turned


@pytest.mark.parametrize(
    "text",
    [
        "a" * 100_000,
        "ab " * 33_000,
        '"' * 100_000,
        "-" * 100_000,
        '-"' * 50_000,
        "\x00" * 100_000,
        "(" * 100_000,
        "-(" * 50_000,
        "()" * 50_000,
        "a|" * 50_000,
        "in:(" * 25_000,
        "*" * 100_000,
        "tag: " * 20_000,
        "a:" * 50_000,
        "date:" * 20_000,
    ],
)
def test_huge_garbage_takes_no_time(text):
    started = time.perf_counter()
    query = parse(text + " dog")
    assert parse(str(query)) == query
    assert time.perf_counter() - started < 5


def test_what_is_pasted_is_cut():
    assert len(parse(" ".join(f"word{n}" for n in range(1000))).clauses) == MAX_CLAUSES
