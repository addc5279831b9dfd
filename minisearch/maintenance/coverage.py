"""Coverage: how much of the user's files is in the index, and the reason for everything that is not.

A store goes in; sums of bytes and lists of files come out.  Every byte of the files is in one of four sums:
it is in a chunk and so in a vector, it is between chunks, or its file was skipped or left out on purpose.
The index does not hold the sizes of files that were left out, so they are the present ones.  Folders that
were left out are only listed.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, replace
from typing import Literal

from minisearch.indexing.plan import choice_notes
from minisearch.manifest import Manifest
from minisearch.paths import IndexLocation
from minisearch.stores import open_store
from minisearch.types import Note, RunOutcome, Skipped


@dataclass(frozen=True, slots=True)
class Coverage:
    """The files, bytes and characters that the runs have read, and how many bytes are in chunks.

    ``n_bytes`` is the sum of ``n_bytes_reached``, ``n_bytes_between`` (white space, markup, scripts, images,
    attachments without text) and ``n_bytes_passed_over`` (skipped files).  In a binary file such as a PDF,
    every page counts for the same number of bytes, which are reached if the page has text.  ``n_characters``
    counts the text that the parsers extracted.  ``left_out`` are files and whole folders (with a slash) that
    were not read; ``n_bytes_left_out`` is the present size of those files, which ``n_bytes`` does not count.
    ``notes`` list content that is missing in indexed files.  ``outcome`` is that of the last run: unless it
    is "complete" or "rolled back", some files may not have been read yet.
    """

    n_documents: int
    n_chunks: int
    n_bytes: int
    n_characters: int
    n_bytes_reached: int
    n_bytes_between: int
    n_bytes_passed_over: int
    n_bytes_left_out: int
    skipped: tuple[Skipped, ...]
    left_out: tuple[Skipped, ...]
    notes: tuple[Note, ...]
    choices: tuple[Note, ...]
    outcome: RunOutcome | Literal["never"]


def coverage(location: IndexLocation, *, outcome: RunOutcome | Literal["never"]) -> Coverage:
    """`MiniSearch.coverage`; ``outcome`` is that of the last run."""
    location.must_exist()
    with open_store(location) as store, store.snapshot():
        manifest = Manifest.read(store, location.folder)
        documents = store.documents()
        _, n_chunks = store.counts()
        skipped, left_out = store.journal.skipped(), store.journal.left_out()
        notes = store.notes()
    n_seen = sum(document.stamp.n_bytes for document in documents.values())
    n_reached = sum(document.n_bytes_indexed for document in documents.values())
    # A skipped file may still be in the index with its earlier text; then it is counted as a document.
    n_skipped = sum(one.n_bytes for one in skipped if one.path not in documents)
    return Coverage(
        n_documents=len(documents),
        n_chunks=n_chunks,
        n_bytes=n_seen + n_skipped,
        n_characters=sum(document.n_characters for document in documents.values()),
        n_bytes_reached=n_reached,
        n_bytes_between=n_seen - n_reached,
        n_bytes_passed_over=n_skipped,
        n_bytes_left_out=sum(_size(location, one.path) for one in left_out),
        skipped=location.all_shown(skipped),
        left_out=tuple(
            replace(one, path=location.shown(one.path) + "/" * one.path.endswith("/")) for one in left_out
        ),
        notes=location.all_shown(notes),
        choices=choice_notes(manifest.choice_paths(location), location),
        outcome=outcome,
    )


def _size(location: IndexLocation, key: str) -> int:
    """The present size of a file; 0 for a folder, or if the file no longer exists."""
    with contextlib.suppress(OSError):
        return 0 if key.endswith("/") else os.lstat(location.absolute(key)).st_size
    return 0
