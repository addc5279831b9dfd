"""The layout of PDF pages: columns, table rows, running heads, hyphens, accents, hidden text, headings."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from minisearch.errors import IngestError
from minisearch.parsers import parse
from minisearch.parsers.pdf.layout import blocks, whole_words
from minisearch.parsers.pdf.page import TextLine
from minisearch.types import Document
from tests.parsers.made_files import PdfLine, pdf_objects, pdf_of_lines, pdf_of_streams, stream

BANKS = [
    "The north bank of the",
    "river has willows and",
    "alders, in whose shade",
    "the herons like to nest.",
]
BOATS = [
    "Every boat needs a coat",
    "of tar in spring, for the",
    "sun and the frost open",
    "the joints of its planks.",
]
TRAINS = [
    "A train of those old days",
    "had wooden benches and",
    "a stove that the guard",
    "filled with brown coal.",
]
PRICES = [
    ["Part", "Stock", "Price"],
    ["Hinge", "12", "3.40"],
    ["Lock", "7", "11.90"],
    ["Latch", "150", "0.80"],
]


def read(pages: Sequence[Sequence[PdfLine]], **extras: bytes) -> Document:
    return parse("a.pdf", pdf_of_lines(pages, **extras))


def read_stream(content: bytes) -> Document:
    return parse("a.pdf", pdf_of_streams([stream(content)]))


def across(columns: Sequence[Sequence[str]], *, width: float = 180) -> list[PdfLine]:
    """Columns drawn row by row."""
    return [
        (60 + width * n, 600 - 14 * row, 12, column[row])
        for row in range(len(columns[0]))
        for n, column in enumerate(columns)
    ]


def down(columns: Sequence[Sequence[str]], *, width: float = 180) -> list[PdfLine]:
    """Columns drawn one after the other."""
    return sorted(across(columns, width=width), key=lambda line: line[0])


def as_columns(rows: Sequence[Sequence[str]]) -> list[list[str]]:
    return [list(column) for column in zip(*rows, strict=True)]


# --- reading order ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("columns", [[BANKS, BOATS], [BANKS, BOATS, TRAINS]], ids=["two", "three"])
@pytest.mark.parametrize("draw", [across, down])
def test_columns_are_read_one_after_the_other(draw, columns):
    document = read([[(60, 660, 20, "Of rivers and of what is found on them"), *draw(columns)]])
    texts = [" ".join(column) for column in columns]
    assert document.text.split("\n\n") == ["Of rivers and of what is found on them", *texts]


def test_lines_below_columns_follow_them():
    below = [(60, 500, 12, "This line runs below both columns and is wider than each of them is.")]
    text = read([across([BANKS, BOATS]) + below]).text
    assert text.index("nest.") < text.index("Every boat") < text.index("planks.") < text.index("This line")


@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="pdftotext reads the same file")
@pytest.mark.parametrize("draw", [across, down])
def test_columns_are_read_in_the_order_of_pdftotext(tmp_path: Path, draw):
    file = tmp_path / "columns.pdf"
    file.write_bytes(pdf_of_lines([draw([BANKS, BOATS])]))
    expected = subprocess.run(["pdftotext", file, "-"], capture_output=True, check=True, text=True).stdout
    assert parse("a.pdf", file.read_bytes()).text.split() == expected.split()


@pytest.mark.parametrize("draw", [across, down])
def test_a_table_is_read_row_by_row(draw):
    before: list[PdfLine] = [(60, 660, 12, "These are the prices of this year.")]
    after: list[PdfLine] = [(60, 500, 12, "They are those of the shop.")]
    document = read([before + draw(as_columns(PRICES), width=90) + after])
    assert document.text.split("\n\n")[1].split("\n") == [" ".join(row) for row in PRICES]


def test_addresses_side_by_side_stay_together():
    columns = [["Bill to:", "Ada Lane", "12 Long Street"], ["Ship to:", "Ben Hill", "9 Short Road"]]
    assert read([down(columns)]).text.replace("\n\n", "\n").split("\n") == [*columns[0], *columns[1]]


def test_a_page_is_read_from_its_top_in_whatever_order_it_is_drawn():
    document = read([[(60, 90, 12, "last"), (60, 700, 12, "first"), (60, 400, 12, "middle")]])
    assert document.text.split() == ["first", "middle", "last"]


def test_a_table_above_columns_is_not_torn_in_two():
    rows: list[PdfLine] = [
        (60 + 110 * n, 700 - 14 * row, 12, cell)
        for row, cells in enumerate(PRICES)
        for n, cell in enumerate(cells)
    ]
    heading: PdfLine = (60, 630, 12, "Two columns")
    texts = read([[*rows, heading, *down([BANKS * 3, BOATS * 3], width=190)]]).text.split("\n\n")
    assert texts == [
        "\n".join(map(" ".join, PRICES)),
        "Two columns",
        " ".join(BANKS * 3),
        " ".join(BOATS * 3),
    ]


HERONS = [
    "herons live by rivers and lakes,",
    "where they wait for fish and eat",
    "now and then a young vole from a",
    "meadow; in the winter, they stay",
    "as long as no ice is on the lake",
    "and leave it after a long frost.",
]


@pytest.mark.parametrize("is_left", [True, False])
def test_a_table_beside_a_text_is_read_after_or_before_it(is_left: bool):
    x_text, x_table = (60, 320) if is_left else (320, 60)
    drawn: list[PdfLine] = []
    for row, words in enumerate(HERONS):
        drawn.append((x_text, 600 - 14 * row, 12, words))
        cells = PRICES[row] if row < len(PRICES) else []
        drawn += [(x_table + 70 * n, 600 - 14 * row, 12, cell) for n, cell in enumerate(cells)]
    text, table = " ".join(HERONS), "\n".join(map(" ".join, PRICES))
    expected = [text, table] if is_left else [table, text]
    assert read([drawn]).text.split("\n\n") == expected


@pytest.mark.parametrize("order", [lambda place: -place, lambda place: place * 7 % 16], ids=["up", "none"])
def test_columns_drawn_from_the_bottom_or_in_no_order_are_read_down(order):
    drawn = across([BANKS * 2, BOATS * 2])
    texts = read([[drawn[place] for place in sorted(range(16), key=order)]]).text.split("\n\n")
    assert texts == [" ".join(BANKS * 2), " ".join(BOATS * 2)]


def test_a_table_of_words_in_small_letters_is_no_column():
    goods = [
        "blue shirt with sleeves",
        "green trousers of wool",
        "hat",
        "red socks for winter",
        "belt of leather",
    ]
    drawn = [
        (60 + 230 * n, 700 - 13 * row, 10, cell)
        for row, name in enumerate([*goods, "gloves for the garden"])
        for n, cell in enumerate((name, f"{row}.50"))
    ]
    assert "hat 2.50\nred socks for winter 3.50" in read([drawn]).text


def test_terms_stay_with_their_definitions():
    definitions = {"Heron": HERONS[:4], "Stork": HERONS[2:]}
    drawn: list[PdfLine] = []
    y = 700
    for term, words in definitions.items():
        drawn.append((60, y, 12, term))
        for line in words:
            drawn.append((140, y, 12, line))
            y -= 14
    text = read([drawn]).text
    assert text.index("Heron") < text.index(HERONS[0]) < text.index("Stork") < text.index(HERONS[-1])


def test_a_foot_drawn_before_the_text_of_its_page_follows_it():
    document = read([[(60, 760, 10, "Head"), (60, 40, 10, "Foot"), *across([BANKS, BOATS])]])
    assert document.text.split("\n\n") == ["Head", " ".join(BANKS), " ".join(BOATS), "Foot"]


def test_lines_of_a_wide_font_are_joined():
    words = ["MMMM MMMM MMMM MMMM M", "MMMM MMMM MMMM", "MMMMMM WW.", "WW MM"]
    joined = " ".join(words[:3]) + "\nWW MM"
    assert read([[(60, 700 - 14 * n, 12, line) for n, line in enumerate(words)]]).text == joined


@pytest.mark.parametrize("turns", [b"/Rotate 90", b""], ids=["the page", "the text"])
def test_turned_text_is_read_as_upright_text_is(turns):
    drawn = b"".join(
        b"0 1 -1 0 %g %g Tm (%b) Tj " % (612 - y, x, words.encode())
        for x, y, _, words in across([BANKS, BOATS])
    )
    data = pdf_of_streams([stream(b"BT /F1 12 Tf " + drawn + b"ET")])
    document = parse("a.pdf", data.replace(b"[0 0 612 792] ", b"[0 0 612 792]" + turns + b" "))
    assert document.text.split("\n\n") == [" ".join(BANKS), " ".join(BOATS)]


@pytest.mark.parametrize("place", [(138, 705), (293, 705)], ids=["inside a line", "at its end"])
def test_the_number_of_a_footnote_does_not_end_a_paragraph(place):
    words = [(60, 700, 12, "The grey heron"), (144, 700, 12, "is a bird that lives by water")]
    below = [(60, 686, 12, "where it waits for fish, and builds nests"), (60, 672, 12, "among trees.")]
    first = [words[0], (*place, 7, "1"), words[1]] if place[0] < 144 else [*words, (*place, 7, "1")]
    text = read([[*first, *below]]).text
    assert "\n" not in text
    assert text.replace("1", "").split() == " ".join(line[3] for line in words + below).split()


# --- running heads ----------------------------------------------------------------------------------------


def book(texts: Sequence[str], first: int = 7) -> list[list[PdfLine]]:
    return [
        [(60, 750, 10, "A Guide to Herons"), (60, 600, 12, words), (300, 40, 10, f"{first + n}")]
        for n, words in enumerate(texts)
    ]


def test_running_heads_are_read_once_and_numbers_of_pages_never():
    texts = ["They nest in colonies.", "They eat fish.", "They fly with bent necks.", "They live long."]
    document = read(book(texts))
    assert document.text.split("\n\n") == ["A Guide to Herons", *texts]
    assert document.notes == ("repeated lines at the head or foot of pages left out: 7",)


def test_a_word_broken_over_two_pages_is_whole():
    document = read(
        book(["They nest in colo-", "nies of many pairs, and colonies are loud.", "They eat fish."])
    )
    assert "They nest in colonies\n\n" in document.text
    assert document.text[document.pages[1] :].startswith("of many pairs")


def test_headings_with_numbers_that_do_not_count_the_pages_stay():
    pages = [
        [(60, 750, 10, f"Step {n}"), (60, 600, 12, f"Do this, {n}."), (60, 586, 12, "Then wait.")]
        for n in (1, 3, 4)
    ]
    assert [f"Step {n}" in read(pages).text for n in (1, 3, 4)] == [True] * 3


def test_sentences_with_the_number_of_their_page_stay():
    pages = [[(60, 700, 12, "A text."), (60, 60, 12, f"We thank {n} people.")] for n in (1, 2, 3)]
    assert [f"We thank {n} people." in read(pages).text for n in (1, 2, 3)] == [True] * 3


def test_numbered_headings_of_pages_stay():
    pages = [
        [(60, 750, 16, f"Lesson {n}"), (60, 600, 12, f"Do this, {n}."), (60, 586, 12, "Then wait.")]
        for n in (1, 2, 3)
    ]
    assert [f"Lesson {n}" in read(pages).text for n in (1, 2, 3)] == [True] * 3


# --- hyphens ----------------------------------------------------------------------------------------------


def lines(*words: str) -> list[list[PdfLine]]:
    return [[(60, 700 - 14 * n, 12, line) for n, line in enumerate(words)]]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["We look at a cost-", "effective way to do this and that for all of us."], "cost-effective"),
        (["This is a user-", "friendly machine that is at the door of the house."], "user-friendly"),
        (["The pages 12-", "34 are missing."], "12-34"),
        (["Die Bundesver-", "fassungsge-", "richt sprach."], "Bundesverfassungsgericht"),
        (["It is state-of-", "the-art, as they say in all of the shops."], "state-of-the-art"),
        (["It is a hyphen-", "ation of words that is done by the machine."], "hyphenation"),
        (["There is a win-", "dow in the house of the man."], "window"),
        (["What has hap-", "pened to all of them in that house?"], "happened"),
        (["It is part-", "time work, and there is no time for all of it."], "part-time"),
        (["This is a moun-", "tain, and the mountain is high."], "mountain"),
        (["Die Geschwindig-", "keit der Reiher ist hoch."], "Geschwindigkeit"),
        (["We had pre-", "and post-war houses on that road."], "pre- and post-war"),
        (["The e-", "mail was sent."], "e-mail"),
        (["the market was based on this; a market-", "based one"], "market-based"),
    ],
)  # fmt: skip
def test_a_hyphen_at_the_end_of_a_line_stays_if_it_is_likely_to_belong_to_the_word(words, found):
    assert found in read(lines(*words)).text


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["The years 2019\u2013", "2020 were dry."], "The years 2019\u20132020 were dry."),
        (["An interna\u2010", "tionalization of the text."], "An internationalization of the text."),
        (["A long\u2010term plan: long\u2010", "term aims."], "A long\u2010term plan: long-term aims."),
    ],
)  # fmt: skip
def test_other_dashes_at_the_end_of_a_line(words, text):
    """Programs that break words use U+2010, but some write it in compounds too."""
    drawn = [TextLine(line, 60, 700 - 14 * n, 300, 700 - 14 * n, 12) for n, line in enumerate(words)]
    assert [block.text for block in whole_words([blocks(drawn)])[0]] == [text]


# --- characters -------------------------------------------------------------------------------------------


def shown(commands: str) -> str:
    """The text of a line, drawn by commands in Windows-1252; {A} puts an accent over a letter."""
    content = commands.replace("{A}", ") 320 (")  # what an accent is wide, in thousandths of the size
    font = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>"
    data = pdf_of_streams([stream(b"BT /F1 12 Tf 60 700 Td [(" + content.encode("cp1252") + b")] TJ ET")])
    plain = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"
    return parse("a.pdf", data.replace(plain, font)).text  # PDFium finds the objects of a moved table again


@pytest.mark.parametrize(
    ("drawn", "text"),
    [
        ("Gespr\u00a8{A}ach", "Gespräch"),
        ("caf\u00b4{A}e cr\u02c6{A}epe", "café crêpe"),
        ("fac\u00b8{A}", "fac¸"),
        ("der \u00a8{A}Uber", "der Über"),
        ("ma\u02dc{A}nana", "mañana"),
        ("l\u00b4amour, don\u00b4t, `ls` ~ada x^2", "l´amour, don´t, `ls` ~ada x^2"),
    ],
)
def test_accents_drawn_over_letters_are_on_them(drawn: str, text: str) -> None:
    assert shown(drawn) == text


def test_a_cedilla_may_follow_its_letter():
    assert shown("fran(c) 400 (\u00b8) 0 (ais".replace("(c", ") 0 (c")) == "français"


CODES = b"""/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /X def
1 begincodespacerange <0000> <FFFF> endcodespacerange
3 beginbfchar <0001> <0065> <0002> <FFFE> <0003> <0064> endbfchar endcmap end end"""


def drawn_with_codes(codes: bytes) -> Document:
    font = (
        b"<< /Type /Font /Subtype /Type0 /BaseFont /Own /Encoding /Identity-H /DescendantFonts [6 0 R]"
        b" /ToUnicode 8 0 R >>"
    )
    own = b"/Type /Font /Subtype /CIDFontType2 /BaseFont /Own /DW 500 /FontDescriptor 7 0 R"
    system = b"/CIDSystemInfo << /Registry (Adobe) /Ordering (Identity) /Supplement 0 >>"
    box = b"/FontBBox [0 0 1000 1000] /Ascent 800 /Descent -200 /CapHeight 700 /ItalicAngle 0 /StemV 80"
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Count 1 /Kids [5 0 R] >>",
        font,
        stream(b"BT /F1 12 Tf 60 700 Td <" + codes + b"> Tj ET"),
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] "
        b"/Resources << /Font << /F1 3 0 R >> >> /Contents 4 0 R >>",
        b"<< %b %b >>" % (own, system),
        b"<< /Type /FontDescriptor /FontName /Own /Flags 4 %b >>" % box,
        stream(CODES),
    ]
    return parse("a.pdf", pdf_objects(objects))


def test_a_glyph_without_text_is_no_hyphen_and_the_page_is_noted():
    document = drawn_with_codes(b"0003 0001 0002 0001 0003 0002 0002 0001")
    assert document.text == "de\ufffded\ufffd\ufffde"
    assert document.notes == ("1 of 1 pages with glyphs without text: words may be wrong or missing",)
    assert not drawn_with_codes(b"0003 0001" * 20).notes


# --- what nobody sees -------------------------------------------------------------------------------------

SCAN = b"q 612 0 0 792 0 0 cm BI /W 1 /H 1 /CS /G /BPC 8 ID \x80 EI Q "


def text_in(state: bytes, words: bytes = b"secret words", before: bytes = b"") -> bytes:
    seen = b"BT /F1 12 Tf 60 700 Td (seen) Tj ET "
    return seen + before + b"BT /F1 12 Tf 60 680 Td " + state + b" (%b) Tj ET" % words


@pytest.mark.parametrize(
    "content",
    [
        text_in(b"3 Tr"),
        text_in(b"1 1 1 rg"),
        text_in(b"/F1 0.4 Tf"),
        text_in(b"", before=b"1 0 0 1 900 0 cm "),
        b"BT /F1 12 Tf 60 700 Td (seen) Tj 1 g ( secret) Tj ET",
    ],
    ids=["not drawn", "white", "tiny", "outside", "in the same line"],
)
def test_text_that_nobody_sees_is_left_out_with_a_note(content):
    document = read_stream(content)
    assert document.text == "seen"
    assert [note.split(":")[0] for note in document.notes] == ["characters of hidden text left out"]


@pytest.mark.parametrize(
    "content",
    [
        SCAN + b"BT 3 Tr /F1 12 Tf 60 680 Td (secret words) Tj ET",
        b"BT 3 Tr /F1 12 Tf 60 680 Td (secret words) Tj ET " + SCAN,
        b"BT 3 Tr /F1 12 Tf 60 680 Td (secret words) Tj ET 62 680 m 66 690 l 70 680 l f",
        b"0 g 50 670 200 40 re f BT 1 g /F1 12 Tf 60 680 Td (secret words) Tj ET",
        b"30 w 0 G 50 684 m 250 684 l S BT 1 g /F1 12 Tf 60 680 Td (secret words) Tj ET",
    ],
    ids=["scan", "scan drawn later", "outlines", "white on black", "white on a thick line"],
)
def test_text_of_scans_and_outlines_and_white_text_on_a_colour_are_read(content):
    document = read_stream(content)
    assert document.text == "secret words"
    assert not document.notes


def test_a_line_drawn_twice_is_read_once():
    twice = [(60, 700, 12, "Bold words"), (60, 680, 12, "plain"), (60.3, 700, 12, "Bold words")]
    assert read([twice]).text.split() == ["Bold", "words", "plain"]


def test_a_page_of_glyphs_without_any_text_is_read_as_a_scan_is():
    with pytest.raises(IngestError, match="1 page without text, probably scanned: --ocr reads them"):
        drawn_with_codes(b"0009 000A")


# --- headings ---------------------------------------------------------------------------------------------


def test_larger_characters_are_headings_and_the_title():
    text = [(60, 600 - 14 * n, 10, "Words of the text that follow one after the other.") for n in range(8)]
    heads = [(60, 700, 24, "On Herons"), (60, 640, 14, "Where they live"), (60, 450, 14, "What they eat")]
    document = read([[*heads[:2], *text, heads[2], (60, 430, 10, "Mostly fish.")]])
    found = [(heading.level, heading.title) for heading in document.headings]
    assert found == [(1, "On Herons"), (2, "Where they live"), (2, "What they eat")]
    assert document.title == "On Herons"


def test_slanted_words_are_no_heading():
    words = b"BT /F1 12 Tf 60 700 Td (Words of the text.) Tj ET "
    slanted = (
        b"BT /F1 60 Tf .7 .7 -.7 .7 150 300 Tm (DRAFT) Tj ET BT /F1 30 Tf 0 1 -1 0 40 300 Tm (arXiv) Tj ET"
    )
    document = read_stream(words + slanted)
    assert not document.headings
    assert set(document.text.split("\n\n")) == {"Words of the text.", "DRAFT", "arXiv"}


def test_a_heading_slightly_larger_than_the_text_is_no_part_of_it():
    text = [(60, 600 - 14 * n, 10, "Words of the text that follow one after the other.") for n in range(8)]
    document = read([[(60, 614, 12, "2 Methods"), *text]])
    assert [heading.title for heading in document.headings] == ["2 Methods"]
    assert document.text.startswith("2 Methods\n\nWords")
    assert not read([text]).headings
