"""A run that reads ahead does what one that reads only when it must would do, and ends when it is told to."""

from __future__ import annotations

import itertools
import os
import random
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from minisearch import MiniSearch
from minisearch.errors import IngestError, ModelError
from minisearch.manifest import Manifest
from minisearch.parsers import read_bytes
from minisearch.paths import Trusted
from minisearch.stores.local import LocalStore
from tests.fakes import HashingEncoder, WordTokenizer

WORDS = [
    "bread",
    "salt",
    "water",
    "star",
    "moon",
    "tide",
    "sleep",
    "coffee",
    "task",
    "retry",
    "failed",
    "sea",
]
# These hold the time of day, the random name of a file, and where the index lies.
APART = (
    *(f'INSERT INTO "{table}"' for table in ("_sqlite_migrations", "bases", "runs", "undo_meta")),
    """INSERT INTO "meta" VALUES('manifest',""",
)


@pytest.fixture(autouse=True)
def no_thread_stays() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


@pytest.fixture(autouse=True)
def small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("minisearch.indexing.pipeline.WINDOW_TOKENS", 60)


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    """Twelve files of twenty tokens each, so that three fill a window."""
    folder = tmp_path / "docs"
    folder.mkdir()
    for number in range(12):
        (folder / f"{number:02}.txt").write_text(" ".join([*WORDS[:10], f"number{number}", *WORDS[:9]]))
    return folder


# --- the same as without -----------------------------------------------------------------------------


def change(folder: Path, dice: random.Random) -> None:
    """New, longer, shorter, alike, empty, binary, oddly encoded, touched and deleted files."""
    for number in range(30):
        path = folder / f"{number:02}.txt"
        match dice.randrange(10):
            case 0:
                path.write_bytes(b"\x89PNG\r\n\x1a\n\x00\x00")
            case 1:
                path.write_text(" \n")
            case 2:
                path.write_bytes(b"caf\xe9 and \xff")
            case 3:
                path.write_text("the same in many files")
            case 4:
                path.unlink(missing_ok=True)
            case 5:
                path.touch()
            case 6 | 7:
                path.write_text(" ".join(dice.choices(WORDS, k=dice.choice([3, 30, 300]))))


def content(database: Path) -> list[str]:
    """All that a store holds of documents: rows, vectors, the pages of the full text, the counters."""
    with closing(sqlite3.connect(database)) as connection:
        lines = [line for line in connection.iterdump() if not line.startswith(APART)]
        ((text,),) = connection.execute("select value from meta where key = 'manifest'")
    return [*lines, str(replace(Manifest.from_json(text), trusted=Trusted()))]


