"""Texts: English plural forms, sizes, times, view names, and plain text kept plain."""

from __future__ import annotations

import html
import os
import re
import unicodedata
from pathlib import Path

from PySide6.QtCore import QCoreApplication, QDateTime, QLocale, QObject, QTimeZone, QTranslator

from photosearch.domain import CAPTION_STAGES, Stage, StageProgress, display_path

_LONGEST_WORD = 40
_BIDI_MARKS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")

# Qt looks plural forms up in the translation even for the language of the source.
ENGLISH_PLURALS = {
    "%Ln photo(s)": ("%Ln photo", "%Ln photos"),
    "%Ln photo(s), best first by words and looks": (
        "%Ln photo, by words and looks",
        "%Ln photos, best first by words and looks",
    ),
    "%Ln photo(s) match": ("%Ln photo matches", "%Ln photos match"),
    "%Ln photo(s) match all words": ("%Ln photo matches all words", "%Ln photos match all words"),
    "%Ln more match(es) in part, or perhaps": (
        "%Ln more matches in part, or perhaps",
        "%Ln more match in part, or perhaps",
    ),
    "%Ln photo(s) match in part, or perhaps": (
        "%Ln photo matches in part, or perhaps",
        "%Ln photos match in part, or perhaps",
    ),
    "in the whole photo and %Ln part(s) of it": (
        "in the whole photo and %Ln part of it",
        "in the whole photo and %Ln parts of it",
    ),
    "in %Ln part(s) of the photo": (
        "in %Ln part of the photo",
        "in %Ln parts of the photo",
    ),
    "%Ln selected": ("%Ln selected", "%Ln selected"),
    "%Ln problem(s)": ("%Ln problem", "%Ln problems"),
    "%Ln file(s) could not be read": (
        "%Ln file could not be read",
        "%Ln files could not be read",
    ),
    "%Ln more reason(s)": ("%Ln more reason", "%Ln more reasons"),
    "For %Ln hour(s)": ("For %Ln hour", "For %Ln hours"),
    "%Ln s": ("%Ln s", "%Ln s"),
    "%Ln min": ("%Ln min", "%Ln min"),
    "%Ln h": ("%Ln h", "%Ln h"),
    "%Ln day(s)": ("%Ln day", "%Ln days"),
    "%Ln failed": ("%Ln failed", "%Ln failed"),
    "%Ln photo(s) found so far": ("%Ln photo found so far", "%Ln photos found so far"),
}


class EnglishPlurals(QTranslator):
    """Gives the source texts that count something their English plural forms."""

    def translate(
        self, context: str, source: str, disambiguation: str | None = None, n: int = -1
    ) -> str:
        """Return the form for `n`, and the source itself of texts that do not count."""
        forms = ENGLISH_PLURALS.get(source) if n >= 0 else None
        return source if forms is None else forms[0 if n == 1 else 1]

    def isEmpty(self) -> bool:
        """Return False: Qt skips empty translators."""
        return False


def install_plurals(app: QCoreApplication) -> QObject:
    """Install the English plural forms, before any real translation: Qt asks the last one first."""
    translator = EnglishPlurals(app)
    app.installTranslator(translator)
    return translator


def _tr(text: str, n: int = -1) -> str:
    return QCoreApplication.translate("text", text, None, n)


def plain_tooltip(text: str) -> str:
    """Return `text` as a tooltip that shows it literally: Qt guesses HTML otherwise."""
    lines = html.escape(text).replace("\n", "<br>")
    return f"<qt>{lines}</qt>" if text else ""


def plain_label(text: str) -> str:
    """Return `text` for a menu or button, where a lone & would underline the next letter."""
    return text.replace("&", "&&")


def one_line(text: str) -> str:
    """Return `text` on a line, without what could reorder what stands around it."""
    plain = display_path(" ".join(text.split()))
    # Arabic between Latin words would turn their order round.
    isolated = any(unicodedata.bidirectional(ch) in ("R", "AL") for ch in plain)
    return f"\u2068{plain}\u2069" if isolated else plain


def path_text(path: Path) -> str:
    """Return the path for the clipboard: as it is, undecodable bytes replaced."""
    return os.fsencode(path).decode("utf-8", "replace")


def folder_text(path: Path) -> str:
    """Return the path on one line, with ~ for the home folder."""
    try:
        return display_path(Path("~") / path.relative_to(Path.home()))
    except (ValueError, RuntimeError):
        return display_path(path)


def count_text(number: int) -> str:
    """Return the number as the locale groups its digits."""
    return QLocale().toString(number)


def about_count_text(number: int, is_estimate: bool) -> str:
    """Return the number, marked where it is only about right."""
    return ("≈\u202f" if is_estimate else "") + count_text(number)


def took_text(took_ms: float) -> str:
    """Return how long a search took."""
    return _tr("%1 ms").replace("%1", QLocale().toString(took_ms, "f", 1 if took_ms < 10 else 0))


def speed_text(per_second: float) -> str:
    """Return a speed by the unit in which it is no fraction."""
    units = ((_tr("%1 a second"), 1), (_tr("%1 a minute"), 60), (_tr("%1 an hour"), 3600))
    words, seconds = next((u for u in units if per_second * u[1] >= 1), units[-1])
    count = per_second * seconds
    return words.replace("%1", QLocale().toString(count, "f", 1 if count < 9.95 else 0))


