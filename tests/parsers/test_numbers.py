"""Paragraphs of DOCX and rows of XLSX have the numbers that Word and Excel give them."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import openpyxl
import pytest

from minisearch import MiniSearch
from minisearch.chunking.chunker import chunk
from minisearch.errors import IngestError
from minisearch.parsers.registry import parse
from minisearch.results import cited_place
from minisearch.search.evidence import line_and_column
from minisearch.types import Chunk, Document
from tests.fakes import HashingEncoder, WordTokenizer
from tests.parsers import made_files as made

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
LEFT_OUT = ("txbxContent", "Fallback", "del", "moveFrom")


def table(*rows: tuple[str, ...]) -> str:
    cells = ("".join(f"<w:tc>{made.paragraph(cell)}</w:tc>" for cell in row) for row in rows)
    return f"<w:tbl>{''.join(f'<w:tr>{row}</w:tr>' for row in cells)}</w:tbl>"


BOX = (
    "<w:p><w:r><w:pict><w:txbxContent>{}</w:txbxContent></w:pict></w:r><w:r><w:t>Beside it.</w:t></w:r></w:p>"
)
BODY = "".join(
    [
        made.paragraph("Opening hours", "Heading1"),
        made.paragraph(""),
        made.paragraph("The bath opens at seven."),
        table(("Day", "Closes"), ("Friday", "at ten"), ("Sunday", "at six")),
        "<w:p><w:r><w:t>Bring a towel.</w:t><w:br/><w:t>Soap is sold.</w:t></w:r></w:p>",
        BOX.format(made.paragraph("In a box.")),
        made.paragraph("Lockers cost a coin."),
    ]
)


def words_by_number(document: Document) -> dict[int, str]:
    return {number: document.text[start:].split("\n")[0] for start, number in document.lines}


def test_paragraphs_with_text_are_counted_also_those_of_tables_but_not_those_of_text_boxes() -> None:
    document = parse("a.docx", made.zipped(made.docx_entries(BODY)))
    assert words_by_number(document) == {
        1: "Opening hours",
        2: "The bath opens at seven.",
        3: "Day; Closes",
        5: "Day: Friday; Closes: at ten",
        7: "Day: Sunday; Closes: at six",
        9: "Bring a towel.",
        10: "Beside it.",
        11: "Lockers cost a coin.",
    }


def body_paragraphs(data: bytes) -> list[str]:
    """The words of the paragraphs of the body that have any, without spaces, from the XML alone."""

    def texts(element: Element) -> Iterator[str]:
        for child in element:
            if not child.tag.endswith(LEFT_OUT):
                yield child.text or "" if child.tag == f"{W}t" else ""
                yield from texts(child)

    def paragraphs(element: Element) -> Iterator[str]:
        for child in element:
            if child.tag == f"{W}p":
                yield "".join("".join(texts(child)).split())
            elif not child.tag.endswith(LEFT_OUT):
                yield from paragraphs(child)

    root = ElementTree.fromstring(zipfile.ZipFile(io.BytesIO(data)).read("word/document.xml"))
    return list(filter(None, paragraphs(root)))


def test_paragraphs_of_real_documents_have_the_numbers_of_the_xml(shared: Path) -> None:
    n_found = 0
    for path in sorted((shared / "files").rglob("*.docx")):
        data = path.read_bytes()
        expected = body_paragraphs(data)
        for start, number in parse(path.name, data).lines if expected else []:
            text = "".join(parse(path.name, data).text[start : start + 500].split())
            assert expected[number - 1][:15] in text, (path.name, number)
            n_found += 1
    assert n_found > 200


def test_rows_have_the_numbers_of_their_sheets_and_comments_those_of_their_cells() -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "Budget"
    for row in (2, 3, 7, 20):
        sheet.cell(row, 2, f"cost {row}")
        sheet.cell(row, 3, row)
    sheet["B3"].comment = openpyxl.comments.Comment("too much?", "Ada")
    book.create_sheet("Plan")["A5"] = "paint"
    out = io.BytesIO()
    book.save(out)
    document = parse("a.xlsx", out.getvalue())
    found = [(number, document.text[start:].split("\n")[0]) for start, number in document.lines]
    assert found == [
        (1, "Budget"),
        (2, "cost 2; 2"),
        (3, "cost 3; 3"),
        (7, "cost 7; 7"),
        (20, "cost 20; 20"),
        (3, "Comment on B3: too much?"),
        (1, "Plan"),
        (5, "paint"),
    ]


def chunk_with(document: Document, words: str) -> tuple[Chunk, tuple[int, int]]:
    """The chunk with these words, and their line and column."""
    chunks = chunk(document, WordTokenizer(), max_tokens=200, overlap_tokens=0)
    one = next(one for one in chunks if words in one.text)
    return one, line_and_column(one.anchors, one.text, one.text.index(words))


@pytest.mark.parametrize(
    ("words", "number"),
    [("Opening", 1), ("at seven", 2), ("Friday", 5), ("towel", 9), ("Soap", 9), ("Lockers", 11)],
)
def test_a_sentence_is_placed_at_its_paragraph(words: str, number: int) -> None:
    document = parse("a.docx", made.zipped(made.docx_entries(BODY)))
    one, (line, _) = chunk_with(document, words)
    assert (line, one.line, one.end_line) == (number, 1, 11)


def test_the_row_before_a_comment_keeps_its_number() -> None:
    book = openpyxl.Workbook()
    for row in range(1, 5):
        book.active.cell(row, 1, f"pump {row}")
        book.active.cell(row, 2, "broken" if row == 4 else "fine")
    book.active["A2"].comment = openpyxl.comments.Comment("repaired", "Ada")
    out = io.BytesIO()
    book.save(out)
    document = parse("a.xlsx", out.getvalue())
    one, (line, _) = chunk_with(document, "broken")
    assert (line, one.line, one.end_line) == (4, 1, 4)
    assert chunk_with(document, "repaired")[1][0] == 2


@pytest.mark.parametrize("number", ["7", -1, 1.0, True, 1 << 40, None])
def test_a_number_that_is_none_is_refused(number: object, monkeypatch: pytest.MonkeyPatch) -> None:
    contents = {"notes": [], "title": "", "properties": [], "has_pages": False}
    contents["pages"] = [[{"text": "words", "headings": [], "line": number}]]
    monkeypatch.setattr("minisearch.parsers.sandbox.Sandbox.extract", lambda *_: contents)
    with pytest.raises(IngestError):
        parse("a.docx", b"")


# --- cited ------------------------------------------------------------------------------------------------


@pytest.fixture
def ms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MiniSearch]:
    monkeypatch.chdir(tmp_path)
    Path("bath.docx").write_bytes(made.zipped(made.docx_entries(BODY)))
    rows = [["Thing", "Cost"], *([f"thing{n // 2}", n] if n % 2 == 0 else [] for n in range(2, 60))]
    Path("costs.xlsx").write_bytes(made.xlsx({"Summer": rows, "Winter": rows}))
    with MiniSearch.open(".", encoder=HashingEncoder()) as engine:
        engine.index(".")
        yield engine


@pytest.mark.parametrize(
    ("query", "place"), [("soap is sold", "paragraph 9"), ("the bath opens at seven", "paragraph 2")]
)
def test_a_result_is_cited_by_the_paragraph_of_its_sentence(ms: MiniSearch, query: str, place: str) -> None:
    assert ms.query(query, 1, evidence=True)[0].place == f"bath.docx {place}"


def test_a_result_is_cited_by_the_sheet_and_the_row_of_its_sentence(ms: MiniSearch) -> None:
    found = [one for one in ms.query("thing17 cost", 9, evidence=True) if one.path == "costs.xlsx"]
    assert {one.heading for one in found} <= {"Summer", "Winter"}
    for one in found:
        assert one.evidence is not None
        (first,) = re.findall(r"thing(\d+)", one.evidence.text)[:1]
        assert one.place == f"costs.xlsx sheet {one.heading}, row {2 * int(first)}"


@pytest.mark.parametrize("query", ["soap is sold", "thing17 cost"])
def test_the_place_of_a_result_leads_back_to_it(ms: MiniSearch, query: str) -> None:
    for one in ms.query(query, 9, evidence=True):
        assert one.evidence is not None
        cited = cited_place(one.place)
        assert cited is not None
        path, line, page = cited
        section = ms.get(path, line, page=page)
        assert (section.path, section.heading) == (one.path, one.full_heading)
        assert one.evidence.text in section.text


def test_get_prints_the_section_around_a_paragraph_or_row(ms: MiniSearch) -> None:
    assert "Soap is sold." in ms.get("bath.docx", 9).text
    summer, winter = ms.get("costs.xlsx", 30), ms.get("costs.xlsx", 30, page=2)
    assert (summer.heading, winter.heading) == ("Summer", "Winter")
    assert all("thing15;" in one.text and one.line <= 30 <= one.end_line for one in (summer, winter))
    whole = ms.get("bath.docx")
    assert whole.text.startswith("Opening hours\n\nThe bath opens at seven.\n\nDay; Closes")
    assert whole.place == "bath.docx paragraphs 1-11"
