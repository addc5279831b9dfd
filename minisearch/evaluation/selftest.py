"""The self-test: how well an index finds its own content, without judgements.

    index -> a copy -> known-item queries -> their documents masked and embedded again (`masked_copy`)
          -> every mode of the engine, and every vector index alone, measured on the copy (`selftest`)

An index folder comes in; ranks and times go out.  The index itself is only read.  The engine searches the
copy as it would search the index, so the measurements are what a user gets.  How queries are made is left to
`known_items`, what ranks are worth to `measures`.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, groupby
from pathlib import Path

import numpy as np

from minisearch.chunking.chunker import context_of
from minisearch.engine import MiniSearch
from minisearch.errors import BackendUnavailable, InputError
from minisearch.evaluation.known_items import (
    ChunkedDocument,
    ChunkText,
    KnownItem,
    candidates,
    choose,
    found_elsewhere,
    masked,
    sample,
)
from minisearch.evaluation.measures import DEPTH, timed
from minisearch.manifest import BACKENDS, Manifest
from minisearch.minilm.encoders import Encoders
from minisearch.paths import INDEX_FOLDER, IndexLocation
from minisearch.results import MODES, Mode, Query
from minisearch.search.searcher import check_model
from minisearch.stores import check_backend, open_store
from minisearch.stores.base import StoredChunk, StoredDocument
from minisearch.stores.local import LocalStore
from minisearch.types import Chunk, Encoder, FloatArray, Hits

DEFAULT_N = 200
MIN_QUERIES = 20  # with fewer the intervals are so wide that they say nothing

# Documents from which queries are made, for each query wanted: seven in ten of the tldr pages have a query
# that no other page answers too, and so has Ansible's documentation.
DOCUMENTS_A_QUERY = 4

CHUNKS_A_READ = 2_000
TEXTS_A_BATCH = 64

OnProgress = Callable[[str, int, int], None]
"""Called with a step's name, how much of it is done, and how much there is."""


@dataclass(frozen=True, slots=True)
class EngineResult:
    """The engine in one setting: the rank of each query's document, 0 below the tenth, and the time taken.

    ``backend`` is "" in lexical mode, which uses none.  Times include the embedding of the query.
    """

    mode: Mode
    backend: str
    ranks: tuple[int, ...]
    latencies_s: tuple[float, ...]

    @property
    def name(self) -> str:
        """The setting in words."""
        return f"{self.mode}, {self.backend}" if self.backend else self.mode


@dataclass(frozen=True, slots=True)
class VectorIndexResult:
    """A vector index alone: the share of the exact ten nearest that it finds, and its cost."""

    backend: str
    recall: float
    latencies_s: tuple[float, ...]
    build_s: float
    n_bytes: int


@dataclass(frozen=True, slots=True)
class SelfTest:
    """What a self-test measured; ``items[i]`` is the query of ``ranks[i]`` in every engine result."""

    index: str
    model: str
    backend: str
    seed: int
    n_documents: int
    n_chunks: int
    items: tuple[KnownItem, ...]
    engine: tuple[EngineResult, ...]
    vector_indexes: tuple[VectorIndexResult, ...]


def selftest(
    index_folder: Path,
    *,
    n: int = DEFAULT_N,
    seed: int = 0,
    modes: Sequence[Mode] = MODES,
    backends: Sequence[str] = (),
    encoder: Encoder | None = None,
    offline: bool = False,
    on_progress: OnProgress = lambda *_: None,
) -> SelfTest:
    """Search an index with at most ``n`` queries made from its own documents, one per document.

    Without ``backends``, every installed one is measured.  Raises InputError if fewer than 20 documents have
    a query of their own, BackendUnavailable for a named backend that is not installed.
    """
    names = _installed(backends)
    shown = IndexLocation(index_folder).shown
    with masked_copy(
        index_folder, n=n, seed=seed, encoder=encoder, offline=offline, on_progress=on_progress
    ) as index:
        names.sort(key=lambda name: name != index.manifest.backend)  # its own first
        engine_results: list[EngineResult] = []
        index_results = []
        for name in names:
            index_results.append(_measure_vector_index(index, name, on_progress))
            engine_results += [
                _measure_engine(index, mode, name, on_progress)
                for mode in dict.fromkeys(modes)
                if mode != "lexical" or name == names[0]  # the same with every vector index
            ]
    return SelfTest(
        index=str(index_folder),
        model=index.manifest.model,
        backend=index.manifest.backend,
        seed=seed,
        n_documents=index.n_documents,
        n_chunks=index.n_chunks,
        items=tuple(replace(item, path=shown(item.path)) for item in index.items),
        engine=tuple(sorted(engine_results, key=lambda one: modes.index(one.mode))),
        vector_indexes=tuple(index_results),
    )


