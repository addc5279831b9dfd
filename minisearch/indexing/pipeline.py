"""One indexing run: find the files, detect changes, encode new texts, store them.

    found files -> outcomes -> windows of documents -> vectors -> one transaction per document

A plan and a source of documents go in; stored documents and a report come out.  Changed documents are
collected into windows, encoded together and stored one by one, each in its own transaction; from then on
queries find them.  A window takes some seconds.  A text whose vector is already stored for any document is
not encoded again.  If a run is interrupted, only the documents that are not yet stored are lost; the next run
continues from there.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Protocol

import numpy as np

from minisearch.errors import MinisearchError
from minisearch.files.walk import FoundFile
from minisearch.formats import BY_SUFFIX, PLAIN, suffix_of
from minisearch.indexing.changes import ChunkedDocument, Outcome, SkippedFile, Unchanged, failure
from minisearch.indexing.guard import has_changed
from minisearch.indexing.plan import Plan, Tally
from minisearch.stores.base import Store
from minisearch.text import count, is_mostly_latin
from minisearch.types import LOADING, Chunk, Encoder, FloatArray, IndexProgress, IngestReport, OnProgress

# Texts are encoded in windows of at most this many tokens, sorted by length into batches; small windows take
# more time in all.  The first one is small nevertheless, so that something can be searched within seconds.
# Each may have twice the tokens of the one before, as long as it is encoded in `WINDOW_S`; nor does a
# document wait longer than that for the window to fill.  An interrupt loses at most one window.
WINDOW_TOKENS = 65_536
FIRST_WINDOW_TOKENS = 4_096
WINDOW_S = 4.5

# The sample of a document's text by which its script is detected: at least so many chunks, and so many
# characters of each.
N_SAMPLED_CHUNKS, N_SAMPLED_CHARACTERS = 8, 200


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
        store: Store,
        plan: Plan,
        source: DocumentSource,
        *,
        dimension: int,
        encoder: Callable[[int], Encoder],
        on_progress: OnProgress,
    ) -> None:
        self.tally = Tally(plan)
        self._store = store
        self._plan = plan
        self._files = plan.found_files.files
        self._source = source
        self._dimension = dimension
        self._encoder = encoder
        self._on_progress = on_progress
        self._window: list[ChunkedDocument] = []
        self._n_window_tokens, self._window_opened_s = 0, 0.0
        self._max_window_tokens = min(FIRST_WINDOW_TOKENS, WINDOW_TOKENS)
        self._n_bytes = sum(file.size for file in self._files.values())
        self._up_to_date = {
            key for key, file in self._files.items() if not has_changed(file, plan.stored.get(key))
        }
        self._n_files_indexed = len(self._up_to_date)
        self._expected = ExpectedChunks(
            file
            for key, file in self._files.items()
            if key not in self._up_to_date and key not in plan.skipped_before
        )
        self._n_files_read = self._n_chunks_read = self._n_chunks_done = 0
        self._n_files_done = self._n_bytes_done = self._n_removed = 0
        self._n_chunks = self._n_encoded = self._n_tokens = self._n_tokens_expected = 0
        self._n_in_other_scripts = 0
        self._encoding_s = 0.0

    def execute(self) -> None:
        """Add and update documents; each window is stored before the next is encoded."""
        self.report_progress()
        for outcome in self._outcomes():
            if isinstance(outcome, ChunkedDocument):
                self._add_to_window(outcome)
            else:
                if isinstance(outcome, Unchanged) and outcome.stamp is not None:
                    self._store.restamp(self._plan.stored[outcome.path].id, outcome.stamp)
                self._count(outcome)
            if self._window and time.perf_counter() - self._window_opened_s >= WINDOW_S:
                self._store_window()
        self._store_window()

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
            n_failed=tally.n_failed,
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

    # --- files -> outcomes ---------------------------------------------------------------------------

    def _outcomes(self) -> Iterator[Outcome]:
        """The outcomes of the source; a file that may have changed is reported before it is read."""
        outcomes = iter(self._source.outcomes(self._files))
        for number, (key, file) in enumerate(self._files.items()):
            if key not in self._up_to_date:
                self.report_progress("reading", file.path)
            outcome = next(outcomes)
            self._n_files_read += 1
            n_chunks = len(outcome.chunks) if isinstance(outcome, ChunkedDocument) else 0
            if n_chunks and key in self._up_to_date:  # other settings: every file is chunked again
                self._up_to_date = set()
                self._expected = ExpectedChunks([*self._files.values()][number:])
                self._n_files_indexed = len(self.tally.unchanged)
            self._n_chunks_read += n_chunks
            self._expected.read(file, n_chunks)
            yield outcome

    # --- chunks -> vectors -> store ----------------------------------------------------------------

    def _add_to_window(self, document: ChunkedDocument) -> None:
        n_tokens = document.n_tokens
        if self._n_window_tokens + n_tokens > self._max_window_tokens:
            self._store_window()  # small documents do not wait for a huge one
        if not self._window:
            self._window_opened_s = time.perf_counter()
        self._window.append(document)
        self._n_window_tokens += n_tokens
        if self._n_window_tokens >= self._max_window_tokens:
            self._store_window()

    def _store_window(self) -> None:
        """Encode the documents of the window together, and store them one by one."""
        window, self._window, self._n_window_tokens = self._window, [], 0
        vectors = self._vectors(window) if window else {}
        for document in window:
            self._put(document, vectors)

    def _vectors(self, window: Sequence[ChunkedDocument]) -> dict[str, FloatArray]:
        """The vector of each text: the stored one if there is one, otherwise a new one."""
        chunks = [chunk for document in window for chunk in document.chunks]
        n_tokens = {chunk.embedded: chunk.n_tokens for chunk in chunks}
        n_chunks = Counter(chunk.embedded for chunk in chunks)
        vectors = self._store.known_vectors(list(n_tokens), dimension=self._dimension)
        unknown = [text for text in n_tokens if text not in vectors]
        self._n_chunks_done += len(chunks) - sum(n_chunks[text] for text in unknown)
        of = "of" if len(window) == 1 else f"of {len(window):,} files"
        path = self._files[window[0].path].path if len(window) == 1 else ""
        for texts in self._batches(unknown, n_tokens):  # a huge document has several
            n_batch_chunks = sum(n_chunks[text] for text in texts)
            n_batch_tokens = sum(n_tokens[text] for text in texts)
            started_s = time.perf_counter()
            self.report_progress(LOADING)  # immediate if it is loaded already
            encoder = self._encoder_for(n_batch_tokens, n_batch_chunks)
            loaded_s = time.perf_counter()
            self.report_progress(f"embedding {count(n_batch_chunks, 'passage')} {of}", path)
            vectors.update(zip(texts, encoder.encode_document(texts), strict=True))
            ended_s = time.perf_counter()
            self._encoding_s += ended_s - started_s
            self._n_encoded += len(texts)
            self._n_chunks_done += n_batch_chunks
            self._n_tokens += n_batch_tokens
            self._set_max_window_tokens(n_batch_tokens, ended_s - loaded_s)
            self.report_progress()
        return vectors

    def _encoder_for(self, n_batch_tokens: int, n_batch_chunks: int) -> Encoder:
        """The encoder for a batch; it is chosen by the tokens that the whole run will probably encode."""
        n_left = max(n_batch_chunks, self._n_chunks_read + self._expected.n_chunks() - self._n_chunks_done)
        n_expected = self._n_tokens + n_batch_tokens * n_left // n_batch_chunks
        n_more = max(0, n_expected - self._n_tokens_expected)
        self._n_tokens_expected += n_more
        return self._encoder(n_more)

    def _batches(self, texts: Iterable[str], n_tokens: Mapping[str, int]) -> Iterator[list[str]]:
        """The texts in order, in lists of as many tokens as a window may have."""
        batch: list[str] = []
        n_in_batch = 0
        for text in texts:
            batch.append(text)
            n_in_batch += n_tokens[text]
            if n_in_batch >= self._max_window_tokens:
                yield batch
                batch, n_in_batch = [], 0
        if batch:
            yield batch

    def _set_max_window_tokens(self, n_tokens: int, seconds: float) -> None:
        """Let the next window have as many tokens as are encoded in `WINDOW_S`, at most twice as many."""
        if 2 * n_tokens >= self._max_window_tokens:  # the speed of a small batch says little
            n_in_time = int(n_tokens * WINDOW_S / max(seconds, 1e-3))
            self._max_window_tokens = max(1, min(WINDOW_TOKENS, 2 * self._max_window_tokens, n_in_time))

    def _put(self, document: ChunkedDocument, vectors: dict[str, FloatArray]) -> None:
        chunks = document.chunks
        chunk_vectors = np.stack([vectors[chunk.embedded] for chunk in chunks])
        try:
            self._store.put(document.row, chunks, chunk_vectors, document.notes)
        except (MinisearchError, MemoryError, OSError):  # of the store, not of this document
            raise
        except Exception as error:
            self._count(failure(document.path, "storing", error))
            return
        self._n_chunks += len(chunks)
        if document.path not in self._plan.stored:
            self._n_in_other_scripts += is_in_another_script(chunks)
        self._count(document)

    def _count(self, outcome: Outcome) -> None:
        self.tally.add(outcome)
        self._n_files_done += 1
        self._n_bytes_done += self._files[outcome.path].size
        if outcome.path not in self._up_to_date and not isinstance(outcome, SkippedFile):
            self._n_files_indexed += 1
        self.report_progress()

    def report_progress(self, doing: str = "reading", path: str = "") -> None:
        """Call the caller's callback, if any; ``doing`` describes the next step, ``path`` is its file."""
        if self._on_progress is None:
            return
        is_estimate = self._n_files_read < len(self._files)
        self._on_progress(
            IndexProgress(
                n_files=len(self._files),
                n_files_done=self._n_files_done,
                n_bytes=self._n_bytes,
                n_bytes_done=self._n_bytes_done,
                n_chunks_done=self._n_chunks_done,
                doing=doing,
                path=path,
                n_files_indexed=self._n_files_indexed,
                n_chunks=self._n_chunks_read + (self._expected.n_chunks() if is_estimate else 0),
                is_estimate=is_estimate,
            )
        )


