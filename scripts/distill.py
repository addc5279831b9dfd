"""Distil a student on a CPU, and measure what it keeps of its teacher on texts that it never saw.

python scripts/distill.py OUT --corpus DOCS --collection CRANFIELD --sts stsb-en-test.csv

The student is made as by `minisearch train distill`, from the corpus alone.  Then teacher and student are
compared: dense nDCG@10 on a collection in BEIR's format, Spearman's correlation on a file of the STS
benchmark (two sentences and a score in each line), and tokens a second in one paired run.  If OUT is there
already, it is only measured.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Sequence
from pathlib import Path

import measuring
import numpy as np

from minisearch.evaluation.benchmark import open_benchmark
from minisearch.evaluation.collection import read_collection
from minisearch.evaluation.measures import means, scores_by_query
from minisearch.minilm import SentenceTransformer
from minisearch.training.distillation import LOSSES, DistillationJob, run
from minisearch.training.report import tokens_per_s
from minisearch.training.trainer import TrainingProgress


def main() -> None:
    """Distil and measure."""
    given = _options().parse_args()
    if not given.out.exists():
        run(_job(given), on_step=show_step, on_progress=show_progress)
    models = {
        name: SentenceTransformer.from_pretrained(place, offline=True)
        for name, place in (("teacher", given.teacher), ("student", str(given.out)))
    }
    texts = [document.text for document in read_collection(given.collection).corpus.values()][:300]
    speeds = tokens_per_s(list(models.values()), [text[:800] for text in texts])
    rows = [
        ("dense nDCG@10", [dense_ndcg(model, given.collection) for model in models.values()]),
        ("STS, Spearman", [sts_spearman(model, given.sts) for model in models.values()]),
        ("tokens/s", speeds),
    ]
    print(measuring.machine())
    cells = [
        [name, *(f"{value:,.4g}" for value in values), f"{values[1] / values[0]:.3f}"]
        for name, values in rows
    ]
    print(measuring.table(["", "teacher", "student", "student / teacher"], cells))


def _options() -> argparse.ArgumentParser:
    parser = measuring.option_parser(__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--corpus", type=Path, action="append", default=[])
    parser.add_argument("--collection", type=Path, required=True)
    parser.add_argument("--sts", type=Path, required=True)
    parser.add_argument("--teacher", default="all-MiniLM-L6-v2")
    parser.add_argument("--layers", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=40)
    parser.add_argument("--loss", action="append", default=[], choices=LOSSES)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--learning-rate", type=float, default=3e-4)
    parser.add_argument("--dropout", type=float, default=0.0)
    parser.add_argument("--resume", action="store_true")
    return parser


def _job(given: argparse.Namespace) -> DistillationJob:
    return DistillationJob(
        teacher=given.teacher,
        corpus=tuple(given.corpus),
        out=given.out,
        layers=given.layers,
        losses=tuple(given.loss),
        minutes=given.minutes,
        learning_rate=given.learning_rate,
        batch_size=given.batch_size,
        dropout=given.dropout,
        is_resumed=given.resume,
        is_offline=True,
    )


def dense_ndcg(model: SentenceTransformer, collection: Path) -> float:
    """The mean nDCG@10 of dense search over documents that are cut as files are."""
    read = read_collection(collection)
    with open_benchmark(read, encoder=model, offline=True) as benchmark:
        rankings = benchmark.run(mode="dense", k=100).rankings
    return means(scores_by_query(rankings, read.judgements))["nDCG@10"]


def sts_spearman(model: SentenceTransformer, file: Path) -> float:
    """Spearman's correlation of the cosines with the judged similarities."""
    with file.open(encoding="utf-8", newline="") as lines:
        first, second, judged = zip(*csv.reader(lines), strict=True)
    cosines = (model.encode(first) * model.encode(second)).sum(1)
    return spearman(cosines.tolist(), [float(score) for score in judged])


def spearman(a: Sequence[float], b: Sequence[float]) -> float:
    """The correlation of the ranks; equal values have the mean of their ranks.

    >>> round(spearman([1, 2, 2, 9], [10, 20, 20, 30]), 6)
    1.0
    """
    ranks = []
    for values in (a, b):
        _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
        ranks.append((counts.cumsum() - (counts - 1) / 2)[places])
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def show_step(line: str) -> None:
    """Print a line at once."""
    print(line, file=sys.stderr, flush=True)


def show_progress(phase: str, done: TrainingProgress) -> None:
    """Print the state of a run after every 50th step."""
    if done.step % 50 == 1:
        losses = " ".join(f"{name} {loss:.3f}" for name, loss in done.losses.items())
        show_step(
            f"{phase} {done.step}: {losses}, {done.tokens_per_s:,.0f} tokens/s, {done.left_s:,.0f} s left"
        )


if __name__ == "__main__":
    main()
