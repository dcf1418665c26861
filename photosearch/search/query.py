"""From what people type to a `Query`.

The language is told in `help`. Any text at all is a query.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import takewhile
from types import MappingProxyType

from photosearch.domain import Clause, Field, Query
from photosearch.search import analysis
from photosearch.search.values import date_range, file_formats, knowable, stars_range

MAX_CLAUSES = 64
"""More than anybody means; pasted books are cut here, so that no query takes seconds."""
MAX_DESCRIPTION_WORDS = 100
"""Of a pasted text; as many as a description has that was written for the search."""
MAX_COMPOUND_WORDS = 5
MAX_NESTING = 8
"""Groups in groups; what is deeper is left out."""

# Of a text without operators: people who list keywords leave the function words out.
_MIN_CONTENT_WORDS = 4
_MIN_FUNCTION_WORDS = 3
_MIN_FUNCTION_SHARE = 0.25

# Written out, a query needs two pairs of parentheses for each group in a group.
_MAX_OPEN = 2 * MAX_NESTING + 1
_CONTROLS = (*range(0x20), *range(0x7F, 0xA0))
_CLEAN = str.maketrans(
    dict.fromkeys("“”„‟«»＂", '"')
    | dict(zip("（）｜：－＊", "()|:-*", strict=True))
    | {chr(c): " " for c in _CONTROLS}
)
_SURROGATES = re.compile("[\ud800-\udfff]")
_SIGNS = re.compile(r'["()|]')
_UNIT = re.compile(
    r"(?P<minus>[-−–—]*)(?:(?P<mark>[()|])"
    r'|"(?P<phrase>[^"]*)(?:"(?P<star>\**))?|(?P<word>[^\s"()|]+))'
)
_FIELD = re.compile(rf"(?P<field>(?ai:{'|'.join(Field)})):")
# A space after the colon is a slip of the hand, but not before what begins something new.
_VALUE = re.compile(
    r'\s*"(?P<quoted>[^"]*)(?:"(?P<star>\**))?'
    rf"|(?:\s+(?!(?:OR|NOT)(?!\S)|[-−–—]|{_FIELD.pattern.replace('?P<field>', '?:')}))?"
    r'(?P<bare>(?:[^\s"()|]|\([^\s"()|]*\))+)'
)
_BEGINNING = re.compile(rf"[-−–—]*(?:{_FIELD.pattern})?")
_WHOLE_QUERY = re.compile(
    rf"{_SIGNS.pattern}|\s[-−–—]\S|\sOR\s|(?:^|\s)NOT\s"
    rf"|\s{_FIELD.pattern.replace('?P<field>', '?:')}\S"
)


def parse(text: str) -> Query:
    """Read a query; never raises, and `parse(str(query)) == query`.

    What holds no word is left out, as is what follows the first `MAX_CLAUSES` words, phrases and
    fields. A sentence without any of the language's signs is one description.
    """
    parser = _Parser(_SURROGATES.sub("\ufffd", text).translate(_CLEAN))
    query = _pruned(parser.query(), MAX_NESTING)
    description = _description(parser.text) if parser.is_plain else ""
    if not description and all(clause == Clause(clause.text) for clause in query.clauses):
        # Signs that mean nothing where they stand are gone when it is written out.
        description = _description(str(query))
    return Query((Clause(description, field=Field.ABOUT),)) if description else query


def requoted(argument: str) -> str:
    """Return a shell's argument as a query: the quotes that kept its words together are back.

    One that is a query of several parts, or a description, stays as it is.
    """
    if len(argument.split()) < 2 or _WHOLE_QUERY.search(argument):
        return argument
    if any(clause.field is Field.ABOUT for clause in parse(argument).clauses):
        return argument
    beginning = _BEGINNING.match(argument)
    at = beginning.end() if beginning else 0
    return f'{argument[:at]}"{argument[at:]}"'


def with_compounds(clauses: Sequence[Clause]) -> list[Clause]:
    """Make one phrase of words side by side that are one thing: "hot dog"."""
    joined: list[Clause] = []
    at = 0
    while at < len(clauses):
        words = [c.text for c in takewhile(_is_one_word, clauses[at : at + MAX_COMPOUND_WORDS])]
        length, _ = analysis.first_compound(words)
        joined.append(Clause(" ".join(words[:length])) if length else clauses[at])
        at += max(1, length)
    return joined


def _is_one_word(clause: Clause) -> bool:
    return clause == Clause(clause.text) and len(analysis.terms(clause.text)) == 1


class _Parser:
    """Reads a cleaned text once, from left to right."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.is_plain = True
        """Whether all that was read so far are words."""
        self._at = 0
        self._open = 0
        self._ignored = 0
        self._left = MAX_CLAUSES

    def query(self) -> Query:
        """Read up to the parenthesis that closes what is being read, or to the end."""
        sides: list[list[Query]] = [[]]
        is_excluded = False
        while self._left and (match := _UNIT.search(self.text, self._at)):
            self._at = match.end()
            if match["mark"] == ")":
                if self._ignored:
                    self._ignored -= 1
                elif self._open:
                    break
            elif match["mark"] == "|" or self._is_operator(match, "OR"):
                self.is_plain = False
                if sides[-1]:
                    sides.append([])
            elif self._is_operator(match, "NOT"):
                self.is_plain = False
                is_excluded = True
            elif unit := self._unit(match):
                sides[-1].append(Query(_group([unit], negated=True)) if is_excluded else unit)
                is_excluded = False
        return _alternatives(sides)

    def _is_operator(self, match: re.Match[str], name: str) -> bool:
        word = match["word"]
        if match["minus"] or not word or name not in word:
            return False
        start, end = _words_range(word)
        return word[start:end] == name and not word.startswith("*", end)

    def _unit(self, match: re.Match[str]) -> Query:
        """Return what the parenthesis, phrase, field or word that begins with `match` means."""
        negated = bool(match["minus"])
        if match["mark"]:
            self.is_plain = False
            return self._parenthesis(negated)
        clause = self._phrase(match) if match["word"] is None else self._word(match)
        if clause is None:
            return Query()
        self._left -= 1
        self.is_plain &= not (negated or clause.field or clause.phrase or clause.prefix)
        return Query((clause.opposite() if negated else clause,))

    def _parenthesis(self, negated: bool) -> Query:
        if self._open == _MAX_OPEN:
            self._ignored += 1
            return Query()
        self._open += 1
        inner = self.query()
        self._open -= 1
        return Query(_group([inner], negated))

    def _phrase(self, match: re.Match[str]) -> Clause | None:
        self.is_plain = False
        words = _spaced(match["phrase"])
        start, end = _words_range(words)
        return Clause(words[start:end], True, prefix=bool(match["star"])) if end else None

    def _word(self, match: re.Match[str]) -> Clause | None:
        word = match["word"]
        start, end = _words_range(word)
        if not end:
            return None
        begin = match.start("word") + start
        reads_as_field = _FIELD.match(self.text, begin)
        if reads_as_field:
            field = Field(reads_as_field["field"].lower())
            value = _VALUE.match(self.text, reads_as_field.end())
            clause = value and _field_clause(field, value)
            if value and clause:
                self._at = value.end()
                return clause
        shown = word[start:end]
        # Written out it must not read as what it is not.
        literal = shown in ("OR", "NOT") or bool(_FIELD.match(shown))
        return Clause(shown, literal, prefix=word.startswith("*", end))


