"""Measure reranking: what 12 layers take for a page of candidates, beside sentence-transformers.

    python scripts/rerank.py          # --quick for a first look

The checkpoints are made here, of the shape of ms-marco-MiniLM-L12-v2 and all-MiniLM-L12-v2 with random
weights: time does not depend on them.  All are loaded and warmed up in one process; then, round after
round, each scores the same question and passages.  Times are medians, a ratio is the median of the rounds'
own ratios.  The depth is what `TimedReranker` says for the budget, and the time is what that depth then took.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from embedding import ratio
from measuring import machine, option_parser, table, timed_s
from sample_texts import cut, read_words

from minisearch.errors import MinisearchError
from minisearch.minilm.hub import locate
from minisearch.minilm.settings import MiniLMConfig
from minisearch.minilm.tokenizer import MiniLMTokenizer
from minisearch.search.rerank import KINDS, Kind, Rerankers

TOKENIZER = "all-MiniLM-L6-v2"  # the 12-layer checkpoints have the same vocabulary
PEER = "sentence-transformers float32"
CONFIG = MiniLMConfig(num_hidden_layers=12)
DTYPES = ("float32", "auto")

Score = Callable[[Sequence[str]], Any]  # n passages -> scores (n,)


class Task(NamedTuple):
    """A question and the passages that are to be ranked for it."""

    query: str
    texts: list[str]
    budget_s: float
    n_rounds: int


def save_checkpoint(kind: Kind, folder: Path) -> None:
    """Random weights of the kind's shape, as Hugging Face saves them."""
    import torch
    import transformers

    library: Any = transformers
    torch.manual_seed(0)
    activation = {"activation_fn": "torch.nn.modules.linear.Identity"}
    config = library.BertConfig(**asdict(CONFIG), num_labels=1, sentence_transformers=activation)
    make = library.BertForSequenceClassification if kind == "cross" else library.BertModel
    make(config).save_pretrained(folder)
    weights = locate(TOKENIZER, offline=True).folder
    library.BertTokenizerFast.from_pretrained(weights).save_pretrained(folder)


def load_peer(kind: Kind, folder: Path, query: str) -> Score:
    """The peer with its own defaults."""
    import sentence_transformers

    options: dict[str, Any] = {"device": "cpu", "local_files_only": True}
    if kind == "cross":
        cross = sentence_transformers.CrossEncoder(str(folder), **options)
        return lambda texts: cross.predict([(query, text) for text in texts], show_progress_bar=False)
    encoder = sentence_transformers.SentenceTransformer(str(folder), **options)

    def score(texts: Sequence[str]) -> Any:  # noqa: ANN401 - an array (n,)
        vectors = encoder.encode([query, *texts], show_progress_bar=False)
        return sentence_transformers.util.cos_sim(vectors[:1], vectors[1:])[0].numpy()

    return score


def measure(scorers: Mapping[str, Score], texts: Sequence[str], n_rounds: int) -> dict[str, list[float]]:
    """Seconds of each in each round; the first rounds only warm up."""
    seconds: dict[str, list[float]] = {name: [] for name in scorers}
    for _ in range(n_rounds + 2):
        for name, score in scorers.items():
            seconds[name].append(timed_s(partial(score, texts)))
    return {name: taken[2:] for name, taken in seconds.items()}


def report(kind: Kind, task: Task, n_texts: int) -> str:
    """Two tables: the time for ``n_texts`` passages, and the depth that the budget allows."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        save_checkpoint(kind, folder)
        loaded = {
            f"minisearch {dtype}": Rerankers(model=scratch, dtype=dtype).timed(kind) for dtype in DTYPES
        }
        scorers = {PEER: load_peer(kind, folder, task.query)}
    for name, pace in loaded.items():
        scorers[name] = partial(pace.reranker.score, task.query)
    texts = task.texts[:n_texts]
    expected = scorers[PEER](texts)
    seconds = measure(scorers, texts, task.n_rounds)
    rows = []
    for name, taken in seconds.items():
        off = np.abs(scorers[name](texts) - expected).max()
        middle = f"{1_000 * statistics.median(taken):.0f}"
        rows.append([name, middle, f"{ratio(seconds[PEER], taken):.2f}", f"{off:.1e}"])
    times = table([f"{kind}, {n_texts} candidates", "ms", f"× {PEER}", "largest difference"], rows)

    rows = []
    for name, pace in loaded.items():
        depth = pace.depth(task.query, task.texts, task.budget_s)
        taken = measure({name: scorers[name]}, task.texts[:depth], task.n_rounds)[name]
        rows.append(
            [name, f"{pace.tokens_per_s:,.0f}", str(depth), f"{1_000 * statistics.median(taken):.0f}"]
        )
    header = [f"{kind}, within {1_000 * task.budget_s:.0f} ms", "tok/s", "depth", "ms at that depth"]
    return times + "\n" + table(header, rows)


def main(arguments: Sequence[str]) -> int:
    """Cut the passages, measure both kinds, print the tables."""
    parser = option_parser(__doc__)
    parser.add_argument("--texts", type=Path, default="data/docs", help="folder that passages are cut from")
    parser.add_argument("--n-texts", type=int, default=30, help="candidates")
    parser.add_argument("--n-tokens", type=int, default=128, help="tokens of each, special ones included")
    parser.add_argument("--budget-ms", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--quick", action="store_true", help="8 candidates, 2 rounds: does it work")
    options = parser.parse_args(arguments)
    if options.quick:
        options.n_texts, options.rounds = 8, 2
    words, counts = read_words(options.texts, MiniLMTokenizer(TOKENIZER, offline=True))
    n_most = max(100, options.n_texts)
    texts = cut(words, counts, options.n_tokens, options.n_tokens, n=n_most)
    (query,) = cut(words, counts, 12, 12, n=1, seed=1)
    task = Task(query, texts, options.budget_ms / 1_000, options.rounds)
    print(f"Machine: {machine()}, sentence-transformers {version('sentence-transformers')}")
    print(f"Passages of {options.n_tokens} tokens, a question of 12, random weights")
    for kind in KINDS:
        print(report(kind, task, options.n_texts), flush=True)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except MinisearchError as error:
        sys.exit(f"error: {error}")
