from __future__ import annotations

import numpy as np

from minisearch import SentenceTransformer
from minisearch.minilm.cold import ColdEncoder
from minisearch.minilm.word_vectors import word_vectors


def test_rarer_words_count_more() -> None:
    embeddings = np.zeros((3_000, 2), np.float32)
    embeddings[1_000], embeddings[2_999] = (1, 0), (0, 1)
    ((x, y),) = word_vectors([[1_000, 2_999]], embeddings.__getitem__, 2)
    assert np.isclose(y / x, np.log(2_004) / np.log(5), atol=1e-5)
    assert np.isclose(x * x + y * y, 1)


def test_a_text_without_words_has_no_direction() -> None:
    vectors = word_vectors([[], [1]], np.ones((2, 3), np.float32).__getitem__, 3)
    assert vectors.tolist()[0] == [0, 0, 0]
    assert word_vectors([], np.ones((2, 3), np.float32).__getitem__, 3).shape == (0, 3)


def test_texts_of_alike_words_are_near(minilm: SentenceTransformer) -> None:
    texts = ["the dog barks at night", "puppies howl in the evening", "interest rates on savings"]
    dog, puppy, bank = minilm.word_vectors(texts)
    assert dog @ puppy > dog @ bank + 0.1


def test_both_encoders_and_8_bits_agree(minilm: SentenceTransformer) -> None:
    texts = ["the dog barks at night", "", "昆布"]
    expected = minilm.word_vectors(texts)
    assert np.allclose(ColdEncoder.from_pretrained(minilm.name, offline=True).word_vectors(texts), expected)
    small = SentenceTransformer.from_pretrained(minilm.name, dtype="int8", offline=True)
    assert (small.word_vectors(texts) * expected).sum(axis=1)[[0, 2]].min() > 0.99
