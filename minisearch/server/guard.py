"""Who may ask a server: checks of each request before it is read.

A web page that a user has open can send requests to this machine, and with a name that it lets point here
(DNS rebinding) also read the answers.  So without a token the name in ``Host`` must be one of this machine,
and so must that of the web page which asks (``Origin``).  An address that others can reach needs a token,
which no web page knows.  Bodies are limited in either case.
"""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Mapping
from typing import Literal

from starlette.datastructures import Headers
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from minisearch.server import page
from minisearch.server.endpoints import Failure

LOOPBACK = ("127.0.0.1", "localhost", "::1")
NAME = r"(?:127\.0\.0\.1|localhost|\[::1\])(?::[0-9]{1,5})?"
HOST, ORIGIN = re.compile(NAME, re.IGNORECASE), re.compile(f"https?://{NAME}", re.IGNORECASE)
MAX_BODY = 4 * 2**20  # bytes
MAX_DIGITS = 12  # of the length of a body: Python refuses to read numbers of thousands of digits
OPEN_PATHS = {"/health", *page.PATHS}  # without a token


class Guard:
    """An ASGI application that refuses requests without permission, and passes the others on."""

    def __init__(self, app: ASGIApp, token: str | None = None) -> None:
        self._app = app
        self._token = token or None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if refusal := self._refusal(scope["path"], headers):
            code, message = refusal
            more = {"WWW-Authenticate": "Bearer"} if code == 401 else {}
            await failure(code, message, {"Connection": "close", **more})(scope, receive, send)
            return
        n_bytes = 0

        async def limited() -> Message:
            nonlocal n_bytes
            message = await receive()
            n_bytes += len(message.get("body", b""))
            if n_bytes > MAX_BODY:
                raise BodyTooLarge
            return message

        await self._app(scope, limited, send)

    def _refusal(self, path: str, headers: Headers) -> tuple[int, str] | None:
        """The status and the message for a request that is refused; None for one that may pass."""
        length = headers.get("content-length", "0")
        if "transfer-encoding" in headers and "content-length" in headers:  # a proxy may believe the other
            return 400, "the length of the body is given twice: expected Content-Length or Transfer-Encoding"
        if not length.isdecimal() or len(length) > MAX_DIGITS or int(length) > MAX_BODY:
            return TOO_LARGE
        if self._token is not None:
            kind, _, given = headers.get("authorization", "").partition(" ")
            is_right = hmac.compare_digest(given.encode("latin-1"), self._token.encode())
            if path not in OPEN_PATHS and not (kind.lower() == "bearer" and is_right):
                return 401, "this server needs its token: send the header Authorization: Bearer TOKEN"
            return None
        if not HOST.fullmatch(headers.get("host", "")):
            return 421, "the Host of the request is not a name of this machine"
        # An image or a link of a page has no Origin; browsers say by this header that it is of another site.
        is_of_another = headers.get("sec-fetch-site") == "cross-site"
        if (is_of_another and path not in OPEN_PATHS) or not all(
            map(ORIGIN.fullmatch, headers.getlist("origin"))
        ):
            return 403, "requests from web pages of other hosts are refused"
        return None


class BodyTooLarge(Exception):
    """The body of a request is larger than was allowed; the application answers with `TOO_LARGE`."""


TOO_LARGE = (413, f"the body is larger than {MAX_BODY // 2**20} MB")


class Json(JSONResponse):
    """JSON in ASCII: a file name may hold bytes that are no UTF-8."""

    def render(self, content: object) -> bytes:
        """The body."""
        return json.dumps(content, allow_nan=False).encode()


def failure(code: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """An error with its message, in the form of OpenAI's API."""
    kind: Literal["invalid_request_error", "server_error"]
    kind = "invalid_request_error" if code < 500 else "server_error"
    found: Failure = {"error": {"message": message, "type": kind}}
    return Json(found, code, headers)
