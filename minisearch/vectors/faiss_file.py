"""A FAISS file opened without FAISS, where all that it holds is a list of vectors.

FAISS scans such a list, one thread a query, as the base class does: 7.9 ms and 7 ms for 100,000 vectors of
384 dimensions.  So the same answers come without the library's import, 0.08 s.  A graph needs the library.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import ClassVar

import numpy as np

from minisearch.types import FloatArray, IntArray
from minisearch.vectors.files import check_base
from minisearch.vectors.flat import FlatIndex

# IndexFlatIP as FAISS's write_index lays it out: its name, d, n, two numbers that mean nothing, whether it is
# trained, the metric, then how many numbers follow.
HEADER = struct.Struct("<4siqqq?iQ")
INDEX_FLAT_IP = b"IxFI"
INNER_PRODUCT = 0


class FaissList(FlatIndex):
    """The vectors of an IndexFlatIP, every one compared with every query."""

    name: ClassVar[str] = "faiss"
    suffix: ClassVar[str] = ".faiss"


def open_list(path: Path, ids: IntArray, dimension: int) -> FaissList | None:
    """The index saved at ``path`` if it is a plain list, None if FAISS is needed to tell what it is.

    Raises IndexCorrupt when the list is not of these ids and this dimension.
    """
    try:
        content = np.memmap(path, np.uint8, mode="r").view(np.ndarray)
    except (OSError, ValueError):  # FAISS says better what is wrong
        return None
    if len(content) < HEADER.size:
        return None
    kind, d, n, _, _, _, metric, n_numbers = HEADER.unpack(content[: HEADER.size].tobytes())
    data = content[HEADER.size :]
    if (kind, metric) != (INDEX_FLAT_IP, INNER_PRODUCT) or not n * d * 4 == n_numbers * 4 == len(data):
        return None
    check_base(path, found=(n, d), expected=(len(ids), dimension))
    vectors: FloatArray = data.view(np.float32).reshape(n, d)
    return FaissList(ids, vectors)
