# ruff: noqa: E501 - XML is easier to read in one line
"""XLSX: cells are read by their formats, and all that belongs to a sheet is extracted."""

from __future__ import annotations

import datetime
import io
import random

import openpyxl
import pytest
import xlsxwriter
from openpyxl.chart import BarChart, Reference
from openpyxl.comments import Comment

from minisearch.parsers import parse
from minisearch.parsers.office import format_number, number_format
from tests.parsers.made_files import OFFICE, RELATIONSHIPS, xlsx, zipped
from tests.parsers.test_office import entries_of, reason


def saved(workbook: openpyxl.Workbook) -> bytes:
    out = io.BytesIO()
    workbook.save(out)
    return out.getvalue()


@pytest.mark.parametrize(
    "spelt, value, words",
    [
        ("", "45351", "45351"), ("0.00%", "0.125", "12.50%"), ('0"%"', "12", "12%"), ("0\\%", "12", "12%"),
        ("yyyy-mm-dd", "45351", "2024-02-29"), ("[$-409]mmm d", "45351.25", "2024-02-29 06:00:00"),
        ("hh:mm", "0.75", "18:00:00"), ("[h]:mm", "1.5", "36:00:00"), ("mm:ss.0", "0.5", "12:00:00"),
        ("[Red]#,##0.00", "-1234.5", "-1,234.50"), ('0 "days"', "3", "3 days"),
        ("General", "0.30000000000000004", "0.3"), ('General "kg"', "7", "7 kg"), ("@", "7", "7"), (";;;", "7", "7"),
        ("00000", "1234", "01234"), ('"$"#,##0.00', "1234.5", "$1,234.50"), ("#,##0.00 [$€-407]", "99.5", "99.50 €"),
        ("#,##0", "1234567", "1,234,567"), ("#,##0.00_);(#,##0.00)", "-1234.5", "(1,234.50)"),
        ('_(* #,##0.00_);_(* (#,##0.00);_(* "-"??_);_(@_)', "0", "-"), ("(000) 000-0000", "5551234567", "(555) 123-4567"),
        ("000-00-0000", "12345678", "012-34-5678"), ('0.0,,"M"', "12345678", "12.3M"), ("0.0#", "0.1", "0.1"),
        ("0%", "0.125", "13%"), ("0.00", "1.005", "1.01"), ("0.00E+00", "0.00012", "1.20E-04"), ("# ?/?", "0.5", "0.5"),
        ("[$CHF] #,##0", "-1200", "-CHF 1,200"), ("0" * 40, "1", "0" * 39 + "1"), ("0." + "0" * 40, "1", "1"),
        ("%" * 40 + "0", "1", "1"), ('"', "1", "1"), ("0.00", "1e300", "1e+300"),
        ("yyyy", "-5", "-5"), ("yyyy", "1e300", "1e+300"), ("yyyy", "2958465", "9999-12-31"), ("yyyy", "x", "x"),
        ("yyyy", "nan", "nan"), ("yyyy", "1", "1900-01-01"), ("yyyy", "61", "1900-03-01"),
    ],
)  # fmt: skip
def test_a_number_is_read_by_its_format(spelt, value, words):
    assert format_number(value, number_format(164 if spelt else 0, spelt)) == words


def test_dates_and_percentages_equal_those_of_openpyxl():
    dice = random.Random(4)
    formats = [
        "yyyy-mm-dd",
        "d/m/yy h:mm",
        "0%",
        "General",
        "hh:mm:ss",
        "#,##0.00",
        '[$-F800]dddd", "mmmm dd',
        "mmm-yy",
    ]
    workbook = openpyxl.Workbook()
    for row in range(1, 200):
        cell = workbook.active.cell(
            row, 1, dice.choice([dice.randint(1, 60_000), dice.random(), 86_400 * dice.random()])
        )
        cell.number_format = dice.choice(formats)
    data = saved(workbook)
    read = parse("a.xlsx", data).text.split("\n\n")[1:]
    cells = [cell for (cell,) in openpyxl.load_workbook(io.BytesIO(data)).active.iter_rows()]
    for cell, words in zip(cells, read, strict=True):
        if not cell.is_date:
            share = cell.number_format == "0%"
            shown = float(words.rstrip("%").replace(",", ""))
            step = {"0%": 1, "#,##0.00": 0.01}.get(cell.number_format, 1e-9 * abs(cell.value))
            assert abs(shown - cell.value * (100 if share else 1)) <= 0.5001 * step, cell.number_format
            assert words.endswith("%") == share
            assert ("," in words) == (cell.number_format == "#,##0.00" and shown >= 1000)
        elif isinstance(cell.value, datetime.datetime):
            assert abs(datetime.datetime.fromisoformat(words) - cell.value) <= datetime.timedelta(seconds=1)
        else:
            assert words == cell.value.replace(microsecond=0).isoformat() or cell.value.microsecond >= 500_000


