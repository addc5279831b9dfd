"""``minisearch query`` and ``similarity``: what options mean to the engine, and what comes of its answers.

The engine is a stand-in that notes what it was asked; `test_cli` asks the real one.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import typing
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

import minisearch
from minisearch import engine as engine_module
from minisearch import types
from minisearch.cli import cli, query_options
from minisearch.cli.query import query
from minisearch.cli.query_options import parse_date, parse_duration
from minisearch.errors import InputError, short
from minisearch.filters import And, Before, Extension, Field, Filter, Language, Or, Since
from minisearch.filters import Path as PathFilter
from minisearch.rag import Context, Passage
from minisearch.results import Evidence, Place, Query, SearchOptions, SearchResult, SearchResults, Trace
from minisearch.search import rerank
from minisearch.types import IndexStatus, RunRecord
from tests.cli.usage import usage_error
from tests.fakes import HashingEncoder

TEXT = "Run a task again. Then wait."
HIT = SearchResult(
    1,
    0.5,
    "docs/tasks.md",
    1,
    5,
    "Tasks",
    TEXT,
    7,
    9,
    evidence=Evidence("Then wait.", 18, 28, 3, 19, 3, 29, 0.25),
    trace=Trace(1, 0.5),
    merged=(Place("docs/copy.md", 2, 6, 10),),
)
STATUS = IndexStatus("i", 20, 60, "all-MiniLM-L6-v2", "flat", True, 1, 100, None, (), ())


class Engine:
    """It answers every question with HIT, or with nothing; a question with an ! in it is refused."""

    asked: typing.ClassVar[list[tuple[object, ...]]]
    opened: typing.ClassVar[dict[str, object]]
    answer: typing.ClassVar[SearchResults]
    stands: typing.ClassVar[IndexStatus]
    fields: typing.ClassVar[list[str]]
    has_weights: typing.ClassVar[bool] = True

    def __init__(self, folder: Path, **options: object) -> None:
        Engine.opened = {"folder": folder, **options}

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    @property
    def searcher(self) -> Engine:
        return self

    def query(self, text: str | Query, options: SearchOptions) -> SearchResults:
        Engine.asked.append((text, options))
        if isinstance(text, str) and "!" in text:
            raise InputError("the query only says what to leave out (x): add what you are looking for")
        return Engine.answer

    def has(self, path: str) -> bool:
        return False

    def has_reranker(self) -> bool:
        return Engine.has_weights

    def similar(self, path: str, line: int | None, options: SearchOptions) -> SearchResults:
        Engine.asked.append((path, line, options))
        return Engine.answer

    def similarity(self, *texts: str) -> types.FloatArray:
        """The share of the letters of either that both have."""
        return np.array(
            [[len(set(a) & set(b)) / len(set(a) | set(b)) for b in texts] for a in texts], np.float32
        )

    def status(self) -> IndexStatus:
        return Engine.stands

    def field_names(self) -> list[str]:
        return Engine.fields

    def languages(self) -> list[str]:
        return ["markdown", "python"]


@pytest.fixture(autouse=True)
def engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> type[Engine]:
    """The stand-in in the engine's place, and an empty current folder."""
    monkeypatch.setattr(minisearch, "MiniSearch", Engine)
    monkeypatch.setenv("MINISEARCH_INDEX", "idx")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.chdir(tmp_path)
    Engine.asked = []
    Engine.answer = SearchResults((HIT,), Query("q"), is_confident=True)
    Engine.stands = STATUS
    Engine.fields = ["author", "draft", "x"]
    return Engine


def run(*arguments: str, code: int = 0, given: str | bytes | None = None) -> Result:
    result = CliRunner().invoke(cli, arguments, prog_name="minisearch", input=given)
    assert result.exit_code == code, result.output
    return result


def error_of(*arguments: str, code: int | None = None) -> str:
    result = run(*arguments, code=code or (2 if arguments[0] == "query" else 1))
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1, result.stderr
    assert result.stderr.startswith("Error: ")
    return result.stderr.removeprefix("Error: ").strip()


def search_options_of(*options: str) -> SearchOptions:
    """The search options that the engine gets for these options of the command line."""
    run("query", "q", *options)
    ((text, search),) = Engine.asked
    assert text == "q"
    Engine.asked.clear()
    assert isinstance(search, SearchOptions)
    return search


PLAIN = SearchOptions(evidence=True)

