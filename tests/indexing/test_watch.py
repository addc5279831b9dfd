"""The index follows the files: a save is found two seconds later, and only its owner ends the watch."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from minisearch import MiniSearch
from minisearch.errors import InputError, MinisearchError
from minisearch.indexing.watch import _changes, _ticks
from minisearch.paths import IndexLocation
from minisearch.stores.local.files import writer_lock
from tests.fakes import HashingEncoder


@contextmanager
def watched(root: Path, *paths: Path) -> Iterator[tuple[list, list[MinisearchError]]]:
    """A watch in a thread of its own: the reports and the problems so far, with the time of each."""
    reports: list[tuple[float, object]] = []
    problems: list[MinisearchError] = []
    stop = threading.Event()

    def follow() -> None:
        with MiniSearch(root / ".minisearch", encoder=HashingEncoder()) as ms:
            runs = ms.watch(*paths, stop=stop, on_problem=problems.append)
            reports.extend((time.monotonic(), report) for report in runs)

    thread = threading.Thread(target=follow)
    thread.start()
    try:
        until(lambda: reports)
        yield reports, problems
    finally:
        stop.set()
        thread.join(timeout=10)
        assert not thread.is_alive()


def until(condition, *, timeout_s: float = 15.0) -> None:
    started_s = time.monotonic()
    while not condition():
        assert time.monotonic() - started_s < timeout_s, "nothing has come"
        time.sleep(0.01)


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "a.md").write_text("The river is wide.")
    return folder


def test_a_save_a_new_file_and_a_deletion_are_each_followed(tmp_path: Path, docs: Path) -> None:
    with watched(tmp_path, docs) as (reports, problems):
        assert reports[0][1].added == 1
        for change, counted in (
            (lambda: (docs / "a.md").write_text("The river is narrow now."), "updated"),
            (lambda: (docs / "b.md").write_text("Bread and salt."), "added"),
            (lambda: (docs / "a.md").unlink(), "removed"),
        ):
            n, saved_s = len(reports), time.monotonic()
            change()
            until(lambda n=n: len(reports) > n)
            assert getattr(reports[n][1], counted) == 1
            assert reports[n][0] - saved_s < 2.0
        with MiniSearch(tmp_path / ".minisearch", encoder=HashingEncoder()) as ms:
            assert [Path(hit.path).name for hit in ms.query("bread")] == ["b.md"]
        assert problems == []


def test_the_first_report_does_not_wait_for_the_model_to_be_loaded(
    tmp_path: Path, docs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[object] = []
    monkeypatch.setattr(
        "minisearch.indexing.writer.IndexWriter.warm_up", lambda writing: loaded.append(writing)
    )
    stop = threading.Event()
    with MiniSearch(tmp_path / ".minisearch", encoder=HashingEncoder()) as ms:
        reports = ms.watch(docs, stop=stop)
        assert (next(reports).added, len(loaded)) == (1, 0)
        stop.set()
        assert (list(reports), len(loaded)) == ([], 1)


def test_the_index_folder_inside_what_is_watched_starts_no_run(tmp_path: Path, docs: Path) -> None:
    with watched(tmp_path, tmp_path) as (reports, _):
        time.sleep(2.5)  # the first run has written to it
        assert len(reports) == 1


def test_an_editor_that_replaces_the_one_watched_file_is_followed(tmp_path: Path, docs: Path) -> None:
    with watched(tmp_path, docs / "a.md") as (reports, _):
        (docs / "other.md").write_text("Not watched.")
        (docs / "a.tmp").write_text("Replaced whole.")
        (docs / "a.tmp").replace(docs / "a.md")
        until(lambda: len(reports) > 1)
        assert (reports[1][1].updated, reports[1][1].added) == (1, 0)


def test_a_busy_index_is_tried_again_and_a_folder_that_is_gone_ends_nothing(
    tmp_path: Path, docs: Path
) -> None:
    with watched(tmp_path, docs) as (reports, problems):
        with writer_lock(tmp_path / ".minisearch"):
            (docs / "a.md").write_text("Written while another writes.")
            until(lambda: problems)
        until(lambda: len(reports) > 1)
        assert reports[1][1].updated == 1
        (docs / "a.md").unlink()
        until(lambda: len(problems) > 1)
        assert "no files to index" in str(problems[1])
        (docs / "c.md").write_text("Back again.")
        until(lambda: len(reports) > 2)


def test_a_link_that_leads_out_is_not_watched_through(tmp_path: Path, docs: Path) -> None:
    (docs / "root").symlink_to("/")
    (docs / "loop").symlink_to(docs)
    with watched(tmp_path, docs) as (reports, _):
        for number in range(3):
            saved_s = time.monotonic()
            (docs / "a.md").write_text(f"Saved {number} times more.")
            until(lambda number=number: len(reports) > number + 1)
            assert reports[-1][0] - saved_s < 2.0
        (docs / "later").symlink_to("/")
        (docs / "b.md").write_text("A window.")
        until(lambda: len(reports) > 4)
        assert (reports[-1][1].added, len(reports)) == (1, 5)


def test_what_changes_behind_a_link_is_no_change_and_what_is_beside_it_keeps_its_name(
    tmp_path: Path, docs: Path
) -> None:
    (docs / "up").symlink_to(tmp_path)
    (tmp_path / ".minisearch").mkdir()
    stop = threading.Event()
    ticks = _changes([docs], IndexLocation(tmp_path / ".minisearch"), stop)
    try:
        assert next(ticks)
        (tmp_path / "outside.md").write_text("Nobody asked for it.")
        (tmp_path / ".minisearch" / "minisearch.db").write_text("A run has ended.")
        assert [next(ticks), next(ticks)] == [False, False]
        (docs / "a.md").write_text("But this.")
        assert any(next(ticks) for _ in range(2))
    finally:
        stop.set()
    assert not list(ticks)


def test_a_new_folder_is_followed_and_one_that_has_come_back(tmp_path: Path, docs: Path) -> None:
    with watched(tmp_path, docs) as (reports, _):
        for number, name in enumerate(("new", "new/deep/deeper", "last"), start=1):
            (docs / name).mkdir(parents=True)
            time.sleep(0.7)
            saved_s = time.monotonic()
            (docs / name / "x.md").write_text(f"In {number}.")
            until(lambda number=number: len(reports) > number)
            assert reports[number][1].added == 1
            assert reports[number][0] - saved_s < 2.5
        docs.rename(tmp_path / "away")
        time.sleep(1.5)
        (tmp_path / "away").rename(docs)
        time.sleep(1.5)
        (docs / "new" / "y.md").write_text("Back again.")
        until(lambda: len(reports) > 4)
        assert reports[4][1].added == 1


def test_a_folder_that_comes_as_the_watch_begins_is_watched_too() -> None:
    begun: list[tuple[str, ...]] = []

    def watched(*folders: str) -> Iterator[set[str]]:
        begun.append(folders)
        while True:
            yield set()  # nothing is told of what came before

    ticks = _ticks(watched, lambda: {"docs", "docs/new"} if begun else {"docs"})
    assert [next(ticks), next(ticks), next(ticks), next(ticks)] == [True, True, False, False]
    assert begun == [("docs",), ("docs", "docs/new")]


def test_a_name_that_is_no_text_ends_nothing_and_what_cannot_be_watched_is_told(
    tmp_path: Path, docs: Path, caplog: pytest.LogCaptureFixture
) -> None:
    name = os.fsdecode(b"caf\xe9")
    with watched(tmp_path, docs) as (reports, problems):
        (docs / f"{name}.md").write_text("A coffee.")
        until(lambda: len(reports) > 1)
        (docs / name).mkdir()
        until(lambda: f"cannot watch {docs / name}: its name is no text" in caplog.text)
        (docs / "b.md").write_text("A window.")
        until(lambda: len(reports) > 2)
        assert [report.added for _, report in reports] == [1, 1, 1]
    assert not problems and caplog.text.count("cannot watch") == 1


def test_files_that_vanish_in_numbers_are_kept_told_once_and_end_nothing(tmp_path: Path, docs: Path) -> None:
    (docs / "nine").mkdir()
    for number in range(9):
        (docs / "nine" / f"{number}.md").write_text(f"Number {number} of nine.")
    with watched(tmp_path, docs) as (reports, problems):
        assert reports[0][1].added == 10
        (docs / "nine").rename(tmp_path / "elsewhere")
        until(lambda: problems and "9 of the index's 10 documents" in str(problems[-1]))
        n_told = len(problems)
        time.sleep(1.5)
        assert len(problems) == n_told
        (tmp_path / "elsewhere").rename(docs / "nine")
        (docs / "new.md").write_text("All are back.")
        until(lambda: len(reports) > 1 and reports[-1][1].unchanged + reports[-1][1].added >= 10)
        with MiniSearch(tmp_path / ".minisearch", encoder=HashingEncoder()) as ms:
            until(lambda: ms.status().n_documents == 11)


def test_without_anything_to_watch_it_says_so(tmp_path: Path) -> None:
    ms = MiniSearch(tmp_path / ".minisearch", encoder=HashingEncoder())
    with ms, pytest.raises(InputError, match="nothing to watch"):
        next(iter(ms.watch()))


def test_a_refresh_follows_all_that_was_ever_indexed_and_not_removed(tmp_path: Path, docs: Path) -> None:
    other = tmp_path / "other"
    (other / "deep").mkdir(parents=True)
    (other / "deep" / "x.md").write_text("A cloud.")
    with MiniSearch(tmp_path / ".minisearch", encoder=HashingEncoder()) as ms:
        ms.index(docs)
        ms.index(other / "deep")
        ms.index(other)
        assert ms.roots() == [str(docs), str(other)]
        (docs / "b.md").write_text("A window.")
        (other / "y.md").write_text("A garden.")
        assert ms.refresh().added == 2
        ms.remove(other)
        assert ms.roots() == [str(docs)]
        assert ms.refresh().unchanged == 2
