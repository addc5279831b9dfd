"""Plan a run: paths go in, a `Plan` of what there is to do comes out.

`index` executes a plan, `preview` lists it; here nothing is written and no model is loaded.  The plan says
which files there are and which documents are gone.  What a new or changed file holds shows only when it is
read: `changes` reads it, and a `Tally` collects what came of each file, in a run and in a preview alike.
"""

from __future__ import annotations

import os
import shlex
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from minisearch.errors import IndexNotFound, IngestError, InputError, ShrinkRefused
from minisearch.files.scope import Scope
from minisearch.files.walk import Found, LeftOut, Unreadable, walk
from minisearch.indexing.changes import (
    CutDocument,
    DocumentCutter,
    PassedOver,
    ReadDocument,
    Reader,
    Unchanged,
    passed_over,
)
from minisearch.indexing.guard import RemovalGuard, vanished
from minisearch.manifest import Choices, FileChoice, Manifest, Settings, with_choice
from minisearch.paths import IndexLocation, is_below, quoted, real_path
from minisearch.stores.base import FileStamp, SkipStamp, StoredDocument
from minisearch.stores.local import LocalStore
from minisearch.types import Encoder, Note, Skipped


@dataclass(frozen=True, slots=True)
class FoundFiles:
    """What a walk found below some roots, by the names the store knows files by.

    ``unreadable`` are absolute paths: what is below them was not seen, and may still be there.
    """

    files: dict[str, Found] = field(default_factory=dict)
    skipped: dict[str, Skipped] = field(default_factory=dict)
    left_out: dict[str, LeftOut] = field(default_factory=dict)
    unreadable: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run over some roots has to do, before any file is read.

    ``roots`` are absolute paths, with the user's names for them; ``gone`` are the documents whose files have
    vanished, ``passed_over`` the files that gave no text before.
    """

    roots: Mapping[str, str]
    choices: Choices
    found: FoundFiles
    stored: Mapping[str, StoredDocument]
    passed_over: Mapping[str, PassedOver]
    gone: Sequence[str]
    guard: RemovalGuard


def make_plan(
    location: IndexLocation,
    paths: Collection[str | os.PathLike[str]],
    *,
    store: LocalStore | None,
    choice: FileChoice | None,
    prune: bool,
) -> Plan:
    """The plan of a run over these paths; ``store`` is None where there is no index yet.

    Raises InputError for no path, IngestError for one that is not there or has no files.
    """
    if not paths:
        raise InputError("nothing to index: name at least one file or folder")
    roots = {str(real_path(path)): os.fspath(path) for path in paths}
    choices: Choices = {}
    followed: list[str] = []
    if store is not None and (manifest := manifest_of(store, location)):
        choices, followed = manifest.choice_paths(location), manifest.root_paths(location)
    choices = with_choice(choices, roots, choice)
    found = find_files(roots, location, choices, followed=followed)
    return plan_for(found, location, roots, store=store, choices=choices, choice=choice, prune=prune)


def plan_for(
    found: FoundFiles,
    location: IndexLocation,
    roots: Mapping[str, str],
    *,
    store: LocalStore | None,
    choices: Choices | None = None,
    choice: FileChoice | None = None,
    prune: bool,
) -> Plan:
    """The plan of a run over files that are already found."""
    stored = store.documents() if store else {}
    gone = vanished(stored, found.files, found.unreadable, location, roots)
    guard = RemovalGuard(location, roots, stored, found.files, gone, prune=prune, choice=choice)
    return Plan(roots, choices or {}, found, stored, passed_over(store) if store else {}, gone, guard)


def manifest_of(store: LocalStore, location: IndexLocation) -> Manifest | None:
    """The manifest of an index; None where its first run has not written it yet."""
    try:
        return Manifest.read(store, location.folder)
    except IndexNotFound:
        return None


def choice_notes(choices: Choices, location: IndexLocation) -> tuple[Note, ...]:
    """Each choice in words, under the path the user knows."""
    return tuple(
        Note(location.shown(location.key_of(path)), str(one)) for path, one in sorted(choices.items())
    )


class Tally:
    """What came of each file of a plan so far: lists of stored names, the reason for each skipped file.

    ``outdated`` are documents whose files have no text any more, ``without_text`` all files without text;
    ``stamps`` let the next run skip the same files unread.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self.added: list[str] = []
        self.updated: list[str] = []
        self.unchanged: list[str] = []
        self.outdated: list[str] = []
        self.without_text: set[str] = set()
        self.skipped = dict(plan.found.skipped)
        # Sizes only: the walk reports these again.
        self.stamps = {key: _size_stamp(one.n_bytes) for key, one in plan.found.skipped.items()}

    def add(self, outcome: Unchanged | PassedOver | ReadDocument | CutDocument) -> None:
        """Count what came of one file."""
        path = outcome.path
        if isinstance(outcome, PassedOver):
            size = self._plan.found.files[path].size
            self.skipped[path] = Skipped(path, outcome.reason, size)
            self.stamps[path] = outcome.stamp or _size_stamp(size)
            self.without_text.add(path)
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
    roots: Mapping[str, str], location: IndexLocation, choices: Choices, *, followed: Iterable[str] = ()
) -> FoundFiles:
    """The files below every root (absolute path: the user's name); IngestError where one has none.

    ``followed`` are the absolute paths of the index's roots.
    """
    found = FoundFiles()
    own = str(location.path)
    for root, given in roots.items():
        items = [item for item in walk(Path(root), choices=choices) if not is_at_or_below(item.path, own)]
        if not any(isinstance(item, Found) for item in items):
            problem = next((item for item in items if isinstance(item, Skipped | Unreadable)), None)
            why = f"; {problem.path}: {problem.reason}" if problem else ""
            message = f"no files to index in {given} (hidden and ignored ones do not count{why})"
            if patterns := _excluding_patterns(root, items, choices):
                message = (
                    f"no files to index in {given}: {patterns} leaves none of its files; nothing was changed"
                )
            elif any(is_below(root, {one}) or is_below(one, {root}) for one in followed):
                message += (
                    "; nothing was changed. To remove what was indexed from there: "
                    f"minisearch remove {quoted(given)}{location.option}"
                )
            raise IngestError(message)
        for item in items:
            key = location.key_of(item.path)
            match item:
                case Found():
                    found.files[key] = item
                case LeftOut():
                    found.left_out[key] = item
                case _:
                    found.skipped[key] = Skipped(key, item.reason, getattr(item, "n_bytes", 0))
                    if isinstance(item, Unreadable):
                        found.unreadable.add(item.path)
    _settle_overlaps(found, list(roots))
    return found


