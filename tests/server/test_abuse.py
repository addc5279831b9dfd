"""Wrong and hostile requests to the real server, over real sockets: each is refused, others are answered."""

from __future__ import annotations

import json
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("starlette")

from minisearch import MiniSearch
from minisearch.server.endpoints import ENDPOINTS
from minisearch.server.guard import MAX_BODY
from minisearch.server.http import make_app
from tests.fakes import HashingEncoder
from tests.faults.processes import CHECKOUT, environment
from tests.server.asgi import ask

TIMEOUT_S = 120
TERMINATED = 143
ENOUGH = 2 * MAX_BODY  # bytes: more than the server reads


@dataclass(frozen=True)
class Server:
    """A server process that answers with an encoder which needs no weights."""

    process: subprocess.Popen[str]
    port: int

    def sent(self, *pieces: bytes, is_ended: bool = False) -> bytes:
        """What comes back for bytes on a new connection, until the server closes it."""
        received = b""
        with socket.create_connection(("127.0.0.1", self.port), timeout=TIMEOUT_S) as connection:
            try:
                for piece in pieces:
                    connection.sendall(piece)
                if is_ended:
                    connection.shutdown(socket.SHUT_WR)
                while block := connection.recv(65_536):
                    received += block
            except (ConnectionResetError, BrokenPipeError):  # it has refused the rest of the request
                pass
        return received

    def code(self, *pieces: bytes, is_ended: bool = False) -> int:
        """The status of the answer; 0 if the connection was closed without one."""
        return status(self.sent(*pieces, is_ended=is_ended))

    def search(self, query: str = "hot oven") -> bytes:
        body = json.dumps({"query": query}).encode()
        return self.sent(request("POST", "/v1/search", body))


def status(answer: bytes) -> int:
    found = re.match(rb"HTTP/1\.[01] (\d{3}) ", answer)
    return int(found[1]) if found else 0


def request(
    method: str, path: str, body: bytes = b"", *, host: str = "127.0.0.1", more: tuple[str, ...] = ()
) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", "Connection: close", *more]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


@contextmanager
def serving(index: Path, *options: str) -> Iterator[Server]:
    """A server; afterwards it ends at once, with the code for SIGTERM and without a traceback."""
    command = [sys.executable, "-m", "tests.faults.commands", "serve", "--port", "0", "--index", str(index)]
    with subprocess.Popen(
        [*command, *options], stderr=subprocess.PIPE, text=True, env=environment(), cwd=CHECKOUT
    ) as process:
        assert process.stderr
        said: list[str] = []
        line = process.stderr.readline()
        found = re.match(r"Serving on http://\S+?:(\d+)/ ", line)
        assert found, line + process.stderr.read()
        drain = threading.Thread(target=lambda: said.extend(process.stderr or []))
        drain.start()
        try:
            yield Server(process, int(found[1]))
            assert process.poll() in {None, TERMINATED}, said
        finally:
            process.terminate()
            process.wait(TIMEOUT_S)
            drain.join()
    assert "Traceback" not in "".join(said), "".join(said)
    assert process.returncode == TERMINATED


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return indexed(tmp_path_factory.mktemp("notes"), "The oven is hot.")


def indexed(folder: Path, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "a.md").write_text(text)
    with MiniSearch.open(folder, encoder=HashingEncoder()) as ms:
        ms.index(folder)
    return folder / ".minisearch"


@pytest.fixture(scope="module")
def server(index: Path) -> Iterator[Server]:
    with serving(index) as running:
        yield running


@pytest.fixture(autouse=True)
def still_answers(request: pytest.FixtureRequest) -> Iterator[None]:
    """After every test the server answers a normal query."""
    yield
    if "server" in request.fixturenames:
        running: Server = request.getfixturevalue("server")
        answer = running.search()
        assert status(answer) == 200
        assert b"The oven is hot." in answer


# --- abuse -------------------------------------------------------------------------------------------------