def _field_clause(field: Field, value: re.Match[str]) -> Clause | None:
    """Return the clause of a field, or None where its value makes no sense."""
    quoted, bare = value["quoted"], value["bare"]
    text = _spaced(bare if quoted is None else quoted)
    start, end = _words_range(text)
    words = text[start:end]
    if field in _EXACT_VALUES:
        # Behind the value may stand what belongs to the sentence around it.
        return next(
            (
                Clause(shown, field=field)
                for shown in (_EXACT_VALUES[field](text), _EXACT_VALUES[field](words))
                if shown
            ),
            None,
        )
    if not words:
        return None
    if field is Field.ABOUT:
        return Clause(_first_words(words), field=field)
    prefix = text.startswith("*", end) if quoted is None else bool(value["star"])
    if field in (Field.IN, Field.NAME):
        # A folder may be given from the root or the home folder on, a name by how it ends.
        exact = text if quoted is not None else text.rstrip("*,;")
        return Clause(exact, field=field, prefix=prefix)
    # What has to be quoted when written out comes back as such.
    literal = quoted is not None or bool(_SIGNS.search(words))
    literal &= field in (Field.TAG, Field.VIEW)
    return Clause(words, literal, field=field, prefix=prefix)


def _date(text: str) -> str:
    compact = "".join(text.split())
    return compact if date_range(compact) else ""


