"""What a language model wrote, made into a caption: less markup, chatter and half sentences.

Only what says nothing of the picture goes; where it is doubtful that something does, it stays.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterator
from difflib import SequenceMatcher

# Text that still changes after so many rounds is nested nonsense, not a description.
_MOST_ROUNDS = 40
# Far beyond any caption; bounds the work on a model that does not stop.
_LONGEST = 40_000
# Joiners shape words in Indic scripts and Persian, and emoji.
_JOINERS = "\u200c\u200d"
_NEWLINES = str.maketrans(dict.fromkeys("\v\f\x1c\x1d\x1e\x85\u2028\u2029", "\n"))

_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
_ENTITY = re.compile(r"&(?:[a-zA-Z][a-zA-Z0-9]{1,31}|#\d{1,7}|#[xX][0-9a-fA-F]{1,6});")

_ATTRIBUTE = r"""\s+[a-zA-Z_:][\w:.-]*\s*=\s*(?:"[^"<>]*"|'[^'<>]*'|[^\s"'<>=]+)"""
_BLOCK_TAG = re.compile(
    r"</?(?:address|article|aside|blockquote|body|br|caption|center|dd|div|dl|dt|figcaption|figure"
    r"|footer|form|h[1-6]|head|header|hr|html|li|main|nav|ol|p|pre|section|table|tbody|td|tfoot|th"
    rf"|thead|tr|ul)(?:{_ATTRIBUTE})*\s*/?>",
    re.IGNORECASE,
)
_INLINE_TAG = re.compile(
    r"</?(?:a|abbr|answer|b|bdi|bdo|big|box|button|cite|code|del|details|em|font|i|img|input|ins"
    r"|kbd|label|link|mark|meta|q|ref|s|samp|small|span|strike|strong|sub|summary|sup|tt|u|var)"
    rf"(?:{_ATTRIBUTE})*\s*/?>",
    re.IGNORECASE,
)
_HIDDEN = re.compile(
    r"<(script|style|title)\b[^<>]*>.*?(?:</\1\s*>|\Z)|<!--.*?(?:-->|\Z)|<!doctype[^<>]*>",
    re.IGNORECASE | re.DOTALL,
)
# Reasoning models think aloud first; some templates open the block in the prompt.
_THOUGHT = re.compile(r"\A(?:.*</think(?:ing)?>|\s*<think(?:ing)?>.*)", re.IGNORECASE | re.DOTALL)

# What ends a turn in the chat formats of LLaVA, ChatML, Llama 2 and 3, Gemma, Phi, SmolVLM.
_TURN_END = re.compile(
    r"</s>|<\|(?:im_end|end|eot_id|eot|endoftext|end_of_text|end_of_turn)\|>|<end_of_turn>"
    r"|<end_of_utterance>|<eos>|<｜end▁of▁sentence｜>|\[INST\]",
    re.IGNORECASE,
)
_TOKEN = re.compile(
    r"<\|[^<>|\s]{1,40}\|>|<｜[^<>｜\s]{1,40}｜>"
    r"|</?(?:s|bos|eos|pad|unk|mask|image|img|video|audio|__media__|__image__|image_soft_token"
    r"|start_of_image|end_of_image|image_start|image_end|im_start|im_end|im_patch|vision_start"
    r"|vision_end|fake_token_around_image|global-img|row_\d+_col_\d+|start_of_turn|end_of_turn"
    r"|end_of_utterance|loc\d{4}|0x[0-9a-f]{2})>"
    r"|\[/?INST\]|<</?SYS>>",
    re.IGNORECASE,
)
_ASSISTANT = r"(?:ASSISTANT|Assistant|GPT|AI|Bot|<\|im_start\|>assistant|<start_of_turn>model)"
_FIRST_USER = re.compile(
    rf"\A\s*(?:#+ *)?(?:USER|User|Human|<\|im_start\|>user)\s*:?.{{0,4000}}?"
    rf"(?:#+ *)?(?:\b|(?=<)){_ASSISTANT}\s*:",
    re.DOTALL,
)
_FIRST_ROLE = re.compile(
    r"\A\s*(?:#+ *)?(?:(?:USER|User|Human|ASSISTANT|Assistant|GPT|AI|Bot)\s*:"
    r"|(?:<\|im_start\|>|<start_of_turn>|<\|start_header_id\|>)\s*(?:user|assistant|model)\b)\s*"
)
_NEXT_TURN = re.compile(
    r"(?:(?<=\n)|(?<=[.!?\"'] ))\s*(?:#+ *)?(?:(?:USER|ASSISTANT)\s*:|(?:Human|User|Assistant):)"
    r"(?=\s|\Z)"
)

