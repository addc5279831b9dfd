"""Every byte that was seen is accounted for, and every file that gave none is named with its reason."""

from __future__ import annotations

import os
import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from minisearch import MiniSearch
from minisearch.choice import FileChoice
from minisearch.config import Settings
from minisearch.errors import IndexNotFound, IngestError
from minisearch.ingest import read_bytes
from minisearch.reading import n_bytes_reached
from minisearch.types import Chunk, Document, Origin
from tests.fakes import HashingEncoder

WORDS = ["bread", "salt", "water", "star", "moon", "tide", "sleep", "coffee", "task", "retry", "failed"]


@pytest.fixture
def docs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "docs").mkdir()
    return tmp_path / "docs"


@pytest.fixture
def ms(docs: Path) -> MiniSearch:
    with MiniSearch.open(".", encoder=HashingEncoder(), settings=Settings(max_tokens=20)) as ms:
        yield ms


def prose(dice: random.Random) -> str:
    blocks = [" ".join(dice.choices(WORDS, k=dice.randint(1, 60))) for _ in range(dice.randint(1, 6))]
    return ("\n" * dice.randint(1, 4)).join(["# Title", *blocks]) + "\n" * dice.randint(0, 3)


def write_some(docs: Path, dice: random.Random) -> None:
    """Files of every kind: prose in some encodings, markup, empty, binary, large, secret, hidden, linked."""
    for number in range(dice.randint(5, 20)):
        path = (
            docs
            / dice.choice(["", "a", "a/b", "out", ".hidden"])
            / f"{number}{dice.choice(['.md', '.txt', '.html'])}"
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        text = prose(dice)
        match dice.randrange(9):
            case 0:
                path.write_bytes(b"\x89PNG\r\n\x1a\n\x00" + dice.randbytes(50))
            case 1:
                path.write_text(dice.choice(["", " \n\n"]))
            case 2:
                path.write_text("x" * 5_000)
            case 3:
                path.write_text(text, encoding="utf-16")
            case 4:
                path.write_bytes("Grüße, größer ".encode("latin-1") + text.encode())
            case 5:
                (path.parent / ".env").write_text("TOKEN=1")
                (path.parent / "id_rsa").write_text("nothing")
            case 6:
                path.write_text(
                    f"<html><title>T</title><body><p>{text}</p><script>x=1</script></body></html>"
                )
            case _:
                path.write_text(text)
    (docs / "last.md").write_text(prose(dice))
    os.link(docs / "last.md", docs / "twice.md")
    (docs / ".gitignore").write_text("out/\n")


def seen_by_hand(docs: Path) -> int:
    """Bytes of all files that are neither hidden nor ignored, by another walk."""
    total = 0
    for folder, folders, files in os.walk(docs):
        folders[:] = [name for name in folders if name != "out" and not name.startswith(".")]
        total += sum((Path(folder) / name).stat().st_size for name in files if not name.startswith("."))
    return total


def reached_by_hand(database: Path) -> int:
    """Different bytes of files that stand in chunks, by their rows."""
    with closing(sqlite3.connect(database)) as connection:
        rows = connection.execute("select document_id, start_byte, end_byte from chunks").fetchall()
    return len({(document, byte) for document, start, end in rows for byte in range(start, end)})


@pytest.mark.parametrize("seed", range(12))
def test_bytes_seen_are_those_in_passages_between_them_and_of_files_passed_over(
    seed: int, docs: Path, ms: MiniSearch
) -> None:
    dice = random.Random(seed)
    for _ in range(2):
        for path in docs.rglob("*"):
            if path.is_file() and dice.random() < 0.4:
                path.unlink()
        (docs / "twice.md").unlink(missing_ok=True)
        write_some(docs, dice)
        report = ms.index("docs", choice=FileChoice(max_bytes=4_000), prune=True)
        found = ms.coverage()
        assert found.n_bytes == seen_by_hand(docs)
        assert found.n_bytes_reached == reached_by_hand(docs.parent / ".minisearch" / "minisearch.db")
        assert found.n_bytes == found.n_bytes_reached + found.n_bytes_between + found.n_bytes_passed_over
        assert found.n_bytes_passed_over == sum(Path(one.path).stat().st_size for one in found.skipped)
        assert found.skipped == report.skipped
        n_files = sum(1 for path in docs.rglob("*") if path.is_file() and not hidden(path.relative_to(docs)))
        assert found.n_documents + len(found.skipped) == n_files
        assert {one.path for one in found.left_out} == left_out_by_hand(docs)


def hidden(path: Path) -> bool:
    return path.parts[0] == "out" or any(part.startswith(".") for part in path.parts)


def left_out_by_hand(docs: Path) -> set[str]:
    left_out = {f"docs/{name}/" for name in ("out", ".hidden") if (docs / name).is_dir()}
    names = {
        path
        for path in docs.rglob(".*")
        if path.is_file() and not hidden(path.relative_to(docs).parent / "x")
    }
    return left_out | {f"docs/{path.relative_to(docs)}" for path in names}


def test_of_plain_text_nothing_but_white_space_is_left_between_passages(docs: Path, ms: MiniSearch) -> None:
    dice = random.Random(5)
    texts = [prose(dice) for _ in range(20)]
    for number, text in enumerate(texts):
        (docs / f"{number}.txt").write_text(text)
    ms.index("docs")
    found = ms.coverage()
    assert found.n_bytes == found.n_characters == sum(map(len, texts))
    n_letters = sum(len("".join(text.split())) for text in texts)
    assert n_letters <= found.n_bytes_reached <= found.n_bytes


def test_every_file_that_gave_nothing_has_its_reason(docs: Path, ms: MiniSearch) -> None:
    (docs / "a.md").write_text("text")
    (docs / "empty.md").touch()
    (docs / "photo.md").write_bytes(b"\x89PNG\r\n\x1a\n\x00")
    (docs / "large.md").write_text("x" * 101)
    (docs / ".env").write_text("TOKEN=1")
    (docs / "prod.env").write_text("TOKEN=1")
    (docs / "key.txt").write_text("AKIAQ3EGRZXB4MPLVW2K")
    (docs / "odd.txt").write_bytes("Grüße".encode("latin-1"))
    (docs / "build").mkdir()
    (docs / "build" / "x.md").write_text("never looked at")
    (docs / ".minisearchignore").write_text("build/")
    (docs / "drafts").mkdir()
    ms.index("docs", choice=FileChoice(max_bytes=100, exclude=["drafts"]))
    found = ms.coverage()
    reasons = {one.path.removeprefix("docs/"): one.reason for one in (*found.skipped, *found.left_out)}
    assert reasons == {
        "empty.md": "no text in it",
        "photo.md": "binary file (PNG image)",
        "large.md": "too large: 101 bytes, and the limit is 100 (--max-bytes raises it)",
        "prod.env": "screened: environment variables, by its name (*.env); --keep-secrets takes it",
        "key.txt": "screened: there is nothing but secrets in it (--keep-secrets takes it)",
        ".env": "hidden",
        ".minisearchignore": "hidden",
        "build/": "ignored by .minisearchignore, line 1: build/",
        "drafts/": "excluded: --exclude drafts",
    }
    assert [(note.path, "Windows-1252" in note.text) for note in found.notes] == [("docs/odd.txt", True)]
    assert [note.text for note in found.choices] == ["--exclude drafts --max-bytes 100"]


def test_reasons_that_quote_what_is_no_utf_8_are_told_and_kept(docs: Path, ms: MiniSearch) -> None:
    folder = os.fsencode(docs)
    Path(os.fsdecode(folder + b"/a\xff.md")).write_text("text")
    os.link(folder + b"/a\xff.md", folder + b"/b.md")
    os.symlink(folder + b"/../\xff", folder + b"/c.md")
    (docs.parent / "\udcff").touch()
    (docs / "d\udcff.md").write_text("more")
    (docs / ".minisearchignore").write_bytes(b"d\xff*\n")
    report = ms.index("docs")
    assert report.added == 1
    assert [one.reason for one in report.skipped] == [
        f"the same file as {docs}/a\udcff.md",
        f"symbolic link that leads out of the folder, to {docs.parent}/\udcff",
    ]
    found = ms.coverage()
    assert found.skipped == report.skipped
    assert "ignored by .minisearchignore, line 1: d\udcff*" in [one.reason for one in found.left_out]
    again = ms.index("docs")
    assert (again.unchanged, again.skipped, ms.coverage()) == (1, found.skipped, found)


def test_a_file_that_cannot_be_read_again_counts_once_with_its_earlier_text(
    docs: Path, ms: MiniSearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    (docs / "a.md").write_text("one text")
    (docs / "b.md").write_text("another")
    ms.index("docs")
    (docs / "b.md").write_text("another, but longer")

    def read(path: str) -> bytes:
        if path.endswith("b.md"):
            raise IngestError("Input/output error")
        return read_bytes(path)

    monkeypatch.setattr("minisearch.reading.read_bytes", read)
    ms.index("docs")
    found = ms.coverage()
    assert (found.n_bytes, found.n_bytes_passed_over, len(found.skipped)) == (len("one textanother"), 0, 1)


def test_what_other_folders_left_out_stays_and_what_is_removed_is_forgotten(
    docs: Path, ms: MiniSearch
) -> None:
    other = docs.with_name("other")
    other.mkdir()
    for folder in (docs, other):
        (folder / "a.md").write_text(f"text of {folder.name}")
        (folder / ".secret").touch()
    ms.index("docs")
    ms.index("other")
    assert [one.path for one in ms.coverage().left_out] == ["docs/.secret", "other/.secret"]
    (docs / ".secret").unlink()
    ms.index("docs")
    assert [one.path for one in ms.coverage().left_out] == ["other/.secret"]
    ms.remove("other")
    assert ms.coverage().left_out == ()


def test_there_is_no_coverage_without_an_index(docs: Path, ms: MiniSearch) -> None:
    with pytest.raises(IndexNotFound, match="minisearch index FOLDER"):
        ms.coverage()


def test_bytes_in_two_chunks_count_once_and_those_of_an_extract_whole() -> None:
    def chunk(start: int, stop: int) -> Chunk:
        return Chunk(start, stop, "x" * (stop - start), start, stop, 1, 1, "", 1)

    text = Document("a", "x" * 50, "text", Origin("x" * 50))
    assert n_bytes_reached(text, [chunk(10, 20), chunk(0, 5), chunk(15, 25), chunk(16, 18)], 50) == 5 + 15
    assert n_bytes_reached(text, [], 50) == 0
    pages = Document("a.pdf", "x" * 50, "pdf", Origin("x" * 50, is_extract=True))
    assert n_bytes_reached(pages, [chunk(0, 5)], 9_000) == 9_000
