"""Known-item queries made from an index's own documents: headings, titles and first sentences.

Chunked documents come in.  Queries go out, each with the document it was taken from (`candidates`, `choose`),
and that document without the words of its query (`masked`), so that it must be found by its other words.  No
judgements are needed, at a price: the queries are in the authors' words, and only the document they came from
counts as relevant.  They compare settings on one index.  They do not measure how well a user's own queries
are answered.
"""

from __future__ import annotations

import re
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import PurePosixPath
from typing import Literal, get_args

import numpy as np

from minisearch.text import CLOSED, UNSPACED, sentence_starts

Kind = Literal["heading", "title", "sentence"]
KINDS: tuple[Kind, ...] = get_args(Kind)
Words = tuple[str, ...]

HEADING_WORDS = (3, 12)  # fewer say too little ("Notes"), more are no heading
SENTENCE_WORDS = (5, 25)
MIN_WORDS_LEFT = 20  # below the heading, after the sentence, in the document: something must be left to find
CANDIDATES_A_KIND = 3  # headings, or sentences, of one document
MIN_PART_WORDS = 3  # of a sentence that the edge of a chunk cuts: fewer are left in the chunk
KEY_WORDS = 3  # queries are looked up by their first words; no query has fewer

HEADING_SEPARATOR = " > "

# Chinese and Japanese are written without spaces: each of their characters counts as a word.
_WORD = re.compile(rf"[{UNSPACED}]|[^\W{UNSPACED}]+")
_RULE = re.compile(r"(?m)^[ \t]*(?:#+|([^\w\s]|_)\1{2,})[ \t]*$")  # what is left of a heading without words
_LINE_MARKS = re.compile(r"[ \t]*(?:#+|//+|/?\*+/?|>+|--|;+|\"{3}|'{3})?[ \t]*")
_PROSE_START = re.compile(r"[\"'“‘(*_`]*[^\W\d_]")
_COMPLETE_SENTENCE = re.compile(rf"(?:{CLOSED})\Z")
_MARKUP = (
    (re.compile(r":[\w.+:-]+:`([^`<]*?)\s*(?:<[^`>]*>)?`"), r"\1"),  # :role:`words <target>`
    (re.compile(r"`([^`<]+?)\s*<[^`>]*>`_*"), r"\1"),  # `words <address>`_
    (re.compile(r"!?\[([^\]]*)\]\([^)]*\)"), r"\1"),  # [words](address)
    (re.compile(r"[`*|]+|\"{3}"), ""),
)


@dataclass(frozen=True, slots=True)
class ChunkText:
    """A chunk's text, and the headings above it joined with " > "."""

    text: str
    heading: str


@dataclass(frozen=True, slots=True)
class ChunkedDocument:
    """A document as an index holds it; neighbouring chunks may overlap."""

    id: int
    path: str
    title: str
    chunks: tuple[ChunkText, ...]


@dataclass(frozen=True, slots=True)
class KnownItem:
    """A query, the document that answers it, and the text there that the query was made from."""

    kind: Kind
    text: str
    source: str
    document_id: int
    path: str


def file_type(path: str) -> str:
    """The ending of a file's name, in lower case; "none" without one."""
    return PurePosixPath(path).suffix.lower() or "none"


# --- queries from a document -------------------------------------------------------------------------


def candidates(document: ChunkedDocument, *, seed: int = 0) -> list[KnownItem]:
    """The queries that could be made from a document: its title, and some headings and first sentences."""
    chunks = document.chunks
    starts = [chunk for i, chunk in enumerate(chunks) if i == 0 or chunk.heading != chunks[i - 1].heading]
    generator = np.random.default_rng([seed, zlib.crc32(document.path.encode("utf-8", "surrogatepass"))])
    shuffled = [starts[i] for i in generator.permutation(len(starts)).tolist()]
    headings = ((chunk.heading.split(HEADING_SEPARATOR)[-1], [chunk]) for chunk in shuffled)
    sentences = ((_first_sentence(chunk), [chunk]) for chunk in shuffled)
    return [
        *_from(document, "title", [(document.title, chunks)]),
        *islice(_distinct(_from(document, "heading", headings), document.title), CANDIDATES_A_KIND),
        *islice(_from(document, "sentence", sentences), CANDIDATES_A_KIND),
    ]


def _from(
    document: ChunkedDocument, kind: Kind, sources: Iterable[tuple[str, Sequence[ChunkText]]]
) -> Iterator[KnownItem]:
    """The queries made from texts, each with the chunks in which enough other words must be left."""
    for source, chunks in sources:
        item = _item(kind, source, document)
        if item and sum(len(words(_masked_text(chunk.text, item))) for chunk in chunks) >= MIN_WORDS_LEFT:
            yield item


