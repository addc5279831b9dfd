"""``minisearch get`` and ``open``: the section around a place, and the file of a result in an editor.

The results of the last query are remembered in a small file of the user's state folder; the index is not
changed.  How passages look is left to `page` and `passage`.
"""

from __future__ import annotations

import json
import logging
import os
import shlex
import shutil
import sys
from dataclasses import dataclass, replace
from itertools import dropwhile
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

import click

from minisearch.cli.options import IndexChoice, complete_file, json_option, pager_option, with_index
from minisearch.cli.page import page_to_open
from minisearch.cli.query_options import exists, place_in
from minisearch.cli.settings import replace_file
from minisearch.cli.terminal import (
    CYAN,
    MAGENTA,
    Marked,
    Terminal,
    as_json_line,
    ctrl_c_is_the_childs,
    name_line,
    one_line,
    printable,
    wrap,
)
from minisearch.errors import InputError
from minisearch.formats import format_of
from minisearch.results import OUTDATED
from minisearch.text import count

if TYPE_CHECKING:
    from collections.abc import Iterable

    from minisearch.rag import Passage

logger = logging.getLogger(__name__)

# How editors take a line; any other editor gets the file alone.
PLUS_LINE = {
    *("vi", "vim", "nvim", "gvim", "view", "nano", "emacs", "emacsclient"),
    *("micro", "kak", "joe", "mg", "ed"),
}
COLON_LINE = {"hx", "helix", "subl", "zed"}
GOTO_LINE = {"code", "codium", "code-insiders", "cursor"}
VIEWERS = ("open",) if sys.platform == "darwin" else ("xdg-open", "wslview")


@dataclass(frozen=True, slots=True)
class Remembered:
    """Where a result of the last query is: its absolute path or id, line, column, page and index folder."""

    path: str
    line: int
    column: int
    page: int | None
    index: str = ""


# --- the results of the last query -------------------------------------------------------------------


def _state_file() -> Path:
    folder = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(folder).expanduser() / "minisearch" / "last-results.json"


def remember(index: str, places: Iterable[tuple[str, int, int, int | None]]) -> None:
    """Write down the results of a query, for `open` and `get`; only logged if that fails.

    ``index`` is the index folder; each place is a path, a line, a column and a page.  A path without a file
    may be the id of a document from memory, and is kept as it is.  An absolute path, which may be one that
    the index is not trusted for, is not looked at.
    """
    last = {
        "index": os.path.abspath(index),  # noqa: PTH100 - any name
        "results": [[_absolute(path), *place] for path, *place in places],
    }
    try:
        replace_file(_state_file(), json.dumps(last).encode(), must_last=False)
    except (InputError, RuntimeError) as error:  # no home folder
        logger.info("the results are not remembered for open and get: %s", error)


def _absolute(path: str) -> str:
    return os.path.abspath(path) if not os.path.isabs(path) and os.path.lexists(path) else path  # noqa: PTH100, PTH117


def remembered(number: int) -> Remembered:
    """A result of the last query; InputError if there is none of this number."""
    try:
        last = json.loads(_state_file().read_text())
        index = last["index"]
        found = [Remembered(path, line, column, page, index) for path, line, column, page in last["results"]]
    except (OSError, ValueError, TypeError, KeyError, RuntimeError):
        found = []
    if not found:
        raise InputError("no query has been made yet, or it found nothing: run minisearch query first")
    if not 1 <= number <= len(found):
        raise InputError(f"there is no result {number}: the last query has {count(len(found), 'result')}")
    return found[number - 1]


# --- open --------------------------------------------------------------------------------------------


@click.command("open")
@click.argument("number", metavar="N", type=int)
def open_result(number: int) -> None:
    """Open result N of the last query in your editor.

    The editor is VISUAL or EDITOR, at the line of the result. PDF, Office and EPUB files are opened by the
    viewer of the system, a PDF at its page; without an editor all other files are, too.
    """
    open_place(remembered(number), str(number))


def place_at(path: str, at: tuple[int, int, int | None]) -> Remembered:
    """The place of a result that was just found: its path and `SearchResult.at`."""
    return Remembered(_absolute(path), *at)


