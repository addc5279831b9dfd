"""The user's settings: default values of options, and collections, which are names of indexes.

They are in ``~/.config/minisearch/config.json`` (XDG_CONFIG_HOME), which `read` checks.  JSON, since Python
3.10 reads no TOML and no version writes it.  A value on the command line goes first, then the environment,
then this file, then the default.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from minisearch.cli.terminal import one_line
from minisearch.errors import InputError, short
from minisearch.paths import INDEX_FOLDER

NAME = re.compile(r"[^\W_][\w.-]{0,63}")


@dataclass(frozen=True, slots=True)
class Collection:
    """A name for an index, and the folders and files that are searched in it: all paths are absolute.

    Several collections may share an index, if they name it.
    """

    name: str
    index: Path
    paths: tuple[str, ...]

    @property
    def has_own_index(self) -> bool:
        """Whether the index is where a collection of these paths has it by default."""
        return self.index == Path(self.paths[0]) / INDEX_FOLDER or self.index == own_folder(self.name)


@dataclass(frozen=True, slots=True)
class Settings:
    """What the file holds: values of options by command and option, and the collections by name."""

    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    collections: Mapping[str, Collection] = field(default_factory=dict)

    def collection(self, name: str) -> Collection:
        """The collection of this name; InputError if there is none."""
        if name not in self.collections:
            known = ", ".join(self.collections)
            expected = (
                f"expected one of {known}" if known else "make it with: minisearch collection add NAME FOLDER"
            )
            raise InputError(f"there is no collection {one_line(name)}: {expected}")
        return self.collections[name]


def settings_file() -> Path:
    """The file with the settings, which need not exist."""
    return _folder("XDG_CONFIG_HOME", ".config") / "config.json"


def _folder(variable: str, default: str) -> Path:
    return Path(os.environ.get(variable) or home_folder(variable) / default) / "minisearch"


def home_folder(instead: str = "HOME") -> Path:
    """The user's home folder; InputError, which says to set the variable ``instead``, if there is none."""
    try:
        return Path("~").expanduser()
    except RuntimeError as error:
        raise InputError(f"the home folder of this user is not known: set {instead} to a folder") from error


def data_folder() -> Path:
    """The folder for what the user did not put anywhere."""
    return _folder("XDG_DATA_HOME", ".local/share")


def own_folder(name: str) -> Path:
    """The index folder of a collection that has no single folder to put it in."""
    return data_folder() / "collections" / name


def read() -> Settings:
    """The settings, empty if there is no file; InputError for a file that is not as expected."""
    try:
        file = settings_file()
    except InputError:  # no home folder
        return Settings()
    try:
        text = file.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return Settings()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the settings in {file}: {error}") from error
    try:
        found = json.loads(text)
        options = {command: dict(values) for command, values in found.pop("options", {}).items()}
        given = {
            name: (str(one["index"]), tuple(one["paths"]))
            for name, one in found.pop("collections", {}).items()
        }
        if found or not all(isinstance(path, str) for _, paths in given.values() for path in paths):
            raise ValueError(
                f"expected options and collections, got {', '.join(found) or 'a path that is no text'}"
            )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise InputError(
            f"{file} is not a settings file ({one_line(str(error))}): correct it or delete it"
        ) from error
    collections = {name: Collection(name, Path(index), paths) for name, (index, paths) in given.items()}
    return Settings(options, collections)


def update(change: Callable[[Settings], Settings]) -> None:
    """Read the settings, change them and write them; another process that does so waits.

    InputError if they cannot be read or written.
    """
    import fcntl  # only where something is written

    file = settings_file()
    folder = Path(os.path.realpath(file)).parent
    with _writing(file):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        new = change(read())
        collections = {
            one.name: {"index": str(one.index), "paths": one.paths} for one in new.collections.values()
        }
        text = json.dumps({"options": new.options, "collections": collections}, indent=2)
        replace_file(file, f"{text}\n".encode())
    finally:
        os.close(descriptor)


