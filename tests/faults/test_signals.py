"""Ctrl-C and SIGTERM: the command ends within two seconds and keeps what was finished."""

from __future__ import annotations

import os
import random
import signal
import stat
import subprocess
import sys
import time

import pytest

from minisearch import MiniSearch
from minisearch.stores.local import LocalStore
from tests.fakes import HashingEncoder
from tests.faults.commands import RUN
from tests.faults.invariants import write_documents
from tests.faults.processes import environment

# The real command, but for the encoder: what is interrupted is everything else.
COMMAND = """
import sys
from minisearch.minilm import encoders
from tests.fakes import HashingEncoder
import time
class Slow(HashingEncoder):
    def encode(self, texts):
        time.sleep(0.3)
        return super().encode(texts)
encoders.Encoders.to_index = lambda self, model: Slow()
encoders.Encoders.to_add = lambda self, model, n_tokens: Slow()
import minisearch.indexing.pipeline
minisearch.indexing.pipeline.WINDOW_TOKENS = 500
from minisearch.stores.local import LocalStore
put = LocalStore.put
def told_put(*arguments, **options):
    put(*arguments, **options)
    print("put", flush=True)
LocalStore.put = told_put
from minisearch.__main__ import main
sys.argv = ["minisearch", *sys.argv[1:]]
print("ready", flush=True)
main()
"""

# The database is written anew after each command, and as slowly as if it were huge.
SHRINKING = """
import time
from minisearch.stores.local.connection import Connection
shrink = Connection.shrink
def shrink_slowly(self, *, is_due=False):
    print("shrinking", flush=True)
    self._db.set_progress_handler(lambda: time.sleep(0.02), 10)
    return shrink(self, is_due=True)
Connection.shrink = shrink_slowly
"""

SIGNALS = [(signal.SIGINT, 130), (signal.SIGTERM, 143)]


