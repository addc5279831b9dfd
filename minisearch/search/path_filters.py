"""Path filters: patterns as the user writes them become patterns of stored paths.

A filter and the location of the index go in, the same filter with other `Path` conditions comes out.  The
user's patterns start at the current folder or at the root of the disk.  The index stores the path of a file
relative to the folder that contains the index folder, or the absolute path if the file is elsewhere.  `globs`
matches patterns; the store applies the filter.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path

from minisearch import filters
from minisearch.errors import IngestError
from minisearch.globs import MAX_PATTERN_CHARACTERS, name_glob
from minisearch.paths import IndexLocation, memory_key, real_path

MAX_NESTED = 30  # deeper than any filter that the store accepts

Names = list[str]  # of a path or a pattern, from the root of the disk on


def with_stored_paths(where: filters.Filter, location: IndexLocation, depth: int = 0) -> filters.Filter:
    """The filter with patterns of stored paths."""
    if depth > MAX_NESTED:  # the store refuses it with a message
        return where
    match where:
        case filters.StoredPath():
            return where
        case filters.Path(pattern):
            conditions = tuple(map(filters.StoredPath, _stored_patterns(pattern, location)))
            return conditions[0] if len(conditions) == 1 else filters.Or(conditions)
        case filters.And() | filters.Or():
            parts = (with_stored_paths(part, location, depth + 1) for part in filters.flat(where))
            return type(where)(tuple(parts))
        case filters.Not(filters.Not(part)):
            return with_stored_paths(part, location, depth + 1)
        case filters.Not(part):
            return filters.Not(with_stored_paths(part, location, depth + 1))
    return where


def check(where: filters.Filter) -> None:
    """InputError for a filter that the store would refuse."""
    from minisearch.stores import check_filter  # all of the storage

    check_filter(where)


def _stored_patterns(pattern: str, location: IndexLocation) -> list[str]:
    """Patterns of stored paths, one of which matches if the user's pattern does.

    They begin with "/" for files below the folder that holds the index, with "//" for all others, and with
    "///" for documents from memory, whose ids the pattern must match as it is.  A pattern that matches at any
    depth is unchanged.
    """
    names = pattern.rstrip("/").split("/")
    is_name = len(names) == 1 and names[0] not in {".", ".."}
    is_at_any_depth = names[0] == "**" and location.folder.is_absolute()
    is_refused = pattern.startswith("!") or len(pattern) > MAX_PATTERN_CHARACTERS
    if is_name or is_at_any_depth or is_refused:
        return [pattern]
    holder = location.path.parent
    end = "/" if pattern.endswith("/") else ""
    found = []
    for absolute in _absolute_patterns(names, holder if location.folder.is_absolute() else None):
        below = _rests_below(absolute, holder.parts[1:])
        if not below and pattern.startswith("/"):  # then it starts at the folder that holds the index
            below = [absolute]
        found += [f"/{'/'.join(rest)}{end}" for rest in below]
        found.append(f"//{'/'.join(absolute)}{end}")
    return list(dict.fromkeys([*found, memory_key(f"/{pattern}")]))


def _absolute_patterns(names: Names, holder: Path | None) -> list[Names]:
    """The pattern from the root of the disk on, as written and with symbolic links resolved.

    A relative pattern starts at the current folder, and also at ``holder`` if there is one: that of an index
    named by an absolute path, whose results have absolute paths.
    """
    folders = []
    with contextlib.suppress(FileNotFoundError):  # the current folder has been deleted
        folders.append(Path.cwd() if names[0] else Path("/"))
    if names[0] and holder is not None:
        folders.append(holder)
    found = []
    for folder in folders:
        absolute = _joined(folder, names)
        found += [absolute, _without_links(absolute)]
    return found


def _joined(folder: Path, names: Names) -> Names:
    joined = [_escaped(name) for name in folder.parts[1:]]
    for name in names:
        name = re.sub(r"\A\*{2,}\Z", "**", name)
        if name == "..":
            del joined[-1:]
        elif name not in {"", "."} and not (name == "**" and joined[-1:] == ["**"]):
            joined.append(name)
    return joined or ["**"]


def _without_links(names: Names) -> Names:
    """The pattern with the real path of the names before its first wildcard."""
    fixed = list(takewhile(lambda name: _escaped(_unescaped(name)) == name, names))
    try:
        real = real_path("/" + "/".join(map(_unescaped, fixed)), must_exist=False)
    except IngestError:  # a loop of links, or not a path
        return names
    return [*map(_escaped, real.parts[1:]), *names[len(fixed) :]]


def _rests_below(pattern: Names, folder: Sequence[str]) -> list[Names]:
    """What is left of a pattern below a folder, for each way in which it matches the folder."""
    n_matched = {0}  # names of the pattern
    for name in folder:
        following = set()
        for n in n_matched:
            if pattern[n : n + 1] == ["**"] and n + 1 < len(pattern):
                following.add(n)  # it matches this folder and maybe more
                n += 1
            if n == len(pattern) or pattern[n] == "**" or name_glob(pattern[n])(name):
                following.add(min(n + 1, len(pattern)))
        n_matched = following
    return [pattern[n:] or ["**"] for n in sorted(n_matched)]


def _escaped(name: str) -> str:
    return re.sub(r"([\\*?\[])", r"\\\1", name)


def _unescaped(name: str) -> str:
    return re.sub(r"\\(.)", r"\1", name)
