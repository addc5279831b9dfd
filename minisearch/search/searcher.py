"""Searcher: opens an index for reading and searches it.

A query with its options goes in, `SearchResults` come out.  Other questions about an index are answered here
too: similar passages, why a file was not found, its status.  Each search reads one snapshot of the index,
even while an indexing run changes it, and writes nothing; a corrected query is a second search.  The steps of
a search are left to `pipeline`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, NoReturn, TypeVar

import numpy as np

from minisearch.errors import IngestError, InputError, WeightsNotFound
from minisearch.filters import Filter
from minisearch.manifest import DEFAULT_MODEL, Manifest
from minisearch.minilm.catalog import find
from minisearch.minilm.encoders import Encoders
from minisearch.paths import (
    IndexLocation,
    check_model_folder,
    is_from_memory,
    may_open,
    memory_key,
    real_path,
    trusted_paths,
)
from minisearch.results import FileState, Query, SearchOptions, SearchResults
from minisearch.search.confidence import USUAL_BASELINE
from minisearch.search.path_filters import with_stored_paths
from minisearch.search.pipeline import Pipeline, chunks_at, combined_filter, file_state
from minisearch.search.query import checked_query, is_number, literal_query, parse_query
from minisearch.search.rerank import Rerankers
from minisearch.search.words import corrected
from minisearch.stores import open_store
from minisearch.stores.base import Snapshot, Store, StoredChunk
from minisearch.text import storable, visible
from minisearch.threads import N_AT_ONCE, Pool, is_alive
from minisearch.types import Encoder, FloatArray, IndexStatus, Reranker, RunRecord, StoredValue

if TYPE_CHECKING:
    from minisearch.search.why_not import WhyNot

T = TypeVar("T")

MAX_UNKNOWN = 0.5  # of a query's tokens: above that, all texts of the script look alike to the model


class Searcher:
    """Searches the index in one folder, which is opened when it is first needed.

    Threads search at the same time, each with a database connection of its own.
    """

    def __init__(self, location: IndexLocation, encoders: Encoders, rerankers: Rerankers) -> None:
        self.location = location
        self._encoders = encoders
        self._rerankers = rerankers
        self._stores = Pool(N_AT_ONCE, self._current_store, lambda store: store.close())

    def of_a_new_process(self, location: IndexLocation) -> Searcher:
        """Another searcher of the index at this location, which finds exactly what a new process would."""
        return Searcher(location, self._encoders.of_a_new_process(), self._rerankers)

    def close(self) -> None:
        """Close the database, if it is open, when the searches that have begun are over."""
        self._stores.close()

    def query(self, query: str | Query, options: SearchOptions) -> SearchResults:
        """`MiniSearch.query`; misspelt words are replaced if the results then are clear and better."""
        stored = self._with_stored_paths(options)

        def search(store: Store, parsed: Query) -> SearchResults:
            with self._searching(store, query, parsed, stored) as (_, found):
                return found(stored)

        def search_and_correct(store: Store) -> SearchResults:
            parsed = _parsed(query, options)
            found = search(store, parsed)
            corrected_query = self._corrected(store, parsed, options) if isinstance(query, str) else parsed
            if corrected_query == parsed:
                return found
            again = search(store, corrected_query)
            is_better = again.is_confident and _relevance(again) > _relevance(found)
            return replace(again, typed=parsed.text) if is_better else found

        return self.read(search_and_correct)

    def similar(
        self, path: str | os.PathLike[str], line: int | None, options: SearchOptions
    ) -> SearchResults:
        """`MiniSearch.similar`."""

        def search(store: Store) -> SearchResults:
            manifest = Manifest.read(store, self.location.folder)
            with store.snapshot() as snapshot:
                chunks = chunks_at(self._chunks_of(snapshot, path)[1], path, line)
                ids = np.array([chunk.id for chunk in chunks], np.int64)
                encoder = None
                if options.evidence:
                    encoder = self._encoders.to_query(manifest.model, chunks[0].text)
                    manifest.check(encoder, self.location.folder)
                # The baseline is about queries, not chunks.
                pipeline = replace(self._pipeline(snapshot, encoder, options, None), baseline=None)
                vector = _unit(snapshot.vectors(ids).mean(axis=0))
                query = Query(chunks[0].text if line is not None else chunks[0].title or os.fspath(path))
                return pipeline.search(query, vector, self._with_stored_paths(options), exclude=ids)

        return self.read(search)

    def why_not(
        self, path: str | os.PathLike[str], line: int | None, query: str | Query, options: SearchOptions
    ) -> WhyNot:
        """`MiniSearch.why_not`."""
        from minisearch.search.why_not import why_not  # it needs `indexing`, which is too much for a query

        if path == "":
            raise InputError("expected the path of a file, got an empty one")
        parsed = _parsed(query, options)
        if isinstance(query, str) and self.read(
            lambda store: self._corrected(store, parsed, options) != parsed
        ):
            found = self.query(query, options)
            parsed = found.query if found.typed else parsed

        def explain(store: Store) -> WhyNot:
            stored = self._with_stored_paths(options)
            with self._searching(store, query, parsed, stored) as (snapshot, search):
                key = self._key_of(snapshot, path)
                return why_not(search, snapshot, self.location, key, path, line, options, stored)

        return self.read(explain)

    def _key_of(self, snapshot: Snapshot, path: str | os.PathLike[str]) -> str:
        """The key of a document by its id, or else by its path; whether there is a file does not matter."""
        if key := self._known_key(snapshot, path):
            return key
        try:
            return self.location.key_of(str(real_path(path, must_exist=False)))
        except IngestError as error:
            raise InputError(f"{os.fspath(path)} is not in the index") from error

    def _known_key(self, snapshot: Snapshot, path: str | os.PathLike[str]) -> str | None:
        """The key of the document with this id or path, if there is one; nothing on the disk is looked at."""
        keys = [memory_key(storable(path))] if isinstance(path, str) else []
        with suppress(TypeError, OSError, ValueError):  # no path; no current folder; no name of a file
            key = self.location.key_of(os.path.abspath(os.fsdecode(os.fsencode(path))))  # noqa: PTH100 - any name
            keys += [] if is_from_memory(key) else [key]
        if found := next((key for key in keys if snapshot.chunks_of(key)), None):
            return found
        others = {visible(key) for key in keys if not key.isascii()}  # a name in another normal form
        return next((key for key in snapshot.documents() if visible(key) in others), None) if others else None

    def has(self, path: str | os.PathLike[str]) -> bool:
        """Whether there is a document with this id or path; links are not followed."""
        return self.read(lambda store: self._known_key(store, path)) is not None

    def must_have(self, path: str) -> None:
        """InputError, with the nearest name, unless `has`: for a path that the user has not named."""

        def check(store: Store) -> None:
            if self._known_key(store, path) is None:
                self._refuse(store, path)

        self.read(check)

    def chunks_of(self, path: str | os.PathLike[str]) -> tuple[str, Sequence[StoredChunk]]:
        """The path of a document as it is shown, and its chunks; InputError if it is not in the index."""
        key, chunks = self.read(lambda store: self._chunks_of(store, path))
        return self.location.shown(key), chunks

    def file_state(self, path: str | os.PathLike[str]) -> FileState | None:
        """Whether the file of a document is as it was indexed; None if that cannot be said."""

        def compare(store: Store) -> FileState | None:
            trusted = self._trusted(store)
            with store.snapshot() as snapshot:
                key, chunks = self._chunks_of(snapshot, path)
                (stamp,) = snapshot.stamps([chunks[0].document_id]).values()
            return file_state(self.location, trusted, key, stamp)

        return self.read(compare)

    def chunks(self, ids: Sequence[int]) -> dict[int, StoredChunk]:
        """Those of these chunks that are still in the index, by id."""
        return self.read(lambda store: store.chunks(ids, may_be_gone=True))

    def model(self) -> str:
        """The name of the model of the index."""
        return self.read(lambda store: Manifest.read(store, self.location.folder)).model

    def token_counter(self) -> Callable[[str], int]:
        """A function that counts the tokens of a text with the tokenizer of the index."""
        tokenizer = self._encoders.to_add(self.model(), 0).tokenizer
        return lambda text: len(tokenizer.spans([text])[0])

    def warm_up(self) -> None:
        """Load the model for many queries, one of which would otherwise wait for it."""
        if self.location.exists():
            self._encoders.to_index(self.model())

    def has_reranker(self) -> bool:
        """Whether the weights of a reranker are on this machine; nothing is loaded or downloaded."""
        try:
            self._rerankers.kind("auto")
        except WeightsNotFound:
            return False
        return True

    def embed(self, texts: Sequence[str], *, are_queries: bool) -> FloatArray:
        """`MiniSearch.embed`."""
        for number, text in enumerate(texts, start=1):
            if not isinstance(text, str):
                raise InputError(f"expected texts, got {type(text).__name__}")
            if not text.strip():
                raise InputError(f"text {number} is empty: expected something to compare")
        model = self.model() if self.location.exists() else DEFAULT_MODEL
        tokenizer = self._encoders.to_add(model, 0).tokenizer
        encoder = self._encoders.to_add(model, sum(map(len, tokenizer.spans(texts))))
        return encoder.encode_query(texts) if are_queries else encoder.encode_document(texts)

    def rerank(self, query: str, texts: Sequence[str], which: str | Reranker) -> FloatArray:
        """`MiniSearch.rerank`."""
        if not texts:
            return np.empty(0, np.float32)
        return self._rerankers.scores(which, literal_query(query).text, texts, depth=len(texts))

    def fields(self, names: Sequence[str], where: Filter) -> dict[int, dict[str, tuple[StoredValue, ...]]]:
        """The fields of these names of documents that match a filter, by `SearchResult.doc_id`, ascending.

        Documents without any of them are left out.
        """
        stored = with_stored_paths(where, self.location)
        return self.read(lambda store: store.fields(names, stored))

    def keys(self, doc_ids: Iterable[int]) -> dict[int, str]:
        """The names under which documents are stored, by `SearchResult.doc_id`; unknown ids are left out."""
        return self.read(lambda store: store.paths(list(doc_ids)))

    def analysed(self, analyse: Callable[..., T], **options: object) -> T:
        """What a function makes of one snapshot, the function that shows stored paths, and options."""

        def call(store: Store) -> T:
            with store.snapshot() as snapshot:
                return analyse(snapshot, self.location.shown, **options)

        return self.read(call)

    def openable(self, key: str) -> str | None:
        """The absolute path of a document's file; None from memory, or if the index may not open it."""
        path = self.location.absolute(key)
        is_trusted = not is_from_memory(key) and may_open(path, self.read(self._trusted))
        return path if is_trusted else None

    def _trusted(self, store: Store) -> frozenset[str]:
        return trusted_paths(Manifest.read(store, self.location.folder).trusted, self.location)

    def last_run(self) -> RunRecord | None:
        """The last indexing run; "interrupted" if its process has ended before it."""
        return self.read(self._last_run)

    def _last_run(self, snapshot: Snapshot) -> RunRecord | None:
        run = snapshot.journal.last_run()
        if run is None:
            return None
        is_dead = run.outcome == "running" and not is_alive(run.pid)
        roots = tuple(self.location.shown(root) for root in run.roots)
        return replace(run, outcome="interrupted" if is_dead else run.outcome, roots=roots)

    def status(self) -> IndexStatus:
        """`MiniSearch.status`."""
        return self.read(self._status)

    def _status(self, store: Store) -> IndexStatus:
        with store.snapshot() as snapshot:
            manifest = Manifest.read(snapshot, self.location.folder)
            n_documents, n_chunks = snapshot.counts()
            return IndexStatus(
                path=str(self.location.folder),
                n_documents=n_documents,
                n_chunks=n_chunks,
                model=manifest.model,
                backend=manifest.backend,
                is_index_ready=store.index.is_there(),
                generation=snapshot.generation,
                n_bytes=self.location.n_bytes(),
                last_run=self._last_run(snapshot),
                skipped=self.location.all_shown(snapshot.journal.skipped()),
                notes=self.location.all_shown(snapshot.notes()),
            )

    def _chunks_of(
        self, snapshot: Snapshot, given: str | os.PathLike[str]
    ) -> tuple[str, Sequence[StoredChunk]]:
        """A document's key and chunks; InputError, with the nearest name, if the index has none."""
        key = self._key_of(snapshot, given)
        chunks = snapshot.chunks_of(key)
        if not chunks:
            self._refuse(snapshot, given)
        return key, chunks

    def _refuse(self, snapshot: Snapshot, given: str | os.PathLike[str]) -> NoReturn:
        """InputError for a path that is not in the index, with the nearest name."""
        import difflib  # imported only after a mistake

        name_of = {path: os.path.basename(path) for path in snapshot.documents()}  # noqa: PTH119 - strings
        near = difflib.get_close_matches(os.path.basename(os.path.normpath(given)), name_of.values(), n=1)  # noqa: PTH119
        cure = "expected a file that was indexed"
        if near:
            shown = self.location.shown(next(path for path in name_of if name_of[path] == near[0]))
            cure = f"did you mean {shown}?"
        raise InputError(f"{os.fspath(given) or 'an empty path'} is not in the index: {cure}")

    def read(self, call: Callable[[Store], T]) -> T:
        """What a function of the store returns; it is called again if the index was replaced meanwhile."""
        while True:
            with self._stores.one() as store:
                found = call(store)
                if not store.is_outdated():
                    return found

    def _current_store(self, store: Store | None) -> Store:
        """The same store, or another one if it is outdated or None."""
        if store is not None and not store.is_outdated():
            return store
        if store is not None:
            store.close()
        self.location.must_exist()
        return open_store(self.location)

    @contextmanager
    def _searching(
        self, store: Store, query: str | Query, parsed: Query, options: SearchOptions
    ) -> Iterator[tuple[Snapshot, Callable[[SearchOptions], SearchResults]]]:
        """One snapshot, and a function that searches it for what was parsed from the query."""
        encoder, vector = self._encoded(store, parsed, options)
        with store.snapshot() as snapshot:
            final = _with_number_as_phrase(parsed, options, snapshot) if isinstance(query, str) else parsed
            yield snapshot, partial(self._pipeline(snapshot, encoder, options, parsed).search, final, vector)

    def _encoded(
        self, store: Store, query: Query, options: SearchOptions
    ) -> tuple[Encoder | None, FloatArray | None]:
        """The encoder and the query's vector, (D,); none in lexical mode."""
        manifest = Manifest.read(store, self.location.folder)
        if options.mode == "lexical":
            return None, None
        encoder = self._encoders.to_query(manifest.model, query.text)
        vector = _vector(query, encoder)
        manifest.check(encoder, self.location.folder)
        return encoder, vector

    def _corrected(self, store: Store, query: Query, options: SearchOptions) -> Query:
        """The query with misspelt words replaced; phrases and concepts stay as they were typed."""
        if query.required or options.mode == "dense":
            return query
        tokenizer = None
        if options.mode != "lexical":
            model = Manifest.read(store, self.location.folder).model
            tokenizer = self._encoders.to_add(model, 0).tokenizer
        with store.snapshot() as snapshot:
            return replace(query, text=corrected(query.text, snapshot, tokenizer))

    def _with_stored_paths(self, options: SearchOptions) -> SearchOptions:
        """The options with path patterns of stored paths in the filter."""
        if options.where is None:
            return options
        return replace(options, where=with_stored_paths(options.where, self.location))

    def _pipeline(
        self, snapshot: Snapshot, encoder: Encoder | None, options: SearchOptions, query: Query | None
    ) -> Pipeline:
        """The pipeline over a snapshot."""
        manifest = Manifest.read(snapshot, self.location.folder)
        baseline = manifest.baseline or USUAL_BASELINE
        uses_vectors = options.mode != "lexical" or options.diverse is not None
        rerank = None
        if options.rerank is not None:
            rerank = partial(
                self._rerankers.scores,
                options.rerank,
                depth=options.rerank_depth,
                budget_s=options.rerank_budget_s,
            )
        is_readable = query is None or encoder is None or _can_read(encoder, query.text)
        return Pipeline(
            *(snapshot, uses_vectors, encoder, rerank, baseline, self.location.shown),
            file_state=partial(file_state, self.location, trusted_paths(manifest.trusted, self.location)),
            is_readable=is_readable,
        )


