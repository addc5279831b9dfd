"""Detect changed files and read them: found files and stored documents go in, one outcome per file comes out.

An outcome says that a file is unchanged, that it is skipped, or which document it holds now, parsed and
chunked.  Storing, removing and embedding are left to the run.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from minisearch.chunking.chunker import split_document
from minisearch.chunking.positions import bytes_under
from minisearch.errors import CutShort, IngestError, MinisearchError
from minisearch.files.embedded import Range, embedded_data, without_ranges
from minisearch.files.junk import junk_text_kind
from minisearch.files.scope import OWN_FILE
from minisearch.files.secrets import has_only_blanks, screened
from minisearch.files.walk import FoundFile
from minisearch.manifest import Settings, fingerprint
from minisearch.parsers import parse, read_bytes
from minisearch.parsers.registry import installed_libraries, reading_key
from minisearch.parsers.source import edited
from minisearch.stores.base import FileStamp, SkipStamp, StoredDocument
from minisearch.text import A_LETTER, title_of_name
from minisearch.types import Chunk, Document, Encoder

# A file that was changed this shortly before it was read may have changed again afterwards, with the same
# time and size (git's "racy" rule; FAT stores times to 2 s).  Such a file is read again.
RACY_NS = 2_000_000_000

# A parser may crash because of the file, or because memory was short for a while: so it is tried again.
MAX_CRASHES = 3

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Unchanged:
    """A file with the stored content; ``stamp`` is its new stamp if it had to be read to find out."""

    path: str
    stamp: FileStamp | None = None


@dataclass(frozen=True, slots=True)
class SkippedFile:
    """A file without usable text; ``is_outdated`` means that its stored document must be removed.

    With a ``stamp`` the next run skips the unchanged file without reading it; with None it reads it again.
    ``is_failure`` if an unexpected exception is the reason.
    """

    path: str
    reason: str
    is_outdated: bool
    stamp: SkipStamp | None = None
    is_failure: bool = False


@dataclass(frozen=True, slots=True)
class ReadDocument:
    """A new or changed document, not chunked yet; ``row.n_bytes_indexed`` is not set yet."""

    row: StoredDocument
    document: Document

    @property
    def path(self) -> str:
        """Its stored path."""
        return self.row.path


@dataclass(frozen=True, slots=True)
class ChunkedDocument:
    """A new or changed document with its chunks; their vectors are not computed yet."""

    row: StoredDocument
    chunks: list[Chunk]
    notes: tuple[str, ...]

    @property
    def path(self) -> str:
        """Its stored path."""
        return self.row.path

    @property
    def n_tokens(self) -> int:
        """The tokens of all its chunks."""
        return sum(chunk.n_tokens for chunk in self.chunks)


Outcome = Unchanged | SkippedFile | ChunkedDocument


@dataclass(frozen=True, slots=True)
class DocumentSplitter:
    """Splits documents into chunks for one index.

    ``encoder`` is a function, so that a run over unchanged files loads no model.  ``ingest`` is the
    fingerprint of the settings for parsing and chunking.
    """

    encoder: Callable[[], Encoder]
    settings: Settings
    ingest: str

    def split(self, document: Document) -> list[Chunk]:
        """The chunks of a document."""
        encoder = self.encoder()
        return split_document(
            document, encoder.tokenizer, settings=self.settings, encoder_max_tokens=encoder.max_tokens
        )

    def chunked(self, read: ReadDocument) -> ChunkedDocument:
        """The document with its chunks, and the number of the bytes in them."""
        chunks = self.split(read.document)
        spans = [(one.start, one.end) for one in chunks]
        n_bytes_indexed = bytes_under(read.document, spans, read.row.stamp.n_bytes)
        return ChunkedDocument(
            replace(read.row, n_bytes_indexed=n_bytes_indexed), chunks, read.document.notes
        )


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads files and chunks those that have changed; the `DocumentSource` for files.

    ``stored`` are the documents in the index, ``skipped_before`` the files that earlier runs skipped.
    """

    stored: Mapping[str, StoredDocument]
    splitter: DocumentSplitter
    skipped_before: Mapping[str, SkippedFile] = field(default_factory=dict)

    def outcomes(self, files: Mapping[str, FoundFile]) -> Iterator[Outcome]:
        """The outcome of each file; ``files`` has the stored paths as keys."""
        for path, file in files.items():
            outcome = self.read(path, file)
            if isinstance(outcome, ReadDocument):
                self.splitter.encoder()  # an error of the model is not an error of this file
                yield self._safely(path, file, "splitting", partial(self.splitter.chunked, outcome))
            else:
                yield outcome

    def read(self, path: str, file: FoundFile) -> Unchanged | SkippedFile | ReadDocument:
        """The outcome of one file, without chunking it; needs no model."""
        return self._safely(path, file, "reading", partial(self._read, path, file))

    def _safely(self, path: str, file: FoundFile, what: str, step: Callable[[], T]) -> T | SkippedFile:
        """The result of a step; a bug in it, or too large a file, costs this file, not the whole run."""
        try:
            return step()
        except MinisearchError:
            raise
        except MemoryError:
            return self._unreadable_now(path, file, "it takes more memory to read than there is")
        except Exception as error:
            return failure(path, what, error)

    def _read(self, path: str, file: FoundFile) -> Unchanged | SkippedFile | ReadDocument:
        stored = self.stored.get(path)
        ingest = self._ingest_of(file)
        stamp = FileStamp(file.size, file.mtime_ns, file.ctime_ns, time.time_ns())
        has_same_settings = stored is not None and stored.ingest == ingest
        if stored and has_same_settings and _is_trusted(stored.stamp, stamp):
            return Unchanged(path)
        # A newly installed library may read a file that was skipped before, and so may a run that names it.
        reader_fingerprint = fingerprint(ingest, *installed_libraries(), *["named"] * file.is_named)
        skipped = None if stored else self._still_skipped(path, stamp, reader_fingerprint)
        if skipped:
            return skipped
        try:
            data, stamp = _read_unchanging(file, stamp)
        except IngestError as error:  # the text that was last read stays searchable
            return self._unreadable_now(path, file, str(error))
        sha256 = hashlib.sha256(data).digest()
        if stored and has_same_settings and stored.sha256 == sha256:
            return Unchanged(path, stamp)
        try:
            document = _document(file, data)
        except MinisearchError as error:
            if stored and stored.sha256 == sha256 and not isinstance(error, _Refused):
                return self._unreadable_now(
                    path, file, str(error)
                )  # the stored text is still right, only chunked with earlier settings
            reason, skip = str(error), SkipStamp(stamp, reader_fingerprint)
            if isinstance(error, CutShort):
                reason, skip = self._cut_short(path, reason, skip)
            return SkippedFile(path, reason, stored is not None, skip)
        return read_document(path, document, file, stamp=stamp, sha256=sha256, ingest=ingest)

    def _ingest_of(self, file: FoundFile) -> str:
        """The fingerprint of the settings for this file, and of how a file of its name is read."""
        key = [*reading_key(file.path, uses_ocr=file.uses_ocr), *["with secrets"] * file.keeps_secrets]
        return fingerprint(self.splitter.ingest, *key) if key else self.splitter.ingest

    def _still_skipped(self, path: str, stamp: FileStamp, reader_fingerprint: str) -> SkippedFile | None:
        """The outcome of an earlier run, if reading the file again would give the same."""
        earlier = self.skipped_before.get(path)
        if earlier is None or earlier.stamp is None or earlier.stamp.ingest != reader_fingerprint:
            return None
        if 0 < earlier.stamp.n_crashes < MAX_CRASHES:
            return None  # try again
        return earlier if _is_trusted(earlier.stamp.stamp, stamp) else None

    def _cut_short(self, path: str, reason: str, now: SkipStamp) -> tuple[str, SkipStamp]:
        """The reason and stamp of a file that crashed its parser; up to `MAX_CRASHES` runs try it."""
        earlier = self.skipped_before.get(path)
        n_crashes = 1
        known = earlier.stamp if earlier else None
        if known and known.ingest == now.ingest and known.stamp.is_same(now.stamp):
            n_crashes += known.n_crashes or MAX_CRASHES
        if n_crashes >= MAX_CRASHES:
            reason = f"{reason}, as in {MAX_CRASHES} runs: left until it is changed or touched"
        return reason, replace(now, n_crashes=min(n_crashes, MAX_CRASHES))

    def _unreadable_now(self, path: str, file: FoundFile, reason: str) -> SkippedFile:
        """A file that a later run may read; its document stays, unless its secrets must be removed now."""
        stored = self.stored.get(path)
        if stored is not None and stored.keeps_secrets and not file.keeps_secrets:
            return SkippedFile(path, reason, is_outdated=True)
        kept = "; its earlier text is kept" if stored is not None else ""
        return SkippedFile(path, reason + kept, is_outdated=False)


