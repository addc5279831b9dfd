"""``python -m minisearch.minilm TEXT TEXT...``: print the similarity matrix of texts."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from minisearch.errors import InputError, MinisearchError
from minisearch.manifest import DEFAULT_MODEL

if TYPE_CHECKING:
    from minisearch.types import FloatArray

EXAMPLES = ("The quick brown fox jumps over the lazy dog", "I love natural language processing")


def _with_hyphens(option: str) -> str:  # accept --max_length for --max-length
    return option.replace("_", "-")


@click.command(
    context_settings={"help_option_names": ["-h", "--help"], "token_normalize_func": _with_hyphens}
)
@click.argument("texts", nargs=-1, metavar="[TEXT TEXT...]")
@click.option(
    "--model",
    metavar="NAME",
    default=DEFAULT_MODEL,
    show_default=True,
    help="A checkpoint's name or folder.",
)
@click.option(
    "--max-length",
    type=int,
    metavar="N",
    help="Cut texts at N tokens.  [default: the checkpoint's own]",
)
@click.option("--offline", is_flag=True, help="Never open a network connection.")
def main(texts: tuple[str, ...], model: str, max_length: int | None, offline: bool) -> None:
    """Print how similar texts are: the cosine of each pair.

    It is 1 for texts with the same meaning, and about 0 for unrelated texts.

    Without texts, two example sentences are compared.
    """
    try:
        click.echo(_report(texts or EXAMPLES, model, max_length, offline))
    except MinisearchError as error:
        raise click.ClickException(str(error)) from error


def _report(texts: Sequence[str], name: str, max_length: int | None, offline: bool) -> str:
    if len(texts) < 2:
        raise InputError("expected two or more texts, each in quotes, got one")
    from minisearch.minilm import SentenceTransformer  # here, because --help needs no torch

    # In float32, so that every machine prints the same digits.
    model = SentenceTransformer.from_pretrained(name, dtype="float32", max_length=max_length, offline=offline)
    vectors = model.encode(texts)
    return "\n".join([*_legend(texts), "", *_matrix(model.similarity(vectors, vectors))])


def _legend(texts: Sequence[str]) -> list[str]:
    """One line for each text: its number and its beginning."""
    n_digits = len(str(len(texts)))
    width = max(shutil.get_terminal_size().columns - n_digits - 2, 10)
    return [f"{number:{n_digits}}  {_line(text, width)}" for number, text in enumerate(texts, 1)]


def _line(text: str, width: int) -> str:
    """The beginning of a text on one line, without control characters."""
    line = "".join(character if character.isprintable() else " " for character in text)
    line = " ".join(line.split())
    return line if len(line) <= width else f"{line[: width - 1]}…"


def _matrix(similarity: FloatArray) -> list[str]:  # (n, n)
    """The table of cosines, with the numbers of the texts as headings."""
    n_digits = len(str(len(similarity)))
    head = " " * n_digits + "".join(f"{number:7}" for number in range(1, len(similarity) + 1))
    rows = [
        f"{number:{n_digits}}" + "".join(f"{cosine:7.3f}" for cosine in row)
        for number, row in enumerate(similarity, 1)
    ]
    return [head, *rows]


if __name__ == "__main__":
    main(prog_name="python -m minisearch.minilm")
