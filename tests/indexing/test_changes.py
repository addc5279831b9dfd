"""What was passed over is not read again until it changes; what changes while it is read is read again."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from minisearch import MiniSearch, formats
from minisearch.errors import IngestError
from minisearch.indexing import changes as reading
from minisearch.manifest import FileChoice, Settings
from minisearch.parsers import read_bytes, registry, sandbox
from tests.fakes import HashingEncoder
from tests.parsers.made_files import epub


@pytest.fixture
def docs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "docs").mkdir()
    return tmp_path / "docs"


@pytest.fixture
def ms(docs: Path) -> MiniSearch:
    with MiniSearch.open(".", encoder=HashingEncoder()) as ms:
        yield ms


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of files that were read; none of them counts as changed a moment ago."""
    names: list[str] = []
    monkeypatch.setattr(reading, "read_bytes", lambda path: names.append(Path(path).name) or read_bytes(path))
    monkeypatch.setattr(reading, "RACY_NS", -(10**12))
    return names


def test_what_was_passed_over_is_not_read_again_until_it_changes(
    docs: Path, ms: MiniSearch, read: list[str]
) -> None:
    (docs / "a.md").write_text("text")
    (docs / "empty.md").touch()
    (docs / "photo.md").write_bytes(b"\x89PNG\r\n\x1a\n\x00")
    first = ms.index("docs")
    read.clear()
    again = ms.index("docs")
    assert (read, again.skipped, again.unchanged) == ([], first.skipped, 1)
    (docs / "photo.md").write_text("no photo any more")
    assert ms.index("docs").added == 1
    assert read == ["photo.md"]
    assert [one.path for one in ms.status().skipped] == ["docs/empty.md"]


