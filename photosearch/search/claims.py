"""How sure a text is of what it names: seen, hedged, perhaps there, denied, or mere writing.

Cues and the words in their scope, bounded by the clause, as in NegEx (Chapman et al. 2001, "A
Simple Algorithm for Identifying Negated Findings and Diseases in Discharge Summaries"): "no people
are visible", "without a hat", "possibly a dog or a cat". Doubt spares what a text takes for
granted: in "perhaps watching the game" it is the watching that is unsure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from photosearch.search import analysis
from photosearch.search.lexicon import lexicon


class Certainty(IntEnum):
    """How sure a text is that what a word names is in the photo."""

    DENIED = 0
    DOUBTFUL = 1
    WRITTEN = 2
    """It stands in writing inside the photo, which says nothing of things."""
    HEDGED = 3
    SEEN = 4


class Claim(NamedTuple):
    """A unit of a text, and how sure the text is of it."""

    unit: analysis.Unit
    certainty: Certainty


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a text, by offsets, that is not simply seen."""

    start: int
    end: int
    certainty: Certainty


def claims(text: str) -> list[Claim]:
    """Return the units of `text` in order, and how sure it is of each.

    The last word of a text that was cut off is left out unless it is a known one.
    """
    units = analysis.units(text)
    if units and _is_broken(text, units[-1]):
        units = units[:-1]
    unsure = unsure_spans(text)
    if not unsure:
        return [Claim(unit, Certainty.SEEN) for unit in units]
    certainties = bytearray([Certainty.SEEN]) * len(text)
    for span in sorted(unsure, key=lambda span: -span.certainty):
        certainties[span.start : span.end] = bytes([span.certainty]) * (span.end - span.start)
    # Of a compound its last word tells, the head.
    return [Claim(unit, Certainty(certainties[unit.end - 1])) for unit in units]


def written(text: str) -> list[str]:
    """Return what `text` says is written in the photo, as it is quoted there."""
    found = (text[start:end].strip(" .,;:!?\n") for start, end in _writing(text))
    return [quoted for quoted in found if quoted]


def unsure_spans(text: str) -> list[Span]:
    """Return the parts of `text` that are not simply seen, in no order; they may overlap."""
    lower = text.lower()
    if len(lower) != len(text):  # "İ" grows, and would move all that follows
        lower = "".join(low if len(low := ch.lower()) == 1 else ch for ch in text)
    lower = lower.replace("\u2019", "'")
    found = [Span(start, end, Certainty.WRITTEN) for start, end in _writing(text)]
    for span in found:
        # Hidden from the rules; its full stop may be the sentence's.
        hidden = re.sub(r"[^.!?\s]", "_", lower[span.start : span.end])
        lower = lower[: span.start] + hidden + lower[span.end :]
    if _may_have_cue(lower):
        for sentence in _SENTENCE.finditer(lower):
            if _may_have_cue(sentence.group()):
                found += _sentence_spans(lower, sentence.start(), sentence.end())
    return found


# -- Writing inside the photo

_MARKED = re.compile(
    r"\b(?:sign|signs|word|words|text|name|named|names|letter|letters|lettering|label|labell?ed"
    r"|titled?|caption|captioned|logo|message|slogan|inscription|inscribed|banner|plate|number"
    r"|display|displays|reads?|reading|says?|saying|written|writing|spells?|spelling|printed"
    r"|engraved|painted|notice|billboard|poster|called)\b",
    re.IGNORECASE,
)
_QUOTED = re.compile(
    '"([^"\n]{1,120})"|[\u201c\u201e]([^\u201c\u201d\n]{1,120})[\u201c\u201d]'
    # Single quotes where no letter is next to them outside: else they are apostrophes.
    r"|(?<![^\W_])['‘]([^\"\n]{1,80}?)['’](?![^\W_])"
)
_UNQUOTED = re.compile(
    r"\b(?:signs?|banner|poster|billboard|plate|placard|notice|shirt|letters|words)"
    r"(?: (?:that|which))? (?:says?|saying|reads?|reading) (?!that\b|an? )"
    r"([^\"'\u201c‘.,;:!?\n]{1,60})",
    re.IGNORECASE,
)
_WRITING_ENDS = re.compile(
    r" (?:on|in|at|near|next|behind|above|below|under|beside|and|with|while|is|are|hanging|standing"
    r"|attached|mounted|posted|instead)\b",
    re.IGNORECASE,
)
_FAR = 60


