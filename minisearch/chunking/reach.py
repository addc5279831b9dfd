"""How many bytes of its file a document's passages stand on.

Stretches of the text come in, bytes of the file are counted: those that the words were made of, and none of
what lies between them (a script, an image, an attachment).  Which passages there are is left to the chunker.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import numpy as np

from minisearch.types import Document

# An escape ("&amp;", "\u6f22") is many characters for one or two; behind a word there may be anything.
MAX_ESCAPED = 2
MAX_ESCAPE = 12


def bytes_under(document: Document, spans: Iterable[tuple[int, int]], n_bytes: int) -> int:
    """Of the ``n_bytes`` of the document's file, those under stretches (start, end) of its text.

    What two stretches share counts once.  Of a file that is no text, all bytes count, shared out among its
    pages: those of the pages that have no text do not.
    """
    spans = list(_apart(spans))
    if document.origin.is_extract:
        bounds = [*document.pages, len(document.text)] if document.pages else [0, len(document.text)]
        pages = list(pairwise(bounds))
        n_reached = sum(not document.text[start:end].isspace() and start < end for start, end in pages)
        return n_bytes * n_reached // len(pages) if spans else 0
    return sum(_bytes_of(document, start, end) for start, end in spans)


def _apart(spans: Iterable[tuple[int, int]]) -> Iterable[tuple[int, int]]:
    """The same stretches, ascending, without what an earlier one has."""
    reached = 0
    for start, end in sorted(spans):
        if end > reached:
            yield max(start, reached), end
            reached = end


def _bytes_of(document: Document, start: int, end: int) -> int:
    """The bytes under one stretch; where the file runs on after the words have ended, only theirs."""
    origin, text = document.origin, document.text
    in_text, in_source = np.array(origin.text_anchors), np.array(origin.source_anchors)
    first, last = np.searchsorted(in_text, (start + 1, end))
    edges = np.concatenate([[start], in_text[first:last], [end]])
    anchor = np.searchsorted(in_text, edges[:-1], side="right") - 1
    limits = np.append(in_source[1:], len(origin.source))[anchor]
    begins = np.minimum(in_source[anchor] + edges[:-1] - in_text[anchor], limits)
    lengths = np.diff(edges)
    ends = np.minimum(begins + lengths, limits)
    is_ended = edges[1:] == np.append(in_text[1:], -1)[anchor]
    for i in np.flatnonzero(is_ended & (lengths <= MAX_ESCAPED) & (limits - begins <= MAX_ESCAPE)).tolist():
        if not text[edges[i + 1] - 1].isspace():
            ends[i] = limits[i]
    return sum(
        len(origin.source[begin:stop].encode(origin.encoding, "surrogateescape"))
        for begin, stop in zip(begins.tolist(), ends.tolist(), strict=True)
    )
