"""``minisearch ui``: the command that starts live search, or says why it cannot.

The command line comes in; the app of `app` runs until it is left.  The index and the model are checked
before, so that their errors are those of any command.
"""

from __future__ import annotations

import sys
from concurrent.futures import Future, wait
from threading import Thread
from typing import TYPE_CHECKING

import click

from minisearch.cli.options import IndexChoice, imported, offline_option, with_index
from minisearch.errors import InputError

if TYPE_CHECKING:
    from minisearch.search.searcher import Searcher

CHECK_S = 1.0  # the model is loaded in a tenth of that, but with torch


@click.command()
@click.argument("text", nargs=-1)
@offline_option
@with_index
def ui(choice: IndexChoice, text: tuple[str, ...]) -> None:
    """Search while you type, in the terminal.

    The best passages are listed, and the document of the chosen one is shown with the sentences that answer.
    Up and down choose, Enter opens the result in your editor, Ctrl-Y copies its citation, Ctrl-F limits the
    search to folders, types and dates. F1 shows all keys. TEXT is what is searched first.

    \b
      minisearch ui
      minisearch ui how do I retry a failed task
    """  # noqa: D301 - click reads \b as "leave these lines unchanged"
    if not has_terminal():
        raise InputError("minisearch ui needs a terminal: in a pipe, use minisearch query")
    make_app = imported("cli.live.app", "LiveApp", "ui")
    with choice.open() as ms:
        ms.status()
        searcher = ms.searcher.of_a_new_process(ms.searcher.location)  # it never waits for torch
        loaded = _loading(searcher)
        wait([loaded], CHECK_S)
        if loaded.done():
            loaded.result()
        try:
            app = make_app(ms, searcher, loaded, " ".join(text), choice.within)
            error = app.run()
        finally:
            searcher.close()
    if error is not None:
        raise error
    sys.exit(app.return_code)  # not 0 after a fault of the app, which has printed its traceback


def has_terminal() -> bool:
    """Whether keys come from a terminal, and the screen is one."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def _loading(searcher: Searcher) -> Future[None]:
    """Load the model in a thread that does not outlive the process; ends with the error if that fails."""
    loaded = Future[None]()

    def load() -> None:
        try:
            searcher.embed(["anything"], are_queries=True)
            loaded.set_result(None)
        except BaseException as error:  # it is raised where the result is used
            loaded.set_exception(error)

    Thread(target=load, daemon=True).start()
    return loaded
