"""The search page: its files, and the headers that keep it from loading or running anything else.

The page is plain HTML, CSS and JavaScript in this folder, with the map of `analysis`.  It asks
the server's own API and no other host.
"""

from __future__ import annotations

from importlib import resources

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
FILES = ("page.css", "page.js", "render.js", "results.js", "preview.js", "filters.js", "views.js", "icon.svg")
MAP_FILES = ("map.js", "map.css")
PATHS = ("/", *(f"/page/{name}" for name in (*FILES, *MAP_FILES)))
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-cache",
}


def routes() -> list[Route]:
    """The address of the page, and those of its files; they are read once."""
    folders = {__name__: FILES, "minisearch.analysis": MAP_FILES}
    files = [_route(f"/page/{name}", folder, name) for folder, names in folders.items() for name in names]
    return [_route("/", __name__, "index.html"), *files]


def _route(path: str, folder: str, name: str) -> Route:
    content = (resources.files(folder) / name).read_bytes()
    media_type = TYPES[name.rpartition(".")[2]]

    async def answer(_: Request) -> Response:
        return Response(content, media_type=media_type, headers=HEADERS)

    return Route(path, answer, methods=["GET"])
