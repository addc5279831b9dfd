# ruff: noqa: E501 - XML is easier to read in one line
"""DOCX: every visible word is extracted, also from headers, text boxes, notes, fields and equations."""

from __future__ import annotations

import pytest

from minisearch.parsers import parse
from minisearch.parsers.docx_styles import NUMBER_FORMATS
from minisearch.types import Document
from tests.parsers.made_files import OFFICE, WORD, docx_entries, paragraph, zipped

MATH = "http://schemas.openxmlformats.org/officeDocument/2006/math"
NAMES = (
    'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006" xmlns:m="' + MATH + '" '
    'xmlns:wp="http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing" '
    'xmlns:c="http://schemas.openxmlformats.org/drawingml/2006/chart" '
    f'xmlns:r="{OFFICE}" xmlns:v="urn:schemas-microsoft-com:vml"'
)


def run(words: str) -> str:
    return f'<w:r><w:t xml:space="preserve">{words}</w:t></w:r>'


def read(body: str, parts: dict[str, str] | None = None) -> Document:
    """The document with this body, which refers to these parts by their kinds, with a number where several."""
    entries = docx_entries(f"<w:sdt {NAMES}><w:sdtContent>{body}</w:sdtContent></w:sdt>")
    links = ""
    for kind, content in (parts or {}).items():
        links += (
            f'<Relationship Id="{kind}" Type="{OFFICE}/{kind.rstrip("0123456789")}" Target="{kind}.xml"/>'
        )
        entries[f"word/{kind}.xml"] = f'<w:part xmlns:w="{WORD}" {NAMES}>{content}</w:part>'
    name = "word/_rels/document.xml.rels"
    entries[name] = str(entries[name]).replace("</Relationships>", f"{links}</Relationships>")
    return parse("a.docx", zipped(entries))


def test_headers_and_footers_come_once_around_the_body():
    document = read(
        paragraph("body"),
        {"header1": paragraph("Letterhead"), "header2": paragraph("Letterhead"), "header3": paragraph("First page"),
         "footer1": paragraph("12"), "footer2": paragraph("Confidential")},
    )  # fmt: skip
    assert document.text == "Letterhead\n\nFirst page\n\nbody\n\nConfidential"


def test_the_dots_of_a_table_of_contents_are_shortened():
    assert read(paragraph("Herons .................... 3")).text == "Herons .... 3"


def test_notes_and_comments_follow_their_paragraph():
    body = (
        '<w:p><w:r><w:t>Engines</w:t></w:r><w:r><w:footnoteReference w:id="2"/></w:r>'
        '<w:r><w:endnoteReference w:id="2"/></w:r><w:r><w:t> run.</w:t></w:r>'
        '<w:r><w:commentReference w:id="0"/></w:r></w:p>' + paragraph("Next.")
    )
    document = read(body, {
        "footnotes": f'<w:footnote w:id="2">{paragraph("By steam.")}{paragraph("Or gas.")}</w:footnote>',
        "endnotes": f'<w:endnote w:id="2">{paragraph("See Watt.")}</w:endnote>',
        "comments": f'<w:comment w:id="0" w:author="A &amp; B">{paragraph("Sure?")}</w:comment>',
    })  # fmt: skip
    assert document.text.split("\n\n") == [
        "Engines run.", "Footnote: By steam.", "Or gas.", "Endnote: See Watt.", "Comment by A & B: Sure?", "Next.",
    ]  # fmt: skip


def test_a_comment_that_begins_with_a_table_or_a_heading_has_its_label():
    body = '<w:p><w:r><w:t>Words.</w:t></w:r><w:r><w:commentReference w:id="0"/></w:r></w:p>'
    for content, words in [
        (table(cell("a") + cell("b")), "Comment by A: a; b"),
        (paragraph("b", "Heading1"), "Comment by A: b"),
        (paragraph(" "), ""),
    ]:
        comment = f'<w:comment w:id="0" w:author="A">{content}</w:comment>'
        assert " ".join(read(body, {"comments": comment}).text.split()) == f"Words. {words}".strip()


