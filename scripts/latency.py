"""Measure the latency of a query on an index, with the model loaded.

    python scripts/latency.py INDEX QUERIES    # INDEX is a .minisearch folder, QUERIES has one query a line

One process, the model loaded; every query runs ROUNDS times in each setting, its embedding included.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch  # noqa: F401 - a process that has torch embeds with it from the first query on
from measuring import machine, option_parser

from minisearch import MiniSearch

ROUNDS = 4
SETTINGS: dict[str, dict[str, Any]] = {
    "hybrid": {},
    "hybrid, with the sentences that match": {"evidence": True},
    "dense": {"mode": "dense"},
    "lexical": {"mode": "lexical"},
}


def main(arguments: list[str]) -> int:
    """Print one line a setting."""
    parser = option_parser(__doc__)
    parser.add_argument("index", type=Path, metavar="INDEX")
    parser.add_argument("queries", type=Path, metavar="QUERIES")
    options = parser.parse_args(arguments)
    queries = options.queries.read_text(encoding="utf-8").split("\n")
    queries = [query for query in queries if query.strip()]
    print(f"Machine: {machine()}\n\n| ms | p50 | p99 |\n|---|---|---|")
    with MiniSearch(options.index, offline=True) as engine:
        for name, setting in SETTINGS.items():
            engine.query(queries[0], **setting)
            times_s = []
            for query in queries * ROUNDS:
                started_s = time.perf_counter()
                engine.query(query, **setting)
                times_s.append(time.perf_counter() - started_s)
            p50, p99 = np.percentile(times_s, [50, 99]) * 1_000
            print(f"| {name} | {p50:.1f} | {p99:.1f} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
