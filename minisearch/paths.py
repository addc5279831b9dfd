"""Where an index is, how files are named in it and shown, and which paths it is trusted to open.

A folder goes in, an `IndexLocation` comes out.  A file below the folder that holds the index folder is stored
under its path relative to that folder, so that a project can be moved together with its index; any other file
is stored under its absolute path.  Messages show a path that opens from the current folder.  A document from
memory is stored under "//" and its id, and shown by its id.

An index names folders, files and a model, and it may come from anywhere: an archive, a clone, a share.
Paths that the user names are always opened; paths that only the index names are checked here first.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shlex
import shutil
from collections.abc import Collection, Iterable, Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from minisearch.errors import (
    IndexNotFound,
    IndexNotWritable,
    IngestError,
    InputError,
    ModelError,
    shell_quoted,
    short,
)

if TYPE_CHECKING:
    from minisearch.types import Note, Skipped

    Named = TypeVar("Named", Skipped, Note)

INDEX_FOLDER = ".minisearch"
DATABASE = "minisearch.db"
ALERTS = "alerts.json"
SOCKET = "query.sock"  # on which a server answers `minisearch query`
MAX_PATHS_SHOWN = 8  # in one message
_MEMORY = "//"  # the stored name of a document from memory begins so, that of a file never does

# The names in an index folder; with any other name, the folder is not ours.
_OWN_NAME = re.compile(
    rf"{re.escape(DATABASE)}(-wal|-shm|-journal|\.seal|\.unfinished-\w+)?|vectors-\d+-[0-9a-f]{{12}}\.\w+|"
    r"writer\.lock|\.gitignore|query\.sock(-\d+)?|alerts\.json(\.\d+)?"
)


class IndexLocation:
    """An index folder, whether or not it exists yet.

    ``folder`` is the path the user gave, for messages; ``path`` is its absolute real path,
    which stays right when the current folder changes.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = real_path(folder, must_exist=False)
        self._parent = str(self.path.parent)
        self._holder = f"{self._parent}/".replace("//", "/")

    @property
    def database(self) -> Path:
        """The database file."""
        return self.path / DATABASE

    @property
    def socket(self) -> Path:
        """The socket of a running server."""
        return self.path / SOCKET

    @property
    def option(self) -> str:
        """The option that selects this index in a command, for messages."""
        return "" if self.folder == Path(INDEX_FOLDER) else f" --index {quoted(self.folder)}"

    def exists(self) -> bool:
        """Whether there is an index."""
        return self.database.exists()

    def must_exist(self) -> None:
        """IndexNotFound unless there is an index."""
        if not self.exists():
            if self.path.exists() and not self.path.is_dir():
                raise IndexNotFound(
                    f"{self.folder} is not a folder: expected a folder with an index, or one to create it in"
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
        """IndexNotWritable if the folder contains anything but an index: then it is not ours."""
        if self.exists() or not self.path.exists():
            return
        try:
            names = sorted(path.name for path in self.path.iterdir())
        except OSError as error:
            raise self._unusable(error) from error
        others = [name for name in names if not _OWN_NAME.fullmatch(name)]
        if others:
            raise IndexNotWritable(
                f"{self.folder} holds other files ({others[0]}): an index needs a folder of its own, such as "
                f"--index {quoted(self.folder / INDEX_FOLDER)}"
            )

    def create(self) -> None:
        """Create the folder if needed, readable only by its owner and ignored by git."""
        self.must_be_free()
        if self.exists():
            return
        try:
            is_new = not self.path.exists()
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            if is_new:
                self.path.chmod(0o700)  # whatever the umask
            ignore = self.path / ".gitignore"
            if not os.path.lexists(ignore):  # a link is not followed
                with ignore.open("xb") as file:
                    file.write(b"*\n")
                ignore.chmod(0o600)
        except OSError as error:
            raise self._unusable(error) from error

    def _unusable(self, error: OSError) -> IndexNotWritable:
        why = error.strerror
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            there = next(path for path in [self.path, *self.path.parents] if path.exists())
            why = f"{why}; {shutil.disk_usage(there).free:,} bytes free"
        return IndexNotWritable(
            f"cannot make the index folder {self.folder} ({why}): choose another with --index"
        )

    def n_bytes(self) -> int:
        """The size of the index on disk."""
        total = 0
        for path in self.path.iterdir():
            with contextlib.suppress(FileNotFoundError):  # another process has just replaced it
                total += path.lstat().st_size
        return total

    def key_of(self, path: str) -> str:
        """The name under which a file is stored; its path is absolute and without ``..``."""
        return "." if path == self._parent else path.removeprefix(self._holder)

    def absolute(self, key: str) -> str:
        """The absolute path of a file stored under this name; a document from memory has its name only."""
        return key if is_from_memory(key) else str(self.path.parent / key)

    def shown(self, key: str) -> str:
        """A path to the file that opens from where the user is; absolute if the index was named so.

        A document from memory is shown by its id.
        """
        if is_from_memory(key):
            return key.removeprefix(_MEMORY)
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


def memory_key(id_: str) -> str:
    """The name under which a document from memory is stored."""
    return _MEMORY + id_


def is_from_memory(key: str) -> bool:
    """Whether this is the stored name of a document from memory."""
    return key.startswith(_MEMORY)


class StoredNames(IndexLocation):
    """A location that shows stored names, for results that another process shows under its own paths."""

    def shown(self, key: str) -> str:
        """The stored name."""
        return key


def quoted(path: str | os.PathLike[str]) -> str:
    """A path quoted for a shell command, for use in messages.

    >>> print(quoted("my notes"), quoted("-x.md"))
    'my notes' ./-x.md
    """
    text = os.fspath(path)
    return shell_quoted(f"./{text}" if text.startswith("-") else text)


def is_below(path: str, folders: Collection[str]) -> bool:
    """Whether an absolute path is one of these folders or below one of them.

    No folder contains a document from memory, whatever slashes are in its id.
    """
    if is_from_memory(path):
        return path in folders
    while path not in folders:
        parent = os.path.dirname(path)  # noqa: PTH120 - a hundred thousand strings
        if parent == path:
            return False
        path = parent
    return True


def real_path(path: str | os.PathLike[str], *, must_exist: bool = True) -> Path:
    """The absolute path with symbolic links in its folders resolved.

    A link to a folder is resolved, too; a link to a file keeps its own name, as in a walk.  Raises
    IngestError if nothing exists at the path, InputError for a value that is not a path.
    """
    try:
        path = Path(path)
    except TypeError as error:
        raise InputError(f"expected the path of a file or folder, got {short(repr(path))}") from error
    try:
        real = path.resolve(strict=must_exist)
        return path.parent.resolve() / path.name if path.is_symlink() and real.is_file() else real
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links; a name with a NUL
        why = getattr(error, "strerror", None) or error
        verb = "index" if must_exist else "read"
        raise IngestError(f"cannot {verb} {path}: {why}{_near_path(path)}") from error


def _near_path(path: Path) -> str:
    """The name in the same folder that is spelt most alike, for a message; empty where there is none."""
    import difflib  # imported only after a mistake

    with contextlib.suppress(OSError, ValueError):
        near = difflib.get_close_matches(path.name, sorted(os.listdir(path.parent)), n=1)  # noqa: PTH208 - strings
        if near and near[0] != path.name:
            return f"; did you mean {path.with_name(near[0])}?"
    return ""


def is_ours(path: Path) -> bool:
    """Whether a file or folder belongs to the user, or to root, who can read everything anyway."""
    return path.stat().st_uid in {0, os.geteuid()}


def index_here() -> Path:
    """The index folder of the current folder, if any or not yet; InputError if another user owns it."""
    return _ours(Path(INDEX_FOLDER))


def find_index() -> Path:
    """The nearest index folder, from the current folder upwards, as git looks for its own.

    IndexNotFound if there is none, InputError if another user owns it.
    """
    here = Path.cwd()
    for n_up, folder in enumerate([here, *here.parents]):
        if os.path.isfile(folder / INDEX_FOLDER / DATABASE):  # noqa: PTH113 - False where it may not look
            return _ours(Path(*[".."] * n_up, INDEX_FOLDER))
    raise IndexNotFound(
        f"there is no index in {here} or any folder above it: make one with: minisearch index FOLDER"
    )


def _ours(folder: Path) -> Path:
    """A folder that the user did not name; InputError if another user owns it or the index in it.

    In a folder such as /tmp, any user can create one.  That user could read everything that is indexed, and
    choose which files are opened.
    """
    for path in (folder, folder / DATABASE):
        with contextlib.suppress(FileNotFoundError):
            if not is_ours(path):
                raise InputError(
                    f"{path} belongs to another user (uid {path.stat().st_uid}), who may read and change "
                    f"it: to use it anyway, name it: --index {folder}; otherwise name a folder of your own"
                )
    return folder


# --- trust ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Trusted:
    """The paths that users named for an index, and their real paths; inode and path of its folder then."""

    inode: int = 0
    folder: str = ""
    paths: tuple[str, ...] = ()


def trusted_paths(trusted: Trusted, location: IndexLocation) -> frozenset[str]:
    """The paths that the index may open, including everything below them.

    The user named them for the index at its present place.  The folder that contains a ``.minisearch`` folder
    is always trusted.
    """
    # The record is valid only if the index folder is our own and has the inode and path from when the record
    # was written. So it is not valid in a copy, and the user must name the paths once after moving or
    # restoring an index. An attacker who sends an index would have to guess both. An attacker who can write
    # to the present folder can forge them. The device number is not used, because it changes when a disk is
    # mounted again.
    is_written_here = (trusted.inode, trusted.folder) == _here(location)
    named = trusted.paths if is_written_here and is_ours(location.path) else ()
    return _beside(location) | frozenset(named)


def may_open(path: str, trusted: Set[str]) -> bool:
    """Whether a path and its real path, with links resolved, are each one of these paths or below one.

    A path that is not below one is not looked at: on an automounter, that alone can open a connection.
    """
    try:
        return is_below(os.path.abspath(path), trusted) and is_below(os.path.realpath(path), trusted)  # noqa: PTH100 - any name
    except ValueError:  # a name with a NUL
        return False


def with_trusted(
    trusted: Trusted, location: IndexLocation, paths: Iterable[str | os.PathLike[str]]
) -> Trusted:
    """The record with additional paths, which the user has named, under these names and their real paths."""
    known = trusted_paths(trusted, location)
    named = [path for path in paths if not may_open(os.fspath(path), known)]
    new = {name(path) for path in named for name in (os.path.abspath, os.path.realpath)}
    return Trusted(*_here(location), tuple(sorted((known | new) - _beside(location))))


def check_roots(trusted: Trusted, location: IndexLocation, roots: Sequence[str]) -> None:
    """InputError if the index is not trusted to open all of these roots (absolute paths)."""
    known = trusted_paths(trusted, location)
    closed = [root for root in roots if not may_open(root, known)]
    if closed:
        shown = shlex.join(closed[:MAX_PATHS_SHOWN]) + " ..." * (len(closed) > MAX_PATHS_SHOWN)
        raise InputError(
            f"the index in {location.folder} covers {shown}, which you have not named for it here: it may "
            f"come from another user, or be copied or moved. Name the paths to read, {_how_often(location)}: "
            f"minisearch index {shown}{location.option}; "
            f"remove the others: minisearch remove PATH{location.option}"
        )


def check_model_folder(trusted: Trusted, location: IndexLocation, model: str) -> None:
    """ModelError if the index is not trusted to open the model folder that it names."""
    if not may_open(os.path.expanduser(model), trusted_paths(trusted, location)):  # noqa: PTH111 - as the catalog does
        raise ModelError(
            f"the index in {location.folder} was made with the model in {model}, which you have not named "
            f"for it here: it may come from another user, or be copied or moved. To open that model, "
            f"name it {_how_often(location)}: minisearch index PATH --model {quoted(model)}{location.option}"
        )


def _how_often(location: IndexLocation) -> str:
    if is_ours(location.path):
        return "once"
    return (
        f"each time, as the index is another user's (uid {location.path.stat().st_uid}; chown makes it yours)"
    )


def _here(location: IndexLocation) -> tuple[int, str]:
    return location.path.stat().st_ino, str(location.path)


def _beside(location: IndexLocation) -> frozenset[str]:
    """The folder that contains a ``.minisearch`` folder; none for an index folder of another name."""
    return frozenset({str(location.path.parent)} if location.path.name == INDEX_FOLDER else ())
