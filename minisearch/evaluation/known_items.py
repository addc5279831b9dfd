"""Queries with a known answer, made from an index's own documents: headings, titles, first sentences.

Documents as they were cut come in, queries go out, each with the document that it was taken from; and a
document without the words of its query, so that it has to be found by what else it says.  Nobody has to
judge anything, at a price: these queries are in the authors' words, and only the document they came from
counts as right.  They compare settings on one index; they do not tell how well a user's own are answered.
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

from minisearch.evaluation.masking import Words, first_words, has, without, words
from minisearch.text import CLOSED, sentence_starts

Kind = Literal["heading", "title", "sentence"]
KINDS: tuple[Kind, ...] = get_args(Kind)

HEADING_WORDS = (3, 12)  # fewer say too little ("Notes"), more are no heading
SENTENCE_WORDS = (5, 25)
MIN_WORDS_LEFT = 20  # below the heading, after the sentence, in the document: something must be left to find
TRIED_OF_A_KIND = 3  # headings, or sentences, of one document

# Between queries and what they must not share with other documents; no query has fewer words.
_KEY = 3

_PATH = " > "
_LINE_MARKS = re.compile(r"[ \t]*(?:#+|//+|/?\*+/?|>+|--|;+|\"{3}|'{3})?[ \t]*")
_STARTS_PROSE = re.compile(r"[\"'“‘(*_`]*[^\W\d_]")
_ENDS_CLOSED = re.compile(rf"(?:{CLOSED})\Z")
_MARKUP = (
    (re.compile(r":[\w.+:-]+:`([^`<]*?)\s*(?:<[^`>]*>)?`"), r"\1"),  # :role:`words <target>`
    (re.compile(r"`([^`<]+?)\s*<[^`>]*>`_*"), r"\1"),  # `words <address>`_
    (re.compile(r"!?\[([^\]]*)\]\([^)]*\)"), r"\1"),  # [words](address)
    (re.compile(r"[`*|]+|\"{3}"), ""),
)


@dataclass(frozen=True, slots=True)
class Passage:
    """What an index knows of a passage: its words, and the headings above them joined with " > "."""

    text: str
    heading: str


@dataclass(frozen=True, slots=True)
class IndexedDocument:
    """A document as an index holds it; neighbouring passages may repeat each other's sentences."""

    id: int
    path: str
    title: str
    passages: tuple[Passage, ...]


@dataclass(frozen=True, slots=True)
class KnownItem:
    """A query, the document that answers it, and the words there that it was made from."""

    kind: Kind
    text: str
    source: str
    document_id: int
    path: str


def file_type(path: str) -> str:
    """The ending of a file's name, in lower case; "none" without one."""
    return PurePosixPath(path).suffix.lower() or "none"


# --- queries out of a document ------------------------------------------------------------------------


def candidates(document: IndexedDocument, *, seed: int = 0) -> list[KnownItem]:
    """The queries that could be made from a document: its title, and some headings and first sentences."""
    generator = np.random.default_rng([seed, zlib.crc32(document.path.encode("utf-8", "surrogatepass"))])
    starts = _section_starts(document.passages)
    shuffled = [starts[i] for i in generator.permutation(len(starts)).tolist()]
    return [
        *_from_title(document),
        *islice(_from_headings(document, shuffled), TRIED_OF_A_KIND),
        *islice(_from_sentences(document, shuffled), TRIED_OF_A_KIND),
    ]


def _from_title(document: IndexedDocument) -> Iterator[KnownItem]:
    item = _item("title", document.title, document, HEADING_WORDS)
    if item and _n_left(item, document.passages) >= MIN_WORDS_LEFT:
        yield item


def _from_headings(document: IndexedDocument, starts: Iterable[Passage]) -> Iterator[KnownItem]:
    seen = {words(document.title)}
    for passage in starts:
        heading = passage.heading.split(_PATH)[-1]
        item = _item("heading", heading, document, HEADING_WORDS)
        if item and words(heading) not in seen and _n_left(item, [passage]) >= MIN_WORDS_LEFT:
            seen.add(words(heading))
            yield item


def _from_sentences(document: IndexedDocument, starts: Iterable[Passage]) -> Iterator[KnownItem]:
    for passage in starts:
        item = _item("sentence", _first_sentence(passage), document, SENTENCE_WORDS)
        if item and _n_left(item, [passage]) >= MIN_WORDS_LEFT:
            yield item


def _section_starts(passages: Sequence[Passage]) -> list[Passage]:
    return [
        passage for i, passage in enumerate(passages) if i == 0 or passage.heading != passages[i - 1].heading
    ]


def _item(kind: Kind, source: str, document: IndexedDocument, n_words: tuple[int, int]) -> KnownItem | None:
    """The query that these words make; None where there are too few, or too many for a heading."""
    text = _plain(source)
    found = words(text)
    fewest, most = n_words
    if len(found) < fewest or (kind != "sentence" and len(found) > most):
        return None
    if len(found) > most:
        text = first_words(text, most)
    return KnownItem(kind, text, source, document.id, document.path)


def _plain(text: str) -> str:
    """The words without the mark-up that nobody would type, on one line."""
    for markup, plain in _MARKUP:
        text = markup.sub(plain, text)
    return " ".join(text.split())


