"""Measure how well the relevance of results says whether they answer a query.

    python scripts/confidence.py COLLECTION... [--titles COLLECTION...] [--claims COLLECTION...] [--functions]
        [--tree FOLDER...] [--keep FOLDER] [--fit]

A collection is a folder in BEIR's format; queries can also be made from its titles and claims (`derived`).
A tree is any folder of documents: its queries are made from its own titles, headings and sentences, which
are masked in it as in `minisearch selftest`.  Queries without an answer are of two kinds.  Far ones are those
of other collections.  Near ones are the collection's own, with all relevant documents removed; the rest may
still answer some of them, unjudged.

For each mode it prints how many queries are refused ("no clear answer"), the Brier score, and a reliability
curve: of the results with such a relevance, how many are judged relevant.  With --fit it finds the weights of
`minisearch.search.confidence` anew, and says how well they do on collections they were not fitted on.
"""

from __future__ import annotations

import random
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from derived import claims, functions, titles
from measuring import machine, option_parser

from minisearch import MiniSearch, SentenceTransformer
from minisearch.evaluation.benchmark import open_benchmark
from minisearch.evaluation.collection import Collection, read_collection
from minisearch.evaluation.selftest import masked_copy
from minisearch.manifest import ScoreBaseline
from minisearch.paths import DATABASE, INDEX_FOLDER
from minisearch.results import MODES, Mode
from minisearch.search.confidence import (
    CONFIDENT_FROM,
    WEIGHTS,
    least_by_words,
    measure_baseline,
    signals,
    with_rarer_words,
)
from minisearch.search.ranking import Ranking, lexical_query, rank_candidates
from minisearch.search.words import exact_hits, with_names_first
from minisearch.stores.local import LocalStore
from minisearch.types import Encoder, FloatArray, IntArray, Tokenizer

Floats = npt.NDArray[np.float64]

MODEL = "all-MiniLM-L6-v2"
N_QUERIES = 80  # of each kind and collection
N_RESULTS = 10

# The mix of queries that the estimate assumes, and how much each rank counts: the first results matter most.
# Judgements are few: a first result that nobody judged may be right, and counts little.
ANSWERED, UNJUDGED, NEAR, FAR = 0.5, 0.1, 0.15, 0.25
RANK_WEIGHTS = np.array([3.0, 1.0, 1.0] + [0.3] * (N_RESULTS - 3))

RIDGE = 1e-4  # small: it only keeps the fit finite


@dataclass(frozen=True)
class Source:
    """An open index with its queries: for each its text, and the documents that answer it.

    ``documents`` (n,) are those of the chunks ``ids`` (n,).
    """

    name: str
    family: str
    store: LocalStore
    baseline: ScoreBaseline
    ids: IntArray
    documents: IntArray
    queries: Mapping[str, set[int]]


@dataclass(frozen=True)
class Sample:
    """The first results of a source's queries in one mode: signals (n, 5), all others (n,).

    ``least`` is the least relevance, for the words that a result has.
    """

    source: Source
    x: Floats
    least: Floats
    rank: npt.NDArray[np.int64]
    kind: npt.NDArray[np.str_]
    label: Floats
    weight: Floats


# --- from folders to signals ------------------------------------------------------------------------------


def from_collection(
    name: str, collection: Collection, folder: Path, encoder: Encoder, open_: ExitStack
) -> Source:
    """A collection's own queries and judgements."""
    with open_benchmark(collection, index=folder / name, encoder=encoder) as made:
        id_of = {entry: id_ for id_, entry in made.collection_ids.items()}
    queries = {
        text: {
            id_of[entry] for entry, gain in collection.judgements[id_].items() if gain > 0 and entry in id_of
        }
        for id_, text in collection.queries.items()
    }
    answered = {text: ids for text, ids in queries.items() if ids}
    return Source(name, name.partition(",")[0], *opened(folder / name, encoder, open_), answered)


def from_tree(folder: Path, scratch: Path, encoder: Encoder, open_: ExitStack) -> Source:
    """Known-item queries made from a tree's documents, with their words masked there."""
    index = scratch / folder.name / INDEX_FOLDER
    with MiniSearch.open(index.parent, encoder=encoder) as engine:
        engine.index(folder)
    copy = open_.enter_context(masked_copy(index, n=N_QUERIES, encoder=encoder))
    with LocalStore(copy.folder / DATABASE, writable=True) as store:
        store.index.publish("flat", copy.manifest.dimension)
    answered = {item.text: {item.document_id} for item in copy.items}
    return Source(folder.name, "trees", *opened(copy.folder, encoder, open_), answered)


