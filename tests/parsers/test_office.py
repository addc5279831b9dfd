"""DOCX, PPTX and XLSX: text comes out in order, and a hostile archive gives a reason."""

from __future__ import annotations

import binascii
import datetime
import io
import random
import struct
import zipfile

import pytest

from minisearch.errors import IngestError
from minisearch.parsers import archive, parse
from minisearch.parsers.contents import ExtractionError
from minisearch.types import Document
from tests.parsers.made_files import docx, docx_entries, paragraph, pptx, xlsx, zipped

# A few lines that make a gigabyte, and one that asks for a file of this machine.
ENTITIES = "".join(f'<!ENTITY e{i} "{f"&e{i - 1};" * 10}">' for i in range(1, 10))
LAUGHS = f'<!DOCTYPE a [<!ENTITY e0 "ha">{ENTITIES}]>'
OUTSIDE = '<!DOCTYPE a [<!ENTITY e9 SYSTEM "file:///etc/passwd">]>'
PARAMETER = '<!DOCTYPE a [<!ENTITY % p SYSTEM "file:///etc/passwd"> %p;]>'


def outline(document: Document) -> list[tuple[int, str]]:
    return [(heading.level, heading.title) for heading in document.headings]


def reason(path: str, data: bytes) -> str:
    with pytest.raises(IngestError) as caught:
        parse(path, data)
    return str(caught.value)


