"""The search models of the catalog give the vectors that their model cards describe, on random weights.

Each one is a made-up folder as its repository holds it, found by name, loaded by both encoders and compared
with `BertModel`, the prompts and the pooling written out here.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize
from transformers import BertModel, BertTokenizerFast

from minisearch.minilm import SentenceTransformer
from minisearch.minilm.catalog import CATALOG
from minisearch.minilm.hub import locate
from minisearch.minilm.numpy_encoder import NumpyEncoder
from tests.minilm import checkpoints

TEXTS = ["retry the failed task", "", "Äpfel und 東京", "bread and law " * 300]
INSTRUCTION = "Represent this sentence for searching relevant passages: "


class Card(NamedTuple):
    """What a model card says, and which prompts the repository's own files have."""

    n_layers: int
    pooling: str
    query: str = ""
    passage: str = ""
    own_prompts: dict[str, str] | None = None
    dtype: torch.dtype = torch.float32


CARDS = {
    "gte-small": Card(12, "mean", dtype=torch.float16),
    "bge-small-en-v1.5": Card(12, "cls", INSTRUCTION, own_prompts={}),
    "e5-small-v2": Card(12, "mean", "query: ", "passage: "),
    "snowflake-arctic-embed-xs": Card(6, "cls", INSTRUCTION, own_prompts={"query": INSTRUCTION}),
    "snowflake-arctic-embed-s": Card(12, "cls", INSTRUCTION, own_prompts={"query": INSTRUCTION}),
}


@pytest.fixture(scope="module", params=CARDS)
def name(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, weights: Path
) -> Iterator[str]:
    """The name of a model whose folder is in $LLM_MODELS_PATH, with the hash that the catalog expects."""
    card, folders = CARDS[request.param], tmp_path_factory.mktemp("models")
    folder = folders / request.param
    bert = checkpoints.save(
        folder,
        BertModel,
        checkpoints.wordpiece(weights),
        num_hidden_layers=card.n_layers,
        hidden_size=384,
        num_attention_heads=12,
        intermediate_size=1_536,
    )
    bert.to(card.dtype).save_pretrained(folder)
    shutil.copy(weights / "modules.json", folder)
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 512, "do_lower_case": false}')
    pooling = {
        "word_embedding_dimension": 384,
        "pooling_mode_cls_token": card.pooling == "cls",
        "pooling_mode_mean_tokens": card.pooling == "mean",
    }
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    if card.own_prompts is not None:
        (folder / "config_sentence_transformers.json").write_text(json.dumps({"prompts": card.own_prompts}))
    digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LLM_MODELS_PATH", str(folders))
        patch.setitem(CATALOG, request.param, replace(CATALOG[request.param], sha256=digest))
        yield request.param
    shutil.rmtree(folders)  # pytest would keep hundreds of megabytes


def expected(name: str, prompt: str) -> np.ndarray:
    """Unit vectors of the texts: `BertModel` in float32, one text at a time."""
    folder = locate(name).folder
    tokenizer = BertTokenizerFast.from_pretrained(str(folder), local_files_only=True)
    bert = BertModel.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    vectors = []
    for text in TEXTS:
        batch = tokenizer(prompt + text, truncation=True, max_length=512, return_tensors="pt")
        with torch.no_grad():
            tokens = bert(**batch).last_hidden_state[0]  # (T, D)
        vectors.append(tokens[0] if CARDS[name].pooling == "cls" else tokens.mean(0))
    return normalize(torch.stack(vectors), dim=1).numpy()


def test_queries_and_passages_get_the_vectors_of_the_model_card(name: str) -> None:
    queries, passages = expected(name, CARDS[name].query), expected(name, CARDS[name].passage)
    for encoder in (
        SentenceTransformer.from_pretrained(name, device="cpu", dtype="float32"),
        NumpyEncoder.from_pretrained(name),
    ):
        assert encoder.name == name
        assert encoder.settings.max_length == 512
        assert encoder.settings.config.num_hidden_layers == CARDS[name].n_layers
        assert np.abs(encoder.encode_query(TEXTS) - queries).max() <= 1e-5
        assert np.abs(encoder.encode_document(TEXTS) - passages).max() <= 1e-5


def test_a_folder_given_by_its_path_has_only_its_own_prompts(name: str) -> None:
    own = SentenceTransformer.from_pretrained(str(locate(name).folder), device="cpu").prompts
    assert own == (CARDS[name].own_prompts or {})
