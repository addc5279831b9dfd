"""``minisearch train``: make models for one's own documents.

Options come in, one call of `training.job` goes out; its comparison is printed, its progress shown on
standard error.
"""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from minisearch.cli.options import (
    A_FILE,
    SectionedCommand,
    model_name,
    number,
    offline_option,
    one_of,
    section,
    wrong_usage,
)
from minisearch.cli.progress import FIRST_LINE_S, LINE_S, clock
from minisearch.cli.terminal import fitting, one_line, printable
from minisearch.errors import InputError, install_line
from minisearch.manifest import DEFAULT_MODEL
from minisearch.text import count

if TYPE_CHECKING:
    from minisearch.training.distillation import Loss
    from minisearch.training.trainer import TrainingProgress

# As in training.distillation, which --help must not import: it needs torch.
LOSSES = ("attention", "values", "relations", "embedding")
size = section("Size of the student (as the teacher by default)")
length = section("Length (one of them)")
how = section("How to train")


@click.group()
def train() -> None:
    """Train a model for your own documents."""


@train.command(cls=SectionedCommand)
@click.option(
    "--corpus", metavar="PATH", type=A_FILE, multiple=True, required=True, help="Texts; repeatable."
)
@click.option("--out", metavar="FOLDER", type=A_FILE, required=True, help="A new folder for the student.")
@click.option(
    "--teacher",
    type=model_name,
    metavar="NAME",
    default=DEFAULT_MODEL,
    show_default=True,
    help="Name or folder.",
)
@click.option("--resume", is_flag=True, help="Go on with an unfinished run of the same command.")
@offline_option
@size("--layers", **number(), help="Number of layers.")
@size("--hidden", **number(), help="Width of the vectors.")
@size("--heads", **number(), help="Number of attention heads.")
@length("--steps", **number(), help="Steps of the optimiser.")
@length("--minutes", type=click.FloatRange(0, min_open=True), metavar="M", help="Minutes of training.")
@how(
    "--loss",
    "losses",
    **one_of(LOSSES, "loss"),
    multiple=True,
    help="Use this loss; repeatable.  [default: all that fit]",
)
@how("--relation-heads", **number(), help="Heads of the loss 'relations'.  [default: the teacher's]")
@how("--batch-size", **number(), help="Texts in a step.  [default: 256, or 1024 for 6 layers of 768]")
@how(
    "--learning-rate",
    type=click.FloatRange(0, 1, min_open=True),
    metavar="X",
    help="Highest learning rate.  [default: 3e-4, or 5e-4 for 6 layers of 768]",
)
@how(
    "--dropout",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.1,
    show_default=True,
    metavar="X",
    help="Dropout of the student.",
)
@how(
    "--checkpoint-minutes",
    type=click.FloatRange(0),
    default=10,
    show_default=True,
    metavar="M",
    help="Time between two checkpoints.",
)
@how("--seed", **number(0, least=0), help="Seed of weights, order and dropout.")
def distill(
    corpus: tuple[Path, ...],
    out: Path,
    teacher: str,
    resume: bool,
    offline: bool,
    layers: int | None,
    hidden: int | None,
    heads: int | None,
    steps: int | None,
    minutes: float | None,
    losses: tuple[str, ...],
    relation_heads: int | None,
    batch_size: int | None,
    learning_rate: float | None,
    dropout: float,
    checkpoint_minutes: float,
    seed: int,
) -> None:
    """Make a smaller, faster model that imitates a larger one on your texts.

    \b
      minisearch train distill --layers 3 --minutes 40 --corpus docs --out my-model
      minisearch index --model ./my-model docs

    No labels are needed. The student is compared with its teacher in speed and, on queries made from the
    corpus, in quality. The folder can also be loaded by sentence-transformers.
    """  # noqa: D301 - click reads \b as "leave these lines unchanged"
    with wrong_usage():
        if (steps is None) == (minutes is None):
            raise InputError("give either --steps or --minutes")
    # Imported here: --help must not import torch.
    from minisearch.training.job import Job, run
    from minisearch.training.report import table

    job = Job(
        teacher=teacher,
        corpus=corpus,
        out=out,
        layers=layers,
        hidden=hidden,
        heads=heads,
        losses=cast("tuple[Loss, ...]", losses),
        n_relation_heads=relation_heads,
        steps=steps,
        minutes=minutes,
        learning_rate=learning_rate,
        batch_size=batch_size,
        dropout=dropout,
        seed=seed,
        checkpoint_minutes=checkpoint_minutes,
        is_resumed=resume,
        is_offline=offline,
    )
    counter = _Counter()
    try:
        report = run(job, on_step=counter.step, on_progress=counter.update)
    finally:
        counter.close()
    for path, reason in report.skipped:
        click.echo(printable(f"not read   {one_line(path)}: {reason}"), err=True)
    if not report.has_plot:
        click.echo(f"Note: no plot of the losses: {install_line('eval')}", err=True)
    cells = table(report.rows)
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        first, *others = (f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join([f"{row[0]:<{len(first)}}", *others]).rstrip())
    teacher_row, *_, student_row = report.rows
    if teacher_row.tokens_per_s and student_row.tokens_per_s:
        ratio = student_row.tokens_per_s / teacher_row.tokens_per_s
        click.echo(
            f"Trained on {count(report.n_documents, 'document')}; {ratio:.2f} times as fast as the teacher"
        )
    click.echo(printable(f"Saved in {out}. Next: minisearch index --model {_as_model(out)} PATH"))


def _as_model(folder: Path) -> str:
    """The folder as --model takes it: a bare name could be one of the catalog."""
    return str(folder) if folder.is_absolute() or str(folder).startswith("..") else f"./{folder}"


class _Counter:
    """Steps and losses on standard error: one line that changes on a terminal, else now and then a line."""

    def __init__(self) -> None:
        self._is_terminal = sys.stderr.isatty()
        self._next_line_s = time.monotonic() + FIRST_LINE_S

    def step(self, name: str) -> None:
        """Show what begins."""
        self._show(name)

    def update(self, phase: str, done: TrainingProgress) -> None:
        """Show the state of the training."""
        now_s = time.monotonic()
        if not self._is_terminal and now_s < self._next_line_s and done.step != done.steps:
            return
        self._next_line_s = now_s + LINE_S
        of = "" if done.steps is None else f"/{done.steps:,}"
        losses = ", ".join(f"{name} {loss:.3f}" for name, loss in done.losses.items())
        self._show(
            f"{phase}: step {done.step:,}{of}, loss {done.loss:.3f} ({losses}), "
            f"{done.tokens_per_s:,.0f} tokens/s, {clock(done.left_s)} left"
        )

    def close(self) -> None:
        """Remove the line."""
        if self._is_terminal:
            click.echo("\r\x1b[K", nl=False, err=True)

    def _show(self, line: str) -> None:
        if self._is_terminal:
            line = line[: fitting(line, shutil.get_terminal_size().columns - 1)]
            click.echo(f"\r\x1b[K{line}", nl=False, err=True)
        else:
            click.echo(line, err=True)
