"""A process that uses indexes in every way, and tells what it opened that lies outside of them.

    python -m tests.faults.observed ROOT ...

A root has documents in ``here/docs``, their index in ``here/index``, and ``outside``, which is nobody's
business.  One line of JSON a verb and root: root, verb, ``done``, ``refused`` (by a named error), ``wrong``,
and the words of the error; the last line is a list of the files outside that were opened, by links too.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from minisearch import MiniSearch
from minisearch.errors import MinisearchError
from tests.fakes import HashingEncoder

OPENING = {"open", "sqlite3.connect", "os.rename", "os.remove", "os.chmod", "os.truncate", "os.listdir"} | {
    "os.scandir"
}


def main(*roots: str) -> None:
    logging.disable()
    opened: list[str] = []
    outside = tuple(os.path.realpath(os.path.join(root, "outside")) for root in roots)

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if event not in OPENING or not arguments or not isinstance(arguments[0], str | bytes | os.PathLike):
            return
        if event == "open" and (arguments[2] or 0) & os.O_NOFOLLOW:
            return
        name = os.fsdecode(arguments[0]).removeprefix("file://").partition("?")[0]
        # What these do, they do to a link itself.
        of = os.path.dirname(name) if event in {"os.rename", "os.remove"} else name
        if os.path.realpath(of).startswith(outside):
            opened.append(f"{event} {name}")

    sys.addaudithook(watch)
    for root in roots:
        here = Path(root) / "here"
        for verb, use in verbs(here / "index", here / "docs").items():
            print(json.dumps([root, verb, *outcome(use)]), flush=True)
    print(json.dumps(opened))


def verbs(index: Path, documents: Path) -> dict[str, Callable[[], object]]:
    """Every way to use an index, asking first."""

    def using(use: Callable[[MiniSearch], object]) -> Callable[[], object]:
        def run() -> object:
            with MiniSearch(index, encoder=HashingEncoder()) as ms:
                return use(ms)

        return run

    return {
        "status": using(lambda ms: ms.status()),
        "query": using(lambda ms: [ms.query("w1 w2", mode=mode) for mode in ("dense", "lexical", "hybrid")]),
        "coverage": using(lambda ms: ms.coverage()),
        "verify": using(lambda ms: ms.verify(2)),
        "backup": using(lambda ms: ms.backup(index.parent / "backup.db")),
        "index": using(lambda ms: ms.index(documents)),
        "refresh": using(lambda ms: ms.refresh()),
        "rebuild": using(lambda ms: ms.rebuild("faiss")),
        "query again": using(lambda ms: ms.query("w1 w2")),
        "remove": using(lambda ms: ms.remove(documents / "d0001.md")),
        "rollback": using(lambda ms: ms.rollback()),
    }


def outcome(use: Callable[[], object]) -> tuple[str, str]:
    try:
        use()
    except MinisearchError as error:
        return "refused", str(error)
    except BaseException as error:
        return "wrong", f"{type(error).__name__}: {error}"
    return "done", ""


if __name__ == "__main__":
    main(*sys.argv[1:])
