"""Compare the losses of distillation, alone and together: how much of the teacher does each keep.

python scripts/ablation.py --corpus DOCS --collection CRANFIELD --sts stsb-en-test.csv

For each set of losses and each seed a student of the teacher's width is trained on the same texts, for the
same number of steps, from alternate layers of the teacher; with the last set also without random words.  The
table has, of each set, the mean and the standard deviation over the seeds of three measures: Spearman's
correlation on a file of the STS benchmark, as a share of the teacher's; and for documents of a collection in
BEIR's format, the mean cosine between the vectors of student and teacher, and the share of the teacher's ten
nearest documents that are also among the student's ten nearest.
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
from distill import sts_spearman

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
N_TEXTS = 400  # documents of the collection
N_NEAREST = 10


@dataclass(frozen=True, slots=True)
class Tests:
    """What students are measured with: ``vectors`` (N, D) are the teacher's of N texts."""

    sts: Path
    texts: tuple[str, ...]
    vectors: np.ndarray
    correlation: float

    @classmethod
    def of(cls, teacher: SentenceTransformer, collection: Path, sts: Path) -> Tests:
        """The tests, with the teacher's results."""
        texts = tuple(document.text for document in read_collection(collection).corpus.values())[:N_TEXTS]
        return cls(sts, texts, teacher.encode(texts), sts_spearman(teacher, sts))

    def measured(self, model: SentenceTransformer) -> tuple[float, float, float]:
        """The share of the correlation, the mean cosine, and the share of the nearest."""
        vectors = model.encode(self.texts)
        ours, theirs = _nearest(vectors), _nearest(self.vectors)
        shares = [len({*a} & {*b}) / N_NEAREST for a, b in zip(ours.tolist(), theirs.tolist(), strict=True)]
        cosine = float((vectors * self.vectors).sum(1).mean())
        return sts_spearman(model, self.sts) / self.correlation, cosine, mean(shares)


def _nearest(vectors: np.ndarray) -> np.ndarray:  # (N, D) -> (N, N_NEAREST)
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -1)
    return np.argsort(-cosines, axis=1)[:, :N_NEAREST]


def main() -> None:
    """Train and measure all students."""
    given = _options().parse_args()
    teacher = SentenceTransformer.from_pretrained(given.teacher, offline=True)
    tests = Tests.of(teacher, given.collection, given.sts)
    texts = list(texts_of(read_corpus(given.corpus, teacher).documents, teacher.settings))
    chosen = np.random.default_rng(0).permutation(len(texts))[: 2 * given.steps * given.batch_size]
    texts = [texts[place] for place in chosen]  # no more than are used
    rows = []
    for losses, word_noise in [*((losses, given.word_noise) for losses in SETS), (SETS[-1], 0.0)]:
        name = (" + ".join(losses) or "not trained") + ("" if word_noise else ", without random words")
        shares = []
        for seed in range(given.seeds if losses else 1):
            student = _student(teacher, texts, losses, word_noise, seed, given)
            shares.append(tests.measured(student))
            print(name, seed, *(f"{share:.3f}" for share in shares[-1]), file=sys.stderr, flush=True)
        rows.append([name, *map(_spread, zip(*shares, strict=True))])
    print(measuring.machine())
    print(f"{given.layers} layers, {given.steps} steps of {given.batch_size} texts, {given.seeds} seeds")
    print(measuring.table(["losses", "STS, Spearman", "cosine", "nearest"], rows))


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
