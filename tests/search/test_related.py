import pytest
from indexed_photos import indexed, known

from photosearch.search.query import parse

COOKING = "A kitchen with a stove and a sink."
# Photos 1 to 10 have forks; 11 to 15 look like these, but no caption says so.
PHOTOS = (
    {n: known(f"A fork. {COOKING}", stars=n % 3) for n in range(1, 11)}
    | {n: known(COOKING, stars=n % 3) for n in range(11, 16)}
    | {n: known("A boat on the sea and a gull.") for n in range(16, 60)}
    | {60: known("A stove. Perhaps a fork."), 61: known("A stove on a boat.")}
)


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    return indexed(tmp_path_factory.mktemp("related"), PHOTOS)


def search(index, text, **options):
    return index.search(parse(text), **{"limit": 200, "related": 100} | options)


def related(index, text, **options):
    found = search(index, text, **options)
    return list(found.photo_ids[found.full + found.partial :])


def test_photos_with_the_words_that_go_with_a_result_come_last(index):
    found = search(index, "fork")
    assert set(found.photo_ids[:10]) == set(range(1, 11))
    assert found.photo_ids[10] == 60
    assert set(found.photo_ids[11:]) == {*range(11, 16), 61}
    assert found.photo_ids[-1] == 61, "it has fewer of them"
    assert (found.total, found.partial_total, found.related_total) == (10, 1, 6)
    assert (found.full, found.partial) == (10, 1)


def test_without_the_wish_for_them_there_are_none(index):
    found = index.search(parse("fork"), limit=200)
    assert len(found.photo_ids) == 11
    assert found.related_total == 0


def test_none_match_a_word_of_the_query_or_perhaps(index):
    assert not set(related(index, "fork boat")) & set(search(index, "fork OR boat").photo_ids[:54])
    assert 60 not in related(index, "fork")


def test_they_obey_fields_and_exclusions(index):
    assert related(index, "fork stars:1") == [13]
    assert 61 not in related(index, "fork -boat")
    assert set(related(index, "fork -boat")) == set(range(11, 16))


def test_where_no_word_is_asked_for_nothing_is_related(index):
    assert related(index, "") == []
    assert related(index, "stars:1") == []
    assert related(index, "-boat") == []


def test_too_few_hits_are_no_ground_to_learn_from(index):
    assert related(index, "stove -kitchen boat") == []
    assert related(index, "zebra") == []


def test_a_description_has_related_photos_too(index):
    found = search(index, 'about:"a fork lies there"')
    assert found.related_total == len(found.photo_ids) - found.full > 0


@pytest.mark.parametrize("size", [1, 3, 4, 7, 11])
@pytest.mark.parametrize("most", [4, 100])
def test_pages_have_every_photo_once_in_the_order_of_one_big_page(index, size, most):
    whole = search(index, "fork", related=most)
    assert len(whole.photo_ids) == 11 + min(6, most)
    pages = [search(index, "fork", related=most, limit=size, offset=n) for n in range(0, 30, size)]
    assert [i for page in pages for i in page.photo_ids] == list(whole.photo_ids)
    assert sum(page.full for page in pages) == whole.full
    assert sum(page.partial for page in pages) == whole.partial
    totals = {(page.total, page.partial_total, page.related_total) for page in pages}
    assert totals == {(10, 1, min(6, most))}
