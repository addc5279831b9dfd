"""``minisearch train``: make models for one's own documents.

Options come in, one call of a module of `training` goes out; its comparison is printed, its progress shown
on standard error.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from minisearch.cli.options import (
    A_FILE,
    A_MODEL,
    Quantity,
    SectionedCommand,
    number,
    one_of,
    section,
)
from minisearch.cli.terminal import printable
from minisearch.cli.training.options import (
    corpus_option,
    how,
    show_table,
    train_and_show,
    training_options,
)
from minisearch.manifest import DEFAULT_MODEL
from minisearch.text import count

if TYPE_CHECKING:
    from minisearch.training.job import Report

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
    show_table([["", *report.labels], *([one, *map(str, counts)] for one, counts in rows)])
    click.echo(printable(f"Saved in {options['out']}"))
