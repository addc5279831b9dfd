"""No command opens a connection: sockets are taken away from Python, and strace looks at everything else."""

from __future__ import annotations

import shutil
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.commands import minisearch
from tests.faults.invariants import write_documents
from tests.faults.processes import environment
from tests.sockets import BLOCK_SOCKETS

STRACE = shutil.which("strace")

# In the order in which they make sense. The real model is loaded: that is where a network could come in.
COMMANDS = [
    *("index docs", "index docs", "index", "index docs --dry-run"),
    *("query river", "query w1 --rerank", "query w1 --mode lexical --refresh", "status"),
    *(
        "status --coverage",
        "verify",
        "chunks docs/d0001.md",
        "get docs/d0001.md:1",
        "why-not docs/d0001.md w1",
        "similarity a b",
        "similar docs/d0001.md",
        "cluster",
        "dups",
        "compare docs/d0001.md docs/d0002.md",
        "alert add river",
        "alert check",
    ),
    *("selftest", "rebuild --backend flat", "backup copy.db", "remove docs/d0002.md", "rollback", "models"),
    "train distill --layers 1 --steps 1 --batch-size 2 --corpus docs --out student",
    *("restore copy.db --index restored", "doctor", "collection list", "--version", "--help"),
]
SOME = ["index docs", "query river"]
# These two serve on this machine; their tests ask them, and see that others are refused.
SERVERS = {"mcp", "serve"}
EVERY = {command.split()[0] for command in COMMANDS} | SERVERS | {"watch", "eval", "open", "completion", "ui"}


def test_these_are_all_commands():
    from minisearch.cli import COMMANDS

    assert set(COMMANDS) <= EVERY


@pytest.fixture
def place(tmp_path) -> Path:
    write_documents(tmp_path / "docs", 6, seed=1)
    return tmp_path


def run(
    place: Path, command: list[str], *, before: list[str], is_offline: bool
) -> subprocess.CompletedProcess[str]:
    """The real command, whose first socket would end it."""
    program = f"{BLOCK_SOCKETS}\nfrom minisearch.__main__ import main\nmain()"
    env = environment()
    if not is_offline:
        env.pop("HF_HUB_OFFLINE", None)
    return subprocess.run(
        [*before, sys.executable, "-c", program, *command],
        cwd=place, env=env, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


def test_no_command_opens_a_connection(place, weights, is_torture, tell):
    log = place / "strace"
    before = [STRACE, "-f", "-qq", "--seccomp-bpf", "-e", "trace=socket,connect,bind", "-A", "-o", str(log)]
    n = 0
    for command in COMMANDS if is_torture else SOME:
        done = run(place, command.split(), before=before if STRACE else [], is_offline=False)
        assert "OPENED A SOCKET" not in done.stdout, command
        assert done.returncode in {0, 1}, (command, done.stderr)
        assert "Traceback" not in done.stderr, (command, done.stderr)
        n += 1
    if STRACE:
        calls = log.read_text().splitlines()
        # The C library may ask a daemon on this machine for a user's name, by AF_UNIX.
        assert not [line for line in calls if "AF_INET" in line or "AF_NETLINK" in line]
    tell("commands without a connection", f"{n}, {'by strace and ' if STRACE else ''}with sockets taken away")


@pytest.mark.skipif(STRACE is None, reason="strace is not here")
def test_strace_would_see_a_connection(tmp_path):
    log = tmp_path / "strace"
    with socket.create_server(("127.0.0.1", 0)) as server:
        code = f"import socket; socket.create_connection(('127.0.0.1', {server.getsockname()[1]}))"
        command = [
            STRACE,
            "-f",
            "-qq",
            "--seccomp-bpf",
            "-e",
            "trace=connect",
            "-o",
            log,
            sys.executable,
            "-c",
            code,
        ]
        subprocess.run(list(map(str, command)), check=True)
    assert "AF_INET" in log.read_text()


def test_watching_opens_no_connection(place):
    """A run, a change, a second run; then it is told to stop."""
    code = f"""{BLOCK_SOCKETS}
import threading
from pathlib import Path
from minisearch import MiniSearch
from tests.fakes import HashingEncoder
stop, reports = threading.Event(), 0
with MiniSearch(Path("index"), encoder=HashingEncoder()) as ms:
    for report in ms.watch("docs", stop=stop):
        reports += 1
        if reports == 1:
            Path("docs/new.md").write_text("w1 w2")
        else:
            stop.set()
print("reports", reports)
"""
    env = environment()
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=place,
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == "reports 2\n", (done.stdout, done.stderr)


def test_an_index_that_names_a_model_elsewhere_downloads_nothing(place):
    """The name in an index that came from elsewhere is not fetched: only `models download` fetches."""
    assert minisearch("index", place / "docs", "--index", place / "index").returncode == 0
    (place / "index" / "minisearch.db.seal").unlink()
    with sqlite3.connect(place / "index" / "minisearch.db") as db:
        db.execute(
            "update meta set value = json_set(value, '$.model', 'somebody/else') where key = 'manifest'"
        )
    db.close()
    (place / "docs" / "d0001.md").write_text("# Edited\n\nw1 w2.\n")
    for command in (["query", "w1"], ["index", "docs/d0001.md"]):
        done = run(place, [*command, "--index", "index"], before=[], is_offline=False)
        assert "OPENED A SOCKET" not in done.stdout, done.stderr
        code = 2 if command[0] == "query" else 1
        assert done.returncode == code and done.stderr.count("\n") == 1, done.stderr