def opened(
    folder: Path, encoder: Encoder, open_: ExitStack
) -> tuple[LocalStore, ScoreBaseline, IntArray, IntArray]:
    """The store of an index, closed with ``open_``, its baseline, its chunks and their documents."""
    store = open_.enter_context(LocalStore(folder / DATABASE))
    open_.enter_context(store.snapshot())
    baseline = measure_baseline(store, encoder)
    if baseline is None:
        sys.exit(f"{folder} has no documents")
    ids, _ = store.all_vectors(encoder.dimension)
    chunks = store.chunks(ids.tolist())
    return store, baseline, ids, np.array([chunks[id_].document_id for id_ in ids.tolist()], np.int64)


def samples(sources: Sequence[Source], encoder: Encoder) -> dict[Mode, list[Sample]]:
    """The first results of every source's queries, in each mode."""
    found: dict[Mode, list[Sample]] = {mode: [] for mode in MODES}
    for source in sources:
        chosen = random.Random(0)  # noqa: S311 - the same each time
        own = list(source.queries)
        own = chosen.sample(own, min(N_QUERIES, len(own)))
        others = [text for other in sources if other.family != source.family for text in other.queries]
        far = chosen.sample(others, min(N_QUERIES, len(others)))
        for mode in MODES:
            rows = [
                (*row, kind)
                for kind, texts in (("answered", own), ("near", own), ("far", far))
                for text, vector in zip(texts, encoder.encode_query(texts), strict=True)
                for row in results(source, text, vector, mode, kind, encoder)
            ]
            x, least, rank, label, kinds = map(np.array, zip(*rows, strict=True))
            kind = np.where((kinds == "answered") & (label == 0), "unjudged", kinds)
            weight = RANK_WEIGHTS[rank]
            shares = {"answered": ANSWERED, "unjudged": UNJUDGED, "near": NEAR, "far": FAR}
            for name, share in shares.items():
                weight[kind == name] *= share / max(weight[kind == name].sum(), 1e-9)
            found[mode].append(Sample(source, x, least, rank, kinds, label, weight))
    return found


def results(
    source: Source, text: str, vector: FloatArray, mode: Mode, kind: str, encoder: Encoder
) -> Iterator[tuple[Floats, float, int, int]]:
    """Signals, least relevance, rank and label of the first results; near queries have no right one."""
    right = source.queries[text] if kind != "far" else set()
    exclude = source.ids[np.isin(source.documents, list(right))] if kind == "near" else None
    found = ranked(
        source.store, text, None if mode == "lexical" else vector, mode, exclude, encoder.tokenizer
    )
    if mode == "hybrid":
        found = with_rarer_words(found, text, source.store, encoder)
    x = signals(found, source.baseline, mode)
    chunks = source.store.chunks(found.ids[:N_RESULTS].tolist())
    for rank, id_ in enumerate(found.ids[:N_RESULTS].tolist()):
        is_right = kind == "answered" and chunks[id_].document_id in right
        words = np.array([(found.traces[rank].words or 0.0) * (mode == "hybrid")], np.float32)
        yield x[rank].astype(np.float64), float(least_by_words(words)[0]), rank, int(is_right)


def ranked(
    store: LocalStore,
    text: str,
    vector: FloatArray | None,
    mode: Mode,
    exclude: IntArray | None,
    tokenizer: Tokenizer,
) -> Ranking:
    """The candidates, as the pipeline ranks them."""
    lexical = exact = None
    if mode != "dense":
        lexical = store.lexical(lexical_query(text, store), 2**31, exclude=exclude)
        exact = exact_hits(text, store, tokenizer, exclude=exclude) if vector is not None else None
    found = rank_candidates(store, vector, lexical, 100, exact=exact, exclude=exclude)
    if lexical is None:
        return found
    return with_names_first(found, store.chunks(found.ids.tolist()), text)


# --- what is printed ---------------------------------------------------------------------------------------


def estimates(of: Sample, weights: Sequence[float]) -> Floats:
    """The relevance of each result, (n,)."""
    found: Floats = np.maximum(1 / (1 + np.exp(-of.x @ np.array(weights))), of.least)
    return found


def refusals(found: Sequence[Sample], weights: Sequence[Sequence[float]]) -> Iterator[str]:
    """How many queries of each kind have a clear answer, and the Brier score of the first ten results."""
    yield "| index | own refused | right first, yet refused | near accepted | far accepted | Brier |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: |"
    table = []
    for one, of_one in zip(found, weights, strict=True):
        p, first = estimates(one, of_one), one.rank == 0
        is_clear = p >= CONFIDENT_FROM
        own, near, far = (first & (one.kind == kind) for kind in ("answered", "near", "far"))
        shares = [
            (~is_clear[own]).mean(),
            (~is_clear[own & (one.label == 1)]).mean(),
            is_clear[near].mean(),
            is_clear[far].mean(),
            (one.weight * (p - one.label) ** 2).sum() / one.weight.sum(),
        ]
        table.append(shares)
        yield f"| {one.source.name} | " + " | ".join(f"{share:.3f}" for share in shares) + " |"
    yield "| mean | " + " | ".join(f"{share:.3f}" for share in np.mean(table, axis=0)) + " |"


