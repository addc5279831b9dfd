"""``minisearch eval`` and ``selftest``: measure the ranking, with and without relevance judgements.

A collection, or the index itself, and settings come in; tables, or JSON, go out, and optionally a plot and a
run file.  Progress is shown on standard error.  What the tables look like is left to `report`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from minisearch.cli.options import (
    A_FILE,
    A_MODEL,
    MODEL_HELP,
    IndexChoice,
    json_option,
    number,
    offline_option,
    one_of,
    with_index,
    wrong_usage,
)
from minisearch.cli.progress import Progress, StepCounter
from minisearch.cli.query_options import RERANKERS
from minisearch.cli.terminal import as_json_line, printable
from minisearch.errors import InputError
from minisearch.manifest import BACKENDS
from minisearch.paths import find_index
from minisearch.results import MODES

if TYPE_CHECKING:
    from minisearch.evaluation.measures import Setting
    from minisearch.results import Mode
    from minisearch.types import Reranker

modes_option = click.option(
    "--mode", "modes", **one_of(MODES, "mode"), multiple=True, help="Search mode; repeatable."
)
plot_option = click.option("--plot", metavar="FILE.png", type=A_FILE, help="Draw quality and latency.")


@click.command("eval")
@click.argument("folder", type=A_FILE)
@modes_option
@click.option(
    "--rerank",
    "kinds",
    **one_of(RERANKERS, "reranker"),
    multiple=True,
    help="Measure each mode with this reranker too; repeatable.",
)
@click.option("--rerank-model", **A_MODEL, help="Name or folder of the reranker's model.")
@click.option("--rerank-depth", **number(), help="Number of candidates to rerank.")
@click.option("-k", "k", **number(100), help="Documents to rank for each query; Recall@100 needs 100.")
@click.option("--split", metavar="NAME", help="The qrels/NAME.tsv to use.  [default: test, or the only one]")
@click.option("--whole", is_flag=True, help="One vector for each document, as in published figures.")
@click.option("--model", **A_MODEL, help=MODEL_HELP)
@click.option("--index", "index_folder", metavar="DIR", type=A_FILE, help="Keep the index in this folder.")
@click.option(
    "--run",
    "runs",
    multiple=True,
    metavar="FILE",
    type=A_FILE,
    help="Measure this TREC run file; repeatable.",
)
@click.option(
    "--save-run",
    metavar="FILE",
    type=A_FILE,
    help="Write a TREC run file; with several settings, one for each.",
)
@click.option("--per-query", is_flag=True, help="Print the scores of each query too.")
@plot_option
@json_option
@offline_option
def evaluate(
    folder: Path,
    modes: tuple[str, ...],
    kinds: tuple[str, ...],
    rerank_model: str | None,
    rerank_depth: int | None,
    k: int,
    split: str | None,
    whole: bool,
    model: str | None,
    index_folder: Path | None,
    runs: tuple[Path, ...],
    save_run: Path | None,
    per_query: bool,
    plot: Path | None,
    as_json: bool,
    offline: bool,
) -> None:
    """Measure the ranking on a collection with relevance judgements.

    FOLDER is in BEIR's format: corpus.jsonl, queries.jsonl and qrels/*.tsv. Its documents are indexed, in
    a temporary folder unless --index names one; its queries are searched without operators. Each setting is
    compared with the first: mean difference, 95 % interval, p of a paired randomisation test. Latencies are
    those of ten passages, with the embedding of the query.
    """
    # Imported here: --help must not import NumPy.
    from minisearch.evaluation.benchmark import open_benchmark
    from minisearch.evaluation.collection import read_collection
    from minisearch.evaluation.measures import Setting, evaluate_settings, load_ir_measures
    from minisearch.evaluation.plots import load_figure, plot_evaluations
    from minisearch.evaluation.runs import read_run

    if not modes and (kinds or not runs):
        modes = MODES[:1]
    wanted = [
        (f"{mode}+{kind}" if kind else mode, mode, kind)
        for mode in dict.fromkeys(modes)
        for kind in dict.fromkeys(("", *kinds))
    ]
    saved = _run_files(save_run, [name for name, _, _ in wanted] or [path.name for path in runs])
    _check_files(saved.values(), plot)
    if not kinds:
        _refuse({"--rerank-model": rerank_model, "--rerank-depth": rerank_depth}, "without --rerank")
    if not wanted:
        _refuse({"--index": index_folder, "--whole": whole or None, "--model": model}, "with --run alone")
    load_ir_measures()  # a missing library is reported before the work
    if plot:
        load_figure()
    rerankers = _rerankers(kinds, rerank_model, offline=offline)
    collection = read_collection(folder, split)
    ids = {*collection.queries, *collection.corpus}
    settings = [Setting(path.name, read_run(path, ids=ids)) for path in runs]
    report = None
    cut_queries: Sequence[str] = ()
    if wanted:
        measured = []
        # With --whole, texts are truncated on purpose: no warning for each batch.
        logging.getLogger("minisearch").setLevel(logging.ERROR if whole else logging.NOTSET)
        with (
            Progress() as progress,
            open_benchmark(
                collection,
                index=index_folder,
                whole=whole,
                model=model,
                offline=offline,
                on_progress=progress.update,
            ) as benchmark,
            StepCounter() as counter,
        ):
            progress.stop()
            for name, mode, kind in wanted:
                found = benchmark.run(
                    name,
                    mode=cast("Mode", mode),
                    k=k,
                    rerank=rerankers.get(kind),
                    rerank_depth=rerank_depth,
                    on_progress=partial(counter.update, name, n=len(collection.queries)),
                )
                measured.append(found)
        settings = measured + settings
        report, cut_queries = benchmark.report, benchmark.cut_queries
    _write_runs(saved, settings[: len(saved)])
    results = evaluate_settings(settings, collection.judgements)
    if plot:
        plot_evaluations(results, plot, title=f"{collection.name}, {len(collection.queries):,} queries")

    from minisearch.cli.evaluation.report import eval_json, eval_lines

    if as_json:
        shown = eval_json(collection, report, results, cut_queries=cut_queries, k=k, whole=whole)
        click.echo(as_json_line(shown))
    else:
        lines = eval_lines(collection, report, results, cut_queries=cut_queries, per_query=per_query)
        click.echo(printable("\n".join(lines)))


def _rerankers(kinds: Sequence[str], model: str | None, *, offline: bool) -> dict[str, Reranker]:
    """The loaded rerankers: missing weights are reported before the work."""
    if not kinds:
        return {}
    from minisearch.search.rerank import Rerankers

    rerankers = Rerankers(model=model, offline=offline)
    return {kind: rerankers.timed(kind).reranker for kind in kinds}


def _run_files(save_run: Path | None, names: Sequence[str]) -> dict[str, Path]:
    """The run file of each setting: the given one, or with several settings one with the name in it."""
    if save_run is None:
        return {}
    if len(names) == 1:
        return {names[0]: save_run}
    return {name: save_run.with_stem(f"{save_run.stem}.{name}") for name in names}


def _write_runs(files: Mapping[str, Path], settings: Iterable[Setting]) -> None:
    from minisearch.evaluation.runs import write_run

    for setting in settings:
        if setting.name in files:
            write_run(files[setting.name], setting.rankings, setting.name)


@wrong_usage()
def _check_files(runs: Iterable[Path], plot: Path | None) -> None:
    """Refuse, before the work, a file that cannot be written; an existing one keeps its content."""
    if plot and plot.suffix.lower() != ".png":
        raise InputError(f"--plot writes PNG: expected a file name that ends in .png, got {plot}")
    for path in filter(None, (*runs, plot)):
        if not path.absolute().parent.is_dir():
            raise InputError(f"cannot write {path}: there is no folder {path.parent}")
        if path == plot:
            continue
        is_new = not path.exists()
        try:
            path.open("a").close()
        except OSError as error:
            raise InputError(f"cannot write {path}: {error.strerror}") from error
        if is_new:
            path.unlink()


@wrong_usage()
def _refuse(unused: Mapping[str, object], why: str) -> None:
    """Refuse options that have no effect, if one of them was given."""
    for name, value in unused.items():
        if value is not None:
            raise InputError(f"{name} {why} has no effect: leave it out")


# --- selftest ----------------------------------------------------------------------------------------


@click.command()
@click.option("-n", "n", **number(200, least=20), help="Number of queries.")  # fewer than 20 say nothing
@click.option("--seed", **number(0, least=0), help="Seed of the sample of queries.")
@modes_option
@click.option(
    "--backend",
    "backends",
    **one_of(tuple(BACKENDS), "backend"),
    multiple=True,
    help="The kind of vector index; repeatable.  [default: the index's own]",
)
@plot_option
@offline_option
@json_option
@with_index
def selftest(
    index: IndexChoice,
    n: int,
    seed: int,
    modes: tuple[str, ...],
    backends: tuple[str, ...],
    plot: Path | None,
    as_json: bool,
) -> None:
    """Measure how well the index finds its own content.

    Queries are made from documents: a heading, the title, or the first sentence of a section. In a copy of
    the index the words of a query are removed from its document, which must be found by its other words,
    among the first ten documents. The numbers compare settings on this index. They do not measure how well
    your own queries are answered: for that, judge some results, and see minisearch eval.
    """
    # Imported here: --help must not import NumPy.
    from minisearch.evaluation.plots import load_figure, plot_selftest
    from minisearch.evaluation.selftest import selftest as run

    _check_files([], plot)
    if plot:
        with wrong_usage():
            load_figure()  # a missing library is reported before the work
    with StepCounter(prints_lines=True) as counter:
        found = run(
            index.folder or find_index(),
            n=n,
            seed=seed,
            modes=cast("Sequence[Mode]", modes or MODES),
            backends=backends,
            offline=index.is_offline,
            on_progress=counter.update,
        )

    from minisearch.cli.evaluation.report import selftest_headline, selftest_json, selftest_lines

    if plot:
        plot_selftest(found.engine, plot, title=selftest_headline(found))
    click.echo(as_json_line(selftest_json(found)) if as_json else printable("\n".join(selftest_lines(found))))
