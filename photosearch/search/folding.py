"""Where words begin and end in any script, and how they are compared: without case and accents."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import cache

_LETTERS_TO_FOLD = str.maketrans(
    {
        "ø": "o",
        "đ": "d",
        "ł": "l",
        "æ": "ae",
        "œ": "oe",
        "ı": "i",
        "ð": "d",
        "þ": "th",
        "ħ": "h",
        "\u0640": "",
    }
)
JOINERS = "\u00ad\u200c\u200d\u2060"
_APOSTROPHES = "'\u2019\u02bc\uff07"
_HAN = "\u2e80-\u2fdf\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_HIRAGANA = "\u3041-\u3096\u309d-\u309f"
_KATAKANA = "\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\uff66-\uff9d"
_HANGUL = "\u1100-\u11ff\u3131-\u318e\ua960-\ua97f\uac00-\ud7ff"
_OTHER_SPACELESS = "\u0e01-\u0eff\u1000-\u109f\u1780-\u17ff"
_SPACELESS = _HAN + _HIRAGANA + _KATAKANA + _HANGUL + _OTHER_SPACELESS
_CONTRACTION = rf"(?:[{_APOSTROPHES}](?:s|t|re|ve|ll|d|m)(?![^\W_]))?"

_ASCII_WORD = re.compile(r"[A-Za-z0-9]+" + _CONTRACTION, re.IGNORECASE)
# Latin, Greek, Cyrillic, Hebrew, Arabic; elsewhere marks are vowels or change the consonant.
_ACCENTS = re.compile(
    "([A-Za-z\u00c0-\u024f\u0370-\u052f\u0590-\u06ff\u1e00-\u1fff])"
    "[\u0300-\u036f\u0483-\u0487\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed"
    "\u1ab0-\u1aff\u1dc0-\u1dff]+"
)
# Runs that stand for words in chips: Japanese hiragana is mostly endings and particles.
SPACELESS_WORD = re.compile(f"[{_HAN}]+|[{_KATAKANA}]+|[{_HANGUL}]+|[{_OTHER_SPACELESS}]+")
SPACELESS_LETTER = re.compile(f"[{_SPACELESS}]")


def fold(text: str) -> str:
    """Return `text` as words are compared: without case, accents and compatibility forms."""
    if text.isascii():
        return "".join(ch for ch in text.lower() if ch.isalnum())
    compatible = unicodedata.normalize("NFKC", text).casefold()
    letters = unicodedata.normalize("NFKD", compatible).translate(_LETTERS_TO_FOLD)
    letters = "".join(ch for ch in letters if ch.isalnum() or _mark().match(ch))
    # Accents are dropped where they modify a letter, kept where they are part of the writing.
    bare = unicodedata.normalize("NFC", _ACCENTS.sub(r"\1", letters))
    while bare and not bare[0].isalnum():
        bare = bare[1:]  # a mark that stood alone
    return bare


def without_possessive(surface: str) -> str:
    """Return `surface` less an English "'s" at its end."""
    if len(surface) > 2 and surface[-1] in "sS" and surface[-2] in _APOSTROPHES:
        return surface[:-2]
    return surface


def words_in(text: str) -> Iterator[re.Match[str]]:
    """Yield the words of `text` in order; in scripts without spaces, its characters."""
    return (_ASCII_WORD if text.isascii() else _any_word()).finditer(text)


@cache
def _mark_ranges() -> str:
    """All combining marks, as the inside of a regex class: `re` has no name for them."""
    codes = [c for c in range(0x300, 0x1F000) if unicodedata.category(chr(c))[0] == "M"]
    starts = [c for i, c in enumerate(codes) if not i or codes[i - 1] != c - 1]
    ends = [c for i, c in enumerate(codes) if i + 1 == len(codes) or codes[i + 1] != c + 1]
    return "".join(f"{chr(a)}-{chr(b)}" for a, b in zip(starts, ends, strict=True))


@cache
def _any_word() -> re.Pattern[str]:
    extend = _mark_ranges() + JOINERS
    letter = rf"(?![{_SPACELESS}])[^\W_]"
    return re.compile(
        rf"[{_SPACELESS}][{_mark_ranges()}\uff9e\uff9f]*|{letter}(?:{letter}|[{extend}])*"
        + _CONTRACTION,
        re.IGNORECASE,
    )


@cache
def _mark() -> re.Pattern[str]:
    return re.compile(f"[{_mark_ranges()}]")
