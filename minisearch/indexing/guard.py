"""Refuse a run that would remove a large part of an index: perhaps a disk is not mounted.

The stored documents and the files that were found go in; `ShrinkRefused` is raised.  This is checked before
the run, and again after all files are read, because some files turn out to have no text.  A moved file does
not count as removed: another file has the same bytes.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from minisearch.errors import IngestError, ShrinkRefused
from minisearch.files.walk import FoundFile
from minisearch.manifest import FileChoice
from minisearch.parsers import read_bytes
from minisearch.paths import IndexLocation, is_below, quoted
from minisearch.stores.base import FileStamp, StoredDocument

# The share of an index's documents, and of those below each root, that a run may remove.  One document may
# always be removed: deleting one of two files is normal.
MAX_SHARE = 0.2


def vanished(
    stored: Mapping[str, StoredDocument],
    files: Collection[str],
    unreadable: Collection[str],
    location: IndexLocation,
    roots: Collection[str],
) -> list[str]:
    """Documents below the roots that are no longer among the files to read, in order.

    Documents below an unreadable path are left out, because their files may still exist.
    """
    gone = sorted(stored.keys() - files)
    paths = ((key, location.absolute(key)) for key in gone)
    return [key for key, path in paths if is_below(path, roots) and not is_below(path, unreadable)]


@dataclass(frozen=True)
class RemovalGuard:
    """Decides whether a run may remove documents; with ``prune`` it may remove any number.

    ``gone`` are the documents whose files no longer exist.  ``roots`` maps the absolute paths of the run to
    the paths that the user gave.  ``choice`` has the options of the run, for the command in the message.
    """

    location: IndexLocation
    roots: Mapping[str, str]
    stored: Mapping[str, StoredDocument]
    files: Mapping[str, FoundFile]
    gone: Sequence[str]
    prune: bool
    choice: FileChoice | None

    @cached_property
    def _moved_to(self) -> dict[str, str]:
        """The new or changed file with the same bytes, for each document whose file no longer exists.

        Each file is used for one document only.  Only files of the size of such a document are read.
        """
        sizes = {self.stored[key].stamp.n_bytes for key in self.gone}
        by_content: dict[bytes, list[str]] = {}
        for key, file in self.files.items():
            if file.size in sizes and has_changed(file, self.stored.get(key)):
                try:
                    sha256 = hashlib.sha256(read_bytes(file.target or file.path)).digest()
                except (IngestError, MemoryError):  # the run reports it
                    continue
                by_content.setdefault(sha256, []).append(key)
        candidates = ((key, by_content.get(self.stored[key].sha256)) for key in self.gone)
        return {key: there.pop() for key, there in candidates if there}

    def check_before(self) -> None:
        """Raise ShrinkRefused before the run changes anything."""
        if self.prune:
            return
        emptied = {key for key, file in self.files.items() if not file.size and key in self.stored}
        self._check({*self._lost(), *emptied}, "nothing was changed")

    def check_after(self, outdated: Collection[str], skipped: Collection[str]) -> None:
        """Raise ShrinkRefused after all files are read, before any document is removed.

        ``outdated`` are documents whose files no longer have text, ``skipped`` all files without text.
        """
        if self.prune:
            return
        self._check(
            {*self._lost(skipped), *outdated}, "new and changed documents are stored, and nothing was removed"
        )

    def _lost(self, skipped: Collection[str] = ()) -> Iterator[str]:
        """The documents whose files no longer exist and whose bytes are in no other readable file."""
        for key in self.gone:
            there = self._moved_to.get(key)
            if there is None or there in skipped:
                yield key

    def _check(self, lost: set[str], done: str) -> None:
        if not (excess := self._excess(lost)):
            return
        options = "" if self.choice is None else self.choice.options()
        folder = os.path.commonpath([os.path.dirname(self.location.absolute(key)) for key in lost])  # noqa: PTH120
        where = self.location.shown(self.location.key_of(folder))
        raise ShrinkRefused(
            f"this run would remove {excess}, all from {where}; {done}. If a disk is not mounted, or a "
            f"pattern or folder is wrong, correct that; to remove the documents: minisearch index "
            f"{' '.join(map(quoted, self.roots.values()))}{options} --prune{self.location.option}"
        )

    def _excess(self, lost: set[str]) -> str:
        """A description of what would be removed, if it is too much; otherwise ""."""
        n_documents = len(self.stored)
        if len(lost) > max(1, MAX_SHARE * n_documents):
            return f"{len(lost):,} of the index's {n_documents:,} documents"
        n_lost = Counter(root for key in lost for root in self._roots_above(key))
        if any(n > 1 for n in n_lost.values()):
            n_stored = Counter(root for key in self.stored for root in self._roots_above(key))
            for root, n in n_lost.items():
                if n > max(1, MAX_SHARE * n_stored[root]):
                    return f"{n:,} of the {n_stored[root]:,} documents of {self.roots[root]}"
        return ""

    def _roots_above(self, key: str) -> Iterator[str]:
        """The roots that a document is below."""
        path = self.location.absolute(key)
        while True:
            if path in self.roots:
                yield path
            if (parent := os.path.dirname(path)) == path:  # noqa: PTH120 - a hundred thousand strings
                return
            path = parent


def has_changed(file: FoundFile, stored: StoredDocument | None) -> bool:
    """Whether a file is new, or its stamp differs from the stored one."""
    return stored is None or not stored.stamp.is_same(FileStamp(file.size, file.mtime_ns, file.ctime_ns, 0))
