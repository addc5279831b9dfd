"""``index``, ``watch``, ``rebuild`` and ``remove``: the commands that change what an index holds.

Options come in, calls of `MiniSearch` go out, and their reports are printed.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from minisearch.cli.analysis.alerts import on_alert_option, report_new
from minisearch.cli.options import (
    A_FILE,
    A_MODEL,
    EXIT_INTERRUPTED,
    MODEL_HELP,
    IndexChoice,
    SectionedCommand,
    complete_file,
    json_option,
    offline_option,
    one_of,
    section,
    with_index,
    wrong_usage,
)
from minisearch.cli.progress import Progress
from minisearch.cli.terminal import Terminal, as_json_line, name_line, one_line, printable
from minisearch.errors import IndexNotFound, IngestError, InputError, MinisearchError, short
from minisearch.manifest import BACKENDS, DEFAULT_CHOICE, DTYPES, FileChoice
from minisearch.paths import find_index, index_here
from minisearch.text import count

if TYPE_CHECKING:
    from minisearch.engine import MiniSearch
    from minisearch.indexing.plan import Preview
    from minisearch.types import IndexProgress, IndexStatus, IngestReport, Note, Skipped

LISTED_FILES = 5
UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "ki": 2**10, "mi": 2**20, "gi": 2**30}
STOPPED = "Stopped watching: the index is up to date as of the last line"

files_option, run_option = section("Which files"), section("How")
paths_argument = click.argument("paths", nargs=-1, type=A_FILE)
quiet_option = click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
backend_option = run_option(
    "--backend",
    **one_of(tuple(BACKENDS), "backend"),
    help="The kind of vector index.  [default: faiss]",
)


@click.command(cls=SectionedCommand)
@paths_argument
@files_option(
    "--include", metavar="GLOB", multiple=True, help="Only these, even if hidden or ignored; repeatable."
)
@files_option("--exclude", metavar="GLOB", multiple=True, help="None of these, in any case; repeatable.")
@files_option("--max-bytes", metavar="SIZE", help="Skip larger files.  [default: 50MB]")
@files_option(
    "--keep-secrets/--blank-secrets", default=None, help="Index keys and tokens, and files of them."
)
@files_option("--ocr/--no-ocr", default=None, help="Read scanned pages of PDFs with Tesseract; slow.")
@files_option(
    "--forget-choices", is_flag=True, help="Forget the file options of earlier runs for these folders."
)
@run_option("--dry-run", is_flag=True, help="List what would be done, and do nothing.")
@run_option("--prune", is_flag=True, help="Allow a run to remove more than a fifth of all documents.")
@backend_option
@run_option("--model", **A_MODEL, help=MODEL_HELP)
@run_option(
    "--dtype",
    **one_of(DTYPES, "dtype"),
    default="auto",
    help="Number format of the model.  [default: auto]",
)
@on_alert_option
@offline_option
@json_option
@quiet_option
@with_index
def index(
    index: IndexChoice,
    paths: tuple[Path, ...],
    dry_run: bool,
    prune: bool,
    backend: str | None,
    model: str | None,
    dtype: str,
    on_alert: str | None,
    as_json: bool,
    quiet: bool,
    **given: Any,  # noqa: ANN401 - the arguments of `_file_choice`
) -> None:
    """Bring the index up to date with files and folders.

    New and changed files are read, split into passages and embedded; deleted files leave the index. Passages
    that have not changed are not embedded again. Without PATHS, all that was indexed before is checked.

    Hidden files, and files matched by .gitignore or .minisearchignore, are left out. The latter is for
    minisearch only; it takes precedence and can include files again with "!". Keys and tokens are blanked,
    and files whose name says that they hold secrets are skipped.

    A GLOB has the syntax of .gitignore, in each given folder. The file options are stored in the index: later
    runs over the same folders use them until others are given. The exit code is 1 if a file of PATHS is not
    indexed.
    """
    choice, named = _file_choice(**given), {*map(os.path.abspath, paths)}
    paths = paths or index.paths
    find = partial(_new_index_folder, paths) if paths else find_index
    progress = Progress(is_shown=not quiet, prints_lines=not as_json)
    with index.open(default=find, model=model, dtype=dtype) as ms, progress:
        roots = list(map(str, paths)) or _known_roots(ms, index)
        if dry_run:
            preview = ms.preview(*roots, choice=choice, prune=prune)
            click.echo(
                as_json_line(preview)
                if as_json
                else Terminal.of_stdout().wrapped(_preview_text(preview, index))
            )
            return
        try:
            report = ms.index(
                *roots, backend=backend, choice=choice, prune=prune, on_progress=progress.update
            )
        except (KeyboardInterrupt, SystemExit) as error:
            progress.stop()
            click.echo(f"Interrupted: {_kept(progress.done)}", err=True)
            sys.exit(error.code if isinstance(error, SystemExit) else EXIT_INTERRUPTED)
        progress.stop()
        not_taken = {one.path for one in report.skipped if os.path.abspath(one.path) in named}  # noqa: PTH100 - any name
        as_before = tuple(path for path in report.as_before if path not in not_taken)
        text = as_json_line(report) if as_json else _report_text(replace(report, as_before=as_before), index)
        click.echo(text if as_json else Terminal.of_stdout().wrapped(text))
        report_new(ms, command=on_alert, as_json=as_json)
    if report.n_failed or not_taken:
        sys.exit(1)


@click.command()
@paths_argument
@click.option("--model", **A_MODEL, help=MODEL_HELP)
@on_alert_option
@offline_option
@json_option
@quiet_option
@with_index
def watch(
    index: IndexChoice,
    paths: tuple[Path, ...],
    model: str | None,
    on_alert: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Keep the index up to date until Ctrl-C.

    A saved file can be found two seconds later. Without PATHS, everything that was indexed before is watched.
    Needs the extra watch: pip install 'minisearch-local[watch]'
    """
    paths = paths or index.paths
    n_runs, find = 0, partial(_new_index_folder, paths) if paths else find_index
    progress = Progress(is_shown=not quiet, prints_lines=not as_json)
    with index.open(default=find, model=model) as ms, progress:

        def warn(error: MinisearchError) -> None:
            progress.stop()
            click.echo(f"{_now()}  {printable(str(error))}", err=True)

        roots = list(map(str, paths)) or ms.roots()
        try:
            for report in ms.watch(*roots, on_problem=warn, on_progress=progress.update):
                n_runs += 1  # before its line is printed: the run has ended, even if Ctrl-C comes now
                progress.stop()  # only the first run is long enough for a bar
                click.echo(as_json_line(report) if as_json else f"{_now()}  {counts(report)}")
                for line in news(report):
                    click.echo(line, err=True)
                report_new(ms, command=on_alert, as_json=as_json)
                if n_runs == 1:
                    n_documents = count(report.added + report.updated + report.unchanged, "document")
                    where = one_line(", ".join(roots))
                    click.echo(f"Watching {n_documents} in {where}; press Ctrl-C to stop", err=True)
        except (KeyboardInterrupt, SystemExit) as error:
            progress.stop()
            click.echo(STOPPED if n_runs else f"Stopped: {_kept(progress.done)}", err=True)
            sys.exit(error.code if isinstance(error, SystemExit) else EXIT_INTERRUPTED)