# --- options ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "changed"),
    [
        ([], {}),
        (["-k", "3"], {"k": 3}),
        (["-n", "3"], {"k": 3}),
        (["--limit", "3"], {"k": 3}),
        (["-l"], {"by": "document", "evidence": False}),
        (["--json"], {}),
        (["--mode", "lexical"], {"mode": "lexical"}),
        (["--by", "document"], {"by": "document"}),
        (["--rerank"], {"rerank": "auto"}),
        (["--rerank", "bi"], {"rerank": "bi"}),
        (["--rerank=cross"], {"rerank": "cross"}),
        (["--rerank", "--full"], {"rerank": "auto"}),
        (["--rerank-depth", "7"], {"rerank": "auto", "rerank_depth": 7}),
        (["--rerank-budget", "300ms"], {"rerank": "auto", "rerank_budget_s": 0.3}),
        (["--rerank", "bi", "--rerank-budget", "1.5 s"], {"rerank": "bi", "rerank_budget_s": 1.5}),
        (["--rerank-model", "ms-marco-MiniLM-L6-v2"], {"rerank": "auto"}),
        (["--diverse"], {"diverse": query_options.DIVERSE}),
        (["--no-evidence"], {"evidence": False}),
    ],
    ids=str,
)
def test_options_become_the_search_options_of_the_engine(options: list[str], changed: dict[str, Any]) -> None:
    assert search_options_of(*options) == replace(PLAIN, **changed)


def test_without_a_reranker_the_results_come_as_they_are_with_one_line(monkeypatch) -> None:
    monkeypatch.setattr(Engine, "has_weights", False)
    result = run("query", "q", "--rerank", "--rerank-budget", "1s")
    (_, options), *_ = Engine.asked
    assert (options.rerank, options.rerank_budget_s) == (None, None)
    assert result.stderr == (
        "Not reranked: the model is not on this machine; "
        "minisearch models download ms-marco-MiniLM-L12-v2 gets it\n"
    )
    run("query", "q", "--rerank-model", "ms-marco-MiniLM-L6-v2")
    assert Engine.asked[-1][1].rerank == "auto", "a model that is named is looked for"


def test_the_rerankers_model_is_the_engines_to_open() -> None:
    run("query", "q", "--rerank-model", "cross-encoder/ms-marco-MiniLM-L6-v2", "--offline")
    assert Engine.opened == {
        "folder": Path("idx"),
        "offline": True,
        "rerank_model": "cross-encoder/ms-marco-MiniLM-L6-v2",
    }
    run("query", "q")
    assert Engine.opened == {"folder": Path("idx"), "offline": False, "rerank_model": None}


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--rerank", "how", "to", "cross"], "how to cross"),
        (["how", "--rerank", "to"], "how to"),
        (["how", "to", "--rerank"], "how to"),
        (["how", "--", "--rerank", "x"], "how --rerank x"),
        (["how", "--rerank", "auto"], "how"),
    ],
)
def test_a_text_behind_a_bare_rerank_stays_text(arguments: list[str], text: str) -> None:
    run("query", *arguments)
    assert Engine.asked[0][0] == text


FILTERS: list[tuple[list[str], Filter]] = [
    (["--path", "guides/**"], PathFilter("guides/**")),
    (["--path", "a", "--path", "b"], Or((PathFilter("a"), PathFilter("b")))),
    (["--ext", ".md"], Extension(".md")),
    (["--ext", "md", "--ext", "rst"], Or((Extension("md"), Extension("rst")))),
    (["--ext", "md, .rst"], Or((Extension("md"), Extension(".rst")))),
    (["--ext", "*.md"], Extension(".md")),
    (["--lang", "python"], Language("python")),
    (["--since", "2024-01-31"], Since(datetime(2024, 1, 31))),
    (["--before", "2024-01-31T18:30"], Before(datetime(2024, 1, 31, 18, 30))),
    (["--where", 'author = "x"'], Field("author", "=", "x")),
    (
        ["--before", "2024", "--where", "n > 1", "--lang", "go", "--ext", "go", "--path", "a", "--path", "b"],
        And(
            (
                Or((PathFilter("a"), PathFilter("b"))),
                Extension("go"),
                Language("go"),
                Before(datetime(2024, 1, 1)),
                Field("n", ">", 1.0),
            )
        ),
    ),
]


@pytest.mark.parametrize(("options", "expected"), FILTERS, ids=str)
def test_conditions_of_one_kind_are_alternatives_and_all_kinds_must_hold(
    options: list[str], expected: Filter
) -> None:
    assert search_options_of(*options).where == expected


def test_the_choices_are_those_of_the_engine() -> None:
    assert (*rerank.KINDS, "auto") == query_options.RERANKERS


