r"""RTF: paragraphs, headings and tables, with code pages decoded.

A file is a tree of groups in braces.  A group inherits the state around it, and a group that begins with a
destination, such as ``\pict``, holds no text of the document.  Paragraphs with text are numbered.
https://learn.microsoft.com/openspecs/exchange_server_protocols/ms-oxrtfex
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass, replace
from typing import Any

from minisearch.parsers.contents import Contents, ExtractionError, paragraph, text_piece
from minisearch.text import A_LETTER

TOKEN = re.compile(
    rb"\\(?P<word>[a-zA-Z]{1,32})(?P<number>-?[0-9]{1,10})?[ ]?|\\'(?P<byte>[0-9a-fA-F]{2})"
    rb"|\\(?P<sign>[^a-zA-Z])|(?P<brace>[{}])|(?P<text>[^\\{}\r\n\0]+)|[\r\n\0]+|\\",
    re.DOTALL,
)
SIGNS = {"tab": "\t", "line": "\n", "emdash": "—", "endash": "–", "bullet": "•", "emspace": " "}
SIGNS |= {"lquote": "‘", "rquote": "’", "ldblquote": "“", "rdblquote": "”", "~": " ", "_": "\u2011"}
SIGNS |= {sign: sign for sign in "\\{}"}
PROPERTIES = {"title", "author", "subject", "keywords"}
MARGINS = {"header", "headerl", "headerr", "headerf", "footer", "footerl", "footerr", "footerf"}
SKIPPED = MARGINS | {"*", "info", "pict", "object", "nonshppict", "xe", "tc", "private"}
SKIPPED |= {"fonttbl", "colortbl", "stylesheet", "themedata", "filetbl"}
ASIDES = {"footnote": "Footnote", "annotation": "Comment"}
SHOWN = {"fldrslt", "shptxt", "result"}  # text of the document within a group that is skipped
ENDS = {"par", "sect", "page", "\n", "\r"}
CODE_PAGES = {0: 1252, 77: 10000, 128: 932, 129: 949, 130: 1361, 134: 936, 136: 950, 161: 1253, 162: 1254}
CODE_PAGES |= {163: 1258, 177: 1255, 178: 1256, 186: 1257, 204: 1251, 222: 874, 238: 1250}  # by \fcharset
NAMES = {10000: "mac-roman", 65001: "utf-8", 1361: "johab"}
HEADING = re.compile(r"(?:heading ([1-9])|title)\s*;?", re.IGNORECASE)
MAX_DEPTH = 10_000  # groups


def extract(data: bytes) -> dict[str, Any]:
    """The paragraphs and tables in order."""
    if not data.lstrip().startswith(b"{\\rtf"):
        raise ExtractionError("not RTF, whatever its name says")
    reader = _Reader()
    reader.read(data)
    reader.contents.count("pictures and embedded objects left out", reader.n_left_out)
    reader.contents.count("hidden or deleted words left out", reader.n_hidden)
    return reader.contents.as_json()


@dataclass(slots=True)
class _State:
    """What a group inherits."""

    target: str = ""  # a destination; "" for the text of the document
    code_page: str = ""
    n_fallback: int = 1  # characters after \u, for older programs
    level: int = 0  # of a heading
    is_hidden: bool = False
    is_in_table: bool = False


class _Reader:
    """Reads tokens; words are collected for each destination until a paragraph, a cell or the group ends."""

    def __init__(self) -> None:
        self.contents = Contents(has_pages=False, pages=[[]])
        self.n_left_out = self.n_hidden = 0
        self._state, self._outer = _State(), list[_State]()
        self._words: dict[str, list[str]] = {}
        self._bytes = bytearray()  # not decoded yet
        self._n_to_skip = self._font = self._style = self._n_paragraphs = 0
        self._cells, self._rows = list[str](), list[list[str]]()
        self._fonts: dict[int, str] = {}
        self._styles: dict[int, int] = {}  # the levels of headings
        self._after, self._margins = list[str](), dict[str, None]()

    def read(self, data: bytes) -> None:
        """Read a whole file."""
        position = 0
        while found := TOKEN.match(data, position):
            position = found.end()
            if found["byte"] or found["text"]:
                words = bytes([int(found["byte"], 16)]) if found["byte"] else found["text"]
                n_skipped = min(self._n_to_skip, len(words))
                self._n_to_skip -= n_skipped
                self._bytes += words[n_skipped:]
                continue
            word = (found["word"] or found["sign"] or b"").decode("latin-1")
            number = int(found["number"] or -1)
            self._flush()
            if word == "bin":
                position += max(number, 0)
            elif word:
                self._control(word, number)
            elif found["brace"]:
                self._n_to_skip = 0
                self._begin_group() if found["brace"] == b"{" else self._end_group()
        self._flush()
        self._state = _State()
        self._rows += [self._cells] * bool(self._cells)  # of a row without an end
        self._end_paragraph()
        self.contents.pages[0] += map(text_piece, self._margins)

    def _flush(self) -> None:
        if self._bytes:
            self._add(self._bytes.decode(self._state.code_page or "cp1252", "replace"))
            self._bytes.clear()

    def _add(self, words: str) -> None:
        if self._state.is_hidden:
            self.n_hidden += len(words.split())
        else:
            self._words.setdefault(self._state.target, []).append(words)

    def _taken(self, target: str) -> str:
        """The words of a destination, with both halves of a character beyond 16 bits together."""
        words = "".join(self._words.pop(target, []))
        return words.encode("utf-16", "surrogatepass").decode("utf-16", "replace")

    def _begin_group(self) -> None:
        if len(self._outer) > MAX_DEPTH:
            raise ExtractionError("nested too deeply")
        self._outer.append(self._state)
        self._state = replace(self._state)

    def _end_group(self) -> None:
        ended, self._state = self._state, self._outer.pop() if self._outer else _State()
        if ended.target == "stylesheet":
            heading = HEADING.fullmatch(self._taken(ended.target).strip())
            if heading and self._style:  # the style of characters has no number
                self._styles[self._style] = int(heading[1] or 1)
            self._style = 0
        elif ended.target != self._state.target and ended.target:
            words = " ".join(self._taken(ended.target).split())
            if ended.target in PROPERTIES:
                self.contents.add_property(ended.target, words)
            elif words and ended.target in ASIDES:
                self._after.append(f"{ASIDES[ended.target]}: {words}")
            elif ended.target in MARGINS and A_LETTER.search(words):
                self._margins[words] = None

    def _control(self, word: str, number: int) -> None:
        state = self._state
        if word in SIGNS:
            self._add(SIGNS[word])
        elif word in ENDS:
            self._end_paragraph()
        elif word in {"cell", "nestcell"} and not state.target:
            self._cells.append(" ".join(self._taken("").split()))
            self._n_paragraphs += bool(self._cells[-1])
        elif word in {"row", "nestrow"} and not state.target:
            self._rows.append(self._cells)
            self._cells = []
        elif word in SHOWN:
            state.target = ""
        elif word in SKIPPED or word in ASIDES or (word in PROPERTIES and state.target == "info"):
            self.n_left_out += word in {"pict", "object"} and state.target != "nonshppict"
            state.target = word
        else:
            self._set(word, number)

    def _set(self, word: str, number: int) -> None:
        """A control word that changes the state; ``number`` is -1 where it has none."""
        state = self._state
        if word == "u":
            self._add(chr(number & 0xFFFF))
            self._n_to_skip = state.n_fallback
        elif word == "uc":
            state.n_fallback = max(number, 0)
        elif word == "ansicpg":
            state.code_page = codec(number)
        elif word == "fcharset":
            self._fonts[self._font] = codec(CODE_PAGES.get(number, 1252))
        elif word == "f":
            self._font = number
            state.code_page = self._fonts.get(number, state.code_page)
        elif word in {"s", "outlinelevel"}:
            self._style = number if word == "s" else self._style
            state.level = self._styles.get(number, 0) if word == "s" else (number + 1) % 10
            if state.target == "stylesheet" and word == "outlinelevel":
                self._styles[self._style] = state.level
        elif word in {"pard", "intbl"}:
            state.level, state.is_in_table = 0, word == "intbl"
        elif word in {"v", "deleted", "plain"}:
            state.is_hidden = word != "plain" and number != 0

    def _end_paragraph(self) -> None:
        if self._state.target or self._state.is_in_table:
            self._add("\n")
            return
        if self._rows:
            self.contents.pages[0].append({"rows": self._rows})
            self._rows = []
        pieces = paragraph(self._taken(""), self._state.level, self._n_paragraphs + 1)
        self._n_paragraphs += len(pieces)
        self.contents.pages[0] += [*pieces, *map(text_piece, self._after)]
        self._after = []


def codec(code_page: int) -> str:
    """Python's name of a Windows code page."""
    try:
        return codecs.lookup(NAMES.get(code_page, f"cp{code_page}")).name
    except LookupError:
        return "cp1252"
