"""Read what changed: found files and stored documents go in, one outcome a file comes out, in order.

An outcome says that a file is unchanged, that it has no text, or what document it holds now, read and cut.
Nothing here has an effect: a run stores, removes and embeds, so that a thread of its own can read meanwhile.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from minisearch.chunking.chunker import cut_document
from minisearch.chunking.positions import bytes_under
from minisearch.errors import CutShort, IngestError, MinisearchError
from minisearch.files.secrets import has_only_blanks, screened
from minisearch.files.walk import Found
from minisearch.manifest import Settings, fingerprint
from minisearch.parsers import parse, read_bytes
from minisearch.parsers.code import is_cut_at_lines
from minisearch.parsers.registry import installed_libraries
from minisearch.parsers.sandbox import Stopped, stoppable
from minisearch.stores.base import FileStamp, SkipStamp, StoredDocument
from minisearch.stores.local import LocalStore
from minisearch.types import Chunk, Document, Encoder, IntArray, Tokenizer

# A file changed this close before it was read may have changed again after, with the same time and size
# (git's "racy" rule; FAT keeps times to 2 s), so such a file is read again.
RACY_NS = 2_000_000_000

# A parser can crash because the machine is short of memory for a while, or because of the file.
MAX_CRASHES = 3

TOO_MUCH = "it takes more memory to read than there is"


@dataclass(frozen=True, slots=True)
class Unchanged:
    """The file holds what is stored; ``stamp`` is the new one where the file had to be read to know."""

    path: str
    stamp: FileStamp | None = None


@dataclass(frozen=True, slots=True)
class PassedOver:
    """A file without text; ``is_outdated`` when its stored document is no longer true.

    ``stamp`` lets the next run skip the same file unread; None where it should read it again.
    """

    path: str
    reason: str
    is_outdated: bool
    stamp: SkipStamp | None = None


@dataclass(frozen=True, slots=True)
class ReadDocument:
    """A new or changed document, not cut yet; ``row`` does not say yet how many bytes reach a vector."""

    row: StoredDocument
    document: Document

    @property
    def path(self) -> str:
        """The name the store knows it by."""
        return self.row.path


@dataclass(frozen=True, slots=True)
class CutDocument:
    """A new or changed document, read and cut; its vectors are still to be computed."""

    row: StoredDocument
    chunks: list[Chunk]
    notes: tuple[str, ...]

    @property
    def path(self) -> str:
        """The name the store knows it by."""
        return self.row.path

    @property
    def n_tokens(self) -> int:
        """The tokens of all its chunks."""
        return sum(chunk.n_tokens for chunk in self.chunks)


Outcome = Unchanged | PassedOver | CutDocument


@dataclass(frozen=True, slots=True)
class DocumentCutter:
    """Cuts documents for one index; with ``stop`` set, cutting ends.

    ``encoder`` is a function, so that reading what has not changed loads no model; ``ingest`` is the
    fingerprint of how documents are cut.
    """

    encoder: Callable[[], Encoder]
    settings: Settings
    ingest: str
    stop: threading.Event = field(default_factory=threading.Event)

    def cut(self, document: Document) -> list[Chunk]:
        """The document's chunks; `Stopped` when no more are wanted."""
        encoder = self.encoder()
        tokenizer = _Stoppable(encoder.tokenizer, self.stop)
        return cut_document(
            document, tokenizer, settings=self.settings, encoder_max_tokens=encoder.max_tokens
        )


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads files and cuts what has changed: the `Source` of documents that are files.

    ``stored`` are the documents in the index, ``passed_over`` the files that gave no text before.
    """

    stored: Mapping[str, StoredDocument]
    cutter: DocumentCutter
    passed_over: Mapping[str, PassedOver] = field(default_factory=dict)

    def outcomes(self, files: Mapping[str, Found]) -> Iterator[Outcome]:
        """Each file's outcome; the files go by the names the store knows them by."""
        for path, found in files.items():
            outcome = self.read(path, found)
            if not isinstance(outcome, ReadDocument):
                yield outcome
                continue
            self.cutter.encoder()  # here, because what is wrong with the model is not the file's fault
            try:
                cut: Outcome = self._cut(outcome)
            except (MinisearchError, Stopped):
                raise
            except MemoryError:
                cut = self._doubtful(path, files[path], TOO_MUCH)
            except Exception as error:  # a mistake of ours costs one file, and not the run
                cut = PassedOver(path, _own_mistake("cutting", error), is_outdated=False)
            yield cut

    def read(self, path: str, found: Found) -> Unchanged | PassedOver | ReadDocument:
        """What came of one file, without cutting it: no model is needed."""
        try:
            return self._read(path, found)
        except MemoryError:  # a limit was raised for a file that is larger than what is free
            return self._doubtful(path, found, TOO_MUCH)

    def _read(self, path: str, found: Found) -> Unchanged | PassedOver | ReadDocument:
        stored = self.stored.get(path)
        ingest = self._ingest_of(found)
        stamp = FileStamp(found.size, found.mtime_ns, found.ctime_ns, time.time_ns())
        is_cut_so = stored is not None and stored.ingest == ingest
        if stored and is_cut_so and _is_trusted(stored.stamp, stamp):
            return Unchanged(path)
        # Another library may read what the one that is installed could not.
        by_what = fingerprint(ingest, *installed_libraries())
        passed_over = None if stored else self._still_passed_over(path, stamp, by_what)
        if passed_over:
            return passed_over
        try:
            data, stamp = _read_at_rest(found, stamp)
        except IngestError as error:  # what it held when it could last be read stays searchable
            return self._doubtful(path, found, str(error))
        sha256 = hashlib.sha256(data).digest()
        if stored and is_cut_so and stored.sha256 == sha256:
            return Unchanged(path, stamp)
        try:
            with stoppable(self.cutter.stop):
                document = _document(found, data)
        except IngestError as error:
            if stored and stored.sha256 == sha256 and not isinstance(error, _Screened):
                return self._doubtful(path, found, str(error))  # still its text, only cut as before
            reason, skip = str(error), SkipStamp(stamp, by_what)
            if isinstance(error, CutShort):
                reason, skip = self._cut_short(path, reason, skip)
            return PassedOver(path, reason, stored is not None, skip)
        except (MemoryError, Stopped):
            raise
        except Exception as error:  # a mistake of ours costs one file, and not the run
            return PassedOver(path, _own_mistake("reading", error), is_outdated=False)
        row = StoredDocument(
            path=path,
            format=document.format,
            title=document.title,
            stamp=stamp,
            sha256=sha256,
            ingest=ingest,
            language=document.language,
            fields=document.fields,
            n_characters=len(document.text),
            keeps_secrets=found.keeps_secrets,
        )
        return ReadDocument(row, document)

    def _ingest_of(self, found: Found) -> str:
        """The fingerprint of how this file is cut: for source code, whether a grammar is installed."""
        marks = ["with secrets"] if found.keeps_secrets else []
        marks += ["at lines"] if is_cut_at_lines(found.path) else []
        return fingerprint(self.cutter.ingest, *marks) if marks else self.cutter.ingest

    def _still_passed_over(self, path: str, stamp: FileStamp, by_what: str) -> PassedOver | None:
        """The outcome of an earlier run, where reading the file again would give the same."""
        earlier = self.passed_over.get(path)
        if earlier is None or earlier.stamp is None or earlier.stamp.ingest != by_what:
            return None
        if 0 < earlier.stamp.n_crashes < MAX_CRASHES:
            return None  # try again
        return earlier if _is_trusted(earlier.stamp.stamp, stamp) else None

    def _cut_short(self, path: str, reason: str, now: SkipStamp) -> tuple[str, SkipStamp]:
        """The reason and stamp for a file that crashed its parser; `MAX_CRASHES` runs try it."""
        earlier = self.passed_over.get(path)
        n_crashes = 1
        known = earlier.stamp if earlier else None
        if known and known.ingest == now.ingest and _is_same(known.stamp, now.stamp):
            n_crashes += known.n_crashes or MAX_CRASHES
        if n_crashes >= MAX_CRASHES:
            reason = f"{reason}, as in {MAX_CRASHES} runs: left until it is changed or touched"
        return reason, replace(now, n_crashes=min(n_crashes, MAX_CRASHES))

    def _doubtful(self, path: str, found: Found, reason: str) -> PassedOver:
        """A file that may have text another time; its document stays, except for secrets screened now."""
        stored = self.stored.get(path)
        if stored is not None and stored.keeps_secrets and not found.keeps_secrets:
            return PassedOver(path, reason, is_outdated=True)
        kept = "; its earlier text is kept" if stored is not None else ""
        return PassedOver(path, reason + kept, is_outdated=False)

    def _cut(self, read: ReadDocument) -> CutDocument:
        chunks = self.cutter.cut(read.document)
        spans = [(one.start, one.end) for one in chunks]
        n_reached = bytes_under(read.document, spans, read.row.stamp.n_bytes)
        return CutDocument(replace(read.row, n_bytes_indexed=n_reached), chunks, read.document.notes)


