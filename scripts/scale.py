"""Measure what stays quick while an index is safe: a run without changes, very many files, one edit.

    python scripts/scale.py                              # all three, about ten minutes
    python scripts/scale.py unchanged --folder DOCS      # a second run over these files, or made-up ones
    python scripts/scale.py tiny --n 100000              # many tiny files: files a second, memory, second run
    python scripts/scale.py edited --n 100000            # an edited file among so many passages: when found

An encoder that adds up words stands in for the model, in as many dimensions: what is measured is the walk,
the readers and the store.  Every part runs in a process of its own, so that its peak of memory is its own.
"""

from __future__ import annotations

import multiprocessing
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from made_up import RACY_S, engine, write_files
from measuring import machine, option_parser, peak_mb, timed_s

from minisearch import MiniSearch
from minisearch.stores.local.vector_index import MERGE_ABOVE, MERGE_FRACTION

N_FILES = 7_400
PASSAGES_A_DOCUMENT = 20
ROUNDS = 5
PATIENCE_S = 600

Row = tuple[str, str]
Find = Callable[[str], Callable[[], float]]


def on_disk_mb(index: Path) -> float:
    """What an index takes on the disk."""
    return sum(path.stat().st_size for path in index.iterdir()) / 1e6


def spread(times_s: Sequence[float], cpu_s: float | None = None) -> str:
    """The median of some times, the slowest, and how much of a processor one takes."""
    parts = [f"{statistics.median(times_s):.2f} s"]
    parts += [f"slowest {max(times_s):.2f}"] if len(times_s) > 1 else []
    parts += [] if cpu_s is None else [f"{cpu_s:.2f} of a processor"]
    return ", ".join(parts)


# --- a run in which nothing has changed --------------------------------------------------------------


@dataclass(frozen=True)
class Unchanged:
    """A second run over the same files: how long it took each time, and of a processor on average."""

    n_files: int
    in_process_s: list[float]
    in_process_cpu_s: float
    command_s: list[float]
    command_cpu_s: float
    help_s: list[float]
    help_cpu_s: float

    def rows(self) -> list[Row]:
        """As lines of the table."""
        return [
            (
                f"unchanged run over {self.n_files:,} files, in process",
                spread(self.in_process_s, self.in_process_cpu_s),
            ),
            ("the same by `minisearch index`", spread(self.command_s, self.command_cpu_s)),
            ("for comparison, `minisearch --help`", spread(self.help_s, self.help_cpu_s)),
        ]


def unchanged(scratch: Path, folder: Path | None, n: int) -> Unchanged:
    """A second run over the files of a folder, or over n made-up ones, by the engine and as a command."""
    docs, index = scratch / "docs", scratch / ".minisearch"
    if folder is None:
        write_files(docs, n, n_passages=2)
    else:
        shutil.copytree(folder, docs)
        time.sleep(RACY_S)
    with engine(index) as ms:
        n_files = ms.index(docs).added
        cpu_s = time.process_time()
        in_process_s = [timed_s(lambda: ms.index(docs)) for _ in range(ROUNDS)]
        cpu_s = (time.process_time() - cpu_s) / ROUNDS
        report = ms.index(docs)
        assert (report.unchanged, report.n_encoded) == (n_files, 0), report
    # No text is new, so the command loads no model and never learns that there is none of that name.
    command = [sys.executable, "-m", "minisearch", "index", str(docs), "--index", str(index), "--offline"]
    return Unchanged(
        n_files, in_process_s, cpu_s, *commanded_s(command), *commanded_s([*command[:3], "--help"])
    )


