"""What of a run's report its user has not been told before.

What the store knows of the files before a run, and what the run says of them, come in; the names of those of
which it says nothing new go out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from minisearch.stores.local import LocalStore
from minisearch.types import Note, Skipped

Remarks = Mapping[str, set[str]]


def remarks(skipped: Iterable[Skipped], notes: Iterable[Note]) -> Remarks:
    """All that is said of each file: why it was passed over, what was noted of it."""
    said = defaultdict(set)
    for one in skipped:
        said[one.path].add(one.reason)
    for note in notes:
        said[note.path].add(note.text)
    return said


def told_before(store: LocalStore) -> Remarks:
    """What the last run has said of files; nothing where it was cut short, since it has told nobody."""
    last = store.journal.last_run()
    if last is None or last.outcome != "complete":
        return {}
    return remarks(store.journal.problems(), store.notes())


def as_before(before: Remarks, now: Remarks) -> list[str]:
    """The files of which the same is said now, in order."""
    return sorted(path for path, said in now.items() if before.get(path) == said)
