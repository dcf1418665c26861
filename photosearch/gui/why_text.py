"""Why a photo was found, in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from PySide6.QtCore import QCoreApplication, QObject

from photosearch.domain import Field, Match, Through
from photosearch.gui.text import one_line

_WHOLE = "whole"
_NAMED_VIEWS = 3
_ALONE = frozenset((Through.TAG, Through.TEXT, Through.PLACE, Through.NAME, Through.RELATED))
_ABOUT = f"{Field.ABOUT}:"


class _Texts(QObject):
    """Brings `tr` with plural forms."""


def _tr(text: str) -> str:
    return QCoreApplication.translate("why_text", text)


def why_texts(matches: Iterable[Match]) -> list[str]:
    """Return a line for each clause and what it was found through, as plain text."""
    return list(dict.fromkeys(map(why_text, _joined(matches))))


def _joined(matches: Iterable[Match]) -> list[Match]:
    """Join matches of a clause by the same word, and leave out tags that say no more."""
    kept: dict[tuple[str, str, bool, bool], Match] = {}
    for match in matches:
        key = (match.clause, match.found, match.doubtful, match.through in _ALONE)
        known = kept.get(key)
        if known is None:
            kept[key] = match
        else:
            # A word that is of the kind, too, is no mere synonym.
            broader = Through.BROADER in (known.through, match.through)
            other = known.through is Through.SYNONYM and broader
            views = tuple(dict.fromkeys((*known.views, *match.views)))
            through = Through.BROADER if other else known.through
            kept[key] = replace(known, through=through, views=views)
    return [match for match in kept.values() if not _is_told(match, kept.values())]


def _is_told(tag: Match, others: Iterable[Match]) -> bool:
    return tag.through is Through.TAG and any(
        other.through is not Through.TAG
        and (other.clause, other.found) == (tag.clause, tag.found)
        and set(other.views) >= set(tag.views)
        for other in others
    )


def why_text(match: Match) -> str:
    """Return such as: couch: through sofa, a synonym, in the whole photo and the left half."""
    if match.clause.startswith(_ABOUT):
        # The words of a description are found one by one.
        match = replace(match, clause=match.found)
    parts = [_through(match)]
    if match.views:
        parts.append(_in_views(match.views))
    if match.doubtful:
        parts.insert(0, _tr("perhaps"))
    clause = one_line(match.clause)
    return f"{clause}: {', '.join(part for part in parts if part)}".removesuffix(": ")


def _through(match: Match) -> str:
    found = one_line(match.found)
    same = found.casefold() == one_line(match.clause).casefold()
    words = {
        Through.WORD: "" if same else _tr("through %1"),
        Through.FORM: "" if same else _tr("through %1"),
        Through.SYNONYM: "" if same else _tr("through %1, a synonym"),
        Through.BROADER: "" if same else _tr("through %1"),
        Through.TAG: _tr("as a tag") if same else _tr("through the tag %1"),
        Through.TEXT: _tr("through %1, written in the photo"),
        Through.PLACE: _tr("through the place %1"),
        Through.NAME: _tr("through the name %1"),
        Through.RELATED: _tr("through %1, which goes with it"),
    }[match.through]
    return words.replace("%1", found)


def _in_views(views: Sequence[str]) -> str:
    if len(views) <= _NAMED_VIEWS:
        names = [_view(view) for view in views]
        if len(names) == 1:
            return _tr("in %1").replace("%1", names[0])
        listed = ", ".join(names[:-1])
        return _tr("in %1 and %2").replace("%2", names[-1]).replace("%1", listed)
    parts = len(views) - (_WHOLE in views)
    if _WHOLE in views:
        return _Texts().tr("in the whole photo and %Ln part(s) of it", None, parts)
    return _Texts().tr("in %Ln part(s) of the photo", None, parts)


def _view(view: str) -> str:
    names = {
        _WHOLE: _tr("the whole photo"),
        "half-left": _tr("the left half"),
        "half-right": _tr("the right half"),
        "half-top": _tr("the upper half"),
        "half-bottom": _tr("the lower half"),
        "quarter-top-left": _tr("the upper left quarter"),
        "quarter-top-right": _tr("the upper right quarter"),
        "quarter-bottom-left": _tr("the lower left quarter"),
        "quarter-bottom-right": _tr("the lower right quarter"),
        "ninth-1-1": _tr("the upper left"),
        "ninth-1-2": _tr("the upper middle"),
        "ninth-1-3": _tr("the upper right"),
        "ninth-2-1": _tr("the middle left"),
        "ninth-2-2": _tr("the centre"),
        "ninth-2-3": _tr("the middle right"),
        "ninth-3-1": _tr("the lower left"),
        "ninth-3-2": _tr("the lower middle"),
        "ninth-3-3": _tr("the lower right"),
    }
    return names.get(view) or one_line(view)
