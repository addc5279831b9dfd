"""The store: what indexing and search ask of storage, as protocols, and the records that cross the border.

A store keeps documents with their chunks, vectors and full text.  `Store` is for writers, `Snapshot` for
queries.  An engine on another machine can implement both: nothing here names files, SQL or a vector library.
How results are ranked is left to `search.ranking`, which hands a `LexicalQuery` to the store.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Protocol

from minisearch.filters import Filter
from minisearch.types import Chunk, FloatArray, Hits, IntArray, Note

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


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """A document's record: what shows whether its file has changed, and what filters compare.

    ``sha256`` is of the file's bytes; ``ingest`` is the fingerprint of the settings it was chunked with;
    ``language`` and ``fields`` are `Document`'s, with the numbers among the fields as floats.  A store
    returns the fields only where they are asked for.  ``n_characters`` is the length of its text,
    ``n_bytes_reached`` how many of the file's bytes are in its chunks.  ``keeps_secrets`` says that it was
    not screened.
    """

    path: str
    format: str
    title: str
    stamp: FileStamp
    sha256: bytes
    ingest: str
    language: str = ""
    fields: Mapping[str, tuple[str | float | bool, ...]] = field(default_factory=dict)
    id: int = 0
    n_characters: int = 0
    n_bytes_reached: int = 0
    keeps_secrets: bool = False


@dataclass(frozen=True, slots=True)
class SkipStamp:
    """The state of a skipped file, the settings it was read with, and how often it crashed its reader."""

    stamp: FileStamp
    ingest: str
    n_crashes: int = 0


@dataclass(frozen=True, slots=True)
class StoredChunk:
    """A chunk as a result needs it; ``title`` is its document's, the places are `Chunk`'s."""

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
class Undone:
    """What a rollback did: documents that came back, were replaced by their earlier state, or are gone."""

    added: int
    updated: int
    removed: int


# --- what filters compare --------------------------------------------------------------------------

Value = str | float | bool

TEXT, NUMBER, TRUTH = "text", "number", "truth"

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def kind_of(value: Value) -> str:
    """The kind of a value; only values of one kind compare."""
    if isinstance(value, str):
        return TEXT
    return TRUTH if isinstance(value, bool) else NUMBER


def compared(value: Value) -> tuple[bytes | None, float | None]:
    """A value as (folded text, number) for comparison; the other one is None."""
    if isinstance(value, str):
        return folded(value), None
    try:
        # As a database returns it: no -0, and NaN as null.
        return None, None if math.isnan(value) else float(value) + 0.0
    except OverflowError:  # a whole number beyond 1e308
        return None, math.inf if value > 0 else -math.inf


def folded(text: str) -> bytes:
    """A text without differences of case."""
    return to_bytes(unicodedata.normalize("NFC", text.casefold()))


def to_bytes(text: str) -> bytes:
    """Any string as bytes, also with lone surrogates."""
    return text.encode("utf-8", "surrogatepass")


def nanoseconds(moment: datetime) -> int | float:
    """Nanoseconds since 1970, as file times are; without a time zone, local time."""
    if moment.tzinfo is None:
        try:
            moment = moment.astimezone()
        except (OverflowError, ValueError, OSError):  # the first and the last day of all
            moment = moment.replace(tzinfo=timezone.utc)
    ns = (moment - _EPOCH) // timedelta(microseconds=1) * 1000
    return ns if -(2**63) <= ns < 2**63 else float(ns)  # 64-bit integers end in 2262


# --- lexical queries -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Term:
    """A word, or adjacent words, to look up; with ``is_prefix`` also every word that begins so.

    Words are normalised (see `text.normalised_words`); CJK text is in pairs of characters.  Case, accents and
    English endings do not matter.
    """

    words: tuple[str, ...]
    is_prefix: bool = False


@dataclass(frozen=True, slots=True)
class TermGroup:
    """Terms that count alike: ``weight`` times their BM25 each.

    ``idf`` replaces the inverse document frequency of each term.  ``is_content`` adds them to `Hits.words`.
    """

    terms: tuple[Term, ...]
    weight: float = 1.0
    is_content: bool = False
    idf: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True)
class LexicalQuery:
    """A query for full-text search: any of the terms is enough, and the scores of all of them are added.

    ``column_weights`` are those of title, heading and text.  ``ceiling`` is the score of a perfect match, and
    ``content_ceiling`` that of the content terms alone.  An engine with a ranking of its own may use ``text``
    and approximate the rest.
    """

    text: str
    groups: tuple[TermGroup, ...]
    column_weights: tuple[float, float, float]
    ceiling: float
    content_ceiling: float


LEAST_IDF = 1e-6  # FTS5's, for a word in more than half of the chunks


def inverse_document_frequency(n_with: float, n: float) -> float:
    """BM25's weight of a term that ``n_with`` of ``n`` chunks hold, as FTS5 has it."""
    idf = math.log((n - n_with + 0.5) / (n_with + 0.5))
    return idf if idf > 0 else LEAST_IDF


