"""``collection``, ``completion`` and ``doctor``: set up minisearch for this user, and check that it works.

Collections are kept in the settings, completion in a script of the shell; the checks write nothing.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

import click

from minisearch.cli import settings
from minisearch.cli.options import (
    A_FILE,
    IndexChoice,
    complete_collection,
    index_or_default,
    json_option,
    one_of,
    with_index,
)
from minisearch.cli.terminal import as_json_line, one_line, printable
from minisearch.errors import InputError
from minisearch.paths import DATABASE, quoted
from minisearch.text import count

if TYPE_CHECKING:
    from minisearch.maintenance.doctor import Check

# --- collections -------------------------------------------------------------------------------------


@click.group()
def collection() -> None:
    """Give names to indexes, to search them from anywhere.

    \b
      minisearch collection add notes ~/notes
      minisearch index -c notes
      minisearch query -c notes "what did we decide about the roof"

    Several collections may share an index (--index): then each searches its own folders.
    """  # noqa: D301 - click reads \b as "leave these lines unchanged"


@collection.command("add")
@click.argument("name")
@click.argument("paths", metavar="FOLDER...", nargs=-1, required=True, type=A_FILE)
@click.option(
    "--index",
    metavar="DIR",
    type=A_FILE,
    help="The index folder.  [default: .minisearch in the only FOLDER, else one in ~/.local/share]",
)
def add(name: str, paths: tuple[Path, ...], index: Path | None) -> None:
    """Name folders, or files, and their index.

    Nothing is indexed yet.
    """
    new = settings.new_collection(name, paths, index)

    def added(current: settings.Settings) -> settings.Settings:
        if name in current.collections:
            raise InputError(
                f"there is a collection {name} already; to name others: minisearch collection remove {name}"
            )
        return replace(current, collections={**current.collections, name: new})

    settings.update(added)
    then = f"query -c {name} TEXT" if (new.index / DATABASE).exists() else f"index -c {name}"
    click.echo(f"Added {name}: {one_line(', '.join(new.paths))}. Next: minisearch {then}")


@collection.command("list")
@json_option
def list_collections(as_json: bool) -> None:
    """List the collections, with their folders and indexes."""
    found = settings.read().collections.values()
    if as_json:
        click.echo(
            as_json_line([{"name": one.name, "index": str(one.index), "paths": one.paths} for one in found])
        )
        return
    width = max((len(one.name) for one in found), default=0)
    for one in found:
        state = "" if (one.index / DATABASE).exists() else f" (none yet: minisearch index -c {one.name})"
        click.echo(one_line(f"{one.name:<{width}}  {', '.join(one.paths)}  index: {one.index}{state}"))
    if not found:
        click.echo("There are no collections: make one with: minisearch collection add NAME FOLDER", err=True)


@collection.command("remove")
@click.argument("name", shell_complete=complete_collection)
def remove(name: str) -> None:
    """Forget a collection.

    Its files and its index stay.
    """
    index = settings.read().collection(name).index

    def removed(current: settings.Settings) -> settings.Settings:
        others = {other: one for other, one in current.collections.items() if other != name}
        return replace(current, collections=others)

    settings.update(removed)
    click.echo(f"Forgot {name}. Its index stays in {one_line(str(index))}")


# --- completion --------------------------------------------------------------------------------------

SHELLS = ("bash", "zsh", "fish")
MARK = "# minisearch completion"  # on our line in the shell's own file
# Without compinit, zsh does not know compdef, which the script calls.
BEFORE = {"zsh": "(( $+functions[compdef] )) || { autoload -Uz compinit && compinit }\n"}


@click.command()
@click.argument("shell", required=False, **{**one_of(SHELLS, "shell"), "metavar": "[bash|zsh|fish]"})
@click.option("--remove", is_flag=True, help="Undo it.")
def completion(shell: str | None, remove: bool) -> None:
    """Install the completion of commands and options in your shell.

    The shell is that of the variable SHELL, unless it is given. For bash and zsh, a script is written, and a
    line that reads it is added to ~/.bashrc or ~/.zshrc.
    """
    shell = shell or PurePath(os.environ.get("SHELL", "")).name
    if shell not in SHELLS:
        raise InputError(f"no completion for the shell {one_line(shell)!r}: expected {', '.join(SHELLS)}")
    script, start = _completion_files(shell)
    try:
        if not remove:  # before the line that reads it
            settings.replace_file(script, (BEFORE.get(shell, "") + _script(shell)).encode())
        if start is not None:
            _set_line(start, "" if remove else f"[ -r {quoted(script)} ] && . {quoted(script)} {MARK}\n")
        if remove:
            script.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"cannot write {error.filename}: {error.strerror}") from error
    where = f"{script}" + (f" and a line in {start}" if start else "")
    if remove:
        click.echo(printable(f"Removed {where}"))
    else:
        click.echo(printable(f"Installed {where}, for new {shell} sessions"))
        click.echo(f"To undo it: minisearch completion {shell} --remove")


def _completion_files(shell: str) -> tuple[Path, Path | None]:
    """The file with the completion script, and the shell's own file that has to read it; fish finds it."""
    if shell == "fish":
        config = Path(
            os.environ.get("XDG_CONFIG_HOME") or settings.home_folder("XDG_CONFIG_HOME") / ".config"
        )
        return config / "fish" / "completions" / "minisearch.fish", None
    folder = os.environ.get("ZDOTDIR") if shell == "zsh" else None
    start = Path(folder or settings.home_folder()) / f".{shell}rc"
    return settings.data_folder() / f"completion.{shell}", start


def _script(shell: str) -> str:
    """The script with which a shell asks the command for completions."""
    from click.shell_completion import get_completion_class

    made_by = get_completion_class(shell)
    assert made_by is not None
    script = made_by(click.Command("minisearch"), {}, "minisearch", "_MINISEARCH_COMPLETE").source()
    # In fish, click cuts a value and its explanation at each comma.
    return script.replace('string split "," $completion', 'string split --max 1 "," $completion')


def _set_line(file: Path, line: str) -> None:
    """Replace our line in a shell's own file, or add it at the end; an empty line removes it."""
    text = file.read_bytes() if file.exists() else b""
    rest = re.sub(rb"^.*%s\r?\n?" % re.escape(MARK.encode()), b"", text, flags=re.MULTILINE)
    rest += b"\n" * bool(line and rest and not rest.endswith(b"\n"))
    if rest + os.fsencode(line) != text:
        settings.replace_file(file, rest + os.fsencode(line))


# --- doctor ------------------------------------------------------------------------------------------


@click.command()
@json_option
@with_index
def doctor(index: IndexChoice, as_json: bool) -> None:
    """Check the installation, the model, the index and the disk.

    Each problem is shown with its cure; exit code 1 if there is one. A note is no problem, such as a missing
    optional library. Nothing is written, and no network connection is opened.
    """
    from minisearch.maintenance.doctor import examine

    checks = list(examine(index.found(index_or_default), is_named=index.folder is not None))
    click.echo(as_json_line(checks) if as_json else "\n".join(_check_lines(checks)))
    if any(one.outcome == "problem" for one in checks):
        raise SystemExit(1)


def _check_lines(checks: list[Check]) -> Iterator[str]:
    for one in checks:
        yield one_line(f"{one.outcome:<9}{one.subject:<18}{one.text}")
        if one.cure:
            yield one_line(f"{'':<27}{one.cure}")
    n_problems = sum(one.outcome == "problem" for one in checks)
    yield f"{count(n_problems, 'problem')} found" if n_problems else "No problem found"
