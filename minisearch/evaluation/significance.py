"""Two settings' scores on the same queries in; how far apart they are, and whether chance would do, out.

The paired randomisation test: were the two settings alike, each query's difference might as well have the
other sign (Smucker, Allan and Carterette, "A comparison of statistical significance tests for information
retrieval evaluation", CIKM 2007).  Beside it stands a bootstrap interval of the mean difference.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from minisearch.types import FloatArray

N_RESAMPLES = 10_000
CONFIDENCE = 0.95
BLOCK = 2_000_000  # numbers drawn at a time, which bounds the memory


@dataclass(frozen=True, slots=True)
class Comparison:
    """The mean of (second - first) over the queries, its 95 % interval, and the p value, two-sided."""

    difference: float
    low: float
    high: float
    p: float


def compare(first: Sequence[float], second: Sequence[float], *, seed: int = 0) -> Comparison:
    """How the second setting's scores differ from the first's, query by query."""
    differences = np.asarray(second, np.float64) - np.asarray(first, np.float64)  # (n,)
    low, high = bootstrap_interval(differences, seed=seed)
    return Comparison(float(differences.mean()), low, high, randomisation_p(differences, seed=seed))


def randomisation_p(differences: FloatArray | np.ndarray, *, seed: int = 0) -> float:
    """How often random signs give a mean at least as far from 0; exact where all signs can be tried.

    ``differences`` (n,).  With 2^n ways within N_RESAMPLES every one is tried; otherwise N_RESAMPLES are
    drawn and the ways as they came count as one more, so that p is never 0.
    """
    n = len(differences)
    # Sums of the same numbers in another order differ in their last bits.
    bound = abs(differences.sum()) * (1 - 1e-12)
    if 2**n <= N_RESAMPLES:
        ways = np.arange(2**n)[:, None] >> np.arange(n) & 1  # (2^n, n)
        return float(np.mean(np.abs((1 - 2 * ways) @ differences) >= bound))
    generator = np.random.default_rng(seed)
    n_as_far = sum(
        int(np.sum(np.abs((1 - 2 * generator.integers(0, 2, (rows, n))) @ differences) >= bound))
        for rows in _blocks(n)
    )
    return (n_as_far + 1) / (N_RESAMPLES + 1)


def bootstrap_interval(values: FloatArray | np.ndarray, *, seed: int = 0) -> tuple[float, float]:
    """The percentile bootstrap's 95 % interval of the mean of ``values`` (n,)."""
    n = len(values)
    generator = np.random.default_rng(seed)
    of_means = np.concatenate([values[generator.integers(0, n, (rows, n))].mean(1) for rows in _blocks(n)])
    low, high = np.quantile(of_means, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def _blocks(n: int) -> Iterator[int]:
    """Row counts that add up to N_RESAMPLES, each of about BLOCK numbers."""
    at_once = max(1, BLOCK // n)
    for start in range(0, N_RESAMPLES, at_once):
        yield min(at_once, N_RESAMPLES - start)
