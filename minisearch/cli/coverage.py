"""What the commands print of files: how much of them is in the index, and what a run would do with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from minisearch.cli import show
from minisearch.cli.terminal import one_line

if TYPE_CHECKING:
    from minisearch.indexing.plan import Preview
    from minisearch.maintenance.coverage import Coverage
    from minisearch.types import Note

OUTCOMES = {
    "running": "a run is still going on: what it has not got to yet is in none of these numbers",
    "interrupted": "the last run was interrupted: what it had not got to is in none of these numbers",
    "failed": "the last run failed: what it had not got to is in none of these numbers",
}


def coverage_text(found: Coverage, *, verbose: bool) -> str:
    """How many bytes reached a vector, where the others are, and every file that gave none."""
    n_files = found.n_documents + len({one.path for one in found.skipped})
    share = f"{found.n_bytes_reached / found.n_bytes:.1%}" if found.n_bytes else "none"
    documents = f"{show.count(found.n_chunks, 'chunk')} of {show.count(found.n_documents, 'document')}"
    lines = [
        f"seen       {show.count(n_files, 'file')}, {show.count(found.n_bytes, 'byte')}; "
        f"{show.count(found.n_characters, 'character')} of text",
        f"in vectors {show.count(found.n_bytes_reached, 'byte')} ({share}) in {documents}",
        f"between    {show.count(found.n_bytes_between, 'byte')} of white space, markup and what is no text",
        f"passed     {show.count(found.n_bytes_passed_over, 'byte')} of files that were passed over",
    ]
    if found.outcome in OUTCOMES:
        lines.append(f"unfinished {OUTCOMES[found.outcome]}")
    lines += choice_lines(found.choices)
    lines += show.grouped("skipped", [(one.path, one.reason) for one in found.skipped], verbose)
    lines += show.grouped("left out", [(one.path, one.reason) for one in found.left_out], verbose)
    lines += show.grouped("note", [(one.path, one.text) for one in found.notes], verbose)
    if any(one.path.endswith("/") for one in found.left_out):
        lines.append("A folder that was left out counts once: what is in it was not looked at")
    return "\n".join(lines)


def preview_text(found: Preview, *, verbose: bool) -> str:
    """What a run would do: how many files, and their names."""
    lines = [
        f"{show.count(len(found.added), 'document')} would be added, {len(found.updated):,} updated, "
        f"{len(found.unchanged):,} left as they are, {len(found.removed):,} removed, "
        f"{len(found.skipped):,} skipped"
    ]
    lines += choice_lines(found.choices)
    for word, paths in (("add", found.added), ("update", found.updated), ("remove", found.removed)):
        lines += _listed(word, paths, verbose)
    lines += show.grouped("skip", [(one.path, one.reason) for one in found.skipped], verbose)
    lines += show.grouped("leave out", [(one.path, one.reason) for one in found.left_out], verbose)
    if found.refusal:
        lines.append(one_line(f"refused    {found.refusal}"))
    return "\n".join([*lines, "Nothing was done"])


def choice_lines(choices: Sequence[Note]) -> list[str]:
    """What is chosen for folders, a line each."""
    return [one_line(f"chosen     {one.path}: {one.text}") for one in choices]


def _listed(word: str, paths: Sequence[str], verbose: bool) -> list[str]:
    listed = paths if verbose else paths[: show.LISTED_FILES]
    more = f"{'':<11}and {len(paths) - len(listed):,} more (-v lists all)"
    lines = [one_line(f"{word if not number else '':<11}{path}") for number, path in enumerate(listed)]
    return [*lines, *([more] if len(paths) > len(listed) else [])]
