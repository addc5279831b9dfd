"""One indexing run: which files there are, what of them has changed, what of that needs the model.

    found files -> outcomes, read ahead -> windows of documents -> vectors -> one transaction a document

A thread reads and cuts ahead; this one has the model and the store to itself.  Changed documents are
gathered until they fill the model's batches well, encoded together, and stored one by one.  A text whose
vector is already stored, in whatever document, is never encoded again.  A run that is cut short has lost
only the documents not yet stored; the next one goes on from there.
"""

from __future__ import annotations

import shlex
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from minisearch.errors import IngestError
from minisearch.files.scope import Choices
from minisearch.files.walk import Found, LeftOut, Unreadable, walk
from minisearch.indexing.ahead import ahead
from minisearch.indexing.changes import CutDocument, Outcome, PassedOver, Unchanged
from minisearch.indexing.scripts import is_in_another_script
from minisearch.paths import IndexLocation, is_below, quoted
from minisearch.stores.base import FileStamp, SkipStamp, StoredDocument
from minisearch.stores.local import LocalStore
from minisearch.types import Chunk, Encoder, FloatArray, IndexProgress, IngestReport, Skipped

# Texts are encoded once this many tokens wait: sorted into full batches of like length, they take 5% less
# than four quarters of them would, and progress still shows every few seconds; an interrupt loses no more
# than that.  As many are read ahead.
WINDOW_TOKENS = 65_536


@dataclass(frozen=True, slots=True)
class Walked:
    """What a walk found below some roots, by the names the store knows files by.

    ``unreadable`` are absolute paths: what lies below them was not seen, and may still be there.
    """

    files: dict[str, Found] = field(default_factory=dict)
    skipped: dict[str, Skipped] = field(default_factory=dict)
    left_out: dict[str, LeftOut] = field(default_factory=dict)
    unreadable: set[str] = field(default_factory=set)

    def counts(self) -> Counter[str]:
        """How many files and folders were left out as "hidden", "ignored" and "excluded"."""
        return Counter(one.kind for one in self.left_out.values())


class Source(Protocol):
    """Where a run's documents come from; `reading.Reader` is one, for files."""

    @property
    def stored(self) -> Mapping[str, StoredDocument]:
        """The documents of the store when the run began."""
        ...

    @property
    def stop(self) -> threading.Event:
        """Set when no more outcomes are wanted."""
        ...

    def outcomes(self, files: Mapping[str, Found]) -> Iterator[Outcome]:
        """One outcome a file, in the files' order, without any effect."""
        ...


def find_files(
    roots: Mapping[Path, str], location: IndexLocation, choices: Choices, *, followed: Iterable[str] = ()
) -> Walked:
    """The files below every root (real path -> as the user named it); IngestError where there are none.

    ``followed`` are the absolute paths that the index is made of.
    """
    walked = Walked()
    own = str(location.path)
    for root, given in roots.items():
        items = [item for item in walk(root, choices=choices) if not is_at_or_below(item.path, own)]
        if not any(isinstance(item, Found) for item in items):
            problem = next((item for item in items if isinstance(item, Skipped | Unreadable)), None)
            why = f"; {problem.path}: {problem.reason}" if problem else ""
            message = f"no files to index in {given} (hidden and ignored ones do not count{why})"
            if patterns := _patterns_over(str(root), items, choices):
                message = (
                    f"no files to index in {given}: {patterns} leaves none of its files; nothing was changed"
                )
            elif any(is_below(str(root), {one}) or is_below(one, {str(root)}) for one in followed):
                message += (
                    "; nothing was changed. If what is indexed from there is gone for good: "
                    f"minisearch remove {quoted(given)}{location.option}"
                )
            raise IngestError(message)
        for item in items:
            key = location.key_of(item.path)
            match item:
                case Found():
                    walked.files[key] = item
                case LeftOut():
                    walked.left_out[key] = item
                case _:
                    walked.skipped[key] = Skipped(key, item.reason, getattr(item, "n_bytes", 0))
                    if isinstance(item, Unreadable):
                        walked.unreadable.add(item.path)
    _settle_overlaps(walked, [str(root) for root in roots])
    return walked


def _patterns_over(root: str, items: Iterable[object], choices: Choices) -> str:
    """The patterns that left files of a root out, as given, and how to give several; "" for none."""
    if not any(isinstance(item, LeftOut) and item.kind == "excluded" for item in items):
        return ""
    over = [one for path, one in choices.items() if is_below(root, {path})]
    said = [
        (f"--{name}", pattern)
        for one in over
        for name, patterns in (("include", one.include), ("exclude", one.exclude))
        for pattern in patterns or ()
    ]
    each = [(name, one) for name, pattern in said for one in pattern.split(",") if "," in pattern]
    cure = f" (a pattern each: {_options(each)})" if each else ""
    return f"{_options(said)}{cure}" if said else ""


