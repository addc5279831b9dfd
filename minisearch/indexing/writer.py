"""Write to an index: paths or documents go in; documents are added, updated, removed; a report comes out.

Only one process at a time writes to an index.  The store records each run and the files that it skipped.
"""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from minisearch.errors import InputError
from minisearch.files.walk import FoundFile
from minisearch.indexing.changes import DocumentSplitter, Reader
from minisearch.indexing.memory import MemorySource, as_files, text_documents
from minisearch.indexing.pipeline import DocumentSource, Run
from minisearch.indexing.plan import (
    FoundFiles,
    IndexState,
    Plan,
    choice_notes,
    make_plan,
    manifest_of,
    plan_for,
)
from minisearch.manifest import (
    DEFAULT_BACKEND,
    DEFAULT_MODEL,
    FileChoice,
    Manifest,
    Settings,
    keeps_secrets,
)
from minisearch.minilm.catalog import find
from minisearch.minilm.encoders import Encoders
from minisearch.paths import (
    MAX_PATHS_SHOWN,
    IndexLocation,
    check_roots,
    is_below,
    is_from_memory,
    memory_key,
    real_path,
    with_trusted,
)
from minisearch.search import confidence
from minisearch.stores import check_backend, open_store, open_to_write
from minisearch.stores.base import Store, StoredDocument
from minisearch.threads import Turn
from minisearch.types import Encoder, IngestReport, Note, OnProgress, RunOutcome, Skipped, TextDocuments

MakeSource = Callable[[Mapping[str, StoredDocument], DocumentSplitter], DocumentSource]


