import pytest

from photosearch.domain import Caption, Tag
from photosearch.search.caption_index import CaptionIndex
from photosearch.search.query import parse
from photosearch.search.tag_weight import FULL_REPEATS, term_repeats


def tagged(view, *tags):
    return Caption(1, view, "instant-1", "", ", ".join(tag.word for tag in tags), tags)


def ranking(folder, photos, query):
    index = CaptionIndex.open(folder)
    with index.writer() as writer:
        for photo_id, tags in photos.items():
            writer.put(photo_id, 0.0, [], weighted=term_repeats([tagged("whole", *tags)]))
        writer.commit()
    index.reload()
    return list(index.search(parse(query)).photo_ids)


def test_surer_words_stand_more_often():
    repeats = term_repeats(
        [tagged("whole", Tag("dog", 0.9), Tag("frisbee", 0.5), Tag("kite", 0.1))]
    )
    assert repeats["dog"] > repeats["frisbee"] > repeats["kite"] >= 1


def test_a_certain_word_stands_fully_and_a_doubtful_one_once():
    assert term_repeats([tagged("whole", Tag("dog", 1.0))]) == {"dog": FULL_REPEATS}
    assert term_repeats([tagged("whole", Tag("dog", 0.001))]) == {"dog": 1}


def test_the_surest_view_counts():
    views = [
        tagged("whole", Tag("frisbee", 0.1), Tag("dog", 0.8)),
        tagged("quarter-top-left", Tag("frisbee", 0.7)),
        tagged("quarter-bottom-right", Tag("dog", 0.2)),
    ]
    assert term_repeats(views) == term_repeats(
        [tagged("whole", Tag("dog", 0.8), Tag("frisbee", 0.7))]
    )
    assert term_repeats(reversed(views)) == term_repeats(views)


def test_synonyms_are_words_too_and_count_less():
    repeats = term_repeats([tagged("whole", Tag("sax", 0.8, ("saxophone", "wind instrument")))])
    assert set(repeats) == {"sax", "saxophone", "wind instrument"}
    assert repeats["sax"] > repeats["saxophone"] == repeats["wind instrument"] >= 1


@pytest.mark.parametrize("order", [1, -1])
def test_a_word_of_its_own_beats_the_same_word_as_a_synonym(order):
    tags = [Tag("tabby", 0.9, ("cat",)), Tag("cat", 0.6)][::order]
    assert term_repeats([tagged("whole", *tags)])["cat"] == round(0.6 * FULL_REPEATS)


def test_captions_without_tags_are_left_aside():
    assert term_repeats([]) == {}
    assert term_repeats([Caption(1, "whole", "llava", "Describe", "A dog on a beach.")]) == {}


def test_the_surer_photo_is_found_first_whatever_else_is_in_it(tmp_path):
    others = [Tag(word, 0.9) for word in ("person", "car", "bench", "tree", "bottle", "bus")]
    photos = {
        1: [Tag("dog", 0.5)],
        2: [Tag("dog", 0.9), *others],
        3: [Tag("dog", 0.1)],
        4: others,
    }
    assert ranking(tmp_path, photos, "dog") == [2, 1, 3]


def test_words_of_a_name_are_found_together(tmp_path):
    photos = {1: [Tag("traffic light", 0.3)], 2: [Tag("light", 0.9)], 3: [Tag("traffic", 0.9)]}
    assert ranking(tmp_path, photos, "traffic light")[0] == 1
    assert ranking(tmp_path / "phrase", photos, '"traffic light"') == [1]