def _writing(text: str) -> list[tuple[int, int]]:
    """Return the spans of `text` that quote what is written in the photo."""
    found = []
    if any(mark in text for mark in "\"'\u201c\u201e‘"):
        for match in _QUOTED.finditer(text):
            start, end = match.span(match.lastindex or 0)
            around = text[max(0, start - _FAR) : start] + " | " + text[end : end + _FAR]
            if _MARKED.search(around):
                found.append((start, end))
    for match in _UNQUOTED.finditer(text):
        start, end = match.span(1)
        if over := _WRITING_ENDS.search(text, start + 1, end):
            end = over.start()
        found.append((start, end))
    return found


# -- Denial and doubt

# What a cue begins with: few sentences have any such word, and the others take no time.
_FIRST_WORDS = frozenset(
    """
absence absent ambiguous appear appeared appearing appears as bare barren can can't cannot clear
could couldn't devoid difficult either empty free hard imply implies implying indicate indicates
indicating instead lack lacked lacking lacks likely looking look looks may maybe might missing
mistaken neither no nor not nothing nowhere perhaps possibly potentially presumably probably rather
resemble resembles resembling seem seemed seeming seems shaped some suggest suggesting suggests
uncertain unclear unknown unsure void whether without
""".split()  # noqa: SIM905 - a word list reads best as words
)
_NOT = r"(?:not|n't)"
_CAN_NOT = r"(?:can ?not|can't|could ?n[o']t)"
# In order: of the cues that begin at one place the first counts; "none" denies nothing.
_RULES = (
    (
        "none",
        r"no (?:longer|doubt|matter|wonder|means)\b|no (?:more|less|fewer) than\b|no ?one\b"
        r"|(?:without (?:a |any )?doubt|nothing but)\b"
        r"|(?<=\bwith and )without\b|(?<=\bwith or )without\b"
        rf"|{_CAN_NOT} help\b(?: but)?"
        rf"|{_NOT} (?:(?:be )?part of|have (?:much|many)|the (?:only|main|primary|central|\w+est)"
        r"|(?:\w+ ){1,2}signs?|only|just|simply|merely|to mention|far|too|very|so|quite|all|every"
        r"|always|many|much|yet|even|necessarily|clearly|fully|completely|entirely|easily|directly"
        r"|prominently|(?:an? )?(?:un)?(?:usual|common)(?:ly)?|(?:typical|rare)(?:ly)?)\b"
        # "a no parking area", "no parking sign": its name, not what is missing.
        r"|(?:(?<=\ba )|(?<=\ban )|(?<=\bthe )|(?<=\bthis )|(?<=\btwo ))no\b"
        r"|no[- ](?:[a-z-]+ ){0,2}(?:signs?|zones?|areas?|notices?|symbols?)\b(?! of)|no-\w+",
    ),
    (
        "back",
        rf"{_NOT}(?: (?:currently|actually|really))?"
        r" (?:visible|present|seen|shown|pictured|depicted|included|there"
        r"|in (?:view|sight|the (?:picture|image|photo|photograph|frame|scene|shot)))\b"
        rf"|{_CAN_NOT} be (?:seen|found|spotted|made out)\b"
        r"|(?:(?<=\bis )|(?<=\bare )|(?<=\bwas )|(?<=\bwere ))(?:absent|nowhere|missing)\b"
        r"(?! (?:a|an|its|his|her|their|one|some|the)\b)",
    ),
    (
        "doubt",
        r"(?:unclear|uncertain|unknown|unsure|ambiguous|hard to (?:tell|say)"
        rf"|difficult to (?:tell|say|determine|see)|{_NOT} (?:clear|certain|sure|possible to \w+)"
        rf"|{_CAN_NOT} (?:tell|say|determine|be determined|be sure))\b"
        r"(?: (?:whether|if|what|exactly|which|who)\b)*"
        r"|(?:whether|possibly|perhaps|maybe|might|potentially|mistaken for)\b|may(?= [a-z])"
        r"|could (?:also |possibly |potentially )?(?:be|have|represent)\b"
        r"|either(?= (?:an?|the|some)\b)",
    ),
    (
        "hedge",
        r"(?:appear|seem)(?:s|ed|ing)? to (?:be|have|show|depict)\b|look(?:s|ing)? like\b"
        r"|(?:likely|probably|presumably|resembl(?:e|es|ing)|as (?:if|though)|shaped like"
        r"|some (?:kind|sort) of|suggest(?:s|ing)?|indicat(?:e|es|ing)|impl(?:y|ies|ying))\b",
    ),
    (
        "deny",
        r"(?:no|without)(?: (?:visible|clear|apparent|obvious|discernible))?"
        r" (?:signs?|evidence|traces?|hints?|indications?|presence) of(?: any)?\b"
        r"|without(?: any| an?)?\b|no(?: visible| other)?(?= \w)"
        rf"|{_NOT} (?:appear|seem) to (?:be|have|show|contain|include)\b"
        rf"|{_NOT}(?= \w)|(?:neither|nor)\b|lack(?:s|ed|ing)?\b(?: of)?(?: any)?|absence of\b"
        r"|(?:devoid|free|empty|void|bare|clear|barren) of(?! charge)(?: any)?\b"
        r"|rather than\b|instead of\b|missing(?= (?:a|an|its|his|her|their|one|some)\b)",
    ),
)
_CUE = re.compile("|".join(f"(?P<{kind}>{pattern})" for kind, pattern in _RULES))
_PART = re.compile(r"[a-z']+")
_SENTENCE = re.compile(r"[^.!?\n]+(?:[.!?](?!\s|$)[^.!?\n]*)*")
_WORD = re.compile(r"[^\W_]+(?:['-][^\W_]+)*|[,;:()\u2013\u2014]|(?<=\s)-(?=\s)")

