"""The base class of all vector indexes, and the score that they share.

An index is an immutable base in its backend's own file, a small exact delta of the vectors added since, and
the set of ids removed since (tombstones).  Ids and unit vectors go in; the ids of the nearest live vectors
come out, with their cosines.  A backend only proposes candidates from its base.  This class scores them,
drops the removed ones, asks for more until the result is certain, and orders it.  So a pair of vectors has
the same score, to the last bit, in every backend, in base and delta, and in any batch.

A search among some ids is the search of an index from which all others were removed.  If few are left, their
vectors are scanned; if many are, the backend's candidates contain enough of them.

The store that keeps the ids and vectors also keeps the file's checksum: a file that was damaged without a
change of length can load and give wrong results.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Literal, final

import numpy as np
import numpy.typing as npt

from minisearch.errors import IndexCorrupt, InputError
from minisearch.types import FloatArray, Hits, IntArray

# Candidates fetched beyond k at first: enough to see past the k-th score unless chunks are copies.
SPARE_CANDIDATES = 8

# A backend sums in another order than this class.  With 384 dimensions the two differ by about 1e-7.  A
# candidate is certainly behind the k-th hit only if its score is lower by more than that.
ROUNDING = 1e-6


# Rows gathered and scored at a time: 1.5 MB of 384 dimensions, which stay in the cache (0.12 ms).
BLOCK = 1_000

Plan = Literal["scan", "widen"]


@dataclass(frozen=True, slots=True)
class Changes:
    """Vectors added and removed since the base was built; replaced as a whole by every change."""

    ids: IntArray  # (m,) of the delta's live vectors, ascending
    vectors: FloatArray  # (m, d)
    base_is_live: npt.NDArray[np.bool_]  # (n,)
    n_base_live: int

    def among(self, base_ids: IntArray, ids: IntArray) -> Changes:
        """The same, with every vector that is not in ``ids`` removed as well."""
        is_live = self.base_is_live & np.isin(base_ids, ids)
        is_in_delta = np.isin(self.ids, ids)
        return replace(
            self,
            ids=self.ids[is_in_delta],
            vectors=self.vectors[is_in_delta],
            base_is_live=is_live,
            n_base_live=int(is_live.sum()),
        )


class VectorIndex(ABC):
    """Exact cosine scores over unit vectors, whatever library finds the candidates.

    >>> index = FlatIndex.build(ids, vectors)               # (n,) ascending, (n, d) unit rows
    >>> index.set_changes(added_ids, added_vectors, removed_ids)
    >>> [hits] = index.search(query[None], k=10)            # a Hits a query
    """

    name: ClassVar[str]
    suffix: ClassVar[str]

    # How many vectors could be scanned in the time that the backend needs to propose one; None if it has
    # nothing faster than a scan.
    rows_per_candidate: int | None = None

    def __init__(self, ids: IntArray, vectors: FloatArray) -> None:
        _check_rows(ids, vectors)
        self._base_ids = ids
        self._base_vectors = vectors
        self.set_changes(ids[:0], vectors[:0], ids[:0])

    @classmethod
    @abstractmethod
    def build(cls, ids: IntArray, vectors: FloatArray) -> VectorIndex:
        """An index whose base holds ``vectors`` (n, d) under ``ids`` (n,), which ascend; n may be 0."""

    @abstractmethod
    def save(self, path: Path) -> None:
        """The base in one file at ``path``, without the ids; raises OSError."""

    @classmethod
    @abstractmethod
    def load(cls, path: Path, ids: IntArray, dimension: int) -> VectorIndex:
        """The base saved at ``path``, holding ``ids``; raises IndexCorrupt for a file that does not.

        The file is mapped into memory and must not change.  Damage that keeps the file's shape is not
        noticed here: compare its checksum first.
        """

    def _candidates(self, query: FloatArray, k: int) -> IntArray:
        """Base positions of about the k nearest to ``query`` (d,), in any order.

        Called only if ``rows_per_candidate`` is a number.
        """
        raise NotImplementedError

    @final
    def set_changes(self, added_ids: IntArray, added_vectors: FloatArray, removed_ids: IntArray) -> None:
        """Set everything that was added and removed since the base was built.

        ``added_ids`` (m,) ascend and follow the base's last id; ``added_vectors`` (m, d).
        ``removed_ids`` may name vectors of the base, of the delta, or neither.
        """
        _check_rows(added_ids, added_vectors)
        assert added_vectors.shape[1] == self.dimension, "a delta has the dimension of its base"
        assert (added_ids[:1] > self._base_ids[-1:]).all(), "a delta follows its base"
        is_live = np.isin(added_ids, removed_ids, invert=True)
        base_is_live = np.isin(self._base_ids, removed_ids, invert=True)
        self._changes = Changes(
            ids=added_ids[is_live],
            vectors=added_vectors[is_live],
            base_is_live=base_is_live,
            n_base_live=int(base_is_live.sum()),
        )

    @final
    def search(self, queries: FloatArray, k: int, *, among: IntArray | None = None) -> list[Hits]:
        """The k nearest live vectors to each of ``queries`` (q, d), or all if there are fewer.

        With ``among`` (m,), ascending, only vectors of these ids count; unknown ids are ignored.
        Scores are float32 cosines, best first, equal ones by smaller id.
        """
        if k < 1:
            raise InputError(f"k is {k}; ask for at least 1 hit")
        queries, changes = self._checked(queries), self._changes_among(among)
        return [self._nearest(query, k, changes) for query in queries]

    @final
    def scores(self, query: FloatArray, ids: IntArray) -> FloatArray:
        """The cosine of each of ``ids`` (n,) with ``query`` (d,): (n,) float32, bit for bit as in `search`.

        nan for an id that is not in the index.
        """
        changes = self._changes
        [query] = self._checked(query[None])
        scores = np.full(len(ids), np.nan, np.float32)
        positions, is_there = _find(ids, self._base_ids)
        is_there[is_there] = changes.base_is_live[positions[is_there]]
        scores[is_there] = _scores_at(self._base_vectors, positions[is_there], query)
        positions, is_there = _find(ids, changes.ids)
        scores[is_there] = _scores_at(changes.vectors, positions[is_there], query)
        return scores

    @final
    def vectors(self, ids: IntArray) -> FloatArray:
        """The vectors (n, d) of live ``ids`` (n,)."""
        positions, is_in_base = _find(ids, self._base_ids)
        vectors = np.empty((len(ids), self.dimension), np.float32)
        vectors[is_in_base] = self._base_vectors[positions[is_in_base]]
        positions, is_in_delta = _find(ids, self._changes.ids)
        vectors[is_in_delta] = self._changes.vectors[positions[is_in_delta]]
        if missing := ids[~(is_in_base | is_in_delta)].tolist():
            raise IndexCorrupt(f"no vector of chunk {missing[0]} is stored: restore a backup, or index again")
        return vectors

    @final
    def plan(self, k: int, *, among: IntArray | None = None) -> Plan:
        """How `search` works: a scan, or candidates of the backend, widened until there are enough."""
        changes = self._changes_among(among)
        return "widen" if self._first_fetch(k, changes) else "scan"

    def _changes_among(self, ids: IntArray | None) -> Changes:
        changes = self._changes
        return changes if ids is None else changes.among(self._base_ids, ids)

    def _first_fetch(self, k: int, changes: Changes) -> int:
        """How many candidates should contain k live ones; 0 if a scan of the live ones is faster."""
        if changes.n_base_live < k:
            return 0
        n_fetch = -(-(k + SPARE_CANDIDATES) * self.n_base // changes.n_base_live)
        return n_fetch if self._is_worth(n_fetch, changes) else 0

    def _is_worth(self, n_fetch: int, changes: Changes) -> bool:
        cost = self.rows_per_candidate
        return cost is not None and n_fetch * cost <= changes.n_base_live

    def _nearest(self, query: FloatArray, k: int, changes: Changes) -> Hits:
        base = self._nearest_in_base(query, k, changes)
        delta_scores = score_rows(changes.vectors, query)
        return best_first(
            np.concatenate([base.ids, changes.ids]), np.concatenate([base.scores, delta_scores]), k
        )

    def _nearest_in_base(self, query: FloatArray, k: int, changes: Changes) -> Hits:
        """Widen until the k live hits are certain, or a scan is faster."""
        n_fetch = self._first_fetch(k, changes)
        while n_fetch and self._is_worth(n_fetch, changes):
            positions = self._candidates(query, n_fetch)
            scores = score_rows(self._base_vectors[positions], query)
            is_live = changes.base_is_live[positions]
            hits = best_first(self._base_ids[positions[is_live]], scores[is_live], k)
            if len(hits) == k and hits.scores[-1] > scores.min() + ROUNDING:
                return hits
            n_fetch *= 4
        return best_first(*self._scan(query, changes), k)

    def _scan(self, query: FloatArray, changes: Changes) -> tuple[IntArray, FloatArray]:
        """Every live id of the base with its score."""
        is_live = changes.base_is_live
        if changes.n_base_live > self.n_base // 2:  # to gather a row takes as long as to score it
            return self._base_ids[is_live], score_rows(self._base_vectors, query)[is_live]
        positions = np.flatnonzero(is_live)
        return self._base_ids[positions], _scores_at(self._base_vectors, positions, query)

    def _checked(self, queries: FloatArray) -> FloatArray:
        """Queries (q, d), float32 and contiguous; InputError for a wrong shape or number."""
        if queries.ndim != 2 or queries.shape[1] != self.dimension:
            raise InputError(f"queries have shape {queries.shape}; this index takes (q, {self.dimension})")
        if not np.isfinite(queries).all():
            raise InputError("a query vector holds a number that is not finite")
        return np.require(queries, np.float32, ["C", "A"])

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return int(self._base_vectors.shape[1])

    @property
    def n_base(self) -> int:
        """Vectors in the base, removed ones included."""
        return len(self._base_ids)

    @property
    def ids(self) -> IntArray:
        """Every live id, ascending."""
        return np.concatenate([self._base_ids[self._changes.base_is_live], self._changes.ids])

    def __len__(self) -> int:
        """Vectors that a search can return."""
        return self._changes.n_base_live + len(self._changes.ids)


def score_rows(vectors: FloatArray, query: FloatArray) -> FloatArray:
    """The one score: the dot product of each row of ``vectors`` (n, d) with ``query`` (d,), (n,) float32.

    A row's score depends on the two vectors only.  In a matrix product it does not: BLAS sums in another
    order for other shapes, and two copies of a chunk would no longer tie.
    """
    scores: FloatArray = np.einsum("nd,d->n", vectors, query)
    return scores


def _scores_at(vectors: FloatArray, positions: IntArray, query: FloatArray) -> FloatArray:
    """`score_rows` of the rows at ``positions`` (m,), without a copy of them all: (m,) float32."""
    scores = np.empty(len(positions), np.float32)
    for start in range(0, len(positions), BLOCK):
        block = slice(start, start + BLOCK)
        scores[block] = score_rows(vectors[positions[block]], query)
    return scores


def _find(ids: IntArray, among: IntArray) -> tuple[IntArray, npt.NDArray[np.bool_]]:
    """The position of each of ``ids`` in ``among``, which ascends, and whether it is there."""
    positions = np.searchsorted(among, ids)
    is_there = positions < len(among)
    is_there[is_there] = among[positions[is_there]] == ids[is_there]
    return positions, is_there


def best_first(ids: IntArray, scores: FloatArray, k: int) -> Hits:
    """The k highest ``scores`` with their ``ids``, or all; equal scores by smaller id."""
    if len(ids) > k:
        kth_score = np.partition(scores, -k)[-k]
        in_reach = scores >= kth_score  # including ties for the last place
        ids, scores = ids[in_reach], scores[in_reach]
    order = np.lexsort((ids, -scores))[:k]
    return Hits(ids[order], scores[order])


def _check_rows(ids: IntArray, vectors: FloatArray) -> None:
    assert ids.dtype == np.int64 and vectors.dtype == np.float32, "ids are int64, vectors float32"
    assert vectors.ndim == 2 and ids.shape == vectors.shape[:1], "one id a vector"
    assert (np.diff(ids) > 0).all(), "ids ascend"


def check_base(path: Path, *, found: tuple[int, int], expected: tuple[int, int]) -> None:
    """Raise IndexCorrupt unless the base has the (number, dimension) that it should."""
    if found != expected:
        raise IndexCorrupt(
            f"{path}: holds {found[0]} vectors of dimension {found[1]} where {expected[0]} of dimension "
            f"{expected[1]} were expected; rebuild the vector index"
        )


def corrupt(path: Path, reason: str | Exception) -> IndexCorrupt:
    """The error for an index file that cannot be read."""
    return IndexCorrupt(f"{path}: the vector index cannot be read ({reason}); rebuild it")
