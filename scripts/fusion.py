r"""Compare ways to fuse dense and lexical scores, on several collections.

    python scripts/fusion.py --collection data --collection CRANFIELD --titles CRANFIELD --claims CRANFIELD \
        --functions --documents ANSIBLE

A collection is a folder in BEIR's format, with judgements.  Its titles and last sentences can be used as
queries too, and so can the functions of Python's standard library (`derived`).  From a folder of documents,
known-item queries are made as `minisearch selftest` makes them, with their words masked in the document to be
found.  Every chunk gets a dense and a lexical score, each fusion is computed from these two scores, documents
rank by their best chunk, and nDCG@10 is printed, one column a collection.  A default must hold on all.
"""

from __future__ import annotations

import math
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import numpy.typing as npt
from derived import claims, functions, titles
from measuring import option_parser

from minisearch import MiniSearch, SentenceTransformer
from minisearch.evaluation.benchmark import open_benchmark
from minisearch.evaluation.collection import Collection, read_collection
from minisearch.evaluation.selftest import masked_copy
from minisearch.manifest import Manifest
from minisearch.search.ranking import MAX_LEXICAL_SHARE, NEAR, lexical_query
from minisearch.stores.local import LocalStore
from minisearch.types import Encoder, FloatArray, IntArray

MODEL = "all-MiniLM-L6-v2"
HALF_AND_HALF = "half and half, each by the page's best"

Floats = npt.NDArray[np.floating]


@dataclass(frozen=True)
class ScoredQuery:
    """One query: the dense and lexical score of every chunk (n,), and the judgements of documents.

    ``bm25_of_words`` counts no pairs of words.
    """

    cosines: FloatArray
    bm25: FloatArray
    bm25_of_words: FloatArray
    ceiling: float
    gains: Mapping[int, float]
    vector: FloatArray


@dataclass(frozen=True)
class ScoredCollection:
    """A collection: its scored queries, and each chunk's document (n,) and vector (n, d)."""

    name: str
    queries: list[ScoredQuery]
    documents: npt.NDArray[np.int64]
    vectors: FloatArray


Fusion = Callable[[FloatArray, ScoredQuery], Floats]


def ours(weight: float = 1.0, power: float = 1.0) -> Fusion:
    """`minisearch.search.ranking.fuse` with other weights."""

    def fused(cosines: FloatArray, query: ScoredQuery) -> Floats:
        lexical: Floats = np.clip(query.bm25 / query.ceiling, 0, MAX_LEXICAL_SHARE) ** power
        together: Floats = cosines / max(float(cosines.max()), NEAR) + weight * lexical
        return together

    return fused


def half_and_half(cosines: FloatArray, query: ScoredQuery) -> Floats:
    """The sum of both scores, each scaled by the best one."""
    span = float(np.ptp(cosines)) or 1.0
    both: Floats = (cosines - cosines.min()) / span + query.bm25 / max(float(query.bm25.max()), 1e-9)
    return both


def reciprocal_ranks(cosines: FloatArray, query: ScoredQuery) -> Floats:
    """RRF with 60, of all chunks by cosine and of those with a word of the query by BM25.

    Cormack, Clarke and Büttcher, "Reciprocal rank fusion outperforms Condorcet and individual rank learning
    methods", SIGIR 2009.
    """
    by_words = np.argsort(-query.bm25, kind="stable")[: int((query.bm25 > 0).sum())]
    scores = np.zeros(len(cosines))
    for ranking in (np.argsort(-cosines, kind="stable"), by_words):
        scores[ranking] += 1 / (60 + np.arange(1, len(ranking) + 1))
    return scores


FUSIONS: dict[str, Fusion] = {
    "dense alone": lambda cosines, _: cosines,
    "lexical alone": lambda _, query: query.bm25,
    HALF_AND_HALF: half_and_half,
    "reciprocal ranks": reciprocal_ranks,
    **{
        f"ours, weight {weight:g}, power {power:g}": ours(weight, power)
        for weight, power in ((1, 1), (0.7, 1), (1.25, 1), (1.5, 1), (1.5, 1.5))
    },
}


def ndcg(scored: ScoredCollection, fusion: Fusion) -> float:
    """Mean nDCG@10 over the queries; a document ranks by its best chunk."""
    return float(
        np.mean([_ndcg(fusion(query.cosines, query), query, scored.documents) for query in scored.queries])
    )


def _ndcg(scores: Floats, query: ScoredQuery, documents: npt.NDArray[np.int64]) -> float:
    ranked = dict.fromkeys(documents[np.argsort(-scores, kind="stable")].tolist())
    found = [query.gains.get(document, 0.0) for document in list(ranked)[:10]]
    best = sorted(query.gains.values(), reverse=True)[:10]
    return _dcg(found) / _dcg(best)