def test_a_text_box_is_read_once_and_follows_its_paragraph():
    box = f"<w:txbxContent>{paragraph('in the box')}</w:txbxContent>"
    both = (
        f"<mc:AlternateContent><mc:Choice><w:drawing><x>{box}</x></w:drawing></mc:Choice>"
        f"<mc:Fallback><w:pict><v:shape><v:textbox>{box}</v:textbox></v:shape></w:pict></mc:Fallback></mc:AlternateContent>"
    )
    old = f"<w:pict><v:shape alt='a crank'><v:textbox>{box.replace('in the', 'old')}</v:textbox></v:shape></w:pict>"
    document = read(f"<w:p>{run('before ')}<w:r>{both}</w:r>{run('after')}</w:p><w:p><w:r>{old}</w:r></w:p>")
    assert document.text == "before after\n\nin the box\n\na crank\n\nold box"


def test_the_first_alternative_with_text_is_read():
    empty = "<mc:AlternateContent><mc:Choice><w:drawing/></mc:Choice><mc:Fallback>{}</mc:Fallback></mc:AlternateContent>"
    assert read(f"<w:p>{empty.format(run('fallback'))}</w:p>").text == "fallback"


def test_tracked_changes_are_read_as_accepted():
    body = (
        f"<w:p>{run('The ')}<w:del><w:r><w:delText>old</w:delText></w:r></w:del><w:ins>{run('new')}</w:ins>"
        f"<w:moveFrom>{run('gone')}</w:moveFrom><w:moveTo>{run(' text')}</w:moveTo></w:p>"
        f"<w:tbl><w:tr><w:trPr><w:del/></w:trPr><w:tc>{paragraph('gone')}</w:tc></w:tr></w:tbl>"
    )
    document = read(body)
    assert (document.text, document.notes) == ("The new text", ("deleted words left out: 1",))


def test_a_deleted_paragraph_takes_no_number_and_its_rest_continues_in_the_next():
    numbering = (
        f'<w:abstractNum w:abstractNumId="5">{level(0, "decimal", "%1.")}</w:abstractNum>'
        '<w:num w:numId="1"><w:abstractNumId w:val="5"/></w:num>'
    )
    gone = numbered("", 0).replace("</w:pPr>", "<w:rPr><w:{0}/></w:rPr></w:pPr><w:{0}/>")
    gone, moved = gone.format("del"), gone.format("moveFrom")
    half = gone.replace("</w:p>", f"{run('half of ')}</w:p>")
    body = numbered("one", 0) + gone + moved + numbered("two", 0) + half + numbered("three", 0) + half
    document = read(body, {"numbering": numbering})
    assert document.text.split("\n") == ["1. one", "2. two", "3. half of three", "", "half of"]


def test_fields_show_their_results():
    simple = f"<w:fldSimple w:instr='SEQ Figure'>{run('7')}</w:fldSimple>"
    long = (
        "<w:r><w:fldChar w:fldCharType='begin'/><w:instrText>REF x</w:instrText>"
        f"<w:fldChar w:fldCharType='separate'/></w:r>{run('chapter 2')}<w:r><w:fldChar w:fldCharType='end'/></w:r>"
    )
    chosen = (
        "<w:r><w:fldChar w:fldCharType='begin'><w:ffData><w:ddList><w:result w:val='1'/>"
        "<w:listEntry w:val='red'/><w:listEntry w:val='green'/></w:ddList></w:ffData></w:fldChar></w:r>"
    )
    assert read(f"<w:p>{run('Figure ')}{simple}{run(', ')}{long}{run(': ')}{chosen}</w:p>").text == (
        "Figure 7, chapter 2: green"
    )


def test_an_equation_is_written_in_one_line():
    letter = "<m:r><m:t>{}</m:t></m:r>".format
    body = (
        f"<m:oMath><m:sSup><m:e>{letter('x')}</m:e><m:sup>{letter('2')}</m:sup></m:sSup>{letter('=')}"
        f"<m:f><m:num>{letter('a')}</m:num><m:den>{letter('b')}</m:den></m:f></m:oMath>"
    )
    assert read(f"<w:p>{run('So ')}{body}</w:p>").text == "So x^2=a/b"


def test_a_picture_gives_its_alternative_text():
    picture = "<w:r><w:drawing><wp:inline><wp:docPr id='1' name='Picture 1' descr='{}'/></wp:inline></w:drawing></w:r>"
    body = f"<w:p>{run('see')}{picture.format('a steam engine')}{picture.format('IMG_1.jpg')}</w:p>"
    assert read(body).text == "see a steam engine"


