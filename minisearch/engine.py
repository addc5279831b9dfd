"""MiniSearch: the one class most users meet, and the only place that knows every concrete part.

    from minisearch import MiniSearch
    ms = MiniSearch.open(".")
    ms.index("docs")
    ms.query("how do I retry a failed task")

An index is a folder, ``.minisearch`` by default: the database, one file of the vector index, a lock.
Opening creates nothing, asking writes nothing, and only one process writes at a time.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from minisearch import minilm
from minisearch.config import DEFAULT_BACKEND, DEFAULT_MODEL, Settings
from minisearch.errors import IndexNotFound, InputError
from minisearch.facts import Facts
from minisearch.home import INDEX_FOLDER, Home, is_below, real_path
from minisearch.indexes import load_backend
from minisearch.ingestion import Run, find_files
from minisearch.live_index import LiveIndex, is_due, publish_index
from minisearch.storage import Store, StoredChunk
from minisearch.storage.lock import writer_lock
from minisearch.types import (
    Encoder,
    Hits,
    IndexProgress,
    IndexStatus,
    IngestReport,
    Note,
    SearchResult,
    Skipped,
)

Named = TypeVar("Named", Skipped, Note)


class MiniSearch:
    """An index over files, and the answers it gives.

    >>> ms = MiniSearch.open(".")  # doctest: +SKIP
    >>> ms.index("docs").added  # doctest: +SKIP
    465
    >>> ms.query("how do I retry a failed task", k=3)[0].path  # doctest: +SKIP
    'docs/playbook_guide/playbooks_loops.rst'

    Results' paths open from the folder that ``path`` was relative to.  Use it as a context manager, or
    `close` it.  One object may be used from several threads; they take turns.
    """

    def __init__(
        self,
        index_folder: Path,
        *,
        model: str | None = None,
        encoder: Encoder | None = None,
        settings: Settings | None = None,
        offline: bool = False,
    ) -> None:
        self._home = Home(index_folder)
        self._model = model
        self._encoder = encoder
        self._settings = settings
        self._is_offline = offline
        self._reader: Store | None = None
        self._live = LiveIndex(self._home.path)
        self._reading_turn = threading.RLock()  # apart, so that a query never waits for an indexing run
        self._writing_turn = threading.RLock()

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str] = ".",
        *,
        index: str | os.PathLike[str] | None = None,
        model: str | None = None,
        encoder: Encoder | None = None,
        settings: Settings | None = None,
        offline: bool = False,
    ) -> MiniSearch:
        """The index in ``path/.minisearch``, or in the folder ``index``, whether or not it exists yet.

        ``model`` is a checkpoint's name or folder; an existing index brings its own.  ``encoder`` takes
        any other `Encoder` in its place.  ``settings`` say how documents are cut; without them, as before.
        ``offline`` never opens a socket.
        """
        folder = Path(index) if index is not None else Path(path) / INDEX_FOLDER
        return cls(folder, model=model, encoder=encoder, settings=settings, offline=offline)

    def __enter__(self) -> MiniSearch:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the database, if it is open."""
        with self._reading_turn:
            if self._reader is not None:
                self._reader.close()
            self._reader = None
            self._live = LiveIndex(self._home.path)

    # --- writing -----------------------------------------------------------------------------------

    def index(
        self,
        *paths: str | os.PathLike[str],
        backend: str | None = None,
        on_progress: Callable[[IndexProgress], None] = lambda _: None,
    ) -> IngestReport:
        """Bring the index up to date with files and folders: new, changed and vanished ones.

        Documents of other folders stay.  The first run creates the index.  Interrupted at any moment, the
        index keeps every document stored so far and the next run goes on from there.  Raises IngestError
        for a path that is not there or holds nothing to index; then nothing was changed.
        """
        if not paths:
            raise InputError("nothing to index: name at least one file or folder")
        if backend is not None:
            load_backend(backend)  # an unknown one shows before anything is done
        started_s = time.perf_counter()
        self._home.must_be_free()
        roots = {real_path(path): os.fspath(path) for path in paths}
        walked = find_files(roots, self._home)
        if not self._home.exists():
            self._load_encoder(self._model or DEFAULT_MODEL)
        with self._writer(create=True) as store:
            facts = self._settle(store, backend)

            def encoder() -> Encoder:
                load_backend(facts.backend)  # a library that is gone shows before the work, not after
                return self._encoder_of(facts)

            run = Run(
                store,
                walked,
                encoder=encoder,
                settings=facts.settings,
                ingest=facts.ingest,
                on_progress=on_progress,
            )
            below = {str(root) for root in roots}
            with self._recorded(run, store, roots):
                run.execute()
                run.remove_vanished(self._home, below)
                self._publish_if_due(store, facts)
            report = run.report()
            return replace(
                report,
                elapsed_s=time.perf_counter() - started_s,
                skipped=self._shown(report.skipped),
                notes=self._shown(note for note in store.notes() if self._is_below(note.path, below)),
            )

    def remove(self, *paths: str | os.PathLike[str]) -> int:
        """Take documents out of the index, whole folders of them too; how many. The files stay.

        Raises InputError when nothing in the index is at or below these paths.
        """
        below = {str(real_path(path, must_exist=False)) for path in paths}
        with self._writer() as store:
            facts = Facts.read(store, self._home.folder)
            gone = [document.id for key, document in store.documents().items() if self._is_below(key, below)]
            forgotten = [
                skipped.path for skipped in store.journal.problems() if self._is_below(skipped.path, below)
            ]
            if not gone and not forgotten:
                raise InputError(f"nothing in the index is at or below {', '.join(map(str, paths))}")
            store.remove(gone)
            store.journal.set_problems(forgotten, [])
            self._publish_if_due(store, facts)
        return len(gone)

    def rebuild(self, backend: str | None = None) -> None:
        """Build the vector index again from the stored vectors, with another backend if one is named.

        Nothing is embedded again.  Raises BackendUnavailable when the backend's library is not installed.
        """
        if backend is not None:
            load_backend(backend)
        with self._writer() as store:
            facts = Facts.read(store, self._home.folder)
            facts = replace(facts, backend=backend or facts.backend)
            facts.write(store)
            publish_index(store, self._home.path, facts.dimension, facts.backend)

    @contextmanager
    def _writer(self, *, create: bool = False) -> Iterator[Store]:
        """The store, open for writing, with the writer's lock held."""
        with self._writing_turn:
            if create:
                self._home.create()
            else:
                self._home.must_exist()
            with writer_lock(self._home.path), Store(self._home.database, writable=True) as store:
                yield store

    def _settle(self, store: Store, backend: str | None) -> Facts:
        """The index's facts: set by its first run, kept to by every later one unless it says otherwise."""
        try:
            facts = Facts.read(store, self._home.folder)
        except IndexNotFound:
            encoder = self._load_encoder(self._model or DEFAULT_MODEL)
            facts = Facts.of(encoder, self._settings or Settings(), backend or DEFAULT_BACKEND)
        if self._encoder is not None or self._model not in {None, facts.model}:
            self._encoder_of(facts)  # asked for by name: say now if it is not the index's
        if self._settings is not None:
            facts = facts.cut_by(self._settings)
        facts = replace(facts, backend=backend or facts.backend)
        facts.write(store)
        return facts

    @contextmanager
    def _recorded(self, run: Run, store: Store, roots: Iterable[Path]) -> Iterator[None]:
        """Note a run's beginning and its end, however it ends."""
        run_id = store.journal.start_run([self._home.key(root) for root in roots])
        outcome = "failed"
        try:
            yield
            outcome = "complete"
        except (KeyboardInterrupt, SystemExit):
            outcome = "interrupted"
            raise
        finally:
            report = run.report()
            if outcome == "complete":
                below = {str(root) for root in roots}
                forget = [old.path for old in store.journal.problems() if self._is_below(old.path, below)]
                store.journal.set_problems(forget, report.skipped)
            store.journal.finish_run(run_id, outcome, _counts(report))

    def _publish_if_due(self, store: Store, facts: Facts) -> None:
        if is_due(store, self._home.path, facts.backend):
            publish_index(store, self._home.path, facts.dimension, facts.backend)

    # --- asking ------------------------------------------------------------------------------------

    def query(self, text: str, k: int = 10) -> list[SearchResult]:
        """The k passages nearest in meaning, best first; all of them where the index holds fewer.

        Raises InputError for an empty query or k below 1, IndexNotFound before anything was indexed.
        """
        if not isinstance(text, str) or not text.strip():
            raise InputError("the query is empty: say what you are looking for")
        if k < 1:
            raise InputError(f"k is {k}: ask for at least 1 result")
        text = text.encode("utf-8", "replace").decode()  # a terminal can hand over halves of characters
        with self._reading_turn:
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
        vector = self._encoder_of(facts).encode([text])  # (1, dimension)
        with store.snapshot():
            (hits,) = self._live.current(store, facts.dimension).search(vector, k)
            chunks = store.chunks(hits.ids.tolist())
        if store.is_outdated():  # replaced, or written to where we could not have seen it
            return self._search(text, k)
        return hits, chunks

    def status(self) -> IndexStatus:
        """What the index holds, and how its last run ended."""
        with self._reading_turn:
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
            skipped=self._shown(skipped),
            notes=self._shown(notes),
        )

    def _reading(self) -> Store:
        if self._reader is not None and self._reader.is_outdated():
            self.close()
        if self._reader is None:
            self._home.must_exist()
            self._reader = Store(self._home.database)
        return self._reader

    def _is_below(self, key: str, folders: Collection[str]) -> bool:
        return is_below(self._home.absolute(key), folders)

    def _shown(self, named: Iterable[Named]) -> tuple[Named, ...]:
        """The same skipped files or notes, each under the path the user knows."""
        return tuple(replace(one, path=self._home.shown(one.path)) for one in named)

    # --- the model ---------------------------------------------------------------------------------

    def _encoder_of(self, facts: Facts) -> Encoder:
        """The encoder whose vectors the index holds; FingerprintMismatch when another one was asked for."""
        encoder = self._load_encoder(self._model or facts.model)
        facts.check(encoder, self._home.folder)
        return encoder

    def _load_encoder(self, model: str) -> Encoder:
        with self._reading_turn:
            if self._encoder is None:
                self._encoder = minilm.SentenceTransformer.from_pretrained(model, offline=self._is_offline)
            return self._encoder


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _counts(report: IngestReport) -> dict[str, int]:
    return {
        "added": report.added,
        "updated": report.updated,
        "unchanged": report.unchanged,
        "removed": report.removed,
        "skipped": len(report.skipped),
    }
