"""What the commands print about an index: reports and status, and any of our data as JSON."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from minisearch.cli.terminal import one_line

if TYPE_CHECKING:
    from minisearch.types import IndexStatus, IngestReport, Verification


LISTED_FILES = 5


def count(n: int, noun: str) -> str:
    """A number with its noun.

    >>> count(1, "file"), count(1200, "file")
    ('1 file', '1,200 files')
    """
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def as_json(data: Any, **more: object) -> str:  # noqa: ANN401 - any of our dataclasses
    """A dataclass, and more, as one line of JSON, in ASCII so that any file name survives any terminal."""
    return json.dumps(dataclasses.asdict(data) | more)


def counts(done: IngestReport) -> str:
    """What an indexing run did, in one line."""
    return (
        f"{count(done.added, 'document')} added, {done.updated:,} updated, {done.unchanged:,} unchanged, "
        f"{done.removed:,} removed, {len(done.skipped):,} skipped"
    )


def report(done: IngestReport, *, verbose: bool, index: str = "") -> str:
    """The closing lines of an indexing run; ``index`` is what a command needs to mean the same index.

    What was told after the run before is only counted, unless ``verbose``.
    """
    head = counts(done)
    rate = f" ({done.n_encoded / done.encoding_s:,.0f} a second)" if done.encoding_s else ""
    n_known = done.n_chunks - done.n_encoded
    known = f", {n_known:,} more with a text embedded before" if n_known else ""
    work = f"{count(done.n_encoded, 'chunk')} embedded{rate}{known}; {_seconds(done.elapsed_s)} in all"
    left_out = f"left out   {done.n_ignored:,} ignored, {done.n_hidden:,} hidden"
    left_out += f", {done.n_excluded:,} not chosen" if done.n_excluded else ""
    lines = [head, work, *([left_out] if done.n_ignored or done.n_excluded else [])]
    lines += [one_line(f"chosen     {one.path}: {one.text}") for one in done.choices]
    lines += _passed_over(done, verbose) if verbose else [*news(done), *_as_before(done, index)]
    return "\n".join([*lines, *_in_other_scripts(done.n_in_other_scripts)])


def status(found: IndexStatus, *, verbose: bool) -> str:
    """An index's facts, one a line."""
    ready = "" if found.is_index_ready else " (not built: queries scan the stored vectors)"
    rows = [
        ("index", found.path),
        ("documents", f"{found.n_documents:,}"),
        ("chunks", f"{found.n_chunks:,}"),
        ("model", found.model),
        ("backend", found.backend + ready),
        ("on disk", n_bytes(found.n_bytes)),
    ]
    if found.last_run:
        run = found.last_run
        counts = ", ".join(f"{n:,} {name}" for name, n in run.counts.items())
        rows.append(("last run", f"{run.outcome}, {run.finished_at or run.started_at}"))
        rows.append(("", ": ".join(filter(None, [" ".join(run.roots), counts]))))
    if verbose:
        from minisearch.maintenance.chunks import how_code_is_cut  # it knows all the readers

        rows.append(("code", f"cut {how_code_is_cut()}"))
    lines = [one_line(f"{name:<11}{value}").rstrip() for name, value in rows]
    return "\n".join([*lines, *_passed_over(found, verbose)])


def verification(found: Verification) -> str:
    """What a comparison with the files has shown; the problems first."""
    lines = [one_line(f"problem    {problem}") for problem in found.problems]
    lines.append(
        f"database   {count(found.n_documents, 'document')}, {count(found.n_chunks, 'chunk')}: checked whole"
    )
    changed = f"; {found.n_changed:,} could not be compared, changed or gone since" if found.n_changed else ""
    closed = (
        f"; {found.n_closed:,} not opened, since nobody has named them to this index where it is now: "
        f"minisearch index PATH"
        if found.n_closed
        else ""
    )
    lines.append(f"files      {count(found.n_read, 'document')} read and cut again{changed}{closed}")
    if found.n_embedded:
        embedded = (
            f"{count(found.n_embedded, 'passage')} embedded again, cosine {found.least_cosine:.4f} or more"
        )
        lines.append(f"vectors    {embedded}; {found.recall:.1%} of the exact ten nearest are found")
    return "\n".join([*lines, "Not sound: see above" if found.problems else "Sound"])


def news(done: IngestReport) -> list[str]:
    """What a run has passed over or noted for the first time, in lines."""
    known = set(done.as_before)
    return _passed_over(
        dataclasses.replace(
            done,
            skipped=tuple(one for one in done.skipped if one.path not in known),
            notes=tuple(note for note in done.notes if note.path not in known),
        ),
        False,
    )


def _as_before(done: IngestReport, index: str) -> list[str]:
    """How often the same was said before."""
    n_skipped = len({*done.as_before} & {one.path for one in done.skipped})
    counted = {"skipped": n_skipped, "noted": len(done.as_before) - n_skipped}
    said = " and ".join(f"{n:,} {word}" for word, n in counted.items() if n)
    return [f"{said} as before: minisearch status{index}"] if said else []


def _in_other_scripts(n: int) -> list[str]:
    """What an English model makes of such documents, and the cure, where any were added."""
    if not n:
        return []
    return [
        f"language   {count(n, 'document')} mostly in other scripts than Latin, and this index's model is "
        f"English: found by words rather than by meaning; for both: minisearch index PATH --index NEW_FOLDER "
        f"--model paraphrase-multilingual-MiniLM-L12-v2"
    ]


def _passed_over(done: IngestReport | IndexStatus, verbose: bool) -> list[str]:
    skipped = [(one.path, one.reason) for one in done.skipped]
    return grouped("skipped", skipped, verbose) + grouped(
        "note", [(note.path, note.text) for note in done.notes], verbose
    )


def grouped(word: str, files: Sequence[tuple[str, str]], verbose: bool) -> list[str]:
    """How many files for which reason, most common first, with some of their names."""
    lines = []
    for reason, n in Counter(reason for _, reason in files).most_common():
        names = [path for path, why in files if why == reason]
        listed = names if verbose else names[:LISTED_FILES]
        more = f" and {n - len(listed):,} more (-v lists all)" if n > len(listed) else ""
        lines.append(one_line(f"{word:<11}{count(n, 'file')}: {reason}: {', '.join(listed)}{more}"))
    return lines


def _seconds(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{int(seconds) // 60} min {int(seconds) % 60} s"


def n_bytes(n: float) -> str:
    """A size, in the unit that suits it."""
    for unit in ("bytes", "kB", "MB"):
        if n < 1_000:
            return f"{n:,.0f} {unit}" if unit == "bytes" else f"{n:.1f} {unit}"
        n /= 1_000
    return f"{n:.1f} GB"
