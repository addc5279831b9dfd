"""Distil a student from a teacher: the recipe, a teacher assistant where one helps, and the whole command.

`run` is all of `minisearch train distill`: a teacher and a corpus in, a finished model folder out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the usual name

from minisearch.errors import InputError
from minisearch.minilm.inference import best_device
from minisearch.minilm.models import SentenceTransformer
from minisearch.minilm.transformer import Projections, TransformerLayer, pool
from minisearch.training import processes
from minisearch.training.data import BATCH_TOKENS, TextBatch, TextData, texts_of
from minisearch.training.job import Job, Report, finish, load_embedder, read_corpus
from minisearch.training.losses import (
    attention_loss,
    cosine_loss,
    hidden_loss,
    relation_loss,
    similarity_loss,
    value_loss,
)
from minisearch.training.report import compare, evaluation_of, known_item_test, source_of
from minisearch.training.students import (
    Preset,
    PresetName,
    assistant_of,
    copy_layers,
    imitated_layers,
    needs_assistant,
    preset_of,
    student_of,
)
from minisearch.training.trainer import Trained, TrainingProgress, TrainingSettings, train

Loss = Literal["attention", "values", "relations", "hidden", "cosine", "similarity"]
LOSSES: tuple[Loss, ...] = get_args(Loss)


@dataclass(frozen=True, slots=True)
class Distillation:
    """The recipe: a batch of texts to the losses between a student and a teacher.

    ``losses`` are any of `LOSSES`.  "attention" and "values" are those of MiniLM, and need equal numbers of
    heads; "relations" is that of MiniLMv2, with ``n_relation_heads``.  "hidden" compares the token vectors
    after each layer with those of the teacher's layer that it imitates, "cosine" the vectors of the texts;
    both need equal widths.  "similarity" compares the similarities of a text to the others of the batch.
    Only the last three train what follows the attention of the student's last layer.
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
            theirs, their_layers = self._computed(self.teacher, batch)
        ours, our_layers = self._computed(self.student, batch)
        for name in self.losses:
            if name == "attention":
                found[name] = attention_loss(ours, theirs, batch.mask)
            elif name == "values":
                found[name] = value_loss(ours, theirs, batch.mask)
            elif name == "relations":
                found[name] = relation_loss(ours, theirs, batch.mask, n_relation_heads=self.n_relation_heads)
            elif name == "hidden":
                imitated = imitated_layers(len(their_layers), len(our_layers))
                of_layers = [
                    hidden_loss(tokens, their_layers[number], batch.mask)
                    for tokens, number in zip(our_layers, imitated, strict=True)
                ]
                found[name] = torch.stack(of_layers).sum()
            else:
                ours_of_texts, theirs_of_texts = (
                    F.normalize(pool(layers[-1], batch.mask, self.teacher.pooling), dim=1)  # (B, D)
                    for layers in (our_layers, their_layers)
                )
                compare_vectors = cosine_loss if name == "cosine" else similarity_loss
                found[name] = compare_vectors(ours_of_texts, theirs_of_texts)
        return found

    def _computed(self, model: SentenceTransformer, batch: TextBatch) -> tuple[Projections, list[Tensor]]:
        """The projections of the last layer, and the token vectors (B, T, D) after each layer.

        Without the latter of the last layer if no loss compares them.
        """
        states = [model.model.embeddings(batch.ids)]  # (B, T, D)
        *others, last = model.model.encoder.layers
        for layer in others:
            states.append(layer(states[-1], batch.mask))
        assert isinstance(last, TransformerLayer), "weights that are trained are not of 8 bits"
        projections = last.attention.projections(states[-1])
        if {"hidden", "cosine", "similarity"} & {*self.losses}:
            states.append(last(states[-1], batch.mask))
        return projections, states[1:]


