"""Cut a document into chunks that the encoder sees whole.

A document and a tokenizer go in, chunks come out, none with more tokens than the encoder accepts.  A span
that fits is a chunk; a longer one is cut by its own tokens, and its parts are tokenised again, each by
itself, until all fit: so every count is exact, whatever the tokenizer does at the edges of a text.  The first
spans come from `sections`; `positions` maps them to the file.

Cuts between paragraphs are better than cuts within one, those at a list item better than those at a sentence.
A block (``Document.blocks``: a table, a list item, fenced code) is cut only where it is longer than a chunk.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from minisearch.chunking.positions import Positions
from minisearch.chunking.sections import Span, sections, skip_space, stripped
from minisearch.manifest import Settings
from minisearch.text import LIST_MARKER, newlines, sentence_starts
from minisearch.types import Chunk, Document, IntArray, Tokenizer

# A megabyte without a space is one unknown token to WordPiece, so characters are bounded too.
MAX_CHARACTERS_PER_TOKEN = 12

# The encoder sees the title before every chunk: nDCG@10 by dense search, chunks of 230 tokens, went
# from .312 to .378 on Cranfield's abstracts, from .940 to .953 on data/. Headings between gain nothing more.
MAX_CONTEXT_TOKENS = 48

PIECE = 50_000  # characters tokenised in one call, of one long span or of many short ones

# Finds the places between two positions of a text where the next part may begin.
Finder = Callable[[str, int, int], Iterable[int]]

CONTEXT = 32  # characters around a sentence start, by which abbreviations are recognised


def _ends_of(pattern: str) -> Finder:
    finditer = re.compile(pattern).finditer
    return lambda text, start, end: (found.end() for found in finditer(text, start, end))


def _sentences(text: str, start: int, end: int) -> Iterable[int]:
    return sentence_starts(text, max(start - CONTEXT, 0), end + CONTEXT)


PARAGRAPHS_AT_MARGIN = _ends_of(r"\n[ \t]*\n(?=\S)")  # indented text stays with the line that introduces it
PARAGRAPHS = _ends_of(r"\n[ \t]*\n")
ITEMS = _ends_of(rf"\n(?=[ \t]*{LIST_MARKER}[ \t])")
LINES = _ends_of(r"\n")
WORDS = _ends_of(r"\s+")

# From best to worst. A line break in wrapped prose says nothing, in code it is structure.
PROSE_CUTS = (PARAGRAPHS_AT_MARGIN, PARAGRAPHS, ITEMS, _sentences, LINES, WORDS)
CODE_CUTS = (PARAGRAPHS_AT_MARGIN, PARAGRAPHS, LINES, _sentences, WORDS)


def split_document(
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
    """The chunks of a document, in order; every character but white space is in at least one.

    A chunk has at most ``max_tokens`` tokens, counted by itself, and at most 12 times as many characters.
    Where a section is cut, a chunk repeats whole sentences (or lines) from the end of the one before, at most
    ``overlap_tokens`` and less than half of a chunk.  ``heading`` joins the titles above, outermost first,
    with " > "; where small definitions share a chunk, it is that of the definition around them.
    """
    max_characters = max_tokens * MAX_CHARACTERS_PER_TOKEN
    cutter = _Cutter(
        document, max_tokens=max_tokens, max_characters=max_characters, overlap_tokens=overlap_tokens
    )

    def count(spans: Sequence[Span]) -> list[int]:
        return [len(tokens) for _, tokens in _tokenised(spans, document.text, tokenizer)]

    fitting: list[tuple[Span, int]] = []
    waiting = sections(document, count, max_tokens=max_tokens, max_characters=max_characters)
    while waiting:
        too_long: list[Span] = []
        for span, tokens in _tokenised(waiting, document.text, tokenizer):
            n_characters = span.end - span.start
            if (len(tokens) <= max_tokens and n_characters <= max_characters) or n_characters == 1:
                fitting.append((span, len(tokens)))
            else:
                too_long += cutter.cut(span, tokens)
        waiting = too_long
    return _chunks(document, _in_order(fitting))


def _in_order(fitting: list[tuple[Span, int]]) -> list[tuple[Span, int]]:
    """The spans by position, without those inside another."""
    ordered: list[tuple[Span, int]] = []
    for span, n_tokens in sorted(fitting, key=lambda fit: (fit[0].start, -fit[0].end)):
        if not ordered or span.end > ordered[-1][0].end:
            ordered.append((span, n_tokens))
    return ordered


def _tokenised(spans: Sequence[Span], text: str, tokenizer: Tokenizer) -> Iterator[tuple[Span, IntArray]]:
    """Each span with the first characters of its tokens (positions in the document)."""
    batch: list[Span] = []
    n_characters = 0
    for span in spans:
        length = span.end - span.start
        if batch and n_characters + length > PIECE:
            yield from _token_starts(batch, text, tokenizer)
            batch, n_characters = [], 0
        batch.append(span)
        n_characters += length
    if batch:
        yield from _token_starts(batch, text, tokenizer)


def _token_starts(spans: Sequence[Span], text: str, tokenizer: Tokenizer) -> Iterator[tuple[Span, IntArray]]:
    if len(spans) == 1:
        bounds = list(_pieces(text, spans[0].start, spans[0].end))
        starts = [tokenizer.spans([text[a:b]])[0][:, 0] + a for a, b in pairwise(bounds)]
        yield spans[0], np.concatenate(starts)
        return
    token_spans = tokenizer.spans([text[span.start : span.end] for span in spans])
    for span, of_span in zip(spans, token_spans, strict=True):
        yield span, of_span[:, 0] + span.start


def _pieces(text: str, start: int, end: int) -> Iterator[int]:
    """The bounds of pieces that are tokenised apart: at white space where there is any nearby."""
    yield start
    while end - start > PIECE:
        start += PIECE
        start = next((i for i in range(start, start - PIECE // 2, -1) if text[i].isspace()), start)
        yield start
    yield end


def _chunks(document: Document, spans: Sequence[tuple[Span, int]]) -> list[Chunk]:
    """Chunks with their positions in the file."""
    edges = np.array([(span.start, span.end) for span, _ in spans], np.int64).reshape(-1)
    positions, of_edge = np.unique(edges, return_inverse=True)
    in_file = Positions(document)
    offsets, (lines, _) = in_file.byte_offsets(positions), in_file.lines_and_columns(positions)
    edge_offsets, edge_lines = offsets[of_edge].tolist(), lines[of_edge].tolist()
    anchors = [in_file.anchors(span.start, span.end) for span, _ in spans]
    return [
        Chunk(
            start=span.start,
            end=span.end,
            text=document.text[span.start : span.end],
            byte_start=edge_offsets[2 * i],
            byte_end=edge_offsets[2 * i + 1],
            line=edge_lines[2 * i],
            end_line=max(edge_lines[2 * i + 1], *(line for _, line, _ in anchors[i])),
            heading=span.heading,
            n_tokens=n_tokens,
            anchors=anchors[i],
            page=bisect_right(document.pages, span.start) or None,
            page_breaks=_page_breaks(document, span),
        )
        for i, (span, n_tokens) in enumerate(spans)
    ]


def _page_breaks(document: Document, span: Span) -> tuple[int, ...]:
    """The positions in the span where a page begins; an empty page begins where the next one does."""
    first, last = (bisect_right(document.pages, position) for position in (span.start, span.end - 1))
    return tuple(page - span.start for page in document.pages[first:last])


# --- cutting what is too long ------------------------------------------------------------------------------


class _Cutter:
    """Cuts the spans of one document."""

    def __init__(
        self, document: Document, *, max_tokens: int, max_characters: int, overlap_tokens: int
    ) -> None:
        self.text = document.text
        self.flat = newlines(document.text)
        self.max_tokens = max_tokens
        self.max_characters = max_characters
        self.overlap_tokens = min(overlap_tokens, max_tokens // 2)
        self.is_code = document.format == "code"
        self.cuts = CODE_CUTS if self.is_code else PROSE_CUTS
        self.blocks = np.array(document.blocks, np.int64).reshape(-1, 2)

    def cut(self, span: Span, tokens: IntArray) -> Iterator[Span]:
        """The parts of a span that is too long, each within the bounds by this count of tokens.

        ``tokens`` (n,) are the first characters of the span's tokens, as positions in the document.
        """
        whole, long = self._blocks_in(span, tokens)
        start = span.start
        reached = skip_space(self.text, start, span.end)  # everything before is in a part, or white space
        while True:
            if self._limit(tokens, start) <= reached:  # white space wider than a part
                start = reached
            limit = max(self._limit(tokens, start), reached + 1)
            if limit >= span.end:
                yield from self._part(span, start, span.end)
                return
            block_start = whole.start_around(limit)
            if block_start is not None and block_start <= reached and start < reached:
                start = reached  # the block needs all the room there is
                continue
            if block_start is not None and block_start > reached:
                limit = block_start
            fair = self._fair(tokens, start, limit)
            cut = self._best_cut(max((start + limit) // 2, reached), fair, limit, whole, long)
            yield from self._part(span, start, cut)
            reached = skip_space(self.text, cut, span.end)
            start = self._next_start(tokens, start, cut, whole)

    def _part(self, span: Span, start: int, end: int) -> Iterator[Span]:
        return stripped(self.text, start, end, span.heading, is_code=self.is_code)

    def _blocks_in(self, span: Span, tokens: IntArray) -> tuple[_Blocks, _Blocks]:
        """The largest blocks that fit into a part, and the largest of those that do not."""
        first, last = np.searchsorted(self.blocks[:, 0], (span.start, span.end))
        starts, ends = self.blocks[first:last].T
        n_tokens = np.subtract(*np.searchsorted(tokens, (ends, starts)))
        do_fit = (n_tokens <= self.max_tokens) & (ends - starts <= self.max_characters)
        return _Blocks(starts[do_fit], ends[do_fit]), _Blocks(starts[~do_fit], ends[~do_fit])

    def _fair(self, tokens: IntArray, start: int, limit: int) -> int:
        """Where the part would end if it and all that follow had the same length."""
        first, last = np.searchsorted(tokens, [start, limit])
        n_left, n_most = len(tokens) - int(first), int(last) - int(first)
        if n_most < 1 or n_left <= n_most:
            return limit
        return int(tokens[first + math.ceil(n_left / math.ceil(n_left / n_most))])

    def _limit(self, tokens: IntArray, start: int) -> int:
        """The first character beyond the bounds."""
        last = int(np.searchsorted(tokens, start)) + self.max_tokens
        in_tokens = int(tokens[last]) if last < len(tokens) else len(self.text)
        return min(in_tokens, start + self.max_characters)

    def _best_cut(self, floor: int, fair: int, limit: int, whole: _Blocks, long: _Blocks) -> int:
        """Of the positions of the best kind after ``floor``, up to ``limit``, the nearest to ``fair``.

        If parts were filled to the limit, the last would have a line or two, found for its title alone:
        nDCG@10 of dense search would be .370 and not .379 on Cranfield, .954 and not .958 on data/.
        """
        for find in self.cuts:
            open_ = [
                position
                for position in find(self.flat, floor, limit + 1)
                if floor < position <= limit
                and whole.start_around(position) is None
                and not (find is PARAGRAPHS_AT_MARGIN and long.start_around(position) is not None)
            ]
            if open_:
                return min(open_, key=lambda position: abs(position - fair))
        return limit

    def _next_start(self, tokens: IntArray, start: int, cut: int, whole: _Blocks) -> int:
        """Where the part after ``cut`` begins: at the first sentence, else line, that fits into the overlap.

        Never in the first half of the part before, so that each part adds something, and never in a block.
        """
        if not self.overlap_tokens or not len(tokens):
            return cut
        first = int(np.searchsorted(tokens, cut)) - self.overlap_tokens
        earliest = max(int(tokens[max(first, 0)]), (start + cut) // 2 + 1)
        for find in (LINES,) if self.is_code else (_sentences, LINES):
            for position in find(self.flat, start, cut):
                if earliest <= position < cut and whole.start_around(position) is None:
                    return position
        return cut


class _Blocks:
    """The outermost of some blocks, which do not overlap; ``starts`` (n,) ascend, ``ends`` (n,)."""

    def __init__(self, starts: IntArray, ends: IntArray) -> None:
        reached = np.maximum.accumulate(np.concatenate([[-1], ends]))[:-1]
        is_outermost = ends > reached
        self._starts: list[int] = starts[is_outermost].tolist()
        self._ends: list[int] = ends[is_outermost].tolist()

    def start_around(self, position: int) -> int | None:
        """The start of the block that this position lies inside of, not at its edges; else None."""
        i = bisect_left(self._starts, position) - 1
        return self._starts[i] if i >= 0 and position < self._ends[i] else None
