"""Students: a teacher and the wanted size come in, a model that is ready to be trained comes out.

A student of the teacher's width begins with alternate layers of the teacher; one of another width begins with
random weights, as BERT does.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal, get_args

import torch
from torch import nn

from minisearch.errors import InputError
from minisearch.minilm.models import SentenceTransformer

INITIAL_STD = 0.02  # of BERT's random weights (Devlin et al. 2018)


@dataclass(frozen=True, slots=True)
class Preset:
    """The highest learning rate, the number of texts in a step, and the student's dropout."""

    learning_rate: float
    batch_size: int
    dropout: float


PresetName = Literal["copied", "paper"]
PRESETS: tuple[PresetName, ...] = get_args(PresetName)


def preset_of(name: PresetName | None, *, layers: int, hidden: int, is_copied: bool) -> Preset:
    """The preset of this name for a student of a size; None means "copied" for a copied one, else "paper".

    "paper" is for students that begin with random weights and see millions of texts: section 4.1 of MiniLM.
    "copied" is for those that begin with the teacher's layers, in runs of minutes.
    """
    if name == "copied" or (name is None and is_copied):
        return Preset(learning_rate=5e-4, batch_size=32, dropout=0.0)
    if (layers, hidden) == (6, 768):
        return Preset(learning_rate=5e-4, batch_size=1_024, dropout=0.1)
    return Preset(learning_rate=3e-4, batch_size=256, dropout=0.1)


def student_of(
    teacher: SentenceTransformer,
    *,
    layers: int | None = None,
    hidden: int | None = None,
    heads: int | None = None,
    dropout: float = 0.1,
    seed: int = 0,
) -> SentenceTransformer:
    """A student with the teacher's tokenizer, pooling, prompts and length; sizes not given are the teacher's.

    Raises InputError if ``hidden`` is not a multiple of ``heads`` or the student has more layers than the
    teacher, ModelError for a size out of range.
    """
    theirs = teacher.settings.config
    if layers and layers > theirs.num_hidden_layers:
        raise InputError(
            f"the student has {layers} layers and the teacher {theirs.num_hidden_layers}: expected at most "
            f"as many"
        )
    width, n_heads = hidden or theirs.hidden_size, heads or theirs.num_attention_heads
    if width % n_heads:
        raise InputError(
            f"the student's width is {width}, expected a multiple of {n_heads}, its number of heads"
            + ("" if heads else ", which is the teacher's")
        )
    config = replace(
        theirs,
        num_hidden_layers=layers or theirs.num_hidden_layers,
        hidden_size=width,
        num_attention_heads=n_heads,
        intermediate_size=max(1, theirs.intermediate_size * width // theirs.hidden_size),
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
    )
    student = teacher.with_architecture(config)
    _initialise(student, seed)
    if width == theirs.hidden_size:
        copy_layers(teacher, student)
    return student


def needs_assistant(student: SentenceTransformer, teacher: SentenceTransformer) -> bool:
    """Whether the student is both at most half as deep and at most half as wide (section 3.3 of MiniLM)."""
    ours, theirs = student.settings.config, teacher.settings.config
    return (
        2 * ours.num_hidden_layers <= theirs.num_hidden_layers and 2 * ours.hidden_size <= theirs.hidden_size
    )


def assistant_of(
    teacher: SentenceTransformer, student: SentenceTransformer, *, seed: int = 0
) -> SentenceTransformer:
    """The teacher assistant: as deep as the teacher and as wide as the student (section 3.3 of MiniLM)."""
    ours = student.settings.config
    return student_of(
        teacher,
        hidden=ours.hidden_size,
        heads=ours.num_attention_heads,
        dropout=ours.hidden_dropout_prob,
        seed=seed,
    )


def alternate_layers(n_teacher: int, n_student: int) -> list[int]:
    """The teacher's layers that a student begins with: evenly spaced, with the first and the last.

    Before any training, the similarities of sentences under three layers of all-MiniLM-L6-v2 correlate with
    those under all six by .88 if the layers are 0, 3 and 5, and by .74 if they are 1, 3 and 5.

    >>> alternate_layers(6, 3), alternate_layers(12, 4)
    ([0, 3, 5], [0, 4, 7, 11])
    """
    if n_student == 1:
        return [n_teacher - 1]
    between = n_student - 1
    return [(2 * number * (n_teacher - 1) + between) // (2 * between) for number in range(n_student)]


def imitated_layers(n_teacher: int, n_student: int) -> list[int]:
    """The teacher's layers whose outputs a student's layers imitate.

    Each layer stands also for the teacher's layers that were left out after it: its output should be what the
    next one of `alternate_layers` gets in the teacher.

    >>> imitated_layers(6, 3), imitated_layers(12, 4)
    ([2, 4, 5], [3, 6, 10, 11])
    """
    layers = alternate_layers(n_teacher, n_student)
    return [max(own, after - 1) for own, after in pairwise(layers)] + [n_teacher - 1]


def _initialise(student: SentenceTransformer, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for module in student.modules():
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, std=INITIAL_STD, generator=generator)
        if isinstance(module, nn.Linear):
            nn.init.zeros_(module.bias)


def copy_layers(teacher: SentenceTransformer, student: SentenceTransformer) -> None:
    """Give a student of the teacher's width the teacher's embeddings and alternate layers."""
    student.model.embeddings.load_state_dict(teacher.model.embeddings.state_dict())
    theirs, ours = teacher.model.encoder.layers, student.model.encoder.layers
    for layer, number in zip(ours, alternate_layers(len(theirs), len(ours)), strict=True):
        layer.load_state_dict(theirs[number].state_dict())