_FENCE = re.compile(r"^ *(?:```+|~~~+) *[\w+-]* *$", re.MULTILINE)
_RULE = re.compile(r"\s*(?:(?:-\s*){3,}|(?:\*\s*){3,}|(?:_\s*){3,}|={3,})")
_TABLE_RULE = re.compile(r"\s*\|?(?:\s*:?-{2,}:?\s*\|)+(?:\s*:?-{2,}:?\s*)?")
_HEADING = re.compile(r"\s*#{1,6}\s+(?!\d)")
_BULLET = re.compile(r"\s*(?:>\s+)*(?:[-*+–—•‣▪▫●○◦·✓✔]\s+)")
_QUOTED_LINE = re.compile(r"\s*(?:>\s+)+")
_NUMBER = re.compile(r"\s*(?:\(\d{1,3}\)|\d{1,3}[.):]|[a-zA-Z]\))\s+(?=\S)")
_INLINE_NUMBER = re.compile(r"(?:\A|(?<=[.!?:;]\s))(?:\((\d{1,2})\)|(\d{1,2})[.)])\s+(?=\S)")
_LABEL = re.compile(
    r"\s*(?:(?:image|picture|photo|detailed|additional|generated|short|long|brief|full|final)\s+)*"
    r"(?:captions?|descriptions?|answer|response|beschreibung|bildbeschreibung|antwort)"
    r"(?:\s+\d{1,2})?\s*(?::\s*|\Z)",
    re.IGNORECASE,
)
_LINK = re.compile(r"!?\[([^\[\]\n]*)\]\((?:[^()\s]*)(?:\s+\"[^\"]*\")?\)")
# Emphasis, longest marks first; a mark inside a word, as in snake_case, is none.
_EMPHASIS = tuple(
    re.compile(
        rf"(?<![\w{mark[-1]}]){mark}(?=\S)([^\n{mark[-1]}]+?)(?<=\S){mark}(?![\w{mark[-1]}])"
    )
    for mark in (r"\*\*\*", r"\*\*", r"\*", "___", "__", "_", "~~", "```", "``", "`")
)
# A model stopped within **bold** leaves the mark that opened it.
_STRAY_MARK = re.compile(r"(?<!\S)(?:\*{2,3}|`{1,3})(?=\w)|(?<=[\w.:])(?:\*{2,3}|`{1,3})(?!\S)")

