"""Damaged files: found by a checksum before any parser sees them, and never answered from in silence."""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from minisearch import MiniSearch
from minisearch.errors import StoreError
from minisearch.stores.local.schema import MIGRATION_SET, MIGRATIONS_TABLE
from tests.fakes import HashingEncoder
from tests.faults import mutations
from tests.faults.commands import assert_one_error, minisearch
from tests.faults.damaged import DATABASE, DIMENSION, answers, base_of
from tests.faults.invariants import write_documents
from tests.faults.processes import CHECKOUT, environment

BACKENDS = ["flat", "faiss", "graph", "annoy"]

CUT_OFF = """
import os, sys
from pathlib import Path
from minisearch import MiniSearch
from minisearch.stores.local import LocalStore
from tests.fakes import HashingEncoder
put = LocalStore.put
def last_put(self, *rest):
    put(self, *rest)
    os._exit(9)
LocalStore.put = last_put
MiniSearch(Path(sys.argv[1]), encoder=HashingEncoder()).index(sys.argv[2])
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """Documents, their index and another index; to be copied, so that none is damaged twice."""
    root = tmp_path_factory.mktemp("made")
    write_documents(root / "docs", 16, seed=1)
    write_documents(root / "others", 16, seed=2)
    for name, folder in (("index", "docs"), ("other", "others")):
        with MiniSearch(root / name, encoder=HashingEncoder()) as ms:
            ms.index(root / folder)
    return root


@pytest.fixture
def root(made, tmp_path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "root"))


def outcomes(*arguments: object) -> list[tuple[str, str, str]]:
    """What came of every damage, from a process of its own that must come to its end."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.damaged", *map(str, arguments)],
        env=environment(),
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=3_600,
        check=False,
    )
    told = [tuple(json.loads(line)) for line in done.stdout.splitlines()]
    assert done.returncode == 0, f"after {len(told)} damages, the last {told[-1:]}: {done.stderr}"
    return told


def assert_none_is_wrong(told: list[tuple[str, str, str]]) -> None:
    wrong = [(damage, about) for damage, outcome, about in told if outcome == "wrong"]
    assert not wrong, f"{len(wrong)} of {len(told)}: {wrong[:3]}"


# --- vector files ----------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_damaged_vector_file_is_never_parsed_never_answers_and_is_mended(
    root, backend, often, fault_seed, tell
):
    n = often(60, 1_000)
    told = outcomes("vectors", root, backend, n, fault_seed)
    assert len(told) == n
    assert_none_is_wrong(told)
    assert len({damage for damage, *_ in told}) >= len(mutations.DAMAGES) + 4
    tell(
        f"damaged vector files, {backend}",
        f"{n:,}, all found before the parser; 0 crashes, 0 wrong answers, all mended",
    )


@pytest.mark.annoy
def test_the_crafted_file_would_have_crashed_annoy(root):
    with MiniSearch(root / "index", encoder=HashingEncoder()) as ms:
        ms.rebuild("annoy")
    path = base_of(root / "index")
    path.write_bytes(mutations.crafted_annoy(path.read_bytes(), DIMENSION))
    code = "import sys; from annoy import AnnoyIndex; forest = AnnoyIndex(64, 'angular');"
    code += "forest.load(sys.argv[1]); forest.get_nns_by_vector([1.0] * 64, 10)"
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, check=False)
    assert done.returncode == -signal.SIGSEGV
    done = minisearch("query", "w1 w2", "--index", root / "index")
    assert done.returncode == 0, done.stderr
    assert "checksum" in done.stderr


# --- databases -------------------------------------------------------------------------------------


@pytest.fixture
def unsealed(root) -> Path:
    """An index as a writer leaves it that is killed after its last document: nothing vouches for the file."""
    index = Path(shutil.copytree(root / "index", root / "unsealed"))
    (index / f"{DATABASE}.seal").unlink()
    return index


@pytest.fixture
def cut_off(root) -> Path:
    """An index whose last document is in the log of a writer that was killed."""
    (root / "docs" / "d0007.md").write_text(
        "# Another\n\nw7 w31 w1 w2 w3 w4 w5 in a document that changed.\n"
    )
    index = Path(shutil.copytree(root / "index", root / "cut_off"))
    ended = subprocess.run(
        [sys.executable, "-c", CUT_OFF, index, root / "docs"], env=environment(), cwd=CHECKOUT, check=False
    )
    assert ended.returncode == 9
    assert (index / f"{DATABASE}-wal").stat().st_size > 4096
    return index


