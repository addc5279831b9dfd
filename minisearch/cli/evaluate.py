"""``minisearch eval``: how well the engine ranks a collection whose answers are known.

A folder and settings come in; a table, or JSON, goes out, and if wanted a plot and a run file.  What takes
long tells of its progress on standard error.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from minisearch.cli.options import json_option, model_name, offline_option, one_of, wrong_usage
from minisearch.cli.progress import Progress
from minisearch.cli.show import count
from minisearch.cli.terminal import printable
from minisearch.errors import InputError
from minisearch.results import MODES

if TYPE_CHECKING:
    from minisearch.evaluation.benchmark import TimedRankings
    from minisearch.evaluation.collection import Collection
    from minisearch.evaluation.measures import Evaluation, Setting
    from minisearch.results import Mode
    from minisearch.types import IngestReport, Reranker

KINDS = ("auto", "cross", "bi")
MAIN = "nDCG@10"  # the measure that settings are compared by
QUERY_CHARACTERS = 60


@click.command("eval")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--mode",
    "modes",
    type=one_of(MODES, "mode"),
    multiple=True,
    metavar="|".join(MODES),
    help="How to search; repeatable.",
)
@click.option(
    "--rerank",
    "kinds",
    type=one_of(KINDS, "reranker"),
    multiple=True,
    metavar="|".join(KINDS),
    help="Each mode reranked too; repeatable.",
)
@click.option(
    "--rerank-model", type=model_name, metavar="NAME", help="A checkpoint in place of the reranker's own."
)
@click.option("--rerank-depth", type=click.IntRange(1), metavar="N", help="How many candidates are reranked.")
@click.option(
    "-k",
    "k",
    type=click.IntRange(1),
    default=100,
    show_default=True,
    metavar="N",
    help="Documents ranked a query; Recall@100 needs 100.",
)
@click.option("--split", metavar="NAME", help="Which qrels/NAME.tsv.  [default: test, or the only one]")
@click.option("--whole", is_flag=True, help="One vector a document, as published figures are made.")
@click.option(
    "--model",
    type=model_name,
    metavar="NAME",
    help="A checkpoint's name or folder.  [default: all-MiniLM-L6-v2]",
)
@click.option(
    "--index", "index_folder", metavar="DIR", type=click.Path(path_type=Path), help="Keep the index."
)
@click.option(
    "--run",
    "runs",
    multiple=True,
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Measure a TREC run file; repeatable.",
)
@click.option("--save-run", metavar="FILE", type=click.Path(path_type=Path), help="Write a TREC run file.")
@click.option("--per-query", is_flag=True, help="A table of the queries too.")
@click.option("--plot", metavar="FILE.png", type=click.Path(path_type=Path), help="Draw nDCG@10 and latency.")
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
    """Measure how well a collection's known answers are found.

    FOLDER is in BEIR's format: corpus.jsonl, queries.jsonl and qrels/*.tsv. Its documents are indexed, in
    a temporary folder unless --index names one, and its queries asked as they stand. Each setting is
    compared with the first: mean difference, 95 % interval, p of a paired randomisation test.
    """
    # Here, because --help must not cost the import of NumPy.
    from minisearch.evaluation.benchmark import open_benchmark
    from minisearch.evaluation.collection import read_collection
    from minisearch.evaluation.measures import Setting, evaluate_settings, load_ir_measures
    from minisearch.evaluation.plots import load_figure, plot_evaluations
    from minisearch.evaluation.runs import read_run, write_run

    asked = _asked(modes, kinds, has_runs=bool(runs))
    _check(n_settings=len(asked) + len(runs), save_run=save_run, plot=plot)
    _check_used(
        {"--rerank-model": rerank_model, "--rerank-depth": rerank_depth}, bool(kinds), "without --rerank"
    )
    _check_used(
        {"--index": index_folder, "--whole": whole or None, "--model": model}, bool(asked), "with --run alone"
    )
    load_ir_measures()  # what is missing shows before the work, not after
    if plot:
        load_figure()
    rerankers = _rerankers(kinds, rerank_model, offline=offline)
    collection = read_collection(folder, split)
    ids = {*collection.queries, *collection.corpus}
    settings = [Setting(path.name, read_run(path, ids=ids)) for path in runs]
    report = None
    if asked:
        answered = []
        with (
            _silenced() if whole else nullcontext(),  # texts are cut on purpose: no warning for every batch
            Progress() as progress,
            open_benchmark(
                collection,
                index=index_folder,
                whole=whole,
                model=model,
                offline=offline,
                on_progress=progress.update,
            ) as opened,
        ):
            progress.stop()
            for mode, kind in asked:
                ask = partial(opened.run, mode=mode, k=k, rerank_depth=rerank_depth)
                answered.append(_answered(collection, mode, kind, partial(ask, rerank=rerankers.get(kind))))
        settings = answered + settings
        report = opened.report
    if save_run:
        write_run(save_run, settings[0].rankings, settings[0].name)
    results = evaluate_settings(settings, collection.judgements)
    if plot:
        plot_evaluations(results, plot, title=f"{collection.name}, {len(collection.queries):,} queries")
    if as_json:
        click.echo(json.dumps(_as_json(collection, report, results, k=k, whole=whole)))
    else:
        click.echo(printable("\n".join(_page(collection, report, results, per_query=per_query))))


@contextmanager
def _silenced() -> Iterator[None]:
    """Without the library's warnings."""
    logger = logging.getLogger("minisearch")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _asked(modes: Sequence[str], kinds: Sequence[str], *, has_runs: bool) -> list[tuple[Mode, str]]:
    """Each mode, plain ("") and then with each reranker; hybrid where neither a mode nor a run is named."""
    if not modes and (kinds or not has_runs):
        modes = MODES[:1]
    return [
        (cast("Mode", mode), kind) for mode in dict.fromkeys(modes) for kind in dict.fromkeys(("", *kinds))
    ]


