"""The backends under contract, and small vectors to put in them."""

from __future__ import annotations

import numpy as np
import pytest

from minisearch.errors import BackendUnavailable
from minisearch.vectors import load_backend


def forced_to_hnsw():
    class Hnsw(load_backend("faiss")):
        hnsw_from = 0
        rows_per_candidate = EAGER

    return Hnsw


def forced_to_forest():
    class Forest(load_backend("annoy")):
        rows_per_candidate = EAGER

    return Forest


# Candidates are asked for where a scan would be quicker, so that small collections try them.
EAGER = 4


def index_class(name):
    """The class of a row in the table; "hnsw" is FAISS with its graph at any size."""
    forced = {"hnsw": forced_to_hnsw, "annoy": forced_to_forest}
    try:
        return forced[name]() if name in forced else load_backend(name)
    except BackendUnavailable as error:
        pytest.skip(str(error))


ALL_BACKENDS = ["flat", "annoy", "hnsw"]


def unit_rows(n, dimension=24, seed=0):
    """Points around a few centres, on the unit sphere: what neighbours look like in text."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(20, dimension))
    rows = centres[rng.integers(0, 20, n)] + 0.6 * rng.normal(size=(n, dimension))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def some_ids(n, start=5, step=3):
    """Ids as a store hands them out: ascending, with gaps."""
    return np.arange(n, dtype=np.int64) * step + start


def brute_force(ids, vectors, query, k):
    """The k best (id, score), best first, ties by id: one multiplication at a time, in double precision."""
    scores = (vectors.astype(np.float64) * query.astype(np.float64)).sum(axis=1)
    ranked = sorted(zip(ids.tolist(), scores.tolist(), strict=True), key=lambda hit: (-hit[1], hit[0]))
    return ranked[:k]
