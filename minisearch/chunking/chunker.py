"""A document in, passages out that the encoder sees whole: never more tokens than it takes.

A passage that fits is a chunk as it is; one that does not is cut by its own tokens, and its parts are counted
again, each by itself, until all fit: so every count is exact, whatever the tokenizer does at the edges of a
text.  Positions come from the characters; `places` turns them into bytes, lines and columns.  Which passages
there are at first is for `sections` to say, and where best to cut one for `cuts`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from minisearch.chunking.cuts import Cutter
from minisearch.chunking.places import Places
from minisearch.chunking.sections import Passage, sections
from minisearch.manifest import Settings
from minisearch.types import Chunk, Document, IntArray, Tokenizer

# A megabyte without a space is one unknown word to WordPiece, yet no passage: characters have a bound too.
MAX_CHARACTERS_PER_TOKEN = 12

# The encoder sees the title before every passage: nDCG@10 by dense search, passages of 230 tokens, went
# from .312 to .378 on Cranfield's abstracts, from .940 to .953 on data/. Headings between gain nothing more.
MAX_CONTEXT_TOKENS = 48

PIECE = 50_000  # characters tokenised at a time, of one long passage or of many short ones


def cut_document(
    document: Document, tokenizer: Tokenizer, *, settings: Settings, encoder_max_tokens: int
) -> list[Chunk]:
    """The document's chunks as an index holds them: each with its title as context."""
    max_tokens = settings.chunk_tokens(encoder_max_tokens)
    context, n_context = context_of(document.title, tokenizer, max_tokens)
    chunks = chunk(
        document,
        tokenizer,
        max_tokens=max_tokens - n_context,
        overlap_tokens=settings.overlap_tokens,
    )
    return [replace(one, context=context, n_tokens=one.n_tokens + n_context) for one in chunks]


def context_of(title: str, tokenizer: Tokenizer, chunk_tokens: int) -> tuple[str, int]:
    """As much of a title as is embedded with each chunk of ``chunk_tokens`` in all; how many it takes."""
    max_tokens = min(MAX_CONTEXT_TOKENS, chunk_tokens // 4)
    title = " ".join(title.split())
    if not title:
        return "", 0
    (spans,) = tokenizer.spans([title])
    if len(spans) > max_tokens:
        title = title[: int(spans[max_tokens][0])].rstrip()
        (spans,) = tokenizer.spans([title])
    return title, len(spans)


def chunk(document: Document, tokenizer: Tokenizer, *, max_tokens: int, overlap_tokens: int) -> list[Chunk]:
    """The document's passages, in order; every character but white space is in at least one.

    A chunk has at most ``max_tokens`` tokens, counted by itself, and at most 12 times as many characters.
    Where a section had to be cut, a chunk begins again with whole sentences (or lines) of the one before,
    ``overlap_tokens`` at most and never half of a chunk.  ``heading`` joins the titles above, outermost
    first, with " > "; of several small definitions in one chunk, that of what they stand in.
    """
    max_characters = max_tokens * MAX_CHARACTERS_PER_TOKEN
    cutter = Cutter(
        document, max_tokens=max_tokens, max_characters=max_characters, overlap_tokens=overlap_tokens
    )

    def count(passages: Sequence[Passage]) -> list[int]:
        return [len(tokens) for _, tokens in _tokenised(passages, document.text, tokenizer)]

    fitting: list[tuple[Passage, int]] = []
    waiting = sections(document, count, max_tokens=max_tokens, max_characters=max_characters)
    while waiting:
        too_long: list[Passage] = []
        for passage, tokens in _tokenised(waiting, document.text, tokenizer):
            n_characters = passage.end - passage.start
            if (len(tokens) <= max_tokens and n_characters <= max_characters) or n_characters == 1:
                fitting.append((passage, len(tokens)))
            else:
                too_long += cutter.cut(passage, tokens)
        waiting = too_long
    return _chunks(document, _in_order(fitting))


def _in_order(fitting: list[tuple[Passage, int]]) -> list[tuple[Passage, int]]:
    """The passages by position, without those that lie inside another."""
    ordered: list[tuple[Passage, int]] = []
    for passage, n_tokens in sorted(fitting, key=lambda fit: (fit[0].start, -fit[0].end)):
        if not ordered or passage.end > ordered[-1][0].end:
            ordered.append((passage, n_tokens))
    return ordered


def _tokenised(
    passages: Sequence[Passage], text: str, tokenizer: Tokenizer
) -> Iterator[tuple[Passage, IntArray]]:
    """Each passage with its tokens' first characters (positions in the document), about PIECE at a time."""
    batch: list[Passage] = []
    n_characters = 0
    for passage in passages:
        length = passage.end - passage.start
        if batch and n_characters + length > PIECE:
            yield from _token_starts(batch, text, tokenizer)
            batch, n_characters = [], 0
        batch.append(passage)
        n_characters += length
    if batch:
        yield from _token_starts(batch, text, tokenizer)


def _token_starts(
    passages: Sequence[Passage], text: str, tokenizer: Tokenizer
) -> Iterator[tuple[Passage, IntArray]]:
    if len(passages) == 1:  # perhaps a long one
        bounds = list(_pieces(text, passages[0].start, passages[0].end))
        starts = [tokenizer.spans([text[a:b]])[0][:, 0] + a for a, b in pairwise(bounds)]
        yield passages[0], np.concatenate(starts)
        return
    spans = tokenizer.spans([text[passage.start : passage.end] for passage in passages])
    for passage, of_passage in zip(passages, spans, strict=True):
        yield passage, of_passage[:, 0] + passage.start


def _pieces(text: str, start: int, end: int) -> Iterator[int]:
    """The bounds of pieces that are tokenised apart: at white space, unless there is none for long."""
    yield start
    while end - start > PIECE:
        start += PIECE
        start = next((i for i in range(start, start - PIECE // 2, -1) if text[i].isspace()), start)
        yield start
    yield end


def _chunks(document: Document, passages: Sequence[tuple[Passage, int]]) -> list[Chunk]:
    """Chunks with their places in the file."""
    edges = np.array([(passage.start, passage.end) for passage, _ in passages], np.int64).reshape(-1)
    positions, of_edge = np.unique(edges, return_inverse=True)
    places = Places(document)
    offsets, (lines, _) = places.offsets(positions), places.lines_and_columns(positions)
    edge_offsets, edge_lines = offsets[of_edge].tolist(), lines[of_edge].tolist()
    return [
        Chunk(
            start=passage.start,
            end=passage.end,
            text=document.text[passage.start : passage.end],
            byte_start=edge_offsets[2 * i],
            byte_end=edge_offsets[2 * i + 1],
            line=edge_lines[2 * i],
            end_line=edge_lines[2 * i + 1],
            heading=passage.heading,
            n_tokens=n_tokens,
            anchors=places.anchors(passage.start, passage.end),
            page=bisect_right(document.pages, passage.start) or None,
            page_breaks=_page_breaks(document, passage),
        )
        for i, (passage, n_tokens) in enumerate(passages)
    ]


def _page_breaks(document: Document, passage: Passage) -> tuple[int, ...]:
    """Positions in the passage at which a page begins; an empty page begins where the next one does."""
    first, last = (bisect_right(document.pages, place) for place in (passage.start, passage.end - 1))
    return tuple(page - passage.start for page in document.pages[first:last])
