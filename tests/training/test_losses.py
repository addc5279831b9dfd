"""The losses are the papers' formulas: compared with a slow transcription in float64."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from minisearch.errors import InputError
from minisearch.minilm.transformer import Projections
from minisearch.training.losses import (
    attention_loss,
    cosine_loss,
    hidden_loss,
    relation_loss,
    similarity_loss,
    value_loss,
)

LENGTHS = [5, 2, 7]
MASK = torch.arange(max(LENGTHS)) < torch.tensor(LENGTHS)[:, None]


def projections(n_heads: int, width: int, seed: int) -> Projections:
    """Random queries, keys and values; those of padding are large, so that a lost mask would show."""
    generator = torch.Generator().manual_seed(seed)
    shape = (len(LENGTHS), n_heads, max(LENGTHS), width)
    made = [torch.randn(shape, generator=generator) for _ in range(3)]
    return Projections(*(torch.where(MASK[:, None, :, None], one, 50 * one) for one in made))


# --- the formulas, one number at a time ------------------------------------------------------------------


def softmax(scores: list[float]) -> list[float]:
    powers = [math.exp(score - max(scores)) for score in scores]
    return [power / sum(powers) for power in powers]


def relation(a: np.ndarray, b: np.ndarray) -> list[list[float]]:
    """softmax(A Bᵀ / √d) of one head of one text, a row for each position."""
    d = a.shape[1]
    return [softmax([float(np.dot(row, other)) / math.sqrt(d) for other in b]) for row in a]


def divergence(teacher: list[list[float]], student: list[list[float]]) -> float:
    """The sum over positions t of KL(teacher_t ‖ student_t)."""
    total = 0.0
    for of_teacher, of_student in zip(teacher, student, strict=True):
        for p, q in zip(of_teacher, of_student, strict=True):
            total += p * math.log(p / q)
    return total


def expected(student: tuple[torch.Tensor, torch.Tensor], teacher: tuple[torch.Tensor, torch.Tensor]) -> float:
    """1 / (A_h |x|) Σ_a Σ_t KL(teacher ‖ student), the mean over texts."""
    of_texts = []
    n_heads = student[0].shape[1]
    for text, length in enumerate(LENGTHS):
        total = 0.0
        for head in range(n_heads):
            ours, theirs = (
                relation(*(one[text, head, :length].double().numpy() for one in pair))
                for pair in (student, teacher)
            )
            total += divergence(theirs, ours)
        of_texts.append(total / (n_heads * length))
    return sum(of_texts) / len(of_texts)


def heads_again(heads: torch.Tensor, n: int) -> torch.Tensor:
    """Heads (B, H, T, d) joined and cut into n others, head by head."""
    joined = torch.cat([heads[:, head] for head in range(heads.shape[1])], dim=-1)
    width = joined.shape[-1] // n
    return torch.stack([joined[..., i * width : (i + 1) * width] for i in range(n)], dim=1)


# --- tests ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [4, 6])
def test_the_attention_loss_is_that_of_section_3_1(width: int) -> None:
    student, teacher = projections(3, width, seed=1), projections(3, 4, seed=2)
    found = attention_loss(student, teacher, MASK).item()
    assert found == pytest.approx(
        expected((student.query, student.key), (teacher.query, teacher.key)), abs=1e-6
    )


@pytest.mark.parametrize("width", [4, 6])
def test_the_value_loss_is_that_of_section_3_2(width: int) -> None:
    student, teacher = projections(3, width, seed=1), projections(3, 4, seed=2)
    found = value_loss(student, teacher, MASK).item()
    assert found == pytest.approx(
        expected((student.value, student.value), (teacher.value, teacher.value)), abs=1e-6
    )


def test_the_relation_loss_is_that_of_minilm_2() -> None:
    student, teacher = projections(2, 6, seed=1), projections(4, 6, seed=2)
    wanted = 0.0
    for ours, theirs in zip(student, teacher, strict=True):
        ours, theirs = heads_again(ours, 3), heads_again(theirs, 3)
        wanted += expected((ours, ours), (theirs, theirs))
    assert relation_loss(student, teacher, MASK, n_relation_heads=3).item() == pytest.approx(wanted, abs=1e-6)


def test_padding_changes_no_loss() -> None:
    student, teacher = projections(3, 4, seed=1), projections(3, 4, seed=2)
    for loss in (attention_loss, value_loss):
        alone = []
        for text, length in enumerate(LENGTHS):
            ours, theirs = (
                Projections(*(part[text : text + 1, :, :length] for part in one))
                for one in (student, teacher)
            )
            alone.append(loss(ours, theirs, MASK[text : text + 1, :length]).item())
        assert loss(student, teacher, MASK).item() == pytest.approx(np.mean(alone), abs=1e-6)


def test_the_similarity_loss_compares_each_text_with_the_others_of_the_batch() -> None:
    generator = torch.Generator().manual_seed(0)
    student, teacher = (
        torch.nn.functional.normalize(torch.randn(5, width, generator=generator)) for width in (4, 9)
    )
    wanted = []
    for i in range(5):
        ours, theirs = (
            softmax([float(one[i].double() @ one[j].double()) / 0.05 for j in range(5) if j != i])
            for one in (student, teacher)
        )
        wanted.append(divergence([theirs], [ours]))
    assert similarity_loss(student, teacher).item() == pytest.approx(np.mean(wanted), abs=1e-6)
    assert similarity_loss(student[:1], teacher[:1]).item() == 0, "one text has no others"


def test_the_hidden_loss_is_the_squared_difference_by_the_teachers_squares() -> None:
    generator = torch.Generator().manual_seed(0)
    student, teacher = (torch.randn(3, max(LENGTHS), 4, generator=generator) for _ in range(2))
    wanted = []
    for text, length in enumerate(LENGTHS):
        ours, theirs = (one[text, :length].double().numpy() for one in (student, teacher))
        wanted.append(np.square(ours - theirs).sum() / np.square(theirs).sum())
    assert hidden_loss(student, teacher, MASK).item() == pytest.approx(np.mean(wanted), abs=1e-6)
    assert hidden_loss(teacher, teacher, MASK).item() == 0
    with pytest.raises(InputError, match="3 wide, expected the teacher's width, 4"):
        hidden_loss(student[..., :3], teacher, MASK)


def test_the_cosine_loss_is_the_mean_distance() -> None:
    student, teacher = torch.tensor([[1.0, 0.0], [0.6, 0.8]]), torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    assert cosine_loss(student, teacher).item() == pytest.approx(0.2)


def test_equal_projections_have_no_loss() -> None:
    one = projections(3, 4, seed=1)
    assert attention_loss(one, one, MASK).item() == 0
    assert value_loss(one, one, MASK).item() == 0
    assert relation_loss(one, one, MASK, n_relation_heads=2).item() == 0


def test_differing_numbers_of_heads_are_an_error_that_names_both() -> None:
    student, teacher = projections(2, 6, seed=1), projections(3, 4, seed=2)
    for loss in (attention_loss, value_loss):
        with pytest.raises(InputError, match="the student has 2 heads and the teacher 3"):
            loss(student, teacher, MASK)


def test_relation_heads_that_do_not_divide_a_width_are_an_error() -> None:
    with pytest.raises(InputError, match=r"relation heads is 5, expected a divisor of both .* one is 12"):
        relation_loss(projections(2, 6, seed=1), projections(3, 4, seed=2), MASK, n_relation_heads=5)


def test_vectors_of_differing_widths_have_no_cosine() -> None:
    with pytest.raises(InputError, match="3 wide, expected the teacher's width, 4"):
        cosine_loss(torch.ones(2, 3), torch.ones(2, 4))