@pytest.mark.parametrize(("sent", "code"), SIGNALS)
def test_a_signal_ends_indexing_within_two_seconds_and_keeps_what_is_done(
    tmp_path, often, fault_seed, tell, sent, code
):
    folder, index = tmp_path / "docs", tmp_path / ".minisearch"
    write_documents(folder, 60, seed=3)
    rng = random.Random(fault_seed)
    longest_s, n_kept = 0.0, 0
    for _ in range(often(3, 30)):
        arguments = [sys.executable, "-c", COMMAND, "index", str(folder), "--index", str(index)]
        process = subprocess.Popen(
            arguments, env=environment(), stderr=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert process.stdout is not None and process.stdout.readline() == b"ready\n"
        if not n_kept:  # there is something to be kept
            assert process.stdout.readline() == b"put\n"
        time.sleep(rng.uniform(0.3, 1.5))
        sent_s = time.monotonic()
        process.send_signal(sent)
        if rng.random() < 0.3:  # an impatient user
            time.sleep(0.05)
            process.send_signal(sent)
        _, errors = process.communicate(timeout=20)
        longest_s = max(longest_s, time.monotonic() - sent_s)
        # `python -c` ends by the signal itself where that came within exec() of a text, whoever caught it.
        assert process.returncode in ({code, -sent} if sent == signal.SIGINT else {code}), errors
        assert b"Traceback" not in errors
        with MiniSearch(index) as ms:
            status = ms.status()
            assert status.last_run and status.last_run.outcome == "interrupted"
            assert n_kept <= status.n_documents <= 60
            # The signal may have come before its run had begun: then the last run is the one before.
            n_added = status.last_run.counts["added"] if status.last_run.pid == process.pid else 0
            assert n_added <= status.n_documents - n_kept
            n_kept = status.n_documents
        assert not [name for name in os.listdir(index) if name.endswith(".tmp")]
        for path in random.Random(0).sample(sorted(folder.iterdir()), 30):  # so that the next has work
            path.write_text(path.read_text() + f"\nMore w{rng.randint(0, 499)} of {rng.random()}.\n")
    assert longest_s < 2.0
    assert n_kept > 0
    tell(f"{sent.name} while indexing", f"{often(3, 30)} times, the longest took {longest_s:.2f} s to end")


def test_nothing_is_imported_before_signals_are_handled():
    """Ctrl-C during an import before that prints a traceback; what Python loads to start is not ours."""
    program = (
        "import os, sys; before = {*sys.modules}; import minisearch.__main__; print({*sys.modules} - before)"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", program], env=environment(), capture_output=True, timeout=60
    )
    assert eval(done.stdout) <= {"__future__", "minisearch", "minisearch.__main__"}, done


# As Cython's modules do while they register their types, and Python where an object is done with: what is
# raised meanwhile is lost.
SWALLOWING = {
    "a library": """
        if not hasattr(Slow, "has_swallowed"):
            Slow.has_swallowed = True
            try:
                print("swallowing", flush=True)
                time.sleep(0.3)
            except BaseException:
                print("swallowed", flush=True)
        time.sleep(0.3)
""",
    "a destructor": """
        class Destroyed:
            def __del__(self):
                try:
                    print("swallowing", flush=True)
                    time.sleep(0.3)
                except BaseException:
                    print("swallowed", flush=True)
                    raise
        if not hasattr(Slow, "has_swallowed"):
            Slow.has_swallowed = True
            Destroyed()
        time.sleep(0.3)
""",
}


@pytest.mark.parametrize("swallower", SWALLOWING)
@pytest.mark.parametrize(("sent", "code"), SIGNALS)
def test_a_signal_that_is_swallowed_ends_the_command_all_the_same(tmp_path, sent, code, swallower):
    folder, index = tmp_path / "docs", tmp_path / ".minisearch"
    write_documents(folder, 60, seed=3)
    once = COMMAND.replace("time.sleep(0.3)", SWALLOWING[swallower])
    program = f"import numpy.random{once}"  # which swallows too, while the encoder imports it
    process = subprocess.Popen(
        [sys.executable, "-c", program, "index", str(folder), "--index", str(index)],
        env=environment(),
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    while process.stdout.readline() != b"swallowing\n":
        assert process.poll() is None
    sent_s = time.monotonic()
    process.send_signal(sent)
    output, errors = process.communicate(timeout=60)
    assert b"swallowed" in output
    assert (process.returncode, b"Traceback" in errors) == (code, False), errors
    assert time.monotonic() - sent_s < 2.0
    with MiniSearch(index) as ms:
        last_run = ms.status().last_run
        assert last_run and last_run.outcome == "interrupted"


# While "Interrupted" is said: by the command line, or by what starts it.
PRESSED_AGAIN = """
import builtins, os, signal, sys
import click, minisearch.cli
from minisearch.__main__ import main
def press(*_, **__):
    os.kill(os.getpid(), signal.SIGINT)
{said_by} = minisearch.MiniSearch = press
sys.argv = ["minisearch", "status"]
main()
"""


@pytest.mark.parametrize("said_by", ["click.echo", "minisearch.cli.main = builtins.print"])
def test_a_second_ctrl_c_as_the_first_is_answered_changes_nothing(said_by):
    program = PRESSED_AGAIN.format(said_by=said_by)
    done = subprocess.run([sys.executable, "-c", program], env=environment(), capture_output=True, timeout=60)
    assert (done.returncode, b"Traceback" in done.stderr) == (130, False), done.stderr


# A command that no exception ends: in its work, in its cleanup, or while the handler has no memory.
ENDLESS = """
import sys, time
import minisearch.cli
from minisearch import __main__ as program
def endless():
    while True:
        try:
            time.sleep(0.05)
        except BaseException:
            pass
def work():
    print("ready", flush=True)
    endless()
def cleanup():
    try:
        print("ready", flush=True)
        time.sleep(60)
    finally:
        endless()
def out_of_memory():
    program._is_cleanup = is_cleanup
    raise MemoryError
def work_without_memory():
    program._is_cleanup = out_of_memory
    work()
is_cleanup = program._is_cleanup
program.N_RETRIES_CLEANUP = 5
minisearch.cli.main = {command}
program.main()
"""


@pytest.mark.parametrize(("sent", "code"), SIGNALS)
def test_a_thread_that_does_not_end_does_not_keep_an_interrupted_command(sent, code):
    script = """
import threading, time
from minisearch.__main__ import main
import minisearch.cli
def run():
    threading.Thread(target=time.sleep, args=[3600]).start()
    print("ready", flush=True)
    time.sleep(3600)
minisearch.cli.main = run
main()
"""
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout and process.stdout.readline() == "ready\n"
            process.send_signal(sent)
            errors = process.communicate(timeout=20)[1]
        finally:
            process.kill()
    assert (process.returncode, errors) == (code, "Interrupted\n" if sent == signal.SIGINT else "")


@pytest.mark.parametrize("command", ["work", "cleanup", "work_without_memory"])
@pytest.mark.parametrize(("sent", "code"), SIGNALS)
def test_a_signal_ends_a_command_that_swallows_every_exception(sent, code, command):
    with subprocess.Popen(
        [sys.executable, "-c", ENDLESS.format(command=command)],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            assert process.stdout is not None and process.stdout.readline() == b"ready\n"
            time.sleep(0.2)  # until it is in its loop
            sent_s = time.monotonic()
            process.send_signal(sent)
            _, errors = process.communicate(timeout=20)
        finally:
            process.kill()
    assert (process.returncode, errors) == (code, b"")
    assert time.monotonic() - sent_s < (4.0 if command == "cleanup" else 2.0)


# SQLite calls this for every document of a question with a filter.
MATCHING = """
import time
from minisearch.stores.local import sqlite
def {function}(*_):
    print("matching", flush=True)
    time.sleep(20)
sqlite.{function} = {function}
"""


@pytest.mark.parametrize(("sent", "code"), SIGNALS)
@pytest.mark.parametrize(
    ("function", "condition"), [("path_matches", "--path=*"), ("path_ends", "--ext=txt")]
)
def test_a_signal_inside_a_function_that_sqlite_calls_is_no_error(tmp_path, function, condition, sent, code):
    folder, index = tmp_path / "docs", tmp_path / ".minisearch"
    write_documents(folder, 3, seed=3)
    with MiniSearch(index, encoder=HashingEncoder()) as ms:
        ms.index(folder)
    program = MATCHING.format(function=function) + RUN
    with subprocess.Popen(
        [sys.executable, "-c", program, "query", "w1", condition, "--index", str(index)],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"matching\n"
        process.send_signal(sent)
        _, errors = process.communicate(timeout=10)
    assert (process.returncode, errors) == (code, b"Interrupted\n")


@pytest.mark.parametrize(("sent", "code"), SIGNALS)
@pytest.mark.parametrize("closed", ["", "2>&-"])
def test_a_signal_ends_a_watch_with_its_code(tmp_path, sent, code, closed):
    folder, index = tmp_path / "docs", tmp_path / ".minisearch"
    write_documents(folder, 3, seed=3)
    command = ["sh", "-c", f'exec "$@" {closed}', "sh", sys.executable, "-m", "tests.faults.commands"]
    with subprocess.Popen(
        [*command, "watch", str(folder), "--index", str(index)],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        assert b"3 documents added" in process.stdout.readline()
        if not closed:
            assert process.stderr.readline().startswith(b"Watching 3 documents in ")
        process.send_signal(sent)
        _, errors = process.communicate(timeout=10)
    assert process.returncode == code
    stopped = b"" if closed else b"Stopped watching: the index is up to date as of the last line\n"
    # While watchfiles waits, any signal is an interrupt to it; elsewhere SIGTERM ends in silence.
    assert errors in ({stopped} if sent == signal.SIGINT else {stopped, b""})


def shrinking(folder, index, **change):
    """A process that is writing its database anew."""
    arguments = [sys.executable, "-c", SHRINKING + COMMAND, "index", str(folder), "--index", str(index)]
    process = subprocess.Popen(
        arguments, env=environment() | change, stderr=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    while process.stdout.readline() != b"shrinking\n":
        assert process.poll() is None
    time.sleep(0.3)
    assert process.poll() is None
    return process


@pytest.mark.parametrize(("sent", "code"), SIGNALS)
def test_a_signal_ends_the_shrinking_of_a_database_within_two_seconds(tmp_path, tell, sent, code):
    folder, index = tmp_path / "docs", tmp_path / ".minisearch"
    write_documents(folder, 60, seed=3)
    with MiniSearch(index, encoder=HashingEncoder()) as ms:
        ms.index(folder)
    (folder / "new.md").write_text("A marmot on the moor.")
    process = shrinking(folder, index)
    sent_s = time.monotonic()
    process.send_signal(sent)
    _, errors = process.communicate(timeout=60)
    took_s = time.monotonic() - sent_s
    assert (process.returncode, b"Traceback" in errors) == (code, False), errors
    assert took_s < 2.0
    with MiniSearch(index, encoder=HashingEncoder()) as ms:
        assert ms.status().n_documents == 61
        assert ms.query("marmot", mode="lexical")[0].path.endswith("new.md")
    with LocalStore(index / "minisearch.db", writable=True) as store:
        assert store.check(deep=True) == []
    tell(f"{sent.name} while shrinking", f"{took_s:.2f} s to end")


def test_a_writer_killed_as_it_shrinks_leaves_a_sound_database_and_no_copy(tmp_path):
    folder, index, scratch = tmp_path / "docs", tmp_path / ".minisearch", tmp_path / "scratch"
    write_documents(folder, 60, seed=3)
    scratch.mkdir()
    process = shrinking(folder, index, TMPDIR=str(scratch), SQLITE_TMPDIR=str(scratch))
    process.kill()
    process.communicate()
    assert list(scratch.iterdir()) == []
    assert {stat.S_IMODE(path.stat().st_mode) for path in index.iterdir()} == {0o600}
    with LocalStore(index / "minisearch.db", writable=True) as store:
        assert store.check(deep=True) == []
        assert store.counts()[0] == 60


# As slow as it could be: a step of SQLite's without an end, by whatever runs its statements.
CHECKING = """
from minisearch.stores.local import integrity
def check_slowly(checked, *_):
    print("checking", flush=True)
    run = checked.rows if hasattr(checked, "rows") else checked.execute
    run("with recursive n (i) as (select 1 union all select i + 1 from n) select count(*) from n")
    return []
integrity.{step} = check_slowly
"""


def contents_of(folder):
    """Every file but those that SQLite needs to read."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path: path.read_bytes() for path in files if not path.name.endswith(("-shm", "-wal"))}


@pytest.mark.parametrize(
    ("command", "step"),
    [
        ("verify", "_reference_problems"),
        ("verify", "_fts5_problem"),
        ("restore", "_reference_problems"),
        ("restore", "_fts5_problem"),
        ("backup", "_reference_problems"),
    ],
)
@pytest.mark.parametrize(("sent", "code"), SIGNALS)
def test_a_signal_ends_the_checking_of_a_database_within_two_seconds(
    tmp_path, tell, command, step, sent, code
):
    folder, index, other = tmp_path / "docs", tmp_path / ".minisearch", tmp_path / "other"
    write_documents(folder, 10, seed=3)
    with MiniSearch(index, encoder=HashingEncoder()) as ms:
        ms.index(folder)
        ms.backup(tmp_path / "backup.db")
    before = contents_of(tmp_path)
    arguments = {
        "verify": ["--index", index],
        "restore": [tmp_path / "backup.db", "--index", other],
        "backup": [tmp_path / "new.db", "--index", index],
    }
    program = CHECKING.format(step=step) + COMMAND
    process = subprocess.Popen(
        [sys.executable, "-c", program, command, *map(str, arguments[command])],
        env=environment(),
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        while process.stdout.readline() != b"checking\n":
            assert process.poll() is None
        sent_s = time.monotonic()
        process.send_signal(sent)
        _, errors = process.communicate(timeout=20)
    finally:
        process.kill()
        process.communicate()
    took_s = time.monotonic() - sent_s
    assert (process.returncode, b"Traceback" in errors) == (code, False), errors
    assert took_s < 2.0
    assert contents_of(tmp_path) == before
    tell(f"{sent.name} while {command} checks", f"{took_s:.2f} s to end")
