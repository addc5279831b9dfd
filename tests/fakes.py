"""Stand-ins that obey the laws of the real things."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence

import numpy as np

from minisearch.types import FloatArray, IntArray


class WordTokenizer:
    """A token is a word or a punctuation mark."""

    def spans(self, texts: Sequence[str]) -> list[IntArray]:
        found = ([match.span() for match in re.finditer(r"\w+|[^\w\s]", text)] for text in texts)
        return [np.array(spans, np.int64).reshape(-1, 2) for spans in found]


class HashingEncoder:
    """Unit vectors whose cosine grows with the words that two texts share; equal texts, equal vectors.

    ``n_encoded`` counts the texts it was given.
    """

    def __init__(self, name: str = "hashing", *, dimension: int = 64, max_tokens: int = 40) -> None:
        self.name = name
        self.fingerprint = f"{name}-{dimension}"
        self.dimension = dimension
        self.max_tokens = max_tokens
        self.tokenizer = WordTokenizer()
        self.n_encoded = 0

    def encode(self, texts: Sequence[str]) -> FloatArray:
        self.n_encoded += len(texts)
        vectors = np.zeros((len(texts), self.dimension), np.float32)
        for vector, text in zip(vectors, texts, strict=True):
            vector[0] = 0.01  # a text without words has a direction too
            for word in re.findall(r"\w+", text.lower()):
                vector += np.random.default_rng(zlib.crc32(word.encode())).standard_normal(
                    self.dimension, np.float32
                )
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def encode_document(self, texts: Sequence[str]) -> FloatArray:
        return self.encode(texts)

    def encode_query(self, texts: Sequence[str]) -> FloatArray:
        return self.encode(texts)
