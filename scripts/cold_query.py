"""Measure one question asked from nothing: a new process, the answer printed, the process ended.

    python scripts/cold_query.py [--index FOLDER]

`minisearch query` and `python -c "import torch"` are run in turn; the ratio is the median of the rounds'
own.  The first round only fills the page cache.  The import of minisearch is timed inside the process.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from machine import machine

QUERY = "undo my last commit but keep the changes"
DOCS = Path(__file__).parents[1] / "data" / "docs"
TIMED_IMPORT = "import time; t = time.perf_counter(); import minisearch; print(time.perf_counter() - t)"


def output(*command: str | Path) -> str:
    """What a command printed; the script ends with it when it fails."""
    finished = subprocess.run([sys.executable, *command], stdout=subprocess.PIPE, text=True)
    if finished.returncode:
        sys.exit(f"{command} ended with {finished.returncode}")
    return finished.stdout


def seconds(*command: str | Path) -> float:
    """How long a command took from start to end."""
    started = time.perf_counter()
    output(*command)
    return time.perf_counter() - started


def measure(index: Path, n_rounds: int) -> dict[str, str]:
    """Every figure for one index."""
    query = ("-m", "minisearch", "query", QUERY, "--index", index, "--offline")
    if not output(*query).strip():
        sys.exit(f"{index} has no answer to {QUERY!r}: give an index that has")
    pairs = [(seconds(*query), seconds("-c", "import torch")) for _ in range(n_rounds + 1)][1:]
    imports = [float(output("-c", TIMED_IMPORT)) for _ in range(n_rounds)]
    query_s, torch_s = (statistics.median(taken) for taken in zip(*pairs, strict=True))
    share = statistics.median(query_s / torch_s for query_s, torch_s in pairs)
    return {
        "a cold `minisearch query`": f"{query_s:.3f} s",
        '`python -c "import torch"`': f"{torch_s:.3f} s",
        "query ÷ import of torch": f"{share:.2f}",
        "`import minisearch`": f"{statistics.median(imports):.3f} s",
    }


def main(arguments: Sequence[str]) -> int:
    """Print the figures as a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--index", type=Path, help="an index to ask; otherwise one is made of data/docs")
    parser.add_argument("--rounds", type=int, default=10)
    options = parser.parse_args(arguments)
    print(f"Machine: {machine()}\n")
    with tempfile.TemporaryDirectory() as scratch:
        index = options.index or Path(scratch, "index")
        if not options.index:
            output("-m", "minisearch", "index", DOCS, "--index", index, "--offline")
        for name, value in measure(index, options.rounds).items():
            print(f"| {name} | {value} |")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
