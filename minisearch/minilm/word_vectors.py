"""A text's vector by its words alone, before any layer: next to nothing to compute, a rough guess at meaning.

Token ids and the model's word embeddings come in, unit vectors go out.  It tells which of a passage's
sentences are worth a pass through the model; it ranks nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from minisearch.types import FloatArray, IntArray

N_SPECIAL = 996  # BERT's vocabulary begins with unused and special tokens; then frequent words come first


def word_vectors(
    token_ids: Sequence[Sequence[int]], embedded: Callable[[IntArray], FloatArray], dimension: int
) -> FloatArray:
    """Unit vectors (n, D): the mean of the words' embeddings, (T,) -> (T, D), rarer words counting more.

    A word's weight is the logarithm of its place in the vocabulary, which stands in for its rarity (Zipf's
    law).  A text without tokens has the zero vector.
    """
    vectors = np.zeros((len(token_ids), dimension), np.float32)
    for vector, of_text in zip(vectors, token_ids, strict=True):
        if not of_text:
            continue
        ids = np.array(of_text, np.int64)
        weights = np.log1p(np.maximum(ids - N_SPECIAL, 1)).astype(np.float32)
        vector[:] = weights @ embedded(ids)  # (T,) @ (T, D)
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    np.divide(vectors, norms, out=vectors, where=norms > 0)
    return vectors
