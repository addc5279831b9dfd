"""Made-up documents and a cheap encoder, to measure everything but the model."""

from __future__ import annotations

import re
import time
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from minisearch import MiniSearch
from minisearch.manifest import Settings
from minisearch.types import FloatArray, IntArray

WORDS_A_PASSAGE = 32
SETTINGS = Settings(max_tokens=40, overlap_tokens=0)  # so that every paragraph is one passage
RACY_S = 2.1  # a file younger than this when it is read is read again by the next run


class WordSums:
    """A cheap encoder that sums one vector a word, so that texts that share words are near."""

    name = "word-sums"
    max_tokens = 254

    def __init__(self, dimension: int = 384) -> None:
        self.dimension = dimension
        self.fingerprint = f"word-sums-{dimension}"
        self.tokenizer = self
        self._words: dict[str, FloatArray] = {}

    def spans(self, texts: Sequence[str]) -> list[IntArray]:
        """A token is a word or a punctuation mark."""
        found = ([match.span() for match in re.finditer(r"\w+|[^\w\s]", text)] for text in texts)
        return [np.array(spans, np.int64).reshape(-1, 2) for spans in found]

    def encode_document(self, texts: Sequence[str]) -> FloatArray:
        """Unit vectors, (n, dimension)."""
        vectors = np.zeros((len(texts), self.dimension), np.float32)
        for vector, text in zip(vectors, texts, strict=True):
            vector[0] = 0.01  # a text without words has a direction too
            for word in re.findall(r"\w+", text.lower()):
                vector += self._vector(word)
        unit: FloatArray = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return unit

    encode_query = encode_document

    def _vector(self, word: str) -> FloatArray:
        if word not in self._words:
            rng = np.random.default_rng(zlib.crc32(word.encode()))
            self._words[word] = rng.standard_normal(self.dimension, np.float32)
        return self._words[word]


def engine(index: Path) -> MiniSearch:
    """The engine with that encoder."""
    return MiniSearch(index, encoder=WordSums(), settings=SETTINGS)


def passages(rng: np.random.Generator, n: int) -> str:
    """N paragraphs of made-up words, a few common and many rare, as in natural language."""
    ranks = np.minimum(rng.zipf(1.3, (n, WORDS_A_PASSAGE)), 30_000)
    return "\n\n".join(" ".join(f"w{rank}" for rank in row) + "." for row in ranks.tolist())


def write_files(folder: Path, n: int, *, n_passages: int, a_folder: int = 500) -> None:
    """N Markdown files in folders of ``a_folder`` each."""
    rng = np.random.default_rng(0)
    for number in range(n):
        place = folder / f"part{number // a_folder:04}"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"d{number:06}.md").write_text(f"# Document {number}\n\n{passages(rng, n_passages)}\n")
    time.sleep(RACY_S)
