"""The HTTP server: answers equal those of the engine, and a wrong request gets one clear error."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("starlette")
from starlette.requests import Request

from minisearch import MiniSearch
from minisearch.errors import IndexCorrupt
from minisearch.minilm import SentenceTransformer
from minisearch.server import http
from minisearch.server.endpoints import ENDPOINTS, EVENTS, checked
from minisearch.server.guard import MAX_BODY
from minisearch.server.http import make_app, openapi
from tests.fakes import HashingEncoder
from tests.server.asgi import Answer, ask

NOTES = {
    "bread.md": "# Sourdough\n\n## Baking\n\nBake the loaf at 240 degrees for forty minutes.\n",
    "router.md": "# Router\n\n## Reset\n\nHold the button for ten seconds. The lamp turns red.\n",
    "oven.md": "---\nauthor: Ada\n---\n# Oven\n\nThe oven needs ten minutes to heat.\n",
}


class Swapped:
    """A reranker that likes short texts."""

    name = "short"

    def score(self, query: str, texts: list[str]) -> Any:
        return np.array([-len(text) for text in texts], np.float32)


@pytest.fixture(scope="module")
def notes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("notes")
    for name, text in NOTES.items():
        (folder / name).write_text(text)
    return folder


@pytest.fixture(scope="module")
def engine(notes: Path) -> Any:
    with MiniSearch.open(notes, encoder=HashingEncoder()) as ms:
        ms.index(notes)
        yield ms


@pytest.fixture(scope="module")
def app(engine: MiniSearch) -> Any:
    return make_app(engine)


DESCRIBED = openapi()


def check_described(answer: Answer, path: str, method: str = "POST") -> None:
    """The JSON of an answer is as the description says, and has no values that it does not name."""
    jsonschema = pytest.importorskip("jsonschema")
    paths = DESCRIBED["paths"]
    responses = paths.get(path, {}).get(method.lower(), paths["/health"]["get"])["responses"]
    content = responses.get(str(answer.code), responses["default"])["content"]
    jsonschema.validate(answer.json, closed(content["application/json"]["schema"]))


def closed(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema that allows only the values that it names."""
    components = {
        name: {**one, "additionalProperties": False}
        for name, one in DESCRIBED["components"]["schemas"].items()
    }
    return {**schema, "components": {"schemas": components}}


# --- answers -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options", [{}, {"k": 1}, {"mode": "lexical"}, {"by": "document"}, {"where": 'author = "ada"'}]
)
def test_search_is_that_of_the_engine(app: Any, engine: MiniSearch, options: dict[str, Any]) -> None:
    answer = ask(app, "/v1/search", {"query": "how long in the oven", **options})
    expected = engine.query("how long in the oven", evidence=True, **options)
    assert answer.code == 200
    assert answer.json == json.loads(json.dumps(expected.to_dict()))
    assert [one["place"] for one in answer.json["results"]] == [one.place for one in expected]
    assert answer.json["results"]


