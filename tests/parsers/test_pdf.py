"""PDF: paragraphs, pages, headings, form fields and notes; a file without text gives a reason."""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterator

import pytest

from minisearch.chunking.chunker import chunk
from minisearch.errors import IngestError
from minisearch.parsers import parse
from minisearch.parsers.pdf.document import _ligatures, _placed
from minisearch.parsers.pdf.layout import blocks
from minisearch.parsers.pdf.page import TextLine
from minisearch.parsers.registry import SANDBOX
from minisearch.types import Document
from tests.fakes import HashingEncoder
from tests.parsers.made_files import (
    drawing,
    encrypted_pdf,
    pdf,
    pdf_objects,
    pdf_of_lines,
    pdf_of_streams,
    stream,
)


def read(data: bytes) -> Document:
    return parse("a.pdf", data)


def text_of(lines: list[TextLine]) -> str:
    return "\n\n".join(block.text for block in blocks(lines))


def reason(data: bytes) -> str:
    with pytest.raises(IngestError) as caught:
        read(data)
    return str(caught.value)


def pages_of(document: Document) -> list[str]:
    ends = [*document.pages[1:], len(document.text)]
    return [document.text[start:end].strip() for start, end in zip(document.pages, ends, strict=True)]


# --- what is read ---------------------------------------------------------------------------------------


def test_every_page_has_its_own_text_and_number():
    texts = [f"page {i} of {random.Random(i).random()}" for i in range(30)]
    document = read(pdf(*texts))
    assert pages_of(document) == texts
    assert document.format == "pdf"
    assert document.origin.is_extract
    assert document.origin.source == document.text


def test_a_chunk_knows_its_page():
    encoder = HashingEncoder()
    document = read(pdf("apples and pears", "", "quinces"))
    chunks = chunk(document, encoder.tokenizer, max_tokens=3, overlap_tokens=0)
    assert {one.text: one.page for one in chunks} == {"apples and pears": 1, "quinces": 3}


def test_lines_broken_at_the_margin_are_joined_and_other_lines_are_kept():
    lines = [
        "It is well known that an inter-",
        "national agreement, once it is",
        "signed, is not to be taken light-",
        "ly by those who signed it.",
    ]
    document = read(
        pdf_of_lines(
            [
                [(72, 700 - 14 * i, 12, words) for i, words in enumerate(lines)]
                + [(72, 600, 12, "A list:"), (72, 586, 12, "- short"), (72, 572, 12, "- shorter")]
                + [(72, 500, 20, "Large words"), (72, 480, 12, "and small ones")]
            ]
        )
    )
    assert document.text.split("\n\n") == [
        "It is well known that an international agreement, once it is signed, is not to be taken lightly by "
        "those who signed it.",
        "A list:\n- short\n- shorter",
        "Large words",
        "and small ones",
    ]


def test_a_hyphen_that_belongs_to_the_word_stays():
    assert "well-known" in read(pdf("a well-known man\nand a very, very well-\nknown woman")).text
    assert "SGML-Tools" in read(pdf("the quite old SGML-\nTools were here")).text


def test_lines_without_positions_keep_all_their_words():
    lines = [TextLine(words, 0, 0, 0, 0, 1) for words in ("one", "two", "three")]
    assert text_of(lines).split() == ["one", "two", "three"]
    assert text_of([]) == ""


@pytest.mark.parametrize(
    ("above", "below", "joined"),
    [
        ("유망기술별 보안", "위협과 대응", "유망기술별 보안 위협과 대응"),
        ("日本語の文は", "続きます。", "日本語の文は続きます。"),
        ("これは「", "引用」です", "これは「引用」です"),
        ("one", "two", "one two"),
    ],
)
def test_lines_are_joined_with_a_space_where_the_script_has_spaces(
    above: str, below: str, joined: str
) -> None:
    lines = [TextLine(above, 0, 100, 200, 100, 12), TextLine(below, 0, 86, 120, 86, 12)]
    assert text_of(lines) == joined


def with_information(entries: bytes) -> bytes:
    return pdf("text", more=[b"<< %b >>" % entries], trailer=b"/Info 6 0 R")


