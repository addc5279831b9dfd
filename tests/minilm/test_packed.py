"""The fast forward gives what the readable modules give, on every path that it may take."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from minisearch.minilm import MiniLMConfig, MiniLMModel, SentenceTransformer
from minisearch.minilm import packed as packed_module
from minisearch.minilm.packed import Batch, Packed, Scratch
from minisearch.minilm.transformer import quantize

LENGTHS = (1, 1, 2, 31, 32, 32, 33, 64, 100, 512)


def random_model(peak: float = 1.0, **sizes: int) -> MiniLMModel:
    """Random weights; a peak above 1 makes attention look at single tokens, as trained weights do."""
    torch.manual_seed(0)
    model = MiniLMModel(MiniLMConfig(**{"vocab_size": 200, "num_hidden_layers": 2, **sizes})).eval()
    for layer in model.encoder.layers:
        layer.attention.query.weight.data *= peak
        layer.attention.key.weight.data *= peak
    return model


def random_texts(lengths: tuple[int, ...] = LENGTHS) -> tuple[list[list[int]], list[list[int]]]:
    generator = np.random.default_rng(1)
    ids = [generator.integers(0, 200, length).tolist() for length in lengths]
    return ids, [generator.integers(0, 2, length).tolist() for length in lengths]


@torch.inference_mode()
def by_the_readable_modules(model: MiniLMModel, ids: list[list[int]], segments: list[list[int]]) -> Tensor:
    """Each text by itself, without padding; (N, D)."""
    texts = zip(ids, segments, strict=True)
    return torch.cat(
        [model(torch.tensor([text]), token_type_ids=torch.tensor([segment]))[0] for text, segment in texts]
    )


@pytest.fixture(params=["oneDNN", "plain"])
def linear(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "plain":  # a torch without oneDNN
        monkeypatch.setattr(packed_module, "has_onednn", lambda device, dtype: False)


@pytest.fixture(params=["by length", "padded"])
def attention(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "padded":  # what a GPU takes
        monkeypatch.setattr(packed_module, "_attend_by_length", packed_module._attend_padded)


SIZES = [
    {},
    {"num_hidden_layers": 12},
    {"hidden_size": 256, "num_attention_heads": 8, "intermediate_size": 1024},
    {"hidden_size": 24, "num_attention_heads": 4, "intermediate_size": 40},
]


@pytest.mark.usefixtures("linear", "attention")
@pytest.mark.parametrize("peak", [1.0, 3.0])
@pytest.mark.parametrize("sizes", SIZES, ids=["384 wide", "12 layers", "8 heads", "24 wide"])
@torch.inference_mode()
def test_float32_equals_the_readable_modules(sizes: dict[str, int], peak: float) -> None:
    model = random_model(peak, **sizes)
    ids, segments = random_texts()
    ours = Packed(model, torch.float32)(Batch.of(ids, segments), Scratch())[: sum(LENGTHS)]
    assert (ours - by_the_readable_modules(model, ids, segments)).abs().max() <= 1e-5


@pytest.mark.usefixtures("linear", "attention")
@torch.inference_mode()
def test_bfloat16_is_near_the_readable_modules() -> None:
    model = random_model(3.0)
    ids, segments = random_texts()
    ours = Packed(model, torch.bfloat16)(Batch.of(ids, segments), Scratch())[: sum(LENGTHS)]
    expected = by_the_readable_modules(model, ids, segments)
    assert torch.nn.functional.cosine_similarity(ours.float(), expected).min() > 0.999


@pytest.mark.usefixtures("linear")
@torch.inference_mode()
def test_int8_weights_give_what_the_readable_modules_give_with_the_same_weights() -> None:
    model = random_model(5.0)
    quantize(model)
    ids, segments = random_texts()
    ours = Packed(model, torch.float32)(Batch.of(ids, segments), Scratch())[: sum(LENGTHS)]
    assert (ours - by_the_readable_modules(model, ids, segments)).abs().max() <= 1e-5


@torch.inference_mode()
def test_scratch_memory_carries_nothing_from_one_batch_to_the_next() -> None:
    packed, scratch = Packed(random_model(), torch.float32), Scratch()
    ids, segments = random_texts()
    for name in ("packed", "scores", "group", "context"):
        scratch.empty(name, 30_000_000, like=torch.empty(0)).fill_(torch.nan)
    first = packed(Batch.of(ids, segments), scratch)
    for lengths in [(7,), (40, 41), LENGTHS]:
        again = packed(Batch.of(*random_texts(lengths)), scratch)
    assert torch.isfinite(first).all()
    assert torch.equal(first, again)


@torch.inference_mode()
def test_scores_too_large_for_an_exponential_do_not_overflow() -> None:
    packed = Packed(random_model(1_000.0), torch.bfloat16)
    assert torch.isfinite(packed(Batch.of(*random_texts()), Scratch())).all()


@torch.inference_mode()
def test_cosine_of_real_vectors_in_bfloat16_is_above_what_is_promised(minilm: SentenceTransformer) -> None:
    texts = [" ".join(["retry", "the", "failed", "task"] * n) + f" number {n}" for n in range(1, 60, 3)]
    ids = sorted(minilm.tokenizer.ids(texts), key=len)
    vectors = []
    for dtype in (torch.float32, torch.bfloat16):
        tokens = Packed(minilm.model, dtype)(Batch.of(ids), Scratch()).float()[: sum(map(len, ids))]
        vectors.append(torch.stack([text.mean(0) for text in tokens.split([len(text) for text in ids])]))
    assert torch.nn.functional.cosine_similarity(*vectors).min() >= 0.9998
