"""The real all-MiniLM-L6-v2 gives the vectors that it gives sentence-transformers, in float32."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from sentence_transformers import SentenceTransformer as Original

from minisearch.minilm import MiniLMConfig, SentenceTransformer
from tests.minilm.texts import varied_texts

MAX_DELTA = 2e-6
MIN_COSINE = 0.999999


@pytest.fixture(scope="module")
def original(weights: Path) -> Original:
    return Original(str(weights), device="cpu", local_files_only=True)


@pytest.fixture(scope="module")
def expected(original: Original) -> np.ndarray:
    return original.encode(varied_texts(), convert_to_numpy=True)


def assert_same(ours: np.ndarray, expected: np.ndarray) -> None:
    assert ours.dtype == np.float32
    assert ours.shape == expected.shape
    assert np.abs(ours - expected).max() <= MAX_DELTA
    cosines = (ours.astype(np.float64) * expected).sum(1)
    assert (cosines / np.linalg.norm(ours.astype(np.float64), axis=1) >= MIN_COSINE).all()


def test_encode_gives_the_originals_vectors(minilm: SentenceTransformer, expected: np.ndarray) -> None:
    assert_same(minilm.encode(varied_texts()), expected)


@pytest.mark.parametrize("seed", range(2))
def test_random_batches_with_random_padding_give_the_originals_vectors(
    minilm: SentenceTransformer, expected: np.ndarray, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    ids = minilm.tokenizer.ids(varied_texts())
    ours = np.empty_like(expected)
    order = generator.permutation(len(ids))
    while len(order):
        rows, order = np.split(order, [generator.integers(1, 12)])
        if not len(rows):
            break
        length = max(len(ids[row]) for row in rows) + generator.integers(0, 20)
        input_ids = torch.from_numpy(generator.integers(0, 30_522, (len(rows), length)))  # padding is noise
        mask = torch.zeros(len(rows), length, dtype=torch.int64)
        for position, row in enumerate(rows):
            input_ids[position, : len(ids[row])] = torch.tensor(ids[row])
            mask[position, : len(ids[row])] = 1
        with torch.inference_mode():
            ours[rows] = minilm(input_ids, mask).numpy()
    assert_same(ours, expected)


def test_the_vector_of_hello_world_is_the_published_one(minilm: SentenceTransformer) -> None:
    golden = [-0.034478, 0.03102, 0.00673, 0.02611, -0.039362]
    assert minilm.encode(["hello world"])[0, :5] == pytest.approx(golden, abs=1e-3)


def test_batch_size_does_not_change_a_vector(minilm: SentenceTransformer) -> None:
    texts = varied_texts()[8:32]
    assert (
        np.abs(minilm.encode(texts, batch_tokens=1) - minilm.encode(texts, batch_tokens=100_000)).max() < 1e-6
    )


def test_sts_benchmark_reaches_the_published_correlation(minilm: SentenceTransformer, shared: Path) -> None:
    with (shared / "stsb" / "stsb-en-test.csv").open(encoding="utf-8", newline="") as file:
        first, second, gold = zip(*csv.reader(file), strict=True)
    similarity = (minilm.encode(first) * minilm.encode(second)).sum(1)
    assert spearmanr(similarity, [float(score) for score in gold]).statistic == pytest.approx(
        0.8203, abs=5e-4
    )


@pytest.mark.parametrize("pooling", ["mean", "cls", "max"])
def test_pooling_without_padding_equals_pooling_with_it(pooling: str) -> None:
    model = SentenceTransformer(
        MiniLMConfig(vocab_size=50, num_hidden_layers=1, hidden_dropout_prob=0.0), pooling=pooling
    ).eval()
    ids = torch.randint(0, 50, (3, 9))
    padded = torch.cat([ids, torch.randint(0, 50, (3, 4))], dim=1)
    mask = torch.cat([torch.ones(3, 9), torch.zeros(3, 4)], dim=1)
    assert torch.allclose(model(ids), model(padded, mask), atol=1e-6)