def entries_of(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        return {name: file.read(name) for name in file.namelist()}


# --- what is read ---------------------------------------------------------------------------------------


def test_a_docx_gives_its_paragraphs_under_their_headings():
    body = paragraph("Engines", "Heading1") + paragraph("They run & run.") + paragraph("Steam", "Heading2")
    document = parse("a.docx", zipped(docx_entries(body + paragraph("It is hot."), title="On engines")))
    assert document.text == "Engines\n\nThey run & run.\n\nSteam\n\nIt is hot."
    assert outline(document) == [(1, "Engines"), (2, "Steam")]
    assert [document.text[heading.start :][:5] for heading in document.headings] == ["Engin", "Steam"]
    assert document.title == "On engines"
    assert document.fields["author"] == ("Ada",)
    assert document.fields["keywords"] == ("engines", "tables")
    assert (document.format, document.pages, document.origin.is_extract) == ("docx", (), True)


def test_a_docx_keeps_its_tables_and_its_lists():
    cell = "<w:tc>{}</w:tc>".format
    table = f"<w:tbl><w:tr>{cell(paragraph('left'))}{cell(paragraph('right'))}</w:tr></w:tbl>"
    assert parse("a.docx", zipped(docx_entries(table))).text == "left; right"


def test_random_words_are_extracted_unchanged():
    words = [random.Random(i).choice(["naïve", "日本語", "a<b&c", "😀", '"quoted"']) * 3 for i in range(40)]
    assert parse("a.docx", docx(*words)).text.split("\n\n") == words
    assert parse("a.pptx", pptx([(word, "text", "") for word in words])).text.split("\n\ntext") == [
        words[0], *(f"\n\n{word}" for word in words[1:]), "",
    ]  # fmt: skip


def test_a_presentation_has_a_page_for_each_slide():
    document = parse(
        "a.pptx", pptx([("First", "one\ntwo", "say this"), ("", "no title", ""), ("Third", "", "")])
    )
    ends = [*document.pages[1:], len(document.text)]
    pages = [document.text[a:b].strip() for a, b in zip(document.pages, ends, strict=True)]
    assert pages == ["First\n\none\ntwo\n\nNotes: say this", "no title", "Third"]
    assert outline(document) == [(1, "First"), (1, "Third")]


def test_a_presentation_keeps_tables_groups_and_charts():
    from pptx import Presentation
    from pptx.chart.data import CategoryChartData
    from pptx.enum.chart import XL_CHART_TYPE

    presentation = Presentation()
    slide = presentation.slides.add_slide(presentation.slide_layouts[6])
    table = slide.shapes.add_table(2, 2, 0, 0, 100, 100).table
    for i, words in enumerate(("fruit", "price", "apple", "2")):
        table.cell(i // 2, i % 2).text = words
    group = slide.shapes.add_group_shape().shapes.add_group_shape()
    group.shapes.add_textbox(0, 0, 10, 10).text_frame.text = "deep inside"
    figures = CategoryChartData()
    figures.categories = ["a"]
    figures.add_series("b", (1,))
    slide.shapes.add_chart(XL_CHART_TYPE.PIE, 0, 0, 10, 10, figures)
    out = io.BytesIO()
    presentation.save(out)
    document = parse("a.pptx", out.getvalue())
    assert document.text == "fruit; price\n\nfruit: apple; price: 2\n\ndeep inside\n\nb\n\na; b: 1"
    assert document.notes == ()  # the workbook that the chart carries says the same


def test_a_workbook_has_a_page_for_each_sheet_and_rows_name_their_cells():
    day = datetime.datetime(2024, 2, 29)
    rows = [["fruit", "price", "since"], ["apple", 1.1 + 2.2, day], [], ["pear", 2.0, day.replace(hour=5)]]
    document = parse("a.xlsx", xlsx({"Prices": rows, "Empty": [], "Other": [["alone"], [True]]}))
    assert document.text == (
        "Prices\n\nfruit; price; since\n\nfruit: apple; price: 3.3; since: 2024-02-29\n\n"
        "fruit: pear; price: 2; since: 2024-02-29 05:00:00\n\nEmpty\n\nOther\n\nalone\n\nalone: True"
    )
    assert outline(document) == [(1, "Prices"), (1, "Empty"), (1, "Other")]
    assert [document.text[page:][:5] for page in document.pages] == ["Price", "Empty", "Other"]


# --- what is refused -----------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["a.docx", "a.pptx", "a.xlsx", "a.epub"])
def test_a_file_that_is_no_archive_gives_a_reason(path):
    assert reason(path, b"") == reason(path, b"words") == "damaged: not a ZIP archive"
    assert reason(path, b"\xd0\xcf\x11\xe0" + bytes(600)).startswith("encrypted, or an old Office document")
    assert reason(path, zipped({"a.txt": "words"})).startswith("damaged")


@pytest.mark.parametrize("prolog", [LAUGHS, OUTSIDE, PARAMETER], ids=["laughs", "outside", "parameter"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le"])
@pytest.mark.parametrize("kind", ["docx", "pptx", "xlsx"])
def test_entities_are_refused_in_every_format(kind, encoding, prolog):
    made = {
        "docx": ("word/document.xml", docx("words")),
        "pptx": ("ppt/slides/slide1.xml", pptx([("words", "", "")])),
        "xlsx": ("xl/worksheets/sheet1.xml", xlsx({"words": [["a"]]})),
    }
    name, data = made[kind]
    entries = entries_of(data)
    body = entries[name].decode().rpartition("?>")[2]
    entries[name] = f'<?xml version="1.0"?>{prolog}{body}'.encode(encoding)
    found = reason(f"a.{kind}", zipped(entries))
    if encoding == "utf-16-le":  # no mark says so, and parsers may differ on what it is
        assert "entities" in found or found.startswith("damaged")
    else:
        assert "defines entities of its own" in found


def test_an_encoding_that_could_hide_entities_is_refused():
    entries = docx_entries(paragraph("words"))
    body = entries["word/document.xml"]
    for encoding in ("utf-7", "cp037", "shift_jis"):
        entries["word/document.xml"] = f'<?xml version="1.0" encoding="{encoding}"?>{body}'.encode()
        assert reason("a.docx", zipped(entries)) == "damaged: the XML in it cannot be read"


def test_an_archive_that_unpacks_to_too_much_is_refused_early(monkeypatch):
    data = docx_entries(" " * (archive.SMALL * 2))
    assert reason("a.docx", zipped(data)).endswith("unpacks to more than 500 times its size")
    monkeypatch.setattr(archive, "MAX_BYTES", 1_000_000)
    parts = archive.Archive(zipped({"a": bytes(600_000), "b": bytes(600_000)}))
    assert len(parts.read("a")) == 600_000
    with pytest.raises(ExtractionError, match="unpacks to more than 1 MB"):
        parts.read("b")
    many = {f"word/{i}.xml": b"" for i in range(archive.MAX_ENTRIES)}
    assert "more than 10,000 entries" in reason("a.docx", zipped(docx_entries("") | many))


def test_a_picture_is_never_unpacked():
    entries = docx_entries(paragraph("words")) | {"word/media/a.png": bytes(50 << 20)}
    assert parse("a.docx", zipped(entries)).text == "words"


def test_sizes_that_an_archive_claims_are_not_trusted():
    data = bytearray(zipped({"META-INF/container.xml": b" " * 5_000_000}))
    central = data.index(b"PK\1\2")
    struct.pack_into("<I", data, central + 24, 10)  # its size, unpacked
    assert reason("a.epub", bytes(data)).startswith(("damaged", "refused as unsafe"))


def test_an_entry_that_the_directory_names_twice_is_read_once():
    data = docx("words")
    central, end = data.index(b"PK\1\2"), data.rindex(b"PK\5\6")
    (n_entries,) = struct.unpack_from("<H", data, end + 10)
    twice = data[central:end] * 2
    tail = struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 2 * n_entries, 2 * n_entries, len(twice), central, 0)
    assert parse("a.docx", data[:central] + twice + tail).text == "words"


def test_entries_that_share_bytes_are_refused_or_count_each_time_they_are_unpacked(monkeypatch):
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w", zipfile.ZIP_STORED) as small:
        small.writestr("b.xml", "b" * 900)
    data = bytearray(zipped({"a.xml": inner.getvalue(), "b.xml": "c"}, method=zipfile.ZIP_STORED))
    central = data.rindex(b"PK\1\2")
    struct.pack_into("<II", data, central + 20, 900, 900)
    struct.pack_into("<I", data, central + 42, data.index(b"PK\3\4", 4))  # inside of a.xml
    struct.pack_into("<I", data, central + 16, binascii.crc32(b"b" * 900))
    monkeypatch.setattr(archive, "MAX_BYTES", 1_500)
    shared = archive.Archive(bytes(data))
    with pytest.raises(ExtractionError, match=r"^refused as unsafe|^damaged: the archive cannot be unpacked"):
        [shared.read(name) for name in shared.names]


def test_names_that_lead_outside_reach_no_file(tmp_path):
    outside = tmp_path / "outside.xml"
    names = (f"../../../../..{outside}", str(outside), "..\\outside.xml")
    document = parse("a.docx", zipped(docx_entries(paragraph("words")) | dict.fromkeys(names, "<a/>")))
    assert document.text == "words"
    assert not outside.exists()


def test_deep_nesting_gives_a_reason_or_the_text():
    body = "<w:tbl><w:tr><w:tc>" * 5000 + paragraph("x") + "</w:tc></w:tr></w:tbl>" * 5000
    assert reason("a.docx", zipped(docx_entries(body), method=zipfile.ZIP_STORED)) == "nested too deeply"


def test_a_cell_in_the_last_corner_of_a_sheet_is_read():
    entries = entries_of(xlsx({"S": [["a", "b"], [1, 2]]}))
    sheet = entries["xl/worksheets/sheet1.xml"].replace(b'r="B2"', b'r="XFD1048576"')
    entries["xl/worksheets/sheet1.xml"] = sheet.replace(b'<row r="2"', b'<row r="1048576"')
    assert parse("a.xlsx", zipped(entries)).text.endswith("2")


@pytest.mark.parametrize("kind", ["docx", "pptx", "xlsx"])
def test_two_hundred_damaged_files_each_give_a_text_or_a_reason(kind):
    generator = random.Random(11)
    made = {
        "docx": docx("some words", "and more"),
        "pptx": pptx([("a", "b", "c")]),
        "xlsx": xlsx({"S": [["a"], [1]]}),
    }
    entries = entries_of(made[kind])
    n_read = 0
    for number in range(200):
        if number % 2:  # inside an entry, so that damage gets past the archive's checksums
            name = generator.choice(sorted(entries))
            data = zipped(entries | {name: damaged(entries[name], generator)}, method=zipfile.ZIP_STORED)
        else:
            data = damaged(made[kind], generator)
        try:
            parse(f"a.{kind}", data)
            n_read += 1
        except IngestError as error:
            assert str(error).isprintable()
    assert 10 < n_read < 200


def damaged(data: bytes, generator: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(generator.randint(1, 6)):
        position = generator.randrange(len(changed))
        if generator.random() < 0.5:
            changed[position] ^= 1 << generator.randrange(8)
        else:
            changed[position : position + generator.randint(0, 9)] = generator.randbytes(
                generator.randint(0, 9)
            )
    return bytes(changed)