def open_place(place: Remembered, name: str) -> None:
    """Open a place in the user's editor or viewer; InputError, with its ``name`` for `get`, if that fails."""
    if not exists(place.path) and not PurePath(place.path).is_absolute():
        raise InputError(
            f"{one_line(place.path)} is not a file: minisearch get {name} prints its indexed text"
        )
    if not exists(place.path):
        raise InputError(
            f"{one_line(place.path)} does not exist any more: minisearch index updates the index"
        )
    import subprocess  # a query does not need it

    command = opening_command(place)
    is_viewer = PurePath(command[0]).name in VIEWERS
    try:
        with ctrl_c_is_the_childs():
            # A viewer prints its own troubles, such as each browser that it has not found.
            errors = subprocess.DEVNULL if is_viewer else None
            code = subprocess.run(command, stderr=errors, check=False).returncode  # noqa: S603 - the user's choice
    except OSError as error:
        raise InputError(f"cannot run {shlex.join(command[:1])}: {error.strerror}; set EDITOR") from error
    if code:
        cure = f"; set EDITOR, or print its text with: minisearch get {name}" if is_viewer else ""
        raise InputError(f"{shlex.join(command[:1])} ended with exit code {code}{cure}")


def opening_command(place: Remembered) -> list[str]:
    """The command that opens a result, with its line or page; InputError if there is no program for it."""
    is_text = not format_of(place.path).is_binary
    editor = _editor() if is_text else []  # an editor would show the bytes of a ZIP archive
    if not editor:
        viewer = next(filter(None, map(shutil.which, VIEWERS)), None)
        if viewer is None:
            cure = "set EDITOR" if is_text else f"install {VIEWERS[0]}, or print its text with minisearch get"
            raise InputError(f"there is no program to open {one_line(place.path)} with: {cure}")
        page = page_to_open(place.path, place.page)
        return [viewer, place.path if page is None else f"{PurePath(place.path).as_uri()}#page={page}"]
    name = PurePath(editor[0]).name
    if name in PLUS_LINE:
        return [*editor, f"+{place.line}", place.path]
    if name in COLON_LINE | GOTO_LINE:
        goto = ["--goto"] if name in GOTO_LINE else []
        return [*editor, *goto, f"{place.path}:{place.line}:{place.column}"]
    return [*editor, place.path]


def _editor() -> list[str]:
    """The command of VISUAL or EDITOR, empty if neither is set; InputError if it is no command."""
    name = "VISUAL" if os.environ.get("VISUAL") else "EDITOR"
    command = os.environ.get(name) or ""
    try:
        return shlex.split(command)
    except ValueError as error:
        raise InputError(
            f"{name} is {one_line(command)!r}, with a quotation mark that is not closed: set {name} to a "
            f"command, such as vim"
        ) from error


# --- get ---------------------------------------------------------------------------------------------


@click.command()
@click.argument("place", metavar="PATH[:LINE]|N", shell_complete=complete_file)
@json_option
@pager_option
@with_index
def get(index: IndexChoice, place: str, as_json: bool, no_pager: bool) -> None:
    """Print the section around a place in a file.

    N is a result of the last query, whose index is then used. LINE is a paragraph in a DOCX, a row in an
    XLSX; a place as a result shows it ("a.pdf p. 3") is understood too. Without LINE the whole file is
    printed. The text is that of the index, which Office files, PDF and mail have too; standard error says if
    the file has changed since. In a pipe the text is not wrapped.

    \b
      minisearch get docs/tasks.md:40
      minisearch get 2
    """  # noqa: D301 - click reads \b as "leave these lines unchanged"
    result = None
    if place.isascii() and place.isdigit() and not exists(place):
        result = remembered(int(place))
        index = replace(index, folder=Path(os.path.relpath(result.index)))
    with index.open() as ms:
        if result is None:
            path, line, page = place_in(ms, place)
        else:
            is_path = PurePath(result.path).is_absolute()
            path = os.path.relpath(result.path) if is_path else result.path
            line, page = result.line, result.page
        passage = ms.get(path, line, page=page)
        if outdated := OUTDATED.get(ms.searcher.file_state(path)):
            click.echo(f"{one_line(passage.path)}: {outdated}", err=True)
    terminal = Terminal.of_stdout()
    if as_json:
        click.echo(as_json_line(passage))
    elif terminal.rows is None:
        click.echo(printable(str(passage)))
    else:
        terminal.show(_section_text(passage, terminal), uses_pager=not no_pager)


def _section_text(passage: Passage, terminal: Terminal) -> str:
    """The place, the headings, and the text without a heading that repeats them."""
    from minisearch.cli.passage import laid_out, repeats_title, whole_text

    place = terminal.linked(terminal.styled(name_line(passage.place), CYAN), passage.path, passage.line)
    headings = wrap(Marked.plain(one_line(passage.heading)), terminal.columns)
    lines = laid_out(Marked.plain(passage.text), passage.path)
    lines = list(dropwhile(repeats_title(passage.title, passage.heading), lines))
    styled = [terminal.styled(line.text, MAGENTA) for line in headings]
    return "\n".join([place, *styled, "", *whole_text(lines, terminal)])
