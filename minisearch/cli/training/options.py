"""What the training commands share: options, progress on standard error, and the table at the end."""

from __future__ import annotations

import functools
import importlib
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from minisearch.cli.options import (
    A_FILE,
    AnyFunction,
    Quantity,
    number,
    one_of,
    section,
    wrong_usage,
)
from minisearch.cli.progress import FIRST_LINE_S, LINE_S, clock
from minisearch.cli.terminal import fitting, one_line, printable
from minisearch.errors import InputError, install_line

if TYPE_CHECKING:
    from minisearch.training.job import Job, Report
    from minisearch.training.trainer import TrainingProgress

# As in training.trainer, which --help must not import: it needs torch.
DTYPES = ("auto", "float32", "bfloat16")
length = section("Length (one of them)")
how = section("How to train")

dtype_option = how(
    "--dtype",
    **one_of(DTYPES, "dtype"),
    default="auto",
    help="What layers compute in. auto: bfloat16 if the hardware has it, else float32.",
)
corpus_option = functools.partial(
    click.option, "--corpus", metavar="PATH", type=A_FILE, multiple=True, help="Texts; repeatable."
)


def training_options(
    *, batch_size: str, learning_rate: str, has_dtype: bool = True
) -> Callable[[AnyFunction], AnyFunction]:
    """A decorator for training commands: adds the options of `training.job.Job`, except the corpus.

    Options have the names of the fields.  The arguments are the defaults, for the help; a model without
    layers needs no dtype.
    """
    options = [
        click.option(
            "--out", metavar="FOLDER", type=A_FILE, required=True, help="A new folder for the model."
        ),
        click.option(
            "--resume", "is_resumed", is_flag=True, help="Go on with an unfinished run of the same command."
        ),
        click.option("--offline", "is_offline", is_flag=True, help="Never open a network connection."),
        length("--steps", **number(), help="Steps of the optimiser."),
        length("--minutes", type=Quantity(0, min_open=True), metavar="M", help="Minutes of training."),
        how("--batch-size", **number(), help=f"Examples in a step.  [default: {batch_size}]"),
        how(
            "--learning-rate",
            type=Quantity(0, 1, min_open=True),
            metavar="X",
            help=f"Highest learning rate.  [default: {learning_rate}]",
        ),
        how(
            "--checkpoint-minutes",
            type=Quantity(0),
            default=10,
            show_default=True,
            metavar="M",
            help="Time between two checkpoints.",
        ),
        *([dtype_option] if has_dtype else []),
        how("--seed", **number(0, least=0), help="Seed of weights, order and dropout."),
    ]

    def decorate(command: AnyFunction) -> AnyFunction:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def train_and_show(module: str, job_class: str, options: dict[str, Any]) -> Report:
    """Run the job of a module of `training`, its progress on standard error.

    Prints what was not read and the comparison of the models.
    """
    steps, pairs = options["steps"], options.get("pairs")
    with wrong_usage():
        if (steps is None) == (options["minutes"] is None):
            raise InputError(
                f"give {'only one of --steps and --minutes' if steps else '--steps or --minutes'}"
            )
        if "pairs" in options and bool(options["corpus"]) == (pairs is not None):
            raise InputError("give either --corpus or --pairs")
    # Imported here: --help must not import torch.
    from minisearch.training import processes
    from minisearch.training.report import NOT_MEASURED, table

    trainer = importlib.import_module(f"minisearch.training.{module}")
    job: Job = getattr(trainer, job_class)(**options)
    with processes.joined():
        is_first = processes.rank() == 0  # of several processes, which shows what happens
        counter = _Counter()
        shown = {"on_step": counter.step, "on_progress": counter.update} if is_first else {}
        try:
            report: Report = trainer.run(job, **shown)
        except KeyboardInterrupt:
            counter.close()
            if is_first and job.unfinished():
                click.echo("The state is kept: the same command with --resume goes on from it.", err=True)
            raise
        finally:
            counter.close()
    if not is_first:
        click.get_current_context().exit()
    for path, reason in report.skipped:
        click.echo(printable(f"not read   {one_line(path)}: {reason}"), err=True)
    if not report.has_plot:
        click.echo(f"Note: no plot of the losses: {install_line('eval')}", err=True)
    if report.rows and not report.rows[0].quality:
        click.echo(f"Note: {NOT_MEASURED}", err=True)
    show_table(table(report.rows))
    return report


def show_table(cells: Sequence[Sequence[str]]) -> None:
    """Print rows of cells: the first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        first, *others = (f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True))
        click.echo(printable("  ".join([f"{row[0]:<{len(first)}}", *others]).rstrip()))


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
        measure = "".join(f"last {name} {value:.3f}, " for name, value in list(done.measures.items())[-1:])
        self._show(
            f"{phase}: step {done.step:,}{of}, loss {done.loss:.3f} ({losses}), {measure}"
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
