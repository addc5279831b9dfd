# ruff: noqa: E501 - XML is easier to read in one line
"""PPTX: the words of everything on a slide are extracted: charts, diagrams, pictures, comments."""

from __future__ import annotations

import datetime
import io

from pptx import Presentation
from pptx.chart.data import BubbleChartData, CategoryChartData, XyChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.util import Cm

from minisearch.parsers import parse
from tests.parsers.made_files import OFFICE, pptx, zipped
from tests.parsers.test_office import entries_of, reason

SLIDE = "ppt/slides/slide1.xml"
DRAWING = "http://schemas.openxmlformats.org/drawingml/2006/main"


def with_shape(shape: str, parts: dict[str, tuple[str, str]] | None = None) -> bytes:
    """A slide with this shape besides, which refers to these parts (id -> kind and content)."""
    entries = entries_of(pptx([("Title", "text", "")]))
    namespaces = f'xmlns:mc="mc" xmlns:d="d" xmlns:r="{OFFICE}" xmlns:c="c" xmlns:m="m"'
    slide = (
        entries[SLIDE].decode().replace("</p:spTree>", f"<p:grpSp {namespaces}>{shape}</p:grpSp></p:spTree>")
    )
    entries[SLIDE] = slide.encode()
    for id_, (kind, content) in (parts or {}).items():
        rels = "ppt/slides/_rels/slide1.xml.rels"
        link = f'<Relationship Id="{id_}" Type="{OFFICE}/{kind}" Target="../x/{id_}.xml"/></Relationships>'
        entries[rels] = entries[rels].replace(b"</Relationships>", link.encode())
        entries[f"ppt/x/{id_}.xml"] = content.encode()
    return zipped(entries)


def box(words: str) -> str:
    return f"<p:sp><p:txBody><a:p><a:r><a:t>{words}</a:t></a:r></a:p></p:txBody></p:sp>"


def test_a_chart_is_a_table_of_its_categories_and_series():
    presentation = Presentation()
    shapes = presentation.slides.add_slide(presentation.slide_layouts[6]).shapes
    bars = CategoryChartData()
    bars.categories = ["North", "007"]
    bars.add_series("2023", (1.5, None))
    bars.add_series("2024", (0.1 + 0.2, 4))
    chart = shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, 0, 0, 10, 10, bars).chart
    chart.has_title = True
    chart.chart_title.text_frame.text = "Sales by region"
    chart.value_axis.axis_title.text_frame.text = "millions"
    points = XyChartData()
    points.add_series("curve").add_data_point(1, 2)
    shapes.add_chart(XL_CHART_TYPE.XY_SCATTER, 0, 0, 10, 10, points)
    out = io.BytesIO()
    presentation.save(out)
    document = parse("a.pptx", out.getvalue())
    assert document.text.split("\n\n") == [
        "Sales by region\nmillions", "2023; 2024", "North; 2023: 1.5; 2024: 0.3", "007; 2024: 4", "curve", "1; curve: 2",
    ]  # fmt: skip
    assert document.notes == ()


def test_series_with_different_categories_are_a_table_each():
    presentation = Presentation()
    shapes = presentation.slides.add_slide(presentation.slide_layouts[6]).shapes
    apart, together, bubbles = XyChartData(), XyChartData(), BubbleChartData()
    for name, places in (("North", (1, 2)), ("South", (7, 8))):
        one, other = apart.add_series(name), together.add_series(name)
        for place in places:
            one.add_data_point(place, 10 * place)
            other.add_data_point(place % 6, 10 * place)
    bubbles.add_series("Cups").add_data_point(1, 2, 30)
    for kind, points in (
        (XL_CHART_TYPE.XY_SCATTER, apart),
        (XL_CHART_TYPE.XY_SCATTER, together),
        (XL_CHART_TYPE.BUBBLE, bubbles),
    ):
        shapes.add_chart(kind, 0, 0, 10, 10, points)
    out = io.BytesIO()
    presentation.save(out)
    assert parse("a.pptx", out.getvalue()).text.split("\n\n") == [
        "North", "1; North: 10", "2; North: 20", "South", "7; South: 70", "8; South: 80",
        "North; South", "1; North: 10; South: 70", "2; North: 20; South: 80",
        "Cups; Cups (size)", "1; Cups: 2; Cups (size): 30",
    ]  # fmt: skip


def test_dates_and_percentages_in_charts_are_formatted():
    presentation = Presentation()
    shapes = presentation.slides.add_slide(presentation.slide_layouts[6]).shapes
    data = CategoryChartData(number_format="0%")
    data.categories = [datetime.date(2024, 2, 29), datetime.date(2024, 3, 1)]
    data.add_series("share", (0.125, 1))
    shapes.add_chart(XL_CHART_TYPE.LINE, 0, 0, 10, 10, data)
    out = io.BytesIO()
    presentation.save(out)
    assert parse("a.pptx", out.getvalue()).text.split("\n\n") == [
        "share",
        "2024-02-29; share: 13%",
        "2024-03-01; share: 100%",
    ]


def test_a_damaged_slide_leaves_the_others_readable():
    entries = entries_of(pptx([("One", "a", ""), ("Two", "b", "")])) | {SLIDE: b"<p:sld"}
    document = parse("a.pptx", zipped(entries))
    assert document.text.strip() == "Two\n\nb"
    assert len(document.pages) == 2
    assert document.notes == ("ppt/slides/slide1.xml in it cannot be read and is left out",)
    entries["ppt/slides/slide2.xml"] = b""
    assert reason("a.pptx", zipped(entries)) == "damaged: the XML in it cannot be read"


