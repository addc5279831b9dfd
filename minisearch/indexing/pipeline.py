"""Run indexing: a plan and a source of documents go in; stored documents and a report come out.

    found files -> outcomes, read ahead -> windows of documents -> vectors -> one transaction a document

One thread reads and cuts ahead; this one has the model and the store to itself.  Changed documents are
gathered until they fill the model's batches well, encoded together, and stored one by one.  A text whose
vector is already stored, in whatever document, is never encoded again.  A run that is interrupted loses
only the documents not yet stored; the next one continues from there.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Protocol, TypeVar

import numpy as np

from minisearch.files.walk import Found
from minisearch.indexing.changes import CutDocument, Outcome, PassedOver, Unchanged
from minisearch.indexing.plan import Plan, Tally, n_left_out
from minisearch.stores.local import LocalStore
from minisearch.text import is_mostly_latin
from minisearch.threads import DaemonThread
from minisearch.types import Chunk, Encoder, FloatArray, IndexProgress, IngestReport

# Texts are encoded once this many tokens wait: sorted into full batches of like length, they take 5% less
# than four quarters of them would, and progress still shows every few seconds; an interrupt loses no more
# than that.  As many are read ahead.
WINDOW_TOKENS = 65_536

# A reader that is stuck, in a read from a network folder that is gone or in one long step of a parser, is not
# waited for longer than this: Ctrl-C is to end a command within two seconds.
JOIN_TIMEOUT_S = 1.0
CHECK_S = 0.5  # how often the queue's reader checks that the thread is still there

# Of a document's text, to find its script: so many chunks at least, so many characters of each.
N_SAMPLED_CHUNKS, N_SAMPLED_CHARACTERS = 8, 200

Item = TypeVar("Item")


class Source(Protocol):
    """Where the documents of a run come from; `changes.Reader` is one, for files."""

    def outcomes(self, files: Mapping[str, Found]) -> Iterator[Outcome]:
        """One outcome for each file, in the files' order, without any effect."""
        ...


class Run:
    """One run of a plan: `execute` it, and at any time ask for its `report`.

    ``encoder`` is a function of the number of tokens to encode, so that a run in which nothing has changed
    loads no model, and a small one the small one.  ``stop`` tells the source that no more is wanted.  Nothing
    is removed while files are read; ``tally`` says what came of each file so far.
    """

    def __init__(
        self,
        store: LocalStore,
        plan: Plan,
        source: Source,
        *,
        stop: threading.Event,
        dimension: int,
        encoder: Callable[[int], Encoder],
        on_progress: Callable[[IndexProgress], None],
    ) -> None:
        self.tally = Tally(plan)
        self._store = store
        self._plan = plan
        self._files = plan.found.files
        self._source = source
        self._stop = stop
        self._dimension = dimension
        self._encoder = encoder
        self._on_progress = on_progress
        self._n_bytes = sum(found.size for found in self._files.values())
        self._n_files_done = self._n_bytes_done = self._n_removed = 0
        self._n_chunks = self._n_chunks_done = self._n_encoded = self._n_tokens = 0
        self._n_in_other_scripts = 0
        self._encoding_s = 0.0

    def execute(self) -> None:
        """Bring every file's document up to date; one window is stored before the next is encoded."""
        self._report_progress()
        outcomes = self._source.outcomes(self._files)
        with read_ahead(outcomes, limit=WINDOW_TOKENS, size=_n_waiting, stop=self._stop) as read:
            for window in self._windows(read):
                vectors = self._vectors([chunk for document in window for chunk in document.chunks])
                for document in window:
                    self._put(document, vectors)

    def remove(self, keys: Iterable[str]) -> None:
        """Remove documents, and count them."""
        gone = [self._plan.stored[key].id for key in keys]
        self._store.remove(gone)
        self._n_removed += len(gone)

    def report(self) -> IngestReport:
        """What the run has done so far."""
        tally, n = self.tally, n_left_out(self._plan.found)
        return IngestReport(
            added=len(tally.added),
            updated=len(tally.updated),
            unchanged=len(tally.unchanged),
            removed=self._n_removed,
            skipped=tuple(tally.all_skipped()),
            n_hidden=n["hidden"],
            n_ignored=n["ignored"],
            n_excluded=n["excluded"],
            n_in_other_scripts=self._n_in_other_scripts,
            n_chunks=self._n_chunks,
            n_encoded=self._n_encoded,
            n_tokens=self._n_tokens,
            encoding_s=self._encoding_s,
        )

    # --- outcomes -> windows -----------------------------------------------------------------------

    def _windows(self, outcomes: Iterable[Outcome]) -> Iterator[list[CutDocument]]:
        """Changed documents, as many at a time as are encoded well together; the rest is settled here."""
        window: list[CutDocument] = []
        n_tokens = 0
        for outcome in outcomes:
            if not isinstance(outcome, CutDocument):
                self._settle(outcome)
                continue
            window.append(outcome)
            n_tokens += outcome.n_tokens
            if n_tokens >= WINDOW_TOKENS:
                yield window
                window, n_tokens = [], 0
        yield window

    def _settle(self, outcome: Unchanged | PassedOver) -> None:
        """Note an outcome without a text to encode."""
        if isinstance(outcome, Unchanged) and outcome.stamp is not None:
            self._store.restamp(self._plan.stored[outcome.path].id, outcome.stamp)
        self._done(outcome)

    # --- chunks -> vectors -> store ----------------------------------------------------------------

    def _vectors(self, chunks: Sequence[Chunk]) -> dict[str, FloatArray]:
        """Each text's vector: a stored one where there is one, the model's otherwise."""
        n_tokens = {chunk.embedded: chunk.n_tokens for chunk in chunks}
        vectors = self._store.known_vectors(list(n_tokens), dimension=self._dimension)
        unknown = [text for text in n_tokens if text not in vectors]
        self._n_chunks_done += len(n_tokens) - len(unknown)
        for texts in _windowed(unknown, n_tokens):
            started_s = time.perf_counter()
            of_texts = sum(n_tokens[text] for text in texts)
            self._report_progress("loading the model")  # where it is loaded, that is over at once
            encoder = self._encoder(of_texts)
            self._report_progress(f"embedding {len(texts):,} chunk{'s' * (len(texts) > 1)}")
            vectors.update(zip(texts, encoder.encode_document(texts), strict=True))
            self._encoding_s += time.perf_counter() - started_s
            self._n_encoded += len(texts)
            self._n_chunks_done += len(texts)
            self._n_tokens += of_texts
            self._report_progress()
        return vectors

    def _put(self, document: CutDocument, vectors: dict[str, FloatArray]) -> None:
        chunks = document.chunks
        of_chunks = np.stack([vectors[chunk.embedded] for chunk in chunks])
        self._store.put(document.row, chunks, of_chunks, document.notes)
        self._n_chunks += len(chunks)
        if document.path not in self._plan.stored:
            self._n_in_other_scripts += is_in_another_script(chunks)
        self._done(document)

    def _done(self, outcome: Outcome) -> None:
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
                n_chunks_done=self._n_chunks_done,
                doing=doing,
            )
        )


