import gzip
import json
import random
from itertools import islice, pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from photosearch.domain import Caption, Field, Tag, TermCount, Through
from photosearch.search.caption_index import CaptionIndex
from photosearch.search.conditions import conditions
from photosearch.search.evidence import PhotoText, evidence
from photosearch.search.explain import count_words, explain, highlight
from photosearch.search.index_document import PhotoDocument
from photosearch.search.query import parse

CAPTIONS = Path(__file__).resolve().parents[3] / "shared" / "eval" / "llava15_coco_dev.jsonl.gz"


def caption(text, view="whole", tags=(), model="llava"):
    return Caption(1, view, model, "", text, tuple(tags))


PHOTO = PhotoText(
    (
        caption('Two dogs near a couch. No people. A sign that reads "STOP". Possibly a fox.'),
        caption("A giraffe and a dog.", "half-left"),
        caption("traffic light", tags=[Tag("traffic light", 0.9), Tag("kite", 0.1)], model="ssd"),
    ),
    (Path("Summer in Rome/IMG_4711.jpg"),),
    "Trastevere, Rome",
)


def reasons(query, photo=PHOTO):
    return [(match.through, match.found, match.views) for match in explain(photo, wanted_of(query))]


def wanted_of(query):
    return conditions(parse(query))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("dog", [(Through.WORD, "dog", ("half-left",)), (Through.FORM, "dogs", ("whole",))]),
        ("sofa", [(Through.SYNONYM, "couch", ("whole",))]),
        ("furniture", [(Through.BROADER, "couch", ("whole",))]),
        ('"traffic light"', [(Through.TAG, "traffic light", ("whole",))]),
        ('"near a couch"', [(Through.WORD, "near a couch", ("whole",))]),
        ("trastevere", [(Through.PLACE, "Trastevere", ())]),
        ("summer", [(Through.NAME, "Summer", ())]),
        ("gir*", [(Through.WORD, "giraffe", ("half-left",))]),
        ("text:stop", [(Through.TEXT, "STOP", ())]),
        ("place:rome", [(Through.PLACE, "Rome", ())]),
        ('in:"summer in rome"', [(Through.NAME, "Summer in Rome", ())]),
        ("name:img", [(Through.NAME, "IMG_4711.jpg", ())]),
        ("tag:light", [(Through.TAG, "traffic light", ("whole",))]),
        ("view:giraffe", [(Through.WORD, "giraffe", ("half-left",))]),
        ("view:dog", []),
        ("people", []),
        ("zebra", []),
        ("-dog", []),
        ("zebra OR giraffe", [(Through.WORD, "giraffe", ("half-left",))]),
    ],
)
def test_each_clause_is_explained_by_the_words_it_was_found_by(query, expected):
    assert reasons(query) == expected


def test_the_clause_is_named_as_it_was_written():
    assert {m.clause for m in explain(PHOTO, wanted_of("Sofa tag:light"))} == {"Sofa", "tag:light"}


def test_what_is_only_doubtful_says_so():
    for query, through in (("fox", Through.WORD), ("kite", Through.TAG)):
        (match,) = explain(PHOTO, wanted_of(query))
        assert match.doubtful
        assert match.through is through
    assert not any(match.doubtful for match in explain(PHOTO, wanted_of("dog")))


def test_each_word_found_is_named_once_by_its_strongest_reason():
    dog = Tag("dog", 0.9, ("domestic dog", "waldi"))
    photo = PhotoText(
        (
            caption("A dog and two horses."),
            caption("dog, hunting dog", "half-left", [dog, Tag("hunting dog", 0.8)], "instant"),
            caption("horse", "half-right", [Tag("horse", 0.7)], "instant"),
        )
    )
    assert reasons("dog", photo) == [
        (Through.WORD, "dog", ("whole", "half-left")),
        (Through.BROADER, "hunting dog", ("half-left",)),
    ]
    assert reasons("animal", photo) == [
        (Through.BROADER, "dog", ("whole", "half-left")),
        (Through.BROADER, "horses", ("whole", "half-right")),
        (Through.BROADER, "hunting dog", ("half-left",)),
    ]
    assert reasons("waldi", photo) == [(Through.TAG, "dog", ("half-left",))]


