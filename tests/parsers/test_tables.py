"""Rows keep their cells, header and lines with any delimiter and any quoting."""

import csv
import io
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minisearch.chunking.chunker import chunk
from minisearch.parsers import parse
from minisearch.parsers.tables import delimiter_of, header_of, row_text, rows
from minisearch.types import Document
from tests.fakes import WordTokenizer
from tests.parsers.anchors import check_anchors, in_source, line_of


def table(text: str, path: str = "a.csv") -> Document:
    return parse(path, text.encode())


def paragraphs(text: str, path: str = "a.csv") -> list[str]:
    return table(text, path).text.split("\n\n")


def values(text: str, delimiter: str) -> list[list[str]]:
    return [[cell.value(text) for cell in row] for row in rows(text, delimiter)]


def test_each_value_has_the_name_of_its_column():
    assert paragraphs("name,born,city\nAda,1815,London\nAlan,1912,\n") == [
        "name; born; city", "name: Ada; born: 1815; city: London", "name: Alan; born: 1912",
    ]  # fmt: skip


def test_a_table_of_nothing_is_empty_and_one_row_stands_by_itself():
    for text in ("", "\n\n", ",,,\n,\n", "\ufeff"):
        assert table(text).text.strip() == ""
    assert paragraphs("only,one,row") == ["only; one; row"]


def test_rows_that_are_ragged_keep_every_cell():
    assert paragraphs("a,b\n1\n1,2,3,4\n")[1:] == ["a: 1", "a: 1; b: 2; 3; 4"]


def test_quotes_hold_delimiters_line_breaks_and_quotes():
    document = table('who,said\nAda,"one, two\nand ""three"""\n"Bob" ,x\n')
    assert document.text.split("\n\n")[1:] == ['who: Ada; said: one, two\nand "three"', "who: Bob; said: x"]
    assert line_of(document, "and") == 3
    assert line_of(document, "who: Bob") == 4


def test_a_stray_quote_is_a_character_and_does_not_swallow_the_rest():
    text = 'size,what\n5" disk,a\n"never closed,b\nlast,c\n'
    assert values(text, ",")[1:] == [['5" disk', "a"], ['"never closed', "b"], ["last", "c"]]


def test_rows_map_to_their_lines_and_values_to_their_columns():
    document = parse("a.csv", b"\xef\xbb\xbfname;note\r\n\r\nAda;\xc3\xa9t\xc3\xa9\r\nBob;x\r\n")
    assert [line_of(document, row) for row in ("name: Ada", "été", "name: Bob")] == [3, 3, 4]
    assert in_source(document, "été").startswith("été\r\n")
    assert in_source(document, "note: x").startswith((";x", "x"))
    check_anchors(document)


def test_a_long_name_is_whole_once_and_cut_where_it_is_repeated():
    name = "n" * 500
    text = table(f"{name},b\n" + "1,2\n" * 1000).text
    assert name in text
    assert len(text) < 100_000


# --- the delimiter ---------------------------------------------------------------------------------


@pytest.mark.parametrize("text, expected", [
    ("a,b\n1,2\n", ","), ("a;b\n1;2\n", ";"), ("a\tb\n1\t2\n", "\t"), ("a|b|c\n1|2|3\n", "|"),
    ("words\nonly\n", ","),
    ("id;text\n1;one, two, three\n2;four\n3;five, six\n", ";"),  # prose has commas, here and there
    ("preis;menge\n1,5;2,5\n3,0;4,0\n", ";"), ("1,5;2,5\n3,0;4,0\n", ";"),  # decimal commas
    ("1,2,3\n4,5,6\n", ","), ('"a;b",c\n"d;e;f",g\n', ","), ("time,what\n10:30,x|y\n11:30,z\n", ","),
    ("a,b\n" + "x, y and z,1\n" * 3 + "w,2\n" * 9, ","), ("", ","),
])  # fmt: skip
def test_the_delimiter_is_the_one_that_makes_rows_alike(text, expected):
    assert delimiter_of(text) == expected