def _installed(named: Sequence[str]) -> list[str]:
    """The backends named, or else all whose library is installed."""
    found = []
    for name in dict.fromkeys(named or BACKENDS):
        with suppress(*([] if named else [BackendUnavailable])):
            check_backend(name)
            found.append(name)
    return found


def _measure_engine(index: MaskedIndex, mode: Mode, backend: str, on_progress: OnProgress) -> EngineResult:
    """Every query, with the vector index that was published last."""
    step = mode if mode == "lexical" else f"{mode}, {backend}"
    on_progress(step, 0, len(index.items))
    with MiniSearch(index.folder, encoder=index.encoder) as engine:

        def rank(item: KnownItem) -> int:
            results = engine.query(Query(item.text), k=DEPTH, mode=mode, by="document")
            return next((hit.rank for hit in results if hit.doc_id == item.document_id), 0)

        ranks, latencies_s = timed(
            rank, index.items, lambda n_done: on_progress(step, n_done, len(index.items))
        )
    return EngineResult(mode, "" if mode == "lexical" else backend, tuple(ranks), latencies_s)


def _measure_vector_index(index: MaskedIndex, backend: str, on_progress: OnProgress) -> VectorIndexResult:
    """Build and publish a vector index, and compare its results with an exact scan's."""
    on_progress(f"building {backend}", 0, 1)
    dimension = index.manifest.dimension
    queries = list(index.encoder.encode_query([item.text for item in index.items]))
    with open_store(IndexLocation(index.folder), writable=True) as store, store.snapshot():
        started_s = time.perf_counter()
        store.index.publish(backend, dimension)
        build_s = time.perf_counter() - started_s
        base = store.index.base()
        published, exact = store.vector_index(dimension), store.exact_index(dimension)
    assert base is not None, "it was just published"
    hits, latencies_s = timed(lambda query: published.search(query[None], DEPTH)[0], queries)
    recall = overlap(hits, exact.search(np.stack(queries), DEPTH))
    n_bytes = (index.folder / base.file).stat().st_size
    return VectorIndexResult(backend, recall, latencies_s, build_s, n_bytes)


def overlap(found: Sequence[Hits], exact: Sequence[Hits]) -> float:
    """The share of the exact hits that were found, by id, over all queries."""
    n_found = sum(len(np.intersect1d(a.ids, b.ids)) for a, b in zip(found, exact, strict=True))
    return n_found / sum(map(len, exact))


# --- the masked copy ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MaskedIndex:
    """A copy of an index in which no document contains the words of the query made from it."""

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
    """A copy in a temporary folder with at most ``n`` queries, masked; it has no vector index yet."""
    if n < MIN_QUERIES:
        raise InputError(f"n is {n}: ask for at least {MIN_QUERIES} queries, fewer say nothing")
    location = IndexLocation(index_folder)
    location.must_exist()
    with tempfile.TemporaryDirectory(prefix="minisearch-") as temporary:
        copy = IndexLocation(Path(temporary) / INDEX_FOLDER)
        with open_store(location) as original:
            n_documents, n_chunks = original.counts()
            if n_documents < MIN_QUERIES:
                raise InputError(_too_small(location, f"it has {n_documents}"))
            on_progress("copying the index", 0, 1)
            manifest = Manifest.read(original, location.folder)
            copy.create()
            original.copy_to(copy.database)
        encoder = Encoders(
            given=encoder, model=None, offline=offline, check_model=partial(check_model, location)
        ).to_index(manifest.model)
        manifest.check(encoder, location.folder)
        with open_store(copy, writable=True) as store:
            items = _choose_queries(store, n, seed, on_progress)
            if len(items) < MIN_QUERIES:
                raise InputError(_too_small(location, f"{len(items)} of its {n_documents} have one"))
            _mask(store, location, manifest, items, encoder, on_progress)
        yield MaskedIndex(copy.path, manifest, encoder, tuple(items), n_documents, n_chunks)


def _too_small(location: IndexLocation, got: str) -> str:
    return (
        f"the index in {location.folder} is too small for a self-test: it needs {MIN_QUERIES} documents with "
        f"a title, heading or first sentence of their own and text below it, and {got}: index more"
    )


