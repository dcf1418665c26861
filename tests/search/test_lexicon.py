import pytest
from hypothesis import given
from hypothesis import strategies as st

from photosearch.domain import Through
from photosearch.errors import UnavailableError
from photosearch.paths import resource
from photosearch.search.analysis import first_compound
from photosearch.search.lexicon import SPACE, Lexicon, lexicon


def term(words: str) -> str:
    return SPACE.join(map(lexicon().base_form, words.split()))


def related(words: str, neighbours: str = "") -> dict[str, Through]:
    found = lexicon().relations(term(words), set(map(lexicon().base_form, neighbours.split())))
    return {relation.term.replace(SPACE, " "): relation.through for relation in found}


@pytest.mark.parametrize(
    ("form", "base"),
    [
        *(("mice", "mouse"), ("knives", "knife"), ("men", "man"), ("people", "person")),
        *(("geese", "goose"), ("leaves", "leaf"), ("wolves", "wolf"), ("snowmen", "snowman")),
        *(("ran", "run"), ("sitting", "sit"), ("skiing", "ski"), ("lying", "lie")),
        *(("riding", "ride"), ("surfing", "surf"), ("worn", "wear"), ("parked", "park")),
        *(("older", "old"), ("biggest", "big"), ("happier", "happy")),
        *(("benches", "bench"), ("puppies", "puppy"), ("tomatoes", "tomato"), ("tvs", "tv")),
        *(("selfies", "selfie"), ("smartphones", "smartphone"), ("frisbees", "frisbee")),
    ],
)
def test_inflections_have_their_base_form(form, base):
    assert lexicon().base_form(form) == base


@pytest.mark.parametrize(
    "word",
    """building wedding painting clothing evening ceiling boxing rose ground glass bus grass lens
    news scissors jeans shorts clothes stairs species tennis christmas cooler corner lighter tired
    interesting personal memorial haus 東京 кошки x 4711""".split(),  # noqa: SIM905
)
def test_what_is_no_inflection_stays(word):
    assert lexicon().base_form(word) == word


@given(st.text(max_size=12))
def test_any_text_may_be_asked_for(text):
    lexicon().base_form(text)
    lexicon().relations(text, {text, "dog"})
    lexicon().kinds(text)
    assert not lexicon().is_idiom(text) or text in lexicon()
    assert all(second and rests for second, rests in lexicon().compounds_from(text).items())


@pytest.mark.parametrize(
    ("word", "other"),
    [
        *(("tv", "television"), ("couch", "sofa"), ("bike", "bicycle"), ("phone", "telephone")),
        *(("plane", "airplane"), ("doughnut", "donut"), ("motorcycle", "bike")),
        *(("cell phone", "cellphone"), ("wine glass", "wineglass"), ("hot dog", "hotdog")),
    ],
)
def test_synonyms_hold(word, other):
    assert related(word)[other] is Through.SYNONYM


@pytest.mark.parametrize(
    ("word", "broader"),
    [
        *((word, "person") for word in ("man", "woman", "skier", "boy", "child", "crowd")),
        *((word, "animal") for word in ("dog", "giraffe", "cow", "zebra", "mouse", "bird")),
        *(("car", "vehicle"), ("bicycle", "vehicle"), ("sofa", "furniture"), ("pizza", "food")),
        *(("banana", "fruit"), ("tree", "plant"), ("shirt", "clothing"), ("church", "building")),
        *(("dining table", "table"), ("fridge", "refrigerator"), ("poodle", "dog")),
        *(("cell phone", "phone"), ("smartphone", "telephone"), ("hot dog", "food")),
    ],
)
def test_broader_words_are_reached(word, broader):
    assert related(word)[broader] is Through.BROADER


@pytest.mark.parametrize("word", ["dog", "table", "street", "wave", "hot dog", "woman", "plane"])
def test_the_empty_top_and_other_kinds_are_not(word):
    empty = {"entity", "object", "artifact", "whole", "thing", "organism", "matter", "unit"}
    assert not related(word).keys() & empty
    assert "dog" not in related("hot dog")
    assert "person" not in related("hot dog")


def test_relations_come_nearest_first_and_few():
    words = "dog man car table street pizza building tree phone glass train flower".split()  # noqa: SIM905
    found = [lexicon().relations(word) for word in words]
    for relations in found:
        assert [r.steps for r in relations] == sorted(r.steps for r in relations)
        assert all((r.steps == 0) == (r.through is Through.SYNONYM) for r in relations)
    assert sum(map(len, found)) / len(words) <= 12


@pytest.mark.parametrize(
    ("word", "neighbours", "holds", "lacks"),
    [
        ("mouse", "computer desk", "computer mouse", "animal"),
        ("mouse", "keyboard monitor laptop", "computer mouse", "animal"),
        ("mouse", "field grass", "animal", "computer mouse"),
        ("crane", "bird water", "bird", "device"),
        ("pitcher", "baseball field", "person", "container"),
        ("pitcher", "water glass", "container", "person"),
        ("tie", "suit shirt man", "clothing", "equality"),
        ("trunk", "elephant", "nose", "luggage compartment"),
        ("trunk", "car", "luggage compartment", "nose"),
    ],
)
def test_neighbours_choose_the_sense(word, neighbours, holds, lacks):
    found = related(word, neighbours)
    assert holds in found
    assert lacks not in found


@pytest.mark.parametrize("compound", ["hot dog", "teddy bear", "ice cream"])
def test_idioms_are_not_what_their_head_says(compound):
    assert lexicon().is_idiom(term(compound))


@pytest.mark.parametrize(
    "compound", ["dining table", "cell phone", "polar bear", "tennis court", "police officer"]
)
def test_other_compounds_are(compound):
    assert term(compound) in lexicon()
    assert not lexicon().is_idiom(term(compound))


@pytest.mark.parametrize(
    "words", ["white house", "yellow jacket", "young man", "piece of cake", "new york", "the dog"]
)
def test_what_is_no_compound(words):
    assert first_compound(words.split()) == (0, "")


def test_the_longest_compound_counts():
    assert first_compound(["hot", "dog", "bun"]) == (2, term("hot dog"))
    assert first_compound(["hot", "air", "balloon"]) == (3, term("hot air balloon"))
    assert first_compound(["hot"]) == (0, "")


def test_kinds_to_fall_back_on():
    assert lexicon().kinds(term("dining table")) == ("table",)
    assert set(lexicon().kinds(term("cell phone"))) == {"phone", "telephone"}
    assert lexicon().kinds(term("tennis racket")) == ("racket",)
    assert lexicon().kinds("frobnicator") == ()


@pytest.mark.parametrize("size", [0, 4, 8, 10, 40, 5_000, 100_000, 3_000_000, -1])
def test_a_lexicon_that_is_cut_off_is_refused(tmp_path, size):
    path = tmp_path / "wordnet.lex"
    path.write_bytes(resource("lexicon", "wordnet.lex").read_bytes()[:size])
    with pytest.raises(UnavailableError, match=r"dictionary .*wordnet\.lex.* install"):
        Lexicon(path)


def test_a_file_that_is_no_lexicon_is_refused(tmp_path):
    path = tmp_path / "wordnet.lex"
    path.write_bytes(b"something else")
    with pytest.raises(UnavailableError, match="no lexicon"):
        Lexicon(path)
    with pytest.raises(UnavailableError, match="missing"):
        Lexicon(tmp_path / "none.lex")


def test_base_forms_are_their_own():
    for word in "mice riding buildings glasses skis dressed older people feet".split():  # noqa: SIM905
        base = lexicon().base_form(word)
        assert lexicon().base_form(base) == base
