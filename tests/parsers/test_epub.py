"""EPUB: chapters are pages in reading order, whatever their order in the archive."""

from __future__ import annotations

import random
import zipfile

import pytest

from minisearch.errors import IngestError
from minisearch.parsers import parse
from tests.parsers.made_files import epub, epub_entries, zipped
from tests.parsers.test_office import LAUGHS, OUTSIDE, damaged, outline, reason


def test_chapters_are_pages_in_the_order_of_the_spine():
    chapters = {f"{i}.xhtml": f"<h1>Chapter {i}</h1><p>words {i}</p>" for i in (3, 1, 2)}
    entries = epub_entries(chapters, title="Three &amp; more")
    document = parse("a.epub", zipped(dict(sorted(entries.items()))))
    assert document.text == "\n\n".join(f"Chapter {i}\n\nwords {i}" for i in (3, 1, 2))
    assert [document.text[page:].split("\n")[0] for page in document.pages] == [
        "Chapter 3",
        "Chapter 1",
        "Chapter 2",
    ]
    assert outline(document) == [(1, "Chapter 3"), (1, "Chapter 1"), (1, "Chapter 2")]
    assert document.title == "Three & more"
    assert document.fields["author"] == ("Mary",)
    assert document.origin.is_extract
    assert document.origin.source == document.text


def test_chapter_names_are_unquoted_and_missing_chapters_are_counted():
    entries = epub_entries({"a%20b.xhtml": "", "text/../c.xhtml": "<p>here</p>", "gone.xhtml": ""})
    del entries["OEBPS/a%20b.xhtml"], entries["OEBPS/gone.xhtml"]
    entries["OEBPS/a b.xhtml"] = "<p>with a space</p>"
    entries["OEBPS/c.xhtml"] = entries.pop("OEBPS/text/../c.xhtml")
    document = parse("a.epub", zipped(entries))
    assert document.text == "with a space\n\nhere"
    assert document.notes == ("missing chapters: 1",)


def test_a_chapter_with_several_places_in_the_spine_is_read_once() -> None:
    entries = epub_entries({"a.xhtml": "<p>first</p>", "b.xhtml": "<p>second</p>"})
    package = str(entries["OEBPS/book.opf"])
    item = '<item id="place" href="a.xhtml#o8" media-type="application/xhtml+xml"/></manifest>'
    package = package.replace("</manifest>", item).replace("</spine>", '<itemref idref="place"/></spine>')
    entries["OEBPS/book.opf"] = package
    document = parse("a.epub", zipped(entries))
    assert (document.text, document.notes) == ("first\n\nsecond", ())


def with_a_bit_flipped(book: bytes, words: bytes) -> bytes:
    """A stored book whose chapter with these words no longer agrees with its checksum."""
    at = book.index(words)
    return book[:at] + bytes([book[at] ^ 1]) + book[at + 1 :]


def test_a_damaged_chapter_leaves_the_others_readable_under_their_numbers():
    names = ("a.xhtml", "b.xhtml", "c.xhtml")
    entries = epub_entries({name: f"<p>chapter {name[0]}</p>" for name in names})
    book = with_a_bit_flipped(zipped(entries, method=zipfile.ZIP_STORED), b"chapter b")
    document = parse("a.epub", book)
    assert document.text.split() == ["chapter", "a", "chapter", "c"]
    assert [document.text[page:].split("\n")[0] for page in document.pages] == ["chapter a", "", "chapter c"]
    assert document.notes == ("OEBPS/b.xhtml in it cannot be read and is left out",)
    for words in (b"chapter a", b"chapter c"):
        book = with_a_bit_flipped(book, words)
    assert reason("a.epub", book) == "damaged: the archive cannot be unpacked"


def test_a_chapter_in_svg_gives_its_words_and_a_photograph_is_missing():
    entries = epub_entries({"a.xhtml": "<p>a</p>", "b.svg": "", "c.jpg": "", "d.xhtml": "<p>d</p>"})
    package = str(entries["OEBPS/book.opf"])
    for name, kind in (("b.svg", "image/svg+xml"), ("c.jpg", "image/jpeg")):
        old = f'href="{name}" media-type="application/xhtml+xml"'
        package = package.replace(old, f'href="{name}" media-type="{kind}"')
    entries["OEBPS/book.opf"] = package.replace(
        '<itemref idref="c3"/>', '<itemref idref="c3"/><itemref idref="no"/>'
    )
    entries["OEBPS/b.svg"] = "<svg><text>a map</text></svg>"
    document = parse("a.epub", zipped(entries))
    assert document.text == "a\n\na map\n\nd"
    assert document.notes == ("missing chapters: 2",)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "iso-8859-1", "windows-1252"])
