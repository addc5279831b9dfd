"""Measure how well confidence separates queries that an index can answer from queries that it cannot.

    python scripts/confidence.py COLLECTION... [--tree FOLDER...] [--keep FOLDER] [--fit]

A collection is a folder in BEIR's format.  A tree is any folder of documents: its queries are made from its
own titles, headings and sentences, which are masked in it as in `minisearch selftest`.  Queries without an
answer are of two kinds, never added up.  Far ones are those of another collection.  Near ones are the index's
own, with all relevant documents removed; the rest may still answer some of them, unjudged.
With --fit the numbers of `minisearch.search.confidence` are fitted again.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from measuring import machine, option_parser

from minisearch import MiniSearch, SentenceTransformer
from minisearch.evaluation.benchmark import open_benchmark
from minisearch.evaluation.collection import read_collection
from minisearch.evaluation.selftest import masked_copy
from minisearch.manifest import ScoreBaseline
from minisearch.paths import DATABASE, INDEX_FOLDER
from minisearch.search.confidence import CONFIDENT_FROM, heights, measure_baseline, relevance
from minisearch.search.ranking import lexical_query
from minisearch.stores.local import LocalStore
from minisearch.types import Encoder, FloatArray, IntArray

Floats = npt.NDArray[np.float64]

MODEL = "all-MiniLM-L6-v2"
N_OF_A_TREE = 150

# Assumed by the fit: two of three queries have an answer, and half of the others are near.
SHARE_ANSWERABLE = 2 / 3

RIDGE = 1e-4  # small: it only keeps the fit finite


@dataclass(frozen=True)
class Best:
    """The best cosine of each query (q,), and the best share of its words in a chunk (q,)."""

    cosines: FloatArray
    words: FloatArray


@dataclass(frozen=True)
class SearchedIndex:
    """An index, its baseline and its queries, with their best scores with and without relevant documents."""

    name: str
    is_tree: bool
    index: Index
    baseline: ScoreBaseline
    texts: list[str]
    answered: Best
    near: Best


@dataclass(frozen=True)
class Sample:
    """The best scores in one index: of queries that it answers, and of near and far ones that it does not."""

    name: str
    baseline: ScoreBaseline
    answered: Best
    near: Best
    far: Best


@dataclass(frozen=True)
class Index:
    """An open index: chunk ids, document ids (n,), vectors (n, d), and the store for full text."""

    store: LocalStore
    encoder: Encoder
    ids: IntArray
    documents: IntArray
    vectors: FloatArray

    def best(self, texts: Sequence[str], gone: Sequence[Sequence[int]] | None = None) -> Best:
        """The best scores of each query, without its ``gone`` documents."""
        kept = [~np.isin(self.documents, some) for some in gone or [()] * len(texts)]
        scores = self.encoder.encode_query(texts) @ self.vectors.T  # (q, n)
        cosines = [row[is_kept].max() for row, is_kept in zip(scores, kept, strict=True)]
        words = []
        for text, is_kept in zip(texts, kept, strict=True):
            query = lexical_query(text, self.store)
            shares = self.store.lexical(query, len(self.ids), where=self.ids[is_kept]).words
            words.append(float(shares.max(initial=0)) if shares is not None else 0.0)
        return Best(np.array(cosines, np.float32), np.array(words, np.float32))


def auroc(positive: npt.ArrayLike, negative: npt.ArrayLike) -> float:
    """The probability that a positive scores above a negative; ties count half."""
    above, below = np.asarray(positive)[:, None], np.asarray(negative)[None]  # (p, 1), (1, n)
    return float(((above > below) + 0.5 * (above == below)).mean())


# --- from folders to cosines ----------------------------------------------------------------------------


def search_collection(folder: Path, index: Path, encoder: Encoder, open_: ExitStack) -> SearchedIndex:
    """A collection's own queries, with and without their relevant documents."""
    collection = read_collection(folder)
    with open_benchmark(collection, index=index, encoder=encoder) as made:
        id_of = {entry: id_ for id_, entry in made.collection_ids.items()}
    answers = [
        [id_of[entry] for entry, judgement in judged.items() if judgement > 0 and entry in id_of]
        for judged in collection.judgements.values()
    ]
    texts = list(collection.queries.values())
    return search(collection.name, False, opened(index, encoder, open_), texts, answers)


