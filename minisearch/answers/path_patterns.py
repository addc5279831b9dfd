"""Path patterns as users write them, made patterns of the names that files are stored by.

A filter and the index's home come in, the same filter with other `Path` conditions goes out.  A user means a
place on the disk, seen from where they are; the store knows files below the folder that holds the index by
their path from there, and any other file by its absolute path.
"""

from __future__ import annotations

import re
from pathlib import Path

from minisearch import filters
from minisearch.home import Home
from minisearch.storage.globs import segment

MOST_NESTED = 30  # deeper than any filter that the store takes

Names = list[str]


def as_stored(where: filters.Filter, home: Home, depth: int = 0) -> filters.Filter:
    """The filter with its path patterns, which are of paths as shown, made patterns of stored names."""
    if depth > MOST_NESTED:  # the store says what is wrong with it
        return where
    match where:
        case filters.Path(pattern):
            conditions = tuple(map(filters.Path, _stored(pattern, home)))
            return conditions[0] if len(conditions) == 1 else filters.Or(conditions)
        case filters.And() | filters.Or():
            return type(where)(tuple(as_stored(part, home, depth + 1) for part in filters.flat(where)))
        case filters.Not(filters.Not(part)):
            return as_stored(part, home, depth + 1)
        case filters.Not(part):
            return filters.Not(as_stored(part, home, depth + 1))
    return where


def _stored(pattern: str, home: Home) -> list[str]:
    """Patterns of stored names, one of which matches where the user's does.

    One without a slash, but at its end, is of a name at any depth and stays as it is; any other is of one
    place.  With "/" in front that is a place on the disk, or as in a .gitignore, where it does not lead to
    the folder that holds the index, one in that folder.
    """
    names = pattern.rstrip("/").split("/")
    is_name = len(names) == 1 and names[0] not in {".", ".."}
    is_anywhere = names[0] == "**" and home.folder.is_absolute()  # and so are the paths that are shown
    if pattern.startswith("!") or is_name or is_anywhere:
        return [pattern]
    holder = list(home.path.parent.parts[1:])
    place = _place(names, holder if home.folder.is_absolute() else list(Path.cwd().parts[1:]))
    end = "/" * pattern.endswith("/")
    found = ["/" + "/".join(rest) + end for rest in _rests(place, holder)]
    if not found and pattern.startswith("/"):
        found.append("/" + "/".join(place) + end)
    if place[: len(holder)] != list(map(_escaped, holder)):
        found.append("//" + "/".join(place) + end)
    return found


def _place(names: Names, here: Names) -> Names:
    """A pattern's names from the root of the disk on, for one that is written in the folder ``here``."""
    place = [] if names[0] == "" else list(map(_escaped, here))  # folders' names are no patterns
    for name in names:
        if name == "..":
            del place[-1:]
        elif name not in {"", "."}:
            place.append(name)
    return place or ["**"]


def _rests(place: Names, holder: Names) -> list[Names]:
    """What is left of a pattern below a folder, once for every way in which it leads there."""
    ways = [place]
    for name in holder:
        onwards: list[Names] = []
        for way in ways:
            while way[0] == "**" and len(way) > 1:  # which may stand for this folder, or for none
                onwards.append(way)
                way = way[1:]
            if way == ["**"] or segment(way[0])(name):
                onwards.append(way[1:] or ["**"])
        ways = [way for number, way in enumerate(onwards) if way not in onwards[:number]]
    return ways


def _escaped(name: str) -> str:
    return re.sub(r"([\\*?\[])", r"\\\1", name)
