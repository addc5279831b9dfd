"""Every shape of MiniLM equals `transformers`: random weights, saved as its checkpoint and loaded by us."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer as Original
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the usual name
from torch.nn.functional import normalize
from transformers import BertModel

from minisearch.minilm import MiniLMConfig, SentenceTransformer
from minisearch.minilm.loader import to_hugging_face
from minisearch.minilm.transformer import SelfAttention, plain_attention
from tests.minilm import checkpoints
from tests.minilm.texts import ODD, SCRIPTS

TEXTS = [*ODD, *SCRIPTS, "retry the failed task", "the ocean sleeps " * 30, "bread and law " * 250]
LONG = [1, 2, 31, 200, 512]  # lengths, in tokens
SHORT = [1, 9, 24, 17]
TWO = [17, 512]

MINILM = {"hidden_size": 384, "num_attention_heads": 12, "intermediate_size": 1_536}
SMALL = {"hidden_size": 48, "num_attention_heads": 12, "intermediate_size": 192}
MULTILINGUAL = {"vocab_size": checkpoints.MULTILINGUAL_VOCABULARY}
VARIANTS = {
    "3 layers": {"num_hidden_layers": 3, **MINILM},
    "6 layers": {"num_hidden_layers": 6, **MINILM},
    "12 layers": {"num_hidden_layers": 12, **MINILM},
    "multilingual": MULTILINGUAL | {"num_hidden_layers": 2, **SMALL},
    # Fewer words than the real one: with all of them, weights and gradients would take 3 GB.
    "multilingual, 12 layers": {"vocab_size": 40_000, "num_hidden_layers": 12, **MINILM},
    "width 256": {
        "hidden_size": 256,
        "num_attention_heads": 8,
        "intermediate_size": 1_024,
        "num_hidden_layers": 4,
    },
}


class Variant(NamedTuple):
    """A checkpoint's folder, the model that was saved there, and ours made of it."""

    folder: Path
    bert: nn.Module
    ours: SentenceTransformer

    def batch(self, lengths: list[int]) -> tuple[Tensor, Tensor]:
        return checkpoints.noisy_batch(lengths, self.bert.config.vocab_size)


@pytest.fixture(scope="module", params=VARIANTS)
def variant(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, weights: Path
) -> Iterator[Variant]:
    folder = tmp_path_factory.mktemp("variant")
    is_multilingual = request.param.startswith("multilingual")
    tokenizer = checkpoints.sentencepiece(TEXTS) if is_multilingual else checkpoints.wordpiece(weights)
    bert = checkpoints.save(folder, BertModel, tokenizer, **VARIANTS[request.param])
    ours = SentenceTransformer.from_pretrained(str(folder), device="cpu", dtype="float32")
    yield Variant(folder, bert, ours)
    shutil.rmtree(folder)  # pytest would keep hundreds of megabytes


def pooled(tokens: Tensor, mask: Tensor, pooling: str) -> Tensor:
    """Unit vectors, one text at a time, from the tokens that are no padding."""
    pool = {"mean": lambda x: x.mean(0), "cls": lambda x: x[0], "max": lambda x: x.amax(0)}[pooling]
    kept = [pool(text[row.bool()]) for text, row in zip(tokens, mask, strict=True)]
    return normalize(torch.stack(kept), dim=1)


@pytest.mark.parametrize(("lengths", "is_training"), [(LONG, False), (TWO, True)])
def test_token_and_sentence_vectors_equal_berts(
    variant: Variant, lengths: list[int], is_training: bool
) -> None:
    torch.manual_seed(1)
    input_ids, mask = variant.batch(lengths)
    bert, ours = variant.bert.train(is_training), variant.ours.train(is_training)
    with torch.no_grad():
        expected = bert(input_ids, attention_mask=mask).last_hidden_state
        tokens, vectors = ours.model(input_ids, mask), ours(input_ids, mask)
    assert (tokens - expected)[mask.bool()].abs().max() <= 1e-5
    assert (vectors - pooled(expected, mask, "mean")).abs().max() <= 2e-6