def search_tree(folder: Path, index: Path, encoder: Encoder, open_: ExitStack) -> SearchedIndex:
    """Known-item queries made from a tree's documents, with their words masked there."""
    with MiniSearch.open(index.parent, encoder=encoder) as engine:
        engine.index(folder)
    copy = open_.enter_context(masked_copy(index, n=N_OF_A_TREE, encoder=encoder))
    texts = [item.text for item in copy.items]
    answers = [[item.document_id] for item in copy.items]
    return search(folder.name, True, opened(copy.folder, encoder, open_), texts, answers)


def opened(folder: Path, encoder: Encoder, open_: ExitStack) -> Index:
    """An open index, closed with ``open_``."""
    store = open_.enter_context(LocalStore(folder / DATABASE))
    open_.enter_context(store.snapshot())
    ids, vectors = store.all_vectors(encoder.dimension)
    chunks = store.chunks(ids.tolist())
    documents = np.array([chunks[id_].document_id for id_ in ids.tolist()])
    return Index(store, encoder, ids, documents, vectors)


def search(
    name: str, is_tree: bool, index: Index, texts: list[str], answers: list[list[int]]
) -> SearchedIndex:
    """The queries searched in an index; ``answers`` are the documents to leave out for each near one."""
    baseline = measure_baseline(index.store, index.encoder)
    if baseline is None:
        sys.exit(f"{name} has too few documents to tell what it scores by chance")
    return SearchedIndex(name, is_tree, index, baseline, texts, index.best(texts), index.best(texts, answers))


def samples(searched: Sequence[SearchedIndex]) -> list[Sample]:
    """Each index with the queries of the other collections; two trees may overlap, so they are not used."""
    found = []
    for one in searched:
        strangers = [
            text
            for other in searched
            if other is not one and not (one.is_tree and other.is_tree)
            for text in other.texts
        ]
        found.append(Sample(one.name, one.baseline, one.answered, one.near, one.index.best(strangers)))
    return found


# --- how well it works -------------------------------------------------------------------------