def test_a_tab_is_the_delimiter_of_tsv_and_sep_names_it():
    assert paragraphs("a,b\tc\n1,2\t3\n", "a.tsv")[1:] == ["a,b: 1,2; c: 3"]
    assert paragraphs("sep=|\na,b|c\nx,y|z\n")[1:] == ["a,b: x,y; c: z"]


# --- the header ------------------------------------------------------------------------------------


@pytest.mark.parametrize("text, has_header", [
    ("name,age\nAda,36\nAlan,41", True), ("country,2019,2020\nFrance,1.5,2.5", True),
    (",a,b\n0,x,y\n1,z,w", True),
    ("name,city\nAda,London\nAlan,Leeds", True), ("id,mail\nx,a@b.org\ny,c@d.org", True),
    ("Ada,36\nAlan,41\n", False), ("2019,2020\n2020,2021\n", False), ("1,2\n3,4", False),
    ("A man is dancing.,A man wears a hat.,5.0\nA child rides.,A child is riding a horse.,4.75", False),
    ("London,Paris\nRome,Oslo\nLondon,Bonn", False), ("a@b.org,x\nc@d.org,y", False), ("x,x\ny,z", False),
    ("2024-01-02,open\n2024-01-03,closed", False), ("only,one", False),
])  # fmt: skip
def test_the_first_row_is_a_header_unless_it_speaks_against_it(text, has_header):
    assert bool(header_of(values(text, ","))[1]) is has_header


def test_a_table_without_header_keeps_its_rows_as_they_are():
    assert paragraphs("Ada,36\nAlan,41\n") == ["Ada; 36", "Alan; 41"]
    assert paragraphs("People,\nAda,36\nAlan,41\n") == ["People", "Ada; 36", "Alan; 41"]


@pytest.mark.parametrize(
    "above", ["Prices,,\n", "Prices 2026\n\nValid from March,,\n,,\n", "Author,Ada,\nDate,2026,\n"]
)
def test_titles_and_empty_rows_may_stand_above_the_header(above):
    table_rows = "Article,Unit,Price\nHive,piece,148\nWax,kg,24.5\nSmoker,,31\n"
    expected = ["Article; Unit; Price", "Article: Hive; Unit: piece; Price: 148"]
    expected += ["Article: Wax; Unit: kg; Price: 24.5", "Article: Smoker; Price: 31"]
    found = [one for one in paragraphs(above + table_rows) if one]
    assert found[-4:] == expected
    assert not any("Prices: " in one or "Author: " in one for one in found)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("name,city\nAda,London,first programmer\nBob,Paris,second\nEve,Rome,third\n", ["name", "city"]),
        ("name,city,\nAda,London,first programmer\nBob,Paris,second\n", ["name", "city", ""]),
        ("name,,city,,land\nAda,x,Rome,y,Italy\nBob,z,Oslo,v,Norway\n", ["name", "", "city", "", "land"]),
        (",,city,land,hue\na,x,Paris,France,red\nb,y,Rome,Italy,green\n", ["", "", "city", "land", "hue"]),
        (",,city\na,x,Paris\nb,y,Rome\n", ["", "", "city"]),
        (",,city,people\na,x,Paris,2.1\nb,y,Rome,2.8\n", ["", "", "city", "people"]),
        ("Sales\n\nname,city\nAda,London,first\nBob,Paris,second\n", ["name", "city"]),
        (",,Sales,,\na,b,c,d,e\nx,y,z,v,w\n", ["a", "b", "c", "d", "e"]),
        (",,,Secret\nkind,unit,price,tax\nwax,kg,24.5,2\npot,one,3.1,1\n", ["kind", "unit", "price", "tax"]),
        ("Made by,Bob\nkind,unit,price\nwax,kg,24.5\npot,one,3.1\n", ["kind", "unit", "price"]),
        ("Report: Sales, by area, 2025\nOf: ERP\nat,n,sum\nNorth,12,1.5\nSouth,3,2\n", ["at", "n", "sum"]),
        ("# counted, by hand, twice\n# x\nid,name,qty\n1,bolt,3\n2,nut,4\n", ["id", "name", "qty"]),
        ("Statement of May,2025\ndate,sum\n2025-05-02,3.5\n2025-05-03,4.5\n", ["date", "sum"]),
        ("#chrom,pos,id\nchr1,12,a\nchr2,14,b\n", ["#chrom", "pos", "id"]),
        ("name,2024,2025\nAda,n/a,n/a\nBob,3,4\nEve,5,6\n", ["name", "2024", "2025"]),
        ("name,score\nAda,absent\nBob,3\nEve,5\nJim,6\nKim,7\nLee,8\n", ["name", "score"]),
        ("dept,plan,plan\n,a,b\nkitchen,5,6\nhall,7,8\n", ["dept", "plan a", "plan b"]),
        ("Report,Owls\nMade by,Bob\nAda,London,UK\nBob,Rome,IT\n", []),  # which row is it? None, to be safe
    ],
)  # fmt: skip
def test_a_header_with_unnamed_columns_is_not_taken_for_a_title(text: str, names: list[str]) -> None:
    assert header_of(values(text, ","))[1] == names


