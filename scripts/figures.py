"""Measure what the README says of indexing: how long, how much memory, how little of it beside the model.

    python scripts/figures.py FOLDER...

Each folder is indexed from nothing and then again, unchanged, by the command line in a process of its
own; then sentence-transformers, the peer, embeds the very same passages in a process of its own.  The
machine is named; the ratios travel, the seconds do not.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

PEER = """
import json, sys, time
from sentence_transformers import SentenceTransformer
texts = json.load(sys.stdin)
model = SentenceTransformer(sys.argv[1], device="cpu", local_files_only=True)
model.encode(texts[:32])
started = time.perf_counter()
model.encode(texts)
print(json.dumps({"encoding_s": time.perf_counter() - started}))
"""


class Finished(NamedTuple):
    """A process that has ended: what it printed, how long it took, the most memory it held."""

    output: str
    wall_s: float
    peak_mb: float


def run(*command: str | Path, text: str = "") -> Finished:
    """Run a command to its end; the script ends with it when it fails."""
    started = time.perf_counter()
    with tempfile.TemporaryFile("w+") as given, tempfile.TemporaryFile("w+") as printed:
        given.write(text)
        given.seek(0)
        process = subprocess.Popen(list(map(str, command)), stdin=given, stdout=printed)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            sys.exit(f"{command} ended with {process.returncode}")
        printed.seek(0)
        return Finished(printed.read(), time.perf_counter() - started, usage.ru_maxrss / 1_024)


def minisearch(*arguments: str | Path) -> Finished:
    """Run a minisearch command."""
    return run(sys.executable, "-m", "minisearch", *arguments)


def weights() -> Path:
    """Where the default model's files are, for the peer."""
    from minisearch.minilm.catalog import find_checkpoint

    return find_checkpoint("all-MiniLM-L6-v2", offline=True).folder


def measure(folder: Path) -> dict[str, Any]:
    """Every figure for one folder."""
    from minisearch.storage import Store

    with tempfile.TemporaryDirectory() as scratch:
        index = Path(scratch, "index")
        first = minisearch("index", folder, "--index", index, "--json", "--offline")
        again = minisearch("index", folder, "--index", index, "--json", "--offline")
        status = minisearch("status", "--index", index)
        with Store(index / "minisearch.db") as store:
            texts = [chunk.text for chunk in store.chunks(store.chunk_ids().tolist()).values()]
    peer = json.loads(run(sys.executable, "-c", PEER, weights(), text=json.dumps(texts)).output)
    report, repeated = json.loads(first.output), json.loads(again.output)
    outside_s = report["elapsed_s"] - report["encoding_s"]
    return {
        "documents": f"{report['added']:,}",
        "skipped, each with its reason": f"{len(report['skipped']):,}",
        "chunks": f"{report['n_chunks']:,}",
        "first run": f"{first.wall_s:.1f} s",
        "of it outside the model": f"{outside_s / report['elapsed_s']:.1%}",
        "tokens a second, model alone": f"{report['n_tokens'] / report['encoding_s']:,.0f}",
        "sentence-transformers on the same passages / our model": (
            f"{peer['encoding_s'] / report['encoding_s']:.2f}"
        ),
        "sentence-transformers' encode alone / our whole run": f"{peer['encoding_s'] / first.wall_s:.2f}",
        "peak memory": f"{first.peak_mb:,.0f} MB",
        "second run, nothing changed": f"{again.wall_s:.2f} s",
        "embedded again in it": f"{repeated['n_encoded']}",
        "minisearch status": f"{status.wall_s:.2f} s",
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
