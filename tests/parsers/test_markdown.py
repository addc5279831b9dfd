"""Markdown: headings as in CommonMark, and front matter as the title."""

import pytest

from minisearch.parsers import parse
from minisearch.types import Document
from tests.parsers.anchors import check_anchors, in_source


def outline(document: Document) -> list[tuple[int, str]]:
    return [(heading.level, heading.title) for heading in document.headings]


def markdown(text: str) -> list[tuple[int, str]]:
    return outline(parse("a.md", text.encode()))


@pytest.mark.parametrize("text, expected", [
    ("# One\n## Two ##\n###### Six\n####### seven", [(1, "One"), (2, "Two"), (6, "Six")]),
    ("#hashtag\n    # code\n   # three spaces", [(1, "three spaces")]),
    ("# A # B\n# C#\n#\n# #", [(1, "A # B"), (1, "C#"), (1, ""), (1, "")]),
    ("One\n===\nTwo\n---\n", [(1, "One"), (2, "Two")]),
    ("of two\nlines\n===", [(1, "of two lines")]),
    ("text\n\n---\n\n| a |\n|---|\n", []),
    ("- item\n---\n> quote\n---\n- item\nlazy\n===\n", []),
    ("```\n# no\n```\n# yes", [(1, "yes")]),
    ("~~~ sh\n```\n# no\n~~~\n# yes", [(1, "yes")]),
    ("````\n```\n# no\n````\n# yes", [(1, "yes")]),
    ("- ```sh\n  # no\n  ```\n# yes", [(1, "yes")]),
    ("1. a\n\n    ```sh\n    x\n    ```\n\n# yes", [(1, "yes")]),
    ("```\n# never closed", []),
    ("a ``` b\n# yes", [(1, "yes")]),
    ("<!--\n# no\n-->\n# yes", [(1, "yes")]),
    ("# CR\rtext\r## lone\r", [(1, "CR"), (2, "lone")]),
    ("One\r\n===\r\n\r\nTwo\r\n---\r\n", [(1, "One"), (2, "Two")]),
])  # fmt: skip
def test_markdown_headings(text, expected):
    assert markdown(text) == expected


def test_front_matter_gives_the_title_and_no_headings():
    document = parse("a.md", b'---\ntitle: "On loops"\n# comment\ntags: x\n---\n# First\n')
    assert document.title == "On loops"
    assert outline(document) == [(1, "First")]
    assert parse("a.md", b"---\nlayout: x\n---\n## Sub\n# First\n## Second").title == "First"
    assert parse("a.md", b"## only a subtitle").title == ""


def test_a_heading_begins_where_its_line_begins():
    text = "intro\n\n  # One\n\nTwo\n---\n"
    starts = [heading.start for heading in parse("a.md", text.encode()).headings]
    assert starts == [text.index("  # One"), text.index("Two")]


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("See [[herons|the birds]] and [[Marsh]].", "See the birds (herons) and Marsh."),
        ("![[map.png]] is here: [[notes/2024#May]]!", "map.png is here: notes/2024 > May!"),
        (
            "[[#Food]], [[Heron#Food#Fish|300]], ![[a.png|the map|300]], [[Heron#^b1]]",
            "Food, Heron > Food > Fish, the map (a.png), Heron",
        ),
        ("A ==bright== one #birds/heron ^b1", None),
        ("| a | b |\n|---|---|\n| [[x\\|y]] | [[z]] |", "a; b\na: y (x); b: z"),
        ("`[[x|y]]`, [[1]](a.md), [[ -f x ]], a[[1]], [[1, 2], [3]]", None),
        ("[[Heron#Food|what it eats]], [[heron|Herons]]", "what it eats (Heron > Food), Herons"),
        (
            "[[birds/Heron.md|a heron]], ![[map.png|300x200]], [[#Food|it eats]]",
            "a heron, map.png, it eats (Food)",
        ),
        ("One %%not this, [[x|y]]%% two <!-- nor\nthis --> three.", "One  two  three."),
        ("%%\n# Not this\n\n- nor this\n%%\nOne.", "\nOne."),
        ("`%%x%%`, 100%% and %d%% of %%d; <!-- open", None),
        ("```\n%% x %%\n<!-- y -->\n```", None),
        ("`egrep [[{:alnum:|:alpha:}]] file`", None),
        ("```\n[[x|y]]\n:::note\n> [!tip]\n```", None),
        ("> [!note] Mind the gap\n> It is wide.", "> Note: Mind the gap\n> It is wide."),
        ("> [!WARNING]-\n> It is wide.", "> Warning: \n> It is wide."),
        (":::tip Mind it\nIt is wide.\n:::", "Tip: Mind it\nIt is wide.\n"),
        (":::danger[Mind *it*]\nx\n:::", "Danger: Mind *it*\nx\n"),
        ('::: {.callout-note title="Mind it" collapse=true}\nx\n:::', "Note: Mind it\nx\n"),
        (":::{note} Mind it\nx\n:::", "Note: Mind it\nx\n"),
        ("::: warning\nx\n:::", "Warning:\nx\n"),
        (':::: {.columns}\n::: {.column width="50%"}\nx\n:::\n::::', "\n\nx\n\n"),
        ("a ::: b, and C::D.\n>> quoted", None),
    ],
)
def test_links_and_callouts_are_read_as_text(written: str, read: str | None) -> None:
    document = parse("a.md", f"# Ö\n\n{written}\n\nEnd.\n".encode())
    assert document.text == f"# Ö\n\n{read or written}\n\nEnd.\n"
    check_anchors(document)
    assert in_source(document, "End").startswith("End.")
    n_comments = written.count("%%") // 2 if read and "%%" in written else 0
    assert document.notes == (f"comments left out (%%): {n_comments}",) * (n_comments > 0)


def test_quarto_and_r_markdown_are_markdown() -> None:
    for name in ("a.qmd", "a.Rmd"):
        document = parse(name, b"---\ntitle: Herons\n---\n\n## Marsh\n\n```{r}\n# no heading\n```\n")
        assert (document.format, document.title) == ("markdown", "Herons")
        assert [heading.title for heading in document.headings] == ["Marsh"]