def test_a_literal_query_has_no_operators() -> None:
    run("query", "--literal", 'a "b c" -d')
    assert Engine.asked[0][0] == Query('a "b c" -d')
    run("query", 'a "b c" -d')
    assert Engine.asked[1][0] == 'a "b c" -d', "the engine takes it apart"


def test_the_help_says_which_line_is_in_line_and_in_place() -> None:
    said = " ".join(run("query", "--help").output.split())
    assert (
        "In JSON and CSV, line is where the passage begins, and place where the sentences that match" in said
    )


def test_more_like_a_file_or_like_a_passage_of_it(tmp_path: Path) -> None:
    (tmp_path / "odd:12").touch()
    for given, expected in {
        "docs/a.md": ("docs/a.md", None),
        "docs/a.md:12": ("docs/a.md", 12),
        "odd:12": ("odd:12", None),
        "odd:12:3": ("odd:12", 3),
        "docs/a.md:12:7": ("docs/a.md", 12),
        "odd:12:3:7": ("odd:12", 3),
        "C:x": ("C:x", None),
        ":3": (":3", None),
        "a:٣": ("a:٣", None),
    }.items():
        run("query", "--like", given, "-k", "2", "--ext", "md")
        path, line, search = Engine.asked.pop()
        assert (path, line) == expected
        assert search == replace(PLAIN, k=2, where=Extension("md"), mode="dense")


# --- dates ---------------------------------------------------------------------------------------

NOW = datetime(2024, 3, 15, 18, 30, 20, 5)


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("2024-01-31", datetime(2024, 1, 31)),
        ("2024-02", datetime(2024, 2, 1)),
        ("2023", datetime(2023, 1, 1)),
        ("2024-01-31 18:30", datetime(2024, 1, 31, 18, 30)),
        ("2024-01-31T18:30:05+02:00", datetime(2024, 1, 31, 18, 30, 5, tzinfo=timezone(timedelta(hours=2)))),
        ("2024-01-31T18:30:00Z", datetime(2024, 1, 31, 18, 30, tzinfo=timezone.utc)),
        ("today", datetime(2024, 3, 15)),
        (" Yesterday ", datetime(2024, 3, 14)),
        ("7d", datetime(2024, 3, 8, 18, 30, 20, 5)),
        ("2 weeks", datetime(2024, 3, 1, 18, 30, 20, 5)),
        ("1 week ago", datetime(2024, 3, 8, 18, 30, 20, 5)),
        ("36h", datetime(2024, 3, 14, 6, 30, 20, 5)),
        ("90 minutes", datetime(2024, 3, 15, 17, 0, 20, 5)),
        ("1 month", datetime(2024, 2, 14, 18, 30, 20, 5)),
        ("1y", datetime(2023, 3, 16, 18, 30, 20, 5)),
    ],
)
def test_dates(text: str, date: datetime) -> None:
    assert parse_date(text, now=NOW) == date


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "soon",
        "7",
        "7m",
        "-7d",
        "1.5 d",
        "2024-13-01",
        "2024-02-30",
        "31.1.2024",
        "9" * 30 + "d",
        "³d",
        "d",
    ],
)
def test_an_invalid_date_is_refused_with_examples(text: str) -> None:
    with pytest.raises(InputError, match=r"can't read the date '.*': expected one like 2024-01-31"):
        parse_date(text, now=NOW)


# --- mistakes --------------------------------------------------------------------------------------


