import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from photosearch.domain import TermCount
from photosearch.search import caption_index
from photosearch.search.caption_index import CaptionIndex
from photosearch.search.query import parse


def refine(index, query, limit):
    found = index.search(query, limit=0, refine=limit)
    return found.refine, found.refine_is_estimate


@pytest.fixture
def make_index(tmp_path):
    """Returns a function that indexes photos given as {id: text or list of texts}."""

    def make(photos, weighted=None, taken_at=None):
        index = CaptionIndex.open(tmp_path / "index")
        with index.writer() as writer:
            for photo_id, texts in photos.items():
                writer.put(
                    photo_id,
                    (taken_at or {}).get(photo_id, float(photo_id)),
                    [texts] if isinstance(texts, str) else texts,
                    weighted=(weighted or {}).get(photo_id),
                )
            writer.commit()
        index.reload()
        return index

    return make


def ids(index, text, **options):
    return list(index.search(parse(text), **options).photo_ids)


def full(index, text):
    found = index.search(parse(text), limit=1000)
    return {i for i, partial in zip(found.photo_ids, found.partial, strict=True) if not partial}


@pytest.mark.parametrize(
    ("written", "asked"),
    [
        ("Two dogs in the snow.", "dog"),
        ("A dog’s ball", "DOGS"),
        ("He is running.", "run"),
        ("Men on a bench", "man"),
        ("Ein Hund vor dem Café in der Straße", "hund cafe strasse"),
        ("Ein Hund vor dem Café", "CAFÉ"),
        ("東京タワーと犬", "東京 犬"),
        ("강아지가 공원에서 놀고 있다", "강아지"),
        ("الكلب يلعب في الحديقة", "الحديقة"),
        ("Собака бежит по пляжу", "собака"),
        ("Ёлка", "елка"),
        ("कुत्ता दौड़ता है", "कुत्ता"),
        ("สุนัขบนชายหาด", "สุนัข"),
        ("a red T-shirt", "t-shirt"),
        ("O'Brien's pub", "o'brien"),
    ],
)
def test_words_are_found_in_their_forms_and_scripts(make_index, written, asked):
    index = make_index({1: written, 2: "nothing of that"})
    assert full(index, asked) == {1}


def test_all_words_must_match_and_the_better_comes_first(make_index):
    index = make_index(
        {
            1: "a cat on a sofa with a dog and a lot of other things in a large room",
            2: "dog cat dog cat",
            3: "dog",
            4: "cat",
            5: "horse",
        }
    )
    found = index.search(parse("dog cat"))
    assert found.photo_ids[:2] == (2, 1)
    assert set(found.photo_ids[2:]) == {3, 4}
    assert found.partial == (False, False, True, True)
    assert (found.total, found.partial_total) == (2, 2)
    assert found.scores[0] > found.scores[1] > 0


@pytest.mark.parametrize(
    "words", ["a1 b2 c3", "a1 b2 c3 d4", "a1 b2 c3 d4 e5", "a1 b2 c3 d4 e5 f6 g7"]
)
def test_partial_matches_of_more_words_come_first(make_index, words):
    # Rare words score far higher: the number of words must win nevertheless.
    parts = words.split()
    photos = {n: " ".join(parts[:n]) for n in range(1, len(parts) + 1)}
    photos |= {100 + n: f"{parts[0]} {parts[1]}" for n in range(50)}
    photos |= {200: f"{parts[-1]} " * 40}
    index = make_index(photos)
    found = index.search(parse(words), limit=1000)
    counts = [
        sum(part in photos[photo_id].split() for part in parts) for photo_id in found.photo_ids
    ]
    assert counts == sorted(counts, reverse=True)
    assert found.partial == tuple(count < len(parts) for count in counts)
    assert (found.total, found.partial_total) == (1, len(photos) - 1)
    assert sorted(found.photo_ids) == sorted(photos)
    paged = [i for at in range(0, len(photos), 7) for i in ids(index, words, limit=7, offset=at)]
    assert paged == list(found.photo_ids)


