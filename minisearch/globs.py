"""Gitignore patterns: the text of a pattern goes in, a test of paths comes out that agrees with git.

Ignore files, ``--include``, ``--exclude`` and ``--path`` all use it.  Which of several patterns decides is
left to the callers.  git compares bytes: a caller that needs its exact verdict on names beyond ASCII passes
patterns and paths decoded as Latin-1.

Matching takes time that grows with the path, whatever the pattern: between two stars the first match is taken
without backtracking, because the second star can match all that another choice would have left.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import count

from minisearch.errors import InputError
from minisearch.text import visible

MAX_PATTERN_CHARACTERS = 5_000  # no path that Linux opens is longer

SPECIAL = re.compile(r"[*?[\\]")
NO_MATCH = "(?!)"

# POSIX character classes, as git has them: ASCII only.
NAMED_CLASSES = {
    "alnum": "A-Za-z0-9",
    "alpha": "A-Za-z",
    "blank": " \\t",
    "cntrl": "\\x00-\\x1f\\x7f",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": "!-/:-@\\[-`{-~",
    "space": " \\t\\n\\r",
    "upper": "A-Z",
    "xdigit": "0-9A-Fa-f",
}

# Pieces of a pattern that are no regular expressions for one character.
STAR = "*"  # any characters of one name
FOLDERS = "**/"  # any number of folders, or none
ANYTHING = "**"  # any characters, slashes too


@dataclass(frozen=True, slots=True)
class Pattern:
    """One pattern, compiled; paths are relative to the folder it is written for.

    ``is_negated`` when it takes back what an earlier pattern ignores; ``is_name`` when it has no slash, so
    that it matches the last name of a path at any depth; ``is_folder`` when it matches folders only.
    """

    regex: re.Pattern[str]
    is_negated: bool
    is_name: bool
    is_folder: bool


def parse_pattern(line: str) -> Pattern | None:
    """The pattern in one line of an ignore file; None for a comment and for what can match nothing."""
    line = line.partition("\0")[0]
    if line.startswith("#") or len(line) > MAX_PATTERN_CHARACTERS:
        return None
    text = _without_trailing_spaces(line)
    pattern = text.removeprefix("!")
    body = _expression(pattern)
    if body is None:
        return None
    return Pattern(
        re.compile(body, re.DOTALL),
        is_negated=text.startswith("!"),
        is_name=_is_name(pattern),
        is_folder=pattern.endswith("/"),
    )


@lru_cache(maxsize=256)
def glob(pattern: str) -> Callable[[str], bool]:
    """A test of file paths: whether the pattern matches a path, or a folder above it.

    Slashes around the path do not count, nor do normal forms of Unicode.  Raises InputError for a pattern
    that is too long, negated or empty.

    >>> is_guide = glob("guides/*.md")
    >>> is_guide("guides/a.md"), is_guide("old/guides/a.md")
    (True, False)
    """
    if len(pattern) > MAX_PATTERN_CHARACTERS:
        raise InputError(
            f"a path pattern of {len(pattern)} characters: at most {MAX_PATTERN_CHARACTERS} are taken"
        )
    if pattern.startswith("!"):
        raise InputError(
            f"the path pattern {pattern!r} begins with '!': leave it out and negate the condition, "
            f"or write '\\!' for a name that begins so"
        )
    if not pattern.strip("/"):
        raise InputError(
            f"the path pattern {pattern!r} names nothing: expected one such as 'guides/**' or '*.md'"
        )
    is_folder = pattern.endswith("/")
    start = "/" if pattern.startswith("/") else ""
    pattern = start + visible(pattern).strip("/")
    body = _expression(pattern) or NO_MATCH
    above = "(?:.*/)?" if _is_name(pattern) else ""
    below = "/.*" if is_folder else "(?:/.*)?"
    regex = re.compile(f"{above}{body}{below}", re.DOTALL)
    return lambda path: regex.fullmatch(visible(path).strip("/")) is not None


@lru_cache(maxsize=256)
def name_glob(pattern: str) -> Callable[[str], bool]:
    """A test of single names, for a pattern without a slash; normal forms of Unicode do not count."""
    regex = re.compile(_expression(visible(pattern)) or NO_MATCH, re.DOTALL)
    return lambda name: regex.fullmatch(visible(name)) is not None


def _without_trailing_spaces(line: str) -> str:
    """The line without spaces at its end, but for one that is escaped."""
    text = line.rstrip(" ")
    n_backslashes = len(text) - len(text.rstrip("\\"))
    return line[: len(text) + n_backslashes % 2]


def _is_name(pattern: str) -> bool:
    return "/" not in pattern.removesuffix("/")


def _expression(pattern: str) -> str | None:
    """The regular expression of a whole path, or of its last name; None where nothing can match."""
    is_name = _is_name(pattern)
    pattern = pattern.removesuffix("/")
    pieces = _pieces(pattern if is_name else pattern.removeprefix("/"), is_name=is_name)
    if not pieces:
        return None
    numbers = count()

    def final(choice: str) -> str:  # an atomic group, "(?>...)" from Python 3.11 on
        name = f"final_{next(numbers)}"
        return f"(?=(?P<{name}>{choice}))(?P={name})"

    # What stands between two FOLDERS is looked for as a whole, and taken where it is found first.
    parts: list[tuple[str, list[str]]] = [("", [])]
    for piece in pieces:
        if piece in (FOLDERS, ANYTHING):
            parts.append((piece, []))
        else:
            parts[-1][1].append(piece)
    expression = ""
    for number, (gap, part) in enumerate(parts):
        names = _names(part, final)
        if number == len(parts) - 1:
            expression += {"": "", FOLDERS: "(?:.*/)?", ANYTHING: ".*"}[gap] + names
        else:
            shortest = {"": "", FOLDERS: "(?:.*?/)??", ANYTHING: ".*?"}[gap] + names
            expression += final(shortest) if gap else shortest
    return expression


def _names(pieces: list[str], final: Callable[[str], str]) -> str:
    """The expression of pieces of which each star stays within one name."""
    done, since_star = "", None  # what follows the last star of a name
    for piece in [*pieces, ""]:
        if piece not in (STAR, "/", ""):
            if since_star is None:
                done += piece
            else:
                since_star += piece
            continue
        if since_star is not None:
            done += final(f"[^/]*?{since_star}") if piece == STAR else f"[^/]*{since_star}"
        since_star = "" if piece == STAR else None
        done += "/" if piece == "/" else ""
    return done


def _pieces(pattern: str, *, is_name: bool) -> list[str] | None:
    """Regular expressions of one character, "/" and the pieces for stars; None where nothing can match."""
    pieces: list[str] = []
    position = 0
    while position < len(pattern):
        sign = pattern[position]
        position += 1
        if sign == "*":
            piece, position = _star(pattern, position - 1, is_name=is_name)
        elif sign == "?":
            piece = "[^/]"
        elif sign == "[":
            found = _class(pattern, position)
            if found is None:
                return None
            piece, position = found
        else:
            if sign == "\\":
                if position == len(pattern):
                    return None
                sign = pattern[position]
                position += 1
            piece = re.escape(sign)
        if piece != STAR or pieces[-1:] != [STAR]:
            pieces.append(piece)
    return pieces


def _star(pattern: str, start: int, *, is_name: bool) -> tuple[str, int]:
    """The piece of a star, or of several, and the position after it."""
    end = start
    while pattern[end : end + 1] == "*":
        end += 1
    # git matches what stands before the first special character by itself, so that a ``**`` after it begins
    # a pattern: "a**/b" matches "ax/y/b".
    first = SPECIAL.search(pattern)
    is_begin = (first is not None and first.start() == start) or pattern[start - 1] == "/"
    if is_name or end - start == 1 or not is_begin:
        return STAR, end
    if end == len(pattern) or pattern.startswith("\\/", end):
        return ANYTHING, end
    return (FOLDERS, end + 1) if pattern[end] == "/" else (STAR, end)


def _class(pattern: str, position: int) -> tuple[str, int] | None:
    """The expression of a class that begins before ``position``, and the position after it.

    As git reads it: the first sign is never the end, and "[z-a]" matches "z".  None where it has no end.
    """
    is_negated = pattern[position : position + 1] in ("!", "^")
    position += is_negated
    members: list[str] = []
    before = ""  # what a range may begin with
    is_first = True
    while is_first or pattern[position : position + 1] != "]":
        is_first = False
        sign = pattern[position : position + 1]
        following = pattern[position + 1 : position + 2]
        if sign == "[" and following == ":":
            end = pattern.find("]", position + 2)
            if end < 0:
                return None
            if pattern[end - 1] == ":" and end - 1 >= position + 2:
                name = pattern[position + 2 : end - 1]
                if name not in NAMED_CLASSES:
                    return None
                members.append(NAMED_CLASSES[name])
                before, position = "", end + 1
                continue
        is_range = sign == "-" and before != "" and following not in ("", "]")
        position += is_range
        sign = pattern[position : position + 1]
        if sign == "\\":
            position += 1
            sign = pattern[position : position + 1]
        if not sign:
            return None
        position += 1
        if is_range and before <= sign:
            members.append(f"{re.escape(before)}-{re.escape(sign)}")
        elif not is_range:
            members.append(re.escape(sign))
        before = "" if is_range else sign
    inside = "".join(members)
    return f"[^/{inside}]" if is_negated else f"(?!/)[{inside}]", position + 1