FILE_OPTIONS = ["path", "ext", "lang", "since", "before", "where"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the query is empty: say what you are looking for"),
        ([""], "the query is empty: say what you are looking for"),
        (
            ["q", "--mode", "hybird"],
            "unknown mode 'hybird': expected hybrid, dense or lexical; did you mean hybrid?",
        ),
        (
            ["q", "--mode", "DENSE"],
            "unknown mode 'DENSE': expected hybrid, dense or lexical; did you mean dense?",
        ),
        (["q", "--mode", "zzz"], "unknown mode 'zzz': expected hybrid, dense or lexical"),
        (
            ["q", "--by", "docs"],
            "unknown --by 'docs': expected passage, document or chunk; did you mean document?",
        ),
        (
            ["q", "--rerank=corss"],
            "unknown reranker 'corss': expected cross, bi or auto; did you mean cross?",
        ),
        (["q", "--rerank-budget", "soon"], "'soon' is no duration: "),
        (
            ["q", "--rerank-budget", "1s", "--rerank-depth", "3"],
            "--rerank-budget and --rerank-depth exclude each other: give one of them",
        ),
        (["q", "--since", "soon"], "can't read the date 'soon': expected one like 2024-01-31"),
        (["q", "--like", "a.md"], "TEXT, --batch and --like exclude each other: give one of them"),
        (["--batch", "f", "--like", "a.md"], "TEXT, --batch and --like exclude each other"),
        (
            ["--like", "a.md", "--literal"],
            "--literal is about the operators in a query, and --like has none",
        ),
        (
            ["--like", "a.md", "--rerank"],
            "--like compares by meaning alone: it does not go with --mode and --rerank",
        ),
        (["--like", "a.md", "--mode", "lexical"], "--like compares by meaning alone"),
        *(
            (["q", f"--{name}", ""], f"--{name} is empty: leave it out for all files")
            for name in FILE_OPTIONS
        ),
        (["q", "-l", "--json"], "files and json are different formats: ask for one of them"),
        (["--like", "a.md", "--format", "context"], "--format context needs a TEXT"),
        (["q", "--max-tokens", "9"], "--max-tokens is the size of a context: it needs --format context"),
        (
            ["q", "--format", "contex"],
            "expected text, jsonl, json, csv, md, files or context; did you mean context?",
        ),
        (["--like", ""], "--like is empty: expected a file that was indexed, or FILE:LINE"),
        (["q", "-k", "0"], "Invalid value for '-k' / '-n' / '--limit': 0 is not in the range x>=1."),
        (["q", "--rerank-depth", "-3"], "Invalid value for '--rerank-depth': -3 is not in the range x>=1."),
        (["q", "--rerank-model", "nope"], "Invalid value for '--rerank-model': unknown model 'nope'"),
        (["q", "--path", "!a"], "the path pattern '!a' begins with '!'"),
        (["q", "--path", "/"], "the path pattern '/' names nothing"),
        (["q", "--ext", "."], "'.' is no extension of a file name"),
        (["q", *["--ext", "md"] * 400], "a filter of more than 300 conditions"),
        (["q", "--since", "9" * 5_000 + "d"], "can't read the date '" + "9" * 57 + "...': "),
        (["q", "--mode", "a\x1b[31m"], r"unknown mode 'a\x1b[31m'"),
    ],
    ids=lambda given: str(given)[:80],
)
def test_a_wrong_option_is_answered_with_the_usage(arguments: list[str], message: str) -> None:
    assert message in usage_error(run("query", *arguments, code=2))
    assert Engine.asked == []


@pytest.mark.parametrize("option", [["-k", "0"], ["--mode", "fuzzy"], ["--path", "!a"], ["--since", "soon"]])
def test_why_not_answers_a_wrong_option_so_too(option: list[str]) -> None:
    assert option[1].strip("!") in usage_error(run("why-not", "a.md", "q", *option, code=2))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--like", "x/a.md:" + "9" * 300], "has no line 9999999999...: expected one in the file"),
        (["--batch", "nowhere.txt"], "cannot read queries from nowhere.txt: No such file or directory"),
        (["--batch", "."], "cannot read queries from .: Is a directory"),
    ],
    ids=str,
)
def test_what_is_wrong_with_a_file_gets_one_line(arguments: list[str], message: str) -> None:
    assert message in error_of("query", *arguments)
    assert Engine.asked == []


def test_an_excluded_word_outside_of_the_quotes_is_explained() -> None:
    stderr = run("query", "bread", "-rye", code=2).stderr
    assert "No such option '-r'" in stderr
    assert 'quote it with the query: minisearch query "bread -rye"' in stderr
    assert "quote it" not in run("query", "bread", "--rye", code=2).stderr


# --- a batch ---------------------------------------------------------------------------------------


def test_a_batch_is_answered_in_order_each_under_its_query(tmp_path: Path) -> None:
    (tmp_path / "q.txt").write_bytes("\ufefffirst one\r\n\r\n  \nsecond \x1b[31m one\n".encode())
    lines = run("query", "--batch", "q.txt").stdout.splitlines()
    page = [" 1  0.500  docs/tasks.md:3:19", "    Tasks", f">   {TEXT}", "    also: docs/copy.md:2"]
    assert lines == ["== first one", "", *page, "", r"== second \x1b[31m one", "", *page, ""]
    assert [text for text, _ in Engine.asked] == ["first one", "second \x1b[31m one"]


def test_queries_come_from_standard_input_too_and_each_line_of_json_names_its_own() -> None:
    rows = [
        json.loads(line)
        for line in run("query", "--batch", "-", "--json", given="a\nb\n").stdout.splitlines()
    ]
    assert [(row["query"], row["rank"]) for row in rows] == [("a", 1), ("b", 1)]


def test_undecodable_bytes_spoil_no_other_query() -> None:
    run("query", "--batch", "-", given=b"caf\xe9\nok\n")
    assert [text for text, _ in Engine.asked] == ["caf\ufffd", "ok"]


