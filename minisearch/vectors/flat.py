"""The exact index, in NumPy: the reference that the others are measured against.

Its base is a ``.npy`` file, mapped into memory.  It proposes no candidates: the base class reads every
vector, 7 ms per query for 100,000 of 384 dimensions.

A FAISS file that is only a list of vectors is opened here too, without importing FAISS, which takes 0.08 s.
FAISS scans such a list like the base class, one thread a query: 7.9 ms and 7 ms for 100,000 vectors.  A graph
needs the library.
"""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import ClassVar

import numpy as np

from minisearch.types import FloatArray, IntArray
from minisearch.vectors.base import VectorIndex, check_base, corrupt, write_file


class FlatIndex(VectorIndex):
    """Every vector compared with every query."""

    name: ClassVar[str] = "flat"
    suffix: ClassVar[str] = ".npy"

    @classmethod
    def build(cls, ids: IntArray, vectors: FloatArray) -> FlatIndex:
        """The vectors as they are."""
        return cls(ids, vectors)

    def save(self, path: Path) -> None:
        """A ``.npy`` file of the vectors."""
        # np.save does not notice a failure to close the file, as on a disk that is full.
        vectors = np.ascontiguousarray(self._base_vectors)
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(header, np.lib.format.header_data_from_array_1_0(vectors))
        write_file(path, header.getvalue(), vectors.data)

    @classmethod
    def load(cls, path: Path, ids: IntArray, dimension: int) -> FlatIndex:
        """The vectors, mapped from a ``.npy`` file."""
        try:
            vectors = np.lib.format.open_memmap(path, mode="r")
        except (OSError, ValueError) as error:
            raise corrupt(path, error) from error
        if vectors.dtype != np.float32 or vectors.ndim != 2:
            raise corrupt(path, f"it holds {vectors.dtype} of shape {vectors.shape}")
        check_base(path, found=vectors.shape, expected=(len(ids), dimension))
        return cls(ids, vectors.view(np.ndarray))


# The header of an IndexFlatIP as FAISS's write_index writes it: its name, d, n, two unused numbers, whether
# it is trained, the metric, and how many numbers follow.
HEADER = struct.Struct("<4siqqq?iQ")
INDEX_FLAT_IP = b"IxFI"
INNER_PRODUCT = 0


class FaissList(FlatIndex):
    """The vectors of an IndexFlatIP, every one compared with every query."""

    name: ClassVar[str] = "faiss"
    suffix: ClassVar[str] = ".faiss"


def open_list(path: Path, ids: IntArray, dimension: int) -> FaissList | None:
    """The index saved at ``path`` if it is a plain list; None if only FAISS can read it.

    Raises IndexCorrupt when the list is not of these ids and this dimension.
    """
    try:
        content = np.memmap(path, np.uint8, mode="r").view(np.ndarray)
    except (OSError, ValueError):  # FAISS reports better what is wrong
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
