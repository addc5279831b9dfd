"""The HTTP server: an index as a JSON API and a search page, for this machine.

A `MiniSearch` goes in, a Starlette application comes out.  What each address takes and returns is defined in
`endpoints`.  A request names no model and no path but those of indexed documents.  Who may ask is decided in
`guard`.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from typing import Any, TypeVar, get_type_hints

from anyio import CapacityLimiter, to_thread
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

import minisearch
from minisearch.analysis import reading
from minisearch.analysis.clusters import Clusters
from minisearch.analysis.copies import Duplicates
from minisearch.analysis.reading import Facets, PagePicture, Preview
from minisearch.engine import MiniSearch
from minisearch.errors import IndexBusy, InputError, MinisearchError, short
from minisearch.filters import And, Before, Extension, Filter, Or, Path, Since, parse_where
from minisearch.rag import Context, Passage
from minisearch.results import Query, SearchResults
from minisearch.server import page
from minisearch.server.endpoints import (
    ENDPOINTS,
    MAX_TEXTS,
    Embedding,
    Embeddings,
    Health,
    RunError,
    Score,
    Scores,
    Usage,
    checked,
    described,
    plain,
)
from minisearch.server.guard import TOO_LARGE, BodyTooLarge, Guard, Json, failure
from minisearch.threads import N_AT_ONCE
from minisearch.types import IndexProgress, IndexStatus, IngestReport

logger = logging.getLogger(__name__)

T = TypeVar("T")
EventData = IndexProgress | IngestReport | RunError
Event = tuple[str, EventData]


def make_app(engine: MiniSearch, *, token: str | None = None) -> ASGIApp:
    """The application of an index.  With a ``token`` each request but that of /health needs it."""
    server = _Server(engine)
    routes = [Route(one.path, server.endpoint(name), methods=[one.method]) for name, one in ENDPOINTS.items()]
    routes += page.routes()
    handlers = {404: _no_such, 405: _no_such}
    return Guard(Starlette(routes=routes, exception_handlers=handlers, lifespan=server.lifespan), token)


class _Server:
    """The endpoints of one index; the methods of the same names as in `ENDPOINTS` give the answers."""

    def __init__(self, engine: MiniSearch) -> None:
        self._engine = engine
        self._n_requests: Counter[tuple[str, int]] = Counter()
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._run: asyncio.Future[None] | None = None
        self._is_over = False
        self._limiter = CapacityLimiter(N_AT_ONCE)

    @asynccontextmanager
    async def lifespan(self, _app: Starlette | None) -> AsyncIterator[None]:
        """Ends an indexing run with the server, at its next step: what is stored is kept."""
        yield
        self._is_over = True

    def endpoint(self, name: str) -> Callable[[Request], Any]:
        """The function that Starlette calls: it checks the request, counts, and turns errors into answers."""
        asked = ENDPOINTS[name]
        answer = getattr(self, f"_{name}")

        async def respond(request: Request) -> Response:
            started_s = time.perf_counter()
            try:
                given = checked(await _body(request), asked) if asked.method == "POST" else {}
                found = await answer(**given)
                response = found if isinstance(found, Response) else Json(plain(found))
            except (Exception, asyncio.CancelledError) as error:  # a client gets no traceback, the log does
                response = _failure(error)
            self._n_requests[name, response.status_code] += 1
            self._seconds[name] += time.perf_counter() - started_s
            return response

        return respond

    async def _in_thread(self, call: Callable[..., T], *arguments: Any, **named: Any) -> T:  # noqa: ANN401
        """What a call returns, in a thread; calls begin in the order of the requests."""
        return await to_thread.run_sync(partial(call, *arguments, **named), limiter=self._limiter)

    async def _search(self, query: str, k: int, *, literal: bool, **given: Any) -> SearchResults:  # noqa: ANN401
        text = Query(query) if literal else query
        return await self._in_thread(self._engine.query, text, k, **_with_filter(given))

    async def _context(self, query: str, max_tokens: int, **given: Any) -> Context:  # noqa: ANN401
        return await self._in_thread(self._engine.context, query, max_tokens, **_with_filter(given))

    async def _similar(self, path: str, line: int | None = None, **given: Any) -> SearchResults:  # noqa: ANN401
        return await self._for_document(self._engine.similar, path, line, **_with_filter(given))

    async def _passage(self, path: str, line: int | None = None) -> Passage:
        return await self._for_document(self._engine.get, path, line)

    async def _preview(self, path: str, line: int | None = None, chunk_id: int | None = None) -> Preview:
        read = partial(reading.preview, self._engine.searcher)
        return await self._for_document(read, path, line, chunk_id=chunk_id)

    async def _picture(self, path: str, page: int, text: str, width: int) -> PagePicture:
        read = partial(reading.picture, self._engine.searcher)
        return await self._for_document(read, path, page, text, width=width)

    async def _facets(self) -> Facets:
        return await self._in_thread(reading.facets, self._engine.searcher)

    async def _clusters(self) -> Clusters:
        return await self._in_thread(self._engine.cluster)

    async def _duplicates(self) -> Duplicates:
        return await self._in_thread(self._engine.duplicates)

    async def _for_document(self, call: Callable[..., T], path: str, *arguments: Any, **named: Any) -> T:  # noqa: ANN401
        """What a call for a document of the index returns; no other path is looked at."""

        def read() -> T:
            self._engine.searcher.must_have(path)
            return call(path, *arguments, **named)

        return await self._in_thread(read)

    async def _embeddings(
        self,
        input: str | list[str],  # noqa: A002 - its name in the API
        encoding_format: str,
        model: str = "",
        dimensions: int = 0,
        user: str = "",
    ) -> Embeddings:
        del user
        texts = [input] if isinstance(input, str) else input
        return await self._in_thread(
            self._embedded, texts, encoding_format, model=model, dimensions=dimensions
        )

    def _embedded(self, texts: list[str], encoding: str, *, model: str, dimensions: int) -> Embeddings:
        name = self._engine.searcher.model()
        if model not in {"", name}:
            raise InputError(f"model is '{short(model)}': expected '{name}', the model of the index")
        vectors = self._engine.embed(texts)
        if dimensions not in {0, vectors.shape[1]}:
            raise InputError(f"dimensions is {dimensions}: {name} has {vectors.shape[1]}")
        data: list[Embedding] = [
            {
                "object": "embedding",
                "index": n,
                "embedding": vector.tolist()
                if encoding == "float"
                else base64.b64encode(vector.astype("<f4").tobytes()).decode(),
            }
            for n, vector in enumerate(vectors)
        ]
        n_tokens = sum(map(self._engine.searcher.token_counter(), texts))
        usage: Usage = {"prompt_tokens": n_tokens, "total_tokens": n_tokens}
        return {"object": "list", "data": data, "model": name, "usage": usage}

    async def _rerank(
        self, query: str, documents: list[str], top_n: int = MAX_TEXTS, model: str = ""
    ) -> Scores:
        del model
        scores = await self._in_thread(self._engine.rerank, query, documents)
        best = sorted(enumerate(scores.tolist()), key=lambda one: (-one[1], one[0]))[:top_n]
        return {"results": [Score(index=n, relevance_score=score) for n, score in best]}

    async def _refresh(self) -> StreamingResponse:
        if self._run is not None and not self._run.done():
            raise IndexBusy("an indexing run is in progress: ask again when it has ended")
        loop, events = asyncio.get_running_loop(), asyncio.Queue[Event]()

        def put(name: str, value: EventData) -> None:
            loop.call_soon_threadsafe(events.put_nowait, (name, value))

        # It goes on if the client leaves.
        self._run = asyncio.ensure_future(to_thread.run_sync(self._index, put))
        return StreamingResponse(_events(events), media_type=ENDPOINTS["refresh"].media_type)

    def _index(self, put: Callable[[str, EventData], None]) -> None:
        """An indexing run: puts its steps, at most ten a second of one kind, then its report or an error."""
        last_s, last = 0.0, ""

        def on_progress(progress: IndexProgress) -> None:
            nonlocal last_s, last
            if self._is_over:
                raise SystemExit  # recorded as an interrupted run
            if progress.doing != last or time.monotonic() - last_s >= 0.1:
                last_s, last = time.monotonic(), progress.doing
                put("progress", progress)

        try:
            put("report", self._engine.refresh(on_progress=on_progress))
        except SystemExit:
            logger.info("an indexing run ended with the server")
        except MinisearchError as error:
            put("error", RunError(message=str(error)))
        except Exception:
            logger.exception("an indexing run failed")
            put("error", RunError(message="the indexing run failed: see the log of the server"))

    async def _status(self) -> IndexStatus:
        return await self._in_thread(self._engine.status)

    async def _health(self) -> Health:
        return {"status": "ok", "version": minisearch.__version__}

    async def _metrics(self) -> PlainTextResponse:
        lines = ["# TYPE minisearch_requests_total counter"]
        for (name, code), n in sorted(self._n_requests.items()):
            lines.append(f'minisearch_requests_total{{endpoint="{name}",code="{code}"}} {n}')
        lines.append("# TYPE minisearch_request_seconds summary")
        n_by_name: Counter[str] = Counter()
        for (name, _), n in self._n_requests.items():
            n_by_name[name] += n
        for name, seconds in sorted(self._seconds.items()):
            lines.append(f'minisearch_request_seconds_sum{{endpoint="{name}"}} {seconds:.6f}')
            lines.append(f'minisearch_request_seconds_count{{endpoint="{name}"}} {n_by_name[name]}')
        return PlainTextResponse("\n".join(lines) + "\n", media_type=ENDPOINTS["metrics"].media_type)

    async def _openapi(self) -> dict[str, Any]:
        return openapi()


def openapi() -> dict[str, Any]:
    """The OpenAPI description of the server."""
    return described({name: get_type_hints(getattr(_Server, f"_{name}"))["return"] for name in ENDPOINTS})


async def _events(events: asyncio.Queue[Event]) -> AsyncIterator[str]:
    """Server-sent events, up to the first that is not progress."""
    name = "progress"
    while name == "progress":
        name, value = await events.get()
        yield f"event: {name}\ndata: {json.dumps(plain(value))}\n\n"


# --- requests ----------------------------------------------------------------------------------------------


def _with_filter(given: dict[str, Any]) -> dict[str, Any]:
    """The same options, with one filter for all that restrict the files."""
    names = ("where", "paths", "extensions", "since", "before")
    where, paths, extensions, since, before = (given.get(name) for name in names)
    parts: list[Filter] = [
        Or(tuple(map(kind, values))) for kind, values in ((Path, paths), (Extension, extensions)) if values
    ]
    parts += [
        kind(_moment(name, text))
        for kind, name, text in ((Since, "since", since), (Before, "before", before))
        if text
    ]
    parts += [parse_where(where)] if where else []
    others = {name: value for name, value in given.items() if name not in names}
    return others | {"where": And(tuple(parts)) if parts else None}


def _moment(name: str, text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(f"{name} is {short(text)!r}: expected an ISO date, such as 2024-01-31") from error


async def _body(request: Request) -> object:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    body = await request.body()
    if not body:
        return {}
    if kind != "application/json":
        raise InputError(f"the content type is '{short(kind)}': expected application/json")
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InputError(f"the body is no JSON: {short(str(error))}") from error


# --- errors ------------------------------------------------------------------------------------------------


def _failure(error: BaseException) -> Response:
    """An error in the form of OpenAI's API: 400 for a wrong request, 503 for the state of index or model."""
    if isinstance(error, BodyTooLarge):
        return failure(*TOO_LARGE)
    if isinstance(error, asyncio.CancelledError):  # it waits no longer for requests that are being answered
        return failure(503, "the server has ended before it could answer")
    if isinstance(error, ClientDisconnect):  # nobody reads the answer
        return failure(400, "the connection was closed before the end of the body")
    if isinstance(error, InputError):
        return failure(400, str(error))
    if isinstance(error, MinisearchError):
        return failure(503, str(error))
    logger.error("a request failed", exc_info=error)
    return failure(500, "the server failed: see its log")


async def _no_such(request: Request, _: Exception) -> Response:
    methods = [one.method for one in ENDPOINTS.values() if one.path == request.url.path]
    if methods:
        return failure(405, f"{request.url.path} takes {methods[0]}")
    return failure(404, "no such address: /openapi.json lists them")