def _distinct(items: Iterable[KnownItem], title: str) -> Iterator[KnownItem]:
    """The queries whose words are those of no earlier one, nor of the title."""
    seen = {words(title)}
    for item in items:
        if words(item.source) not in seen:
            seen.add(words(item.source))
            yield item


def _item(kind: Kind, source: str, document: ChunkedDocument) -> KnownItem | None:
    """The query made from this text; None if it has too few words, or too many for a heading."""
    text = source
    for markup, plain in _MARKUP:  # users do not type markup
        text = markup.sub(plain, text)
    text = " ".join(text.split())
    least, most = SENTENCE_WORDS if kind == "sentence" else HEADING_WORDS
    n_found = len(words(text))
    if n_found < least or (kind != "sentence" and n_found > most):
        return None
    return KnownItem(kind, first_words(text, most), source, document.id, document.path)


def _first_sentence(chunk: ChunkText) -> str:
    """The first sentence of prose in a chunk, below the headings it begins with; "" where there is none."""
    headings = {words(part) for part in chunk.heading.split(HEADING_SEPARATOR)}
    for paragraph in re.split(r"\n[ \t]*\n", chunk.text.replace("\r\n", "\n").replace("\r", "\n")):
        lines = [_LINE_MARKS.sub("", line, count=1) for line in paragraph.split("\n")]
        while lines and (words(lines[0]) in headings or not words(lines[0])):
            lines.pop(0)
        prose = " ".join(line.strip() for line in lines)
        second = next(iter(sentence_starts(prose, 0, len(prose))), None)
        sentence = prose[:second].rstrip()
        if _COMPLETE_SENTENCE.search(sentence) and _PROSE_START.match(sentence):
            return sentence
    return ""


# --- which queries to use ----------------------------------------------------------------------------


def found_elsewhere(items: Iterable[KnownItem], documents: Iterable[ChunkedDocument]) -> set[KnownItem]:
    """The queries whose words are in another document too (boilerplate, copies): it answers them as well."""
    by_key: dict[Words, list[tuple[KnownItem, Words]]] = defaultdict(list)
    for item in items:
        of_item = words(item.text)
        by_key[of_item[:KEY_WORDS]].append((item, of_item))
    found: set[KnownItem] = set()
    for document in documents:
        headings = {chunk.heading for chunk in document.chunks}
        for text in (document.title, *headings, *(chunk.text for chunk in document.chunks)):
            present = words(text)
            keys = set(zip(*(present[i:] for i in range(KEY_WORDS)), strict=False))
            for key in by_key.keys() & keys:
                found |= {
                    item
                    for item, of_item in by_key[key]
                    if item.document_id != document.id and contains(text, of_item)
                }
    return found


def choose(items: Sequence[KnownItem], n: int, *, seed: int = 0) -> list[KnownItem]:
    """At most ``n`` of the queries, one per document, sorted by path.

    Each file type has its share, and at least one query; the kinds are as even as the documents allow.
    """
    by_path: dict[str, list[KnownItem]] = defaultdict(list)
    for item in items:
        by_path[item.path].append(item)
    generator = np.random.default_rng(seed)
    n_of_kind = dict.fromkeys(KINDS, 0)
    chosen = []
    for path in sample(list(by_path), n, seed=seed):
        kind = min({item.kind for item in by_path[path]}, key=lambda kind: (n_of_kind[kind], kind))
        n_of_kind[kind] += 1
        of_kind = [item for item in by_path[path] if item.kind == kind]
        chosen.append(of_kind[int(generator.integers(len(of_kind)))])
    return sorted(chosen, key=lambda item: item.path)


def sample(paths: Sequence[str], n: int, *, seed: int = 0) -> list[str]:
    """At most ``n`` of the paths in random order; each file type has its share, and at least one path."""
    generator = np.random.default_rng(seed)
    by_type: dict[str, list[str]] = defaultdict(list)
    for path in sorted(paths):
        by_type[file_type(path)].append(path)
    n_of_type = _shares({type_: len(some) for type_, some in by_type.items()}, min(n, len(paths)))
    sampled = [
        some[i]
        for type_, some in by_type.items()
        for i in generator.permutation(len(some))[: n_of_type[type_]].tolist()
    ]
    return [sampled[i] for i in generator.permutation(len(sampled)).tolist()]


