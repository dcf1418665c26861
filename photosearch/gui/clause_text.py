"""How a clause of a query is shown: its words, and quieter what is to be done with them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from PySide6.QtCore import QCoreApplication

from photosearch.domain import Clause, Field, Query

NO_NAMES: Mapping[str, str] = MappingProxyType({})
_FIELD_CLAUSE = re.compile(rf'({"|".join(Field)}):"?([^"]+)"?')


class Piece(NamedTuple):
    """Words of a clause; quiet ones say how the others are meant."""

    words: str
    quiet: bool = False


def _tr(text: str) -> str:
    return QCoreApplication.translate("clause_text", text)


def _label(field: Field) -> str:
    return {
        Field.IN: _tr("in"),
        Field.NAME: _tr("name"),
        Field.DATE: _tr("date"),
        Field.CAMERA: _tr("camera"),
        Field.PLACE: _tr("place"),
        Field.TAG: _tr("tag"),
        Field.TEXT: _tr("text"),
        Field.STARS: _tr("stars"),
        Field.TYPE: _tr("type"),
        Field.HAS: _tr("has"),
        Field.NO: _tr("no"),
        Field.VIEW: _tr("in a part"),
        Field.ABOUT: _tr("about"),
        Field.LIKE: _tr("like"),
    }[field]


def _value(clause: Clause, names: Mapping[str, str]) -> str:
    if clause.field is Field.LIKE:
        return names.get(clause.text) or _tr("photo %1").replace("%1", clause.text)
    if clause.field is Field.STARS:
        return clause.text.replace(">=", "≥ ").replace("<=", "≤ ").replace("..", " – ")
    if clause.field is Field.DATE:
        return clause.text.replace("..", " – ").strip()
    return clause.text + "*" * clause.prefix


def pieces(clause: Clause, names: Mapping[str, str] = NO_NAMES) -> tuple[Piece, ...]:
    """Return what of `clause` is shown, without its sign; `names` are those of photos by id."""
    if clause.any_of:
        found: list[Piece] = []
        for query in clause.any_of:
            if found:
                found.append(Piece(_tr("or"), True))
            found += _inner(query, names)
        return tuple(found)
    value = Piece(_value(clause, names))
    if clause.field is not None:
        return (Piece(_label(clause.field), True), value)
    # Several words are held together by the chip; a single one in quotes is meant literally.
    literal = clause.phrase and " " not in clause.text
    return (Piece(f"“{clause.text}”" + "*" * clause.prefix) if literal else value,)


def _inner(query: Query, names: Mapping[str, str]) -> list[Piece]:
    if len(query.clauses) == 1 and not query.clauses[0].negated:
        (clause,) = query.clauses
        if clause.phrase and clause.field is None:
            return [Piece(f"“{clause.text}”" + "*" * clause.prefix)]
        return [Piece(f"({shown(clause, names)})")] if clause.any_of else [*pieces(clause, names)]
    words = " ".join("− " * clause.negated + shown(clause, names) for clause in query.clauses)
    return [Piece(f"({words})" if len(query.clauses) > 1 else words)]


def shown(clause: Clause, names: Mapping[str, str] = NO_NAMES) -> str:
    """Return `pieces` as one text."""
    return " ".join(piece.words for piece in pieces(clause, names))


def said(clause: Clause, names: Mapping[str, str] = NO_NAMES) -> str:
    """Return the clause for the ear, with its sign."""
    words = shown(clause, names)
    return _tr("without %1").replace("%1", words) if clause.negated else words


def liked_photos(clause: Clause) -> set[str]:
    """Return the ids of the photos that `clause` speaks of."""
    found = {clause.text} if clause.field is Field.LIKE else set()
    return found.union(*(liked_photos(c) for query in clause.any_of for c in query.clauses))


def completion_clause(completion: str) -> Clause:
    """Return the clause that a completion stands for: a word, a phrase, or a field and a value."""
    match = _FIELD_CLAUSE.fullmatch(completion)
    return Clause(match[2], field=Field(match[1])) if match else Clause(completion)
