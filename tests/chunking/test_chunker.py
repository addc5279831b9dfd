"""Chunks fit the encoder, cover the document, follow its structure, and map to the file."""

import re
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minisearch.chunking.chunker import chunk
from minisearch.errors import IngestError
from minisearch.minilm.tokenizer import MiniLMTokenizer
from minisearch.parsers import parse
from minisearch.types import Anchors, Chunk, Document, Origin
from tests.fakes import WordTokenizer


def cut(
    data: bytes | str, *, path: str = "a.md", max_tokens: int = 20, overlap_tokens: int = 0, tokenizer=None
) -> list[Chunk]:
    data = data.encode() if isinstance(data, str) else data
    return chunk(
        parse(path, data), tokenizer or WordTokenizer(), max_tokens=max_tokens, overlap_tokens=overlap_tokens
    )


def texts(chunks: list[Chunk]) -> list[str]:
    return [piece.text for piece in chunks]


def prose(n_sentences: int, *, first: int = 0) -> str:
    return " ".join(
        f"Sentence {i} has these words." for i in range(first, first + n_sentences)
    )  # 6 tokens each


def check(document: Document, chunks: list[Chunk], *, tokenizer, max_tokens: int) -> None:
    """What holds for every document."""
    covered = np.zeros(len(document.text), bool)
    for piece, n_tokens in zip(chunks, map(len, tokenizer.spans(texts(chunks))), strict=True):
        assert document.text[piece.start : piece.end] == piece.text
        outside = document.text[: piece.start][-1:]
        is_indented = document.format == "code" and outside in ("", "\n", "\r")
        assert piece.text == (piece.text.rstrip() if is_indented else piece.text.strip()) != ""
        assert not re.match(r"\s*[\r\n]", piece.text)
        assert piece.n_tokens == n_tokens
        assert n_tokens <= max_tokens or len(piece.text) == 1
        assert len(piece.text) <= 12 * max_tokens
        covered[piece.start : piece.end] = True
    assert all(not text.strip() for text, here in zip(document.text, covered, strict=True) if not here)
    assert [piece.start for piece in chunks] == sorted({piece.start for piece in chunks})
    assert [piece.end for piece in chunks] == sorted({piece.end for piece in chunks})
    for before, after in pairwise(chunks):
        assert after.start >= before.end or after.heading == before.heading


def places_by_anchors(piece: Chunk) -> list[tuple[int, int]]:
    """Line and column of every character of a chunk: on from the last anchor, by what the text says."""
    found = []
    starts = {position: (line, column) for position, line, column in piece.anchors}
    line, column = 0, 0
    for i, character in enumerate(piece.text):
        line, column = starts.get(i, (line, column))
        found.append((line, column))
        is_break = character == "\n" or (character == "\r" and piece.text[i + 1 : i + 2] != "\n")
        line, column = (line + 1, 1) if is_break else (line, column + 1)
    return found


def places_by_counting(document: Document, start: int, end: int) -> list[tuple[int, int]]:
    """The same from the source, character by character."""
    origin, found = document.origin, []
    for position in range(start, end):
        anchor = max(a for a in origin.anchors.text if a <= position)
        at = origin.anchors.source[origin.anchors.text.index(anchor)] + position - anchor
        lines = re.split(r"(?<=\n)|(?<=\r)(?!\n)", origin.source[: at + 1])
        lines = lines if lines[-1] else lines[:-1]  # a break ends the line that it stands on
        found.append((len(lines), len(lines[-1])))
    return found


def check_anchors(document: Document, chunks: list[Chunk]) -> None:
    for piece in chunks:
        assert places_by_anchors(piece) == places_by_counting(document, piece.start, piece.end)
        assert piece.anchors[0][:2] == (0, piece.line)


def check_places(data: bytes, document: Document, chunks: list[Chunk]) -> None:
    """Bytes and lines of a format kept verbatim, against the file itself."""
    for piece in chunks:
        in_file = data[piece.byte_start : piece.byte_end].decode(document.origin.encoding, "surrogateescape")
        assert re.sub("[\0\udc80-\udcff]", "\ufffd", in_file) == piece.text
        before = document.text[: piece.start].replace("\r\n", "\n").replace("\r", "\n")
        within = piece.text.replace("\r\n", "\n").replace("\r", "\n")
        assert piece.line == before.count("\n") + 1
        assert piece.end_line == piece.line + within.count("\n")
        assert piece.anchors == ((0, piece.line, len(before) - before.rfind("\n")),)


