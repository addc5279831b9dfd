"""Positions of a text lead to bytes, lines and columns of its file."""

import numpy as np

from minisearch.chunking.positions import Positions
from minisearch.parsers import parse


def test_lines_end_as_in_editors_however_they_are_ended():
    document = parse("a.txt", b"\xef\xbb\xbfone\r\ntw\xc3\xb6\rthree\n\nfive")
    at = np.array([document.text.index(word) for word in ("one", "tw", "ö", "three", "five")])
    positions = Positions(document)
    lines, columns = positions.lines_and_columns(at)
    assert lines.tolist() == [1, 2, 2, 3, 5]
    assert columns.tolist() == [1, 1, 3, 1, 1]
    assert positions.byte_offsets(at).tolist() == [3, 8, 10, 13, 20]
