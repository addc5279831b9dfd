"""A run that would take much out of an index stops before it changes anything, unless it is told to go on."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from minisearch import MiniSearch
from minisearch.errors import ShrinkRefused
from minisearch.manifest import FileChoice
from tests.fakes import HashingEncoder


@pytest.fixture
def docs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Twenty files, half of them in a folder of their own."""
    monkeypatch.chdir(tmp_path)
    for number in range(20):
        path = tmp_path / "docs" / ("far" if number % 2 else "") / f"{number:02}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"words of file {number}" + "!" * number)
        os.utime(path, ns=(10**18, 10**18 + number))
    return tmp_path / "docs"


@pytest.fixture
def ms(docs: Path) -> MiniSearch:
    with MiniSearch.open(".", encoder=HashingEncoder()) as ms:
        ms.index("docs")
        yield ms


def files_of(docs: Path) -> list[Path]:
    return sorted(path for path in docs.rglob("*.txt"))


def test_a_fifth_may_go_and_one_more_may_not(docs: Path, ms: MiniSearch) -> None:
    for path in files_of(docs)[:5]:
        path.unlink()
    before = ms.status()
    with pytest.raises(ShrinkRefused) as refused:
        ms.index("docs")
    assert str(refused.value).startswith(
        "this run would remove 5 of the index's 20 documents, all from docs; nothing was changed."
    )
    assert "minisearch index docs --prune" in str(refused.value)
    assert ms.status() == before, "not even a run is noted"
    files_of(docs)[0].with_name("back.txt").write_text("one that is new makes up for none")
    with pytest.raises(ShrinkRefused):
        ms.index("docs")
    assert ms.index("docs", prune=True).removed == 5
    for path in files_of(docs)[:3]:
        path.unlink()
    assert ms.index("docs").removed == 3


def test_a_folder_whose_disk_is_gone_is_named(docs: Path, ms: MiniSearch) -> None:
    (docs / "far").rename(docs.parent / "elsewhere")
    (docs / "far").mkdir()
    with pytest.raises(ShrinkRefused, match=r"10 of the index's 20 documents, all from docs/far; nothing"):
        ms.index("docs")
    (docs / "far").rmdir()
    (docs.parent / "elsewhere").rename(docs / "far")
    assert ms.index("docs").unchanged == 20


def test_moved_files_are_not_lost(docs: Path, ms: MiniSearch) -> None:
    (docs / "far").rename(docs / "near")
    report = ms.index("docs")
    assert (report.added, report.removed, report.n_encoded) == (10, 10, 0)


def test_files_that_were_emptied_count_as_lost(docs: Path, ms: MiniSearch) -> None:
    for path in files_of(docs):
        path.write_text("")
    with pytest.raises(ShrinkRefused, match=r"20 of the index's 20 documents.*nothing was changed"):
        ms.index("docs")
    assert ms.status().n_documents == 20


def test_what_shows_only_while_reading_removes_nothing_however_often_it_is_refused(
    docs: Path, ms: MiniSearch
) -> None:
    for path in files_of(docs)[:18]:
        path.write_bytes(b"\0" * 100)
    files_of(docs)[18].write_text("what can be read is taken")
    for _ in range(3):
        said = ms.preview("docs")
        with pytest.raises(
            ShrinkRefused, match=r"18 of the index's 20 .*what was read is kept, and nothing was removed"
        ) as refused:
            ms.index("docs")
        assert said.refusal == str(refused.value)
        assert ms.status().n_documents == 20
        assert ms.status().last_run.outcome == "failed"
        assert ms.query("taken", mode="lexical")[0].path.endswith(files_of(docs)[18].name)
    assert ms.preview("docs", prune=True).refusal == ""
    assert ms.index("docs", prune=True).removed == 18


def test_files_that_go_and_files_that_are_damaged_are_counted_together(docs: Path, ms: MiniSearch) -> None:
    for path in files_of(docs)[:3]:
        path.unlink()
    for path in files_of(docs)[:2]:
        path.write_bytes(b"\0" * 100)
    with pytest.raises(ShrinkRefused, match=r"5 of the index's 20"):
        ms.index("docs")
    assert ms.status().n_documents == 20
    files_of(docs)[0].write_text("mended")
    assert ms.index("docs").removed == 4