@click.command()
@backend_option
@with_index
def rebuild(index: IndexChoice, backend: str | None) -> None:
    """Build the vector index again.

    With another backend if one is named; nothing is embedded again.
    """
    with index.open() as ms:
        ms.rebuild(backend)
        found = ms.status()
    click.echo(f"Rebuilt with {found.backend}: {count(found.n_chunks, 'chunk')}")


@click.command()
@click.argument("paths", nargs=-1, required=True, shell_complete=complete_file)
@with_index
def remove(index: IndexChoice, paths: tuple[str, ...]) -> None:
    """Remove files or folders from the index.

    The files themselves are kept. A document that a program has added is named by its id.
    """
    with index.open() as ms:
        n_removed = ms.remove(*paths)
    click.echo(f"Removed {count(n_removed, 'document')} from the index")


# --- options -----------------------------------------------------------------------------------------


def _new_index_folder(paths: Sequence[Path]) -> Path:
    """The index folder for given paths: here; prints a note if that hides the index used until now."""
    here = index_here()
    with contextlib.suppress(IndexNotFound, InputError):  # there is none, or it is another user's
        above = find_index()
        if above != here and all(path.exists() for path in paths) and any(map(_has_files, paths)):
            click.echo(
                f"Note: there is an index in {above}; making another one here. "
                f"To add to that one instead, use --index {above}",
                err=True,
            )
    return here