# --- every document --------------------------------------------------------------------------------

awkward_lines = st.sampled_from([
    "", "", "# One", "## Two", "### Three", "Title\n=====", "Words. More words! 多少？是的。", "- item",
    "1. item", "```", "    indented", "a" * 70, "x" * 500, "…“quoted.” (so.) e.g. this", "<p>markup</p>",
    "é\u0301\u200d😀", " \t ", "\ufffd", "\f", "| So. It is. | b |", "|---|---|", "a | b", "+--+--+",
    "+==+==+", "==== ====", "    a. B",
])  # fmt: skip
awkward_texts = st.lists(st.one_of(awkward_lines, st.text(max_size=12)), max_size=40)


@settings(max_examples=150, deadline=None)
@given(
    awkward_texts, st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"]),
    st.sampled_from(["a.md", "a.rst", "a.txt", "a.py"]), st.integers(1, 40), st.integers(0, 50),
)  # fmt: skip
def test_every_chunk_fits_and_together_they_cover_the_document(
    lines, end, encoding, path, max_tokens, overlap
):
    data = end.join(lines).encode(encoding, "replace" if encoding == "cp1252" else "surrogatepass")
    try:
        document = parse(path, data)
    except IngestError:
        return
    chunks = chunk(document, WordTokenizer(), max_tokens=max_tokens, overlap_tokens=overlap)
    check(document, chunks, tokenizer=WordTokenizer(), max_tokens=max_tokens)
    check_places(data, document, chunks)
    check_anchors(document, chunks[:5])


markup = st.sampled_from([
    "<p>", "</p>", "<br>", "<td>", "<h1>", "</h1>", "<pre>", "</pre>", "<b>", "</b>", "<!-- \n -->", "<i\n>",
    "&amp;", "&", "&#10;", "&#13;", "&ngE;", "&#x1F600;", "&nbsp;", "word", "two words", "é😀", "\n", "\r\n",
    "\r", " ", "  \n ", "<title>\n</title>", "<", "\ufffd", "a. B",
])  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.lists(markup, max_size=30).map("".join), st.integers(1, 12), st.integers(0, 6))
def test_anchors_of_html_give_every_character_its_place_in_the_source(source, max_tokens, overlap):
    document = parse("a.html", source.encode())
    chunks = chunk(document, WordTokenizer(), max_tokens=max_tokens, overlap_tokens=overlap)
    check(document, chunks, tokenizer=WordTokenizer(), max_tokens=max_tokens)
    check_anchors(document, chunks)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300), st.integers(1, 12))
def test_any_bytes_at_all_are_cut_where_they_are_in_the_file(data, max_tokens):
    try:
        document = parse("a.txt", data)
    except IngestError:
        return
    chunks = chunk(document, WordTokenizer(), max_tokens=max_tokens, overlap_tokens=3)
    check(document, chunks, tokenizer=WordTokenizer(), max_tokens=max_tokens)
    check_places(data, document, chunks)


@pytest.fixture(scope="module")
def real_tokenizer(weights: Path) -> MiniLMTokenizer:
    return MiniLMTokenizer.from_folder(weights, max_length=256)


@settings(max_examples=60, deadline=None)
@given(lines=awkward_texts, max_tokens=st.integers(1, 60))
def test_it_holds_for_word_pieces_too(lines, max_tokens, real_tokenizer):
    data = "\n".join(lines).replace("\0", "").encode("utf-8", "surrogatepass")
    document = parse("a.md", data)
    chunks = chunk(document, real_tokenizer, max_tokens=max_tokens, overlap_tokens=10)
    check(document, chunks, tokenizer=real_tokenizer, max_tokens=max_tokens)
    check_places(data, document, chunks)


class GrudgingTokenizer(WordTokenizer):
    """Counts more in a text by itself than where it stood: one token more at either end."""

    def spans(self, texts):
        return [np.concatenate([spans[:1], spans, spans[-1:]]) for spans in super().spans(texts)]


def test_counts_are_those_of_the_chunk_by_itself():
    document = parse("a.txt", prose(30).encode())
    chunks = chunk(document, GrudgingTokenizer(), max_tokens=20, overlap_tokens=6)
    check(document, chunks, tokenizer=GrudgingTokenizer(), max_tokens=20)


