"""A file or a folder in, the files worth reading out, in the same order every time.

Left aside without a word, though counted: hidden names and what ``.gitignore`` ignores.  Whatever else
cannot be taken is named with its reason: ``Skipped`` is a verdict (the file is no document for us),
``Unreadable`` a doubt (what is below may well still be there, so what is stored of it should be kept).
Only names and sizes are looked at here; the readers open the files.
"""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from minisearch.errors import IngestError
from minisearch.ingest.ignore import Rules, is_ignored, rules_above
from minisearch.types import Skipped

MAX_BYTES = 50_000_000

KINDS = {stat.S_IFIFO: "named pipe", stat.S_IFSOCK: "socket", stat.S_IFCHR: "device", stat.S_IFBLK: "device"}


@dataclass(frozen=True, slots=True)
class Found:
    """A file to read: its path, joined to the root as the root was given, and what ``stat`` says of it."""

    path: str
    size: int
    mtime_ns: int
    ctime_ns: int


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A file or folder that could not be looked into, and why; what lies below it is unknown, not gone."""

    path: str
    reason: str


def walk(
    root: Path, *, max_bytes: int = MAX_BYTES, counts: Counter[str] | None = None
) -> Iterator[Found | Skipped | Unreadable]:
    """The files below a folder, depth-first by the bytes of their names; or the one file given.

    Symbolic links come last: one to a file inside the root is taken unless the file was found under
    another name, none leads out of the root, and linked folders are not entered.  ``counts`` gathers how
    many paths were passed over as "hidden" and "ignored" (a folder counts once).

    Raises IngestError, at the call, when there is nothing at ``root``.
    """
    path = os.fspath(root)
    try:
        status = Path(path).stat()
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:
        raise IngestError(f"there is no file or folder at {path!r}") from error
    except OSError as error:
        return iter([Unreadable(path, _reason(error))])
    if stat.S_ISDIR(status.st_mode):
        return _Walk(path, max_bytes, Counter() if counts is None else counts).run()
    return iter([_judged(path, status, max_bytes)])


Entries = Iterator["os.DirEntry[str]"]


class _Walk:
    """One walk below one folder, and what it has to remember."""

    def __init__(self, root: str, max_bytes: int, counts: Counter[str]) -> None:
        self.root = root
        self.max_bytes = max_bytes
        self.counts = counts
        self.names: dict[tuple[int, int], str] = {}  # (device, inode) -> the path it was found under

    def run(self) -> Iterator[Found | Skipped | Unreadable]:
        links: list[str] = []
        folders: list[tuple[Entries, str, tuple[Rules, ...]]] = []  # open ones: entries left, place, rules
        try:
            place, chain = rules_above(Path(self.root))
            folders.append(_open(self.root, place, chain))
        except OSError as error:
            yield Unreadable(self.root, _reason(error))
        while folders:
            entries, place, chain = folders[-1]
            entry = next(entries, None)
            if entry is None:
                folders.pop()
                continue
            try:
                is_folder = entry.is_dir(follow_symlinks=False)
                if entry.name.startswith("."):
                    self.counts["hidden"] += 1
                elif is_ignored(place + entry.name, chain, is_folder=is_folder):
                    self.counts["ignored"] += 1
                elif is_folder:
                    folders.append(_open(entry.path, f"{place}{entry.name}/", chain))
                elif entry.is_symlink():
                    links.append(entry.path)
                else:
                    yield self._take(entry.path, entry.stat(follow_symlinks=False))
            except OSError as error:
                yield _lost(entry.path, error)
        for link in links:
            yield from self._follow(link)

    def _follow(self, link: str) -> Iterator[Found | Skipped | Unreadable]:
        try:
            target = Path(link).resolve(strict=True)
            status = target.stat()
        except FileNotFoundError:
            yield Skipped(link, "dangling symbolic link")
        except (OSError, RuntimeError) as error:  # a loop is a RuntimeError before Python 3.13
            yield Unreadable(link, f"symbolic link: {_reason(error)}")
        else:
            if not target.is_relative_to(Path(self.root).resolve()):
                yield Skipped(link, f"symbolic link that leads out of the folder, to {target}")
            elif stat.S_ISDIR(status.st_mode):
                yield Skipped(link, f"a linked folder is not followed; this one leads to {target}")
            else:
                yield self._take(link, status)

    def _take(self, path: str, status: os.stat_result) -> Found | Skipped:
        first = self.names.setdefault((status.st_dev, status.st_ino), path)
        if first != path:
            return Skipped(path, f"the same file as {first}")
        return _judged(path, status, self.max_bytes)


def _open(folder: str, place: str, chain: tuple[Rules, ...]) -> tuple[Entries, str, tuple[Rules, ...]]:
    with os.scandir(folder) as scan:
        entries = sorted(scan, key=lambda entry: os.fsencode(entry.name))
    for entry in entries:
        if entry.name == ".gitignore" and entry.is_file(follow_symlinks=False):  # as git: no links, no pipes
            chain = (*chain, Rules(Path(entry.path).read_bytes(), place))
    return iter(entries), place, chain


def _judged(path: str, status: os.stat_result, max_bytes: int) -> Found | Skipped:
    if not stat.S_ISREG(status.st_mode):
        return Skipped(path, f"not a regular file: {KINDS.get(stat.S_IFMT(status.st_mode), 'special file')}")
    if status.st_size > max_bytes:
        return Skipped(path, f"too large: {status.st_size:,} bytes, and the limit is {max_bytes:,}")
    return Found(path, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def _lost(path: str, error: OSError) -> Skipped | Unreadable:
    if isinstance(error, FileNotFoundError):
        return Skipped(path, "vanished while the folder was being read")
    return Unreadable(path, _reason(error))


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
