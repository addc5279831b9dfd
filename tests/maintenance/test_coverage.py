"""Every byte that was seen is accounted for, and every file that gave none is named with its reason."""

from __future__ import annotations

import json
import os
import random
import re
import sqlite3
from contextlib import closing
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from minisearch import MiniSearch
from minisearch.chunking.positions import bytes_under
from minisearch.errors import IndexNotFound, IngestError
from minisearch.manifest import FileChoice, Settings
from minisearch.parsers import read_bytes
from minisearch.types import Document, Origin
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
                script = "x=1;" * dice.randint(1, 400)
                path.write_text(
                    f"<html><title>T</title><body><p>{text}</p><script>{script}</script>"
                    f"<p>{prose(dice)}</p><!-- {script} --></body></html>"
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


class Visible(HTMLParser):
    """The words of a page, with the white space around them."""

    def __init__(self) -> None:
        super().__init__()
        self.words = ""
        self.unseen = ""

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.unseen = tag if tag in ("script", "title") else ""

    def handle_endtag(self, tag: str) -> None:
        self.unseen = ""

    def handle_data(self, data: str) -> None:
        self.words += data * (not self.unseen)


def words_by_hand(path: Path) -> tuple[int, int]:
    """The bytes of a file that are letters of its text, and those that are letters or white space of it."""
    data = path.read_bytes()
    encoding = "utf-16-le" if data.startswith(b"\xff\xfe") else "cp1252" if b"\xfc" in data else "utf-8"
    text = data.decode(encoding).removeprefix("\ufeff")
    if path.suffix == ".html":
        page = Visible()
        page.feed(text)
        text = page.words
    shown = re.sub("<!--.*?-->", "", text) if path.suffix == ".md" else text  # no reader sees a comment
    return len("".join(shown.split()).encode(encoding)), len(text.encode(encoding))


def reached(database: Path) -> dict[str, int]:
    with closing(sqlite3.connect(database)) as connection:
        rows = connection.execute("select path, n_bytes_reached from documents").fetchall()
    return {os.fsdecode(path): n_bytes for path, n_bytes in rows}


@pytest.mark.parametrize("seed", range(12))
def test_bytes_seen_are_those_in_passages_between_them_and_of_files_passed_over(
    seed: int, docs: Path, ms: MiniSearch
) -> None:
    dice = random.Random(seed)
    for _ in range(2):
        for path in sorted(docs.rglob("*")):  # in another order they would be other files
            if path.is_file() and dice.random() < 0.4:
                path.unlink()
        (docs / "twice.md").unlink(missing_ok=True)
        write_some(docs, dice)
        report = ms.index("docs", choice=FileChoice(max_bytes=4_000), prune=True)
        found = ms.coverage()
        assert found.n_bytes == seen_by_hand(docs)
        by_document = reached(docs.parent / ".minisearch" / "minisearch.db")
        assert found.n_bytes_reached == sum(by_document.values())
        for path, n_bytes in by_document.items():
            letters, all_of_it = words_by_hand(docs.parent / path)
            assert letters <= n_bytes <= all_of_it, path
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

    monkeypatch.setattr("minisearch.indexing.changes.read_bytes", read)
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


PICTURE = "iVBORw0KGgo" * 1_000
HIDDEN = {
    "script.html": f"<p>bread</p><script>{PICTURE}</script><p>salt</p>",
    "comment.html": f"<p>bread<!-- {PICTURE} -->salt</p>",
    "link.html": f'<p>bread <a href="{PICTURE}">salt</a></p>',
    "image.ipynb": json.dumps(
        {
            "nbformat": 4,
            "nbformat_minor": 5,
            "metadata": {},
            "cells": [
                {
                    "cell_type": "code",
                    "metadata": {},
                    "source": ["bread"],
                    "outputs": [
                        {"output_type": "display_data", "data": {"image/png": PICTURE}, "metadata": {}},
                        {"output_type": "stream", "name": "stdout", "text": ["salt"]},
                    ],
                }
            ],
        }
    ),
    "mail.eml": (
        "Subject: bread\nContent-Type: multipart/mixed; boundary=X\n\n--X\nContent-Type: image/png\n"
        f"Content-Transfer-Encoding: base64\n\n{PICTURE}\n--X\nContent-Type: text/plain\n\nsalt\n--X--\n"
    ),
}


@pytest.mark.parametrize("name", HIDDEN)
def test_what_is_no_text_has_not_reached_a_vector_though_words_stand_around_it(
    name: str, docs: Path, ms: MiniSearch
) -> None:
    (docs / name).write_text(HIDDEN[name])
    ms.index("docs")
    text = " ".join(one.text for one in ms.query("bread salt", k=9))
    assert "bread" in text
    assert "salt" in text
    assert len("breadsalt") <= ms.coverage().n_bytes_reached <= 60


def test_letters_that_are_escaped_reach_a_vector_with_all_their_bytes(docs: Path, ms: MiniSearch) -> None:
    (docs / "a.json").write_text(json.dumps({"a": "漢字" * 500}))
    ms.index("docs")
    assert ms.coverage().n_bytes_reached >= len(r"\u6f22") * 1_000


def test_bytes_in_two_chunks_count_once_and_those_of_an_extract_by_its_pages() -> None:
    text = Document("a", "x" * 50, "text", Origin("x" * 50))
    assert bytes_under(text, [(10, 20), (0, 5), (15, 25), (16, 18)], 50) == 5 + 15
    assert bytes_under(text, [], 50) == 0
    wide = Document("a", "é" * 50, "text", Origin("é" * 50, "utf-16-le", 2))
    assert bytes_under(wide, [(0, 5), (3, 10)], 102) == 20
    body = "one\n\n\n\nfour"
    extract = Document("a.docx", body, "docx", Origin(body, is_extract=True))
    assert bytes_under(extract, [(0, 3)], 9_000) == 9_000
    assert bytes_under(extract, [], 9_000) == 0
    pages = replace(extract, pages=(0, 5, 5, 7))
    assert bytes_under(pages, [(0, 3), (7, 11)], 9_000) == 4_500