# --- the protocols ---------------------------------------------------------------------------------

Where = Filter | IntArray


class Snapshot(Protocol):
    """One generation of an index, for a query.

    ``where`` is a filter, or the ids that `select` returned for one; ``exclude`` are ids of chunks to leave
    out.  Both hold inside the search: k results, or all there are.
    """

    def counts(self) -> tuple[int, int]:
        """How many documents and how many chunks."""

    def sample_ids(self, n: int) -> IntArray:
        """About n ids of chunks, evenly spread; always the same ones."""

    def select(self, where: Filter) -> IntArray:
        """Ids (n,), ascending, of the chunks that a filter leaves; InputError if it makes no sense."""

    def dense(
        self, vector: FloatArray, k: int, *, where: Where | None = None, exclude: IntArray | None = None
    ) -> Hits:
        """The k chunks nearest to a unit vector (d,), by cosine; equal scores by smaller id."""

    def plan(self, k: int, *, where: Where | None = None) -> str:
        """How `dense` would search: "scan" (every vector) or "widen" (candidates of an index)."""

    def term_counts(self, terms: Sequence[Term]) -> list[int]:
        """How many chunks hold each of the terms."""

    def lexical(
        self, query: LexicalQuery, k: int, *, where: Where | None = None, exclude: IntArray | None = None
    ) -> Hits:
        """The k chunks that match a query's terms best, by weighted BM25; equal scores by smaller id."""

    def cosines(self, vector: FloatArray, ids: IntArray) -> FloatArray:
        """The cosines (n,) of these chunks with a vector, to the last bit as in `dense`; nan for no chunk."""

    def vectors(self, ids: IntArray) -> FloatArray:
        """The vectors (n, d) of these chunks."""

    def chunks(self, ids: Sequence[int]) -> dict[int, StoredChunk]:
        """These chunks, by id."""

    def passages(self, path: str) -> list[StoredChunk]:
        """The chunks of the document at a path, in order; none if there is no such document."""


class Store(Protocol):
    """An index in storage.  Every method may raise StoreError."""

    def meta(self) -> dict[str, str]:
        """The manifest: what the index was built with."""

    def set_meta(self, **values: str) -> None:
        """Set some values of the manifest."""

    def documents(self, *, with_fields: bool = False) -> Mapping[str, StoredDocument]:
        """Every document by its path."""

    def notes(self) -> list[Note]:
        """What the parsers could not keep of the documents, ordered by path."""

    def put(
        self,
        document: StoredDocument,
        chunks: Sequence[Chunk],
        vectors: FloatArray,
        notes: Sequence[str] = (),
    ) -> None:
        """Add a document, or replace the one of the same path, as a whole.

        ``vectors`` (len(chunks), d) are the chunks' unit vectors, in order.  ``notes`` say what the parser
        could not keep.
        """

    def remove(self, document_ids: Iterable[int]) -> None:
        """Remove documents with their chunks, vectors, full text and notes."""

    def known_vectors(self, texts: Sequence[str], *, dimension: int = 0) -> dict[str, FloatArray]:
        """The vectors already stored for any of these texts; 0: of any dimension."""

    def snapshot(self) -> AbstractContextManager[Snapshot]:
        """A block in which everything that is read is of one generation."""
