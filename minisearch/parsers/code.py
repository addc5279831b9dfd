"""Source code: its text unchanged, its classes and functions as headings.

A tree-sitter grammar finds the definitions, in the sandbox process: it is native code, and a source file may
be made to crash it or to keep it busy for hours.  Where the grammar is not installed or fails, there are no
headings, and the chunker cuts at lines.
"""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from functools import cache

from minisearch.errors import IngestError
from minisearch.formats import format_of
from minisearch.parsers.grammars import MODULES
from minisearch.parsers.sandbox import NONSENSE, Limits, Sandbox
from minisearch.parsers.source import Source, checked_headings
from minisearch.types import Document

# A megabyte of ordinary source takes half a second and 50 MB.
SANDBOX = Sandbox(Limits(wall_s=60, cpu_s=5))


def read_code(source: Source, sandbox: Sandbox = SANDBOX) -> Document:
    """The file unchanged, with headings where the grammar of its language is installed."""
    document = source.unchanged("code")
    grammar = grammar_of(source.path)
    if grammar and is_installed(grammar) and source.text.strip():
        try:
            outline = sandbox.extract("grammars", f"{grammar} source", f"{grammar}\n{source.text}".encode())
            return replace(document, headings=tuple(checked_headings(outline["parts"], source.text)))
        except (KeyError, TypeError, ValueError):  # the process may be compromised
            return source.unchanged("code", f"cut at lines, not at functions: {NONSENSE}")
        except IngestError as error:
            return source.unchanged("code", f"cut at lines, not at functions: {error}")
    return document


def grammar_of(path: str) -> str:
    """The grammar for a file of this name, installed or not; "" where there is none."""
    format_ = format_of(path)
    name = format_.grammar or format_.language
    return name if name in MODULES else ""


def is_cut_at_lines(path: str) -> bool:
    """Whether a file of this name would be cut at functions if its grammar were installed."""
    grammar = grammar_of(path)
    return bool(grammar) and not is_installed(grammar)


@cache
def is_installed(grammar: str) -> bool:
    """Whether this grammar can be used here."""
    return all(importlib.util.find_spec(module) for module in ("tree_sitter", MODULES[grammar]))
