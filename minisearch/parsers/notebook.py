"""Jupyter notebooks: each cell a page, its source and what it printed, tied to the lines of the JSON.

Markdown cells give the headings.  Within a cell the text has the file's order, since places never go back:
Jupyter writes outputs before the code that made them, so both are labelled.  Outputs that are no text are
left out with a note; the colours of a terminal are markup, and left out without.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from minisearch.parsers.composing import Composition, TiedText
from minisearch.parsers.decode import Source
from minisearch.parsers.json_ import read_json
from minisearch.parsers.json_scan import Node, NotJson, Token, string_value, take_string, tree
from minisearch.parsers.markdown import MAX_TITLE, first_title, read_markdown
from minisearch.types import Document, Heading, Origin

# Of an output that comes in several forms, the first of these is taken.
TEXT_FORMS = ("text/plain", "text/markdown", "text/latex", "text")  # the last is that of nbformat 3
SAME_THING = {*TEXT_FORMS, "text/html"}  # where one is taken, the others say no more
MAX_FORMS = 5  # named in a note
MAX_FORM = 80  # characters

ANSI = re.compile(r"\x1b(?:\[[0-?]{0,50}[ -/]{0,9}[@-~]|\][^\x07\x1b\n]{0,500}(?:\x07|\x1b\\)|[@-Z\\^_])")
LANGUAGES = {
    "c++": "cpp",
    "c++11": "cpp",
    "c++14": "cpp",
    "c++17": "cpp",
    "c#": "csharp",
    "ipython": "python",
}

Words = list[Token]


def read_notebook(source: Source) -> Document:
    """The notebook, titled by its metadata or first level-1 heading; other JSON is read as such."""
    try:
        root = tree(source.text)
    except NotJson:
        return read_json(source)
    if not isinstance(root, dict) or not isinstance(root.get("cells", root.get("worksheets")), list):
        document = read_json(source)
        return replace(document, notes=(*document.notes, "no cells in it: read as JSON"))
    notebook = _Notebook(source.text)
    for cell in _cells(root):
        notebook.add(cell)
    tied = notebook.made.tied()
    headings = tuple(notebook.headings)
    metadata = _inner(root, "metadata")
    language = notebook.value(_inner(metadata, "language_info").get("name"))
    language = (language or notebook.value(_inner(metadata, "kernelspec").get("language"))).lower()
    title = " ".join(notebook.value(metadata.get("title")).split())[:MAX_TITLE]
    return Document(
        source.path,
        tied.text,
        "notebook",
        tied.origin(source.origin),
        title=title or first_title(headings),
        headings=headings,
        notes=(*source.notes, *notebook.notes()),
        language=LANGUAGES.get(language, language),
        pages=tuple(notebook.pages),
        blocks=tuple(sorted(notebook.blocks, key=lambda block: (block[0], -block[1]))),
    )


def _cells(root: dict[str, Node]) -> Iterator[dict[str, Node]]:
    sheets = [root] if "cells" in root else _items(root["worksheets"])  # nbformat 3 had sheets
    for sheet in sheets:
        if isinstance(sheet, dict):
            yield from (cell for cell in _items(sheet.get("cells")) if isinstance(cell, dict))


class _Notebook:
    """The cells so far."""

    def __init__(self, text: str) -> None:
        self.made = Composition()
        self.pages: list[int] = []
        self.headings: list[Heading] = []
        self.blocks: list[tuple[int, int]] = []
        self._text = text
        self._n_left_out: Counter[str] = Counter()

    def add(self, cell: dict[str, Node]) -> None:
        """One more page: the cell's source and outputs, in the file's order."""
        source = self._words(cell.get("source", cell.get("input")))
        printed = [words for output in _items(cell.get("outputs")) for words in self._printed(output)]
        printed.sort(key=lambda words: words[0].start)
        for attachment in _inner(cell, "attachments").values():
            self._n_left_out.update(list(attachment) if isinstance(attachment, dict) else ["attachment"])
        is_before = bool(printed and source and printed[0][0].start < source[0].start)
        self.pages.append(
            self.made.n_characters + (2 if self.made.n_characters and (printed or source) else 0)
        )
        start = self.pages[-1]
        if is_before:
            self._add_printed(printed)
        if source:
            self._break()
            if is_before:
                self.made.say("Code:\n", source[0].start)
            self._add_source(cell, source)
        if not is_before:
            self._add_printed(printed)
        if self.made.n_characters > start and self.value(cell.get("cell_type")) == "code":
            self.blocks.append((start, self.made.n_characters))

    def value(self, node: Node | None) -> str:
        """A string's meaning; "" for anything else."""
        if not isinstance(node, Token) or node.kind != "string":
            return ""
        return string_value(self._text, node.start, node.end)

    def notes(self) -> tuple[str, ...]:
        """What was left out, in words for the user."""
        if not self._n_left_out:
            return ()
        counts = sorted(self._n_left_out.items(), key=lambda count: (-count[1], count[0]))
        named = [f"{n} {form[:MAX_FORM]}" for form, n in counts[:MAX_FORMS]]
        others = ["others"] if len(counts) > MAX_FORMS else []
        return (f"outputs that are no text are left out: {', '.join(named + others)}",)

    def _break(self) -> None:
        self.made.say("\n\n" if self.made.n_characters else "")

    def _words(self, node: Node | None) -> Words:
        """The strings of a text, which may be one or a list of lines; none where they are blank."""
        strings = [token for token in _items(node) if isinstance(token, Token) and token.kind == "string"]
        return strings if any(map(str.strip, map(self.value, strings))) else []

    def _printed(self, output: Node) -> Iterator[Words]:
        """The texts of one output, in one form each; other forms are counted."""
        if not isinstance(output, dict):
            return
        if traceback := self._words(output.get("traceback")):
            yield traceback
            return
        for name in ("ename", "evalue"):
            if error := self._words(output.get(name)):
                yield error
        forms = output.get("data", output)
        forms = forms if isinstance(forms, dict) else {}
        words = next((words for form in TEXT_FORMS if (words := self._words(forms.get(form)))), [])
        if words:
            yield words
        self._n_left_out.update(
            form
            for form in forms
            if ("/" in form or form in ("png", "jpeg", "svg")) and form not in SAME_THING
        )
        if not words and "text/html" in forms:
            self._n_left_out["text/html"] += 1

    def _add_printed(self, printed: list[Words]) -> None:
        for number, words in enumerate(printed):
            self._break()
            if not number:
                self.made.say("Output:\n", words[0].start)
            start = self.made.n_characters
            self.made.add(_without_colours(self._decoded(words)))
            self.blocks.append((start, self.made.n_characters))

    def _add_source(self, cell: dict[str, Node], words: Words) -> None:
        start = self.made.n_characters
        tied = self._decoded(words)
        self.made.add(tied)
        kind, text = self.value(cell.get("cell_type")), tied.text
        if kind == "markdown":
            document = read_markdown(Source("", text, Origin(text), ()))
            self.headings += [replace(heading, start=start + heading.start) for heading in document.headings]
            self.blocks += [(start + first, start + last) for first, last in document.blocks]
        else:
            self.blocks.append((start, self.made.n_characters))
        if kind == "heading":
            level = cell.get("level")
            digits = self._text[level.start : level.end] if isinstance(level, Token) else ""
            self.headings.append(
                Heading(start, int(digits) if digits in "123456" and digits else 1, text[:MAX_TITLE])
            )

    def _decoded(self, words: Words) -> TiedText:
        decoded = Composition()
        for token in words:
            take_string(decoded, self._text, token.start, token.end)
        return decoded.tied()


def _without_colours(tied: TiedText) -> TiedText:
    if "\x1b" not in tied.text:
        return tied
    plain, position = Composition(), 0
    for code in ANSI.finditer(tied.text):
        plain.take(tied.text[position : code.start()], position, code.start())
        position = code.end()
    plain.take(tied.text[position:], position, len(tied.text))
    return plain.tied().through(tied)


def _inner(node: dict[str, Node], name: str) -> dict[str, Node]:
    inner = node.get(name)
    return inner if isinstance(inner, dict) else {}


def _items(node: Node | None) -> list[Node]:
    if isinstance(node, list):
        return node
    return [] if node is None or isinstance(node, dict) else [node]
