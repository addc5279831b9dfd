"""The cross-encoder gives the scores that its checkpoint gives transformers and sentence-transformers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from sentence_transformers import CrossEncoder as Original
from torch import nn
from transformers import BertForSequenceClassification

from minisearch.errors import InputError, ModelError
from minisearch.minilm import CrossEncoder, SentenceTransformer
from minisearch.minilm.loader import to_hugging_face
from tests.minilm import checkpoints
from tests.minilm.texts import ODD, SCRIPTS

QUERY = "how do I retry a failed task"
TEXTS = [*ODD, *SCRIPTS, "Clear the task to run it again.", "salt " * 90, "bread and law " * 250, "Ocean."]
MINILM = {"hidden_size": 384, "num_attention_heads": 12, "intermediate_size": 1_536}
SMALL = {"hidden_size": 48, "num_attention_heads": 12, "intermediate_size": 192, "num_hidden_layers": 1}

Make = Callable[..., "Pair"]


class Pair(NamedTuple):
    """A checkpoint's folder, the model that was saved there, and ours made of it."""

    folder: Path
    bert: nn.Module
    ours: CrossEncoder


@pytest.fixture
def make(tmp_path: Path, weights: Path) -> Make:
    def make(activation: str | None = "linear.Identity", num_labels: int = 1, **config) -> Pair:
        said = {"sentence_transformers": {"activation_fn": f"torch.nn.modules.{activation}"}}
        config = SMALL | config | (said if activation else {})
        kind, tokenizer = BertForSequenceClassification, checkpoints.wordpiece(weights)
        bert = checkpoints.save(tmp_path, kind, tokenizer, num_labels=num_labels, **config)
        return Pair(
            tmp_path, bert, CrossEncoder.from_pretrained(str(tmp_path), device="cpu", dtype="float32")
        )

    return make


@pytest.mark.parametrize("is_training", [False, True])
@pytest.mark.parametrize(
    ("sizes", "n_labels"),
    [({"num_hidden_layers": 6, **MINILM}, 1), (SMALL, 1), (SMALL, 3)],
    ids=["6 layers", "small", "3 labels"],
)
def test_logits_and_gradients_equal_berts(make: Make, sizes: dict, n_labels: int, is_training: bool) -> None:
    _, bert, ours = make(num_labels=n_labels, **sizes)
    bert.train(is_training)
    ours.train(is_training)
    torch.manual_seed(1)
    input_ids, mask = checkpoints.noisy_batch([3, 40, 12, 25], 30_522)
    segments = (torch.rand(input_ids.shape) < 0.5).long()
    expected = bert(input_ids, attention_mask=mask, token_type_ids=segments).logits
    logits = ours(input_ids, mask, segments)
    assert (logits - expected).abs().max() <= 1e-5

    direction = torch.randn(4, n_labels)
    (expected * direction).sum().backward()
    (logits * direction).sum().backward()
    gradients = {to_hugging_face(name): parameter.grad for name, parameter in ours.named_parameters()}
    assert len(gradients) == len(list(bert.parameters()))
    for name, parameter in bert.named_parameters():
        theirs = parameter.grad
        assert (gradients[name] - theirs).norm() <= 1e-4 * theirs.norm() + 1e-5, name


@pytest.mark.parametrize(
    ("activation", "sizes"),
    [
        ("linear.Identity", {"num_hidden_layers": 6, **MINILM}),
        ("linear.Identity", {"num_hidden_layers": 12, **MINILM}),
        ("activation.Sigmoid", {"num_hidden_layers": 6}),
        (None, {"num_hidden_layers": 12}),
    ],
    ids=["6 layers", "12 layers", "sigmoid", "no activation named"],
)
def test_scores_equal_sentence_transformers(make: Make, activation: str | None, sizes: dict) -> None:
    folder, _, ours = make(activation, **sizes)
    original = Original(str(folder), device="cpu", local_files_only=True)
    expected = original.predict([(QUERY, text) for text in TEXTS], batch_size=4)
    scores = ours.score(QUERY, TEXTS)
    assert scores.dtype == np.float32
    assert np.ptp(expected) > 0.1
    assert np.abs(scores - expected).max() <= 1e-5


def test_a_long_query_and_a_long_text_are_cut_as_sentence_transformers_cuts_them(make: Make) -> None:
    folder, _, _ = make()
    original = Original(str(folder), device="cpu", local_files_only=True, max_length=40)
    ours = CrossEncoder.from_pretrained(str(folder), device="cpu", dtype="float32", max_length=40)
    pairs = [("a b c d e " * n, "one two three " * m) for n, m in [(1, 20), (20, 1), (20, 20), (3, 9)]]
    assert np.abs(ours.score_pairs(pairs) - original.predict(pairs)).max() <= 1e-5


