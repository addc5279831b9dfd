"""Refuse a run that would remove much of an index: perhaps a disk is only not mounted.

The stored documents and the files that were found go in; `ShrinkRefused` is raised, before the run and once
more after all files are read, because some losses show only then.  A file that was moved is not lost: another
file has the same bytes.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence

from minisearch.errors import IngestError, ShrinkRefused
from minisearch.files.walk import Found
from minisearch.manifest import FileChoice
from minisearch.parsers import read_bytes
from minisearch.paths import IndexLocation, is_below, quoted
from minisearch.stores.base import StoredDocument

# A run may remove this share of an index's documents, and of those below each root; and one document always:
# who keeps two files and deletes one has not lost a disk.
MAX_SHARE = 0.2


def vanished(
    stored: Mapping[str, StoredDocument],
    files: Collection[str],
    unreadable: Collection[str],
    location: IndexLocation,
    roots: Collection[str],
) -> list[str]:
    """Documents below the roots that are no longer among the files to read, in order.

    What is below an unreadable path may still be there, and is left out.
    """
    gone = sorted(stored.keys() - files)
    paths = ((key, location.absolute(key)) for key in gone)
    return [key for key, path in paths if is_below(path, roots) and not is_below(path, unreadable)]


class RemovalGuard:
    """Whether a run may remove the documents that it would; with ``prune`` it may remove all.

    ``gone`` are the vanished documents, ``roots`` the absolute paths of the run with the user's names for
    them, ``choice`` what the run was given, for the command in the message.
    """

    def __init__(
        self,
        location: IndexLocation,
        roots: Mapping[str, str],
        stored: Mapping[str, StoredDocument],
        files: Mapping[str, Found],
        gone: Sequence[str],
        *,
        prune: bool,
        choice: FileChoice | None,
    ) -> None:
        self._location = location
        self._roots = roots
        self._stored = stored
        self._gone = gone
        self._prune = prune
        self._options = "" if choice is None else choice.options()
        self._emptied = [key for key, found in files.items() if not found.size and key in stored]
        self._moved_to = {} if prune else _moved_to(gone, stored, files)

    def check_before(self) -> None:
        """Refuse before anything is done."""
        self._check({*self._lost(), *self._emptied}, "nothing was changed")

    def check_after(self, outdated: Collection[str], skipped: Collection[str]) -> None:
        """Refuse when all is read and nothing removed yet.

        ``outdated`` are documents whose files have no text any more, ``skipped`` all files without text.
        """
        self._check({*self._lost(skipped), *outdated}, "what was read is kept, and nothing was removed")

    def _lost(self, skipped: Collection[str] = ()) -> Iterator[str]:
        """The vanished documents, without those whose bytes are in another file that can be read."""
        for key in self._gone:
            there = self._moved_to.get(key)
            if there is None or there in skipped:
                yield key

    def _check(self, lost: set[str], done: str) -> None:
        if self._prune or not (excess := self._excess(lost)):
            return
        folder = os.path.commonpath([os.path.dirname(self._location.absolute(key)) for key in lost])  # noqa: PTH120
        where = self._location.shown(self._location.key_of(folder))
        raise ShrinkRefused(
            f"this run would remove {excess}, all from {where}; {done}. If a disk is not mounted, or a "
            f"pattern or folder wrong, correct that; to remove them: minisearch index "
            f"{' '.join(map(quoted, self._roots.values()))}{self._options} --prune{self._location.option}"
        )

    def _excess(self, lost: set[str]) -> str:
        """What would be removed, in words, where that is too much; "" where it is not."""
        n_documents = len(self._stored)
        if len(lost) > max(1, MAX_SHARE * n_documents):
            return f"{len(lost):,} of the index's {n_documents:,} documents"
        n_lost = Counter(root for key in lost for root in self._roots_above(key))
        if any(n > 1 for n in n_lost.values()):
            n_stored = Counter(root for key in self._stored for root in self._roots_above(key))
            for root, n in n_lost.items():
                if n > max(1, MAX_SHARE * n_stored[root]):
                    return f"{n:,} of the {n_stored[root]:,} documents of {self._roots[root]}"
        return ""

    def _roots_above(self, key: str) -> Iterator[str]:
        """The roots that a document is below."""
        path = self._location.absolute(key)
        while True:
            if path in self._roots:
                yield path
            if (parent := os.path.dirname(path)) == path:  # noqa: PTH120 - a hundred thousand strings
                return
            path = parent


def _moved_to(
    gone: Sequence[str], stored: Mapping[str, StoredDocument], files: Mapping[str, Found]
) -> dict[str, str]:
    """For each vanished document whose bytes a new or changed file has, that file.

    Each file stands for one document.  Only files of the size of a vanished document are read.
    """
    sizes = {stored[key].stamp.n_bytes for key in gone}
    by_content: dict[bytes, list[str]] = {}
    for key, found in files.items():
        if found.size in sizes and _has_changed(found, stored.get(key)):
            try:
                sha256 = hashlib.sha256(read_bytes(found.target or found.path)).digest()
            except (IngestError, MemoryError):  # the run reports it
                continue
            by_content.setdefault(sha256, []).append(key)
    candidates = ((key, by_content.get(stored[key].sha256)) for key in gone)
    return {key: there.pop() for key, there in candidates if there}


def _has_changed(found: Found, stored: StoredDocument | None) -> bool:
    """Whether a file is new, or its stamp differs from the stored one."""
    if stored is None:
        return True
    stamp = stored.stamp
    return (found.size, found.mtime_ns, found.ctime_ns) != (stamp.n_bytes, stamp.mtime_ns, stamp.ctime_ns)
