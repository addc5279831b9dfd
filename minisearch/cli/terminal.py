r"""The terminal: how wide texts are on it, what it can show, and how marked text is wrapped for it.

Texts come in, lines that fit go out.  File names and passages come from anywhere, so what is printed goes
through `printable`: no control character of theirs reaches the terminal.  What a page says is `page`'s part.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from unicodedata import category, east_asian_width

from minisearch.text import EAST_ASIAN

WIDEST, NARROWEST = 110, 24
TAB = 4
JOINERS = "\u200c\u200d"  # they shape letters and emoji, and show nothing
# No line begins with these: closing brackets and full stops of scripts that are written without spaces.
CLOSING = "、。，．：；！？）」』】〕〉》”’…ー々"
WIDE_CHARACTERS = re.compile(f"[{EAST_ASIAN}]")

PAGE_LINK = "file://{host}{path}#page={page}"  # RFC 8118; where nothing knows it, the file opens all the same

# How a stretch of a passage is shown: the evidence bold, a word of the query underlined, or both.
PLAIN, EVIDENCE, WORD, EVIDENCE_WORD = " eWB"
STYLES = {EVIDENCE: "1", WORD: "4", EVIDENCE_WORD: "1;4"}
CYAN, MAGENTA, FAINT = "36", "35", "2"  # readable on dark and on light


def printable(text: str) -> str:
    r"""The text with every control character but line breaks and tabs written out.

    >>> print(printable("red \x1b[31m"))
    red \x1b[31m
    """
    if text.isprintable():
        return text
    return "".join(char if _is_safe(char) else char.encode("unicode_escape").decode() for char in text)


def one_line(text: str) -> str:
    r"""The same with line breaks and tabs written out too: a file's name cannot pretend to be more lines.

    >>> print(one_line("a\nb.md"))
    a\nb.md
    """
    return printable(text).replace("\n", "\\n").replace("\t", "\\t")


def _is_safe(char: str) -> bool:
    return char.isprintable() or char in "\n\t" or char in JOINERS or category(char) == "Zs"


def width(text: str) -> int:
    """How many columns a printable text takes.

    >>> width("cafe"), width("検索"), width("cafe\u0301")
    (4, 4, 4)
    """
    return len(text) if text.isascii() else sum(map(_char_width, text))


def _char_width(char: str) -> int:
    if category(char) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if east_asian_width(char) in "WF" else 1


def fitting(text: str, columns: int) -> int:
    """How many characters of a text fit into so many columns."""
    if text.isascii():
        return min(len(text), columns)
    used = 0
    for n, char in enumerate(text):
        used += _char_width(char)
        if used > columns:
            return n
    return len(text)


@dataclass(frozen=True, slots=True)
class Marked:
    """A text, and for every character how it is shown: two strings of one length."""

    text: str
    marks: str

    @classmethod
    def plain(cls, text: str) -> Marked:
        """A text without marks."""
        return cls(text, PLAIN * len(text))

    def __getitem__(self, part: slice) -> Marked:
        return Marked(self.text[part], self.marks[part])

    def __add__(self, other: Marked) -> Marked:
        return Marked(self.text + other.text, self.marks + other.marks)

    def __bool__(self) -> bool:
        return bool(self.text)

    @property
    def has_evidence(self) -> bool:
        """Whether any of it is of the sentence that matched."""
        return EVIDENCE in self.marks or EVIDENCE_WORD in self.marks

    def strip(self) -> Marked:
        """Without white space at both ends."""
        start = len(self.text) - len(self.text.lstrip())
        return self[start : max(start, len(self.text.rstrip()))]

    def printable(self) -> Marked:
        """The same with tabs as spaces and control characters written out, which take the marks along."""
        if self.text.isprintable():
            return self
        column, texts, marks = 0, [], []
        for char, mark in zip(self.text, self.marks, strict=True):
            shown = " " * (TAB - column % TAB) if char == "\t" else printable(char)
            column += width(shown)
            texts.append(shown)
            marks.append(mark * len(shown))
        return Marked("".join(texts), "".join(marks))


def wrap(line: Marked, columns: int, *, hang: int | None = None) -> Iterator[Marked]:
    """A printable line in parts that fit; the spaces at a break are dropped, a word too long is cut.

    All parts but the first begin at column ``hang``, without it where the line itself begins.  Chinese,
    Japanese and Korean text breaks between any two characters, but not before a full stop.
    """
    margin = len(line.text) - len(line.text.lstrip())
    cut = max(0, margin - columns // 2)  # deep code keeps room for its words
    line = line[cut : len(line.text.rstrip())]
    space = Marked.plain(" " * max(0, min((margin if hang is None else hang) - cut, columns // 2)))
    while width(line.text) > columns:
        n = max(len(space.text) + 1, fitting(line.text, columns))
        break_ = _break_before(line.text, n)
        yield line[: len(line.text[:break_].rstrip())]
        line = space + line[break_:].strip()
    if line.text.strip():
        yield line


def _break_before(text: str, n: int) -> int:
    """The last place up to n where the text may be broken; n itself where it has none."""
    margin = len(text) - len(text.lstrip())
    for place in range(n, margin, -1):
        if text[place] == " " or text[place - 1] == " ":
            return place
        is_between = WIDE_CHARACTERS.match(text[place - 1]) or WIDE_CHARACTERS.match(text[place])
        if is_between and text[place] not in CLOSING and _char_width(text[place]):
            return place
    return n


@dataclass(frozen=True, slots=True)
class Terminal:
    """What the output goes to: its width in columns, whether it shows styles, how it opens a link.

    ``link`` has the places {host}, {path}, {line} and {column}; it is empty where links are not shown.
    """

    columns: int = 80
    has_styles: bool = False
    link: str = ""

    @classmethod
    def of_stdout(cls) -> Terminal:
        """Standard output as it is now."""
        columns = max(NARROWEST, min(shutil.get_terminal_size().columns, WIDEST))
        term = os.environ.get("TERM", "")
        if not sys.stdout.isatty() or os.environ.get("NO_COLOR") or term == "dumb":
            return cls(columns)
        return cls(columns, has_styles=True, link="" if term == "linux" else _link_format())

    def styled(self, text: str, style: str) -> str:
        """The text in a style, an SGR number or several."""
        return f"\x1b[{style}m{text}\x1b[0m" if self.has_styles and text and style else text

    def shown(self, line: Marked) -> str:
        """A marked line as it is written to this terminal."""
        if not self.has_styles:
            return line.text
        stretches = groupby(zip(line.text, line.marks, strict=True), key=lambda pair: pair[1])
        return "".join(
            self.styled("".join(char for char, _ in pairs), STYLES.get(mark, "")) for mark, pairs in stretches
        )

    def linked(self, text: str, path: str, line: int, column: int = 1, page: int | None = None) -> str:
        """The text, opening the file at this line when it is clicked, as far as the terminal can.

        With a page it opens there, in whatever shows such files: no editor that knows lines does.
        """
        if not self.link:
            return text
        target = (self.link if page is None else PAGE_LINK).format(
            host=_quoted(os.uname().nodename),
            path=_quoted(os.path.abspath(path)),  # noqa: PTH100 - a name with a lone surrogate is no URI for Path
            line=line,
            column=column,
            page=page,
        )
        return f"\x1b]8;;{target}\x1b\\{text}\x1b]8;;\x1b\\"


def _link_format() -> str:
    """The link that this terminal understands; one with a line only where that is known to work.

    They are ripgrep's formats: elsewhere a file URL with a line in it opens no file at all.
    """
    if os.environ.get("TERM_PROGRAM") == "vscode":
        return "vscode://file{path}:{line}:{column}"
    if os.environ.get("KITTY_WINDOW_ID") or os.environ.get("TERM") == "xterm-kitty":
        return "file://{host}{path}#{line}"
    return "file://{host}{path}"


def _quoted(text: str) -> str:
    """Percent-encoded byte by byte, as a URL's path; urllib would cost a query's start 5 ms."""
    return "".join(
        chr(byte) if (byte < 128 and chr(byte).isalnum()) or chr(byte) in "/-_.~" else f"%{byte:02X}"
        for byte in os.fsencode(text)
    )
