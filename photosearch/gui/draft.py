"""What is being typed at the cursor, as far as quotes and parentheses tell."""

from __future__ import annotations

import re
from dataclasses import dataclass

from photosearch.domain import Field

_QUOTES = frozenset('"“”„‟«»＂')
_BREAKS = frozenset(" \t\u3000()（）|｜")
_PIECE = re.compile(rf"(?:[^\s{''.join(_QUOTES)}]|[{''.join(_QUOTES)}][^{''.join(_QUOTES)}]*.?)+")
_WORD_BEFORE = re.compile(r"(?<![^\s(])\w+ +(?P<last>\w+)$")
_FEW_WORDS = 3
_OPEN_FIELD = re.compile(rf'(?:^|(?<=[\s(]))-?(?:{"|".join(Field)}):"?$', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Draft:
    """The text up to a cursor: the word there begins at `start`, without signs before it.

    `quoted` is True inside quotes, `valued` inside those of a field's value, which is one word
    with it; `depth` counts the parentheses that are open.
    """

    text: str
    start: int
    quoted: bool
    valued: bool
    depth: int

    @property
    def word(self) -> str:
        """The word that is being typed, a field's quotes left out."""
        typed = self.text[self.start :]
        return "".join(ch for ch in typed if ch not in _QUOTES) if self.valued else typed

    @property
    def pair(self) -> str:
        """The plain word before the one that is being typed and that, which may be a compound."""
        return self.text[self.pair_start :] if self.pair_start < self.start else ""

    @property
    def pair_start(self) -> int:
        """Where `pair` begins; `start` where there is none."""
        found = (
            None if self.quoted or self.start == len(self.text) else _WORD_BEFORE.search(self.text)
        )
        return found.start() if found and found["last"] == self.text[self.start :] else self.start

    @property
    def is_open(self) -> bool:
        """Whether quotes or parentheses wait to be closed."""
        return self.quoted or self.depth > 0


def read_draft(text: str) -> Draft:
    """Read `text` up to the cursor."""
    start, depth = 0, 0
    quoted = valued = False
    for at, ch in enumerate(text):
        if ch in _QUOTES:
            quoted = not quoted
            valued = quoted and at > start and text[at - 1] == ":"
            if not valued:
                start = at + 1
        elif ch in _BREAKS and not (quoted and (valued or not ch.isspace())):
            start = at + 1
            depth += (ch in "(（") - (ch in ")）" and depth > 0)
        elif ch == "-" and at == start and not quoted:
            start = at + 1
    return Draft(text, start, quoted, valued, depth)


def is_brief(text: str) -> bool:
    """Return whether `text` is too short for a part of a sentence; what is quoted is one word."""
    return len(_PIECE.findall(text)) <= _FEW_WORDS


def without_open_field(text: str) -> str:
    """Return `text` less a field at its end whose value is still to come."""
    return _OPEN_FIELD.sub("", text)


def completed(text: str, cursor: int, word: str) -> tuple[str, int]:
    """Return `text` with the word at `cursor` replaced by `word`, and the cursor behind it.

    A compound that begins like the last two words takes the place of both.
    """
    draft = read_draft(text[:cursor])
    bare = "".join(ch for ch in word if ch not in _QUOTES)
    is_pair = draft.pair and bare.casefold().startswith(" ".join(draft.pair.casefold().split()))
    start = draft.pair_start if is_pair else draft.start
    end = cursor
    while end < len(text) and text[end] not in _BREAKS and text[end] not in _QUOTES:
        end += 1
    if draft.valued and text[end : end + 1] in _QUOTES:
        end += 1
    return text[:start] + word + text[end:], start + len(word)