_AGREEING = r"(?:sure(?: thing)?|certainly|of course|absolutely|okay|ok|alright|no problem|gladly"
_AGREEING += r"|natürlich|gerne?|selbstverständlich|bien sûr|claro|por supuesto|certo)"
_CAPTIONS = (
    r"(?:captions?|descriptions?|describ\w+|beschreibung(?:en)?|bildunterschrift(?:en)?|légendes?"
    r"|descripci(?:ón|ones)|descrizion[ei]|descriç(?:ão|ões))"
)
_PARTS = r"(?:details|features|elements|observations|summary|keywords|tags|list|things)"
_PRESENTING = (
    r"(?:here(?:'s|’s| is| are)|below (?:is|are)|the following (?:is|are)"
    r"|i(?:'ll|’ll| will| can|'d be happy to|’d be happy to| would be happy to) (?:now )?"
    r"(?=describe|generate|provide|give|add|list)|hier (?:ist|sind|eine?)|voici"
    r"|aqu[ií] (?:está|tienes|hay)|ecco|aqui está)"
)
_AGREEMENT = re.compile(rf"\s*{_AGREEING}\s*[!.](?:\s+|\Z)", re.IGNORECASE)
_LEAD = re.compile(
    rf"\s*(?:{_AGREEING}[,!.]?\s+)?{_PRESENTING}\b[^.:!?]{{0,120}}"
    rf"(?:\b{_CAPTIONS}\b[^.:!?]{{0,120}}(?::|[.!](?=\s|\Z))|\b{_PARTS}\b[^.:!?]{{0,120}}:)\s*",
    re.IGNORECASE,
)
_CLOSING = re.compile(
    r"(?:i hope (?:this|that|these|it)\b.{0,80}(?:help|useful|what you)"
    r"|(?:please )?(?:let me know|feel free to (?:ask|let|reach|contact))\b"
    r"|if you (?:have|need|want|would like)\b.{0,60}\b(?:questions?|help|information|assistance"
    r"|details|anything|request|know|ask)\b"
    r"|(?:is there anything|do you have any|would you like me|do you want me)\b"
    r"|how (?:can|may) i help\b"
    r"|ich hoffe,? (?:das|dass|dies)\b.{0,40}(?:hilft|hilfreich)"
    r"|(?:please )?note that (?:i am|i'm|as an ai|this (?:description|caption))\b)",
    re.IGNORECASE,
)
_CAN_NOT = r"(?:can(?:no|['’])t|can not|(?:am|['’]m) (?:not able|unable)|won['’]t)"
_REFUSAL = re.compile(
    r"(?:(?:i(?:['’]m| am) (?:very |so |really )?sorry|sorry,? (?:but|i)|i apologi[sz]e"
    r"|my apologies|apologies,)(?!\w)"
    rf"|(?:unfortunately,? )?i ?{_CAN_NOT}\b.{{0,80}}\b(?:assist|help|see|view|provide|describe"
    r"|process|identify|access|analy[sz]e|fulfil|comply|generate|answer|open|display|look)"
    r"|as an? (?:ai|artificial intelligence|language model|text-based)\b"
    r"|(?:es tut mir leid|tut mir leid|entschuldigung|ich kann (?:dabei|das|dieses bild|keine))\b"
    r"|(?:désolé|je suis désolé|lo siento|mi dispiace|desculpe)\b)",
    re.IGNORECASE,
)
_NOTHING_NEW = re.compile(
    r"(?:no,? )?there (?:are|is|do not appear to be|don['’]t appear to be) (?:no|not any)? ?"
    r"(?:any )?(?:additional|other|further|more)\b.{0,40}\b(?:features?|details?|elements?"
    r"|captions?|information)\b.{0,60}\b(?:captions?|express|mention|describ|generat)",
    re.IGNORECASE,
)

_ENDS = ".!?…‥"
_FULL_ENDS = "。！？｡؟۔।॥።⸮"
_CLOSERS = "\"'”’»›)]}」』）"
_SENTENCE_END = re.compile(
    rf"[{re.escape(_ENDS)}]+[{re.escape(_CLOSERS)}]*(?=\s|\Z)"
    rf"|[{_FULL_ENDS}]+[{re.escape(_CLOSERS)}]*"
)
_ABBREVIATED = re.compile(
    r"(?:\b(?:mr|mrs|ms|dr|prof|st|no|nr|vs|etc|approx|incl|ca|fig|jr|sr|inc|ltd|co|bzw|usw|str|mme"
    r"|sra?|avda?)|\b[^\W\d_](?:\.[^\W\d_])*)\.\Z",
    re.IGNORECASE,
)
_WORD = re.compile(r"\w+")
# A phrase this often in a row is a model that is caught in a loop, not emphasis.
_LOOPS = 4
_LONGEST_LOOP = 24
_STUTTER = re.compile(r"((?:[^\W\d_]|[、，。]){1,12}?)\1{7,}")
# Words of a sentence that it must share with the prompt, in order, to be its echo.
_ECHO_RATIO = 0.8
_ECHO_WORDS = 4


def clean(raw: str, *, ended: bool, question: str) -> str:
    """Return `raw` as a caption: one line of text, or empty if it says nothing of the picture.

    `ended` is False when the model was stopped: a half sentence at the end is cut, or, where it is
    the only one, its last word. `question` is what the model was asked. Never longer than `raw`;
    cleaning twice changes nothing more.
    """
    text = _characters(raw[:_LONGEST])
    for _ in range(_MOST_ROUNDS):
        cleaned = _characters(_once(text, ended=ended, question=question))
        if cleaned == text:
            return text if _says_something(text) else ""
        text = cleaned
    return ""


