"""AsciiDoc, Org and LaTeX: what their own tools show is what is read."""

from __future__ import annotations

import time

import pytest

from minisearch.parsers import parse
from tests.parsers.anchors import check_anchors

ORG = """\
#+TITLE: The /book/ of bread
#+AUTHOR: Ada
#+FILETAGS: :rye:
# a comment
* TODO [#A] Rye bread :dark:
:PROPERTIES:
:ID: 42
:END:
Flour *and* =water=, see [[https://x.org][the mill]] and [[file:a.org]]. Path /usr/bin/x, 2*3*4 a_b.
** Steps
- mix
  - slowly
- bake

#+BEGIN_SRC python
x = "*not bold*"  # [[kept][as is]]
* no heading
#+END_SRC
#+CAPTION: Prices
| Item | Price |
|------+-------|
| Rye  | 3.20  |
* Oats
A grain.
"""
ADOC = """\
= The _book_ of bread
Ada Lovelace <ada@example.org>
:author: Ada
:toc:

// a comment
== Rye bread

[NOTE]
====
Flour *and* `water`, see https://x.org[the mill] and <<oats,Oats>>.
====

.Prices
[cols="1,1"]
|===
|Item |Price
|Rye |3.20
|===

[source,python]
----
x = "*not bold*"
== no heading
----

[[oats]]
=== Oats
include::other.adoc[]
A grain.
"""
TEX = r"""% a comment
\documentclass{article}
\title{The \emph{book} of bread}
\author{Ada}
\date{}
\newcommand{\x}{lost}
\begin{document}
\maketitle
\section{Rye \emph{bread}}\label{sec:rye}
Flour \textbf{and} water, 100\% of it~\cite{mill} at \href{http://x.org}{the mill}. % hidden
\begin{itemize}
  \item mix
  \item bake $\alpha + \beta$
\end{itemize}
\begin{verbatim}
\section{no heading} % kept
\end{verbatim}
\subsection*{Oats}
A grain.\footnote{Of grass.}
\end{document}
"""


def test_org():
    document = parse("a.org", ORG.encode())
    assert document.title == "The book of bread"
    assert (document.format, document.language) == ("markup", "org")
    assert document.fields == {
        "title": ("The book of bread",),
        "author": ("Ada",),
        "tags": ("rye", "dark"),
        "id": ("42",),
    }
    assert [(one.level, one.title) for one in document.headings] == [
        (1, "Rye bread"), (2, "Steps"), (1, "Oats")
    ]  # fmt: skip
    assert (
        "Rye bread\nFlour and water, see the mill and file:a.org. Path /usr/bin/x, 2*3*4 a_b.\n"
        in document.text
    )
    assert 'x = "*not bold*"  # [[kept][as is]]\n* no heading\nPrices\n' in document.text
    assert "Item: Rye; Price: 3.20" in document.text
    for markup in ("#+", ":PROPERTIES:", "comment", "TODO", ":dark:"):
        assert markup not in document.text


def test_keywords_properties_and_tags_of_org_are_fields_and_find_the_document():
    text = (
        ":PROPERTIES:\n:ROAM_ALIASES: loaf\n:END:\n#+title: Bread\n#+date: <2024-03-01 Fri>\n"
        "#+OPTIONS: toc:nil\n#+filetags: :rye:dark:\n#+KEYWORDS: oven, stone\n#+DESCRIPTION: On sourdough\n"
        "* Mix :dark:work:\n#+begin_src sh\n#+x: no\n* no :code:\n#+end_src\nFlour.\n"
    )
    document = parse("a.org", text.encode())
    assert document.fields == {
        "title": ("Bread",), "date": ("2024-03-01",), "tags": ("rye", "dark", "work"),
        "keywords": ("oven", "stone"), "description": ("On sourdough",), "roam_aliases": ("loaf",),
    }  # fmt: skip
    assert document.text == "Mix\n#+x: no\n* no :code:\nFlour.\n"
    assert document.names == (
        "rye", "dark", "loaf", "oven", "work", "Bread", "stone", "2024-03-01", "On sourdough"
    )  # fmt: skip


def test_keywords_of_org_are_fields_wherever_they_stand_and_attributes_of_asciidoc_in_any_case():
    document = parse("a.org", b"* Rye\n#+title: Bread\n#+caption: Loaf\nText\n")
    assert (document.fields, document.text) == ({"title": ("Bread",)}, "Rye\nLoaf\nText\n")
    document = parse("a.adoc", b"= Rye\n:Region: Ulm\n\nText\n")
    assert (document.fields, document.text) == ({"region": ("Ulm",)}, "Rye\n\nText\n")