def test_an_answer_is_new_when_the_index_has_changed(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("The oven is cold.")
    with MiniSearch.open(tmp_path, encoder=HashingEncoder()) as ms:
        ms.index(tmp_path)
        app = make_app(ms)
        first = ask(app, "/v1/search", {"query": "oven"}).json
        assert ask(app, "/v1/search", {"query": "oven"}).json == first
        (tmp_path / "b.md").write_text("The oven is hot.")
        ms.index(tmp_path)
        assert len(ask(app, "/v1/search", {"query": "oven"}).json["results"]) == 2


def test_context_passage_and_status_are_those_of_the_engine(
    app: Any, engine: MiniSearch, notes: Path
) -> None:
    context = ask(app, "/v1/context", {"query": "reset the router", "max_tokens": 50}).json
    expected = engine.context("reset the router", 50)
    assert (context["text"], context["citations"]) == (str(expected), list(expected.citations))
    passage = ask(app, "/v1/passage", {"path": f"{notes}/router.md", "line": 5}).json
    assert passage["text"] == engine.get(notes / "router.md", 5).text
    assert ask(app, "/v1/status").json["n_documents"] == len(NOTES)
    assert ask(app, "/health").json["status"] == "ok"


def test_no_path_but_that_of_an_indexed_document_is_looked_at(
    app: Any, notes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at: list[str] = []
    lstat = os.lstat
    monkeypatch.setattr(
        os, "lstat", lambda path, **named: (looked_at.append(str(path)), lstat(path, **named))[1]
    )
    for path in ("/net/host/router.md", "../net/host", f"{notes}/../net/host"):
        answer = ask(app, "/v1/passage", {"path": path})
        assert (answer.code, [one for one in looked_at if "net" in one]) == (400, [])
    assert "did you mean" in ask(app, "/v1/passage", {"path": "/net/host/routr.md"}).message
    assert ask(app, "/v1/passage", {"path": os.path.relpath(notes / "router.md")}).code == 200


@pytest.mark.parametrize("encoding", ["float", "base64"])
def test_embeddings_are_in_the_form_of_openai(app: Any, engine: MiniSearch, encoding: str) -> None:
    texts = ["hot oven", "router"]
    answer = ask(
        app, "/v1/embeddings", {"input": texts, "encoding_format": encoding, "model": "hashing"}
    ).json
    assert (answer["object"], answer["model"]) == ("list", "hashing")
    assert [one["index"] for one in answer["data"]] == [0, 1]
    vectors = [one["embedding"] for one in answer["data"]]
    if encoding == "base64":
        vectors = [np.frombuffer(base64.b64decode(one), "<f4") for one in vectors]
    assert np.allclose(vectors, engine.embed(texts), atol=1e-7)
    assert answer["usage"]["total_tokens"] == 3
    (one,) = ask(app, "/v1/embeddings", {"input": "hot oven"}).json["data"]
    assert np.allclose(one["embedding"], engine.embed(["hot oven"])[0], atol=1e-7)


def test_rerank_orders_by_score(engine: MiniSearch, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ["a long text", "a", "text"]
    assert engine.rerank("q", texts, Swapped()).tolist() == [-11, -1, -4]
    monkeypatch.setattr(engine, "rerank", lambda query, documents: Swapped().score(query, documents))
    answer = ask(make_app(engine), "/v1/rerank", {"query": "q", "documents": texts, "top_n": 2}).json
    assert answer["results"] == [
        {"index": 1, "relevance_score": -1.0},
        {"index": 2, "relevance_score": -4.0},
    ]


def test_a_refresh_streams_its_progress_and_ends_with_the_report(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("The oven is cold.")
    with MiniSearch.open(tmp_path, encoder=HashingEncoder()) as ms:
        ms.index(tmp_path)
        app = make_app(ms)
        (tmp_path / "b.md").write_text("The oven is hot.")
        answer = ask(app, "/v1/refresh", {})
        assert answer.headers["content-type"].startswith("text/event-stream")
        events = re.findall(r"event: (\w+)\ndata: (.*)\n\n", answer.body.decode())
        assert [name for name, _ in events[-1:]] == ["report"]
        assert {name for name, _ in events[:-1]} <= {"progress"}
        assert json.loads(events[-1][1])["added"] == 1
        assert len(ms.query("oven")) == 2
        (tmp_path / "a.md").unlink()
        (tmp_path / "b.md").unlink()
        (name, value) = re.findall(
            r"event: (\w+)\ndata: (.*)\n\n", ask(app, "/v1/refresh", {}).body.decode()
        )[-1]
        assert name == "error"
        assert "no files to index" in json.loads(value)["message"]


def test_a_refresh_ends_with_the_server_at_its_next_step(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("The oven is cold.")
    with MiniSearch.open(tmp_path, encoder=HashingEncoder()) as ms:
        ms.index(tmp_path)
        server = http._Server(ms)

        async def start_and_stop() -> None:
            async with server.lifespan(None):
                pass

        anyio.run(start_and_stop)
        (tmp_path / "b.md").write_text("The oven is hot.")
        events: list[str] = []
        server._index(lambda name, _: events.append(name))
        assert events == []
        last_run = ms.status().last_run
        assert last_run is not None and last_run.outcome == "interrupted"
        assert ms.refresh().added == 1


def test_a_request_that_an_ending_server_cancels_is_one_error(
    engine: MiniSearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    has_begun, is_over = threading.Event(), threading.Event()

    def endless(*_: object, **__: object) -> None:
        has_begun.set()
        is_over.wait(120)

    async def body() -> dict[str, object]:
        return {"type": "http.request", "body": b'{"query": "oven"}', "more_body": False}

    async def cancelled() -> Any:
        about = {"type": "http", "method": "POST", "headers": [(b"content-type", b"application/json")]}
        answering = asyncio.ensure_future(http._Server(engine).endpoint("search")(Request(about, body)))
        await asyncio.to_thread(has_begun.wait, 120)
        answering.cancel()
        try:
            return await answering
        finally:
            is_over.set()

    monkeypatch.setattr(engine, "query", endless)
    response = asyncio.run(cancelled())
    assert (response.status_code, b"the server has ended" in response.body) == (503, True)


def test_metrics_count_requests_by_their_outcome(engine: MiniSearch) -> None:
    app = make_app(engine)
    ask(app, "/v1/search", {"query": "oven"})
    ask(app, "/v1/search", {})
    text = ask(app, "/metrics").body.decode()
    assert 'minisearch_requests_total{endpoint="search",code="200"} 1\n' in text
    assert 'minisearch_requests_total{endpoint="search",code="400"} 1\n' in text
    assert 'minisearch_request_seconds_count{endpoint="search"} 2\n' in text
    assert float(re.findall(r'seconds_sum{endpoint="search"} (\S+)', text)[0]) > 0


def test_the_description_has_every_address(app: Any) -> None:
    described = ask(app, "/openapi.json").json
    assert described == openapi()
    body = described["paths"]["/v1/search"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert "docs/filters.md" in body["properties"]["where"]["description"]
    assert {(path, *verbs) for path, verbs in described["paths"].items()} == {
        (one.path, one.method.lower()) for one in ENDPOINTS.values()
    }


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/search", {"query": "how long in the ovne", "k": 2}),
        ("/v1/search", {"query": '"button for" -loaf', "by": "document", "diverse": 0.5}),
        ("/v1/search", {"query": "oven", "mode": "lexical", "where": "author = ada", "evidence": False}),
        ("/v1/search", {"query": "oven", "mode": "dense", "by": "chunk"}),
        ("/v1/search", {"query": "oven", "k": 0}),
        ("/v1/context", {"query": "reset the router", "max_tokens": 50}),
        ("/v1/context", {"query": "zebras"}),
        ("/v1/passage", {"path": "/etc/passwd"}),
        ("/v1/embeddings", {"input": ["hot oven", "router"]}),
        ("/v1/embeddings", {"input": "hot oven", "encoding_format": "base64"}),
        ("/v1/rerank", {"query": "oven", "documents": ["a", "oven"]}),
        ("/v1/refresh", {"path": "/etc"}),
        ("/v1/status", None),
        ("/health", None),
        ("/openapi.json", None),
    ],
)
def test_every_answer_is_as_the_description_says(
    notes: Path, app: Any, engine: MiniSearch, monkeypatch: pytest.MonkeyPatch, path: str, body: Any
) -> None:
    monkeypatch.setattr(engine, "rerank", lambda query, documents: Swapped().score(query, documents))
    answer = ask(app, path, body)
    check_described(answer, path, "GET" if body is None else "POST")
    refused = ask(make_app(engine, token="sesame"), path, body)
    if path != "/health":
        assert refused.code == 401
        check_described(refused, path, "GET" if body is None else "POST")


def test_a_section_the_state_of_the_index_and_a_refresh_are_as_the_description_says(tmp_path: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    (tmp_path / "a.md").write_text("The oven is cold.")
    (tmp_path / "b.md").write_text("")
    (tmp_path / "c.md").write_text("---\na: b: c\n---\n\nThe front matter is wrong.")
    with MiniSearch.open(tmp_path, encoder=HashingEncoder()) as ms:
        ms.index(tmp_path)
        app = make_app(ms)
        status = ask(app, "/v1/status")
        assert status.json["skipped"] and status.json["notes"] and status.json["last_run"], status.json
        check_described(status, "/v1/status", "GET")
        check_described(ask(app, "/v1/passage", {"path": f"{tmp_path}/a.md", "line": 1}), "/v1/passage")
        bodies = [ask(app, "/v1/refresh", {}).body.decode()]
        for name in "abc":
            (tmp_path / f"{name}.md").unlink()
        bodies.append(ask(app, "/v1/refresh", {}).body.decode())
    (content,) = DESCRIBED["paths"]["/v1/refresh"]["post"]["responses"]["200"]["content"].values()
    assert content["x-events"].keys() == EVENTS.keys()
    seen = re.findall(r"event: (\w+)\ndata: (.*)\n\n", "".join(bodies))
    assert {name for name, _ in seen} == EVENTS.keys()
    for name, value in seen:
        jsonschema.validate(json.loads(value), closed(content["x-events"][name]))


def test_every_schema_of_the_description_is_one(app: Any) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schemas = ask(app, "/openapi.json").json["components"]["schemas"]
    assert {"SearchResults", "Context", "Passage", "IndexStatus", "Embeddings", "Failure"} <= schemas.keys()
    for one in schemas.values():
        jsonschema.Draft202012Validator.check_schema(one)
        assert one["description"] and one["required"] == list(one["properties"])


# --- wrong requests ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        ("/v1/search", b"{", "the body is no JSON"),
        ("/v1/search", b"[" * 100_000, "the body is no JSON"),
        ("/v1/search", b'"text"', 'expected one such as {"query": …}'),
        ("/v1/search", {}, "query is missing"),
        ("/v1/search", {"query": None}, "query is missing"),
        ("/v1/search", {"query": ""}, "the query is empty"),
        ("/v1/search", {"query": "x" * 10_001}, "expected a text of at most 10,000 characters"),
        ("/v1/search", {"query": "x", "k": 0}, "k is 0: expected a whole number from 1 to 1,000"),
        ("/v1/search", {"query": "x", "k": True}, "k is true: expected a whole number"),
        ("/v1/search", {"query": "x", "k": 10**40}, "expected a whole number"),
        ("/v1/search", {"query": "x", "mode": "magic"}, "expected one of hybrid, dense, lexical"),
        ("/v1/search", {"query": "x", "diverse": float("nan")}, "diverse is NaN: expected a number from 0"),
        (
            "/v1/search",
            {"query": "x", "model": "/etc"},
            "unknown value 'model': expected query, k, literal, mode",
        ),
        ("/v1/search", {"query": "x", "where": "a = "}, "a ="),
        (
            "/v1/search",
            {"query": "x", "where": "autor = ada"},
            "no document has a field autor: did you mean author?",
        ),
        ("/v1/context", {"query": "x", "where": "zzz = 1"}, "no document has a field zzz: there is author"),
        ("/v1/passage", {"path": "/etc/passwd"}, "is not in the index"),
        ("/v1/passage", {"path": "../../etc/passwd", "line": 1}, "is not in the index"),
        ("/v1/passage", {"path": "/etc/passw\0"}, "is not in the index"),
        ("/v1/embeddings", {"input": [1, 2]}, "expected a text or a list of at most 2,048 texts"),
        ("/v1/embeddings", {"input": ["a", " "]}, "text 2 is empty"),
        ("/v1/embeddings", {"input": "a", "model": "gpt"}, "expected 'hashing', the model of the index"),
        ("/v1/embeddings", {"input": "a", "dimensions": 7}, "dimensions is 7: hashing has 64"),
        ("/v1/rerank", {"query": " ", "documents": ["a"]}, "the query is empty"),
        ("/v1/refresh", {"path": "/etc"}, "unknown value 'path': expected none"),
    ],
)
def test_a_wrong_request_is_one_clear_error(app: Any, path: str, body: Any, message: str) -> None:
    answer = ask(app, path, body)
    assert answer.code == 400, answer.body
    assert message in answer.message
    assert "did you mean /etc" not in answer.message
    assert answer.json["error"]["type"] == "invalid_request_error"


def test_addresses_methods_and_types_that_do_not_exist(app: Any) -> None:
    assert ask(app, "/v1/nothing").code == 404
    wrong = ask(app, "/v1/search")
    assert (wrong.code, wrong.message) == (405, "/v1/search takes POST")
    form = ask(app, "/v1/search", b"query=x", headers={"content-type": "application/x-www-form-urlencoded"})
    assert form.code == 400 and "expected application/json" in form.message


def test_a_name_of_bytes_that_are_no_utf_8_is_answered(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"caf\xe9.md")).write_text("The oven is hot.")
    with MiniSearch.open(tmp_path, encoder=HashingEncoder()) as ms:
        ms.index(tmp_path)
        answer = ask(make_app(ms), "/v1/search", {"query": "oven"})
        assert answer.json["results"][0]["path"].endswith("caf\udce9.md")
        unknown = ask(make_app(ms), "/v1/search", b'{"query": "x", "\\ud800": 1}')
    assert (unknown.code, unknown.json["error"]["type"]) == (400, "invalid_request_error")


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (IndexCorrupt("notes.db is damaged: restore it"), 503, "notes.db is damaged: restore it"),
        (RuntimeError("secret detail"), 500, "the server failed: see its log"),
    ],
)
def test_a_damaged_index_is_not_the_clients_fault_and_a_fault_of_the_program_shows_no_detail(
    engine: MiniSearch, monkeypatch: pytest.MonkeyPatch, error: Exception, code: int, message: str
) -> None:
    def failing(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(engine, "query", failing)
    answer = ask(make_app(engine), "/v1/search", {"query": "x"})
    assert (answer.code, answer.message) == (code, message)


@pytest.mark.parametrize("declares", [True, False])
def test_a_body_that_is_too_large_is_refused(app: Any, declares: bool) -> None:
    body = b" " * (MAX_BODY + 1)
    headers = {"content-length": str(len(body)) if declares else "2"}
    answer = ask(app, "/v1/search", body, headers=headers)
    assert (answer.code, answer.message) == (413, "the body is larger than 4 MB")


# --- who may ask -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"host": "localhost"}, 200),
        ({"host": "LOCALHOST:1"}, 200),
        ({"host": "[::1]:8642"}, 200),
        ({"origin": "http://localhost:3000"}, 200),
        ({"sec-fetch-site": "same-origin"}, 200),
        ({"sec-fetch-site": "cross-site"}, 403),  # an image of a web page, which has no Origin
        ({"host": "evil.example"}, 421),
        ({"host": "127.0.0.1.evil.example"}, 421),
        ({"host": "evil.example@127.0.0.1.evil.example"}, 421),
        ({"host": ""}, 421),
        ({"host": "[::1"}, 421),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://localhost.evil.example"}, 403),
    ],
)
def test_only_names_of_this_machine_may_ask(app: Any, headers: dict[str, str], code: int) -> None:
    assert ask(app, "/v1/status", headers=headers).code == code


