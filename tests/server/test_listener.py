"""`minisearch query` asks a running server, and prints exactly what it prints without one."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import socket
import socketserver
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

import minisearch
from minisearch import MiniSearch, filters
from minisearch.minilm import SentenceTransformer
from minisearch.paths import IndexLocation
from minisearch.results import Query, SearchOptions
from minisearch.server import client, listener
from minisearch.server.client import ask, filter_of, options_of, plain, query_of
from minisearch.server.listener import listening
from tests.fakes import HashingEncoder

NOTES = {
    "notes/bread.md": "# Sourdough\n\n## Baking\n\nBake the loaf at 240 degrees for forty minutes.\n",
    "notes/router.md": "# Router\n\n## Reset\n\nHold the button for ten seconds. The lamp turns red.\n",
    "notes/oven.md": "---\nauthor: Ada\n---\n# Oven\n\nThe oven needs ten minutes to heat, error E4711.\n",
    "code/retry.py": 'def retry(task):\n    """Run a failed task again."""\n    return task.run()\n',
    "notes/検索.md": "# 検索\n\n全文検索は文書の中の言葉を探す。\n",
    "odd\n\x1b[31mname.md": "# Odd\n\nThe name of this file has a line break.\n",
}
OPTIONS = SearchOptions(k=3, evidence=True)


@pytest.fixture(scope="module")
def home(minilm: SentenceTransformer) -> Iterator[Path]:
    """A folder with an index; its path is short, since that of a socket has a limit."""
    folder = Path(tempfile.mkdtemp(prefix="ms-")).resolve()
    for name, text in NOTES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    (folder / os.fsdecode(b"caf\xe9.md")).write_text("# Coffee\n\nGrind the beans before you brew.\n")
    with MiniSearch.open(folder, encoder=minilm) as ms:
        ms.index(folder)
        ms.add([{"id": "faq/7", "text": "Clean the grinder once a month.", "title": "Grinder"}])
    yield folder
    shutil.rmtree(folder)


# --- the same output ---------------------------------------------------------------------------------------

OVEN = "how hot is the oven"
SERVED = [
    [OVEN],
    [OVEN, "--json"],
    [OVEN, "--json", "--why"],
    [OVEN, "--why"],
    [OVEN, "-l"],
    [OVEN, "--format", "json", "-n", "2"],
    [OVEN, "--format", "csv"],
    [OVEN, "--format", "md"],
    [OVEN, "-k", "1", "--full"],
    [OVEN, "--by", "document", "--offline"],
    [OVEN, "--by", "chunk", "--diverse"],
    [OVEN, "--mode", "dense"],
    [OVEN, "--mode", "lexical"],
    [OVEN, "--no-evidence", "--json"],
    [OVEN, "--ext", "md,py", "--lang", "markdown"],
    [OVEN, "--since", "2 weeks", "--before", "2100-01-01"],
    [OVEN, "--where", 'author = "ada" or not author = "bob"'],
    [OVEN, "--path", "notes/**", "--path", "*.py"],
    ['oven "ten minutes" -rye +baking^0.5', "--why"],
    ['a "quotation" -mark in the oven', "--literal"],
    ["how do I resset the routr"],
    ["how do I resset the routr", "-l"],
    ["quarterly revenue of the airline"],
    ["E4711"],
    ["全文検索"],
    ["grind the beans"],
    ["how often do I clean the grinder"],
    ["grinder", "--path", "faq/*", "--json"],
    ["a line break in the name of the file"],
]
NOT_SERVED = [
    [""],
    ["zzz", "--where", "a ="],
    [OVEN, "--where", "nothing = 1"],
    [OVEN, "--path", "/".join(["a"] * 6_000)],
    ["xyzzy", "--mode", "lexical"],
    ["--like", "notes/oven.md"],
    ["--batch", "-"],
    [OVEN, "--rerank"],
    [OVEN, "--format", "context"],
    [OVEN, "--refresh"],
    [OVEN, "--index", "nowhere"],
]
RUN = """
import json, os, sys
from click.testing import CliRunner
from minisearch.cli import cli
from minisearch.cli.terminal import Terminal
from minisearch.server import client
client.PATIENCE_S = 60  # a busy machine is no reason to search in this process
of_stdout = Terminal.of_stdout
state = os.path.join(os.environ["XDG_STATE_HOME"], "minisearch", "last-results.json")
for folder, has_screen, arguments in json.load(sys.stdin):
    os.chdir(folder)
    screen = Terminal(70, True, "file://{host}{path}#{line}", 24)
    Terminal.of_stdout = (lambda: screen) if has_screen else of_stdout
    done = CliRunner().invoke(cli, ["query", *arguments], prog_name="minisearch", input="oven\\nrouter\\n")
    last = open(state).read() if os.path.exists(state) else ""
    print(json.dumps([done.exit_code, done.stdout, done.stderr, last, "numpy" in sys.modules]))