def reliability(found: Sequence[Sample], weights: Sequence[Sequence[float]]) -> Iterator[str]:
    """Of the results with a relevance in each tenth, the mean relevance and the share that is right."""
    p = np.concatenate([estimates(one, of_one) for one, of_one in zip(found, weights, strict=True)])
    label, weight = (np.concatenate([getattr(one, name) for one in found]) for name in ("label", "weight"))
    yield "| relevance | results | mean | judged relevant |"
    yield "| --- | ---: | ---: | ---: |"
    for tenth in range(10):
        is_in = np.minimum((p * 10).astype(int), 9) == tenth
        if is_in.any():
            mean, right = (np.average(of_all[is_in], weights=weight[is_in]) for of_all in (p, label))
            span = f"{tenth / 10:.1f} to {(tenth + 1) / 10:.1f}"
            yield f"| {span} | {is_in.sum():,} | {mean:.2f} | {right:.2f} |"


def fit(found: Sequence[Sample]) -> Floats:
    """The weights, by Newton's method; 0 for a signal that is 0 everywhere.  Every sample counts the same."""
    x = np.concatenate([one.x for one in found])
    label, weight = (np.concatenate([getattr(one, name) for one in found]) for name in ("label", "weight"))
    weight = weight / weight.sum()
    beta: Floats = np.zeros(x.shape[1])
    for _ in range(50):
        p = 1 / (1 + np.exp(-x @ beta))
        gradient = x.T @ (weight * (label - p)) - RIDGE * beta
        hessian = (x * (weight * p * (1 - p))[:, None]).T @ x + RIDGE * np.eye(len(beta))
        beta += np.linalg.solve(hessian, gradient)
    return beta


def report(found: Mapping[Mode, Sequence[Sample]], *, is_fitted: bool) -> Iterator[str]:
    """All tables; when fitted, each collection with weights fitted on those of other families."""
    for mode, of_mode in found.items():
        weights: list[Sequence[float]] = [WEIGHTS[mode]] * len(of_mode)
        if is_fitted:
            held_out = [
                [other for other in of_mode if other.source.family != one.source.family] for one in of_mode
            ]
            weights = [fit(others).tolist() for others in held_out]
            of_all = np.round(fit(of_mode), 2).tolist()
            yield f"\n{mode}: weights {of_all} fitted on all; below, each held out"
        else:
            yield f"\n{mode}"
        yield from ["", *refusals(of_mode, weights), "", *reliability(of_mode, weights)]


def main(arguments: Sequence[str]) -> int:
    """Print the tables."""
    parser = option_parser(__doc__)
    parser.add_argument("collections", nargs="+", type=Path, metavar="COLLECTION")
    parser.add_argument("--titles", action="append", default=[], type=Path, metavar="COLLECTION")
    parser.add_argument("--claims", action="append", default=[], type=Path, metavar="COLLECTION")
    parser.add_argument("--functions", action="store_true")
    parser.add_argument("--tree", action="append", default=[], type=Path, metavar="FOLDER")
    parser.add_argument("--keep", type=Path, help="where the indexes are kept from run to run")
    parser.add_argument("--fit", action="store_true", help="find the weights anew")
    options = parser.parse_args(arguments)
    judged = [
        *map(read_collection, options.collections),
        *map(titles, map(read_collection, options.titles)),
        *map(claims, map(read_collection, options.claims)),
        *([functions()] if options.functions else []),
    ]
    if len({one.name.partition(",")[0] for one in judged}) + bool(options.tree) < 2:
        parser.error("give two collections or more: far queries are those of another one")
    encoder = SentenceTransformer.from_pretrained(MODEL, offline=True)
    with tempfile.TemporaryDirectory() as temporary, ExitStack() as open_:
        scratch = (options.keep or Path(temporary)).resolve()
        sources = [from_collection(one.name, one, scratch, encoder, open_) for one in judged]
        sources += [from_tree(folder.resolve(), scratch, encoder, open_) for folder in options.tree]
        found = samples(sources, encoder)
    print(f"Machine: {machine()}")
    for line in report(found, is_fitted=options.fit):
        print(line)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
