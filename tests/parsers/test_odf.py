"""OpenDocument: hand-written XML as the standard has it; what a reader sees is what is read."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from minisearch.errors import IngestError
from minisearch.parsers import parse
from tests.parsers.made_files import zipped

NAMESPACES = " ".join(
    f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{full}:1.0"'
    for name, full in {
        **{one: one for one in ("office", "text", "table", "presentation", "meta", "style")},
        "draw": "drawing",
        "svg": "svg-compatible",
    }.items()
) + ' xmlns:dc="http://purl.org/dc/elements/1.1/"'  # fmt: skip
META = (
    "<dc:title>Bread</dc:title><meta:initial-creator>Ada</meta:initial-creator><dc:creator>Eve</dc:creator>"
    "<meta:keyword>rye, oats</meta:keyword><meta:creation-date>2024-02-29</meta:creation-date>"
)


def odf(kind: str, body: str, *, meta: str = "", masters: str = "", **more: str) -> bytes:
    def document(name: str, inner: str) -> str:
        return f'<?xml version="1.0"?><office:{name} {NAMESPACES}>{inner}</office:{name}>'

    entries: Mapping[str, str] = {
        "mimetype": f"application/vnd.oasis.opendocument.{kind}",
        "content.xml": document(
            "document-content",
            f"<office:body><office:{kind}>{body}</office:{kind}></office:body>",
        ),
        "meta.xml": document("document-meta", f"<office:meta>{meta}</office:meta>"),
        "styles.xml": document("document-styles", f"<office:master-styles>{masters}</office:master-styles>"),
        **more,
    }
    return zipped(entries)


def p(words: str) -> str:
    return f"<text:p>{words}</text:p>"


def test_a_text_has_its_title_headings_fields_and_numbered_paragraphs():
    body = (
        '<text:h text:outline-level="1">Flour</text:h>'
        + p(
            "Flour <text:span>and</text:span><text:s text:c='3'/>water<text:tab/>mix.<text:line-break/>Knead."
        )
        + p("")
        + '<text:h text:outline-level="2">Rye</text:h>'
        + p("Dark bread.")
    )
    master = f"<style:master-page><style:header>{p('The bakery')}</style:header></style:master-page>"
    document = parse("a.odt", odf("text", body, meta=META, masters=master * 2))
    assert document.text == "The bakery\n\nFlour\n\nFlour and water mix.\nKnead.\n\nRye\n\nDark bread."
    assert (document.title, document.format) == ("Bread", "odf")
    assert [(one.level, one.title) for one in document.headings] == [(1, "Flour"), (2, "Rye")]
    assert document.fields == {
        "title": ("Bread",), "author": ("Ada",), "keywords": ("rye", "oats"), "created": ("2024-02-29",)
    }  # fmt: skip
    assert [number for _, number in document.lines] == [1, 1, 2, 3, 4]


def test_lists_notes_comments_pictures_and_deleted_text():
    inner = f"<text:list><text:list-item>{p('inner')}</text:list-item></text:list>"
    items = f"<text:list-item>{p('one')}{inner}</text:list-item><text:list-item>{p('two')}</text:list-item>"
    picture = "<draw:image/><svg:title>cat.png</svg:title><svg:desc>A cat asleep</svg:desc>"
    body = (
        f"<text:tracked-changes>{p('deleted')}</text:tracked-changes><text:list>{items}</text:list>"
        + p("Oats<text:note><text:note-citation>1</text:note-citation><text:note-body>" + p("A grain.")
            + "</text:note-body></text:note> are<office:annotation><dc:creator>Eve</dc:creator>"
            "<dc:date>2024-01-01</dc:date>" + p("sure?") + "</office:annotation> good.")
        + p("<draw:frame><draw:text-box>" + p("In a box") + "</draw:text-box></draw:frame>")
        + p(f"<draw:frame>{picture}</draw:frame>")
    )  # fmt: skip
    document = parse("a.odt", odf("text", body))
    assert document.text == (
        "one\ninner\ntwo\n\nOats are good.\n\nFootnote: A grain.\n\nComment by Eve: sure?\n\nIn a box\n\n"
        "A cat asleep"
    )
    assert [document.text[start:end] for start, end in document.blocks] == ["one\ninner", "inner", "two"]


def cell(words: str, **attributes: str) -> str:
    given = "".join(
        f' {name.replace("__", ":").replace("_", "-")}="{value}"' for name, value in attributes.items()
    )
    return f"<table:table-cell{given}>{p(words) if words else ''}</table:table-cell>"


def test_a_table_names_its_columns_and_a_tall_cell_counts_in_each_row():
    covered = "<table:covered-table-cell/>"
    rows = [
        cell("Item") + cell("Kind") + cell("Price"),
        cell("Rye", table__number_rows_spanned="2") + cell("dark") + cell("3"),
        covered + cell("light") + cell("4"),
        cell("Wide", table__number_columns_spanned="2") + covered + cell("5"),
    ]
    table = "".join(f"<table:table-row>{row}</table:table-row>" for row in rows)
    document = parse("a.odt", odf("text", f"<table:table>{table}</table:table>"))
    assert document.text.split("\n\n") == [
        "Item; Kind; Price",
        "Item: Rye; Kind: dark; Price: 3",
        "Item: Rye; Kind: light; Price: 4",
        "Item, Kind: Wide; Price: 5",
    ]


def test_a_spreadsheet_is_read_as_it_is_shown_with_the_numbers_of_its_rows():
    rows = (
        f"<table:table-header-rows><table:table-row>{cell('Item')}{cell('Price')}</table:table-row>"
        "</table:table-header-rows>"
        f"<table:table-row>{cell('Rye')}{cell('€ 1,234.50', office__value='1234.5')}</table:table-row>"
        '<table:table-row table:number-rows-repeated="10"><table:table-cell/></table:table-row>'
        f"<table:table-row>{cell('Oat')}{cell('', office__value='4')}"
        '<table:table-cell table:number-columns-repeated="16380"/></table:table-row>'
        '<table:table-row table:number-rows-repeated="1048563"><table:table-cell/></table:table-row>'
    )
    sheets = f'<table:table table:name="Prices">{rows}</table:table><table:table table:name="Empty"/>'
    document = parse("a.ods", odf("spreadsheet", sheets))
    assert (
        document.text
        == "Prices\n\nItem; Price\n\nItem: Rye; Price: € 1,234.50\n\nItem: Oat; Price: 4\n\nEmpty"
    )
    assert len(document.pages) == 2
    assert [number for _, number in document.lines] == [1, 1, 2, 13, 1]


def test_a_presentation_has_a_page_for_each_slide_with_title_and_notes():
    def frame(words: str, kind: str = "") -> str:
        shown = f' presentation:class="{kind}"' if kind else ""
        return f"<draw:frame{shown}><draw:text-box>{p(words)}</draw:text-box></draw:frame>"

    notes = f"<presentation:notes>{frame('Say hello')}</presentation:notes>"
    slides = [
        f"<draw:page>{frame('Body')}{frame('First', 'title')}{notes}</draw:page>",
        f"<draw:page><draw:g><draw:custom-shape>{p('In a shape')}</draw:custom-shape></draw:g></draw:page>",
    ]
    document = parse("a.odp", odf("presentation", "".join(slides)))
    assert document.text == "First\n\nBody\n\nNotes: Say hello\n\nIn a shape"
    assert [one.title for one in document.headings] == ["First"]
    assert document.pages == (0, document.text.index("In a shape"))


def test_what_cannot_be_read_is_named():
    embedded = {"Object 1/content.xml": "<a/>", "ObjectReplacements/Object 1": "x"}
    document = parse("a.odt", odf("text", p("Bread"), **embedded))
    assert document.notes == ("embedded objects left out: 1",)
    document = parse("a.odt", odf("text", p("Bread"), **{"meta.xml": "<broken"}))
    assert (document.text, document.notes) == ("Bread", ("meta.xml in it cannot be read and is left out",))
    manifest = {"META-INF/manifest.xml": "<manifest:encryption-data/>"}
    for data, reason in (
        (odf("text", p("Bread"), **manifest), "encrypted"),
        (odf("text", "<text:p>Bread"), "damaged: the XML in it cannot be read"),
        (zipped({"mimetype": "x"}), "damaged: no content.xml in it"),
        (b"Bread", "not a ZIP archive"),
    ):
        with pytest.raises(IngestError, match=reason):
            parse("a.odt", data)


def test_repeated_rows_and_cells_are_bounded():
    filled = cell("x", table__number_columns_repeated="16384")
    row = f'<table:table-row table:number-rows-repeated="1048576">{filled}</table:table-row>'
    document = parse("a.ods", odf("spreadsheet", f"<table:table>{row}</table:table>"))
    assert document.text.count("x") <= 1_000_000


def flat(kind: str, body: str, *, styles: str = "", meta: str = "") -> bytes:
    mimetype = f"application/vnd.oasis.opendocument.{kind}"
    return (
        f'<?xml version="1.0"?><office:document {NAMESPACES} office:mimetype="{mimetype}">'
        f"<office:meta>{meta}</office:meta><office:automatic-styles>{styles}</office:automatic-styles>"
        f"<office:body><office:{kind}>{body}</office:{kind}></office:body></office:document>"
    ).encode()


def test_flat_files_are_read_as_zipped_ones_are() -> None:
    document = parse("a.fodt", flat("text", p("Flour") + p("and water"), meta=META))
    assert (document.text, document.title) == ("Flour\n\nand water", "Bread")
    cell = "<table:table-cell>{}</table:table-cell>"
    row = f"<table:table-row>{cell.format(p('Name'))}{cell.format(p('Age'))}</table:table-row>"
    row += f"<table:table-row>{cell.format(p('Ada'))}{cell.format(p('36'))}</table:table-row>"
    sheet = f'<table:table table:name="People">{row}</table:table>'
    assert parse("a.fods", flat("spreadsheet", sheet)).text == "People\n\nName; Age\n\nName: Ada; Age: 36"
    slide = f'<draw:page><draw:frame presentation:class="title">{p("Oats")}</draw:frame></draw:page>'
    assert parse("a.fodp", flat("presentation", slide * 2)).pages == (0, 6)
    with pytest.raises(IngestError, match="damaged"):
        parse("a.fodt", flat("text", p("Flour"))[:-20])


def numbered(name: str, *levels: str) -> str:
    inner = "".join(
        f'<text:list-level-style-number text:level="{n}" {one}/>' for n, one in enumerate(levels, 1)
    )
    return f'<text:list-style style:name="{name}">{inner}</text:list-style>'


def items(*inner: str, style: str = "", more: str = "") -> str:
    named = f' text:style-name="{style}"' if style else ""
    inside = "".join(f"<text:list-item>{one}</text:list-item>" for one in inner)
    return f"<text:list{named}{more}>{inside}</text:list>"


def test_items_of_numbered_lists_keep_their_numbers() -> None:
    styles = numbered(
        "L", 'style:num-format="1" style:num-suffix="."',
        'style:num-format="a" style:num-suffix=")"', 'style:num-format="1" text:display-levels="3"',
    ) + numbered("S", 'style:num-format="i" style:num-suffix="." text:start-value="4"')  # fmt: skip
    styles += (
        '<text:list-style style:name="B"><text:list-level-style-bullet text:level="1"/></text:list-style>'
    )
    body = (
        items(p("one") + items(p("inner") + items(p("deep")), p("second")), p("two"), style="L")
        + items(p("dot"), style="B")
        + items(p("three"), style="L", more=' text:continue-numbering="true"')
        + items(p("again"), style="L") + items(p("four"), p("five"), style="S") + items(p("plain"))
    )  # fmt: skip
    words = parse("a.fodt", flat("text", body, styles=styles)).text.split("\n")
    assert [line for line in words if line] == [
        "1. one", "a) inner", "1.a.1 deep", "b) second", "2. two", "dot", "3. three", "1. again", "iv. four",
        "v. five", "plain",
    ]  # fmt: skip


def test_the_shapes_of_a_slide_are_read_as_they_are_seen() -> None:
    def frame(x: str, y: str, words: str, name: str = "frame", more: str = "") -> str:
        place = f'svg:x="{x}" svg:y="{y}" svg:width="5cm" svg:height="2cm"'
        return f"<draw:{name} {place}{more}><draw:text-box>{p(words)}</draw:text-box></draw:{name}>"

    turned = f'<draw:frame draw:transform="rotate (1.5) translate (1cm 140mm)">{p("turned")}</draw:frame>'
    slide = (
        frame("2cm", "10cm", "low left") + turned + frame("12cm", "5cm", "right")
        + frame("2cm", "2in", "left")
        + f"<draw:g>{frame('20cm', '50mm', 'grouped')}</draw:g>"
        + frame("1cm", "1cm", "Title", more=' presentation:class="title"')
    )  # fmt: skip
    document = parse("a.odp", odf("presentation", f"<draw:page>{slide}</draw:page>"))
    assert document.text.split("\n\n") == ["Title", "left", "right", "grouped", "low left", "turned"]
