"""Files are decoded without loss, binary files are refused, and no file takes more than linear time."""

import bz2
import gzip
import json
import lzma
import os
import re
import time
import zipfile

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from minisearch.errors import IngestError
from minisearch.formats import FORMATS
from minisearch.parsers import parse, read_bytes
from minisearch.parsers.registry import EXTRACTED, READERS
from minisearch.text import short_leaders
from minisearch.types import Anchors
from tests.parsers.anchors import check_anchors, in_source
from tests.parsers.made_files import zipped


@pytest.mark.parametrize(
    ("name", "text", "title"),
    [
        ("a.md", "# 2.1.0\n\nFaster.\n\n# 2.0.0\n\nSlower.\n", ""),
        ("a.md", "# Changes\n\n## Unreleased\n\nFaster.\n\n## 2.0.0\n\nSlower.\n", "Changes"),
        ("a.md", "Unreleased\n===\n\nFaster.\n\n2024-01-31\n===\n\nSlower.\n", ""),
        ("a.rst", "2.1.0\n=====\n\nFaster.\n\n2.0.0\n=====\n\nSlower.\n", ""),
        ("a.rst", "Changes\n=======\n\n2.1.0\n-----\n\nFaster.\n\n2.0.0\n-----\n\nSlower.\n", "Changes"),
        ("a.html", "<h1>2.1.0</h1><p>Faster.<h1>2.0.0</h1><p>Slower.", ""),
        ("a.html", "<title>Changes</title><h1>2.1.0</h1><p>Faster.<h1>2.0.0</h1><p>Slower.", "Changes"),
    ],
)
def test_a_title_stands_above_all_other_headings(name: str, text: str, title: str) -> None:
    assert parse(name, text.encode()).title == title


def test_the_format_follows_the_suffix_in_any_case_and_is_text_otherwise():
    formats = {"a.md": "markdown", "A.MARKDOWN": "markdown", "a.rst": "rst", "a.HTM": "html", "a.py": "code"}
    formats |= {"a.txt": "text", "Makefile": "text", "LICENSE": "text", "a.unheard-of": "text", ".md": "text"}
    assert {path: parse(path, b"words").format for path in formats} == formats


def test_every_format_has_one_parser_and_no_suffix_has_two_formats():
    assert {one.name for one in FORMATS if one.is_binary} == EXTRACTED.keys()
    assert {one.name for one in FORMATS if not one.is_binary} == READERS.keys()
    suffixes = [suffix for one in FORMATS for suffix in one.suffixes.split()]
    assert len(suffixes) == len(set(suffixes)) > 70


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
    assert [heading.title for heading in document.headings] == ["Grüße 😀"]
    assert (document.origin.encoding, document.origin.n_bom_bytes) == (encoding, len(bom))
    assert document.notes == ()


def test_a_wrong_byte_order_mark_is_refused():
    with pytest.raises(IngestError, match="marked as UTF-16-LE, but is not: truncated data"):
        parse("a.txt", b"\xff\xfea\0b")


def test_a_legacy_file_is_read_as_windows_1252_and_says_so():
    document = parse("a.txt", b"na\xefve \x93quoted\x94 \x81")
    assert document.text == "naïve “quoted” \ufffd"
    assert document.notes == ("not UTF-8; read as Windows-1252", "1 byte is not valid Windows-1252")


def test_each_invalid_byte_of_utf_8_becomes_one_character_and_is_counted():
    document = parse("a.txt", "é".encode() + b"\xff\xe2\x82 end")
    assert document.text == "é\ufffd\ufffd\ufffd end"
    assert document.notes == ("3 bytes are not valid UTF-8",)


def test_neither_nul_nor_surrogates_reach_the_text():
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
    assume(b"\b" not in data)  # letters printed over others are read once
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
    ("UTF-16 of half a character".encode("utf-16-le")[:-1], "^binary file$"),
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


def test_the_dots_of_a_table_of_contents_are_shortened_and_positions_lead_back() -> None:
    source = (
        "Contents\r\n1 Herons ........................ 3\r\n2 Owls . . . . . . . . . . . xii\r\n"
        "Wait......\r\ntests/a.py .............. [ 50%]\r\n3 Gulls ······ 20\r\n"
    )
    document = parse("a.txt", source.encode())
    assert document.text == (
        "Contents\r\n1 Herons .... 3\r\n2 Owls .... xii\r\n"
        "Wait......\r\ntests/a.py .............. [ 50%]\r\n3 Gulls .... 20\r\n"
    )
    for word in ("Contents", "Herons", "3\r", "Owls", "xii", "Wait", "[ 50%]", "Gulls", "20"):
        place = document.origin.anchors.source_position(document.text.index(word))
        assert source[place:].startswith(word)
    check_anchors(document)
    assert parse("b.txt", b"a ...... b").origin.anchors == Anchors()