N_PRIOR_CHUNKS = 2  # the usual size of a format counts as much as this many chunks that were read


class ExpectedChunks:
    """How many chunks files will probably have, by their sizes and the files of their formats read so far."""

    def __init__(self, files: Iterable[FoundFile]) -> None:
        self._to_read = {file.path: file.size for file in files}
        self._n_bytes_to_read: Counter[str] = Counter()
        self._n_bytes_read: Counter[str] = Counter()
        self._n_chunks_read: Counter[str] = Counter()
        for path, size in self._to_read.items():
            self._n_bytes_to_read[suffix_of(path)] += size

    def read(self, file: FoundFile, n_chunks: int) -> None:
        """Take a file out that was read, and has so many chunks."""
        if size := self._to_read.pop(file.path, 0):
            suffix = suffix_of(file.path)
            self._n_bytes_to_read[suffix] -= size
            self._n_bytes_read[suffix] += size
            self._n_chunks_read[suffix] += n_chunks

    def n_chunks(self) -> int:
        """The chunks of the files that were not read yet: at least one for each."""
        expected = 0.0
        for suffix, n_bytes in self._n_bytes_to_read.items():
            usual = BY_SUFFIX.get(suffix, PLAIN).bytes_per_chunk
            n_bytes_seen = self._n_bytes_read[suffix] + N_PRIOR_CHUNKS * usual
            expected += n_bytes * (self._n_chunks_read[suffix] + N_PRIOR_CHUNKS) / n_bytes_seen
        return max(round(expected), len(self._to_read))


def is_in_another_script(chunks: Sequence[Chunk]) -> bool:
    """Whether most letters of a document are not Latin: an English model hardly distinguishes such texts."""
    sampled = chunks[:: max(1, len(chunks) // N_SAMPLED_CHUNKS)]
    return not is_mostly_latin("".join(chunk.text[:N_SAMPLED_CHARACTERS] for chunk in sampled))