def test_a_damaged_database_answers_as_before_or_says_so(root, often, fault_seed, tell):
    n = often(60, 600)
    told = outcomes("database", root, "index", n, fault_seed)
    assert len(told) == n
    assert_none_is_wrong(told)
    counts = Counter(outcome for _, outcome, _ in told)
    assert counts["error"] > n / 3, "most damages are found"
    tell("damaged databases, sealed", f"{n:,}: {in_words(counts)}")


def test_a_damaged_log_is_read_up_to_the_damage_or_refused(root, cut_off, often, fault_seed, tell):
    n = often(30, 300)
    told = outcomes("database", root, "cut_off", n, fault_seed)
    assert len(told) == n
    assert_none_is_wrong(told)
    counts = Counter(outcome for _, outcome, _ in told)
    tell("damaged logs of a killed writer", f"{n:,}: {in_words(counts)}")


def test_damage_without_a_seal_is_found_by_rows_or_by_verify_and_never_sealed(
    root, unsealed, often, fault_seed, tell
):
    """Two faults at once: a writer was killed, and then its file was damaged.

    Rows have checksums; the full text and SQLite's indexes have none: what is damaged there, `verify` finds,
    and the next run before it seals.
    """
    n = often(30, 600)
    told = outcomes("database", root, "unsealed", n, fault_seed)
    assert len(told) == n
    assert_none_is_wrong(told)
    counts = Counter(outcome for _, outcome, _ in told)
    assert counts["only verify"] <= max(3, n / 50)
    tell(
        "damaged databases, unsealed",
        f"{n:,}: {in_words(counts)}, {counts['only verify']} that verify and the next run find",
    )


def test_damaged_words_of_an_unsealed_database_are_not_sealed(root, unsealed):
    with sqlite3.connect(unsealed / DATABASE) as db:
        (block,) = db.execute("select max(id) from chunks_fts_data").fetchone()
        db.execute("update chunks_fts_data set block = zeroblob(length(block)) where id = ?", [block])
    db.close()
    (root / "docs" / "d0001.md").write_text("# Edited\n\nw1 w2.\n")
    for _ in range(2):
        with (
            MiniSearch(unsealed, encoder=HashingEncoder()) as ms,
            pytest.raises(StoreError, match="is damaged"),
        ):
            ms.index(root / "docs")
        assert not (unsealed / f"{DATABASE}.seal").exists()


def in_words(counts: Counter[str]) -> str:
    return f"{counts['error']:,} named errors, {counts['same']:,} right answers, 0 wrong ones, 0 crashes"


def test_a_newer_schema_is_refused_by_name(root, unsealed):
    with sqlite3.connect(unsealed / DATABASE) as db:
        db.execute(
            f"insert into {MIGRATIONS_TABLE} (migration_set, name, applied_at) values (?, 'm999_later', '')",
            [MIGRATION_SET],
        )
    db.close()
    for command in (["query", "w1"], ["status"], ["index", root / "docs"], ["rebuild"]):
        done = minisearch(*command, "--index", unsealed)
        assert_one_error(done, "newer minisearch", "pip install --upgrade minisearch-local")


@pytest.mark.parametrize("command", [["query", "w1 w2"], ["status"], ["rebuild"]])
def test_damage_is_one_line_with_a_cure(root, command):
    path = root / "index" / DATABASE
    path.write_bytes(mutations.flipped(path.read_bytes(), 8 * 60_000))
    assert_one_error(minisearch(*command, "--index", root / "index"), str(path), "is damaged", "restore it")


def test_a_damaged_database_is_never_sealed_again(root):
    path = root / "index" / DATABASE
    path.write_bytes(mutations.flipped(path.read_bytes(), 8 * 60_000))
    before = {file.name: file.read_bytes() for file in (root / "index").iterdir() if "vectors" in file.name}
    with MiniSearch(root / "index", encoder=HashingEncoder()) as ms:
        for change in (ms.rebuild, lambda: ms.index(root / "docs"), lambda: ms.remove(root / "docs")):
            with pytest.raises(StoreError, match="is damaged"):
                change()
    for name, data in before.items():
        assert (root / "index" / name).read_bytes() == data
    with pytest.raises(StoreError, match="is damaged"):
        answers(root / "index")