# --- against the standard library, and in the large ------------------------------------------------

cell_texts = st.text(st.sampled_from('ab,;\t|"\n\ré😀 '), max_size=8).map(str.strip)


@given(st.lists(st.lists(cell_texts, min_size=2, max_size=4), max_size=6), st.sampled_from(",;\t|"))
def test_rows_are_those_that_the_standard_library_wrote(table_rows, delimiter):
    file = io.StringIO(newline="")
    csv.writer(file, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerows(table_rows)
    text = file.getvalue()
    assert values(text, delimiter) == table_rows


@given(st.lists(st.sampled_from(["a", "b c", "1.5", "é", ""]), min_size=1), st.sampled_from(",;\t|"))
def test_rows_without_quotes_are_those_that_the_standard_library_reads(cells, delimiter):
    text = "".join(cell + (delimiter if i % 3 else "\r\n") for i, cell in enumerate(cells)) + "end"
    theirs = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    assert values(text, delimiter) == [row for row in theirs if row not in ([], [""])]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.sampled_from(["a", "name", "two words. More", "12", '"', '""', '"q"',
                              ",", ";", "\t", "\n", "\r\n",
                              "\r", " ", "é😀", "x" * 70]), max_size=40).map("".join),
    st.sampled_from(["a.csv", "a.tsv"]), st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)  # fmt: skip
def test_any_table_however_broken_keeps_its_words_and_its_places(text, path, encoding):
    document = parse(path, b"\xef\xbb\xbf" + text.encode() if encoding == "utf-8" else text.encode(encoding))
    check_anchors(document)
    for word in ("a", "name", "12", "é😀", "x" * 70):
        assert document.text.count(word) >= text.count(word)


def test_a_row_that_fits_is_never_cut_in_two():
    text = "name,what,number\n" + "".join(f"n{i},{'Word. ' * (i * 7 % 25)}end,{i}\n" for i in range(300))
    of_rows = table(text).text.split("\n\n")
    pieces = chunk(table(text), WordTokenizer(), max_tokens=60, overlap_tokens=10)
    assert max(len(row.split()) for row in of_rows) > 25  # words, each with a full stop, nearly fill a chunk
    for row in of_rows:
        assert any(row in piece.text for piece in pieces), row


def test_the_text_of_a_row_for_other_formats():
    assert row_text(["name: ", "", "age: "], ["Ada", "x", "36", "more"]) == "name: Ada; x; age: 36; more"
    assert row_text(["name: "], ["", ""]) == ""


@pytest.mark.parametrize("unit", [
    '"', '"",', '"a', ',"', '"a"b,', '\n"', ",", "a,b\n", '"a\n', '""",""', "1\n", ' "', 'x,""y,',
    "\t", "sep=,\n",
])  # fmt: skip
def test_time_is_linear_in_hostile_tables(unit):
    start = time.process_time()
    table(unit * (50_000 // len(unit)))
    assert time.process_time() - start < 3