def check_model(location: IndexLocation, model: str) -> None:
    """ModelError if the index names a model folder that it is not trusted to open."""
    if find(model) is not None or not location.exists():  # a name means the same everywhere
        return
    with open_store(location) as store:
        trusted = Manifest.read(store, location.folder).trusted
    check_model_folder(trusted, location, model)


def _parsed(query: str | Query, options: SearchOptions) -> Query:
    parsed = parse_query(query) if isinstance(query, str) else checked_query(query)
    if options.mode == "lexical" and not parsed.text:
        raise InputError("lexical search looks for words, and the query has none: +concept needs vectors")
    return parsed


def _with_number_as_phrase(query: Query, options: SearchOptions, snapshot: Snapshot) -> Query:
    """The query, as a phrase if it is a number that some chunk has."""
    if options.mode == "dense" or query.required or not is_number(query.text):
        return query
    phrase = replace(query, required=(query.text,))
    wanted = combined_filter(phrase, options.where)
    return phrase if wanted is not None and len(snapshot.select(wanted)) else query


def _relevance(found: SearchResults) -> float:
    return found[0].relevance or 0.0 if found else 0.0


def _vector(query: Query, encoder: Encoder) -> FloatArray:
    """The sum of the vectors of the query and its concepts, each times its weight, (D,) of unit length."""
    weighted = [*([(query.text, 1.0)] if query.text else []), *query.steers]
    vectors = encoder.encode_query([text for text, _ in weighted])  # (n, D)
    if len(weighted) == 1 and weighted[0][1] > 0:
        vector: FloatArray = vectors[0]
        return vector
    return _unit(np.array([weight for _, weight in weighted], np.float32) @ vectors)


def _can_read(encoder: Encoder, text: str) -> bool:
    """Whether the encoder knows most of a text; an encoder that cannot tell is believed to."""
    unknown_share = getattr(encoder.tokenizer, "unknown_share", None)
    return not text or unknown_share is None or unknown_share(text) < MAX_UNKNOWN


def _unit(vector: FloatArray) -> FloatArray:
    length = float(np.linalg.norm(vector))
    if length < 1e-6:
        raise InputError("the concepts of the query cancel each other out: nothing is left to look for")
    return np.asarray(vector / length, np.float32)
