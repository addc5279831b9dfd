"""Measure what the README says of indexing: how long, how much memory, how little of it beside the model.

    python scripts/figures.py FOLDER...

Each folder is indexed from nothing and then again, unchanged, by the command line in a process of its
own.  Directly after, another process encodes the same texts with nothing else to do: the speed that
indexing could reach at most (a small folder is over before the model's start has paid).  Then our model
and its peer, sentence-transformers, embed a sample of them in turn.  The machine is named; the ratios
travel, the seconds do not.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from machine import machine

MODEL = "all-MiniLM-L6-v2"

# Passages that both models embed, taken evenly from the index, and how often, in turn.
SAMPLE, ROUNDS = 200, 5


class Finished(NamedTuple):
    """A process that has ended: what it printed, how long it took, the most memory it held."""

    output: str
    wall_s: float
    peak_mb: float


def run(*command: str | Path) -> Finished:
    """Run a command to its end; the script ends with it when it fails."""
    # Linux counts a child's peak from its parent's: this process loads no model, so that it stays small.
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


def measure_model(path: Path) -> dict[str, float]:
    """How fast the model is by itself on an index's texts, and against its peer, in this process.

    ``bare_s`` are the seconds for all texts as `minisearch index` encodes them, loading left out;
    ``ratio`` is how many times as fast as sentence-transformers on a sample, float32 both, the median of
    paired rounds.
    """
    from sentence_transformers import SentenceTransformer as Peer

    from minisearch import SentenceTransformer
    from minisearch.minilm.catalog import locate

    texts = json.loads(path.read_text(encoding="utf-8"))
    sample = texts[:: max(1, len(texts) // SAMPLE)]
    model = SentenceTransformer.from_pretrained(MODEL, offline=True)
    model.encode(sample)
    bare_s = timed(model.encode, texts)
    ours = SentenceTransformer.from_pretrained(MODEL, device="cpu", dtype="float32", offline=True)
    peer = Peer(str(locate(MODEL, offline=True).folder), device="cpu", local_files_only=True)
    ratios = []
    for _ in range(ROUNDS + 1):
        ours_s, peer_s = timed(ours.encode, sample), timed(peer.encode, sample)
        ratios.append(peer_s / ours_s)
    return {"bare_s": bare_s, "ratio": statistics.median(ratios[1:])}  # the first round warms both up


def timed(encode: Callable[[list[str]], object], texts: list[str]) -> float:
    """Seconds that encoding takes."""
    started = time.perf_counter()
    encode(texts)
    return time.perf_counter() - started


def measure(folder: Path) -> dict[str, str]:
    """Every figure for one folder."""
    from minisearch.storage import Store

    with tempfile.TemporaryDirectory() as scratch:
        index = Path(scratch, "index")
        first = minisearch("index", folder, "--index", index, "--json", "--offline")
        again = minisearch("index", folder, "--index", index, "--json", "--offline")
        status = minisearch("status", "--index", index)
        with Store(index / "minisearch.db") as store:
            chunks = store.chunks(store.chunk_ids().tolist()).values()
            texts = list(dict.fromkeys(chunk.text for chunk in chunks))  # the same text is encoded once
        Path(scratch, "texts.json").write_text(json.dumps(texts), encoding="utf-8")
        model = json.loads(run(sys.executable, __file__, "--model", Path(scratch, "texts.json")).output)
    report, repeated = json.loads(first.output), json.loads(again.output)
    indexing, bare = report["n_tokens"] / report["elapsed_s"], report["n_tokens"] / model["bare_s"]
    outside_s = report["elapsed_s"] - report["encoding_s"]
    return {
        "documents; skipped, each with its reason": f"{report['added']:,}; {len(report['skipped']):,}",
        "chunks; tokens": f"{report['n_chunks']:,}; {report['n_tokens']:,}",
        "first run": f"{first.wall_s:.0f} s",
        "of it outside the model": f"{outside_s / report['elapsed_s']:.1%}",
        "tokens a second, from the first file to the last": f"{indexing:,.0f}",
        "tokens a second of the bare encoder on the same texts": f"{bare:,.0f}",
        "share of the bare encoder's speed": f"{indexing / bare:.1%}",
        "peak memory": f"{first.peak_mb:,.0f} MB",
        "second run, nothing changed": f"{again.wall_s:.2f} s",
        "chunks embedded in it": f"{repeated['n_encoded']}",
        "`minisearch status`": f"{status.wall_s:.2f} s",
        "embedding speed, float32, sentence-transformers = 1": f"{model['ratio']:.2f}",
    }


def main(arguments: list[str]) -> int:
    """Print one table a folder."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", nargs="*", type=Path, metavar="FOLDER")
    parser.add_argument("--model", type=Path, help=argparse.SUPPRESS)  # how the script calls itself
    options = parser.parse_args(arguments)
    if options.model:
        print(json.dumps(measure_model(options.model)))
        return 0
    if not options.folders:
        parser.error("give a folder to index")
    print(f"Machine: {machine()}")
    for folder in options.folders:
        print(f"\n{folder.name}\n")
        for name, value in measure(folder).items():
            print(f"| {name} | {value} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
