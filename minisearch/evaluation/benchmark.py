"""A collection in; an index over it, and the engine's rankings of its queries, out.

Each document goes through the same chunker, encoder, store and vector index as a file does, with its quoted
id as the path; each query goes through `MiniSearch.query`.  The index is in a temporary folder, or kept in a
named one.  What the rankings are worth is left to `measures`.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import quote

from minisearch.engine import MiniSearch
from minisearch.errors import InputError
from minisearch.evaluation.collection import Collection, CollectionDocument
from minisearch.evaluation.measures import Setting, timed
from minisearch.evaluation.runs import RankedDocuments
from minisearch.files.walk import FoundFile
from minisearch.indexing.changes import ChunkedDocument, DocumentSplitter, Outcome, SkippedFile, Unchanged
from minisearch.indexing.writer import IndexWriter
from minisearch.manifest import Manifest, fingerprint
from minisearch.minilm.encoders import Encoders
from minisearch.paths import INDEX_FOLDER, IndexLocation, memory_key
from minisearch.results import Mode
from minisearch.search.query import literal_query
from minisearch.search.searcher import check_model
from minisearch.stores import open_store, open_to_write
from minisearch.stores.base import FileStamp, StoredDocument
from minisearch.types import Chunk, Document, Encoder, IngestReport, OnProgress, Origin, Reranker

COLLECTION_KEY = "collection"  # in the index's metadata if it is an index of a collection, not of files
LATENCY_K = 10
N_TIMED = 200
NO_STAMP = FileStamp(0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Benchmark:
    """An open index over a collection; ``report`` says what indexing took.

    ``cut_queries`` are the ids of queries that are longer than the model sees.
    """

    engine: MiniSearch
    collection: Collection
    report: IngestReport
    collection_ids: Mapping[int, str]  # by the engine's document id
    cut_queries: tuple[str, ...]

    def run(
        self,
        name: str = "",
        *,
        mode: Mode = "hybrid",
        rerank: str | Reranker | None = None,
        rerank_depth: int | None = None,
        k: int = 100,
        on_progress: Callable[[int], None] = lambda _: None,
    ) -> Setting:
        """The k best documents for every query; queries are taken literally, without operators.

        Latencies are measured in a second pass, over the `LATENCY_K` best chunks of up to `N_TIMED`
        queries, as a user asks for them.  They include the embedding of the query.
        """
        queries = {id_: literal_query(text) for id_, text in self.collection.queries.items()}
        depth = None if rerank is None else rerank_depth
        search = partial(self.engine.query, mode=mode, rerank=rerank, rerank_depth=depth)
        rankings = {}
        for n_done, (id_, text) in enumerate(queries.items(), start=1):
            results = search(text, k=k, by="document")
            ids = tuple(self.collection_ids[result.doc_id] for result in results)
            rankings[id_] = RankedDocuments(ids, tuple(result.score for result in results))
            on_progress(n_done)
        _, latencies_s = timed(partial(search, k=LATENCY_K), list(queries.values())[:N_TIMED], on_progress)
        return Setting(name, rankings, latencies_s)


@contextmanager
def open_benchmark(
    collection: Collection,
    *,
    index: Path | None = None,
    whole: bool = False,
    model: str | None = None,
    encoder: Encoder | None = None,
    offline: bool = False,
    on_progress: OnProgress = None,
) -> Iterator[Benchmark]:
    """An index over the collection: in a temporary folder, or kept in ``index`` and brought up to date there.

    With ``whole`` each document is one vector of "title text", truncated at the model's length, as in
    published figures; otherwise documents are chunked as files are.  Raises InputError if ``index`` holds an
    index of files.
    """
    with tempfile.TemporaryDirectory(prefix="minisearch-") as temporary:
        location = IndexLocation(index or Path(temporary) / INDEX_FOLDER)
        _claim(location)
        encoders = Encoders(
            given=encoder, model=model, offline=offline, check_model=partial(check_model, location)
        )
        documents = {path_of(id_): document for id_, document in collection.corpus.items()}
        files = {
            path: FoundFile(one.id, len(one.title) + len(one.text), 0, 0) for path, one in documents.items()
        }
        report = IndexWriter(location, encoders, settings=None).index_source(
            files,
            partial(CollectionSource, documents=documents, whole=whole),
            on_progress=on_progress,
        )
        with open_store(location) as store:
            ids = {stored.id: documents[path].id for path, stored in store.documents().items()}
            encoder = encoders.to_index(Manifest.read(store, location.folder).model)
        lengths = map(len, encoder.tokenizer.spans(list(collection.queries.values())))
        cut = tuple(id_ for id_, n in zip(collection.queries, lengths, strict=True) if n > encoder.max_tokens)
        with MiniSearch(location.folder, encoder=encoder) as engine:
            yield Benchmark(engine, collection, report, ids, cut)


def _claim(location: IndexLocation) -> None:
    """Mark the index as one of a collection; InputError if it is one of files, which it would lose."""
    location.create()
    with open_to_write(location) as store:
        meta = store.meta()
        if COLLECTION_KEY not in meta and meta:
            raise InputError(
                f"{location.folder} is an index of files, and a collection needs its own: name another "
                "folder with --index, or none"
            )
        store.set_meta(**{COLLECTION_KEY: "1"})


def path_of(document_id: str) -> str:
    """The key of a document of the collection, as of one from memory: its id is no name to search for."""
    return memory_key(quote(document_id, errors="surrogatepass"))


@dataclass(frozen=True, slots=True)
class CollectionSource:
    """Makes documents of a collection's entries, by path, as `Reader` does of files."""

    stored: Mapping[str, StoredDocument]
    splitter: DocumentSplitter
    documents: Mapping[str, CollectionDocument]
    whole: bool

    def outcomes(self, files: Mapping[str, FoundFile]) -> Iterator[Outcome]:
        """Each document's outcome."""
        return map(self._outcome_of, files)

    def _outcome_of(self, path: str) -> Outcome:
        given, stored = self.documents[path], self.stored.get(path)
        ingest = fingerprint(self.splitter.ingest, "whole" if self.whole else "cut")
        sha256 = hashlib.sha256(json.dumps([given.title, given.text, given.fields]).encode()).digest()
        if stored and (stored.ingest, stored.sha256) == (ingest, sha256):
            return Unchanged(path)
        document = as_document(path, given)
        if not document.text.strip():
            return SkippedFile(path, "no text in it", is_outdated=stored is not None)
        chunks = (
            [whole_chunk(document, self.splitter.encoder())] if self.whole else self.splitter.split(document)
        )
        row = StoredDocument(
            path, document.format, document.title, NO_STAMP, sha256, ingest, fields=document.fields
        )
        return ChunkedDocument(row, chunks, ())


def as_document(path: str, given: CollectionDocument) -> Document:
    """The document as a parser returns a file's; the title is the text where there is no other."""
    text = given.text if given.text.strip() else given.title
    return Document(path, text, "text", Origin(text), " ".join(given.title.split()), fields=given.fields)


def whole_chunk(document: Document, encoder: Encoder) -> Chunk:
    """The document as one chunk, embedded as "title text" like BEIR's reference, up to the model's length."""
    text = document.text
    context = document.title if text != document.title else ""
    spans = encoder.tokenizer.spans([f"{context} {text}"])[0]
    return Chunk(
        start=0,
        end=len(text),
        text=text,
        byte_start=0,
        byte_end=len(text.encode()),
        line=1,
        end_line=1 + text.count("\n"),
        heading="",
        n_tokens=min(len(spans), encoder.max_tokens),
        anchors=((0, 1, 1),),
        context=context,
    )