def _once(text: str, *, ended: bool, question: str) -> str:
    text = _ENTITY.sub(lambda found: html.unescape(found[0])[: len(found[0])], text)
    text = _line(_markup_gone(_own_turn(text)))
    text = _unasked(_unstuttered(text), question)
    if not ended:
        text = _finished(text)
    return _worth_saying(text)


def _characters(text: str) -> str:
    text = _ANSI.sub("", text.replace("\r\n", "\n").replace("\r", "\n")).translate(_NEWLINES)
    kept = "".join(_character(ch) for ch in text)
    kept = re.sub(r" *\n *", "\n", re.sub(r"  +", " ", kept))
    return kept.strip(" \n" + _JOINERS)


def _character(ch: str) -> str:
    if ch.isascii() and (ch.isprintable() or ch == "\n"):
        return ch
    if ch == "\t":
        return " "
    if ch == "\ufffd":
        # The sign of bytes that were no UTF-8.
        return ""
    category = unicodedata.category(ch)
    if category == "Zs":
        return " "
    return "" if category[0] == "C" and ch not in _JOINERS else ch


def _says_something(text: str) -> bool:
    return any(
        unicodedata.category(ch)[0] in "LN" or unicodedata.category(ch) == "So" for ch in text
    )


def _own_turn(text: str) -> str:
    """Cut off the turns of a conversation that the model wrote on by itself, and its thoughts."""
    text = _THOUGHT.sub("", text)
    text = _FIRST_ROLE.sub("", _FIRST_USER.sub("", text))
    for pattern in (_TURN_END, _NEXT_TURN):
        end = pattern.search(text)
        if end is not None and _says_something(_TOKEN.sub("", text[: end.start()])):
            text = text[: end.start()]
    return _TOKEN.sub("", text)


def _markup_gone(text: str) -> str:
    text = _HIDDEN.sub("", text)
    text = _INLINE_TAG.sub("", _BLOCK_TAG.sub("\n\n", text))
    text = _LINK.sub(r"\1", _FENCE.sub("", text))
    for pattern in _EMPHASIS:
        text = pattern.sub(r"\1", text)
    return _STRAY_MARK.sub("", text)


def _line(text: str) -> str:
    """Join lines: those of a paragraph by spaces, paragraphs, headings and items as sentences."""
    lines = text.split("\n")
    numbered = sum(_NUMBER.match(line) is not None for line in lines) > 1
    joined = ""
    apart = True
    for line in lines:
        if not line.strip() or _RULE.fullmatch(line):
            apart = True
            continue
        if _TABLE_RULE.fullmatch(line):
            continue
        content, of_its_own = _content(line, numbered=numbered)
        if not content:
            apart = True
            continue
        if joined:
            ended = joined[-1] in _ENDS + _FULL_ENDS + _CLOSERS + ":;,-–—"
            joined += ". " if (apart or of_its_own) and not ended else " "
        joined += content
        apart = of_its_own
    return _unnumbered(joined)


def _content(line: str, *, numbered: bool) -> tuple[str, bool]:
    """Return what a line says, and whether it stands by itself: heading, item or table row."""
    if line.strip().startswith("|") and line.strip().endswith("|") and line.count("|") > 2:
        row = ", ".join(filter(None, (cell.strip() for cell in line.split("|"))))
        # A row of single letters would grow.
        return (row if len(row) <= len(line) else row.replace(", ", " ")), True
    content = line
    for pattern in (_HEADING, _BULLET, _QUOTED_LINE, _NUMBER):
        if pattern is not _NUMBER or numbered:
            content = pattern.sub("", content, count=1) if pattern.match(content) else content
    of_its_own = content != line
    return _LABEL.sub("", content, count=1) if _LABEL.match(
        content
    ) else content.strip(), of_its_own


def _unnumbered(text: str) -> str:
    """Take off the numbers of a list that is written in one line."""
    numbers = [int(found[1] or found[2]) for found in _INLINE_NUMBER.finditer(text)]
    if len(numbers) < 2 or numbers != list(range(1, len(numbers) + 1)):
        return text
    return _INLINE_NUMBER.sub("", text)


