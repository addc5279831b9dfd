"""The settings that decide what an index holds, and the fingerprints that tell two of them apart."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal, get_args

from minisearch.errors import InputError

DEFAULT_MODEL = "all-MiniLM-L6-v2"
DEFAULT_BACKEND = "faiss"

# What the model computes in. Vectors of one model go together whichever it was.
Dtype = Literal["auto", "float32", "bfloat16", "int8"]
DTYPES: tuple[Dtype, ...] = get_args(Dtype)

# Raise when the same file would be read or cut otherwise than before: stored documents are then read again.
INGEST_VERSION = 7


@dataclass(frozen=True, slots=True)
class Settings:
    """How documents are cut.

    ``max_tokens`` bounds a chunk; None means all that the encoder sees.  ``overlap_tokens`` is the most
    that a chunk repeats of the one before it, in whole sentences.
    """

    max_tokens: int | None = None
    # nDCG@10 on data/ with 0, 32 and 64 tokens of overlap: .950, .947, .948. No gain there, but it is kept
    # so that an answer on both sides of a cut stands whole in one chunk.
    overlap_tokens: int = 32

    def __post_init__(self) -> None:
        if self.max_tokens is not None and self.max_tokens < 8:
            raise InputError(f"max_tokens is {self.max_tokens}; a chunk needs at least 8 tokens")
        if self.overlap_tokens < 0:
            raise InputError(f"overlap_tokens is {self.overlap_tokens}; it cannot be negative")

    def chunk_tokens(self, encoder_max_tokens: int) -> int:
        """The bound that holds with this encoder: never more than it sees."""
        return min(self.max_tokens or encoder_max_tokens, encoder_max_tokens)


def as_dtype(name: str) -> Dtype:
    """The dtype of this name; InputError when there is none."""
    for dtype in DTYPES:
        if dtype == name:
            return dtype
    raise InputError(f"unknown dtype '{name}': expected one of {', '.join(DTYPES)}")


def fingerprint(*parts: object) -> str:
    """Sixteen hexadecimal digits that differ when any part does.

    >>> fingerprint("a", 1) == fingerprint("a", 2)
    False
    """
    digest = hashlib.sha256("\x1f".join(map(repr, parts)).encode())
    return digest.hexdigest()[:16]


def ingest_fingerprint(settings: Settings, encoder_max_tokens: int) -> str:
    """What would change a document's chunks, for the same file."""
    return fingerprint(INGEST_VERSION, settings.chunk_tokens(encoder_max_tokens), settings.overlap_tokens)
