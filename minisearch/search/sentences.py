"""Splits a passage into sentences, without its markup, and says of what kind each is.

A passage's text comes in, with the headings above it; spans go out.  Lines that are no prose are recognised
by their form: front matter, headings, items of lists, rows of tables, code, docstrings and comments, the
directives of reStructuredText, headers and greetings of mail, captions, references.  Where a sentence ends
within its paragraph is left to `text`, which of them answers a query to `evidence`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

from minisearch.search.lines import (
    CODE_DIRECTIVES,
    CODE_LINE,
    DIRECTIVE,
    end_of_fields,
    fence_after,
    fence_before,
    is_line_by_line,
    is_row,
)
from minisearch.text import LETTER_OR_DIGIT, LINE_BREAK, UNSPACED, sentence_starts

MAX_SENTENCE_CHARACTERS = 600  # a longer sentence is cut: it would fill eight lines of a terminal

Span = tuple[int, int]
Kind = Literal["prose", "code", "question", "lead-in", "title", "aside", "heading"]


class Sentence(NamedTuple):
    """A sentence of a passage: its span, its kind, the number of its block.

    A lead-in ends with a colon.  A title is a short line by itself with text below.  An aside is no answer:
    a caption, a reference, a greeting, the header of a mail or of a table, the name of another place.
    A block is an item of a list, a row of a table, a line of records, or else the lines between two blank
    ones.
    """

    start: int
    end: int
    kind: Kind
    block: int


WORD = re.compile(rf"[{UNSPACED}]|[^\W_{UNSPACED}]+")

INLINE_CODE = re.compile(r"(?<![:`])(`+)[^`]+\1(?![`_])")  # not the roles and links of reStructuredText
ADDRESS = re.compile(r"<?\bhttps?://[^\s>]+>?")
MIN_WORDS_AT_ADDRESS = 3  # "More information: <address>" says nothing

UNDERLINE = re.compile(r"([^\w\s])\1{2,}[ \t]*")
TABLE_RULE = re.compile(r"[ \t]*\|?[ \t]*:?-{3,}[-:| \t]*")
ATX_HEADING = re.compile(r" {0,3}#{1,6}[ \t]")
NUMBERED_HEADING = re.compile(r"[ \t]*\d+(?:\.\d+)+\.?[ \t]+[^\W\d_][^.!?:;]{2,70}")
NUMBERING = (  # not a German date
    r"\d{1,9}[.)](?![ \t]+(?:Januar|Jänner|Februar|März|April|Mai|Juni|Juli|August|September|Oktober|November"
    r"|Dezember)\b)"
)
ITEM_OR_ROW = re.compile(rf"[ \t]*(?:(?:[-*+•]|\[[ xX]\]|#\.|[a-z]\)|o(?=[ \t]+[a-z])|{NUMBERING})[ \t]|\|)")
FIELD_OR_ARGUMENT = re.compile(r"[ \t]*(?::\w[\w \t]*:|\w+[ \t]?\([^()\n]*\):)[ \t]+\S")  # ":param x: y"
# "tom: y", "x -- y", and columns such as "bike lock    7-0-3-9"
LABEL = re.compile(r"[ \t]*(?:[\w*'-]+[ \t]--?(?=[ \t])|\w+:|\w\S*(?:[ ]\S+){0,3}[ ]{2})[ \t]+\S")
MIN_LABELS = 2
REST_OF_ROW = re.compile(r"[ \t]*\|[ \t]+\|")  # its first cell is in a line above
MARKS = re.compile(  # at the beginning of such a line
    rf"[ \t]*(?:(?:[-*+•>#]+|#\.|[a-z]\)|o(?=[ \t]+[a-z])|{NUMBERING}|//+|\.\.[ \t]+[\w-]+::)[ \t]+"
    r"|[rbf]?(?:\"{3}|'{3})[ \t]*|\|[ \t]*)*"
)
TARGET_OR_OPTION = re.compile(r"[ \t]*(?:\.\.[ \t]+_.*:.*|:[\w-]+:(?:[ \t]+\S*)?[ \t]*)")


DOCSTRING = re.compile(r"\"{3}|'{3}")
COMMENT_OF_SCRIPT = re.compile(r"#(?!#)")
COMMENT = re.compile(r"[ \t]*(?:#(?!!)|//|--[ ]|/?\*+[ ])")


MAIL_HEADER = re.compile(
    r"(?:From|To|Cc|Bcc|Subject|Date|Sent|Reply-To|Message-ID|Von|An|Betreff|Datum|Gesendet): .*"
)
MIN_MAIL_HEADERS = 2
ASIDE = re.compile(
    r"""(?: (?:Figure|Fig\.|Table|Listing|Abbildung|Abb\.|Tabelle)\s+\d+[.:].*           # captions
      | \[[\w#]+\]_?\s.* | \[\^[\w-]+\]:.* | [A-Z][\w'-]+,\s(?:[A-Z]\.[ ]?)+.*\(\d{4}\).*     # references
      | (?:Dear|Hi|Hello|Hallo|Liebe[rs]?|Sehr\s+geehrte\w*)\b[^.!?,]{0,40}[,!]?          # greetings
      | (?:(?:Best|Kind|Many|Warm)\s)?(?:wishes|regards|Regards|Thanks|Cheers)\b[^.\n]{0,20}
        (?:\n[^.\n]{0,40}){0,3}                                                          # and a signature
      | (?:Mit\s(?:freundlichen|besten)\sGrüßen|(?:Viele|Beste|Liebe)\sGrüße),?(?:\n[^.\n]{0,40}){0,3}
      | On\s.*\swrote: | Am\s.*\sschrieb\s.*:
      | (?:See|Siehe)\s(?:also|auch)\b.* | (?:More|Further)\s(?:information|reading)\b.*    # pointers
      | For\s(?:(?:more|further|additional)\s)?(?:details|information)\b.*
      | (?:(?:Prev|Previous|Next|Up|Home)\b[\s|]*)+
      | .*(?:\.[ ]){5,}.* )""",  # a table of contents
    re.VERBOSE | re.DOTALL,
)
MAX_TITLE_WORDS = 10
MAX_TITLE_DIGITS = 8  # a date
NO_TITLE = re.compile(r": |[/\\=_{}$<>|]|\s--?\w")  # "October: added proxies", "borg list /mnt"
MAX_ASIDE_CHARACTERS = 200
LOWER_START = re.compile(r"(?<=[a-z0-9)]{3}[.!?])\s+(?=[a-z])")


def sentences(text: str, *, heading: str = "") -> list[Span]:
    """The spans of a text's sentences, in order, not empty, without overlap.

    Each item of a list, row of a table and line of code is a sentence, without its marks; the lines of a
    wrapped paragraph are joined.  Headings and asides are left out unless there is nothing else; so are front
    matter, bare commands and addresses if there is anything in words.
    """
    every = kinds_of_sentences(text, heading=heading)
    said = [one for one in every if one.kind not in {"heading", "aside"}]
    return [(one.start, one.end) for one in said or every]


def kinds_of_sentences(text: str, *, heading: str = "") -> list[Sentence]:
    """The same sentences with their kinds, and the asides among them; headings if there is nothing else."""
    for start in dict.fromkeys([end_of_fields(text), 0]):
        units = _Units(text, start, heading)
        found = units.sentences()
        worded = [one for one in found if not _is_bare(text[one.start : one.end], one.kind == "code")]
        if any(one.kind not in {"code", "aside"} for one in worded):
            return worded
    for start, end in units.headings if not found else ():
        found += [Sentence(*span, "heading", 0) for span in _split(text, start, end, is_code=False)]
    return found or [Sentence(*span, "prose", 0) for span in _pieces(text, 0, len(text))[:1]]


def _is_bare(sentence: str, is_code: bool) -> bool:
    """Whether it is only inline code, an address or one word of code."""
    if is_code:
        return len(WORD.findall(sentence)) < 2
    without_code = INLINE_CODE.sub(" ", sentence)
    without_addresses = ADDRESS.sub(" ", without_code)
    n_least = 1 if without_addresses == without_code else MIN_WORDS_AT_ADDRESS
    return without_addresses != sentence and len(WORD.findall(without_addresses)) < n_least


class _Unit(NamedTuple):
    """A paragraph, an item of a list, a row of a table, or a line of code."""

    start: int
    end: int
    is_code: bool
    is_aside: bool
    paragraph: int
    block: int


class _Units:
    """The units of a text in order; its headings apart."""

    def __init__(self, text: str, start: int, heading: str) -> None:
        self.units: list[_Unit] = []
        self.headings: list[Span] = []
        self._text = text
        self._titles = {_title(part) for part in heading.split(" > ")} - {""}
        self._paragraph = 0
        self._block = 0
        self._is_open = False  # whether the next line may continue the last unit
        self._is_comment = False  # whether the last unit is a comment
        self._is_line_by_line = False  # whether each line of this paragraph is a unit
        self._has_records = False  # whether each is a block too, since few are whole sentences
        self._is_labelled = False  # whether its lines with labels are units
        self._fence = fence_before([text[a:b] for a, b in _lines(text, start)])
        self._code_margin: int | None = None  # lines of the open literal block are indented more than this
        for paragraph, is_docstring in _paragraphs(text, start):
            lines = [text[start:end] for start, end in paragraph]
            is_code = not is_docstring and _is_code(lines)
            self._is_line_by_line = not is_docstring and is_line_by_line(lines)
            n_whole = sum(line.rstrip().endswith((".", "!", "?")) for line in lines)
            self._has_records = self._is_line_by_line and 2 * n_whole < len(lines)
            self._is_labelled = _n_matching(LABEL, lines) >= MIN_LABELS
            is_mail = _n_matching(MAIL_HEADER, lines) >= MIN_MAIL_HEADERS
            n_before = len(self.units) + len(self.headings)
            for (start, end), below in zip(paragraph, [*lines[1:], ""], strict=True):
                if is_mail and MAIL_HEADER.match(text, start, end):
                    self._put(start, end, is_aside=True)
                else:
                    self._add(start, end, below, is_code)
            self._is_open = self._is_comment = False
            self._paragraph += 1
            self._block += len(self.units) + len(self.headings) > n_before  # not after a directive alone

    def sentences(self) -> list[Sentence]:
        """The units' sentences."""
        found: list[Sentence] = []
        paragraphs = [unit.paragraph for unit in self.units]
        for unit in self.units:
            is_alone = paragraphs.count(unit.paragraph) == 1 and unit.paragraph != paragraphs[-1]
            is_aside = unit.is_aside or _is_aside(self._text, unit)
            for span in _split(self._text, unit.start, unit.end, is_code=unit.is_code):
                kind = "aside" if is_aside else _kind(self._text[slice(*span)], unit.is_code)
                is_led_to = bool(found) and found[-1].kind == "lead-in"
                is_short_line = is_alone and not is_led_to and span[1] >= unit.end
                if kind == "prose" and is_short_line and _is_title(self._text, *span):
                    kind = "title"
                found.append(Sentence(*span, kind, unit.block))
        return found

    def _put(self, start: int, end: int, *, is_code: bool = False, is_aside: bool = False) -> None:
        self.units.append(_Unit(start, end, is_code, is_aside, self._paragraph, self._block))

    def _continue(self, end: int) -> None:
        self.units[-1] = self.units[-1]._replace(end=end)

    def _add(self, start: int, end: int, below: str, is_code: bool) -> None:
        line = self._text[start:end]
        was_open, self._is_open = self._is_open, False
        was_comment, self._is_comment = self._is_comment, False
        above = LINE_BREAK.split(self._text[slice(*self.units[-1][:2])])[-1] if was_open else ""
        fence, self._fence = self._fence, fence_after(line, self._fence, above)
        if self._fence != fence:
            return
        if not LETTER_OR_DIGIT.search(line):
            if was_open and UNDERLINE.fullmatch(line) and self._is_one_line():
                self.headings.append(self.units.pop()[:2])
        elif TARGET_OR_OPTION.fullmatch(line) and not self._fence:
            return
        elif self._fence or self._is_literal(line) or is_code:
            self._is_comment = _is_comment(line, was_comment=was_comment)
            if was_comment and self._is_comment:
                self._continue(end)
            else:
                self._put(start, end, is_code=not self._is_comment)
        elif ATX_HEADING.match(line) or _title(line) in self._titles or self._is_heading(line, was_open):
            self.headings.append((start, end))
        elif _is_header(line, below) or (line.lstrip().startswith("|") and TABLE_RULE.fullmatch(below)):
            self._put(start, end, is_aside=True)
        elif directive := DIRECTIVE.fullmatch(line):
            self._code_margin = _indentation(line) if directive[1] in CODE_DIRECTIVES else None
        else:
            self._add_prose(start, end, line, was_open)

    def _add_prose(self, start: int, end: int, line: str, was_open: bool) -> None:
        is_item_or_row = ITEM_OR_ROW.match(line) is not None or is_row(line)
        is_apart = (
            is_item_or_row
            or self._is_line_by_line
            or FIELD_OR_ARGUMENT.match(line)
            or (self._is_labelled and LABEL.match(line))
        )
        is_rest = (
            self.units and REST_OF_ROW.match(line) and not self._text[self.units[-1].end : start].strip()
        )
        if is_rest or (was_open and not is_apart):
            self._continue(end)
        else:
            self._block += is_item_or_row or self._has_records
            self._put(start, end)
        if line.rstrip().endswith("::"):
            self._code_margin = _indentation(line)
        self._is_open = not (line.lstrip().startswith("|") or is_row(line))  # a row ends with its line

    def _is_heading(self, line: str, was_open: bool) -> bool:
        return not was_open and NUMBERED_HEADING.fullmatch(line) is not None

    def _is_one_line(self) -> bool:
        return not LINE_BREAK.search(self._text, *self.units[-1][:2])

    def _is_literal(self, line: str) -> bool:
        """Whether a line belongs to the open literal block."""
        if self._code_margin is not None and _indentation(line) <= self._code_margin:
            self._code_margin = None
        return self._code_margin is not None


def _is_aside(text: str, unit: _Unit) -> bool:
    """Whether a unit is one, such as a caption of two sentences."""
    if unit.is_code or unit.end - unit.start > MAX_ASIDE_CHARACTERS:
        return False
    marks = MARKS.match(text, unit.start, unit.end)
    assert marks  # it matches the empty string too
    return ASIDE.fullmatch(text, marks.end(), unit.end) is not None


def _kind(sentence: str, is_code: bool) -> Kind:
    if is_code:
        return "code"
    if ASIDE.fullmatch(sentence):
        return "aside"
    if sentence.rstrip("\"')”").endswith(("?", "？")):
        return "question"
    return "lead-in" if sentence.endswith((":", "：")) else "prose"


def _is_title(text: str, start: int, end: int) -> bool:
    """Whether it is a short line without a stop or a long number, such as that of a telephone."""
    sentence = text[start:end]
    return (
        not LINE_BREAK.search(sentence)
        and sentence[-1] not in ".!?:;,。！？"
        and not NO_TITLE.search(sentence)
        and len(sentence.split()) <= MAX_TITLE_WORDS
        and sum(map(str.isdigit, sentence)) <= MAX_TITLE_DIGITS
        and not is_row(sentence)
        and not ITEM_OR_ROW.match(text, text.rfind("\n", 0, start) + 1, end)
    )


def _title(line: str) -> str:
    """A heading without its marks, as they differ between a file and its path of headings."""
    return line.strip("#*=¶ \t\r\n")


def _paragraphs(text: str, position: int) -> Iterator[tuple[list[Span], bool]]:
    """The lines between blank ones, from a position on, and whether they belong to a docstring."""
    paragraph: list[Span] = []
    is_docstring = False
    for start, end in _lines(text, position):
        line = text[start:end]
        n_quotes = len(DOCSTRING.findall(line))
        is_opening = n_quotes > 0 and not is_docstring and DOCSTRING.match(line.lstrip(" \trbf")) is not None
        if paragraph and (is_opening or not line.strip()):
            yield paragraph, is_docstring
            paragraph = []
        is_docstring = is_docstring or (is_opening and line.strip(" \trbf\"'") != "")
        if line.strip():
            paragraph.append((start, end))
        if is_docstring and n_quotes and (n_quotes % 2 == 0 or not is_opening):
            yield paragraph, True
            paragraph, is_docstring = [], False
    if paragraph:
        yield paragraph, is_docstring


def _is_code(lines: Sequence[str]) -> bool:
    """Whether most lines of a paragraph are code; lines with # count only if most have just one."""
    if len(lines) > 1 and 3 * _n_matching(COMMENT_OF_SCRIPT, lines) > 2 * len(lines):
        return True
    counted = [line for line in lines if LETTER_OR_DIGIT.search(line) and not line.lstrip().startswith("#")]
    return len(lines) > 1 and 2 * sum(CODE_LINE.match(line) is not None for line in counted) > len(counted)


def _n_matching(pattern: re.Pattern[str], lines: Sequence[str]) -> int:
    return sum(pattern.match(line) is not None for line in lines)


def _is_header(line: str, below: str) -> bool:
    """Whether it names the cells of the row below."""
    names = line.strip().split("; ")
    return len(names) > 1 and is_row(below) and all(f"{name}: " in below for name in names[1:])


def _is_comment(line: str, *, was_comment: bool) -> bool:
    """Whether a line of code is a comment in words, or goes on with one."""
    return COMMENT.match(line) is not None and (was_comment or len(WORD.findall(line)) > 2)


def _lines(text: str, position: int = 0) -> list[Span]:
    """The spans of the lines from a position on, without line breaks."""
    ends = [found.span() for found in LINE_BREAK.finditer(text, position)]
    starts = [position, *(end for _, end in ends)]
    return list(zip(starts, [*(start for start, _ in ends), len(text)], strict=True))


def _indentation(line: str) -> int:
    return len(line) - len(line.lstrip())


def _split(text: str, start: int, end: int, *, is_code: bool) -> list[Span]:
    """A unit's sentences, without the marks before them; a line of code is one."""
    if text[start:end].lstrip().startswith("|"):
        end = start + len(text[start:end].rstrip("| \t"))
    starts = [] if is_code else sentence_starts(text, start, end)
    if not is_code and text[start:end].lstrip(" \t#/-*>")[:1].islower():  # notes without capitals
        starts = sorted({*starts, *(found.end() for found in LOWER_START.finditer(text, start, end))})
    pieces = []
    for first, last in pairwise([start, *starts, end]):
        marks = MARKS.match(text, first, last)
        assert marks  # it matches the empty string too
        pieces += _pieces(text, marks.end() if marks.end() < last else first, last)
    return [piece for piece in pieces if LETTER_OR_DIGIT.search(text, *piece)]


def _pieces(text: str, start: int, end: int) -> list[Span]:
    """The span without white space around it and quotes after it, in pieces of at most 600 characters."""
    while end > start and (text[end - 1].isspace() or text.endswith(('"""', "'''"), start, end)):
        end -= 1 if text[end - 1].isspace() else 3
    pieces: list[Span] = []
    while True:
        while start < end and text[start].isspace():
            start += 1
        if end - start <= MAX_SENTENCE_CHARACTERS:
            return [*pieces, (start, end)] if start < end else pieces
        limit = start + MAX_SENTENCE_CHARACTERS
        cut = next(
            (i for i in range(limit, start + MAX_SENTENCE_CHARACTERS // 2, -1) if text[i].isspace()), limit
        )
        pieces.append((start, start + len(text[start:cut].rstrip())))
        start = cut
