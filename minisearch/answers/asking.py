"""Questions to an index: what is asked becomes a vector, the index as it is now answers; and how it stands.

It reads one folder and writes nothing.  A question sees one generation of the index, however long a
run goes on beside it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar

import numpy as np

from minisearch import calibration
from minisearch.answers.answering import Answerer, Search
from minisearch.answers.path_patterns import as_stored
from minisearch.answers.rerankers import Rerankers
from minisearch.config import DEFAULT_MODEL
from minisearch.encoders import Encoders
from minisearch.errors import InputError
from minisearch.facts import Facts
from minisearch.home import Home, real_path
from minisearch.live_index import LiveIndex, is_there
from minisearch.results import Question, SearchResults
from minisearch.search.question import checked_question, is_number, parse_question
from minisearch.storage import Store, StoredChunk
from minisearch.types import Encoder, FloatArray, IndexStatus

Found = TypeVar("Found")


class Asking:
    """What can be asked of the index in one folder: the verbs of `MiniSearch`.  Threads take turns."""

    def __init__(self, home: Home, encoders: Encoders, rerankers: Rerankers) -> None:
        self._home = home
        self._encoders = encoders
        self._rerankers = rerankers
        self._store: Store | None = None
        self._live = LiveIndex(home.path)
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
            self._live = LiveIndex(self._home.path)

    def query(self, question: str | Question, search: Search) -> SearchResults:
        """`MiniSearch.query`."""
        is_text = isinstance(question, str)
        question = parse_question(question) if isinstance(question, str) else checked_question(question)
        if search.mode == "lexical" and not question.text:
            raise InputError("lexical search looks for words, and the query has none: +concept needs vectors")
        with self._turn:
            return self._answer(question, self._of_stored_names(search), is_text=is_text)

    def _answer(self, question: Question, search: Search, *, is_text: bool) -> SearchResults:
        store = self._reading()
        facts = Facts.read(store, self._home.folder)
        encoder = vector = None
        if search.mode != "lexical":
            encoder = self._encoders.to_ask(facts.model, question.text)
            vector = _vector(question, encoder)
            facts.check(encoder, self._home.folder)
        with store.snapshot():
            asked = _as_it_stands(question, search, store) if is_text else question
            results = self._answerer(store, facts, encoder, search).answer(asked, vector, search)
        return self._answer(question, search, is_text=is_text) if self._is_outdated(store) else results

    def like(self, path: str | os.PathLike[str], line: int | None, search: Search) -> SearchResults:
        """`MiniSearch.like`."""
        with self._turn:
            return self._like(path, line, self._of_stored_names(search))

    def _like(self, path: str | os.PathLike[str], line: int | None, search: Search) -> SearchResults:
        key = self._home.key(real_path(path, must_exist=False))
        store = self._reading()
        facts = Facts.read(store, self._home.folder)
        with store.snapshot():
            passages = at_line(store.passages(key), path, line)
            ids = np.array([passage.id for passage in passages], np.int64)
            encoder = None
            if search.evidence:
                encoder = self._encoders.to_ask(facts.model, passages[0].text)
                facts.check(encoder, self._home.folder)
            # What an index says to questions without an answer is no measure for passages.
            answerer = replace(self._answerer(store, facts, encoder, search), null=None)
            vector = _unit(answerer.vectors(ids).mean(axis=0))
            question = Question(
                passages[0].text if line is not None else passages[0].title or os.fspath(path)
            )
            results = answerer.answer(question, vector, search, but_not=ids)
        return self._like(path, line, search) if self._is_outdated(store) else results

    def similarity(self, texts: Sequence[str]) -> FloatArray:
        """`MiniSearch.similarity`."""
        for number, text in enumerate(texts, start=1):
            if not isinstance(text, str):
                raise InputError(f"expected texts to compare, got {type(text).__name__}")
            if not text.strip():
                raise InputError(f"text {number} is empty: expected something to compare")
        model = DEFAULT_MODEL
        if self._home.exists():
            with self._turn:
                model = Facts.read(self._reading(), self._home.folder).model
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

    def _of_stored_names(self, search: Search) -> Search:
        return search if search.where is None else replace(search, where=as_stored(search.where, self._home))

    def _answerer(self, store: Store, facts: Facts, encoder: Encoder | None, search: Search) -> Answerer:
        """The present state of the index, with what the search needs of models."""
        index = None
        if search.mode != "lexical" or search.diverse is not None:
            index = self._live.current(store, facts.dimension)
        rerank = None
        if search.rerank is not None:
            rerank = partial(
                self._rerankers.rerank,
                search.rerank,
                depth=search.rerank_depth,
                budget_s=search.rerank_budget_s,
            )
        return Answerer(store, index, encoder, rerank, calibration.read(store), self._home.shown)

    def _is_outdated(self, store: Store) -> bool:
        """Whether the index was replaced while it was asked, or written to where we could not see it."""
        return not self._is_held and store.is_outdated()

    def status(self) -> IndexStatus:
        """`MiniSearch.status`."""
        with self._turn:
            store = self._reading()
            with store.snapshot():
                facts = Facts.read(store, self._home.folder)
                base, last_run = store.base(), store.journal.last_run()
                n_documents, n_chunks = store.counts()
                skipped, notes = store.journal.problems(), store.notes()
                generation = store.generation
        if last_run:
            is_dead = last_run.outcome == "running" and not _is_alive(last_run.pid)
            outcome = "interrupted" if is_dead else last_run.outcome
            roots = tuple(self._home.shown(root) for root in last_run.roots)
            last_run = replace(last_run, outcome=outcome, roots=roots)
        return IndexStatus(
            path=str(self._home.folder),
            n_documents=n_documents,
            n_chunks=n_chunks,
            model=facts.model,
            backend=facts.backend,
            is_index_ready=base is not None and is_there(base, self._home.path),
            generation=generation,
            n_bytes=self._home.n_bytes(),
            last_run=last_run,
            skipped=self._home.all_shown(skipped),
            notes=self._home.all_shown(notes),
        )

    def _reading(self) -> Store:
        if self._store is not None and self._is_outdated(self._store):
            self.close()
        if self._store is None:
            self._home.must_exist()
            self._store = Store(self._home.database)
        return self._store


def _as_it_stands(question: Question, search: Search, store: Store) -> Question:
    """A question that is a number, as a phrase where that stands in any passage: it means nothing else."""
    if search.mode == "dense" or question.required or not is_number(question.text):
        return question
    phrase = replace(question, required=(question.text,))
    condition = search.condition(phrase)
    return phrase if condition is not None and len(store.select(condition)) else question


def _vector(question: Question, encoder: Encoder) -> FloatArray:
    """The question's own vector and its concepts', each by its weight, (D,) of unit length."""
    weighted = [*([(question.text, 1.0)] if question.text else []), *question.steers]
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
