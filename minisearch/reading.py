"""What each file has for the index now: what it had, no text, or a document, read and cut.

    files found + documents stored when the run began -> one outcome a file, in the files' order

Nothing here has an effect.  What an outcome asks for (a new stamp, a removal, vectors) is the run's to do,
so that a thread of its own may read while the model works.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from minisearch.config import Settings
from minisearch.errors import IngestError
from minisearch.ingest import Found, chunk, parse, read_bytes
from minisearch.storage import FileStamp, StoredDocument
from minisearch.types import Chunk, Document, Encoder, IntArray, Tokenizer

# A file changed this close before it was read may have changed again after, with the same time and size
# (git's "racy" rule; FAT keeps times to 2 s), so such a file is read again.
RACY_NS = 2_000_000_000


# A title is told to the encoder before every passage: nDCG@10 by dense search, passages of 230 tokens, went
# from .312 to .378 on Cranfield's abstracts, from .940 to .953 on data/. Headings between gain nothing more.
CONTEXT_TOKENS = 48


@dataclass(frozen=True, slots=True)
class Unchanged:
    """What is stored still holds; ``stamp`` is to be noted where the file had to be read to know."""

    path: str
    stamp: FileStamp | None = None


@dataclass(frozen=True, slots=True)
class PassedOver:
    """A file that gives no text now; ``is_outdated`` when the text it once gave is no longer true."""

    path: str
    reason: str
    is_outdated: bool


@dataclass(frozen=True, slots=True)
class CutDocument:
    """A changed document, read and cut, waiting for its vectors."""

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


class Stopped(Exception):
    """The rest of a document is not wanted any more."""


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads files against what is ``stored`` of them, and cuts what has changed.

    ``encoder`` is a function, so that reading what has not changed loads no model; ``ingest`` is the
    fingerprint of how documents are cut now.  With ``stop`` set, cutting ends in `Stopped`.
    """

    stored: Mapping[str, StoredDocument]
    encoder: Callable[[], Encoder]
    settings: Settings
    ingest: str
    stop: threading.Event = field(default_factory=threading.Event)

    def outcomes(self, files: Mapping[str, Found]) -> Iterator[Outcome]:
        """Each file's outcome; the files go by the names the store knows them by."""
        for path, found in files.items():
            yield self._outcome(path, found)

    def _outcome(self, path: str, found: Found) -> Outcome:
        stored = self.stored.get(path)
        stamp = FileStamp(found.size, found.mtime_ns, found.ctime_ns, time.time_ns())
        is_cut_so = stored is not None and stored.ingest == self.ingest
        if stored and is_cut_so and _is_trusted(stored.stamp, stamp):
            return Unchanged(path)
        try:
            data = read_bytes(found.path)
        except IngestError as error:  # what it held when it could last be read stays searchable
            reason = f"{error}; its earlier text is kept" if stored else str(error)
            return PassedOver(path, reason, is_outdated=False)
        sha256 = hashlib.sha256(data).digest()
        if stored and is_cut_so and stored.sha256 == sha256:
            return Unchanged(path, stamp)
        try:
            document = parse(found.path, data)
        except IngestError as error:
            return PassedOver(path, str(error), is_outdated=stored is not None)
        if not document.text.strip():  # said before a model is loaded to cut it
            return PassedOver(path, "no text in it", is_outdated=stored is not None)
        row = StoredDocument(
            path=path,
            format=document.format,
            title=document.title,
            stamp=stamp,
            sha256=sha256,
            ingest=self.ingest,
            language=document.language,
            fields=document.fields,
        )
        return CutDocument(row, self._cut(document), document.notes)

    def _cut(self, document: Document) -> list[Chunk]:
        encoder = self.encoder()
        tokenizer = _Stoppable(encoder.tokenizer, self.stop)
        max_tokens = self.settings.chunk_tokens(encoder.max_tokens)
        context, n_context = context_of(document.title, tokenizer, max_tokens)
        chunks = chunk(
            document,
            tokenizer,
            max_tokens=max_tokens - n_context,
            overlap_tokens=self.settings.overlap_tokens,
        )
        return [replace(one, context=context, n_tokens=one.n_tokens + n_context) for one in chunks]


def context_of(title: str, tokenizer: Tokenizer, chunk_tokens: int) -> tuple[str, int]:
    """As much of a title as is embedded with each chunk of ``chunk_tokens`` in all; how many it takes."""
    max_tokens = min(CONTEXT_TOKENS, chunk_tokens // 4)
    title = " ".join(title.split())
    if not title:
        return "", 0
    (spans,) = tokenizer.spans([title])
    if len(spans) > max_tokens:
        title = title[: int(spans[max_tokens][0])].rstrip()
        (spans,) = tokenizer.spans([title])
    return title, len(spans)


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
    is_same = (stored.n_bytes, stored.mtime_ns, stored.ctime_ns) == (now.n_bytes, now.mtime_ns, now.ctime_ns)
    return is_same and max(stored.mtime_ns, stored.ctime_ns) + RACY_NS < stored.read_at_ns
