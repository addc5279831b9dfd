"""Whose an index is, and where it can be asked: folders that cannot be written to, no HOME, any umask."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
from pathlib import Path

import pytest

from minisearch import MiniSearch
from tests.fakes import HashingEncoder
from tests.faults.commands import assert_one_error, minisearch
from tests.faults.damaged import DATABASE
from tests.faults.invariants import write_documents
from tests.faults.processes import environment, run

QUERY = ("query", "w1 w2", "--index")


@pytest.fixture
def docs(tmp_path) -> Path:
    write_documents(tmp_path / "docs", 6, seed=1)
    return tmp_path / "docs"


@pytest.fixture
def index(tmp_path, docs) -> Path:
    with MiniSearch(tmp_path / "index", encoder=HashingEncoder()) as ms:
        ms.index(docs)
    return tmp_path / "index"


def modes(folder: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.lstat().st_mode) for path in [folder, *folder.iterdir()]}


# --- modes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
@pytest.mark.parametrize("backend", ["flat", "faiss", "annoy"])
def test_an_index_is_its_owners_alone_whatever_the_umask(tmp_path, docs, umask, backend):
    index, backup = tmp_path / "index", tmp_path / "backup"
    before = os.umask(umask)
    try:
        with MiniSearch(index, encoder=HashingEncoder()) as ms:
            ms.index(docs, backend=backend)
            ms.query("w1 w2")
            at_work = modes(index)  # with the log and its index beside the database
            ms.backup(backup)
        with MiniSearch(tmp_path / "restored", encoder=HashingEncoder()) as ms:
            ms.restore(backup)
    finally:
        os.umask(before)
    for folder, found in {
        index: modes(index) | at_work,
        tmp_path / "restored": modes(tmp_path / "restored"),
    }.items():
        assert {DATABASE, "writer.lock", f"{DATABASE}.seal"} <= found.keys()
        assert found.pop(folder.name) == 0o700
        assert set(found.values()) == {0o600}, {name: oct(mode) for name, mode in found.items()}
    assert {f"{DATABASE}-wal", f"{DATABASE}-shm"} <= at_work.keys()
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600


def test_a_killed_writer_leaves_nothing_that_others_can_read(tmp_path, docs):
    index = tmp_path / "index"
    before = os.umask(0)
    try:
        ended = run("index", index, docs, after_lines=3)
    finally:
        os.umask(before)
    assert ended.code == -signal.SIGKILL
    found = modes(index)
    assert found.pop("index") == 0o700
    assert f"{DATABASE}-wal" in found
    assert set(found.values()) == {0o600}, {name: oct(mode) for name, mode in found.items()}


# --- places that cannot be written to --------------------------------------------------------------


@pytest.fixture(scope="module")
def as_others() -> list[str]:
    """What to run a command with so that modes hold for it: root is stopped by none."""
    if os.geteuid() != 0:
        return []
    if not shutil.which("setpriv"):
        pytest.skip("root is stopped by no mode")
    return ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]


def read_only(folder: Path) -> None:
    for path in [*folder.rglob("*"), folder]:
        path.chmod(0o555 if path.is_dir() else 0o444)


def test_a_folder_that_cannot_be_written_to_answers_and_refuses_the_rest(index, docs, as_others):
    answered = minisearch(*QUERY, index, "--json").stdout
    read_only(index)
    before = {path.name: path.stat().st_mtime_ns for path in index.iterdir()}
    asked = minisearch(*QUERY, index, "--json", before=as_others)
    assert asked.returncode == 0, asked.stderr
    assert asked.stdout == answered
    assert minisearch("status", "--index", index, before=as_others).returncode == 0
    for verb in (["index", docs], ["rebuild"]):
        done = minisearch(*verb, "--index", index, before=as_others)
        assert_one_error(done, str(index), "permissions")
    assert {path.name: path.stat().st_mtime_ns for path in index.iterdir()} == before
    for path in [index, *index.iterdir()]:
        path.chmod(0o700)


def test_an_index_that_may_not_be_read_says_so(index, as_others):
    index.chmod(0o000)
    done = minisearch(*QUERY, index, before=as_others)
    index.chmod(0o700)
    assert done.returncode == 2
    assert f"{str(index)!r} is not readable" in done.stderr and "Traceback" not in done.stderr


def test_the_doctor_names_a_folder_that_may_not_be_read(tmp_path, docs, as_others):
    folder = tmp_path / "project" / ".minisearch"
    with MiniSearch(folder, encoder=HashingEncoder()) as ms:
        ms.index(docs)
    no_imports = "from minisearch.maintenance import doctor; doctor.NEEDED, doctor.OPTIONAL = (), {}"
    for closed, option in ((folder, []), (folder.parent, ["--index", folder])):
        where = tmp_path if option else folder.parent
        closed.chmod(0o000)
        done = minisearch("doctor", "--json", *option, cwd=where, first=no_imports, before=as_others)
        asked = minisearch(*QUERY, folder, before=as_others)
        closed.chmod(0o700)
        found = {one["subject"]: one for one in json.loads(done.stdout or "[]")}
        assert done.returncode == 1 and {"python", "sqlite", "model", "disk"} <= found.keys(), done.stderr
        assert found["permissions"]["outcome"] == "problem"
        assert found["permissions"]["cure"] == f"chmod u+rwx {closed}"
        assert asked.returncode == 2 and "cannot index" not in asked.stderr + found["permissions"]["text"]


@pytest.fixture(scope="module")
def namespaces() -> None:
    """Mounts of one's own, without being root."""
    done = (
        subprocess.run(
            ["unshare", "-rm", "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, check=False
        )
        if shutil.which("unshare")
        else None
    )
    if done is None or done.returncode:
        pytest.skip("needs mounts of one's own")


def test_a_read_only_file_system_answers_and_refuses_the_rest(index, docs, tmp_path, namespaces):
    answered = minisearch(*QUERY, index, "--json").stdout
    mount = f"mount --bind '{index}' '{index}' && mount -o remount,bind,ro '{index}' && exec \"$@\""
    before = ["unshare", "-rm", "sh", "-c", mount, "sh"]
    asked = minisearch(*QUERY, index, "--json", before=before)
    assert asked.returncode == 0, asked.stderr
    assert asked.stdout == answered
    for verb in (["index", docs], ["rebuild"]):
        assert_one_error(minisearch(*verb, "--index", index, before=before), str(index))


# --- homes and temporary folders -------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"HOME": None},
        {"HOME": "/nowhere"},
        {"HOME": "/proc"},
        {"XDG_CACHE_HOME": "/proc"},
    ],
    ids=str,
)
def test_no_home_is_needed(index, docs, change):
    env = {name: value for name, value in (environment() | change).items() if value is not None}
    asked = minisearch(*QUERY, index, env=env)
    assert asked.returncode == 0, asked.stderr
    (docs / "d0001.md").write_text("# Edited\n\nw1 and w2.\n")
    assert minisearch("index", docs, "--index", index, env=env).returncode == 0
    assert minisearch("verify", "--index", index, env=env).returncode == 0