def test_a_batch_without_queries_says_so() -> None:
    assert (
        "no queries in -: expected one per line" in run("query", "--batch", "-", given="\n \n", code=2).stderr
    )


def test_a_query_that_is_refused_is_named_by_its_line_and_the_others_are_answered(tmp_path: Path) -> None:
    (tmp_path / "q.txt").write_text("a\n\n-x!\nb\n-\x1b[31m!\n")
    result = run("query", "--batch", "q.txt", code=2)
    heads = [line for line in result.stdout.splitlines() if line.startswith(("==", " 1"))]
    hit = " 1  0.500  docs/tasks.md:3:19"
    assert heads == ["== a", hit, "== -x!", "== b", hit, r"== -\x1b[31m!"]
    first, second = result.stderr.splitlines()
    assert first.startswith("Error: q.txt, line 3: the query only says what to leave out")
    assert second.startswith("Error: q.txt, line 5: ")


def test_every_query_of_a_batch_has_a_line_of_json(engine: type[Engine], tmp_path: Path) -> None:
    engine.answer = SearchResults((), Query("a", (), ("rye",)))
    (tmp_path / "q.txt").write_text("a\n-x!\nb\n")
    result = run("query", "--batch", "q.txt", "--json", code=2)
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert [(row["query"], row["rank"]) for row in rows] == [("a", None), ("-x!", None), ("b", None)]
    assert rows[0] == rows[2] | {"query": "a"}
    assert rows[0]["no_results"] == (
        'nothing in the index matches not "rye"; --literal treats quotes and - in the query as text'
    )
    assert (rows[0]["required"], rows[0]["excluded"], rows[0]["is_confident"]) == ([], ["rye"], None)
    assert rows[1]["error"].startswith("q.txt, line 2: the query only says what to leave out")
    assert "no_results" not in rows[1]
    assert len(result.stderr.splitlines()) == 3


def test_a_single_query_without_results_prints_no_json(engine: type[Engine]) -> None:
    engine.answer = SearchResults((), Query("a"))
    assert run("query", "a", "--json", code=1).stdout == ""
    assert run("query", "a!", "--json", code=2).stdout == ""


def test_invalid_options_end_a_batch_before_its_first_line() -> None:
    refused = run("query", "--batch", "-", "--path", "!a", given="a\nb\nc\n", code=2)
    assert usage_error(refused).startswith("the path pattern '!a' begins with '!'")
    assert Engine.asked == []


def test_a_query_of_a_batch_without_results_is_named(engine: type[Engine]) -> None:
    engine.answer = SearchResults((), Query("a"))
    result = run("query", "--batch", "-", given="a\nb\n", code=1)
    assert result.stdout.split() == ["==", "a", "==", "b"]
    assert [line.split(":")[0] for line in result.stderr.splitlines()] == [
        "No results for 'a'",
        "No results for 'b'",
    ]


def test_the_results_of_a_batch_are_printed_one_by_one(tmp_path: Path) -> None:
    """Standard input stays open: the first answer must not wait for the second question."""
    program = (
        f"import sys; sys.path[:0] = {[str(Path(__file__).parents[2]), *sys.path]!r}\n"
        "from tests.cli import test_query as t; import minisearch; minisearch.MiniSearch = t.Engine\n"
        "t.Engine.asked, t.Engine.answer = [], t.SearchResults((t.HIT,))\n"
        "from minisearch.__main__ import main; main()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, "query", "--batch", "-", "--json", "--index", "x"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdin and process.stdout and process.stderr
    process.stdin.write("first\n")
    process.stdin.flush()
    assert json.loads(process.stdout.readline())["query"] == "first"
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=20)
    assert (process.returncode, stderr) == (130, "Interrupted\n")


# --- JSON ------------------------------------------------------------------------------------------


def test_a_line_of_json_has_the_result_its_spans_and_whether_the_page_is_confident() -> None:
    (line,) = run("query", "q", "--json").stdout.splitlines()
    assert json.loads(line) == {
        "rank": 1,
        "score": 0.5,
        "path": "docs/tasks.md",
        "line": 1,
        "end_line": 5,
        "heading": "Tasks",
        "text": TEXT,
        "doc_id": 7,
        "chunk_id": 9,
        "title": "",
        "page": None,
        "relevance": None,
        "evidence": {
            "text": "Then wait.",
            "start": 18,
            "end": 28,
            "line": 3,
            "column": 19,
            "end_line": 3,
            "end_column": 29,
            "score": 0.25,
            "page": None,
        },
        "trace": {
            "dense_rank": 1,
            "cosine": 0.5,
            "lexical_rank": None,
            "bm25": None,
            "fused": None,
            "rank_before_rerank": None,
            "rerank": None,
            "words": None,
            "exact": None,
        },
        "merged": [{"path": "docs/copy.md", "line": 2, "end_line": 6, "chunk_id": 10, "page": None}],
        "file_state": None,
        "place": "docs/tasks.md:3",
        "is_confident": True,
        "required": [],
        "excluded": [],
    }


