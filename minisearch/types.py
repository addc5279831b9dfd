"""The vocabulary every room shares: what travels from a file to a ranked answer.

``path -> Document -> Chunks -> vectors -> Hits``; the words of a search are in `results`.  Everything
here is frozen data or a protocol; nothing here reads, computes or stores.  Positions in a document's text
count characters (Python code points), half-open, and ``document.text[chunk.start:chunk.end] ==
chunk.text`` always.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from minisearch.text import without_mnemonics

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading in a document's text: where its line begins, its level (1 is the outermost), its words."""

    start: int
    level: int
    title: str


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a document's text came from: the decoded source, and how positions map onto it.

    ``text_anchors[i]`` and ``source_anchors[i]`` are the same place; between two anchors both run
    side by side, never past the next: words that a reader put in stand for the place where they are.
    Text anchors ascend, source anchors never go back.  A format kept verbatim has the single pair (0, 0).

    ``source`` decodes the file so that ``source.encode(encoding, "surrogateescape")``, after
    ``n_bom_bytes`` bytes of byte-order mark, gives the file back byte for byte, undecodable bytes too.
    Only where ``is_extract`` is it what a reader took out of a file that is no text (a PDF, a DOCX): bytes
    and lines are then counted in that, as UTF-8.
    """

    source: str
    encoding: str = "utf-8"
    n_bom_bytes: int = 0
    text_anchors: tuple[int, ...] = (0,)
    source_anchors: tuple[int, ...] = (0,)
    is_extract: bool = False


@dataclass(frozen=True, slots=True)
class Document:
    """One file as a reader understood it.

    ``format`` names the reader ("markdown", "html" ...); ``notes`` says, in words for the user, what
    the reader could not keep (undecodable bytes, say).  An empty ``title`` means the file gives none.
    ``language`` is that of programming or markup ("python", "markdown"), "" where it is plain text;
    ``fields`` what the document says of itself (front matter), each name in lower case with its values.
    ``pages`` are where its pages begin in ``text``, ascending, the first at 0: slides of a presentation,
    sheets of a workbook and cells of a notebook count as pages; a format without any has none.
    ``blocks`` are stretches of ``text`` (start, end) that belong together, such as a table or a list item,
    ascending by start, the outer before the inner: one that fits into a chunk is never cut.
    """

    path: str
    text: str
    format: str
    origin: Origin
    title: str = ""
    headings: tuple[Heading, ...] = ()
    notes: tuple[str, ...] = ()
    language: str = ""
    fields: Mapping[str, tuple[str | float | bool, ...]] = field(default_factory=dict)
    pages: tuple[int, ...] = ()
    blocks: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Chunk:
    """A passage that the encoder can see whole.

    ``start:end`` are characters of the document's text; ``byte_start:byte_end`` bytes of the file;
    ``line`` to ``end_line`` lines of the file, from 1, both included.  ``heading`` is the path of
    headings above the passage, joined with " > ".  ``anchors`` say where single characters stand: each is a
    position in ``text`` with its line and column (characters, from 1) in the file, the first for position
    0; from one anchor to the next both texts run side by side, never past the next.  ``context`` is what the
    encoder is told first: the document's title.  ``page`` is that of its first
    character, from 1, None where the document has none; at each of ``page_breaks``, positions in ``text``,
    the next one begins.
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
        """What the encoder sees of it: a passage by itself often does not say what it is about."""
        text = without_mnemonics(self.text)
        return f"{self.context} {text}" if self.context else text


@dataclass(frozen=True, slots=True)
class Hits:
    """The chunks that one leg of a search proposes, best first; equal scores by smaller id.

    ``ids`` (k,) int64 chunk ids and ``scores`` (k,) float32, higher is better, k the number found: cosines
    from a vector index, BM25 from the full text.  There ``ceiling`` is what a perfect match of all words
    comes to, and ``words`` (k,) what each has of that, from 0 to 1, pairs and function words left out.
    """

    ids: IntArray
    scores: FloatArray
    ceiling: float = 1.0
    words: FloatArray | None = None

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that was found but is not in the index as it now stands, and why; its size where known."""

    path: str
    reason: str
    n_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Note:
    """Something the reader could not keep of a file that is in the index."""

    path: str
    text: str


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What one indexing run did: counts of documents, the files it passed over, and the work it took.

    ``n_chunks`` counts the chunks of added and updated documents, ``n_encoded`` those among them
    that went through the model (the rest kept a vector already stored).  ``n_hidden``, ``n_ignored`` and
    ``n_excluded`` count files and folders that the walk left out on purpose; ``choices`` are what was
    chosen for the folders, in this run or an earlier one.  ``notes`` are about files that were indexed,
    though not entirely as they stand.  ``as_before`` are the paths, among those of ``skipped`` and ``notes``,
    of which the run before has said the same.  ``n_in_other_scripts`` counts the added documents that are
    not in Latin letters, where the model knows only English.
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
    choices: tuple[Note, ...] = ()
    as_before: tuple[str, ...] = ()
    n_in_other_scripts: int = 0
    n_chunks: int = 0
    n_encoded: int = 0
    n_tokens: int = 0
    elapsed_s: float = 0.0
    encoding_s: float = 0.0


@dataclass(frozen=True, slots=True)
class IndexProgress:
    """How far an indexing run has come; handed to the caller's callback after every step.

    ``doing`` is the step that follows, in words ("loading the model"), which may take a while.
    """

    n_files: int
    n_files_done: int
    n_bytes: int
    n_bytes_done: int
    n_chunks_done: int
    doing: str = ""


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One indexing run as the store remembers it.

    ``outcome`` is running, complete, interrupted, failed, or rolled back: by `MiniSearch.rollback`.
    """

    started_at: str
    finished_at: str | None
    outcome: str
    roots: tuple[str, ...]
    pid: int
    counts: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class IndexStatus:
    """What an index holds; without a ready vector index, answers come from a scan of the stored vectors."""

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
    """What a comparison of an index with its files found; ``problems`` are sentences for the user.

    Of a sample, ``n_read`` documents were read and cut again, ``n_changed`` could not be compared, their
    files having changed or gone since, and ``n_embedded`` passages got new vectors, the least alike of which
    has ``least_cosine`` with the stored one.  ``recall`` is the share of the exact ten nearest that
    the vector index finds.  ``n_closed`` were not opened: they do not lie beside the index, and nobody has
    named them to it where it is now.
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
    """Text to the model's tokens, for counting and for cutting."""

    def spans(self, texts: Sequence[str]) -> list[IntArray]:
        """Character spans of each text's tokens, one (n_tokens, 2) array a text, special tokens left out."""
        ...


class Encoder(Protocol):
    """Texts to unit vectors.

    ``fingerprint`` changes whenever the vectors would: it covers weights, pooling and vocabulary.
    ``max_tokens`` is the longest text the model sees whole, special tokens left out.
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
        """Unit vectors, (n, dimension) float32, in the order of the texts, for texts to be found."""
        ...

    def encode_query(self, texts: Sequence[str]) -> FloatArray:
        """The same for queries: some models are told which is which."""
        ...


class Reranker(Protocol):
    """A closer look at a query and a few passages; `CrossEncoder` is one."""

    @property
    def name(self) -> str: ...

    def score(self, query: str, texts: Sequence[str]) -> FloatArray:
        """One score a text (n,) float32, in the order of the texts; higher answers the query better."""
        ...
