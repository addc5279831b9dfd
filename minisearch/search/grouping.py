"""Grouping: neighbours and near copies share a result, and no document takes all the places.

Ranked candidates come in, best first, with their unit vectors (n, d) in the same order; groups or a new order
go out.  A group keeps all its members.  Ranking is left to `ranking`, what is shown of a group to `pipeline`.
It is meant for a few hundred candidates: time and memory grow with their square.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from minisearch.errors import InputError
from minisearch.types import FloatArray

COPY_COSINE = 0.97
"""Two chunks with at least this cosine count as copies."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A ranked chunk.

    The chunks of one document have consecutive ``chunk_id`` in their order.  A higher ``score`` is better.
    ``text_key`` is equal for equal texts (the text itself, or its hash).  ``heading`` is the path of headings
    above it.
    """

    chunk_id: int
    document_id: int
    score: float
    text_key: str | bytes
    heading: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """Candidates that share one result, best first; never empty."""

    members: tuple[Candidate, ...]

    @property
    def best(self) -> Candidate:
        """The candidate that is shown."""
        return self.members[0]


def merge(ranked: Sequence[Candidate], vectors: FloatArray | None = None) -> list[Group]:
    """Group each candidate with a better one that is its neighbour under the same heading or a near copy.

    A candidate joins the first group whose best is such a neighbour or copy; each candidate is in one group.
    Only the best of a group counts, so a chain of neighbours does not become one group.  Without vectors only
    equal texts are copies.
    """
    # A neighbour under another heading may be the right section.  If such neighbours are grouped, the right
    # section is among the first five results for 65% of 132 known items in data/ and 67% of 236 in Ansible's
    # documentation; if they are not, for 69% and 69%; if they are, and the chunk with the nearest sentence
    # is shown, for 62% and 64%.
    members: list[list[Candidate]] = []
    leaders: list[int] = []  # the position of each group's best
    of_text: dict[str | bytes, int] = {}  # the first group whose best has this text
    beside: dict[tuple[int, str, int], int] = {}  # the first group whose best is next to this chunk
    is_alike = None if vectors is None else _cosines(vectors) >= COPY_COSINE  # (n, n)
    for position, candidate in enumerate(ranked):
        section, chunk_id = (candidate.document_id, candidate.heading), candidate.chunk_id
        found = [of_text.get(candidate.text_key), beside.get((*section, chunk_id))]
        if is_alike is not None and (alike := is_alike[position, leaders]).any():
            found.append(int(alike.argmax()))
        first = min((group for group in found if group is not None), default=None)
        if first is not None:
            members[first].append(candidate)
            continue
        of_text.setdefault(candidate.text_key, len(leaders))
        for neighbour in (chunk_id - 1, chunk_id + 1):
            beside.setdefault((*section, neighbour), len(leaders))
        leaders.append(position)
        members.append([candidate])
    return [Group(tuple(group)) for group in members]


def _cosines(vectors: FloatArray) -> FloatArray:
    """The cosines of all pairs, (n, n)."""
    # Not a matrix product: OpenBLAS's threads spin while they wait for one another, and where torch's or
    # another program's want the cores as well, half a millisecond took fifteen.
    cosines: FloatArray = np.einsum("nd,md->nm", vectors, vectors)
    return cosines


N_SPREAD = 10  # results; beyond them a reader wants the next best, wherever it is


def spread(groups: Sequence[Group], k: int, *, per_document: int = 3) -> list[Group]:
    """The first k groups; of the first `N_SPREAD`, at most ``per_document`` are led by one document.

    The groups held back follow in their order, so a larger k hides none of the results of a smaller one.
    """
    if k < 1 or per_document < 1:
        raise InputError(f"k is {k} and per_document is {per_document}: both must be at least 1")
    n_shown: Counter[int] = Counter()
    shown: list[Group] = []
    held_back: list[Group] = []
    for group in groups:
        if len(shown) < N_SPREAD and n_shown[group.best.document_id] < per_document:
            n_shown[group.best.document_id] += 1
            shown.append(group)
        else:
            held_back.append(group)
    return (shown + held_back)[:k]


def diversify(
    ranked: Sequence[Candidate], vectors: FloatArray, k: int, *, trade_off: float
) -> list[Candidate]:
    """Choose k candidates that are relevant and differ from each other: maximal marginal relevance.

    The next is always the one with the highest ``trade_off * relevance - (1 - trade_off) * similarity``: its
    score scaled to [0, 1] over the candidates, and its cosine with the nearest one already chosen, 0 for the
    first.  Equal ones keep the order of the ranking.  A score higher than one ranked before it counts like
    that one, since a reranker has its own scale.  At 1 the ranking is unchanged, at 0 only variety counts.

    Carbonell and Goldstein, "The use of MMR, diversity-based reranking for reordering documents and producing
    summaries", SIGIR 1998.
    """
    if k < 1 or not 0 <= trade_off <= 1:
        raise InputError(
            f"k is {k}, the trade-off {trade_off}: expected at least 1, and a number from 0 to 1"
        )
    scores = np.array([candidate.score for candidate in ranked], np.float64)
    scores = np.minimum.accumulate(scores) if len(scores) else scores
    span = np.ptp(scores) if len(scores) else 0.0
    relevance = (scores - scores.min()) / span if span > 0 else np.ones(len(scores))  # (n,)
    cosines = _cosines(vectors)  # (n, n)
    nearest = np.zeros(len(ranked))
    is_left = np.ones(len(ranked), bool)
    chosen: list[int] = []
    while len(chosen) < min(k, len(ranked)):
        marginal = np.where(is_left, trade_off * relevance - (1 - trade_off) * nearest, -np.inf)
        best = int(np.argmax(marginal))  # the first of equals
        nearest = np.maximum(nearest, cosines[best]) if chosen else cosines[best].astype(np.float64)
        is_left[best] = False
        chosen.append(best)
    return [ranked[position] for position in chosen]


def by_document(ranked: Sequence[Candidate]) -> list[Group]:
    """One group for each document, in the order of their best chunks."""
    chunks: dict[int, list[Candidate]] = {}
    for candidate in ranked:
        chunks.setdefault(candidate.document_id, []).append(candidate)
    return [Group(tuple(members)) for members in chunks.values()]