@pytest.mark.parametrize(
    "options", [[], ["--why"], ["--mode", "dense"], ["--full"], ["--no-evidence"]], ids=str
)
def test_every_line_of_json_has_the_required_and_excluded_phrases(
    engine: type[Engine], options: list[str]
) -> None:
    engine.answer = SearchResults((HIT,), Query("bread", ("sour dough",), ("rye", "spelt")))
    row = json.loads(run("query", "q", "--json", *options).stdout)
    assert (row["required"], row["excluded"]) == (["sour dough"], ["rye", "spelt"])


def test_why_adds_the_search_to_each_line_of_json(engine: type[Engine]) -> None:
    query = Query("q", ("a b",), (), (("c", 0.5),))
    engine.answer = SearchResults((HIT,), query, "dense", None, "widen", 12, 5)
    row = json.loads(run("query", "q", "--json", "--why").stdout)
    assert row["search"] == {
        "question": {"text": "q", "required": ["a b"], "excluded": [], "steers": [["c", 0.5]]},
        "mode": "dense",
        "plan": "widen",
        "n_matching": 12,
        "n_reranked": 5,
    }


@pytest.mark.parametrize("format_", ["csv", "files"])
def test_no_clear_answer_is_said_beside_a_table_or_a_list_in_the_words_of_the_page(
    engine: type[Engine], format_: str
) -> None:
    engine.answer = SearchResults((replace(HIT, relevance=0.184),), Query("q"), is_confident=False)
    said = "No clear answer found. Closest passages (best match 18%):\n"
    assert run("query", "q").stdout.startswith(said)
    done = run("query", "q", "--format", format_)
    assert (done.stderr, said in done.stdout) == (said, False)
    Path("queries.txt").write_text("q\n")
    assert run("query", "--batch", "queries.txt", "--format", format_).stderr == f"'q': {said}"
    engine.answer = replace(engine.answer, is_confident=True)
    assert run("query", "q", "--format", format_).stderr == ""


def test_a_huge_query_of_a_batch_is_named_by_its_beginning(engine: type[Engine]) -> None:
    Path("queries.txt").write_text("oven " * 200_000)
    printed = run("query", "--batch", "queries.txt").stdout
    assert printed.startswith("== oven oven ") and "…" in printed.splitlines()[0]
    engine.answer = SearchResults()
    done = run("query", "--batch", "queries.txt", code=1)
    assert "No results for 'oven oven " in done.stderr
    assert max(map(len, [*printed.splitlines(), *done.stderr.splitlines()])) < 400


def test_a_corrected_query_is_named_in_every_format(engine: type[Engine], monkeypatch) -> None:
    engine.answer = SearchResults((HIT,), Query("passport"), typed="passprot")
    line = "Showing results for: passport; --literal searches for what was typed\n"
    listed = run("query", "passprot", "-l")
    assert (listed.stdout, listed.stderr) == ("docs/tasks.md\n", line)
    assert {run("query", "passprot", "--format", one).stderr for one in ("csv", "md")} == {line}
    context = Context("passprot", (Passage("It is.", "a.md", 1, 1),), 9, searched="passport")
    monkeypatch.setattr(engine, "context", lambda *_, **__: context, raising=False)
    prompt = run("query", "passprot", "--format", "context")
    assert (prompt.stdout, prompt.stderr) == ("a.md:1\nIt is.\n", line)
    as_json = run("query", "passprot", "--json")
    row = json.loads(as_json.stdout)
    assert (row["typed"], row["searched"], as_json.stderr) == ("passprot", "passport", "")
    assert "typed" in run("query", "--help").stdout
    engine.answer = SearchResults((HIT,), Query("passport"))
    assert run("query", "passport", "-l").stderr == ""


def test_json_has_numbers_that_numpy_made() -> None:
    hit = replace(HIT, score=float(np.float32(0.1)))
    Engine.answer = SearchResults((hit,))
    assert json.loads(run("query", "q", "--json").stdout)["score"] == pytest.approx(0.1)


# --- nothing found ---------------------------------------------------------------------------------