def _dcg(gains: list[float]) -> float:
    return sum(gain / math.log2(rank + 1) for rank, gain in enumerate(gains, start=1))


def scored(
    name: str, folder: Path, encoder: Encoder, queries: Mapping[str, Mapping[int, float]]
) -> ScoredCollection:
    """The scores for every query; ``folder`` is an index's."""
    with LocalStore(folder / "minisearch.db") as store, store.snapshot():
        dimension = Manifest.read(store, folder).dimension
        ids, vectors = store.all_vectors(dimension)
        documents = [chunk.document_id for chunk in store.chunks(ids.tolist()).values()]
        found = []
        for text, gains in queries.items():
            (vector,) = encoder.encode_query([text])
            bm25, ceiling = words(store, text, ids)
            with patch("minisearch.search.ranking.PAIR_WEIGHT", 0.0):
                bm25_of_words, _ = words(store, text, ids)
            found.append(ScoredQuery(store.cosines(vector, ids), bm25, bm25_of_words, ceiling, gains, vector))
    return ScoredCollection(name, found, np.array(documents), vectors)


def words(store: LocalStore, text: str, ids: IntArray) -> tuple[FloatArray, float]:
    """The BM25 scores of all chunks, and the highest that a chunk could have."""
    hits = store.lexical(lexical_query(text, store), len(ids))
    bm25 = np.zeros(len(ids), np.float32)
    bm25[np.searchsorted(ids, hits.ids)] = hits.scores
    return bm25, max(hits.ceiling, 1e-9)


def without_pairs(scored: ScoredCollection) -> ScoredCollection:
    """The same without pairs of words."""
    return replace(scored, queries=[replace(query, bm25=query.bm25_of_words) for query in scored.queries])


@contextmanager
def collections(
    judged: list[Collection], documents: list[Path], encoder: Encoder
) -> Iterator[list[ScoredCollection]]:
    """Every collection, scored, with its index in a temporary folder."""
    found = []
    with tempfile.TemporaryDirectory() as scratch:
        for collection in judged:
            index = Path(scratch, collection.name)
            with open_benchmark(collection, index=index, encoder=encoder) as made:
                number = {entry_id: id_ for id_, entry_id in made.collection_ids.items()}
            queries = {
                text: {
                    number[id_]: float(gain)
                    for id_, gain in collection.judgements[id__].items()
                    if id_ in number
                }
                for id__, text in collection.queries.items()
            }
            found.append(scored(collection.name, index, encoder, queries))
        for folder in documents:
            index = Path(scratch, f"{folder.name}-index")
            with MiniSearch(index, encoder=encoder) as engine:
                engine.index(folder)
            with masked_copy(index, n=400, encoder=encoder) as copy:
                with LocalStore(copy.folder / "minisearch.db", writable=True) as store:
                    store.index.publish("flat", copy.manifest.dimension)
                queries = {item.text: {item.document_id: 1.0} for item in copy.items}
                found.append(scored(folder.name, copy.folder, encoder, queries))
        yield found


def main(arguments: list[str]) -> int:
    """Print the table."""
    parser = option_parser(__doc__)
    parser.add_argument("--collection", action="append", type=Path, default=[], metavar="FOLDER")
    parser.add_argument("--documents", action="append", type=Path, default=[], metavar="FOLDER")
    parser.add_argument("--titles", action="append", type=Path, default=[], metavar="FOLDER")
    parser.add_argument("--claims", action="append", type=Path, default=[], metavar="FOLDER")
    parser.add_argument("--functions", action="store_true")
    options = parser.parse_args(arguments)
    judged = [
        *map(read_collection, options.collection),
        *map(titles, map(read_collection, options.titles)),
        *map(claims, map(read_collection, options.claims)),
        *([functions()] if options.functions else []),
    ]
    if not judged and not options.documents:
        parser.error("give at least one collection or --documents")
    encoder = SentenceTransformer.from_pretrained(MODEL, offline=True)
    with collections(judged, options.documents, encoder) as found:
        print("| nDCG@10 | " + " | ".join(f"{one.name} ({len(one.queries)})" for one in found) + " | mean |")
        print("|---" * (len(found) + 2) + "|")
        for name, fusion in FUSIONS.items():
            print_row(name, [ndcg(one, fusion) for one in found])
        for name in ("lexical alone", HALF_AND_HALF):
            print_row(f"{name}, without pairs", [ndcg(without_pairs(one), FUSIONS[name]) for one in found])
        plain = [without_pairs(one) for one in found]
        print_row("ours, without pairs", [ndcg(one, ours()) for one in plain])
    return 0


def print_row(name: str, figures: list[float]) -> None:
    """One row of the table."""
    print(
        f"| {name} | " + " | ".join(f"{figure:.4f}" for figure in [*figures, float(np.mean(figures))]) + " |"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