def _known_roots(ms: MiniSearch, index: IndexChoice) -> list[str]:
    """The paths of earlier runs; IngestError with the cure if none of them exists any more."""
    roots = ms.roots()
    if not any(map(os.path.lexists, roots)):
        raise IngestError(
            f"cannot index {one_line(', '.join(roots))}: no such file or folder. If the index was moved, "
            f"move it back beside its files; if the files were moved, name them: "
            f"minisearch index PATH{index.argument}"
        )
    return roots


def _has_files(path: Path) -> bool:
    return path.is_file() or any(files for *_, files in os.walk(path))


@wrong_usage()
def _file_choice(
    *,
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    max_bytes: str | None,
    keep_secrets: bool | None,
    ocr: bool | None,
    forget_choices: bool,
) -> FileChoice | None:
    """The file options, None where none was given."""
    choice = FileChoice(
        include=include or None,
        exclude=exclude or None,
        max_bytes=None if max_bytes is None else parse_size(max_bytes),
        keep_secrets=keep_secrets,
        ocr=ocr,
    )
    if choice.include or choice.exclude:
        from minisearch.indexing.plan import check_choice  # imports all that reads files

        check_choice(choice)
    chosen = {name: value for name, value in asdict(choice).items() if value is not None}
    if forget_choices:
        return replace(DEFAULT_CHOICE, **chosen)
    return choice if chosen else None


def parse_size(text: str) -> int:
    """The number of bytes that a size means; InputError where it is none.

    >>> parse_size("50MB"), parse_size("1.5 GiB"), parse_size("800")
    (50000000, 1610612736, 800)
    """
    found = re.fullmatch(r"([0-9]{1,15}(?:\.[0-9]{1,3})?) ?(|[kmg]i?)b?", text.strip().lower())
    n = int(float(found[1]) * UNITS[found[2]]) if found else 0
    if n < 1:
        raise InputError(
            f"can't read the --max-bytes {short(text)!r}: expected one such as 800kB, 50MB or 2GB"
        )
    return n


# --- what is printed ---------------------------------------------------------------------------------


def _kept(done: IndexProgress | None) -> str:
    """What an interrupted run has kept, in numbers; ``done`` is its progress, None before it began."""
    if done is None:
        return "nothing was changed; run the same command to start again"
    if not done.n_files_indexed:
        return "no file is indexed yet; run the same command to start again"
    files = f"{done.n_files_indexed:,} of {count(done.n_files, 'file')}"
    return f"{files} indexed; run the same command to continue"


def counts(done: IngestReport) -> str:
    """What an indexing run did, in one line."""
    return (
        f"{count(done.added, 'document')} added, {done.updated:,} updated, {done.unchanged:,} unchanged, "
        f"{done.removed:,} removed, {len(done.skipped):,} skipped"
    )


def news(done: IngestReport) -> list[str]:
    """The files that were skipped or noted for the first time, in lines."""
    known = set(done.as_before)
    skipped = tuple(one for one in done.skipped if one.path not in known)
    notes = tuple(note for note in done.notes if note.path not in known)
    return problem_lines(replace(done, skipped=skipped, notes=notes), is_verbose=False)


def problem_lines(found: IngestReport | IndexStatus, *, is_verbose: bool) -> list[str]:
    """The skipped files, and the notes about indexed ones, in lines."""
    rows = (("skipped", found.skipped), ("note", found.notes))
    return [line for label, files in rows for line in by_reason(label, files, is_verbose=is_verbose)]


