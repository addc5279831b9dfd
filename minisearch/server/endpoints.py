"""What each address of the HTTP server takes and returns, and its OpenAPI description.

`ENDPOINTS` says what a request may hold: the checks and the description are both made of it.  Answers are
data classes and typed dictionaries: `plain` makes JSON of them, and `schema_of` its schema.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from inspect import cleandoc
from types import NoneType, UnionType
from typing import Any, Literal, TypedDict, Union, get_args, get_origin, get_type_hints, is_typeddict

import minisearch
from minisearch.errors import InputError, short
from minisearch.filters import WHERE_HELP
from minisearch.rag import Context, Passage
from minisearch.results import SearchResult
from minisearch.types import IndexProgress, IngestReport

MAX_QUERY = 10_000  # characters
MAX_K, MAX_TEXTS, MAX_CONTEXT, MAX_PATTERNS = 1_000, 2_048, 100_000, 50


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
FILES: Mapping[str, Schema] = {
    "where": WHERE,
    "paths": {
        "type": "array",
        "items": {"type": "string"},
        "maxItems": MAX_PATTERNS,
        "description": "Only files that match one of these patterns, read as in .gitignore.",
    },
    "extensions": {
        "type": "array",
        "items": {"type": "string"},
        "maxItems": MAX_PATTERNS,
        "description": "Only files whose names end so, such as md.",
    },
    "since": {"type": "string", "description": "Only files changed at this ISO date or later."},
    "before": {"type": "string", "description": "Only files changed before this ISO date."},
}
PATH: Schema = {"type": "string", "description": "The path of an indexed document, as in a result."}
LINE: Schema = {"type": "integer", "minimum": 1}
N_RESULTS = _whole(1, MAX_K, 10, "How many results.")
EVIDENCE: Schema = {"type": "boolean", "default": True, "description": "Find the sentences that answer."}
TEXTS: Schema = {"type": "array", "items": {"type": "string"}, "maxItems": MAX_TEXTS}


@dataclass(frozen=True)
class Endpoint:
    """An address: what it does, the values that it takes, those that it needs, and the form of its answer."""

    method: str
    path: str
    summary: str
    values: Mapping[str, Schema]
    required: tuple[str, ...] = ()
    media_type: str = "application/json"


ENDPOINTS = {
    "search": Endpoint(
        "POST",
        "/v1/search",
        "The best passages for a query, best first",
        {
            "query": QUERY,
            "k": N_RESULTS,
            "literal": {
                "type": "boolean",
                "default": False,
                "description": "Read no operators in the query, and correct no spelling.",
            },
            "mode": MODE,
            **FILES,
            "by": BY,
            "evidence": EVIDENCE,
            "diverse": {"type": "number", "minimum": 0, "maximum": 1},
        },
        ("query",),
    ),
    "similar": Endpoint(
        "POST",
        "/v1/similar",
        "The passages nearest in meaning to a document, or to its passage at a line",
        {"path": PATH, "line": LINE, "k": N_RESULTS, **FILES, "by": BY, "evidence": EVIDENCE},
        ("path",),
    ),
    "context": Endpoint(
        "POST",
        "/v1/context",
        "Numbered passages with citations, for a prompt",
        {
            "query": QUERY,
            "max_tokens": _whole(1, MAX_CONTEXT, 2_000, "Size of the text."),
            "mode": MODE,
            **FILES,
        },
        ("query",),
    ),
    "passage": Endpoint(
        "POST",
        "/v1/passage",
        "The section around a line of an indexed document, or all of it",
        {"path": PATH, "line": LINE},
        ("path",),
    ),
    "preview": Endpoint(
        "POST",
        "/v1/preview",
        "The passages of a document around one of them, to read",
        {"path": PATH, "line": LINE, "chunk_id": {"type": "integer", "description": "As in a result."}},
        ("path",),
    ),
    "picture": Endpoint(
        "POST",
        "/v1/picture",
        "A page of a PDF as a picture, with the places of a text on it",
        {
            "path": PATH,
            "page": {"type": "integer", "minimum": 1},
            "text": {"type": "string", "maxLength": MAX_QUERY, "default": ""},
            "width": _whole(100, 3_000, 1_400, "Pixels."),
        },
        ("path", "page"),
    ),
    "facets": Endpoint(
        "GET", "/v1/facets", "Folders and kinds of files, with their numbers of documents", {}
    ),
    "clusters": Endpoint(
        "GET", "/v1/clusters", "Documents about the same thing, with labels and places on a map", {}
    ),
    "duplicates": Endpoint(
        "GET", "/v1/duplicates", "Near copies, and parts that several documents share", {}
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
    "refresh": Endpoint(
        "POST",
        "/v1/refresh",
        "Index changed files; progress as server-sent events",
        {},
        media_type="text/event-stream",
    ),
    "status": Endpoint("GET", "/v1/status", "What the index holds", {}),
    "health": Endpoint("GET", "/health", "Whether the server answers", {}),
    "metrics": Endpoint(
        "GET", "/metrics", "Counts and times, for Prometheus", {}, media_type="text/plain; version=0.0.4"
    ),
    "openapi": Endpoint("GET", "/openapi.json", "This description", {}),
}


# --- answers -----------------------------------------------------------------------------------------------


class Embedding(TypedDict):
    """The vector of one text: numbers, or float32 in little endian as base64."""

    object: Literal["embedding"]
    index: int
    embedding: list[float] | str


class Usage(TypedDict):
    """How many tokens the texts have."""

    prompt_tokens: int
    total_tokens: int


class Embeddings(TypedDict):
    """The vectors of texts, in their order."""

    object: Literal["list"]
    data: list[Embedding]
    model: str
    usage: Usage


class Score(TypedDict):
    """The score of the document at this index of the request, from 0; higher is better."""

    index: int
    relevance_score: float


class Scores(TypedDict):
    """The best documents, best first."""

    results: list[Score]


class Health(TypedDict):
    """The server answers."""

    status: Literal["ok"]
    version: str


class RunError(TypedDict):
    """Why an indexing run failed."""

    message: str


class Problem(TypedDict):
    """What is wrong; the type is that of OpenAI's API."""

    message: str
    type: Literal["invalid_request_error", "server_error"]