def test_a_chart_is_read_as_a_table_below_its_paragraph():
    series = (
        "<c:title><a:p xmlns:a='a'><a:r><a:t>Sales</a:t></a:r></a:p></c:title><c:ser><c:tx><c:v>2024</c:v></c:tx>"
        "<c:cat><c:pt idx='0'><c:v>tea</c:v></c:pt></c:cat><c:val><c:pt idx='0'><c:v>0.30000000000000004</c:v></c:pt></c:val></c:ser>"
    )
    body = f"<w:p>{run('Below:')}<w:r><w:drawing><c:chart r:id='chart1'/></w:drawing></w:r></w:p>"
    assert read(body, {"chart1": series}).text == "Below:\n\nSales\n\n2024\n\ntea; 2024: 0.3"


def cell(content: str, properties: str = "") -> str:
    content = content if content.startswith("<") else paragraph(content)
    return f"<w:tc><w:tcPr>{properties}</w:tcPr>{content}</w:tc>"


def table(*rows: str) -> str:
    return "<w:tbl>" + "".join(f"<w:tr>{row}</w:tr>" for row in rows) + "</w:tbl>"


SPAN = '<w:gridSpan w:val="{}"/>'.format
GOES_ON = "<w:vMerge/>"


def test_a_row_of_a_table_names_its_cells_by_the_header():
    body = (
        paragraph("before")
        + table(
            cell("Region") + cell("City") + cell("Cups"),
            cell("North", '<w:vMerge w:val="restart"/>') + cell("Kiel") + cell("1 < 2"),
            cell("", GOES_ON) + cell(paragraph("Bonn,") + paragraph("Rhine")) + cell("50"),
            f'<w:trPr><w:gridBefore w:val="1"/></w:trPr>{cell("Ulm")}{cell("7")}',
            cell("all", SPAN(2)) + cell("58"),
        )
        + paragraph("after")
    )
    document = read(body)
    rows = [
        "Region; City; Cups", "Region: North; City: Kiel; Cups: 1 < 2", "Region: North; City: Bonn, Rhine; Cups: 50",
        "City: Ulm; Cups: 7", "Region, City: all; Cups: 58",
    ]  # fmt: skip
    assert document.text.split("\n\n") == ["before", *rows, "after"]
    assert [document.text[start:end] for start, end in document.blocks] == rows


def test_a_header_of_two_rows_is_not_repeated_in_each_row():
    document = read(
        table(cell("Name") + cell("Cups", SPAN(2)), cell("", GOES_ON) + cell("2023") + cell("2024"), cell("Ann") + cell("3") + cell("4"))
    )  # fmt: skip
    assert document.text.split("\n\n") == [
        "Name; Cups",
        "2023; 2024",
        "Name: Ann; Cups 2023: 3; Cups 2024: 4",
    ]


def test_a_form_has_no_header():
    document = read(table(cell("Name:") + cell("Ada"), cell("City:") + cell("Kiel")))
    assert document.text.split("\n\n") == ["Name: Ada", "City: Kiel"]


@pytest.mark.parametrize(
    "inner",
    [table(cell("a") + cell("b")), paragraph("a", "Heading1") + paragraph("b"), paragraph("a " * 2_000) + paragraph("b")],
    ids=["table", "heading", "page"],
)  # fmt: skip
def test_a_layout_table_is_read_as_the_text_in_it(inner):
    document = read(table(cell(inner + "<w:p/>") + cell("beside")))
    assert document.text.split() == [*read(inner).text.split(), "beside"]
    assert "a; b; beside" not in document.text
    assert len(document.headings) == inner.count("Heading1")


def test_a_table_in_a_layout_cell_names_its_cells_by_the_header():
    inner = table(cell("City") + cell("Cups"), cell("Kiel") + cell("7"), cell("Ulm") + cell("9"))
    document = read(table(cell(paragraph("Sales") + inner)) + paragraph("after"))
    lines = ["Sales", "City; Cups", "City: Kiel; Cups: 7", "City: Ulm; Cups: 9", "after"]
    assert document.text.split("\n\n") == lines


def test_a_numbered_cell_and_the_cell_beside_it_are_one_line_of_a_layout_table():
    numbering = (
        f'<w:abstractNum w:abstractNumId="5">{level(0, "decimal", "%1.")}</w:abstractNum>'
        '<w:num w:numId="1"><w:abstractNumId w:val="5"/></w:num>'
    )
    long = paragraph("b " * 2_000)
    document = read(table(cell(numbered("", 0)) + cell(long)), {"numbering": numbering})
    assert document.text.startswith("1. b b b")