def test_a_diagram_is_read_point_by_point():
    frame = '<p:graphicFrame><a:graphic><a:graphicData><d:relIds r:dm="d1" r:lo="d2"/></a:graphicData></a:graphic></p:graphicFrame>'
    points = "".join(
        f"<pt><t><a:p><a:r><a:t>{words}</a:t></a:r></a:p></t></pt>" for words in ("plan", "build")
    )
    data = with_shape(frame, {"d1": ("diagramData", f'<d xmlns:a="{DRAWING}">{points}</d>')})
    assert parse("a.pptx", data).text == "Title\n\ntext\n\nplan\nbuild"
    damaged = with_shape(frame, {"d1": ("diagramData", "<d")})
    assert parse("a.pptx", damaged).notes == ("ppt/x/d1.xml in it cannot be read and is left out",)


def test_one_alternative_is_read_within_a_shape_and_around_it():
    around = f"<mc:AlternateContent><mc:Choice>{box('new')}</mc:Choice><mc:Fallback>{box('old')}</mc:Fallback></mc:AlternateContent>"
    within = (
        "<p:sp><p:txBody><a:p><mc:AlternateContent><mc:Choice><m:r><m:t>x=1</m:t></m:r></mc:Choice>"
        "<mc:Fallback><a:r><a:t>no</a:t></a:r></mc:Fallback></mc:AlternateContent></a:p></p:txBody></p:sp>"
    )
    assert parse("a.pptx", with_shape(around + within)).text == "Title\n\ntext\n\nnew\n\nx=1"


def test_a_picture_gives_its_alternative_text():
    picture = '<p:pic><p:nvPicPr><p:cNvPr id="9" name="Picture 9" descr="{}"/></p:nvPicPr></p:pic>'
    data = with_shape(picture.format("a steam engine") + picture.format("image1.png"))
    assert parse("a.pptx", data).text == "Title\n\ntext\n\na steam engine"


def test_comments_old_and_new_are_read():
    comments = {
        "old": ("comments", "<p><cm><text>Who says so?</text></cm></p>"),
        "new": (
            "comments",
            f'<p xmlns:a="{DRAWING}"><cm><txBody><a:p><a:r><a:t>I do.</a:t></a:r></a:p></txBody></cm></p>',
        ),
    }
    assert (
        parse("a.pptx", with_shape("", comments)).text
        == "Title\n\ntext\n\nComment: Who says so?\n\nComment: I do."
    )


def test_a_repeated_footer_comes_once_and_slide_numbers_never():
    entries = entries_of(pptx([("One", "a", ""), ("Two", "b", "")]))
    place = '<p:sp><p:nvSpPr><p:nvPr><p:ph type="{}"/></p:nvPr></p:nvSpPr><p:txBody><a:p><a:r><a:t>{}</a:t></a:r></a:p></p:txBody></p:sp>'
    for name in (SLIDE, "ppt/slides/slide2.xml"):
        more = place.format("ftr", "Confidential") + place.format("sldNum", "7") + "</p:spTree>"
        entries[name] = entries[name].decode().replace("</p:spTree>", more).encode()
    assert parse("a.pptx", zipped(entries)).text == "One\n\na\n\nConfidential\n\nTwo\n\nb"


def test_a_slide_that_is_missing_is_counted():
    entries = entries_of(pptx([("One", "a", ""), ("Two", "b", "")]))
    del entries["ppt/slides/slide2.xml"]
    document = parse("a.pptx", zipped(entries))
    assert (document.text.strip(), document.notes) == ("One\n\na", ("missing slides: 1",))


def test_shapes_come_as_they_are_seen_with_the_title_first_and_groups_as_a_whole():
    deck = Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[1])  # its placeholders stand where the layout says

    def add(words, left, top, shapes=slide.shapes):
        shapes.add_textbox(Cm(left), Cm(top), Cm(8), Cm(2)).text_frame.text = words

    add("footnote", 1, 17)
    add("right", 12, 15)
    add("left", 1, 15.3)
    group = slide.shapes.add_group_shape()
    add("grouped below", 1, 14, group.shapes)
    add("grouped above", 1, 0, group.shapes)
    slide.placeholders[1].text_frame.text = "body"
    slide.shapes.title.text = "Title"
    add("over the title", 0, 0)
    out = io.BytesIO()
    deck.save(out)
    assert parse("a.pptx", out.getvalue()).text.split("\n\n") == [
        *("Title", "over the title", "grouped above", "grouped below", "body", "left", "right", "footnote")
    ]


def test_a_cell_over_several_rows_or_columns_counts_for_each():
    deck = Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[6])
    table = slide.shapes.add_table(4, 3, 0, 0, Cm(9), Cm(9)).table
    for row, words in enumerate(
        [("Item", "Price", "Cost"), ("Bolt", "3", "2"), ("", "2", "1"), ("Nut", "1", "")]
    ):
        for column, word in enumerate(words):
            table.cell(row, column).text = word
    table.cell(1, 0).merge(table.cell(2, 0))
    table.cell(3, 1).merge(table.cell(3, 2))
    out = io.BytesIO()
    deck.save(out)
    assert parse("a.pptx", out.getvalue()).text.split("\n\n") == [
        *("Item; Price; Cost", "Item: Bolt; Price: 3; Cost: 2", "Item: Bolt; Price: 2; Cost: 1"),
        "Item: Nut; Price, Cost: 1",
    ]