def test_a_formula_that_was_never_calculated_is_read_as_written():
    workbook = openpyxl.Workbook()
    workbook.active.append(["total", "=SUM(A3:A9)"])
    document = parse("a.xlsx", saved(workbook))
    assert document.text == "Sheet\n\ntotal; =SUM(A3:A9)"
    assert document.notes == ("formulas that were never calculated, read as written: 1",)
    entries = entries_of(saved(workbook))
    name = "xl/worksheets/sheet1.xml"
    entries[name] = entries[name].replace(b"<v></v>", b"<v>12</v>").replace(b"<v />", b"<v>12</v>")
    document = parse("a.xlsx", zipped(entries))
    assert (document.text, document.notes) == ("Sheet\n\ntotal; 12", ())


def test_headers_comments_and_drawings_follow_the_rows_of_a_sheet():
    workbook = openpyxl.Workbook()
    sheet = workbook.active
    sheet.append(["tea", 3])
    sheet.append(["coffee", 4])
    sheet["B2"].comment = Comment("too many?", "Ada")
    sheet.oddHeader.center.text = "Page &P, Confidential"
    chart = BarChart()
    chart.title = "Cups"
    chart.add_data(Reference(sheet, min_col=2, min_row=1, max_row=2))
    sheet.add_chart(chart)
    hidden = workbook.create_sheet("Secret")
    hidden.sheet_state = "hidden"
    hidden["C2"] = "hidden words"
    sheet.merge_cells("A4:B5")
    sheet["A4"] = "merged"
    assert parse("a.xlsx", saved(workbook)).text == (
        "Sheet\n\ntea; 3\n\ncoffee; 4\n\nmerged\n\nPage , Confidential\n\nComment on B2: too many?\n\nCups\n\n"
        "Secret\n\nhidden words"
    )


def entries_with_shared_strings() -> dict[str, bytes]:
    """The parts of a workbook with "x" and 2 in a row, the "x" among the shared strings."""
    out = io.BytesIO()
    workbook = xlsxwriter.Workbook(out)
    workbook.add_worksheet("Sheet").write_row(0, 0, ["x", 2])
    workbook.close()
    return entries_of(out.getvalue())


def test_runs_of_a_text_are_joined_and_phonetic_guides_are_left_out():
    entries = entries_with_shared_strings()
    name = "xl/sharedStrings.xml"
    runs = (
        b'<si><r><t>to</t></r><r><t xml:space="preserve">kyo </t></r><rPh sb="0" eb="1"><t>no</t></rPh></si>'
    )
    entries[name] = entries[name].replace(b"<si><t>x</t></si>", runs)
    assert parse("a.xlsx", zipped(entries)).text == "Sheet\n\ntokyo; 2"


def test_invalid_indexes_give_no_words():
    entries = entries_with_shared_strings()
    name = "xl/worksheets/sheet1.xml"
    for wrong in (b"-1", b"99", b"9" * 30, b"\xc2\xb2"):
        sheet = (
            entries[name]
            .replace(b"<v>0</v>", b"<v>%b</v>" % wrong)
            .replace(b'r="B1"', b'r="B1" s="%b"' % wrong)
        )
        assert parse("a.xlsx", zipped(entries | {name: sheet})).text == "Sheet\n\n2", wrong


def test_a_sheet_of_many_cells_is_read_in_a_moment():
    import time

    workbook = openpyxl.Workbook(write_only=True)
    sheet = workbook.create_sheet("S")
    for number in range(5_000):
        sheet.append([number] * 8)
    data = saved(workbook)
    parse("a.xlsx", data)
    started_s = time.perf_counter()
    assert parse("a.xlsx", data).text.count("\n\n") == 5_000
    assert time.perf_counter() - started_s < 5  # a fifth of a second on an idle machine


# --- damaged and missing parts ---------------------------------------------------------------------------