def commanded_s(command: Sequence[str]) -> tuple[list[float], float]:
    """How long a command takes each time, start of Python and all, and how much of a processor."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    times_s = [
        timed_s(lambda: subprocess.run(command, check=True, capture_output=True)) for _ in range(ROUNDS)
    ]
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return times_s, cpu_s / ROUNDS


# --- very many tiny files ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Tiny:
    """A first and a second run over very many tiny files."""

    n_files: int
    first_s: float
    first_cpu_s: float
    second_s: float
    second_cpu_s: float
    before_mb: float
    peak_mb: float
    index_mb: float

    def rows(self) -> list[Row]:
        """As lines of the table."""
        rate = f"{self.n_files / self.first_s:,.0f} files/s"
        return [
            (
                f"{self.n_files:,} tiny files, first run",
                f"{spread([self.first_s], self.first_cpu_s)}, {rate}",
            ),
            ("second run", spread([self.second_s], self.second_cpu_s)),
            ("peak of memory", f"{self.peak_mb:,.0f} MB ({self.before_mb:,.0f} before)"),
            ("index on the disk", f"{self.index_mb:,.0f} MB"),
        ]


def tiny(scratch: Path, n: int) -> Tiny:
    """N files of a line each, all different."""
    docs, index = scratch / "docs", scratch / ".minisearch"
    for number in range(n):
        place = docs / f"part{number // 1_000:04}"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"t{number:06}.txt").write_text(f"Note {number}: w{number % 997} w{number % 1013}.\n")
    time.sleep(RACY_S)
    before_mb = peak_mb()
    with engine(index) as ms:
        cpu_s = time.process_time()
        first_s = timed_s(lambda: ms.index(docs))
        first_cpu_s, cpu_s = time.process_time() - cpu_s, time.process_time()
        second_s = timed_s(lambda: ms.index(docs))
        second_cpu_s = time.process_time() - cpu_s
        assert ms.status().n_documents == n
    return Tiny(n, first_s, first_cpu_s, second_s, second_cpu_s, before_mb, peak_mb(), on_disk_mb(index))


# --- one edited file in a large index ----------------------------------------------------------------


@dataclass(frozen=True)
class Edit:
    """One file edited: seconds from a run's start to that of its write, to the file found, to its end."""

    write_s: float
    found_s: float
    over_s: float


@dataclass(frozen=True)
class Edited:
    """Single files edited in a large index; the last edit made a merge due."""

    n_chunks: int
    first_s: float
    index_mb: float
    of_file: list[Edit]
    of_folder: list[Edit]
    merged: Edit
    peak_mb: float

    def rows(self) -> list[Row]:
        """As lines of the table."""
        rows = [
            (f"{self.n_chunks:,} passages, first run", f"{self.first_s:.0f} s"),
            ("index on the disk", f"{self.index_mb:,.0f} MB"),
        ]
        for name, edits in (
            ("one file edited, `index FILE`", self.of_file),
            ("one file edited, `index FOLDER`", self.of_folder),
            ("one file edited, which makes a merge due", [self.merged]),
        ):
            rows += [
                (f"{name}: found after", spread([edit.found_s for edit in edits])),
                (
                    "... of that, since the write began",
                    spread([edit.found_s - edit.write_s for edit in edits]),
                ),
                ("... the run over after", spread([edit.over_s for edit in edits])),
            ]
        return [*rows, ("peak of memory", f"{self.peak_mb:,.0f} MB")]


