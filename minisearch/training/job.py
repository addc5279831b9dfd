"""The whole of `minisearch train distill`: a teacher and a corpus in, a finished model folder out.

The folder appears when it is complete.  Until then the state is in files beside it, FOLDER.*.checkpoint.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean

from minisearch.errors import InputError
from minisearch.evaluation.documents import read_documents
from minisearch.evaluation.known_items import ChunkedDocument
from minisearch.evaluation.plots import load_figure, plot_losses
from minisearch.minilm.inference import best_device
from minisearch.minilm.models import SentenceTransformer
from minisearch.minilm.saving import check_target, save_pretrained
from minisearch.training.data import BATCH_TOKENS, TextData, texts_of
from minisearch.training.distillation import Loss, Phase, distil, phases
from minisearch.training.report import Measured, compare, known_item_test, model_card
from minisearch.training.students import student_of
from minisearch.training.trainer import Trained, TrainingProgress, TrainingSettings, preset_of

SHOWN_STEPS = 50  # whose mean loss the model card gives


@dataclass(frozen=True, slots=True)
class Job:
    """What to distil; sizes that are None are the teacher's.

    ``learning_rate`` and ``batch_size`` are those of the preset for the student's size if None; exactly one
    of ``steps`` and ``minutes`` is given, for each phase if there is an assistant (minutes are shared).
    """

    teacher: str
    corpus: tuple[Path, ...]
    out: Path
    layers: int | None = None
    hidden: int | None = None
    heads: int | None = None
    losses: tuple[Loss, ...] = ()
    n_relation_heads: int | None = None
    steps: int | None = None
    minutes: float | None = None
    learning_rate: float | None = None
    batch_size: int | None = None
    dropout: float = 0.1
    seed: int = 0
    checkpoint_minutes: float = 10.0
    is_resumed: bool = False
    is_offline: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """What a job made: the comparison of teacher and student, and the files that could not be read."""

    rows: tuple[Measured, ...]
    n_documents: int
    skipped: tuple[tuple[str, str], ...]
    has_plot: bool


def run(
    job: Job,
    *,
    on_step: Callable[[str], object] = lambda _: None,
    on_progress: Callable[[str, TrainingProgress], object] = lambda *_: None,
) -> Report:
    """Distil, measure and save.

    Raises InputError for sizes, losses, a corpus or a folder that do not fit, ModelError for a teacher that
    cannot be loaded, TrainingError as `train` does.
    """
    settings = TrainingSettings(  # a wrong limit is an error before the work
        steps=job.steps, minutes=job.minutes, seed=job.seed, checkpoint_minutes=job.checkpoint_minutes
    )
    check_target(job.out, is_new=True)
    on_step("loading the teacher")
    teacher = SentenceTransformer.from_pretrained(job.teacher, offline=job.is_offline)
    planned = _planned(job, teacher)
    checkpoints = _checkpoints(job, planned)
    student = planned[-1].recipe.student
    preset = preset_of(student.settings.config)
    settings = replace(settings, learning_rate=job.learning_rate or preset.learning_rate)
    if settings.minutes is not None:
        settings = replace(settings, minutes=settings.minutes / len(planned))
    on_step("reading the corpus")
    documents, skipped = _documents(job, teacher)
    data = TextData(
        texts_of(documents, teacher.settings),
        teacher.tokenizer,
        batch_size=job.batch_size or preset.batch_size,
        batch_tokens=BATCH_TOKENS[best_device()],
        seed=job.seed,
    )
    on_step("measuring the student before")
    test = known_item_test(documents, seed=job.seed)
    before = test.measured(student) if test else {}
    on_step("training")
    trained = distil(
        planned, data, settings, checkpoints=checkpoints, resume=job.is_resumed, on_progress=on_progress
    )
    texts = [f"{one.title} {chunk.text}" for one in documents for chunk in one.chunks]
    rows = compare(teacher, student, test, texts, before=before, on_step=on_step)
    facts = _facts(planned, data, settings, trained, len(documents))
    plot = _plot(job, trained)
    card = model_card(job.out.name, job.teacher, rows, facts, has_plot=bool(plot))
    files = {"README.md": card.encode()} | ({"loss.png": plot} if plot else {})
    save_pretrained(student, job.out, files=files)
    for checkpoint in checkpoints:
        checkpoint.unlink(missing_ok=True)
    return Report(tuple(rows), len(documents), tuple(skipped), bool(plot))


def _planned(job: Job, teacher: SentenceTransformer) -> list[Phase]:
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


def _checkpoints(job: Job, planned: Sequence[Phase]) -> list[Path]:
    """The files of the phases; InputError if there are some and the job is new, or none and it is not."""
    files = [job.out.with_name(f"{job.out.name}.{phase.name}.checkpoint") for phase in planned]
    found = [file for file in files if file.exists()]
    if found and not job.is_resumed:
        raise InputError(
            f"{found[0]} is the state of an unfinished run: --resume goes on with it; "
            f"remove it to begin again"
        )
    if job.is_resumed and not found:
        raise InputError(f"there is no unfinished run to resume: expected {files[0]}; leave out --resume")
    if not job.out.absolute().parent.is_dir():
        raise InputError(f"cannot write {job.out}: there is no folder {job.out.parent}")
    return files


def _documents(job: Job, teacher: SentenceTransformer) -> tuple[list[ChunkedDocument], list[tuple[str, str]]]:
    documents, skipped = list[ChunkedDocument](), list[tuple[str, str]]()
    for one in read_documents(job.corpus, teacher):
        if isinstance(one, ChunkedDocument):
            documents.append(one)
        else:
            skipped.append((one.path, one.reason))
    return documents, skipped


def _facts(
    planned: Sequence[Phase], data: TextData, settings: TrainingSettings, trained: Trained, n_documents: int
) -> dict[str, str]:
    """What the model card says about the training, by label."""
    losses = [
        f"{name} {mean(values[:SHOWN_STEPS]):.3f} to {mean(values[-SHOWN_STEPS:]):.3f}"
        for name, values in trained.losses.items()
    ]
    length = (
        f"{trained.steps:,} steps of {data.batch_size:,} texts, {trained.n_tokens:,} tokens, "
        f"{trained.elapsed_s / 60:.1f} minutes"
    )
    if len(planned) > 1:
        length += "; before, a teacher assistant was distilled with the same limit"
    return {
        "data": f"{n_documents:,} documents, cut into {len(data):,} texts of {data.n_tokens:,} tokens in all",
        "training": length,
        "optimiser": f"AdamW (0.9, 0.999), learning rate {settings.learning_rate:g}, "
        f"weight decay {settings.weight_decay:g}",
        f"losses, the means of the first and of the last {SHOWN_STEPS} steps": ", ".join(losses),
    }


def _plot(job: Job, trained: Trained) -> bytes:
    """The PNG of the losses; empty where matplotlib is not installed."""
    try:
        load_figure()
    except InputError:
        return b""
    file = io.BytesIO()
    plot_losses(trained.losses, file, title=f"{job.out.name}: distilled from {Path(job.teacher).name}")
    return file.getvalue()