def test_what_is_screened_now_leaves_the_file_without_a_temporary_folder_too(
    tmp_path, index, docs, namespaces
):
    secret = "ghp_" + "aB3dE6gH9jK2mN5pQ8sT1vW4xY7zA0cD3fG6"
    (docs / "keys.md").write_text(f"w1 {secret} " * 500)
    assert minisearch("index", docs, "--index", index, "--keep-secrets").returncode == 0
    assert secret.encode() in (index / DATABASE).read_bytes()
    read_only = "mount --bind {0} {0} && mount -o remount,bind,ro {0} && "
    # Python and SQLite try the current folder last, so that is none that can be written to either.
    script = "".join(read_only.format(folder) for folder in ("/tmp", "/var/tmp")) + (
        f"mount --bind '{index}' '{index}' && mount -o remount,bind,rw '{index}' && cd /proc && "
        '! touch /tmp/x /var/tmp/x x 2> /dev/null && exec "$@"'
    )
    env = environment() | {"TMPDIR": "/nowhere"}
    arguments = ("index", docs, "--index", index, "--blank-secrets")
    done = minisearch(*arguments, before=["unshare", "-rm", "sh", "-c", script, "sh"], env=env)
    assert (done.returncode, done.stderr) == (0, "")
    assert not [path.name for path in index.iterdir() if secret.encode() in path.read_bytes()]
    assert minisearch("verify", "--index", index).returncode == 0
