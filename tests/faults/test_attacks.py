"""Faults found by attack: each kind once, with inputs of its own."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from minisearch import MiniSearch
from minisearch.chunking.chunker import split_document
from minisearch.chunking.positions import Positions, bytes_under
from minisearch.errors import IndexCorrupt, InputError, MinisearchError
from minisearch.filters import MAX_PHRASE, Contains
from minisearch.manifest import Settings
from minisearch.parsers import parse
from minisearch.search.query import parse_query
from minisearch.stores.local import LocalStore
from tests.fakes import HashingEncoder
from tests.faults.commands import assert_one_error, minisearch
from tests.faults.hostile import _replaced as with_entries
from tests.faults.invariants import write_documents
from tests.faults.processes import CHECKOUT, environment
from tests.parsers import made_files as made

HUGE = ["-5", "9" * 9, "9" * 30, "9" * 5_000]  # within 63 bits, beyond them, beyond what Python converts


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    for name in ("a", "m", "z"):
        (folder / f"{name}.md").write_text(f"# {name}\n\nBread and water, {name}.\n")
    return folder


# --- numbers ---------------------------------------------------------------------------------------


def test_a_file_dated_after_2262_is_indexed_as_any_other(docs, tmp_path):
    late_ns = 13_569_465_600 * 10**9  # 2400-01-01
    os.utime(docs / "m.md", ns=(late_ns, late_ns))
    if (docs / "m.md").stat().st_mtime_ns != late_ns:
        pytest.skip("this file system stores no such date")
    with MiniSearch(tmp_path / "index", encoder=HashingEncoder()) as ms:
        assert ms.index(docs).added == 3
        assert ms.index(docs).unchanged == 3
        assert {one.file_state for one in ms.query("bread", by="chunk")} == {"unchanged"}
        (docs / "m.md").write_text("# m\n\nStones and sand.\n")
        os.utime(docs / "m.md", ns=(late_ns, late_ns))
        assert ms.index(docs).updated == 1


def numbered(n: str) -> dict[str, bytes]:
    """Files of all formats with a number where each of them has one."""
    cell = '<c r="A1" t="inlineStr"><is><t>bread</t></is></c>'
    rows = f'<row r="{n}">{cell}<c r="B{n}" s="{n}"><v>{n}</v></c><c r="C1" t="s"><v>{n}</v></c></row>'
    merged = f'<mergeCells><mergeCell ref="A1:A{n}"/></mergeCells>'
    sheet = f"<worksheet><sheetData>{rows}</sheetData>{merged}</worksheet>"
    levels = f'<w:outlineLvl w:val="{n}"/><w:numPr><w:ilvl w:val="{n}"/><w:numId w:val="{n}"/></w:numPr>'
    span = f'<w:tbl><w:tr><w:tc><w:tcPr><w:gridSpan w:val="{n}"/></w:tcPr>{made.paragraph("x")}</w:tc></w:tr>'
    body = f"<w:p><w:pPr>{levels}</w:pPr><w:r><w:t>bread</w:t></w:r></w:p>{span}</w:tbl>"
    html = f"<p title='&#{n};'>bread &#{n}; <ol start={n}><li value={n}>x</ol><table><tr><td colspan={n}>x"
    code = f'"cell_type": "code", "source": "bread", "execution_count": {n}, "outputs": []'
    event = f"SUMMARY:bread\nDTSTART:{n}0101T000000Z\nDURATION:P{n}D\nRRULE:COUNT={n}\n"
    return {
        "a.xlsx": with_entries(made.xlsx({"S": [["bread", 1]]}), {"xl/worksheets/sheet1.xml": sheet}),
        "a.docx": made.zipped(made.docx_entries(body)),
        "a.html": html.encode(),
        "a.md": f"---\na: {n}\nb: [1e{n}]\ndate: {n}-01-01\n---\n{n}. bread\n".encode(),
        "a.json": f'{{"bread": {n}, "b": [{n}]}}'.encode(),
        "a.csv": f"bread,b\n{n},1e{n}\n".encode(),
        "a.ipynb": f'{{"cells": [{{{code}}}], "nbformat": {n}}}'.encode(),
        "a.eml": f"Subject: x\nDate: Mon, 1 Jan {n} 00:00:00 +{n}\nContent-Length: {n}\n\nbread".encode(),
        "a.ics": f"BEGIN:VCALENDAR\nBEGIN:VEVENT\n{event}END:VEVENT\nEND:VCALENDAR\n".encode(),
    }


@pytest.mark.parametrize("n", HUGE, ids=["negative", "large", "huge", "endless"])
def test_no_number_in_a_file_is_too_large_to_be_stored(tmp_path, n):
    docs = tmp_path / "docs"
    docs.mkdir()
    for name, data in numbered(n).items():
        (docs / name).write_bytes(data)
    with MiniSearch(tmp_path / "index", encoder=HashingEncoder()) as ms:
        report = ms.index(docs)
        assert (report.added, report.skipped, report.n_failed) == (len(numbered(n)), (), 0)


# --- one document ----------------------------------------------------------------------------------

BROKEN = """
from minisearch.search.query import parse_query
from minisearch.stores.local import LocalStore
put = LocalStore.put
def put_others(self, document, *rest):
    if document.path.endswith("m.md"):
        raise ZeroDivisionError("by chance")
    put(self, document, *rest)
