"""The folder an index lives in, and the names by which files are stored and shown.

A file below the folder that holds the index folder is stored under its path relative to that folder, so that
a project can be moved together with its index; any other file under its absolute path.  What a user
sees is a path that opens from where they are.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shlex
from collections.abc import Collection, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from minisearch.errors import IndexNotFound, IndexNotWritable, IngestError, InputError, short

if TYPE_CHECKING:
    from minisearch.types import Note, Skipped

    Named = TypeVar("Named", Skipped, Note)

INDEX_FOLDER = ".minisearch"
DATABASE = "minisearch.db"

# Names that only an index folder has in it; any other says that the folder is somebody's own.
OWN_NAMES = (DATABASE, "vectors-", "writer.lock", ".gitignore")


class IndexLocation:
    """An index folder, whether or not it exists yet.

    ``folder`` is the path the user gave, for messages; ``path`` is where it really is, whatever the
    current folder becomes.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = real_path(folder, must_exist=False)
        self._parent = str(self.path.parent)
        self._holder = f"{self._parent}/".replace("//", "/")

    @property
    def database(self) -> Path:
        """The store's file."""
        return self.path / DATABASE

    @property
    def option(self) -> str:
        """What a command needs to mean this index, for messages."""
        return "" if self.folder == Path(INDEX_FOLDER) else f" --index {quoted(self.folder)}"

    def exists(self) -> bool:
        """Whether there is an index."""
        return self.database.exists()

    def must_exist(self) -> None:
        """IndexNotFound unless there is an index."""
        if not self.exists():
            if self.path.exists() and not self.path.is_dir():
                raise IndexNotFound(
                    f"{self.folder} is no folder: expected the one that an index is in, or is to be made in"
                )
            inner = self.folder / INDEX_FOLDER
            if (inner / DATABASE).is_file():
                raise IndexNotFound(
                    f"there is no index in {self.folder}: did you mean --index {quoted(inner)}?"
                )
            raise IndexNotFound(
                f"there is no index in {self.folder}: make one with: minisearch index FOLDER{self.option}"
            )

    def must_be_free(self) -> None:
        """IndexNotWritable when the folder holds anything else than an index: it is somebody's own."""
        if self.exists() or not self.path.exists():
            return
        try:
            names = sorted(path.name for path in self.path.iterdir())
        except OSError as error:
            raise self._unusable(error) from error
        others = [name for name in names if not name.startswith(OWN_NAMES)]
        if others:
            raise IndexNotWritable(
                f"{self.folder} holds other files ({others[0]}): an index needs a folder of its own, such as "
                f"--index {quoted(self.folder / INDEX_FOLDER)}"
            )

    def create(self) -> None:
        """Make the folder, if need be: for its owner alone, never part of a repository around it."""
        self.must_be_free()
        if self.exists():
            return
        try:
            is_new = not self.path.exists()
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            if is_new:
                self.path.chmod(0o700)  # whatever the umask
            _write_private(self.path / ".gitignore", b"*\n")
        except OSError as error:
            raise self._unusable(error) from error

    def _unusable(self, error: OSError) -> IndexNotWritable:
        there = next(path for path in [self.path, *self.path.parents] if path.exists())
        why = error.strerror
        if not there.is_dir():
            why = f"{there} is no folder"
        elif error.errno == errno.ENOENT:  # as /proc says: the folder above is there
            why = f"no folder can be made in {there}"
        elif error.errno in {errno.ENOSPC, errno.EDQUOT}:
            from minisearch.stores.local.files import (
                free_space,  # here, because it comes with all of the storage
            )

            why = f"{why}; {free_space(there)}"
        return IndexNotWritable(
            f"cannot make the index folder {self.folder} ({why}): choose another with --index"
        )

    def n_bytes(self) -> int:
        """What the index takes on the disk."""
        total = 0
        for path in self.path.iterdir():
            with contextlib.suppress(FileNotFoundError):  # another process has just replaced it
                total += path.lstat().st_size
        return total

    def key(self, path: Path) -> str:
        """The name under which a file with this absolute path is stored."""
        holder = self.path.parent
        return str(path.relative_to(holder) if path.is_relative_to(holder) else path)

    def key_of(self, path: str) -> str:
        """The same of a path that is absolute and without ``..``, in a hundredth of the time."""
        return "." if path == self._parent else path.removeprefix(self._holder)

    def absolute(self, key: str) -> str:
        """The absolute path of a file stored under this name."""
        return str(self.path.parent / key)

    def shown(self, key: str) -> str:
        """A path to the file that opens from where the user is; absolute if the index was named so."""
        path = self.absolute(key)
        if self.folder.is_absolute() or os.path.isabs(key):  # noqa: PTH117 - a stored name is a string
            return path
        try:
            return os.path.relpath(path)
        except FileNotFoundError:  # the current folder has been deleted
            return path

    def all_shown(self, named: Iterable[Named]) -> tuple[Named, ...]:
        """The same skipped files or notes, each under the path the user knows."""
        return tuple(replace(one, path=self.shown(one.path)) for one in named)


