"""Splits a passage into sentences, without its markup.

A passage's text comes in, with the headings above it; spans go out.  Lines that are no prose are recognised
by their form: front matter, headings, items of lists, rows of tables, code, the directives of
reStructuredText.  Where a sentence ends within its paragraph is left to `text`, which of them answers a
query to `evidence`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from minisearch.text import LETTER_OR_DIGIT, UNSPACED, front_matter, sentence_starts

MAX_CHARACTERS = 300  # a longer sentence is no evidence: it fills four lines of a terminal

Span = tuple[int, int]

LINE_END = re.compile(r"\r\n|\r|\n")
WORD = re.compile(rf"[{UNSPACED}]|[^\W_{UNSPACED}]+")

INLINE_CODE = re.compile(r"(?<![:`])(`+)[^`]+\1(?![`_])")  # not the roles and links of reStructuredText
ADDRESS = re.compile(r"<?\bhttps?://[^\s>]+>?")
MIN_WORDS_AT_ADDRESS = 3  # "More information: <address>" says nothing

FENCE = re.compile(r"[ \t]*(?:`{3,}|~{3,})[ \t]*(\S*)")
UNDERLINE = re.compile(r"([^\w\s])\1{2,}[ \t]*")
ATX_HEADING = re.compile(r" {0,3}#{1,6}[ \t]")
NUMBERING = (  # not a German date
    r"\d{1,9}[.)](?![ \t]+(?:Januar|Jänner|Februar|März|April|Mai|Juni|Juli|August|September|Oktober|November"
    r"|Dezember)\b)"
)
ITEM_OR_ROW = re.compile(rf"[ \t]*(?:(?:[-*+•>]|{NUMBERING})[ \t]|\|)")
MARKS = re.compile(  # at the beginning of such a line
    rf"[ \t]*(?:(?:[-*+•>#]+|{NUMBERING}|//+|\.\.[ \t]+[\w-]+::)[ \t]+|\|[ \t]*)*"
)
DIRECTIVE = re.compile(r"[ \t]*\.\.[ \t]+([\w:-]+)::(?:[ \t]+\S*)?[ \t]*")  # reStructuredText's
TARGET_OR_OPTION = re.compile(r"[ \t]*(?:\.\.[ \t]+_.*:.*|:[\w-]+:(?:[ \t]+\S*)?[ \t]*)")
PROSE_DIRECTIVES = frozenset(
    [
        "note",
        "warning",
        "tip",
        "important",
        "caution",
        "hint",
        "seealso",
        "attention",
        "danger",
        "versionadded",
        "versionchanged",
        "deprecated",
        "rst-class",
        "container",
        "topic",
        "only",
    ]
)

FIELD = re.compile(r"[ \t]+\S|[\w\"'][\w .\"'/-]*[:=]|-(?:[ \t]|$)|[#\[\]{}]|[ \t]*$")

COMMENT = re.compile(r"[ \t]*(?:#(?!!)|//|--[ ]|/?\*+[ ])")

# A line that looks like code: by its end, as a key or an assignment, by its first word.  A paragraph is code
# only if most of its lines are, so that prose wrapped at "for" or at a bracket is not split into lines.
CODE_LINE = re.compile(
    r"""\s*(?: .*[{};\\(\[]\s*$ | .*\):?\s*$
      | (?:-[ ])?[\w."'$\[\]-]+ (?: :(?:[ ]+\S+)? | \s*[-+*/|&:]?=\s.* ) \s*$
      | (?:def|class|return|import|from\s\S+\simport|raise|const|let|var|function|func|fn|pub|public|private
          |static|void|int|struct|sudo|export|SELECT|FROM|WHERE|INSERT|CREATE)\b
      | (?:if|elif|else|for|while|try|except|with)\b.*:\s*$
      | [@$]\s?\w | >>> | //|/\*|--\s )""",
    re.VERBOSE,
)


def sentences(text: str, *, heading: str = "") -> list[Span]:
    """The spans of a text's sentences, in order, not empty, without overlap.

    Each item of a list, row of a table and line of code is a sentence, without its marks; the lines of a
    wrapped paragraph are joined.  Headings, recognised by their marks or as the last title in ``heading``,
    are left out unless there is nothing else; so are front matter, bare commands and addresses if there is
    anything in words.  No sentence is longer than 300 characters.
    """
    return [span for span, _ in sentences_and_code(text, heading=heading)]


def sentences_and_code(text: str, *, heading: str = "") -> list[tuple[Span, bool]]:
    """The same spans, each with whether it is a line of code and not a comment."""
    title = heading.rpartition(" > ")[2]
    for start in dict.fromkeys([end_of_fields(text), 0]):
        units = _Units(text, start, title)
        found = [(span, is_code) for *unit, is_code in units.prose for span in _split(text, *unit)]
        worded = [(span, is_code) for span, is_code in found if not _is_bare(text[slice(*span)], is_code)]
        if any(not is_code for _, is_code in worded):
            return worded
    found = found or [(span, False) for unit in units.headings for span in _split(text, *unit)]
    return found or [(span, False) for span in _pieces(text, 0, len(text))[:1]]


def _is_bare(sentence: str, is_code: bool) -> bool:
    """Whether it is only inline code, an address or one word of code."""
    if is_code:
        return len(WORD.findall(sentence)) < 2
    without_code = INLINE_CODE.sub(" ", sentence)
    without_addresses = ADDRESS.sub(" ", without_code)
    n_least = 1 if without_addresses == without_code else MIN_WORDS_AT_ADDRESS
    return without_addresses != sentence and len(WORD.findall(without_addresses)) < n_least


def end_of_fields(text: str) -> int:
    """Where the front matter ends that a passage begins with; 0 where it begins with none.

    Between two rules inside a document anything may stand, so each line must look like a field.
    """
    found = front_matter(text)
    if found is None or not all(map(FIELD.match, LINE_END.split(found["body"]))):
        return 0
    return len(found[0].rstrip("\r\n"))


class _Units:
    """The spans of a text's paragraphs, list items, table rows and lines of code; its headings apart."""

    def __init__(self, text: str, start: int, title: str) -> None:
        self.prose: list[tuple[int, int, bool]] = []  # start, end, whether it is code
        self.headings: list[Span] = []
        self._text = text
        self._title = title
        self._is_open = False  # whether the next line may continue the last unit
        self._is_line_by_line = False  # whether each line of this paragraph is a unit
        self._is_fenced = self._begins_fenced(start)
        self._code_margin: int | None = None  # lines of the open literal block are indented more than this
        for paragraph in _paragraphs(text, start):
            lines = [text[start:end] for start, end in paragraph]
            is_code, self._is_line_by_line = _is_code(lines), _is_line_by_line(lines)
            for (start, end), below in zip(paragraph, [*lines[1:], ""], strict=True):
                self._add(start, end, below, is_code)
            self._is_open = False

    def _begins_fenced(self, start: int) -> bool:
        """Whether a fence was opened before the passage: an odd number, the first without a language."""
        fences = [found for a, b in _lines(self._text, start) if (found := FENCE.match(self._text, a, b))]
        return len(fences) % 2 == 1 and not fences[0][1]

    def _add(self, start: int, end: int, below: str, is_code: bool) -> None:
        line = self._text[start:end]
        was_open, self._is_open = self._is_open, False
        if FENCE.match(line):
            self._is_fenced = not self._is_fenced
        elif not LETTER_OR_DIGIT.search(line):
            if was_open and UNDERLINE.fullmatch(line) and self._is_one_line():
                self.headings.append(self.prose.pop()[:2])
        elif self._is_fenced:
            self.prose.append((start, end, not _is_comment(line)))
        elif TARGET_OR_OPTION.fullmatch(line):
            return
        elif self._is_literal(line) or is_code:
            self.prose.append((start, end, not _is_comment(line)))
        elif ATX_HEADING.match(line) or line.strip() == self._title or _is_header(line, below):
            self.headings.append((start, end))
        elif directive := DIRECTIVE.fullmatch(line):
            self._code_margin = None if directive[1] in PROSE_DIRECTIVES else _indentation(line)
        else:
            self._add_prose(start, end, line, was_open)

    def _add_prose(self, start: int, end: int, line: str, was_open: bool) -> None:
        is_apart = self._is_line_by_line or ITEM_OR_ROW.match(line) or _is_row(line)
        if was_open and not is_apart:
            self.prose[-1] = (self.prose[-1][0], end, False)
        else:
            self.prose.append((start, end, False))
        if line.rstrip().endswith("::"):
            self._code_margin = _indentation(line)
        self._is_open = not (line.lstrip().startswith("|") or _is_row(line))  # a row ends with its line

    def _is_one_line(self) -> bool:
        return not LINE_END.search(self._text, *self.prose[-1][:2])

    def _is_literal(self, line: str) -> bool:
        """Whether a line belongs to the open literal block."""
        if self._code_margin is not None and _indentation(line) <= self._code_margin:
            self._code_margin = None
        return self._code_margin is not None


def _paragraphs(text: str, position: int) -> Iterator[list[Span]]:
    """The lines between blank ones, from a position on."""
    paragraph: list[Span] = []
    for start, end in _lines(text, position):
        if text[start:end].strip():
            paragraph.append((start, end))
        elif paragraph:
            yield paragraph
            paragraph = []
    if paragraph:
        yield paragraph


def _is_code(lines: Sequence[str]) -> bool:
    """Whether most lines of a paragraph are code; lines with # do not count, they may be comments."""
    counted = [line for line in lines if LETTER_OR_DIGIT.search(line) and not line.lstrip().startswith("#")]
    return len(lines) > 1 and 2 * sum(CODE_LINE.match(line) is not None for line in counted) > len(counted)


def _is_line_by_line(lines: Sequence[str]) -> bool:
    """Whether a paragraph is a list without marks, as on slides and in tables of PDFs, not wrapped prose.

    Each line begins with a capital or a digit, which is rare for three wrapped lines; if there are only two,
    they end without a stop too.
    """
    firsts = [line.lstrip()[0] for line in lines]
    if not all(first.isupper() or first.isdigit() for first in firsts):
        return False
    return len(lines) > 2 or not any(line.rstrip().endswith(tuple(".!?,;:-")) for line in lines)


def _is_row(line: str) -> bool:
    """Whether it is a row of a table as parsers write it: "Keys; Deposit: 50; Due: March"."""
    cells = line.split("; ")
    return len(cells) > 1 and all(": " in cell for cell in cells[1:])


def _is_header(line: str, below: str) -> bool:
    """Whether it names the cells of the row below."""
    names = line.strip().split("; ")
    return len(names) > 1 and _is_row(below) and all(f"{name}: " in below for name in names[1:])


def _is_comment(line: str) -> bool:
    """Whether a line of code is a comment in words."""
    return COMMENT.match(line) is not None and len(WORD.findall(line)) > 2


def _lines(text: str, position: int = 0) -> list[Span]:
    """The spans of the lines from a position on, without line breaks."""
    ends = [found.span() for found in LINE_END.finditer(text, position)]
    starts = [position, *(end for _, end in ends)]
    return list(zip(starts, [*(start for start, _ in ends), len(text)], strict=True))


def _indentation(line: str) -> int:
    return len(line) - len(line.lstrip())


def _split(text: str, start: int, end: int) -> list[Span]:
    """A unit's sentences, without the marks before it."""
    marks = MARKS.match(text, start, end)
    assert marks  # it matches the empty string too
    if text[start:end].lstrip().startswith("|"):
        end = start + len(text[start:end].rstrip("| \t"))
    start = marks.end() if marks.end() < end else start
    starts = [start, *sentence_starts(text, start, end), end]
    pieces = [piece for a, b in pairwise(starts) for piece in _pieces(text, a, b)]
    return [piece for piece in pieces if LETTER_OR_DIGIT.search(text, *piece)]


def _pieces(text: str, start: int, end: int) -> list[Span]:
    """The span without white space around it, in pieces of at most 300 characters, cut at spaces."""
    pieces: list[Span] = []
    while True:
        while start < end and text[start].isspace():
            start += 1
        while end > start and text[end - 1].isspace():
            end -= 1
        if end - start <= MAX_CHARACTERS:
            return [*pieces, (start, end)] if start < end else pieces
        limit = start + MAX_CHARACTERS
        cut = next((i for i in range(limit, start + MAX_CHARACTERS // 2, -1) if text[i].isspace()), limit)
        stop = cut
        while text[stop - 1].isspace():
            stop -= 1
        pieces.append((start, stop))
        start = cut