def test_a_token_is_asked_for_everywhere_but_health(engine: MiniSearch) -> None:
    app = make_app(engine, token="sesame")
    assert ask(app, "/health", headers={"host": "notes.example"}).code == 200
    for sent in ({}, {"authorization": "Bearer wrong"}, {"authorization": "Basic sesame"}):
        refused = ask(app, "/v1/status", headers={"host": "notes.example", **sent})
        assert refused.code == 401
        assert refused.headers["www-authenticate"] == "Bearer"
    empty = {"host": "notes.example", "authorization": "Bearer "}
    assert ask(make_app(engine, token=""), "/v1/status", headers=empty).code == 421, "an empty token is none"
    right = {"host": "notes.example", "authorization": "bearer sesame"}
    assert ask(app, "/v1/status", headers=right).code == 200


# --- any request -------------------------------------------------------------------------------------------

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)
NAMES = st.sampled_from(sorted({name for one in ENDPOINTS.values() for name in one.values} | {"x"}))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    path=st.sampled_from([one.path for one in ENDPOINTS.values()]) | st.text(max_size=20).map("/".__add__),
    body=st.dictionaries(NAMES, VALUES, max_size=5) | VALUES | st.binary(max_size=60),
    method=st.sampled_from(["GET", "POST", "PUT", "HEAD", "OPTIONS"]),
)
def test_no_request_makes_the_server_fail(app: Any, path: str, body: Any, method: str) -> None:
    answer = ask(app, path, body, method=method)
    assert answer.code in {200, 400, 404, 405, 503}, answer.body
    assert b"Traceback" not in answer.body
    if answer.headers["content-type"] == "application/json" and method != "HEAD":
        check_described(answer, path, method)


