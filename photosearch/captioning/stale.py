"""Notices when a model describes an earlier picture instead of the one that it was shown.

llama.cpp's image path has been seen to do that (JamePeng/llama-cpp-python, issue 90).
"""

from __future__ import annotations

from collections.abc import Callable, Set

from photosearch.errors import StaleCaptionsError

SUSPECT_AFTER = 5
"""So many different photos with the very same caption are a reason to begin anew."""
HOPELESS_AFTER = 25
"""So many are one to give up, even where a fresh process said the same, if it said nothing else."""


class StaleWatch:
    """Compares each caption with those before it.

    `is_similar` compares difference hashes of pictures: like pictures may well be described alike.
    """

    def __init__(self, is_similar: Callable[[int, int], bool]) -> None:
        self._is_similar = is_similar
        self._said = ""
        self._changes = 0
        self._pictures: list[tuple[int, str, int]] = []

    def look(self, key: int, view: str, picture: int, said: str, confirmed: Set[str]) -> None:
        """Note what was `said` of a view of the photo `key`, a `picture` by its difference hash.

        `confirmed` are texts that a fresh process repeated, and which are believed if it has also
        said something else.
        Raises StaleCaptionsError once too many different photos in a row have the same caption.
        """
        if said != self._said:
            self._said = said
            self._changes += 1
            self._pictures = []
        if said in confirmed and self._changes > 1:
            return
        if any(
            key == known or self._is_similar(picture, other) for known, _, other in self._pictures
        ):
            return
        self._pictures.append((key, view, picture))
        limit = HOPELESS_AFTER if said in confirmed else SUSPECT_AFTER
        if len(self._pictures) >= limit:
            suspects = tuple((known, name) for known, name, _ in self._pictures)
            self._pictures = []
            raise StaleCaptionsError(said, suspects)
