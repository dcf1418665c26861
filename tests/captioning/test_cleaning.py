"""Captions as models write them, and what is kept of them."""

import gzip
import json
import time
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from photosearch.captioning.cleaning import clean

SHARED = Path(__file__).resolve().parents[3] / "shared"
QUESTION = "Describe this image in detail."
FOLLOW_UP = (
    "If there are any additional features of this image that are not expressed in the generated "
    "captions, please generate additional captions to explain them."
)

# Pieces that mean something to the cleaning, so that chance puts them together in odd ways.
PIECES = st.sampled_from(
    [
        "A dog runs.", "a cat", "Mr. Smith", " ", "\n", "\n\n", "- ", "* ", "1. ", "2. ", "# ",
        "**", "__", "`", "```", "|", "|---|---|", "<b>", "</b>", "<br>", "<script>", "<think>",
        "</think>", "&lt;", "&amp;", "&#10;", "</s>", "<|im_end|>", "<|im_start|>assistant",
        "<image>", "USER:", "ASSISTANT:", "Sure!", "Here is a description:", "I hope this helps!",
        "I'm sorry, I can't help with that.", "Caption 1:", QUESTION, "…", "。", "狗", "؟", "।",
        '"', "(", ")", ":", "\x1b[31m", "\u202e", "\u200d", "\ud800", "\ufffd", "\r\n", "\x00",
        "ha" * 9, "dog " * 9,
    ]
)  # fmt: skip
RAW = st.one_of(st.text(max_size=200), st.lists(PIECES, max_size=25).map("".join))


def said(raw: str, *, question: str = QUESTION) -> str:
    return clean(raw, ended=True, question=question)


def cut(raw: str) -> str:
    return clean(raw, ended=False, question=QUESTION)