LocalStore.put = put_others
"""


def test_an_unexpected_exception_costs_one_document_and_the_exit_code_says_so(docs, tmp_path):
    index = tmp_path / "index"
    done = minisearch("index", docs, "--index", index, first=BROKEN)
    assert done.returncode == 1
    assert "2 documents added" in done.stdout
    assert "m.md" in done.stdout and "ZeroDivisionError: by chance" in done.stdout
    assert "Traceback" not in done.stderr
    done = minisearch("index", docs, "--index", index)
    assert (done.returncode, "1 document added" in done.stdout) == (0, True)


# --- time over a document --------------------------------------------------------------------------

GROWING: dict[str, Callable[[int], bytes]] = {
    "a.csv": lambda n: b"a,b,c\n" + b"1,2,3\n" * n,
    "a.json": lambda n: b"[" + b'{"a": 1, "b": "x"},' * n + b"{}]",
    "a.jsonl": lambda n: b'{"a": 1, "b": "x"}\n' * n,
    "a.html": lambda n: b"<p>" + b"&eacute;&amp; x " * n,
    "table.html": lambda n: b"<table><tr><th>a<th>b</tr>" + b"<tr><td>1<td>2</tr>" * n,
    "a.xlsx": lambda n: made.xlsx({"S": [["a", "b"], *([f"v{i}", i] for i in range(n))]}),
    "a.mbox": lambda n: b"From a@b Mon Jan  1 00:00:00 2024\nSubject: S\nFrom: a@b\n\nbread\n\n" * n,
    "a.ics": lambda n: b"BEGIN:VCALENDAR\n" + b"BEGIN:VEVENT\nSUMMARY:x\nEND:VEVENT\n" * n + b"END:VCALENDAR",
    "a.ipynb": lambda n: (
        b'{"cells": ['
        + b'{"cell_type": "markdown", "source": "bread"},' * n
        + b'{"source": ""}], "nbformat": 4}'
    ),
}


@pytest.mark.parametrize("name", GROWING)
def test_work_on_all_anchors_of_a_document_is_done_once(name, monkeypatch):
    """Counted: how many values arrays are made of while the bytes under all chunks are found."""
    encoder, n_values = HashingEncoder(max_tokens=254), 0
    append, array = np.append, np.array

    def counted(function):
        def call(*arguments, **options):
            nonlocal n_values
            found = function(*arguments, **options)
            n_values += found.size
            return found

        return call

    document = parse(name, GROWING[name](1_500))
    chunks = split_document(document, encoder.tokenizer, settings=Settings(), encoder_max_tokens=254)
    assert len(chunks) >= 8
    monkeypatch.setattr(np, "append", counted(append))
    monkeypatch.setattr(np, "array", counted(array))
    spans = [(chunk.start, chunk.end) for chunk in chunks]
    assert bytes_under(document, spans, 10**9) > 0
    n_anchors = len(document.origin.anchors.text)
    assert n_values <= 4 * n_anchors + 50 * len(chunks)


@pytest.mark.parametrize("name", ["a.csv", "a.json", "a.mbox"])
def test_four_times_the_rows_take_about_four_times_as_long(name):
    encoder = HashingEncoder(max_tokens=254)

    def cpu_s(n: int) -> float:
        data = GROWING[name](n)
        started_s = time.process_time()
        document = parse(name, data)
        chunks = split_document(document, encoder.tokenizer, settings=Settings(), encoder_max_tokens=254)
        bytes_under(document, [(chunk.start, chunk.end) for chunk in chunks], len(data))
        return time.process_time() - started_s

    cpu_s(100)  # everything is loaded
    assert cpu_s(8_000) < 10 * max(cpu_s(2_000), 0.02)  # 16 times if it were quadratic


def test_the_bytes_under_spans_are_those_of_each_alone():
    document = parse("a.html", b"<p>bread &amp; water</p><p>caf&eacute; and tea</p>" * 40)
    spans = [(start, start + 7) for start in range(0, len(document.text) - 7, 7)]
    positions = Positions(document)
    assert bytes_under(document, spans, 10**9) == sum(positions.n_bytes_under(*span) for span in spans)


# --- phrases ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["a ", "a-", "的"])
def test_a_phrase_that_no_passage_can_hold_is_refused(docs, tmp_path, word):
    phrase = word * 14_000
    with MiniSearch(tmp_path / "index", encoder=HashingEncoder()) as ms:
        ms.index(docs)
        for query in (f'"{phrase}"', f'bread -"{phrase}"'):
            with pytest.raises(InputError, match=r"a phrase of [\d,]+ characters.*at most 2,000"):
                ms.query(query)
        with pytest.raises(InputError, match="a phrase of"):
            ms.query("bread", where=Contains(phrase))
        assert ms.query("1 " * MAX_PHRASE + "bread")  # a long number is no phrase
        assert ms.query("1 " * MAX_PHRASE) is not None
        assert len(ms.query(f'"bread and {"water " * 300}"')) == 0


# --- what comes from disk --------------------------------------------------------------------------


@pytest.fixture
def torn(tmp_path: Path) -> Callable[[int], Path]:
    """An index, copied while it was written: pages of two moments, drawn by a seed, and no seal."""
    write_documents(tmp_path / "docs", 40, seed=1)
    index = tmp_path / "index"
    with MiniSearch(index, encoder=HashingEncoder()) as ms:
        ms.index(tmp_path / "docs")
    before = (index / "minisearch.db").read_bytes()
    for path in sorted((tmp_path / "docs").iterdir())[::2]:
        path.write_text(path.read_text()[::-1])
    with MiniSearch(index, encoder=HashingEncoder()) as ms:
        ms.index(tmp_path / "docs")
    after = (index / "minisearch.db").read_bytes()

    def copy(seed: int) -> Path:
        rng = np.random.default_rng(seed)
        pages = [after[start : start + 4096] for start in range(0, len(after), 4096)]
        for number in rng.integers(1, len(before) // 4096, rng.integers(1, 30)).tolist():
            pages[number] = before[4096 * number :][:4096]
        folder = Path(shutil.copytree(index, tmp_path / f"torn{seed}"))
        (folder / "minisearch.db").write_bytes(b"".join(pages))
        (folder / "minisearch.db.seal").unlink()
        return folder

    return copy


def test_a_copy_of_two_moments_is_refused_by_name_or_reported(torn, tmp_path, often, fault_seed):
    n_refused = 0
    for seed in range(fault_seed, fault_seed + often(12, 300)):
        index = torn(seed)
        for use in (
            lambda ms: ms.query("w1 w2", mode="dense"),
            lambda ms: ms.verify(n=3),
            lambda ms: ms.index(tmp_path / "docs", prune=True),
        ):
            with contextlib.suppress(MinisearchError), MiniSearch(index, encoder=HashingEncoder()) as ms:
                use(ms)
                continue
            n_refused += 1
        shutil.rmtree(index)
    assert n_refused


def test_vectors_out_of_order_or_missing_are_damage_also_without_assertions(docs, tmp_path, monkeypatch):
    with MiniSearch(tmp_path / "index", encoder=HashingEncoder()) as ms:
        ms.index(docs)
    with LocalStore(tmp_path / "index" / "minisearch.db") as store:
        read = store._connection.cursor
        for damage in (lambda rows: rows[::-1], lambda rows: rows[:-1], lambda rows: rows * 2):
            changed = lambda sql, values, damage=damage: iter(damage([*read(sql, values)]))  # noqa: E731
            monkeypatch.setattr(store._connection, "cursor", changed)
            with pytest.raises(IndexCorrupt, match="ids of its vectors do not ascend, or some are missing"):
                store.exact_index(64)


def test_verify_stops_at_the_problems_of_the_database(docs, tmp_path):
    with MiniSearch(tmp_path / "index", encoder=HashingEncoder()) as ms:
        ms.index(docs)
    database = tmp_path / "index" / "minisearch.db"
    with contextlib.closing(sqlite3.connect(database)) as db:
        db.execute("update vectors set crc32 = 1")
        db.commit()
    (tmp_path / "index" / "minisearch.db.seal").unlink()
    with MiniSearch(tmp_path / "index", encoder=HashingEncoder()) as ms:
        found = ms.verify()
    assert found.problems and (found.n_read, found.n_embedded) == (0, 0)


@pytest.mark.skipif("not hasattr(__import__('sqlite3').Connection, 'setlimit')")
@pytest.mark.parametrize("column", ["documents.title", "chunks.text", "bases.file"])
def test_a_value_of_hundreds_of_megabytes_is_refused_before_it_is_read(docs, tmp_path, column):
    with MiniSearch(tmp_path / "index", encoder=HashingEncoder()) as ms:
        ms.index(docs)
    table, _, name = column.partition(".")
    with contextlib.closing(sqlite3.connect(tmp_path / "index" / "minisearch.db")) as db:
        for (trigger,) in db.execute("select name from sqlite_master where type = 'trigger'").fetchall():
            db.execute(f"drop trigger {trigger}")
        db.execute(f"update {table} set {name} = zeroblob(300000000) where rowid = 1")
        db.commit()
    (tmp_path / "index" / "minisearch.db.seal").unlink()
    refused = pytest.raises(IndexCorrupt, match=r"damaged .*too big.*restore it from a backup")
    with MiniSearch(tmp_path / "index", encoder=HashingEncoder()) as ms, refused:
        ms.query("bread", by="chunk")


# --- the system --------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["index .", "query bread"])
def test_too_little_address_space_is_one_line(tmp_path, command):
    for n_bytes in (150_000_000, 300_000_000):
        done = subprocess.run(
            [sys.executable, "-m", "minisearch", *command.split(), "--index", str(tmp_path / "index")],
            env=environment(),
            cwd=CHECKOUT,
            preexec_fn=lambda n=n_bytes: resource.setrlimit(resource.RLIMIT_AS, (n, n)),
            capture_output=True,
            text=True,
            check=False,
        )
        assert_one_error(done, "address space", f"{n_bytes // 1_000_000} MB", "ulimit -v unlimited")


def test_a_library_that_does_not_fit_into_memory_is_one_line(docs, tmp_path):
    first = "import minisearch.engine as engine\n"
    first += "def index(*_, **__): raise ImportError('libx.so: failed to map segment from shared object')\n"
    first += "engine.MiniSearch.index = index"
    done = minisearch("index", docs, "--index", tmp_path / "index", first=first)
    assert_one_error(done, "not enough memory")


def test_in_a_deleted_folder_the_message_says_so(tmp_path):
    folder = tmp_path / "gone"
    folder.mkdir()
    for command in (("status",), ("query", "bread"), ("index", "docs")):
        leave = lambda: (os.chdir(folder), folder.exists() and folder.rmdir())  # noqa: E731
        folder.mkdir(exist_ok=True)
        done = minisearch(*command, in_child=leave)
        assert_one_error(done, "the current folder was deleted", "change to another one")


def test_a_message_has_no_control_characters():
    error = InputError("expected x, got '\x1b[31m\u202e\x07 na\u00efve \u0646\u200c\u0645'\nsecond line")
    assert str(error) == "expected x, got '\\x1b[31m\\u202e\\x07 na\u00efve \u0646\u200c\u0645'\nsecond line"
    with pytest.raises(InputError) as raised:
        parse_query("+bread^\x1b[2J")
    assert "\x1b" not in str(raised.value)


@pytest.fixture
def few_inodes() -> Callable[..., subprocess.CompletedProcess[str]]:
    """A command in a namespace whose folder /mnt takes only so many files."""
    probe = ["unshare", "-rm", "mount", "-t", "tmpfs", "-o", "nr_inodes=9", "none", "/mnt"]
    if not shutil.which("unshare") or subprocess.run(probe, capture_output=True, check=False).returncode:
        pytest.skip("needs mounts of one's own")

    def run(n: int, *arguments: object) -> subprocess.CompletedProcess[str]:
        mount = f'mount -t tmpfs -o nr_inodes={n} none /mnt && "$@"; rc=$?; ls /mnt/*; exit $rc'
        return minisearch(*arguments, before=["unshare", "-rm", "sh", "-c", mount, "sh"])

    return run


def test_without_inodes_the_message_says_so_and_a_restored_database_stays(docs, tmp_path, few_inodes):
    with MiniSearch(tmp_path / "index", encoder=HashingEncoder()) as ms:
        ms.index(docs)
        ms.backup(tmp_path / "backup.db")
    n_restored = 0
    for n in range(4, 12):
        done = few_inodes(n, "restore", tmp_path / "backup.db", "--index", "/mnt/index")
        if done.returncode:
            assert "inodes for only" in done.stderr, done.stderr
            assert "the documents are stored" not in done.stderr
        elif "cannot write the vector index" in done.stderr:
            assert "minisearch.db" in done.stdout and "results stay exact" in done.stderr
            n_restored += 1
    assert n_restored