COLOURED = "\x1b]0;make\x07\x1b[1m# O\x1b[32mKWORD\x1b[0m\n\n"
COLOURED += "- \x1b[31mERROR\x1b[m\x1b(B at 3\n- \x1b[2J\n\nend \x1b[K\x9b0m\n"


def test_terminal_codes_are_no_part_of_a_text_and_positions_lead_back() -> None:
    for path in ("run.log", "run.md"):
        document = parse(path, COLOURED.encode())
        assert document.text == "# OKWORD\n\n- ERROR at 3\n- \n\nend \n"
        check_anchors(document)
        assert in_source(document, "ERROR").startswith("ERROR\x1b[m")
    lines = json.dumps({"log": COLOURED, "level": "info"}) + "\n"
    document = parse("log.jsonl", (lines * 2).encode())
    assert "OKWORD" in document.text and "\x1b" not in document.text
    check_anchors(document)


def test_only_whole_terminal_codes_are_left_out() -> None:
    text = "\x1b[31mred\x1b"
    document = parse("a.txt", text.encode())
    assert document.text == "red\x1b"
    long = parse("a.txt", b"\x1b[1ma\x1b[0m" * 20_000)
    assert long.text == "a" * 20_000


def test_runs_of_dots_and_spaces_take_linear_time() -> None:
    for run in (". " * 200_000, "." * 400_000, " " * 400_000, ".... " * 80_000):
        assert short_leaders(f"....{run}Z") == f"....{run}Z"


@pytest.mark.parametrize("kind", ["text", "spreadsheet", "presentation"])
def test_a_message_about_open_document_says_what_to_do(kind: str) -> None:
    data = zipped({"mimetype": f"application/vnd.oasis.opendocument.{kind}"}, method=zipfile.ZIP_STORED)
    for path in ("a.txt", "a"):
        with pytest.raises(IngestError, match=r"by another name: call it \.odt, \.ods or \.odp"):
            parse(path, data)


def test_archives_and_documents_that_are_not_read_say_what_to_do() -> None:
    for name, data, reason in [
        ("a.zip", zipped({"a.txt": "x"}), "a ZIP archive: unpack it to index its files"),
        ("a.7z", b"7z\xbc\xaf\x27\x1c\0\x04", "a 7z archive: unpack it"),
        ("a.rar", b"Rar!\x1a\x07\x01\0", "a RAR archive: unpack it"),
        ("a.tgz", gzip.compress(b"x"), "a gzip archive: unpack it"),
        ("a.bz2", bz2.compress(b"x"), "a bzip2 archive: unpack it"),
        ("a.xz", lzma.compress(b"x"), "an xz archive: unpack it"),
        ("a.pages", zipped({"Index/Document.iwa": "x"}), r"iWork: export it as \.docx or \.pdf"),
        ("a.KEY", zipped({"Index/Document.iwa": "x"}), r"iWork: export it as \.pptx"),
        ("a.numbers", zipped({"Index/Document.iwa": "x"}), r"iWork: export it as \.xlsx"),
        ("a.doc", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", r"^old Word format: save it as \.docx$"),
        ("A.XLS", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", r"^old or binary Excel format: save it as \.xlsx$"),
        ("a.ppt", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", r"^old PowerPoint format: save it as \.pptx$"),
        ("a.doc", b"%PDF-1.7", "a PDF by another name"),
        ("a.doc", b"{\\rtf1 x}", "an RTF file by another name"),
        ("a.one", b"\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d\0", r"^OneNote section: export it as \.docx or \.pdf$"),
        ("a.mobi", b"Book\0\0\0", r"^Kindle book: convert it to \.epub$"),
        ("a.png", b"\x89PNG\r\n\x1a\n", r"^image: to read its words, save it as \.pdf for --ocr$"),
        ("a.webp", b"RIFF\0\0\0\0WEBP", "^image: "),
        ("a.mp3", b"ID3\3\0\0", "^sound: only a transcript as text can be indexed$"),
        ("a.mp4", b"\0\0\0\x18ftypmp42", "^video: "),
    ]:
        with pytest.raises(IngestError, match=reason):
            parse(name, data)
    for name in ("a.key", "a.doc", "a.mp3"):
        assert parse(name, b"The key is under the mat.").text == "The key is under the mat."


def test_letters_printed_over_others_are_read_once() -> None:
    text = "N\bNA\bAM\bME\bE\n  _\bl_\bs - list, B\bB\bB, +\bo item, end\b"
    document = parse("ls.txt", text.encode())
    check_anchors(document)
    assert document.text == "NAME\n  ls - list, B, o item, end\b"