@pytest.mark.parametrize(
    "text",
    [
        "A dog on the grass.",
        "A card that says I <3 NY, and a < b > c on a board.",
        "A book about C++ and C#, with #1 on its cover and the file name snake_case_name.py.",
        "A man in shirt number 10. A second one, 3 * 4 = 12, stands by.",
        "A sign that reads <EXIT> and a <b and c> formula.",
        "A sign says AT&T, rock & roll; 5 > 3.",
        "Here are two dogs playing: a brown one and a white one.",
        "Here is a list of prices on the wall.",
        "Sure-footed goats climb a mountain. Certainly a lovely view.",
        "Yes, there are three cups on the table.",
        "No parking sign on a fence.",
        "Sorry sign on a shop's door.",
        "The note reads \"I'm sorry, I can't come\".",
        "A man next to Mr. Smith, at 5 p.m. in Washington D.C. last year.",
        "-5 degrees on a thermometer.",
        "1. FC Köln plays in red.",
        "# 8 stiff arms a player.",
        "Ein Hund läuft über die Straße. Es ist z. B. ein Dackel.",
        "一只狗在草地上。旁边有一只猫。",
        "كلب على العشب؟ قطة هنا.",
        "घास पर एक कुत्ता है। पास में बिल्ली है।",
        "می‌خواهم",  # Persian with a joiner that separates no words
        "A family \N{MAN}\u200d\N{WOMAN}\u200d\N{GIRL} with a red heart ❤️.",
        "dog, cat, red ball, tree",
        "A very, very, very big dog.",
        "🐶",
        "The table | the chair",
        "2**8 is 256",
    ],
)
def test_a_caption_stays_as_it_is(text):
    assert said(text) == text


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("A dog.\n\nA cat.", "A dog. A cat."),
        ("A dog\non the\tgrass.", "A dog on the grass."),
        ("A dog\n\nA cat", "A dog. A cat"),
        ("A\x00 d\x1b[31mog\x07\u202e is\ufeff he\u00adre\u200b.\ufffd", "A dog is here."),
        ("A\u00a0dog\u2028here\x85now.", "A dog here now."),
        ("A \ud800dog\udfff\uffff.", "A dog."),
        ("<p>A <b>dog</b> &amp; a cat.</p><p>A tree.</p>", "A dog & a cat. A tree."),
        ("A dog.<br/><br>A cat.<!-- x --><script>alert('x')</script>", "A dog. A cat."),
        ('<a href="http://x.y/z">A dog</a> with <span class=c>hat</span>.', "A dog with hat."),
        ("&lt;b&gt;A dog&lt;/b&gt; &lt;3", "A dog <3"),
        ("# The picture\nA dog.", "The picture. A dog."),
        (
            "## Description\n\nA **big** dog, *very* _old_, in `code`.",
            "A big dog, very old, in code.",
        ),
        ("```\nA dog.\n```", "A dog."),
        ("```markdown\nA dog.\n```\n", "A dog."),
        ("* A dog.\n* A cat\n- A tree", "A dog. A cat. A tree"),
        ("1. A dog\n2. A cat.\n3) A tree.", "A dog. A cat. A tree."),
        ("1. A dog sits. 2. A cat lies. 3. A tree.", "A dog sits. A cat lies. A tree."),
        ("Objects:\n\n1. **Dog**: brown\n2. **Cat**: white", "Objects: Dog: brown. Cat: white"),
        ("| Object | Colour |\n|---|:---:|\n| dog | brown |", "Object, Colour. dog, brown"),
        ("> A dog.\n\n---\n\nA cat.", "A dog. A cat."),
        ("See [the dog](http://x.y/z) and ![a cat](cat.png).", "See the dog and a cat."),
        ('"A dog on the grass."', "A dog on the grass."),
    ],
)
def test_markup_is_taken_off(raw, text):
    assert said(raw) == text


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("Sure! Here are some additional captions:\n\n1. A dog.\n2. A cat.", "A dog. A cat."),
        ("Certainly, here is a detailed description of the image: A dog.", "A dog."),
        ("Certainly! Below is a detailed description of the photo.\n\nA dog.", "A dog."),
        ("Of course! I'd be happy to describe the image.\nA dog.", "A dog."),
        ("Here's the caption: A dog.", "A dog."),
        ("Here are additional details that were not mentioned:\n- A dog", "A dog"),
        ("Natürlich! Hier ist eine detaillierte Beschreibung des Bildes:\nEin Hund.", "Ein Hund."),
        ("Caption: A dog.", "A dog."),
        ("Caption 1: A dog.\nCaption 2: A cat.", "A dog. A cat."),
        ("**Description:** A dog.", "A dog."),
        ("A dog. I hope this helps!", "A dog."),
        ("A dog.\n\nI hope this description helps! Let me know if you need more.", "A dog."),
        ("A dog. Is there anything else you would like to know?", "A dog."),
        ("A dog. Feel free to ask if you have any questions.", "A dog."),
        ("A dog. A dog. A cat. a dog.", "A dog. A cat."),
        ("Sure!", ""),
        ("Here is a description of the image:", ""),
    ],
)
def test_chatter_is_taken_off(raw, text):
    assert said(raw) == text


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (f"{QUESTION}\nA dog.", "A dog."),
        ("describe this image in detail: a dog.", "a dog."),
        ("Describe the image in detail. A dog.", "A dog."),
        (f"USER: <image>\n{QUESTION} ASSISTANT: A dog.", "A dog."),
        (f"USER: <image>\n{QUESTION}\nA dog.", "A dog."),
        ("ASSISTANT: A dog.</s>", "A dog."),
        ("<|im_start|>assistant\nA dog.<|im_end|>\n<|im_start|>user\nAnd?", "A dog."),
        ("<start_of_turn>model\nA dog.<end_of_turn>", "A dog."),
        ("A dog. USER: What else? ASSISTANT: A whale.", "A dog."),
        ("A dog.\n### Human: What else?\n### Assistant: A whale.", "A dog."),
        ("A dog.</s></s></s>", "A dog."),
        ("<s> <image> A <unk>dog<0x0A>.", "A dog."),
        ("<think>Is it a whale?</think>A dog.", "A dog."),
        ("It may be a whale.\n</think>\n\nA dog.", "A dog."),
        ("<think>Is it a whale? It may be a wh", ""),
        (QUESTION, ""),
    ],
)
def test_the_conversation_around_it_is_taken_off(raw, text):
    assert said(raw) == text


def test_the_follow_up_is_taken_off_too():
    nearly = FOLLOW_UP.replace("please generate", "generate")
    assert said(f"{FOLLOW_UP} A red ball.", question=FOLLOW_UP) == "A red ball."
    assert said(f"{nearly}\nA red ball.", question=FOLLOW_UP) == "A red ball."
    nothing = (
        "There are no additional features of this image that are not expressed in the captions."
    )
    assert said(nothing, question=FOLLOW_UP) == ""


