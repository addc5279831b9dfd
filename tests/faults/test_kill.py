"""A process killed with -9 while it indexes, updates or rebuilds loses nothing that it acknowledged."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import signal
import stat
import time
from pathlib import Path

import pytest

from minisearch import MiniSearch
from tests.backends import INSTALLED
from tests.fakes import HashingEncoder
from tests.faults.commands import minisearch
from tests.faults.damaged import answers, difference
from tests.faults.invariants import assert_same_as_new, assert_whole, state, write_documents
from tests.faults.processes import run

N_DOCUMENTS = 40


def sha256_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else ""


def changed(folder: Path, seed: int) -> None:
    """Some documents edited, some gone, some new."""
    paths = sorted(folder.iterdir())
    rng = random.Random(seed)
    for path in rng.sample(paths, 8):
        path.write_text(path.read_text() + f"\n\nEdited w{seed % 500} once more.\n")
    for path in rng.sample(paths, 4):
        path.unlink()
    write_documents(folder, 6, seed=seed, first=1000 + seed % 1000)


def test_killed_at_any_moment_nothing_acknowledged_is_lost(tmp_path, often, fault_seed, tell):
    rng = random.Random(fault_seed)
    n_kills = n_alive = n_acknowledged = 0
    recoveries: list[float] = []
    for case in range(often(22, 220)):
        folder, index = tmp_path / "docs", tmp_path / ".minisearch"
        action = ("index", "update", "rebuild")[case % 3]
        write_documents(folder, N_DOCUMENTS, seed=case)
        before: dict[str, str] = {}
        if action != "index":
            assert run("index", index, folder).is_done
            before = {path: sha256 for path, (sha256, _) in state(index).items()}
        if action == "update":
            changed(folder, case)
        # The first line is "ready"; every document is a line, and publishing comes after the last.
        n_lines = {"index": N_DOCUMENTS, "update": 14, "rebuild": 0}[action]
        arguments = (
            ("rebuild", index, rng.choice(["flat", "annoy" if "annoy" in INSTALLED else "faiss"]))
            if action == "rebuild"
            else ("index", index, folder)
        )
        ended = run(*arguments, after_lines=1 + rng.randint(0, n_lines), delay_s=rng.random() ** 3 * 0.15)
        n_kills += ended.code == -signal.SIGKILL
        n_alive += ended.code == 0
        assert ended.code in {0, -signal.SIGKILL}, ended.errors
        if (index / "minisearch.db").exists():
            # What the update had no reason to touch must be there as it was.
            still_there = {
                path: sha256 for path, sha256 in before.items() if sha256_of(tmp_path / path) == sha256
            }
            assert_whole(index, still_there | ended.put)
            n_acknowledged += len(ended.put)
        started_s = time.perf_counter()
        assert_same_as_new(index, folder)
        recoveries.append(time.perf_counter() - started_s)
        assert_whole(index)
        assert not [name for name in os.listdir(index) if name.endswith(".tmp")]
        shutil.rmtree(folder)
        shutil.rmtree(index)
    assert n_kills >= 0.6 * (n_kills + n_alive), "most of them must hit a living process"
    tell(
        "kill -9 while indexing, updating, rebuilding",
        f"{n_kills} kills, {n_acknowledged} documents acknowledged, 0 lost; recovered in "
        f"{sorted(recoveries)[len(recoveries) // 2]:.2f} s (median)",
    )


def test_a_killed_run_says_so_and_the_next_one_finishes_it(tmp_path):
    folder, index = tmp_path / "docs", tmp_path / ".minisearch"
    write_documents(folder, N_DOCUMENTS, seed=1)
    ended = run("index", index, folder, after_lines=10)
    assert ended.code == -signal.SIGKILL
    with MiniSearch(index, encoder=HashingEncoder()) as ms:
        run_before = ms.status().last_run
        assert run_before and run_before.outcome == "interrupted"
        report = ms.index(folder)
        assert report.unchanged >= ended.n_put and report.added + report.unchanged == N_DOCUMENTS
        assert ms.status().last_run.outcome == "complete"


KILLED = """
import os, signal
from minisearch.stores.local import backup, connection
def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)
"""
WHILE = {
    "copying": "backup.copy_pages = connection.copy_pages = die",
    "checking": "backup.check = die",
    "moving": "backup.sync = die",
}


@pytest.mark.parametrize("moment", WHILE)
def test_a_killed_backup_or_restore_leaves_a_folder_and_the_next_one_works(tmp_path, moment):
    folder, index, other, backup = (tmp_path / name for name in ("docs", "index", "other", "backup.db"))
    write_documents(folder, N_DOCUMENTS, seed=1)
    with MiniSearch(index, encoder=HashingEncoder()) as ms:
        ms.index(folder)
    killed = minisearch("backup", backup, "--index", index, first=KILLED + WHILE[moment])
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    (left,) = tmp_path.glob("*.unfinished-*")
    assert left.name.startswith("backup.db.unfinished-") and stat.S_IMODE(left.stat().st_mode) == 0o700
    done = minisearch("backup", backup, "--index", index)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["backup.db", left.name, "docs", "index"]
    killed = minisearch("restore", backup, "--index", other, first=KILLED + WHILE[moment])
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    (left,) = other.glob("*.unfinished-*")
    assert left.name.startswith("minisearch.db.unfinished-") and stat.S_IMODE(left.stat().st_mode) == 0o700
    # Whichever command comes next.
    again = ("index", folder) if moment == "moving" else ("restore", backup)
    done = minisearch(*again, "--index", other)
    assert done.returncode == 0, done.stderr
    found = {path.name for path in other.iterdir() if not path.name.startswith("vectors-")}
    known = {".gitignore", "writer.lock", "minisearch.db", "minisearch.db.seal", left.name}
    assert known <= found <= known | {"minisearch.db-shm", "minisearch.db-wal"}
    if again[0] == "restore":
        assert not difference(answers(other), answers(index))
    assert_whole(other)
