"""One indexing run: find the files, detect changes, encode new texts, store them.

    found files -> outcomes -> windows of documents -> vectors -> one transaction per document

A plan and a source of documents go in; stored documents and a report come out.  Changed documents are
collected into windows, encoded together and stored one by one.  A text whose vector is already stored for any
document is not encoded again.  If a run is interrupted, only the documents that are not yet stored are lost;
the next run continues from there.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Protocol, TypeVar

import numpy as np

from minisearch.files.walk import FoundFile
from minisearch.indexing.changes import ChunkedDocument, Outcome, Unchanged
from minisearch.indexing.plan import Plan, Tally
from minisearch.stores.local import LocalStore
from minisearch.text import is_mostly_latin
from minisearch.types import Chunk, Encoder, FloatArray, IndexProgress, IngestReport

# Texts are encoded in windows of this many tokens, sorted by length into batches: one of this size takes 5%
# less time than four of a quarter.  Progress still shows every few seconds.  An interrupt loses at most one
# window.
WINDOW_TOKENS = 65_536

# The sample of a document's text by which its script is detected: at least so many chunks, and so many
# characters of each.
N_SAMPLED_CHUNKS, N_SAMPLED_CHARACTERS = 8, 200

Item = TypeVar("Item")


class DocumentSource(Protocol):
    """Reads the documents of a run; `changes.Reader` is the implementation for files."""

    def outcomes(self, files: Mapping[str, FoundFile]) -> Iterator[Outcome]:
        """One outcome per file, in the order of the files; nothing is stored."""
        ...


class Run:
    """One run of a plan; `report` can be called at any time, also during `execute`.

    ``encoder`` is a function of the number of tokens to encode.  So a run without changes loads no model, and
    a run with few changes can use an encoder that loads faster.  ``tally`` has the outcome of each file so
    far.  No document is removed while files are read.
    """

    def __init__(
        self,
        store: LocalStore,
        plan: Plan,
        source: DocumentSource,
        *,
        dimension: int,
        encoder: Callable[[int], Encoder],
        on_progress: Callable[[IndexProgress], None],
    ) -> None:
        self.tally = Tally(plan)
        self._store = store
        self._plan = plan
        self._files = plan.found_files.files
        self._source = source
        self._dimension = dimension
        self._encoder = encoder
        self._on_progress = on_progress
        self._n_bytes = sum(file.size for file in self._files.values())
        self._n_files_done = self._n_bytes_done = self._n_removed = 0
        self._n_chunks = self._n_texts_done = self._n_encoded = self._n_tokens = 0
        self._n_in_other_scripts = 0
        self._encoding_s = 0.0

    def execute(self) -> None:
        """Add and update documents; each window is stored before the next is encoded."""
        self._report_progress()
        changed = self._changed(self._source.outcomes(self._files))
        for window in _windows(changed, lambda document: document.n_tokens):
            vectors = self._vectors([chunk for document in window for chunk in document.chunks])
            for document in window:
                self._put(document, vectors)

    def remove(self, keys: Iterable[str]) -> None:
        """Remove documents and count them."""
        gone = [self._plan.stored[key].id for key in keys]
        self._store.remove(gone)
        self._n_removed += len(gone)

    def report(self) -> IngestReport:
        """The report of the run so far."""
        tally, n = self.tally, Counter(one.kind for one in self._plan.found_files.left_out.values())
        return IngestReport(
            added=len(tally.added),
            updated=len(tally.updated),
            unchanged=len(tally.unchanged),
            removed=self._n_removed,
            skipped=tuple(tally.all_skipped()),
            n_hidden=n["hidden"],
            n_ignored=n["ignored"],
            n_excluded=n["excluded"],
            n_junk={kind: n[kind] for kind in sorted(n) if kind not in {"hidden", "ignored", "excluded"}},
            n_in_other_scripts=self._n_in_other_scripts,
            n_chunks=self._n_chunks,
            n_encoded=self._n_encoded,
            n_tokens=self._n_tokens,
            encoding_s=self._encoding_s,
        )

    # --- outcomes -> documents -----------------------------------------------------------------------

    def _changed(self, outcomes: Iterable[Outcome]) -> Iterator[ChunkedDocument]:
        """The changed documents; unchanged and skipped files are recorded at once."""
        for outcome in outcomes:
            if isinstance(outcome, ChunkedDocument):
                yield outcome
                continue
            if isinstance(outcome, Unchanged) and outcome.stamp is not None:
                self._store.restamp(self._plan.stored[outcome.path].id, outcome.stamp)
            self._count(outcome)

    # --- chunks -> vectors -> store ----------------------------------------------------------------

    def _vectors(self, chunks: Sequence[Chunk]) -> dict[str, FloatArray]:
        """The vector of each text: the stored one if there is one, otherwise a new one."""
        n_tokens = {chunk.embedded: chunk.n_tokens for chunk in chunks}
        vectors = self._store.known_vectors(list(n_tokens), dimension=self._dimension)
        unknown = [text for text in n_tokens if text not in vectors]
        self._n_texts_done += len(n_tokens) - len(unknown)
        for texts in _windows(unknown, n_tokens.__getitem__):  # a huge document shows progress too
            started_s = time.perf_counter()
            n_text_tokens = sum(n_tokens[text] for text in texts)
            self._report_progress("loading the model")  # immediate if it is loaded already
            encoder = self._encoder(n_text_tokens)
            self._report_progress(f"embedding {len(texts):,} chunk{'s' * (len(texts) > 1)}")
            vectors.update(zip(texts, encoder.encode_document(texts), strict=True))
            self._encoding_s += time.perf_counter() - started_s
            self._n_encoded += len(texts)
            self._n_texts_done += len(texts)
            self._n_tokens += n_text_tokens
            self._report_progress()
        return vectors

    def _put(self, document: ChunkedDocument, vectors: dict[str, FloatArray]) -> None:
        chunks = document.chunks
        chunk_vectors = np.stack([vectors[chunk.embedded] for chunk in chunks])
        self._store.put(document.row, chunks, chunk_vectors, document.notes)
        self._n_chunks += len(chunks)
        if document.path not in self._plan.stored:
            self._n_in_other_scripts += is_in_another_script(chunks)
        self._count(document)

    def _count(self, outcome: Outcome) -> None:
        self.tally.add(outcome)
        self._n_files_done += 1
        self._n_bytes_done += self._files[outcome.path].size
        self._report_progress()

    def _report_progress(self, doing: str = "reading") -> None:
        self._on_progress(
            IndexProgress(
                n_files=len(self._files),
                n_files_done=self._n_files_done,
                n_bytes=self._n_bytes,
                n_bytes_done=self._n_bytes_done,
                n_chunks_done=self._n_texts_done,
                doing=doing,
            )
        )


def is_in_another_script(chunks: Sequence[Chunk]) -> bool:
    """Whether most letters of a document are not Latin: an English model hardly distinguishes such texts."""
    sampled = chunks[:: max(1, len(chunks) // N_SAMPLED_CHUNKS)]
    return not is_mostly_latin("".join(chunk.text[:N_SAMPLED_CHARACTERS] for chunk in sampled))


def _windows(items: Iterable[Item], n_tokens: Callable[[Item], int]) -> Iterator[list[Item]]:
    """The items in order, in lists of about WINDOW_TOKENS."""
    window: list[Item] = []
    n_in_window = 0
    for item in items:
        window.append(item)
        n_in_window += n_tokens(item)
        if n_in_window >= WINDOW_TOKENS:
            yield window
            window, n_in_window = [], 0
    if window:
        yield window
