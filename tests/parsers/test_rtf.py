r"""RTF: hand-written as Word and LibreOffice write it."""

from __future__ import annotations

import pytest

from minisearch.errors import IngestError
from minisearch.parsers import parse

FONTS = rb"{\fonttbl{\f0\fcharset0 Times;}{\f1\fcharset204 Cyr;}{\f2\fcharset128 Mincho;}}"
STYLES = (
    rb"{\stylesheet{\s0 Normal;}{\s1\outlinelevel0 \'dcberschrift 1;}{\s2 heading 2;}{\s5 Title;}"
    rb"{\*\cs15 Title Char;}}"
)
INFO = rb"{\info{\title Brot \u228?ber alles}{\author Ada}{\keywords rye, oats}{\creatim\yr2024\mo2}}"


def rtf(body: bytes, head: bytes = b"") -> bytes:
    return rb"{\rtf1\ansi\ansicpg1252\deff0" + FONTS + head + body + b"}"


def text(body: bytes, head: bytes = b"") -> str:
    return parse("a.rtf", rtf(body, head)).text


def test_paragraphs_headings_properties_and_numbers_of_paragraphs():
    body = (
        b"\\pard\\s1 Brot\\par\r\n\\pard\\plain Flour {\\b and} wa\r\nter.\\line Second\\tab line.\\par\\par"
        b"\\pard\\s2 Rye\\par\\pard Dark \\endash  bread.\\par"
    )
    document = parse("a.rtf", rtf(body, STYLES + INFO))
    assert document.text == "Brot\n\nFlour and water.\nSecond line.\n\nRye\n\nDark – bread."
    assert [(one.level, one.title) for one in document.headings] == [(1, "Brot"), (2, "Rye")]
    assert document.title == "Brot \u00e4ber alles"
    assert document.fields == {
        "title": ("Brot \u00e4ber alles",), "author": ("Ada",), "keywords": ("rye", "oats")
    }  # fmt: skip
    assert [number for _, number in document.lines] == [1, 2, 3, 4]
    assert document.format == "rtf"


@pytest.mark.parametrize("written, meant", [
    (rb"caf\'e9", "café"),
    (rb"\f1 \'cf\'f0\'e8\'e2\'e5\'f2\f0 caf\'e9", "Приветcafé"),
    (rb"\f2 \'83\'70\'83\'93", "パン"),
    (rb"{\f2 \'83p}", "パ"),
    (rb"\u1055?\u1088\'3f\u1080 ? x", "При x"),
    (rb"\uc0\u1055 \u1088 x", "Прx"),
    (rb"{\uc2\u8364EU} left", "€ left"),
    (rb"\u-10179?\u-8704?", "\U0001f600"),
    (rb"\u-10179? alone", "\ufffd alone"),
    (rb"a\~b\_c\-d \{x\} \\ \lquote q\rquote", "a b\u2011cd {x} \\ ‘q’"),
    ("caf\u00e9".encode("cp1252"), "café"),
    (rb"{\v hidden}shown \v no\v0 yes {\deleted gone}", "shown yes"),
    (rb"\'zz odd \unknown99 word", "zz odd word"),
])  # fmt: skip
def test_characters(written, meant):
    assert text(written + rb"\par") == meant


def test_the_code_page_of_the_file_is_used_where_the_font_has_none():
    assert text(rb"\ansicpg1251 \'cf\'f0\par") == "Пр"


def test_what_is_no_text_stays_out_and_is_counted():
    body = (
        rb"{\*\generator Word;}{\header Bakery \'bd}{\header Bakery \'bd}{\footer 12}"
        rb"Bread{\*\bkmkstart x}{\*\unknown{\nested y}}"
        rb"{\field{\*\fldinst HYPERLINK "
        + b'"http://x"'
        + rb"}{\fldrslt link}} {\*\shppict{\pict\pngblip 89504e47}}{\nonshppict{\pict\wmetafile8 0102}}"
        rb"{\object{\*\objdata 0105}{\result shown}}{\shp{\*\shpinst{\sp{\sn n}{\sv 1}}{\shptxt In a box}}}"
        rb"{\footnote {\super 1} A note.}{\*\annotation Sure?} end\par"
    )
    document = parse("a.rtf", rtf(body))
    assert document.text == (
        "Breadlink shownIn a box end\n\nFootnote: 1 A note.\n\nComment: Sure?\n\nBakery \u00bd"
    )
    assert document.notes == ("pictures and embedded objects left out: 2",)


def test_a_table_names_its_columns():
    def row(*cells: bytes) -> bytes:
        words = b"".join(b"\\pard\\intbl " + one + b"\\cell" for one in cells)
        return b"\\trowd\\cellx100\\cellx200 " + words + b"\\row\n"

    body = row(b"Item", b"Price") + row(b"Rye\\par dark", b"3.20") + row(b"Oat", b"4") + b"\\pard After.\\par"
    document = parse("a.rtf", rtf(body))
    assert document.text.split("\n\n") == [
        "Item; Price", "Item: Rye dark; Price: 3.20", "Item: Oat; Price: 4", "After."
    ]  # fmt: skip
    assert document.lines[-1][1] == 7


def test_binary_data_is_passed_over():
    assert text(rb"a{\pict\bin6 }{\x}\}{b}c\par") == "abc"


@pytest.mark.parametrize("data, reason", [
    (b"Bread", "not RTF"),
    (rb"{\rtf1 " + b"{" * 20_000, "nested too deeply"),
    (rb"{\rtf1 }", "no text"),
])  # fmt: skip
def test_what_cannot_be_read_is_named(data, reason):
    with pytest.raises(IngestError, match=reason):
        document = parse("a.rtf", data)
        if not document.text:
            raise IngestError("no text")


@pytest.mark.parametrize("data", [
    rb"{\rtf1 a}}}} b", rb"{\rtf1 a", rb"{\rtf1 a\bin99999999999 b}", rb"{\rtf1 a\u99999999999? b}",
    b"{\\rtf1 a\\", rb"{\rtf1\ansicpg99999 a}", rb"{\rtf1\uc9999999999 \u66a b}", rb"{\rtf1 \cell\row a}",
    rb"{\rtf1 \intbl a\cell b\cell",
])  # fmt: skip
def test_damage_loses_no_more_than_its_place(data):
    assert "a" in parse("a.rtf", data).text or "B" in parse("a.rtf", data).text


def test_rtf_by_another_name_is_refused_with_the_cure():
    with pytest.raises(IngestError, match=r"an RTF file by another name: call it \.rtf"):
        parse("a.txt", rtf(b"Bread"))


def test_a_note_counts_hidden_and_deleted_words():
    document = parse("a.rtf", rtf(rb"Seen {\v not this} and {\deleted nor that one}\par"))
    assert (document.text, document.notes) == ("Seen and", ("hidden or deleted words left out: 5",))