def _own_mistake(what: str, error: Exception) -> str:
    return f"{what} it failed ({type(error).__name__}: {error}), which should not happen: please report it"


def passed_over(store: LocalStore) -> dict[str, PassedOver]:
    """The files that gave no text in earlier runs, with their stamps then."""
    stamps = store.journal.problem_stamps()
    return {
        one.path: PassedOver(one.path, one.reason, is_outdated=False, stamp=stamps.get(one.path))
        for one in store.journal.problems()
    }


class _Screened(IngestError):
    """There is text, and it must not be kept."""


def _document(found: Found, data: bytes) -> Document:
    """The document in a file's bytes, its secrets blanked; IngestError where there is none."""
    document = parse(found.path, data)
    if not document.text.strip():  # before a model is loaded to cut it
        raise IngestError("no text in it")
    if found.keeps_secrets:
        return document
    document = screened(document)
    if has_only_blanks(document.text):
        raise _Screened("screened: there is nothing but secrets in it (--keep-secrets takes it)")
    return document


def _read_at_rest(found: Found, stamp: FileStamp) -> tuple[bytes, FileStamp]:
    """A file's bytes as they were at one moment, with the file's stamp of that moment.

    Raises IngestError for a file that is written to while it is read, and again while it is read once more.
    """
    path = found.target or found.path
    for _ in range(2):
        data = read_bytes(path)
        after = _stamp(path)
        if after is None:
            raise IngestError("vanished while it was being read")
        if _is_same(after, stamp):
            return data, stamp
        stamp = after
    raise IngestError("changes while it is being read: the next run will try again")


def _stamp(path: str) -> FileStamp | None:
    """What the file system says of a file now; None where it is no longer there."""
    now_ns = time.time_ns()
    try:
        status = os.stat(path, follow_symlinks=False)  # noqa: PTH116 - ten thousand of them
    except OSError:
        return None
    return FileStamp(status.st_size, status.st_mtime_ns, status.st_ctime_ns, now_ns)


@dataclass(frozen=True, slots=True)
class _Stoppable:
    """A tokenizer that can be stopped between two calls: a huge document takes a minute of them."""

    tokenizer: Tokenizer
    stop: threading.Event

    def spans(self, texts: Sequence[str]) -> list[IntArray]:
        if self.stop.is_set():
            raise Stopped
        return self.tokenizer.spans(texts)


def _is_trusted(stored: FileStamp, now: FileStamp) -> bool:
    """Whether equal stamps prove that the file holds what it held."""
    return _is_same(stored, now) and max(stored.mtime_ns, stored.ctime_ns) + RACY_NS < stored.read_at_ns


def _is_same(one: FileStamp, other: FileStamp) -> bool:
    return (one.n_bytes, one.mtime_ns, one.ctime_ns) == (other.n_bytes, other.mtime_ns, other.ctime_ns)