def _unstuttered(text: str) -> str:
    """Say once what is said over and over without a pause."""
    words = _STUTTER.sub(r"\1", text).split(" ")
    for period in range(1, _LONGEST_LOOP + 1):
        kept: list[str] = []
        run = 0
        for word in [*words, None]:
            same = word is not None and len(kept) >= period and kept[-period] == word
            if not same and run >= period * (_LOOPS - 1):
                del kept[-run:]
            run = run + 1 if same else 0
            if word is not None:
                kept.append(word)
        words = kept
    return " ".join(words)


def _unasked(text: str, question: str) -> str:
    """Take off the beginning that repeats the question or only announces the answer."""
    text = text.lstrip(" :;,")
    if len(text) > 1 and text[0] == text[-1] == '"' and text.count('"') == 2:
        text = text[1:-1]
    text = _without_echo(text, question)
    for pattern in (_LEAD, _AGREEMENT, _LABEL):
        if found := pattern.match(text):
            text = text[found.end() :]
    return text


def _without_echo(text: str, question: str) -> str:
    asked = _WORD.findall(question.casefold())
    if not asked:
        return text
    end = 0
    words: list[str] = []
    for found in _WORD.finditer(text):
        words.append(found[0].casefold())
        end = found.end()
        if len(words) == len(asked):
            break
    if words == asked:
        rest = text[end:]
        # "What is this?" may begin an answer that goes on; a prompt echoed whole ends as it does.
        if not rest or not (rest[0].isalnum() or rest.startswith(" ")) or len(asked) >= _ECHO_WORDS:
            return rest.lstrip(" .!?:;," + _CLOSERS)
    if len(asked) < _ECHO_WORDS:
        return text
    is_question = question.rstrip().endswith("?")
    matcher = SequenceMatcher(None, b=asked, autojunk=False)
    read = 0
    for sentence in _sentences(text):
        read += len(sentence)
        said = _WORD.findall(text[:read].casefold())
        if len(said) > 2 * len(asked) + 4:
            break
        matcher.set_seq1(said)
        # A statement may be close to the question that it answers.
        alike = is_question == sentence.rstrip().endswith("?")
        if alike and matcher.ratio() >= _ECHO_RATIO:
            return text[read:]
    return text


def _sentences(text: str) -> Iterator[str]:
    """Yield the sentences of `text` with the spaces after them; joined they are `text` again."""
    start = 0
    for found in _SENTENCE_END.finditer(text):
        rest = found.end()
        while rest < len(text) and text[rest] == " ":
            rest += 1
        if found[0][0] == "." and rest < len(text):
            before = text[max(start, found.start() - 12) : found.start() + 1]
            if _ABBREVIATED.search(before):
                continue
        yield text[start:rest]
        start = rest
    if start < len(text):
        yield text[start:]


def _ends(sentence: str) -> bool:
    bare = sentence.rstrip(" " + _CLOSERS)
    return bare != "" and bare[-1] in _ENDS + _FULL_ENDS


def _finished(text: str) -> str:
    """Cut a half sentence at the end; of a single one only the word that may be half."""
    text = text.rstrip(" ")
    sentences = list(_sentences(text))
    if not sentences or _ends(sentences[-1]):
        return text
    if said := "".join(sentences[:-1]).rstrip(" "):
        return said
    words = text.split(" ")
    if len(words) == 1:
        return text
    bare = (" ".join(words[:-1]) if text[-1].isalnum() else text[:-1]).rstrip(" .,;:-–—(\"'")
    return bare + "…" if bare else text


def _worth_saying(text: str) -> str:
    """Say each sentence once, and leave out refusals and what is said to the user."""
    kept: list[str] = []
    said: set[tuple[str, ...]] = set()
    for sentence in _sentences(text):
        words = tuple(_WORD.findall(sentence.casefold()))
        if words and (words in said or _REFUSAL.match(sentence) or _NOTHING_NEW.match(sentence)):
            continue
        said.add(words)
        kept.append(sentence)
    while kept and _CLOSING.match(kept[-1]):
        kept.pop()
    return "".join(kept)
