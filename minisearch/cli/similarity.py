"""``minisearch similarity``: how near texts are in meaning, two of them or each to each."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

import minisearch
from minisearch.cli.options import common, json_option, offline_option, set_up_logging
from minisearch.cli.terminal import Terminal, fitting, one_line
from minisearch.errors import IndexNotFound
from minisearch.paths import INDEX_FOLDER, find_index


@click.command()
@click.argument("texts", nargs=-1)
@offline_option
@json_option
@common
def similarity(
    texts: tuple[str, ...], offline: bool, as_json: bool, index_folder: Path | None, verbose: bool
) -> None:
    """Print how near texts are in meaning.

    For two texts that is their cosine, at most 1; more texts give a table.

    The model is the index's, or the default one where there is no index. With --json: texts, and cosine of
    two texts or cosines, a row a text.
    """
    set_up_logging(verbose)
    if len(texts) < 2:
        raise click.UsageError(
            f'expected at least two texts, got {len(texts)}: minisearch similarity "one text" "another"'
        )
    with minisearch.MiniSearch(index_folder or _index_folder(), offline=offline) as ms:
        cosines: list[list[float]] = ms.similarity(*texts).tolist()
    if as_json:
        found = {"cosine": cosines[0][1]} if len(texts) == 2 else {"cosines": cosines}
        click.echo(json.dumps({"texts": texts, **found}))
    elif len(texts) == 2:
        click.echo(f"{cosines[0][1]:.3f}")
    else:
        click.echo("\n".join(_table(texts, cosines, Terminal.of_stdout().columns)))


def _index_folder() -> Path:
    try:
        return find_index()
    except IndexNotFound:
        return Path(INDEX_FOLDER)


def _table(texts: Sequence[str], cosines: Sequence[Sequence[float]], columns: int) -> Iterator[str]:
    """A row a text, a column a text; each row ends with the beginning of its text."""
    yield "   " + "".join(f"{number:>8}" for number in range(1, len(texts) + 1))
    for number, (text, row) in enumerate(zip(texts, cosines, strict=True), start=1):
        numbers = f"{number:>3}" + "".join(f"{cosine:>8.3f}" for cosine in row)
        label = one_line(text)
        yield f"{numbers}  {label[: fitting(label, max(8, columns - len(numbers) - 2))]}"
