"""Measure how often the marked sentences of a passage answer the query.

    python scripts/evidence.py [PAIRS] [--wrong] [--fit]     # PAIRS is data/evidence/pairs.jsonl

A mark is right if it holds a whole answer that was judged acceptable, and is no longer than 400 characters,
or one and a half times the answer.  The peers are a sentence by chance, and the one of the highest cosine by
the model, alone and with its neighbours.  The last columns are the median length of the marks in characters,
and the time to mark one passage.  With --fit the weights of `minisearch.search.evidence` are learnt again,
from the pairs for fitting only.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from measuring import option_parser, table

from minisearch import SentenceTransformer
from minisearch.search.evidence import WEIGHTS, best_sentences, features, rare_words, vectors_of
from minisearch.search.sentences import kinds_of_sentences, sentences
from minisearch.types import FloatArray

PAIRS = Path(__file__).parents[1] / "data/evidence/pairs.jsonl"
MAX_CHARACTERS = 400
TIMES_THE_ANSWER = 1.5
SPLITS = ["fit", "held out", "fresh"]
EDGE = re.compile(r"^[\W_]+|[\W_]+$")

RIDGE = 4.0  # between 1 and 8 the same marks are right
STEPS, STEP = 4_000, 0.005

Span = tuple[int, int]


@dataclass(frozen=True)
class Pair:
    """A query, the passage that answers it, and the answers, each as it stands in the passage."""

    query: str
    passage: str
    heading: str
    source: str
    split: str
    answers: tuple[str, ...]


def main(arguments: list[str]) -> int:
    """Print one line a way to choose."""
    parser = option_parser(__doc__)
    parser.add_argument("pairs", type=Path, metavar="PAIRS", nargs="?", default=PAIRS)
    parser.add_argument("--wrong", action="store_true", help="print the wrong marks too")
    parser.add_argument("--fit", action="store_true", help="learn the weights again")
    options = parser.parse_args(arguments)
    pairs = read_pairs(options.pairs)
    encoder = SentenceTransformer.from_pretrained("all-MiniLM-L6-v2", offline=True)
    if options.fit:
        learnt = fit([pair for pair in pairs if pair.split == "fit"], encoder)
        print("\n".join(f'    "{name}": {weight:.2f},' for name, weight in learnt.items()))
        return 0

    def marked(pair: Pair, *, with_vectors: bool = True) -> Span:
        word_vectors = encoder.word_vectors if with_vectors else None
        found = best_sentences(
            pair.query,
            [pair.passage],
            headings=[pair.heading],
            word_vectors=word_vectors,
            tokenizer=encoder.tokenizer,
        )
        return found[0][:2]

    @cache
    def nearest_sentence(pair: Pair) -> int:
        spans = sentences(pair.passage, heading=pair.heading)
        texts = [" ".join(pair.passage[slice(*span)].split()) for span in spans]
        return int(np.argmax(encoder.encode_document(texts) @ encoder.encode_query([pair.query])[0]))

    def nearest(pair: Pair, *, n_around: int = 0) -> Span:
        spans, best = sentences(pair.passage, heading=pair.heading), nearest_sentence(pair)
        return spans[max(0, best - n_around)][0], spans[min(len(spans) - 1, best + n_around)][1]

    ways: dict[str, Callable[[Pair], Span]] = {
        "nearest by the model": nearest,
        "nearest by the model, with its neighbours": lambda pair: nearest(pair, n_around=1),
        "marked, without word vectors": lambda pair: marked(pair, with_vectors=False),
        "marked": marked,
    }
    rows = [_row("a sentence by chance", [_chance(pair) for pair in pairs], pairs, "", "")]
    for name, way in ways.items():
        started_s = time.perf_counter()
        spans = [way(pair) for pair in pairs]
        milliseconds = (time.perf_counter() - started_s) * 1_000 / len(pairs)
        right = [is_right(pair, span) for pair, span in zip(pairs, spans, strict=True)]
        length = float(np.median([end - start for start, end in spans]))
        time_ms = f"{milliseconds:.1f}" if name.startswith("marked") else ""  # the model's sentences are kept
        rows.append(_row(name, right, pairs, f"{length:.0f}", time_ms))
        if options.wrong and name == "marked":
            _print_wrong(pairs, spans, right)
    splits = [f"{split} ({sum(pair.split == split for pair in pairs)})" for split in SPLITS]
    splits.append(f"all ({len(pairs)})")
    print(table(["", *splits, "characters", "ms"], rows))
    return 0


def read_pairs(path: Path) -> list[Pair]:
    """The judged pairs of a file, in its order."""
    pairs = []
    for line in path.read_text(encoding="utf-8").splitlines():
        one = json.loads(line)
        place = (one["passage"], one["heading"], one["source"], one["split"])
        pairs += [Pair(asked["query"], *place, tuple(asked["answers"])) for asked in one["questions"]]
    return pairs


def is_right(pair: Pair, span: Span) -> bool:
    """Whether the span holds a whole answer, but for signs at its ends, and is not too long."""
    marked = " ".join(pair.passage[slice(*span)].split())
    return any(
        EDGE.sub("", " ".join(answer.split())) in marked
        and len(marked) <= max(MAX_CHARACTERS, TIMES_THE_ANSWER * len(answer))
        for answer in pair.answers
    )


def fit(pairs: Sequence[Pair], encoder: SentenceTransformer) -> dict[str, float]:
    """The weights that make the right sentences of each passage most likely: logistic, with a ridge."""
    samples: list[tuple[FloatArray, FloatArray]] = []  # (n, F) features, (n,) whether right
    for pair in pairs:
        found = kinds_of_sentences(pair.passage, heading=pair.heading)
        texts = [" ".join(pair.passage[one.start : one.end].split()) for one in found]
        right = np.array([is_right(pair, (one.start, one.end)) for one in found])
        usable = np.array([one.kind not in {"title", "aside", "heading"} for one in found])
        if (right & usable).any():
            vectors = vectors_of(pair.query, texts, encoder.word_vectors)
            rare = rare_words(pair.query, encoder.tokenizer)
            known = features(pair.query, found, texts, vectors, rare)
            samples.append((known[usable], right[usable]))
    scale = np.concatenate([known for known, _ in samples]).std(axis=0)
    weights = np.zeros(len(WEIGHTS))
    for _ in range(STEPS):
        slope = -2 * RIDGE * weights
        for known, right in samples:
            odds = np.exp(known / scale @ weights)
            chances = odds / odds.sum()
            slope += (known / scale).T @ (chances * right / (chances @ right) - chances)
        weights += STEP * slope
        if np.abs(slope).max() < 1e-3:
            break
    return dict(zip(WEIGHTS, (weights / scale).tolist(), strict=True))


def _chance(pair: Pair) -> float:
    """The share of the passage's sentences that are right."""
    spans = sentences(pair.passage, heading=pair.heading)
    return float(np.mean([is_right(pair, span) for span in spans]))


def _row(name: str, right: Sequence[float], pairs: Sequence[Pair], length: str, time_ms: str) -> list[str]:
    shares = [
        np.mean([value for value, pair in zip(right, pairs, strict=True) if pair.split in splits])
        for splits in (*([split] for split in SPLITS), SPLITS)
    ]
    return [name, *(f"{share:.3f}" for share in shares), length, time_ms]


def _print_wrong(pairs: Sequence[Pair], spans: Sequence[Span], right: Sequence[bool]) -> None:
    for pair, span, is_well_marked in zip(pairs, spans, right, strict=True):
        if not is_well_marked:
            print(f"{pair.split} | {pair.source} | {pair.query}")
            print(f"    marked: {pair.passage[slice(*span)]!r}\n    wanted: {list(pair.answers)}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
