"""An MCP server: the tools with which a language model searches an index.

A `MiniSearch` goes in; an `MCPServer` of the official SDK comes out, for stdio or HTTP.  Each answer is short
text for the model, and the same as structured output for programs.  Nothing is written.  A path must be that
of an indexed document.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Literal

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError, UnexpectedToolError
from mcp.types import CallToolResult, TextContent, ToolAnnotations
from pydantic import Field, ValidationError
from typing_extensions import TypedDict  # pydantic needs this one before Python 3.12

import minisearch
from minisearch.engine import MiniSearch
from minisearch.errors import MinisearchError
from minisearch.filters import WHERE_HELP
from minisearch.rag import Passage
from minisearch.results import OUTDATED, FileState, SearchResult, SearchResults, place_of
from minisearch.server.endpoints import missing, wrong

MAX_QUERY, MAX_RESULTS, MAX_TOKENS = 10_000, 20, 8_000
MAX_EXCERPT = 700  # characters of a result: five of them are some 900 tokens
MAX_SECTION = 12_000  # characters that `get` returns
INSTRUCTIONS = (
    "Search the user's own documents by meaning and by words. Ask in a full sentence or with exact names. "
    "Each result has a place such as notes/a.md:12: cite it, and read on there with get. "
    "If is_confident is false, the documents may not hold the answer: say so."
)
READ_ONLY = ToolAnnotations(read_only_hint=True, open_world_hint=False)


class Found(TypedDict):
    """A result of `search`: its place, how sure it is (0 to 1), the sentences that answer, and more text."""

    place: str
    path: str
    line: int
    end_line: int
    page: int | None
    heading: str
    relevance: float | None
    file_state: FileState | None
    answer: str
    text: str


class Results(TypedDict):
    """The answer of `search`, best first; `searched` is the query if its spelling was corrected."""

    is_confident: bool | None
    searched: str
    results: list[Found]


class Section(TypedDict):
    """A text of one document with its place."""

    place: str
    heading: str
    text: str


class Prompt(TypedDict):
    """The answer of `context`: numbered passages; each citation is a marker, headings and a place."""

    is_confident: bool | None
    searched: str
    text: str
    citations: list[str]
    n_tokens: int


class Status(TypedDict):
    """The answer of `status`."""

    n_documents: int
    n_passages: int
    n_skipped: int
    model: str
    last_run: str


def make_server(engine: MiniSearch, **settings: Any) -> MCPServer:  # noqa: ANN401 - those of MCPServer
    """The MCP server of an index; its tools only read."""
    server = _Server(
        "minisearch",
        instructions=INSTRUCTIONS,
        version=minisearch.__version__,
        log_level="WARNING",
        **settings,
    )

    def tool(function: Callable[..., CallToolResult]) -> None:
        server.tool(annotations=READ_ONLY)(function)

    @tool
    def search(
        query: Annotated[
            str, Field(max_length=MAX_QUERY, description="A question, or words, names and codes to look for.")
        ],
        k: Annotated[int, Field(ge=1, le=MAX_RESULTS, description="How many results.")] = 5,
        where: Annotated[str | None, Field(description=WHERE_HELP)] = None,
        mode: Annotated[
            Literal["hybrid", "dense", "lexical"],
            Field(description="By meaning and words, by meaning (dense), or by words (lexical)."),
        ] = "hybrid",
    ) -> Annotated[CallToolResult, Results]:
        """Search the documents. Returns the best passages, each with its place and relevance."""
        with _errors():
            found = engine.query(query, k, mode=mode, where=where, evidence=True)
        results: Results = {
            "is_confident": found.is_confident,
            "searched": found.query.text if found.typed else "",
            "results": [_found(hit) for hit in found],
        }
        return _answer("\n\n".join(_lines(found, results)), results)

    @tool
    def get(
        place: Annotated[str, Field(description="A path, or a place such as notes/a.md:12, of a result.")],
    ) -> Annotated[CallToolResult, Section]:
        """Read the section around a place, or a whole document, as it was indexed."""
        with _errors():
            passage = _section(engine, place)
        text = passage.text
        if len(text) > MAX_SECTION:
            n_more = len(text) - MAX_SECTION
            text = f"{text[:MAX_SECTION]} … ({n_more:,} characters more: name a line to read there)"
        return _answer(
            f"{passage.citation}\n\n{text}",
            Section(place=passage.place, heading=passage.heading, text=text),
        )

    @tool
    def context(
        query: Annotated[str, Field(max_length=MAX_QUERY, description="The question to answer.")],
        max_tokens: Annotated[
            int, Field(ge=50, le=MAX_TOKENS, description="Size of the whole text.")
        ] = 2_000,
    ) -> Annotated[CallToolResult, Prompt]:
        """Collect the passages that answer a question, as numbered text with citations, within a budget."""
        with _errors():
            found = engine.context(query, max_tokens)
        said = f"Showing passages for: {found.searched}\n\n" if found.searched else ""
        said += "" if found.is_confident is not False else "No clear answer found. The closest passages:\n\n"
        return _answer(
            f"{said}{found}" if found else "No results.",
            Prompt(
                is_confident=found.is_confident,
                searched=found.searched,
                text=str(found),
                citations=list(found.citations),
                n_tokens=found.n_tokens,
            ),
        )

    @tool
    def status() -> Annotated[CallToolResult, Status]:
        """Say what the index holds, and how its last indexing run ended."""
        with _errors():
            known = engine.status()
        run = known.last_run
        about = Status(
            n_documents=known.n_documents,
            n_passages=known.n_chunks,
            n_skipped=len(known.skipped),
            model=known.model,
            last_run=f"{run.outcome}, {run.finished_at or run.started_at}" if run else "never",
        )
        return _answer("\n".join(f"{name}: {value}" for name, value in about.items()), about)

    return server


class _Server(MCPServer):
    """Says in our words what is wrong with a call; the SDK's are those of pydantic, on several lines."""

    async def call_tool(self, name: str, arguments: dict[str, Any], context: Any = None) -> Any:  # noqa: ANN401
        """The answer of a tool, or ToolError with the message for the model."""
        try:
            return await super().call_tool(name, arguments, context)
        except UnexpectedToolError:  # the SDK hides what it says
            raise
        except ToolError as error:
            if not isinstance(error.__cause__, ValidationError):
                raise ToolError(str(error).removeprefix(f"Error executing tool {name}: ")) from error
            first = error.__cause__.errors()[0]
            schemas = {tool.name: tool.input_schema for tool in await self.list_tools()}
            place = str(first["loc"][0])
            schema = schemas[name]["properties"][place]
            is_missing = first["type"] == "missing"
            said = missing(place, schema) if is_missing else wrong(place, arguments[place], schema)
            raise ToolError(said) from error