@pytest.mark.parametrize(
    ("header", "fields"),
    [
        ("Ada Löw <a@x.org>; Bob van der Berg\nv1.2, 2024-03-01: First print\n:keywords: rye, \\\n  oven\n", {
            "author": ("Ada Löw", "Bob van der Berg"), "email": ("a@x.org",), "version": ("1.2",),
            "date": ("2024-03-01",), "remark": ("First print",), "keywords": ("rye", "oven"),
        }),
        ("Ada\nMarch 5, 2024\n", {"author": ("Ada",), "date": ("March 5, 2024",)}),
        (":toc: left\nAda\n1.0, May 2024\n", {
            "author": ("Ada",), "version": ("1.0",), "date": ("May 2024",), "toc": ("left",),
        }),
        ("Ada\n", {"author": ("Ada",)}),
    ],
)  # fmt: skip
def test_the_header_of_asciidoc_is_fields_and_no_text(header, fields):
    document = parse("a.adoc", f"// c\n= Bread\n{header}\nFlour.\n".encode())
    assert (document.text, document.title) == ("Bread\n\nFlour.\n", "Bread")
    assert document.fields == fields
    assert set(document.names) == {one for values in fields.values() for one in values}


@pytest.mark.parametrize("text", ["= Bread\n\nAda Löw\n", "= Bread\nOf flour, and of salt.\n", "Ada\nv1\n"])
def test_lines_that_are_no_header_of_asciidoc_are_text(text):
    document = parse("a.adoc", text.encode())
    assert (document.text, dict(document.fields)) == (text.removeprefix("= "), {})


def test_authors_of_latex_are_values_of_one_field():
    document = parse("a.tex", rb"\author{Ada \and Bob\thanks{of Ulm}}\begin{document}Flour.\end{document}")
    assert document.fields == {"author": ("Ada", "Bob of Ulm")}
    assert document.names == ("Ada", "Bob of Ulm")


def test_asciidoc():
    document = parse("a.adoc", ADOC.encode())
    assert (document.title, document.language) == ("The book of bread", "asciidoc")
    assert [(one.level, one.title) for one in document.headings] == [
        (1, "The book of bread"), (2, "Rye bread"), (3, "Oats")
    ]  # fmt: skip
    assert "Flour and water, see the mill and Oats." in document.text
    assert 'x = "*not bold*"\n== no heading\n' in document.text
    for markup in ("comment", "[NOTE]", "====", "|===", "----", ":toc:", "include::", "[[oats]]", "[source"):
        assert markup not in document.text


def test_latex():
    document = parse("a.tex", TEX.encode())
    assert (document.title, document.language) == ("The book of bread", "latex")
    assert document.fields == {"title": ("The book of bread",), "author": ("Ada",)}
    assert [(one.level, one.title) for one in document.headings] == [(1, "Rye bread"), (2, "Oats")]
    assert "Flour and water, 100% of it~ at the mill. " in document.text
    assert "- mix\n" in document.text and r"- bake $\alpha + \beta$" in document.text
    assert "\\section{no heading} % kept\n" in document.text
    assert "A grain. Of grass." in document.text
    for markup in ("lost", "hidden", "\\begin", "documentclass", "sec:rye", "itemize"):
        assert markup not in document.text


TEX_TABLES = r"""Grain.
\begin{table}\caption{Prices}
\begin{tabularx}{\linewidth}{l|X}
\toprule
\textbf{Item} & Price % not this & that
\\ \midrule
Rye & 3.20 \\
Salt \& pepper
  & 1.10 \\[2pt]
\multicolumn{2}{c}{Both \emph{sold out}} \\
\bottomrule
\end{tabularx}
\end{table}
\begin{tabular}{ll} a & b \\ c & d \end{tabular}
End."""
ADOC_TABLES = """Grain.

[cols="1,1"]
|===
|Item |Price

|Rye |3.20
|Salt and
pepper
a|1.10
2+|Both _sold_ out
|===

[%header,cols=2*]
.People
|===
|Name
|City
|Ann
|Kiel
|===
Wordfootnote:[A note.] on.
"""


def test_tables_of_latex_have_rows_with_the_names_of_their_columns():
    document = parse("a.tex", TEX_TABLES.encode())
    check_anchors(document)
    rows = ["Item; Price", "Item: Rye; Price: 3.20", "Item: Salt & pepper; Price: 1.10", "Both sold out"]
    assert document.text.split("\n\n")[0] == "\n".join(["Grain.", "Prices", *rows])
    assert [line for line in document.text.split("\n") if line][5:] == [
        "Both sold out",
        "a; b",
        "c; d",
        "End.",
    ]
    assert set(rows) <= {document.text[start:end] for start, end in document.blocks}


