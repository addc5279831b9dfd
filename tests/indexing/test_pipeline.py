"""A run that reads ahead does what one that reads only when it must would do, and ends when it is told to."""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from minisearch import MiniSearch
from minisearch.errors import IngestError, ModelError
from minisearch.files.walk import FoundFile
from minisearch.indexing.pipeline import ExpectedChunks
from minisearch.manifest import Manifest, Settings
from minisearch.minilm.encoders import Encoders
from minisearch.parsers import read_bytes
from minisearch.paths import Trusted
from minisearch.stores.local import LocalStore
from minisearch.types import IndexProgress
from tests.fakes import HashingEncoder, WordTokenizer
from tests.faults.commands import minisearch

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
    """Twelve files of twenty tokens each, with the title, so that three fill a window."""
    folder = tmp_path / "docs"
    folder.mkdir()
    for number in range(12):
        (folder / f"{number:02}.txt").write_text(" ".join([*WORDS[:10], f"number{number}", *WORDS[:8]]))
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


def test_the_encoder_is_chosen_by_the_tokens_of_the_whole_run(
    docs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def to_add(_: Encoders, __: str, n_tokens: int) -> HashingEncoder:
        asked.append(n_tokens)
        return HashingEncoder()

    monkeypatch.setattr(Encoders, "to_add", to_add)
    with MiniSearch.open(index=tmp_path / "index", encoder=HashingEncoder()) as ms:
        report = ms.index(docs)
    first, *others = [n for n in asked if n]
    assert first > report.n_tokens / 2, "the first window has a quarter of them"
    assert first + sum(others) >= report.n_tokens


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
            assert told[place - 2 : place] == ["loading the model", f"embedding {n} passages of {n} files"]
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


# --- progress, and what can be found meanwhile -------------------------------------------------------


def write_passages(docs: Path, n_words: Sequence[int]) -> None:
    """Files without a common passage, of so many words."""
    for path in docs.iterdir():
        path.unlink()
    for number, n in enumerate(n_words):
        lines = [
            f"in these {n} words the one word that is alone is w{number}x{place}" for place in range(n // 12)
        ]
        (docs / f"{number:04}.txt").write_text("\n".join(lines))


def test_another_process_finds_what_is_stored_while_the_run_goes_on(docs: Path, tmp_path: Path) -> None:
    write_passages(docs, [60] * 12)
    index, found = tmp_path / "index", []

    def ask(done: IndexProgress) -> None:
        if done.n_files_indexed == 6 and not found:
            for number in (0, 5, 6, 11):
                answered = minisearch("query", f"w{number}x1", "--mode=lexical", "--json", "--index", index)
                assert answered.returncode in {0, 1}, answered.stderr  # 1 without results
                found.append([Path(json.loads(line)["path"]).stem for line in answered.stdout.splitlines()])

    with MiniSearch.open(index=index, encoder=HashingEncoder()) as ms:
        ms.index(docs, on_progress=ask)
        assert found == [["0000"], ["0005"], [], []]
        assert ms.rollback().removed == 12, "all windows are one change"


@pytest.mark.parametrize(
    ("tokens_per_s", "reading_s", "first_s"), [(1_000, 0.01, 6.0), (20_000, 0.01, 2.0), (20_000, 2.0, 9.0)]
)
def test_something_is_stored_at_least_every_ten_seconds(
    docs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    tokens_per_s: int,
    reading_s: float,
    first_s: float,
) -> None:
    """With a clock that only reading and encoding move: a slow model, a fast one, and files slow to read."""
    n_words = [100] * 150 + [5_000] + [100] * 1_000 if reading_s < 1 else [100] * 50
    write_passages(docs, n_words)
    monkeypatch.setattr("minisearch.indexing.pipeline.WINDOW_TOKENS", 65_536)
    now_s, stored_s, windows = 0.0, [0.0], []
    monkeypatch.setattr("minisearch.indexing.pipeline.time", SimpleNamespace(perf_counter=lambda: now_s))

    class Slow(HashingEncoder):
        def encode_document(self, texts):
            nonlocal now_s
            windows.append(sum(len(text.split()) for text in texts))
            now_s += windows[-1] / tokens_per_s
            return np.tile(np.float32(1 / 8), (len(texts), 64))

    def read(path: str) -> bytes:
        nonlocal now_s
        now_s += reading_s
        return read_bytes(path)

    put = LocalStore.put

    def put_and_note(*arguments) -> None:
        put(*arguments)
        stored_s.append(now_s)

    monkeypatch.setattr("minisearch.indexing.changes.read_bytes", read)
    monkeypatch.setattr(LocalStore, "put", put_and_note)
    with MiniSearch.open(index=tmp_path / "index", encoder=Slow()) as ms:
        ms.index(docs, backend="flat")
    assert len(stored_s) == len(n_words) + 1
    assert stored_s[1] < first_s
    assert max(later - earlier for earlier, later in itertools.pairwise(stored_s)) < 10.0
    if tokens_per_s > 1_000 and reading_s < 1:
        assert max(windows) > 25_000, "a fast model has large windows, which take less time"


def test_small_documents_do_not_wait_for_a_huge_one(docs: Path, tmp_path: Path) -> None:
    write_passages(docs, [24, 24, 5_000])

    class Interrupted(HashingEncoder):
        def encode_document(self, texts):
            if any("w2x" in text for text in texts):
                raise KeyboardInterrupt
            return super().encode_document(texts)

    with MiniSearch.open(index=tmp_path / "index", encoder=Interrupted()) as ms:
        with pytest.raises(KeyboardInterrupt):
            ms.index(docs, backend="flat")
        assert ms.status().n_documents == 2


def test_progress_counts_passages_and_knows_all_once_every_file_is_read(docs: Path, tmp_path: Path) -> None:
    write_passages(docs, [100, 300, 200, 100, 100, 200, 300, 100])
    (docs / "0001.txt").write_text((docs / "0000.txt").read_text())  # its passages are embedded once
    steps: list[IndexProgress] = []
    with MiniSearch.open(index=tmp_path / "index", encoder=HashingEncoder()) as ms:
        n_chunks = ms.index(docs, on_progress=steps.append).n_chunks
        status = ms.status()
    assert n_chunks == status.n_chunks
    assert steps[0].is_estimate
    assert (steps[-1].n_chunks, steps[-1].is_estimate) == (n_chunks, False)
    assert steps[-1].n_chunks_done == n_chunks
    done = [step.n_chunks_done for step in steps]
    assert done == sorted(done)
    estimates = [step.n_chunks for step in steps if step.n_chunks is not None and step.n_files_done]
    assert all(n_chunks / 3 < n < 3 * n_chunks for n in estimates)
    assert all(step.n_chunks == n_chunks for step in steps if not step.is_estimate)
    assert [step.path for step in steps if step.doing == "reading" and step.path] == [
        str(path) for path in sorted(docs.iterdir())
    ]
    embedded = [step for step in steps if step.doing.startswith("embedding")]
    assert all(bool(step.path) != step.doing.endswith("files") for step in embedded)


def test_expected_chunks_follow_the_files_of_the_same_format() -> None:
    files = [FoundFile(f"/{n}.{suffix}", 6_000, 0, 0) for suffix in ("md", "log") for n in range(100)]
    expected = ExpectedChunks(files)
    assert expected.n_chunks() == 200 * 10, "as usual for text"
    for file in files[:90]:
        expected.read(file, 30)
    assert 10 * 29 < expected.n_chunks() - 100 * 10 < 10 * 30 + 1, "those of .md files have 30 chunks"
    for file in files[90:]:
        expected.read(file, 5)
    assert expected.n_chunks() == 0


def test_progress_of_a_later_run_is_of_the_files_that_changed(docs: Path, tmp_path: Path) -> None:
    write_passages(docs, [100] * 8)
    steps: list[IndexProgress] = []
    with MiniSearch.open(index=tmp_path / "index", encoder=HashingEncoder()) as ms:
        ms.index(docs)
        for name in ("0006.txt", "0007.txt"):
            (docs / name).write_text((docs / name).read_text() + " more")
        n_chunks = ms.index(docs, on_progress=steps.append).n_chunks
    assert [step.n_files_indexed for step in steps if step.n_files_done == 6] == [6] * len(
        [step for step in steps if step.n_files_done == 6]
    )
    assert {step.n_files_indexed for step in steps} == {6, 7, 8}
    assert all(2 <= step.n_chunks < 3 * n_chunks for step in steps), "of two files"
    assert steps[-1].n_chunks == n_chunks


def test_progress_with_other_settings_is_of_all_files(docs: Path, tmp_path: Path) -> None:
    write_passages(docs, [100] * 8)
    steps: list[IndexProgress] = []
    with MiniSearch.open(index=tmp_path / "index", encoder=HashingEncoder()) as ms:
        ms.index(docs)
    settings = Settings(max_tokens=20)
    with MiniSearch.open(index=tmp_path / "index", encoder=HashingEncoder(), settings=settings) as ms:
        n_chunks = ms.index(docs, on_progress=steps.append).n_chunks
    estimates = [step.n_chunks for step in steps if step.n_chunks]
    assert all(n_chunks / 3 < n < 3 * n_chunks for n in estimates)
    indexed = [step.n_files_indexed for step in steps if step.n_chunks_done]
    assert (indexed[0], indexed[-1], indexed) == (0, 8, sorted(indexed))


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

    def failing(path, data, **options):
        if path.endswith("b.md"):
            raise ZeroDivisionError("a mistake of ours")
        return parse(path, data, **options)

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