def test_title_author_and_date_are_fields():
    document = read(
        with_information(
            b"/Title (On engines) /Author (Ada) /Keywords (steam; brass) /CreationDate (D:18430801)"
        )
    )
    assert document.title == "On engines"
    fields = {"title": ("On engines",), "author": ("Ada",), "keywords": ("steam", "brass")}
    assert document.fields == fields | {"created": ("1843-08-01",)}


@pytest.mark.parametrize("title", [b"Microsoft Word - thesis.doc", b"untitled", b"(anonymous)", b"paper.tex"])
def test_the_name_of_a_file_is_no_title(title):
    assert read(with_information(b"/Title (%b)" % title)).title == ""


def test_the_outline_gives_headings_where_its_words_stand():
    items = [
        b"<< /Title (Chapter one) /Parent 8 0 R /Next 11 0 R /First 10 0 R /Last 10 0 R "
        b"/Dest [5 0 R /Fit] >>",
        b"<< /Title (Its  section) /Parent 9 0 R /Dest [5 0 R /Fit] >>",
        b"<< /Title (Chapter two) /Parent 8 0 R /Next 12 0 R /Dest [7 0 R /Fit] >>",
        b"<< /Title (nowhere to be found) /Parent 8 0 R /Dest [7 0 R /Fit] >>",
    ]
    document = read(
        pdf(
            "preface\n\nChapter One\n\nIts section\nwords",
            "Chapter two\nmore",
            catalog=b"/Outlines 8 0 R",
            more=[b"<< /Type /Outlines /First 9 0 R /Last 12 0 R >>", *items],
        )
    )
    assert [(heading.level, heading.title) for heading in document.headings] == [
        (1, "Chapter one"), (2, "Its section"), (1, "Chapter two"), (1, "nowhere to be found"),
    ]  # fmt: skip
    found = [document.text[heading.start :].split("\n")[0].lower() for heading in document.headings[:3]]
    assert [words[:11] for words in found] == ["chapter one", "its section", "chapter two"]
    assert document.headings[3].start == document.headings[2].start


@pytest.mark.parametrize(
    ("title", "line"),
    [
        ("It won't start", "It won’t start"),
        ('The "best" one', "2.1 The “best” one"),
        ("Yes - or no?", "Yes – or no?"),
        ("Offices and flaws", "Oﬃces and ﬂaws"),
        ("Caf\u00e9 au lait", "Cafe\u0301 au lait"),
        ("One\u00a0two\u2003three", "One two three"),
        ("seeking-assistance", "Seeking assistance"),
        ("Column", "Chapter 3: Column"),
    ],
)
def test_a_title_is_found_however_the_page_writes_it(title: str, line: str) -> None:
    text = f"Columns: It won’t starts; see {line} below.\n\n{line}\n\nWords."
    assert _placed(text, [(1, title)]) == [(text.index(f"\n{line}") + 1, 1, " ".join(title.split()))]


def test_a_title_that_comes_again_is_on_the_next_line_with_it() -> None:
    text = "GET\n\n1 Example\n\nfirst\n\nExample\n\nsecond"
    headings = [(1, "GET"), (2, "Example"), (3, "nowhere"), (2, "Example"), (2, "Example")]
    first, second = text.index("1 Example"), text.rindex("Example")
    assert [position for position, _, _ in _placed(text, headings)] == [0, first, first, second, second]
    assert [position for position, _, _ in _placed("1 Start", [(1, "1"), (2, "Start")])] == [0, 0]


# --- characters without names --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("codes", "texts", "read_as"),
    [
        (
            "T1",
            ["di\x1berent coe\x1ecients", "the \x1crst o\x1b \x1d 3"],
            ["different coefficients", "the first off \x1d 3"],
        ),
        (
            "OT1",
            ["di\x0berent coe\x0ecients", "re\rect \x0crst sm\x1crrebr\x1cd"],
            ["different coefficients", "reflect first sm\x1crrebr\x1cd"],
        ),
        ("none", ["x \x1c y", "\x0c"], ["x \x1c y", "\x0c"]),
        ("Hangul", ["젊\x0e기"], ["젊\x0e기"]),
    ],
)
def test_the_codes_of_ligatures_are_read_where_one_stands_between_letters(
    codes: str, texts: list[str], read_as: list[str]
) -> None:
    assert list(map(_ligatures(texts), texts)) == read_as, codes


