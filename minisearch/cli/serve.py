"""``minisearch serve`` and ``mcp``: serve an index to programs until the command is ended.

Options come in; a server of `minisearch.server` runs on the standard streams or on a port of this machine.
"""

from __future__ import annotations

import logging
import socket
from typing import TYPE_CHECKING

import click

from minisearch.cli.options import IndexChoice, imported, number, offline_option, with_index
from minisearch.cli.terminal import one_line, printable
from minisearch.errors import InputError, MinisearchError

if TYPE_CHECKING:
    from starlette.types import ASGIApp

DEFAULT_HOST = "127.0.0.1"
BACKLOG = 1_024  # connections that wait to be accepted
KEEP_ALIVE_S = (
    75  # longer than clients keep an idle connection: one that is closed under a request is an error
)


@click.command()
@click.option("--port", **number(least=0), help="Serve http://127.0.0.1:PORT/mcp, not the standard streams.")
@offline_option
@with_index
def mcp(choice: IndexChoice, port: int | None) -> None:
    """Serve the index to an assistant (MCP).

    \b
    The client starts the command itself. Its configuration needs these lines:
      "minisearch": {"command": "minisearch", "args": ["mcp", "--index", "/home/me/notes/.minisearch"]}

    With --port the client connects to a server that runs already.
    """  # noqa: D301 - click reads \b as "leave these lines unchanged"
    from minisearch.server.listener import listening

    make_server = imported("server.mcp", "make_server", "mcp")
    with choice.open() as ms:
        ms.status()  # a missing or damaged index is an error now, not at the first search
        server = make_server(ms)
        with listening(ms):
            if port is None:
                server.run()
            else:
                _run_app(server.streamable_http_app(host=DEFAULT_HOST), DEFAULT_HOST, port, "/mcp")


@click.command()
@click.option("--port", **number(8642, least=0), help="The port; 0 takes any free one.")
@click.option("--host", default=DEFAULT_HOST, show_default=True, help="The address; others need a token.")
@click.option(
    "--token",
    envvar="MINISEARCH_TOKEN",
    help="Answer only requests with this token.  [env: MINISEARCH_TOKEN]",
)
@offline_option
@with_index
def serve(choice: IndexChoice, port: int, host: str, token: str | None) -> None:
    """Serve a search page for your browser, and a JSON API.

    The page is at the address that is printed. The API is below it:

    \b
      curl -s localhost:8642/v1/search --json '{"query": "how do I retry a failed task"}'

    /openapi.json describes it. Only browsers and programs on this machine can ask, those of other accounts
    too, unless --host is another address. With a token, which another address needs, each request must have
    it, as "Authorization: Bearer TOKEN".
    """  # noqa: D301 - click reads \b as "leave these lines unchanged"
    if host not in imported("server.guard", "LOOPBACK", "server") and not token:
        raise InputError(
            f"anyone who can reach {one_line(host)} could read the index: give a --token as well"
        )
    from minisearch.server.listener import listening

    make_app = imported("server.http", "make_app", "server")
    with choice.open() as ms:
        ms.status()
        try:
            ms.searcher.warm_up()
        except MinisearchError as error:  # words can be searched without the model
            click.echo(f"The model cannot be loaded: {printable(str(error))}", err=True)
        with listening(ms):
            _run_app(make_app(ms, token=token), host, port)


def _run_app(app: ASGIApp, host: str, port: int, path: str = "/") -> None:
    """Serve an application until Ctrl-C or SIGTERM; requests that are being answered get ten seconds."""
    import uvicorn

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
            listener.listen(BACKLOG)
        except (OSError, OverflowError) as error:
            reason = error.strerror if isinstance(error, OSError) else "ports end at 65535"
            raise InputError(f"cannot serve on {one_line(host)} port {port}: {reason}") from error
        shown = f"[{host}]" if family == socket.AF_INET6 else host
        click.echo(f"Serving on http://{shown}:{listener.getsockname()[1]}{path} (Ctrl-C ends it)", err=True)
        # h11 limits the size of headers, which httptools does not; there are no websockets.
        config = uvicorn.Config(
            app,
            http="h11",
            ws="none",
            log_config=None,
            timeout_graceful_shutdown=10,
            timeout_keep_alive=KEEP_ALIVE_S,
        )
        logging.getLogger("uvicorn").setLevel(logging.WARNING)
        uvicorn.Server(config).run(sockets=[listener])