def _shares(sizes: dict[str, int], n: int) -> dict[str, int]:
    """``n`` divided in proportion to the sizes, at least one each while ``n`` is enough for that."""
    exact = {name: n * size / sum(sizes.values()) for name, size in sizes.items()}
    shares = {name: max(int(share), 1) for name, share in exact.items()}
    while sum(shares.values()) > n:
        shares[max(shares, key=lambda name: (shares[name], name))] -= 1
    while sum(shares.values()) < n:
        shares[max(shares, key=lambda name: (exact[name] - shares[name], name))] += 1
    return shares


# --- the document without the words of its query -----------------------------------------------------


def masked(document: ChunkedDocument, item: KnownItem) -> tuple[str, tuple[ChunkText | None, ...]]:
    """The document's title and chunks without the words of the query, and of the text it was made from.

    A chunk of which no word is left becomes None, and a heading of which no word is left is dropped.
    """
    chunks = tuple(
        ChunkText(text, _masked_heading(chunk.heading, item)) if words(text) else None
        for chunk in document.chunks
        for text in [_masked_text(chunk.text, item)]
    )
    return _masked_text(document.title, item).strip(), chunks


def _masked_heading(heading: str, item: KnownItem) -> str:
    parts = _masked_text(heading, item).split(HEADING_SEPARATOR)
    return HEADING_SEPARATOR.join(part.strip() for part in parts if words(part))


def _masked_text(text: str, item: KnownItem) -> str:
    """The text without the query and its source; repeated, because a removal can bring words together."""
    phrases = sorted({words(item.source), words(item.text)}, key=lambda phrase: (-len(phrase), phrase))
    before = None
    while before != text:
        before = text
        for phrase in phrases:
            text = without(text, phrase)
    return text


# --- words in a text ---------------------------------------------------------------------------------
#
# A phrase is found whatever its case and whatever punctuation, mark-up and line breaks are between its words,
# so that neither a full-text search nor an encoder finds masked words.


def words(text: str) -> Words:
    """The text's words in order, case folded.

    >>> words("Don't *loop*, retry")
    ('don', 't', 'loop', 'retry')
    """
    # Folded in one call, which is faster, but after the split: "İ" folds to a letter and a mark of no word.
    joined = "\0".join(_WORD.findall(text)).casefold()
    return tuple(joined.split("\0")) if joined else ()


def first_words(text: str, n: int) -> str:
    """The text up to the end of its n-th word; all of it where it has no more.

    >>> first_words("Retry a failed task.", 2)
    'Retry a'
    """
    if len(words(text)) <= n:
        return text
    return text[: next(islice(_WORD.finditer(text), n - 1, n)).end()]


def contains(text: str, phrase: Words) -> bool:
    r"""Whether these words are in the text in this order, next to one another.

    >>> contains("Retry a\n**failed** task.", ("failed", "task"))
    True
    """
    return next(_positions(words(text), phrase), None) is not None


def without(text: str, phrase: Words) -> str:
    """The text without these words wherever they are in this order.

    The rules of headings are removed with them.  Where the text begins with the phrase's end, or ends with
    its beginning, that part is removed too: a chunk may end there.
    """
    while _may_contain(text, phrase) and (spans := _spans(text, phrase)):
        edges = [0, *(edge for span in spans for edge in span), len(text)]
        text = " ".join(text[start:end] for start, end in zip(edges[::2], edges[1::2], strict=True))
        text = _RULE.sub("", text)
    return text


def _may_contain(text: str, phrase: Words) -> bool:
    """False for nearly all texts that contain no part of the phrase; faster than searching for it."""
    folded = text.casefold()
    ends = (phrase[:MIN_PART_WORDS], phrase[-MIN_PART_WORDS:])
    return any(all(word in folded for word in end) for end in ends)


def _spans(text: str, phrase: Words) -> list[tuple[int, int]]:
    """The characters to remove, in order."""
    places = [match.span() for match in _WORD.finditer(text)]
    present = words(text)
    spans = [(places[at][0], places[at + len(phrase) - 1][1]) for at in _positions(present, phrase)]
    if spans or not places:
        return spans
    for n in range(min(len(phrase) - 1, len(present)), MIN_PART_WORDS - 1, -1):
        if present[:n] == phrase[-n:]:
            return [(places[0][0], places[n - 1][1])]
        if present[-n:] == phrase[:n]:
            return [(places[-n][0], places[-1][1])]
    return []


def _positions(present: Words, phrase: Words) -> Iterator[int]:
    """Where the phrase begins among the words present; occurrences do not overlap."""
    at = 0
    while phrase and at + len(phrase) <= len(present):
        if present[at] == phrase[0] and present[at : at + len(phrase)] == phrase:
            yield at
            at += len(phrase)
        else:
            at += 1
