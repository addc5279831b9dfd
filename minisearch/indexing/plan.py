"""Plan a run: paths go in, a `Plan` with the files found and the documents to remove comes out.

`index` executes a plan, `preview` lists it; this module writes nothing and loads no model.  Reading the files
is left to `changes`.  A `Tally` collects the outcome of each file, in a run and in a preview.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from minisearch.errors import IndexNotFound, IngestError, InputError, ShrinkRefused
from minisearch.files.scope import Scope
from minisearch.files.walk import FoundFile, LeftOut, Unreadable, walk
from minisearch.indexing.changes import (
    ChunkedDocument,
    DocumentSplitter,
    ReadDocument,
    Reader,
    SkippedFile,
    Unchanged,
)
from minisearch.indexing.guard import RemovalGuard, vanished
from minisearch.manifest import Choices, FileChoice, HasMeta, Manifest, Settings, with_choice
from minisearch.parsers.scans import ocr_problem
from minisearch.paths import IndexLocation, is_below, quoted, real_path
from minisearch.stores import open_store
from minisearch.stores.base import FileStamp, SkipStamp, Snapshot, StoredDocument
from minisearch.types import Encoder, Note, Skipped


@dataclass(frozen=True, slots=True)
class FoundFiles:
    """The files and folders found below some roots, by their stored paths.

    ``unreadable`` are absolute paths; the files below them could not be listed, and may still exist.
    """

    files: dict[str, FoundFile] = field(default_factory=dict)
    skipped: dict[str, Skipped] = field(default_factory=dict)
    left_out: dict[str, LeftOut] = field(default_factory=dict)
    unreadable: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class IndexState:
    """What an index holds before a run; by default nothing, as if there is none."""

    manifest: Manifest | None = None
    documents: Mapping[str, StoredDocument] = field(default_factory=dict)
    skipped: Mapping[str, SkippedFile] = field(default_factory=dict)

    @classmethod
    def of(cls, snapshot: Snapshot, location: IndexLocation) -> IndexState:
        """The state of the index."""
        stamps = snapshot.journal.skip_stamps()
        skipped = {
            one.path: SkippedFile(one.path, one.reason, is_outdated=False, stamp=stamps.get(one.path))
            for one in snapshot.journal.skipped()
        }
        return cls(manifest_of(snapshot, location), snapshot.documents(), skipped)


@dataclass(frozen=True, slots=True)
class Plan:
    """The work of a run over some roots, before any file is read.

    ``roots`` maps absolute paths to the paths that the user gave.  ``gone`` are the documents whose files no
    longer exist, ``skipped_before`` the files that earlier runs skipped.
    """

    roots: Mapping[str, str]
    choices: Choices
    found_files: FoundFiles
    stored: Mapping[str, StoredDocument]
    skipped_before: Mapping[str, SkippedFile]
    gone: Sequence[str]
    guard: RemovalGuard


def make_plan(
    location: IndexLocation,
    paths: Collection[str | os.PathLike[str]],
    state: IndexState,
    *,
    choice: FileChoice | None,
    prune: bool,
) -> Plan:
    """The plan of a run over these paths.

    Raises InputError without a path, or without what ``choice.ocr`` needs; IngestError for a path that does
    not exist or has no files.
    """
    if not paths:
        raise InputError("nothing to index: name at least one file or folder")
    roots = {str(real_path(path)): os.fspath(path) for path in paths}
    manifest = state.manifest
    if choice and choice.ocr and (problem := ocr_problem()):
        raise InputError(problem)
    choices = with_choice(manifest.choice_paths(location) if manifest else {}, roots, choice)
    found_files = find_files(
        roots, location, choices, indexed_roots=manifest.root_paths(location) if manifest else ()
    )
    return plan_for(found_files, location, roots, state, choices=choices, choice=choice, prune=prune)


def plan_for(
    found_files: FoundFiles,
    location: IndexLocation,
    roots: Mapping[str, str],
    state: IndexState,
    *,
    choices: Choices | None = None,
    choice: FileChoice | None = None,
    prune: bool,
) -> Plan:
    """The plan of a run over files that are already found."""
    stored = state.documents
    gone = vanished(stored, found_files.files, found_files.unreadable, location, roots)
    guard = RemovalGuard(location, roots, stored, found_files.files, gone, prune=prune, choice=choice)
    return Plan(roots, choices or {}, found_files, stored, state.skipped, gone, guard)


def manifest_of(snapshot: HasMeta, location: IndexLocation) -> Manifest | None:
    """The manifest of an index; None if its first run has not written it yet."""
    try:
        return Manifest.read(snapshot, location.folder)
    except IndexNotFound:
        return None


def choice_notes(choices: Choices, location: IndexLocation) -> tuple[Note, ...]:
    """Each choice in words, with the path that the user sees."""
    return tuple(
        Note(location.shown(location.key_of(path)), str(one)) for path, one in sorted(choices.items())
    )


class Tally:
    """The outcome of each file of a plan so far: stored paths, and the reason for each skipped file.

    ``outdated`` are documents whose files no longer have text, ``without_text`` all files that were read and
    have none.  With ``stamps`` the next run can skip the same files without reading them.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self.added: list[str] = []
        self.updated: list[str] = []
        self.unchanged: list[str] = []
        self.outdated: list[str] = []
        self.without_text: set[str] = set()
        self.n_failed = 0
        self.skipped = dict(plan.found_files.skipped)
        # Only the size is stored: the next walk will report these files again.
        self.stamps = {key: _size_stamp(one.n_bytes) for key, one in plan.found_files.skipped.items()}

    def add(self, outcome: Unchanged | SkippedFile | ReadDocument | ChunkedDocument) -> None:
        """Count the outcome of one file."""
        path = outcome.path
        if isinstance(outcome, SkippedFile):
            size = self._plan.found_files.files[path].size
            self.skipped[path] = Skipped(path, outcome.reason, size)
            self.stamps[path] = outcome.stamp or _size_stamp(size)
            self.without_text.add(path)
            self.n_failed += outcome.is_failure
            if outcome.is_outdated:
                self.outdated.append(path)
        elif isinstance(outcome, Unchanged):
            self.unchanged.append(path)
        elif path in self._plan.stored:
            self.updated.append(path)
        else:
            self.added.append(path)

    def all_skipped(self) -> list[Skipped]:
        """The skipped files, in the order of their names."""
        return [one for _, one in sorted(self.skipped.items())]