def _options(said: Iterable[tuple[str, str]]) -> str:
    return " ".join(f"{name} {shlex.quote(pattern)}" for name, pattern in said)


def _settle_overlaps(walked: Walked, roots: Sequence[str]) -> None:
    """What one root leaves out and another one names is taken."""
    if len(roots) == 1:
        return
    for key in walked.files:
        walked.skipped.pop(key, None)
    named = [
        key for key, one in walked.left_out.items() if any(is_at_or_below(root, one.path) for root in roots)
    ]
    for key in named:
        del walked.left_out[key]


def is_at_or_below(path: str, folder: str) -> bool:
    """Whether an absolute path is this one or lies below it."""
    return path.startswith(folder) and (len(path) == len(folder) or path[len(folder)] == "/" or folder == "/")


class Run:
    """One run over the files of a walk: `execute` it, and at any time ask for its `report`.

    ``source`` makes documents of the files.  ``encoder`` is a function of how many tokens there are to
    encode, so that a run in which nothing has changed loads no model, and a small one the small one.
    Nothing is removed while files are read: `outdated` are the documents whose files give no text any more,
    and `passed_over` all files without any.
    """

    def __init__(
        self,
        store: LocalStore,
        walked: Walked,
        source: Source,
        *,
        encoder: Callable[[int], Encoder],
        on_progress: Callable[[IndexProgress], None],
    ) -> None:
        self._store = store
        self._files = walked.files
        self._encoder = encoder
        self._on_progress = on_progress
        self._source = source
        self._stored = source.stored
        self._skipped = dict(walked.skipped)
        self._counts = walked.counts()
        self.outdated: list[str] = []
        self.passed_over: set[str] = set()
        # Sizes only: what the walk said of these it says again.
        self.stamps = {
            key: SkipStamp(FileStamp(one.n_bytes, 0, 0, 0), "") for key, one in walked.skipped.items()
        }
        self._n_bytes = sum(found.size for found in walked.files.values())
        self._n_files_done = self._n_bytes_done = 0
        self._n_added = self._n_updated = self._n_unchanged = self._n_removed = 0
        self._n_chunks = self._n_chunks_done = self._n_encoded = self._n_tokens = 0
        self._n_in_other_scripts = 0
        self._encoding_s = 0.0

    def execute(self) -> None:
        """Bring every file's document up to date; one window is stored before the next is encoded."""
        self._report_progress()
        outcomes = self._source.outcomes(self._files)
        with ahead(outcomes, limit=WINDOW_TOKENS, size=_n_waiting, stop=self._source.stop) as read:
            for window in self._windows(read):
                vectors = self._vectors([chunk for document in window for chunk in document.chunks])
                for document in window:
                    self._put(document, vectors)

    def remove(self, keys: Iterable[str]) -> None:
        """Remove documents, and count them."""
        gone = [self._stored[key].id for key in keys]
        self._store.remove(gone)
        self._n_removed += len(gone)

    def report(self) -> IngestReport:
        """What the run has done so far."""
        return IngestReport(
            added=self._n_added,
            updated=self._n_updated,
            unchanged=self._n_unchanged,
            removed=self._n_removed,
            skipped=tuple(one for _, one in sorted(self._skipped.items())),
            n_hidden=self._counts["hidden"],
            n_ignored=self._counts["ignored"],
            n_excluded=self._counts["excluded"],
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
        """Do what an outcome without a text to encode asks for."""
        if isinstance(outcome, PassedOver):
            self._skip(outcome)
        else:
            if outcome.stamp is not None:
                self._store.restamp(self._stored[outcome.path].id, outcome.stamp)
            self._n_unchanged += 1
        self._done(outcome.path)

    def _skip(self, outcome: PassedOver) -> None:
        path, size = outcome.path, self._files[outcome.path].size
        self._skipped[path] = Skipped(path, outcome.reason, size)
        self.stamps[path] = outcome.stamp or SkipStamp(FileStamp(size, 0, 0, 0), "")
        self.passed_over.add(path)
        if outcome.is_outdated:
            self.outdated.append(path)

    # --- chunks -> vectors -> store ----------------------------------------------------------------

    def _vectors(self, chunks: Sequence[Chunk]) -> dict[str, FloatArray]:
        """Each text's vector: a stored one where there is one, the model's otherwise."""
        n_tokens = {chunk.embedded: chunk.n_tokens for chunk in chunks}
        vectors = self._store.known_vectors(list(n_tokens))
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
        if document.path in self._stored:
            self._n_updated += 1
        else:
            self._n_added += 1
            self._n_in_other_scripts += is_in_another_script(chunks)
        self._done(document.path)

    def _done(self, path: str) -> None:
        self._n_files_done += 1
        self._n_bytes_done += self._files[path].size
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