def with_parts(kinds: dict[str, str]) -> dict[str, bytes]:
    """The parts of a workbook whose sheet refers to these besides."""
    entries = entries_with_shared_strings()
    links = "".join(
        f'<Relationship Id="{kind}" Type="{OFFICE}/{kind}" Target="../{kind}.xml"/>' for kind in kinds
    )
    entries["xl/worksheets/_rels/sheet1.xml.rels"] = (
        f'<Relationships xmlns="{RELATIONSHIPS}">{links}</Relationships>'.encode()
    )
    return entries | {f"xl/{kind}.xml": content.encode() for kind, content in kinds.items()}


def test_notes_are_read_beside_threads_and_threads_once():
    plain = '<comments><comment ref="{}"><text><t>{}</t></text></comment><comment ref="{}"><text><t>{}</t></text></comment></comments>'
    entries = with_parts(
        {
            "comments": plain.format("A1", "[Threaded comment] Your version", "B7", "plain"),
            "threadedComment": '<t><threadedComment ref="A1"><text>why?</text></threadedComment>'
            '<threadedComment ref="A1"><text>because</text></threadedComment></t>',
        }
    )
    assert parse("a.xlsx", zipped(entries)).text.split("\n\n")[2:] == [
        "Comment on A1: why?",
        "Comment on A1: because",
        "Comment on B7: plain",
    ]


def test_missing_texts_are_counted_and_part_names_may_differ_in_case():
    entries = entries_with_shared_strings()
    strings = entries.pop("xl/sharedStrings.xml")
    document = parse("a.xlsx", zipped(entries))
    assert document.text == "Sheet\n\n2"
    assert document.notes == ("cells that point to a missing text: 1",)
    assert parse("a.xlsx", zipped(entries | {"xl/SharedStrings.xml": strings})).text == "Sheet\n\nx; 2"
    document = parse("a.xlsx", zipped(entries | {"xl/sharedStrings.xml": strings.replace(b"</sst>", b"")}))
    assert document.text == "Sheet\n\nx; 2"
    assert document.notes == ("xl/sharedStrings.xml in it cannot be read and is left out",)


def test_escaped_characters_are_unescaped():
    entries = entries_with_shared_strings()
    name = "xl/sharedStrings.xml"
    entries[name] = entries[name].replace(b"<t>x</t>", b"<t>line_x000D_two _x005F_x0041_ _x00e9_t_xyz_</t>")
    assert parse("a.xlsx", zipped(entries)).text == "Sheet\n\nline two _x0041_ ét_xyz_; 2"


def test_dates_may_count_from_1904():
    workbook = openpyxl.Workbook()
    workbook.epoch = openpyxl.utils.datetime.CALENDAR_MAC_1904
    for value in (datetime.time(12, 0), datetime.datetime(1904, 1, 2, 6), datetime.datetime(2024, 2, 29)):
        workbook.active.append([value])
    data = saved(workbook)
    assert parse("a.xlsx", data).text.split("\n\n")[1:] == ["12:00:00", "1904-01-02 06:00:00", "2024-02-29"]
    cells = [cell.value for (cell,) in openpyxl.load_workbook(io.BytesIO(data)).active.iter_rows()]
    assert cells[0] == datetime.time(12, 0)


def test_a_damaged_sheet_or_its_styles_leave_the_others_readable():
    workbook = openpyxl.Workbook()
    workbook.active.append(["one", 1])
    workbook.create_sheet("Two").append(["two", 2])
    entries = entries_of(saved(workbook))
    damaged = entries | {"xl/worksheets/sheet1.xml": b"<worksheet", "xl/styles.xml": b"<"}
    document = parse("a.xlsx", zipped(damaged))
    assert document.text == "Sheet\n\nTwo\n\ntwo; 2"
    assert document.notes == (
        "xl/styles.xml in it cannot be read and is left out",
        "xl/worksheets/sheet1.xml in it cannot be read and is left out",
    )
    damaged["xl/worksheets/sheet2.xml"] = b"<worksheet"
    assert reason("a.xlsx", zipped(damaged)) == "damaged: the XML in it cannot be read"


def test_unused_columns_cost_nothing():
    entries = entries_with_shared_strings()
    name = "xl/worksheets/sheet1.xml"
    sheet = entries[name].decode()
    row = '<row><c r="B1"><v>{0}</v></c><c r="XFD1"><v>{0}5</v></c></row>'
    rows = "".join(row.format(number) for number in range(1, 3_001))
    start, end = sheet.index("<sheetData>") + 11, sheet.index("</sheetData>")
    document = parse("a.xlsx", zipped(entries | {name: f"{sheet[:start]}{rows}{sheet[end:]}".encode()}))
    assert document.text.split("\n\n")[1:] == [f"{number}; {number}5" for number in range(1, 3_001)]