SEARCH = b'{"query": "oven"}'
CHUNKED = "Transfer-Encoding: chunked"
SMUGGLED = request("GET", "/v1/status")


@pytest.mark.parametrize(
    ("pieces", "codes"),
    [
        ([request("POST", "/v1/search", more=("Content-Length: 1000000000",))], {413}),
        ([request("POST", "/v1/search", more=(f"Content-Length: {'9' * 19}",))], {413}),
        ([request("POST", "/v1/search", more=(f"Content-Length: {'9' * 5_000}",))], {400}),
        ([request("POST", "/v1/search", more=("Content-Length: -1",))], {400}),
        ([request("POST", "/v1/search", b"x" * ENOUGH)], {0, 413}),
        ([request("GET", "/v1/status", more=(f"X: {'x' * 10**6}",))], {400}),
        ([request("GET", "/v1/status", more=tuple(f"X{n}: x" for n in range(100_000)))], {400}),
        ([request("GET", f"/{'x' * 10**6}")], {400}),
        ([request("GET", f"/{'x' * 10_000}")], {404}),
        ([request("POST", "/v1/search", b"[" * 100_000)], {400}),
        ([request("POST", "/v1/search", b'{"a":' * 100_000)], {400}),
        ([request("POST", "/v1/search", b'{"query": "\xff\xfe"}')], {400}),
        ([request("POST", "/v1/search", b'{"query": "\\ud800"}')], {200, 400}),
        ([request("POST", "/v1/search", b'{"query": "a", "k": 1e999}')], {400}),
        ([request("POST", "/v1/search", b'{"query": "a", "diverse": NaN}')], {400}),
        ([request("POST", "/v1/search", b'{"query": "' + b"x" * 2**20 + b'"}')], {400}),
        ([request("POST", "/v1/search", b"query=oven", more=("Content-Type: text/plain",))], {400}),
        ([request("GET", "/../../etc/passwd")], {404}),
        ([request("GET", "/%2e%2e/%2e%2e/etc/passwd")], {404}),
        ([request("GET", "//etc/passwd")], {404}),
        ([request("GET", "http://127.0.0.1/v1/status")], {400, 404}),
        ([request("POST", "/v1/passage", b'{"path": "/etc/passwd"}')], {400}),
        *(([request(method, "/v1/search")], {405}) for method in ("GET", "PUT", "DELETE", "PATCH", "TRACE")),
        ([request("OPTIONS", "*")], {400, 404}),
        ([request("CONNECT", "example.com:443")], {400, 404, 405}),
        ([request("BREW", "/v1/status")], {405}),
        ([b"\r\n\r\n"], {0, 400}),
        ([b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 64], {400}),
        ([b"GET /nothing HTTP/9.9\r\nHost: localhost\r\nConnection: close\r\n\r\n"], {400, 404, 505}),
        # Pairs that two programs in a row may cut differently.
        ([request("POST", "/v1/search", SEARCH, more=("Content-Length: 5",))], {400}),
        ([request("POST", "/v1/search", SEARCH, more=(CHUNKED,))], {400}),
        ([request("POST", "/v1/search", more=("Transfer-Encoding: chunked, identity",))], {400, 501}),
        ([request("POST", "/v1/search", more=("Transfer-Encoding : chunked",))], {400}),
        ([request("GET", "/v1/status", more=("X: a\nHost: evil.example",))], {400}),
        ([request("POST", "/v1/search", more=(CHUNKED,)), b"zz\r\n", SMUGGLED], {400}),
        ([request("POST", "/v1/search", more=(CHUNKED,)), b"-5\r\n", SMUGGLED], {400}),
    ],
    ids=lambda value: str(value)[:60],
)
def test_abuse_is_refused_with_one_status(server: Server, pieces: list[bytes], codes: set[int]) -> None:
    answer = server.sent(*pieces)
    assert status(answer) in codes, answer[:300]
    assert len(re.findall(rb"HTTP/1\.[01] \d{3} ", answer)) <= 1, "one request, one answer"
    assert b"root:" not in answer


