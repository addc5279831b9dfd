"""Measured settings or losses in, a PNG out; matplotlib is loaded only here, to draw a plot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from minisearch.errors import InputError, install_line
from minisearch.evaluation.measures import MRR, Evaluation, bootstrap_interval, percentiles, rank_measures
from minisearch.evaluation.selftest import EngineResult

MEASURE = "nDCG@10"
# Distinct for colour-blind readers too (Okabe and Ito).
COLOURS = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#000000"]
MARKERS = "os^Dv"


class Point(NamedTuple):
    """A setting: its median latency, None where nothing was timed, and its quality with a 95 % interval."""

    name: str
    latency_ms: float | None
    value: float
    low: float
    high: float


def load_figure() -> Any:  # noqa: ANN401 - matplotlib's class
    """The Figure of matplotlib; InputError with the command that installs it where it is missing."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise InputError(
            f"a plot needs matplotlib, which is not installed: {install_line('eval')}"
        ) from error
    return Figure


def plot_evaluations(evaluations: Sequence[Evaluation], path: Path, *, title: str) -> None:
    """Draw nDCG@10 against the median latency, a point for each setting."""
    points = []
    for one in evaluations:
        interval = bootstrap_interval(np.array(list(one.scores[MEASURE].values())))
        latency_ms = one.latency_ms["p50"] if one.latency_ms else None
        points.append(Point(one.name, latency_ms, one.means[MEASURE], *interval))
    _plot(points, path, title=title, measure=MEASURE)


def plot_selftest(results: Sequence[EngineResult], path: Path, *, title: str) -> None:
    """Draw MRR@10 against the median latency, a point for each result."""
    points = []
    for one in results:
        mrr, latencies_ms = rank_measures(one.ranks)[MRR], percentiles(one.latencies_s)
        points.append(Point(one.name, latencies_ms["p50"], mrr.value, mrr.low, mrr.high))
    _plot(points, path, title=title, measure=MRR)


def plot_training(
    losses: Mapping[str, Sequence[float]],
    file: IO[bytes],
    *,
    title: str,
    measure: str = "",
    curve: Sequence[tuple[int, float]] = (),
    points: Sequence[tuple[str, float, float]] = (),
) -> None:
    """Draw a training run: losses and a measure against the steps, and models by speed and that measure.

    ``curve`` are steps and values of the measure, ``points`` the name, tokens a second and value of models.
    """
    figure = load_figure()(figsize=(12 if points else 7, 4.5), layout="constrained")
    left, *others = figure.subplots(1, 2 if points else 1, squeeze=False)[0]
    _plot_losses(losses, left)
    if curve:
        right = left.twinx()
        right.plot(*zip(*curve, strict=True), color="black", marker="o", label=f"{measure} (right)")
        right.set_ylim(0, 1)
        right.set_ylabel(measure)
        right.spines["top"].set_visible(False)
    for axes in others:
        for i, (name, tokens_per_s, value) in enumerate(points):
            form = {"marker": MARKERS[i % len(MARKERS)], "color": COLOURS[i % len(COLOURS)]}
            axes.plot(tokens_per_s, value, linestyle="none", label=_literal(name), **form)
        _set_axes(axes, 1.3 * max(speed for _, speed, _ in points), "tokens a second", measure)
    figure.legend(frameon=False, loc="outside lower center", ncols=3)
    figure.suptitle(_literal(title), fontsize=10)
    figure.savefig(file, format="png", dpi=150)


def _plot_losses(losses: Mapping[str, Sequence[float]], axes: Any) -> None:  # noqa: ANN401
    """Each loss against the steps: its values, and their mean over the last twentieth of the run."""
    for i, (name, values) in enumerate(losses.items()):
        colour, window = COLOURS[i % len(COLOURS)], max(1, len(values) // 20)
        sums = np.cumsum([0.0, *values])
        steps = np.arange(1, len(values) + 1)
        starts = np.maximum(steps - window, 0)
        axes.plot(steps, values, color=colour, alpha=0.25, linewidth=0.5)
        axes.plot(steps, (sums[steps] - sums[starts]) / (steps - starts), color=colour, label=_literal(name))
    axes.set_xlabel("step")
    axes.set_ylabel("loss")
    axes.set_ylim(bottom=0)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.spines["top"].set_visible(False)
    axes.grid(alpha=0.25)


def _plot(points: Sequence[Point], path: Path, *, title: str, measure: str) -> None:
    """Up and to the left is better; what was not timed is at 0 ms."""
    figure = load_figure()(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for i, (name, latency_ms, value, low, high) in enumerate(points):
        axes.errorbar(
            latency_ms or 0,
            value,
            yerr=[[max(value - low, 0)], [max(high - value, 0)]],
            fmt=MARKERS[i % len(MARKERS)],
            color=COLOURS[i % len(COLOURS)],
            label=_literal(name if latency_ms is not None else f"{name} (not timed)"),
            markersize=8,
            capsize=3,
            elinewidth=1,
        )
    slowest = 1.15 * max(point.latency_ms or 0 for point in points) or 1
    of_query = "median latency of a query (ms), its embedding included"
    _set_axes(axes, slowest, of_query, f"{measure} (95 % interval)")
    figure.legend(frameon=False, loc="outside right center")  # beside the axes, so that it hides no point
    figure.suptitle(_literal(title), fontsize=10)
    figure.savefig(path, format="png", dpi=150)


def _set_axes(axes: Any, most: float, x: str, y: str) -> None:  # noqa: ANN401
    """Both axes from 0, the upright one to 1, with their names."""
    axes.set(xlim=(0, most), ylim=(0, 1), xlabel=x, ylabel=y)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)


def _literal(text: str) -> str:
    """Text that matplotlib does not read as a formula."""
    return text.replace("$", r"\$")
