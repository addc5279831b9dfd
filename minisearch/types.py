"""The data types and protocols that all parts of the package share.

``path -> Document -> Chunks -> vectors -> Hits``; the types of a search are in `results`.  Everything
here is frozen data or a protocol; nothing here reads, computes or stores.  Positions in a document's text
count characters (Python code points), half-open, and ``document.text[chunk.start:chunk.end] ==
chunk.text`` always.
"""

from __future__ import annotations

import sys
import unicodedata
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal, Protocol, get_args

import numpy as np
import numpy.typing as npt

from minisearch.errors import InputError, short
from minisearch.text import storable, visible, without_mnemonics

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

TextFormat = Literal["text", "markdown"]
FieldValue = str | float | bool | date
StoredValue = str | float | bool | bytes
MAX_FLOAT = sys.float_info.max
DATA = ""  # no field of a file has this name


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading in a document's text: the start of its line, its level (1 is the outermost), its title."""

    start: int
    level: int
    title: str


@dataclass(frozen=True, slots=True)
class Anchors:
    """How positions in a text map to its source, the text that it was made from.

    ``text[i]`` and ``source[i]`` are the same place.  Between two anchors, both positions advance together,
    but never beyond the next anchor; words that the parser added map to the place where it added them.
    ``text`` ascends, ``source`` never descends.  A text that was not changed has the single pair (0, 0).
    """

    text: tuple[int, ...] = (0,)
    source: tuple[int, ...] = (0,)

    def source_position(self, position: int) -> int:
        """The position in the source that a position in the text maps to."""
        last = bisect_right(self.text, position) - 1
        parallel = self.source[last] + position - self.text[last]
        return min([parallel, *self.source[last + 1 : last + 2]])


@dataclass(frozen=True, slots=True)
class Origin:
    """The decoded source of a document, and how positions in the document's text map to it.

    ``source.encode(encoding, "surrogateescape")``, preceded by ``n_bom_bytes`` bytes of byte-order mark,
    equals the file byte for byte, undecodable bytes included.  If ``is_extract``, the source is the text that
    a parser extracted from a binary file (a PDF, a DOCX); bytes and lines are then counted in that text, as
    UTF-8.
    """

    source: str
    encoding: str = "utf-8"
    n_bom_bytes: int = 0
    anchors: Anchors = Anchors()
    is_extract: bool = False