def by_reason(label: str, files: Iterable[Skipped | Note], *, is_verbose: bool) -> list[str]:
    """Files as a line for each reason or note, the most common first, with some of the paths."""
    by_text: dict[str, list[str]] = defaultdict(list)
    for one in files:
        by_text[one.reason if hasattr(one, "reason") else one.text].append(name_line(one.path))
    lines = []
    for text, paths in sorted(by_text.items(), key=lambda pair: -len(pair[1])):
        listed = paths if is_verbose else paths[:LISTED_FILES]
        n_more = len(paths) - len(listed)
        more = f" and {n_more:,} more (-v lists all)" if n_more else ""
        several = f"{count(len(paths), 'file')}: {text}: {', '.join(listed)}{more}"
        lines.append(one_line(f"{label:<11}{several if len(paths) > 1 else f'{paths[0]}: {text}'}"))
    return lines


def choice_lines(choices: Sequence[Note]) -> list[str]:
    """The stored file options, a line for each folder."""
    return [one_line(f"options    {one.path}: {one.text}") for one in choices]


def _report_text(done: IngestReport, index: IndexChoice) -> str:
    """The report of an indexing run; without -v, problems that the run before reported are only counted."""
    rate = f" ({done.n_encoded / done.encoding_s:,.0f} a second)" if done.encoding_s else ""
    n_known = done.n_chunks - done.n_encoded
    known = f", {n_known:,} more had been embedded before" if n_known else ""
    minutes, seconds = divmod(done.elapsed_s, 60)
    time_ = f"{minutes:.0f} min {int(seconds)} s" if minutes else f"{seconds:.1f} s"
    lines = [counts(done), f"{count(done.n_encoded, 'chunk')} embedded{rate}{known}; {time_} in all"]
    if done.n_ignored or done.n_excluded or done.n_junk:
        kinds = {"ignored": done.n_ignored, "hidden": done.n_hidden, "excluded": done.n_excluded}
        left_out = [f"{n:,} {kind}" for kind, n in kinds.items() if n]
        left_out += [count(n, kind) for kind, n in done.n_junk.items()]
        lines.append(f"left out   {', '.join(left_out)}")
    lines += choice_lines(done.choices)
    if index.is_verbose:
        lines += problem_lines(done, is_verbose=True)
    else:
        lines += news(done)
        n_skipped = len({*done.as_before} & {one.path for one in done.skipped})
        repeated = {"skipped": n_skipped, "noted": len(done.as_before) - n_skipped}
        if said := " and ".join(f"{n:,} {word}" for word, n in repeated.items() if n):
            lines.append(f"{said} as before: minisearch status{index.argument}")
    if done.n_in_other_scripts:
        lines.append(
            f"language   {count(done.n_in_other_scripts, 'document')} mostly in non-Latin scripts, and this "
            f"index's model is English: found by words rather than by meaning; to find them by both: "
            f"minisearch index PATH --index NEW_FOLDER --model paraphrase-multilingual-MiniLM-L12-v2"
        )
    return "\n".join(lines)


def _preview_text(found: Preview, index: IndexChoice) -> str:
    """What a run would do: the number of files, and their names."""
    lines = [
        f"{count(len(found.added), 'document')} would be added, {len(found.updated):,} updated, "
        f"{len(found.unchanged):,} unchanged, {len(found.removed):,} removed, {len(found.skipped):,} skipped"
    ]
    lines += choice_lines(found.choices)
    for word, paths in (("add", found.added), ("update", found.updated), ("remove", found.removed)):
        listed = paths if index.is_verbose else paths[:LISTED_FILES]
        lines += [f"{'' if number else word:<11}{name_line(path)}" for number, path in enumerate(listed)]
        if n_more := len(paths) - len(listed):
            lines.append(f"{'':<11}and {n_more:,} more (-v lists all)")
    lines += by_reason("skip", found.skipped, is_verbose=index.is_verbose)
    lines += by_reason("leave out", found.left_out, is_verbose=index.is_verbose)
    if found.refusal:
        lines.append(one_line(f"refused    {found.refusal}"))
    return "\n".join([*lines, "Nothing was done"])


def _now() -> str:
    return time.strftime("%H:%M:%S")
