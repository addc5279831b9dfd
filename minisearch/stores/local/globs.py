"""Path patterns, read as .gitignore reads them: a pattern in, a query to a path out.

Matching takes a time that grows with the path, whatever the pattern: between two stars the first place that
fits is the right one, so nothing is ever tried again.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import groupby

from minisearch.errors import InputError

MAX_CHARACTERS = 5_000  # no path that Linux opens is longer

Segments = Sequence[Callable[[str], object]]


@lru_cache(maxsize=256)
def glob(pattern: str) -> Callable[[str], bool]:
    """Whether a path, its folders parted by "/", is one that the pattern names or lies below one."""
    if len(pattern) > MAX_CHARACTERS:
        raise InputError(f"a path pattern of {len(pattern)} characters: at most {MAX_CHARACTERS} are taken")
    if pattern.startswith("!"):
        raise InputError(
            f"the path pattern {pattern!r} begins with '!': leave it out and negate the condition, "
            f"or write '\\!' for a name that begins so"
        )
    names = ["**" if re.fullmatch(r"\*{2,}", name) else name for name in pattern.strip("/").split("/")]
    if names == [""]:
        raise InputError(
            f"the path pattern {pattern!r} names nothing: expected one such as 'guides/**' or '*.md'"
        )
    is_anchored = "/" in pattern.rstrip("/")
    if not is_anchored:
        names = ["**", *names]
    # What stands between two "**" has to be found whole, one part after the other.
    parts = [
        [segment(name) for name in group] for is_star, group in groupby(names, "**".__eq__) if not is_star
    ]
    is_loose = names[0] == "**"
    n_more = pattern.endswith("/") + (names[-1] == "**")

    def matches(path: str) -> bool:
        segments = path.strip("/").split("/")
        position = 0
        for number, part in enumerate(parts):
            last = len(segments) - len(part) if number or is_loose else 0
            while position <= last and not _fits(part, segments, position):
                position += 1
            if position > last or position + len(part) > len(segments):
                return False
            position += len(part)
        return position + n_more <= len(segments)

    return matches


def path_matches(pattern: bytes, path: object) -> bool:
    """For SQL: whether a stored path matches a pattern (UTF-8, half characters allowed).

    With "//" in front a pattern is of absolute paths only, with "/" of none of them.
    """
    name = _name(path)
    if pattern.startswith(b"/") and pattern.startswith(b"//") != name.startswith("/"):
        return False
    return glob(pattern.decode("utf-8", "surrogatepass"))(name)


def path_ends(suffix: bytes, path: object) -> bool:
    """For SQL: whether the file name of a stored path ends so, in whatever case."""
    name = _name(path).rpartition("/")[2]
    return name.casefold().endswith(suffix.decode("utf-8", "surrogatepass").casefold())


def _name(stored: object) -> str:
    """A path as Python has it; "" for what is none, as whoever reads that row will say."""
    return os.fsdecode(stored) if isinstance(stored, bytes | str) else ""


def _fits(part: Segments, segments: list[str], position: int) -> bool:
    return all(match(segments[position + i]) for i, match in enumerate(part) if position + i < len(segments))


def segment(name: str) -> Callable[[str], object]:
    """A query to one name of a path."""
    fixed = ["".join(_characters(part)) for part in _between_stars(name)]
    if len(fixed) == 1:
        return re.compile(fixed[0], re.DOTALL).fullmatch
    first, *middle, last = fixed
    # (?=(?P<g>.*?x))(?P=g) takes the first x and never another, as fnmatch does: no time is lost in retrying.
    steps = [f"(?=(?P<g{i}>.*?{part}))(?P=g{i})" for i, part in enumerate(middle) if part]
    return re.compile(f"{first}{''.join(steps)}.*{last}", re.DOTALL).fullmatch


def _between_stars(name: str) -> list[list[str]]:
    """The signs of a name (a character, an escaped one, a class), cut at the stars."""
    parts: list[list[str]] = [[]]
    for sign in re.findall(r"\\.|\[[!^]?(?:\\.|[^\\])[^\]\\]*(?:\\.[^\]\\]*)*\]|.", name, re.DOTALL):
        if sign == "*":
            parts.append([])
        else:
            parts[-1].append(sign)
    return parts


def _characters(signs: list[str]) -> list[str]:
    return [_character(sign) for sign in signs]


def _character(sign: str) -> str:
    if sign == "?":
        return "."
    if sign.startswith("[") and len(sign) > 1:
        return _class(sign[1:-1])
    return re.escape(sign[1:] if len(sign) == 2 else sign)


def _class(inside: str) -> str:
    """A character class; an impossible range matches nothing, as in git."""
    is_negated = len(inside) > 1 and inside[0] in "!^"
    characters = re.findall(r"\\.|.", inside[is_negated:], re.DOTALL)
    ranges = []
    while characters:
        start = characters.pop(0)[-1]
        end = start
        if len(characters) > 1 and characters[0] == "-":
            end = characters[1][-1]
            del characters[:2]
        if start <= end:
            ranges.append(f"{re.escape(start)}-{re.escape(end)}")
    if not ranges:
        return "." if is_negated else "(?!)"
    return f"[{'^' if is_negated else ''}{''.join(ranges)}]"
