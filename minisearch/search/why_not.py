"""Explains why a file was not found: it is not indexed, filtered out, outranked, or lost in the fusion.

A search over one snapshot, and a file or a line of it, go in; one verdict with its numbers comes out.  The
search runs twice, with the user's options and over every passage; the reasons for files that are not indexed
are read from the snapshot.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from minisearch import filters
from minisearch.filters import Filter
from minisearch.manifest import Manifest
from minisearch.paths import IndexLocation, is_below, quoted
from minisearch.results import Place, SearchOptions, SearchResult, SearchResults
from minisearch.search.path_filters import with_stored_paths
from minisearch.search.pipeline import chunks_at
from minisearch.stores.base import Snapshot

Verdict = Literal[
    "not indexed", "filtered", "no match", "outranked", "fused away", "reranked", "varied", "found"
]


@dataclass(frozen=True, slots=True)
class WhyNot:
    """Where a file ranks for a query, and why it is not among the results.

    If a line was given, everything is about the passages that contain it.  ``reason`` is a sentence.
    ``passage`` is the file's best passage, with its rank among all ``n_ranked`` passages that match, and
    ``last`` the last of the results; both are None if the file does not match.  ``filters`` describe the
    conditions that none of its passages meets.
    """

    path: str
    verdict: Verdict
    reason: str
    passage: SearchResult | None = None
    last: SearchResult | None = None
    n_ranked: int = 0
    filters: tuple[str, ...] = ()


def why_not(
    search: Callable[[SearchOptions], SearchResults],
    snapshot: Snapshot,
    location: IndexLocation,
    key: str,
    given: str | os.PathLike[str],
    line: int | None,
    options: SearchOptions,
    stored: SearchOptions,
) -> WhyNot:
    """`MiniSearch.why_not` for the file stored as ``key``, which the user wrote as ``given``.

    ``search`` searches the snapshot.  ``options`` are the user's, ``stored`` the same
    with stored paths in the filter.
    """
    results = search(stored)
    chunks = snapshot.chunks_of(key)
    _, n_chunks = snapshot.counts()
    name = location.shown(key)
    if not chunks:
        return WhyNot(name, "not indexed", _not_indexed(snapshot, location, key, given))
    ids = {chunk.id for chunk in chunks_at(chunks, given, line)}
    ranked = search(replace(stored, k=n_chunks, by="chunk", diverse=None, evidence=False))
    own = [result for result in ranked if result.chunk_id in ids]
    if (rank := _rank_in(results, ids)) is not None:
        return WhyNot(name, "found", f"it is result {rank}", *_about(own, results, ranked))
    if own:
        verdict, reason = _outranked(own, results, ranked, options.k)
        return WhyNot(name, verdict, reason, *_about(own, results, ranked))
    if failed := _failed(snapshot, location, ids, results, options.where):
        reason = f"none of its passages is {' and '.join(failed)}"
        return WhyNot(name, "filtered", reason, filters=failed)
    return WhyNot(name, "no match", f"none of its {len(ids):,} passages has any of the query's words")


def _about(own: list[SearchResult], results: SearchResults, ranked: SearchResults) -> tuple[Any, Any, int]:
    return own[0] if own else None, results[-1] if results else None, len(ranked)


def _rank_in(results: SearchResults, ids: set[int]) -> int | None:
    """The rank of the result that is, or was merged with, one of these chunks."""
    for result in results:
        merged: tuple[Place, ...] = result.merged
        if result.chunk_id in ids or any(place.chunk_id in ids for place in merged):
            return result.rank
    return None


# --- not indexed -------------------------------------------------------------------------------------------


def _not_indexed(snapshot: Snapshot, location: IndexLocation, key: str, given: str | os.PathLike[str]) -> str:
    """Why the index has no document of this name."""
    skipped = {one.path: one.reason for one in snapshot.journal.skipped()}
    if key in skipped:
        return f"it was skipped: {skipped[key]}"
    for one in snapshot.journal.left_out():
        above = one.path.rstrip("/")
        if is_below(location.absolute(key), {location.absolute(above)}):
            place = "it was" if above == key else f"its folder {location.shown(above)} was"
            return f"{place} left out: {one.reason}"
    if not Path(location.absolute(key)).exists():
        return "there is no such file"
    if Path(location.absolute(key)).is_dir():
        return "it is a folder: expected a file"
    last = snapshot.journal.last_run()
    last_roots = {location.absolute(root) for root in last.roots} if last else set()
    if last and not last.is_finished and is_below(location.absolute(key), last_roots):
        return "the last run ended before it reached the file: run minisearch index again"
    roots = Manifest.read(snapshot, location.folder).root_paths(location)
    if is_below(location.absolute(key), last_roots.union(roots)):
        since = (
            "was not yet in the index that the rollback restored"
            if last and last.outcome == "rolled back"
            else "is newer than the last run"
        )
        return f"it {since}: run minisearch index again"
    return f"no run has included it: minisearch index {quoted(given)}{location.option}"


# --- filtered ----------------------------------------------------------------------------------------------


def _failed(
    snapshot: Snapshot, location: IndexLocation, ids: set[int], results: SearchResults, where: Filter | None
) -> tuple[str, ...]:
    """Descriptions of the conditions that none of the passages meets.

    All conditions, if some passage meets each of them and none meets all.
    """
    query = results.query
    parts = list(filters.flat(where)) if isinstance(where, filters.And) else [] if where is None else [where]
    parts += [filters.Contains(phrase) for phrase in query.required]
    parts += [filters.Not(filters.Contains(phrase)) for phrase in query.excluded]
    failed = [part for part in parts if not _matching(part, snapshot, location) & ids]
    if not failed and not _matching(filters.And(tuple(parts)), snapshot, location) & ids:
        failed = parts
    return tuple(map(_words, failed))


def _matching(where: Filter, snapshot: Snapshot, location: IndexLocation) -> set[int]:
    """The chunks that meet a condition."""
    return set(snapshot.select(with_stored_paths(where, location)).tolist())


def _words(where: Filter) -> str:
    """Describe a passage that meets the condition."""
    match where:
        case filters.Contains(phrase):
            return f'one with "{phrase}"'
        case filters.Not(part):
            return f"not {_words(part)}"
        case filters.Or(parts) | filters.And(parts):
            joint = " or " if isinstance(where, filters.Or) else " and "
            return f"({joint.join(map(_words, parts))})"
    return f"of a file {_words_of_file(where)}"


def _words_of_file(where: Filter) -> str:
    match where:
        case filters.Path(pattern):
            return f"at {pattern}"
        case filters.Extension(suffix):
            return f"that ends in {suffix}"
        case filters.Language(name):
            return f"in {name}"
        case filters.Since(moment):
            return f"changed since {moment:%Y-%m-%d %H:%M}"
        case filters.Before(moment):
            return f"changed before {moment:%Y-%m-%d %H:%M}"
        case filters.Field(name, operator, value):
            return f"with {name} {operator} {value!r}"
    return f"with {where!r}"


# --- outranked ---------------------------------------------------------------------------------------------


def _outranked(
    own: list[SearchResult], results: SearchResults, ranked: SearchResults, k: int
) -> tuple[Verdict, str]:
    """The verdict on a file that matches and is not among the results."""
    best = own[0]
    before = min((one.trace.rank_before_rerank for one in own if one.trace.rank_before_rerank), default=None)
    if before is not None and before <= k:
        return "reranked", f"it was at rank {before}, and the reranker put it at rank {best.rank}"
    # Only scores on the same scale are compared: a reranker has its own.
    scores = [one.score for one in results if (one.trace.rerank is None) == (best.trace.rerank is None)]
    if scores and best.score > min(scores):
        return "varied", f"its passage is at rank {best.rank}, and results that differ more were preferred"
    by_meaning = min((one.trace.dense_rank for one in own if one.trace.dense_rank), default=None)
    by_words = min((one.trace.lexical_rank for one in own if one.trace.lexical_rank), default=None)
    # In one mode alone another chunk of the file may rank higher.
    ranks = [
        f"{how} it is {ordinal(n)}" for n, how in ((by_meaning, "by meaning"), (by_words, "by words")) if n
    ]
    if not by_words and results.mode != "dense":
        ranks.append("it has none of the words")
    where = f"ranked {ordinal(best.rank)} of {len(ranked):,}; the page shows {len(results):,}"
    single = min((rank for rank in (by_meaning, by_words) if rank), default=None)
    is_lost = results.mode == "hybrid" and not results.n_reranked and single is not None and single <= k
    return "fused away" if is_lost else "outranked", "; ".join([where, *ranks])


def ordinal(n: int) -> str:
    """A number as a rank.

    >>> [ordinal(n) for n in (1, 2, 3, 4, 11, 1_122)]
    ['1st', '2nd', '3rd', '4th', '11th', '1,122nd']
    """
    ending = "th" if n % 100 in {11, 12, 13} else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")
    return f"{n:,}{ending}"
