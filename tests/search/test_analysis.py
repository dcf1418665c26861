import pytest
from hypothesis import given
from hypothesis import strategies as st

from photosearch.search import analysis
from photosearch.search.analysis import (
    content_words,
    fold,
    is_stop_word,
    terms,
    tokenize,
    units,
)


@pytest.mark.parametrize(
    "forms",
    [
        "dog Dogs DOG dog's dog’s dogs'",
        "run runs running ran",
        "man men man's men's",
        "woman women",
        "child children",
        "person people",
        "fisherman fishermen",
        "bus buses",
        "knife knives",
        "pony ponies",
        "frisbee frisbees Frisbee's",
        "café CAFÉ cafe cafe\u0301 cafés",
        "Straße STRASSE strasse",
        "Bäume baume",
        "Łódź lodz",
        "ﬁsh fish ＦＩＳＨ",
        "Istanbul İstanbul ıstanbul",
        "ёлка елка ЁЛКА",
        "كِتَاب كتاب كـتـاب",
        "naïve nai\u0308ve naive",
        "co\u00adoperate cooperate",
    ],
)
def test_forms_of_a_word_have_one_term(forms):
    found = {tuple(terms(form)) for form in forms.split()}
    assert len(found) == 1, found
    assert len(found.pop()) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [("की", "का"), ("が", "か"), ("dog", "god"), ("glass", "class"), ("news", "new")],
)
def test_different_words_keep_different_terms(one, other):
    assert terms(one) != terms(other)


@pytest.mark.parametrize(
    ("text", "surfaces"),
    [
        ("A dog's T-shirt, o'clock!", ["A", "dog's", "T", "shirt", "o", "clock"]),
        ("l'eau don't it’s", ["l", "eau", "don't", "it’s"]),
        ("snow_man IMG_4711.JPG", ["snow", "man", "IMG", "4711", "JPG"]),
        ("東京タワー and犬", ["東", "京", "タ", "ワ", "ー", "and", "犬"]),
        ("a\x00b\tc\u2028d", ["a", "b", "c", "d"]),
        ("<b>dog</b>&amp;cat", ["b", "dog", "b", "amp", "cat"]),
        ("🐶 !!! -- …", []),
        ("कुत्ता दौड़ता", ["कुत्ता", "दौड़ता"]),
    ],
)
def test_words_of_a_text(text, surfaces):
    assert [token.surface for token in tokenize(text)] == surfaces


@given(st.text())
def test_offsets_point_into_the_original_text(text):
    tokens = tokenize(text)
    for token in tokens:
        assert text[token.start : token.end] == token.surface
        assert token.term
        assert not any(ch.isspace() for ch in token.term)
    assert [token.start for token in tokens] == sorted(token.start for token in tokens)
    assert [token.term for token in tokens] == terms(text)


@given(st.text(max_size=40))
def test_shown_words_find_themselves(text):
    for word in content_words(text):
        parts = terms(word.shown)
        assert word.key in ("".join(parts), analysis.SPACE.join(parts))
        shown = (word.shown + word.key).replace(analysis.SPACE, "")
        assert not any(ch.isspace() for ch in shown)


@given(st.text(max_size=40))
def test_folding_twice_changes_nothing(text):
    assert fold(fold(text)) == fold(text)


def test_very_long_words_are_cut_alike_everywhere():
    assert terms("x" * 100_000) == terms("x" * analysis.MAX_WORD)
    assert tokenize("x" * 100_000)[0].end == 100_000


def test_stop_words():
    assert is_stop_word("The")
    assert is_stop_word("don’t")
    assert is_stop_word("it's")
    assert not is_stop_word("dog")
    assert not is_stop_word("")


def test_content_words_leave_out_what_says_nothing():
    text = "The image features two dogs in the scene, possibly visible at 5 o'clock. A dog's ball."
    assert [word.shown for word in content_words(text)] == ["dogs", "clock", "dog", "ball"]
    assert terms("images") == ["image"], "boilerplate is still searchable"


def test_content_words_of_scripts_without_spaces_are_runs():
    assert [word.shown for word in content_words("東京タワーと犬")] == ["東京", "タワー"]


def test_the_display_form_is_the_most_frequent_then_the_shortest():
    assert analysis.display_form({"dogs": 3, "dog": 2}) == "dogs"
    assert analysis.display_form({"dogs": 2, "dog": 2}) == "dog"


@pytest.mark.parametrize(
    ("a", "b"), [("personal", "person"), ("animated", "animal"), ("orang", "orange")]
)
def test_words_that_only_look_alike_stay_apart(a, b):
    assert terms(a) != terms(b)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A hot dog on a plate", ["hot dog", "plate"]),
        ("two dining tables", ["two", "dining tables", "dining", "tables"]),
        ("his T-shirt", ["T-shirt", "shirt"]),
        ("people eat ice cream.", ["people", "eat", "ice cream"]),
        ("it is hot. Dog food", ["hot", "Dog food", "Dog", "food"]),
        (
            "cars parked and children playing, a baby sitting",
            ["cars", "parked", "children", "playing", "baby", "sitting"],
        ),
    ],
)
def test_units_are_compounds_and_words(text, expected):
    assert [unit.surface for unit in units(text)] == expected


def test_a_compound_has_the_term_of_its_words():
    (whole, *parts) = units("Cell\u00a0phones")
    assert whole.term == analysis.SPACE.join(terms("cell phone"))
    assert [part.term for part in parts] == terms("cell phone")
    assert [unit.term for unit in units("a hot-dog")] == [analysis.SPACE.join(terms("hot dog"))]


@given(st.text())
def test_units_lie_in_the_text(text):
    found = units(text)
    for unit in found:
        assert text[unit.start : unit.end] == unit.surface
        assert unit.term
    assert [unit.start for unit in found] == sorted(unit.start for unit in found)


@given(
    st.lists(
        st.sampled_from(
            ["hot", "dog", "dogs", "the", "cell", "phone,", "parking", "meter.", "-", "犬"]
        )
    )
)
def test_units_say_what_the_terms_say(words):
    text = " ".join(words)
    known = set(terms(text))
    for unit in units(text):
        assert set(unit.term.split(analysis.SPACE)) <= known
    assert analysis.word_keys(text) <= {unit.term for unit in units(text)} | known


def test_content_words_show_compounds_whole_and_leave_phrases_out():
    text = "A cell phone in a cozy living room, adding to its charm. A close-up of the hot dogs."
    shown = [word.shown.replace(analysis.SPACE, " ") for word in content_words(text)]
    assert shown == ["cell phone", "living room", "hot dogs"]
    assert analysis.word_keys("cell phone") == {
        word.key for word in analysis.label_words("cell phone")
    }
