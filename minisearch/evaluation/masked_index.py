"""A copy of an index in which no document holds the words of the query that was made from it.

    index -> its database copied -> queries chosen -> their documents masked and embedded again

The index itself is only read.  Which queries there are, and which words go, is for `evaluate.known_items`;
what the copy is asked, for `selftest`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, groupby
from pathlib import Path

import numpy as np

from minisearch.errors import InputError
from minisearch.evaluation.known_items import (
    IndexedDocument,
    KnownItem,
    Passage,
    candidates,
    choose,
    found_elsewhere,
    masked,
    sample,
)
from minisearch.indexing.cutting import context_of
from minisearch.manifest import Manifest
from minisearch.minilm.encoders import Encoders
from minisearch.paths import INDEX_FOLDER, IndexLocation
from minisearch.stores.local import Store, StoredChunk, StoredDocument
from minisearch.trust import check_model
from minisearch.types import Chunk, Encoder, FloatArray

DEFAULT_N = 200
MIN_QUERIES = 20  # with fewer the intervals are so wide that they say nothing

# Documents from which queries are made, for each one that is asked: of the tldr pages seven in ten have a
# query that no other page answers too, of Ansible's documentation the same.
POOL = 4

READ_AT_ONCE = 2_000  # passages
ENCODED_AT_ONCE = 64

OnProgress = Callable[[str, int, int], None]
"""Called with a step's name, how much of it is done, and how much there is."""


@dataclass(frozen=True, slots=True)
class MaskedIndex:
    """A copy of an index in which no document holds the words of its query any more."""

    folder: Path
    manifest: Manifest
    encoder: Encoder
    items: tuple[KnownItem, ...]
    n_documents: int
    n_chunks: int


@contextmanager
def masked_copy(
    index_folder: Path,
    *,
    n: int = DEFAULT_N,
    seed: int = 0,
    encoder: Encoder | None = None,
    offline: bool = False,
    on_progress: OnProgress = lambda *_: None,
) -> Iterator[MaskedIndex]:
    """A copy in a temporary folder, its queries chosen and masked; it has no vector index yet."""
    if n < MIN_QUERIES:
        raise InputError(f"n is {n}: ask for at least {MIN_QUERIES} queries, fewer say nothing")
    location = IndexLocation(index_folder)
    location.must_exist()
    with Store(location.database) as original:
        n_documents, _ = original.counts()
    if n_documents < MIN_QUERIES:
        raise InputError(_too_small(location, f"it has {n_documents}"))
    with tempfile.TemporaryDirectory(prefix="minisearch-") as temporary:
        copy = IndexLocation(Path(temporary) / INDEX_FOLDER)
        copy.create()
        on_progress("copying the index", 0, 1)
        with Store(location.database) as original:
            manifest = Manifest.read(original, location.folder)
            original.copy_to(copy.database)
        encoder = Encoders(
            given=encoder, model=None, offline=offline, check_model=partial(check_model, location)
        ).to_index(manifest.model)
        manifest.check(encoder, location.folder)
        with Store(copy.database, writable=True) as store:
            n_documents, n_chunks = store.counts()
            items = _queries(store, n, seed, on_progress)
            if len(items) < MIN_QUERIES:
                raise InputError(_too_small(location, f"{len(items)} of its {n_documents} have one"))
            if not _is_embedded_as_now(store, manifest, items, encoder):
                raise InputError(
                    f"the documents in {location.folder} were embedded by an older version: "
                    f"bring the index up to date with: minisearch index FOLDER"
                )
            _mask(store, manifest, items, encoder, on_progress)
        yield MaskedIndex(copy.path, manifest, encoder, tuple(items), n_documents, n_chunks)


def _too_small(location: IndexLocation, got: str) -> str:
    return (
        f"the index in {location.folder} is too small for a self-test: it needs {MIN_QUERIES} documents with "
        f"a title, heading or first sentence of their own and text below it, and {got}: index more"
    )


