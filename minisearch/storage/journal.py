"""What happened to an index: its runs, and the files they passed over or could not keep whole."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from datetime import datetime, timezone

from minisearch.storage.connection import Connection
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
        return RunRecord(started_at, finished_at, outcome, tuple(json.loads(roots)), pid, json.loads(counts))

    def problems(self) -> tuple[list[Skipped], list[Skipped]]:
        """Files passed over, and notes about files that were indexed, each by path."""
        rows = self._connection.rows("select path, reason, is_indexed from problems order by path")
        skipped = [Skipped(os.fsdecode(row[0]), row[1]) for row in rows if not row[2]]
        return skipped, [Skipped(os.fsdecode(row[0]), row[1]) for row in rows if row[2]]

    def set_problems(
        self, forget: Iterable[str], skipped: Iterable[Skipped], notes: Iterable[Skipped]
    ) -> None:
        """Forget what was noted of some paths, then note anew."""
        rows = [(os.fsencode(note.path), note.reason, 1) for note in notes]
        rows += [(os.fsencode(problem.path), problem.reason, 0) for problem in skipped]
        with self._connection.transaction():
            self._connection.write_many(
                "delete from problems where path = ?", [(os.fsencode(path),) for path in forget]
            )
            self._connection.write_many(
                "insert or replace into problems (path, reason, is_indexed) values (?, ?, ?)", rows
            )


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
