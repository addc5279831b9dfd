"""Compare the losses of distillation, alone and together: how much of the teacher does each keep.

python scripts/ablation.py --corpus DOCS --collection CRANFIELD --sts stsb-en-test.csv

For each set of losses and each seed a student of the teacher's width is trained on the same texts, for the
same number of steps, from alternate layers of the teacher; with the last set also without random words.  The
table has, of each set, the mean and the standard deviation over the seeds of three measures, as shares of the
teacher's: dense nDCG@10 on a collection in BEIR's format, Spearman's correlation on a file of the STS
benchmark, and the mean cosine between the vectors of student and teacher for documents of the collection.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev

import measuring
import numpy as np
from distill import ndcg, sts_spearman

from minisearch.evaluation.collection import read_collection
from minisearch.minilm import SentenceTransformer
from minisearch.minilm.saving import save_pretrained
from minisearch.training.data import TextData, texts_of
from minisearch.training.distillation import Loss, distil, phases
from minisearch.training.job import read_corpus
from minisearch.training.students import student_of
from minisearch.training.trainer import TrainingSettings

SETS: tuple[tuple[Loss, ...], ...] = (
    (),  # not trained
    ("attention",),
    ("values",),
    ("attention", "values"),
    ("cosine", "similarity"),
    ("hidden",),
    ("attention", "values", "hidden", "cosine"),
    ("hidden", "cosine"),
)
N_TEXTS = 300  # whose vectors are compared


@dataclass(frozen=True, slots=True)
class Tests:
    """What students are measured with."""

    collection: Path
    sts: Path
    texts: tuple[str, ...]

    def measured(self, model: SentenceTransformer, teacher: SentenceTransformer) -> tuple[float, ...]:
        """The nDCG@10, the correlation and the mean cosine of a model."""
        cosines = (model.encode(self.texts) * teacher.encode(self.texts)).sum(1)
        return (
            ndcg(model, self.collection, ["dense"])[0],
            sts_spearman(model, self.sts),
            float(np.mean(cosines)),
        )


def main() -> None:
    """Train and measure all students."""
    given = _options().parse_args()
    teacher = SentenceTransformer.from_pretrained(given.teacher, offline=True)
    documents = read_collection(given.collection).corpus.values()
    tests = Tests(given.collection, given.sts, tuple(document.text for document in documents)[:N_TEXTS])
    texts = list(texts_of(read_corpus(given.corpus, teacher).documents, teacher.settings))
    of_teacher = tests.measured(teacher, teacher)
    rows = []
    for losses, word_noise in [*((losses, given.word_noise) for losses in SETS), (SETS[-1], 0.0)]:
        name = (" + ".join(losses) or "not trained") + ("" if word_noise else ", without random words")
        shares = []
        for seed in range(given.seeds if losses else 1):
            student = _student(teacher, texts, losses, word_noise, seed, given)
            measured = tests.measured(student, teacher)
            shares.append([ours / theirs for ours, theirs in zip(measured, of_teacher, strict=True)])
            print(name, seed, *(f"{share:.3f}" for share in shares[-1]), file=sys.stderr, flush=True)
        rows.append([name, *map(_spread, zip(*shares, strict=True))])
    print(measuring.machine())
    print(f"{given.layers} layers, {given.steps} steps of {given.batch_size} texts, {given.seeds} seeds")
    print(measuring.table(["losses", "nDCG@10", "STS, Spearman", "cosine"], rows))


def _student(
    teacher: SentenceTransformer,
    texts: Sequence[str],
    losses: tuple[Loss, ...],
    word_noise: float,
    seed: int,
    given: argparse.Namespace,
) -> SentenceTransformer:
    """A student after its training, saved and loaded as users do."""
    student = student_of(teacher, layers=given.layers, dropout=0.0, seed=seed)
    if losses:
        data = TextData(
            texts, teacher.tokenizer, batch_size=given.batch_size, word_noise=word_noise, seed=seed
        )
        settings = TrainingSettings(learning_rate=given.learning_rate, steps=given.steps, seed=seed)
        distil(phases(teacher, student, losses=losses, seed=seed), data, settings)
    with tempfile.TemporaryDirectory() as folder:
        save_pretrained(student, folder)
        return SentenceTransformer.from_pretrained(folder, offline=True)


def _spread(values: Sequence[float]) -> str:
    return f"{mean(values):.3f}" + (f" ± {stdev(values):.3f}" if len(values) > 1 else "")


def _options() -> argparse.ArgumentParser:
    parser = measuring.option_parser(__doc__)
    parser.add_argument("--corpus", type=Path, action="append", required=True)
    parser.add_argument("--collection", type=Path, required=True)
    parser.add_argument("--sts", type=Path, required=True)
    parser.add_argument("--teacher", default="all-MiniLM-L6-v2")
    parser.add_argument("--layers", type=int, default=3)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--learning-rate", type=float, default=3e-4)
    parser.add_argument("--word-noise", type=float, default=0.8)
    parser.add_argument("--seeds", type=int, default=3)
    return parser


if __name__ == "__main__":
    main()
