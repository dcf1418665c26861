"""How much a tag counts in its photo's index document: from scores to term frequencies."""

from __future__ import annotations

from collections.abc import Iterable

from photosearch.domain import Caption

FULL_REPEATS = 20
"""Repeats of a word that is certain: about as many as the captions of all views would bring."""
SYNONYM_SHARE = 0.25
"""A synonym's repeats as a share of the word's own: more would drown the words in other names."""


def term_repeats(captions: Iterable[Caption]) -> dict[str, int]:
    """Return how often each word of one photo's tags is to stand in its document, at least once.

    Words are the tags' own and their synonyms, as the tagger writes them; of several views and
    tags that have a word the strongest counts. Captions without tags are left aside.
    """
    strengths: dict[str, float] = {}
    for caption in captions:
        for tag in caption.tags:
            synonyms = dict.fromkeys(tag.synonyms, SYNONYM_SHARE * tag.score)
            for word, strength in {**synonyms, tag.word: tag.score}.items():
                strengths[word] = max(strengths.get(word, 0.0), strength)
    return {word: max(1, round(FULL_REPEATS * value)) for word, value in strengths.items()}
