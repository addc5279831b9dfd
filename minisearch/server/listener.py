"""Answers `minisearch query` on a socket in the index folder, in the process of a server.

A `MiniSearch` goes in.  Only processes of the same user can ask, and only for what that index holds: a
request names no model and no file to open.  What goes over the socket is defined in `client`.
"""

from __future__ import annotations

import json
import logging
import os
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import minisearch
from minisearch.engine import MiniSearch
from minisearch.errors import MinisearchError
from minisearch.paths import StoredNames
from minisearch.results import SearchOptions
from minisearch.server.client import address, is_of_this_user, options_of, query_of

logger = logging.getLogger(__name__)

MAX_REQUEST = 2**20  # bytes
REQUEST_TIMEOUT_S = 5.0
NOTHING: dict[str, Any] = {"found": None, "outcome": ""}  # the client searches itself, and says what is wrong


@contextmanager
def listening(engine: MiniSearch) -> Iterator[None]:
    """Answer while this lasts, from when the model is loaded; not where the folder can hold no socket.

    The server that was started last answers.  A socket that a killed server has left is replaced.
    """
    listener = _Listener(engine)
    thread = threading.Thread(target=listener.run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        listener.stop()
        thread.join(timeout=REQUEST_TIMEOUT_S)


class _Listener:
    """The socket, and the answers to what comes in by it."""

    def __init__(self, engine: MiniSearch) -> None:
        location = engine.searcher.location
        self._searcher = engine.searcher.of_a_new_process(StoredNames(location.path))
        self._location = self._searcher.location
        self._is_over = threading.Event()

    def run(self) -> None:
        """Load the model, then listen until `stop`."""
        try:
            self._searcher.query("anything", SearchOptions(k=1, evidence=True))
            if not self._is_over.is_set():
                self._listen()
        except Exception as error:  # the server itself goes on; whoever asks here searches without it
            logger.info("minisearch query is not answered by this server: %s", error)
        finally:
            self._searcher.close()

    def stop(self) -> None:
        """End `run`, without waiting for answers: a client that gets none searches itself."""
        self._is_over.set()

    def _listen(self) -> None:
        suffix = f"-{os.getpid()}"
        unfinished = self._location.socket.with_name(self._location.socket.name + suffix)
        unfinished.unlink(missing_ok=True)
        with _Server(address(self._location, suffix), self._answer) as server:
            try:
                unfinished.chmod(0o600)
                inode = unfinished.lstat().st_ino
                unfinished.replace(self._location.socket)
            except OSError:
                unfinished.unlink(missing_ok=True)
                raise
            try:
                while not self._is_over.is_set():
                    server.handle_request()
            finally:
                with suppress(FileNotFoundError):  # or that of another server
                    if self._location.socket.lstat().st_ino == inode:
                        self._location.socket.unlink()

    def _answer(self, line: bytes) -> bytes:
        """The line for a line of a client."""
        try:
            found = self._found(json.loads(line))
        except MinisearchError:
            found = NOTHING
        except Exception as error:  # one wrong request does not end the server
            logger.warning("a request on %s failed: %r", self._location.socket, error)
            found = NOTHING
        return json.dumps(found).encode() + b"\n"

    def _found(self, request: dict[str, Any]) -> dict[str, Any]:
        asked_for = (request["version"], request["index"])
        if asked_for != (minisearch.__version__, str(self._location.path)):
            return NOTHING
        options = options_of(request["options"])
        if options.rerank == "auto" and not self._searcher.has_reranker():
            return NOTHING
        found = self._searcher.query(query_of(request["query"]), options)
        run = self._searcher.last_run()
        return {"found": found.to_dict(), "outcome": run.outcome if run else ""} if found else NOTHING


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Accepts connections of this user, and answers each in a thread."""

    daemon_threads = True
    request_queue_size = 64
    timeout = 0.2  # after which `handle_request` returns

    def __init__(self, path: str, answer: Callable[[bytes], bytes]) -> None:
        self.answer = answer
        super().__init__(path, _Handler)

    def get_request(self) -> Any:  # noqa: ANN401 - a socket and an address
        """The next connection; if none can be accepted (no free descriptors), OSError after a while."""
        try:
            return super().get_request()
        except OSError:
            time.sleep(self.timeout)  # the connection still waits, and `handle_request` returns at once
            raise

    def verify_request(self, request: Any, client_address: Any) -> bool:  # noqa: ANN401, ARG002
        """Whether this user asks."""
        return is_of_this_user(request)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        """Nothing: the client has left."""


class _Handler(socketserver.StreamRequestHandler):
    timeout = REQUEST_TIMEOUT_S

    def handle(self) -> None:
        assert isinstance(self.server, _Server), "it makes its handlers"
        self.wfile.write(self.server.answer(self.rfile.readline(MAX_REQUEST)))
