"""What ``eval`` and ``selftest`` print: measures, comparisons and latencies, as tables and as JSON.

Measured settings come in, lines and dictionaries go out.  It is imported after the measuring, with NumPy.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

from minisearch.cli.terminal import table_lines
from minisearch.evaluation.benchmark import LATENCY_K
from minisearch.evaluation.collection import Collection
from minisearch.evaluation.known_items import Kind, KnownItem, file_type
from minisearch.evaluation.measures import (
    MRR,
    Comparison,
    Estimate,
    Evaluation,
    compare,
    percentiles,
    rank_measures,
    reciprocal_ranks,
)
from minisearch.evaluation.selftest import EngineResult, SelfTest
from minisearch.text import count
from minisearch.types import IngestReport

MAIN = "nDCG@10"  # the measure by which settings are compared
QUERY_CHARACTERS = 60
LISTED_QUERIES = 20


# --- eval --------------------------------------------------------------------------------------------


def eval_lines(
    collection: Collection,
    report: IngestReport | None,
    results: Sequence[Evaluation],
    *,
    cut_queries: Sequence[str],
    per_query: bool,
) -> Iterator[str]:
    """The measures of each setting, their comparison with the first, and with ``per_query`` each query."""
    yield (
        f"{collection.name}, split {collection.split}: {count(len(collection.corpus), 'document')}, "
        f"{len(collection.queries):,} queries, {count(collection.n_judgements, 'judgement')}"
    )
    yield from (f"note: {note}" for note in collection.notes)
    if report and report.skipped:
        yield f"note: {count(len(report.skipped), 'document')} without text cannot be found"
    if cut_queries:
        listed = ", ".join(cut_queries[:LISTED_QUERIES]) + ", ..." * (len(cut_queries) > LISTED_QUERIES)
        n = len(cut_queries)
        verb = "is" if n == 1 else "are"
        yield f"note: {n:,} of the queries {verb} longer than the model sees, which cuts the end: {listed}"
    yield ""
    yield from _measures(results)
    if len(results) > 1:
        yield ""
        yield from _comparisons(results)
    if per_query:
        yield ""
        yield from _by_query(collection, results)


def _table(
    corner: str, columns: Sequence[str], rows: Sequence[tuple[str, Sequence[str]]], *, cell_width: int = 10
) -> Iterator[str]:
    """The lines of a table: names on the left, cells on the right."""
    return table_lines([(corner, *columns), *((name, *cells) for name, cells in rows)], least=cell_width)


def _measures(results: Sequence[Evaluation]) -> Iterator[str]:
    """A row for each setting: its measures and latency."""
    is_timed = any(result.latency_ms for result in results)
    columns = [*results[0].means, *(["p50 ms", "p95 ms", "p99 ms"] if is_timed else [])]
    rows = []
    for result in results:
        cells = [f"{value:.4f}" for value in result.means.values()]
        rows.append((result.name, cells + [f"{value:.1f}" for value in (result.latency_ms or {}).values()]))
    yield from _table(" " * 8, columns, rows)


def _comparisons(results: Sequence[Evaluation]) -> Iterator[str]:
    width = max(8, *(len(result.name) for result in results))
    yield f"{MAIN} against {results[0].name}: mean difference, 95 % interval, p"
    for result in results[1:]:
        if result.against_first:
            found = result.against_first[MAIN]
            interval = f"[{found.low:+.4f}, {found.high:+.4f}]"
            yield f"{result.name:<{width}}  {found.difference:>+10.4f}  {interval}  p = {found.p:.4f}"


def _by_query(collection: Collection, results: Sequence[Evaluation]) -> Iterator[str]:
    """The nDCG@10 of each query in every setting; with one setting, all measures."""
    if len(results) == 1:
        columns = dict(results[0].scores)
    else:
        columns = {result.name: result.scores[MAIN] for result in results}
        yield f"{MAIN} by query"
    rows = [(id_, [f"{scores[id_]:.4f}" for scores in columns.values()]) for id_ in collection.queries]
    lines = _table("query", list(columns), rows)
    yield next(lines)
    for line, text in zip(lines, collection.queries.values(), strict=True):
        yield f"{line}  {' '.join(text.split())[:QUERY_CHARACTERS]}"


def eval_json(
    collection: Collection,
    report: IngestReport | None,
    results: Sequence[Evaluation],
    *,
    cut_queries: Sequence[str],
    k: int,
    whole: bool,
) -> dict[str, Any]:
    """The same, with all numbers, for JSON; ``latency_k`` is the number of passages that were timed."""
    return {
        "collection": {
            "name": collection.name,
            "split": collection.split,
            "n_documents": len(collection.corpus),
            "n_queries": len(collection.queries),
            "n_judgements": collection.n_judgements,
            "notes": collection.notes,
            "cut_queries": cut_queries,
        },
        "index": asdict(report) | {"whole": whole} if report else None,
        "k": k,
        "latency_k": LATENCY_K,
        "settings": [
            {
                "name": result.name,
                "measures": result.means,
                "latency_ms": result.latency_ms,
                "against_first": result.against_first,
                "queries": {
                    query: {measure: of_query[query] for measure, of_query in result.scores.items()}
                    for query in collection.queries
                },
            }
            for result in results
        ],
    }


# --- selftest ----------------------------------------------------------------------------------------


def selftest_headline(found: SelfTest) -> str:
    """The number of queries and documents."""
    kinds = Counter(item.kind for item in found.items)
    nouns: dict[Kind, str] = {"title": "title", "heading": "heading", "sentence": "first sentence"}
    made = ", ".join(count(kinds[kind], noun) for kind, noun in nouns.items() if kinds[kind])
    return f"{len(found.items):,} queries from {count(found.n_documents, 'document')}: {made}"


def selftest_lines(found: SelfTest) -> Iterator[str]:
    """The quality and latency of each setting, and its quality by kind of query and file type."""
    yield selftest_headline(found)
    yield f"masked in their own documents; seed {found.seed}; ± is the wider half of a 95 % interval"
    yield ""
    measures = [(one.name, rank_measures(one.ranks)) for one in found.engine]
    rows = [(name, [*map(_cell, estimates.values())]) for name, estimates in measures]
    yield from _table("", list(measures[0][1]), rows)
    yield from _selftest_comparisons(found.engine)
    yield ""
    own = [one for one in found.engine if one.backend in {"", found.engine[0].backend}]
    yield from _selftest_groups(found, own, "kind", lambda item: item.kind)
    yield ""
    yield from _selftest_groups(found, own, "file type", lambda item: file_type(item.path))
    yield ""
    yield from _latency(found)


def _selftest_comparisons(results: Sequence[EngineResult]) -> Iterator[str]:
    """Every setting compared with the first, by query."""
    if len(results) < 2:
        return
    width = max(len(one.name) for one in results)
    yield ""
    yield f"MRR@10 against {results[0].name}: mean difference, 95 % interval"
    for one, difference in zip(results[1:], _against_first(results), strict=True):
        low, high = difference.low, difference.high
        remark = "  not significant" if low <= 0 <= high else ""
        if low == high == 0:
            remark = "  the same"
        yield f"{one.name:<{width}}  {difference.difference:>+10.3f}  [{low:+.3f}, {high:+.3f}]{remark}"


def _against_first(results: Sequence[EngineResult]) -> list[Comparison]:
    first = reciprocal_ranks(results[0].ranks)
    return [compare(first, reciprocal_ranks(one.ranks)) for one in results[1:]]


def _selftest_groups(
    found: SelfTest, results: Sequence[EngineResult], what: str, key: Callable[[KnownItem], str]
) -> Iterator[str]:
    """MRR@10 of each group of queries, the largest first."""
    rows = []
    for group, n in sorted(Counter(map(key, found.items)).items(), key=lambda pair: (-pair[1], pair[0])):
        cells = [_cell(rank_measures(_ranks_of(found, one, key, group))[MRR]) for one in results]
        rows.append((group, [str(n), *cells]))
    yield from _table(f"{MRR} by {what}", ["queries", *(one.mode for one in results)], rows)


def _ranks_of(found: SelfTest, one: EngineResult, key: Callable[[KnownItem], str], group: str) -> list[int]:
    return [rank for item, rank in zip(found.items, one.ranks, strict=True) if key(item) == group]


def _latency(found: SelfTest) -> Iterator[str]:
    latencies = [(one.name, percentiles(one.latencies_s)) for one in found.engine]
    columns = [f"{name} ms" for name in latencies[0][1]]
    rows = [(name, [f"{value:.1f}" for value in found_ms.values()]) for name, found_ms in latencies]
    yield from _table("query", columns, rows, cell_width=9)
    yield ""
    rows = []
    for one in found.vector_indexes:
        cells = [f"{value:.2f}" for value in percentiles(one.latencies_s).values()]
        cells += [f"{one.recall:.4f}", f"{one.build_s:.2f}", f"{one.n_bytes / 1e6:.1f}"]
        rows.append((one.backend, cells))
    yield from _table("index", [*columns, "recall@10", "build s", "MB"], rows, cell_width=9)


def _cell(figure: Estimate) -> str:
    return f"{figure.value:.2f} ±{max(figure.high - figure.value, figure.value - figure.low):.2f}"


def selftest_json(found: SelfTest) -> dict[str, Any]:
    """The same, with all numbers and queries, for JSON."""
    settings = [_setting_as_json(found, one) for one in found.engine]
    for setting, difference in zip(settings[1:], _against_first(found.engine), strict=True):
        setting["mrr_against_first"] = difference
    return {
        "index": {
            name: getattr(found, name) for name in ("index", "model", "backend", "n_documents", "n_chunks")
        },
        "seed": found.seed,
        "settings": settings,
        "backends": [
            {
                "backend": one.backend,
                "recall@10": one.recall,
                "latency_ms": percentiles(one.latencies_s),
                "build_s": one.build_s,
                "n_bytes": one.n_bytes,
            }
            for one in found.vector_indexes
        ],
        "questions": [
            {name: getattr(item, name) for name in ("kind", "text", "source", "path")}
            | {"ranks": {one.name: one.ranks[i] or None for one in found.engine}}
            for i, item in enumerate(found.items)
        ],
    }


def _setting_as_json(found: SelfTest, one: EngineResult) -> dict[str, Any]:
    def grouped(key: Callable[[KnownItem], str]) -> dict[str, Any]:
        groups = sorted(set(map(key, found.items)))
        return {group: measured(_ranks_of(found, one, key, group)) for group in groups}

    def measured(ranks: Sequence[int]) -> dict[str, Any]:
        return {"n": len(ranks), **rank_measures(ranks)}

    return {
        "mode": one.mode,
        "backend": one.backend or None,
        "measures": measured(one.ranks),
        "by_kind": grouped(lambda item: item.kind),
        "by_type": grouped(lambda item: file_type(item.path)),
        "latency_ms": percentiles(one.latencies_s),
    }
