"""What holds for any query and any photo, on a real index of random photos."""

import calendar
import random
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from indexed_photos import evidence_in, indexed, known

from photosearch.domain import Clause, Field, Query
from photosearch.search import analysis
from photosearch.search.conditions import Kind, conditions
from photosearch.search.explain import explain, highlight
from photosearch.search.query import parse

PHOTO_COUNT = 120
EXAMPLES = 100
THINGS = (
    "dog", "puppy", "cat", "sofa", "couch", "giraffe", "man", "woman", "person", "table",
    "dining table", "hot dog", "bus", "vehicle", "hat", "television", "ball", "beach", "sky",
)  # fmt: skip
COLOURS = ("red", "blue", "brown")
FORMS = (
    "A {0}.", "A {1} {0} near a {2}.", "Two {0}s on a {2}.", "There is no {0}.",
    "A {2} without a {0}.", "Possibly a {0} or a {2}.", "The {0} is {1}.",
    "It is unclear whether there is a {0}.", 'A sign that reads "{0}".', "東京タワーと犬",
    "{1} {0}, people dining", "No {0}s or {2}s are visible.",
)  # fmt: skip
NAMES = ("", "Summer/IMG_4711.jpg", "Summer/beach dog.jpg", "Rome 2019/cat.png", "Rome 2019/1.jpg")
PLACES = ("", "Rome, Italy", "Siena, Italy", "Red Beach")
CAMERAS = ("", "Canon EOS", "NIKON D750")


def random_photo(seed):
    pick = random.Random(seed)
    thing = lambda: pick.choice(THINGS)  # noqa: E731 - a name for what is drawn
    texts = [
        " ".join(
            pick.choice(FORMS).format(thing(), pick.choice(COLOURS), thing())
            for _ in range(pick.choice((0, 1, 1, 2)))
        )
        for _ in range(pick.randint(0, 3))
    ]
    tags = [(word, pick.random()) for word in pick.sample(THINGS, pick.choice((0, 0, 1, 2)))]
    return known(
        *texts,
        tags=tags,
        path=pick.choice(NAMES),
        place=pick.choice(PLACES),
        stars=pick.choice((0, 0, 1, 3, 5)),
        taken_at=calendar.timegm((pick.randint(2018, 2020), pick.randint(1, 12), 3, 0, 0, 0)),
        by_camera=pick.random() < 0.8,
        camera=pick.choice(CAMERAS),
        format=pick.choice(("JPEG", "PNG")),
    )


PHOTOS = {photo_id: random_photo(photo_id) for photo_id in range(1, PHOTO_COUNT + 1)}
EVIDENCE_OF = evidence_in(PHOTOS)


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    return indexed(tmp_path_factory.mktemp("properties"), PHOTOS)


def search(index, query, **options):
    return index.search(query, **{"limit": 1000, "evidence_of": EVIDENCE_OF} | options)


def full_matches(index, query):
    found = search(index, query)
    return set(found.photo_ids[: found.full])


# -- What photos meet, by explanation and facts, without the index

SURELY, PERHAPS, NOT = 2, 1, 0


def meets(photo_id, condition):
    """Returns how sure a photo meets a condition, its negation aside."""
    if condition.kind is Kind.GROUP:
        return max(
            min(NOT if c.negated and meets(photo_id, c) == SURELY else
                SURELY if c.negated else meets(photo_id, c) for c in group)
            for group in condition.any_of
        )  # fmt: skip
    known_photo = PHOTOS[photo_id]
    document = known_photo.document(photo_id)
    match condition.field:
        case Field.DATE:
            low, high = condition.between
            return SURELY * (low <= document.taken_at < high)
        case Field.STARS:
            low, high = condition.between
            return SURELY * (low <= document.stars <= high)
        case Field.TYPE:
            return SURELY * (known_photo.facts.format.lower() in condition.terms)
        case Field.CAMERA | Field.HAS | Field.NO:
            held = Field.HAS if condition.field is Field.NO else condition.field
            values = [analysis.terms(value) for value in document.facts[held]]
            has = any(has_beside(value, condition) for value in values)
            return SURELY * (has != (condition.field is Field.NO))
    matches = explain(known_photo.text, [replace(condition, negated=False)])
    return max((PERHAPS if match.doubtful else SURELY for match in matches), default=NOT)


