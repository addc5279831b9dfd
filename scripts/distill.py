"""Distil a student on a CPU, and measure what it keeps of its teacher on texts that it never saw.

python scripts/distill.py OUT --corpus DOCS --collection CRANFIELD --sts stsb-en-test.csv [--static]

The student is made as by `minisearch train distill`, or `train static`, from the corpus alone.  Then teacher
and student are compared: nDCG@10 of dense and of hybrid search on a collection in BEIR's format, Spearman's
correlation on a file of the STS benchmark (two sentences and a score in each line), and tokens a second in
one paired run.  If OUT is there already, it is only measured.
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
from minisearch.minilm import SentenceTransformer, StaticEncoder
from minisearch.results import Mode
from minisearch.training import distillation, static
from minisearch.training.distillation import LOSSES, DistillationJob
from minisearch.training.report import Embedder, tokens_per_s
from minisearch.training.static import StaticJob
from minisearch.training.trainer import TrainingProgress

N_SPEED_TEXTS = 1_200
MODES: tuple[Mode, ...] = ("dense", "hybrid")


def main() -> None:
    """Distil and measure."""
    given = _options().parse_args()
    if not given.out.exists():
        if given.static:
            static.run(_static_job(given), on_step=show_step, on_progress=show_progress)
        else:
            distillation.run(_job(given), on_step=show_step, on_progress=show_progress)
    kind = StaticEncoder if given.static else SentenceTransformer
    models: dict[str, Embedder] = {
        "teacher": SentenceTransformer.from_pretrained(given.teacher, offline=True),
        "student": kind.from_pretrained(str(given.out)),
    }
    texts = [document.text[:800] for document in read_collection(given.collection).corpus.values()]
    speeds = tokens_per_s(list(models.values()), texts[:N_SPEED_TEXTS])
    dense, hybrid = zip(*(ndcg(model, given.collection, MODES) for model in models.values()), strict=True)
    rows = [
        ("dense nDCG@10", dense),
        ("hybrid nDCG@10", hybrid),
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
    parser.add_argument("--static", action="store_true", help="make a static student")
    parser.add_argument("--steps", type=int, help="of a static student", default=1_000)
    parser.add_argument("--layers", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=40)
    parser.add_argument("--loss", action="append", default=[], choices=LOSSES)
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--learning-rate", type=float)
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
        is_resumed=given.resume,
        is_offline=True,
    )


def _static_job(given: argparse.Namespace) -> StaticJob:
    return StaticJob(
        teacher=given.teacher,
        corpus=tuple(given.corpus),
        out=given.out,
        steps=given.steps,
        is_resumed=given.resume,
        is_offline=True,
    )


def ndcg(model: Embedder, collection: Path, modes: Sequence[Mode]) -> list[float]:
    """The mean nDCG@10 of searches over documents that are cut as files are."""
    read = read_collection(collection)
    with open_benchmark(read, encoder=model, offline=True) as benchmark:
        rankings = [benchmark.run(mode=mode, k=100).rankings for mode in modes]
    return [means(scores_by_query(one, read.judgements))["nDCG@10"] for one in rankings]


def sts_spearman(model: Embedder, file: Path) -> float:
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
