"""When an answer ends, and what of it is kept."""

import random

import pytest

from photosearch.captioning.stopping import Answer
from photosearch.search.analysis import word_keys


def written(text: str, answer: Answer, *, by: int | None = None, seed: int = 0) -> Answer:
    """Let a model write `text` in tokens of `by` bytes, or of random sizes; then it ends."""
    rng = random.Random(seed)
    data = text.encode()
    numbers: dict[bytes, int] = {}
    while data:
        size = by or rng.randint(1, 7)
        piece, data = data[:size], data[size:]
        if answer.add(numbers.setdefault(piece, len(numbers)), piece):
            return answer
    answer.finish()
    return answer


def of_words(text: str, answer: Answer) -> Answer:
    """Let a model write `text`, one token a word."""
    numbers: dict[str, int] = {}
    for word in text.split(" "):
        number = numbers.setdefault(word, len(numbers))
        if answer.add(number, (" " + word if answer.tokens else word).encode()):
            return answer
    answer.finish()
    return answer


PLAIN = "A man stands on a beach. He holds a surfboard. Two dogs run beside him."


def test_an_answer_that_ends_by_itself_is_kept_whole() -> None:
    answer = written(PLAIN, Answer(500))
    assert (answer.kept, answer.written, answer.ended) == (PLAIN, PLAIN, True)
    assert answer.kept_tokens == len(answer.tokens)


def test_the_budget_ends_it() -> None:
    answer = of_words(PLAIN, Answer(7))
    assert answer.kept == "A man stands on a beach. He"
    assert not answer.ended
    assert len(answer.tokens) == 7


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("a dog " + "and a cat " * 30, "a dog and a cat"),
        ("dog " * 10_000, "dog"),
        (PLAIN + " very" * 50, PLAIN + " very"),
        # Longer than what may be a period, but a sentence.
        (f"It shows {'x ' * 5}y. " + f"{' '.join(map(str, range(60)))}. " * 9, None),
    ],
)
def test_going_round_in_circles_ends_it(text: str, kept: str | None) -> None:
    answer = of_words(text, Answer(10_000))
    if kept is None:
        kept = text[: text.index("59.") + 3]
    assert answer.kept.rstrip() == kept
    assert len(answer.tokens) < 140


@pytest.mark.parametrize(
    "text",
    [
        "A red circle, a red square and a red triangle on a white background.",
        "There are two, three, or even more, many more, people in the very, very large hall.",
        "A sign says 1000000 and another says 10:00:00.",
        "A man in a black suit and a black tie stands beside a man in a black suit and a hat.",
        "No. 1 is a dog. No. 2 is a cat. No. 3 is a horse.",
        "A wall... a door... a lamp.",
        "It is a dog. It is a cat. It is a dog and a cat.",
    ],
)
def test_common_sentences_go_on(text: str) -> None:
    for by in (1, 3, None):
        assert written(text, Answer(1000), by=by).kept == text


def test_a_repeated_sentence_is_dropped_however_it_is_cut_in_tokens() -> None:
    text = f"{PLAIN} The sky is blue. He holds  a surfboard. The sea is green."
    for seed in range(50):
        answer = written(text, Answer(500), seed=seed)
        assert answer.kept.rstrip() == f"{PLAIN} The sky is blue."
        assert answer.ended
        assert answer.written.startswith(answer.kept)


def test_a_repeated_last_sentence_is_dropped() -> None:
    answer = written(f"{PLAIN} He holds a surfboard.", Answer(500))
    assert (answer.kept.rstrip(), answer.ended) == (PLAIN, True)


def test_a_repeated_sentence_is_dropped_where_words_have_no_spaces() -> None:
    sentence = "一个男人站在海滩上看着远处的大海，旁边有两只小狗在奔跑，天空很蓝，云朵像棉花飘过。"
    answer = written(sentence * 2, Answer(500), by=3)
    assert (answer.kept, answer.ended) == (sentence, True)


def test_two_sentences_without_new_words_end_it() -> None:
    text = (
        "A man stands on a beach. He holds a surfboard. On the beach stands the man. "
        "The surfboard is held by the man. A dog runs to him."
    )
    for seed in range(50):
        answer = written(text, Answer(500, words=word_keys), seed=seed)
        assert answer.kept.rstrip().endswith("held by the man.")
        assert answer.ended
    assert written(text, Answer(500)).kept == text


def test_one_sentence_without_new_words_does_not_end_it() -> None:
    text = "A man stands on a beach. The man stands. A dog barks. The dog is on the beach. A cat."
    assert written(text, Answer(500, words=word_keys)).kept == text


def test_known_words_are_not_new() -> None:
    known = word_keys("man beach surfboard stand hold")
    answer = written(PLAIN, Answer(500, known=known, words=word_keys))
    assert answer.kept.rstrip() == "A man stands on a beach. He holds a surfboard."


def test_numbers_of_a_list_are_no_sentences() -> None:
    text = "1. A dog\n2. A cat\n3. The dog\n4. A horse\n5. A cow"
    assert written(text, Answer(500, words=word_keys)).kept == text


def test_bytes_that_are_no_text_are_left_out() -> None:
    answer = Answer(10)
    for number, piece in enumerate((b"a \xc3", b"\xa9", b" \xff", b"b\xe2\x82")):
        answer.add(number, piece)
    assert answer.kept == "a \u00e9 b"
    assert "\ufffd" in answer.written


def test_kept_tokens_are_those_of_the_kept_text() -> None:
    answer = of_words("a dog " + "and a cat " * 30, Answer(1000))
    assert answer.kept_tokens == 5
    answer = of_words(f"{PLAIN} He holds a surfboard. And", Answer(1000))
    assert answer.kept_tokens == len(PLAIN.split())