def _size_stamp(n_bytes: int) -> SkipStamp:
    return SkipStamp(FileStamp(n_bytes, 0, 0, 0), "")


# --- finding files -------------------------------------------------------------------------------------


def find_files(
    roots: Mapping[str, str], location: IndexLocation, choices: Choices, *, indexed_roots: Iterable[str] = ()
) -> FoundFiles:
    """The files below all roots (absolute path: the user's path); IngestError for a root without files.

    ``indexed_roots`` are the absolute paths of the roots in the index.
    """
    found_files = FoundFiles()
    own = str(location.path)
    for root, given in roots.items():
        items = [item for item in walk(Path(root), choices=choices) if not is_below(item.path, {own})]
        if not any(isinstance(item, FoundFile) for item in items):
            problem = next((item for item in items if isinstance(item, Skipped | Unreadable)), None)
            why = f"; {problem.path}: {problem.reason}" if problem else ""
            message = f"no files to index in {given} (hidden and ignored ones do not count{why})"
            if patterns := _excluding_patterns(root, items, choices):
                message = (
                    f"no files to index in {given}: {patterns} excludes every file in it; nothing was changed"
                )
            elif any(is_below(root, {one}) or is_below(one, {root}) for one in indexed_roots):
                message += (
                    "; nothing was changed. To remove its documents from the index: "
                    f"minisearch remove {quoted(given)}{location.option}"
                )
            raise IngestError(message)
        for item in items:
            key = location.key_of(item.path)
            match item:
                case FoundFile():
                    earlier = found_files.files.get(key)
                    found_files.files[key] = earlier if earlier and earlier.is_named else item
                case LeftOut():
                    found_files.left_out[key] = item
                case _:
                    found_files.skipped[key] = Skipped(key, item.reason, getattr(item, "n_bytes", 0))
                    if isinstance(item, Unreadable):
                        found_files.unreadable.add(item.path)
    _resolve_overlaps(found_files, list(roots))
    return found_files


