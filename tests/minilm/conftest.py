"""A checkpoint small enough to break."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from minisearch.minilm import MiniLMConfig, MiniLMModel
from minisearch.minilm.loader import to_hugging_face


@pytest.fixture(scope="session")
def tiny_original(tmp_path_factory: pytest.TempPathFactory, weights: Path) -> Path:
    """A folder as sentence-transformers writes it: one layer of width 24, the real vocabulary."""
    sizes = {"hidden_size": 24, "num_hidden_layers": 1, "num_attention_heads": 12, "intermediate_size": 48}
    folder = tmp_path_factory.mktemp("tiny")
    (folder / "1_Pooling").mkdir()
    config = {"model_type": "bert", "architectures": ["BertModel"], "hidden_act": "gelu", **sizes}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 32}')
    pooling = {"word_embedding_dimension": 24, "pooling_mode_mean_tokens": True}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    for name in ("modules.json", "tokenizer.json"):
        shutil.copy(weights / name, folder)
    torch.manual_seed(0)
    model = MiniLMModel(MiniLMConfig(**sizes))
    state = {to_hugging_face(name): tensor for name, tensor in model.state_dict().items()}
    state["embeddings.position_ids"] = torch.arange(512)[None]
    state["pooler.dense.weight"], state["pooler.dense.bias"] = torch.zeros(24, 24), torch.zeros(24)
    save_file(state, folder / "model.safetensors")
    return folder


@pytest.fixture
def tiny(tmp_path: Path, tiny_original: Path) -> Path:
    """A copy of it that a test may break."""
    return shutil.copytree(tiny_original, tmp_path / "tiny")
