"""A collection in, an index over it, and the rankings with which the real engine answers its queries.

Each document of the collection goes through the same chunker, encoder, store and vector index as a file does,
under its id as a path; each query through `MiniSearch.query`.  What the rankings are worth is for
`minisearch.evaluation` to say.  The index is in a temporary folder, or kept in one that is named.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import quote

from minisearch.config import Settings, fingerprint
from minisearch.engine import MiniSearch
from minisearch.errors import InputError
from minisearch.evaluation.collection import Collection, Entry
from minisearch.evaluation.runs import RankedDocuments
from minisearch.files.walk import Found
from minisearch.indexing.changes import CutDocument, Outcome, PassedOver, Reader, Unchanged
from minisearch.indexing.pipeline import Walked
from minisearch.indexing.writer import Writing
from minisearch.manifest import Manifest
from minisearch.minilm.encoders import Encoders
from minisearch.paths import INDEX_FOLDER, IndexLocation
from minisearch.results import Mode
from minisearch.search.query import literal_query
from minisearch.stores.local import FileStamp, Store, StoredDocument
from minisearch.stores.local.lock import writer_lock
from minisearch.trust import check_model
from minisearch.types import Chunk, Document, Encoder, IndexProgress, IngestReport, Origin, Reranker

N_WARM_UP = 3  # queries asked before the clock counts: caches, threads and pages have to come in
OWN_MARK = "collection"  # the fact by which an index of a collection is told from one of files
NO_STAMP = FileStamp(0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Answers:
    """One setting's ranking of every query, and how long each query took, its embedding included."""

    rankings: Mapping[str, RankedDocuments]
    latencies_s: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Trial:
    """A collection's index, ready to be asked; ``report`` says what making it took."""

    engine: MiniSearch
    collection: Collection
    report: IngestReport
    entry_ids: Mapping[int, str]

    def answers(
        self,
        *,
        mode: Mode = "hybrid",
        rerank: str | Reranker | None = None,
        rerank_depth: int | None = None,
        k: int = 100,
        on_progress: Callable[[int], None] = lambda _: None,
    ) -> Answers:
        """The k best documents for every query, each query taken as it stands, without operators."""
        queries = self.collection.queries
        ask = partial(self._ranking, mode=mode, rerank=rerank, rerank_depth=rerank_depth, k=k)
        for text in list(queries.values())[:N_WARM_UP]:
            ask(text)
        rankings: dict[str, RankedDocuments] = {}
        latencies_s: list[float] = []
        for n_done, (query_id, text) in enumerate(queries.items(), start=1):
            started_s = time.perf_counter()
            rankings[query_id] = ask(text)
            latencies_s.append(time.perf_counter() - started_s)
            on_progress(n_done)
        return Answers(rankings, tuple(latencies_s))

    def _ranking(
        self, text: str, *, mode: Mode, rerank: str | Reranker | None, rerank_depth: int | None, k: int
    ) -> RankedDocuments:
        depth = None if rerank is None else rerank_depth
        results = self.engine.query(
            literal_query(text), k, mode=mode, by="document", rerank=rerank, rerank_depth=depth
        )
        ids = tuple(self.entry_ids[result.doc_id] for result in results)
        return RankedDocuments(ids, tuple(result.score for result in results))


@contextmanager
def trial(
    collection: Collection,
    *,
    index: Path | None = None,
    whole: bool = False,
    model: str | None = None,
    encoder: Encoder | None = None,
    settings: Settings | None = None,
    backend: str | None = None,
    offline: bool = False,
    on_progress: Callable[[IndexProgress], None] = lambda _: None,
) -> Iterator[Trial]:
    """An index over the collection: in a temporary folder, or kept in ``index`` and brought up to date there.

    With ``whole`` each document is one vector of "title text", cut at the model's length, as published
    figures are made; otherwise documents are cut as files are.  Raises InputError when ``index`` holds an
    index of files.
    """
    with tempfile.TemporaryDirectory(prefix="minisearch-") as temporary:
        location = IndexLocation(index or Path(temporary) / INDEX_FOLDER)
        _claim(location)
        encoders = Encoders(
            given=encoder, model=model, offline=offline, check_model=partial(check_model, location)
        )
        keys = {key_of(entry_id): entry_id for entry_id in collection.corpus}
        report = Writing(location, encoders, settings).take_in(
            Walked({key: _found(collection.corpus[id_]) for key, id_ in keys.items()}),
            partial(
                EntryReader, entries={key: collection.corpus[id_] for key, id_ in keys.items()}, whole=whole
            ),
            [Path("/")],
            backend=backend,
            on_progress=on_progress,
        )
        with Store(location.database) as store:
            entry_ids = {document.id: keys[key] for key, document in store.documents().items()}
            encoder = encoders.to_index(Manifest.read(store, location.folder).model)
        with MiniSearch(location.folder, encoder=encoder) as engine:
            yield Trial(engine, collection, report, entry_ids)


def _claim(location: IndexLocation) -> None:
    """Mark an index as one of a collection; InputError when it is somebody's index of files.

    Bringing it up to date would remove all of that.
    """
    location.create()
    with writer_lock(location.path), Store(location.database, writable=True) as store:
        meta = store.meta()
        if OWN_MARK not in meta and meta:
            raise InputError(
                f"{location.folder} is an index of files, and a collection needs its own: name another "
                "folder with --index, or none"
            )
        store.set_meta(**{OWN_MARK: "1"})


def key_of(entry_id: str) -> str:
    """The path under which an entry is stored: its id, whatever is no part of a path written as %20."""
    return quote(entry_id, errors="surrogatepass")


def _found(entry: Entry) -> Found:
    return Found(entry.id, len(entry.title) + len(entry.text), 0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryReader(Reader):
    """Makes documents of a collection's entries, under the names of the store, as `Reader` does of files."""

    entries: Mapping[str, Entry]
    whole: bool

    def outcomes(self, files: Mapping[str, Found]) -> Iterator[Outcome]:
        """Each entry's outcome."""
        for key in files:
            yield self._outcome_of(key, self.entries[key])

    def _outcome_of(self, key: str, entry: Entry) -> Outcome:
        stored = self.stored.get(key)
        ingest = fingerprint(self.ingest, "whole" if self.whole else "cut")
        sha256 = hashlib.sha256(json.dumps([entry.title, entry.text, entry.fields]).encode()).digest()
        if stored and (stored.ingest, stored.sha256) == (ingest, sha256):
            return Unchanged(key)
        document = as_document(key, entry)
        if not document.text.strip():
            return PassedOver(key, "no text in it", is_outdated=stored is not None)
        chunks = [whole_chunk(document, self.encoder())] if self.whole else self._cut(document)
        row = StoredDocument(
            key, document.format, document.title, NO_STAMP, sha256, ingest, fields=document.fields
        )
        return CutDocument(row, chunks, ())


def as_document(key: str, entry: Entry) -> Document:
    """The entry as a reader would have made it of a file; one with nothing but a title says that."""
    text = entry.text if entry.text.strip() else entry.title
    return Document(key, text, "text", Origin(text), " ".join(entry.title.split()), fields=entry.fields)


def whole_chunk(document: Document, encoder: Encoder) -> Chunk:
    """The document as one chunk, embedded as "title text" like BEIR's reference, as far as the model sees."""
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
