from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from photosearch.domain import Caption, Tag
from photosearch.imaging.crops import ALL_VIEWS
from photosearch.search import analysis
from photosearch.search.evidence import MEASURED, Evidence, PhotoText, evidence


def said(*texts, view="whole"):
    return [Caption(1, view, f"model {at}", "", text) for at, text in enumerate(texts)]


def tagged(*tags, view="whole"):
    shown = ", ".join(tag.word for tag in tags if tag.score >= 0.3)
    return Caption(1, view, "instant-1", "", shown, tags)


def of(*captions, **known) -> Evidence:
    return evidence(PhotoText(captions, **known))


def shown(found):
    return {word.shown.replace(analysis.SPACE, " ") for word in found.words}


TERM = analysis.SPACE.join


def test_exact_words_weigh_more_than_synonyms_and_these_more_than_broader_words():
    sure = of(*said("A giraffe on a sofa.")).sure
    assert sure["sofa"] > sure["couch"] > sure["furniture"] >= 1
    assert sure["giraffe"] > sure["animal"] >= 1


@pytest.mark.parametrize("views", range(1, 19))
def test_the_order_of_relations_holds_for_any_number_of_views(views):
    captions = [c for view in ALL_VIEWS[:views] for c in said("A sofa.", view=view.name)]
    sure = of(*captions).sure
    assert sure["sofa"] > sure["couch"] > sure["furniture"]


def test_without_lexicon_words_stand_for_themselves_only():
    found = evidence(PhotoText(said("A giraffe on a sofa.")), lexicon=False)
    assert set(found.sure) == {"giraffe", "sofa"}


def test_more_views_weigh_more_each_a_little_less():
    strengths = [
        of(*[c for view in ALL_VIEWS[:count] for c in said("A dog.", view=view.name)]).sure["dog"]
        for count in (1, 2, 9, 18)
    ]
    assert strengths == sorted(set(strengths))
    assert strengths[0] == MEASURED.mention
    assert strengths[3] < 6 * strengths[0]


def test_whole_and_crop_weigh_more_than_whole_and_this_more_than_a_crop():
    whole, crop = said("A dog."), said("A dog.", view="half-left")
    both, one, small = (of(*found).sure["dog"] for found in (whole + crop, whole, crop))
    assert both > one > small


def test_what_is_denied_is_no_evidence():
    found = of(*said("A man without a hat. No people are visible. There is no dog."))
    assert "man" in found.sure
    assert not {"hat", "dog"} & (found.sure.keys() | found.doubtful.keys())
    assert shown(found).isdisjoint({"hat", "dog", "people"})


def test_what_one_caption_denies_another_may_see():
    captions = said("There is no dog.", "A dog.")
    assert of(*captions).sure["dog"] == of(*said("A dog.")).sure["dog"]


def test_doubt_is_kept_apart_unless_another_mention_is_sure():
    found = of(*said("Possibly a dog or a cat."))
    assert {"dog", "cat"} <= found.doubtful.keys()
    assert not {"dog", "cat"} & found.sure.keys()
    assert shown(found).isdisjoint({"dog", "cat"})
    both = of(*said("Possibly a dog or a cat.", "A dog."))
    assert "dog" in both.sure
    assert "dog" not in both.doubtful


def test_what_is_in_doubt_speaks_for_synonyms_but_for_nothing_broader():
    doubtful = of(tagged(Tag("sofa", 0.1))).doubtful
    assert "couch" in doubtful
    assert "furniture" not in doubtful


def test_what_comes_late_in_a_caption_weighs_less():
    sure = of(*said("A giraffe. " + "It stands in the tall grass. " * 12 + "A zebra.")).sure
    assert sure["giraffe"] > sure["zebra"]


def test_parts_of_compounds_entail_nothing():
    assert "telephone" in of(*said("She holds a cell phone.")).sure
    assert not of(*said("She holds a cell phone.")).sure.keys() & {"room", "compartment"}


def test_hedged_words_weigh_less():
    hedged = of(*said("It appears to be a dog.")).sure["dog"]
    assert 1 <= hedged < of(*said("It is a dog.")).sure["dog"]


