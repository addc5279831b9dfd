"""What all training commands share: their options, the corpus, checkpoints, and the folder that comes out.

The folder appears when it is complete.  Until then the state is in files beside it, FOLDER.*.checkpoint.
"""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from statistics import mean

from minisearch.errors import InputError
from minisearch.evaluation.documents import read_documents
from minisearch.evaluation.known_items import ChunkedDocument
from minisearch.evaluation.plots import load_figure, plot_training
from minisearch.manifest import DEFAULT_MODEL, fingerprint
from minisearch.minilm.hub import locate
from minisearch.minilm.models import CrossEncoder, SentenceTransformer
from minisearch.minilm.saving import check_target, save_pretrained
from minisearch.minilm.static import StaticEncoder
from minisearch.text import count
from minisearch.training.report import HOW_MEASURED, Measured, model_card, source_of
from minisearch.training.trainer import Trained, TrainingDtype, TrainingSettings

SHOWN_STEPS = 50  # the most whose mean loss the model card gives
USE_OF_EMBEDDER = (
    'minisearch index --model ./FOLDER PATH\nsentence_transformers.SentenceTransformer("./FOLDER")'
)
# Options that may differ when a run is resumed.
FREE_OPTIONS = {
    "out",
    "steps",
    "minutes",
    "learning_rate",
    "checkpoint_minutes",
    "dtype",
    "is_resumed",
    "is_offline",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """The options of every training command.

    ``learning_rate`` and ``batch_size``, the number of examples in a step, are the command's defaults if
    None.  Exactly one of ``steps`` and ``minutes`` is given.
    """

    out: Path
    corpus: tuple[Path, ...] = ()
    steps: int | None = None
    minutes: float | None = None
    learning_rate: float | None = None
    batch_size: int | None = None
    seed: int = 0
    checkpoint_minutes: float = 10.0
    dtype: TrainingDtype = "auto"
    is_resumed: bool = False
    is_offline: bool = False

    def settings(self, learning_rate: float) -> TrainingSettings:
        """The numbers of the run; InputError unless exactly one limit is given."""
        return TrainingSettings(
            learning_rate=self.learning_rate or learning_rate,
            steps=self.steps,
            minutes=self.minutes,
            seed=self.seed,
            checkpoint_minutes=self.checkpoint_minutes,
            dtype=self.dtype,
        )

    def identity(self, base: str) -> str:
        """A hash of the options that a resumed run must repeat, and of the fingerprint of the base model."""
        options = [
            (one.name, getattr(self, one.name)) for one in fields(self) if one.name not in FREE_OPTIONS
        ]
        return fingerprint(base, options)

    def check(self) -> None:
        """InputError if a model cannot be written to ``out``."""
        if self.out.resolve() == Path.cwd():
            raise InputError(f"{self.out} is the current folder: name a new folder, like ./my-model")
        if not self.out.absolute().parent.is_dir():
            raise InputError(f"cannot write {self.out}: there is no folder {self.out.parent}")
        try:
            check_target(self.out, is_new=True)
            attempt = self._checkpoint(f"attempt-{os.getpid()}")
            attempt.touch()
            attempt.unlink()
        except OSError as error:
            raise InputError(f"cannot write {self.out}: {error.strerror}") from error

    def checkpoints(self, names: Sequence[str]) -> list[Path]:
        """The files of the parts of a run.

        InputError as `check`, and if one exists and the job is new, or if none does and it is resumed.
        """
        self.check()
        files = [self._checkpoint(name) for name in names]
        found = [file for file in files if file.exists()]
        if found and not self.is_resumed:
            raise InputError(
                f"{found[0]} is the state of an unfinished run: --resume goes on with it; "
                f"remove it to begin again"
            )
        if self.is_resumed and not found:
            raise InputError(f"there is no unfinished run to resume: expected {files[0]}; leave out --resume")
        return files

    def _checkpoint(self, name: str) -> Path:
        return self.out.with_name(f"{self.out.name}.{name}.checkpoint")


def load_embedder(name: str, *, offline: bool) -> SentenceTransformer:
    """The model to begin with; InputError for a cross-encoder."""
    if locate(name, offline=offline).settings.n_labels is not None:
        raise InputError(
            f"{name} is a cross-encoder: expected an embedder to begin with, like {DEFAULT_MODEL}"
        )
    return SentenceTransformer.from_pretrained(name, offline=offline)


@dataclass(frozen=True, slots=True)
class Corpus:
    """The documents of a job, cut as for an index, and the files that could not be read, with reasons."""

    documents: tuple[ChunkedDocument, ...]
    skipped: tuple[tuple[str, str], ...]

    @property
    def passages(self) -> list[str]:
        """What an index would embed of them."""
        return [f"{one.title} {chunk.text}" for one in self.documents for chunk in one.chunks]


def read_corpus(paths: Sequence[Path], encoder: SentenceTransformer) -> Corpus:
    """The documents of files and folders, chunked for this encoder; InputError if there are none."""
    documents, skipped = list[ChunkedDocument](), list[tuple[str, str]]()
    for one in read_documents(paths, encoder):
        if isinstance(one, ChunkedDocument):
            documents.append(one)
        else:
            skipped.append((one.path, one.reason))
    if not documents:
        (path, reason), *_ = skipped
        raise InputError(
            f"no document of the corpus could be read, of {count(len(skipped), 'file')}: {path}: {reason}"
        )
    return Corpus(tuple(documents), tuple(skipped))


@dataclass(frozen=True, slots=True)
class Report:
    """What a job made: the models that were compared, and the files that could not be read.

    ``has_plot`` is False where matplotlib is not installed.  Of several processes, only the first makes one;
    that of the others is `EMPTY_REPORT`.
    """

    rows: tuple[Measured, ...]
    n_documents: int
    skipped: tuple[tuple[str, str], ...]
    has_plot: bool


EMPTY_REPORT = Report((), 0, (), has_plot=False)


def finish(
    job: Job,
    model: SentenceTransformer | CrossEncoder | StaticEncoder,
    trained: Trained,
    rows: Sequence[Measured],
    *,
    base: str,
    what: str,
    use: str,
    data: str,
    settings: TrainingSettings,
    batch_size: int,
    checkpoints: Sequence[Path],
    how_measured: str = HOW_MEASURED,
) -> bool:
    """Save a model made from a ``base`` and remove the checkpoints; whether there is a plot of its training.

    The card says ``what`` it is, shows code to ``use`` it, and describes the ``data``.
    """
    plot = _plot(f"{job.out.name}, from {source_of(base)}", trained, rows)
    facts = {"data": data, **_facts(settings, trained, batch_size)}
    card = model_card(
        job.out.name, what, base, rows, facts, use=use, has_plot=bool(plot), how_measured=how_measured
    )
    files = {"README.md": card.encode()} | ({"loss.png": plot} if plot else {})
    save_pretrained(model, job.out, files=files)
    for checkpoint in checkpoints:
        checkpoint.unlink(missing_ok=True)
    return bool(plot)


def _facts(settings: TrainingSettings, trained: Trained, batch_size: int) -> dict[str, str]:
    """What every model card says about the training, by label."""
    n = max(1, min(SHOWN_STEPS, trained.steps // 10))
    losses = [
        f"{name} {mean(values[:n]):.3f} to {mean(values[-n:]):.3f}" for name, values in trained.losses.items()
    ]
    of_main = [
        f"{value:.3f} after {step:,} steps"
        for step, found in trained.evaluations
        for value in list(found.values())[-1:]
    ]
    during = {f"{[*trained.after][-1]} during training": ", ".join(of_main)} if of_main else {}
    return {
        "training": f"{count(trained.steps, 'step')} of {count(batch_size, 'example')}, "
        f"{trained.n_tokens:,} tokens, {trained.elapsed_s / 60:.1f} minutes",
        "optimiser": f"AdamW (0.9, 0.999), learning rate {settings.learning_rate:g}, "
        f"weight decay {settings.weight_decay:g}",
        f"losses, the means of the first and of the last {count(n, 'step')}": ", ".join(losses),
        **during,
    }


def _plot(title: str, trained: Trained, rows: Sequence[Measured]) -> bytes:
    """The PNG of losses and quality during the training, and of quality against speed where that is measured.

    Empty where matplotlib is not installed.
    """
    try:
        load_figure()
    except InputError:
        return b""
    file = io.BytesIO()
    main = list(trained.after)[-1:]  # the last measure is the most important one
    curve = [(step, found[name]) for step, found in trained.evaluations for name in main]
    points = [
        (row.name, row.tokens_per_s, row.quality[name]) for row in rows for name in main if row.tokens_per_s
    ]
    plot_training(trained.losses, file, title=title, measure="".join(main), curve=curve, points=points)
    return file.getvalue()
