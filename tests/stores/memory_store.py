"""A store in memory: small, exact and simple.

It is written from `stores.base` alone, and the contract suite compares the local store with it.  Every query
compares all chunks.  Scores are those of the local store, to within rounding.  Nothing is written to disk.
"""

from __future__ import annotations

import contextlib
import math
import operator
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from itertools import chain
from typing import Any

import numpy as np

from minisearch import filters
from minisearch.errors import InputError
from minisearch.filters import Filter, Value
from minisearch.globs import glob
from minisearch.paths import is_from_memory
from minisearch.stores.base import (
    FileStamp,
    LexicalQuery,
    SkipStamp,
    StoredChunk,
    StoredDocument,
    Term,
    Where,
    comparison_key,
    inverse_document_frequency,
    kind_of,
    nanoseconds,
    to_bytes,
)
from minisearch.stores.terms import further_words, numbers_in, words_of_name
from minisearch.text import PAIRED_RUN, folded, folded_letters, normalised_words, stem
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
from minisearch.vectors.base import best_first, score_rows

K1, B = 1.2, 0.75  # of BM25, as FTS5 has them


@dataclass(frozen=True, slots=True)
class _Entry:
    """A chunk with what is searched of it: its vector, and the words of title, heading and text."""

    chunk: StoredChunk
    embedded: str
    vector: FloatArray
    words: tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]


@dataclass
class MemoryJournal:
    """`stores.base.Journal` over dictionaries."""

    _runs: list[RunRecord] = field(default_factory=list)
    _skipped: dict[str, Skipped] = field(default_factory=dict)
    _stamps: dict[str, SkipStamp] = field(default_factory=dict)
    _left_out: dict[str, Skipped] = field(default_factory=dict)

    def start_run(self, roots: Sequence[str]) -> int:
        """Record the start of a run and return its number."""
        self._runs.append(RunRecord(_now(), None, "running", tuple(roots), os.getpid()))
        return len(self._runs)

    def finish_run(self, run_id: int, outcome: RunOutcome, counts: dict[str, int]) -> None:
        """Record how a run ended."""
        run = self._runs[run_id - 1]
        self._runs[run_id - 1] = replace(run, finished_at=_now(), outcome=outcome, counts=counts)

    def last_run(self) -> RunRecord | None:
        """The latest run, if there was any."""
        return self._runs[-1] if self._runs else None

    def skipped(self) -> list[Skipped]:
        """The skipped files, by path."""
        return [self._skipped[path] for path in sorted(self._skipped)]

    def skip_stamps(self) -> dict[str, SkipStamp]:
        """The recorded state of skipped files, by path; files without one are left out."""
        return dict(self._stamps)

    def set_skipped(
        self, forget: Iterable[str], skipped: Iterable[Skipped], stamps: Mapping[str, SkipStamp] | None = None
    ) -> None:
        """Delete the records of some paths, then add those of skipped files, with their stamps if given."""
        given = stamps or {}
        new = {one.path: one for one in skipped}
        for path in [*forget, *new]:
            self._skipped.pop(path, None)
            self._stamps.pop(path, None)
        self._stamps |= {path: stamp for path, stamp in given.items() if path in new}
        for path, one in new.items():
            n_bytes = given[path].stamp.n_bytes if path in given else 0
            self._skipped[path] = replace(one, n_bytes=n_bytes)

    def left_out(self) -> list[Skipped]:
        """The files and folders left out on purpose, by path."""
        return [self._left_out[path] for path in sorted(self._left_out)]

    def set_left_out(self, forget: Iterable[str], left_out: Iterable[Skipped]) -> None:
        """Delete the records of some paths, then add those of files and folders left out."""
        for path in forget:
            self._left_out.pop(path, None)
        self._left_out |= {one.path: one for one in left_out}


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


class NoCache:
    """`stores.base.VectorCache` of a store that compares all vectors anyway."""

    def is_there(self) -> bool:
        """There is none."""
        return False

    def is_due(self, backend: str) -> bool:
        """Never."""
        return False

    def publish(self, backend: str, dimension: int) -> None:
        """Nothing to do."""

    def publish_if_due(self, backend: str, dimension: int) -> bool:
        """Nothing to do."""
        return False


