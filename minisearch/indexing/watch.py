"""Watch files and folders: paths go in, a report of each indexing run comes out, after every change.

Which file changed does not matter: a run walks the folders anyway, and over thousands of unchanged files that
takes less than a second.  So nothing is missed, whatever the system's notifications leave out.
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

from minisearch.errors import IndexBusy, IngestError, InputError, MinisearchError, ShrinkRefused
from minisearch.paths import IndexLocation, is_below, real_path
from minisearch.types import IngestReport

# A save should be in the index two seconds later: changes are gathered for at most half a second, and less
# when there is a moment of rest (an editor writes, renames and touches a file within some milliseconds).
GATHERED_MS = 500
REST_MS = 100
TICK_MS = 1_000
# Below watchfiles, inotify is given every folder of a tree, through symbolic links too: one to / takes it
# many seconds, or all the watches there are, and changes then have other names. So it is given the folders
# themselves. FSEvents takes a tree as it is, and would be slow with thousands of them.
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
    """`MiniSearch.watch`; ``index`` makes a run, ``warm_up`` loads what it will need."""
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
            is_due = isinstance(error, IndexBusy)  # the other writer ends some time; files have to change
            continue
        is_due, last_problem = False, ""
        if is_first or report.added or report.updated or report.removed:
            yield report
        if is_first:
            is_first = False
            warm_up()  # a save has to be found in two seconds, and loading torch alone takes as long


def _changes(paths: Sequence[Path], location: IndexLocation, stop: threading.Event | None) -> Iterator[bool]:
    """First True; then True for each change and False for each second without one, until ``stop``.

    The paths are watched before the first value comes, so no later change is missed.  Changes in the index's
    own folder do not count.
    """
    try:
        import watchfiles
    except ImportError as error:
        raise InputError("watching needs watchfiles: pip install 'minisearch[watch]'") from error
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
    """The changes in the folders that ``find`` returns, which is called again after each."""
    warned: set[str] = set()
    while True:
        folders, is_new = find(), True
        nameless = {folder for folder in folders if not _is_text(folder)}
        for folder in sorted(nameless - warned):
            logger.warning("cannot watch %s: its name is no text; the next run over it reads it", folder)
        warned |= nameless
        with _passing(), closing(watched(*sorted(folders - nameless))) as ticks:
            for changed in ticks:
                yield bool(changed) or is_new  # nobody has seen what changed before they were watched
                if (changed or is_new) and find() != folders:
                    break
                is_new = False
            else:
                return


@contextmanager
def _passing() -> Iterator[None]:
    """Ignore an error that ends one watch: another takes its place."""
    try:
        yield
    except FileNotFoundError:  # a folder has gone before it was watched
        pass
    except RuntimeError as error:  # watchfiles' own kind of it, for a change to what has no text for a name
        if "Unable to decode path" not in str(error):
            raise


def _is_text(name: str) -> bool:
    return name.encode("utf-8", "replace") == os.fsencode(name)


def _folders(paths: Sequence[Path], own: str) -> set[str]:
    """The folders to watch, as far as they are there."""
    # An editor puts another file in the place of the old one, so the folder is what has to be watched.
    tops = {str(path if path.is_dir() else path.parent) for path in paths}
    if not FOLLOWS_LINKS:
        return set(filter(os.path.isdir, tops))
    below = [path for path in paths if path.is_dir()]
    walked = (folder for path in below for folder, _, _ in os.walk(path) if not is_below(folder, {own}))
    return set(filter(os.path.isdir, tops)) | set(walked)