def nothing(*options: str, query: Query = Query("q"), **status: object) -> str:  # noqa: B008
    Engine.answer = SearchResults((), query)
    Engine.stands = replace(STATUS, **status)
    result = run("query", "q", *options, code=1)
    assert result.stdout == ""
    return result.stderr.strip()


def test_nothing_found_names_all_that_an_answer_had_to_be() -> None:
    Path("a b").mkdir()
    options = ["--path", "a b/**", "--path", "c", "--ext", "md", "--since", "7d", "--where", "x = 'y'"]
    query = Query("q", required=("sour dough", "x\ny"), excluded=("rye",))
    assert nothing(*options, query=query) == (
        "No results: nothing in the index matches --path 'a b/**' or --path c and --ext md and --since 7d"
        " and --where 'x = '\"'\"'y'\"'\"'' and the phrase \"sour dough\""
        ' and the phrase "x\\ny" and not "rye"; --literal treats quotes and - in the query as text'
    )


def test_the_names_of_fields_are_those_that_documents_have(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("---\nAuthor: x\nTags: [a, b]\n---\n\nBread.\n")
    (tmp_path / "b.md").write_text("---\nauthor: y\nÉtat: z\n---\n\nRye.\n")
    (tmp_path / "c.txt").write_text("Nothing of itself.\n")
    with engine_module.MiniSearch.open(tmp_path, encoder=HashingEncoder()) as ms:
        ms.index(tmp_path, backend="flat")
        assert ms.field_names() == ["author", "tags", "état"]
        (tmp_path / "b.md").unlink()
        ms.index(tmp_path)
        assert ms.field_names() == ["author", "tags"]


@pytest.mark.parametrize(
    ("options", "cure"),
    [
        (["--lang", "klingon"], "no document is in klingon: there are markdown, python"),
        (["--lang", "pyton"], "no document is in pyton: did you mean python?"),
        (["--lang", "Python"], ""),
        (
            ["--path", "docs/**"],
            "there is no docs in the current folder: --path '**/docs/**' looks everywhere",
        ),
        (["--path", "here/**", "--path", "x*/a", "--path", "/x/a", "--path", "../x", "--path", "docs/"], ""),
    ],
)
def test_limits_that_look_like_a_mistake_get_a_hint(options: list[str], cure: str, tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    said = nothing(*options)
    assert said.startswith("No results: nothing in the index matches --")
    assert said.partition("; ")[2] == cure or (not cure and "; " not in said)


def test_the_languages_there_are_are_those_of_documents(tmp_path: Path) -> None:
    for name in ("a.md", "b.py", "c.py", "d.txt"):
        (tmp_path / name).write_text("x = 1")
    with engine_module.MiniSearch.open(tmp_path, encoder=HashingEncoder()) as ms:
        ms.index(tmp_path, backend="flat")
        assert {"markdown", "python"} <= set(ms.languages())
        for language in ms.languages():
            assert ms.query("x", where=Language(language))


def test_nothing_found_within_limits_alone_does_not_speak_of_operators() -> None:
    assert nothing("--ext", "md") == "No results: nothing in the index matches --ext md"


def test_nothing_found_by_words_points_to_meaning() -> None:
    assert nothing("--mode", "lexical") == (
        "No results: no passage contains any of these words; --mode hybrid searches by meaning too"
    )


def test_an_empty_index_says_how_to_fill_it() -> None:
    expected = "No results: the index is empty; fill it with: minisearch index FOLDER"
    assert nothing("--ext", "md", n_chunks=0) == expected
    ended = RunRecord("2024-01-01T00:00:00", "2024-01-01T00:00:01", "complete", ("docs",), 1)
    assert nothing(n_chunks=0, last_run=ended) == expected


@pytest.mark.parametrize(("outcome", "ended"), [("failed", "failed"), ("interrupted", "was interrupted")])
def test_an_empty_index_says_how_its_last_run_ended(outcome: str, ended: str) -> None:
    run_before = RunRecord("2024-01-01T00:00:00", None, outcome, ("docs", "a\x1bb"), 1)
    assert nothing(n_chunks=0, last_run=run_before) == (
        f"No results: the index is empty: the last indexing run {ended}; run again: minisearch index"
    )


def test_an_index_that_a_first_run_is_still_filling_says_that() -> None:
    going_on = RunRecord("2024-01-01T00:00:00", None, "running", ("docs", "more"), 1)
    assert nothing(n_chunks=0, last_run=going_on) == (
        "No results: the first indexing run is still in progress; try again later"
    )


@pytest.mark.parametrize(
    ("outcome", "state"),
    [
        ("interrupted", "the last indexing run was interrupted"),
        ("failed", "the last indexing run failed"),
        ("running", "indexing is in progress"),
    ],
)
def test_results_of_an_incomplete_index_say_so(outcome: str, state: str) -> None:
    run_before = RunRecord("2024-01-01T00:00:00", None, outcome, ("docs",), 1)
    Engine.stands = replace(STATUS, last_run=run_before)
    remark = f"({state}: the index may be incomplete)"
    assert run("query", "q").stdout.splitlines()[-1] == remark
    Engine.stands = replace(STATUS, last_run=replace(run_before, outcome="rolled back"))
    assert "may be incomplete" not in run("query", "q").stdout


# --- similarity ------------------------------------------------------------------------------------


def test_two_texts_have_one_similarity() -> None:
    assert run("similarity", "abcd", "abxy").stdout == "0.333\n"
    assert json.loads(run("similarity", "abcd", "abxy", "--json").stdout) == {
        "texts": ["abcd", "abxy"],
        "cosine": pytest.approx(1 / 3),
    }


def test_several_texts_have_a_table_whose_rows_say_which_text_they_are() -> None:
    assert run("similarity", "ab", "bc", "x\x1b\ny").stdout.splitlines() == [
        "          1       2       3",
        "  1   1.000   0.333   0.000  ab",
        "  2   0.333   1.000   0.000  bc",
        r"  3   0.000   0.000   1.000  x\x1b\ny",
    ]
    found = json.loads(run("similarity", "ab", "bc", "x", "--json").stdout)
    assert found["cosines"] == [
        [1.0, pytest.approx(1 / 3), 0.0],
        [pytest.approx(1 / 3), 1.0, 0.0],
        [0.0, 0.0, 1.0],
    ]


@pytest.mark.parametrize("texts", [[], ["one"]])
def test_fewer_than_two_texts_have_none(texts: list[str]) -> None:
    assert f"expected at least two texts, got {len(texts)}: minisearch similarity" in usage_error(
        run("similarity", *texts, code=2)
    )


@pytest.mark.parametrize(("texts", "number"), [(["x", ""], 2), ([" \n", "x"], 1), (["a", "b", "\t"], 3)])
def test_an_empty_text_is_compared_with_nothing(
    texts: list[str], number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(minisearch, "MiniSearch", engine_module.MiniSearch)
    monkeypatch.setenv("LLM_MODELS_PATH", "nowhere")
    assert f"text {number} is empty: expected something to compare" in error_of("similarity", *texts)


# --- help and interruption -------------------------------------------------------------------------


@pytest.mark.parametrize("columns", ["40", "80", "100"])
def test_the_help_is_in_sections_and_names_every_option(
    columns: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = CliRunner().invoke(cli, ["query", "--help"], terminal_width=int(columns))
    lines = result.stdout.splitlines()
    sections = [line.rstrip(":") for line in lines if line[:1].strip() and line.endswith(":")]
    assert sections == ["What to search for", "Which files", "How to rank", "What to print", "Other options"]
    for parameter in query.params:
        if parameter.name != "text":
            assert any(line.strip().startswith(parameter.opts[0]) for line in lines), parameter.name


def interrupted_at_import_of(module: str, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """A command during which Ctrl-C is pressed when this module is being imported."""
    program = (
        "import sys\n"
        "class Finder:\n"
        "    def find_spec(self, name, *_):\n"
        f"        if name == {module!r}: raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Finder())\n"
        "import runpy; runpy.run_module('minisearch', run_name='__main__')"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), *sys.path])}
    return subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, cwd=cwd, env=environment
    )


@pytest.mark.parametrize(
    "module", ["minisearch.cli", "click", "minisearch.vectors", "minisearch.engine", "numpy"]
)
def test_ctrl_c_while_anything_is_being_imported_leaves_no_traceback(module: str, tmp_path: Path) -> None:
    done = interrupted_at_import_of(module, "query", "q", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "Interrupted\n")


# --- durations


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("300ms", 0.3), ("0.5s", 0.5), ("2 s", 2), (" 1.5 S ", 1.5), (".25s", 0.25), ("90MS", 0.09), ("1.s", 1)],
)
def test_a_duration_is_read(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "300", "ms", "0ms", "0s", "-1s", "+1s", "1e3s", "nans", "infs", "1m", "1500us", "0x3s"),
        *("0,5s", "3 0ms", "1s 1ms", "١s", "３s", "300ms\n!", "9" * 400 + "s"),
    ],
)
def test_an_invalid_duration_is_refused_with_an_example(text: str) -> None:
    told = re.escape(f"'{short(text)}' is no duration")
    with pytest.raises(InputError, match=f"{told}.* like 300ms or 0.5s"):
        parse_duration(text)