def test_a_multilingual_tokenizers_pairs_are_scored_alike(tmp_path: Path) -> None:
    tokenizer, sizes = checkpoints.sentencepiece([QUERY, *TEXTS]), {"vocab_size": 1_000, **SMALL}
    checkpoints.save(tmp_path, BertForSequenceClassification, tokenizer, num_labels=1, **sizes)
    original = Original(str(tmp_path), device="cpu", local_files_only=True)
    ours = CrossEncoder.from_pretrained(str(tmp_path), device="cpu", dtype="float32")
    expected = original.predict([(QUERY, text) for text in TEXTS])
    assert np.ptp(expected) > 0.01
    assert np.abs(ours.score(QUERY, TEXTS) - expected).max() <= 1e-5


def test_score_pairs_takes_each_pair_by_itself(make: Make) -> None:
    folder, _, ours = make()
    pairs = [(TEXTS[row], TEXTS[-row]) for row in range(len(TEXTS))] + [(QUERY, "a"), (QUERY, "b")]
    expected = Original(str(folder), device="cpu", local_files_only=True).predict(pairs)
    assert np.abs(ours.score_pairs(pairs) - expected).max() <= 1e-5


def test_a_texts_score_does_not_depend_on_its_neighbours(make: Make) -> None:
    ours = make().ours
    order = np.random.default_rng(0).permutation(len(TEXTS))
    scores = ours.score(QUERY, TEXTS)
    assert np.abs(ours.score(QUERY, [TEXTS[row] for row in order]) - scores[order]).max() <= 1e-6
    assert np.abs([ours.score(QUERY, [text])[0] for text in TEXTS] - scores).max() <= 1e-6


def test_dropout_plays_no_part_in_scoring_while_training(make: Make) -> None:
    ours = make(hidden_dropout_prob=0.5).ours
    expected = ours.score(QUERY, TEXTS)
    assert (ours.train().score(QUERY, TEXTS) == expected).all()
    assert ours.training


@pytest.mark.parametrize("dtype", ["bfloat16", "int8"])
def test_fewer_bits_give_nearly_the_same_scores(make: Make, dtype: str) -> None:
    folder, _, ours = make(num_hidden_layers=2)
    fewer = CrossEncoder.from_pretrained(str(folder), device="cpu", dtype=dtype)
    expected = ours.score(QUERY, TEXTS)
    difference = np.abs(fewer.score(QUERY, TEXTS) - expected).max()
    assert 0 < difference < 0.05 * np.ptp(expected)


def test_no_texts_have_no_scores(make: Make) -> None:
    ours = make().ours
    for scores in (ours.score(QUERY, []), ours.score_pairs([])):
        assert (scores.shape, scores.dtype) == ((0,), np.float32)


def test_what_is_no_text_is_refused(make: Make) -> None:
    ours = make().ours
    with pytest.raises(InputError, match="expected one query, a text, got list"):
        ours.score([QUERY], TEXTS)
    with pytest.raises(InputError, match="expected a list of texts, got one str"):
        ours.score(QUERY, "one text")
    with pytest.raises(InputError, match="got int at position 1"):
        ours.score(QUERY, ["a", 7])
    for pair in ("ab", ("a", 7), ("a", "b", "c"), None):
        with pytest.raises(InputError, match=r"expected pairs of texts, got .* at position 1"):
            ours.score_pairs([("a", "b"), pair])


def test_several_labels_have_logits_but_no_score(make: Make) -> None:
    ours = make(num_labels=3).ours
    with pytest.raises(ModelError, match="has 3 labels, expected 1 to score with"):
        ours.score(QUERY, ["a"])
    assert ours(torch.tensor([[101, 7592, 102, 2088, 102]])).shape == (1, 3)


def test_an_embedder_is_no_cross_encoder_nor_the_other_way_round(make: Make, weights: Path) -> None:
    with pytest.raises(ModelError, match=r"is no cross-encoder.* Use SentenceTransformer"):
        CrossEncoder.from_pretrained(str(weights))
    with pytest.raises(ModelError, match=r"is a cross-encoder: use CrossEncoder"):
        SentenceTransformer.from_pretrained(str(make().folder))


def test_a_model_without_weights_says_how_to_get_them() -> None:
    with pytest.raises(ModelError, match=r"use CrossEncoder\.from_pretrained"):
        CrossEncoder().score(QUERY, ["a"])


@pytest.mark.parametrize("length", [0, 4, 513])
def test_a_length_that_makes_no_sense_is_refused(length: int) -> None:
    with pytest.raises(ModelError, match=f"max_length is {length}, expected 5 to 512"):
        CrossEncoder(max_length=length)
