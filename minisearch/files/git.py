"""The files of ignore patterns that git reads beside ``.gitignore``.

The top folder of a repository goes in, paths come out: that of ``core.excludesFile`` and of ``info/exclude``.
The setting is looked up where git does: in the files of the system, the user and the repository, and in those
that they include (``include.path``, ``includeIf "gitdir:..."``); the last value counts.  git is not run.

This is the only module of `files` that reads the environment, for it says where git's settings are.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from minisearch.errors import InputError
from minisearch.globs import glob

# A comment, the name of a section, or a setting; a value may be quoted or continued after "\" at the end.
ENTRY = re.compile(
    r"""\s*(?: [#;][^\n]*
      | \[[ \t]*(?P<section>[\w.-]+)(?:[ \t]+"(?P<part>(?:[^"\\\n]|\\[^\n])*)")?[ \t]*\]
      | (?P<name>[A-Za-z][\w-]*)[ \t]*
        (?:=(?P<value>(?:"(?:[^"\\\n]|\\\r?\n|\\[^\n])*"|\\\r?\n|\\[^\n]|[^"\\\n#;])*))?(?:[#;][^\n]*)?(?=\n|\Z)
    )""",
    re.VERBOSE,
)
VALUE_PIECE = re.compile(r'(?P<quote>")|\\(?:(?P<end>\r?\n)|(?P<escaped>.))|(?P<words>[^"\\]+)')
ESCAPES = {"n": "\n", "t": "\t", "b": "\b"}


def pattern_files(top: str) -> list[str]:
    """The regular files whose patterns hold in a whole repository, the weakest first."""
    git_folder = _named_in(f"{top}/.git", "gitdir: ") or f"{top}/.git"
    shared = _named_in(f"{git_folder}/commondir") or git_folder
    own = _path(os.environ.get("XDG_CONFIG_HOME") or "~/.config", top)
    of_user = os.environ.get("GIT_CONFIG_GLOBAL")
    files = [] if os.environ.get("GIT_CONFIG_NOSYSTEM") else ["/etc/gitconfig"]
    files += [f"{own}/git/config", _path("~/.gitconfig", top)] if of_user is None else [of_user]
    excludes = f"{own}/git/ignore"
    for file in (*files, f"{shared}/config"):
        for value in _values(file, git_folder, set()):
            excludes = _path(value, top) if value else ""
    return [file for file in (excludes, f"{shared}/info/exclude") if _is_file(file)]


def _is_file(path: str) -> bool:
    return os.path.isfile(path)  # noqa: PTH113 - False where it may not look


def _path(path: str, base: str) -> str:
    return str(Path(base, os.path.expanduser(path)))  # noqa: PTH111 - as it is where there is no home


def _named_in(file: str, before: str = "") -> str:
    """The path in a file that consists of one; "" where there is no such file."""
    if not _is_file(file):
        return ""
    path = os.fsdecode(Path(file).read_bytes()).strip().removeprefix(before)
    return os.path.normpath(Path(file).parent / path)


def _values(file: str, git_folder: str, seen: set[str]) -> Iterator[str]:
    """The values of core.excludesFile in a file and in those that it includes, each once, in order."""
    if file in seen or not _is_file(file) or not os.access(file, os.R_OK):
        return
    seen.add(file)
    folder = str(Path(file).parent)
    text = os.fsdecode(Path(file).read_bytes().removeprefix(b"\xef\xbb\xbf"))
    section, part, position = "", "", 0
    while found := ENTRY.match(text, position):
        position = found.end()
        if found["section"]:
            section, part = found["section"].lower(), found["part"] or ""
        setting = f"{section}.{found['name'].lower()}" if found["name"] else ""
        value = _plain(found["value"] or "")
        if setting == "core.excludesfile" and not part:
            yield value
        elif setting == "include.path" or (setting == "includeif.path" and _holds(part, folder, git_folder)):
            yield from _values(_path(value, folder), git_folder, seen)


def _plain(value: str) -> str:
    """A value without quotes, escapes and the white space around it."""
    text, n_kept, is_quoted = "", 0, False
    for piece in VALUE_PIECE.finditer(value.lstrip(" \t")):
        if piece["quote"]:
            is_quoted = not is_quoted
        elif piece["escaped"]:
            text += ESCAPES.get(piece["escaped"], piece["escaped"])
        else:
            text += piece["words"] or ""
        if is_quoted or not piece["words"]:
            n_kept = len(text)
    return text[:n_kept] + text[n_kept:].rstrip()


def _holds(condition: str, folder: str, git_folder: str) -> bool:
    """Whether a condition of includeIf is about this repository; those about branches never hold."""
    kind, _, pattern = condition.partition(":")
    if kind not in ("gitdir", "gitdir/i"):
        return False
    names = pattern.rstrip("/")
    is_anchored = pattern.startswith(("~/", "/", "./"))
    pattern = (_path(names, folder) if is_anchored else f"**/{names}") + "/**" * pattern.endswith("/")
    if kind == "gitdir/i":
        pattern, git_folder = pattern.lower(), git_folder.lower()
    try:
        return glob(pattern)(git_folder)
    except InputError:  # too long
        return False