def has_beside(terms, condition):
    length = len(condition.terms)
    return any(
        tuple(terms[at : at + length]) == condition.terms
        and "".join(terms[at + length :][:1]).startswith(condition.value)
        for at in range(len(terms) - length + 1)
    )


def words_met(photo_id, wanted):
    return sum(meets(photo_id, condition) > NOT for condition in wanted)


def is_allowed(photo_id, wanted):
    """Whether a photo meets the filters, and nothing that is excluded."""
    return all(
        (meets(photo_id, c) == SURELY) != c.negated for c in wanted if c.negated or c.is_filter
    )


# -- Queries

WORDS = (
    *THINGS,
    *COLOURS,
    *("animal", "furniture", "tv", "dogs", "running", "sign", "Italy", "zebra", "summer", "people"),
    *("東京", "東京タワー", "img", "the", "dining", "hot"),
)
PLAIN = st.sampled_from(WORDS).filter(lambda word: " " not in word and word != "the").map(Clause)


def one_of(field, *values):
    return st.builds(Clause, st.sampled_from(values), field=st.just(field))


WORD_CLAUSES = st.one_of(
    PLAIN,
    PLAIN,
    st.builds(Clause, st.sampled_from(WORDS), phrase=st.just(True)),
    st.builds(
        Clause, st.sampled_from(["d", "gi", "ta", "fu", "東", "dining t"]), prefix=st.just(True)
    ),
)
KNOWABLE = ("captions", "tags", "words", "place", "text", "stars", "camera", "date")
FACT_CLAUSES = st.one_of(
    one_of(Field.IN, "Summer", "Rome 2019", "rome"),
    one_of(Field.NAME, "cat", "IMG_4711.jpg", "beach dog"),
    one_of(Field.DATE, "2019", "2018-07..2019-03", "2020-02"),
    one_of(Field.CAMERA, "canon", "NIKON D750"),
    one_of(Field.PLACE, "rome", "Italy"),
    one_of(Field.TAG, "dog", "table", "hot dog"),
    one_of(Field.TEXT, "dog", "dining table"),
    one_of(Field.STARS, "3", ">=3", "0"),
    one_of(Field.TYPE, "png", "jpg"),
    one_of(Field.HAS, *KNOWABLE),
    one_of(Field.NO, *KNOWABLE),
    one_of(Field.VIEW, "dog", "animal", "hat"),
)
DESCRIPTIONS = st.builds(
    lambda words: Clause(f"a {' and '.join(words)}", field=Field.ABOUT),
    st.lists(st.sampled_from([*THINGS, *COLOURS, "animal", "東京"]), min_size=1, max_size=6),
)


def queries_of(clauses, **sizes):
    return st.lists(clauses, **sizes).map(lambda found: Query(tuple(dict.fromkeys(found))))


def either(clauses):
    groups = queries_of(clauses, min_size=1, max_size=2)
    return st.lists(groups, min_size=2, max_size=3, unique=True).map(
        lambda found: Clause(any_of=tuple(found))
    )


SIMPLE = WORD_CLAUSES | WORD_CLAUSES | FACT_CLAUSES
CLAUSES = SIMPLE | either(SIMPLE | SIMPLE.map(Clause.opposite))
SIGNED = CLAUSES | CLAUSES | CLAUSES.map(Clause.opposite)
PARTS = st.sampled_from(
    [*WORDS, "OR", "-", '"', "(", ")", "*", "in:", "date:2019", "stars:>1", "like:7", "no:tags",
     "view:dog", "tag:", "about:", 'about:"a dog on a sofa"', "text:", "-cat", "ta*"]
)  # fmt: skip
ANY_TEXT = st.text(max_size=60) | st.lists(PARTS, max_size=10).map(" ".join)

on_the_index = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    deadline=None,
    max_examples=EXAMPLES,
)


