"""Watch files and folders: paths go in, a report of each indexing run comes out, after every change.

Every change starts a run over all paths, which takes less than a second for thousands of unchanged files.  So
no change is missed, even if the system's notifications are incomplete.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

from minisearch.errors import (
    IndexBusy,
    IngestError,
    InputError,
    MinisearchError,
    ShrinkRefused,
    install_line,
)
from minisearch.paths import IndexLocation, is_below, real_path
from minisearch.types import IngestReport

# A saved file should be indexed within two seconds.  Changes are collected for at most half a second, or
# until there is a short pause (an editor writes, renames and touches a file within some milliseconds).
GATHERED_MS = 500
REST_MS = 100
TICK_MS = 1_000
# On Linux a recursive watch of watchfiles follows symbolic links: a link to / takes many seconds, or all the
# inotify watches of the system, and reports changes under other paths.  So each folder is watched by itself.
# On macOS, FSEvents watches a whole tree, and thousands of single folders would be slow.
FOLLOWS_LINKS = sys.platform != "darwin"


logger = logging.getLogger(__name__)


def watch(
    location: IndexLocation,
    index: Callable[..., IngestReport],
    paths: Sequence[str | os.PathLike[str]],
    *,
    warm_up: Callable[[], None],
    stop: threading.Event | None,
    on_problem: Callable[[MinisearchError], None] | None,
) -> Iterator[IngestReport]:
    """`MiniSearch.watch`; ``index`` starts a run, ``warm_up`` loads the model."""
    if not paths:
        raise InputError("nothing to watch: name at least one file or folder")
    ticks = _changes([real_path(path) for path in paths], location, stop)
    return _reports(ticks, lambda: index(*paths), warm_up, on_problem)


def _reports(
    ticks: Iterator[bool],
    index: Callable[[], IngestReport],
    warm_up: Callable[[], None],
    on_problem: Callable[[MinisearchError], None] | None,
) -> Iterator[IngestReport]:
    is_due = is_first = True
    last_problem = ""
    for has_changed in ticks:
        is_due |= has_changed
        if not is_due:
            continue
        try:
            report = index()
        except (IngestError, IndexBusy, ShrinkRefused) as error:
            if on_problem is None:
                raise
            if str(error) != last_problem:  # not again every second
                last_problem = str(error)
                on_problem(error)
            is_due = isinstance(
                error, IndexBusy
            )  # try again when the index is busy; otherwise wait for a change
            continue
        is_due, last_problem = False, ""
        if is_first or report.added or report.updated or report.removed:
            yield report
        if is_first:
            is_first = False
            warm_up()  # loading torch alone takes two seconds


def _changes(paths: Sequence[Path], location: IndexLocation, stop: threading.Event | None) -> Iterator[bool]:
    """First True; then True for each change and False for each second without one, until ``stop``.

    The paths are watched before the first value is yielded, so no later change is missed.  Changes in the
    index folder are ignored.
    """
    try:
        import watchfiles
    except ImportError as error:
        raise InputError(f"watching needs watchfiles: {install_line('watch')}") from error
    logging.getLogger("watchfiles").setLevel(logging.WARNING)
    roots, own = {str(path) for path in paths}, str(location.path)
    watched = partial(
        watchfiles.watch,
        watch_filter=lambda _, path: is_below(path, roots) and not is_below(path, {own}),
        debounce=GATHERED_MS,
        step=REST_MS,
        rust_timeout=TICK_MS,
        yield_on_timeout=True,
        stop_event=stop,
        ignore_permission_denied=True,
        recursive=not FOLLOWS_LINKS,
    )
    return _ticks(watched, lambda: _folders(paths, own))


def _ticks(
    watched: Callable[..., Generator[Collection[object], None, None]], find: Callable[[], set[str]]
) -> Iterator[bool]:
    """The changes in the folders that ``find`` returns; it is called again after each change."""
    warned: set[str] = set()
    while True:
        folders, is_new = find(), True
        nameless = {folder for folder in folders if not _is_text(folder)}
        for folder in sorted(nameless - warned):
            logger.warning(
                "cannot watch %s: its name is not valid text; the next run over it reads it", folder
            )
        warned |= nameless
        with _passing(), closing(watched(*sorted(folders - nameless))) as ticks:
            for changed in ticks:
                yield bool(changed) or is_new  # new folders may have changed before they were watched
                if (changed or is_new) and find() != folders:
                    break
                is_new = False
            else:
                return


@contextmanager
def _passing() -> Iterator[None]:
    """Ignore an error that ends one watch: the next one replaces it."""
    try:
        yield
    except FileNotFoundError:  # a folder was deleted before it was watched
        pass
    except RuntimeError as error:  # from watchfiles, for a changed file whose name is not valid text
        if "Unable to decode path" not in str(error):
            raise


def _is_text(name: str) -> bool:
    return name.encode("utf-8", "replace") == os.fsencode(name)


def _folders(paths: Sequence[Path], own: str) -> set[str]:
    """The folders to watch that exist."""
    # An editor may replace a file by a new one, so its folder must be watched.
    tops = {str(path if path.is_dir() else path.parent) for path in paths}
    if not FOLLOWS_LINKS:
        return set(filter(os.path.isdir, tops))
    below = [path for path in paths if path.is_dir()]
    walked = (folder for path in below for folder, _, _ in os.walk(path) if not is_below(folder, {own}))
    return set(filter(os.path.isdir, tops)) | set(walked)