def edited(scratch: Path, n: int) -> Edited:
    """N passages, then one file at a time edited and looked for by another process."""
    docs, index = scratch / "docs", scratch / ".minisearch"
    write_files(docs, n // PASSAGES_A_DOCUMENT, n_passages=PASSAGES_A_DOCUMENT)
    with engine(index) as ms:
        first_s = timed_s(lambda: ms.index(docs))
        n_chunks, index_mb = ms.status().n_chunks, on_disk_mb(index)
    files = iter(sorted(docs.rglob("*.md")))
    with engine(index) as ms, finder(index) as find:
        of_file = [edit(ms, file, file, find) for file in islice(files, ROUNDS)]
        of_folder = [edit(ms, file, docs, find) for file in islice(files, ROUNDS)]
        merged = until_merged(ms, index, files, find)
    return Edited(n_chunks, first_s, index_mb, of_file, of_folder, merged, peak_mb())


def until_merged(ms: MiniSearch, index: Path, files: Iterator[Path], find: Find) -> Edit:
    """The edit after which the vector index is built anew; most of what makes that due is changed at once."""
    n_due = max(MERGE_ABOVE, MERGE_FRACTION * ms.status().n_chunks)
    # An edited file's passages count twice, as gone and as new; ten edits were made.
    n_files = int(n_due / (2 * PASSAGES_A_DOCUMENT + 2)) - 2 * ROUNDS - 2
    some = list(islice(files, max(0, n_files)))
    for file in some:
        append(file, "Edited.")
    if some:
        ms.index(*some)
    base = names_of_bases(index)
    for file in files:
        last = edit(ms, file, file, find)
        if names_of_bases(index) != base:
            return last
    raise RuntimeError("no merge was made, however much was edited")


def names_of_bases(index: Path) -> list[str]:
    """The files of the vector index."""
    return sorted(path.name for path in index.glob("vectors-*"))


def append(file: Path, sentence: str) -> None:
    """Give a file one more paragraph."""
    file.write_text(f"{file.read_text()}\n{sentence}\n")


def edit(ms: MiniSearch, file: Path, root: Path, find: Find) -> Edit:
    """Edit a file and index ``root``, while the other process looks for it."""
    word = f"edited{file.stem}at{time.monotonic_ns()}"
    append(file, f"Now {word} is here, and nowhere else.")
    moments: list[float] = []
    when = find(word)
    started_s = time.monotonic()
    # Progress is told last when the file is stored, and before that when its vectors are there to be stored.
    ms.index(root, on_progress=lambda _: moments.append(time.monotonic()))
    over_s = time.monotonic()
    return Edit(moments[-2] - started_s, when() - started_s, over_s - started_s)


@contextmanager
def finder(index: Path) -> Iterator[Find]:
    """Another process, which asks for a word until it is found and tells when that was."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=look, args=(str(index), theirs), daemon=True)
    process.start()
    theirs.close()  # so that we are told when it has died
    ours.recv()

    def find(word: str) -> Callable[[], float]:
        ours.send(word)
        return ours.recv

    try:
        yield find
    finally:
        ours.send(None)
        process.join()


def look(index: str, pipe: Any) -> None:  # noqa: ANN401 - a connection, of a type that is not public
    """What that process does."""
    with engine(Path(index)) as ms:
        ms.query("w1 w2")
        pipe.send("ready")
        while (word := pipe.recv()) is not None:
            deadline = time.monotonic() + PATIENCE_S
            while not any(word in result.text for result in ms.query(word, 3)):
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{word} was not found within {PATIENCE_S} s")
                time.sleep(0.01)
            pipe.send(time.monotonic())


# --- the table ---------------------------------------------------------------------------------------

PARTS = ("unchanged", "tiny", "edited")


def measure(part: str, folder: Path | None, n: int | None) -> list[Row]:
    """One part in this process, in a scratch folder that goes with it."""
    with tempfile.TemporaryDirectory(prefix="minisearch-scale-") as temporary:
        scratch = Path(temporary)
        if part == "unchanged":
            return unchanged(scratch, folder, n or N_FILES).rows()
        return (tiny(scratch, n or 100_000) if part == "tiny" else edited(scratch, n or 100_000)).rows()


def main(arguments: list[str]) -> int:
    """Print a line a measurement."""
    parser = option_parser(__doc__)
    parser.add_argument("parts", nargs="*", metavar="|".join(PARTS), help="which of them; all without any")
    parser.add_argument("--folder", type=Path, help="files for the unchanged run")
    parser.add_argument("--n", type=int, help="how many files, or passages")
    options = parser.parse_args(arguments)
    unknown = sorted(set(options.parts) - set(PARTS))
    if unknown:
        parser.error(f"unknown part {unknown[0]}: expected {', '.join(PARTS)}")
    print(f"Machine: {machine()}\n\n| | |\n|---|---|", flush=True)
    for part in options.parts or PARTS:
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            for name, value in pool.submit(measure, part, options.folder, options.n).result():
                print(f"| {name} | {value} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