@settings(on_the_index, max_examples=150)
@given(ANY_TEXT)
def test_any_text_can_be_asked(index, text):
    query = parse(text)
    found = search(index, query, refine=5, related=20)
    assert (found.full, found.partial) == (found.total, found.partial_total)
    ids = found.photo_ids
    assert len(ids) == len(set(ids)) == found.total + found.partial_total + found.related_total
    assert parse(str(query)) == query
    assert all(1 <= word.count <= found.total for word in found.refine)
    index.words(query)
    assert all(word.count > 0 for word in index.complete(text, Query()))
    assert all(word.count > 0 for word in index.complete("d", query))
    for other in index.suggest(query):
        assert parse(str(other)) == other
        assert search(index, other).photo_ids or len(other.clauses) > 1
    explain(PHOTOS[7].text, conditions(query))
    highlight(text, query)


@on_the_index
@given(queries_of(SIGNED, max_size=4))
@example(parse("hot"))
def test_chips_can_be_written_down_and_read_again(index, query):
    chips = Query()
    for clause in query.clauses:
        chips = chips.adding(clause)
    found = search(index, chips, related=20)
    assert search(index, parse(str(chips)), related=20) == found


@on_the_index
@given(queries_of(SIGNED, min_size=1, max_size=3), SIGNED)
@example(parse("dining table"), Clause("dog"))
@example(parse("hot dog"), Clause("sky", negated=True))
def test_the_index_finds_what_explanations_say(index, query, more):
    query = query.adding(more)
    wanted = conditions(query)
    words = [c for c in wanted if not c.negated and not c.is_filter]
    allowed = {photo_id for photo_id in PHOTOS if is_allowed(photo_id, wanted)}
    found = search(index, query, related=20)
    full, partial, rest = (
        found.photo_ids[: found.full],
        found.photo_ids[found.full : found.full + found.partial],
        found.photo_ids[found.full + found.partial :],
    )
    assert set(full) == {n for n in allowed if all(meets(n, c) == SURELY for c in words)}
    assert set(partial) == {n for n in allowed if words_met(n, words)} - set(full)
    assert not [n for n in rest if n not in allowed or words_met(n, words)]
    counts = [words_met(photo_id, words) for photo_id in (*full, *partial)]
    assert counts == sorted(counts, reverse=True), "more words first"


@on_the_index
@given(queries_of(SIGNED, min_size=1, max_size=2), CLAUSES)
def test_a_negated_clause_excludes_exactly_what_it_finds(index, query, clause):
    alone = full_matches(index, Query((clause,)))
    excluded = full_matches(index, query.adding(clause.opposite()))
    assert excluded == full_matches(index, query) - alone


@on_the_index
@given(DESCRIPTIONS)
def test_what_a_description_finds_is_explained(index, description):
    query = Query((description,))
    found = search(index, query)
    assert found.partial_total == 0
    for photo_id in found.photo_ids:
        assert meets(photo_id, *conditions(query)) == SURELY


@on_the_index
@given(st.integers(1, PHOTO_COUNT), queries_of(FACT_CLAUSES, max_size=1))
def test_a_photo_is_not_like_itself(index, photo_id, filters):
    like = Clause(str(photo_id), field=Field.LIKE)
    found = search(index, filters.adding(like))
    assert photo_id not in found.photo_ids
    assert set(found.photo_ids) <= full_matches(index, filters)


@on_the_index
@given(
    queries_of(SIGNED | DESCRIPTIONS, min_size=1, max_size=6),
    st.integers(1, 40),
    st.integers(0, 30),
)
def test_pages_are_parts_of_one_big_page(index, query, size, related):
    whole = search(index, query, related=related)
    pages = [
        search(index, query, related=related, limit=size, offset=offset)
        for offset in range(0, len(whole.photo_ids) + 1, size)
    ]
    assert [i for page in pages for i in page.photo_ids] == list(whole.photo_ids)
    assert sum(page.full for page in pages) == whole.full
    assert sum(page.partial for page in pages) == whole.partial
    assert {page.related_total for page in pages} == {whole.related_total}


@on_the_index
@given(queries_of(SIGNED, max_size=2))
def test_an_offered_word_narrows_to_as_many_photos_as_it_says(index, query):
    found = search(index, query, refine=6)
    for word in found.refine:
        narrowed = search(index, query.adding(Clause(word.word)))
        assert 0 < word.count < found.total
        assert narrowed.total == word.count