class Failure(TypedDict):
    """An error: 400 for a wrong request, 401 without the token, 503 for the state of the index or a model."""

    error: Problem


EVENTS = {"progress": IndexProgress, "report": IngestReport, "error": RunError}  # of /v1/refresh
# Properties that JSON has besides the fields of a class.
PROPERTIES: Mapping[Any, tuple[str, ...]] = {
    SearchResult: ("place",),
    Passage: ("place",),
    Context: ("text", "citations"),
}


def plain(value: Any) -> Any:  # noqa: ANN401 - anything that an answer holds
    """A value for JSON: data classes are objects with their fields and `PROPERTIES`."""
    if is_dataclass(value):
        names = (*(one.name for one in fields(value)), *PROPERTIES.get(type(value), ()))
        return {name: plain(getattr(value, name)) for name in names}
    if isinstance(value, Mapping):
        return {name: plain(one) for name, one in value.items()}
    return list(map(plain, value)) if isinstance(value, list | tuple) else value


NAMES = {str: "string", bool: "boolean", int: "integer", float: "number", NoneType: "null"}


def schema_of(kind: Any, components: dict[str, Schema]) -> Schema:  # noqa: ANN401 - any type annotation
    """The schema of the JSON that `plain` makes of values of a type; classes are added to ``components``."""
    origin, inner = get_origin(kind), get_args(kind)
    if kind in NAMES:
        return {"type": NAMES[kind]}
    if origin is Literal:
        return {"enum": list(inner)}
    if origin in {Union, UnionType}:
        return {"anyOf": [schema_of(one, components) for one in inner]}
    if origin is tuple and inner[-1] is not Ellipsis:
        parts = [schema_of(one, components) for one in inner]
        return {"type": "array", "prefixItems": parts, "minItems": len(parts), "maxItems": len(parts)}
    if origin in {list, tuple}:
        return {"type": "array", "items": schema_of(inner[0], components)}
    if origin in {dict, Mapping}:
        return {"type": "object", "additionalProperties": schema_of(inner[1], components)}
    if is_dataclass(kind) or is_typeddict(kind):
        return _schema_of_class(kind, components)
    return {}


def _schema_of_class(kind: Any, components: dict[str, Schema]) -> Schema:  # noqa: ANN401
    if kind.__name__ not in components:
        types = get_type_hints(kind)
        for name in PROPERTIES.get(kind, ()):
            types[name] = get_type_hints(getattr(kind, name).fget)["return"]
        components[kind.__name__] = {
            "type": "object",
            "description": cleandoc(kind.__doc__ or ""),
            "properties": {name: schema_of(one, components) for name, one in types.items()},
            "required": list(types),
        }
    return {"$ref": f"#/components/schemas/{kind.__name__}"}


# --- requests ----------------------------------------------------------------------------------------------


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
    for name in endpoint.required:
        if name not in given:
            raise InputError(missing(name, endpoint.values[name]))
    for name, value in given.items():
        if not _fits(value, endpoint.values[name]):
            raise InputError(wrong(name, value, endpoint.values[name]))
    defaults = {name: one["default"] for name, one in endpoint.values.items() if "default" in one}
    return defaults | given


def missing(name: str, schema: Schema) -> str:
    """The message about a value that is not there."""
    return f"{name} is missing: expected {_expected(schema)}"


def wrong(name: str, value: object, schema: Schema) -> str:
    """The message about a value that is not as its schema says."""
    return f"{name} is {short(json.dumps(value))}: expected {_expected(schema)}"


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
    words = {"integer": "a whole number", "number": "a number", "boolean": "true or false", "null": "nothing"}
    if schema["type"] == "array":
        return f"a list of at most {schema['maxItems']:,} texts"
    if schema["type"] == "string":
        return "a text" + (f" of at most {schema['maxLength']:,} characters" if "maxLength" in schema else "")
    limits = [f"from {schema['minimum']}"] if "minimum" in schema else []
    limits += [f"to {schema['maximum']:,}"] if "maximum" in schema else []
    return " ".join([words[schema["type"]], *limits])


# --- the description ---------------------------------------------------------------------------------------


def described(answers: Mapping[str, Any]) -> dict[str, Any]:
    """The OpenAPI description of `ENDPOINTS`, whose ``answers`` are of these types, by name."""
    components: dict[str, Schema] = {}
    failure = {"application/json": {"schema": schema_of(Failure, components)}}
    paths: dict[str, Any] = {}
    for name, one in ENDPOINTS.items():
        is_json = one.media_type == "application/json"
        content = {"schema": schema_of(answers[name] if is_json else str, components)}
        if one.media_type == "text/event-stream":
            content["x-events"] = {event: schema_of(kind, components) for event, kind in EVENTS.items()}
        about: dict[str, Any] = {
            "operationId": name,
            "summary": one.summary,
            "responses": {
                "200": {"description": one.summary, "content": {one.media_type: content}},
                "default": {"description": "An error", "content": failure},
            },
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
        "components": {"schemas": components},
    }