def _first_sentence(passage: Passage) -> str:
    """The first sentence of prose below the headings that a passage begins with; "" where there is none."""
    headings = {words(part) for part in passage.heading.split(_PATH)}
    for paragraph in re.split(r"\n[ \t]*\n", passage.text.replace("\r\n", "\n").replace("\r", "\n")):
        lines = [_LINE_MARKS.sub("", line, count=1) for line in paragraph.split("\n")]
        while lines and (words(lines[0]) in headings or not words(lines[0])):
            lines.pop(0)
        prose = " ".join(line.strip() for line in lines)
        first = prose[slice(*[0, *sentence_starts(prose, 0, len(prose)), len(prose)][:2])].rstrip()
        if _ENDS_CLOSED.search(first) and _STARTS_PROSE.match(first):
            return first
    return ""


def _n_left(item: KnownItem, passages: Iterable[Passage]) -> int:
    """How many words a query leaves of these passages."""
    return sum(len(words(_hidden(passage.text, item))) for passage in passages)


# --- which of them to ask -------------------------------------------------------------------------------


def found_elsewhere(items: Iterable[KnownItem], documents: Iterable[IndexedDocument]) -> set[KnownItem]:
    """The queries whose words stand in another document too: boiler plate, copies, the names of links.

    That other document answers them as well.
    """
    waiting: dict[Words, list[tuple[KnownItem, Words]]] = defaultdict(list)
    for item in items:
        run = words(item.text)
        waiting[run[:_KEY]].append((item, run))
    found: set[KnownItem] = set()
    for document in documents:
        texts = [document.title, *{passage.heading for passage in document.passages}]
        for text in (*texts, *(passage.text for passage in document.passages)):
            present = words(text)
            for key in waiting.keys() & set(zip(*(present[i:] for i in range(_KEY)), strict=False)):
                found |= {
                    item for item, run in waiting[key] if item.document_id != document.id and has(text, run)
                }
    return found


def choose(items: Sequence[KnownItem], n: int, *, seed: int = 0) -> list[KnownItem]:
    """At most ``n`` of the queries, one a document, by path.

    File types keep their shares, with one query at least; the kinds are as even as the documents allow.
    """
    of_path: dict[str, list[KnownItem]] = defaultdict(list)
    for item in items:
        of_path[item.path].append(item)
    generator = np.random.default_rng(seed)
    n_of_kind = dict.fromkeys(KINDS, 0)
    chosen = []
    for path in sample(list(of_path), n, seed=seed):
        kind = min({item.kind for item in of_path[path]}, key=lambda kind: (n_of_kind[kind], kind))
        n_of_kind[kind] += 1
        of_kind = [item for item in of_path[path] if item.kind == kind]
        chosen.append(of_kind[int(generator.integers(len(of_kind)))])
    return sorted(chosen, key=lambda item: item.path)


def sample(paths: Sequence[str], n: int, *, seed: int = 0) -> list[str]:
    """At most ``n`` of the paths in a random order, each file type with its share, and with one at least."""
    generator = np.random.default_rng(seed)
    of_type: dict[str, list[str]] = defaultdict(list)
    for path in sorted(paths):
        of_type[file_type(path)].append(path)
    quotas = _shares({type_: len(some) for type_, some in of_type.items()}, min(n, len(paths)))
    drawn = [
        some[i]
        for type_, some in of_type.items()
        for i in generator.permutation(len(some))[: quotas[type_]].tolist()
    ]
    return [drawn[i] for i in generator.permutation(len(drawn)).tolist()]


def _shares(sizes: dict[str, int], n: int) -> dict[str, int]:
    """``n`` divided by size, one at least, the fullest giving way where there are too few for all."""
    exact = {name: n * size / sum(sizes.values()) for name, size in sizes.items()}
    shares = {name: max(int(share), 1) for name, share in exact.items()}
    while sum(shares.values()) > n:
        shares[max(shares, key=lambda name: (shares[name], name))] -= 1
    while sum(shares.values()) < n:
        shares[max(shares, key=lambda name: (exact[name] - shares[name], name))] += 1
    return shares


# --- the document without the words of its query -----------------------------------------------------


def masked(document: IndexedDocument, item: KnownItem) -> tuple[str, tuple[Passage | None, ...]]:
    """The document's title and passages without the words of the query, and of what it was made from.

    They go from text, headings and title alike.  A passage that said nothing else is None.
    """
    passages = tuple(
        Passage(text, _without_part(passage.heading, item)) if words(text) else None
        for passage in document.passages
        for text in [_hidden(passage.text, item)]
    )
    return _hidden(document.title, item).strip(), passages


def _hidden(text: str, item: KnownItem) -> str:
    """The text without the query's source and without the query, until neither is there any more."""
    runs = sorted({words(item.source), words(item.text)}, key=lambda run: (-len(run), run))
    before = None
    while before != text:
        before = text
        for run in runs:
            text = without(text, run)
    return text


def _without_part(heading: str, item: KnownItem) -> str:
    """A path of headings without the query, and without the steps of which no word is left."""
    parts = _hidden(heading, item).split(_PATH)
    return _PATH.join(part.strip() for part in parts if words(part))