def quoted(path: str | os.PathLike[str]) -> str:
    """A path as a shell and a command take it whole, for the commands that messages advise.

    >>> print(quoted("my notes"), quoted("-x.md"))
    'my notes' ./-x.md
    """
    text = os.fspath(path)
    return shlex.quote(f"./{text}" if text.startswith("-") else text)


def _write_private(path: Path, content: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o600)
    try:
        os.fchmod(descriptor, 0o600)
        os.write(descriptor, content)
    finally:
        os.close(descriptor)


def is_below(path: str, folders: Collection[str]) -> bool:
    """Whether an absolute path is one of these or lies below one."""
    while path not in folders:
        parent = os.path.dirname(path)  # noqa: PTH120 - a hundred thousand strings
        if parent == path:
            return False
        path = parent
    return True


def real_path(path: str | os.PathLike[str], *, must_exist: bool = True) -> Path:
    """The absolute path, its folders without symbolic links; IngestError when nothing is there.

    InputError for what is no path at all.

    A linked folder is the folder it leads to; a linked file keeps its own name, as in a walk.
    """
    try:
        path = Path(path)
    except TypeError as error:
        raise InputError(f"expected the path of a file or folder, got {short(repr(path))}") from error
    try:
        real = path.resolve(strict=must_exist)
        return path.parent.resolve() / path.name if path.is_symlink() and real.is_file() else real
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links; a name with a NUL
        raise IngestError(f"cannot index {path}: {getattr(error, 'strerror', None) or error}") from error


def is_ours(path: Path) -> bool:
    """Whether a file or folder belongs to the user, or to root, who can read all that is theirs anyway."""
    return path.stat().st_uid in {0, os.geteuid()}


def index_here() -> Path:
    """The index folder of the current folder, there or not; InputError where it is another user's."""
    return _ours(Path(INDEX_FOLDER))


def find_index() -> Path:
    """The nearest index folder, from the current folder upwards, as git looks for its own.

    IndexNotFound where there is none, InputError where it is another user's.
    """
    here = Path.cwd()
    for n_up, folder in enumerate([here, *here.parents]):
        if os.path.isfile(folder / INDEX_FOLDER / DATABASE):  # noqa: PTH113 - False where it may not look
            return _ours(Path(*[".."] * n_up, INDEX_FOLDER))
    raise IndexNotFound(
        f"there is no index in {here} or any folder above it: make one with: minisearch index FOLDER"
    )


def _ours(folder: Path) -> Path:
    """A folder that the user has not named, unless it, or the index in it, is another user's: InputError.

    Anybody may make one in a folder such as /tmp.  They could read all that goes in, and say what is opened.
    """
    for path in (folder, folder / DATABASE):
        with contextlib.suppress(FileNotFoundError):
            if not is_ours(path):
                raise InputError(
                    f"{path} belongs to another user (uid {path.stat().st_uid}), who may read and change "
                    f"what is in it: if that is meant, name it: --index {folder}; or a folder of your own"
                )
    return folder
