"""The journal of an index: its runs, the files that they skipped, and those left out on purpose."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from types import MappingProxyType

from minisearch.stores.base import FileStamp, SkipStamp
from minisearch.stores.local.connection import Connection
from minisearch.stores.local.sqlite import damaged, path_of
from minisearch.types import RunOutcome, RunRecord, Skipped

MOST_RUNS = 100  # that are listed: a watcher makes thousands


class Journal:
    """The runs of one store, and the files that are not in it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def start_run(self, roots: Sequence[str]) -> int:
        """Record the start of a run and return its number; the last `MOST_RUNS` runs are kept."""
        with self._connection.transaction():
            run_id = self._connection.write(
                "insert into runs (started_at, outcome, roots, pid, counts) values (?, ?, ?, ?, '{}')",
                [_now(), "running", json.dumps(roots), os.getpid()],
            )
            self._connection.write("delete from runs where id <= ?", [run_id - MOST_RUNS])
            return run_id

    def finish_run(self, run_id: int, outcome: RunOutcome, counts: dict[str, int]) -> None:
        """Record how a run ended."""
        with self._connection.transaction():
            self._connection.write(
                "update runs set finished_at = ?, outcome = ?, counts = ? where id = ?",
                [_now(), outcome, json.dumps(counts), run_id],
            )

    def last_run(self) -> RunRecord | None:
        """The latest run, if there was any."""
        rows = self._connection.rows(
            "select started_at, finished_at, outcome, roots, pid, counts from runs order by id desc limit 1"
        )
        if not rows:
            return None
        started_at, finished_at, outcome, roots, pid, counts = rows[0]
        try:
            roots, counts = tuple(json.loads(roots)), dict(json.loads(counts))
            return RunRecord(started_at, finished_at, outcome, roots, int(pid), counts)
        except (ValueError, TypeError, RecursionError) as error:
            raise damaged(self._connection.path, f"the record of its last run: {error}") from error

    def skipped(self) -> list[Skipped]:
        """The skipped files, by path."""
        rows = self._connection.rows("select path, reason, coalesce(n_bytes, 0) from problems order by path")
        return [Skipped(self._path(path), self._path(reason), n_bytes) for path, reason, n_bytes in rows]

    def skip_stamps(self) -> dict[str, SkipStamp]:
        """The recorded state of skipped files, by path; files without one are left out."""
        rows = self._connection.rows(
            "select path, n_bytes, mtime_ns, ctime_ns, read_at_ns, ingest, n_crashes from problems "
            "where ingest is not null"
        )
        return {
            self._path(path): SkipStamp(FileStamp(*stamp), ingest, n_crashes)
            for path, *stamp, ingest, n_crashes in rows
        }

    def set_skipped(
        self,
        forget: Iterable[str],
        skipped: Iterable[Skipped],
        stamps: Mapping[str, SkipStamp] = MappingProxyType({}),
    ) -> None:
        """Delete the records of some paths, then add those of skipped files, with their stamps if given."""
        gone = [(os.fsencode(path),) for path in forget]
        rows = [
            (os.fsencode(one.path), os.fsencode(one.reason), *_columns(stamps.get(one.path)))
            for one in skipped
        ]
        with self._connection.transaction():
            self._connection.write_many("delete from problems where path = ?", gone)
            self._connection.write_many(
                "insert or replace into problems "
                "(path, reason, n_bytes, mtime_ns, ctime_ns, read_at_ns, ingest, n_crashes) "
                "values (?, ?, ?, ?, ?, ?, ?, ?)",
                rows,
            )

    def left_out(self) -> list[Skipped]:
        """The files and folders left out on purpose, by path."""
        rows = self._connection.rows("select path, reason from left_out order by path")
        return [Skipped(self._path(path), self._path(reason)) for path, reason in rows]

    def set_left_out(self, forget: Iterable[str], left_out: Iterable[Skipped]) -> None:
        """Delete the records of some paths, then add those of files and folders left out."""
        gone = [(os.fsencode(path),) for path in forget]
        rows = [(os.fsencode(one.path), os.fsencode(one.reason)) for one in left_out]
        with self._connection.transaction():
            self._connection.write_many("delete from left_out where path = ?", gone)
            self._connection.write_many("insert or replace into left_out (path, reason) values (?, ?)", rows)

    def _path(self, stored: object) -> str:
        return path_of(stored, self._connection.path)


def _columns(skip: SkipStamp | None) -> tuple[int | str | None, ...]:
    if skip is None:
        return (None, None, None, None, None, 0)
    stamp = skip.stamp
    return stamp.n_bytes, stamp.mtime_ns, stamp.ctime_ns, stamp.read_at_ns, skip.ingest, skip.n_crashes


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
