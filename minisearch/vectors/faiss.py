"""FAISS: a graph of neighbours (HNSW) for large indexes; a small one is a `FlatIndex`.

The graph is in FAISS's own format, mapped into memory.  FAISS only proposes candidates; the base class scores
them.  FAISS would scan a small index like the base class, one thread a query (7.9 ms and 7 ms for 100,000
vectors), and importing it takes 0.08 s.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, ClassVar

import faiss as _faiss
import numpy as np

from minisearch.types import FloatArray, IntArray
from minisearch.vectors.base import VectorIndex, check_base, corrupt
from minisearch.vectors.flat import FlatIndex

faiss: Any = _faiss  # its own stubs miss half of what is used here

if sys.platform == "darwin":
    # torch and FAISS each bring an OpenMP runtime; two at work in one process crash (neuml/txtai#377).
    faiss.omp_set_num_threads(1)


class FaissIndex(VectorIndex):
    """A graph of FAISS, by inner product, from ``hnsw_from`` vectors on."""

    name: ClassVar[str] = "faiss"
    suffix: ClassVar[str] = ".faiss"

    # A scan takes 7.9 ms per query at 100,000 vectors and 66 ms at a million; the graph stays below 1 ms.
    hnsw_from: ClassVar[int] = 100_000
    # recall@10 against the scan, one thread, efSearch 64 / 128 (0.1 ms) on Cranfield's 1,400 abstracts and
    # on 6,358 chunks of technical manuals, all-MiniLM-L6-v2; and on 50,000 synthetic vectors (0.6 ms):
    #   efConstruction  40:  1.000 / 1.000   .996 / .999   .993 / .999   built in 11 s
    #   efConstruction 100:   .999 / 1.000   .996 / .999   .997 / 1.000           24 s
    #   efConstruction 200:   .999 / 1.000   .997 / .999   .999 / 1.000           57 s
    n_neighbours: ClassVar[int] = 32
    ef_construction: ClassVar[int] = 100
    ef_search: ClassVar[int] = 128
    # Among 50,000 vectors the graph finds 200 candidates in 0.7 ms, in which 5,500 gathered rows are scanned.
    rows_per_candidate = 30

    def __init__(self, ids: IntArray, index: Any, *, file: np.memmap[Any, Any] | None = None) -> None:  # noqa: ANN401
        self._index = index
        self._file = file  # the index reads from it, so it must live as long
        super().__init__(ids, _vectors_in(index))

    @classmethod
    def build(cls, ids: IntArray, vectors: FloatArray) -> VectorIndex:
        """A copy of the vectors in FAISS; the graph is the same on any number of threads (FAISS >= 1.15)."""
        if len(vectors) < cls.hnsw_from:
            return FlatIndex(ids, vectors)
        index = faiss.IndexHNSWFlat(vectors.shape[1], cls.n_neighbours, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction = cls.ef_construction
        index.add(np.ascontiguousarray(vectors))
        return cls(ids, index)

    def save(self, path: Path) -> None:
        """FAISS's own format."""
        # faiss.write_index reports success when the last bytes do not fit on the disk.
        path.write_bytes(faiss.serialize_index(self._index).data)

    @classmethod
    def load(cls, path: Path, ids: IntArray, dimension: int) -> FaissIndex:
        """An index that reads its vectors from the mapped file."""
        default_limit = faiss.get_deserialization_vector_byte_limit()
        try:
            # Mapped here, because FAISS's own reader refuses a path that is not UTF-8.
            file = np.memmap(path, np.uint8, mode="r")
            # No array in a file is larger than the file, whatever its header says.
            faiss.set_deserialization_vector_byte_limit(len(file))
            index = faiss.read_index(faiss.ZeroCopyIOReader(faiss.swig_ptr(file), len(file)))
        except (OSError, ValueError, RuntimeError, MemoryError) as error:
            raise corrupt(path, error) from error
        finally:
            faiss.set_deserialization_vector_byte_limit(default_limit)
        if not isinstance(index, faiss.IndexHNSWFlat) or index.metric_type != faiss.METRIC_INNER_PRODUCT:
            raise corrupt(path, f"a graph by inner product was expected, not {type(index).__name__}")
        check_base(path, found=(index.ntotal, index.d), expected=(len(ids), dimension))
        return cls(ids, index, file=file)

    def _candidates(self, query: FloatArray, k: int) -> IntArray:
        parameters = faiss.SearchParametersHNSW(efSearch=max(self.ef_search, 2 * k))
        _, [positions] = self._index.search(query[None], k, params=parameters)
        found: IntArray = positions[positions >= 0]  # FAISS pads with -1
        return found


def _vectors_in(index: Any) -> FloatArray:  # noqa: ANN401
    """The vectors inside FAISS, (n, d), not copied: valid while ``index`` lives."""
    storage = faiss.downcast_index(index.storage)
    shape = (storage.ntotal, storage.d)
    vectors: FloatArray = faiss.rev_swig_ptr(storage.get_xb(), shape[0] * shape[1]).reshape(shape)
    return vectors