"""


def printed(rows: list[Any], tmp_path: Path) -> list[list[Any]]:
    """For each command its exit code, what it printed, what it remembers, and whether NumPy was loaded."""
    done = subprocess.run(
        [sys.executable, "-c", RUN],
        input=json.dumps(rows),
        capture_output=True,
        text=True,
        env=os.environ | {"XDG_STATE_HOME": str(tmp_path)},
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@contextmanager
def served(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`minisearch serve` of an index, from when it listens on the socket."""
    command = [sys.executable, "-m", "minisearch", "serve", "--port", "0", "--offline", "--index"]
    location = IndexLocation(folder / ".minisearch")
    before = inode_of(location)
    with subprocess.Popen(
        [*command, str(folder / ".minisearch")], stderr=subprocess.PIPE, cwd="/"
    ) as process:
        try:
            wait_for_another(location, before)
            yield process
        finally:
            process.terminate()
            errors = process.communicate(timeout=60)[1]
    assert b"Traceback" not in errors, errors


def inode_of(location: IndexLocation) -> int:
    """The inode of the socket, 0 without one."""
    return location.socket.lstat().st_ino if location.socket.exists() else 0


def wait_for_another(location: IndexLocation, inode: int) -> None:
    """Wait for a socket that is not the one of before."""
    deadline_s = time.monotonic() + 120
    while inode_of(location) in {0, inode}:
        assert time.monotonic() < deadline_s
        time.sleep(0.02)


def test_a_query_prints_the_same_with_and_without_a_server(home: Path, tmp_path: Path) -> None:
    pytest.importorskip("starlette")
    rows = [(str(home), False, command) for command in SERVED]
    rows += [(str(home / "notes"), True, command) for command in SERVED[:8]]
    rows.append((str(home / "notes"), False, [OVEN, "--path", "../notes/o*", "--index", "../.minisearch"]))
    rows.append(("/", False, [OVEN, "--index", str(home / ".minisearch")]))
    others = [(str(home), False, command) for command in NOT_SERVED]
    expected = printed(rows + others, tmp_path / "1")
    with served(home) as process:
        found = printed(rows + others, tmp_path / "2")
        assert process.poll() is None
    for row, with_server, without in zip(rows + others, found, expected, strict=True):
        assert with_server[:-1] == without[:-1], row
    assert [row for row, one in zip(rows, found, strict=False) if one[-1]] == [], "these loaded NumPy"
    assert {one[0] for one in expected[: len(rows)]} == {0}
    assert not (home / ".minisearch" / "query.sock").exists()


# --- the forms of a request --------------------------------------------------------------------------------


def test_a_filter_and_a_query_are_the_same_after_their_way_as_json() -> None:
    moment = datetime(2024, 1, 31, 12, 30, 1, 5, tzinfo=timezone.utc)
    where = filters.And(
        (
            filters.Or(
                (filters.StoredPath("/notes/**"), filters.Extension("md"), filters.Language("python"))
            ),
            filters.Not(filters.Field("author", "=", "Ada")),
            filters.Field("year", ">=", 2020.5),
            filters.Field("draft", "!=", True),
            filters.Since(moment),
            filters.Before(moment),
            filters.Contains("ten minutes"),
        )
    )
    options = SearchOptions(k=7, mode="dense", where=where, by="chunk", diverse=0.5, evidence=True)
    assert options_of(json.loads(json.dumps(plain(options)))) == options
    query = Query("bread", ("sour dough",), ("rye",), (("crust", 0.5),))
    assert query_of(json.loads(json.dumps(plain(query)))) == query
    with pytest.raises(ValueError, match="no condition is called parse_where"):
        filter_of(["parse_where", "a = 1"])


