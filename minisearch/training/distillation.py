"""Distil a student from a teacher: the recipe, and the whole run with a teacher assistant where one helps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the usual name

from minisearch.errors import InputError
from minisearch.minilm.models import SentenceTransformer
from minisearch.minilm.transformer import Projections, TransformerLayer, pool
from minisearch.training.data import TextBatch, TextData
from minisearch.training.losses import (
    attention_loss,
    cosine_loss,
    relation_loss,
    similarity_loss,
    value_loss,
)
from minisearch.training.students import assistant_of, copy_layers, needs_assistant
from minisearch.training.trainer import Trained, TrainingProgress, TrainingSettings, train

Loss = Literal["attention", "values", "relations", "embedding"]
LOSSES: tuple[Loss, ...] = get_args(Loss)


@dataclass(frozen=True, slots=True)
class Distillation:
    """The recipe: a batch of texts to the losses between a student and a teacher.

    ``losses`` are any of `LOSSES`.  "attention" and "values" are those of MiniLM, and need equal numbers of
    heads; "relations" is that of MiniLMv2, with ``n_relation_heads``.  "embedding" compares the vectors of
    the texts ("cosine", only if they are equally wide) and their similarities within the batch
    ("similarity").  Only "embedding" trains what follows the attention of the student's last layer.
    """

    teacher: SentenceTransformer
    student: SentenceTransformer
    losses: tuple[Loss, ...]
    n_relation_heads: int

    def __call__(self, batch: TextBatch) -> dict[str, Tensor]:
        """The losses by name."""
        batch = batch.to(self.student.model.device)
        found: dict[str, Tensor] = {}
        with torch.no_grad():
            theirs, their_vectors = self._computed(self.teacher, batch)
        ours, our_vectors = self._computed(self.student, batch)
        for name in self.losses:
            if name == "attention":
                found[name] = attention_loss(ours, theirs, batch.mask)
            elif name == "values":
                found[name] = value_loss(ours, theirs, batch.mask)
            elif name == "relations":
                found[name] = relation_loss(ours, theirs, batch.mask, n_relation_heads=self.n_relation_heads)
            else:
                if self.teacher.dimension == self.student.dimension:
                    found["cosine"] = cosine_loss(our_vectors, their_vectors)
                found["similarity"] = similarity_loss(our_vectors, their_vectors)
        return found

    def _computed(self, model: SentenceTransformer, batch: TextBatch) -> tuple[Projections, Tensor]:
        """The projections of the last layer, and the unit vectors (B, D), which only "embedding" uses."""
        x = model.model.embeddings(batch.ids)  # (B, T, D)
        *others, last = model.model.encoder.layers
        for layer in others:
            x = layer(x, batch.mask)
        assert isinstance(last, TransformerLayer), "weights that are trained are not of 8 bits"
        projections = last.attention.projections(x)
        if "embedding" not in self.losses:
            return projections, x[:, 0]
        tokens = last(x, batch.mask)  # (B, T, D)
        return projections, F.normalize(pool(tokens, batch.mask, model.pooling), dim=1)


def default_losses(teacher: SentenceTransformer, student: SentenceTransformer) -> tuple[Loss, ...]:
    """All losses that this pair allows, those of MiniLM before those of MiniLMv2."""
    heads = [one.settings.config.num_attention_heads for one in (teacher, student)]
    return ("attention", "values", "embedding") if heads[0] == heads[1] else ("relations", "embedding")


@dataclass(frozen=True, slots=True)
class Phase:
    """One distillation of a run: of the assistant, or of the student."""

    name: Literal["assistant", "student"]
    recipe: Distillation


def phases(
    teacher: SentenceTransformer,
    student: SentenceTransformer,
    *,
    losses: Sequence[Loss] = (),
    n_relation_heads: int | None = None,
    seed: int = 0,
) -> list[Phase]:
    """The distillations that lead to the student: one, or two with a teacher assistant.

    Without ``losses`` those of `default_losses`; without ``n_relation_heads`` the teacher's number of heads.
    Raises InputError if "attention" or "values" is wanted and the numbers of heads differ.
    """
    ours, theirs = (one.settings.config.num_attention_heads for one in (student, teacher))
    wanted = tuple(dict.fromkeys(losses)) or default_losses(teacher, student)
    if ours != theirs and {"attention", "values"} & {*wanted}:
        raise InputError(
            f"the student has {ours} heads and the teacher {theirs}: the losses 'attention' and 'values' "
            f"need equal numbers; 'relations' and 'embedding' work with any"
        )
    n = n_relation_heads or theirs
    for model, who in ((teacher, "teacher"), (student, "student")):
        if "relations" in wanted and model.dimension % n:
            raise InputError(
                f"the number of relation heads is {n}, expected a divisor of the {who}'s width, "
                f"{model.dimension}"
            )
    if not needs_assistant(student, teacher):
        return [Phase("student", Distillation(teacher, student, wanted, n))]
    assistant = assistant_of(teacher, student, seed=seed)
    return [
        Phase("assistant", Distillation(teacher, assistant, wanted, n)),
        Phase("student", Distillation(assistant, student, wanted, n)),
    ]


def distil(
    planned: Sequence[Phase],
    data: TextData,
    settings: TrainingSettings,
    *,
    checkpoints: Sequence[Path] = (),
    resume: bool = False,
    on_progress: Callable[[str, TrainingProgress], object] = lambda *_: None,
) -> Trained:
    """Train the students of all phases, one after the other; what the last one did comes out.

    ``settings`` are those of each phase.  ``checkpoints`` are the files of the phases, in their order.
    """
    trained = Trained()
    for number, phase in enumerate(planned):
        if number:  # the assistant is as wide as the student
            copy_layers(phase.recipe.teacher, phase.recipe.student)

        def report(progress: TrainingProgress, name: str = phase.name) -> None:
            on_progress(name, progress)

        trained = train(
            phase.recipe.student,
            data,
            phase.recipe,
            settings,
            checkpoint=checkpoints[number] if checkpoints else None,
            resume=resume,
            on_progress=report,
        )
    return trained
