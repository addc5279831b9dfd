"""Whatever is called a document: it is indexed or told with its reason, and every other file is indexed."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from minisearch import MiniSearch
from minisearch.chunking.chunker import split_document
from minisearch.cli import cli
from minisearch.errors import IngestError
from minisearch.files.walk import walk
from minisearch.indexing import changes as reading
from minisearch.indexing import plan as planning
from minisearch.manifest import Settings
from minisearch.minilm.encoders import Encoders
from minisearch.parsers import parse
from minisearch.parsers.source import TERMINAL_CODE
from minisearch.stores.local import LocalStore
from tests.fakes import HashingEncoder
from tests.faults import hostile
from tests.faults.hostile import BYSTANDERS, INDEXED, bystanders
from tests.faults.processes import CHECKOUT, environment

NOBODY = 65_534
LINE_BREAK = re.compile(r"\r\n|\r|\n")
UNFIT = re.compile("[\0\ud800-\udfff]")


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that every user may enter and read, with what pytest could not take away after."""
    path = Path(tempfile.mkdtemp(prefix="minisearch-hostile-"))
    path.chmod(0o777)
    before = os.umask(0o022)
    (path / "docs").mkdir()
    yield path
    os.umask(before)
    subprocess.run(["rm", "-rf", "--", str(path)], check=True)  # shutil would recurse 3,000 folders deep


def index_twice(place: Path, *, mb: int = 400, max_bytes: int = 50_000_000, uid: int = 0) -> dict[str, Any]:
    """Index ``place/docs`` in a process with bounded memory: what it told."""
    arguments = map(str, (place / ".minisearch", place / "docs", mb, max_bytes, uid))
    ended = subprocess.run(
        [sys.executable, "-m", "tests.faults.limited", *arguments],
        env=environment(),
        cwd=CHECKOUT,
        capture_output=True,
        timeout=3_000,
    )
    assert ended.returncode == 0, ended.stderr.decode(errors="replace")[-3_000:]
    told: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return told


def reasons(told: Mapping[str, Any], place: Path, run: int = 0) -> dict[str, str]:
    """Why each file was passed over, by its path from ``place/docs``."""
    return {
        os.path.relpath(one["path"], place / "docs"): one["reason"] for one in told["reports"][run]["skipped"]
    }


def assert_all_accounted_for(
    told: Mapping[str, Any], place: Path, expected: Mapping[str, str], *, more: str | None = None
) -> None:
    """Each file ended as expected, no other is named, and the second run found nothing to do.

    ``more`` is the reason of folders that may be named besides.
    """
    documents = {path.removeprefix("docs/") for path in told["documents"]}
    passed_over = reasons(told, place)
    for name, reason in expected.items():
        if reason == INDEXED:
            assert name in documents, f"{name!a} is not indexed: {passed_over.get(name)}"
            assert name not in passed_over, f"{name!a} is indexed, and told as passed over"
        else:
            assert re.search(reason, passed_over.get(name, "")), f"{name!a}: {passed_over.get(name)!r}"
            assert name not in documents
    others = (documents | set(passed_over)) - set(expected)
    assert all(more is not None and re.search(more, passed_over.get(name, "")) for name in others), others
    first, second = told["reports"]
    assert first["added"] == len(documents)
    assert (second["added"], second["updated"], second["removed"]) == (0, 0, 0)
    assert second["unchanged"] == len(documents)
    assert reasons(told, place, run=1) == passed_over
    assert told["problems"] == []


# --- made files, in a process with bounded memory -----------------------------------------------------


def test_files_over_the_size_limit_are_named_and_not_opened(place, often, tell):
    expected = bystanders(place / "docs") | hostile.too_large(
        place / "docs", often(60_000_000, 1_000_000_000)
    )
    told = index_twice(place, mb=50)  # the first read would be too much
    assert_all_accounted_for(told, place, expected)
    tell("files over the size limit", f"{len(expected) - 3} refused; peak {told['peak_mb']:.0f} MB")


