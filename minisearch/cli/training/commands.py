"""``minisearch train``: make models for one's own documents.

Options come in, one call of a module of `training` goes out; its comparison is printed, its progress shown
on standard error.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from minisearch.cli.options import (
    A_FILE,
    A_MODEL,
    AnyFunction,
    Quantity,
    SectionedCommand,
    number,
    one_of,
    section,
    wrong_usage,
)
from minisearch.cli.progress import StepCounter, clock
from minisearch.cli.terminal import one_line, printable, table_lines
from minisearch.errors import InputError, install_line
from minisearch.manifest import DEFAULT_MODEL
from minisearch.text import count

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
corpus_option = partial(
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
        counter = StepCounter(prints_lines=True)
        shown = {"on_step": counter.show, "on_progress": partial(_show_progress, counter)} if is_first else {}
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
    click.echo(printable("\n".join(table_lines(table(report.rows)))))
    return report


def _show_progress(counter: StepCounter, phase: str, done: TrainingProgress) -> None:
    of = "" if done.steps is None else f"/{done.steps:,}"
    losses = ", ".join(f"{name} {loss:.3f}" for name, loss in done.losses.items())
    measure = "".join(f"last {name} {value:.3f}, " for name, value in list(done.measures.items())[-1:])
    counter.show(
        f"{phase}: step {done.step:,}{of}, loss {done.loss:.3f} ({losses}), {measure}"
        f"{done.tokens_per_s:,.0f} tokens/s, {clock(done.left_s)} left",
        is_due=done.step == done.steps or None,
    )


# --- the commands ------------------------------------------------------------------------------------

# As in training.distillation and students, which --help must not import: they need torch.
PRESETS = ("copied", "paper")
LOSSES = ("attention", "values", "relations", "hidden", "cosine", "similarity")
base_option = partial(click.option, **A_MODEL, default=DEFAULT_MODEL, show_default=True)
teacher_option = base_option("--teacher", help="Name or folder.")
model_option = base_option("--model", help="Embedder to begin with: name or folder.")
size = section("Size of the student (as the teacher by default)")


@click.group()
def train() -> None:
    """Train a model for your own documents."""


@train.command(cls=SectionedCommand)
@corpus_option(required=True)
@teacher_option
@training_options(batch_size="the preset's", learning_rate="the preset's")
@size("--layers", **number(), help="Number of layers.")
@size("--hidden", **number(), help="Width of the vectors.")
@size("--heads", **number(), help="Number of attention heads.")
@how(
    "--loss",
    "losses",
    **one_of(LOSSES, "loss"),
    multiple=True,
    help="Use this loss; repeatable.  [default: hidden and cosine, or those that fit]",
)
@how(
    "--relation-heads",
    "n_relation_heads",
    **number(),
    help="Heads of the loss 'relations'.  [default: the teacher's]",
)
@how(
    "--word-noise",
    type=Quantity(0, 1),
    default=0.8,
    show_default=True,
    metavar="X",
    help="Replace up to this share of a text's words by random ones.",
)
@how(
    "--preset",
    **one_of(PRESETS, "preset"),
    help="copied: 32 texts, 5e-4, no dropout. paper: 256, 3e-4, 0.1 (1024, 5e-4 for 6 layers of 768).  "
    "[default: copied for the teacher's width, else paper]",
)
@how(
    "--dropout",
    type=Quantity(0, 1, max_open=True),
    metavar="X",
    help="Dropout of the student.  [default: the preset's]",
)
def distill(**options: Any) -> None:  # noqa: ANN401 - the fields of `DistillationJob`
    """Make a smaller, faster model that imitates a larger one on your texts.

    \b
      minisearch train distill --layers 3 --minutes 40 --corpus docs --out my-model
      minisearch index --model ./my-model docs

    No labels are needed. The student is compared with its teacher in speed and, on queries made from the
    corpus, in quality. The folder can also be loaded by sentence-transformers.
    """  # noqa: D301 - click reads \b as "leave these lines unchanged"
    _show_student(train_and_show("distillation", "DistillationJob", options), options["out"])


@train.command(cls=SectionedCommand)
@corpus_option(required=True)
@teacher_option
@training_options(batch_size="256", learning_rate="3e-3", has_dtype=False)
@how("--dimension", **number(), help="Width of the vectors.  [default: 256]")
def static(**options: Any) -> None:  # noqa: ANN401 - the fields of `StaticJob`
    """Make a static model from a teacher: one vector for each token, over fifty times as fast.

    \b
      minisearch train static --steps 1000 --corpus docs --out my-static
      minisearch index --model ./my-static docs

    It knows no context, so it finds less; words are searched as well as before. No labels are needed. The
    folder can also be loaded by model2vec and sentence-transformers.
    """  # noqa: D301 - click reads \b as "leave these lines unchanged"
    _show_student(train_and_show("static", "StaticJob", options), options["out"])


def _show_student(report: Report, out: Path) -> None:
    teacher_row, *_, student_row = report.rows
    if teacher_row.tokens_per_s and student_row.tokens_per_s:
        ratio = student_row.tokens_per_s / teacher_row.tokens_per_s
        times = f"{ratio:.2f}" if ratio < 10 else f"{ratio:.0f}"
        click.echo(
            f"Trained on {count(report.n_documents, 'document')}; {times} times as fast as the teacher"
        )
    _show_saved(out, "index --model {} PATH")


def _show_saved(out: Path, then: str) -> None:
    """Print where a model is, and the command that uses it: {} is the model."""
    # A bare name could be one of the catalog.
    model = str(out) if out.is_absolute() or str(out).startswith("..") else f"./{out}"
    click.echo(printable(f"Saved in {out}. Next: minisearch {then.format(model)}"))


pairs_option = click.option(
    "--pairs",
    metavar="FILE",
    type=A_FILE,
    help='JSON lines: {"query": ..., "passage": ..., "negatives": [...]}.',
)


@train.command(cls=SectionedCommand)
@model_option
@corpus_option(required=False)
@pairs_option
@training_options(batch_size="32", learning_rate="5e-5")
def finetune(**options: Any) -> None:  # noqa: ANN401 - the fields of `PairsJob`
    """Adapt an embedder to your documents, or to pairs of query and passage.

    \b
      minisearch train finetune --minutes 15 --corpus docs --out my-model
      minisearch index --model ./my-model docs

    Without labels: titles, headings and sentences of the corpus are the queries, and the passages are what
    follows them. The model is compared with what it was before on documents that are left out.
    """  # noqa: D301 - click reads \b as "leave these lines unchanged"
    train_and_show("finetuning", "PairsJob", options)
    _show_saved(options["out"], "index --model {} PATH")


@train.command(cls=SectionedCommand)
@model_option
@corpus_option(required=False)
@pairs_option
@training_options(batch_size="16", learning_rate="1e-4")
def rerank(**options: Any) -> None:  # noqa: ANN401 - the fields of `PairsJob`
    """Make a reranker, a cross-encoder, from an embedder.

    \b
      minisearch train rerank --minutes 30 --corpus docs --out my-reranker
      minisearch query --rerank-model ./my-reranker "how do I retry a failed task"

    The pairs of query and passage are as for finetune. The order of the reranker is compared with that of the
    embedder on documents that are left out. It takes many pairs and hours to make a useful one.
    """  # noqa: D301 - click reads \b as "leave these lines unchanged"
    report = train_and_show("reranking", "PairsJob", options)
    of_embedder, of_reranker = (list(row.quality.items())[-1:] for row in report.rows)
    if not of_reranker:
        click.echo(
            "It may order worse than the embedder: search with and without it before you use it", err=True
        )
    for (name, before), (_, after) in zip(of_embedder, of_reranker, strict=True):
        if after < before:
            click.echo(
                f"Not useful yet: its {name} is below the embedder's; train longer, on more pairs", err=True
            )
    _show_saved(options["out"], "query --rerank-model {} TEXT")


table_columns = section("Columns (a name in the header, or a number from 1)")


@train.command(cls=SectionedCommand)
@click.option("--train", metavar="FILE", type=A_FILE, required=True, help="Examples: a table with tabs.")
@click.option(
    "--dev", metavar="FILE", type=A_FILE, help="Examples to measure with.  [default: a tenth of the others]"
)
@model_option
@training_options(batch_size="32", learning_rate="5e-5")
@table_columns("--text", metavar="COLUMN", default="sentence", show_default=True, help="The text.")
@table_columns("--second", metavar="COLUMN", help="A second text, for pairs.")
@table_columns("--label", metavar="COLUMN", default="label", show_default=True, help="The label.")
def classify(**options: Any) -> None:  # noqa: ANN401 - the fields of `ClassificationJob`
    """Make a classifier of texts, or of pairs, from an embedder.

    \b
      minisearch train classify --train train.tsv --dev dev.tsv --steps 500 --out my-classifier
      minisearch train classify --train mrpc.tsv --text 4 --second 5 --label 1 --steps 500 --out my-classifier

    A file has a header, then an example in each line, its columns separated by tabs, as the files of GLUE.
    """  # noqa: D301 - click reads \b as "leave these lines unchanged"
    report = train_and_show("classification", "ClassificationJob", options)
    click.echo("\nLabels of the examples (rows), and those that they got (columns):")
    rows = zip(report.labels, report.counts, strict=True)
    cells = [["", *report.labels], *([one, *map(str, counts)] for one, counts in rows)]
    click.echo(printable("\n".join(table_lines(cells))))
    click.echo(printable(f"Saved in {options['out']}"))
