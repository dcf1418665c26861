"""Search results on the terminal: hits, why they were found, and what to ask next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import click

from photosearch.console import count_text
from photosearch.domain import (
    Field,
    Hit,
    Match,
    PhotoDetails,
    Query,
    SearchResults,
    Through,
    display_path,
)
from photosearch.search.help import QUERY_HELP

_WHOLE = "whole"
_NAMED_VIEWS = 3

_THROUGH = {
    Through.WORD: "",
    Through.FORM: "",
    Through.SYNONYM: "a synonym",
    Through.BROADER: "of that kind",
    Through.TAG: "a tag",
    Through.TEXT: "in writing",
    Through.PLACE: "the place",
    Through.NAME: "a name of file or folder",
    Through.RELATED: "go with it",
}


def print_results(results: SearchResults, details: Mapping[int, PhotoDetails]) -> None:
    """Print hits, full matches first, and the words that would narrow them.

    Of those with `details`, by photo id, also why each was found.
    """
    if results.hits:
        _print_hits(results, details)
    else:
        click.echo("Nothing found.")
    for query in results.suggestions:
        click.echo(f"Did you mean: {display_path(str(query))}")
    if not results.hits and not results.suggestions and len(results.query.clauses) > 1:
        click.echo("Try fewer words.")
    if results.refine:
        about = "about " if results.refine_is_estimate else ""
        words = ", ".join(f"{w.word} ({about}{w.count})" for w in results.refine)
        click.echo(f"Add a word, or exclude it with -: {words}")


def results_json(results: SearchResults, details: Mapping[int, PhotoDetails]) -> dict[str, Any]:
    """Return search results as the design's JSON object.

    Of hits with `details`, by photo id, also why each was found, and stars and place if there are
    any.
    """
    return {
        "query": str(results.query),
        "total": results.total,
        "partial_total": results.partial_total,
        "related_total": results.related_total,
        "took_ms": round(results.took_ms, 3),
        "hits": [
            {
                "path": str(hit.path) if hit.path else None,
                "photo_id": hit.photo_id,
                "score": round(hit.score, 4),
                "partial": hit.partial,
                "related": hit.related,
                **_found_json(details.get(hit.photo_id)),
            }
            for hit in results.hits
        ],
        "refine": [{"word": w.word, "count": w.count} for w in results.refine],
        "refine_is_estimate": results.refine_is_estimate,
        "suggestions": [str(query) for query in results.suggestions],
    }


def why(matches: Sequence[Match]) -> str:
    """Return why a photo was found, in a line: words, through what, in which views."""
    parts = []
    for clause, reasons in groupby(matches, key=lambda match: match.clause):
        said = []
        for match in reasons:
            notes = [_THROUGH[match.through]] + ["perhaps"] * match.doubtful
            if match.found.lower() != clause.lower():
                notes.insert(0, match.found)
            note = ", ".join(filter(None, notes))
            where = _in_views(match.views)
            said.append(" ".join(filter(None, (f"({note})" if note else "", where))))
        # A description is long, and the words found are in it.
        shown = Field.ABOUT if clause.startswith(f"{Field.ABOUT}:") else clause
        parts.append(f"{shown}: {'; '.join(said)}".rstrip(": "))
    return display_path("; ".join(parts))


def misread(query: Query) -> list[str]:
    """Return a sentence for each part of `query` that begins as a field but is searched as words.

    It says what the field takes.
    """
    sentences = []
    for clause in query.clauses:
        name, _, value = clause.text.partition(":")
        if clause.field is None and value and name.lower() in set(Field):
            field = name.lower()
            # What no: takes is told with has:, its opposite.
            told = Field.HAS if field == Field.NO else field
            about = next(about for example, about in QUERY_HELP if example.startswith(f"{told}:"))
            example = next(example for example, _ in QUERY_HELP if example.startswith(f"{field}:"))
            sentences.append(
                f"{display_path(clause.text)} is searched as words. "
                f"{field}: is written such as {example} ({about})."
            )
    return sentences


def _in_views(views: Sequence[str]) -> str:
    if len(views) <= _NAMED_VIEWS:
        return ", ".join(views)
    parts = count_text(len(views) - (_WHOLE in views), "part")
    return f"{_WHOLE} and {parts}" if _WHOLE in views else parts


def _print_hits(results: SearchResults, details: Mapping[int, PhotoDetails]) -> None:
    verb = "matches" if results.total == 1 else "match"
    words = sum(not (c.negated or c.field) for c in results.query.clauses)
    what = f"{verb} all words" if words > 1 else verb if results.query else "in all"
    click.echo(f"{count_text(results.total, 'photo')} {what} ({results.took_ms:.1f} ms)")
    for kind, hits in groupby(results.hits, key=lambda hit: (hit.partial, hit.related)):
        match kind:
            case (True, _):
                verb = "matches" if results.partial_total == 1 else "match"
                photos = count_text(results.partial_total, "photo")
                click.echo(f"{photos} {verb} in part, or perhaps:")
            case (_, True):
                click.echo("Related, without the words but like photos that have them:")
        for hit in hits:
            _print_hit(hit, details)
    shown = sum(not (hit.partial or hit.related) for hit in results.hits)
    if shown < results.total:
        click.echo(f"  … and {results.total - shown} more (--limit)")


def _print_hit(hit: Hit, details: Mapping[int, PhotoDetails]) -> None:
    path = display_path(hit.path) if hit.path else f"photo {hit.photo_id}"
    reasons = why(details[hit.photo_id].matches) if hit.photo_id in details else ""
    click.echo(f"  {path}" + (f"  [{reasons}]" if reasons else ""))


def _found_json(details: PhotoDetails | None) -> dict[str, Any]:
    if details is None:
        return {"matched": {}}
    known = {"stars": details.photo.stars, "place": details.photo.place}
    return {
        "matched": {word: list(views) for word, views in details.matched.items()},
        "because": [
            {
                "clause": match.clause,
                "through": str(match.through),
                "found": match.found,
                "views": list(match.views),
                "doubtful": match.doubtful,
            }
            for match in details.matches
        ],
        **{name: value for name, value in known.items() if value},
    }
