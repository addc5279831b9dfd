"""Cells of an HTML table with a header get labels; tables that lay out a page do not."""

from __future__ import annotations

import random
import re
import time
from itertools import product

import pytest

from minisearch.parsers import parse
from tests.parsers.anchors import check_anchors, in_source, line_of
from tests.parsers.made_files import epub


def lines(rows: str) -> list[str]:
    text = parse("a.html", f"<table>{rows}</table>".encode()).text
    return [line for line in text.split("\n") if line]


def test_cells_have_the_names_of_their_columns():
    assert lines("<tr><th>Item<th>Deposit<tr><td>Keys<td>50<tr><td>Card<td><tr><td><td>7") == [
        "Item; Deposit",
        "Item: Keys; Deposit: 50",
        "Item: Card",
        "Deposit: 7",
    ]
    head = "<thead><tr><td>Item:</td><td><p>De<b>posit</b> &amp; fee</p></td></tr></thead>"
    body = "<tbody><tr><td><p>Keys</p></td><td><div>50</div></td></tr></tbody>"
    assert lines(head + body) == ["Item:; Deposit & fee", "Item: Keys; Deposit & fee: 50"]


def test_the_end_of_the_head_ends_it_with_a_body_or_without_one():
    head = "<thead><tr><{0}>Item<{0}>Deposit</tr></thead>"
    rows = "<tr><td>Keys<td rowspan=2>50</tr><tr><td>Card</tr>"
    said = ["Item; Deposit", "Item: Keys; Deposit: 50", "Deposit: 50; Item: Card"]
    for cell, body in product(("td", "th"), (rows, f"<tbody>{rows}", f"<tbody>{rows}</tbody>")):
        assert lines(head.format(cell) + body) == said
    tall = "<thead><tr><th rowspan=9>Item<th>Deposit</thead>"
    assert lines(tall + rows) == said
    assert lines("<tr><th>Item<th>Deposit</thead>" + rows) == said


def test_an_empty_corner_leaves_the_first_cell_without_a_name():
    for corner in ("<th></th>", "<td></td>"):
        rows = f"<tr>{corner}<th>born</th></tr><tr><th>Ada</th><td>1815</td></tr>"
        assert lines(rows) == ["born", "Ada; born: 1815"]


def test_a_cell_of_several_columns_has_all_their_names_and_one_of_all_columns_none():
    rows = (
        "<tr><th colspan=3>Cups sold<tr><th rowspan='2'>Name<th colspan=\"2\">Cups<tr><th>2023<th>2024"
        "<tr><td>Ann<td>3<td>4<tr><td COLSPAN=3>Guests<tr><td>Bo<td colspan=2>none<tr><td colspan=2>all<td>9"
    )
    assert lines(rows) == [
        "Cups sold", "Name; Cups", "2023; 2024", "Name: Ann; Cups 2023: 3; Cups 2024: 4", "Guests",
        "Name: Bo; Cups 2023, Cups 2024: none", "Name, Cups 2023: all; Cups 2024: 9",
    ]  # fmt: skip


def test_a_cell_of_several_rows_is_repeated_in_each():
    north = "<tr><td rowspan=2>North<td>Kiel<td>1<tr><td>Bonn<td>2"
    rows = f"<tr><th>Region<th>City<th>Cups{north}<tr><td>S<td>Ulm<td>3"
    assert lines(rows) == [
        "Region; City; Cups", "Region: North; City: Kiel; Cups: 1", "Region: North; City: Bonn; Cups: 2",
        "Region: S; City: Ulm; Cups: 3",
    ]  # fmt: skip
    rows = "<tr><th>A<th>B<tbody><tr><td>1<td rowspan=0>x<tr><td>2<tbody><tr><td>3<td>y"
    assert lines(rows) == ["A; B", "A: 1; B: x", "B: x; A: 2", "A: 3; B: y"]
    long = "long " * 20
    assert lines(f"<tr><th>A<th>B<tr><td rowspan=2>{long}<td>1<tr><td>2")[1:] == [
        f"A: {long.strip()}; B: 1",
        "B: 2",
    ]


def test_another_header_names_the_rows_below_it_and_a_sum_is_no_header():
    rows = "<tr><th>A<th>B<tr><td>1<td>2<tr><th>Sum<th>2.5<tr><th>C<th>D<tr><td>3<td>4"
    assert lines(rows) == ["A; B", "A: 1; B: 2", "A: Sum; B: 2.5", "C; D", "C: 3; D: 4"]


@pytest.mark.parametrize("rows, text", [
    ("", ""), ("<tr><td>1<td>2<tr><td>3<td>4", "1 2\n3 4"), ("<tr><th>A<tr><td>1<tr><td>2", "A\n1\n2"),
    ("<tr><th>Name<td>Ada<tr><th>City<td>Kiel", "Name Ada\nCity Kiel"),
    ("<tr><th>A<th>B", "A B"), ("<tr><th colspan=2>A<tr><td>1<td>2", "A\n1 2"),
    ("<tr><th>A<th>B<tr><td><h2>C</h2><td>2", "A B\n\nC 2"),
    ("<tr><th>A<th>B<tr><td><table><tr><th>C<th>D<tr><td>1<td>2</table><td>3", "A B\n\nC D\n1 2\n\n3"),
])  # fmt: skip
def test_tables_without_a_header_in_one_column_and_in_each_other_have_no_labels(rows, text):
    assert parse("a.html", f"<table>{rows}</table>".encode()).text == text


