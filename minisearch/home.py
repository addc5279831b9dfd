"""The folder an index lives in, and the names it gives to files.

A file below the folder that holds the index folder is known by its path relative to that folder, so that a
project can be moved together with its index; any other file by its absolute path.  What a user sees
is that name as it opens from where they are.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from minisearch.errors import IndexNotFound, IndexNotWritable, IngestError
from minisearch.ingest import Found, Unreadable, walk
from minisearch.ingestion import SourceFile
from minisearch.types import Skipped

INDEX_FOLDER = ".minisearch"
DATABASE = "minisearch.db"


@dataclass(frozen=True, slots=True)
class Walked:
    """What a walk found below one root; ``unreadable`` names what may still be there, though unseen."""

    files: list[SourceFile] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)


class Home:
    """An index folder, whether or not it exists yet, at the path by which the user knows it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._real_folder = real_path(folder, must_exist=False)

    @property
    def database(self) -> Path:
        """The store's file."""
        return self.folder / DATABASE

    def exists(self) -> bool:
        """Whether there is an index."""
        return self.database.exists()

    def must_exist(self) -> None:
        """IndexNotFound unless there is an index."""
        if not self.exists():
            raise IndexNotFound(f"there is no index in {self.folder}: make one with: minisearch index FOLDER")

    def create(self) -> None:
        """Make the folder where there is none: for its owner alone, never part of a repository around it."""
        try:
            self.folder.mkdir(mode=0o700, parents=True)
            (self.folder / ".gitignore").write_text("*\n")
        except OSError as error:
            if self.folder.is_dir() and isinstance(error, FileExistsError):
                return
            raise IndexNotWritable(
                f"cannot make the index folder {self.folder} ({error.strerror}): "
                f"choose another one with --index"
            ) from error

    def key(self, path: Path) -> str:
        """The name of a file with this real path."""
        holder = self._real_folder.parent
        return str(path.relative_to(holder) if path.is_relative_to(holder) else path)

    def shown(self, key: str) -> str:
        """The name of a file as it opens from where the user is."""
        return os.path.normpath(self.folder.parent / key)

    def shown_all(self, problems: Iterable[Skipped]) -> tuple[Skipped, ...]:
        """The same files, named for the user."""
        return tuple(Skipped(self.shown(problem.path), problem.reason) for problem in problems)

    def walk(self, root: Path, given: str | os.PathLike[str]) -> Walked:
        """The files below a root, which the user gave as ``given``; IngestError when there are none."""
        walked = Walked()
        for item in walk(root):
            if self._real_folder in Path(item.path).parents:
                continue
            key = self.key(Path(item.path))
            if isinstance(item, Found):
                walked.files.append(SourceFile(key, item))
                continue
            walked.skipped.append(Skipped(key, item.reason))
            if isinstance(item, Unreadable):
                walked.unreadable.append(key)
        if not walked.files:
            seen = "".join(
                f"; {self.shown(problem.path)}: {problem.reason}" for problem in walked.skipped[:1]
            )
            raise IngestError(
                f"no files to index in {os.fspath(given)} (hidden and ignored ones do not count){seen}; "
                f"nothing was changed"
            )
        return walked


def is_below(key: str, folders: Collection[str]) -> bool:
    """Whether a file's name is one of these or lies below one; "." holds every relative name."""
    if ("/" if key.startswith("/") else ".") in folders:
        return True
    while key:
        if key in folders:
            return True
        key = key.rpartition(os.sep)[0]
    return False


def real_path(path: str | os.PathLike[str], *, must_exist: bool = True) -> Path:
    """The absolute path without symbolic links; IngestError when nothing is there."""
    try:
        return Path(path).resolve(strict=must_exist)
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of links, before Python 3.13
        reason = getattr(error, "strerror", None) or str(error)
        raise IngestError(f"cannot index {os.fspath(path)}: {reason}") from error
