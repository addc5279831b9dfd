"""Alerts: standing queries of an index, which report passages that match and that they have not reported yet.

They are kept in the index folder as ``alerts.json``: the texts of the queries, and hashes of the passages
that each has seen.  A query matches the passages that answer it clearly.  `check` is called after each
indexing run; without alerts it reads one small file at most.  What is done with new matches is left to the
caller.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path

from minisearch.errors import InputError, MinisearchError
from minisearch.paths import ALERTS
from minisearch.results import SearchOptions, SearchResult
from minisearch.search.confidence import CONFIDENT_FROM
from minisearch.search.searcher import Searcher

MAX_ALERTS = 100
MAX_MATCHES = 50  # of one query at one time
MAX_SEEN = 5_000  # hashes of passages that an alert keeps
MAX_BYTES = 50_000_000


@dataclass(frozen=True, slots=True)
class Alert:
    """A standing query; ``seen`` are hashes of passages that it has reported."""

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
    >>> for match in ms.alerts.check():  # doctest: +SKIP
    ...     print(match.query, match.results[0].place)
    """

    def __init__(self, searcher: Searcher) -> None:
        self._searcher = searcher

    @property
    def _path(self) -> Path:
        return self._searcher.location.path / ALERTS

    def all(self) -> tuple[Alert, ...]:
        """All alerts, in the order in which they were added; MinisearchError for a damaged file."""
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
        alerts = self.all()
        if query in {one.query for one in alerts}:
            raise InputError("there is such an alert already: minisearch alert list shows all")
        if len(alerts) >= MAX_ALERTS:
            raise InputError(f"there are {MAX_ALERTS} alerts: remove one first")
        matches = self._matches(query)
        self._write((*alerts, Alert(query, tuple(map(_hash, matches)))))
        return len(matches)

    def remove(self, query: str) -> None:
        """Remove an alert by its query; InputError if there is none."""
        alerts = self.all()
        kept = tuple(one for one in alerts if one.query != query)
        if len(kept) == len(alerts):
            raise InputError(f"there is no alert '{query}': minisearch alert list shows all")
        self._write(kept)

    def check(self) -> list[AlertMatch]:
        """The new passages of each alert that has any; they count as reported from now on."""
        alerts = self.all()
        found = [(one, tuple(self._new(one))) for one in alerts]
        if any(results for _, results in found):
            self._write(
                tuple(
                    replace(one, seen=(*one.seen, *map(_hash, results))[-MAX_SEEN:]) for one, results in found
                )
            )
        return [AlertMatch(one.query, results) for one, results in found if results]

    def _new(self, alert: Alert) -> Iterator[SearchResult]:
        seen = set(alert.seen)
        return (one for one in self._matches(alert.query) if _hash(one) not in seen)

    def _matches(self, query: str) -> list[SearchResult]:
        options = SearchOptions(k=MAX_MATCHES, by="chunk", evidence=True)
        return [one for one in self._searcher.query(query, options) if (one.relevance or 0) >= CONFIDENT_FROM]

    def _write(self, alerts: tuple[Alert, ...]) -> None:
        """Write beside, then rename."""
        self._searcher.location.must_exist()
        unfinished = self._path.with_name(f"{ALERTS}.{os.getpid()}")
        content = json.dumps([{"query": one.query, "seen": one.seen} for one in alerts])
        try:
            unfinished.write_text(content, encoding="utf-8")
            unfinished.chmod(0o600)
            unfinished.replace(self._path)
        except OSError as error:
            with suppress(OSError):
                unfinished.unlink()
            raise MinisearchError(f"cannot write {self._path}: {error.strerror}") from error


def _alert(value: dict[str, object]) -> Alert:
    query, seen = value["query"], value["seen"]
    if not isinstance(query, str) or not isinstance(seen, list):
        raise TypeError
    return Alert(query, tuple(map(str, seen)))


def _hash(result: SearchResult) -> str:
    """The same for the same text, wherever it stands in the same file."""
    return blake2b(f"{result.path}\0{result.text}".encode("utf-8", "replace"), digest_size=8).hexdigest()
