"""``python -m minisearch.minilm TEXT TEXT...``: print the similarity matrix of texts."""

from __future__ import annotations

import shutil
from collections.abc import Sequence

import click

from minisearch.errors import InputError, MinisearchError
from minisearch.manifest import DEFAULT_MODEL

EXAMPLES = ("The quick brown fox jumps over the lazy dog", "I love natural language processing")


@click.command(
    context_settings={
        "help_option_names": ["-h", "--help"],
        "token_normalize_func": lambda option: option.replace("_", "-"),  # accept --max_length
    }
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
    """A numbered line for each text, and the table of cosines."""
    if len(texts) < 2:
        raise InputError("expected two or more texts, each in quotes, got one")
    from minisearch.minilm import SentenceTransformer  # here, because --help needs no torch

    # In float32, so that every machine prints the same digits.
    model = SentenceTransformer.from_pretrained(name, dtype="float32", max_length=max_length, offline=offline)
    vectors = model.encode(texts)
    numbers = range(1, len(texts) + 1)
    n_digits = len(str(len(texts)))
    width = max(shutil.get_terminal_size().columns - n_digits - 2, 10)
    lines = [f"{n:{n_digits}}  {_line(text, width)}" for n, text in zip(numbers, texts, strict=True)]
    lines += ["", " " * n_digits + "".join(f"{n:7}" for n in numbers)]
    for n, row in zip(numbers, model.similarity(vectors, vectors), strict=True):
        lines.append(f"{n:{n_digits}}" + "".join(f"{cosine:7.3f}" for cosine in row))
    return "\n".join(lines)


def _line(text: str, width: int) -> str:
    """The beginning of a text on one line, without control characters."""
    line = "".join(character if character.isprintable() else " " for character in text)
    line = " ".join(line.split())
    return line if len(line) <= width else f"{line[: width - 1]}…"


if __name__ == "__main__":
    main(prog_name="python -m minisearch.minilm")
