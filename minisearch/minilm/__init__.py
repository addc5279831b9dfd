"""Text to unit vectors: the MiniLM implementation, usable by itself.

>>> from minisearch.minilm import SentenceTransformer  # doctest: +SKIP
>>> SentenceTransformer.from_pretrained("all-MiniLM-L6-v2").encode(["hello world"])  # doctest: +SKIP

Names are imported on first touch, so that counting tokens does not cost the import of torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from minisearch.minilm.components import (
        AttentionOutput,
        Embeddings,
        SelfAttention,
        TransformerEncoder,
        TransformerLayer,
    )
    from minisearch.minilm.cross_encoder import CrossEncoder
    from minisearch.minilm.loader import LoadReport
    from minisearch.minilm.model import MiniLMModel, SentenceTransformer, load_pretrained_weights
    from minisearch.minilm.settings import MiniLMConfig
    from minisearch.minilm.tokenizer import MiniLMTokenizer

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
    "TransformerEncoder",
    "TransformerLayer",
    "load_pretrained_weights",
]

_HOMES = dict.fromkeys(__all__, "components") | {
    "CrossEncoder": "cross_encoder",
    "LoadReport": "loader",
    "MiniLMConfig": "settings",
    "MiniLMModel": "model",
    "MiniLMTokenizer": "tokenizer",
    "SentenceTransformer": "model",
    "load_pretrained_weights": "model",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
