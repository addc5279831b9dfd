"""What an index may open because it says so: what lies beside it, and what the user has named to it, here.

An index names folders, files and a model, and it may be anybody's: unpacked, cloned, found on a share.  Paths
that a user names are opened whatever they are; those that only the index names come here first.
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterable, Sequence, Set
from contextlib import suppress

from minisearch.errors import InputError
from minisearch.minilm.catalog import find
from minisearch.paths import INDEX_FOLDER, IndexLocation, is_below, is_ours, quoted
from minisearch.stores.local import Store

FACT = "named"
MOST_NAMED = 8  # in one message


def places(store: Store, location: IndexLocation) -> frozenset[str]:
    """Real paths: what is one of them or lies below one may be opened.

    The user has named them to the index where it is now; and beside a ``.minisearch``, nobody need.
    """
    # The fact counts only where the index folder has the inode and the path that it had when we wrote it, and
    # is our own. So it does not count in a copy, however made; moved or restored, an index asks once. Whoever
    # makes an index to harm chooses all that is in it, but would have to guess both of the place it will get.
    # This is no secret: who can write into the folder where it is now can forge it. No device number, since
    # they change when a disk is mounted again.
    beside = _beside(location)
    with suppress(ValueError, TypeError, RecursionError):  # damaged or forged: nothing was named
        here, named = json.loads(store.meta().get(FACT, ""))
        if is_ours(location.path) and here == _here(location):
            return beside | frozenset(named)
    return beside


def may_open(path: str, allowed: Set[str]) -> bool:
    """Whether a path leads to one of these places, through whatever links and ``..`` it goes."""
    try:
        return is_below(os.path.realpath(path), allowed)
    except ValueError:  # a name with a NUL
        return False


def check_roots(store: Store, location: IndexLocation, roots: Sequence[str]) -> None:
    """InputError when an index that follows these absolute paths may not open them all."""
    allowed = places(store, location)
    closed = [root for root in roots if not may_open(root, allowed)]
    if closed:
        shown = shlex.join(closed[:MOST_NAMED]) + " ..." * (len(closed) > MOST_NAMED)
        raise InputError(
            f"the index in {location.folder} follows {shown}, which nobody has named to it here: it "
            f"may be another's, copied or moved. Name what is to be read, {_how_often(location)}: "
            f"minisearch index {shown}{location.option}; "
            f"take out others: minisearch remove PATH{location.option}"
        )


def check_model(location: IndexLocation, model: str) -> None:
    """InputError when an index that says it was made with this model may not open its folder."""
    if find(model) is not None or not location.exists():  # a name means the same to everybody
        return
    with Store(location.database) as store:
        allowed = places(store, location)
    if not may_open(os.path.expanduser(model), allowed):  # noqa: PTH111 - as the catalog does
        raise InputError(
            f"the index in {location.folder} was made with the model in {model}, which nobody has named "
            f"to it here: it may be another's, copied or moved. If that is to be opened, "
            f"name it {_how_often(location)}: minisearch index PATH --model {quoted(model)}{location.option}"
        )


def write_named(store: Store, location: IndexLocation, paths: Iterable[str | os.PathLike[str]]) -> None:
    """Remember that the user has named these, too."""
    allowed = places(store, location)
    new = {os.path.realpath(path) for path in paths if not may_open(os.fspath(path), allowed)}
    said = json.dumps([_here(location), sorted((allowed | new) - _beside(location))])
    if store.meta().get(FACT) != said:
        store.set_meta(**{FACT: said})


def _how_often(location: IndexLocation) -> str:
    if is_ours(location.path):
        return "once"
    return (
        f"each time, as the index is another user's (uid {location.path.stat().st_uid}; chown makes it yours)"
    )


def _here(location: IndexLocation) -> list[object]:
    return [location.path.stat().st_ino, str(location.path)]


def _beside(location: IndexLocation) -> frozenset[str]:
    """The folder that a ``.minisearch`` is for; one of another name may lie in anything, as in a home."""
    return frozenset({str(location.path.parent)} if location.path.name == INDEX_FOLDER else ())
