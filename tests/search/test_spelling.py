import pytest
from hypothesis import given
from hypothesis import strategies as st

from photosearch.search import analysis
from photosearch.search.caption_index import CaptionIndex
from photosearch.search.index_document import PhotoDocument
from photosearch.search.query import parse
from photosearch.search.spelling import letters_wrong

LIBRARY = (
    ["a giraffe and a zebra"] * 3
    + ["an elephant under a tree"] * 5
    + ["an elegant house"]
    + ["a phone on a table"] * 4
    + ["a teddy bear on a couch"] * 2
    + ["a surfboard in the water"] * 2
    + ["a cat in a hat"] * 9
    + ["a bat"]
)


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    index = CaptionIndex.open(tmp_path_factory.mktemp("index"))
    with index.writer() as writer:
        for photo_id, text in enumerate(LIBRARY, 1):
            strengths = {unit.term: 3 for unit in analysis.units(text)}
            words = analysis.content_words(text)
            writer.put(PhotoDocument(photo_id, sure=strengths, texts=[text], words=words))
        writer.commit()
    index.reload()
    return index


def suggested(index, text):
    return [str(query) for query in index.suggest(parse(text))]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("girafe", "giraffe"),
        ("Girraffe", "giraffe"),
        ("zbera", "zebra"),
        ("phnoe", "phone"),
        ("lphone", "phone"),
        ("elefant tree", "elephant tree"),
        ("tree elefant -cat", "tree elephant -cat"),
        ("surfbaord", "surfboard"),
        ("surf board", "surfboard"),
        ("teddybare couch", '"teddy bear" couch'),
        ('"teddy baer"', '"teddy bear"'),
    ],
)
def test_a_misspelt_word_gets_one_that_photos_have(index, typed, meant):
    assert suggested(index, typed)[:1] == [meant]


@pytest.mark.parametrize(
    "typed",
    [
        "cat",
        "cat zebra",
        "ct",
        "xylophone",
        "-girafe",
        "in:girafe",
        "date:girafe",
        "gira*",
        "2019",
        "東京犬",
        "",
    ],
)
def test_what_photos_have_and_what_is_like_nothing_gets_no_other_spelling(index, typed):
    assert suggested(index, typed) == []


def test_a_short_word_is_at_most_one_letter_off(index):
    assert suggested(index, "caat") == ["cat"]
    assert "cat" not in suggested(index, "coot")


def test_other_spellings_come_by_how_many_photos_have_them(index):
    assert suggested(index, "vat") == []
    assert suggested(index, "caht") == ["cat"]


def test_only_queries_that_find_something_are_proposed_if_any_does(index):
    # No photo has an elegant tree.
    assert suggested(index, "elegfant tree") == ["elephant tree"]


def optimal_string_alignment(a, b):
    row = {(i, 0): i for i in range(len(a) + 1)} | {(0, j): j for j in range(len(b) + 1)}
    for i in range(1, len(a) + 1):
        for j in range(1, len(b) + 1):
            row[i, j] = min(
                row[i - 1, j] + 1, row[i, j - 1] + 1, row[i - 1, j - 1] + (a[i - 1] != b[j - 1])
            )
            if i > 1 and j > 1 and a[i - 1] == b[j - 2] and a[i - 2] == b[j - 1]:
                row[i, j] = min(row[i, j], row[i - 2, j - 2] + 1)
    return row[len(a), len(b)]


words = st.text(alphabet="abcé𝒳", min_size=1, max_size=8)


def test_text_too_long_for_a_word_is_not_looked_at(index, monkeypatch):
    looked_at = []
    read = analysis.terms
    monkeypatch.setattr(analysis, "terms", lambda text: looked_at.append(text) or read(text))
    assert suggested(index, "x" * 2000) == []
    assert len(looked_at) < 10


@given(words, st.lists(words, max_size=6))
def test_letters_are_counted_as_by_the_textbook(word, others):
    assert letters_wrong(word, others) == [optimal_string_alignment(word, o) for o in others]
