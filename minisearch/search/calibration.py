"""Measure the score baseline of an index: its best cosines for queries that it has no answer to.

A store, its vector index and its encoder go in; a `ScoreBaseline` comes out, which the manifest keeps.  The
queries are everyday ones about anything at all, and sentences of the index's own documents, asked of all
the others.  What a score is worth against them is left to `search.confidence`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from minisearch.manifest import ScoreBaseline
from minisearch.search.confidence import score_baseline
from minisearch.search.sentences import sentences
from minisearch.stores.local import Store
from minisearch.types import Encoder, IntArray
from minisearch.vectors.base import VectorIndex

GENERIC_QUERIES = Path(__file__).parent / "generic_queries.txt"

MIN_DOCUMENTS = 20  # with fewer, one document on a query's subject would make the index look full of it
N_SENTENCES = 80
MAX_WORDS = 15
COPIED_WORDS = 8  # a passage with as many of a sentence's first words in a row repeats it

# A sentence's own document is passed over; one that fills all of these with its own passages says nothing.
N_NEIGHBOURS = 20


def measure(store: Store, index: VectorIndex, encoder: Encoder) -> ScoreBaseline | None:
    """The baseline of an index; None where it is too small to measure.

    Call it inside one snapshot of the store.  The same index gives the same baseline.
    """
    n_documents, _ = store.counts()
    if n_documents < MIN_DOCUMENTS:
        return None
    generic = index.search(encoder.encode_query(generic_queries()), 1)
    cross = _cross_scores(store, index, encoder, _spread(store.chunk_ids(), N_SENTENCES))
    if not cross:
        return None
    return score_baseline([float(hits.scores[0]) for hits in generic], cross)


def generic_queries() -> list[str]:
    """Everyday queries about all sorts of things."""
    return GENERIC_QUERIES.read_text(encoding="utf-8").splitlines()


def _cross_scores(store: Store, index: VectorIndex, encoder: Encoder, chunk_ids: IntArray) -> list[float]:
    """The best cosine of a sentence from each of these chunks in another document that does not repeat it."""
    asked = store.chunks(chunk_ids.tolist()).values()
    texts = [_first_sentence(chunk.text, chunk.heading) for chunk in asked]
    found = index.search(encoder.encode_query(texts), N_NEIGHBOURS)
    neighbours = store.chunks(np.unique(np.concatenate([hits.ids for hits in found])).tolist())
    scores = []
    for chunk, text, hits in zip(asked, texts, found, strict=True):
        start = " ".join(text.split()[:COPIED_WORDS])
        is_other = [
            neighbours[id_].document_id != chunk.document_id and start not in _one_line(neighbours[id_].text)
            for id_ in hits.ids.tolist()
        ]
        scores += hits.scores[is_other][:1].tolist()
    return scores


def _first_sentence(text: str, heading: str) -> str:
    spans = sentences(text, heading=heading)
    first = text[slice(*spans[0])] if spans else text
    return " ".join(first.split()[:MAX_WORDS])


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _spread(ids: IntArray, n: int) -> IntArray:
    """About n of them, evenly spread, always the same ones."""
    return ids[:: max(1, len(ids) // n)][:n]