def failure(path: str, what: str, error: Exception) -> SkippedFile:
    """The outcome of a file that an unexpected exception kept from the index; the next run tries it again."""
    reason = f"{what} it failed ({type(error).__name__}: {error}), which should not happen: please report it"
    return SkippedFile(path, reason, is_outdated=False, is_failure=True)


def read_document(
    path: str, document: Document, file: FoundFile, *, stamp: FileStamp, sha256: bytes, ingest: str
) -> ReadDocument:
    """A document with the record that the store keeps of it."""
    row = StoredDocument(
        path=path,
        format=document.format,
        title=document.title,
        stamp=stamp,
        sha256=sha256,
        ingest=ingest,
        language=document.language,
        fields=document.fields,
        names=document.names,
        n_characters=len(document.text),
        keeps_secrets=file.keeps_secrets,
    )
    return ReadDocument(row, document)


class _Refused(IngestError):
    """The file has text, but it must not be stored."""


def _document(file: FoundFile, data: bytes) -> Document:
    """The document in a file's bytes, with secrets blanked; IngestError if it has no text."""
    document = parse(file.path, data, uses_ocr=file.uses_ocr)
    document = replace(document, title=document.title or title_of_name(file.path))
    if not document.text.strip():  # checked here, before a model is loaded for chunking
        raise IngestError("no text in it")
    embedded = embedded_data(document.text)
    kind = junk_text_kind(document.text, embedded, document.language, document.format)
    if kind and not file.is_named:
        raise _Refused(f"{kind}: to index it, add !{Path(file.path).name} to {OWN_FILE}")
    if not file.keeps_secrets:
        document = screened(document)
    if embedded and not kind:
        document = without_embedded(document, embedded)
    if has_only_blanks(document.text):
        raise _Refused("screened: there is nothing but secrets in it (--keep-secrets takes it)")
    return document


