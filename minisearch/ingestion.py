"""One indexing run: which files have changed, what they hold now, and what of it needs the model.

    found files -> changed documents -> chunks -> vectors -> one transaction a document

Changed documents are gathered until they fill the model's batches well, encoded together, and stored
one by one.  A text whose vector is already stored, in whatever document, is never encoded again.  A run
that is cut short has lost only the documents not yet stored; the next one goes on from there.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from minisearch.config import Settings
from minisearch.errors import IngestError
from minisearch.ingest import Found, chunk, parse, read_bytes
from minisearch.storage import FileStamp, Store, StoredDocument
from minisearch.types import Chunk, Document, Encoder, FloatArray, IndexProgress, IngestReport, Skipped

# Texts are encoded once this many tokens wait: enough to sort them into full batches of like length, few
# enough to show progress every few seconds and to lose little when interrupted.
WINDOW_TOKENS = 16_384

# A file changed this close before it was read may have changed again after, with the same time and size
# (git's "racy" rule; FAT keeps times to 2 s), so such a file is read again.
RACY_NS = 2_000_000_000


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file of the walk, and the name the store knows it by."""

    key: str
    found: Found


@dataclass(frozen=True, slots=True)
class CutDocument:
    """A changed document, read and cut, waiting for its vectors."""

    row: StoredDocument
    chunks: list[Chunk]


