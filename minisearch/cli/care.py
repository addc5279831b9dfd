"""``verify``, ``rollback``, ``backup`` and ``restore``: what keeps an index sound, and brings it back."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

import minisearch
from minisearch.cli import show
from minisearch.cli.options import common, json_option, offline_option, set_up_logging
from minisearch.cli.terminal import one_line
from minisearch.paths import find_index, index_here


@click.command()
@click.option(
    "-n",
    "n",
    type=click.IntRange(1),
    default=20,
    show_default=True,
    metavar="N",
    help="How many documents to read again.",
)
@click.option("--seed", type=int, default=0, show_default=True, metavar="N", help="Which ones.")
@offline_option
@json_option
@common
def verify(n: int, seed: int, offline: bool, as_json: bool, index_folder: Path | None, verbose: bool) -> None:
    """Compare the index with a fresh one, on a sample.

    The whole database is checked, and the vector index against it. A sample of the documents is read, cut and
    embedded again: passages, vectors and rankings must be the same. Exit code 1 when anything is not.
    """
    set_up_logging(verbose)
    with minisearch.MiniSearch(index_folder or find_index(), offline=offline) as ms:
        found = ms.verify(n, seed=seed)
    click.echo(show.as_json(found) if as_json else show.verification(found))
    if found.problems:
        raise SystemExit(1)


@click.command()
@common
def rollback(index_folder: Path | None, verbose: bool) -> None:
    """Go back to the index as it was before its last change.

    Your files stay as they are. Once more, and the change is made again.
    """
    set_up_logging(verbose)
    with minisearch.MiniSearch(index_folder or find_index()) as ms:
        undone = ms.rollback()
    here = "" if index_folder is None else f" --index {shlex.quote(one_line(str(index_folder)))}"
    click.echo(
        f"Went back: {show.count(undone.added, 'document')} returned, {undone.updated:,} as before, "
        f"{undone.removed:,} gone again. The next 'minisearch index{here}' follows the files; to return now: "
        f"minisearch rollback{here}"
    )


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@common
def backup(file: Path, index_folder: Path | None, verbose: bool) -> None:
    """Copy the whole index, as it is at this moment, into one file.

    Others may read and write meanwhile. "minisearch restore FILE" makes an index of it again.
    """
    set_up_logging(verbose)
    with minisearch.MiniSearch(index_folder or find_index()) as ms:
        ms.backup(file)
        n = ms.status().n_documents
    click.echo(f"Copied {show.count(n, 'document')} to {file} ({show.n_bytes(file.stat().st_size)})")


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@common
def restore(file: Path, index_folder: Path | None, verbose: bool) -> None:
    """Make an index of a backup.

    Where there is none yet: in .minisearch here, or in the folder that --index names. Files are looked for
    from the folder that it lies in, as they were where it was backed up.
    """
    set_up_logging(verbose)
    with minisearch.MiniSearch(index_folder or index_here()) as ms:
        n_absent = ms.restore(file)
        found = ms.status()
    click.echo(f"Restored {show.count(found.n_documents, 'document')} into {found.path}")
    if n_absent:
        click.echo(
            f"Note: {n_absent:,} of their files are not where this index looks for them, below "
            f"{Path(found.path).absolute().parent}: answers are whole, but their paths do not open. An index "
            f"belongs beside the files that it was made of",
            err=True,
        )