def test_a_table_in_a_cell_in_a_box_or_without_rows_loses_no_words():
    box = f"<w:r><w:pict><v:textbox><w:txbxContent>{table(cell('in') + cell('box'))}</w:txbxContent></v:textbox></w:pict></w:r>"
    body = (
        f"<w:p>{box}</w:p>"
        + cell("stray")
        + f"<w:tr>{cell('row')}</w:tr>"
        + table()
        + "<w:tbl>"
        + cell("x")
        + "</w:tbl>"
    )
    assert read(body).text.split() == ["in;", "box", "stray", "row", "x"]
    assert read(table(cell("wide", SPAN(10**9)) + cell("b"))).text == "wide; b"


def test_the_placeholder_of_a_form_field_is_left_out():
    empty = f"<w:sdt><w:sdtPr><w:showingPlcHdr{{}}/></w:sdtPr><w:sdtContent>{run('Click here')}</w:sdtContent></w:sdt>"
    assert read(f"<w:p>{run('Name: ')}{empty.format('')}</w:p>" + paragraph("end")).text == "Name:\n\nend"
    assert read("<w:p>" + empty.format(" w:val='0'") + "</w:p>").text == "Click here"


def test_styles_and_outline_levels_make_headings_and_lists_nest():
    styles = (
        '<w:style w:styleId="Own"><w:name w:val="Own"/><w:basedOn w:val="Base"/></w:style>'
        '<w:style w:styleId="Base"><w:name w:val="Heading 2"/><w:basedOn w:val="Own"/></w:style>'
        '<w:style w:styleId="T"><w:name w:val="Title"/></w:style>'
        '<w:style w:styleId="L"><w:name w:val="List"/><w:pPr><w:numPr><w:numId w:val="1"/></w:numPr></w:pPr></w:style>'
    )
    item = '<w:p><w:pPr><w:numPr><w:ilvl w:val="{}"/><w:numId w:val="3"/></w:numPr></w:pPr><w:r><w:t>{}</w:t></w:r></w:p>'
    outlined = '<w:p><w:pPr><w:outlineLvl w:val="2"/></w:pPr><w:r><w:t>third</w:t></w:r></w:p>'
    body = (
        paragraph("Title", "T") + paragraph("second", "Own") + outlined + item.format(0, "one")
        + item.format(1, "inner") + item.format(0, "two") + paragraph("by style", "L") + paragraph("end")
    )  # fmt: skip
    document = read(body, {"styles": styles})
    assert [(one.level, one.title) for one in document.headings] == [
        (1, "Title"),
        (2, "second"),
        (3, "third"),
    ]
    assert document.title == "Title"
    blocks = [document.text[start:end].split() for start, end in document.blocks]
    assert blocks == [["one", "inner"], ["inner"], ["two"], ["by", "style"]]


def test_a_bookmark_between_two_items_does_not_end_their_list():
    bookmark = '<w:bookmarkStart w:id="1"/><w:bookmarkEnd w:id="1"/>'
    document = read(numbered("one", 0) + bookmark + numbered("inner", 1) + bookmark + numbered("two", 0))
    assert [document.text[start:end].split() for start, end in document.blocks] == [
        ["one", "inner"], ["inner"], ["two"],
    ]  # fmt: skip


def numbered(words: str, depth: int, list_: int = 1, style: str = "") -> str:
    style = f'<w:pStyle w:val="{style}"/>' if style else ""
    place = f'<w:numPr><w:ilvl w:val="{depth}"/><w:numId w:val="{list_}"/></w:numPr>'
    return f"<w:p><w:pPr>{style}{place}</w:pPr>{run(words)}</w:p>"


def level(depth: int, written: str, words: str, more: str = "") -> str:
    return f'<w:lvl w:ilvl="{depth}"><w:numFmt w:val="{written}"/><w:lvlText w:val="{words}"/>{more}</w:lvl>'