def test_strangers_of_the_same_size_and_time_make_up_for_nothing(docs: Path, ms: MiniSearch) -> None:
    for number, path in enumerate(files_of(docs)[:10]):
        status, size = path.stat(), len(path.read_bytes())
        path.unlink()
        stranger = path.with_name(f"stranger{number}.txt")
        stranger.write_text("x" * size)
        os.utime(stranger, ns=(status.st_mtime_ns, status.st_mtime_ns))
    with pytest.raises(ShrinkRefused, match=r"10 of the index's 20 documents.*nothing was changed"):
        ms.index("docs")
    assert ms.status().n_documents == 20


def test_moved_files_are_known_by_their_bytes_whatever_their_time(docs: Path, ms: MiniSearch) -> None:
    (docs / "far").rename(docs / "near")
    for path in (docs / "near").iterdir():
        path.touch()  # as a version control system does
    report = ms.index("docs")
    assert (report.added, report.removed, report.n_encoded) == (10, 10, 0)


def test_one_copy_makes_up_for_one_file_only(docs: Path, ms: MiniSearch) -> None:
    for path in files_of(docs):
        path.write_text("all the same")
    ms.index("docs")
    for path in files_of(docs)[:10]:
        path.unlink()
    (docs / "new.txt").write_text("all the same")
    with pytest.raises(ShrinkRefused, match="9 of the index's 20"):
        ms.index("docs")


def test_a_move_to_a_name_that_cannot_be_read_is_a_loss(docs: Path, ms: MiniSearch) -> None:
    for path in files_of(docs)[:10]:
        path.rename(path.with_suffix(".pdf"))
    with pytest.raises(ShrinkRefused, match=r"10 of the index's 20 .*what was read is kept"):
        ms.index("docs")
    assert ms.status().n_documents == 20


def test_each_folder_is_measured_by_itself_too(docs: Path, ms: MiniSearch) -> None:
    other = docs.parent / "other"
    other.mkdir()
    for number in range(4):
        (other / f"{number}.txt").write_text(f"other words {number}")
    ms.index("other")
    for number in range(3):
        (other / f"{number}.txt").unlink()
    for paths in (["docs", "other"], ["other"], ms.roots()):
        with pytest.raises(ShrinkRefused, match=r"would remove 3 of the 4 documents of \S*other, all from"):
            ms.index(*paths)
    assert ms.status().n_documents == 24
    assert ms.index("other", prune=True).removed == 3


def test_a_pattern_that_would_empty_the_index_is_stopped_too(docs: Path, ms: MiniSearch) -> None:
    choice = FileChoice(include=["*.txt"], exclude=["far/"], max_bytes=1000)
    command = r"minisearch index docs --include '\*.txt' --exclude far/ --max-bytes 1000 --prune$"
    with pytest.raises(ShrinkRefused, match=command) as refused:
        ms.index("docs", choice=choice)
    assert ms.preview("docs", choice=choice).refusal == str(refused.value)
    assert ms.index("docs").unchanged == 20, "a choice that was refused is not remembered"
    assert ms.index("docs", choice=FileChoice(exclude=["far/"]), prune=True).removed == 10


def test_one_file_of_a_small_index_may_always_go_and_removing_by_name_is_meant(
    docs: Path, ms: MiniSearch
) -> None:
    assert ms.remove("docs/far", "docs/00.txt", "docs/02.txt", "docs/04.txt", "docs/06.txt") == 14
    (docs / "08.txt").unlink()
    assert ms.index("docs/10.txt").unchanged == 1
    ms.remove("docs/10.txt", "docs/12.txt", "docs/14.txt")
    assert ms.status().n_documents == 3


def test_an_unreadable_folder_loses_nothing(
    docs: Path, ms: MiniSearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    scandir = os.scandir

    def guarded(folder):
        if os.fspath(folder).endswith("far"):
            raise PermissionError(13, "Permission denied", folder)
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", guarded)
    report = ms.index("docs")
    assert (report.unchanged, report.removed) == (10, 0)
    assert [skip.reason for skip in report.skipped] == ["Permission denied"]