def test_the_score_is_that_of_the_words_alone(make_index):
    index = make_index({1: "dog cat", 2: "dog", 3: "cat mouse", 4: "horse"})
    alone = index.search(parse("dog"))
    many = index.search(parse("dog zebra1 zebra2 zebra3 zebra4 zebra5"))
    by_id = dict(zip(many.photo_ids, many.scores, strict=True))
    assert by_id == pytest.approx(dict(zip(alone.photo_ids, alone.scores, strict=True)), abs=1e-3)


def test_phrases_match_side_by_side_in_one_view(make_index):
    index = make_index(
        {
            1: "a red ball",
            2: "a ball, red",
            3: ["something red", "ball of wool"],
            4: "balls, and a big red ball",
        }
    )
    assert full(index, '"red ball"') == {1, 4}
    assert full(index, '"red balls"') == {1, 4}
    assert full(index, "red ball") == {1, 2, 3, 4}
    assert full(index, 'red -"red ball"') == {2, 3}
    assert full(index, '"a red ball"') == {1}, "stop words count in phrases"


def test_negated_words_exclude_from_full_and_partial_matches(make_index):
    index = make_index({1: "dog cat", 2: "dog cat horse", 3: "dog", 4: "dog horse"})
    found = index.search(parse("dog cat -horse"))
    assert found.photo_ids == (1, 3)
    assert (found.total, found.partial_total) == (1, 1)
    assert ids(index, "-cat") == [4, 3], "newest first"
    assert ids(index, "-horse -cat") == [3]


def test_without_words_photos_come_newest_first(make_index):
    index = make_index(
        dict.fromkeys(range(1, 7), "dog"),
        taken_at={1: 50.0, 2: -1e9, 3: 50.0, 4: 50.5, 5: 4e9, 6: 0.0},
    )
    assert ids(index, "") == [5, 4, 3, 1, 6, 2]
    assert ids(index, "!!!") == [5, 4, 3, 1, 6, 2]
    assert ids(index, "", limit=2, offset=2) == [3, 1]
    assert ids(index, "", offset=6) == []
    assert index.search(parse(""), limit=0).total == 6


@pytest.mark.parametrize("taken_at", [0.0, -1e300, 1e300, -62135596800.0, 253402300799.0])
def test_any_date_can_be_indexed(make_index, taken_at):
    index = make_index({1: "dog", 2: "cat"}, taken_at={1: taken_at, 2: taken_at})
    assert ids(index, "") == [2, 1]


def test_stop_words_are_ignored_unless_alone(make_index):
    index = make_index({1: "dog", 2: "the cat"})
    assert full(index, "the dog") == {1}
    assert full(index, "the") == {2}


def test_weighted_words_are_found_and_completed_but_not_shown(make_index):
    index = make_index(
        {1: "couch", 2: "sofa, settee, lounge, bench and more", 3: "ball"},
        weighted={1: {"sofa": 3, "sports ball": 1}, 3: {"sofa": 0}},
    )
    assert ids(index, "sofa") == [1, 2]
    assert full(index, '"sports ball"') == {1}
    assert index.words(parse("sports")) == [TermCount("couch", 1)]
    assert index.complete("sof", parse("")) == [TermCount("sofa", 2)]


def test_putting_again_replaces_and_removing_removes(make_index):
    index = make_index({1: "dog", 2: "cat"})
    with index.writer() as writer:
        writer.put(1, 9.0, ["horse"])
        writer.put(1, 9.0, ["zebra"])
        writer.remove(2)
        writer.remove(77)
        writer.commit()
    index.reload()
    assert ids(index, "") == [1]
    assert (full(index, "zebra"), full(index, "horse"), full(index, "dog")) == ({1}, set(), set())
    assert index.photo_count == 1
    assert index.words(parse("")) == [TermCount("zebra", 1)]
    assert index.complete("do", parse("")) == []