def test_tables_of_asciidoc_have_rows_with_the_names_of_their_columns():
    document = parse("a.adoc", ADOC_TABLES.encode())
    check_anchors(document)
    rows = ["Item; Price", "Item: Rye; Price: 3.20", "Item: Salt and pepper; Price: 1.10", "Both sold out"]
    assert [line for line in document.text.split("\n") if line] == [
        "Grain.", *rows, ".People", "Name; City", "Name: Ann; City: Kiel", "Word A note. on."
    ]  # fmt: skip
    assert set(rows) <= {document.text[start:end] for start, end in document.blocks}


def test_an_asciidoc_table_whose_cells_span_rows_stays_as_it_is():
    text = "|===\n|a |b\n.2+|c |d\n|e\n|===\n"
    assert parse("a.adoc", text.encode()).text == "|a |b\n.2+|c |d\n|e\n"


@pytest.mark.parametrize("name, text", [("a.org", ORG), ("a.adoc", ADOC), ("a.tex", TEX)])
@pytest.mark.parametrize("line_break", ["\n", "\r\n"])
def test_positions_lead_back_to_the_file(name, text, line_break):
    data = text.replace("\n", line_break).encode()
    document = parse(name, data)
    check_anchors(document)
    for heading in document.headings:
        assert document.text[heading.start :].lstrip().startswith(heading.title.split()[0])


@pytest.mark.parametrize("name, unit", [
    ("a.org", "*a"), ("a.org", ":PROPERTIES:\n"), ("a.org", "[[a]["), ("a.org", "#+begin_src\n"),
    ("a.org", "/a"), ("a.org", "|-"), ("a.org", "* a :b"), ("a.org", "\n:b: "),
    ("a.adoc", "<<a,"), ("a.adoc", "link:a["), ("a.adoc", "----\n"), ("a.adoc", "_a *b `"), ("a.adoc", "[[a"),
    ("a.tex", "\\section{"), ("a.tex", "\\emph{"), ("a.tex", "\\begin{verbatim}\n"), ("a.tex", "\\item "),
    ("a.tex", "\\begin{tabular}{l}"), ("a.tex", "&"), ("a.tex", "\\begin{tabular}{l}a&b\\\\\\end{tabular}"),
    ("a.adoc", "|===\n"), ("a.adoc", "|===\n|a|b\n|===\n"), ("a.adoc", "|a 2+|"), ("a.adoc", "[cols=1]\n"),
    ("a.tex", "\\title{{}"), ("a.tex", "\\cite["), ("a.tex", "%"), ("a.tex", "\\\\"),
])  # fmt: skip
def test_time_is_linear_in_hostile_texts(name, unit):
    def cpu_s(n: int) -> float:
        started_s = time.process_time()
        parse(name, (unit * (n // len(unit))).encode())
        return time.process_time() - started_s

    cpu_s(1_000)
    assert cpu_s(80_000) < 10 * max(cpu_s(20_000), 0.05)


def test_letters_of_latex_are_those_of_unicode_but_not_in_code() -> None:
    text = r"""\section{Br{\o}ndby}
Gr\"{o}{\ss}e vis\'ited na\"{\i}ve Fran\c{c}ois \textbf{M\"u} \'{E}t\'e \v{S}koda Stra\ss enn\"ahe 5\,\%
\begin{verbatim}
ls \.txt
\end{verbatim}
"""
    found = parse("a.tex", text.encode())
    assert [one.title for one in found.headings] == ["Brøndby"]
    assert "Größe visíted naïve François Mü Été Škoda Straßennähe 5 %" in " ".join(found.text.split())
    assert r"ls \.txt" in found.text


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.adoc", "= A\nAda\n1{}!\n"),
        ("a.adoc", "= A\nAda{}!\n"),
        ("a.adoc", "= A\n:tags: a{}b\n"),
        ("a.org", ":PROPERTIES:\n:tags: a{}b\n:END:\n"),
        ("a.md", "---\ntags: 'a{}b'\n---\nText\n"),
        ("a.rst", ".. meta::\n   :tags: a{}b\n\nText\n"),
    ],
)
def test_a_long_gap_in_a_field_takes_linear_time(name: str, text: str) -> None:
    started_s = time.process_time()
    parse(name, text.format(" " * 60_000).encode())
    assert time.process_time() - started_s < 2