@given(st.dictionaries(NAMES, VALUES, max_size=5))
def test_what_passes_the_checks_is_as_the_description_says(body: dict[str, Any]) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    for one in ENDPOINTS.values():
        schema = {"type": "object", "properties": dict(one.values), "additionalProperties": False}
        given = {name: value for name, value in body.items() if value is not None}
        is_valid = jsonschema.Draft202012Validator(schema).is_valid(given)
        try:
            passed = checked({**dict.fromkeys(one.required, "text"), **body}, one)
        except ValueError:
            continue
        assert is_valid, (given, passed)


# --- the command -------------------------------------------------------------------------------------------


@contextmanager
def started(*arguments: str | Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "minisearch", "serve", "--offline", *map(str, arguments)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def test_the_command_answers_until_it_is_ended(
    notes: Path, tmp_path: Path, minilm: SentenceTransformer
) -> None:
    with MiniSearch.open(tmp_path, encoder=minilm) as ms:
        ms.index(notes)
    with started("--index", tmp_path / ".minisearch", "--port", "0") as process:
        assert process.stderr
        line = process.stderr.readline()
        found = re.match(r"Serving on (http://127\.0\.0\.1:\d+/) ", line)
        assert found, line
        request = urllib.request.Request(
            f"{found[1]}v1/search", b'{"query": "how hot is the oven"}', {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=120) as answer:
            assert json.load(answer)["results"]
        process.send_signal(signal.SIGTERM)
        rest = process.communicate()[1]
    assert (process.returncode, rest) == (143, "")


def test_an_address_that_others_reach_needs_a_token(tmp_path: Path) -> None:
    with started("--host", "0.0.0.0", "--index", tmp_path) as process:
        assert "give a --token as well" in process.communicate()[1]
    assert process.returncode == 1