class IndexWriter:
    """The methods of `MiniSearch` that change the index in one folder.  Threads take turns."""

    def __init__(self, location: IndexLocation, encoders: Encoders, settings: Settings | None) -> None:
        self._location = location
        self._encoders = encoders
        self._settings = settings
        self._turn = Turn()

    def index(
        self,
        *paths: str | os.PathLike[str],
        backend: str | None,
        choice: FileChoice | None = None,
        prune: bool = False,
        on_progress: OnProgress,
    ) -> IngestReport:
        """`MiniSearch.index`."""
        if backend is not None:
            check_backend(backend)  # an unknown backend fails before any work
        started_s = time.perf_counter()
        self._location.must_be_free()
        plan = None
        if not self._location.exists():  # no index is created if there are no files
            plan = make_plan(self._location, paths, IndexState(), choice=choice, prune=prune)
        with self._writer(create=True) as store:
            # Another process may have made the index while this one waited for the lock.
            state = IndexState.of(store, self._location)
            if plan is None or state.manifest:
                plan = make_plan(self._location, paths, state, choice=choice, prune=prune)

            read_files = partial(Reader, skipped_before=plan.skipped_before)
            report = self._execute(
                store, plan, read_files, backend=backend, named=plan.roots, on_progress=on_progress
            )
        return replace(report, elapsed_s=time.perf_counter() - started_s)

    def index_source(
        self,
        files: dict[str, FoundFile],
        make_source: MakeSource,
        *,
        keeps_others: bool = False,
        is_update: bool = False,
        on_progress: OnProgress,
    ) -> IngestReport:
        """Index documents that are not files, and remove all others unless ``keeps_others``.

        ``files`` lists the documents; ``make_source`` creates the source from the stored documents and a
        splitter.  Raises InputError for an ``is_update`` of documents that the index does not have.
        """
        started_s = time.perf_counter()
        with self._writer(create=not is_update) as store:
            state = IndexState.of(store, self._location)
            if is_update:
                self._check_known(files, state)
            choices = state.manifest.choice_paths(self._location) if state.manifest else {}
            roots = {} if keeps_others else {key: key for key in ("/", *state.documents)}
            plan = plan_for(FoundFiles(files), self._location, roots, state, choices=choices, prune=True)
            report = self._execute(store, plan, make_source, backend=None, named=(), on_progress=on_progress)
        return replace(report, elapsed_s=time.perf_counter() - started_s)

    def add(
        self,
        documents: TextDocuments,
        *,
        keep_secrets: bool,
        is_update: bool = False,
        on_progress: OnProgress = None,
    ) -> IngestReport:
        """`MiniSearch.add`, or `MiniSearch.update`."""
        given = text_documents(documents)
        if not given:
            return IngestReport()
        return self.index_source(
            as_files(given, keep_secrets=keep_secrets),
            partial(MemorySource, documents=given),
            keeps_others=True,
            is_update=is_update,
            on_progress=on_progress,
        )

    def roots(self) -> list[str]:
        """`MiniSearch.roots`."""
        with self._turn:
            manifest = self._manifest()
            roots = manifest.root_paths(self._location) if manifest else []
            if manifest:
                check_roots(manifest.trusted, self._location, roots)
            return roots

    def warm_up(self) -> None:
        """Load the model of the index before it is needed."""
        with self._turn:
            if manifest := self._manifest():
                self._encoder_of(manifest)

    def remove(self, *paths: str | os.PathLike[str]) -> int:
        """`MiniSearch.remove`."""
        with self._writer() as store:
            manifest, stored = Manifest.read(store, self._location.folder), store.documents()
            known = {*stored, *(one.path for one in store.journal.skipped())}
            below = {self._named(path, known) for path in paths}
            gone = [document.id for key, document in stored.items() if self._is_below(key, below)]
            n_forgotten = self._forget(store, manifest, below)
            if not gone and not n_forgotten:
                raise InputError(f"nothing in the index is at or below {', '.join(map(str, paths))}")
            store.remove(gone, for_good=True)
            store.index.publish_if_due(manifest.backend, manifest.dimension)
        return len(gone)

    def rebuild(self, backend: str | None) -> None:
        """`MiniSearch.rebuild`."""
        if backend is not None:
            check_backend(backend)
        with self._writer() as store:
            manifest = Manifest.read(store, self._location.folder)
            manifest = replace(manifest, backend=backend or manifest.backend)
            manifest.write(store)
            store.index.publish(manifest.backend, manifest.dimension)

    # --- a run -------------------------------------------------------------------------------------

    def _execute(
        self,
        store: Store,
        plan: Plan,
        make_source: MakeSource,
        *,
        backend: str | None,
        named: Collection[str],
        on_progress: OnProgress,
    ) -> IngestReport:
        """Execute a plan; the paths that the user ``named`` become trusted for later runs."""
        plan.guard.check_before()
        before = _previous_messages(store)
        manifest = self._updated_manifest(store, plan, backend, named)

        def encoder_for(n_tokens: int) -> Encoder:
            check_backend(manifest.backend)  # a missing library fails before the work, not after
            encoder = self._encoders.to_add(manifest.model, n_tokens)
            manifest.check(encoder, self._location.folder)
            return encoder

        splitter = DocumentSplitter(partial(encoder_for, 0), manifest.settings, manifest.ingest)
        run = Run(
            store,
            plan,
            make_source(plan.stored, splitter),
            dimension=manifest.dimension,
            encoder=encoder_for,
            on_progress=on_progress,
        )
        with self._recorded(store, run, plan):
            run.execute()
            plan.guard.check_after(run.tally.outdated, run.tally.without_text)
            run.remove([*plan.gone, *run.tally.outdated])
            self._forget_secrets(store, plan)
            if is_new := store.index.is_due(manifest.backend):
                run.report_progress("building the vector index")
                store.index.publish(manifest.backend, manifest.dimension)
            is_outgrown = manifest.is_baseline_outgrown(store.counts()[0])
            if manifest.is_baseline_due or (run.report().n_encoded and (is_new or is_outgrown)):
                self._measure_baseline(store, manifest)
        return self._report(store, run, plan, manifest, before)

    def _report(
        self, store: Store, run: Run, plan: Plan, manifest: Manifest, before: Mapping[str, set[str]]
    ) -> IngestReport:
        report = run.report()
        files = plan.found_files.files
        notes = [
            note for note in store.notes() if note.path in files or self._is_below(note.path, plan.roots)
        ]
        messages = _messages(report.skipped, notes)
        repeated = sorted(path for path, texts in messages.items() if before.get(path) == texts)
        in_force = {
            path: one
            for path, one in plan.choices.items()
            if is_below(path, plan.roots) or any(is_below(root, {path}) for root in plan.roots)
        }
        model = find(manifest.model)
        return replace(
            report,
            as_before=tuple(map(self._location.shown, repeated)),
            n_in_other_scripts=report.n_in_other_scripts if model and model.is_english else 0,
            skipped=self._location.all_shown(report.skipped),
            notes=self._location.all_shown(notes),
            choices=choice_notes(in_force, self._location),
        )

    def _updated_manifest(
        self, store: Store, plan: Plan, backend: str | None, named: Collection[str]
    ) -> Manifest:
        """Write and return the manifest: that of the index, with the options of this run."""
        manifest = manifest_of(store, self._location)
        if manifest is None:
            encoder = self._encoders.to_add(DEFAULT_MODEL, 0)
            manifest = Manifest.of(encoder, self._settings or Settings(), backend or DEFAULT_BACKEND)
        if self._encoders.is_chosen(manifest.model):
            encoder = self._encoder_of(manifest)  # refused if it is not the model of the index
            if self._encoders.model is not None:
                manifest = replace(manifest, model=encoder.name)  # the current place of the same weights
        if self._settings is not None:
            manifest = manifest.with_settings(self._settings)
        model = self._encoders.model
        folders = [] if model is None or find(model) else [Path(model).expanduser()]
        manifest = replace(
            manifest,
            backend=backend or manifest.backend,
            trusted=with_trusted(manifest.trusted, self._location, [*named, *folders]),
        )
        manifest = manifest.with_choices(plan.choices, self._location)
        manifest = manifest.with_roots([*manifest.root_paths(self._location), *plan.roots], self._location)
        manifest.write(store)
        return manifest

    @contextmanager
    def _recorded(self, store: Store, run: Run, plan: Plan) -> Iterator[None]:
        """Record the start and the end of a run, also when it fails."""
        run_id = store.journal.start_run(list(map(self._location.key_of, plan.roots)))
        store.begin_change(run_id)
        outcome: RunOutcome = "failed"
        try:
            yield
            outcome = "complete"
        except (KeyboardInterrupt, SystemExit):
            outcome = "interrupted"
            raise
        finally:
            report = run.report()
            if outcome == "complete":
                self._record_files(store, run, plan)
            counts = {name: getattr(report, name) for name in ("added", "updated", "unchanged", "removed")}
            store.journal.finish_run(run_id, outcome, counts | {"skipped": len(report.skipped)})

    def _record_files(self, store: Store, run: Run, plan: Plan) -> None:
        """Record the files that the run skipped and left out, in place of earlier records below its roots."""
        journal = store.journal
        left_out = [
            Skipped(key + "/" * one.is_folder, one.reason) for key, one in plan.found_files.left_out.items()
        ]
        outdated = [*plan.found_files.files, *self._paths_below(journal.skipped(), plan.roots)]
        journal.set_skipped(outdated, run.tally.skipped.values(), run.tally.stamps)
        journal.set_left_out(self._paths_below(journal.left_out(), plan.roots), left_out)

    def _forget_secrets(self, store: Store, plan: Plan) -> None:
        """Delete earlier versions of files that are screened for secrets now, but were not before."""
        files = plan.found_files.files

        def keeps(key: str) -> bool:
            if is_from_memory(key):
                return key not in files or files[key].keeps_secrets
            path = self._location.absolute(key)
            return keeps_secrets(plan.choices, path) or not is_below(path, plan.roots)

        store.forget_secrets(keeps)

    def _measure_baseline(self, store: Store, manifest: Manifest) -> None:
        """Measure the score baseline; the model is already loaded."""
        with store.snapshot() as snapshot:
            baseline = confidence.measure_baseline(snapshot, self._encoder_of(manifest))
        manifest.with_baseline(baseline).write(store)

    # --- parts of several methods ------------------------------------------------------------------

    @contextmanager
    def _writer(self, *, create: bool = False) -> Iterator[Store]:
        """The store, open for writing; a missing index is created if there is a model for it."""
        with self._turn:
            if not create:
                self._location.must_exist()
            elif not self._location.exists():
                self._encoders.to_add(DEFAULT_MODEL, 0)
                self._location.create()
            with open_to_write(self._location) as store:
                yield store

    def _manifest(self) -> Manifest | None:
        self._location.must_exist()
        with open_store(self._location) as store:
            return manifest_of(store, self._location)

    def _forget(self, store: Store, manifest: Manifest, below: Collection[str]) -> int:
        """Delete the records, choices and roots at or below these paths; returns their number."""
        journal = store.journal
        skipped = self._paths_below(journal.skipped(), below)
        choices, roots = manifest.choice_paths(self._location), manifest.root_paths(self._location)
        remaining = {path: one for path, one in choices.items() if not is_below(path, below)}
        remaining_roots = [root for root in roots if not is_below(root, below)]
        journal.set_skipped(skipped, [])
        journal.set_left_out(self._paths_below(journal.left_out(), below), [])
        manifest.with_choices(remaining, self._location).with_roots(remaining_roots, self._location).write(
            store
        )
        return len(skipped) + len(choices) - len(remaining) + len(roots) - len(remaining_roots)

    def _encoder_of(self, manifest: Manifest) -> Encoder:
        """The encoder of the index; FingerprintMismatch if the user chose a different one."""
        encoder = self._encoders.to_index(manifest.model)
        manifest.check(encoder, self._location.folder)
        return encoder

    def _check_known(self, files: Mapping[str, FoundFile], state: IndexState) -> None:
        """InputError if the index lacks one of these documents."""
        missing = [repr(file.path) for key, file in files.items() if key not in state.documents]
        if missing:
            shown = ", ".join(missing[:MAX_PATHS_SHOWN]) + " ..." * (len(missing) > MAX_PATHS_SHOWN)
            raise InputError(f"the index has no document {shown}: add new documents with add")

    def _named(self, path: str | os.PathLike[str], known: Collection[str]) -> str:
        """The stored name of a document, given by it or by its id; of anything else the absolute path."""
        if isinstance(path, str):
            if (key := memory_key(path)) in known:
                return key
            if is_from_memory(path):
                return path
        return str(real_path(path, must_exist=False))

    def _paths_below(self, recorded: Iterable[Skipped], folders: Collection[str]) -> list[str]:
        return [one.path for one in recorded if self._is_below(one.path.rstrip("/"), folders)]

    def _is_below(self, key: str, folders: Collection[str]) -> bool:
        return is_below(self._location.absolute(key), folders)


def _messages(skipped: Iterable[Skipped], notes: Iterable[Note]) -> dict[str, set[str]]:
    """All messages about each file: why it was skipped, and the notes on it."""
    texts = defaultdict(set)
    for one in skipped:
        texts[one.path].add(one.reason)
    for note in notes:
        texts[note.path].add(note.text)
    return texts


def _previous_messages(store: Store) -> dict[str, set[str]]:
    """The messages of the last run; none if it was interrupted, because it did not show them."""
    last = store.journal.last_run()
    if last is None or last.outcome != "complete":
        return {}
    return _messages(store.journal.skipped(), store.notes())
