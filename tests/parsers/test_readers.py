"""Readers keep every character in its place, find the outline, refuse what is no text, and always end."""

import html.parser
import os
import random
import re
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minisearch.chunking.places import Places
from minisearch.errors import IngestError
from minisearch.parsers import parse, read, read_bytes
from minisearch.types import Document


def outline(document: Document) -> list[tuple[int, str]]:
    return [(heading.level, heading.title) for heading in document.headings]


def markdown(text: str) -> list[tuple[int, str]]:
    return outline(parse("a.md", text.encode()))


def rst(text: str) -> list[tuple[int, str]]:
    return outline(parse("a.rst", text.encode()))


def page(text: str) -> Document:
    return parse("a.html", text.encode())


# --- bytes -----------------------------------------------------------------------------------------


def test_the_format_follows_the_suffix_in_any_case_and_is_text_otherwise():
    formats = {"a.md": "markdown", "A.MARKDOWN": "markdown", "a.rst": "rst", "a.HTM": "html", "a.py": "code"}
    formats |= {"a.txt": "text", "Makefile": "text", "LICENSE": "text", "a.unheard-of": "text", ".md": "text"}
    assert {path: parse(path, b"words").format for path in formats} == formats


def test_an_empty_file_is_an_empty_document():
    for data in (b"", b"\xef\xbb\xbf", b"\xff\xfe"):
        assert parse("a.md", data).text == ""
    assert parse("a.md", b" \n\t ").text.isspace()