def test_a_description_is_explained_by_all_its_words():
    found = explain(PHOTO, wanted_of('about:"a dog lies next to the sofa while a giraffe looks"'))
    assert {match.found for match in found} >= {"dogs", "couch", "giraffe"}


def test_highlight_marks_forms_synonyms_words_of_a_kind_and_phrases():
    text = "Dogs near a Café: the dog’s red ball, a red car on a sofa. No dog. A giraffe."
    spans = highlight(text, parse('dog cafe "red ball" the couch animal -car'))
    marked = [text[a:b] for a, b in spans]
    assert marked == ["Dogs", "Café", "dog’s", "red ball", "sofa", "giraffe"]
    assert highlight("red red red", parse('"red red"')) == [(0, 11)]
    assert highlight("a redwood", parse("red*")) == [(2, 9)]
    assert highlight("", parse("dog")) == []


def test_count_words_joins_forms_and_counts_compounds_and_tags_whole():
    captions = [
        caption("The image features two dogs. A dog and a red ball. There is no cat."),
        caption("dogs, dogs", "half-left"),
        caption("dog, sports ball", tags=[Tag("dog", 0.9), Tag("sports ball", 0.8)], model="ssd"),
        caption("A hot dog.", "half-right"),
    ]
    assert count_words(captions) == [
        TermCount("dogs", 5),
        TermCount("ball", 1),
        TermCount("hot dog", 1),
        TermCount("red", 1),
        TermCount("sports ball", 1),
    ]
    assert count_words([]) == []


@given(st.text(), st.text())
def test_any_text_and_query_can_be_explained(text, query):
    photo = PhotoText([caption(text)], [Path("a.jpg")])
    explain(photo, wanted_of(query))
    spans = highlight(text, parse(query))
    assert all(a < b <= len(text) for a, b in spans)
    assert all(one[1] < other[0] for one, other in pairwise(spans))
    count_words(photo.captions)


def indexed(folder, photos):
    index = CaptionIndex.open(folder)
    with index.writer() as writer:
        for number, photo in enumerate(photos, 1):
            found = evidence(photo)
            writer.put(
                PhotoDocument(
                    number,
                    sure=found.sure,
                    doubtful=found.doubtful,
                    texts=[caption.text for caption in photo.captions if not caption.tags],
                    words=found.words,
                    facts={Field.TEXT: set(found.written)},
                    crop_only=found.crop_only,
                )
            )
        writer.commit()
    index.reload()
    return index


def test_index_and_explanation_never_disagree(tmp_path):
    if not CAPTIONS.exists():
        pytest.skip(f"{CAPTIONS}: the real captions are not there")
    with gzip.open(CAPTIONS, "rt") as file:
        texts = [json.loads(line)["caption"] for line in islice(file, 80)]
    photos = [
        PhotoText([caption(texts[at]), caption(texts[at + 1], "half-left")])
        for at in range(0, len(texts), 2)
    ]
    index = indexed(tmp_path, photos)
    pick = random.Random(4)
    words = sorted({word for text in texts for word in text.replace(".", " ").split()})
    words += ["animal", "person", "vehicle", "food", "furniture", "sofa", "plant", "sport"]
    for _ in range(80):
        chosen = pick.choice(words).strip("\"',()")
        query = pick.choice(["{}", "{}", '"{}"', "{}*", "view:{}", "text:{}"]).format(chosen[:12])
        results = index.search(parse(query), limit=len(photos))
        wanted = wanted_of(query)
        hits = set(results.photo_ids[: results.total])
        if not wanted:
            continue
        for number, photo in enumerate(photos, 1):
            sure = [match for match in explain(photo, wanted) if not match.doubtful]
            assert bool(sure) == (number in hits), (query, number, sure)
