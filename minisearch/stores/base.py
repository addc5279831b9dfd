"""The storage interface: protocols and the records passed through them.

A store keeps documents with their chunks, vectors and full text.  `Snapshot` is all that a query asks,
`Store` all that indexing and search ask; its parts are `Journal` and `VectorCache`.  An engine on another
machine can implement them: they need no local files, no SQL and no vector library.  BM25 scores follow
SQLite's FTS5.  Ranking is left to `search.ranking`, which builds the `LexicalQuery` for a store.  Backups,
rollback and the check of all that is stored are left to each store.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from typing import Protocol

from minisearch.filters import Filter
from minisearch.text import folded
from minisearch.types import (
    Chunk,
    FloatArray,
    Hits,
    IntArray,
    Note,
    RunOutcome,
    RunRecord,
    Skipped,
    StoredValue,
)

# --- records ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FileStamp:
    """The state of a file when it was read; a run does not read a file with an equal stamp again.

    ``read_at_ns`` is the time just before reading: a change at or after it may have gone unseen.  Times have
    63 bits and a sign, as in a database; those after 2262 count as the last one.
    """

    n_bytes: int
    mtime_ns: int
    ctime_ns: int
    read_at_ns: int

    def __post_init__(self) -> None:
        for name in ("mtime_ns", "ctime_ns"):
            object.__setattr__(self, name, max(-(2**63), min(getattr(self, name), 2**63 - 1)))

    def is_same(self, other: FileStamp) -> bool:
        """Whether size and times are equal, whenever the file was read."""
        return self == replace(other, read_at_ns=self.read_at_ns)


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """A document's record: the state of its file, to detect changes, and the values that filters compare.

    ``sha256`` is the hash of the file's bytes.  ``ingest`` is the fingerprint of the settings with which the
    file was parsed and chunked: with other settings it is read again.  ``language``, ``fields`` and ``names``
    are those of `Document`, with numbers as floats; a store returns the fields only on request, the names not
    at all.  ``n_characters`` is the length of the text, ``n_bytes_indexed`` the number of the file's bytes
    that are in chunks.
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
    names: tuple[str, ...] = ()


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
        return to_bytes(folded(value)), None
    try:
        # As a database returns it: 0 for -0, and null for NaN.
        return None, None if math.isnan(value) else float(value) + 0.0
    except OverflowError:  # a whole number beyond 1e308
        return None, math.inf if value > 0 else -math.inf


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

    Words are normalised (see `text.normalised_words`).  Paired text is split into pairs of characters.  Case,
    accents and English endings are ignored.  Passages also hold what `terms` finds in them, and
    as a part of the title the words of their file's name.
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


class Journal(Protocol):
    """The runs of an index, and the files that are not in it."""

    def start_run(self, roots: Sequence[str]) -> int:
        """Record the start of a run and return its number."""

    def finish_run(self, run_id: int, outcome: RunOutcome, counts: dict[str, int]) -> None:
        """Record how a run ended."""

    def last_run(self) -> RunRecord | None:
        """The latest run, if there was any."""

    def skipped(self) -> list[Skipped]:
        """The skipped files, by path."""

    def skip_stamps(self) -> dict[str, SkipStamp]:
        """The recorded state of skipped files, by path; files without one are left out."""

    def set_skipped(
        self, forget: Iterable[str], skipped: Iterable[Skipped], stamps: Mapping[str, SkipStamp] = ...
    ) -> None:
        """Delete the records of some paths, then add those of skipped files, with their stamps if given.

        The size of a skipped file is that of its stamp; it is unknown without one.
        """

    def left_out(self) -> list[Skipped]:
        """The files and folders left out on purpose, by path."""

    def set_left_out(self, forget: Iterable[str], left_out: Iterable[Skipped]) -> None:
        """Delete the records of some paths, then add those of files and folders left out."""


