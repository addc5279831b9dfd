"""Measure what the README says of indexing: how long, how much memory, how little of it beside the model.

    python scripts/figures.py FOLDER...

Each folder is indexed from nothing and then again, unchanged, by the command line in a process of its
own.  Then our model and its peer, sentence-transformers, embed the same passages in turn, in one process.
The machine is named; the ratios travel, the seconds do not.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

# Passages that both models embed, taken evenly from the index, and how often, in turn.
SAMPLE, ROUNDS = 200, 5


class Finished(NamedTuple):
    """A process that has ended: what it printed, how long it took, the most memory it held."""

    output: str
    wall_s: float
    peak_mb: float


def run(*command: str | Path) -> Finished:
    """Run a command to its end; the script ends with it when it fails."""
    started = time.perf_counter()
    with tempfile.TemporaryFile("w+") as printed:
        process = subprocess.Popen(list(map(str, command)), stdout=printed)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            sys.exit(f"{command} ended with {process.returncode}")
        printed.seek(0)
        return Finished(printed.read(), time.perf_counter() - started, usage.ru_maxrss / 1_024)


def minisearch(*arguments: str | Path) -> Finished:
    """Run a minisearch command."""
    return run(sys.executable, "-m", "minisearch", *arguments)


def speed_ratio(texts: list[str]) -> float:
    """How many times as fast as sentence-transformers, float32 both: the median of paired rounds."""
    from sentence_transformers import SentenceTransformer as Peer

    from minisearch import SentenceTransformer
    from minisearch.minilm.catalog import locate

    ours = SentenceTransformer.from_pretrained("all-MiniLM-L6-v2", device="cpu", offline=True)
    folder = locate("all-MiniLM-L6-v2", offline=True).folder
    peer = Peer(str(folder), device="cpu", local_files_only=True)
    ratios = []
    for _ in range(ROUNDS + 1):
        marks = [time.perf_counter()]
        for encode in (ours.encode, peer.encode):
            encode(texts)
            marks.append(time.perf_counter())
        ratios.append((marks[2] - marks[1]) / (marks[1] - marks[0]))
    return statistics.median(ratios[1:])  # the first round warms both up


def measure(folder: Path) -> dict[str, str]:
    """Every figure for one folder."""
    from minisearch.storage import Store

    with tempfile.TemporaryDirectory() as scratch:
        index = Path(scratch, "index")
        first = minisearch("index", folder, "--index", index, "--json", "--offline")
        again = minisearch("index", folder, "--index", index, "--json", "--offline")
        status = minisearch("status", "--index", index)
        with Store(index / "minisearch.db") as store:
            ids = store.chunk_ids()
            sample = ids[:: max(1, len(ids) // SAMPLE)].tolist()
            texts = [chunk.text for chunk in store.chunks(sample).values()]
    report, repeated = json.loads(first.output), json.loads(again.output)
    outside_s = report["elapsed_s"] - report["encoding_s"]
    return {
        "documents; skipped, each with its reason": f"{report['added']:,}; {len(report['skipped']):,}",
        "chunks; tokens": f"{report['n_chunks']:,}; {report['n_tokens']:,}",
        "first run": f"{first.wall_s:.0f} s",
        "of it outside the model": f"{outside_s / report['elapsed_s']:.1%}",
        "peak memory": f"{first.peak_mb:,.0f} MB",
        "second run, nothing changed": f"{again.wall_s:.2f} s",
        "chunks embedded in it": f"{repeated['n_encoded']}",
        "`minisearch status`": f"{status.wall_s:.2f} s",
        "embedding speed, sentence-transformers = 1": f"{speed_ratio(texts):.2f}",
    }


def machine() -> str:
    """Processor, cores, Python and torch."""
    import torch

    info = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    names = [line.partition(":")[2].strip() for line in info.splitlines() if line.startswith("model name")]
    name = names[0] if names else platform.processor()
    return f"{name}, {os.cpu_count()} cores, Python {platform.python_version()}, torch {torch.__version__}"


def main(arguments: list[str]) -> int:
    """Print one table a folder."""
    if not arguments:
        print(__doc__)
        return 2
    print(f"Machine: {machine()}")
    for argument in arguments:
        print(f"\n{Path(argument).name}\n")
        for name, value in measure(Path(argument)).items():
            print(f"| {name} | {value} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
