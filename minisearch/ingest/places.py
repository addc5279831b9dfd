"""Positions in a document's text to places in its file: bytes and lines.

One pass over the source, however many positions are asked for.
"""

from __future__ import annotations

import numpy as np

from minisearch.types import IntArray, Origin


def places(origin: Origin, positions: IntArray) -> tuple[IntArray, IntArray]:
    r"""The byte offset and the line (from 1) of each character position; positions (n,) ascending.

    Lines end with ``\n``, ``\r\n`` or a lone ``\r``, as editors count them.
    """
    text_anchors = np.array(origin.text_anchors)
    source_anchors = np.array(origin.source_anchors)
    nearest = np.searchsorted(text_anchors, positions, side="right") - 1
    in_source = source_anchors[nearest] + positions - text_anchors[nearest]

    source, encoding = origin.source, origin.encoding
    offsets = np.empty(len(positions), np.int64)
    lines = np.empty(len(positions), np.int64)
    offset, line, last = origin.n_bom_bytes, 1, 0
    for i, position in enumerate(in_source.tolist()):
        between = source[last:position]
        offset += len(between.encode(encoding, "surrogateescape"))
        line += between.count("\n")
        if "\r" in between:
            line += between.count("\r") - between.count("\r\n")
        offsets[i], lines[i] = offset, line
        last = position
    return offsets, lines
