"""Scanned pages: pictures of words in a PDF, read by a stand-in for Tesseract and by Tesseract itself."""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw, ImageFont

from minisearch import MiniSearch
from minisearch.errors import IngestError, InputError
from minisearch.manifest import FileChoice
from minisearch.parsers import parse, scans
from minisearch.parsers.registry import SANDBOX
from tests.fakes import HashingEncoder
from tests.parsers.made_files import drawing, pdf_of_streams, stream

LINES = ("The roof leaks when the", "wind turns to the north.")


@pytest.fixture(autouse=True)
def asks_again() -> Iterator[None]:
    scans._languages.cache_clear()
    yield
    scans._languages.cache_clear()


def scan(pages: Sequence[Sequence[str]]) -> bytes:
    """A PDF whose pages are pictures of these lines."""
    font = ImageFont.load_default(60)
    pictures = [Image.new("L", (1240, 1754), 255) for _ in pages]
    for picture, lines in zip(pictures, pages, strict=True):
        for number, line in enumerate(lines):
            ImageDraw.Draw(picture).text((120, 200 + 90 * number), line, font=font, fill=0)
    file = io.BytesIO()
    pictures[0].save(file, "PDF", save_all=True, append_images=pictures[1:], resolution=150)
    return file.getvalue()


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Puts a program named tesseract before all others, which runs this line of Python."""

    def make(line: str) -> None:
        folder = tmp_path / "programs"
        folder.mkdir(exist_ok=True)
        file = folder / "tesseract"
        languages = 'if "--list-langs" in sys.argv: print("List of languages\\nfra\\nosd"); sys.exit()'
        file.write_text(f"#!{sys.executable}\nimport sys\n{languages}\n{line}\n")
        file.chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    return make


WRITES = (
    "open(sys.argv[2] + '.txt', 'w').write('Le toit fu-\\nit.\\n\\n' + ' '.join(sys.argv[3:5]) + '\\n\\f')"
)


def test_the_words_of_scanned_pages_are_at_their_pages(program: Callable[[str], None]) -> None:
    program(WRITES)
    words, picture = stream(drawing([(72, 700, 12, "Drawn words")])), stream(PICTURE)
    found = parse("a.pdf", pdf_of_streams([words, picture, stream(b"")]), uses_ocr=True)
    assert found.text.strip() == "Drawn words\n\nLe toit fuit.\n\n-l fra"
    assert [found.text[start:][:4] for start in found.pages] == ["Draw", "Le t", ""]
    assert found.notes == ("1 of 3 pages read by OCR",)


def test_several_pages_are_drawn_for_one_request(
    program: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    program(WRITES)
    requests = []
    extract = SANDBOX.extract

    def counted(format_: str, label: str, data: bytes) -> dict[str, Any]:
        requests.append(format_)
        return extract(format_, label, data)

    monkeypatch.setattr(SANDBOX, "extract", counted)
    found = parse("a.pdf", pdf_of_streams([stream(PICTURE)] * 10), uses_ocr=True)
    assert found.notes == ("10 of 10 pages read by OCR",)
    assert requests == ["pdf", "scans", "scans"]


def test_a_page_that_cannot_be_drawn_leaves_the_others(
    program: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    program(WRITES)
    extract = SANDBOX.extract

    def fails(format_: str, label: str, data: bytes) -> dict[str, Any]:
        if format_ == "scans" and 1 in json.loads(data.partition(b"\n")[0])["pages"]:
            raise IngestError("crashed")
        return extract(format_, label, data)

    monkeypatch.setattr(SANDBOX, "extract", fails)
    found = parse("a.pdf", pdf_of_streams([stream(PICTURE)] * 3), uses_ocr=True)
    assert found.notes[0] == "2 of 3 pages read by OCR"
    assert not found.text[slice(*found.pages[1:])].strip()


PICTURE = b"q 100 0 0 100 72 600 cm BI /W 1 /H 1 /CS /G /BPC 8 ID \x80 EI Q"


@pytest.mark.parametrize("line", ["pass", "sys.exit(1)", "import os; os.kill(os.getpid(), 9)"])
def test_a_page_that_is_not_recognised_is_noted(program: Callable[[str], None], line: str) -> None:
    program(line)
    words = stream(drawing([(72, 700, 12, "Drawn words")]))
    found = parse("a.pdf", pdf_of_streams([words, stream(PICTURE)]), uses_ocr=True)
    assert found.text.strip() == "Drawn words"
    assert found.notes == ("1 of 2 pages without text, probably scanned: no words were recognised",)
    with pytest.raises(
        IngestError, match=r"^1 page without text, probably scanned: no words were recognised$"
    ):
        parse("a.pdf", pdf_of_streams([stream(PICTURE)]), uses_ocr=True)


def test_a_page_that_takes_too_long_is_noted(
    program: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    program("import time; time.sleep(600)")
    monkeypatch.setattr(scans, "TIMEOUT_S", 0.1)
    with pytest.raises(IngestError, match="no words were recognised"):
        parse("a.pdf", pdf_of_streams([stream(PICTURE)]), uses_ocr=True)


def test_without_the_program_a_run_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "a.md").write_text("Words.")
    with (
        MiniSearch(tmp_path / "index", encoder=HashingEncoder()) as ms,
        pytest.raises(InputError, match=r"--ocr needs the program tesseract .*apt install tesseract-ocr"),
    ):
        ms.index(tmp_path / "a.md", choice=FileChoice(ocr=True))
    with pytest.raises(IngestError, match="1 page without text, probably scanned: --ocr needs the program"):
        parse("a.pdf", pdf_of_streams([stream(PICTURE)]), uses_ocr=True)


def test_the_choice_holds_for_later_runs_until_it_is_taken_back(
    tmp_path: Path, program: Callable[[str], None]
) -> None:
    program(WRITES)
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "a.pdf").write_bytes(pdf_of_streams([stream(PICTURE)]))
    (docs / "b.md").write_text("Words.")
    with MiniSearch(tmp_path / "index", encoder=HashingEncoder()) as ms:
        assert [one.reason for one in ms.index(docs).skipped] == [
            "1 page without text, probably scanned: --ocr reads them"
        ]
        assert ms.index(docs, choice=FileChoice(ocr=True)).added == 1
        assert ms.query("toit", mode="lexical")[0].page == 1
        (docs / "c.pdf").write_bytes(pdf_of_streams([stream(PICTURE)] * 2))
        report = ms.index(docs)
        assert (report.added, report.unchanged) == (1, 2)
        (docs / "d.pdf").write_bytes(pdf_of_streams([stream(PICTURE)] * 3))
        later = ms.index(docs, choice=FileChoice(ocr=False))
        assert (later.added, later.removed) == (0, 0)  # what was read is kept
        assert "d.pdf" in " ".join(one.path for one in later.skipped)


@pytest.mark.skipif(not shutil.which("tesseract"), reason="tesseract is not installed")
def test_tesseract_reads_pages() -> None:
    found = parse("a.pdf", scan([LINES, ["Page two."]]), uses_ocr=True)
    assert found.text == f"{' '.join(LINES)}\n\nPage two."
    assert found.notes == ("2 of 2 pages read by OCR",)
