"""A check for documents whose text differs from the file's: each character maps to its place in the file."""

from __future__ import annotations

import re
from itertools import pairwise

from minisearch.chunking.chunker import chunk
from minisearch.search.evidence import line_and_column
from minisearch.types import Document
from tests.fakes import WordTokenizer


def places_in_source(document: Document) -> list[int]:
    """Where each character of the text stands, and its end: from anchor to anchor side by side."""
    origin = document.origin
    anchors = [*zip(origin.anchors.text, origin.anchors.source, strict=True)]
    anchors.append((len(document.text) + 1, len(origin.source)))
    found: list[int] = []
    for (start, at), (end, limit) in pairwise(anchors):
        found += [min(at + i, limit) for i in range(end - start)]
    return found


def check_anchors(document: Document) -> None:
    """The anchors are in order, and every chunk's bytes, lines and columns are those of its characters."""
    origin = document.origin
    assert origin.anchors.text[0] == 0
    assert all(a < b for a, b in pairwise(origin.anchors.text))
    assert all(a <= b for a, b in pairwise(origin.anchors.source))
    assert origin.anchors.source[-1] <= len(origin.source)
    assert origin.anchors.text[-1] <= len(document.text)
    assert not re.search("[\0\ud800-\udfff]", document.text)
    assert list(document.pages) == sorted(document.pages) and document.pages[:1] in ((), (0,))
    assert all(0 <= heading.start < len(document.text) for heading in document.headings)
    assert list(document.blocks) == sorted(document.blocks, key=lambda block: (block[0], -block[1]))
    assert all(0 <= start < end <= len(document.text) for start, end in document.blocks)
    places = places_in_source(document)
    assert places == sorted(places)
    line_starts = [0, *(found.end() for found in re.finditer(r"\r\n|\r|\n", origin.source))]
    for piece in chunk(document, WordTokenizer(), max_tokens=12, overlap_tokens=3):
        in_bytes = [len(origin.source[: places[i]].encode(origin.encoding, "surrogateescape")) for i in
                    (piece.start, piece.end)]  # fmt: skip
        assert [piece.byte_start - origin.n_bom_bytes, piece.byte_end - origin.n_bom_bytes] == in_bytes
        for i in range(len(piece.text)):
            if piece.text[i - 1 : i + 1] == "\r\n" and i:
                continue  # nothing begins or ends between
            start = max(start for start in line_starts if start <= places[piece.start + i])
            expected = line_starts.index(start) + 1, places[piece.start + i] - start + 1
            assert line_and_column(piece.anchors, piece.text, i) == expected


def in_source(document: Document, words: str) -> str:
    """The file from where these words of the text stand, on."""
    return document.origin.source[places_in_source(document)[document.text.index(words)] :]


def line_of(document: Document, words: str) -> int:
    """The line of the file on which these words of the text begin."""
    at = places_in_source(document)[document.text.index(words)]
    return len(re.findall(r"\r\n|\r|\n", document.origin.source[:at])) + 1