def table(found: Sequence[Sample]) -> str:
    """AUROC and, at the default threshold, the share of right decisions, with counts."""
    lines = [
        "| index | answerable: confident | far: abstains | far AUROC | near: abstains | near AUROC |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for one in found:
        answered, near, far = (
            np.array(
                [
                    relevance(cosine, one.baseline, words=words)
                    for cosine, words in zip(best.cosines.tolist(), best.words.tolist(), strict=True)
                ]
            )
            for best in (one.answered, one.near, one.far)
        )
        cells = [
            one.name,
            share(answered >= CONFIDENT_FROM),
            share(far < CONFIDENT_FROM),
            f"{auroc(answered, far):.3f}",
            share(near < CONFIDENT_FROM),
            f"{auroc(answered, near):.3f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def share(is_right: npt.NDArray[np.bool_]) -> str:
    """As "45 of 48 (94 %)"."""
    return f"{is_right.sum()} of {len(is_right)} ({is_right.mean():.0%})"


# --- the numbers of the formula -------------------------------------------------------------------------


def both(cosine: float, baseline: ScoreBaseline) -> float:
    """The feature: `relevance` is its logistic function."""
    return sum(heights(cosine, baseline))


# The features that were tried: `both` decides best, and `relevance` uses it.
FEATURES: dict[str, Callable[[float, ScoreBaseline], float]] = {
    "both heights": both,
    "generic height": lambda cosine, baseline: heights(cosine, baseline)[0],
    "cross height": lambda cosine, baseline: heights(cosine, baseline)[1],
    "plain cosine": lambda cosine, _: cosine,
    "nothing": lambda *_: 0.0,
}


def design(
    found: Sequence[Sample], feature: Callable[[float, ScoreBaseline], float]
) -> tuple[Floats, Floats, Floats]:
    """The feature with a column of ones (m, 2), whether each query has an answer (m,), weights (m,).

    Every index has the same weight, and in it each kind of query has its assumed share.
    """
    rows, labels, weights = [], [], []
    for one in found:
        unanswerable = (1 - SHARE_ANSWERABLE) / 2
        kinds = ((one.answered, 1, SHARE_ANSWERABLE), (one.near, 0, unanswerable), (one.far, 0, unanswerable))
        for best, label, weight in kinds:
            rows += [(feature(cosine, one.baseline), 1.0) for cosine in best.cosines.tolist()]
            labels += [label] * len(best.cosines)
            weights += [weight / len(best.cosines) / len(found)] * len(best.cosines)
    return np.array(rows), np.array(labels, np.float64), np.array(weights)


def fit(found: Sequence[Sample], feature: Callable[[float, ScoreBaseline], float] = both) -> Floats:
    """Slope and constant of a logistic regression, by Newton's method."""
    x, labels, weights = design(found, feature)
    beta = np.zeros(2)
    for _ in range(50):
        p = 1 / (1 + np.exp(-x @ beta))
        gradient = x.T @ (weights * (labels - p)) - RIDGE * beta
        hessian = (x * (weights * p * (1 - p))[:, None]).T @ x + RIDGE * np.eye(2)
        beta += np.linalg.solve(hessian, gradient)
    return beta


def logits(
    beta: Floats, found: Sequence[Sample], feature: Callable[[float, ScoreBaseline], float] = both
) -> Floats:
    """The logit of the true label for each row of `design`, (m,): above 0 where the decision is right."""
    x, labels, _ = design(found, feature)
    return np.where(labels > 0, 1, -1) * (x @ beta)


def fit_report(found: Sequence[Sample]) -> str:
    """Each feature on each index, fitted on the others; then the weights fitted on all."""
    lines = ["| over | " + " | ".join(one.name for one in found) + " | mean |"]
    lines.append("| --- |" + " ---: |" * (len(found) + 1))
    for name, feature in FEATURES.items():
        cells = []
        for one in found:
            sure = logits(fit([other for other in found if other is not one], feature), [one], feature)
            _, _, weights = design([one], feature)
            cells.append((weights @ np.logaddexp(0, -sure), weights @ (sure > 0)))
        cells.append(tuple(np.mean(cells, axis=0)))
        shown = " | ".join(f"{loss:.3f}, {right:.0%}" for loss, right in cells)
        lines.append(f"| {name} | {shown} |")
    slope, constant = fit(found).tolist()
    return "\n".join([*lines, "", f"slope {slope:.2f}, constant {constant:.2f}"])


def main(arguments: Sequence[str]) -> int:
    """Print the tables."""
    parser = option_parser(__doc__)
    parser.add_argument("collections", nargs="+", type=Path, metavar="COLLECTION")
    parser.add_argument("--tree", action="append", default=[], type=Path, metavar="FOLDER")
    parser.add_argument("--keep", type=Path, help="where the indexes are kept from run to run")
    parser.add_argument("--fit", action="store_true", help="find the formula's numbers anew")
    options = parser.parse_args(arguments)
    if len(options.collections) + len(options.tree) < 2:
        parser.error("give two folders or more: far queries are those of another one")
    encoder = SentenceTransformer.from_pretrained(MODEL, dtype="float32", offline=True)
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as open_:
        indexes = (options.keep or Path(scratch)).resolve()
        searched = [
            kind(folder, indexes / folder.resolve().name / INDEX_FOLDER, encoder, open_)
            for kind, folders in ((search_collection, options.collections), (search_tree, options.tree))
            for folder in folders
        ]
        found = samples(searched)
    print(f"Machine: {machine()}\n\n{table(found)}")
    if options.fit:
        print(f"\nLog loss and right decisions on each index, fitted on the others:\n\n{fit_report(found)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
