"""Back and forward through searches, as in a browser."""

from __future__ import annotations

from photosearch.domain import Clause

_KEPT = 100


class SearchHistory:
    """The searches of this window, and which one is current."""

    def __init__(self) -> None:
        self._searches: list[tuple[Clause, ...]] = [()]
        self._at = 0

    def note(self, clauses: tuple[Clause, ...]) -> None:
        """Make `clauses` current; what was undone before is forgotten."""
        if clauses == self._searches[self._at]:
            return
        self._searches[self._at + 1 :] = [clauses]
        del self._searches[:-_KEPT]
        self._at = len(self._searches) - 1

    def step(self, steps: int) -> tuple[Clause, ...] | None:
        """Return the search `steps` further (back if negative), or None at either end."""
        if not 0 <= self._at + steps < len(self._searches):
            return None
        self._at += steps
        return self._searches[self._at]
