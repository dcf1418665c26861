"""What clauses other than words find in the index: fields, descriptions, photos like another."""

import calendar

import pytest
from indexed_photos import evidence_in, indexed, known

from photosearch.search.query import parse


def at(*date):
    return float(calendar.timegm((*date, 12, 0, 0)))


PHOTOS = {
    1: known(
        "A dog on a beach.",
        path="2019 Summer/Rome/beach dog.jpg",
        taken_at=at(2019, 5, 31),
        camera="NIKON D750",
        place="Trastevere, Rome, Italy",
        stars=5,
    ),
    2: known(
        'A street with a sign that reads "STOP".',
        "A man.",
        "A giraffe and a man.",
        path="2019 Summer/IMG_4711.HEIC",
        taken_at=at(2019, 6, 1),
        camera="Canon EOS 600D",
        place="Siena, Italy",
        stars=3,
        format="HEIF",
    ),
    3: known(
        "A cat.",
        tags=[("tabby cat", 0.9, ["mouser"]), ("hot dog", 0.1), ("kite", 0.1)],
        path="Winter/IMG_0001.png",
        taken_at=at(2020, 1, 1),
        by_camera=False,
        format="PNG",
    ),
    4: known(path="Winter/rome.jpg", taken_at=at(2018, 12, 31), camera="Canon EOS 5D", stars=1),
}


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    return indexed(tmp_path_factory.mktemp("fields"), PHOTOS)


def full(index, text):
    found = index.search(parse(text), limit=100)
    return set(found.photo_ids[: found.full])


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("in:summer", {1, 2}),
        ('in:"2019 Summer/Rome"', {1}),
        ("in:/pictures/Winter", {3, 4}),
        ("in:Rome", {1}),
        ("in:wint*", {3, 4}),
        ("name:rome", {4}),
        ("name:IMG*", {2, 3}),
        ("name:IMG_4711.HEIC", {2}),
        ("date:2019", {1, 2}),
        ("date:2019-05", {1}),
        ("date:2019-06-01", {2}),
        ("date:2018..2019-05", {1, 4}),
        ("date:2019-06..", {2, 3}),
        ("date:..2018", {4}),
        ("camera:canon", {2, 4}),
        ('camera:"Canon EOS 600D"', {2}),
        ('camera:"eos 6"*', {2}),
        ("place:italy", {1, 2}),
        ('place:"rome"', {1}),
        ("tag:cat", {3}),
        ('tag:"tabby cat"', {3}),
        ("tag:mouser", {3}),
        ("tag:dog", set()),
        ("tag:kite", set()),
        ('tag:"hot dog"', set()),
        ("text:stop", {2}),
        ("text:street", set()),
        ("stars:3", {2}),
        ("stars:>=3", {1, 2}),
        ("stars:0", {3}),
        ("stars:<2", {3, 4}),
        ("type:heic", {2}),
        ("type:jpg", {1, 4}),
        ("has:captions", {1, 2, 3}),
        ("no:captions", {4}),
        ("has:tags", {3}),
        ("has:place", {1, 2}),
        ("no:place", {3, 4}),
        ("has:text", {2}),
        ("has:stars", {1, 2, 4}),
        ("no:camera", {3}),
        ("has:date", {1, 2, 4}),
        ("view:giraffe", {2}),
        ("view:animal", {2}),
        ("view:dog", set()),
        ("view:gir*", {2}),
    ],
)
def test_fields(index, query, expected):
    assert full(index, query) == expected
    assert full(index, f"-{query}") == PHOTOS.keys() - expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("stars:3 OR type:png", {2, 3}),
        ("dog OR stars:3", {1, 2}),
        ("-(stars:3 OR type:png)", {1, 4}),
        ("date:2019 -in:rome", {2}),
        ("rome -place:rome", {4}),
        ("has:captions no:tags", {1, 2}),
    ],
)
def test_fields_in_groups_and_beside_others(index, query, expected):
    assert full(index, query) == expected


def test_photos_that_only_fields_ask_for_come_newest_first(index):
    assert index.search(parse("has:camera")).photo_ids == (2, 1, 4)


def test_fields_do_not_change_the_order_of_words(index):
    alone, beside = index.search(parse("rome")), index.search(parse("rome date:2018..2019"))
    assert alone.photo_ids == beside.photo_ids
    assert alone.scores == pytest.approx(beside.scores)


def test_partial_matches_obey_fields(index):
    found = index.search(parse("dog cat"))
    assert set(found.photo_ids) == {1, 3}
    assert index.search(parse("dog cat stars:>0")).photo_ids == (1,)
    assert index.search(parse("dog cat -stars:>0")).photo_ids == (3,)
    assert index.search(parse("dog cat stars:>0")).partial_total == 1


def test_names_and_places_are_words_too(index):
    assert full(index, "rome") == {1, 4}
    assert full(index, "trastevere") == {1}
    assert full(index, "winter") == {3, 4}


def test_a_description_ranks_by_all_its_words(tmp_path):
    texts = {
        1: "A dog.",
        2: "A brown dog runs on the beach with a ball in its mouth.",
        3: "A beach and a ball.",
        4: "A kitchen.",
    }
    index = indexed(tmp_path, texts)
    found = index.search(
        parse("a brown dog is running along the beach with a red ball in its mouth")
    )
    assert found.photo_ids[0] == 2
    assert {1, 3} <= set(found.photo_ids)
    assert (found.partial, found.partial_total) == (0, 0), "no word of it is a must"
    assert index.search(parse('about:"brown dog beach"')).photo_ids[0] == 2
    assert index.search(parse('about:"brown dog beach" -ball')).photo_ids == (1,)


def test_photos_like_another_are_found_but_not_itself(tmp_path):
    photos = {
        1: known("A surfer rides a wave on a surfboard."),
        2: known("A man with a surfboard in the waves."),
        3: known("A wave."),
        4: known("A kitchen with a stove and a sink."),
        5: known("A cook at the stove of a kitchen.", stars=4),
    }
    index = indexed(tmp_path, photos)

    def like(text):
        return index.search(parse(text), evidence_of=evidence_in(photos)).photo_ids

    assert like("like:1")[:2] == (2, 3)
    assert not {1, 4} & set(like("like:1"))
    assert like("like:4") == (5,)
    assert like("like:4 stars:0") == ()
    assert like("like:99") == ()
    assert set(like("-like:4")) == {1, 2, 3, 4}


def test_more_words_come_first_beside_a_photo_to_be_like(tmp_path):
    same = " ".join(f"thing{n} other{n}" for n in range(40))
    photos = {1: known(same), 2: known(same)} | {n: known("a1 b2") for n in range(3, 60)}
    photos |= {n: known("kitchen") for n in range(60, 200)}
    index = indexed(tmp_path, photos)
    found = index.search(parse("like:1 a1 b2 c3 d4"), limit=100, evidence_of=evidence_in(photos))
    assert found.photo_ids.index(2) == len(found.photo_ids) - 1