# --- the socket --------------------------------------------------------------------------------------------


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[IndexLocation]:
    """An index of one short note."""
    monkeypatch.setattr(client, "PATIENCE_S", 60)
    folder = Path(tempfile.mkdtemp(prefix="ms-")).resolve()
    (folder / "a.md").write_text("The oven is hot.")
    with MiniSearch.open(folder, encoder=HashingEncoder()) as ms:
        ms.index(folder)
    yield IndexLocation(folder / ".minisearch")
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def answering(place: IndexLocation) -> Iterator[MiniSearch]:
    """An engine whose index is served in this process."""
    before = inode_of(place)
    with MiniSearch(place.folder, encoder=HashingEncoder()) as ms, listening(ms):
        wait_for_another(place, before)
        yield ms


def test_an_answer_is_that_of_the_engine_and_of_the_newest_generation(place: IndexLocation) -> None:
    with answering(place) as ms:
        answer = ask(place, "hot oven", OPTIONS)
        assert answer is not None
        assert (answer.found, answer.outcome) == (ms.searcher.query("hot oven", OPTIONS), "complete")
        assert stat.S_IMODE(place.socket.lstat().st_mode) == 0o600
        (place.path.parent / "b.md").write_text("The oven is cold.")
        ms.index(place.path.parent)
        answer = ask(place, "cold oven", OPTIONS)
        assert answer is not None
        assert [hit.path for hit in answer.found][:1] == [f"{place.path.parent}/b.md"]
        assert {hit.file_state for hit in answer.found} == {"unchanged"}
        (place.path.parent / "b.md").unlink()
        answer = ask(place, "cold oven", OPTIONS)
        assert answer is not None
        assert answer.found[0].file_state == "deleted"
        assert ask(place, "", OPTIONS) is None, "the process of the query says what is wrong"
    assert not place.socket.exists()
    assert ask(place, "hot oven", OPTIONS) is None


def test_a_server_of_another_version_or_another_place_is_not_asked(
    place: IndexLocation, monkeypatch: pytest.MonkeyPatch
) -> None:
    with answering(place):
        moved = place.path.parent.with_name(f"{place.path.parent.name}-moved")
        place.path.parent.rename(moved)
        assert ask(IndexLocation(moved / ".minisearch"), "oven", OPTIONS) is None
        moved.rename(place.path.parent)
        assert ask(place, "oven", OPTIONS) is not None
        request = client.json.dumps
        monkeypatch.setattr(
            client.json, "dumps", lambda value: request(value).replace(minisearch.__version__, "0.0.1")
        )
        assert ask(place, "oven", OPTIONS) is None


def test_the_last_of_two_servers_answers_and_the_end_of_the_other_changes_nothing(
    place: IndexLocation,
) -> None:
    first = answering(place)
    first.__enter__()
    with answering(place):
        inode = place.socket.lstat().st_ino
        first.__exit__(None, None, None)
        assert place.socket.lstat().st_ino == inode
        assert ask(place, "oven", OPTIONS) is not None
    assert not place.socket.exists()


