"""``minisearch index``: files and folders into the index; which of their files, and what that would do.

Options come in, one call of `MiniSearch.index` or `MiniSearch.preview` goes out, and a report is printed.
"""

from __future__ import annotations

import contextlib
import re
import shlex
import sys
from pathlib import Path

import click

import minisearch
from minisearch.cli import show
from minisearch.cli.coverage import preview_text
from minisearch.cli.options import (
    EXIT_INTERRUPTED,
    PathsCommand,
    SectionedCommand,
    common,
    json_option,
    model_name,
    offline_option,
    one_of,
    section,
    set_up_logging,
    wrong_usage,
)
from minisearch.cli.progress import Progress
from minisearch.cli.terminal import one_line
from minisearch.errors import IndexNotFound, InputError, short
from minisearch.manifest import AS_USUAL, DTYPES, FileChoice
from minisearch.paths import find_index, index_here
from minisearch.vectors import backend_names

UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "ki": 2**10, "mi": 2**20, "gi": 2**30}

choosing, making = section("Which files"), section("How")


class IndexCommand(PathsCommand, SectionedCommand):
    """It takes paths, and its options stand in sections."""


backend_option = making(
    "--backend",
    type=one_of(backend_names(), "backend"),
    metavar="|".join(backend_names()),
    help="The kind of vector index.  [default: faiss]",
)


@click.command(cls=IndexCommand)
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@choosing(
    "--include", metavar="GLOB", multiple=True, help="Only these, hidden and ignored ones too; repeatable."
)
@choosing(
    "--exclude", metavar="GLOB", multiple=True, help="None of these, whatever else says so; repeatable."
)
@choosing("--max-bytes", metavar="SIZE", help="Pass over larger files.  [default: 50MB]")
@choosing(
    "--keep-secrets/--blank-secrets", default=None, help="Read keys, tokens and files of such as they are."
)
@choosing("--forget-choices", is_flag=True, help="Drop what earlier runs chose for these folders.")
@making("--dry-run", is_flag=True, help="List what would be done, and do nothing.")
@making("--prune", is_flag=True, help="Let a run remove more than a fifth of all documents.")
@backend_option
@making(
    "--model",
    type=model_name,
    metavar="NAME",
    help="A checkpoint's name or folder.  [default: all-MiniLM-L6-v2]",
)
@making(
    "--dtype",
    type=one_of(DTYPES, "dtype"),
    metavar="|".join(DTYPES),
    default="auto",
    help="What the model computes in.  [default: auto]",
)
@offline_option
@json_option
@common
def index(
    paths: tuple[Path, ...],
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    max_bytes: str | None,
    keep_secrets: bool | None,
    forget_choices: bool,
    dry_run: bool,
    prune: bool,
    backend: str | None,
    model: str | None,
    dtype: str,
    offline: bool,
    as_json: bool,
    index_folder: Path | None,
    verbose: bool,
) -> None:
    """Bring the index up to date with files and folders.

    New and changed files are read, cut into passages and embedded; files that are gone leave the index.
    What has not changed is not embedded again. Without PATHS, all that the index was made of is looked at.

    Hidden files are left out, and those that .gitignore or .minisearchignore name: the latter is for
    minisearch alone, is stronger and may take back in with "!". Keys and tokens are blanked, and files that
    are secret by their name passed over.

    A GLOB is read as in a .gitignore of each folder given. Choices are kept with the index: later runs over
    the same folders make them again until others are given.
    """
    set_up_logging(verbose)
    choice = _choice(include, exclude, max_bytes, keep_secrets, forget=forget_choices)
    folder, named = folder_and_paths(index_folder, paths)
    here = "" if index_folder is None else f" --index {shlex.quote(one_line(str(folder)))}"
    with (
        minisearch.MiniSearch(folder, model=model, dtype=dtype, offline=offline) as ms,
        Progress() as progress,
    ):
        roots = named or ms.roots()
        if dry_run:
            preview = ms.preview(*roots, choice=choice, prune=prune)
            click.echo(show.as_json(preview) if as_json else preview_text(preview, verbose=verbose))
            return
        try:
            report = ms.index(
                *roots, backend=backend, choice=choice, prune=prune, on_progress=progress.update
            )
        except KeyboardInterrupt:
            progress.stop()
            click.echo("Interrupted: every finished document is kept; the same command goes on", err=True)
            sys.exit(EXIT_INTERRUPTED)
    click.echo(show.as_json(report) if as_json else show.report(report, verbose=verbose, index=here))


def folder_and_paths(index_folder: Path | None, paths: tuple[Path, ...]) -> tuple[Path, list[str]]:
    """The index folder, and the paths to index; without any, the index above is meant, and all it follows."""
    if index_folder is not None:
        return index_folder, list(map(str, paths))
    if not paths:
        return find_index(), []
    folder = index_here()
    _tell_of_an_index_above(folder)
    return folder, list(map(str, paths))


@wrong_usage()
def _choice(
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    max_bytes: str | None,
    keep_secrets: bool | None,
    *,
    forget: bool,
) -> FileChoice | None:
    """What was chosen, None where nothing was."""
    choice = FileChoice(
        include=include or None,
        exclude=exclude or None,
        max_bytes=None if max_bytes is None else parse_size(max_bytes),
        keep_secrets=keep_secrets,
    )
    if choice.include or choice.exclude:
        from minisearch.indexing.plan import check_choice  # it comes with all that reads files

        check_choice(choice)
    if forget:
        return FileChoice(
            include=choice.include or AS_USUAL.include,
            exclude=choice.exclude or AS_USUAL.exclude,
            max_bytes=choice.max_bytes or AS_USUAL.max_bytes,
            keep_secrets=bool(choice.keep_secrets),
        )
    return None if choice == FileChoice() else choice


def parse_size(text: str) -> int:
    """The number of bytes that a size names; InputError where it names none.

    >>> parse_size("50MB"), parse_size("1.5 GiB"), parse_size("800")
    (50000000, 1610612736, 800)
    """
    found = re.fullmatch(r"([0-9]{1,15}(?:\.[0-9]{1,3})?) ?(|[kmg]i?)b?", text.strip().lower())
    n = int(float(found[1]) * UNITS[found[2]]) if found else 0
    if n < 1:
        raise InputError(f"--max-bytes {short(text)!r} is no size: expected one such as 800kB, 50MB or 2GB")
    return n


def _tell_of_an_index_above(folder: Path) -> None:
    """Say so when a new index here will hide one that queries from here have used until now."""
    with contextlib.suppress(IndexNotFound, InputError):  # none, or another user's
        above = find_index()
        if above != folder:
            click.echo(
                f"Note: there is an index in {above}; making another one here. "
                f"To add to that one instead, use --index {above}",
                err=True,
            )
