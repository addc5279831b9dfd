"""reStructuredText: section titles as in docutils, and where they begin."""

import pytest

from minisearch.parsers import parse


def rst(text: str) -> list[tuple[int, str]]:
    return [(heading.level, heading.title) for heading in parse("a.rst", text.encode()).headings]


@pytest.mark.parametrize("text, expected", [
    ("Title\n=====\n\nSub\n---\n\nTitle\n=====\n", [(1, "Title"), (2, "Sub"), (1, "Title")]),
    ("=====\nTitle\n=====\n\nPart\n=====\n\n Inset\n", [(1, "Title"), (2, "Part")]),
    ("*******\n Inset\n*******\n", [(1, "Inset")]),
    ("B\n~\n\nA\n=\n\nC\n~\n", [(1, "B"), (2, "A"), (1, "C")]),
    ("a\n=\na\n=\n", [(1, "a"), (1, "a")]),
    (".. code-block:: text\n\n   No\n   ==\n\nYes\n===\n", [(1, "Yes")]),
    ("So::\n\n    No\n    --\n", []),
    ("two lines of\na paragraph\n-----------\n", []),
    ("- bullet\n--------\n", []),
    ("1. Numbered\n===========\n", [(1, "1. Numbered")]),
    ("====  ====\nA     B\n====  ====\n1     2\n====  ====\n", []),
    ("+---+\n| a |\n+---+\n", []),
    ("text\n\n----------\n\nmore\n", []),
    ("Much too long\n---\n", []),
    ("Rather long\n----\n", [(1, "Rather long")]),
    (".. _label:\nTitle\n=====\n", [(1, "Title")]),
    ("=====\nTitle\n-----\n", []),
    ("標題\n====\n標題\n==\n", [(1, "標題")]),
])  # fmt: skip
def test_rst_sections(text, expected):
    assert rst(text) == expected


def test_an_rst_heading_begins_at_its_labels():
    text = "Words.\n\n.. _one:\n.. _two:\n\n=====\nTitle\n=====\n"
    (heading,) = parse("a.rst", text.encode()).headings
    assert heading.start == text.index(".. _one:")
    text = "Words.\n\n.. versionadded:: 2.0\n\n.. setting:: RETRY_TIMES\n\nRETRY_TIMES\n-----------\n"
    (heading,) = parse("a.rst", text.encode()).headings
    assert heading.start == text.index(".. setting::"), "what was added stands above"
    (heading,) = parse("a.rst", b":orphan:\n\n.. _one:\n\nTitle\n=====\n").headings
    assert heading.start == 0
