"""Source code: its language by suffix, its text unchanged, its classes and functions as headings.

A tree-sitter grammar finds the definitions, in the sandbox process: it is native code, and a source file may
be made to crash it or to keep it busy for hours.  Where the grammar is not installed or fails, there are no
headings, and the chunker cuts at lines.
"""

from __future__ import annotations

import importlib.util
import os
from dataclasses import replace
from functools import cache

from minisearch.errors import IngestError
from minisearch.parsers.grammars import MODULES
from minisearch.parsers.sandbox import NONSENSE, Limits, Sandbox
from minisearch.parsers.source import Source, checked_headings
from minisearch.types import Document

# Every language a file may be written in: of programming, of data, or of markup. Others are plain text.
_SUFFIXES = {
    "c": ".c .h",
    "cpp": ".cc .cpp .cxx .hh .hpp",
    "csharp": ".cs",
    "css": ".css",
    "go": ".go",
    "html": ".htm .html .xhtml",
    "ini": ".cfg .conf .ini",
    "java": ".java",
    "javascript": ".cjs .js .jsx .mjs",
    "json": ".json .jsonl .ndjson",
    "kotlin": ".kt",
    "lua": ".lua",
    "markdown": ".markdown .md .mdx",
    "perl": ".pl",
    "php": ".php",
    "powershell": ".ps1",
    "python": ".py .pyi",
    "r": ".r",
    "rst": ".rst",
    "ruby": ".rb",
    "rust": ".rs",
    "scala": ".scala",
    "shell": ".bash .sh .zsh",
    "sql": ".sql",
    "swift": ".swift",
    "terraform": ".tf",
    "toml": ".toml",
    "typescript": ".cts .mts .ts .tsx",
    "xml": ".xml",
    "yaml": ".yaml .yml",
}
_MARKUP = {"html", "markdown", "rst"}

# A suffix in lower case, with its dot, to the language's name.
LANGUAGES = {suffix: language for language, suffixes in _SUFFIXES.items() for suffix in suffixes.split()}

# Where a line break is structure.
CODE_SUFFIXES = tuple(suffix for suffix, language in LANGUAGES.items() if language not in _MARKUP)

# Suffixes whose grammar is not named after the language. C++ headers have no suffix of their own, and C
# parses well enough as C++.
GRAMMAR_OF = {".h": "cpp", ".tsx": "tsx"}

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
    suffix = os.path.splitext(path)[1].lower()  # noqa: PTH122 - as in `parse`
    name = GRAMMAR_OF.get(suffix, LANGUAGES.get(suffix, ""))
    return name if name in MODULES else ""


def is_cut_at_lines(path: str) -> bool:
    """Whether a file of this name would be cut at functions if its grammar were installed."""
    grammar = grammar_of(path)
    return bool(grammar) and not is_installed(grammar)


@cache
def is_installed(grammar: str) -> bool:
    """Whether this grammar can be used here."""
    return all(importlib.util.find_spec(module) for module in ("tree_sitter", MODULES[grammar]))