def is_in_another_script(chunks: Sequence[Chunk]) -> bool:
    """Whether most letters of a document are not Latin: an English model hardly distinguishes such texts."""
    sampled = chunks[:: max(1, len(chunks) // N_SAMPLED_CHUNKS)]
    return not is_mostly_latin("".join(chunk.text[:N_SAMPLED_CHARACTERS] for chunk in sampled))


def _n_waiting(outcome: Outcome) -> int:
    """The room an outcome takes among those that wait; something, even where it has no tokens."""
    return 1 + (outcome.n_tokens if isinstance(outcome, CutDocument) else 0)


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


@dataclass(frozen=True, slots=True)
class _End:
    """The last thing in the queue, with the error that ended the items early."""

    error: BaseException | None = None


@contextmanager
def read_ahead(
    items: Iterable[Item],
    *,
    limit: int,
    size: Callable[[Item], int] = lambda _: 1,
    stop: threading.Event | None = None,
) -> Iterator[Iterator[Item]]:
    """The items in their order, made by a background thread while earlier ones are used.

    >>> with read_ahead(range(3), limit=2) as numbers:
    ...     list(numbers)
    [0, 1, 2]

    The items that wait have a size below ``limit`` in all, except for the last one.  Leaving the block sets
    ``stop``: work on an item that takes long may check it and give up, by any exception.  An exception of the
    iterable is raised where its items are taken.
    """
    stop = stop or threading.Event()
    # SimpleQueue, since a KeyboardInterrupt cannot leave it locked, as it can a Condition or a Queue.
    made: SimpleQueue[tuple[Item, int] | _End] = SimpleQueue()
    taken: SimpleQueue[int] = SimpleQueue()  # sizes

    def make() -> None:
        waiting = 0
        try:
            for item in items:
                n = size(item)
                made.put((item, n))
                waiting += n
                while waiting >= limit and not stop.is_set():
                    waiting -= taken.get()
                if stop.is_set():
                    break
            made.put(_End())
        except BaseException as error:  # it is raised where the items are taken
            made.put(_End(error))

    def take() -> Iterator[Item]:
        while not isinstance(next_ := _next(made, maker), _End):
            item, n = next_
            taken.put(n)
            yield item
        if next_.error is not None:
            raise next_.error

    # A daemon, so that a thread that is stuck does not keep the process from ending.
    maker = DaemonThread(make, name="read ahead")
    try:
        maker.start()
        yield take()
    finally:
        stop.set()
        taken.put(0)  # wakes a thread that waits for room
        if maker.is_alive():
            maker.join(JOIN_TIMEOUT_S)


def _next(made: SimpleQueue[tuple[Item, int] | _End], maker: DaemonThread) -> tuple[Item, int] | _End:
    """The next thing in the queue; MemoryError where the thread ended without memory to say so."""
    while True:
        try:
            return made.get(timeout=CHECK_S)
        except Empty:  # noqa: PERF203 - at most twice a second
            if not maker.is_alive() and made.empty():
                raise MemoryError from None
