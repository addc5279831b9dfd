"""Train on pairs made from documents, and measure what it changes on collections that were never seen.

    python scripts/finetune.py embedder OUT --corpus ANSIBLE --minutes 12 --collection CRANFIELD
    python scripts/finetune.py reranker OUT --corpus ANSIBLE --minutes 15 --collection CRANFIELD

The model is made as by `minisearch train finetune` or `train rerank`, and its known-item figures, before and
after, are those of the command.  Then nDCG@10 of each collection in BEIR's format: dense, by the embedder
before and after; or hybrid, without and with the reranker.  If OUT is there already, it is only measured.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import measuring
from distill import show_progress, show_step

from minisearch.evaluation.benchmark import open_benchmark
from minisearch.evaluation.collection import read_collection
from minisearch.evaluation.measures import Setting, evaluate_settings
from minisearch.minilm import CrossEncoder, SentenceTransformer
from minisearch.training import finetuning, reranking
from minisearch.training.pairs import PairsJob
from minisearch.training.report import table

MEASURE = "nDCG@10"


def main() -> None:
    """Train and measure."""
    given = _options().parse_args()
    if not given.out.exists():
        job = PairsJob(
            model=given.model,
            corpus=tuple(given.corpus),
            out=given.out,
            minutes=given.minutes,
            batch_size=given.batch_size,
            learning_rate=given.learning_rate,
            is_resumed=given.resume,
            is_offline=True,
        )
        train = finetuning.run if given.what == "embedder" else reranking.run
        header, *rows = table(train(job, on_step=show_step, on_progress=show_progress).rows)
        print(measuring.table(header, rows))
    settings = dense if given.what == "embedder" else hybrid
    rows = []
    for folder in given.collection:
        before, *others = evaluate_settings(settings(given, folder), read_collection(folder).judgements)
        for after in others:
            assert after.against_first is not None, "it is not the first"
            compared = after.against_first[MEASURE]
            means = [f"{one.means[MEASURE]:.4f}" for one in (before, after)]
            rows.append([folder.name, after.name, *means, f"{compared.difference:+.4f}", f"{compared.p:.3f}"])
    print(measuring.machine())
    print(measuring.table([MEASURE, "", "before", "after", "difference", "p"], rows))


def dense(given: argparse.Namespace, folder: Path) -> Sequence[Setting]:
    """Dense search by the embedder before and after."""
    settings = []
    for place in (given.model, str(given.out)):
        encoder = SentenceTransformer.from_pretrained(place, offline=True)
        with open_benchmark(read_collection(folder), encoder=encoder, offline=True) as benchmark:
            settings.append(benchmark.run("dense", mode="dense"))
    return settings


def hybrid(given: argparse.Namespace, folder: Path) -> Sequence[Setting]:
    """Hybrid search without and with the reranker, at each depth."""
    encoder = SentenceTransformer.from_pretrained(given.model, offline=True)
    reranker = CrossEncoder.from_pretrained(str(given.out), offline=True)
    with open_benchmark(read_collection(folder), encoder=encoder, offline=True) as benchmark:
        return [benchmark.run("hybrid")] + [
            benchmark.run(f"hybrid, {depth} reranked", rerank=reranker, rerank_depth=depth)
            for depth in given.depth
        ]


def _options() -> argparse.ArgumentParser:
    parser = measuring.option_parser(__doc__)
    parser.add_argument("what", choices=["embedder", "reranker"])
    parser.add_argument("out", type=Path)
    parser.add_argument("--corpus", type=Path, action="append", default=[])
    parser.add_argument("--collection", type=Path, action="append", default=[])
    parser.add_argument("--model", default="all-MiniLM-L6-v2")
    parser.add_argument("--minutes", type=float, default=12)
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--learning-rate", type=float)
    parser.add_argument("--depth", type=int, nargs="*", default=[12], help="candidates that are reranked")
    parser.add_argument("--resume", action="store_true")
    return parser


if __name__ == "__main__":
    main()
