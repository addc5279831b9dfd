"""Alerts: standing queries of an index, which report passages that match and that they have not reported yet.

They are kept in the index folder as ``alerts.json``: the texts of the queries, and hashes of the passages
that each has seen.  A query matches the passages that answer it clearly.  `check` is called after each
indexing run; without alerts it reads one small file at most.  What is done with new matches is left to the
caller.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path

from minisearch.errors import InputError, MinisearchError
from minisearch.paths import ALERTS
from minisearch.results import SearchOptions, SearchResult
from minisearch.search.confidence import CONFIDENT_FROM
from minisearch.search.query import parse_query
from minisearch.search.searcher import Searcher

MAX_ALERTS = 100
MAX_MATCHES = 500  # passages of one query that are looked at
MAX_SEEN = 5_000  # hashes of passages that an alert keeps
MAX_BYTES = 50_000_000


@dataclass(frozen=True, slots=True)
class Alert:
    """A standing query; ``seen`` are hashes of the passages that it has reported."""

    query: str
    seen: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AlertMatch:
    """New passages for a standing query, best first."""

    query: str
    results: tuple[SearchResult, ...]


class Alerts:
    """The alerts of one index.

    >>> ms.alerts.add("deadline moved")  # doctest: +SKIP
    >>> ms.index("notes")  # doctest: +SKIP
    >>> new = ms.alerts.check()  # doctest: +SKIP
    >>> print(new[0].query, new[0].results[0].place)  # doctest: +SKIP
    >>> ms.alerts.mark_reported(new)  # doctest: +SKIP
    """

    def __init__(self, searcher: Searcher) -> None:
        self._searcher = searcher

    @property
    def _path(self) -> Path:
        return self._searcher.location.path / ALERTS

    def all(self) -> tuple[Alert, ...]:
        """All alerts, in the order in which they were added; MinisearchError for a damaged file."""
        self._searcher.location.must_exist()
        try:
            with self._path.open("rb") as file:
                content = file.read(MAX_BYTES)
            return tuple(map(_alert, json.loads(content)))
        except FileNotFoundError:
            return ()
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise MinisearchError(f"{self._path} is damaged: delete it, and add the alerts again") from error

    def add(self, query: str) -> int:
        """Add a standing query; returns how many passages match now, which are not reported.

        Raises InputError for a query that is no query or is there already, and if there are too many.
        """
        seen = tuple(map(_hash, self._matches(query)))

        def change(alerts: tuple[Alert, ...]) -> tuple[Alert, ...]:
            if query in {one.query for one in alerts}:
                raise InputError("there is such an alert already: minisearch alert list shows all")
            if len(alerts) >= MAX_ALERTS:
                raise InputError(f"there are {MAX_ALERTS} alerts: remove one first")
            return (*alerts, Alert(query, seen))

        self._change(change)
        return len(seen)

    def remove(self, query: str) -> None:
        """Remove an alert by its query; InputError if there is none."""

        def change(alerts: tuple[Alert, ...]) -> tuple[Alert, ...]:
            kept = tuple(one for one in alerts if one.query != query)
            if len(kept) == len(alerts):
                raise InputError(f"there is no alert '{query}': minisearch alert list shows all")
            return kept

        self._change(change)

    def check(self) -> list[AlertMatch]:
        """The new passages of each alert that has any; they are new until `mark_reported`."""
        found = []
        for one in self.all():
            seen = set(one.seen)
            new = {hit.chunk_id for hit in self._matches(one.query) if _hash(hit) not in seen}
            if new:
                hits = [hit for hit in self._matches(one.query, evidence=True) if hit.chunk_id in new]
                found.append(AlertMatch(one.query, tuple(hits)))
        return found

    def mark_reported(self, matches: Sequence[AlertMatch]) -> None:
        """Report these passages no more."""
        hashes = {match.query: tuple(map(_hash, match.results)) for match in matches}
        if hashes:
            self._change(
                lambda alerts: tuple(
                    replace(one, seen=(*one.seen, *hashes.get(one.query, ()))[-MAX_SEEN:]) for one in alerts
                )
            )

    def _matches(self, query: str, *, evidence: bool = False) -> list[SearchResult]:
        """The passages that answer a query; its spelling is as it was given, as its words may come later."""
        options = SearchOptions(k=MAX_MATCHES, by="chunk", evidence=evidence)
        found = self._searcher.query(parse_query(query), options)
        return [one for one in found if (one.relevance or 0) >= CONFIDENT_FROM]

    def _change(self, change: Callable[[tuple[Alert, ...]], tuple[Alert, ...]]) -> None:
        """Replace the alerts by what a function makes of them; other processes wait meanwhile."""
        self._searcher.location.must_exist()
        try:
            descriptor = os.open(self._path.parent, os.O_RDONLY)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                content = json.dumps([{"query": one.query, "seen": one.seen} for one in change(self.all())])
                unfinished = self._path.with_name(f"{ALERTS}.{os.getpid()}")
                unfinished.write_text(content, encoding="utf-8")
                unfinished.chmod(0o600)
                unfinished.replace(self._path)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise MinisearchError(f"cannot write {self._path}: {error.strerror}") from error


def _alert(value: dict[str, object]) -> Alert:
    query, seen = value["query"], value["seen"]
    if not isinstance(query, str) or not isinstance(seen, list):
        raise TypeError
    return Alert(query, tuple(map(str, seen)))


def _hash(result: SearchResult) -> str:
    """The same for the same text, wherever it stands: a passage that was moved or copied is not new."""
    return blake2b(result.text.encode("utf-8", "replace"), digest_size=8).hexdigest()
