"""Changes to an index: files in, files out, its vectors into another kind of vector index.

Paths come in, a report goes out.  One process changes an index at a time; what a run did, and what it
passed over, is noted in the store.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypedDict

from minisearch.config import DEFAULT_BACKEND, DEFAULT_MODEL, Settings
from minisearch.errors import IndexNotFound, InputError
from minisearch.files.selection import FileChoice
from minisearch.indexing.changes import Reader, passed_over
from minisearch.indexing.choices import (
    chosen,
    keeps_secrets,
    read_choices,
    read_roots,
    told,
    write_choices,
    write_roots,
)
from minisearch.indexing.guard import Shrinking, read_losses, vanished, write_losses
from minisearch.indexing.news import as_before, remarks, told_before
from minisearch.indexing.pipeline import Run, Source, Walked, find_files
from minisearch.indexing.recording import recorded
from minisearch.manifest import Manifest
from minisearch.minilm.catalog import find
from minisearch.minilm.encoders import Encoders
from minisearch.paths import IndexLocation, is_below, real_path
from minisearch.search import confidence
from minisearch.stores.local import Store
from minisearch.stores.local.files import writer_lock
from minisearch.trust import check_roots, write_named
from minisearch.types import Encoder, IndexProgress, IngestReport
from minisearch.vectors import load_backend
from minisearch.vectors.live import LiveIndex, is_due, publish_index


class _Options(TypedDict):
    backend: str | None
    choice: FileChoice | None
    prune: bool
    on_progress: Callable[[IndexProgress], None]


class Writing:
    """What changes the index in one folder: the verbs of `MiniSearch`.  Threads take turns."""

    def __init__(self, location: IndexLocation, encoders: Encoders, settings: Settings | None) -> None:
        self._location = location
        self._encoders = encoders
        self._settings = settings
        self._turn = threading.RLock()

    def index(
        self,
        *paths: str | os.PathLike[str],
        backend: str | None,
        choice: FileChoice | None = None,
        prune: bool = False,
        on_progress: Callable[[IndexProgress], None],
    ) -> IngestReport:
        """`MiniSearch.index`."""
        if not paths:
            raise InputError("nothing to index: name at least one file or folder")
        if backend is not None:
            load_backend(backend)  # an unknown one shows before anything is done
        started_s = time.perf_counter()
        self._location.must_be_free()
        roots = {real_path(path): os.fspath(path) for path in paths}
        options: _Options = {
            "backend": backend,
            "choice": choice,
            "prune": prune,
            "on_progress": on_progress,
        }
        if self._location.exists():
            with self._writer() as store:
                choices = chosen(read_choices(store, self._location), map(str, roots), choice)
                followed = read_roots(store, self._location)
                walked = find_files(roots, self._location, choices, followed=followed)
                self._remember(store, roots)
                report = self._take_in(store, walked, Reader, roots, choices=choices, **options)
        else:
            choices = chosen({}, map(str, roots), choice)
            walked = find_files(roots, self._location, choices)  # one that finds nothing makes no index
            with self._first_writer() as store:
                self._remember(store, roots)
                report = self._take_in(store, walked, Reader, roots, choices=choices, **options)
        return replace(report, elapsed_s=time.perf_counter() - started_s)

    def roots(self) -> list[str]:
        """`MiniSearch.roots`."""
        with self._turn:
            self._location.must_exist()
            with Store(self._location.database) as store:
                roots = read_roots(store, self._location)
                check_roots(store, self._location, roots)
                return roots

    def warm_up(self) -> None:
        """Load the index's model, so that the next run need not."""
        with self._turn:
            self._location.must_exist()
            with Store(self._location.database) as store:
                manifest = Manifest.read(store, self._location.folder)
            self._encoder_of(manifest)

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

        ``source`` is called as `Reader` is, and makes the documents.  However many are gone, they go.
        """
        with self._first_writer() as store:
            self._remember(store, [])
            names = {root: str(root) for root in roots}
            return self._take_in(
                store, walked, source, names, choices={}, backend=backend, prune=True, on_progress=on_progress
            )

    def _take_in(
        self,
        store: Store,
        walked: Walked,
        source: Callable[..., Source],
        roots: Mapping[Path, str],
        *,
        choices: Mapping[str, FileChoice],
        choice: FileChoice | None = None,
        backend: str | None,
        prune: bool,
        on_progress: Callable[[IndexProgress], None],
    ) -> IngestReport:
        below = {str(root) for root in roots}
        stored = store.documents()
        gone = vanished(stored, walked.files, walked.unreadable, self._location, below)
        names = {str(root): name for root, name in roots.items()}
        earlier, before = read_losses(store, self._location), told_before(store)
        shrinking = Shrinking(
            self._location,
            stored,
            walked.files,
            gone,
            names,
            is_pruning=prune,
            earlier=earlier,
            choice=choice,
        )
        shrinking.check_before()
        manifest = self._settle(store, backend)
        write_choices(store, self._location, choices)
        write_roots(store, self._location, [*read_roots(store, self._location), *below])

        def encoder(n_tokens: int) -> Encoder:
            load_backend(manifest.backend)  # a library that is gone shows before the work, not after
            return self._checked(self._encoders.to_add(manifest.model, n_tokens), manifest)

        documents = source(
            stored,
            encoder=partial(encoder, 0),
            settings=manifest.settings,
            ingest=manifest.ingest,
            passed_over=passed_over(store),
        )
        run = Run(store, walked, documents, encoder=encoder, on_progress=on_progress)
        with recorded(run, store, walked, self._location, roots):
            run.execute()
            shrinking.check_after(run.outdated, run.passed_over)
            run.remove([*gone, *run.outdated])
            self._forget_secrets(store, choices, below)
            write_losses(store, shrinking.losses(run.outdated, run.passed_over))
            is_new = self._publish_if_due(store, manifest)
            report = run.report()
            is_unmeasured = report.n_encoded and (is_new or confidence.read_baseline(store) is None)
            if is_unmeasured or confidence.is_baseline_due(store):
                self._calibrate(store, manifest)
        notes = [note for note in store.notes() if self._is_below(note.path, below)]
        in_force = {
            path: one for path, one in choices.items() if is_below(path, below) or _holds_for(path, below)
        }
        known = as_before(before, remarks(report.skipped, notes))
        model = find(manifest.model)
        return replace(
            report,
            as_before=tuple(map(self._location.shown, known)),
            n_in_other_scripts=report.n_in_other_scripts if model and model.is_english else 0,
            skipped=self._location.all_shown(report.skipped),
            notes=self._location.all_shown(notes),
            choices=told(in_force, self._location),
        )

    def remove(self, *paths: str | os.PathLike[str]) -> int:
        """`MiniSearch.remove`."""
        below = {str(real_path(path, must_exist=False)) for path in paths}
        with self._writer() as store:
            manifest = Manifest.read(store, self._location.folder)
            gone = [document.id for key, document in store.documents().items() if self._is_below(key, below)]
            n_forgotten = self._forget(store, below)
            if not gone and not n_forgotten:
                raise InputError(f"nothing in the index is at or below {', '.join(map(str, paths))}")
            store.remove(gone, for_good=True)
            self._publish_if_due(store, manifest)
        return len(gone)

    def rebuild(self, backend: str | None) -> None:
        """`MiniSearch.rebuild`."""
        if backend is not None:
            load_backend(backend)
        with self._writer() as store:
            manifest = Manifest.read(store, self._location.folder)
            manifest = replace(manifest, backend=backend or manifest.backend)
            manifest.write(store)
            publish_index(store, self._location.path, manifest.dimension, manifest.backend)

    @contextmanager
    def _writer(self, *, create: bool = False) -> Iterator[Store]:
        """The store, open for writing, with the writer's lock held."""
        with self._turn:
            if create:
                self._location.create()
            else:
                self._location.must_exist()
            with writer_lock(self._location.path), Store(self._location.database, writable=True) as store:
                yield store

    @contextmanager
    def _first_writer(self) -> Iterator[Store]:
        """The same for an index that may not exist yet: it is made once there is a model for it."""
        if not self._location.exists():
            self._encoders.to_add(DEFAULT_MODEL, 0)
        with self._writer(create=True) as store:
            yield store

    def _remember(self, store: Store, roots: Iterable[Path]) -> None:
        """What the user named, and so may be opened in later runs without being named again."""
        model = self._encoders.model
        folder = [] if model is None or find(model) else [Path(model).expanduser()]
        write_named(store, self._location, [*roots, *folder])

    def _settle(self, store: Store, backend: str | None) -> Manifest:
        """The index's facts: set by its first run, kept to by every later one unless it says otherwise."""
        try:
            manifest = Manifest.read(store, self._location.folder)
        except IndexNotFound:
            encoder = self._encoders.to_add(DEFAULT_MODEL, 0)
            manifest = Manifest.of(encoder, self._settings or Settings(), backend or DEFAULT_BACKEND)
        if self._encoders.is_chosen(manifest.model):
            encoder = self._encoder_of(manifest)  # asked for by name: say now if it is not the index's
            if self._encoders.model is not None:
                manifest = replace(manifest, model=encoder.name)  # where the same weights are now
        if self._settings is not None:
            manifest = manifest.cut_by(self._settings)
        manifest = replace(manifest, backend=backend or manifest.backend)
        manifest.write(store)
        return manifest

    def _forget_secrets(
        self, store: Store, choices: Mapping[str, FileChoice], below: Collection[str]
    ) -> None:
        """Forget what earlier changes kept of files that are screened now, and were not."""

        def keeps(key: str) -> bool:
            path = self._location.absolute(key)
            return keeps_secrets(choices, path) or not is_below(path, below)

        store.forget_secrets(keeps)

    def _forget(self, store: Store, below: Collection[str]) -> int:
        """Forget what was noted, chosen and followed at or below these paths; how many of all."""
        journal = store.journal
        problems = [one.path for one in journal.problems() if self._is_below(one.path, below)]
        left_out = [one.path for one in journal.left_out() if self._is_below(one.path.rstrip("/"), below)]
        choices = read_choices(store, self._location)
        kept = {path: one for path, one in choices.items() if not is_below(path, below)}
        journal.set_problems(problems, [])
        journal.set_left_out(left_out, [])
        write_choices(store, self._location, kept)
        roots = read_roots(store, self._location)
        followed = [root for root in roots if not is_below(root, below)]
        write_roots(store, self._location, followed)
        return len(problems) + len(choices) - len(kept) + len(roots) - len(followed)

    def _publish_if_due(self, store: Store, manifest: Manifest) -> bool:
        """Whether a new vector index was due, and is now in use."""
        if not is_due(store, self._location.path, manifest.backend):
            return False
        publish_index(store, self._location.path, manifest.dimension, manifest.backend)
        return True

    def _calibrate(self, store: Store, manifest: Manifest) -> None:
        """Note what the index says to queries it has no answer for; the model is loaded by now."""
        with store.snapshot():
            index = LiveIndex(self._location.path).current(store, manifest.dimension)
            baseline = confidence.measure_baseline(store, index, self._encoder_of(manifest))
        confidence.write_baseline(store, baseline)

    def _encoder_of(self, manifest: Manifest) -> Encoder:
        """The encoder whose vectors the index holds; FingerprintMismatch when another one was asked for."""
        return self._checked(self._encoders.to_index(manifest.model), manifest)

    def _checked(self, encoder: Encoder, manifest: Manifest) -> Encoder:
        manifest.check(encoder, self._location.folder)
        return encoder

    def _is_below(self, key: str, folders: Collection[str]) -> bool:
        return is_below(self._location.absolute(key), folders)


def _holds_for(path: str, below: Collection[str]) -> bool:
    """Whether a choice for this path holds for any of these roots: it is one of them or above one."""
    return any(is_below(root, {path}) for root in below)
