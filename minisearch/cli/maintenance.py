"""``verify``, ``rollback``, ``backup`` and ``restore``: check an index, undo a change, copy and restore it.

Options come in, one call of `MiniSearch` goes out, and its outcome is printed.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from minisearch.cli.options import A_FILE, IndexChoice, json_option, number, offline_option, with_index
from minisearch.cli.terminal import as_json_line, count, one_line, size
from minisearch.paths import index_here

if TYPE_CHECKING:
    from minisearch.types import Verification

file_argument = click.argument("file", type=A_FILE)


@click.command()
@click.option("-n", "n", **number(20), help="Documents to check.")
@click.option("--seed", type=int, default=0, show_default=True, metavar="N", help="Seed of the sample.")
@offline_option
@json_option
@with_index
def verify(index: IndexChoice, n: int, seed: int, as_json: bool) -> None:
    """Check the index, and compare a sample of it with its files.

    The whole database is checked, and the vector index against it. A sample of the documents is read, split
    and embedded again: passages, vectors and rankings must be the same. Exit code 1 when anything differs.
    """
    with index.open() as ms:
        found = ms.verify(n, seed=seed)
    click.echo(as_json_line(found) if as_json else _verification_text(found))
    if found.problems:
        raise SystemExit(1)


def _verification_text(found: Verification) -> str:
    lines = [one_line(f"problem    {problem}") for problem in found.problems]
    lines.append(
        f"database   {count(found.n_documents, 'document')}, {count(found.n_chunks, 'chunk')}: all checked"
    )
    changed = f"; {found.n_changed:,} not compared, changed or deleted since" if found.n_changed else ""
    closed = (
        f"; {found.n_closed:,} not opened: their folder is not named to this index at its present place; "
        f"to name it: minisearch index PATH"
        if found.n_closed
        else ""
    )
    lines.append(f"files      {count(found.n_read, 'document')} read and split again{changed}{closed}")
    if found.n_embedded:
        embedded = (
            f"{count(found.n_embedded, 'passage')} embedded again, cosine {found.least_cosine:.4f} or more"
        )
        lines.append(f"vectors    {embedded}; the index finds {found.recall:.1%} of the exact ten nearest")
    return "\n".join([*lines, "Problems found: see above" if found.problems else "All checks passed"])


@click.command()
@with_index
def rollback(index: IndexChoice) -> None:
    """Undo the last change of the index.

    Your files are not changed. Run it again to redo the change.
    """
    with index.open() as ms:
        undone = ms.rollback()
    here = index.argument
    done = [
        f"{count(n, 'document')} {what}"
        for n, what in (
            (undone.removed, "removed"),
            (undone.added, "restored"),
            (undone.updated, "back to the earlier version"),
        )
        if n
    ]
    click.echo(
        f"Undone: {', '.join(done) or 'no document differs'}. Run 'minisearch rollback{here}' again to redo; "
        f"the next 'minisearch index{here}' brings the index up to date with the files"
    )


@click.command()
@file_argument
@with_index
def backup(index: IndexChoice, file: Path) -> None:
    """Copy the whole index into one file.

    Others may read and write meanwhile. "minisearch restore FILE" makes an index of it again.
    """
    with index.open() as ms:
        ms.backup(file)
        n = ms.status().n_documents
    click.echo(f"Copied {count(n, 'document')} to {file} ({size(file.stat().st_size)})")


@click.command()
@file_argument
@with_index
def restore(index: IndexChoice, file: Path) -> None:
    """Make an index from a backup.

    The index is made in .minisearch here, or in the folder of --index; there must be none yet. It looks for
    its files from the folder that contains it, as before the backup.
    """
    with index.open(default=index_here) as ms:
        n_absent = ms.restore(file)
        found = ms.status()
    click.echo(f"Restored {count(found.n_documents, 'document')} into {found.path}")
    if n_absent:
        click.echo(
            f"Note: {n_absent:,} of their files do not exist below {Path(found.path).absolute().parent}: "
            f"queries work, but these paths do not open. Keep an index beside the files that it was made of",
            err=True,
        )