@dataclass(frozen=True, slots=True)
class Document:
    """One parsed file.

    ``format`` names the parser ("markdown", "html" ...).  ``notes`` are messages for the user about content
    that the parser could not keep, such as undecodable bytes.  ``title`` is empty if the file has none.
    ``language`` is the programming or markup language ("python", "markdown"), "" for plain text.  ``fields``
    are the document's metadata (front matter): names in lower case, each with its values; ``DATA`` names the
    data of the caller's own, as bytes, which are kept and never compared.  ``names`` are words by which the
    document is found as by the name of its file, such as its tags.
    ``pages`` are the positions in ``text`` where pages begin, ascending, the first at 0; slides, sheets and
    notebook cells count as pages; it is empty for formats without pages.
    ``blocks`` are ranges of ``text`` (start, end) that belong together, such as a table or a list item, in
    order of start, outer before inner; a block that fits into a chunk is never cut.
    ``lines`` is given where readers know places by other numbers than lines of text: pairs of a position in
    ``text`` and the number that counts from there on, a paragraph of a DOCX or a row of a sheet.
    """

    path: str
    text: str
    format: str
    origin: Origin
    title: str = ""
    headings: tuple[Heading, ...] = ()
    notes: tuple[str, ...] = ()
    language: str = ""
    fields: Mapping[str, tuple[StoredValue, ...]] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    pages: tuple[int, ...] = ()
    blocks: tuple[tuple[int, int], ...] = ()
    lines: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TextDocument:
    """A document from memory, for `MiniSearch.add`; a mapping with the same keys does as well.

    ``id`` is its name: results have it as their ``path``.  ``title`` is embedded with every passage; at most
    200 characters of it are used.  ``fields`` are values for filters: each a text, a number, true or false, a
    date, or a list of these; None means no value.  Their names are in lower case in the index.  ``format`` is
    "text", or "markdown" for a text with headings, and with more fields in its front matter.  ``data`` is the
    caller's own: kept as it is, also keys and tokens in it, and not searched.

    Raises InputError for an empty id or text, an id with control characters, and values of wrong types.
    """

    id: str
    text: str
    title: str = ""
    fields: Mapping[str, FieldValue | Sequence[FieldValue] | None] = field(default_factory=dict)
    format: TextFormat = "text"
    data: bytes = b""

    def __post_init__(self) -> None:
        if not isinstance(self.id, str) or not self.id.strip():
            raise InputError(
                f"the id of a document is {short(repr(self.id))}: expected a text that is not empty"
            )
        if any(unicodedata.category(character) in {"Cc", "Cs"} for character in self.id):
            raise InputError(f"the id {short(repr(self.id))} has control characters: expected none")
        for name in ("text", "title"):
            if not isinstance(getattr(self, name), str):
                raise self._wrong(f"{name} is {short(repr(getattr(self, name)))}: expected a text")
        if not self.text.strip():
            raise self._wrong("its text is empty: expected something to search for")
        if self.format not in get_args(TextFormat):
            raise self._wrong(f"format is {self.format!r}: expected one of {', '.join(get_args(TextFormat))}")
        if not isinstance(self.data, bytes):
            raise self._wrong(f"data is {short(repr(self.data))}: expected bytes")
        self.plain_fields()

    def plain_fields(self) -> dict[str, tuple[str | float | bool, ...]]:
        """The fields as they are stored: names in lower case, each with its values."""
        if not isinstance(self.fields, Mapping):
            raise self._wrong(f"fields is {short(repr(self.fields))}: expected names with values")
        plain: dict[str, tuple[str | float | bool, ...]] = {}
        for given, value in self.fields.items():
            name = " ".join(storable(given).lower().split()) if isinstance(given, str) else ""
            if not name or name in plain:
                why = "the same name as another, in lower case" if name else "expected a text as the name"
                raise self._wrong(f"field {short(repr(given))}: {why}")
            values = value if isinstance(value, Sequence) and not isinstance(value, str | bytes) else [value]
            plain[name] = tuple(self._plain_values(name, values))
        return {name: values for name, values in plain.items() if values}

    def _plain_values(self, name: str, values: Sequence[object]) -> Iterator[str | float | bool]:
        for value in values:
            if isinstance(value, bool | np.bool_):
                yield bool(value)
            elif isinstance(value, str):
                yield storable(value)
            elif isinstance(value, date):  # or a datetime
                yield value.isoformat()
            elif isinstance(value, int | float | np.integer | np.floating) and abs(value) <= MAX_FLOAT:
                yield float(value)
            elif value is not None:
                raise self._wrong(
                    f"field {name!r} is {short(repr(value))}: expected a text, a finite number, true or "
                    f"false, a date, or a list of these"
                )

    def _wrong(self, what: str) -> InputError:
        return InputError(f"document {short(repr(self.id))}: {what}")