class Snapshot(Protocol):
    """One generation of an index, for a query.

    ``where`` is a filter, or the ids that `select` returned for one; ``exclude`` are ids of chunks to leave
    out.  Both are applied during the search, so k results are returned if that many match.
    """

    @property
    def journal(self) -> Journal:
        """The runs, and the files that are not in the index."""

    @property
    def generation(self) -> int:
        """Grows with every change of documents; 0 for an empty store."""

    def meta(self) -> Mapping[str, str]:
        """The manifest: what the index was built with."""

    def counts(self) -> tuple[int, int]:
        """How many documents and how many chunks."""

    def documents(self, *, with_fields: bool = False) -> Mapping[str, StoredDocument]:
        """Every document by its path."""

    def paths(self, document_ids: Sequence[int]) -> dict[int, str]:
        """The paths of documents, by id; unknown ids are left out."""

    def notes(self) -> list[Note]:
        """The content that the parsers could not keep, ordered by path."""

    def field_names(self, among: Sequence[str] | None = None) -> list[str]:
        """The names of all fields of documents, as filters compare them, in order.

        With ``among``, those of these names that a document has a field of, in a time for these names alone.
        """

    def fields(self, names: Sequence[str], where: Filter) -> dict[int, dict[str, tuple[StoredValue, ...]]]:
        """The fields of these names of documents that match a filter, by document id, ascending.

        Documents without any of them are left out.
        """

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

    def chunks(self, ids: Sequence[int], *, may_be_gone: bool = False) -> dict[int, StoredChunk]:
        """These chunks, by id; with ``may_be_gone``, those that no longer exist are left out."""

    def chunks_of(self, path: str) -> list[StoredChunk]:
        """The chunks of the document at a path, in order; none if there is no such document."""

    def stamps(self, document_ids: Sequence[int]) -> Mapping[int, FileStamp]:
        """The states of the files of these documents when they were read, by id; unknown ids are left out."""


class VectorCache(Protocol):
    """The vector index of a store, which only makes `Snapshot.dense` faster.

    A store that has no such cache, or keeps it current itself, is never due, and does nothing here.
    """

    def is_there(self) -> bool:
        """Whether the cache exists."""

    def is_due(self, backend: str) -> bool:
        """Whether to publish: no cache yet, another backend, or too many changes since."""

    def publish(self, backend: str, dimension: int) -> None:
        """Rebuild the cache from the stored vectors and use it; BackendUnavailable, IndexNotWritable."""

    def publish_if_due(self, backend: str, dimension: int) -> bool:
        """Publish a new cache if one is due; whether it was."""


class Store(Snapshot, Protocol):
    """An index in storage.  Every method may raise StoreError.

    Read outside `snapshot`, each call sees the latest generation.
    """

    @property
    def index(self) -> VectorCache:
        """The vector index."""

    def set_meta(self, **values: str) -> None:
        """Set some values of the manifest."""

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

    def restamp(self, document_id: int, stamp: FileStamp) -> None:
        """Record that a file was read again and has the same bytes."""

    def remove(self, document_ids: Iterable[int], *, for_good: bool = False) -> None:
        """Remove documents with their chunks, vectors, full text and notes.

        Their vectors stay known, because a file may come back; with ``for_good``, only those of texts that
        other documents have.
        """

    def begin_change(self, run_id: int) -> None:
        """Begin the change of a run: what it puts and removes is undone as a whole, in a store that can."""

    def forget_secrets(self, keeps: Callable[[str], bool]) -> None:
        """Delete earlier versions of documents whose path no longer ``keeps`` secrets, if there are any."""

    def known_vectors(self, texts: Sequence[str], *, dimension: int = 0) -> dict[str, FloatArray]:
        """The vectors already stored for these texts; dimension 0 accepts any."""

    def snapshot(self) -> AbstractContextManager[Snapshot]:
        """A context in which all reads see one generation."""

    def is_outdated(self) -> bool:
        """Whether another store may be in this place now: then open it again."""

    def close(self) -> None:
        """Release what the store holds open."""