def _excluding_patterns(root: str, items: Iterable[object], choices: Choices) -> str:
    """The patterns that excluded files of a root, as options, and how to give several; "" for none."""
    if not any(isinstance(item, LeftOut) and item.kind == "excluded" for item in items):
        return ""
    given = [
        (f"--{name}", pattern)
        for path, one in choices.items()
        if is_below(root, {path})
        for name, patterns in (("include", one.include), ("exclude", one.exclude))
        for pattern in patterns or ()
    ]
    each = [(name, one) for name, pattern in given for one in pattern.split(",") if "," in pattern]
    cure = f" (a pattern each: {_options(each)})" if each else ""
    return f"{_options(given)}{cure}" if given else ""


def _options(given: Iterable[tuple[str, str]]) -> str:
    return " ".join(f"{name} {shlex.quote(pattern)}" for name, pattern in given)


def _settle_overlaps(found: FoundFiles, roots: Sequence[str]) -> None:
    """Take what one root leaves out and another one names."""
    if len(roots) == 1:
        return
    for key in found.files:
        found.skipped.pop(key, None)
    named = [
        key for key, one in found.left_out.items() if any(is_at_or_below(root, one.path) for root in roots)
    ]
    for key in named:
        del found.left_out[key]


def is_at_or_below(path: str, folder: str) -> bool:
    """Whether an absolute path is this folder or is below it."""
    return path.startswith(folder) and (len(path) == len(folder) or path[len(folder)] == "/" or folder == "/")


def n_left_out(found: FoundFiles) -> Counter[str]:
    """How many files and folders were left out as "hidden", "ignored" and "excluded"."""
    return Counter(one.kind for one in found.left_out.values())


# --- preview -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Preview:
    """What a run over the same paths would do: the files, by the paths the user knows.

    ``refusal`` is the error that the run would end with, "" where it would not.
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
    with ExitStack() as stack:
        store = manifest = None
        if location.exists():
            store = stack.enter_context(LocalStore(location.database))
            stack.enter_context(store.snapshot())
            manifest = Manifest.read(store, location.folder)
            manifest = manifest if settings is None else manifest.cut_by(settings)
        plan = make_plan(location, paths, store=store, choice=choice, prune=prune)
    cutter = DocumentCutter(_no_encoder, settings or Settings(), "")
    if manifest is not None:
        cutter = DocumentCutter(_no_encoder, manifest.settings, manifest.ingest)
    reader, tally = Reader(plan.stored, cutter, plan.passed_over), Tally(plan)
    for key, found in plan.found.files.items():
        tally.add(reader.read(key, found))

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
            for key, one in sorted(plan.found.left_out.items())
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
    raise AssertionError("a preview cuts nothing")
