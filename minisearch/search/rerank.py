"""A second, closer look at the best candidates of a search: which of them come first, and how many are seen.

A query, its candidates in their order and a `Reranker` come in; a new order and the reranker's scores go
out.  How many candidates are looked at is a depth that the caller gives, or what a time budget allows by the
reranker's own measured speed.  Finding candidates and loading a reranker is left to others.
"""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from minisearch.errors import InputError, ModelError, short
from minisearch.types import Encoder, FloatArray, IntArray, Reranker

# What a pass over the sample costs is a few passages' worth: enough to fill two cores, little to wait for.
SAMPLE_QUERY = "how do I run a failed task again"
SAMPLE_TEXTS = ["the scheduler clears a failed task and runs it again with what it depends on " * 8] * 4
N_TIMED = 3

# Tokens that computing a score takes, (n,) int64, one number a candidate, the query's share included.
Cost = Callable[[str, Sequence[str]], IntArray]


@dataclass(frozen=True, slots=True)
class Reranked:
    """Candidates in a new order.

    ``order`` (n,) int64 holds each candidate's place in the old order once.  ``scores`` (n_seen,) float32 are
    the reranker's, highest first, of ``order[:n_seen]``; the rest was not looked at and has none.
    """

    order: IntArray
    scores: FloatArray

    @property
    def n_seen(self) -> int:
        """How many candidates the reranker looked at."""
        return len(self.scores)


def rerank(query: str, texts: Sequence[str], reranker: Reranker, *, depth: int) -> Reranked:
    """The first ``depth`` texts in the reranker's order, then the others as they were.

    Equal scores keep their old order.  Raises InputError for a depth below 1, ModelError when the reranker
    gives anything but one finite number a text.
    """
    if depth < 1:
        raise InputError(f"rerank depth is {depth}: expected at least 1 candidate")
    seen = list(texts[:depth])
    if not seen:
        return Reranked(np.empty(0, np.int64), np.empty(0, np.float32))
    scores = _checked(reranker.score(query, seen), len(seen), reranker.name)
    best_first = np.argsort(-scores, kind="stable")
    rest = np.arange(len(seen), len(texts), dtype=np.int64)
    return Reranked(np.concatenate([best_first, rest]), scores[best_first])


def _checked(scores: FloatArray, n: int, name: str) -> FloatArray:
    scores = np.asarray(scores, np.float32)
    if scores.shape != (n,):
        raise ModelError(f"reranker {name} gave scores of shape {scores.shape}, expected ({n},), one a text")
    n_odd = int(n - np.isfinite(scores).sum())
    if n_odd:
        raise ModelError(
            f"reranker {name} gave {n_odd} of {n} passages a score that is no finite number: its weights are "
            f"damaged, or need float32 to compute in"
        )
    return scores


class BiReranker:
    """Reranks by the cosine of another encoder, a deeper one than the index was made with.

    >>> BiReranker(encoder).score("query", ["a passage", "another"])  # doctest: +SKIP
    array([0.61, 0.13], dtype=float32)
    """

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder

    @property
    def name(self) -> str:
        """The encoder's name."""
        return self.encoder.name

    def score(self, query: str, texts: Sequence[str]) -> FloatArray:
        """Cosine of each text with the query, (n,) float32, in the order of the texts."""
        if not len(texts):
            return np.empty(0, np.float32)
        (query_vector,) = self.encoder.encode_query([query])  # (D,)
        vectors = self.encoder.encode_document(texts)  # (n, D)
        cosines: FloatArray = vectors @ query_vector
        return cosines


class Pace:
    """How many candidates a reranker gets through in a given time.

    Its speed is measured on a small sample when it is first needed, and kept from then on.  ``cost`` counts
    what each candidate takes.
    """

    def __init__(
        self, reranker: Reranker, cost: Cost, *, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self.reranker = reranker
        self.cost = cost
        self._clock = clock
        self._tokens_per_s: float | None = None

    @property
    def tokens_per_s(self) -> float:
        """The measured speed, tokenising included."""
        if self._tokens_per_s is None:
            self._score_sample()  # the first run packs weights and claims memory
            seconds = statistics.median(self._score_sample() for _ in range(N_TIMED))
            n_tokens = int(self.cost(SAMPLE_QUERY, SAMPLE_TEXTS).sum())
            self._tokens_per_s = n_tokens / max(seconds, 1e-9)
        return self._tokens_per_s

    def depth(self, query: str, texts: Sequence[str], budget_s: float) -> int:
        """How many of the first texts the reranker can score within ``budget_s`` seconds, at least 1."""
        if not budget_s > 0:
            raise InputError(f"rerank budget is {budget_s} s: expected more than 0")
        n_tokens = np.cumsum(self.cost(query, texts))
        return max(1, int(np.searchsorted(n_tokens, budget_s * self.tokens_per_s, side="right")))

    def _score_sample(self) -> float:
        started = self._clock()
        self.reranker.score(SAMPLE_QUERY, SAMPLE_TEXTS)
        return self._clock() - started


def parse_duration(text: str) -> float:
    """Seconds of a duration like "300ms", "0.5s" or "2 s"; InputError for anything else.

    >>> parse_duration("300ms")
    0.3
    """
    match = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*(ms|s)\s*", text, re.IGNORECASE)
    seconds = float(match[1]) / (1_000 if match[2].lower() == "ms" else 1) if match else 0.0
    if not 0 < seconds < float("inf"):
        raise InputError(
            f"'{short(text)}' is no duration: expected a number above 0 with ms or s, like 300ms or 0.5s"
        )
    return seconds
