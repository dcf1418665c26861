"""Word clouds: where each word goes, and the picture as a PNG. Knows no GUI."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from photosearch.domain import TermCount

MAX_WORDS = 120
MIN_FONT_PX = 9
MARGIN_PX = 6
LIGHT_INKS = ("#2f5fd0", "#1f7a8c", "#7a4fc4", "#b0497e", "#3d7d46", "#99601a")
DARK_INKS = ("#8fb4ff", "#6fcbdc", "#bda2f2", "#f09cc4", "#8fd39a", "#ebb673")
"""Readable on white and on near-black (contrast of 4.5 and more); words take them in turn."""


@dataclass(frozen=True, slots=True)
class PlacedWord:
    """A word and where its ink goes: `x`, `y` the upper left corner, all in pixels.

    `size` is the font's pixel size. A `vertical` word reads from bottom to top; `width` and
    `height` are as it stands. `rank` 0 is the most frequent word.
    """

    word: str
    count: int
    rank: int
    x: int
    y: int
    width: int
    height: int
    size: int
    vertical: bool


def font_path() -> Path:
    """Return the font that the layout is measured with: DejaVu Sans (Latin, Greek, Cyrillic, …)."""
    # Located, not imported: importing matplotlib costs most of a second.
    spec = importlib.util.find_spec("matplotlib")
    if spec is not None and spec.origin:
        path = Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"
        if path.is_file():
            return path
    spec = importlib.util.find_spec("wordcloud")
    if spec is None or not spec.origin:
        raise ModuleNotFoundError("wordcloud")
    return Path(spec.origin).parent / "DroidSansMono.ttf"


def layout(
    words: Sequence[TermCount], width: int, height: int, *, seed: int = 0
) -> list[PlacedWord]:
    """Place the most frequent of `words` in `width` by `height` pixels without overlap.

    The same input gives the same layout. Words for which no room is left are left out.
    """
    counts: dict[str, int] = {}
    for term in words:
        if term.word.strip() and term.count > 0:
            counts[term.word] = max(term.count, counts.get(term.word, 0))
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:MAX_WORDS]
    if not ranked or min(width, height) < 2 * MIN_FONT_PX:
        return []
    from PIL import Image, ImageDraw, ImageFont  # noqa: PLC0415 - slow to import
    from wordcloud import WordCloud  # noqa: PLC0415

    font_file = str(font_path())
    cloud = WordCloud(
        font_path=font_file,
        width=width,
        height=height,
        margin=MARGIN_PX,
        min_font_size=MIN_FONT_PX,
        max_font_size=max(MIN_FONT_PX, height // 3),
        max_words=MAX_WORDS,
        prefer_horizontal=0.9,
        relative_scaling=0.5,
        random_state=Random(seed),
        color_func=lambda *_args, **_kwargs: "",
    )
    cloud.generate_from_frequencies(dict(ranked))
    ranks = {word: rank for rank, (word, _) in enumerate(ranked)}
    draw = ImageDraw.Draw(Image.new("L", (1, 1)))
    placed = []
    for (word, _), size, (top, left), orientation, _ in cloud.layout_:
        font = ImageFont.TransposedFont(ImageFont.truetype(font_file, size), orientation)
        box = draw.textbbox((0, 0), word, font=font, anchor="lt")
        placed.append(
            PlacedWord(
                word=word,
                count=counts[word],
                rank=ranks[word],
                x=int(left),
                y=int(top),
                width=int(box[2]),
                height=int(box[3]),
                size=int(size),
                vertical=orientation is not None,
            )
        )
    return placed


def write_png(
    words: Sequence[TermCount],
    path: Path,
    *,
    width: int = 1200,
    height: int = 800,
    dark: bool = False,
    seed: int = 0,
) -> None:
    """Draw the cloud of `words` into the PNG file `path`; raises OSError if it can't be written."""
    from PIL import Image, ImageDraw, ImageFont  # noqa: PLC0415 - slow to import

    inks = DARK_INKS if dark else LIGHT_INKS
    picture = Image.new("RGB", (width, height), "#161618" if dark else "#ffffff")
    draw = ImageDraw.Draw(picture)
    for placed in layout(words, width, height, seed=seed):
        orientation = Image.Transpose.ROTATE_90 if placed.vertical else None
        font = ImageFont.TransposedFont(
            ImageFont.truetype(str(font_path()), placed.size), orientation
        )
        ink = inks[placed.rank % len(inks)]
        draw.text((placed.x, placed.y), placed.word, fill=ink, font=font)
    picture.save(path, format="PNG")
