"""Ask an ASGI application without a network."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import anyio


@dataclass(frozen=True)
class Answer:
    """The status, the headers and the body of an answer."""

    code: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def message(self) -> str:
        return str(self.json["error"]["message"])


def ask(
    app: Any,
    path: str,
    body: Any = None,
    *,
    method: str | None = None,
    headers: dict[str, str] | None = None,
) -> Answer:
    """One request; ``body`` is sent as it is if it is bytes, else as JSON."""
    raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    sent = {"host": "127.0.0.1:8642", "content-type": "application/json", "content-length": str(len(raw))}
    sent |= headers or {}
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method or ("GET" if body is None else "POST"),
        "scheme": "http",
        "path": path.partition("?")[0],
        "raw_path": path.encode("utf-8", "surrogateescape"),
        "query_string": path.partition("?")[2].encode(),
        "headers": [
            (name.encode("latin-1", "replace"), value.encode("latin-1", "replace"))
            for name, value in sent.items()
        ],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8642),
    }
    messages: list[Any] = []
    pieces = [raw[n : n + 65_536] for n in range(0, len(raw), 65_536)] or [b""]

    async def receive() -> Any:
        if not pieces:
            await anyio.sleep_forever()
        piece = pieces.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(pieces)}

    async def send(message: Any) -> None:
        messages.append(message)

    async def run() -> None:
        await app(scope, receive, send)

    anyio.run(run)
    start = messages[0]
    return Answer(
        start["status"],
        {name.decode(): value.decode() for name, value in start["headers"]},
        b"".join(message.get("body", b"") for message in messages[1:]),
    )
