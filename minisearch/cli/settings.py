"""The user's settings: default values of options, and collections, which are names of indexes.

They are in ``~/.config/minisearch/config.json`` (XDG_CONFIG_HOME), which `read` checks.  JSON, since Python
3.10 reads no TOML and no version writes it.  A value on the command line goes first, then the environment,
then this file, then the default.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from minisearch.cli.terminal import one_line
from minisearch.errors import InputError
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
        return self.index in {Path(self.paths[0]) / INDEX_FOLDER, own_folder(self.name)}


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
    return Path(os.environ.get(variable) or Path("~").expanduser() / default) / "minisearch"


def data_folder() -> Path:
    """The folder for what the user did not put anywhere."""
    return _folder("XDG_DATA_HOME", ".local/share")


def own_folder(name: str) -> Path:
    """The index folder of a collection that has no single folder to put it in."""
    return data_folder() / "collections" / name


def read() -> Settings:
    """The settings, empty if there is no file; InputError for a file that is not as expected."""
    file = settings_file()
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
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(
            f"{file} is not a settings file ({one_line(str(error))}): correct it or delete it"
        ) from error
    collections = {name: Collection(name, Path(index), paths) for name, (index, paths) in given.items()}
    return Settings(options, collections)


def write(settings: Settings) -> None:
    """Write the settings beside the file, and rename; InputError if that fails."""
    file = settings_file()
    unfinished = file.with_name(f"{file.name}.{os.getpid()}")
    collections = {
        one.name: {"index": str(one.index), "paths": one.paths} for one in settings.collections.values()
    }
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        text = json.dumps(
            {"options": settings.options, "collections": collections}, indent=2, ensure_ascii=False
        )
        unfinished.write_text(f"{text}\n", encoding="utf-8")
        unfinished.replace(file)
    except OSError as error:
        raise InputError(f"cannot write the settings in {file}: {error.strerror}") from error


def new_collection(name: str, paths: tuple[Path, ...], index: Path | None) -> Collection:
    """A collection of existing folders and files; InputError for any other, or for a name that is none.

    The index of one folder is in that folder, any other in the user's data folder.
    """
    if not NAME.fullmatch(name):
        raise InputError(f"{one_line(name)!r} is no name: expected letters, digits, - and _, at most 64")
    real = [path.expanduser().resolve() for path in paths]
    for given, path in zip(paths, real, strict=True):
        if not path.exists():
            raise InputError(f"{one_line(str(given))} does not exist: name folders or files to search")
    is_beside = len(real) == 1 and real[0].is_dir() and os.access(real[0], os.W_OK)
    folder = index or (real[0] / INDEX_FOLDER if is_beside else own_folder(name))
    return Collection(name, folder.expanduser().resolve(), tuple(map(str, real)))


def default_map(command: str, parameters: list[click.Parameter]) -> dict[str, Any]:
    """The values of a command's options in the settings, by the names of its parameters."""
    options = {long_name(one): one for one in parameters if isinstance(one, click.Option)}
    found: dict[str, Any] = {}
    for name, value in read().options.get(command, {}).items():
        if name not in options:
            raise InputError(
                f"{settings_file()} sets {one_line(name)!r} of {command}, which it has not: expected the "
                f"name of an option without its dashes, as in minisearch {command} --help"
            )
        found[options[name].name or ""] = value
    return found


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
