"""Source code, kept word for word; its classes and functions are its headings, with all that stands above.

A grammar finds them, in a process of its own: it is native code, and a source may be made to crash it or to
keep it busy for hours.  Where the grammar is not installed, or fails, the text has no headings, and its lines
are its structure.
"""

from __future__ import annotations

import importlib.util
import os
from functools import cache
from typing import Any

from minisearch.errors import IngestError
from minisearch.parsers.decode import Source
from minisearch.parsers.grammars import GRAMMARS
from minisearch.parsers.languages import LANGUAGES
from minisearch.parsers.sandbox import NONSENSE, Limits, Sandbox
from minisearch.types import Document, Heading

# The module of each grammar.
MODULES = {name: grammar.module for name, grammar in GRAMMARS.items()}
# Grammars that are not called as the language is. A header of C++ has no suffix of its own, and C is read
# well enough as C++.
GRAMMAR_OF = {".h": "cpp", ".tsx": "tsx"}

# A megabyte of ordinary source takes half a second and 50 MB.
SANDBOX = Sandbox(Limits(wall_s=60, cpu_s=5))


def read_code(source: Source, sandbox: Sandbox = SANDBOX) -> Document:
    """The file as it stands; it has headings where its language's grammar is installed."""
    headings: tuple[Heading, ...] = ()
    notes = source.notes
    grammar = grammar_of(source.path)
    if grammar and is_installed(grammar) and source.text.strip():
        try:
            outline = sandbox.extract("grammars", f"{grammar} source", f"{grammar}\n{source.text}".encode())
            headings = _headings(outline, source.text)
        except IngestError as error:
            notes = (*notes, f"cut at lines, not at functions: {error}")
    return Document(source.path, source.text, "code", source.origin, headings=headings, notes=notes)


def grammar_of(path: str) -> str:
    """The grammar for a file of this name, "" where there is none, whether or not it is installed."""
    suffix = os.path.splitext(path)[1].lower()  # noqa: PTH122 - as in `parse`
    name = GRAMMAR_OF.get(suffix, LANGUAGES.get(suffix, ""))
    return name if name in MODULES else ""


def is_cut_at_lines(path: str) -> bool:
    """Whether a file of this name would be cut at functions if its language's grammar were installed."""
    grammar = grammar_of(path)
    return bool(grammar) and not is_installed(grammar)


@cache
def is_installed(grammar: str) -> bool:
    """Whether files are read by this grammar here."""
    return all(importlib.util.find_spec(module) for module in ("tree_sitter", MODULES[grammar]))


def _headings(outline: dict[str, Any], text: str) -> tuple[Heading, ...]:
    """The outline as headings; IngestError where it makes no sense, since a source may have made it up."""
    headings = []
    last = -1
    try:
        for start, level, title in outline["parts"]:
            if not (last < start < len(text) and 1 <= level <= 9 and isinstance(title, str)):
                raise ValueError("a part outside the source")
            headings.append(Heading(int(start), int(level), title))
            last = start
    except (KeyError, TypeError, ValueError) as error:
        raise IngestError(NONSENSE) from error
    return tuple(headings)