@pytest.mark.parametrize("seed", range(4))
def test_two_runs_over_the_same_files_leave_and_tell_the_same(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dice = random.Random(seed)
    folder = tmp_path / "docs"
    folder.mkdir()
    unreadable: set[str] = set()

    def read(path: str) -> bytes:
        if Path(path).name in unreadable:
            raise IngestError("Input/output error")
        return read_bytes(path)

    monkeypatch.setattr("minisearch.indexing.changes.read_bytes", read)

    def run(index: str) -> tuple[object, ...]:
        clock = itertools.count(later_ns)  # one file, one moment, in both runs
        monkeypatch.setattr("minisearch.indexing.changes.time", SimpleNamespace(time_ns=lambda: next(clock)))
        progress = []
        with MiniSearch.open(index=tmp_path / index, encoder=HashingEncoder()) as ms:
            report = ms.index(folder, backend="flat", prune=True, on_progress=progress.append)
        counts = (report.added, report.updated, report.unchanged, report.removed, report.skipped)
        work = (report.notes, report.n_chunks, report.n_encoded, report.n_tokens)
        return counts, work, progress, content(tmp_path / index / "minisearch.db")

    for _ in range(4):
        change(folder, dice)
        later_ns = time.time_ns() + 10**10  # so that no file counts as changed a moment ago
        unreadable = {f"{dice.randrange(30):02}.txt" for _ in range(3)}
        assert run("one") == run("other")


def test_what_may_take_long_is_told_before_it_is_done(docs: Path, tmp_path: Path) -> None:
    told: list[str] = []

    class Telling(HashingEncoder):
        def encode_document(self, texts):
            told.append(f"-> {len(texts)}")
            return super().encode_document(texts)

    with MiniSearch.open(index=tmp_path / "index", encoder=Telling()) as ms:
        ms.index(docs, on_progress=lambda done: told.append(done.doing))
        assert told[0] == "reading", "at once, before the first file is done"
        for place in (number for number, one in enumerate(told) if one.startswith("->")):
            n = told[place].removeprefix("-> ")
            assert told[place - 2 : place] == ["loading the model", f"embedding {n} chunks"]
        assert sum(one.startswith("->") for one in told) == 4, "twelve files, three fill a window"
        told.clear()
        ms.index(docs, on_progress=lambda done: told.append(done.doing))
        assert set(told) == {"reading"}


def test_a_touched_file_is_read_once_and_then_trusted_again(
    docs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    monkeypatch.setattr(
        "minisearch.indexing.changes.read_bytes", lambda path: read.append(path) or read_bytes(path)
    )
    later_ns = time.time_ns() + 10**10  # so that no file counts as changed a moment ago
    monkeypatch.setattr("minisearch.indexing.changes.time", SimpleNamespace(time_ns=lambda: later_ns))
    with MiniSearch.open(index=tmp_path / "index", encoder=HashingEncoder()) as ms:
        ms.index(docs)
        (docs / "03.txt").touch()
        read.clear()
        assert [ms.index(docs).unchanged, ms.index(docs).unchanged] == [12, 12]
    assert read == [str(docs / "03.txt")]


# --- what goes wrong ---------------------------------------------------------------------------------


def test_an_error_while_reading_ends_the_run_after_the_windows_before_it(docs: Path, tmp_path: Path) -> None:
    error = ModelError("its vocabulary is gone")

    class Failing(WordTokenizer):
        def spans(self, texts):
            if any("number7" in text for text in texts):
                raise error
            return super().spans(texts)

    encoder = HashingEncoder()
    encoder.tokenizer = Failing()
    with MiniSearch.open(index=tmp_path / "index", encoder=encoder) as ms:
        with pytest.raises(ModelError) as caught:
            ms.index(docs, backend="flat")
        assert caught.value is error
        assert ms.status().n_documents == 6
        assert ms.status().last_run.outcome == "failed"


def test_ctrl_c_in_the_middle_of_a_huge_document_keeps_what_was_stored(docs: Path, tmp_path: Path) -> None:
    (docs / "06.txt").write_text("a word or two " * 100_000)

    class Interrupted(WordTokenizer):
        def spans(self, texts):
            if len(texts[0]) > 10_000:  # a piece of the huge one
                signal.raise_signal(signal.SIGINT)
            return super().spans(texts)

    encoder = HashingEncoder()
    encoder.tokenizer = Interrupted()
    with MiniSearch.open(index=tmp_path / "index", encoder=encoder) as ms:
        with pytest.raises(KeyboardInterrupt):
            ms.index(docs, backend="flat")
        assert ms.status().last_run.outcome == "interrupted"
        assert ms.status().n_documents == 6

    (docs / "06.txt").write_text("short again")
    with MiniSearch.open(index=tmp_path / "index", encoder=HashingEncoder()) as ms:
        report = ms.index(docs)
        assert (report.added, report.unchanged) == (6, 6)


def test_ctrl_c_is_heard_while_a_file_is_read(
    docs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put, n_put = LocalStore.put, []

    def counted(*arguments, **options):
        put(*arguments, **options)
        n_put.append(1)

    monkeypatch.setattr(LocalStore, "put", counted)

    class Waiting(WordTokenizer):
        def spans(self, texts):
            if any("number3" in text for text in texts):
                while len(n_put) < 3:  # then neither the model nor the store has anything left to do
                    time.sleep(0.001)
                time.sleep(0.05)
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(0.2)
            return super().spans(texts)

    encoder = HashingEncoder()
    encoder.tokenizer = Waiting()
    with MiniSearch.open(index=tmp_path / "index", encoder=encoder) as ms:
        with pytest.raises(KeyboardInterrupt):
            ms.index(docs, backend="flat")
        assert ms.status().n_documents == 3


def test_a_reader_that_fails_costs_its_file_and_not_the_run(tmp_path, monkeypatch, encoder):
    from minisearch.indexing import changes as reading

    parse = reading.parse

    def failing(path, data):
        if path.endswith("b.md"):
            raise ZeroDivisionError("a mistake of ours")
        return parse(path, data)

    for name in "abc":
        (tmp_path / f"{name}.md").write_text(f"Text {name}.")
    with MiniSearch(tmp_path / ".minisearch", encoder=encoder) as ms:
        ms.index(tmp_path)
        (tmp_path / "b.md").write_text("Changed.")
        (tmp_path / "c.md").write_text("Changed as well.")
        monkeypatch.setattr(reading, "parse", failing)
        report = ms.index(tmp_path)
        assert (report.updated, report.unchanged, report.removed) == (1, 1, 0)
        (skipped,) = report.skipped
        assert "ZeroDivisionError: a mistake of ours" in skipped.reason and "report it" in skipped.reason
        assert ms.status().n_documents == 3, "what it held before is kept"
        monkeypatch.setattr(reading, "parse", parse)
        assert ms.index(tmp_path).updated == 1, "and the next run tries again"
