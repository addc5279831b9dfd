"""A teacher small enough to be trained from in a test."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from minisearch.minilm import MiniLMConfig, SentenceTransformer
from minisearch.minilm.saving import save_pretrained
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


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Threads that share small batches of a busy machine wait for one another most of the time."""
    n = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n)


@pytest.fixture
def small_files() -> Iterator[Callable[[], None]]:
    """From the call on, no file can grow beyond 100 kB, as on a disk that is almost full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def some_texts(n: int) -> list[str]:
    """Different texts of different lengths."""
    words = ["the", "roof", "leaks", "when", "rain", "falls", "from", "west", "and", "nobody", "mends", "it"]
    return [" ".join([f"note {i}", *words[: 1 + i % len(words)]]) for i in range(n)]


@pytest.fixture
def teacher_folder(teacher: SentenceTransformer, tmp_path: Path) -> Path:
    """The teacher as a checkpoint."""
    save_pretrained(teacher, tmp_path / "teacher")
    return tmp_path / "teacher"
