"""A preview says what the run then does, and does nothing itself."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from minisearch import MiniSearch
from minisearch.errors import IngestError, InputError, ShrinkRefused
from minisearch.manifest import FileChoice
from tests.fakes import HashingEncoder


@pytest.fixture
def docs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "docs").mkdir()
    return tmp_path / "docs"


def change(docs: Path, dice: random.Random) -> None:
    for number in range(20):
        path = docs / f"{number:02}.txt"
        match dice.randrange(8):
            case 0:
                path.write_bytes(b"\x89PNG\r\n\x1a\n\x00")
            case 1:
                path.write_text(" ")
            case 2:
                path.unlink(missing_ok=True)
            case 3:
                path.touch()
            case 4 | 5 | 6:
                path.write_text(f"some words {dice.random()}")
    (docs / ".gitignore").write_text(f"0{dice.randrange(10)}.txt")


def everything_in(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {
        str(path): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file() and not path.name.endswith(("-shm", "-wal"))  # SQLite's own, for readers
    }


@pytest.mark.parametrize("seed", range(5))
def test_a_preview_lists_what_the_run_then_does(seed: int, docs: Path) -> None:
    dice = random.Random(seed)
    for _ in range(4):
        change(docs, dice)
        choice = FileChoice(exclude=[f"1{dice.randrange(10)}.txt"], max_bytes=dice.choice([10, 1_000]))
        with MiniSearch.open(".", encoder=HashingEncoder()) as ms:
            try:
                said = ms.preview("docs", choice=choice)
            except IngestError:  # nothing to index
                continue
            before = set() if not ms._location.exists() else documents(ms)
            if said.refusal:
                with pytest.raises(ShrinkRefused) as refused:
                    ms.index("docs", choice=choice)
                assert str(refused.value) == said.refusal
            report = ms.index("docs", choice=choice, prune=True)
            after = documents(ms)
        assert set(said.added) == after - before
        assert set(said.removed) == before - after
        assert set(said.added) | set(said.updated) | set(said.unchanged) == after
        if "what was read is kept" not in said.refusal:
            assert (len(said.updated), len(said.unchanged)) == (report.updated, report.unchanged)
        assert (said.skipped, said.choices) == (report.skipped, report.choices)
        with MiniSearch.open(".") as ms:
            assert said.left_out == ms.coverage().left_out


def documents(ms: MiniSearch) -> set[str]:
    return {result.path for result in ms.query("words", k=999, by="chunk")}


def test_a_preview_creates_nothing_and_loads_no_model(docs: Path) -> None:
    (docs / "a.txt").write_text("text")
    with MiniSearch.open(".", model="no-such-model") as ms:
        assert ms.preview("docs").added == ("docs/a.txt",)
    assert sorted(path.name for path in docs.parent.iterdir()) == ["docs"]
    with MiniSearch.open(".", encoder=HashingEncoder()) as ms:
        ms.index("docs")
    (docs / "a.txt").write_text("another text")
    os.utime(docs / "a.txt", (1_600_000_000, 1_600_000_000))
    before = everything_in(docs.parent)
    with MiniSearch.open(".", model="no-such-model") as ms:
        assert ms.preview("docs").updated == ("docs/a.txt",)
    assert everything_in(docs.parent) == before


def test_a_preview_of_nothing_is_refused_as_the_run_would_be(docs: Path) -> None:
    with MiniSearch.open(".") as ms:
        with pytest.raises(InputError, match="nothing to index"):
            ms.preview()
        with pytest.raises(IngestError, match="no files to index in docs"):
            ms.preview("docs")
        with pytest.raises(IngestError, match="cannot index nowhere"):
            ms.preview("nowhere")
