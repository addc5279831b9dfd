"""What happened to an index: its runs, and the files they passed over."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from datetime import datetime, timezone

from minisearch.storage.connection import Connection, damaged
from minisearch.types import RunRecord, Skipped


class Journal:
    """The runs and problems of one store."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def start_run(self, roots: Sequence[str]) -> int:
        """Note that a run has begun; its number."""
        with self._connection.transaction():
            return self._connection.write(
                "insert into runs (started_at, outcome, roots, pid, counts) values (?, ?, ?, ?, '{}')",
                [_now(), "running", json.dumps(roots), os.getpid()],
            )

    def finish_run(self, run_id: int, outcome: str, counts: dict[str, int]) -> None:
        """Note how a run ended."""
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
        except (ValueError, TypeError) as error:
            raise damaged(self._connection.path, f"the record of its last run: {error}") from error

    def problems(self) -> list[Skipped]:
        """The files passed over, by path."""
        rows = self._connection.rows("select path, reason from problems order by path")
        return [Skipped(os.fsdecode(path), reason) for path, reason in rows]

    def set_problems(self, forget: Iterable[str], skipped: Iterable[Skipped]) -> None:
        """Forget that some paths were passed over, then note anew."""
        gone = [(os.fsencode(path),) for path in forget]
        rows = [(os.fsencode(problem.path), problem.reason) for problem in skipped]
        with self._connection.transaction():
            self._connection.write_many("delete from problems where path = ?", gone)
            self._connection.write_many("insert or replace into problems (path, reason) values (?, ?)", rows)


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
