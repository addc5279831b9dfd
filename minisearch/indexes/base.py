"""What every vector index does, and the one score they all give.

An index is an immutable base in its backend's own file, a small exact delta of the vectors that came
since, and the set of ids removed since.  ids and unit vectors come in; the ids of the nearest live
vectors go out, with their cosines.  A backend only proposes candidates from its base: this class scores
them, drops the removed ones, asks for more until the answer is sure, and orders it.  So a pair of
vectors has the same score, to the last bit, in every backend, in base and delta, and in any batch.

Whoever keeps the ids and vectors (they are the truth, an index is rebuilt from them) also keeps the
file's checksum: a file damaged without changing its length can load, and lie.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, final

import numpy as np
import numpy.typing as npt

from minisearch.errors import IndexCorrupt, IndexNotWritable, InputError
from minisearch.types import FloatArray, Hits, IntArray

# Candidates fetched beyond k at first: enough to see past the k-th score unless chunks repeat one another.
SPARE_CANDIDATES = 8

# A backend sums in another order than we do.  Over 384 dimensions the two differ by about 1e-7; a
# candidate is surely behind the k-th hit only where its score is lower by more than that.
ROUNDING = 1e-6


@dataclass(frozen=True, slots=True)
class Changes:
    """What came and went since the base was built; replaced whole, so that a search sees one state."""

    ids: IntArray  # (m,) of the delta's live vectors, ascending
    vectors: FloatArray  # (m, d)
    base_is_live: npt.NDArray[np.bool_]  # (n,)
    n_base_live: int
    n_added: int  # the delta's vectors, removed ones included


class VectorIndex(ABC):
    """Exact cosine scores over unit vectors, whatever library finds the candidates.

    >>> index = FlatIndex.build(ids, vectors)               # (n,) ascending, (n, d) unit rows
    >>> index.set_changes(added_ids, added_vectors, removed_ids)
    >>> [hits] = index.search(query[None], k=10)            # a Hits a query
    """

    name: ClassVar[str]
    suffix: ClassVar[str]

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
        """The base in one file at ``path``, without the ids; raises IndexNotWritable."""

    @classmethod
    @abstractmethod
    def load(cls, path: Path, ids: IntArray, dimension: int) -> VectorIndex:
        """The base saved at ``path``, holding ``ids``; raises IndexCorrupt for a file that does not.

        The file is mapped rather than read and must stay as it is.  Damage that keeps the file's
        shape is not seen here: compare its checksum first.
        """

    @abstractmethod
    def _candidates(self, query: FloatArray, k: int) -> IntArray | None:
        """Base positions of about the k nearest to ``query`` (d,), in any order; None to scan them all."""

    @final
    def set_changes(self, added_ids: IntArray, added_vectors: FloatArray, removed_ids: IntArray) -> None:
        """All that happened since the base was built, in place of what was said before.

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
            n_added=len(added_ids),
        )

    @final
    def search(self, queries: FloatArray, k: int) -> list[Hits]:
        """The k nearest live vectors to each of ``queries`` (q, d), every live one where there are fewer.

        Scores are float32 cosines, best first, equal ones by smaller id.
        """
        if k < 1:
            raise InputError(f"k is {k}; ask for at least 1 hit")
        if queries.ndim != 2 or queries.shape[1] != self.dimension:
            raise InputError(f"queries have shape {queries.shape}; this index takes (q, {self.dimension})")
        if not np.isfinite(queries).all():
            raise InputError("a query vector holds a number that is not finite")
        changes = self._changes
        return [self._nearest(query, k, changes) for query in np.require(queries, np.float32, ["C", "A"])]

    def _nearest(self, query: FloatArray, k: int, changes: Changes) -> Hits:
        base = self._nearest_in_base(query, k, changes)
        delta_scores = score_rows(changes.vectors, query)
        return best_first(
            np.concatenate([base.ids, changes.ids]), np.concatenate([base.scores, delta_scores]), k
        )

    def _nearest_in_base(self, query: FloatArray, k: int, changes: Changes) -> Hits:
        """Widen until k live hits stand clear of all that was not fetched; past a quarter, scan."""
        n_fetch = k + SPARE_CANDIDATES
        while n_fetch <= self.n_base // 4 and changes.n_base_live >= k:
            positions = self._candidates(query, n_fetch)
            if positions is None:
                break
            scores = score_rows(self._base_vectors[positions], query)
            is_live = changes.base_is_live[positions]
            hits = best_first(self._base_ids[positions[is_live]], scores[is_live], k)
            if len(hits) == k and hits.scores[-1] > scores.min() + ROUNDING:
                return hits
            n_fetch *= 4
        is_live = changes.base_is_live
        return best_first(self._base_ids[is_live], score_rows(self._base_vectors, query)[is_live], k)

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return int(self._base_vectors.shape[1])

    @property
    def n_base(self) -> int:
        """Vectors in the base, removed ones included."""
        return len(self._base_ids)

    @property
    def n_delta(self) -> int:
        """Vectors that came since the base was built, removed ones included."""
        return self._changes.n_added

    @property
    def n_removed(self) -> int:
        """Vectors of base and delta that no search returns any more."""
        return self.n_base + self.n_delta - len(self)

    @property
    def ids(self) -> IntArray:
        """Every live id, ascending."""
        return np.concatenate([self._base_ids[self._changes.base_is_live], self._changes.ids])

    def __len__(self) -> int:
        """Vectors that a search can return."""
        return self._changes.n_base_live + len(self._changes.ids)


