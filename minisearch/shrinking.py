"""A run that would remove much of an index is stopped before it does: a disk may only be unmounted.

What is stored and what a walk found come in; the documents that are gone go out, or a refusal.  A file that
was moved is not lost: one of the same size and time of change has come.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from minisearch.errors import ShrinkRefused
from minisearch.home import Home, is_below
from minisearch.ingest import Found
from minisearch.storage import StoredDocument

MOST = 0.2  # of an index's documents may go in one run without a word


def vanished(
    stored: Mapping[str, StoredDocument],
    files: Collection[str],
    unreadable: Collection[str],
    home: Home,
    roots: Collection[str],
) -> list[str]:
    """Documents below the roots that are no longer among the files to read, in order.

    What lies below an unreadable path may still be there, and is not among them.
    """
    gone = sorted(stored.keys() - files)
    places = ((key, home.absolute(key)) for key in gone)
    return [key for key, place in places if is_below(place, roots) and not is_below(place, unreadable)]


@dataclass(slots=True)
class Shrinking:
    """How many more documents a run may remove; ``roots`` are how the user named what is indexed."""

    home: Home
    n_documents: int
    roots: Sequence[str]
    is_pruning: bool
    lost: list[str] = field(default_factory=list)
    has_begun: bool = False

    def check(
        self, gone: Sequence[str], stored: Mapping[str, StoredDocument], files: Mapping[str, Found]
    ) -> None:
        """Refuse, before anything is done, to lose too many; ``gone`` are the vanished documents."""
        new = Counter((found.size, found.mtime_ns) for key, found in files.items() if key not in stored)
        for key in gone:
            stamp = stored[key].stamp
            if new[stamp.n_bytes, stamp.mtime_ns] > 0:
                new[stamp.n_bytes, stamp.mtime_ns] -= 1
            else:
                self.lost.append(key)
        self.lost += [key for key, found in files.items() if not found.size and key in stored]
        self._refuse_if_many()
        self.has_begun = True

    def lose(self, key: str) -> None:
        """Refuse to lose one more that only shows while files are read: it has become unreadable."""
        self.lost.append(key)
        self._refuse_if_many()

    def _refuse_if_many(self) -> None:
        if self.is_pruning or len(self.lost) <= max(1, MOST * self.n_documents):
            return
        folder = os.path.commonpath([os.path.dirname(self.home.absolute(key)) for key in self.lost])  # noqa: PTH120
        where = self.home.shown(self.home.key_of(folder))
        done = (
            "; what was read before is kept, and nothing more removed"
            if self.has_begun
            else "; nothing was changed"
        )
        raise ShrinkRefused(
            f"this run would remove {len(self.lost):,} of the index's {self.n_documents:,} documents, all "
            f"from {where}{done}. If a disk is not mounted, or a pattern or folder wrong, mend that; "
            f"if they are to go: minisearch index {' '.join(self.roots)} --prune"
        )
