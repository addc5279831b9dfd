"""A process that changes an index, to be killed, starved or interrupted from outside.

    python -m tests.faults.actor index INDEX FOLDER
    python -m tests.faults.actor rebuild INDEX BACKEND
    python -m tests.faults.actor remove INDEX PATH

Every document that the store has taken, or let go, is told on standard output, one line each, the moment that
its transaction is over: ``put PATH SHA256`` or ``removed N``; ``done`` at the end.  So whoever reads knows
what was acknowledged.  With HELD_AFTER=N in the environment it waits after its N-th line for what is to come.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
from collections.abc import Iterable
from pathlib import Path

from minisearch import MiniSearch
from minisearch.errors import MinisearchError
from minisearch.stores.local import LocalStore
from tests.fakes import HashingEncoder

LINES = itertools.count(1)
HELD_AFTER = int(os.environ.get("HELD_AFTER", "0"))


def tell(*words: object) -> None:
    os.write(1, (" ".join(map(str, words)) + "\n").encode("utf-8", "surrogateescape"))
    if next(LINES) == HELD_AFTER:
        signal.pause()


def watch_the_store() -> None:
    """Tell of every change that the store has acknowledged."""
    put, remove = LocalStore.put, LocalStore.remove

    def told_put(self: LocalStore, document, *rest, **options):
        put(self, document, *rest, **options)
        tell("put", document.path, document.sha256.hex())

    def told_remove(self: LocalStore, document_ids: Iterable[int], **options):
        ids = list(document_ids)
        remove(self, ids, **options)
        tell("removed", len(ids))

    LocalStore.put, LocalStore.remove = told_put, told_remove  # type: ignore[method-assign]


def main(action: str, index: str, *arguments: str) -> int:
    watch_the_store()
    tell("ready")
    try:
        with MiniSearch(Path(index), encoder=HashingEncoder()) as ms:
            if action == "index":
                ms.index(*arguments, prune=True)
            elif action == "rebuild":
                ms.rebuild(*arguments)
            elif action == "remove":
                ms.remove(*arguments)
            else:
                raise SystemExit(f"unknown action {action}")
    except MinisearchError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    tell("done")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