TextDocuments = Iterable[TextDocument | Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Chunk:
    """A part of a document, short enough for the encoder to see whole.

    ``start:end`` are characters of the document's text; ``byte_start:byte_end`` are bytes of the file;
    ``line`` to ``end_line`` are lines of the file, from 1, both included, or the numbers of `Document.lines`.
    ``heading`` is the path of headings above the chunk, joined with " > ".  ``anchors`` map positions to the
    file: each is a position in ``text`` with its line and column (characters, from 1), the first for position
    0; between two anchors both advance together, but never beyond the next.  ``context`` is the text that
    precedes the chunk when it is embedded: the document's title.  ``page`` is the page of the first
    character, from 1, None for documents without pages; a new page begins at each of ``page_breaks``,
    positions in ``text``.
    """

    start: int
    end: int
    text: str
    byte_start: int
    byte_end: int
    line: int
    end_line: int
    heading: str
    n_tokens: int
    anchors: tuple[tuple[int, int, int], ...] = ()
    context: str = ""
    page: int | None = None
    page_breaks: tuple[int, ...] = ()

    @property
    def embedded(self) -> str:
        """The text to embed: a chunk alone often does not name its subject, so the context precedes it."""
        text = visible(without_mnemonics(self.text))
        return f"{self.context} {text}" if self.context else text


@dataclass(frozen=True, slots=True)
class Hits:
    """The chunks that a dense or lexical search found, best first; equal scores by smaller id.

    ``ids`` (k,) are int64 chunk ids, ``scores`` (k,) float32, higher is better: cosines from a vector index,
    BM25 from the full text.  For BM25, ``ceiling`` is the score of a perfect match of all words, and
    ``words`` (k,) is the share of it, from 0 to 1, that each chunk has, without word pairs and stop words.
    """

    ids: IntArray
    scores: FloatArray
    ceiling: float = 1.0
    words: FloatArray | None = None

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that was found but is not indexed in its present state: the reason, and its size if known."""

    path: str
    reason: str
    n_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Note:
    """Content of an indexed file that the parser could not keep."""

    path: str
    text: str


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What one indexing run did: counts of documents, skipped files, and the time it took.

    ``n_chunks`` counts the chunks of added and updated documents, ``n_encoded`` those that the model encoded
    (the others have a stored vector).  ``n_hidden``, ``n_ignored`` and ``n_excluded`` count files and folders
    that hidden names, ignore files and the user's patterns left out; ``n_junk``, by kind, those that nobody
    wrote to be read, such as lock files.  ``choices`` are the user's patterns and limits for each folder, of
    this run or an earlier one.  ``notes`` are about indexed files of which some content is missing.
    ``as_before`` are the paths in ``skipped`` and ``notes`` that the previous run reported with the same
    message.  ``n_failed`` counts the skipped files that an unexpected exception kept from the index: an error
    of this program.  ``n_in_other_scripts`` counts the added documents that are mostly not in Latin letters,
    if the model knows only English.
    """

    added: int = 0
    updated: int = 0
    unchanged: int = 0
    removed: int = 0
    skipped: tuple[Skipped, ...] = ()
    notes: tuple[Note, ...] = ()
    n_hidden: int = 0
    n_ignored: int = 0
    n_excluded: int = 0
    n_junk: Mapping[str, int] = field(default_factory=dict)
    choices: tuple[Note, ...] = ()
    as_before: tuple[str, ...] = ()
    n_in_other_scripts: int = 0
    n_failed: int = 0
    n_chunks: int = 0
    n_encoded: int = 0
    n_tokens: int = 0
    elapsed_s: float = 0.0
    encoding_s: float = 0.0

    def __repr__(self) -> str:
        names = ("added", "updated", "unchanged", "removed", "n_chunks", "n_encoded")
        shown = [f"{name}={getattr(self, name)}" for name in names] + [f"elapsed_s={self.elapsed_s:.2f}"]
        lists = {"skipped": len(self.skipped), "notes": len(self.notes)}
        return f"IngestReport({', '.join([*shown, *(f'{n} {name}' for name, n in lists.items() if n)])})"


LOADING = "loading the model"  # what a run does before it embeds for the first time


@dataclass(frozen=True, slots=True)
class IndexProgress:
    """The progress of an indexing run, passed to the caller's callback before and after every step.

    ``n_files_done`` counts the files that were stored, found unchanged or skipped, ``n_files_indexed`` those
    whose present content is in the index: an interrupt keeps them.  ``n_chunks_done`` counts the chunks that
    have a vector, ``n_chunks`` all chunks of new and changed files: until the last file is read this is an
    estimate from the sizes of the files; None if it is unknown.  ``doing`` describes the next step
    ("reading", "loading the model", "embedding 80 passages of"), and ``path`` is the one file that it is
    about, or "".
    """

    n_files: int
    n_files_done: int
    n_bytes: int
    n_bytes_done: int
    n_chunks_done: int
    doing: str = ""
    path: str = ""
    n_files_indexed: int = 0
    n_chunks: int | None = None
    is_estimate: bool = False

    @property
    def is_loading(self) -> bool:
        """Whether the next step is to load the model, which says nothing about the speed."""
        return self.doing == LOADING


OnProgress = Callable[[IndexProgress], None] | None


RunOutcome = Literal["running", "complete", "interrupted", "failed", "rolled back"]
"""How an indexing run ended, if it has; "rolled back" is the outcome of `MiniSearch.rollback` itself."""


@dataclass(frozen=True, slots=True)
class RunRecord:
    """The store's record of one indexing run."""

    started_at: str
    finished_at: str | None
    outcome: RunOutcome
    roots: tuple[str, ...]
    pid: int
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def is_finished(self) -> bool:
        """Whether the run has seen all its files."""
        return self.outcome in {"complete", "rolled back"}


@dataclass(frozen=True, slots=True)
class IndexStatus:
    """What an index holds.  If ``is_index_ready`` is false, queries scan the stored vectors."""

    path: str
    n_documents: int
    n_chunks: int
    model: str
    backend: str
    is_index_ready: bool
    generation: int
    n_bytes: int
    last_run: RunRecord | None
    skipped: tuple[Skipped, ...]
    notes: tuple[Note, ...]


@dataclass(frozen=True, slots=True)
class Verification:
    """The result of checking an index; ``problems`` are sentences for the user.

    From a sample, ``n_read`` documents were parsed and cut again; ``n_changed`` could not be compared,
    because their files have changed or are gone.  ``n_embedded`` chunks were embedded again; ``least_cosine``
    is the smallest cosine of a new vector with the stored one.  ``recall`` is the share of the ten exact
    nearest neighbours that the vector index finds.  ``n_closed`` documents were not opened, because the index
    is not trusted to open files outside its project.
    """

    problems: tuple[str, ...]
    n_documents: int
    n_chunks: int
    n_read: int
    n_changed: int
    n_embedded: int
    least_cosine: float
    recall: float
    n_closed: int = 0


class Tokenizer(Protocol):
    """Splits texts into the model's tokens, to count them and to cut texts."""

    def spans(self, texts: Sequence[str]) -> list[IntArray]:
        """Character spans of each text's tokens, one (n_tokens, 2) array a text, special tokens left out."""
        ...


class Encoder(Protocol):
    """Encodes texts as unit vectors.  Several threads may call it at the same time.

    ``fingerprint`` covers weights, pooling and vocabulary: encoders with equal fingerprints give the same
    vectors. ``max_tokens`` is the length of the longest text that the model sees whole, without special
    tokens.
    """

    @property
    def name(self) -> str: ...

    @property
    def fingerprint(self) -> str: ...

    @property
    def dimension(self) -> int: ...

    @property
    def max_tokens(self) -> int: ...

    @property
    def tokenizer(self) -> Tokenizer: ...

    def encode_document(self, texts: Sequence[str]) -> FloatArray:
        """Unit vectors (n, dimension) float32 of documents or chunks, in the order of the texts."""
        ...

    def encode_query(self, texts: Sequence[str]) -> FloatArray:
        """Unit vectors (n, dimension) float32 of queries; some models use another prompt for them."""
        ...


class Reranker(Protocol):
    """Scores a few texts for a query more precisely; `CrossEncoder` is one.  Threads may share it."""

    @property
    def name(self) -> str: ...

    def score(self, query: str, texts: Sequence[str]) -> FloatArray:
        """Scores (n,) float32 of the texts, in their order; higher is better."""
        ...
