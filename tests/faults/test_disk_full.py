"""No room on the disk: one line says so, the old state answers, nothing is left over, and later it works."""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from minisearch import MiniSearch
from tests.fakes import HashingEncoder
from tests.faults.commands import assert_one_error, minisearch
from tests.faults.damaged import DATABASE, answers, base_of, difference
from tests.faults.invariants import assert_whole, state, write_documents
from tests.faults.processes import CHECKOUT, environment


@pytest.fixture(scope="module")
def namespaces() -> None:
    """Mounts of one's own, without being root."""
    command = ["unshare", "-rm", "mount", "-t", "tmpfs", "none", "/mnt"]
    if not shutil.which("unshare") or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("needs mounts of one's own")


def test_a_full_disk_costs_nothing_that_was_there(tmp_path, namespaces, is_torture, often, fault_seed, tell):
    sizes = range(4, 44, 2) if is_torture else (4,)
    counts: Counter[str] = Counter()
    for megabytes in sizes:
        root = tmp_path / str(megabytes)
        root.mkdir()
        arguments = [root, megabytes, often(1, 3), fault_seed]
        done = subprocess.run(
            ["unshare", "-rm", sys.executable, "-m", "tests.faults.full_disk", *map(str, arguments)],
            env=environment(),
            cwd=CHECKOUT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        counts.update(json.loads(done.stdout.splitlines()[-1]))
    n_failed = sum(n for name, n in counts.items() if name.endswith("failed"))
    assert n_failed >= 0.5 * sum(counts.values()), counts
    tell(
        "full disks",
        f"{len(sizes)} sizes, {n_failed} of {sum(counts.values())} commands found no room, 0 harm",
    )


# --- a file that may not grow ----------------------------------------------------------------------


@pytest.fixture
def index(tmp_path) -> Path:
    write_documents(tmp_path / "docs", 20, seed=1)
    with MiniSearch(tmp_path / "index", encoder=HashingEncoder()) as ms:
        ms.index(tmp_path / "docs")
    return tmp_path / "index"


def limited_to(n_bytes: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, n_bytes))


@pytest.mark.parametrize("backend", ["flat", "faiss", "annoy"])
def test_a_vector_file_a_few_bytes_too_long_is_not_published(index, backend):
    """FAISS's own writer says nothing when the last ten bytes do not fit."""
    with MiniSearch(index, encoder=HashingEncoder()) as ms:
        ms.rebuild(backend)
    n_bytes = base_of(index).stat().st_size
    with MiniSearch(index, encoder=HashingEncoder()) as ms:
        ms.rebuild("flat" if backend != "flat" else "faiss")
    before, used = answers(index), base_of(index)
    done = minisearch("rebuild", "--backend", backend, "--index", index, in_child=limited_to(n_bytes - 10))
    assert_one_error(done, str(index), "bytes free")
    assert base_of(index) == used
    assert not difference(answers(index), before)
    assert not list(index.glob("*.tmp"))
    assert minisearch("rebuild", "--backend", backend, "--index", index).returncode == 0
    assert not difference(answers(index), before)


def test_a_backup_a_byte_too_long_is_no_backup(index):
    n_bytes = (index / DATABASE).stat().st_size
    backup = index.parent / "backup.db"
    done = minisearch("backup", backup, "--index", index, in_child=limited_to(n_bytes - 1))
    assert_one_error(done, str(backup), "bytes free")
    assert sorted(path.name for path in index.parent.iterdir()) == ["docs", "index"]
    assert minisearch("backup", backup, "--index", index).returncode == 0


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9])
def test_a_database_that_may_not_grow_keeps_what_it_has(index, share):
    """The log reaches its limit first, then the database when the log is moved into it."""
    docs, old = index.parent / "docs", state(index)
    for path in docs.iterdir():
        path.write_text(path.read_text().replace("w1", "w2") + "\nAnd w77 more.\n")
    n_bytes = (index / DATABASE).stat().st_size
    done = minisearch("index", docs, "--index", index, in_child=limited_to(int(share * n_bytes)))
    assert_one_error(done, str(index), "bytes free")
    between = state(index)
    assert_whole(index)
    assert not list(index.glob("*.tmp"))
    assert minisearch("index", docs, "--index", index).returncode == 0
    new = state(index)
    assert all(between[path] in (old[path], new[path]) for path in old)
    assert_whole(index)


def test_a_first_index_without_room_leaves_one_line(tmp_path):
    write_documents(tmp_path / "docs", 5, seed=1)
    index = tmp_path / "index"
    done = minisearch("index", tmp_path / "docs", "--index", index, in_child=limited_to(50_000))
    assert_one_error(done, str(index), "bytes free")
    assert minisearch("index", tmp_path / "docs", "--index", index).returncode == 0
    assert_whole(index)


WITHOUT_MEMORY = """
import sqlite3
connect = sqlite3.connect
def with_a_small_cache(*arguments, **options):
    db = connect(*arguments, **options)
    db.execute("pragma cache_size = 5")
    return db
sqlite3.connect = with_a_small_cache
"""


def test_a_check_without_room_for_temporary_files_names_their_folder(index, namespaces, tmp_path):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    mount = f'mount -t tmpfs -o size=64k none {scratch} && exec "$@"'
    done = minisearch(
        *("verify", "--index", index),
        before=["unshare", "-rm", "sh", "-c", mount, "sh"],
        env=environment() | {"SQLITE_TMPDIR": str(scratch)},
        first=WITHOUT_MEMORY,
    )
    assert_one_error(done, "temporary files", "SQLITE_TMPDIR")
    assert str(index) not in done.stderr
