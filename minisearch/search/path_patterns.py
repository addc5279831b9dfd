"""Path patterns as users write them, made patterns of the names that files are stored by.

A filter and the index's home come in, the same filter with other `Path` conditions goes out.  A user means a
place on the disk, seen from where they are; the store knows files below the folder that holds the index by
their path from there, and any other file by its absolute path.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

from minisearch import filters
from minisearch.errors import IngestError
from minisearch.globs import MAX_PATTERN_CHARACTERS, name_glob
from minisearch.paths import IndexLocation, real_path
from minisearch.stores.local.filters import condition

MANY = re.compile(r"\*{2,}")
MOST_NESTED = 30  # deeper than any filter that the store takes

Names = list[str]


def as_stored(where: filters.Filter, location: IndexLocation, depth: int = 0) -> filters.Filter:
    """The filter with its path patterns, which are of paths as shown, made patterns of stored names."""
    if depth > MOST_NESTED:  # the store says what is wrong with it
        return where
    match where:
        case filters.Path(pattern):
            conditions = tuple(map(filters.Path, _stored(pattern, location)))
            return conditions[0] if len(conditions) == 1 else filters.Or(conditions)
        case filters.And() | filters.Or():
            return type(where)(tuple(as_stored(part, location, depth + 1) for part in filters.flat(where)))
        case filters.Not(filters.Not(part)):
            return as_stored(part, location, depth + 1)
        case filters.Not(part):
            return filters.Not(as_stored(part, location, depth + 1))
    return where


def check(where: filters.Filter) -> None:
    """InputError for a filter that the store would refuse."""
    condition(where)


def _stored(pattern: str, location: IndexLocation) -> list[str]:
    """Patterns of stored names, one of which matches where the user's does.

    One without a slash, but at its end, is of a name at any depth and stays as it is; any other is of one
    place.  With "/" in front that is a place on the disk, or as in a .gitignore, where it does not lead to
    the folder that holds the index, one in that folder.
    """
    names = pattern.rstrip("/").split("/")
    is_name = len(names) == 1 and names[0] not in {".", ".."}
    is_anywhere = names[0] == "**" and location.folder.is_absolute()  # and so are the paths that are shown
    if pattern.startswith("!") or len(pattern) > MAX_PATTERN_CHARACTERS or is_name or is_anywhere:
        return [pattern]
    end = "/" * pattern.endswith("/")
    holder = list(location.path.parent.parts[1:])
    found = []
    for place in _places(names, location):
        below = ["/" + "/".join(rest) + end for rest in _rests(place, holder)]
        if not below and pattern.startswith("/"):
            below.append("/" + "/".join(place) + end)
        if place[: len(holder)] != list(map(_escaped, holder)):
            below.append("//" + "/".join(place) + end)
        found += below
    return list(dict.fromkeys(found))


def _places(names: Names, location: IndexLocation) -> Iterator[Names]:
    """The places on the disk that a pattern may be of, as names from its root on.

    Of an index named by an absolute path the pattern may be seen from its folder, too: the paths shown are no
    guide to where they begin.  Symbolic links are followed, as `index` does with the folders it is given.
    """
    folders = []
    with contextlib.suppress(FileNotFoundError):  # the current folder has been deleted
        folders.append(Path.cwd() if names[0] else Path("/"))
    if names[0] and location.folder.is_absolute():
        folders.append(location.path.parent)
    for folder in dict.fromkeys(folders):
        place = _place(names, list(folder.parts[1:]))
        yield place
        if (real := _without_links(place)) != place:
            yield real


def _place(names: Names, here: Names) -> Names:
    """A pattern's names from the root of the disk on, for one that is written in the folder ``here``."""
    place = list(map(_escaped, here))  # folders' names are no patterns
    for name in names:
        if name == "..":
            del place[-1:]
        elif name not in {"", "."} and not (place[-1:] == ["**"] and MANY.fullmatch(name)):
            place.append("**" if MANY.fullmatch(name) else name)
    return place or ["**"]


def _without_links(place: Names) -> Names:
    """The place with the names before its first star as they really are."""
    fixed = list(takewhile(lambda name: _escaped(_plain(name)) == name, place))
    try:
        real = real_path("/" + "/".join(map(_plain, fixed)), must_exist=False)
    except IngestError:  # a loop of links, or nothing that could be a path
        return place
    return [*map(_escaped, real.parts[1:]), *place[len(fixed) :]]


def _rests(place: Names, holder: Names) -> Iterator[Names]:
    """What is left of a pattern below a folder, once for every way in which it leads there."""
    ways, end = [0], len(place)  # how many names of the pattern each has come
    for name in holder:
        onwards: list[int] = []
        for way in ways:
            if (
                place[way : way + 1] == ["**"] and way + 1 < end
            ):  # which may stand for this folder, or for none
                onwards.append(way)
                way += 1
            if way == end or place[way] == "**" or name_glob(place[way])(name):
                onwards.append(min(way + 1, end))
        ways = list(dict.fromkeys(onwards))
    return (place[way:] or ["**"] for way in ways)


def _escaped(name: str) -> str:
    return re.sub(r"([\\*?\[])", r"\\\1", name)


def _plain(name: str) -> str:
    return re.sub(r"\\(.)", r"\1", name)