def test_refinement_words_narrow_the_result(make_index):
    photos = dict.fromkeys(range(1, 5), "two dogs on the beach in this image")
    photos |= {
        5: "a dog's frisbee on the beach",
        6: "a frisbee, frisbees and a dog, beach",
        7: "sofa",
    }
    index = make_index(photos)
    found = index.search(parse("dog"), refine=10)
    # "beach" is in all of them, "image" and "two" say nothing.
    assert found.refine == (TermCount("frisbee", 2),)
    assert not found.refine_is_estimate
    words, _ = refine(index, parse(""), 10)
    assert [(word.word, word.count) for word in words] == [
        ("beach", 6), ("dogs", 6), ("frisbee", 2), ("sofa", 1)
    ]  # fmt: skip
    assert index.search(parse("beach -dog"), refine=10).refine == ()
    assert index.search(parse("zebra"), refine=10).refine == ()
    assert len(index.search(parse(""), refine=2).refine) == 2


def test_big_results_are_sampled(make_index, monkeypatch):
    monkeypatch.setattr(caption_index, "EXACT_REFINE", 200)
    photos = {n: "dog " + ("beach" if n % 2 else "park") for n in range(1, 3001)}
    index = make_index(photos)
    words, is_estimate = refine(index, parse("dog"), 5)
    assert is_estimate
    assert {word.word for word in words} == {"beach", "park"}
    assert all(1100 < word.count < 1900 for word in words)
    exact, is_estimate = refine(index, parse("dog cat"), 5)
    assert (exact, is_estimate) == ((), False)


def test_words_counts_photos_by_content_word(make_index):
    index = make_index(
        {1: ["dogs, dogs", "dog"], 2: "the dogs of the image", 3: "dog beach", 4: "caf\u00e9"}
    )
    counts = [TermCount("dog", 3), TermCount("beach", 1), TermCount("café", 1)]
    assert index.words(parse("")) == counts
    assert index.words(parse(""), 1) == counts[:1]
    assert index.words(parse("beach")) == [TermCount("beach", 1), TermCount("dog", 1)]
    assert index.words(parse("zebra")) == []


def test_completion(make_index):
    index = make_index(
        {
            1: "frisbees and friends",
            2: "a frisbee",
            3: "two frisbees, a Café",
            4: "frisbee sofa",
            5: "fridge sofa",
            6: "東京タワー",
        }
    )
    assert index.complete("fri", parse("")) == [
        TermCount("frisbee", 4),
        TermCount("fridge", 1),
        TermCount("friends", 1),
    ]
    assert index.complete("FRIS", parse("sofa")) == [TermCount("frisbee", 1)]
    assert index.complete("cafe", parse("")) == [TermCount("café", 1)]
    assert index.complete("東", parse("")) == [TermCount("東京", 1)]
    assert index.complete("fri", parse("frisbee")) == [TermCount("friends", 1)]
    assert index.complete("fri", parse(""), limit=1) == [TermCount("frisbee", 4)]
    for prefix in ("", " ", "!", "\x00", "\x1f", "the", "zzz", "x" * 100_000):
        assert index.complete(prefix, parse("")) == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "\x00\x01\x1f\x1f",
        "<script>alert('dog')</script>",
        "dog " * 250_000,
        "x" * 1_000_000,
        " ".join(f"w{n}" for n in range(20_000)),
        "\u202e\u2066 dog \u0301",
        "dog\ud800",
    ],
)
def test_hostile_captions_are_indexed(make_index, text):
    index = make_index({1: [text, "zebra"], 2: "zebra"}, weighted={1: {text[:1000]: 1}})
    assert full(index, "zebra") == {1, 2}
    assert ("dog" in text) == (full(index, "dog") == {1})
    refine(index, parse(""), 10)
    index.words(parse(""))


VOCABULARY = ["dog", "dogs", "cat", "red", "ball", "running", "the", "東京", "t-shirt"]


@pytest.fixture(scope="module")
def mixed_index(tmp_path_factory):
    index = CaptionIndex.open(tmp_path_factory.mktemp("mixed") / "index")
    with index.writer() as writer:
        for photo_id in range(1, 200):
            texts = [
                " ".join(
                    w for at, w in enumerate(VOCABULARY) if photo_id * (at + 3) % (view + 3) == 0
                )
                for view in range(3)
            ]
            writer.put(photo_id, photo_id, texts)
            if photo_id % 60 == 0:
                writer.commit()
        writer.commit()
    index.reload()
    return index


