"""What an index remembers of what it was made of: the folders and files that were named, and their choices.

So a later run can take the same ones, without being told again.  They are among the index's facts, under
the names that the store has for them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict

from minisearch.errors import IndexCorrupt, InputError
from minisearch.files.selection import FileChoice
from minisearch.paths import IndexLocation, is_below
from minisearch.stores.local import LocalStore
from minisearch.types import Note

FACT = "choices"
ROOTS = "roots"


def read_choices(store: LocalStore, location: IndexLocation) -> dict[str, FileChoice]:
    """What was chosen, by the absolute paths of folders and files."""
    stored = store.meta().get(FACT, "{}")
    try:
        return {location.absolute(key): FileChoice(**choice) for key, choice in json.loads(stored).items()}
    except (ValueError, TypeError, AttributeError, RecursionError, InputError) as error:
        raise IndexCorrupt(
            f"the index in {location.folder} is damaged (its {FACT}: {error}): index again"
        ) from error


def write_choices(store: LocalStore, location: IndexLocation, choices: Mapping[str, FileChoice]) -> None:
    """Remember these instead."""
    known = {location.key_of(path): asdict(choice) for path, choice in sorted(choices.items())}
    said = json.dumps(known)
    if store.meta().get(FACT, "{}") != said:
        store.set_meta(**{FACT: said})


def read_roots(store: LocalStore, location: IndexLocation) -> list[str]:
    """The folders and files that the index follows, by their absolute paths, in order."""
    stored = store.meta().get(ROOTS, "[]")
    try:
        return [location.absolute(key) for key in json.loads(stored)]
    except (ValueError, TypeError, RecursionError) as error:
        raise IndexCorrupt(
            f"the index in {location.folder} is damaged (its {ROOTS}: {error}): index again"
        ) from error


def write_roots(store: LocalStore, location: IndexLocation, roots: Iterable[str]) -> None:
    """Remember these instead; one below another goes without saying."""
    named = set(roots)
    tops = [root for root in named if not is_below(os.path.dirname(root), named - {root})]  # noqa: PTH120
    said = json.dumps(sorted(map(location.key_of, tops)))
    if store.meta().get(ROOTS, "[]") != said:
        store.set_meta(**{ROOTS: said})


def chosen(
    earlier: Mapping[str, FileChoice], roots: Iterable[str], choice: FileChoice | None
) -> dict[str, FileChoice]:
    """The choices with a new one for these roots; what it leaves open stays as it was."""
    merged = dict(earlier)
    if choice is not None:
        merged |= {root: choice.over(merged.get(root, FileChoice())) for root in roots}
    return {path: one for path, one in merged.items() if one != FileChoice()}


def keeps_secrets(choices: Mapping[str, FileChoice], path: str) -> bool:
    """Whether secrets are kept in a file at an absolute path: what was chosen nearest to it counts."""
    said = [
        (len(folder), one.keep_secrets)
        for folder, one in choices.items()
        if one.keep_secrets is not None and is_below(path, {folder})
    ]
    return bool(said and max(said)[1])


def told(choices: Mapping[str, FileChoice], location: IndexLocation) -> tuple[Note, ...]:
    """Each choice in words, under the path the user knows."""
    return tuple(
        Note(location.shown(location.key_of(path)), str(one)) for path, one in sorted(choices.items())
    )
