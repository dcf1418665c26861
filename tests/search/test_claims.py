import pytest
from hypothesis import given
from hypothesis import strategies as st

from photosearch.search import analysis
from photosearch.search.claims import Certainty, claims, unsure_spans, written


def certainties(text):
    """Return the surfaces of `text` by how sure it is of them."""
    found = {}
    for claim in claims(text):
        found.setdefault(claim.certainty, set()).add(claim.unit.surface)
    return found


def unsure(text, certainty):
    return certainties(text).get(certainty, set())


@pytest.mark.parametrize(
    ("text", "denied", "seen"),
    [
        ("There are no people visible in the image.", "people", ""),
        ("A street where no people are visible.", "people", "street"),
        ("A man without a hat on a beach.", "hat", "man beach"),
        ("There is no sign of a dog or a cat near the tree.", "dog cat", "tree"),
        ("The man doesn't have a beard.", "beard", "man"),
        ("The woman doesn’t hold an umbrella.", "umbrella", "woman"),
        ("The beach is devoid of people.", "people", "beach"),
        ("The picnic table under the tree is empty of people.", "people", "picnic tree"),
        ("It is not a dog but a cat.", "dog", "cat"),
        ("A man with no shirt riding a horse.", "shirt", "man horse"),
        ("Neither a dog nor a cat sits on the couch.", "dog cat", "couch"),
        ("No cars, people, or buildings, but a tree.", "cars people buildings", "tree"),
        ("There are no dogs, and a cat sits there.", "dogs", "cat"),
        ("The dog is not visible, but its leash is.", "dog", "leash"),
        ("The people in the car cannot be seen.", "people", "car"),
        ("The owner of the dog isn't in the picture.", "owner", "dog"),
        ("The seat is missing from the toilet.", "seat", "toilet"),
        ("The toilet is missing its lid.", "lid", "toilet"),
        ("He uses a fork instead of chopsticks.", "chopsticks", "fork"),
        ("A black dog lies there, not watching the television.", "", "dog television"),
        ("The cars are not part of the train.", "", "cars train"),
        ("A pizza with a slice missing.", "", "pizza slice"),
        ("The truck is no longer in use.", "", "truck"),
        ("It is not only a dog but also a cat.", "", "dog cat"),
        ("It is no doubt a dog.", "", "dog"),
        ("Without a doubt, a dog is there.", "", "dog"),
        ("There is nothing but a dog.", "", "dog"),
        ("One can't help but notice the dog.", "", "dog"),
        ("There are not many passengers.", "", "passengers"),
        ("Plates with and without food.", "", "food"),
        ("Cars stand in a no parking area.", "", "cars parking"),
        ("A no parking sign near a car.", "", "parking sign car"),
        ("The people are not the main focus of the photo with a dog.", "", "people dog"),
    ],
)
def test_what_is_denied_is_bounded_by_its_clause(text, denied, seen):
    found = {word.lower() for word in unsure(text, Certainty.DENIED)}
    assert set(denied.split()) <= found
    assert set(seen.split()) <= {word.lower() for word in unsure(text, Certainty.SEEN)}
    assert not set(seen.split()) & found - set(denied.split())


@pytest.mark.parametrize(
    ("text", "doubtful", "seen"),
    [
        ("It is unclear whether there is a dog.", {"dog"}, set()),
        ("Perhaps a dog, near a tree.", {"dog"}, {"tree"}),
        ("A large animal, possibly a bear or a dog, by a river.", {"bear", "dog"}, {"river"}),
        ("There might be a dog.", {"dog"}, set()),
        ("It could be a kite.", {"kite"}, set()),
        ("Either a cat or a dog lies there.", {"cat", "dog"}, set()),
        ("The animal appears to be a cat or a dog.", {"cat", "dog"}, {"animal"}),
        ("A man in the crowd, possibly watching the game.", set(), {"man", "crowd", "game"}),
        ("It is unclear whether the dog is a poodle.", {"poodle"}, {"dog"}),
        ("There are trees on either side of the street.", set(), {"trees", "street"}),
    ],
)
def test_doubt_spares_what_is_taken_for_granted(text, doubtful, seen):
    assert doubtful <= unsure(text, Certainty.DOUBTFUL)
    assert seen <= unsure(text, Certainty.SEEN)


def test_hedges_are_lighter_than_doubts():
    assert "dog" in unsure("The animal appears to be a dog.", Certainty.HEDGED)
    assert "fish" in unsure("A kite that looks like a fish.", Certainty.HEDGED)


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ('A sign that reads "STOP" near a dog.', ["STOP"]),
        ("A sign that reads “No entrance.” A dog.", ["No entrance"]),
        ("A board with the word 'whoa' written on it.", ["whoa"]),
        ("A sign that says no parking near a car.", ["no parking"]),
        ("The dogs' owner isn't here, it's his cat's day.", []),
        ('The "king" of the hill is a goat.', []),
        ("A man near a sign reads a book.", []),
    ],
)
def test_writing_inside_the_photo_is_quoted(text, quoted):
    assert written(text) == quoted


def test_what_is_written_is_no_thing():
    found = certainties('A sign that says "No dogs" hangs near a cat.')
    assert found[Certainty.WRITTEN] == {"dogs"}
    assert "cat" in found[Certainty.SEEN]
    assert Certainty.DENIED not in found


def test_the_broken_word_of_a_text_that_was_cut_off_is_left_out():
    surfaces = [claim.unit.surface for claim in claims("A dog sits. It wears a colorfulx")]
    assert surfaces[-1] == "wears"
    assert claims("A dog sits. It wears a collar")[-1].unit.surface == "collar"
    assert claims("a dog named Frxg")[-1].unit.surface == "Frxg"  # no sentences: whole
    assert claims("A dog sits. It is Frxg.")[-1].unit.surface == "Frxg"


def test_offsets_hold_where_letters_grow_in_small():
    assert unsure("İİİ no dog here", Certainty.DENIED) == {"dog"}


LITTLE_WORDS = ["no", "not", "n't", "isn't", "without", "neither", "possibly", "whether", "or", "a"]
WORDS = st.sampled_from([*LITTLE_WORDS, "the", "dog", "sign", "says", "missing", "is", *",.\"'İ東"])


@given(st.text() | st.lists(WORDS).map(" ".join))
def test_any_text_makes_claims_of_its_units_in_order(text):
    units = analysis.units(text)
    found = [claim.unit for claim in claims(text)]
    assert found == units[: len(found)]
    assert len(units) - len(found) <= 1
    assert all(0 <= span.start < span.end <= len(text) for span in unsure_spans(text))
    written(text)
