"""How a document is cut for an index: the same for a run that stores chunks and for whoever looks at them.

A document comes in, chunks go out that the encoder sees whole, its title before each of them.  Where to cut
is `ingest`'s to know; what becomes of the chunks is left to others.
"""

from __future__ import annotations

from dataclasses import replace

from minisearch.chunking.chunker import chunk
from minisearch.config import Settings
from minisearch.types import Chunk, Document, Tokenizer

# A title is told to the encoder before every passage: nDCG@10 by dense search, passages of 230 tokens, went
# from .312 to .378 on Cranfield's abstracts, from .940 to .953 on data/. Headings between gain nothing more.
CONTEXT_TOKENS = 48


def cut(
    document: Document, tokenizer: Tokenizer, *, settings: Settings, encoder_max_tokens: int
) -> list[Chunk]:
    """The document's chunks, each with its context and with the tokens of both."""
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
    max_tokens = min(CONTEXT_TOKENS, chunk_tokens // 4)
    title = " ".join(title.split())
    if not title:
        return "", 0
    (spans,) = tokenizer.spans([title])
    if len(spans) > max_tokens:
        title = title[: int(spans[max_tokens][0])].rstrip()
        (spans,) = tokenizer.spans([title])
    return title, len(spans)
