"""reStructuredText: section titles as in docutils, and where they begin."""

import time

import pytest

from minisearch.chunking.chunker import chunk
from minisearch.parsers import parse
from tests.fakes import WordTokenizer
from tests.parsers.anchors import check_anchors


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


OBJECTS = """\
Module
======

Intro.

.. py:class:: Path(x)

   A path.

   .. method:: join(*parts)

      Join them::

         .. function:: no_object(x)

            No.

   More of the path.

.. _sep:
.. data:: sep

   The separator.

Prose at the margin.

.. setting:: RETRY

Retry
-----

.. option:: --retries N
            -r N

   How often.

.. function:: without_words()

.. note:: No object

   A note.
"""


def test_a_directive_for_an_object_is_the_heading_of_what_is_indented_below_it():
    document = parse("a.rst", OBJECTS.encode())
    found = [(one.level, one.title) for one in document.headings]
    assert found == [
        (1, "Module"), (2, "Path(x)"), (3, "join(*parts)"), (3, ""), (2, "sep"), (2, ""), (2, "Retry"),
        (3, "--retries N"), (3, ""),
    ]  # fmt: skip
    assert document.title == "Module"
    chunks = chunk(document, WordTokenizer(), max_tokens=60, overlap_tokens=0)
    assert [(one.heading, one.text.split()[-1]) for one in chunks] == [
        ("Module", "Intro."),
        ("Module > Path(x)", "path."),
        ("Module > Path(x) > join(*parts)", "No."),
        ("Module > Path(x)", "path."),
        ("Module > sep", "separator."),
        ("Module", "margin."),
        ("Module > Retry > --retries N", "often."),
        ("Module > Retry", "note."),
    ]
    assert chunks[4].text.startswith(".. _sep:")


@pytest.mark.parametrize(
    "unit",
    [".. data:: x\n  a\n", ".. data:: x\n\n", ".. data:: x\n \n", "  .. data:: x\n   a\n", ".. a:b:: "],
)
def test_objects_are_found_in_time_that_grows_with_the_text(unit):
    def seconds(n):
        start = time.process_time()
        parse("a.rst", (unit * n).encode())
        return time.process_time() - start

    assert seconds(8_000) < 10 * max(seconds(2_000), 0.02)  # 16 times, if it grew with the square


LIST_TABLE = """\
.. list-table:: Frozen
   :widths: 15 10
   :header-rows: 1

   * - Treat
     - Quantity
   * - Albatross

       - nested
       - list
     - 2.99
   * - Crunchy
       Frog
     -

Between.

  .. csv-table:: Numbers
     :header: "Name", "Age"

     "Ann, B", 12
     Bob, "13
     14"

.. csv-table::
   :delim: ;
   :header-rows: 1

   a; b
   c; d

.. list-table::

   * - one
     - two

End.
"""


def test_tables_of_lists_and_of_csv_have_rows_with_the_names_of_their_columns() -> None:
    document = parse("a.rst", LIST_TABLE.encode())
    check_anchors(document)
    rows = ["Treat: Albatross - nested - list; Quantity: 2.99", "Name: Ann, B; Age: 12", "a: c; b: d"]
    assert [line.strip() for line in document.text.split("\n") if line.strip()] == [
        "Frozen", "Treat; Quantity", rows[0], "Treat: Crunchy Frog", "Between.", "Numbers", "Name; Age",
        rows[1], "Name: Bob; Age: 13 14", "a; b", rows[2], "one; two", "End.",
    ]  # fmt: skip
    assert set(rows) <= {document.text[start:end] for start, end in document.blocks}


@pytest.mark.parametrize("unit", [
    ".. list-table::\n", ".. csv-table::\n\n   a,b\n", ".. list-table::\n   * - a\n", "   * - a\n",
    ".. csv-table::\n   :header: \"a\n",
])  # fmt: skip
def test_many_tables_take_linear_time(unit: str) -> None:
    start = time.process_time()
    parse("a.rst", (".. list-table::\n\n" + unit * (300_000 // len(unit))).encode())
    assert time.process_time() - start < 8