_PREPOSITIONS = frozenset(
    """
about above across against along amid among around as at atop behind below beneath beside between
beyond by down during except for from in inside into like near off on onto outside over past
through throughout to toward towards under underneath up upon with within
""".split()  # noqa: SIM905 - a word list reads best as words
)
_CLAUSE_WORDS = frozenset(
    """
although because but however if since so than that then there though what when where which while
who whom whose why yet am are be been being can could did do does had has have is may might must
shall should was were will would contains contain includes include sits stands lies shows features
he i it she they we you due
""".split()  # noqa: SIM905
)
_VERBS_OF_HAVING = frozenset(("be", "been", "being", "contain", "have", "include"))
_BEING = frozenset(("is", "are", "was", "were", "be", "been", "isn", "aren", "wasn", "weren"))
_DEFINITE = frozenset("the this that these those its his her their him them it".split())  # noqa: SIM905
_INDEFINITE = frozenset("a an another any some one two three several".split())  # noqa: SIM905
_ENDS = frozenset(";:()\u2013\u2014-")
# Words in -ing that are things; others end what is missing: "with no shirt riding a horse".
_THINGS_IN_ING = frozenset(
    """
awning anything bring building ceiling clothing covering drawing earring engraving evening
everything fencing flooring frosting furnishing icing king lettering lighting lightning morning
nothing opening painting parking piercing railing ring seating siding sling something spring string
stuffing swing thing topping wedding wing wiring writing
""".split()  # noqa: SIM905
)
_LONGEST_DENIED = 6
_LONGEST_LIST_ITEM = 3
_REACH = 500
"""Characters of a sentence that a cue may bear on; without, a text of cues alone takes minutes."""


def _may_have_cue(text: str) -> bool:
    return "n't" in text or not _FIRST_WORDS.isdisjoint(_PART.findall(text))


def _cues(text: str, start: int, end: int) -> Iterator[re.Match[str]]:
    """Yield the cues of a sentence in order; where one ends the next may begin."""
    after = start
    for part in _PART.finditer(text, start, end):
        word = part.group()
        at = part.end() - 3 if word.endswith("n't") and word not in _FIRST_WORDS else part.start()
        if (
            at >= after
            and (word in _FIRST_WORDS or at != part.start())
            and (cue := _CUE.match(text, at, end))
        ):
            after = cue.end()
            yield cue