def score_rows(vectors: FloatArray, query: FloatArray) -> FloatArray:
    """The one score: the dot product of each row of ``vectors`` (n, d) with ``query`` (d,), (n,) float32.

    A row's score depends on the two vectors alone.  A matrix product's does not: BLAS sums in another
    order for other shapes, and two copies of a chunk would no longer tie.
    """
    scores: FloatArray = np.einsum("nd,d->n", vectors, query)
    return scores


def best_first(ids: IntArray, scores: FloatArray, k: int) -> Hits:
    """The k highest ``scores`` with their ``ids``, all where there are fewer; equal scores by smaller id."""
    if len(ids) > k:
        kth_score = np.partition(scores, -k)[-k]
        in_reach = scores >= kth_score  # with all that tie for the last place
        ids, scores = ids[in_reach], scores[in_reach]
    order = np.lexsort((ids, -scores))[:k]
    return Hits(ids[order], scores[order])


def write_file(path: Path, *parts: bytes | memoryview) -> None:
    """``parts`` one after another in the file at ``path``; raises IndexNotWritable, as on a full disk."""
    try:
        with path.open("wb") as file:
            for part in parts:
                file.write(part)
    except OSError as error:
        raise not_writable(path, error) from error


def not_writable(path: Path, error: OSError) -> IndexNotWritable:
    """The error for an index file that could not be written."""
    return IndexNotWritable(f"{path}: the vector index cannot be written ({error.strerror or error})")


def check_base(path: Path, *, found: tuple[int, int], expected: tuple[int, int]) -> None:
    """Raise IndexCorrupt unless the base has the (number, dimension) that it should."""
    if found != expected:
        raise IndexCorrupt(
            f"{path}: holds {found[0]} vectors of dimension {found[1]} where {expected[0]} of dimension "
            f"{expected[1]} were expected; rebuild the vector index"
        )


def corrupt(path: Path, reason: str | Exception) -> IndexCorrupt:
    """The error for an index file that its library, or we, refuse."""
    return IndexCorrupt(f"{path}: the vector index cannot be read ({reason}); rebuild it")


def _check_rows(ids: IntArray, vectors: FloatArray) -> None:
    assert ids.dtype == np.int64 and vectors.dtype == np.float32, "ids are int64, vectors float32"
    assert vectors.ndim == 2 and ids.shape == vectors.shape[:1], "one id a vector"
    assert (np.diff(ids) > 0).all(), "ids ascend"