def replace_file(file: Path, content: bytes, *, must_last: bool = True) -> None:
    """Write a new file beside this one, with its mode and owner, and rename; InputError if that fails.

    The old content stays until the new one is complete.  A symbolic link stays, and its target is replaced.
    Without ``must_last``, a power cut may lose both.
    """
    real = Path(os.path.realpath(file))
    with _writing(file):
        if real.exists() and not real.is_file():  # such as /dev/null
            raise InputError(f"cannot write {one_line(str(file))}: it is not a regular file")
        real.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        unfinished = real.with_name(f"{real.name}.{os.getpid()}")
        unfinished.unlink(missing_ok=True)  # of an earlier process of this number
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with open(descriptor, "wb") as out:  # noqa: PTH123
                with suppress(FileNotFoundError):
                    before = real.stat()
                    with suppress(PermissionError):  # another user's file in a folder of ours
                        os.fchown(descriptor, before.st_uid, before.st_gid)
                    os.fchmod(descriptor, stat.S_IMODE(before.st_mode))
                out.write(content)
                out.flush()
                if must_last:
                    os.fsync(descriptor)
            unfinished.replace(real)
        finally:
            unfinished.unlink(missing_ok=True)


@contextmanager
def _writing(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(f"cannot write {one_line(str(file))}: {error.strerror}") from error


def new_collection(name: str, paths: tuple[Path, ...], index: Path | None) -> Collection:
    """A collection of existing folders and files; InputError for any other, or for a name that is none.

    The index of one folder is in that folder, any other in the user's data folder.
    """
    if not NAME.fullmatch(name):
        raise InputError(f"{one_line(name)!r} is no name: expected letters, digits, - and _, at most 64")
    real = [_real(path) for path in paths]
    for given, path in zip(paths, real, strict=True):
        if not path.exists():
            raise InputError(f"{one_line(str(given))} does not exist: name folders or files to search")
    is_beside = len(real) == 1 and real[0].is_dir() and os.access(real[0], os.W_OK)
    folder = index or (real[0] / INDEX_FOLDER if is_beside else own_folder(name))
    return Collection(name, _real(folder), tuple(map(str, real)))


def _real(path: Path) -> Path:
    try:
        return path.expanduser().resolve()
    except (OSError, RuntimeError) as error:  # an unknown user; a loop of links
        raise InputError(f"cannot find {one_line(str(path))}: {error}") from error


def default_map(ctx: click.Context, command: click.Command) -> dict[str, Any]:
    """The values of a command's options in the settings, by the names of its parameters.

    InputError for an option that the command does not have, or a value that the option does not accept.
    """
    options = {long_name(one): one for one in command.params if isinstance(one, click.Option)}
    found: dict[str, Any] = {}
    for name, value in read().options.get(command.name or "", {}).items():
        if name not in options:
            raise InputError(
                f"{settings_file()} sets {one_line(name)!r} of {command.name}, which it has not: expected "
                f"the name of an option without its dashes, as in minisearch {command.name} --help"
            )
        try:
            found[options[name].name or ""] = _value(ctx, options[name], value)
        except click.BadParameter as error:
            raise InputError(
                f"{settings_file()} sets {name!r} of {command.name} to a wrong value: "
                f"{one_line(error.message)}"
            ) from error
    return found


def _value(ctx: click.Context, option: click.Option, value: object) -> Any:  # noqa: ANN401 - click's own
    """What the option gets for a value of the settings; BadParameter if it does not accept it."""
    several = value if isinstance(value, list) else [value]
    is_one_too_many = isinstance(value, list) and not option.multiple
    if is_one_too_many or not all(isinstance(one, str | int | float) for one in several):
        expected = "a text, a number, true or false" + ", or a list of them" * option.multiple
        raise click.BadParameter(f"expected {expected}, got {short(json.dumps(value))}")
    texts = [one if isinstance(one, bool) and option.is_flag else str(one) for one in several]
    given = texts if option.multiple else texts[0]
    option.type_cast_value(ctx, given)
    return given


def long_name(option: click.Option) -> str:
    """The name of an option in the settings: without its dashes.

    >>> long_name(click.Option(["-k", "--no-pager"]))
    'no-pager'
    """
    return max(option.opts, key=len).lstrip("-")


def set_variables(command: str, parameters: list[click.Parameter]) -> None:
    """Let the environment set each option without a variable: --mode of query by MINISEARCH_QUERY_MODE."""
    for one in parameters:
        if isinstance(one, click.Option) and one.envvar is None and one.expose_value:
            one.envvar = f"minisearch_{command}_{long_name(one)}".replace("-", "_").upper()