def default_losses(teacher: SentenceTransformer, student: SentenceTransformer) -> tuple[Loss, ...]:
    """Those that work best for a pair of models (`scripts/ablation.py` measures them for equal widths)."""
    if teacher.dimension == student.dimension:
        return ("hidden", "cosine")
    heads = [one.settings.config.num_attention_heads for one in (teacher, student)]
    return ("attention", "values", "similarity") if heads[0] == heads[1] else ("relations", "similarity")


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
    Raises InputError for losses that need equal numbers of heads or equal widths, where they differ.
    """
    ours, theirs = (one.settings.config.num_attention_heads for one in (student, teacher))
    wanted = tuple(dict.fromkeys(losses)) or default_losses(teacher, student)
    n = n_relation_heads or theirs
    if ours != theirs and {"attention", "values"} & {*wanted}:
        raise InputError(
            f"the student has {ours} heads and the teacher {theirs}: the losses 'attention' and 'values' "
            f"need equal numbers; 'relations' and 'similarity' work with any"
        )
    if student.dimension != teacher.dimension and {"hidden", "cosine"} & {*wanted}:
        raise InputError(
            f"the student is {student.dimension} wide and the teacher {teacher.dimension}: the losses "
            f"'hidden' and 'cosine' need equal widths; 'relations' and 'similarity' work with any"
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
    evaluate: Callable[[], Mapping[str, float]] | None = None,
    on_progress: Callable[[str, TrainingProgress], object] = lambda *_: None,
) -> Trained:
    """Train the students of all phases, one after the other; the result of the last one.

    ``settings`` are those of each phase.  ``checkpoints`` are the files of the phases, in their order.
    ``identity`` and ``evaluate`` are as in `train`; only the last phase is evaluated.  A phase is not trained
    further when the next one has begun: its student would have two teachers.
    """
    trained = Trained()
    for number, phase in enumerate(planned):
        if number:  # the assistant is as wide as the student
            copy_layers(phase.recipe.teacher, phase.recipe.student)

        def report(progress: TrainingProgress, name: str = phase.name) -> None:
            on_progress(name, progress)

        limits = settings
        if resume and any(file.exists() for file in checkpoints[number + 1 :]):
            if not checkpoints[number].exists():
                raise InputError(
                    f"{checkpoints[number]} is missing, from which {checkpoints[-1]} was begun: remove the "
                    f"latter to begin again"
                )
            limits = replace(settings, steps=1, minutes=None)  # the checkpoint has as many or more
        trained = train(
            phase.recipe.student,
            data,
            phase.recipe,
            limits,
            checkpoint=checkpoints[number] if checkpoints else None,
            resume=resume,
            identity=identity,
            evaluate=evaluate if phase is planned[-1] else None,
            on_progress=report,
        )
    return trained


@dataclass(frozen=True, slots=True, kw_only=True)
class DistillationJob(Job):
    """The options of `minisearch train distill`; sizes that are None are the teacher's.

    The ``preset`` gives learning rate, batch size and dropout where they are None.  The limit is that of each
    phase if there is an assistant, but minutes are shared.
    """

    teacher: str
    layers: int | None = None
    hidden: int | None = None
    heads: int | None = None
    losses: tuple[Loss, ...] = ()
    n_relation_heads: int | None = None
    preset: PresetName | None = None
    dropout: float | None = None
    word_noise: float = 0.8


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
    job.check()
    on_step("loading the teacher")
    teacher = load_embedder(job.teacher, offline=job.is_offline)
    preset = _preset(job, teacher)
    planned = _planned(job, teacher, preset)
    names = [phase.name for phase in planned]
    job.check_new(*names)
    student = planned[-1].recipe.student
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
        word_noise=job.word_noise,
        prompts=(teacher.settings.document_prompt, teacher.settings.query_prompt),
        seed=job.seed,
    )
    test = known_item_test(corpus.documents, seed=job.seed)
    on_step("training")
    trained = distil(
        planned,
        data,
        settings,
        checkpoints=[*map(job.checkpoint, names)],
        resume=job.is_resumed,
        identity=job.identity(teacher.fingerprint),
        evaluate=evaluation_of("student", test, lambda test: test.measured(student), on_step),
        on_progress=on_progress,
    )
    if processes.rank() > 0:
        return Report()
    rows = compare(teacher, student, trained, test, corpus.passages, on_step=on_step)
    config = student.settings.config
    data_used = (
        f"{len(corpus.documents):,} documents, cut into {len(data):,} texts of {data.n_tokens:,} tokens in "
        f"all; up to {job.word_noise:.0%} of the words of a text were replaced by random ones"
    )
    if len(planned) > 1:
        data_used += "; before, a teacher assistant was distilled with the same limit"
    return finish(
        job,
        student,
        trained,
        rows,
        base=job.teacher,
        what=f"A sentence embedder with {config.num_hidden_layers} layers of width {config.hidden_size}, "
        f"distilled from {source_of(job.teacher)} by `minisearch train distill`.",
        data=data_used,
        n_documents=len(corpus.documents),
        skipped=corpus.skipped,
    )


def _preset(job: DistillationJob, teacher: SentenceTransformer) -> Preset:
    theirs = teacher.settings.config
    hidden = job.hidden or theirs.hidden_size
    return preset_of(
        job.preset,
        layers=job.layers or theirs.num_hidden_layers,
        hidden=hidden,
        is_copied=hidden == theirs.hidden_size,
    )


def _planned(job: DistillationJob, teacher: SentenceTransformer, preset: Preset) -> list[Phase]:
    student = student_of(
        teacher,
        layers=job.layers,
        hidden=job.hidden,
        heads=job.heads,
        dropout=preset.dropout if job.dropout is None else job.dropout,
        seed=job.seed,
    )
    planned = phases(
        teacher, student, losses=job.losses, n_relation_heads=job.n_relation_heads, seed=job.seed
    )
    for phase in planned:
        phase.recipe.student.to(teacher.model.device)
    return planned
