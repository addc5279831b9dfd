"""A run that would remove much of an index is stopped before it does: a disk may only be unmounted.

What is stored and what a walk found come in; a refusal goes out, before the run and once more after all is
read, for some losses only show then.  A file that was moved is not lost: one of the same bytes has come.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

from minisearch.errors import IndexCorrupt, IngestError, ShrinkRefused
from minisearch.files.selection import FileChoice
from minisearch.files.walk import Found
from minisearch.parsers import read_bytes
from minisearch.paths import IndexLocation, is_below, quoted
from minisearch.stores.base import StoredDocument
from minisearch.stores.local import LocalStore

# Of an index's documents, and of those below each root, so many may go in one run without a word; but one may
# always: whoever keeps two files and deletes one has not lost a disk.
MOST = 0.2
# A slow `rm -rf` under `watch` is many small runs, so a day's losses are counted together; a handful of files
# that are deleted one by one is a day's work.
DAY_S = 86_400
HANDFUL = 10

FACT = "losses"


@dataclass(frozen=True, slots=True)
class Losses:
    """What runs have lost within a day of ``since_s``, of the ``n_documents`` there were then."""

    since_s: int
    n_documents: int
    n_lost: int = 0

    def __post_init__(self) -> None:
        if not all(isinstance(n, int) and n >= 0 for n in (self.since_s, self.n_documents, self.n_lost)):
            raise ValueError("no whole numbers")


def read_losses(store: LocalStore, location: IndexLocation) -> Losses | None:
    """Those of the last day; None where there are none."""
    said = store.meta().get(FACT, "")
    if not said:
        return None
    try:
        losses = Losses(**json.loads(said))
    except (ValueError, TypeError, RecursionError) as error:
        raise IndexCorrupt(
            f"the index in {location.folder} is damaged (its {FACT}: {error}): index again"
        ) from error
    return losses if 0 <= time.time() - losses.since_s < DAY_S else None


def write_losses(store: LocalStore, losses: Losses | None) -> None:
    """Remember these instead."""
    said = json.dumps(asdict(losses)) if losses else ""
    if store.meta().get(FACT, "") != said:
        store.set_meta(**{FACT: said})


def vanished(
    stored: Mapping[str, StoredDocument],
    files: Collection[str],
    unreadable: Collection[str],
    location: IndexLocation,
    roots: Collection[str],
) -> list[str]:
    """Documents below the roots that are no longer among the files to read, in order.

    What lies below an unreadable path may still be there, and is not among them.
    """
    gone = sorted(stored.keys() - files)
    places = ((key, location.absolute(key)) for key in gone)
    return [key for key, place in places if is_below(place, roots) and not is_below(place, unreadable)]


def moves(
    gone: Sequence[str], stored: Mapping[str, StoredDocument], files: Mapping[str, Found]
) -> dict[str, str]:
    """Of the documents that are gone, those whose very bytes a new or changed file has, with that file.

    Each file stands for one document.  Only files of the size of one that is gone are read.
    """
    sizes = {stored[key].stamp.n_bytes for key in gone}
    by_content: dict[bytes, list[str]] = {}
    for key, found in files.items():
        if found.size in sizes and _has_changed(found, stored.get(key)):
            try:
                sha256 = hashlib.sha256(read_bytes(found.target or found.path)).digest()
            except (IngestError, MemoryError):  # the run will say so
                continue
            by_content.setdefault(sha256, []).append(key)
    candidates = ((key, by_content.get(stored[key].sha256)) for key in gone)
    return {key: there.pop() for key, there in candidates if there}


class Shrinking:
    """Whether a run may remove what it would; ``gone`` are the vanished documents.

    ``roots`` are the absolute paths of the run with how the user named them; ``earlier`` is what runs have
    lost lately; ``choice`` is what this run is given, and keeps only if it goes on.  A run that is
    ``is_pruning`` may remove all.
    """

    def __init__(
        self,
        location: IndexLocation,
        stored: Mapping[str, StoredDocument],
        files: Mapping[str, Found],
        gone: Sequence[str],
        roots: Mapping[str, str],
        *,
        is_pruning: bool,
        earlier: Losses | None,
        choice: FileChoice | None = None,
    ) -> None:
        self._location = location
        self._stored = stored
        self._gone = gone
        self._roots = roots
        self._is_pruning = is_pruning
        self._earlier = earlier
        self._options = "" if choice is None else choice.options()
        self._emptied = [key for key, found in files.items() if not found.size and key in stored]
        self._moves = {} if is_pruning else moves(gone, stored, files)

    def check_before(self) -> None:
        """Refuse, before anything is done, to lose too many."""
        self._check({*self._lost(), *self._emptied}, "nothing was changed")

    def check_after(self, outdated: Collection[str], passed_over: Collection[str]) -> None:
        """Refuse, when all is read and nothing yet removed, to lose too many.

        ``outdated`` are documents whose files give no text any more, ``passed_over`` all files without any.
        """
        self._check({*self._lost(passed_over), *outdated}, "what was read is kept, and nothing was removed")

    def losses(self, outdated: Collection[str], passed_over: Collection[str]) -> Losses | None:
        """What runs have lost lately, once this one has removed all that it would; after pruning, nothing."""
        lost = {*self._lost(passed_over), *outdated}
        if self._is_pruning or not lost:
            return None if self._is_pruning else self._earlier
        earlier = self._earlier or Losses(int(time.time()), len(self._stored))
        return Losses(earlier.since_s, earlier.n_documents, earlier.n_lost + len(lost))

    def _lost(self, passed_over: Collection[str] = ()) -> Iterator[str]:
        """The vanished documents, but those whose bytes have come elsewhere."""
        for key in self._gone:
            there = self._moves.get(key)
            if there is None or there in passed_over:
                yield key

    def _check(self, lost: set[str], done: str) -> None:
        if self._is_pruning or not (of_what := self._too_many(lost)):
            return
        folder = os.path.commonpath([os.path.dirname(self._location.absolute(key)) for key in lost])  # noqa: PTH120
        where = self._location.shown(self._location.key_of(folder))
        raise ShrinkRefused(
            f"{of_what}, all from {where}; {done}. If a disk is not mounted, or a pattern or folder wrong, "
            f"mend that; if they are to go: minisearch index {' '.join(map(quoted, self._roots.values()))}"
            f"{self._options} --prune{self._location.option}"
        )

    def _too_many(self, lost: set[str]) -> str:
        """Of what these are too many, in words; "" where they are not."""
        n_documents = len(self._stored)
        if len(lost) > max(1, MOST * n_documents):
            return f"this run would remove {len(lost):,} of the index's {n_documents:,} documents"
        n_lost = Counter(root for key in lost for root in self._roots_above(key))
        if any(n > 1 for n in n_lost.values()):
            n_stored = Counter(root for key in self._stored for root in self._roots_above(key))
            for root, n in n_lost.items():
                if n > max(1, MOST * n_stored[root]):
                    return (
                        f"this run would remove {n:,} of the {n_stored[root]:,} documents of "
                        f"{self._roots[root]}"
                    )
        earlier = self._earlier
        if lost and earlier and (n := earlier.n_lost + len(lost)) > max(HANDFUL, MOST * earlier.n_documents):
            return (
                f"this run would remove {len(lost):,} document{'s' * (len(lost) > 1)}, and with those of the "
                f"last day {n:,} of the {earlier.n_documents:,} there were"
            )
        return ""

    def _roots_above(self, key: str) -> Iterator[str]:
        """The roots that a document lies below."""
        path = self._location.absolute(key)
        while True:
            if path in self._roots:
                yield path
            if (parent := os.path.dirname(path)) == path:  # noqa: PTH120 - a hundred thousand strings
                return
            path = parent


def _has_changed(found: Found, stored: StoredDocument | None) -> bool:
    """Whether a file is new, or is not what it was when it was stored, as far as its stamp tells."""
    if stored is None:
        return True
    stamp = stored.stamp
    return (found.size, found.mtime_ns, found.ctime_ns) != (stamp.n_bytes, stamp.mtime_ns, stamp.ctime_ns)
