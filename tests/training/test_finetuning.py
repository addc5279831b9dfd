"""Finetuning on pairs: the batch of a step, the loss, and that it brings queries and passages together."""

from __future__ import annotations

import math

import pytest
import torch
from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
from torch import Tensor

from minisearch.errors import InputError
from minisearch.minilm import SentenceTransformer
from minisearch.training.finetuning import PairData, PairRanking
from minisearch.training.losses import ranking_loss
from minisearch.training.pairs import Pair
from minisearch.training.trainer import TrainingSettings, train
from tests.training.conftest import some_texts


def some_pairs(n: int) -> list[Pair]:
    """Pairs of two a source, each with the passages of two other sources as negatives."""
    texts = some_texts(2 * n)
    return [
        Pair(
            query=texts[number],
            passage=texts[n + number],
            whole=f"{texts[number]} {texts[n + number]}",
            source=number // 2,
            negatives=tuple(
                f"{texts[other]} {texts[n + other]}" for other in ((number + 2) % n, (number + 3) % n)
            ),
        )
        for number in range(n)
    ]


def data_of(model: SentenceTransformer, n: int = 12, **options: int) -> PairData:
    return PairData(some_pairs(n), model, **({"batch_size": 4, "n_negatives": 1, "max_tokens": 32} | options))


def test_the_loss_is_that_of_sentence_transformers(teacher: SentenceTransformer) -> None:
    torch.manual_seed(0)
    queries, passages, negatives = torch.nn.functional.normalize(torch.randn(3, 5, 24), dim=2)
    theirs = MultipleNegativesRankingLoss(None)  # type: ignore[arg-type]
    expected = theirs.compute_loss_from_embeddings([queries, passages, negatives], torch.empty(0))
    scores = 20 * queries @ torch.cat([passages, negatives]).T
    assert ranking_loss(scores, torch.arange(5)).item() == pytest.approx(expected.item(), abs=1e-6)


def literal(scores: Tensor, right: list[int], excluded: list[list[bool]]) -> float:
    total = 0.0
    for row, place, left_out in zip(scores.tolist(), right, excluded, strict=True):
        total -= row[place] - math.log(
            sum(math.exp(score) for score, out in zip(row, left_out, strict=True) if not out)
        )
    return total / len(right)


def test_excluded_passages_do_not_count() -> None:
    torch.manual_seed(0)
    scores = torch.randn(4, 7, dtype=torch.float64) * 5
    excluded = torch.rand(4, 7) < 0.5
    right = torch.tensor([0, 3, 2, 6])
    excluded[torch.arange(4), right] = False
    found = ranking_loss(scores, right, excluded).item()
    assert found == pytest.approx(literal(scores, right.tolist(), excluded.tolist()), abs=1e-12)


def test_the_recipe_compares_each_query_with_every_passage_of_the_step(teacher: SentenceTransformer) -> None:
    pairs, data = some_pairs(12), data_of(teacher)
    (batch,) = data.batches(0)
    by_query = {pair.query: pair for pair in pairs}
    ids = [text for group in batch.groups for text in group.ids.tolist()]
    texts = [teacher.tokenizer.decode(ids[row]) for row in batch.order.tolist()]
    chosen = [by_query[text] for text in texts[:4]]
    assert texts[4:8] == [pair.passage for pair in chosen]
    assert all(negative in pair.negatives for negative, pair in zip(texts[8:], chosen, strict=True))
    own = {pair.whole: pair.source for pair in pairs}
    sources = [pair.source for pair in chosen] + [own[text] for text in texts[8:]]
    excluded = [
        [row != column and pair.source == source for column, source in enumerate(sources)]
        for row, pair in enumerate(chosen)
    ]
    assert batch.is_excluded.tolist() == excluded
    assert len(batch) == 4
    teacher._compute_in("float32")
    vectors = torch.from_numpy(teacher.encode(texts)).double()
    scores = 20 * vectors[:4] @ vectors[4:].T
    loss = PairRanking(teacher)(batch)["ranking"].item()
    assert loss == pytest.approx(literal(scores, [0, 1, 2, 3], excluded), abs=1e-4)


def test_passages_of_one_source_are_no_negatives_of_each_other(teacher: SentenceTransformer) -> None:
    (batch,) = data_of(teacher, batch_size=12, n_negatives=0).batches(0)
    assert batch.is_excluded.sum() == 12, "each query has one other passage of its source"
    assert not batch.is_excluded.diagonal().any()


def test_the_batches_depend_on_the_step_alone(teacher: SentenceTransformer) -> None:
    data = data_of(teacher)

    def rows(step: int) -> list[list[int]]:
        return [row for batch in data.batches(step) for group in batch.groups for row in group.ids.tolist()]

    assert rows(5) == rows(5) != rows(6)
    assert data.fingerprint == data_of(teacher).fingerprint
    for other in ({"batch_size": 5}, {"n_negatives": 2}, {"max_tokens": 9}, {"seed": 1}, {"n": 14}):
        assert data_of(teacher, **other).fingerprint != data.fingerprint


def test_texts_are_cut_and_have_prompts(teacher: SentenceTransformer) -> None:
    (batch,) = data_of(teacher, max_tokens=6).batches(0)
    assert max(group.ids.shape[1] for group in batch.groups) == 6


def test_too_few_pairs_are_an_error(teacher: SentenceTransformer) -> None:
    with pytest.raises(InputError, match=r"too few pairs of query and passage: 12, expected at least 64"):
        data_of(teacher, batch_size=64)


def test_training_raises_the_rank_of_the_right_passage(teacher: SentenceTransformer) -> None:
    data = data_of(teacher, 8, batch_size=8)
    trained = train(teacher, data, PairRanking(teacher), TrainingSettings(learning_rate=3e-3, steps=30))
    losses = trained.losses["ranking"]
    assert sum(losses[-5:]) < 0.5 * sum(losses[:5])