ANY_INDEX = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


QUERY_PARTS = st.sampled_from([*VOCABULARY, "-", '"', "-cat", '"red'])


@ANY_INDEX
@given(st.text(max_size=80) | st.lists(QUERY_PARTS, max_size=8).map(" ".join))
def test_any_text_can_be_searched(mixed_index, text):
    query = parse(text)
    found = mixed_index.search(query, limit=500, refine=5)
    assert sum(not partial for partial in found.partial) == found.total
    assert len(found.photo_ids) == len(set(found.photo_ids)) == found.total + found.partial_total
    assert mixed_index.search(parse(str(query)), limit=500, refine=5) == found
    for word in found.refine:
        narrowed = mixed_index.search(query.adding(parse(word.word).clauses[0]), limit=500)
        assert 0 < narrowed.total < found.total
        assert narrowed.total == word.count


@ANY_INDEX
@given(st.lists(st.sampled_from(VOCABULARY), max_size=4), st.sampled_from(VOCABULARY))
def test_another_word_never_adds_full_matches(mixed_index, words, more):
    words = ["ball", *words]  # a query of stop words alone drops them when another word comes
    fewer = full(mixed_index, " ".join([*words, more]))
    assert fewer <= full(mixed_index, " ".join(words))
    assert fewer.isdisjoint(full(mixed_index, " ".join([*words, "-" + more]))) or more == "the"


def test_more_words_than_anybody_types(mixed_index):
    text = " ".join(f"word{n} dog" for n in range(5000))
    assert mixed_index.search(parse(text), refine=5).partial_total > 0
    assert mixed_index.search(parse('"' + "dog " * 50_000 + '"')).total == 0


BY_TAGS = {"dog": 9, "tabby cat": 1, "wolf": 1}


def test_doubtful_words_make_partial_matches_and_do_not_exclude(tmp_path):
    index = CaptionIndex.create(tmp_path)
    with index.writer() as writer:
        writer.put(1, 0.0, ["dog"], weighted=BY_TAGS, doubtful={"tabby cat"})
        writer.put(2, 0.0, ["a cat on a mat"], weighted={"cat": 1}, doubtful={"cat"})
        writer.commit()
    index.reload()

    def found(text):
        results = index.search(parse(text))
        full = len(results.photo_ids) - sum(results.partial)
        assert (results.total, results.partial_total) == (full, sum(results.partial))
        return list(results.photo_ids[:full]), list(results.photo_ids[full:])

    assert found("cat") == ([2], [1])
    assert found("cat dog") == ([], [1, 2])
    assert found("-cat") == ([1], [])
    assert found('-"tabby cat"') == ([2, 1], [])
    assert found("-wolf") == ([2], [])
    assert found("dog -cat") == ([1], [])


def test_labels_of_several_words_are_shown_and_counted_whole(tmp_path):
    index = CaptionIndex.create(tmp_path)
    with index.writer() as writer:
        writer.put(1, 0.0, [], labels=["dining table", "Egyptian cat", "cup"])
        writer.put(2, 0.0, [], labels=["dining table", "cup"])
        writer.put(3, 0.0, ["a table for dining"], labels=["dog"])
        writer.commit()
    index.reload()

    def words(text, of):
        return {term.word: term.count for term in of(parse(text), 50)}

    assert words("", index.words) == {
        "dining table": 2, "cup": 2, "Egyptian cat": 1, "dog": 1, "table": 1, "dining": 1,
    }  # fmt: skip
    found = index.search(parse("cup"), refine=9).refine
    assert found == (TermCount("Egyptian cat", 1),)
    assert index.search(parse('"dining table" cup'), refine=9).refine == found
    assert TermCount("dining table", 2) in index.complete("din", parse(""))
    assert TermCount("Egyptian cat", 1) in index.complete("egy", parse(""))
    assert set(index.search(parse('"egyptian cat"')).photo_ids) == {1}
    assert set(index.search(parse("table")).photo_ids) == {1, 2, 3}