def _sentence_spans(text: str, start: int, end: int) -> Iterator[Span]:
    """Yield what the cues in `text[start:end]`, one sentence in small letters, make unsure."""
    for cue in _cues(text, start, end):
        until = min(end, cue.end() + _REACH)
        match cue.lastgroup:
            case "deny":
                yield from _denied(text, cue.end(), until)
            case "back":
                yield from _denied_before(text, max(start, cue.start() - _REACH), cue.start())
            case "doubt":
                yield from _unsure(text, cue.end(), until, Certainty.DOUBTFUL)
            case "hedge":
                yield from _unsure(text, cue.end(), until, Certainty.HEDGED)


def _denied(text: str, start: int, end: int) -> Iterator[Span]:
    """Yield the noun phrase, or the list of them, that begins at `start`."""
    count = 0
    words = list(_WORD.finditer(text, start, end))
    for at, match in enumerate(words):
        word = match.group()
        if word == ",":
            if not _goes_on(words, at):
                return
            count = 0
        elif word == "and" and at + 1 < len(words) and words[at - 1].group() != ",":
            return
        elif not at and word in _VERBS_OF_HAVING:
            continue
        elif (
            _ends_phrase(word)
            or word == "of"
            # What is done to a thing is denied, not the thing: "not watching the TV".
            or (word in _DEFINITE and at and _is_doing(words[at - 1].group()))
            or (count and word.endswith("ing") and word not in _THINGS_IN_ING)
            or count == _LONGEST_DENIED
        ):
            return
        elif word in ("or", "nor"):
            count = 0
        else:
            count += 1
            yield Span(match.start(), match.end(), Certainty.DENIED)


def _is_doing(word: str) -> bool:
    return word.endswith("ing") and word not in _THINGS_IN_ING and word != "wearing"


def _ends_phrase(word: str) -> bool:
    return word in _ENDS or word in _PREPOSITIONS or word in _CLAUSE_WORDS


def _goes_on(words: list[re.Match[str]], comma: int) -> bool:
    """Return whether a list goes on after a comma: items of few words, the last after "or"."""
    length = 0
    for match in words[comma + 1 :]:
        word = match.group()
        if word in ("or", "nor"):
            return True
        if word == ",":
            length = 0
        elif _ends_phrase(word) or word == "and" or length == _LONGEST_LIST_ITEM:
            return False
        else:
            length += 1
    return False


def _denied_before(text: str, start: int, end: int) -> Iterator[Span]:
    """Yield the subject that stands before `end`, without what follows its head."""
    words = list(_WORD.finditer(text, start, end))
    while words and (words[-1].group() in _BEING):
        words.pop()
    subject: list[re.Match[str]] = []
    for match in words:
        word = match.group()
        if word == "," or word in _ENDS or word in _CLAUSE_WORDS:
            subject.clear()
        elif subject and subject[-1].group() == "and" and word in _DEFINITE | _INDEFINITE:
            subject = [match]
        else:
            subject.append(match)
    for match in subject[-2 * _LONGEST_DENIED :]:
        if match.group() in _PREPOSITIONS or match.group() == "of":
            return
        yield Span(match.start(), match.end(), Certainty.DENIED)


def _unsure(text: str, start: int, end: int, certainty: Certainty) -> Iterator[Span]:
    """Yield what follows in the clause, but for noun phrases that take their thing for granted."""
    found = []
    granted = False
    words = list(_WORD.finditer(text, start, end))
    alternative = False
    for at, match in enumerate(words):
        word = match.group()
        if word in _ENDS or (word == "," and not _goes_on(words, at)):
            break
        if word in ("but", "while", "although", "though", "because", "which", "who"):
            break
        if word in _DEFINITE:
            granted = True
        elif word in _INDEFINITE or _ends_phrase(word) or word in ("and", "or"):
            granted = False
        following = words[at + 1].group() if at + 1 < len(words) else ""
        alternative = alternative or (word == "or" and following in _INDEFINITE)
        if not granted:
            found.append(match)
    if alternative:  # "appears to be a cat or a dog"
        certainty = min(certainty, Certainty.DOUBTFUL)
    for match in found:
        yield Span(match.start(), match.end(), certainty)


# -- Texts that were cut off

_UNFINISHED = re.compile(r"[.!?][\"'”’)]*\s[^.!?]*[^\W_]$", re.DOTALL)


def _is_broken(text: str, last: analysis.Unit) -> bool:
    """Return whether `last` is what is left of a word where a text of sentences was cut off."""
    return (
        last.end == len(text)
        and last.term not in lexicon()
        and _UNFINISHED.search(text) is not None
    )