def test_a_chapter_is_read_in_its_own_encoding(encoding):
    entries = epub_entries({"a.xhtml": ""})
    entries["OEBPS/a.xhtml"] = f'<?xml version="1.0" encoding="{encoding}"?><p>Grüße</p>'.encode(encoding)
    assert parse("a.epub", zipped(entries)).text == "Grüße"


@pytest.mark.parametrize(
    ("chapters", "text", "places"),
    [
        (["Gr\xfc\xdfe".encode("latin-1")], "Gr\ufffd\ufffde", 2),
        ([b"a\xff", b"b"], "a\ufffd\n\nb", 1),
        (["an author's \ufffd".encode(), b""], "an author's \ufffd", 0),
        (["one \ufffd, one ".encode() + b"\xc3"], "one \ufffd, one \ufffd", 1),
        ([b'<?xml version="1.0" encoding="no-such"?>a\xff'], "a\ufffd", 1),
        ([b'<?xml version="1.0" encoding="idna"?>a\xff'], "a\ufffd", 1),
        ([b"\xff\xfea\0b"], "a\ufffd", 1),
    ],
)
def test_bytes_that_cannot_be_decoded_are_counted(chapters, text, places):
    entries = epub_entries({f"{i}.xhtml": "" for i in range(len(chapters))})
    entries |= {f"OEBPS/{i}.xhtml": chapter for i, chapter in enumerate(chapters)}
    document = parse("a.epub", zipped(entries))
    assert document.text.strip() == text
    assert document.notes == ((f"places in chapters that cannot be decoded: {places}",) if places else ())


def test_a_chapter_outside_the_book_is_missing():
    entries = epub_entries(
        {"../../../../../../etc/passwd": "", "file:///etc/passwd": "", "a.xhtml": "<p>a</p>"}
    )
    kept = {name: data for name, data in entries.items() if "passwd" not in name}
    document = parse("a.epub", zipped(kept))
    assert document.text == "a"
    assert document.notes == ("missing chapters: 2",)


@pytest.mark.parametrize("prolog", [LAUGHS, OUTSIDE])
def test_entities_are_refused_in_the_package_and_stay_words_in_a_chapter(prolog):
    entries = epub_entries({"a.xhtml": "<p>a</p>"}, prolog=prolog, title="&e9;")
    assert "defines entities of its own" in reason("a.epub", zipped(entries))
    entries = epub_entries({"a.xhtml": ""}) | {"OEBPS/a.xhtml": f"{prolog}<p>so &e9;</p>"}
    assert "so &e9;" in parse("a.epub", zipped(entries)).text


def test_a_protected_book_is_refused_unless_only_its_fonts_are_encrypted():
    def encryption(name: str) -> dict[str, str | bytes]:
        return {"META-INF/encryption.xml": f'<encryption><CipherReference URI="{name}"/></encryption>'}

    entries = epub_entries({"a.xhtml": "<p>a</p>"})
    assert (
        reason("a.epub", zipped(entries | encryption("OEBPS/a.xhtml")))
        == "encrypted: the book is protected (DRM)"
    )
    assert parse("a.epub", zipped(entries | encryption("OEBPS/font.otf"))).text == "a"


def test_deep_nesting_and_long_tags_take_no_time():
    assert parse("a.epub", epub("<div>" * 20_000 + "deep")).text == "deep"
    deep = "<x>" * 10_000 + "</x>" * 10_000
    assert parse("a.epub", zipped(epub_entries({"a.xhtml": "<p>a</p>"}, title=deep))).text == "a"


def test_two_hundred_damaged_books_each_give_a_text_or_a_reason():
    generator = random.Random(5)
    entries = epub_entries({"a.xhtml": "<h1>One</h1><p>words</p>", "b.xhtml": "<p>more</p>"})
    n_read = 0
    for _ in range(200):
        name = generator.choice(sorted(entries))
        raw = str(entries[name]).encode()
        try:
            parse("a.epub", zipped(entries | {name: damaged(raw, generator)}))
            n_read += 1
        except IngestError as error:
            assert str(error).isprintable()
    assert 20 < n_read < 200