def test_an_answer_may_take_up_the_question():
    text = "There is a dog in this picture."
    assert said(text, question="Is there a dog in this picture?") == text
    assert said("Dogs play.", question="Dogs") == "Dogs play."
    assert said("A dog.", question="") == "A dog."


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("A dog. A cat on a roo", "A dog."),
        ("A dog. A cat. ", "A dog. A cat."),
        ('A sign says "Stop." A cat on', 'A sign says "Stop."'),
        ("A dog next to Mr. Smi", "A dog next to Mr…"),
        ("A dog on the gra", "A dog on the…"),
        ("A dog on the grass,", "A dog on the grass…"),
        ("Supercalifragilis", "Supercalifragilis"),
        ("一只狗在草地上。旁边有一", "一只狗在草地上。"),
        ("घास पर एक कुत्ता है। पास में", "घास पर एक कुत्ता है।"),
        ("- a dog\n- a cat\n- a tr", "a dog. a cat."),
        ("**Dog**: A brown dog. **Cat**: A wh", "Dog: A brown dog."),
        ("Sure! Here is a description: A dog on a mat", "A dog on a…"),
    ],
)
def test_a_half_sentence_is_cut_but_never_the_only_one(raw, text):
    assert cut(raw) == text


@pytest.mark.parametrize(
    "raw",
    [
        "I'm sorry, I can't help with that.",
        "I’m sorry, but I can’t assist with that request.",
        "I cannot view or describe images.",
        "I am unable to see the image above.",
        "As an AI language model, I can't see pictures. Let me know if you need anything else.",
        "Sorry, but I am not able to process this image. If you have any other questions, ask.",
        "Es tut mir leid, dabei kann ich nicht helfen.",
    ],
)
def test_a_refusal_says_nothing_of_the_picture(raw):
    assert said(raw) == ""


def test_a_refusal_before_a_caption_costs_only_itself():
    raw = "I'm sorry, I can't identify the people. The picture shows two men and a dog."
    assert said(raw) == "The picture shows two men and a dog."


@pytest.mark.parametrize(
    "raw", ["", " \n\t", "...", "!!!???", "\x00\x01", "\ufffd" * 50, "---", "**"]
)
def test_nothing_stays_nothing(raw):
    assert said(raw) == cut(raw) == ""


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("dog " * 10_000, "dog"),
        ("a red dog, " * 900, "a red dog,"),
        ("A dog. " * 900, "A dog."),
        ("狗" * 10_000, "狗"),
        ("A cat and ha" + "ha" * 900, "A cat and ha"),
    ],
)
def test_a_model_that_is_caught_in_a_loop_says_it_once(raw, text):
    assert said(raw) == text


@pytest.mark.parametrize(
    "piece",
    ["<", "<b", "**", "*", "_", "`", "[a](", "<b>", "&amp;", "<<b>", "1. ", "|", "\n- ", "A ",
     "<p ", "I can't ", "Here is ", "<think>", "<|", "USER: ", "(((", "a.", "</think", "<a b=c ",
     "<!--"],
)  # fmt: skip
def test_no_text_takes_long(piece):
    raw = piece * (60_000 // len(piece))
    start = time.process_time()
    said(raw)
    cut(raw)
    assert time.process_time() - start < 3


@given(raw=RAW, ended=st.booleans(), question=st.one_of(st.just(QUESTION), st.text(max_size=30)))
@example(raw="A dog on the gra", ended=False, question=QUESTION)
@example(raw="|a|b|c|d|e|", ended=True, question=QUESTION)
@settings(max_examples=400, deadline=None)
def test_cleaning_twice_changes_nothing_more(raw, ended, question):
    once = clean(raw, ended=ended, question=question)
    assert clean(once, ended=ended, question=question) == once
    assert len(once) <= len(raw)
    assert "\n" not in once
    once.encode()


def test_captions_that_llava_wrote_lose_nothing():
    """Of 2,702 captions of LLaVA-1.5-7B none changes but in its line breaks; here a quarter."""
    path = SHARED / "eval" / "llava15_coco_dev.jsonl.gz"
    if not path.exists():
        pytest.skip(f"needs the captions in {path}")
    with gzip.open(path, "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    assert len(rows) > 2000
    for row in rows[::4]:
        whole = " ".join(row["caption"].split())
        assert clean(row["caption"], ended=True, question=row["prompt"] or "") == whole
        kept = clean(row["caption"], ended=False, question=row["prompt"] or "")
        assert kept
        assert whole.startswith(kept)
