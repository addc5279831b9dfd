"""Files and folders in, a run of indexing at once and after every change.

What changed is not looked at: a run walks the folders anyway, and a second one over thousands of unchanged
files takes less than a second.  So nothing is missed, whatever the system's notifications leave out.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from minisearch.errors import IndexBusy, IngestError, InputError, MinisearchError, ShrinkRefused
from minisearch.home import Home, is_below, real_path
from minisearch.types import IngestReport

# A save should be in the index two seconds later: changes are gathered for at most half a second, and less
# when there is a moment of rest (an editor writes, renames and touches a file within some milliseconds).
GATHERED_MS = 500
REST_MS = 100
TICK_MS = 1_000


def watch(
    home: Home,
    index: Callable[..., IngestReport],
    paths: Sequence[str | os.PathLike[str]],
    *,
    warm_up: Callable[[], None],
    stop: threading.Event | None,
    on_problem: Callable[[MinisearchError], None] | None,
) -> Iterator[IngestReport]:
    """`MiniSearch.watch`; ``index`` makes a run, ``warm_up`` loads what it will need."""
    if not paths:
        raise InputError("nothing to watch: name at least one file or folder")
    ticks = _changes([real_path(path) for path in paths], home, stop)
    return _reports(ticks, lambda: index(*paths), warm_up, on_problem)


def _reports(
    ticks: Iterator[bool],
    index: Callable[[], IngestReport],
    warm_up: Callable[[], None],
    on_problem: Callable[[MinisearchError], None] | None,
) -> Iterator[IngestReport]:
    is_due = is_first = True
    told = ""
    for has_changed in ticks:
        is_due |= has_changed
        if not is_due:
            continue
        try:
            report = index()
        except (IngestError, IndexBusy, ShrinkRefused) as error:
            if on_problem is None:
                raise
            if str(error) != told:  # not again every second
                told = str(error)
                on_problem(error)
            is_due = isinstance(error, IndexBusy)  # whoever writes ends some time; files have to change
            continue
        is_due, told = False, ""
        if is_first:
            warm_up()  # a save has to be found in two seconds, and loading torch alone takes as long
        if is_first or report.added or report.updated or report.removed:
            is_first = False
            yield report


def _changes(paths: Sequence[Path], home: Home, stop: threading.Event | None) -> Iterator[bool]:
    """At once, then whenever something has changed (True) or a second has passed (False), until ``stop``.

    By the time the first comes, the paths are watched: what changes after it is told.  The index's own folder
    does not count.
    """
    try:
        import watchfiles
    except ImportError as error:
        raise InputError("watching needs watchfiles: pip install 'minisearch[watch]'") from error
    logging.getLogger("watchfiles").setLevel(logging.WARNING)
    # An editor puts another file in the place of the old one, so the folder is what has to be watched.
    folders = {str(path if path.is_dir() else path.parent) for path in paths}
    roots, own = {str(path) for path in paths}, {str(home.path)}
    ticks = watchfiles.watch(
        *sorted(folders),
        watch_filter=lambda _, path: is_below(path, roots) and not is_below(path, own),
        debounce=GATHERED_MS,
        step=REST_MS,
        rust_timeout=TICK_MS,
        yield_on_timeout=True,
        stop_event=stop,
        ignore_permission_denied=True,
    )
    return (bool(changed) for changed in ticks)