def _rerankers(kinds: Sequence[str], model: str | None, *, offline: bool) -> dict[str, Reranker]:
    """The rerankers, loaded: weights that are missing show before the work, not after."""
    if not kinds:
        return {}
    from minisearch.search.rerank import Rerankers

    rerankers = Rerankers(model=model, offline=offline)
    return {kind: rerankers.timed(kind).reranker for kind in kinds}


@wrong_usage()
def _check(*, n_settings: int, save_run: Path | None, plot: Path | None) -> None:
    if save_run and n_settings != 1:
        raise InputError(
            f"--save-run takes the ranking of one setting, and there are {n_settings}: name one --mode"
        )
    if plot and plot.suffix.lower() != ".png":
        raise InputError(f"--plot draws PNG, so the file's name has to end in .png: {plot}")
    for path in (save_run, plot):
        if path and not path.absolute().parent.is_dir():
            raise InputError(f"cannot write {path}: there is no folder {path.parent}")
    if save_run:
        _check_writable(save_run)


def _check_writable(path: Path) -> None:
    """Refuse a file that cannot be written, before the work; one that is there keeps what it holds."""
    is_new = not path.exists()
    try:
        path.open("a").close()
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from error
    if is_new:
        path.unlink()


@wrong_usage()
def _check_used(options: Mapping[str, object], is_used: bool, otherwise: str) -> None:
    """Refuse an option that would change nothing: whoever gave it expects something else."""
    given = [name for name, value in options.items() if value is not None]
    if given and not is_used:
        raise InputError(f"{given[0]} {otherwise} changes nothing: leave it out")


def _answered(collection: Collection, mode: str, kind: str, answer: Callable[..., TimedRankings]) -> Setting:
    """One setting's answers, with its progress shown."""
    from minisearch.evaluation.measures import Setting

    name = f"{mode}+{kind}" if kind else mode
    with _Counter(name, len(collection.queries)) as counter:
        answers = answer(on_progress=counter.update)
    return Setting(name, answers.rankings, answers.latencies_s)


