"""Measured settings in, a PNG out; matplotlib is loaded only here, to draw a plot."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minisearch.errors import InputError
from minisearch.evaluation.measures import MRR, Evaluation, bootstrap_interval, percentiles, rank_measures
from minisearch.evaluation.selftest import EngineResult

MEASURE = "nDCG@10"
BLUE, ORANGE, GREY = "#0072b2", "#e69f00", "#666666"  # distinct for colour-blind readers too
LATENCY_COLOURS = {"p50": "#56b4e9", "p95": BLUE, "p99": "#003f66"}
MODE_COLOURS = {"hybrid": BLUE, "dense": ORANGE, "lexical": GREY}
BACKEND_MARKERS = "os^Dv"


def load_figure() -> Any:  # noqa: ANN401 - matplotlib's class
    """The Figure of matplotlib; InputError with the command that installs it where it is missing."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise InputError(
            "a plot needs matplotlib, which is not installed: pip install 'minisearch[eval]'"
        ) from error
    return Figure


def plot_evaluations(evaluations: Sequence[Evaluation], path: Path, *, title: str) -> None:
    """Draw nDCG@10 with its interval and the latency of each setting, side by side."""
    timed = [one for one in evaluations if one.latency_ms]
    n_panels = 2 if timed else 1
    height = 1.6 + 0.45 * len(evaluations) + (0.45 * len(timed) if timed else 0)
    figure = load_figure()(figsize=(4.8 * n_panels, max(height, 2.8)), layout="constrained")
    panels = figure.subplots(1, n_panels, squeeze=False)[0]
    _quality(panels[0], evaluations)
    if timed:
        _latency(panels[1], timed)
    _save(figure, path, title)


def plot_selftest(results: Sequence[EngineResult], path: Path, *, title: str) -> None:
    """Draw quality (MRR@10) against the median latency, a point for each result.

    Colours stand for modes, markers for backends.  Up and to the left is better.
    """
    backends = list(dict.fromkeys(one.backend for one in results))
    figure = load_figure()(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for one in results:
        mrr = rank_measures(one.ranks)[MRR]
        axes.errorbar(
            percentiles(one.latencies_s)["p50"],
            mrr.value,
            yerr=[[mrr.value - mrr.low], [mrr.high - mrr.value]],
            fmt=BACKEND_MARKERS[backends.index(one.backend) % len(BACKEND_MARKERS)],
            color=MODE_COLOURS[one.mode],
            label=one.name,
            markersize=8,
            capsize=3,
            elinewidth=1,
        )
    axes.set_xlim(0, 1.15 * max(percentiles(one.latencies_s)["p50"] for one in results))
    axes.set_ylim(0, 1)
    axes.set_xlabel("median latency of a query (ms), its embedding included")
    axes.set_ylabel(f"{MRR} (95 % interval)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    figure.legend(frameon=False, loc="outside right center")  # beside the axes, so that it hides no point
    _save(figure, path, title)


def _save(figure: Any, path: Path, title: str) -> None:  # noqa: ANN401
    figure.suptitle(_literal(title), fontsize=10)
    figure.savefig(path, format="png", dpi=150)


def _literal(text: str) -> str:
    """Text that matplotlib does not read as a formula."""
    return text.replace("$", r"\$")


def _quality(axes: Any, evaluations: Sequence[Evaluation]) -> None:  # noqa: ANN401
    values = np.array([one.means[MEASURE] for one in evaluations])
    intervals = [bootstrap_interval(np.array(list(one.scores[MEASURE].values()))) for one in evaluations]
    lows, highs = np.array(intervals).T
    errors = np.abs([values - lows, highs - values])  # (2, n)
    rows = range(len(evaluations))
    axes.barh(rows, values, xerr=errors, color=BLUE, ecolor=GREY, capsize=3, height=0.6)
    for row, value, high in zip(rows, values, highs, strict=True):
        axes.text(high + 0.02, row, f"{value:.4f}", va="center", ha="left", fontsize=8)
    _name_bars(axes, evaluations)
    axes.set_xlim(0, max(1.0, 1.15 * highs.max()))
    axes.set_xlabel(f"{MEASURE} (mean, 95 % bootstrap interval)")


def _latency(axes: Any, evaluations: Sequence[Evaluation]) -> None:  # noqa: ANN401
    height = 0.8 / len(LATENCY_COLOURS)
    for i, (name, colour) in enumerate(LATENCY_COLOURS.items()):
        values = [one.latency_ms[name] for one in evaluations if one.latency_ms]
        rows = [row + (i - 1) * height for row in range(len(evaluations))]
        bars = axes.barh(rows, values, height=height, color=colour, label=name)
        axes.bar_label(bars, fmt="{:.1f}", padding=3, fontsize=8)
    _name_bars(axes, evaluations)
    axes.margins(x=0.15)
    axes.set_xlabel("latency of a query (ms)")
    axes.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=len(LATENCY_COLOURS))


def _name_bars(axes: Any, evaluations: Sequence[Evaluation]) -> None:  # noqa: ANN401
    axes.set_yticks(range(len(evaluations)), [_literal(one.name) for one in evaluations])
    axes.invert_yaxis()  # the first on top
    axes.spines[["top", "right"]].set_visible(False)