class Run:
    """One run over the files of a walk: `execute` it, and at any time ask for its `report`.

    ``encoder`` is a function, so that a run in which nothing has changed loads no model; ``ingest`` is
    the fingerprint of how documents are cut now.
    """

    def __init__(
        self,
        store: Store,
        files: Sequence[SourceFile],
        *,
        encoder: Callable[[], Encoder],
        settings: Settings,
        ingest: str,
        on_progress: Callable[[IndexProgress], None],
    ) -> None:
        self._store = store
        self._files = files
        self._encoder = encoder
        self._settings = settings
        self._ingest = ingest
        self._on_progress = on_progress
        self._stored = store.documents()
        self._old_notes = {note.path: note for note in store.journal.problems()[1]}
        self._skipped: list[Skipped] = []
        self._notes: list[Skipped] = []
        self._n_bytes = sum(file.found.size for file in files)
        self._n_files_done = self._n_bytes_done = 0
        self._n_added = self._n_updated = self._n_unchanged = self._n_removed = 0
        self._n_chunks = self._n_chunks_done = self._n_encoded = self._n_tokens = 0
        self._encoding_s = 0.0

    def execute(self) -> None:
        """Bring every file's document up to date; one window is stored before the next is read."""
        for window in self._windows():
            vectors = self._vectors([chunk for document in window for chunk in document.chunks])
            for document in window:
                self._put(document, vectors)

    def remove(self, keys: Iterable[str]) -> None:
        """Remove the documents of files that are gone."""
        gone = [self._stored[key].id for key in keys]
        self._store.remove(gone)
        self._n_removed += len(gone)

    def skip(self, skipped: Iterable[Skipped]) -> None:
        """Take into the report what the walk passed over."""
        self._skipped += skipped

    def report(self) -> IngestReport:
        """What the run has done so far."""
        return IngestReport(
            added=self._n_added,
            updated=self._n_updated,
            unchanged=self._n_unchanged,
            removed=self._n_removed,
            skipped=tuple(self._skipped),
            notes=tuple(self._notes),
            n_chunks=self._n_chunks,
            n_encoded=self._n_encoded,
            n_tokens=self._n_tokens,
            encoding_s=self._encoding_s,
        )

    # --- path -> document -> chunks ----------------------------------------------------------------

    def _windows(self) -> Iterator[list[CutDocument]]:
        """Changed documents, as many at a time as are encoded well together."""
        window: list[CutDocument] = []
        n_tokens = 0
        for file in self._files:
            document = self._read(file)
            if document is None:
                self._done(file.found.size)
                continue
            window.append(document)
            n_tokens += sum(chunk.n_tokens for chunk in document.chunks)
            if n_tokens >= WINDOW_TOKENS:
                yield window
                window, n_tokens = [], 0
        yield window

    def _read(self, file: SourceFile) -> CutDocument | None:
        """The file's document, read and cut; None when it is stored as it is, or gives no text."""
        stored = self._stored.get(file.key)
        found = file.found
        stamp = FileStamp(found.size, found.mtime_ns, found.ctime_ns, time.time_ns())
        if stored and stored.ingest == self._ingest and _is_trusted(stored.stamp, stamp):
            self._keep(file)
            return None
        try:
            data = read_bytes(found.path)
        except IngestError as error:  # what it held when it could last be read stays searchable
            kept = "; its earlier text is kept" if stored else ""
            self._skipped.append(Skipped(file.key, f"{error}{kept}"))
            return None
        sha256 = hashlib.sha256(data).digest()
        if stored and stored.ingest == self._ingest and stored.sha256 == sha256:
            self._store.restamp(stored.id, stamp)
            self._keep(file)
            return None
        try:
            document = parse(found.path, data)
        except IngestError as error:
            self._drop(file, str(error))
            return None
        chunks = self._cut(document)
        if not chunks:
            self._drop(file, "no text in it")
            return None
        self._notes += [Skipped(file.key, note) for note in document.notes]
        row = StoredDocument(file.key, document.format, document.title, stamp, sha256, self._ingest)
        return CutDocument(row, chunks)

    def _cut(self, document: Document) -> list[Chunk]:
        encoder = self._encoder()
        return chunk(
            document,
            encoder.tokenizer,
            max_tokens=self._settings.chunk_tokens(encoder.max_tokens),
            overlap_tokens=self._settings.overlap_tokens,
        )

    def _keep(self, file: SourceFile) -> None:
        self._n_unchanged += 1
        if file.key in self._old_notes:
            self._notes.append(self._old_notes[file.key])

    def _drop(self, file: SourceFile, reason: str) -> None:
        """Pass over a file that gives no text now; what it once gave is no longer true."""
        self._skipped.append(Skipped(file.key, reason))
        if file.key in self._stored:
            self.remove([file.key])

    # --- chunks -> vectors -> store ----------------------------------------------------------------

    def _vectors(self, chunks: Sequence[Chunk]) -> dict[str, FloatArray]:
        """Each text's vector: a stored one where there is one, the model's otherwise."""
        n_tokens = {chunk.text: chunk.n_tokens for chunk in chunks}
        vectors = self._store.known_vectors(list(n_tokens))
        unknown = [text for text in n_tokens if text not in vectors]
        self._n_chunks_done += len(n_tokens) - len(unknown)
        for texts in _windowed(unknown, n_tokens):
            started_s = time.perf_counter()
            vectors.update(zip(texts, self._encoder().encode(texts), strict=True))
            self._encoding_s += time.perf_counter() - started_s
            self._n_encoded += len(texts)
            self._n_chunks_done += len(texts)
            self._n_tokens += sum(n_tokens[text] for text in texts)
            self._report_progress()
        return vectors

    def _put(self, document: CutDocument, vectors: dict[str, FloatArray]) -> None:
        row, chunks = document.row, document.chunks
        self._store.put(row, chunks, np.stack([vectors[chunk.text] for chunk in chunks]))
        self._n_chunks += len(chunks)
        if row.path in self._stored:
            self._n_updated += 1
        else:
            self._n_added += 1
        self._done(row.stamp.n_bytes)

    def _done(self, n_bytes: int) -> None:
        self._n_files_done += 1
        self._n_bytes_done += n_bytes
        self._report_progress()

    def _report_progress(self) -> None:
        self._on_progress(
            IndexProgress(
                n_files=len(self._files),
                n_files_done=self._n_files_done,
                n_bytes=self._n_bytes,
                n_bytes_done=self._n_bytes_done,
                n_chunks_done=self._n_chunks_done,
            )
        )


def _is_trusted(stored: FileStamp, now: FileStamp) -> bool:
    """Whether equal stamps prove that the file holds what it held."""
    is_same = (stored.n_bytes, stored.mtime_ns, stored.ctime_ns) == (now.n_bytes, now.mtime_ns, now.ctime_ns)
    return is_same and max(stored.mtime_ns, stored.ctime_ns) + RACY_NS < stored.read_at_ns


def _windowed(texts: Sequence[str], n_tokens: dict[str, int]) -> Iterator[list[str]]:
    """The texts in their order, in parts of about WINDOW_TOKENS: a huge document shows progress too."""
    window: list[str] = []
    waiting = 0
    for text in texts:
        window.append(text)
        waiting += n_tokens[text]
        if waiting >= WINDOW_TOKENS:
            yield window
            window, waiting = [], 0
    if window:
        yield window
