"""``minisearch mcp``: serve an index to programs until the command is ended.

Options come in; a server of `minisearch.server` runs on the standard streams or on a port of this machine.
"""

from __future__ import annotations

import logging
import socket
from typing import TYPE_CHECKING, Any

import click

from minisearch.cli.options import IndexChoice, number, offline_option, with_index
from minisearch.errors import InputError, MinisearchError

if TYPE_CHECKING:
    from starlette.applications import Starlette

LOOPBACK = "127.0.0.1"


@click.command()
@click.option("--port", **number(least=0), help="Serve http://127.0.0.1:PORT/mcp, not the standard streams.")
@offline_option
@with_index
def mcp(choice: IndexChoice, port: int | None) -> None:
    """Serve the index to a language model's client, by the Model Context Protocol.

    \b
    The client starts the command itself. Its configuration needs these lines:
      "minisearch": {"command": "minisearch", "args": ["mcp", "--index", "/home/me/notes/.minisearch"]}

    With --port the client connects to a server that runs already.
    """  # noqa: D301 - click reads \b as "leave these lines unchanged"
    make_server = _imported("mcp")
    with choice.open() as ms:
        ms.status()  # a missing or damaged index is an error now, not at the first search
        server = make_server(ms)
        if port is None:
            server.run()
        else:
            run_app(server.streamable_http_app(host=LOOPBACK), port, "/mcp")


def _imported(name: str) -> Any:  # noqa: ANN401 - a function of a module whose libraries may be missing
    try:
        from minisearch.server.mcp import make_server
    except ImportError as error:
        raise MinisearchError(
            f"this command needs a library that cannot be imported ({error}); install it with: "
            f"pip install 'minisearch[{name}]'"
        ) from error
    return make_server


def run_app(app: Starlette, port: int, path: str = "/") -> None:
    """Serve an application on a port of this machine until Ctrl-C or SIGTERM; port 0 is any free one."""
    import uvicorn

    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((LOOPBACK, port))
        except (OSError, OverflowError) as error:
            reason = error.strerror if isinstance(error, OSError) else "ports end at 65535"
            raise InputError(f"cannot serve on port {port}: {reason}; choose another with --port") from error
        logging.getLogger("uvicorn").setLevel(logging.WARNING)
        address = f"http://{LOOPBACK}:{listener.getsockname()[1]}{path}"
        click.echo(f"Serving on {address} (Ctrl-C ends it)", err=True)
        uvicorn.Server(uvicorn.Config(app, log_config=None)).run(sockets=[listener])