# --- tables of contents --------------------------------------------------------------------------------


def test_entries_of_a_table_of_contents_stay_lines_with_short_leaders() -> None:
    entries = [("1 Herons", "3"), ("1.1 Where they live", "7"), ("2 Owls", "12")]
    lines = []
    for n, (title, number) in enumerate(entries):
        dots = " ." * (40 - len(title) // 2)
        lines.append(TextLine(f"{title}{dots} {number}", 0, 100 - 14 * n, 300, 100 - 14 * n, 12))
    assert text_of(lines) == "1 Herons .... 3\n1.1 Where they live .... 7\n2 Owls .... 12"


# --- what is refused -----------------------------------------------------------------------------------


def test_an_encrypted_file_says_so_unless_it_opens_without_a_password():
    assert reason(encrypted_pdf("secret", "key")) == "encrypted: it needs a password"
    assert read(encrypted_pdf("free", "")).text == "free"


PICTURE = b"q 100 0 0 100 72 600 cm BI /W 1 /H 1 /CS /G /BPC 8 ID \x80 EI Q"


def test_scanned_pages_and_blank_pages_have_different_reasons():
    assert reason(pdf_of_streams([stream(PICTURE)] * 3)) == (
        "3 pages without text, probably scanned: --ocr reads them"
    )
    assert reason(pdf_of_streams([stream(b"")])) == "no text in it (pages: 1)"
    words = stream(drawing([(72, 700, 12, "words")]))
    assert read(pdf_of_streams([words, stream(PICTURE), stream(b"")])).notes == (
        "1 of 3 pages without text, probably scanned: --ocr reads them",
    )


@pytest.mark.parametrize("data", [b"", b"<html>", b"%PDF-", pdf("words")[:40], b"\0" * 5000], ids=range(5))
def test_a_file_that_is_no_pdf_gives_a_reason(data):
    assert reason(data).startswith(("not a PDF", "damaged"))


def circular() -> Iterator[tuple[str, bytes]]:
    good = pdf("round and round")
    end = good.rindex(b"startxref")
    table = good[end:].split()[1]
    yield "previous table", good[:end].replace(b"/Root 1 0 R", b"/Root 1 0 R /Prev " + table) + good[end:]
    yield "tree of pages", good.replace(b"/Kids [5 0 R]", b"/Kids [2 0 R]")
    outline = b"/Outlines << /First 1 0 R /Last 1 0 R >> /First 1 0 R /Next 1 0 R /Title (a)"
    yield "outline", good.replace(b"/Type /Catalog", outline + b" /Type /Catalog")
    yield "contents", good.replace(b"/Contents 4 0 R", b"/Contents [5 0 R 5 0 R]")


@pytest.mark.parametrize("data", [data for _, data in circular()], ids=[name for name, _ in circular()])
def test_circular_references_end(data):
    try:
        assert read(data).text in ("round and round", "")
    except IngestError as error:
        assert str(error).startswith(("damaged", "no text"))


def test_two_hundred_damaged_files_each_give_a_text_or_a_reason():
    generator = random.Random(7)
    good = [
        pdf("some words\nto be damaged", "and more of them"),
        pdf_of_streams([stream(zlib.compress(drawing([(72, 700, 12, "packed")])), b"/Filter /FlateDecode")]),
        form(b""),
    ]
    outcomes = {"read": 0, "refused": 0}
    for _ in range(200):
        data = bytearray(generator.choice(good))
        for _ in range(generator.randint(1, 4)):
            position = generator.randrange(len(data))
            kind = generator.randrange(4)
            if kind == 0:
                data[position] ^= 1 << generator.randrange(8)
            elif kind == 1:
                del data[position : position + generator.randint(1, 40)]
            elif kind == 2:
                data[position:position] = data[generator.randrange(len(data)) :][: generator.randint(1, 40)]
            else:
                data[position : position + 4] = b"9999"
            if len(data) < 20:
                break
        try:
            document = read(bytes(data))
            assert document.pages[0] == 0
            outcomes["read"] += 1
        except IngestError as error:
            assert str(error).isprintable()
            outcomes["refused"] += 1
    assert sum(outcomes.values()) == 200
    assert outcomes["read"] > 50
    assert read(pdf("still alive")).text == "still alive"
    assert SANDBOX.pid is not None


def test_a_hundred_pages_take_a_moment():
    import time

    page = "\n".join("word " * 12 for _ in range(45))
    read(pdf("warm"))
    started_s = time.perf_counter()
    document = read(pdf(*[page] * 100))
    assert len(document.pages) == 100
    assert time.perf_counter() - started_s < 10  # half a second on an idle machine


# --- form fields and annotations -------------------------------------------------------------------------

FIELDS = [
    b"/FT /Tx /T (name) /TU (Full name) /V (Ada Lovelace)",
    b"/FT /Tx /T (code) /Ff 8192 /V (hidden)",
    b"/FT /Ch /Ff 131072 /T (colour) /Opt [(red) (green)] /V (green)",
    b"/FT /Ch /T (sizes) /Ff 2097152 /Opt [(small) [(m) (medium)] (large)] /V [(small) (large)] /I [0 2]",
    b"/FT /Btn /T (agreed) /V /Yes /AS /Yes /AP << /N << /Yes 3 0 R /Off 3 0 R >> >>",
    b"/FT /Btn /T (declined) /V /Off /AS /Off /AP << /N << /Yes 3 0 R /Off 3 0 R >> >>",
]
ON_THE_PAGE = [
    b"/Subtype /Text /Contents (Is this so?)",
    b"/Subtype /FreeText /DA (/F1 9 Tf) /Contents (typed on top\\rin two lines)",
    b"/Subtype /Popup /Contents (again)",
    b"/Subtype /Highlight /Contents <FEFF00FC006200650072>",
]
SAID = [
    "Full name: Ada Lovelace", "colour: green", "sizes: small, large", "agreed: Yes", "Comment: Is this so?",
    "typed on top\nin two lines", "Comment: über",
]  # fmt: skip


def form(words: bytes) -> bytes:
    """A page with these words, and on it fields and annotations."""
    fields = [b"<< /Subtype /Widget /Type /Annot /Rect [72 600 200 620] %b >>" % one for one in FIELDS]
    others = [b"<< /Type /Annot /Rect [72 500 200 520] %b >>" % one for one in ON_THE_PAGE]
    numbers = [b"%d 0 R" % number for number in range(5, 5 + len(fields + others))]
    return pdf_objects([
        b"<< /Type /Catalog /Pages 2 0 R /AcroForm << /Fields [%b] >> >>" % b" ".join(numbers[: len(fields)]),
        b"<< /Type /Pages /Count 1 /Kids [4 0 R] >>",
        stream(words),
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 3 0 R /Annots [%b] "
        b"/Resources << /Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >> >>"
        % b" ".join(numbers),
        *fields,
        *others,
    ])  # fmt: skip


def test_form_fields_and_annotations_follow_the_page():
    data = form(drawing([(72, 700, 12, "A form")]))
    assert read(data).text.split("\n\n") == ["A form", *SAID]


@pytest.mark.parametrize("good, bad", [(b"/Ff 8192", b"/Ff (a)"), (b"/Annots [5 0 R", b"/Annots [null")])
def test_a_damaged_annotation_loses_no_words_of_the_page(good, bad):
    data = form(drawing([(72, 700, 12, "A form")]))
    assert good in data
    assert read(data.replace(good, bad)).text.startswith("A form")


def test_a_page_that_holds_only_form_fields_is_read():
    document = read(form(b""))
    assert document.text.split("\n\n") == SAID
    assert document.pages == (0,)


def test_attached_files_are_noted():
    names = b"/Names << /EmbeddedFiles << /Names [(a.txt) 6 0 R] >> >>"
    file = b"<< /Type /Filespec /F (a.txt) /EF << /F 7 0 R >> >>"
    document = read(pdf("words", catalog=names, more=[file, stream(b"more words")]))
    assert document.text == "words"
    assert document.notes == ("attached files left out: 1",)
