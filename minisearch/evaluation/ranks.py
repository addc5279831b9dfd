"""Ranks of the one right document, a rank a query, in; recall and reciprocal rank out, with intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

DEPTH = 10  # what stands further down counts as not found
RECALL_AT = (1, 5, 10)
MRR = f"MRR@{DEPTH}"

_Z = 1.959964  # 95 % of a normal distribution lie within


@dataclass(frozen=True, slots=True)
class Figure:
    """A mean over queries, and the 95 % interval in which that over endlessly many such queries lies."""

    value: float
    low: float
    high: float


def figures(ranks: Sequence[int]) -> dict[str, Figure]:
    """Recall at 1, 5 and 10, and the mean reciprocal rank; a rank counts from 1, and 0 is "not found".

    >>> {name: round(figure.value, 3) for name, figure in figures([1, 2, 0, 4]).items()}
    {'recall@1': 0.25, 'recall@5': 0.75, 'recall@10': 0.75, 'MRR@10': 0.438}
    """
    recalls = {f"recall@{k}": mean([float(0 < rank <= k) for rank in ranks]) for k in RECALL_AT}
    return recalls | {MRR: mean(reciprocals(ranks))}


def reciprocals(ranks: Sequence[int]) -> list[float]:
    """1 / rank, 0 beyond the tenth."""
    return [1 / rank if 0 < rank <= DEPTH else 0.0 for rank in ranks]


def mean(values: Sequence[float]) -> Figure:
    """The mean of numbers from 0 to 1, and Wilson's score interval around it.

    Made for shares (Wilson, JASA 22, 1927); other numbers from 0 to 1 vary less than shares of the same
    mean, so for them it is rather too wide.  It stays honest where all is found, or nothing.
    """
    n, value = len(values), sum(values) / len(values)
    centre = (value + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
    half = _Z / (1 + _Z**2 / n) * math.sqrt(value * (1 - value) / n + _Z**2 / (4 * n**2))
    return Figure(value, max(centre - half, 0.0), min(centre + half, 1.0))