def test_large_files_take_bounded_memory(place, often, tell):
    n_bytes = often(1_000_000, 40_000_000)
    expected = bystanders(place / "docs") | hostile.large(place / "docs", n_bytes)
    told = index_twice(place, mb=300 + 40 * n_bytes // 1_000_000)
    assert_all_accounted_for(told, place, expected)
    tell(
        f"one line, line breaks, NULs and tokens of {n_bytes / 1e6:g} MB",
        f"peak {told['peak_mb']:.0f} MB, {told['times_s'][0]:.1f} s; second run {told['times_s'][1]:.1f} s",
    )


def test_a_file_larger_than_memory_costs_itself_alone(place):
    expected = bystanders(place / "docs")
    with (place / "docs" / "huge.txt").open("wb") as file:
        file.truncate(1_000_000_000)
    told = index_twice(place, mb=250, max_bytes=2_000_000_000)
    assert_all_accounted_for(told, place, expected | {"huge.txt": "more memory to read than there is"})


@pytest.mark.parametrize("kind", ["archives", "pdfs", "nested", "special", "contents", "names"])
def test_each_hostile_file_is_indexed_or_told_and_all_others_are_indexed(place, kind, often, tell):
    expected = bystanders(place / "docs")
    if kind == "nested":
        expected |= hostile.nested(place / "docs", often(4_000, 100_000))
    else:
        expected |= getattr(hostile, kind)(place / "docs")
    told = index_twice(place)
    assert_all_accounted_for(told, place, expected)
    assert told["peak_mb"] < told["before_mb"] + 250
    assert not Path("/tmp/minisearch-was-here").exists(), "an archive has written a file"
    n_told = sum(reason != INDEXED for reason in expected.values())
    tell(
        f"hostile files: {kind}",
        f"{len(expected) - len(BYSTANDERS)} files, {n_told} refused by name, the others indexed; peak "
        f"{told['peak_mb']:.0f} MB (reader's process {told['sandbox_mb']:.0f}), {told['times_s'][0]:.1f} s",
    )


def test_folders_deeper_than_a_path_can_say(place, often, tell):
    n, name = often(300, 3_000), "d" * often(20, 1)
    expected = bystanders(place / "docs") | hostile.deep_folders(place / "docs", n, name)
    told = index_twice(place)
    assert_all_accounted_for(told, place, expected, more="File name too long")
    (too_deep,) = reasons(told, place).values()
    assert too_deep == "File name too long"
    tell("folders in folders", f"{n:,}: {told['times_s'][0]:.1f} s; what no path can name is told")


def test_very_many_tiny_files(place, often, tell):
    n = often(2_000, 100_000)
    for number in range(n):
        path = place / "docs" / f"{number // 1_000:03}" / f"{number}.txt"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"Note {number} on w{number % 97}.\n")
    told = index_twice(place, mb=often(400, 1_000))
    assert told["reports"][0]["added"] == told["reports"][1]["unchanged"] == len(told["documents"]) == n
    assert told["peak_mb"] < told["before_mb"] + 60 + n * 0.004  # 4 kB a file: stamps, paths, a vector
    first_s, second_s = told["times_s"]
    tell(
        "very many tiny files",
        f"{n:,}: {n / first_s:,.0f} a second, second run {second_s:.1f} s, peak {told['peak_mb']:.0f} MB",
    )


def test_files_and_folders_that_may_not_be_read(place, tell):
    docs = place / "docs"
    expected = bystanders(docs)
    hostile.write(
        docs, {"closed.md": "Closed.", "shut/in.md": "Shut.", "seen/in.md": "Seen.", "was.md": "Was."}
    )
    is_root = os.geteuid() == 0
    os.chown(place, NOBODY if is_root else -1, -1)
    told = index_twice(place, uid=NOBODY if is_root else 0)
    assert len(told["documents"]) == len(expected) + 4
    modes = {"closed.md": 0o000, "shut": 0o000, "seen": 0o444}
    for name, mode in modes.items():
        (docs / name).chmod(mode)
    (docs / "was.md").write_text("Was readable.")
    (docs / "was.md").chmod(0o000)
    try:
        told = index_twice(place, uid=NOBODY if is_root else 0)
    finally:
        for name in modes:
            (docs / name).chmod(0o755)
    passed_over = reasons(told, place)
    assert passed_over.keys() == {"shut", "seen/in.md", "was.md"} | ({"closed.md"} & passed_over.keys())
    assert all("Permission denied" in reason for reason in passed_over.values())
    assert "its earlier text is kept" in passed_over["was.md"]
    assert len(told["documents"]) == len(expected) + 4, "what cannot be looked at is not gone"
    assert told["reports"][1]["removed"] == 0
    tell("files and folders of mode 000", f"{len(passed_over)} told, 0 lost")


# --- names and texts on a terminal ------------------------------------------------------------------


