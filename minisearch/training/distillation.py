"""Distil a student from a teacher: the recipe, a teacher assistant where one helps, and the whole command.

`run` is all of `minisearch train distill`: a teacher and a corpus in, a finished model folder out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the usual name

from minisearch.errors import InputError
from minisearch.minilm.inference import best_device
from minisearch.minilm.models import SentenceTransformer
from minisearch.minilm.saving import save_pretrained
from minisearch.minilm.transformer import Projections, TransformerLayer, pool
from minisearch.training.data import BATCH_TOKENS, TextBatch, TextData, data_fact, texts_of
from minisearch.training.job import Job, Report, extra_files, loss_plot, read_corpus, training_facts
from minisearch.training.losses import (
    attention_loss,
    cosine_loss,
    hidden_loss,
    relation_loss,
    similarity_loss,
    value_loss,
)
from minisearch.training.report import compare, known_item_test, model_card, source_of
from minisearch.training.students import assistant_of, copy_layers, needs_assistant, student_of
from minisearch.training.trainer import Trained, TrainingProgress, TrainingSettings, preset_of, train

Loss = Literal["attention", "values", "relations", "hidden", "embedding"]
LOSSES: tuple[Loss, ...] = get_args(Loss)


@dataclass(frozen=True, slots=True)
class Distillation:
    """The recipe: a batch of texts to the losses between a student and a teacher.

    ``losses`` are any of `LOSSES`.  "attention" and "values" are those of MiniLM, and need equal numbers of
    heads; "relations" is that of MiniLMv2, with ``n_relation_heads``.  "hidden" compares the token vectors of
    the last layers, which must be equally wide.  "embedding" compares the vectors of the texts ("cosine",
    only if they are equally wide) and their similarities within the batch ("similarity").  Only "hidden" and
    "embedding" train what follows the attention of the student's last layer.
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
            theirs, their_tokens = self._computed(self.teacher, batch)
        ours, our_tokens = self._computed(self.student, batch)
        for name in self.losses:
            if name == "attention":
                found[name] = attention_loss(ours, theirs, batch.mask)
            elif name == "values":
                found[name] = value_loss(ours, theirs, batch.mask)
            elif name == "relations":
                found[name] = relation_loss(ours, theirs, batch.mask, n_relation_heads=self.n_relation_heads)
            elif name == "hidden":
                found[name] = hidden_loss(our_tokens, their_tokens, batch.mask)
            else:
                our_vectors, their_vectors = (
                    F.normalize(pool(tokens, batch.mask, self.teacher.pooling), dim=1)  # (B, D)
                    for tokens in (our_tokens, their_tokens)
                )
                if self.teacher.dimension == self.student.dimension:
                    found["cosine"] = cosine_loss(our_vectors, their_vectors)
                found["similarity"] = similarity_loss(our_vectors, their_vectors)
        return found

    def _computed(self, model: SentenceTransformer, batch: TextBatch) -> tuple[Projections, Tensor]:
        """Of the last layer, the projections, and the token vectors (B, T, D) if a loss compares them."""
        x = model.model.embeddings(batch.ids)  # (B, T, D)
        *others, last = model.model.encoder.layers
        for layer in others:
            x = layer(x, batch.mask)
        assert isinstance(last, TransformerLayer), "weights that are trained are not of 8 bits"
        are_tokens_compared = bool({"hidden", "embedding"} & {*self.losses})
        return last.attention.projections(x), last(x, batch.mask) if are_tokens_compared else x


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
    if "hidden" in wanted and student.dimension != teacher.dimension:
        raise InputError(
            f"the student is {student.dimension} wide and the teacher {teacher.dimension}: the loss 'hidden' "
            f"needs equal widths; 'relations' and 'embedding' work with any"
        )
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
    identity: str = "",
    on_progress: Callable[[str, TrainingProgress], object] = lambda *_: None,
) -> Trained:
    """Train the students of all phases, one after the other; what the last one did comes out.

    ``settings`` are those of each phase.  ``checkpoints`` are the files of the phases, in their order;
    ``identity`` as in `train`.
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
            identity=identity,
            on_progress=report,
        )
    return trained


@dataclass(frozen=True, slots=True, kw_only=True)
class DistillationJob(Job):
    """The options of `minisearch train distill`; sizes that are None are the teacher's.

    The limit is that of each phase if there is an assistant, but minutes are shared.
    """

    teacher: str
    layers: int | None = None
    hidden: int | None = None
    heads: int | None = None
    losses: tuple[Loss, ...] = ()
    n_relation_heads: int | None = None
    dropout: float = 0.1


def run(
    job: DistillationJob,
    *,
    on_step: Callable[[str], object] = lambda _: None,
    on_progress: Callable[[str, TrainingProgress], object] = lambda *_: None,
) -> Report:
    """Distil, measure and save.

    Raises InputError for sizes, losses, a corpus or a folder that do not fit, ModelError for a teacher that
    cannot be loaded, TrainingError as `train` does.
    """
    on_step("loading the teacher")
    teacher = SentenceTransformer.from_pretrained(job.teacher, offline=job.is_offline)
    planned = _planned(job, teacher)
    checkpoints = job.checkpoints([phase.name for phase in planned])
    student = planned[-1].recipe.student
    preset = preset_of(student.settings.config)
    settings = job.settings(preset.learning_rate)
    if settings.minutes is not None:
        settings = replace(settings, minutes=settings.minutes / len(planned))
    on_step("reading the corpus")
    corpus = read_corpus(job.corpus, teacher)
    data = TextData(
        texts_of(corpus.documents, teacher.settings),
        teacher.tokenizer,
        batch_size=job.batch_size or preset.batch_size,
        batch_tokens=BATCH_TOKENS[best_device()],
        seed=job.seed,
    )
    on_step("measuring the student before")
    test = known_item_test(corpus.documents, seed=job.seed)
    before = test.measured(student) if test else {}
    on_step("training")
    trained = distil(
        planned,
        data,
        settings,
        checkpoints=checkpoints,
        resume=job.is_resumed,
        identity=job.identity(teacher.fingerprint),
        on_progress=on_progress,
    )
    first, last = compare({"teacher": teacher, "student": student}, test, corpus.passages, on_step=on_step)
    rows = [first, replace(last, name="student before", tokens_per_s=None, quality=before), last]
    facts = data_fact(len(corpus.documents), len(data), data.n_tokens)
    facts |= training_facts(settings, trained, batch_size=data.batch_size)
    if len(planned) > 1:
        facts["training"] += "; before, a teacher assistant was distilled with the same limit"
    title = f"{job.out.name}: distilled from {Path(job.teacher).name}"
    plot = loss_plot(title, trained.losses)
    what = (
        f"A sentence embedder with {last.n_layers} layers of width {last.width}, distilled from "
        f"{source_of(job.teacher)} by `minisearch train distill`."
    )
    card = model_card(job.out.name, what, job.teacher, rows, facts, has_plot=bool(plot))
    save_pretrained(student, job.out, files=extra_files(card, plot))
    for checkpoint in checkpoints:
        checkpoint.unlink(missing_ok=True)
    return Report(tuple(rows), len(corpus.documents), corpus.skipped, bool(plot))


def _planned(job: DistillationJob, teacher: SentenceTransformer) -> list[Phase]:
    student = student_of(
        teacher,
        layers=job.layers,
        hidden=job.hidden,
        heads=job.heads,
        dropout=job.dropout,
        seed=job.seed,
    )
    planned = phases(
        teacher, student, losses=job.losses, n_relation_heads=job.n_relation_heads, seed=job.seed
    )
    for phase in planned:
        phase.recipe.student.to(teacher.model.device)
    return planned