def test_the_numbers_before_paragraphs_are_read():
    levels = (
        level(0, "upperRoman", "Article %1.", "<w:start w:val='9'/>") + level(1, "decimal", "%1.%2", "<w:isLgl/>")
        + level(2, "lowerLetter", "(%3)") + level(3, "bullet", "o")
    )  # fmt: skip
    other = level(0, "decimalZero", "%1)")
    numbering = (
        f'<w:abstractNum w:abstractNumId="5">{levels}</w:abstractNum><w:abstractNum w:abstractNumId="6">{other}</w:abstractNum>'
        '<w:num w:numId="1"><w:abstractNumId w:val="5"/></w:num><w:num w:numId="2"><w:abstractNumId w:val="6"/></w:num>'
        '<w:num w:numId="3"><w:abstractNumId w:val="6"/><w:lvlOverride w:ilvl="0"><w:startOverride w:val="4"/></w:lvlOverride></w:num>'
    )
    body = (
        numbered("Scope", 0, style="Heading1") + numbered("a", 1) + numbered("b", 1) + numbered("c", 2)
        + numbered("d", 2) + numbered("e", 3) + numbered("f", 1) + numbered("g", 2) + numbered("Term", 0, style="Heading1")
        + numbered("h", 1) + numbered("i", 0, 2) + numbered("j", 0, 2) + numbered("k", 0, 3) + numbered("l", 0, 3)
        + numbered("m", 0, 0) + numbered("n", 0, 77) + numbered("o", 7)
    )  # fmt: skip
    document = read(body, {"numbering": numbering})
    assert [line for line in document.text.split("\n") if line] == [
        "Article IX. Scope", "9.1 a", "9.2 b", "(a) c", "(b) d", "e", "9.3 f", "(a) g", "Article X. Term", "10.1 h",
        "01) i", "02) j", "04) k", "05) l", "m", "n", "o",
    ]  # fmt: skip
    assert [heading.title for heading in document.headings] == ["Article IX. Scope", "Article X. Term"]


def test_a_list_may_refer_to_a_style_that_another_list_defines():
    numbering = (
        f'<w:abstractNum w:abstractNumId="5"><w:styleLink w:val="Legal"/>{level(0, "upperRoman", "%1.")}</w:abstractNum>'
        '<w:abstractNum w:abstractNumId="6"><w:numStyleLink w:val="Legal"/></w:abstractNum>'
        '<w:abstractNum w:abstractNumId="7"><w:numStyleLink w:val="Nowhere"/></w:abstractNum>'
        '<w:num w:numId="1"><w:abstractNumId w:val="6"/></w:num><w:num w:numId="2"><w:abstractNumId w:val="7"/></w:num>'
    )
    document = read(numbered("a", 0) + numbered("b", 0) + numbered("c", 0, 2), {"numbering": numbering})
    assert document.text.split("\n") == ["I. a", "II. b", "c"]


def test_numbers_may_be_letters_or_roman():
    letters, roman = NUMBER_FORMATS["lowerLetter"], NUMBER_FORMATS["upperRoman"]
    assert [letters(number) for number in (0, 1, 26, 27, 28, 53, 10**9)] == [
        "0",
        "a",
        "z",
        "aa",
        "bb",
        "aaa",
        "1000000000",
    ]
    numbers = (0, 1, 4, 9, 14, 40, 90, 400, 1994, 3999, 4000)
    assert [roman(number) for number in numbers] == [
        "0", "I", "IV", "IX", "XIV", "XL", "XC", "CD", "MCMXCIV", "MMMCMXCIX", "4000",
    ]  # fmt: skip


def test_what_is_left_out_is_noted():
    document = read("<w:p/><w:altChunk r:id='x'/>" + paragraph("words"), {"comments": "<broken"})
    assert document.text == "words"
    assert document.notes == (
        "word/comments.xml in it cannot be read and is left out",
        "embedded documents left out: 1",
    )
    entries = docx_entries(paragraph("words")) | {
        "word/embeddings/a.bin": b"x",
        "word/embeddings/b.xlsx": b"x",
    }
    assert parse("a.docx", zipped(entries)).notes == ("embedded files left out: 2",)


@pytest.mark.parametrize("word", [WORD, "http://purl.oclc.org/ooxml/wordprocessingml/main"])
def test_both_dialects_are_read(word):
    entries = docx_entries(paragraph("words", "Heading1"))
    entries = {name: str(data).replace(WORD, word) for name, data in entries.items()}
    (heading,) = parse("a.docx", zipped(entries)).headings
    assert heading.title == "words"