def test_a_socket_that_a_killed_server_left_is_replaced(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("starlette")
    monkeypatch.setattr(client, "PATIENCE_S", 60)
    location = IndexLocation(home / ".minisearch")
    with served(home) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert location.socket.exists()
    assert ask(location, "oven", OPTIONS) is None
    with served(home):
        assert ask(location, "oven", OPTIONS) is not None


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"{",
        b"nonsense\n",
        b'"text"\n',
        b'{"found": null}\n',
        b'{"found": {"results": []}}\n',
        b'{"found": {"results": [{"path": 1}], "query": {}}, "outcome": ""}\n',
        b"[" * 200_000 + b"\n",
        b"\xff\xfe\n",
        None,
    ],
)
def test_a_server_that_answers_wrongly_or_not_at_all_is_left(
    place: IndexLocation, monkeypatch: pytest.MonkeyPatch, answer: bytes | None
) -> None:
    monkeypatch.setattr(client, "PATIENCE_S", 60 if answer is not None else 0.05)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(place.socket))
        listener.listen()

        def serve() -> None:
            with listener.accept()[0] as connection:
                if answer is None:
                    is_over.wait(60)
                else:
                    connection.recv(65_536)
                    connection.sendall(answer)

        is_over = threading.Event()
        thread = threading.Thread(target=serve)
        thread.start()
        assert ask(place, "oven", OPTIONS) is None
        is_over.set()
        thread.join()


def test_a_socket_of_another_user_or_no_socket_is_not_opened(
    place: IndexLocation, monkeypatch: pytest.MonkeyPatch
) -> None:
    with answering(place):
        uid = os.geteuid()
        with monkeypatch.context() as patched:
            patched.setattr(client.os, "geteuid", lambda: uid + 1)
            patched.setattr(client.socket, "socket", None)
            assert ask(place, "oven", OPTIONS) is None
        elsewhere = place.path.parent / "elsewhere.sock"
        place.socket.rename(elsewhere)
        place.socket.symlink_to(elsewhere)
        with monkeypatch.context() as patched:
            patched.setattr(client.socket, "socket", None)
            assert ask(place, "oven", OPTIONS) is None, "a link"
        place.socket.unlink()
        place.socket.write_text("a file")
        assert ask(place, "oven", OPTIONS) is None
    assert place.socket.read_text() == "a file", "what is not the server's own stays"


def test_a_process_of_another_user_at_the_other_end_is_refused(
    place: IndexLocation, monkeypatch: pytest.MonkeyPatch
) -> None:
    with answering(place):
        monkeypatch.setattr(client, "is_of_this_user", lambda _: False)
        assert ask(place, "oven", OPTIONS) is None


def test_a_folder_whose_path_is_too_long_has_no_socket(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 40)
    folder.mkdir()
    (folder / "a.md").write_text("The oven is hot.")
    with MiniSearch.open(folder, encoder=HashingEncoder()) as ms:
        ms.index(folder)
        with listening(ms):
            assert ask(IndexLocation(folder / ".minisearch"), "oven", OPTIONS) is None
            assert len(ms.query("oven")) == 1
    assert not list((folder / ".minisearch").glob("query.sock*"))


def test_without_free_descriptors_the_server_waits_before_it_accepts_again(
    place: IndexLocation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    waits: list[float] = []
    with listener._Server(str(place.socket), lambda line: line) as server:
        monkeypatch.setattr(socketserver.UnixStreamServer, "get_request", full)
        monkeypatch.setattr(listener.time, "sleep", waits.append)
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(place.socket))
            server.handle_request()
            server.handle_request()
    assert waits == [server.timeout] * 2


def test_a_wrong_request_does_not_end_the_server(
    place: IndexLocation, caplog: pytest.LogCaptureFixture
) -> None:
    with answering(place):
        wrong: list[bytes] = [
            b"\n",
            b"{}\n",
            b'{"version": 1, "index": 2}\n',
            b"[" * 100_000 + b"\n",
            b"half",
        ]
        about = {"version": minisearch.__version__, "index": str(place.path), "query": "oven"}
        options = ({}, {"k": 0}, {"where": ["os.system", "x"]}, {"model": "/etc"}, {"rerank": "/etc"})
        requests = [about | {"options": {"where": None} | one} for one in options[1:]]
        for request in [*wrong, *(json.dumps(one).encode() + b"\n" for one in requests)]:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(str(place.socket))
                connection.sendall(request)
                connection.shutdown(socket.SHUT_WR)
                assert json.loads(connection.makefile().readline())["found"] is None
        assert ask(place, "oven", OPTIONS) is not None
    assert "Traceback" not in caplog.text