def _choose_queries(store: LocalStore, n: int, seed: int, on_progress: OnProgress) -> list[KnownItem]:
    """At most n queries, each answered by one document alone."""
    _, n_chunks = store.counts()
    sampled = set(sample(list(store.documents()), DOCUMENTS_A_QUERY * n, seed=seed))
    items: list[KnownItem] = []
    n_read = 0
    for document, chunks in _documents(store):
        n_read += len(chunks)
        if document.path in sampled:
            items += candidates(document, seed=seed)
        on_progress("making queries", n_read, 2 * n_chunks)
    ambiguous = found_elsewhere(items, (document for document, _ in _documents(store)))
    on_progress("making queries", 2 * n_chunks, 2 * n_chunks)
    return choose([item for item in items if item not in ambiguous], n, seed=seed)


def _mask(
    store: LocalStore,
    location: IndexLocation,
    manifest: Manifest,
    items: Sequence[KnownItem],
    encoder: Encoder,
    on_progress: OnProgress,
) -> None:
    """Put each query's document back without the query's words.

    Raises InputError if most chunks would be embedded differently now even without masking: then masked
    and unmasked documents could not be compared.
    """
    by_document = {item.document_id: item for item in items}
    rows = store.documents(with_fields=True)
    original_texts: list[str] = []
    changed: list[tuple[StoredDocument, list[Chunk]]] = []

    def chunks_of(
        stored: Sequence[StoredChunk], texts: Sequence[ChunkText | None], title: str
    ) -> list[Chunk]:
        context, _ = context_of(title, encoder.tokenizer, manifest.chunk_tokens)
        return [_chunk(one, text, context) for one, text in zip(stored, texts, strict=True) if text]

    for document, stored in _documents(store):
        if item := by_document.get(document.id):
            original = chunks_of(stored, document.chunks, document.title)
            original_texts += [chunk.embedded for chunk in original]
            title, texts = masked(document, item)
            row = replace(rows[document.path], title=title)
            changed.append((row, chunks_of(stored, texts, title)))
    if len(store.known_vectors(original_texts)) <= len(set(original_texts)) / 2:
        raise InputError(
            f"the documents in {location.folder} were embedded by an earlier version: "
            f"bring the index up to date with: minisearch index FOLDER"
        )
    vectors = _vectors(
        store, [chunk.embedded for _, chunks in changed for chunk in chunks], encoder, on_progress
    )
    for row, chunks in changed:
        store.put(row, chunks, np.stack([vectors[chunk.embedded] for chunk in chunks]))


def _vectors(
    store: LocalStore, texts: Sequence[str], encoder: Encoder, on_progress: OnProgress
) -> dict[str, FloatArray]:
    """Each text's vector: the stored one where there is one, the encoder's otherwise."""
    vectors = store.known_vectors(texts)
    unknown = [text for text in dict.fromkeys(texts) if text not in vectors]
    for start in range(0, len(unknown), TEXTS_A_BATCH):
        on_progress("embedding masked passages", start, len(unknown))
        batch = unknown[start : start + TEXTS_A_BATCH]
        vectors.update(zip(batch, encoder.encode_document(batch), strict=True))
    on_progress("embedding masked passages", len(unknown), len(unknown))
    return vectors


def _documents(store: LocalStore) -> Iterator[tuple[ChunkedDocument, list[StoredChunk]]]:
    """Every document with its chunks, by the chunks' ids: those of one document are consecutive."""
    titles = {row.id: row.title for row in store.documents().values()}
    ids = store.chunk_ids().tolist()
    blocks = (ids[start : start + CHUNKS_A_READ] for start in range(0, len(ids), CHUNKS_A_READ))
    stored = chain.from_iterable(sorted(store.chunks(block).values(), key=lambda c: c.id) for block in blocks)
    for document_id, group in groupby(stored, key=lambda chunk: chunk.document_id):
        chunks = list(group)
        texts = tuple(ChunkText(chunk.text, chunk.heading) for chunk in chunks)
        yield ChunkedDocument(document_id, chunks[0].path, titles[document_id], texts), chunks


def _chunk(stored: StoredChunk, text: ChunkText, context: str) -> Chunk:
    """The chunk with another text and heading; its position in the file does not matter in the copy."""
    return Chunk(
        start=0,
        end=len(text.text),
        text=text.text,
        byte_start=0,
        byte_end=0,
        line=stored.line,
        end_line=stored.end_line,
        heading=text.heading,
        n_tokens=0,
        context=context,
    )
