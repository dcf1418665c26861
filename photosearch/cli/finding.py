"""The commands that find photos and words: search, show, words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from photosearch import console, results_text
from photosearch.arguments import QueryCommand
from photosearch.cli.common import EXIT_DONE, EXIT_NOTHING, JSON_OPTION, print_json
from photosearch.domain import Query, display_path
from photosearch.errors import PhotosearchError, UnavailableError, UsageError
from photosearch.library import PhotoLibrary
from photosearch.paths import AppPaths
from photosearch.search.help import QUERY_HELP
from photosearch.search.query import requoted

_REFINE_WORDS = 12
_RELATED_HELP = "Add up to so many photos without the words, but like those that have them."
_LIMIT = click.IntRange(min=1, max=1_000_000)


class _SearchCommand(QueryCommand):
    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Tell the query language."""
        del ctx
        with formatter.section("What you can type"):
            formatter.write_dl(QUERY_HELP)


@click.command(cls=_SearchCommand)
@click.argument("words", nargs=-1)
@click.option("--limit", type=_LIMIT, default=20, show_default=True)
@click.option("--related", type=click.IntRange(min=0), default=0, help=_RELATED_HELP)
@click.option("--explain", is_flag=True, help="Say which words matched through what, and where.")
@JSON_OPTION
@click.pass_obj
def search(
    paths: AppPaths,
    words: tuple[str, ...],
    limit: int,
    related: int,
    explain: bool,
    as_json: bool,
) -> int:
    """Find photos by WORDS; without any: all photos, newest first.

    Your shell may want single quotes around what has parentheses, quotes, |, <, > or *.
    """
    with PhotoLibrary(paths) as library:
        query = _parse(library, words)
        results = library.search(query, limit=limit, refine=_REFINE_WORDS, related=related)
        try:
            results = library.search_hybrid(query, limit=limit, refine=_REFINE_WORDS) or results
        except UnavailableError as error:
            click.echo(f"Note: {error}", err=True)
        details = (
            {hit.photo_id: library.photo(hit.photo_id, query) for hit in results.hits}
            if query and (explain or as_json)
            else {}
        )
        notices = library.notices
    for notice in (*notices, *results_text.misread(query)):
        click.echo(f"Note: {notice}", err=True)
    if as_json:
        print_json(results_text.results_json(results, details))
    else:
        results_text.print_results(results, details)
    return EXIT_DONE if results.hits else EXIT_NOTHING


def _parse(library: PhotoLibrary, words: Sequence[str]) -> Query:
    # The shell has taken the quotes of "two words" away, but kept them together.
    query = library.parse(" ".join(map(requoted, words)))
    if not query and any(word.strip() for word in words):
        raise UsageError(f"Nothing to search for in {display_path(' '.join(words))}")
    return query


@click.command()
@click.argument("photo")
@JSON_OPTION
@click.pass_obj
def show(paths: AppPaths, photo: str, as_json: bool) -> int:
    """Show the captions, words and metadata of PHOTO: a file, an id, or its hash's beginning."""
    with PhotoLibrary(paths) as library:
        details = library.photo(_find_photo(library, photo))
    if as_json:
        print_json(console.photo_json(details))
    else:
        console.print_photo(details)
    return EXIT_DONE


@click.command(cls=QueryCommand)
@click.argument("words", nargs=-1)
@click.option("--photo", help="Words of this photo: a file, an id, or its hash's beginning.")
@click.option("--limit", type=_LIMIT, default=50, show_default=True)
@click.option("--png", type=click.Path(path_type=Path, dir_okay=False), help="Draw the cloud.")
@JSON_OPTION
@click.pass_obj
def words(
    paths: AppPaths,
    words: tuple[str, ...],
    photo: str | None,
    limit: int,
    png: Path | None,
    as_json: bool,
) -> int:
    """Count the words of a photo, of the result of WORDS, or of the library."""
    if photo is not None and words:
        raise click.UsageError("Give either words or --photo.")
    if png is not None and png.suffix.lower() != ".png":
        raise click.UsageError("--png writes a PNG picture: give it a name that ends in .png")
    with PhotoLibrary(paths) as library:
        if photo is not None:
            found = list(library.photo(_find_photo(library, photo)).words[:limit])
        else:
            found = library.words(_parse(library, words), limit=limit)
    if png is not None and found:
        from photosearch.clouds import write_png  # noqa: PLC0415 - loads Matplotlib

        with console.writing(display_path(png)):
            write_png(found, png)
    if as_json:
        print_json({"words": [{"word": w.word, "count": w.count} for w in found]})
    else:
        for word in found:
            click.echo(f"{word.count:8}  {word.word}")
        if not found:
            click.echo("Nothing found." if words else "No words yet.")
    return EXIT_DONE if found else EXIT_NOTHING


def _find_photo(library: PhotoLibrary, wanted: str) -> int:
    photo_id = library.find_photo(wanted)
    if photo_id is None:
        raise PhotosearchError(f"There is no photo {display_path(wanted)} in the library.")
    return photo_id


COMMANDS = (search, show, words)