class _Counter:
    """How many queries are done, on standard error, where that is a terminal."""

    def __init__(self, name: str, n_queries: int) -> None:
        self._name = name
        self._n_queries = n_queries
        self._is_shown = sys.stderr.isatty()

    def __enter__(self) -> _Counter:
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_shown:
            click.echo("\r\x1b[K", nl=False, err=True)

    def update(self, n_done: int) -> None:
        """Show it."""
        if self._is_shown:
            click.echo(f"\r{self._name}  {n_done:,}/{self._n_queries:,} queries", nl=False, err=True)


# --- what is printed ---------------------------------------------------------------------------------


def _page(
    collection: Collection, report: IngestReport | None, results: Sequence[Evaluation], *, per_query: bool
) -> Iterator[str]:
    yield (
        f"{collection.name}, split {collection.split}: {count(len(collection.corpus), 'document')}, "
        f"{len(collection.queries):,} queries, {count(collection.n_judgements, 'judgement')}"
    )
    yield from (f"note: {note}" for note in collection.notes)
    if report and report.skipped:
        yield f"note: {count(len(report.skipped), 'document')} without a text cannot be found"
    yield ""
    yield from _table(results)
    if len(results) > 1:
        yield ""
        yield from _comparisons(results)
    if per_query:
        yield ""
        yield from _by_query(collection, results)


def _table(results: Sequence[Evaluation]) -> Iterator[str]:
    """Settings against measures and latency, in columns."""
    width = max(8, *(len(result.name) for result in results))
    is_timed = any(result.latency_ms for result in results)
    columns = [*results[0].means, *(["p50 ms", "p95 ms", "p99 ms"] if is_timed else [])]
    yield "  ".join([" " * width, *(f"{column:>10}" for column in columns)])
    for result in results:
        cells = [f"{value:>10.4f}" for value in result.means.values()]
        cells += [f"{value:>10.1f}" for value in (result.latency_ms or {}).values()]
        yield "  ".join([f"{result.name:<{width}}", *cells])


def _comparisons(results: Sequence[Evaluation]) -> Iterator[str]:
    width = max(8, *(len(result.name) for result in results))
    yield f"{MAIN} against {results[0].name}: mean difference, 95 % interval, p"
    for result in results[1:]:
        if result.against_first:
            found = result.against_first[MAIN]
            interval = f"[{found.low:+.4f}, {found.high:+.4f}]"
            yield f"{result.name:<{width}}  {found.difference:>+10.4f}  {interval}  p = {found.p:.4f}"


def _by_query(collection: Collection, results: Sequence[Evaluation]) -> Iterator[str]:
    """Each query's nDCG@10 in every setting; with one setting, all its measures."""
    if len(results) == 1:
        columns = dict(results[0].scores)
    else:
        columns = {result.name: result.scores[MAIN] for result in results}
        yield f"{MAIN} by query"
    widths = [max(10, len(name)) for name in columns]
    id_width = max(len("query"), *map(len, collection.queries))
    names = (f"{name:>{width}}" for name, width in zip(columns, widths, strict=True))
    yield "  ".join([f"{'query':<{id_width}}", *names])
    for query_id, text in collection.queries.items():
        cells = (
            f"{scores[query_id]:>{width}.4f}" for scores, width in zip(columns.values(), widths, strict=True)
        )
        yield "  ".join([f"{query_id:<{id_width}}", *cells, " ".join(text.split())[:QUERY_CHARACTERS]])


def _as_json(
    collection: Collection, report: IngestReport | None, results: Sequence[Evaluation], *, k: int, whole: bool
) -> dict[str, Any]:
    return {
        "collection": {
            "name": collection.name,
            "split": collection.split,
            "n_documents": len(collection.corpus),
            "n_queries": len(collection.queries),
            "n_judgements": collection.n_judgements,
            "notes": collection.notes,
        },
        "index": asdict(report) | {"whole": whole} if report else None,
        "k": k,
        "settings": [
            {
                "name": result.name,
                "measures": result.means,
                "latency_ms": result.latency_ms,
                "against_first": result.against_first
                and {measure: asdict(found) for measure, found in result.against_first.items()},
                "queries": {
                    query: {measure: of_query[query] for measure, of_query in result.scores.items()}
                    for query in collection.queries
                },
            }
            for result in results
        ],
    }
