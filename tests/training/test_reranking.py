"""Training a reranker: the model from an embedder, lists, and that it learns to rank."""

from __future__ import annotations

import pytest
import torch

from minisearch.errors import InputError
from minisearch.minilm import SentenceTransformer
from minisearch.training.reranking import ListData, ListRanking, cross_encoder_of
from minisearch.training.trainer import TrainingSettings, train
from tests.training.test_finetuning import some_pairs


def test_a_reranker_begins_with_the_encoders_layers(teacher: SentenceTransformer) -> None:
    model = cross_encoder_of(teacher, dropout=0.2, seed=1)
    ids = torch.randint(0, 1_000, (2, 9))
    assert torch.equal(model.model(ids), teacher.model(ids))
    assert (model.n_labels, model.activation, model.max_length) == (1, "identity", 512)
    assert model.model.config.hidden_dropout_prob == model.dropout.p == 0.2
    assert torch.equal(cross_encoder_of(teacher, seed=1).classifier.weight, model.classifier.weight)
    assert not torch.equal(cross_encoder_of(teacher, seed=2).classifier.weight, model.classifier.weight)
    assert len(model.score("a query", ["a text " * 100, "another"])) == 2


def data_of(teacher: SentenceTransformer, n: int = 12, **options: int) -> ListData:
    settings = {"batch_size": 6, "n_negatives": 3, "max_tokens": 24, "batch_tokens": 256} | options
    return ListData(some_pairs(n), cross_encoder_of(teacher), **settings)


def test_a_list_is_a_query_with_its_passage_and_some_negatives(teacher: SentenceTransformer) -> None:
    tokenizer = teacher.tokenizer.cut_at(24)
    expected = {}
    for pair in some_pairs(12):
        right, *wrong = tokenizer.pair_ids(pair.query, [pair.passage, *pair.negatives], kind="")
        expected[tuple(right[0])] = right[1], {tuple(ids) for ids, _ in wrong}
    batches = data_of(teacher).batches(0)
    assert sum(map(len, batches)) == 6
    for batch in batches:
        assert batch.pairs.ids.numel() <= 256
        rows = [
            tuple(ids[mask].tolist()) for ids, mask in zip(batch.pairs.ids, batch.pairs.mask, strict=True)
        ]
        for number in range(0, len(rows), 4):
            right, *wrong = rows[number : number + 4]
            segments, negatives = expected[right]
            assert batch.pairs.segments[number][: len(right)].tolist() == segments
            assert set(wrong) == negatives, "two negatives fill three places"


def test_the_loss_of_equal_scores_is_that_of_chance(teacher: SentenceTransformer) -> None:
    model = cross_encoder_of(teacher)
    torch.nn.init.zeros_(model.classifier.weight)
    (batch, *_) = data_of(teacher).batches(0)
    assert ListRanking(model)(batch)["ranking"].item() == pytest.approx(torch.tensor(4.0).log().item())


def test_gradients_reach_every_parameter_but_the_keys_bias(teacher: SentenceTransformer) -> None:
    model = cross_encoder_of(teacher).train()
    (batch, *_) = data_of(teacher).batches(0)
    ListRanking(model)(batch)["ranking"].backward()
    without = {name for name, one in model.named_parameters() if one.grad is None or not one.grad.any()}
    assert without <= {"classifier.bias"}, "a constant changes no order"


def test_the_batches_depend_on_the_step_alone(teacher: SentenceTransformer) -> None:
    data = data_of(teacher)
    first, again, later = (data.batches(step)[0].pairs.ids.tolist() for step in (3, 3, 4))
    assert first == again != later
    assert data.fingerprint == data_of(teacher).fingerprint != data_of(teacher, seed=1).fingerprint
    with pytest.raises(InputError, match="too few pairs of query and passage: 12, expected at least 64"):
        data_of(teacher, batch_size=64)


def test_training_ranks_the_right_passage_first(teacher: SentenceTransformer) -> None:
    pairs = some_pairs(8)
    model = cross_encoder_of(teacher, dropout=0.0)
    data = ListData(pairs, model, batch_size=8, n_negatives=2, max_tokens=32)
    train(model, data, ListRanking(model), TrainingSettings(learning_rate=3e-3, steps=60))
    right = sum(model.score(pair.query, [pair.passage, *pair.negatives]).argmax() == 0 for pair in pairs)
    assert right >= 6
