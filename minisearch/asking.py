"""Questions to an index: the text's vector, the nearest chunks, and what they say; and how the index stands.

It reads one folder and writes nothing.  A question sees one generation of the index, however long a
run goes on beside it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from dataclasses import replace
from typing import TypeVar

from minisearch.encoders import Encoders
from minisearch.errors import InputError
from minisearch.facts import Facts
from minisearch.home import Home
from minisearch.live_index import LiveIndex
from minisearch.storage import Store, StoredChunk
from minisearch.types import Hits, IndexStatus, Note, SearchResult, Skipped

Named = TypeVar("Named", Skipped, Note)


class Asking:
    """What can be asked of the index in one folder: the verbs of `MiniSearch`.  Threads take turns."""

    def __init__(self, home: Home, encoders: Encoders) -> None:
        self._home = home
        self._encoders = encoders
        self._store: Store | None = None
        self._live = LiveIndex(home.path)
        self._turn = threading.RLock()

    def close(self) -> None:
        """Close the database, if it is open."""
        with self._turn:
            if self._store is not None:
                self._store.close()
            self._store = None
            self._live = LiveIndex(self._home.path)

    def query(self, text: str, k: int) -> list[SearchResult]:
        """`MiniSearch.query`."""
        if not isinstance(text, str):
            raise InputError(f"expected a query, a text, got {type(text).__name__}")
        if not text.strip():
            raise InputError("the query is empty: say what you are looking for")
        if k < 1:
            raise InputError(f"k is {k}: ask for at least 1 result")
        text = text.encode("utf-8", "replace").decode()  # a terminal can hand over halves of characters
        with self._turn:
            hits, chunks = self._search(text, k)
        ranked = zip(hits.ids.tolist(), hits.scores.tolist(), strict=True)
        return [
            SearchResult(
                rank=rank,
                score=score,
                path=self._home.shown(chunks[chunk_id].path),
                line=chunks[chunk_id].line,
                end_line=chunks[chunk_id].end_line,
                heading=chunks[chunk_id].heading,
                text=chunks[chunk_id].text,
                doc_id=chunks[chunk_id].document_id,
                chunk_id=chunk_id,
            )
            for rank, (chunk_id, score) in enumerate(ranked, start=1)
        ]

    def _search(self, text: str, k: int) -> tuple[Hits, dict[int, StoredChunk]]:
        store = self._reading()
        facts = Facts.read(store, self._home.folder)
        encoder = self._encoders.to_ask(facts.model, text)
        vector = encoder.encode_query([text])  # (1, dimension)
        facts.check(encoder, self._home.folder)
        with store.snapshot():
            (hits,) = self._live.current(store, facts.dimension).search(vector, k)
            chunks = store.chunks(hits.ids.tolist())
        if store.is_outdated():  # replaced, or written to where we could not have seen it
            return self._search(text, k)
        return hits, chunks

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
            is_index_ready=base is not None and (self._home.path / base.file).is_file(),
            generation=generation,
            n_bytes=self._home.n_bytes(),
            last_run=last_run,
            skipped=shown(self._home, skipped),
            notes=shown(self._home, notes),
        )

    def _reading(self) -> Store:
        if self._store is not None and self._store.is_outdated():
            self.close()
        if self._store is None:
            self._home.must_exist()
            self._store = Store(self._home.database)
        return self._store


def shown(home: Home, named: Iterable[Named]) -> tuple[Named, ...]:
    """The same skipped files or notes, each under the path the user knows."""
    return tuple(replace(one, path=home.shown(one.path)) for one in named)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