def _excluding_patterns(root: str, items: Iterable[object], choices: Choices) -> str:
    """The options that excluded files of a root, with a hint on commas; "" for none."""
    if not any(isinstance(item, LeftOut) and item.kind == "excluded" for item in items):
        return ""
    options = "".join(one.options() for path, one in choices.items() if is_below(root, {path})).strip()
    return options + " (commas do not separate patterns: repeat the option)" * ("," in options)


def _resolve_overlaps(found_files: FoundFiles, roots: Sequence[str]) -> None:
    """A file that one root excludes is still indexed if the user also named it as a root."""
    if len(roots) == 1:
        return
    for key in found_files.files:
        found_files.skipped.pop(key, None)
    named = [
        key for key, one in found_files.left_out.items() if any(is_below(root, {one.path}) for root in roots)
    ]
    for key in named:
        del found_files.left_out[key]


# --- preview -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Preview:
    """What a run over the same paths would do with each file, by the path that the user sees.

    ``refusal`` is the error with which the run would refuse, or "".
    """

    added: tuple[str, ...]
    updated: tuple[str, ...]
    unchanged: tuple[str, ...]
    removed: tuple[str, ...]
    skipped: tuple[Skipped, ...]
    left_out: tuple[Skipped, ...]
    choices: tuple[Note, ...] = ()
    refusal: str = ""


def preview(
    location: IndexLocation,
    paths: Collection[str | os.PathLike[str]],
    *,
    settings: Settings | None = None,
    choice: FileChoice | None = None,
    prune: bool = False,
) -> Preview:
    """`MiniSearch.preview`."""
    location.must_be_free()
    state, ingest = IndexState(), ""
    if location.exists():
        with open_store(location) as store, store.snapshot() as snapshot:
            manifest = Manifest.read(snapshot, location.folder)
            ingest = (manifest if settings is None else manifest.with_settings(settings)).ingest
            state = IndexState.of(snapshot, location)
    plan = make_plan(location, paths, state, choice=choice, prune=prune)
    splitter = DocumentSplitter(_no_encoder, Settings(), ingest)  # it splits nothing
    reader, tally = Reader(plan.stored, splitter, plan.skipped_before), Tally(plan)
    for key, file in plan.found_files.files.items():
        tally.add(reader.read(key, file))

    def shown(keys: Iterable[str]) -> tuple[str, ...]:
        return tuple(map(location.shown, sorted(keys)))

    return Preview(
        added=shown(tally.added),
        updated=shown(tally.updated),
        unchanged=shown(tally.unchanged),
        removed=shown([*tally.outdated, *plan.gone]),
        skipped=location.all_shown(tally.all_skipped()),
        left_out=tuple(
            Skipped(location.shown(key) + "/" * one.is_folder, one.reason)
            for key, one in sorted(plan.found_files.left_out.items())
        ),
        choices=choice_notes(plan.choices, location),
        refusal=_refusal(plan.guard, tally),
    )


def check_choice(choice: FileChoice) -> None:
    """InputError for a pattern that matches nothing."""
    Scope().chosen(choice, "/")


def _refusal(guard: RemovalGuard, tally: Tally) -> str:
    try:
        guard.check_before()
        guard.check_after(tally.outdated, tally.without_text)
    except ShrinkRefused as error:
        return str(error)
    return ""


def _no_encoder() -> Encoder:
    raise AssertionError("a preview splits nothing")
