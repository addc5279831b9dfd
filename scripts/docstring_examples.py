"""Docstrings for the documentation site: an extension of Griffe, which reads them for mkdocstrings.

A docstring as the house style has it goes in: examples are lines with ``>>>``, and a literal block follows
``::``.  Markdown comes out.
"""

from __future__ import annotations

import re
import textwrap

import griffe

EXAMPLE = re.compile(r"^( *)>>> .*\n(?:\1\S.*\n?)*", re.MULTILINE)
LITERAL = re.compile(r"^ *::\n\n((?: {4,}.*\n|\n)+)", re.MULTILINE)
FLAGS = re.compile(r" *# doctest: .*$", re.MULTILINE)


def as_markdown(docstring: str) -> str:
    """The docstring with its examples and literal blocks as blocks of code."""
    docstring = EXAMPLE.sub(lambda found: fenced("pycon", FLAGS.sub("", found[0])), f"{docstring}\n")
    return LITERAL.sub(lambda found: fenced("text", found[1]), docstring)


def fenced(language: str, code: str) -> str:
    """A block of code in Markdown."""
    return f"\n```{language}\n{textwrap.dedent(code).strip()}\n```\n\n"


class Docstrings(griffe.Extension):
    """Changes each docstring when it has been read."""

    def on_instance(self, *, obj: griffe.Object, **_: object) -> None:
        """Griffe calls this for each module, class, function and attribute."""
        if obj.docstring:
            obj.docstring.value = as_markdown(obj.docstring.value)
