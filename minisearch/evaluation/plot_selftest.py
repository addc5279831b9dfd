"""Settings of a self-test in, a PNG out: quality against latency, a point a setting."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from minisearch.evaluation.plot import BLUE, GREY, ORANGE, load_figure
from minisearch.evaluation.ranks import MRR, Figure

COLOURS = {"hybrid": BLUE, "dense": ORANGE, "lexical": GREY}
MARKERS = "os^Dv"


def draw(points: Sequence[tuple[str, str, float, Figure]], path: Path, *, title: str) -> None:
    """Draw (mode, backend, median latency in ms, MRR@10 with its interval) into a PNG file.

    Colours tell modes apart, marks backends.  Up and to the left is better.
    """
    backends = list(dict.fromkeys(backend for _, backend, _, _ in points))
    figure = load_figure()(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for mode, backend, latency_ms, quality in points:
        axes.errorbar(
            latency_ms,
            quality.value,
            yerr=[[quality.value - quality.low], [quality.high - quality.value]],
            fmt=MARKERS[backends.index(backend) % len(MARKERS)],
            color=COLOURS[mode],
            label=f"{mode}, {backend}" if backend else mode,
            markersize=8,
            capsize=3,
            elinewidth=1,
        )
    axes.set_xlim(0, 1.15 * max(latency_ms for _, _, latency_ms, _ in points))
    axes.set_ylim(0, 1)
    axes.set_xlabel("median latency of a query (ms), its embedding included")
    axes.set_ylabel(f"{MRR} (95 % interval)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    figure.legend(frameon=False, loc="outside right center")  # beside the axes: no point is under it
    figure.suptitle(title.replace("$", r"\$"), fontsize=10)
    figure.savefig(path, format="png", dpi=150)
