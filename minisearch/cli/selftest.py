"""``minisearch selftest``: how well an index finds its own content, in every mode and with every backend.

An index and settings come in; tables, or JSON, go out, and if wanted a plot.  How far it has come is told on
standard error.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from minisearch.cli.options import common, json_option, offline_option, one_of, set_up_logging, wrong_usage
from minisearch.cli.show import count
from minisearch.cli.terminal import printable
from minisearch.errors import InputError
from minisearch.paths import find_index
from minisearch.results import MODES
from minisearch.vectors import backend_names

if TYPE_CHECKING:
    from minisearch.evaluation.known_items import Kind, KnownItem
    from minisearch.evaluation.measures import Estimate
    from minisearch.evaluation.selftest import EngineResult, SelfTest
    from minisearch.results import Mode


@click.command()
@click.option(
    "-n",
    "n",
    type=click.IntRange(20),  # fewer say nothing
    default=200,
    show_default=True,
    metavar="N",
    help="How many queries.",
)
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, metavar="N", help="Which queries."
)
@click.option(
    "--mode",
    "modes",
    type=one_of(MODES, "mode"),
    multiple=True,
    metavar="|".join(MODES),
    help="How to search; repeatable.  [default: all]",
)
@click.option(
    "--backend",
    "backends",
    type=one_of(backend_names(), "backend"),
    multiple=True,
    metavar="|".join(backend_names()),
    help="The kind of vector index; repeatable.  [default: the installed ones]",
)
@click.option(
    "--plot", metavar="FILE.png", type=click.Path(path_type=Path), help="Draw quality against latency."
)
@offline_option
@json_option
@common
def selftest(
    n: int,
    seed: int,
    modes: tuple[str, ...],
    backends: tuple[str, ...],
    plot: Path | None,
    offline: bool,
    as_json: bool,
    index_folder: Path | None,
    verbose: bool,
) -> None:
    """Measure how well the index finds its own content.

    Queries are made from documents: a heading, the title, or the first sentence of a section. In a copy
    of the index each document loses the words of its own query, so that it has to be found by what
    else it says; found means: among the first ten documents. The numbers compare settings on this index.
    They do not tell how well your own queries are answered: for that, judge some, and see minisearch eval.
    """
    set_up_logging(verbose)
    _check_plot(plot)
    # Here, because --help must not cost the import of NumPy.
    from minisearch.evaluation.selftest import selftest as run

    with _Steps() as steps:
        found = run(
            index_folder or find_index(),
            n=n,
            seed=seed,
            modes=cast("Sequence[Mode]", modes or MODES),
            backends=backends,
            offline=offline,
            on_progress=steps.update,
        )
    if plot:
        from minisearch.evaluation.plots import plot_selftest

        plot_selftest([_point(one) for one in found.engine], plot, title=_headline(found))
    click.echo(json.dumps(_as_json(found)) if as_json else printable("\n".join(_page(found))))


@wrong_usage()
def _check_plot(plot: Path | None) -> None:
    if plot is None:
        return
    if plot.suffix.lower() != ".png":
        raise InputError(f"--plot draws PNG, so the file's name has to end in .png: {plot}")
    if not plot.absolute().parent.is_dir():
        raise InputError(f"cannot write {plot}: there is no folder {plot.parent}")
    from minisearch.evaluation.plots import load_figure

    load_figure()  # what is missing shows before the work, not after


class _Steps:
    """The step under way on standard error: counting on a terminal, elsewhere a line a step."""

    def __init__(self) -> None:
        self._step = ""
        self._is_terminal = sys.stderr.isatty()

    def __enter__(self) -> _Steps:
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_terminal:
            click.echo("\r\x1b[K", nl=False, err=True)

    def update(self, step: str, n_done: int, n: int) -> None:
        """Show how far a step has come."""
        if self._is_terminal:
            share = f"  {n_done:,}/{n:,}" if n > 1 else ""
            click.echo(f"\r\x1b[K{step}{share}", nl=False, err=True)
        elif step != self._step:
            click.echo(step, err=True)
        self._step = step


# --- what is printed ---------------------------------------------------------------------------------


def _headline(found: SelfTest) -> str:
    kinds = Counter(item.kind for item in found.items)
    nouns: dict[Kind, str] = {"title": "title", "heading": "heading", "sentence": "first sentence"}
    made = ", ".join(count(kinds[kind], noun) for kind, noun in nouns.items() if kinds[kind])
    return f"{len(found.items):,} queries from {count(found.n_documents, 'document')}: {made}"


def _page(found: SelfTest) -> Iterator[str]:
    yield _headline(found)
    yield f"masked in their own documents; seed {found.seed}; ± is the wider half of a 95 % interval"
    yield ""
    yield from _quality(found.engine)
    yield from _differences(found.engine)
    yield ""
    own = [one for one in found.engine if one.backend in {"", found.engine[0].backend}]
    yield from _by(found, own, "kind", lambda item: item.kind)
    yield ""
    yield from _by(found, own, "file type", lambda item: _file_type(item.path))
    yield ""
    yield from _latency(found)


def _quality(asked: Sequence[EngineResult]) -> Iterator[str]:
    from minisearch.evaluation.measures import rank_measures

    width = max(len(_name(one)) for one in asked)
    for i, one in enumerate(asked):
        row = rank_measures(one.ranks)
        if i == 0:
            yield "  ".join([" " * width, *(f"{name:>10}" for name in row)])
        yield "  ".join([f"{_name(one):<{width}}", *map(_cell, row.values())])


def _differences(asked: Sequence[EngineResult]) -> Iterator[str]:
    """Every setting against the first, query by query."""
    if len(asked) < 2:
        return
    width = max(len(_name(one)) for one in asked)
    yield ""
    yield f"MRR@10 against {_name(asked[0])}: mean difference, 95 % interval"
    for one, difference in zip(asked[1:], _against_first(asked), strict=True):
        low, high = difference["low"], difference["high"]
        remark = "  no more than chance" if low <= 0 <= high else ""
        if low == high == 0:
            remark = "  the same"
        yield f"{_name(one):<{width}}  {difference['difference']:>+10.3f}  [{low:+.3f}, {high:+.3f}]{remark}"


def _against_first(asked: Sequence[EngineResult]) -> list[dict[str, float]]:
    from minisearch.evaluation.measures import compare, reciprocal_ranks

    first = reciprocal_ranks(asked[0].ranks)
    return [asdict(compare(first, reciprocal_ranks(one.ranks))) for one in asked[1:]]


def _by(
    found: SelfTest, asked: Sequence[EngineResult], what: str, key: Callable[[KnownItem], str]
) -> Iterator[str]:
    """MRR@10 of each group of queries, the largest first."""
    from minisearch.evaluation.measures import MRR, rank_measures

    groups = Counter(key(item) for item in found.items)
    corner = f"{MRR} by {what}"
    width = max(len(corner), *map(len, groups))
    yield "  ".join([f"{corner:<{width}}", "  queries", *(f"{one.mode:>10}" for one in asked)])
    for group, n in sorted(groups.items(), key=lambda pair: (-pair[1], pair[0])):
        cells = [_cell(rank_measures(_ranks_of(found, one, key, group))[MRR]) for one in asked]
        yield "  ".join([f"{group:<{width}}", f"{n:>9}", *cells])


def _ranks_of(found: SelfTest, one: EngineResult, key: Callable[[KnownItem], str], group: str) -> list[int]:
    return [rank for item, rank in zip(found.items, one.ranks, strict=True) if key(item) == group]


def _latency(found: SelfTest) -> Iterator[str]:
    from minisearch.evaluation.measures import percentiles

    rows = [(_name(one), percentiles(one.latencies_s)) for one in found.engine]
    width = max(len(name) for name, _ in rows)
    yield "  ".join([f"{'query':<{width}}", *(f"{name + ' ms':>9}" for name in rows[0][1])])
    for name, milliseconds in rows:
        yield "  ".join([f"{name:<{width}}", *(f"{value:>9.1f}" for value in milliseconds.values())])
    yield ""
    columns = ["p50 ms", "p95 ms", "p99 ms", "recall@10", "build s", "MB"]
    yield "  ".join([f"{'index':<{width}}", *(f"{column:>9}" for column in columns)])
    for one in found.vector_indexes:
        cells = [f"{value:>9.2f}" for value in percentiles(one.latencies_s).values()]
        cells += [f"{one.recall:>9.4f}", f"{one.build_s:>9.2f}", f"{one.n_bytes / 1e6:>9.1f}"]
        yield "  ".join([f"{one.backend:<{width}}", *cells])


def _name(one: EngineResult) -> str:
    return f"{one.mode}, {one.backend}" if one.backend else one.mode


def _cell(figure: Estimate) -> str:
    return f"{figure.value:.2f} ±{max(figure.high - figure.value, figure.value - figure.low):.2f}".rjust(10)


def _file_type(path: str) -> str:
    from minisearch.evaluation.known_items import file_type

    return file_type(path)


def _point(one: EngineResult) -> tuple[str, str, float, Estimate]:
    """Mode, backend, median latency in ms and MRR@10."""
    from minisearch.evaluation.measures import MRR, percentiles, rank_measures

    return one.mode, one.backend, percentiles(one.latencies_s)["p50"], rank_measures(one.ranks)[MRR]


def _as_json(found: SelfTest) -> dict[str, Any]:
    from minisearch.evaluation.measures import percentiles

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
            {
                "kind": item.kind,
                "text": item.text,
                "source": item.source,
                "path": item.path,
                "ranks": {_name(one): one.ranks[i] or None for one in found.engine},
            }
            for i, item in enumerate(found.items)
        ],
    }


def _setting_as_json(found: SelfTest, one: EngineResult) -> dict[str, Any]:
    from minisearch.evaluation.known_items import file_type
    from minisearch.evaluation.measures import percentiles, rank_measures

    def grouped(key: Callable[[KnownItem], str]) -> dict[str, Any]:
        groups = sorted({key(item) for item in found.items})
        return {group: measured(_ranks_of(found, one, key, group)) for group in groups}

    def measured(ranks: Sequence[int]) -> dict[str, Any]:
        return {"n": len(ranks)} | {name: asdict(figure) for name, figure in rank_measures(ranks).items()}

    return {
        "mode": one.mode,
        "backend": one.backend or None,
        "measures": measured(one.ranks),
        "by_kind": grouped(lambda item: item.kind),
        "by_type": grouped(lambda item: file_type(item.path)),
        "latency_ms": percentiles(one.latencies_s),
    }
