"""Changes to an index: files in, files out, its vectors into another kind of vector index.

Paths come in, a report goes out.  One process changes an index at a time; what a run did, and what it
passed over, is noted in the store.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from minisearch import calibration
from minisearch.asking import shown
from minisearch.config import DEFAULT_BACKEND, DEFAULT_MODEL, Settings
from minisearch.encoders import Encoders
from minisearch.errors import IndexNotFound, InputError
from minisearch.facts import Facts
from minisearch.home import Home, is_below, real_path
from minisearch.indexes import load_backend
from minisearch.ingestion import Run, Source, Walked, find_files
from minisearch.live_index import LiveIndex, is_due, publish_index
from minisearch.reading import Reader
from minisearch.storage import Store
from minisearch.storage.lock import writer_lock
from minisearch.types import Encoder, IndexProgress, IngestReport


class Writing:
    """What changes the index in one folder: the verbs of `MiniSearch`.  Threads take turns."""

    def __init__(self, home: Home, encoders: Encoders, settings: Settings | None) -> None:
        self._home = home
        self._encoders = encoders
        self._settings = settings
        self._turn = threading.RLock()

    def index(
        self,
        *paths: str | os.PathLike[str],
        backend: str | None,
        on_progress: Callable[[IndexProgress], None],
    ) -> IngestReport:
        """`MiniSearch.index`."""
        if not paths:
            raise InputError("nothing to index: name at least one file or folder")
        if backend is not None:
            load_backend(backend)  # an unknown one shows before anything is done
        started_s = time.perf_counter()
        self._home.must_be_free()
        roots = {real_path(path): os.fspath(path) for path in paths}
        walked = find_files(roots, self._home)
        report = self.take_in(walked, Reader, roots, backend=backend, on_progress=on_progress)
        return replace(report, elapsed_s=time.perf_counter() - started_s)

    def take_in(
        self,
        walked: Walked,
        source: Callable[..., Source],
        roots: Collection[Path],
        *,
        backend: str | None,
        on_progress: Callable[[IndexProgress], None],
    ) -> IngestReport:
        """Bring all that is stored from below the roots up to date with what was walked.

        ``source`` is called as `Reader` is, and makes the documents.
        """
        if not self._home.exists():
            self._encoders.to_index(DEFAULT_MODEL)
        with self._writer(create=True) as store:
            facts = self._settle(store, backend)

            def encoder() -> Encoder:
                load_backend(facts.backend)  # a library that is gone shows before the work, not after
                return self._encoder_of(facts)

            documents = source(
                store.documents(), encoder=encoder, settings=facts.settings, ingest=facts.ingest
            )
            run = Run(store, walked, documents, encoder=encoder, on_progress=on_progress)
            below = {str(root) for root in roots}
            with self._recorded(run, store, roots):
                run.execute()
                run.remove_vanished(self._home, below)
                is_new = self._publish_if_due(store, facts)
                report = run.report()
                is_unmeasured = report.n_encoded and (is_new or calibration.read(store) is None)
                if is_unmeasured or calibration.is_due(store):
                    self._calibrate(store, facts)
            notes = [note for note in store.notes() if self._is_below(note.path, below)]
            return replace(
                report,
                skipped=shown(self._home, report.skipped),
                notes=shown(self._home, notes),
            )

    def remove(self, *paths: str | os.PathLike[str]) -> int:
        """`MiniSearch.remove`."""
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

    def rebuild(self, backend: str | None) -> None:
        """`MiniSearch.rebuild`."""
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
        with self._turn:
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
            encoder = self._encoders.to_index(DEFAULT_MODEL)
            facts = Facts.of(encoder, self._settings or Settings(), backend or DEFAULT_BACKEND)
        if self._encoders.is_asked_for(facts.model):
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

    def _publish_if_due(self, store: Store, facts: Facts) -> bool:
        """Whether a new vector index was due, and is now in use."""
        if not is_due(store, self._home.path, facts.backend):
            return False
        publish_index(store, self._home.path, facts.dimension, facts.backend)
        return True

    def _calibrate(self, store: Store, facts: Facts) -> None:
        """Note what the index says to questions it has no answer for; the model is loaded by now."""
        with store.snapshot():
            index = LiveIndex(self._home.path).current(store, facts.dimension)
            null = calibration.measure(store, index, self._encoder_of(facts))
        calibration.write(store, null)

    def _encoder_of(self, facts: Facts) -> Encoder:
        """The encoder whose vectors the index holds; FingerprintMismatch when another one was asked for."""
        encoder = self._encoders.to_index(facts.model)
        facts.check(encoder, self._home.folder)
        return encoder

    def _is_below(self, key: str, folders: Collection[str]) -> bool:
        return is_below(self._home.absolute(key), folders)


def _counts(report: IngestReport) -> dict[str, int]:
    return {
        "added": report.added,
        "updated": report.updated,
        "unchanged": report.unchanged,
        "removed": report.removed,
        "skipped": len(report.skipped),
    }