@pytest.mark.parametrize("bom, encoding", [
    (b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"),
    (b"\xff\xfe\0\0", "utf-32-le"), (b"\0\0\xfe\xff", "utf-32-be"),
])  # fmt: skip
def test_a_byte_order_mark_decides(bom, encoding):
    data = bom + "# Grüße 😀\n".encode(encoding)
    document = parse("a.md", data)
    assert document.text == "# Grüße 😀\n"
    assert outline(document) == [(1, "Grüße 😀")]
    assert (document.origin.encoding, document.origin.n_bom_bytes) == (encoding, len(bom))
    assert document.notes == ()


def test_utf_16_that_is_not_is_refused():
    with pytest.raises(IngestError, match="marked as UTF-16-LE, but is not: truncated data"):
        parse("a.txt", b"\xff\xfea\0b")


def test_a_legacy_file_is_read_as_windows_1252_and_says_so():
    document = parse("a.txt", b"na\xefve \x93quoted\x94 \x81")
    assert document.text == "naïve “quoted” \ufffd"
    assert document.notes == ("not UTF-8; read as Windows-1252", "1 byte is not valid Windows-1252")


def test_damage_in_utf_8_costs_one_character_a_byte_and_is_counted():
    document = parse("a.txt", "é".encode() + b"\xff\xe2\x82 end")
    assert document.text == "é\ufffd\ufffd\ufffd end"
    assert document.notes == ("3 bytes are not valid UTF-8",)


def test_neither_nul_nor_half_a_character_reaches_the_text():
    data = b"x" * 9000 + b"\0\xed\xa0\x80" + "é".encode()
    document = parse("a.txt", data)
    assert document.text[9000:] == "\ufffd\ufffd\ufffd\ufffdé"
    assert document.origin.source.encode("utf-8", "surrogateescape") == data


@given(
    st.one_of(
        st.binary(max_size=200),
        st.text(max_size=60).map(str.encode),
        st.text("aé\x81ÿ\r\n", max_size=60).map(lambda text: text.encode("latin-1")),
    )
)
def test_the_origin_gives_any_file_back_byte_for_byte(data):
    try:
        document = parse("a.txt", data)
    except IngestError:
        return
    origin = document.origin
    assert origin.source.encode(origin.encoding, "surrogateescape") == data[origin.n_bom_bytes :]
    assert len(document.text) == len(origin.source)
    assert not re.search("[\0\ud800-\udfff]", document.text)


@pytest.mark.parametrize("data, reason", [
    (b"\x89PNG\r\n\x1a\n", r"binary file \(PNG image\)"),
    (b"%PDF-1.7 text", "a PDF by another name"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"words\0words", "^binary file$"),
    ("UTF-16 without a mark".encode("utf-16-le"), "^binary file$"),
])  # fmt: skip
def test_binary_files_are_refused_whatever_they_are_called(data, reason):
    with pytest.raises(IngestError, match=reason):
        parse("a.txt", data)


def test_files_that_cannot_be_read_are_refused_with_the_systems_words(tmp_path):
    os.mkfifo(tmp_path / "pipe")  # opening it must not wait for a writer
    (tmp_path / "link").symlink_to("link")
    for name, reason in {
        "none": "cannot be read: No such file or directory",
        "pipe": "not a regular file",
        "link": "cannot be read: Too many levels of symbolic links",
        "": "cannot be read: Is a directory",
    }.items():
        with pytest.raises(IngestError, match=f"^{reason}$"):
            read_bytes(os.path.join(tmp_path, name))


def test_a_document_is_called_what_its_reader_is_told(tmp_path):
    (tmp_path / "a.md").write_bytes(b"# T\r\n")
    assert read(f"{tmp_path}/a.md").path == f"{tmp_path}/a.md"
    assert read(f"{tmp_path}/a.md", display="docs/a.md").path == "docs/a.md"
    assert read(f"{tmp_path}/a.md").text == "# T\r\n"


def test_lines_end_as_in_editors_however_they_are_ended():
    document = parse("a.txt", b"\xef\xbb\xbfone\r\ntw\xc3\xb6\rthree\n\nfive")
    at = np.array([document.text.index(word) for word in ("one", "tw", "ö", "three", "five")])
    places = Places(document)
    lines, columns = places.lines_and_columns(at)
    assert lines.tolist() == [1, 2, 2, 3, 5]
    assert columns.tolist() == [1, 1, 3, 1, 1]
    assert places.offsets(at).tolist() == [3, 8, 10, 13, 20]


# --- Markdown: expectations from CommonMark --------------------------------------------------------


@pytest.mark.parametrize("text, expected", [
    ("# One\n## Two ##\n###### Six\n####### seven", [(1, "One"), (2, "Two"), (6, "Six")]),
    ("#hashtag\n    # code\n   # three spaces", [(1, "three spaces")]),
    ("# A # B\n# C#\n#\n# #", [(1, "A # B"), (1, "C#"), (1, ""), (1, "")]),
    ("One\n===\nTwo\n---\n", [(1, "One"), (2, "Two")]),
    ("of two\nlines\n===", [(1, "of two lines")]),
    ("text\n\n---\n\n| a |\n|---|\n", []),
    ("- item\n---\n> quote\n---\n- item\nlazy\n===\n", []),
    ("```\n# no\n```\n# yes", [(1, "yes")]),
    ("~~~ sh\n```\n# no\n~~~\n# yes", [(1, "yes")]),
    ("````\n```\n# no\n````\n# yes", [(1, "yes")]),
    ("- ```sh\n  # no\n  ```\n# yes", [(1, "yes")]),
    ("1. a\n\n    ```sh\n    x\n    ```\n\n# yes", [(1, "yes")]),
    ("```\n# never closed", []),
    ("a ``` b\n# yes", [(1, "yes")]),
    ("<!--\n# no\n-->\n# yes", [(1, "yes")]),
    ("# CR\rtext\r## lone\r", [(1, "CR"), (2, "lone")]),
    ("One\r\n===\r\n\r\nTwo\r\n---\r\n", [(1, "One"), (2, "Two")]),
])  # fmt: skip
def test_markdown_headings(text, expected):
    assert markdown(text) == expected


def test_front_matter_gives_the_title_and_no_headings():
    document = parse("a.md", b'---\ntitle: "On loops"\n# comment\ntags: x\n---\n# First\n')
    assert document.title == "On loops"
    assert outline(document) == [(1, "First")]
    assert parse("a.md", b"---\nlayout: x\n---\n## Sub\n# First\n# Second").title == "First"
    assert parse("a.md", b"## only a subtitle").title == ""


def test_a_heading_begins_where_its_line_begins():
    text = "intro\n\n  # One\n\nTwo\n---\n"
    starts = [heading.start for heading in parse("a.md", text.encode()).headings]
    assert starts == [text.index("  # One"), text.index("Two")]


# --- reStructuredText: expectations from docutils --------------------------------------------------


@pytest.mark.parametrize("text, expected", [
    ("Title\n=====\n\nSub\n---\n\nTitle\n=====\n", [(1, "Title"), (2, "Sub"), (1, "Title")]),
    ("=====\nTitle\n=====\n\nPart\n=====\n\n Inset\n", [(1, "Title"), (2, "Part")]),
    ("*******\n Inset\n*******\n", [(1, "Inset")]),
    ("B\n~\n\nA\n=\n\nC\n~\n", [(1, "B"), (2, "A"), (1, "C")]),
    ("a\n=\na\n=\n", [(1, "a"), (1, "a")]),
    (".. code-block:: text\n\n   No\n   ==\n\nYes\n===\n", [(1, "Yes")]),
    ("So::\n\n    No\n    --\n", []),
    ("two lines of\na paragraph\n-----------\n", []),
    ("- bullet\n--------\n", []),
    ("1. Numbered\n===========\n", [(1, "1. Numbered")]),
    ("====  ====\nA     B\n====  ====\n1     2\n====  ====\n", []),
    ("+---+\n| a |\n+---+\n", []),
    ("text\n\n----------\n\nmore\n", []),
    ("Much too long\n---\n", []),
    ("Rather long\n----\n", [(1, "Rather long")]),
    (".. _label:\nTitle\n=====\n", [(1, "Title")]),
    ("=====\nTitle\n-----\n", []),
    ("標題\n====\n標題\n==\n", [(1, "標題")]),
])  # fmt: skip
def test_rst_sections(text, expected):
    assert rst(text) == expected


def test_an_rst_heading_begins_at_its_labels():
    text = "Words.\n\n.. _one:\n.. _two:\n\n=====\nTitle\n=====\n"
    (heading,) = parse("a.rst", text.encode()).headings
    assert heading.start == text.index(".. _one:")
    (heading,) = parse("a.rst", b":orphan:\n\n.. _one:\n\nTitle\n=====\n").headings
    assert heading.start == 0


# --- HTML ------------------------------------------------------------------------------------------


def test_html_shows_what_a_person_would_see():
    document = page(
        "<!DOCTYPE html><html><head><title>The &amp; title</title><style>b{}</style>\n"
        "<script>if (a<b) '</p>'</script></head><body>\n<h1>Head <em>ing</em></h1><!-- no -->"
        "<p>One\n  para&shy;graph, A&amp;B &lt;tag&gt;.</p>"
        "<ul><li>a<li>b</ul><template>no<template>no</template>no</template><pre>x\n  y</pre>"
        "<table><tr><td>1</td><td>2</td></tr><tr><td>3</table>end<br/>of it</body></html>"
    )
    assert document.title == "The & title"
    assert document.text == (
        "Head ing\n\nOne para\u00adgraph, A&B <tag>.\n\na\nb\n\nx\n  y\n\n1 2\n3\n\nend\nof it"
    )
    assert outline(document) == [(1, "Head ing")]
    assert document.headings[0].start == 0


def test_html_text_keeps_its_place_in_the_source():
    source = "<p>Caf&eacute;  au\n lait <b>bold</b>&nbsp;&#x1F600;</p>\n<h2 title='a>b'>Über</h2>"
    document = page(source)
    assert document.text == "Café au lait bold\u00a0😀\n\nÜber"
    for word, in_source in {
        "Caf": "Caf",
        "au": "au",
        "lait": "lait",
        "bold": "bold",
        "😀": "&#x1F6",
        "Über": "Über",
    }.items():
        (offset,) = Places(document).offsets(np.array([document.text.index(word)]))
        assert source.encode()[offset:].startswith(in_source.encode())


def test_a_picture_in_html_says_what_its_author_wrote_of_it():
    source = (
        '<p>see<img src="a.png" alt="a &quot;steam&quot;  engine">here<img alt=""><img alt="7">'
        "<IMG SRC='data:x,%s' ALT='turned > off'/><noscript><img alt='no'></noscript>"
        "<img title='x' alt=plain><img data-alt='no'><img alt></p>" % ("A" * 100_000)
    )
    document = page(source)
    assert document.text == 'see a "steam" engine here turned > off plain'
    (offset,) = Places(document).offsets(np.array([document.text.index("engine")]))
    assert source.encode()[offset:].startswith(b"engine")


class VisibleWords(html.parser.HTMLParser):
    """The standard library's reading, for pages that are well formed."""

    def __init__(self):
        super().__init__()
        self.words = []

    def handle_data(self, data):
        if self.lasttag not in {"script", "style", "title"} or not self.hidden:
            self.words += data.split()

    def handle_starttag(self, tag, _attributes):
        self.hidden = tag in {"script", "style", "title"}

    def handle_endtag(self, _tag):
        self.hidden = False


def test_html_words_are_those_of_the_standard_library_on_random_pages():
    dice = random.Random(0)
    words = ["word", "&amp;", "&eacute;", "a&lt;b", "über", "&#65;", "x"]
    for _ in range(200):
        source, open_tags = "", []
        for _ in range(dice.randint(1, 40)):
            match dice.randrange(5):
                case 0:
                    open_tags.append(dice.choice(["p", "div", "h2", "li", "td", "section", "ul"]))
                    source += f"<{open_tags[-1]} class='a > b' title=\"it's\">"
                case 1 if open_tags:
                    source += f"</{open_tags.pop()}>"
                case 2:
                    source += dice.choice(
                        ["<!-- <p> -->", "<script>a < '<p>'</script>", "<style>p {}</style>", "<hr>"]
                    )
                case _:
                    source += " " * dice.randint(0, 2) + dice.choice(words) + dice.choice([" ", "\n", "<br>"])
        oracle = VisibleWords()
        oracle.hidden = False
        oracle.feed(source)
        oracle.close()
        assert page(source).text.split() == oracle.words, source


@given(st.text("<>ab/!-&;'\" \nh1", max_size=80))
def test_no_markup_however_broken_breaks_the_html_reader(source):
    document = page(source)
    anchors = document.origin.text_anchors
    assert list(anchors) == sorted(set(anchors))
    assert list(document.origin.source_anchors) == sorted(document.origin.source_anchors)
    assert all(0 <= heading.start < len(document.text) for heading in document.headings)


# --- hostile ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("path, unit, times", [
    ("a.md", b"[", 1_000_000), ("a.md", b"> ", 500_000), ("a.md", b"- ", 500_000), ("a.md", b"# ", 500_000),
    ("a.md", b"```\n", 200_000), ("a.md", b"---\n", 200_000), ("a.md", b"<!--\n", 100_000),
    ("a.rst", b"=\n", 200_000), ("a.rst", b".. _a:\n", 100_000), ("a.rst", b"a\n==\n", 100_000),
    ("a.html", b"<div>", 100_000), ("a.html", b"<a ", 100_000), ("a.html", b'<a "', 100_000),
    ("a.html", b"<a '\">", 100_000), ("a.html", b"<!--", 100_000), ("a.html", b"<", 500_000),
    ("a.html", b"&", 500_000), ("a.html", b"<h1>x", 100_000), ("a.html", b"<title>", 100_000),
    ("a.html", b"</", 200_000), ("a.html", b"<img alt='", 100_000), ("a.html", b" alt=", 100_000),
    ("a.html", b"<img" + b" alt" * 100_000 + b">", 1), ("a.html", b"<img" + b" " * 500_000 + b">", 1),
    ("a.txt", b"word ", 1_000_000),
])  # fmt: skip
def test_hostile_files_are_read_in_linear_time(path, unit, times):
    start = time.process_time()
    parse(path, unit * times)
    assert time.process_time() - start < 10  # quadratic readers take from minutes to hours


def test_a_line_of_five_megabytes_is_no_title_of_five_megabytes():
    for path, data in {
        "a.md": b"# " + b"x " * 2_500_000,
        "a.html": b"<h1>" + b"x " * 100_000 + b"</h1>",
    }.items():
        (heading,) = parse(path, data).headings
        assert len(heading.title) <= 200
