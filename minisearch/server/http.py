"""The HTTP server: an index as a JSON API, for programs on this machine.

A `MiniSearch` goes in, a Starlette application comes out.  `ENDPOINTS` says what each address takes; the
checks of a request and the OpenAPI description are both made of it.  A request names no model and no path
but those of indexed documents.  Who may ask is decided in `guard`.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, TypeVar

from anyio import CapacityLimiter, to_thread
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

import minisearch
from minisearch.engine import MiniSearch
from minisearch.errors import IndexBusy, InputError, MinisearchError, short
from minisearch.filters import WHERE_HELP
from minisearch.server.guard import TOO_LARGE, BodyTooLarge, Guard, Json, failure
from minisearch.threads import N_AT_ONCE
from minisearch.types import IndexProgress

logger = logging.getLogger(__name__)

MAX_QUERY = 10_000  # characters
MAX_K, MAX_TEXTS, MAX_CONTEXT = 1_000, 2_048, 100_000

T = TypeVar("T")

Schema = Mapping[str, Any]


def _whole(least: int, most: int, default: int, what: str) -> Schema:
    return {
        "type": "integer",
        "minimum": least,
        "maximum": most,
        "default": default,
        "description": what,
    }


QUERY: Schema = {"type": "string", "maxLength": MAX_QUERY, "description": "What to look for."}
WHERE: Schema = {"type": "string", "maxLength": MAX_QUERY, "description": WHERE_HELP}
MODE: Schema = {"type": "string", "enum": ["hybrid", "dense", "lexical"], "default": "hybrid"}
BY: Schema = {"type": "string", "enum": ["passage", "document", "chunk"], "default": "passage"}
TEXTS: Schema = {"type": "array", "items": {"type": "string"}, "maxItems": MAX_TEXTS}


@dataclass(frozen=True)
class Endpoint:
    """An address: what it does, the values that it takes, and those that it needs."""

    method: str
    path: str
    summary: str
    values: Mapping[str, Schema]
    required: tuple[str, ...] = ()


ENDPOINTS = {
    "search": Endpoint(
        "POST",
        "/v1/search",
        "The best passages for a query, best first",
        {
            "query": QUERY,
            "k": _whole(1, MAX_K, 10, "How many results."),
            "mode": MODE,
            "where": WHERE,
            "by": BY,
            "evidence": {"type": "boolean", "default": True},
            "diverse": {"type": "number", "minimum": 0, "maximum": 1},
        },
        ("query",),
    ),
    "context": Endpoint(
        "POST",
        "/v1/context",
        "Numbered passages with citations, for a prompt",
        {
            "query": QUERY,
            "max_tokens": _whole(1, MAX_CONTEXT, 2_000, "Size of the text."),
            "mode": MODE,
            "where": WHERE,
        },
        ("query",),
    ),
    "passage": Endpoint(
        "POST",
        "/v1/passage",
        "The section around a line of an indexed document, or all of it",
        {"path": {"type": "string"}, "line": {"type": "integer", "minimum": 1}},
        ("path",),
    ),
    "embeddings": Endpoint(
        "POST",
        "/v1/embeddings",
        "Vectors of texts, as in OpenAI's API",
        {
            "input": {"anyOf": [{"type": "string"}, TEXTS]},
            "model": {"type": "string", "description": "The name of the index's model, or nothing."},
            "encoding_format": {"type": "string", "enum": ["float", "base64"], "default": "float"},
            "dimensions": {"type": "integer", "description": "That of the model, or nothing."},
            "user": {"type": "string", "description": "Ignored."},
        },
        ("input",),
    ),
    "rerank": Endpoint(
        "POST",
        "/v1/rerank",
        "Score documents for a query with the reranker",
        {
            "query": QUERY,
            "documents": TEXTS,
            "top_n": {"type": "integer", "minimum": 1},
            "model": {"type": "string", "description": "Ignored: the reranker of the server is used."},
        },
        ("query", "documents"),
    ),
    "refresh": Endpoint("POST", "/v1/refresh", "Index changed files; progress as server-sent events", {}),
    "status": Endpoint("GET", "/v1/status", "What the index holds", {}),
    "health": Endpoint("GET", "/health", "Whether the server answers", {}),
    "metrics": Endpoint("GET", "/metrics", "Counts and times, for Prometheus", {}),
    "openapi": Endpoint("GET", "/openapi.json", "This description", {}),
}


def make_app(engine: MiniSearch, *, token: str | None = None) -> ASGIApp:
    """The application of an index.  With a ``token`` each request but that of /health needs it."""
    server = _Server(engine)
    routes = [Route(one.path, server.endpoint(name), methods=[one.method]) for name, one in ENDPOINTS.items()]
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
                response: Response = await answer(**given)
            except Exception as error:  # a client gets no traceback, the log does
                response = _failure(error)
            self._n_requests[name, response.status_code] += 1
            self._seconds[name] += time.perf_counter() - started_s
            return response

        return respond

    async def _in_thread(self, call: Callable[..., T], *arguments: Any, **named: Any) -> T:  # noqa: ANN401
        """What a call returns, in a thread; calls begin in the order of the requests."""
        return await to_thread.run_sync(partial(call, *arguments, **named), limiter=self._limiter)

    async def _search(self, query: str, k: int, **given: Any) -> Response:  # noqa: ANN401 - as checked
        return Json((await self._in_thread(self._engine.query, query, k, **given)).to_dict())

    async def _context(self, query: str, max_tokens: int, **given: Any) -> Response:  # noqa: ANN401
        found = await self._in_thread(self._engine.context, query, max_tokens, **given)
        return Json({**asdict(found), "text": str(found), "citations": found.citations})

    async def _passage(self, path: str, line: int | None = None) -> Response:
        found = await self._in_thread(self._engine.get, path, line)
        return Json({**asdict(found), "place": found.place})

    async def _embeddings(
        self,
        input: str | list[str],  # noqa: A002 - its name in the API
        encoding_format: str,
        model: str = "",
        dimensions: int = 0,
        user: str = "",
    ) -> Response:
        del user
        texts = [input] if isinstance(input, str) else input
        return Json(
            await self._in_thread(self._embedded, texts, encoding_format, model=model, dimensions=dimensions)
        )

    def _embedded(self, texts: list[str], encoding: str, *, model: str, dimensions: int) -> dict[str, Any]:
        name = self._engine.searcher.model()
        if model not in {"", name}:
            raise InputError(f"model is '{short(model)}': expected '{name}', the model of the index")
        vectors = self._engine.embed(texts)
        if dimensions not in {0, vectors.shape[1]}:
            raise InputError(f"dimensions is {dimensions}: {name} has {vectors.shape[1]}")
        data = [
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
        usage = {"prompt_tokens": n_tokens, "total_tokens": n_tokens}
        return {"object": "list", "data": data, "model": name, "usage": usage}

    async def _rerank(
        self, query: str, documents: list[str], top_n: int = MAX_TEXTS, model: str = ""
    ) -> Response:
        del model
        scores = await self._in_thread(self._engine.rerank, query, documents)
        best = sorted(enumerate(scores.tolist()), key=lambda one: (-one[1], one[0]))[:top_n]
        return Json({"results": [{"index": n, "relevance_score": score} for n, score in best]})

    async def _refresh(self) -> Response:
        if self._run is not None and not self._run.done():
            raise IndexBusy("an indexing run is in progress: ask again when it has ended")
        loop, events = asyncio.get_running_loop(), asyncio.Queue[tuple[str, Any]]()

        def put(name: str, value: object) -> None:
            loop.call_soon_threadsafe(events.put_nowait, (name, value))

        # It goes on if the client leaves.
        self._run = asyncio.ensure_future(to_thread.run_sync(self._index, put))
        return StreamingResponse(_events(events), media_type="text/event-stream")

    def _index(self, put: Callable[[str, object], None]) -> None:
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
            put("error", {"message": str(error)})
        except Exception:
            logger.exception("an indexing run failed")
            put("error", {"message": "the indexing run failed: see the log of the server"})

    async def _status(self) -> Response:
        return Json(asdict(await self._in_thread(self._engine.status)))

    async def _health(self) -> Response:
        return Json({"status": "ok", "version": minisearch.__version__})

    async def _metrics(self) -> Response:
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
        return PlainTextResponse("\n".join(lines) + "\n", media_type="text/plain; version=0.0.4")

    async def _openapi(self) -> Response:
        return Json(openapi())


async def _events(events: asyncio.Queue[tuple[str, Any]]) -> AsyncIterator[str]:
    """Server-sent events, up to the first that is not progress."""
    name = "progress"
    while name == "progress":
        name, value = await events.get()
        plain = value if isinstance(value, dict) else asdict(value)
        yield f"event: {name}\ndata: {json.dumps(plain)}\n\n"


# --- requests ----------------------------------------------------------------------------------------------


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


def checked(body: object, endpoint: Endpoint) -> dict[str, Any]:
    """The values of a request with the defaults filled in; InputError for a missing, unknown or wrong one."""
    if not isinstance(body, dict):
        raise InputError(
            "the body is no JSON object: expected one such as {" + f'"{_first(endpoint)}": …' + "}"
        )
    if unknown := sorted(body.keys() - endpoint.values.keys()):
        expected = ", ".join(endpoint.values) or "none"
        raise InputError(f"unknown value '{short(unknown[0])}': expected {expected}")
    given = {name: value for name, value in body.items() if value is not None}
    if missing := [name for name in endpoint.required if name not in given]:
        raise InputError(f"{missing[0]} is missing")
    for name, value in given.items():
        if not _fits(value, endpoint.values[name]):
            raise InputError(
                f"{name} is {short(json.dumps(value))}: expected {_expected(endpoint.values[name])}"
            )
    defaults = {name: one["default"] for name, one in endpoint.values.items() if "default" in one}
    return defaults | given


def _first(endpoint: Endpoint) -> str:
    return next(iter(endpoint.values), "name")


TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
}


def _fits(value: Any, schema: Schema) -> bool:  # noqa: ANN401 - any JSON
    """Whether a value is as a schema says; only the words that `ENDPOINTS` uses count."""
    if "anyOf" in schema:
        return any(_fits(value, one) for one in schema["anyOf"])
    if not isinstance(value, TYPES[schema["type"]]) or isinstance(value, bool) != (
        schema["type"] == "boolean"
    ):
        return False
    if isinstance(value, str):
        return len(value) <= schema.get("maxLength", len(value)) and value in schema.get("enum", [value])
    if isinstance(value, list):
        return len(value) <= schema["maxItems"] and all(_fits(one, schema["items"]) for one in value)
    return bool(schema.get("minimum", value) <= value <= schema.get("maximum", value))


def _expected(schema: Schema) -> str:
    if "anyOf" in schema:
        return " or ".join(map(_expected, schema["anyOf"]))
    if "enum" in schema:
        return f"one of {', '.join(schema['enum'])}"
    words = {"integer": "a whole number", "number": "a number", "boolean": "true or false"}
    if schema["type"] == "array":
        return f"a list of at most {schema['maxItems']:,} texts"
    if schema["type"] == "string":
        return "a text" + (f" of at most {schema['maxLength']:,} characters" if "maxLength" in schema else "")
    limits = [f"from {schema['minimum']}"] if "minimum" in schema else []
    limits += [f"to {schema['maximum']:,}"] if "maximum" in schema else []
    return " ".join([words[schema["type"]], *limits])


# --- errors ------------------------------------------------------------------------------------------------


def _failure(error: Exception) -> Response:
    """An error in the form of OpenAI's API: 400 for a wrong request, 503 for the state of index or model."""
    if isinstance(error, BodyTooLarge):
        return failure(*TOO_LARGE)
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


def openapi() -> dict[str, Any]:
    """The OpenAPI description of the server."""
    paths: dict[str, Any] = {}
    for name, one in ENDPOINTS.items():
        about: dict[str, Any] = {
            "operationId": name,
            "summary": one.summary,
            "responses": {"200": {"description": "The answer"}, "default": {"description": "An error"}},
        }
        if one.method == "POST":
            schema = {
                "type": "object",
                "properties": one.values,
                "required": list(one.required),
                "additionalProperties": False,
            }
            about["requestBody"] = {
                "required": bool(one.required),
                "content": {"application/json": {"schema": schema}},
            }
        paths[one.path] = {one.method.lower(): about}
    return {
        "openapi": "3.1.0",
        "info": {"title": "minisearch", "version": minisearch.__version__},
        "paths": paths,
    }