@pytest.fixture
def odd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with files of odd names and odd texts, and the command with a quick encoder."""
    for name in ("to_index", "to_query", "to_add"):
        monkeypatch.setattr(Encoders, name, lambda *_: HashingEncoder())
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MINISEARCH_INDEX", raising=False)
    (tmp_path / "docs").mkdir()
    hostile.names(tmp_path / "docs")
    hostile.contents(tmp_path / "docs")
    return tmp_path


def printed(*arguments: str) -> str:
    result = CliRunner().invoke(cli, arguments, prog_name="minisearch")
    assert result.exit_code in {0, 1, 3}, (arguments, result.output, result.exception)
    return result.stdout_bytes.decode("utf-8", "surrogateescape") + result.stderr_bytes.decode(
        "utf-8", "replace"
    )


def test_no_escape_sequence_of_a_name_or_a_text_reaches_the_terminal(odd, tell):
    names = [name for name in os.listdir("docs") if not name.startswith(".")]
    commands = [
        ("index", "docs", "--dry-run", "-v"),
        ("index", "docs", "-v"),
        ("status", "-v"),
        ("status", "--coverage", "-v"),
        *(
            ("query", text, "-k", "50", *more)
            for text in ("bread", "stone")
            for more in ((), ("--why",), ("--full",))
        ),
        *(("why-not", f"docs/{name}", "bread") for name in names),
        *(("chunks", f"docs/{name}") for name in names if os.path.isfile(f"docs/{name}")),
        ("query", "bread \x1b[31m \u202e"),
        ("index", "docs/\x1b[31mnowhere"),
        ("remove", "docs/\x1b[31mnowhere"),
    ]
    n_characters = 0
    for command in commands:
        output = printed(*command)
        raw = {char for char in output if unicodedata.category(char) in {"Cc", "Cf", "Cs", "Zl", "Zp"}}
        assert raw <= {"\n", "\u200c", "\u200d"}, (command, raw)
        n_characters += len(output)
    tell(
        "names and texts with escape sequences",
        f"{len(commands)} commands, {n_characters:,} characters, 0 raw",
    )


def test_every_name_survives_the_way_to_json_and_back(odd):
    report = json.loads(printed("index", "docs", "--json"))
    lines = printed("query", "bread water stone river number", "-k", "1000", "--json").splitlines()
    answers = [json.loads(line) for line in lines]
    files = [path for path in Path("docs").rglob("*") if path.is_file() and "/." not in f"/{path}"]
    told = {one["path"] for one in (*answers, *report["skipped"])}
    assert {os.fsencode(path) for path in told} == {os.fsencode(path) for path in files}
    assert all(os.path.isfile(path) for path in told)


# --- bytes without sense ----------------------------------------------------------------------------

NASTY = [
    b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"\xf0\x9f\x98", b"\xff", b"\xfe",
    b"\x80", b"\xc3\xa9", b"\xf0\x9f\x98\x80", b"\xe2\x80\xa8", b"\xc2\x85", b"\xef\xbb\xbf", b"\r", b"\r\n",
    b"\n\n",    b"\x0c", b"\x1b[31m", b"\x7f", b"# ", b"---\n", b"```\n", b"<p>", b"<!--", b'"', b"{", b"[",
    b"::\n\n  ", b"\t",
]  # fmt: skip
SUFFIXES = (".txt", ".md", ".rst", ".html", ".csv", ".json", ".jsonl", ".ipynb", ".eml", ".log")


def scrambled(rng: random.Random) -> bytes:
    """Words with damage between them, or bytes drawn by lot."""
    if rng.random() < 0.3:
        return bytes(rng.randrange(1, 256) for _ in range(rng.randint(1, 400)))
    parts = [rng.choice([b"bread ", b"water ", b"stone. ", *NASTY]) for _ in range(rng.randint(1, 150))]
    return b"".join(parts)


def test_bytes_without_sense_give_a_text_or_a_reason_and_their_places_are_right(often, fault_seed, tell):
    encoder, n_chunks, n_refused = HashingEncoder(), 0, 0
    n = often(300, 10_000)
    for case in range(n):
        data = scrambled(random.Random(f"{fault_seed} {case}"))
        suffix = SUFFIXES[case // 2 % len(SUFFIXES)] if case % 2 else ".txt"
        try:
            document = parse(f"a{suffix}", data)
        except IngestError as error:
            n_refused += 1
            assert str(error)
            continue
        chunks = split_document(
            document, encoder.tokenizer, settings=Settings(), encoder_max_tokens=encoder.max_tokens
        )
        is_covered = bytearray(len(document.text))
        for chunk in chunks:
            assert chunk.text == document.text[chunk.start : chunk.end]
            assert 0 <= chunk.byte_start <= chunk.byte_end <= len(data)
            assert chunk.n_tokens <= encoder.max_tokens
            is_covered[chunk.start : chunk.end] = b"\1" * (chunk.end - chunk.start)
            if suffix == ".txt":
                assert_in_place(chunk, data, document.origin.encoding)
        lost = [
            char
            for char, is_in in zip(document.text, is_covered, strict=True)
            if not (is_in or char.isspace())
        ]
        assert not lost, (suffix, data)
        n_chunks += len(chunks)
    assert n_refused < n / 2
    tell(
        "bytes without sense",
        f"{n:,} files, {n_chunks:,} chunks in place, {n_refused:,} refused, 0 exceptions",
    )


def assert_in_place(chunk: Any, data: bytes, encoding: str) -> None:
    """The bytes that a chunk names are its text, and its line is the one that an editor shows."""
    if encoding not in {"utf-8", "cp1252"}:
        return
    text = data[chunk.byte_start : chunk.byte_end].decode(encoding, "surrogateescape")
    assert UNFIT.sub("\ufffd", TERMINAL_CODE.sub("", text)) == chunk.text
    before = data[: chunk.byte_start].decode(encoding, "surrogateescape")
    assert chunk.line == len(LINE_BREAK.findall(before)) + 1


# --- files that change, and vanish ------------------------------------------------------------------


def append(path: Path, rng: random.Random) -> None:
    with path.open("ab") as file:
        file.write(b"More w%d.\n" % rng.randrange(500))


def truncate(path: Path, rng: random.Random) -> None:
    os.truncate(path, rng.randrange(path.stat().st_size + 1))


def replace(path: Path, rng: random.Random) -> None:
    beside = path.with_name(f".{path.name}")
    beside.write_bytes(b"Another w%d.\n" % rng.randrange(500))
    beside.replace(path)


def rewrite(path: Path, rng: random.Random) -> None:
    """Other bytes of the same length, and the old time put back."""
    status = path.stat()
    path.write_bytes(bytes(rng.choices(b"abc de\n", k=status.st_size)))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def touch(path: Path, rng: random.Random) -> None:
    os.utime(path, ns=(0, rng.randrange(2**61)))


def test_files_that_change_while_they_are_read_are_right_after_the_next_run(
    tmp_path, monkeypatch, often, fault_seed, tell
):
    docs = tmp_path / "docs"
    docs.mkdir()
    paths = [docs / f"{number}.md" for number in range(50)]
    for number, path in enumerate(paths):
        path.write_bytes(b"# File %d\n\n" % number + b"Bread and water, again and again.\n" * 2_000)
    stop, n_changes, read_bytes = threading.Event(), 0, reading.read_bytes

    def read_slowly(path: str) -> bytes:  # as from a disk far away
        data = read_bytes(path)
        time.sleep(0.004)
        return data

    monkeypatch.setattr(reading, "read_bytes", read_slowly)

    def change() -> None:
        nonlocal n_changes
        rng = random.Random(fault_seed)
        while not stop.is_set():
            rng.choice([append, truncate, replace, rewrite, touch])(rng.choice(paths), rng)
            n_changes += 1
            time.sleep(0.0002)

    thread = threading.Thread(target=change)
    n_caught = 0
    with MiniSearch(tmp_path / ".minisearch", encoder=HashingEncoder(max_tokens=254)) as ms:
        thread.start()
        try:
            for _ in range(often(5, 100)):
                report = ms.index(docs, prune=True)
                n_caught += sum("changes while" in one.reason for one in report.skipped)
        finally:
            stop.set()
            thread.join()
        report = ms.index(docs, prune=True)
        assert not [one for one in report.skipped if one.reason != "no text in it"]
        wrong = wrongly_stored(tmp_path / ".minisearch", paths)
        assert wrong == []
        again = ms.index(docs, prune=True)
        assert (again.added, again.updated, again.removed) == (0, 0, 0)
    tell(
        "files that change while they are read",
        f"{n_changes:,} changes of {len(paths)} files, {n_caught} caught in the act, 0 wrong after the next",
    )


def wrongly_stored(index: Path, paths: list[Path]) -> list[str]:
    """The files whose stored passages, or whose absence, is not what their bytes say now."""
    wrong = []
    with LocalStore(index / "minisearch.db") as store, store.snapshot():
        documents = {(index.parent / path): document for path, document in store.documents().items()}
        for path in paths:
            data = path.read_bytes()
            has_text = bool(data.strip())
            if has_text != (path in documents):
                wrong.append(f"{path.name} {'is missing' if has_text else 'is still there'}")
            elif has_text and documents[path].sha256 != hashlib.sha256(data).digest():
                wrong.append(f"{path.name} has an old hash")
            elif has_text:
                kept = "".join(passage.text for passage in store.chunks_of(documents[path].path))
                words = set(data.decode("utf-8", "replace").split())
                wrong += [
                    f"{path.name} has {word!r}"
                    for word in set(kept.split()) - words
                    if not _is_part(word, words)
                ]
    return wrong


def _is_part(word: str, words: set[str]) -> bool:
    """A word without a space for long may have been cut in two."""
    return any(word in one for one in words)


def after_the_walk(monkeypatch: pytest.MonkeyPatch, change: Callable[[], None]) -> None:
    """Let this happen once, when all files were found and none was read."""
    find_files = planning.find_files

    def found_then_changed(*arguments: Any, **options: Any) -> Any:
        walked = find_files(*arguments, **options)
        change()
        monkeypatch.setattr(planning, "find_files", find_files)
        return walked

    monkeypatch.setattr(planning, "find_files", found_then_changed)


@pytest.mark.parametrize("is_known", [False, True])
def test_what_vanishes_between_the_walk_and_the_read_is_told(tmp_path, monkeypatch, is_known, tell):
    docs = tmp_path / "docs"
    expected = bystanders(docs)
    victims = ["gone.md", "gone/a.md", "gone/b.md", "pipe.md", "link.md", "folder.md"]
    hostile.write(docs, {name: f"The first text of {name}." for name in victims})
    (tmp_path / "outside.md").write_text("Outside of all that was asked for.")

    def change() -> None:
        shutil.rmtree(docs / "gone")
        for name in ("gone.md", "pipe.md", "link.md", "folder.md"):
            (docs / name).unlink()
        os.mkfifo(docs / "pipe.md")
        (docs / "link.md").symlink_to(tmp_path / "outside.md")
        (docs / "folder.md").mkdir()

    with MiniSearch(tmp_path / ".minisearch", encoder=HashingEncoder()) as ms:
        if is_known:
            ms.index(docs)
            hostile.write(docs, {name: f"The second text of {name}." for name in victims})
        after_the_walk(monkeypatch, change)
        report = ms.index(docs)
        assert {os.path.relpath(one.path, docs) for one in report.skipped} == set(victims)
        assert all(one.reason for one in report.skipped)
        texts = " ".join(result.text for result in ms.query("text outside bread", 1_000, by="chunk"))
        assert "Outside" not in texts
        assert texts.count("first text") == (len(victims) if is_known else 0), "kept until it is known better"
        report = ms.index(docs, prune=True)
        assert report.removed == (len(victims) if is_known else 0)
        assert ms.status().n_documents == len(expected)
        assert (ms.index(docs).added, ms.index(docs).removed) == (0, 0)
    tell(
        f"vanished between walk and read, {'known' if is_known else 'new'}",
        f"{len(victims)} files, each told",
    )


def test_folders_that_vanish_during_the_walk_are_told(tmp_path):
    for name in "abc":
        hostile.write(tmp_path, {f"{name}/{number}.md": "Bread." for number in range(3)})
    items = walk(tmp_path)
    first = next(items)
    for name in "abc":
        shutil.rmtree(tmp_path / name)
    rest = list(items)
    assert first.path == str(tmp_path / "a" / "0.md")
    told = {os.path.relpath(one.path, tmp_path): getattr(one, "reason", "") for one in rest}
    assert told.keys() == {"a/1.md", "a/2.md", "b", "c"}
    assert all("vanished" in reason for reason in told.values())


# --- clocks -----------------------------------------------------------------------------------------


def test_the_bytes_decide_whatever_the_clock_says(tmp_path, monkeypatch, tell):
    docs = tmp_path / "docs"
    hostile.write(docs, {f"{number}.md": f"Bread number {number}." for number in range(12)})
    now_ns = time.time_ns()
    times = [now_ns + 10**18, now_ns - 10**18, now_ns, 0, -(10**18), 2**62]
    paths = sorted(docs.iterdir())
    n_changed = 0
    with MiniSearch(tmp_path / ".minisearch", encoder=HashingEncoder()) as ms:
        for clock_ns in (0, -3_600 * 10**9, 3_600 * 10**9):  # and the clock itself is set back, then forward
            clock = SimpleNamespace(time_ns=lambda ahead=clock_ns: time.time_ns() + ahead)
            monkeypatch.setattr(reading, "time", clock)
            for moment in times:
                for path in paths[:6]:
                    with contextlib.suppress(OverflowError, OSError):
                        os.utime(path, ns=(moment, moment))
                ms.index(docs)
                for path in paths[:6]:  # other bytes, as many, and the same time
                    status = path.stat()
                    path.write_text(path.read_text().swapcase())
                    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
                assert ms.index(docs).updated == 6
                n_changed += 6
                assert wrongly_stored(tmp_path / ".minisearch", paths) == []
    tell("bytes changed under the same time and size", f"{n_changed} changes, 0 missed")
