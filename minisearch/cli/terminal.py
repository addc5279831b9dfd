r"""The terminal: safe and wrapped text, the pager, counts and sizes, JSON lines.

Texts and numbers come in, lines that fit go out.  File names and passages can hold anything, so what is
printed goes through `printable`: none of their control characters reaches the terminal.  What results look
like is left to `page`.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shlex
import shutil
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby, zip_longest
from unicodedata import category, east_asian_width

import click

from minisearch.errors import NOT_UTF_8, shell_quoted
from minisearch.errors import printable as printable  # the commands import it from here

WIDEST, NARROWEST = 110, 24
ROWS_OF_PROMPT = 2
HANG = 11  # columns of the labels of a report
TAB = 4
DIVIDERS = "\u00ad\u200b\u2060\ufeff"  # where a word may be divided, or not; they are not shown
# No line begins with these: closing brackets and full stops of scripts that are written without spaces.
CLOSING = "、。，．：；！？）」』】〕〉》”’…ー々"

PAGE_LINK = "file://{host}{path}#page={page}"  # RFC 8118; where nothing knows it, the file opens all the same

# How a stretch of a passage is shown: the evidence bold, a word of the query underlined, or both.
PLAIN, EVIDENCE, WORD, EVIDENCE_WORD = " eWB"
STYLES = {EVIDENCE: "1", WORD: "4", EVIDENCE_WORD: "1;4"}
LONGEST_GIVEN = 200  # characters
CYAN, MAGENTA, FAINT = "36", "35", "2"  # readable on dark and on light


def one_line(text: str) -> str:
    r"""The same with line breaks and tabs written out too: a file's name cannot pretend to be more lines.

    >>> print(one_line("a\nb.md"))
    a\nb.md
    """
    return printable(text).replace("\n", "\\n").replace("\t", "\\t")


def name_line(name: str) -> str:
    """The name of a file, or a place in it, on one line; for a shell if it has bytes that are not UTF-8."""
    return one_line(shell_quoted(name) if NOT_UTF_8.search(name) else name)


def shortened(text: str) -> str:
    """The beginning of a text that was given, for a heading or a message."""
    return text if len(text) <= LONGEST_GIVEN else text[:LONGEST_GIVEN] + "…"


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
    """A text, and for each character the mark that says how it is shown: two strings of equal length."""

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
        """Whether any of it belongs to the sentences that matched."""
        return EVIDENCE in self.marks or EVIDENCE_WORD in self.marks

    def without_evidence(self) -> Marked:
        """The same with the query's words marked alone."""
        return Marked(self.text, self.marks.replace(EVIDENCE_WORD, WORD).replace(EVIDENCE, PLAIN))

    def strip(self) -> Marked:
        """Without white space at both ends."""
        start = len(self.text) - len(self.text.lstrip())
        return self[start : max(start, len(self.text.rstrip()))]

    def printable(self) -> Marked:
        """Tabs as spaces, control characters written out, without `DIVIDERS`; marks are kept."""
        if self.text.isprintable():
            return self
        column, texts, marks = 0, [], []
        for char, mark in zip(self.text, self.marks, strict=True):
            spaces = " " * (TAB - column % TAB)
            shown = spaces if char == "\t" else "" if char in DIVIDERS else printable(char)
            column += width(shown)
            texts.append(shown)
            marks.append(mark * len(shown))
        return Marked("".join(texts), "".join(marks))


