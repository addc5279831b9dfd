"""Annoy: a forest of random splits, built once and mapped into memory.

Its base is Annoy's own file.  Annoy ranks by angle, which for unit vectors is the order of the cosines.  It
only proposes candidates; the base class scores them.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
from annoy import AnnoyIndex as Forest

from minisearch.errors import InputError
from minisearch.types import FloatArray, IntArray
from minisearch.vectors.base import VectorIndex, check_base, corrupt


class AnnoyIndex(VectorIndex):
    """Annoy by angle; the same vectors always give the same forest."""

    name: ClassVar[str] = "annoy"
    suffix: ClassVar[str] = ".ann"

    # recall@10 against the scan, one thread, at search_k 5,000 / 10,000 / 20,000, with 20 and with 50 trees:
    #   Cranfield's 1,400 abstracts, all-MiniLM-L6-v2    .996 / 1.000 / 1.000    .992 / .997 / 1.000   0.6 ms
    #   6,358 chunks of manuals, the same model        .971 /  .989 /  .999    .971 / .985 /  .995   0.9 ms
    #   50,000 synthetic vectors                         .853 /  .941 /  .980    .904 / .966 /  .994   3.4 ms
    n_trees: ClassVar[int] = 50
    min_search_k: ClassVar[int] = 20_000
    search_k_per_candidate: ClassVar[int] = 200
    rows_per_candidate = 200  # it looks at no fewer
    seed: ClassVar[int] = 1

    def __init__(self, ids: IntArray, vectors: FloatArray, forest: Forest) -> None:
        super().__init__(ids, vectors)
        self._forest = forest

    @classmethod
    def build(cls, ids: IntArray, vectors: FloatArray) -> AnnoyIndex:
        """A forest built on one thread, because Annoy gives each thread another seed."""
        forest = Forest(vectors.shape[1], "angular")
        forest.set_seed(cls.seed)
        for position, vector in enumerate(vectors):
            forest.add_item(position, vector)
        forest.build(cls.n_trees, 1)
        return cls(ids, vectors, forest)

    def save(self, path: Path) -> None:
        """Annoy's own file, put in the place of one already there."""
        self._forest.save(_as_text(path))
        if path.stat().st_size == 0:
            raise OSError(f"Annoy wrote nothing to {path}")

    @classmethod
    def load(cls, path: Path, ids: IntArray, dimension: int) -> AnnoyIndex:
        """A forest in the mapped file."""
        forest = Forest(dimension, "angular")
        try:
            forest.load(_as_text(path))
        except OSError as error:
            raise corrupt(path, error) from error
        # Annoy stores no dimension. With a wrong one the number of items is wrong.
        check_base(path, found=(forest.get_n_items(), dimension), expected=(len(ids), dimension))
        return cls(ids, _vectors_in(path, len(ids), forest), forest)

    def _candidates(self, query: FloatArray, k: int) -> IntArray:
        search_k = max(self.min_search_k, k * self.search_k_per_candidate)
        found = self._forest.get_nns_by_vector(query, k, search_k)
        return np.asarray(found, np.int64)


def _vectors_in(path: Path, n: int, forest: Forest) -> FloatArray:
    """The vectors inside Annoy's file, (n, d), not copied.

    A file is a row of nodes of one size, the items first: a count, two children (an item has its
    squared length in their place), the vector.  ``get_item_vector`` would go through Python's floats,
    20 microseconds each.
    """
    node = np.dtype([("count", "i4"), ("children", "i4", 2), ("vector", "f4", (forest.f,))])
    vectors: FloatArray = np.memmap(path, node, mode="r").view(np.ndarray)["vector"][:n]
    if n and vectors[-1].tolist() != forest.get_item_vector(n - 1):
        raise corrupt(path, "its layout is not that of Annoy 1.17")
    return vectors


def _as_text(path: Path) -> str:
    """The path as a string; InputError if it is not UTF-8."""
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise InputError(
            f"{str(path)!r}: Annoy opens only paths that are UTF-8; move the index or use another backend"
        ) from error
    return str(path)