def test_writing_is_found_but_says_nothing_of_things():
    found = of(*said('A sign that reads "Giraffe" on a wall.'))
    assert found.written == ("Giraffe",)
    assert 1 == found.sure["giraffe"] < found.sure["sign"]
    assert "animal" not in found.sure
    assert "giraffe" not in shown(found)


def test_compounds_are_words_of_their_own():
    found = of(*said("He eats a hot dog at a dining table."))
    assert TERM(["hot", "dog"]) in found.sure
    assert "dog" not in found.sure
    assert {TERM(analysis.terms("dining table")), "table"} <= found.sure.keys()
    assert {"hot dog", "dining table"} <= shown(found)


def test_surer_tags_are_stronger_and_the_unsure_doubtful():
    found = of(tagged(Tag("dog", 0.9), Tag("frisbee", 0.4), Tag("kite", 0.1)))
    assert found.sure["dog"] > found.sure["frisbee"] >= 1
    assert "kite" in found.doubtful
    assert shown(found) == {"dog", "frisbee"}


def test_a_certain_tag_is_as_strong_as_the_captions_of_all_views():
    captions = [c for view in ALL_VIEWS for c in said("A dog.", view=view.name)]
    tag, many = of(tagged(Tag("dog", 1.0))).sure["dog"], of(*captions).sure["dog"]
    assert abs(tag - many) <= 5


def test_of_the_views_of_a_tag_the_surest_counts():
    views = [
        tagged(Tag("frisbee", 0.4), Tag("dog", 0.8)),
        tagged(Tag("frisbee", 0.7), view="quarter-top-left"),
        tagged(Tag("dog", 0.4), view="quarter-bottom-right"),
    ]
    assert of(*views).sure == of(tagged(Tag("dog", 0.8), Tag("frisbee", 0.7))).sure
    assert of(*reversed(views)).sure == of(*views).sure


def test_other_names_of_tags_are_found_and_weigh_less():
    found = of(tagged(Tag("sax", 0.8, ("wind instrument",))))
    assert found.sure["sax"] > found.sure[TERM(["wind", "instrument"])] >= 1
    assert shown(found) == {"sax"}


def test_what_a_tag_only_describes_by_entails_nothing():
    found = of(tagged(Tag("baby bed", 0.9)))
    assert found.sure.keys() >= {"baby", "bed", "furniture"}
    assert "person" not in found.sure


def test_tags_are_shown_whole():
    assert shown(of(tagged(Tag("traffic light", 0.8)))) == {"traffic light"}


def test_names_of_files_and_folders_are_found_and_entail_nothing():
    found = of(paths=[Path("Turkey 2019/IMG_4711.jpg")])
    assert set(found.sure) == {"turkey", "2019", "img", "4711"}
    assert not found.words


def test_places_are_found():
    sure = of(place="Berlin, Germany").sure
    assert sure["berlin"] == sure["germany"] == MEASURED.place


def test_what_crops_alone_show():
    whole = said("A man on a beach.")
    crop = said("A giraffe and a woman.", view="ninth-1-1")
    assert {"giraffe"} <= of(*whole, *crop).crop_only
    assert not {"man", "beach", "person"} & of(*whole, *crop).crop_only
    assert not of(*crop).crop_only  # nobody has looked at the whole


def test_nothing_is_known_of_an_empty_photo():
    assert of() == Evidence({}, {}, frozenset(), frozenset(), ())


TEXTS = st.lists(
    st.lists(
        st.sampled_from(["no", "a", "dog", "sofa", "possibly", "or", ".", "hot", "couch", "not"])
    ).map(" ".join)
    | st.text(max_size=30),
    max_size=4,
)


@given(TEXTS)
def test_strengths_are_positive_and_what_is_sure_is_not_doubtful(texts):
    found = of(*said(*texts))
    assert all(strength >= 1 for strength in [*found.sure.values(), *found.doubtful.values()])
    assert not found.sure.keys() & found.doubtful.keys()
    assert {word.key for word in found.words} <= found.sure.keys()
    assert found.crop_only <= found.sure.keys()


@given(TEXTS, TEXTS)
def test_another_mention_takes_no_evidence_away(texts, more):
    fewer = evidence(PhotoText(said(*texts)), lexicon=False).sure
    all_of_them = evidence(PhotoText(said(*texts, *more)), lexicon=False).sure
    assert all(all_of_them[term] >= strength for term, strength in fewer.items())