def wrap(line: Marked, columns: int, *, hang: int | None = None) -> Iterator[Marked]:
    """Split a printable line into parts that fit; spaces at a break are dropped, long words are cut.

    All parts but the first begin at column ``hang``, by default at the line's own indentation.  Chinese,
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
    """The last position up to n where the text may break; n itself where there is none."""
    from minisearch.text import begins_wide  # what few commands need

    margin = len(text) - len(text.lstrip())
    for place in range(n, margin, -1):
        if text[place] == " " or text[place - 1] == " ":
            return place
        is_between = begins_wide(text[place - 1]) or begins_wide(text[place])
        if is_between and text[place] not in CLOSING and _char_width(text[place]):
            return place
    return n


@dataclass(frozen=True, slots=True)
class Terminal:
    """The width of the output in columns, whether it shows styles, and the format of its links.

    ``link`` has the fields {host}, {path}, {line} and {column}; it is empty where links are not shown.
    ``rows`` is the height of the screen, None where the output is not a terminal.
    """

    columns: int = 80
    has_styles: bool = False
    link: str = ""
    rows: int | None = None

    @classmethod
    def of_stdout(cls) -> Terminal:
        """The terminal behind standard output."""
        screen = shutil.get_terminal_size()
        columns = max(NARROWEST, min(screen.columns, WIDEST))
        term = os.environ.get("TERM", "")
        if not sys.stdout.isatty():
            return cls(columns)
        if os.environ.get("NO_COLOR") or term == "dumb":
            return cls(columns, rows=screen.lines)
        return cls(columns, True, "" if term == "linux" else _link_format(), screen.lines)

    def fits(self, text: str) -> bool:
        """Whether a text can be read without scrolling, with the prompt below it."""
        return self.rows is None or text.count("\n") + ROWS_OF_PROMPT < self.rows

    def show(self, text: str, *, uses_pager: bool = True) -> None:
        """Print a text; through the user's pager where it is longer than the screen."""
        pager = _pager() if uses_pager and not self.fits(text) else []
        if not pager:
            click.echo(text, color=True)
            return
        import subprocess  # a short page does not need it

        # As git has it: -R passes colours on, -X leaves the text on the screen. -R comes first, because the
        # last option of LESS may be a prompt, which would take it in.
        flags = os.environ.get("LESS", "FX")
        with ctrl_c_is_the_childs():
            subprocess.run(  # noqa: S603 - of the user's own choice
                pager,
                input=f"{text}\n".encode(sys.stdout.encoding, "replace"),
                env=os.environ | {"LESS": f"-R {flags}"},
                check=False,
            )

    def wrapped(self, text: str) -> str:
        """Lines of a report, with long ones broken between words, below the label; unchanged in a pipe."""
        if self.rows is None:
            return text
        lines = (list(wrap(Marked.plain(line), self.columns, hang=HANG)) for line in text.split("\n"))
        return "\n".join("\n".join(part.text for part in parts) for parts in lines)

    def styled(self, text: str, style: str) -> str:
        """The text in a style, an SGR number or several."""
        return f"\x1b[{style}m{text}\x1b[0m" if self.has_styles and text and style else text

    def shown(self, line: Marked) -> str:
        """A marked line with the escape sequences of this terminal."""
        if not self.has_styles:
            return line.text
        stretches = groupby(zip(line.text, line.marks, strict=True), key=lambda pair: pair[1])
        return "".join(
            self.styled("".join(char for char, _ in pairs), STYLES.get(mark, "")) for mark, pairs in stretches
        )

    def linked(self, text: str, path: str, line: int, column: int = 1, page: int | None = None) -> str:
        """The text as a link that opens the file at this line, or at this page of a PDF."""
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


@contextmanager
def ctrl_c_is_the_childs() -> Iterator[None]:
    """Leave Ctrl-C to a pager or an editor, which uses it for its own purposes and goes on."""
    before = signal.signal(signal.SIGINT, lambda *_: None)  # not SIG_IGN, which the child would inherit
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _pager() -> list[str]:
    """The command of $PAGER, or less; none where it cannot be run, or PAGER is empty, the wish for none."""
    try:
        command = shlex.split(os.environ.get("PAGER", "less"))
    except ValueError:  # a quotation mark without its partner
        return []
    is_asked = sys.stdin.isatty() and os.environ.get("TERM") not in {"dumb", "emacs"}
    return command if command and is_asked and shutil.which(command[0]) else []


def _link_format() -> str:
    """The link format of this terminal, with a line only where that is known to work.

    The formats are ripgrep's: other terminals open no file for a URL with a line.
    """
    if os.environ.get("TERM_PROGRAM") == "vscode":
        return "vscode://file{path}:{line}:{column}"
    if os.environ.get("KITTY_WINDOW_ID") or os.environ.get("TERM") == "xterm-kitty":
        return "file://{host}{path}#{line}"
    return "file://{host}{path}"


def _quoted(text: str) -> str:
    """Percent-encode the path of a URL; importing urllib would take 5 ms."""
    return "".join(
        chr(byte) if (byte < 128 and chr(byte).isalnum()) or chr(byte) in "/-_.~" else f"%{byte:02X}"
        for byte in os.fsencode(text)
    )


# --- numbers, lists and JSON -------------------------------------------------------------------------


def size(n_bytes: float) -> str:
    """A number of bytes in the unit that suits it.

    >>> size(999), size(1_500_000)
    ('999 bytes', '1.5 MB')
    """
    for unit in ("bytes", "kB", "MB"):
        if n_bytes < 1_000:
            return f"{n_bytes:,.0f} {unit}" if unit == "bytes" else f"{n_bytes:.1f} {unit}"
        n_bytes /= 1_000
    return f"{n_bytes:.1f} GB"


def table_lines(cells: Sequence[Sequence[str]], *, least: int = 0) -> Iterator[str]:
    """Rows of cells as lines: the first column to the left, the others, ``least`` wide, to the right.

    A row may lack its last cells.
    """
    widths = [max(map(len, column)) for column in zip_longest(*cells, fillvalue="")]
    for row in cells:
        others = (f"{cell:>{max(least, n)}}" for cell, n in zip(row[1:], widths[1:], strict=False))
        yield "  ".join([f"{row[0]:<{widths[0]}}", *others]).rstrip()


def as_json_line(data: object) -> str:
    """Data, dataclasses too, as one line of JSON, in ASCII so that any file name survives any terminal."""
    return json.dumps(data, default=dataclasses.asdict)
