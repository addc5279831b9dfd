"""What all training commands share: their options, the corpus, checkpoints, and the folder that comes out.

The folder appears when it is complete.  Until then the state is in files beside it, FOLDER.*.checkpoint.
"""

from __future__ import annotations

import glob
import io
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from statistics import mean
from typing import Any

from minisearch.errors import InputError
from minisearch.evaluation.documents import read_documents
from minisearch.evaluation.known_items import ChunkedDocument
from minisearch.evaluation.plots import load_figure, plot_training
from minisearch.manifest import DEFAULT_MODEL, fingerprint
from minisearch.minilm.catalog import WEIGHTS
from minisearch.minilm.hub import locate
from minisearch.minilm.models import CrossEncoder, SentenceTransformer
from minisearch.minilm.saving import check_target, save_pretrained
from minisearch.minilm.static import StaticEncoder
from minisearch.text import count
from minisearch.training.report import HOW_MEASURED, Measured, model_card, source_of
from minisearch.training.trainer import Trained, TrainingDtype, TrainingProgress, TrainingSettings

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
        if self.is_resumed and not self.unfinished() and (self.out / WEIGHTS).exists():
            raise InputError(
                f"the run is finished: its model is in {self.out}. To train it further: minisearch train "
                f"finetune --model {self.out}, with another --out"
            )
        try:
            check_target(self.out, is_new=True)
            attempt = self.out.with_name(f"{self.out.name}.attempt-{os.getpid()}-checkpoint")
            attempt.touch()
            attempt.unlink()
        except OSError as error:
            raise InputError(f"cannot write {self.out}: {error.strerror}") from error

    def check_new(self, *names: str) -> None:
        """InputError as `check`, and if a run with checkpoints of these names does not fit ``is_resumed``."""
        self.check()
        found = [file for file in map(self.checkpoint, names) if file.exists()]
        if not self.is_resumed and (found := found or self.unfinished()):
            raise InputError(
                f"{found[0]} is the state of an unfinished run: --resume goes on with it; "
                f"remove it to begin again"
            )
        if self.is_resumed and not found:
            raise InputError(
                f"there is no unfinished run to resume: expected {self.checkpoint(names[0])}; leave out "
                f"--resume"
            )

    def checkpoint(self, name: str) -> Path:
        """The file of a part of a run."""
        return self.out.with_name(f"{self.out.name}.{name}.checkpoint")

    def unfinished(self) -> list[Path]:
        """The checkpoints of this folder that exist."""
        return sorted(self.out.absolute().parent.glob(f"{glob.escape(self.out.name)}.*.checkpoint"))

    def part(
        self,
        name: str,
        base: SentenceTransformer,
        on_progress: Callable[[str, TrainingProgress], object],
    ) -> dict[str, Any]:
        """The arguments of `train` for the part ``name`` of a run from a ``base`` model."""
        return {
            "checkpoint": self.checkpoint(name),
            "resume": self.is_resumed,
            "identity": self.identity(base.fingerprint),
            "on_progress": partial(on_progress, name),
        }


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

    ``has_plot`` is False where matplotlib is not installed.  A classifier has ``labels``, and ``counts`` of
    how many examples of each (rows) got each (columns).  Of several processes, only the first makes one; that
    of the others is empty.
    """

    rows: tuple[Measured, ...] = ()
    n_documents: int = 0
    skipped: tuple[tuple[str, str], ...] = ()
    has_plot: bool = False
    labels: tuple[str, ...] = ()
    counts: tuple[tuple[int, ...], ...] = ()


def finish(
    job: Job,
    model: SentenceTransformer | CrossEncoder | StaticEncoder,
    trained: Trained,
    rows: Sequence[Measured],
    *,
    base: str,
    what: str,
    data: str,
    n_documents: int,
    skipped: tuple[tuple[str, str], ...] = (),
    use: str = USE_OF_EMBEDDER,
    how_measured: str = HOW_MEASURED,
) -> Report:
    """Save a model made from a ``base``, with card and plot, and remove the checkpoints.

    The card says ``what`` it is, shows code to ``use`` it, and describes the ``data``.
    """
    plot = _plot(f"{job.out.name}, from {source_of(base)}", trained, rows)
    facts = {"data": data, **_facts(trained)}
    card = model_card(
        job.out.name, what, base, rows, facts, use=use, has_plot=bool(plot), how_measured=how_measured
    )
    files = {"README.md": card.encode()} | ({"loss.png": plot} if plot else {})
    save_pretrained(model, job.out, files=files)
    for checkpoint in job.unfinished():
        checkpoint.unlink(missing_ok=True)
    return Report(tuple(rows), n_documents, skipped, bool(plot))


def _facts(trained: Trained) -> dict[str, str]:
    """What every model card says about the training, by label."""
    settings = trained.settings
    assert settings is not None, "`train` sets them"
    n = max(1, min(SHOWN_STEPS, trained.steps // 10))
    ends = {name: (mean(values[:n]), mean(values[-n:])) for name, values in trained.losses.items()}
    losses = [f"{name} {first:.3f} to {last:.3f}" for name, (first, last) in ends.items()]
    label = "losses at the first and the last step"
    if trained.steps == 1:
        label, losses = "losses", [f"{name} {first:.3f}" for name, (first, _) in ends.items()]
    elif n > 1:
        label = f"losses, the means of the first and of the last {n} steps"
    of_main = [
        f"{value:.3f} after {count(step, 'step')}"
        for step, found in trained.evaluations
        for value in list(found.values())[-1:]
    ]
    during = {f"{[*trained.after][-1]} during training": ", ".join(of_main)} if of_main else {}
    seconds = trained.elapsed_s
    time = f"{seconds / 60:.1f} minutes" if seconds >= 60 else count(math.ceil(seconds), "second")
    return {
        "training": f"{count(trained.steps, 'step')} of {count(trained.batch_size, 'example')}, "
        f"{trained.n_tokens:,} tokens, {time}",
        "optimiser": f"AdamW (0.9, 0.999), learning rate {settings.learning_rate:g}, "
        f"weight decay {settings.weight_decay:g}",
        label: ", ".join(losses),
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
