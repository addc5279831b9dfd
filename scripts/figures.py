"""Measure the README's figures about indexing: time, memory, and the share of time outside the model.

    python scripts/figures.py FOLDER...

Each folder is indexed from nothing and then again, unchanged, by the command line in a process of its
own.  In another process, with the model loaded, it is indexed between two runs of the encoder over the same
texts with nothing else to do: the speed that indexing could reach at most.  Then our model and its peer,
sentence-transformers, embed a sample of the texts in turn.  The machine is named; the ratios travel, the
seconds do not.
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
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from measuring import machine, option_parser, timed_s

if TYPE_CHECKING:
    from minisearch.types import Encoder

MODEL = "all-MiniLM-L6-v2"

# Chunks that both models embed, taken evenly from the index, and the number of rounds.
SAMPLE, ROUNDS = 200, 5
SHARE_ROUNDS = 2  # of indexing, between two runs of the encoder alone


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


def measure_model(folder: Path) -> dict[str, float]:
    """The speed of indexing against the encoder alone, and of the encoder against its peer, in this process.

    ``share`` is the bare encoder's time for the folder's texts, as a share of the time of indexing it between
    two such runs, the model loaded in all.  ``ratio`` is how many times as fast our model is as
    sentence-transformers on a sample, float32 both, the median of paired rounds.
    """
    from sentence_transformers import SentenceTransformer as Peer

    from minisearch import SentenceTransformer
    from minisearch.minilm.hub import locate

    model = SentenceTransformer.from_pretrained(MODEL, offline=True)
    _, texts = index_once(model, folder)
    shares = []
    bare_s = timed_s(lambda: model.encode(texts))
    for _ in range(SHARE_ROUNDS):
        index_s, _ = index_once(model, folder)
        bare_before_s, bare_s = bare_s, timed_s(lambda: model.encode(texts))
        shares.append((bare_before_s + bare_s) / 2 / index_s)
    sample = texts[:: max(1, len(texts) // SAMPLE)]
    ours = SentenceTransformer.from_pretrained(MODEL, device="cpu", dtype="float32", offline=True)
    peer = Peer(str(locate(MODEL, offline=True).folder), device="cpu", local_files_only=True)
    ratios = []
    for _ in range(ROUNDS + 1):
        ours_s, peer_s = timed_s(lambda: ours.encode(sample)), timed_s(lambda: peer.encode(sample))
        ratios.append(peer_s / ours_s)
    return {
        "share": statistics.median(shares),
        "least_share": min(shares),
        "ratio": statistics.median(ratios[1:]),  # the first round warms both up
    }


def index_once(encoder: Encoder, folder: Path) -> tuple[float, list[str]]:
    """Seconds that indexing a folder from nothing takes, and the texts that were embedded."""
    from minisearch import MiniSearch
    from minisearch.stores.local import LocalStore

    with tempfile.TemporaryDirectory() as scratch, MiniSearch(Path(scratch, "index"), encoder=encoder) as ms:
        report = ms.index(folder)
        with LocalStore(Path(scratch, "index", "minisearch.db")) as store:
            chunks = store.chunks(store.chunk_ids().tolist()).values()
    texts = dict.fromkeys(f"{chunk.title} {chunk.text}".strip() for chunk in chunks)
    return report.elapsed_s, list(texts)  # the same text is encoded once


def measure(folder: Path) -> dict[str, str]:
    """Every figure for one folder."""
    with tempfile.TemporaryDirectory() as scratch:
        index = Path(scratch, "index")
        first = minisearch("index", folder, "--index", index, "--json", "--offline")
        again = minisearch("index", folder, "--index", index, "--json", "--offline")
        status = minisearch("status", "--index", index)
    model = json.loads(run(sys.executable, __file__, "--model", folder).output)
    report, repeated = json.loads(first.output), json.loads(again.output)
    outside_s = report["elapsed_s"] - report["encoding_s"]
    return {
        "documents; skipped, each with its reason": f"{report['added']:,}; {len(report['skipped']):,}",
        "chunks; tokens": f"{report['n_chunks']:,}; {report['n_tokens']:,}",
        "first run": f"{first.wall_s:.0f} s",
        "of it outside the model": f"{outside_s / report['elapsed_s']:.1%}",
        "share of the bare encoder's speed, model loaded; least": (
            f"{model['share']:.1%}; {model['least_share']:.1%}"
        ),
        "peak memory": f"{first.peak_mb:,.0f} MB",
        "second run, nothing changed": f"{again.wall_s:.2f} s",
        "chunks embedded in it": f"{repeated['n_encoded']}",
        "`minisearch status`": f"{status.wall_s:.2f} s",
        "embedding speed, float32, sentence-transformers = 1": f"{model['ratio']:.2f}",
    }


def main(arguments: list[str]) -> int:
    """Print one table a folder."""
    parser = option_parser(__doc__)
    parser.add_argument("folders", nargs="*", type=Path, metavar="FOLDER")
    parser.add_argument("--model", type=Path, help=argparse.SUPPRESS)  # used by this script to start itself
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
