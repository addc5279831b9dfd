"""Blocks are found in every kind of markup, and are cut only where they are longer than a chunk."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minisearch.chunking.chunker import chunk
from minisearch.parsers import parse
from minisearch.parsers.registry import Extracted
from minisearch.parsers.sandbox import Sandbox
from tests.fakes import WordTokenizer
from tests.parsers.anchors import check_anchors, in_source


def blocks(text: str, path: str = "a.md") -> list[str]:
    document = parse(path, text.encode())
    return [document.text[start:end] for start, end in document.blocks]


# --- awkward ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["a.md", "a.rst", "a.html"])
@pytest.mark.parametrize("text", ["", "\n\n", "words", "   ", "words\nand more\n\nwords"])
def test_plain_words_are_no_block(text, path):
    assert [block for block in blocks(text, path) if block.strip()] == []


def test_nothing_ends_a_block_but_the_end_of_the_text():
    assert blocks("- item\n\n  ```\n  never closed\n\n- still code")[0].endswith("still code")
    assert blocks("| a | b |\n|---|---|\n| 1 | 2")[0] == "a; b\na: 1; b: 2"
    assert blocks("===== ====\nno     end\n", "a.rst") == []
    assert blocks("<table><tr><td>a<ul><li>b<pre>c", "a.html") == ["a\n\nb\n\nc", "b\n\nc", "c"]


@pytest.mark.parametrize(
    "unit",
    [
        "|\n",
        "-|-\n",
        "=== ===\n",
        "+--+\n",
        "- ",
        "- a\n",
        " - a\n",
        "| ",
        "-|",
        "\t",
        "= ",
        "- a\n  b\n\n",
        "```\n",
    ],
)
@pytest.mark.parametrize("path", ["a.md", "a.rst"])
def test_200_kilobytes_of_anything_is_read_in_linear_time(unit, path):
    data = (unit * (200_000 // len(unit))).encode()
    start = time.process_time()
    parse(path, data)
    assert time.process_time() - start < 5  # about half a second; minutes, if quadratic


@pytest.mark.parametrize(
    "unit",
    ["<td>", "<td>a", "<td><p>&", "<li>a", "<ul><li>a", "<table><tr>", "</li>", "<pre>\n", "<table>a</pre>"],
)
def test_unclosed_blocks_of_html_take_linear_time(unit):
    start = time.process_time()
    parse("a.html", (unit * (100_000 // len(unit))).encode())
    assert time.process_time() - start < 10


# --- what is found ---------------------------------------------------------------------------------


def test_an_item_has_all_that_is_indented_below_it():
    one, two = "- one\n  goes on\n\n  second paragraph", "- two\n  - inner\n\n    more"
    assert blocks(f"Words.\n\n{one}\n{two}\n\nWords.")[0] == one
    assert two in blocks(f"Words.\n\n{one}\n{two}\n\nWords.")
    assert "  - inner\n\n    more" in blocks(f"Words.\n\n{one}\n{two}\n\nWords.")
    assert "1. one\n\n   more" in blocks("1. one\n\n   more\n2. two")


def test_a_line_at_the_margin_may_go_on_with_an_item_in_markdown_alone():
    text = "* one\ngoes on\n\nWords."
    assert blocks(text) == ["* one\ngoes on"]
    assert blocks(text, "a.rst") == ["* one"]
    assert blocks("* one\n# Title") == ["* one"]


def test_fences_and_pre_are_blocks_and_nothing_in_them_or_in_comments_is():
    fence = "```yaml\n- a\n\n| b\n# no title\n```"
    found = blocks(f"{fence}\n\n<!-- c\n\n- d -->\n\n<pre>\n\n e</pre>\n")
    assert found == [fence, "<pre>\n\n e</pre>"]


def test_tables_are_blocks_however_they_are_drawn():
    bars = "| a | b |\n|---|:-:|\n| 1 | 2 |\n| 3 | 4 |"
    bare = "a | b\n--|--\n1 | 2\n3 | 4"
    grid = "+---+---+\n| a | b |\n+===+===+\n| 1 | 2 |\n+---+---+\n| 3 | 4 |\n+---+---+"
    simple = "===  ===\n a    b\n===  ===\n 1    2\n\n 3    4\n===  ==="
    rows = ["a; b", "a: 1; b: 2", "a: 3; b: 4"]
    for table, path in ((bars, "a.md"), (bare, "a.md"), (grid, "a.md"), (grid, "a.rst"), (simple, "a.rst")):
        found = [" ".join(block.split()) for block in blocks(f"Words.\n\n{table}\n\nWords.", path)]
        assert found[0] == " ".join(rows)
        assert {" ".join(rows[:2]), *rows} <= set(found)  # the header also with the first row
        text = parse(path, f"Words.\n\n{table}\n\nWords.".encode()).text
        assert [line.strip() for line in text.split("\n")] == ["Words.", "", *rows, "", "Words."]
    indented = f"- Words.\n\n  {bars}\n\nWords.".replace("\n|", "\n  |")
    assert blocks(indented)[0] == "- Words.\n\n  " + "\n  ".join(rows)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("+---+---+\n| a | b |\n+---+---+\n| 1 | 2 |\n+---+---+", "a.rst"),
        ("===  ===\n 1    2\n 3    4\n===  ===", "a.rst"),
        ("| line of a poem\n| another", "a.rst"),
        ("|   |   |\n|---|---|\n| 1 | 2 |", "a.md"),
        ("| a |\n|---|\n| 1 |", "a.md"),  # one column has no need of a name
    ],
)
def test_a_table_without_names_of_columns_stays_as_it_is_drawn(text, path):
    document = parse(path, f"Words.\n\n{text}\n\nWords.".encode())
    assert document.text == f"Words.\n\n{text}\n\nWords."
    assert text in [document.text[start:end] for start, end in document.blocks]


def test_a_row_drawn_in_several_lines_is_one_block():
    header = "+---+---+---+\n| a | b | c |\n+===+===+===+"
    first = "| 1 | 2 | x |\n|   | 3 |   |\n+---+---+---+"
    second = "| 4 | 5 and |\n+---+       |\n| 6 | 7     |\n+---+---+---+"  # a cell through both lines
    found = blocks(f"{header}\n{first}\n{second}\n", "a.rst")
    rows = ["a; b; c", "a: 1; b: 2 3; c: x", "a: 4 6; b, c: 5 and 7"]
    assert found == ["\n".join(rows), "\n".join(rows[:2]), *rows]

    simple = "===  ====\n a    b\n===  ====\n1    2\n\n     3 is\n4    5\n     6\n\\    7\n===  ===="
    text = parse("a.rst", f"{simple}\n\nWords.".encode()).text
    assert text == "a; b\na: 1; b: 2 3 is\na: 4; b: 5 6\na: \\; b: 7\n\nWords."


def test_cells_of_markdown_have_bars_and_marks_of_their_own():
    text = "Name | **What** it does | \n:--|:-:|--\n`a\\|b` | one or *two* | more\n | - | \nc | +\n"
    assert parse("a.md", text.encode()).text == (
        "Name; **What** it does\nName: `a\\|b`; What it does: one or *two*; more\nName: c; What it does: +\n"
    )


def test_tables_in_quotations_have_rows_with_the_names_of_their_columns():
    text = (
        "> | Item | Price |\n> |---|---|\n> | rye | 3 |\n>\n>> | a | b |\n>> |---|---|\n>> | 1 | 2 |\n> end\n"
    )
    document = parse("a.md", text.encode())
    assert document.text == "> Item; Price\n> Item: rye; Price: 3\n>\n>> a; b\n>> a: 1; b: 2\n> end\n"


def test_places_in_rows_are_those_of_the_file():
    text = "Ö\n\n| Item | Price |\n|---|---|\n| Été | 2 |\n\nEnd of it."
    document = parse("a.md", text.encode())
    check_anchors(document)
    for words in ("Ö", "Item", "Price", "Été", "2 |".rstrip(" |"), "End"):
        assert in_source(document, words).startswith(words)


def test_directives_and_literal_blocks_of_rst_are_blocks():
    note = ".. note::\n\n   One.\n\n   Two."
    literal = "    a = 1\n\n    b = 2"
    found = blocks(f"{note}\n\nSo it is::\n\n{literal}\n\nEnd.", "a.rst")
    assert note in found and literal in found


@pytest.mark.parametrize(
    ("opening", "closing"), [("```", "```"), ("~~~ text", "~~~"), ("<!--", "-->"), ("<pre>", "</pre>")]
)
def test_no_table_is_looked_for_in_code_and_comments(opening, closing):
    region = f"{opening}\n| a | b |\n|---|---|\n| 1 | 2 |\n{closing}"
    assert blocks(f"Words.\n\n{region}\n\nWords.") == [region] * (opening != "<!--")
    table = "| a | b |\n|---|---|\n| 1 | 2 |"
    assert "a; b\na: 1; b: 2" in blocks(f"{region}\n{table}\n{region}")


def test_cells_that_are_a_paragraph_each_stand_in_one_line():
    rows = [["Name", "City"], ["Ann", ""], ["", "Kiel"]]
    cells = ["".join(f"<td><div><p>{words}</p></div></td>" for words in row) for row in rows]
    page = "<p>before</p><table>" + "".join(f"<tr>{row}</tr>" for row in cells) + "</table>after"
    assert parse("a.html", page.encode()).text.split("\n\n") == [
        "before",
        "Name City",
        "Ann",
        "Kiel",
        "after",
    ]
    empty = "<table><tr><td><p>a</p></td><td><p></p></td><td><p>b</p></td></tr></table>"
    assert parse("a.html", empty.encode()).text.split() == ["a", "b"]


@pytest.mark.parametrize(
    "first",
    ["<p>a</p><p>b</p>", "<h2>a</h2>b", "a<table><tr><td>b</td></tr></table>", "a<ul><li>b</li></ul>"],
)
def test_cells_that_lay_out_a_page_stay_apart(first):
    page = f"<table><tr><td>{first}</td><td><p>c</p></td></tr></table>"
    assert parse("a.html", page.encode()).text.split("\n\n") == ["a", "b", "c"]


def test_items_rows_tables_and_code_of_html_are_blocks():
    found = blocks("<p>x</p><ul><li>a<ul><li>b<li>c</ul><li>d</ul><pre>e\n\nf</pre><p>y", "a.html")
    assert found == ["a\n\nb\nc", "b", "c", "d", "e\n\nf"]
    found = blocks("<table><tr><th>a</th><th>b</th></tr><tr><td>1<td>2</table>", "a.html")
    assert found == ["a; b\na: 1; b: 2", "a; b", "a: 1; b: 2"]


def test_items_and_rows_of_binary_files_are_blocks():
    class Canned(Sandbox):
        def extract(self, module, label, data):
            html, rows = "<p>é</p><ul><li>one<li>two</ul>", [["name", "size"], ["x", "1"]]
            pages = [[{"text": "words", "headings": []}, {"html": html}], [{"rows": rows}]]
            return {"has_pages": False, "pages": pages, "title": "", "properties": [], "notes": []}

    document = Extracted("epub", sandbox=Canned()).read("a.epub", b"")
    found = [document.text[start:end] for start, end in document.blocks]
    assert found == ["one", "two", "name; size", "name: x; size: 1"]


# --- what is cut -----------------------------------------------------------------------------------

words = st.lists(st.sampled_from(["one", "two.", "Three", "x=1", "four.", "Five"]), min_size=1, max_size=14)
lines = st.lists(words.map(" ".join), min_size=1, max_size=4)
paragraphs = lines.map("\n".join).map(lambda text: (text, None))


def kept(texts):
    """Texts, each with what it becomes in a document."""
    return texts.map(lambda text: (text, text))


fences = kept(lines.map(lambda rows: "\n".join(["```", *rows, "", "last", "```"])))
pipes = lines.map(
    lambda rows: (
        "\n".join(["| a | b |", "|---|---|", *(f"| {row} | c |" for row in rows)]),
        "\n".join(["a; b", *(f"a: {row}; b: c" for row in rows)]),
    )
)
grids = kept(lines.map(lambda rows: "\n".join(["+--+", *(f"| {row} |" for row in rows), "+--+"])))
items = kept(lines.map(lambda rows: "- " + "\n\n  ".join(rows)))
directives = kept(lines.map(lambda rows: ".. note::\n\n" + "\n\n".join(f"   {row}" for row in rows)))
MARKDOWN = st.lists(st.one_of(paragraphs, fences, pipes, items), min_size=1, max_size=10)
RST = st.lists(st.one_of(paragraphs, grids, items, directives), min_size=1, max_size=10)


def check_kept(path: str, parts: list[tuple[str, str | None]], max_tokens: int, overlap_tokens: int) -> None:
    """Every part that has to be kept whole, and fits, stands whole in a chunk."""
    text = "\n\n".join(text for text, _ in parts)
    chunks = chunk(
        parse(path, text.encode()), WordTokenizer(), max_tokens=max_tokens, overlap_tokens=overlap_tokens
    )
    assert max(one.n_tokens for one in chunks) <= max_tokens
    position = 0
    for part, whole in parts:
        part = whole or part
        if whole and len(WordTokenizer().spans([whole])[0]) <= max_tokens and len(whole) <= 12 * max_tokens:
            inside = [one for one in chunks if one.start <= position and position + len(part) <= one.end]
            assert inside, (part, [one.text for one in chunks])
        position += len(part) + 2


@settings(max_examples=120, deadline=None)
@given(MARKDOWN, st.integers(12, 80), st.integers(0, 30))
def test_a_fence_a_table_and_an_item_of_markdown_that_fit_are_never_cut(parts, max_tokens, overlap_tokens):
    check_kept("a.md", parts, max_tokens, overlap_tokens)


@settings(max_examples=120, deadline=None)
@given(RST, st.integers(12, 80), st.integers(0, 30))
def test_a_table_an_item_and_a_directive_of_rst_that_fit_are_never_cut(parts, max_tokens, overlap_tokens):
    check_kept("a.rst", parts, max_tokens, overlap_tokens)


sentences = st.lists(
    st.sampled_from(["one", "two. Two", "Three!", "x=1", "So. It is.", "Five"]), min_size=1, max_size=9
)
cells = st.tuples(sentences.map(" ".join), sentences.map(" ".join))


def bars(pairs):
    return "\n".join(["| K | V |\n|---|---|", *(f"| {a} | {b} |" for a, b in pairs)])


def in_an_item(pairs):
    return "  " + bars(pairs).replace("\n", "\n  ")


def bare(pairs):
    return "\n".join(["K | V\n--|--", *(f"{a} | {b}" for a, b in pairs)])


def grid(pairs):
    width, line = (
        max(len(a) for a, _ in pairs),
        "+{:->{width}}+----+".format("", width=max(len(a) for a, _ in pairs) + 2),
    )
    return f"{line}\n| {'K':<{width}} | V |\n{line.replace('-', '=')}\n" + "\n".join(
        f"| {a:<{width}} | {b} |\n{line}" for a, b in pairs
    )


def simple(pairs):
    border = "=" * max(len(a) for a, _ in pairs) + " ===="
    rows = (f"{a:<{len(border) - 5}} {b}" for a, b in pairs)
    return "\n".join([border, f"{'K':<{len(border) - 5}} V", border, *rows, border])


@pytest.mark.parametrize(
    ("path", "drawn"),
    [
        ("a.md", bars),
        ("a.md", in_an_item),
        ("a.md", bare),
        ("a.md", grid),
        ("a.rst", grid),
        ("a.rst", simple),
    ],
)
@settings(max_examples=60, deadline=None)
@given(
    pairs=st.lists(cells, min_size=1, max_size=12),
    max_tokens=st.integers(12, 80),
    overlap_tokens=st.integers(0, 40),
    before=sentences,
)
def test_a_table_is_cut_between_rows_alone(path, drawn, pairs, max_tokens, overlap_tokens, before):
    pairs = [(f"{number} {key}", value) for number, (key, value) in enumerate(pairs)]
    item = "- " if drawn is in_an_item else ""
    data = "\n\n".join([f"{item}Words. " + " ".join(before), drawn(pairs), "Last words."]).encode()
    document = parse(path, data)
    chunks = chunk(document, WordTokenizer(), max_tokens=max_tokens, overlap_tokens=overlap_tokens)

    def fits(part):
        return len(WordTokenizer().spans([part])[0]) <= max_tokens and len(part) <= 12 * max_tokens

    def check_whole(part):
        start = document.text.index(part)
        end = start + len(part)
        assert any(one.start <= start and end <= one.end for one in chunks), part
        assert not any(start < one.start < end or start < one.end < end for one in chunks), part

    rows = [f"K: {a}; V: {b}" for a, b in pairs]
    for part in (f"K; V\n{'  ' * bool(item)}{rows[0]}", *rows):
        if fits(part):
            check_whole(part)


def test_a_row_longer_than_a_chunk_is_cut_at_its_sentences_and_its_neighbours_stay_whole():
    long = "| 2 | " + " ".join(f"Sentence {i} has words." for i in range(9)) + " |"
    text = f"| K | V |\n|---|---|\n| 1 | So. It is. So it is. |\n{long}\n| 3 | So. It was. |"
    chunks = chunk(parse("a.md", text.encode()), WordTokenizer(), max_tokens=28, overlap_tokens=0)
    found = [one.text for one in chunks]
    assert found[0].startswith("K; V\nK: 1; V: So. It is. So it is.")
    assert all(part.endswith(".") for part in found)
    assert found[-1].endswith("\nK: 3; V: So. It was.")


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["p", "pre", "li", "tr"]), lines), min_size=1, max_size=10),
    st.integers(12, 60),
    st.integers(0, 30),
)
def test_code_an_item_and_a_row_of_html_that_fit_are_never_cut(parts, max_tokens, overlap_tokens):
    parts = [(name, [f"{number}: {row}" for row in rows]) for number, (name, rows) in enumerate(parts)]
    html = "".join(f"<{name}>{chr(10).join(rows)}</{name}>" for name, rows in parts)
    chunks = chunk(
        parse("a.html", html.encode()), WordTokenizer(), max_tokens=max_tokens, overlap_tokens=overlap_tokens
    )
    for name, rows in parts:
        shown = "\n".join(rows) if name == "pre" else " ".join(rows)
        if (
            name != "p"
            and len(WordTokenizer().spans([shown])[0]) <= max_tokens
            and len(shown) <= 12 * max_tokens
        ):
            assert any(shown in one.text for one in chunks), (shown, [one.text for one in chunks])


def test_what_does_not_fit_is_cut_within_and_what_it_holds_stays_whole():
    inner = "\n".join(f"  - item {i} has these few words" for i in range(6))
    chunks = chunk(
        parse("a.md", f"- all\n{inner}\n".encode()), WordTokenizer(), max_tokens=20, overlap_tokens=0
    )
    assert len(chunks) > 1
    assert all(line.endswith("words") for one in chunks for line in one.text.splitlines()[1:])


def test_a_table_is_not_begun_by_an_overlap_that_leaves_it_no_room():
    drawn = "| a | b |\n|---|---|\n" + "\n".join(f"| row {i} | c |" for i in range(4))
    table = "\n".join(["a; b", *(f"a: row {i}; b: c" for i in range(4))])
    prose = " ".join(f"Sentence {i} has words." for i in range(6))
    n_tokens = len(WordTokenizer().spans([table])[0])
    chunks = chunk(
        parse("a.md", f"{prose}\n\n{drawn}\n\n{prose}".encode()),
        WordTokenizer(),
        max_tokens=n_tokens,
        overlap_tokens=10,
    )
    assert table in [one.text for one in chunks]


def test_every_chunk_of_a_table_says_what_its_columns_are():
    rows = [(f"part {n}", f"{n}.50") for n in range(60)]
    for path, drawn in (("a.md", bars), ("a.md", bare), ("a.rst", grid), ("a.rst", simple)):
        document = parse(path, f"Prices.\n\n{drawn(rows)}\n\nThat is all.".encode())
        chunks = chunk(document, WordTokenizer(), max_tokens=60, overlap_tokens=10)
        assert len(chunks) > 5
        for a, b in rows:
            assert any(f"K: {a}; V: {b}" in one.text for one in chunks)


@pytest.mark.parametrize("unit", ["<a", "</a", '<a="', "&#"])
def test_tags_that_never_end_take_linear_time(unit):
    start = time.process_time()
    parse("a.html", (unit * (200_000 // len(unit))).encode())
    assert time.process_time() - start < 5  # about half a second; half a minute, if quadratic
