"""Queries to an index: what is asked becomes a vector, the index as it is now answers; and how it stands.

It reads one folder and writes nothing.  A query sees one generation of the index, however long a
run goes on beside it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from minisearch.encoders import Encoders
from minisearch.errors import InputError
from minisearch.manifest import DEFAULT_MODEL, Manifest
from minisearch.paths import IndexLocation, real_path
from minisearch.results import Query, SearchOptions, SearchResults
from minisearch.search.path_patterns import as_stored
from minisearch.search.pipeline import Answerer, condition
from minisearch.search.query import checked_query, is_number, parse_query
from minisearch.search.rerankers import Rerankers
from minisearch.stores.local import Store, StoredChunk
from minisearch.types import Encoder, FloatArray, IndexStatus
from minisearch.vectors.live import LiveIndex, is_there

if TYPE_CHECKING:
    from minisearch.search.why_not import WhyNot

Found = TypeVar("Found")


class Asking:
    """What can be asked of the index in one folder: the verbs of `MiniSearch`.  Threads take turns."""

    def __init__(self, location: IndexLocation, encoders: Encoders, rerankers: Rerankers) -> None:
        self._location = location
        self._encoders = encoders
        self._rerankers = rerankers
        self._store: Store | None = None
        self._live = LiveIndex(location.path)
        self._turn = threading.RLock()
        self._is_held = False  # at one moment: the store in use stays, whatever happens to its file

    def at_once(self, look: Callable[[Store], Found]) -> Found:
        """What ``look`` makes of the store, and of what it asks here meanwhile: all of one generation."""
        with self._turn:
            store = self._reading()
            self._is_held = True
            try:
                with store.snapshot():
                    found = look(store)
            finally:
                self._is_held = False
            return self.at_once(look) if self._is_outdated(store) else found

    def close(self) -> None:
        """Close the database, if it is open."""
        with self._turn:
            if self._store is not None:
                self._store.close()
            self._store = None
            self._live = LiveIndex(self._location.path)

    def query(self, query: str | Query, options: SearchOptions) -> SearchResults:
        """`MiniSearch.query`."""
        is_text = isinstance(query, str)
        query = parse_query(query) if isinstance(query, str) else checked_query(query)
        if options.mode == "lexical" and not query.text:
            raise InputError("lexical search looks for words, and the query has none: +concept needs vectors")
        with self._turn:
            return self._answer(query, self._of_stored_names(options), is_text=is_text)

    def _answer(self, query: Query, options: SearchOptions, *, is_text: bool) -> SearchResults:
        store = self._reading()
        manifest = Manifest.read(store, self._location.folder)
        encoder = vector = None
        if options.mode != "lexical":
            encoder = self._encoders.to_ask(manifest.model, query.text)
            vector = _vector(query, encoder)
            manifest.check(encoder, self._location.folder)
        with store.snapshot():
            asked = _as_it_stands(query, options, store) if is_text else query
            results = self._answerer(store, manifest, encoder, options).answer(asked, vector, options)
        return self._answer(query, options, is_text=is_text) if self._is_outdated(store) else results

    def like(self, path: str | os.PathLike[str], line: int | None, options: SearchOptions) -> SearchResults:
        """`MiniSearch.like`."""
        with self._turn:
            return self._like(path, line, self._of_stored_names(options))

    def _like(self, path: str | os.PathLike[str], line: int | None, options: SearchOptions) -> SearchResults:
        key = self._location.key(real_path(path, must_exist=False))
        store = self._reading()
        manifest = Manifest.read(store, self._location.folder)
        with store.snapshot():
            passages = at_line(store.passages(key), path, line)
            ids = np.array([passage.id for passage in passages], np.int64)
            encoder = None
            if options.evidence:
                encoder = self._encoders.to_ask(manifest.model, passages[0].text)
                manifest.check(encoder, self._location.folder)
            # What an index says to queries without an answer is no measure for passages.
            answerer = replace(self._answerer(store, manifest, encoder, options), baseline=None)
            vector = _unit(answerer.vectors(ids).mean(axis=0))
            query = Query(passages[0].text if line is not None else passages[0].title or os.fspath(path))
            results = answerer.answer(query, vector, options, but_not=ids)
        return self._like(path, line, options) if self._is_outdated(store) else results

    def why_not(
        self, path: str | os.PathLike[str], line: int | None, query: str | Query, options: SearchOptions
    ) -> WhyNot:
        """`MiniSearch.why_not`."""
        from minisearch.search.why_not import why_not  # what it needs of indexing is too much for a query

        return self.at_once(
            lambda store: why_not(self.query, store, self._location, path, line, query, options)
        )

    def similarity(self, texts: Sequence[str]) -> FloatArray:
        """`MiniSearch.similarity`."""
        for number, text in enumerate(texts, start=1):
            if not isinstance(text, str):
                raise InputError(f"expected texts to compare, got {type(text).__name__}")
            if not text.strip():
                raise InputError(f"text {number} is empty: expected something to compare")
        model = DEFAULT_MODEL
        if self._location.exists():
            with self._turn:
                model = Manifest.read(self._reading(), self._location.folder).model
        vectors = self._encoders.to_ask(model, " ".join(texts)).encode_query(texts)  # (n, D)
        cosines: FloatArray = np.clip(vectors @ vectors.T, -1, 1)
        return cosines

    def field_names(self) -> list[str]:
        """`MiniSearch.field_names`."""
        with self._turn:
            return self._reading().field_names()

    def languages(self) -> list[str]:
        """`MiniSearch.languages`."""
        with self._turn:
            documents = self._reading().documents().values()
        return sorted({one.language.casefold() for one in documents if one.language})

    def _of_stored_names(self, options: SearchOptions) -> SearchOptions:
        return (
            options
            if options.where is None
            else replace(options, where=as_stored(options.where, self._location))
        )

    def _answerer(
        self, store: Store, manifest: Manifest, encoder: Encoder | None, options: SearchOptions
    ) -> Answerer:
        """The present state of the index, with what the search needs of models."""
        index = None
        if options.mode != "lexical" or options.diverse is not None:
            index = self._live.current(store, manifest.dimension)
        rerank = None
        if options.rerank is not None:
            rerank = partial(
                self._rerankers.rerank,
                options.rerank,
                depth=options.rerank_depth,
                budget_s=options.rerank_budget_s,
            )
        return Answerer(store, index, encoder, rerank, manifest.baseline, self._location.shown)

    def _is_outdated(self, store: Store) -> bool:
        """Whether the index was replaced while it was asked, or written to where we could not see it."""
        return not self._is_held and store.is_outdated()

    def status(self) -> IndexStatus:
        """`MiniSearch.status`."""
        with self._turn:
            store = self._reading()
            with store.snapshot():
                manifest = Manifest.read(store, self._location.folder)
                base, last_run = store.base(), store.journal.last_run()
                n_documents, n_chunks = store.counts()
                skipped, notes = store.journal.problems(), store.notes()
                generation = store.generation
        if last_run:
            is_dead = last_run.outcome == "running" and not _is_alive(last_run.pid)
            outcome = "interrupted" if is_dead else last_run.outcome
            roots = tuple(self._location.shown(root) for root in last_run.roots)
            last_run = replace(last_run, outcome=outcome, roots=roots)
        return IndexStatus(
            path=str(self._location.folder),
            n_documents=n_documents,
            n_chunks=n_chunks,
            model=manifest.model,
            backend=manifest.backend,
            is_index_ready=base is not None and is_there(base, self._location.path),
            generation=generation,
            n_bytes=self._location.n_bytes(),
            last_run=last_run,
            skipped=self._location.all_shown(skipped),
            notes=self._location.all_shown(notes),
        )

    def _reading(self) -> Store:
        if self._store is not None and self._is_outdated(self._store):
            self.close()
        if self._store is None:
            self._location.must_exist()
            self._store = Store(self._location.database)
        return self._store


def _as_it_stands(query: Query, options: SearchOptions, store: Store) -> Query:
    """A query that is a number, as a phrase where that stands in any passage: it means nothing else."""
    if options.mode == "dense" or query.required or not is_number(query.text):
        return query
    phrase = replace(query, required=(query.text,))
    wanted = condition(phrase, options.where)
    return phrase if wanted is not None and len(store.select(wanted)) else query


def _vector(query: Query, encoder: Encoder) -> FloatArray:
    """The query's own vector and its concepts', each by its weight, (D,) of unit length."""
    weighted = [*([(query.text, 1.0)] if query.text else []), *query.steers]
    vectors = encoder.encode_query([text for text, _ in weighted])  # (n, D)
    if len(weighted) == 1 and weighted[0][1] > 0:
        vector: FloatArray = vectors[0]
        return vector
    return _unit(np.array([weight for _, weight in weighted], np.float32) @ vectors)


def _unit(vector: FloatArray) -> FloatArray:
    length = float(np.linalg.norm(vector))
    if length < 1e-6:
        raise InputError("the concepts of the query cancel each other out: nothing is left to look for")
    return np.asarray(vector / length, np.float32)


def at_line(
    passages: Sequence[StoredChunk], path: str | os.PathLike[str], line: int | None
) -> Sequence[StoredChunk]:
    """A document's passages, or those that hold a line of it; InputError where there are none."""
    if line is not None and (isinstance(line, bool) or not isinstance(line, int)):
        raise InputError(f"line is {line!r}: expected the number of a line, from 1")
    if not passages:
        raise InputError(
            f"{os.fspath(path) or 'an empty path'} is not in the index: expected a file that was indexed"
        )
    if line is None:
        return passages
    held = [passage for passage in passages if passage.line <= line <= passage.end_line]
    following = [passage for passage in passages if 0 < line < passage.line]  # a blank line is asked about
    if not held and not following:
        raise InputError(
            f"{os.fspath(path)} has no passage at line {line}: its last ends at {passages[-1].end_line}"
        )
    return held or following[:1]


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
