"""Verify an index: compare it with its files, which are read, split and embedded again.

An index goes in, a `Verification` comes out.  The store checks the whole database; a sample of the documents
is checked from the bytes of the file to the ranking of its passages.  Nothing is written.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from minisearch.errors import IngestError, InputError
from minisearch.indexing.changes import ChunkedDocument, DocumentSplitter, Reader
from minisearch.indexing.plan import find_files
from minisearch.manifest import Manifest
from minisearch.minilm.encoders import Encoders
from minisearch.paths import IndexLocation, is_from_memory, may_open, trusted_paths
from minisearch.stores import open_store
from minisearch.stores.base import StoredDocument
from minisearch.stores.local import LocalStore
from minisearch.types import FloatArray, Hits, IntArray, Verification

# The same text, embedded by another dtype or beside other texts, has a cosine above 0.999 with itself.
LEAST_COSINE = 0.998
MOST_CHUNKS = 400  # that are embedded: some five seconds
N_QUERIES = 20
K = 10


def verify(location: IndexLocation, encoders: Encoders, *, n: int, seed: int) -> Verification:
    """`MiniSearch.verify`."""
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        raise InputError(f"n is {n!r}: ask for at least 1 document")
    location.must_exist()
    with open_store(location) as store, store.snapshot():
        manifest = Manifest.read(store, location.folder)
        check = _Check(location, encoders, store, manifest)
        if check.is_database_sound():
            check.documents(n, seed)
            check.rankings()
        return check.verdict()


@dataclass(slots=True)
class _Check:
    """The state of one verification."""

    location: IndexLocation
    encoders: Encoders
    store: LocalStore
    manifest: Manifest
    problems: list[str] = field(default_factory=list)
    n_read: int = 0
    n_changed: int = 0
    n_closed: int = 0
    chunks: dict[str, int] = field(default_factory=dict)  # texts to embed again, and a chunk of each
    least_cosine: float = 1.0
    recall: float = 1.0

    def is_database_sound(self) -> bool:
        """Check the database, and if it is sound, whether the vector index file is the published one."""
        self.problems += self.store.check(deep=True)
        if self.problems:  # what its rows say cannot be compared with anything
            return False
        base = self.store.index.base()
        if base is not None and not self.store.index.is_intact():
            self.problems.append(f"the vector index {base.file} is missing or damaged: minisearch rebuild")
        return True

    def documents(self, n: int, seed: int) -> None:
        """Read and split a sample of the documents again; those from memory have no file to read."""
        stored = self.store.documents()
        keys = sorted(key for key in stored if not is_from_memory(key))
        trusted = trusted_paths(self.manifest.trusted, self.location)
        for key in random.Random(seed).sample(keys, min(n, len(keys))):  # noqa: S311 - no secret
            if may_open(self.location.absolute(key), trusted):
                self._document(stored[key])
            else:
                self.n_closed += 1

    def _document(self, document: StoredDocument) -> None:
        shown = self.location.shown(document.path)
        try:
            path, choices = self.location.absolute(document.path), self.manifest.choice_paths(self.location)
            files = find_files({path: shown}, self.location, choices).files
        except IngestError:  # the file was deleted: the next run removes its document
            self.n_changed += 1
            return
        splitter = DocumentSplitter(
            lambda: self.encoders.to_add(self.manifest.model, 0), self.manifest.settings, self.manifest.ingest
        )
        (outcome,) = Reader({}, splitter).outcomes(files)
        if not isinstance(outcome, ChunkedDocument) or (outcome.row.sha256, outcome.row.ingest) != (
            document.sha256,
            document.ingest,
        ):
            self.n_changed += 1
            return
        self.n_read += 1
        stored = self.store.chunks_of(document.path)
        if [one.text for one in stored] != [chunk.text for chunk in outcome.chunks]:
            self.problems.append(f"{shown}: its passages differ from those of its file")
            return
        for one, chunk in zip(stored, outcome.chunks, strict=True):
            if len(self.chunks) < MOST_CHUNKS:
                self.chunks.setdefault(chunk.embedded, one.id)

    def rankings(self) -> None:
        """Compare the vectors in use with the stored ones, and those of the sample with their texts."""
        live = self.store.vector_index(self.manifest.dimension)
        stored = self.store.exact_index(self.manifest.dimension)
        ids = stored.ids
        if not np.array_equal(live.ids, ids) or not np.array_equal(live.vectors(ids), stored.vectors(ids)):
            self.problems.append("the vector index does not hold the stored vectors: minisearch rebuild")
            return
        if not self.chunks:
            return
        encoder = self.encoders.to_index(self.manifest.model)
        self.manifest.check(encoder, self.location.folder)
        texts = sorted(self.chunks, key=self.chunks.__getitem__)
        ids = np.array([self.chunks[text] for text in texts], np.int64)
        vectors = encoder.encode_document(texts)
        cosines = np.einsum("nd,nd->n", vectors, live.vectors(ids))
        self.least_cosine = float(cosines.min())
        n_wrong = int((cosines < LEAST_COSINE).sum())
        if n_wrong:
            self.problems.append(f"{n_wrong} of {len(ids)} vectors are not those of their texts")
        queries = vectors[:: max(1, len(vectors) // N_QUERIES)][:N_QUERIES]
        n_other = _n_other_rankings(live.search(queries, K, among=ids), ids, queries @ vectors.T)
        if n_other:
            self.problems.append(f"{n_other} of {len(queries)} rankings are not those of a fresh index")
        self.recall = _recall(live.search(queries, K), stored.search(queries, K))

    def verdict(self) -> Verification:
        n_documents, n_chunks = self.store.counts()
        counted = ("n_read", "n_changed", "n_closed", "least_cosine", "recall")
        return Verification(
            problems=tuple(self.problems),
            n_documents=n_documents,
            n_chunks=n_chunks,
            n_embedded=len(self.chunks),
            **{name: getattr(self, name) for name in counted},
        )


def _n_other_rankings(ranked: Sequence[Hits], ids: IntArray, scores: FloatArray) -> int:
    """How many rankings differ from the cosines (q, n) with new vectors of the ids (n,), place by place."""
    n_other = 0
    for hits, cosines in zip(ranked, scores, strict=True):
        found, best = cosines[np.searchsorted(ids, hits.ids)], np.sort(cosines)[::-1][:K]
        n_other += len(found) != len(best) or not np.allclose(found, best, atol=1 - LEAST_COSINE)
    return n_other


def _recall(found: Sequence[Hits], exact: Sequence[Hits]) -> float:
    """The share of the exact hits that are among the approximate ones."""
    shares = [np.isin(right.ids, hits.ids).mean() for hits, right in zip(found, exact, strict=True)]
    return float(np.mean(shares))
