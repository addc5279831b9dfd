"""How much of the files a user has is in the index, and what is not, with every reason.

The rows of a store go in; sums of bytes and lists of files come out.  Every byte that the runs have read is
in one of three sums: it is in a chunk, so it has reached a vector; it is between chunks; or its file was
skipped.  What was left out on purpose was not read, and is only listed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from minisearch.indexing.plan import choice_notes
from minisearch.manifest import Manifest
from minisearch.paths import IndexLocation
from minisearch.stores.local import LocalStore
from minisearch.types import Note, Skipped


@dataclass(frozen=True, slots=True)
class Coverage:
    """What the runs have read, in files, bytes and characters, and what of it reached a vector.

    ``n_bytes`` is the sum of ``n_bytes_reached``, ``n_bytes_between`` (white space, markup, scripts, images,
    attachments that are no text) and ``n_bytes_passed_over``; of a file that is no text (a PDF), each page
    has the same share, which is reached where it has text.  ``n_characters`` are those of the texts that
    parsers made of the files.  ``skipped`` are files without text, ``left_out`` files and whole folders (with
    a slash) that were not read, ``notes`` what is missing of files that are in the index.  ``outcome`` is the
    last run's: unless it is "complete", or "rolled back", there may be files that
    no run has seen.
    """

    n_documents: int
    n_chunks: int
    n_bytes: int
    n_characters: int
    n_bytes_reached: int
    n_bytes_between: int
    n_bytes_passed_over: int
    skipped: tuple[Skipped, ...]
    left_out: tuple[Skipped, ...]
    notes: tuple[Note, ...]
    choices: tuple[Note, ...]
    outcome: str


def coverage(location: IndexLocation, *, outcome: str) -> Coverage:
    """`MiniSearch.coverage`; ``outcome`` is how the last run ended."""
    location.must_exist()
    with LocalStore(location.database) as store, store.snapshot():
        manifest = Manifest.read(store, location.folder)
        documents = store.documents()
        _, n_chunks = store.counts()
        skipped, left_out = store.journal.problems(), store.journal.left_out()
        notes = store.notes()
    n_seen = sum(document.stamp.n_bytes for document in documents.values())
    n_reached = sum(document.n_bytes_indexed for document in documents.values())
    # A file that could not be read again is in the index with its earlier text, and counted there.
    n_passed_over = sum(one.n_bytes for one in skipped if one.path not in documents)
    return Coverage(
        n_documents=len(documents),
        n_chunks=n_chunks,
        n_bytes=n_seen + n_passed_over,
        n_characters=sum(document.n_characters for document in documents.values()),
        n_bytes_reached=n_reached,
        n_bytes_between=n_seen - n_reached,
        n_bytes_passed_over=n_passed_over,
        skipped=location.all_shown(skipped),
        left_out=tuple(
            replace(one, path=location.shown(one.path) + "/" * one.path.endswith("/")) for one in left_out
        ),
        notes=location.all_shown(notes),
        choices=choice_notes(manifest.choice_paths(location), location),
        outcome=outcome,
    )
