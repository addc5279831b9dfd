"""The MCP server, asked by the SDK's own client: in one process, over the standard streams, over HTTP."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

pytest.importorskip("mcp")
from mcp import Client, StdioServerParameters
from mcp.types import CallToolResult

from minisearch import MiniSearch
from minisearch.minilm import SentenceTransformer
from minisearch.server.mcp import MAX_EXCERPT, make_server
from tests.fakes import HashingEncoder
from tests.parsers import made_files as made

NOTES = {
    "bread.md": "# Sourdough\n\n## Baking\n\nBake the loaf at 240 degrees for forty minutes.\n",
    "router.md": "# Router\n\n## Reset\n\nHold the button for ten seconds. The lamp turns red.\n",
    "long.md": "---\nlamp: red\n---\n\n# Long\n\n" + "Every sentence of this note is about compost. " * 60,
}


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    for name, text in NOTES.items():
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.fixture
def engine(notes: Path) -> Any:
    with MiniSearch.open(notes, encoder=HashingEncoder()) as ms:
        ms.index(notes)
        yield ms


def asked(server: Any, tool: str, **arguments: Any) -> CallToolResult:
    """What a client gets from one call of a tool."""

    async def call(client: Client) -> CallToolResult:
        return await client.call_tool(tool, arguments)

    found: CallToolResult = with_client(server, call)
    return found


def with_client(server: Any, use: Callable[[Client], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        async with Client(server) as client:
            return await use(client)

    return anyio.run(run)


def text_of(answer: CallToolResult) -> str:
    (block,) = answer.content
    assert block.type == "text"
    return block.text


def test_a_client_sees_four_tools_that_only_read(engine: MiniSearch) -> None:
    tools = with_client(make_server(engine), lambda client: client.list_tools()).tools
    assert [tool.name for tool in tools] == ["search", "get", "context", "status"]
    for tool in tools:
        assert tool.description and tool.output_schema
        assert tool.annotations and tool.annotations.read_only_hint
    search = tools[0].input_schema
    assert search["required"] == ["query"]
    assert all(given.get("description") for given in search["properties"].values())
    assert "docs/filters.md" in search["properties"]["where"]["description"]


def test_search_gives_places_and_sentences_as_the_engine_does(engine: MiniSearch, notes: Path) -> None:
    answer = asked(make_server(engine), "search", query="how long to bake the loaf", k=2)
    expected = engine.query("how long to bake the loaf", 2, evidence=True)
    structured = answer.structured_content
    assert structured is not None
    assert [one["path"] for one in structured["results"]] == [hit.path for hit in expected]
    first = structured["results"][0]
    assert first["place"] == f"{notes}/bread.md:5"
    assert first["heading"] == "Sourdough > Baking"
    assert first["answer"] == "Bake the loaf at 240 degrees for forty minutes."
    assert f"[1] {first['relevance']:.0%} {first['place']} — Sourdough > Baking\n" in text_of(answer)
    assert "forty minutes" in text_of(answer)


def test_an_unclear_answer_and_a_filter_without_matches_are_said(engine: MiniSearch) -> None:
    server = make_server(engine)
    unclear = asked(server, "search", query="capital of Mongolia")
    assert unclear.structured_content is not None and unclear.structured_content["is_confident"] is False
    assert text_of(unclear).startswith("No clear answer found. The closest passages:\n\n[1] ")
    assert text_of(asked(server, "search", query="bread", where="lamp = 'green'")) == "No results."


def test_a_long_passage_is_shortened_around_its_sentence(engine: MiniSearch) -> None:
    answer = asked(make_server(engine), "search", query="compost", k=1)
    assert answer.structured_content is not None
    (one,) = answer.structured_content["results"]
    assert 50 < len(one["text"]) <= MAX_EXCERPT + 4
    assert one["answer"] in one["text"]


def test_get_reads_the_place_of_a_result_in_a_file_without_lines(engine: MiniSearch, notes: Path) -> None:
    (notes / "slides.pptx").write_bytes(
        made.pptx([("Bees", "A hive.", ""), ("Wasps", "A nest of paper.", "")])
    )
    (notes / "rules.docx").write_bytes(made.docx("Pool rules", "No glass.", "No dogs on the lawn."))
    engine.index(notes)
    server = make_server(engine)
    for query, words in (
        ("nest of paper wasps", "A nest of paper."),
        ("dogs on the lawn", "No dogs on the lawn."),
    ):
        answer = asked(server, "search", query=query).structured_content
        assert answer is not None
        place = next(one["place"] for one in answer["results"] if words in one["text"])
        section = asked(server, "get", place=place).structured_content
        assert section is not None and words in section["text"] and "hive" not in section["text"]


@pytest.mark.parametrize("id_", ["faq:7", "inv.pdf:12", "a p. 3", "x:1:2"])
def test_get_reads_a_document_whose_id_ends_like_a_place(engine: MiniSearch, id_: str) -> None:
    others = [{"id": id_.partition(":")[0], "text": "A zebra."}] if ":" in id_ else []
    engine.add([{"id": id_, "text": "A giraffe by the sea."}, *others])
    server = make_server(engine)
    answer = asked(server, "search", query="giraffe", k=1).structured_content
    assert answer is not None
    (found,) = answer["results"]
    for place in (found["place"], found["path"]):
        section = asked(server, "get", place=place).structured_content
        assert section is not None and section["text"] == "A giraffe by the sea."


def test_get_looks_at_no_path_but_that_of_an_indexed_document(
    engine: MiniSearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at: list[str] = []
    call = os.lstat
    monkeypatch.setattr(
        os, "lstat", lambda path, **named: (looked_at.append(str(path)), call(path, **named))[1]
    )
    assert asked(make_server(engine), "get", place="/net/host/a.md:3").is_error
    assert not [path for path in looked_at if path.startswith("/net")]


def test_get_reads_the_section_at_a_place_of_a_result(engine: MiniSearch, notes: Path) -> None:
    server = make_server(engine)
    section = asked(server, "get", place=f"{notes}/router.md:5")
    assert section.structured_content is not None
    assert "Hold the button for ten seconds." in section.structured_content["text"]
    assert text_of(section).startswith(f"Router > Reset — {notes}/router.md:")
    whole = asked(server, "get", place=f"{notes}/long.md")
    assert whole.structured_content is not None
    assert whole.structured_content["text"].count("compost") == 60


def test_context_is_that_of_the_engine(engine: MiniSearch) -> None:
    answer = asked(make_server(engine), "context", query="reset the router", max_tokens=60)
    expected = engine.context("reset the router", 60)
    assert answer.structured_content is not None
    assert answer.structured_content["text"] == str(expected)
    assert answer.structured_content["citations"] == list(expected.citations)
    assert answer.structured_content["n_tokens"] <= 60


def test_status_counts_documents(engine: MiniSearch) -> None:
    answer = asked(make_server(engine), "status")
    assert answer.structured_content is not None
    assert answer.structured_content["n_documents"] == 3
    assert answer.structured_content["last_run"].startswith("complete, ")


@pytest.mark.parametrize(
    ("tool", "arguments", "message"),
    [
        ("search", {"query": "  "}, "the query is empty"),
        ("search", {"query": "x", "where": "colour = "}, "colour ="),
        ("search", {"query": "x", "where": "lamb = red"}, "no document has a field lamb: did you mean lamp?"),
        ("search", {"query": "x", "k": 0}, "k is 0: expected a whole number from 1 to 20"),
        ("search", {"query": "x", "k": "many"}, 'k is "many": expected a whole number from 1 to 20'),
        ("search", {"query": ["x"]}, 'query is ["x"]: expected a text of at most 10,000 characters'),
        ("search", {"query": "x" * 10_001}, "expected a text of at most 10,000 characters"),
        ("search", {"query": "x", "where": 3}, "where is 3: expected a text or nothing"),
        ("search", {"query": "x", "mode": "magic"}, "expected one of hybrid, dense, lexical"),
        ("search", {}, "query is missing: expected a text of at most 10,000 characters"),
        ("get", {"path": "bread.md"}, "place is missing: expected a text"),
        ("get", {"place": "/etc/passwd"}, "is not in the index"),
        ("get", {"place": "/etc/passwd:1"}, "is not in the index"),
        ("get", {"place": "bread.md:999999"}, "bread.md"),
        (
            "context",
            {"query": "x", "max_tokens": 10**9},
            "max_tokens is 1000000000: expected a whole number from",
        ),
    ],
)
def test_a_wrong_call_is_an_error_with_its_reason(
    engine: MiniSearch, notes: Path, monkeypatch: pytest.MonkeyPatch, tool: str, arguments: Any, message: str
) -> None:
    monkeypatch.chdir(notes)
    answer = asked(make_server(engine), tool, **arguments)
    assert answer.is_error
    assert message in text_of(answer)
    assert not text_of(answer).startswith("Error executing")
    assert "Traceback" not in text_of(answer) and "pydantic" not in text_of(answer)
    assert "\n" not in text_of(answer) or "where" in arguments, "a wrong filter shows the place below"


def test_a_fault_of_the_program_shows_no_detail(
    engine: MiniSearch, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def failing(*_: object, **__: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(engine, "query", failing)
    answer = asked(make_server(engine), "search", query="x")
    assert (answer.is_error, "secret" in text_of(answer)) == (True, False)


# --- the command -------------------------------------------------------------------------------------------


@pytest.fixture
def index(notes: Path, minilm: SentenceTransformer) -> Path:
    with MiniSearch.open(notes, encoder=minilm) as ms:
        ms.index(notes)
    return notes / ".minisearch"


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "minisearch", "mcp", *map(str, arguments)]


def test_the_command_serves_over_its_standard_streams(index: Path, notes: Path) -> None:
    program, *arguments = command("--index", index, "--offline")
    server = StdioServerParameters(command=program, args=arguments, env=dict(os.environ), cwd="/")
    answer = asked(server, "search", query="how hot is the oven for the loaf", k=1)
    assert answer.structured_content is not None
    assert answer.structured_content["results"][0]["path"] == f"{notes}/bread.md"


@contextmanager
def served(index: Path) -> Any:
    """A server over HTTP on a free port: its address."""
    with subprocess.Popen(
        command("--index", index, "--offline", "--port", "0"), stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr
        line = process.stderr.readline()
        assert line.startswith("Serving on http://127.0.0.1:"), line
        try:
            yield line.split()[2]
        finally:
            process.send_signal(signal.SIGINT)
            try:
                rest = process.communicate(timeout=120)[1]
            finally:
                process.kill()
    assert (process.returncode, "Traceback" in rest) == (130, False), rest


def test_the_command_serves_over_http_on_this_machine_only(index: Path, notes: Path) -> None:
    with served(index) as address:
        answer = asked(address, "get", place=f"{notes}/router.md:5")
        assert "ten seconds" in text_of(answer)
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}).encode()
        kinds = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
        for headers in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}):
            request = urllib.request.Request(address, body, kinds | headers)
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(request, timeout=60)
            refused.value.close()
            assert refused.value.code in {403, 421}


def test_a_port_in_use_and_a_missing_index_are_one_line(index: Path, tmp_path: Path) -> None:
    with served(index) as address:
        port = address.rsplit(":", 1)[1].split("/")[0]
        taken = subprocess.run(
            command("--index", index, "--port", port), capture_output=True, text=True, check=False
        )
    assert taken.returncode == 1
    assert taken.stderr == f"Error: cannot serve on 127.0.0.1 port {port}: Address already in use\n"
    nowhere = subprocess.run(
        command("--index", tmp_path / "none"), capture_output=True, text=True, check=False
    )
    assert nowhere.returncode == 1
    assert "there is no index in" in nowhere.stderr and "Traceback" not in nowhere.stderr
