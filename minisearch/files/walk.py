"""Walk a folder: a file or a folder goes in, the files to read come out, in the same order every time.

All others come out with a reason.  ``LeftOut`` was left out on purpose (hidden, ignored, not chosen; a folder
counts once and is not entered), ``Skipped`` cannot be a document, ``Unreadable`` could not be examined: files
below it may still exist, so their stored documents should be kept.  Only names and sizes are examined here;
opening the files is left to the parsers.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from minisearch.errors import IngestError
from minisearch.files.scope import GIT_FILE, OWN_FILE, REPOSITORY, Scope, scope_above
from minisearch.files.secrets import is_secret_file
from minisearch.manifest import Choices
from minisearch.types import Skipped

KINDS = {stat.S_IFIFO: "named pipe", stat.S_IFSOCK: "socket", stat.S_IFCHR: "device", stat.S_IFBLK: "device"}


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file to read: its path, which begins with the given root, and its ``stat`` values.

    ``target`` is the target of a symbolic link, "" otherwise.  ``is_named`` if the user named it, by its path
    or by a pattern to include: then it is read whatever it holds.  ``uses_ocr`` if scans in it are read.
    """

    path: str
    size: int
    mtime_ns: int
    ctime_ns: int
    target: str = ""
    keeps_secrets: bool = False
    is_named: bool = False
    uses_ocr: bool = False


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A file or a whole folder that was left out on purpose.

    ``kind`` is "hidden", "ignored", "excluded" or one of `junk`.
    """

    path: str
    reason: str
    kind: str
    is_folder: bool


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A file or folder that could not be read, and why; the files below it are unknown, not deleted."""

    path: str
    reason: str


Item = FoundFile | Skipped | LeftOut | Unreadable


def walk(root: Path, *, choices: Choices | None = None) -> Iterator[Item]:
    """The files below a folder, depth-first by the bytes of their names; or the one file given.

    Symbolic links come last.  A link to a file inside the root is taken, unless the file was found under
    another name.  Links out of the root and links to folders are not followed.  Ignore rules do not apply to
    the root itself.

    Raises IngestError, at the call, if nothing exists at ``root``.
    """
    path = os.fspath(root)
    try:
        status = Path(path).stat()
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:
        raise IngestError(f"there is no file or folder at {path!r}") from error
    except OSError as error:
        return iter([Unreadable(path, _reason(error))])
    if stat.S_ISDIR(status.st_mode):
        return _Walk(path, choices or {}).run()
    return iter([_alone(path, status, choices or {})])


Entries = Iterator["os.DirEntry[str]"]


class _Walk:
    """One walk below one folder, with its state."""

    def __init__(self, root: str, choices: Choices) -> None:
        self.root = root
        self.real_root = str(Path(root).resolve())
        self.choices = choices
        self.names: dict[tuple[int, int], str] = {}  # (device, inode) -> the path it was found under

    def run(self) -> Iterator[Item]:
        links: list[tuple[str, Scope]] = []
        folders: list[tuple[Entries, str, Scope]] = []  # open ones: entries left, absolute path, rules
        try:
            folders.append(self._open(self.root, self.real_root, scope_above(self.real_root, self.choices)))
        except OSError as error:
            yield Unreadable(self.root, _reason(error))
        while folders:
            entries, place, scope = folders[-1]
            entry = next(entries, None)
            if entry is None:
                folders.pop()
                continue
            try:
                is_folder = entry.is_dir(follow_symlinks=False)
                here = f"{place}/{entry.name}" if place != "/" else f"/{entry.name}"
                verdict = scope.verdict(here, entry.name, is_folder=is_folder)
                if verdict.kind:
                    yield LeftOut(entry.path, verdict.reason, verdict.kind, is_folder)
                elif is_folder:
                    folders.append(self._open(entry.path, here, scope.below(verdict)))
                elif entry.is_symlink():
                    links.append((entry.path, scope))
                else:
                    found = self._take(entry.path, entry.stat(follow_symlinks=False), scope)
                    if isinstance(found, FoundFile) and (verdict.is_named or verdict.is_wanted):
                        found = replace(found, is_named=True)
                    yield found
            except OSError as error:
                yield _lost(entry.path, error)
        for link, scope in links:
            yield from self._follow(link, scope)

    def _open(self, folder: str, place: str, scope: Scope) -> tuple[Entries, str, Scope]:
        with os.scandir(folder) as scan:
            entries = sorted(scan, key=lambda entry: os.fsencode(entry.name))
        names = [
            entry.name
            for entry in entries
            if entry.name == REPOSITORY
            or (entry.name in (GIT_FILE, OWN_FILE) and entry.is_file(follow_symlinks=False))
        ]  # as git: no links, no pipes
        if names or place in self.choices:
            shown = place[len(self.real_root) :].lstrip("/")
            scope = scope.inside(place, names, self.choices, shown=f"{shown}/" if shown else "")
        return iter(entries), place, scope

    def _follow(self, link: str, scope: Scope) -> Iterator[Item]:
        try:
            target = Path(link).resolve(strict=True)
            status = target.stat()
        except FileNotFoundError:
            yield Skipped(link, "dangling symbolic link")
        except (OSError, RuntimeError) as error:  # a loop is a RuntimeError before Python 3.13
            yield Unreadable(link, f"symbolic link: {_reason(error)}")
        else:
            if not target.is_relative_to(self.real_root):
                yield Skipped(link, f"symbolic link that leads out of the folder, to {target}")
            elif stat.S_ISDIR(status.st_mode):
                yield Skipped(link, f"a linked folder is not followed; this one leads to {target}")
            else:
                yield self._take(link, status, scope, target=str(target))

    def _take(
        self, path: str, status: os.stat_result, scope: Scope, *, target: str = ""
    ) -> FoundFile | Skipped:
        first = self.names.setdefault((status.st_dev, status.st_ino), path)
        if first != path:
            return Skipped(path, f"the same file as {first}", status.st_size)
        return _judged(path, status, scope, target=target)


def _alone(path: str, status: os.stat_result, choices: Choices) -> FoundFile | Skipped:
    """The result for a file that is itself the root."""
    real = str(Path(path).resolve())
    own_name = str(Path(path).parent.resolve() / Path(path).name)
    scope = scope_above(own_name, choices)
    if own_name in choices:
        scope = scope.chosen(choices[own_name], own_name)
    found = _judged(path, status, scope, target=real if real != own_name else "")
    return replace(found, is_named=True) if isinstance(found, FoundFile) else found


def _judged(path: str, status: os.stat_result, scope: Scope, *, target: str) -> FoundFile | Skipped:
    if not stat.S_ISREG(status.st_mode):
        return Skipped(path, f"not a regular file: {KINDS.get(stat.S_IFMT(status.st_mode), 'special file')}")
    if not scope.keeps_secrets:
        for name in (path, target) if target else (path,):
            if secret := is_secret_file(name.rpartition("/")[2]):
                return Skipped(path, f"screened: {secret}; --keep-secrets takes it", status.st_size)
    if status.st_size > scope.max_bytes:
        reason = (
            f"too large: {status.st_size:,} bytes, and the limit is {scope.max_bytes:,} "
            f"(--max-bytes raises it)"
        )
        return Skipped(path, reason, status.st_size)
    return FoundFile(
        path,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
        target,
        keeps_secrets=scope.keeps_secrets,
        uses_ocr=scope.uses_ocr,
    )


def _lost(path: str, error: OSError) -> Skipped | Unreadable:
    if isinstance(error, FileNotFoundError):
        return Skipped(path, "vanished while the folder was being read")
    return Unreadable(path, _reason(error))


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
