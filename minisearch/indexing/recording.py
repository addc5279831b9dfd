"""What an index notes of a run: its beginning and its end, and the files it passed over or left out."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from minisearch.indexing.pipeline import Run, Walked
from minisearch.paths import IndexLocation, is_below
from minisearch.stores.local import LocalStore
from minisearch.types import IngestReport, Skipped


@contextmanager
def recorded(
    run: Run, store: LocalStore, walked: Walked, location: IndexLocation, roots: Collection[Path]
) -> Iterator[None]:
    """Note a run's beginning and its end, however it ends."""
    run_id = store.journal.start_run([location.key(root) for root in roots])
    store.begin_change(run_id)
    outcome = "failed"
    try:
        yield
        outcome = "complete"
    except (KeyboardInterrupt, SystemExit):
        outcome = "interrupted"
        raise
    finally:
        report = run.report()
        if outcome == "complete":
            _note_files(store, run, walked, location, {str(root) for root in roots})
        store.journal.finish_run(run_id, outcome, _counts(report))


def _note_files(
    store: LocalStore, run: Run, walked: Walked, location: IndexLocation, below: Collection[str]
) -> None:
    """Note what the run passed over and left out, in place of what was noted below its roots.

    Only what differs is written: in most runs that is nothing.
    """

    def is_of_run(key: str) -> bool:
        return is_below(location.absolute(key.rstrip("/")), below)

    journal, skipped = store.journal, {one.path: one for one in run.report().skipped}
    reasons, stamps = {one.path: one.reason for one in journal.problems()}, journal.problem_stamps()
    journal.set_problems(
        [path for path in reasons if path not in skipped and is_of_run(path)],
        [
            one
            for path, one in skipped.items()
            if reasons.get(path) != one.reason or stamps.get(path) != run.stamps.get(path)
        ],
        run.stamps,
    )
    left_out = {
        key + "/" * one.is_folder: Skipped(key + "/" * one.is_folder, one.reason)
        for key, one in walked.left_out.items()
    }
    known = {one.path: one.reason for one in journal.left_out()}
    journal.set_left_out(
        [path for path in known if path not in left_out and is_of_run(path)],
        [one for path, one in left_out.items() if known.get(path) != one.reason],
    )


def _counts(report: IngestReport) -> dict[str, int]:
    return {
        "added": report.added,
        "updated": report.updated,
        "unchanged": report.unchanged,
        "removed": report.removed,
        "skipped": len(report.skipped),
    }