@pytest.mark.parametrize("pooling", ["mean", "cls", "max"])
def test_each_pooling_equals_berts(variant: Variant, monkeypatch: pytest.MonkeyPatch, pooling: str) -> None:
    torch.manual_seed(3)
    input_ids, mask = variant.batch(SHORT)
    monkeypatch.setattr(variant.ours, "settings", replace(variant.ours.settings, pooling=pooling))
    with torch.no_grad():
        expected = variant.bert(input_ids, attention_mask=mask).last_hidden_state
        vectors = variant.ours(input_ids, mask)
    assert (vectors - pooled(expected, mask, pooling)).abs().max() <= 2e-6


def gradients(model: nn.Module, vectors: Tensor, direction: Tensor) -> dict[str, Tensor]:
    """The gradient of each parameter; of matrices the rows that are not zero, as tables are large."""
    model.zero_grad()
    (vectors * direction).sum().backward()
    found = {
        name: parameter.grad for name, parameter in model.named_parameters() if parameter.grad is not None
    }
    model.zero_grad()
    return {name: grad[grad.any(1)] if grad.ndim == 2 else grad for name, grad in found.items()}


@pytest.mark.parametrize("is_training", [False, True])
def test_gradients_equal_berts(variant: Variant, is_training: bool) -> None:
    torch.manual_seed(2)
    input_ids, mask = variant.batch(SHORT)
    bert, ours = variant.bert.train(is_training), variant.ours.train(is_training)
    # A random direction: the sum of squares of a LayerNorm's output hardly has a gradient.
    direction = torch.randn(len(SHORT), ours.dimension)
    expected = pooled(bert(input_ids, attention_mask=mask).last_hidden_state, mask, "mean")
    theirs = gradients(bert, expected, direction)
    found = gradients(ours.model, ours(input_ids, mask), direction)
    assert {to_hugging_face(name) for name in found} == theirs.keys()
    for name, ours_gradient in found.items():
        gradient = theirs[to_hugging_face(name)]
        assert (ours_gradient - gradient).norm() <= 1e-4 * gradient.norm() + 1e-5, name


def test_texts_give_the_vectors_that_they_give_sentence_transformers(variant: Variant) -> None:
    original = Original(str(variant.folder), device="cpu", local_files_only=True)
    expected = original.encode(TEXTS, normalize_embeddings=True, batch_size=4)
    assert variant.ours.max_length == original.max_seq_length
    assert np.abs(variant.ours.encode(TEXTS) - expected).max() <= 2e-6


@pytest.mark.parametrize("is_masked", [True, False])
def test_attention_step_by_step_equals_torchs_own_forwards_and_backwards(is_masked: bool) -> None:
    mask = torch.arange(7) < torch.tensor([[7], [3]])  # (B, T)
    results = []
    for attend in (plain_attention, F.scaled_dot_product_attention):
        torch.manual_seed(0)
        q, k, v = (torch.randn(2, 3, 7, 4, dtype=torch.float64, requires_grad=True) for _ in range(3))
        found = attend(q, k, v, attn_mask=mask[:, None, None, :] if is_masked else None, dropout_p=0.0)
        (found * torch.randn(2, 3, 7, 4, dtype=torch.float64)).sum().backward()
        results.append([found, q.grad, k.grad, v.grad])
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)


def test_attention_has_nearly_the_same_gradients_in_bfloat16() -> None:
    torch.manual_seed(0)
    attention = SelfAttention(MiniLMConfig(hidden_size=24, num_attention_heads=4)).eval()
    x, mask = torch.randn(2, 9, 24), torch.arange(9) < torch.tensor([[9], [5]])
    gradients = []
    for is_half in (False, True):
        attention.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=is_half):
            attention(x, mask).float().square().mean().backward()
        gradients.append(torch.cat([one.grad.flatten() for one in attention.parameters()]))
    assert F.cosine_similarity(*gradients, dim=0) > 0.999
