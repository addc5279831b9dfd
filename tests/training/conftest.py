"""A teacher small enough to be trained from in a test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from minisearch.minilm import MiniLMConfig, SentenceTransformer
from minisearch.minilm.tokenizer import MiniLMTokenizer

SIZES = {"hidden_size": 24, "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 48}


@pytest.fixture(scope="session")
def tokenizer() -> MiniLMTokenizer:
    return MiniLMTokenizer(max_length=32, offline=True)


@pytest.fixture
def teacher(tokenizer: MiniLMTokenizer) -> SentenceTransformer:
    """Random weights, large enough for attention that is not flat."""
    torch.manual_seed(0)
    model = SentenceTransformer(MiniLMConfig(**SIZES), max_length=32)
    model._tokenizer = tokenizer
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(("query.weight", "key.weight", "value.weight")):
                parameter.normal_(std=0.6)
    return model.eval()


@pytest.fixture
def one_thread() -> Iterator[None]:
    n = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n)


def some_texts(n: int) -> list[str]:
    """Different texts of different lengths."""
    words = ["the", "roof", "leaks", "when", "rain", "falls", "from", "west", "and", "nobody", "mends", "it"]
    return [" ".join([f"note {i}", *words[: 1 + i % len(words)]]) for i in range(n)]