# --- awkward ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", ["", " \n\t\r\n ", "\ufeff", "\u00a0\u2003"])
def test_nothing_but_white_space_makes_no_chunk(data):
    assert cut(data) == []


def test_one_character_is_one_chunk():
    (only,) = cut("\n x \n")
    assert only == Chunk(
        start=2, end=3, text="x", byte_start=2, byte_end=3, line=2, end_line=2, heading="", n_tokens=1,
        anchors=((0, 2, 2),),
    )  # fmt: skip


def test_white_space_wider_than_a_chunk_cuts_no_word():
    assert texts(cut("a" + " " * 1_000 + "xyz", max_tokens=1)) == ["a", "xyz"]


def test_a_word_without_end_is_cut_though_it_is_a_single_token(real_tokenizer):
    data = "before " + "QUJD" * 5000 + " after"
    chunks = cut(data, tokenizer=real_tokenizer, max_tokens=50)
    assert max(len(piece.text) for piece in chunks) == 600
    assert chunks[0].text.startswith("before QUJD")
    assert chunks[-1].text.endswith("QUJD after")


@pytest.mark.parametrize(
    "unit", ["word ", "x", "[", "\n\n- a", "。", "a. ", "\n" + " " * 60, ".'\"", "# a\n", "слово "]
)
def test_a_megabyte_of_anything_is_cut_in_linear_time(unit):
    data = (unit * (1_000_000 // len(unit))).encode()
    document = parse("a.md", data)
    start = time.process_time()
    chunks = chunk(document, WordTokenizer(), max_tokens=254, overlap_tokens=32)
    assert time.process_time() - start < 15  # about one second; minutes, if quadratic
    assert len(chunks) < 5000 or unit == "# a\n"


# --- structure -------------------------------------------------------------------------------------


def test_a_heading_begins_a_chunk_and_names_the_path_above_it():
    chunks = cut("intro\n\n# A\n\ntext\n\n## B\n\ntext\n\n### C\n\ntext\n\n## D\n\ntext\n\n# E\n\ntext\n")
    assert [(piece.heading, piece.text.split()[-2]) for piece in chunks[1:]] == [
        ("A", "A"), ("A > B", "B"), ("A > B > C", "C"), ("A > D", "D"), ("E", "E"),
    ]  # fmt: skip
    assert (chunks[0].heading, chunks[0].text) == ("", "intro")


def test_a_bare_heading_stays_with_the_section_that_follows():
    chunks = cut("# A\n\n## B\n\n### C\n\ntext\n\n## D ##\n\n---\n\n## E\n\nmore\n\n# Last\n")
    assert [(piece.heading, piece.text.splitlines()[0]) for piece in chunks] == [
        ("A > B > C", "# A"), ("A > E", "## D ##"), ("Last", "# Last"),
    ]  # fmt: skip


def test_a_bare_rst_heading_with_a_label_and_an_overline_is_bare():
    (only,) = cut(".. _a:\n\n=====\nTitle\n=====\n\n.. _b:\n\nSub\n---\n\ntext", path="a.rst", max_tokens=100)
    assert only.heading == "Title > Sub"
    assert only.text.startswith(".. _a:")


def test_a_passage_begins_below_front_matter_with_the_lines_of_the_file():
    first, second = cut("---\ntags: [a, b]\n---\n\n# A\n\ntext\n\n# B\n\nmore\n", max_tokens=40)
    assert (first.heading, first.text, first.line) == ("A", "# A\n\ntext", 5)
    assert (second.heading, second.text, second.line) == ("B", "# B\n\nmore", 9)


def test_a_rule_before_the_first_heading_is_no_passage_by_itself():
    first, second = cut("---\n\n# A\n\ntext\n\n# B\n\nmore\n", max_tokens=40)
    assert (first.text, first.heading, second.text) == ("---\n\n# A\n\ntext", "A", "# B\n\nmore")


@pytest.mark.parametrize("label", ["(intro)=", ".. _intro:", '<a id="intro"></a>', "(a)=\n(b)="])
def test_a_label_alone_is_no_chunk(label: str) -> None:
    first, second = cut(f"{label}\n\n# A\n\n{label}\n\n## B\n\nmore\n\n# C\n\ntext", max_tokens=40)
    assert (first.text, first.heading) == (f"{label}\n\n# A\n\n{label}\n\n## B\n\nmore", "A > B")
    assert second.text == "# C\n\ntext"


def test_a_section_that_fits_is_never_cut():
    section = "# A\n\n" + prose(2) + "\n\n" + prose(1, first=2)  # 2 + 18 tokens
    assert texts(cut(section, max_tokens=20)) == [section]


def test_cuts_prefer_paragraphs_then_items_then_sentences():
    paragraphs = prose(2) + "\n\n" + prose(2)
    assert texts(cut(paragraphs)) == paragraphs.split("\n\n")
    items = "\n".join(f"- {prose(1)}" for _ in range(4))  # 7 tokens each
    assert texts(cut(items)) == ["\n".join(items.split("\n")[:2]), "\n".join(items.split("\n")[2:])]
    assert texts(cut(prose(4))) == [prose(2), prose(2, first=2)]
    wrapped = prose(4).replace("these ", "these\n")
    assert [text.split()[-1] for text in texts(cut(wrapped))] == ["words.", "words."]
    assert texts(cut("いろは。にほへ。とちり", max_tokens=2)) == ["いろは。", "にほへ。", "とちり"]


def test_parts_have_about_the_same_length():
    assert [chunk.n_tokens for chunk in cut(prose(7), max_tokens=36)] == [24, 18]
    words = " ".join(["word"] * 41)
    assert [chunk.n_tokens for chunk in cut(words, max_tokens=20)] == [14, 14, 13]


def test_an_abbreviation_and_an_ordinal_end_no_sentence():
    text = "One two three four five, e.g. six seven eight version 2.5 is 3. Nine ten eleven twelve"
    assert not any(piece.endswith(("e.g.", "2.", "3.")) for piece in texts(cut(text, max_tokens=18)))
    text = "One two three four five six seven eight nine ten eleven by Dr. Smith and others at noon."
    assert not any(piece.endswith("Dr.") for piece in texts(cut(text, max_tokens=16)))
    year = "It was found here in the long and cold winter of 2019. One more part came only a year later."
    assert texts(cut(year, max_tokens=14))[0].endswith("2019.")


def test_what_is_indented_stays_with_the_line_that_introduces_it():
    text = f"{prose(2)}\n\nAn example::\n\n    one two three\n\n    four five\n\nLast words."
    assert texts(cut(text, path="a.rst")) == [prose(2), text[text.index("An example") :]]


def test_a_fenced_block_is_not_cut_at_its_blank_lines():
    text = (
        "Some words to begin with.\n\n```py\na = 1\n\nb = 2\n```\n\nSome words to end with, and a few more."
    )
    first, second = texts(cut(text, max_tokens=22))
    assert first.endswith("```")
    assert second.startswith("Some words to end")


def test_code_is_cut_at_lines_not_at_sentences():
    code = "\n".join(f"x{i} = 'So it is. And so on'" for i in range(8))  # 10 tokens each
    assert all(
        text.startswith("x") and text.endswith("'") for text in texts(cut(code, path="a.py", max_tokens=25))
    )


def test_the_first_line_of_code_keeps_its_indentation():
    code = "\n  \n    def one():\n        pass\n\n\n    def two():\n        pass\n"
    assert texts(cut(code, path="a.py", max_tokens=6)) == [
        "    def one():\n        pass",
        "    def two():\n        pass",
    ]
    (only,) = cut("\r\n\tx = 1\r\n", path="a.py")
    assert (only.text, only.line, only.byte_start, only.anchors) == ("\tx = 1", 2, 2, ((0, 2, 1),))
    assert texts(cut("    indented", path="a.md")) == ["indented"]


def test_code_repeats_whole_lines_with_their_indentation():
    code = "\n".join(f"    call(a{i}). Then" for i in range(12))
    chunks = cut(code, path="a.py", max_tokens=30, overlap_tokens=12)
    assert len(chunks) > 2
    assert all(text.startswith("    call(") for text in texts(chunks))
    assert all(after.start < before.end for before, after in pairwise(chunks))


@pytest.mark.parametrize("width", [12, 13, 1_000])
def test_an_indentation_wider_than_a_chunk_is_not_kept(width):
    assert [text.strip() for text in texts(cut(" " * width + "xyz", path="a.py", max_tokens=1))] == ["xyz"]


def test_overlap_repeats_whole_sentences_within_its_bound():
    first, second = cut(prose(6), max_tokens=24, overlap_tokens=13)
    assert first.text == prose(3)
    assert second.text == prose(4, first=2)  # one sentence of 6 tokens; two of them would need the first half
    assert texts(cut(prose(6), max_tokens=24, overlap_tokens=5))[1] == prose(3, first=3)
    assert texts(cut(prose(6), max_tokens=24, overlap_tokens=0))[1] == prose(3, first=3)


def test_no_overlap_where_no_sentence_begins_and_none_across_a_heading():
    words = " ".join(f"w{i}" for i in range(50))
    assert "".join(texts(cut(words, overlap_tokens=15))) == words.replace(" w17", "w17").replace(
        " w34", "w34"
    )
    first, second = cut("# A\n\n" + prose(2) + "\n\n# B\n\n" + prose(2), overlap_tokens=15)
    assert second.text.startswith("# B") and first.text.endswith("words.")


# --- places ----------------------------------------------------------------------------------------


def test_bytes_count_the_mark_and_lines_count_as_in_editors():
    data = b"\xef\xbb\xbf" + "# Ü\r\n\r\nzwölf\rdrei\n\n# B\n\nEnde\n".encode()
    first, second = cut(data)
    assert (first.line, first.end_line, second.line, second.end_line) == (1, 4, 6, 8)
    assert data[first.byte_start : first.byte_end] == "# Ü\r\n\r\nzwölf\rdrei".encode()
    assert data[second.byte_start : second.byte_end] == b"# B\n\nEnde"
    assert first.byte_start == 3


def test_html_chunks_point_at_the_markup_they_came_from():
    data = (
        "<html>\n<h1>Über</h1>\n<p>caf&eacute; one\n two</p>\n<h2>Next</h2>\n<p>A&amp;B</p>\n</html>".encode()
    )
    first, second = cut(data, path="a.html")
    assert (first.text, second.text) == ("Über\n\ncafé one two", "Next\n\nA&B")
    assert data[first.byte_start : first.byte_end].decode() == "Über</h1>\n<p>caf&eacute; one\n two"
    assert data[second.byte_start : second.byte_end].decode() == "Next</h2>\n<p>A&amp;B"
    assert (first.line, first.end_line, second.line, second.end_line) == (2, 4, 5, 6)
    assert (first.heading, second.heading) == ("Über", "Über > Next")
    # "Über", one empty line, "café one two"; the second line break is no character of the page.
    assert first.anchors == (
        (0, 2, 5), (5, 2, 10), (6, 3, 4), (10, 3, 15), (15, 4, 2),
    )  # fmt: skip
    assert second.anchors == ((0, 5, 5), (5, 5, 10), (6, 6, 4), (8, 6, 10))


def test_real_documentation_is_cut_in_good_shape(shared, real_tokenizer):
    paths = sorted((shared / "docs" / "ansible" / "playbook_guide").glob("*.rst"))
    assert paths
    for path in paths:
        data = path.read_bytes()
        document = parse(str(path), data)
        chunks = chunk(document, real_tokenizer, max_tokens=254, overlap_tokens=32)
        check(document, chunks, tokenizer=real_tokenizer, max_tokens=254)
        if document.origin.anchors == Anchors():
            check_places(data, document, chunks)
        for piece in chunks:  # with tables, whose rows have the names of columns
            in_file = data[piece.byte_start : piece.byte_end].decode()
            assert set(re.findall(r"\w+", in_file)) <= set(re.findall(r"\w+", piece.text))


def test_a_passage_over_several_pages_knows_where_each_begins() -> None:
    text = "One two three. Four five six. Seven eight nine."
    pages = (0, text.index("Four"), text.index("Seven"), text.index("Seven"))  # the third is empty
    document = Document("a.pdf", text, "pdf", Origin(text), pages=pages)
    (whole,) = chunk(document, WordTokenizer(), max_tokens=40, overlap_tokens=0)
    assert (whole.page, whole.page_breaks) == (1, (15, 30, 30))
    parts = chunk(document, WordTokenizer(), max_tokens=4, overlap_tokens=0)
    assert [(part.text[:4].strip(), part.page) for part in parts] == [("One", 1), ("Four", 2), ("Seve", 4)]
    assert all(part.page_breaks == () for part in parts)
