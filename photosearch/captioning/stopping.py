"""When an answer of a language model ends, and what of it is kept."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable

Words = Callable[[str], frozenset[str]]
"""Returns the content words of a text."""

_LONGEST_PERIOD = 32
_MIN_REPEATS, _MIN_REPEATED = 4, 8
_LONG_REPEATED = 24
_STALE_SENTENCES = 2
_MIN_SENTENCE = 12
# The end of a sentence and the white space after it, a line's end, or a full stop of East Asia.
_BOUNDARY = re.compile(
    rb"""[.!?]["')\]*]*\s+|\n\s*|\xe2\x80\xa6\s+|\xe3\x80\x82|\xef\xbc\x81|\xef\xbc\x9f"""
)


class Answer:
    """One answer as it is written, token by token.

    It ends by itself when it goes round in circles, repeats a sentence, has had `budget` tokens or,
    if `words` is given, when two sentences in a row add no content word that is neither `known`
    nor in the answer already. It depends on its own tokens only. What repeats is not kept.
    """

    def __init__(
        self, budget: int, *, known: frozenset[str] = frozenset(), words: Words | None = None
    ) -> None:
        self.tokens: list[int] = []
        self.ended = False
        """Whether what is kept ends where a sentence does."""
        self._budget = budget
        self._known = set(known)
        self._words = words
        self._written = bytearray()
        self._ends: list[int] = []
        self._kept_bytes: int | None = None
        # How many tokens in a row equal the one `period` before them.
        self._runs = [0] * (_LONGEST_PERIOD + 1)
        self._sentence_start = 0
        self._looked_from = 0
        self._sentences: set[str] = set()
        self._stale = 0

    def add(self, token: int, piece: bytes) -> bool:
        """Take in the next token and its bytes; return whether the answer ends here."""
        self.tokens.append(token)
        self._written += piece
        self._ends.append(len(self._written))
        return self._circles() or self._sentence_ends_it() or len(self.tokens) >= self._budget

    def finish(self) -> None:
        """Note that the model ended the answer."""
        self.ended = True
        self._keep_new(len(self._written))

    @property
    def written(self) -> str:
        """All that the model wrote; what is no UTF-8 is replaced."""
        return self._written.decode("utf-8", "replace")

    @property
    def kept(self) -> str:
        """What the model wrote, without what repeats and what is no UTF-8."""
        return self._written[: self._kept_bytes].decode("utf-8", "ignore")

    @property
    def kept_tokens(self) -> int:
        """How many of the tokens are kept whole."""
        if self._kept_bytes is None:
            return len(self.tokens)
        return bisect_right(self._ends, self._kept_bytes)

    def _circles(self) -> bool:
        tokens, last = self.tokens, self.tokens[-1]
        for period in range(1, min(_LONGEST_PERIOD, len(tokens) - 1) + 1):
            if tokens[-1 - period] != last:
                self._runs[period] = 0
                continue
            self._runs[period] += 1
            whole = self._runs[period] + period
            if (whole >= max(_MIN_REPEATS * period, _MIN_REPEATED)) or (
                whole > _LONG_REPEATED and whole >= 2 * period
            ):
                self._kept_bytes = self._ends[len(tokens) - self._runs[period] - 1]
                return True
        return False

    def _sentence_ends_it(self) -> bool:
        while match := _BOUNDARY.search(self._written, self._looked_from):
            # White space may go on in the next token: it then is a sentence without words.
            self._looked_from = match.end()
            if not self._keep_new(match.end()):
                self.ended = True
                return True
            if self._stale >= _STALE_SENTENCES:
                self._kept_bytes = match.end()
                self.ended = True
                return True
        # A mark at the end may yet be followed by a space.
        self._looked_from = max(self._looked_from, len(self._written) - 4)
        return False

    def _keep_new(self, end: int) -> bool:
        """Look at the sentence up to `end`; drop it and return False if it was said before."""
        start, self._sentence_start = self._sentence_start, end
        sentence = self._written[start:end].decode("utf-8", "ignore")
        said = " ".join(sentence.casefold().split())
        if said in self._sentences and len(said) >= _MIN_SENTENCE:
            self._kept_bytes = start
            return False
        self._sentences.add(said)
        if self._words is not None and (words := self._words(sentence)):
            self._stale = self._stale + 1 if words <= self._known else 0
            self._known |= words
        return True