@dataclass
class MemoryStore:
    """`stores.base.Store` and its own `Snapshot`, over dictionaries."""

    journal: MemoryJournal = field(default_factory=MemoryJournal)
    index: NoCache = field(default_factory=NoCache)
    generation: int = 0
    _meta: dict[str, str] = field(default_factory=dict)
    _documents: dict[str, StoredDocument] = field(default_factory=dict)
    _notes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    _entries: dict[int, _Entry] = field(default_factory=dict)  # in the order of their ids
    _known: dict[str, FloatArray] = field(default_factory=dict)
    _last_document_id: int = 0
    _last_chunk_id: int = 0

    def meta(self) -> dict[str, str]:
        """The manifest: what the index was built with."""
        return dict(self._meta)

    def set_meta(self, **values: str) -> None:
        """Set some values of the manifest."""
        self._meta |= values

    # --- documents ---------------------------------------------------------------------------------

    def documents(self, *, with_fields: bool = False) -> dict[str, StoredDocument]:
        """Every document by its path; the fields only on request."""
        if with_fields:
            return dict(self._documents)
        return {path: replace(one, fields={}) for path, one in self._documents.items()}

    def notes(self) -> list[Note]:
        """The content that the parsers could not keep, ordered by path."""
        return [Note(path, text) for path in sorted(self._notes) for text in self._notes[path]]

    def put(
        self,
        document: StoredDocument,
        chunks: Sequence[Chunk],
        vectors: FloatArray,
        notes: Sequence[str] = (),
    ) -> None:
        """Add a document, or replace the one of the same path."""
        self.generation += 1
        known = self._documents.get(document.path)
        if known is None:
            self._last_document_id += 1
        document_id = known.id if known else self._last_document_id
        self._remove_chunks(document_id)
        self._documents[document.path] = replace(document, id=document_id)
        self._notes[document.path] = tuple(notes)
        for chunk, vector in zip(chunks, vectors, strict=True):
            self._last_chunk_id += 1
            stored = StoredChunk(
                *(self._last_chunk_id, document_id, document.path, chunk.line, chunk.end_line),
                *(chunk.heading, chunk.text, document.title),
                tuple(chunk.anchors),
                chunk.page,
                tuple(chunk.page_breaks),
            )
            name = "" if is_from_memory(document.path) else words_of_name(document.path)
            text = f"{chunk.text}\n{further_words(f'{chunk.heading} {chunk.text}')}"
            words = tuple(map(_words, (f"{document.title}\n{name}", chunk.heading, text)))
            self._entries[stored.id] = _Entry(stored, chunk.embedded, vector, (words[0], words[1], words[2]))
            self._known[chunk.embedded] = vector

    def restamp(self, document_id: int, stamp: FileStamp) -> None:
        """Record that a file was read again and has the same bytes."""
        for path, one in self._documents.items():
            if one.id == document_id:
                self._documents[path] = replace(one, stamp=stamp)

    def remove(self, document_ids: Iterable[int], *, for_good: bool = False) -> None:
        """Remove documents with their chunks, vectors and notes; their vectors stay known."""
        gone = set(document_ids)
        self.generation += bool(gone)
        for path in [path for path, one in self._documents.items() if one.id in gone]:
            self._remove_chunks(self._documents[path].id)
            del self._documents[path], self._notes[path]
        if for_good:
            self._known = {one.embedded: one.vector for one in self._entries.values()}

    def begin_change(self, run_id: int) -> None:
        """Nothing can be undone here."""

    def forget_secrets(self, keeps: Callable[[str], bool]) -> None:
        """No earlier version of a document is kept here."""

    def is_outdated(self) -> bool:
        """No other store takes its place."""
        return False

    def close(self) -> None:
        """Nothing is held open."""

    def paths(self, document_ids: Sequence[int]) -> dict[int, str]:
        """The paths of documents, by id; unknown ids are left out."""
        return {one.id: path for path, one in self._documents.items() if one.id in document_ids}

    def field_names(self, among: Sequence[str] | None = None) -> list[str]:
        """The names of all fields of documents, as filters compare them, in order; or those among some."""
        names = {folded(name) for one in self._documents.values() for name in one.fields}
        return sorted(names if among is None else names & set(map(folded, among)), key=to_bytes)

    def fields(self, names: Sequence[str], where: Filter) -> dict[int, dict[str, tuple[StoredValue, ...]]]:
        """The fields of these names of documents that match a filter, by document id, ascending."""
        matching = {self._entries[id_].chunk.document_id for id_ in self.select(where).tolist()}
        wanted = set(map(folded, names))
        found = {
            one.id: {name: values for name, values in one.fields.items() if folded(name) in wanted}
            for one in self._documents.values()
            if one.id in matching
        }
        return {id_: found[id_] for id_ in sorted(found) if found[id_]}

    def _remove_chunks(self, document_id: int) -> None:
        for id_ in [id_ for id_, one in self._entries.items() if one.chunk.document_id == document_id]:
            del self._entries[id_]

    def known_vectors(self, texts: Sequence[str], *, dimension: int = 0) -> dict[str, FloatArray]:
        """The vectors already stored for these texts; dimension 0 accepts any."""
        known = {text: self._known[text] for text in texts if text in self._known}
        return {text: vector for text, vector in known.items() if dimension in (0, len(vector))}

    # --- search ------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[MemoryStore]:
        """A context in which nothing may be put or removed."""
        yield self

    def counts(self) -> tuple[int, int]:
        """How many documents and how many chunks."""
        return len(self._documents), len(self._entries)

    def chunks(self, ids: Sequence[int], *, may_be_gone: bool = False) -> dict[int, StoredChunk]:
        """These chunks, by id."""
        return {id_: self._entries[id_].chunk for id_ in ids if id_ in self._entries or not may_be_gone}

    def chunks_of(self, path: str) -> list[StoredChunk]:
        """The chunks of the document at a path, in order; none if there is no such document."""
        return [one.chunk for one in self._entries.values() if one.chunk.path == path]

    def stamps(self, document_ids: Sequence[int]) -> dict[int, FileStamp]:
        """The states of the files of these documents when they were read, by id."""
        return {one.id: one.stamp for one in self._documents.values() if one.id in document_ids}

    def sample_ids(self, n: int) -> IntArray:
        """About n ids of chunks, evenly spread; the same ones at every call."""
        ids = np.array([*self._entries], np.int64)
        return ids[:: max(1, len(ids) // n)][:n]

    def select(self, where: Filter) -> IntArray:
        """Ids (n,), ascending, of the chunks that match a filter."""
        return np.array(
            [
                id_
                for id_, one in self._entries.items()
                if _matches(where, self._documents[one.chunk.path], one)
            ],
            np.int64,
        )

    def _wanted(self, where: Where | None, exclude: IntArray | None) -> IntArray:
        """The ids that a query may return, ascending."""
        ids = np.array([*self._entries], np.int64)
        if where is not None:
            selected = where if isinstance(where, np.ndarray) else self.select(where)
            ids = np.intersect1d(ids, selected)
        return ids if exclude is None else np.setdiff1d(ids, exclude)

    def dense(
        self, vector: FloatArray, k: int, *, where: Where | None = None, exclude: IntArray | None = None
    ) -> Hits:
        """The k chunks nearest to a unit vector (d,), by cosine; equal scores by smaller id."""
        if k < 1:
            raise InputError(f"k is {k}; ask for at least 1 hit")
        ids = self._wanted(where, exclude)
        return best_first(ids, self.cosines(vector, ids), k)

    def plan(self, k: int, *, where: Where | None = None) -> str:
        """Every query is a scan."""
        return "scan"

    def cosines(self, vector: FloatArray, ids: IntArray) -> FloatArray:
        """The cosines (n,) of these chunks with a vector; nan for an unknown id."""
        scores = np.full(len(ids), np.nan, np.float32)
        is_there = np.array([id_ in self._entries for id_ in ids.tolist()], bool)
        if is_there.any():
            scores[is_there] = score_rows(self.vectors(ids[is_there]), vector)
        return scores

    def vectors(self, ids: IntArray) -> FloatArray:
        """The vectors (n, d) of these chunks."""
        rows = [self._entries[id_].vector for id_ in ids.tolist()]
        return np.stack(rows) if rows else np.empty((0, 0), np.float32)

    def term_counts(self, terms: Sequence[Term]) -> list[int]:
        """The number of chunks with each term."""
        return [sum(any(_frequencies(term, one)) for one in self._entries.values()) for term in terms]

    def words_with_prefix(self, prefix: str) -> Mapping[str, int]:
        """The words that begin with a prefix, each with its number of chunks."""
        of_chunks = ({*chain.from_iterable(one.words)} for one in self._entries.values())
        return Counter(word for words in of_chunks for word in words if word.startswith(prefix))

    def lexical(
        self, query: LexicalQuery, k: int, *, where: Where | None = None, exclude: IntArray | None = None
    ) -> Hits:
        """The k chunks that match a query's terms best, by weighted BM25; equal scores by smaller id."""
        scores: dict[int, float] = {}
        content: dict[int, float] = {}
        lengths = {id_: sum(map(len, one.words)) for id_, one in self._entries.items()}
        mean_length = sum(lengths.values()) / max(1, len(lengths))
        for group in query.groups:
            idfs = group.idf or [
                inverse_document_frequency(n, len(self._entries)) for n in self.term_counts(group.terms)
            ]
            for term, idf in zip(group.terms, idfs, strict=True):
                for id_, one in self._entries.items():
                    frequencies = _frequencies(term, one)
                    if not any(frequencies):
                        continue
                    f = sum(weight * n for weight, n in zip(query.column_weights, frequencies, strict=True))
                    norm = K1 * (1 - B + B * lengths[id_] / mean_length)
                    score = group.weight * idf * f * (K1 + 1) / (f + norm)
                    scores[id_] = scores.get(id_, 0.0) + score
                    content[id_] = content.get(id_, 0.0) + score * group.is_content
        ids = np.intersect1d(np.array([*scores], np.int64), self._wanted(where, exclude))
        hits = best_first(ids, np.array([scores[id_] for id_ in ids.tolist()], np.float32), k)
        shares = [content[id_] / (query.content_ceiling or 1.0) for id_ in hits.ids.tolist()]
        return Hits(hits.ids, hits.scores, query.ceiling, np.clip(np.array(shares, np.float32), 0, 1))


# --- words -----------------------------------------------------------------------------------------


def _words(text: str) -> tuple[str, ...]:
    """The words of a text as they are compared: CJK runs as pairs, without case, accents and endings."""
    words: list[str] = []
    for word in normalised_words(text):
        for part in re.split(f"({PAIRED_RUN.pattern})", word):
            if PAIRED_RUN.match(part):
                words += [part[i : i + 2] for i in range(len(part))]
            elif part:
                words.append(_folded_word(part))
    return tuple(words)


def _folded_word(word: str) -> str:
    return stem(folded_letters(word))


def _frequencies(term: Term, entry: _Entry) -> list[int]:
    """How often a term is in title, heading and text."""
    return [_n_times(term, words) for words in entry.words]


def _n_times(term: Term, words: tuple[str, ...]) -> int:
    if term.is_prefix:
        return sum(word.startswith(term.words[0]) for word in words)
    wanted = tuple(map(_folded_word, term.words))
    return sum(words[i : i + len(wanted)] == wanted for i in range(len(words) - len(wanted) + 1))


# --- filters ---------------------------------------------------------------------------------------


def _matches(where: Filter, document: StoredDocument, entry: _Entry) -> bool:  # noqa: C901 - one case each
    match where:
        case filters.And(parts):
            return all(_matches(part, document, entry) for part in parts)
        case filters.Or(parts):
            return any(_matches(part, document, entry) for part in parts)
        case filters.Not(part):
            return not _matches(part, document, entry)
        case filters.Path(pattern):
            is_other = pattern.startswith("/") and _kind(pattern[1:]) != _kind(document.path)
            return not is_other and glob(pattern)(document.path)
        case filters.Extension(suffix):
            name = document.path.rpartition("/")[2].casefold()
            return name.endswith(f".{suffix.removeprefix('.')}".casefold())
        case filters.Language(name):
            return document.language == name.lower()
        case filters.Since(moment):
            return document.stamp.mtime_ns >= nanoseconds(moment)
        case filters.Before(moment):
            return document.stamp.mtime_ns < nanoseconds(moment)
        case filters.Contains(phrase):
            return _holds(phrase, entry)
        case filters.Field():
            return _has_field(where, document.fields)
    raise InputError(f"expected a condition of minisearch.filters, got {type(where).__name__}")


def _kind(path: str) -> int:
    """0 for a relative path, 1 for an absolute one, 2 for a document from memory."""
    return path.startswith("/") + path.startswith("//")


def _holds(phrase: str, entry: _Entry) -> bool:
    spellings = [phrase, *(form for _, forms in numbers_in(phrase) for form in forms)]
    return any(_holds_as_written(one, entry) for one in spellings)


def _holds_as_written(phrase: str, entry: _Entry) -> bool:
    wanted = _words(phrase)
    *first, last = wanted or ("",)
    if len(last) == 1 and PAIRED_RUN.match(last):  # the end of a run, which may be longer there
        wanted = tuple(first) if first and PAIRED_RUN.match(first[-1]) else wanted
    is_prefix = len(wanted) == 1 and len(wanted[0]) == 1 and PAIRED_RUN.match(wanted[0]) is not None
    return bool(wanted) and any(
        any(word.startswith(wanted[0]) for word in words)
        if is_prefix
        else any(words[i : i + len(wanted)] == wanted for i in range(len(words)))
        for words in entry.words
    )


def _has_field(where: filters.Field, fields: Mapping[str, tuple[Value, ...]]) -> bool:
    values = [value for name, own in fields.items() if folded(name) == folded(where.name) for value in own]
    compare = _OPERATORS["=" if where.operator == "!=" else where.operator]
    form = to_bytes if where.is_exact and isinstance(where.value, str) else _comparable
    is_held = any(
        kind_of(value) == kind_of(where.value) and compare(form(value), form(where.value)) for value in values
    )
    return is_held != (where.operator == "!=")


_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "contains": lambda own, value: value in own if isinstance(value, bytes) else own == value,
}


def _comparable(value: Value) -> bytes | float:
    text, number = comparison_key(value)
    return text if text is not None else math.nan if number is None else number
