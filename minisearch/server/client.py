"""Ask a running server of an index for a query's results, over the socket in the index folder.

A query and its options go in; the results come out, or None where no server can be asked: the caller then
searches itself.  One line of JSON goes each way.  Imports no NumPy.  The other end is `listener`.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import stat
import struct
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Literal

import minisearch
from minisearch.paths import IndexLocation
from minisearch.results import Evidence, Place, Query, SearchOptions, SearchResult, SearchResults, Trace

if TYPE_CHECKING:
    from minisearch.filters import Filter
    from minisearch.types import RunOutcome

logger = logging.getLogger(__name__)

# A query that takes a server longer is answered sooner in a new process; one with a reranker is not.
PATIENCE_S, PATIENCE_RERANK_S = 1.0, 20.0
MAX_ANSWER = 64 * 2**20  # bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """The results of a query, and how the last indexing run ended ("" without one)."""

    found: SearchResults
    outcome: RunOutcome | Literal[""]


def ask(
    location: IndexLocation,
    query: str | Query,
    options: SearchOptions,
    *,
    meanwhile: Callable[[], None] = lambda: None,
) -> Answer | None:
    """The answer of a server of this index; None without one, or if it has no results or takes too long.

    Path patterns in the filter must be those of stored paths.  The paths of the results are shown as those of
    a search in this process.  ``meanwhile`` is called while the server searches.
    """
    try:
        request = json.dumps(
            {
                "version": minisearch.__version__,
                "index": str(location.path),
                "query": query if isinstance(query, str) else plain(query),
                "options": plain(options),
            }
        )
        patience_s = PATIENCE_S if options.rerank is None else PATIENCE_RERANK_S
        answer = json.loads(_exchanged(location, request.encode(), patience_s, meanwhile))
        return Answer(_results(answer["found"], location), answer["outcome"]) if answer["found"] else None
    except Exception as error:  # whatever is wrong with a server, the caller can do without it
        logger.info("no server was asked: %s", error)
        return None


def _exchanged(
    location: IndexLocation, request: bytes, patience_s: float, meanwhile: Callable[[], None]
) -> bytes:
    """The line that a server sends back; OSError if there is none, or if the socket is not our own."""
    about = location.socket.lstat()
    if not stat.S_ISSOCK(about.st_mode) or about.st_uid != os.geteuid():
        raise OSError("the socket is another user's")
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(patience_s)
        connection.connect(address(location))
        if not is_of_this_user(connection):
            raise OSError("the server is another user's")
        connection.sendall(request + b"\n")
        meanwhile()
        with connection.makefile("rb") as stream:
            return stream.readline(MAX_ANSWER)


def address(location: IndexLocation, suffix: str = "") -> str:
    """The shorter path of the socket: the system takes about a hundred bytes."""
    path = f"{location.socket}{suffix}"
    return min(path, os.path.relpath(path), key=len)


def is_of_this_user(connection: socket.socket) -> bool:
    """Whether the process at the other end runs as this user; where the system cannot tell, yes."""
    if not hasattr(socket, "SO_PEERCRED"):
        return True
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _pid, uid, _gid = struct.unpack("3i", credentials)
    return bool(uid == os.geteuid())


# --- as JSON ---------------------------------------------------------------------------------------------


def plain(value: Query | SearchOptions) -> dict[str, Any]:
    """A query or the options of a search for JSON."""
    found = {one.name: getattr(value, one.name) for one in fields(value)}
    if found.get("where") is not None:
        found["where"] = plain_filter(found["where"])
    return found


def plain_filter(where: Any) -> Any:  # noqa: ANN401 - a condition, or a part of one
    """A condition for JSON: a list of its name and its parts."""
    from minisearch.filters import Filter  # which most queries do not need

    if isinstance(where, Filter):
        parts = (getattr(where, one.name) for one in fields(where))  # type: ignore[arg-type]
        return [type(where).__name__, *map(plain_filter, parts)]
    if isinstance(where, tuple):
        return list(map(plain_filter, where))
    return where.astimezone().isoformat() if hasattr(where, "astimezone") else where


def filter_of(value: list[Any]) -> Filter:
    """The condition that `plain_filter` made a list of."""
    from datetime import datetime

    from minisearch import filters

    name, *parts = value
    leaves = ("StoredPath", "Extension", "Language", "Field", "Contains")
    if name in {"Since", "Before"}:
        parts = list(map(datetime.fromisoformat, parts))
    elif name == "Not":
        parts = list(map(filter_of, parts))
    elif name in {"And", "Or"}:
        parts = [tuple(map(filter_of, parts[0]))]
    elif name not in leaves:
        raise ValueError(f"no condition is called {name}")
    found: Filter = getattr(filters, name)(*parts)
    return found


def query_of(value: str | dict[str, Any]) -> str | Query:
    """The query that `plain` made a dict of, or a text."""
    if isinstance(value, str):
        return value
    required, excluded = tuple(value["required"]), tuple(value["excluded"])
    return Query(value["text"], required, excluded, tuple(map(tuple, value["steers"])))


def options_of(value: dict[str, Any]) -> SearchOptions:
    """The options that `plain` made a dict of."""
    where = value["where"]
    return SearchOptions(**value | {"where": None if where is None else filter_of(where)})


def _results(found: dict[str, Any], location: IndexLocation) -> SearchResults:
    """The results with the paths as this process shows them; a server sends stored names."""

    def result(one: dict[str, Any]) -> SearchResult:
        hit = SearchResult(**{name: value for name, value in one.items() if name != "place"})
        return replace(
            hit,
            path=location.shown(hit.path),
            evidence=None if hit.evidence is None else Evidence(**one["evidence"]),
            trace=Trace(**one["trace"]),
            merged=tuple(Place(**place | {"path": location.shown(place["path"])}) for place in one["merged"]),
        )

    others: dict[str, Any]
    others = {name: tuple(value) if isinstance(value, list) else value for name, value in found.items()}
    return SearchResults(**others | {"results": tuple(map(result, found["results"])), "query": _query(found)})


def _query(found: dict[str, Any]) -> Query:
    query = query_of(found["query"])
    assert isinstance(query, Query), "results hold a parsed query"
    return query