def _queries(store: Store, n: int, seed: int, on_progress: OnProgress) -> list[KnownItem]:
    """At most n queries, each answered by one document alone."""
    _, n_chunks = store.counts()
    pool = set(sample(list(store.documents()), POOL * n, seed=seed))
    tried: list[KnownItem] = []
    n_read = 0
    for document, chunks in _indexed(store):
        n_read += len(chunks)
        if document.path in pool:
            tried += candidates(document, seed=seed)
        on_progress("making queries", n_read, 2 * n_chunks)
    documents = (document for document, _ in _indexed(store))
    ambiguous = found_elsewhere(tried, documents)
    on_progress("making queries", 2 * n_chunks, 2 * n_chunks)
    return choose([item for item in tried if item not in ambiguous], n, seed=seed)


def _is_embedded_as_now(
    store: Store, manifest: Manifest, items: Sequence[KnownItem], encoder: Encoder
) -> bool:
    """Whether most passages of these documents have the vectors that they would be given now."""
    asked = {item.document_id for item in items}
    texts = []
    for document, chunks in _indexed(store):
        if document.id in asked:
            context, _ = context_of(document.title, encoder.tokenizer, manifest.chunk_tokens)
            texts += [_chunk(*pair, context).embedded for pair in zip(chunks, document.passages, strict=True)]
    return len(store.known_vectors(texts)) > len(set(texts)) / 2


def _mask(
    store: Store, manifest: Manifest, items: Sequence[KnownItem], encoder: Encoder, on_progress: OnProgress
) -> None:
    """Put each query's document back without the query's words."""
    of_document = {item.document_id: item for item in items}
    rows = store.documents(with_fields=True)
    changed: list[tuple[StoredDocument, list[Chunk]]] = []
    for document, stored in _indexed(store):
        if item := of_document.get(document.id):
            title, passages = masked(document, item)
            context, _ = context_of(title, encoder.tokenizer, manifest.chunk_tokens)
            chunks = [
                _chunk(of_passage, passage, context)
                for of_passage, passage in zip(stored, passages, strict=True)
                if passage is not None
            ]
            changed.append((replace(rows[document.path], title=title), chunks))
    texts = [chunk.embedded for _, chunks in changed for chunk in chunks]
    vectors = _vectors(store, texts, encoder, on_progress)
    for row, chunks in changed:
        store.put(row, chunks, np.stack([vectors[chunk.embedded] for chunk in chunks]))


def _vectors(
    store: Store, texts: Sequence[str], encoder: Encoder, on_progress: OnProgress
) -> dict[str, FloatArray]:
    """Each text's vector: the stored one where the text is as it was, the model's otherwise."""
    vectors = store.known_vectors(texts)
    unknown = [text for text in dict.fromkeys(texts) if text not in vectors]
    for start in range(0, len(unknown), ENCODED_AT_ONCE):
        on_progress("embedding masked passages", start, len(unknown))
        batch = unknown[start : start + ENCODED_AT_ONCE]
        vectors.update(zip(batch, encoder.encode_document(batch), strict=True))
    on_progress("embedding masked passages", len(unknown), len(unknown))
    return vectors


def _indexed(store: Store) -> Iterator[tuple[IndexedDocument, list[StoredChunk]]]:
    """Every document with its passages, in the order of the passages' ids: each document's follow another."""
    titles = {row.id: row.title for row in store.documents().values()}
    ids = store.chunk_ids().tolist()
    blocks = (ids[start : start + READ_AT_ONCE] for start in range(0, len(ids), READ_AT_ONCE))
    stored = chain.from_iterable(sorted(store.chunks(block).values(), key=lambda c: c.id) for block in blocks)
    for document_id, group in groupby(stored, key=lambda chunk: chunk.document_id):
        chunks = list(group)
        passages = tuple(Passage(chunk.text, chunk.heading) for chunk in chunks)
        yield IndexedDocument(document_id, chunks[0].path, titles[document_id], passages), chunks


def _chunk(stored: StoredChunk, passage: Passage, context: str) -> Chunk:
    """The chunk with the words left to it; where in the file they stand does not matter in the copy."""
    return Chunk(
        start=0,
        end=len(passage.text),
        text=passage.text,
        byte_start=0,
        byte_end=0,
        line=stored.line,
        end_line=stored.end_line,
        heading=passage.heading,
        n_tokens=0,
        context=context,
    )