def test_a_body_in_chunks_is_not_read_beyond_the_limit(server: Server) -> None:
    chunk = b"10000\r\n" + b" " * 65_536 + b"\r\n"
    head = request("POST", "/v1/search", more=(CHUNKED, "Content-Type: application/json"))
    assert server.code(head, *[chunk] * (ENOUGH // 65_536), b"0\r\n\r\n") in {0, 413}


def test_slow_clients_do_not_keep_others_waiting(server: Server) -> None:
    with ExitStack() as stack:
        slow = [stack.enter_context(socket.create_connection(("127.0.0.1", server.port))) for _ in range(200)]
        for number, one in enumerate(slow):
            one.sendall(request("POST", "/v1/search", SEARCH)[: 20 + number % 60])
        assert status(server.search()) == 200


@pytest.mark.parametrize(
    ("host", "code"),
    [
        ("127.0.0.1", 200),
        ("127.0.0.1:1", 200),
        ("LocalHost:65535", 200),
        ("[::1]", 200),
        ("[::1]:8642", 200),
        ("", 421),
        ("evil.example", 421),
        ("evil.example:8642", 421),
        ("127.0.0.1.evil.example", 421),
        ("localhost.evil.example", 421),
        ("localhost@evil.example", 421),
        ("evil.example@localhost", 421),
        ("localhost/evil.example", 421),
        ("localhost#.evil.example", 421),
        ("localhost:80:80", 421),
        ("localhost:", 421),
        ("localhost.", 421),
        ("0.0.0.0", 421),
        ("127.1", 421),
        ("2130706433", 421),
        ("::1", 421),
        ("[::ffff:127.0.0.1]", 421),
    ],
)
@pytest.mark.parametrize("origin", [None, "http://localhost:3000", "null", "http://evil.example"])
def test_only_this_machine_by_its_name_may_ask(
    server: Server, host: str, code: int, origin: str | None
) -> None:
    more = () if origin is None else (f"Origin: {origin}",)
    answer = server.sent(request("POST", "/v1/search", SEARCH, host=host, more=more))
    is_foreign = origin in {"null", "http://evil.example"}
    assert status(answer) == (403 if is_foreign and code == 200 else code)
    assert (b"The oven is hot." in answer) == (status(answer) == 200), "nothing leaks"


@pytest.mark.parametrize(
    ("origin", "code"),
    [
        ("http://[::1]:80", 200),
        ("https://127.0.0.1", 200),
        ("http://localhost.evil.example", 403),
        ("http://127.0.0.1.evil.example", 403),
        ("http://localhost@evil.example", 403),
        ("http://evil.example@localhost", 403),
        ("chrome-extension://localhost", 403),
        ("file://", 403),
        ("", 403),
        ("http://localhost\r\nOrigin: http://evil.example", 403),
    ],
)
def test_only_web_pages_of_this_machine_may_ask(server: Server, origin: str, code: int) -> None:
    assert server.code(request("POST", "/v1/search", SEARCH, more=(f"Origin: {origin}",))) == code


def test_a_request_without_or_with_two_hosts_is_refused(server: Server) -> None:
    assert server.code(b"GET /v1/status HTTP/1.1\r\nConnection: close\r\n\r\n") == 400
    assert server.code(b"GET /v1/status HTTP/1.0\r\n\r\n") == 421
    assert server.code(request("GET", "/v1/status", more=("Host: evil.example",))) == 400


def test_another_address_needs_the_token_whatever_the_host(index: Path) -> None:
    with serving(index, "--host", "0.0.0.0", "--token", "sesame") as server:
        for more in ((), ("Authorization: Bearer wrong",), ("Authorization: Bearer sesame2",)):
            answer = server.sent(request("POST", "/v1/search", SEARCH, more=more))
            assert status(answer) == 401 and b"The oven" not in answer
        right = ("Authorization: Bearer sesame",)
        assert server.code(request("POST", "/v1/search", SEARCH, host="box.lan", more=right)) == 200


# --- any request -------------------------------------------------------------------------------------------

PATHS = [one.path for one in ENDPOINTS.values()]
NAMES = sorted({name for one in ENDPOINTS.values() for name in one.values})
ODD_VALUES: list[Any] = [
    *(None, True, -1, 0, 1, 3, 10**30, 0.5, float("nan"), float("inf"), "", " ", "hybrid", "oven", "bi"),
    *(
        "\0",
        "\ud800",
        "é" * 300,
        "x" * 20_000,
        '"',
        '"a',
        "-x",
        "+a^9",
        "author = ",
        'author = "ada"',
        "../..",
    ),
    *([], {}, [[]], ["oven"], ["a", 1], {"a": {}}, [None] * 3_000),
]
ODD_BODIES = [
    *(b"", b"null", b"[]", b"{", b"\xff\xfe", b"NaN", b"0" * 5_000, b"[" * 50_000, b'{"query":' * 2_000),
    *(b'{"query": "\\ud800"}', b'{"query": "oven", "query": 1}', b'"' + b"x" * 100_000 + b'"'),
]
ODD_HEADERS = [
    *(
        "Content-Type: application/json",
        "Content-Type: text/plain",
        "Content-Type: application/json; charset=x",
    ),
    *(
        "Origin: http://localhost",
        "Origin: http://evil.example",
        "Authorization: Bearer x",
        "Expect: 100-continue",
    ),
    *(
        "Content-Encoding: gzip",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Range: bytes=0-1",
        "X: \xff\xfe",
    ),
    *("Accept: text/html", "Cookie: a=b", "Content-Length: 3", "X", ": x", "Transfer-Encoding: gzip"),
]


def fuzzed(random_: random.Random) -> tuple[bytes, bool]:
    """A request, and whether its end is missing: some are nearly right, some have nothing right."""
    draw = random_.random
    if draw() < 0.03:
        return random_.randbytes(random_.randrange(1, 400)), True
    method = random_.choice(["GET", "POST", "POST", "POST", "PUT", "HEAD", "OPTIONS", "DELETE", "x", "\xff"])
    path = random_.choice(PATHS)
    if draw() < 0.2:
        path = random_.choice(
            [f"{path}/", f"{path}?a=%00", "/", "/%ff", "/\xff", "/../..", "*", "", "//", "/a b"]
        )
    names = [*random_.sample(NAMES, random_.randrange(4)), random_.choice(["query", "input", "path", "x"])]
    body = json.dumps({name: random_.choice(ODD_VALUES) for name in names}).encode()
    if draw() < 0.3:
        body = random_.choice([*ODD_BODIES, random_.randbytes(50), body[: len(body) // 2]])
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", "Connection: close"]
    lines += random_.sample(ODD_HEADERS, random_.randrange(3)) if draw() < 0.4 else []
    if draw() < 0.15:
        lines.append("Transfer-Encoding: chunked")
        cuts = [body[n : n + 1_000] for n in range(0, len(body), 1_000)]
        body = b"".join(b"%x\r\n%s\r\n" % (len(cut), cut) for cut in cuts) + b"0\r\n\r\n"
    else:
        lines.append(f"Content-Length: {len(body)}")
    lines.append("Content-Type: application/json")
    raw = "\r\n".join([*lines, "", ""]).encode("latin-1") + body
    is_cut = draw() < 0.1
    return (raw[: random_.randrange(len(raw))] if is_cut else raw), is_cut


def test_no_request_makes_the_server_fail(server: Server, pytestconfig: pytest.Config) -> None:
    random_ = random.Random(int(pytestconfig.getoption("--fault-seed")))
    n_requests = 10_000 if pytestconfig.getoption("--torture") else 300
    n_of: dict[int, int] = {}
    for _ in range(n_requests):
        raw, is_cut = fuzzed(random_)
        answer = server.sent(raw, is_ended=is_cut)
        code = status(answer)
        n_of[code] = n_of.get(code, 0) + 1
        assert code < 500 or code == 503, (raw[:500], answer[:500])
        assert b"Traceback" not in answer
    assert n_of[200] > n_requests / 50, "some requests are right"
    assert n_of[400] > n_requests / 5


# --- what changes below the server -------------------------------------------------------------------------


def test_a_port_in_use_is_one_line(index: Path, server: Server) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.faults.commands",
            "serve",
            "--index",
            index,
            "--port",
            str(server.port),
        ],
        capture_output=True,
        text=True,
        env=environment(),
        cwd=CHECKOUT,
        check=False,
    )
    said = f"Error: cannot serve on 127.0.0.1 port {server.port}: Address already in use\n"
    assert (done.returncode, done.stderr) == (1, said)


def test_an_index_that_is_replaced_is_served_and_one_that_is_gone_is_an_error(tmp_path: Path) -> None:
    folder = tmp_path / "notes"
    index = indexed(folder, "The oven is hot.")
    with MiniSearch(index) as ms:
        ms.backup(tmp_path / "backup.db")
    with serving(index) as server:
        assert b"The oven is hot." in server.search()
        shutil.rmtree(index)
        gone = server.search()
        assert status(gone) == 503 and b"there is no index in" in gone
        indexed(folder, "The oven is cold.")
        assert b"The oven is cold." in server.search()
        shutil.rmtree(index)
        with MiniSearch(index) as ms:
            ms.restore(tmp_path / "backup.db")
        assert b"The oven is hot." in server.search()


def test_a_missing_model_is_an_error_of_the_server_and_words_are_found_without_it(tmp_path: Path) -> None:
    missing = HashingEncoder("all-MiniLM-L12-v2")
    (tmp_path / "a.md").write_text("The oven is hot.")
    with MiniSearch.open(tmp_path, encoder=missing) as ms:
        ms.index(tmp_path)
    with MiniSearch.open(tmp_path, offline=True) as ms:
        answer = ask(make_app(ms), "/v1/search", {"query": "oven"})
        assert answer.code == 503
        assert "all-MiniLM-L12-v2" in answer.message
        words = ask(make_app(ms), "/v1/search", {"query": "oven", "mode": "lexical"})
        assert words.code == 200 and len(words.json["results"]) == 1
        assert ask(make_app(ms), "/v1/rerank", {"query": "a", "documents": ["b"]}).code == 503


# --- the end -----------------------------------------------------------------------------------------------


def test_requests_at_the_time_of_sigterm_are_answered_or_refused_and_nothing_is_left(index: Path) -> None:
    answers: list[bytes | OSError] = []
    with serving(index) as server:
        started = threading.Semaphore(0)

        def keep_asking() -> None:
            while True:
                try:
                    answers.append(server.search())
                except OSError as error:  # refused
                    answers.append(error)
                    return
                finally:
                    started.release()
                if not answers[-1]:
                    return

        threads = [threading.Thread(target=keep_asking) for _ in range(50)]
        for thread in threads:
            thread.start()
        for _ in range(60):
            started.acquire()
        server.process.send_signal(signal.SIGTERM)
        for thread in threads:
            thread.join(TIMEOUT_S)
        assert server.process.wait(TIMEOUT_S) == TERMINATED
        whole = [one for one in answers if isinstance(one, bytes) and one]
        assert len(whole) >= 10
        for one in whole:
            head, _, body = one.partition(b"\r\n\r\n")
            assert status(one) == 200, one[:300]
            assert len(body) == int(re.findall(rb"content-length: (\d+)", head)[0]), "no half answer"
    assert not list(index.glob("query.sock*"))