def _stars(text: str) -> str:
    compact = "".join(text.split())
    return compact if stars_range(compact) else ""


def _type(text: str) -> str:
    return text.lower().removeprefix(".") if file_formats(text) else ""


def _photo_id(text: str) -> str:
    return str(int(text)) if re.fullmatch("[0-9]{1,18}", text) else ""


_EXACT_VALUES = MappingProxyType(
    {
        Field.DATE: _date,
        Field.STARS: _stars,
        Field.TYPE: _type,
        Field.HAS: knowable,
        Field.NO: knowable,
        Field.LIKE: _photo_id,
    }
)


def _description(text: str) -> str:
    """Return `text` cleaned if it reads as a sentence, else nothing."""
    words = text.split()
    text = " ".join(words)
    # Signs may stand behind the last clause that was read.
    if len(words) < _MIN_CONTENT_WORDS + _MIN_FUNCTION_WORDS or _SIGNS.search(text):
        return ""
    tokens = analysis.tokenize(text)
    functional = sum(analysis.is_stop_word(token.surface) for token in tokens)
    content = len(tokens) - functional
    if (
        content >= _MIN_CONTENT_WORDS
        and functional >= _MIN_FUNCTION_WORDS
        and functional >= _MIN_FUNCTION_SHARE * len(tokens)
    ):
        return _first_words(text[tokens[0].start : tokens[-1].end])
    return ""


def _first_words(text: str) -> str:
    """Cut at `MAX_DESCRIPTION_WORDS`."""
    tokens = analysis.tokenize(text)[:MAX_DESCRIPTION_WORDS]
    return text[: tokens[-1].end]


def _spaced(text: str) -> str:
    return " ".join(text.split())


def _words_range(text: str) -> tuple[int, int]:
    """Return where the first word of `text` begins and the last one ends; 0, 0 without any."""
    tokens = analysis.tokenize(text)
    return (tokens[0].start, tokens[-1].end) if tokens else (0, 0)


def _alternatives(sides: Iterable[Sequence[Query]]) -> Query:
    """Join the neighbours of each OR, that is between two `sides`."""
    clauses: list[Clause] = []
    open_group: list[Query] = []
    for side in sides:
        units = _compounded(side)
        if not units:
            continue
        open_group.append(units[0])
        if len(units) > 1:
            clauses += _group(open_group)
            clauses += (clause for unit in units[1:-1] for clause in unit.clauses)
            open_group = [units[-1]]
    return _query([*clauses, *_group(open_group)])


def _query(clauses: Iterable[Clause]) -> Query:
    now = tuple(clauses)
    # What is said twice may have stood between two words of a compound.
    while (joined := tuple(dict.fromkeys(with_compounds(now)))) != now:
        now = joined
    return Query(now)


def _compounded(units: Sequence[Query]) -> list[Query]:
    """Join compounds among `units`; others stay as they are."""
    found: list[Query] = []
    words: list[Clause] = []
    for unit in (*units, Query()):
        if len(unit.clauses) == 1:
            words.append(unit.clauses[0])
            continue
        found += (Query((clause,)) for clause in with_compounds(words))
        words.clear()
        found += (unit,) if unit else ()
    return found


def _group(queries: Iterable[Query], negated: bool = False) -> tuple[Clause, ...]:
    """Return clauses that match what any of `queries` matches, or what none of them does."""
    unique = tuple(dict.fromkeys(query for query in queries if query))
    if not unique:
        return ()
    if len(unique) > 1:
        return (Clause(any_of=unique, negated=negated),)
    clauses = unique[0].clauses
    if not negated:
        return clauses
    if len(clauses) > 1:
        return (Clause(any_of=unique, negated=True),)
    opposite = clauses[0].opposite()
    is_plain_group = not opposite.negated and len(opposite.any_of) == 1
    return opposite.any_of[0].clauses if is_plain_group else (opposite,)


def _pruned(query: Query, depth: int) -> Query:
    """Return `query` without groups that are nested more than `depth` deep."""
    clauses: list[Clause] = []
    for clause in query.clauses:
        if not clause.any_of:
            clauses.append(clause)
        elif depth:
            inner = [_pruned(alternative, depth - 1) for alternative in clause.any_of]
            clauses += _group(inner, clause.negated)
    return _query(clauses)