def test_a_file_that_a_new_library_may_read_is_tried_again(
    docs: Path, ms: MiniSearch, read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (docs / "a.md").write_text("text")
    (docs / "empty.md").touch()
    monkeypatch.setattr(reading, "installed_libraries", lambda: ())
    ms.index("docs")
    monkeypatch.setattr(reading, "installed_libraries", lambda: ("pypdfium2 5.0",))
    read.clear()
    ms.index("docs")
    assert read == ["empty.md"]
    ms.index("docs")
    assert read == ["empty.md"]


def test_a_file_is_read_again_when_its_suffix_gets_a_parser(
    docs: Path, ms: MiniSearch, read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (docs / "a.md").write_text("text")
    monkeypatch.delitem(formats.BY_SUFFIX, ".rtf")
    (docs / "b.wiki").write_text("* bread")
    (docs / "c.rtf").write_text("{\\rtf1 salt}")
    first = ms.index("docs")
    assert [one.reason for one in first.skipped] == ["an RTF file by another name: call it .rtf"]
    read.clear()
    for name in ("wiki", "rtf"):
        monkeypatch.setitem(formats.BY_SUFFIX, f".{name}", formats.Format(name))
        monkeypatch.setitem(registry.READERS, name, lambda source: source.unchanged("new"))
    second = ms.index("docs")
    assert (read, second.added, second.updated, second.skipped) == (["b.wiki", "c.rtf"], 1, 1, ())


def test_a_file_that_could_not_be_opened_is_tried_again(
    docs: Path, ms: MiniSearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    (docs / "a.md").write_text("text")
    (docs / "b.md").write_text("more")

    def closed(path: str) -> bytes:
        if path.endswith("b.md"):
            raise reading.IngestError("cannot be read: Permission denied")
        return read_bytes(path)

    monkeypatch.setattr(reading, "read_bytes", closed)
    assert [one.reason for one in ms.index("docs").skipped] == ["cannot be read: Permission denied"]
    monkeypatch.setattr(reading, "read_bytes", read_bytes)
    assert ms.index("docs").added == 1


def changed_by(change: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch, *, times: int) -> None:
    """Let something happen to every file while it is read, so many times."""
    left: dict[str, int] = {}

    def read(path: str) -> bytes:
        data = read_bytes(path)
        if left.setdefault(path, times):
            left[path] -= 1
            change(Path(path))
        return data

    monkeypatch.setattr(reading, "read_bytes", read)


def grow(path: Path) -> None:
    with path.open("a") as file:
        file.write(" and more")


def replace(path: Path) -> None:
    other = path.with_name("other.tmp")
    other.write_text("x" * path.stat().st_size)
    stamp = path.stat().st_mtime_ns
    os.utime(other, ns=(stamp, stamp))
    other.rename(path)


@pytest.mark.parametrize("change", [grow, replace, lambda path: path.write_text("")])
def test_a_file_that_changes_once_while_it_is_read_is_read_as_it_then_is(
    change: Callable[[Path], None], docs: Path, ms: MiniSearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    (docs / "a.md").write_text("text")
    (docs / "still.md").write_text("here")
    changed_by(change, monkeypatch, times=1)
    ms.index("docs")
    (path,) = docs.glob("a.md")
    expected = {path.read_text()} - {""}
    assert {result.text for result in ms.query("text", k=9) if result.path == "docs/a.md"} == expected


@pytest.fixture
def killed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """From the call on, the system kills every process that takes a file apart, as when it has no memory."""
    boot = "import os; os.read(0, 8); os.kill(os.getpid(), 9)"

    def kill() -> None:
        registry.SANDBOX.close()
        monkeypatch.setattr(sandbox, "BOOT", boot)

    yield kill
    registry.SANDBOX.close()


KILLED = "the reader of the EPUB crashed (signal 9)"


def test_a_document_whose_reader_is_killed_stays_until_its_file_changes(
    docs: Path, killed: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    (docs / "a.epub").write_bytes(epub("<p>bread and salt</p>"))
    (docs / "b.md").write_text("water")
    with MiniSearch.open(".", encoder=HashingEncoder()) as ms:
        ms.index("docs")
    boot = sandbox.BOOT
    killed()
    with MiniSearch.open(".", encoder=HashingEncoder(), settings=Settings(overlap_tokens=4)) as ms:
        report = ms.index("docs")
        assert [one.reason for one in report.skipped] == [f"{KILLED}; its earlier text is kept"]
        assert (report.removed, ms.query("bread")[0].text) == (0, "bread and salt")
        monkeypatch.setattr(sandbox, "BOOT", boot)
        report = ms.index("docs")
        assert (report.updated, report.skipped) == (1, ())
        killed()
        (docs / "a.epub").write_bytes(epub("<p>stone</p>"))
        report = ms.index("docs")
        assert (report.removed, [one.reason for one in report.skipped]) == (1, [KILLED])


def test_a_file_whose_reader_was_killed_is_tried_again(
    docs: Path, ms: MiniSearch, read: list[str], killed: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    (docs / "a.epub").write_bytes(epub("<p>bread and salt</p>"))
    (docs / "b.md").write_text("water")
    boot = sandbox.BOOT
    killed()
    assert [one.reason for one in ms.index("docs").skipped] == [KILLED]
    monkeypatch.setattr(sandbox, "BOOT", boot)
    assert ms.index("docs").added == 1


def test_a_text_with_secrets_is_not_kept_when_they_are_to_be_screened(
    docs: Path, ms: MiniSearch, killed: Callable[[], None]
) -> None:
    (docs / "a.epub").write_bytes(epub("<p>bread, salt and AKIAQ3EGRZXB4MPLVW2K</p>"))
    (docs / "b.md").write_text("AKIAQ3EGRZXB4MPLVW2K")
    (docs / "c.md").write_text("water")
    assert ms.index("docs", choice=FileChoice(keep_secrets=True)).added == 3
    killed()
    report = ms.index("docs", choice=FileChoice(keep_secrets=False), prune=True)
    assert (report.removed, [one.path for one in report.skipped]) == (2, ["docs/a.epub", "docs/b.md"])


def test_a_text_with_secrets_is_not_kept_where_its_file_cannot_be_opened(
    docs: Path, ms: MiniSearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "abc":
        (docs / f"{name}.md").write_text(f"bread {name} and AKIAQ3EGRZXB4MPLVW2K")
    assert ms.index("docs", choice=FileChoice(keep_secrets=True)).added == 3

    def refuse(path: str) -> bytes:
        raise IngestError("Permission denied")

    monkeypatch.setattr(reading, "read_bytes", refuse)
    (docs / "a.md").write_text("salt")
    report = ms.index("docs")
    assert (report.removed, report.skipped[0].reason) == (0, "Permission denied; its earlier text is kept")
    report = ms.index("docs", choice=FileChoice(keep_secrets=False), prune=True)
    assert (report.removed, {one.reason for one in report.skipped}) == (3, {"Permission denied"})
    assert not ms.query("AKIAQ3EGRZXB4MPLVW2K")


def test_a_file_that_ended_its_reader_in_three_runs_is_left_until_it_changes(
    docs: Path, ms: MiniSearch, read: list[str], killed: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    (docs / "a.epub").write_bytes(epub("<p>bread</p>"))
    (docs / "b.md").write_text("water")
    boot = sandbox.BOOT
    killed()
    reasons = [ms.index("docs").skipped[0].reason for _ in range(4)]
    left = f"{KILLED}, as in 3 runs: left until it is changed or touched"
    assert reasons == [KILLED, KILLED, left, left]
    assert read.count("a.epub") == 3
    monkeypatch.setattr(sandbox, "BOOT", boot)
    assert [one.reason for one in ms.index("docs").skipped] == [left]
    (docs / "a.epub").write_bytes(epub("<p>bread and salt</p>"))
    assert ms.index("docs").added == 1


def test_a_file_that_changes_between_is_tried_anew(
    docs: Path, ms: MiniSearch, killed: Callable[[], None]
) -> None:
    (docs / "b.md").write_text("water")
    killed()
    for n in range(4):
        (docs / "a.epub").write_bytes(epub(f"<p>bread {n}{'x' * n}</p>"))
        assert [one.reason for one in ms.index("docs").skipped] == [KILLED]


def test_a_file_that_does_not_come_to_rest_is_passed_over_and_the_next_run_takes_it(
    docs: Path, ms: MiniSearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    (docs / "a.md").write_text("text")
    changed_by(grow, monkeypatch, times=2)
    assert [one.reason for one in ms.index("docs").skipped] == [
        "changes while it is being read: the next run will try again"
    ]
    report = ms.index("docs")
    assert (report.added, report.skipped) == (1, ())
    assert ms.query("text")[0].text == "text and more and more"


def test_a_file_that_vanishes_while_it_is_read_is_passed_over(
    docs: Path, ms: MiniSearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    (docs / "a.md").write_text("text")
    (docs / "b.md").write_text("more")
    changed_by(lambda path: path.unlink() if path.name == "a.md" else None, monkeypatch, times=1)
    assert [one.reason for one in ms.index("docs").skipped] == ["vanished while it was being read"]


def test_a_file_that_becomes_a_link_out_of_the_folder_is_not_followed(
    docs: Path, ms: MiniSearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    (docs.parent / "outside.txt").write_text("not for everybody")
    (docs / "a.md").write_text("text")
    (docs / "b.md").write_text("more")
    find = reading.Reader.read

    def swapped(self, path, found):
        if path == "docs/a.md" and not (docs / "a.md").is_symlink():
            (docs / "a.md").unlink()
            (docs / "a.md").symlink_to("../outside.txt")
        return find(self, path, found)

    monkeypatch.setattr(reading.Reader, "read", swapped)
    ms.index("docs")
    assert not any("everybody" in result.text for result in ms.query("everybody", k=9))


def test_files_that_others_write_to_all_the_time_are_right_after_a_quiet_run(
    docs: Path, ms: MiniSearch
) -> None:
    for number in range(50):
        (docs / f"{number:02}.txt").write_text("first " * 50)
    done = threading.Event()

    def write() -> None:
        n = 0
        while not done.is_set():
            n += 1
            path = docs / f"{n % 50:02}.txt"
            match n % 4:
                case 0:
                    path.write_text(f"text number {n} " * (n % 30 + 1))
                case 1:
                    grow(path)
                case 2:
                    replace(path)
                case 3:
                    path.touch()
            time.sleep(0.0005)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(3):
            ms.index("docs", prune=True)
    finally:
        done.set()
        writer.join()
    (docs / "other.tmp").unlink(missing_ok=True)
    ms.index("docs", prune=True)
    with MiniSearch.open(index="fresh", encoder=HashingEncoder()) as fresh:
        fresh.index("docs")
        expected = {(result.path, result.text) for result in fresh.query("text", k=10**6, by="chunk")}
    root = str(docs.parent) + "/"
    assert {(result.path, result.text) for result in ms.query("text", k=10**6, by="chunk")} == {
        (path.removeprefix(root), text) for path, text in expected
    }
