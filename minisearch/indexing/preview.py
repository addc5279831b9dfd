"""What a run would do, without doing it: nothing is written, no model is loaded.

Paths come in, lists of files go out.  New and changed files are read, since only that shows whether there is
text in them, but they are not cut.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from minisearch.config import Settings
from minisearch.errors import InputError, ShrinkRefused
from minisearch.files.scope import Scope
from minisearch.files.selection import FileChoice
from minisearch.indexing.changes import PassedOver, Reader, Unchanged, passed_over
from minisearch.indexing.choices import chosen, read_choices, read_roots, told
from minisearch.indexing.guard import Losses, Shrinking, read_losses, vanished
from minisearch.indexing.pipeline import Walked, find_files
from minisearch.manifest import Manifest
from minisearch.paths import IndexLocation, real_path
from minisearch.stores.local import LocalStore
from minisearch.types import Encoder, Note, Skipped


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
    paths: tuple[str | os.PathLike[str], ...],
    *,
    settings: Settings | None = None,
    choice: FileChoice | None = None,
    prune: bool = False,
) -> Preview:
    """`MiniSearch.preview`."""
    if not paths:
        raise InputError("nothing to index: name at least one file or folder")
    location.must_be_free()
    roots = {real_path(path): os.fspath(path) for path in paths}
    if not location.exists():
        choices = chosen({}, map(str, roots), choice)
        reader = Reader({}, _no_encoder, Settings(), "")
        walked = find_files(roots, location, choices)
        return _preview(location, roots, reader, choices, walked, choice=choice, prune=prune, earlier=None)
    with LocalStore(location.database) as store, store.snapshot():
        manifest = Manifest.read(store, location.folder)
        manifest = manifest if settings is None else manifest.cut_by(settings)
        stored = store.documents()
        reader = Reader(
            stored, _no_encoder, manifest.settings, manifest.ingest, passed_over=passed_over(store)
        )
        choices = chosen(read_choices(store, location), map(str, roots), choice)
        earlier, followed = read_losses(store, location), read_roots(store, location)
    walked = find_files(roots, location, choices, followed=followed)
    return _preview(location, roots, reader, choices, walked, choice=choice, prune=prune, earlier=earlier)


def check_choice(choice: FileChoice) -> None:
    """InputError for a pattern that names nothing."""
    Scope().chosen(choice, "/")


def _preview(
    location: IndexLocation,
    roots: Mapping[Path, str],
    reader: Reader,
    choices: Mapping[str, FileChoice],
    walked: Walked,
    *,
    choice: FileChoice | None,
    prune: bool,
    earlier: Losses | None,
) -> Preview:
    names = {str(root): name for root, name in roots.items()}
    gone = vanished(reader.stored, walked.files, walked.unreadable, location, names)
    shrinking = Shrinking(
        location, reader.stored, walked.files, gone, names, is_pruning=prune, earlier=earlier, choice=choice
    )
    lists: dict[str, list[str]] = {"added": [], "updated": [], "unchanged": [], "removed": []}
    skipped = dict(walked.skipped)
    passed_over = set()
    for key, found in walked.files.items():
        outcome = reader.read(key, found)
        if isinstance(outcome, PassedOver):
            passed_over.add(key)
            skipped[key] = Skipped(key, outcome.reason, found.size)
            if outcome.is_outdated:
                lists["removed"].append(key)
        elif isinstance(outcome, Unchanged):
            lists["unchanged"].append(key)
        else:
            lists["updated" if key in reader.stored else "added"].append(key)
    refusal = _refusal(shrinking, lists["removed"], passed_over)
    lists["removed"] += gone
    return Preview(
        **{name: tuple(map(location.shown, sorted(keys))) for name, keys in lists.items()},
        skipped=tuple(
            Skipped(location.shown(one.path), one.reason, one.n_bytes) for _, one in sorted(skipped.items())
        ),
        left_out=tuple(
            Skipped(location.shown(key) + "/" * one.is_folder, one.reason)
            for key, one in sorted(walked.left_out.items())
        ),
        choices=told(choices, location),
        refusal=refusal,
    )


def _refusal(shrinking: Shrinking, outdated: Collection[str], passed_over: Collection[str]) -> str:
    try:
        shrinking.check_before()
        shrinking.check_after(outdated, passed_over)
    except ShrinkRefused as error:
        return str(error)
    return ""


def _no_encoder() -> Encoder:
    raise AssertionError("a preview cuts nothing")
