"""The storage interface: protocols and the records passed through them.

A store keeps documents with their chunks, vectors and full text.  `Store` is for writers, `Snapshot` for
queries.  An engine on another machine can implement both: they need no local files, no SQL and no vector
library.  BM25 scores follow SQLite's FTS5.  Ranking is left to `search.ranking`, which builds the
`LexicalQuery` for a store.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from typing import Protocol

from minisearch.filters import Filter
from minisearch.results import FileState
from minisearch.types import Chunk, FloatArray, Hits, IntArray, Note, StoredValue

# --- records ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FileStamp:
    """The state of a file when it was read; a run does not read a file with an equal stamp again.

    ``read_at_ns`` is the time just before reading: a change at or after it may have gone unseen.
    """

    n_bytes: int
    mtime_ns: int
    ctime_ns: int
    read_at_ns: int

    def is_same(self, other: FileStamp) -> bool:
        """Whether size and times are equal, whenever the file was read."""
        return self == replace(other, read_at_ns=self.read_at_ns)


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """A document's record: the state of its file, to detect changes, and the values that filters compare.

    ``sha256`` is the hash of the file's bytes.  ``ingest`` is the fingerprint of the settings with which the
    file was parsed and chunked: with other settings it is read again.  ``language`` and ``fields`` are those
    of `Document`, with numbers as floats; a store returns the fields only on request.  ``n_characters`` is
    the length of the text, ``n_bytes_indexed`` the number of the file's bytes that are in chunks.
    ``keeps_secrets`` is true if the file was not screened for secrets.
    """

    path: str
    format: str
    title: str
    stamp: FileStamp
    sha256: bytes
    ingest: str
    language: str = ""
    fields: Mapping[str, tuple[StoredValue, ...]] = field(default_factory=dict)
    id: int = 0
    n_characters: int = 0
    n_bytes_indexed: int = 0
    keeps_secrets: bool = False


@dataclass(frozen=True, slots=True)
class SkipStamp:
    """The state of a skipped file, the fingerprint of the settings, and how often its parser crashed."""

    stamp: FileStamp
    ingest: str
    n_crashes: int = 0


@dataclass(frozen=True, slots=True)
class StoredChunk:
    """A chunk with all that a result shows: ``title`` of its document, positions as in `Chunk`."""

    id: int
    document_id: int
    path: str
    line: int
    end_line: int
    heading: str
    text: str
    title: str = ""
    anchors: tuple[tuple[int, int, int], ...] = ()
    page: int | None = None
    page_breaks: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class RollbackReport:
    """How many documents a rollback added, replaced by their earlier version, or removed."""

    added: int
    updated: int
    removed: int


# --- what filters compare --------------------------------------------------------------------------

TEXT, NUMBER, BOOLEAN, BYTES = "text", "number", "truth", "bytes"  # as stored

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def kind_of(value: StoredValue) -> str:
    """The kind of a value; only values of one kind compare, and bytes not at all."""
    if isinstance(value, str | bytes):
        return TEXT if isinstance(value, str) else BYTES
    return BOOLEAN if isinstance(value, bool) else NUMBER


def comparison_key(value: StoredValue) -> tuple[bytes | None, float | None]:
    """A value as (folded text, number); exactly one is set, except for NaN and bytes: there both are None."""
    if isinstance(value, bytes):
        return None, None
    if isinstance(value, str):
        return folded(value), None
    try:
        # As a database returns it: 0 for -0, and null for NaN.
        return None, None if math.isnan(value) else float(value) + 0.0
    except OverflowError:  # a whole number beyond 1e308
        return None, math.inf if value > 0 else -math.inf


def folded(text: str) -> bytes:
    """A text with case removed, for comparison."""
    return to_bytes(unicodedata.normalize("NFC", text.casefold()))


def to_bytes(text: str) -> bytes:
    """Any string as bytes, also with lone surrogates."""
    return text.encode("utf-8", "surrogatepass")


def nanoseconds(moment: datetime) -> int | float:
    """Nanoseconds since 1970, as file times are; without a time zone, local time."""
    if moment.tzinfo is None:
        try:
            moment = moment.astimezone()
        except (OverflowError, ValueError, OSError):  # the first or the last day that Python has
            moment = moment.replace(tzinfo=timezone.utc)
    ns = (moment - _EPOCH) // timedelta(microseconds=1) * 1000
    return ns if -(2**63) <= ns < 2**63 else float(ns)  # 64 bits last until 2262


# --- lexical queries -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Term:
    """A word, or a phrase of adjacent words; with ``is_prefix``, also every word that begins with it.

    Words are normalised (see `text.normalised_words`).  CJK text is split into pairs of characters.  Case,
    accents and English endings are ignored.
    """

    words: tuple[str, ...]
    is_prefix: bool = False


@dataclass(frozen=True, slots=True)
class TermGroup:
    """Terms of equal weight: each adds ``weight`` times its BM25.

    ``idf`` replaces the inverse document frequency of each term.  With ``is_content`` they count in
    `Hits.words`.
    """

    terms: tuple[Term, ...]
    weight: float = 1.0
    is_content: bool = False
    idf: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True)
class LexicalQuery:
    """A query for full-text search: a chunk matches if it has any of the terms; their scores are added.

    ``column_weights`` are the weights of title, heading and text.  ``ceiling`` is the score of a perfect
    match, ``content_ceiling`` that of the content terms alone.  An engine with its own ranking may use
    ``text`` and approximate the rest.
    """

    text: str
    groups: tuple[TermGroup, ...]
    column_weights: tuple[float, float, float]
    ceiling: float
    content_ceiling: float


LEAST_IDF = 1e-6  # the value of FTS5 for a word in more than half of the chunks


def inverse_document_frequency(n_with: float, n: float) -> float:
    """The BM25 weight of a term that is in ``n_with`` of ``n`` chunks, computed as FTS5 does."""
    idf = math.log((n - n_with + 0.5) / (n_with + 0.5))
    return idf if idf > 0 else LEAST_IDF


# --- the protocols ---------------------------------------------------------------------------------

Where = Filter | IntArray


class Snapshot(Protocol):
    """One generation of an index, for a query.

    ``where`` is a filter, or the ids that `select` returned for one; ``exclude`` are ids of chunks to leave
    out.  Both are applied during the search, so k results are returned if that many match.
    """

    def counts(self) -> tuple[int, int]:
        """How many documents and how many chunks."""

    def sample_ids(self, n: int) -> IntArray:
        """About n ids of chunks, evenly spread; the same ones at every call."""

    def select(self, where: Filter) -> IntArray:
        """Ids (n,), ascending, of the chunks that match a filter; InputError for an invalid filter."""

    def dense(
        self, vector: FloatArray, k: int, *, where: Where | None = None, exclude: IntArray | None = None
    ) -> Hits:
        """The k chunks nearest to a unit vector (d,), by cosine; equal scores by smaller id."""

    def plan(self, k: int, *, where: Where | None = None) -> str:
        """How `dense` would search: "scan" (all vectors) or "widen" (candidates of a vector index)."""

    def term_counts(self, terms: Sequence[Term]) -> list[int]:
        """The number of chunks with each term."""

    def words_with_prefix(self, prefix: str) -> Mapping[str, int]:
        """The words that begin with a prefix, in lower case, each with about its number of chunks.

        A store may keep words without their endings, and return them so.
        """

    def lexical(
        self, query: LexicalQuery, k: int, *, where: Where | None = None, exclude: IntArray | None = None
    ) -> Hits:
        """The k chunks that match a query's terms best, by weighted BM25; equal scores by smaller id."""

    def cosines(self, vector: FloatArray, ids: IntArray) -> FloatArray:
        """The cosines (n,) of these chunks, to the last bit as in `dense`; nan for an unknown id."""

    def vectors(self, ids: IntArray) -> FloatArray:
        """The vectors (n, d) of these chunks."""

    def chunks(self, ids: Sequence[int]) -> dict[int, StoredChunk]:
        """These chunks, by id."""

    def passages(self, path: str) -> list[StoredChunk]:
        """The chunks of the document at a path, in order; none if there is no such document."""

    def field_names(self) -> list[str]:
        """The names of all fields of documents, `folded` as filters compare them, in order."""

    def file_states(self, document_ids: Collection[int]) -> Mapping[int, FileState]:
        """Whether the files of these documents are as they were indexed, by id.

        Documents from memory are left out, and files that the index may not open.
        """


class Store(Protocol):
    """An index in storage.  Every method may raise StoreError."""

    def meta(self) -> dict[str, str]:
        """The manifest: what the index was built with."""

    def set_meta(self, **values: str) -> None:
        """Set some values of the manifest."""

    def documents(self, *, with_fields: bool = False) -> Mapping[str, StoredDocument]:
        """Every document by its path."""

    def notes(self) -> list[Note]:
        """The content that the parsers could not keep, ordered by path."""

    def put(
        self,
        document: StoredDocument,
        chunks: Sequence[Chunk],
        vectors: FloatArray,
        notes: Sequence[str] = (),
    ) -> None:
        """Add a document with all its chunks, or replace the one with the same path.

        ``vectors`` (len(chunks), d) are the chunks' unit vectors, in order.  ``notes`` list the content that
        the parser could not keep.
        """

    def remove(self, document_ids: Iterable[int]) -> None:
        """Remove documents with their chunks, vectors, full text and notes."""

    def known_vectors(self, texts: Sequence[str], *, dimension: int = 0) -> dict[str, FloatArray]:
        """The vectors already stored for these texts; dimension 0 accepts any."""

    def snapshot(self) -> AbstractContextManager[Snapshot]:
        """A context in which all reads see one generation."""