def without_embedded(document: Document, embedded: Sequence[Range] | None = None) -> Document:
    """The document without embedded data, and a note; as it is if it has nothing else.

    ``embedded`` are the ranges of its text with such data, if they are known.
    """
    embedded = embedded_data(document.text) if embedded is None else embedded
    clean = edited(document, [(start, end, "") for start, end in embedded])
    if not embedded or not A_LETTER.search(clean.text):
        return document

    def rest(title: str) -> str:
        return without_ranges(title, embedded_data(title))

    note = f"{len(document.text) - len(clean.text):,} characters of embedded data left out"
    headings = tuple(replace(one, title=rest(one.title)) for one in clean.headings)
    return replace(clean, title=rest(clean.title), headings=headings, notes=(*clean.notes, note))


def _read_unchanging(file: FoundFile, stamp: FileStamp) -> tuple[bytes, FileStamp]:
    """The bytes of a file at one moment, with its stamp of that moment.

    Raises IngestError for a file that changes during each of two reads.
    """
    path = file.target or file.path
    for _ in range(2):
        data = read_bytes(path)
        after = _stamp(path)
        if after is None:
            raise IngestError("vanished while it was being read")
        if after.is_same(stamp):
            return data, stamp
        stamp = after
    raise IngestError("changes while it is being read: the next run will try again")


def _stamp(path: str) -> FileStamp | None:
    """The current stamp of a file; None if it no longer exists."""
    now_ns = time.time_ns()
    try:
        status = os.stat(path, follow_symlinks=False)  # noqa: PTH116 - ten thousand of them
    except OSError:
        return None
    return FileStamp(status.st_size, status.st_mtime_ns, status.st_ctime_ns, now_ns)


def _is_trusted(stored: FileStamp, now: FileStamp) -> bool:
    """Whether the stamps are equal and prove that the content is unchanged."""
    return stored.is_same(now) and max(stored.mtime_ns, stored.ctime_ns) + RACY_NS < stored.read_at_ns