def duration_text(seconds: float) -> str:
    """Return a time, no more exact than a time left can be known."""
    minutes = round(seconds / 60)
    if seconds < 59.5:
        return _tr("%Ln s", max(1, round(seconds)))
    if minutes < 60:
        return _tr("%Ln min", minutes)
    if minutes < 600:
        hours, minutes = divmod(minutes, 60)
        return _tr("%Ln h", hours) + (" " + _tr("%Ln min", minutes) if minutes else "")
    hours = round(seconds / 3600)
    return _tr("%Ln h", hours) if hours < 48 else _tr("%Ln day(s)", round(hours / 24))


def pace_texts(stage: StageProgress) -> list[str]:
    """Return how fast a stage goes and how long still, as far as known.

    Captions wait for hours and for an idle computer: for them it is the time of work that is left.
    """
    found = []
    if stage.waiting and stage.per_second:
        found.append(speed_text(stage.per_second))
    if stage.waiting and stage.seconds_left is not None:
        captions = stage.stage in CAPTION_STAGES
        words = _tr("%1 of work left") if captions else _tr("%1 left")
        found.append(words.replace("%1", duration_text(stage.seconds_left)))
    return found


def time_text(at: float) -> str:
    """Return a time of today or tomorrow, in Unix seconds, as a clock shows it."""
    moment = QDateTime.fromSecsSinceEpoch(round(at))
    clock = QLocale().toString(moment.time(), QLocale.FormatType.ShortFormat)
    today = moment.date() == QDateTime.currentDateTime().date()
    return clock if today else _tr("%1 tomorrow").replace("%1", clock)


def taken_text(taken_at: float) -> str:
    """Return the camera's local time, as the locale writes it (see `domain.Photo.taken_at`)."""
    moment = QDateTime.fromSecsSinceEpoch(int(taken_at), QTimeZone(QTimeZone.Initialization.UTC))
    locale = QLocale()
    day = locale.toString(moment.date(), QLocale.FormatType.LongFormat)
    return f"{day}, {locale.toString(moment.time(), QLocale.FormatType.ShortFormat)}"


def stage_text(stage: Stage) -> str:
    """Return what a stage does, for people."""
    return {
        Stage.SCAN: _tr("Reading photos"),
        Stage.TAGS: _tr("First words"),
        Stage.VECTORS: _tr("Vectors for descriptions"),
        Stage.FULL: _tr("Captions of whole photos"),
        Stage.HALVES: _tr("Captions of halves"),
        Stage.QUARTERS: _tr("Captions of quarters"),
        Stage.NINTHS: _tr("Captions of ninths"),
    }[stage]


def view_text(view: str) -> str:
    """Return the name of a view, for people."""
    names = {
        "whole": _tr("Whole photo"),
        "half-left": _tr("Left half"),
        "half-right": _tr("Right half"),
        "half-top": _tr("Upper half"),
        "half-bottom": _tr("Lower half"),
        "quarter-top-left": _tr("Upper left quarter"),
        "quarter-top-right": _tr("Upper right quarter"),
        "quarter-bottom-left": _tr("Lower left quarter"),
        "quarter-bottom-right": _tr("Lower right quarter"),
        "ninth-1-1": _tr("Upper left"),
        "ninth-1-2": _tr("Upper middle"),
        "ninth-1-3": _tr("Upper right"),
        "ninth-2-1": _tr("Middle left"),
        "ninth-2-2": _tr("Centre"),
        "ninth-2-3": _tr("Middle right"),
        "ninth-3-1": _tr("Lower left"),
        "ninth-3-2": _tr("Lower middle"),
        "ninth-3-3": _tr("Lower right"),
    }
    return names.get(view, view)


def marked_html(text: str, spans: list[tuple[int, int]], ink: str, paper: str) -> str:
    """Return `text` as HTML that shows it plainly, `spans` marked in colours `ink` on `paper`."""
    pieces, at = [], 0
    for start, end in sorted(spans):
        if start < at or end <= start:
            continue
        pieces.append(_plain_html(text[at:start]))
        word = _plain_html(text[start:end])
        pieces.append(f'<span style="color:{ink}; background-color:{paper}">{word}</span>')
        at = end
    pieces.append(_plain_html(text[at:]))
    return "".join(pieces)


def is_visible(text: str) -> bool:
    """Return whether `text` has anything to read in it."""
    return any(unicodedata.category(ch)[0] not in "CZ" for ch in text)


def _plain_html(text: str) -> str:
    """Return `text` escaped: no control or bidi marks, and words that fit into a line."""
    text = text.replace("\t", " ")
    kept = (
        ch
        for ch in text
        if ch == "\n" or (unicodedata.category(ch) not in ("Cc", "Cs") and ch not in _BIDI_MARKS)
    )
    broken = re.sub(rf"(\S{{{_LONGEST_WORD}}})(?=\S)", "\\1\u200b", "".join(kept))
    return html.escape(broken).replace("\n", "<br>")