def test_a_cell_without_a_place_takes_the_next_column():
    entries = entries_with_shared_strings()
    name = "xl/worksheets/sheet1.xml"
    sheet = entries[name].decode()
    words = '<c t="str"><v>{}</v></c>'.format
    rows = (
        f"<row>{words('Name')}{words('City')}{words('Cups')}</row><row>{words('Ann')}<c/>{words('3')}</row>"
        "<row>" + words("4").replace("t=", "r='C3' t=") + words("Bo").replace("t=", "r='A3' t=") + "</row>"
    )
    start, end = sheet.index("<sheetData>") + 11, sheet.index("</sheetData>")
    document = parse("a.xlsx", zipped(entries | {name: f"{sheet[:start]}{rows}{sheet[end:]}".encode()}))
    assert document.text.split("\n\n")[1:] == ["Name; City; Cups", "Name: Ann; Cups: 3", "Name: Bo; Cups: 4"]


def test_a_title_above_the_header_is_a_text_of_its_own():
    rows = [["Prices 2026"], [], ["Article", "Unit", "Price"], ["Hive", "piece", 148], ["Wax", "kg", 24.5]]
    assert parse("a.xlsx", xlsx({"Sheet": rows})).text.split("\n\n")[1:] == [
        "Prices 2026",
        "Article; Unit; Price",
        "Article: Hive; Unit: piece; Price: 148",
        "Article: Wax; Unit: kg; Price: 24.5",
    ]


def test_a_cell_over_several_rows_counts_for_each_that_has_other_cells():
    workbook = openpyxl.Workbook()
    sheet = workbook.active
    for row in [["Budget 2026"], ["Dept", "Q1", "Q2"], ["Kitchen", 5, 6], [None, 7, 8], [], ["Hall", 1, 2]]:
        sheet.append(row)
    sheet.merge_cells("A1:C1")
    sheet.merge_cells("A3:A5")
    assert parse("a.xlsx", saved(workbook)).text.split("\n\n")[1:] == [
        "Budget 2026",
        "Dept; Q1; Q2",
        "Dept: Kitchen; Q1: 5; Q2: 6",
        "Dept: Kitchen; Q1: 7; Q2: 8",
        "Dept: Hall; Q1: 1; Q2: 2",
    ]


def test_a_cell_over_several_columns_counts_for_each_that_it_covers():
    workbook = openpyxl.Workbook()
    sheet = workbook.active
    for row in [
        ["Budget"],
        ["Dept", 2025, None, 2026],
        [None, "Plan", "Spent", "Plan"],
        ["Kitchen", 5, 6, 7],
        ["Hall", "closed", None, 2],
        ["All in thousands"],
    ]:
        sheet.append(row)
    for area in ("A1:D1", "B2:C2", "A2:A3", "B5:C5", "A6:D6"):
        sheet.merge_cells(area)
    assert parse("a.xlsx", saved(workbook)).text.split("\n\n")[1:] == [
        "Budget",
        "Dept; 2025; 2026",
        "Dept; Plan; Spent; Plan",
        "Dept: Kitchen; 2025 Plan: 5; 2025 Spent: 6; 2026 Plan: 7",
        "Dept: Hall; 2025 Plan, 2025 Spent: closed; 2026 Plan: 2",
        "All in thousands",
    ]


@pytest.mark.parametrize(
    "reference",
    [
        "A1:XFD1",
        "A1:B2",
        "A1:XFD1048576",
        "",
        "A",
        "A1:",
        "A2:A1",
        "B1:C9",
        "A0:A9",
        "A1:A99999999",
        "a1:a5",
        "A1:A1048576",
    ],
)
def test_strange_merged_cells_do_no_harm(reference):
    entries = entries_of(xlsx({"Sheet": [["a", "b"], ["c", "d"]]}))
    name = "xl/worksheets/sheet1.xml"
    end = b"</sheetData>"
    merge = f'<mergeCells><mergeCell ref="{reference}"/></mergeCells>'.encode()
    document = parse("a.xlsx", zipped(entries | {name: entries[name].replace(end, end + merge)}))
    assert document.text.split("\n\n")[-1].replace("a: ", "").replace("b: ", "") == "c; d"
