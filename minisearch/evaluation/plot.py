"""Measured settings in, a PNG out: their nDCG@10 with its interval, and their latency, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minisearch.errors import InputError
from minisearch.evaluation.results import Result
from minisearch.evaluation.significance import bootstrap_interval

MEASURE = "nDCG@10"
BLUE, ORANGE, GREY = "#0072b2", "#e69f00", "#666666"  # told apart whatever colours one sees
LATENCY_COLOURS = {"p50": "#56b4e9", "p95": BLUE, "p99": "#003f66"}


def load_figure() -> Any:  # noqa: ANN401 - matplotlib's class
    """The Figure of matplotlib; InputError, with how to get it, where it is not installed."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise InputError(
            "a plot needs matplotlib, which is not installed: pip install 'minisearch[eval]'"
        ) from error
    return Figure


def plot_results(results: Sequence[Result], path: Path, *, title: str) -> None:
    """Draw them into a PNG file."""
    timed = [result for result in results if result.latency_ms]
    n_panels = 2 if timed else 1
    height = 1.6 + 0.45 * len(results) + (0.45 * len(timed) if timed else 0)
    figure = load_figure()(figsize=(4.8 * n_panels, max(height, 2.8)), layout="constrained")
    panels = figure.subplots(1, n_panels, squeeze=False)[0]
    _quality(panels[0], results)
    if timed:
        _latency(panels[1], timed)
    figure.suptitle(title.replace("$", r"\$"))
    figure.savefig(path, format="png", dpi=150)


def _quality(axes: Any, results: Sequence[Result]) -> None:  # noqa: ANN401
    values = [result.means[MEASURE] for result in results]
    intervals = [bootstrap_interval(np.array(list(result.scores[MEASURE].values()))) for result in results]
    around = [[value - low, high - value] for value, (low, high) in zip(values, intervals, strict=True)]
    places = range(len(results))
    axes.barh(places, values, xerr=np.abs(np.array(around)).T, color=BLUE, ecolor=GREY, capsize=3, height=0.6)
    for place, value, (_, high) in zip(places, values, intervals, strict=True):
        axes.text(high + 0.02, place, f"{value:.4f}", va="center", ha="left", fontsize=8)
    _name_bars(axes, [result.name for result in results])
    axes.set_xlim(0, max(1.0, 1.15 * max(high for _, high in intervals)))
    axes.set_xlabel(f"{MEASURE} (mean, 95 % bootstrap interval)")


def _latency(axes: Any, results: Sequence[Result]) -> None:  # noqa: ANN401
    height = 0.8 / len(LATENCY_COLOURS)
    for i, (name, colour) in enumerate(LATENCY_COLOURS.items()):
        values = [result.latency_ms[name] for result in results if result.latency_ms]
        places = [place + (i - 1) * height for place in range(len(results))]
        bars = axes.barh(places, values, height=height, color=colour, label=name)
        axes.bar_label(bars, fmt="{:.1f}", padding=3, fontsize=8)
    _name_bars(axes, [result.name for result in results])
    axes.margins(x=0.15)
    axes.set_xlabel("latency of a query (ms)")
    axes.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=len(LATENCY_COLOURS))


def _name_bars(axes: Any, names: Sequence[str]) -> None:  # noqa: ANN401
    axes.set_yticks(range(len(names)), [name.replace("$", r"\$") for name in names])
    axes.invert_yaxis()  # the first on top
    axes.spines[["top", "right"]].set_visible(False)
