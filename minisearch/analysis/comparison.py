"""Compare two documents: the sentences of one that the other does not say, in whatever words.

The sentences of both are embedded, and each is compared with the nearest one of the other document.  A
sentence is new if none is near.  It is changed if the nearest says the same with other numbers.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np

from minisearch.errors import InputError
from minisearch.rag import continued
from minisearch.results import full_heading
from minisearch.search.evidence import line_and_column
from minisearch.search.pipeline import anchors_of
from minisearch.search.searcher import Searcher
from minisearch.search.sentences import kinds_of_sentences
from minisearch.stores.base import StoredChunk
from minisearch.text import count, normalised_words
from minisearch.types import FloatArray

LEAST_WORDS = 3
MAX_SENTENCES = 20_000  # of both documents: a minute of embedding
# Of the STS benchmark's pairs (dev) .94 of those that say the same (4 or more) are near enough, and .91 of
# the others (2.5 or less) are not: `scripts/collection.py --sts`.
NEW_BELOW = 0.7
SAME_WITHIN = 0.05  # of the nearest one's cosine: sentences that may say it with the same numbers
NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")


@dataclass(frozen=True, slots=True)
class Statement:
    """A sentence that the other document does not say.

    ``kind`` is "changed" if ``nearest``, at ``nearest_line`` of the other document, says the same with other
    numbers, and "new" if nothing in it is near.  ``cosine`` is that of the nearest sentence.
    """

    text: str
    line: int
    heading: str
    kind: Literal["new", "changed"]
    nearest: str
    nearest_line: int
    cosine: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """What ``other`` says that ``path`` does not, in its order; ``n_sentences`` are all that it has."""

    path: str
    other: str
    statements: tuple[Statement, ...]
    n_sentences: int


@dataclass(frozen=True, slots=True)
class _Sentence:
    text: str
    line: int
    heading: str


def compare(searcher: Searcher, path: str | os.PathLike[str], other: str | os.PathLike[str]) -> Comparison:
    """`MiniSearch.compare`."""
    (shown, chunks), (shown_other, other_chunks) = searcher.chunks_of(path), searcher.chunks_of(other)
    known, others = list(_sentences(chunks)), list(_sentences(other_chunks))
    if len(known) + len(others) > MAX_SENTENCES:
        n = count(len(known) + len(others), "sentence")
        raise InputError(f"the documents have {n}: at most {MAX_SENTENCES:,} are compared")
    if not others or not known:
        raise InputError(f"{shown_other if known else shown} has no sentences to compare")
    texts = list(dict.fromkeys(one.text for one in [*known, *others]))
    place = {text: n for n, text in enumerate(texts)}
    vectors = searcher.embed(texts, are_queries=False)  # (n, D)
    of_known = vectors[[place[one.text] for one in known]]
    statements = [
        statement
        for one in others
        if (statement := _statement(one, known, of_known @ vectors[place[one.text]]))
    ]
    return Comparison(shown, shown_other, tuple(statements), len(others))


def _statement(sentence: _Sentence, known: Sequence[_Sentence], cosines: FloatArray) -> Statement | None:
    """What a sentence says that is not known; None if a sentence that is near has all of its numbers."""
    best = int(np.argmax(cosines))
    cosine, nearest = float(cosines[best]), known[best]
    is_new = cosine < NEW_BELOW
    numbers = set(NUMBER.findall(sentence.text))
    near = [
        known[place] for place in np.flatnonzero(cosines >= max(NEW_BELOW, cosine - SAME_WITHIN)).tolist()
    ]
    if not is_new and any(numbers <= set(NUMBER.findall(one.text)) for one in near):
        return None
    kind: Literal["new", "changed"] = "new" if is_new else "changed"
    return Statement(
        sentence.text, sentence.line, sentence.heading, kind, nearest.text, nearest.line, round(cosine, 3)
    )


def _sentences(chunks: Sequence[StoredChunk]) -> Iterator[_Sentence]:
    """The sentences of a document, without headings and very short ones; what passages share counts once."""
    starts = [0, *(continued(above, below)[1] for above, below in pairwise(chunks))]
    for chunk, start in zip(chunks, starts, strict=True):
        heading = full_heading(chunk.title, chunk.heading, chunk.path)
        for one in kinds_of_sentences(chunk.text, heading=chunk.heading):
            text = " ".join(chunk.text[one.start : one.end].split())
            if one.start >= start and one.kind != "heading" and len(normalised_words(text)) >= LEAST_WORDS:
                line, _ = line_and_column(anchors_of(chunk), chunk.text, one.start)
                yield _Sentence(text, line, heading)