def test_cells_of_several_lines_keep_them():
    rows = "<tr><th>A<th>B<th>C<tr><td><p>1</p><p>2</p><td><ul><li>x<li>y</ul><td>3<br>4"
    document = parse("a.html", f"<table>{rows}</table>".encode())
    assert document.text == "A; B; C\n\nA: 1\n\n2\n\nB: x\ny\n\nC: 3\n4"
    assert {document.text[start:end] for start, end in document.blocks} > {"B: x", "y"}


def test_every_word_keeps_its_place_in_the_file():
    document = parse(
        "a.html",
        b"<p>x</p>\n<table>\n<tr><th>Item</th>\n<th>Fee</th></tr>\n<tr><td>Keys</td>\n<td>&euro;50</td></tr></table>",
    )
    assert document.text == "x\n\nItem; Fee\nItem: Keys; Fee: €50"
    assert in_source(document, "Item: Keys").startswith("Keys</td>")
    assert in_source(document, "Keys").startswith("Keys</td>")
    assert in_source(document, "Fee: €").startswith("&euro;50")
    assert in_source(document, "50").startswith("50</td>")
    assert [line_of(document, words) for words in ("Item; ", "Keys", "50")] == [3, 5, 6]


def test_tables_in_books_and_mail_have_labels_too():
    rows = "<table><tr><th>Item</th><th>Fee</th></tr><tr><td>Keys</td><td>50</td></tr></table>"
    assert parse("a.epub", epub(rows)).text == "Item; Fee\nItem: Keys; Fee: 50"
    mail = f"Subject: s\nContent-Type: text/html\n\n{rows}".encode()
    document = parse("a.eml", mail)
    assert "Item; Fee\nItem: Keys; Fee: 50" in document.text
    check_anchors(document)


def filled_grid(dice: random.Random) -> tuple[list[list[int]], str]:
    """A grid with the number of the cell at each place, and its rows in HTML."""
    n_columns, n_rows = dice.randint(2, 5), dice.randint(1, 5)
    grid = [[-1] * n_columns for _ in range(n_rows)]
    html, n_cells = "", 0
    for i, j in product(range(n_rows), range(n_columns)):
        html += "" if j else "<tr>"
        if grid[i][j] < 0:
            is_wide = dice.random() < 0.3 and grid[i][j + 1 : j + 2] == [-1]
            width, height = 1 + is_wide, min(dice.choice([1, 1, 1, 2, 3]), n_rows - i)
            for row in grid[i : i + height]:
                row[j : j + width] = [n_cells] * width
            html += f"<td colspan={width} rowspan={height}>w{n_cells}</td>"
            n_cells += 1
    return grid, html


def said_of(row: list[int], row_above: list[int]) -> set[str]:
    """What a row of the grid says, cell by cell; nothing where all cells go on from above."""
    said = set()
    for one in set(row) if set(row) - set(row_above) else ():
        columns = [f"c{j}" for j, other in enumerate(row) if other == one]
        said.add(f"{', '.join(columns)}: w{one}" if len(columns) < len(row) else f"w{one}")
    return said


def test_labels_are_those_of_a_grid_filled_cell_by_cell():
    dice = random.Random(3)
    for _ in range(300):
        grid, html = filled_grid(dice)
        header = "".join(f"<th>c{j}</th>" for j in range(len(grid[0])))
        found = [set(line.split("; ")) for line in lines(f"<tr>{header}</tr>{html}")[1:]]
        assert found == list(filter(None, map(said_of, grid, [[], *grid])))


PIECES = (
    *("<tr>", "<td>", "a", "b ") * 5,
    *("<table>", "</table>", "</tr>", "<th>", "</td>", "<td rowspan=2>", "<th colspan=3>", "<thead>"),
    *("<td rowspan=0>", "<td colspan=0>", "<td title='", "<caption>", "<p>", "</p>", "<li>x", "<h2>", "<br>"),
    *("</thead>", "<tbody>", "<pre>", "<!--</table>-->", "1", "&eacute;", "\n", "\U0001f600"),
)  # fmt: skip


def test_no_word_of_any_table_is_lost_and_all_map_to_the_file():
    dice = random.Random(8)
    n_labelled = 0
    for _ in range(400):
        page = "".join(["<table><tr><th>A<th>B", *dice.choices(PIECES, k=25)])
        document = parse("a.html", page.encode())
        check_anchors(document)
        plain = parse("a.html", page.replace("<thead", "<tbody").replace("<th", "<td").encode())
        said = iter(re.findall(r"\S", document.text))
        assert all(character in said for character in re.findall(r"\S", plain.text))
        n_labelled += document.text.split() != plain.text.split()
    assert n_labelled > 50


@pytest.mark.parametrize("unit", [
    "<tr><td>x", "<tr><td rowspan=9999>x", "<tr><td rowspan=2>x", "<td colspan=999>x", "<tr>", "<th>",
    "<table>", "</table><table>", "<table><tr><th>a<th>b<tr><td>",
])  # fmt: skip
def test_time_and_room_are_linear_in_hostile_tables(unit):
    above = "<td rowspan=0>word word word word" * 19
    for begin in (
        "",
        f"<table><tr><th>a name<th>another name<tr>{above}",
        f"<table><tr><th>a<th>b<tr>{above * 9}",
    ):
        page = begin + unit * (60_000 // len(unit))
        start = time.process_time()
        document = parse("a.html", page.encode())
        assert time.process_time() - start < 2
        assert len(document.text) < 12 * len(page)
