"""MiniLM: texts to unit vectors (SentenceTransformer), pairs of texts to scores (CrossEncoder).

>>> from minisearch.minilm import SentenceTransformer  # doctest: +SKIP
>>> SentenceTransformer.from_pretrained("all-MiniLM-L6-v2").encode(["hello world"])  # doctest: +SKIP

It imports only the modules that all parts of minisearch share.  Names are imported on first use, so that
counting tokens does not import torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from minisearch.minilm.loader import LoadReport
    from minisearch.minilm.models import CrossEncoder, SentenceTransformer, load_pretrained_weights
    from minisearch.minilm.settings import MiniLMConfig
    from minisearch.minilm.static import StaticEncoder
    from minisearch.minilm.tokenizer import MiniLMTokenizer
    from minisearch.minilm.transformer import (
        AttentionOutput,
        Embeddings,
        MiniLMModel,
        SelfAttention,
        TransformerEncoder,
        TransformerLayer,
    )

__all__ = [
    "AttentionOutput",
    "CrossEncoder",
    "Embeddings",
    "LoadReport",
    "MiniLMConfig",
    "MiniLMModel",
    "MiniLMTokenizer",
    "SelfAttention",
    "SentenceTransformer",
    "StaticEncoder",
    "TransformerEncoder",
    "TransformerLayer",
    "load_pretrained_weights",
]

_MODULES = dict.fromkeys(__all__, "transformer") | {
    "CrossEncoder": "models",
    "LoadReport": "loader",
    "MiniLMConfig": "settings",
    "MiniLMTokenizer": "tokenizer",
    "SentenceTransformer": "models",
    "StaticEncoder": "static",
    "load_pretrained_weights": "models",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
