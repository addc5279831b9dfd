"""What a student begins with."""

from __future__ import annotations

import pytest
import torch

from minisearch.errors import InputError, ModelError
from minisearch.minilm import SentenceTransformer
from minisearch.training.students import (
    Preset,
    alternate_layers,
    assistant_of,
    imitated_layers,
    needs_assistant,
    preset_of,
    student_of,
)


def test_a_student_of_the_teachers_width_begins_with_alternate_layers(teacher: SentenceTransformer) -> None:
    student = student_of(teacher, layers=2)
    ours, theirs = student.model.state_dict(), teacher.model.state_dict()
    for name, tensor in ours.items():
        name = name.replace("layers.1.", "layers.3.")
        assert torch.equal(tensor, theirs[name]), name
    assert student.max_length == teacher.max_length


@pytest.mark.parametrize(("n_teacher", "n_student"), [(6, 6), (6, 1), (12, 3), (4, 7), (6, 4)])
def test_the_layers_are_spread_from_the_first_to_the_last(n_teacher: int, n_student: int) -> None:
    layers = alternate_layers(n_teacher, n_student)
    assert len(layers) == n_student
    assert layers == sorted(layers)
    assert layers[-1] == n_teacher - 1
    assert n_student == 1 or layers[0] == 0
    imitated = imitated_layers(n_teacher, n_student)
    assert imitated[-1] == n_teacher - 1
    assert all(own <= other for own, other in zip(layers, imitated, strict=True))
    assert n_student != n_teacher or imitated == layers


def test_a_student_of_another_width_begins_with_the_random_weights_of_its_seed(
    teacher: SentenceTransformer,
) -> None:
    students = [student_of(teacher, hidden=12, seed=seed) for seed in (0, 0, 1)]
    weights = [student.model.embeddings.token.weight for student in students]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    assert weights[0].std().item() == pytest.approx(0.02, rel=0.05)
    assert students[0].settings.config.intermediate_size == 24


def test_only_a_student_half_as_deep_and_half_as_wide_needs_an_assistant(
    teacher: SentenceTransformer,
) -> None:
    needed = {
        (layers, hidden): needs_assistant(student_of(teacher, layers=layers, hidden=hidden), teacher)
        for layers in (2, 3)
        for hidden in (12, 16, 24)
    }
    assert [sizes for sizes, is_needed in needed.items() if is_needed] == [(2, 12)]
    config = assistant_of(teacher, student_of(teacher, layers=2, hidden=12)).settings.config
    assert (config.num_hidden_layers, config.hidden_size) == (4, 12)


def test_impossible_sizes_are_errors(teacher: SentenceTransformer) -> None:
    with pytest.raises(
        InputError, match="width is 10, expected a multiple of 4, its number of heads, which is"
    ):
        student_of(teacher, hidden=10)
    with pytest.raises(ModelError, match="num_hidden_layers is -1"):
        student_of(teacher, layers=-1)


def test_the_presets_are_the_papers_except_for_copied_layers() -> None:
    paper = Preset(learning_rate=3e-4, batch_size=256, dropout=0.1)
    assert preset_of(None, layers=3, hidden=384, is_copied=False) == paper
    assert preset_of("paper", layers=6, hidden=384, is_copied=True) == paper
    assert preset_of(None, layers=6, hidden=768, is_copied=False) == Preset(5e-4, 1_024, 0.1)
    copied = preset_of(None, layers=3, hidden=384, is_copied=True)
    assert copied == preset_of("copied", layers=6, hidden=768, is_copied=False) != paper