def _answer(text: str, structured: Any) -> CallToolResult:  # noqa: ANN401 - one of the classes above
    return CallToolResult(content=[TextContent(type="text", text=text)], structured_content=dict(structured))


@contextmanager
def _errors() -> Iterator[None]:
    """Turn our errors into errors of the tool; the SDK hides the text of any other."""
    try:
        yield
    except MinisearchError as error:
        raise ToolError(str(error)) from error


def _section(engine: MiniSearch, place: str) -> Passage:
    path, line, page = place_of(place, engine.searcher.has)
    engine.searcher.must_have(path)  # no other path is looked at
    return engine.get(path, line, page=page)


def _found(hit: SearchResult) -> Found:
    answer = hit.evidence.text if hit.evidence else ""
    line, _, page = hit.at
    return {
        "place": hit.place,
        "path": hit.path,
        "line": line,
        "end_line": hit.end_line,
        "page": page,
        "heading": hit.full_heading,
        "relevance": None if hit.relevance is None else round(hit.relevance, 3),
        "file_state": hit.file_state,
        "answer": " ".join(answer.split()),
        "text": _excerpt(hit),
    }


def _excerpt(hit: SearchResult) -> str:
    """At most so many characters of the passage, around its evidence."""
    if len(hit.text) <= MAX_EXCERPT:
        return hit.text.strip()
    around = (hit.evidence.start + hit.evidence.end) // 2 if hit.evidence else 0
    start = min(max(0, around - MAX_EXCERPT // 2), len(hit.text) - MAX_EXCERPT)
    end = start + MAX_EXCERPT
    text = hit.text[start:end].strip()
    return f"{'… ' if start else ''}{text}{' …' if end < len(hit.text) else ''}"


def _lines(found: SearchResults, results: Results) -> Iterator[str]:
    """The results as text, with what the reader has to know first."""
    if results["searched"]:
        yield f"Showing results for: {results['searched']}"
    if not found:
        yield "No results."
    elif found.is_confident is False:
        yield "No clear answer found. The closest passages:"
    for number, one in enumerate(results["results"], start=1):
        sure = "" if one["relevance"] is None else f" {one['relevance']:.0%}"
        state = f" ({OUTDATED[one['file_state']]})" if one["file_state"] in OUTDATED else ""
        heading = f" — {one['heading']}" * bool(one["heading"])
        yield f"[{number}]{sure} {one['place']}{state}{heading}\n{one['text']}"
